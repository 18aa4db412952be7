//! What lies on a card or in firmware: the first byte chooses the format.

#![no_main]

use std::ops::ControlFlow;

use libfuzzer_sys::fuzz_target;
use sweep::Limits;
use sweep::unpack::{File, Format, HEAD, Part, Skip, Visit, find, unpack};

const FORMATS: [Format; 43] = [
    Format::Gzip,
    Format::Zlib,
    Format::Bzip2,
    Format::Xz,
    Format::Zstd,
    Format::Lz4,
    Format::Tar,
    Format::Cpio,
    Format::Zip,
    Format::SevenZip,
    Format::Ar,
    Format::Squashfs,
    Format::Cramfs,
    Format::Romfs,
    Format::Jffs2,
    Format::Ubi,
    Format::Ext,
    Format::Fat,
    Format::ExFat,
    Format::Iso9660,
    Format::Gpt,
    Format::Mbr,
    Format::UImage,
    Format::Fit,
    Format::AndroidSparse,
    Format::Pcap,
    Format::PcapNg,
    Format::Lzma,
    Format::Lzip,
    Format::Lzop,
    Format::Lzw,
    Format::Cab,
    Format::Yaffs,
    Format::Luks,
    Format::BitLocker,
    Format::Qcow2,
    Format::Vmdk,
    Format::Vhd,
    Format::Vhdx,
    Format::Rar,
    Format::Sqlite,
    Format::Vdi,
    Format::Wal,
];

struct Count(u64);

impl Visit for Count {
    fn part(&mut self, part: Part<'_>) -> ControlFlow<()> {
        assert!(!part.name.chars().any(char::is_control));
        self.0 += std::io::copy(part.data, &mut std::io::sink()).unwrap_or(0);
        ControlFlow::Continue(())
    }

    fn skipped(&mut self, name: &str, _: Skip) {
        assert!(!name.chars().any(char::is_control));
    }

    fn file(&mut self, name: &str, file: &File<'_>) {
        assert!(!name.chars().any(char::is_control) && file.head.len() <= HEAD);
    }

    fn goes_on(&self) -> bool {
        true
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((first, data)) = data.split_first() else { return };
    let limits = Limits { part_bytes: 1 << 20, total_bytes: 4 << 20, entries: 1000, ..Limits::default() };
    let format = FORMATS[usize::from(*first) % FORMATS.len()];
    let covered = unpack(format, &data, 0, &limits, &mut Count(0));
    assert!(covered.is_none_or(|covered| covered <= data.len() as u64));
    for (at, _) in find(data) {
        assert!(at < data.len());
    }
});
