//! Accounts of programs, as administrators make and end them. Making one is an
//! order of as many as the roster demands; ending one takes something away, so
//! it acts at once.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use cloud_core::Action;
use model::{PersonId, ServiceId, Timestamp};
use seal::action::ServicePermission;
use seal::roster::Scope;
use serde::Serialize;
use utoipa::ToSchema;

use super::extract::{Json, Path};
use super::orders::carry_out;
use super::types::EnvelopeBody;
use crate::app::App;
use crate::clock;
use crate::database::ServiceRow;
use crate::problem::Problem;
use crate::sessions::Caller;

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ServiceAccounts {
    /// Newest first.
    accounts: Vec<ServiceListing>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ServiceListing {
    #[schema(value_type = String)]
    id: ServiceId,
    name: String,
    /// `list_cameras`, `list_gateways`, `list_recordings`, `provision_people`, `read_history`.
    #[schema(value_type = Vec<String>)]
    permissions: Vec<ServicePermission>,
    /// SCOPE of format.md section 2.
    #[schema(value_type = Object)]
    scope: Scope,
    #[schema(value_type = String)]
    created_by: PersonId,
    #[schema(value_type = u64)]
    created_at: Timestamp,
    #[schema(value_type = u64)]
    ends_at: Timestamp,
    #[schema(value_type = Option<u64>)]
    used_at: Option<Timestamp>,
    #[schema(value_type = Option<u64>)]
    revoked_at: Option<Timestamp>,
}

#[utoipa::path(get, path = "/api/v1/service-accounts", responses((status = 200, body = ServiceAccounts)))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<ServiceAccounts>, Problem> {
    let listing = |row: ServiceRow| ServiceListing {
        id: row.account,
        name: row.name,
        permissions: row.permissions.into_iter().collect(),
        scope: row.scope,
        created_by: row.created_by,
        created_at: row.created_at,
        ends_at: row.ends_at,
        used_at: (row.used_at.0 > 0).then_some(row.used_at),
        revoked_at: row.revoked_at,
    };
    let accounts = app.database.services(caller.org).await?.into_iter().map(listing).collect();
    Ok(Json(ServiceAccounts { accounts }))
}

#[utoipa::path(post, path = "/api/v1/service-accounts", request_body = EnvelopeBody,
    responses((status = 204), (status = 403, description = "`verification_needed`, or `more_approvals_needed`"),
              (status = 409, description = "`state_moved` or `replayed`")))]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Json(body): Json<EnvelopeBody>,
) -> Result<StatusCode, Problem> {
    carry_out(&app, &caller, &body.envelope, None).await
}

#[utoipa::path(delete, path = "/api/v1/service-accounts/{id}", params(("id" = String, Path)),
    responses((status = 204), (status = 404)))]
pub(crate) async fn revoke(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(account): Path<ServiceId>,
) -> Result<StatusCode, Problem> {
    let now = clock::now();
    let roster = app.roster(caller.org, now).await?;
    let permit = app.decide(&caller, &roster, Action::RevokeServiceAccount { account }, now).await?;
    if !app.database.revoke_service(caller.org, account, now).await? {
        return Err(Problem::not_found());
    }
    app.record_after(permit).await;
    Ok(StatusCode::NO_CONTENT)
}
