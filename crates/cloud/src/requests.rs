//! Each request has an id, which its answer, the server's log and the entries
//! of the history that it causes carry. We draw it: one that a caller brings
//! could stand for two requests, or for nothing.

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use model::RequestId;
use tracing::Instrument as _;

use crate::random;

pub(crate) const HEADER: HeaderName = HeaderName::from_static("x-request-id");

tokio::task_local! {
    static CURRENT: RequestId;
}

/// Of the request that is being answered; none in the server's own tasks.
pub(crate) fn current() -> Option<RequestId> {
    CURRENT.try_with(|id| *id).ok()
}

/// Around every router, so that errors of extractors and of the guard have it too.
pub(crate) async fn identify(request: Request, next: Next) -> Response {
    let id = RequestId::from_random(random::bytes());
    let span = tracing::info_span!("request", %id, method = %request.method());
    let mut response = CURRENT.scope(id, next.run(request)).instrument(span).await;
    if let Ok(value) = HeaderValue::from_str(&id.to_string()) {
        response.headers_mut().insert(HEADER, value);
    }
    response
}
