//! The nouns that two programs name: ids, times, streams, and the messages
//! between gateway and cloud (`docs/protocol.md`). Pure: no IO, no clock, no
//! randomness; whoever makes an id brings the random bytes.

mod bytes;
mod camera;
pub mod config;
mod event;
mod forwarding;
mod id;
pub mod messages;
mod quiet;
mod range;
mod slots;
mod time;
pub mod timeline;
pub mod wire;

pub use bytes::{Base64, Hash};
pub use camera::{CameraAccess, CameraUrl, CameraUrlError, OnvifUrl, Secret};
pub use event::{CameraEvent, EventKind, EventPhase, EventSource, turns_text};
pub use forwarding::{Bandwidth, BandwidthError, Forward, Forwarding, KILOBITS_MIN, SPANS_MAX, Span};
pub use id::{
    BookmarkId, CameraId, DeviceId, EpochId, EventId, GatewayId, IdError, OrgId, PersonId, RequestId,
    ServiceId, ShareId, WallId,
};
pub use quiet::Quiet;
pub use range::{AskedRange, ByteRange};
pub use slots::{Slot, Slots};
pub use time::Timestamp;

use serde::{Deserialize, Serialize};

/// Which of a camera's streams: `main` is the full picture, `sub` the small
/// one for walls, previews and phones; `events` is what the camera says that it saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rendition {
    Main,
    Sub,
    Events,
}

impl Rendition {
    pub const ALL: [Rendition; 3] = [Rendition::Main, Rendition::Sub, Rendition::Events];

    pub fn as_str(self) -> &'static str {
        match self {
            Rendition::Main => "main",
            Rendition::Sub => "sub",
            Rendition::Events => "events",
        }
    }
}

impl std::fmt::Display for Rendition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Rendition {
    type Err = RenditionError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        match s {
            "main" => Ok(Rendition::Main),
            "sub" => Ok(Rendition::Sub),
            "events" => Ok(Rendition::Events),
            _ => Err(RenditionError),
        }
    }
}

#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("a rendition is `main`, `sub` or `events`")]
pub struct RenditionError;
