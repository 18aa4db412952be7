//! Which of the things that a camera says are events of their own. Cameras
//! repeat themselves, flicker, forget to say that something is over, and some
//! never stop talking; people want one event for one thing that happened.

use std::collections::{BTreeMap, VecDeque};

use model::{CameraEvent, EventId, EventKind, EventPhase, EventSource, Timestamp};
use seal::event::Event;

/// What begins again within this is the same event, still going on.
pub const PAUSE_MS_MAX: u64 = 5_000;
/// An event that the camera never ends is ended after this.
pub const LENGTH_MS_MAX: u64 = 10 * Timestamp::MINUTE;
/// Events of one camera that go on at the same time.
pub const ACTIVE_MAX: usize = 64;
/// Events of one camera that can begin in a minute. More are counted, not kept.
pub const BEGINNINGS_MAX: usize = 30;

/// A moment, by a clock that only goes forward and by the one on the wall.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Since the caller began to count.
    pub ms: u64,
    pub at: Timestamp,
}

/// One camera's events, as one source tells them.
#[derive(Debug)]
pub struct Events {
    source: EventSource,
    active: BTreeMap<Subject, Active>,
    /// Of the last minute.
    beginnings: VecDeque<u64>,
    left_out: u32,
}

/// What an event is about. Two with the same subject are one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Subject {
    kind: EventKind,
    rule: Option<String>,
    topic: String,
}

#[derive(Debug)]
struct Active {
    id: EventId,
    since_ms: u64,
    /// The camera says that it is over, which may be a pause.
    over: Option<Now>,
}

impl Events {
    pub fn new(source: EventSource) -> Self {
        Events { source, active: BTreeMap::new(), beginnings: VecDeque::new(), left_out: 0 }
    }

    /// What is to be kept of what the camera said. `id` draws 128 random bits.
    pub fn told(&mut self, said: Vec<CameraEvent>, now: Now, id: &mut dyn FnMut() -> EventId) -> Vec<Event> {
        let mut kept = self.tick(now);
        // Whoever talks to the gateway does not talk for it.
        for CameraEvent { kind, phase, rule, topic } in said.into_iter().filter(|one| !one.kind.is_trouble())
        {
            let subject = Subject { kind, rule, topic };
            match (phase, self.active.get_mut(&subject)) {
                (EventPhase::Began, Some(active)) => active.over = None,
                (EventPhase::Ended, Some(active)) => active.over = active.over.or(Some(now)),
                (EventPhase::Ended, None) => {}
                (EventPhase::Began | EventPhase::Happened, _) => {
                    let is_too_much = phase == EventPhase::Began && self.active.len() >= ACTIVE_MAX;
                    if is_too_much || !self.may_begin(now.ms) {
                        self.left_out = self.left_out.saturating_add(1);
                        continue;
                    }
                    let id = id();
                    kept.push(self.event(id, &subject, phase, now.at));
                    if phase == EventPhase::Began {
                        self.active.insert(subject, Active { id, since_ms: now.ms, over: None });
                    }
                }
            }
        }
        kept
    }

    /// What has ended meanwhile.
    pub fn tick(&mut self, now: Now) -> Vec<Event> {
        self.end(now, |active| match active.over {
            Some(over) if now.ms.saturating_sub(over.ms) > PAUSE_MS_MAX => Some(over.at),
            None if now.ms.saturating_sub(active.since_ms) >= LENGTH_MS_MAX => Some(now.at),
            _ => None,
        })
    }

    /// Nobody says any more how things go on: everything ends.
    pub fn lost(&mut self, now: Now) -> Vec<Event> {
        self.end(now, |active| Some(active.over.map_or(now.at, |over| over.at)))
    }

    /// Something goes on now.
    pub fn is_active(&self) -> bool {
        !self.active.is_empty()
    }

    /// So many were told and not heard.
    pub fn leave_out(&mut self, count: u32) {
        self.left_out = self.left_out.saturating_add(count);
    }

    /// How many were not kept since this was asked last.
    pub fn take_left_out(&mut self) -> u32 {
        std::mem::take(&mut self.left_out)
    }

    fn may_begin(&mut self, ms: u64) -> bool {
        while self.beginnings.front().is_some_and(|&begun| ms.saturating_sub(begun) >= Timestamp::MINUTE) {
            self.beginnings.pop_front();
        }
        let may = self.beginnings.len() < BEGINNINGS_MAX;
        if may {
            self.beginnings.push_back(ms);
        }
        may
    }

    fn end(&mut self, now: Now, ended_at: impl Fn(&Active) -> Option<Timestamp>) -> Vec<Event> {
        let over = self.active.extract_if(.., |_, active| ended_at(active).is_some());
        let over: Vec<_> = over.collect();
        let ended = over.iter().filter_map(|(subject, active)| {
            let at = ended_at(active)?.min(now.at);
            Some(self.event(active.id, subject, EventPhase::Ended, at))
        });
        ended.collect()
    }

    fn event(&self, id: EventId, subject: &Subject, phase: EventPhase, at: Timestamp) -> Event {
        let Subject { kind, rule, topic } = subject.clone();
        Event { id, at, phase, kind, rule, source: self.source, topic }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now(ms: u64) -> Now {
        Now { ms, at: Timestamp(1_764_000_000_000 + ms) }
    }

    fn said(phase: EventPhase) -> Vec<CameraEvent> {
        let topic = "RuleEngine/CellMotionDetector/Motion".to_owned();
        vec![CameraEvent { kind: EventKind::Motion, phase, rule: Some("Yard".into()), topic }]
    }

    /// (milliseconds, phase) of what was kept, and that all are of so many events.
    fn run(steps: &[(u64, Option<EventPhase>)], of: usize) -> Vec<(u64, EventPhase)> {
        let mut events = Events::new(EventSource::Onvif);
        let mut drawn = 0;
        let mut kept = Vec::new();
        for &(ms, phase) in steps {
            kept.extend(match phase {
                Some(phase) => events.told(said(phase), now(ms), &mut || {
                    drawn += 1;
                    EventId::from_random([drawn; 16])
                }),
                None => events.tick(now(ms)),
            });
        }
        let ids: std::collections::BTreeSet<_> = kept.iter().map(|event| event.id).collect();
        assert_eq!(ids.len(), of);
        kept.into_iter().map(|event| (event.at.0 - now(0).at.0, event.phase)).collect()
    }

    use EventPhase::{Began, Ended, Happened};

    #[test]
    fn one_thing_that_flickers_is_one_event() {
        let steps = [
            (0, Some(Began)),
            (1_000, Some(Began)),
            (2_000, Some(Ended)),
            (6_000, Some(Began)),
            (9_000, Some(Ended)),
            (10_000, Some(Ended)),
            (14_000, None),
            (14_001, None),
        ];
        assert_eq!(run(&steps, 1), [(0, Began), (9_000, Ended)], "it ended when the camera said so first");
    }

    #[test]
    fn after_a_pause_it_is_another() {
        let steps = [
            (0, Some(Began)),
            (1_000, Some(Ended)),
            (7_000, Some(Began)),
            (20_000, Some(Ended)),
            (30_000, None),
        ];
        assert_eq!(run(&steps, 2), [(0, Began), (1_000, Ended), (7_000, Began), (20_000, Ended)]);
    }

    #[test]
    fn what_never_ends_is_ended_and_begins_again_when_the_camera_says_so() {
        let ended = LENGTH_MS_MAX;
        let steps = [(0, Some(Began)), (ended, None), (ended + 1, Some(Ended)), (ended + 2, Some(Began))];
        assert_eq!(run(&steps, 2), [(0, Began), (ended, Ended), (ended + 2, Began)]);
    }

    #[test]
    fn no_camera_speaks_for_the_gateway() {
        let mut events = Events::new(EventSource::Onvif);
        let said = EventKind::TROUBLE.map(|kind| CameraEvent {
            kind,
            phase: Began,
            rule: Some("stalled".into()),
            topic: "lenskeep/camera_down".into(),
        });
        assert!(events.told(said.into(), now(0), &mut || EventId::from_random([1; 16])).is_empty());
        assert!(!events.is_active());
    }

    #[test]
    fn what_has_no_length_is_an_event_each_time() {
        assert_eq!(run(&[(0, Some(Happened)), (10, Some(Happened))], 2), [(0, Happened), (10, Happened)]);
    }

    #[test]
    fn a_flood_is_counted_and_not_kept() {
        let mut events = Events::new(EventSource::Onvif);
        let flood = (0..1_000).flat_map(|_| said(Happened)).collect();
        let mut id = || EventId::from_random([1; 16]);
        assert_eq!(events.told(flood, now(0), &mut id).len(), BEGINNINGS_MAX);
        assert_eq!(events.take_left_out(), 1_000 - BEGINNINGS_MAX as u32);
        assert_eq!(events.told(said(Happened), now(Timestamp::MINUTE), &mut id).len(), 1);
        assert_eq!(events.take_left_out(), 0);
        let rule = |n: u64| {
            let mut said = said(Began);
            said[0].rule = Some(n.to_string());
            said
        };
        for n in 0..100 {
            events.told(rule(n), now(Timestamp::MINUTE + n * 3_000), &mut id);
        }
        assert_eq!(events.take_left_out(), 100 - ACTIVE_MAX as u32);
    }

    #[test]
    fn whatever_goes_on_ends_with_the_connection() {
        let mut events = Events::new(EventSource::Onvif);
        events.told(said(Began), now(0), &mut || EventId::from_random([1; 16]));
        assert!(events.is_active());
        let ended = events.lost(now(500));
        assert_eq!((ended[0].phase, ended[0].at), (Ended, now(500).at));
        assert!(!events.is_active() && events.lost(now(600)).is_empty());
    }
}
