//! Events (section 5.5): what a chunk of an event track holds. Who can watch a
//! camera can read them, and the cloud cannot.

use model::{CameraEvent, EventId, EventKind, EventPhase, EventSource, Timestamp};
use serde::{Deserialize, Serialize};

use crate::CanonicalError;
use crate::recording::{Track, TrackKind};

/// Events in one [`Batch`].
pub const EVENTS_MAX: usize = 64;
/// Of an event track in a recording's header.
pub const CODEC: &str = "events.v1";
/// Ticks of an event track in a second.
pub const TIMESCALE: u32 = 1_000;

#[derive(Debug, thiserror::Error)]
pub enum EventError {
    #[error("events: {0}")]
    Payload(#[from] CanonicalError),
    #[error("events: {0}")]
    Rule(&'static str),
}

/// What a camera said at about the same time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Batch {
    pub events: Vec<Event>,
    /// Events before these that were not kept, since the camera told too many.
    pub left_out: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// The same at its beginning and at its end.
    pub id: EventId,
    /// By the gateway's clock; those of cameras are wrong.
    pub at: Timestamp,
    pub phase: EventPhase,
    pub kind: EventKind,
    /// At most [`CameraEvent::RULE_MAX`] bytes.
    pub rule: Option<String>,
    pub source: EventSource,
    /// At most [`CameraEvent::TOPIC_MAX`] bytes.
    pub topic: String,
}

impl Batch {
    /// The plaintext of a chunk.
    pub fn encode(&self) -> Vec<u8> {
        crate::to_canonical(self)
    }

    /// Reads what [`crate::recording::ChunkOpener`] opened. The gateway sealed it,
    /// and a camera chose the words.
    pub fn read(plaintext: &[u8]) -> Result<Self, EventError> {
        let batch: Batch = crate::from_canonical(plaintext)?;
        let rule = |holds: bool, text| if holds { Ok(()) } else { Err(EventError::Rule(text)) };
        rule(batch.events.len() <= EVENTS_MAX, "at most 64 in a chunk")?;
        for event in &batch.events {
            rule(event.at.0 < 1 << 53, "a time is below 2^53")?;
            let rule_length = event.rule.as_ref().map_or(0, String::len);
            rule(rule_length <= CameraEvent::RULE_MAX, "a rule has at most 64 bytes")?;
            rule(event.topic.len() <= CameraEvent::TOPIC_MAX, "a topic has at most 128 bytes")?;
        }
        Ok(batch)
    }
}

/// The one track of a recording of events.
pub fn track() -> Track {
    Track {
        id: 0,
        kind: TrackKind::Events,
        codec: CODEC.to_owned(),
        timescale: TIMESCALE,
        description: None,
        width: 0,
        height: 0,
        sample_rate: 0,
        channels: 0,
    }
}
