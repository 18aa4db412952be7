//! Encodings in which a secret may stand, undone in memory: base64, hex, dumps of bytes,
//! arrays of numbers, percent, UTF-16, UTF-32, Windows-1252, and the escapes of C, JSON, XML,
//! quoted-printable and headers of mails; strings of MessagePack, CBOR and pickles; and the
//! text of documents: HTML and what is like it, sheets, pages of PDF, RTF.
//!
//! Bytes in hex may be apart: `52:54`, `52 54`, `0x52, 0x54`.
//!
//! Each looks for runs by samples, so that plain text costs little: a run of 24
//! characters cannot hide between samples that are 16 apart.

mod apart;
mod base64;
mod dump;
mod escapes;
mod lanes;
mod latin;
mod marks;
mod markup;
mod packed;
mod page;
mod rows;
mod rtf;
mod sheet;
#[cfg(test)]
mod tests;
mod utf16;
mod utf32;

use std::ops::Range;

pub(crate) use apart::apart;
pub(crate) use base64::{base64, base64_runs, decode_run, password};
pub(crate) use dump::{dumps, numbers};
pub(crate) use escapes::{escapes, headers, is_quoted, percent};
pub(crate) use latin::latin;
pub(crate) use marks::Marks;
pub(crate) use markup::markup;
pub(crate) use packed::packed;
pub(crate) use page::{Codes, Font, page, reference, references, streams};
pub(crate) use rows::Rows;
pub(crate) use rtf::{MAGIC as RTF, rtf};
pub(crate) use sheet::{names, sheet, strings};
pub(crate) use utf16::utf16;
pub(crate) use utf32::utf32;

/// Runs shorter than this are left: nothing that a rule knows fits in.
const RUN_MIN: usize = 24;

const STEP: usize = 16;

/// What an encoding held.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Decoded {
    pub(crate) encoding: &'static str,
    /// Where it stood.
    pub(crate) place: Range<usize>,
    pub(crate) bytes: Vec<u8>,
    /// Lines of the place, after the first, if the encoding tells.
    pub(crate) steps: Vec<Step>,
}

/// Where a line begins: in what was decoded, and from the start of what was encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step(usize, usize);

impl Step {
    /// From the start of what was encoded.
    pub(crate) fn place(&self) -> usize {
        self.1
    }
}

/// Where the line begins in which `at` of what was decoded stands, from the start of what
/// was encoded.
pub(crate) fn line_start(steps: &[Step], at: usize) -> usize {
    let after = steps.partition_point(|Step(decoded, _)| *decoded <= at);
    after.checked_sub(1).map_or(0, |last| steps[last].1)
}

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

fn is(byte: u8, class: u8) -> bool {
    CLASS[usize::from(byte)] & class != 0
}

pub(crate) fn hex(text: &[u8]) -> Option<Vec<u8>> {
    let (pairs, []) = text.as_chunks::<2>() else { return None };
    pairs.iter().map(|[high, low]| pair(*high, *low)).collect()
}

/// Characters of ASCII, spaces among them.
pub(crate) fn is_printable(text: &[u8]) -> bool {
    text.iter().all(|byte| (b' '..=b'~').contains(byte))
}

/// The byte that two digits of hex are.
fn pair(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    Some(digit(high)? << 4 | digit(low)?)
}

/// Text in UTF-8 that is not of Latin letters alone. Sixteen bytes that chance made are
/// none, but for one in millions.
fn is_foreign_text(start: &[u8]) -> bool {
    let text = match std::str::from_utf8(start) {
        Ok(text) => text,
        // A letter that the end cuts.
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&start[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    start.len() >= 16 && text.chars().all(|c| !c.is_control() || matches!(c, '\t' | '\r' | '\n'))
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
        || is_foreign_text(start)
        || (zeros * 5 >= start.len() * 2 && (printable + zeros) * 10 >= start.len() * 9)
        // A private key in DER.
        || start.starts_with(&[0x30, 0x82])
        || start.starts_with(&[0x30, 0x81])
        || matches!(start, [0x30, 0x20..=0x7f, 0x02, 0x01, ..])
        || is_container(&bytes[..bytes.len().min(4096)])
}
