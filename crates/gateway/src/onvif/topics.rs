//! What a notification means: makes name hundreds of rules, people filter by a
//! dozen kinds. Told by local names alone, as makes disagree about namespaces.

use std::collections::BTreeMap;

use model::{CameraEvent, EventKind, EventPhase};

use super::messages::{Item, Notification, Operation};

/// What lasts at one camera, so that an event ends as what it began as, and when
/// the last of those who caused it has gone.
#[derive(Debug, Default)]
pub(super) struct Memory(BTreeMap<String, Lasting>);

#[derive(Debug, PartialEq)]
struct Lasting {
    kind: EventKind,
    topic: String,
    rule: Option<String>,
}

impl Memory {
    /// Of one camera at a time. Some never say that anything is over: beyond, one
    /// is forgotten, whose end is not told then.
    const ACTIVE_MAX: usize = 128;

    /// None of what is housekeeping. What lasts is begun each time that it is told:
    /// whoever listens knows whether it goes on.
    pub(super) fn take(&mut self, notification: &Notification) -> Vec<CameraEvent> {
        let topic = plain(&notification.topic);
        let Some(kind) = kind_of_topic(&topic) else { return Vec::new() };
        let states = states(notification, kind);
        let told: Vec<(EventKind, EventPhase)> = if states.is_empty() {
            self.take_stateless(&topic, notification, kind)
        } else {
            states.into_iter().filter_map(|state| self.take_state(&topic, notification, &state)).collect()
        };
        let event =
            |(kind, phase)| CameraEvent { kind, phase, rule: rule(notification), topic: shown(&topic) };
        told.into_iter().map(event).collect()
    }

    fn take_state(
        &mut self,
        topic: &str,
        notification: &Notification,
        state: &State<'_>,
    ) -> Option<(EventKind, EventPhase)> {
        let key = key(topic, notification, state.item);
        let is_on = state.on && notification.operation != Some(Operation::Deleted);
        if !is_on {
            return self.end(&key);
        }
        if let Some(known) = self.0.get(&key) {
            return (!is_momentary(known.kind)).then_some((known.kind, EventPhase::Began));
        }
        if self.0.len() >= Self::ACTIVE_MAX {
            self.0.pop_first();
        }
        let kind = state.kind;
        self.0.insert(key, Lasting { kind, topic: topic.to_owned(), rule: rule(notification) });
        let phase = if is_momentary(kind) { EventPhase::Happened } else { EventPhase::Began };
        Some((kind, phase))
    }

    /// While another object is in the same zone, the event goes on.
    fn end(&mut self, key: &str) -> Option<(EventKind, EventPhase)> {
        let ended = self.0.remove(key)?;
        let goes_on = self.0.values().any(|lasting| *lasting == ended);
        (!goes_on && !is_momentary(ended.kind)).then_some((ended.kind, EventPhase::Ended))
    }

    fn take_stateless(
        &mut self,
        topic: &str,
        notification: &Notification,
        kind: EventKind,
    ) -> Vec<(EventKind, EventPhase)> {
        match notification.operation {
            None | Some(Operation::Changed) => vec![(refined(kind, notification), EventPhase::Happened)],
            // How things stand is no news.
            Some(Operation::Initialized) => Vec::new(),
            // A property that is gone may leave its items out.
            Some(Operation::Deleted) => {
                let prefix = key(topic, notification, "");
                let keys: Vec<String> = self
                    .0
                    .range(prefix.clone()..)
                    .map(|(key, _)| key.clone())
                    .take_while(|key| key.starts_with(&prefix))
                    .collect();
                keys.iter().filter_map(|key| self.end(key)).collect()
            }
        }
    }
}

/// Somebody crosses a line or rings, and makes still send a state of it that
/// lasts some seconds.
fn is_momentary(kind: EventKind) -> bool {
    matches!(kind, EventKind::Line | EventKind::Doorbell)
}

/// Ends with the item, as several may be told of one place.
fn key(topic: &str, notification: &Notification, item: &str) -> String {
    let mut key = topic.to_owned();
    for Item { name, value } in notification.source.iter().chain(&notification.key) {
        // What does not stand in an XML text parts them.
        key += &format!("\0{name}\0{value}");
    }
    key + "\0\0" + item
}

/// The topic's path without prefixes: `tns1:RuleEngine/tnsaxis:VMD3/a` is
/// `RuleEngine/VMD3/a`. Some makes end it with the wildcard `//.`.
fn plain(topic: &str) -> String {
    let segments = topic.split('/').map(|segment| segment.rsplit(':').next().unwrap_or_default().trim());
    segments.filter(|segment| !matches!(*segment, "" | ".")).collect::<Vec<_>>().join("/")
}

fn shown(topic: &str) -> String {
    CameraEvent::text(topic, CameraEvent::TOPIC_MAX)
}

/// Which rule, zone or input it is about; a channel only if nothing says more.
fn rule(notification: &Notification) -> Option<String> {
    const NAMES: [&str; 12] = [
        "Rule",
        "RuleName",
        "InputToken",
        "RelayToken",
        "Name",
        "port",
        "AudioAnalyticsConfigurationToken",
        "AudioSourceConfigurationToken",
        "Source",
        "VideoSourceToken",
        "VideoSourceConfigurationToken",
        "VideoSource",
    ];
    let items = || notification.source.iter().chain(&notification.key);
    let named = |name: &&str| items().find(|item| item.name == *name && !item.value.is_empty());
    let found = NAMES.iter().find_map(named)?;
    Some(CameraEvent::text(&found.value, CameraEvent::RULE_MAX)).filter(|rule| !rule.is_empty())
}

/// Sections of topics that tell of the camera itself.
const HOUSEKEEPING: [&str; 14] = [
    "Monitoring",
    "Media",
    "MediaControl",
    "Media2",
    "RecordingConfig",
    "RecordingHistory",
    "Configuration",
    "PTZController",
    "PTZ",
    "Security",
    "AdvancedSecurity",
    "Network",
    "Storage",
    "Log",
];

/// Segments of topics that tell of the camera itself, wherever they stand, or
/// that only count.
const HOUSEKEEPING_WITHIN: [&str; 10] = [
    "HardwareFailure",
    "OperationMode",
    "CountAggregation",
    "Counter",
    "OccupancyCounting",
    "PeopleCounting",
    "xinternal_data",
    "HeartBeat",
    // Axis: each object that was followed, and pulses of its clock.
    "TrackEnded",
    "Recurring",
];

/// Sections that tell of what the camera sees and hears: what is not in the
/// table below is something.
const OF_THE_SCENE: [&str; 6] =
    ["RuleEngine", "VideoAnalytics", "AudioAnalytics", "CameraApplicationPlatform", "UserAlarm", "IVA"];

/// By segments of topics, the last that is known counts; without regard to
/// case. ONVIF Analytics Service Specification annexes, ONVIF Imaging Service
/// Specification section 5.3, and what makes were seen to send.
const SEGMENTS: &[(EventKind, &[&str])] = &[
    (
        EventKind::Motion,
        &[
            "Motion",
            "MotionAlarm",
            "CellMotionDetector",
            "MotionRegionDetector",
            "MotionDetector",
            "MotionDetection",
            "MotionGuard",
            "PIR",
            // AXIS Video Motion Detection 3 and 4, Object Analytics.
            "VMD",
            "VMD3",
            "ObjectAnalytics",
        ],
    ),
    (
        EventKind::Person,
        &[
            // Reolink; TP-Link; others.
            "PeopleDetect",
            "PeopleDetector",
            "People",
            "Person",
            "PersonDetect",
            "PersonDetector",
            "Human",
            "HumanDetect",
            "HumanDetector",
            "HumanShapeDetect",
        ],
    ),
    (
        EventKind::Vehicle,
        &["VehicleDetect", "VehicleDetector", "Vehicle", "Car", "LicensePlate", "LicensePlateDetector"],
    ),
    (
        EventKind::Animal,
        &["DogCatDetect", "DogCat", "Animal", "AnimalDetect", "AnimalDetector", "Pet", "PetDetect"],
    ),
    (EventKind::Package, &["Package", "PackageDetect", "PackageDetector"]),
    (EventKind::Face, &["FaceDetect", "FaceDetection", "FaceDetector", "Face"]),
    (
        EventKind::Line,
        &[
            "LineDetector",
            "Crossed",
            "CrossedTheLine",
            "LineCross",
            "LineCrossDetector",
            "LineCrossing",
            "LineCounter",
            "FenceGuard",
        ],
    ),
    (
        EventKind::Zone,
        &[
            "FieldDetector",
            "ObjectsInside",
            "LoiteringDetector",
            "ObjectIsLoitering",
            "Loitering",
            "LoiteringGuard",
            "IntrusionDetector",
            "Intrusion",
            "RegionEntrance",
            "RegionExiting",
        ],
    ),
    (
        EventKind::Tampering,
        &[
            "GlobalSceneChange",
            "SceneChange",
            "ImageTooDark",
            "ImageTooBright",
            "ImageTooBlurry",
            "Tamper",
            "TamperDetector",
            "Tampering",
            "Casing",
        ],
    ),
    (
        EventKind::Sound,
        &[
            "DetectedSound",
            "Sound",
            "SoundDetector",
            "AudioDetect",
            "TriggerLevel",
            "BabyCry",
            "BabyCryDetector",
        ],
    ),
    (
        EventKind::Input,
        &["DigitalInput", "VirtualInput", "Port", "VirtualPort", "SupervisedPort", "Relay", "OutputPort"],
    ),
    (EventKind::Doorbell, &["Visitor", "Doorbell", "DoorbellPressed"]),
];

fn kind_of_topic(topic: &str) -> Option<EventKind> {
    let segments: Vec<&str> = topic.split('/').collect();
    let is_among =
        |names: &[&str], segment: &str| names.iter().any(|name| name.eq_ignore_ascii_case(segment));
    if is_among(&HOUSEKEEPING, segments[0])
        || segments.iter().any(|segment| is_among(&HOUSEKEEPING_WITHIN, segment))
    {
        return None;
    }
    let known =
        |segment: &&str| SEGMENTS.iter().find(|(_, names)| is_among(names, segment)).map(|(kind, _)| *kind);
    segments
        .iter()
        .rev()
        .find_map(known)
        .or_else(|| is_among(&OF_THE_SCENE, segments[0]).then_some(EventKind::Other))
}

/// What an item tells better than the topic does. TP-Link (Tapo C and VIGI
/// series) puts several under `TPSmartEventDetector/TPSmartEvent`, and some
/// firmware even under `CellMotionDetector`.
fn kind_of_item(name: &str) -> Option<EventKind> {
    Some(match name {
        "IsPeople" | "IsPerson" | "IsHuman" => EventKind::Person,
        "IsVehicle" | "IsCar" => EventKind::Vehicle,
        "IsPet" | "IsAnimal" => EventKind::Animal,
        "IsPackage" => EventKind::Package,
        "IsFace" => EventKind::Face,
        "IsLineCross" => EventKind::Line,
        "IsIntrusion" => EventKind::Zone,
        "IsTamper" => EventKind::Tampering,
        "IsSoundDetected" | "IsBabyCry" => EventKind::Sound,
        _ => return None,
    })
}

/// One thing that is so or is not.
struct State<'a> {
    kind: EventKind,
    item: &'a str,
    on: bool,
}

/// Those that items tell by their names, or else the first that is one at all.
fn states(notification: &Notification, kind: EventKind) -> Vec<State<'_>> {
    let states = || notification.data.iter().filter_map(|item| Some((item, state_of(item)?)));
    let mut found: Vec<State<'_>> = states()
        .filter_map(|(item, on)| Some(State { kind: kind_of_item(&item.name)?, item: &item.name, on }))
        .collect();
    if found.is_empty() {
        let by_name = || states().find(|(item, _)| is_name_of_state(&item.name));
        let first = by_name().or_else(|| states().next());
        let kind = refined(kind, notification);
        found.extend(first.map(|(item, on)| State { kind, item: &item.name, on }));
    }
    found
}

fn is_name_of_state(name: &str) -> bool {
    const NAMES: [&str; 9] =
        ["State", "LogicalState", "active", "triggered", "Motion", "Value", "tampering", "Detected", "Open"];
    name.starts_with("Is") || NAMES.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// `xs:boolean`, and the states of relays. Numbers of other items count
/// something, so that 1 is no state there.
fn state_of(item: &Item) -> Option<bool> {
    let is = |words: &[&str]| words.iter().any(|word| item.value.eq_ignore_ascii_case(word));
    let is_state = is_name_of_state(&item.name);
    if is(&["true", "active"]) || is_state && is(&["1", "on"]) {
        Some(true)
    } else if is(&["false", "inactive"]) || is_state && is(&["0", "off"]) {
        Some(false)
    } else {
        None
    }
}

/// Where the topic leaves open what it is, the classes that are told say so.
fn refined(kind: EventKind, notification: &Notification) -> EventKind {
    if !matches!(kind, EventKind::Motion | EventKind::Zone | EventKind::Other) {
        return kind;
    }
    let is_class = |item: &&Item| {
        ["ObjectType", "ClassTypes", "ClassType", "Class"]
            .iter()
            .any(|name| item.name.eq_ignore_ascii_case(name))
    };
    let items = notification.data.iter().chain(&notification.key);
    let told = items.filter(is_class).flat_map(|item| item.value.split([' ', ',', ';'])).find_map(class);
    told.unwrap_or(kind)
}

/// Classes of ONVIF Analytics Service Specification section 5.1.3 and those of
/// makes.
fn class(name: &str) -> Option<EventKind> {
    Some(match name.to_ascii_lowercase().as_str() {
        "human" | "person" | "people" | "pedestrian" => EventKind::Person,
        "vehicle" | "vehical" | "car" | "truck" | "bus" | "bike" | "bicycle" | "motorcycle"
        | "licenseplate" => EventKind::Vehicle,
        "animal" | "dog" | "cat" | "pet" => EventKind::Animal,
        "face" | "humanface" => EventKind::Face,
        "package" | "bag" => EventKind::Package,
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
