//! Archives, file systems, firmware images and captures, opened in memory.
//!
//! Everything here reads foreign bytes: sizes, offsets and counts are claims until
//! the bytes are there. Each reader has bounds for time and memory, and goes on
//! behind what it cannot read. Links are told and never followed; names are told
//! with control characters escaped.

mod account;
mod ar;
mod bytes;
mod cab;
mod codec;
mod cpio;
mod cramfs;
mod crypt;
mod deflate;
mod disk;
mod exfat;
mod ext;
mod fat;
mod find;
mod fit;
mod flash;
mod fragments;
mod iso;
mod jffs2;
mod lzop;
mod lzw;
mod machine;
mod noise;
mod pcap;
mod romfs;
mod seven;
mod sevenzip;
mod sink;
mod sparse;
mod sqlite;
mod squashfs;
mod stream;
mod tar;
mod tcp;
mod ubi;
mod ubifs;
mod uimage;
mod vdi;
mod vhdx;
mod wal;
mod wire;
mod yaffs;
mod zip;

use std::fmt;
use std::io::Read;
use std::ops::{ControlFlow, Range};
use std::rc::Rc;

use crate::limits::Limits;
use crate::read::ReadAt;
use crate::source::LINK;
use crate::volume::Volume;

pub use account::Account;
pub(crate) use crypt::{is_locked, is_unknown, unknown};
pub use find::{LOOK_AHEAD, find};
pub(crate) use find::{begins, find_at, literals};
pub(crate) use noise::is_noise;
use sink::{Covered, Sink, Stop};
pub(crate) use wire::fuzz as fuzz_wire;

/// What can be unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Format {
    Gzip,
    Zlib,
    Bzip2,
    Xz,
    /// LZMA with the header of 13 bytes that it had before xz.
    Lzma,
    /// LZMA as lzip packs it.
    Lzip,
    /// LZO with the header of lzop.
    Lzop,
    /// LZW of `compress`.
    Lzw,
    Zstd,
    Lz4,
    Tar,
    Cpio,
    Zip,
    SevenZip,
    /// Cabinets of Microsoft.
    Cab,
    Ar,
    Squashfs,
    Cramfs,
    Romfs,
    Jffs2,
    /// YAFFS2 with its spare areas.
    Yaffs,
    /// UBI images, and UBIFS without UBI.
    Ubi,
    Ext,
    Fat,
    ExFat,
    Iso9660,
    Gpt,
    Mbr,
    UImage,
    /// Flattened device trees, of which FIT images are one kind.
    Fit,
    AndroidSparse,
    Pcap,
    PcapNg,
    /// Told, and not opened; so is BitLocker.
    Luks,
    BitLocker,
    /// Disks of virtual machines.
    Qcow2,
    Vmdk,
    Vhd,
    Vdi,
    /// What databases wrote last.
    Wal,
    /// Databases: a part for each table.
    Sqlite,
    Vhdx,
    /// Told, and read as it stands: what is stored in it lies open.
    Rar,
}

/// One file, partition or direction of a connection.
pub struct Part<'a> {
    /// Foreign text; control characters and bytes that are no UTF-8 are escaped.
    /// Never to be used as a path. Empty where the format has no name.
    pub name: &'a str,
    /// Ends with an error where the part is damaged or goes beyond a limit, of
    /// which `Visit::skipped` then tells.
    pub data: &'a mut dyn Read,
}

impl fmt::Debug for Part<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Part").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A file of a volume.
#[derive(Debug)]
pub struct File<'a> {
    /// As many bytes of its beginning as there are, at most [`HEAD`].
    pub head: &'a [u8],
    /// As the file system says.
    pub bytes: u64,
    /// When it was written last, in seconds since 1970, as the file system says.
    pub written: Option<i64>,
}

/// Of a file, by which is told what it is, in bytes.
pub const HEAD: usize = 4096;

/// Why something was not looked into, or not to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skip {
    Encrypted,
    /// What it leads to is read by itself, or lies outside.
    Link,
    TooLarge,
    TooMany,
    /// It unpacks to so much more than it is that it must be a bomb.
    Ratio,
    Damaged(&'static str),
    Unsupported(&'static str),
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Encrypted => f.write_str("encrypted"),
            Self::Link => f.write_str(LINK),
            Self::TooLarge => f.write_str("larger than the limit"),
            Self::TooMany => f.write_str("more entries than the limit"),
            Self::Ratio => f.write_str("unpacks to far more than it is"),
            Self::Damaged(what) => write!(f, "damaged: {what}"),
            Self::Unsupported(what) => write!(f, "not supported: {what}"),
        }
    }
}

/// Who is told what was unpacked.
pub trait Visit {
    /// Whoever breaks is told nothing more of this container.
    fn part(&mut self, part: Part<'_>) -> ControlFlow<()>;
    /// `name` is empty for the container itself.
    fn skipped(&mut self, name: &str, why: Skip);
    /// At the end: how many entries, nodes or packets were looked at.
    fn entries(&mut self, _count: u64) {}
    /// This stretch of the source came out of parts, as it is or unpacked. Where nothing
    /// is said of contents, anything may stand among them.
    fn contents(&mut self, _range: Range<u64>) {}
    /// A partition or a member at `_at` of the source was unpacked with the container.
    fn opened(&mut self, _at: u64) {}
    /// A file system or a partition begins; `_name` is empty for the container itself.
    fn volume(&mut self, _name: &str, _volume: Volume) {}
    /// A file of the volume that began last, before it is told as a part.
    fn file(&mut self, _name: &str, _file: &File<'_>) {}
    /// The volume that began last ends, before its end if there is a reason.
    fn volume_ends(&mut self, _why: Option<Skip>) {}
    /// What blocks of packed disks are counted in; one of its own, if this has none.
    fn account(&self) -> Option<Rc<Account>> {
        None
    }
    /// Whether files of volumes are told beyond a limit, which are no parts any more.
    fn goes_on(&self) -> bool {
        false
    }
}

/// Unpacks what begins at `offset`; returns how many bytes of `source` it covers, if
/// that is known.
pub fn unpack(
    format: Format,
    source: &dyn ReadAt,
    offset: u64,
    limits: &Limits,
    visit: &mut dyn Visit,
) -> Option<u64> {
    let mut sink = Sink::new(limits, visit, source.len().saturating_sub(offset));
    let covered = match open(format, source, offset, &mut sink) {
        // Sizes are claims; nothing covers more than there is.
        Ok(covered) => covered.map(|bytes| bytes.min(source.len().saturating_sub(offset))),
        Err(Stop::Enough) => None,
        Err(Stop::Skip(why)) => {
            sink.skip("", why);
            None
        }
    };
    sink.end();
    covered
}

fn open(format: Format, source: &dyn ReadAt, at: u64, sink: &mut Sink<'_>) -> Covered {
    let open = sink.volumes();
    let covered = match format {
        Format::Gzip => stream::gzip(source, at, sink),
        Format::Zlib => stream::zlib(source, at, sink),
        Format::Bzip2 => stream::bzip2(source, at, sink),
        Format::Xz => stream::xz(source, at, sink),
        Format::Lzma => stream::lzma(source, at, sink),
        Format::Lzip => stream::lzip(source, at, sink),
        Format::Lzop => lzop::unpack(source, at, sink),
        Format::Lzw => lzw::unpack(source, at, sink),
        Format::Zstd => stream::zstd(source, at, sink),
        Format::Lz4 => stream::lz4(source, at, sink),
        Format::Tar => tar::unpack(source, at, sink),
        Format::Cpio => cpio::unpack(source, at, sink),
        Format::Zip => zip::unpack(source, at, sink),
        Format::SevenZip => sevenzip::unpack(source, at, sink),
        Format::Cab => cab::unpack(source, at, sink),
        Format::Ar => ar::unpack(source, at, sink),
        Format::Squashfs => squashfs::unpack(source, at, sink),
        Format::Cramfs => cramfs::unpack(source, at, sink),
        Format::Romfs => romfs::unpack(source, at, sink),
        Format::Jffs2 => jffs2::unpack(source, at, sink),
        Format::Yaffs => yaffs::unpack(source, at, sink),
        Format::Ubi => ubi::unpack(source, at, sink),
        Format::Ext => ext::unpack(source, at, sink),
        Format::Fat => fat::unpack(source, at, sink),
        Format::ExFat => exfat::unpack(source, at, sink),
        Format::Iso9660 => iso::unpack(source, at, sink),
        Format::Gpt => disk::gpt(source, at, sink),
        Format::Mbr => disk::mbr(source, at, sink),
        Format::UImage => uimage::unpack(source, at, sink),
        Format::Fit => fit::unpack(source, at, sink),
        Format::AndroidSparse => sparse::unpack(source, at, sink),
        Format::Pcap => pcap::pcap(source, at, sink),
        Format::PcapNg => pcap::pcapng(source, at, sink),
        Format::Luks => crypt::luks(source, at, sink),
        Format::BitLocker => crypt::bitlocker(source, at, sink),
        Format::Qcow2 => machine::qcow2(source, at, sink),
        Format::Vmdk => machine::vmdk(source, at, sink),
        Format::Vhd => machine::vhd(source, at, sink),
        Format::Wal => wal::unpack(source, at, sink),
        Format::Vdi => vdi::unpack(source, at, sink),
        Format::Sqlite => sqlite::unpack(source, at, sink),
        Format::Vhdx => vhdx::unpack(source, at, sink),
        Format::Rar => Err(Stop::unsupported("what is packed in a RAR archive")),
    };
    let why = match &covered {
        Err(Stop::Skip(why)) => Some(*why),
        _ => None,
    };
    sink.end_volumes(open, why);
    covered
}

/// Unpacks in place what is whole in itself and lies inside something: a partition,
/// a volume, the payload of an image. What is of no known format is one part.
fn inner(name: &str, source: &dyn ReadAt, sink: &mut Sink<'_>) -> Result<(), Stop> {
    match format_of(source)? {
        Some(format) if sink.enter(name) => {
            let result = open(format, source, 0, sink);
            let result = sink.guard("", result.map(|_| ()));
            sink.leave();
            result
        }
        _ => sink.part(name, &mut bytes::Range::new(source, 0, source.len())),
    }
}

/// What a source is as a whole, if that is known.
fn format_of(source: &dyn ReadAt) -> Result<Option<Format>, Stop> {
    let mut head = vec![0; (LOOK_AHEAD as u64 + 4096).min(source.len()) as usize];
    bytes::fill(source, 0, &mut head)?;
    let found = find::find_before(&head, 1).into_iter().map(|(_, format)| format);
    // A boot sector may look like a table of partitions; the file system counts.
    Ok(found.min_by_key(|format| (*format == Format::Mbr, *format)))
}
