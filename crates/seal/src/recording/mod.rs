//! The sealed recording (section 5). The same sealed bytes are the file on
//! disk, the object in the bucket and the frame in the live relay.

mod excerpt;
mod layout;
mod read;
mod write;

pub use excerpt::{Excerpt, ExcerptError, Part};
pub use layout::{
    Algorithm, CHECKPOINT_BYTES_MAX, CHUNK_BYTES_MAX, CHUNK_HEAD_LEN, CHUNKS_MAX, ChunkHead, Clock, Ended,
    FOOTER_BYTES_MAX, Footer, HEADER_BYTES_MAX, Header, INDEX_ENTRIES_MAX, IndexEntry, MAGIC, PREFIX_LEN,
    RECORDING_BYTES_MAX, SIGNATURE_LEN, TAG_LEN, TRACK_FOOTER, TRACK_INDEX, TRACKS_MAX, TRAILER_LEN,
    TRAILER_MAGIC, Track, TrackKind, flags, object_name,
};
pub use read::{ChunkOpener, ChunkRef, ReadError, Recording, SignedHeader, Trailer};
pub use write::{Finished, RecordingWriter, WriteError, close_cut_off};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use model::Hash;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::grant::EpochKey;
use crate::hash::Expander;

/// What the keys of chunks come from: of one recording, and of one kind of
/// track.
struct TrackSecret(Expander);

impl TrackSecret {
    fn new(key: &EpochKey, salt: &[u8], header: Hash) -> Self {
        let info: [&[u8]; 2] = [b"lenskeep recording v3\0", &header.0];
        let secret = Zeroizing::new(crate::hkdf_sha256(salt, key.bytes(), &info));
        TrackSecret(Expander::new(&[], secret.as_slice()))
    }

    fn chunk(&self, number: u32) -> ChunkKey {
        let info: [&[u8]; 2] = [b"lenskeep chunk v1\0", &number.to_be_bytes()];
        ChunkKey(self.0.expand(&info))
    }
}

/// Opens one chunk and no other, so that a part of a recording can be shown
/// without the rest.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct ChunkKey([u8; 32]);

impl ChunkKey {
    fn cipher(&self) -> LessSafeKey {
        LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &self.0).expect("AES-256 keys have 32 bytes"))
    }

    fn open<'a>(
        &self,
        recording: Hash,
        number: u32,
        head: &[u8; CHUNK_HEAD_LEN],
        buffer: &'a mut [u8],
    ) -> Result<&'a mut [u8], ReadError> {
        let aad = associated(recording, number, head);
        self.cipher().open_in_place(nonce(number), aad, buffer).map_err(|_| ReadError::Chunk(number))
    }
}

impl std::fmt::Debug for ChunkKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ChunkKey(…)")
    }
}

/// A key serves one chunk, so no nonce repeats.
fn nonce(number: u32) -> Nonce {
    let mut bytes = [0; 12];
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    Nonce::assume_unique_for_key(bytes)
}

fn associated(header: Hash, number: u32, head: &[u8; CHUNK_HEAD_LEN]) -> Aad<[u8; 32 + 4 + CHUNK_HEAD_LEN]> {
    let mut bytes = [0; 32 + 4 + CHUNK_HEAD_LEN];
    bytes[..32].copy_from_slice(&header.0);
    bytes[32..36].copy_from_slice(&number.to_be_bytes());
    bytes[36..].copy_from_slice(head);
    Aad::from(bytes)
}
