//! What a broker is to have: of each retained topic the value that holds now, and
//! of events those that it was not told yet. Both are bounded.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use gateway_core::events::LENGTH_MS_MAX;
use gateway_core::home_assistant::{KINDS, OFF, OFFLINE, ON, ONLINE, Topics};
use gateway_core::webhooks::EventMessage;
use model::wire::StreamState;
use model::{CameraId, EventId, EventKind, EventPhase, Rendition};
use tokio::time::Instant;

use crate::local::View;

/// Events that wait for the broker; of more, the oldest are dropped.
const WAITING_MAX: usize = 1_024;
/// What is older is no news any more.
const AGE_MAX: Duration = Duration::from_secs(3_600);
/// A sensor is on for so long after what has no length.
const PULSE: Duration = Duration::from_secs(5);
/// Longer than any event lasts: one whose end was missed turns off all the same.
const ON_MAX: Duration = Duration::from_millis(LENGTH_MS_MAX + 60_000);

/// The gateway tells the end of trouble, however long it lasts.
const TROUBLE_MAX: Duration = Duration::from_secs(365 * 24 * 3_600);

pub(super) struct State {
    topics: Topics,
    retained: BTreeMap<String, String>,
    /// Topics whose value the broker does not have.
    dirty: BTreeSet<String>,
    events: VecDeque<Publication>,
    dropped: u64,
    /// Until when a sensor is on at most, by what turned it on.
    on: BTreeMap<(CameraId, EventKind), BTreeMap<EventId, Instant>>,
    /// With their names.
    cameras: BTreeMap<CameraId, String>,
}

/// One message for the broker.
#[derive(Clone, Debug)]
pub(super) struct Publication {
    pub(super) topic: String,
    pub(super) payload: String,
    pub(super) is_retained: bool,
    /// Since when it waits.
    since: Instant,
}

impl State {
    pub(super) fn new(topics: Topics) -> Self {
        let mut state = State {
            retained: BTreeMap::new(),
            dirty: BTreeSet::new(),
            events: VecDeque::new(),
            dropped: 0,
            on: BTreeMap::new(),
            cameras: BTreeMap::new(),
            topics,
        };
        state.retain(state.topics.availability(), ONLINE);
        state
    }

    pub(super) fn topics(&self) -> &Topics {
        &self.topics
    }

    /// The broker may have forgotten everything.
    pub(super) fn all_again(&mut self) {
        self.dirty = self.retained.keys().cloned().collect();
    }

    pub(super) fn hear(&mut self, message: EventMessage) {
        let EventMessage { camera, kind, event, phase, .. } = message;
        let on = self.on.entry((camera, kind)).or_default();
        match phase {
            EventPhase::Began if kind.is_trouble() => on.insert(event, Instant::now() + TROUBLE_MAX),
            EventPhase::Began => on.insert(event, Instant::now() + ON_MAX),
            EventPhase::Happened => on.insert(event, Instant::now() + PULSE),
            EventPhase::Ended => on.remove(&event),
        };
        self.show(camera, kind);
        let publication = Publication {
            topic: self.topics.events(camera),
            payload: message.body(None),
            is_retained: false,
            since: Instant::now(),
        };
        self.events.push_back(publication);
        while self.events.len() > WAITING_MAX {
            self.events.pop_front();
            self.dropped += 1;
        }
    }

    /// Cameras come, go, are called otherwise, fail; what lasts too long is over.
    pub(super) fn look(&mut self, view: &View) {
        let now = Instant::now();
        let kinds: Vec<_> = self.on.keys().copied().collect();
        for (camera, kind) in kinds {
            if let Some(on) = self.on.get_mut(&(camera, kind)) {
                on.retain(|_, until| *until > now);
            }
            self.show(camera, kind);
        }
        self.on.retain(|_, on| !on.is_empty());

        let mut cameras = BTreeMap::new();
        for ((camera, rendition), outlet) in &view.streams {
            if *rendition != Rendition::Main {
                continue;
            }
            let name = view.roster.camera(*camera).map_or("", |camera| &camera.name);
            cameras.insert(*camera, name.to_owned());
            let is_recorded = outlet.status().state == StreamState::Recording;
            self.retain(self.topics.camera(*camera), if is_recorded { ONLINE } else { OFFLINE });
        }
        let gone: Vec<CameraId> =
            self.cameras.keys().filter(|camera| !cameras.contains_key(camera)).copied().collect();
        for camera in gone {
            self.forget(camera);
        }
        for (camera, name) in cameras {
            if self.cameras.get(&camera) != Some(&name) {
                self.describe(camera, name);
            }
        }
        while self.events.front().is_some_and(|event| event.since.elapsed() >= AGE_MAX) {
            self.events.pop_front();
            self.dropped += 1;
        }
    }

    pub(super) fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }

    /// What the broker is to be told next; states first, since they are few.
    pub(super) fn next(&mut self) -> Option<Publication> {
        if let Some(topic) = self.dirty.pop_first() {
            let payload = self.retained.get(&topic).cloned().unwrap_or_default();
            if payload.is_empty() {
                self.retained.remove(&topic);
            }
            return Some(Publication { topic, payload, is_retained: true, since: Instant::now() });
        }
        self.events.pop_front()
    }

    /// The broker did not say that it has it.
    pub(super) fn put_back(&mut self, publication: Publication) {
        if publication.is_retained {
            self.dirty.insert(publication.topic.clone());
            self.retained.entry(publication.topic).or_insert(publication.payload);
        } else {
            // As old as it is: a broker that confirms nothing makes no news of it.
            self.events.push_front(publication);
        }
    }

    fn retain(&mut self, topic: String, value: &str) {
        if self.retained.get(&topic).map(String::as_str) != Some(value) {
            self.dirty.insert(topic.clone());
            self.retained.insert(topic, value.to_owned());
        }
    }

    fn show(&mut self, camera: CameraId, kind: EventKind) {
        let is_on = self.on.get(&(camera, kind)).is_some_and(|on| !on.is_empty());
        let name = KINDS.iter().find(|known| known.0 == kind).map_or("other", |known| known.1);
        // Whatever is still told of a camera that is gone: nobody would turn it off.
        if self.cameras.contains_key(&camera) {
            self.retain(self.topics.kind(camera, name), if is_on { ON } else { OFF });
        }
    }

    fn describe(&mut self, camera: CameraId, name: String) {
        if let Some(topic) = self.topics.discovery(camera) {
            let payload = self.topics.discovery_payload(camera, &name, env!("CARGO_PKG_VERSION"));
            self.retain(topic, &payload);
        }
        self.cameras.insert(camera, name);
        // Also what was on when the gateway died.
        for (kind, ..) in KINDS {
            self.show(camera, kind);
        }
    }

    /// An empty payload deletes what is retained (MQTT 3.1.1, section 3.3.1.3).
    fn forget(&mut self, camera: CameraId) {
        self.cameras.remove(&camera);
        self.on.retain(|(of, _), _| *of != camera);
        let topics = [Some(self.topics.camera(camera)), self.topics.discovery(camera)].into_iter().flatten();
        let kinds: Vec<String> = KINDS.iter().map(|(_, name, ..)| self.topics.kind(camera, name)).collect();
        for topic in topics.chain(kinds).collect::<Vec<_>>() {
            self.retain(topic, "");
        }
    }
}

#[cfg(test)]
mod tests {
    use model::{EventSource, GatewayId, Timestamp};

    use super::*;

    fn message(number: u64, phase: EventPhase) -> EventMessage {
        EventMessage {
            event: EventId::from_random([number as u8; 16]),
            phase,
            at: Timestamp(number),
            began_at: None,
            gateway: GatewayId::from_random([1; 16]),
            camera: CameraId::from_random([2; 16]),
            camera_name: "Door".into(),
            kind: EventKind::Motion,
            rule: None,
            topic: String::new(),
            source: EventSource::Onvif,
        }
    }

    fn state() -> State {
        let mut state = State::new(Topics::new("lenskeep", "", GatewayId::from_random([1; 16])));
        state.cameras.insert(message(1, EventPhase::Began).camera, "Door".into());
        state
    }

    fn motion(state: &State) -> &str {
        &state.retained[&state.topics.kind(message(1, EventPhase::Began).camera, "motion")]
    }

    #[test]
    fn a_sensor_is_on_while_any_event_of_its_kind_lasts() {
        let mut state = state();
        state.hear(message(1, EventPhase::Began));
        state.hear(message(2, EventPhase::Began));
        state.hear(message(1, EventPhase::Ended));
        assert_eq!(motion(&state), ON);
        state.hear(message(2, EventPhase::Ended));
        assert_eq!(motion(&state), OFF);
    }

    #[test]
    fn a_flood_while_the_broker_is_away_is_bounded_and_counted() {
        let mut state = state();
        for number in 0..10_000 {
            state.hear(message(number, EventPhase::Happened));
        }
        assert_eq!(state.events.len(), WAITING_MAX);
        assert_eq!(state.take_dropped(), 10_000 - WAITING_MAX as u64);
        assert!(state.on.values().all(|on| on.len() <= 256) && state.retained.len() == 2);
    }

    #[test]
    fn what_the_broker_did_not_take_comes_again_with_its_newest_value() {
        let mut state = state();
        state.hear(message(1, EventPhase::Began));
        let sent: Vec<Publication> = std::iter::from_fn(|| state.next()).collect();
        assert_eq!(sent.iter().map(|one| one.is_retained).collect::<Vec<_>>(), [true, true, false]);
        state.hear(message(1, EventPhase::Ended));
        for publication in sent.into_iter().rev() {
            state.put_back(publication);
        }
        let again: Vec<Publication> = std::iter::from_fn(|| state.next()).collect();
        assert!(again.iter().any(|one| one.topic.ends_with("/motion") && one.payload == OFF));
        assert!(!again.iter().any(|one| one.payload == ON));
        let events: Vec<bool> =
            again.iter().filter(|one| !one.is_retained).map(|one| one.payload.contains("began")).collect();
        assert_eq!(events.len(), 2);
        assert!(again.iter().filter(|one| !one.is_retained).nth(1).unwrap().payload.contains("event.ended"));
    }

    #[test]
    fn what_is_gone_is_deleted_at_the_broker() {
        let mut state = state();
        let camera = message(1, EventPhase::Began).camera;
        state.describe(camera, "Door".into());
        while state.next().is_some() {}
        state.forget(camera);
        let deleted: Vec<Publication> = std::iter::from_fn(|| state.next()).collect();
        assert_eq!(deleted.len(), KINDS.len() + 1);
        assert!(deleted.iter().all(|one| one.payload.is_empty() && one.is_retained));
        assert_eq!(state.retained.len(), 1, "the gateway's own is left");
    }

    /// Its end would not be told, and the sensor be on for ever.
    #[test]
    fn what_is_told_late_of_a_camera_that_is_gone_turns_nothing_on() {
        let mut state = state();
        let camera = message(1, EventPhase::Began).camera;
        state.forget(camera);
        while state.next().is_some() {}
        state.hear(message(1, EventPhase::Began));
        let told: Vec<Publication> = std::iter::from_fn(|| state.next()).collect();
        assert_eq!(told.iter().map(|one| one.is_retained).collect::<Vec<_>>(), [false], "the event alone");
        // It is back, while the event lasts.
        state.describe(camera, "Door".into());
        assert_eq!(motion(&state), ON);
        state.hear(message(1, EventPhase::Ended));
        assert_eq!(motion(&state), OFF);
    }

    #[test]
    fn what_no_broker_confirms_becomes_no_news_again() {
        let mut state = state();
        state.hear(message(1, EventPhase::Happened));
        state.dirty.clear();
        let sent = state.next().unwrap();
        let since = sent.since;
        state.put_back(sent);
        assert_eq!(state.next().unwrap().since, since);
    }
}
