//! Reading bytes of anybody: bounded, no panic, and nothing is believed before
//! its signature, commitment or tag fits.

use model::{Hash, Rendition};

use super::layout::{
    CHECKPOINT_BYTES_MAX, CHUNK_BYTES_MAX, CHUNK_HEAD_LEN, CHUNKS_MAX, ChunkHead, FOOTER_BYTES_MAX, Footer,
    HEADER_BYTES_MAX, Header, INDEX_ENTRIES_MAX, IndexEntry, MAGIC, PREFIX_LEN, RECORDING_BYTES_MAX,
    SIGNATURE_LEN, TAG_LEN, TRACK_FOOTER, TRACK_INDEX, TRACKS_MAX, TRAILER_LEN, TRAILER_MAGIC, Track,
    TrackKind, flags,
};
use super::{ChunkKey, TrackSecret};
use crate::envelope::{PayloadType, signed_bytes};
use crate::grant::CameraKeys;
use crate::keys::VerifyingKey;
use crate::roster::Roster;
use crate::{CanonicalError, MerkleTree, sha256};

#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("not a recording: it does not begin with LKREC")]
    Magic,
    #[error("a recording of version {0}; this program reads version {VERSION}", VERSION = MAGIC[7])]
    Version(u8),
    #[error("the recording is larger than {RECORDING_BYTES_MAX} bytes")]
    TooLarge,
    #[error("the header is cut off or larger than {HEADER_BYTES_MAX} bytes")]
    HeaderLength,
    #[error("header: {0}")]
    Header(CanonicalError),
    #[error("header: {0}")]
    HeaderRule(&'static str),
    #[error("the header is not signed by the gateway that it names, or the roster does not know it")]
    NotGenuine,
    #[error("byte {at}: {what}")]
    Record { at: usize, what: &'static str },
    #[error("footer: {0}")]
    Footer(CanonicalError),
    #[error("the footer does not fit: {0}")]
    FooterMismatch(&'static str),
    #[error("the key is not the one that the header commits to")]
    Commitment,
    #[error("no key for track {0}")]
    NoKey(u8),
    #[error("chunk {0} does not open: altered, moved, or sealed with another key")]
    Chunk(u32),
}

/// The beginning of a recording. Parsed is not believed: call [`SignedHeader::verify`].
#[derive(Clone, Debug)]
pub struct SignedHeader {
    pub header: Header,
    /// Header hash: the recording's id.
    pub id: Hash,
    /// Prefix, header and signature.
    pub len: usize,
    pub(super) json: Vec<u8>,
    pub(super) signature: [u8; SIGNATURE_LEN],
}

impl SignedHeader {
    /// How long prefix, header and signature are, from the first 12 bytes.
    pub fn len_from_prefix(prefix: &[u8; PREFIX_LEN]) -> Result<usize, ReadError> {
        if prefix[..7] != MAGIC[..7] {
            return Err(ReadError::Magic);
        }
        if prefix[7] != MAGIC[7] {
            return Err(ReadError::Version(prefix[7]));
        }
        let json = u32::from_be_bytes([prefix[8], prefix[9], prefix[10], prefix[11]]) as usize;
        if json > HEADER_BYTES_MAX {
            return Err(ReadError::HeaderLength);
        }
        Ok(PREFIX_LEN + json + SIGNATURE_LEN)
    }

    /// `bytes` begins with the recording; more may follow.
    pub fn parse(bytes: &[u8]) -> Result<Self, ReadError> {
        let prefix = bytes.first_chunk().ok_or(ReadError::HeaderLength)?;
        let len = Self::len_from_prefix(prefix)?;
        let bytes = bytes.get(..len).ok_or(ReadError::HeaderLength)?;
        let (json, signature) = bytes[PREFIX_LEN..].split_at(len - PREFIX_LEN - SIGNATURE_LEN);
        let header: Header = crate::from_canonical(json).map_err(ReadError::Header)?;
        check_header(&header)?;
        Ok(SignedHeader {
            id: sha256(json),
            len,
            json: json.to_vec(),
            signature: signature.try_into().expect("split at its length"),
            header,
        })
    }

    /// Whether the gateway with this key signed it.
    pub fn is_signed_by(&self, key: &VerifyingKey) -> bool {
        key.verify(&signed_bytes(PayloadType::RecordingHeader, &self.json), &self.signature)
    }

    /// The gateway's signature, and that the roster knows gateway and camera.
    pub fn verify(&self, roster: &Roster) -> Result<(), ReadError> {
        let key = self.gateway_key(roster).ok_or(ReadError::NotGenuine)?;
        let known_camera = roster.camera(self.header.camera).is_some();
        if self.header.org != roster.org() || !known_camera || !self.is_signed_by(&key) {
            return Err(ReadError::NotGenuine);
        }
        Ok(())
    }

    fn gateway_key(&self, roster: &Roster) -> Option<VerifyingKey> {
        VerifyingKey::from_bytes(&roster.gateway(self.header.gateway)?.sign.0).ok()
    }
}

fn check_header(header: &Header) -> Result<(), ReadError> {
    let rule = |holds: bool, text| if holds { Ok(()) } else { Err(ReadError::HeaderRule(text)) };
    rule(header.salt.0.len() == 32, "the salt has 32 bytes")?;
    let checkpoint = header.checkpoint.as_ref().map_or(0, String::len);
    rule(checkpoint <= CHECKPOINT_BYTES_MAX, "a checkpoint has at most 8 KiB")?;
    rule((1..=TRACKS_MAX).contains(&header.tracks.len()), "there are 1 to 8 tracks")?;
    let mut seen = [false; TRACKS_MAX];
    for track in &header.tracks {
        let slot =
            seen.get_mut(usize::from(track.id)).ok_or(ReadError::HeaderRule("track ids are 0 to 7"))?;
        rule(!std::mem::replace(slot, true), "track ids differ")?;
        rule(track.timescale > 0, "a timescale is not 0")?;
        let is_apart = (track.kind == TrackKind::Events) == (header.rendition == Rendition::Events);
        rule(is_apart, "events have recordings of their own")?;
    }
    Ok(())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkRef<'b> {
    pub number: u32,
    /// In the file.
    pub offset: usize,
    pub head: ChunkHead,
    pub head_bytes: &'b [u8; CHUNK_HEAD_LEN],
    pub ciphertext: &'b [u8],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trailer {
    pub index_offset: u32,
    pub footer_offset: u32,
}

impl Trailer {
    pub fn parse(bytes: &[u8; TRAILER_LEN]) -> Option<Self> {
        let word = |at: usize| u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        (bytes[8..] == TRAILER_MAGIC).then(|| Trailer { index_offset: word(0), footer_offset: word(4) })
    }
}

/// A whole file, taken apart. If `footer` is there, it was checked against the
/// chunks, but its signature only by [`Recording::verify`].
#[derive(Clone, Debug)]
pub struct Recording<'b> {
    pub header: SignedHeader,
    pub chunks: Vec<ChunkRef<'b>>,
    pub index: Vec<IndexEntry>,
    /// Absent if the file was cut off.
    pub footer: Option<Footer>,
    pub(super) footer_json: &'b [u8],
    pub(super) footer_signature: &'b [u8],
}

impl<'b> Recording<'b> {
    pub fn parse(bytes: &'b [u8]) -> Result<Self, ReadError> {
        if bytes.len() > RECORDING_BYTES_MAX {
            return Err(ReadError::TooLarge);
        }
        let header = SignedHeader::parse(bytes)?;
        let mut at = header.len;
        let mut chunks = Vec::new();
        let mut rebuilt = Vec::new();
        let mut tree = MerkleTree::new();
        let mut order = ChunkOrder::default();
        // Ends at the index record or where the file was cut off.
        let index_at = loop {
            let Some((head_bytes, head, body)) = record(bytes, at)? else { break None };
            if head.track == TRACK_INDEX {
                break Some(at);
            }
            let number = chunks.len() as u32;
            let broken = |what| Err(ReadError::Record { at, what });
            if number >= CHUNKS_MAX {
                return broken("too many chunks");
            }
            let track = match order.next(&header.header, head) {
                Ok(track) => track,
                Err(what) => return broken(what),
            };
            if head.is_key_frame() && track.kind == TrackKind::Video {
                rebuilt.push(IndexEntry { offset: at as u32, chunk: number, time: head.time });
            }
            tree.push(&[head_bytes, &sha256(body).0]);
            chunks.push(ChunkRef { number, offset: at, head, head_bytes, ciphertext: body });
            at += CHUNK_HEAD_LEN + body.len();
        };
        let chunk_bytes = (at - header.len) as u64;
        let mut recording = Recording {
            header,
            chunks,
            index: rebuilt,
            footer: None,
            footer_json: &[],
            footer_signature: &[],
        };
        if let Some(index_at) = index_at {
            recording.read_tail(bytes, index_at, &tree, chunk_bytes)?;
        }
        Ok(recording)
    }

    /// Index, footer and trailer; a tail that is cut off leaves `footer` empty.
    fn read_tail(
        &mut self,
        bytes: &'b [u8],
        index_at: usize,
        tree: &MerkleTree,
        chunk_bytes: u64,
    ) -> Result<(), ReadError> {
        let Some((_, _, entries)) = record(bytes, index_at)? else { return Ok(()) };
        if entries.len() > INDEX_ENTRIES_MAX * IndexEntry::LEN {
            return Err(ReadError::Record { at: index_at, what: "the index is too long" });
        }
        let footer_at = index_at + CHUNK_HEAD_LEN + entries.len();
        let Some((_, head, body)) = record(bytes, footer_at)? else { return Ok(()) };
        let at_footer = |what| ReadError::Record { at: footer_at, what };
        if head.track != TRACK_FOOTER || !(SIGNATURE_LEN..=FOOTER_BYTES_MAX).contains(&body.len()) {
            return Err(at_footer("not a footer"));
        }
        let trailer_at = footer_at + CHUNK_HEAD_LEN + body.len();
        let Some(trailer) = bytes[trailer_at..].first_chunk() else { return Ok(()) };
        let expected = Trailer { index_offset: index_at as u32, footer_offset: footer_at as u32 };
        if Trailer::parse(trailer) != Some(expected) || bytes.len() != trailer_at + TRAILER_LEN {
            return Err(ReadError::Record { at: trailer_at, what: "not the trailer" });
        }
        let (json, signature) = body.split_at(body.len() - SIGNATURE_LEN);
        let footer: Footer = crate::from_canonical(json).map_err(ReadError::Footer)?;
        let rebuilt: Vec<u8> = self.index.iter().flat_map(|entry| entry.to_bytes()).collect();
        let checks = [
            (footer.header == self.header.id, "it is of another recording"),
            (u64::from(footer.chunks) == tree.leaves(), "the number of chunks"),
            (footer.bytes == chunk_bytes, "the number of bytes"),
            (footer.root == tree.root(), "the Merkle root of the chunks"),
            (footer.key_frames as usize == self.index.len(), "the number of key frames"),
            (rebuilt == entries && footer.index == sha256(entries), "the index"),
        ];
        if let Some((_, what)) = checks.iter().find(|(holds, _)| !holds) {
            return Err(ReadError::FooterMismatch(what));
        }
        self.footer = Some(footer);
        self.footer_json = json;
        self.footer_signature = signature;
        Ok(())
    }

    /// Signatures of header and, if there is one, footer.
    pub fn verify(&self, roster: &Roster) -> Result<(), ReadError> {
        self.header.verify(roster)?;
        if self.footer.is_none() {
            return Ok(());
        }
        let key = self.header.gateway_key(roster).ok_or(ReadError::NotGenuine)?;
        let message = signed_bytes(PayloadType::RecordingFooter, self.footer_json);
        if !key.verify(&message, self.footer_signature) {
            return Err(ReadError::FooterMismatch("the gateway's signature"));
        }
        Ok(())
    }

    /// Where the last whole chunk ends.
    pub fn chunks_end(&self) -> usize {
        let last = self.chunks.last();
        last.map_or(self.header.len, |chunk| chunk.offset + CHUNK_HEAD_LEN + chunk.ciphertext.len())
    }

    pub fn is_cut_off(&self) -> bool {
        self.footer.is_none()
    }
}

/// What must hold of the heads of chunks that follow each other.
#[derive(Debug, Default)]
pub(super) struct ChunkOrder {
    last_time: [u32; TRACKS_MAX],
}

impl ChunkOrder {
    /// The track of the next chunk, or what is wrong with it.
    pub(super) fn next<'h>(
        &mut self,
        header: &'h Header,
        head: ChunkHead,
    ) -> Result<&'h Track, &'static str> {
        let track = header.tracks.iter().find(|track| track.id == head.track);
        let track = track.ok_or("the chunk is of no track of the header")?;
        if head.flags & !flags::ALL != 0 || !(TAG_LEN..=CHUNK_BYTES_MAX).contains(&(head.length as usize)) {
            return Err("not a chunk");
        }
        let last = &mut self.last_time[usize::from(head.track)];
        if head.time < std::mem::replace(last, head.time) {
            return Err("time runs backwards");
        }
        Ok(track)
    }
}

/// One record, its head and body, or `None` where the bytes end before it is whole.
#[expect(clippy::type_complexity, reason = "three parts of one record, taken apart at once")]
fn record(bytes: &[u8], at: usize) -> Result<Option<(&[u8; CHUNK_HEAD_LEN], ChunkHead, &[u8])>, ReadError> {
    let rest = bytes.get(at..).unwrap_or_default();
    let Some(head_bytes) = rest.first_chunk::<CHUNK_HEAD_LEN>() else { return Ok(None) };
    let broken = |what| ReadError::Record { at, what };
    let head = ChunkHead::parse(head_bytes).ok_or(broken("reserved bytes are not zero"))?;
    if head.length as usize > CHUNK_BYTES_MAX {
        return Err(broken("the chunk is too large"));
    }
    if head.track >= TRACK_FOOTER && (head.flags, head.time) != (0, 0) {
        return Err(broken("index and footer have neither flags nor time"));
    }
    Ok(rest.get(CHUNK_HEAD_LEN..CHUNK_HEAD_LEN + head.length as usize).map(|body| (head_bytes, head, body)))
}

/// Opens the chunks of one recording.
pub struct ChunkOpener {
    id: Hash,
    secrets: [Option<TrackSecret>; TRACKS_MAX],
}

impl ChunkOpener {
    /// Refuses keys that the header does not commit to.
    pub fn new(header: &SignedHeader, keys: &CameraKeys) -> Result<Self, ReadError> {
        let Header { commitment_video, commitment_audio, salt, tracks, .. } = &header.header;
        let audio_fits = keys.audio.as_ref().is_none_or(|key| key.commitment() == *commitment_audio);
        if keys.video.commitment() != *commitment_video || !audio_fits {
            return Err(ReadError::Commitment);
        }
        let mut secrets: [Option<TrackSecret>; TRACKS_MAX] = Default::default();
        for track in tracks {
            let key = match track.kind {
                TrackKind::Video | TrackKind::Events => Some(&keys.video),
                TrackKind::Audio => keys.audio.as_ref(),
            };
            secrets[usize::from(track.id)] = key.map(|key| TrackSecret::new(key, &salt.0, header.id));
        }
        Ok(ChunkOpener { id: header.id, secrets })
    }

    /// Opens in place and returns the plaintext. `buffer` holds the ciphertext.
    pub fn open<'a>(
        &self,
        number: u32,
        head_bytes: &[u8; CHUNK_HEAD_LEN],
        buffer: &'a mut [u8],
    ) -> Result<&'a mut [u8], ReadError> {
        let head = ChunkHead::parse(head_bytes).ok_or(ReadError::Chunk(number))?;
        self.key(head.track, number)?.open(self.id, number, head_bytes, buffer)
    }

    /// The key of one chunk, to show it to somebody without the rest.
    pub fn key(&self, track: u8, number: u32) -> Result<ChunkKey, ReadError> {
        let secret = self.secrets.get(usize::from(track)).and_then(Option::as_ref);
        Ok(secret.ok_or(ReadError::NoKey(track))?.chunk(number))
    }
}

impl std::fmt::Debug for ChunkOpener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChunkOpener").field("id", &self.id).finish_non_exhaustive()
    }
}
