//! Devices that come by a link, and those who would rather be let in in their
//! place.

use model::{Hash, PersonId};
use reqwest::StatusCode;
use seal::pairing::{Nonce, Pairing};
use seal::roster::{Device, Scope, Statement};
use serde_json::{Value, json};

use crate::support::world::{Organisation, Person};
use crate::support::{World, fresh, fresh_id, on_both_databases};

on_both_databases!(
    a_device_comes_by_a_link,
    a_link_lets_one_device_of_one_person_ask,
    who_is_turned_away_is_gone,
    links_are_administrators_business,
);

async fn link(world: &World, organisation: &Organisation, person: PersonId) -> Value {
    let link = organisation.api(world).post("/api/v1/device-links", &json!({ "person": person })).await;
    assert_eq!(link.status, StatusCode::OK, "{}", link.body);
    link.body["token"].clone()
}

fn request(device: &Device, token: &Value, pairing: &Pairing, anchor: Hash) -> Value {
    let proof = json!({ "lookup": pairing.lookup(), "mac": pairing.mac(anchor, device) });
    json!({ "device": device, "token": token, "pairing": proof })
}

async fn a_device_comes_by_a_link(world: World) {
    let mut organisation = world.found().await;
    let anchor = organisation.roster.anchor();
    let nonce = Nonce(Hash(fresh()));
    let pairing = Pairing::new(fresh_id(), nonce);
    let token = link(&world, &organisation, organisation.admin.id).await;

    let other = Person::new(organisation.admin.id);
    let body = request(&other.statement(), &token, &pairing, anchor);
    assert_eq!(world.anyone().post("/api/v1/device-requests", &body).await.status, StatusCode::ACCEPTED);
    let waits = format!("/api/v1/device-requests/{}", other.device);
    assert_eq!(world.anyone().get(&waits).await.body, json!({ "nonce": null }));

    // The administrator's device finds it, believes the MAC and not the cloud, and answers.
    let listed = organisation.api(&world).get("/api/v1/device-requests").await.body["requests"][0].clone();
    let device: Device = serde_json::from_value(listed["device"].clone()).unwrap();
    let mac = serde_json::from_value(listed["pairing"]["mac"].clone()).unwrap();
    assert_eq!(listed["pairing"]["lookup"], json!(pairing.lookup()));
    assert!(pairing.mac_fits(anchor, &device, mac));
    let answer = format!("{waits}/nonce");
    let answered = organisation.api(&world).post(&answer, &json!({ "nonce": nonce.0 })).await;
    assert_eq!(answered.status, StatusCode::NO_CONTENT);
    let again = organisation.api(&world).post(&answer, &json!({ "nonce": Hash(fresh()) })).await;
    assert_eq!(again.status, StatusCode::NOT_FOUND, "answered once");

    let told = world.anyone().get(&waits).await;
    let told = Nonce(serde_json::from_value(told.body["nonce"].clone()).unwrap());
    assert!(pairing.commits_to(told));
    assert_eq!(told.code(anchor, &other.statement()), nonce.code(anchor, &device));

    organisation.append(&world, Statement::AddDevice { device }).await;
    assert_eq!(world.anyone().get(&waits).await.status, StatusCode::NOT_FOUND);
    let signed_in = world.device_login(organisation.org, &other).await;
    assert_eq!(signed_in.status, StatusCode::OK, "{}", signed_in.body);
}

async fn a_link_lets_one_device_of_one_person_ask(world: World) {
    let mut organisation = world.found().await;
    let anchor = organisation.roster.anchor();
    let ben = organisation.add_person(&world, Some(Scope::All)).await;
    let pairing = Pairing::new(fresh_id(), Nonce(Hash(fresh())));
    let token = link(&world, &organisation, ben.id).await;

    let ada = request(&Person::new(organisation.admin.id).statement(), &token, &pairing, anchor);
    let refused = world.anyone().post("/api/v1/device-requests", &ada).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "a device of somebody else");
    let (first, second) = (Person::new(ben.id), Person::new(ben.id));
    let first = request(&first.statement(), &token, &pairing, anchor);
    assert_eq!(world.anyone().post("/api/v1/device-requests", &first).await.status, StatusCode::ACCEPTED);
    let second = request(&second.statement(), &token, &pairing, anchor);
    assert_eq!(world.anyone().post("/api/v1/device-requests", &second).await.code(), "token_refused");
    // It is good for nothing else.
    for path in ["/api/v1/invitations/passkey", "/api/v1/factors/passkey/begin"] {
        let token = link(&world, &organisation, ben.id).await;
        assert_eq!(world.anyone().post(path, &json!({ "token": token })).await.code(), "token_refused");
    }
}

async fn who_is_turned_away_is_gone(world: World) {
    let organisation = world.found().await;
    let anchor = organisation.roster.anchor();
    let pairing = Pairing::new(fresh_id(), Nonce(Hash(fresh())));
    let token = link(&world, &organisation, organisation.admin.id).await;
    let stranger = Person::new(organisation.admin.id);
    let body = request(&stranger.statement(), &token, &pairing, anchor);
    world.anyone().post("/api/v1/device-requests", &body).await;
    let waits = format!("/api/v1/device-requests/{}", stranger.device);
    assert_eq!(organisation.api(&world).delete(&waits).await.status, StatusCode::NO_CONTENT);
    assert_eq!(organisation.api(&world).delete(&waits).await.status, StatusCode::NOT_FOUND);
    assert_eq!(world.anyone().get(&waits).await.status, StatusCode::NOT_FOUND);
    let declined = organisation.api(&world).get("/api/v1/history?action=decline_device").await;
    assert_eq!(declined.body["entries"][0]["resource"], json!(stranger.device));
}

async fn links_are_administrators_business(world: World) {
    let mut organisation = world.found().await;
    let ben = organisation.add_person(&world, Some(Scope::All)).await;
    let body = json!({ "person": ben.id });
    let refused = world.as_person(&ben.cookie).post("/api/v1/device-links", &body).await;
    assert_eq!(refused.code(), "not_an_administrator");
    let nobody = json!({ "person": PersonId::from_random(fresh_id()) });
    let refused = organisation.api(&world).post("/api/v1/device-links", &nobody).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
}
