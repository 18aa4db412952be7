//! Cramfs, of either byte order.

use std::collections::BTreeSet;

use super::Skip;
use super::bytes::{Pieces, Slice, array, join, name, take};
use super::codec::{Codec, decode};
use super::sink::{Covered, Sink, Stop};
use crate::read::ReadAt;

const PAGE: u64 = 4096;
const DEPTH_MAX: usize = 128;

struct Cramfs<'a> {
    source: Slice<'a>,
    is_big: bool,
}

struct Inode {
    mode: u32,
    bytes: u64,
    name_bytes: u64,
    at: u64,
}

pub(super) fn unpack(source: &dyn ReadAt, start: u64, sink: &mut Sink<'_>) -> Covered {
    let head = take(source, start, 76)?;
    let is_big = head[0] == 0x28;
    let fs = Cramfs { source: Slice::new(source, start, u64::MAX), is_big };
    // Before 2.3 the field held the number of a version, and there was no size.
    let bytes = u64::from(fs.word(&head, 4)?);
    let covered = if fs.word(&head, 8)? & 1 != 0 { bytes } else { fs.source.len() };
    let mut seen = BTreeSet::new();
    let mut waiting = vec![(fs.inode(64)?, String::new(), 0)];
    while let Some((folder, path, depth)) = waiting.pop() {
        sink.count()?;
        if folder.bytes == 0 {
            continue;
        }
        if depth > DEPTH_MAX || !seen.insert(folder.at) {
            sink.skip(&path, Skip::Damaged("a circle of folders"));
            continue;
        }
        let result = fs.folder(&folder, &path, depth, sink, &mut waiting);
        sink.guard(&path, result)?;
    }
    Ok(Some(covered.min(fs.source.len())))
}

impl Cramfs<'_> {
    fn word(&self, data: &[u8], at: usize) -> Result<u32, Stop> {
        let four = array(data, at)?;
        Ok(if self.is_big { u32::from_be_bytes(four) } else { u32::from_le_bytes(four) })
    }

    fn inode(&self, at: u64) -> Result<Inode, Stop> {
        let raw = take(&self.source, at, 12)?;
        let (first, second, third) = (self.word(&raw, 0)?, self.word(&raw, 4)?, self.word(&raw, 8)?);
        // The bits of a field begin at the other end in the other order.
        let (mode, size, names, place) = if self.is_big {
            (first >> 16, second >> 8, third >> 26, third & 0x3ff_ffff)
        } else {
            (first & 0xffff, second & 0xff_ffff, third & 0x3f, third >> 6)
        };
        Ok(Inode { mode, bytes: size.into(), name_bytes: u64::from(names) * 4, at: u64::from(place) * 4 })
    }

    fn folder(
        &self,
        folder: &Inode,
        path: &str,
        depth: usize,
        sink: &mut Sink<'_>,
        waiting: &mut Vec<(Inode, String, usize)>,
    ) -> Result<(), Stop> {
        let mut at = folder.at;
        let end = folder.at + folder.bytes;
        while at < end {
            let inode = self.inode(at)?;
            let text = take(&self.source, at + 12, inode.name_bytes)?;
            let path = join(path, &name(super::bytes::until_zero(&text)));
            at += 12 + inode.name_bytes;
            match inode.mode & 0o170_000 {
                0o040_000 => waiting.push((inode, path, depth + 1)),
                0o100_000 => self.file(&inode, &path, sink)?,
                0o120_000 => sink.link(&path)?,
                _ => sink.count()?,
            }
        }
        Ok(())
    }

    /// First where each page ends, then the pages. One that takes no bytes is a hole.
    fn file(&self, inode: &Inode, path: &str, sink: &mut Sink<'_>) -> Result<(), Stop> {
        let pages = inode.bytes.div_ceil(PAGE);
        let mut from = inode.at + 4 * pages;
        let mut page = 0;
        let mut pieces = Pieces::new(|| {
            if page == pages {
                return Ok(None);
            }
            let want = (inode.bytes - page * PAGE).min(PAGE) as usize;
            let to = u64::from(self.word(&take(&self.source, inode.at + 4 * page, 4)?, 0)?);
            if to & 0xc000_0000 != 0 {
                return Err(Stop::unsupported("extended blocks of cramfs"));
            }
            let bytes = to.checked_sub(from).filter(|bytes| *bytes <= 2 * PAGE);
            let packed = take(&self.source, from, bytes.ok_or(Stop::damaged("a block of cramfs"))?)?;
            (from, page) = (to, page + 1);
            if packed.is_empty() {
                return Ok(Some(vec![0; want]));
            }
            decode(Codec::Zlib, &packed, PAGE as usize).map(Some)
        });
        sink.part(path, &mut pieces)
    }
}
