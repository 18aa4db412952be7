//! Cpio: newc (with and without sums) and odc, as initial RAM disks and RPM have it.

use super::bytes::{Range, name, take, until_zero};
use super::sink::{Covered, Sink, Stop};
use crate::read::ReadAt;

const NAME_BYTES_MAX: u64 = 4096;

struct Entry {
    mode: u64,
    bytes: u64,
    name_bytes: u64,
    header: u64,
    /// To which names and contents are padded, from the start of the archive.
    align: u64,
}

pub(super) fn unpack(source: &dyn ReadAt, start: u64, sink: &mut Sink<'_>) -> Covered {
    let mut at = start;
    loop {
        let entry = match entry(source, at) {
            Ok(entry) => entry,
            Err(stop) if at == start => return Err(stop),
            Err(_) => {
                sink.skip("", super::Skip::Damaged("a header of cpio"));
                return Ok(Some(at - start));
            }
        };
        if entry.name_bytes > NAME_BYTES_MAX {
            return Err(Stop::damaged("a name in cpio"));
        }
        let path = take(source, at + entry.header, entry.name_bytes)?;
        let path = until_zero(&path);
        let pad = |to: u64| start + (to - start).next_multiple_of(entry.align);
        let data = pad(at + entry.header + entry.name_bytes);
        let end = data + entry.bytes;
        if path == b"TRAILER!!!" {
            return Ok(Some(end.min(source.len()) - start));
        }
        sink.opened(at);
        match entry.mode & 0o170_000 {
            0o100_000 => {
                sink.part(&name(path), &mut Range::new(source, data, entry.bytes))?;
                sink.contents(data, end);
                if end > source.len() {
                    sink.skip(&name(path), super::Skip::Damaged("it ends too early"));
                }
            }
            0o120_000 => sink.link(&name(path))?,
            _ => sink.count()?,
        }
        at = pad(end);
    }
}

fn entry(source: &dyn ReadAt, at: u64) -> Result<Entry, Stop> {
    let magic = take(source, at, 6)?;
    match &magic[..] {
        b"070701" | b"070702" => {
            let header = take(source, at, 110)?;
            let field = |index: usize| digits(&header[6 + index * 8..14 + index * 8], 16);
            Ok(Entry { mode: field(1)?, bytes: field(6)?, name_bytes: field(11)?, header: 110, align: 4 })
        }
        b"070707" => {
            let header = take(source, at, 76)?;
            let field = |from: usize, to: usize| digits(&header[from..to], 8);
            Ok(Entry {
                mode: field(18, 24)?,
                bytes: field(65, 76)?,
                name_bytes: field(59, 65)?,
                header: 76,
                align: 1,
            })
        }
        _ => Err(Stop::damaged("a header of cpio")),
    }
}

fn digits(field: &[u8], base: u32) -> Result<u64, Stop> {
    let text = std::str::from_utf8(field).ok();
    text.and_then(|text| u64::from_str_radix(text, base).ok()).ok_or(Stop::damaged("a header of cpio"))
}
