//! Everybody tries everything: eighteen kinds of callers, each route of the
//! viewers' API, on what is theirs and on what is not, over real HTTP. A route
//! that has no row in `cases` fails the test.

mod cases;
mod escalation;
mod things;

use std::collections::BTreeSet;

use cloud::{Port, Route};
use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::support::world::Answer;
use crate::support::{World, on_both_databases};
use cases::{Case, Needs, cases};
use things::with_things;

on_both_databases!(everybody_gets_what_is_theirs_and_nothing_else,);

#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Through,
    SignedOut,
    NotAdministrator,
    /// The roster opens it, and no role of the person includes it.
    Role,
    SecondFactor,
    NotFound,
}

/// What a caller sends to say who they are.
enum Shows {
    Cookies(Vec<String>),
    Token(String),
}

/// Who they are, and what they should get.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Who {
    /// Without, with an invented, with an ended session; with a session of a
    /// device that was shut out; with one that was idle for too long; with two
    /// cookies.
    Nobody,
    Forger,
    SignedOut,
    ShutOut,
    Idle,
    Doubled,
    /// Has Ada's cookie, and not her browser's key.
    Thief,
    /// A program whose account lists cameras and recordings of the door.
    Program,
    /// May open the door's camera, no camera, and no camera any more.
    Ben,
    Cem,
    Dan,
    Ada,
    /// Reads the history; operates the door; delivers orders to sites. The
    /// roster would let all three see every camera.
    Auditor,
    Operator,
    Installer,
    /// Administers, and signed in with one factor.
    OneFactor,
    /// Administers another organisation, and somebody of it who sees all there.
    Zoe,
    Zed,
}

fn expected(who: Who, route: &Route, needs: Needs) -> Outcome {
    use Needs::{
        Ada, AdaOrAdministrator, Administrator, AdministratorHere, Door, History, HistoryHere, Nothing,
        Nowhere, OpensDoor, OpensTill, Session, SessionHere, Till,
    };
    match needs {
        Nothing => return Outcome::Through,
        Nowhere => return Outcome::NotFound,
        _ => {}
    }
    match who {
        Who::Nobody | Who::Forger | Who::SignedOut | Who::ShutOut | Who::Idle | Who::Doubled | Who::Thief => {
            return Outcome::SignedOut;
        }
        Who::Program => return expected_of_program(route, needs),
        _ => {}
    }
    let administers = matches!(who, Who::Ada | Who::Zoe | Who::OneFactor);
    let elsewhere = matches!(who, Who::Zoe | Who::Zed);
    match needs {
        Administrator | AdministratorHere if !administers => Outcome::NotAdministrator,
        Administrator | AdministratorHere if who == Who::OneFactor && route.method != "GET" => {
            Outcome::SecondFactor
        }
        History | HistoryHere if !administers && who != Who::Auditor => Outcome::NotAdministrator,
        AdministratorHere | HistoryHere | SessionHere if elsewhere => Outcome::NotFound,
        Session | SessionHere | Administrator | AdministratorHere | History | HistoryHere => Outcome::Through,
        Door | OpensDoor | Till | OpensTill if elsewhere || matches!(who, Who::Cem | Who::Dan) => {
            Outcome::NotFound
        }
        Till | OpensTill if who == Who::Ben => Outcome::NotFound,
        Door | Till if matches!(who, Who::Auditor | Who::Installer) => Outcome::Role,
        Till if who == Who::Operator => Outcome::Role,
        Door | Till | OpensDoor | OpensTill => Outcome::Through,
        Ada | AdaOrAdministrator if who == Who::Ada => Outcome::Through,
        AdaOrAdministrator if who == Who::OneFactor => Outcome::Through,
        Ada | AdaOrAdministrator | Nothing | Nowhere => Outcome::NotFound,
    }
}

/// May list cameras and recordings, of the door alone.
fn expected_of_program(route: &Route, needs: Needs) -> Outcome {
    match (route.who, route.path) {
        (cloud::Who::Reader, "/api/v1/cameras") => Outcome::Through,
        (
            cloud::Who::Reader,
            "/api/v1/cameras/{id}/recordings"
            | "/api/v1/cameras/{id}/timeline"
            | "/api/v1/cameras/{id}/hours"
            | "/api/v1/cameras/{id}/hours/{hash}",
        ) if matches!(needs, Needs::Door) => Outcome::Through,
        (cloud::Who::Reader, _) => Outcome::NotFound,
        _ => Outcome::SignedOut,
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
        (StatusCode::FORBIDDEN, "role") => Outcome::Role,
        (StatusCode::FORBIDDEN, "second_factor_needed") => Outcome::SecondFactor,
        (StatusCode::NOT_FOUND, _) if !matches!(needs, Needs::Administrator) => Outcome::NotFound,
        _ => Outcome::Through,
    }
}

async fn ask(world: &World, who: Who, shows: &Shows, route: &Route, case: &Case) -> Answer {
    let method: Method = route.method.parse().unwrap();
    let (api, cookies) = match shows {
        Shows::Cookies(cookies) if who == Who::Thief => (world.as_thief(&cookies[0]), &[][..]),
        Shows::Cookies(cookies) => (world.anyone(), cookies.as_slice()),
        Shows::Token(_) => (world.anyone(), &[][..]),
    };
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
    if let Shows::Token(token) = shows {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    if [Method::POST, Method::PUT].contains(&method) {
        request = request.json(&case.body);
    }
    let response = request.send().await.unwrap();
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Answer { status: response.status(), headers: response.headers().clone(), body: Value::Null };
    }
    Answer::of(response).await
}

async fn everybody_gets_what_is_theirs_and_nothing_else(world: World) {
    let (ours, things, everybody) = with_things(&world).await;
    let routes = cloud::routes();
    let api = || routes.iter().filter(|route| route.port == Port::Viewers && route.path.starts_with("/api/"));
    let mut tried = 0;
    // Ada last: some of what she may do works once.
    let order =
        everybody.iter().filter(|(who, _)| **who != Who::Ada).chain(everybody.get_key_value(&Who::Ada));
    for (who, shows) in order {
        for route in api() {
            for case in cases(route, &things) {
                let answer = ask(&world, *who, shows, route, &case).await;
                let found = outcome(case.needs, &answer);
                let context =
                    || format!("{who:?} {} {}: {} {}", route.method, case.path, answer.status, answer.body);
                assert_eq!(found, expected(*who, route, case.needs), "{}", context());
                if route.path == "/api/v1/recordings/{id}" && found == Outcome::Through {
                    assert_eq!(answer.status, StatusCode::OK, "sealed bytes: {}", context());
                }
                tried += 1;
            }
        }
    }
    assert!(tried > 1_000, "{tried}");

    // Another verb on the same path gets nobody anywhere.
    let paths: BTreeSet<&str> = api().map(|route| route.path).collect();
    for path in paths {
        let known: BTreeSet<&str> =
            api().filter(|route| route.path == path).map(|route| route.method).collect();
        for method in ["PUT", "PATCH", "DELETE", "POST"].into_iter().filter(|method| !known.contains(method))
        {
            let url = path.replace(['{', '}', '*'], "");
            let request = world.anyone().request(method.parse().unwrap(), &url).header("x-lenskeep", "1");
            let status = request.header("cookie", &ours.admin.cookie).send().await.unwrap().status();
            let refused = [StatusCode::METHOD_NOT_ALLOWED, StatusCode::NOT_FOUND].contains(&status);
            assert!(refused, "{method} {path}: {status}");
        }
    }
}
