//! What a sweep found, and how it is named and shown.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::rules::{Kind, Rule};

/// How much harm is near. `Info` never fails a check by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Info,
    Low,
    Medium,
    High,
    Critical,
}

impl Severity {
    pub const ALL: [Severity; 5] =
        [Severity::Info, Severity::Low, Severity::Medium, Severity::High, Severity::Critical];

    pub fn name(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Low => "low",
            Severity::Medium => "medium",
            Severity::High => "high",
            Severity::Critical => "critical",
        }
    }

    pub fn parse(name: &str) -> Option<Severity> {
        Severity::ALL.into_iter().find(|severity| severity.name() == name)
    }
}

/// What was found, as it stood there. Prints as nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    bytes: Vec<u8>,
    /// All that is known of it, if it was read from a journal.
    redacted: Option<String>,
}

impl Secret {
    pub(crate) fn new(bytes: &[u8]) -> Secret {
        Secret { bytes: bytes.to_vec(), redacted: None }
    }

    /// One of which no more is known than a report showed.
    pub(crate) fn redacted_before(redacted: String) -> Secret {
        Secret { bytes: Vec::new(), redacted: Some(redacted) }
    }

    /// The secret itself, for `--show-secrets` alone; nothing, if it is known redacted only.
    pub fn reveal(&self) -> &[u8] {
        &self.bytes
    }

    /// The first four characters of what a machine made, if it is long; otherwise
    /// nothing, not even the length.
    pub fn redacted(&self, kind: Kind) -> String {
        if let Some(redacted) = &self.redacted {
            return redacted.clone();
        }
        let start = self.bytes.get(..4).filter(|start| start.iter().all(u8::is_ascii_alphanumeric));
        match (kind, start) {
            (Kind::Key, Some(start)) if self.bytes.len() >= 20 => {
                format!("{}…", String::from_utf8_lossy(start))
            }
            _ => "…".to_owned(),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Names a secret, the same in each run and wherever it stands.
///
/// SHA-256 of `lenskeep sweep 1`, the rule's family and the secret, each ended by a
/// zero byte. What a machine made keeps 128 bits: nobody can guess it, and whoever
/// keeps a store can tell its own key. What a person chose, and hashes of that, keep
/// 12 bits, since a longer name would let anyone try a dictionary against a report; so
/// a baseline compares the place, too.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(String);

/// The whole digest, for telling secrets apart in one run. Never leaves it.
pub(crate) type Digest32 = [u8; 32];

pub(crate) fn digest(family: &str, secret: &[u8]) -> Digest32 {
    let mut hash = Sha256::new();
    for part in [b"lenskeep sweep 1".as_slice(), family.as_bytes(), secret] {
        hash.update(part);
        hash.update([0]);
    }
    hash.finalize().into()
}

impl Fingerprint {
    pub fn new(kind: Kind, family: &str, secret: &[u8]) -> Fingerprint {
        let hex: String = digest(family, secret)[..16].iter().map(|byte| format!("{byte:02x}")).collect();
        let digits = match kind {
            Kind::Key => 32,
            Kind::Password | Kind::Hash => 3,
        };
        Fingerprint(hex[..digits].to_owned())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Until when the secret says that it opens something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state", content = "at")]
pub enum Life {
    /// It does not say.
    Unknown,
    /// It has ended: seconds since 1970.
    Ended(i64),
    /// It still lives: seconds since 1970.
    Until(i64),
}

/// Where it stands. Names are foreign text: [`shown`] before they reach a terminal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Location {
    /// The input, parts inside parts, and encodings that were undone, from outside in.
    pub chain: Vec<String>,
    /// Bytes from the start of the innermost part; of an encoded secret, where its
    /// encoding begins, or that line of it in which the secret stands.
    pub offset: u64,
    /// From one; none in what is no text.
    pub line: Option<u64>,
    /// The name beside the value, such as `root.Network.Password`.
    pub parameter: Option<String>,
}

#[derive(Debug, Clone)]
pub struct Finding {
    pub rule: Arc<Rule>,
    pub severity: Severity,
    pub secret: Secret,
    pub fingerprint: Fingerprint,
    pub life: Life,
    /// What it permits, as far as the token itself says so.
    pub permits: Option<String>,
    pub location: Location,
}

/// Foreign text that a terminal may print: control characters, what turns the
/// direction of writing, what is not seen, and bytes that were no text become `\u{…}`.
pub fn shown(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match is_obeyed(c) {
            true => shown.extend(c.escape_unicode()),
            false => shown.push(c),
        }
    }
    shown
}

/// Whether a terminal, or whoever draws text, does something else with it than to show it.
pub(crate) fn is_obeyed(c: char) -> bool {
    let is_unseen = matches!(
        c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
    );
    c.is_control() || is_unseen
}
