//! Recordings of events over all cameras: whose they are shown to, page by page,
//! and what each person has looked at.

use std::collections::BTreeSet;

use model::{CameraId, EventId};
use reqwest::StatusCode;
use seal::roster::Scope;
use serde_json::{Value, json};

use crate::support::world::Api;
use crate::support::{Gateway, World, fresh_id, now, on_both_databases};

on_both_databases!(
    events_of_a_camera_are_listed_to_whoever_may_list_its_recordings,
    what_somebody_has_looked_at_is_theirs,
    what_cannot_be_marked_is_refused,
);

const ALL: &str = "/api/v1/events?from=0&to=9007199254740991";

async fn cameras(api: &Api<'_>, path: &str) -> Vec<Value> {
    let page = api.get(path).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    page.body["recordings"].as_array().unwrap().iter().map(|row| row["camera"].clone()).collect()
}

async fn events_of_a_camera_are_listed_to_whoever_may_list_its_recordings(world: World) {
    let mut ours = world.found().await;
    let gateway = Gateway::enrolled(&world, &mut ours).await;
    let (door, till) =
        (ours.bind_camera(&world, gateway.id).await, ours.bind_camera(&world, gateway.id).await);
    let only = |camera: CameraId| Some(Scope::Cameras { cameras: BTreeSet::from([camera]) });
    let ben = ours.add_person(&world, only(door)).await;
    let cem = ours.add_person(&world, None).await;
    let (at_the_door, _) = gateway.recorded(&ours, door).await;
    let (at_the_till, _) = gateway.recorded(&ours, till).await;
    let first = gateway.recorded_events(&ours, &at_the_door).await;
    let second = gateway.recorded_events(&ours, &at_the_till).await;
    let third = gateway.recorded_events(&ours, &at_the_door).await;

    let ada = ours.api(&world);
    // The newest first, and no pictures among them.
    assert_eq!(cameras(&ada, ALL).await, [json!(door), json!(till), json!(door)]);
    assert_eq!(cameras(&world.as_person(&ben.cookie), ALL).await, [json!(door), json!(door)]);
    assert_eq!(cameras(&world.as_person(&cem.cookie), ALL).await, Vec::<Value>::new());
    let stranger = world.found_another().await;
    assert_eq!(cameras(&stranger.api(&world), ALL).await, Vec::<Value>::new());
    let from_second = format!("/api/v1/events?from={}&to={}", second.started_at.0, third.started_at.0);
    assert_eq!(cameras(&ada, &from_second).await, [json!(till)]);
    let page = ada.get(ALL).await.body;
    assert_eq!((&page["more_to"], &page["reviewed"]), (&Value::Null, &json!([])));
    assert_eq!(page["recordings"][2]["id"], json!(first.id));
    let page = world.as_person(&ben.cookie).get(ALL).await.body;
    assert_eq!(
        (page["more_to"].clone(), page["recordings"][1]["id"].clone()),
        (Value::Null, json!(first.id))
    );
    // A camera's own list has them where they are asked for, and nowhere else.
    let of_door = |rendition: &str| format!("/api/v1/cameras/{door}/recordings?rendition={rendition}");
    assert_eq!(cameras(&ada, &of_door("events")).await.len(), 2);
    assert_eq!(cameras(&ada, &of_door("main")).await.len(), 1);
    for wrong in ["/api/v1/events", "/api/v1/events?from=0", "/api/v1/events?from=0&to=x"] {
        assert_eq!(ada.get(wrong).await.status, StatusCode::BAD_REQUEST, "{wrong}");
    }
}

async fn what_somebody_has_looked_at_is_theirs(world: World) {
    let mut ours = world.found().await;
    let ben = ours.add_person(&world, Some(Scope::All)).await;
    let (ada, ben) = (ours.api(&world), world.as_person(&ben.cookie));
    let event = || EventId::from_random(fresh_id());
    let (first, second) = (event(), event());
    let mark = |reviewed: bool, events: &[(EventId, u64)]| {
        let events: Vec<_> = events.iter().map(|(id, at)| json!({ "id": id, "at": at })).collect();
        json!({ "events": events, "reviewed": reviewed })
    };
    let at = now().0;
    for _ in 0..2 {
        let marked = ada.post("/api/v1/events/reviewed", &mark(true, &[(first, at), (second, at + 5)])).await;
        assert_eq!(marked.status, StatusCode::NO_CONTENT, "{}", marked.body);
    }
    let reviewed = async |api: &Api<'_>, from: u64| {
        api.get(&format!("/api/v1/events?from={from}&to={}", at + 9)).await.body["reviewed"].clone()
    };
    assert_eq!(reviewed(&ada, 0).await, json!([second, first]));
    assert_eq!(reviewed(&ada, at + 1).await, json!([second]));
    assert_eq!(reviewed(&ben, 0).await, json!([]));
    // Nobody takes a mark of somebody else away.
    ben.post("/api/v1/events/reviewed", &mark(false, &[(first, at)])).await;
    assert_eq!(reviewed(&ada, 0).await, json!([second, first]));
    ada.post("/api/v1/events/reviewed", &mark(false, &[(second, at)])).await;
    assert_eq!(reviewed(&ada, 0).await, json!([first]));
}

async fn what_cannot_be_marked_is_refused(world: World) {
    let ours = world.found().await;
    let ada = ours.api(&world);
    let event = |at: u64| json!({ "id": EventId::from_random(fresh_id()), "at": at });
    let many: Vec<_> = (0..501).map(event).collect();
    for (events, part) in [
        (json!([]), "1 to 500"),
        (json!(many), "1 to 500"),
        (json!([event(1), event(1 << 53)]), "events[1].at"),
        (json!([{ "id": "cam_00000000000000000000000000000000", "at": 1 }]), "ev_"),
    ] {
        let body = json!({ "events": events, "reviewed": true });
        let answer = ada.post("/api/v1/events/reviewed", &body).await;
        assert_eq!(answer.code(), "invalid", "{}", answer.body);
        assert!(answer.body.to_string().contains(part), "{part}: {}", answer.body);
    }
}
