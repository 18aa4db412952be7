//! Which of the components are known to be vulnerable, by files that the caller
//! imports: CSAF 2.0 of vendors, the KEV catalogue of CISA, and CVE records (the form 5
//! of CVE, and the answers of the NVD's interface 2.0). Nothing is fetched.
//!
//! One file after the other is read and forgotten; what is kept is what concerns the
//! report. Names differ between makers and lists, so they are compared by letters and
//! digits alone. Versions that cannot be compared are told, never taken for safe.

mod csaf;
mod cve;
mod range;

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde_json::Value;

use super::found::push;
use super::report::{Report, Vulnerability};
use super::text;
use crate::finding::Severity;
use range::{Range, Within};

/// Of one file, in bytes.
pub const ADVISORY_BYTES_MAX: u64 = 64 << 20;
/// Entries of any list in a file.
const LIST_MAX: usize = 200_000;
/// Of a title, in characters.
const TITLE_MAX: usize = 200;

#[derive(Debug, thiserror::Error)]
pub enum AdvisoryError {
    #[error("it is no JSON")]
    Json(#[from] serde_json::Error),
    #[error("it is neither CSAF 2.0, a KEV catalogue, a CVE record of form 5, nor an answer of the NVD")]
    Form,
}

/// What a file held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Imported {
    pub form: &'static str,
    /// Vulnerabilities that it tells of.
    pub entries: usize,
}

/// What may be vulnerable: a component, or the product itself.
struct Target {
    name: String,
    /// Letters and digits; empty if it is not known.
    vendor: String,
    /// Letters and digits of each name that it has.
    names: Vec<String>,
    version: String,
    place: String,
    /// Advisories name cameras with the maker's name before the model, or with
    /// `firmware` behind it.
    is_product: bool,
}

/// Judges one report by file after file.
pub struct Advisories<'a> {
    report: &'a mut Report,
    targets: Vec<Target>,
    by_name: BTreeMap<String, Vec<usize>>,
    exploited: HashSet<String>,
    not_compared: BTreeSet<String>,
    /// Of what was told already: the vulnerability, and the number of the target.
    known: HashSet<(String, usize)>,
}

impl std::fmt::Debug for Advisories<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Advisories").field("targets", &self.targets.len()).finish_non_exhaustive()
    }
}

/// Something that an advisory says is vulnerable.
struct Claim<'v> {
    id: &'v str,
    vendor: &'v str,
    product: &'v str,
    title: &'v str,
    score: Option<f64>,
}

impl<'a> Advisories<'a> {
    pub fn of(report: &'a mut Report) -> Self {
        let mut targets = Vec::new();
        for component in &report.components {
            let mut names = vec![folded(&component.product), folded(&component.name)];
            names.dedup();
            targets.push(Target {
                name: component.name.clone(),
                vendor: folded(&component.vendor),
                names,
                version: component.version.clone(),
                place: component.place.clone(),
                is_product: false,
            });
        }
        let product = &report.product;
        if let (Some(model), Some(version)) = (&product.model, &product.version) {
            targets.push(Target {
                name: model.clone(),
                vendor: folded(product.vendor.as_deref().unwrap_or_default()),
                names: vec![folded(model)],
                version: version.clone(),
                place: String::new(),
                is_product: true,
            });
        }
        let mut by_name: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (number, target) in targets.iter().enumerate() {
            for name in target.names.iter().filter(|name| !name.is_empty()) {
                by_name.entry(name.clone()).or_default().push(number);
            }
        }
        Advisories {
            report,
            targets,
            by_name,
            exploited: HashSet::new(),
            not_compared: BTreeSet::new(),
            known: HashSet::new(),
        }
    }

    /// Reads one file. `name` is what reports call it.
    ///
    /// # Errors
    /// If it is of no known form. What was read before stays.
    pub fn read(&mut self, name: &str, json: &[u8]) -> Result<Imported, AdvisoryError> {
        let file: Value = serde_json::from_slice(json)?;
        if file.get("document").is_some_and(|document| document.get("csaf_version").is_some()) {
            return Ok(Imported { form: "CSAF", entries: csaf::read(self, name, &file) });
        }
        if let Some(records) = file.as_array() {
            let read = records.iter().take(LIST_MAX).filter_map(|record| cve::record(self, name, record));
            let read: Vec<usize> = read.collect();
            // An empty list is one of any form.
            return match read.is_empty() && !records.is_empty() {
                true => Err(AdvisoryError::Form),
                false => Ok(Imported { form: "CVE", entries: read.iter().sum() }),
            };
        }
        if let Some(entries) = cve::record(self, name, &file) {
            return Ok(Imported { form: "CVE", entries });
        }
        let listed = file.get("vulnerabilities").and_then(Value::as_array).ok_or(AdvisoryError::Form)?;
        let listed = &listed[..listed.len().min(LIST_MAX)];
        match listed.first() {
            Some(first) if first.get("cve").is_some() => {
                listed.iter().for_each(|entry| cve::nvd(self, name, &entry["cve"]));
                Ok(Imported { form: "NVD", entries: listed.len() })
            }
            Some(first) if first.get("cveID").is_some() => {
                let ids = listed.iter().filter_map(|entry| entry["cveID"].as_str());
                self.exploited.extend(ids.map(str::to_owned));
                Ok(Imported { form: "KEV", entries: listed.len() })
            }
            None if file.get("catalogVersion").is_some() => Ok(Imported { form: "KEV", entries: 0 }),
            None if file.get("totalResults").is_some() => Ok(Imported { form: "NVD", entries: 0 }),
            _ => Err(AdvisoryError::Form),
        }
    }

    /// Those that may be meant by these names.
    fn targets(&self, vendor: &str, product: &str) -> Vec<usize> {
        let (vendor, product) = (folded(vendor), folded(product));
        let mut found: Vec<usize> = self.by_name.get(&product).cloned().unwrap_or_default();
        found.retain(|number| is_of(&self.targets[*number], &vendor));
        // The product itself stands last, if it is known.
        if self.targets.last().is_some_and(|target| target.is_product && is_camera(target, &vendor, &product))
        {
            found.push(self.targets.len() - 1);
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Adds what `claim` says, for each target whose version is within one of `affected`
    /// and none of `safe`. `otherwise`: whether a version of which nothing is said is affected.
    fn claim(
        &mut self,
        advisory: &str,
        claim: &Claim<'_>,
        (affected, safe, otherwise): (&[Range], &[Range], bool),
    ) {
        for number in self.targets(claim.vendor, claim.product) {
            let target = &self.targets[number];
            let within =
                |ranges: &[Range]| ranges.iter().any(|range| range.holds(&target.version) == Within::Yes);
            let range = affected.iter().find(|range| range.holds(&target.version) == Within::Yes);
            let unknown =
                affected.iter().chain(safe).any(|range| range.holds(&target.version) == Within::Unknown);
            if within(safe) && range.is_none_or(|range| !range.is_exact()) {
                continue;
            }
            if range.is_none() && !otherwise {
                if unknown && self.not_compared.len() < LIST_MAX {
                    let entry = format!("{}: {} {}", claim.id, target.name, target.version);
                    self.not_compared.insert(entry);
                }
                continue;
            }
            if !self.known.insert((claim.id.to_owned(), number)) {
                continue;
            }
            let vulnerability = Vulnerability {
                id: text::short(claim.id, 64),
                component: target.name.clone(),
                version: target.version.clone(),
                severity: severity(claim.score),
                score: claim.score,
                is_exploited: false,
                fixed_in: range.and_then(Range::fixed_in).map(|version| text::short(version, 64)),
                title: text::short(claim.title, TITLE_MAX),
                advisory: advisory.to_owned(),
                place: target.place.clone(),
            };
            push(&mut self.report.vulnerabilities, vulnerability);
        }
    }

    /// Once all files are read: what is used in attacks comes first.
    pub fn finish(self) {
        let Advisories { report, exploited, not_compared, .. } = self;
        for vulnerability in &mut report.vulnerabilities {
            if exploited.contains(&vulnerability.id) {
                vulnerability.is_exploited = true;
                vulnerability.severity = vulnerability.severity.max(Severity::High);
            }
        }
        report.vulnerabilities.sort_by(|a, b| {
            let order = |of: &Vulnerability| (!of.is_exploited, std::cmp::Reverse(of.severity));
            order(a).cmp(&order(b)).then_with(|| (&a.component, &a.id).cmp(&(&b.component, &b.id)))
        });
        report.not_compared = not_compared.into_iter().collect();
        let product = &report.product;
        if let (Some(model), None) = (&product.model, &product.version) {
            let model = text::short(model, 100);
            report
                .not_compared
                .push(format!("{model}: nothing was compared, since its version is not known"));
        }
    }
}

/// Letters and digits, in lower case.
fn folded(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).take(200).collect()
}

/// Whether `vendor` of an advisory may be the maker: lists write `busybox`, `BusyBox
/// project` and `n/a` for the same one.
fn is_of(target: &Target, vendor: &str) -> bool {
    let is_near = |name: &str| !name.is_empty() && (vendor.contains(name) || name.contains(vendor));
    vendor.is_empty()
        || vendor == "na"
        || target.vendor.is_empty()
        || is_near(&target.vendor)
        || target.names.iter().any(|name| is_near(name))
}

fn is_camera(target: &Target, vendor: &str, product: &str) -> bool {
    let [model] = &target.names[..] else { return false };
    let rest = product.replacen(&target.vendor, "", usize::from(!target.vendor.is_empty()));
    let rest = rest.strip_suffix("firmware").unwrap_or(&rest);
    !model.is_empty() && rest == model && is_of(target, vendor)
}

/// CVSS 3.1, section 5. Without a score it is at least something.
fn severity(score: Option<f64>) -> Severity {
    match score {
        Some(score) if score >= 9.0 => Severity::Critical,
        Some(score) if score >= 7.0 => Severity::High,
        Some(score) if score > 0.0 && score < 4.0 => Severity::Low,
        _ => Severity::Medium,
    }
}

/// The entries of a list, if it is one.
fn list<'v>(value: &'v Value, name: &str) -> impl Iterator<Item = &'v Value> + use<'v> {
    value.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default().iter().take(LIST_MAX)
}

fn string<'v>(value: &'v Value, name: &str) -> &'v str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}
