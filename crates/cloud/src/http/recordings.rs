//! Sealed recordings by byte ranges, and the keys that were sealed to a
//! device. Bytes pass through from the store; nothing is held in memory.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use cloud_core::Action;
use model::wire::{Container, Envelope};
use model::{DeviceId, EpochId, Hash};

use super::extract::{Json, Path};
use super::types::EnvelopeSchema;
use crate::app::App;
use crate::clock;
use crate::problem::Problem;
use crate::sessions::Caller;
use crate::store::Range;

const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/vnd.lenskeep.recording");

#[utoipa::path(get, path = "/api/v1/recordings/{id}", params(("id" = String, Path)),
    responses((status = 200, description = "the sealed bytes", content_type = "application/vnd.lenskeep.recording"),
              (status = 206, description = "one range of them"), (status = 416, description = "not within")))]
pub(crate) async fn read(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<Hash>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let now = clock::now();
    let found = app.database.recording(caller.org, id).await?.ok_or_else(Problem::not_found)?;
    let roster = app.roster(caller.org, now).await?;
    app.read_permit(&caller, &roster, Action::Playback { camera: found.camera, recording: id }, now).await?;

    let size = found.bytes;
    let (status, range) = match asked_range(&headers, size) {
        Asked::All => (StatusCode::OK, Range { first: 0, last: size - 1 }),
        Asked::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
        Asked::Outside => return Ok(outside(size)),
    };
    let body = if method == Method::HEAD {
        Body::empty()
    } else {
        let read = app.store.read(Container::Footage, &found.name, range).await?;
        Body::from_stream(read.ok_or_else(Problem::not_found)?)
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

#[derive(Debug, PartialEq, Eq)]
enum Asked {
    All,
    Part(Range),
    Outside,
}

/// RFC 9110 section 14.2. A `Range` that is malformed, of another unit or of
/// several ranges may be ignored, and is.
fn asked_range(headers: &HeaderMap, size: u64) -> Asked {
    let mut values = headers.get_all(header::RANGE).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return Asked::All };
    let Some(spec) = value.to_str().ok().and_then(|value| value.strip_prefix("bytes=")) else {
        return Asked::All;
    };
    let Some((first, last)) = spec.trim().split_once('-') else { return Asked::All };
    let number =
        |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<u64>().ok()).flatten();
    let range = match (first, last) {
        ("", suffix) => match number(suffix) {
            None => return Asked::All,
            Some(0) => return Asked::Outside,
            Some(length) => Range { first: size.saturating_sub(length), last: size - 1 },
        },
        (first, "") => match number(first) {
            None => return Asked::All,
            Some(first) => Range { first, last: size - 1 },
        },
        (first, last) => match (number(first), number(last)) {
            (Some(first), Some(last)) if first <= last => Range { first, last: last.min(size - 1) },
            _ => return Asked::All,
        },
    };
    if range.first < size { Asked::Part(range) } else { Asked::Outside }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_or_all() {
        let of = |text: &'static str| {
            asked_range(&HeaderMap::from_iter([(header::RANGE, HeaderValue::from_static(text))]), 100)
        };
        let part = |first, last| Asked::Part(Range { first, last });
        assert_eq!(of("bytes=0-9"), part(0, 9));
        assert_eq!(of("bytes=90-"), part(90, 99));
        assert_eq!(of("bytes=90-1000"), part(90, 99));
        assert_eq!(of("bytes=-10"), part(90, 99));
        assert_eq!(of("bytes=-1000"), part(0, 99));
        for outside in ["bytes=100-", "bytes=100-200", "bytes=-0"] {
            assert_eq!(of(outside), Asked::Outside, "{outside}");
        }
        for ignored in
            ["bytes=9-0", "bytes=0-1,5-6", "lines=0-1", "bytes=+1-2", "bytes=a-b", "bytes=", "bytes=-"]
        {
            assert_eq!(of(ignored), Asked::All, "{ignored}");
        }
        assert_eq!(asked_range(&HeaderMap::new(), 100), Asked::All);
    }
}
