//! Base64 of either alphabet, on one line and wrapped.

use std::ops::Range;

use super::marks::{Marks, next_in_run};
use super::{BASE64, Decoded, HEX, RUN_MIN, hex, is, is_printable, plausible};

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

/// The password that stands in base64 or hex where others stand plainly: in FileZilla's
/// settings, in secrets of Kubernetes. Of those that are not, one in ten thousand is taken
/// for one.
pub(crate) fn password(text: &[u8]) -> Option<Vec<u8>> {
    const LEN_MIN: usize = 12;
    const DIGITS_MIN: usize = 16;
    // A number is a number.
    let is_number = text.iter().all(u8::is_ascii_digit);
    if text.len() >= DIGITS_MIN
        && !is_number
        && let Some(plain) = hex(text).filter(|plain| is_printable(plain))
    {
        return Some(plain);
    }
    if !text.len().is_multiple_of(4) || text.len() < LEN_MIN && !text.ends_with(b"=") {
        return None;
    }
    base64(text).filter(|plain| plain.len() >= 4 && is_printable(plain))
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
        if end - start >= LINE_MIN {
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

/// The end of the last line that goes on a run whose first line is `start..end`. Lines are as
/// long as the first and the last one shorter; those of LDIF after the first are longer. One
/// whose length is no multiple of four is gone on by a line of its own length alone: more
/// than one such stand beside each other in any list of words.
pub(super) fn join_lines(bytes: &[u8], start: usize, mut end: usize) -> usize {
    let is_entry = bytes[..start].ends_with(b":: ");
    let mut width = end - start;
    let is_whole = width.is_multiple_of(4);
    let mut lines = 1;
    loop {
        let Some(next) = next_line(bytes, end) else { return end };
        let len = count(&bytes[next..]);
        if is_entry && lines == 1 && bytes[next - 1] == b' ' {
            width = len;
        }
        if len == 0 || len > width || len < width && lines == 1 && !is_whole && !is_entry {
            return end;
        }
        lines += 1;
        end = next + len;
        if len < width {
            return end;
        }
    }
}

/// Where the letters of the next line begin, after those that end at `end`: behind blanks, or
/// what stands between strings of a program.
fn next_line(bytes: &[u8], end: usize) -> Option<usize> {
    let skip = |from: usize, most: usize, what: &[u8]| {
        from + bytes[from..].iter().take(most).take_while(|byte| what.contains(byte)).count()
    };
    let quote = bytes.get(end).copied().filter(|byte| matches!(byte, b'"' | b'\''));
    let ends = match quote {
        Some(_) => skip(end + 1, 4, b" \t,+\\."),
        None => end,
    };
    let line = skip(ends, 2, b"\r\n");
    let from = skip(line, 64, b" \t");
    let next = match quote {
        Some(quote) => {
            let from = skip(from, 2, b"+b ");
            (bytes.get(from) == Some(&quote)).then_some(from + 1)?
        }
        None => from,
    };
    (line > ends && (quote.is_some() || from - line <= 16)).then_some(next)
}

/// A run without what stands between the strings of a program that it is in.
fn unquoted(text: &[u8]) -> std::borrow::Cow<'_, [u8]> {
    if !text.iter().any(|byte| matches!(byte, b'"' | b'\'')) {
        return text.into();
    }
    let lines = text.split(|byte| *byte == b'\n').map(|line| {
        let quoted = line.split(|byte| matches!(byte, b'"' | b'\'')).max_by_key(|part| part.len());
        quoted.unwrap_or_default()
    });
    lines.collect::<Vec<_>>().concat().into()
}

/// What a run of base64 characters holds, as hex or as base64.
pub(crate) fn decode_run(
    bytes: &[u8],
    run: Range<usize>,
    is_container: impl Fn(&[u8]) -> bool,
) -> Option<Decoded> {
    let text = &*unquoted(&bytes[run.clone()]);
    // As databases write it: `0x6d79`, `\\x6d79`.
    let mark = [&b"0x"[..], b"0X", b"x"].into_iter().find(|mark| text.starts_with(mark));
    let text = match mark.and_then(|mark| text.strip_prefix(mark)) {
        Some(rest) if rest.len() >= 32 && rest[..32].iter().all(|byte| is(*byte, HEX)) => rest,
        _ => text,
    };
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
