//! Writing: chunks in, sealed bytes out. Does no IO; what it appends to `out`
//! goes to the file and, if somebody watches, up the link, byte for byte.

use model::Hash;

use super::TrackSecret;
use super::layout::{
    CHUNK_BYTES_MAX, CHUNKS_MAX, ChunkHead, Ended, Footer, Header, INDEX_ENTRIES_MAX, IndexEntry, MAGIC,
    RECORDING_BYTES_MAX, TAG_LEN, TRACK_FOOTER, TRACK_INDEX, TRACKS_MAX, TRAILER_MAGIC, TrackKind, flags,
};
use super::read::Recording;
use crate::envelope::{PayloadType, signed_bytes};
use crate::grant::EpochKey;
use crate::hash::Sha256;
use crate::keys::SigningKey;
use crate::{MerkleTree, sha256, to_canonical};

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    #[error("the recording has no track {0}")]
    NoSuchTrack(u8),
    #[error("a chunk of {0} bytes is larger than {CHUNK_BYTES_MAX}")]
    ChunkTooLarge(usize),
    #[error("the recording is full; close it and begin another")]
    Full,
    #[error("time runs backwards within track {0}")]
    TimeBackwards(u8),
}

pub struct RecordingWriter {
    header: Header,
    hash: Hash,
    secrets: [Option<TrackSecret>; TRACKS_MAX],
    last_time: [u32; TRACKS_MAX],
    /// Over the whole file, for upload and confirmation.
    file: Sha256,
    file_bytes: u64,
    tree: MerkleTree,
    chunk_bytes: u64,
    index: Vec<IndexEntry>,
}

/// What is known once a recording is closed.
#[derive(Clone, Debug)]
pub struct Finished {
    pub footer: Footer,
    pub sha256: Hash,
    pub bytes: u64,
}

impl RecordingWriter {
    /// Appends prefix, header and signature to `out`.
    ///
    /// # Panics
    /// If a track id is above 7, or the header does not commit to the keys: both are our own making.
    pub fn begin(
        header: Header,
        video: &EpochKey,
        audio: &EpochKey,
        signer: &SigningKey,
        out: &mut Vec<u8>,
    ) -> Self {
        assert_eq!(header.commitment_video, video.commitment(), "the header commits to its key");
        assert_eq!(header.commitment_audio, audio.commitment(), "the header commits to its key");
        let json = to_canonical(&header);
        let hash = sha256(&json);
        let mut secrets: [Option<TrackSecret>; TRACKS_MAX] = Default::default();
        for track in &header.tracks {
            let key = match track.kind {
                TrackKind::Video | TrackKind::Events => video,
                TrackKind::Audio => audio,
            };
            secrets[usize::from(track.id)] = Some(TrackSecret::new(key, &header.salt.0, hash));
        }
        let begin = out.len();
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&(json.len() as u32).to_be_bytes());
        out.extend_from_slice(&json);
        out.extend_from_slice(&signer.sign(&signed_bytes(PayloadType::RecordingHeader, &json)));
        let mut writer = RecordingWriter {
            header,
            hash,
            secrets,
            last_time: [0; TRACKS_MAX],
            file: Sha256::new(),
            file_bytes: 0,
            tree: MerkleTree::new(),
            chunk_bytes: 0,
            index: Vec::new(),
        };
        writer.account(&out[begin..]);
        writer
    }

    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The recording's id.
    pub fn id(&self) -> Hash {
        self.hash
    }

    pub fn chunks(&self) -> u32 {
        self.tree.leaves() as u32
    }

    pub fn file_bytes(&self) -> u64 {
        self.file_bytes
    }

    /// Seals one chunk, given in pieces, straight into `out` (the one copy) and
    /// returns its number. After an error `out` is as before.
    pub fn seal(
        &mut self,
        track: u8,
        chunk_flags: u8,
        time: u32,
        parts: &[&[u8]],
        out: &mut Vec<u8>,
    ) -> Result<u32, WriteError> {
        let slot = usize::from(track);
        let secret = self.secrets.get(slot).and_then(Option::as_ref).ok_or(WriteError::NoSuchTrack(track))?;
        let length = parts.iter().map(|part| part.len()).sum::<usize>() + TAG_LEN;
        if length > CHUNK_BYTES_MAX {
            return Err(WriteError::ChunkTooLarge(length));
        }
        // Leaves room for index, footer and trailer.
        let room = (RECORDING_BYTES_MAX - (1 << 20)) as u64;
        let number = self.chunks();
        if number >= CHUNKS_MAX
            || self.index.len() >= INDEX_ENTRIES_MAX
            || self.file_bytes + length as u64 > room
        {
            return Err(WriteError::Full);
        }
        if time < self.last_time[slot] {
            return Err(WriteError::TimeBackwards(track));
        }
        let head = ChunkHead { length: length as u32, track, flags: chunk_flags & flags::ALL, time };
        let head_bytes = head.to_bytes();
        let begin = out.len();
        out.reserve(head_bytes.len() + length);
        out.extend_from_slice(&head_bytes);
        parts.iter().for_each(|part| out.extend_from_slice(part));
        let plaintext = &mut out[begin + head_bytes.len()..];
        let aad = super::associated(self.hash, number, &head_bytes);
        let tag = secret
            .chunk(number)
            .cipher()
            .seal_in_place_separate_tag(super::nonce(number), aad, plaintext)
            .expect("a chunk is far below AES-GCM's bound");
        out.extend_from_slice(tag.as_ref());

        if head.is_key_frame() && self.is_video(track) {
            self.index.push(IndexEntry { offset: self.file_bytes as u32, chunk: number, time });
        }
        self.last_time[slot] = time;
        let ciphertext = &out[begin + head_bytes.len()..];
        self.tree.push(&[&head_bytes, &sha256(ciphertext).0]);
        self.chunk_bytes += (out.len() - begin) as u64;
        self.account(&out[begin..]);
        Ok(number)
    }

    /// Appends index, footer and trailer.
    pub fn finish(
        mut self,
        ended: Ended,
        duration_ms: u64,
        previous_root: Option<Hash>,
        signer: &SigningKey,
        out: &mut Vec<u8>,
    ) -> Finished {
        let begin = out.len();
        let footer = Footer {
            header: self.hash,
            chunks: self.chunks(),
            bytes: self.chunk_bytes,
            duration_ms,
            key_frames: self.index.len() as u32,
            index: Hash::default(),
            root: self.tree.root(),
            previous_root,
            ended,
        };
        let footer = push_tail(out, self.file_bytes as u32, &self.index, footer, signer);
        self.account(&out[begin..]);
        Finished { footer, bytes: self.file_bytes, sha256: self.file.finish() }
    }

    fn is_video(&self, track: u8) -> bool {
        self.header.tracks.iter().any(|t| t.id == track && t.kind == TrackKind::Video)
    }

    fn account(&mut self, bytes: &[u8]) {
        self.file.update(bytes);
        self.file_bytes += bytes.len() as u64;
    }
}

/// Closes a recording that was cut off, without its keys: chunks stay as they
/// are, and what the gateway signs is their tree. Returns how much of the file
/// to keep and what to append. Never adds a chunk.
pub fn close_cut_off(recording: &Recording<'_>, signer: &SigningKey) -> (usize, Vec<u8>, Footer) {
    let keep = recording.chunks_end();
    let mut tree = MerkleTree::new();
    let mut duration_ms = 0;
    for chunk in &recording.chunks {
        tree.push(&[chunk.head_bytes, &sha256(chunk.ciphertext).0]);
        let track = recording.header.header.tracks.iter().find(|track| track.id == chunk.head.track);
        let timescale = track.map_or(1, |track| u64::from(track.timescale));
        duration_ms = duration_ms.max(u64::from(chunk.head.time) * 1_000 / timescale);
    }
    let footer = Footer {
        header: recording.header.id,
        chunks: recording.chunks.len() as u32,
        bytes: (keep - recording.header.len) as u64,
        duration_ms,
        key_frames: recording.index.len() as u32,
        index: Hash::default(),
        root: tree.root(),
        previous_root: None,
        ended: Ended::Lost,
    };
    let mut tail = Vec::new();
    let footer = push_tail(&mut tail, keep as u32, &recording.index, footer, signer);
    (keep, tail, footer)
}

/// Index, footer and trailer; fills in the footer's hash of the index.
fn push_tail(
    out: &mut Vec<u8>,
    index_offset: u32,
    index: &[IndexEntry],
    mut footer: Footer,
    signer: &SigningKey,
) -> Footer {
    let begin = out.len();
    let entries: Vec<u8> = index.iter().flat_map(|entry| entry.to_bytes()).collect();
    footer.index = sha256(&entries);
    push_record(out, TRACK_INDEX, &[&entries]);
    let footer_offset = index_offset + (out.len() - begin) as u32;
    let json = to_canonical(&footer);
    let signature = signer.sign(&signed_bytes(PayloadType::RecordingFooter, &json));
    push_record(out, TRACK_FOOTER, &[&json, &signature]);
    out.extend_from_slice(&index_offset.to_be_bytes());
    out.extend_from_slice(&footer_offset.to_be_bytes());
    out.extend_from_slice(&TRAILER_MAGIC);
    footer
}

fn push_record(out: &mut Vec<u8>, track: u8, parts: &[&[u8]]) {
    let length = parts.iter().map(|part| part.len()).sum::<usize>() as u32;
    out.extend_from_slice(&ChunkHead { length, track, flags: 0, time: 0 }.to_bytes());
    parts.iter().for_each(|part| out.extend_from_slice(part));
}

impl std::fmt::Debug for RecordingWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecordingWriter").field("id", &self.hash).finish_non_exhaustive()
    }
}
