//! Every route of every port, and who may call it. A handler is reached
//! through a row of this table or not at all, and each row is wrapped in the
//! guard that holds it to its `who`.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use axum::routing::{MethodRouter, delete, get, patch, post, put};
use model::wire::BODY_MAX;
use seal::capsule::PIECE_SEALED_BYTES_MAX;
use seal::tlog::SUBMISSION_BYTES_MAX;
use tower_http::compression::CompressionLayer;

use super::guard::{Guard, Who, guard};
use super::{
    actions, bookmarks, cameras, devices, enrolments, events, factors, headers, health, history, hours, live,
    login, mail, notices, page, passwords, past, people, proposals, providers, ptz, reasons, recordings,
    recovery, roster, rules, scim, services, sessions, setup, shared, shares, sheet, silences, sites, status,
    stills, timeline, verifications, walls, witness,
};
use crate::app::App;
use crate::gateways;
use crate::requests;

/// Body of a viewer's request: the largest is one signed statement.
const VIEWER_BODY_MAX: usize = 1 << 20;
const TIME_MAX: Duration = Duration::from_secs(35);
/// For calls that move or read back whole objects.
const TRANSFER_MAX: Duration = Duration::from_secs(15 * 60);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    Viewers,
    Gateways,
    Metrics,
}

/// A row without its handler, for tests and documents.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    pub port: Port,
    pub method: &'static str,
    pub path: &'static str,
    pub who: Who,
}

struct Row {
    route: Route,
    time_max: Duration,
    handler: MethodRouter<Arc<App>>,
}

fn row(
    port: Port,
    method: &'static str,
    path: &'static str,
    who: Who,
    handler: MethodRouter<Arc<App>>,
) -> Row {
    Row { route: Route { port, method, path, who }, time_max: TIME_MAX, handler }
}

impl Row {
    fn transfer(self) -> Self {
        Row { time_max: TRANSFER_MAX, ..self }
    }
}

fn table() -> Vec<Row> {
    [viewers(), directory(), pages(), gateway_calls(), metrics()].into_iter().flatten().collect()
}

#[rustfmt::skip]
fn viewers() -> Vec<Row> {
    use Who::{Administrator, Anyone, Link, Log, Mail, Reader, Session, SessionOrToken, SignIn, Ticket, Token};
    let viewer = |method, path, who, handler| row(Port::Viewers, method, path, who, handler);
    vec![
        // Anyone: what the sign-in page shows.
        viewer("GET", "/api/v1/status", Anyone, get(status::status)),
        viewer("POST", "/api/v1/setup/passkey", Token, post(setup::begin)),
        viewer("POST", "/api/v1/setup", Token, post(setup::finish)),
        // Token: passkey or signature, checked by the handler, slowed by the guard.
        viewer("POST", "/api/v1/login/passkey/begin", Token, post(login::begin_passkey)),
        viewer("POST", "/api/v1/login/passkey", Token, post(login::passkey)),
        viewer("POST", "/api/v1/login/device/challenge", Token, post(login::device_challenge)),
        viewer("POST", "/api/v1/login/device", Token, post(login::device)),
        viewer("POST", "/api/v1/login/password", SignIn, post(passwords::sign_in)),
        viewer("POST", "/api/v1/login/recovery", Token, post(recovery::recover)),
        // Token: of whoever proved to hold the recovery sheet; the first two make it.
        viewer("POST", "/api/v1/login/sheet/challenge", Token, post(sheet::challenge)),
        viewer("POST", "/api/v1/login/sheet", Token, post(sheet::prove)),
        viewer("POST", "/api/v1/login/sheet/roster", Token, post(sheet::roster)),
        viewer("POST", "/api/v1/login/sheet/statements", Token, post(sheet::append)),
        // Token: what the provider sent back, which the handler checks.
        viewer("POST", "/api/v1/login/providers/{id}/begin", Token, post(providers::begin)),
        viewer("POST", "/api/v1/login/providers/{id}", Token, post(providers::finish)),
        viewer("POST", "/api/v1/logout", Session, post(login::logout)),
        viewer("GET", "/api/v1/me", Session, get(login::who_am_i)),
        viewer("GET", "/api/v1/sessions", Session, get(sessions::list)),
        viewer("DELETE", "/api/v1/sessions", Session, delete(sessions::end_others)),
        viewer("DELETE", "/api/v1/sessions/{id}", Session, delete(sessions::end)),
        viewer("GET", "/api/v1/people", Administrator, get(people::list)),
        viewer("POST", "/api/v1/erasures", Administrator, post(people::erase)),
        viewer("DELETE", "/api/v1/people/{id}/sessions", Administrator, delete(sessions::end_of_person)),
        viewer("GET", "/api/v1/roster", Session, get(roster::read)),
        viewer("POST", "/api/v1/roster", Session, post(roster::append)),
        viewer("POST", "/api/v1/verifications/begin", Session, post(verifications::begin)),
        viewer("POST", "/api/v1/verifications", Session, post(verifications::finish)),
        viewer("POST", "/api/v1/verifications/code", Session, post(verifications::by_code)),
        viewer("GET", "/api/v1/factors", Session, get(factors::list)),
        viewer("POST", "/api/v1/factors", Session, post(factors::change)),
        viewer("POST", "/api/v1/factors/passkeys/{id}", Session, post(factors::rename)),
        // Token: of a verified change, or of a recovery code.
        viewer("POST", "/api/v1/factors/passkey/begin", Token, post(factors::begin_passkey)),
        viewer("POST", "/api/v1/factors/passkey", Token, post(factors::add_passkey)),
        viewer("POST", "/api/v1/factors/password/begin", Token, post(passwords::begin)),
        viewer("POST", "/api/v1/factors/password", Token, post(passwords::finish)),
        viewer("POST", "/api/v1/actions", Session, post(actions::act)),
        viewer("GET", "/api/v1/signatures/{hash}", Administrator, get(actions::signature)),
        viewer("GET", "/api/v1/proposals", Administrator, get(proposals::list)),
        viewer("POST", "/api/v1/proposals", Administrator, post(proposals::propose)),
        viewer("POST", "/api/v1/proposals/{id}/signatures", Administrator, post(proposals::sign)),
        viewer("POST", "/api/v1/proposals/{id}/decline", Administrator, post(proposals::decline)),
        viewer("POST", "/api/v1/proposals/{id}/carry-out", Administrator, post(proposals::carry_out)),
        viewer("POST", "/api/v1/device-links", Administrator, post(devices::link)),
        viewer("GET", "/api/v1/device-requests", Administrator, get(devices::list)),
        viewer("POST", "/api/v1/device-requests", SessionOrToken, post(devices::request)),
        // Anyone: the device's id has 128 bits, and who waits asks often.
        viewer("GET", "/api/v1/device-requests/{device}", Anyone, get(devices::asked)),
        viewer("POST", "/api/v1/device-requests/{device}/nonce", Administrator, post(devices::answer)),
        viewer("DELETE", "/api/v1/device-requests/{device}", Administrator, delete(devices::decline)),
        viewer("POST", "/api/v1/invitations", Administrator, post(people::invite)),
        viewer("POST", "/api/v1/invitations/passkey", Token, post(people::begin_invitation)),
        viewer("POST", "/api/v1/invitations/accept", Token, post(people::accept_invitation)),
        viewer("GET", "/api/v1/enrolments/{lookup}", Administrator, get(enrolments::find)),
        viewer("POST", "/api/v1/enrolments/{lookup}/accept", Administrator, post(enrolments::accept)),
        viewer("GET", "/api/v1/gateways", Reader, get(sites::list)),
        viewer("POST", "/api/v1/gateways/{id}/commands", Session, post(sites::command)),
        viewer("GET", "/api/v1/cameras", Reader, get(cameras::list)),
        viewer("GET", "/api/v1/events", Session, get(events::list)),
        viewer("POST", "/api/v1/events/reviewed", Session, post(events::review)),
        viewer("GET", "/api/v1/notices/{device}", Session, get(notices::read)),
        viewer("PUT", "/api/v1/notices/{device}", Session, put(notices::order)),
        viewer("DELETE", "/api/v1/notices/{device}", Session, delete(notices::end)),
        viewer("POST", "/api/v1/notices/{device}/test", Session, post(notices::test)),
        viewer("GET", "/api/v1/bookmarks", Session, get(bookmarks::list)),
        viewer("POST", "/api/v1/bookmarks", Session, post(bookmarks::put)),
        viewer("DELETE", "/api/v1/bookmarks/{id}", Session, delete(bookmarks::remove)),
        // Anyone: the id has 256 bits, and a service worker has no session to show.
        viewer("GET", "/api/v1/stills/{id}", Anyone, get(stills::read)),
        viewer("GET", "/api/v1/mail", Session, get(mail::read)),
        viewer("PUT", "/api/v1/mail", Session, put(mail::set)),
        viewer("DELETE", "/api/v1/mail", Session, delete(mail::end)),
        viewer("POST", "/api/v1/mail/confirmations", Token, post(mail::confirm)),
        // Anyone: the page, which asks. Whoever only looks, as scanners of links do, ends nothing.
        viewer("GET", "/mail/stop/{token}", Anyone, get(page::index)),
        viewer("POST", "/mail/stop/{token}", Mail, post(mail::stop)),
        viewer("GET", "/api/v1/shares", Session, get(shares::list)),
        viewer("POST", "/api/v1/shares", Session, post(shares::create)),
        viewer("PUT", "/api/v1/shares/{id}/files/{file}/pieces/{number}", Session, put(shares::put).layer(DefaultBodyLimit::max(PIECE_SEALED_BYTES_MAX))).transfer(),
        viewer("POST", "/api/v1/shares/{id}/whole", Session, post(shares::whole)),
        viewer("DELETE", "/api/v1/shares/{id}", Session, delete(shares::end)),
        viewer("POST", "/api/v1/shared/{id}/openings", Link, post(shared::open)),
        // Anyone: the opening's token has 256 bits, and a film has many pieces.
        viewer("GET", "/api/v1/shared/{id}/files/{file}/pieces/{number}", Anyone, get(shared::piece)),
        viewer("GET", "/api/v1/silences", Session, get(silences::list)),
        viewer("GET", "/api/v1/walls", Session, get(walls::list)),
        viewer("PUT", "/api/v1/walls/{id}", Session, put(walls::save)),
        viewer("DELETE", "/api/v1/walls/{id}", Session, delete(walls::remove)),
        viewer("GET", "/api/v1/cameras/{id}/recordings", Reader, get(cameras::recordings)),
        viewer("GET", "/api/v1/cameras/{id}/timeline", Reader, get(timeline::timeline)),
        viewer("GET", "/api/v1/cameras/{id}/hours", Reader, get(hours::list)),
        viewer("GET", "/api/v1/cameras/{id}/hours/{hash}", Reader, get(hours::one)),
        viewer("POST", "/api/v1/cameras/{id}/events", Session, post(cameras::raise_event)),
        viewer("POST", "/api/v1/cameras/{id}/ptz", Session, post(ptz::open)),
        viewer("POST", "/api/v1/cameras/{id}/ptz/orders", Session, post(ptz::order)),
        viewer("POST", "/api/v1/cameras/{id}/live", Session, post(live::ticket)),
        viewer("GET", "/api/v1/cameras/{id}/live", Ticket, get(live::live)),
        viewer("GET", "/api/v1/recordings/{id}", Session, get(recordings::read)),
        viewer("GET", "/api/v1/recordings/{id}/dating", Session, get(recordings::dating)),
        viewer("GET", "/api/v1/epochs/{epoch}/grants/{device}", Session, get(recordings::epoch_grant)),
        viewer("GET", "/api/v1/epochs/{epoch}/past-grants/{device}", Session, get(past::read)),
        viewer("POST", "/api/v1/past-openings", Administrator, post(past::open)),
        viewer("GET", "/api/v1/past-openings/{device}/epochs", Administrator, get(past::epochs)),
        viewer("POST", "/api/v1/past-openings/{device}/grants", Administrator, post(past::hand_on)),
        viewer("GET", "/api/v1/service-accounts", Administrator, get(services::list)),
        viewer("POST", "/api/v1/service-accounts", Administrator, post(services::create)),
        viewer("DELETE", "/api/v1/service-accounts/{id}", Administrator, delete(services::revoke)),
        viewer("GET", "/api/v1/policy", Administrator, get(rules::policy)),
        viewer("POST", "/api/v1/policy", Administrator, post(rules::set_policy)),
        viewer("GET", "/api/v1/roles", Administrator, get(rules::roles)),
        viewer("POST", "/api/v1/roles", Administrator, post(rules::assign_roles)),
        viewer("POST", "/api/v1/explanations", Session, post(rules::explanation)),
        viewer("POST", "/api/v1/reasons", Session, post(reasons::state)),
        viewer("GET", "/api/v1/reasons/{reference}", Reader, get(reasons::read)),
        viewer("GET", "/api/v1/history", Reader, get(history::read)),
        viewer("GET", "/api/v1/history/checkpoint", Reader, get(history::checkpoint)),
        viewer("GET", "/api/v1/history/consistency", Reader, get(history::consistency)),
        viewer("GET", "/api/v1/history/tile/{*path}", Reader, get(history::tile)),
        viewer("GET", "/api/v1/history/{seq}/proof", Reader, get(history::proof)),
        viewer("POST", "/witness/add-checkpoint", Log, post(witness::add_checkpoint).layer(DefaultBodyLimit::max(SUBMISSION_BYTES_MAX))),
    ]
}

#[rustfmt::skip]
fn directory() -> Vec<Row> {
    let call = |method, path, handler| row(Port::Viewers, method, path, Who::Provisioner, handler);
    vec![
        call("GET", "/scim/v2/ServiceProviderConfig", get(scim::provider_config)),
        call("GET", "/scim/v2/ResourceTypes", get(scim::resource_types)),
        call("GET", "/scim/v2/Schemas", get(scim::schemas)),
        call("GET", "/scim/v2/Users", get(scim::list_people)),
        call("POST", "/scim/v2/Users", post(scim::create_person)),
        call("GET", "/scim/v2/Users/{id}", get(scim::read_person)),
        call("PUT", "/scim/v2/Users/{id}", put(scim::replace_person)),
        call("PATCH", "/scim/v2/Users/{id}", patch(scim::patch_person)),
        call("DELETE", "/scim/v2/Users/{id}", delete(scim::delete_person)),
        call("GET", "/scim/v2/Groups", get(scim::list_groups)),
        call("POST", "/scim/v2/Groups", post(scim::create_group)),
        call("GET", "/scim/v2/Groups/{id}", get(scim::read_group)),
        call("PUT", "/scim/v2/Groups/{id}", put(scim::replace_group)),
        call("PATCH", "/scim/v2/Groups/{id}", patch(scim::patch_group)),
        call("DELETE", "/scim/v2/Groups/{id}", delete(scim::delete_group)),
    ]
}

/// Anyone: the page is the same for everybody and holds nothing.
fn pages() -> Vec<Row> {
    let page = |(path, handler)| row(Port::Viewers, "GET", path, Who::Anyone, handler);
    page_handlers().map(page).into()
}

fn page_handlers<S: Clone + Send + Sync + 'static>() -> [(&'static str, MethodRouter<S>); 2] {
    let compressed = |handler: MethodRouter<S>| handler.layer(CompressionLayer::new());
    [("/", compressed(get(page::index))), ("/{*path}", compressed(get(page::path)))]
}

/// The web app inside this program, with the headers that the cloud gives it,
/// and nothing else: for programs that serve it without being a cloud.
pub fn web_app() -> Router {
    let add = |router: Router, (path, handler)| router.route(path, handler);
    let router = page_handlers().into_iter().fold(Router::new(), add);
    router.layer(middleware::from_fn_with_state(false, headers::add))
}

#[rustfmt::skip]
fn gateway_calls() -> Vec<Row> {
    use Who::{Anyone, Gateway, SignedUrl, Token};
    use gateways::{
        certificate, enrol, hours, journal, link, locks, notices, read_back, report, roster, stills, upload, witness,
    };
    let call = |method, path, who, handler| row(Port::Gateways, method, path, who, handler);
    vec![
        call("POST", "/gateway/v1/enrolments", Token, post(enrol::enrol)),
        // Anyone: the look-up value has 256 bits, and gateways ask often.
        call("GET", "/gateway/v1/enrolments/{lookup}", Anyone, get(enrol::poll)),
        call("POST", "/gateway/v1/certificate/challenge", Token, post(certificate::challenge)),
        // Token: the signed challenge.
        call("POST", "/gateway/v1/certificate", Token, post(certificate::issue)),
        call("GET", "/gateway/v1/roster", Gateway, get(roster::read)),
        call("POST", "/gateway/v1/epoch-grants", Gateway, post(report::epoch_grants)),
        call("POST", "/gateway/v1/upload-grants", Gateway, post(upload::grants)),
        call("POST", "/gateway/v1/recordings", Gateway, post(report::recordings)).transfer(),
        call("POST", "/gateway/v1/hours", Gateway, post(hours::hours)).transfer(),
        call("GET", "/gateway/v1/notice-orders", Gateway, get(notices::orders)),
        call("POST", "/gateway/v1/notices", Gateway, post(notices::tell)),
        call("GET", "/gateway/v1/locks", Gateway, get(locks::orders)),
        call("POST", "/gateway/v1/locks", Gateway, post(locks::seen_to)),
        call("POST", "/gateway/v1/stills", Gateway, post(stills::store)),
        call("POST", "/gateway/v1/read-back", Gateway, post(read_back::read_back)),
        call("POST", "/gateway/v1/journal", Gateway, post(journal::tell)),
        call("GET", "/gateway/v1/history/checkpoint", Gateway, get(witness::checkpoint)),
        call("POST", "/gateway/v1/history/witness", Gateway, post(witness::report)),
        call("GET", "/gateway/v1/link", Gateway, get(link::link)),
        call("PUT", "/store/v1/{container}/{*name}", SignedUrl, put(upload::put)).transfer(),
    ]
}

/// Anyone who reaches the port: it is on loopback unless somebody moves it.
fn metrics() -> Vec<Row> {
    let own = |path, handler| row(Port::Metrics, "GET", path, Who::Anyone, handler);
    vec![
        own("/healthz", get(health::alive)),
        own("/readyz", get(health::ready)),
        own("/metrics", get(health::metrics)),
    ]
}

/// The whole table.
pub fn routes() -> Vec<Route> {
    table().into_iter().map(|row| row.route).collect()
}

pub(crate) fn router(app: &Arc<App>, port: Port) -> Router {
    let mut router = Router::new();
    for row in table().into_iter().filter(|row| row.route.port == port) {
        let Row { route, time_max, handler } = row;
        let guarded = Guard {
            app: app.clone(),
            who: route.who,
            time_max,
            viewers: port == Port::Viewers,
            route: (route.method, route.path),
        };
        router =
            router.route(route.path, handler.route_layer(middleware::from_fn_with_state(guarded, guard)));
    }
    let router = router.with_state(app.clone());
    let router = match port {
        Port::Viewers => {
            let tls = app.config.listen.tls_certificate.is_some() || app.public_url.scheme() == "https";
            router
                .layer(DefaultBodyLimit::max(VIEWER_BODY_MAX))
                .layer(middleware::from_fn_with_state(tls, headers::add))
        }
        Port::Gateways => router.layer(DefaultBodyLimit::max(BODY_MAX)),
        Port::Metrics => router,
    };
    router.layer(middleware::from_fn(requests::identify))
}
