//! Gateways witness the history: what they sign is shown, what they object to
//! is too, and nobody signs in their name.

use model::GatewayId;
use model::wire::LogOffer;
use reqwest::StatusCode;
use seal::keys::SigningKey;
use seal::tlog::{Checkpoint, LogKey, sign, sign_witnessed, verify_consistency};
use serde_json::{Value, json};

use crate::live::until;
use crate::support::world::Answer;
use crate::support::{Gateway, Organisation, World, fresh, now, on_both_databases};

on_both_databases!(
    what_a_gateway_signs_is_shown_with_its_signature,
    nobody_signs_in_a_gateways_name,
    an_objection_stands_in_the_history_once,
);

async fn offer(gateway: &Gateway, old: u64) -> LogOffer {
    let answer = gateway.get(&format!("/gateway/v1/history/checkpoint?old={old}")).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    serde_json::from_value(answer.body).unwrap()
}

/// The log once it has entries.
async fn site(world: &World) -> (Organisation, Gateway, LogOffer) {
    let mut organisation = world.found().await;
    let gateway = Gateway::enrolled(world, &mut organisation).await;
    until(async || !offer(&gateway, 0).await.note.is_empty()).await;
    let first = offer(&gateway, 0).await;
    (organisation, gateway, first)
}

fn cosigned(offer: &LogOffer, name: GatewayId, key: &SigningKey) -> (Checkpoint, String) {
    let log = LogKey::parse(&offer.key).unwrap();
    let checkpoint = Checkpoint::verify(&offer.note, &log).unwrap();
    let line = sign_witnessed(&checkpoint, &name.to_string(), key, now());
    (checkpoint, format!("{}{line}", offer.note))
}

async fn tell(gateway: &Gateway, note: &str) -> Answer {
    gateway.post("/gateway/v1/history/witness", &json!({ "type": "cosigned", "note": note })).await
}

async fn witnesses(world: &World, organisation: &Organisation) -> Value {
    organisation.api(world).get("/api/v1/history/checkpoint").await.body["witnesses"].clone()
}

async fn what_a_gateway_signs_is_shown_with_its_signature(world: World) {
    let (mut organisation, gateway, first) = site(&world).await;
    assert_eq!(witnesses(&world, &organisation).await, json!([]));
    let (old, note) = cosigned(&first, gateway.id, &gateway.sign);
    assert_eq!(tell(&gateway, &note).await.status, StatusCode::OK);
    let shown = witnesses(&world, &organisation).await;
    assert_eq!((&shown[0]["gateway"], &shown[0]["size"]), (&json!(gateway.id), &json!(old.size)));
    assert_eq!((&shown[0]["note"], &shown[0]["conflict"]), (&json!(note), &Value::Null));

    // It grows, with a proof from what was signed.
    organisation.bind_camera(&world, gateway.id).await;
    until(async || offer(&gateway, old.size).await.note != first.note).await;
    let second = offer(&gateway, old.size).await;
    let (new, note) = cosigned(&second, gateway.id, &gateway.sign);
    assert!(new.size > old.size);
    assert!(verify_consistency((old.size, old.root), (new.size, new.root), &second.proof));
    assert_eq!(tell(&gateway, &note).await.status, StatusCode::OK);
    let shown = witnesses(&world, &organisation).await;
    assert_eq!((shown.as_array().unwrap().len(), &shown[0]["size"]), (1, &json!(new.size)));
    // What is larger than the log, or nothing, has no proof and no harm.
    assert!(offer(&gateway, u64::MAX >> 1).await.proof.is_empty());
    assert!(offer(&gateway, 0).await.proof.is_empty());
}

async fn nobody_signs_in_a_gateways_name(world: World) {
    let (mut organisation, gateway, first) = site(&world).await;
    let other = Gateway::enrolled(&world, &mut organisation).await;
    let false_log = {
        let key = SigningKey::from_seed(fresh());
        let log = LogKey::parse(&first.key).unwrap();
        let checkpoint = Checkpoint::verify(&first.note, &log).unwrap();
        LogOffer { note: sign(&checkpoint, &key), ..first.clone() }
    };
    let line = |offer: &LogOffer, name: GatewayId, key: &SigningKey| {
        let log = LogKey::parse(&first.key).unwrap();
        let checkpoint = Checkpoint::verify(&first.note, &log).unwrap();
        format!("{}{}", offer.note, sign_witnessed(&checkpoint, &name.to_string(), key, now()))
    };
    for note in [
        first.note.clone(),
        line(&first, other.id, &other.sign),
        line(&first, gateway.id, &other.sign),
        line(&false_log, gateway.id, &gateway.sign),
        "no note".to_owned(),
    ] {
        let answer = tell(&gateway, &note).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{note}: {}", answer.body);
    }
    assert_eq!(witnesses(&world, &organisation).await, json!([]));
    // Without a certificate, not at all.
    let stranger = Gateway::new(&world);
    assert_eq!(tell(&stranger, &first.note).await.status, StatusCode::UNAUTHORIZED);
}

async fn an_objection_stands_in_the_history_once(world: World) {
    let (organisation, gateway, first) = site(&world).await;
    let object = async |conflict: &str| {
        let report = json!({ "type": "conflict", "conflict": conflict });
        gateway.post("/gateway/v1/history/witness", &report).await.status
    };
    for _ in 0..3 {
        assert_eq!(object("rewritten").await, StatusCode::OK);
    }
    assert_eq!(witnesses(&world, &organisation).await[0]["conflict"], "rewritten");
    let told = organisation.api(&world).get("/api/v1/history?action=history_conflict").await.body;
    let told = told["entries"].as_array().unwrap().clone();
    assert_eq!((told.len(), &told[0]["actor"]), (1, &json!(gateway.id)));
    assert_eq!(told[0]["resource"], "rewritten");
    // Settled by whoever runs the site: it signs again.
    let (_, note) = cosigned(&first, gateway.id, &gateway.sign);
    assert_eq!(tell(&gateway, &note).await.status, StatusCode::OK);
    assert_eq!(witnesses(&world, &organisation).await[0]["conflict"], Value::Null);
    assert_eq!(object("cut_off").await, StatusCode::OK);
    assert_eq!(object("nothing").await, StatusCode::UNPROCESSABLE_ENTITY);
}
