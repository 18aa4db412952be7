//! What leaked into a site's cameras, as its gateway found it (section 3.1): where
//! secrets lie open and what to do, and never a secret.

use model::{CameraId, Timestamp};
use serde::{Deserialize, Serialize};

/// One page of it, and what goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Findings {
    /// In the order of their ids.
    pub cameras: Vec<SweptCamera>,
    /// The last of them, after which the next page begins; `None` on the last page.
    pub next: Option<CameraId>,
    pub running: Option<RunningSweep>,
    /// Cameras whose turn is after that.
    pub waiting: u32,
    /// Another one with each change in what is read or found, also over a restart.
    pub version: u64,
}

impl Findings {
    /// Of one page, with its cameras: more would not fit into an envelope.
    pub const PAGE_MAX: usize = 96;
}

/// The camera that is being read now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunningSweep {
    pub camera: CameraId,
    /// In bytes.
    pub read: u64,
    pub found: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SweptCamera {
    pub camera: CameraId,
    /// When it was read last; what is said of it is as it was then.
    pub swept_at: Option<Timestamp>,
    /// Then, in bytes.
    pub read: u64,
    /// Why the last try failed, or what of it could not be read.
    pub error: Option<String>,
    /// The gravest first.
    pub findings: Vec<Leak>,
    /// There were so many more.
    pub left_out: u32,
}

impl SweptCamera {
    /// Of one camera.
    pub const FINDINGS_MAX: usize = 64;
}

/// One secret at one place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Leak {
    /// Names the secret: 32 hex digits of what a machine made, 3 of what a person
    /// chose, which is too few to guess it by.
    pub fingerprint: String,
    /// The rule that found it.
    pub rule: String,
    /// What it is, in English, as `opens` and `remedy`.
    pub title: String,
    /// What somebody gets who has it.
    pub opens: String,
    pub remedy: String,
    pub severity: LeakSeverity,
    /// Which of the camera's documents, and parts of it, from outside in.
    pub place: String,
    /// The name beside the value.
    pub parameter: Option<String>,
    pub line: Option<u64>,
    /// Four characters of it at most.
    pub redacted: String,
    /// Until when it opens something, as far as it says so itself.
    pub ends_at: Option<Timestamp>,
    /// When this gateway found it first.
    pub first_at: Timestamp,
}

impl Leak {
    /// Of each text, in bytes.
    pub const TEXT_MAX: usize = 256;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LeakSeverity {
    Info,
    Low,
    Medium,
    High,
    Critical,
}
