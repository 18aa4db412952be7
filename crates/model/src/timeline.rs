//! How much was recorded when, in equal parts of a stretch of time: what a
//! timeline of thirty days shows without forty thousand recordings.

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// Parts in one timeline: more than a screen has room for.
pub const PARTS_MAX: u32 = 1_000;
/// Shortest part. Whoever wants to see more asks for the recordings.
pub const PART_MS_MIN: u64 = Timestamp::SECOND;
/// Longest stretch of time.
pub const TIMELINE_MS_MAX: u64 = 400 * Timestamp::DAY;

/// A stretch of time in equal parts. The last one may reach beyond its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale {
    from: Timestamp,
    part_ms: u64,
    parts: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScaleError {
    #[error("a timeline ends after it begins, and is at most 400 days long")]
    Stretch,
    #[error("a timeline has 1 to 1000 parts")]
    Parts,
}

/// What was recorded in one part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimelinePart {
    /// From 0.
    pub part: u32,
    /// At most the length of a part.
    pub recorded_ms: u64,
    pub bytes: u64,
}

/// Recordings that began in one part, as a database adds them up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begun {
    /// Negative before the timeline begins: the last of them may reach into it.
    pub part: i64,
    pub recorded_ms: u64,
    pub bytes: u64,
    /// When the last of them ends.
    pub ended_at: Timestamp,
}

impl Scale {
    /// Of `[from, to)`, in so many parts or fewer, none shorter than [`PART_MS_MIN`].
    pub fn new((from, to): (Timestamp, Timestamp), parts: u32) -> Result<Self, ScaleError> {
        let ms = to.ms_since(from);
        if ms == 0 || ms > TIMELINE_MS_MAX {
            return Err(ScaleError::Stretch);
        }
        if !(1..=PARTS_MAX).contains(&parts) {
            return Err(ScaleError::Parts);
        }
        let part_ms = ms.div_ceil(parts.into()).max(PART_MS_MIN);
        Ok(Scale { from, part_ms, parts: ms.div_ceil(part_ms) as u32 })
    }

    pub fn from(&self) -> Timestamp {
        self.from
    }

    pub fn part_ms(&self) -> u64 {
        self.part_ms
    }

    pub fn to(&self) -> Timestamp {
        self.start_of(self.parts.into())
    }

    /// Parts before the first one that recordings of this length may begin in.
    pub fn lead(&self, recording_ms_max: u64) -> u64 {
        recording_ms_max.div_ceil(self.part_ms)
    }

    fn start_of(&self, part: u64) -> Timestamp {
        self.from.plus_ms(part * self.part_ms)
    }

    /// What was recorded in each part in which anything was, in order. What began
    /// in one part and goes on is shared out among those that it reaches into.
    /// Recordings of one rendition follow each other: only the last one that began
    /// in a part reaches out of it.
    pub fn share_out(&self, begun: impl IntoIterator<Item = Begun>) -> Vec<TimelinePart> {
        let mut shared = vec![(0_u64, 0_u64); self.parts as usize];
        for Begun { part, recorded_ms, bytes, ended_at } in begun {
            let mut add = |part: i64, ms: u64| {
                let Ok(part) = usize::try_from(part) else { return };
                let Some((recorded, size)) = shared.get_mut(part) else { return };
                let share = u128::from(bytes) * u128::from(ms) / u128::from(recorded_ms.max(1));
                *recorded = recorded.saturating_add(ms).min(self.part_ms);
                *size = size.saturating_add(u64::try_from(share).unwrap_or(u64::MAX));
            };
            let end = i128::from(self.from.0) + (i128::from(part) + 1) * i128::from(self.part_ms);
            let beyond = u64::try_from(i128::from(ended_at.0) - end).unwrap_or(0).min(recorded_ms);
            add(part, recorded_ms - beyond);
            // What lies before the timeline is not walked through.
            let before = u64::try_from(-(i128::from(part) + 1)).unwrap_or(0).saturating_mul(self.part_ms);
            let (mut left, mut part) = (beyond.saturating_sub(before), part.saturating_add(1).max(0));
            while left > 0 && part < i64::from(self.parts) {
                let ms = left.min(self.part_ms);
                add(part, ms);
                left -= ms;
                part += 1;
            }
        }
        listed(&shared)
    }

    /// Two timelines of this scale in one. What does not fit the scale is left out.
    pub fn join(&self, one: &[TimelinePart], other: &[TimelinePart]) -> Vec<TimelinePart> {
        let mut shared = vec![(0_u64, 0_u64); self.parts as usize];
        for &TimelinePart { part, recorded_ms, bytes } in one.iter().chain(other) {
            if let Some((recorded, size)) = shared.get_mut(part as usize) {
                *recorded = recorded.saturating_add(recorded_ms).min(self.part_ms);
                *size = size.saturating_add(bytes);
            }
        }
        listed(&shared)
    }
}

fn listed(shared: &[(u64, u64)]) -> Vec<TimelinePart> {
    let parts = (0..).zip(shared);
    let parts = parts.map(|(part, &(recorded_ms, bytes))| TimelinePart { part, recorded_ms, bytes });
    parts.filter(|part| part.recorded_ms > 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: Timestamp = Timestamp(1_764_000_000_000);

    fn begun(part: i64, recorded_ms: u64, bytes: u64, ended: u64) -> Begun {
        Begun { part, recorded_ms, bytes, ended_at: T.plus_ms(ended) }
    }

    fn parts(found: &[TimelinePart]) -> Vec<(u32, u64, u64)> {
        found.iter().map(|found| (found.part, found.recorded_ms, found.bytes)).collect()
    }

    #[test]
    fn a_stretch_has_as_many_parts_as_make_sense() {
        let scale = |ms, parts| Scale::new((T, T.plus_ms(ms)), parts);
        assert_eq!(scale(0, 10), Err(ScaleError::Stretch));
        assert_eq!(Scale::new((T, T.minus_ms(1)), 10), Err(ScaleError::Stretch));
        assert_eq!(scale(TIMELINE_MS_MAX + 1, 10), Err(ScaleError::Stretch));
        assert_eq!(scale(1, 0), Err(ScaleError::Parts));
        assert_eq!(scale(1, PARTS_MAX + 1), Err(ScaleError::Parts));
        let month = scale(30 * Timestamp::DAY, 1_000).unwrap();
        assert_eq!((month.part_ms(), month.lead(600_000)), (2_592_000, 1));
        // Rounded up, so that all of it is there.
        let odd = scale(10_001, 10).unwrap();
        assert_eq!((odd.part_ms(), odd.parts, odd.to()), (1_001, 10, T.plus_ms(10_010)));
        let short = scale(2_500, 1_000).unwrap();
        assert_eq!((short.part_ms(), short.parts, short.lead(10_500)), (PART_MS_MIN, 3, 11));
    }

    #[test]
    fn what_reaches_over_a_border_is_shared_out() {
        let scale = Scale::new((T, T.plus_ms(40_000)), 4).unwrap();
        // From before the timeline, over one border, and two recordings in a part of
        // which the last reaches over two borders and out of the timeline.
        let found = scale.share_out([
            begun(-1, 6_000, 600, 2_000),
            begun(0, 10_000, 100, 15_000),
            begun(1, 30_000, 300, 44_000),
        ]);
        assert_eq!(
            parts(&found),
            [(0, 2_000 + 5_000, 200 + 50), (1, 10_000, 50 + 60), (2, 10_000, 100), (3, 10_000, 100)]
        );
        assert_eq!(parts(&scale.share_out([begun(2, 10_000, 7, 30_000)])), [(2, 10_000, 7)]);
    }

    #[test]
    fn no_numbers_break_it() {
        let scale = Scale::new((T, T.plus_ms(3_000)), 3).unwrap();
        let worst = [
            Begun { part: i64::MAX, recorded_ms: u64::MAX, bytes: u64::MAX, ended_at: Timestamp(u64::MAX) },
            Begun { part: i64::MIN, recorded_ms: u64::MAX, bytes: u64::MAX, ended_at: Timestamp(u64::MAX) },
            Begun { part: 1, recorded_ms: u64::MAX, bytes: u64::MAX, ended_at: Timestamp(u64::MAX) },
            Begun { part: 1, recorded_ms: 0, bytes: u64::MAX, ended_at: Timestamp(0) },
        ];
        let found = scale.share_out(worst);
        assert!(found.iter().all(|part| part.recorded_ms <= 1_000), "{found:?}");
        let wild = TimelinePart { part: u32::MAX, recorded_ms: u64::MAX, bytes: u64::MAX };
        let full = TimelinePart { part: 2, ..wild };
        assert_eq!(parts(&scale.join(&[wild, full], &[full])), [(2, 1_000, u64::MAX)]);
    }
}
