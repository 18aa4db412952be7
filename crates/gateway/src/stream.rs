//! One stream of one camera: connect, record, lose, wait, connect again. A
//! stream has a task of its own; what goes wrong in it stays in it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gateway_core::health::{self, Frozen, Machine};
use gateway_core::outage::Outage;
use gateway_core::recorder::{EpochContext, Identity, Limits, Output, Recorder};
use gateway_core::trouble::Condition;
use media::{Codec, TrackDescription, TrackKind};
use model::wire::{Gap, GapReason, StreamState, StreamStatus};
use model::{CameraAccess, Timestamp};
use seal::event::Event;
use seal::recording::Ended;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::cloud::Cloud;
use crate::disk::{Disk, DiskError, OpenRecording};
use crate::events::{EventsTask, Tellers, Tells};
use crate::index::{Index, insist};
use crate::recover::RECORDINGS;
use crate::rtsp::{self, Backoff, RtspSource, SourceError, SourceEvent};
use crate::viewers::{Viewers, Watch};
use crate::{clock, random};

const ORDERS_QUEUE: usize = 64;

/// What the supervisor tells a stream.
#[derive(Debug)]
pub(crate) enum Order {
    Epoch(EpochContext),
    Watch {
        watch: Watch,
        frames: mpsc::Sender<Bytes>,
    },
    Unwatch {
        stream: u32,
    },
    /// Recordings are short until then.
    Short {
        until: Instant,
    },
    /// Into the track of events, of trouble that somebody else noticed.
    Keep(Event),
}

/// A stream as the local way sees it: how it is, and its live frames.
#[derive(Clone, Debug)]
pub(crate) struct Outlet {
    orders: mpsc::Sender<Order>,
    status: watch::Receiver<StreamStatus>,
    condition: watch::Receiver<Condition>,
    is_listed: bool,
}

impl Outlet {
    pub(crate) fn status(&self) -> StreamStatus {
        self.status.borrow().clone()
    }

    pub(crate) fn condition(&self) -> Condition {
        *self.condition.borrow()
    }

    /// As [`Stream::is_listed`].
    pub(crate) fn is_listed(&self) -> bool {
        self.is_listed
    }

    /// False if the stream takes no orders now; it is never waited for.
    pub(crate) fn keep(&self, event: Event) -> bool {
        self.orders.try_send(Order::Keep(event)).is_ok()
    }

    /// False if the stream takes no orders now; it is never waited for.
    pub(crate) fn watch(&self, frames: mpsc::Sender<Bytes>) -> bool {
        self.orders.try_send(Order::Watch { watch: Watch::Local, frames }).is_ok()
    }
}

#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) identity: Identity,
    pub(crate) access: CameraAccess,
    pub(crate) epoch: EpochContext,
    pub(crate) limits: Limits,
    pub(crate) cloud: watch::Receiver<Option<Cloud>>,
    /// Of the history, for the headers of recordings.
    pub(crate) checkpoint: watch::Receiver<Option<Arc<str>>>,
    /// Where the last run's recordings of this stream end.
    pub(crate) recorded_until: Option<Timestamp>,
    /// Not all that lies there could be read.
    pub(crate) is_in_the_dark: bool,
    /// Recordings are short until then.
    pub(crate) short_until: Option<Instant>,
}

#[derive(Debug)]
pub(crate) struct Stream {
    orders: mpsc::Sender<Order>,
    pub(crate) status: watch::Receiver<StreamStatus>,
    condition: watch::Receiver<Condition>,
    /// People are shown how it is. A track of events that holds what the gateway
    /// notices, and nothing that a camera tells, is always well.
    pub(crate) is_listed: bool,
    cancel: CancellationToken,
    task: JoinHandle<Option<Timestamp>>,
}

impl Stream {
    pub(crate) fn start(settings: Settings, disk: Disk, gaps: mpsc::Sender<Gap>) -> Self {
        let (orders, order_receiver) = mpsc::channel(ORDERS_QUEUE);
        let (status_sender, status) = watch::channel(connecting(&settings.identity));
        let (condition_sender, condition) = watch::channel(Condition::Missing(GapReason::CameraUnreachable));
        let cancel = CancellationToken::new();
        let Identity { camera, rendition, .. } = settings.identity;
        let outage = match settings.recorded_until {
            None if settings.is_in_the_dark => {
                Outage::after_start_in_the_dark(camera, rendition, clock::now())
            }
            until => Outage::after_start(camera, rendition, until, clock::now()),
        };
        let task = StreamTask {
            access: settings.access,
            recorder: Recorder::new(settings.identity.clone(), settings.limits, settings.epoch),
            identity: settings.identity,
            disk,
            gaps,
            untold: VecDeque::new(),
            orders: order_receiver,
            status: status_sender,
            condition: condition_sender,
            cancel: cancel.clone(),
            viewers: Viewers::default(),
            cloud: settings.cloud,
            checkpoint: settings.checkpoint,
            began: Instant::now(),
            frozen: Frozen::default(),
            is_h265: false,
            file: None,
            outage,
            short_until: settings.short_until,
            bytes: 0,
        };
        Stream { orders, status, condition, is_listed: true, cancel, task: tokio::spawn(task.run()) }
    }

    /// Of what the camera says that it saw, and others of it.
    pub(crate) fn of_events(
        settings: Settings,
        tellers: Tellers,
        disk: Disk,
        gaps: mpsc::Sender<Gap>,
        tells: Tells,
    ) -> Self {
        let (orders, order_receiver) = mpsc::channel(ORDERS_QUEUE);
        let (status_sender, status) = watch::channel(connecting(&settings.identity));
        let (_, condition) = watch::channel(Condition::Recorded { is_frozen: false });
        let is_listed = tellers.sources().next().is_some();
        let cancel = CancellationToken::new();
        let task = EventsTask::new(
            settings,
            tellers,
            (disk, gaps, tells),
            (order_receiver, status_sender),
            cancel.clone(),
        );
        let task = tokio::spawn(async move {
            Box::pin(task.run()).await;
            // Silence is no gap, so where events end says nothing.
            None
        });
        Stream { orders, status, condition, is_listed, cancel, task }
    }

    pub(crate) fn outlet(&self) -> Outlet {
        let Stream { orders, status, condition, is_listed, .. } = self;
        let (orders, status, condition) = (orders.clone(), status.clone(), condition.clone());
        Outlet { orders, status, condition, is_listed: *is_listed }
    }

    /// A stream that takes no orders hangs on the disk; it will end with an error.
    pub(crate) async fn order(&self, order: Order) {
        let _ = self.orders.send(order).await;
    }

    /// Its task has ended, and nobody told it to: it panicked.
    pub(crate) fn is_over(&self) -> bool {
        self.task.is_finished()
    }

    /// Ends the recording and the task. Returns until when it recorded, which the
    /// index may not know yet.
    pub(crate) async fn stop(self) -> Option<Timestamp> {
        self.cancel.cancel();
        self.task.await.ok().flatten()
    }
}

struct StreamTask {
    identity: Identity,
    access: CameraAccess,
    recorder: Recorder,
    disk: Disk,
    gaps: mpsc::Sender<Gap>,
    /// That found no room yet.
    untold: VecDeque<Gap>,
    orders: mpsc::Receiver<Order>,
    status: watch::Sender<StreamStatus>,
    /// For those who tell people of trouble.
    condition: watch::Sender<Condition>,
    cancel: CancellationToken,
    viewers: Viewers,
    cloud: watch::Receiver<Option<Cloud>>,
    checkpoint: watch::Receiver<Option<Arc<str>>>,
    began: Instant,
    frozen: Frozen,
    is_h265: bool,
    file: Option<OpenRecording>,
    outage: Outage,
    short_until: Option<Instant>,
    /// Sealed since the last look.
    bytes: u64,
}

/// Why a run is over.
enum RunEnd {
    Cancelled,
    Lost(SourceError),
    Disk,
}

impl StreamTask {
    async fn run(mut self) -> Option<Timestamp> {
        let limits = rtsp::Limits::default();
        let mut backoff = Backoff::new();
        loop {
            self.set_state(StreamState::Connecting, None);
            let began = Instant::now();
            let (end, good_for) = match self.connect(&limits).await {
                None => (RunEnd::Cancelled, Duration::ZERO),
                Some(Err(error)) => (RunEnd::Lost(error), Duration::ZERO),
                Some(Ok(source)) => (self.record(source).await, began.elapsed()),
            };
            let words = match end {
                RunEnd::Cancelled => break,
                RunEnd::Lost(error) => {
                    self.outage.lost(error.gap_reason(), clock::now());
                    self.condition.send_replace(Condition::Missing(error.gap_reason()));
                    error.to_string()
                }
                RunEnd::Disk => {
                    self.condition.send_replace(Condition::Missing(GapReason::DiskFull));
                    DiskError.to_string()
                }
            };
            // Once for each outage and reason, not for each try.
            if self.status.borrow().reason.as_ref() != Some(&words) {
                warn!(camera = %self.identity.camera, rendition = %self.identity.rendition, reason = words, "no picture");
            }
            self.set_state(StreamState::Failed, Some(words));
            let [jitter] = random::bytes();
            if self.wait(backoff.after_failure(good_for, jitter)).await.is_none() {
                break;
            }
        }
        self.recorder.end_run(Ended::Stopped);
        // The disk's own error is all there is to say, and it was said.
        let _ = self.store().await;
        self.untold.extend(self.outage.until(clock::now()));
        for gap in std::mem::take(&mut self.untold) {
            // The receiver outlives the streams.
            let _ = self.gaps.send(gap).await;
        }
        self.outage.recorded_until()
    }

    /// `None`: the stream was told to end.
    async fn connect(&mut self, limits: &rtsp::Limits) -> Option<Result<RtspSource, SourceError>> {
        let cancel = self.cancel.clone();
        let access = self.access.clone();
        let connecting = RtspSource::connect_any(&access, self.identity.rendition, limits);
        let mut connecting = Box::pin(connecting);
        loop {
            tokio::select! {
                () = cancel.cancelled() => return None,
                connected = &mut connecting => return Some(connected),
                order = self.orders.recv() => self.take_order(order?),
            }
        }
    }

    /// `None`: the stream was told to end.
    async fn wait(&mut self, delay: Duration) -> Option<()> {
        let cancel = self.cancel.clone();
        let until = Instant::now() + delay;
        loop {
            tokio::select! {
                () = cancel.cancelled() => return None,
                () = tokio::time::sleep_until(until) => break,
                order = self.orders.recv() => self.take_order(order?),
            }
        }
        let gaps = self.outage.goes_on(clock::now());
        self.report(gaps);
        Some(())
    }

    async fn record(&mut self, mut source: RtspSource) -> RunEnd {
        let cancel = self.cancel.clone();
        let mut second = tokio::time::interval(Duration::from_secs(1));
        second.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.bytes = 0;
        let mut started_at = Timestamp(0);
        let mut end = loop {
            let event = tokio::select! {
                biased;
                () = cancel.cancelled() => break RunEnd::Cancelled,
                Some(order) = self.orders.recv() => {
                    self.take_order(order);
                    continue;
                }
                event = source.next() => event,
                _ = second.tick() => {
                    self.tell_rate();
                    self.tell_concern();
                    self.shorten();
                    self.report(Vec::new());
                    self.recorder.set_checkpoint(self.checkpoint.borrow().clone());
                    continue;
                }
            };
            match event {
                SourceEvent::Described { tracks, started_at: at } => {
                    started_at = at;
                    self.outage.tried(at);
                    self.describe(&tracks);
                    self.frozen = Frozen::default();
                    self.recorder.set_checkpoint(self.checkpoint.borrow().clone());
                    self.recorder.begin_run(tracks, at, Ended::Lost);
                }
                SourceEvent::ParametersChanged(tracks) => {
                    self.describe(&tracks);
                    self.recorder.begin_run(tracks, started_at, Ended::Parameters);
                }
                SourceEvent::AccessUnit(unit) => {
                    if unit.key_frame {
                        let ms = self.began.elapsed().as_millis() as u64;
                        self.frozen.key_frame(self.is_h265, &unit.data, ms);
                    }
                    if let Err(error) = self.recorder.push(unit, &mut random::bytes) {
                        // This unit alone is lost; the next one says so.
                        debug!(camera = %self.identity.camera, %error, "an access unit was left out");
                    }
                }
                SourceEvent::Lost(error) => break RunEnd::Lost(error),
            }
            if self.store().await.is_err() {
                break RunEnd::Disk;
            }
        };
        match end {
            RunEnd::Disk => {
                self.abandon();
                self.recorder.end_run(Ended::Lost);
            }
            RunEnd::Lost(_) => {
                self.recorder.end_run(Ended::Lost);
                if self.store().await.is_err() {
                    self.abandon();
                    end = RunEnd::Disk;
                }
            }
            // The caller ends the run.
            RunEnd::Cancelled => {}
        }
        self.viewers.lost();
        end
    }

    /// The disk did not take what was sealed.
    fn abandon(&mut self) {
        let unflushed_ms = self.disk.unflushed_ms(self.file.take().as_ref());
        if let Some(at) = self.recorder.abandon() {
            self.outage.recorded(at);
        }
        self.outage.lost_on_disk(unflushed_ms, clock::now());
    }

    /// Hands on what the recorder has sealed: to viewers, then to the disk.
    async fn store(&mut self) -> Result<(), DiskError> {
        while let Some(output) = self.recorder.pull() {
            match output {
                Output::Begun { id, started_at, bytes } => {
                    self.viewers.header(bytes.clone());
                    self.bytes += bytes.len() as u64;
                    self.file = Some(
                        self.disk.open(folder(&self.identity, started_at), (started_at, id), bytes).await?,
                    );
                    self.picture_is_back(started_at);
                }
                Output::Chunk { number, key_frame, at, bytes } => {
                    self.viewers.chunk(number, key_frame, bytes.clone());
                    self.bytes += bytes.len() as u64;
                    self.outage.recorded(at);
                    self.file.as_ref().ok_or(DiskError)?.append(bytes).await?;
                }
                Output::Closed { recording, bytes } => {
                    self.file.take().ok_or(DiskError)?.close(bytes, recording).await?;
                }
            }
        }
        Ok(())
    }

    fn take_order(&mut self, order: Order) {
        match order {
            Order::Epoch(context) => self.recorder.set_epoch(context),
            Order::Watch { watch, frames } => self.viewers.add(watch, frames),
            Order::Unwatch { stream } => self.viewers.remove(stream),
            Order::Short { until } => {
                self.short_until = Some(until);
                self.shorten();
            }
            // Pictures alone are kept here.
            Order::Keep(_) => {}
        }
    }

    fn shorten(&mut self) {
        let is_short = self.short_until.is_some_and(|until| until > Instant::now());
        self.recorder.set_short(is_short);
        if !is_short {
            self.short_until = None;
        }
    }

    fn picture_is_back(&mut self, started_at: Timestamp) {
        let gaps = self.outage.back(started_at);
        self.report(gaps);
        self.condition.send_replace(Condition::Recorded { is_frozen: false });
        if self.status.borrow().state != StreamState::Recording {
            info!(camera = %self.identity.camera, rendition = %self.identity.rendition, "recording");
            self.set_state(StreamState::Recording, None);
        }
    }

    /// Gaps that find no room, since the index takes nothing, are told later:
    /// recording waits for none of them.
    fn report(&mut self, gaps: Vec<Gap>) {
        self.untold.extend(gaps);
        while let Some(gap) = self.untold.pop_front() {
            if let Err(TrySendError::Full(gap)) = self.gaps.try_send(gap) {
                self.untold.push_front(gap);
                return;
            }
        }
    }

    fn set_state(&self, state: StreamState, reason: Option<String>) {
        self.status.send_modify(|status| {
            if status.state != state {
                status.since = clock::now();
            }
            status.state = state;
            // While we try again, the last failure is still the news.
            if state != StreamState::Connecting {
                status.reason = reason;
            }
            if state != StreamState::Recording {
                status.bits_per_second = 0;
            }
        });
    }

    fn describe(&mut self, tracks: &[TrackDescription]) {
        let codec =
            tracks.iter().find(|track| track.kind == TrackKind::Video).and_then(|t| Codec::of(&t.codec));
        self.is_h265 = codec == Some(Codec::H265);
        self.status.send_modify(|status| {
            let video = tracks.iter().find(|track| track.kind == TrackKind::Video);
            status.codec = video.map(|track| track.codec.clone());
            status.width = video.map_or(0, |track| track.width);
            status.height = video.map_or(0, |track| track.height);
            status.has_audio = tracks.iter().any(|track| track.kind == TrackKind::Audio);
        });
    }

    /// What looks healthy and is not.
    fn tell_concern(&self) {
        let machine = Machine {
            unflushed_ms: self.disk.unflushed_ms(None),
            ahead_ms: self.cloud.borrow().as_ref().and_then(Cloud::ahead_ms),
        };
        let frozen_ms = self.frozen.for_ms(self.began.elapsed().as_millis() as u64);
        let concern = health::concern(machine, frozen_ms);
        self.condition.send_if_modified(|condition| {
            let seen = Condition::Recorded { is_frozen: frozen_ms.is_some() };
            let is_news = matches!(condition, Condition::Recorded { .. }) && *condition != seen;
            if is_news {
                *condition = seen;
            }
            is_news
        });
        if self.status.borrow().state == StreamState::Recording && self.status.borrow().reason != concern {
            if let Some(concern) = &concern {
                warn!(camera = %self.identity.camera, rendition = %self.identity.rendition, concern);
            }
            self.status.send_modify(|status| status.reason = concern);
        }
    }

    /// A mean over some seconds: key frames make every second different.
    fn tell_rate(&mut self) {
        let bits = std::mem::take(&mut self.bytes) * 8;
        self.status.send_if_modified(|status| {
            let before = status.bits_per_second;
            status.bits_per_second = if before == 0 { bits } else { (before * 3 + bits) / 4 };
            false
        });
    }
}

fn connecting(identity: &Identity) -> StreamStatus {
    StreamStatus {
        camera: identity.camera,
        rendition: identity.rendition,
        state: StreamState::Connecting,
        since: clock::now(),
        reason: None,
        bits_per_second: 0,
        codec: None,
        width: 0,
        height: 0,
        has_audio: false,
    }
}

/// Where a recording lies, below the data folder.
pub(crate) fn folder(identity: &Identity, started_at: Timestamp) -> String {
    let (year, month, day) = started_at.utc_date();
    let Identity { camera, rendition, .. } = identity;
    format!("{RECORDINGS}/{camera}/{rendition}/{year:04}-{month:02}-{day:02}")
}

/// The channel on which streams report their gaps.
pub(crate) fn gap_channel() -> (mpsc::Sender<Gap>, mpsc::Receiver<Gap>) {
    mpsc::channel(1_024)
}

/// Writes gaps into the index until all streams are gone. A full disk is the
/// likeliest reason of a gap, so one that cannot be written waits.
pub(crate) async fn keep_gaps(index: Index, mut gaps: mpsc::Receiver<Gap>, cancel: CancellationToken) {
    while let Some(gap) = gaps.recv().await {
        insist("a gap", &cancel, || index.add_gap(&gap)).await;
    }
}
