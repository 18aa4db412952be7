//! Topics of a gateway at an MQTT broker, and how Home Assistant discovers what is
//! behind them: one device for each camera (its MQTT integration, "Device
//! discovery payload").
//!
//! Ids alone stand in topics. Names of cameras, which can hold anything, stand in
//! JSON.

use model::{CameraId, EventKind, GatewayId};
use serde_json::{Value, json};

pub const ONLINE: &str = "online";
pub const OFFLINE: &str = "offline";
pub const ON: &str = "ON";
pub const OFF: &str = "OFF";

/// Every kind, as topics and payloads name it; how Home Assistant calls and shows
/// it; and whether it is there without being switched on.
pub const KINDS: [(EventKind, &str, &str, Option<&str>, bool); 18] = [
    (EventKind::Motion, "motion", "Motion", Some("motion"), true),
    (EventKind::Person, "person", "Person", Some("occupancy"), true),
    (EventKind::Vehicle, "vehicle", "Vehicle", Some("occupancy"), true),
    (EventKind::Animal, "animal", "Animal", Some("occupancy"), false),
    (EventKind::Package, "package", "Package", Some("occupancy"), false),
    (EventKind::Face, "face", "Face", Some("occupancy"), false),
    (EventKind::Line, "line", "Line crossed", Some("motion"), false),
    (EventKind::Zone, "zone", "Zone", Some("occupancy"), false),
    (EventKind::Tampering, "tampering", "Tampering", Some("tamper"), true),
    (EventKind::Sound, "sound", "Sound", Some("sound"), false),
    (EventKind::Input, "input", "Input", None, false),
    (EventKind::Doorbell, "doorbell", "Doorbell", None, true),
    (EventKind::Other, "other", "Other event", None, false),
    (EventKind::CameraDown, "camera_down", "Does not answer", Some("problem"), true),
    (EventKind::NotRecorded, "not_recorded", "Not recorded", Some("problem"), true),
    (EventKind::Frozen, "frozen", "Picture frozen", Some("problem"), true),
    (EventKind::Disk, "disk", "Gateway disk", Some("problem"), true),
    (EventKind::Clock, "clock", "Gateway clock", Some("problem"), false),
];

/// Where a gateway publishes.
#[derive(Clone, Debug)]
pub struct Topics {
    /// `PREFIX/GATEWAY`.
    base: String,
    /// `None`: nothing is discovered.
    discovery: Option<String>,
}

impl Topics {
    /// The prefixes are the configuration's, without wildcards. An empty one of
    /// discovery switches it off.
    pub fn new(prefix: &str, discovery: &str, gateway: GatewayId) -> Self {
        let discovery = (!discovery.is_empty()).then(|| discovery.to_owned());
        Topics { base: format!("{prefix}/{gateway}"), discovery }
    }

    /// `online`, and `offline` by the broker's hand when the gateway is gone.
    pub fn availability(&self) -> String {
        format!("{}/availability", self.base)
    }

    /// Whether the camera is recorded.
    pub fn camera(&self, camera: CameraId) -> String {
        format!("{}/{camera}/availability", self.base)
    }

    /// `ON` while an event of this kind lasts.
    pub fn kind(&self, camera: CameraId, kind: &str) -> String {
        format!("{}/{camera}/{kind}", self.base)
    }

    /// Each event, as JSON.
    pub fn events(&self, camera: CameraId) -> String {
        format!("{}/{camera}/events", self.base)
    }

    pub fn discovery(&self, camera: CameraId) -> Option<String> {
        Some(format!("{}/device/{camera}/config", self.discovery.as_ref()?))
    }

    /// What Home Assistant makes a device of. `name` may hold anything.
    pub fn discovery_payload(&self, camera: CameraId, name: &str, version: &str) -> String {
        let online = |topic: String| json!({ "topic": topic });
        let mut components = serde_json::Map::new();
        for (_, kind, label, class, is_enabled) in KINDS {
            let mut sensor = json!({
                "platform": "binary_sensor",
                "unique_id": format!("lenskeep_{camera}_{kind}"),
                "name": label,
                "state_topic": self.kind(camera, kind),
                "payload_on": ON,
                "payload_off": OFF,
                "availability_mode": "all",
                "availability": [online(self.availability()), online(self.camera(camera))],
                "enabled_by_default": is_enabled,
                "qos": 1,
            });
            if let Some(class) = class {
                sensor["device_class"] = Value::from(class);
            }
            components.insert(kind.to_owned(), sensor);
        }
        let connectivity = json!({
            "platform": "binary_sensor",
            "unique_id": format!("lenskeep_{camera}_availability"),
            "name": "Recorded",
            "state_topic": self.camera(camera),
            "payload_on": ONLINE,
            "payload_off": OFFLINE,
            "availability": [online(self.availability())],
            "device_class": "connectivity",
            "entity_category": "diagnostic",
            "qos": 1,
        });
        components.insert("availability".to_owned(), connectivity);
        let payload = json!({
            "device": {
                "identifiers": [format!("lenskeep_{camera}")],
                "name": if name.is_empty() { "Camera" } else { name },
                "manufacturer": "Lenskeep",
                "model": "Camera",
                "serial_number": camera,
                "sw_version": version,
            },
            "origin": { "name": "Lenskeep", "sw_version": version },
            "components": components,
        });
        payload.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str = "Door \"#+/$\n\u{0}{{ states('x') }}";

    fn topics(discovery: &str) -> Topics {
        Topics::new("lenskeep", discovery, GatewayId::from_random([1; 16]))
    }

    #[test]
    fn every_kind_has_its_topic_and_its_sensor() {
        let camera = CameraId::from_random([2; 16]);
        let payload = topics("homeassistant").discovery_payload(camera, HOSTILE, "0.1.0");
        let read: Value = serde_json::from_str(&payload).unwrap();
        assert_eq!(read["device"]["name"], HOSTILE);
        assert_eq!(read["components"].as_object().unwrap().len(), KINDS.len() + 1);
        for (kind, name, ..) in KINDS {
            assert_eq!(serde_json::to_value(kind).unwrap(), name);
            let sensor = &read["components"][name];
            assert_eq!(sensor["state_topic"], topics("").kind(camera, name));
            assert_eq!(sensor["unique_id"], format!("lenskeep_{camera}_{name}"));
        }
        assert_eq!(read["components"]["motion"]["device_class"], "motion");
        assert_eq!(read["components"]["tampering"]["device_class"], "tamper");
        assert_eq!(read["components"]["camera_down"]["device_class"], "problem");
        // An update of the enum without one here does not compile.
        let count = |kind: EventKind| match kind {
            EventKind::Motion | EventKind::Person | EventKind::Vehicle | EventKind::Animal => 18,
            EventKind::Package | EventKind::Face | EventKind::Line | EventKind::Zone => 18,
            EventKind::Tampering | EventKind::Sound | EventKind::Input => 18,
            EventKind::Doorbell | EventKind::Other | EventKind::CameraDown => 18,
            EventKind::NotRecorded | EventKind::Frozen | EventKind::Disk | EventKind::Clock => 18,
        };
        assert_eq!(KINDS.len(), count(EventKind::Other));
    }

    #[test]
    fn topics_hold_ids_and_no_names() {
        let camera = CameraId::from_random([2; 16]);
        let topics = topics("ha");
        let discovery = topics.discovery(camera).unwrap();
        assert_eq!(discovery, format!("ha/device/{camera}/config"));
        for topic in [topics.availability(), topics.camera(camera), topics.events(camera), discovery] {
            assert!(topic.chars().all(|c| c.is_ascii_alphanumeric() || "_/-".contains(c)), "{topic}");
        }
        assert_eq!(super::tests::topics("").discovery(camera), None);
    }
}
