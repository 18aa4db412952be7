//! One secret that stands in several places is told once, with all of them.

use std::collections::HashMap;

use crate::finding::{Finding, Severity};
use crate::rules::Kind;

/// Findings of one rule and one secret, in the order in which they were found.
pub(super) type Group<'a> = Vec<&'a Finding>;

/// What makes two findings one secret. The fingerprint of a password is too short for
/// that, and of what a journal holds nothing else is known: such ones stand alone.
#[derive(PartialEq, Eq, Hash)]
enum Same<'a> {
    Secret(&'a [u8]),
    Fingerprint(&'a str),
    Alone(usize),
}

pub(super) fn groups(findings: &[Finding]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    let mut known: HashMap<(&str, Severity, Option<&str>, Same<'_>), usize> = HashMap::new();
    for (number, finding) in findings.iter().enumerate() {
        let same = match (finding.secret.reveal(), finding.rule.kind) {
            ([], Kind::Key) => Same::Fingerprint(finding.fingerprint.as_str()),
            ([], _) => Same::Alone(number),
            (secret, _) => Same::Secret(secret),
        };
        let key = (finding.rule.id.as_str(), finding.severity, finding.permits.as_deref(), same);
        let at = *known.entry(key).or_insert_with(|| {
            groups.push(Vec::new());
            groups.len() - 1
        });
        groups[at].push(finding);
    }
    groups
}
