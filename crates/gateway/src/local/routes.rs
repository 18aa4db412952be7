//! The routes of the local port. Two are for whoever comes and have their own
//! proof; all others are reached through the guard, which knows the caller.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use model::wire::Envelope;
use model::{GatewayId, Hash, OrgId};
use seal::local::JournalEvent;
use serde::{Deserialize, Serialize};

use super::door::{Caller, SESSION_LIFE};
use super::problem::Problem;
use super::{Peer, Way, footage, lists, live};

/// The largest is a signed action.
const BODY_MAX: usize = 32 << 10;
/// Until an answer begins.
const ANSWER_MAX: Duration = Duration::from_secs(20);

pub(super) fn router(way: Arc<Way>) -> Router {
    let inside = Router::new()
        .route("/api/v1/me", get(who_am_i))
        .route("/api/v1/logout", post(leave))
        .route("/api/v1/roster", get(lists::roster))
        .route("/api/v1/cameras", get(lists::cameras))
        .route("/api/v1/cameras/{id}/recordings", get(lists::recordings))
        .route("/api/v1/cameras/{id}/timeline", get(lists::timeline))
        .route("/api/v1/cameras/{id}/live", get(live::live))
        .route("/api/v1/recordings/{id}", get(footage::read))
        .route("/api/v1/epochs/{epoch}/grants/{device}", get(footage::grant))
        .route("/api/v1/actions", post(footage::act))
        .route_layer(from_fn_with_state(way.clone(), guard));
    Router::new()
        .route("/local/v1/hello", post(hello))
        .route("/local/v1/login", post(login))
        .merge(inside)
        .fallback(async || Problem::not_found())
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(from_fn(in_time))
        .layer(from_fn(no_pages))
        .with_state(way)
}

/// Programs come here, pages do not: a browser that some page sends says so.
async fn no_pages(request: Request, next: Next) -> Response {
    if request.headers().contains_key(header::ORIGIN) {
        let message = "This port is for programs, not for pages.";
        return Problem::new(StatusCode::FORBIDDEN, "other_site", message, "Use `lenskeep`.").into_response();
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, header::HeaderValue::from_static("nosniff"));
    response
}

async fn in_time(request: Request, next: Next) -> Response {
    match tokio::time::timeout(ANSWER_MAX, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::busy().into_response(),
    }
}

async fn guard(State(way): State<Arc<Way>>, mut request: Request, next: Next) -> Response {
    let view = way.view();
    let caller = token(request.headers()).and_then(|token| way.door.caller(token, &view, way.now(&view)));
    let Some(caller) = caller else { return Problem::signed_out().into_response() };
    if !way.requests.allow(caller.device) {
        return Problem::too_many().into_response();
    }
    request.extensions_mut().insert(caller);
    next.run(request).await
}

/// The one well-formed token.
fn token(headers: &HeaderMap) -> Option<Hash> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next().filter(|_| values.next().is_none())?;
    value.to_str().ok()?.strip_prefix("Bearer ")?.parse().ok()
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Hello {
    challenge: Hash,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Signed {
    pub(super) envelope: Envelope,
}

async fn hello(
    State(way): State<Arc<Way>>,
    Extension(peer): Extension<Peer>,
    Json(Hello { challenge }): Json<Hello>,
) -> Result<Json<Signed>, Problem> {
    if !way.knocks.allow(peer.0) {
        return Err(Problem::too_many());
    }
    let view = way.view();
    let envelope = way.door.hello(&way.identity, &view, way.certificate.hash, challenge);
    Ok(Json(Signed { envelope: envelope.ok_or_else(Problem::too_many)? }))
}

/// The token is a credential: this type does not print.
#[derive(Serialize)]
struct Session {
    token: String,
    seconds: u64,
}

async fn login(
    State(way): State<Arc<Way>>,
    Extension(peer): Extension<Peer>,
    Json(Signed { envelope }): Json<Signed>,
) -> Result<Json<Session>, Problem> {
    if !way.knocks.allow(peer.0) {
        return Err(Problem::too_many());
    }
    let view = way.view();
    let checked = way.door.check(&envelope, &view, way.certificate.hash, way.now(&view));
    let (device, person) = checked.map_err(|refused| {
        way.refuse(refused, peer);
        Problem::login_refused()
    })?;
    way.note(device, JournalEvent::Login { device, person }).await?;
    tracing::info!(%device, %person, "let in on the local way");
    let token = way.door.open(device).expose().to_owned();
    Ok(Json(Session { token, seconds: SESSION_LIFE.as_secs() }))
}

#[derive(Debug, Serialize)]
struct Me {
    org: OrgId,
    org_name: String,
    person: model::PersonId,
    device: model::DeviceId,
    gateway: GatewayId,
    gateway_name: String,
}

async fn who_am_i(State(way): State<Arc<Way>>, Extension(caller): Extension<Caller>) -> Json<Me> {
    let view = way.view();
    let Caller { device, person, .. } = caller;
    let gateway_name = view.roster.gateway(view.gateway).map(|gateway| gateway.name.clone());
    Json(Me {
        org: view.roster.org(),
        org_name: view.roster.name().to_owned(),
        person,
        device,
        gateway: view.gateway,
        gateway_name: gateway_name.unwrap_or_default(),
    })
}

async fn leave(State(way): State<Arc<Way>>, Extension(caller): Extension<Caller>) -> StatusCode {
    way.door.leave(&caller);
    StatusCode::NO_CONTENT
}

impl Way {
    /// Writes down what a device is about to see. Without that it sees nothing.
    pub(super) async fn note(&self, device: model::DeviceId, event: JournalEvent) -> Result<(), Problem> {
        if !self.entries.allow(device) {
            return Err(Problem::too_many());
        }
        self.write(event).await.map_err(|error| Problem::journal(&error))
    }
}
