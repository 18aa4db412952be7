//! What keeps a site from being recorded, as events that people are told of: a
//! camera that is down or repeats its picture, a disk that takes nothing, a clock
//! that is wrong. One event for one trouble, however it flickers, and the same one
//! over a restart.

use std::collections::BTreeMap;

use model::wire::GapReason;
use model::{CameraId, EventId, EventKind, EventPhase, EventSource, Timestamp};
use seal::event::Event;
use serde::{Deserialize, Serialize};

use crate::events::Now;
use crate::health::{Machine, SKEW_MS_MAX, UNFLUSHED_MS_MAX};

/// A camera that gave no picture for so long in all is told. Ten minutes of a
/// camera that is there for twenty seconds of each minute are one event.
pub const DOWN_MS: u64 = 30_000;
/// On top of [`crate::health::FROZEN_MS`].
pub const FROZEN_MS: u64 = 10_000;
pub const DISK_MS: u64 = 10_000;
pub const CLOCK_MS: u64 = 30_000;
/// What was well for so long is over; less is a pause.
pub const WELL_MS: u64 = Timestamp::MINUTE;
/// And of what comes again and again, twice as long each time, up to this.
pub const WELL_MS_MAX: u64 = 30 * Timestamp::MINUTE;
/// What was well for so long may be told as readily as the first time.
pub const FORGOTTEN_MS: u64 = Timestamp::HOUR;
/// A look that comes later says nothing of the time before: the machine slept.
const LOOK_MS_MAX: u64 = 5_000;
/// Of what was kept over a restart; a site has fewer.
pub const KEPT_MAX: usize = 16_384;
const FAILING: &str = "failing";
/// What may be wrong with a disk, the worst last.
const DISK_CAUSES: [&str; 4] = ["filling", "slow", "full", FAILING];
/// Of [`Kept::cause`].
const CAUSE_MAX: usize = 32;

/// How the full stream of a camera is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    Recorded { is_frozen: bool },
    Missing(GapReason),
}

/// What is left of the disk, as retention saw it last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Room {
    #[default]
    Enough,
    /// It fills, and nothing that is there is safe elsewhere.
    Scarce,
    /// It is full: what nobody else has was deleted, or nothing could be.
    None,
}

/// A site at one moment.
#[derive(Clone, Debug, Default)]
pub struct Site {
    pub cameras: BTreeMap<CameraId, Condition>,
    pub machine: Machine,
    pub room: Room,
}

/// What is told: something began, or is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// None: it is the gateway's, and so of each of its cameras.
    pub camera: Option<CameraId>,
    pub event: Event,
    pub began_at: Timestamp,
    /// It follows from another trouble that people are told of.
    pub follows: bool,
}

/// A trouble that goes on, for the next start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    camera: Option<CameraId>,
    id: EventId,
    kind: EventKind,
    cause: String,
    at: Timestamp,
}

/// All that is wrong at a site, or was until a moment ago.
#[derive(Debug, Default)]
pub struct Troubles {
    of: BTreeMap<(Option<CameraId>, Aspect), Course>,
    looked_ms: Option<u64>,
}

/// What is looked at. One is wrong in one way at a time: a camera that restarts is
/// away, then silent, then refuses, and is one camera that is down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Aspect {
    Picture,
    Frozen,
    Disk,
    Clock,
}

impl Aspect {
    fn of(kind: EventKind) -> Option<Self> {
        match kind {
            EventKind::CameraDown | EventKind::NotRecorded => Some(Aspect::Picture),
            EventKind::Frozen => Some(Aspect::Frozen),
            EventKind::Disk => Some(Aspect::Disk),
            EventKind::Clock => Some(Aspect::Clock),
            _ => None,
        }
    }

    fn patience_ms(self) -> u64 {
        match self {
            Aspect::Picture => DOWN_MS,
            Aspect::Frozen => FROZEN_MS,
            Aspect::Disk => DISK_MS,
            Aspect::Clock => CLOCK_MS,
        }
    }
}

/// The kind and its cause, as events name it.
type Wrong = (EventKind, &'static str);

#[derive(Debug, Default)]
struct Course {
    /// How long it was wrong since it was well for [`WELL_MS`], and since when.
    wrong_ms: u64,
    since: Option<Timestamp>,
    well_ms: u64,
    /// Events since it was well for [`FORGOTTEN_MS`].
    events: u32,
    active: Option<Kept>,
}

impl Troubles {
    /// What went on when the gateway ended goes on.
    pub fn resume(kept: Vec<Kept>) -> Self {
        let kept = kept.into_iter().take(KEPT_MAX).filter(|one| one.cause.len() <= CAUSE_MAX);
        let courses = kept.filter_map(|one| {
            let key = (one.camera, Aspect::of(one.kind)?);
            let course = Course { since: Some(one.at), events: 1, active: Some(one), ..Course::default() };
            Some((key, course))
        });
        Troubles { of: courses.collect(), looked_ms: None }
    }

    /// For [`Troubles::resume`].
    pub fn kept(&self) -> Vec<Kept> {
        self.of.values().filter_map(|course| course.active.clone()).take(KEPT_MAX).collect()
    }

    /// What goes on, for those who have to be told again after a restart.
    pub fn active(&self) -> impl Iterator<Item = Trouble> + '_ {
        let active = self.of.values().filter_map(|course| course.active.as_ref());
        active.map(|kept| self.trouble(kept, EventPhase::Began, kept.at))
    }

    /// What is to be told of what is seen. `id` draws 128 random bits.
    pub fn look(&mut self, site: &Site, now: Now, id: &mut dyn FnMut() -> EventId) -> Vec<Trouble> {
        let passed_ms = self.looked_ms.map_or(0, |ms| now.ms.saturating_sub(ms)).min(LOOK_MS_MAX);
        self.looked_ms = Some(now.ms);
        let mut seen: BTreeMap<(Option<CameraId>, Aspect), Option<Wrong>> = BTreeMap::new();
        // The gateway's own is told of its cameras; without one it waits.
        if !site.cameras.is_empty() {
            seen.insert((None, Aspect::Disk), disk(site));
            // A clock that nobody compares is neither right nor wrong.
            if let Some(ahead_ms) = site.machine.ahead_ms {
                seen.insert((None, Aspect::Clock), clock(ahead_ms));
            }
        }
        for (&camera, condition) in &site.cameras {
            seen.insert((Some(camera), Aspect::Picture), picture(*condition));
            // Without a picture nobody knows whether it is frozen.
            if let Condition::Recorded { is_frozen } = condition {
                let wrong = is_frozen.then_some((EventKind::Frozen, "frozen"));
                seen.insert((Some(camera), Aspect::Frozen), wrong);
            }
        }
        // Of a camera that is not there any more nothing is wrong.
        let is_gone = |(camera, _): &&(Option<CameraId>, Aspect)| {
            camera.is_some_and(|camera| !site.cameras.contains_key(&camera))
        };
        seen.extend(self.of.keys().filter(is_gone).map(|key| (*key, None)));
        let mut told = Vec::new();
        for ((camera, aspect), wrong) in seen {
            if wrong.is_none() && !self.of.contains_key(&(camera, aspect)) {
                continue;
            }
            let course = self.of.entry((camera, aspect)).or_default();
            let changes: Vec<Change> = match wrong {
                Some(wrong) => {
                    let lesser = course.worsens(wrong, now);
                    let began = course.wrong((camera, aspect), wrong, (passed_ms, now), id);
                    lesser.into_iter().chain(began).collect()
                }
                None => course.well(passed_ms, now).into_iter().collect(),
            };
            if course.is_forgotten() {
                self.of.remove(&(camera, aspect));
            }
            told.extend(changes.iter().map(|(kept, phase, at)| self.trouble(kept, *phase, *at)));
        }
        told
    }

    fn trouble(&self, kept: &Kept, phase: EventPhase, at: Timestamp) -> Trouble {
        let event = Event {
            id: kept.id,
            at,
            phase,
            kind: kept.kind,
            rule: Some(kept.cause.clone()),
            source: EventSource::Gateway,
            topic: format!("lenskeep/{}", name(kept.kind)),
        };
        // Of a disk that is merely full, people were not told that nothing is recorded.
        let disk = self.of.get(&(None, Aspect::Disk)).and_then(|course| course.active.as_ref());
        let follows = disk.is_some_and(|disk| disk.cause == FAILING)
            && kept.camera.is_some()
            && kept.cause == GapReason::DiskFull.as_str();
        Trouble { camera: kept.camera, event, began_at: kept.at, follows }
    }
}

type Change = (Kept, EventPhase, Timestamp);

impl Course {
    fn wrong(
        &mut self,
        (camera, aspect): (Option<CameraId>, Aspect),
        (kind, cause): Wrong,
        (passed_ms, now): (u64, Now),
        id: &mut dyn FnMut() -> EventId,
    ) -> Option<Change> {
        self.well_ms = 0;
        let at = *self.since.get_or_insert(now.at);
        self.wrong_ms = self.wrong_ms.saturating_add(passed_ms);
        if self.active.is_some() || self.wrong_ms < aspect.patience_ms() {
            return None;
        }
        let kept = Kept { camera, id: id(), kind, cause: cause.to_owned(), at };
        self.active = Some(kept.clone());
        self.events = self.events.saturating_add(1);
        Some((kept, EventPhase::Began, at))
    }

    /// Ends what was told of a disk if it is worse by now: footage that goes for good
    /// is not the disk that fills.
    fn worsens(&mut self, (kind, cause): Wrong, now: Now) -> Option<Change> {
        let rank = |cause: &str| DISK_CAUSES.iter().position(|known| *known == cause);
        let before = self.active.as_ref().filter(|before| before.kind == kind)?;
        if rank(cause)? <= rank(&before.cause)? {
            return None;
        }
        self.since = Some(now.at);
        Some((self.active.take()?, EventPhase::Ended, now.at))
    }

    fn well(&mut self, passed_ms: u64, now: Now) -> Option<Change> {
        self.well_ms = self.well_ms.saturating_add(passed_ms);
        let enough = match self.active {
            Some(_) => (WELL_MS << self.events.saturating_sub(1).min(8)).min(WELL_MS_MAX),
            None => WELL_MS,
        };
        if self.well_ms < enough {
            return None;
        }
        (self.wrong_ms, self.since) = (0, None);
        let kept = self.active.take()?;
        let at = now.at.minus_ms(self.well_ms).max(kept.at);
        Some((kept, EventPhase::Ended, at))
    }

    fn is_forgotten(&self) -> bool {
        self.active.is_none() && self.well_ms >= FORGOTTEN_MS
    }
}

fn picture(condition: Condition) -> Option<Wrong> {
    let Condition::Missing(reason) = condition else { return None };
    let kind = match reason {
        GapReason::CameraUnreachable | GapReason::Stalled => EventKind::CameraDown,
        _ => EventKind::NotRecorded,
    };
    Some((kind, reason.as_str()))
}

fn disk(site: &Site) -> Option<Wrong> {
    let takes_nothing = site.cameras.values().any(|one| *one == Condition::Missing(GapReason::DiskFull));
    let cause = match site.room {
        _ if takes_nothing => FAILING,
        _ if site.machine.unflushed_ms > UNFLUSHED_MS_MAX => "slow",
        Room::None => "full",
        Room::Scarce => "filling",
        Room::Enough => return None,
    };
    Some((EventKind::Disk, cause))
}

fn clock(ahead_ms: i64) -> Option<Wrong> {
    let is_wrong = ahead_ms.unsigned_abs() > SKEW_MS_MAX;
    is_wrong.then_some((EventKind::Clock, if ahead_ms > 0 { "ahead" } else { "behind" }))
}

fn name(kind: EventKind) -> &'static str {
    crate::home_assistant::KINDS.iter().find(|known| known.0 == kind).map_or("other", |known| known.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp(1_764_000_000_000);
    const DOWN: Condition = Condition::Missing(GapReason::CameraUnreachable);
    const WELL: Condition = Condition::Recorded { is_frozen: false };
    const FULL: Condition = Condition::Missing(GapReason::DiskFull);

    fn camera(n: u8) -> CameraId {
        CameraId::from_random([n; 16])
    }

    struct Watched {
        troubles: Troubles,
        site: Site,
        ms: u64,
        drawn: u8,
    }

    impl Watched {
        fn new() -> Self {
            let cameras = BTreeMap::from([(camera(1), WELL)]);
            let site = Site { cameras, ..Site::default() };
            Watched { troubles: Troubles::default(), site, ms: 0, drawn: 0 }
        }

        fn set(&mut self, condition: Condition) {
            self.site.cameras.values_mut().for_each(|one| *one = condition);
        }

        /// Looks once a second.
        fn pass(&mut self, seconds: u64) -> Vec<Trouble> {
            let mut told = Vec::new();
            for _ in 0..seconds {
                self.ms += 1_000;
                let now = Now { ms: self.ms, at: START.plus_ms(self.ms) };
                let drawn = &mut self.drawn;
                told.extend(self.troubles.look(&self.site, now, &mut || {
                    *drawn += 1;
                    EventId::from_random([*drawn; 16])
                }));
            }
            told
        }

        fn pass_as(&mut self, condition: Condition, seconds: u64) -> Vec<Trouble> {
            self.set(condition);
            self.pass(seconds)
        }
    }

    /// Kind, cause, phase, and seconds since the start.
    fn said(told: &[Trouble]) -> Vec<(EventKind, &str, EventPhase, u64)> {
        let one =
            |Trouble { event, .. }: &'_ Trouble| (event.kind, event.phase, event.at.ms_since(START) / 1_000);
        let words = told.iter().map(|one| one.event.rule.as_deref().unwrap());
        told.iter().map(one).zip(words).map(|((kind, phase, at), cause)| (kind, cause, phase, at)).collect()
    }

    use EventKind::{CameraDown, Clock, Disk, Frozen, NotRecorded};
    use EventPhase::{Began, Ended};

    #[test]
    fn a_camera_that_is_down_is_one_event_from_when_it_went_until_it_is_back() {
        let mut site = Watched::new();
        assert_eq!(site.pass(10), []);
        assert_eq!(site.pass_as(DOWN, 29), []);
        let told = site.pass(2);
        assert_eq!(said(&told), [(CameraDown, "camera_unreachable", Began, 11)]);
        assert_eq!((told[0].camera, told[0].event.topic.as_str()), (Some(camera(1)), "lenskeep/camera_down"));
        let id = told[0].event.id;
        // It starts again, and says so in three ways.
        assert_eq!(site.pass_as(Condition::Missing(GapReason::CameraRefused), 100), []);
        assert_eq!(site.pass_as(Condition::Missing(GapReason::Stalled), 100), []);
        assert_eq!(site.pass_as(WELL, 59), []);
        let told = site.pass(1);
        assert_eq!(said(&told), [(CameraDown, "camera_unreachable", Ended, 241)]);
        assert_eq!((told[0].event.id, told[0].began_at), (id, START.plus_ms(11_000)));
    }

    #[test]
    fn a_camera_that_is_away_for_a_moment_is_not_told() {
        let mut site = Watched::new();
        site.pass_as(DOWN, 25);
        site.pass_as(WELL, 61);
        assert_eq!(site.pass_as(DOWN, 25), []);
    }

    /// The usual course: the cloud is away, the disk fills, what nobody else has goes,
    /// and then the disk dies. Each is told, and none of it twice.
    #[test]
    fn a_disk_that_gets_worse_is_told_again() {
        let mut site = Watched::new();
        site.site.room = Room::Scarce;
        assert_eq!(said(&site.pass(12)), [(Disk, "filling", Began, 1)]);
        site.site.room = Room::None;
        assert_eq!(said(&site.pass(1)), [(Disk, "filling", Ended, 13), (Disk, "full", Began, 13)]);
        site.site.room = Room::Scarce;
        assert_eq!(site.pass(100), [], "that it is somewhat better is no news");
        // A camera that is not recorded while the disk is merely full is told of.
        let told = site.pass_as(FULL, 31);
        let words = [
            (Disk, "full", Ended, 114),
            (Disk, "failing", Began, 114),
            (NotRecorded, "disk_full", Began, 114),
        ];
        assert_eq!(said(&told), words);
        assert_eq!(told.iter().map(|one| one.follows).collect::<Vec<_>>(), [false, false, true]);
    }

    #[test]
    fn what_is_wrong_with_the_gateway_waits_for_a_camera() {
        let mut site = Watched::new();
        let camera = site.site.cameras.pop_first().unwrap();
        site.site.machine.ahead_ms = Some(90_000);
        assert_eq!(site.pass(100), []);
        site.site.cameras.extend([camera]);
        assert_eq!(said(&site.pass(60)).first().map(|one| (one.0, one.2)), Some((Clock, Began)));
    }

    /// The attack: somebody at the cable, or a bad plug.
    #[test]
    fn a_camera_that_comes_and_goes_floods_nobody() {
        for (down, up) in [(1, 1), (10, 10), (31, 61), (5, 59), (40, 130), (31, 600)] {
            let mut site = Watched::new();
            let mut told = Vec::new();
            while site.ms < Timestamp::DAY {
                told.extend(site.pass_as(DOWN, down));
                told.extend(site.pass_as(WELL, up));
            }
            let began = told.iter().filter(|one| one.event.phase == Began).count();
            assert!((1..=12).contains(&began), "{began} events of a day with {down} s down, {up} s up");
        }
    }

    #[test]
    fn after_a_quiet_hour_a_trouble_is_over_as_soon_as_the_first_time() {
        let mut site = Watched::new();
        for _ in 0..3 {
            site.pass_as(DOWN, 40);
            site.pass_as(WELL, 600);
        }
        site.pass_as(WELL, 3_600);
        assert!(site.troubles.of.is_empty(), "nothing is kept of it");
        site.pass_as(DOWN, 40);
        assert_eq!(site.pass_as(WELL, 60).len(), 1);
    }

    #[test]
    fn a_camera_that_is_there_and_is_not_recorded_is_said_to_be_that() {
        let mut site = Watched::new();
        let told = site.pass_as(Condition::Missing(GapReason::BadStream), 40);
        assert_eq!(said(&told), [(NotRecorded, "bad_stream", Began, 1)]);
        let mut site = Watched::new();
        let told = site.pass_as(Condition::Recorded { is_frozen: true }, 40);
        assert_eq!(said(&told), [(Frozen, "frozen", Began, 1)]);
        // Down meanwhile: whether it still is frozen nobody knows.
        assert_eq!(said(&site.pass_as(DOWN, 120)).len(), 1);
        assert_eq!(said(&site.pass_as(WELL, 60)).len(), 2);
    }

    #[test]
    fn a_disk_that_takes_nothing_is_told_once_for_all_cameras() {
        let mut site = Watched::new();
        site.site.cameras.extend((2..=100).map(|n| (camera(n), WELL)));
        let told = site.pass_as(FULL, 40);
        let (gateway, cameras): (Vec<_>, Vec<_>) = told.into_iter().partition(|one| one.camera.is_none());
        assert_eq!(said(&gateway), [(Disk, "failing", Began, 1)]);
        assert_eq!((cameras.len(), gateway[0].follows), (100, false));
        assert!(cameras.iter().all(|one| one.follows && one.event.kind == NotRecorded));
        let told = site.pass_as(WELL, 60);
        assert_eq!(told.len(), 101);
        assert!(told.iter().all(|one| one.event.phase == Ended));
    }

    #[test]
    fn disk_and_clock_are_told_with_what_is_wrong() {
        let first = |set: fn(&mut Site)| {
            let mut site = Watched::new();
            set(&mut site.site);
            said(&site.pass(40)).first().map(|one| (one.0, one.1.to_owned()))
        };
        assert_eq!(first(|_| ()), None);
        assert_eq!(first(|site| site.room = Room::Scarce), Some((Disk, "filling".into())));
        assert_eq!(first(|site| site.room = Room::None), Some((Disk, "full".into())));
        assert_eq!(first(|site| site.machine.unflushed_ms = 6_000), Some((Disk, "slow".into())));
        assert_eq!(first(|site| site.machine.ahead_ms = Some(29_000)), None);
        assert_eq!(first(|site| site.machine.ahead_ms = Some(31_000)), Some((Clock, "ahead".into())));
        assert_eq!(first(|site| site.machine.ahead_ms = Some(i64::MIN)), Some((Clock, "behind".into())));
    }

    #[test]
    fn a_clock_that_is_compared_no_more_is_neither_right_nor_wrong() {
        let mut site = Watched::new();
        site.site.machine.ahead_ms = Some(100_000);
        assert_eq!(site.pass(40).len(), 1);
        site.site.machine.ahead_ms = None;
        assert_eq!(site.pass(200), []);
        site.site.machine.ahead_ms = Some(0);
        assert_eq!(site.pass(60).len(), 1);
    }

    #[test]
    fn a_restart_makes_no_second_event_of_one_trouble() {
        let mut site = Watched::new();
        let id = site.pass_as(DOWN, 40)[0].event.id;
        let kept = serde_json::to_vec(&site.troubles.kept()).unwrap();
        site.troubles = Troubles::resume(serde_json::from_slice(&kept).unwrap());
        assert_eq!(site.troubles.active().map(|one| one.event.id).collect::<Vec<_>>(), [id]);
        assert_eq!(site.pass_as(DOWN, 100), []);
        let told = site.pass_as(WELL, 60);
        assert_eq!((told.len(), told[0].event.id, told[0].event.phase), (1, id, Ended));
        assert!(site.troubles.kept().is_empty());
    }

    #[test]
    fn what_was_kept_by_a_stranger_is_bounded() {
        let one = |kind, cause: &str| Kept {
            camera: None,
            id: EventId::from_random([1; 16]),
            kind,
            cause: cause.into(),
            at: START,
        };
        let kept = vec![one(EventKind::Motion, "frozen"), one(Disk, &"x".repeat(33)), one(Clock, "ahead")];
        assert_eq!(Troubles::resume(kept).kept().len(), 1);
    }

    #[test]
    fn a_camera_that_is_taken_away_is_troubled_no_more() {
        let mut site = Watched::new();
        site.pass_as(DOWN, 40);
        site.site.cameras.clear();
        assert_eq!(site.pass(60)[0].event.phase, Ended);
    }

    #[test]
    fn a_machine_that_slept_knows_nothing_of_that_time() {
        let mut site = Watched::new();
        site.pass_as(DOWN, 2);
        site.ms += Timestamp::HOUR;
        assert_eq!(site.pass(10), []);
    }
}
