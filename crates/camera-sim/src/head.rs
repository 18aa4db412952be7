//! Where the simulated camera looks: how far it is turned and how near, what it
//! was told to do, and which positions it remembers.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// To the right, up and nearer; the first two from -1 to 1, the last from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Position {
    pub pan: f64,
    pub tilt: f64,
    pub zoom: f64,
}

/// At full speed from one end to the other.
const SECONDS_ACROSS: f64 = 4.0;
/// Positions that it remembers.
const PRESETS_MAX: usize = 100;

#[derive(Debug)]
pub(crate) struct Head {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    at: Position,
    /// When it was there.
    since: Instant,
    speed: Position,
    until: Instant,
    /// Stops since it was told to move.
    stops: u32,
    /// It was asked for its profiles so often.
    profiles_asked: u32,
    presets: BTreeMap<u32, (String, Position)>,
}

impl Head {
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        let gate = ("Gate".to_owned(), Position { pan: 0.6, tilt: -0.2, zoom: 0.4 });
        let (at, speed, stops, profiles_asked) = Default::default();
        let presets = BTreeMap::from([(1, gate)]);
        let state = State { at, since: now, speed, until: now, stops, profiles_asked, presets };
        Head { state: Mutex::new(state) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.go_on(Instant::now());
        state
    }

    pub(crate) fn position(&self) -> Position {
        self.lock().at
    }

    pub(crate) fn is_moving(&self) -> bool {
        let state = self.lock();
        state.speed != Position::default() && Instant::now() < state.until
    }

    pub(crate) fn turn(&self, speed: Position, lasts: Duration) {
        let mut state = self.lock();
        (state.speed, state.until, state.stops) = (speed, state.since + lasts, 0);
    }

    /// False if it goes on, as it does at the first word where `fails` says so.
    pub(crate) fn stop(&self, fails: bool) -> bool {
        let mut state = self.lock();
        state.stops += 1;
        let stops = !fails || state.stops > 1;
        if stops {
            state.speed = Position::default();
        }
        stops
    }

    /// Whether a profile has another name than before: until it is asked the second time.
    pub(crate) fn is_renamed(&self, is_question: bool) -> bool {
        let mut state = self.lock();
        state.profiles_asked += u32::from(is_question);
        state.profiles_asked == 1
    }

    /// The home position, or one that it remembers. False if it does not.
    pub(crate) fn go_to(&self, preset: Option<u32>) -> bool {
        let mut state = self.lock();
        let goal = match preset {
            None => Some(Position::default()),
            Some(token) => state.presets.get(&token).map(|(_, position)| *position),
        };
        let Some(goal) = goal else { return false };
        (state.at, state.speed) = (goal, Position::default());
        true
    }

    /// Remembers where it looks. None if it has no room.
    pub(crate) fn remember(&self, name: String) -> Option<u32> {
        let mut state = self.lock();
        let token = state.presets.keys().last().map_or(1, |last| last + 1);
        let at = state.at;
        (state.presets.len() < PRESETS_MAX).then(|| {
            state.presets.insert(token, (name, at));
            token
        })
    }

    pub(crate) fn forget(&self, preset: u32) -> bool {
        self.lock().presets.remove(&preset).is_some()
    }

    pub(crate) fn presets(&self) -> Vec<(u32, String)> {
        self.lock().presets.iter().map(|(token, (name, _))| (*token, name.clone())).collect()
    }
}

impl State {
    fn go_on(&mut self, now: Instant) {
        let moved = self.until.min(now).saturating_duration_since(self.since).as_secs_f64();
        let step = |at: f64, speed: f64, least: f64| {
            (at + speed.clamp(-1.0, 1.0) * moved * 2.0 / SECONDS_ACROSS).clamp(least, 1.0)
        };
        self.at = Position {
            pan: step(self.at.pan, self.speed.pan, -1.0),
            tilt: step(self.at.tilt, self.speed.tilt, -1.0),
            zoom: step(self.at.zoom, self.speed.zoom, 0.0),
        };
        self.since = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_turns_until_its_time_is_over_and_to_what_it_remembers() {
        let head = Head::new();
        let right = Position { pan: 1.0, ..Position::default() };
        head.turn(right, Duration::ZERO);
        assert_eq!((head.position(), head.is_moving()), (Position::default(), false));
        head.turn(right, Duration::from_secs(60));
        assert!(head.is_moving());
        head.state.lock().unwrap().go_on(Instant::now() + Duration::from_secs(10));
        assert!(!head.stop(true) && head.is_moving() && head.stop(true));
        assert_eq!((head.position(), head.is_moving()), (right, false));
        let token = head.remember("Wall".into()).unwrap();
        assert!(head.go_to(None) && head.position() == Position::default());
        assert!(head.go_to(Some(token)) && head.position() == right);
        assert!(head.forget(token) && !head.forget(token) && !head.go_to(Some(token)));
    }
}
