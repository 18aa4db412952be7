//! What is known already: findings that a person has looked at, and until when they
//! need not be told of again.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::finding::{Finding, Fingerprint};

/// Of a baseline file, in bytes.
pub const BASELINE_BYTES_MAX: u64 = 64 << 20;
const VERSION: u32 = 1;

#[derive(Debug, thiserror::Error)]
pub enum BaselineError {
    #[error("the baseline could not be read: {0}")]
    Json(#[from] serde_json::Error),
    #[error("the baseline is of version {0}, and this program reads {VERSION}")]
    Version(u32),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    rule: String,
    fingerprint: Fingerprint,
    /// The chain of names. A fingerprint of a password is short, so the place counts.
    place: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Seconds since 1970; told of again from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<i64>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    findings: Vec<Entry>,
}

/// Findings that are known.
#[derive(Debug, Default)]
pub struct Baseline(HashSet<Entry>);

impl Baseline {
    /// Reads a file; what ended at `now`, in seconds since 1970, counts no longer.
    pub fn read(text: &str, now: i64) -> Result<Baseline, BaselineError> {
        let file: File = serde_json::from_str(text)?;
        if file.version != VERSION {
            return Err(BaselineError::Version(file.version));
        }
        let live = |entry: &Entry| entry.until.is_none_or(|until| now < until);
        let plain = |entry: Entry| Entry { reason: None, until: None, ..entry };
        Ok(Baseline(file.findings.into_iter().filter(live).map(plain).collect()))
    }

    /// The file in which these findings are known. It holds no secrets.
    pub fn write(findings: &[Finding]) -> String {
        let findings = findings.iter().map(entry).collect();
        let mut text = serde_json::to_string_pretty(&File { version: VERSION, findings })
            .expect("text and numbers are JSON");
        text.push('\n');
        text
    }

    pub fn knows(&self, finding: &Finding) -> bool {
        self.0.contains(&entry(finding))
    }
}

fn entry(finding: &Finding) -> Entry {
    Entry {
        rule: finding.rule.id.clone(),
        fingerprint: finding.fingerprint.clone(),
        place: finding.location.chain.clone(),
        reason: None,
        until: None,
    }
}
