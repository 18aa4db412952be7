//! Squashfs 4.0, with each of its codecs.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::bytes::{Pieces, Slice, join, le16, le32, le64, name, take};
use super::codec::{Codec, decode};
use super::sink::{Covered, Sink, Stop};
use crate::read::ReadAt;

const META: usize = 8192;
const BLOCK_MAX: u32 = 1 << 20;
const NO_FRAGMENT: u32 = u32::MAX;
/// Folders in folders.
const DEPTH_MAX: usize = 128;
/// Blocks of metadata that are kept unpacked: 8 MiB.
const CACHE: usize = 1024;

/// A block of metadata, and where the next one lies.
type Unpacked = (Rc<Vec<u8>>, u64);

struct Squashfs<'a> {
    source: Slice<'a>,
    codec: Codec,
    block: u32,
    inodes: u64,
    folders: u64,
    fragments: u64,
    fragment_count: u32,
    /// Unpacked metadata by where it lies, with where the next block does.
    meta: RefCell<BTreeMap<u64, Unpacked>>,
    /// The fragment that was read last: files that share one follow each other.
    fragment: RefCell<Option<(u32, Rc<Vec<u8>>)>>,
}

pub(super) fn unpack(source: &dyn ReadAt, start: u64, sink: &mut Sink<'_>) -> Covered {
    let head = take(source, start, 96)?;
    if le16(&head, 28)? != 4 {
        return Err(Stop::unsupported("squashfs before 4.0"));
    }
    let codec = match le16(&head, 20)? {
        1 => Codec::Zlib,
        2 => Codec::Lzma,
        3 => Codec::Lzo,
        4 => Codec::Xz,
        5 => Codec::Lz4,
        6 => Codec::Zstd,
        _ => return Err(Stop::unsupported("a codec of squashfs")),
    };
    let block = le32(&head, 12)?;
    if !(4096..=BLOCK_MAX).contains(&block) || !block.is_power_of_two() {
        return Err(Stop::damaged("the block size of squashfs"));
    }
    let bytes = le64(&head, 40)?;
    let fs = Squashfs {
        source: Slice::new(source, start, bytes),
        codec,
        block,
        inodes: le64(&head, 64)?,
        folders: le64(&head, 72)?,
        fragments: le64(&head, 80)?,
        fragment_count: le32(&head, 16)?,
        meta: RefCell::default(),
        fragment: RefCell::default(),
    };
    let mut seen = BTreeSet::new();
    let mut waiting = vec![(le64(&head, 32)?, String::new(), 0)];
    while let Some((inode, path, depth)) = waiting.pop() {
        sink.count()?;
        // A folder that is its own ancestor, or is hung up twice.
        if !seen.insert(inode) || depth > DEPTH_MAX {
            sink.skip(&path, super::Skip::Damaged("a circle of folders"));
            continue;
        }
        let entries = fs.folder(inode, sink);
        let entries = match entries {
            Ok(entries) => entries,
            Err(stop) => {
                sink.guard(&path, Err(stop))?;
                continue;
            }
        };
        for entry in entries.into_iter().rev() {
            let path = join(&path, &entry.name);
            match entry.kind {
                1 => waiting.push((entry.inode, path, depth + 1)),
                2 => {
                    let result = fs.file(entry.inode, &path, sink);
                    sink.guard(&path, result)?;
                }
                3 => sink.link(&path)?,
                _ => sink.count()?,
            }
        }
    }
    Ok(Some(bytes.min(source.len() - start)))
}

struct Entry {
    name: String,
    kind: u16,
    inode: u64,
}

/// A place in metadata.
struct Meta {
    block: u64,
    offset: usize,
}

impl Squashfs<'_> {
    fn at(&self, table: u64, reference: u64) -> Result<Meta, Stop> {
        let block = table.checked_add(reference >> 16).ok_or(Stop::damaged("an inode of squashfs"))?;
        Ok(Meta { block, offset: (reference & 0xffff) as usize })
    }

    fn meta(&self, at: u64) -> Result<Unpacked, Stop> {
        if let Some(known) = self.meta.borrow().get(&at) {
            return Ok(known.clone());
        }
        let head = le16(&take(&self.source, at, 2)?, 0)?;
        let bytes = u64::from(head & 0x7fff);
        let packed = take(&self.source, at + 2, bytes)?;
        let data = if head & 0x8000 != 0 { packed } else { decode(self.codec, &packed, META)? };
        let known = (Rc::new(data), at + 2 + bytes);
        let mut cache = self.meta.borrow_mut();
        if cache.len() >= CACHE {
            cache.clear();
        }
        cache.insert(at, known.clone());
        Ok(known)
    }

    fn read<const N: usize>(&self, meta: &mut Meta) -> Result<[u8; N], Stop> {
        let mut out = [0; N];
        self.read_into(meta, &mut out)?;
        Ok(out)
    }

    fn read_into(&self, meta: &mut Meta, mut out: &mut [u8]) -> Result<(), Stop> {
        while !out.is_empty() {
            let (data, next) = self.meta(meta.block)?;
            let rest = data.get(meta.offset..).ok_or(Stop::damaged("metadata of squashfs"))?;
            if rest.is_empty() {
                if data.is_empty() {
                    return Err(Stop::damaged("metadata of squashfs"));
                }
                (meta.block, meta.offset) = (next, 0);
                continue;
            }
            let count = rest.len().min(out.len());
            out[..count].copy_from_slice(&rest[..count]);
            meta.offset += count;
            out = &mut out[count..];
        }
        Ok(())
    }

    fn folder(&self, inode: u64, sink: &Sink<'_>) -> Result<Vec<Entry>, Stop> {
        let mut meta = self.at(self.inodes, inode)?;
        let kind = le16(&self.read::<16>(&mut meta)?, 0)?;
        let (block, offset, bytes) = match kind {
            1 => {
                let body = self.read::<16>(&mut meta)?;
                (le32(&body, 0)?, le16(&body, 10)?, u32::from(le16(&body, 8)?))
            }
            8 => {
                let body = self.read::<24>(&mut meta)?;
                (le32(&body, 8)?, le16(&body, 18)?, le32(&body, 4)?)
            }
            _ => return Err(Stop::damaged("a folder of squashfs")),
        };
        let mut meta = self.at(self.folders, u64::from(block) << 16 | u64::from(offset))?;
        // The size counts three bytes for `.` and `..`, which are not there.
        let mut left = u64::from(bytes.saturating_sub(3));
        let mut entries = Vec::new();
        while left >= 12 {
            let head = self.read::<12>(&mut meta)?;
            left -= 12;
            let (count, start) = (le32(&head, 0)?, u64::from(le32(&head, 4)?));
            if count >= 256 {
                return Err(Stop::damaged("a folder of squashfs"));
            }
            for _ in 0..=count {
                let entry = self.read::<8>(&mut meta)?;
                let mut text = vec![0; usize::from(le16(&entry, 6)?) + 1];
                self.read_into(&mut meta, &mut text)?;
                let used = 8 + text.len() as u64;
                left = left.checked_sub(used).ok_or(Stop::damaged("a folder of squashfs"))?;
                if entries.len() as u64 >= sink.limits.entries {
                    return Err(Stop::Skip(super::Skip::TooMany));
                }
                let inode = start << 16 | u64::from(le16(&entry, 0)?);
                entries.push(Entry { name: name(&text), kind: le16(&entry, 4)?, inode });
            }
        }
        Ok(entries)
    }

    fn file(&self, inode: u64, path: &str, sink: &mut Sink<'_>) -> Result<(), Stop> {
        let mut meta = self.at(self.inodes, inode)?;
        let kind = le16(&self.read::<16>(&mut meta)?, 0)?;
        let (mut at, mut left, fragment, offset) = match kind {
            2 => {
                let body = self.read::<16>(&mut meta)?;
                (le32(&body, 0)?.into(), le32(&body, 12)?.into(), le32(&body, 4)?, le32(&body, 8)?)
            }
            9 => {
                let body = self.read::<40>(&mut meta)?;
                (le64(&body, 0)?, le64(&body, 8)?, le32(&body, 28)?, le32(&body, 32)?)
            }
            _ => return Err(Stop::damaged("a file of squashfs")),
        };
        let block = u64::from(self.block);
        let mut pieces = Pieces::new(|| {
            if left == 0 {
                return Ok(None);
            }
            let want = left.min(block) as usize;
            left -= want as u64;
            if fragment != NO_FRAGMENT && want < block as usize {
                return self.fragment(fragment, offset as usize, want).map(Some);
            }
            let size = le32(&self.read::<4>(&mut meta)?, 0)?;
            let data = self.block(at, size, want)?;
            at += u64::from(size & 0xff_ffff);
            Ok(Some(data))
        });
        sink.part(path, &mut pieces)
    }

    /// A block of `size`, whose bit 24 says that it is not packed; 0 is a hole.
    fn block(&self, at: u64, size: u32, want: usize) -> Result<Vec<u8>, Stop> {
        let bytes = size & 0xff_ffff;
        if bytes == 0 {
            return Ok(vec![0; want]);
        }
        if bytes > self.block {
            return Err(Stop::damaged("a block of squashfs"));
        }
        let packed = take(&self.source, at, bytes.into())?;
        let mut data =
            if size & 1 << 24 != 0 { packed } else { decode(self.codec, &packed, self.block as usize)? };
        if data.len() < want {
            return Err(Stop::damaged("a block of squashfs"));
        }
        data.truncate(want);
        Ok(data)
    }

    fn fragment(&self, index: u32, offset: usize, want: usize) -> Result<Vec<u8>, Stop> {
        let known =
            self.fragment.borrow().as_ref().filter(|known| known.0 == index).map(|known| known.1.clone());
        let data = match known {
            Some(data) => data,
            None => {
                let data = Rc::new(self.read_fragment(index)?);
                *self.fragment.borrow_mut() = Some((index, data.clone()));
                data
            }
        };
        let piece = data.get(offset..).and_then(|rest| rest.get(..want));
        Ok(piece.ok_or(Stop::damaged("a fragment of squashfs"))?.to_vec())
    }

    fn read_fragment(&self, index: u32) -> Result<Vec<u8>, Stop> {
        if index >= self.fragment_count {
            return Err(Stop::damaged("a fragment of squashfs"));
        }
        let pointer = self.fragments.checked_add(u64::from(index / 512) * 8);
        let pointer = take(&self.source, pointer.ok_or(Stop::damaged("a fragment of squashfs"))?, 8)?;
        let mut meta = Meta { block: le64(&pointer, 0)?, offset: index as usize % 512 * 16 };
        let entry = self.read::<16>(&mut meta)?;
        let size = le32(&entry, 8)?;
        let packed =
            take(&self.source, le64(&entry, 0)?, u64::from(size & 0xff_ffff).min(self.block.into()))?;
        if size & 1 << 24 != 0 { Ok(packed) } else { decode(self.codec, &packed, self.block as usize) }
    }
}
