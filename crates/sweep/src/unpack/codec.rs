//! Codecs of single blocks, as file systems pack them.

use std::io::{self, Read};

use super::Skip;
use super::sink::{Stop, inside};
use crate::limits::Limits;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Codec {
    Zlib,
    /// Deflate without a header.
    Deflate,
    Lzma,
    Xz,
    Lzo,
    Lz4,
    Zstd,
}

/// A block that unpacks to at most `max` bytes; more is damage, not a reason to go on.
pub(super) fn decode(codec: Codec, data: &[u8], max: usize) -> Result<Vec<u8>, Stop> {
    let memory_kib = kib(max as u64 + (16 << 20));
    match codec {
        Codec::Zlib => all(flate2::bufread::ZlibDecoder::new(data), max),
        Codec::Deflate => all(flate2::bufread::DeflateDecoder::new(data), max),
        Codec::Xz => all(lzma_rust2::XzReader::new_mem_limit(data, false, memory_kib), max),
        Codec::Lzma => all(lzma_rust2::LzmaReader::new_mem_limit(data, memory_kib, None)?, max),
        Codec::Zstd => all(zstd(data, 16 << 20)?, max),
        Codec::Lzo => {
            let mut out = vec![0; max];
            let count = lzokay::decompress::decompress(data, &mut out)
                .map_err(|_| Stop::damaged("a block of LZO"))?;
            out.truncate(count);
            Ok(out)
        }
        Codec::Lz4 => {
            let mut out = vec![0; max];
            let count = lz4_flex::block::decompress_into(data, &mut out)
                .map_err(|_| Stop::damaged("a block of LZ4"))?;
            out.truncate(count);
            Ok(out)
        }
    }
}

/// The largest block that file systems pack, in bytes.
const BLOCK: usize = 1 << 20;

fn all(decoder: impl Read, max: usize) -> Result<Vec<u8>, Stop> {
    let mut out = Vec::with_capacity(max.min(BLOCK) + 1);
    decoder.take(max as u64 + 1).read_to_end(&mut out)?;
    if out.len() > max { Err(Stop::damaged("a block is longer than it may be")) } else { Ok(out) }
}

pub(super) type Zstd<R> = ruzstd::decoding::StreamingDecoder<R, ruzstd::decoding::FrameDecoder>;

pub(super) fn zstd<R: Read>(data: R, window_bytes: u64) -> io::Result<Zstd<R>> {
    Zstd::new_with_max_window_size(data, window_bytes).map_err(|err| match err {
        ruzstd::decoding::errors::FrameDecoderError::WindowSizeTooBig { .. } => {
            io::Error::new(io::ErrorKind::OutOfMemory, "the window is too large")
        }
        _ => io::Error::new(io::ErrorKind::InvalidData, "no frame of zstd"),
    })
}

/// The memory that a codec may take, in KiB: its window is held as a part is.
pub(super) fn window_kib(limits: &Limits) -> u32 {
    kib(limits.part_bytes)
}

fn kib(bytes: u64) -> u32 {
    u32::try_from(bytes / 1024).unwrap_or(u32::MAX)
}

/// A reader whose bytes have a sum (CRC-32): where it is another one, the last read is an
/// error. What came before has been told by then.
pub(super) struct Summed<R> {
    inner: R,
    told: Option<u32>,
    sum: flate2::Crc,
}

impl<R: Read> Summed<R> {
    pub(super) fn new(inner: R, told: Option<u32>) -> Self {
        Self { inner, told, sum: flate2::Crc::new() }
    }

    /// Of what was read so far.
    pub(super) fn sum(&self) -> u32 {
        self.sum.sum()
    }

    pub(super) fn into_inner(self) -> R {
        self.inner
    }
}

impl<R: Read> Read for Summed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.sum.update(&buffer[..count]);
        let wrong = self.told.is_some_and(|told| told != self.sum.sum());
        if count == 0 && !buffer.is_empty() && wrong {
            return Err(inside(WRONG_SUM));
        }
        Ok(count)
    }
}

pub(super) const WRONG_SUM: Stop = Stop::Skip(Skip::Damaged("its sum is not right"));
