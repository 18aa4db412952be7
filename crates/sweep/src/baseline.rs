//! What is known already: findings that a person has looked at, and until when they
//! need not be told of again.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::finding::{Finding, Fingerprint, Severity};
use crate::volume::Volume;

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
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    volumes: Vec<Known>,
}

/// A card that may lie open. One on which footage is found later is another matter.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Known {
    rule: String,
    fingerprint: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<i64>,
}

/// Findings and open cards that are known.
#[derive(Debug, Default)]
pub struct Baseline {
    findings: HashSet<Entry>,
    volumes: HashSet<Known>,
}

impl Baseline {
    /// Reads a file; what ended at `now`, in seconds since 1970, counts no longer.
    pub fn read(text: &str, now: i64) -> Result<Baseline, BaselineError> {
        let file: File = serde_json::from_str(text)?;
        if file.version != VERSION {
            return Err(BaselineError::Version(file.version));
        }
        let lives = |until: Option<i64>| until.is_none_or(|until| now < until);
        let plain = |entry: Entry| Entry { reason: None, until: None, ..entry };
        let findings = file.findings.into_iter().filter(|entry| lives(entry.until)).map(plain).collect();
        let plain = |known: Known| Known { reason: None, until: None, ..known };
        let volumes = file.volumes.into_iter().filter(|known| lives(known.until)).map(plain).collect();
        Ok(Baseline { findings, volumes })
    }

    /// The file in which these are known, of volumes those that lie open. It holds no secrets.
    pub fn write(findings: &[Finding], volumes: &[Volume]) -> String {
        let findings = findings.iter().map(entry).collect();
        let volumes = volumes.iter().filter(|volume| volume.severity() > Severity::Info).map(known).collect();
        let mut text = serde_json::to_string_pretty(&File { version: VERSION, findings, volumes })
            .expect("text and numbers are JSON");
        text.push('\n');
        text
    }

    pub fn knows(&self, finding: &Finding) -> bool {
        self.findings.contains(&entry(finding))
    }

    /// Whether what is said of a volume is known, wherever it is found now.
    pub fn knows_volume(&self, volume: &Volume) -> bool {
        self.volumes.contains(&known(volume))
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

fn known(volume: &Volume) -> Known {
    Known { rule: volume.rule().to_owned(), fingerprint: volume.fingerprint(), reason: None, until: None }
}
