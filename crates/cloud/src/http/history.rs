//! Who was allowed what, newest first. Reading it is written down too.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use cloud_core::Action;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::extract::{Json, Query};
use crate::app::App;
use crate::clock;
use crate::database::HistoryRow;
use crate::problem::Problem;
use crate::sessions::Caller;

const ENTRIES_DEFAULT: u64 = 100;
const ENTRIES_MAX: u64 = 1_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Stretch {
    before: Option<u64>,
    limit: Option<u64>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HistoryPage {
    entries: Vec<HistoryRow>,
}

#[utoipa::path(get, path = "/api/v1/history",
    params(("before" = Option<u64>, Query, description = "only entries before this position"),
           ("limit" = Option<u64>, Query, description = "at most so many; 100, and never more than 1000")),
    responses((status = 200, body = HistoryPage)))]
pub(crate) async fn read(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Query(query): Query<Stretch>,
) -> Result<Json<HistoryPage>, Problem> {
    let now = clock::now();
    let roster = app.roster(caller.org, now).await?;
    app.read_permit(&caller, &roster, Action::ReadHistory, now).await?;
    let limit = query.limit.unwrap_or(ENTRIES_DEFAULT).min(ENTRIES_MAX);
    let entries = app.database.history(caller.org, query.before.unwrap_or(u64::MAX), limit).await?;
    Ok(Json(HistoryPage { entries }))
}
