//! Set-up, signing in and out.

use model::{Hash, PersonId};
use reqwest::{Method, StatusCode};
use seal::login::DeviceLogin;
use seal::roster::Statement;
use serde_json::json;

use crate::support::passkey::Browser;
use crate::support::world::{Answer, Person, genesis};
use crate::support::{World, fresh, fresh_id, on_both_databases};

on_both_databases!(
    a_passkey_sets_up_and_signs_in,
    the_set_up_token_works_once,
    a_device_key_signs_in,
    a_proof_is_good_once_here_and_for_its_device,
    a_session_ends_with_its_device,
    sessions_are_listed_and_ended_by_their_owner,
    administrators_sign_others_out_everywhere,
    the_session_that_was_not_used_for_longest_gives_way,
);

async fn a_passkey_sets_up_and_signs_in(world: World) {
    let origin = &world.running.public_url;
    let mut browser = Browser::default();
    let begun = world
        .anyone()
        .post("/api/v1/setup/passkey", &json!({ "token": world.token(), "person_name": "Ada" }))
        .await;
    assert_eq!(begun.status, StatusCode::OK, "{}", begun.body);
    assert_eq!(begun.body["options"]["authenticatorSelection"]["residentKey"], "required");
    let credential = browser.create(origin, &begun.body["options"]).await;
    let person = Person::new(serde_json::from_value(begun.body["person"].clone()).unwrap());
    let (org, genesis) = genesis(&person);
    let body = json!({
        "token": world.token(), "person": person.id, "person_name": "Ada", "genesis": genesis,
        "passkey": { "ceremony": begun.body["ceremony"], "credential": credential },
    });
    let done = world.anyone().post("/api/v1/setup", &body).await;
    assert_eq!(done.status, StatusCode::CREATED, "{}", done.body);
    assert_eq!(done.body["org"], json!(org));
    assert_eq!(done.body["org_name"], "Corner shop");
    assert_eq!(done.body["devices"], json!([person.device]));
    assert_eq!(done.body["administrator"], true);
    let cookie = done.headers["set-cookie"].to_str().unwrap();
    for attribute in ["__Host-lenskeep=", "; Secure", "; HttpOnly", "; SameSite=Strict", "; Path=/"] {
        assert!(cookie.contains(attribute), "{attribute}");
    }
    assert_eq!(world.anyone().get("/api/v1/status").await.body["set_up"], true);

    let begun = world.anyone().post("/api/v1/login/passkey/begin", &json!({})).await;
    let credential = browser.get(origin, &begun.body["options"]).await;
    let body = json!({ "ceremony": begun.body["ceremony"], "credential": credential });
    let login = world.anyone().post("/api/v1/login/passkey", &body).await;
    assert_eq!(login.status, StatusCode::OK, "{}", login.body);
    let again = world.anyone().post("/api/v1/login/passkey", &body).await;
    assert_eq!(again.code(), "login_refused", "a ceremony counts once");

    let session = world.as_person(&login.cookie().unwrap());
    assert_eq!(session.get("/api/v1/me").await.body["person_name"], "Ada");
    assert_eq!(session.post("/api/v1/logout", &json!({})).await.status, StatusCode::NO_CONTENT);
    assert_eq!(session.get("/api/v1/me").await.code(), "signed_out");

    // A passkey that this cloud never saw.
    let mut stranger = Browser::default();
    let person = PersonId::from_random(fresh_id());
    stranger.create(origin, &creation_options(person)).await;
    let begun = world.anyone().post("/api/v1/login/passkey/begin", &json!({})).await;
    let credential = stranger.get(origin, &begun.body["options"]).await;
    let body = json!({ "ceremony": begun.body["ceremony"], "credential": credential });
    assert_eq!(world.anyone().post("/api/v1/login/passkey", &body).await.code(), "login_refused");
}

/// `lenskeep app` far from its cloud: passkeys of `localhost`, beside those of
/// the cloud's name, and neither good in the other's place.
#[tokio::test(flavor = "multi_thread")]
async fn the_apps_origin_has_passkeys_of_its_own() {
    let app: url::Url = "http://localhost:8475".parse().unwrap();
    let site: url::Url = "https://cameras.example.org".parse().unwrap();
    let world = World::with(None, |config| {
        config.listen.public_url = Some(site.clone());
        config.app_origins = vec![app.clone()];
    })
    .await;
    let post = async |origin: &url::Url, path: &str, body: serde_json::Value| {
        // As a request comes in that was forwarded: to the server's own name.
        let url = format!("http://{}{path}", world.running.viewer_addr);
        let origin = origin.origin().ascii_serialization();
        let proof = world.proof_at(&origin, &Method::POST, path);
        let request = world.client.post(url).header("x-lenskeep", "1").header("origin", origin);
        let request = request.header("dpop", proof);
        Answer::of(request.json(&body).send().await.unwrap()).await
    };
    let token = world.token();
    let begun = post(&app, "/api/v1/setup/passkey", json!({ "token": token, "person_name": "Ada" })).await;
    assert_eq!(begun.body["options"]["rp"]["id"], "localhost", "{}", begun.body);
    let mut browser = Browser::default();
    let credential = browser.create(&app, &begun.body["options"]).await;
    let person = Person::new(serde_json::from_value(begun.body["person"].clone()).unwrap());
    let (_, genesis) = genesis(&person);
    let body = json!({
        "token": token, "person": person.id, "person_name": "Ada", "genesis": genesis,
        "passkey": { "ceremony": begun.body["ceremony"], "credential": credential },
    });
    assert_eq!(post(&app, "/api/v1/setup", body).await.status, StatusCode::CREATED);

    let begun = post(&app, "/api/v1/login/passkey/begin", json!({})).await;
    let credential = browser.get(&app, &begun.body["options"]).await;
    let at_site = post(&site, "/api/v1/login/passkey/begin", json!({})).await;
    assert_eq!(at_site.body["options"]["rpId"], "cameras.example.org");
    let body = json!({ "ceremony": at_site.body["ceremony"], "credential": credential });
    assert_eq!(post(&site, "/api/v1/login/passkey", body).await.code(), "login_refused");
    let body = json!({ "ceremony": begun.body["ceremony"], "credential": credential });
    assert_eq!(post(&app, "/api/v1/login/passkey", body).await.status, StatusCode::OK);

    let stranger = "http://localhost:8476".parse().unwrap();
    assert_eq!(post(&stranger, "/api/v1/login/passkey/begin", json!({})).await.code(), "other_site");
}

fn creation_options(person: PersonId) -> serde_json::Value {
    let handle = person.to_string();
    json!({
        "rp": { "id": "localhost", "name": "x" },
        "user": { "id": handle, "name": "x", "displayName": "x" },
        "challenge": "AAAAAAAAAAAAAAAAAAAAAA",
        "pubKeyCredParams": [{ "type": "public-key", "alg": -7 }],
        "authenticatorSelection": { "residentKey": "required", "userVerification": "required" },
    })
}

async fn the_set_up_token_works_once(world: World) {
    let wrong = json!({ "token": Hash(fresh()), "person_name": "Eve" });
    assert_eq!(world.anyone().post("/api/v1/setup/passkey", &wrong).await.code(), "token_refused");

    world.found().await;
    let person = Person::new(PersonId::from_random(fresh_id()));
    let (_, genesis) = genesis(&person);
    let body = json!({
        "token": world.token(), "person": person.id, "person_name": "Eve", "genesis": genesis, "passkey": null,
    });
    let second = world.anyone().post("/api/v1/setup", &body).await;
    assert_eq!((second.status, second.code()), (StatusCode::UNAUTHORIZED, "token_refused"));
    assert_eq!(second.cookie(), None);

    // A second server on the same folder is refused; a restart makes no new token.
    let (config, ca) = (world.config.clone(), world.running.ca_sha256);
    let error = cloud::start(config.clone()).await.unwrap_err().to_string();
    assert!(error.contains("another server runs with the data folder"), "{error}");
    world.running.shutdown().await;
    let again = cloud::start(config).await.unwrap();
    assert!(again.set_up_token.is_none());
    assert_eq!(again.ca_sha256, ca);
    again.shutdown().await;
}

async fn a_device_key_signs_in(world: World) {
    let organisation = world.found().await;
    let login = world.device_login(organisation.org, &organisation.admin).await;
    assert_eq!(login.status, StatusCode::OK, "{}", login.body);
    assert_eq!(login.body["person"], json!(organisation.admin.id));

    // A challenge comes for a device that nobody knows too.
    let stranger = Person::new(organisation.admin.id);
    let refused = world.device_login(organisation.org, &stranger).await;
    assert_eq!((refused.status, refused.code()), (StatusCode::UNAUTHORIZED, "login_refused"));
}

async fn a_proof_is_good_once_here_and_for_its_device(world: World) {
    let organisation = world.found().await;
    let (org, admin) = (organisation.org, &organisation.admin);
    let challenge = async || -> Hash {
        let body = json!({ "device": admin.device });
        let answer = world.anyone().post("/api/v1/login/device/challenge", &body).await;
        serde_json::from_value(answer.body["challenge"].clone()).unwrap()
    };
    let present = async |login: DeviceLogin, person: &Person| {
        let envelope = login.sign(&person.keys.sign);
        world.anyone().post("/api/v1/login/device", &json!({ "envelope": envelope })).await.status
    };
    let here =
        DeviceLogin { org, device: admin.device, challenge: challenge().await, origin: world.origin() };
    assert_eq!(present(here.clone(), admin).await, StatusCode::OK);
    assert_eq!(present(here.clone(), admin).await, StatusCode::UNAUTHORIZED, "used");
    let fresh_challenge = DeviceLogin { challenge: challenge().await, ..here };
    let elsewhere = DeviceLogin { origin: "https://other.example".to_owned(), ..fresh_challenge.clone() };
    assert_eq!(present(elsewhere, admin).await, StatusCode::UNAUTHORIZED, "for another cloud");
    let stranger = Person::new(admin.id);
    let forged = DeviceLogin { challenge: challenge().await, ..fresh_challenge };
    assert_eq!(present(forged, &stranger).await, StatusCode::UNAUTHORIZED, "signed by another key");
}

async fn a_session_ends_with_its_device(world: World) {
    let mut organisation = world.found().await;
    let ben = organisation.add_person(&world, None).await;
    let api = world.as_person(&ben.cookie);
    assert_eq!(api.get("/api/v1/me").await.status, StatusCode::OK);
    organisation.append(&world, Statement::RevokeDevice { device: ben.device }).await;
    assert_eq!(api.get("/api/v1/me").await.code(), "signed_out");
    assert_eq!(world.device_login(organisation.org, &ben).await.code(), "login_refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_is_slowed() {
    let world = World::on_sqlite().await;
    let mut slowed = false;
    for _ in 0..80 {
        let body = json!({ "token": Hash(fresh()), "person_name": "Eve" });
        slowed |= world.anyone().post("/api/v1/setup/passkey", &body).await.code() == "too_many_requests";
    }
    assert!(slowed);
    let reading = world.anyone().request(Method::GET, "/api/v1/status").send().await.unwrap();
    assert_eq!(reading.status(), StatusCode::OK, "reading is not guessing");
}

async fn sessions_are_listed_and_ended_by_their_owner(world: World) {
    let mut organisation = world.found().await;
    let ben = organisation.add_person(&world, None).await;
    let again = world.device_login(organisation.org, &organisation.admin).await.cookie().unwrap();
    let third = world.device_login(organisation.org, &organisation.admin).await.cookie().unwrap();
    let (ada, again, third) = (organisation.api(&world), world.as_person(&again), world.as_person(&third));
    let listed = ada.get("/api/v1/sessions").await.body["sessions"].clone();
    let listed = listed.as_array().unwrap();
    assert_eq!(listed.len(), 3);
    assert_eq!(listed.iter().filter(|session| session["own"] == true).count(), 1);
    let text = serde_json::to_string(listed).unwrap();
    let cookie = organisation.admin.cookie.split('=').nth(1).unwrap();
    assert!(!text.contains(cookie) && !text.contains(&seal::sha256(cookie.as_bytes()).to_string()));

    // Of somebody else it is not there.
    let own = again.get("/api/v1/sessions").await.body["sessions"].clone();
    let own = own.as_array().unwrap().iter().find(|session| session["own"] == true).unwrap()["id"].clone();
    let path = format!("/api/v1/sessions/{}", own.as_str().unwrap());
    assert_eq!(world.as_person(&ben.cookie).delete(&path).await.status, StatusCode::NOT_FOUND);
    assert_eq!(again.get("/api/v1/me").await.status, StatusCode::OK);
    assert_eq!(ada.delete(&path).await.status, StatusCode::NO_CONTENT);
    assert_eq!(again.get("/api/v1/me").await.code(), "signed_out");
    assert_eq!(ada.delete(&path).await.status, StatusCode::NOT_FOUND, "it has ended");

    assert_eq!(ada.delete("/api/v1/sessions").await.status, StatusCode::NO_CONTENT);
    assert_eq!(third.get("/api/v1/me").await.code(), "signed_out");
    assert_eq!(ada.get("/api/v1/me").await.status, StatusCode::OK);
    assert_eq!(world.as_person(&ben.cookie).get("/api/v1/me").await.status, StatusCode::OK);
}

async fn administrators_sign_others_out_everywhere(world: World) {
    let mut organisation = world.found().await;
    let ben = organisation.add_person(&world, None).await;
    let zoe = world.found_another().await;
    let path = format!("/api/v1/people/{}/sessions", ben.id);
    let of_ada = format!("/api/v1/people/{}/sessions", organisation.admin.id);
    assert_eq!(world.as_person(&ben.cookie).delete(&of_ada).await.code(), "not_an_administrator");
    assert_eq!(zoe.api(&world).delete(&path).await.status, StatusCode::NOT_FOUND);
    assert_eq!(world.as_person(&ben.cookie).get("/api/v1/me").await.status, StatusCode::OK);
    let ada = organisation.api(&world);
    assert_eq!(ada.delete(&path).await.status, StatusCode::NO_CONTENT);
    assert_eq!(world.as_person(&ben.cookie).get("/api/v1/me").await.code(), "signed_out");
    assert_eq!(ada.get("/api/v1/me").await.status, StatusCode::OK);
    let written = ada.get("/api/v1/history?action=end_sessions").await.body["entries"].clone();
    assert_eq!(written[0]["resource"], json!(ben.id), "{written}");
    // Ben may come again: his device is in the roster.
    assert_eq!(world.device_login(organisation.org, &ben).await.status, StatusCode::OK);
}

async fn the_session_that_was_not_used_for_longest_gives_way(world: World) {
    let organisation = world.found().await;
    let oldest = world.device_login(organisation.org, &organisation.admin).await.cookie().unwrap();
    let token = seal::sha256(oldest.split('=').nth(1).unwrap().as_bytes());
    // All others were used later; most of them stand in the database alone.
    assert_eq!(
        world.sql(&format!("UPDATE sessions SET seen_at = seen_at - 1000 WHERE token = '{token}'")).await,
        1
    );
    world
        .sql(&format!(
            "INSERT INTO sessions \
             (org, token, person, device, client, proof_key, created_at, seen_at, second_factor) \
             WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 98) \
             SELECT org, token || n, person, device, client, proof_key, created_at, seen_at, second_factor \
             FROM sessions, n WHERE token <> '{token}'"
        ))
        .await;
    let count = async || world.sql("UPDATE sessions SET client = client").await;
    assert_eq!(count().await, 100);
    let newest = world.device_login(organisation.org, &organisation.admin).await.cookie().unwrap();
    assert_eq!(count().await, 100);
    for (cookie, code) in [(&newest, ""), (&organisation.admin.cookie, ""), (&oldest, "signed_out")] {
        assert_eq!(world.as_person(cookie).get("/api/v1/me").await.code(), code);
    }
}
