//! Zip: zip64, what follows a program, and archives whose directory is lost. Entries
//! that overlap are refused: they are how small bombs are built.

use std::io::Read;

use super::Skip;
use super::bytes::{Range, fill, le16, le32, le64, name, take};
use super::codec::{Summed, WRONG_SUM, window_kib, zstd};
use super::sink::{Covered, Sink, Stop};
use crate::read::ReadAt;

const LOCAL: u32 = 0x0403_4b50;
const CENTRAL: u32 = 0x0201_4b50;
const END: &[u8] = b"PK\x05\x06";
/// Sum and sizes behind the contents of an entry.
const DESCRIPTOR: &[u8; 4] = b"PK\x07\x08";
const DESCRIPTOR_BYTES: u64 = 16;
const END_BYTES: u64 = 22;
/// How far the end is from the end of the directory, with a comment.
const TAIL_BYTES: u64 = END_BYTES + 0xffff;

struct Entry {
    path: Vec<u8>,
    flags: u16,
    method: u16,
    packed: u64,
    unpacked: u64,
    /// Of the contents; not known from a header that is followed by its sum.
    sum: Option<u32>,
    mode: u32,
    /// Of the local header, in the source.
    header: u64,
    /// Of the contents.
    data: u64,
}

pub(super) fn unpack(source: &dyn ReadAt, start: u64, sink: &mut Sink<'_>) -> Covered {
    match directory(source, start)? {
        Some(directory) => by_directory(source, start, &directory, sink),
        None => {
            sink.skip("", Skip::Damaged("the directory of a zip archive is missing"));
            by_headers(source, start, sink)
        }
    }
}

struct Directory {
    /// Where the archive begins, from which offsets count.
    base: u64,
    at: u64,
    bytes: u64,
    /// Where the whole ends.
    end: u64,
}

/// Looks at the end of the source first, then onwards from the start.
fn directory(source: &dyn ReadAt, start: u64) -> Result<Option<Directory>, Stop> {
    let tail = source.len().saturating_sub(TAIL_BYTES).max(start);
    if let Some(found) = search(source, start, tail, source.len())? {
        return Ok(Some(found));
    }
    search(source, start, start, tail + END_BYTES)
}

fn search(source: &dyn ReadAt, start: u64, from: u64, to: u64) -> Result<Option<Directory>, Stop> {
    const WINDOW: u64 = 1 << 18;
    let mut at = from;
    while at < to {
        let window = take(source, at, WINDOW.min(source.len() - at))?;
        for found in memchr::memmem::find_iter(&window, END) {
            if let Ok(Some(directory)) = end(source, start, at + found as u64) {
                return Ok(Some(directory));
            }
        }
        if at + WINDOW >= source.len() {
            break;
        }
        at += WINDOW - 3;
    }
    Ok(None)
}

/// Whether the end record at `at` is that of an archive that begins at `start`.
fn end(source: &dyn ReadAt, start: u64, at: u64) -> Result<Option<Directory>, Stop> {
    let record = take(source, at, END_BYTES)?;
    let (mut bytes, mut offset, mut after) = (le32(&record, 12)?.into(), le32(&record, 16)?.into(), at);
    let comment = u64::from(le16(&record, 20)?);
    if let Some(long) = at.checked_sub(76) {
        let record = take(source, long, 76)?;
        if record[..4] == *b"PK\x06\x06" && record[56..60] == *b"PK\x06\x07" {
            (bytes, offset, after) = (le64(&record, 40)?, le64(&record, 48)?, long);
        }
    }
    let Some(central) = after.checked_sub(bytes) else { return Ok(None) };
    let Some(base) = central.checked_sub(offset) else { return Ok(None) };
    if bytes < 46 || base > start || le32(&take(source, central, 46)?, 0)? != CENTRAL {
        return Ok(None);
    }
    Ok(Some(Directory { base, at: central, bytes, end: (at + END_BYTES + comment).min(source.len()) }))
}

fn by_directory(source: &dyn ReadAt, start: u64, directory: &Directory, sink: &mut Sink<'_>) -> Covered {
    let mut entries = Vec::new();
    let mut at = directory.at;
    let end = directory.at + directory.bytes;
    while at + 46 <= end {
        if entries.len() as u64 >= sink.limits.entries {
            sink.skip("", Skip::TooMany);
            break;
        }
        match central(source, directory.base, at) {
            Ok((entry, next)) => {
                entries.push(entry);
                at = next;
            }
            Err(_) => {
                sink.skip("", Skip::Damaged("the directory of a zip archive"));
                break;
            }
        }
    }
    entries.sort_by_key(|entry| entry.header);
    let mut free = 0;
    for entry in &entries {
        let text = name(&entry.path);
        let end = entry.data.saturating_add(entry.packed);
        if entry.header < free {
            sink.count()?;
            sink.skip(&text, Skip::Damaged("its bytes are those of another entry, too"));
            continue;
        }
        free = end;
        give(source, entry, &text, sink)?;
    }
    Ok(Some(directory.end.saturating_sub(start)))
}

fn central(source: &dyn ReadAt, base: u64, at: u64) -> Result<(Entry, u64), Stop> {
    let fixed = take(source, at, 46)?;
    if le32(&fixed, 0)? != CENTRAL {
        return Err(Stop::damaged("the directory of a zip archive"));
    }
    let (path, extra, comment) = (le16(&fixed, 28)?, le16(&fixed, 30)?, le16(&fixed, 32)?);
    let rest = take(source, at + 46, u64::from(path) + u64::from(extra))?;
    let (path, extra) = rest.split_at(path.into());
    let (mut unpacked, mut packed) = (u64::from(le32(&fixed, 24)?), u64::from(le32(&fixed, 20)?));
    let mut offset = u64::from(le32(&fixed, 42)?);
    long(extra, &mut [&mut unpacked, &mut packed, &mut offset])?;
    let header = base.checked_add(offset).ok_or(Stop::damaged("an offset in a zip archive"))?;
    // Only what lies there says where the contents begin; without it, nothing does.
    let data = local(source, header).map_or(header, |(entry, _)| entry.data);
    let entry = Entry {
        path: path.to_vec(),
        flags: le16(&fixed, 8)?,
        method: le16(&fixed, 10)?,
        packed,
        unpacked,
        sum: Some(le32(&fixed, 16)?),
        mode: if fixed[5] == 3 { le32(&fixed, 38)? >> 16 } else { 0 },
        header,
        data,
    };
    Ok((entry, at + 46 + rest.len() as u64 + u64::from(comment)))
}

/// Sizes that need 64 bits stand in an extra field, those alone and in this order.
fn long(mut extra: &[u8], fields: &mut [&mut u64]) -> Result<(), Stop> {
    while extra.len() >= 4 {
        let (id, bytes) = (le16(extra, 0)?, usize::from(le16(extra, 2)?));
        let Some(body) = extra.get(4..4 + bytes) else { break };
        if id == 1 {
            let mut at = 0;
            for field in fields.iter_mut().filter(|field| ***field == 0xffff_ffff) {
                **field = le64(body, at)?;
                at += 8;
            }
        }
        extra = &extra[4 + bytes..];
    }
    Ok(())
}

/// The entry that a local header describes, and whether it knows its size.
fn local(source: &dyn ReadAt, at: u64) -> Result<(Entry, bool), Stop> {
    let fixed = take(source, at, 30)?;
    if le32(&fixed, 0)? != LOCAL {
        return Err(Stop::damaged("a header of a zip archive"));
    }
    let (path, extra) = (u64::from(le16(&fixed, 26)?), u64::from(le16(&fixed, 28)?));
    let rest = take(source, at + 30, path + extra)?;
    let (mut packed, mut unpacked) = (u64::from(le32(&fixed, 18)?), u64::from(le32(&fixed, 22)?));
    long(&rest[path as usize..], &mut [&mut unpacked, &mut packed])?;
    let flags = le16(&fixed, 6)?;
    let entry = Entry {
        path: rest[..path as usize].to_vec(),
        flags,
        method: le16(&fixed, 8)?,
        packed,
        unpacked,
        sum: if flags & 8 == 0 { Some(le32(&fixed, 14)?) } else { None },
        mode: 0,
        header: at,
        data: at + 30 + path + extra,
    };
    Ok((entry, flags & 8 == 0))
}

/// What can be had without a directory.
fn by_headers(source: &dyn ReadAt, start: u64, sink: &mut Sink<'_>) -> Covered {
    let mut at = start;
    while let Ok((mut entry, is_sized)) = local(source, at) {
        let text = name(&entry.path);
        let is_deflated = entry.flags & 1 == 0 && entry.method == 8;
        let mut sum = None;
        if is_deflated {
            let bytes = if is_sized { entry.packed } else { u64::MAX };
            let range = Range::new(source, entry.data, bytes);
            let mut reader = Summed::new(flate2::bufread::DeflateDecoder::new(range), entry.sum);
            sink.part(&text, &mut reader)?;
            sum = Some(reader.sum());
            at = reader.into_inner().into_inner().position();
            sink.opened(entry.header);
            sink.contents(entry.data, at);
        } else {
            if !is_sized {
                (entry.packed, entry.sum) = until_descriptor(source, entry.data)?;
            }
            give(source, &entry, &text, sink)?;
            at = entry.data.saturating_add(entry.packed);
        }
        let mut descriptor = [0; 8];
        if fill(source, at, &mut descriptor).is_ok() && descriptor[..4] == *DESCRIPTOR {
            at += DESCRIPTOR_BYTES;
            if !is_sized && sum.is_some_and(|sum| sum.to_le_bytes() != descriptor[4..]) {
                sink.guard(&text, Err(WRONG_SUM))?;
            }
        }
    }
    Ok(Some(at.min(source.len()) - start))
}

/// The length of contents that only what follows them knows, and their sum. An archive
/// that is stored inside has descriptors, too; the lengths in those are not as far back.
fn until_descriptor(source: &dyn ReadAt, data: u64) -> Result<(u64, Option<u32>), Stop> {
    const WINDOW: u64 = 1 << 18;
    let mut at = data;
    while at < source.len() {
        let window = take(source, at, WINDOW.min(source.len() - at))?;
        for found in memchr::memmem::find_iter(&window, DESCRIPTOR) {
            let packed = at + found as u64 - data;
            let Some(record) = window.get(found..found + DESCRIPTOR_BYTES as usize) else { break };
            if u64::from(le32(record, 8)?) == packed {
                return Ok((packed, Some(le32(record, 4)?)));
            }
        }
        if window.len() < WINDOW as usize {
            break;
        }
        at += WINDOW - DESCRIPTOR_BYTES;
    }
    Ok((source.len() - data, None))
}

fn give(source: &dyn ReadAt, entry: &Entry, text: &str, sink: &mut Sink<'_>) -> Result<(), Stop> {
    if entry.mode & 0o170_000 == 0o120_000 {
        return sink.link(text);
    }
    let is_folder = entry.path.ends_with(b"/") && entry.packed == 0;
    let skip = match entry.method {
        _ if is_folder => return sink.count(),
        _ if entry.flags & 1 != 0 => Some(Skip::Encrypted),
        _ if entry.data == entry.header => Some(Skip::Damaged("a header of a zip archive")),
        0 | 8 | 12 | 14 | 93 | 95 => None,
        _ => Some(Skip::Unsupported("a way of packing in a zip archive")),
    };
    if let Some(why) = skip {
        sink.count()?;
        sink.skip(text, why);
        return Ok(());
    }
    let mut range = Range::new(source, entry.data, entry.packed);
    // What follows the end of a stream, and counts as packed, is no contents.
    give_from(&mut range, entry, text, sink)?;
    sink.opened(entry.header);
    sink.contents(entry.data, range.position());
    Ok(())
}

/// LZMA (APPNOTE 5.8): a version, the properties, and codes that end with a mark if a flag says
/// so, and otherwise where the contents do.
fn lzma<'r, 'a>(
    range: &'r mut Range<'a>,
    entry: &Entry,
    window_bytes: u64,
) -> Result<lzma_rust2::LzmaReader<&'r mut Range<'a>>, Stop> {
    let mut head = [0; 9];
    range.read_exact(&mut head)?;
    let window = le32(&head, 5)?;
    if le16(&head, 2)? != 5 {
        return Err(Stop::damaged("LZMA in a zip archive"));
    }
    if u64::from(window) > window_bytes {
        return Err(Stop::Skip(Skip::TooLarge));
    }
    let bytes = if entry.flags & 2 != 0 { u64::MAX } else { entry.unpacked };
    Ok(lzma_rust2::LzmaReader::new_with_props(range, bytes, head[4], window, None)?)
}

fn give_from(range: &mut Range<'_>, entry: &Entry, text: &str, sink: &mut Sink<'_>) -> Result<(), Stop> {
    let reader: Box<dyn Read + '_> = match entry.method {
        0 => Box::new(range),
        8 => Box::new(flate2::bufread::DeflateDecoder::new(range)),
        12 => Box::new(bzip2::bufread::BzDecoder::new(range)),
        14 => match lzma(range, entry, sink.limits.part_bytes) {
            Ok(reader) => Box::new(reader),
            Err(stop) => return sink.guard(text, Err(stop)),
        },
        93 => match zstd(range, sink.limits.part_bytes) {
            Ok(reader) => Box::new(reader),
            Err(err) => return sink.guard(text, Err(err.into())),
        },
        _ => Box::new(lzma_rust2::XzReader::new_mem_limit(range, false, window_kib(sink.limits))),
    };
    sink.part(text, &mut Summed::new(reader, entry.sum))
}
