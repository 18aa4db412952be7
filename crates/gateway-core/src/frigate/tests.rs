use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// As Frigate 0.16 writes it, with more than is of use.
fn message(phase: &str, id: &str, change: &Value) -> Vec<u8> {
    let mut after = json!({
        "id": id, "camera": "front_door", "frame_time": 1607123962.082975, "snapshot": null,
        "label": "person", "sub_label": ["Bob", 0.9], "top_score": 0.958984375, "false_positive": false,
        "start_time": 1607123955.475377, "end_time": null, "score": 0.87890625,
        "box": [432, 496, 544, 854], "area": 40096, "ratio": 2.113207, "region": [218, 440, 693, 915],
        "active": true, "stationary": false, "motionless_count": 0, "position_changes": 2,
        "current_zones": [], "entered_zones": [], "has_clip": false, "has_snapshot": false,
        "attributes": {}, "current_attributes": [], "pending_loitering": false,
    });
    for (key, value) in change.as_object().unwrap() {
        after[key] = value.clone();
    }
    serde_json::to_vec(&json!({ "type": phase, "before": after, "after": after })).unwrap()
}

fn take(objects: &mut Objects, ms: u64, message: &[u8]) -> Vec<(EventPhase, EventKind, Option<String>)> {
    let told = objects.take(Sighting::parse(message).unwrap(), ms);
    told.into_iter().map(|event| (event.phase, event.kind, event.rule)).collect()
}

use EventKind::{Person, Vehicle};
use EventPhase::{Began, Ended};

#[test]
fn somebody_comes_walks_through_two_zones_and_goes() {
    let mut objects = Objects::default();
    let mut at = 0.0;
    let mut step = |phase, current: &[&str]| {
        at += 1.0;
        let change = json!({ "frame_time": at, "current_zones": current });
        take(&mut objects, 0, &message(phase, "a", &change))
    };
    assert_eq!(step("new", &[]), [(Began, Person, None)]);
    let yard = || Some("yard".to_owned());
    assert_eq!(step("update", &["yard", "driveway"]), [(Ended, Person, None), (Began, Person, yard())]);
    assert_eq!(step("update", &["driveway", "yard"]), [(Began, Person, yard())], "it is still there");
    assert_eq!(step("update", &[]), [(Began, Person, yard())], "between zones it is where it was");
    let driveway = || Some("driveway".to_owned());
    assert_eq!(step("update", &["driveway"]), [(Ended, Person, yard()), (Began, Person, driveway())]);
    assert_eq!(step("end", &["driveway"]), [(Ended, Person, driveway())]);
}

#[test]
fn an_event_goes_on_while_any_object_of_its_kind_is_there() {
    let mut objects = Objects::default();
    let none = json!({});
    assert_eq!(take(&mut objects, 0, &message("new", "a", &none)), [(Began, Person, None)]);
    assert_eq!(take(&mut objects, 0, &message("new", "b", &none)), [(Began, Person, None)]);
    let car = json!({ "label": "car" });
    assert_eq!(take(&mut objects, 0, &message("new", "c", &car)), [(Began, Vehicle, None)]);
    assert_eq!(take(&mut objects, 0, &message("end", "a", &none)), []);
    assert_eq!(take(&mut objects, 0, &message("end", "b", &none)), [(Ended, Person, None)]);
}

#[test]
fn what_stands_still_or_was_a_mistake_is_no_event() {
    let mut objects = Objects::default();
    let car = |change: Value| {
        let mut car = json!({ "label": "car" });
        car.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        car
    };
    let parked = car(json!({ "stationary": true }));
    let began = [(Began, Vehicle, None)];
    let ended = [(Ended, Vehicle, None)];
    assert_eq!(take(&mut objects, 0, &message("new", "a", &parked)), []);
    assert_eq!(take(&mut objects, 0, &message("update", "a", &car(json!({})))), began);
    assert_eq!(take(&mut objects, 0, &message("update", "a", &parked)), ended);
    assert_eq!(take(&mut objects, 0, &message("end", "a", &parked)), []);
    let mistake = car(json!({ "false_positive": true }));
    assert_eq!(take(&mut objects, 0, &message("new", "b", &mistake)), []);
    assert_eq!(take(&mut objects, 0, &message("new", "b", &car(json!({})))), began);
    assert_eq!(take(&mut objects, 0, &message("update", "b", &mistake)), ended);
}

#[test]
fn what_is_repeated_or_overtaken_changes_nothing() {
    let mut objects = Objects::default();
    let at = |time: f64, zone: &str| json!({ "frame_time": time, "current_zones": [zone] });
    let gate = Some("gate".to_owned());
    take(&mut objects, 0, &message("new", "a", &at(10.0, "gate")));
    assert_eq!(
        take(&mut objects, 0, &message("new", "a", &at(10.0, "gate"))),
        [(Began, Person, gate.clone())]
    );
    assert_eq!(take(&mut objects, 0, &message("update", "a", &at(9.0, "yard"))), []);
    // Its last message counts, whatever time it names.
    assert_eq!(take(&mut objects, 0, &message("end", "a", &at(1.0, "gate"))), [(Ended, Person, gate)]);
    for phase in ["new", "update", "end"] {
        assert_eq!(take(&mut objects, 0, &message(phase, "a", &at(99.0, "gate"))), [], "it is over");
    }
    let over = json!({ "end_time": 12.5 });
    assert_eq!(take(&mut objects, 0, &message("update", "b", &over)), []);
    assert_eq!(take(&mut objects, 0, &message("new", "b", &json!({}))), []);
}

#[test]
fn what_never_ends_is_let_go() {
    let mut objects = Objects::default();
    // Dated in ten thousand years, it is ordered after everything and lives no longer.
    let future = json!({ "frame_time": 3e11 });
    take(&mut objects, 0, &message("new", "a", &future));
    assert!(objects.tick(SILENT_MS_MAX - 1).is_empty());
    let ended = objects.tick(SILENT_MS_MAX);
    assert_eq!((ended.len(), ended[0].phase), (1, Ended));
    for n in 0..1_000 {
        let zone = json!({ "current_zones": [format!("zone {n}")] });
        take(&mut objects, n, &message("new", &n.to_string(), &zone));
    }
    assert_eq!(objects.followed.len(), OBJECTS_MAX);
    assert!(objects.followed.contains_key("999") && !objects.followed.contains_key("0"));
    assert_eq!(objects.forget().len(), OBJECTS_MAX);
    assert!(objects.forget().is_empty());
    for n in 0..1_000 {
        take(&mut objects, 0, &message("end", &n.to_string(), &json!({})));
    }
    assert_eq!(objects.gone.len(), GONE_MAX);
}

#[test]
fn messages_that_are_none_are_refused() {
    let with = |change: Value| Sighting::parse(&message("new", "a", &change)).map(|_| ());
    assert!(with(json!({})).is_ok());
    let long = "x".repeat(NAME_MAX + 1);
    let zones = vec!["z"; ZONES_MAX + 1];
    for bad in [
        json!({ "id": "" }),
        json!({ "id": long }),
        json!({ "id": 7 }),
        json!({ "camera": long }),
        json!({ "camera": null }),
        json!({ "label": ["person"] }),
        json!({ "label": "" }),
        json!({ "frame_time": "now" }),
        json!({ "false_positive": "no" }),
        json!({ "current_zones": zones }),
        json!({ "entered_zones": [""] }),
        json!({ "current_zones": { "yard": 1 } }),
        json!({ "end_time": {} }),
    ] {
        assert!(with(bad.clone()).is_err(), "{bad}");
    }
    let deep = format!("{{\"type\":\"new\",\"before\":{}", "[".repeat(200_000));
    let huge = String::from_utf8(message("new", "a", &json!({ "frame_time": 1 }))).unwrap();
    let huge = huge.replace("\"frame_time\":1,", "\"frame_time\":1e999,");
    let twice = br#"{"type":"new","type":"end","after":{"id":"a","camera":"c","label":"person"}}"#;
    for bad in [deep.as_bytes(), huge.as_bytes(), twice, b"", b"null", b"[]", b"{\"type\":\"new\"}", b"\xff"]
    {
        assert!(Sighting::parse(bad).is_err(), "{}", String::from_utf8_lossy(&bad[..bad.len().min(80)]));
    }
    assert!(Sighting::parse(&message("begin", "a", &json!({}))).is_err());
}

#[test]
fn words_of_strangers_are_text() {
    let change = json!({ "label": "cat\n\u{202e}", "current_zones": ["\u{202e}\u{7}", "yard"] });
    let told = Objects::default().take(Sighting::parse(&message("new", "a", &change)).unwrap(), 0);
    assert_eq!(
        (told[0].kind, &told[0].rule, told[0].topic.as_str()),
        (EventKind::Other, &None, "frigate/cat")
    );
}

proptest! {
    #[test]
    fn any_bytes_on_frigates_topic_are_survived(data in prop::collection::vec(any::<u8>(), 0..300)) {
        fuzz_messages(&data);
    }

    #[test]
    fn any_order_of_frigates_messages_ends_what_it_begins(
        steps in prop::collection::vec((0..3_u8, 0..5_u8, 0..4_u8, any::<bool>(), 0..9_u8), 0..60)
    ) {
        let lines = steps.into_iter().map(|(phase, id, zone, stationary, at)| {
            let zones = if zone == 0 { json!([]) } else { json!([format!("zone {zone}")]) };
            let change = json!({ "current_zones": zones, "stationary": stationary, "frame_time": at });
            message(["new", "update", "end"][usize::from(phase)], &format!("{id}"), &change)
        });
        fuzz_messages(&lines.collect::<Vec<_>>().join(&b'\n'));
    }
}

#[test]
fn the_frigate_seeds_of_the_fuzzer_pass() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/frigate");
    let seeds: Vec<_> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    assert!(seeds.len() >= 2);
    for seed in seeds {
        fuzz_messages(&std::fs::read(seed).unwrap());
    }
}
