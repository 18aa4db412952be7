//! The recovery sheet: who is let in by it, what it opens, and what whoever
//! stole it does not get.

use model::wire::Envelope;
use model::{Hash, PersonId, Timestamp};
use reqwest::StatusCode;
use seal::action::{Action, SignedAction};
use seal::grant::{EpochGrant, GrantContext, PastGrant, hand_on};
use seal::login::SheetLogin;
use seal::roster::{Device, RECOVERY_DELAY_MS, Scope, Statement};
use serde_json::{Value, json};

use crate::support::footage::{Epoch, fresh_seal};
use crate::support::world::{Answer, Organisation, Person, sheet};
use crate::support::{Gateway, World, fresh, fresh_id, now, on_both_databases};

on_both_databases!(
    the_sheet_begins_a_recovery_without_a_session,
    a_stolen_sheet_gets_no_session_and_nothing_at_once,
    the_sheet_opens_what_was_recorded_before,
    who_brings_another_key_proves_nothing,
);

async fn challenge(world: &World) -> Hash {
    let answer = world.anyone().post("/api/v1/login/sheet/challenge", &json!({})).await;
    serde_json::from_value(answer.body["challenge"].clone()).unwrap()
}

async fn prove(world: &World, paper: &Person) -> Answer {
    let proof = SheetLogin::sign(challenge(world).await, world.origin(), &paper.keys.sign);
    world.anyone().post("/api/v1/login/sheet", &json!({ "envelope": proof })).await
}

async fn hand_in(world: &World, token: &Value, envelope: &Envelope) -> Answer {
    let body = json!({ "token": token, "envelope": envelope });
    world.anyone().post("/api/v1/login/sheet/statements", &body).await
}

async fn the_sheet_begins_a_recovery_without_a_session(world: World) {
    let mut ada = world.found().await;
    let paper = sheet(&ada.admin);
    let proven = prove(&world, &paper).await;
    assert_eq!(proven.status, StatusCode::OK, "{}", proven.body);
    assert_eq!(proven.body["org"], json!(ada.org));
    assert_eq!(proven.body["people"][0]["person"], json!(ada.admin.id));
    let token = &proven.body["token"];
    let log = world.anyone().post("/api/v1/login/sheet/roster", &json!({ "token": token })).await;
    assert_eq!(log.body["statements"].as_array().unwrap().len(), 1);
    let after =
        world.anyone().post("/api/v1/login/sheet/roster", &json!({ "token": token, "after": 0 })).await;
    assert_eq!(after.body["statements"], json!([]));

    let new = Person::new(ada.admin.id);
    let administrators = Statement::SetAdministrators { k: 1, devices: [new.device].into() };
    for statement in [Statement::AddDevice { device: new.statement() }, administrators] {
        let envelope = ada.sign(statement, &paper);
        let answer = hand_in(&world, token, &envelope).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        ada.roster.apply(&envelope, now()).unwrap();
    }
    assert_eq!(world.device_login(ada.org, &new).await.status, StatusCode::UNAUTHORIZED, "not yet");
    // Every administrator sees it, in the roster and in the history.
    assert_eq!(ada.roster.pending().count(), 2);
    let entries = ada.api(&world).get("/api/v1/history?action=use_sheet").await;
    assert_eq!(entries.body["entries"].as_array().unwrap().len(), 2);
    // What the server keeps is what every reader lets take effect.
    let log = ada.api(&world).get("/api/v1/roster").await;
    assert_eq!(log.body["statements"].as_array().unwrap().len(), 3);
    ada.roster.settle(now().plus_ms(RECOVERY_DELAY_MS));
    assert!(
        ada.roster.is_administrator(new.device, now())
            && !ada.roster.is_administrator(ada.admin.device, now())
    );
}

async fn a_stolen_sheet_gets_no_session_and_nothing_at_once(world: World) {
    let mut ada = world.found().await;
    let ben = ada.add_person(&world, Some(Scope::All)).await;
    let paper = sheet(&ada.admin);
    let proof = SheetLogin::sign(challenge(&world).await, world.origin(), &paper.keys.sign);
    let body = json!({ "envelope": proof });
    let proven = world.anyone().post("/api/v1/login/sheet", &body).await;
    assert!(proven.cookie().is_none());
    let again = world.anyone().post("/api/v1/login/sheet", &body).await;
    assert_eq!((again.status, again.code()), (StatusCode::UNAUTHORIZED, "login_refused"), "replayed");
    let elsewhere =
        SheetLogin::sign(challenge(&world).await, "https://evil.example".to_owned(), &paper.keys.sign);
    let passed_on = world.anyone().post("/api/v1/login/sheet", &json!({ "envelope": elsewhere })).await;
    assert_eq!(passed_on.status, StatusCode::UNAUTHORIZED, "made for another server");

    // Not as a device, of anybody.
    let as_device = world.device_login(ada.org, &paper).await;
    assert_eq!(as_device.status, StatusCode::UNAUTHORIZED);
    let token = proven.body["token"].clone();
    let for_whom = |statement, by: &Person| ada.sign(statement, by);
    let stolen = Person::new(ada.admin.id);
    let device = stolen.statement();
    let own = for_whom(Statement::AddDevice { device: device.clone() }, &paper);
    let strange = PersonId::from_random(fresh_id());
    let nameless = Device { name: String::new(), ..device.clone() };
    let another = ada.sign(Statement::AddDevice { device: device.clone() }, &ada.admin);
    for (envelope, why) in [
        (&for_whom(Statement::AddDevice { device: Person::new(strange).statement() }, &paper), "nobody here"),
        (&another, "signed by another device"),
        (&for_whom(Statement::RevokeDevice { device: ben.device }, &paper), "more than it may"),
        (&for_whom(Statement::AddDevice { device: nameless }, &paper), "what no browser could read"),
    ] {
        let refused = hand_in(&world, &token, envelope).await;
        assert!(refused.status.is_client_error(), "{why}: {}", refused.body);
    }
    let wrong = hand_in(&world, &json!(Hash(fresh())), &own).await;
    assert_eq!((wrong.status, wrong.code()), (StatusCode::UNAUTHORIZED, "token_refused"));

    // An administrator objects, and nothing comes of it.
    assert_eq!(hand_in(&world, &token, &own).await.status, StatusCode::OK);
    ada.roster.apply(&own, now()).unwrap();
    let statement = seal::roster::statement_hash(&own).unwrap();
    ada.append(&world, Statement::Veto { statement }).await;
    assert_eq!(ada.roster.pending().count(), 0);
    ada.roster.settle(now().plus_ms(RECOVERY_DELAY_MS));
    assert!(ada.roster.device(stolen.device).is_none());
}

async fn who_brings_another_key_proves_nothing(world: World) {
    let ada = world.found().await;
    assert_eq!(prove(&world, &Person::new(ada.admin.id)).await.status, StatusCode::UNAUTHORIZED);
    // The name of the sheet's key, signed with another.
    let (paper, other) = (sheet(&ada.admin), Person::new(ada.admin.id));
    let mut proof = SheetLogin::sign(challenge(&world).await, world.origin(), &paper.keys.sign);
    let forged = SheetLogin::sign(challenge(&world).await, world.origin(), &other.keys.sign);
    proof.signatures[0].sig = forged.signatures[0].sig.clone();
    let answer = world.anyone().post("/api/v1/login/sheet", &json!({ "envelope": proof })).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    // The sheet of another organisation leads there, and nowhere else.
    let eve = world.found_another().await;
    let proven = prove(&world, &sheet(&eve.admin)).await;
    assert_eq!(proven.body["org"], json!(eve.org));
    let envelope = ada.sign(Statement::AddDevice { device: other.statement() }, &paper);
    let crossed = hand_in(&world, &proven.body["token"], &envelope).await;
    assert!(crossed.status.is_client_error(), "{}", crossed.body);
}

fn opening(organisation: &Organisation, by: &Person) -> Value {
    let signed = SignedAction {
        org: organisation.org,
        nonce: Hash(fresh()),
        expires_at: now().plus_ms(Timestamp::MINUTE),
        previous_state: organisation.roster.head().1,
        action: Action::OpenPast { device: by.device, from: Timestamp(0) },
    };
    json!({ "envelope": signed.sign(by.device, &by.keys.sign) })
}

async fn the_sheet_opens_what_was_recorded_before(world: World) {
    let mut ada = world.found().await;
    let gateway = Gateway::enrolled(&world, &mut ada).await;
    let camera = ada.bind_camera(&world, gateway.id).await;
    let (epoch, paper) = (Epoch::new(ada.org, camera), sheet(&ada.admin));
    assert_eq!(gateway.hand_in(&[epoch.grant(&gateway, &ada.roster, &paper)]).await, StatusCode::OK);

    // A device that came later; nobody is left who was granted the keys.
    let api = ada.api(&world);
    let opened = api.post("/api/v1/past-openings", &opening(&ada, &ada.admin)).await;
    assert_eq!(opened.status, StatusCode::NO_CONTENT, "{}", opened.body);
    let device = ada.admin.device;
    let path = format!("/api/v1/past-openings/{device}");
    let own = api.get(&format!("{path}/epochs?by={device}")).await;
    assert_eq!(own.body, json!({ "epochs": [] }));
    let page = api.get(&format!("{path}/epochs?by={device}&sheet=true")).await;
    let grant = serde_json::from_value(page.body["epochs"][0]["grant"].clone()).unwrap();
    let grant = EpochGrant::verify(&grant, gateway.id, gateway.sign.verifying_key()).unwrap();
    let audio = grant.cameras[0].audio;
    let keys = grant.open(paper.device, &paper.keys.kem).unwrap();
    let keys = keys.into_iter().map(|(camera, keys)| (camera, (keys, audio))).collect();
    let context = GrantContext {
        org: ada.org,
        gateway: gateway.id,
        epoch: epoch.id,
        roster_head: ada.roster.head().1,
        created_at: now(),
    };
    let (kem, signer) = (ada.admin.keys.kem.public(), &ada.admin.keys.sign);
    let handed = hand_on(context, (device, &kem), &keys, (device, signer), fresh_seal());
    let answer = api.post(&format!("{path}/grants"), &json!({ "grants": [handed] })).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.body);
    let found = api.get(&format!("/api/v1/epochs/{}/past-grants/{device}", epoch.id)).await;
    let grant = serde_json::from_value(found.body["grants"][0].clone()).unwrap();
    let keys = PastGrant::claimed(&grant).unwrap().open(device, &ada.admin.keys.kem).unwrap();
    assert_eq!(keys[&camera].video.commitment(), epoch.video.commitment());
    // Nobody reads what was sealed to the sheet as if it were a device's own.
    let own = api.get(&format!("/api/v1/epochs/{}/grants/{}", epoch.id, paper.device)).await;
    assert_eq!(own.status, StatusCode::NOT_FOUND);
}
