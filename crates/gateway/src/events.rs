//! What one camera says that it saw, and what Frigate says of it: heard, thinned
//! out, sealed and kept. Beside the camera's pictures and apart from them: a camera
//! whose event service is broken records as any other.

mod sources;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use gateway_core::event_recorder::EventRecorder;
use gateway_core::events::{Events, Now};
use gateway_core::outage::GAP_MS_MIN;
use gateway_core::recorder::{Identity, Output};
use gateway_core::uplink::EVENT_POST_ROLL_MS;
use model::wire::{Gap, GapReason, StreamState, StreamStatus};
use model::{
    CameraAccess, CameraEvent, CameraId, EventId, EventKind, EventPhase, EventSource, OnvifUrl, Timestamp,
};
use seal::event::{Batch, Event};
use seal::recording::Ended;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, info, warn};

use crate::disk::{Disk, DiskError, OpenRecording};
use crate::index::Listening;
use crate::mqtt::{Ear, Sightings};
use crate::notices::Told;
use crate::onvif::OnvifAccess;
use crate::outward::Outward;
use crate::stream::{Order, Settings, folder};
use crate::viewers::Viewers;
use crate::{clock, random};

/// What a camera said that waits to be written.
const HEARD_QUEUE: usize = 16;
/// An event is told for so long at a time, and again while it goes on.
const GOES_ON: Duration = Duration::from_secs(30);
/// And one without length is told for so long: what comes after it belongs to it.
const AFTERWARDS: Duration = Duration::from_millis(EVENT_POST_ROLL_MS);
/// For giving the camera its subscription back.
const GOODBYE: Duration = Duration::from_secs(1);
/// How often it is told how many events were left out.
const COUNTED_EVERY: Duration = Duration::from_secs(60);
/// Gaps that find no room are told later, so many at most.
const UNTOLD_MAX: usize = 64;
/// And so much of what happens.
const UNSAID_MAX: usize = 64;
/// Of trouble that the disk did not take; of more, the oldest is left out.
const OWED_MAX: usize = 64;
/// Before it is tried again: each try that fails is a gap that is told.
const OWED_AGAIN: Duration = Duration::from_secs(60);

/// What of a camera's events concerns its pictures.
#[derive(Clone, Debug)]
pub(crate) enum Happening {
    /// Something happens: what is recorded meanwhile is of an event.
    Event { camera: CameraId, at: Timestamp, seconds: u32, kinds: BTreeSet<EventKind> },
    /// Something may have happened of which nobody heard.
    Unheard { camera: CameraId, at: Timestamp },
}

impl Happening {
    fn at(&self) -> Timestamp {
        match self {
            Happening::Event { at, .. } | Happening::Unheard { at, .. } => *at,
        }
    }
}

/// Who is told that something happens.
#[derive(Clone, Debug)]
pub(crate) struct Tells {
    /// The supervisor: pictures of that time are of an event.
    pub(crate) happening: mpsc::Sender<Happening>,
    /// Where it stands since when all who tell of a camera are heard.
    pub(crate) listening: Listening,
    /// Those who tell people.
    pub(crate) told: mpsc::Sender<Told>,
    /// Other systems on site.
    pub(crate) outward: Outward,
}

/// What one who listens tells the one who writes.
struct Heard {
    source: EventSource,
    what: What,
}

enum What {
    Listening,
    Said(Vec<CameraEvent>),
    /// So much was said that some of it was not heard.
    Missed(u32),
    /// For a moment nobody listened, or more was said than is taken.
    Unheard,
    Lost {
        words: String,
        reason: GapReason,
    },
}

/// Who tells of this camera.
#[derive(Debug)]
pub(crate) struct Tellers {
    /// The camera itself.
    pub(crate) camera: Option<Teller>,
    pub(crate) frigate: Option<Ear>,
}

impl Tellers {
    pub(crate) fn of(camera: CameraId, access: &CameraAccess, sightings: Option<&Sightings>) -> Self {
        Tellers {
            camera: access.onvif_url.as_ref().map(|url| Teller::of(url, access)),
            frigate: sightings.and_then(|sightings| sightings.of(camera)),
        }
    }
}

/// A camera, and in which way it tells.
#[derive(Clone, Debug)]
pub(crate) enum Teller {
    PullPoint(OnvifAccess),
    Stream(OnvifAccess),
}

impl Teller {
    pub(crate) fn of(url: &OnvifUrl, camera: &CameraAccess) -> Self {
        let access = access(url, camera);
        match url.is_event_stream() {
            true => Teller::Stream(OnvifAccess { url: url.as_url().clone(), ..access }),
            false => Teller::PullPoint(access),
        }
    }

    fn source(&self) -> EventSource {
        match self {
            Teller::PullPoint(_) => EventSource::Onvif,
            Teller::Stream(_) => EventSource::Vapix,
        }
    }
}

/// One who tells, as it is now.
struct Source {
    events: Events,
    /// Since when nothing is heard of it, and why.
    deaf: Option<(Timestamp, GapReason)>,
    trouble: Option<String>,
}

pub(crate) struct EventsTask {
    identity: Identity,
    tellers: Tellers,
    recorder: EventRecorder,
    sources: BTreeMap<EventSource, Source>,
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
    /// When what goes on began, and what it is.
    going_on: BTreeMap<EventId, (Timestamp, EventKind)>,
    /// What the supervisor had no room for yet.
    unsaid: VecDeque<Happening>,
    /// When what goes on is told again.
    tell_again: Option<Instant>,
    /// When it was told last how many events were left out.
    counted: Instant,
    /// Trouble whose recording is not closed yet: the disk may be what fails.
    owed: VecDeque<Event>,
    /// When the disk failed last.
    failed: Option<Instant>,
}

/// How the camera's services are asked.
pub(crate) fn access(url: &OnvifUrl, access: &CameraAccess) -> OnvifAccess {
    OnvifAccess {
        url: url.device_service(),
        username: access.username.clone(),
        password: access.password.clone(),
        certificate: access.certificate,
    }
}

impl EventsTask {
    pub(crate) fn new(
        settings: Settings,
        tellers: Tellers,
        (disk, gaps, tells): (Disk, mpsc::Sender<Gap>, Tells),
        (orders, status): (mpsc::Receiver<Order>, watch::Sender<StreamStatus>),
        cancel: CancellationToken,
    ) -> Self {
        EventsTask {
            sources: tellers.sources().map(|source| (source, Source::new(source))).collect(),
            tellers,
            recorder: EventRecorder::new(settings.identity.clone(), settings.epoch),
            identity: settings.identity,
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
            going_on: BTreeMap::new(),
            unsaid: VecDeque::new(),
            tell_again: None,
            counted: Instant::now(),
            owed: VecDeque::new(),
            failed: None,
        }
    }

    /// Returns once it is told to end and what it has is on its way to the disk.
    pub(crate) async fn run(mut self) {
        let (said, mut heard) = mpsc::channel(HEARD_QUEUE);
        let cancel = self.cancel.clone();
        let span = tracing::info_span!("events", camera = %self.identity.camera);
        let tellers = Tellers { camera: self.tellers.camera.take(), frigate: self.tellers.frigate.take() };
        let listening = tellers.listen(said, cancel.clone()).instrument(span);
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
        self.tells.listening.set(self.identity.camera, None);
        let now = self.now();
        let ended = self.of_all(|events| events.lost(now));
        self.keep(ended);
        self.recorder.close(Ended::Stopped);
        self.store().await;
        for source in self.sources.keys().copied().collect::<Vec<_>>() {
            self.hears_again(source);
        }
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

    /// One after the other.
    fn of_all<T>(&mut self, mut what: impl FnMut(&mut Events) -> Vec<T>) -> Vec<T> {
        self.sources.values_mut().flat_map(|source| what(&mut source.events)).collect()
    }

    fn is_active(&self) -> bool {
        self.sources.values().any(|source| source.events.is_active())
    }

    fn hear(&mut self, Heard { source, what }: Heard) {
        let (now, camera) = (self.now(), self.identity.camera);
        let Some(teller) = self.sources.get_mut(&source) else { return };
        match what {
            What::Listening => {
                info!(%camera, ?source, "listening for events");
                teller.trouble = None;
                let is_back = teller.deaf.is_some();
                self.hears_again(source);
                if is_back && self.sources.values().all(|source| source.deaf.is_none()) {
                    self.tells.listening.set(camera, Some(now.at));
                }
                self.show();
            }
            What::Said(said) => {
                let kept = teller.events.told(said, now, &mut || EventId::from_random(random::bytes()));
                self.keep(kept);
            }
            What::Missed(count) => teller.events.leave_out(count),
            What::Unheard => self.happens(Happening::Unheard { camera, at: now.at }),
            What::Lost { words, reason } => {
                // Once for each outage and reason, not for each try.
                if teller.trouble.as_ref() != Some(&words) {
                    warn!(%camera, ?source, reason = words, "no events");
                }
                let was_heard = teller.deaf.is_none();
                teller.deaf.get_or_insert((now.at, reason));
                teller.trouble = Some(words);
                let ended = teller.events.lost(now);
                self.tells.listening.set(camera, None);
                if was_heard {
                    self.happens(Happening::Unheard { camera, at: now.at });
                }
                self.keep(ended);
                self.show();
            }
        }
    }

    /// How it is: as the one is who is worst.
    fn show(&self) {
        let trouble = self.sources.values().find_map(|source| source.trouble.clone());
        if trouble.is_some() {
            self.set_state(StreamState::Failed, trouble);
        } else if self.sources.values().all(|source| source.deaf.is_none()) {
            self.set_state(StreamState::Recording, None);
        }
    }

    fn tick(&mut self) {
        let now = self.now();
        let ended = self.of_all(|events| events.tick(now));
        self.keep(ended);
        self.tell_left_out();
        self.tell_concern();
        if self.failed.is_some_and(|at| at.elapsed() >= OWED_AGAIN) {
            self.failed = None;
            for event in self.owed.clone() {
                self.write(vec![event], 0);
            }
        }
        self.recorder.set_checkpoint(self.checkpoint.borrow().clone());
        self.recorder.tick(now);
        if !self.is_active() {
            self.tell_again = None;
        } else if self.tell_again.is_some_and(|at| at <= Instant::now()) {
            self.tell_on(BTreeSet::new());
        }
        self.say();
        self.report();
    }

    fn keep(&mut self, events: Vec<Event>) {
        if events.is_empty() {
            return;
        }
        let camera = self.identity.camera;
        let of = |phase: EventPhase| {
            events.iter().filter(move |event| event.phase == phase).map(|event| event.kind)
        };
        let (began, happened): (BTreeSet<_>, BTreeSet<_>) =
            (of(EventPhase::Began).collect(), of(EventPhase::Happened).collect());
        if !began.is_empty() {
            self.tell_on(began);
        }
        if !happened.is_empty() {
            let seconds = AFTERWARDS.as_secs() as u32;
            self.happens(Happening::Event { camera, at: clock::now(), seconds, kinds: happened });
        }
        for event in events.iter().filter(|event| event.phase != EventPhase::Ended) {
            // Never waited for: an event is kept whether or not somebody is told of it.
            let _ = self.tells.told.try_send(Told { cameras: vec![camera], event: event.clone() });
        }
        for event in &events {
            let began_at = match event.phase {
                EventPhase::Began => self.going_on.insert(event.id, (event.at, event.kind)),
                EventPhase::Ended => self.going_on.remove(&event.id),
                EventPhase::Happened => None,
            };
            let began_at = began_at.map(|(at, _)| at);
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
        let left_out = self.of_all(|events| vec![events.take_left_out()]).into_iter().sum();
        if left_out > 0 {
            let camera = self.identity.camera;
            warn!(%camera, left_out, "the camera tells more events than are kept");
            // Of what kinds these were, nobody knows any more.
            self.happens(Happening::Unheard { camera, at: clock::now() });
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

    /// Somebody else has told people of it, who waits for no disk.
    fn keep_trouble(&mut self, event: Event) {
        self.owed.push_back(event.clone());
        if self.owed.len() > OWED_MAX {
            self.owed.pop_front();
        }
        if self.failed.is_none() {
            self.write(vec![event], 0);
        }
    }

    /// Pictures of this time belong to events of these kinds, and to what goes on.
    fn tell_on(&mut self, mut kinds: BTreeSet<EventKind>) {
        kinds.extend(self.going_on.values().map(|(_, kind)| *kind));
        let (camera, seconds) = (self.identity.camera, GOES_ON.as_secs() as u32);
        self.happens(Happening::Event { camera, at: clock::now(), seconds, kinds });
        self.tell_again = self.is_active().then(|| Instant::now() + GOES_ON / 2);
    }

    fn happens(&mut self, happening: Happening) {
        if self.unsaid.len() >= UNSAID_MAX {
            // Of what is given up, all is unheard since its beginning.
            let at = self.unsaid.front().map_or_else(clock::now, Happening::at);
            self.unsaid.clear();
            self.unsaid.push_back(Happening::Unheard { camera: self.identity.camera, at });
        }
        self.unsaid.push_back(happening);
        self.say();
    }

    /// Never waited for: the supervisor waits for this task at times. What it has no
    /// room for is told a second later.
    fn say(&mut self) {
        while let Some(happening) = self.unsaid.pop_front() {
            if let Err(TrySendError::Full(happening)) = self.tells.happening.try_send(happening) {
                self.unsaid.push_front(happening);
                return;
            }
        }
    }

    /// To viewers, then to the disk. What the disk does not take is told as a gap.
    async fn store(&mut self) {
        if self.try_store().await.is_err() {
            let unflushed_ms = self.disk.unflushed_ms(self.file.take().as_ref());
            self.recorder.abandon();
            self.failed = Some(Instant::now());
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
                        self.show();
                    }
                }
                Output::Chunk { number, key_frame, bytes, .. } => {
                    self.viewers.chunk(number, key_frame, bytes.clone());
                    self.file.as_ref().ok_or(DiskError)?.append(bytes).await?;
                }
                Output::Closed { recording, bytes } => {
                    self.file.take().ok_or(DiskError)?.close(bytes, recording).await?;
                    if self.failed.is_none() {
                        self.owed.clear();
                    }
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
            Order::Keep(event) => self.keep_trouble(event),
        }
    }

    /// Whatever was missed until now is told.
    fn hears_again(&mut self, source: EventSource) {
        let deaf = self.sources.get_mut(&source).and_then(|source| source.deaf.take());
        let Some((from, reason)) = deaf else { return };
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

impl Source {
    fn new(source: EventSource) -> Self {
        let deaf = Some((clock::now(), GapReason::CameraUnreachable));
        Source { events: Events::new(source), deaf, trouble: None }
    }
}
