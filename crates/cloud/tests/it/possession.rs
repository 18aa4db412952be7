//! A session belongs to the browser that opened it: what thieves make of a
//! copied cookie, of overheard proofs, and of live tickets.

use reqwest::{Method, StatusCode};
use seal::dpop::{NONCE_HEADER, PROOF_HEADER, ProofKey};
use seal::roster::{Scope, Statement};
use serde_json::json;

use crate::live::{Got, Viewer, status_of};
use crate::support::world::Answer;
use crate::support::{Gateway, World, now, on_both_databases};

on_both_databases!(
    a_copied_cookie_is_worth_nothing,
    no_session_opens_without_a_key,
    a_ticket_is_good_once_for_what_it_was_given_for,
);

const ME: &str = "/api/v1/me";

async fn a_copied_cookie_is_worth_nothing(world: World) {
    let organisation = world.found().await;
    let (owner, cookie) = (organisation.api(&world), &organisation.admin.cookie);
    let send = async |request: reqwest::RequestBuilder| Answer::of(request.send().await.unwrap()).await;
    let with = async |method: Method, proof: String| {
        send(owner.without_proof(method, ME).header(PROOF_HEADER, proof)).await
    };
    assert_eq!(send(owner.without_proof(Method::GET, ME)).await.code(), "proof_refused");
    for path in [ME, "/api/v1/cameras", "/api/v1/history", "/api/v1/roster"] {
        assert_eq!(world.as_thief(cookie).get(path).await.code(), "proof_refused", "{path}");
    }
    assert_eq!(world.as_thief(cookie).delete("/api/v1/sessions").await.code(), "proof_refused");

    // Overheard: for another path, another method, another server, a second time.
    let refused = [
        world.proof(&Method::GET, "/api/v1/sessions"),
        world.proof(&Method::POST, ME),
        world.proof_at("https://evil.example", &Method::GET, ME),
    ];
    for proof in refused {
        assert_eq!(with(Method::GET, proof).await.code(), "proof_refused");
    }
    let proof = world.proof(&Method::GET, ME);
    assert_eq!(with(Method::GET, proof.clone()).await.status, StatusCode::OK);
    assert_eq!(with(Method::GET, proof.clone()).await.code(), "proof_refused");
    let both = owner.without_proof(Method::GET, ME).header(PROOF_HEADER, world.proof(&Method::GET, ME));
    let both = both.header(PROOF_HEADER, world.proof(&Method::GET, ME));
    assert_eq!(send(both).await.code(), "proof_refused", "two proofs are none");

    // Made in advance, for later: without our nonce, or with an invented one.
    let key = ProofKey::generate();
    let address = format!("{}{ME}", world.origin());
    for nonce in [None, Some("AAAAAAAAAAAAAAAAAAAAAA")] {
        let answer = with(Method::GET, key.proof("GET", &address, nonce, [1; 16], now())).await;
        assert_eq!((answer.status, answer.code()), (StatusCode::UNAUTHORIZED, "use_dpop_nonce"));
        assert_eq!(answer.headers[NONCE_HEADER].len(), 22);
    }
    assert_eq!(owner.get(ME).await.status, StatusCode::OK, "the owner goes on");

    // That somebody tried stands in the history, under whose session it was.
    let org = organisation.org;
    let world = world.restarted().await;
    let history = world.as_person(cookie).get("/api/v1/history?action=refused&limit=100").await.body;
    let ada = organisation.admin.id.to_string();
    let tried = history["entries"]
        .as_array()
        .unwrap()
        .iter()
        .find(|entry| entry["resource"] == "GET /api/v1/me proof" && entry["actor"] == json!(ada));
    assert_eq!(tried.unwrap_or_else(|| panic!("{org}: {history}"))["refused"], 7);
}

async fn no_session_opens_without_a_key(world: World) {
    let token = world.token().to_owned();
    for (path, body) in [
        ("/api/v1/setup", json!({ "token": token })),
        ("/api/v1/login/passkey", json!({})),
        ("/api/v1/login/device", json!({})),
        ("/api/v1/login/password", json!({ "login": "ada", "password": "x", "code": "000000" })),
        ("/api/v1/invitations/accept", json!({ "token": token })),
    ] {
        let request = world.anyone().without_proof(Method::POST, path).header("x-lenskeep", "1");
        let answer = Answer::of(request.json(&body).send().await.unwrap()).await;
        assert_eq!((answer.status, answer.code()), (StatusCode::UNAUTHORIZED, "proof_refused"), "{path}");
    }
}

async fn a_ticket_is_good_once_for_what_it_was_given_for(world: World) {
    let mut organisation = world.found().await;
    let gateway = Gateway::enrolled(&world, &mut organisation).await;
    let camera = organisation.bind_camera(&world, gateway.id).await;
    let other = organisation.bind_camera(&world, gateway.id).await;
    let ben = organisation.add_person(&world, Some(Scope::All)).await;
    let path = |camera| format!("/api/v1/cameras/{camera}/live");
    let ada = organisation.admin.cookie.clone();
    let ticket = async |cookie: &str| {
        let given = world.as_person(cookie).post(&path(camera), &json!({})).await;
        given.body["ticket"].as_str().unwrap().to_owned()
    };
    let origin = world.origin();
    let open = async |cookie: &str, path: String| Viewer::with_ticket(&world, cookie, &path, &origin).await;
    let at = |ticket: &str| format!("{}?ticket={ticket}", path(camera));

    // A cookie alone opens nothing, nor does a ticket alone.
    assert_eq!(status_of(open(&ada, path(camera)).await), 400);
    assert_eq!(status_of(open("a=b", at(&ticket(&ada).await)).await), 401);
    assert_eq!(world.as_thief(&ada).post(&path(camera), &json!({})).await.code(), "proof_refused");

    let good = ticket(&ada).await;
    let mut viewer = open(&ada, at(&good)).await.unwrap();
    assert_eq!(viewer.next().await, Got::Text(json!({ "type": "waiting" })));
    assert_eq!(status_of(open(&ada, at(&good)).await), 401, "a second time");

    // Somebody else's session, another camera, another rendition; and it is
    // spent with that.
    let shown = ticket(&ada).await;
    assert_eq!(status_of(open(&ben.cookie, at(&shown)).await), 401);
    assert_eq!(status_of(open(&ada, at(&shown)).await), 401);
    let shown = ticket(&ada).await;
    assert_eq!(status_of(open(&ada, format!("{}?ticket={shown}", path(other))).await), 401);
    let shown = ticket(&ada).await;
    assert_eq!(status_of(open(&ada, format!("{}&rendition=sub", at(&shown))).await), 401);

    // Half a minute later.
    let shown = ticket(&ada).await;
    let expired =
        world.sql("UPDATE ceremonies SET expires_at = expires_at - 30000 WHERE kind = 'live-ticket'");
    assert!(expired.await > 0);
    assert_eq!(status_of(open(&ada, at(&shown)).await), 401);

    // Access that was taken away in between.
    let shown = ticket(&ben.cookie).await;
    let past = Some(model::Timestamp(1));
    organisation
        .append(&world, Statement::SetAccess { person: ben.id, scope: Scope::All, audio: true, until: past })
        .await;
    assert_eq!(status_of(open(&ben.cookie, at(&shown)).await), 404);
}
