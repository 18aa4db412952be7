//! Programs that ask in their own name: `Authorization: Bearer lkst_…`. The
//! token has 256 random bits of whoever ordered the account; the cloud is told
//! their hash and sees it when the program comes. It is looked up with every
//! request: one that was revoked is worth nothing a moment later. It opens
//! nothing that stays open; what it is for stands in its account.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::http::{HeaderMap, header};
use cloud_core::{
    Action, Audited, Facts, Permit, Principal, ProvisionChange, Provisioned, Request, ServiceFacts, decide,
};
use model::{CameraId, Hash, OrgId, ServiceId, Timestamp};
use seal::action::ServicePermission;
use seal::role::Place;
use seal::roster::{Right, Roster, Scope};

use crate::app::App;
use crate::database::Database;
use crate::permits::{camera_facts, facts_of_caller, places};
use crate::problem::Problem;
use crate::random;
use crate::requests;
use crate::rules::Rules;
use crate::sessions::Caller;

const PREFIX: &str = "lkst_";
/// Programs are sealed no keys, so none hears anything.
const PICTURES: Right = Right { audio: false };
/// The time of last use is written at most this often.
const TOUCH_MS: u64 = Timestamp::MINUTE;

#[derive(Clone, Debug)]
pub(crate) struct Service {
    pub(crate) org: OrgId,
    pub(crate) account: ServiceId,
    ends_at: Timestamp,
    permissions: BTreeSet<ServicePermission>,
    scope: Scope,
    /// The token's name in the database.
    token: Hash,
}

/// Whoever may read lists: a person, or a program.
#[derive(Clone, Debug)]
pub(crate) enum Asker {
    Person(Caller),
    Service(Arc<Service>),
}

/// Whether a request wants to be a program's; then its cookie counts nothing.
pub(crate) fn shown(headers: &HeaderMap) -> bool {
    headers.contains_key(header::AUTHORIZATION)
}

pub(crate) async fn authenticate(
    database: &Database,
    headers: &HeaderMap,
    now: Timestamp,
) -> sqlx::Result<Option<Service>> {
    let Some(token) = token(headers) else { return Ok(None) };
    let token = random::hashed(token);
    let Some(row) = database.service_of(token, now).await? else { return Ok(None) };
    if now.ms_since(row.used_at) > TOUCH_MS {
        database.touch_service(row.account, now).await?;
    }
    Ok(Some(Service {
        org: row.org,
        account: row.account,
        ends_at: row.ends_at,
        permissions: row.permissions,
        scope: row.scope,
        token,
    }))
}

/// The one well-formed token of a request.
fn token(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (value, None) = (values.next()?, values.next()) else { return None };
    let token = value.to_str().ok()?.strip_prefix("Bearer ")?;
    token.strip_prefix(PREFIX)?.parse::<Hash>().ok()?;
    Some(token)
}

impl Service {
    pub(crate) fn may(&self, permission: ServicePermission) -> bool {
        self.permissions.contains(&permission)
    }

    fn facts(&self, roster: &Roster, cameras: impl IntoIterator<Item = CameraId>) -> Facts {
        let Service { org, ends_at, .. } = *self;
        let mut opens = places(&self.scope);
        let mut facts = Facts::default();
        for id in cameras {
            let Some(camera) = roster.camera(id) else { continue };
            let in_scope = self.scope.includes(camera);
            if in_scope && matches!(self.scope, Scope::Cameras { .. }) {
                opens.insert(Place::Camera(id).to_string());
            }
            facts.cameras.insert(id, camera_facts(camera, in_scope.then_some(PICTURES)));
        }
        facts.service = Some(ServiceFacts { org, ends_at, permissions: self.permissions.clone(), opens });
        facts
    }
}

impl Asker {
    pub(crate) fn org(&self) -> OrgId {
        match self {
            Asker::Person(caller) => caller.org,
            Asker::Service(service) => service.org,
        }
    }

    /// Who asks, and what is known about these cameras.
    pub(crate) fn facts(
        &self,
        roster: &Roster,
        rules: &Rules,
        cameras: impl IntoIterator<Item = CameraId>,
        now: Timestamp,
    ) -> (Principal, Facts) {
        match self {
            Asker::Person(caller) => {
                let principal = Principal::Person { person: caller.person, device: caller.device };
                (principal, facts_of_caller(caller, roster, rules, cameras, now))
            }
            Asker::Service(service) => (Principal::Service(service.account), service.facts(roster, cameras)),
        }
    }
}

impl App {
    /// Decided every time, written down once in a while.
    pub(crate) async fn reads(
        &self,
        asker: &Asker,
        roster: &Roster,
        action: Action,
        now: Timestamp,
    ) -> Result<Arc<Audited<Permit>>, Problem> {
        let service = match asker {
            Asker::Person(caller) => return self.read_permit(caller, roster, action, now).await,
            Asker::Service(service) => service,
        };
        let camera = match &action {
            Action::ListRecordings { camera } => Some(*camera),
            _ => None,
        };
        let facts = service.facts(roster, camera);
        let rules = self.rules.current(&self.database, roster).await?;
        let principal = Principal::Service(service.account);
        let request = Request { id: requests::current(), org: service.org, principal, action };
        let permit = decide(&request, &facts, rules.policies.as_ref(), now).inspect_err(|denial| {
            self.metrics.denials.add(1);
            tracing::info!(service = %service.account, action = request.action.name(), "denied: {denial}");
        })?;
        self.recorded_read(service.token, permit, now).await
    }
}

impl App {
    /// What a directory says about somebody, decided and written down.
    pub(crate) async fn provision(
        &self,
        service: &Service,
        about: Provisioned,
        change: ProvisionChange,
        now: Timestamp,
    ) -> Result<Audited<Permit>, Problem> {
        let permit = self.decide_provision(service, about, change, now).await?;
        Ok(permit.record(&self.recorder).await?)
    }

    /// The same, for what takes away: that acts first.
    pub(crate) async fn decide_provision(
        &self,
        service: &Service,
        about: Provisioned,
        change: ProvisionChange,
        now: Timestamp,
    ) -> Result<Permit, Problem> {
        let roster = self.roster(service.org, now).await?;
        let facts = service.facts(&roster, []);
        let action = Action::Provision { about, change };
        let request = Request {
            id: requests::current(),
            org: service.org,
            principal: Principal::Service(service.account),
            action,
        };
        let rules = self.rules.current(&self.database, &roster).await?;
        Ok(decide(&request, &facts, rules.policies.as_ref(), now)?)
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use model::Secret;

    use super::*;

    #[test]
    fn one_well_formed_token_or_none() {
        let secret = Secret::new(format!("{PREFIX}{}", random::token()));
        let of = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::AUTHORIZATION, HeaderValue::try_from(*value).unwrap());
            }
            token(&headers).map(str::to_owned)
        };
        let good = format!("Bearer {}", secret.expose());
        assert_eq!(of(&[&good]).as_deref(), Some(secret.expose()));
        let basic = good.replace("Bearer", "Basic");
        for bad in [vec![], vec![good.as_str(), &good], vec![basic.as_str()], vec!["Bearer lkst_x"]] {
            assert_eq!(of(&bad), None);
        }
    }
}
