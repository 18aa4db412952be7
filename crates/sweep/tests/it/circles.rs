//! Folders that hold themselves, in file systems whose tools do not make such.

use sweep::unpack::{Format, Skip};

use crate::support::{files, open, packed, within};

fn le16(data: &[u8], at: usize) -> usize {
    u16::from_le_bytes([data[at], data[at + 1]]).into()
}

fn le32(data: &[u8], at: usize) -> usize {
    u32::from_le_bytes(data[at..at + 4].try_into().expect("four bytes")) as usize
}

fn le64(data: &[u8], at: usize) -> usize {
    le32(data, at) | le32(data, at + 4) << 32
}

/// Each folder in the root is the root.
#[test]
fn of_iso() {
    let mut data = packed("genisoimage -quiet -R -o out tree 2>/dev/null");
    let root = le32(&data, 16 * 2048 + 158);
    let mut at = root * 2048;
    let mut turned = 0;
    while data[at] != 0 {
        let (record, text) = (at, data[at + 33]);
        at += usize::from(data[at]);
        if data[record + 25] & 2 != 0 && text > 1 {
            data[record + 2..record + 6].copy_from_slice(&(root as u32).to_le_bytes());
            turned += 1;
        }
    }
    assert_eq!(turned, 2);
    let seen = open(Format::Iso9660, &data);
    assert_eq!(seen.why("etc"), [Skip::Damaged("a circle of folders")]);
    assert_eq!(seen.why("var"), [Skip::Damaged("a circle of folders")]);
    assert_eq!(seen.parts["noise.bin"], files()["noise.bin"]);
    within(&seen, &data, "a circle");
}

/// Each folder in the root is the root: metadata are not packed, and one block each.
#[test]
fn of_squashfs() {
    let mut data = packed("mksquashfs tree out -noI -noD -noF -no-fragments -quiet -no-progress");
    let (root, table) = (le64(&data, 32), le64(&data, 72));
    let mut at = table + 2;
    let end = at + (le16(&data, table) & 0x7fff);
    let mut turned = 0;
    while at + 12 <= end {
        let count = le32(&data, at);
        at += 12;
        for _ in 0..=count {
            if le16(&data, at + 4) == 1 {
                data[at..at + 2].copy_from_slice(&(root as u16).to_le_bytes());
                turned += 1;
            }
            at += 8 + le16(&data, at + 6) + 1;
        }
    }
    assert_eq!((turned, root >> 16), (5, 0));
    let seen = open(Format::Squashfs, &data);
    assert_eq!(seen.why("etc"), [Skip::Damaged("a circle of folders")]);
    assert_eq!(seen.parts["noise.bin"], files()["noise.bin"]);
    within(&seen, &data, "a circle");
}

fn crc(data: &[u8]) -> [u8; 4] {
    let step = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
    data.iter().fold(0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step)).to_le_bytes()
}

/// A name: `inode` lies in `folder`.
fn named(folder: u32, version: u32, inode: u32, text: &[u8]) -> Vec<u8> {
    let mut node = vec![0x85, 0x19, 0x01, 0xe0];
    node.extend((40 + text.len() as u32).to_le_bytes());
    node.extend(crc(&node));
    for word in [folder, version, inode, 0] {
        node.extend(word.to_le_bytes());
    }
    node.extend([text.len() as u8, 4, 0, 0]);
    node.extend([0; 8]);
    node.extend(text);
    node.resize(node.len().next_multiple_of(4), 0);
    node
}

/// A folder holds the root, another one itself, and two hold each other.
#[test]
fn of_jffs2() {
    let mut data = packed("mkfs.jffs2 -l -n -e 64 -d tree -o out");
    for (index, (folder, inode, text)) in
        [(1, 900, "a"), (900, 1, "root"), (900, 900, "self"), (900, 901, "b"), (901, 900, "../a\u{1b}")]
            .into_iter()
            .enumerate()
    {
        data.extend(named(folder, 100 + index as u32, inode, text.as_bytes()));
    }
    let seen = open(Format::Jffs2, &data);
    assert_eq!(seen.skipped, []);
    assert_eq!(seen.parts, files());
    within(&seen, &data, "a circle");
}

/// A node may say that it unpacks to a megabyte, and a hundred thousand may say so of the
/// same bytes of one file.
#[test]
fn nodes_of_one_file_do_not_multiply() {
    let data = packed("mkfs.jffs2 -l -n -e 64 -d tree -o out").repeat(20);
    let seen = open(Format::Jffs2, &data);
    assert_eq!(seen.parts, files());
    within(&seen, &data, "the same nodes again");
}
