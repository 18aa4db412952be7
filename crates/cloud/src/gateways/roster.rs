//! The roster's log for a gateway of the organisation.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use model::wire::RosterAnswer;

use crate::app::App;
use crate::http::extract::{Json, Query};
use crate::http::guard::GatewayCaller;
use crate::http::roster::page;
use crate::http::types::After;
use crate::problem::Problem;

pub(crate) async fn read(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<GatewayCaller>,
    Query(query): Query<After>,
) -> Result<Json<RosterAnswer>, Problem> {
    Ok(Json(RosterAnswer { statements: page(&app, caller.org, query.after).await? }))
}
