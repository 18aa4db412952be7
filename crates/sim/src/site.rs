//! One site for some hours: what its seed has happen to it.

use std::collections::BTreeMap;

use fastrand::Rng;
use model::wire::GapReason;
use model::{CameraId, Forward, Forwarding, Rendition, Timestamp};

use crate::camera::{self, Camera};
use crate::cloud;
use crate::disk;
use crate::faults::Fault;
use crate::judge::{Tally, judge};
use crate::organisation::Organisation;
use crate::process::{Accepted, Cut, Keys, Process};
use crate::world::{Shared, World};

/// One step of the simulation.
const STEP_MS: u64 = 250;
/// Between two faults, in the mean.
const FAULT_EVERY_MS: u64 = 6 * 60_000;
/// Between two things that people do.
const BY_PEOPLE_EVERY_MS: u64 = 30 * 60_000;
/// A service manager starts the gateway again after this.
const START_AGAIN_MS: u64 = 1_000;
/// How long a site has for what waits, once nothing goes wrong any more.
const CALM_MS: u64 = 2 * 3_600_000;
/// And for the last recordings.
const LAST_MS: u64 = 20 * 60_000;
const T0: Timestamp = Timestamp(1_763_836_800_000);

/// What a seed came to.
#[derive(Clone, Debug)]
pub struct Run {
    pub seed: u64,
    pub simulated_ms: u64,
    pub tally: Tally,
    /// How often each class of fault happened.
    pub faults: BTreeMap<String, u64>,
    /// What happened, and when by the wall clock (ms since 1970).
    pub log: Vec<(Timestamp, String)>,
}

/// What no gateway can make good: whoever simulates with one of these must be
/// told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trick {
    /// The disk says that it has flushed, and has not.
    DiskLies,
    /// The index keeps no gap.
    GapsForgotten,
    /// The cloud says that it has what it has not.
    CloudLies,
}

/// Simulates one site for so many hours, and two more for what then waits.
pub fn run(seed: u64, hours: u64) -> Run {
    run_with(seed, hours, None)
}

pub fn run_with(seed: u64, hours: u64, trick: Option<Trick>) -> Run {
    let mut site = Site::new(seed);
    {
        let mut world = site.world.lock();
        world.disk.lies = trick == Some(Trick::DiskLies);
        world.index.forgets_gaps = trick == Some(Trick::GapsForgotten);
        world.cloud.lies = trick == Some(Trick::CloudLies);
    }
    let end = hours * 3_600_000;
    while site.now_ms() < end {
        site.step(true);
    }
    site.calm_down();
    while site.now_ms() < end + CALM_MS {
        site.step(false);
    }
    // Without new recordings, all of them arrive.
    site.cameras.iter_mut().for_each(|camera| camera.faults.refuses = Some(GapReason::Disabled));
    while site.now_ms() < end + CALM_MS + LAST_MS {
        site.step(false);
    }
    site.finish(seed)
}

struct Site {
    world: Shared,
    organisation: Organisation,
    cameras: Vec<Camera>,
    process: Option<Process>,
    start_at_ms: u64,
    cut: Cut,
    accepted: Accepted,
    keys: Keys,
    number: u64,
    /// Decides what happens; the world draws its own numbers.
    fate: Rng,
    next_fault_ms: u64,
    /// Decide for themselves.
    people: Rng,
    next_by_people_ms: u64,
    active: Vec<(Fault, u64, usize)>,
    happened: BTreeMap<String, u64>,
    log: Vec<(Timestamp, String)>,
}

impl Site {
    fn new(seed: u64) -> Self {
        let camera = |n: u8, rendition, has_sound, picture_ms| Camera {
            id: CameraId::from_random([n; 16]),
            rendition,
            has_sound,
            picture_ms,
            faults: camera::Faults::default(),
        };
        let cameras = vec![
            camera(1, Rendition::Main, true, 1_000),
            camera(1, Rendition::Sub, false, 2_000),
            camera(2, Rendition::Main, false, 750),
            camera(3, Rendition::Main, false, 3_000),
        ];
        let organisation = Organisation::new((1..=3).map(|n| CameraId::from_random([n; 16])), T0);
        Site {
            world: World::begin(seed, T0),
            organisation,
            cameras,
            process: None,
            start_at_ms: 0,
            cut: Cut::Nowhere,
            accepted: Accepted::new(),
            keys: Keys::new(),
            number: 0,
            fate: Rng::with_seed(seed ^ 0x6c65_6e73_6b65_6570),
            next_fault_ms: 60_000,
            people: Rng::with_seed(seed ^ 0x7065_6f70_6c65),
            next_by_people_ms: 60_000,
            active: Vec::new(),
            happened: BTreeMap::new(),
            log: Vec::new(),
        }
    }

    fn now_ms(&self) -> u64 {
        self.world.lock().ms
    }

    fn step(&mut self, faults: bool) {
        self.world.lock().pass(STEP_MS);
        let now_ms = self.now_ms();
        if faults && now_ms >= self.next_fault_ms {
            self.next_fault_ms = now_ms + self.fate.u64(FAULT_EVERY_MS / 10..2 * FAULT_EVERY_MS);
            let fault = Fault::ALL[self.fate.usize(..Fault::ALL.len())];
            let lasts = fault.lasts_ms(&mut self.fate);
            let camera = self.fate.usize(..self.cameras.len());
            self.begin(fault, lasts, camera);
        }
        if faults && now_ms >= self.next_by_people_ms {
            self.next_by_people_ms =
                now_ms + self.people.u64(BY_PEOPLE_EVERY_MS / 10..2 * BY_PEOPLE_EVERY_MS);
            let what = Fault::BY_PEOPLE[self.people.usize(..Fault::BY_PEOPLE.len())];
            let lasts = what.lasts_ms(&mut self.people);
            let camera = self.people.usize(..self.cameras.len());
            self.begin(what, lasts, camera);
        }
        let (over, active) =
            std::mem::take(&mut self.active).into_iter().partition(|(_, until, _)| *until <= now_ms);
        self.active = active;
        let over: Vec<(Fault, u64, usize)> = over;
        for (fault, _, camera) in over {
            self.set(fault, camera, false);
        }
        self.weather();
        if self.process.is_none() && now_ms >= self.start_at_ms {
            self.start();
        }
        let stands = self.is_active(Fault::DiskStands);
        let Some(process) = &mut self.process else { return };
        let stepped = process.step(
            &self.organisation,
            &self.cameras,
            stands,
            &mut self.accepted,
            &mut self.keys,
            &mut self.number,
        );
        if stepped.is_err() {
            self.kill();
        }
    }

    fn is_active(&self, fault: Fault) -> bool {
        self.active.iter().any(|(active, ..)| *active == fault)
    }

    /// What goes on as long as a fault does.
    fn weather(&mut self) {
        if self.is_active(Fault::RestartLoop) && self.fate.u8(..8) == 0 {
            self.kill();
        }
        if self.is_active(Fault::ClockDrifts) {
            // A hundredth too fast.
            self.world.lock().wall += STEP_MS / 100;
        }
    }

    fn start(&mut self) {
        let cut = std::mem::replace(&mut self.cut, Cut::Nowhere);
        self.process = Process::start(&self.world, &self.organisation, &self.cameras, &mut self.keys, cut);
        if self.process.is_none() {
            self.start_at_ms = self.now_ms() + START_AGAIN_MS;
        }
    }

    /// Whatever it was about to do, it does not.
    fn kill(&mut self) {
        self.process = None;
        self.start_at_ms = self.now_ms() + START_AGAIN_MS;
    }

    fn begin(&mut self, fault: Fault, lasts: u64, camera: usize) {
        *self.happened.entry(format!("{fault:?}")).or_default() += 1;
        self.log.push((self.world.lock().now(), format!("{fault:?} for {lasts} ms, camera {camera}")));
        if lasts > 0 {
            self.active.push((fault, self.now_ms() + lasts, camera));
        }
        self.set(fault, camera, true);
        match fault {
            Fault::Kill => self.kill(),
            Fault::KillInRecovery => {
                self.kill();
                self.cut = Cut::Recovery(self.fate.usize(..4));
            }
            Fault::Restart => {
                if let Some(process) = self.process.take() {
                    process.stop();
                }
                self.start_at_ms = self.now_ms() + START_AGAIN_MS;
            }
            Fault::PowerCut(torn) => {
                self.kill();
                let mut world = self.world.lock();
                let mut rng = self.fate.fork();
                world.disk.power_cut(torn.into(), &mut rng);
            }
            Fault::BitRot | Fault::FileDeleted => self.spoil(fault == Fault::FileDeleted),
            Fault::IndexLost => {
                self.kill();
                // Where the file is lost as well, nothing but the chain of roots
                // tells, which readers look at.
                let mut world = self.world.lock();
                let World { index, disk, .. } = &mut *world;
                index.lose_rows(|row| {
                    let bytes = disk.read(&row.path).ok().flatten();
                    bytes.is_none_or(|bytes| seal::sha256(bytes) != row.report.sha256)
                });
            }
            Fault::ClockForward => self.world.lock().wall += self.fate.u64(1_000..3 * 3_600_000),
            Fault::ClockBack => {
                let back = self.fate.u64(1_000..3 * 3_600_000);
                let mut world = self.world.lock();
                world.wall = world.wall.saturating_sub(back);
            }
            Fault::CloudForgetsGrants => self.world.lock().cloud.forget_grants(),
            Fault::Event => {
                let mut world = self.world.lock();
                let now = world.now();
                let camera = self.cameras[camera].id;
                // An index that does not take it makes it no event; nothing else.
                let _ = world.index.add_event(camera, (now, now.plus_ms(lasts)));
            }
            Fault::RosterGrows => {
                let now = self.world.lock().now();
                self.organisation.grow(now);
            }
            _ => {}
        }
    }

    /// A file that the index knows changes, or is gone.
    fn spoil(&mut self, delete: bool) {
        let mut world = self.world.lock();
        let paths: Vec<String> = world.index.recordings.values().map(|row| row.path.clone()).collect();
        if paths.is_empty() {
            return;
        }
        let path = &paths[self.fate.usize(..paths.len())];
        if delete {
            world.disk.vanish(path);
        } else {
            world.disk.rot(path, &mut self.fate);
        }
    }

    fn set(&mut self, fault: Fault, camera: usize, on: bool) {
        let id = self.cameras[camera].id;
        if let (Fault::Event, Some(process)) = (fault, &mut self.process) {
            let streams = self.cameras.iter().enumerate().filter(|(_, of)| of.id == id);
            process.set_short(streams.map(|(n, _)| n), on);
        }
        let mut world = self.world.lock();
        let camera = &mut self.cameras[camera].faults;
        let World { disk, cloud, index, kilobits_max, .. } = &mut *world;
        let forward = |main| Forwarding { main, ..Forwarding::default() };
        let (disk, cloud) = (&mut disk.faults, &mut cloud.faults);
        match fault {
            Fault::DiskFull => disk.full = on,
            Fault::DiskReadOnly => disk.read_only = on,
            Fault::DiskGone => disk.gone = on,
            Fault::DiskErrors => disk.every = on.then(|| self.fate.u32(2..40)),
            Fault::FlushFails => disk.flush = on,
            Fault::IndexFails => index.fails = on,
            Fault::CameraGone | Fault::CameraRefuses => camera.refuses = fault.reason().filter(|_| on),
            Fault::CameraStalls => camera.stalls = on,
            Fault::CameraResets => camera.resets = on,
            Fault::CameraChanges => camera.changes = on,
            Fault::BadUnits => camera.bad_units = on,
            Fault::FewKeyFrames => camera.few_key_frames = on,
            Fault::CloudGone => cloud.unreachable = on,
            Fault::AnswersLost => cloud.answers_lost = on,
            Fault::Throttled => cloud.throttled = on,
            Fault::StoreDown => cloud.unavailable = on,
            Fault::TokensExpired => cloud.tokens_expired = on,
            Fault::CloudRefuses => cloud.refuses = on,
            Fault::CloudGrantsOthers => cloud.grants_others = on,
            Fault::CloudSaysMissing => cloud.says_missing = on,
            Fault::ObjectBreaksConnection => cloud.breaks_on = on.then(|| self.fate.u8(..8)),
            Fault::ForwardsEvents | Fault::ForwardsNothing if !on => {
                index.set_forwarding(id, Forwarding::default());
            }
            Fault::ForwardsEvents => index.set_forwarding(id, forward(Forward::Events)),
            Fault::ForwardsNothing => index.set_forwarding(id, forward(Forward::Never)),
            Fault::NoBandwidth => *kilobits_max = on.then_some(0),
            Fault::StoreSlow => cloud.latency_ms = if on { 20_000 } else { 0 },
            _ => {}
        }
    }

    /// Everything works again, and one start offers what was refused.
    fn calm_down(&mut self) {
        self.active.clear();
        {
            let mut world = self.world.lock();
            world.disk.faults = disk::Faults::default();
            world.cloud.faults = cloud::Faults::default();
            world.index.fails = false;
            world.kilobits_max = None;
            for camera in &self.cameras {
                world.index.set_forwarding(camera.id, Forwarding::default());
            }
        }
        self.cameras.iter_mut().for_each(|camera| camera.faults = camera::Faults::default());
        self.kill();
    }

    fn finish(mut self, seed: u64) -> Run {
        if let Some(process) = self.process.take() {
            process.stop();
        }
        let world = self.world.lock();
        let tally = judge(&world, &self.organisation.roster, &self.keys, &self.cameras, &self.accepted);
        Run { seed, simulated_ms: world.ms, tally, faults: self.happened, log: self.log }
    }
}
