//! Images of U-Boot with the header of old: one payload, or several.

use super::bytes::{Range, Slice, be32, name, take, until_zero};
use super::codec::window_kib;
use super::sink::{Covered, Sink, Stop};
use super::{Skip, inner};
use crate::read::ReadAt;

const HEADER: u64 = 64;
const MULTI: u8 = 4;
const LZMA: u8 = 3;

pub(super) fn unpack(source: &dyn ReadAt, start: u64, sink: &mut Sink<'_>) -> Covered {
    let head = take(source, start, HEADER)?;
    if !begins(&head) {
        return Err(Stop::damaged("the header of a uImage"));
    }
    let bytes = u64::from(be32(&head, 12)?);
    let whole = Slice::new(source, start + HEADER, bytes);
    if whole.len() < bytes {
        sink.skip("", Skip::Damaged("it ends too early"));
    }
    let text = match name(until_zero(&head[32..])) {
        text if text.is_empty() => "image".to_owned(),
        text => text,
    };
    let covered = HEADER + whole.len();
    if head[30] != MULTI {
        payload(&whole, 0, bytes, head[31], &text, sink)?;
        return Ok(Some(covered));
    }
    let mut sizes = Vec::new();
    while sizes.len() < 64 {
        match be32(&take(&whole, sizes.len() as u64 * 4, 4)?, 0)? {
            0 => break,
            size => sizes.push(u64::from(size)),
        }
    }
    let mut at = (sizes.len() as u64 + 1) * 4;
    for (index, size) in sizes.into_iter().enumerate() {
        payload(&whole, at, size, head[31], &format!("{text} {index}"), sink)?;
        at += size.next_multiple_of(4);
    }
    Ok(Some(covered))
}

fn payload(
    whole: &dyn ReadAt,
    at: u64,
    bytes: u64,
    codec: u8,
    text: &str,
    sink: &mut Sink<'_>,
) -> Result<(), Stop> {
    let result = match codec {
        LZMA => {
            let range = Range::new(whole, at, bytes);
            let reader = lzma_rust2::LzmaReader::new_mem_limit(range, window_kib(sink.limits), None);
            reader.map_err(Stop::from).and_then(|mut reader| sink.part(text, &mut reader))
        }
        _ => inner(text, &Slice::new(whole, at, bytes), sink),
    };
    sink.guard(text, result)
}

/// Whether the sum of a header is right.
pub(super) fn begins(head: &[u8]) -> bool {
    let Some(head) = head.get(..HEADER as usize) else { return false };
    let mut sum = flate2::Crc::new();
    sum.update(&head[..4]);
    sum.update(&[0; 4]);
    sum.update(&head[8..]);
    head[..4] == [0x27, 0x05, 0x19, 0x56] && be32(head, 4).is_ok_and(|told| told == sum.sum())
}
