//! Bookmarks that lock recordings: gateways ask for them, judge them, and say
//! what they hold.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use model::wire::{LOCKS_MAX, LockOrders, LockResults};
use seal::bookmark::LockResult;
use seal::keys::VerifyingKey;
use serde::Deserialize;

use crate::app::App;
use crate::http::extract::{Json, Query};
use crate::http::guard::GatewayCaller;
use crate::problem::Problem;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AfterChange {
    after: u64,
}

pub(crate) async fn orders(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<GatewayCaller>,
    Query(AfterChange { after }): Query<AfterChange>,
) -> Result<Json<LockOrders>, Problem> {
    let of = (caller.org, caller.gateway);
    let mut orders = app.database.lock_orders(of, after.min(1 << 53), LOCKS_MAX as u64 + 1).await?;
    let more = orders.len() > LOCKS_MAX;
    orders.truncate(LOCKS_MAX);
    Ok(Json(LockOrders { orders, more }))
}

pub(crate) async fn seen_to(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<GatewayCaller>,
    Json(LockResults { results }): Json<LockResults>,
) -> Result<Json<serde_json::Value>, Problem> {
    if results.len() > LOCKS_MAX {
        return Err(Problem::invalid(format!("There are at most {LOCKS_MAX} results in a request.")));
    }
    let known = caller.roster.gateway(caller.gateway).ok_or_else(Problem::not_found)?;
    let key = VerifyingKey::from_bytes(&known.sign.0).map_err(anyhow::Error::from)?;
    for (number, envelope) in results.iter().enumerate() {
        let result = LockResult::verify(envelope, (caller.gateway, key))
            .map_err(|error| Problem::invalid(format!("results[{number}] is not accepted: {error}.")))?;
        let of = (caller.org, caller.gateway);
        app.database.lock_seen_to(of, (result.bookmark, result.order), envelope).await?;
    }
    Ok(Json(serde_json::json!({})))
}
