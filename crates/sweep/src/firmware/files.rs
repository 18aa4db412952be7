//! The parts of the image, one by one, to those who read them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::found::{Found, push};
use super::report::{FileEntry, Product, Report};
use super::{accounts, certificates, components, elf, packages, services, signature, text};
use crate::read::ReadAt;
use crate::scan::read_full;

/// Read of the image at once for its digest, in bytes.
const BLOCK: usize = 1 << 20;
/// Of the image, looked at in one piece, and beyond it for what begins in it.
const WINDOW: usize = 8 << 20;
const OVERLAP: usize = 64 << 10;
/// Parts that are looked at.
const FILES_MAX: usize = 100_000;
/// Lists of packages are no longer than this, in bytes; scripts and settings are far shorter.
const TEXT_MAX: usize = 16 << 20;
/// By which it is told whether something is text, in bytes.
const TEXT_LOOK: usize = 4 << 10;

/// One part: where it is, what it is called, and all of it.
pub(super) struct File<'a> {
    /// With what it lies in, for people.
    pub(super) place: &'a str,
    /// Within the innermost container.
    pub(super) path: &'a str,
    pub(super) bytes: &'a [u8],
    /// If it could be read by a person. Bytes that are not UTF-8 are replaced: scripts
    /// have remarks in all encodings.
    pub(super) text: Option<&'a str>,
}

impl File<'_> {
    /// Whether it is this file, in whichever folder the system's root is.
    pub(super) fn is(&self, path: &str) -> bool {
        self.path.strip_suffix(path).is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
    }

    pub(super) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    pub(super) fn is_below(&self, folder: &str) -> bool {
        let folder = format!("{folder}/");
        self.path.starts_with(&folder) || self.path.contains(&format!("/{folder}"))
    }
}

/// What has no zero bytes and is text for the most part, up to [`TEXT_MAX`].
fn text_of(bytes: &[u8]) -> Option<Cow<'_, str>> {
    let bytes = &bytes[..bytes.len().min(TEXT_MAX)];
    if memchr::memchr(0, bytes).is_some() {
        return None;
    }
    let is_sign = |byte: &&u8| byte.is_ascii_control() && !byte.is_ascii_whitespace() && **byte != 0x1b;
    let start = &bytes[..bytes.len().min(TEXT_LOOK)];
    let signs = start.iter().filter(is_sign).count();
    // One in thirty-two: packed bytes have one in nine.
    (signs * 32 <= start.len()).then(|| String::from_utf8_lossy(bytes))
}

pub(super) struct Files {
    pub(super) found: Found,
    /// Files by path: what is found twice, in a partition and by its magic number, counts once.
    seen: BTreeMap<String, [u8; 32]>,
}

impl Files {
    pub(super) fn new(product: Product) -> Self {
        Files { found: Found::new(product), seen: BTreeMap::new() }
    }

    /// `is_whole`: it is not only the beginning of a part that is too large.
    pub(super) fn part(&mut self, chain: &[String], source: &dyn ReadAt, is_whole: bool) {
        // Encodings that were undone are of the sweep alone; the image itself is no part.
        let ([_, parts @ ..], Some(bytes)) = (chain, source.in_memory()) else { return };
        let Some(last) = parts.last() else { return };
        if bytes.is_empty() || parts.iter().any(|name| name.starts_with('(')) {
            return;
        }
        let place = text::place(chain);
        let digest: [u8; 32] = Sha256::digest(bytes).into();
        if self.seen.get(&place) == Some(&digest) || self.seen.len() >= FILES_MAX {
            return;
        }
        self.seen.insert(place.clone(), digest);
        let sha256 = if is_whole { hex(&digest) } else { String::new() };
        let entry = FileEntry { path: place.clone(), bytes: bytes.len() as u64, sha256 };
        push(&mut self.found.report.files, entry);
        let path = text::without_offset(last).trim_start_matches(['.', '/']);
        let text = text_of(bytes);
        let file = File { place: &place, path, bytes, text: text.as_deref() };
        self.read(&file);
    }

    fn read(&mut self, file: &File<'_>) {
        let found = &mut self.found;
        elf::read(file, found);
        components::read(file, found);
        signature::of_part(file, found);
        if file.text.is_some() {
            accounts::read(file, found);
            services::read(file, found);
            packages::read(file, found);
        }
        certificates::read(file, found);
    }

    /// The image itself, in which a boot loader or a kernel may lie as it is.
    pub(super) fn image(&mut self, image: &dyn ReadAt) {
        let mut window = vec![0; WINDOW + OVERLAP];
        let mut at = 0;
        while at < image.len() {
            let Ok(read) = read_full(image, at, &mut window) else { return };
            let file = File { place: "", path: "", bytes: &window[..read], text: None };
            components::read(&file, &mut self.found);
            certificates::read(&file, &mut self.found);
            at += WINDOW as u64;
        }
    }

    /// `now` in seconds since 1970.
    pub(super) fn finish(self, now: i64) -> Report {
        let mut found = self.found;
        accounts::judge(&mut found);
        certificates::judge(now, &mut found);
        elf::judge(&mut found);
        signature::judge(&mut found);
        found.judge_room();
        let mut report = found.report;
        report.components.sort_by(|a, b| (&a.product, &a.version).cmp(&(&b.product, &b.version)));
        report
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Empty if it cannot be read.
pub(super) fn sha256(source: &dyn ReadAt) -> String {
    let mut hash = Sha256::new();
    let mut block = vec![0; BLOCK];
    let mut at = 0;
    while at < source.len() {
        match source.read_at(at, &mut block) {
            Ok(0) => break,
            Ok(read) => {
                hash.update(&block[..read]);
                at += read as u64;
            }
            Err(_) => return String::new(),
        }
    }
    match at >= source.len() {
        true => hex(&hash.finalize()),
        false => String::new(),
    }
}
