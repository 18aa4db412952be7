//! What one camera says that it saw: asked for, thinned out, sealed and kept.
//! Beside the camera's pictures and apart from them: a camera whose event
//! service is broken records as any other.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use gateway_core::event_recorder::EventRecorder;
use gateway_core::events::{Events, Now};
use gateway_core::outage::GAP_MS_MIN;
use gateway_core::recorder::{Identity, Output};
use model::wire::{Gap, GapReason, StreamState, StreamStatus};
use model::{CameraAccess, CameraEvent, CameraId, EventId, EventPhase, OnvifUrl, Timestamp};
use seal::event::{Batch, Event};
use seal::recording::Ended;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, info, warn};

use crate::disk::{Disk, DiskError, OpenRecording};
use crate::notices::Told;
use crate::onvif::{Limits, OnvifAccess, OnvifError, Subscription};
use crate::outward::Outward;
use crate::rtsp::Backoff;
use crate::stream::{Order, Settings, folder};
use crate::viewers::Viewers;
use crate::{clock, random};

/// What a camera said that waits to be written.
const HEARD_QUEUE: usize = 16;
/// An event is told for so long at a time, and again while it goes on.
const GOES_ON: Duration = Duration::from_secs(30);
/// And one without length is told for so long: what comes after it belongs to it.
const AFTERWARDS: Duration = Duration::from_secs(10);
/// Before a user name and password that the camera refused are tried again:
/// cameras lock a user out after some failures.
const REFUSED: Duration = Duration::from_secs(300);
/// For giving the camera its subscription back.
const GOODBYE: Duration = Duration::from_secs(1);
/// How often it is told how many events were left out.
const COUNTED_EVERY: Duration = Duration::from_secs(60);
/// Gaps that find no room are told later, so many at most.
const UNTOLD_MAX: usize = 64;

/// Something happens at a camera: what it records meanwhile is of an event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Happening {
    pub(crate) camera: CameraId,
    pub(crate) seconds: u32,
}

/// Who is told that something happens.
#[derive(Clone, Debug)]
pub(crate) struct Tells {
    /// The supervisor: pictures of that time are of an event.
    pub(crate) happening: mpsc::Sender<Happening>,
    /// Those who tell people.
    pub(crate) told: mpsc::Sender<Told>,
    /// Other systems on site.
    pub(crate) outward: Outward,
}

/// What the one who listens tells the one who writes.
enum Heard {
    Listening,
    Said(Vec<CameraEvent>),
    Lost(OnvifError),
}

pub(crate) struct EventsTask {
    identity: Identity,
    access: OnvifAccess,
    recorder: EventRecorder,
    events: Events,
    disk: Disk,
    gaps: mpsc::Sender<Gap>,
    /// That found no room yet.
    untold: Vec<Gap>,
    tells: Tells,
    orders: mpsc::Receiver<Order>,
    status: watch::Sender<StreamStatus>,
    cancel: CancellationToken,
    viewers: Viewers,
    checkpoint: watch::Receiver<Option<Arc<str>>>,
    began: Instant,
    file: Option<OpenRecording>,
    /// Since when nothing is heard or kept, and why.
    deaf: Option<(Timestamp, GapReason)>,
    /// When what goes on began.
    going_on: BTreeMap<EventId, Timestamp>,
    /// When what goes on is told again.
    tell_again: Option<Instant>,
    /// When it was told last how many events were left out.
    counted: Instant,
}

/// How the camera's event service is asked.
pub(crate) fn access(url: &OnvifUrl, access: &CameraAccess) -> OnvifAccess {
    OnvifAccess {
        url: url.as_url().clone(),
        username: access.username.clone(),
        password: access.password.clone(),
        certificate: access.certificate,
    }
}

impl EventsTask {
    pub(crate) fn new(
        settings: Settings,
        url: &OnvifUrl,
        (disk, gaps, tells): (Disk, mpsc::Sender<Gap>, Tells),
        (orders, status): (mpsc::Receiver<Order>, watch::Sender<StreamStatus>),
        cancel: CancellationToken,
    ) -> Self {
        EventsTask {
            access: access(url, &settings.access),
            recorder: EventRecorder::new(settings.identity.clone(), settings.epoch),
            identity: settings.identity,
            events: Events::default(),
            disk,
            gaps,
            untold: Vec::new(),
            tells,
            orders,
            status,
            cancel,
            viewers: Viewers::default(),
            checkpoint: settings.checkpoint,
            began: Instant::now(),
            file: None,
            deaf: Some((clock::now(), GapReason::CameraUnreachable)),
            going_on: BTreeMap::new(),
            tell_again: None,
            counted: Instant::now(),
        }
    }

    /// Returns once it is told to end and what it has is on its way to the disk.
    pub(crate) async fn run(mut self) {
        let (said, mut heard) = mpsc::channel(HEARD_QUEUE);
        let cancel = self.cancel.clone();
        let span = tracing::info_span!("events", camera = %self.identity.camera);
        let listening = listen(self.access.clone(), said, cancel.clone()).instrument(span);
        let listening = tokio::spawn(listening);
        let mut second = tokio::time::interval(Duration::from_secs(1));
        second.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = cancel.cancelled() => break,
                order = self.orders.recv() => match order {
                    Some(order) => self.take_order(order),
                    None => break,
                },
                Some(heard) = heard.recv() => self.hear(heard),
                _ = second.tick() => self.tick(),
            }
            self.store().await;
        }
        // Nobody takes what is still said.
        drop(heard);
        let ended = self.events.lost(self.now());
        self.keep(ended);
        self.recorder.close(Ended::Stopped);
        self.store().await;
        self.hears_again();
        for gap in std::mem::take(&mut self.untold) {
            // The receiver outlives the streams.
            let _ = self.gaps.send(gap).await;
        }
        // It says goodbye to the camera, and the supervisor waits for this.
        let _ = timeout(GOODBYE, listening).await;
    }

    fn now(&self) -> Now {
        Now { ms: self.began.elapsed().as_millis() as u64, at: clock::now() }
    }

    fn hear(&mut self, heard: Heard) {
        match heard {
            Heard::Listening => {
                info!(camera = %self.identity.camera, "listening for events");
                self.hears_again();
                self.set_state(StreamState::Recording, None);
            }
            Heard::Said(said) => {
                let now = self.now();
                let kept = self.events.told(said, now, &mut || EventId::from_random(random::bytes()));
                self.keep(kept);
            }
            Heard::Lost(error) => {
                let words = error.to_string();
                // Once for each outage and reason, not for each try.
                if self.status.borrow().reason.as_ref() != Some(&words) {
                    warn!(camera = %self.identity.camera, reason = words, "no events");
                }
                self.deaf.get_or_insert((clock::now(), gap_reason(&error)));
                let ended = self.events.lost(self.now());
                self.keep(ended);
                self.set_state(StreamState::Failed, Some(words));
            }
        }
    }

    fn tick(&mut self) {
        let now = self.now();
        let ended = self.events.tick(now);
        self.keep(ended);
        self.tell_left_out();
        self.tell_concern();
        self.recorder.set_checkpoint(self.checkpoint.borrow().clone());
        self.recorder.tick(now);
        if !self.events.is_active() {
            self.tell_again = None;
        } else if self.tell_again.is_some_and(|at| at <= Instant::now()) {
            self.tell(GOES_ON);
        }
        self.report();
    }

    fn keep(&mut self, events: Vec<Event>) {
        if events.is_empty() {
            return;
        }
        match events.iter().map(|event| event.phase).find(|phase| *phase != EventPhase::Ended) {
            Some(EventPhase::Began) => self.tell(GOES_ON),
            Some(_) if self.tell_again.is_none() => self.tell(AFTERWARDS),
            _ => {}
        }
        let camera = self.identity.camera;
        for event in events.iter().filter(|event| event.phase != EventPhase::Ended) {
            // Never waited for: an event is kept whether or not somebody is told of it.
            let _ = self.tells.told.try_send(Told { camera, event: event.clone() });
        }
        for event in &events {
            let began_at = match event.phase {
                EventPhase::Began => self.going_on.insert(event.id, event.at),
                EventPhase::Ended => self.going_on.remove(&event.id),
                EventPhase::Happened => None,
            };
            self.tells.outward.tell(camera, event, began_at);
        }
        for events in events.chunks(seal::event::EVENTS_MAX) {
            self.write(events.to_vec(), 0);
        }
    }

    /// Once a minute, since a flood is why.
    fn tell_left_out(&mut self) {
        if self.counted.elapsed() < COUNTED_EVERY {
            return;
        }
        self.counted = Instant::now();
        let left_out = self.events.take_left_out();
        if left_out > 0 {
            warn!(camera = %self.identity.camera, left_out, "the camera tells more events than are kept");
            self.write(Vec::new(), left_out);
        }
    }

    /// Events are heard and kept, and somebody is not told of them all the same.
    fn tell_concern(&self) {
        let concern = self.tells.outward.concern();
        let status = self.status.borrow();
        let is_news = status.state == StreamState::Recording && status.reason != concern;
        drop(status);
        if is_news {
            self.status.send_modify(|status| status.reason = concern);
        }
    }

    fn write(&mut self, events: Vec<Event>, left_out: u32) {
        let batch = Batch { events, left_out };
        let now = self.now();
        if let Err(error) = self.recorder.push(&batch, now, &mut random::bytes) {
            warn!(camera = %self.identity.camera, %error, "events were left out");
        }
    }

    /// Pictures of this time belong to an event. Never waited for: the supervisor
    /// waits for this task at times.
    fn tell(&mut self, lasts: Duration) {
        let seconds = lasts.as_secs() as u32;
        let _ = self.tells.happening.try_send(Happening { camera: self.identity.camera, seconds });
        self.tell_again = self.events.is_active().then(|| Instant::now() + lasts / 2);
    }

    /// To viewers, then to the disk. What the disk does not take is told as a gap.
    async fn store(&mut self) {
        if self.try_store().await.is_err() {
            let unflushed_ms = self.disk.unflushed_ms(self.file.take().as_ref());
            self.recorder.abandon();
            let now = clock::now();
            self.missed(now.minus_ms(unflushed_ms), now, GapReason::DiskFull);
            // What comes next is tried again.
            self.set_state(StreamState::Failed, Some(DiskError.to_string()));
            warn!(camera = %self.identity.camera, "events could not be written");
        }
    }

    async fn try_store(&mut self) -> Result<(), DiskError> {
        while let Some(output) = self.recorder.pull() {
            match output {
                Output::Begun { id, started_at, bytes } => {
                    self.viewers.header(bytes.clone());
                    let folder = folder(&self.identity, started_at);
                    self.file = Some(self.disk.open(folder, (started_at, id), bytes).await?);
                    if self.status.borrow().reason.as_deref() == Some(DiskError.to_string().as_str()) {
                        self.set_state(StreamState::Recording, None);
                    }
                }
                Output::Chunk { number, key_frame, bytes, .. } => {
                    self.viewers.chunk(number, key_frame, bytes.clone());
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
            // They are short anyway.
            Order::Short { .. } => {}
        }
    }

    /// Whatever was missed until now is told.
    fn hears_again(&mut self) {
        let Some((from, reason)) = self.deaf.take() else { return };
        let now = clock::now();
        if now.ms_since(from) >= GAP_MS_MIN {
            self.missed(from, now, reason);
        }
    }

    fn missed(&mut self, from: Timestamp, to: Timestamp, reason: GapReason) {
        let Identity { camera, rendition, .. } = self.identity;
        if self.untold.len() < UNTOLD_MAX {
            self.untold.push(Gap { camera, rendition, from, to: to.max(from.plus_ms(1)), reason });
        }
        self.report();
    }

    fn report(&mut self) {
        while let Some(gap) = self.untold.pop() {
            if let Err(TrySendError::Full(gap)) = self.gaps.try_send(gap) {
                self.untold.push(gap);
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
            status.reason = reason;
        });
    }
}

fn gap_reason(error: &OnvifError) -> GapReason {
    match error {
        OnvifError::Unauthorized
        | OnvifError::BasicWithoutTls
        | OnvifError::UnknownAuthentication
        | OnvifError::Fault { .. } => GapReason::CameraRefused,
        _ => GapReason::CameraUnreachable,
    }
}

/// Asks the camera, again and again, until it is told to end.
async fn listen(access: OnvifAccess, said: mpsc::Sender<Heard>, cancel: CancellationToken) {
    let limits = Limits::default();
    let mut backoff = Backoff::new();
    loop {
        let began = Instant::now();
        let (error, least) = tokio::select! {
            () = cancel.cancelled() => return,
            begun = Subscription::begin(&access, &limits) => match begun {
                Ok(subscription) => match hear_out(subscription, &said, &cancel).await {
                    // Also a refusal: one of the clocks was set, by which passwords are dated.
                    Some(error) => (error, Duration::ZERO),
                    None => return,
                },
                Err(OnvifError::Unauthorized) => (OnvifError::Unauthorized, REFUSED),
                Err(error) => (error, Duration::ZERO),
            },
        };
        let good_for = began.elapsed();
        if said.send(Heard::Lost(error)).await.is_err() {
            return;
        }
        let [jitter] = random::bytes();
        let wait = backoff.after_failure(good_for, jitter).max(least);
        tokio::select! {
            () = cancel.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// `None`: it was told to end.
async fn hear_out(
    mut subscription: Subscription,
    said: &mpsc::Sender<Heard>,
    cancel: &CancellationToken,
) -> Option<OnvifError> {
    said.send(Heard::Listening).await.ok()?;
    loop {
        tokio::select! {
            () = cancel.cancelled() => {
                subscription.end().await;
                return None;
            }
            next = subscription.next() => match next {
                Ok(events) => said.send(Heard::Said(events)).await.ok()?,
                Err(error) => {
                    // Cameras have room for few.
                    if !matches!(error, OnvifError::Connect { .. } | OnvifError::Unauthorized) {
                        subscription.end().await;
                    }
                    return Some(error);
                }
            },
        }
    }
}
