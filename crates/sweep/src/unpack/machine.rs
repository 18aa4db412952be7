//! Disks of virtual machines, as recorders that run in one have them: QCOW2, VMDK and VHD;
//! VHDX has a module of its own. Unpacked in place: blocks are looked up as they are read, and
//! none is kept but a few of those that are packed.

use std::cell::{Cell, RefCell};
use std::io;
use std::ops::Range;
use std::rc::Rc;

use super::bytes::{be32, be64, byte, le16, le32, le64, take};
use super::codec::{Codec, decode};
use super::sink::{Covered, Sink, Stop, inside};
use super::{Account, Skip, inner};
use crate::read::ReadAt;
use crate::volume::{Lock, Volume};

/// Of a block, in bytes: VHDX allows as much.
const BLOCK_MAX: u64 = 256 << 20;
/// The same where blocks are packed, and so held in memory: QCOW2 allows as much.
const PACKED_BLOCK_MAX: u64 = 2 << 20;
/// Stretches that are known to have been read; what lies in others may be read twice.
const RANGES_MAX: usize = 1 << 16;

pub(super) const ON_TOP: Stop = Stop::Skip(Skip::Unsupported("a disk that lies on top of another file"));

/// Where a block lies.
pub(super) enum Place {
    /// Nowhere: zeros.
    Hole,
    At(u64),
    Packed {
        at: u64,
        bytes: u64,
        codec: Codec,
    },
}

pub(super) type Map<'a> = Box<dyn Fn(u64) -> Result<Place, Stop> + 'a>;

pub(super) struct Disk<'a> {
    source: &'a dyn ReadAt,
    bytes: u64,
    block: u64,
    /// Of each block, by its number.
    map: Map<'a>,
    account: Rc<Account>,
    /// Its number there.
    id: u64,
    /// What was read of the source, as it came.
    read: RefCell<Vec<Range<u64>>>,
    /// A block that was to be read lies behind the end of the source.
    is_short: Cell<bool>,
}

impl<'a> Disk<'a> {
    pub(super) fn new(
        source: &'a dyn ReadAt,
        bytes: u64,
        block: u64,
        map: Map<'a>,
        sink: &Sink<'_>,
    ) -> Result<Disk<'a>, Stop> {
        if !(512..=BLOCK_MAX).contains(&block) || !block.is_power_of_two() {
            return Err(Stop::damaged("the blocks of a disk"));
        }
        let account = sink.account();
        let id = account.disk();
        let (read, is_short) = (RefCell::default(), Cell::new(false));
        Ok(Disk { source, bytes, block, map, account, id, read, is_short })
    }

    pub(super) fn unpack(self, start: u64, sink: &mut Sink<'_>) -> Covered {
        let result = inner("", &self, sink);
        self.account.forget(self.id);
        if self.is_short.get() {
            sink.skip("", Skip::Damaged("blocks of a disk behind the end of the file"));
        }
        for Range { start, end } in self.read.into_inner() {
            sink.contents(start, end);
        }
        result?;
        Ok(Some(self.source.len() - start))
    }

    /// A block that is not packed. Files end in the midst of the last one, if there are zeros
    /// behind.
    fn at(&self, at: u64, from: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let start = at.saturating_add(from);
        let read = self.source.read_at(start, buffer)?;
        if read == 0 {
            self.is_short.set(self.is_short.get() || at >= self.source.len());
            self.account.hole(buffer.len() as u64).map_err(inside)?;
            buffer.fill(0);
            return Ok(buffer.len());
        }
        self.took(start, start + read as u64);
        Ok(read)
    }

    fn took(&self, start: u64, end: u64) {
        let mut ranges = self.read.borrow_mut();
        let has_room = ranges.len() < RANGES_MAX;
        match ranges.last_mut() {
            Some(last) if last.end == start => last.end = end,
            _ if has_room => ranges.push(start..end),
            _ => {}
        }
    }

    fn packed(&self, at: u64, bytes: u64, codec: Codec) -> Result<Vec<u8>, Stop> {
        // What cannot be packed takes little more than it has.
        if self.block > PACKED_BLOCK_MAX || bytes > 2 * self.block + 512 {
            return Err(Stop::damaged("a packed block of a disk"));
        }
        self.account.spend(self.block)?;
        // The last one may be shorter than it says.
        let data = take(self.source, at, bytes.min(self.source.len().saturating_sub(at)))?;
        let mut block = decode(codec, &data, self.block as usize)
            .map_err(|_| Stop::damaged("a packed block of a disk"))?;
        block.resize(self.block as usize, 0);
        // Where it begins alone: how long it is, a table claims.
        self.took(at, at.saturating_add(1));
        Ok(block)
    }
}

impl ReadAt for Disk<'_> {
    fn len(&self) -> u64 {
        self.bytes
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let (index, from) = (offset / self.block, offset % self.block);
        let rest = self.bytes.saturating_sub(offset).min(self.block - from);
        let count = rest.min(buffer.len() as u64) as usize;
        let buffer = &mut buffer[..count];
        if count == 0 {
            return Ok(0);
        }
        let from = from as usize;
        if self.account.copy(self.id, index, from, buffer) {
            return Ok(count);
        }
        match (self.map)(index).map_err(inside)? {
            Place::Hole => {
                self.account.hole(count as u64).map_err(inside)?;
                buffer.fill(0);
            }
            Place::At(at) => return self.at(at, from as u64, buffer),
            Place::Packed { at, bytes, codec } => {
                let block = self.packed(at, bytes, codec).map_err(inside)?;
                buffer.copy_from_slice(&block[from..from + count]);
                self.account.keep(self.id, index, block);
            }
        }
        Ok(count)
    }
}

/// QCOW2 of version 2 or 3 (`docs/interop/qcow2.rst` of QEMU): two tables, of which the
/// second says where each cluster lies.
pub(super) fn qcow2(source: &dyn ReadAt, start: u64, sink: &mut Sink<'_>) -> Covered {
    const PLACE: u64 = 0x00ff_ffff_ffff_fe00;
    let mut head = take(source, start, 72)?;
    let version = be32(&head, 4)?;
    if version >= 3 {
        head = take(source, start, 112)?;
    }
    let (features, has_type) = match version {
        3 => (be64(&head, 72)?, be32(&head, 100)? > 104),
        _ => (0, false),
    };
    let (bits, bytes) = (be32(&head, 20)?, be64(&head, 24)?);
    if !(9..=21).contains(&bits) {
        return Err(Stop::damaged("the header of QCOW2"));
    }
    if be32(&head, 32)? != 0 {
        let lock = Lock::Perhaps("by its header, as QEMU does".to_owned());
        sink.volume(Volume::new("QCOW2", None, bytes, lock));
        return Err(Stop::Skip(Skip::Encrypted));
    }
    if be64(&head, 8)? != 0 {
        return Err(ON_TOP);
    }
    // Data in another file, and clusters in pieces.
    if features & 0x14 != 0 || features >> 5 != 0 {
        return Err(Stop::unsupported("features of QCOW2"));
    }
    let codec = match has_type && byte(&head, 104) == 1 {
        true => Codec::Zstd,
        false => Codec::Deflate,
    };
    let (first, table) = (u64::from(be32(&head, 36)?), be64(&head, 40)?);
    let entry = move |at: u64| be64(&take(source, start.saturating_add(at), 8)?, 0);
    let map = move |index: u64| {
        let each = 1_u64 << (bits - 3);
        let (outer, within) = (index / each, index % each);
        if outer >= first {
            return Ok(Place::Hole);
        }
        let second = entry(table.saturating_add(outer * 8))? & PLACE;
        if second == 0 {
            return Ok(Place::Hole);
        }
        let cluster = entry(second + within * 8)?;
        if cluster >> 62 & 1 == 1 {
            let split = 62 - (bits - 8);
            let at = cluster & ((1 << split) - 1);
            let sectors = (cluster >> split & ((1 << (bits - 8)) - 1)) + 1;
            return Ok(Place::Packed { at: start + at, bytes: sectors * 512 - at % 512, codec });
        }
        // A cluster of zeros may have a place, too.
        Ok(match (cluster & PLACE, cluster & 1) {
            (0, _) | (_, 1) => Place::Hole,
            (at, _) => Place::At(start + at),
        })
    };
    Disk::new(source, bytes, 1 << bits, Box::new(map), sink)?.unpack(start, sink)
}

/// A sparse extent of VMDK (VMware's Virtual Disk Format 5.0), also one that is made to
/// be sent, whose grains are packed and whose directory a copy of the header at the end
/// names.
pub(super) fn vmdk(source: &dyn ReadAt, start: u64, sink: &mut Sink<'_>) -> Covered {
    const AT_END: u64 = u64::MAX;
    let mut head = take(source, start, 512)?;
    if le64(&head, 56)? == AT_END {
        let footer = source.len().checked_sub(1024).filter(|at| *at >= start);
        head = take(source, footer.ok_or(Stop::damaged("the footer of VMDK"))?, 512)?;
        if !head.starts_with(b"KDMV") || le64(&head, 56)? == AT_END {
            return Err(Stop::damaged("the footer of VMDK"));
        }
    }
    let (flags, packing) = (le32(&head, 8)?, le16(&head, 77)?);
    let (has_zeros, is_packed) = (flags >> 2 & 1 == 1, flags >> 16 & 1 == 1);
    if is_packed && packing > 1 {
        return Err(Stop::unsupported("a way of packing of VMDK"));
    }
    let sectors = |at| Ok::<_, Stop>(le64(&head, at)?.saturating_mul(512));
    let (bytes, grain, directory) = (sectors(12)?, sectors(20)?, sectors(56)?);
    let each = u64::from(le32(&head, 44)?);
    if grain > PACKED_BLOCK_MAX {
        return Err(Stop::damaged("the grains of VMDK"));
    }
    if !(1..=1 << 16).contains(&each) {
        return Err(Stop::damaged("the tables of VMDK"));
    }
    let sector =
        move |at: u64| Ok::<_, Stop>(u64::from(le32(&take(source, start.saturating_add(at), 4)?, 0)?));
    let map = move |index: u64| {
        let table = sector(directory.saturating_add(index / each * 4))?;
        if table == 0 {
            return Ok(Place::Hole);
        }
        Ok(match sector(table * 512 + index % each * 4)? {
            0 => Place::Hole,
            1 if has_zeros => Place::Hole,
            at if is_packed => {
                let at = start + at * 512;
                let bytes = u64::from(le32(&take(source, at, 12)?, 8)?);
                Place::Packed { at: at + 12, bytes, codec: Codec::Zlib }
            }
            at => Place::At(start + at * 512),
        })
    };
    Disk::new(source, bytes, grain, Box::new(map), sink)?.unpack(start, sink)
}

/// A dynamic VHD (Microsoft's Virtual Hard Disk Image Format Specification 1.0). A fixed
/// one is a disk as it is, with a footer.
pub(super) fn vhd(source: &dyn ReadAt, start: u64, sink: &mut Sink<'_>) -> Covered {
    let head = take(source, start, 512)?;
    let bytes = be64(&head, 48)?;
    // None follows the copy that stands at the end.
    let more = take(source, start.saturating_add(be64(&head, 16)?), 1024)?;
    if !more.starts_with(b"cxsparse") {
        return Err(Stop::damaged("the header of VHD"));
    }
    match be32(&head, 60)? {
        3 => {}
        4 => return Err(ON_TOP),
        _ => return Err(Stop::damaged("the header of VHD")),
    }
    let (table, entries, block) =
        (be64(&more, 16)?, u64::from(be32(&more, 28)?), u64::from(be32(&more, 32)?));
    // Before each block: which of its sectors were written.
    let bitmap = (block / 512).div_ceil(8).next_multiple_of(512);
    let map = move |index: u64| {
        if index >= entries {
            return Ok(Place::Hole);
        }
        let at = be32(&take(source, start.saturating_add(table).saturating_add(index * 4), 4)?, 0)?;
        Ok(match at {
            u32::MAX => Place::Hole,
            at => Place::At(start + u64::from(at) * 512 + bitmap),
        })
    };
    Disk::new(source, bytes, block, Box::new(map), sink)?.unpack(start, sink)
}
