//! Where inputs come from: files, folders, standard input. Links are not followed, and
//! nothing but regular files and what was named itself is opened.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use crate::read::FileSource;

/// Files and folders below one folder.
pub const ENTRIES_MAX: u64 = 10_000_000;
/// Folders inside each other.
const DEPTH_MAX: usize = 256;
/// What a file may hold that does not say how long it is, in bytes: it is kept in memory.
const HELD_MAX: u64 = 256 << 20;
/// What standard input may hold, in bytes: it is kept in memory.
pub const STDIN_MAX: u64 = 1 << 30;
/// How often whoever waits for standard input looks whether it is to go on.
const WAIT: Duration = Duration::from_millis(100);
/// Why a link was skipped, in a folder or an archive: nothing is lost by it.
pub const LINK: &str = "a link, not followed";

/// One thing that a walk came to.
#[derive(Debug)]
pub enum Entry {
    File {
        name: String,
        source: FileSource,
    },
    /// `failed`: the system would not read it. Otherwise a sweep does not.
    Skipped {
        name: String,
        why: String,
        failed: bool,
    },
}

/// Tells of all files below `path`, in the order of their names; `path` itself may be a
/// link or a device, since somebody named it.
pub fn walk(path: &Path, tell: &mut dyn FnMut(Entry) -> ControlFlow<()>) -> ControlFlow<()> {
    let name = path.to_string_lossy().into_owned();
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) => return tell(Entry::Skipped { name, why: error.to_string(), failed: true }),
    };
    let kind = metadata.file_type();
    if kind.is_dir() {
        Walk { seen: HashSet::new(), entries: 0, tell }.folder(path)
    } else if kind.is_file() && metadata.len() == 0 {
        // Files of `/proc` say that they are empty, and are not.
        tell(entry(name, File::open(path).and_then(|file| FileSource::held(file, HELD_MAX))))
    } else if kind.is_file() || kind.is_block_device() {
        tell(open(path, name))
    } else {
        let why = "neither file, folder nor block device".to_owned();
        tell(Entry::Skipped { name, why, failed: true })
    }
}

fn open(path: &Path, name: String) -> Entry {
    entry(name, File::open(path).and_then(FileSource::new))
}

fn entry(name: String, opened: io::Result<FileSource>) -> Entry {
    match opened {
        Ok(source) => Entry::File { name, source },
        Err(error) => Entry::Skipped { name, why: error.to_string(), failed: true },
    }
}

struct Walk<'a> {
    /// Folders by device and inode: a mount can hold what it lies in.
    seen: HashSet<(u64, u64)>,
    entries: u64,
    tell: &'a mut dyn FnMut(Entry) -> ControlFlow<()>,
}

impl Walk<'_> {
    fn folder(&mut self, root: &Path) -> ControlFlow<()> {
        // Folders that are open, and what is left of each: no recursion, since depth is foreign.
        let mut open = vec![self.read(root)?];
        while let Some(rest) = open.last_mut() {
            let Some(path) = rest.pop() else {
                open.pop();
                continue;
            };
            let name = path.to_string_lossy().into_owned();
            self.entries += 1;
            if self.entries > ENTRIES_MAX {
                let why = format!("more than {ENTRIES_MAX} entries");
                return (self.tell)(Entry::Skipped { name, why, failed: true });
            }
            let Ok(metadata) = fs::symlink_metadata(&path) else {
                let why = "gone, or not readable".to_owned();
                (self.tell)(Entry::Skipped { name, why, failed: true })?;
                continue;
            };
            let kind = metadata.file_type();
            if kind.is_dir() && open.len() < DEPTH_MAX {
                open.push(self.read(&path)?);
            } else if kind.is_file() {
                (self.tell)(self::open(&path, name))?;
            } else {
                let why = match (kind.is_symlink(), kind.is_dir()) {
                    (true, _) => LINK,
                    (_, true) => "folders too deep",
                    _ => "no regular file",
                };
                let failed = kind.is_dir();
                (self.tell)(Entry::Skipped { name, why: why.to_owned(), failed })?;
            }
        }
        ControlFlow::Continue(())
    }

    /// Entries of a folder, the first last.
    fn read(&mut self, path: &Path) -> ControlFlow<(), Vec<PathBuf>> {
        let entries = || -> io::Result<Option<Vec<PathBuf>>> {
            let metadata = fs::metadata(path)?;
            if !self.seen.insert((metadata.dev(), metadata.ino())) {
                return Ok(None);
            }
            let left = (ENTRIES_MAX - self.entries.min(ENTRIES_MAX)) as usize + 1;
            let entries = fs::read_dir(path)?.take(left).map(|entry| entry.map(|entry| entry.path()));
            let mut entries = entries.collect::<io::Result<Vec<_>>>()?;
            entries.sort_unstable_by(|a, b| b.cmp(a));
            Ok(Some(entries))
        };
        let mut entries = entries;
        let name = || path.to_string_lossy().into_owned();
        let (why, failed) = match entries() {
            Ok(Some(entries)) => return ControlFlow::Continue(entries),
            Ok(None) => ("this folder was read before".to_owned(), false),
            Err(error) => (error.to_string(), true),
        };
        (self.tell)(Entry::Skipped { name: name(), why, failed })?;
        ControlFlow::Continue(Vec::new())
    }
}

/// All of standard input, in memory; the flag says whether it was cut off at [`STDIN_MAX`].
/// None, once `is_stopped` says so: whoever waits for a pipe may wait for ever.
///
/// # Errors
/// If it cannot be read.
pub fn stdin(is_stopped: &dyn Fn() -> bool) -> io::Result<Option<(Vec<u8>, bool)>> {
    let (sender, receiver) = mpsc::sync_channel(1);
    // Not waited for: it ends with the program.
    thread::Builder::new().name("stdin".to_owned()).spawn(move || {
        let _ = sender.send(held_stdin());
    })?;
    loop {
        match receiver.recv_timeout(WAIT) {
            Ok(read) => return read.map(Some),
            Err(RecvTimeoutError::Timeout) if is_stopped() => return Ok(None),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(io::Error::other("its reader has ended")),
        }
    }
}

fn held_stdin() -> io::Result<(Vec<u8>, bool)> {
    let mut bytes = Vec::new();
    io::stdin().lock().take(STDIN_MAX + 1).read_to_end(&mut bytes)?;
    let cut = bytes.len() as u64 > STDIN_MAX;
    bytes.truncate(STDIN_MAX as usize);
    Ok((bytes, cut))
}
