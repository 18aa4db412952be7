//! UTF-16.

use super::marks::{Marks, UTF16};
use super::{Decoded, STEP};

/// Text in UTF-16 of either order that begins in what is marked.
pub(crate) fn utf16(bytes: &[u8], marks: &Marks, mut decoded: impl FnMut(Decoded)) {
    const HIGH: u64 = 0xff00_ff00_ff00_ff00;
    let letter =
        |byte: u8| (0x20..0x7f).contains(&byte) || matches!(byte, b'\t' | b'\r' | b'\n') || byte >= 0xa0;
    let own = &marks.own;
    let mut at = own.start;
    while let Some(next) = marks.next(UTF16, at) {
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
            // The last letter of text in the other order has no zero behind it.
            let last = bytes.get(end).copied().filter(|byte| letter(*byte));
            let bytes = bytes[start..end].iter().copied().step_by(2).chain(last).collect();
            decoded(Decoded { encoding: "utf-16", place: start..end, bytes, steps: Vec::new() });
        }
        at = end.max(at + STEP);
    }
}
