//! Gateways that fall silent: who hears of it, and how often.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::http::StatusCode;
use seal::roster::{Scope, Statement};
use serde_json::{Value, json};

use crate::live::{Link, until};
use crate::notices::Scene;
use crate::support::world::Person;
use crate::support::{Gateway, World, on_both_databases};

on_both_databases!(
    a_silent_gateway_is_told_once_and_once_when_it_is_back,
    many_that_fall_silent_at_once_are_one_message,
    who_may_see_nothing_of_it_hears_nothing_of_it,
);

const SILENT_SECONDS: u64 = 2;
/// In which everything that was to be told would have been.
const LONG: Duration = Duration::from_secs(2 * SILENT_SECONDS);

async fn scene(world: World) -> Scene {
    let with = |config: &mut cloud::Config| config.gateways.silent_after_seconds = SILENT_SECONDS;
    Scene::new(world.restarted_with(with).await).await
}

/// Those that were silent before somebody had them link are heard again.
pub(crate) async fn all_are_heard(scene: &Scene) {
    // Twice: a look that began before they were linked may end after the first.
    for _ in 0..2 {
        until(async || {
            let silences =
                scene.ours.api(&scene.world).get("/api/v1/silences").await.body["silences"].clone();
            silences.as_array().unwrap().iter().all(|one| !one["until"].is_null())
        })
        .await;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

async fn listed(scene: &Scene, by: &Person) -> Value {
    let answer = scene.world.as_person(&by.cookie).get("/api/v1/silences").await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    answer.body["silences"].clone()
}

async fn a_silent_gateway_is_told_once_and_once_when_it_is_back(world: World) {
    let mut scene = scene(world).await;
    let link = scene.gateway.link().await;
    all_are_heard(&scene).await;
    let ben = scene.told(Some(Scope::All)).await;
    let before = listed(&scene, &ben).await.as_array().unwrap().len();
    tokio::time::sleep(LONG).await;
    assert_eq!(scene.service.count(), 0, "it is there");
    drop(link);
    scene.service.has(1).await;
    let silences = listed(&scene, &ben).await;
    assert_eq!(silences.as_array().unwrap().len(), before + 1);
    assert_eq!((&silences[0]["gateway"], &silences[0]["until"]), (&json!(scene.gateway.id), &Value::Null));

    // Another process knows that it was told.
    scene.world = scene.world.restarted().await;
    tokio::time::sleep(LONG).await;
    assert_eq!(scene.service.count(), 1);

    scene.gateway.base = format!("https://localhost:{}", scene.world.running.gateway_addr.port());
    let link = scene.gateway.link().await;
    scene.service.has(2).await;
    let silences = listed(&scene, &ben).await;
    assert!(silences[0]["until"].as_u64() > silences[0]["since"].as_u64(), "{silences}");
    tokio::time::sleep(LONG).await;
    assert_eq!(scene.service.count(), 2);
    drop(link);
}

async fn many_that_fall_silent_at_once_are_one_message(world: World) {
    let mut scene = scene(world).await;
    let mut gateways = Vec::new();
    for _ in 0..4 {
        let gateway = Gateway::enrolled(&scene.world, &mut scene.ours).await;
        scene.ours.bind_camera(&scene.world, gateway.id).await;
        gateways.push(gateway);
    }
    let links: Vec<Link> =
        futures_util::future::join_all(gateways.iter().map(|gateway| gateway.link())).await;
    let own = scene.gateway.link().await;
    all_are_heard(&scene).await;
    let ben = scene.ours.add_person(&scene.world, Some(Scope::All)).await;
    let orders: Vec<_> = gateways.iter().map(|gateway| scene.order(&ben, gateway)).collect();
    let put = scene.put(&scene.world.as_person(&ben.cookie), &ben, &orders).await;
    assert_eq!(put.status, StatusCode::NO_CONTENT, "{}", put.body);
    drop(links);
    scene.service.has(1).await;
    tokio::time::sleep(LONG).await;
    assert_eq!(scene.service.count(), 1);
    let links = futures_util::future::join_all(gateways.iter().map(|gateway| gateway.link())).await;
    scene.service.has(2).await;
    tokio::time::sleep(LONG).await;
    assert_eq!(scene.service.count(), 2);
    drop((links, own));
}

/// The attacks: somebody without the right, with a device that was shut out, who
/// ordered nothing, or from another gateway.
async fn who_may_see_nothing_of_it_hears_nothing_of_it(world: World) {
    let mut scene = scene(world).await;
    let link = scene.gateway.link().await;
    let other = Gateway::enrolled(&scene.world, &mut scene.ours).await;
    let elsewhere = scene.ours.bind_camera(&scene.world, other.id).await;
    let other_link = other.link().await;
    all_are_heard(&scene).await;
    let ben = scene.told(Some(Scope::Cameras { cameras: BTreeSet::from([scene.camera]) })).await;
    let cem = scene.told(Some(Scope::Cameras { cameras: BTreeSet::from([elsewhere]) })).await;
    scene.told(None).await;
    scene.ours.add_person(&scene.world, Some(Scope::All)).await;
    let eve = scene.told(Some(Scope::All)).await;
    scene.ours.append(&scene.world, Statement::RevokeDevice { device: eve.device }).await;
    drop(link);
    scene.service.has(1).await;
    tokio::time::sleep(LONG).await;
    assert_eq!(scene.service.count(), 1, "ben, and nobody else");
    let of = |silences: &Value, gateway: &Gateway| {
        silences.as_array().unwrap().iter().any(|one| one["gateway"] == json!(gateway.id))
    };
    assert!(of(&listed(&scene, &ben).await, &scene.gateway));
    assert!(!of(&listed(&scene, &cem).await, &scene.gateway));
    drop(other_link);
}
