//! What Frigate says on the broker, until it is sealed.

use gateway::{FrigateSection, MqttSection};
use gateway_core::events::BEGINNINGS_MAX;
use model::wire::{GapReason, StreamState};
use model::{CameraAccess, EventKind, EventPhase, EventSource, OnvifUrl, Rendition};
use serde_json::{Value, json};

use super::super::events::{has, listens, stored};
use super::super::{Site, until};
use super::broker::Broker;

const EVENTS: &str = "cellar/frigate/events";

/// As Frigate 0.16 has it.
fn message(phase: &str, id: &str, camera: &str, label: &str, zones: &[&str]) -> Value {
    let state = json!({
        "id": id, "camera": camera, "frame_time": 1607123962.082975,
        "snapshot": { "frame_time": 1607123962.08, "box": [424, 500, 536, 712], "score": 0.77, "attributes": [] },
        "label": label, "sub_label": null, "top_score": 0.958984375, "false_positive": false,
        "start_time": 1607123955.475377, "end_time": null, "score": 0.87890625,
        "box": [432, 496, 544, 854], "area": 40096, "ratio": 2.113207, "region": [218, 440, 693, 915],
        "active": true, "stationary": false, "motionless_count": 0, "position_changes": 2,
        "attributes": {}, "current_attributes": [], "current_zones": zones, "entered_zones": zones,
        "has_clip": true, "has_snapshot": true, "path_data": [[[0.5, 0.9], 1607123955.4]],
    });
    json!({ "type": phase, "before": state, "after": state })
}

fn say(broker: &Broker, phase: &str, id: &str, camera: &str, zones: &[&str]) {
    let message = format!("{}\n", message(phase, id, camera, "person", zones));
    broker.publish(EVENTS, false, message.as_bytes());
}

fn section(site: &Site, broker: &Broker) -> MqttSection {
    let frigate = FrigateSection {
        topic_prefix: "cellar/frigate".to_owned(),
        cameras: [("front_door".to_owned(), site.camera)].into(),
    };
    MqttSection { frigate: Some(frigate), ..broker.section() }
}

/// A camera without events of its own, of which Frigate tells.
async fn heard() -> (Site, Broker) {
    let mut site = Site::enrolled().await;
    let broker = Broker::start(site.folder.path()).await;
    site.mqtt = Some(section(&site, &broker));
    site.add_camera().await;
    site.restart().await;
    listens(&site).await;
    (site, broker)
}

fn phases(site: &Site) -> Vec<(EventPhase, Option<String>)> {
    stored(site).into_iter().map(|event| (event.phase, event.rule)).collect()
}

fn misses_events(site: &Site) -> bool {
    let gaps = site.cloud.reports().into_iter().flat_map(|report| report.gaps);
    gaps.filter(|gap| gap.rendition == Rendition::Events).any(|gap| gap.reason == GapReason::CameraUnreachable)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_frigate_sees_is_an_event_of_the_camera_that_is_named() {
    let (site, broker) = heard().await;
    let told = broker.subscribe();
    told.sees(&format!("{}/person", site.camera), "OFF").await;
    let yard = || Some("yard".to_owned());
    say(&broker, "new", "a", "front_door", &["yard"]);
    say(&broker, "update", "a", "front_door", &["yard"]);
    say(&broker, "new", "b", "front_door", &["yard"]);
    until("it begins", || phases(&site) == [(EventPhase::Began, yard())]).await;
    told.sees(&format!("{}/person", site.camera), "ON").await;
    say(&broker, "end", "a", "front_door", &["yard"]);
    say(&broker, "end", "b", "front_door", &["yard"]);
    until("it ends", || phases(&site).len() == 2).await;
    let [began, ended] = &stored(&site)[..] else { panic!() };
    assert_eq!((began.id, began.kind, began.source), (ended.id, EventKind::Person, EventSource::Frigate));
    assert_eq!((ended.phase, began.topic.as_str()), (EventPhase::Ended, "frigate/person"));
    // By the gateway's clock, whatever Frigate's says.
    assert!(began.at.0 > 1_700_000_000_000 && ended.at > began.at);
    told.sees(&format!("{}/person", site.camera), "OFF").await;
    // Frigate's own stand beside them.
    assert!(told.events().iter().any(|event| event["data"]["source"] == "frigate"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_or_frigate_that_is_away_ends_what_goes_on_and_is_a_gap() {
    let (site, mut broker) = heard().await;
    say(&broker, "new", "a", "front_door", &[]);
    until("it begins", || phases(&site).len() == 1).await;
    broker.stop();
    until("nothing is heard", || has(&site, Rendition::Events, StreamState::Failed)).await;
    until("it ends", || phases(&site) == [(EventPhase::Began, None), (EventPhase::Ended, None)]).await;
    broker.run().await;
    listens(&site).await;
    until("what was missed is told as a gap", || misses_events(&site)).await;
    // It is still there, and Frigate says so when it changes.
    say(&broker, "update", "a", "front_door", &[]);
    until("it begins again", || phases(&site).len() == 3).await;

    broker.publish("cellar/frigate/available", true, b"offline\n");
    until("Frigate is gone", || has(&site, Rendition::Events, StreamState::Failed)).await;
    let (_, streams) = site.cloud.last_status().unwrap();
    let events = streams.iter().find(|stream| stream.rendition == Rendition::Events).unwrap();
    assert_eq!(events.reason.as_deref(), Some("Frigate is offline, as it says"));
    until("it ends", || phases(&site).len() == 4).await;
    broker.publish("cellar/frigate/available", true, b"online\n");
    listens(&site).await;
    assert!(has(&site, Rendition::Main, StreamState::Recording));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_camera_that_says_nothing_keeps_nobody_from_hearing_frigate() {
    let (site, broker) = heard().await;
    let nobody = OnvifUrl::parse("http://127.0.0.1:9/onvif/device_service").unwrap();
    let deaf = CameraAccess { onvif_url: Some(nobody), ..site.simulated.access() };
    assert!(site.put_camera(&deaf).await.ok);
    until("its event service fails", || has(&site, Rendition::Events, StreamState::Failed)).await;
    say(&broker, "new", "a", "front_door", &[]);
    until("what Frigate says is kept", || phases(&site).len() == 1).await;
    assert!(has(&site, Rendition::Events, StreamState::Failed), "and the failure is told all the same");
}

/// Whoever may publish on the broker is not believed to be anybody.
#[tokio::test(flavor = "multi_thread")]
async fn what_others_say_in_frigates_place_is_bounded() {
    let mut site = Site::enrolled().await;
    let broker = Broker::start(site.folder.path()).await;
    let retained = format!("{}\n", message("new", "r", "front_door", "car", &[]));
    broker.publish(EVENTS, true, retained.as_bytes());
    site.mqtt = Some(section(&site, &broker));
    site.add_camera().await;
    site.restart().await;
    listens(&site).await;

    let deep = [b"{\"type\":\"new\",\"before\":".to_vec(), vec![b'['; 100_000], b"\n".to_vec()].concat();
    let long = [&b"{\"type\":\"new\",\"pad\":\""[..], &vec![b'x'; 1 << 20], b"\"}\n"].concat();
    let other = format!("{}\n", message("new", "o", "kitchen", "person", &[]));
    let wrong = b"null\n[]\n{\"type\":\"new\",\"after\":{\"id\":7}}\n\xff\xfe\n".to_vec();
    for lines in [deep, long, other.into_bytes(), wrong] {
        broker.publish(EVENTS, false, &lines);
    }
    broker.publish("cellar/frigate/eventful", false, other_topic().as_bytes());
    say(&broker, "new", "a", "front_door", &["yard"]);
    until("what is good among it is heard", || !phases(&site).is_empty()).await;
    assert_eq!(phases(&site), [(EventPhase::Began, Some("yard".to_owned()))]);

    let flood: String = (0..3_000)
        .map(|n| {
            format!("{}\n", message("new", &format!("f{n}"), "front_door", "person", &[&format!("z{n}")]))
        })
        .collect();
    broker.publish(EVENTS, false, flood.as_bytes());
    let recorded = site.objects().len();
    until("recording goes on", || site.objects().len() >= recorded + 3).await;
    // How much of it is kept before it is found to be too much is a matter of who is
    // faster; that not all was heard is told in any case.
    until("what was not taken is told as a gap", || misses_events(&site)).await;
    listens(&site).await;
    let began = stored(&site).iter().filter(|event| event.phase == EventPhase::Began).count();
    assert!((1..=BEGINNINGS_MAX).contains(&began), "{began}");
    assert!(has(&site, Rendition::Main, StreamState::Recording));
}

fn other_topic() -> String {
    format!("{}\n", message("new", "t", "front_door", "dog", &[]))
}
