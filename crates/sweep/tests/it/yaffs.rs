//! Images of YAFFS2, made here: no tool that makes them is at hand everywhere.

use sweep::Limits;
use sweep::unpack::{Format, Skip, find};

use crate::support::{damage, files, open, open_with};

/// Writes pages and what is behind them.
struct Maker {
    page: usize,
    spare: usize,
    tags: usize,
    big: bool,
    image: Vec<u8>,
}

impl Maker {
    fn word(&self, value: u32) -> [u8; 4] {
        if self.big { value.to_be_bytes() } else { value.to_le_bytes() }
    }

    fn page(&mut self, data: &[u8], sequence: u32, object: u32, chunk: u32, bytes: u32) {
        let start = self.image.len();
        self.image.extend_from_slice(data);
        self.image.resize(start + self.page + self.spare, 0xff);
        for (index, value) in [sequence, object, chunk, bytes].into_iter().enumerate() {
            let at = start + self.page + self.tags + index * 4;
            let word = self.word(value);
            self.image[at..at + 4].copy_from_slice(&word);
        }
    }

    fn object(&mut self, object: u32, kind: u32, parent: u32, name: &str, bytes: usize) {
        let mut header = vec![0xff; 512];
        header[..4].copy_from_slice(&self.word(kind));
        header[4..8].copy_from_slice(&self.word(parent));
        header[10..266].fill(0);
        header[10..10 + name.len()].copy_from_slice(name.as_bytes());
        header[292..296].copy_from_slice(&self.word(bytes as u32));
        self.page(&header, 0x1000, object, 0, 0xffff);
    }

    fn file(&mut self, object: u32, parent: u32, name: &str, data: &[u8]) {
        self.object(object, 1, parent, name, data.len());
        for (chunk, piece) in data.chunks(self.page).enumerate() {
            self.page(piece, 0x1000, object, chunk as u32 + 1, piece.len() as u32);
        }
    }
}

/// The tree, as the tool writes it that cameras are flashed with.
fn image(page: usize, spare: usize, tags: usize, big: bool) -> Maker {
    let mut maker = Maker { page, spare, tags, big, image: Vec::new() };
    let mut folders = std::collections::BTreeMap::new();
    let mut next = 257;
    for (name, data) in files() {
        let (mut parent, mut path) = (1, String::new());
        let parts: Vec<&str> = name.split('/').collect();
        for folder in &parts[..parts.len() - 1] {
            path = format!("{path}/{folder}");
            parent = *folders.entry(path.clone()).or_insert_with(|| {
                next += 1;
                maker.object(next, 3, parent, folder, 0);
                next
            });
        }
        next += 1;
        maker.file(next, parent, parts[parts.len() - 1], &data);
    }
    maker
}

#[test]
fn yaffs2_of_each_form() {
    for (page, spare) in [(2048, 64), (4096, 128), (512, 16), (16384, 512)] {
        for (tags, big) in [(0, false), (0, true), (2, false), (2, true)] {
            if tags + 16 > spare {
                continue;
            }
            let data = image(page, spare, tags, big).image;
            assert!(find(&data).contains(&(0, Format::Yaffs)), "{page} {spare} {tags} {big}");
            let seen = open(Format::Yaffs, &data);
            assert_eq!((seen.skipped, seen.covered), (Vec::new(), Some(data.len() as u64)));
            assert_eq!(seen.parts, files(), "{page} {spare} {tags} {big}");
        }
    }
    damage(Format::Yaffs, &image(2048, 64, 0, false).image);
}

#[test]
fn what_was_written_last_counts_and_circles_of_folders_end() {
    let mut maker = Maker { page: 2048, spare: 64, tags: 0, big: false, image: Vec::new() };
    maker.file(300, 1, "settings", b"old");
    maker.page(b"new", 0x1001, 300, 1, 3);
    maker.object(301, 3, 302, "a", 0);
    maker.object(302, 3, 301, "b", 0);
    maker.file(303, 302, "inside", b"x");
    maker.object(304, 1, 1, "half", 5000);
    let seen = open(Format::Yaffs, &maker.image);
    assert_eq!(seen.parts["settings"], b"new");
    assert_eq!(seen.parts["a/b/inside"], b"x");
    assert_eq!(seen.why("half"), [Skip::Damaged("pages are missing")]);
}

/// The attack: erased pages without end, each of which is looked at.
#[test]
fn erased_pages_count() {
    let mut maker = Maker { page: 512, spare: 16, tags: 0, big: false, image: Vec::new() };
    maker.file(300, 1, "settings", b"x");
    maker.image.resize(528 * 200, 0xff);
    let limits = Limits { entries: 100, ..Limits::default() };
    assert_eq!(open_with(Format::Yaffs, &maker.image, &limits).why(""), [Skip::TooMany]);
}
