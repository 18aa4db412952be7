//! What a file is that nobody closed, or that the index does not know: after a
//! crash, a power cut, or when the index was lost.

use model::{GatewayId, Hash, Timestamp, wire};
use seal::keys::SigningKey;
use seal::recording::{
    CHUNK_HEAD_LEN, Ended, Footer, Header, ReadError, Recording, SignedHeader, TRAILER_MAGIC, TrackKind,
    close_cut_off, object_name,
};
use seal::roster::Roster;
use seal::sha256;

#[derive(Debug)]
pub enum Found {
    /// Whole and genuine. If its stream or its gateway was lost, its end may lack
    /// what was on its way.
    Whole { report: wire::Recording, was_lost: bool },
    /// It ends after its last whole chunk: keep so many bytes, and append these.
    CutOff { keep: usize, tail: Vec<u8>, report: wire::Recording },
    /// Nothing was sealed into it yet.
    Empty,
    /// Of another version of this program, which may come back: left alone.
    OtherVersion(u8),
}

/// Not a recording of this gateway, or not what it wrote. It is put aside,
/// never deleted.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("it was recorded by another gateway")]
    OtherGateway,
    #[error("it is longer than any recording")]
    TooLong,
    #[error("it holds no whole chunk")]
    NoChunk,
}

/// Whose recordings are looked at.
#[derive(Clone, Copy, Debug)]
pub struct Own<'a> {
    pub roster: &'a Roster,
    pub gateway: GatewayId,
    pub signer: &'a SigningKey,
}

pub fn look_at(bytes: &[u8], own: Own<'_>) -> Result<Found, Unfit> {
    let recording = match Recording::parse(bytes) {
        // A power cut may leave zeros or old bytes after what was flushed.
        Err(ReadError::Record { at, .. }) if !bytes.ends_with(&TRAILER_MAGIC) => {
            Recording::parse(&bytes[..at])?
        }
        // The header was on its way.
        Err(ReadError::HeaderLength) if is_short(bytes) => return Ok(Found::Empty),
        Err(ReadError::Version(version)) => return Ok(Found::OtherVersion(version)),
        parsed => parsed?,
    };
    recording.verify(own.roster)?;
    let header = &recording.header.header;
    if header.gateway != own.gateway {
        return Err(Unfit::OtherGateway);
    }
    if recording.chunks.is_empty() {
        let nothing = bytes.len() <= recording.header.len + CHUNK_HEAD_LEN;
        return if nothing { Ok(Found::Empty) } else { Err(Unfit::NoChunk) };
    }
    let id = recording.header.id;
    if let Some(footer) = &recording.footer {
        let report = report(header, id, footer, bytes.len() as u64, sha256(bytes));
        return Ok(Found::Whole { report, was_lost: footer.ended == Ended::Lost });
    }
    let (keep, tail, footer) = close_cut_off(&recording, own.signer);
    let sha256 = sha256(&[&bytes[..keep], &tail].concat());
    let report = report(header, id, &footer, (keep + tail.len()) as u64, sha256);
    Ok(Found::CutOff { keep, tail, report })
}

/// The header of a file that is otherwise unfit, if this gateway made it.
pub fn genuine_header(bytes: &[u8], own: Own<'_>) -> Option<Header> {
    let header = SignedHeader::parse(bytes).ok()?;
    header.verify(own.roster).ok()?;
    Some(header.header).filter(|header| header.gateway == own.gateway)
}

/// Whether the bytes end before the header does.
fn is_short(bytes: &[u8]) -> bool {
    let Some(prefix) = bytes.first_chunk() else { return true };
    SignedHeader::len_from_prefix(prefix).is_ok_and(|len| bytes.len() < len)
}

/// Numbers have ten digits.
pub const NUMBER_MAX: u64 = 9_999_999_999;

/// The name of a recording's file. Its number says in which order recordings
/// were begun, which times do not: clocks are set back.
pub fn file_name(started_at: Timestamp, number: u64, id: Hash) -> String {
    format!("{}-{number:010}-{id}.lkr", started_at.0)
}

/// The number in such a name, or path; 0 if there is none.
pub fn number_of(path: &str) -> u64 {
    let name = path.rsplit('/').next().unwrap_or_default();
    name.split('-').nth(1).and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// RECORDING of protocol.md.
pub fn report(header: &Header, id: Hash, footer: &Footer, bytes: u64, sha256: Hash) -> wire::Recording {
    let video = header.tracks.iter().find(|track| track.kind == TrackKind::Video);
    wire::Recording {
        name: object_name(header.org, header.camera, header.rendition, header.started_at, footer.root),
        id,
        camera: header.camera,
        rendition: header.rendition,
        epoch: header.epoch,
        started_at: header.started_at,
        duration_ms: footer.duration_ms,
        bytes,
        sha256,
        key_frames: footer.key_frames,
        root: footer.root,
        previous_root: footer.previous_root,
        has_audio: header.tracks.iter().any(|track| track.kind == TrackKind::Audio),
        codec: video.map(|track| track.codec.clone()).unwrap_or_default(),
    }
}
