//! Where something begins that can be unpacked. Magic numbers of three bytes and more are
//! literals of the same filter that finds those of rules; those of two are looked for by one
//! of their bytes. What matches
//! is looked at closely, since short ones match by chance all the time.

use std::sync::LazyLock;

use super::bytes::{be16, be32, byte, le16, le32, le64};
use super::deflate::Trials;
use super::{Format, cab, crypt, jffs2, lzop, lzw, sqlite, stream, tar, ubi, uimage, vdi, vhdx, wal, yaffs};
use crate::prefilter::Prefilter;

/// How far behind its beginning a format may have its magic number; windows that
/// follow each other must share as much. (ISO 9660 has it in the 17th sector.)
pub const LOOK_AHEAD: usize = 16 * 2048 + 6;

/// What 8 MiB that cannot be packed take.
const LZ4_BLOCK_MAX: u32 = (8 << 20) + (8 << 20) / 255 + 16;

struct Magic {
    bytes: Vec<u8>,
    /// From the beginning.
    at: usize,
    format: Format,
    /// Looks at what begins there.
    check: fn(&[u8]) -> bool,
}

fn magic(format: Format, at: usize, bytes: &[u8], check: fn(&[u8]) -> bool) -> Magic {
    Magic { bytes: bytes.to_vec(), at, format, check }
}

fn any(_: &[u8]) -> bool {
    true
}

/// Those of three bytes and more. A shorter one is told with each byte that may follow.
fn magics() -> Vec<Magic> {
    let mut magics = vec![
        magic(Format::Bzip2, 4, &[0x31, 0x41, 0x59, 0x26, 0x53, 0x59], bzip2),
        magic(Format::Xz, 0, b"\xfd7zXZ\0", any),
        // Properties that all tools use, and the low half of a window's size.
        magic(Format::Lzma, 0, &[0x5d, 0, 0], lzma),
        magic(Format::Gzip, 0, &[0x1f, 0x8b, 8], gzip),
        magic(Format::Lzip, 0, b"LZIP\x01", |head| stream::lzip_window(byte(head, 5)).is_some()),
        magic(Format::Lzop, 0, lzop::MAGIC, any),
        magic(Format::Cab, 0, b"MSCF\0\0\0\0", cab::begins),
        magic(Format::Zstd, 0, &[0x28, 0xb5, 0x2f, 0xfd], any),
        magic(Format::Lz4, 0, &[4, 0x22, 0x4d, 0x18], |head| byte(head, 4) >> 6 == 1),
        // The frame that kernels are packed with: a block follows at once.
        magic(Format::Lz4, 0, &[2, 0x21, 0x4c, 0x18], |head| {
            le32(head, 4).is_ok_and(|bytes| (1..=LZ4_BLOCK_MAX).contains(&bytes))
        }),
        magic(Format::Tar, 257, b"ustar", ustar),
        magic(Format::Cpio, 0, b"070701", |head| digits(head, 110)),
        magic(Format::Cpio, 0, b"070702", |head| digits(head, 110)),
        magic(Format::Cpio, 0, b"070707", |head| digits(head, 76)),
        magic(Format::Zip, 0, b"PK\x03\x04", |head| byte(head, 4) <= 63 && byte(head, 5) <= 20),
        magic(Format::SevenZip, 0, b"7z\xbc\xaf\x27\x1c", any),
        magic(Format::Ar, 0, b"!<arch>\n", any),
        magic(Format::Squashfs, 0, b"hsqs", |head| le16(head, 28).is_ok_and(|major| major <= 4)),
        magic(Format::Cramfs, 0, &[0x45, 0x3d, 0xcd, 0x28], cramfs),
        magic(Format::Cramfs, 0, &[0x28, 0xcd, 0x3d, 0x45], cramfs),
        magic(Format::Romfs, 0, b"-rom1fs-", any),
        magic(Format::Ubi, 0, b"UBI#\x01", ubi::begins),
        magic(Format::Ubi, 0, &[0x31, 0x18, 0x10, 0x06], |head| byte(head, 20) == 6 && byte(head, 16) == 0),
        magic(Format::ExFat, 3, b"EXFAT   ", any),
        magic(Format::Iso9660, 32769, b"CD001", |head| byte(head, 32768) == 1),
        magic(Format::Gpt, 512, b"EFI PART\0\0\x01\0", any),
        magic(Format::Gpt, 4096, b"EFI PART\0\0\x01\0", any),
        magic(Format::UImage, 0, &[0x27, 0x05, 0x19, 0x56], uimage::begins),
        magic(Format::Fit, 0, &[0xd0, 0x0d, 0xfe, 0xed], |head| {
            be32(head, 20).is_ok_and(|version| version <= 17)
        }),
        magic(Format::AndroidSparse, 0, &[0x3a, 0xff, 0x26, 0xed], |head| {
            le16(head, 4).is_ok_and(|major| major == 1)
        }),
        magic(Format::Pcap, 0, &[0xd4, 0xc3, 0xb2, 0xa1], any),
        magic(Format::Pcap, 0, &[0xa1, 0xb2, 0xc3, 0xd4], any),
        magic(Format::Pcap, 0, &[0x4d, 0x3c, 0xb2, 0xa1], any),
        magic(Format::Pcap, 0, &[0xa1, 0xb2, 0x3c, 0x4d], any),
        magic(Format::PcapNg, 0, &[0x0a, 0x0d, 0x0d, 0x0a], pcapng),
        magic(Format::Luks, 0, crypt::LUKS, |head| be16(head, 6).is_ok_and(|version| version <= 2)),
        magic(Format::Qcow2, 0, b"QFI\xfb", |head| {
            be32(head, 4).is_ok_and(|version| matches!(version, 2 | 3))
        }),
        magic(Format::Vmdk, 0, b"KDMV", |head| le32(head, 4).is_ok_and(|version| (1..=3).contains(&version))),
        magic(Format::Vhd, 0, b"conectix", |head| be32(head, 60).is_ok_and(|kind| matches!(kind, 3 | 4))),
        magic(Format::Vdi, vdi::MAGIC_AT, vdi::MAGIC, vdi::begins),
        magic(Format::Sqlite, 0, sqlite::MAGIC, sqlite::begins),
        magic(Format::Vhdx, 0, vhdx::MAGIC, any),
        magic(Format::Rar, 0, b"Rar!\x1a\x07", rar),
        magic(Format::BitLocker, 3, crypt::BITLOCKER, crypt::is_bitlocker),
    ];
    for kind in jffs2::KINDS {
        let ([low, high], check) = (kind.to_le_bytes(), jffs2::begins);
        magics.push(magic(Format::Jffs2, 0, &[0x85, 0x19, low, high], check));
        magics.push(magic(Format::Jffs2, 0, &[0x19, 0x85, high, low], check));
    }
    magics.extend(yaffs::MAGICS.map(|bytes| magic(Format::Yaffs, 0, bytes, yaffs::begins)));
    magics.extend(wal::MAGICS.map(|bytes| magic(Format::Wal, 0, bytes, wal::begins)));
    // Codes of at most so many bits, in blocks.
    magics.extend((9..=16).map(|bits| magic(Format::Lzw, 0, &[0x1f, 0x9d, 0x80 | bits], lzw::begins)));
    // The state follows: bits for clean, errors and orphans.
    magics.extend((0..8).map(|state| magic(Format::Ext, 1080, &[0x53, 0xef, state, 0], ext)));
    magics
}

static MAGICS: LazyLock<Vec<Magic>> = LazyLock::new(magics);
static FILTER: LazyLock<Prefilter> = LazyLock::new(|| Prefilter::new(literals()));

/// The magic numbers as literals of a filter, whose numbers `find_at` takes.
pub(crate) fn literals() -> impl Iterator<Item = (Vec<u8>, bool)> {
    MAGICS.iter().map(|magic| (magic.bytes.clone(), false))
}

/// Formats that may begin here or further on, with where: by magic numbers, at any
/// offset, sorted by it.
#[must_use]
pub fn find(window: &[u8]) -> Vec<(usize, Format)> {
    find_before(window, window.len())
}

/// What begins before `end`, which is all that is looked for.
pub(crate) fn find_before(window: &[u8], end: usize) -> Vec<(usize, Format)> {
    let mut magics = Vec::new();
    FILTER.scan(&window[..window.len().min(end.saturating_add(LOOK_AHEAD))], |at, literal| {
        magics.push((at, literal));
    });
    find_at(window, end, &magics)
}

/// The same, where a filter has found these magic numbers.
pub(crate) fn find_at(window: &[u8], end: usize, magics: &[(usize, usize)]) -> Vec<(usize, Format)> {
    let mut found = Vec::new();
    let end = end.min(window.len());
    let seen = &window[..window.len().min(end + LOOK_AHEAD)];
    let mut add = |start: Option<usize>, format, check: fn(&[u8]) -> bool| {
        if let Some(start) = start.filter(|start| *start < end && check(&window[*start..])) {
            found.push((start, format));
        }
    };
    for (at, literal) in magics {
        let magic = &MAGICS[*literal];
        add(at.checked_sub(magic.at), magic.format, magic.check);
    }
    let mut trials = Trials::default();
    for at in memchr::memchr2_iter(0x78, 0xaa, seen) {
        match (seen[at], seen.get(at + 1)) {
            (0x78, Some(0x01 | 0x5e | 0x9c | 0xda)) if at < end && trials.zlib(window, at) => {
                add(Some(at), Format::Zlib, any);
            }
            (0xaa, _) if at > 0 && seen[at - 1] == 0x55 => {
                add(at.checked_sub(511), Format::Fat, fat);
                add(at.checked_sub(511), Format::Mbr, mbr);
            }
            _ => {}
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// Whether something begins at the very start.
pub(crate) fn begins(head: &[u8]) -> bool {
    find_before(head, 1).first().is_some_and(|(at, _)| *at == 0)
}

fn gzip(head: &[u8]) -> bool {
    if byte(head, 2) != 8 {
        return false;
    }
    let (flags, extra, system) = (byte(head, 3), byte(head, 8), byte(head, 9));
    flags & 0xe0 == 0 && matches!(extra, 0 | 2 | 4) && (system <= 13 || system == 255)
}

/// Windows of 64 KiB to 64 MiB, or half as much again; a size that is not known, or one
/// below 4 GiB; the first byte of the codes is 0.
fn lzma(head: &[u8]) -> bool {
    let (Ok(window), Ok(bytes)) = (le32(head, 1), le64(head, 5)) else { return false };
    let is_size = bytes == u64::MAX || (1..1 << 32).contains(&bytes);
    (1 << 16..=3 << 25).contains(&window)
        && (window.is_power_of_two() || window.is_multiple_of(3) && (window / 3).is_power_of_two())
        && is_size
        && head.get(13..18).is_some_and(|codes| codes[0] == 0 && codes[1..] != [0; 4])
}

fn bzip2(head: &[u8]) -> bool {
    head.starts_with(b"BZh") && byte(head, 3).is_ascii_digit()
}

/// The header of the archive follows: of version 5 with its sum, of older ones with its size.
fn rar(head: &[u8]) -> bool {
    match head.get(6..) {
        Some([1, 0, told @ ..]) => {
            // The size, which takes one byte here, then as many.
            let bytes = usize::from(byte(told, 4));
            let mut sum = flate2::Crc::new();
            told.get(4..5 + bytes).is_some_and(|head| {
                sum.update(head);
                bytes < 0x80 && le32(told, 0).is_ok_and(|told| told == sum.sum())
            })
        }
        Some([0, rest @ ..]) => byte(rest, 2) == 0x73 && le16(rest, 5).is_ok_and(|bytes| bytes == 13),
        _ => false,
    }
}

fn cramfs(head: &[u8]) -> bool {
    head.get(16..32) == Some(b"Compressed ROMFS")
}

fn ustar(head: &[u8]) -> bool {
    head.first_chunk().is_some_and(tar::has_sum)
}

fn digits(head: &[u8], bytes: usize) -> bool {
    head.get(..bytes).is_some_and(|head| head.iter().all(u8::is_ascii_hexdigit))
}

fn ext(head: &[u8]) -> bool {
    let word = |at: usize| le32(head, 1024 + at).unwrap_or(u32::MAX);
    let (inodes, blocks, log, per_group) = (word(0), word(4), word(24), word(40));
    inodes > 0 && blocks > 0 && log <= 6 && per_group > 0 && per_group <= 1 << 20 && word(76) <= 1
}

fn fat(head: &[u8]) -> bool {
    let sector = le16(head, 11).unwrap_or(0);
    let (cluster, tables) = (byte(head, 13), byte(head, 16));
    matches!(byte(head, 0), 0xeb | 0xe9)
        && sector.is_power_of_two()
        && (512..=4096).contains(&sector)
        && cluster.is_power_of_two()
        && matches!(tables, 1 | 2)
        && byte(head, 21) >= 0xf0
        && le16(head, 14).is_ok_and(|reserved| reserved > 0)
}

/// A table of partitions has no magic but that of boot sectors. One entry must be
/// sensible and none senseless.
fn mbr(head: &[u8]) -> bool {
    if fat(head) || head.get(3..11) == Some(b"EXFAT   ") {
        return false;
    }
    let mut used = 0;
    for at in (446..510).step_by(16) {
        let (state, kind) = (byte(head, at), byte(head, at + 4));
        let (first, sectors) = (le32(head, at + 8).unwrap_or(0), le32(head, at + 12).unwrap_or(0));
        // 0xee stands for a GPT, which is found by itself.
        if state & 0x7f != 0 || kind == 0xee {
            return false;
        }
        match kind {
            0 if sectors == 0 => {}
            0 => return false,
            _ if first == 0 || sectors == 0 => return false,
            _ => used += 1,
        }
    }
    used > 0
}

fn pcapng(head: &[u8]) -> bool {
    matches!(head.get(8..12), Some([0x1a, 0x2b, 0x3c, 0x4d] | [0x4d, 0x3c, 0x2b, 0x1a]))
}
