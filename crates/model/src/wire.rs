//! Messages between gateway and cloud (`docs/protocol.md` sections 1 and 2).
//! Envelopes travel as the JSON that `seal` reads; here they are opaque, so
//! that this crate names no cryptography.

mod link;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Base64, CameraId, DeviceId, EpochId, GatewayId, Hash, Rendition, Timestamp};

pub use link::*;

/// Most objects in one request for upload grants.
pub const UPLOAD_OBJECTS_MAX: usize = 256;
/// Most statements in one answer of the roster.
pub const ROSTER_PAGE_MAX: usize = 1_000;
/// Largest JSON body of a gateway call, bytes.
pub const BODY_MAX: usize = 8 << 20;
/// Largest binary frame on the link: one sealed chunk and its head.
pub const LINK_FRAME_MAX: usize = (8 << 20) + 64;
/// Most recordings in one answer on the link: about as many bytes as two pieces.
pub const LISTED_MAX: usize = 200;
/// Largest piece of a recording that is asked for over the link, bytes. A live
/// picture waits for the one piece that has begun, so it is small.
pub const PIECE_MAX: u64 = 64 << 10;
/// Header with which a gateway opens its link if it answers what is asked of
/// its disk. One of a version before would end the link at such a message.
pub const ANSWERS_HEADER: &str = "x-lenskeep-answers";
/// The header's value of one that lists and reads recordings.
pub const ANSWERS_RECORDINGS: &str = "recordings";
/// And, in a header of its own, of one that adds them up to timelines, too.
pub const ANSWERS_TIMELINES: &str = "timelines";
/// And of one that tells people's devices what happens.
pub const ANSWERS_NOTICES: &str = "notices";
/// And of one that moves cameras.
pub const ANSWERS_PTZ: &str = "ptz";
/// And of one that locks recordings against retention.
pub const ANSWERS_LOCKS: &str = "locks";
/// Most orders to lock in one answer, and most results in one request.
pub const LOCKS_MAX: usize = 64;
/// Most notices in one request, and most orders in one answer.
pub const NOTICES_MAX: usize = 64;
/// No recording is as long: gateways close them after a minute or so, and 64 MiB
/// of the thinnest stream end here, too. Whoever looks for what reaches into a
/// stretch of time looks no further than this beyond it.
pub const RECORDING_MS_MAX: u64 = 10 * Timestamp::MINUTE;

/// A signed envelope (format.md section 1.2) as it travels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Envelope {
    pub payload_type: String,
    pub payload: crate::Base64,
    pub signatures: Vec<Signature>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    /// A device's or gateway's id.
    pub keyid: String,
    pub sig: crate::Base64,
}

/// GATEWAY of format.md section 2.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatewayKeys {
    pub id: GatewayId,
    pub name: String,
    pub kem: crate::Base64,
    pub sign: crate::Base64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnrolRequest {
    pub lookup: Hash,
    pub gateway: GatewayKeys,
    pub mac: Hash,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case", deny_unknown_fields)]
pub enum EnrolAnswer {
    Waiting,
    Accepted { roster: Vec<Envelope>, mac: Hash },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChallengeRequest {
    pub gateway: GatewayId,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChallengeAnswer {
    pub challenge: Hash,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificateRequest {
    pub envelope: Envelope,
}

/// Certificates in PEM.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificateAnswer {
    pub certificate: String,
    pub ca: String,
    pub expires_at: Timestamp,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RosterAnswer {
    pub statements: Vec<Envelope>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpochGrants {
    pub grants: Vec<Envelope>,
}

/// What people's devices want to be told (format.md section 9), by device.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoticeOrders {
    /// At most [`NOTICES_MAX`].
    pub orders: Vec<Envelope>,
    /// With it as `after`, the next page; none after the last.
    pub more_after: Option<DeviceId>,
}

/// Bookmarks that lock recordings of a gateway, or did (format.md section 12).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockOrders {
    /// At most [`LOCKS_MAX`], as they were changed.
    pub orders: Vec<LockOrder>,
    /// There are others after these.
    pub more: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockOrder {
    /// Greater than that of every order that was changed before.
    pub change: u64,
    pub envelope: Envelope,
}

/// What the gateway says of them, signed: at most [`LOCKS_MAX`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockResults {
    pub results: Vec<Envelope>,
}

/// At most [`NOTICES_MAX`], each for one device.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Notices {
    pub notices: Vec<SealedNotice>,
}

/// A notice that the device alone can open (format.md section 9).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealedNotice {
    pub device: DeviceId,
    pub camera: CameraId,
    pub notice: Base64,
}

/// A still picture that goes with notices (format.md section 9.1): whom they tell
/// finds it by the id, and opens it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealedStill {
    pub id: Hash,
    pub camera: CameraId,
    pub still: Base64,
}

/// A part of the local way's journal (format.md section 8), signed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JournalPart {
    pub envelope: Envelope,
}

/// The head of the history's log, for a gateway that witnesses it (format.md
/// section 7).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogOffer {
    /// The log's key, as `name+hash+base64`.
    pub key: String,
    /// The checkpoint as a signed note; empty while there is none.
    pub note: String,
    /// That the tree of the size asked for is its beginning; empty if that is
    /// 0, the same, or larger.
    pub proof: Vec<Hash>,
}

/// What a witness found.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum WitnessReport {
    /// The note with the witness's signature.
    Cosigned { note: String },
    /// What is shown now does not go on from what this witness signed.
    Conflict { conflict: LogConflict },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogConflict {
    /// The log is signed with another key.
    Key,
    /// Fewer entries than there were.
    CutOff,
    /// Other entries than there were.
    Rewritten,
}

impl LogConflict {
    pub fn as_str(self) -> &'static str {
        match self {
            LogConflict::Key => "key",
            LogConflict::CutOff => "cut_off",
            LogConflict::Rewritten => "rewritten",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Container {
    Footage,
    Grants,
}

impl Container {
    pub fn as_str(self) -> &'static str {
        match self {
            Container::Footage => "footage",
            Container::Grants => "grants",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UploadObject {
    pub container: Container,
    pub name: String,
    pub bytes: u64,
    pub sha256: Hash,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UploadGrantRequest {
    pub objects: Vec<UploadObject>,
}

/// `url` carries a token: this type does not print it.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UploadGrant {
    pub name: String,
    pub url: Option<String>,
    pub headers: BTreeMap<String, String>,
    pub expires_at: Timestamp,
    pub refused: Option<String>,
}

impl std::fmt::Debug for UploadGrant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UploadGrant")
            .field("name", &self.name)
            .field("expires_at", &self.expires_at)
            .field("refused", &self.refused)
            .finish_non_exhaustive()
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UploadGrantAnswer {
    pub grants: Vec<UploadGrant>,
}

/// RECORDING of protocol.md: what a gateway reports of a closed recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recording {
    /// Object name (format.md section 5).
    pub name: String,
    /// Header hash.
    pub id: Hash,
    pub camera: CameraId,
    pub rendition: Rendition,
    pub epoch: EpochId,
    pub started_at: Timestamp,
    pub duration_ms: u64,
    pub bytes: u64,
    pub sha256: Hash,
    pub key_frames: u32,
    pub root: Hash,
    pub previous_root: Option<Hash>,
    pub has_audio: bool,
    /// Of the video track, as in RFC 6381.
    pub codec: String,
}

impl Recording {
    pub fn ended_at(&self) -> Timestamp {
        self.started_at.plus_ms(self.duration_ms)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GapReason {
    CameraUnreachable,
    CameraRefused,
    Stalled,
    Restarted,
    DiskFull,
    Disabled,
    BadStream,
    /// What was recorded is gone from the disk or was changed on it.
    Damaged,
}

impl GapReason {
    pub fn as_str(self) -> &'static str {
        match self {
            GapReason::CameraUnreachable => "camera_unreachable",
            GapReason::CameraRefused => "camera_refused",
            GapReason::Stalled => "stalled",
            GapReason::Restarted => "restarted",
            GapReason::DiskFull => "disk_full",
            GapReason::Disabled => "disabled",
            GapReason::BadStream => "bad_stream",
            GapReason::Damaged => "damaged",
        }
    }
}

/// A time for which there is no recording, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gap {
    pub camera: CameraId,
    pub rendition: Rendition,
    pub from: Timestamp,
    pub to: Timestamp,
    pub reason: GapReason,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordingReport {
    pub recordings: Vec<Recording>,
    pub gaps: Vec<Gap>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordingStatus {
    /// Length and digest were read back from the store.
    Confirmed,
    Missing,
    Mismatch,
    NoEpochGrant,
    Refused,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordingResult {
    pub name: String,
    pub status: RecordingStatus,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordingReportAnswer {
    pub results: Vec<RecordingResult>,
}

/// Names of indexes of hours that the gateway has put into the store.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HourReport {
    pub names: Vec<String>,
}

/// Names in one [`HourReport`].
pub const HOURS_MAX: usize = 32;

/// Whether the cloud has read each of them, in the order of the report.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HourReportAnswer {
    pub results: Vec<RecordingResult>,
}

/// Parts of recordings in one [`ReadBackRequest`].
pub const READ_BACK_PARTS_MAX: usize = 16;
/// Bytes of one of them.
pub const READ_BACK_BYTES_MAX: u64 = 4_096;

/// A part of a recording that the store is to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReadBackPart {
    pub id: Hash,
    pub first: u64,
    pub bytes: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReadBackRequest {
    pub parts: Vec<ReadBackPart>,
}

/// In the order of the request; none where the store does not have it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReadBackAnswer {
    pub parts: Vec<Option<crate::Base64>>,
}
