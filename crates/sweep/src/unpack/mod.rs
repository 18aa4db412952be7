//! Containers, found at any offset and unpacked as streams. Nothing is written to
//! disk, and names of parts are foreign text.

use std::fmt;
use std::io::Read;
use std::ops::ControlFlow;

use crate::limits::Limits;
use crate::read::ReadAt;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    Gzip,
    Zlib,
    Bzip2,
    Xz,
    Zstd,
    Lz4,
    Tar,
    Cpio,
    Zip,
    SevenZip,
    Ar,
    Squashfs,
    Cramfs,
    Romfs,
    Jffs2,
    Ubi,
    Ext,
    Fat,
    ExFat,
    Iso9660,
    Gpt,
    Mbr,
    UImage,
    Fit,
    AndroidSparse,
    Pcap,
    PcapNg,
}

/// One file, or one stream, of a container.
#[expect(missing_debug_implementations, reason = "a reader of somebody else")]
pub struct Part<'a> {
    pub name: &'a str,
    pub data: &'a mut dyn Read,
}

/// Why something was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skip {
    Encrypted,
    TooLarge,
    TooMany,
    Ratio,
    Damaged(&'static str),
    Unsupported(&'static str),
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Skip::Encrypted => f.write_str("encrypted"),
            Skip::TooLarge => f.write_str("too large"),
            Skip::TooMany => f.write_str("too many parts"),
            Skip::Ratio => f.write_str("unpacks to more than is plausible"),
            Skip::Damaged(what) => write!(f, "damaged: {what}"),
            Skip::Unsupported(what) => write!(f, "not supported: {what}"),
        }
    }
}

pub trait Visit {
    /// Break ends the unpacking.
    fn part(&mut self, part: Part<'_>) -> ControlFlow<()>;
    fn skipped(&mut self, name: &str, why: Skip);
}

/// Formats that may begin here or further on, with where: by magic numbers, at any offset.
pub fn find(window: &[u8]) -> Vec<(usize, Format)> {
    memchr::memmem::find_iter(window, b"\x1f\x8b\x08").map(|at| (at, Format::Gzip)).collect()
}

/// Unpacks what begins at `offset`; returns how many bytes of `source` it covers, if that is known.
pub fn unpack(
    format: Format,
    source: &dyn ReadAt,
    offset: u64,
    limits: &Limits,
    visit: &mut dyn Visit,
) -> Option<u64> {
    if format != Format::Gzip {
        visit.skipped("", Skip::Unsupported("format"));
        return None;
    }
    let _ = limits;
    let mut data = flate2::read::GzDecoder::new(From { source, offset });
    if data.header().is_none() {
        visit.skipped("", Skip::Damaged("gzip header"));
        return None;
    }
    let _ = visit.part(Part { name: "gzip", data: &mut data });
    None
}

/// Reads a source from an offset on.
struct From<'a> {
    source: &'a dyn ReadAt,
    offset: u64,
}

impl Read for From<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.source.read_at(self.offset, buffer)?;
        self.offset += read as u64;
        Ok(read)
    }
}
