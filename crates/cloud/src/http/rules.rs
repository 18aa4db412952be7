//! Policies and roles: what applies, putting it in force, and why an answer
//! comes out as it does. Both are put in force by a signed action (format.md
//! section 6) of as many administrators as the roster demands.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use cloud_core::policy::{Files, Missing, Operation, Policies, PolicyError, Rule};
use cloud_core::{Action, Explanation, Principal, explain};
use model::wire::Envelope;
use model::{CameraId, Hash, PersonId, Timestamp};
use seal::action::{self, SignedAction, roles_state};
use seal::role::Roles;
use seal::roster::Roster;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::actions::{carried_out_before, moved, own};
use super::extract::Json;
use super::types::EnvelopeSchema;
use crate::app::App;
use crate::clock;
use crate::database::PolicySetRow;
use crate::permits::{REASON_MS, facts_about, facts_of_caller, is_administrator};
use crate::problem::Problem;
use crate::rules::Rules;
use crate::sessions::Caller;

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PolicySet {
    /// SHA-256 of the files as canonical JSON; null if the set does not load.
    #[schema(value_type = Option<String>)]
    digest: Option<Hash>,
    /// Texts by name.
    #[schema(value_type = Object)]
    files: Files,
    #[schema(value_type = Vec<RuleSchema>)]
    rules: Vec<Rule>,
    /// When administrators put it in force; null for the set that is built in.
    #[schema(value_type = Option<u64>)]
    set_at: Option<Timestamp>,
    /// What they signed.
    #[schema(value_type = Option<String>)]
    signature: Option<Hash>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewPolicySet {
    #[schema(value_type = Object)]
    files: Files,
    #[schema(value_type = EnvelopeSchema)]
    envelope: Envelope,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RoleList {
    /// As administrators assigned them.
    people: Vec<RolesOf>,
    /// Beside those, by groups of identity providers and directories.
    by_groups: Vec<RolesOf>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RolesOf {
    #[schema(value_type = String)]
    person: PersonId,
    /// List of `{"role","place"}`, as in format.md section 6.
    #[schema(value_type = Vec<Object>)]
    roles: Roles,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewRoles {
    #[schema(value_type = EnvelopeSchema)]
    envelope: Envelope,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Explain {
    /// Somebody else, if an administrator asks.
    #[schema(value_type = Option<String>)]
    person: Option<PersonId>,
    /// An action of the schema, such as `live`.
    operation: String,
    #[schema(value_type = String)]
    camera: CameraId,
    #[schema(value_type = Option<u64>)]
    at: Option<Timestamp>,
}

/// Why an answer comes out as it does.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Explained {
    allowed: bool,
    /// What roster or session refuse, before any policy is asked.
    refused: Option<String>,
    /// The policies that decided.
    #[schema(value_type = Vec<RuleSchema>)]
    rules: Vec<Rule>,
    /// `reason` or `second_factor`, if that would turn the no into a yes.
    missing: Option<&'static str>,
}

#[derive(ToSchema)]
#[schema(as = Rule)]
#[expect(dead_code, reason = "the OpenAPI spelling of cloud_core's Rule")]
pub(crate) struct RuleSchema {
    id: String,
    why: String,
}

#[utoipa::path(get, path = "/api/v1/policy", responses((status = 200, body = PolicySet)))]
pub(crate) async fn policy(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<PolicySet>, Problem> {
    let roster = app.roster(caller.org, clock::now()).await?;
    let rules = app.rules.current(&app.database, &roster).await?;
    let files = match &rules.policies {
        Some(policies) => policies.files().clone(),
        None => app.database.policy_set(caller.org).await?.map(|row| row.files).unwrap_or_default(),
    };
    Ok(Json(PolicySet {
        digest: rules.policies.as_ref().map(Policies::digest),
        files,
        rules: rules.policies.iter().flat_map(Policies::rules).cloned().collect(),
        set_at: rules.set.map(|(at, _)| at),
        signature: rules.set.map(|(_, signature)| signature),
    }))
}

#[utoipa::path(post, path = "/api/v1/policy", request_body = NewPolicySet,
    responses((status = 204), (status = 403, description = "`verification_needed`, or `more_approvals_needed`"),
              (status = 409, description = "`state_moved` or `replayed`"),
              (status = 422, description = "the set does not load; the message names the places")))]
pub(crate) async fn set_policy(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Json(body): Json<NewPolicySet>,
) -> Result<StatusCode, Problem> {
    put_in_force(&app, &caller, &body.envelope, Some(body.files)).await
}

#[utoipa::path(get, path = "/api/v1/roles", responses((status = 200, body = RoleList)))]
pub(crate) async fn roles(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<RoleList>, Problem> {
    let roster = app.roster(caller.org, clock::now()).await?;
    let rules = app.rules.current(&app.database, &roster).await?;
    let of = |(person, roles): (&PersonId, &Roles)| RolesOf { person: *person, roles: roles.clone() };
    let people = rules.all_assigned().iter().map(of).collect();
    Ok(Json(RoleList { people, by_groups: rules.all_by_groups().iter().map(of).collect() }))
}

#[utoipa::path(post, path = "/api/v1/roles", request_body = NewRoles,
    responses((status = 204), (status = 403, description = "`verification_needed`, or `more_approvals_needed`"),
              (status = 409, description = "`state_moved` or `replayed`")))]
pub(crate) async fn assign_roles(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Json(body): Json<NewRoles>,
) -> Result<StatusCode, Problem> {
    put_in_force(&app, &caller, &body.envelope, None).await
}

#[utoipa::path(post, path = "/api/v1/explanations", request_body = Explain,
    responses((status = 200, body = Explained)))]
pub(crate) async fn explanation(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Json(body): Json<Explain>,
) -> Result<Json<Explained>, Problem> {
    let now = clock::now();
    let roster = app.roster(caller.org, now).await?;
    let person = body.person.unwrap_or(caller.person);
    if person != caller.person && !is_administrator(&roster, caller.person, now) {
        return Err(cloud_core::Denial::NotAdministrator.into());
    }
    let operation = Operation::named(&body.operation)
        .filter(|operation| Operation::OF_CAMERAS.contains(operation))
        .ok_or_else(|| Problem::invalid("The operation is none that is done to cameras."))?;
    let rules = app.rules.current(&app.database, &roster).await?;
    let at = body.at.unwrap_or(now);
    let facts = if person == caller.person {
        let mut facts = facts_of_caller(&caller, &roster, &rules, [body.camera], at);
        let since = now.minus_ms(REASON_MS);
        if let Some(person) = &mut facts.person {
            person.reason = app.database.reason_of(caller.session, since).await?;
        }
        if !facts.cameras.get(&body.camera).is_some_and(|known| known.person_may_open) {
            return Err(Problem::not_found());
        }
        facts
    } else {
        facts_about((caller.org, person), &roster, rules.roles(person), [body.camera], at)
    };
    let policies = rules.policies.as_ref().ok_or(cloud_core::Denial::NoPolicies)?;
    let principal = Principal::Person { person, device: None };
    Ok(Json(match explain(principal, &facts, operation, body.camera, policies, at) {
        Explanation::Floor(denial) => {
            Explained { allowed: false, refused: Some(denial.to_string()), rules: Vec::new(), missing: None }
        }
        Explanation::Policies(answer, missing) => Explained {
            allowed: answer.allowed,
            refused: None,
            rules: answer.rules,
            missing: missing.map(|missing| match missing {
                Missing::Reason => "reason",
                Missing::SecondFactor => "second_factor",
            }),
        },
    }))
}

async fn put_in_force(
    app: &App,
    caller: &Caller,
    envelope: &Envelope,
    files: Option<Files>,
) -> Result<StatusCode, Problem> {
    let now = clock::now();
    let roster = app.roster(caller.org, now).await?;
    let verified = checked(envelope, &roster, now)?;
    own(&verified, &roster, caller)?;
    // What cannot be carried out is told before a touch of the passkey is asked for.
    let order = order(app, caller, &roster, envelope, files, now).await?;
    let devices: Vec<_> = verified.devices.into_iter().collect();
    app.user_verified(caller, &roster, &devices, verified.hash, now).await?;
    order.carry_out(app, caller, envelope, now).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn checked(envelope: &Envelope, roster: &Roster, now: Timestamp) -> Result<action::Verified, Problem> {
    SignedAction::verify(envelope, roster, now)
        .map_err(|error| Problem::invalid(format!("The action is not accepted: {error}.")))
}

/// What administrators signed, judged and ready to be carried out.
pub(crate) struct Order {
    permit: cloud_core::Permit,
    hash: Hash,
    rules: Arc<Rules>,
    change: Change,
}

enum Change {
    Roles { person: PersonId, roles: Roles },
    Policies(Policies),
}

/// Judges signatures, state and content; changes nothing.
pub(crate) async fn order(
    app: &App,
    caller: &Caller,
    roster: &Roster,
    envelope: &Envelope,
    files: Option<Files>,
    now: Timestamp,
) -> Result<Order, Problem> {
    let verified = checked(envelope, roster, now)?;
    let approvals = verified.administrators(roster, now).len() as u32;
    let rules = app.rules.current(&app.database, roster).await?;
    let change = change(app, roster, &rules, &verified.signed, files).await?;
    let hash = verified.hash;
    let action = match &change {
        Change::Roles { person, .. } => Action::AssignRoles { person: *person, signature: hash },
        Change::Policies(policies) => Action::SetPolicy { digest: policies.digest(), signature: hash },
    };
    let permit = app.decide_signed(caller, roster, action, approvals, now).await?;
    Ok(Order { permit, hash, rules, change })
}

/// Whether this could be carried out, but for signatures that are missing yet.
pub(crate) async fn check(
    app: &App,
    roster: &Roster,
    envelope: &Envelope,
    files: Option<Files>,
    now: Timestamp,
) -> Result<(), Problem> {
    let verified = checked(envelope, roster, now)?;
    let rules = app.rules.current(&app.database, roster).await?;
    change(app, roster, &rules, &verified.signed, files).await.map(drop)
}

pub(crate) async fn is_known(app: &App, roster: &Roster, person: PersonId) -> sqlx::Result<bool> {
    let state = roster.state();
    let in_roster =
        state.access.contains_key(&person) || state.devices.values().any(|device| device.person == person);
    Ok(in_roster || app.database.person_name(roster.org(), person).await?.is_some())
}

/// What is to be in force, if it follows what is.
async fn change(
    app: &App,
    roster: &Roster,
    rules: &Rules,
    signed: &SignedAction,
    files: Option<Files>,
) -> Result<Change, Problem> {
    match (&signed.action, files) {
        (action::Action::AssignRoles { person, roles }, None) => {
            if !is_known(app, roster, *person).await? {
                return Err(Problem::invalid("There is no such person."));
            }
            if signed.previous_state != roles_state(*person, &rules.assigned(*person)) {
                return Err(moved());
            }
            Ok(Change::Roles { person: *person, roles: roles.clone() })
        }
        (action::Action::SetPolicy { digest }, Some(files)) => {
            let present = match &rules.policies {
                Some(policies) => Some(policies.digest()),
                None => app.database.policy_set(roster.org()).await?.map(|row| row.digest),
            };
            if Some(signed.previous_state) != present {
                return Err(moved());
            }
            if cloud_core::policy::digest(&files) != *digest {
                return Err(Problem::invalid("The files are others than those that were signed."));
            }
            Ok(Change::Policies(Policies::parse(files).map_err(unsound)?))
        }
        _ => Err(Problem::invalid("The signed action neither assigns roles nor, with files, sets policies.")),
    }
}

impl Order {
    pub(crate) async fn carry_out(
        self,
        app: &App,
        caller: &Caller,
        envelope: &Envelope,
        now: Timestamp,
    ) -> Result<(), Problem> {
        let Order { permit, hash, rules, change } = self;
        if !app.database.keep_signature(caller.org, hash, envelope, now).await? {
            return Err(carried_out_before());
        }
        let audited = permit.record(&app.database).await?;
        let mut transaction = app.database.begin().await?;
        let (sets, assignments) = rules.version;
        let first = match change {
            Change::Roles { person, roles } => {
                let of = (caller.org, person);
                transaction.add_roles(of, assignments, &roles, (hash, now), &audited).await?
            }
            Change::Policies(policies) => {
                let (digest, files) = (policies.digest(), policies.files().clone());
                let row = PolicySetRow { digest, files, signature: hash, at: now };
                transaction.add_policy_set(caller.org, sets, &row, &audited).await?
            }
        };
        if !first {
            return Err(moved());
        }
        transaction.commit().await?;
        // Whoever watches what is forbidden now is cut at once.
        app.hub.rights_changed();
        Ok(())
    }
}

fn unsound(errors: Vec<PolicyError>) -> Problem {
    let told: Vec<String> = errors.iter().take(20).map(ToString::to_string).collect();
    let mut problem = Problem::invalid(format!("The set of policies does not load. {}", told.join("; ")));
    problem.body.error.remedy =
        "Correct it; `lenskeep policy check` says the same on your machine.".to_owned();
    problem
}

/// How far administrators agree on a signed action that takes several.
pub(crate) fn agreement(
    roster: &Roster,
    envelope: &Envelope,
    now: Timestamp,
) -> Result<(Hash, BTreeSet<PersonId>), Problem> {
    let verified = checked(envelope, roster, now)?;
    if verified.devices.iter().any(|device| !roster.is_administrator(*device, now)) {
        return Err(cloud_core::Denial::Unsigned.into());
    }
    Ok((verified.hash, verified.administrators(roster, now)))
}
