//! Everybody tries everything: eleven kinds of callers, each route of the viewers'
//! API, on what is theirs and on what is not. A route that has no row here
//! fails the test.

use std::collections::{BTreeMap, BTreeSet};

use cloud::{Port, Route};
use model::{CameraId, DeviceId, Hash, PersonId, Timestamp};
use reqwest::{Method, StatusCode};
use seal::roster::{Scope, Statement};
use serde_json::{Value, json};

use crate::support::footage::Epoch;
use crate::support::world::{Answer, Organisation, Person};
use crate::support::{Gateway, World, fresh, on_both_databases};

on_both_databases!(everybody_gets_what_is_theirs_and_nothing_else,);

/// What a case needs of its caller.
#[derive(Clone, Copy, Debug)]
enum Needs {
    /// Judged by what the body holds; here it holds nothing of value.
    Nothing,
    /// What there is not.
    Nowhere,
    Session,
    Administrator,
    /// An administrator of the organisation whose thing the path names.
    AdministratorHere,
    /// Access to the camera, now.
    Door,
    Till,
    /// To be Ada.
    Ada,
    /// A session of the organisation whose thing the path names; what comes
    /// then depends on what was signed.
    SessionHere,
}

#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Through,
    SignedOut,
    NotAdministrator,
    NotFound,
}

struct Case {
    needs: Needs,
    path: String,
    body: Value,
}

/// Things of the first organisation, by the names that paths use.
struct Things {
    door: CameraId,
    till: CameraId,
    gateway: String,
    recordings: BTreeMap<&'static str, Hash>,
    epoch: String,
    /// Ada's device.
    device: DeviceId,
    /// Asks to be let in.
    waiting: DeviceId,
    lookup: String,
    session: String,
    /// Somebody who is signed in nowhere.
    person: PersonId,
    signature: Hash,
    /// Why Ada looked.
    reason: String,
    /// Ada's.
    passkey: String,
    /// An account of a program.
    service: String,
    /// A size of the log that was published.
    size: u64,
}

fn cases(route: &Route, things: &Things) -> Vec<Case> {
    use Needs::{Ada, Administrator, AdministratorHere, Door, Nothing, Nowhere, Session, SessionHere, Till};
    let Things {
        door,
        till,
        gateway,
        recordings,
        epoch,
        device,
        waiting,
        lookup,
        session,
        person,
        signature,
        reason,
        passkey,
        service,
        size,
    } = things;
    let case = |needs, path: String, body: Value| Case { needs, path, body };
    let plain = |needs| vec![case(needs, route.path.to_owned(), json!({}))];
    match (route.method, route.path) {
        // Of a provider that there is not.
        ("POST", "/api/v1/login/providers/{id}/begin" | "/api/v1/login/providers/{id}") => {
            let body = json!({ "state": Hash(fresh()), "code": "c", "iss": null });
            vec![case(Nowhere, route.path.replace("{id}", "none"), body)]
        }
        ("GET", "/api/v1/status")
        | ("POST", "/api/v1/setup/passkey" | "/api/v1/setup")
        | ("POST", "/api/v1/login/passkey/begin" | "/api/v1/login/passkey")
        | ("POST", "/api/v1/login/device/challenge" | "/api/v1/login/device")
        | ("POST", "/api/v1/login/password" | "/api/v1/login/recovery")
        | ("POST", "/api/v1/factors/passkey/begin" | "/api/v1/factors/passkey")
        | ("POST", "/api/v1/factors/password/begin" | "/api/v1/factors/password")
        | ("POST", "/api/v1/invitations/passkey" | "/api/v1/invitations/accept") => plain(Nothing),
        // Here the body's token would do in place of a session.
        ("POST", "/api/v1/device-requests") => plain(Nothing),
        ("GET", "/api/v1/device-requests/{device}") => {
            vec![case(Nothing, format!("/api/v1/device-requests/{waiting}"), json!({}))]
        }
        ("POST", "/api/v1/device-requests/{device}/nonce") => {
            let path = format!("/api/v1/device-requests/{waiting}/nonce");
            vec![case(AdministratorHere, path, json!({ "nonce": Hash(fresh()) }))]
        }
        ("DELETE", "/api/v1/device-requests/{device}") => {
            vec![case(AdministratorHere, format!("/api/v1/device-requests/{waiting}"), json!({}))]
        }
        (
            "GET",
            "/api/v1/me" | "/api/v1/roster" | "/api/v1/gateways" | "/api/v1/cameras" | "/api/v1/sessions"
            | "/api/v1/factors",
        )
        | (
            "POST",
            "/api/v1/roster"
            | "/api/v1/verifications/begin"
            | "/api/v1/verifications"
            | "/api/v1/actions"
            | "/api/v1/verifications/code"
            | "/api/v1/reasons"
            | "/api/v1/factors",
        ) => plain(Session),
        // They would end the callers of the cases that follow.
        ("POST", "/api/v1/logout") | ("DELETE", "/api/v1/sessions") => vec![],
        ("DELETE", "/api/v1/people/{id}/sessions") => {
            vec![case(AdministratorHere, format!("/api/v1/people/{person}/sessions"), json!({}))]
        }
        ("DELETE", "/api/v1/sessions/{id}") => {
            vec![case(Ada, format!("/api/v1/sessions/{session}"), json!({}))]
        }
        ("POST", "/api/v1/factors/passkeys/{id}") => {
            vec![case(Ada, format!("/api/v1/factors/passkeys/{passkey}"), json!({ "name": "Key" }))]
        }
        (
            "GET",
            "/api/v1/device-requests"
            | "/api/v1/people"
            | "/api/v1/proposals"
            | "/api/v1/history"
            | "/api/v1/history/checkpoint"
            | "/api/v1/service-accounts"
            | "/api/v1/policy"
            | "/api/v1/roles",
        )
        | (
            "POST",
            "/api/v1/erasures"
            | "/api/v1/past-openings"
            | "/api/v1/device-links"
            | "/api/v1/invitations"
            | "/api/v1/proposals"
            | "/api/v1/service-accounts"
            | "/api/v1/policy"
            | "/api/v1/roles",
        ) => plain(Administrator),
        ("DELETE", "/api/v1/service-accounts/{id}") => {
            vec![case(AdministratorHere, format!("/api/v1/service-accounts/{service}"), json!({}))]
        }
        ("GET", "/api/v1/history/consistency") => {
            // The other organisation's log is shorter.
            vec![case(AdministratorHere, format!("{}?old={size}", route.path), json!({}))]
        }
        ("GET", "/api/v1/history/tile/{*path}") => {
            vec![case(AdministratorHere, format!("/api/v1/history/tile/entries/000.p/{size}"), json!({}))]
        }
        ("GET", "/api/v1/history/{seq}/proof") => {
            vec![case(AdministratorHere, format!("/api/v1/history/{}/proof", size - 1), json!({}))]
        }
        ("POST", "/api/v1/explanations") => [(Door, door), (Till, till)]
            .map(|(needs, camera)| {
                case(needs, route.path.to_owned(), json!({ "operation": "live", "camera": camera }))
            })
            .into(),
        ("GET", "/api/v1/reasons/{reference}") => {
            vec![case(AdministratorHere, format!("/api/v1/reasons/{reason}"), json!({}))]
        }
        ("GET", "/api/v1/signatures/{hash}") => {
            vec![case(AdministratorHere, format!("/api/v1/signatures/{signature}"), json!({}))]
        }
        ("POST", "/api/v1/proposals/{id}/signatures" | "/api/v1/proposals/{id}/decline") => {
            // Of nobody: administrators everywhere are told the same.
            let path = route.path.replace("{id}", &Hash(fresh()).to_string());
            vec![case(Administrator, path, json!({}))]
        }
        ("GET", "/api/v1/enrolments/{lookup}") => {
            vec![case(AdministratorHere, format!("/api/v1/enrolments/{lookup}"), json!({}))]
        }
        ("POST", "/api/v1/enrolments/{lookup}/accept") => {
            let path = format!("/api/v1/enrolments/{lookup}/accept");
            vec![case(AdministratorHere, path, json!({ "mac": Hash(fresh()) }))]
        }
        ("POST", "/api/v1/gateways/{id}/commands") => {
            let envelope = json!({ "payloadType": "x", "payload": "eA==", "signatures": [] });
            let path = format!("/api/v1/gateways/{gateway}/commands");
            vec![case(SessionHere, path, json!({ "envelope": envelope }))]
        }
        // Here the ticket decides, which is one that nobody was given.
        ("GET", "/api/v1/cameras/{id}/live") => {
            let path = route.path.replace("{id}", &door.to_string());
            vec![case(Nothing, format!("{path}?ticket={}", Hash(fresh())), json!({}))]
        }
        ("GET", "/api/v1/cameras/{id}/recordings") | ("POST", "/api/v1/cameras/{id}/live") => {
            [(Door, door), (Till, till)]
                .map(|(needs, id)| case(needs, route.path.replace("{id}", &id.to_string()), json!({})))
                .into()
        }
        ("GET", "/api/v1/recordings/{id}") => [(Door, "door"), (Till, "till")]
            .map(|(needs, name)| case(needs, format!("/api/v1/recordings/{}", recordings[name]), json!({})))
            .into(),
        ("GET", "/api/v1/epochs/{epoch}/past-grants/{device}") => {
            vec![case(Ada, format!("/api/v1/epochs/{epoch}/past-grants/{device}"), json!({}))]
        }
        // Nothing was opened to this device: administrators everywhere are told the same.
        ("GET", "/api/v1/past-openings/{device}/epochs") => {
            vec![case(Administrator, format!("/api/v1/past-openings/{device}/epochs?by={device}"), json!({}))]
        }
        ("POST", "/api/v1/past-openings/{device}/grants") => {
            let path = format!("/api/v1/past-openings/{device}/grants");
            vec![case(Administrator, path, json!({ "grants": [] }))]
        }
        ("GET", "/api/v1/epochs/{epoch}/grants/{device}") => {
            vec![case(Ada, format!("/api/v1/epochs/{epoch}/grants/{device}"), json!({}))]
        }
        (method, path) => panic!("{method} {path} has no row in this test"),
    }
}

/// Who they are, and what they should get.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Who {
    /// Without, with an invented, with an ended session; with a session of a
    /// device that was shut out; with two cookies; with a token in its place.
    Nobody,
    Forger,
    SignedOut,
    ShutOut,
    Doubled,
    /// Has Ada's cookie, and not her browser's key.
    Thief,
    /// May open the door's camera, no camera, and no camera any more.
    Ben,
    Cem,
    Dan,
    Ada,
    /// Administers another organisation.
    Zoe,
}

fn expected(who: Who, needs: Needs) -> Outcome {
    let signed_in =
        !matches!(who, Who::Nobody | Who::Forger | Who::SignedOut | Who::ShutOut | Who::Doubled | Who::Thief);
    match needs {
        Needs::Nothing => Outcome::Through,
        Needs::Nowhere => Outcome::NotFound,
        _ if !signed_in => Outcome::SignedOut,
        Needs::Session => Outcome::Through,
        Needs::Administrator | Needs::AdministratorHere if !matches!(who, Who::Ada | Who::Zoe) => {
            Outcome::NotAdministrator
        }
        Needs::AdministratorHere | Needs::SessionHere if who == Who::Zoe => Outcome::NotFound,
        Needs::SessionHere => Outcome::Through,
        Needs::Administrator | Needs::AdministratorHere => Outcome::Through,
        Needs::Door if matches!(who, Who::Ada | Who::Ben) => Outcome::Through,
        Needs::Till | Needs::Ada if who == Who::Ada => Outcome::Through,
        Needs::Door | Needs::Till | Needs::Ada => Outcome::NotFound,
    }
}

fn outcome(needs: Needs, answer: &Answer) -> Outcome {
    match (answer.status, answer.code()) {
        // A false token or signature, which is no matter of sessions.
        (StatusCode::UNAUTHORIZED, "token_refused" | "login_refused") => Outcome::Through,
        (StatusCode::UNAUTHORIZED, "signed_out" | "ticket_refused" | "proof_refused")
            if matches!(needs, Needs::Nothing) =>
        {
            Outcome::Through
        }
        // Whoever asks often is slowed before anybody looks.
        (StatusCode::TOO_MANY_REQUESTS, _) if matches!(needs, Needs::Nowhere) => Outcome::NotFound,
        (StatusCode::UNAUTHORIZED, _) => Outcome::SignedOut,
        (StatusCode::FORBIDDEN, "not_an_administrator") => Outcome::NotAdministrator,
        (StatusCode::NOT_FOUND, _) if !matches!(needs, Needs::Administrator) => Outcome::NotFound,
        _ => Outcome::Through,
    }
}

async fn ask(world: &World, who: Who, cookies: &[String], route: &Route, case: &Case) -> Answer {
    let method: Method = route.method.parse().unwrap();
    let api = if who == Who::Thief { world.as_thief(&cookies[0]) } else { world.anyone() };
    let cookies = if who == Who::Thief { &[] } else { cookies };
    let mut request = api.request(method.clone(), &case.path).header("x-lenskeep", "1");
    if route.path.ends_with("/live") && method == Method::GET {
        request = request
            .header("connection", "upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA==");
    }
    for cookie in cookies {
        request = request.header("cookie", cookie);
    }
    if method == Method::POST {
        request = request.json(&case.body);
    }
    let response = request.send().await.unwrap();
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Answer { status: response.status(), headers: response.headers().clone(), body: Value::Null };
    }
    Answer::of(response).await
}

async fn with_things(world: &World) -> (Organisation, Things, BTreeMap<Who, Vec<String>>) {
    let mut ours = world.found().await;
    let zoe = world.found_another().await.admin;
    let gateway = Gateway::enrolled(world, &mut ours).await;
    let (door, till) = (ours.bind_camera(world, gateway.id).await, ours.bind_camera(world, gateway.id).await);
    let mut recordings = BTreeMap::new();
    let mut epoch_id = String::new();
    for (name, camera) in [("door", door), ("till", till)] {
        let epoch = Epoch::new(ours.org, camera);
        let grant = epoch.grant(&gateway, &ours.roster, &ours.admin);
        assert_eq!(gateway.hand_in(&[grant]).await, StatusCode::OK);
        let (bytes, recording) = epoch.record(&gateway, &ours.roster);
        assert_eq!(gateway.upload(bytes, &recording).await, StatusCode::CREATED);
        assert_eq!(gateway.report(&recording).await, "confirmed");
        recordings.insert(name, recording.id);
        epoch_id = epoch.id.to_string();
    }
    let the_door = Scope::Cameras { cameras: BTreeSet::from([door]) };
    let ben = ours.add_person(world, Some(the_door)).await;
    let cem = ours.add_person(world, None).await;
    let dan = ours.add_person(world, Some(Scope::All)).await;
    let past = Some(Timestamp(1));
    ours.append(world, Statement::SetAccess { person: dan.id, scope: Scope::All, until: past }).await;
    let (eve, finn) =
        (ours.add_person(world, Some(Scope::All)).await, ours.add_person(world, Some(Scope::All)).await);
    ours.append(world, Statement::RevokeDevice { device: eve.device }).await;
    world.as_person(&finn.cookie).post("/api/v1/logout", &json!({})).await;

    let export = seal::action::SignedAction {
        org: ours.org,
        nonce: Hash(fresh()),
        expires_at: crate::support::now().plus_ms(Timestamp::MINUTE),
        previous_state: ours.roster.head().1,
        action: seal::action::Action::Export {
            camera: door,
            from: Timestamp(1),
            to: Timestamp(2),
            reason: None,
        },
    };
    let envelope = export.sign(ours.admin.device, &ours.admin.keys.sign);
    let acted = ours.api(world).post("/api/v1/actions", &json!({ "envelope": envelope })).await;
    let signature = serde_json::from_value(acted.body["signature"].clone()).unwrap();
    let second = world.device_login(ours.org, &ours.admin).await.cookie().unwrap();
    let listed = world.as_person(&second).get("/api/v1/sessions").await.body["sessions"].clone();
    let own = listed.as_array().unwrap().iter().find(|session| session["own"] == true).unwrap()["id"].clone();
    ours.api(world).post("/api/v1/reasons", &json!({ "reason": "a parcel is missing" })).await;
    let stated = ours.api(world).get("/api/v1/history?action=state_reason").await;
    let reason = stated.body["entries"][0]["resource"].as_str().unwrap().to_owned();
    // The log follows within a moment, and tiles stay once they were written.
    let mut size = 0;
    for _ in 0..100 {
        size = ours.api(world).get("/api/v1/history/checkpoint").await.body["size"].as_u64().unwrap();
        if size >= 8 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert!((8..256).contains(&size), "{size}");

    let waiting = Person::new(ours.admin.id).statement();
    let pairing = json!({ "lookup": Hash(fresh()), "mac": Hash(fresh()) });
    let request = json!({ "device": waiting, "token": null, "pairing": pairing });
    let asked = ours.api(world).post("/api/v1/device-requests", &request).await;
    assert_eq!(asked.status, StatusCode::ACCEPTED);
    let waiting = waiting.id;
    let service = ours.service(world, &["list_cameras"], Scope::All).await;
    let (org, ada) = (ours.org, ours.admin.id);
    world
        .sql(&format!(
            "INSERT INTO passkeys (org, person, credential, passkey, created_at) \
             VALUES ('{org}', '{ada}', 'AAAA', '', 1)"
        ))
        .await;

    let forged = format!("__Host-lenskeep={}", Hash(fresh()));
    let who = BTreeMap::from([
        (Who::Nobody, vec![]),
        (Who::Forger, vec![forged]),
        (Who::SignedOut, vec![finn.cookie]),
        (Who::ShutOut, vec![eve.cookie]),
        (Who::Doubled, vec![ours.admin.cookie.clone(), ours.admin.cookie.clone()]),
        (Who::Thief, vec![ours.admin.cookie.clone()]),
        (Who::Ben, vec![ben.cookie]),
        (Who::Cem, vec![cem.cookie]),
        (Who::Dan, vec![dan.cookie]),
        (Who::Ada, vec![ours.admin.cookie.clone()]),
        (Who::Zoe, vec![zoe.cookie]),
    ]);
    let things = Things {
        door,
        till,
        gateway: gateway.id.to_string(),
        recordings,
        epoch: epoch_id,
        device: ours.admin.device,
        waiting,
        lookup: gateway.secret.lookup().to_string(),
        session: own.as_str().unwrap().to_owned(),
        person: finn.id,
        signature,
        reason,
        passkey: "AAAA".to_owned(),
        service: service.id.to_string(),
        size,
    };
    (ours, things, who)
}

async fn everybody_gets_what_is_theirs_and_nothing_else(world: World) {
    let (_ours, things, everybody) = with_things(&world).await;
    let routes = cloud::routes();
    let api = || routes.iter().filter(|route| route.port == Port::Viewers && route.path.starts_with("/api/"));
    let mut tried = 0;
    // Ada last: some of what she may do works once.
    let order =
        everybody.iter().filter(|(who, _)| **who != Who::Ada).chain(everybody.get_key_value(&Who::Ada));
    for (who, cookies) in order {
        for route in api() {
            for case in cases(route, &things) {
                let answer = ask(&world, *who, cookies, route, &case).await;
                let found = outcome(case.needs, &answer);
                let context =
                    || format!("{who:?} {} {}: {} {}", route.method, case.path, answer.status, answer.body);
                assert_eq!(found, expected(*who, case.needs), "{}", context());
                tried += 1;
            }
        }
    }
    assert!(tried > 300, "{tried}");

    // Another verb on the same path gets nobody anywhere.
    let paths: BTreeSet<&str> = api().map(|route| route.path).collect();
    for path in paths {
        let known: BTreeSet<&str> =
            api().filter(|route| route.path == path).map(|route| route.method).collect();
        for method in ["PUT", "PATCH", "DELETE", "POST"].into_iter().filter(|method| !known.contains(method))
        {
            let url = path.replace(['{', '}', '*'], "");
            let request = world.anyone().request(method.parse().unwrap(), &url).header("x-lenskeep", "1");
            let status = request.header("cookie", &everybody[&Who::Ada][0]).send().await.unwrap().status();
            let refused = [StatusCode::METHOD_NOT_ALLOWED, StatusCode::NOT_FOUND].contains(&status);
            assert!(refused, "{method} {path}: {status}");
        }
    }
}
