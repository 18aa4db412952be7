//! Media without a network: access units become chunk plaintexts and back
//! ([`Chunker`], [`chunk`]), RTP time becomes wall-clock time ([`Timeline`]),
//! and samples become MP4 files for export ([`mp4`]).
//!
//! The gateway's RTSP client and the recorder call it on the way in, the
//! export on the way out. It refuses to know the time, to draw random bytes,
//! to touch files or sockets, and to decode a picture.

pub mod chunk;
mod chunker;
#[doc(hidden)]
pub mod fuzzing;
pub mod jpeg;
pub mod mp4;
pub mod nal;
mod signing;
mod timeline;
mod track;

pub use chunk::{AudioChunk, ChunkError, VideoChunk};
pub use chunker::{Chunk, Chunker, ChunkerError, Plaintext};
pub use signing::{CameraSignature, camera_signatures};
pub use timeline::{Placed, Timeline};
pub use track::{AccessUnit, Codec, TrackDescription, TrackKind};
