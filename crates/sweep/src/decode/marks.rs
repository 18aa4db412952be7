//! What may stand in each block of a window. Most blocks have nothing that a decoder
//! knows, and all decoders learn that from one pass over them.

use std::ops::Range;

use super::is;
use super::lanes::{BLOCK, Lanes};

/// Seen behind a block, for what begins in it.
const AHEAD: usize = 16;
const SEEN: usize = BLOCK + AHEAD;
const WORD: usize = 8;
/// Characters from the first word that lies in a run of base64: of 22, seven may stand
/// before it.
const IN_RUN: usize = 15;

/// Of a block, whether in it begins, or goes on, what the name says. There may be none;
/// but where none is marked, there is none.
pub(super) const BASE64: u8 = 1;
pub(super) const ESCAPE: u8 = 2;
pub(super) const QUOTED: u8 = 4;
pub(super) const APART: u8 = 8;
pub(super) const WIDE: u8 = 16;
/// Eight characters of text side by side.
const TEXT: u8 = 32;
/// A line that begins with four digits of hex, or as a record of bytes does.
pub(super) const LINES: u8 = 64;
/// Nothing but digits, commas and blanks.
pub(super) const NUMBERS: u8 = 128;

/// The marks of a window.
pub(crate) struct Marks {
    blocks: Vec<u8>,
    pub(super) own: Range<usize>,
}

impl Marks {
    /// Of the blocks from `own.start` on that begin before `own.end`.
    pub(crate) fn new(bytes: &[u8], own: Range<usize>) -> Marks {
        let count = own.len().div_ceil(BLOCK);
        let mut blocks = Vec::with_capacity(count);
        let own_bytes = &bytes[own.clone()];
        let (whole, rest) = own_bytes.as_chunks::<BLOCK>();
        blocks.extend(whole.iter().map(texts));
        if !rest.is_empty() {
            blocks.push(texts(&padded(rest)));
        }
        // All but UTF-16 stands in text, the beginning of which may be a block away.
        let mut before = 0;
        for index in 0..count {
            let this = blocks[index];
            let next = blocks.get(index + 1).copied().unwrap_or_default();
            if (before | this | next) & TEXT != 0 {
                let from = own.start + index * BLOCK;
                blocks[index] |= match bytes.get(from..).and_then(|rest| rest.first_chunk()) {
                    Some(seen) => encodings(seen),
                    None => encodings(&padded(&bytes[from..])),
                };
            }
            before = this;
        }
        Marks { blocks, own }
    }

    /// The first place from `at` on, before the end, that is in a block with this mark.
    pub(super) fn next(&self, mark: u8, at: usize) -> Option<usize> {
        let index = at.saturating_sub(self.own.start) / BLOCK;
        let rest = self.blocks.get(index..)?;
        let skipped = rest.iter().position(|block| block & mark != 0)?;
        let at = at.max(self.own.start + (index + skipped) * BLOCK);
        (at < self.own.end).then_some(at)
    }

    /// The stretches that have this mark, in order.
    pub(super) fn stretches(&self, mark: u8) -> impl Iterator<Item = Range<usize>> {
        let mut at = self.own.start;
        std::iter::from_fn(move || {
            let start = self.next(mark, at)?;
            let index = (start - self.own.start) / BLOCK;
            let blocks = self.blocks[index..].iter().take_while(|block| *block & mark != 0).count();
            at = (self.own.start + (index + blocks) * BLOCK).min(self.own.end);
            Some(start..at)
        })
    }
}

fn padded<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut padded = [0; N];
    padded[..bytes.len()].copy_from_slice(bytes);
    padded
}

/// Whether there is text, UTF-16 or UTF-32.
fn texts(block: &[u8; BLOCK]) -> u8 {
    let lanes = Lanes::new(block);
    let zero = lanes.are(0);
    // Zeros at every second place, or at three of four, and at no other.
    let pairs = zero & zero >> 2 & !(zero >> 1);
    let fours = zero & zero >> 1 & zero >> 2 & !(zero >> 3);
    let is_wide = pairs & pairs >> 4 != 0 || fours & fours >> 4 & fours >> 8 != 0;
    let text = if full_bytes(lanes.text()) == 0 { 0 } else { TEXT };
    text | if is_wide { WIDE } else { 0 }
}

/// The lowest bit of each byte that has all its bits.
fn full_bytes(bits: u64) -> u64 {
    let pairs = bits & bits >> 1;
    let fours = pairs & pairs >> 2;
    fours & fours >> 4 & 0x0101_0101_0101_0101
}

/// The same, but for the highest.
fn nearly_full_bytes(bits: u64) -> u64 {
    full_bytes(bits | 0x8080_8080_8080_8080)
}

/// Which encodings there may be.
fn encodings(seen: &[u8; SEEN]) -> u8 {
    let behind = |by: usize| seen[by..].first_chunk().expect("it is seen so far ahead");
    let lanes = Lanes::new(behind(0));
    let base64 = lanes.base64();
    let next_word = seen[BLOCK..BLOCK + WORD]
        .iter()
        .rev()
        .fold(0, |bits, byte| bits << 1 | u64::from(is(*byte, super::BASE64)));
    let is_run = full_bytes(base64) & nearly_full_bytes(base64 >> WORD | next_word << (BLOCK - WORD)) != 0;
    let is_escape = lanes.has_either(b'%', b'\\') || lanes.has(b'&') && seen.contains(&b';');
    let is_quoted = lanes.has(b'=') && {
        let next = Lanes::new(behind(1));
        let known = next.are(b'3')
            | next.are(b'0')
            | next.are(b'?')
            | next.are(b'\r')
            | next.are(b'\n')
            | Lanes::new(behind(3)).are(b'=');
        lanes.are(b'=') & known != 0
    };
    // Between three bytes in hex the same sign, or `0x`. What is cut off by the end of the
    // block is too short, or goes on in the next.
    let same = lanes.same(&Lanes::new(behind(3)));
    let is_same = same & same >> 3 != 0 && {
        let hex = lanes.hex();
        same & same >> 3 & !hex & hex >> 1 & hex >> 2 & hex >> 4 != 0
    };
    let is_prefix = lanes.has(b'x') && {
        let sign = lanes.are(b'x');
        sign & (sign >> 5 | sign >> 6) != 0
    };
    let end = lanes.are(b'\n');
    let is_line = end != 0 && {
        let hex = lanes.hex();
        let four = hex >> 2 & hex >> 3 & hex >> 4;
        end & four & (hex >> 1 | lanes.are(b':') >> 1 | lanes.are(b'S') >> 1) != 0
    };
    let is_array = lanes.has(b',') && lanes.numbers() == u64::MAX;
    let mark = |is: bool, mark: u8| if is { mark } else { 0 };
    mark(is_run, BASE64)
        | mark(is_escape, ESCAPE)
        | mark(is_quoted, QUOTED)
        | mark(is_same || is_prefix, APART)
        | mark(is_line, LINES)
        | mark(is_array, NUMBERS)
}

/// The first place from `at` on, before the end, that may be inside a run of base64 which is
/// long enough: 22 characters and their padding.
pub(super) fn next_in_run(bytes: &[u8], marks: &Marks, mut at: usize) -> Option<usize> {
    let Range { start, end } = marks.own;
    while let Some(marked) = marks.next(BASE64, at) {
        let stop = end.min(start + ((marked - start) / BLOCK + 1) * BLOCK);
        let is_inside = |word: &usize| match bytes.get(*word..word + IN_RUN) {
            Some(run) => run.iter().all(|byte| is(*byte, super::BASE64)),
            None => false,
        };
        let first = start + (marked - start).next_multiple_of(WORD);
        if let Some(inside) = (first..stop).step_by(WORD).find(is_inside) {
            return Some(inside);
        }
        at = stop;
    }
    // What begins behind the last word.
    (at.max(end.saturating_sub(WORD))..end).find(|at| is(bytes[*at], super::BASE64))
}
