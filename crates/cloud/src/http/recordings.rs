//! Sealed recordings by byte ranges, and the keys that were sealed to a
//! device. Bytes pass through from the store, or from the gateway that has
//! them alone; nothing is held in memory.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use cloud_core::Action;
use model::wire::{Container, Envelope};
use model::{AskedRange, ByteRange, CameraId, DeviceId, EpochId, Hash, Rendition};
use seal::dating::Dating;
use serde::Deserialize;

use super::extract::{Json, Path, Query};
use super::on_site::OnSite;
use super::types::{DatingSchema, EnvelopeSchema};
use crate::app::App;
use crate::database::FoundRecording;
use crate::problem::Problem;
use crate::sessions::Caller;
use crate::store::Range;
use crate::{batches, clock};

const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/vnd.lenskeep.recording");

#[derive(Debug, Deserialize)]
pub(crate) struct Which {
    camera: Option<CameraId>,
}

#[utoipa::path(get, path = "/api/v1/recordings/{id}",
    params(("id" = String, Path),
           ("camera" = Option<String>, Query, description = "whose recording it is; without it, only what was forwarded is found")),
    responses((status = 200, description = "the sealed bytes", content_type = "application/vnd.lenskeep.recording"),
              (status = 206, description = "one range of them"), (status = 416, description = "not within"),
              (status = 503, description = "`gateway_offline`, `gateway_busy`: it may be on the gateway alone"),
              (status = 504, description = "`gateway_silent`"), (status = 502, description = "`gateway_refused`")))]
pub(crate) async fn read(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<Hash>,
    Query(Which { camera }): Query<Which>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let now = clock::now();
    let roster = app.roster(caller.org, now).await?;
    let Some(found) = app.database.recording(caller.org, id).await? else {
        let camera = camera.ok_or_else(Problem::not_found)?;
        let site = OnSite::find(&app, &caller, &roster, (camera, id)).await?;
        let size = site.size;
        return ranged(size, &method, &headers, async |Range { first, last }| {
            site.body(ByteRange { first, last }).await
        })
        .await;
    };
    if camera.is_some_and(|camera| camera != found.camera) {
        return Err(Problem::not_found());
    }
    app.read_permit(&caller, &roster, reading(id, &found), now).await?;
    ranged(found.bytes, &method, &headers, async |range| {
        let read = app.store.read(Container::Footage, &found.name, range).await?;
        Ok(Body::from_stream(read.ok_or_else(Problem::not_found)?))
    })
    .await
}

/// What reading it is, for policies and the history.
fn reading(recording: Hash, found: &FoundRecording) -> Action {
    match *found {
        FoundRecording { rendition: Rendition::Events, camera, .. } => Action::ReadEvents { camera },
        FoundRecording { camera, .. } => Action::Playback { camera, recording },
    }
}

/// Answers with the range that was asked for, of something of `size` bytes.
async fn ranged(
    size: u64,
    method: &Method,
    headers: &HeaderMap,
    body: impl AsyncFnOnce(Range) -> Result<Body, Problem>,
) -> Result<Response, Problem> {
    let (status, range) = match asked_range(headers, size) {
        AskedRange::All => (StatusCode::OK, Range { first: 0, last: size - 1 }),
        AskedRange::Part(ByteRange { first, last }) => (StatusCode::PARTIAL_CONTENT, Range { first, last }),
        AskedRange::Outside => return Ok(outside(size)),
    };
    let body = if method == Method::HEAD { Body::empty() } else { body(range).await? };
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, MEDIA_TYPE);
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(range.length()));
    if status == StatusCode::PARTIAL_CONTENT {
        let range = format!("bytes {}-{}/{size}", range.first, range.last);
        headers.insert(header::CONTENT_RANGE, HeaderValue::try_from(range).expect("digits"));
    }
    Ok(response)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Held {
    /// Entries of the checkpoint that the recording's header holds.
    checkpoint: Option<u64>,
}

#[utoipa::path(get, path = "/api/v1/recordings/{id}/dating",
    params(("id" = String, Path),
           ("checkpoint" = Option<u64>, Query, description = "entries of the checkpoint that its header holds")),
    responses((status = 200, description = "what the history shows of its time (format.md section 5.2)", body = DatingSchema)))]
pub(crate) async fn dating(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<Hash>,
    Query(held): Query<Held>,
) -> Result<Json<Dating>, Problem> {
    let now = clock::now();
    let found = app.database.recording(caller.org, id).await?.ok_or_else(Problem::not_found)?;
    let roster = app.roster(caller.org, now).await?;
    app.read_permit(&caller, &roster, Action::Playback { camera: found.camera, recording: id }, now).await?;
    Ok(Json(batches::dating(&app, caller.org, id, held.checkpoint).await?))
}

#[utoipa::path(get, path = "/api/v1/epochs/{epoch}/grants/{device}",
    params(("epoch" = String, Path), ("device" = String, Path)),
    responses((status = 200, body = EnvelopeSchema)))]
pub(crate) async fn epoch_grant(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path((epoch, device)): Path<(EpochId, DeviceId)>,
) -> Result<Json<Envelope>, Problem> {
    let now = clock::now();
    let roster = app.roster(caller.org, now).await?;
    app.read_permit(&caller, &roster, Action::ReadGrants { epoch, device }, now).await?;
    app.database.epoch_grant(caller.org, epoch, device).await?.map(Json).ok_or_else(Problem::not_found)
}

/// A `Range` that stands exactly once.
fn asked_range(headers: &HeaderMap, size: u64) -> AskedRange {
    let mut values = headers.get_all(header::RANGE).iter();
    let value = values.next().filter(|_| values.next().is_none());
    AskedRange::of(value.and_then(|value| value.to_str().ok()), size)
}

fn outside(size: u64) -> Response {
    let problem = Problem::new(
        StatusCode::RANGE_NOT_SATISFIABLE,
        "range",
        format!("The recording has {size} bytes; the range lies outside."),
        "Ask for a range within it.",
    );
    let mut response = problem.into_response();
    let range = HeaderValue::try_from(format!("bytes */{size}")).expect("digits");
    response.headers_mut().insert(header::CONTENT_RANGE, range);
    response
}
