//! Signing in and out: by passkey, or by device key (the command line). The
//! answers do not tell whether a person or a device exists.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use model::{DeviceId, Hash, OrgId, Timestamp};
use seal::keys::VerifyingKey;
use seal::login::DeviceLogin;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::extract::Json;
use super::setup::{origin, passkey_problem, signed_in};
use super::types::{Ceremony, EnvelopeBody, Me, PasskeyAnswer};
use crate::app::App;
use crate::passkeys::origin_of;
use crate::permits::{devices_in_force, is_administrator};
use crate::problem::Problem;
use crate::proofs::HeldKey;
use crate::rate::{Key, PER_ACCOUNT};
use crate::sessions::{Caller, Way};
use crate::{clock, random, sessions};

pub(crate) const CHALLENGE_MS: u64 = Timestamp::MINUTE;
const DEVICE_LOGIN: &str = "device-login";

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeviceChallenge {
    #[schema(value_type = String)]
    device: DeviceId,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Challenge {
    #[schema(value_type = String)]
    pub(super) challenge: Hash,
}

#[utoipa::path(post, path = "/api/v1/login/passkey/begin", responses((status = 200, body = Ceremony)))]
pub(crate) async fn begin_passkey(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
) -> Result<Json<Ceremony>, Problem> {
    let begun = app.passkeys.begin_login(&app.database, origin(&headers), clock::now()).await;
    let (ceremony, options) = begun.map_err(passkey_problem)?;
    Ok(Json(Ceremony { ceremony, options }))
}

#[utoipa::path(post, path = "/api/v1/login/passkey", request_body = PasskeyAnswer,
    responses((status = 200, body = Me)))]
pub(crate) async fn passkey(
    State(app): State<Arc<App>>,
    key: HeldKey,
    headers: HeaderMap,
    Json(body): Json<PasskeyAnswer>,
) -> Result<Response, Problem> {
    let now = clock::now();
    let verified = app.passkeys.finish_login(&app.database, body.ceremony, body.credential, now).await;
    let (org, person) = verified.map_err(|error| refused(&app, passkey_problem(error)))?;
    if !app.limiter.allow(Key::Account(person.to_string()), PER_ACCOUNT, now) {
        return Err(Problem::too_many());
    }
    end_previous(&app, &headers, now).await?;
    let mut transaction = app.database.begin().await?;
    let client = (sessions::client(&headers), key);
    let opened = sessions::open(&mut transaction, (org, person), Way::Passkey, client, now).await?;
    transaction.commit().await?;
    signed_in(&app, StatusCode::OK, opened, now).await
}

#[utoipa::path(post, path = "/api/v1/login/device/challenge", request_body = DeviceChallenge,
    responses((status = 200, body = Challenge)))]
pub(crate) async fn device_challenge(
    State(app): State<Arc<App>>,
    Json(body): Json<DeviceChallenge>,
) -> Result<Json<Challenge>, Problem> {
    let (now, challenge) = (clock::now(), random::token());
    if !app.limiter.allow(Key::Account(body.device.to_string()), PER_ACCOUNT, now) {
        return Err(Problem::too_many());
    }
    let expires_at = now.plus_ms(CHALLENGE_MS);
    app.database.add_ceremony(challenge, DEVICE_LOGIN, &body.device.to_string(), expires_at, now).await?;
    Ok(Json(Challenge { challenge }))
}

#[utoipa::path(post, path = "/api/v1/login/device", request_body = EnvelopeBody,
    responses((status = 200, body = Me)))]
pub(crate) async fn device(
    State(app): State<Arc<App>>,
    key: HeldKey,
    headers: HeaderMap,
    Json(body): Json<EnvelopeBody>,
) -> Result<Response, Problem> {
    let now = clock::now();
    let login = DeviceLogin::claimed(&body.envelope).map_err(|_| refused(&app, Problem::login()))?;
    let challenged = app.database.take_ceremony(login.challenge, DEVICE_LOGIN, now).await?;
    let (org, device) = (login.org, login.device);
    if challenged.as_deref() != Some(device.to_string().as_str()) || !is_here(&app, &login.origin) {
        return Err(refused(&app, Problem::login()));
    }
    let verified = verify(&app, &login, &body, org, now).await?;
    let person = verified.ok_or_else(|| refused(&app, Problem::login()))?;
    let mut transaction = app.database.begin().await?;
    let client = (sessions::client(&headers), key);
    let opened = sessions::open(&mut transaction, (org, person), Way::Device(device), client, now).await?;
    transaction.commit().await?;
    signed_in(&app, StatusCode::OK, opened, now).await
}

/// Whether a proof was made for this server, so that no other can pass one on
/// to us.
pub(crate) fn is_here(app: &App, origin: &str) -> bool {
    origin.trim_end_matches('/') == origin_of(&app.public_url) || app.passkeys.is_ours(origin)
}

/// A session that the browser had before is not kept, whoever opened it.
pub(crate) async fn end_previous(app: &App, headers: &HeaderMap, now: Timestamp) -> Result<(), Problem> {
    if let Some((before, _)) = sessions::authenticate(&app.database, headers, now).await? {
        app.database.end_session(before.session).await?;
        app.hub.rights_changed();
    }
    Ok(())
}

async fn verify(
    app: &App,
    login: &DeviceLogin,
    body: &EnvelopeBody,
    org: OrgId,
    now: Timestamp,
) -> Result<Option<model::PersonId>, Problem> {
    if app.database.org_of_device(login.device).await? != Some(org) {
        return Ok(None);
    }
    let roster = app.roster(org, now).await?;
    let Some(device) = roster.device_in_force(login.device, now) else { return Ok(None) };
    let genuine =
        VerifyingKey::from_bytes(&device.sign.0).is_ok_and(|key| login.verify(&body.envelope, key).is_ok());
    Ok(genuine.then_some(device.person))
}

fn refused(app: &App, problem: Problem) -> Problem {
    app.metrics.logins_refused.add(1);
    problem
}

#[utoipa::path(post, path = "/api/v1/logout", responses((status = 204)))]
pub(crate) async fn logout(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
) -> Result<Response, Problem> {
    app.database.end_session(caller.session).await?;
    app.hub.rights_changed();
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, sessions::removed_cookie())]).into_response())
}

#[utoipa::path(get, path = "/api/v1/me", responses((status = 200, body = Me)))]
pub(crate) async fn who_am_i(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Me>, Problem> {
    me(&app, &caller, clock::now()).await.map(Json)
}

pub(crate) async fn me(app: &App, caller: &Caller, now: Timestamp) -> Result<Me, Problem> {
    let roster = app.roster(caller.org, now).await?;
    let person_name = app.database.person_name(caller.org, caller.person).await?.unwrap_or_default();
    Ok(Me {
        org: caller.org,
        org_name: roster.name().to_owned(),
        person: caller.person,
        person_name,
        devices: devices_in_force(&roster, caller.person, now),
        administrator: is_administrator(&roster, caller.person, now),
        reads_history: app.would_permit(caller, &roster, cloud_core::Action::ReadHistory, now).await?,
        verified_by: app.verified_by(caller).await?,
        recovery_used_at: app.database.recovery_codes(caller.org, caller.person).await?.used_at,
    })
}
