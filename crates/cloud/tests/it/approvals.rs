//! Signatures for what matters: the passkey's second look, actions that a
//! device signs, and what several administrators must agree on.

use std::collections::BTreeSet;

use model::wire::Envelope;
use model::{Base64, DeviceId, GatewayId, Hash, Timestamp};
use reqwest::StatusCode;
use seal::action::{Action, SignedAction};
use seal::envelope::{self, PayloadType};
use seal::roster::{Scope, Statement, sign_next, statement_hash};
use serde_json::{Value, json};

use crate::support::passkey::Browser;
use crate::support::world::{Organisation, Person};
use crate::support::{Gateway, World, fresh, fresh_id, now, on_both_databases};

on_both_databases!(
    a_session_alone_changes_no_roster,
    a_verification_counts_once_here_and_for_its_payload,
    an_export_is_signed_once_and_kept,
    two_administrators_agree_and_one_does_not,
    a_proposal_is_declined_or_overtaken,
);

fn set_access(scope: Scope) -> Statement {
    Statement::SetAccess { person: model::PersonId::from_random(fresh_id()), scope, audio: true, until: None }
}

fn hash(envelope: &Envelope) -> Hash {
    statement_hash(envelope).unwrap()
}

/// Even with the device's signature, which a script in the page could get
/// while the keys are unlocked.
async fn a_session_alone_changes_no_roster(world: World) {
    let (organisation, browser) = world.found_with_passkey().await;
    let api = organisation.api(&world);
    let statement = organisation.sign(set_access(Scope::All), &organisation.admin);
    let body = json!({ "envelope": statement });
    let refused = api.post("/api/v1/roster", &body).await;
    assert_eq!((refused.status, refused.code()), (StatusCode::FORBIDDEN, "verification_needed"));
    // A session that the unlocked key opened is worth no more.
    let by_key = world.device_login(organisation.org, &organisation.admin).await.cookie().unwrap();
    let by_key = world.as_person(&by_key).post("/api/v1/roster", &body).await;
    assert_eq!(by_key.code(), "verification_needed");
    assert_eq!(api.confirm(&browser, &[hash(&statement)]).await.status, StatusCode::NO_CONTENT);
    assert_eq!(api.post("/api/v1/roster", &body).await.status, StatusCode::OK);
}

/// What narrows waits for nobody.
#[tokio::test(flavor = "multi_thread")]
async fn shutting_a_device_out_needs_no_second_look() {
    let world = World::on_sqlite().await;
    let (organisation, _browser) = world.found_with_passkey().await;
    let device = organisation.admin.device;
    let revoke = organisation.sign(Statement::RevokeDevice { device }, &organisation.admin);
    let answer = organisation.api(&world).post("/api/v1/roster", &json!({ "envelope": revoke })).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
}

/// Readers judge a signer by the time that the statement itself gives.
#[tokio::test(flavor = "multi_thread")]
async fn an_ended_device_signs_nothing_for_the_time_before() {
    let world = World::on_sqlite().await;
    let minutes_ago = |minutes: u64| now().minus_ms(minutes * Timestamp::MINUTE);
    let (organisation, _browser) = world.found_at(minutes_ago(180), minutes_ago(60)).await;
    let api = organisation.api(&world);
    let Person { device, keys, .. } = &organisation.admin;
    let signed = |at| sign_next(&organisation.roster, at, set_access(Scope::All), *device, &keys.sign);
    // To every reader, this follows and is signed by a device in force at that time.
    let dated_back = signed(minutes_ago(90));
    assert!(organisation.roster.clone().apply(&dated_back, now()).is_ok());
    let refused = api.post("/api/v1/roster", &json!({ "envelope": dated_back })).await;
    assert_eq!((refused.status, refused.code()), (StatusCode::UNPROCESSABLE_ENTITY, "statement_dated_back"));
    let words = refused.body.to_string();
    assert!(words.contains("90 minutes") && words.contains("Set the clock"), "{words}");
    let honest = api.post("/api/v1/roster", &json!({ "envelope": signed(now()) })).await;
    assert_eq!(honest.code(), "statement_refused", "at its true time the device has ended");
}

/// A clock may be a little off.
#[tokio::test(flavor = "multi_thread")]
async fn a_statement_may_be_dated_back_by_minutes() {
    let world = World::on_sqlite().await;
    let long_ago = now().minus_ms(Timestamp::HOUR);
    let (organisation, browser) = world.found_at(long_ago, now().plus_ms(Timestamp::DAY)).await;
    let api = organisation.api(&world);
    let Person { device, keys, .. } = &organisation.admin;
    for (minutes, answer) in [(11, StatusCode::UNPROCESSABLE_ENTITY), (9, StatusCode::OK)] {
        let at = now().minus_ms(minutes * Timestamp::MINUTE);
        let envelope = sign_next(&organisation.roster, at, set_access(Scope::All), *device, &keys.sign);
        let proposed = api.post("/api/v1/proposals", &json!({ "envelope": envelope, "reason": "" })).await;
        assert_eq!(proposed.code() == "statement_dated_back", answer != StatusCode::OK, "{}", proposed.body);
        api.confirm(&browser, &[hash(&envelope)]).await;
        let answered = api.post("/api/v1/roster", &json!({ "envelope": envelope })).await;
        assert_eq!(answered.status, answer, "{minutes} minutes: {}", answered.body);
    }
}

async fn a_verification_counts_once_here_and_for_its_payload(world: World) {
    let (organisation, browser) = world.found_with_passkey().await;
    let api = organisation.api(&world);
    let post = async |envelope: &Envelope| {
        api.post("/api/v1/roster", &json!({ "envelope": envelope })).await.code().to_owned()
    };
    let first = organisation.sign(set_access(Scope::All), &organisation.admin);
    let other = organisation.sign(set_access(Scope::All), &organisation.admin);
    api.confirm(&browser, &[hash(&first)]).await;
    assert_eq!(post(&other).await, "verification_needed", "of another payload");

    // Begun in this session, finished in another one of the same person.
    let begun = api.post("/api/v1/verifications/begin", &json!({ "subjects": [hash(&other)] })).await;
    let credential = browser.get(&world.running.public_url, &begun.body["options"]).await;
    let answer = json!({ "ceremony": begun.body["ceremony"], "credential": credential });
    let elsewhere = world.device_login(organisation.org, &organisation.admin).await.cookie().unwrap();
    let moved = world.as_person(&elsewhere).post("/api/v1/verifications", &answer).await;
    assert_eq!(moved.code(), "login_refused");
    assert_eq!(api.post("/api/v1/verifications", &answer).await.code(), "login_refused", "used up");

    // A sign-in is no verification, and a verification no sign-in.
    let begun = world.anyone().post("/api/v1/login/passkey/begin", &json!({})).await;
    let credential = browser.get(&world.running.public_url, &begun.body["options"]).await;
    let login = json!({ "ceremony": begun.body["ceremony"], "credential": credential });
    assert_eq!(api.post("/api/v1/verifications", &login).await.code(), "login_refused");
    let begun = api.post("/api/v1/verifications/begin", &json!({ "subjects": [hash(&other)] })).await;
    let credential = browser.get(&world.running.public_url, &begun.body["options"]).await;
    let verification = json!({ "ceremony": begun.body["ceremony"], "credential": credential });
    assert_eq!(world.anyone().post("/api/v1/login/passkey", &verification).await.code(), "login_refused");

    // The passkey of nobody here.
    let mut stranger = Browser::default();
    let options = api.post("/api/v1/verifications/begin", &json!({ "subjects": [hash(&other)] })).await.body;
    stranger.create(&world.running.public_url, &creation_options()).await;
    let credential = stranger.get(&world.running.public_url, &options["options"]).await;
    let foreign = json!({ "ceremony": options["ceremony"], "credential": credential });
    assert_eq!(api.post("/api/v1/verifications", &foreign).await.code(), "login_refused");
    assert_eq!(post(&other).await, "verification_needed");

    for subjects in [json!([]), json!(vec![Hash(fresh()); 9])] {
        let refused = api.post("/api/v1/verifications/begin", &json!({ "subjects": subjects })).await;
        assert_eq!(refused.code(), "invalid");
    }
    assert_eq!(post(&first).await, "", "the one that it was for");
}

fn creation_options() -> Value {
    json!({
        "rp": { "id": "localhost", "name": "x" },
        "user": { "id": "eHh4eA", "name": "x", "displayName": "x" },
        "challenge": "AAAAAAAAAAAAAAAAAAAAAA",
        "pubKeyCredParams": [{ "type": "public-key", "alg": -7 }],
        "authenticatorSelection": { "residentKey": "required", "requireResidentKey": true, "userVerification": "required" },
    })
}

fn export(organisation: &Organisation, camera: model::CameraId) -> SignedAction {
    SignedAction {
        org: organisation.org,
        nonce: Hash(fresh()),
        expires_at: now().plus_ms(Timestamp::MINUTE),
        previous_state: organisation.roster.head().1,
        action: Action::Export {
            camera,
            from: Timestamp(1),
            to: Timestamp(2),
            reason: Some("for the police".to_owned()),
        },
    }
}

async fn an_export_is_signed_once_and_kept(world: World) {
    let mut organisation = world.found().await;
    let gateway = Gateway::enrolled(&world, &mut organisation).await;
    let camera = organisation.bind_camera(&world, gateway.id).await;
    let hidden = organisation.bind_camera(&world, gateway.id).await;
    let scope = Scope::Cameras { cameras: BTreeSet::from([camera]) };
    let ben = organisation.add_person(&world, Some(scope)).await;
    let (api, ada) = (world.as_person(&ben.cookie), organisation.api(&world));
    let act = async |signed: &SignedAction, by: &Person| {
        api.post("/api/v1/actions", &json!({ "envelope": signed.sign(by.device, &by.keys.sign) })).await
    };

    let good = export(&organisation, camera);
    let done = act(&good, &ben).await;
    assert_eq!(done.status, StatusCode::OK, "{}", done.body);
    assert_eq!(act(&good, &ben).await.code(), "replayed");
    assert_eq!(act(&export(&organisation, camera), &organisation.admin).await.code(), "invalid", "not his");
    assert_eq!(act(&export(&organisation, hidden), &ben).await.status, StatusCode::NOT_FOUND);
    let old = SignedAction { previous_state: organisation.roster.anchor(), ..export(&organisation, camera) };
    assert_eq!(act(&old, &ben).await.code(), "state_moved");
    let late = SignedAction { expires_at: now(), ..export(&organisation, camera) };
    assert_eq!(act(&late, &ben).await.code(), "invalid");

    let signature = done.body["signature"].as_str().unwrap();
    let path = format!("/api/v1/signatures/{signature}");
    let kept: Envelope = serde_json::from_value(ada.get(&path).await.body["envelope"].clone()).unwrap();
    assert_eq!(SignedAction::verify(&kept, &organisation.roster, now()).unwrap().signed, good);
    assert_eq!(api.get(&path).await.code(), "not_an_administrator");
    let entries = ada.get("/api/v1/history").await.body["entries"].clone();
    let stands = |entry: &Value| entry["action"] == "export" && entry["signature"] == signature;
    assert_eq!(entries.as_array().unwrap().iter().filter(|entry| stands(entry)).count(), 1);
}

/// Ada and Cem administer, and it takes both.
async fn two(world: &World) -> (Organisation, Person) {
    let mut organisation = world.found().await;
    let cem = organisation.add_person(world, Some(Scope::All)).await;
    let devices = BTreeSet::from([organisation.admin.device, cem.device]);
    organisation.append(world, Statement::SetAdministrators { k: 2, devices }).await;
    (organisation, cem)
}

async fn two_administrators_agree_and_one_does_not(world: World) {
    let (organisation, cem) = two(&world).await;
    let (ada, cems) = (organisation.api(&world), world.as_person(&cem.cookie));
    let statement = organisation.sign(set_access(Scope::All), &organisation.admin);
    let alone = ada.post("/api/v1/roster", &json!({ "envelope": statement })).await;
    assert_eq!(alone.code(), "statement_refused", "one administrator against k");

    let body = json!({ "envelope": statement, "reason": "Dana starts on Monday" });
    assert_eq!(cems.post("/api/v1/proposals", &body).await.code(), "invalid", "not in Ada's name");
    let proposed = ada.post("/api/v1/proposals", &body).await;
    assert_eq!(proposed.status, StatusCode::OK, "{}", proposed.body);
    assert_eq!((&proposed.body["needed"], &proposed.body["state"]), (&json!(2), &json!("open")));
    assert_eq!(ada.post("/api/v1/proposals", &body).await.code(), "invalid", "proposed before");
    let listed = cems.get("/api/v1/proposals").await.body["proposals"][0].clone();
    assert_eq!(listed["reason"], "Dana starts on Monday");
    assert_eq!(listed["agreed"], json!([organisation.admin.id]));

    let path = format!("/api/v1/proposals/{}/signatures", hash(&statement));
    let signed_by = |device: DeviceId, person: &Person| {
        let mut envelope = statement.clone();
        envelope.signatures.clear();
        envelope::add_signature(PayloadType::Roster, &mut envelope, &device, &person.keys.sign);
        json!({ "envelope": envelope })
    };
    let herself = signed_by(organisation.admin.device, &organisation.admin);
    assert_eq!(ada.post(&path, &herself).await.code(), "agreed_before", "nobody agrees with herself");
    assert_eq!(cems.post(&path, &herself).await.code(), "invalid", "nor with another's signature");
    // Signatures of nobody would leave no room for those of others.
    let mut stuffed = signed_by(cem.device, &cem);
    let junk = json!({ "keyid": DeviceId::from_random(fresh_id()), "sig": Base64::from(vec![0; 64]) });
    stuffed["envelope"]["signatures"].as_array_mut().unwrap().push(junk);
    assert_eq!(cems.post(&path, &stuffed).await.code(), "invalid");
    // What is no signature at all would keep readers from the whole log.
    stuffed["envelope"]["signatures"][1]["sig"] = json!("AAAA");
    assert_eq!(cems.post(&path, &stuffed).await.code(), "statement_refused");
    let forged = signed_by(cem.device, &organisation.admin);
    assert_eq!(cems.post(&path, &forged).await.code(), "statement_refused");

    let agreed = cems.post(&path, &signed_by(cem.device, &cem)).await;
    assert_eq!(agreed.status, StatusCode::OK, "{}", agreed.body);
    assert_eq!(agreed.body["state"], "done");
    let head = ada.get("/api/v1/roster?after=3").await.body["statements"][0].clone();
    assert_eq!(head["signatures"].as_array().unwrap().len(), 2);
    assert_eq!(cems.post(&path, &signed_by(cem.device, &cem)).await.code(), "roster_moved", "it is done");
    assert_eq!(ada.get("/api/v1/proposals").await.body["proposals"][0]["state"], "done");
}

async fn a_proposal_is_declined_or_overtaken(world: World) {
    let (organisation, cem) = two(&world).await;
    let (ada, cems) = (organisation.api(&world), world.as_person(&cem.cookie));
    let propose = async |statement: &Envelope| {
        let answer = ada.post("/api/v1/proposals", &json!({ "envelope": statement, "reason": "" })).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        hash(statement)
    };
    let first = organisation.sign(set_access(Scope::All), &organisation.admin);
    let id = propose(&first).await;
    let declined = cems.post(&format!("/api/v1/proposals/{id}/decline"), &json!({})).await;
    assert_eq!(declined.status, StatusCode::NO_CONTENT);
    let mut envelope = first.clone();
    envelope.signatures.clear();
    envelope::add_signature(PayloadType::Roster, &mut envelope, &cem.device, &cem.keys.sign);
    let late =
        cems.post(&format!("/api/v1/proposals/{id}/signatures"), &json!({ "envelope": envelope })).await;
    assert_eq!(late.status, StatusCode::NOT_FOUND, "it is closed");
    let listed = ada.get("/api/v1/proposals").await.body["proposals"][0].clone();
    assert_eq!((&listed["state"], &listed["closed_by"]), (&json!("declined"), &json!(cem.id)));

    propose(&organisation.sign(set_access(Scope::All), &organisation.admin)).await;
    let narrows =
        organisation.sign(Statement::RevokeGateway { gateway: GatewayId::from_random(fresh_id()) }, &cem);
    let unknown = cems.post("/api/v1/roster", &json!({ "envelope": narrows })).await;
    assert_eq!(unknown.code(), "statement_refused");
    let revoke = organisation.sign(Statement::RevokeDevice { device: cem.device }, &cem);
    assert_eq!(cems.post("/api/v1/roster", &json!({ "envelope": revoke })).await.status, StatusCode::OK);
    assert_eq!(ada.get("/api/v1/proposals").await.body["proposals"][0]["state"], "stale");
}
