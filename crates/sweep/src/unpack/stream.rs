//! Streams of one codec. Members that follow each other are one part, as the tools
//! that made them read them.

use std::io::{self, Read};

use bzip2::bufread::BzDecoder;
use flate2::bufread::{GzDecoder, ZlibDecoder};
use lz4_flex::frame::FrameDecoder;
use lzma_rust2::{LzmaReader, XzReader};

use super::bytes::{Range, fill, le16, name, take};
use super::codec::{Zstd, window_kib, zstd as zstd_decoder};
use super::sink::{Covered, Sink};
use crate::read::ReadAt;

pub(super) fn gzip(source: &dyn ReadAt, at: u64, sink: &mut Sink<'_>) -> Covered {
    let decoder = GzDecoder::new(Range::new(source, at, u64::MAX));
    let named = decoder.header().and_then(|header| header.filename()).map(name).unwrap_or_default();
    let mut open = |range| -> io::Result<Box<dyn Member>> { Ok(Box::new(GzDecoder::new(range))) };
    let kind = Kind { head: Some(gzip_head), goes_on: |head| head[..3] == [0x1f, 0x8b, 8] };
    members(source, at, &named, kind, &mut open, sink)
}

pub(super) fn zlib(source: &dyn ReadAt, at: u64, sink: &mut Sink<'_>) -> Covered {
    let mut open = |range| -> io::Result<Box<dyn Member>> { Ok(Box::new(ZlibDecoder::new(range))) };
    members(source, at, "", Kind { head: Some(|_, at| Some(at)), goes_on: |_| false }, &mut open, sink)
}

pub(super) fn bzip2(source: &dyn ReadAt, at: u64, sink: &mut Sink<'_>) -> Covered {
    let mut open = |range| -> io::Result<Box<dyn Member>> { Ok(Box::new(BzDecoder::new(range))) };
    members(source, at, "", Kind::closed(|head| head[..3] == *b"BZh"), &mut open, sink)
}

pub(super) fn xz(source: &dyn ReadAt, at: u64, sink: &mut Sink<'_>) -> Covered {
    let memory_kib = window_kib(sink.limits);
    let mut open = |range| -> io::Result<Box<dyn Member>> {
        Ok(Box::new(XzReader::new_mem_limit(range, false, memory_kib)))
    };
    members(source, at, "", Kind::closed(|head| *head == [0xfd, b'7', b'z', b'X']), &mut open, sink)
}

/// What tools made before there was xz, and kernels are still packed with.
pub(super) fn lzma(source: &dyn ReadAt, at: u64, sink: &mut Sink<'_>) -> Covered {
    let memory_kib = window_kib(sink.limits);
    let mut open = |range| -> io::Result<Box<dyn Member>> {
        Ok(Box::new(LzmaReader::new_mem_limit(range, memory_kib, None)?))
    };
    members(source, at, "", Kind::closed(|_| false), &mut open, sink)
}

/// The window that a header of lzip tells of, in bytes.
pub(super) fn lzip_window(code: u8) -> Option<u32> {
    let base = 1_u32.checked_shl(u32::from(code & 31)).filter(|base| (1 << 12..=1 << 29).contains(base))?;
    Some(base - base / 16 * u32::from(code >> 5))
}

/// Sums and sizes behind each member.
const LZIP_TRAILER: u64 = 20;

pub(super) fn lzip(source: &dyn ReadAt, at: u64, sink: &mut Sink<'_>) -> Covered {
    let window_max = sink.limits.part_bytes;
    let mut open = |range| -> io::Result<Box<dyn Member>> {
        let mut range: Range<'_> = range;
        let mut head = [0; 6];
        range.read_exact(&mut head)?;
        let window = lzip_window(head[5]).ok_or(io::ErrorKind::InvalidData)?;
        if u64::from(window) > window_max {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        Ok(Box::new(Lzip(LzmaReader::new_with_props(range, u64::MAX, 0x5d, window, None)?)))
    };
    members(source, at, "", Kind::closed(|head| head == b"LZIP"), &mut open, sink)
}

/// One member, up to the mark that ends its codes.
struct Lzip<'a>(LzmaReader<Range<'a>>);

impl Read for Lzip<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Member for Lzip<'_> {
    fn end(self: Box<Self>) -> u64 {
        Box::new((*self).0).end() + LZIP_TRAILER
    }
}

pub(super) fn zstd(source: &dyn ReadAt, at: u64, sink: &mut Sink<'_>) -> Covered {
    let window_bytes = sink.limits.part_bytes;
    let mut open =
        |range| -> io::Result<Box<dyn Member>> { Ok(Box::new(zstd_decoder(range, window_bytes)?)) };
    let kind = Kind { head: Some(|_, at| Some(at)), goes_on: |head| *head == [0x28, 0xb5, 0x2f, 0xfd] };
    members(source, at, "", kind, &mut open, sink)
}

pub(super) fn lz4(source: &dyn ReadAt, at: u64, sink: &mut Sink<'_>) -> Covered {
    let mut open = |range| -> io::Result<Box<dyn Member>> { Ok(Box::new(FrameDecoder::new(range))) };
    let goes_on = |head: &[u8; 4]| matches!(*head, [4, 0x22, 0x4d, 0x18] | [2, 0x21, 0x4c, 0x18]);
    members(source, at, "", Kind { head: Some(|_, at| Some(at)), goes_on }, &mut open, sink)
}

/// Where the fields end that a header of gzip may have (RFC 1952, 2.3): anything may stand in
/// them. None of those that are longer than anybody makes them.
fn gzip_head(source: &dyn ReadAt, at: u64) -> Option<u64> {
    const TEXT_MAX: u64 = 64 << 10;
    let flags = take(source, at, 4).ok()?[3];
    let mut at = at + 10;
    if flags & 4 != 0 {
        at += 2 + u64::from(le16(&take(source, at, 2).ok()?, 0).ok()?);
    }
    for flag in [8, 16] {
        if flags & flag != 0 {
            let text = take(source, at, TEXT_MAX.min(source.len().saturating_sub(at))).ok()?;
            at += memchr::memchr(0, &text)? as u64 + 1;
        }
    }
    Some(at + if flags & 2 != 0 { 2 } else { 0 })
}

/// Where the contents begin of the member that begins at an offset.
type HeadEnd = fn(&dyn ReadAt, u64) -> Option<u64>;

/// What members are like.
#[derive(Clone, Copy)]
struct Kind {
    /// Without one, what is packed is looked at as text like the header: unpacking takes so long
    /// that this does not count.
    head: Option<HeadEnd>,
    /// Whether another member begins with this.
    goes_on: fn(&[u8; 4]) -> bool,
}

impl Kind {
    fn closed(goes_on: fn(&[u8; 4]) -> bool) -> Kind {
        Kind { head: None, goes_on }
    }
}

/// A decoder that tells where its stream ended.
trait Member: Read {
    fn end(self: Box<Self>) -> u64;
}

macro_rules! member {
    ($($decoder:ty),*) => {$(
        impl Member for $decoder {
            fn end(self: Box<Self>) -> u64 {
                (*self).into_inner().position()
            }
        }
    )*};
}
member!(
    GzDecoder<Range<'_>>,
    ZlibDecoder<Range<'_>>,
    BzDecoder<Range<'_>>,
    XzReader<Range<'_>>,
    Zstd<Range<'_>>,
    FrameDecoder<Range<'_>>
);

impl Member for LzmaReader<Range<'_>> {
    /// It reads ahead.
    fn end(self: Box<Self>) -> u64 {
        let (range, ahead) = (*self).into_parts();
        range.position() - ahead.len() as u64
    }
}

type Open<'f, 'a> = &'f mut dyn FnMut(Range<'a>) -> io::Result<Box<dyn Member + 'a>>;

fn members<'a>(
    source: &'a dyn ReadAt,
    at: u64,
    name: &str,
    kind: Kind,
    open: Open<'_, 'a>,
    sink: &mut Sink<'_>,
) -> Covered {
    let current = Some(open(Range::new(source, at, u64::MAX))?);
    let mut members = Members { source, kind, open, current, at, end: None, contents: Vec::new() };
    sink.part(name, &mut members)?;
    let Members { end, contents, .. } = members;
    for (at, contents) in contents {
        sink.opened(at);
        sink.contents(contents.start, contents.end);
    }
    Ok(end.map(|end| end - at))
}

/// Members of one stream of which contents are told; what comes behind is looked at as well.
const CONTENTS_MAX: usize = 100_000;

struct Members<'f, 'a> {
    source: &'a dyn ReadAt,
    kind: Kind,
    open: Open<'f, 'a>,
    current: Option<Box<dyn Member + 'a>>,
    /// Where the current one begins.
    at: u64,
    /// Where members begin, and their contents.
    contents: Vec<(u64, std::ops::Range<u64>)>,
    /// Where the last member that was read ended.
    end: Option<u64>,
}

impl Read for Members<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        while let Some(current) = &mut self.current {
            match current.read(buffer)? {
                0 => self.next()?,
                count => return Ok(count),
            }
        }
        Ok(0)
    }
}

impl Members<'_, '_> {
    fn next(&mut self) -> io::Result<()> {
        let end = self.current.take().map(|current| current.end());
        let Some(end) = end else { return Ok(()) };
        self.end = Some(end);
        if let Some(head) = self.kind.head.filter(|_| self.contents.len() < CONTENTS_MAX) {
            let from = head(self.source, self.at).unwrap_or(end);
            self.contents.push((self.at, from..end));
        }
        self.at = end;
        let mut head = [0; 4];
        if fill(self.source, end, &mut head).is_ok() && (self.kind.goes_on)(&head) {
            self.current = Some((self.open)(Range::new(self.source, end, u64::MAX))?);
        }
        Ok(())
    }
}
