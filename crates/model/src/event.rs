//! What cameras say that they saw, in one vocabulary for all makes
//! (format.md section 5.5).

use serde::{Deserialize, Serialize};

/// What happened. Makes name hundreds of rules; people filter by these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// Something moves; what it is was not told.
    Motion,
    Person,
    Vehicle,
    Animal,
    Package,
    Face,
    /// A line was crossed.
    Line,
    /// Something is in a zone, came in, left it or loiters there.
    Zone,
    /// The picture was covered, moved, blurred or blinded.
    Tampering,
    /// A loud or particular sound.
    Sound,
    /// A contact at the camera's input.
    Input,
    /// Somebody rang.
    Doorbell,
    /// The topic says what; it is in no list of ours.
    Other,
}

/// Where in an event's life it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventPhase {
    Began,
    Ended,
    /// It has no length: a line crossed, a bell rung.
    Happened,
}

/// Who told it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventSource {
    /// ONVIF's event service of the camera.
    Onvif,
}

/// One thing that a camera said, before it has a time and an id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CameraEvent {
    pub kind: EventKind,
    pub phase: EventPhase,
    /// The rule, zone or input that it is about, as the camera calls it.
    pub rule: Option<String>,
    /// The camera's own name for it, without namespaces.
    pub topic: String,
}

impl CameraEvent {
    /// Of `rule`, in bytes; longer ones are cut.
    pub const RULE_MAX: usize = 64;
    /// Of `topic`, in bytes; longer ones are cut.
    pub const TOPIC_MAX: usize = 128;
}
