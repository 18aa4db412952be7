//! Numbers, ranges and names in foreign bytes.

use std::fmt::Write as _;
use std::io::{self, Read};

use super::Skip;
use super::sink::Stop;
use crate::read::ReadAt;

/// A view of `source` that reads on from a place, with a small buffer.
pub(super) struct Range<'a> {
    source: &'a dyn ReadAt,
    at: u64,
    end: u64,
    buffer: Vec<u8>,
    used: usize,
}

impl<'a> Range<'a> {
    pub(super) fn new(source: &'a dyn ReadAt, at: u64, bytes: u64) -> Self {
        let end = at.saturating_add(bytes).min(source.len());
        Self { source, at: at.min(end), end, buffer: Vec::new(), used: 0 }
    }

    /// How far was read, in bytes of the source.
    pub(super) fn position(&self) -> u64 {
        self.at - (self.buffer.len() - self.used) as u64
    }
}

impl Read for Range<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        use io::BufRead as _;
        if self.used == self.buffer.len() && out.len() >= 1 << 16 {
            let count = ((self.end - self.at) as usize).min(out.len());
            let count = self.source.read_at(self.at, &mut out[..count])?;
            self.at += count as u64;
            return Ok(count);
        }
        let ready = self.fill_buf()?;
        let count = ready.len().min(out.len());
        out[..count].copy_from_slice(&ready[..count]);
        self.consume(count);
        Ok(count)
    }
}

impl io::BufRead for Range<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.used == self.buffer.len() {
            let count = (self.end - self.at).min(1 << 14) as usize;
            self.buffer.resize(count, 0);
            self.used = 0;
            let result = self.source.read_at(self.at, &mut self.buffer);
            self.buffer.truncate(*result.as_ref().unwrap_or(&0));
            self.at += result? as u64;
        }
        Ok(&self.buffer[self.used..])
    }

    fn consume(&mut self, count: usize) {
        self.used = (self.used + count).min(self.buffer.len());
    }
}

/// A part of a source as a source of its own.
pub(super) struct Slice<'a> {
    source: &'a dyn ReadAt,
    at: u64,
    bytes: u64,
}

impl<'a> Slice<'a> {
    /// Cut off where the source ends.
    pub(super) fn new(source: &'a dyn ReadAt, at: u64, bytes: u64) -> Self {
        Self { source, at, bytes: bytes.min(source.len().saturating_sub(at)) }
    }
}

impl ReadAt for Slice<'_> {
    fn len(&self) -> u64 {
        self.bytes
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.bytes.saturating_sub(offset).min(buffer.len() as u64) as usize;
        if count == 0 { Ok(0) } else { self.source.read_at(self.at + offset, &mut buffer[..count]) }
    }

    fn data_from(&self, offset: u64) -> u64 {
        match offset < self.bytes {
            true => (self.source.data_from(self.at + offset) - self.at).min(self.bytes),
            false => offset,
        }
    }
}

/// Fills `buffer` from `at`.
pub(super) fn fill(source: &dyn ReadAt, mut at: u64, mut buffer: &mut [u8]) -> Result<(), Stop> {
    while !buffer.is_empty() {
        match source.read_at(at, buffer)? {
            0 => return Err(Stop::damaged("it ends too early")),
            count => {
                buffer = &mut buffer[count..];
                at += count as u64;
            }
        }
    }
    Ok(())
}

/// `bytes` from `at`, which must be there: nothing is allocated for a claim.
pub(super) fn take(source: &dyn ReadAt, at: u64, bytes: u64) -> Result<Vec<u8>, Stop> {
    if at.checked_add(bytes).is_none_or(|end| end > source.len()) {
        return Err(Stop::damaged("it ends too early"));
    }
    if bytes > 64 << 20 {
        return Err(Stop::Skip(Skip::TooLarge));
    }
    let mut buffer = vec![0; bytes as usize];
    fill(source, at, &mut buffer)?;
    Ok(buffer)
}

/// `N` bytes at `at` of a slice.
pub(super) fn array<const N: usize>(data: &[u8], at: usize) -> Result<[u8; N], Stop> {
    let end = at.checked_add(N).ok_or(Stop::damaged("it ends too early"))?;
    let slice = data.get(at..end).ok_or(Stop::damaged("it ends too early"))?;
    Ok(slice.try_into().expect("a slice of N bytes"))
}

macro_rules! numbers {
    ($($name:ident $type:ident $from:ident;)*) => {$(
        pub(super) fn $name(data: &[u8], at: usize) -> Result<$type, Stop> {
            Ok($type::$from(array(data, at)?))
        }
    )*};
}
numbers! {
    le16 u16 from_le_bytes; le32 u32 from_le_bytes; le64 u64 from_le_bytes;
    be16 u16 from_be_bytes; be32 u32 from_be_bytes; be64 u64 from_be_bytes;
}

/// A byte; 0 behind the end.
pub(super) fn byte(data: &[u8], at: usize) -> u8 {
    data.get(at).copied().unwrap_or(0)
}

/// What stands before the first zero.
pub(super) fn until_zero(data: &[u8]) -> &[u8] {
    data.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// A foreign name as text that is safe to show: control characters, what turns the
/// direction of writing, and bytes that are no UTF-8 are escaped.
pub(super) fn name(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes[..bytes.len().min(4096)].utf8_chunks() {
        for letter in chunk.valid().chars() {
            push(&mut text, letter);
        }
        for byte in chunk.invalid() {
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

/// The same for UTF-16, of either order.
pub(super) fn name16(units: impl Iterator<Item = u16>) -> String {
    let mut text = String::new();
    for letter in char::decode_utf16(units.take(1024)) {
        match letter {
            Ok(letter) => push(&mut text, letter),
            Err(err) => {
                let _ = write!(text, "\\u{{{:x}}}", err.unpaired_surrogate());
            }
        }
    }
    text
}

fn push(text: &mut String, letter: char) {
    let turns = matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if letter.is_control() || turns {
        let _ = write!(text, "\\u{{{:x}}}", u32::from(letter));
    } else {
        text.push(letter);
    }
}

/// Little-endian UTF-16 in bytes.
pub(super) fn units(bytes: &[u8]) -> impl Iterator<Item = u16> {
    bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
}

/// `folder/name`, without a slash before what lies at the top.
pub(super) fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

/// CRC-32 of IEEE 802.3 begun with `crc` and neither inverted before nor after.
pub(super) fn crc32_raw(crc: u32, data: &[u8]) -> u32 {
    data.iter().fold(crc, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & 0_u32.wrapping_sub(crc & 1)))
    })
}

/// A reader of pieces that `next` brings, one after the other, until it has none.
pub(super) struct Pieces<F> {
    next: F,
    piece: Vec<u8>,
    used: usize,
}

impl<F: FnMut() -> Result<Option<Vec<u8>>, Stop>> Pieces<F> {
    pub(super) fn new(next: F) -> Self {
        Self { next, piece: Vec::new(), used: 0 }
    }
}

impl<F: FnMut() -> Result<Option<Vec<u8>>, Stop>> Read for Pieces<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.used == self.piece.len() {
            match (self.next)().map_err(super::sink::inside)? {
                Some(piece) => (self.piece, self.used) = (piece, 0),
                None => return Ok(0),
            }
        }
        let count = buffer.len().min(self.piece.len() - self.used);
        buffer[..count].copy_from_slice(&self.piece[self.used..self.used + count]);
        self.used += count;
        Ok(count)
    }
}
