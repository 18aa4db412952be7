//! What `compress` made (`.Z`): LZW with codes of 9 to 16 bits, in groups of eight. It has
//! no end but that of the file.

use std::io::{self, Read};

use super::bytes::{Range, byte};
use super::sink::{Covered, Sink, Stop, inside};
use crate::read::ReadAt;

const BITS_MIN: u32 = 9;
const BITS_MAX: u32 = 16;
/// Empties the table.
const CLEAR: u16 = 256;
const HEADER: u64 = 3;
/// Codes that are looked at before it is tried.
const TRIED: usize = 48;

pub(super) fn unpack(source: &dyn ReadAt, start: u64, sink: &mut Sink<'_>) -> Covered {
    let mut head = [0; HEADER as usize];
    super::bytes::fill(source, start, &mut head)?;
    let range = Range::new(source, start + HEADER, u64::MAX);
    let mut decoder = Decoder::new(range, head[2]).ok_or(Stop::unsupported("a width of codes"))?;
    sink.part("", &mut decoder)?;
    // It has no sum and no end of its own: text decodes, too, and stands there all the same.
    Ok(None)
}

/// Whether the first codes stand for what was there before them: of noise, half do.
pub(super) fn begins(head: &[u8]) -> bool {
    let bits = u32::from(byte(head, 2) & 0x1f);
    if byte(head, 2) & 0x60 != 0 || byte(head, 2) & 0x80 == 0 || !(BITS_MIN..=BITS_MAX).contains(&bits) {
        return false;
    }
    let data = &head[HEADER as usize..];
    let codes = (data.len() * 8 / BITS_MIN as usize).min(TRIED);
    let fits = |index: usize| match (index, code(data, index, BITS_MIN)) {
        (0, code) => code < 256,
        (index, code) => usize::from(code) <= 256 + index && code != CLEAR,
    };
    codes > 0 && (0..codes).all(fits)
}

/// The code at `index` of a group, from the lowest bit on.
fn code(group: &[u8], index: usize, bits: u32) -> u16 {
    let at = index * bits as usize;
    let three = (0..3).map(|more| u32::from(byte(group, at / 8 + more)) << (8 * more)).sum::<u32>();
    (three >> (at % 8) & ((1 << bits) - 1)) as u16
}

struct Decoder<R> {
    input: R,
    bits_max: u32,
    bits: u32,
    /// Eight codes, or what is left of the file.
    group: Vec<u8>,
    used: usize,
    /// Of each code from 257 on: that of all but its last byte, and that byte.
    prefix: Vec<u16>,
    suffix: Vec<u8>,
    /// The next code to be given.
    free: usize,
    /// The code before, and the first byte that it stood for.
    last: Option<(u16, u8)>,
    ended: bool,
    /// What a code stood for, from its end.
    out: Vec<u8>,
}

impl<R: Read> Decoder<R> {
    fn new(input: R, flags: u8) -> Option<Self> {
        let bits_max = u32::from(flags & 0x1f);
        let is_known = flags & 0xe0 == 0x80 && (BITS_MIN..=BITS_MAX).contains(&bits_max);
        is_known.then(|| Self {
            input,
            bits_max,
            bits: BITS_MIN,
            group: Vec::new(),
            used: 0,
            prefix: vec![0; 1 << BITS_MAX],
            suffix: vec![0; 1 << BITS_MAX],
            free: 257,
            last: None,
            ended: false,
            out: Vec::new(),
        })
    }

    /// None at the end.
    fn code(&mut self) -> io::Result<Option<u16>> {
        if self.free >= 1 << self.bits && self.bits < self.bits_max {
            // What is left of the group is not used.
            self.bits += 1;
            self.group.clear();
        }
        let bits = self.bits as usize;
        if self.group.len() * 8 < (self.used + 1) * bits || self.used == 8 {
            self.used = 0;
            self.group.clear();
            self.input.by_ref().take(bits as u64).read_to_end(&mut self.group)?;
            if self.group.len() * 8 < bits {
                self.ended = true;
                return Ok(None);
            }
        }
        self.used += 1;
        Ok(Some(code(&self.group, self.used - 1, self.bits)))
    }

    /// Whether there was another code.
    fn step(&mut self) -> io::Result<bool> {
        let Some(code) = self.code()? else { return Ok(false) };
        let Some((last, first)) = self.last else {
            let byte = u8::try_from(code).map_err(|_| damaged())?;
            self.last = Some((code, byte));
            self.out.push(byte);
            return Ok(true);
        };
        if code == CLEAR {
            self.free = usize::from(CLEAR);
            self.bits = BITS_MIN;
            self.group.clear();
            return Ok(true);
        }
        let mut rest = code;
        if usize::from(code) >= self.free {
            if usize::from(code) > self.free {
                return Err(damaged());
            }
            self.out.push(first);
            rest = last;
        }
        // Each code is made of one that was before it, so this ends.
        while rest > CLEAR {
            self.out.push(self.suffix[usize::from(rest)]);
            rest = self.prefix[usize::from(rest)];
        }
        let first = u8::try_from(rest).map_err(|_| damaged())?;
        self.out.push(first);
        if self.free < 1 << self.bits_max {
            self.prefix[self.free] = last;
            self.suffix[self.free] = first;
            self.free += 1;
        }
        self.last = Some((code, first));
        Ok(true)
    }
}

fn damaged() -> io::Error {
    inside(Stop::damaged("a code of LZW"))
}

impl<R: Read> Read for Decoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut count = 0;
        while count < buffer.len() {
            match self.out.pop() {
                Some(byte) => {
                    buffer[count] = byte;
                    count += 1;
                }
                // What was unpacked before an error is told.
                None if count > 0 => break,
                None if !self.step()? => break,
                None => {}
            }
        }
        Ok(count)
    }
}
