//! Programs with accounts of their own: what their tokens read, and all that
//! they do not.

use std::collections::BTreeSet;

use cloud::{Port, Who};
use model::{Hash, Timestamp};
use reqwest::{Method, StatusCode};
use seal::action::{Action, SignedAction};
use seal::roster::{Scope, Statement};
use serde_json::{Value, json};

use crate::support::services::Service;
use crate::support::world::{Answer, Person};
use crate::support::{Gateway, Organisation, World, fresh, now, on_both_databases};

on_both_databases!(
    a_token_reads_what_its_account_says_and_no_more,
    no_other_route_takes_a_token,
    a_token_ends_and_is_revoked_at_once,
    an_account_is_signed_by_an_administrator_and_confirmed,
    one_administrator_against_two_makes_no_account,
);

async fn a_token_reads_what_its_account_says_and_no_more(world: World) {
    let mut ours = world.found().await;
    let gateway = Gateway::enrolled(&world, &mut ours).await;
    let (door, till) =
        (ours.bind_camera(&world, gateway.id).await, ours.bind_camera(&world, gateway.id).await);
    let scope = Scope::Cameras { cameras: BTreeSet::from([door]) };
    let program = ours.service(&world, &["list_cameras", "list_recordings"], scope).await;

    let listed = program.get(&world, "/api/v1/cameras").await;
    let ids: Vec<&Value> =
        listed.body["cameras"].as_array().unwrap().iter().map(|camera| &camera["id"]).collect();
    assert_eq!(ids, [&json!(door)]);
    let recordings = |camera| format!("/api/v1/cameras/{camera}/recordings");
    assert_eq!(program.get(&world, &recordings(door)).await.status, StatusCode::OK);
    for path in [recordings(till), "/api/v1/gateways".into(), "/api/v1/history".into()] {
        assert_eq!(program.get(&world, &path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    let auditor = ours.service(&world, &["list_gateways", "read_history"], Scope::All).await;
    for path in ["/api/v1/gateways", "/api/v1/history", "/api/v1/history/checkpoint"] {
        assert_eq!(auditor.get(&world, path).await.status, StatusCode::OK, "{path}");
    }
    for path in ["/api/v1/cameras".to_owned(), recordings(door)] {
        assert_eq!(auditor.get(&world, &path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    // It stands in the history by its own name.
    let history = ours.api(&world).get(&format!("/api/v1/history?actor={}", program.id)).await.body;
    let actions: BTreeSet<&str> = history["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["action"].as_str().unwrap())
        .collect();
    assert_eq!(actions, BTreeSet::from(["list_cameras", "list_recordings"]));
    // Its organisation's list says when it was used; another one's does not have it.
    let accounts = ours.api(&world).get("/api/v1/service-accounts").await.body["accounts"].clone();
    assert!(accounts.as_array().unwrap().iter().all(|account| account["used_at"].is_u64()), "{accounts}");
    assert!(!accounts.to_string().contains("lkst_"));
    let zoe = world.found_another().await;
    assert_eq!(zoe.api(&world).get("/api/v1/service-accounts").await.body["accounts"], json!([]));
    let path = format!("/api/v1/service-accounts/{}", program.id);
    assert_eq!(zoe.api(&world).delete(&path).await.status, StatusCode::NOT_FOUND);
    assert_eq!(program.get(&world, "/api/v1/cameras").await.status, StatusCode::OK);
}

/// Every route of every port, with a token that may do all that tokens may.
async fn no_other_route_takes_a_token(world: World) {
    let ours = world.found().await;
    let all = ["list_cameras", "list_gateways", "list_recordings", "provision_people", "read_history"];
    let program = ours.service(&world, &all, Scope::All).await;
    for route in cloud::routes().iter().filter(|route| route.port == Port::Viewers) {
        if !matches!(route.who, Who::Session | Who::Administrator) {
            continue;
        }
        let path = route.path.replace("{id}", &program.id.to_string());
        let answer = program.send(&world, route.method.parse().unwrap(), &path).await;
        assert_eq!(answer.code(), "signed_out", "{} {path}", route.method);
    }
    // People are provisioned by those alone that may.
    let reader = ours.service(&world, &["list_cameras", "read_history"], Scope::All).await;
    for route in cloud::routes().iter().filter(|route| route.who == Who::Provisioner) {
        let path = route.path.replace("{id}", &program.id.to_string());
        let answer = reader.send(&world, route.method.parse().unwrap(), &path).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{} {path}", route.method);
        // And never by the cookie of an administrator whose browser was led there.
        let request = ours.api(&world).request(route.method.parse().unwrap(), &path);
        assert_eq!(request.send().await.unwrap().status(), StatusCode::UNAUTHORIZED, "{path}");
    }
    // Nor does it help, or harm, where a cookie would do.
    let request = ours.api(&world).request(Method::GET, "/api/v1/cameras");
    let request = request.header("authorization", format!("Bearer lkst_{}", Hash(fresh())));
    assert_eq!(Answer::of(request.send().await.unwrap()).await.code(), "signed_out");
    // As a cookie it is none.
    let hex = program.token.trim_start_matches("lkst_");
    for cookie in [format!("__Host-lenskeep={hex}"), format!("__Host-lenskeep={}", program.token)] {
        assert_eq!(world.as_person(&cookie).get("/api/v1/me").await.code(), "signed_out");
    }
}

async fn a_token_ends_and_is_revoked_at_once(world: World) {
    let ours = world.found().await;
    let program = ours.service(&world, &["list_cameras"], Scope::All).await;
    let other = ours.service(&world, &["list_cameras"], Scope::All).await;
    assert_eq!(program.get(&world, "/api/v1/cameras").await.status, StatusCode::OK);
    let path = format!("/api/v1/service-accounts/{}", program.id);
    assert_eq!(ours.api(&world).delete(&path).await.status, StatusCode::NO_CONTENT);
    assert_eq!(program.get(&world, "/api/v1/cameras").await.code(), "signed_out");
    assert_eq!(ours.api(&world).delete(&path).await.status, StatusCode::NOT_FOUND, "it was revoked");
    assert_eq!(other.get(&world, "/api/v1/cameras").await.status, StatusCode::OK);
    world
        .sql(&format!("UPDATE service_accounts SET ends_at = {} WHERE account = '{}'", now().0, other.id))
        .await;
    assert_eq!(other.get(&world, "/api/v1/cameras").await.code(), "signed_out");
    // What is stored is no token.
    let stored = format!("UPDATE service_accounts SET name = name WHERE token LIKE '%{}%'", other.token);
    assert_eq!(world.sql(&stored).await, 0);
}

async fn an_account_is_signed_by_an_administrator_and_confirmed(world: World) {
    let (mut ada, browser) = world.found_with_passkey().await;
    let ben = ada.add_device_person(&world, &browser).await;
    let program = Service::new();
    let signed = |organisation: &Organisation, by: &Person| {
        let action = Action::CreateServiceAccount {
            account: program.id,
            token: program.hashed(),
            name: "Dashboard".to_owned(),
            permissions: serde_json::from_value(json!(["list_cameras"])).unwrap(),
            scope: Scope::All,
            until: now().plus_ms(Timestamp::DAY),
        };
        let signed = SignedAction {
            org: organisation.org,
            nonce: Hash(fresh()),
            expires_at: now().plus_ms(Timestamp::MINUTE),
            previous_state: organisation.roster.head().1,
            action,
        };
        signed.sign(by.device, &by.keys.sign)
    };
    let api = ada.api(&world);
    let envelope = signed(&ada, &ada.admin);
    let body = json!({ "envelope": envelope });
    assert_eq!(api.post("/api/v1/service-accounts", &body).await.code(), "verification_needed");
    api.confirm(&browser, &[seal::sha256(&envelope.payload.0)]).await;
    let made = api.post("/api/v1/service-accounts", &body).await;
    assert_eq!(made.status, StatusCode::NO_CONTENT, "{}", made.body);
    assert_eq!(program.get(&world, "/api/v1/cameras").await.status, StatusCode::OK);
    api.confirm(&browser, &[seal::sha256(&envelope.payload.0)]).await;
    assert_eq!(api.post("/api/v1/service-accounts", &body).await.code(), "replayed");
    // With the signature of somebody else, or as somebody else.
    let of_ben = json!({ "envelope": signed(&ada, &ben) });
    assert_eq!(api.post("/api/v1/service-accounts", &of_ben).await.code(), "invalid");
    let refused = world.as_person(&ben.cookie).post("/api/v1/service-accounts", &of_ben).await;
    assert_eq!(refused.code(), "not_an_administrator");
    // Not at the door of other actions; and no other action here.
    let envelope = signed(&ada, &ada.admin);
    let elsewhere = api.post("/api/v1/actions", &json!({ "envelope": envelope })).await;
    assert_eq!(elsewhere.code(), "invalid");
    // Another one does not take its place, by its id or by its token.
    let again = signed(&ada, &ada.admin);
    api.confirm(&browser, &[seal::sha256(&again.payload.0)]).await;
    let taken = api.post("/api/v1/service-accounts", &json!({ "envelope": again })).await;
    assert_eq!(taken.code(), "invalid", "{}", taken.body);
    // A program makes none.
    let answer = program.send(&world, Method::POST, "/api/v1/service-accounts").await;
    assert_eq!(answer.code(), "signed_out");
}

async fn one_administrator_against_two_makes_no_account(world: World) {
    let mut ours = world.found().await;
    let cem = ours.add_person(&world, Some(Scope::All)).await;
    let devices = BTreeSet::from([ours.admin.device, cem.device]);
    ours.append(&world, Statement::SetAdministrators { k: 2, devices }).await;
    let program = Service::new();
    let signed = SignedAction {
        org: ours.org,
        nonce: Hash(fresh()),
        expires_at: now().plus_ms(Timestamp::HOUR),
        previous_state: ours.roster.head().1,
        action: Action::CreateServiceAccount {
            account: program.id,
            token: program.hashed(),
            name: "Directory".to_owned(),
            permissions: serde_json::from_value(json!(["provision_people"])).unwrap(),
            scope: Scope::All,
            until: now().plus_ms(Timestamp::DAY),
        },
    };
    let (ada, cems) = (ours.api(&world), world.as_person(&cem.cookie));
    let envelope = signed.sign(ours.admin.device, &ours.admin.keys.sign);
    let alone = ada.post("/api/v1/service-accounts", &json!({ "envelope": envelope })).await;
    assert_eq!(alone.code(), "more_approvals_needed");
    let proposed = ada.post("/api/v1/proposals", &json!({ "envelope": envelope, "reason": "" })).await;
    assert_eq!(proposed.status, StatusCode::OK, "{}", proposed.body);
    assert_eq!(program.get(&world, "/scim/v2/Users").await.status, StatusCode::UNAUTHORIZED);
    let path = format!("/api/v1/proposals/{}/signatures", proposed.body["id"].as_str().unwrap());
    let agreed = json!({ "envelope": signed.sign(cem.device, &cem.keys.sign) });
    let agreed = cems.post(&path, &agreed).await;
    assert_eq!(agreed.body["state"], "done", "{}", agreed.body);
    assert_eq!(program.get(&world, "/scim/v2/Users").await.status, StatusCode::OK);
}
