//! The gateway's process: the parts of `gateway-core`, put together as the
//! gateway does it, one after the other instead of in tasks.

use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};

use bytes::Bytes;
use gateway_core::epoch::{Epoch, EpochKeys, Over};
use gateway_core::hours::Signer;
use gateway_core::outage::{Around, Outage, gap_of, gap_of_damaged, gaps_around};
use gateway_core::recorder::{EpochContext, Identity, Limits, Output, Recorder};
use gateway_core::recovery::{Found, NUMBER_MAX, Own, file_name, genuine_header, look_at, number_of, report};
use gateway_core::retention::{self, Clock, Policy};
use gateway_core::uplink::{Lane, Next, State, Uplink};
use gateway_core::volume::{Abandoned, GivenUp, Number, Stored, Writer};
use model::wire::{Gap, GapReason};
use model::{CameraId, EpochId, Timestamp};
use seal::keys::SigningKey;
use seal::recording::Ended;

use crate::camera::{Camera, Connection, Given, SOUND};
use crate::disk::DiskError;
use crate::organisation::Organisation;
use crate::world::Shared;

/// As the gateway's disk has it.
const FLUSH_MS: u64 = 1_000;
const QUEUE: usize = 1_024;
const SWEEP_MS: u64 = 30_000;
const IDLE_MS: u64 = 10_000;

/// Which keys seal what: the simulation opens with them what it finds.
pub(crate) type Keys = BTreeMap<(EpochId, CameraId), EpochKeys>;
/// Units that the recorder took: of which stream, and when by the stream's time.
pub(crate) type Accepted = BTreeMap<u64, (usize, Timestamp)>;

/// Why the process ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ends(pub(crate) &'static str);

pub(crate) struct Process {
    world: Shared,
    signer: Arc<SigningKey>,
    writer: Writer<Shared>,
    jobs: VecDeque<Job>,
    disk_stands: bool,
    /// With the last flush before.
    failed: BTreeMap<Number, u64>,
    next_number: Number,
    flushed_ms: u64,
    next_flush_ms: u64,
    next_sweep_ms: u64,
    epoch: Epoch,
    streams: Vec<Stream>,
    stored: VecDeque<Stored>,
    gaps: VecDeque<Gap>,
    abandoned: Vec<Abandoned>,
    uplinks: [Pin<Box<dyn Future<Output = ()>>>; 2],
}

enum Job {
    Append { number: Number, bytes: Bytes },
    Close { number: Number, bytes: Bytes, closed: Box<gateway_core::recorder::Closed> },
    Drop { number: Number },
    Flush { ms: u64 },
}

struct Stream {
    recorder: Recorder,
    outage: Outage,
    state: StreamState,
    file: Option<Number>,
    failures: u32,
}

enum StreamState {
    Waits { until_ms: u64 },
    Records(Connection),
}

/// What a start is asked to leave undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    Nowhere,
    /// Killed after so many files.
    Recovery(usize),
}

impl Process {
    /// None if it was killed on the way, or could not start.
    pub(crate) fn start(
        world: &Shared,
        organisation: &Organisation,
        cameras: &[Camera],
        keys: &mut Keys,
        cut: Cut,
    ) -> Option<Self> {
        let signer = Arc::new(Organisation::gateway_keys().sign);
        let own = Own { roster: &organisation.roster, gateway: organisation.gateway, signer: &signer };
        let (next_number, failed) = recover(world, own, cut)?;
        let (now, now_ms) = {
            let mut world = world.lock();
            world.index.offer_refused_again();
            (world.now(), world.ms)
        };
        let epoch = begin_epoch(world, organisation, &signer, now, keys)?;
        let streams = cameras
            .iter()
            .map(|camera| {
                let context = context(&epoch, camera.id);
                let until = world.lock().index.last_end(camera.id, camera.rendition, NUMBER_MAX);
                let identity = Identity {
                    org: organisation.roster.org(),
                    gateway: organisation.gateway,
                    camera: camera.id,
                    rendition: camera.rendition,
                    signer: signer.clone(),
                };
                Stream {
                    recorder: Recorder::new(identity, Limits::default(), context),
                    outage: match until {
                        None if !failed.is_empty() => {
                            Outage::after_start_in_the_dark(camera.id, camera.rendition, now)
                        }
                        until => Outage::after_start(camera.id, camera.rendition, until, now),
                    },
                    state: StreamState::Waits { until_ms: now_ms + 300 },
                    file: None,
                    failures: 0,
                }
            })
            .collect();
        let uplinks = [Lane::Urgent, Lane::Usual].map(|lane| {
            let uplink = Uplink::new(organisation.roster.org(), organisation.gateway, lane, world.clone());
            Box::pin(forward(uplink, world.clone())) as Pin<Box<dyn Future<Output = ()>>>
        });
        Some(Process {
            world: world.clone(),
            signer,
            writer: Writer::new(world.clone()),
            jobs: VecDeque::new(),
            disk_stands: false,
            failed: BTreeMap::new(),
            next_number,
            flushed_ms: now_ms,
            next_flush_ms: now_ms + FLUSH_MS,
            next_sweep_ms: now_ms + SWEEP_MS,
            epoch,
            streams,
            stored: VecDeque::new(),
            gaps: VecDeque::new(),
            abandoned: failed,
            uplinks,
        })
    }

    /// What happens between two moments. `disk_stands` while the disk takes its
    /// time.
    pub(crate) fn step(
        &mut self,
        organisation: &Organisation,
        cameras: &[Camera],
        disk_stands: bool,
        accepted: &mut Accepted,
        keys: &mut Keys,
        number: &mut u64,
    ) -> Result<(), Ends> {
        let (now, now_ms) = {
            let world = self.world.lock();
            (world.now(), world.ms)
        };
        self.disk_stands = disk_stands;
        let clock = now.max(organisation.roster.last_at());
        if now_ms.is_multiple_of(1_000) {
            self.turn_epoch(organisation, clock, keys)?;
        }
        for (n, camera) in cameras.iter().enumerate() {
            self.step_stream(n, camera, (now, now_ms), accepted, number);
        }
        if now_ms >= self.next_flush_ms && self.jobs.len() < QUEUE {
            self.jobs.push_back(Job::Flush { ms: now_ms });
            self.next_flush_ms = now_ms + FLUSH_MS;
        }
        if !disk_stands {
            self.work_off();
        }
        self.keep();
        if now_ms >= self.next_sweep_ms {
            self.next_sweep_ms = now_ms + SWEEP_MS;
            self.sweep(organisation, now);
        }
        // Woken or not: what it waits for looks at the time.
        for uplink in &mut self.uplinks {
            let _ = uplink.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        }
        Ok(())
    }

    /// Recordings of these streams are short for as long as there is an event.
    pub(crate) fn set_short(&mut self, streams: impl Iterator<Item = usize>, is_short: bool) {
        streams.for_each(|n| self.streams[n].recorder.set_short(is_short));
    }

    fn turn_epoch(
        &mut self,
        organisation: &Organisation,
        now: Timestamp,
        keys: &mut Keys,
    ) -> Result<(), Ends> {
        let Some(over) = self.epoch.over(&organisation.roster, organisation.gateway, now) else {
            return Ok(());
        };
        match begin_epoch(&self.world, organisation, &self.signer, now, keys) {
            Some(epoch) => self.epoch = epoch,
            None if over == Over::Time => return Ok(()),
            None => return Err(Ends("the grants of an epoch could not be kept")),
        }
        for stream in &mut self.streams {
            let camera = stream.recorder.camera();
            stream.recorder.set_epoch(context(&self.epoch, camera));
        }
        Ok(())
    }

    fn step_stream(
        &mut self,
        n: usize,
        camera: &Camera,
        (now, now_ms): (Timestamp, u64),
        accepted: &mut Accepted,
        number: &mut u64,
    ) {
        match &mut self.streams[n].state {
            StreamState::Waits { until_ms } if now_ms < *until_ms => {}
            StreamState::Waits { .. } => match camera.faults.refuses {
                Some(reason) => self.lost(n, Some(reason), (now, now_ms)),
                None if camera.faults.stalls => self.lost(n, Some(GapReason::Stalled), (now, now_ms)),
                None => {
                    let connection = Connection::new(now_ms, now);
                    let stream = &mut self.streams[n];
                    stream.outage.tried(connection.started_at);
                    stream.recorder.begin_run(camera.tracks(), connection.started_at, Ended::Lost);
                    stream.state = StreamState::Records(connection);
                }
            },
            StreamState::Records(connection) => {
                let age = now_ms - connection.began_ms;
                let unwell = camera.faults;
                if unwell.refuses.is_some() || unwell.stalls || (unwell.resets && age > 7_000) {
                    let reason = unwell.refuses.unwrap_or(GapReason::Stalled);
                    return self.lost(n, Some(reason), (now, now_ms));
                }
                let started_at = connection.started_at;
                let given = connection.take(camera, now_ms, number);
                let stream = &mut self.streams[n];
                if unwell.changes && age.is_multiple_of(9_000) {
                    stream.recorder.begin_run(camera.tracks(), started_at, Ended::Parameters);
                }
                for Given { unit, number, at_ms } in given {
                    let is_sound = unit.track == SOUND;
                    let mut salt = || salt(&self.world);
                    let pushed = stream.recorder.push(unit, &mut salt);
                    // Sound before the first picture is none of a recording.
                    if pushed.is_ok() && (!is_sound || stream.recorder.open_id().is_some()) {
                        accepted.insert(number, (n, started_at.plus_ms(at_ms)));
                    }
                }
                if self.store(n).is_err() {
                    self.lost(n, None, (now, now_ms));
                }
            }
        }
    }

    /// A run is over: `None` means the disk.
    fn lost(&mut self, n: usize, reason: Option<GapReason>, (now, now_ms): (Timestamp, u64)) {
        let was_good =
            matches!(&self.streams[n].state, StreamState::Records(run) if now_ms - run.began_ms > 60_000);
        let disk = match reason {
            None => true,
            Some(_) => {
                self.streams[n].recorder.end_run(Ended::Lost);
                self.store(n).is_err()
            }
        };
        // As the gateway counts: one flush more, for what was handed over late.
        let at_failure = self.streams[n].file.and_then(|number| self.failed.get(&number).copied());
        let unflushed_ms = now_ms - at_failure.unwrap_or(self.flushed_ms) + FLUSH_MS;
        if disk {
            if let Some(number) = self.streams[n].file.take() {
                self.jobs.push_back(Job::Drop { number });
            }
            let stream = &mut self.streams[n];
            if let Some(at) = stream.recorder.abandon() {
                stream.outage.recorded(at);
            }
            stream.recorder.end_run(Ended::Lost);
        }
        let stream = &mut self.streams[n];
        match reason {
            Some(reason) if !disk => stream.outage.lost(reason, now),
            _ => stream.outage.lost_on_disk(unflushed_ms, now),
        }
        stream.failures = if was_good { 0 } else { stream.failures + 1 };
        let wait = (500_u64 << stream.failures.min(6)).min(30_000);
        stream.state = StreamState::Waits { until_ms: now_ms + wait };
        self.gaps.extend(stream.outage.goes_on(now));
    }

    /// Hands on what the recorder has sealed.
    fn store(&mut self, n: usize) -> Result<(), DiskError> {
        const TAKES_NOTHING: DiskError = DiskError("the disk does not take what is recorded");
        while let Some(output) = self.streams[n].recorder.pull() {
            if let Output::Chunk { at, .. } = output {
                self.streams[n].outage.recorded(at);
            }
            if self.streams[n].file.is_some_and(|number| self.failed.contains_key(&number))
                || self.jobs.len() >= QUEUE
            {
                return Err(TAKES_NOTHING);
            }
            match output {
                Output::Begun { id, started_at, bytes } => {
                    // Whoever begins waits until it has begun, and not for ever.
                    if self.disk_stands {
                        return Err(TAKES_NOTHING);
                    }
                    self.work_off();
                    let (camera, rendition) =
                        (self.streams[n].recorder.camera(), self.streams[n].recorder.rendition());
                    self.next_number += 1;
                    let name = file_name(started_at, self.next_number, id);
                    let path = format!("recordings/{camera}/{rendition}/{name}");
                    self.writer.begin(self.next_number, path, &bytes)?;
                    let stream = &mut self.streams[n];
                    stream.file = Some(self.next_number);
                    self.gaps.extend(stream.outage.back(started_at));
                }
                Output::Chunk { bytes, .. } => {
                    let number = self.streams[n].file.ok_or(TAKES_NOTHING)?;
                    self.jobs.push_back(Job::Append { number, bytes });
                }
                Output::Closed { recording, bytes } => {
                    let number = self.streams[n].file.take().ok_or(TAKES_NOTHING)?;
                    self.jobs.push_back(Job::Close { number, bytes, closed: recording });
                }
            }
        }
        Ok(())
    }

    /// The disk's thread.
    fn work_off(&mut self) {
        while let Some(job) = self.jobs.pop_front() {
            match job {
                Job::Append { number, bytes } => {
                    if self.writer.append(number, &bytes).is_err() {
                        self.failed.insert(number, self.flushed_ms);
                    }
                }
                Job::Close { number, bytes, closed } => {
                    // Nobody waits for it any more: the file is brought in later.
                    let _ = self.writer.close(number, &bytes, closed);
                }
                Job::Drop { number } => {
                    self.writer.give_up(number);
                    self.failed.remove(&number);
                }
                Job::Flush { ms } => match self.writer.flush() {
                    Ok(stored) => {
                        self.flushed_ms = ms;
                        self.stored.extend(stored);
                    }
                    Err(GivenUp { recordings, .. }) => {
                        self.failed.extend(recordings.into_iter().map(|number| (number, self.flushed_ms)));
                    }
                },
            }
        }
    }

    /// Rows follow the flush, never the other way round; each insists.
    fn keep(&mut self) {
        let mut world = self.world.lock();
        while let Some(Stored { path, closed }) = self.stored.front() {
            let finished = &closed.finished;
            let report = report(&closed.header, closed.id, &finished.footer, finished.bytes, finished.sha256);
            if world.index.add_recording(path, &report).is_err() {
                break;
            }
            self.stored.pop_front();
        }
        while let Some(gap) = self.gaps.front() {
            if world.add_gap(gap.clone()).is_err() {
                break;
            }
            self.gaps.pop_front();
        }
    }

    fn sweep(&mut self, organisation: &Organisation, now: Timestamp) {
        self.abandoned.extend(self.writer.take_abandoned());
        let own = Own { roster: &organisation.roster, gateway: organisation.gateway, signer: &self.signer };
        // As the gateway does: the last first, until the disk refuses one.
        while let Some(file) = self.abandoned.pop() {
            if bring_in(&self.world, &file, own, true).is_err() {
                self.abandoned.push(file);
                break;
            }
        }

        let mut world = self.world.lock();
        let policy = Policy {
            bytes_max: 6 << 20,
            age_ms_max: 6 * Timestamp::HOUR,
            quiet_ms_max: world.quiet_ms_max,
            quiet_ms_min: 2 * Timestamp::HOUR,
            age_ms_min: 10 * Timestamp::MINUTE,
            free_bytes_min: 1,
        };
        let free = if world.disk.faults.full { 0 } else { u64::MAX / 2 };
        // A sweep stops at the first thing that fails, and the next goes on.
        let clock = Clock { now, is_agreed: world.is_clock_right() };
        let stored = world.index.stored();
        let plan = retention::plan(policy, &stored, free, clock);
        world.cloud.violations.extend(gone_too_early(policy, &stored, &plan, clock));
        for id in plan.full.iter().chain(&plan.due).chain(&plan.due_confirmed).take(3) {
            let Some(row) = world.index.recordings.get(id).cloned() else { continue };
            let is_lost = plan.lost.contains(id);
            // As the gateway does: what is gone and was not told yet is found by forwarding.
            if is_lost && world.index.set_state(*id, State::Kept).is_err() {
                return;
            }
            if world.disk.remove(&row.path).is_err() {
                return;
            }
            if plan.lost.contains(id) && world.add_gap(gap_of(&row.report, GapReason::DiskFull)).is_err() {
                return;
            }
            if world.index.remove_recording(*id).is_err() {
                return;
            }
            if row.state == State::Held && !plan.lost.contains(id) {
                world.index.let_go.push(row.report);
            }
        }
        let _ = world.index.drop_grants_before(now.minus_ms(Timestamp::DAY));
        let Organisation { roster, gateway, .. } = organisation;
        let signer = Signer { org: roster.org(), gateway: *gateway, key: &self.signer };
        let _ = world.index.make_hours(signer, now);
    }

    /// SIGTERM: recordings are closed, flushed and written down.
    pub(crate) fn stop(mut self) {
        let now = self.world.lock().now();
        for n in 0..self.streams.len() {
            self.streams[n].recorder.end_run(Ended::Stopped);
            let _ = self.store(n);
            if let Some(number) = self.streams[n].file.take() {
                self.jobs.push_back(Job::Drop { number });
            }
            self.gaps.extend(self.streams[n].outage.until(now));
        }
        self.jobs.push_back(Job::Flush { ms: 0 });
        self.work_off();
        self.keep();
    }
}

/// Brings in what the index does not know, in the order in which it was begun.
/// Returns the number of the last, and what could not be brought in now; `None` if it was killed on the way.
fn recover(world: &Shared, own: Own<'_>, cut: Cut) -> Option<(Number, Vec<Abandoned>)> {
    let (unknown, last) = {
        let world = world.lock();
        if world.disk.faults.gone {
            return None;
        }
        let mut paths = world.disk.paths();
        paths.retain(|path| path.starts_with("recordings/"));
        paths.sort_by_cached_key(|path| number_of(path));
        let last = paths.last().map_or(0, |path| number_of(path));
        let known = world.index.paths();
        paths.retain(|path| !known.contains(path.as_str()));
        (paths, last)
    };
    let mut failed = Vec::new();
    for (n, path) in unknown.iter().enumerate() {
        if cut == Cut::Recovery(n) {
            return None;
        }
        let file = Abandoned { path: path.clone(), end: None };
        if bring_in(world, &file, own, false).is_err() {
            failed.push(file);
        }
    }
    Some((last, failed))
}

/// As the gateway's `recover` does it.
fn bring_in(world: &Shared, file: &Abandoned, own: Own<'_>, anew: bool) -> Result<(), ()> {
    let (path, promised_end) = (file.path.as_str(), file.end);
    let mut world = world.lock();
    let bytes = world.disk.read(path).map_err(drop)?;
    let Some(mut bytes) = bytes.map(<[u8]>::to_vec) else { return Ok(()) };
    let (report, was_lost) = match look_at(&bytes, own) {
        Ok(Found::Whole { report, was_lost }) => (report, was_lost),
        Ok(Found::CutOff { keep, tail, report }) => {
            bytes.truncate(keep);
            bytes.extend_from_slice(&tail);
            (report, true)
        }
        Ok(Found::Empty) => return world.disk.remove(path).map_err(drop),
        Ok(Found::OtherVersion(_)) => return Ok(()),
        Err(_) => {
            if let Some(header) = genuine_header(&bytes, own) {
                world.add_gap(gap_of_damaged(&header, promised_end)).map_err(drop)?;
            }
            return world.disk.put_aside(path).map_err(drop);
        }
    };
    world.disk.close(path, bytes, anew).map_err(drop)?;
    let last_end = world.index.last_end(report.camera, report.rendition, number_of(path));
    for gap in gaps_around(&report, Around { last_end, was_lost, promised_end }) {
        world.add_gap(gap).map_err(drop)?;
    }
    world.index.add_recording(path, &report).map_err(drop)
}

fn begin_epoch(
    world: &Shared,
    organisation: &Organisation,
    signer: &SigningKey,
    now: Timestamp,
    keys: &mut Keys,
) -> Option<Epoch> {
    let mut world = world.lock();
    let now = now.max(organisation.roster.last_at());
    let mut random = |bytes: &mut [u8]| world.rng.fill(bytes);
    let epoch = Epoch::begin(&organisation.roster, organisation.gateway, now, &mut random);
    let grants = epoch.grants(&organisation.roster, organisation.gateway, signer, &mut random);
    world.index.add_grants(epoch.id, now, grants).ok()?;
    keys.extend(epoch.keys.iter().map(|(camera, keys)| ((epoch.id, *camera), keys.clone())));
    Some(epoch)
}

fn context(epoch: &Epoch, camera: CameraId) -> EpochContext {
    let keys = epoch.keys.get(&camera).expect("every camera is bound").clone();
    EpochContext { epoch: epoch.id, roster_head: epoch.roster_head, keys }
}

/// The forwarder's task.
async fn forward(mut uplink: Uplink<Shared>, world: Shared) {
    loop {
        match uplink.step().await {
            Next::Now => {}
            Next::Idle => world.sleep(IDLE_MS).await,
            Next::Retry { wait_ms } => world.sleep(wait_ms).await,
        }
    }
}

fn salt(world: &Shared) -> [u8; 32] {
    let mut salt = [0; 32];
    world.lock().rng.fill(&mut salt);
    salt
}

/// What is of an event and goes as early as what is quiet, and what is quiet and goes
/// earlier still. Only what has no room goes before its time.
fn gone_too_early(
    policy: Policy,
    stored: &[retention::Stored],
    plan: &retention::Plan,
    clock: Clock,
) -> Option<String> {
    if stored.iter().map(|recording| recording.bytes).sum::<u64>() > policy.bytes_max {
        return None;
    }
    let goes = |id| plan.due.contains(id) || plan.due_confirmed.contains(id);
    let is_early = |recording: &&retention::Stored| {
        let quiet_ms_max = policy.quiet_ms_max.filter(|_| recording.is_quiet);
        clock.now.ms_since(recording.started_at) <= quiet_ms_max.unwrap_or(policy.age_ms_max)
    };
    let early = stored.iter().filter(|recording| goes(&recording.id)).find(is_early)?;
    Some(format!("{early:?} goes at {} before its time", clock.now.0))
}
