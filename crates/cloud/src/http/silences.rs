//! Gateways that nothing was heard of for too long, for the people whose cameras they
//! have.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use model::{GatewayId, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use super::cameras::visible;
use super::extract::Json;
use crate::app::App;
use crate::clock;
use crate::permits::is_administrator;
use crate::problem::Problem;
use crate::services::Asker;
use crate::sessions::Caller;
use crate::silence::KEPT_MS;

/// In one answer, of the last 90 days.
const LISTED_MAX: u64 = 500;

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Silences {
    /// Those that go on, then the newest.
    silences: Vec<Silence>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Silence {
    #[schema(value_type = String)]
    gateway: GatewayId,
    /// When the server heard of it last, or began to wait for it.
    #[schema(value_type = u64)]
    since: Timestamp,
    /// Null while it is silent.
    #[schema(value_type = Option<u64>)]
    until: Option<Timestamp>,
}

#[utoipa::path(get, path = "/api/v1/silences", responses((status = 200, body = Silences)))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Silences>, Problem> {
    let now = clock::now();
    let roster = app.roster(caller.org, now).await?;
    let visible = visible(&app, &Asker::Person(caller), &roster, now).await?;
    let theirs: BTreeSet<GatewayId> = visible.into_iter().map(|(camera, _)| camera.gateway).collect();
    let sees_all = is_administrator(&roster, caller.person, now);
    let rows = app.database.silences(caller.org, now.minus_ms(KEPT_MS), LISTED_MAX).await?;
    let seen = rows.into_iter().filter(|row| sees_all || theirs.contains(&row.gateway));
    let silences =
        seen.map(|row| Silence { gateway: row.gateway, since: row.since, until: row.ended_at }).collect();
    Ok(Json(Silences { silences }))
}
