//! Encodings in which a secret may stand, undone in memory: base64, hex, percent,
//! UTF-16, and the escapes of JSON, XML and quoted-printable.
//!
//! Bytes in hex may be apart: `52:54`, `52 54`, `0x52, 0x54`.
//!
//! Each looks for runs by samples, so that plain text costs little: a run of 24
//! characters cannot hide between samples that are 16 apart.

#[cfg(test)]
mod tests;

use std::ops::Range;
use std::sync::LazyLock;

use memchr::memmem::{self, Finder};

/// Runs shorter than this are left: nothing that a rule knows fits in.
const RUN_MIN: usize = 24;
const STEP: usize = 16;
/// A line of wrapped base64 has at least so many characters.
const LINE_MIN: usize = 40;
/// Around an escape, this much is decoded at once, in bytes before and after it.
const SEGMENT_BEFORE: usize = 1 << 10;
const SEGMENT_AFTER: usize = 8 << 10;

/// What an encoding held.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Decoded {
    pub(crate) encoding: &'static str,
    /// Where it stood.
    pub(crate) place: Range<usize>,
    pub(crate) bytes: Vec<u8>,
}

/// Lines around an escape that are read with it, in bytes.
const PARAGRAPH: usize = 2 << 10;

const BASE64: u8 = 1;
const HEX: u8 = 2;

const CLASS: [u8; 256] = {
    let mut class = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let c = byte as u8;
        if c.is_ascii_alphanumeric() || matches!(c, b'+' | b'/' | b'-' | b'_') {
            class[byte] |= BASE64;
        }
        if c.is_ascii_hexdigit() {
            class[byte] |= HEX;
        }
        byte += 1;
    }
    class
};

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

fn is(byte: u8, class: u8) -> bool {
    CLASS[usize::from(byte)] & class != 0
}

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

fn hex(text: &[u8]) -> Option<Vec<u8>> {
    let (pairs, []) = text.as_chunks::<2>() else { return None };
    pairs.iter().map(|[high, low]| pair(*high, *low)).collect()
}

/// The byte that two digits of hex are.
fn pair(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    Some(digit(high)? << 4 | digit(low)?)
}

/// None if there is nothing to decode.
pub(crate) fn percent(text: &[u8]) -> Option<Vec<u8>> {
    unescape(text, |rest| match rest {
        [b'%', high, low, ..] => Some((Few::byte(pair(*high, *low)?), 3)),
        _ => None,
    })
}

/// What one escape stands for: four bytes at most.
struct Few([u8; 4], usize);

impl Few {
    fn byte(byte: u8) -> Few {
        Few([byte, 0, 0, 0], 1)
    }

    fn letter(letter: char) -> Few {
        let mut few = Few([0; 4], letter.len_utf8());
        letter.encode_utf8(&mut few.0);
        few
    }

    fn bytes(&self) -> &[u8] {
        &self.0[..self.1]
    }
}

/// Replaces what `escape` knows, which says what stands there and how long it is.
fn unescape(text: &[u8], escape: impl Fn(&[u8]) -> Option<(Few, usize)>) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let (mut at, mut any) = (0, false);
    while let Some(&byte) = text.get(at) {
        match matches!(byte, b'%' | b'\\' | b'&' | b'=').then(|| escape(&text[at..])).flatten() {
            Some((few, len)) => {
                out.extend_from_slice(few.bytes());
                at += len;
                any = true;
            }
            None => {
                out.push(byte);
                at += 1;
            }
        }
    }
    any.then_some(out)
}

fn json(rest: &[u8]) -> Option<(Few, usize)> {
    let plain = |byte: u8| Some((Few::byte(byte), 2));
    match rest.get(1)? {
        b'u' => {
            let [a, b, c, d] = rest.get(2..)?.first_chunk()?;
            let c = char::from_u32(u32::from(u16::from_be_bytes([pair(*a, *b)?, pair(*c, *d)?])))?;
            Some((Few::letter(c), 6))
        }
        b'x' => Some((Few::byte(pair(*rest.get(2)?, *rest.get(3)?)?), 4)),
        b'n' | b'r' => plain(b'\n'),
        b't' => plain(b'\t'),
        byte @ (b'/' | b'"' | b'\\' | b'\'') => plain(*byte),
        _ => None,
    }
}

/// Strings of programs end with `\n`; a file inside a string has two or more, before the
/// line ends.
fn is_document(rest: &[u8]) -> bool {
    const NEAR: usize = 1 << 10;
    let near = &rest[..rest.len().min(NEAR)];
    let line = &near[..memchr::memchr(b'\n', near).unwrap_or(near.len())];
    memmem::find_iter(line, b"\\n").take(2).count() == 2
}

fn xml(rest: &[u8]) -> Option<(Few, usize)> {
    let end = rest.iter().take(10).position(|byte| *byte == b';')?;
    let name = std::str::from_utf8(&rest[1..end]).ok()?;
    let c = match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(digits) => u32::from_str_radix(digits, 16),
                None => number.parse(),
            };
            char::from_u32(code.ok()?)?
        }
    };
    Some((Few::letter(c), end + 1))
}

/// RFC 2045, 6.7: `=3D`, and `=` at the end of a line.
fn quoted_printable(rest: &[u8]) -> Option<(Few, usize)> {
    match rest {
        [b'=', b'\r', b'\n', ..] => Some((Few([0; 4], 0), 3)),
        [b'=', b'\n', ..] => Some((Few([0; 4], 0), 2)),
        [b'=', high, low, ..] => Some((Few::byte(pair(*high, *low)?), 3)),
        _ => None,
    }
}

/// Runs of base64 from `own.start` on that begin before `own.end`, with lines joined.
pub(crate) fn base64_runs(bytes: &[u8], own: Range<usize>, mut run: impl FnMut(Range<usize>)) {
    let mut done = own.start;
    let mut at = own.start;
    while let Some(inside) = next_in_run(bytes, at, own.end) {
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
        done = end.min(own.end);
        // The first middle is a step behind the end.
        at = end + STEP / 2;
    }
}

/// The next place from `at` on, before `end`, that may be inside a run which is long
/// enough: 22 characters and their padding. Such a run has the middle of a step in it and
/// one of its sides; most text has a sign of another kind among the three that are looked at.
fn next_in_run(bytes: &[u8], at: usize, end: usize) -> Option<usize> {
    // The step that begins in front of the end may reach beyond it.
    let at = at.min(end);
    let of = |byte: u8| CLASS[usize::from(byte)];
    let (steps, _) = bytes.get(at..end)?.as_chunks::<STEP>();
    let all = |part: &[u8]| part.iter().fold(BASE64, |class, byte| class & of(*byte)) != 0;
    let is_inside = |step: &[u8; STEP]| {
        of(step[8]) & (of(step[0]) & of(step[4]) | of(step[12]) & of(step[15])) & BASE64 != 0
            && (all(&step[..8]) || all(&step[8..]))
    };
    if let Some(index) = steps.iter().position(is_inside) {
        return Some(at + index * STEP + STEP / 2);
    }
    // What begins after the last middle.
    let rest = at.max((at + steps.len() * STEP).saturating_sub(STEP / 2));
    (rest..end).find(|at| is(bytes[*at], BASE64))
}

fn count(bytes: &[u8]) -> usize {
    let (eights, _) = bytes.as_chunks::<8>();
    let whole = 8 * eights.iter().take_while(|eight| eight.iter().all(|byte| is(*byte, BASE64))).count();
    whole + bytes[whole..].iter().take_while(|byte| is(**byte, BASE64)).count()
}

/// The end of the last line that goes on a run whose first line is `start..end`.
fn join_lines(bytes: &[u8], start: usize, mut end: usize) -> usize {
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

/// Whether bytes may be something that is worth reading: text, UTF-16, or, as
/// `is_container` says, the start of a container.
fn plausible(bytes: &[u8], is_container: impl Fn(&[u8]) -> bool) -> bool {
    // Marks of the order of bytes say that it is text.
    let mark = [b"\xff\xfe".as_slice(), b"\xfe\xff", b"\xef\xbb\xbf"];
    let bytes = mark.iter().find_map(|mark| bytes.strip_prefix(*mark)).unwrap_or(bytes);
    let start = &bytes[..bytes.len().min(48)];
    let text = |byte: &u8| (0x20..0x7f).contains(byte) || matches!(byte, b'\t' | b'\r' | b'\n');
    let printable = start.iter().filter(|byte| text(byte)).count();
    let zeros = start.iter().filter(|byte| **byte == 0).count();
    // Settings of routers are ended by zeros, and so are strings of programs.
    (printable + zeros) * 10 >= start.len() * 9 && printable * 5 >= start.len()
        || (zeros * 5 >= start.len() * 2 && (printable + zeros) * 10 >= start.len() * 9)
        // A private key in DER.
        || start.starts_with(&[0x30, 0x82])
        || start.starts_with(&[0x30, 0x81])
        || matches!(start, [0x30, 0x20..=0x7f, 0x02, 0x01, ..])
        || is_container(&bytes[..bytes.len().min(4096)])
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
            return Some(Decoded { encoding: "hex", place: run, bytes: decoded });
        }
    }
    // Most runs are words and paths: the first characters tell.
    if !base64(&text[..RUN_MIN]).is_some_and(|start| may(&start)) {
        return None;
    }
    let decoded = base64(text).or_else(|| base64(&text[..text.len() - 1]))?;
    looks(&decoded).then_some(Decoded { encoding: "base64", place: run, bytes: decoded })
}

/// What tells quoted-printable: an escaped `=`, and the end of a line that goes on.
static QUOTED: LazyLock<[Finder<'static>; 2]> =
    LazyLock::new(|| [Finder::new(b"=3D"), Finder::new(b"=\r\n")]);

/// Text in UTF-16 of either order that begins in `own`.
pub(crate) fn utf16(bytes: &[u8], own: Range<usize>, mut decoded: impl FnMut(Decoded)) {
    const HIGH: u64 = 0xff00_ff00_ff00_ff00;
    let letter =
        |byte: u8| (0x20..0x7f).contains(&byte) || matches!(byte, b'\t' | b'\r' | b'\n') || byte >= 0xa0;
    let word = |eight: &[u8]| u64::from_le_bytes(eight.try_into().expect("eight bytes"));
    let mut at = own.start;
    while let Some(rest) = bytes.get(at..).filter(|rest| at < own.end && rest.len() >= 8) {
        // Most bytes have none: that alone must cost next to nothing.
        let (steps, _) = rest[..rest.len().min(own.end - at)].as_chunks::<STEP>();
        let is_none = |step: &&[u8; STEP]| {
            let word = word(&step[..8]);
            word & HIGH != 0 && word & !HIGH != 0
        };
        let skipped = steps.iter().take_while(is_none).count() * STEP;
        if skipped > 0 {
            at += skipped;
            continue;
        }
        let word = word(&rest[..8]);
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
            decoded(Decoded { encoding: "utf-16", place: start..end, bytes });
        }
        at = end.max(at + STEP);
    }
}

/// Lines with escapes that begin in `own`, without them.
pub(crate) fn escapes(bytes: &[u8], own: Range<usize>, mut decoded: impl FnMut(Decoded)) {
    type Escape = fn(&[u8]) -> Option<(Few, usize)>;
    let kinds: [(&'static str, u8, Escape); 3] = [
        ("percent", b'%', |rest| match rest {
            [_, high, low, ..] => Some((Few::byte(pair(*high, *low)?), 3)),
            _ => None,
        }),
        ("json", b'\\', |rest| {
            json(rest).filter(|(few, _)| few.bytes().trim_ascii() == few.bytes() || is_document(rest))
        }),
        ("xml", b'&', xml),
    ];
    let mut done = [own.start; 3];
    for at in memchr::memchr3_iter(b'%', b'\\', b'&', &bytes[own.clone()]).map(|at| own.start + at) {
        let kind = kinds.iter().position(|(_, byte, _)| *byte == bytes[at]).unwrap_or_default();
        let (encoding, byte, escape) = kinds[kind];
        if at < done[kind] || escape(&bytes[at..]).is_none() {
            continue;
        }
        let place = match byte {
            b'&' => paragraph(bytes, at, line(bytes, at)),
            _ => line(bytes, at),
        };
        done[kind] = place.end;
        // Within the line, all escapes of the kind count.
        let all = |rest: &[u8]| match (rest.first() == Some(&byte), byte) {
            (false, _) => None,
            (true, b'\\') => json(rest),
            (true, _) => escape(rest),
        };
        if let Some(text) = unescape(&bytes[place.clone()], all) {
            decoded(Decoded { encoding, place, bytes: text });
        }
    }
    apart(bytes, own.clone(), &mut decoded);
    let mut end = own.start;
    let [escaped, broken] = &*QUOTED;
    let hits = escaped.find_iter(&bytes[own.clone()]);
    let breaks = broken.find_iter(&bytes[own.clone()]).filter(|at| is_full(bytes, own.start + at));
    let mut hits: Vec<usize> = hits.chain(breaks).map(|at| own.start + at).collect();
    hits.sort_unstable();
    for at in hits {
        if at < end {
            continue;
        }
        let place = soft_lines(bytes, at);
        end = place.end;
        if let Some(text) = unescape(&bytes[place.clone()], quoted_printable) {
            decoded(Decoded { encoding: "quoted-printable", place, bytes: text });
        }
    }
}

/// Bytes in hex that something stands between, and that begin in `own`.
fn apart(bytes: &[u8], own: Range<usize>, mut decoded: impl FnMut(Decoded)) {
    const APART_MIN: usize = 16;
    // What stands between two bytes, and how far apart they are.
    const BETWEEN: [&[u8]; 7] = [b":", b" ", b",", b"-", b", 0x", b",0x", b" 0x"];
    let mut at = own.start;
    while at < own.end {
        // Most text has none: that alone must cost next to nothing.
        let (steps, _) = bytes[at..own.end].as_chunks::<STEP>();
        at += steps.iter().take_while(|step| !may_be_apart(step)).count() * STEP;
        let Some(sample) = bytes.get(at..at + 12).filter(|_| at < own.end) else { return };
        let sampled = at;
        at += STEP;
        let first = sample.iter().take(6).find(|byte| !is(**byte, HEX));
        if !first.is_some_and(|byte| matches!(byte, b':' | b'-' | b' ' | b',' | b'x')) {
            continue;
        }
        let Some(between) = BETWEEN.into_iter().find(|between| repeats(sample, between)) else { continue };
        let step = 2 + between.len();
        let is_byte =
            |at: usize| matches!(bytes.get(at..at + 2), Some([high, low]) if is(*high, HEX) && is(*low, HEX));
        let Some(mut start) = (sampled..sampled + step)
            .find(|at| is_byte(*at) && bytes[at + 2..].starts_with(between) && is_byte(at + step))
        else {
            continue;
        };
        let earlier = |start: usize| {
            start >= own.start + step
                && is_byte(start - step)
                && bytes[start - between.len()..].starts_with(between)
        };
        while earlier(start) {
            start -= step;
        }
        let mut end = start;
        let mut out = Vec::new();
        while is_byte(end) {
            out.extend(pair(bytes[end], bytes[end + 1]));
            end += 2;
            end += gap(&bytes[end..], between);
        }
        if out.len() >= APART_MIN && plausible(&out, |_| false) {
            decoded(Decoded { encoding: "hex", place: start..end, bytes: out });
        }
        at = end.max(at);
    }
}

/// Whether one of three neighbours is a sign that stands there again two hex digits on, or
/// the sign of `0x` is there.
fn may_be_apart(sample: &[u8; STEP]) -> bool {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let of = |at: usize| CLASS[usize::from(sample[at])];
    let again = |at: usize| sample[at] == sample[at + 3] && of(at + 1) & of(at + 2) & HEX & !of(at) != 0;
    // A byte of 0 in eight has its high bit set then, and perhaps the one behind it.
    let zeros = |word: u64| word.wrapping_sub(EACH) & !word & (EACH << 7);
    let [first @ .., _, _, _, _, _, _, _, _] = *sample;
    let [_, _, _, third @ .., _, _, _, _, _] = *sample;
    let [_, _, second @ .., _, _, _, _, _, _] = *sample;
    let same = zeros(u64::from_le_bytes(first) ^ u64::from_le_bytes(third)) & 0xff_ffff;
    let hex = zeros(u64::from_le_bytes(second) ^ (EACH * u64::from(b'x')));
    same | hex != 0 && (hex != 0 || again(0) || again(1) || again(2))
}

/// How long the gap between two bytes is: as all are, or with the end of a line in it.
fn gap(rest: &[u8], between: &[u8]) -> usize {
    if rest.starts_with(between) {
        return between.len();
    }
    let sign = between.iter().take_while(|byte| matches!(byte, b',' | b':')).count();
    let blanks = |rest: &[u8]| rest.iter().take(24).take_while(|byte| byte.is_ascii_whitespace()).count();
    if !rest.starts_with(&between[..sign]) {
        return 0;
    }
    let blank = blanks(&rest[sign..]);
    let prefix = if between.ends_with(b"0x") { b"0x".as_slice() } else { b"" };
    match blank > 0 && rest[sign + blank..].starts_with(prefix) {
        true => sign + blank + prefix.len(),
        false => 0,
    }
}

/// Whether `between` stands in a sample twice, two digits apart.
fn repeats(sample: &[u8], between: &[u8]) -> bool {
    let step = 2 + between.len();
    (0..step.min(sample.len() - between.len())).any(|at| {
        sample[at..].starts_with(between)
            && sample
                .get(at + between.len()..at + step)
                .is_none_or(|two| two.iter().all(|byte| is(*byte, HEX)))
            && sample.get(at + step..at + step + 1).is_none_or(|next| next[0] == between[0])
    })
}

fn line(bytes: &[u8], at: usize) -> Range<usize> {
    let ends = |byte: &u8| matches!(byte, b'\n' | 0);
    let before = bytes[..at].iter().rev().take(SEGMENT_BEFORE).take_while(|byte| !ends(byte)).count();
    let after = bytes[at..].iter().take(SEGMENT_AFTER).take_while(|byte| !ends(byte)).count();
    at - before..at + after
}

/// Whether a line is as long as those that a mailer breaks (RFC 2045, 6.7: 76).
fn is_full(bytes: &[u8], at: usize) -> bool {
    (70..76).contains(&(at - line(bytes, at).start))
}

/// Lines that `=` at their ends joins.
fn soft_lines(bytes: &[u8], at: usize) -> Range<usize> {
    let mut place = line(bytes, at);
    let soft = |line: &[u8]| line.trim_ascii_end().ends_with(b"=");
    while place.start > 0 && at - place.start < SEGMENT_BEFORE {
        let before = line(bytes, place.start - 1);
        if before.is_empty() || !soft(&bytes[before.clone()]) {
            break;
        }
        place.start = before.start;
    }
    while place.end < bytes.len() && place.end - at < SEGMENT_AFTER && soft(&bytes[place.clone()]) {
        place.end = line(bytes, place.end + 1).end.max(place.end + 1).min(bytes.len());
    }
    // A key has its padding in its last line alone.
    while place.start > 0 && at - place.start < PARAGRAPH {
        let before = line(bytes, place.start - 1);
        if bytes[before.clone()].trim_ascii().is_empty() {
            break;
        }
        place.start = before.start;
    }
    paragraph(bytes, at, place)
}

/// With the lines that follow, up to an empty one: a name may stand above its value.
fn paragraph(bytes: &[u8], at: usize, mut place: Range<usize>) -> Range<usize> {
    while place.end + 1 < bytes.len() && place.end - place.start.max(at) < PARAGRAPH {
        let next = line(bytes, place.end + 1);
        if bytes[next.clone()].trim_ascii().is_empty() {
            break;
        }
        place.end = next.end;
    }
    place
}
