//! Text in Windows-1252, of which Latin-1 is a part: one byte a letter, as old cameras,
//! routers and editors write it.

use std::ops::Range;

use super::{Decoded, Step};

/// Around a name, in bytes.
const BEFORE: usize = 256;
const AFTER: usize = 2 << 10;

/// The letters from 0x80 to 0x9f; none stands for one that is no text.
const HIGH: [char; 32] = [
    '€', '\0', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\0', 'Ž', '\0', '\0', '‘', '’', '“',
    '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\0', 'ž', 'Ÿ',
];

/// Lines around `at`, if they are text in Windows-1252 and none in UTF-8.
pub(crate) fn latin(bytes: &[u8], own: &Range<usize>, at: usize) -> Option<Decoded> {
    let is_end = |byte: &u8| *byte < b' ' && *byte != b'\t';
    let line_end = at + bytes[at..].iter().take(AFTER).position(is_end)?;
    let from = at.saturating_sub(BEFORE).max(own.start);
    let start = bytes[from..at].iter().rposition(is_end).map_or(from, |end| from + end + 1);
    // The line decides; those that follow come along.
    if bytes[start..line_end].is_ascii() || !is_latin(&bytes[start..line_end]) {
        return None;
    }
    let is_none = |byte: &u8| *byte < b' ' && !matches!(byte, b'\t' | b'\r' | b'\n');
    let rest = &bytes[line_end..bytes.len().min(at + AFTER)];
    let end = line_end + rest.iter().position(is_none).unwrap_or(rest.len());
    let (mut text, mut steps) = (String::new(), Vec::new());
    for (number, &byte) in bytes[start..end].iter().enumerate() {
        text.push(letter(byte));
        if byte == b'\n' {
            steps.push(Step(text.len(), number + 1));
        }
    }
    Some(Decoded { encoding: "windows-1252", place: start..end, bytes: text.into_bytes(), steps })
}

/// No UTF-8, and few letters that are not of ASCII, as no other encoding of text has.
fn is_latin(line: &[u8]) -> bool {
    let high = line.iter().filter(|byte| !byte.is_ascii()).count();
    let is_letter = |byte: &u8| byte.is_ascii() || letter(*byte) != '\0';
    high * 4 <= line.len() && std::str::from_utf8(line).is_err() && line.iter().all(is_letter)
}

pub(super) fn letter(byte: u8) -> char {
    match byte {
        0x80..0xa0 => HIGH[usize::from(byte - 0x80)],
        _ => char::from(byte),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_in_one_byte_a_letter_are_read_and_others_are_not() {
        let text = |bytes: &[u8]| {
            let decoded = latin(bytes, &(0..bytes.len()), 2);
            decoded.map(|decoded| String::from_utf8_lossy(&decoded.bytes).into_owned())
        };
        assert_eq!(text(b"password=Gr\xf6\xdfe77\nb\n").as_deref(), Some("password=Größe77\nb\n"));
        assert_eq!(text(b"password=5\x80-77\n\0\0").as_deref(), Some("password=5€-77\n"));
        for other in [
            b"password=Gr\xc3\xb6\xc3\x9fe77\n".as_slice(),
            b"password=x\n\xf6\n",
            b"pa\xf6\xdf\xf6\xdf\xf6\xdf\n",
            b"password=\x81\x81 and more of it\n",
            b"password=\xf6",
        ] {
            assert_eq!(text(other), None, "{other:x?}");
        }
    }
}
