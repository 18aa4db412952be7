//! A tree of known files, tools that pack it, and a visitor that remembers.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::ops::ControlFlow;
use std::path::Path;
use std::process::Command;

use sweep::Limits;
use sweep::read::ReadAt;
use sweep::unpack::{Format, Part, Skip, Visit, find, unpack};

#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) parts: BTreeMap<String, Vec<u8>>,
    pub(crate) skipped: Vec<(String, Skip)>,
    pub(crate) covered: Option<u64>,
    /// Bytes of all parts, of which no more than `KEEP` each are kept.
    pub(crate) bytes: u64,
    /// Read of the source, where no read counts for less than 64 bytes.
    pub(crate) work: u64,
}

/// A source that counts what is read of it.
struct Counted<'a> {
    source: &'a dyn ReadAt,
    work: Cell<u64>,
}

impl ReadAt for Counted<'_> {
    fn len(&self) -> u64 {
        self.source.len()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read_at(offset, buffer)?;
        self.work.set(self.work.get() + 64.max(read as u64));
        Ok(read)
    }
}

const KEEP: u64 = 8 << 20;

impl Visit for Seen {
    fn part(&mut self, part: Part<'_>) -> ControlFlow<()> {
        let mut data = Vec::new();
        let mut rest = part.data;
        // What was read before an error counts.
        let kept = (&mut rest).take(KEEP).read_to_end(&mut data);
        self.bytes += data.len() as u64;
        if kept.is_ok() {
            let mut buffer = vec![0; 1 << 16];
            while let Ok(count @ 1..) = rest.read(&mut buffer) {
                self.bytes += count as u64;
            }
        }
        self.parts.insert(part.name.to_owned(), data);
        ControlFlow::Continue(())
    }

    fn skipped(&mut self, name: &str, why: Skip) {
        self.skipped.push((name.to_owned(), why));
    }
}

impl Seen {
    pub(crate) fn why(&self, name: &str) -> Vec<Skip> {
        self.skipped.iter().filter(|(of, _)| of == name).map(|(_, why)| *why).collect()
    }
}

pub(crate) fn open(format: Format, data: &[u8]) -> Seen {
    open_with(format, data, &Limits::default())
}

pub(crate) fn open_with(format: Format, data: &[u8], limits: &Limits) -> Seen {
    open_at(format, &data, 0, limits)
}

pub(crate) fn open_at(format: Format, source: &dyn ReadAt, at: u64, limits: &Limits) -> Seen {
    let mut seen = Seen::default();
    let source = Counted { source, work: Cell::new(0) };
    seen.covered = unpack(format, &source, at, limits, &mut seen);
    seen.work = source.work.get();
    seen
}

/// Files of every size that matters to blocks and fragments, with text and noise.
pub(crate) fn files() -> BTreeMap<String, Vec<u8>> {
    let mut random = fastrand::Rng::with_seed(6);
    let mut files = BTreeMap::new();
    for (name, bytes) in [
        ("empty", 0),
        ("etc/one", 1),
        ("etc/camera.conf", 700),
        ("etc/deep/er/page", 4096),
        ("a name of more than eleven letters.text", 5000),
        ("var/log/large.log", 300_000),
    ] {
        let text =
            (0..).flat_map(|line| format!("line {line}: root.Network.Share={}\n", line * 7).into_bytes());
        files.insert(name.to_owned(), text.take(bytes).collect());
    }
    files.insert("noise.bin".to_owned(), (0..150_000).map(|_| random.u8(..)).collect());
    files
}

pub(crate) fn tree() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, data) in files() {
        let path = folder.path().join("tree").join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(path, data).expect("a file");
    }
    folder
}

/// Runs a line of the shell in `folder`.
pub(crate) fn sh(folder: &Path, line: &str) {
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let output = Command::new("sh")
        .args(["-ec", line])
        .current_dir(folder)
        .env("PATH", path)
        .output()
        .expect("a shell");
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
}

/// What a line of the shell makes of the tree, as `out`.
pub(crate) fn packed(line: &str) -> Vec<u8> {
    let folder = tree();
    sh(folder.path(), line);
    std::fs::read(folder.path().join("out")).expect("what the tool made")
}

/// Packs the tree, finds it, unpacks it, and compares each byte; then damages it.
pub(crate) fn round_trip(format: Format, line: &str) {
    let data = packed(line);
    let head = &data[..data.len().min(1 << 17)];
    assert!(find(head).contains(&(0, format)), "not found: {line}");
    same(&open(format, &data), line, "");
    // At any offset, with other things before and behind.
    let mut shifted = vec![0x5a; 1000];
    shifted.extend_from_slice(&data);
    shifted.extend_from_slice(&[0x5a; 5000]);
    let at = open_at(format, &shifted, 1000, &Limits::default());
    same(&at, line, "");
    assert!(
        at.covered.is_some_and(|covered| covered <= data.len() as u64 + 4096),
        "{line}: {:?}",
        at.covered
    );
    damage(format, &data);
}

/// The files are there, and nothing else is; `prefix` stands before each name.
pub(crate) fn same(seen: &Seen, line: &str, prefix: &str) {
    assert!(seen.skipped.is_empty(), "{line}: {:?}", seen.skipped);
    let mut parts = seen.parts.clone();
    for (name, data) in files() {
        let name = format!("{prefix}{name}");
        let part = parts.remove(&name).or_else(|| parts.remove(&format!("./{name}")));
        let part = part.unwrap_or_else(|| panic!("{line}: no {name} among {:?}", seen.parts.keys()));
        assert!(part == data, "{line}: {name} differs, {} bytes of {}", part.len(), data.len());
    }
    assert!(parts.is_empty(), "{line}: more than there is: {:?}", parts.keys());
}

/// Cut short at each sixteenth, and with bits turned: nothing panics, grows, or reads on
/// and on.
pub(crate) fn damage(format: Format, data: &[u8]) {
    let limits =
        Limits { part_bytes: 16 << 20, total_bytes: 256 << 20, entries: 20_000, ..Limits::default() };
    let check = |data: &[u8]| {
        let seen = open_with(format, data, &limits);
        within(&seen, data, &format!("{format:?}"));
        assert!(seen.bytes <= 256 << 20);
        assert!(seen.covered.is_none_or(|covered| covered <= data.len() as u64));
    };
    for sixteenth in 0..16 {
        check(&data[..data.len() * sixteenth / 16]);
    }
    let mut random = fastrand::Rng::with_seed(16);
    for round in 0..24 {
        let mut data = data.to_vec();
        // Half of them where the headers are.
        let within = if round % 2 == 0 { data.len() } else { data.len().min(4096) };
        for _ in 0..1 + round / 4 {
            data[random.usize(..within)] ^= 1 << random.u8(..8);
        }
        check(&data);
    }
}

/// What was read is in proportion to what there is and what came out of it.
pub(crate) fn within(seen: &Seen, data: &[u8], what: &str) {
    let most = 32 * (data.len() as u64 + seen.bytes) + (32 << 20);
    assert!(seen.work <= most, "{what}: {} read of {}, {} came out", seen.work, data.len(), seen.bytes);
}
