//! Signing in at an OpenID provider, and whoever tries to get in that way.

use reqwest::StatusCode;
use seal::dpop::ProofKey;
use serde_json::{Value, json};

use crate::support::provider::Provider;
use crate::support::world::{Answer, Api};
use crate::support::{Organisation, Postgres, World};

async fn world(providers: &[&Provider], postgres: Option<Postgres>) -> World {
    let sections = providers.iter().map(|provider| provider.section.clone()).collect();
    World::with(postgres, |config| config.identity_providers = sections).await
}

async fn begin(api: &Api<'_>, id: &str) -> Answer {
    api.post(&format!("/api/v1/login/providers/{id}/begin"), &json!({})).await
}

async fn finish(api: &Api<'_>, id: &str, body: &Value) -> Answer {
    api.post(&format!("/api/v1/login/providers/{id}"), body).await
}

async fn sign_in(api: &Api<'_>, provider: &Provider) -> Answer {
    let begun = begin(api, &provider.section.id).await;
    assert_eq!(begun.status, StatusCode::OK, "{}", begun.body);
    let (_, returned) = provider.sign_in(&begun.body["location"]);
    finish(api, &provider.section.id, &returned).await
}

async fn actions(world: &World, organisation: &Organisation, about: &Value) -> Vec<String> {
    let path = format!("/api/v1/history?actor={}", about.as_str().unwrap());
    let listed = organisation.api(world).get(&path).await;
    let entries = listed.body["entries"].as_array().unwrap().iter().rev();
    entries.map(|entry| entry["action"].as_str().unwrap().to_owned()).collect()
}

async fn by_groups(world: &World, organisation: &Organisation) -> Value {
    organisation.api(world).get("/api/v1/roles").await.body["by_groups"].clone()
}

async fn whoever_comes_gets_an_account_and_the_roles_of_their_groups(postgres: Option<Postgres>) {
    let provider = Provider::start("corp").await;
    let world = world(&[&provider], postgres).await;
    let ours = world.found().await;
    let status = world.anyone().get("/api/v1/status").await.body;
    assert_eq!(status["providers"], json!([{ "id": "corp", "name": "CORP" }]));

    let me = sign_in(&world.anyone(), &provider).await;
    assert_eq!((me.status, &me.body["person_name"]), (StatusCode::OK, &json!("Ada")), "{}", me.body);
    assert_eq!(me.body["verified_by"], Value::Null);
    let person = me.body["person"].clone();
    assert_eq!(actions(&world, &ours, &person).await, ["create_person", "set_groups", "sign_in"]);
    let role = json!([{ "role": "operator", "place": "all" }]);
    assert_eq!(by_groups(&world, &ours).await, json!([{ "person": person, "roles": role }]));

    // The same person again, who left the group.
    provider.lie(|lies| drop(lies.claims.insert("groups", json!(["others"]))));
    let again = sign_in(&world.anyone(), &provider).await;
    assert_eq!(again.body["person"], person);
    assert_eq!(by_groups(&world, &ours).await, json!([{ "person": person, "roles": [] }]));
    // Somebody else, who is in it.
    provider.lie(|lies| {
        lies.claims.insert("sub", json!("ben"));
        lies.claims.insert("groups", json!("guards"));
    });
    let ben = sign_in(&world.anyone(), &provider).await.body["person"].clone();
    assert_ne!(ben, person);
    assert!(
        by_groups(&world, &ours).await.as_array().unwrap().contains(&json!({ "person": ben, "roles": role }))
    );
    // Whoever can write to the database gives Ben's groups to Ada, and it does not help.
    let (ada, ben) = (person.as_str().unwrap(), ben.as_str().unwrap());
    world
        .sql(&format!(
            "UPDATE provider_groups SET names = (SELECT names FROM provider_groups WHERE person = '{ben}') \
             WHERE person = '{ada}'"
        ))
        .await;
    world.sql("UPDATE directory_versions SET version = version + 1").await;
    assert!(
        by_groups(&world, &ours).await.as_array().unwrap().contains(&json!({ "person": ada, "roles": [] }))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_and_roles_on_sqlite() {
    whoever_comes_gets_an_account_and_the_roles_of_their_groups(None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_and_roles_on_postgres() {
    whoever_comes_gets_an_account_and_the_roles_of_their_groups(Some(Postgres::start())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_browser_that_began_finishes_and_once() {
    let provider = Provider::start("corp").await;
    let world = world(&[&provider], None).await;
    world.found().await;
    let begun = begin(&world.anyone(), "corp").await;
    let (_, returned) = provider.sign_in(&begun.body["location"]);
    // Sent to somebody as a link, to sign them in as another: their browser has another key.
    let victim = world.with_key(ProofKey::generate());
    assert_eq!(finish(&victim, "corp", &returned).await.code(), "provider_refused");
    // And that has used it up.
    assert_eq!(finish(&world.anyone(), "corp", &returned).await.code(), "provider_refused");
    let begun = begin(&world.anyone(), "corp").await;
    let (_, returned) = provider.sign_in(&begun.body["location"]);
    assert_eq!(finish(&world.anyone(), "corp", &returned).await.status, StatusCode::OK);
    assert_eq!(finish(&world.anyone(), "corp", &returned).await.code(), "provider_refused");
    let mut invented = returned.clone();
    invented["state"] = json!("11".repeat(32));
    assert_eq!(finish(&world.anyone(), "corp", &invented).await.code(), "provider_refused");
    // Where to go is the provider's alone, and where to come back to is ours.
    let location = begin(&world.anyone(), "corp").await.body["location"].as_str().unwrap().to_owned();
    assert!(location.starts_with(&format!("{}/auth?", provider.section.issuer)), "{location}");
    let back = format!("{}sign-in/corp", world.running.public_url);
    assert!(
        url::Url::parse(&location)
            .unwrap()
            .query_pairs()
            .any(|(name, value)| name == "redirect_uri" && value == back)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_of_one_provider_are_no_answers_of_another() {
    let (honest, evil) = (Provider::start("honest").await, Provider::start("evil").await);
    let world = world(&[&honest, &evil], None).await;
    world.found().await;
    let api = world.anyone();
    // Begun at the evil one, which sends the browser to the honest one, whose code comes back to the evil one's address.
    let begun = begin(&api, "evil").await;
    let (_, mut returned) = evil.sign_in(&begun.body["location"]);
    returned["iss"] = json!(honest.section.issuer);
    assert_eq!(finish(&api, "evil", &returned).await.code(), "provider_refused");
    // Or to the honest one's address.
    let begun = begin(&api, "evil").await;
    let (_, returned) = evil.sign_in(&begun.body["location"]);
    assert_eq!(finish(&api, "honest", &returned).await.code(), "provider_refused");
    // Or without saying whose it is.
    let begun = begin(&api, "evil").await;
    let (_, mut returned) = evil.sign_in(&begun.body["location"]);
    returned["iss"] = Value::Null;
    assert_eq!(finish(&api, "evil", &returned).await.code(), "provider_refused");
    // Its people are not the other's, whatever they are called.
    let ada = sign_in(&api, &honest).await.body["person"].clone();
    assert_ne!(sign_in(&api, &evil).await.body["person"], ada);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_others_sign_nobody_in() {
    let provider = Provider::start("corp").await;
    let world = world(&[&provider], None).await;
    world.found().await;
    let api = world.anyone();
    let other = json!("11".repeat(32));
    for (name, value) in [
        ("aud", json!("another-client")),
        ("iss", json!("https://id.example.org")),
        ("nonce", other),
        ("exp", json!(1)),
        ("azp", json!("another-client")),
    ] {
        provider.lie(|lies| drop(lies.claims.insert(name, value)));
        assert_eq!(sign_in(&api, &provider).await.code(), "provider_refused", "{name}");
        provider.lie(|lies| lies.claims.clear());
    }
    // The access token is somebody else's.
    provider.lie(|lies| drop(lies.userinfo.insert("sub", json!("eve"))));
    assert_eq!(sign_in(&api, &provider).await.code(), "provider_refused");
    provider.lie(|lies| lies.userinfo.clear());
    // A code of another sign-in: its verifier is another.
    let begun = begin(&api, "corp").await;
    let (_, returned) = provider.sign_in(&begun.body["location"]);
    provider.lie(|lies| drop(lies.asked.insert("code_challenge".to_owned(), "x".to_owned())));
    assert_eq!(finish(&api, "corp", &returned).await.code(), "provider_refused");
    assert_eq!(sign_in(&api, &provider).await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_another_or_away_signs_nobody_in() {
    let provider = Provider::start("corp").await;
    provider.lie(|lies| drop(lies.document.insert("issuer", json!("https://id.example.org"))));
    let mut away = Provider::start("away").await.section;
    away.issuer = "http://127.0.0.1:1".to_owned();
    let sections = vec![provider.section.clone(), away];
    let world = World::with(None, |config| config.identity_providers = sections).await;
    let ours = world.found().await;
    let api = world.anyone();
    assert_eq!(begin(&api, "corp").await.code(), "provider_refused");
    provider.lie(|lies| {
        lies.document.clear();
        lies.document.insert("token_endpoint", json!("http://id.example.org/token"));
    });
    assert_eq!(begin(&api, "corp").await.code(), "provider_refused");
    assert_eq!(begin(&api, "away").await.code(), "provider_unreachable");
    assert_eq!(begin(&api, "none").await.status, StatusCode::NOT_FOUND);
    // Everybody else comes in as ever.
    assert_eq!(world.device_login(ours.org, &ours.admin).await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_way_of_ones_own_is_made_right_after_signing_in() {
    let provider = Provider::start("corp").await;
    let world = world(&[&provider], None).await;
    world.found().await;
    let me = sign_in(&world.anyone(), &provider).await;
    let cookie = me.cookie().unwrap();
    let api = world.as_person(&cookie);
    let change = |kind: &str| json!({ "change": { "type": kind, "nonce": "22".repeat(32) } });
    assert_eq!(
        api.post("/api/v1/factors", &change("make_recovery_codes")).await.code(),
        "verification_needed"
    );
    assert!(api.post("/api/v1/factors", &change("add_passkey")).await.body["token"].is_string());
    // A provider that merely still knew the browser has verified nobody.
    provider.lie(|lies| drop(lies.claims.insert("auth_time", json!(1))));
    let remembered = sign_in(&world.anyone(), &provider).await.cookie().unwrap();
    let asked = world.as_person(&remembered).post("/api/v1/factors", &change("add_passkey")).await;
    assert_eq!(asked.code(), "verification_needed");
    // Later a session alone is not enough.
    let sql = "UPDATE sessions SET created_at = created_at - 601000 WHERE just_now = 1";
    assert_eq!(world.sql(sql).await, 1);
    assert_eq!(api.post("/api/v1/factors", &change("add_passkey")).await.code(), "verification_needed");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_in_no_named_group_gets_no_account() {
    let provider = Provider::start("corp").await;
    let world = world(&[&provider], None).await;
    let ours = world.found().await;
    provider.lie(|lies| drop(lies.claims.insert("groups", json!(["others"]))));
    assert_eq!(sign_in(&world.anyone(), &provider).await.code(), "not_provisioned");
    let people = ours.api(&world).get("/api/v1/people").await.body["people"].clone();
    assert_eq!(people.as_array().unwrap().len(), 1, "{people}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_factors_are_what_the_provider_calls_so() {
    let mut provider = Provider::start("corp").await;
    provider.section.second_factor_acr = vec!["gold".to_owned()];
    let world = world(&[&provider], None).await;
    world.found().await;
    let factors = async || world.sql("UPDATE sessions SET client = client WHERE second_factor = 1").await;
    sign_in(&world.anyone(), &provider).await;
    assert_eq!(factors().await, 0);
    for (name, value) in [("amr", json!(["pwd", "mfa"])), ("acr", json!("gold"))] {
        provider.lie(|lies| drop(lies.claims.insert(name, value)));
        sign_in(&world.anyone(), &provider).await;
        provider.lie(|lies| lies.claims.clear());
    }
    assert_eq!(factors().await, 2);
}
