//! Devices that ask to be added to the roster. Being asked for gives a device
//! nothing; an administrator's device compares and signs. Where a device came
//! by a link, the cloud carries what proves its keys (protocol.md section 1.1)
//! and can check none of it.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use cloud_core::Action;
use model::{DeviceId, Hash, OrgId, PersonId, Secret, Timestamp};
use seal::keys::{KemPublic, VerifyingKey};
use seal::roster::Device;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::extract::{Json, Path};
use super::orders::is_known;
use super::people::invited;
use super::types::{DeviceSchema, OneTimeLink, check_name};
use crate::app::App;
use crate::database::{DeviceRequestRow, TokenKind};
use crate::problem::Problem;
use crate::sessions::Caller;
use crate::{clock, random};

/// Devices of one person that may wait at the same time.
const REQUESTS_MAX: u64 = 10;
const DEVICE_LIFE_MAX_MS: u64 = 90 * Timestamp::DAY;
/// Both devices are at hand when a link is made.
const LINK_MS: u64 = Timestamp::HOUR;

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeviceRequests {
    requests: Vec<DeviceRequest>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeviceRequest {
    #[schema(value_type = DeviceSchema)]
    device: Device,
    #[schema(value_type = u64)]
    created_at: Timestamp,
    pairing: Option<PairingProof>,
    #[schema(value_type = Option<String>)]
    nonce: Option<Hash>,
}

/// That the device came by a link, and with which keys.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PairingProof {
    #[schema(value_type = String)]
    lookup: Hash,
    /// Hex, of the link's secret over anchor and device.
    #[schema(value_type = String)]
    mac: Hash,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RequestDevice {
    #[schema(value_type = DeviceSchema)]
    device: Device,
    /// Of an invitation that was not accepted yet, or of a device's link;
    /// without it, a session.
    #[schema(value_type = Option<String>)]
    token: Option<Secret>,
    pairing: Option<PairingProof>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LinkDevice {
    #[schema(value_type = String)]
    person: PersonId,
}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PairingNonce {
    #[schema(value_type = String)]
    nonce: Hash,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Asked {
    /// The administrator's answer; null while there is none.
    #[schema(value_type = Option<String>)]
    nonce: Option<Hash>,
}

#[utoipa::path(get, path = "/api/v1/device-requests", responses((status = 200, body = DeviceRequests)))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<DeviceRequests>, Problem> {
    let listed = |row: DeviceRequestRow| DeviceRequest {
        device: row.device,
        created_at: row.created_at,
        pairing: row.pairing.map(|(lookup, mac)| PairingProof { lookup, mac }),
        nonce: row.nonce,
    };
    let requests = app.database.device_requests(caller.org).await?.into_iter().map(listed).collect();
    Ok(Json(DeviceRequests { requests }))
}

#[utoipa::path(post, path = "/api/v1/device-links", request_body = LinkDevice,
    responses((status = 200, body = OneTimeLink)))]
pub(crate) async fn link(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Json(body): Json<LinkDevice>,
) -> Result<Json<OneTimeLink>, Problem> {
    let now = clock::now();
    let roster = app.roster(caller.org, now).await?;
    if !is_known(&app, &roster, body.person).await? {
        return Err(Problem::invalid("There is no such person."));
    }
    let audited = app.permit(&caller, &roster, Action::LinkDevice { person: body.person }, now).await?;
    let (token, expires_at) = (random::token().to_string(), now.plus_ms(LINK_MS));
    let hashed = random::hashed(&token);
    app.database.add_device_link(caller.org, hashed, body.person, (now, expires_at), &audited).await?;
    Ok(Json(OneTimeLink { token: Secret::new(token), expires_at }))
}

#[utoipa::path(post, path = "/api/v1/device-requests", request_body = RequestDevice, responses((status = 202)))]
pub(crate) async fn request(
    State(app): State<Arc<App>>,
    caller: Option<Extension<Caller>>,
    Json(body): Json<RequestDevice>,
) -> Result<StatusCode, Problem> {
    let now = clock::now();
    let (org, person, link) = match (&body.token, caller) {
        (Some(token), _) => by_token(&app, token, now).await?,
        (None, Some(Extension(caller))) => (caller.org, caller.person, None),
        (None, None) => return Err(Problem::signed_out()),
    };
    let device = body.device;
    if device.person != person {
        return Err(Problem::invalid("The device names another person."));
    }
    check_name(&device.name)?;
    let keys = VerifyingKey::from_bytes(&device.sign.0).and(KemPublic::from_bytes(&device.kem.0).map(drop));
    if keys.is_err() {
        return Err(Problem::invalid("The device's keys are not an Ed25519 and an X-Wing public key."));
    }
    if device.until > now.plus_ms(DEVICE_LIFE_MAX_MS + seal::roster::AT_AHEAD_MAX_MS) {
        return Err(Problem::invalid("A device lives at most 90 days."));
    }
    if app.database.org_of_device(device.id).await?.is_some() {
        let mut problem = Problem::invalid("The device's id is in use already.");
        problem.body.error.remedy =
            "If it was let in before and has ended, an administrator renews it on the page Devices."
                .to_owned();
        return Err(problem);
    }
    if app.database.count_device_requests(org, person).await? >= REQUESTS_MAX {
        return Err(Problem::too_many());
    }
    let pairing = body.pairing.map(|proof| (proof.lookup, proof.mac));
    let row = DeviceRequestRow { device, created_at: now, pairing, nonce: None };
    let mut transaction = app.database.begin().await?;
    if let Some(link) = link {
        transaction.use_token(link, TokenKind::LinkDevice, now).await?.ok_or_else(Problem::token)?;
    }
    transaction.add_device_request(org, &row).await?;
    transaction.commit().await?;
    Ok(StatusCode::ACCEPTED)
}

/// Whose device a token lets ask, and the token, if that uses it up: an
/// invitation's is used up when it is accepted.
async fn by_token(
    app: &App,
    token: &Secret,
    now: Timestamp,
) -> Result<(OrgId, PersonId, Option<Hash>), Problem> {
    let hashed = random::hashed(token.expose());
    if let Some(link) = app.database.one_time_token(hashed, TokenKind::LinkDevice, now).await? {
        let of = link.org.zip(link.person);
        return of.map(|(org, person)| (org, person, Some(hashed))).ok_or_else(Problem::token);
    }
    let (org, invitation) = invited(app, token, now).await?;
    Ok((org, invitation.person.ok_or_else(Problem::token)?, None))
}

#[utoipa::path(get, path = "/api/v1/device-requests/{device}", params(("device" = String, Path)),
    responses((status = 200, body = Asked), (status = 404, description = "let in, or turned away")))]
pub(crate) async fn asked(
    State(app): State<Arc<App>>,
    Path(device): Path<DeviceId>,
) -> Result<Json<Asked>, Problem> {
    let row = app.database.device_request(device).await?.ok_or_else(Problem::not_found)?;
    Ok(Json(Asked { nonce: row.nonce }))
}

#[utoipa::path(post, path = "/api/v1/device-requests/{device}/nonce", params(("device" = String, Path)),
    request_body = PairingNonce,
    responses((status = 204), (status = 404, description = "no such request, or it was answered")))]
pub(crate) async fn answer(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(device): Path<DeviceId>,
    Json(body): Json<PairingNonce>,
) -> Result<StatusCode, Problem> {
    if !app.database.answer_device_request(caller.org, device, body.nonce).await? {
        return Err(Problem::not_found());
    }
    Ok(StatusCode::NO_CONTENT)
}

#[utoipa::path(delete, path = "/api/v1/device-requests/{device}", params(("device" = String, Path)),
    responses((status = 204), (status = 404)))]
pub(crate) async fn decline(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(device): Path<DeviceId>,
) -> Result<StatusCode, Problem> {
    let now = clock::now();
    let roster = app.roster(caller.org, now).await?;
    let permit = app.decide(&caller, &roster, Action::DeclineDevice { device }, now).await?;
    let mut transaction = app.database.begin().await?;
    if !transaction.end_device_request(caller.org, device).await? {
        return Err(Problem::not_found());
    }
    transaction.commit().await?;
    app.record_after(permit).await;
    Ok(StatusCode::NO_CONTENT)
}
