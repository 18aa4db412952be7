//! What a database of SQLite has written and not yet taken over: the file `-wal`
//! (sqlite.org/walformat.html). Its pages are read as the database that they make, or, where the
//! names of the columns stand in another file, row by row.

use std::collections::BTreeMap;
use std::io::{self, Cursor};

use super::bytes::{be32, take};
use super::sink::{Covered, Sink, Stop, inside};
use super::sqlite::{self, Pages};
use crate::read::ReadAt;

pub(super) const MAGICS: [&[u8]; 2] = [&[0x37, 0x7f, 0x06, 0x82], &[0x37, 0x7f, 0x06, 0x83]];
const HEAD: u64 = 32;
const FRAME_HEAD: u64 = 24;
const FRAMES_MAX: usize = 1 << 20;
/// Numbers of pages that a database has, at most.
const PAGES_MAX: u64 = 1 << 26;
const ELSEWHERE: Stop = Stop::Skip(super::Skip::Unsupported("a page that stands in the database of a -wal"));

pub(super) fn begins(head: &[u8]) -> bool {
    be32(head, 4).is_ok_and(|version| version == 3_007_000)
        && be32(head, 8).is_ok_and(|bytes| bytes.is_power_of_two() && (512..=1 << 16).contains(&bytes))
}

/// The newest of each page, by its number.
struct Wal<'a> {
    source: &'a dyn ReadAt,
    bytes: u64,
    places: BTreeMap<u64, u64>,
}

impl ReadAt for Wal<'_> {
    fn len(&self) -> u64 {
        self.places.last_key_value().map_or(0, |(number, _)| number * self.bytes)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let (number, from) = (offset / self.bytes + 1, offset % self.bytes);
        if offset >= self.len() || buffer.is_empty() {
            return Ok(0);
        }
        let place = self.places.get(&number).ok_or_else(|| inside(ELSEWHERE))?;
        let count = buffer.len().min((self.bytes - from) as usize);
        self.source.read_at(place + from, &mut buffer[..count])
    }
}

pub(super) fn unpack(source: &dyn ReadAt, at: u64, sink: &mut Sink<'_>) -> Covered {
    let head = take(source, at, HEAD)?;
    let bytes = u64::from(be32(&head, 8)?);
    let mut wal = Wal { source, bytes, places: BTreeMap::new() };
    let mut frame = at + HEAD;
    for _ in 0..FRAMES_MAX {
        sink.count()?;
        let Ok(of) = take(source, frame, FRAME_HEAD + bytes) else { break };
        // Frames behind the last are those of before, whose salts are others.
        if of[8..16] != head[16..24] {
            break;
        }
        let number = u64::from(be32(&of, 0)?);
        if (1..=PAGES_MAX).contains(&number) {
            wal.places.insert(number, frame + FRAME_HEAD);
        }
        frame += FRAME_HEAD + bytes;
    }
    if wal.places.contains_key(&1) {
        sqlite::unpack(&wal, 0, sink)?;
        return Ok(None);
    }
    let numbers: Vec<u64> = wal.places.keys().copied().collect();
    // Without its first page, nothing says how texts are written: nearly all are in UTF-8.
    let mut pages = Pages::new(&wal, 0, bytes, bytes, 1);
    let mut any = false;
    for number in numbers {
        let is_leaf = take(&wal, (number - 1) * bytes, 1).is_ok_and(|kind| kind == [13]);
        if is_leaf {
            let rows = pages.rows(number, sink)?;
            any |= !rows.is_empty();
            sink.part(&format!("page {number}"), &mut Cursor::new(rows))?;
        }
    }
    match any {
        true => Err(Stop::unsupported("names of columns, which stand in the database of a -wal")),
        false => Ok(None),
    }
}
