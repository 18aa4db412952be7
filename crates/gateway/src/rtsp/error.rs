//! Why a stream could not be had, in words for the person who set the camera
//! up. Text that came from a camera is cut, cleaned of control characters, and
//! freed of our own credentials, which a camera could send back to us.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::wire::GapReason;
use model::{CameraAccess, Hash};

use super::scan::ScanError;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    #[error("the camera has no sub stream configured")]
    NoSubStream,
    #[error("events are not pulled by RTSP")]
    NoPicture,
    #[error("cannot connect to {address}: {reason}")]
    Connect { address: String, reason: String },
    #[error("{address} did not answer within {seconds} s")]
    ConnectTimeout { address: String, seconds: u64 },
    #[error("RTSPS needs a pinned certificate; probe the camera and confirm its fingerprint first")]
    NoPin,
    #[error("a certificate is pinned for this camera, but the URL is rtsp:// without TLS")]
    PinWithoutTls,
    #[error("UDP does not go with RTSPS: pictures would leave the encrypted connection")]
    UdpWithTls,
    #[error(
        "the camera's certificate is {found}, but {pinned} is pinned: it was replaced, or somebody is in between"
    )]
    WrongCertificate { found: Hash, pinned: Hash },
    #[error("TLS with the camera failed: {reason}")]
    Tls { reason: String },
    #[error("the camera refuses user name or password, or wants some")]
    Unauthorized,
    #[error("the camera has no stream at this path (RTSP status {status})")]
    NotFound { status: u16 },
    #[error("the camera answered with RTSP status {status}: {reason}")]
    Refused { status: u16, reason: String },
    #[error("no answer to {step} within {seconds} s")]
    AnswerTimeout { step: &'static str, seconds: u64 },
    #[error("the camera offers no H.264 or H.265 video: {offered}")]
    NoVideo { offered: String },
    #[error("no packet within {seconds} s after PLAY")]
    NoPacket { seconds: u64 },
    #[error("no key frame within {seconds} s after PLAY")]
    NoKeyFrame { seconds: u64 },
    #[error("no picture for {seconds} s")]
    Stalled { seconds: u64 },
    #[error("more than {bytes_per_second} bytes per second: the stream was cut off")]
    Flood { bytes_per_second: u64 },
    #[error("an access unit of more than {bytes} bytes: the stream was cut off")]
    AccessUnitTooLong { bytes: usize },
    #[error("what the camera sends is not RTSP: {0}")]
    Message(#[from] ScanError),
    #[error("the stream cannot be understood: {reason}")]
    BadStream { reason: String },
    #[error("the camera closed the connection")]
    Closed,
    #[error("on our own side: {reason}")]
    Local { reason: String },
}

impl SourceError {
    /// As a gap in the timeline gives it.
    pub fn gap_reason(&self) -> GapReason {
        match self {
            Self::Connect { .. }
            | Self::ConnectTimeout { .. }
            | Self::AnswerTimeout { .. }
            | Self::Closed
            | Self::Local { .. } => GapReason::CameraUnreachable,
            Self::NoSubStream
            | Self::NoPicture
            | Self::NoPin
            | Self::PinWithoutTls
            | Self::UdpWithTls
            | Self::WrongCertificate { .. }
            | Self::Tls { .. }
            | Self::Unauthorized
            | Self::NotFound { .. }
            | Self::Refused { .. } => GapReason::CameraRefused,
            Self::NoPacket { .. } | Self::Stalled { .. } => GapReason::Stalled,
            Self::NoVideo { .. }
            | Self::NoKeyFrame { .. }
            | Self::Flood { .. }
            | Self::AccessUnitTooLong { .. }
            | Self::Message(_)
            | Self::BadStream { .. } => GapReason::BadStream,
        }
    }

    /// What retina says, sorted by what the person can do about it.
    pub(super) fn from_retina(error: &retina::Error, words: &Scrubber) -> Self {
        let reason = words.scrub(&error.to_string());
        match error.status_code() {
            Some(401 | 403) => Self::Unauthorized,
            Some(status @ (404 | 454)) => Self::NotFound { status },
            // Success with an answer that does not parse.
            None | Some(200) => Self::BadStream { reason },
            Some(status) => Self::Refused { status, reason },
        }
    }
}

/// Takes a camera's credentials out of text.
#[derive(Debug)]
pub(super) struct Scrubber(Vec<model::Secret>);

impl Scrubber {
    const LENGTH_MAX: usize = 200;

    pub(super) fn new(access: &CameraAccess) -> Self {
        let mut words = Vec::new();
        if let Some(password) = access.password.as_ref().filter(|p| !p.expose().is_empty()) {
            let user = access.username.as_deref().unwrap_or_default();
            let basic = STANDARD.encode(format!("{user}:{}", password.expose()));
            words = vec![model::Secret::new(basic), password.clone()];
        }
        Scrubber(words)
    }

    /// The first line: retina puts addresses and byte positions on further ones.
    pub(super) fn scrub(&self, text: &str) -> String {
        let mut line: String = text.lines().next().unwrap_or_default().into();
        for word in &self.0 {
            line = line.replace(word.expose(), "…");
        }
        line.chars().filter(|c| !c.is_control()).take(Self::LENGTH_MAX).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{CameraUrl, Secret};

    #[test]
    fn credentials_and_control_characters_leave_the_text() {
        let access = CameraAccess {
            url: CameraUrl::parse("rtsp://cam.example/").unwrap(),
            sub_url: None,
            username: Some("admin".into()),
            password: Some(Secret::new("hunter2")),
            certificate: None,
            onvif_url: None,
        };
        let words = Scrubber::new(&access);
        let text = "401 \u{1b}[31mbad Basic YWRtaW46aHVudGVyMg== for hunter2\nconn: x";
        assert_eq!(words.scrub(text), "401 [31mbad Basic … for …");
        assert!(words.scrub(&"x".repeat(1_000)).len() <= Scrubber::LENGTH_MAX);
    }
}
