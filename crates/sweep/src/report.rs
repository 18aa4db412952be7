//! A sweep's findings as text, JSON, SARIF, CSV and HTML. Secrets are redacted unless
//! they are asked for, and foreign names are escaped in each form by its own rules.

mod escape;
mod groups;
mod page;
mod text;
mod volumes;

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::finding::{Finding, Life, Severity, shown};
use crate::places::Places;
use crate::scan::Totals;
use crate::volume::Volume;
use crate::words::count;
pub(crate) use escape::html;
pub use escape::pretty;
use escape::{csv_field, message, uri};
pub(crate) use page::{HEAD, STYLE, cell};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Text,
    Json,
    Sarif,
    Csv,
    Html,
}

/// What is written.
#[derive(Debug)]
pub struct Report<'a> {
    pub findings: &'a [Finding],
    /// Cards, disks and file systems, encrypted or open.
    pub volumes: &'a [Volume],
    /// Names and reasons.
    pub skipped: &'a [(Vec<String>, String)],
    pub totals: Totals,
    pub show_secrets: bool,
    /// All that was named was read. What is not read inside of that leaves it so.
    pub is_whole: bool,
    pub places: &'a Places,
    pub swept: Swept<'a>,
}

/// What a sweep was of, for whoever reads its report later.
#[derive(Debug, Clone, Copy, Default)]
pub struct Swept<'a> {
    /// What was named, as it was typed.
    pub named: &'a [String],
    /// When it began, in seconds since 1970.
    pub at: i64,
    /// Somebody ended it before its end.
    pub is_interrupted: bool,
}

impl Report<'_> {
    pub fn write(&self, form: Form) -> String {
        match form {
            Form::Text => self.text(),
            Form::Json => pretty(&self.json()),
            Form::Sarif => pretty(&self.sarif()),
            Form::Csv => self.csv(),
            Form::Html => self.html(),
        }
    }

    /// How many there are of each severity, the worst first: findings, and what lies open.
    fn by_severity(&self) -> Vec<(Severity, usize)> {
        let all = self.findings.iter().map(|finding| finding.severity).chain(self.open());
        let all: Vec<Severity> = all.collect();
        let number = |severity| (severity, all.iter().filter(|other| **other == severity).count());
        Severity::ALL.into_iter().rev().map(number).collect()
    }

    /// Of cards and disks that are findings, how bad each is.
    fn open(&self) -> impl Iterator<Item = Severity> {
        self.volumes.iter().map(Volume::severity).filter(|severity| *severity > Severity::Info)
    }

    /// What was found, in a line.
    fn headline(&self, secrets: usize) -> String {
        let mut line = count(self.findings.len() as u64, "finding", "findings");
        if secrets < self.findings.len() {
            let _ = write!(line, " of {}", count(secrets as u64, "secret", "secrets"));
        }
        match self.open().count() as u64 {
            0 => {}
            open => {
                let _ = write!(line, " and {}", count(open, "open card or disk", "open cards or disks"));
            }
        }
        line
    }

    fn secret(&self, finding: &Finding) -> String {
        match self.show_secrets {
            true => String::from_utf8_lossy(finding.secret.reveal()).into_owned(),
            false => finding.secret.redacted(finding.rule.kind),
        }
    }

    fn finding(&self, finding: &Finding) -> Value {
        let mut value = json!({
            "rule": finding.rule.id,
            "title": finding.rule.title,
            "severity": finding.severity,
            "fingerprint": finding.fingerprint,
            "redacted": finding.secret.redacted(finding.rule.kind),
            "life": finding.life,
            "permits": finding.permits,
            "opens": finding.rule.opens,
            "remedy": finding.rule.remedy,
            "location": finding.location,
        });
        if self.show_secrets {
            value["secret"] = self.secret(finding).into();
        }
        value
    }

    fn json(&self) -> Value {
        let skipped: Vec<Value> =
            self.skipped.iter().map(|(chain, why)| json!({ "chain": chain, "why": why })).collect();
        let findings: Vec<Value> = self.findings.iter().map(|finding| self.finding(finding)).collect();
        let volumes: Vec<Value> =
            self.volumes.iter().map(|volume| volumes::json(volume, self.places)).collect();
        let Totals { read, unpacked, parts, .. } = self.totals;
        json!({
            "version": 1,
            "is_whole": self.is_whole,
            "findings": findings,
            "volumes": volumes,
            "skipped": skipped,
            "bytes_read": read,
            "bytes_unpacked": unpacked,
            "parts": parts,
        })
    }

    /// SARIF 2.1.0. A part inside a file has no address of its own: it is named in the
    /// message and as a logical location.
    fn sarif(&self) -> Value {
        let mut rules: Vec<&Finding> = self.findings.iter().collect();
        rules.sort_by_key(|finding| &finding.rule.id);
        rules.dedup_by_key(|finding| &finding.rule.id);
        let rules: Vec<Value> = rules
            .into_iter()
            .map(|finding| {
                let rule = &finding.rule;
                json!({
                    "id": rule.id,
                    "shortDescription": { "text": message(&rule.title) },
                    "fullDescription": { "text": message(&rule.opens) },
                    "help": { "text": message(&rule.remedy) },
                })
            })
            .chain(volumes::rules(self.volumes))
            .collect();
        let findings = self.findings.iter().map(|finding| self.sarif_result(finding));
        let volumes = self.volumes.iter().map(|volume| volumes::sarif(volume, self.places));
        let results: Vec<Value> = findings.chain(volumes).collect();
        json!({
            "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
            "version": "2.1.0",
            "runs": [{
                "tool": { "driver": { "name": "lenskeep sweep", "version": env!("CARGO_PKG_VERSION"), "rules": rules } },
                "invocations": [{
                    "executionSuccessful": self.is_whole,
                    "toolExecutionNotifications": self.skipped.iter().map(|(chain, why)| self.sarif_skipped(chain, why)).collect::<Vec<_>>(),
                }],
                "results": results,
            }],
        })
    }

    fn sarif_skipped(&self, chain: &[String], why: &str) -> Value {
        json!({
            "level": "warning",
            "message": { "text": message(&format!("{} was not read: {why}", place(chain))) },
            "locations": [{
                "physicalLocation": { "artifactLocation": { "uri": address(chain, self.places) } },
                "logicalLocations": [{ "fullyQualifiedName": place(chain) }],
            }],
        })
    }

    fn sarif_result(&self, finding: &Finding) -> Value {
        let location = &finding.location;
        let mut region = json!({ "byteOffset": location.offset });
        let mut physical = json!({ "artifactLocation": { "uri": address(&location.chain, self.places) } });
        // Offsets and lines are of the innermost part.
        if location.chain.len() == 1 {
            if let Some(line) = location.line {
                region = json!({ "startLine": line });
            }
            physical["region"] = region;
        }
        json!({
            "ruleId": finding.rule.id,
            "level": level(finding.severity),
            "message": { "text": message(&format!("{} in {}: {}", finding.rule.title, place(&location.chain), self.secret(finding))) },
            "partialFingerprints": { "lenskeepSweep/v1": finding.fingerprint },
            "locations": [{
                "physicalLocation": physical,
                "logicalLocations": [{ "fullyQualifiedName": place(&location.chain) }],
            }],
        })
    }

    fn csv(&self) -> String {
        let mut out =
            "severity,rule,title,place,offset,line,parameter,fingerprint,secret,life\r\n".to_owned();
        for finding in self.findings {
            let location = &finding.location;
            let fields = [
                finding.severity.name().to_owned(),
                finding.rule.id.clone(),
                finding.rule.title.clone(),
                place(&location.chain),
                location.offset.to_string(),
                location.line.map(|line| line.to_string()).unwrap_or_default(),
                location.parameter.clone().unwrap_or_default(),
                finding.fingerprint.as_str().to_owned(),
                self.secret(finding),
                life(finding).trim().to_owned(),
            ];
            out.push_str(&fields.map(|field| csv_field(&field)).join(","));
            out.push_str("\r\n");
        }
        self.volumes.iter().for_each(|volume| volumes::csv(volume, self.places, &mut out));
        for (chain, why) in self.skipped {
            let fields = ["", "not-read", why, &place(chain), "", "", "", "", "", ""];
            out.push_str(&fields.map(csv_field).join(","));
            out.push_str("\r\n");
        }
        out
    }
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical | Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low | Severity::Info => "note",
    }
}

/// The chain of names, fit for a terminal. What has none, as a file in gzip, is left out.
fn place(chain: &[String]) -> String {
    chain.iter().filter(|name| !name.is_empty()).map(|name| shown(name)).collect::<Vec<_>>().join(" › ")
}

fn life(finding: &Finding) -> String {
    let permits = finding.permits.as_ref().map(|permits| format!("  {}", shown(permits))).unwrap_or_default();
    match finding.life {
        Life::Unknown => permits,
        Life::Ended(_) => format!("{permits}  ended"),
        Life::Until(_) => format!("{permits}  still valid"),
    }
}

/// Of the outermost of a chain, for other programs.
fn address(chain: &[String], places: &Places) -> String {
    let outer = chain.first().map(String::as_str).unwrap_or_default();
    let (scheme, path) = places.address(outer);
    format!("{scheme}{}", uri(&path))
}
