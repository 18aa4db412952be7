//! A camera that is not there: RTSP and RTSPS with Basic and Digest, a moving
//! picture with clock and number burned in, a tone, ONVIF discovery, profiles and
//! events, and faults on request. The demo of `lenskeep up` is one, and so are the cameras of the
//! tests; hundreds fit in one process when they play a [`Prepared`] loop.
//!
//! Refuses nothing that real cameras do wrong, but bounds what a client may
//! send. It is no server for real pictures.

mod auth;
mod encode;
mod fault;
mod feed;
mod font;
mod head;
mod identity;
mod message;
mod onvif;
mod picture;
mod playing;
mod rtp;
mod running;
mod sdp;
mod session;

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::bail;
use model::Secret;

pub use fault::Fault;
pub use feed::Prepared;
pub use head::Position;
pub use identity::Identity;
pub use onvif::discovery::Discovery;
pub use onvif::{OnvifAuth, OnvifOptions, PtzFault};
pub use running::{Played, Running, start};

/// Each field has a default: a camera on a free port of 127.0.0.1 whom everybody
/// may watch.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where RTSP is spoken. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where RTSPS is spoken, and as whom.
    pub rtsps: Option<(SocketAddr, Identity)>,
    /// Where ONVIF's device and event service are offered, if they are.
    pub onvif: Option<SocketAddr>,
    pub onvif_options: OnvifOptions,
    /// `None` lets everybody watch.
    pub credentials: Option<Credentials>,
    pub auth: Auth,
    /// Stands in the picture; digits, capitals and `-:.#` are readable.
    pub name: String,
    pub main: Pictures,
    pub sub: Option<Pictures>,
    /// A tone in G.711 µ-law beside both renditions.
    pub audio: bool,
    /// The SDP names its streams by whole URLs, as some cameras do.
    pub absolute_control: bool,
    pub fault: Option<Fault>,
    /// Pictures that a client gets before a fault of the stream begins.
    pub fault_after: u64,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            rtsps: None,
            onvif: None,
            onvif_options: OnvifOptions::default(),
            credentials: None,
            auth: Auth::Digest,
            name: "LENSKEEP DEMO".into(),
            main: Pictures::Live(Shape::MAIN),
            sub: Some(Pictures::Live(Shape::SUB)),
            audio: false,
            absolute_control: false,
            fault: None,
            fault_after: 0,
        }
    }
}

#[derive(Clone, Debug)]
pub struct Credentials {
    pub username: String,
    pub password: Secret,
}

/// What the camera offers to a client that brings no credentials.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Auth {
    #[default]
    Digest,
    Basic,
    Both,
}

/// Where a rendition's pictures come from.
#[derive(Clone, Debug)]
pub enum Pictures {
    /// Drawn and encoded once for all clients, while there are any.
    Live(Shape),
    /// Played to each client from its beginning, over and over.
    Prepared(Prepared),
}

/// Size and pace of generated pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    pub width: usize,
    pub height: usize,
    pub frames_per_second: u32,
}

impl Shape {
    pub const MAIN: Shape = Shape { width: 1_280, height: 720, frames_per_second: 15 };
    pub const SUB: Shape = Shape { width: 640, height: 360, frames_per_second: 10 };
    pub const FRAMES_PER_SECOND_MAX: u32 = 60;

    fn check(&self) -> anyhow::Result<()> {
        let good = |side: usize| (16..=4_096).contains(&side) && side.is_multiple_of(2);
        if !good(self.width) || !good(self.height) {
            bail!("pictures have even sides of 16 to 4096, not {} by {}", self.width, self.height);
        }
        if !(1..=Self::FRAMES_PER_SECOND_MAX).contains(&self.frames_per_second) {
            bail!("a camera makes 1 to {} pictures a second", Self::FRAMES_PER_SECOND_MAX);
        }
        Ok(())
    }
}
