//! What retention may delete. What is quiet goes first, if the site is set so, and
//! then the oldest; what is to be forwarded and is not confirmed goes only if the
//! disk would fill, and that is said aloud.

use std::collections::BTreeSet;

use model::{Hash, Timestamp};

use crate::uplink::State;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Most bytes of recordings on this gateway.
    pub bytes_max: u64,
    /// Oldest recording kept.
    pub age_ms_max: u64,
    /// Oldest one kept in which nothing happened. `None`: no difference is made.
    pub quiet_ms_max: Option<u64>,
    /// Youngest one that may go for being quiet, usually [`QUIET_MS_MIN`].
    pub quiet_ms_min: u64,
    /// Youngest recording that may go, forwarded or not.
    pub age_ms_min: u64,
    /// Free space below which even what was not forwarded goes.
    pub free_bytes_min: u64,
}

/// Nothing younger goes for being quiet, whatever room is wanted: an event that is
/// told late finds its footage, and people have a day to mark what no camera saw.
pub const QUIET_MS_MIN: u64 = Timestamp::DAY;

/// Our clock and the cloud's may be so far apart for ages to be told.
pub const CLOCKS_APART_MS_MAX: u64 = Timestamp::HOUR;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    pub id: Hash,
    pub started_at: Timestamp,
    pub bytes: u64,
    pub state: State,
    /// Whoever tells of this camera was heard all the time, and told of nothing
    /// that counts.
    pub is_quiet: bool,
}

/// The time, as far as it can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    pub now: Timestamp,
    /// Whether the cloud's clock says the same ([`is_agreed`]): one that somebody set
    /// ahead must not make everything old at once.
    pub is_agreed: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Set to stay here alone, and their time is over, or they are too many.
    pub due: Vec<Hash>,
    /// The same of what the cloud has.
    pub due_confirmed: Vec<Hash>,
    /// They go because the disk would fill.
    pub full: Vec<Hash>,
    /// Of those, what nobody else has: a gap record and an alert are due.
    pub lost: Vec<Hash>,
}

/// Whether our clock is right by another one: `ahead_ms` was measured so long ago by
/// a clock that nobody sets, and at this time by ours, which may have been set since.
pub fn is_agreed(ahead_ms: i64, measured: Timestamp, elapsed_ms: u64, now: Timestamp) -> bool {
    let apart = now.0.abs_diff(measured.0.saturating_add(elapsed_ms));
    ahead_ms.unsigned_abs() <= CLOCKS_APART_MS_MAX && apart <= CLOCKS_APART_MS_MAX
}

/// Looks at recordings, the oldest first, for as long as some of them go: of
/// millions it needs to see few. First at what can be spared, and of that at what is
/// quiet; and if the disk would fill all the same, at the rest in the same order.
#[derive(Clone, Debug)]
pub struct Planner {
    policy: Policy,
    clock: Clock,
    /// What is left if all goes that is planned to.
    total: u64,
    free: u64,
    planned: BTreeSet<Hash>,
    plan: Plan,
}

impl Planner {
    /// With the bytes of all recordings, and what is free on their disk.
    pub fn new(policy: Policy, total_bytes: u64, free_bytes: u64, clock: Clock) -> Self {
        let (planned, plan) = (BTreeSet::new(), Plan::default());
        Planner { policy, clock, total: total_bytes, free: free_bytes, planned, plan }
    }

    pub fn is_full(&self) -> bool {
        self.free < self.policy.free_bytes_min
    }

    /// Decides about the next oldest of what is confirmed or held, and quiet. Returns
    /// false if it stays and so does all that is younger.
    pub fn look_at_quiet(&mut self, recording: &Stored) -> bool {
        match self.policy.quiet_ms_max {
            Some(age_ms_max) if self.may_go_as_quiet(recording) => self.look(recording, age_ms_max),
            _ => false,
        }
    }

    /// So many are due, and no room is wanted: a later look goes on from there. Else
    /// the first look after retention is set would plan for all of a month.
    pub fn has_plenty(&self, count: usize) -> bool {
        let has_room = !self.is_full() && self.total <= self.policy.bytes_max;
        has_room && self.plan.due.len().max(self.plan.due_confirmed.len()) >= count
    }

    /// Decides about the next oldest of what is confirmed or held. Returns false if
    /// it stays and so does all that is younger.
    pub fn look_at_spare(&mut self, recording: &Stored) -> bool {
        self.planned.contains(&recording.id) || self.look(recording, self.policy.age_ms_max)
    }

    /// Decides about the next oldest of all that is quiet. Returns false once there
    /// is room, or if all that is younger stays for now.
    pub fn look_at_quiet_rest(&mut self, recording: &Stored) -> bool {
        self.may_go_as_quiet(recording) && self.look_at_rest(recording)
    }

    /// Of a clock that nobody confirms, nobody knows what is a day old.
    fn may_go_as_quiet(&self, recording: &Stored) -> bool {
        let age_ms = self.clock.now.ms_since(recording.started_at);
        let is_set = self.policy.quiet_ms_max.is_some();
        is_set && recording.is_quiet && self.clock.is_agreed && age_ms >= self.policy.quiet_ms_min
    }

    fn look(&mut self, recording: &Stored, age_ms_max: u64) -> bool {
        let age_ms = self.clock.now.ms_since(recording.started_at);
        let is_old = self.clock.is_agreed && age_ms > age_ms_max;
        let is_over = is_old || self.total > self.policy.bytes_max;
        let is_due = is_over && age_ms >= self.policy.age_ms_min;
        let is_full = self.is_full();
        let is_confirmed = recording.state == State::Confirmed;
        if is_due || (is_full && is_confirmed) {
            self.goes(recording);
            let goes = match (is_full, is_confirmed) {
                (true, _) => &mut self.plan.full,
                (false, true) => &mut self.plan.due_confirmed,
                (false, false) => &mut self.plan.due,
            };
            goes.push(recording.id);
        }
        is_full || is_over
    }

    /// Decides about the next oldest of all. Returns false once there is room.
    pub fn look_at_rest(&mut self, recording: &Stored) -> bool {
        if !self.is_full() {
            return false;
        }
        let is_planned = recording.state == State::Confirmed || self.planned.contains(&recording.id);
        if !is_planned {
            self.goes(recording);
            self.plan.full.push(recording.id);
            // Of what is damaged, a gap was told.
            if recording.state != State::Damaged {
                self.plan.lost.push(recording.id);
            }
        }
        true
    }

    fn goes(&mut self, recording: &Stored) {
        self.total = self.total.saturating_sub(recording.bytes);
        self.free = self.free.saturating_add(recording.bytes);
        self.planned.insert(recording.id);
    }

    pub fn plan(self) -> Plan {
        self.plan
    }
}

/// Whether a recording is one of those that can be spared in their time.
pub fn is_spare(state: State) -> bool {
    matches!(state, State::Confirmed | State::Held)
}

/// Of all recordings, from oldest to newest.
pub fn plan(policy: Policy, stored: &[Stored], free_bytes: u64, clock: Clock) -> Plan {
    let total = stored.iter().map(|recording| recording.bytes).sum();
    let mut planner = Planner::new(policy, total, free_bytes, clock);
    let spare = || stored.iter().filter(|recording| is_spare(recording.state));
    let _ = spare().filter(|recording| recording.is_quiet).all(|recording| planner.look_at_quiet(recording));
    let _ = spare().all(|recording| planner.look_at_spare(recording));
    let mut quiet = stored.iter().filter(|recording| recording.is_quiet);
    let _ = quiet.all(|recording| planner.look_at_quiet_rest(recording));
    let _ = stored.iter().all(|recording| planner.look_at_rest(recording));
    planner.plan()
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: Policy = Policy {
        bytes_max: 30,
        age_ms_max: 1_000,
        quiet_ms_max: None,
        quiet_ms_min: QUIET_MS_MIN,
        age_ms_min: 100,
        free_bytes_min: 5,
    };
    const NOW: Timestamp = Timestamp(10_000);
    const CLOCK: Clock = Clock { now: NOW, is_agreed: true };

    fn stored(n: u8, age_ms: u64, state: State) -> Stored {
        Stored { id: Hash([n; 32]), started_at: NOW.minus_ms(age_ms), bytes: 10, state, is_quiet: false }
    }

    fn ids(ids: &[Hash]) -> Vec<u8> {
        ids.iter().map(|id| id.0[0]).collect()
    }

    /// All that goes, and what of it is lost.
    fn deleted(rows: &[(u8, u64, State)], free: u64) -> (Vec<u8>, Vec<u8>) {
        let rows: Vec<Stored> = rows.iter().map(|&(n, age_ms, state)| stored(n, age_ms, state)).collect();
        let Plan { due, due_confirmed, full, lost } = plan(POLICY, &rows, free, CLOCK);
        (ids(&[full, due, due_confirmed].concat()), ids(&lost))
    }

    #[test]
    fn the_oldest_go_first() {
        let rows = [1, 2, 3, 4, 5].map(|n| (n, 1_000 - 100 * u64::from(n), State::Confirmed));
        assert_eq!(deleted(&rows, 100), (vec![1, 2], vec![]));
        let rows = [(1, 2_000, State::Confirmed), (2, 10, State::Confirmed)];
        assert_eq!(deleted(&rows, 100), (vec![1], vec![]));
    }

    #[test]
    fn what_was_not_forwarded_stays_until_nothing_else_makes_room() {
        use State::{Confirmed, Kept, Refused, Uploaded};
        let rows = [(1, 2_000, Kept), (2, 1_900, Confirmed), (3, 900, Uploaded), (4, 50, Confirmed)];
        assert_eq!(deleted(&rows, 100), (vec![2], vec![]));
        assert_eq!(deleted(&rows, 0), (vec![2], vec![]), "it is enough");
        let large = Policy { free_bytes_min: 25, ..POLICY };
        let rows = rows.map(|(n, age_ms, state)| stored(n, age_ms, state));
        let plan = |rows: &[Stored]| super::plan(large, rows, 0, CLOCK);
        assert_eq!((ids(&plan(&rows).full), ids(&plan(&rows).lost)), (vec![2, 4, 1], vec![1]));
        let refused = [stored(1, 900, Refused), stored(2, 800, Kept), stored(3, 700, Kept)];
        assert_eq!(ids(&plan(&refused).lost), [1, 2, 3]);
    }

    #[test]
    fn what_is_damaged_makes_room_and_is_not_told_again() {
        assert_eq!(deleted(&[(1, 2_000, State::Damaged)], 0), (vec![1], vec![]));
        assert_eq!(deleted(&[(1, 2_000, State::Damaged)], 100), (vec![], vec![]));
    }

    #[test]
    fn what_stays_here_alone_goes_in_its_time_and_is_missed_before() {
        let stored = [stored(1, 2_000, State::Held), stored(2, 500, State::Held), stored(3, 50, State::Held)];
        let due = Plan { due: vec![Hash([1; 32])], ..Plan::default() };
        assert_eq!(plan(POLICY, &stored, 100, CLOCK), due);
        let full =
            Plan { full: vec![Hash([1; 32]), Hash([2; 32])], lost: vec![Hash([2; 32])], ..Plan::default() };
        assert_eq!(plan(Policy { free_bytes_min: 15, ..POLICY }, &stored, 0, CLOCK), full);
    }

    #[test]
    fn the_youngest_stay() {
        let rows: Vec<_> = (0..9).map(|n| (n, 50, State::Confirmed)).collect();
        assert_eq!(deleted(&rows, 100), (vec![], vec![]));
    }

    #[test]
    fn a_clock_that_nobody_confirms_makes_nothing_old() {
        let stored = [stored(1, 500, State::Held), stored(2, 400, State::Confirmed)];
        let set_ahead = Clock { now: NOW.plus_ms(366 * Timestamp::DAY), is_agreed: false };
        assert_eq!(plan(POLICY, &stored, 100, set_ahead), Plan::default());
        let agreed = Clock { is_agreed: true, ..set_ahead };
        assert_eq!(ids(&plan(POLICY, &stored, 100, agreed).due), [1]);
        // What is too much goes by its order, whatever the clock says.
        let small = Policy { bytes_max: 15, ..POLICY };
        assert_eq!(ids(&plan(small, &stored, 100, set_ahead).due), [1]);
    }

    const DAY: u64 = Timestamp::DAY;
    const BY_DAYS: Policy = Policy {
        bytes_max: u64::MAX,
        age_ms_max: 30 * DAY,
        quiet_ms_max: Some(2 * DAY),
        quiet_ms_min: QUIET_MS_MIN,
        age_ms_min: 100,
        free_bytes_min: 0,
    };
    const LATER: Clock = Clock { now: Timestamp(100 * DAY), is_agreed: true };

    /// (number, age in days, state, whether it is quiet)
    fn of_days(rows: &[(u8, u64, State, bool)]) -> Vec<Stored> {
        let row = |&(n, days, state, is_quiet): &(u8, u64, State, bool)| Stored {
            started_at: LATER.now.minus_ms(days * DAY),
            is_quiet,
            ..stored(n, 0, state)
        };
        rows.iter().map(row).collect()
    }

    #[test]
    fn what_is_quiet_goes_earlier_and_what_is_of_an_event_stays() {
        use State::{Confirmed, Damaged, Held, Kept, Refused, Uploaded};
        let rows = of_days(&[
            (1, 31, Held, false),
            (2, 30, Held, false),
            (3, 29, Held, true),
            (4, 20, Confirmed, true),
            (5, 19, Confirmed, false),
            (6, 18, Kept, true),
            (7, 17, Uploaded, true),
            (8, 16, Refused, true),
            (9, 15, Damaged, true),
            (10, 2, Held, true),
        ]);
        let Plan { due, due_confirmed, full, lost } = plan(BY_DAYS, &rows, 100, LATER);
        assert_eq!((ids(&due), ids(&due_confirmed)), (vec![3, 1], vec![4]));
        assert!(full.is_empty() && lost.is_empty(), "what is to be forwarded waits, quiet or not");
        let no_difference = Policy { quiet_ms_max: None, ..BY_DAYS };
        assert_eq!(ids(&plan(no_difference, &rows, 100, LATER).due), [1]);
    }

    #[test]
    fn a_clock_that_nobody_confirms_makes_nothing_quiet_go() {
        let rows = of_days(&[(1, 20, State::Held, false), (2, 10, State::Held, true)]);
        let alone = Clock { is_agreed: false, ..LATER };
        assert_eq!(plan(BY_DAYS, &rows, 100, alone), Plan::default());
        // Too much is too much; then by age alone, as if nothing were quiet.
        let small = Policy { bytes_max: 15, ..BY_DAYS };
        assert_eq!(ids(&plan(small, &rows, 100, alone).due), [1]);
        assert_eq!(ids(&plan(small, &rows, 100, LATER).due), [2]);
    }

    /// The attack: one camera tells of something all the time, so that the disk is
    /// full of its footage.
    #[test]
    fn a_flood_of_events_leaves_others_a_day_and_itself_the_room_there_is() {
        let mut rows: Vec<_> = (1..=4).map(|n| (n, 10 - u64::from(n), State::Held, false)).collect();
        rows.extend([(5, 2, State::Held, true), (6, 0, State::Held, true)]);
        let rows = of_days(&rows);
        let small = Policy { bytes_max: 35, ..BY_DAYS };
        assert_eq!(
            ids(&plan(small, &rows, 100, LATER).due),
            [5, 1, 2],
            "then the oldest, of an event or not"
        );
    }

    #[test]
    fn plenty_is_enough_for_one_look_but_never_where_room_is_wanted() {
        let rows =
            of_days(&[(1, 9, State::Held, true), (2, 8, State::Held, true), (3, 7, State::Held, true)]);
        let look = |bytes_max, free| {
            let mut planner = Planner::new(Policy { bytes_max, ..BY_DAYS }, 30, free, LATER);
            let _ = rows.iter().all(|row| planner.look_at_quiet(row) && !planner.has_plenty(1));
            let Plan { due, full, .. } = planner.plan();
            (ids(&due), ids(&full))
        };
        assert_eq!(look(u64::MAX, 100), (vec![1], vec![]));
        assert_eq!(look(15, 100), (vec![1, 2], vec![]), "until what is left fits");
    }

    #[test]
    fn a_full_disk_takes_what_others_have_and_is_quiet_first() {
        use State::{Confirmed, Kept};
        let rows = of_days(&[
            (1, 9, Kept, false),
            (2, 8, Confirmed, false),
            (3, 7, Kept, true),
            (4, 6, Confirmed, true),
            (5, 0, Kept, true),
            (6, 0, Confirmed, true),
        ]);
        let goes = |free_bytes_min| {
            let Plan { full, lost, .. } = plan(Policy { free_bytes_min, ..BY_DAYS }, &rows, 0, LATER);
            (ids(&full), ids(&lost))
        };
        assert_eq!(goes(5), (vec![4], vec![]));
        assert_eq!(goes(15), (vec![4, 2], vec![]));
        assert_eq!(goes(35), (vec![4, 2, 6, 3], vec![3]), "what is a day old, before the oldest");
        assert_eq!(goes(55), (vec![4, 2, 6, 3, 1, 5], vec![3, 1, 5]));
    }

    #[test]
    fn a_clock_that_was_set_since_is_not_agreed() {
        let later = |ms: u64| NOW.plus_ms(ms);
        assert!(is_agreed(-2_000, NOW, 50_000, later(50_000)));
        assert!(is_agreed(2_000, NOW, 9 * Timestamp::DAY, later(9 * Timestamp::DAY)));
        assert!(!is_agreed(0, NOW, 50_000, later(Timestamp::DAY)), "set ahead since");
        let before = NOW.minus_ms(Timestamp::DAY);
        assert!(!is_agreed(0, later(Timestamp::DAY), 50_000, before), "set back since");
        assert!(!is_agreed(Timestamp::DAY as i64, NOW, 50_000, later(50_000)), "ahead of the cloud's");
        assert!(!is_agreed(i64::MIN, NOW, 0, NOW));
    }
}
