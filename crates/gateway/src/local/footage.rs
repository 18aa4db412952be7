//! Sealed recordings by byte ranges, the keys that were sealed to the caller's
//! device, and exports: written down before a byte of them goes out.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use futures_util::StreamExt as _;
use model::wire::Envelope;
use model::{AskedRange, ByteRange, DeviceId, EpochId, Hash};
use seal::action::{Action, SignedAction};
use seal::local::{JournalEvent, RefusedReason};
use serde::Serialize;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::io::ReaderStream;

use super::door::{Caller, Refused};
use super::problem::Problem;
use super::routes::Signed;
use super::{Peer, Way};

const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/vnd.lenskeep.recording");
const READ_BYTES: usize = 64 << 10;

pub(super) async fn read(
    State(way): State<Arc<Way>>,
    Extension(caller): Extension<Caller>,
    Extension(peer): Extension<Peer>,
    Path(id): Path<Hash>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let failed = |error: anyhow::Error| Problem::internal(&error);
    let (found, _) = way.index.recording(id).await.map_err(failed)?.ok_or_else(Problem::not_found)?;
    let camera = found.report.camera;
    let view = way.view();
    if view.camera(caller.device, camera, way.now(&view)).is_none() {
        way.refuse(Refused { device: Some(caller.device), reason: RefusedReason::Access }, peer);
        return Err(Problem::not_found());
    }
    let slot = way.reads.take(caller.device).ok_or_else(Problem::busy)?;
    // What retention has deleted is gone, row or not.
    let file = tokio::fs::File::open(way.root.join(&found.path)).await;
    let mut file = file.map_err(|_| Problem::not_found())?;
    let size = file.metadata().await.map_err(|error| failed(error.into()))?.len();
    let (status, range) = match asked_range(&headers, size) {
        AskedRange::All => (StatusCode::OK, ByteRange { first: 0, last: size.saturating_sub(1) }),
        AskedRange::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
        AskedRange::Outside => return Ok(outside(size)),
    };
    let body = if method == Method::HEAD {
        Body::empty()
    } else {
        if !way.door.is_noted(&caller, id) {
            let Caller { device, person, .. } = caller;
            way.note(device, JournalEvent::Playback { device, person, camera, recording: id }).await?;
            way.door.note(&caller, id);
        }
        let moved = file.seek(std::io::SeekFrom::Start(range.first)).await;
        moved.map_err(|error| failed(error.into()))?;
        let bytes = ReaderStream::with_capacity(file.take(range.length()), READ_BYTES);
        // The slot goes when the last byte has gone, or whoever asked.
        Body::from_stream(bytes.map(move |part| {
            let _ = &slot;
            part
        }))
    };
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

/// A `Range` that stands exactly once.
fn asked_range(headers: &HeaderMap, size: u64) -> AskedRange {
    let mut values = headers.get_all(header::RANGE).iter();
    let value = values.next().filter(|_| values.next().is_none());
    AskedRange::of(value.and_then(|value| value.to_str().ok()), size)
}

fn outside(size: u64) -> Response {
    let message = "The range lies outside of the recording.";
    let problem =
        Problem::new(StatusCode::RANGE_NOT_SATISFIABLE, "range", message, "Ask for its size (HEAD).");
    let mut response = problem.into_response();
    let range = HeaderValue::try_from(format!("bytes */{size}")).expect("digits");
    response.headers_mut().insert(header::CONTENT_RANGE, range);
    response
}

/// A device gets its own grants and learns of no others.
pub(super) async fn grant(
    State(way): State<Arc<Way>>,
    Extension(caller): Extension<Caller>,
    Path((epoch, device)): Path<(EpochId, DeviceId)>,
) -> Result<Json<Envelope>, Problem> {
    if device != caller.device {
        return Err(Problem::not_found());
    }
    let grant = way.index.grant(epoch, device).await.map_err(|error| Problem::internal(&error))?;
    grant.map(Json).ok_or_else(Problem::not_found)
}

#[derive(Debug, Serialize)]
pub(super) struct Acted {
    signature: Hash,
}

/// An export: signed by the device that takes footage out, kept whole, so that
/// the cloud's history has the signature too.
pub(super) async fn act(
    State(way): State<Arc<Way>>,
    Extension(caller): Extension<Caller>,
    Json(Signed { envelope }): Json<Signed>,
) -> Result<Json<Acted>, Problem> {
    let view = way.view();
    let now = way.now(&view);
    let verified = SignedAction::verify(&envelope, &view.roster, now)
        .map_err(|_| Problem::invalid("The action is not signed as it must be, or not for now."))?;
    let Action::Export { camera, .. } = verified.signed.action else {
        return Err(Problem::invalid("Only an export is ordered here; everything else goes to the cloud."));
    };
    if !verified.devices.iter().eq([&caller.device]) {
        return Err(Problem::invalid("The action is signed by the device that asks, and by no other."));
    }
    view.camera(caller.device, camera, now).ok_or_else(Problem::not_found)?;
    // Which head of the roster it saw is the device's own word: it may know one
    // that has not come here yet.
    if way.door.is_noted(&caller, verified.hash) {
        let message = "This action was carried out before.";
        return Err(Problem::new(StatusCode::CONFLICT, "replayed", message, "Sign a new one."));
    }
    let Caller { device, person, .. } = caller;
    way.note(device, JournalEvent::Export { device, person, camera, action: envelope }).await?;
    way.door.note(&caller, verified.hash);
    Ok(Json(Acted { signature: verified.hash }))
}
