//! Fourteen days of sites, and proof that the model notices what it should.

use std::collections::BTreeSet;

use sim::{Trick, run, run_with};

const SITES: std::ops::RangeInclusive<u64> = 1..=14;
const SITE_HOURS: u64 = 24;
/// Classes of fault in all of them.
const CLASSES_MIN: usize = 25;

fn days(seeds: impl Iterator<Item = u64>) -> BTreeSet<String> {
    let mut faults = BTreeSet::new();
    for seed in seeds {
        let run = run(seed, SITE_HOURS);
        let violations = run.tally.violations.join("\n");
        assert!(
            violations.is_empty(),
            "seed {seed} (again: cargo xtask sim --seed {seed} --site-hours {SITE_HOURS}):\n{violations}"
        );
        assert!(run.tally.accepted > 100_000, "seed {seed}: the site records");
        assert!(run.tally.told_missing < run.tally.accepted / 20, "seed {seed}: most of it is there");
        faults.extend(run.faults.into_keys());
    }
    faults
}

// Two tests, for two cores.

#[test]
fn nothing_accepted_is_lost_untold_in_seven_site_days() {
    let faults = days(SITES.filter(|seed| seed % 2 == 0));
    assert!(faults.len() >= CLASSES_MIN, "{faults:?}");
}

#[test]
fn nothing_accepted_is_lost_untold_in_seven_more_site_days() {
    let faults = days(SITES.filter(|seed| seed % 2 == 1));
    assert!(faults.len() >= CLASSES_MIN, "{faults:?}");
}

#[test]
fn a_seed_replays_exactly() {
    let (first, again) = (run(5, 2), run(5, 2));
    assert_eq!((first.log, first.faults), (again.log, again.faults));
    let (first, again) = (first.tally, again.tally);
    assert_eq!(
        (first.accepted, first.told_missing, first.recordings, first.gaps),
        (again.accepted, again.told_missing, again.recordings, again.gaps)
    );
    assert_ne!(run(6, 2).tally.accepted, first.accepted);
}

/// What no gateway can make good shows in the model; else it would prove nothing.
#[test]
fn the_model_notices_what_is_lost() {
    for trick in [Trick::DiskLies, Trick::GapsForgotten, Trick::CloudLies] {
        let violations = (1..=4).flat_map(|seed| run_with(seed, 3, Some(trick)).tally.violations).count();
        assert!(violations > 0, "{trick:?} was not noticed");
    }
}
