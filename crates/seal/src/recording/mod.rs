//! The sealed recording (section 5). The same sealed bytes are the file on
//! disk, the object in the bucket and the frame in the live relay.

mod layout;
mod read;
mod write;

pub use layout::{
    Algorithm, CHUNK_BYTES_MAX, CHUNK_HEAD_LEN, CHUNKS_MAX, ChunkHead, Clock, Ended, FOOTER_BYTES_MAX,
    Footer, HEADER_BYTES_MAX, Header, INDEX_ENTRIES_MAX, IndexEntry, MAGIC, PREFIX_LEN, RECORDING_BYTES_MAX,
    SIGNATURE_LEN, TAG_LEN, TRACK_FOOTER, TRACK_INDEX, TRACKS_MAX, TRAILER_LEN, TRAILER_MAGIC, Track,
    TrackKind, flags, object_name,
};
pub use read::{ChunkOpener, ChunkRef, ReadError, Recording, SignedHeader, Trailer};
pub use write::{Finished, RecordingWriter, WriteError, close_cut_off};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use model::Hash;

use crate::grant::EpochKey;

fn recording_key(key: &EpochKey, salt: &[u8], header: Hash) -> LessSafeKey {
    let mut bytes = crate::hkdf_sha256(salt, key.bytes(), &[b"lenskeep recording v1\0", &header.0]);
    let key = UnboundKey::new(&AES_256_GCM, &bytes).expect("AES-256 keys have 32 bytes");
    zeroize::Zeroize::zeroize(&mut bytes);
    LessSafeKey::new(key)
}

/// Every chunk has its own number and the key serves one recording, so no nonce repeats.
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
