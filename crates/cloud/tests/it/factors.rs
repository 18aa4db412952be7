//! How people sign in, and what attackers make of it: passwords with codes,
//! passkeys that come and go, recovery codes.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use model::Hash;
use reqwest::header::SET_COOKIE;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::factors::{PASSWORD, subject};
use crate::support::passkey::Browser;
use crate::support::world::{Answer, Person};
use crate::support::{Organisation, World, fresh, on_both_databases};

on_both_databases!(
    a_password_signs_in_with_its_code_and_not_alone,
    a_code_counts_once,
    a_name_that_nobody_has_is_refused_alike,
    a_signed_in_browser_gets_a_new_session,
    a_stolen_cookie_adds_no_factor_and_removes_none,
    passkeys_are_added_named_and_removed,
    the_last_way_to_sign_in_stays,
    a_recovery_code_opens_no_session_and_counts_once,
    without_a_passkey_a_code_verifies,
    what_is_stored_of_factors_tells_nothing,
);

async fn a_password_signs_in_with_its_code_and_not_alone(world: World) {
    let (ada, browser) = world.found_with_passkey().await;
    let authenticator = ada.set_password(&world, &browser, "Ada@Example.org").await;
    let code = authenticator.code(0);
    for (login, password, code) in [
        ("ada@example.org", PASSWORD, ""),
        ("ada@example.org", PASSWORD, "000000"),
        ("ada@example.org", "", code.as_str()),
        ("ada@example.org", "purple otter quay 92", code.as_str()),
    ] {
        let refused = world.password_login(login, password, code).await;
        assert_eq!((refused.status, refused.code()), (StatusCode::UNAUTHORIZED, "login_refused"));
        assert!(refused.headers.get(SET_COOKIE).is_none());
    }
    let login = world.password_login(" ADA@example.ORG", PASSWORD, &code).await;
    assert_eq!(login.status, StatusCode::OK, "{}", login.body);
    assert_eq!(login.body["person"], json!(ada.admin.id));
    let session = world.as_person(&login.cookie().unwrap());
    let listed = session.get("/api/v1/factors").await.body;
    assert_eq!(listed["password"]["login"], "ada@example.org");
    assert_eq!(listed["passkeys"].as_array().unwrap().len(), 1);
    assert!(!listed.to_string().contains(PASSWORD));
}

async fn a_code_counts_once(world: World) {
    let (ada, browser) = world.found_with_passkey().await;
    let authenticator = ada.set_password(&world, &browser, "ada").await;
    let code = authenticator.code(0);
    // A race of four with one code.
    let attempts = (0..4).map(|_| world.password_login("ada", PASSWORD, &code));
    let answers = futures_util::future::join_all(attempts).await;
    let through = answers.iter().filter(|answer| answer.status == StatusCode::OK).count();
    assert_eq!(through, 1);
    assert_eq!(world.password_login("ada", PASSWORD, &code).await.code(), "login_refused");
    // A later code voids the earlier ones.
    let cookie = answers.iter().find_map(known_cookie).unwrap();
    let body = json!({ "login": "ada", "password": PASSWORD, "code": authenticator.code(1) });
    let later = world.as_person(&cookie).post("/api/v1/login/password", &body).await;
    assert_eq!(later.status, StatusCode::OK, "{}", later.body);
    let body = json!({ "login": "ada", "password": PASSWORD, "code": authenticator.code(0) });
    let earlier = world.as_person(&cookie).post("/api/v1/login/password", &body).await;
    assert_eq!(earlier.code(), "login_refused");
}

/// The cookie of a browser that was here before.
fn known_cookie(answer: &Answer) -> Option<String> {
    let set = answer.headers.get_all(SET_COOKIE).iter().map(|value| value.to_str().unwrap());
    let known =
        set.filter_map(|text| text.split(';').next()).find(|pair| pair.starts_with("__Host-lenskeep-known="));
    known.map(str::to_owned)
}

async fn a_name_that_nobody_has_is_refused_alike(world: World) {
    let (ada, browser) = world.found_with_passkey().await;
    let authenticator = ada.set_password(&world, &browser, "ada").await;
    let shown = |answer: Answer| {
        let headers: BTreeMap<String, String> = answer
            .headers
            .iter()
            .filter(|(name, _)| *name != "date" && *name != "x-request-id")
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect();
        let mut body = answer.body;
        body["error"].as_object_mut().unwrap().remove("request");
        (answer.status, headers, body)
    };
    let nobody = shown(world.password_login("eve", PASSWORD, &authenticator.code(0)).await);
    let wrong = shown(world.password_login("ada", "purple otter quay 92", &authenticator.code(0)).await);
    let no_code = shown(world.password_login("ada", PASSWORD, "000000").await);
    assert_eq!(nobody, wrong);
    assert_eq!(nobody, no_code);
    // Limits come at the same number of attempts.
    let tries = async |name: &str| {
        let mut refused = 0;
        while world.password_login(name, "x", "x").await.status == StatusCode::UNAUTHORIZED {
            refused += 1;
        }
        refused
    };
    assert_eq!(tries("ada").await, 3, "two were tried before");
    assert_eq!(tries("eve").await, 4, "one was tried before");
    let slowed = shown(world.password_login("ada", "x", "x").await);
    assert_eq!(shown(world.password_login("eve", "x", "x").await), slowed);
}

async fn a_signed_in_browser_gets_a_new_session(world: World) {
    let (ada, browser) = world.found_with_passkey().await;
    let authenticator = ada.set_password(&world, &browser, "ada").await;
    // Somebody planted their own session in the browser.
    let planted = ada.admin.cookie.clone();
    let body = json!({ "login": "ada", "password": PASSWORD, "code": authenticator.code(0) });
    let login = world.as_person(&planted).post("/api/v1/login/password", &body).await;
    assert_eq!(login.status, StatusCode::OK, "{}", login.body);
    assert_ne!(login.cookie().unwrap(), planted);
    assert_eq!(world.as_person(&planted).get("/api/v1/me").await.code(), "signed_out");

    let planted = login.cookie().unwrap();
    let begun = world.anyone().post("/api/v1/login/passkey/begin", &json!({})).await;
    let credential = browser.get(&world.running.public_url, &begun.body["options"]).await;
    let body = json!({ "ceremony": begun.body["ceremony"], "credential": credential });
    let login = world.as_person(&planted).post("/api/v1/login/passkey", &body).await;
    assert_ne!(login.cookie().unwrap(), planted);
    assert_eq!(world.as_person(&planted).get("/api/v1/me").await.code(), "signed_out");
}

async fn a_stolen_cookie_adds_no_factor_and_removes_none(world: World) {
    let (ada, browser) = world.found_with_passkey().await;
    ada.set_password(&world, &browser, "ada").await;
    let thief = ada.api(&world);
    let passkey = thief.get("/api/v1/factors").await.body["passkeys"][0]["id"].clone();
    let changes = [
        json!({ "type": "add_passkey", "nonce": Hash(fresh()) }),
        json!({ "type": "set_password", "nonce": Hash(fresh()) }),
        json!({ "type": "make_recovery_codes", "nonce": Hash(fresh()) }),
        json!({ "type": "remove_passkey", "id": passkey }),
        json!({ "type": "remove_password" }),
    ];
    for change in &changes {
        let refused = thief.post("/api/v1/factors", &json!({ "change": change })).await;
        assert_eq!(refused.code(), "verification_needed", "{change}");
    }
    // What the owner verifies is good for that alone, and once.
    let change = json!({ "type": "make_recovery_codes", "nonce": Hash(fresh()) });
    assert_eq!(ada.change(&thief, &browser, change.clone()).await.status, StatusCode::OK);
    assert_eq!(
        thief.post("/api/v1/factors", &json!({ "change": change })).await.code(),
        "verification_needed"
    );
    thief.confirm(&browser, &[ada.subject(&changes[0])]).await;
    for change in &changes[1..] {
        let refused = thief.post("/api/v1/factors", &json!({ "change": change })).await;
        assert_eq!(refused.code(), "verification_needed", "{change}");
    }
    // A token of one kind is not one of another; an invented one is none.
    let allowed = thief.post("/api/v1/factors", &json!({ "change": changes[0] })).await;
    let token = allowed.body["token"].clone();
    for token in [token, json!(Hash(fresh()))] {
        let body = json!({ "token": token, "login": "eve", "password": PASSWORD });
        let refused = world.anyone().post("/api/v1/factors/password/begin", &body).await;
        assert_eq!(refused.code(), "token_refused");
    }
    // Nor does an authenticator stand in for the passkey that there is.
    let body = json!({ "subjects": [ada.subject(&changes[0])], "code": "000000" });
    assert_eq!(thief.post("/api/v1/verifications/code", &body).await.code(), "passkey_needed");
}

/// Adds a passkey with this token at this origin.
async fn add_passkey(world: &World, origin: &url::Url, token: &Value, name: &str) -> (Answer, Browser) {
    let post = async |path: &str, body: Value| {
        let url = format!("http://{}{path}", world.running.viewer_addr);
        let origin = origin.origin().ascii_serialization();
        let request = world.client.post(url).header("x-lenskeep", "1").header("origin", origin);
        Answer::of(request.json(&body).send().await.unwrap()).await
    };
    let mut browser = Browser::default();
    let begun = post("/api/v1/factors/passkey/begin", json!({ "token": token })).await;
    if begun.status != StatusCode::OK {
        return (begun, browser);
    }
    let mut options = begun.body["options"].clone();
    // The software authenticator holds one passkey and looks no further.
    assert!(!options["excludeCredentials"].as_array().unwrap().is_empty());
    options["excludeCredentials"] = json!([]);
    let credential = browser.create(origin, &options).await;
    let passkey = json!({ "ceremony": begun.body["ceremony"], "credential": credential });
    let body = json!({ "token": token, "name": name, "passkey": passkey });
    (post("/api/v1/factors/passkey", body).await, browser)
}

async fn passkey_token(ada: &Organisation, world: &World, browser: &Browser) -> Value {
    let change = json!({ "type": "add_passkey", "nonce": Hash(fresh()) });
    let allowed = ada.change(&ada.api(world), browser, change).await;
    assert_eq!(allowed.status, StatusCode::OK, "{}", allowed.body);
    allowed.body["token"].clone()
}

async fn passkeys_are_added_named_and_removed(world: World) {
    let (ada, browser) = world.found_with_passkey().await;
    let (api, origin) = (ada.api(&world), &world.running.public_url);
    let token = passkey_token(&ada, &world, &browser).await;
    let (added, second) = add_passkey(&world, origin, &token, "Key on the ring").await;
    assert_eq!(added.status, StatusCode::NO_CONTENT, "{}", added.body);
    assert_eq!(add_passkey(&world, origin, &token, "Another").await.0.code(), "token_refused", "once");

    let listed = api.get("/api/v1/factors").await.body["passkeys"].clone();
    let names: Vec<&str> =
        listed.as_array().unwrap().iter().map(|key| key["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["First passkey", "Key on the ring"]);
    assert!(listed[0]["used_at"].is_u64() && listed[1]["used_at"].is_null(), "{listed}");
    assert_eq!(listed[1]["origin"], world.origin());

    let path = format!("/api/v1/factors/passkeys/{}", listed[1]["id"].as_str().unwrap());
    assert_eq!(api.post(&path, &json!({ "name": "" })).await.code(), "invalid");
    assert_eq!(api.post(&path, &json!({ "name": "Blue key" })).await.status, StatusCode::NO_CONTENT);
    let missing = api.post("/api/v1/factors/passkeys/AAAA", &json!({ "name": "x" })).await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);

    // The new one is as good as the first, also to remove that one.
    let change = json!({ "type": "remove_passkey", "id": listed[0]["id"] });
    let removed = ada.change(&api, &second, change).await;
    assert_eq!(removed.status, StatusCode::OK, "{}", removed.body);
    let left = api.get("/api/v1/factors").await.body["passkeys"].clone();
    assert_eq!((left.as_array().unwrap().len(), &left[0]["name"]), (1, &json!("Blue key")));
    let begun = world.anyone().post("/api/v1/login/passkey/begin", &json!({})).await;
    let credential = browser.get(origin, &begun.body["options"]).await;
    let body = json!({ "ceremony": begun.body["ceremony"], "credential": credential });
    assert_eq!(world.anyone().post("/api/v1/login/passkey", &body).await.code(), "login_refused");

    let history = api.get("/api/v1/history").await.body["entries"].clone();
    let actions: Vec<&str> =
        history.as_array().unwrap().iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    for action in ["add_passkey", "rename_passkey", "remove_passkey"] {
        assert!(actions.contains(&action), "{actions:?}");
    }
}

/// Somebody with a passkey for the cloud's name gets one for `lenskeep app`.
#[tokio::test(flavor = "multi_thread")]
async fn a_passkey_comes_to_another_origin_by_a_link() {
    let app: url::Url = "http://localhost:8475".parse().unwrap();
    let world = World::with(None, |config| config.app_origins = vec![app.clone()]).await;
    let (ada, browser) = world.found_with_passkey().await;
    let origins = ada.api(&world).get("/api/v1/factors").await.body["origins"].clone();
    assert_eq!(origins, json!([world.origin(), "http://localhost:8475"]));
    let token = passkey_token(&ada, &world, &browser).await;
    let (added, there) = add_passkey(&world, &app, &token, "lenskeep app").await;
    assert_eq!(added.status, StatusCode::NO_CONTENT, "{}", added.body);
    let url = |path: &str| format!("http://{}{path}", world.running.viewer_addr);
    let post = async |path: &str, body: Value| {
        let origin = "http://localhost:8475";
        let request = world.client.post(url(path)).header("x-lenskeep", "1").header("origin", origin);
        let request = request.header("dpop", world.proof_at(origin, &Method::POST, path));
        Answer::of(request.json(&body).send().await.unwrap()).await
    };
    let begun = post("/api/v1/login/passkey/begin", json!({})).await;
    let credential = there.get(&app, &begun.body["options"]).await;
    let body = json!({ "ceremony": begun.body["ceremony"], "credential": credential });
    assert_eq!(post("/api/v1/login/passkey", body).await.status, StatusCode::OK);
}

async fn the_last_way_to_sign_in_stays(world: World) {
    let (ada, browser) = world.found_with_passkey().await;
    let api = ada.api(&world);
    let first = api.get("/api/v1/factors").await.body["passkeys"][0]["id"].clone();
    let only = ada.change(&api, &browser, json!({ "type": "remove_passkey", "id": first })).await;
    assert_eq!((only.status, only.code()), (StatusCode::CONFLICT, "last_factor"));

    // Two requests at once that would each leave one leave one together.
    ada.set_password(&world, &browser, "ada").await;
    let changes = [json!({ "type": "remove_passkey", "id": first }), json!({ "type": "remove_password" })];
    let subjects: Vec<Hash> = changes.iter().map(|change| ada.subject(change)).collect();
    api.confirm(&browser, &subjects).await;
    let bodies = changes.map(|change| json!({ "change": change }));
    let both = tokio::join!(api.post("/api/v1/factors", &bodies[0]), api.post("/api/v1/factors", &bodies[1]));
    let statuses = [both.0.status, both.1.status];
    assert!(statuses.contains(&StatusCode::OK) && statuses.contains(&StatusCode::CONFLICT), "{statuses:?}");
    let left = api.get("/api/v1/factors").await.body;
    let ways = left["passkeys"].as_array().unwrap().len() + usize::from(!left["password"].is_null());
    assert_eq!(ways, 1, "{left}");
}

async fn a_recovery_code_opens_no_session_and_counts_once(world: World) {
    let (ada, browser) = world.found_with_passkey().await;
    let api = ada.api(&world);
    let change = json!({ "type": "make_recovery_codes", "nonce": Hash(fresh()) });
    let made = ada.change(&api, &browser, change).await;
    let codes: Vec<String> = serde_json::from_value(made.body["codes"].clone()).unwrap();
    assert_eq!(codes.len(), 10);
    assert_eq!(api.get("/api/v1/factors").await.body["recovery"]["left"], 10);
    assert!(api.get("/api/v1/me").await.body["recovery_used_at"].is_null());

    let recover =
        async |code: &str| world.anyone().post("/api/v1/login/recovery", &json!({ "code": code })).await;
    assert_eq!(recover("abcd-efgh-ijkl-mnop").await.code(), "login_refused");
    assert_eq!(recover("x").await.code(), "login_refused");
    let answers = futures_util::future::join_all((0..4).map(|_| recover(&codes[0]))).await;
    let through: Vec<&Answer> = answers.iter().filter(|answer| answer.status == StatusCode::OK).collect();
    assert_eq!(through.len(), 1);
    assert!(through[0].headers.get(SET_COOKIE).is_none(), "no session comes of it");
    assert_eq!(recover(&codes[0]).await.code(), "login_refused");
    // The owner is told, wherever they are signed in.
    assert!(api.get("/api/v1/me").await.body["recovery_used_at"].is_u64());
    assert_eq!(api.get("/api/v1/factors").await.body["recovery"]["left"], 9);
    let history = api.get("/api/v1/history?action=use_recovery_code").await.body["entries"].clone();
    assert!(!history.as_array().unwrap().is_empty());

    // The token is no session, and adds one way to sign in and not two.
    let token = through[0].body["token"].clone();
    let cookie = format!("__Host-lenskeep={}", token.as_str().unwrap());
    assert_eq!(world.as_person(&cookie).get("/api/v1/me").await.code(), "signed_out");
    let (ceremony, authenticator) = world.begin_password(&token, "ada").await;
    let (added, new) = add_passkey(&world, &world.running.public_url, &token, "New").await;
    assert_eq!(added.status, StatusCode::NO_CONTENT, "{}", added.body);
    let body = json!({ "token": token, "ceremony": ceremony, "code": authenticator.code(0) });
    assert_eq!(world.anyone().post("/api/v1/factors/password", &body).await.code(), "token_refused");
    let begun = world.anyone().post("/api/v1/login/passkey/begin", &json!({})).await;
    let credential = new.get(&world.running.public_url, &begun.body["options"]).await;
    let body = json!({ "ceremony": begun.body["ceremony"], "credential": credential });
    assert_eq!(world.anyone().post("/api/v1/login/passkey", &body).await.status, StatusCode::OK);

    // New codes void the old ones.
    let change = json!({ "type": "make_recovery_codes", "nonce": Hash(fresh()) });
    ada.change(&api, &browser, change).await;
    assert_eq!(recover(&codes[1]).await.code(), "login_refused");
}

/// Somebody who was invited and cannot use passkeys.
async fn without_a_passkey_a_code_verifies(world: World) {
    let (ada, _) = world.found_with_passkey().await;
    let ben = Person::new(model::PersonId::from_random(crate::support::fresh_id()));
    let invited =
        ada.api(&world).post("/api/v1/invitations", &json!({ "person": ben.id, "person_name": "Ben" })).await;
    let token = invited.body["token"].clone();
    let (ceremony, authenticator) = world.begin_password(&token, "ben").await;
    let accept = async |code: &str| {
        let password = json!({ "ceremony": ceremony, "code": code });
        let body = json!({ "token": token, "password": password });
        world.anyone().post("/api/v1/invitations/accept", &body).await
    };
    assert_eq!(accept("000000").await.code(), "code_refused", "it may be typed again");
    let accepted = accept(&authenticator.code(0)).await;
    assert_eq!(accepted.status, StatusCode::OK, "{}", accepted.body);
    assert_eq!(accepted.body["verified_by"], "code");
    let api = world.as_person(&accepted.cookie().unwrap());

    let change = json!({ "type": "make_recovery_codes", "nonce": Hash(fresh()) });
    let subject = subject(ada.org, ben.id, &change);
    let body = |code: String| json!({ "subjects": [subject], "code": code });
    let used = api.post("/api/v1/verifications/code", &body(authenticator.code(0))).await;
    assert_eq!(used.code(), "code_refused", "the one of the enrolment is used up");
    let verified = api.post("/api/v1/verifications/code", &body(authenticator.code(1))).await;
    assert_eq!(verified.status, StatusCode::NO_CONTENT, "{}", verified.body);
    let other = json!({ "change": { "type": "make_recovery_codes", "nonce": Hash(fresh()) } });
    assert_eq!(api.post("/api/v1/factors", &other).await.code(), "verification_needed");
    let made = api.post("/api/v1/factors", &json!({ "change": change })).await;
    assert_eq!(made.status, StatusCode::OK, "{}", made.body);
    let again = api.post("/api/v1/factors", &json!({ "change": change })).await;
    assert_eq!(again.code(), "verification_needed");

    // Guessing ends the session that guesses.
    let mut wrong = 0;
    loop {
        let answer = api.post("/api/v1/verifications/code", &body("000000".to_owned())).await;
        if answer.code() == "signed_out" {
            break;
        }
        assert_eq!(answer.code(), "code_refused");
        wrong += 1;
    }
    assert_eq!(wrong, 9, "one was wrong before");
    assert_eq!(api.get("/api/v1/me").await.code(), "signed_out");
}

async fn what_is_stored_of_factors_tells_nothing(world: World) {
    let (ada, browser) = world.found_with_passkey().await;
    ada.set_password(&world, &browser, "ada").await;
    let change = json!({ "type": "make_recovery_codes", "nonce": Hash(fresh()) });
    let made = ada.change(&ada.api(&world), &browser, change).await;
    let code = made.body["codes"][0].as_str().unwrap();
    for (table, column, text) in [
        ("password_logins", "password", "argon2"),
        ("password_logins", "password", "purple"),
        ("recovery_codes", "code", code),
        ("recovery_codes", "code", &code.replace('-', "")),
    ] {
        let found = world
            .sql(&format!("UPDATE {table} SET {column} = {column} WHERE {column} LIKE '%{text}%'"))
            .await;
        assert_eq!(found, 0, "{table} {column}");
    }
    // Moved to another person, or under another key, a row opens nothing.
    let wrong = "UPDATE password_logins SET totp = password";
    assert_eq!(world.sql(wrong).await, 1);
    assert_eq!(
        world.password_login("ada", PASSWORD, "000000").await.status,
        StatusCode::INTERNAL_SERVER_ERROR
    );
}

/// From an address of its own: all of 127.0.0.0/8 is this machine.
fn from(address: Ipv4Addr) -> reqwest::Client {
    reqwest::Client::builder().no_proxy().local_address(IpAddr::V4(address)).build().unwrap()
}

/// Credential stuffing and spraying, from one network and from many.
#[tokio::test(flavor = "multi_thread")]
async fn guessing_passwords_is_slowed_and_locks_nobody_out() {
    let world = World::on_sqlite().await;
    let (ada, browser) = world.found_with_passkey().await;
    let authenticator = ada.set_password(&world, &browser, "ada").await;
    let login = world.password_login("ada", PASSWORD, &authenticator.code(0)).await;
    let known = known_cookie(&login).unwrap();
    for attribute in ["; Secure", "; HttpOnly", "; SameSite=Strict", "; Path=/"] {
        let set = login.headers.get_all(SET_COOKIE).iter().next_back().unwrap().to_str().unwrap();
        assert!(set.contains(attribute), "{attribute}");
    }
    let guess = async |client: &reqwest::Client, login: &str, password: &str| {
        let path = "/api/v1/login/password";
        let proof = world.proof(&Method::POST, path);
        let body = json!({ "login": login, "password": password, "code": "000000" });
        let request = client.post(format!("{}{path}", world.origin())).header("x-lenskeep", "1");
        request.header("dpop", proof).json(&body).send().await.unwrap().status()
    };
    // Spraying: one network, one password, many names.
    let sprayer = from(Ipv4Addr::new(127, 0, 0, 2));
    let mut tried = 0;
    while guess(&sprayer, &format!("person{tried}"), "Winter2026!Winter").await == StatusCode::UNAUTHORIZED {
        tried += 1;
    }
    assert_eq!(tried, 20);
    // Stuffing: one name, with its true password, from everywhere.
    let mut tried = 0;
    for last in 10..40 {
        let client = from(Ipv4Addr::new(127, 0, 1, last));
        while guess(&client, "ada", PASSWORD).await == StatusCode::UNAUTHORIZED {
            tried += 1;
        }
    }
    assert!((15..=21).contains(&tried), "{tried}");
    // The owner is slowed where nobody knows her, and not in her browser.
    world.forget_codes().await;
    let stranger = world.password_login("ada", PASSWORD, &authenticator.code(0)).await;
    assert_eq!(stranger.code(), "too_many_requests");
    let body = json!({ "login": "ada", "password": PASSWORD, "code": authenticator.code(0) });
    let owner = world.as_person(&known).post("/api/v1/login/password", &body).await;
    assert_eq!(owner.status, StatusCode::OK, "{}", owner.body);
    // Nor does a flood from her own network.
    let neighbour = from(Ipv4Addr::LOCALHOST);
    for attempt in 0..100 {
        guess(&neighbour, &format!("person{attempt}"), "x").await;
    }
    let body = json!({ "login": "ada", "password": PASSWORD, "code": authenticator.code(1) });
    let owner = world.as_person(&known).post("/api/v1/login/password", &body).await;
    assert_eq!(owner.status, StatusCode::OK, "{}", owner.body);
    // Nor with her passkey, nor is another name anywhere else.
    let begun = world.anyone().post("/api/v1/login/passkey/begin", &json!({})).await;
    let credential = browser.get(&world.running.public_url, &begun.body["options"]).await;
    let body = json!({ "ceremony": begun.body["ceremony"], "credential": credential });
    assert_eq!(world.anyone().post("/api/v1/login/passkey", &body).await.status, StatusCode::OK);
    let elsewhere = from(Ipv4Addr::new(127, 0, 0, 3));
    assert_eq!(guess(&elsewhere, "ben", PASSWORD).await, StatusCode::UNAUTHORIZED);
    // A mark that is not ours makes nobody known.
    let forged = format!("__Host-lenskeep-known={}.9999999999999.{}", Hash(fresh()), Hash(fresh()));
    let body = json!({ "login": "ada", "password": PASSWORD, "code": authenticator.code(1) });
    let answer = world.as_person(&forged).post("/api/v1/login/password", &body).await;
    assert_eq!(answer.code(), "too_many_requests");
}
