//! What of a site goes to the store by itself, when, and how fast (format.md
//! section 3). Administrators set it by signed command; the gateway keeps it.

use serde::{Deserialize, Serialize};

use crate::{Rendition, Timestamp};

/// Spans of one [`Bandwidth`].
pub const SPANS_MAX: usize = 24;
/// Least bandwidth that can be set, other than none: below it, one recording of
/// 16 MiB is under way for more than a quarter of an hour.
pub const KILOBITS_MIN: u32 = 128;
const MINUTES_OF_DAY: u16 = 24 * 60;

/// Which recordings of one rendition are forwarded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Forward {
    #[default]
    Always,
    /// Those that reach into an event.
    Events,
    Never,
}

/// What of one camera is forwarded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Forwarding {
    pub main: Forward,
    pub sub: Forward,
    /// While an event is active, recordings close every two seconds, so that
    /// they leave the site at once.
    pub short_in_events: bool,
}

impl Forwarding {
    pub fn of(self, rendition: Rendition) -> Forward {
        match rendition {
            Rendition::Main => self.main,
            Rendition::Sub => self.sub,
            // Small, and what everything else is found by; but nothing is nothing.
            Rendition::Events if (self.main, self.sub) == (Forward::Never, Forward::Never) => Forward::Never,
            Rendition::Events => Forward::Always,
        }
    }
}

/// How fast recordings may be sent. Those of events do not wait for it; what
/// people watch through the link does not count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bandwidth {
    /// Outside of `spans`, kbit/s. Without a number as fast as it goes; 0: nothing
    /// is sent but events.
    pub kilobits_max: Option<u32>,
    pub spans: Vec<Span>,
}

/// A part of every day with a bandwidth of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Span {
    /// Minutes since midnight, UTC.
    pub from: u16,
    /// Exclusive. Before `from`, it is of the next day.
    pub to: u16,
    pub kilobits_max: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BandwidthError {
    #[error("a bandwidth has at most {SPANS_MAX} spans")]
    TooManySpans,
    #[error("a span of the day goes from one minute of 0 to 1439 to another")]
    Span,
    #[error("a bandwidth is 0 (nothing but events) or at least {KILOBITS_MIN} kbit/s")]
    TooLittle,
}

impl Bandwidth {
    pub fn check(&self) -> Result<(), BandwidthError> {
        if self.spans.len() > SPANS_MAX {
            return Err(BandwidthError::TooManySpans);
        }
        if self.spans.iter().any(|Span { from, to, .. }| from == to || *from.max(to) >= MINUTES_OF_DAY) {
            return Err(BandwidthError::Span);
        }
        let mut all = self.spans.iter().map(|span| span.kilobits_max).chain([self.kilobits_max]).flatten();
        if all.any(|kilobits| (1..KILOBITS_MIN).contains(&kilobits)) {
            return Err(BandwidthError::TooLittle);
        }
        Ok(())
    }

    /// In kbit/s, now. Of spans that overlap, the first counts.
    pub fn at(&self, now: Timestamp) -> Option<u32> {
        let minute = (now.0 / Timestamp::MINUTE % u64::from(MINUTES_OF_DAY)) as u16;
        let span = self.spans.iter().find(|span| span.holds(minute));
        span.map_or(self.kilobits_max, |span| span.kilobits_max)
    }
}

impl Span {
    fn holds(&self, minute: u16) -> bool {
        let Span { from, to, .. } = *self;
        if from < to { (from..to).contains(&minute) } else { minute >= from || minute < to }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(bandwidth: &Bandwidth, hour: u64, minute: u64) -> Option<u32> {
        bandwidth.at(Timestamp(
            20_000 * Timestamp::DAY + hour * Timestamp::HOUR + minute * Timestamp::MINUTE + 999,
        ))
    }

    #[test]
    fn a_span_has_its_own_bandwidth_also_across_midnight() {
        let night = Span { from: 22 * 60, to: 6 * 60, kilobits_max: None };
        let noon = Span { from: 12 * 60, to: 13 * 60, kilobits_max: Some(0) };
        let bandwidth = Bandwidth { kilobits_max: Some(512), spans: vec![night, noon] };
        assert_eq!(bandwidth.check(), Ok(()));
        for (hour, minute, kilobits) in [
            (22, 0, None),
            (0, 0, None),
            (5, 59, None),
            (6, 0, Some(512)),
            (12, 0, Some(0)),
            (12, 59, Some(0)),
            (13, 0, Some(512)),
            (21, 59, Some(512)),
        ] {
            assert_eq!(at(&bandwidth, hour, minute), kilobits, "{hour}:{minute}");
        }
        assert_eq!(at(&Bandwidth::default(), 3, 0), None);
    }

    #[test]
    fn what_is_no_bandwidth_is_refused() {
        let with = |kilobits_max, spans: &[(u16, u16)]| {
            let span = |&(from, to): &(u16, u16)| Span { from, to, kilobits_max };
            Bandwidth { kilobits_max, spans: spans.iter().map(span).collect() }.check()
        };
        assert_eq!(with(Some(1), &[]), Err(BandwidthError::TooLittle));
        assert_eq!(with(Some(KILOBITS_MIN), &[(0, 1)]), Ok(()));
        assert_eq!(with(None, &[(60, 60)]), Err(BandwidthError::Span));
        assert_eq!(with(None, &[(60, 1_440)]), Err(BandwidthError::Span));
        assert_eq!(with(None, &[(0, 1); SPANS_MAX + 1]), Err(BandwidthError::TooManySpans));
    }
}
