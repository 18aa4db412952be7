//! UBIFS: nodes are read one by one, without the index, so that what is damaged or
//! was deleted is found as well; of two nodes with the same key the later counts.

use std::collections::{BTreeMap, BTreeSet};

use super::Skip;
use super::bytes::{Pieces, fill, le16, le32, le64, take};
use super::codec::{Codec, decode};
use super::flash::Tree;
use super::sink::{Covered, Sink, Stop};
use crate::read::ReadAt;

const MAGIC: [u8; 4] = [0x31, 0x18, 0x10, 0x06];
const BLOCK: u64 = 4096;
const NODE_MAX: u64 = 64 << 10;
const GAP_MAX: u64 = 8 << 20;
const WINDOW: u64 = 1 << 16;
const ROOT: u64 = 1;

#[derive(Default)]
struct Log {
    tree: Tree,
    /// By inode: when it was written, its mode and size.
    inodes: BTreeMap<u64, (u64, u32, u64)>,
    /// By inode and block: when it was written, and where it lies.
    blocks: BTreeMap<(u64, u32), (u64, u64)>,
}

pub(super) fn unpack(source: &dyn ReadAt, start: u64, sink: &mut Sink<'_>) -> Covered {
    let mut log = Log::default();
    let (mut at, mut end) = (start, start);
    while let Some(found) = next(source, at, end + GAP_MAX) {
        sink.count()?;
        match node(source, found, &mut log) {
            Ok(bytes) => {
                end = found + bytes;
                at = end.next_multiple_of(8);
            }
            Err(_) => at = found + 8,
        }
    }
    if log.inodes.is_empty() {
        return Err(Stop::damaged("no node of UBIFS"));
    }
    let paths = log.tree.paths(ROOT);
    let named: BTreeSet<u64> = paths.iter().map(|(_, inode)| *inode).collect();
    for (path, inode) in &paths {
        file(source, path, *inode, &log, sink)?;
    }
    for inode in log.inodes.keys().filter(|inode| !named.contains(inode) && **inode != ROOT) {
        file(source, &format!("inode {inode}"), *inode, &log, sink)?;
    }
    Ok(Some(end.min(source.len()) - start))
}

fn next(source: &dyn ReadAt, mut at: u64, until: u64) -> Option<u64> {
    // Mostly it is right there.
    let mut head = [0; 24];
    if at < until && fill(source, at, &mut head).is_ok() && head[..4] == MAGIC {
        return Some(at);
    }
    while at < until && at + 24 <= source.len() {
        let mut window = vec![0; WINDOW.min(source.len() - at) as usize];
        fill(source, at, &mut window).ok()?;
        let found = window.chunks_exact(8).position(|eight| eight[..4] == MAGIC);
        if let Some(index) = found {
            return Some(at + index as u64 * 8);
        }
        at += WINDOW;
    }
    None
}

/// Remembers a node whose sum is right; tells its length.
fn node(source: &dyn ReadAt, at: u64, log: &mut Log) -> Result<u64, Stop> {
    let bytes = u64::from(le32(&take(source, at, 24)?, 16)?);
    if !(24..=NODE_MAX).contains(&bytes) {
        return Err(Stop::damaged("a node of UBIFS"));
    }
    let raw = take(source, at, bytes)?;
    let mut sum = flate2::Crc::new();
    sum.update(&raw[8..]);
    if !sum.sum() != le32(&raw, 4)? {
        return Err(Stop::damaged("a node of UBIFS"));
    }
    let written = le64(&raw, 8)?;
    match raw[20] {
        0 => {
            let known = log.inodes.entry(le32(&raw, 24)?.into()).or_default();
            if written >= known.0 {
                *known = (written, le32(&raw, 104)?, le64(&raw, 48)?);
            }
        }
        1 => {
            let key = (u64::from(le32(&raw, 24)?), le32(&raw, 28)? & 0x1fff_ffff);
            let known = log.blocks.entry(key).or_default();
            if written >= known.0 {
                *known = (written, at);
            }
        }
        2 => {
            let text = raw.get(56..56 + usize::from(le16(&raw, 50)?));
            let text = text.ok_or(Stop::damaged("a name of UBIFS"))?;
            log.tree.add(le32(&raw, 24)?.into(), text, written, le64(&raw, 40)?);
        }
        _ => {}
    }
    Ok(bytes)
}

fn file(source: &dyn ReadAt, path: &str, inode: u64, log: &Log, sink: &mut Sink<'_>) -> Result<(), Stop> {
    let Some((_, mode, bytes)) = log.inodes.get(&inode).copied() else {
        sink.count()?;
        sink.skip(path, Skip::Damaged("an inode of UBIFS"));
        return Ok(());
    };
    match mode & 0o170_000 {
        0o100_000 => {}
        0o120_000 => return sink.link(path),
        _ => return sink.count(),
    }
    let (mut block, mut left) = (0_u32, bytes);
    let mut pieces = Pieces::new(|| {
        if left == 0 {
            return Ok(None);
        }
        let want = left.min(BLOCK) as usize;
        let mut data = match log.blocks.get(&(inode, block)) {
            Some((_, at)) => data(source, *at)?,
            None => Vec::new(),
        };
        data.resize(want, 0);
        left -= want as u64;
        block = block.checked_add(1).ok_or(Stop::damaged("a file of UBIFS that is too long"))?;
        Ok(Some(data))
    });
    sink.part(path, &mut pieces)
}

fn data(source: &dyn ReadAt, at: u64) -> Result<Vec<u8>, Stop> {
    let head = take(source, at, 48)?;
    let packed = u64::from(le32(&head, 16)?).checked_sub(48).ok_or(Stop::damaged("a node of UBIFS"))?;
    let packed = take(source, at + 48, packed)?;
    match le16(&head, 44)? {
        0 => Ok(packed),
        1 => decode(Codec::Lzo, &packed, BLOCK as usize),
        2 => decode(Codec::Deflate, &packed, BLOCK as usize),
        3 => decode(Codec::Zstd, &packed, BLOCK as usize),
        _ => Err(Stop::unsupported("a codec of UBIFS")),
    }
}
