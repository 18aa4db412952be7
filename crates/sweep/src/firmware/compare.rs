//! Two versions of one firmware: what got better, what got worse, what is other.

use std::collections::BTreeMap;

use serde::Serialize;

use super::report::{Report, Source};

/// Of each list; images differ in all their files now and then.
const LIST_MAX: usize = 10_000;

/// What the newer one has and the older one has not, and the other way round.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Change {
    pub added: Vec<String>,
    pub removed: Vec<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// The older image, by name and digest.
    pub older: String,
    pub newer: String,
    pub issues: Change,
    pub credentials: Change,
    pub vulnerabilities: Change,
    pub services: Change,
    pub accounts: Change,
    pub components: Change,
    /// Program by program: defences that it has or has not any more.
    pub hardening: Change,
    pub files: Change,
    pub files_changed: Vec<String>,
}

impl Comparison {
    pub fn of(older: &Report, newer: &Report) -> Comparison {
        let change = |of: fn(&Report) -> Vec<String>| change(of(older), of(newer));
        let (files, files_changed) = files(older, newer);
        Comparison {
            older: name(older),
            newer: name(newer),
            issues: change(|report| {
                let lines = report.issues.iter();
                lines
                    .map(|issue| at(format!("{}: {}", issue.severity.name(), issue.title), &issue.place))
                    .collect()
            }),
            credentials: change(|report| {
                let lines = report.credentials.iter();
                lines
                    .map(|found| at(format!("{} {}", found.title, found.fingerprint), &found.place))
                    .collect()
            }),
            vulnerabilities: change(|report| {
                let lines = report.vulnerabilities.iter();
                lines.map(|found| format!("{} in {} {}", found.id, found.component, found.version)).collect()
            }),
            services: change(|report| {
                report.services.iter().map(|service| at(service.name.clone(), &service.place)).collect()
            }),
            accounts: change(|report| {
                let lines = report.accounts.iter();
                lines
                    .map(|account| at(format!("{} ({})", account.name, account.password), &account.place))
                    .collect()
            }),
            components: change(|report| {
                let lines = report.components.iter();
                lines
                    .map(|component| match component.source {
                        Source::Packages => format!("{} {} (package)", component.name, component.version),
                        Source::Words => format!("{} {}", component.name, component.version),
                    })
                    .collect()
            }),
            hardening: hardening(older, newer),
            files,
            files_changed,
        }
    }
}

fn name(report: &Report) -> String {
    let version = report.product.version.as_ref().map(|version| format!(" {version}")).unwrap_or_default();
    let digest = report.image.sha256.get(..12).unwrap_or_default();
    format!("{}{version} ({digest})", report.image.name)
}

fn at(what: String, place: &str) -> String {
    match place {
        "" => what,
        place => format!("{what} in {place}"),
    }
}

fn change(mut older: Vec<String>, mut newer: Vec<String>) -> Change {
    for list in [&mut older, &mut newer] {
        list.sort_unstable();
        list.dedup();
    }
    let without = |list: &[String], other: &[String]| {
        let left = list.iter().filter(|line| other.binary_search(line).is_err());
        left.take(LIST_MAX).cloned().collect()
    };
    Change { added: without(&newer, &older), removed: without(&older, &newer) }
}

/// Files by where they are: what is new, gone, and other in content.
fn files(older: &Report, newer: &Report) -> (Change, Vec<String>) {
    let by_path = |report: &Report| -> BTreeMap<String, String> {
        report.files.iter().map(|file| (file.path.clone(), file.sha256.clone())).collect()
    };
    let (older, newer) = (by_path(older), by_path(newer));
    let changed = newer.iter().filter(|(path, digest)| older.get(*path).is_some_and(|old| old != *digest));
    let changed = changed.map(|(path, _)| path.clone()).take(LIST_MAX).collect();
    (change(older.into_keys().collect(), newer.into_keys().collect()), changed)
}

fn hardening(older: &Report, newer: &Report) -> Change {
    let of = |report: &Report| -> BTreeMap<String, Vec<&'static str>> {
        let binaries = report.binaries.iter();
        binaries.map(|binary| (binary.place.clone(), binary.hardening.defences())).collect()
    };
    let (older, newer) = (of(older), of(newer));
    let mut change = Change::default();
    for (place, defences) in &newer {
        let Some(before) = older.get(place) else { continue };
        let lines = |has: &[&'static str], had: &[&'static str]| -> Vec<String> {
            has.iter().filter(|name| !had.contains(name)).map(|name| format!("{name} in {place}")).collect()
        };
        change.added.extend(lines(defences, before));
        change.removed.extend(lines(before, defences));
    }
    change.added.truncate(LIST_MAX);
    change.removed.truncate(LIST_MAX);
    change
}
