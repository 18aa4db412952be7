//! Walls: whose they are, what they show to whom, and that they open nothing.

use std::collections::BTreeSet;

use model::{CameraId, WallId};
use reqwest::StatusCode;
use seal::roster::Scope;
use serde_json::{Value, json};

use crate::support::{Gateway, World, fresh_id, on_both_databases};

on_both_databases!(
    a_shared_wall_shows_each_person_what_they_may_see,
    whoever_saved_a_wall_changes_it_and_administrators_what_is_shared,
    a_wall_changes_once_for_each_time_it_was_looked_at,
    what_stands_on_a_wall_is_checked,
);

fn path(wall: WallId) -> String {
    format!("/api/v1/walls/{wall}")
}

fn new_wall() -> WallId {
    WallId::from_random(fresh_id())
}

fn tile(camera: CameraId, x: u32) -> Value {
    json!({ "camera": camera, "x": x, "y": 0, "w": 1, "h": 1 })
}

fn wall(name: &str, shared: bool, tiles: &[Value], revision: u64) -> Value {
    json!({ "name": name, "shared": shared, "columns": 4, "tiles": tiles, "revision": revision })
}

async fn a_shared_wall_shows_each_person_what_they_may_see(world: World) {
    let mut ours = world.found().await;
    let gateway = Gateway::enrolled(&world, &mut ours).await;
    let (door, till) =
        (ours.bind_camera(&world, gateway.id).await, ours.bind_camera(&world, gateway.id).await);
    let ben = ours.add_person(&world, Some(Scope::Cameras { cameras: BTreeSet::from([door]) })).await;
    let (ada, ben) = (ours.api(&world), world.as_person(&ben.cookie));
    let id = new_wall();
    let tiles = [tile(door, 0), tile(till, 1)];
    assert_eq!(ada.put(&path(id), &wall("Shop", false, &tiles, 0)).await.body, json!({ "revision": 1 }));
    assert_eq!(ben.get("/api/v1/walls").await.body, json!({ "walls": [] }));
    assert_eq!(ada.put(&path(id), &wall("Shop", true, &tiles, 1)).await.body, json!({ "revision": 2 }));

    let shown = ben.get("/api/v1/walls").await.body["walls"][0].clone();
    assert_eq!(shown["tiles"], json!([tile(door, 0)]));
    assert_eq!((&shown["hidden"], &shown["changeable"]), (&json!(1), &json!(false)));
    assert!(!shown.to_string().contains(&till.to_string()), "{shown}");
    let own = ada.get("/api/v1/walls").await.body["walls"][0].clone();
    assert_eq!((&own["tiles"], &own["hidden"]), (&json!(tiles), &json!(0)));
    assert_eq!((&own["id"], &own["revision"], &own["changeable"]), (&json!(id), &json!(2), &json!(true)));
    // What Ben does not see stays when somebody who does not see it changes the wall.
    assert_eq!(ben.put(&path(id), &wall("Shop", true, &[], 2)).await.code(), "not_yours");
    let bens = new_wall();
    assert_eq!(ben.put(&path(bens), &wall("Ben", true, &[tile(door, 0)], 0)).await.status, StatusCode::OK);
    assert_eq!(ada.put(&path(bens), &wall("Ben", true, &[tile(till, 3)], 1)).await.status, StatusCode::OK);
    assert_eq!(ben.put(&path(bens), &wall("Ben", true, &[tile(door, 3)], 2)).await.status, StatusCode::OK);
    let all = ada.get("/api/v1/walls").await.body["walls"].clone();
    let bens = all.as_array().unwrap().iter().find(|wall| wall["name"] == "Ben").unwrap();
    let below = json!({ "camera": till, "x": 3, "y": 1, "w": 1, "h": 1 });
    assert_eq!(bens["tiles"], json!([tile(door, 3), below]));
    // Whom it is shared with is one organisation.
    let zoe = world.found_another().await;
    assert_eq!(zoe.api(&world).get("/api/v1/walls").await.body, json!({ "walls": [] }));
    assert_eq!(zoe.api(&world).delete(&path(id)).await.status, StatusCode::NOT_FOUND);
    let entries = ada.get("/api/v1/history?action=arrange_wall").await.body["entries"].clone();
    let of_it = entries.as_array().unwrap().iter().filter(|entry| entry["resource"] == json!(id));
    assert_eq!(of_it.count(), 2);
}

async fn whoever_saved_a_wall_changes_it_and_administrators_what_is_shared(world: World) {
    let mut ours = world.found().await;
    let ben = ours.add_person(&world, Some(Scope::All)).await;
    let cem = ours.add_person(&world, Some(Scope::All)).await;
    let (ada, ben, cem) = (ours.api(&world), world.as_person(&ben.cookie), world.as_person(&cem.cookie));
    let id = new_wall();
    assert_eq!(ben.put(&path(id), &wall("Ben", false, &[], 0)).await.status, StatusCode::OK);
    for other in [&ada, &cem] {
        assert_eq!(other.put(&path(id), &wall("Mine", false, &[], 1)).await.status, StatusCode::NOT_FOUND);
        assert_eq!(other.delete(&path(id)).await.status, StatusCode::NOT_FOUND);
        assert_eq!(other.put(&path(id), &wall("Mine", false, &[], 0)).await.code(), "wall_moved");
    }
    assert_eq!(ben.put(&path(id), &wall("Ben", true, &[], 1)).await.status, StatusCode::OK);
    assert_eq!(cem.put(&path(id), &wall("Cem", false, &[], 2)).await.code(), "not_yours");
    assert_eq!(cem.delete(&path(id)).await.code(), "not_yours");
    assert_eq!(ada.put(&path(id), &wall("Everybody", true, &[], 2)).await.status, StatusCode::OK);
    // Whoever shares it ends that, and nobody else: it would be lost to both.
    assert_eq!(ada.put(&path(id), &wall("Everybody", false, &[], 3)).await.code(), "not_yours");
    let one_factor =
        format!("UPDATE sessions SET second_factor = 0, device = NULL WHERE person = '{}'", ours.admin.id);
    assert_eq!(world.sql(&one_factor).await, 1);
    assert_eq!(ada.put(&path(id), &wall("One factor", true, &[], 3)).await.code(), "not_yours");
    assert_eq!(ada.delete(&path(id)).await.code(), "not_yours");
    let listed = cem.get("/api/v1/walls").await.body["walls"].clone();
    assert_eq!(listed[0]["name"], "Everybody");
    assert_ne!(listed[0]["person"], json!(ours.admin.id), "it is Ben's still");
    world.sql(&one_factor.replace("second_factor = 0, device = NULL", "second_factor = 1")).await;
    assert_eq!(ada.delete(&path(id)).await.status, StatusCode::NO_CONTENT);
    assert_eq!(ben.get("/api/v1/walls").await.body, json!({ "walls": [] }));
    assert_eq!(ben.delete(&path(id)).await.status, StatusCode::NOT_FOUND);
}

async fn a_wall_changes_once_for_each_time_it_was_looked_at(world: World) {
    let ours = world.found().await;
    let ada = ours.api(&world);
    let id = new_wall();
    assert_eq!(ada.put(&path(id), &wall("One", false, &[], 0)).await.status, StatusCode::OK);
    assert_eq!(ada.put(&path(id), &wall("Two", false, &[], 1)).await.status, StatusCode::OK);
    for revision in [0, 1, 3] {
        assert_eq!(ada.put(&path(id), &wall("Three", false, &[], revision)).await.code(), "wall_moved");
    }
    assert_eq!(ada.get("/api/v1/walls").await.body["walls"][0]["name"], "Two");
    for n in 1..50 {
        let saved = ada.put(&path(new_wall()), &wall(&format!("{n}"), false, &[], 0)).await;
        assert_eq!(saved.status, StatusCode::OK);
    }
    assert_eq!(ada.put(&path(new_wall()), &wall("51", false, &[], 0)).await.code(), "too_many_walls");
    assert_eq!(ada.put(&path(id), &wall("Three", false, &[], 2)).await.status, StatusCode::OK);
}

async fn what_stands_on_a_wall_is_checked(world: World) {
    let mut ours = world.found().await;
    let gateway = Gateway::enrolled(&world, &mut ours).await;
    let (door, till) =
        (ours.bind_camera(&world, gateway.id).await, ours.bind_camera(&world, gateway.id).await);
    let ben = ours.add_person(&world, Some(Scope::Cameras { cameras: BTreeSet::from([door]) })).await;
    let ben = world.as_person(&ben.cookie);
    // Whether there is such a camera is not told.
    let foreign = ben.put(&path(new_wall()), &wall("Shop", false, &[tile(door, 0), tile(till, 1)], 0)).await;
    let none = CameraId::from_random(fresh_id());
    let invented = ben.put(&path(new_wall()), &wall("Shop", false, &[tile(door, 0), tile(none, 1)], 0)).await;
    assert_eq!(
        (foreign.code(), &foreign.body["error"]["message"]),
        ("invalid", &invented.body["error"]["message"])
    );
    for (name, tiles) in [
        ("", vec![]),
        ("a\nb", vec![]),
        (&"x".repeat(201), vec![]),
        ("Shop", vec![tile(door, 4)]),
        ("Shop", vec![tile(door, 0), tile(door, 1)]),
    ] {
        let answer = ben.put(&path(new_wall()), &wall(name, false, &tiles, 0)).await;
        assert_eq!(answer.code(), "invalid", "{}", answer.body);
    }
    assert_eq!(ben.get("/api/v1/walls").await.body, json!({ "walls": [] }));
}
