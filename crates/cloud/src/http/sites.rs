//! Gateways as people see them, and signed commands to their sites. The cloud
//! carries a command and its signed answer; it can do neither itself.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use cloud_core::Action;
use model::wire::Envelope;
use model::{DeviceId, GatewayId, Hash, Timestamp};
use seal::command::{Command, SiteCommand};
use seal::envelope::{self, PayloadType};
use seal::keys::VerifyingKey;
use seal::roster::Roster;
use serde::Serialize;
use utoipa::ToSchema;

use super::extract::{Json, Path};
use super::types::EnvelopeBody;
use crate::app::App;
use crate::clock;
use crate::problem::Problem;
use crate::services::Asker;
use crate::sessions::Caller;

const ANSWER_MAX: Duration = Duration::from_secs(30);

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
            certificate_expires_at: certificates.get(&gateway.id).copied(),
        }
    };
    Ok(Json(Gateways { gateways: roster.state().gateways.values().map(listing).collect() }))
}

#[utoipa::path(post, path = "/api/v1/gateways/{id}/commands", params(("id" = String, Path)),
    request_body = EnvelopeBody,
    responses((status = 200, body = EnvelopeBody, description = "the gateway's signed answer"),
              (status = 403, description = "`verification_needed`"),
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
    let command: SiteCommand = envelope::payload(PayloadType::Command, &body.envelope)
        .ok()
        .and_then(|bytes| seal::from_canonical(bytes).ok())
        .ok_or_else(|| Problem::invalid("This is not a command to a site."))?;
    if (command.org, command.target) != (caller.org, gateway) {
        return Err(Problem::invalid("The command is for another gateway."));
    }
    let signers = signers(&roster, &body.envelope);
    let subject = seal::sha256(&body.envelope.payload.0);
    let configure = Action::Configure { gateway, command: subject, signers: signers.clone() };
    let permit = app.decide(&caller, &roster, configure, now).await?;
    // A test changes nothing.
    if !matches!(command.command, Command::TestCamera { .. }) {
        app.user_verified(&caller, &roster, &signers, subject, now).await?;
    }
    permit.record(&app.recorder).await?;
    app.database.keep_signature(caller.org, subject, &body.envelope, now).await?;
    let answer = app.hub.command(gateway, body.envelope).ok_or_else(offline)?;
    match tokio::time::timeout(ANSWER_MAX, answer).await {
        Ok(Ok(envelope)) => Ok(Json(EnvelopeBody { envelope })),
        // The link went down with the command on it.
        Ok(Err(_)) => Err(offline()),
        Err(_) => Err(Problem::new(
            StatusCode::GATEWAY_TIMEOUT,
            "gateway_silent",
            "The gateway did not answer within 30 seconds.",
            "Look whether the change took effect before trying again.",
        )),
    }
}

/// Devices whose signature fits; the gateway checks again.
fn signers(roster: &Roster, envelope: &Envelope) -> Vec<DeviceId> {
    let key_of = |keyid: &str| {
        let device = roster.device(keyid.parse().ok()?)?;
        VerifyingKey::from_bytes(&device.sign.0).ok()
    };
    let good = envelope::signers(PayloadType::Command, envelope, key_of).unwrap_or_default();
    good.iter().filter_map(|keyid| keyid.parse().ok()).collect()
}

fn offline() -> Problem {
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "gateway_offline",
        "The gateway is not connected, or is busy.",
        "Check that it runs and reaches the cloud, then try again.",
    )
}
