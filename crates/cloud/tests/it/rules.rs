//! Policies and roles over HTTP: putting them in force, what they then forbid
//! and to whom, and who tries to get past them.

use std::collections::{BTreeMap, BTreeSet};

use model::wire::Envelope;
use model::{CameraId, DeviceId, Hash, PersonId, Timestamp};
use reqwest::StatusCode;
use seal::action::{Action, SignedAction, roles_state};
use seal::envelope::{self, PayloadType};
use seal::role::Roles;
use seal::roster::{Scope, Statement};
use serde_json::{Value, json};

use crate::live::{Got, Viewer, status_of};
use crate::support::footage::{Epoch, object};
use crate::support::world::{Answer, Organisation, Person};
use crate::support::{Gateway, World, fresh, now, on_both_databases};

on_both_databases!(
    roles_narrow_what_the_roster_opens,
    one_administrator_sets_nothing_where_it_takes_two,
    a_set_that_does_not_load_replaces_nothing,
    whoever_watches_is_cut_by_a_new_policy,
    a_reason_is_asked_for_and_kept_out_of_the_log,
    no_policy_locks_administrators_out,
    rows_that_somebody_wrote_into_the_database_are_not_believed,
    rules_outlive_the_devices_that_signed_them,
    people_are_told_why,
);

type Files = BTreeMap<String, String>;

/// The set in force, and these policies.
async fn with(organisation: &Organisation, world: &World, text: &str) -> Files {
    let mut files = files(organisation, world).await;
    files.insert("own.cedar".to_owned(), text.to_owned());
    files
}

async fn files(organisation: &Organisation, world: &World) -> Files {
    let policy = organisation.api(world).get("/api/v1/policy").await;
    assert_eq!(policy.status, StatusCode::OK, "{}", policy.body);
    serde_json::from_value(policy.body["files"].clone()).unwrap()
}

/// Format.md section 6, spelt out: SHA-256 of the files as canonical JSON.
fn digest(files: &Files) -> Hash {
    seal::sha256(&serde_json::to_vec(files).unwrap())
}

fn signed(organisation: &Organisation, previous_state: Hash, action: Action) -> SignedAction {
    SignedAction {
        org: organisation.org,
        nonce: Hash(fresh()),
        expires_at: now().plus_ms(Timestamp::MINUTE),
        previous_state,
        action,
    }
}

fn by(signed: &SignedAction, person: &Person) -> Envelope {
    signed.sign(person.device, &person.keys.sign)
}

async fn order(organisation: &Organisation, world: &World, files: &Files) -> SignedAction {
    let policy = organisation.api(world).get("/api/v1/policy").await.body;
    let present = match serde_json::from_value(policy["digest"].clone()).unwrap() {
        Some(digest) => digest,
        None => digest(&serde_json::from_value(policy["files"].clone()).unwrap()),
    };
    signed(organisation, present, Action::SetPolicy { digest: digest(files) })
}

async fn apply(organisation: &Organisation, world: &World, files: &Files) -> Answer {
    let envelope = by(&order(organisation, world, files).await, &organisation.admin);
    organisation.api(world).post("/api/v1/policy", &json!({ "files": files, "envelope": envelope })).await
}

async fn applied(organisation: &Organisation, world: &World, text: &str) {
    let answer = apply(organisation, world, &with(organisation, world, text).await).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.body);
}

fn roles(texts: &[&str]) -> Roles {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

pub(crate) async fn assign(
    organisation: &Organisation,
    world: &World,
    person: PersonId,
    (before, after): (&[&str], &[&str]),
) -> Answer {
    let action = Action::AssignRoles { person, roles: roles(after) };
    let signed = signed(organisation, roles_state(person, &roles(before)), action);
    let envelope = by(&signed, &organisation.admin);
    organisation.api(world).post("/api/v1/roles", &json!({ "envelope": envelope })).await
}

/// A site with a recording of one camera.
async fn site(world: &World) -> (Organisation, Gateway, CameraId, Hash) {
    let mut organisation = world.found().await;
    let gateway = Gateway::enrolled(world, &mut organisation).await;
    let camera = organisation.bind_camera(world, gateway.id).await;
    let (_, recording) = gateway.recorded(&organisation, camera).await;
    (organisation, gateway, camera, recording.id)
}

fn export(organisation: &Organisation, camera: CameraId) -> SignedAction {
    let (from, to) = (Timestamp(1), Timestamp(2));
    let action = Action::Export { camera, from, to, reason: None };
    signed(organisation, organisation.roster.head().1, action)
}

async fn roles_narrow_what_the_roster_opens(world: World) {
    let (mut organisation, gateway, camera, recording) = site(&world).await;
    let ben = organisation.add_person(&world, Some(Scope::All)).await;
    let bens = world.as_person(&ben.cookie);
    let play = async || bens.get(&format!("/api/v1/recordings/{recording}")).await;
    let take_out = async || {
        let envelope = by(&export(&organisation, camera), &ben);
        bens.post("/api/v1/actions", &json!({ "envelope": envelope })).await
    };
    let sees = async || bens.get("/api/v1/cameras").await.body["cameras"].as_array().unwrap().len();
    assert_eq!(
        (play().await.status, take_out().await.status, sees().await),
        (StatusCode::OK, StatusCode::OK, 1)
    );
    assert_eq!(bens.get("/api/v1/history").await.code(), "not_an_administrator");

    let here = format!("viewer gateway:{}", gateway.id);
    let first = assign(&organisation, &world, ben.id, (&[], &[here.as_str()])).await;
    assert_eq!(first.status, StatusCode::NO_CONTENT, "{}", first.body);
    assert_eq!(
        (play().await.status, take_out().await.code().to_owned()),
        (StatusCode::OK, "role".to_owned())
    );
    // Two administrators who did not see each other's change.
    let stale = assign(&organisation, &world, ben.id, (&[], &["operator all"])).await;
    assert_eq!(stale.code(), "state_moved");
    let nobody = PersonId::from_random(crate::support::fresh_id());
    assert_eq!(assign(&organisation, &world, nobody, (&[], &["viewer all"])).await.code(), "invalid");

    let audits = assign(&organisation, &world, ben.id, (&[here.as_str()], &["auditor all"])).await;
    assert_eq!(audits.status, StatusCode::NO_CONTENT, "{}", audits.body);
    assert_eq!((play().await.code().to_owned(), sees().await), ("role".to_owned(), 0));
    assert_eq!(bens.get("/api/v1/history").await.status, StatusCode::OK);
    assert_eq!(bens.get("/api/v1/roles").await.code(), "not_an_administrator");
    let listed = organisation.api(&world).get("/api/v1/roles").await.body;
    assert_eq!(listed["people"][0]["roles"], json!([{ "role": "auditor", "place": "all" }]));

    // Nobody gives a role to himself, not even with a good signature.
    let own = Action::AssignRoles { person: ben.id, roles: roles(&["operator all"]) };
    let own = signed(&organisation, roles_state(ben.id, &roles(&["auditor all"])), own);
    let own = bens.post("/api/v1/roles", &json!({ "envelope": by(&own, &ben) })).await;
    assert_eq!(own.code(), "not_an_administrator");
}

async fn one_administrator_sets_nothing_where_it_takes_two(world: World) {
    let mut organisation = world.found().await;
    let cem = organisation.add_person(&world, Some(Scope::All)).await;
    let devices = BTreeSet::from([organisation.admin.device, cem.device]);
    organisation.append(&world, Statement::SetAdministrators { k: 2, devices }).await;
    let (ada, cems) = (organisation.api(&world), world.as_person(&cem.cookie));
    let new = with(
        &organisation,
        &world,
        "@id(\"x\") @why(\"y\") forbid (principal, action == Action::\"ptz\", resource);",
    )
    .await;
    assert_eq!(apply(&organisation, &world, &new).await.code(), "more_approvals_needed");
    assert_eq!(
        assign(&organisation, &world, cem.id, (&[], &["viewer all"])).await.code(),
        "more_approvals_needed"
    );

    let order = order(&organisation, &world, &new).await;
    let envelope = by(&order, &organisation.admin);
    let other = files(&organisation, &world).await;
    let swapped = json!({ "envelope": envelope, "reason": "no more turning", "files": other });
    assert_eq!(ada.post("/api/v1/proposals", &swapped).await.code(), "invalid", "not what was signed");
    let body = json!({ "envelope": envelope, "reason": "no more turning", "files": new });
    assert_eq!(cems.post("/api/v1/proposals", &body).await.code(), "invalid", "not in Ada's name");
    let proposed = ada.post("/api/v1/proposals", &body).await;
    assert_eq!(proposed.status, StatusCode::OK, "{}", proposed.body);
    let shown = cems.get("/api/v1/proposals").await.body["proposals"][0].clone();
    assert_eq!((&shown["needed"], &shown["files"]), (&json!(2), &json!(new)));

    let path = format!("/api/v1/proposals/{}/signatures", proposed.body["id"].as_str().unwrap());
    let signed_by = |device: DeviceId, person: &Person| {
        let mut envelope = envelope.clone();
        envelope.signatures.clear();
        envelope::add_signature(PayloadType::Action, &mut envelope, &device, &person.keys.sign);
        json!({ "envelope": envelope })
    };
    let herself = signed_by(organisation.admin.device, &organisation.admin);
    assert_eq!(ada.post(&path, &herself).await.code(), "agreed_before");
    let forged = signed_by(cem.device, &organisation.admin);
    assert_eq!(cems.post(&path, &forged).await.code(), "invalid");
    let agreed = cems.post(&path, &signed_by(cem.device, &cem)).await;
    assert_eq!((agreed.status, &agreed.body["state"]), (StatusCode::OK, &json!("done")), "{}", agreed.body);
    assert_eq!(ada.get("/api/v1/policy").await.body["digest"], json!(digest(&new)));
    let entries = ada.get("/api/v1/history?action=set_policy").await.body["entries"].clone();
    assert_eq!(entries[0]["resource"], json!(digest(&new)));
    assert_eq!(entries[0]["signature"], proposed.body["id"]);
    let entry = ada.get("/api/v1/history?limit=1").await.body["entries"][0].clone();
    assert_eq!(entry["policy"], json!(digest(&new)), "decisions name the set from then on");
    let leaf: Value = serde_json::from_str(entry["leaf"].as_str().unwrap()).unwrap();
    assert_eq!(leaf["unmapped"]["policy"], entry["policy"]);
}

async fn a_set_that_does_not_load_replaces_nothing(world: World) {
    let organisation = world.found().await;
    let before = organisation.api(&world).get("/api/v1/policy").await.body;
    for (text, told) in [
        ("\nforbid (principal, action, resource)", "own.cedar line 2"),
        ("@id(\"x\") @why(\"y\") forbid (principal, action == Action::\"fly\", resource);", "policy x"),
        (
            &format!(
                "@id(\"x\") @why(\"y\") forbid (principal, action, resource) when {{ {} }};",
                "(".repeat(9_000)
            ),
            "nested",
        ),
    ] {
        let refused = apply(&organisation, &world, &with(&organisation, &world, text).await).await;
        assert_eq!(refused.code(), "invalid");
        let message = refused.body["error"]["message"].as_str().unwrap();
        assert!(message.contains(told), "{message}");
    }
    assert_eq!(organisation.api(&world).get("/api/v1/policy").await.body, before);

    let good = with(
        &organisation,
        &world,
        "@id(\"x\") @why(\"y\") forbid (principal, action == Action::\"ptz\", resource);",
    )
    .await;
    let order = order(&organisation, &world, &good).await;
    let post = async |files: &Files| {
        let body = json!({ "files": files, "envelope": by(&order, &organisation.admin) });
        organisation.api(&world).post("/api/v1/policy", &body).await
    };
    assert_eq!(post(&files(&organisation, &world).await).await.code(), "invalid", "other files");
    assert_eq!(post(&good).await.status, StatusCode::NO_CONTENT);
    assert_eq!(post(&good).await.code(), "state_moved", "a replay");
    // Back again, and the old order does not come to life.
    assert_eq!(
        apply(&organisation, &world, &serde_json::from_value(before["files"].clone()).unwrap()).await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(post(&good).await.code(), "replayed");
}

async fn whoever_watches_is_cut_by_a_new_policy(world: World) {
    let (organisation, _gateway, camera, recording) = site(&world).await;
    let ada = organisation.admin.cookie.clone();
    let mut viewer = Viewer::open(&world, &ada, camera, &world.origin()).await.unwrap();
    assert_eq!(viewer.next().await, Got::Text(json!({ "type": "waiting" })));
    let text = "@id(\"closed\") @why(\"the shop is being rebuilt\") forbid (principal is Person, action == Action::\"live\", resource);";
    applied(&organisation, &world, text).await;
    let Got::Text(last) = viewer.next().await else { panic!("a reason comes first") };
    assert_eq!(last["type"], "ended");
    assert_eq!(viewer.next().await, Got::Nothing);
    assert_eq!(status_of(Viewer::open(&world, &ada, camera, &world.origin()).await), 403);
    let played = organisation.api(&world).get(&format!("/api/v1/recordings/{recording}")).await;
    assert_eq!(played.status, StatusCode::OK);
}

async fn a_reason_is_asked_for_and_kept_out_of_the_log(world: World) {
    let (organisation, _gateway, camera, recording) = site(&world).await;
    let text = "@id(\"why\") @why(\"looking back is justified\") \
                forbid (principal is Person, action == Action::\"playback\", resource) unless { context has reason };";
    applied(&organisation, &world, text).await;
    let api = organisation.api(&world);
    let path = format!("/api/v1/recordings/{recording}");
    assert_eq!(api.get(&path).await.code(), "reason_needed");
    let asked = json!({ "operation": "playback", "camera": camera });
    let missing = async || api.post("/api/v1/explanations", &asked).await.body["missing"].clone();
    assert_eq!(missing().await, "reason");
    for empty in
        [json!({ "reason": " " }), json!({ "reason": "a\u{7}b" }), json!({ "reason": "x".repeat(501) })]
    {
        assert_eq!(api.post("/api/v1/reasons", &empty).await.code(), "invalid");
    }
    let stated = api.post("/api/v1/reasons", &json!({ "reason": "Mrs Grey lost her purse" })).await;
    assert_eq!(stated.status, StatusCode::NO_CONTENT, "{}", stated.body);
    assert_eq!((api.get(&path).await.status, missing().await), (StatusCode::OK, Value::Null));
    // Of this session, not of the person's others.
    let other = world.device_login(organisation.org, &organisation.admin).await.cookie().unwrap();
    assert_eq!(world.as_person(&other).get(&path).await.code(), "reason_needed");

    let entry = api.get("/api/v1/history?action=state_reason").await.body["entries"][0].clone();
    assert!(!entry.to_string().contains("Grey"), "{entry}");
    let reference = entry["resource"].as_str().unwrap();
    let kept = api.get(&format!("/api/v1/reasons/{reference}")).await;
    assert_eq!(kept.body["reason"], "Mrs Grey lost her purse");
}

async fn no_policy_locks_administrators_out(world: World) {
    let (organisation, gateway, _camera, _) = site(&world).await;
    applied(&organisation, &world, "@id(\"x\") @why(\"y\") forbid (principal, action, resource);").await;
    let api = organisation.api(&world);
    assert_eq!(api.get("/api/v1/history").await.code(), "policy");
    let epoch = Epoch::new(organisation.org, organisation.roster.cameras().next().unwrap().id);
    let (_, recording) = epoch.record(&gateway, &organisation.roster);
    let grants = gateway.ask(&[object(&recording)]).await;
    assert!(grants[0].url.is_none());
    // They still shut out a device, and set the next policies.
    let device = organisation.admin.device;
    assert!(api.get("/api/v1/roster").await.status.is_success());
    assert_eq!(api.get("/api/v1/policy").await.status, StatusCode::OK);
    applied(
        &organisation,
        &world,
        "@id(\"x\") @why(\"y\") forbid (principal, action == Action::\"ptz\", resource);",
    )
    .await;
    assert_eq!(api.get("/api/v1/history").await.status, StatusCode::OK);
    let revoke = organisation.sign(Statement::RevokeDevice { device }, &organisation.admin);
    assert_eq!(api.post("/api/v1/roster", &json!({ "envelope": revoke })).await.status, StatusCode::OK);
}

async fn rules_outlive_the_devices_that_signed_them(world: World) {
    let (mut organisation, _gateway, _camera, recording) = site(&world).await;
    let (ben, cem) = (
        organisation.add_person(&world, Some(Scope::All)).await,
        organisation.add_person(&world, Some(Scope::All)).await,
    );
    applied(
        &organisation,
        &world,
        "@id(\"x\") @why(\"y\") forbid (principal, action == Action::\"ptz\", resource);",
    )
    .await;
    let assigned = assign(&organisation, &world, ben.id, (&[], &["auditor all"])).await;
    assert_eq!(assigned.status, StatusCode::NO_CONTENT, "{}", assigned.body);
    let devices = BTreeSet::from([organisation.admin.device, cem.device]);
    organisation.append(&world, Statement::SetAdministrators { k: 1, devices }).await;
    let device = organisation.admin.device;
    let shut_out = organisation.sign(Statement::RevokeDevice { device }, &cem);
    let api = world.as_person(&cem.cookie);
    let answer = api.post("/api/v1/roster", &json!({ "envelope": shut_out })).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);

    // Whoever loads them anew finds them signed as they were.
    let org = organisation.org;
    world.sql(&format!("UPDATE role_assignments SET seq = seq + 1 WHERE org = '{org}'")).await;
    let path = format!("/api/v1/recordings/{recording}");
    assert_eq!(world.as_person(&ben.cookie).get(&path).await.code(), "role");
    assert_eq!(api.get(&path).await.status, StatusCode::OK);
}

async fn rows_that_somebody_wrote_into_the_database_are_not_believed(world: World) {
    let (mut organisation, _gateway, _camera, recording) = site(&world).await;
    let ben = organisation.add_person(&world, Some(Scope::All)).await;
    let ptz = "@id(\"x\") @why(\"y\") forbid (principal, action == Action::\"ptz\", resource);";
    applied(&organisation, &world, ptz).await;
    let assigned = assign(&organisation, &world, ben.id, (&[], &["auditor all"])).await;
    assert_eq!(assigned.status, StatusCode::NO_CONTENT, "{}", assigned.body);
    let path = format!("/api/v1/recordings/{recording}");
    assert_eq!(world.as_person(&ben.cookie).get(&path).await.code(), "role");

    // A role that nobody signed.
    let (org, person) = (organisation.org, ben.id);
    let widened = format!(
        "UPDATE role_assignments SET roles = '[]', seq = seq + 1 WHERE org = '{org}' AND person = '{person}'"
    );
    assert_eq!(world.sql(&widened).await, 1);
    assert_eq!(world.as_person(&ben.cookie).get(&path).await.code(), "policy_unavailable");
    assert_eq!(organisation.api(&world).get(&path).await.code(), "policy_unavailable");
    let mended = format!(
        "UPDATE role_assignments SET roles = '[{{\"role\":\"auditor\",\"place\":\"all\"}}]', seq = seq + 1 WHERE org = '{org}'"
    );
    world.sql(&mended).await;
    assert_eq!(world.as_person(&ben.cookie).get(&path).await.code(), "role");

    // Policies that nobody signed.
    let files = json!({ "a.cedar": "@id(\"x\") @why(\"y\") permit (principal, action, resource);" });
    let widened = format!("UPDATE policy_sets SET files = '{files}', seq = seq + 1 WHERE org = '{org}'");
    assert_eq!(world.sql(&widened).await, 1);
    assert_eq!(world.as_person(&ben.cookie).get(&path).await.code(), "policy_unavailable");
    // An administrator puts good ones in their place.
    let api = organisation.api(&world);
    let present = digest_of_stored(&world, &organisation).await;
    let good = Files::from([("own.cedar".to_owned(), ptz.to_owned())]);
    let order = signed(&organisation, present, Action::SetPolicy { digest: digest(&good) });
    let body = json!({ "files": good, "envelope": by(&order, &organisation.admin) });
    let set = api.post("/api/v1/policy", &body).await;
    assert_eq!(set.status, StatusCode::NO_CONTENT, "{}", set.body);
    assert_eq!(world.as_person(&ben.cookie).get(&path).await.code(), "role", "nothing permits it");
}

/// What the broken set claims to be.
async fn digest_of_stored(world: &World, organisation: &Organisation) -> Hash {
    let shown = organisation.api(world).get("/api/v1/policy").await.body;
    assert_eq!(shown["digest"], Value::Null);
    let signature = shown["signature"].as_str().unwrap();
    let kept = organisation.api(world).get(&format!("/api/v1/signatures/{signature}")).await.body;
    let envelope: Envelope = serde_json::from_value(kept["envelope"].clone()).unwrap();
    let signed: SignedAction = serde_json::from_slice(&envelope.payload.0).unwrap();
    match signed.action {
        Action::SetPolicy { digest } => digest,
        other => panic!("{other:?}"),
    }
}

async fn people_are_told_why(world: World) {
    let (mut organisation, _gateway, camera, _) = site(&world).await;
    let ben = organisation.add_person(&world, Some(Scope::All)).await;
    let cem = organisation.add_person(&world, None).await;
    let why = async |api: &Person, body: Value| {
        world.as_person(&api.cookie).post("/api/v1/explanations", &body).await
    };
    let asked = json!({ "operation": "live", "camera": camera });
    let yes = why(&ben, asked.clone()).await.body;
    assert_eq!((&yes["allowed"], &yes["rules"][0]["id"]), (&json!(true), &json!("viewers-watch")));
    assert_eq!(why(&cem, asked.clone()).await.status, StatusCode::NOT_FOUND, "what one may not see");
    let about = |person: &Person| json!({ "operation": "live", "camera": camera, "person": person.id });
    assert_eq!(why(&ben, about(&cem)).await.code(), "not_an_administrator");
    let no = why(&organisation.admin, about(&cem)).await.body;
    assert_eq!(no["allowed"], false);
    assert!(no["refused"].as_str().unwrap().contains("roster"), "{no}");
    assert_eq!(why(&ben, json!({ "operation": "fly", "camera": camera })).await.code(), "invalid");
    assign(&organisation, &world, ben.id, (&[], &["auditor all"])).await;
    let no = why(&ben, asked).await.body;
    assert_eq!((&no["allowed"], &no["rules"]), (&json!(false), &json!([])));
}
