//! The plaintext of a chunk (format.md section 5): what is sealed, and what a
//! reader gets back. Writers hand in access units that they made; readers hand
//! in bytes that anybody may have made, so decoding is bounded, allocates no
//! more than it was given, and never panics.
//!
//! ```text
//! video = i32 presentation delta  ( u32 length  NAL unit )*
//! audio = ( u16 length  frame )*
//! ```

use bytes::{BufMut as _, Bytes, BytesMut};

use crate::nal;

/// The largest chunk, sealed (format.md, Bounds): 8 MiB with its 16-byte tag.
pub const PLAINTEXT_MAX: usize = (8 << 20) - 16;
/// The largest frame of audio: its length is a `u16`.
pub const AUDIO_FRAME_MAX: usize = u16::MAX as usize;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    #[error("chunk of {length} bytes is longer than {PLAINTEXT_MAX}")]
    TooLong { length: usize },
    #[error("audio frame of {length} bytes is longer than {AUDIO_FRAME_MAX}")]
    FrameTooLong { length: usize },
    #[error("chunk ends in the middle of a length or of what it counts, at byte {at}")]
    CutOff { at: usize },
    #[error("chunk holds nothing")]
    Empty,
    #[error("a NAL unit or audio frame of length 0 at byte {at}")]
    ZeroLength { at: usize },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VideoChunk {
    pub presentation_delta: i32,
    /// One access unit as length-prefixed NAL units.
    pub data: Bytes,
}

impl VideoChunk {
    /// Refuses data that is not whole NAL units, or too long: a reader would
    /// refuse it too.
    pub fn check(data: &[u8]) -> Result<(), ChunkError> {
        let length = data.len() + 4;
        if length > PLAINTEXT_MAX {
            return Err(ChunkError::TooLong { length });
        }
        check_nal_units(data)
    }

    /// What passes [`VideoChunk::check`].
    pub fn encode(presentation_delta: i32, data: &[u8]) -> Result<Bytes, ChunkError> {
        Self::check(data)?;
        let mut out = BytesMut::with_capacity(data.len() + 4);
        out.put_i32(presentation_delta);
        out.put_slice(data);
        Ok(out.freeze())
    }

    pub fn decode(plaintext: Bytes) -> Result<Self, ChunkError> {
        if plaintext.len() > PLAINTEXT_MAX {
            return Err(ChunkError::TooLong { length: plaintext.len() });
        }
        let (delta, data) = plaintext.split_first_chunk::<4>().ok_or(ChunkError::CutOff { at: 0 })?;
        check_nal_units(data)?;
        Ok(VideoChunk { presentation_delta: i32::from_be_bytes(*delta), data: plaintext.slice(4..) })
    }
}

fn check_nal_units(data: &[u8]) -> Result<(), ChunkError> {
    if data.is_empty() {
        return Err(ChunkError::Empty);
    }
    // Positions count from the start of the plaintext, delta included.
    let mut at = 4;
    for unit in nal::length_prefixed(data) {
        let unit = unit.map_err(|nal::CutOff| ChunkError::CutOff { at })?;
        if unit.is_empty() {
            return Err(ChunkError::ZeroLength { at });
        }
        at += 4 + unit.len();
    }
    Ok(())
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AudioChunk {
    pub frames: Vec<Bytes>,
}

impl AudioChunk {
    pub fn encode<'a>(frames: impl IntoIterator<Item = &'a [u8]>) -> Result<Bytes, ChunkError> {
        let mut out = BytesMut::new();
        for frame in frames {
            let length = frame.len();
            if length == 0 {
                return Err(ChunkError::ZeroLength { at: out.len() });
            }
            let prefix = u16::try_from(length).map_err(|_| ChunkError::FrameTooLong { length })?;
            out.put_u16(prefix);
            out.put_slice(frame);
            if out.len() > PLAINTEXT_MAX {
                return Err(ChunkError::TooLong { length: out.len() });
            }
        }
        if out.is_empty() { Err(ChunkError::Empty) } else { Ok(out.freeze()) }
    }

    pub fn decode(mut plaintext: Bytes) -> Result<Self, ChunkError> {
        let total = plaintext.len();
        if total > PLAINTEXT_MAX {
            return Err(ChunkError::TooLong { length: total });
        }
        if total == 0 {
            return Err(ChunkError::Empty);
        }
        let mut frames = Vec::new();
        while !plaintext.is_empty() {
            let at = total - plaintext.len();
            let (prefix, rest) = plaintext.split_first_chunk::<2>().ok_or(ChunkError::CutOff { at })?;
            let length = usize::from(u16::from_be_bytes(*prefix));
            if length == 0 {
                return Err(ChunkError::ZeroLength { at });
            }
            if rest.len() < length {
                return Err(ChunkError::CutOff { at });
            }
            let _ = plaintext.split_to(2);
            frames.push(plaintext.split_to(length));
        }
        Ok(AudioChunk { frames })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layout_byte_by_byte() {
        let video = VideoChunk::encode(-2, &[0, 0, 0, 1, 0x65]).unwrap();
        assert_eq!(&video[..], [0xff, 0xff, 0xff, 0xfe, 0, 0, 0, 1, 0x65]);
        let audio = AudioChunk::encode([&[7u8, 8][..], &[9]]).unwrap();
        assert_eq!(&audio[..], [0, 2, 7, 8, 0, 1, 9]);
    }

    #[test]
    fn what_is_not_whole_is_refused() {
        let video: [(&[u8], ChunkError); 5] = [
            (&[], ChunkError::CutOff { at: 0 }),
            (&[0, 0, 0, 0], ChunkError::Empty),
            (&[0, 0, 0, 0, 0, 0, 0], ChunkError::CutOff { at: 4 }),
            (&[0, 0, 0, 0, 0, 0, 0, 2, 1], ChunkError::CutOff { at: 4 }),
            (&[0, 0, 0, 0, 0, 0, 0, 0], ChunkError::ZeroLength { at: 4 }),
        ];
        for (bytes, error) in video {
            assert_eq!(VideoChunk::decode(Bytes::from_static(bytes)), Err(error), "{bytes:?}");
        }
        let audio: [(&[u8], ChunkError); 4] = [
            (&[], ChunkError::Empty),
            (&[0], ChunkError::CutOff { at: 0 }),
            (&[0, 1, 5, 0, 2, 1], ChunkError::CutOff { at: 3 }),
            (&[0, 0], ChunkError::ZeroLength { at: 0 }),
        ];
        for (bytes, error) in audio {
            assert_eq!(AudioChunk::decode(Bytes::from_static(bytes)), Err(error), "{bytes:?}");
        }
        let long = vec![0; PLAINTEXT_MAX + 1];
        assert!(matches!(VideoChunk::encode(0, &long), Err(ChunkError::TooLong { .. })));
        assert!(matches!(AudioChunk::encode([&long[..]]), Err(ChunkError::FrameTooLong { .. })));
    }
}
