//! Cabinets of Microsoft, as drivers and updates come in: folders of blocks, stored or in
//! MSZIP, in which files lie one behind the other.

use std::cell::Cell;
use std::io::{self, Read};

use flate2::{Decompress, FlushDecompress, Status};

use super::Skip;
use super::bytes::{Pieces, byte, le16, le32, name, take, until_zero};
use super::sink::{Covered, Sink, Stop};
use crate::read::ReadAt;

/// Between folders, in bytes: less than a cabinet takes.
const GAP_MAX: u64 = 32;
const HEADER: u64 = 36;
const WITH_PREVIOUS: u16 = 1;
const WITH_NEXT: u16 = 2;
const WITH_RESERVE: u16 = 4;
const NAME_MAX: u64 = 257;
/// What a block unpacks to, and how far one reaches back.
const BLOCK: usize = 32 << 10;

struct Folder {
    at: u64,
    blocks: u16,
    packing: u16,
}

struct File {
    folder: u16,
    at: u32,
    bytes: u32,
    name: String,
}

pub(super) fn begins(head: &[u8]) -> bool {
    let word = |at: usize| le32(head, at).unwrap_or(1);
    word(4) == 0 && word(12) == 0 && word(20) == 0 && byte(head, 25) == 1 && word(16) < word(8)
}

pub(super) fn unpack(source: &dyn ReadAt, start: u64, sink: &mut Sink<'_>) -> Covered {
    let head = take(source, start, HEADER)?;
    let (folders, files, flags) = (le16(&head, 26)?, le16(&head, 28)?, le16(&head, 30)?);
    let mut at = start + HEADER;
    let (mut of_folder, mut of_block) = (0, 0);
    if flags & WITH_RESERVE != 0 {
        let reserve = take(source, at, 4)?;
        (of_folder, of_block) = (u64::from(reserve[2]), u64::from(reserve[3]));
        at += 4 + u64::from(le16(&reserve, 0)?);
    }
    for flag in [WITH_PREVIOUS, WITH_PREVIOUS, WITH_NEXT, WITH_NEXT] {
        if flags & flag != 0 {
            at += text(source, at)?.len() as u64 + 1;
        }
    }
    let mut all = Vec::new();
    for _ in 0..folders {
        sink.count()?;
        let entry = take(source, at, 8)?;
        let (offset, blocks, packing) = (le32(&entry, 0)?, le16(&entry, 4)?, le16(&entry, 6)? & 15);
        all.push(Folder { at: start + u64::from(offset), blocks, packing });
        at += 8 + of_folder;
    }
    let (mut files, listed) = list(source, start + u64::from(le32(&head, 16)?), files, sink)?;
    // What the header says of its size is a claim; and so is where folders lie. Only so far as
    // nothing lies between them they are of one cabinet.
    let (mut end, mut taken) = (Some(at.max(listed)), Vec::new());
    files.sort_by_key(|file| (file.folder, file.at));
    for files in files.chunk_by(|a, b| a.folder == b.folder) {
        // Others are of a folder that goes on in another cabinet.
        if let Some(folder) = all.get(usize::from(files[0].folder)) {
            match open(source, folder, of_block, files, sink) {
                Ok(last) => taken.push(folder.at..last),
                Err(stop) => {
                    end = None;
                    sink.guard("", Err(stop))?;
                }
            }
        }
    }
    taken.sort_by_key(|folder| folder.start);
    for folder in taken {
        end = end.map(|end| if folder.start <= end + GAP_MAX { end.max(folder.end) } else { end });
    }
    Ok(end.map(|end| end - start))
}

/// The files, and where the list of them ends.
fn list(source: &dyn ReadAt, mut at: u64, count: u16, sink: &mut Sink<'_>) -> Result<(Vec<File>, u64), Stop> {
    let mut files = Vec::new();
    for _ in 0..count {
        sink.count()?;
        let entry = take(source, at, 16)?;
        let text = text(source, at + 16)?;
        at += 16 + text.len() as u64 + 1;
        let (bytes, from, folder) = (le32(&entry, 0)?, le32(&entry, 4)?, le16(&entry, 8)?);
        files.push(File { folder, at: from, bytes, name: name(&text).replace('\\', "/") });
    }
    Ok((files, at))
}

fn text(source: &dyn ReadAt, at: u64) -> Result<Vec<u8>, Stop> {
    let data = take(source, at, NAME_MAX.min(source.len().saturating_sub(at)))?;
    match until_zero(&data) {
        text if text.len() < data.len() => Ok(text.to_vec()),
        _ => Err(Stop::damaged("a name in a cabinet")),
    }
}

fn open(
    source: &dyn ReadAt,
    folder: &Folder,
    reserve: u64,
    files: &[File],
    sink: &mut Sink<'_>,
) -> Result<u64, Stop> {
    let packing = folder.packing;
    match packing {
        0 | 1 => {}
        3 => return Err(Stop::unsupported("LZX in a cabinet")),
        _ => return Err(Stop::unsupported("a way of packing in a cabinet")),
    }
    let (mut at, mut left, mut before, mut end) = (folder.at, folder.blocks, Vec::new(), 0);
    // Where the last block ended that is damaged, in the folder, and why.
    let damage = Cell::new(None);
    let mut blocks = Pieces::new(|| {
        if left == 0 {
            return Ok(None);
        }
        left -= 1;
        let head = take(source, at, 8)?;
        let (packed, bytes) = (le16(&head, 4)?, usize::from(le16(&head, 6)?));
        let data = take(source, at + 8 + reserve, packed.into())?;
        at += 8 + reserve + u64::from(packed);
        end += if packing == 0 { u64::from(packed) } else { bytes as u64 };
        // Packed blocks reach back into those before.
        let before_it = damage.get().filter(|_| packing == 1);
        if let Some((_, why)) = before_it {
            damage.set(Some((end, why)));
        }
        // Those of others are of the reserve, too.
        let told = le32(&head, 0)?;
        if told != 0 && reserve == 0 && told != sum(&head[4..], sum(&data, 0)) {
            damage.set(Some((end, "its sum is not right")));
        }
        if packing == 0 {
            return Ok(Some(data));
        }
        let block = mszip(&data, &before, bytes).unwrap_or_else(|()| {
            damage.set(Some((end, "a block of MSZIP")));
            // Files behind it lie where they should.
            vec![0; bytes.min(BLOCK)]
        });
        before.extend_from_slice(&block);
        before.drain(..before.len().saturating_sub(BLOCK));
        Ok(Some(block))
    });
    let mut read = 0;
    for file in files {
        // Two files may be the same bytes; they are told once.
        let Some(gap) = file.at.checked_sub(read) else {
            sink.skip(&file.name, Skip::Damaged("it overlaps with another"));
            continue;
        };
        skip(&mut blocks, gap, sink)?;
        let mut part = blocks.by_ref().take(file.bytes.into());
        sink.part(&file.name, &mut part)?;
        let rest = part.limit() as u32;
        let is_short = skip(&mut blocks, rest, sink)? < rest.into();
        let why = damage.get().filter(|(end, _)| *end > u64::from(file.at)).map(|(_, why)| why);
        if let Some(why) = why.or(is_short.then_some("it ends too early")) {
            sink.skip(&file.name, Skip::Damaged(why));
        }
        read = file.at.saturating_add(file.bytes);
    }
    drop(blocks);
    Ok(at)
}

/// What is unpacked and not told counts, too.
fn skip(blocks: &mut impl Read, bytes: u32, sink: &mut Sink<'_>) -> Result<u64, Stop> {
    sink.read(bytes.into())?;
    Ok(io::copy(&mut blocks.take(bytes.into()), &mut io::sink())?)
}

/// The sum of a block (3.1 of the format's description): of its data, and then of its sizes.
fn sum(data: &[u8], seed: u32) -> u32 {
    let (words, rest) = data.as_chunks::<4>();
    let last = rest.iter().fold(0, |last, byte| last << 8 | u32::from(*byte));
    words.iter().fold(seed, |sum, word| sum ^ u32::from_le_bytes(*word)) ^ last
}

/// One block: deflate, which reaches back into the block before.
fn mszip(data: &[u8], before: &[u8], bytes: usize) -> Result<Vec<u8>, ()> {
    let data = data.strip_prefix(b"CK").filter(|_| bytes <= BLOCK).ok_or(())?;
    let mut decoder = Decompress::new(false);
    if !before.is_empty() {
        decoder.set_dictionary(before).map_err(|_| ())?;
    }
    let mut out = Vec::with_capacity(bytes.max(1));
    match decoder.decompress_vec(data, &mut out, FlushDecompress::Finish) {
        Ok(Status::StreamEnd) if out.len() == bytes => Ok(out),
        _ => Err(()),
    }
}
