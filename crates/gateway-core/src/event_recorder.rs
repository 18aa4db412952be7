//! The recorder of one camera's events: batches in, sealed recordings out, as
//! the recorder of pictures does it. Recordings close soon, so that an event
//! leaves the site while it is news; where there is much of it, later.

use std::collections::VecDeque;
use std::sync::Arc;

use model::{Hash, Timestamp};
use seal::event::Batch;
use seal::recording::{Ended, RecordingWriter, WriteError, flags};

use crate::events::Now;
use crate::recorder::{Beginning, Closed, EpochContext, Identity, Output};

/// A recording of events closes this long after its first one.
pub const QUICK_MS: u64 = 2_000;
/// So many in [`QUICK_SPAN_MS`]; each further one closes after [`SLOW_MS`].
pub const QUICK_MAX: usize = 10;
pub const QUICK_SPAN_MS: u64 = 10 * Timestamp::MINUTE;
pub const SLOW_MS: u64 = Timestamp::MINUTE;

pub struct EventRecorder {
    identity: Identity,
    epoch: EpochContext,
    /// Of the history: the next recording's header holds it.
    checkpoint: Option<Arc<str>>,
    open: Option<Open>,
    previous_root: Option<Hash>,
    /// When the quick ones of the last span were begun.
    quick: VecDeque<u64>,
    outputs: VecDeque<Output>,
}

struct Open {
    writer: RecordingWriter,
    began_ms: u64,
    closes_ms: u64,
    end_ms: u64,
}

impl EventRecorder {
    pub fn new(identity: Identity, epoch: EpochContext) -> Self {
        EventRecorder {
            identity,
            epoch,
            checkpoint: None,
            open: None,
            previous_root: None,
            quick: VecDeque::new(),
            outputs: VecDeque::new(),
        }
    }

    /// The open recording ends.
    pub fn set_epoch(&mut self, context: EpochContext) {
        self.close(Ended::Epoch);
        self.epoch = context;
    }

    /// As [`crate::recorder::Recorder::set_checkpoint`].
    pub fn set_checkpoint(&mut self, note: Option<Arc<str>>) {
        self.checkpoint = note;
    }

    /// `salt` gives 32 random bytes for a new recording.
    pub fn push(
        &mut self,
        batch: &Batch,
        now: Now,
        salt: &mut dyn FnMut() -> [u8; 32],
    ) -> Result<(), WriteError> {
        self.tick(now);
        let open = match &mut self.open {
            Some(open) => open,
            None => self.begin(now, salt()),
        };
        let ms = now.ms.saturating_sub(open.began_ms);
        let time = u32::try_from(ms).map_err(|_| WriteError::Full)?;
        let mut bytes = Vec::new();
        let number = open.writer.seal(0, flags::KEY_FRAME, time, &[&batch.encode()], &mut bytes)?;
        open.end_ms = ms;
        let at = open.writer.header().started_at.plus_ms(ms);
        self.outputs.push_back(Output::Chunk { number, key_frame: true, at, bytes: bytes.into() });
        Ok(())
    }

    /// Closes the open recording if it is time.
    pub fn tick(&mut self, now: Now) {
        if self.open.as_ref().is_some_and(|open| now.ms >= open.closes_ms) {
            self.close(Ended::Closed);
        }
    }

    pub fn pull(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    pub fn close(&mut self, ended: Ended) {
        let Some(open) = self.open.take() else { return };
        let (header, id) = (open.writer.header().clone(), open.writer.id());
        let mut bytes = Vec::new();
        let signer = &self.identity.signer;
        let finished = open.writer.finish(ended, open.end_ms, self.previous_root, signer, &mut bytes);
        self.previous_root = Some(finished.footer.root);
        let recording = Box::new(Closed { header, id, finished });
        self.outputs.push_back(Output::Closed { recording, bytes: bytes.into() });
    }

    /// As [`crate::recorder::Recorder::abandon`].
    pub fn abandon(&mut self) {
        self.open = None;
        self.previous_root = None;
        self.outputs.clear();
    }

    fn begin(&mut self, now: Now, salt: [u8; 32]) -> &mut Open {
        while self.quick.front().is_some_and(|&began| now.ms.saturating_sub(began) >= QUICK_SPAN_MS) {
            self.quick.pop_front();
        }
        let is_quick = self.quick.len() < QUICK_MAX;
        if is_quick {
            self.quick.push_back(now.ms);
        }
        let beginning = Beginning {
            checkpoint: self.checkpoint.as_deref(),
            started_at: now.at,
            starts_with_key_frame: true,
            tracks: vec![seal::event::track()],
            salt,
        };
        let (writer, begun) = beginning.of(&self.identity, &self.epoch);
        self.outputs.push_back(begun);
        let closes_ms = now.ms + if is_quick { QUICK_MS } else { SLOW_MS };
        self.open.insert(Open { writer, began_ms: now.ms, closes_ms, end_ms: 0 })
    }
}

impl std::fmt::Debug for EventRecorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventRecorder").field("camera", &self.identity.camera).finish_non_exhaustive()
    }
}
