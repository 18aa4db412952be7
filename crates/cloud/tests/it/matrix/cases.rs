//! What is tried at each route, and what it takes. A route without a row fails
//! the test.

use cloud::Route;
use model::{EventId, Hash};
use serde_json::{Value, json};

use super::things::Things;
use crate::support::fresh;

/// What a case needs of its caller.
#[derive(Clone, Copy, Debug)]
pub(super) enum Needs {
    /// Judged by what the body holds; here it holds nothing of value.
    Nothing,
    /// What there is not.
    Nowhere,
    Session,
    Administrator,
    /// An administrator of the organisation whose thing the path names.
    AdministratorHere,
    /// An administrator or an auditor, for reading the history.
    History,
    HistoryHere,
    /// Access to the camera, now, and a role that includes watching.
    Door,
    Till,
    /// Access to the camera, whatever the role.
    OpensDoor,
    OpensTill,
    /// To be Ada.
    Ada,
    /// Or to administer her organisation.
    AdaOrAdministrator,
    /// A session of the organisation whose thing the path names; what comes
    /// then depends on what was signed.
    SessionHere,
}

pub(super) struct Case {
    pub(super) needs: Needs,
    pub(super) path: String,
    pub(super) body: Value,
}

pub(super) fn cases(route: &Route, things: &Things) -> Vec<Case> {
    use Needs::{
        Ada, AdaOrAdministrator, Administrator, AdministratorHere, Door, History, HistoryHere, Nothing,
        Nowhere, OpensDoor, OpensTill, Session, SessionHere, Till,
    };
    let Things {
        door,
        till,
        gateway,
        recordings,
        hours,
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
        wall,
        share,
        ended,
        bookmark,
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
        | ("POST", "/api/v1/login/sheet/challenge" | "/api/v1/login/sheet")
        | ("POST", "/api/v1/login/sheet/roster" | "/api/v1/login/sheet/statements")
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
            | "/api/v1/factors" | "/api/v1/walls" | "/api/v1/shares" | "/api/v1/silences",
        )
        | (
            "POST",
            "/api/v1/roster"
            | "/api/v1/shares"
            | "/api/v1/bookmarks"
            | "/api/v1/verifications/begin"
            | "/api/v1/verifications"
            | "/api/v1/actions"
            | "/api/v1/verifications/code"
            | "/api/v1/reasons"
            | "/api/v1/factors",
        ) => plain(Session),
        ("PUT", "/api/v1/shares/{id}/files/{file}/pieces/{number}") => {
            vec![case(Ada, format!("/api/v1/shares/{share}/files/1/pieces/0"), json!({}))]
        }
        ("POST", "/api/v1/shares/{id}/whole") => {
            vec![case(Ada, format!("/api/v1/shares/{share}/whole"), json!({ "pieces": 9 }))]
        }
        ("DELETE", "/api/v1/shares/{id}") => {
            vec![case(AdaOrAdministrator, format!("/api/v1/shares/{ended}"), json!({}))]
        }
        // What a link shows is none of a session's.
        ("POST", "/api/v1/shared/{id}/openings") => {
            let body = json!({ "access": Hash(fresh()) });
            vec![case(Nothing, format!("/api/v1/shared/{share}/openings"), body)]
        }
        ("GET", "/api/v1/shared/{id}/files/{file}/pieces/{number}") => {
            vec![case(Nothing, format!("/api/v1/shared/{share}/files/1/pieces/0"), json!({}))]
        }
        ("GET", "/api/v1/bookmarks") => {
            vec![case(Session, "/api/v1/bookmarks?from=0&to=9".to_owned(), json!({}))]
        }
        // It is locked; whose it is stands in a test of its own.
        ("DELETE", "/api/v1/bookmarks/{id}") => {
            vec![case(Door, format!("/api/v1/bookmarks/{bookmark}"), json!({}))]
        }
        ("GET" | "DELETE", "/api/v1/mail") => plain(Session),
        ("PUT", "/api/v1/mail") => {
            let body = json!({ "address": "x", "language": "en" });
            vec![case(Session, route.path.to_owned(), body)]
        }
        ("POST", "/api/v1/mail/confirmations") => {
            vec![case(Nothing, route.path.to_owned(), json!({ "token": Hash(fresh()) }))]
        }
        ("GET" | "POST", "/mail/stop/{token}") => {
            vec![case(Nothing, format!("/mail/stop/{}", Hash(fresh())), json!({}))]
        }
        // Whoever was told of an event fetches its picture without a session.
        ("GET", "/api/v1/stills/{id}") => {
            vec![case(Nowhere, format!("/api/v1/stills/{}", Hash(fresh())), json!({}))]
        }
        ("GET", "/api/v1/events") => vec![case(Session, "/api/v1/events?from=0&to=9".to_owned(), json!({}))],
        ("POST", "/api/v1/events/reviewed") => {
            let events = json!([{ "id": EventId::from_random([7; 16]), "at": 1 }]);
            vec![case(Session, route.path.to_owned(), json!({ "events": events, "reviewed": true }))]
        }
        // They would end the callers of the cases that follow.
        ("POST", "/api/v1/logout") | ("DELETE", "/api/v1/sessions") => vec![],
        ("DELETE", "/api/v1/people/{id}/sessions") => {
            vec![case(AdministratorHere, format!("/api/v1/people/{person}/sessions"), json!({}))]
        }
        ("DELETE", "/api/v1/sessions/{id}") => {
            vec![case(Ada, format!("/api/v1/sessions/{session}"), json!({}))]
        }
        ("PUT", "/api/v1/walls/{id}") => {
            let body = json!({ "name": "Mine", "shared": true, "columns": 1, "tiles": [], "revision": 1 });
            vec![case(Ada, format!("/api/v1/walls/{wall}"), body)]
        }
        ("GET" | "PUT" | "DELETE", "/api/v1/notices/{device}")
        | ("POST", "/api/v1/notices/{device}/test") => {
            let path = route.path.replace("{device}", &device.to_string());
            vec![case(
                Ada,
                path,
                json!({ "subscription": { "endpoint": "", "p256dh": "", "auth": "" }, "orders": [] }),
            )]
        }
        ("DELETE", "/api/v1/walls/{id}") => {
            vec![case(Ada, format!("/api/v1/walls/{wall}"), json!({}))]
        }
        ("POST", "/api/v1/factors/passkeys/{id}") => {
            vec![case(Ada, format!("/api/v1/factors/passkeys/{passkey}"), json!({ "name": "Key" }))]
        }
        (
            "GET",
            "/api/v1/device-requests"
            | "/api/v1/people"
            | "/api/v1/proposals"
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
        ("GET", "/api/v1/history" | "/api/v1/history/checkpoint") => plain(History),
        ("DELETE", "/api/v1/service-accounts/{id}") => {
            vec![case(AdministratorHere, format!("/api/v1/service-accounts/{service}"), json!({}))]
        }
        ("POST", "/witness/add-checkpoint") => plain(Nothing),
        ("GET", "/api/v1/history/consistency") => {
            // The other organisation's log is shorter.
            vec![case(HistoryHere, format!("{}?old={size}", route.path), json!({}))]
        }
        ("GET", "/api/v1/history/tile/{*path}") => {
            vec![case(HistoryHere, format!("/api/v1/history/tile/entries/000.p/{size}"), json!({}))]
        }
        ("GET", "/api/v1/history/{seq}/proof") => {
            vec![case(HistoryHere, format!("/api/v1/history/{}/proof", size - 1), json!({}))]
        }
        ("POST", "/api/v1/explanations") => [(OpensDoor, door), (OpensTill, till)]
            .map(|(needs, camera)| {
                case(needs, route.path.to_owned(), json!({ "operation": "live", "camera": camera }))
            })
            .into(),
        ("GET", "/api/v1/reasons/{reference}") => {
            vec![case(HistoryHere, format!("/api/v1/reasons/{reason}"), json!({}))]
        }
        ("GET", "/api/v1/signatures/{hash}") => {
            vec![case(AdministratorHere, format!("/api/v1/signatures/{signature}"), json!({}))]
        }
        (
            "POST",
            "/api/v1/proposals/{id}/signatures"
            | "/api/v1/proposals/{id}/decline"
            | "/api/v1/proposals/{id}/carry-out",
        ) => {
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
        ("GET", "/api/v1/cameras/{id}/recordings" | "/api/v1/cameras/{id}/hours")
        | ("POST", "/api/v1/cameras/{id}/live") => [(Door, door), (Till, till)]
            .map(|(needs, id)| case(needs, route.path.replace("{id}", &id.to_string()), json!({})))
            .into(),
        ("GET", "/api/v1/cameras/{id}/timeline") => [(Door, door), (Till, till)]
            .map(|(needs, id)| case(needs, format!("/api/v1/cameras/{id}/timeline?from=0&to=9"), json!({})))
            .into(),
        ("GET", "/api/v1/cameras/{id}/hours/{hash}") => [(Door, door, "door"), (Till, till, "till")]
            .map(|(needs, camera, name)| {
                case(needs, format!("/api/v1/cameras/{camera}/hours/{}", hours[name]), json!({}))
            })
            .into(),
        ("POST", "/api/v1/cameras/{id}/ptz") => [(Door, door), (Till, till)]
            .map(|(needs, id)| {
                let challenge = json!({ "challenge": Hash([1; 32]) });
                case(needs, route.path.replace("{id}", &id.to_string()), challenge)
            })
            .into(),
        // Judged by what was signed, which is nothing here.
        ("POST", "/api/v1/cameras/{id}/ptz/orders") => {
            vec![case(Session, route.path.replace("{id}", &door.to_string()), json!({}))]
        }
        ("POST", "/api/v1/cameras/{id}/events") => [(Door, door), (Till, till)]
            .map(|(needs, id)| {
                case(needs, route.path.replace("{id}", &id.to_string()), json!({ "seconds": 1 }))
            })
            .into(),
        ("GET", "/api/v1/recordings/{id}") => [(Door, "door"), (Till, "till")]
            .map(|(needs, name)| case(needs, format!("/api/v1/recordings/{}", recordings[name]), json!({})))
            .into(),
        ("GET", "/api/v1/recordings/{id}/dating") => [(Door, "door"), (Till, "till")]
            .map(|(needs, name)| {
                case(needs, format!("/api/v1/recordings/{}/dating?checkpoint=1", recordings[name]), json!({}))
            })
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
