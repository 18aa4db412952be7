//! Moving a camera (format.md section 11, protocol.md section 8). The cloud
//! decides who may and carries what a device signed; its gateway judges again,
//! and takes no order that is late, repeated, or of another session.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use cloud_core::Action;
use model::wire::PtzRefusal;
use model::{CameraId, GatewayId, Hash};
use seal::ptz::PtzOrder;
use seal::roster::Roster;
use serde::Deserialize;
use utoipa::ToSchema;

use super::actions::carried_out_before;
use super::commands;
use super::extract::{Json, Path};
use super::types::EnvelopeBody;
use crate::app::App;
use crate::clock;
use crate::hub::NoAnswer;
use crate::problem::Problem;
use crate::sessions::Caller;

/// Of a gateway's words, in characters.
const WORDS_MAX: usize = 300;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Challenge {
    /// 32 random bytes of the device's, in hex: the answer is to this request.
    #[schema(value_type = String)]
    challenge: Hash,
}

#[utoipa::path(post, path = "/api/v1/cameras/{id}/ptz", params(("id" = String, Path)), request_body = Challenge,
    responses((status = 200, body = EnvelopeBody),
              (status = 502, description = "`camera_refused`: the camera did not say what it can do"),
              (status = 503, description = "`gateway_offline`: its gateway is not connected")))]
pub(crate) async fn open(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(camera): Path<CameraId>,
    Json(Challenge { challenge }): Json<Challenge>,
) -> Result<Json<EnvelopeBody>, Problem> {
    let now = clock::now();
    let roster = app.roster(caller.org, now).await?;
    // Nothing moves by it: it stands in the history with the first order.
    let _permit = app.decide(&caller, &roster, Action::Ptz { camera }, now).await?;
    let gateway = gateway_of(&roster, camera)?;
    let envelope = app.hub.ptz_session(gateway, camera, challenge).await.map_err(unanswered)?;
    Ok(Json(EnvelopeBody { envelope }))
}

#[utoipa::path(post, path = "/api/v1/cameras/{id}/ptz/orders", params(("id" = String, Path)),
    request_body = EnvelopeBody,
    responses((status = 204),
              (status = 409, description = "`ptz_over`, `ptz_late` or `ptz_taken`"),
              (status = 502, description = "`camera_refused`: the camera did not do it"),
              (status = 503, description = "`gateway_offline`: its gateway is not connected")))]
pub(crate) async fn order(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(camera): Path<CameraId>,
    Json(EnvelopeBody { envelope }): Json<EnvelopeBody>,
) -> Result<StatusCode, Problem> {
    let now = clock::now();
    let roster = app.roster(caller.org, now).await?;
    let (order, device) = PtzOrder::verify(&envelope, &roster, now)
        .map_err(|error| Problem::invalid(format!("The order is not accepted: {error}.")))?;
    if roster.device(device).is_none_or(|device| device.person != caller.person) {
        return Err(Problem::invalid("The signature must be of a device of yours."));
    }
    let signature = seal::sha256(&envelope.payload.0);
    let action = match order.movement.changes_presets() {
        true => Action::ChangePresets { camera, signature },
        false => Action::Ptz { camera },
    };
    let permit = app.decide(&caller, &roster, action, now).await?;
    let gateway = gateway_of(&roster, camera)?;
    if (order.camera, order.gateway) != (camera, gateway) {
        return Err(Problem::invalid("The order is for another camera or gateway."));
    }
    if order.movement.changes_presets() {
        if !app.database.keep_signature(caller.org, signature, &envelope, now).await? {
            return Err(carried_out_before());
        }
        permit.record(&app.recorder).await?;
    } else {
        // Somebody who steers orders several times a second.
        app.recorded_read(caller.session, permit, now).await?;
    }
    match app.hub.ptz_order(gateway, camera, envelope).await.map_err(unanswered)? {
        None => Ok(StatusCode::NO_CONTENT),
        Some(refusal) => Err(refused(refusal)),
    }
}

fn gateway_of(roster: &Roster, camera: CameraId) -> Result<GatewayId, Problem> {
    roster.camera(camera).map(|camera| camera.gateway).ok_or_else(Problem::not_found)
}

fn refused(refusal: PtzRefusal) -> Problem {
    let conflict =
        |code, message: &str, remedy: &str| Problem::new(StatusCode::CONFLICT, code, message, remedy);
    match refusal {
        PtzRefusal::NoSession => conflict(
            "ptz_over",
            "The gateway knows nothing of this session any more.",
            "Open another one, and order it there.",
        ),
        PtzRefusal::Late => conflict(
            "ptz_late",
            "The order came too late, or came before.",
            "Open another session if it happens again: the connection may be slow.",
        ),
        PtzRefusal::Taken => conflict(
            "ptz_taken",
            "Somebody else is moving this camera.",
            "Wait until it rests for 5 seconds.",
        ),
        PtzRefusal::NotAllowed => Problem::new(
            StatusCode::FORBIDDEN,
            "gateway_refused",
            "The gateway does not take this order from your device.",
            "Its roster may be behind: try again in a minute, and ask an administrator if it stays so.",
        ),
        PtzRefusal::Camera { reason } => camera_refused(&reason),
    }
}

fn camera_refused(reason: &str) -> Problem {
    let reason: String = reason.chars().filter(|c| !c.is_control()).take(WORDS_MAX).collect();
    Problem::new(
        StatusCode::BAD_GATEWAY,
        "camera_refused",
        format!("The camera did not do it: {reason}."),
        "Look whether the camera is on, and whether its account may control PTZ.",
    )
}

fn unanswered(no_answer: NoAnswer) -> Problem {
    match no_answer {
        NoAnswer::Offline => commands::offline(),
        NoAnswer::Failed(reason) => camera_refused(&reason),
        NoAnswer::Busy => Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "gateway_busy",
            "Too much is ordered of the gateway's cameras at once.",
            "Try again in a moment.",
        ),
        NoAnswer::Silent | NoAnswer::Wrong => Problem::new(
            StatusCode::GATEWAY_TIMEOUT,
            "gateway_silent",
            "The gateway did not answer in time.",
            "Try again in a moment; the camera stops by itself.",
        ),
    }
}
