//! UTF-16.

use std::ops::Range;

use super::marks::{Marks, WIDE};
use super::{Decoded, STEP, Step};

/// What everything else stands between: ASCII and what Latin-1 adds.
const LATIN: u8 = 0;
/// Letters of other scripts side by side. Without Latin beside them they may be anything.
const OTHERS_MAX: usize = 64;

/// Text in UTF-16 of either order that begins in what is marked.
pub(crate) fn utf16(bytes: &[u8], marks: &Marks, mut decoded: impl FnMut(Decoded)) {
    const HIGH: u64 = 0xff00_ff00_ff00_ff00;
    let letter = |byte: u8| script(u16::from(byte)) == Some(LATIN);
    let own = &marks.own;
    let mut at = own.start;
    while let Some(next) = marks.next(WIDE, at) {
        at = own.start + (next - own.start).next_multiple_of(STEP);
        let Some(eight) = bytes.get(at..).and_then(|rest| rest.first_chunk()) else { return };
        let word = u64::from_le_bytes(*eight);
        // Zeros at every second place, and nothing else that is zero.
        let first = match (word & HIGH, word & !HIGH) {
            (0, 0) => None,
            (0, _) => Some(at),
            (_, 0) => Some(at + 1),
            _ => None,
        };
        let Some(first) = first.filter(|first| letter(bytes[*first])) else {
            at += STEP;
            continue;
        };
        let pair = |at: usize| matches!(bytes.get(at..at + 2), Some([byte, 0]) if letter(*byte));
        let mut start = first;
        while start >= own.start + 2 && pair(start - 2) {
            start -= 2;
        }
        let mut end = start;
        while pair(end) {
            end += 2;
        }
        if end - start >= 16 {
            // Letters of ASCII look the same in both orders. Of others, the order is what most
            // text has: its letters begin at even places.
            let of = |is_big: bool| {
                let at = start.checked_sub(usize::from(is_big)).filter(|at| *at >= own.start)?;
                let place = whole(bytes, at, own.start, is_big);
                (place.len() + 2 >= end - start).then_some((place, is_big))
            };
            let is_odd = start % 2 == 1;
            let (place, is_big) = of(is_odd).or_else(|| of(!is_odd)).unwrap_or((start..end, false));
            end = end.max(place.end);
            let (text, steps) = text(&bytes[place.clone()], is_big);
            decoded(Decoded { encoding: "utf-16", place, bytes: text.into_bytes(), steps });
        }
        at = end.max(at + STEP);
    }
}

/// With where its lines begin.
fn text(bytes: &[u8], is_big: bool) -> (String, Vec<Step>) {
    let units = bytes.chunks_exact(2).map(|two| unit([two[0], two[1]], is_big));
    let (mut text, mut steps, mut at) = (String::new(), Vec::new(), 0);
    for c in char::decode_utf16(units).map(|unit| unit.unwrap_or('\u{fffd}')) {
        text.push(c);
        at += 2 * c.len_utf16();
        if c == '\n' {
            steps.push(Step(text.len(), at));
        }
    }
    (text, steps)
}

fn unit(bytes: [u8; 2], is_big: bool) -> u16 {
    if is_big { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) }
}

/// Text around `at`, from `first` on: Latin, and what other scripts have between it or before.
fn whole(bytes: &[u8], at: usize, first: usize, is_big: bool) -> Range<usize> {
    let script = |at: usize| bytes.get(at..).and_then(|rest| script(unit(*rest.first_chunk()?, is_big)));
    let (mut start, mut others) = (at, None);
    while start >= first + 2 {
        others = match (script(start - 2), others) {
            (Some(LATIN), _) => None,
            (Some(script), None) => Some((script, 1)),
            (Some(script), Some((same, count))) if script == same && count < OTHERS_MAX => {
                Some((script, count + 1))
            }
            _ => break,
        };
        start -= 2;
    }
    let mut end = at;
    loop {
        let others =
            (0..OTHERS_MAX).take_while(|count| script(end + 2 * count).is_some_and(|of| of != LATIN));
        let next = end + 2 * others.count();
        if script(next) != Some(LATIN) {
            return start..end;
        }
        end = next + 2;
    }
}

/// A script, or several that are written together, by a number of its own.
fn script(unit: u16) -> Option<u8> {
    let is_letter = || char::from_u32(u32::from(unit)).is_some_and(char::is_alphanumeric);
    match unit {
        0x09 | 0x0a | 0x0d | 0x20..0x7f | 0xa0..0x100 => Some(LATIN),
        // Of China, Japan and Korea, with their signs and wide letters.
        0x3000..0xa000 | 0xac00..0xd7a4 | 0xff01..0xffef => Some(1),
        0x100..0x3000 if is_letter() => Some((unit >> 8) as u8 + 1),
        _ => None,
    }
}
