//! Ext2, ext3 and ext4: extents and maps of blocks, small files inside inodes.

use std::collections::BTreeSet;

use super::Skip;
use super::bytes::{Pieces, Slice, array, join, le16, le32, name, take};
use super::sink::{About, Covered, Sink, Stop};
use crate::read::ReadAt;
use crate::volume::{Lock, Volume};

const ROOT: u32 = 2;
const DEPTH_MAX: usize = 128;
const FOLDER_BYTES_MAX: u64 = 64 << 20;
const FLAG_ENCRYPTED: u32 = 0x800;
const FLAG_EXTENTS: u32 = 0x8_0000;
const FLAG_INLINE: u32 = 0x1000_0000;
/// Of a file system in which inodes may be encrypted; in others, that flag says nothing.
const FEATURE_ENCRYPTED: u32 = 0x1_0000;

struct Ext<'a> {
    source: Slice<'a>,
    block: u64,
    inodes: u32,
    per_group: u32,
    inode: u64,
    /// Where the descriptors of groups lie, and how large one is.
    groups: u64,
    descriptor: u64,
    may_encrypt: bool,
}

struct Inode {
    mode: u16,
    bytes: u64,
    /// Seconds since 1970.
    written: i64,
    flags: u32,
    map: [u8; 60],
    /// What does not fit there of something small, and stands in an attribute.
    more: Vec<u8>,
}

pub(super) fn unpack(source: &dyn ReadAt, start: u64, sink: &mut Sink<'_>) -> Covered {
    let head = take(source, start + 1024, 1024)?;
    let log = le32(&head, 24)?;
    if log > 6 {
        return Err(Stop::damaged("the block size of ext"));
    }
    let block = 1024 << log;
    let incompatible = le32(&head, 96)?;
    let wide = incompatible & 0x80 != 0;
    let blocks = u64::from(le32(&head, 4)?) | if wide { u64::from(le32(&head, 0x150)?) << 32 } else { 0 };
    let fs = Ext {
        source: Slice::new(source, start, u64::MAX),
        block,
        inodes: le32(&head, 0)?,
        per_group: le32(&head, 40)?,
        inode: if le32(&head, 76)? == 0 { 128 } else { le16(&head, 88)?.into() },
        groups: (u64::from(le32(&head, 20)?) + 1) * block,
        descriptor: if wide { u64::from(le16(&head, 254)?).max(64) } else { 32 },
        may_encrypt: incompatible & FEATURE_ENCRYPTED != 0,
    };
    if fs.per_group == 0 || fs.inode < 128 || fs.inode > block {
        return Err(Stop::damaged("the superblock of ext"));
    }
    let bytes = blocks.saturating_mul(block).min(source.len() - start);
    sink.volume(Volume::new(kind(&head)?, uuid(&head[104..120]), bytes, Lock::Open));
    fs.walk(sink)?;
    Ok(Some(bytes))
}

/// Ext4 is what has extents, ext3 what has a journal.
fn kind(head: &[u8]) -> Result<&'static str, Stop> {
    Ok(match (le32(head, 96)? & 0x40 != 0, le32(head, 92)? & 4 != 0) {
        (true, _) => "ext4",
        (_, true) => "ext3",
        _ => "ext2",
    })
}

fn uuid(bytes: &[u8]) -> Option<String> {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let [a, b, c, d, e] = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
    bytes.iter().any(|byte| *byte != 0).then(|| format!("UUID {a}-{b}-{c}-{d}-{e}"))
}

/// The last change of the contents: 32 bits, and in larger inodes two more above them.
fn written(inode: &[u8]) -> Result<i64, Stop> {
    let low = i64::from(le32(inode, 16)?.cast_signed());
    let has_more = inode.len() >= 160 && le16(inode, 128)? >= 12;
    Ok(low + if has_more { i64::from(le32(inode, 136)? & 3) << 32 } else { 0 })
}

impl Ext<'_> {
    fn walk(&self, sink: &mut Sink<'_>) -> Result<(), Stop> {
        let mut seen = BTreeSet::new();
        let mut waiting = vec![(ROOT, String::new(), 0)];
        while let Some((number, path, depth)) = waiting.pop() {
            sink.count()?;
            if !seen.insert(number) || depth > DEPTH_MAX {
                sink.skip(&path, Skip::Damaged("a circle of folders"));
                continue;
            }
            let entries = match self.inode(number).and_then(|inode| self.folder(&inode, sink)) {
                Ok(entries) => entries,
                Err(stop) => {
                    sink.guard(&path, Err(stop))?;
                    continue;
                }
            };
            for (number, text) in entries.into_iter().rev() {
                let path = join(&path, &text);
                match self.inode(number) {
                    Ok(inode) => match inode.mode & 0o170_000 {
                        0o040_000 => waiting.push((number, path, depth + 1)),
                        0o100_000 => {
                            let result = self.file(&inode, &path, sink);
                            sink.guard(&path, result)?;
                        }
                        0o120_000 => sink.link(&path)?,
                        _ => sink.count()?,
                    },
                    Err(stop) => {
                        sink.count()?;
                        sink.guard(&path, Err(stop))?;
                    }
                }
            }
        }
        Ok(())
    }

    fn inode(&self, number: u32) -> Result<Inode, Stop> {
        if number == 0 || number > self.inodes {
            return Err(Stop::damaged("an inode of ext"));
        }
        let (group, index) = ((number - 1) / self.per_group, (number - 1) % self.per_group);
        let at = self.groups + u64::from(group) * self.descriptor;
        let descriptor = take(&self.source, at, self.descriptor.min(64))?;
        let high = if descriptor.len() >= 64 { u64::from(le32(&descriptor, 40)?) << 32 } else { 0 };
        let table = (u64::from(le32(&descriptor, 8)?) | high).checked_mul(self.block);
        let at = table.and_then(|table| table.checked_add(u64::from(index) * self.inode));
        let inode = take(&self.source, at.ok_or(Stop::damaged("an inode of ext"))?, self.inode)?;
        let mode = le16(&inode, 0)?;
        let high = if mode & 0o170_000 == 0o100_000 { u64::from(le32(&inode, 108)?) << 32 } else { 0 };
        let flags = le32(&inode, 32)?;
        let more = if flags & FLAG_INLINE != 0 { in_attribute(&inode).unwrap_or_default() } else { &[] };
        Ok(Inode {
            mode,
            bytes: u64::from(le32(&inode, 4)?) | high,
            written: written(&inode)?,
            flags,
            map: array(&inode, 40)?,
            more: more.to_vec(),
        })
    }

    fn is_encrypted(&self, inode: &Inode) -> bool {
        self.may_encrypt && inode.flags & FLAG_ENCRYPTED != 0
    }

    fn folder(&self, inode: &Inode, sink: &mut Sink<'_>) -> Result<Vec<(u32, String)>, Stop> {
        if inode.mode & 0o170_000 != 0o040_000 {
            return Err(Stop::damaged("a folder of ext"));
        }
        if self.is_encrypted(inode) {
            return Err(Stop::Skip(Skip::Encrypted));
        }
        let mut entries = Vec::new();
        if inode.flags & FLAG_INLINE != 0 {
            // Four bytes of the parent come before the entries.
            list(&inode.map[4..], &mut entries)?;
            list(&inode.more, &mut entries)?;
            return Ok(entries);
        }
        let bytes = inode.bytes.min(FOLDER_BYTES_MAX);
        sink.read(bytes)?;
        let count = bytes.div_ceil(self.block);
        for index in 0..count {
            if let Some(block) = self.map(inode, index)? {
                list(&take(&self.source, block, self.block)?, &mut entries)?;
            }
        }
        Ok(entries)
    }

    fn file(&self, inode: &Inode, path: &str, sink: &mut Sink<'_>) -> Result<(), Stop> {
        if self.is_encrypted(inode) {
            sink.count()?;
            return Err(Stop::Skip(Skip::Encrypted));
        }
        let about = About { bytes: inode.bytes, written: Some(inode.written) };
        if inode.flags & FLAG_INLINE != 0 {
            let held = [&inode.map[..], &inode.more].concat();
            let bytes = inode.bytes.min(held.len() as u64);
            sink.file(path, about, &mut &held[..bytes as usize])?;
            return if inode.bytes > bytes {
                Err(Stop::damaged("a file in an inode of ext"))
            } else {
                Ok(())
            };
        }
        let (mut index, mut left) = (0, inode.bytes);
        let mut pieces = Pieces::new(|| {
            if left == 0 {
                return Ok(None);
            }
            let want = left.min(self.block);
            let data = match self.map(inode, index)? {
                Some(at) => take(&self.source, at, want)?,
                None => vec![0; want as usize],
            };
            left -= want;
            index += 1;
            Ok(Some(data))
        });
        sink.file(path, about, &mut pieces)
    }

    /// Where block `index` of a file lies, in bytes; none is a hole.
    fn map(&self, inode: &Inode, index: u64) -> Result<Option<u64>, Stop> {
        let block = match inode.flags & FLAG_EXTENTS {
            0 => self.mapped(&inode.map, index)?,
            _ => self.extent(&inode.map, index)?,
        };
        match block {
            0 => Ok(None),
            _ => Ok(Some(block.checked_mul(self.block).ok_or(Stop::damaged("a block of ext"))?)),
        }
    }

    /// Twelve blocks, then blocks of blocks, three deep.
    fn mapped(&self, map: &[u8; 60], index: u64) -> Result<u64, Stop> {
        if index < 12 {
            return Ok(le32(map, index as usize * 4)?.into());
        }
        let each = self.block / 4;
        let mut index = index - 12;
        for level in 1..=3_u32 {
            let span = each.pow(level);
            if index < span {
                let mut block = u64::from(le32(map, 44 + 4 * level as usize)?);
                for below in (0..level).rev() {
                    if block == 0 {
                        return Ok(0);
                    }
                    let at = block * self.block + index / each.pow(below) % each * 4;
                    block = le32(&take(&self.source, at, 4)?, 0)?.into();
                }
                return Ok(block);
            }
            index -= span;
        }
        Err(Stop::damaged("a file of ext that is too long"))
    }

    fn extent(&self, map: &[u8; 60], index: u64) -> Result<u64, Stop> {
        let mut node = map.to_vec();
        let mut depth = 5;
        loop {
            let level = le16(&node, 6)?;
            if le16(&node, 0)? != 0xf30a || level > depth {
                return Err(Stop::damaged("an extent of ext"));
            }
            let count = usize::from(le16(&node, 2)?).min(node.len() / 12 - 1);
            let first = |entry: usize| le32(&node, 12 * entry + 12).map(u64::from);
            let mut found = None;
            for entry in 0..count {
                if first(entry)? <= index {
                    found = Some(12 * entry + 12);
                }
            }
            let Some(at) = found else { return Ok(0) };
            if level == 0 {
                let inside = index - u64::from(le32(&node, at)?);
                let bytes = u64::from(le16(&node, at + 4)?);
                let start = u64::from(le16(&node, at + 6)?) << 32 | u64::from(le32(&node, at + 8)?);
                // More than 32,768 says that it was set aside and not written.
                return Ok(if bytes <= 0x8000 && inside < bytes { start + inside } else { 0 });
            }
            let next = u64::from(le16(&node, at + 8)?) << 32 | u64::from(le32(&node, at + 4)?);
            let next = next.checked_mul(self.block).ok_or(Stop::damaged("an extent of ext"))?;
            node = take(&self.source, next, self.block)?;
            depth = level - 1;
        }
    }
}

/// The value of `system.data` behind the fields of an inode.
fn in_attribute(inode: &[u8]) -> Option<&[u8]> {
    const MAGIC: u32 = 0xea02_0000;
    const SYSTEM: u8 = 7;
    let start = 128 + usize::from(le16(inode, 128).ok()?);
    if le32(inode, start).ok()? != MAGIC {
        return None;
    }
    let entries = &inode[start + 4..];
    let mut at = 0;
    // Each name is padded to four bytes; zeros end the list.
    while le32(entries, at).ok()? != 0 {
        let (name, bytes) = (usize::from(entries[at]), le32(entries, at + 8).ok()?);
        if entries[at + 1] == SYSTEM && entries.get(at + 16..at + 16 + name) == Some(b"data") {
            let from = usize::from(le16(entries, at + 2).ok()?);
            return entries.get(from..from.checked_add(usize::try_from(bytes).ok()?)?);
        }
        at += (16 + name).next_multiple_of(4);
    }
    None
}

fn list(block: &[u8], entries: &mut Vec<(u32, String)>) -> Result<(), Stop> {
    let mut at = 0;
    while at + 8 <= block.len() {
        let (number, bytes, length) =
            (le32(block, at)?, usize::from(le16(block, at + 4)?), usize::from(block[at + 6]));
        if bytes < 8 {
            return Ok(());
        }
        let text = block.get(at + 8..at + 8 + length).ok_or(Stop::damaged("a folder of ext"))?;
        if number != 0 && text != b"." && text != b".." && length > 0 {
            entries.push((number, name(text)));
        }
        at += bytes;
    }
    Ok(())
}
