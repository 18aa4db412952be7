//! What Frigate says on the broker, on its way to the streams of events. A broker
//! is a place where others may publish, too: what is said there can begin events
//! of the cameras that the configuration names, and do nothing else.

use std::collections::BTreeMap;
use std::time::Duration;

use gateway_core::frigate::Sighting;
use gateway_core::mqtt::Heard;
use model::CameraId;
use tokio::sync::{broadcast, watch};
use tokio::time::Instant;
use tracing::{info, warn};

use crate::config::FrigateSection;

/// Of one camera, that wait for its stream of events. Of more, the oldest are lost,
/// and counted.
const QUEUE: usize = 64;
/// Messages that are read within a second; a busy site has a tenth of that.
const MESSAGES_MAX: u32 = 100;
/// How often it is told what was not taken.
const COUNTED_EVERY: Duration = Duration::from_secs(60);
/// Where Frigate says what it sees, and whether it runs.
const TOPICS: [&str; 2] = ["events", "available"];

/// Whether Frigate is heard, or why not; `None` before the first try.
pub(crate) type Hearing = Option<Result<(), String>>;

/// Where streams of events hear of their cameras.
#[derive(Clone, Debug)]
pub(crate) struct Sightings {
    cameras: BTreeMap<CameraId, broadcast::Sender<Sighting>>,
    hearing: watch::Receiver<Hearing>,
}

/// Hears of one camera.
#[derive(Debug)]
pub(crate) struct Ear {
    pub(crate) sightings: broadcast::Receiver<Sighting>,
    pub(crate) hearing: watch::Receiver<Hearing>,
}

/// The broker's end of it.
pub(super) struct Frigate {
    topics: Vec<String>,
    names: BTreeMap<String, broadcast::Sender<Sighting>>,
    hearing: watch::Sender<Hearing>,
    /// Frigate's own word for being gone.
    is_offline: bool,
    /// Whether the broker lets us hear all of it, once it has said so.
    may_hear: Option<bool>,
    left_this_second: u32,
    /// Whether something was not taken in this second.
    is_missing: bool,
    not_taken: NotTaken,
    counted: Instant,
}

#[derive(Debug, Default, PartialEq)]
struct NotTaken {
    too_many: u64,
    too_long: u64,
    unreadable: u64,
    unknown_camera: u64,
}

impl Sightings {
    /// `None`: the configuration does not name the camera.
    pub(crate) fn of(&self, camera: CameraId) -> Option<Ear> {
        let sightings = self.cameras.get(&camera)?.subscribe();
        Some(Ear { sightings, hearing: self.hearing.clone() })
    }
}

impl Frigate {
    pub(super) fn new(section: &FrigateSection) -> (Self, Sightings) {
        let mut cameras: BTreeMap<CameraId, broadcast::Sender<Sighting>> = BTreeMap::new();
        let mut names = BTreeMap::new();
        for (name, camera) in &section.cameras {
            let sender = cameras.entry(*camera).or_insert_with(|| broadcast::Sender::new(QUEUE));
            names.insert(name.clone(), sender.clone());
        }
        let (hearing, receiver) = watch::channel(None);
        let frigate = Frigate {
            topics: TOPICS.map(|topic| format!("{}/{topic}", section.topic_prefix)).to_vec(),
            names,
            hearing,
            is_offline: false,
            may_hear: None,
            left_this_second: MESSAGES_MAX,
            is_missing: false,
            not_taken: NotTaken::default(),
            counted: Instant::now(),
        };
        (frigate, Sightings { cameras, hearing: receiver })
    }

    pub(super) fn topics(&self) -> &[String] {
        &self.topics
    }

    /// Whether the broker lets us hear each of the topics.
    pub(super) fn subscribed(&mut self, are_let: &[bool]) {
        let refused = are_let.iter().position(|is_let| !is_let);
        self.may_hear = Some(refused.is_none());
        if let Some(at) = refused {
            let topic = self.topics.get(at).map_or("", String::as_str);
            self.set(Err(format!("the MQTT broker does not let its user read {topic}")));
        } else if !self.is_offline {
            self.set(Ok(()));
        }
    }

    pub(super) fn lost(&mut self) {
        // What it says next counts.
        (self.is_offline, self.may_hear) = (false, None);
        self.set(Err("no connection to the MQTT broker, by which Frigate is heard".to_owned()));
    }

    pub(super) fn too_long(&mut self) {
        self.not_taken.too_long += 1;
        self.missing();
    }

    pub(super) fn hear(&mut self, heard: &Heard) {
        match TOPICS.get(heard.topic) {
            Some(&"available") => self.hear_availability(&heard.payload),
            // What was said before we listened is no news.
            Some(_) if !heard.is_retained => self.hear_event(&heard.payload),
            _ => {}
        }
    }

    fn hear_availability(&mut self, payload: &[u8]) {
        match payload {
            b"offline" => self.is_offline = true,
            b"online" => self.is_offline = false,
            _ => return,
        }
        match self.may_hear {
            // What the broker refuses does not pass with what Frigate says.
            Some(false) => {}
            _ if self.is_offline => self.set(Err("Frigate is offline, as it says".to_owned())),
            Some(true) => self.set(Ok(())),
            None => {}
        }
    }

    fn hear_event(&mut self, payload: &[u8]) {
        let Some(left) = self.left_this_second.checked_sub(1) else {
            self.not_taken.too_many += 1;
            return self.missing();
        };
        self.left_this_second = left;
        match Sighting::parse(payload) {
            Err(error) => {
                if self.not_taken.unreadable == 0 {
                    // Its words are a stranger's, and an error of JSON quotes them.
                    tracing::debug!(%error, "a message on Frigate's topic is none");
                }
                self.not_taken.unreadable += 1;
                self.missing();
            }
            Ok(sighting) => match self.names.get(&sighting.camera) {
                // Nobody listens while the camera is not in the site.
                Some(sender) => drop(sender.send(sighting)),
                None => self.not_taken.unknown_camera += 1,
            },
        }
    }

    /// What was not taken may have been of any camera: whoever floods the broker must
    /// not make footage look as if nothing had happened.
    fn missing(&mut self) {
        if !std::mem::replace(&mut self.is_missing, true) {
            self.set(Err("more is said on Frigate's topics, or otherwise, than is taken".to_owned()));
        }
    }

    /// Once a second.
    pub(super) fn tick(&mut self) {
        self.left_this_second = MESSAGES_MAX;
        if std::mem::take(&mut self.is_missing) && self.may_hear == Some(true) && !self.is_offline {
            self.set(Ok(()));
        }
        if self.counted.elapsed() < COUNTED_EVERY {
            return;
        }
        self.counted = Instant::now();
        let NotTaken { too_many, too_long, unreadable, unknown_camera } = std::mem::take(&mut self.not_taken);
        if too_many + too_long + unreadable > 0 {
            warn!(too_many, too_long, unreadable, "not all that is said on Frigate's topics was taken");
        }
        if unknown_camera > 0 {
            info!(
                unknown_camera,
                "Frigate tells of cameras that [mqtt.frigate.cameras] does not name; they are left out"
            );
        }
    }

    fn set(&self, hearing: Result<(), String>) {
        self.hearing.send_if_modified(|before| {
            let is_news = before.as_ref() != Some(&hearing);
            *before = Some(hearing);
            is_news
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frigate() -> (Frigate, Ear) {
        let camera = CameraId::from_random([7; 16]);
        let section = FrigateSection {
            topic_prefix: "frigate".to_owned(),
            cameras: [("front".to_owned(), camera)].into(),
        };
        let (frigate, sightings) = Frigate::new(&section);
        assert!(sightings.of(CameraId::from_random([8; 16])).is_none());
        (frigate, sightings.of(camera).unwrap())
    }

    fn event(camera: &str) -> Heard {
        let payload =
            format!(r#"{{"type":"new","after":{{"id":"a","camera":"{camera}","label":"person"}}}}"#);
        Heard { topic: 0, payload: payload.into_bytes(), is_retained: false }
    }

    #[test]
    fn events_of_cameras_that_are_named_are_heard_and_what_is_retained_is_not() {
        let (mut frigate, mut ear) = frigate();
        assert_eq!(frigate.topics(), ["frigate/events", "frigate/available"]);
        frigate.hear(&Heard { is_retained: true, ..event("front") });
        frigate.hear(&event("back"));
        frigate.hear(&Heard { payload: b"{".to_vec(), ..event("front") });
        assert!(ear.sightings.is_empty());
        frigate.hear(&event("front"));
        assert_eq!(ear.sightings.try_recv().unwrap().camera, "front");
        assert_eq!(frigate.not_taken, NotTaken { unreadable: 1, unknown_camera: 1, ..NotTaken::default() });
    }

    #[test]
    fn a_flood_is_not_read_and_counted() {
        let (mut frigate, mut ear) = frigate();
        for _ in 0..1_000 {
            frigate.hear(&event("front"));
        }
        assert_eq!(frigate.not_taken.too_many, 1_000 - u64::from(MESSAGES_MAX));
        assert_eq!(ear.sightings.len(), MESSAGES_MAX as usize);
        let lost = broadcast::error::TryRecvError::Lagged(u64::from(MESSAGES_MAX) - QUEUE as u64);
        assert_eq!(ear.sightings.try_recv().unwrap_err(), lost);
        frigate.tick();
        frigate.hear(&event("front"));
        assert_eq!(frigate.not_taken.too_many, 1_000 - u64::from(MESSAGES_MAX));
    }

    /// The attack: whoever may publish floods the topic, so that nobody hears of the
    /// person who walks past, and footage looks as if nothing had happened.
    #[test]
    fn what_was_not_taken_is_not_heard() {
        let (mut frigate, ear) = frigate();
        let is_heard = || ear.hearing.borrow().as_ref().map(Result::is_ok);
        frigate.subscribed(&[true, true]);
        for _ in 0..=MESSAGES_MAX {
            frigate.hear(&event("nobody"));
        }
        assert_eq!(is_heard(), Some(false));
        frigate.tick();
        assert_eq!(is_heard(), Some(true));
        frigate.hear(&Heard { payload: b"{".to_vec(), ..event("front") });
        assert_eq!(is_heard(), Some(false), "it may have been about a person");
        frigate.tick();
        frigate.too_long();
        assert_eq!(is_heard(), Some(false));
        frigate.lost();
        frigate.tick();
        assert_eq!(is_heard(), Some(false), "the broker is gone");
    }

    #[test]
    fn whether_frigate_is_heard_is_told() {
        let (mut frigate, ear) = frigate();
        let available = |text: &str| Heard { topic: 1, payload: text.as_bytes().to_vec(), is_retained: true };
        let is_heard = || ear.hearing.borrow().as_ref().map(Result::is_ok);
        assert_eq!(is_heard(), None);
        frigate.hear(&available("offline"));
        frigate.subscribed(&[true, true]);
        assert_eq!(is_heard(), Some(false), "the broker may say that before it confirms");
        frigate.hear(&available("online"));
        assert_eq!(is_heard(), Some(true));
        frigate.lost();
        assert_eq!(is_heard(), Some(false));
        frigate.subscribed(&[false, true]);
        for word in ["online", "offline", "online"] {
            frigate.hear(&available(word));
            assert_eq!(is_heard(), Some(false), "what may not be read is not heard");
        }
        let words = ear.hearing.borrow().clone().unwrap().unwrap_err();
        assert_eq!(words, "the MQTT broker does not let its user read frigate/events");
    }
}
