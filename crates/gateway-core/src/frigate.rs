//! What Frigate says that it sees, as its messages on `frigate/events` have it,
//! in the words of [`crate::events`].
//!
//! Each message tells the whole state of one object that Frigate follows, and is
//! sent again at each change; several people are several objects. Told on are
//! kinds of things: one event lasts while any object of its kind is in the same
//! zone. What stands still is no event, or a parked car would be one for days.
//!
//! Frigate's clock orders the messages of one object and dates nothing. Whoever
//! may publish on the broker is believed to be Frigate, so a message is bounded,
//! and can neither begin what was told to be over nor touch another camera.

use std::collections::{BTreeMap, VecDeque};

use model::{CameraEvent, EventKind, EventPhase};
use serde::Deserialize;

use crate::events::LENGTH_MS_MAX;

/// Of an object's id, a camera's name, a label and a zone, in bytes. Frigate's ids
/// have 24.
pub const NAME_MAX: usize = 64;
/// Zones of one object. Cameras have a handful.
pub const ZONES_MAX: usize = 32;
/// Objects of one camera that are followed. Of more, the one of which nothing was
/// heard for longest is let go.
pub const OBJECTS_MAX: usize = 64;
/// Objects of one camera that are remembered to be gone, so that a message which
/// comes late brings none of them back.
pub const GONE_MAX: usize = 256;
/// Of which nothing was heard for so long, an object is gone: its end was missed.
pub const SILENT_MS_MAX: u64 = LENGTH_MS_MAX;

/// How one object was when Frigate told it.
#[derive(Clone, Debug, PartialEq)]
pub struct Sighting {
    /// Frigate's name of the camera.
    pub camera: String,
    object: String,
    label: String,
    /// Where it is now, or if nowhere, where it was last.
    zones: Vec<String>,
    /// By Frigate's clock, in seconds.
    told_at: Option<f64>,
    is_there: bool,
    /// Nothing more will be told of it.
    is_last: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum FrigateError {
    #[error("it is no message of Frigate's: {0}")]
    Json(#[from] serde_json::Error),
    #[error("{0} has no 1 to {NAME_MAX} bytes")]
    Name(&'static str),
    #[error("an object is in more than {ZONES_MAX} zones")]
    Zones,
    #[error("a time is none")]
    Time,
}

#[derive(Deserialize)]
struct Message {
    #[serde(rename = "type")]
    phase: Phase,
    after: Told,
}

#[derive(Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Phase {
    New,
    Update,
    End,
}

/// What is of use of it. Who somebody is (`sub_label`) is not taken.
#[derive(Deserialize)]
struct Told {
    id: String,
    camera: String,
    label: String,
    #[serde(default)]
    frame_time: Option<f64>,
    #[serde(default)]
    end_time: Option<f64>,
    #[serde(default)]
    false_positive: bool,
    #[serde(default)]
    stationary: bool,
    #[serde(default)]
    current_zones: Vec<String>,
    #[serde(default)]
    entered_zones: Vec<String>,
}

impl Sighting {
    /// Reads a message of Frigate's topic `events`.
    pub fn parse(payload: &[u8]) -> Result<Self, FrigateError> {
        let Message { phase, after } = serde_json::from_slice(payload)?;
        let is_name = |name: &str| (1..=NAME_MAX).contains(&name.len());
        for (name, what) in [(&after.id, "an id"), (&after.camera, "a camera"), (&after.label, "a label")] {
            if !is_name(name) {
                return Err(FrigateError::Name(what));
            }
        }
        if after.current_zones.len().max(after.entered_zones.len()) > ZONES_MAX {
            return Err(FrigateError::Zones);
        }
        if !after.current_zones.iter().chain(&after.entered_zones).all(|zone| is_name(zone)) {
            return Err(FrigateError::Name("a zone"));
        }
        if after.frame_time.is_some_and(|time| !time.is_finite()) {
            return Err(FrigateError::Time);
        }
        let zones = match after.current_zones.is_empty() {
            false => after.current_zones,
            true => after.entered_zones.into_iter().next_back().into_iter().collect(),
        };
        let is_last = phase == Phase::End || after.end_time.is_some();
        Ok(Sighting {
            is_there: !is_last && !after.false_positive && !after.stationary,
            camera: after.camera,
            object: after.id,
            label: after.label,
            zones,
            told_at: after.frame_time,
            is_last,
        })
    }
}

/// What an event is about, as [`CameraEvent`] has it.
#[derive(Clone, Debug, PartialEq)]
struct Subject {
    kind: EventKind,
    rule: Option<String>,
    topic: String,
}

#[derive(Debug)]
struct Object {
    /// `None` while it stands still.
    subject: Option<Subject>,
    /// Frigate's name of the zone that the subject is named after.
    zone: Option<String>,
    told_at: Option<f64>,
    heard_ms: u64,
}

/// The objects of one camera.
#[derive(Debug, Default)]
pub struct Objects {
    followed: BTreeMap<String, Object>,
    gone: VecDeque<String>,
}

impl Objects {
    /// What begins and ends by it. What lasts is begun each time that it is told:
    /// whoever listens knows whether it goes on. `ms` is of a clock that only goes
    /// forward.
    pub fn take(&mut self, sighting: Sighting, ms: u64) -> Vec<CameraEvent> {
        let mut told = self.tick(ms);
        let Sighting { object: id, label, zones, told_at, is_there, is_last, .. } = sighting;
        if self.gone.contains(&id) {
            return told;
        }
        let before = self.followed.remove(&id);
        if is_last {
            told.extend(before.and_then(|before| self.ended(before.subject)));
            self.gone.push_back(id);
            if self.gone.len() > GONE_MAX {
                self.gone.pop_front();
            }
            return told;
        }
        if self.followed.len() >= OBJECTS_MAX {
            told.extend(self.let_one_go());
        }
        let (was, old_zone, old_time) = match before {
            Some(before) if before.told_at.zip(told_at).is_some_and(|(old, new)| new < old) => {
                // It was overtaken.
                self.followed.insert(id, before);
                return told;
            }
            Some(before) => (before.subject, before.zone, before.told_at),
            None => (None, None, None),
        };
        // One object has one zone at a time, and leaves it for another one only.
        let zone = match old_zone {
            Some(zone) if zones.is_empty() || zones.contains(&zone) => Some(zone),
            _ => zones.into_iter().next(),
        };
        let subject = is_there.then(|| subject(&label, zone.as_deref()));
        if was != subject {
            told.extend(self.ended(was));
        }
        told.extend(subject.as_ref().map(|subject| subject.event(EventPhase::Began)));
        self.followed.insert(id, Object { subject, zone, told_at: told_at.or(old_time), heard_ms: ms });
        told
    }

    /// What has ended by silence.
    pub fn tick(&mut self, ms: u64) -> Vec<CameraEvent> {
        let is_silent = |object: &mut Object| ms.saturating_sub(object.heard_ms) >= SILENT_MS_MAX;
        let silent: Vec<Object> =
            self.followed.extract_if(.., |_, object| is_silent(object)).map(|(_, object)| object).collect();
        silent.into_iter().filter_map(|object| self.ended(object.subject)).collect()
    }

    /// Messages may have been missed: everything ends, and what is still there
    /// begins again when it is told.
    pub fn forget(&mut self) -> Vec<CameraEvent> {
        self.gone.clear();
        let objects = std::mem::take(&mut self.followed).into_values();
        let mut told: Vec<CameraEvent> = Vec::new();
        for subject in objects.filter_map(|object| object.subject) {
            let ended = subject.event(EventPhase::Ended);
            if !told.contains(&ended) {
                told.push(ended);
            }
        }
        told
    }

    /// While another object is of the same subject, the event goes on.
    fn ended(&self, subject: Option<Subject>) -> Option<CameraEvent> {
        let goes_on = self.followed.values().any(|object| object.subject == subject);
        subject.filter(|_| !goes_on).map(|subject| subject.event(EventPhase::Ended))
    }

    fn let_one_go(&mut self) -> Option<CameraEvent> {
        let (id, _) = self.followed.iter().min_by_key(|(_, object)| object.heard_ms)?;
        let object = self.followed.remove(&id.clone())?;
        self.ended(object.subject)
    }
}

impl Subject {
    fn event(&self, phase: EventPhase) -> CameraEvent {
        let Subject { kind, rule, topic } = self.clone();
        CameraEvent { kind, phase, rule, topic }
    }
}

fn subject(label: &str, zone: Option<&str>) -> Subject {
    let rule = zone.map(|zone| CameraEvent::text(zone, CameraEvent::RULE_MAX));
    Subject {
        kind: kind_of(label),
        rule: rule.filter(|rule| !rule.is_empty()),
        topic: CameraEvent::text(&format!("frigate/{label}"), CameraEvent::TOPIC_MAX),
    }
}

/// Labels of Frigate's own models, of those that it offers besides, and of the
/// sounds that it knows.
fn kind_of(label: &str) -> EventKind {
    match label {
        "person" => EventKind::Person,
        "car" | "truck" | "bus" | "motorcycle" | "bicycle" | "train" | "boat" | "airplane" | "vehicle"
        | "school_bus" | "license_plate" => EventKind::Vehicle,
        "bird" | "cat" | "dog" | "horse" | "sheep" | "cow" | "elephant" | "bear" | "zebra" | "giraffe"
        | "deer" | "raccoon" | "fox" | "rabbit" | "squirrel" | "goat" | "skunk" | "opossum" | "kangaroo"
        | "animal" => EventKind::Animal,
        "package" => EventKind::Package,
        "face" => EventKind::Face,
        "bark" | "speech" | "scream" | "yell" | "crying" | "laughter" | "fire_alarm" | "smoke_detector"
        | "glass" | "shatter" | "siren" | "gunshot" | "explosion" => EventKind::Sound,
        "doorbell" => EventKind::Doorbell,
        _ => EventKind::Other,
    }
}

/// Entry point for the fuzzer and the property tests: any lines are messages of
/// one camera, or none.
#[doc(hidden)]
pub fn fuzz_messages(data: &[u8]) {
    let mut objects = Objects::default();
    let mut lasting: Vec<CameraEvent> = Vec::new();
    for (number, line) in data.split(|byte| *byte == b'\n').enumerate() {
        let Ok(sighting) = Sighting::parse(line) else { continue };
        let ended_before = lasting.len();
        for told in objects.take(sighting, number as u64 * 1_000) {
            check(&told, &mut lasting);
        }
        assert!(objects.followed.len() <= OBJECTS_MAX && objects.gone.len() <= GONE_MAX);
        assert!(lasting.len() <= ended_before + 1, "one message begins one event");
    }
    for told in objects.forget() {
        check(&told, &mut lasting);
    }
    assert_eq!(lasting, [], "what began has ended");
}

fn check(told: &CameraEvent, lasting: &mut Vec<CameraEvent>) {
    let rule = told.rule.as_deref().unwrap_or("a zone");
    assert!(!rule.is_empty() && rule.len() <= CameraEvent::RULE_MAX);
    assert!(told.topic.len() <= CameraEvent::TOPIC_MAX);
    assert!(!told.topic.chars().chain(rule.chars()).any(|c| c.is_control() || model::turns_text(c)));
    let began = CameraEvent { phase: EventPhase::Began, ..told.clone() };
    let known = lasting.iter().position(|other| *other == began);
    match (told.phase, known) {
        (EventPhase::Began, None) => lasting.push(began),
        (EventPhase::Began, Some(_)) => {}
        (EventPhase::Ended, Some(known)) => drop(lasting.remove(known)),
        _ => panic!("only what began ends: {told:?}"),
    }
}

#[cfg(test)]
mod tests;
