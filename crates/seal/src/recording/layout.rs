//! Layouts and bounds: what stands where in a recording.

use model::{Base64, CameraId, EpochId, GatewayId, Hash, OrgId, Rendition, Timestamp};
use serde::{Deserialize, Serialize};

/// `LKREC`, two zero bytes, version 3.
pub const MAGIC: [u8; 8] = *b"LKREC\0\0\x03";
pub const TRAILER_MAGIC: [u8; 8] = *b"LKRECEND";
/// Magic and header length.
pub const PREFIX_LEN: usize = 12;
pub const SIGNATURE_LEN: usize = 64;
pub const CHUNK_HEAD_LEN: usize = 12;
pub const TAG_LEN: usize = 16;
pub const TRAILER_LEN: usize = 16;
pub const TRACK_FOOTER: u8 = 0xFE;
pub const TRACK_INDEX: u8 = 0xFF;

pub const HEADER_BYTES_MAX: usize = 64 << 10;
/// A checkpoint in a header: the log's signature and those of some 40 witnesses.
pub const CHECKPOINT_BYTES_MAX: usize = 8 << 10;
/// Ciphertext of one chunk.
pub const CHUNK_BYTES_MAX: usize = 8 << 20;
pub const RECORDING_BYTES_MAX: usize = 64 << 20;
pub const CHUNKS_MAX: u32 = 262_144;
pub const INDEX_ENTRIES_MAX: usize = 65_536;
pub const FOOTER_BYTES_MAX: usize = 4_096;
/// Track ids are 0 to 7.
pub const TRACKS_MAX: usize = 8;

/// Bits of a chunk's flags.
pub mod flags {
    pub const KEY_FRAME: u8 = 1;
    pub const DISCONTINUITY: u8 = 2;
    pub const ALL: u8 = KEY_FRAME | DISCONTINUITY;
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    pub algorithm: Algorithm,
    pub org: OrgId,
    pub camera: CameraId,
    pub rendition: Rendition,
    pub gateway: GatewayId,
    pub epoch: EpochId,
    pub commitment_video: Hash,
    pub commitment_audio: Hash,
    pub salt: Base64,
    pub roster_head: Hash,
    /// The newest checkpoint of the history that the gateway had verified: a
    /// header that holds it is not older.
    pub checkpoint: Option<String>,
    pub started_at: Timestamp,
    pub clock: Clock,
    pub starts_with_key_frame: bool,
    pub tracks: Vec<Track>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Algorithm {
    A256GCM,
}

/// How well the gateway knew the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Clock {
    Synchronised,
    Unknown,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Track {
    pub id: u8,
    pub kind: TrackKind,
    pub codec: String,
    pub timescale: u32,
    pub description: Option<Base64>,
    pub width: u32,
    pub height: u32,
    pub sample_rate: u32,
    pub channels: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TrackKind {
    Video,
    Audio,
    /// What the camera said that it saw ([`crate::event`]). Whoever may watch may read it.
    Events,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Footer {
    pub header: Hash,
    pub chunks: u32,
    pub bytes: u64,
    pub duration_ms: u64,
    pub key_frames: u32,
    pub index: Hash,
    pub root: Hash,
    pub previous_root: Option<Hash>,
    pub ended: Ended,
}

/// Why a recording ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// Long or large enough.
    Closed,
    /// The camera changed its parameters.
    Parameters,
    /// A new epoch began.
    Epoch,
    /// The stream was lost.
    Lost,
    /// The gateway stopped, or the camera was removed.
    Stopped,
}

/// The 12 bytes before a chunk's ciphertext.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkHead {
    /// Of the ciphertext with its tag.
    pub length: u32,
    pub track: u8,
    pub flags: u8,
    /// Decode time in the track's timescale since the recording's start.
    pub time: u32,
}

impl ChunkHead {
    pub fn to_bytes(self) -> [u8; CHUNK_HEAD_LEN] {
        let mut bytes = [0; CHUNK_HEAD_LEN];
        bytes[..4].copy_from_slice(&self.length.to_be_bytes());
        bytes[4] = self.track;
        bytes[5] = self.flags;
        bytes[8..].copy_from_slice(&self.time.to_be_bytes());
        bytes
    }

    /// `None` if the reserved bytes are not zero.
    pub fn parse(bytes: &[u8; CHUNK_HEAD_LEN]) -> Option<Self> {
        let [l0, l1, l2, l3, track, flags, 0, 0, t0, t1, t2, t3] = *bytes else { return None };
        Some(ChunkHead {
            length: u32::from_be_bytes([l0, l1, l2, l3]),
            track,
            flags,
            time: u32::from_be_bytes([t0, t1, t2, t3]),
        })
    }

    pub fn is_key_frame(&self) -> bool {
        self.flags & flags::KEY_FRAME != 0
    }
}

/// Where a key frame begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexEntry {
    pub offset: u32,
    pub chunk: u32,
    pub time: u32,
}

impl IndexEntry {
    pub const LEN: usize = 12;

    pub fn to_bytes(self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..4].copy_from_slice(&self.offset.to_be_bytes());
        bytes[4..8].copy_from_slice(&self.chunk.to_be_bytes());
        bytes[8..].copy_from_slice(&self.time.to_be_bytes());
        bytes
    }

    pub fn parse(bytes: &[u8; Self::LEN]) -> Self {
        let word = |at: usize| u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        IndexEntry { offset: word(0), chunk: word(4), time: word(8) }
    }
}

/// Object name of a recording in the container for footage. It ends in the
/// root: nobody can squat on it, and "exists already" means the same content.
pub fn object_name(
    org: OrgId,
    camera: CameraId,
    rendition: Rendition,
    started_at: Timestamp,
    root: Hash,
) -> String {
    let (year, month, day) = started_at.utc_date();
    format!("{org}/{camera}/{rendition}/{year:04}/{month:02}/{day:02}/{}-{root}.lkr", started_at.0)
}
