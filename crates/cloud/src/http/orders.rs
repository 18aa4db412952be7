//! What administrators order together, by a signed action (format.md section
//! 6) of as many of them as the roster demands: roles, policies, accounts for
//! programs, and that a person is forgotten. Judged first, carried out once.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::http::StatusCode;
use cloud_core::Action;
use cloud_core::policy::{Files, Policies, PolicyError};
use model::wire::Envelope;
use model::{Hash, PersonId, Timestamp};
use seal::action::{self, SignedAction, roles_state};
use seal::role::Roles;
use seal::roster::Roster;

use super::actions::{carried_out_before, moved, own};
use crate::app::App;
use crate::clock;
use crate::database::{PolicySetRow, ServiceRow};
use crate::problem::Problem;
use crate::rules::Rules;
use crate::sessions::Caller;

/// Carries out what enough administrators signed, at once.
pub(crate) async fn carry_out(
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
    Erasure { person: PersonId },
    Service { row: ServiceRow, token: Hash },
}

/// Accounts of programs of one organisation, in force.
const SERVICES_MAX: u64 = 100;

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
    let by = author(envelope, roster).unwrap_or(caller.person);
    let change = change(app, (by, now), roster, &rules, &verified.signed, files).await?;
    let hash = verified.hash;
    let action = match &change {
        Change::Roles { person, .. } => Action::AssignRoles { person: *person, signature: hash },
        Change::Policies(policies) => Action::SetPolicy { digest: policies.digest(), signature: hash },
        Change::Erasure { person } => Action::ErasePerson { person: *person, signature: hash },
        Change::Service { row, .. } => Action::CreateServiceAccount { account: row.account, signature: hash },
    };
    let permit = app.decide_signed(caller, roster, action, approvals, now).await?;
    Ok(Order { permit, hash, rules, change })
}

/// Whether this could be carried out, but for signatures that are missing yet.
pub(crate) async fn check(
    app: &App,
    caller: &Caller,
    roster: &Roster,
    envelope: &Envelope,
    files: Option<Files>,
    now: Timestamp,
) -> Result<(), Problem> {
    let verified = checked(envelope, roster, now)?;
    let rules = app.rules.current(&app.database, roster).await?;
    change(app, (caller.person, now), roster, &rules, &verified.signed, files).await.map(drop)
}

/// Whose signature came first.
fn author(envelope: &Envelope, roster: &Roster) -> Option<PersonId> {
    let first = envelope.signatures.first()?.keyid.parse().ok()?;
    roster.device(first).map(|device| device.person)
}

pub(crate) async fn is_known(app: &App, roster: &Roster, person: PersonId) -> sqlx::Result<bool> {
    let in_roster = has_device(roster, person) || roster.state().access.contains_key(&person);
    Ok(in_roster || app.database.person_name(roster.org(), person).await?.is_some())
}

/// One that has expired is still one, until it is shut out.
fn has_device(roster: &Roster, person: PersonId) -> bool {
    roster.state().devices.values().any(|device| device.person == person)
}

/// What is to be in force, if it follows what is.
async fn change(
    app: &App,
    (by, now): (PersonId, Timestamp),
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
        (action::Action::ErasePerson { person }, None) => {
            if !is_known(app, roster, *person).await? {
                return Err(Problem::invalid("There is no such person."));
            }
            if signed.previous_state != roster.head().1 {
                return Err(moved());
            }
            if has_device(roster, *person) {
                return Err(Problem::new(
                    StatusCode::CONFLICT,
                    "still_in_roster",
                    "This person still has devices in the roster.",
                    "Shut them out first.",
                ));
            }
            Ok(Change::Erasure { person: *person })
        }
        (action::Action::CreateServiceAccount { account, token, name, permissions, scope, until }, None) => {
            if signed.previous_state != roster.head().1 {
                return Err(moved());
            }
            if app.database.count_services(roster.org(), now).await? >= SERVICES_MAX {
                return Err(Problem::invalid(format!(
                    "There are {SERVICES_MAX} service accounts. Revoke one first."
                )));
            }
            let row = ServiceRow {
                org: roster.org(),
                account: *account,
                name: name.clone(),
                permissions: permissions.clone(),
                scope: scope.clone(),
                created_by: by,
                created_at: now,
                ends_at: *until,
                used_at: Timestamp(0),
                revoked_at: None,
            };
            Ok(Change::Service { row, token: *token })
        }
        _ => Err(Problem::invalid(
            "The signed action neither assigns roles, nor erases a person, nor makes a service account, nor, with \
             files, sets policies.",
        )),
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
        let audited = permit.record(&app.recorder).await?;
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
            Change::Erasure { person } => {
                transaction.erase_person(caller.org, person, now, &audited).await?;
                true
            }
            Change::Service { row, token } => {
                if !transaction.add_service(&row, token, &audited).await? {
                    return Err(Problem::invalid("The account's id is in use already."));
                }
                true
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
