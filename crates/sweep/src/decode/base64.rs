//! Base64 of either alphabet, on one line and wrapped.

use std::ops::Range;

use super::marks::{Marks, next_in_run};
use super::{BASE64, Decoded, HEX, RUN_MIN, hex, is, plausible};

/// A line of wrapped base64 has at least so many characters.
pub(super) const LINE_MIN: usize = 40;

/// What a letter of base64 stands for, in either alphabet.
const VALUE: [u8; 256] = {
    let mut value = [OTHER; 256];
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut index = 0;
    while index < letters.len() {
        value[letters[index] as usize] = index as u8;
        index += 1;
    }
    value[b'-' as usize] = 62;
    value[b'_' as usize] = 63;
    value
};

const OTHER: u8 = 0x80;

/// Base64 with or without padding, of either alphabet; blanks and ends of lines do
/// not count. None if it is something else.
pub(crate) fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3 + 3);
    let (mut bits, mut held, mut padding) = (0_u32, 0, 0);
    let mut text = text;
    // Four letters at a time, as long as nothing stands between them.
    while let Some(([a, b, c, d], rest)) = text.split_first_chunk() {
        let value = |byte: &u8| u32::from(VALUE[usize::from(*byte)]);
        let [a, b, c, d] = [value(a), value(b), value(c), value(d)];
        if (a | b | c | d) & u32::from(OTHER) != 0 {
            break;
        }
        let [_, three @ ..] = (a << 18 | b << 12 | c << 6 | d).to_be_bytes();
        out.extend_from_slice(&three);
        text = rest;
    }
    for &byte in text {
        let value = match byte {
            b'=' => {
                padding += 1;
                continue;
            }
            b' ' | b'\t' | b'\r' | b'\n' => continue,
            _ => VALUE[usize::from(byte)],
        };
        if value == OTHER {
            return None;
        }
        if padding > 0 {
            return None;
        }
        bits = bits << 6 | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push((bits >> held) as u8);
        }
    }
    (padding <= 2 && held < 6).then_some(out)
}

/// Runs of base64 from the start of what is marked on that begin before its end, with
/// lines joined.
pub(crate) fn base64_runs(bytes: &[u8], marks: &Marks, mut run: impl FnMut(Range<usize>)) {
    let Range { start: mut done, end: last } = marks.own;
    let mut at = done;
    while let Some(inside) = next_in_run(bytes, marks, at) {
        let back = bytes[done..inside].iter().rev().take_while(|byte| is(**byte, BASE64)).count();
        let start = inside - back;
        let mut end = inside + count(&bytes[inside..]);
        if end - start >= LINE_MIN && (end - start).is_multiple_of(4) {
            end = join_lines(bytes, start, end);
        }
        end += bytes[end..].iter().take(2).take_while(|byte| **byte == b'=').count();
        if end - start >= RUN_MIN {
            run(start..end);
        }
        done = end.min(last);
        at = end;
    }
}

fn count(bytes: &[u8]) -> usize {
    let (eights, _) = bytes.as_chunks::<8>();
    let whole = 8 * eights.iter().take_while(|eight| eight.iter().all(|byte| is(*byte, BASE64))).count();
    whole + bytes[whole..].iter().take_while(|byte| is(**byte, BASE64)).count()
}

/// The end of the last line that goes on a run whose first line is `start..end`.
pub(super) fn join_lines(bytes: &[u8], start: usize, mut end: usize) -> usize {
    let width = end - start;
    loop {
        let rest = &bytes[end..];
        let ends = rest.iter().take(2).take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        if ends == 0 {
            return end;
        }
        let blanks = rest[ends..].iter().take(16).take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        let next = end + ends + blanks;
        let len = count(&bytes[next..]);
        if len == 0 || len > width {
            return end;
        }
        end = next + len;
        if len < width {
            return end;
        }
    }
}

/// What a run of base64 characters holds, as hex or as base64.
pub(crate) fn decode_run(
    bytes: &[u8],
    run: Range<usize>,
    is_container: impl Fn(&[u8]) -> bool,
) -> Option<Decoded> {
    let text = &bytes[run.clone()];
    // Of zlib, a few bytes tell nothing but that it may be.
    let zlib = |decoded: &[u8]| matches!(decoded, [0x78, 0x01 | 0x5e | 0x9c | 0xda, ..]);
    let looks = |decoded: &[u8]| decoded.len() >= 12 && plausible(decoded, &is_container);
    let may = |start: &[u8]| looks(start) || zlib(start);
    if text.iter().take(32).all(|byte| is(*byte, HEX)) {
        let digits = text.iter().take_while(|byte| is(**byte, HEX)).count() & !1;
        if digits >= 32 && hex(&text[..32]).is_some_and(|start| may(&start)) {
            let decoded = hex(&text[..digits]).filter(|decoded| looks(decoded))?;
            return Some(Decoded { encoding: "hex", place: run, bytes: decoded, steps: Vec::new() });
        }
    }
    // Most runs are words and paths: the first characters tell.
    if !base64(&text[..RUN_MIN]).is_some_and(|start| may(&start)) {
        return None;
    }
    let decoded = base64(text).or_else(|| base64(&text[..text.len() - 1]))?;
    looks(&decoded).then_some(Decoded { encoding: "base64", place: run, bytes: decoded, steps: Vec::new() })
}
