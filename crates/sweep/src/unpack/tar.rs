//! Tar: ustar, GNU long names, pax. Sparse files come as they lie in the archive.

use super::bytes::{Range, byte, fill, name, take, until_zero};
use super::sink::{Covered, Sink, Stop};
use crate::read::ReadAt;

const BLOCK: u64 = 512;
/// Names and pax headers beyond this are nobody's.
const HEADER_BYTES_MAX: u64 = 1 << 20;

pub(super) fn unpack(source: &dyn ReadAt, start: u64, sink: &mut Sink<'_>) -> Covered {
    let mut at = start;
    let mut long = None;
    let mut pax = Pax::default();
    loop {
        let mut header = [0; BLOCK as usize];
        if fill(source, at, &mut header).is_err() {
            break;
        }
        if header.iter().all(|byte| *byte == 0) {
            // Two blocks of zeros end it; what follows is padding.
            at += BLOCK;
            while fill(source, at, &mut header).is_ok() && header.iter().all(|byte| *byte == 0) {
                at += BLOCK;
            }
            break;
        }
        if !has_sum(&header) {
            if at == start {
                return Err(Stop::damaged("the sum of a header of tar"));
            }
            sink.skip("", super::Skip::Damaged("the sum of a header of tar"));
            break;
        }
        let bytes = pax.bytes.take().or_else(|| number(&header[124..136]));
        let bytes = bytes.ok_or(Stop::damaged("a size in tar"))?;
        let data = at + BLOCK;
        let next = bytes.checked_next_multiple_of(BLOCK).and_then(|padded| data.checked_add(padded));
        let next = next.ok_or(Stop::damaged("a size in tar"))?;
        let kind = header[156];
        sink.opened(at);
        match kind {
            b'L' | b'K' | b'x' | b'g' => {
                sink.count()?;
                let text = take(source, data, bytes.min(HEADER_BYTES_MAX))?;
                match kind {
                    b'L' => long = Some(until_zero(&text).to_vec()),
                    b'x' => pax = Pax::parse(&text),
                    _ => {}
                }
            }
            _ => {
                let path = pax.path.take().or_else(|| long.take()).unwrap_or_else(|| plain(&header));
                pax = Pax::default();
                entry(kind, &name(&path), source, data, bytes, sink)?;
            }
        }
        at = next;
    }
    Ok(Some(at.min(source.len()) - start))
}

fn entry(
    kind: u8,
    name: &str,
    source: &dyn ReadAt,
    data: u64,
    bytes: u64,
    sink: &mut Sink<'_>,
) -> Result<(), Stop> {
    match kind {
        b'1' | b'2' => sink.link(name),
        b'3'..=b'6' => sink.count(),
        _ => {
            sink.part(name, &mut Range::new(source, data, bytes))?;
            sink.contents(data, data.saturating_add(bytes));
            if data.checked_add(bytes).is_none_or(|end| end > source.len()) {
                sink.skip(name, super::Skip::Damaged("it ends too early"));
            }
            Ok(())
        }
    }
}

/// Whether the sum of a header is right; some old writers took bytes as signed.
pub(super) fn has_sum(header: &[u8; 512]) -> bool {
    let Some(told) = number(&header[148..156]) else { return false };
    let is_sum = |index: usize| (148..156).contains(&index);
    let bytes = || header.iter().enumerate().map(|(index, byte)| if is_sum(index) { b' ' } else { *byte });
    let unsigned: u64 = bytes().map(u64::from).sum();
    let signed: i64 = bytes().map(|byte| i64::from(byte.cast_signed())).sum();
    told == unsigned || i64::try_from(told) == Ok(signed)
}

/// Octal, or base 256 where the first bit is set.
fn number(field: &[u8]) -> Option<u64> {
    if byte(field, 0) & 0x80 != 0 {
        let first = u64::from(byte(field, 0) & 0x7f);
        let shifted = |value: u64, byte: &u8| value.checked_mul(256)?.checked_add(u64::from(*byte));
        return field[1..].iter().try_fold(first, shifted);
    }
    let text = std::str::from_utf8(until_zero(field)).ok()?.trim();
    if text.is_empty() { Some(0) } else { u64::from_str_radix(text, 8).ok() }
}

fn plain(header: &[u8; 512]) -> Vec<u8> {
    let prefix = until_zero(&header[345..500]);
    let mut path = Vec::new();
    // GNU keeps times where POSIX has the prefix.
    if &header[257..263] == b"ustar\0" && !prefix.is_empty() {
        path.extend_from_slice(prefix);
        path.push(b'/');
    }
    path.extend_from_slice(until_zero(&header[..100]));
    path
}

#[derive(Default)]
struct Pax {
    path: Option<Vec<u8>>,
    bytes: Option<u64>,
}

impl Pax {
    /// Records of `length key=value\n`.
    fn parse(mut text: &[u8]) -> Self {
        let mut pax = Self::default();
        while let Some(space) = text.iter().position(|byte| *byte == b' ') {
            let length = std::str::from_utf8(&text[..space]).ok().and_then(|text| text.parse::<usize>().ok());
            let Some(record) = length.and_then(|length| text.get(space + 1..length)) else { break };
            let value =
                |key: &[u8]| record.strip_prefix(key).map(|value| value.strip_suffix(b"\n").unwrap_or(value));
            if let Some(path) = value(b"path=") {
                pax.path = Some(path.to_vec());
            }
            if let Some(size) = value(b"size=") {
                pax.bytes = std::str::from_utf8(size).ok().and_then(|size| size.parse().ok());
            }
            text = &text[length.unwrap_or(text.len())..];
        }
        pax
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_any_length_are_read_or_refused() {
        assert_eq!(number(b"0000644\0"), Some(0o644));
        assert_eq!(number(&[0x80, 0, 0, 0, 0, 0, 1, 2]), Some(258));
        assert_eq!(number(&[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2]), Some(258));
        assert_eq!(number(&[0xff; 12]), None);
        assert_eq!(number(b""), Some(0));
    }
}
