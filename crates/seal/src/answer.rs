//! What a gateway finds out about cameras for the device that asks (section
//! 3.1): sealed to that device, so that whoever carries it learns no address of
//! the site's network, and inside the gateway's signature, so that nobody can
//! put other addresses in its place.

use model::{Base64, CameraId, CameraUrl, DeviceId, GatewayId, Hash, OnvifUrl, OrgId, Secret};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::command::{CommandError, EventsReport, SiteCommand, StreamReport};
use crate::findings::Findings;
use crate::keys::{KemPublic, KemSecret};
use crate::sealed::{self, OpenError, SealSeed, Sealed};
use crate::to_canonical;

const QUESTION_INFO: &str = "lenskeep camera question v1";
const ANSWER_INFO: &str = "lenskeep command answer v1";

/// Of a question: where a camera is asked what it offers, and as whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CameraQuestion {
    pub onvif_url: OnvifUrl,
    pub username: Option<String>,
    pub password: Option<Secret>,
    /// Without it a camera that speaks TLS is asked for its certificate alone.
    pub certificate: Option<Hash>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Answer {
    Found(Found),
    Offer(Offer),
    Look(Look),
    Findings(Findings),
    Refused(Refused),
}

/// What answered when the site's networks were asked for cameras.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Found {
    pub cameras: Vec<FoundCamera>,
    /// In how many networks, or at how many addresses, was asked.
    pub asked: u32,
    /// Answers that named somebody else's address, or were none.
    pub left_out: u32,
    /// More answered than are listed.
    pub more: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FoundCamera {
    /// Whence it answered.
    pub address: String,
    /// Of its device service, all at that address.
    pub onvif_urls: Vec<OnvifUrl>,
    /// In the camera's own words.
    pub name: Option<String>,
    pub hardware: Option<String>,
    pub location: Option<String>,
    /// That which the gateway records from there already.
    pub camera: Option<CameraId>,
}

/// What a camera says of itself and of its streams.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offer {
    pub manufacturer: Option<String>,
    pub model: Option<String>,
    pub firmware: Option<String>,
    /// By how many seconds its clock differs from the gateway's; `None` if it
    /// does not tell its time.
    pub clock_off_seconds: Option<u64>,
    /// Of `https`: shown, and nothing else was said to it.
    pub certificate: Option<Hash>,
    /// The largest picture first.
    pub profiles: Vec<Profile>,
}

/// One way in which a camera sends its picture, as it is set there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    pub name: String,
    /// At the camera's own host, whatever it named.
    pub url: CameraUrl,
    /// As ONVIF calls it, such as `H264`.
    pub codec: String,
    pub width: u32,
    pub height: u32,
    pub frames_per_second: Option<u32>,
    pub kilobits_max: Option<u32>,
    /// Pictures from one key frame to the next.
    pub key_frame_every: Option<u32>,
    pub has_audio: bool,
}

/// The connection test, and what was seen in the seconds after it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Look {
    /// `None` while the certificate is not pinned, as in a report.
    pub main: Option<SeenStream>,
    pub sub: Option<SeenStream>,
    pub certificate: Option<Hash>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<EventsReport>,
    pub picture: Option<Picture>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeenStream {
    pub stream: StreamReport,
    pub bits_per_second: u64,
    pub frames_per_second: u32,
    /// `None`: no second one came while it was looked at.
    pub key_frame_every_ms: Option<u64>,
    /// How long it was looked at.
    pub for_ms: u64,
}

/// One key frame as the camera sent it, with what opens its codec.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Picture {
    pub codec: String,
    pub description: Option<Base64>,
    pub width: u32,
    pub height: u32,
    pub data: Base64,
}

impl Picture {
    /// A larger key frame is not sent: in base64 twice it would not fit into an
    /// envelope. Those of small streams have a fifth of that.
    pub const BYTES_MAX: usize = 128 << 10;
}

/// Why a camera could not be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refused {
    pub cause: Cause,
    pub error: String,
}

/// What a person can do something about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Nobody answers there.
    Unreachable,
    /// User name or password is wrong.
    Password,
    /// They are right, and their account may not do this.
    Right,
    /// The account is locked after too many wrong passwords.
    Locked,
    /// The certificate is not the pinned one, or TLS failed.
    Certificate,
    /// What answers speaks no ONVIF.
    NoOnvif,
    /// No stream can be had by RTSP.
    NoRtsp,
    /// The video is neither H.264 nor H.265.
    Codec,
    Other,
}

/// Seals a question to the gateway's key.
pub fn seal_question(
    question: &CameraQuestion,
    to: &KemPublic,
    (org, gateway): (OrgId, GatewayId),
    nonce: &str,
    seed: SealSeed,
) -> Sealed {
    let plaintext = Zeroizing::new(to_canonical(question));
    let associated = format!("{org}|{gateway}|{nonce}");
    sealed::seal(to, QUESTION_INFO, associated.as_bytes(), &plaintext, seed)
}

pub fn open_question(
    command: &SiteCommand,
    sealed: &Sealed,
    key: &KemSecret,
) -> Result<CameraQuestion, CommandError> {
    let SiteCommand { org, target, nonce, .. } = command;
    let associated = format!("{org}|{target}|{nonce}");
    let bytes =
        sealed::open(key, QUESTION_INFO, associated.as_bytes(), sealed).map_err(|_| CommandError::Sealed)?;
    // The parser's own words could quote a password.
    crate::from_canonical(&bytes).map_err(|_| CommandError::Sealed)
}

/// Who asked, which answer it is, and whose.
#[derive(Clone, Copy, Debug)]
pub struct Addressed<'a> {
    pub org: OrgId,
    pub gateway: GatewayId,
    pub device: DeviceId,
    pub nonce: &'a str,
}

impl Addressed<'_> {
    fn associated(&self) -> String {
        let Addressed { org, gateway, device, nonce } = self;
        format!("{org}|{gateway}|{device}|{nonce}")
    }
}

/// Seals an answer to the device that asked.
pub fn seal_answer(answer: &Answer, to: &KemPublic, addressed: Addressed<'_>, seed: SealSeed) -> Sealed {
    let plaintext = to_canonical(answer);
    sealed::seal(to, ANSWER_INFO, addressed.associated().as_bytes(), &plaintext, seed)
}

pub fn open_answer(
    sealed: &Sealed,
    key: &KemSecret,
    addressed: Addressed<'_>,
) -> Result<Answer, CommandError> {
    let opened = sealed::open(key, ANSWER_INFO, addressed.associated().as_bytes(), sealed);
    let bytes = opened.map_err(|OpenError| CommandError::Answer)?;
    Ok(crate::from_canonical(&bytes)?)
}
