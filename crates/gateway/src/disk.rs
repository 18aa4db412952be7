//! The disk: one thread appends to all open recordings, and another flushes the
//! volume once a second with one `syncfs`, however many streams there are: it
//! may take seconds where others write to the volume, and what cameras send
//! does not wait for it. A recording counts as stored when a flush after its
//! last byte has succeeded: [`gateway_core::volume`] is what it goes by.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc as std_mpsc};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;
use gateway_core::recorder::Closed;
use gateway_core::recovery::file_name;
use gateway_core::volume::{Abandoned, GivenUp, Number, Stored, Volume, Writer};
use model::{Hash, Timestamp};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tracing::error;

/// Writes that wait at most. Together with [`PATIENCE`] this bounds what a slow
/// disk costs in memory.
const QUEUE: usize = 1_024;
/// A stream waits this long for room before it gives its recording up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
pub(crate) const FLUSH: Duration = Duration::from_secs(1);
/// The thread rests so long after it has written all that waited: with many
/// streams it is woken once for many writes. A crash of the program loses so
/// much more.
const REST: Duration = Duration::from_millis(50);
/// Jobs taken at once.
const BATCH: usize = 256;
/// Room for recordings whose flush is over.
const STORED_QUEUE: usize = 1_024;

#[derive(Clone, Debug)]
pub(crate) struct Disk {
    jobs: mpsc::Sender<Job>,
    next: Arc<AtomicU64>,
    flushed: Arc<Flushed>,
}

/// What a stream and the thread tell each other of a recording.
#[derive(Debug)]
struct Failed {
    /// When the last flush was before it failed; `u64::MAX` if it has not.
    flushed_ms: AtomicU64,
    /// Nobody records into it any more.
    is_dropped: AtomicBool,
}

impl Default for Failed {
    fn default() -> Self {
        Failed { flushed_ms: AtomicU64::new(u64::MAX), is_dropped: AtomicBool::new(false) }
    }
}

impl Failed {
    fn flushed_ms(&self) -> Option<u64> {
        Some(self.flushed_ms.load(Ordering::Relaxed)).filter(|ms| *ms != u64::MAX)
    }
}

/// By a clock that nobody sets.
#[derive(Debug)]
struct Flushed {
    started: Instant,
    /// What was handed to the disk before has been flushed.
    ms: AtomicU64,
}

impl Flushed {
    fn now(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }
}

/// One open recording. Dropped without `close`, it is given up.
#[derive(Debug)]
pub(crate) struct OpenRecording {
    number: Number,
    jobs: mpsc::Sender<Job>,
    failed: Arc<Failed>,
    is_closed: bool,
}

/// The disk did not take it: full, gone, read-only, or too slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the disk does not take what is recorded; look for space and at the system's log")]
pub(crate) struct DiskError;

#[derive(Debug)]
enum Job {
    Open {
        number: Number,
        path: String,
        bytes: Bytes,
        failed: Arc<Failed>,
        opened: oneshot::Sender<()>,
    },
    Append {
        number: Number,
        bytes: Bytes,
    },
    Close {
        number: Number,
        bytes: Bytes,
        closed: Box<Closed>,
    },
    Drop {
        number: Number,
    },
    Abandoned {
        files: oneshot::Sender<Vec<Abandoned>>,
    },
    /// With what was handed over before this time.
    Flush {
        ms: u64,
    },
    /// A flush is over; how it went waits in [`Flusher::done`].
    Flushed,
}

impl Disk {
    /// Starts the thread; recordings are counted on from the last number. It ends
    /// when all handles are gone, after a last flush.
    pub(crate) fn start(
        root: PathBuf,
        last_number: Number,
    ) -> anyhow::Result<(Self, mpsc::Receiver<Stored>)> {
        let volume = File::open(&root).with_context(|| format!("{} could not be opened", root.display()))?;
        let (jobs, receiver) = mpsc::channel(QUEUE);
        let (stored, stored_receiver) = mpsc::channel(STORED_QUEUE);
        let flusher = Flusher::start(volume.try_clone()?, jobs.downgrade())?;
        let writer = Writer::new(Folder { root, volume });
        let flushed = Arc::new(Flushed { started: Instant::now(), ms: AtomicU64::new(0) });
        let failed = HashMap::new();
        let thread = DiskThread { writer, failed, stored, flushed: flushed.clone(), flusher };
        std::thread::Builder::new()
            .name("disk".to_owned())
            .spawn(move || thread.run(receiver))
            .context("the disk thread could not be started")?;
        let (flush, times) = (jobs.downgrade(), flushed.clone());
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(FLUSH).await;
                let Some(jobs) = flush.upgrade() else { return };
                // A full queue flushes soon enough.
                let _ = jobs.try_send(Job::Flush { ms: times.now() });
            }
        });
        let next = Arc::new(AtomicU64::new(last_number + 1));
        Ok((Disk { jobs, next, flushed }, stored_receiver))
    }

    /// Its thread has ended: nothing is kept any more.
    pub(crate) fn is_gone(&self) -> bool {
        self.jobs.is_closed()
    }

    /// What was handed over longer ago, to this recording or one before, is on
    /// the disk for certain.
    pub(crate) fn unflushed_ms(&self, recording: Option<&OpenRecording>) -> u64 {
        let at_failure = recording.and_then(|recording| recording.failed.flushed_ms());
        let flushed = at_failure.unwrap_or_else(|| self.flushed.ms.load(Ordering::Relaxed));
        // Another flush: what was sealed before one may be handed over after it.
        self.flushed.now().saturating_sub(flushed) + FLUSH.as_millis() as u64
    }

    /// Files that were given up since this was asked last, below the data folder.
    /// None while the disk takes its time: nobody waits for it here.
    pub(crate) async fn abandoned(&self) -> Vec<Abandoned> {
        let (files, abandoned) = oneshot::channel();
        if self.jobs.try_send(Job::Abandoned { files }).is_err() {
            return Vec::new();
        }
        timeout(FLUSH, abandoned).await.ok().and_then(Result::ok).unwrap_or_default()
    }

    /// Makes a file in a folder below the data folder, and writes its beginning.
    pub(crate) async fn open(
        &self,
        folder: String,
        (started_at, id): (Timestamp, Hash),
        bytes: Bytes,
    ) -> Result<OpenRecording, DiskError> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let path = format!("{folder}/{}", file_name(started_at, number, id));
        let failed = Arc::new(Failed::default());
        let recording =
            OpenRecording { number, jobs: self.jobs.clone(), failed: failed.clone(), is_closed: false };
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

    pub(crate) async fn close(mut self, bytes: Bytes, closed: Box<Closed>) -> Result<(), DiskError> {
        let sent = self.send(Job::Close { number: self.number, bytes, closed }).await;
        self.is_closed = sent.is_ok();
        sent
    }

    async fn send(&self, job: Job) -> Result<(), DiskError> {
        if self.failed.flushed_ms().is_some() {
            return Err(DiskError);
        }
        self.jobs.send_timeout(job, PATIENCE).await.map_err(|_| DiskError)
    }
}

impl Drop for OpenRecording {
    fn drop(&mut self) {
        if !self.is_closed {
            // The queue may be full, which is why it is given up; a flush sees it.
            self.failed.is_dropped.store(true, Ordering::Relaxed);
            let _ = self.jobs.try_send(Job::Drop { number: self.number });
        }
    }
}

/// Flushes the volume on a thread of its own, one flush after the other.
struct Flusher {
    begin: std_mpsc::Sender<u64>,
    done: std_mpsc::Receiver<(u64, io::Result<()>)>,
    is_flushing: bool,
}

impl Flusher {
    /// The thread ends with this value, or after the last flush.
    fn start(volume: File, jobs: mpsc::WeakSender<Job>) -> anyhow::Result<Self> {
        let (begin, begun) = std_mpsc::channel::<u64>();
        let (ended, done) = std_mpsc::channel();
        let flush = move || {
            for ms in begun {
                let flushed = rustix::fs::syncfs(&volume).map_err(io::Error::from);
                if ended.send((ms, flushed)).is_err() {
                    return;
                }
                // Without streams, the disk's thread looks here at its end.
                if let Some(jobs) = jobs.upgrade() {
                    let _ = jobs.blocking_send(Job::Flushed);
                }
            }
        };
        std::thread::Builder::new()
            .name("flush".to_owned())
            .spawn(flush)
            .context("the thread that flushes the disk could not be started")?;
        Ok(Flusher { begin, done, is_flushing: false })
    }
}

/// The thread's state.
struct DiskThread {
    writer: Writer<Folder>,
    /// By which streams learn that their recording was given up.
    failed: HashMap<Number, Arc<Failed>>,
    stored: mpsc::Sender<Stored>,
    flushed: Arc<Flushed>,
    flusher: Flusher,
}

impl DiskThread {
    fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let mut batch = Vec::with_capacity(BATCH);
        while jobs.blocking_recv_many(&mut batch, BATCH) > 0 {
            let is_all = batch.len() < BATCH;
            batch.drain(..).for_each(|job| self.take(job));
            if is_all {
                std::thread::sleep(REST);
            }
        }
        let ms = self.flushed.now();
        if self.flusher.is_flushing
            && let Ok((ms, flushed)) = self.flusher.done.recv()
        {
            self.end_flush(ms, flushed);
        }
        let flushed = self.writer.flush();
        self.store(ms, flushed);
    }

    fn take(&mut self, job: Job) {
        match job {
            Job::Open { number, path, bytes, failed, opened } => {
                match self.writer.begin(number, path.clone(), &bytes) {
                    Ok(()) => {
                        self.failed.insert(number, failed);
                        // Nobody waits any more: the recording will be dropped.
                        let _ = opened.send(());
                    }
                    Err(error) => error!(path, %error, "a recording could not be begun"),
                }
            }
            Job::Append { number, bytes } => {
                let written = self.writer.append(number, &bytes);
                self.look_at(number, written);
            }
            Job::Close { number, bytes, closed } => {
                let written = self.writer.close(number, &bytes, closed);
                self.look_at(number, written);
                self.failed.remove(&number);
            }
            Job::Drop { number } => {
                self.writer.give_up(number);
                self.failed.remove(&number);
            }
            Job::Abandoned { files } => {
                if let Err(abandoned) = files.send(self.writer.take_abandoned()) {
                    self.writer.abandon_again(abandoned);
                }
            }
            // One that takes longer than until the next is followed by the one after.
            Job::Flush { ms } if !self.flusher.is_flushing => self.begin_flush(ms),
            Job::Flush { .. } => {}
            Job::Flushed => {
                if let Ok((ms, flushed)) = self.flusher.done.try_recv() {
                    self.end_flush(ms, flushed);
                }
            }
        }
    }

    fn look_at(&mut self, number: Number, written: io::Result<()>) {
        if let Err(error) = written {
            error!(%error, "a recording could not be written");
            self.has_failed(number);
        }
    }

    fn has_failed(&mut self, number: Number) {
        if let Some(failed) = self.failed.get(&number) {
            failed.flushed_ms.store(self.flushed.ms.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }

    fn begin_flush(&mut self, ms: u64) {
        let dropped = |failed: &Failed| failed.is_dropped.load(Ordering::Relaxed);
        for (number, _) in self.failed.extract_if(|_, failed| dropped(failed)) {
            self.writer.give_up(number);
        }
        if self.writer.begin_flush() {
            self.flusher.is_flushing = self.flusher.begin.send(ms).is_ok();
        } else {
            self.flushed.ms.store(ms, Ordering::Relaxed);
        }
    }

    fn end_flush(&mut self, ms: u64, flushed: io::Result<()>) {
        self.flusher.is_flushing = false;
        let flushed = self.writer.end_flush(flushed);
        self.store(ms, flushed);
    }

    fn store(&mut self, ms: u64, flushed: Result<Vec<Stored>, GivenUp<io::Error>>) {
        match flushed {
            Ok(stored) => {
                self.flushed.ms.store(ms, Ordering::Relaxed);
                for stored in stored {
                    // The index takes nothing for long: recording goes on without it.
                    if let Err(TrySendError::Full(stored)) = self.stored.try_send(stored) {
                        self.writer.abandon(stored);
                    }
                }
            }
            Err(GivenUp { recordings, error }) => {
                error!(open = recordings.len(), %error, "the volume could not be flushed");
                for number in recordings {
                    self.has_failed(number);
                }
            }
        }
    }
}

/// The data folder, on a volume of its own or not.
struct Folder {
    root: PathBuf,
    volume: File,
}

impl Volume for Folder {
    type File = File;
    type Error = io::Error;

    fn create(&mut self, path: &str, bytes: &[u8]) -> io::Result<File> {
        let path = self.root.join(path);
        let mut file = create(&path)?;
        // Each try on a full disk would leave another file.
        file.write_all(bytes).inspect_err(|_| drop(std::fs::remove_file(&path)))?;
        Ok(file)
    }

    fn append(&mut self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        file.write_all(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        rustix::fs::syncfs(&self.volume)?;
        Ok(())
    }
}

fn create(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    OpenOptions::new().create_new(true).append(true).mode(0o600).open(path)
}
