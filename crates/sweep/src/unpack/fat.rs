//! FAT12, FAT16 and FAT32, with long names.

use std::collections::BTreeSet;

use super::bytes::{Pieces, Slice, join, le16, le32, name, name16, take};
use super::sink::{About, Covered, Sink, Stop};
use super::{Skip, crypt};
use crate::date;
use crate::read::ReadAt;
use crate::volume::Volume;

const DEPTH_MAX: usize = 128;
/// A folder of FAT holds at most 65,536 entries of 32 bytes.
const FOLDER_BYTES_MAX: u64 = 2 << 20;

pub(super) struct Fat<'a> {
    pub(super) source: Slice<'a>,
    /// Bits of an entry of the table.
    pub(super) width: u32,
    /// Where the table lies, and the first cluster (which is number 2).
    pub(super) table: u64,
    pub(super) data: u64,
    pub(super) cluster: u64,
    pub(super) clusters: u64,
}

pub(super) fn unpack(source: &dyn ReadAt, start: u64, sink: &mut Sink<'_>) -> Covered {
    let head = take(source, start, 512)?;
    let sector = u64::from(le16(&head, 11)?);
    let (cluster, reserved, tables) = (u64::from(head[13]), u64::from(le16(&head, 14)?), u64::from(head[16]));
    let (roots, short) = (u64::from(le16(&head, 17)?), u64::from(le16(&head, 19)?));
    let sectors = if short != 0 { short } else { le32(&head, 32)?.into() };
    let each = match le16(&head, 22)? {
        0 => u64::from(le32(&head, 36)?),
        each => each.into(),
    };
    if !sector.is_power_of_two() || !(512..=4096).contains(&sector) || cluster == 0 || tables == 0 {
        return Err(Stop::damaged("the boot sector of FAT"));
    }
    let root = reserved + tables * each;
    let data = root + (roots * 32).div_ceil(sector);
    let clusters = sectors.checked_sub(data).ok_or(Stop::damaged("the boot sector of FAT"))? / cluster;
    let width = match clusters {
        // Small ones of 32 bits are made against the specification, and read by it all the same.
        _ if le16(&head, 22)? == 0 => 32,
        0..4085 => 12,
        4085..65525 => 16,
        _ => 32,
    };
    let fat = Fat {
        source: Slice::new(source, start, u64::MAX),
        width,
        table: reserved * sector,
        data: data * sector,
        cluster: cluster * sector,
        clusters,
    };
    let bytes = (sectors * sector).min(source.len() - start);
    let (kind, serial) = match width {
        32 => ("FAT32", le32(&head, 67)?),
        16 => ("FAT16", le32(&head, 39)?),
        _ => ("FAT12", le32(&head, 39)?),
    };
    sink.volume(Volume::new(kind, serial_number(serial), bytes, crypt::of_fat(source, start, &head)));
    let first = if width == 32 {
        fat.folder(le32(&head, 44)?)?
    } else {
        take(&fat.source, root * sector, roots * 32)?
    };
    let mut seen = BTreeSet::new();
    let mut waiting = vec![(first, String::new(), 0)];
    while let Some((entries, folder, depth)) = waiting.pop() {
        for entry in list(&entries) {
            let path = join(&folder, &entry.name);
            if !entry.is_folder {
                let pieces = fat.file(entry.cluster, entry.bytes);
                let about = About { bytes: entry.bytes, written: entry.written };
                sink.file(&path, about, &mut { pieces })?;
                continue;
            }
            sink.count()?;
            if depth >= DEPTH_MAX || !seen.insert(entry.cluster) {
                sink.skip(&path, Skip::Damaged("a circle of folders"));
                continue;
            }
            let entries = fat.folder(entry.cluster);
            sink.read(entries.as_ref().map_or(FOLDER_BYTES_MAX, |entries| entries.len() as u64))?;
            match entries {
                Ok(entries) => waiting.push((entries, path, depth + 1)),
                Err(stop) => sink.guard(&path, Err(stop))?,
            }
        }
    }
    Ok(Some(bytes))
}

/// As other tools write it; none is 0.
pub(super) fn serial_number(serial: u32) -> Option<String> {
    (serial != 0).then(|| format!("serial number {:04X}-{:04X}", serial >> 16, serial & 0xffff))
}

/// A time of FAT: days and two seconds each, in the local time of whoever wrote it.
pub(super) fn written(time: u16, day: u16) -> Option<i64> {
    let (time, day) = (i64::from(time), i64::from(day));
    date::seconds([1980 + (day >> 9), day >> 5 & 15, day & 31, time >> 11, time >> 5 & 63, (time & 31) * 2])
}

impl Fat<'_> {
    /// The cluster behind `cluster`; none at the end of a chain.
    pub(super) fn next(&self, cluster: u32) -> Result<Option<u32>, Stop> {
        let number = u64::from(cluster);
        let value = match self.width {
            12 => {
                let pair = le16(&take(&self.source, self.table + number * 3 / 2, 2)?, 0)?;
                u32::from(if cluster % 2 == 1 { pair >> 4 } else { pair & 0xfff })
            }
            16 => le16(&take(&self.source, self.table + number * 2, 2)?, 0)?.into(),
            _ => le32(&take(&self.source, self.table + number * 4, 4)?, 0)? & 0xfff_ffff,
        };
        Ok(if value < 2 || u64::from(value) >= self.clusters + 2 { None } else { Some(value) })
    }

    pub(super) fn read(&self, cluster: u32, bytes: u64) -> Result<Vec<u8>, Stop> {
        let index = u64::from(cluster).checked_sub(2).filter(|index| *index < self.clusters);
        let index = index.ok_or(Stop::damaged("a cluster that is not there"))?;
        take(&self.source, self.data + index * self.cluster, bytes.min(self.cluster))
    }

    fn folder(&self, first: u32) -> Result<Vec<u8>, Stop> {
        self.chain(first, FOLDER_BYTES_MAX)
    }

    /// A chain to its end; one that is a circle ends at `max` bytes.
    pub(super) fn chain(&self, first: u32, max: u64) -> Result<Vec<u8>, Stop> {
        let mut data = self.read(first, self.cluster)?;
        let mut at = first;
        let mut steps = 0;
        while let Some(next) = self.next(at)? {
            steps += 1;
            if data.len() as u64 + self.cluster > max || steps > self.clusters {
                return Err(Stop::damaged("a circle of clusters"));
            }
            data.extend(self.read(next, self.cluster)?);
            at = next;
        }
        Ok(data)
    }

    /// A file, whose size bounds the chain. What was deleted may lie in one piece:
    /// where the chain ends early, the file does.
    fn file(&self, first: u32, bytes: u64) -> Pieces<impl FnMut() -> Result<Option<Vec<u8>>, Stop>> {
        let (mut at, mut left) = (Some(first), bytes);
        let mut steps = 0;
        Pieces::new(move || {
            if left == 0 {
                return Ok(None);
            }
            let cluster = at.ok_or(Stop::damaged("a chain of clusters that ends too early"))?;
            steps += 1;
            if steps > self.clusters {
                return Err(Stop::damaged("a circle of clusters"));
            }
            let piece = self.read(cluster, left)?;
            left -= piece.len() as u64;
            at = if left > 0 { self.next(cluster)? } else { None };
            Ok(Some(piece))
        })
    }
}

struct Entry {
    name: String,
    is_folder: bool,
    cluster: u32,
    bytes: u64,
    written: Option<i64>,
}

fn list(data: &[u8]) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut long: Vec<(u8, [u16; 13])> = Vec::new();
    for raw in data.chunks_exact(32) {
        match (raw[0], raw[11]) {
            (0, _) => break,
            (0xe5, _) => long.clear(),
            (order, 0x0f) => {
                if order & 0x40 != 0 {
                    long.clear();
                }
                if long.len() < 20 {
                    long.push((order & 0x3f, letters(raw)));
                }
            }
            (_, attributes) if attributes & 8 != 0 => long.clear(),
            (b'.', attributes) if attributes & 0x10 != 0 => long.clear(),
            (_, attributes) => {
                long.sort_by_key(|(order, _)| *order);
                let units = long.iter().flat_map(|(_, letters)| *letters);
                let text = name16(units.take_while(|unit| *unit != 0 && *unit != 0xffff));
                let at = |at: usize| u32::from(u16::from_le_bytes([raw[at], raw[at + 1]]));
                entries.push(Entry {
                    name: if text.is_empty() { short(raw) } else { text },
                    is_folder: attributes & 0x10 != 0,
                    cluster: at(20) << 16 | at(26),
                    bytes: u64::from(at(30) << 16 | at(28)),
                    written: written(at(22) as u16, at(24) as u16),
                });
                long.clear();
            }
        }
    }
    entries
}

fn letters(raw: &[u8]) -> [u16; 13] {
    const PLACES: [usize; 13] = [1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30];
    PLACES.map(|at| u16::from_le_bytes([raw[at], raw[at + 1]]))
}

/// Eight letters and three, of which Windows keeps the case in a byte of its own.
fn short(raw: &[u8]) -> String {
    let case = |part: &[u8], low: bool| {
        let part = part.trim_ascii_end();
        name(&if low { part.to_ascii_lowercase() } else { part.to_ascii_uppercase() })
    };
    let (stem, end) = (case(&raw[..8], raw[12] & 8 != 0), case(&raw[8..11], raw[12] & 16 != 0));
    if end.is_empty() { stem } else { format!("{stem}.{end}") }
}
