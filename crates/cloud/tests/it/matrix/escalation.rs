//! More than one's own by what a request says, by another verb, and by going
//! on after a right has ended.

use std::collections::BTreeSet;

use model::{CameraId, Hash, Timestamp};
use reqwest::{Method, StatusCode};
use seal::action::{Action, SignedAction, roles_state};
use seal::command::{Command, SiteCommand};
use seal::role::Roles;
use seal::roster::{Scope, Statement};
use serde_json::json;

use crate::live::{Got, Viewer};
use crate::rules::assign;
use crate::support::world::{Answer, Organisation, Person};
use crate::support::{Gateway, World, fresh, now, on_both_databases};

on_both_databases!(no_parameter_makes_anybody_more, whoever_loses_a_right_is_cut_while_using_it,);

/// Two cameras with a recording each; and somebody who may see the first.
async fn scene(world: &World) -> (Organisation, Gateway, Person, [(CameraId, Hash); 2], String) {
    let mut ours = world.found().await;
    let gateway = Gateway::enrolled(world, &mut ours).await;
    let (door, till) = (ours.bind_camera(world, gateway.id).await, ours.bind_camera(world, gateway.id).await);
    let mut epoch_id = String::new();
    let mut recordings = Vec::new();
    for camera in [door, till] {
        let (epoch, recording) = gateway.recorded(&ours, camera).await;
        recordings.push((camera, recording.id));
        epoch_id = epoch.id.to_string();
    }
    let ben = ours.add_person(world, Some(Scope::Cameras { cameras: BTreeSet::from([door]) })).await;
    (ours, gateway, ben, recordings.try_into().unwrap(), epoch_id)
}

async fn no_parameter_makes_anybody_more(world: World) {
    let (ours, gateway, ben, [(door, door_recording), (till, till_recording)], epoch) = scene(&world).await;
    let bens = world.as_person(&ben.cookie);
    let ada = ours.admin.id;

    // Signed by one's own device, for oneself or in the name of others.
    let statement =
        ours.sign(Statement::SetAccess { person: ben.id, scope: Scope::All, audio: true, until: None }, &ben);
    let action = |previous_state, action| {
        let (nonce, expires_at) = (Hash(fresh()), now().plus_ms(Timestamp::MINUTE));
        SignedAction { org: ours.org, nonce, expires_at, previous_state, action }
            .sign(ben.device, &ben.keys.sign)
    };
    let (from, to) = (Timestamp(1), Timestamp(2));
    let head = ours.roster.head().1;
    let export = action(head, Action::Export { camera: till, from, to, reason: None });
    let before = roles_state(ben.id, &Roles::new());
    let roles = Roles::from(["operator all".parse().unwrap()]);
    let assignment = action(before, Action::AssignRoles { person: ben.id, roles });
    let command = SiteCommand {
        org: ours.org,
        target: gateway.id,
        nonce: "ab".repeat(16),
        expires_at: now().plus_ms(Timestamp::MINUTE),
        previous_state: Hash::default(),
        command: Command::RemoveCamera { camera: door },
    };
    let command = command.sign(ben.device, &ben.keys.sign);
    let commands = format!("/api/v1/gateways/{}/commands", gateway.id);
    let adas_device = Person::new(ada).statement();
    let attempts = [
        ("/api/v1/roster", json!({ "envelope": statement }), "statement_refused"),
        ("/api/v1/proposals", json!({ "envelope": statement, "reason": "" }), "not_an_administrator"),
        ("/api/v1/actions", json!({ "envelope": export }), "not_found"),
        ("/api/v1/actions", json!({ "envelope": assignment }), "state_moved"),
        ("/api/v1/roles", json!({ "envelope": assignment }), "not_an_administrator"),
        (&commands, json!({ "envelope": command }), "unsigned"),
        (
            "/api/v1/device-requests",
            json!({ "device": adas_device, "token": null, "pairing": null }),
            "invalid",
        ),
        (
            "/api/v1/explanations",
            json!({ "person": ada, "operation": "live", "camera": door }),
            "not_an_administrator",
        ),
    ];
    for (path, body, code) in attempts {
        let answer = bens.post(path, &body).await;
        assert_eq!(answer.code(), code, "{path} {body}: {}", answer.body);
    }
    // Beside what the path names, in queries and headers.
    let (person, org) = (ada, ours.org);
    for (path, status) in [
        (format!("/api/v1/cameras/{till}/recordings?camera={door}"), StatusCode::NOT_FOUND),
        (
            format!("/api/v1/recordings/{till_recording}?camera={door}&id={door_recording}"),
            StatusCode::NOT_FOUND,
        ),
        (
            format!("/api/v1/epochs/{epoch}/grants/{}?device={}", ours.admin.device, ben.device),
            StatusCode::NOT_FOUND,
        ),
        (format!("/api/v1/history?actor={}", ben.id), StatusCode::FORBIDDEN),
        (format!("/api/v1/proposals?person={person}"), StatusCode::FORBIDDEN),
    ] {
        let request = bens.request(Method::GET, &path);
        let request = request
            .header("x-forwarded-user", person.to_string())
            .header("x-remote-user", person.to_string())
            .header("x-organisation", org.to_string())
            .header("authorization", format!("Basic {person}"));
        let answer = Answer::of(request.send().await.unwrap()).await;
        // A header that names a program's token is one; any other scheme is nothing.
        assert!([status, StatusCode::UNAUTHORIZED].contains(&answer.status), "{path}: {}", answer.status);
        assert!(!answer.body.to_string().contains(&till.to_string()), "{path}");
    }
    let listed = bens.get(&format!("/api/v1/cameras?person={person}")).await.body;
    assert!(listed["cameras"].as_array().is_none_or(|cameras| cameras.len() == 1), "{listed}");
    let head = bens.request(Method::HEAD, &format!("/api/v1/recordings/{till_recording}"));
    assert_eq!(head.send().await.unwrap().status(), StatusCode::NOT_FOUND);

    // No header makes one verb another.
    let mine = bens.get("/api/v1/sessions").await.body["sessions"][0]["id"].clone();
    let path = format!("/api/v1/sessions/{}", mine.as_str().unwrap());
    for header in ["x-http-method-override", "x-http-method", "x-method-override"] {
        let request = bens.request(Method::POST, &path).header("x-lenskeep", "1").header(header, "DELETE");
        assert_eq!(request.send().await.unwrap().status(), StatusCode::METHOD_NOT_ALLOWED, "{header}");
    }
    assert_eq!(bens.get("/api/v1/me").await.status, StatusCode::OK);
}

/// What is open ends with a word, and what comes next is refused, whichever
/// way the right was taken.
async fn whoever_loses_a_right_is_cut_while_using_it(world: World) {
    let (mut ours, _, _, [(door, recording), _], _) = scene(&world).await;
    let path = format!("/api/v1/recordings/{recording}");
    for way in ["signed out", "signed out by another", "shut out", "access ended", "role taken"] {
        let dan = ours.add_person(&world, Some(Scope::All)).await;
        let mut viewer = Viewer::open(&world, &dan.cookie, door, &world.origin()).await.unwrap();
        assert_eq!(viewer.next().await, Got::Text(json!({ "type": "waiting" })), "{way}");
        let dans = world.as_person(&dan.cookie);
        assert_eq!(dans.get(&path).await.status, StatusCode::OK, "{way}");
        let (past, person) = (Some(Timestamp(1)), dan.id);
        let refused = match way {
            "signed out" => {
                dans.post("/api/v1/logout", &json!({})).await;
                StatusCode::UNAUTHORIZED
            }
            "signed out by another" => {
                ours.api(&world).delete(&format!("/api/v1/people/{person}/sessions")).await;
                StatusCode::UNAUTHORIZED
            }
            "shut out" => {
                ours.append(&world, Statement::RevokeDevice { device: dan.device }).await;
                StatusCode::UNAUTHORIZED
            }
            "access ended" => {
                ours.append(
                    &world,
                    Statement::SetAccess { person, scope: Scope::All, audio: true, until: past },
                )
                .await;
                StatusCode::NOT_FOUND
            }
            _ => {
                let assigned = assign(&ours, &world, person, (&[], &["auditor all"])).await;
                assert_eq!(assigned.status, StatusCode::NO_CONTENT, "{}", assigned.body);
                StatusCode::FORBIDDEN
            }
        };
        let Got::Text(word) = viewer.next().await else { panic!("{way}: a reason comes first") };
        assert_eq!(word["type"], "ended", "{way}");
        assert_eq!(viewer.next().await, Got::Nothing, "{way}");
        assert_eq!(dans.get(&path).await.status, refused, "{way}");
        assert_eq!(
            crate::live::status_of(Viewer::open(&world, &dan.cookie, door, &world.origin()).await),
            refused.as_u16(),
            "{way}"
        );
    }
}
