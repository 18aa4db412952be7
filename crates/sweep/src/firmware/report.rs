//! What an audit found. Its JSON is the report that is kept, compared and read by
//! other programs; names and texts in it are foreign, and escaped where they are shown.

use serde::{Deserialize, Serialize};

use crate::finding::Severity;

/// Of the form of the report.
pub(super) const VERSION: u32 = 1;
/// Of a report that is read again, in bytes.
pub const REPORT_BYTES_MAX: u64 = 256 << 20;

/// Whose firmware it is. If the caller says nothing of it, the image may.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Product {
    pub vendor: Option<String>,
    pub model: Option<String>,
    pub version: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    pub name: String,
    pub bytes: u64,
    /// Of the whole image, in hexadecimal digits; empty if it could not be read.
    pub sha256: String,
    /// Out of containers, in bytes.
    pub unpacked: u64,
}

/// Something to mend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issue {
    /// Names the kind of issue, the same in each version.
    pub id: String,
    pub severity: Severity,
    pub title: String,
    /// Parts inside parts, without offsets, so that versions can be compared.
    pub place: String,
    pub remedy: String,
}

/// What the credential sweep found. The secret itself is never in a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    pub rule: String,
    pub title: String,
    pub severity: Severity,
    pub fingerprint: String,
    pub redacted: String,
    pub place: String,
    pub line: Option<u64>,
    pub opens: String,
    pub remedy: String,
}

/// A line of `passwd` or `shadow`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    pub name: String,
    pub place: String,
    /// None in `shadow`, which does not say.
    pub uid: Option<u64>,
    pub shell: Option<String>,
    /// How its password is kept: `none`, `locked`, `shadow`, or the scheme of the hash.
    pub password: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    pub place: String,
    pub subject: String,
    pub issuer: String,
    /// Seconds since 1970.
    pub not_after: i64,
    pub is_authority: bool,
    pub is_self_signed: bool,
    /// Of the public key, in bits, if the kind of key is known.
    pub key_bits: Option<u32>,
    pub signature: String,
    pub sha256: String,
}

/// A program that is started, or listens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// What it is, such as `telnetd`.
    pub name: String,
    /// What starts it.
    pub place: String,
    /// Its line that does, from one. Not the line itself: passwords stand in some.
    pub line: u64,
    /// Whether it speaks in clear.
    pub is_plain: bool,
}

/// What the compiler and linker did against attacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hardening {
    /// Loaded anywhere in memory. Libraries always are.
    pub pie: bool,
    pub relro: Relro,
    /// A guard on the stack; none does not prove that functions with arrays lack one.
    pub canary: bool,
    /// No memory is both written and executed.
    pub nx: bool,
    /// Checked forms of functions such as `strcpy`.
    pub fortify: bool,
    /// No names of functions for whoever looks for holes.
    pub stripped: bool,
}

impl Hardening {
    /// The names of those that it has.
    pub fn defences(&self) -> Vec<&'static str> {
        let all = [
            (self.pie, "PIE"),
            (self.relro == Relro::Partial, "partial RELRO"),
            (self.relro == Relro::Full, "full RELRO"),
            (self.canary, "stack guard"),
            (self.nx, "NX"),
            (self.fortify, "FORTIFY"),
        ];
        all.into_iter().filter_map(|(has, name)| has.then_some(name)).collect()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Relro {
    None,
    Partial,
    Full,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binary {
    pub place: String,
    /// Such as `arm` or `mips`, with the width.
    pub machine: String,
    pub kind: BinaryKind,
    pub hardening: Hardening,
    /// Where libraries are looked for that is not the system's.
    pub run_path: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BinaryKind {
    Program,
    Library,
    /// A module of the kernel, or another object that is not linked.
    Object,
}

/// Where a component's version was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// A list of packages. A distribution may have mended it without a new version.
    Packages,
    /// Words in a program.
    Words,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Component {
    pub name: String,
    /// As in CPE names; empty if it is not known.
    pub vendor: String,
    /// As in CPE names.
    pub product: String,
    pub version: String,
    pub source: Source,
    /// Package URL, where a list of packages gives one.
    pub purl: Option<String>,
    /// Where it was seen first.
    pub place: String,
    /// In how many places it was seen.
    pub places: u32,
}

/// A known vulnerability of a component, or of the product itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Vulnerability {
    /// Such as `CVE-2022-48174`.
    pub id: String,
    /// What is vulnerable, by name and version.
    pub component: String,
    pub version: String,
    pub severity: Severity,
    /// CVSS base score, if the advisory has one.
    pub score: Option<f64>,
    /// It is used in attacks, says the imported KEV catalogue.
    pub is_exploited: bool,
    /// The version that has it mended, if the advisory says so.
    pub fixed_in: Option<String>,
    pub title: String,
    /// The file of the advisory.
    pub advisory: String,
    pub place: String,
}

/// A signature by which a device could know the image's maker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    pub kind: String,
    pub place: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    pub path: String,
    pub bytes: u64,
    pub sha256: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    pub place: String,
    pub why: String,
}

/// The whole audit.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    pub version: u32,
    pub product: Product,
    pub image: Image,
    pub issues: Vec<Issue>,
    pub credentials: Vec<Credential>,
    pub vulnerabilities: Vec<Vulnerability>,
    /// Advisories that name a component in versions that could not be compared.
    pub not_compared: Vec<String>,
    pub accounts: Vec<Account>,
    pub services: Vec<Service>,
    pub certificates: Vec<Certificate>,
    pub binaries: Vec<Binary>,
    pub components: Vec<Component>,
    pub signatures: Vec<Signature>,
    pub files: Vec<FileEntry>,
    pub skipped: Vec<Skipped>,
}

#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    #[error("it is no report of an audit")]
    Json(#[from] serde_json::Error),
    #[error("its form is {0}; this program reads {VERSION}")]
    Version(u32),
}

impl Report {
    /// Reads a report that [`Report::json`] wrote.
    ///
    /// # Errors
    /// If it is none, or of another form.
    pub fn read(json: &[u8]) -> Result<Report, ReportError> {
        let report: Report = serde_json::from_slice(json)?;
        match report.version {
            VERSION => Ok(report),
            other => Err(ReportError::Version(other)),
        }
    }

    /// The worst of all that was found.
    pub fn worst(&self) -> Option<Severity> {
        let issues = self.issues.iter().map(|issue| issue.severity);
        let credentials = self.credentials.iter().map(|credential| credential.severity);
        let vulnerabilities = self.vulnerabilities.iter().map(|vulnerability| vulnerability.severity);
        issues.chain(credentials).chain(vulnerabilities).max()
    }

    pub fn json(&self) -> String {
        crate::report::pretty(self)
    }
}
