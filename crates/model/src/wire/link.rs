//! What goes over the link, the one WebSocket between a gateway and the cloud,
//! and over a viewer's (`docs/protocol.md` sections 2 and 3). Who may say what is
//! in [`crate::messages`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Envelope, Recording};
use crate::timeline::TimelinePart;
use crate::{Bandwidth, CameraId, Forwarding, Hash, Quiet, Rendition, Timestamp};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StreamState {
    Connecting,
    Recording,
    Failed,
}

/// STATUS of protocol.md: one stream of one camera, now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamStatus {
    pub camera: CameraId,
    pub rendition: Rendition,
    pub state: StreamState,
    pub since: Timestamp,
    pub reason: Option<String>,
    pub bits_per_second: u64,
    pub codec: Option<String>,
    pub width: u32,
    pub height: u32,
    pub has_audio: bool,
}

/// SETTINGS of protocol.md: how a site is set, for people who are about to set it
/// otherwise. Addresses and passwords of cameras are not among it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SiteSettings {
    /// Of the site's configuration.
    pub state: Hash,
    pub bytes_max: u64,
    pub age_days_max: u32,
    /// Left out where no difference is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiet: Option<Quiet>,
    pub bandwidth: Bandwidth,
    pub forwarding: BTreeMap<CameraId, Forwarding>,
}

/// Longest event that one message tells of; it can be told again.
pub const EVENT_SECONDS_MAX: u32 = 600;

/// Text frames of the link, cloud to gateway.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum ToGateway {
    Watch {
        stream: u32,
        camera: CameraId,
        rendition: Rendition,
    },
    Unwatch {
        stream: u32,
    },
    Command {
        id: u64,
        envelope: Envelope,
    },
    RosterChanged,
    /// Somebody wants to be told of other things than before.
    NoticesChanged,
    /// Somebody locks other recordings than before.
    LocksChanged,
    /// Something happens at a camera, and for so long.
    Event {
        camera: CameraId,
        seconds: u32,
    },
    /// Which recordings of this time are on the gateway alone.
    List {
        ask: u32,
        camera: CameraId,
        rendition: Rendition,
        from: Timestamp,
        to: Timestamp,
    },
    /// How much of what is on the gateway alone was recorded when: a timeline
    /// (`crate::timeline`) of so many parts.
    Timeline {
        ask: u32,
        camera: CameraId,
        rendition: Rendition,
        from: Timestamp,
        to: Timestamp,
        parts: u32,
    },
    /// Whether one recording of this camera is there.
    Find {
        ask: u32,
        camera: CameraId,
        recording: Hash,
    },
    /// Bytes of it; both ends belong to the piece.
    Read {
        ask: u32,
        camera: CameraId,
        recording: Hash,
        first: u64,
        last: u64,
    },
    /// Whether a camera can be moved, for a session in which it is.
    PtzOpen {
        ask: u32,
        camera: CameraId,
        challenge: Hash,
    },
    /// What a device orders in it.
    PtzOrder {
        ask: u32,
        camera: CameraId,
        envelope: Envelope,
    },
}

/// Text frames of the link, gateway to cloud.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum FromGateway {
    Status {
        state: Hash,
        version: String,
        cameras: Vec<StreamStatus>,
    },
    WatchFailed {
        stream: u32,
        reason: String,
    },
    CommandResult {
        id: u64,
        envelope: Envelope,
    },
    Settings {
        settings: SiteSettings,
    },
    /// To `List` in order of time, to `Find` one or none. `more`: the list was cut
    /// off at [`LISTED_MAX`].
    Recordings {
        ask: u32,
        recordings: Vec<Recording>,
        more: bool,
    },
    /// To `Timeline`: parts in which there is something, in order.
    Timeline {
        ask: u32,
        parts: Vec<TimelinePart>,
    },
    /// To `PtzOpen`, signed by the gateway.
    PtzSession {
        ask: u32,
        envelope: Envelope,
    },
    /// To `PtzOrder`.
    PtzDone {
        ask: u32,
        refused: Option<PtzRefusal>,
    },
    /// What was asked cannot be answered.
    AskFailed {
        ask: u32,
        reason: String,
    },
}

/// Why an order of PTZ was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum PtzRefusal {
    /// It is of no session that is open, as after a restart.
    NoSession,
    /// It came too late, or again.
    Late,
    /// Somebody else steers.
    Taken,
    /// It is not signed by a device whose person may do this.
    NotAllowed,
    /// The camera did not do it, and why.
    Camera { reason: String },
}

/// Text frames of a live stream, to its viewer. Viewers say nothing.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum ToViewer {
    Waiting,
    Ended { reason: String },
    Skipped { chunks: u64 },
}

/// Binary frames, by their first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameKind {
    Header,
    Chunk,
    Piece,
}

impl FrameKind {
    pub fn of(byte: u8) -> Option<Self> {
        match byte {
            FRAME_HEADER => Some(FrameKind::Header),
            FRAME_CHUNK => Some(FrameKind::Chunk),
            FRAME_PIECE => Some(FrameKind::Piece),
            _ => None,
        }
    }
}

/// First byte of a binary frame: the signed header of a recording follows.
pub const FRAME_HEADER: u8 = 1;
/// First byte of a binary frame: a chunk follows.
pub const FRAME_CHUNK: u8 = 2;
/// First byte of a binary frame: the number of what was asked and the bytes of
/// a recording follow.
pub const FRAME_PIECE: u8 = 3;
