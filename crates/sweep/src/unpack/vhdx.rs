//! Disks of Hyper-V (MS-VHDX): tables of regions and of metadata, and one that says where
//! each block lies. Of what still stands in its log nothing is read.

use super::Skip;
use super::bytes::{be64, le16, le32, le64, take};
use super::machine::{Disk, ON_TOP, Place};
use super::sink::{Covered, Sink, Stop};
use crate::read::ReadAt;

pub(super) const MAGIC: &[u8] = b"vhdxfile";
/// Where two headers and two tables of regions lie.
const HEADERS: [u64; 2] = [64 << 10, 128 << 10];
const REGIONS: [u64; 2] = [192 << 10, 256 << 10];
/// Of both tables.
const ENTRIES_MAX: u64 = 2047;
/// Sizes of blocks (2.6.2.1) and sectors.
const BLOCKS: [u64; 2] = [1 << 20, 256 << 20];
const SECTORS: [u64; 2] = [512, 4096];
/// Sectors whose state one block of bitmaps holds.
const BITMAP: u64 = 1 << 23;

/// Names of regions and of items, as they stand in the file.
const BAT: u128 = 0x6677_c22d_23f6_0042_9d64_115e_9bfd_4a08;
const METADATA: u128 = 0x06a2_7c8b_9047_9a4b_b8fe_575f_050f_886e;
const PARAMETERS: u128 = 0x3767_a1ca_36fa_434d_b3b6_33f0_aa44_e76b;
const BYTES: u128 = 0x2442_a52f_1bcd_7648_b211_5dbe_d83b_f4b8;
const SECTOR: u128 = 0x1dbf_4181_6fa9_0947_ba47_f233_a8fa_ab5f;

pub(super) fn unpack(source: &dyn ReadAt, start: u64, sink: &mut Sink<'_>) -> Covered {
    let tables = REGIONS.iter().find_map(|at| regions(source, start + at).ok());
    let (bat, metadata) = tables.ok_or(Stop::damaged("the table of regions of VHDX"))?;
    let (bat, metadata) = (start.saturating_add(bat), start.saturating_add(metadata));
    let item = |name, bytes| item(source, metadata, name, bytes);
    let parameters = item(PARAMETERS, 8)?;
    if le32(&parameters, 4)? & 2 != 0 {
        return Err(ON_TOP);
    }
    let block = u64::from(le32(&parameters, 0)?);
    let (bytes, sector) = (le64(&item(BYTES, 8)?, 0)?, u64::from(le32(&item(SECTOR, 4)?, 0)?));
    if !(BLOCKS[0]..=BLOCKS[1]).contains(&block) || !SECTORS.contains(&sector) {
        return Err(Stop::damaged("the blocks of VHDX"));
    }
    let is_logged = |at: &u64| take(source, start + at, 64).is_ok_and(|head| head[48..] != [0; 16]);
    if HEADERS.iter().any(is_logged) {
        sink.skip("", Skip::Unsupported("what stands in the log of a disk"));
    }
    // After so many blocks comes one of bitmaps.
    let each = BITMAP * sector / block;
    let map = move |index: u64| {
        let at = bat.saturating_add((index + index / each).saturating_mul(8));
        let entry = le64(&take(source, at, 8)?, 0)?;
        Ok(match entry & 7 {
            6 | 7 => Place::At(start.saturating_add(entry >> 20 << 20)),
            _ => Place::Hole,
        })
    };
    Disk::new(source, bytes, block, Box::new(map), sink)?.unpack(start, sink)
}

/// Where the two regions lie that there must be.
fn regions(source: &dyn ReadAt, at: u64) -> Result<(u64, u64), Stop> {
    let head = take(source, at, 16)?;
    let wrong = || Stop::damaged("the table of regions of VHDX");
    if !head.starts_with(b"regi") {
        return Err(wrong());
    }
    let entries = take(source, at + 16, u64::from(le32(&head, 8)?).min(ENTRIES_MAX) * 32)?;
    let find = |name| -> Result<u64, Stop> {
        let entry = entries.chunks(32).find(|entry| is_named(entry, name)).ok_or_else(wrong)?;
        le64(entry, 16)
    };
    Ok((find(BAT)?, find(METADATA)?))
}

fn is_named(entry: &[u8], name: u128) -> bool {
    let half = |at| be64(entry, at).map(u128::from).unwrap_or_default();
    half(0) << 64 | half(8) == name
}

fn item(source: &dyn ReadAt, metadata: u64, name: u128, bytes: u64) -> Result<Vec<u8>, Stop> {
    let head = take(source, metadata, 32)?;
    if !head.starts_with(b"metadata") {
        return Err(Stop::damaged("the metadata of VHDX"));
    }
    let entries =
        take(source, metadata.saturating_add(32), u64::from(le16(&head, 10)?).min(ENTRIES_MAX) * 32)?;
    let entry = entries.chunks(32).find(|entry| is_named(entry, name));
    let entry = entry.ok_or(Stop::damaged("the metadata of VHDX"))?;
    take(source, metadata.saturating_add(u64::from(le32(entry, 16)?)), bytes)
}
