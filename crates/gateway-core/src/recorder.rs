//! The recorder of one stream: access units in, sealed bytes out. `push` a
//! unit, then `pull` until there is nothing left. It decides when a recording
//! begins and ends; the caller stores the bytes and sends them to viewers.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use media::{AccessUnit, Chunk, Chunker, ChunkerError, TrackDescription, TrackKind};
use model::{CameraId, EpochId, GatewayId, Hash, OrgId, Rendition, Timestamp};
use seal::keys::SigningKey;
use seal::recording::{
    Algorithm, CHUNKS_MAX, Clock, Ended, Finished, Header, INDEX_ENTRIES_MAX, RecordingWriter, Track,
    TrackKind as SealedKind, WriteError, flags,
};

use crate::epoch::EpochKeys;

/// How long a new epoch waits for a key frame, so that recordings begin with one.
pub const EPOCH_WAIT_MS_MAX: u64 = 2_000;

#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// A recording closes at the first key frame after this. Default 60 s.
    pub duration_ms: u64,
    /// And here without a key frame, for cameras that send few. Default 75 s.
    pub duration_ms_max: u64,
    /// And at this size. Default 16 MiB.
    pub bytes: u64,
}

/// How long recordings are while an event is active, so that they leave the
/// site soon. They begin with any picture: readers walk back to a key frame.
pub const SHORT_MS: u64 = 2_000;

impl Default for Limits {
    fn default() -> Self {
        Limits { duration_ms: 60_000, duration_ms_max: 75_000, bytes: 16 << 20 }
    }
}

/// What stays the same for the recorder's life.
#[derive(Clone, Debug)]
pub struct Identity {
    pub org: OrgId,
    pub gateway: GatewayId,
    pub camera: CameraId,
    pub rendition: Rendition,
    pub signer: Arc<SigningKey>,
}

/// What changes with the epoch.
#[derive(Clone, Debug)]
pub struct EpochContext {
    pub epoch: EpochId,
    pub roster_head: Hash,
    pub keys: EpochKeys,
}

#[derive(Debug)]
pub enum Output {
    /// Prefix, header and signature of a new recording.
    Begun { id: Hash, started_at: Timestamp, bytes: Bytes },
    Chunk {
        number: u32,
        key_frame: bool,
        /// By the stream's own time.
        at: Timestamp,
        bytes: Bytes,
    },
    /// Index, footer and trailer: the recording is whole.
    Closed { recording: Box<Closed>, bytes: Bytes },
}

#[derive(Clone, Debug)]
pub struct Closed {
    pub header: Header,
    pub id: Hash,
    pub finished: Finished,
}

#[derive(Debug, thiserror::Error)]
pub enum RecorderError {
    #[error(transparent)]
    Chunker(#[from] ChunkerError),
    #[error(transparent)]
    Write(#[from] WriteError),
}

pub struct Recorder {
    identity: Identity,
    limits: Limits,
    epoch: EpochContext,
    /// The next recording uses this epoch; the open one ends first.
    next_epoch: Option<NextEpoch>,
    /// Of the history: the next recording's header holds it.
    checkpoint: Option<Arc<str>>,
    run: Option<Run>,
    open: Option<Open>,
    previous_root: Option<Hash>,
    /// A picture was left out: the next chunk says so.
    left_out: bool,
    is_short: bool,
    outputs: VecDeque<Output>,
}

struct NextEpoch {
    context: EpochContext,
    /// Age of the open recording when the epoch was first noticed.
    noticed_ms: Option<u64>,
}

/// One life of the RTSP connection.
struct Run {
    tracks: Vec<TrackDescription>,
    started_at: Timestamp,
    chunker: Chunker,
}

struct Open {
    writer: RecordingWriter,
    /// Ticks of each track at the recording's start, counted in the run.
    base: Vec<(u8, u32, i64)>,
    end_ms: u64,
    key_frames: usize,
}

impl Recorder {
    pub fn new(identity: Identity, limits: Limits, epoch: EpochContext) -> Self {
        Recorder {
            identity,
            limits,
            epoch,
            next_epoch: None,
            checkpoint: None,
            run: None,
            open: None,
            previous_root: None,
            left_out: false,
            is_short: false,
            outputs: VecDeque::new(),
        }
    }

    /// A connection stands and has said what it carries; tick 0 of every track
    /// is at `started_at`. What was open ends.
    pub fn begin_run(&mut self, tracks: Vec<TrackDescription>, started_at: Timestamp, ended: Ended) {
        self.close(ended);
        let chunker = Chunker::new(&tracks);
        self.run = Some(Run { tracks, started_at, chunker });
    }

    /// Takes effect at the next key frame, and after [`EPOCH_WAIT_MS_MAX`] at
    /// any picture: the open recording closes before it.
    pub fn set_epoch(&mut self, context: EpochContext) {
        self.next_epoch = Some(NextEpoch { context, noticed_ms: None });
    }

    /// Whether recordings are to be short ([`SHORT_MS`]), from the next picture on.
    pub fn set_short(&mut self, is_short: bool) {
        self.is_short = is_short;
    }

    /// The newest checkpoint of the history that this gateway has verified, of at
    /// most [`seal::recording::CHECKPOINT_BYTES_MAX`]. The open recording goes on.
    pub fn set_checkpoint(&mut self, note: Option<Arc<str>>) {
        self.checkpoint = note;
    }

    /// `salt` gives 32 random bytes for a new recording. An error concerns this
    /// unit alone: the recording goes on, and its next picture is marked.
    pub fn push(
        &mut self,
        mut unit: AccessUnit,
        salt: &mut dyn FnMut() -> [u8; 32],
    ) -> Result<(), RecorderError> {
        let Some(run) = &mut self.run else { return Ok(()) };
        let is_video = run.tracks.iter().any(|t| t.id == unit.track && t.kind == TrackKind::Video);
        if is_video {
            let (time, key_frame) = (unit.time, unit.key_frame);
            self.turn_over(unit.track, time, key_frame);
            if self.open.is_none() {
                self.begin_recording(unit.track, time, key_frame, salt());
            }
        } else if self.open.is_none() {
            // A recording begins with a picture.
            return Ok(());
        }
        unit.discontinuity |= is_video && self.left_out;
        let run = self.run.as_mut().expect("looked at above");
        let pushed = run.chunker.push(unit).map_err(RecorderError::from).and_then(|()| self.drain());
        if is_video {
            self.left_out = pushed.is_err();
        }
        pushed
    }

    pub fn pull(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    pub fn camera(&self) -> CameraId {
        self.identity.camera
    }

    pub fn rendition(&self) -> Rendition {
        self.identity.rendition
    }

    /// The open recording's id.
    pub fn open_id(&self) -> Option<Hash> {
        self.open.as_ref().map(|open| open.writer.id())
    }

    /// Ends the run, and the recording with it.
    pub fn end_run(&mut self, ended: Ended) {
        self.close(ended);
        self.run = None;
    }

    /// Forgets the open recording: what was handed out of it could not be
    /// stored. The chain begins anew. Returns the time of the last chunk that
    /// nobody pulled.
    pub fn abandon(&mut self) -> Option<Timestamp> {
        self.open = None;
        self.previous_root = None;
        let times = self.outputs.drain(..).filter_map(|output| match output {
            Output::Chunk { at, .. } => Some(at),
            _ => None,
        });
        times.max()
    }

    fn turn_over(&mut self, track: u8, time: i64, key_frame: bool) {
        let Some(open) = &self.open else { return };
        let age_ms = open.ms_since_start(track, time);
        let new_epoch = self.next_epoch.as_mut().is_some_and(|next| {
            let noticed_ms = *next.noticed_ms.get_or_insert(age_ms);
            key_frame || age_ms.saturating_sub(noticed_ms) >= EPOCH_WAIT_MS_MAX
        });
        let ended = if new_epoch {
            Ended::Epoch
        } else if (key_frame && age_ms >= self.limits.duration_ms)
            || age_ms >= self.limits.duration_ms_max
            || open.writer.file_bytes() >= self.limits.bytes
            || self.is_short && (age_ms >= SHORT_MS || key_frame && age_ms >= SHORT_MS / 2)
            || open.is_crowded()
        {
            Ended::Closed
        } else {
            return;
        };
        self.close(ended);
    }

    fn begin_recording(&mut self, track: u8, time: i64, key_frame: bool, salt: [u8; 32]) {
        if let Some(next) = self.next_epoch.take() {
            self.epoch = next.context;
        }
        let run = self.run.as_ref().expect("recordings begin within a run");
        let timescale_of = |id: u8| run.tracks.iter().find(|t| t.id == id).map_or(1, |t| t.timescale);
        let timescale = i128::from(timescale_of(track));
        let base = run
            .tracks
            .iter()
            .map(|t| (t.id, t.timescale, (i128::from(time) * i128::from(t.timescale) / timescale) as i64))
            .collect();
        let offset_ms = (i128::from(time) * 1_000 / timescale).max(0) as u64;
        let beginning = Beginning {
            checkpoint: self.checkpoint.as_deref(),
            started_at: run.started_at.plus_ms(offset_ms),
            starts_with_key_frame: key_frame,
            tracks: run.tracks.iter().map(sealed_track).collect(),
            salt,
        };
        let (writer, begun) = beginning.of(&self.identity, &self.epoch);
        self.outputs.push_back(begun);
        self.open = Some(Open { writer, base, end_ms: 0, key_frames: 0 });
    }

    fn drain(&mut self) -> Result<(), RecorderError> {
        let (Some(run), Some(open)) = (&mut self.run, &mut self.open) else { return Ok(()) };
        while let Some(chunk) = run.chunker.pull() {
            self.outputs.push_back(open.seal(&chunk)?);
        }
        Ok(())
    }

    fn close(&mut self, ended: Ended) {
        if let Some(run) = &mut self.run {
            run.chunker.flush();
        }
        // The last batch of sound is worth less than the recording's end.
        let _ = self.drain();
        let Some(open) = self.open.take() else { return };
        let header = open.writer.header().clone();
        let id = open.writer.id();
        let mut bytes = Vec::new();
        let finished =
            open.writer.finish(ended, open.end_ms, self.previous_root, &self.identity.signer, &mut bytes);
        self.previous_root = Some(finished.footer.root);
        let recording = Box::new(Closed { header, id, finished });
        self.outputs.push_back(Output::Closed { recording, bytes: bytes.into() });
    }
}

/// What differs between the recordings of a stream.
pub(crate) struct Beginning<'a> {
    pub(crate) checkpoint: Option<&'a str>,
    pub(crate) started_at: Timestamp,
    pub(crate) starts_with_key_frame: bool,
    pub(crate) tracks: Vec<Track>,
    pub(crate) salt: [u8; 32],
}

impl Beginning<'_> {
    pub(crate) fn of(self, identity: &Identity, context: &EpochContext) -> (RecordingWriter, Output) {
        let EpochContext { epoch, roster_head, ref keys } = *context;
        let Identity { org, gateway, camera, rendition, ref signer } = *identity;
        let header = Header {
            algorithm: Algorithm::A256GCM,
            org,
            camera,
            rendition,
            gateway,
            epoch,
            commitment_video: keys.video.commitment(),
            commitment_audio: keys.audio.commitment(),
            salt: self.salt.into(),
            roster_head,
            checkpoint: self.checkpoint.map(str::to_owned),
            started_at: self.started_at,
            clock: Clock::Unknown,
            starts_with_key_frame: self.starts_with_key_frame,
            tracks: self.tracks,
        };
        let mut bytes = Vec::with_capacity(2_048);
        let writer = RecordingWriter::begin(header, &keys.video, &keys.audio, signer, &mut bytes);
        let begun = Output::Begun { id: writer.id(), started_at: self.started_at, bytes: bytes.into() };
        (writer, begun)
    }
}

impl Open {
    /// Half of the chunks or key frames that a recording can have are there: a
    /// camera that sends thousands of pictures in a second.
    fn is_crowded(&self) -> bool {
        self.writer.chunks() >= CHUNKS_MAX / 2 || self.key_frames >= INDEX_ENTRIES_MAX / 2
    }

    fn ms_since_start(&self, track: u8, time: i64) -> u64 {
        let Some((_, timescale, base)) = self.base.iter().find(|(id, ..)| *id == track) else { return 0 };
        ((time - base).max(0) as u64).saturating_mul(1_000) / u64::from(*timescale)
    }

    fn seal(&mut self, chunk: &Chunk) -> Result<Output, WriteError> {
        let base = self.base.iter().find(|(id, ..)| *id == chunk.track).map_or(0, |(.., base)| *base);
        // Sound that was captured a little before the first picture counts as time 0.
        let time = u32::try_from((chunk.time - base).max(0)).map_err(|_| WriteError::Full)?;
        let key_frame = if chunk.key_frame { flags::KEY_FRAME } else { 0 };
        let discontinuity = if chunk.discontinuity { flags::DISCONTINUITY } else { 0 };
        let mut bytes = Vec::new();
        let parts = chunk.plaintext.parts();
        let number = self.writer.seal(chunk.track, key_frame | discontinuity, time, &parts, &mut bytes)?;
        let ms = self.ms_since_start(chunk.track, chunk.time);
        self.end_ms = self.end_ms.max(ms);
        self.key_frames += usize::from(chunk.key_frame);
        let at = self.writer.header().started_at.plus_ms(ms);
        Ok(Output::Chunk { number, key_frame: chunk.key_frame, at, bytes: bytes.into() })
    }
}

fn sealed_track(track: &TrackDescription) -> Track {
    Track {
        id: track.id,
        kind: match track.kind {
            TrackKind::Video => SealedKind::Video,
            TrackKind::Audio => SealedKind::Audio,
        },
        codec: track.codec.clone(),
        timescale: track.timescale,
        description: track.description.as_ref().map(|bytes| bytes.to_vec().into()),
        width: track.width,
        height: track.height,
        sample_rate: track.sample_rate,
        channels: track.channels,
    }
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder")
            .field("camera", &self.identity.camera)
            .field("rendition", &self.identity.rendition)
            .field("open", &self.open_id())
            .finish_non_exhaustive()
    }
}
