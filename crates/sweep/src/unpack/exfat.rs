//! ExFAT, which cards of more than 32 GB have.

use std::collections::BTreeSet;

use super::Skip;
use super::bytes::{Pieces, Slice, join, le16, le32, le64, name16, take, units};
use super::fat::{self, Fat};
use super::sink::{About, Covered, Sink, Stop};
use crate::read::ReadAt;
use crate::volume::{Lock, Volume};

const DEPTH_MAX: usize = 128;
const FOLDER_BYTES_MAX: u64 = 64 << 20;

pub(super) fn unpack(source: &dyn ReadAt, start: u64, sink: &mut Sink<'_>) -> Covered {
    let head = take(source, start, 512)?;
    let (sector, cluster) = (u32::from(head[108]), u32::from(head[109]));
    if !(9..=12).contains(&sector) || cluster + sector > 25 {
        return Err(Stop::damaged("the boot sector of exFAT"));
    }
    let fat = Fat {
        source: Slice::new(source, start, u64::MAX),
        width: 32,
        table: u64::from(le32(&head, 80)?) << sector,
        data: u64::from(le32(&head, 88)?) << sector,
        cluster: 1 << (sector + cluster),
        clusters: le32(&head, 92)?.into(),
    };
    let bytes = le64(&head, 72)?.saturating_mul(1 << sector).min(source.len() - start);
    let id = fat::serial_number(le32(&head, 100)?);
    sink.volume(Volume::new("exFAT", id, bytes, Lock::Open));
    let root = le32(&head, 96)?;
    let mut seen = BTreeSet::from([root]);
    let mut waiting = vec![(fat.chain(root, FOLDER_BYTES_MAX)?, String::new(), 0)];
    while let Some((data, folder, depth)) = waiting.pop() {
        for entry in list(&data)? {
            let path = join(&folder, &entry.name);
            if !entry.is_folder {
                let about = About { bytes: entry.bytes, written: entry.written };
                sink.file(&path, about, &mut file(&fat, &entry))?;
                continue;
            }
            sink.count()?;
            if depth >= DEPTH_MAX || !seen.insert(entry.cluster) {
                sink.skip(&path, Skip::Damaged("a circle of folders"));
                continue;
            }
            let mut data = Vec::new();
            let limit = entry.bytes.min(FOLDER_BYTES_MAX);
            sink.read(limit)?;
            let result = std::io::Read::read_to_end(
                &mut file(&fat, &Entry { bytes: limit, valid: limit, ..entry }),
                &mut data,
            );
            match result {
                Ok(_) => waiting.push((data, path, depth + 1)),
                Err(err) => sink.guard(&path, Err(err.into()))?,
            }
        }
    }
    Ok(Some(bytes))
}

#[derive(Default)]
struct Entry {
    name: String,
    is_folder: bool,
    /// The clusters follow each other, and the table says nothing of them.
    is_straight: bool,
    cluster: u32,
    bytes: u64,
    /// What was written of it; the rest is zeros.
    valid: u64,
    written: Option<i64>,
}

fn file(fat: &Fat<'_>, entry: &Entry) -> Pieces<impl FnMut() -> Result<Option<Vec<u8>>, Stop>> {
    let (mut at, mut left, mut steps) = (Some(entry.cluster), entry.bytes.min(entry.valid), 0);
    let is_straight = entry.is_straight;
    Pieces::new(move || {
        if left == 0 {
            return Ok(None);
        }
        let cluster = at.ok_or(Stop::damaged("a chain of clusters that ends too early"))?;
        steps += 1;
        if steps > fat.clusters {
            return Err(Stop::damaged("a circle of clusters"));
        }
        let piece = fat.read(cluster, left)?;
        left -= piece.len() as u64;
        at = if is_straight {
            cluster.checked_add(1)
        } else if left > 0 {
            fat.next(cluster)?
        } else {
            None
        };
        Ok(Some(piece))
    })
}

/// A time as FAT has it, with the quarters of an hour by which it is ahead of UTC, if
/// whoever wrote it knew (7.4.10 of the specification).
fn written(raw: &[u8]) -> Result<Option<i64>, Stop> {
    let ahead = match raw[23] & 0x80 {
        0 => 0,
        // Seven bits with a sign.
        _ => i64::from((raw[23] << 1).cast_signed() >> 1) * 900,
    };
    Ok(fat::written(le16(raw, 12)?, le16(raw, 14)?).map(|local| local - ahead))
}

/// A file is a set of entries: itself, its stream, and its name in pieces.
fn list(data: &[u8]) -> Result<Vec<Entry>, Stop> {
    let mut entries = Vec::new();
    let mut rest = data.chunks_exact(32);
    while let Some(raw) = rest.next() {
        match raw[0] {
            0 => break,
            0x85 => {
                let mut entry = Entry {
                    is_folder: le16(raw, 4)? & 0x10 != 0,
                    written: written(raw)?,
                    ..Entry::default()
                };
                let mut text = Vec::new();
                let mut length = 0;
                for _ in 0..raw[1] {
                    let Some(more) = rest.next() else { break };
                    match more[0] {
                        0xc0 => {
                            entry.is_straight = more[1] & 2 != 0;
                            length = usize::from(more[3]);
                            entry.valid = le64(more, 8)?;
                            entry.cluster = le32(more, 20)?;
                            entry.bytes = le64(more, 24)?;
                        }
                        0xc1 => text.extend(units(&more[2..])),
                        _ => {}
                    }
                }
                text.truncate(length);
                entry.name = name16(text.into_iter());
                entries.push(entry);
            }
            _ => {}
        }
    }
    Ok(entries)
}
