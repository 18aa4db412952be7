//! When a stream is not recorded, and why: what is missing from the timeline is
//! reported as a gap.

use model::wire::{Gap, GapReason, Recording};
use model::{CameraId, Rendition, Timestamp};
use seal::recording::Header;

use crate::recorder::Limits;

/// What a camera leaves out shorter than this is no gap. What was lost here is
/// one, however short.
pub const GAP_MS_MIN: u64 = 1_500;
/// An outage that goes on is reported this often.
pub const REPORT_MS: u64 = Timestamp::MINUTE;
/// A process that was killed loses at most so much of what it had taken: what
/// is flushed every second, and what waited for that.
pub const KILLED_MS_MAX: u64 = 2_000;

/// The time of a recording that is lost.
pub fn gap_of(report: &Recording, reason: GapReason) -> Gap {
    let &Recording { camera, rendition, started_at: from, duration_ms, .. } = report;
    // A recording of one picture lasts no time, and its picture is missing.
    Gap { camera, rendition, from, to: from.plus_ms(duration_ms.max(1)), reason }
}

/// What is missing around a recording that the index did not know: its gaps may
/// have been lost with the process that knew them.
#[derive(Clone, Copy, Debug)]
pub struct Around {
    /// Of the recording that was begun before it.
    pub last_end: Option<Timestamp>,
    /// It was cut off.
    pub was_lost: bool,
    /// Where it was to end.
    pub promised_end: Option<Timestamp>,
}

pub fn gaps_around(report: &Recording, around: Around) -> Vec<Gap> {
    let Around { last_end, was_lost, promised_end } = around;
    let &Recording { camera, rendition, started_at, duration_ms, previous_root, .. } = report;
    let mut gaps = match last_end {
        // Nothing happened there, which is no gap.
        _ if rendition == Rendition::Events => Vec::new(),
        // It goes on a chain: what is missing before it, a camera left out.
        Some(end) if previous_root.is_some() => {
            let is_long = started_at.ms_since(end) >= GAP_MS_MIN;
            let gap = Gap { camera, rendition, from: end, to: started_at, reason: GapReason::Restarted };
            Vec::from_iter(is_long.then_some(gap))
        }
        last_end => Outage::after_start(camera, rendition, last_end, started_at).back(started_at),
    };
    if was_lost {
        // Its end may lack what was on its way, sound more than pictures.
        let end = started_at.plus_ms(duration_ms);
        let from = end.minus_ms(KILLED_MS_MAX).max(started_at);
        let to = end.plus_ms(1).max(promised_end.unwrap_or(end));
        gaps.push(Gap { camera, rendition, from, to, reason: GapReason::Restarted });
    }
    gaps
}

/// Of a file whose header is genuine, and nothing else: all of it is missing.
pub fn gap_of_damaged(header: &Header, promised_end: Option<Timestamp>) -> Gap {
    let &Header { camera, rendition, started_at: from, .. } = header;
    let to = promised_end.unwrap_or(from).max(from.plus_ms(Limits::default().duration_ms_max));
    Gap { camera, rendition, from, to, reason: GapReason::Damaged }
}

#[derive(Clone, Debug)]
pub struct Outage {
    camera: CameraId,
    rendition: Rendition,
    /// Time of the last chunk that was sealed in this run of the stream, by the
    /// stream's own time: the clock may be set while it runs.
    recorded_until: Option<Timestamp>,
    open: Option<Open>,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    from: Timestamp,
    reason: GapReason,
    /// What was lost here reaches until then at least, whatever the clock says
    /// when the picture is back.
    at_least: Timestamp,
    /// The earliest that the clock has said since. Before `from`, it was set back,
    /// and the time from then on is missing, too.
    earliest: Timestamp,
}

impl Outage {
    /// `recorded_until`: where the last recording ends that was written before.
    pub fn after_start(
        camera: CameraId,
        rendition: Rendition,
        recorded_until: Option<Timestamp>,
        now: Timestamp,
    ) -> Self {
        let open = recorded_until.map(|from| {
            // Recordings of the future: the clock was set back, and nobody knows
            // when the last run ended. What it can have lost and not told yet is
            // a gap, by the old time and by the new one.
            let is_set_back = from > now;
            Open {
                from,
                reason: GapReason::Restarted,
                at_least: if is_set_back { from.plus_ms(2 * KILLED_MS_MAX) } else { from },
                earliest: if is_set_back { now.minus_ms(2 * REPORT_MS) } else { now },
            }
        });
        Outage { camera, rendition, recorded_until: None, open }
    }

    /// After a start that could not read what lies there: what the run before it
    /// had not told yet is missing.
    pub fn after_start_in_the_dark(camera: CameraId, rendition: Rendition, now: Timestamp) -> Self {
        Self::after_start(camera, rendition, Some(now.minus_ms(2 * REPORT_MS)), now)
    }

    /// While it is recorded: until when.
    pub fn recorded_until(&self) -> Option<Timestamp> {
        self.recorded_until.filter(|_| self.open.is_none())
    }

    /// A chunk of this time was sealed.
    pub fn recorded(&mut self, at: Timestamp) {
        self.recorded_until = Some(self.recorded_until.map_or(at, |until| until.max(at)));
    }

    /// Another try, at this time of the clock: what it gives may be lost, too.
    pub fn tried(&mut self, now: Timestamp) {
        if let Some(open) = &mut self.open {
            open.earliest = open.earliest.min(now);
        }
    }

    /// The camera gives no picture.
    pub fn lost(&mut self, reason: GapReason, now: Timestamp) {
        let from = self.recorded_until.take().unwrap_or(now);
        let open = self.open.get_or_insert(Open { from, reason, at_least: from, earliest: now });
        open.reason = reason;
        self.tried(now);
    }

    /// The disk did not take what was sealed; what was flushed is older than this.
    pub fn lost_on_disk(&mut self, unflushed_ms: u64, now: Timestamp) {
        let until = self.recorded_until;
        self.recorded_until = until.map(|until| until.minus_ms(unflushed_ms));
        self.lost(GapReason::DiskFull, now);
        if let (Some(open), Some(until)) = (&mut self.open, until) {
            open.at_least = open.at_least.max(until.plus_ms(KILLED_MS_MAX));
        }
    }

    /// The picture is there again.
    pub fn back(&mut self, started_at: Timestamp) -> Vec<Gap> {
        let gaps = self.until(started_at);
        self.open = None;
        gaps
    }

    /// An outage that lasts, so far. The rest follows.
    pub fn goes_on(&mut self, now: Timestamp) -> Vec<Gap> {
        let Some(open) = self.open.filter(|open| now.ms_since(open.from.min(open.earliest)) >= REPORT_MS)
        else {
            return Vec::new();
        };
        let gaps = self.until(now);
        self.open = Some(Open { from: now, at_least: now, earliest: now, ..open });
        gaps
    }

    /// What is missing until now; nothing changes.
    pub fn until(&self, to: Timestamp) -> Vec<Gap> {
        let Some(Open { from, reason, at_least, earliest }) = self.open else { return Vec::new() };
        let lost_here = matches!(reason, GapReason::Restarted | GapReason::DiskFull);
        let ms_min = if lost_here { 1 } else { GAP_MS_MIN };
        let spans = if earliest < from {
            [(from, at_least), (earliest, to)]
        } else {
            [(from, to.max(at_least)), (to, to)]
        };
        let Outage { camera, rendition, .. } = *self;
        let long = spans.into_iter().filter(|(from, to)| to.ms_since(*from) >= ms_min);
        long.map(|(from, to)| Gap { camera, rendition, from, to, reason }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: Timestamp = Timestamp(1_000_000);

    fn outage(recorded_until: Option<Timestamp>) -> Outage {
        Outage::after_start(CameraId::from_random([1; 16]), Rendition::Main, recorded_until, T)
    }

    fn ends(gaps: Vec<Gap>) -> Vec<(i64, i64, GapReason)> {
        let ms = |at: Timestamp| at.0 as i64 - T.0 as i64;
        gaps.into_iter().map(|gap| (ms(gap.from), ms(gap.to), gap.reason)).collect()
    }

    #[test]
    fn what_a_camera_leaves_out_for_a_moment_is_no_gap() {
        let mut outage = outage(None);
        outage.recorded(T);
        outage.lost(GapReason::Stalled, T.plus_ms(900));
        assert_eq!(outage.back(T.plus_ms(1_400)), []);
        outage.recorded(T.plus_ms(2_000));
        outage.lost(GapReason::Stalled, T.plus_ms(9_000));
        // The last reason counts, the first moment does.
        outage.lost(GapReason::CameraUnreachable, T.plus_ms(11_000));
        let gaps = outage.back(T.plus_ms(12_000));
        assert_eq!(ends(gaps), [(2_000, 12_000, GapReason::CameraUnreachable)]);
        assert_eq!(outage.back(T.plus_ms(90_000)), [], "it is over");
    }

    #[test]
    fn what_was_lost_here_is_a_gap_however_short() {
        let mut restarted = outage(Some(T.minus_ms(300)));
        assert_eq!(ends(restarted.back(T.plus_ms(100))), [(-300, 100, GapReason::Restarted)]);
        let mut full = outage(None);
        full.recorded(T.plus_ms(5_000));
        full.lost_on_disk(1_200, T.plus_ms(5_100));
        assert_eq!(ends(full.back(T.plus_ms(9_000))), [(3_800, 9_000, GapReason::DiskFull)]);
    }

    #[test]
    fn a_clock_that_was_set_back_hides_no_gap() {
        let hour = Timestamp::HOUR as i64;
        let mut restarted = outage(Some(T.plus_ms(Timestamp::HOUR)));
        let expected = [(hour, hour + 4_000, GapReason::Restarted), (-120_000, 400, GapReason::Restarted)];
        assert_eq!(ends(restarted.back(T.plus_ms(400))), expected);
        let mut full = outage(None);
        full.recorded(T.plus_ms(Timestamp::HOUR));
        full.lost_on_disk(1_000, T);
        let expected = [(hour - 1_000, hour + 2_000, GapReason::DiskFull), (0, 7_000, GapReason::DiskFull)];
        assert_eq!(ends(full.back(T.plus_ms(7_000))), expected);
    }

    #[test]
    fn an_outage_that_lasts_is_told_by_and_by() {
        let mut outage = outage(None);
        outage.lost(GapReason::CameraRefused, T);
        assert_eq!(outage.goes_on(T.plus_ms(59_999)), []);
        assert_eq!(ends(outage.goes_on(T.plus_ms(60_000))), [(0, 60_000, GapReason::CameraRefused)]);
        assert_eq!(ends(outage.back(T.plus_ms(70_000))), [(60_000, 70_000, GapReason::CameraRefused)]);
    }
}
