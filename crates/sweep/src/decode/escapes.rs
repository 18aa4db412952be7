//! Escapes: percent, JSON, XML and quoted-printable.

use std::collections::VecDeque;
use std::ops::Range;

use super::marks::{ESCAPE, Marks, QUOTED};
use super::{Decoded, Step, pair};

/// Around an escape, this much is decoded at once, in bytes before and after it.
const SEGMENT_BEFORE: usize = 1 << 10;

const SEGMENT_AFTER: usize = 8 << 10;

/// Lines around an escape that are read with it, in bytes.
const PARAGRAPH: usize = 2 << 10;

/// The same of a mail, whose only escape may be the padding of a key of 6 KiB: RSA of 8192
/// bits, with its certificate before it. Each byte is read twice for it at most.
const LETTER: usize = 16 << 10;

/// None if there is nothing to decode.
pub(crate) fn percent(text: &[u8]) -> Option<Vec<u8>> {
    unescape(text, |rest| match rest {
        [b'%', high, low, ..] => Some((Few::byte(pair(*high, *low)?), 3)),
        _ => None,
    })
    .map(|(text, _)| text)
}

/// What one escape stands for: four bytes at most.
pub(super) struct Few([u8; 4], usize);

impl Few {
    fn byte(byte: u8) -> Few {
        Few([byte, 0, 0, 0], 1)
    }

    fn letter(letter: char) -> Few {
        let mut few = Few([0; 4], letter.len_utf8());
        letter.encode_utf8(&mut few.0);
        few
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0[..self.1]
    }
}

/// Replaces what `escape` knows, which says what stands there and how long it is; and
/// where lines begin.
fn unescape(text: &[u8], escape: impl Fn(&[u8]) -> Option<(Few, usize)>) -> Option<(Vec<u8>, Vec<Step>)> {
    let (mut out, mut steps) = (Vec::with_capacity(text.len()), Vec::new());
    let (mut at, mut any) = (0, false);
    while let Some(&byte) = text.get(at) {
        let len = match matches!(byte, b'%' | b'\\' | b'&' | b'=').then(|| escape(&text[at..])).flatten() {
            Some((few, len)) => {
                out.extend_from_slice(few.bytes());
                any = true;
                len
            }
            None => {
                out.push(byte);
                1
            }
        };
        at += len;
        if text[at - 1] == b'\n' {
            steps.push(Step(out.len(), at));
        }
    }
    any.then_some((out, steps))
}

fn json(rest: &[u8]) -> Option<(Few, usize)> {
    let plain = |byte: u8| Some((Few::byte(byte), 2));
    match rest.get(1)? {
        b'u' if rest.get(2) == Some(&b'{') => {
            let digits = &rest[3..3 + rest[3..].iter().take(7).position(|byte| *byte == b'}')?];
            let code = u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
            Some((Few::letter(char::from_u32(code)?), digits.len() + 4))
        }
        b'u' => {
            let [a, b, c, d] = rest.get(2..)?.first_chunk()?;
            let c = char::from_u32(u32::from(u16::from_be_bytes([pair(*a, *b)?, pair(*c, *d)?])))?;
            Some((Few::letter(c), 6))
        }
        b'x' => Some((Few::byte(pair(*rest.get(2)?, *rest.get(3)?)?), 4)),
        // Octal digits, as C has them.
        high @ b'0'..=b'3' => {
            let [middle @ b'0'..=b'7', low @ b'0'..=b'7', ..] = rest.get(2..)? else { return None };
            Some((Few::byte((*high - b'0') << 6 | (*middle - b'0') << 3 | (*low - b'0')), 4))
        }
        b'n' | b'r' => plain(b'\n'),
        b't' => plain(b'\t'),
        byte @ (b'/' | b'"' | b'\\' | b'\'') => plain(*byte),
        _ => None,
    }
}

/// Strings of programs end with `\n`; a file inside a string has two or more, before the
/// line ends. Asked of one place after the other, and each byte is looked at once.
#[derive(Default)]
struct Documents {
    looked: usize,
    /// Where an escaped end of a line is, or a real one.
    ends: VecDeque<(usize, bool)>,
}

impl Documents {
    fn at(&mut self, bytes: &[u8], at: usize) -> bool {
        const NEAR: usize = 1 << 10;
        let (from, to) = (self.looked.max(at), bytes.len().min(at + NEAR - 1));
        for sign in memchr::memchr2_iter(b'\n', b'\\', bytes.get(from..to).unwrap_or_default()) {
            match &bytes[from + sign..] {
                [b'\n', ..] => self.ends.push_back((from + sign, false)),
                [_, b'n', ..] => self.ends.push_back((from + sign, true)),
                _ => {}
            }
        }
        self.looked = from.max(to);
        while self.ends.front().is_some_and(|(end, _)| *end < at) {
            self.ends.pop_front();
        }
        self.ends.len() >= 2 && self.ends.iter().take(2).all(|(_, is_escaped)| *is_escaped)
    }
}

/// What `rest` begins with, and how long it is.
pub(super) fn xml(rest: &[u8]) -> Option<(Few, usize)> {
    let name = rest.strip_prefix(b"&")?;
    let end = name.iter().take(9).position(|byte| *byte == b';')?;
    let name = std::str::from_utf8(&name[..end]).ok()?;
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
    Some((Few::letter(c), end + 2))
}

/// A file in a form (`application/x-www-form-urlencoded`): its blanks are `+`.
fn form_blanks(bytes: &[u8]) -> Option<Vec<u8>> {
    let has = |end: &[u8]| memchr::memmem::find(bytes, end).is_some();
    let is_form = bytes.contains(&b'+') && (has(b"%0A") || has(b"%0a"));
    is_form.then(|| bytes.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect())
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

/// Lines with escapes that begin in what is marked, without them.
pub(crate) fn escapes(bytes: &[u8], marks: &Marks, mut decoded: impl FnMut(Decoded)) {
    type Escape = fn(&[u8]) -> Option<(Few, usize)>;
    let kinds: [(&'static str, u8, Escape); 3] = [
        ("percent", b'%', |rest| match rest {
            [_, high, low, ..] => Some((Few::byte(pair(*high, *low)?), 3)),
            _ => None,
        }),
        ("json", b'\\', json),
        ("xml", b'&', xml),
    ];
    let (mut done, mut documents) = ([0; 3], Documents::default());
    let signs = marks.stretches(ESCAPE).flat_map(|stretch| {
        let from = stretch.start;
        memchr::memchr3_iter(b'%', b'\\', b'&', &bytes[stretch]).map(move |at| from + at)
    });
    for at in signs {
        let kind = kinds.iter().position(|(_, byte, _)| *byte == bytes[at]).unwrap_or_default();
        let (encoding, byte, escape) = kinds[kind];
        let Some((few, _)) = escape(&bytes[at..]).filter(|_| at >= done[kind]) else { continue };
        let is_blank = byte == b'\\' && few.bytes().trim_ascii() != few.bytes();
        if is_blank && !documents.at(bytes, at) {
            continue;
        }
        let place = match byte {
            b'&' => paragraph(bytes, at, line(bytes, at), PARAGRAPH),
            _ => line(bytes, at),
        };
        done[kind] = place.end;
        // Within the line, all escapes of the kind count.
        let all = |rest: &[u8]| escape(rest).filter(|_| rest.first() == Some(&byte));
        let form = if byte == b'%' { form_blanks(&bytes[place.clone()]) } else { None };
        let escaped = form.as_deref().unwrap_or(&bytes[place.clone()]);
        if let Some((text, steps)) = unescape(escaped, all) {
            decoded(Decoded { encoding, place, bytes: text, steps });
        }
    }
    let mut end = 0;
    // An escaped `=` or tab, two bytes of a letter that is not in ASCII, and the end of a line
    // that goes on.
    let is_high = |digit: u8| matches!(digit, b'8' | b'9' | b'A'..=b'F');
    let is_digit = |digit: u8| matches!(digit, b'0'..=b'9' | b'A'..=b'F');
    let is_quoted = |at: &usize| match bytes.get(*at..).unwrap_or_default() {
        [b'=', b'3', b'D', ..] | [b'=', b'0', b'9', ..] => true,
        [b'=', a, b, b'=', c, d, ..] if is_high(*a) && is_high(*c) => is_digit(*b) && is_digit(*d),
        [b'=', b'\r', b'\n', ..] | [b'=', b'\n', ..] => is_full(bytes, *at),
        _ => false,
    };
    for at in marks.stretches(QUOTED).flatten().filter(is_quoted) {
        if at < end {
            continue;
        }
        let place = soft_lines(bytes, at);
        end = place.end;
        if let Some((text, steps)) = unescape(&bytes[place.clone()], quoted_printable) {
            decoded(Decoded { encoding: "quoted-printable", place, bytes: text, steps });
        }
    }
}

/// Lines with words of headers of mails (RFC 2047), `=?utf-8?Q?…?=`, that begin in what is marked.
pub(crate) fn headers(bytes: &[u8], marks: &Marks, mut decoded: impl FnMut(Decoded)) {
    let mut end = marks.own.start;
    for at in marks.stretches(QUOTED).flatten() {
        if at < end || !bytes[at..].starts_with(b"=?") || word(&bytes[at..]).is_none() {
            continue;
        }
        let place = line(bytes, at);
        end = place.end;
        let line = &bytes[place.clone()];
        let (mut text, mut from) = (Vec::with_capacity(line.len()), 0);
        while from < line.len() {
            match word(&line[from..]) {
                Some((letters, len)) => {
                    text.extend(letters);
                    from += len;
                    // Blanks between two words are none.
                    let blanks = line[from..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
                    from += if line[from + blanks..].starts_with(b"=?") { blanks } else { 0 };
                }
                None => {
                    text.push(line[from]);
                    from += 1;
                }
            }
        }
        decoded(Decoded { encoding: "header", place, bytes: text, steps: Vec::new() });
    }
}

/// What an encoded word says, and how long it is.
fn word(rest: &[u8]) -> Option<(Vec<u8>, usize)> {
    const WORD_MAX: usize = 400;
    let inner = rest.strip_prefix(b"=?")?;
    let inner = &inner[..inner.len().min(WORD_MAX)];
    let charset = memchr::memchr(b'?', inner).filter(|len| (2..=32).contains(len))?;
    let [kind, b'?', text @ ..] = &inner[charset + 1..] else { return None };
    let len = memchr::memmem::find(text, b"?=")?;
    let text = &text[..len];
    let letters = match kind {
        b'Q' | b'q' => {
            let blanks: Vec<u8> = text.iter().map(|byte| if *byte == b'_' { b' ' } else { *byte }).collect();
            unescape(&blanks, quoted_printable).map_or(blanks, |(letters, _)| letters)
        }
        b'B' | b'b' => super::base64(text)?,
        _ => return None,
    };
    let is_utf8 = inner[..charset].eq_ignore_ascii_case(b"utf-8");
    let letters = match is_utf8 {
        true => letters,
        false => letters.iter().map(|byte| super::latin::letter(*byte)).collect::<String>().into_bytes(),
    };
    Some((letters, 2 + charset + 3 + len + 2))
}

/// Whether this stands in quoted-printable or in a word of a header, which are read by
/// themselves: as it stands here, it is none.
pub(crate) fn is_quoted(bytes: &[u8], secret: &Range<usize>) -> bool {
    let text = &bytes[secret.clone()];
    let before = line(bytes, secret.start).start;
    if memchr::memmem::find(text, b"?=").is_some() {
        let open = memchr::memmem::rfind(&bytes[before..secret.start], b"=?");
        return open.is_some_and(|open| word(&bytes[before + open..]).is_some());
    }
    let is_letter =
        |four: &[u8]| matches!(four, [b'=', b'C' | b'D' | b'E', _, b'=', b'8' | b'9' | b'A' | b'B', _]);
    text.windows(6).any(is_letter)
        && unescape(text, quoted_printable).is_some_and(|(text, _)| std::str::from_utf8(&text).is_ok())
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
    while place.start > 0 && at - place.start < LETTER {
        let before = line(bytes, place.start - 1);
        if bytes[before.clone()].trim_ascii().is_empty() {
            break;
        }
        place.start = before.start;
    }
    paragraph(bytes, at, place, LETTER)
}

/// With the lines that follow, up to an empty one: a name may stand above its value.
fn paragraph(bytes: &[u8], at: usize, mut place: Range<usize>, most: usize) -> Range<usize> {
    while place.end + 1 < bytes.len() && place.end - place.start.max(at) < most {
        let next = line(bytes, place.end + 1);
        if bytes[next.clone()].trim_ascii().is_empty() {
            break;
        }
        place.end = next.end;
    }
    place
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_headers_are_read() {
        let read = |text: &str| {
            let (bytes, mut found) = (text.as_bytes(), Vec::new());
            headers(bytes, &Marks::new(bytes, 0..bytes.len()), |decoded| found.push(decoded.bytes));
            found.iter().map(|text| String::from_utf8_lossy(text).into_owned()).collect::<Vec<_>>().join("|")
        };
        assert_eq!(
            read("Subject: =?utf-8?Q?Zugang_Passwort=3A_K=C3=A4se5?=\n"),
            "Subject: Zugang Passwort: Käse5"
        );
        assert_eq!(read("Subject: =?iso-8859-1?q?K=E4?= =?UTF-8?B?c2U1?= x\n"), "Subject: Käse5 x");
        for none in ["a =?b", "=?x?Q", "=?utf-8?X?a?=", "=?utf-8?B?*?=", "=??Q?a?=", "? =? ?="] {
            assert_eq!(read(&format!("{none} and more of the line here\n")), "", "{none}");
        }
        let line = b"Subject: =?utf-8?Q?Passwort=3A_Heide5?=\nKennwort: K=C3=A4sekuchen4 a=3D=3D";
        assert!(is_quoted(line, &(27..39)) && is_quoted(line, &(50..66)));
        assert!(!is_quoted(line, &(67..74)) && !is_quoted(line, &(50..53)));
    }

    /// The attack: a line of tabs, at each of which the next kibibyte would be looked at.
    #[test]
    fn each_byte_is_looked_at_once_for_documents() {
        let near = |rest: &[u8]| {
            let rest = &rest[..rest.len().min(1 << 10)];
            let line = rest.split(|byte| *byte == b'\n').next().unwrap_or_default();
            memchr::memmem::find_iter(line, b"\\n").take(2).count() == 2
        };
        let mut random = fastrand::Rng::with_seed(11);
        let parts = ["\\t", "\\n", "\n", "word", "\\", &" ".repeat(300)];
        let text: String = (0..4000).map(|_| parts[random.usize(..parts.len())]).collect();
        let (text, mut documents) = (text.as_bytes(), Documents::default());
        for at in memchr::memchr_iter(b'\\', text) {
            let looked = documents.looked;
            assert_eq!(documents.at(text, at), near(&text[at..]), "{at}");
            assert!(documents.looked >= looked && documents.looked <= at.max(looked) + (1 << 10));
        }
    }
}
