use std::sync::{Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use model::Timestamp;

pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// A clock that nobody turns back: never before the latest time that it has
/// told or was given, and going on from there. For asking whether a right has
/// ended, where a wrong answer must be "yes"; recording has the plain clock.
#[derive(Debug)]
pub(crate) struct SteadyClock(Mutex<Reading>);

#[derive(Clone, Copy, Debug)]
struct Reading {
    at: Timestamp,
    taken: Instant,
}

impl SteadyClock {
    pub(crate) fn new(floor: Timestamp) -> Self {
        SteadyClock(Mutex::new(Reading { at: floor, taken: Instant::now() }))
    }

    pub(crate) fn now(&self, floor: Timestamp) -> Timestamp {
        let mut reading = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = Instant::now();
        let passed = taken.duration_since(reading.taken).as_millis() as u64;
        *reading = Reading { at: latest(reading.at, passed, floor.max(now())), taken };
        reading.at
    }
}

fn latest(told: Timestamp, passed_ms: u64, seen: Timestamp) -> Timestamp {
    told.plus_ms(passed_ms).max(seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_turned_back_goes_on_from_where_it_was() {
        let day = Timestamp::DAY;
        assert_eq!(latest(Timestamp(9 * day), 5, Timestamp(2 * day)), Timestamp(9 * day + 5));
        assert_eq!(latest(Timestamp(9 * day), 5, Timestamp(10 * day)), Timestamp(10 * day));
        let ahead = now().plus_ms(day);
        assert!(SteadyClock::new(ahead).now(Timestamp(0)) >= ahead, "what was kept on disk counts");
        let clock = SteadyClock::new(Timestamp(0));
        assert!(clock.now(ahead) >= ahead && clock.now(Timestamp(0)) >= ahead, "what was seen once counts");
    }
}
