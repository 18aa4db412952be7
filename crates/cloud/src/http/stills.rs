//! Pictures that go with notices, for the service worker that a notice has
//! reached. It has no session that it could show, since the browser is locked as
//! a rule: whoever knows the id was told of the event, and nobody else can open
//! what is here.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use model::{Hash, Timestamp};

use super::extract::Path;
use crate::app::App;
use crate::clock;
use crate::problem::Problem;

/// No picture is kept longer. Notices wait for three hours at most.
pub(crate) const STILL_MS_MAX: u64 = Timestamp::DAY;

#[utoipa::path(get, path = "/api/v1/stills/{id}",
    params(("id" = String, Path, description = "256 bits in hex, as the notice's secret gives them")),
    responses((status = 200, body = Vec<u8>, content_type = "application/octet-stream"),
              (status = 404, description = "not yet, not any more, or never")))]
pub(crate) async fn read(State(app): State<Arc<App>>, Path(id): Path<Hash>) -> Result<Response, Problem> {
    let since = clock::now().minus_ms(STILL_MS_MAX);
    let bytes = app.database.still(id, since).await?.ok_or_else(Problem::not_found)?;
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], bytes).into_response())
}
