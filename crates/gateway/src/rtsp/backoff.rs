//! When to try again. Pure: the caller has the clock and draws the jitter.

use std::time::Duration;

/// Waits 0.5 s after the first failure, twice as long after each further one,
/// at most 30 s, and starts over once a stream was good for a minute. Jitter
/// keeps two hundred cameras behind one switch from coming back at once.
#[derive(Clone, Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    pub const FIRST: Duration = Duration::from_millis(500);
    pub const MAX: Duration = Duration::from_secs(30);
    /// A stream that lasted this long was good.
    pub const GOOD_AFTER: Duration = Duration::from_secs(60);

    pub fn new() -> Self {
        Self::default()
    }

    /// How long to wait after a run that lasted `good_for` (zero if there was
    /// none). `jitter` is a random byte: 0 waits half the time, 255 all of it.
    pub fn after_failure(&mut self, good_for: Duration, jitter: u8) -> Duration {
        if good_for >= Self::GOOD_AFTER {
            self.failures = 0;
        }
        let full = Self::FIRST.saturating_mul(1 << self.failures.min(6)).min(Self::MAX);
        self.failures = self.failures.saturating_add(1);
        full / 2 + full * u32::from(jitter) / 510
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_to_thirty_seconds_and_starts_over_after_a_good_minute() {
        let mut backoff = Backoff::new();
        let waits: Vec<_> = (0..8).map(|_| backoff.after_failure(Duration::ZERO, 255).as_millis()).collect();
        assert_eq!(waits, [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
        let short = Duration::from_secs(59);
        assert_eq!(backoff.after_failure(short, 255), Backoff::MAX);
        assert_eq!(backoff.after_failure(Backoff::GOOD_AFTER, 255), Backoff::FIRST);
    }

    #[test]
    fn jitter_takes_at_most_half() {
        let waits =
            [0, 127, 255].map(|jitter| Backoff::new().after_failure(Duration::ZERO, jitter).as_millis());
        assert_eq!(waits, [250, 374, 500]);
    }
}
