//! What needs several administrators: one proposes, others agree, each with
//! the signature of a device and a fresh look of the passkey. The roster's own
//! rules, and those of signed actions and of commands to a site, count the
//! signatures, by people; this only collects them. A command goes to its
//! gateway with the last one, or later if the gateway is away, and its signed
//! answer stays with the proposal.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use cloud_core::Action;
use cloud_core::policy::Files;
use model::wire::{Envelope, Signature};
use model::{Hash, PersonId, Timestamp};
use seal::envelope::PayloadType;
use seal::roster::{Roster, RosterError};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::commands::{self, Outcome, Standing};
use super::extract::{Json, Path};
use super::orders;
use super::roster::carry;
use super::types::{EnvelopeBody, EnvelopeSchema};
use crate::app::App;
use crate::clock;
use crate::database::{ProposalRow, ProposalState};
use crate::problem::Problem;
use crate::rosters::{RostersError, check_date, signers};
use crate::sessions::Caller;

/// A proposal that nobody agreed on by then is void.
const LIFE_MS: u64 = 72 * Timestamp::HOUR;
/// Open at the same time in one organisation.
const OPEN_MAX: u64 = 100;
/// Shown at most, closed ones included.
const LISTED_MAX: u64 = 200;
const REASON_CHARS_MAX: usize = 500;
/// Of what outlives a proposal in any case.
const NEVER: Timestamp = Timestamp(u64::MAX);

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Propose {
    /// A statement of the roster, an action that takes several administrators,
    /// or a command to a site, signed by a device of the caller's.
    #[schema(value_type = EnvelopeSchema)]
    envelope: Envelope,
    /// For the others, at most 500 characters; may be empty.
    reason: String,
    /// With a `set_policy`: the files, by name.
    #[schema(value_type = Option<Object>)]
    #[serde(default)]
    files: Option<Files>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Proposed {
    /// SHA-256 of the payload, by which others agree.
    #[schema(value_type = String)]
    id: Hash,
    /// Different administrators who must sign.
    needed: u32,
    /// Those who have.
    #[schema(value_type = Vec<String>)]
    agreed: Vec<PersonId>,
    /// `open`, `done`, or of a command: `approved` while the gateway has not
    /// answered, `failed` if it answered that it could not.
    state: &'static str,
    /// The gateway's signed answer.
    #[schema(value_type = Option<EnvelopeSchema>)]
    result: Option<Envelope>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Proposals {
    /// Open ones first, then newest first.
    proposals: Vec<Proposal>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Proposal {
    #[schema(value_type = String)]
    id: Hash,
    #[schema(value_type = String)]
    person: PersonId,
    #[schema(value_type = EnvelopeSchema)]
    envelope: Envelope,
    reason: String,
    #[schema(value_type = Option<Object>)]
    files: Option<Files>,
    #[schema(value_type = u64)]
    created_at: Timestamp,
    #[schema(value_type = u64)]
    expires_at: Timestamp,
    /// `open`, `approved`, `done`, `failed`, `declined`, `expired`, or `stale`
    /// when what it was to follow has changed since.
    state: &'static str,
    /// Different administrators who must sign; of open and approved ones.
    needed: Option<u32>,
    #[schema(value_type = Vec<String>)]
    agreed: Vec<PersonId>,
    /// Who declined it.
    #[schema(value_type = Option<String>)]
    closed_by: Option<PersonId>,
    /// The gateway's signed answer to a command.
    #[schema(value_type = Option<EnvelopeSchema>)]
    result: Option<Envelope>,
}

#[utoipa::path(get, path = "/api/v1/proposals", responses((status = 200, body = Proposals)))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Proposals>, Problem> {
    let now = clock::now();
    let roster = app.roster(caller.org, now).await?;
    let rows = app.database.proposals(caller.org, LISTED_MAX).await?;
    Ok(Json(Proposals { proposals: rows.into_iter().map(|row| shown(&app, row, &roster, now)).collect() }))
}

fn shown(app: &App, row: ProposalRow, roster: &Roster, now: Timestamp) -> Proposal {
    let pending = matches!(row.state, ProposalState::Open | ProposalState::Approved);
    let agreement = if pending { following(app, roster, &row.envelope, now).ok() } else { None };
    let state = match row.state {
        _ if pending && row.expires_at <= now => "expired",
        _ if pending && agreement.is_none() => ProposalState::Stale.as_str(),
        state => state.as_str(),
    };
    let (needed, agreed) = match agreement {
        Some(Agreed { needed, people, .. }) => (Some(needed), people.into_iter().collect()),
        None => (None, Vec::new()),
    };
    let ProposalRow {
        id, person, envelope, reason, files, created_at, expires_at, closed_by, result, ..
    } = row;
    Proposal {
        id,
        person,
        envelope,
        reason,
        files,
        created_at,
        expires_at,
        state,
        needed,
        agreed,
        closed_by,
        result,
    }
}

#[utoipa::path(post, path = "/api/v1/proposals", request_body = Propose,
    responses((status = 200, body = Proposed), (status = 403, description = "`verification_needed`"),
              (status = 409, description = "`roster_moved`, with the head, or `state_moved`"),
              (status = 422, description = "`statement_dated_back`")))]
pub(crate) async fn propose(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Json(body): Json<Propose>,
) -> Result<Json<Proposed>, Problem> {
    let now = clock::now();
    if body.reason.chars().count() > REASON_CHARS_MAX || body.reason.chars().any(char::is_control) {
        return Err(Problem::invalid(format!(
            "A reason has at most {REASON_CHARS_MAX} printable characters."
        )));
    }
    let roster = app.roster(caller.org, now).await?;
    let agreement = following(&app, &roster, &body.envelope, now)?;
    own_signatures(&roster, &body.envelope, &caller, now)?;
    if !is_action(&body.envelope) && !commands::is_command(&body.envelope) {
        check_date(&body.envelope, now)?;
    }
    if agreement.people.len() as u32 >= agreement.needed {
        return Err(Problem::invalid(
            "This has all signatures that it needs: hand it in without proposing it.",
        ));
    }
    if app.database.count_pending_proposals(caller.org, now).await? >= OPEN_MAX {
        return Err(Problem::too_many());
    }
    if is_action(&body.envelope) {
        orders::check(&app, &caller, &roster, &body.envelope, body.files.clone(), now).await?;
    } else if body.files.is_some() {
        return Err(Problem::invalid("Files go with a set of policies alone."));
    }
    let id = agreement.id;
    app.user_verified(&caller, &roster, &signers(&body.envelope), id, now).await?;
    let audited = app.permit(&caller, &roster, Action::Propose { proposal: id }, now).await?;
    let row = ProposalRow {
        id,
        person: caller.person,
        envelope: body.envelope,
        reason: body.reason,
        files: body.files,
        created_at: now,
        expires_at: now.plus_ms(LIFE_MS).min(agreement.expires_at),
        state: ProposalState::Open,
        closed_by: None,
        result: None,
    };
    let mut transaction = app.database.begin().await?;
    if !transaction.add_proposal(caller.org, &row, &audited).await? {
        return Err(Problem::invalid("This was proposed before."));
    }
    transaction.commit().await?;
    Ok(Json(agreement.with(ProposalState::Open, None)))
}

#[utoipa::path(post, path = "/api/v1/proposals/{id}/signatures", params(("id" = String, Path)),
    request_body = EnvelopeBody,
    responses((status = 200, body = Proposed), (status = 403, description = "`verification_needed`"),
              (status = 409, description = "`roster_moved`, with the head, or `state_moved`")))]
pub(crate) async fn sign(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<Hash>,
    Json(body): Json<EnvelopeBody>,
) -> Result<Json<Proposed>, Problem> {
    let now = clock::now();
    let roster = app.roster(caller.org, now).await?;
    if seal::sha256(&body.envelope.payload.0) != id {
        return Err(Problem::invalid("The signature is of something else than the proposal."));
    }
    agreement(&roster, &body.envelope, now)?;
    own_signatures(&roster, &body.envelope, &caller, now)?;
    app.user_verified(&caller, &roster, &signers(&body.envelope), id, now).await?;
    let audited = app.permit(&caller, &roster, Action::Approve { proposal: id }, now).await?;

    let mut transaction = app.database.begin().await?;
    let known = transaction.pending_proposal(caller.org, id, now).await?;
    let open = known.filter(|known| known.state == ProposalState::Open);
    let known = open.ok_or_else(Problem::not_found)?;
    let before = following(&app, &roster, &known.envelope, now)?;
    if before.people.contains(&caller.person) {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            "agreed_before",
            "You have agreed already; it takes somebody else.",
            "Ask another administrator.",
        ));
    }
    let mut envelope = known.envelope.clone();
    envelope.signatures.extend(body.envelope.signatures);
    let after = agreement(&roster, &envelope, now)?;
    let enough = after.people.len() as u32 >= after.needed;
    transaction.sign_proposal(caller.org, id, &envelope, &audited).await?;
    if enough && commands::is_command(&envelope) {
        transaction.close_proposal(caller.org, id, ProposalState::Approved, None).await?;
    }
    transaction.commit().await?;

    if !enough {
        return Ok(Json(after.with(ProposalState::Open, None)));
    }
    if commands::is_command(&envelope) {
        let (state, result) = match carry_out_command(&app, &caller, &roster, id, &envelope, now).await {
            // Everybody has agreed; it is carried out when the gateway is there.
            Err(problem) if problem.status.is_server_error() => {
                tracing::info!(proposal = %id, "a command waits for its gateway: {}", problem.body.error.message);
                (ProposalState::Approved, None)
            }
            carried => carried?,
        };
        return Ok(Json(after.with(state, result)));
    }
    if is_action(&envelope) {
        let order = orders::order(&app, &caller, &roster, &envelope, known.files, now).await?;
        order.carry_out(&app, &caller, &envelope, now).await?;
    } else {
        carry(&app, &caller, &roster, envelope, now).await?;
    }
    let mut transaction = app.database.begin().await?;
    transaction.close_proposal(caller.org, id, ProposalState::Done, None).await?;
    transaction.commit().await?;
    Ok(Json(after.with(ProposalState::Done, None)))
}

#[utoipa::path(post, path = "/api/v1/proposals/{id}/carry-out", params(("id" = String, Path)),
    responses((status = 200, body = Proposed), (status = 409, description = "`state_moved`"),
              (status = 503, description = "`gateway_offline`")))]
pub(crate) async fn carry_out(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<Hash>,
) -> Result<Json<Proposed>, Problem> {
    let now = clock::now();
    let roster = app.roster(caller.org, now).await?;
    let mut transaction = app.database.begin().await?;
    let known = transaction.pending_proposal(caller.org, id, now).await?;
    // Not kept for the half minute that a gateway has to answer.
    transaction.commit().await?;
    let approved = known.filter(|known| known.state == ProposalState::Approved);
    let ProposalRow { envelope, .. } = approved.ok_or_else(Problem::not_found)?;
    let agreement = following(&app, &roster, &envelope, now)?;
    let (state, result) = carry_out_command(&app, &caller, &roster, id, &envelope, now).await?;
    Ok(Json(agreement.with(state, result)))
}

async fn carry_out_command(
    app: &App,
    caller: &Caller,
    roster: &Roster,
    id: Hash,
    envelope: &Envelope,
    now: Timestamp,
) -> Result<(ProposalState, Option<Envelope>), Problem> {
    let (state, result) = match commands::carry_out(app, caller, roster, envelope, now).await? {
        Outcome::Done(result) => (ProposalState::Done, result),
        Outcome::Failed(result) => (ProposalState::Failed, Some(result)),
    };
    let mut transaction = app.database.begin().await?;
    transaction.end_proposal(caller.org, id, state, result.as_ref()).await?;
    transaction.commit().await?;
    Ok((state, result))
}

#[utoipa::path(post, path = "/api/v1/proposals/{id}/decline", params(("id" = String, Path)),
    responses((status = 204)))]
pub(crate) async fn decline(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<Hash>,
) -> Result<StatusCode, Problem> {
    let now = clock::now();
    let roster = app.roster(caller.org, now).await?;
    // It takes nothing but a right away, so it acts before it is written down.
    let permit = app.decide(&caller, &roster, Action::Decline { proposal: id }, now).await?;
    let mut transaction = app.database.begin().await?;
    transaction.pending_proposal(caller.org, id, now).await?.ok_or_else(Problem::not_found)?;
    transaction.close_proposal(caller.org, id, ProposalState::Declined, Some(caller.person)).await?;
    transaction.commit().await?;
    app.record_after(permit).await;
    Ok(StatusCode::NO_CONTENT)
}

/// How far administrators agree.
struct Agreed {
    id: Hash,
    needed: u32,
    people: BTreeSet<PersonId>,
    /// When what was signed ends by itself.
    expires_at: Timestamp,
}

impl Agreed {
    fn with(self, state: ProposalState, result: Option<Envelope>) -> Proposed {
        let Agreed { id, needed, people, .. } = self;
        Proposed { id, needed, agreed: people.into_iter().collect(), state: state.as_str(), result }
    }
}

/// As `agreement`, of what could still be carried out: a command for a site
/// that was configured otherwise since then could not.
fn following(app: &App, roster: &Roster, envelope: &Envelope, now: Timestamp) -> Result<Agreed, Problem> {
    if commands::is_command(envelope) {
        let command = commands::agreement(roster, envelope, now)?.command;
        if roster.gateway(command.target).is_none() {
            return Err(Problem::invalid("The command is for a gateway that the roster does not have."));
        }
        if commands::standing(app, &command) == Standing::Overtaken {
            return Err(commands::overtaken());
        }
    }
    agreement(roster, envelope, now)
}

fn is_action(envelope: &Envelope) -> bool {
    envelope.payload_type == PayloadType::Action.as_str()
}

fn agreement(roster: &Roster, envelope: &Envelope, now: Timestamp) -> Result<Agreed, Problem> {
    if is_action(envelope) {
        let (id, people) = orders::agreement(roster, envelope, now)?;
        let needed = roster.state().administrators.k;
        return Ok(Agreed { id, needed, people, expires_at: NEVER });
    }
    if commands::is_command(envelope) {
        let seal::command::Agreement { hash, command, needed, people } =
            commands::agreement(roster, envelope, now)?;
        return Ok(Agreed { id: hash, needed, people, expires_at: command.expires_at });
    }
    let (seq, head) = roster.head();
    let agreement = roster.agreement(envelope, now).map_err(|error| match error {
        RosterError::DoesNotFollow { .. } | RosterError::Forked => RostersError::Moved { seq, head }.into(),
        error => Problem::from(RostersError::Refused(error)),
    })?;
    let seal::roster::Agreement { hash, needed, people, .. } = agreement;
    Ok(Agreed { id: hash, needed, people, expires_at: NEVER })
}

/// Nobody brings the signature of somebody else, nor one of nobody, which
/// would take the place of the others'.
fn own_signatures(
    roster: &Roster,
    envelope: &Envelope,
    caller: &Caller,
    now: Timestamp,
) -> Result<(), Problem> {
    let of_caller = |signature: &Signature| {
        // A proposal is older than its last signature, and a device may have ended meanwhile.
        let device = signature.keyid.parse().ok().and_then(|device| roster.device_in_force(device, now));
        device.is_some_and(|device| device.person == caller.person)
    };
    if envelope.signatures.iter().all(of_caller) {
        Ok(())
    } else {
        Err(Problem::invalid(
            "The signature must be of a device of yours that is in force, and of nobody else's.",
        ))
    }
}
