//! Gateways that came with an enrolment code. Who holds the code's secret
//! checks the MAC and signs; the cloud finds, keeps and carries.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use cloud_core::Action;
use model::Hash;
use model::wire::GatewayKeys;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::extract::{Json, Path};
use super::types::GatewayKeysSchema;
use crate::app::App;
use crate::clock;
use crate::database::Enrolment;
use crate::problem::Problem;
use crate::sessions::Caller;

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Enrolling {
    #[schema(value_type = GatewayKeysSchema)]
    gateway: GatewayKeys,
    /// Hex, of the code's secret over the keys.
    #[schema(value_type = String)]
    mac: Hash,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Accept {
    /// Hex, of the code's secret over anchor and statement.
    #[schema(value_type = String)]
    mac: Hash,
}

#[utoipa::path(get, path = "/api/v1/enrolments/{lookup}", params(("lookup" = String, Path)),
    responses((status = 200, body = Enrolling), (status = 404, description = "nobody came with this code yet")))]
pub(crate) async fn find(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(lookup): Path<Hash>,
) -> Result<Json<Enrolling>, Problem> {
    let enrolment = visible(&app, &caller, lookup).await?;
    Ok(Json(Enrolling { gateway: enrolment.gateway, mac: enrolment.mac }))
}

#[utoipa::path(post, path = "/api/v1/enrolments/{lookup}/accept", params(("lookup" = String, Path)),
    request_body = Accept, responses((status = 204)))]
pub(crate) async fn accept(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(lookup): Path<Hash>,
    Json(body): Json<Accept>,
) -> Result<StatusCode, Problem> {
    let now = clock::now();
    let enrolment = visible(&app, &caller, lookup).await?;
    let roster = app.roster(caller.org, now).await?;
    // Only a gateway that the roster has; its statement is in what it gets.
    let audited = app.permit(&caller, &roster, Action::Enrol { gateway: enrolment.gateway.id }, now).await?;
    let mut transaction = app.database.begin().await?;
    if !transaction.accept_enrolment(lookup, caller.org, body.mac, &audited).await? {
        return Err(Problem::not_found());
    }
    transaction.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// One that nobody has accepted yet, or our own.
async fn visible(app: &App, caller: &Caller, lookup: Hash) -> Result<Enrolment, Problem> {
    let enrolment = app.database.enrolment(lookup, clock::now()).await?.ok_or_else(Problem::not_found)?;
    match enrolment.org {
        Some(org) if org != caller.org => Err(Problem::not_found()),
        _ => Ok(enrolment),
    }
}
