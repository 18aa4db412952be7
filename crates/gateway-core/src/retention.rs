//! What retention may delete. Oldest first; what is to be forwarded and is not
//! confirmed goes only if the disk would fill, and that is said aloud.

use model::{Hash, Timestamp};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Most bytes of recordings on this gateway.
    pub bytes_max: u64,
    /// Oldest recording kept.
    pub age_ms_max: u64,
    /// Youngest recording that may go, forwarded or not.
    pub age_ms_min: u64,
    /// Free space below which even what was not forwarded goes.
    pub free_bytes_min: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    pub id: Hash,
    pub started_at: Timestamp,
    pub bytes: u64,
    /// The cloud read it back from the store.
    pub confirmed: bool,
    /// The site is set to keep it here alone: to delete it in its time loses
    /// nothing that was promised.
    pub held: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Their time is over, or they are too many.
    pub due: Vec<Hash>,
    /// They go because the disk would fill.
    pub full: Vec<Hash>,
    /// Of those, what nobody else has: a gap record and an alert are due.
    pub lost: Vec<Hash>,
}

/// Looks at recordings, the oldest first, for as long as some of them go: of
/// millions it needs to see few.
#[derive(Clone, Debug)]
pub struct Planner {
    policy: Policy,
    now: Timestamp,
    /// What is left if all goes that is planned to.
    total: u64,
    free: u64,
    plan: Plan,
}

impl Planner {
    /// With the bytes of all recordings, and what is free on their disk.
    pub fn new(policy: Policy, total_bytes: u64, free_bytes: u64, now: Timestamp) -> Self {
        Planner { policy, now, total: total_bytes, free: free_bytes, plan: Plan::default() }
    }

    /// Decides about the next oldest. Returns false if it stays and so does all
    /// that is younger.
    pub fn look(&mut self, recording: &Stored) -> bool {
        let age_ms = self.now.ms_since(recording.started_at);
        let is_over = self.total > self.policy.bytes_max || age_ms > self.policy.age_ms_max;
        let disk_full = self.free < self.policy.free_bytes_min;
        let allowed = age_ms >= self.policy.age_ms_min && (recording.confirmed || recording.held);
        let is_due = allowed && is_over;
        if disk_full || is_due {
            self.total = self.total.saturating_sub(recording.bytes);
            self.free = self.free.saturating_add(recording.bytes);
            let goes = if disk_full { &mut self.plan.full } else { &mut self.plan.due };
            goes.push(recording.id);
            if !recording.confirmed && !is_due {
                self.plan.lost.push(recording.id);
            }
        }
        disk_full || is_over
    }

    pub fn plan(self) -> Plan {
        self.plan
    }
}

/// Of all recordings, from oldest to newest.
pub fn plan(policy: Policy, stored: &[Stored], free_bytes: u64, now: Timestamp) -> Plan {
    let total = stored.iter().map(|recording| recording.bytes).sum();
    let mut planner = Planner::new(policy, total, free_bytes, now);
    for recording in stored {
        if !planner.look(recording) {
            break;
        }
    }
    planner.plan()
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: Policy = Policy { bytes_max: 30, age_ms_max: 1_000, age_ms_min: 100, free_bytes_min: 5 };
    const NOW: Timestamp = Timestamp(10_000);

    fn stored(rows: &[(u8, u64, bool)]) -> Vec<Stored> {
        let row = |&(n, age_ms, confirmed): &(u8, u64, bool)| Stored {
            id: Hash([n; 32]),
            started_at: NOW.minus_ms(age_ms),
            bytes: 10,
            confirmed,
            held: false,
        };
        rows.iter().map(row).collect()
    }

    fn deleted(rows: &[(u8, u64, bool)], free: u64) -> (Vec<u8>, Vec<u8>) {
        let plan = plan(POLICY, &stored(rows), free, NOW);
        let names = |ids: &[Hash]| ids.iter().map(|id| id.0[0]).collect();
        let going = plan.full.iter().chain(&plan.due).copied();
        (names(&going.collect::<Vec<_>>()), names(&plan.lost))
    }

    #[test]
    fn the_oldest_go_first() {
        let rows = [(1, 900, true), (2, 800, true), (3, 700, true), (4, 600, true), (5, 500, true)];
        assert_eq!(deleted(&rows, 100), (vec![1, 2], vec![]));
        assert_eq!(deleted(&[(1, 2_000, true), (2, 10, true)], 100), (vec![1], vec![]));
    }

    #[test]
    fn what_was_not_forwarded_stays_until_the_disk_is_full() {
        let rows = [(1, 2_000, false), (2, 1_900, true), (3, 50, false)];
        assert_eq!(deleted(&rows, 100), (vec![2], vec![]));
        assert_eq!(deleted(&rows, 0), (vec![1, 2], vec![1]));
    }

    #[test]
    fn what_stays_here_alone_goes_in_its_time_and_is_missed_before() {
        let held = |n, age_ms| Stored {
            id: Hash([n; 32]),
            started_at: NOW.minus_ms(age_ms),
            bytes: 10,
            confirmed: false,
            held: true,
        };
        let stored = [held(1, 2_000), held(2, 500), held(3, 50)];
        let plan = |free| plan(POLICY, &stored, free, NOW);
        assert_eq!(plan(100), Plan { due: vec![Hash([1; 32])], ..Plan::default() });
        let full = vec![Hash([1; 32]), Hash([2; 32])];
        let full = Plan { full, lost: vec![Hash([2; 32])], ..Plan::default() };
        assert_eq!(super::plan(Policy { free_bytes_min: 15, ..POLICY }, &stored, 0, NOW), full);
    }

    #[test]
    fn the_youngest_stay() {
        let rows: Vec<_> = (0..9).map(|n| (n, 50, true)).collect();
        assert_eq!(deleted(&rows, 100), (vec![], vec![]));
    }
}
