//! What an organisation set: its policies and who has which role. SQL holds
//! them beside what administrators signed; this keeps them parsed, and looks
//! before every use whether there is something newer, so that several nodes
//! agree. Groups of providers and directories add roles, as the configuration
//! says. What does not fit its signature is not believed: whoever can write
//! to the database alone changes no rule.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, RwLock};

use cloud_core::policy::{Policies, PolicyError};
use model::wire::Envelope;
use model::{Hash, OrgId, PersonId, Timestamp};
use seal::action::{Action, SignedAction};
use seal::envelope::{self, PayloadType};
use seal::keys::VerifyingKey;
use seal::role::Roles;
use seal::roster::Roster;

use crate::database::{Database, PolicySetRow, RolesRow};
use crate::groups::Groups;

#[derive(Debug)]
pub(crate) struct Rules {
    /// None if what is stored does not load: it does not fit what was signed,
    /// or this program's schema is another. Nothing is put in its place,
    /// because that could permit what was forbidden.
    pub(crate) policies: Option<Policies>,
    /// When administrators put the set in force, and what they signed; absent
    /// for the one that is built in.
    pub(crate) set: Option<(Timestamp, Hash)>,
    /// As administrators assigned them.
    assigned: BTreeMap<PersonId, Roles>,
    /// By groups, of identity providers and directories.
    by_groups: BTreeMap<PersonId, Roles>,
    /// Numbers of the newest set and the newest assignment.
    pub(crate) version: (u64, u64),
    directory: u64,
}

#[derive(Debug, thiserror::Error)]
enum StoredError {
    #[error("what administrators signed is missing or says something else")]
    Signed,
    #[error("{0}")]
    Policy(PolicyError),
}

impl Rules {
    /// All that are in force.
    pub(crate) fn roles(&self, person: PersonId) -> Roles {
        let of = |roles: &BTreeMap<PersonId, Roles>| roles.get(&person).cloned().unwrap_or_default();
        of(&self.assigned).into_iter().chain(of(&self.by_groups)).collect()
    }

    /// Whether groups give this person roles, or none.
    pub(crate) fn is_grouped(&self, person: PersonId) -> bool {
        self.by_groups.contains_key(&person)
    }

    pub(crate) fn assigned(&self, person: PersonId) -> Roles {
        self.assigned.get(&person).cloned().unwrap_or_default()
    }

    pub(crate) fn all_assigned(&self) -> &BTreeMap<PersonId, Roles> {
        &self.assigned
    }

    pub(crate) fn all_by_groups(&self) -> &BTreeMap<PersonId, Roles> {
        &self.by_groups
    }
}

#[derive(Debug)]
pub(crate) struct RulesCache {
    cached: RwLock<HashMap<OrgId, Arc<Rules>>>,
    groups: Groups,
}

impl RulesCache {
    pub(crate) fn new(groups: Groups) -> Self {
        RulesCache { cached: RwLock::default(), groups }
    }

    pub(crate) async fn current(&self, database: &Database, roster: &Roster) -> sqlx::Result<Arc<Rules>> {
        let org = roster.org();
        let version = database.rules_version(org).await?;
        let cached = self.cached.read().unwrap_or_else(std::sync::PoisonError::into_inner).get(&org).cloned();
        let known = cached.filter(|rules| (rules.version, rules.directory) == version);
        if let Some(rules) = known {
            return Ok(rules);
        }
        let by_groups = self.groups.roles(database, org).await?;
        let rules = Arc::new(load(database, roster, version, by_groups).await?);
        let mut cached = self.cached.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        cached.insert(org, rules.clone());
        Ok(rules)
    }
}

async fn load(
    database: &Database,
    roster: &Roster,
    (version, directory): ((u64, u64), u64),
    by_groups: BTreeMap<PersonId, Roles>,
) -> sqlx::Result<Rules> {
    let org = roster.org();
    let row = database.policy_set(org).await?;
    let set = row.as_ref().map(|row| (row.at, row.signature));
    let envelope = match &row {
        Some(row) => database.signature(org, row.signature).await?,
        None => None,
    };
    let assigned = database.roles(org).await?;
    let loaded = roles(&assigned, roster).and_then(|roles| Ok((policies(row, envelope, roster)?, roles)));
    let (policies, assigned) = match loaded {
        Ok((policies, assigned)) => (Some(policies), assigned),
        Err(error) => {
            tracing::error!(%org, "policies or roles do not load, and nothing is permitted: {error}");
            (None, BTreeMap::new())
        }
    };
    Ok(Rules { policies, set, assigned, by_groups, version, directory })
}

fn policies(
    row: Option<PolicySetRow>,
    envelope: Option<Envelope>,
    roster: &Roster,
) -> Result<Policies, StoredError> {
    let Some(row) = row else { return Ok(Policies::builtin()) };
    let signed = signed(&envelope.ok_or(StoredError::Signed)?, roster)?;
    if signed.action != (Action::SetPolicy { digest: cloud_core::policy::digest(&row.files) }) {
        return Err(StoredError::Signed);
    }
    Policies::parse(row.files).map_err(|errors| {
        StoredError::Policy(errors.into_iter().next().expect("a set that does not load has a fault"))
    })
}

fn roles(assigned: &[RolesRow], roster: &Roster) -> Result<BTreeMap<PersonId, Roles>, StoredError> {
    let one = |row: &RolesRow| {
        let expected = Action::AssignRoles { person: row.person, roles: row.roles.clone() };
        if signed(&row.envelope, roster)?.action == expected {
            Ok((row.person, row.roles.clone()))
        } else {
            Err(StoredError::Signed)
        }
    };
    assigned.iter().map(one).collect()
}

/// Whether the signers were administrators, and enough, was judged when it was
/// put in force; by now they may be neither, and shut out.
fn signed(envelope: &Envelope, roster: &Roster) -> Result<SignedAction, StoredError> {
    let key_of = |keyid: &str| {
        let device = roster.device_once(keyid.parse().ok()?)?;
        VerifyingKey::from_bytes(&device.sign.0).ok()
    };
    let signers = envelope::signers(PayloadType::Action, envelope, key_of).unwrap_or_default();
    let payload = envelope::payload(PayloadType::Action, envelope).ok();
    let signed: Option<SignedAction> = payload.and_then(|bytes| seal::from_canonical(bytes).ok());
    match signed {
        Some(signed) if !signers.is_empty() && signed.org == roster.org() => Ok(signed),
        _ => Err(StoredError::Signed),
    }
}
