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
    /// The camera gives no picture. Of this and what follows the gateway tells.
    CameraDown,
    /// The camera is there, and nothing of it is kept.
    NotRecorded,
    /// The picture does not change at all.
    Frozen,
    /// The gateway's disk is slow, full, or takes nothing.
    Disk,
    /// The gateway's clock is far from the cloud's.
    Clock,
}

impl EventKind {
    /// What cameras tell.
    pub const SEEN: [EventKind; 13] = [
        EventKind::Motion,
        EventKind::Person,
        EventKind::Vehicle,
        EventKind::Animal,
        EventKind::Package,
        EventKind::Face,
        EventKind::Line,
        EventKind::Zone,
        EventKind::Tampering,
        EventKind::Sound,
        EventKind::Input,
        EventKind::Doorbell,
        EventKind::Other,
    ];

    pub const TROUBLE: [EventKind; 5] =
        [EventKind::CameraDown, EventKind::NotRecorded, EventKind::Frozen, EventKind::Disk, EventKind::Clock];

    /// Something does not work, and the gateway says so; a camera cannot.
    pub fn is_trouble(self) -> bool {
        EventKind::TROUBLE.contains(&self)
    }
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventSource {
    /// ONVIF's event service of the camera.
    Onvif,
    /// The camera's own event stream, as those of Axis have it.
    Vapix,
    /// Frigate, which watches the camera's pictures on site.
    Frigate,
    /// The gateway itself, of trouble.
    Gateway,
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

    /// What of a stranger's text may be kept and shown, cut to so many bytes.
    pub fn text(told: &str, bytes: usize) -> String {
        let text: String = told.chars().filter(|c| !c.is_control() && !turns_text(*c)).collect();
        let text = text.trim();
        text[..text.floor_char_boundary(bytes)].trim_end().to_owned()
    }
}

/// Controls of bidirectional text (Unicode Annex 9), by which a text could turn
/// round what stands beside it.
pub fn turns_text(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
