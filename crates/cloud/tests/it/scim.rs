//! A directory that provisions people, as Microsoft Entra ID and Okta write
//! their requests (RFC 7644).

use reqwest::{Method, StatusCode};
use seal::roster::Scope;
use serde_json::{Value, json};

use crate::live::until;
use crate::support::provider::Provider;
use crate::support::services::Service;
use crate::support::world::Answer;
use crate::support::{Gateway, Organisation, Postgres, World};

const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

pub(crate) struct Directory<'w> {
    world: &'w World,
    pub(crate) service: Service,
}

impl Directory<'_> {
    /// As such programs do: with a token, and without anything of ours.
    pub(crate) async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let path = format!("/scim/v2/{path}");
        let mut request = self.world.anyone().without_proof(method, &path).bearer_auth(&self.service.token);
        if let Some(body) = body {
            request = request.header("content-type", "application/scim+json").body(body.to_string());
        }
        Answer::of(request.send().await.unwrap()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, Some(body)).await
    }

    pub(crate) async fn patch(&self, path: &str, operations: Value) -> Answer {
        self.send(Method::PATCH, path, Some(json!({ "schemas": [PATCH], "Operations": operations }))).await
    }

    pub(crate) async fn person(&self, user_name: &str, external_id: &str) -> String {
        let body = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
            "userName": user_name, "externalId": external_id, "active": true,
            "name": { "givenName": "Ada", "familyName": "Lovelace" },
            "emails": [{ "primary": true, "value": "ada@example.org", "type": "work" }],
        });
        let made = self.post("Users", body).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
        made.body["id"].as_str().unwrap().to_owned()
    }
}

async fn world(provider: &Provider, postgres: Option<Postgres>) -> World {
    let mut section = provider.section.clone();
    section.create_people = false;
    let roles = section.roles.clone();
    World::with(postgres, |config| {
        config.identity_providers = vec![section];
        config.scim.provider = Some("corp".to_owned());
        config.scim.roles = roles;
    })
    .await
}

pub(crate) async fn directory<'w>(world: &'w World, ours: &Organisation) -> Directory<'w> {
    Directory { world, service: ours.service(world, &["provision_people"], Scope::All).await }
}

async fn sign_in(world: &World, provider: &Provider) -> Answer {
    let begun = world.anyone().post("/api/v1/login/providers/corp/begin", &json!({})).await;
    let (_, returned) = provider.sign_in(&begun.body["location"]);
    world.anyone().post("/api/v1/login/providers/corp", &returned).await
}

async fn people_come_and_go_as_the_directory_says(postgres: Option<Postgres>) {
    let provider = Provider::start("corp").await;
    let world = world(&provider, postgres).await;
    let ours = world.found().await;
    let directory = directory(&world, &ours).await;
    assert_eq!(sign_in(&world, &provider).await.code(), "not_provisioned");

    let found = async |filter: &str| {
        let filter = url::form_urlencoded::byte_serialize(filter.as_bytes()).collect::<String>();
        directory.get(&format!("Users?filter={filter}")).await.body["totalResults"].clone()
    };
    assert_eq!(found("userName eq \"Ada@example.org\"").await, json!(0));
    let id = directory.person("ada@example.org", "ada").await;
    assert_eq!(found("userName eq \"Ada@Example.org\"").await, json!(1));
    assert_eq!(found("externalId eq \"ada\"").await, json!(1));
    let again = json!({ "userName": "ADA@example.org" });
    let taken = directory.post("Users", again).await;
    assert_eq!((taken.status, &taken.body["scimType"]), (StatusCode::CONFLICT, &json!("uniqueness")));
    let read = directory.get(&format!("Users/{id}")).await.body;
    assert_eq!((&read["displayName"], &read["active"]), (&json!("Ada Lovelace"), &json!(true)));
    assert!(read["meta"]["location"].as_str().unwrap().ends_with(&format!("/scim/v2/Users/{id}")), "{read}");

    // The same person, by what the provider and the directory both call them.
    let me = sign_in(&world, &provider).await;
    assert_eq!((me.status, &me.body["person"]), (StatusCode::OK, &json!(id)), "{}", me.body);
    let roles = async || ours.api(&world).get("/api/v1/roles").await.body["by_groups"].clone();
    let operator = json!([{ "person": id, "roles": [{ "role": "operator", "place": "all" }] }]);

    // A group gives a role, and takes it away again.
    let made = directory.post("Groups", json!({ "displayName": "guards" })).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    let group = format!("Groups/{}", made.body["id"].as_str().unwrap());
    let add = json!([{ "op": "Add", "path": "members", "value": [{ "value": id }] }]);
    assert_eq!(directory.patch(&group, add.clone()).await.body["members"][0]["value"], json!(id));
    // (Beside it stands the empty set of what the provider said.)
    let has = async |wanted: &Value| {
        let listed = roles().await;
        let listed: Vec<&Value> =
            listed.as_array().unwrap().iter().filter(|of| of["roles"] != json!([])).collect();
        json!(listed) == *wanted
    };
    assert!(has(&operator).await, "{}", roles().await);
    let remove = json!([{ "op": "Remove", "path": format!("members[value eq \"{id}\"]") }]);
    directory.patch(&group, remove).await;
    provider.lie(|lies| drop(lies.claims.insert("groups", json!([]))));
    let cookie = sign_in(&world, &provider).await.cookie().unwrap();
    assert!(has(&json!([])).await, "{}", roles().await);
    directory.patch(&group, add).await;
    assert!(has(&operator).await, "{}", roles().await);
    // Whoever can write to the database alone names another group so, or puts somebody in.
    world.sql("UPDATE directory_groups SET external_id = 'x'").await;
    world.sql("UPDATE directory_versions SET version = version + 1").await;
    assert!(has(&json!([])).await, "{}", roles().await);
    let renamed = directory
        .patch(
            &group,
            json!([{ "op": "replace", "value": { "displayName": "porters", "externalId": "guards" } }]),
        )
        .await;
    assert_eq!(renamed.status, StatusCode::OK, "{}", renamed.body);
    assert!(has(&operator).await, "by externalId: {}", roles().await);
    world.sql("UPDATE directory_members SET mark = (SELECT mark FROM directory_groups)").await;
    world.sql("UPDATE directory_versions SET version = version + 1").await;
    assert!(has(&json!([])).await, "{}", roles().await);

    // Shut out: at once, and by every way.
    assert_eq!(world.as_person(&cookie).get("/api/v1/me").await.status, StatusCode::OK);
    let off = directory
        .patch(&format!("Users/{id}"), json!([{ "op": "Replace", "path": "active", "value": "False" }]))
        .await;
    assert_eq!(off.body["active"], json!(false), "{}", off.body);
    assert_eq!(world.as_person(&cookie).get("/api/v1/me").await.code(), "signed_out");
    assert_eq!(sign_in(&world, &provider).await.code(), "login_refused");
    let listed = ours.api(&world).get("/api/v1/people").await.body["people"].clone();
    let listed = listed.as_array().unwrap().iter().find(|of| of["person"] == json!(id)).unwrap().clone();
    assert!(listed["name"] == json!("Ada Lovelace") && listed["disabled_at"].is_u64(), "{listed}");
    let on = directory
        .patch(&format!("Users/{id}"), json!([{ "op": "replace", "value": { "active": true } }]))
        .await;
    assert_eq!(on.body["active"], json!(true), "{}", on.body);
    assert_eq!(sign_in(&world, &provider).await.status, StatusCode::OK);

    // Gone; whoever gets the name later is somebody else.
    let gone = directory.send(Method::DELETE, &format!("Users/{id}"), None).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    assert_eq!(directory.get(&format!("Users/{id}")).await.status, StatusCode::NOT_FOUND);
    assert_eq!(sign_in(&world, &provider).await.code(), "not_provisioned");
    let next = directory.person("ada@example.org", "ada").await;
    assert_ne!(next, id);
    assert_eq!(sign_in(&world, &provider).await.body["person"], json!(next));

    let history = format!("/api/v1/history?actor={}&limit=100", directory.service.id);
    let entries = ours.api(&world).get(&history).await.body["entries"].clone();
    let mut actions: Vec<&str> =
        entries.as_array().unwrap().iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    actions.sort_unstable();
    actions.dedup();
    let all = [
        "create_group",
        "create_person",
        "describe_group",
        "disable_person",
        "enable_person",
        "remove_person",
        "set_members",
    ];
    assert_eq!(actions, all);
}

#[tokio::test(flavor = "multi_thread")]
async fn people_come_and_go_on_sqlite() {
    people_come_and_go_as_the_directory_says(None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn people_come_and_go_on_postgres() {
    people_come_and_go_as_the_directory_says(Some(Postgres::start())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_shut_out_is_cut_off_with_all_devices() {
    let provider = Provider::start("corp").await;
    let world = world(&provider, None).await;
    let mut ours = world.found().await;
    let directory = directory(&world, &ours).await;
    let id = directory.person("ada@example.org", "ada").await;
    let ada = ours.let_in(&world, id.parse().unwrap(), None).await;
    directory
        .patch(&format!("Users/{id}"), json!([{ "op": "replace", "path": "active", "value": false }]))
        .await;
    until(async || world.as_person(&ada.cookie).get("/api/v1/me").await.code() == "signed_out").await;
    assert_eq!(world.device_login(ours.org, &ada).await.code(), "login_refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_says_its_groups_anew_after_the_servers_key_was_lost() {
    let provider = Provider::start("corp").await;
    let world = world(&provider, None).await;
    let ours = world.found().await;
    let directory = directory(&world, &ours).await;
    let id = directory.person("ada", "ada").await;
    let body = json!({ "displayName": "guards", "members": [{ "value": id }] });
    let made = directory.post("Groups", body.clone()).await;
    let path = format!("Groups/{}", made.body["id"].as_str().unwrap());
    let roles = async || ours.api(&world).get("/api/v1/roles").await.body["by_groups"][0]["roles"].clone();
    assert_ne!(roles().await, json!([]));
    for table in ["directory_groups", "directory_members"] {
        world.sql(&format!("UPDATE {table} SET mark = '{}'", "0".repeat(64))).await;
    }
    world.sql("UPDATE directory_versions SET version = version + 1").await;
    assert_eq!(roles().await, json!([]));
    assert_eq!(directory.send(Method::PUT, &path, Some(body)).await.status, StatusCode::OK);
    assert_ne!(roles().await, json!([]));
}

/// Programs and providers that try to be somebody whom the directory made.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_signs_in_as_a_person_of_the_directory() {
    let (provider, partner) = (Provider::start("corp").await, Provider::start("partner").await);
    let mut corp = provider.section.clone();
    corp.roles = Default::default();
    let sections = vec![corp, partner.section.clone()];
    let world = World::with(None, |config| {
        config.identity_providers = sections;
        config.scim.provider = Some("corp".to_owned());
    })
    .await;
    let ours = world.found().await;
    let directory = directory(&world, &ours).await;
    let ada = directory.person("ada@example.org", "ada").await;
    // Another provider calls its own somebody the same.
    let begun = world.anyone().post("/api/v1/login/providers/partner/begin", &json!({})).await;
    let (_, returned) = partner.sign_in(&begun.body["location"]);
    let stranger = world.anyone().post("/api/v1/login/providers/partner", &returned).await;
    assert_eq!(stranger.status, StatusCode::OK, "{}", stranger.body);
    assert_ne!(stranger.body["person"], json!(ada));
    assert_eq!(sign_in(&world, &provider).await.body["person"], json!(ada));
    // A stolen token makes Ada's externalId that of Eve, who has an account there.
    let of_eve = json!([{ "op": "replace", "path": "externalId", "value": "eve" }]);
    assert_eq!(directory.patch(&format!("Users/{ada}"), of_eve).await.status, StatusCode::OK);
    provider.lie(|lies| drop(lies.claims.insert("sub", json!("eve"))));
    assert_eq!(sign_in(&world, &provider).await.code(), "login_refused");
    provider.lie(|lies| lies.claims.clear());
    assert_eq!(sign_in(&world, &provider).await.body["person"], json!(ada), "she is who she was");
    // Accounts are made for whoever comes; not for whoever was deleted.
    directory.send(Method::DELETE, &format!("Users/{ada}"), None).await;
    assert_eq!(sign_in(&world, &provider).await.code(), "login_refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_was_opened_while_its_owner_was_shut_out_is_none() {
    let provider = Provider::start("corp").await;
    let world = world(&provider, None).await;
    let ours = world.found().await;
    let directory = directory(&world, &ours).await;
    let id = directory.person("ada@example.org", "ada").await;
    let cookie = sign_in(&world, &provider).await.cookie().unwrap();
    assert_eq!(world.as_person(&cookie).get("/api/v1/me").await.status, StatusCode::OK);
    // The row of the session came a moment after the others were removed.
    world.sql(&format!("UPDATE people SET disabled_at = 1 WHERE person = '{id}'")).await;
    assert_eq!(world.as_person(&cookie).get("/api/v1/me").await.code(), "signed_out");
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_a_group_at_the_same_time_do_not_undo_each_other() {
    let provider = Provider::start("corp").await;
    let world = world(&provider, None).await;
    let ours = world.found().await;
    let directory = directory(&world, &ours).await;
    let (ada, ben) = (directory.person("ada", "ada").await, directory.person("ben", "ben").await);
    let made =
        directory.post("Groups", json!({ "displayName": "guards", "members": [{ "value": ada }] })).await;
    let group = format!("Groups/{}", made.body["id"].as_str().unwrap());
    let remove = json!([{ "op": "remove", "path": format!("members[value eq \"{ada}\"]") }]);
    let add = json!([{ "op": "add", "path": "members", "value": [{ "value": ben }] }]);
    for _ in 0..10 {
        let (removed, added) = futures_util::join!(
            directory.patch(&group, remove.clone()),
            directory.patch(&group, add.clone())
        );
        assert_eq!((removed.status, added.status), (StatusCode::OK, StatusCode::OK));
        let members = directory.get(&group).await.body["members"].clone();
        assert_eq!(
            members.as_array().unwrap().iter().map(|member| &member["value"]).collect::<Vec<_>>(),
            [&json!(ben)]
        );
        directory
            .patch(&group, json!([{ "op": "replace", "path": "members", "value": [{ "value": ada }] }]))
            .await;
    }
    // Nor does one take the name of another.
    let other = directory.post("Groups", json!({ "displayName": "porters" })).await;
    let path = format!("Groups/{}", other.body["id"].as_str().unwrap());
    let named =
        directory.patch(&path, json!([{ "op": "replace", "value": { "displayName": "guards" } }])).await;
    assert_eq!(named.body["scimType"], json!("uniqueness"), "{}", named.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_leaves_every_group_watches_nothing() {
    let provider = Provider::start("corp").await;
    let world = world(&provider, None).await;
    let mut ours = world.found().await;
    let directory = directory(&world, &ours).await;
    let gateway = Gateway::enrolled(&world, &mut ours).await;
    let door = ours.bind_camera(&world, gateway.id).await;
    let id = directory.person("ada@example.org", "ada").await;
    let ada = ours.let_in(&world, id.parse().unwrap(), Some(Scope::All)).await;
    let api = world.as_person(&ada.cookie);
    let ticket = async || api.post(&format!("/api/v1/cameras/{door}/live"), &json!({})).await;
    assert_eq!(ticket().await.code(), "role");
    let made =
        directory.post("Groups", json!({ "displayName": "guards", "members": [{ "value": id }] })).await;
    assert_eq!(ticket().await.status, StatusCode::OK);
    let gone =
        directory.send(Method::DELETE, &format!("Groups/{}", made.body["id"].as_str().unwrap()), None).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    assert_eq!(ticket().await.code(), "role");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_touches_its_own_people_alone() {
    let provider = Provider::start("corp").await;
    let world = world(&provider, None).await;
    let ours = world.found().await;
    let directory = directory(&world, &ours).await;
    // Neither those who came another way, nor those of another organisation.
    let zoe = world.found_another().await;
    let theirs =
        Directory { world: &world, service: zoe.service(&world, &["provision_people"], Scope::All).await };
    let foreign = theirs.person("zoe@example.org", "zoe").await;
    let off = json!([{ "op": "replace", "path": "active", "value": false }]);
    for id in [ours.admin.id.to_string(), foreign.clone(), "usr_x".to_owned()] {
        let path = format!("Users/{id}");
        assert_eq!(directory.get(&path).await.status, StatusCode::NOT_FOUND);
        assert_eq!(directory.patch(&path, off.clone()).await.status, StatusCode::NOT_FOUND);
        assert_eq!(directory.send(Method::DELETE, &path, None).await.status, StatusCode::NOT_FOUND);
        let body = json!({ "displayName": "guards", "members": [{ "value": id }] });
        assert_eq!(directory.post("Groups", body).await.status, StatusCode::BAD_REQUEST);
    }
    assert_eq!(directory.get("Users").await.body["totalResults"], json!(0));
    assert_eq!(directory.get("Groups").await.body["totalResults"], json!(0));
    assert_eq!(ours.api(&world).get("/api/v1/me").await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_cannot_be_met_say_why() {
    let provider = Provider::start("corp").await;
    let world = world(&provider, None).await;
    let ours = world.found().await;
    let directory = directory(&world, &ours).await;
    let id = directory.person("ada@example.org", "ada").await;
    for (answer, kind) in [
        (directory.post("Users", json!({ "userName": "" })).await, "invalidValue"),
        (directory.post("Users", json!({ "userName": "a\u{0}" })).await, "invalidValue"),
        (directory.post("Users", json!({ "userName": "a", "active": "maybe" })).await, "invalidValue"),
        (directory.get("Users?filter=userName%20co%20%22a%22").await, "invalidFilter"),
        (directory.get("Users?filter=title%20eq%20%22a%22").await, "invalidFilter"),
        (
            directory.patch(&format!("Users/{id}"), json!([{ "op": "replace", "value": 1 }])).await,
            "invalidPath",
        ),
        (
            directory.patch(&format!("Users/{id}"), json!([{ "op": "remove", "path": "userName" }])).await,
            "invalidValue",
        ),
    ] {
        assert_eq!(
            (answer.status, &answer.body["scimType"]),
            (StatusCode::BAD_REQUEST, &json!(kind)),
            "{}",
            answer.body
        );
        assert_eq!(answer.body["schemas"], json!(["urn:ietf:params:scim:api:messages:2.0:Error"]));
        assert_eq!(answer.headers["content-type"], "application/scim+json");
    }
    // What is no JSON of the kind is refused by name too; so is who has no token.
    assert!(directory.post("Users", json!([])).await.body["detail"].is_string());
    let nobody = world.anyone().without_proof(Method::GET, "/scim/v2/Users").send().await.unwrap();
    assert_eq!(nobody.status(), StatusCode::UNAUTHORIZED);
    for path in ["ServiceProviderConfig", "ResourceTypes", "Schemas"] {
        assert_eq!(directory.get(path).await.status, StatusCode::OK, "{path}");
    }
    // A page at a time.
    for number in 0..4 {
        directory.person(&format!("p{number}"), "p").await;
    }
    let page = directory.get("Users?startIndex=2&count=2").await.body;
    assert_eq!(
        (&page["totalResults"], &page["startIndex"], &page["itemsPerPage"]),
        (&json!(5), &json!(2), &json!(2))
    );
    // Several of one externalId link to nobody.
    provider.lie(|lies| drop(lies.claims.insert("sub", json!("p"))));
    assert_eq!(sign_in(&world, &provider).await.code(), "not_provisioned");
}
