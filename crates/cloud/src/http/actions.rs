//! `POST /api/v1/actions`: what a session alone must not be enough for, signed
//! by a device of the person who is signed in (format.md section 6). The
//! signature stays beside the history.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use cloud_core::Action;
use model::wire::Envelope;
use model::{DeviceId, Hash, Timestamp};
use seal::action::{self, SignedAction, Verified};
use seal::roster::Roster;
use serde::Serialize;
use utoipa::ToSchema;

use super::extract::{Json, Path};
use super::types::EnvelopeBody;
use crate::app::App;
use crate::clock;
use crate::problem::Problem;
use crate::sessions::Caller;

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Acted {
    /// SHA-256 of the payload: how the history names the signature.
    #[schema(value_type = String)]
    signature: Hash,
}

#[utoipa::path(post, path = "/api/v1/actions", request_body = EnvelopeBody,
    responses((status = 200, body = Acted), (status = 403, description = "`verification_needed`"),
              (status = 409, description = "`state_moved` or `replayed`")))]
pub(crate) async fn act(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Json(body): Json<EnvelopeBody>,
) -> Result<Json<Acted>, Problem> {
    let now = clock::now();
    let roster = app.roster(caller.org, now).await?;
    let verified = verified(&body.envelope, &roster, &caller, now)?;
    let action = match verified.signed.action {
        action::Action::Export { camera, from, to, .. } => {
            Action::Export { camera, from, to, signature: verified.hash }
        }
        action::Action::Share { .. } => return Err(elsewhere("/api/v1/shares")),
        action::Action::CreateServiceAccount { .. } => return Err(elsewhere("/api/v1/service-accounts")),
        action::Action::OpenPast { .. } => return Err(elsewhere("/api/v1/past-openings")),
        action::Action::AssignRoles { .. } => return Err(elsewhere("/api/v1/roles")),
        action::Action::ErasePerson { .. } => return Err(elsewhere("/api/v1/erasures")),
        action::Action::SetPolicy { .. } => return Err(elsewhere("/api/v1/policy")),
    };
    // What may not be seen is told before a touch of the passkey is asked for.
    let permit = app.decide(&caller, &roster, action, now).await?;
    accept(&app, &caller, &roster, (&body.envelope, verified.hash, verified.devices), now).await?;
    permit.record(&app.recorder).await?;
    Ok(Json(Acted { signature: verified.hash }))
}

#[utoipa::path(get, path = "/api/v1/signatures/{hash}", params(("hash" = String, Path)),
    responses((status = 200, body = EnvelopeBody)))]
pub(crate) async fn signature(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(hash): Path<Hash>,
) -> Result<Json<EnvelopeBody>, Problem> {
    let envelope = app.database.signature(caller.org, hash).await?.ok_or_else(Problem::not_found)?;
    Ok(Json(EnvelopeBody { envelope }))
}

/// Signed by devices of the caller alone, on top of the roster as it is.
pub(crate) fn verified(
    envelope: &Envelope,
    roster: &Roster,
    caller: &Caller,
    now: Timestamp,
) -> Result<Verified, Problem> {
    let verified = SignedAction::verify(envelope, roster, now)
        .map_err(|error| Problem::invalid(format!("The action is not accepted: {error}.")))?;
    own(&verified, roster, caller)?;
    if verified.signed.previous_state != roster.head().1 {
        return Err(moved());
    }
    Ok(verified)
}

/// The person confirmed it, and it is carried out for the first time; the
/// signature is kept.
pub(crate) async fn accept(
    app: &App,
    caller: &Caller,
    roster: &Roster,
    (envelope, hash, devices): (&Envelope, Hash, BTreeSet<DeviceId>),
    now: Timestamp,
) -> Result<(), Problem> {
    let devices: Vec<_> = devices.into_iter().collect();
    app.user_verified(caller, roster, &devices, hash, now).await?;
    if app.database.keep_signature(caller.org, hash, envelope, now).await? {
        Ok(())
    } else {
        Err(carried_out_before())
    }
}

fn elsewhere(path: &str) -> Problem {
    Problem::invalid(format!("This action goes to {path}."))
}

pub(crate) fn carried_out_before() -> Problem {
    Problem::new(StatusCode::CONFLICT, "replayed", "This action was carried out before.", "Sign a new one.")
}

/// Nobody acts with the signature of somebody else.
pub(crate) fn own(verified: &Verified, roster: &Roster, caller: &Caller) -> Result<(), Problem> {
    let of_caller = |device| roster.device(device).is_some_and(|device| device.person == caller.person);
    if verified.devices.iter().copied().all(of_caller) {
        Ok(())
    } else {
        Err(Problem::invalid("The signature must be of a device of yours."))
    }
}

pub(crate) fn moved() -> Problem {
    Problem::new(
        StatusCode::CONFLICT,
        "state_moved",
        "What the action was signed for has changed meanwhile.",
        "Load it again, look at it, and sign anew.",
    )
}
