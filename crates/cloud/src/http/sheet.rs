//! The recovery sheet without a session: for an organisation whose every
//! device is lost, and whose people signed in by device keys alone. Whoever
//! proves to hold the sheet reads the roster and hands in what the sheet
//! signed, which takes effect after 72 hours unless an administrator objects.
//! It opens no session: a stolen sheet gets no sealed footage from here before
//! that.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use model::wire::Envelope;
use model::{DeviceId, OrgId, PersonId, Secret, Timestamp};
use seal::login::SheetLogin;
use seal::roster::{Payload, Statement};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::extract::Json;
use super::login::{CHALLENGE_MS, Challenge, is_here};
use super::roster::{Appended, page};
use super::types::{EnvelopeBody, EnvelopeSchema, Statements};
use crate::app::App;
use crate::problem::Problem;
use crate::rosters::check_date;
use crate::{clock, random};

const CHALLENGE: &str = "sheet-challenge";
const TOKEN: &str = "sheet-token";
/// For reading a roster and signing twice.
const TOKEN_MS: u64 = 10 * Timestamp::MINUTE;

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SheetProven {
    /// For the two calls below, as often as they need it.
    #[schema(value_type = String)]
    token: Secret,
    #[schema(value_type = u64)]
    expires_at: Timestamp,
    #[schema(value_type = String)]
    org: OrgId,
    /// Who has an account and was not shut out: one of them the new device is of.
    people: Vec<SheetPerson>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SheetPerson {
    #[schema(value_type = String)]
    person: PersonId,
    name: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SheetRoster {
    #[schema(value_type = String)]
    token: Secret,
    /// Position of the last statement that the caller has.
    after: Option<u64>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SheetStatement {
    #[schema(value_type = String)]
    token: Secret,
    #[schema(value_type = EnvelopeSchema)]
    envelope: Envelope,
}

#[utoipa::path(post, path = "/api/v1/login/sheet/challenge", responses((status = 200, body = Challenge)))]
pub(crate) async fn challenge(State(app): State<Arc<App>>) -> Result<Json<Challenge>, Problem> {
    let (now, challenge) = (clock::now(), random::token());
    app.database.add_ceremony(challenge, CHALLENGE, "", now.plus_ms(CHALLENGE_MS), now).await?;
    Ok(Json(Challenge { challenge }))
}

#[utoipa::path(post, path = "/api/v1/login/sheet", request_body = EnvelopeBody,
    responses((status = 200, body = SheetProven), (status = 401, description = "`login_refused`")))]
pub(crate) async fn prove(
    State(app): State<Arc<App>>,
    Json(body): Json<EnvelopeBody>,
) -> Result<Json<SheetProven>, Problem> {
    let now = clock::now();
    let refused = || {
        app.metrics.logins_refused.add(1);
        Problem::login()
    };
    let login = SheetLogin::verified(&body.envelope).map_err(|_| refused())?;
    let challenged = app.database.take_ceremony(login.challenge, CHALLENGE, now).await?;
    if challenged.is_none() || !is_here(&app, &login.origin) {
        return Err(refused());
    }
    let org = app.database.org_of_sheet(&login.key).await?.ok_or_else(refused)?;
    let (token, expires_at) = (random::token().to_string(), now.plus_ms(TOKEN_MS));
    app.database.add_ceremony(random::hashed(&token), TOKEN, &org.to_string(), expires_at, now).await?;
    let people = app.database.people(org).await?.into_iter().filter(|row| row.disabled_at.is_none());
    let people = people.map(|row| SheetPerson { person: row.person, name: row.name }).collect();
    tracing::warn!(%org, "somebody proved to hold the recovery sheet");
    Ok(Json(SheetProven { token: Secret::new(token), expires_at, org, people }))
}

#[utoipa::path(post, path = "/api/v1/login/sheet/roster", request_body = SheetRoster,
    responses((status = 200, body = Statements), (status = 401, description = "`token_refused`")))]
pub(crate) async fn roster(
    State(app): State<Arc<App>>,
    Json(body): Json<SheetRoster>,
) -> Result<Json<Statements>, Problem> {
    let org = org_of_token(&app, &body.token, clock::now()).await?;
    Ok(Json(Statements { statements: page(&app, org, body.after).await? }))
}

#[utoipa::path(post, path = "/api/v1/login/sheet/statements", request_body = SheetStatement,
    responses((status = 200, body = Appended), (status = 401, description = "`token_refused`"),
              (status = 409, description = "`roster_moved`, with the head")))]
pub(crate) async fn append(
    State(app): State<Arc<App>>,
    Json(body): Json<SheetStatement>,
) -> Result<Json<Appended>, Problem> {
    let now = clock::now();
    let org = org_of_token(&app, &body.token, now).await?;
    let roster = app.roster(org, now).await?;
    let people = app.database.people(org).await?;
    let known = |person| people.iter().any(|row| row.person == person && row.disabled_at.is_none());
    signed_by_sheet(&body.envelope, roster.state().recovery.id, known)?;
    check_date(&body.envelope, now)?;
    let next = app.rosters.check_next(&app.database, org, body.envelope, now).await?;
    let audited = app.permit_sheet(&roster, next.hash, now).await?;
    let seq = app.rosters.append(&app.database, next, &audited).await?;
    app.hub.roster_changed(org);
    Ok(Json(Appended { seq }))
}

async fn org_of_token(app: &App, token: &Secret, now: Timestamp) -> Result<OrgId, Problem> {
    let found = app.database.ceremony(random::hashed(token.expose()), TOKEN, now).await?;
    found.and_then(|org| org.parse().ok()).ok_or_else(|| {
        Problem::new(
            StatusCode::UNAUTHORIZED,
            "token_refused",
            "The proof of the recovery sheet has ended.",
            "Type its words again.",
        )
    })
}

/// What anybody else signed comes with a session. A device that the sheet lets
/// in is of somebody who can sign in with it.
fn signed_by_sheet(
    envelope: &Envelope,
    recovery: DeviceId,
    known: impl Fn(PersonId) -> bool,
) -> Result<(), Problem> {
    let of_sheet = envelope.signatures.iter().all(|signature| signature.keyid == recovery.to_string());
    let payload: Option<Payload> = seal::from_canonical(&envelope.payload.0).ok();
    match payload.map(|payload| payload.statement) {
        Some(Statement::AddDevice { device }) if of_sheet && !known(device.person) => {
            Err(Problem::invalid("The person has no account here. Take one of those that were listed."))
        }
        Some(_) if of_sheet => Ok(()),
        _ => Err(Problem::invalid("The statement must be signed by the recovery sheet, and by nobody else.")),
    }
}
