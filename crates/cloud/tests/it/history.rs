//! The history as a transparency log, and what somebody with the database, or
//! with the store, can make of it.

use std::time::Duration;

use model::{Hash, PersonId};
use reqwest::{Method, StatusCode};
use seal::roster::{Scope, Statement};
use seal::tlog::{self, Bundle, Checkpoint, Edge, LogKey, Tile};
use serde_json::{Value, json};

use crate::scim::directory;
use crate::support::gateway::Gateway;
use crate::support::world::{Answer, Api, Organisation};
use crate::support::{World, fresh_id, on_both_databases};

on_both_databases!(
    the_log_holds_every_entry_and_proves_it,
    entries_of_a_crowd_are_one_chain,
    a_rewritten_entry_differs_from_the_log,
    a_removed_entry_stops_the_log,
    a_database_from_yesterday_stops_the_log,
    a_changed_tile_stops_the_log,
    what_filters_find_is_what_was_asked_for,
    refusals_are_counted_and_fill_no_disk,
    an_answer_and_what_it_caused_carry_one_request_id,
);

/// Written together, each once, and each before its own answer.
async fn entries_of_a_crowd_are_one_chain(world: World) {
    let organisation = world.found().await;
    let api = organisation.api(&world);
    let tell = async |n: usize| {
        let reason = json!({ "reason": format!("reason {n}") });
        assert_eq!(api.post("/api/v1/reasons", &reason).await.status, StatusCode::NO_CONTENT);
    };
    futures_util::future::join_all((0..40).map(tell)).await;
    let page = api.get("/api/v1/history").await.body["entries"].clone();
    let entries: Vec<&Value> = page.as_array().unwrap().iter().rev().collect();
    assert_eq!(entries.iter().filter(|entry| entry["action"] == "state_reason").count(), 40);
    let mut previous = Hash::default();
    for (seq, entry) in entries.into_iter().enumerate() {
        let hash = cloud_core::chain_hash(previous, entry["leaf"].as_str().unwrap());
        assert_eq!((&entry["seq"], &entry["hash"]), (&json!(seq), &json!(hash)));
        previous = hash;
    }
}

async fn act(world: &World, organisation: &mut Organisation, times: usize) {
    for _ in 0..times {
        let person = PersonId::from_random(fresh_id());
        organisation
            .append(world, Statement::SetAccess { person, scope: Scope::All, audio: true, until: None })
            .await;
    }
}

/// The head, once it has so many entries or stands still.
async fn head(api: &Api<'_>, size: u64) -> Value {
    for _ in 0..200 {
        let head = api.get("/api/v1/history/checkpoint").await.body;
        if head["size"].as_u64().unwrap() >= size || !head["fault"].is_null() {
            return head;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the log did not grow to {size}");
}

async fn fault(api: &Api<'_>) -> String {
    let head = head(api, u64::MAX).await;
    head["fault"].as_str().unwrap().to_owned()
}

fn key(head: &Value) -> LogKey {
    LogKey::parse(head["key"].as_str().unwrap()).unwrap()
}

async fn tile(api: &Api<'_>, tile: Tile) -> Vec<u8> {
    let response =
        api.request(Method::GET, &format!("/api/v1/history/{}", tile.path())).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK, "{}", tile.path());
    response.bytes().await.unwrap().to_vec()
}

fn hashes(value: &Value) -> Vec<Hash> {
    serde_json::from_value(value.clone()).unwrap()
}

async fn the_log_holds_every_entry_and_proves_it(world: World) {
    let mut organisation = world.found().await;
    act(&world, &mut organisation, 3).await;
    let api = organisation.api(&world);
    let first = head(&api, 4).await;
    let (log, note) = (key(&first), first["note"].as_str().unwrap());
    let old = Checkpoint::verify(note, &log).unwrap();

    act(&world, &mut organisation, 300).await;
    let api = organisation.api(&world);
    let newest = head(&api, old.size + 300).await;
    assert_eq!(key(&newest), log, "one key");
    let new = Checkpoint::verify(newest["note"].as_str().unwrap(), &log).unwrap();

    let mut edge = Edge::default();
    for index in 0..=new.size / 256 {
        let width = (new.size - index * 256).min(256) as u16;
        let bytes = tile(&api, Tile { level: None, index, width }).await;
        for entry in Bundle::entries(&bytes, width).unwrap() {
            edge.push(entry);
            if edge.size() == old.size {
                assert_eq!(edge.root(), old.root);
            }
        }
    }
    assert_eq!(edge.root(), new.root);

    let path = format!("/api/v1/history/consistency?old={}", old.size);
    let consistent = api.get(&path).await.body;
    assert!(tlog::verify_consistency(
        (old.size, old.root),
        (new.size, new.root),
        &hashes(&consistent["proof"])
    ));
    for seq in [0, 255, 256, new.size - 1] {
        let proven = api.get(&format!("/api/v1/history/{seq}/proof")).await.body;
        let leaf = tlog::leaf_hash(proven["leaf"].as_str().unwrap().as_bytes());
        let proof = hashes(&proven["proof"]);
        assert!(tlog::verify_inclusion(leaf, seq, new.size, &proof, new.root), "{seq}");
    }
    assert_eq!(
        api.get(&format!("/api/v1/history/{}/proof", new.size + 50)).await.status,
        StatusCode::NOT_FOUND
    );
    for path in
        ["/api/v1/history/tile/0/../../x", "/api/v1/history/tile/9/000", "/api/v1/history/tile/0/000.p/0"]
    {
        assert_eq!(api.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
}

/// The log in the store is what was, whatever the database says later.
async fn a_rewritten_entry_differs_from_the_log(world: World) {
    let mut organisation = world.found().await;
    act(&world, &mut organisation, 2).await;
    let api = organisation.api(&world);
    let before = head(&api, 3).await["size"].as_u64().unwrap();
    assert_eq!(
        world.sql("UPDATE history SET leaf = REPLACE(leaf, 'append_roster', 'live') WHERE seq = 1").await,
        1
    );
    act(&world, &mut organisation, 1).await;
    let api = organisation.api(&world);
    let size = head(&api, before + 1).await["size"].as_u64().unwrap();
    let bytes = tile(&api, Tile { level: None, index: 0, width: size as u16 }).await;
    let entries = Bundle::entries(&bytes, size as u16).unwrap();
    let rows = api.get("/api/v1/history?before=2&limit=1").await.body;
    assert_ne!(rows["entries"][0]["leaf"].as_str().unwrap().as_bytes(), entries[1], "the change shows");
}

async fn a_removed_entry_stops_the_log(world: World) {
    let mut organisation = world.found().await;
    act(&world, &mut organisation, 1).await;
    let api = organisation.api(&world);
    let size = head(&api, 2).await["size"].as_u64().unwrap();
    // Between the commit of an entry and its publication.
    world.sql("UPDATE history_logs SET lease_node = 'another', lease_until = 9000000000000").await;
    act(&world, &mut organisation, 2).await;
    assert_eq!(world.sql(&format!("DELETE FROM history WHERE seq = {size}")).await, 1);
    world.sql("UPDATE history_logs SET lease_until = 0").await;
    let fault = fault(&organisation.api(&world)).await;
    assert!(fault.contains("is missing from the database"), "{fault}");
}

/// Somebody restores an old database, or takes the last days out of it.
async fn a_database_from_yesterday_stops_the_log(world: World) {
    let mut organisation = world.found().await;
    act(&world, &mut organisation, 4).await;
    let api = organisation.api(&world);
    let size = head(&api, 5).await["size"].as_u64().unwrap();
    let yesterday = size - 2;
    world.sql(&format!("DELETE FROM history WHERE seq >= {yesterday}")).await;
    world.sql(&format!("UPDATE organisations SET history_next = {yesterday}")).await;
    world.sql("UPDATE history_logs SET size = 0, note = ''").await;
    act(&world, &mut organisation, 2).await;
    let fault = fault(&organisation.api(&world)).await;
    assert!(fault.contains("not those of the published checkpoint"), "{fault}");
}

async fn a_changed_tile_stops_the_log(world: World) {
    let mut organisation = world.found().await;
    act(&world, &mut organisation, 3).await;
    let api = organisation.api(&world);
    head(&api, 4).await;
    let log = world.config.data.join("store/history").join(organisation.org.to_string());
    // Each size that was published has its own.
    for tile in std::fs::read_dir(log.join("tile/0/000.p")).unwrap() {
        let path = tile.unwrap().path();
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[0] ^= 1;
        std::fs::write(&path, bytes).unwrap();
    }
    // As after a restart: what the process knew of the log's edge is gone.
    let world = world.restarted().await;
    act(&world, &mut organisation, 1).await;
    let said = fault(&organisation.api(&world)).await;
    assert!(said.contains("not those of the checkpoint"), "{said}");
    // Another start tries again, and finds the same.
    let world = world.restarted().await;
    assert_eq!(fault(&organisation.api(&world)).await, said);
}

async fn what_filters_find_is_what_was_asked_for(world: World) {
    let mut organisation = world.found().await;
    act(&world, &mut organisation, 2).await;
    let ben = organisation.add_person(&world, Some(Scope::All)).await;
    world.as_person(&ben.cookie).get("/api/v1/history").await;
    let api = organisation.api(&world);
    let found = async |query: String| {
        let page = api.get(&format!("/api/v1/history?{query}")).await;
        page.body["entries"].as_array().unwrap_or_else(|| panic!("{query}: {}", page.body)).len()
    };
    assert_eq!(found("action=append_roster".to_owned()).await, 4);
    assert_eq!(found(format!("actor={}", organisation.admin.id)).await, 6, "signing in, and this reading");
    assert_eq!(found(format!("actor={}", ben.id)).await, 1, "he signed in, and was refused");
    assert_eq!(found("action=live".to_owned()).await, 0);
    assert_eq!(found("from=1&to=2".to_owned()).await, 0);
    let head = organisation.roster.head().1;
    assert_eq!(found(format!("about={}", &head.to_string()[..20])).await, 1);
    assert_eq!(found("about=%25' OR 1=1 --".replace(' ', "%20")).await, 0);
}

/// As with a full disk: nothing can be added to the history.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_history_nothing_widens_and_everything_narrows() {
    let world = World::on_sqlite().await;
    let mut organisation = world.found().await;
    let ben = organisation.add_person(&world, Some(Scope::All)).await;
    let cem = organisation.add_person(&world, Some(Scope::All)).await;
    let directory = directory(&world, &organisation).await;
    let dan = directory.person("dan", "dan").await;
    let dans = organisation.let_in(&world, dan.parse().unwrap(), None).await;
    let members = serde_json::json!({ "displayName": "guards", "members": [{ "value": dan }] });
    let group = directory.post("Groups", members).await.body["id"].as_str().unwrap().to_owned();
    world
        .sql("CREATE TRIGGER full BEFORE INSERT ON history BEGIN SELECT RAISE(ABORT, 'disk full'); END")
        .await;
    let api = organisation.api(&world);
    let person = PersonId::from_random(fresh_id());
    let widens = Statement::SetAccess { person, scope: Scope::All, audio: true, until: None };
    let envelope = organisation.sign(widens, &organisation.admin);
    let refused = api.post("/api/v1/roster", &serde_json::json!({ "envelope": envelope })).await;
    assert_eq!((refused.status, refused.code()), (StatusCode::SERVICE_UNAVAILABLE, "history_unavailable"));

    let revoke = organisation.sign(Statement::RevokeDevice { device: ben.device }, &organisation.admin);
    let done = api.post("/api/v1/roster", &serde_json::json!({ "envelope": revoke })).await;
    assert_eq!(done.status, StatusCode::OK, "{}", done.body);
    assert_eq!(world.as_person(&ben.cookie).get("/api/v1/me").await.code(), "signed_out");
    let journal = world.config.data.join("history-journal.jsonl");
    let statement = seal::roster::statement_hash(&revoke).unwrap().to_string();
    assert!(std::fs::read_to_string(&journal).unwrap().contains(&statement));

    // Whoever has to shut somebody out can come, and everything that does so acts.
    let admin = world.device_login(organisation.org, &organisation.admin).await.cookie().unwrap();
    let ended = world.as_person(&admin).delete(&format!("/api/v1/people/{}/sessions", cem.id)).await;
    assert_eq!(ended.status, StatusCode::NO_CONTENT, "{}", ended.body);
    assert_eq!(world.as_person(&cem.cookie).get("/api/v1/me").await.code(), "signed_out");
    let leave = serde_json::json!([{ "op": "remove", "path": "members" }]);
    let left = directory.patch(&format!("Groups/{group}"), leave).await;
    assert_eq!((left.status, &left.body["members"]), (StatusCode::OK, &serde_json::json!([])));
    let join = serde_json::json!([{ "op": "add", "path": "members", "value": [{ "value": dan }] }]);
    let joined = directory.patch(&format!("Groups/{group}"), join).await;
    assert_eq!(joined.status, StatusCode::SERVICE_UNAVAILABLE, "{}", joined.body);
    let off = serde_json::json!([{ "op": "replace", "path": "active", "value": false }]);
    assert_eq!(directory.patch(&format!("Users/{dan}"), off).await.status, StatusCode::OK);
    assert_eq!(world.as_person(&dans.cookie).get("/api/v1/me").await.code(), "signed_out");
    let gone = directory.send(reqwest::Method::DELETE, &format!("Users/{dan}"), None).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    let written = std::fs::read_to_string(&journal).unwrap();
    for action in ["sign_in", "end_sessions", "set_members", "disable_person", "remove_person"] {
        assert!(written.contains(&format!("\"{action}\"")), "{action}");
    }
    let token = directory.service.token.clone();
    drop(directory);
    assert!(!written.contains(&token));

    // It outlives the process, and is merged when the history can be written.
    let world = world.restarted().await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert!(journal.exists());
    world.sql("DROP TRIGGER full").await;
    for _ in 0..100 {
        if !journal.exists() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let found = organisation.api(&world).get(&format!("/api/v1/history?about={statement}")).await;
    assert_eq!(found.body["entries"][0]["action"], "append_roster", "{}", found.body);
}

async fn refusals_are_counted_and_fill_no_disk(world: World) {
    let mut organisation = world.found().await;
    let ben = organisation.add_person(&world, None).await;
    let camera = model::CameraId::from_random(fresh_id());
    let before = history_size(&organisation.api(&world)).await;
    for _ in 0..60 {
        assert_eq!(world.anyone().get("/api/v1/me").await.status, StatusCode::UNAUTHORIZED);
        let api = world.as_person(&ben.cookie);
        assert_eq!(api.get("/api/v1/history").await.status, StatusCode::FORBIDDEN);
        let live = format!("/api/v1/cameras/{camera}/recordings");
        assert_eq!(api.get(&live).await.status, StatusCode::NOT_FOUND);
    }
    // They are written down from time to time, and at the end.
    let world = world.restarted().await;
    let api = organisation.api(&world);
    let refused = api.get("/api/v1/history?action=refused").await.body["entries"].clone();
    let found = |actor: &str, resource: &str| {
        let mut entries = refused.as_array().unwrap().iter();
        entries.find(|entry| entry["actor"] == actor && entry["resource"] == resource).unwrap().clone()
    };
    let ben = ben.id.to_string();
    assert_eq!(found("anonymous", "GET /api/v1/me signed_out")["refused"], 60);
    assert_eq!(found(&ben, "GET /api/v1/history not_an_administrator")["refused"], 60);
    let entry = found(&ben, "GET /api/v1/cameras/{id}/recordings camera");
    assert_eq!(entry["refused"], 60);
    let leaf: Value = serde_json::from_str(entry["leaf"].as_str().unwrap()).unwrap();
    assert_eq!((&leaf["status_id"], &leaf["unmapped"]["refused"]), (&2.into(), &60.into()));
    assert!(!entry["leaf"].as_str().unwrap().contains(&ben), "people stand in leaves by reference");
    assert!(history_size(&api).await < before + 10);
}

async fn history_size(api: &Api<'_>) -> u64 {
    api.get("/api/v1/history?limit=1").await.body["entries"][0]["seq"].as_u64().unwrap()
}

async fn an_answer_and_what_it_caused_carry_one_request_id(world: World) {
    let mut organisation = world.found().await;
    let gateway = Gateway::enrolled(&world, &mut organisation).await;
    let camera = organisation.bind_camera(&world, gateway.id).await;
    let api = organisation.api(&world);
    let id = |answer: &Answer| answer.headers["x-request-id"].to_str().unwrap().to_owned();

    // Brought along, it counts for nothing.
    let sent = api.request(Method::POST, "/api/v1/reasons").header("x-lenskeep", "1");
    let sent = sent.header("x-request-id", "req_mine");
    let stated = Answer::of(sent.json(&json!({ "reason": "a parcel" })).send().await.unwrap()).await;
    assert_eq!(stated.status, StatusCode::NO_CONTENT);
    let found = api.get(&format!("/api/v1/history?request={}", id(&stated))).await.body;
    assert_eq!(found["entries"].as_array().unwrap().len(), 1, "{found}");
    let entry = &found["entries"][0];
    assert_eq!((&entry["action"], &entry["request"]), (&json!("state_reason"), &json!(id(&stated))));
    let leaf: Value = serde_json::from_str(entry["leaf"].as_str().unwrap()).unwrap();
    assert_eq!((&leaf["unmapped"]["request"], &entry["posture"]), (&entry["request"], &Value::Null));

    // A condition that reads posture says what it was told.
    let live = api.post(&format!("/api/v1/cameras/{camera}/live"), &json!({ "rendition": "main" })).await;
    let about = format!("/api/v1/history?action=live&request={}", id(&live));
    let posture = seal::sha256(format!(r#"{{"{camera}":"unknown"}}"#).as_bytes());
    assert_eq!(api.get(&about).await.body["entries"][0]["posture"], json!(posture), "{}", live.body);

    for refused in [
        world.anyone().get("/api/v1/me").await,
        api.get("/api/v1/history?before=x").await,
        api.post("/api/v1/reasons", &json!({})).await,
    ] {
        assert_eq!(refused.body["error"]["request"], json!(id(&refused)), "{}", refused.body);
    }
    let (one, other) = (api.get("/api/v1/me").await, api.get("/api/v1/me").await);
    assert_ne!(id(&one), id(&other));
}
