//! Gateways as people see them, and signed commands to their sites. The cloud
//! carries a command and its signed answer (`commands`).

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use cloud_core::Action;
use model::wire::SiteSettings;
use model::{GatewayId, Hash, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use super::commands;
use super::extract::{Json, Path};
use super::types::{EnvelopeBody, SiteSettingsSchema};
use crate::app::App;
use crate::clock;
use crate::problem::Problem;
use crate::rosters::signers;
use crate::services::Asker;
use crate::sessions::Caller;

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Gateways {
    gateways: Vec<GatewayListing>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GatewayListing {
    #[schema(value_type = String)]
    id: GatewayId,
    name: String,
    connected: bool,
    /// Hash of the site's configuration, for the next command.
    #[schema(value_type = Option<String>)]
    state: Option<Hash>,
    version: Option<String>,
    /// How the site is set, as the gateway says; null while it is not connected.
    #[schema(value_type = Option<SiteSettingsSchema>)]
    settings: Option<SiteSettings>,
    #[schema(value_type = Option<u64>)]
    certificate_expires_at: Option<Timestamp>,
}

#[utoipa::path(get, path = "/api/v1/gateways", responses((status = 200, body = Gateways)))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Extension(asker): Extension<Asker>,
) -> Result<Json<Gateways>, Problem> {
    let (org, now) = (asker.org(), clock::now());
    let roster = app.roster(org, now).await?;
    if let Asker::Service(_) = &asker {
        app.reads(&asker, &roster, Action::ListGateways, now).await?;
    }
    let certificates = app.database.certificates(org).await?;
    let listing = |gateway: &seal::roster::Gateway| {
        let status = app.hub.status(gateway.id);
        GatewayListing {
            id: gateway.id,
            name: gateway.name.clone(),
            connected: app.hub.is_linked(gateway.id),
            state: status.as_ref().map(|status| status.state),
            version: status.map(|status| status.version),
            settings: app.hub.settings(gateway.id),
            certificate_expires_at: certificates.get(&gateway.id).copied(),
        }
    };
    Ok(Json(Gateways { gateways: roster.state().gateways.values().map(listing).collect() }))
}

#[utoipa::path(post, path = "/api/v1/gateways/{id}/commands", params(("id" = String, Path)),
    request_body = EnvelopeBody,
    responses((status = 200, body = EnvelopeBody, description = "the gateway's signed answer"),
              (status = 403, description = "`verification_needed`, or `more_approvals_needed`: propose it"),
              (status = 409, description = "`declined`, as a proposal"),
              (status = 504, description = "no answer within 30 seconds")))]
pub(crate) async fn command(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(gateway): Path<GatewayId>,
    Json(body): Json<EnvelopeBody>,
) -> Result<Json<EnvelopeBody>, Problem> {
    let now = clock::now();
    let roster = app.roster(caller.org, now).await?;
    if roster.gateway(gateway).is_none() {
        return Err(Problem::not_found());
    }
    let agreement = commands::agreement(&roster, &body.envelope, now)?;
    if agreement.command.target != gateway {
        return Err(Problem::invalid("The command is for another gateway."));
    }
    if app.database.is_declined(caller.org, agreement.hash).await? {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            "declined",
            "An administrator has declined this command.",
            "Propose it anew, if it is to be done all the same.",
        ));
    }
    let permit = commands::judge(&app, &caller, &roster, &body.envelope, &agreement, now).await?;
    // A test changes nothing.
    if agreement.command.command.changes_site() {
        let signers = signers(&body.envelope);
        app.user_verified(&caller, &roster, &signers, agreement.hash, now).await?;
    }
    permit.record(&app.recorder).await?;
    app.database.keep_signature(caller.org, agreement.hash, &body.envelope, now).await?;
    let envelope = commands::send(&app, &agreement.command, body.envelope).await?;
    Ok(Json(EnvelopeBody { envelope }))
}
