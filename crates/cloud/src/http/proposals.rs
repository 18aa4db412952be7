//! What needs several administrators: one proposes, others agree, each with
//! the signature of a device and a fresh look of the passkey. The roster's own
//! rules, and those of signed actions, count the signatures, by people; this
//! only collects them.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use cloud_core::Action;
use cloud_core::policy::Files;
use model::wire::{Envelope, Signature};
use model::{DeviceId, Hash, PersonId, Timestamp};
use seal::envelope::PayloadType;
use seal::roster::{Roster, RosterError};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::extract::{Json, Path};
use super::orders;
use super::roster::carry;
use super::types::{EnvelopeBody, EnvelopeSchema};
use crate::app::App;
use crate::clock;
use crate::database::{ProposalRow, ProposalState};
use crate::problem::Problem;
use crate::rosters::{RostersError, check_date};
use crate::sessions::Caller;

/// A proposal that nobody agreed on by then is void.
const LIFE_MS: u64 = 72 * Timestamp::HOUR;
/// Open at the same time in one organisation.
const OPEN_MAX: u64 = 100;
/// Shown at most, closed ones included.
const LISTED_MAX: u64 = 200;
const REASON_CHARS_MAX: usize = 500;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Propose {
    /// A statement of the roster, or an action that assigns roles or sets
    /// policies, signed by a device of the caller's.
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
    /// `open` or `done`.
    state: &'static str,
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
    /// `open`, `done`, `declined`, `expired`, or `stale` when the roster has
    /// changed since.
    state: &'static str,
    /// Different administrators who must sign; of open ones.
    needed: Option<u32>,
    #[schema(value_type = Vec<String>)]
    agreed: Vec<PersonId>,
    /// Who declined it.
    #[schema(value_type = Option<String>)]
    closed_by: Option<PersonId>,
}

#[utoipa::path(get, path = "/api/v1/proposals", responses((status = 200, body = Proposals)))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Proposals>, Problem> {
    let now = clock::now();
    let roster = app.roster(caller.org, now).await?;
    let rows = app.database.proposals(caller.org, LISTED_MAX).await?;
    Ok(Json(Proposals { proposals: rows.into_iter().map(|row| shown(row, &roster, now)).collect() }))
}

fn shown(row: ProposalRow, roster: &Roster, now: Timestamp) -> Proposal {
    let agreement = match row.state {
        ProposalState::Open => agreement(roster, &row.envelope, now).ok(),
        _ => None,
    };
    let state = match row.state {
        ProposalState::Open if row.expires_at <= now => "expired",
        ProposalState::Open if agreement.is_none() => ProposalState::Stale.as_str(),
        state => state.as_str(),
    };
    let (needed, agreed) = match agreement {
        Some(Agreed { needed, people, .. }) => (Some(needed), people.into_iter().collect()),
        None => (None, Vec::new()),
    };
    let ProposalRow { id, person, envelope, reason, files, created_at, expires_at, closed_by, .. } = row;
    Proposal { id, person, envelope, reason, files, created_at, expires_at, state, needed, agreed, closed_by }
}

#[utoipa::path(post, path = "/api/v1/proposals", request_body = Propose,
    responses((status = 200, body = Proposed), (status = 403, description = "`verification_needed`"),
              (status = 409, description = "`roster_moved`, with the head")))]
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
    let agreement = agreement(&roster, &body.envelope, now)?;
    own_signatures(&roster, &body.envelope, &caller)?;
    if !is_action(&body.envelope) {
        check_date(&body.envelope, now)?;
    }
    if agreement.people.len() as u32 >= agreement.needed {
        return Err(Problem::invalid(
            "This has all signatures that it needs: hand it in without proposing it.",
        ));
    }
    if app.database.count_open_proposals(caller.org, now).await? >= OPEN_MAX {
        return Err(Problem::too_many());
    }
    if is_action(&body.envelope) {
        orders::check(&app, &caller, &roster, &body.envelope, body.files.clone(), now).await?;
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
        expires_at: now.plus_ms(LIFE_MS),
        state: ProposalState::Open,
        closed_by: None,
    };
    let mut transaction = app.database.begin().await?;
    if !transaction.add_proposal(caller.org, &row, &audited).await? {
        return Err(Problem::invalid("This was proposed before."));
    }
    transaction.commit().await?;
    Ok(Json(Proposed {
        id,
        needed: agreement.needed,
        agreed: agreement.people.into_iter().collect(),
        state: ProposalState::Open.as_str(),
    }))
}

#[utoipa::path(post, path = "/api/v1/proposals/{id}/signatures", params(("id" = String, Path)),
    request_body = EnvelopeBody,
    responses((status = 200, body = Proposed), (status = 403, description = "`verification_needed`"),
              (status = 409, description = "`roster_moved`, with the head")))]
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
    own_signatures(&roster, &body.envelope, &caller)?;
    app.user_verified(&caller, &roster, &signers(&body.envelope), id, now).await?;
    let audited = app.permit(&caller, &roster, Action::Approve { proposal: id }, now).await?;

    let mut transaction = app.database.begin().await?;
    let known = transaction.open_proposal(caller.org, id, now).await?.ok_or_else(Problem::not_found)?;
    let before = agreement(&roster, &known.envelope, now)?;
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
    transaction.sign_proposal(caller.org, id, &envelope, &audited).await?;
    transaction.commit().await?;

    let enough = after.people.len() as u32 >= after.needed;
    let state = if enough { ProposalState::Done } else { ProposalState::Open };
    if enough {
        if is_action(&envelope) {
            let order = orders::order(&app, &caller, &roster, &envelope, known.files, now).await?;
            order.carry_out(&app, &caller, &envelope, now).await?;
        } else {
            carry(&app, &caller, &roster, envelope, now).await?;
        }
        let mut transaction = app.database.begin().await?;
        transaction.close_proposal(caller.org, id, state, None).await?;
        transaction.commit().await?;
    }
    Ok(Json(Proposed {
        id,
        needed: after.needed,
        agreed: after.people.into_iter().collect(),
        state: state.as_str(),
    }))
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
    transaction.open_proposal(caller.org, id, now).await?.ok_or_else(Problem::not_found)?;
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
}

fn is_action(envelope: &Envelope) -> bool {
    envelope.payload_type == PayloadType::Action.as_str()
}

fn agreement(roster: &Roster, envelope: &Envelope, now: Timestamp) -> Result<Agreed, Problem> {
    if is_action(envelope) {
        let (id, people) = orders::agreement(roster, envelope, now)?;
        return Ok(Agreed { id, needed: roster.state().administrators.k, people });
    }
    let (seq, head) = roster.head();
    let agreement = roster.agreement(envelope, now).map_err(|error| match error {
        RosterError::DoesNotFollow { .. } | RosterError::Forked => RostersError::Moved { seq, head }.into(),
        error => Problem::from(RostersError::Refused(error)),
    })?;
    Ok(Agreed { id: agreement.hash, needed: agreement.needed, people: agreement.people })
}

/// Nobody brings the signature of somebody else, nor one of nobody, which
/// would take the place of the others'.
fn own_signatures(roster: &Roster, envelope: &Envelope, caller: &Caller) -> Result<(), Problem> {
    let of_caller = |signature: &Signature| {
        let device = signature.keyid.parse().ok().and_then(|device| roster.device(device));
        device.is_some_and(|device| device.person == caller.person)
    };
    if envelope.signatures.iter().all(of_caller) {
        Ok(())
    } else {
        Err(Problem::invalid("The signature must be of a device of yours, and of nobody else's."))
    }
}

pub(crate) fn signers(envelope: &Envelope) -> Vec<DeviceId> {
    envelope.signatures.iter().filter_map(|signature| signature.keyid.parse().ok()).collect()
}
