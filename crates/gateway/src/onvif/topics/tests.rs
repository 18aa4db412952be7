//! Notifications as cameras send them, and what people are told.

use EventKind::*;
use EventPhase::{Began, Ended, Happened};

use super::*;

/// `Source`, `Key` and `Data` as `name=value name=value`.
fn notification(topic: &str, operation: &str, source: &str, data: &str) -> Notification {
    let items = |text: &str| -> Vec<Item> {
        let item = |pair: &str| {
            let (name, value) = pair.split_once('=').unwrap();
            Item { name: name.into(), value: value.replace('_', " ") }
        };
        text.split_whitespace().map(item).collect()
    };
    Notification {
        topic: topic.into(),
        operation: match operation {
            "" => None,
            "Initialized" => Some(Operation::Initialized),
            "Changed" => Some(Operation::Changed),
            "Deleted" => Some(Operation::Deleted),
            other => panic!("{other}"),
        },
        source: items(source),
        key: Vec::new(),
        data: items(data),
    }
}

fn told(memory: &mut Memory, topic: &str, operation: &str, data: &str) -> Vec<(EventKind, EventPhase)> {
    let events = memory.take(&notification(topic, operation, "VideoSourceConfigurationToken=1 Rule=a", data));
    events.into_iter().map(|event| (event.kind, event.phase)).collect()
}

/// Topic, data, and what it is when it begins or happens.
type Row = (&'static str, &'static str, &'static [(EventKind, EventPhase)]);

const ROWS: &[Row] = &[
    // ONVIF, and most makes.
    ("tns1:RuleEngine/CellMotionDetector/Motion", "IsMotion=true", &[(Motion, Began)]),
    ("tns1:RuleEngine/MotionRegionDetector/Motion", "State=1", &[(Motion, Began)]),
    ("tns1:VideoSource/MotionAlarm", "State=true", &[(Motion, Began)]),
    ("tns1:RuleEngine/LineDetector/Crossed", "ObjectId=1", &[(Line, Happened)]),
    ("tns1:RuleEngine/LineDetector/Crossed", "State=true ObjectId=1", &[(Line, Happened)]),
    ("tns1:RuleEngine/FieldDetector/ObjectsInside", "ObjectId=1 IsInside=true", &[(Zone, Began)]),
    ("tns1:RuleEngine/FieldDetector/ObjectsInside", "IsInside=true ClassTypes=Human", &[(Person, Began)]),
    ("tns1:RuleEngine/FieldDetector/ObjectsInside", "IsInside=true ObjectType=Vehical", &[(Vehicle, Began)]),
    ("tns1:RuleEngine/LoiteringDetector/ObjectIsLoitering", "ObjectId=1 Since=2026", &[(Zone, Happened)]),
    ("tns1:RuleEngine/ObjectDetection/Object", "ClassTypes=Animal_Human", &[(Animal, Happened)]),
    ("tns1:RuleEngine/Recognition/Face", "Likelihood=0.9", &[(Face, Happened)]),
    ("tns1:RuleEngine/TamperDetector/Tamper", "IsTamper=true", &[(Tampering, Began)]),
    ("tns1:VideoSource/GlobalSceneChange/ImagingService", "State=true", &[(Tampering, Began)]),
    ("tns1:VideoSource/ImageTooDark/AnalyticsService", "State=true", &[(Tampering, Began)]),
    ("tns1:VideoSource/ImageTooBright/RecordingService", "State=true", &[(Tampering, Began)]),
    ("tns1:VideoSource/ImageTooBlurry/ImagingService", "State=true", &[(Tampering, Began)]),
    ("tns1:AudioAnalytics/Audio/DetectedSound", "IsSoundDetected=true UTCTime=2026", &[(Sound, Began)]),
    ("tns1:Device/Trigger/DigitalInput", "LogicalState=true", &[(Input, Began)]),
    ("tns1:Device/Trigger/Relay", "LogicalState=active", &[(Input, Began)]),
    // Reolink.
    ("tns1:RuleEngine/MyRuleDetector/PeopleDetect", "State=true", &[(Person, Began)]),
    ("tns1:RuleEngine/MyRuleDetector/VehicleDetect", "State=true", &[(Vehicle, Began)]),
    ("tns1:RuleEngine/MyRuleDetector/DogCatDetect", "State=true", &[(Animal, Began)]),
    ("tns1:RuleEngine/MyRuleDetector/FaceDetect", "State=true", &[(Face, Began)]),
    ("tns1:RuleEngine/MyRuleDetector/Package", "State=true", &[(Package, Began)]),
    ("tns1:RuleEngine/MyRuleDetector/Visitor", "State=true", &[(Doorbell, Happened)]),
    // TP-Link.
    ("tns1:RuleEngine/TPSmartEventDetector/TPSmartEvent", "IsPeople=true", &[(Person, Began)]),
    ("tns1:RuleEngine/TPSmartEventDetector/TPSmartEvent", "IsVehicle=true", &[(Vehicle, Began)]),
    ("tns1:RuleEngine/TPSmartEventDetector/TPSmartEvent", "IsPet=true", &[(Animal, Began)]),
    ("tns1:RuleEngine/TPSmartEventDetector/TPSmartEvent", "IsTPSmartEvent=true", &[(Other, Began)]),
    ("tns1:RuleEngine/CellMotionDetector/Intrusion", "IsIntrusion=true", &[(Zone, Began)]),
    ("tns1:RuleEngine/CellMotionDetector/LineCross", "IsLineCross=true", &[(Line, Happened)]),
    (
        "tns1:RuleEngine/CellMotionDetector/People",
        "IsPeople=true IsPet=true IsVehicle=false",
        &[(Person, Began), (Animal, Began)],
    ),
    ("tns1:RuleEngine/PeopleDetector/People//.", "IsPeople=true", &[(Person, Began)]),
    // Dahua and Hikvision.
    ("tns1:RuleEngine/tnsdahua:CrossLineDetection/CrossedTheLine", "State=true", &[(Line, Happened)]),
    ("tns1:UserAlarm/tnshik:IllegalAccess", "State=true", &[(Other, Began)]),
    // AXIS.
    ("tnsaxis:CameraApplicationPlatform/VMD/Camera1Profile1", "active=1", &[(Motion, Began)]),
    ("tns1:RuleEngine/tnsaxis:VMD3/vmd3_video_1", "areaid=0 active=1", &[(Motion, Began)]),
    (
        "tnsaxis:CameraApplicationPlatform/ObjectAnalytics/Device1Scenario1",
        "active=1 objectId=4240 classTypes=human",
        &[(Person, Began)],
    ),
    (
        "tnsaxis:CameraApplicationPlatform/ObjectAnalytics/Device1Scenario1",
        "active=1 classTypes=",
        &[(Motion, Began)],
    ),
    ("tns1:Device/tnsaxis:Sensor/PIR", "state=1", &[(Motion, Began)]),
    ("tns1:Device/tnsaxis:IO/Port", "state=1", &[(Input, Began)]),
    ("tns1:AudioSource/tnsaxis:TriggerLevel", "triggered=1", &[(Sound, Began)]),
    // In no list.
    ("tns1:RuleEngine/Brewery/Foam", "State=true", &[(Other, Began)]),
    ("tns1:RuleEngine/Brewery/Foam", "Height=1", &[(Other, Happened)]),
    ("RuleEngine", "", &[(Other, Happened)]),
    // Of the camera itself.
    ("tns1:Monitoring/ProcessorUsage", "Value=1", &[]),
    ("tns1:Monitoring/OperatingTime/LastReboot", "Status=2026", &[]),
    ("tns1:Media/ProfileChanged", "Token=1", &[]),
    ("tns1:RecordingConfig/JobState", "State=Active", &[]),
    ("tns1:Device/HardwareFailure/StorageFailure", "Failed=true", &[]),
    ("tns1:Device/OperationMode/ShutdownInitiated", "", &[]),
    ("tns1:RuleEngine/CountAggregation/Counter", "Count=4", &[]),
    ("tns1:PTZController/tnsaxis:Move/Channel_1", "is_moving=1", &[]),
    ("tns1:VideoSource/tnsaxis:DayNightVision", "day=1", &[]),
    ("tnsaxis:CameraApplicationPlatform/VMD/xinternal_data", "svgframe=x", &[]),
    ("", "State=true", &[]),
];

#[test]
fn topics_of_many_makes_are_of_a_dozen_kinds() {
    for (topic, data, expected) in ROWS {
        assert_eq!(told(&mut Memory::default(), topic, "Changed", data), *expected, "{topic} {data}");
    }
}

#[test]
fn an_event_ends_once_and_only_after_it_began() {
    let mut memory = Memory::default();
    let mut motion = |operation, data| told(&mut memory, "tns1:VideoSource/MotionAlarm", operation, data);
    assert_eq!(motion("Initialized", "State=false"), [], "nothing ends that never began");
    assert_eq!(motion("Changed", "State=false"), []);
    assert_eq!(motion("Changed", "State=true"), [(Motion, Began)]);
    assert_eq!(
        motion("Changed", "State=true"),
        [(Motion, Began)],
        "it goes on, as some makes say each second"
    );
    assert_eq!(motion("Initialized", "State=true"), [(Motion, Began)], "and another subscription");
    assert_eq!(motion("Initialized", "State=false"), [(Motion, Ended)], "it ended between two");
    assert_eq!(motion("Initialized", "State=true"), [(Motion, Began)], "it lasts when we come");
    assert_eq!(motion("Deleted", "State=true"), [(Motion, Ended)]);
    assert_eq!(motion("", "State=true"), [(Motion, Began)]);
    assert_eq!(motion("Deleted", ""), [(Motion, Ended)], "items may be left out");
    assert_eq!(motion("Deleted", ""), []);
    assert_eq!(motion("Initialized", ""), []);
}

#[test]
fn a_bell_rings_once_until_it_is_let_go() {
    let mut memory = Memory::default();
    let mut bell = |data| told(&mut memory, "tns1:RuleEngine/MyRuleDetector/Visitor", "Changed", data);
    let rows = [("State=true", true), ("State=true", false), ("State=false", false), ("State=true", true)];
    for (data, rings) in rows {
        assert_eq!(bell(data).len(), usize::from(rings), "{data}");
    }
}

#[test]
fn what_began_as_a_person_ends_as_one() {
    let mut memory = Memory::default();
    let mut axis = |data| {
        told(
            &mut memory,
            "tnsaxis:CameraApplicationPlatform/ObjectAnalytics/Device1Scenario1",
            "Changed",
            data,
        )
    };
    assert_eq!(axis("active=1 classTypes=human"), [(Person, Began)]);
    assert_eq!(axis("active=0 classTypes="), [(Person, Ended)]);
}

#[test]
fn rules_and_items_are_told_apart() {
    let mut memory = Memory::default();
    let mut take = |source: &str, data: &str| {
        memory
            .take(&notification("tns1:RuleEngine/FieldDetector/ObjectsInside", "Changed", source, data))
            .len()
    };
    assert_eq!(take("Rule=a", "IsInside=true"), 1);
    assert_eq!(take("Rule=b", "IsInside=true"), 1);
    assert_eq!(take("Rule=a", "IsInside=false"), 1);
    assert_eq!(take("Rule=c", "IsInside=false"), 0);
    assert_eq!(take("Rule=c", "IsPeople=true"), 1);
    assert_eq!(take("Rule=c", "IsPet=true"), 1);
}

#[test]
fn rules_are_named_by_what_says_most() {
    let name = |source: &str| {
        let told = notification("tns1:VideoSource/MotionAlarm", "Changed", source, "State=true");
        Memory::default().take(&told).remove(0).rule
    };
    let rows = [
        ("VideoSourceConfigurationToken=vsc Rule=Yard_gate", Some("Yard gate")),
        ("InputToken=DI_1 VideoSourceToken=0", Some("DI 1")),
        ("VideoSourceToken=vs", Some("vs")),
        ("Rule= Name=n", Some("n")),
        ("Colour=red", None),
        ("Rule=\u{7}", None),
        ("", None),
    ];
    for (source, expected) in rows {
        assert_eq!(name(source).as_deref(), expected, "{source}");
    }
    let long = name(&format!("Rule=a\u{1b}{}", "é".repeat(60))).unwrap();
    assert_eq!(long.len(), CameraEvent::RULE_MAX - 1, "cut at a character");
    let topic = format!("tns1:RuleEngine/{}", "é".repeat(200));
    let event = Memory::default().take(&notification(&topic, "Changed", "", "State=true")).remove(0);
    assert_eq!(event.topic.len(), CameraEvent::TOPIC_MAX - 1);
}

#[test]
fn whoever_never_ends_anything_is_still_heard() {
    let mut memory = Memory::default();
    let mut all = |data: &str| -> Vec<EventPhase> {
        let each = (0..2 * Memory::ACTIVE_MAX).flat_map(|n| {
            memory.take(&notification("tns1:VideoSource/MotionAlarm", "Changed", &format!("Rule={n}"), data))
        });
        each.map(|event| event.phase).collect()
    };
    assert_eq!(all("State=true"), [Began; 2 * Memory::ACTIVE_MAX]);
    assert_eq!(all("State=false"), [Ended; Memory::ACTIVE_MAX], "the others were forgotten");
}

#[test]
fn while_another_object_is_in_the_zone_the_event_goes_on() {
    let mut memory = Memory::default();
    let mut inside = |object: u8, data: &str| -> Vec<EventPhase> {
        let topic = "tns1:RuleEngine/FieldDetector/ObjectsInside";
        let source = format!("Rule=Drive ObjectId={object}");
        memory.take(&notification(topic, "Changed", &source, data)).iter().map(|event| event.phase).collect()
    };
    assert_eq!(inside(1, "IsInside=true"), [Began]);
    assert_eq!(inside(2, "IsInside=true"), [Began]);
    assert_eq!(inside(1, "IsInside=false"), []);
    assert_eq!(inside(2, "IsInside=false"), [Ended]);
}
