//! Policies and roles: what applies, putting it in force, and why an answer
//! comes out as it does. Both are put in force by a signed action (format.md
//! section 6) of as many administrators as the roster demands.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use cloud_core::policy::{Files, Missing, Operation, Policies, Rule};
use cloud_core::{Explanation, Principal, explain};
use model::wire::Envelope;
use model::{CameraId, Hash, PersonId, Timestamp};
use seal::role::Roles;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::extract::Json;
use super::orders::carry_out;
use super::types::EnvelopeSchema;
use crate::app::App;
use crate::clock;
use crate::permits::{facts_about, facts_of_caller, is_administrator};
use crate::problem::Problem;
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
    carry_out(&app, &caller, &body.envelope, Some(body.files)).await
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
    carry_out(&app, &caller, &body.envelope, None).await
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
        app.state_reason(&caller, &mut facts, now).await?;
        if !facts.cameras.get(&body.camera).is_some_and(|known| known.person_may_open) {
            return Err(Problem::not_found());
        }
        facts
    } else {
        facts_about((caller.org, person), &roster, &rules, [body.camera], at)
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
