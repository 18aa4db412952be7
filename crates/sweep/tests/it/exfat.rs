//! ExFAT: made by `mkfs.exfat`, and filled here by Microsoft's specification, since
//! nothing but a kernel fills it. `fsck.exfat` says whether that was right.

use std::collections::BTreeMap;

use sweep::unpack::{Format, Skip, find};

use crate::support::{damage, files, open, sh, tree};

/// A file system that is being filled; its clusters are given away from the first free
/// one on.
pub(crate) struct Volume {
    pub(crate) data: Vec<u8>,
    table: usize,
    heap: usize,
    cluster: usize,
    bitmap: usize,
    pub(crate) root: u32,
    free: u32,
}

fn le32(data: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(data[at..at + 4].try_into().expect("four bytes"))
}

impl Volume {
    fn new(data: Vec<u8>) -> Volume {
        let sector = 1_usize << data[108];
        let at = |field| le32(&data, field) as usize * sector;
        let (table, heap, root) = (at(80), at(88), le32(&data, 96));
        let cluster = sector << data[109];
        let mut volume = Volume { data, table, heap, cluster, bitmap: 0, root, free: 0 };
        let folder = volume.place(root);
        let entry = (folder..).step_by(32).find(|at| volume.data[*at] == 0x81).expect("a bitmap");
        volume.bitmap = volume.place(le32(&volume.data, entry + 20));
        volume.free = 2
            + (0..).find(|bit| volume.data[volume.bitmap + bit / 8] >> (bit % 8) & 1 == 0).expect("room")
                as u32;
        volume
    }

    fn place(&self, cluster: u32) -> usize {
        self.heap + (cluster as usize - 2) * self.cluster
    }

    fn take(&mut self) -> u32 {
        let cluster = self.free;
        self.free += 1;
        let bit = cluster as usize - 2;
        self.data[self.bitmap + bit / 8] |= 1 << (bit % 8);
        cluster
    }

    /// Writes contents, one cluster behind the other or, in a chain, with a gap behind
    /// each, and tells the first.
    fn write(&mut self, contents: &[u8], is_chain: bool) -> u32 {
        let pieces = contents.chunks(self.cluster);
        let clusters: Vec<u32> = pieces
            .clone()
            .map(|_| {
                let cluster = self.take();
                // Taken by nobody, and not marked.
                self.free += u32::from(is_chain);
                cluster
            })
            .collect();
        for (index, (cluster, piece)) in clusters.iter().zip(pieces).enumerate() {
            let at = self.place(*cluster);
            self.data[at..at + piece.len()].copy_from_slice(piece);
            if is_chain {
                let next = clusters.get(index + 1).copied().unwrap_or(u32::MAX);
                let at = self.table + *cluster as usize * 4;
                self.data[at..at + 4].copy_from_slice(&next.to_le_bytes());
            }
        }
        clusters.first().copied().unwrap_or(0)
    }

    /// Adds a set of entries to a folder of one cluster.
    fn add(&mut self, folder: u32, set: &[u8]) {
        let start = self.place(folder);
        let at = (start..start + self.cluster).step_by(32).find(|at| self.data[*at] == 0).expect("room");
        self.data[at..at + set.len()].copy_from_slice(set);
    }

    pub(crate) fn file(&mut self, folder: u32, name: &str, contents: &[u8], is_chain: bool) {
        let first = self.write(contents, is_chain);
        self.add(folder, &set(name, 0x20, first, contents.len(), contents.len(), is_chain));
    }

    fn folder(&mut self, folder: u32, name: &str) -> u32 {
        let first = self.write(&vec![0; self.cluster], true);
        self.add(folder, &set(name, 0x10, first, self.cluster, self.cluster, true));
        first
    }
}

/// A file's entries: itself, its stream and its name (7.4, 7.6, 7.7 of the specification).
fn set(name: &str, attributes: u8, first: u32, bytes: usize, valid: usize, is_chain: bool) -> Vec<u8> {
    let units: Vec<u16> = name.encode_utf16().collect();
    let mut set = vec![0; 64];
    set[0] = 0x85;
    set[1] = 1 + units.len().div_ceil(15) as u8;
    set[4] = attributes;
    // Written at 21:59:04 on 2026-11-28, an hour ahead of UTC.
    set[12..16].copy_from_slice(&(46 << 25 | 11 << 21 | 28 << 16 | 21 << 11 | 59 << 5 | 2_u32).to_le_bytes());
    set[23] = 0x84;
    set[32] = 0xc0;
    set[33] = match (bytes, is_chain) {
        (0, _) => 0,
        (_, true) => 1,
        (_, false) => 3,
    };
    set[35] = units.len() as u8;
    let upper = name.to_uppercase();
    let hash = upper.encode_utf16().flat_map(u16::to_le_bytes);
    let hash = hash.fold(0_u16, |hash, byte| hash.rotate_right(1).wrapping_add(byte.into()));
    set[36..38].copy_from_slice(&hash.to_le_bytes());
    set[40..48].copy_from_slice(&(valid as u64).to_le_bytes());
    set[52..56].copy_from_slice(&first.to_le_bytes());
    set[56..64].copy_from_slice(&(bytes as u64).to_le_bytes());
    for piece in units.chunks(15) {
        let mut entry = vec![0xc1, 0];
        entry.extend(piece.iter().flat_map(|unit| unit.to_le_bytes()));
        entry.resize(32, 0);
        set.extend(entry);
    }
    let bytes = set.iter().enumerate().filter(|(at, _)| !matches!(at, 2 | 3));
    let sum = bytes.fold(0_u16, |sum, (_, byte)| sum.rotate_right(1).wrapping_add((*byte).into()));
    set[2..4].copy_from_slice(&sum.to_le_bytes());
    set
}

pub(crate) fn empty(size: &str, options: &str) -> Volume {
    let folder = tree();
    sh(folder.path(), &format!("truncate -s {size} out; mkfs.exfat {options} out >/dev/null"));
    Volume::new(std::fs::read(folder.path().join("out")).expect("an image"))
}

fn filled(options: &str) -> Volume {
    let mut volume = empty("8M", options);
    let mut folders = BTreeMap::from([(String::new(), volume.root)]);
    for (index, (path, contents)) in files().into_iter().enumerate() {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", &path));
        let mut at = String::new();
        for part in folder.split('/').filter(|part| !part.is_empty()) {
            let outer = folders[&at];
            at = if at.is_empty() { part.to_owned() } else { format!("{at}/{part}") };
            if !folders.contains_key(&at) {
                let inner = volume.folder(outer, part);
                folders.insert(at.clone(), inner);
            }
        }
        volume.file(folders[&at], name, &contents, index % 2 == 0);
    }
    volume
}

#[test]
fn files_in_one_piece_and_in_chains() {
    for options in ["", "-c 4096", "-c 32K -L card"] {
        let volume = filled(options);
        let folder = tree();
        std::fs::write(folder.path().join("image"), &volume.data).expect("an image");
        sh(folder.path(), "fsck.exfat -n image >/dev/null");
        assert!(find(&volume.data[..4096]).contains(&(0, Format::ExFat)), "{options}");
        assert!(!find(&volume.data[..4096]).contains(&(0, Format::Fat)), "{options}");
        let seen = open(Format::ExFat, &volume.data);
        assert_eq!(seen.skipped, [], "{options}");
        assert_eq!(seen.parts, files(), "{options}");
        damage(Format::ExFat, &volume.data);
    }
}

#[test]
fn what_was_never_written_of_a_file_is_not_told() {
    let mut volume = empty("4M", "");
    let first = volume.write(b"written, and what a deleted file left", false);
    let set = set("half", 0x20, first, 37, 7, false);
    volume.add(volume.root, &set);
    assert_eq!(open(Format::ExFat, &volume.data).parts["half"], b"written");
}

#[test]
fn circles_lies_and_names_that_are_paths() {
    let mut volume = empty("4M", "");
    let root = volume.root;
    let inner = volume.folder(root, "inner");
    // A folder that holds itself, and one that holds the root.
    let cluster = volume.cluster;
    volume.add(inner, &set("again", 0x10, inner, cluster, cluster, true));
    volume.add(inner, &set("up", 0x10, root, cluster, cluster, true));
    // Sizes of more than there is, and a chain that is a circle.
    volume.add(root, &set("claim", 0x20, 6, 1 << 60, 1 << 60, false));
    let circle = volume.write(&vec![b'x'; cluster], true);
    let at = volume.table + circle as usize * 4;
    volume.data[at..at + 4].copy_from_slice(&circle.to_le_bytes());
    volume.add(root, &set("circle", 0x20, circle, 1 << 40, 1 << 40, true));
    volume.file(root, "../../etc/\u{202e}passwd\u{7}", b"x", false);
    let seen = open(Format::ExFat, &volume.data);
    assert_eq!(seen.why("inner/again"), [Skip::Damaged("a circle of folders")]);
    assert_eq!(seen.why("inner/up"), [Skip::Damaged("a circle of folders")]);
    assert_eq!(seen.why("circle"), [Skip::Damaged("a circle of clusters")]);
    assert_eq!(seen.why("claim"), [Skip::Damaged("a cluster that is not there")]);
    assert!(seen.parts.contains_key("../../etc/\\u{202e}passwd\\u{7}"), "{:?}", seen.parts.keys());
}
