//! What the cloud asks of this gateway's disk over the link: which recordings
//! are here alone, and bytes of them. It is answered beside everything else,
//! from an index of its own, and few at a time: a cloud that asks without end
//! loads the uplink and holds up nothing. Bytes leave as they were sealed.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use model::timeline::Scale;
use model::wire::{FRAME_PIECE, FromGateway, LISTED_MAX, PIECE_MAX, ToGateway};
use model::{CameraId, Hash, Rendition, Timestamp};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tracing::warn;

use crate::index::{Index, Of};

/// Questions that wait at a time; what comes beyond is refused.
const WAITING_MAX: usize = 64;
/// Pieces that are read, or wait for the network, at a time.
const READS_AT_ONCE: usize = 2;
const LISTS_AT_ONCE: usize = 1;
/// A piece: kind and number of what was asked, and then the bytes.
const HEAD: usize = 5;

/// Where the answers are.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    root: PathBuf,
    index: Index,
}

/// What of one link is being answered. Dropping it ends that.
pub(crate) struct Answering {
    asked: Arc<Asked>,
    answers: mpsc::Sender<FromGateway>,
    pieces: mpsc::Sender<Bytes>,
    reads: Arc<Semaphore>,
    lists: Arc<Semaphore>,
    tasks: JoinSet<()>,
}

enum Answer {
    Text(FromGateway),
    Piece(Bytes),
}

/// Why there is no answer, in words for the cloud.
type Failed = &'static str;

const NOT_HERE: Failed = "this gateway does not have the recording";
const NO_RANGE: Failed = "the range is not one of the recording, or too long";
const NO_TIMELINE: Failed = "there is no timeline of this stretch, in so many parts";
const UNREADABLE: Failed = "the disk did not give it; the gateway's log says why";
const BUSY: Failed = "too much is being asked at once";

impl Asked {
    /// `index` is one of readers alone.
    pub(crate) fn new(root: PathBuf, index: Index) -> Self {
        Asked { root, index }
    }

    /// For one link, whose queues these are.
    pub(crate) fn over(&self, answers: mpsc::Sender<FromGateway>, pieces: mpsc::Sender<Bytes>) -> Answering {
        Answering {
            asked: Arc::new(self.clone()),
            answers,
            pieces,
            reads: Arc::new(Semaphore::new(READS_AT_ONCE)),
            lists: Arc::new(Semaphore::new(LISTS_AT_ONCE)),
            tasks: JoinSet::new(),
        }
    }

    async fn list(
        &self,
        (camera, rendition): (CameraId, Rendition),
        stretch: (Timestamp, Timestamp),
        ask: u32,
    ) -> Result<Answer, Failed> {
        let limit = LISTED_MAX as i64 + 1;
        let found = self.index.here_alone(camera, rendition, stretch, limit).await;
        let mut recordings = found.map_err(said)?;
        let more = recordings.len() > LISTED_MAX;
        recordings.truncate(LISTED_MAX);
        Ok(Answer::Text(FromGateway::Recordings { ask, recordings, more }))
    }

    async fn timeline(
        &self,
        (camera, rendition): (CameraId, Rendition),
        stretch: (Timestamp, Timestamp),
        (ask, parts): (u32, u32),
    ) -> Result<Answer, Failed> {
        let scale = Scale::new(stretch, parts).map_err(|_| NO_TIMELINE)?;
        let parts = self.index.timeline(camera, rendition, &scale, Of::HereAlone).await.map_err(said)?;
        Ok(Answer::Text(FromGateway::Timeline { ask, parts }))
    }

    async fn find(&self, camera: CameraId, recording: Hash, ask: u32) -> Result<Answer, Failed> {
        let found = self.index.undamaged(camera, recording).await.map_err(said)?;
        let recordings = found.map(|pending| pending.report).into_iter().collect();
        Ok(Answer::Text(FromGateway::Recordings { ask, recordings, more: false }))
    }

    async fn read(
        &self,
        (camera, recording): (CameraId, Hash),
        (first, last): (u64, u64),
        ask: u32,
    ) -> Result<Answer, Failed> {
        let found = self.index.undamaged(camera, recording).await.map_err(said)?;
        let pending = found.ok_or(NOT_HERE)?;
        if first > last || last >= pending.report.bytes || last - first >= PIECE_MAX {
            return Err(NO_RANGE);
        }
        let path = self.root.join(pending.path);
        let length = (last - first + 1) as usize;
        let reading = tokio::task::spawn_blocking(move || {
            let piece = piece(&path, ask, first, length);
            piece.map_err(|error| (path, error))
        });
        match reading.await {
            Ok(Ok(piece)) => Ok(Answer::Piece(piece)),
            // What retention has deleted is gone, row or not.
            Ok(Err((_, error))) if error.kind() == io::ErrorKind::NotFound => Err(NOT_HERE),
            Ok(Err((path, error))) => {
                let context = format!("{} could not be read for the cloud", path.display());
                Err(said(anyhow::Error::new(error).context(context)))
            }
            Err(error) => Err(said(error.into())),
        }
    }
}

fn said(error: anyhow::Error) -> Failed {
    warn!(error = format!("{error:#}"), "what the cloud asked of the disk was not answered");
    UNREADABLE
}

fn piece(path: &Path, ask: u32, first: u64, length: usize) -> io::Result<Bytes> {
    let file = File::open(path)?;
    let mut frame = vec![0; HEAD + length];
    frame[0] = FRAME_PIECE;
    frame[1..HEAD].copy_from_slice(&ask.to_be_bytes());
    file.read_exact_at(&mut frame[HEAD..], first)?;
    Ok(frame.into())
}

impl Answering {
    /// Begins to answer a question and returns at once; every other message is
    /// given back.
    pub(crate) fn take(&mut self, message: ToGateway) -> Option<ToGateway> {
        let asked = self.asked.clone();
        match message {
            ToGateway::List { ask, camera, rendition, from, to } => {
                self.begin(ask, self.lists.clone(), async move {
                    asked.list((camera, rendition), (from, to), ask).await
                });
            }
            ToGateway::Timeline { ask, camera, rendition, from, to, parts } => {
                self.begin(ask, self.lists.clone(), async move {
                    asked.timeline((camera, rendition), (from, to), (ask, parts)).await
                });
            }
            ToGateway::Find { ask, camera, recording } => {
                self.begin(ask, self.lists.clone(), async move { asked.find(camera, recording, ask).await });
            }
            ToGateway::Read { ask, camera, recording, first, last } => {
                self.begin(ask, self.reads.clone(), async move {
                    asked.read((camera, recording), (first, last), ask).await
                });
            }
            message => return Some(message),
        }
        None
    }

    fn begin(
        &mut self,
        ask: u32,
        turns: Arc<Semaphore>,
        work: impl Future<Output = Result<Answer, Failed>> + Send + 'static,
    ) {
        while self.tasks.try_join_next().is_some() {}
        let failed = move |reason: Failed| FromGateway::AskFailed { ask, reason: reason.to_owned() };
        if self.tasks.len() >= WAITING_MAX {
            // Never waited for: whoever asks without reading gets no answer.
            let _ = self.answers.try_send(failed(BUSY));
            return;
        }
        let (answers, pieces) = (self.answers.clone(), self.pieces.clone());
        self.tasks.spawn(async move {
            // Held until the network has it: so few are in memory.
            let Ok(_turn) = turns.acquire_owned().await else { return };
            // A queue that is gone is a link that is.
            match work.await {
                Ok(Answer::Text(answer)) => drop(answers.send(answer).await),
                Ok(Answer::Piece(piece)) => drop(pieces.send(piece).await),
                Err(reason) => drop(answers.send(failed(reason)).await),
            }
        });
    }
}
