//! Forgetting a person, and what stays of them.

use model::{EventId, Hash, WallId};
use reqwest::StatusCode;
use seal::action::{Action, SignedAction};
use seal::roster::{Scope, Statement};
use serde_json::{Value, json};

use crate::scim::directory;
use crate::support::world::{Answer, Person};
use crate::support::{Organisation, World, fresh, fresh_id, now, on_both_databases};

on_both_databases!(somebody_is_forgotten_and_the_log_is_as_it_was,);

async fn erase(
    organisation: &Organisation,
    world: &World,
    person: &Person,
    by: &Person,
    head: Hash,
) -> Answer {
    let signed = SignedAction {
        org: organisation.org,
        nonce: Hash(fresh()),
        expires_at: now().plus_ms(model::Timestamp::MINUTE),
        previous_state: head,
        action: Action::ErasePerson { person: person.id },
    };
    let envelope = signed.sign(by.device, &by.keys.sign);
    world.as_person(&by.cookie).post("/api/v1/erasures", &json!({ "envelope": envelope })).await
}

async fn entries(organisation: &Organisation, world: &World) -> Vec<Value> {
    let listed = organisation.api(world).get("/api/v1/history?limit=100").await.body["entries"].clone();
    listed.as_array().unwrap().iter().rev().cloned().collect()
}

async fn somebody_is_forgotten_and_the_log_is_as_it_was(world: World) {
    let mut ours = world.found().await;
    let directory = directory(&world, &ours).await;
    let id = directory.person("ada@example.org", "ada").await;
    let ada = ours.let_in(&world, id.parse().unwrap(), None).await;
    let reason = json!({ "reason": "Mrs Grey lost her purse" });
    assert_eq!(
        world.as_person(&ada.cookie).post("/api/v1/reasons", &reason).await.status,
        StatusCode::NO_CONTENT
    );

    for (name, shared) in [("Her own", false), ("The shop", true)] {
        let path = format!("/api/v1/walls/{}", WallId::from_random(fresh_id()));
        let wall = json!({ "name": name, "shared": shared, "columns": 1, "tiles": [], "revision": 0 });
        assert_eq!(world.as_person(&ada.cookie).put(&path, &wall).await.status, StatusCode::OK);
    }

    let seen = json!({ "events": [{ "id": EventId::from_random(fresh_id()), "at": 1 }], "reviewed": true });
    let marked = world.as_person(&ada.cookie).post("/api/v1/events/reviewed", &seen).await;
    assert_eq!(marked.status, StatusCode::NO_CONTENT);

    let head = |ours: &Organisation| ours.roster.head().1;
    let admin = &ours.admin;
    assert_eq!(erase(&ours, &world, &ada, admin, head(&ours)).await.code(), "still_in_roster");
    assert_eq!(erase(&ours, &world, &ada, &ada, head(&ours)).await.code(), "not_an_administrator");
    ours.append(&world, Statement::RevokeDevice { device: ada.device }).await;
    assert_eq!(erase(&ours, &world, &ada, &ours.admin, Hash([7; 32])).await.code(), "state_moved");
    let ben = ours.add_person(&world, Some(Scope::All)).await;
    let stranger = world.found_another().await;
    let elsewhere = erase(&stranger, &world, &ada, &stranger.admin, head(&stranger)).await;
    assert_eq!(elsewhere.code(), "invalid");

    let before = entries(&ours, &world).await;
    assert!(before.iter().any(|entry| entry["actor"] == json!(id)));
    let done = erase(&ours, &world, &ada, &ours.admin, head(&ours)).await;
    assert_eq!(done.status, StatusCode::NO_CONTENT, "{}", done.body);

    // The log is as it was, and nothing in the answer leads back to Ada.
    let after = entries(&ours, &world).await;
    for (before, after) in before.iter().zip(&after) {
        assert_eq!((&before["leaf"], &before["hash"]), (&after["leaf"], &after["hash"]));
    }
    assert!(!json!(after).to_string().contains(&id), "{after:?}");
    let erased = after.iter().find(|entry| entry["action"] == "erase_person").unwrap();
    let leaf: Value = serde_json::from_str(erased["leaf"].as_str().unwrap()).unwrap();
    assert_eq!(leaf["resources"][0]["uid"], erased["resource"]);
    assert!(erased["resource"].as_str().unwrap().starts_with("ref_"));
    // Others are named as before.
    assert!(after.iter().any(|entry| entry["actor"] == json!(ben.id)));

    for sql in [
        "UPDATE people SET name = name WHERE name = 'Ada Lovelace'".to_owned(),
        format!("UPDATE person_salts SET salt = salt WHERE person = '{id}'"),
        format!("UPDATE reasons SET reason = reason WHERE person = '{id}'"),
        format!("UPDATE sessions SET client = client WHERE person = '{id}'"),
        "UPDATE directory_people SET user_name = user_name".to_owned(),
        "UPDATE reviewed_events SET at = at".to_owned(),
    ] {
        assert_eq!(world.sql(&sql).await, 0, "{sql}");
    }
    let listed = ours.api(&world).get("/api/v1/people").await.body;
    assert!(!listed.to_string().contains(&id), "{listed}");
    assert_eq!(directory.get(&format!("Users/{id}")).await.status, StatusCode::NOT_FOUND);
    // What was shared is still there, and an administrator's to change.
    let walls = ours.api(&world).get("/api/v1/walls").await.body["walls"].clone();
    assert_eq!(world.sql("UPDATE walls SET name = name").await, 1);
    assert_eq!(
        (&walls[0]["name"], &walls[0]["person"], &walls[0]["changeable"]),
        (&json!("The shop"), &Value::Null, &json!(true))
    );
    // The id stays taken.
    let invite = json!({ "person": id, "person_name": "Eve" });
    assert_eq!(ours.api(&world).post("/api/v1/invitations", &invite).await.code(), "invalid");
}
