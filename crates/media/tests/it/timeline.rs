//! Each test is a table: what arrived when, and where it was placed.

use media::{Placed, Timeline};
use model::Timestamp;
use proptest::prelude::*;

const START: u64 = 1_763_836_800_000;

/// (RTP time, received at) → (time, presentation delta, discontinuity)
type Row = ((u32, u64), (i64, i32, bool));

/// Rows of (RTP timestamp, arrival in ms) → (time, delta, discontinuity) at 90 kHz.
fn check(rows: &[Row]) {
    let mut timeline = Timeline::new(&[90_000]);
    for (n, &((rtp, ms), (time, presentation_delta, discontinuity))) in rows.iter().enumerate() {
        let placed = timeline.place(0, rtp, Timestamp(START + ms), false);
        assert_eq!(placed, Placed { time, presentation_delta, discontinuity }, "row {n}");
    }
    assert_eq!(timeline.started_at(), Some(Timestamp(START)));
}

#[test]
fn a_steady_stream_with_jitter() {
    check(&[((1_000, 0), (0, 0, true)), ((4_600, 55), (3_600, 0, false)), ((8_200, 70), (7_200, 0, false))]);
}

#[test]
fn the_timestamp_wraps() {
    check(&[
        ((u32::MAX - 3_599, 0), (0, 0, true)),
        ((0, 40), (3_600, 0, false)),
        ((3_600, 80), (7_200, 0, false)),
    ]);
}

#[test]
fn pictures_are_reordered() {
    // I0 P3 B1 B2 P6: what is shown earlier than its predecessor is decoded one
    // tick after it.
    check(&[
        ((0, 0), (0, 0, true)),
        ((10_800, 40), (10_800, 0, false)),
        ((3_600, 80), (10_801, 3_600 - 10_801, false)),
        ((7_200, 120), (10_802, 7_200 - 10_802, false)),
        ((21_600, 160), (21_600, 0, false)),
    ]);
}

#[test]
fn a_jump_forward_is_placed_by_its_arrival() {
    check(&[
        ((0, 0), (0, 0, true)),
        ((3_600, 40), (3_600, 0, false)),
        ((900_000_000, 80), (7_200, 0, true)),
        ((900_003_600, 120), (10_800, 0, false)),
    ]);
}

#[test]
fn a_jump_back_never_goes_back() {
    check(&[
        ((900_000_000, 0), (0, 0, true)),
        ((900_003_600, 40), (3_600, 0, false)),
        ((5, 41), (3_690, 0, true)),
        ((3_605, 81), (7_290, 0, false)),
    ]);
}

#[test]
fn a_restart_that_arrives_at_once_moves_on_by_one_tick() {
    check(&[
        ((0, 0), (0, 0, true)),
        ((90_000, 40), (90_000, 0, false)),
        ((3_000_000_000, 41), (90_001, 0, true)),
    ]);
}

#[test]
fn a_stall_that_both_clocks_saw_keeps_the_time_and_says_so() {
    check(&[
        ((0, 0), (0, 0, true)),
        ((90_000 * 30, 30_100), (90_000 * 30, 0, true)),
        ((90_000 * 30 + 3_600, 30_140), (90_000 * 30 + 3_600, 0, false)),
    ]);
}

#[test]
fn a_clock_that_runs_ahead_is_brought_back_to_arrival() {
    check(&[((0, 0), (0, 0, true)), ((450_000, 40), (3_600, 0, true))]);
}

#[test]
fn loss_is_a_discontinuity() {
    let mut timeline = Timeline::new(&[90_000]);
    timeline.place(0, 0, Timestamp(START), false);
    assert!(timeline.place(0, 3_600, Timestamp(START + 40), true).discontinuity);
}

#[test]
fn drift_is_pulled_back_without_a_jump() {
    // The camera's second has 1 002 ms of ours: after an hour it would be 7 s off.
    let mut timeline = Timeline::new(&[90_000]);
    for n in 0u32..36_000 {
        let ms = u64::from(n) * 100 * 1_002 / 1_000;
        let placed = timeline.place(0, n * 9_000, Timestamp(START + ms), false);
        assert_eq!(placed.discontinuity, n == 0, "unit {n}");
        let off_ms = placed.time / 90 - ms.cast_signed();
        assert!(off_ms.abs() < 500, "unit {n} is {off_ms} ms off");
    }
}

#[test]
fn sender_reports_close_the_distance_between_tracks() {
    let mut timeline = Timeline::new(&[90_000, 8_000]);
    let at = |ms: u64| Timestamp(START + ms);
    let ntp = |ms: u64| (3_972_825_600 << 32) + (ms << 32) / 1_000;
    timeline.place(0, 0, at(0), false);
    // Audio of the same instant arrived 100 ms later.
    timeline.place(1, 0, at(100), false);
    timeline.sender_report(0, ntp(0), 0);
    timeline.sender_report(1, ntp(0), 0);
    let mut last = Placed { time: 0, presentation_delta: 0, discontinuity: false };
    for n in 1u32..=1_000 {
        last = timeline.place(1, n * 160, at(100 + u64::from(n) * 20), false);
    }
    assert!(!last.discontinuity);
    // 160 000 ticks after the instant they share, not 160 800.
    assert!((last.time - 160_000).abs() < 16, "{last:?}");
}

proptest! {
    /// Whatever a camera sends, decode time does not decrease and never runs
    /// further from the wall clock than allowed, plus one believed step.
    #[test]
    fn time_never_decreases(rows in prop::collection::vec((any::<u32>(), 0u64..5_000, any::<bool>()), 1..200)) {
        let mut timeline = Timeline::new(&[90_000]);
        let (mut rtp, mut ms, mut last) = (0u32, 0, i64::MIN);
        for (step, waited, wild) in rows {
            rtp = rtp.wrapping_add(if wild { step } else { step % 90_000 });
            ms += waited;
            let placed = timeline.place(0, rtp, Timestamp(START + ms), false);
            prop_assert!(placed.time >= last);
            let ahead_ms = placed.time / 90 - i64::try_from(ms).unwrap();
            prop_assert!(ahead_ms <= 2_001, "{ahead_ms} ms ahead");
            last = placed.time;
        }
    }
}
