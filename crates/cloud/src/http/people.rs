//! People: who has an account, and how newcomers get one.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use cloud_core::Action;
use model::{OrgId, PersonId, Secret, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::extract::Json;
use super::orders::carry_out;
use super::passwords::{self, CodeAnswer};
use super::setup::{FIRST_PASSKEY, origin, passkey_problem, registered, signed_in};
use super::types::{Ceremony, DAY_MS, EnvelopeBody, Me, OneTimeLink, PasskeyAnswer, check_name};
use crate::app::App;
use crate::database::{OneTimeToken, PersonRow, TokenKind};
use crate::problem::Problem;
use crate::proofs::HeldKey;
use crate::sessions::{Caller, Way};
use crate::{clock, random, sessions};

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct People {
    people: Vec<PersonListing>,
}

/// Somebody who has an account, as the server knows them: what opens pictures
/// is in the roster.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PersonListing {
    #[schema(value_type = String)]
    person: PersonId,
    name: String,
    #[schema(value_type = u64)]
    created_at: Timestamp,
    /// When a directory shut them out.
    #[schema(value_type = Option<u64>)]
    disabled_at: Option<Timestamp>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Invite {
    #[schema(value_type = String)]
    person: PersonId,
    person_name: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BeginInvitation {
    #[schema(value_type = String)]
    token: Secret,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InvitationCeremony {
    #[schema(value_type = String)]
    person: PersonId,
    person_name: String,
    #[serde(flatten)]
    ceremony: Ceremony,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AcceptInvitation {
    #[schema(value_type = String)]
    token: Secret,
    /// One of both.
    passkey: Option<PasskeyAnswer>,
    password: Option<CodeAnswer>,
}

#[utoipa::path(get, path = "/api/v1/people", responses((status = 200, body = People)))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<People>, Problem> {
    let listing = |row: PersonRow| PersonListing {
        person: row.person,
        name: row.name,
        created_at: row.created_at,
        disabled_at: row.disabled_at,
    };
    let people = app.database.people(caller.org).await?.into_iter().map(listing).collect();
    Ok(Json(People { people }))
}

#[utoipa::path(post, path = "/api/v1/erasures", request_body = EnvelopeBody,
    responses((status = 204), (status = 403, description = "`verification_needed`, or `more_approvals_needed`"),
              (status = 409, description = "`still_in_roster`, `state_moved` or `replayed`")))]
pub(crate) async fn erase(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Json(body): Json<EnvelopeBody>,
) -> Result<StatusCode, Problem> {
    carry_out(&app, &caller, &body.envelope, None).await
}

#[utoipa::path(post, path = "/api/v1/invitations", request_body = Invite,
    responses((status = 200, body = OneTimeLink)))]
pub(crate) async fn invite(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Json(body): Json<Invite>,
) -> Result<Json<OneTimeLink>, Problem> {
    let now = clock::now();
    check_name(&body.person_name)?;
    // For newcomers alone: an invitation adds a passkey, and whoever has a
    // session for a while must not make it theirs for good.
    if app.database.org_of_person(body.person).await?.is_some() {
        return Err(Problem::invalid("The person's id is in use already."));
    }
    let roster = app.roster(caller.org, now).await?;
    let audited = app.permit(&caller, &roster, Action::Invite { person: body.person }, now).await?;
    let (token, expires_at) = (random::token().to_string(), now.plus_ms(DAY_MS));
    let hashed = random::hashed(&token);
    app.database
        .add_invitation(caller.org, hashed, body.person, &body.person_name, expires_at, &audited)
        .await?;
    Ok(Json(OneTimeLink { token: Secret::new(token), expires_at }))
}

#[utoipa::path(post, path = "/api/v1/invitations/passkey", request_body = BeginInvitation,
    responses((status = 200, body = InvitationCeremony)))]
pub(crate) async fn begin_invitation(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Json(body): Json<BeginInvitation>,
) -> Result<Json<InvitationCeremony>, Problem> {
    let now = clock::now();
    let (_, invitation) = invited(&app, &body.token, now).await?;
    let person = invitation.person.ok_or_else(Problem::token)?;
    let name = invitation.person_name;
    let begun = app.passkeys.begin_registration(&app.database, origin(&headers), person, &name, now).await;
    let (ceremony, options) = begun.map_err(passkey_problem)?;
    Ok(Json(InvitationCeremony { person, person_name: name, ceremony: Ceremony { ceremony, options } }))
}

#[utoipa::path(post, path = "/api/v1/invitations/accept", request_body = AcceptInvitation,
    responses((status = 200, body = Me)))]
pub(crate) async fn accept_invitation(
    State(app): State<Arc<App>>,
    key: HeldKey,
    headers: HeaderMap,
    Json(body): Json<AcceptInvitation>,
) -> Result<Response, Problem> {
    let now = clock::now();
    let (org, invitation) = invited(&app, &body.token, now).await?;
    let person = invitation.person.ok_or_else(Problem::token)?;
    let passkey = registered(&app, body.passkey, Some(person), now).await?;
    let password = match body.password {
        Some(answer) => Some(passwords::enrolled(&app, answer, person, now).await?),
        None => None,
    };
    if passkey.is_none() == password.is_none() {
        return Err(Problem::invalid(
            "An invitation is accepted with a passkey, or with a password and a code.",
        ));
    }
    let way = if passkey.is_some() { Way::Passkey } else { Way::Password };
    let mut transaction = app.database.begin().await?;
    let token = random::hashed(body.token.expose());
    transaction.use_token(token, TokenKind::Invitation, now).await?.ok_or_else(Problem::token)?;
    transaction.add_person(org, person, &invitation.person_name, now).await?;
    if let Some(passkey) = passkey {
        transaction.add_passkey(org, &passkey, FIRST_PASSKEY, now).await?;
    }
    if let Some(password) = password {
        passwords::set(&app, &mut transaction, org, password, now).await?;
    }
    let client = (sessions::client(&headers), key);
    let opened = sessions::open(&mut transaction, (org, person), way, client, now).await?;
    transaction.commit().await?;
    signed_in(&app, StatusCode::OK, opened, now).await
}

pub(crate) async fn invited(
    app: &App,
    token: &Secret,
    now: Timestamp,
) -> Result<(OrgId, OneTimeToken), Problem> {
    let hashed = random::hashed(token.expose());
    let found = app.database.one_time_token(hashed, TokenKind::Invitation, now).await?;
    let found = found.ok_or_else(Problem::token)?;
    let org = found.org.ok_or_else(Problem::token)?;
    let person = found.person.ok_or_else(Problem::token)?;
    // Another invitation for the same person was faster.
    if app.database.org_of_person(person).await?.is_some() {
        return Err(Problem::token());
    }
    Ok((org, found))
}
