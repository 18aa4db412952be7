//! Disks of virtual machines, made here by their specifications; `qemu-img` makes the
//! same, and is asked by hand.

use std::io::Write as _;

use sweep::unpack::{Format, Skip, find};
use sweep::{Limits, Rules};

use crate::support::{damage, open, open_at, packed, same};
use crate::{sweep, totals};

/// A file that is being written, in blocks of one size.
struct Image {
    data: Vec<u8>,
    block: usize,
}

impl Image {
    fn new(block: usize) -> Image {
        Image { data: Vec::new(), block }
    }

    /// Where the next whole block begins, which gets these bytes.
    fn add(&mut self, bytes: &[u8]) -> u64 {
        let at = self.data.len().next_multiple_of(self.block);
        self.data.resize(at, 0);
        self.data.extend(bytes);
        self.data.resize(self.data.len().next_multiple_of(self.block), 0);
        at as u64
    }

    fn be(&mut self, at: usize, bytes: impl AsRef<[u8]>) {
        self.data[at..at + bytes.as_ref().len()].copy_from_slice(bytes.as_ref());
    }
}

fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

/// Clusters of 64 KiB; each third is packed, and those of zeros have no place or one
/// that says so.
fn qcow2(disk: &[u8], version: u32) -> Vec<u8> {
    const CLUSTER: usize = 1 << 16;
    const EACH: usize = CLUSTER / 8;
    let mut image = Image::new(CLUSTER);
    image.add(&[0; 112]);
    let tables = disk.len().div_ceil(CLUSTER * EACH);
    let first = image.add(&vec![0; tables * 8]);
    for table in 0..tables {
        let second = image.add(&[0; CLUSTER]);
        image.be(first as usize + table * 8, (second | 1 << 63).to_be_bytes());
        for index in 0..EACH {
            let number = table * EACH + index;
            let Some(cluster) = disk.chunks(CLUSTER).nth(number) else { break };
            let entry = if is_zero(cluster) {
                u64::from(version == 3 && number.is_multiple_of(2))
            } else if number % 3 == 1 {
                let packed = deflated(cluster);
                let at = image.add(&packed);
                1 << 62 | (packed.len() as u64).div_ceil(512).saturating_sub(1) << 54 | at
            } else {
                image.add(cluster) | 1 << 63
            };
            image.be(second as usize + index * 8, entry.to_be_bytes());
        }
    }
    image.be(0, b"QFI\xfb");
    image.be(4, version.to_be_bytes());
    image.be(20, 16_u32.to_be_bytes());
    image.be(24, (disk.len() as u64).to_be_bytes());
    image.be(36, (tables as u32).to_be_bytes());
    image.be(40, first.to_be_bytes());
    image.be(100, 104_u32.to_be_bytes());
    image.data
}

/// Grains of 64 KiB, packed or not.
fn vmdk(disk: &[u8], is_packed: bool) -> Vec<u8> {
    const GRAIN: usize = 1 << 16;
    let mut image = Image::new(512);
    image.add(&[0; 512]);
    let grains: Vec<u32> = disk
        .chunks(GRAIN)
        .map(|grain| match (is_zero(grain), is_packed) {
            (true, _) => 0,
            (false, false) => (image.add(grain) / 512) as u32,
            (false, true) => {
                let packed = zlib(grain);
                let marker = [&[0; 8], &(packed.len() as u32).to_le_bytes()[..], &packed].concat();
                (image.add(&marker) / 512) as u32
            }
        })
        .collect();
    let tables: Vec<u8> = grains
        .chunks(512)
        .flat_map(|table| {
            let bytes: Vec<u8> = table.iter().flat_map(|sector| sector.to_le_bytes()).collect();
            ((image.add(&bytes) / 512) as u32).to_le_bytes()
        })
        .collect();
    let directory = image.add(&tables) / 512;
    let mut head = vec![0; 512];
    head[..4].copy_from_slice(b"KDMV");
    head[4] = if is_packed { 3 } else { 1 };
    head[8..12].copy_from_slice(&if is_packed { 0x3_0001_u32 } else { 3 }.to_le_bytes());
    head[12..20].copy_from_slice(&(disk.len() as u64 / 512).to_le_bytes());
    head[20..28].copy_from_slice(&(GRAIN as u64 / 512).to_le_bytes());
    head[44..48].copy_from_slice(&512_u32.to_le_bytes());
    head[56..64].copy_from_slice(&directory.to_le_bytes());
    head[77] = u8::from(is_packed);
    if is_packed {
        // The header at the start does not know yet where the directory will lie.
        image.add(&head);
        image.add(&[0; 512]);
        head[56..64].fill(0xff);
    }
    image.be(0, &head);
    image.data
}

fn vhd(disk: &[u8]) -> Vec<u8> {
    const BLOCK: usize = 2 << 20;
    let mut footer = vec![0; 512];
    footer[..8].copy_from_slice(b"conectix");
    footer[16..24].copy_from_slice(&512_u64.to_be_bytes());
    footer[48..56].copy_from_slice(&(disk.len() as u64).to_be_bytes());
    footer[60..64].copy_from_slice(&3_u32.to_be_bytes());
    let mut image = Image::new(512);
    image.add(&footer);
    let head = image.add(&[0; 1024]) as usize;
    let blocks = disk.len().div_ceil(BLOCK);
    let table = image.add(&vec![0xff; blocks * 4]);
    image.be(head, b"cxsparse");
    image.be(head + 16, table.to_be_bytes());
    image.be(head + 28, (blocks as u32).to_be_bytes());
    image.be(head + 32, (BLOCK as u32).to_be_bytes());
    for (index, block) in disk.chunks(BLOCK).enumerate().filter(|(_, block)| !is_zero(block)) {
        let at = image.add(&[0xff; 512]);
        image.add(block);
        image.be(table as usize + index * 4, ((at / 512) as u32).to_be_bytes());
    }
    image.add(&footer);
    image.data
}

/// Blocks of 1 MiB (MS-VHDX, 2.2 to 2.6).
fn vhdx(disk: &[u8]) -> Vec<u8> {
    const BLOCK: usize = 1 << 20;
    let guid = |name: &str| {
        let hex: Vec<u8> =
            (0..16).map(|at| u8::from_str_radix(&name[2 * at..2 * at + 2], 16).expect("hex")).collect();
        [&[hex[3], hex[2], hex[1], hex[0], hex[5], hex[4], hex[7], hex[6]], &hex[8..]].concat()
    };
    let mut image = Image::new(BLOCK);
    image.add(&[0; 4 * BLOCK]);
    image.be(0, b"vhdxfile");
    let (metadata, table) = (2_u64 << 20, 3_u64 << 20);
    let region = |name: &str, at: u64| {
        [&guid(name)[..], &at.to_le_bytes(), &(BLOCK as u32).to_le_bytes(), &1_u32.to_le_bytes()].concat()
    };
    let regions = [
        b"regi\0\0\0\0\x02\0\0\0\0\0\0\0".to_vec(),
        region("2dc27766f62342009d64115e9bfd4a08", table),
        region("8b7ca20647904b9ab8fe575f050f886e", metadata),
    ]
    .concat();
    image.be(192 << 10, &regions);
    let items: [(&str, Vec<u8>); 3] = [
        ("caa16737fa364d43b3b633f0aa44e76b", [(BLOCK as u32).to_le_bytes(), [0; 4]].concat()),
        ("2fa54224cd1b4876b2115dbed83bf4b8", (disk.len() as u64).to_le_bytes().to_vec()),
        ("8141bf1da96f4709ba47f233a8faab5f", 512_u32.to_le_bytes().to_vec()),
    ];
    image.be(metadata as usize, b"metadata\0\0\x03\0");
    for (index, (name, value)) in items.iter().enumerate() {
        let at = (64 << 10) + index as u32 * 8;
        let sizes = [at.to_le_bytes(), (value.len() as u32).to_le_bytes()].concat();
        image.be(metadata as usize + 32 + index * 32, [guid(name), sizes].concat());
        image.be(metadata as usize + at as usize, value);
    }
    for (index, block) in disk.chunks(BLOCK).enumerate().filter(|(_, block)| !is_zero(block)) {
        let at = image.add(block);
        image.be(table as usize + index * 8, (at | 6).to_le_bytes());
    }
    image.data
}

/// Blocks of a MiB; each other one of zeros has no place, and the rest one that says so.
fn vdi(disk: &[u8]) -> Vec<u8> {
    const BLOCK: usize = 1 << 20;
    let mut image = Image::new(BLOCK);
    image.add(b"<<< Oracle VM VirtualBox Disk Image >>>\n");
    let count = disk.len().div_ceil(BLOCK) as u32;
    for (at, number) in [
        (64, 0xbeda_107f),
        (68, 0x0001_0001),
        (72, 400),
        (76, 1),
        (340, 512),
        (344, 1 << 20),
        (376, 1 << 20),
        (384, count),
    ] {
        image.be(at, u32::to_le_bytes(number));
    }
    image.be(368, (disk.len() as u64).to_le_bytes());
    for (index, block) in disk.chunks(BLOCK).enumerate() {
        let entry = match is_zero(block) {
            true => u32::MAX - (index as u32 & 1),
            false => (image.add(block) >> 20) as u32 - 1,
        };
        image.be(512 + 4 * index, entry.to_le_bytes());
    }
    image.data
}

fn disk() -> Vec<u8> {
    packed("mke2fs -q -t ext4 -d tree out 16M")
}

#[test]
fn disks_of_machines_are_unpacked() {
    let disk = disk();
    for (format, image) in [
        (Format::Qcow2, qcow2(&disk, 2)),
        (Format::Qcow2, qcow2(&disk, 3)),
        (Format::Vmdk, vmdk(&disk, false)),
        (Format::Vmdk, vmdk(&disk, true)),
        (Format::Vhd, vhd(&disk)),
        (Format::Vhdx, vhdx(&disk)),
        (Format::Vdi, vdi(&disk)),
    ] {
        let name = format!("{format:?}");
        assert!(image.len() < disk.len(), "{name}: holes take no room");
        assert!(find(&image[..4096]).contains(&(0, format)), "{name}");
        same(&open(format, &image), &name, "");
        let mut shifted = vec![0x5a; 1000];
        shifted.extend(&image);
        same(&open_at(format, &shifted, 1000, &Limits::default()), &name, "");
        damage(format, &image);
        // Its file system is met again in the blocks, where it lies in pieces.
        let (_, skipped) = sweep(&Rules::built_in(), &image);
        // Of packed grains, copies of the superblock, which no file is read by, begin streams of
        // their own.
        let is_packed = format == Format::Vmdk && image[10] & 1 == 1;
        assert!(is_packed || !skipped.iter().any(|told| told.contains("damaged")), "{name}: {skipped:?}");
    }
}

#[test]
fn what_lies_elsewhere_or_is_encrypted_is_told() {
    let image = qcow2(&disk(), 3);
    let with = |at: usize, bytes: &[u8]| {
        let mut image = image.clone();
        image[at..at + bytes.len()].copy_from_slice(bytes);
        open(Format::Qcow2, &image).why("")
    };
    let on_top = Skip::Unsupported("a disk that lies on top of another file");
    assert_eq!(with(8, &112_u64.to_be_bytes()), [on_top]);
    assert_eq!(with(32, &1_u32.to_be_bytes()), [Skip::Encrypted]);
    assert_eq!(with(72, &4_u64.to_be_bytes()), [Skip::Unsupported("features of QCOW2")]);
    let mut differs = vhd(&disk());
    differs[63] = 4;
    assert_eq!(open(Format::Vhd, &differs).why(""), [on_top]);
    let mut snapshot = vdi(&disk());
    snapshot[76] = 4;
    assert_eq!(open(Format::Vdi, &snapshot).why(""), [on_top]);
    let mut on_other = vhdx(&disk());
    on_other[(2 << 20) + (64 << 10) + 4] = 2;
    assert_eq!(open(Format::Vhdx, &on_other).why(""), [on_top]);
    // Behind something else, where a magic number may be chance.
    let mut encrypted = image.clone();
    encrypted[32..36].copy_from_slice(&2_u32.to_be_bytes());
    for (image, why) in [(encrypted, "encrypted"), (differs, "on top of another file")] {
        let (_, skipped) = sweep(&Rules::built_in(), &[vec![0x5a; 1000], image].concat());
        assert_eq!(skipped.iter().filter(|told| told.contains(why)).count(), 1, "{why}: {skipped:?}");
    }
}

/// The attacks: a disk of eight exbibytes, tables that are each other, and one packed
/// block at all places.
#[test]
fn disks_that_lie_end() {
    let limits = Limits { total_bytes: 64 << 20, ..Limits::default() };
    let disk = disk();
    let mut vast = qcow2(&disk, 3);
    vast[24..32].copy_from_slice(&(1_u64 << 62).to_be_bytes());
    open_at(Format::Qcow2, &vast, 0, &limits);
    let mut own = qcow2(&disk, 3);
    own[36..40].copy_from_slice(&u32::MAX.to_be_bytes());
    own[40..48].copy_from_slice(&0_u64.to_be_bytes());
    open_at(Format::Qcow2, &own, 0, &limits);
    // A disk of no format that is known, of a cluster that unpacks to a thousand times its size.
    let mut bomb = qcow2(&[b'x'; 3 << 16], 3);
    let second = 2 << 16;
    let packed: [u8; 8] = bomb[second + 8..second + 16].try_into().expect("eight bytes");
    for index in 0..8192 {
        bomb[second + index * 8..second + index * 8 + 8].copy_from_slice(&packed);
    }
    bomb[24..32].copy_from_slice(&(1_u64 << 29).to_be_bytes());
    let seen = open_at(Format::Qcow2, &bomb, 0, &limits);
    assert!(seen.bytes <= 64 << 20, "{}", seen.bytes);
    assert_eq!(seen.skipped.len(), 1, "{:?}", seen.skipped);
}

/// Blocks of 2 MiB, each of them packed, of which the first holds a disk whose blocks lie
/// all over the others: a few bytes of it take all of a block of the outer one.
fn nested() -> Vec<u8> {
    const OUTER: usize = 2 << 20;
    const BLOCKS: u64 = 20;
    let header = |bits: u32, bytes: u64| {
        let mut head = vec![0; 512];
        head[..8].copy_from_slice(b"QFI\xfb\0\0\0\x02");
        head[20..24].copy_from_slice(&bits.to_be_bytes());
        head[24..32].copy_from_slice(&bytes.to_be_bytes());
        head[36..40].copy_from_slice(&64_u32.to_be_bytes());
        head[40..48].copy_from_slice(&512_u64.to_be_bytes());
        head
    };
    // Both have their first table at 512; those of the inner one lie from 1024 on.
    let mut inner = header(9, 16384);
    inner.extend((0..64).flat_map(|_| 1024_u64.to_be_bytes()));
    inner.extend((0..64_u64).flat_map(|index| (index % BLOCKS * OUTER as u64 + 4096).to_be_bytes()));
    inner.resize(4096, 0);
    inner.extend(b"no secret at all ".repeat(40));
    inner.resize(OUTER, 0);
    let packed = deflated(&inner);
    let mut outer = header(21, BLOCKS * OUTER as u64);
    outer.extend(1024_u64.to_be_bytes());
    outer.resize(1024, 0);
    let entry = 1_u64 << 62 | (packed.len() as u64).div_ceil(512) << 49 | 2048;
    outer.extend((0..BLOCKS).flat_map(|_| entry.to_be_bytes()));
    outer.resize(2048, 0);
    outer.extend(&packed);
    outer.resize(outer.len().next_multiple_of(512), 0);
    outer
}

/// The attack: disks inside disks, each of which unpacks as much as the one around it says
/// that it has. All of it counts as work of the sweep.
#[test]
fn packed_disks_inside_each_other_have_one_account() {
    let image = nested();
    assert!(image.len() < 8 << 10, "{}", image.len());
    let (_, skipped, totals) = totals(&Rules::built_in(), &image, Limits::default());
    // A block of the outer one for each of the inner one's 32, and each is read twice.
    assert!((64 << 20..257 << 20).contains(&totals.worked), "{totals:?}");
    assert_eq!(totals.unpacked, 16384, "{skipped:?}");
    // A disk that is larger goes on until there is no more to spend.
    let mut vast = image;
    let at = 2048;
    let inner = inflated(&vast[at..]);
    let mut inner = inner;
    inner[24..32].copy_from_slice(&(1_u64 << 40).to_be_bytes());
    inner[36..40].copy_from_slice(&u32::MAX.to_be_bytes());
    let packed = deflated(&inner);
    vast.truncate(at);
    vast.extend(packed);
    vast.resize(vast.len() + 1024, 0);
    let (_, skipped, totals) = crate::totals(&Rules::built_in(), &vast, Limits::default());
    assert!(totals.worked <= 64 * (totals.read + totals.unpacked) + (257 << 20), "{totals:?}");
    assert!(!skipped.is_empty());
}

fn inflated(packed: &[u8]) -> Vec<u8> {
    use std::io::Read as _;
    let mut out = Vec::new();
    flate2::bufread::DeflateDecoder::new(packed).read_to_end(&mut out).expect("memory");
    out
}

/// The attack: grains of 16 MiB, eight of which each of eight disks would keep.
#[test]
fn grains_are_as_small_as_they_are_kept() {
    let mut image = vmdk(&[b'x'; 1 << 20], true);
    for sectors in [4097_u64, 32768] {
        let at = image.len() - 1024 + 20;
        image[at..at + 8].copy_from_slice(&sectors.next_power_of_two().to_le_bytes());
        assert_eq!(open(Format::Vmdk, &image).why(""), [Skip::Damaged("the grains of VMDK")]);
    }
}
