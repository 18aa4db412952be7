//! Tests of the sweep as its callers see it.

mod archives;
mod attacks;
mod baselines;
mod borders;
mod captures;
mod circles;
mod corpus;
mod documents;
mod exfat;
mod fifth;
mod firmware;
mod floods;
mod fourth;
mod hidden;
mod hostile;
mod images;
mod imports;
mod journal;
mod labels;
mod machine;
mod made;
mod others;
mod papers;
mod paragraphs;
mod planted;
mod reports;
mod rules;
mod sixth;
mod sources;
mod strangers;
mod support;
mod third;
mod unread;
mod volumes;
mod wire;
mod work;
mod wraps;
mod yaffs;

use std::ops::ControlFlow;

use sweep::{Defaults, Finding, Limits, Notice, Rules, Sweep, Totals};

/// 2026-11-28T00:00:00Z.
const NOW: i64 = 1_795_824_000;

/// Findings, and what was skipped with the reasons.
fn sweep(rules: &Rules, bytes: &[u8]) -> (Vec<Finding>, Vec<String>) {
    sweep_within(rules, bytes, Limits::default())
}

fn sweep_within(rules: &Rules, bytes: &[u8], limits: Limits) -> (Vec<Finding>, Vec<String>) {
    let (found, skipped, _) = totals(rules, bytes, limits);
    (found, skipped)
}

/// Findings, where hashes are not tried with vendors' passwords: with thousands of documents that
/// is most of the work, and does not decide whether a hash is found.
fn found_untried(rules: &Rules, bytes: &[u8]) -> Vec<Finding> {
    let mut defaults = Defaults::default();
    defaults.spent(u64::MAX);
    totals_with(&mut defaults, rules, bytes, Limits::default()).0
}

/// Findings, what was skipped, and what it took.
fn totals(rules: &Rules, bytes: &[u8], limits: Limits) -> (Vec<Finding>, Vec<String>, Totals) {
    totals_with(&mut Defaults::default(), rules, bytes, limits)
}

fn totals_with(
    defaults: &mut Defaults,
    rules: &Rules,
    bytes: &[u8],
    limits: Limits,
) -> (Vec<Finding>, Vec<String>, Totals) {
    let (mut found, mut skipped) = (Vec::new(), Vec::new());
    let sweep = Sweep { rules, limits, now: NOW };
    let totals = sweep.input_with(defaults, "input", &bytes.to_vec(), &mut |notice| {
        match notice {
            Notice::Found(finding) => found.push(finding),
            Notice::Skipped { chain, why } => skipped.push(format!("{}: {why}", chain.join("/"))),
            Notice::Read(_) | Notice::Part { .. } | Notice::Volume(_) => {}
        }
        ControlFlow::Continue(())
    });
    (found, skipped, totals)
}

fn ids(found: &[Finding]) -> Vec<&str> {
    found.iter().map(|finding| finding.rule.id.as_str()).collect()
}
