//! The disk: one thread appends to all open recordings and flushes the volume
//! once a second with one `syncfs`, however many streams there are. A
//! recording counts as stored when a flush after its last byte has succeeded.
//!
//! A recording that could not be written is given up where it stands; the file
//! stays, and the next start closes it after its last whole chunk.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use gateway_core::recorder::Closed;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tracing::error;

/// Writes that wait at most. Together with [`PATIENCE`] this bounds what a slow
/// disk costs in memory.
const QUEUE: usize = 1_024;
/// A stream waits this long for room before it gives its recording up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
pub(crate) const FLUSH: Duration = Duration::from_secs(1);
/// Room for recordings whose flush is over.
const STORED_QUEUE: usize = 1_024;

/// A recording that is whole and on disk.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) path: String,
    pub(crate) closed: Box<Closed>,
}

#[derive(Clone, Debug)]
pub(crate) struct Disk {
    jobs: mpsc::Sender<Job>,
    next: Arc<AtomicU64>,
}

/// One open recording. Dropped without `close`, it is given up.
#[derive(Debug)]
pub(crate) struct OpenRecording {
    number: u64,
    jobs: mpsc::Sender<Job>,
    failed: Arc<AtomicBool>,
}

/// The disk did not take it: full, gone, read-only, or too slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the disk does not take what is recorded; look for space and at the system's log")]
pub(crate) struct DiskError;

#[derive(Debug)]
enum Job {
    Open { number: u64, path: String, bytes: Bytes, failed: Arc<AtomicBool>, opened: oneshot::Sender<()> },
    Append { number: u64, bytes: Bytes },
    Close { number: u64, bytes: Bytes, closed: Box<Closed> },
    Drop { number: u64 },
    Flush,
}

impl Disk {
    /// Starts the thread. It ends when all handles are gone, after a last flush.
    pub(crate) fn start(root: PathBuf) -> anyhow::Result<(Self, mpsc::Receiver<Stored>)> {
        let volume = File::open(&root).with_context(|| format!("{} could not be opened", root.display()))?;
        let (jobs, receiver) = mpsc::channel(QUEUE);
        let (stored, stored_receiver) = mpsc::channel(STORED_QUEUE);
        let writer = Writer { root, volume, open: HashMap::new(), unflushed: Vec::new(), stored };
        std::thread::Builder::new()
            .name("disk".to_owned())
            .spawn(move || writer.run(receiver))
            .context("the disk thread could not be started")?;
        let flush = jobs.downgrade();
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(FLUSH).await;
                let Some(jobs) = flush.upgrade() else { return };
                // A full queue flushes soon enough.
                let _ = jobs.try_send(Job::Flush);
            }
        });
        Ok((Disk { jobs, next: Arc::default() }, stored_receiver))
    }

    /// Makes the file and writes its beginning. `path` is below the data folder.
    pub(crate) async fn open(&self, path: String, bytes: Bytes) -> Result<OpenRecording, DiskError> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let failed = Arc::new(AtomicBool::new(false));
        let recording = OpenRecording { number, jobs: self.jobs.clone(), failed: failed.clone() };
        let (opened, is_open) = oneshot::channel();
        recording.send(Job::Open { number, path, bytes, failed, opened }).await?;
        match timeout(PATIENCE, is_open).await {
            Ok(Ok(())) => Ok(recording),
            _ => Err(DiskError),
        }
    }
}

impl OpenRecording {
    pub(crate) async fn append(&self, bytes: Bytes) -> Result<(), DiskError> {
        self.send(Job::Append { number: self.number, bytes }).await
    }

    pub(crate) async fn close(self, bytes: Bytes, closed: Box<Closed>) -> Result<(), DiskError> {
        self.send(Job::Close { number: self.number, bytes, closed }).await
    }

    async fn send(&self, job: Job) -> Result<(), DiskError> {
        if self.failed.load(Ordering::Relaxed) {
            return Err(DiskError);
        }
        self.jobs.send_timeout(job, PATIENCE).await.map_err(|_| DiskError)
    }
}

impl Drop for OpenRecording {
    fn drop(&mut self) {
        // After `close` the number is unknown and this does nothing.
        let _ = self.jobs.try_send(Job::Drop { number: self.number });
    }
}

struct Writer {
    root: PathBuf,
    volume: File,
    open: HashMap<u64, OpenFile>,
    /// Closed since the last flush.
    unflushed: Vec<Stored>,
    stored: mpsc::Sender<Stored>,
}

struct OpenFile {
    file: File,
    path: String,
    failed: Arc<AtomicBool>,
}

impl Writer {
    fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        while let Some(job) = jobs.blocking_recv() {
            self.take(job);
        }
        self.flush();
    }

    fn take(&mut self, job: Job) {
        match job {
            Job::Open { number, path, bytes, failed, opened } => {
                match begin(&self.root.join(&path), &bytes) {
                    Ok(file) => {
                        self.open.insert(number, OpenFile { file, path, failed });
                        // Nobody waits any more: the recording will be dropped.
                        let _ = opened.send(());
                    }
                    Err(error) => error!(path, %error, "a recording could not be begun"),
                }
            }
            Job::Append { number, bytes } => self.write(number, &bytes),
            Job::Close { number, bytes, closed } => {
                self.write(number, &bytes);
                if let Some(open) = self.open.remove(&number) {
                    self.unflushed.push(Stored { path: open.path, closed });
                }
            }
            Job::Drop { number } => drop(self.open.remove(&number)),
            Job::Flush => self.flush(),
        }
    }

    fn write(&mut self, number: u64, bytes: &[u8]) {
        let Some(open) = self.open.get_mut(&number) else { return };
        if let Err(error) = open.file.write_all(bytes) {
            open.failed.store(true, Ordering::Relaxed);
            error!(path = open.path, %error, "a recording could not be written");
            self.open.remove(&number);
        }
    }

    fn flush(&mut self) {
        if self.open.is_empty() && self.unflushed.is_empty() {
            return;
        }
        if let Err(error) = rustix::fs::syncfs(&self.volume) {
            // What was written since the last flush may be gone. Nothing of it
            // is reported; the next start looks at what the files hold.
            error!(%error, "the volume could not be flushed");
            for open in self.open.values() {
                open.failed.store(true, Ordering::Relaxed);
            }
            self.open.clear();
            self.unflushed.clear();
            return;
        }
        for stored in self.unflushed.drain(..) {
            // The receiver ends after us, except in a crash of its own.
            let _ = self.stored.blocking_send(stored);
        }
    }
}

fn create(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    OpenOptions::new().create_new(true).append(true).mode(0o600).open(path)
}

/// A file that does not take even its beginning is removed again: each try on a
/// full disk would leave another one.
fn begin(path: &Path, bytes: &[u8]) -> io::Result<File> {
    let mut file = create(path)?;
    if let Err(error) = file.write_all(bytes) {
        let _ = std::fs::remove_file(path);
        return Err(error);
    }
    Ok(file)
}
