//! People who come in, what a stolen cookie is worth, and other organisations.

use model::PersonId;
use model::wire::Envelope;
use reqwest::StatusCode;
use seal::roster::{Scope, Statement};
use serde_json::json;

use crate::support::passkey::Browser;
use crate::support::world::Person;
use crate::support::{Gateway, World, fresh_id, on_both_databases};

on_both_databases!(
    an_invitation_brings_a_person_in,
    a_stolen_cookie_adds_no_passkey_to_anybody,
    a_stolen_cookie_does_not_change_the_roster,
    a_fork_of_the_roster_is_refused,
    other_organisations_are_not_found,
    members_are_no_administrators,
    an_administrator_with_one_factor_changes_nothing,
    the_history_is_one_chain,
);

async fn an_invitation_brings_a_person_in(world: World) {
    let mut organisation = world.found().await;
    let ben = Person::new(PersonId::from_random(fresh_id()));
    let invite = json!({ "person": ben.id, "person_name": "Ben" });
    let invitation = organisation.api(&world).post("/api/v1/invitations", &invite).await;
    assert_eq!(invitation.status, StatusCode::OK, "{}", invitation.body);
    let token = &invitation.body["token"];

    let request = json!({ "device": ben.statement(), "token": token, "pairing": null });
    assert_eq!(world.anyone().post("/api/v1/device-requests", &request).await.status, StatusCode::ACCEPTED);
    let begun = world.anyone().post("/api/v1/invitations/passkey", &json!({ "token": token })).await;
    assert_eq!((&begun.body["person"], &begun.body["person_name"]), (&json!(ben.id), &json!("Ben")));
    let mut browser = Browser::default();
    let credential = browser.create(&world.running.public_url, &begun.body["options"]).await;
    let accept = json!({
        "token": token, "passkey": { "ceremony": begun.body["ceremony"], "credential": credential },
    });
    let accepted = world.anyone().post("/api/v1/invitations/accept", &accept).await;
    assert_eq!(accepted.status, StatusCode::OK, "{}", accepted.body);
    assert_eq!(accepted.body["devices"], json!([]), "asking gives a device nothing");
    let begun = world.anyone().post("/api/v1/invitations/passkey", &json!({ "token": token })).await;
    assert_eq!(begun.code(), "token_refused", "used");

    let waiting = organisation.api(&world).get("/api/v1/device-requests").await;
    assert_eq!(waiting.body["requests"][0]["device"], json!(ben.statement()));
    organisation.append(&world, Statement::AddDevice { device: ben.statement() }).await;
    let waiting = organisation.api(&world).get("/api/v1/device-requests").await;
    assert_eq!(waiting.body["requests"], json!([]));
    let me = world.as_person(&accepted.cookie().unwrap()).get("/api/v1/me").await;
    assert_eq!(me.body["devices"], json!([ben.device]));

    // In the name of somebody else nothing is asked for.
    let other = json!({ "device": organisation.admin.statement(), "token": null, "pairing": null });
    let refused = world.as_person(&accepted.cookie().unwrap()).post("/api/v1/device-requests", &other).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
}

async fn a_stolen_cookie_adds_no_passkey_to_anybody(world: World) {
    let organisation = world.found().await;
    let api = organisation.api(&world);
    let invite = json!({ "person": organisation.admin.id, "person_name": "Ada" });
    assert_eq!(api.post("/api/v1/invitations", &invite).await.status, StatusCode::UNPROCESSABLE_ENTITY);

    // Two invitations for one newcomer: the first that is accepted ends the other.
    let ben = Person::new(PersonId::from_random(fresh_id()));
    let invite = json!({ "person": ben.id, "person_name": "Ben" });
    let tokens =
        [api.post("/api/v1/invitations", &invite).await, api.post("/api/v1/invitations", &invite).await];
    let [first, second] = tokens.map(|answer| answer.body["token"].clone());
    let begun = world.anyone().post("/api/v1/invitations/passkey", &json!({ "token": first })).await;
    let credential = Browser::default().create(&world.running.public_url, &begun.body["options"]).await;
    let accept = json!({
        "token": first, "passkey": { "ceremony": begun.body["ceremony"], "credential": credential },
    });
    assert_eq!(world.anyone().post("/api/v1/invitations/accept", &accept).await.status, StatusCode::OK);
    let begun = world.anyone().post("/api/v1/invitations/passkey", &json!({ "token": second })).await;
    assert_eq!(begun.code(), "token_refused");
}

async fn a_stolen_cookie_does_not_change_the_roster(world: World) {
    let organisation = world.found().await;
    let thief = Person::new(PersonId::from_random(fresh_id()));
    let api = organisation.api(&world);
    let add = |by: &Person| organisation.sign(Statement::AddDevice { device: thief.statement() }, by);
    let append =
        async |envelope: Envelope| api.post("/api/v1/roster", &json!({ "envelope": envelope })).await;

    assert_eq!(
        append(add(&thief)).await.code(),
        "statement_refused",
        "signed by nobody whom the roster knows"
    );
    let mut forged = add(&thief);
    forged.signatures[0].keyid = organisation.admin.device.to_string();
    assert_eq!(append(forged).await.code(), "statement_refused", "in the name of the administrator");
    let head = api.get("/api/v1/roster?after=0").await;
    assert_eq!(head.body["statements"], json!([]), "nothing was added");
}

async fn a_fork_of_the_roster_is_refused(world: World) {
    let mut organisation = world.found().await;
    let (first, second) = (PersonId::from_random(fresh_id()), PersonId::from_random(fresh_id()));
    let access = |person| Statement::SetAccess { person, scope: Scope::All, audio: true, until: None };
    let fork = organisation.sign(access(second), &organisation.admin);
    organisation.append(&world, access(first)).await;
    let refused = organisation.api(&world).post("/api/v1/roster", &json!({ "envelope": fork })).await;
    assert_eq!((refused.status, refused.code()), (StatusCode::CONFLICT, "roster_moved"));
    assert_eq!(refused.body["error"]["head"]["seq"], 1);
    assert_eq!(refused.body["error"]["head"]["hash"], json!(organisation.roster.head().1));
}

async fn other_organisations_are_not_found(world: World) {
    let mut ours = world.found().await;
    let theirs = world.found_another().await;
    let gateway = Gateway::enrolled(&world, &mut ours).await;
    let camera = ours.bind_camera(&world, gateway.id).await;
    let (epoch, recording) = gateway.recorded(&ours, camera).await;

    let api = theirs.api(&world);
    for path in [
        format!("/api/v1/cameras/{camera}/recordings"),
        format!("/api/v1/recordings/{}", recording.id),
        format!("/api/v1/epochs/{}/grants/{}", epoch.id, ours.admin.device),
        format!("/api/v1/enrolments/{}", gateway.secret.lookup()),
    ] {
        assert_eq!(ours.api(&world).get(&path).await.status, StatusCode::OK, "{path}");
        assert_eq!(api.get(&path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    let mac = json!({ "mac": recording.id });
    let accept = format!("/api/v1/enrolments/{}/accept", gateway.secret.lookup());
    assert_eq!(api.post(&accept, &mac).await.status, StatusCode::NOT_FOUND);
    assert_eq!(api.get("/api/v1/cameras").await.body, json!({ "cameras": [] }));
    assert_eq!(api.get("/api/v1/gateways").await.body, json!({ "gateways": [] }));
    // Their statement, our session; and an id of ours in their roster.
    let theirs_signed = theirs.sign(Statement::RevokeDevice { device: theirs.admin.device }, &theirs.admin);
    let crossed = ours.api(&world).post("/api/v1/roster", &json!({ "envelope": theirs_signed })).await;
    assert_eq!(crossed.code(), "statement_refused");
    let taken = theirs.sign(Statement::AddGateway { gateway: gateway.keys.clone() }, &theirs.admin);
    assert_eq!(api.post("/api/v1/roster", &json!({ "envelope": taken })).await.code(), "statement_refused");
}

async fn members_are_no_administrators(world: World) {
    let mut organisation = world.found().await;
    let ben = organisation.add_person(&world, Some(Scope::All)).await;
    let api = world.as_person(&ben.cookie);
    for path in ["/api/v1/history", "/api/v1/device-requests"] {
        assert_eq!(api.get(path).await.code(), "not_an_administrator", "{path}");
    }
    let invite = json!({ "person": PersonId::from_random(fresh_id()), "person_name": "Eve" });
    assert_eq!(api.post("/api/v1/invitations", &invite).await.code(), "not_an_administrator");
}

/// As somebody who came from an identity provider that asked for a password
/// alone.
async fn an_administrator_with_one_factor_changes_nothing(world: World) {
    let organisation = world.found().await;
    let api = organisation.api(&world);
    let factors = async |second: u8| {
        let org = organisation.org;
        let sql = format!("UPDATE sessions SET device = NULL, second_factor = {second} WHERE org = '{org}'");
        assert!(world.sql(&sql).await > 0);
    };
    factors(0).await;
    let invite = json!({ "person": PersonId::from_random(fresh_id()), "person_name": "Ben" });
    let refused = api.post("/api/v1/invitations", &invite).await;
    assert_eq!((refused.status, refused.code()), (StatusCode::FORBIDDEN, "second_factor_needed"));
    let link = json!({ "person": organisation.admin.id });
    assert_eq!(api.post("/api/v1/device-links", &link).await.code(), "second_factor_needed");
    assert_eq!(api.get("/api/v1/people").await.status, StatusCode::OK);
    factors(1).await;
    assert_eq!(api.post("/api/v1/invitations", &invite).await.status, StatusCode::OK);
}

async fn the_history_is_one_chain(world: World) {
    let mut organisation = world.found().await;
    for _ in 0..3 {
        let person = PersonId::from_random(fresh_id());
        organisation
            .append(&world, Statement::SetAccess { person, scope: Scope::All, audio: true, until: None })
            .await;
    }
    let page = organisation.api(&world).get("/api/v1/history").await;
    let entries = page.body["entries"].as_array().unwrap();
    assert_eq!(entries.len(), 5, "signing in, three statements and this reading");
    let mut previous = model::Hash::default();
    for entry in entries.iter().rev() {
        let leaf = entry["leaf"].as_str().unwrap();
        let recomputed = cloud_core::chain_hash(previous, leaf);
        let leaf: serde_json::Value = serde_json::from_str(leaf).unwrap();
        assert_eq!(leaf["api"]["operation"], entry["action"]);
        assert_eq!(leaf["unmapped"]["seq"], entry["seq"]);
        assert!(!leaf.to_string().contains(&organisation.admin.id.to_string()), "people by reference alone");
        assert_eq!(entry["hash"], json!(recomputed));
        previous = recomputed;
    }
    let older = organisation.api(&world).get("/api/v1/history?before=2&limit=1").await;
    assert_eq!(older.body["entries"][0]["seq"], 1);
}
