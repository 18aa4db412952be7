//! First run: whoever holds the set-up token makes the organisation. Genesis
//! is signed by that person's device; the cloud stores it and could not have
//! made it. The token works once, with everything in one transaction.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use cloud_core::Action;
use model::wire::Envelope;
use model::{PersonId, Secret, Timestamp};
use seal::envelope::PayloadType;
use seal::roster::{Payload, Roster};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::extract::Json;
use super::login::me;
use super::types::{Ceremony, EnvelopeSchema, Me, PasskeyAnswer, check_name};
use crate::app::App;
use crate::database::TokenKind;
use crate::passkeys::{NewPasskey, PasskeyError};
use crate::problem::Problem;
use crate::proofs::HeldKey;
use crate::serve::Peer;
use crate::sessions::{Opened, Way};
use crate::{clock, random, rosters, sessions};

/// What a passkey is called until its owner names it.
pub(crate) const FIRST_PASSKEY: &str = "First passkey";

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BeginSetup {
    #[schema(value_type = String)]
    token: Secret,
    person_name: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SetupCeremony {
    #[schema(value_type = String)]
    person: PersonId,
    #[serde(flatten)]
    ceremony: Ceremony,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Setup {
    #[schema(value_type = String)]
    token: Secret,
    #[schema(value_type = String)]
    person: PersonId,
    person_name: String,
    #[schema(value_type = EnvelopeSchema)]
    genesis: Envelope,
    passkey: Option<PasskeyAnswer>,
}

#[utoipa::path(post, path = "/api/v1/setup/passkey", request_body = BeginSetup,
    responses((status = 200, body = SetupCeremony)))]
pub(crate) async fn begin(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Json(body): Json<BeginSetup>,
) -> Result<Json<SetupCeremony>, Problem> {
    let now = clock::now();
    check_name(&body.person_name)?;
    let token = random::hashed(body.token.expose());
    app.database.one_time_token(token, TokenKind::Setup, now).await?.ok_or_else(Problem::token)?;
    let person = PersonId::from_random(random::bytes());
    let origin = origin(&headers);
    let (ceremony, options) = app
        .passkeys
        .begin_registration(&app.database, origin, person, &body.person_name, now)
        .await
        .map_err(passkey_problem)?;
    Ok(Json(SetupCeremony { person, ceremony: Ceremony { ceremony, options } }))
}

#[utoipa::path(post, path = "/api/v1/setup", request_body = Setup, responses((status = 201, body = Me)))]
pub(crate) async fn finish(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    key: HeldKey,
    headers: HeaderMap,
    Json(body): Json<Setup>,
) -> Result<Response, Problem> {
    let now = clock::now();
    check_name(&body.person_name)?;
    let token = random::hashed(body.token.expose());
    app.database.one_time_token(token, TokenKind::Setup, now).await?.ok_or_else(Problem::token)?;
    let roster = Roster::from_genesis(&body.genesis, now).map_err(|reason| {
        Problem::invalid(format!("The organisation's first statement is not valid: {reason}."))
    })?;
    if roster.devices_in_force(now).any(|device| device.person != body.person) {
        return Err(Problem::invalid("The first statement names another person."));
    }
    let passkey = registered(&app, body.passkey, Some(body.person), now).await?;
    // Without a passkey it is the device that founded the organisation who is here.
    let founder = roster.devices_in_force(now).next().map(|device| device.id);
    let way = match founder {
        Some(device) if passkey.is_none() => Way::Device(device),
        _ => Way::Passkey,
    };
    let payload: Payload = seal::envelope::payload(PayloadType::Roster, &body.genesis)
        .ok()
        .and_then(|bytes| seal::from_canonical(bytes).ok())
        .ok_or_else(|| Problem::invalid("The organisation's first statement is not valid."))?;

    let org = roster.org();
    let mut transaction = app.database.begin().await?;
    transaction.use_token(token, TokenKind::Setup, now).await?.ok_or_else(Problem::token)?;
    transaction.create_organisation(org, roster.name(), roster.anchor(), now).await?;
    rosters::add(&mut transaction, org, &payload, roster.anchor(), &body.genesis, now).await?;
    transaction.add_person(org, body.person, &body.person_name, now).await?;
    if let Some(passkey) = passkey {
        transaction.add_passkey(org, &passkey, FIRST_PASSKEY, now).await?;
    }
    let client = (sessions::client(&headers), key);
    let opened = sessions::open(&mut transaction, (org, body.person), way, client, now).await?;
    transaction.commit().await?;
    tracing::info!(%org, address = %peer.address, "organisation set up");
    signed_in(&app, StatusCode::CREATED, opened, now).await
}

/// Checks a finished registration; it must be of the expected person.
pub(crate) async fn registered(
    app: &App,
    answer: Option<PasskeyAnswer>,
    person: Option<PersonId>,
    now: Timestamp,
) -> Result<Option<NewPasskey>, Problem> {
    let Some(answer) = answer else { return Ok(None) };
    let passkey = app
        .passkeys
        .finish_registration(&app.database, answer.ceremony, answer.credential, now)
        .await
        .map_err(passkey_problem)?;
    if person.is_some_and(|person| person != passkey.person) {
        return Err(Problem::invalid("The passkey was made for another person."));
    }
    Ok(Some(passkey))
}

/// ME and the cookie. A session permits nothing by itself; so where the history
/// cannot be written, a sign-in stands in the journal, and administrators can
/// come and shut somebody out.
pub(crate) async fn signed_in(
    app: &App,
    status: StatusCode,
    opened: Opened,
    now: Timestamp,
) -> Result<Response, Problem> {
    let roster = app.roster(opened.caller.org, now).await?;
    let action = Action::SignIn { way: opened.way.into() };
    let permit = app.decide(&opened.caller, &roster, action, now).await?;
    app.record_after(permit).await;
    app.metrics.logins.add(1);
    let me = me(app, &opened.caller, now).await?;
    Ok((status, [(header::SET_COOKIE, opened.cookie())], Json(me)).into_response())
}

pub(crate) fn passkey_problem(error: PasskeyError) -> Problem {
    match error {
        PasskeyError::Refused(reason) => {
            tracing::info!("passkey refused: {reason}");
            Problem::login()
        }
        PasskeyError::Database(error) => error.into(),
    }
}

pub(crate) fn origin(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::ORIGIN)?.to_str().ok()
}
