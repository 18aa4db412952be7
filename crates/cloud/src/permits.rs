//! Decide, record, then act: gathers the facts that a request is about from
//! database and roster, asks `cloud_core::decide`, and has the history write
//! the permit down. Handlers get their permits here and nowhere else.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::http::StatusCode;
use cloud_core::policy::Operation;
use cloud_core::{
    Action, Audited, CameraFacts, Denial, Facts, GatewayFacts, Permit, PersonFacts, Principal, Request,
    ShareFacts, allows, decide,
};
use model::wire::UploadObject;
use model::{CameraId, DeviceId, GatewayId, Hash, OrgId, PersonId, ShareId, Timestamp};
use seal::role::Place;
use seal::roster::{Camera, Right, Roster, Scope};

use crate::app::App;
use crate::clock;
use crate::problem::Problem;
use crate::requests;
use crate::rules::Rules;
use crate::sessions::{self, Caller};

/// For how long a stated reason is good.
const REASON_MS: u64 = Timestamp::HOUR;

/// What became of a permit.
#[derive(Debug)]
pub(crate) enum Still {
    Permitted(Caller, Arc<Roster>),
    Refused,
    /// It cannot be asked now.
    Unknown,
}

impl App {
    /// Asks whether the caller may; nothing is recorded yet.
    pub(crate) async fn decide(
        &self,
        caller: &Caller,
        roster: &Roster,
        action: Action,
        now: Timestamp,
    ) -> Result<Permit, Problem> {
        self.decide_signed(caller, roster, action, 0, now).await
    }

    /// The same, for what so many different administrators signed.
    pub(crate) async fn decide_signed(
        &self,
        caller: &Caller,
        roster: &Roster,
        action: Action,
        approvals: u32,
        now: Timestamp,
    ) -> Result<Permit, Problem> {
        let rules = self.rules.current(&self.database, roster).await?;
        let mut facts = facts_of_person(caller, roster, &rules, &action, now);
        facts.approvals = approvals;
        let principal = Principal::Person { person: caller.person, device: caller.device };
        let request = Request { id: requests::current(), org: caller.org, principal, action };
        let mut decision = decide(&request, &facts, rules.policies.as_ref(), now);
        if let Err(Denial::NoReason) = &decision {
            self.state_reason(caller, &mut facts, now).await?;
            decision = decide(&request, &facts, rules.policies.as_ref(), now);
        }
        decision.map_err(|denial| {
            self.metrics.denials.add(1);
            tracing::info!(person = %caller.person, action = request.action.name(), "denied: {denial}");
            denial.into()
        })
    }

    /// Whether the caller could, for what pages offer: nobody was denied
    /// anything by it.
    pub(crate) async fn would_permit(
        &self,
        caller: &Caller,
        roster: &Roster,
        action: Action,
        now: Timestamp,
    ) -> Result<bool, Problem> {
        let rules = self.rules.current(&self.database, roster).await?;
        let facts = facts_of_person(caller, roster, &rules, &action, now);
        let principal = Principal::Person { person: caller.person, device: caller.device };
        let request = Request { id: requests::current(), org: caller.org, principal, action };
        Ok(decide(&request, &facts, rules.policies.as_ref(), now).is_ok())
    }

    /// Whether the caller may hear a camera: what a viewer of it is sent, and
    /// what pages offer.
    pub(crate) async fn may_hear(
        &self,
        caller: &Caller,
        roster: &Roster,
        camera: CameraId,
        now: Timestamp,
    ) -> Result<bool, Problem> {
        let rules = self.rules.current(&self.database, roster).await?;
        let Some(policies) = &rules.policies else { return Ok(false) };
        let principal = Principal::Person { person: caller.person, device: caller.device };
        let mut facts = facts_of_caller(caller, roster, &rules, [camera], now);
        self.state_reason(caller, &mut facts, now).await?;
        Ok(allows(principal, &facts, Operation::Audio, camera, policies, now))
    }

    /// Whether what was permitted when it began still is: the session lives, the
    /// camera is this gateway's, roster and policies say so.
    pub(crate) async fn still_permits(
        &self,
        caller: &Caller,
        action: Action,
        (camera, gateway): (CameraId, GatewayId),
    ) -> Still {
        let now = clock::now();
        // A database that does not answer is no reason to cut people off for the
        // seconds that it takes; nobody can be revoked in it meanwhile either.
        let Ok(session) = sessions::check(&self.database, caller.session, now).await else {
            return Still::Unknown;
        };
        let Some(session) = session else { return Still::Refused };
        let caller = Caller { network: caller.network, ..session };
        let Ok(roster) = self.roster(caller.org, now).await else { return Still::Unknown };
        if roster.camera(camera).is_none_or(|camera| camera.gateway != gateway) {
            return Still::Refused;
        }
        // What was permitted at the start is only confirmed here.
        match self.decide(&caller, &roster, action, now).await {
            Ok(_) => Still::Permitted(caller, roster),
            Err(problem) if problem.status == StatusCode::INTERNAL_SERVER_ERROR => Still::Unknown,
            Err(_) => Still::Refused,
        }
    }

    /// Adds what the caller gave as the reason for what this session looks at.
    pub(crate) async fn state_reason(
        &self,
        caller: &Caller,
        facts: &mut Facts,
        now: Timestamp,
    ) -> sqlx::Result<()> {
        if let Some(person) = &mut facts.person {
            person.reason = self.database.reason_of(caller.session, now.minus_ms(REASON_MS)).await?;
        }
        Ok(())
    }

    /// The whole line: decide and record.
    pub(crate) async fn permit(
        &self,
        caller: &Caller,
        roster: &Roster,
        action: Action,
        now: Timestamp,
    ) -> Result<Audited<Permit>, Problem> {
        let permit = self.decide(caller, roster, action, now).await?;
        Ok(permit.record(&self.recorder).await?)
    }

    /// The same for a statement that the recovery sheet signed.
    pub(crate) async fn permit_sheet(
        &self,
        roster: &Roster,
        statement: Hash,
        now: Timestamp,
    ) -> Result<Audited<Permit>, Problem> {
        let rules = self.rules.current(&self.database, roster).await?;
        let request = Request {
            id: requests::current(),
            org: roster.org(),
            principal: Principal::Sheet(roster.state().recovery.id),
            action: Action::UseSheet { statement },
        };
        let permit = decide(&request, &Facts::default(), rules.policies.as_ref(), now)?;
        Ok(permit.record(&self.recorder).await?)
    }

    /// For whoever showed the key of a share's link.
    pub(crate) async fn permit_link(
        &self,
        (org, share): (OrgId, ShareId),
        facts: ShareFacts,
        now: Timestamp,
    ) -> Result<Audited<Permit>, Problem> {
        Ok(self.decide_link((org, share), facts, now)?.record(&self.recorder).await?)
    }

    /// Whether what was opened may still be read.
    pub(crate) fn still_shared(
        &self,
        (org, share): (OrgId, ShareId),
        facts: ShareFacts,
        now: Timestamp,
    ) -> Result<(), Problem> {
        // The opening stands in the history.
        self.decide_link((org, share), facts, now).map(|_| ())
    }

    fn decide_link(
        &self,
        (org, share): (OrgId, ShareId),
        facts: ShareFacts,
        now: Timestamp,
    ) -> Result<Permit, Problem> {
        let (principal, action) = (Principal::Link(share), Action::OpenShare { share });
        let request = Request { id: requests::current(), org, principal, action };
        let facts = Facts { share: Some(facts), ..Facts::default() };
        decide(&request, &facts, None, now).map_err(|denial| {
            self.metrics.denials.add(1);
            tracing::info!(%share, "denied: {denial}");
            denial.into()
        })
    }

    /// One decision per object, in order.
    pub(crate) async fn decide_uploads(
        &self,
        org: OrgId,
        gateway: GatewayId,
        roster: &Roster,
        objects: Vec<UploadObject>,
        now: Timestamp,
    ) -> sqlx::Result<Vec<Result<Permit, Denial>>> {
        let rules = self.rules.current(&self.database, roster).await?;
        let mut facts = Facts { gateways: gateways(roster, [gateway]), ..Facts::default() };
        for camera in roster.cameras().filter(|camera| camera.gateway == gateway) {
            facts.cameras.insert(camera.id, camera_facts(camera, None));
        }
        let ask = |object| {
            let request = Request {
                id: requests::current(),
                org,
                principal: Principal::Gateway(gateway),
                action: Action::MintUpload(object),
            };
            decide(&request, &facts, rules.policies.as_ref(), now)
        };
        Ok(objects.into_iter().map(ask).collect())
    }
}

pub(crate) fn devices_in_force(roster: &Roster, person: PersonId, now: Timestamp) -> Vec<DeviceId> {
    roster.devices_of(person, now).map(|device| device.id).collect()
}

pub(crate) fn is_administrator(roster: &Roster, person: PersonId, now: Timestamp) -> bool {
    roster.devices_of(person, now).any(|device| roster.is_administrator(device.id, now))
}

/// What is known of somebody whose session is not asked about, and of all
/// cameras in `cameras`.
pub(crate) fn facts_about(
    (org, person): (OrgId, PersonId),
    roster: &Roster,
    rules: &Rules,
    cameras: impl IntoIterator<Item = CameraId>,
    now: Timestamp,
) -> Facts {
    let mut facts = Facts { administrators_needed: roster.state().administrators.k, ..Facts::default() };
    let access = roster.state().access.get(&person);
    let access = access.filter(|access| access.until.is_none_or(|until| now <= until));
    let mut opens = access.map_or_else(BTreeSet::new, |access| places(&access.scope));
    for id in cameras {
        if let Some(camera) = roster.camera(id) {
            let right = roster.right_of_person(person, id, now);
            if right.is_some() && matches!(access.map(|access| &access.scope), Some(Scope::Cameras { .. })) {
                opens.insert(Place::Camera(id).to_string());
            }
            facts.cameras.insert(id, camera_facts(camera, right));
        }
    }
    facts.person = Some(PersonFacts {
        org,
        session_ends_at: Timestamp(u64::MAX),
        devices: devices_in_force(roster, person, now),
        administrator: is_administrator(roster, person, now),
        opens,
        roles: rules.roles(person),
        grouped: rules.is_grouped(person),
        second_factor: true,
        network: None,
        reason: None,
    });
    facts
}

/// What is known of a caller, and of all cameras in `cameras`.
pub(crate) fn facts_of_caller(
    caller: &Caller,
    roster: &Roster,
    rules: &Rules,
    cameras: impl IntoIterator<Item = CameraId>,
    now: Timestamp,
) -> Facts {
    let mut facts = facts_about((caller.org, caller.person), roster, rules, cameras, now);
    if let Some(person) = &mut facts.person {
        person.session_ends_at = caller.ends_at;
        person.second_factor = caller.second_factor;
        person.network = caller.network;
    }
    facts
}

fn facts_of_person(
    caller: &Caller,
    roster: &Roster,
    rules: &Rules,
    action: &Action,
    now: Timestamp,
) -> Facts {
    let camera = match action {
        Action::Playback { camera, .. }
        | Action::Live { camera, .. }
        | Action::RaiseEvent { camera, .. }
        | Action::ListRecordings { camera }
        | Action::ReadEvents { camera }
        | Action::Export { camera, .. }
        | Action::Ptz { camera }
        | Action::ChangePresets { camera, .. }
        | Action::Bookmark { camera, .. }
        | Action::LockFootage { camera, .. }
        | Action::LiftLock { camera, .. }
        | Action::Share { camera, .. } => Some(*camera),
        _ => None,
    };
    let mut facts = facts_of_caller(caller, roster, rules, camera, now);
    match action {
        Action::Configure { gateway, signers, .. } => {
            facts.gateways = gateways(roster, [*gateway]);
            facts.administrators =
                signers.iter().copied().filter(|signer| roster.is_administrator(*signer, now)).collect();
        }
        Action::Enrol { gateway } => facts.gateways = gateways(roster, [*gateway]),
        Action::ReadGrants { device, .. }
        | Action::OrderNotices { device }
        | Action::EndNotices { device } => {
            facts.device_owners.extend(roster.device(*device).map(|known| (*device, known.person)));
        }
        // The rest is about nothing that the roster would know.
        _ => {}
    }
    facts
}

/// A scope as policies name it. Cameras that are named one by one are not
/// here: whoever asks adds the one that is asked about.
pub(crate) fn places(scope: &Scope) -> BTreeSet<String> {
    let place = |place: Place| place.to_string();
    match scope {
        Scope::All => BTreeSet::from([place(Place::All)]),
        Scope::Groups { groups } => groups.iter().map(|group| place(Place::Group(group.clone()))).collect(),
        Scope::Cameras { .. } => BTreeSet::new(),
    }
}

/// `right` is that of whoever asks.
pub(crate) fn camera_facts(camera: &Camera, right: Option<Right>) -> CameraFacts {
    CameraFacts {
        gateway: camera.gateway,
        groups: camera.groups.clone(),
        posture: Default::default(),
        person_may_open: right.is_some(),
        person_may_hear: right.is_some_and(|right| right.audio),
    }
}

fn gateways<const N: usize>(roster: &Roster, ids: [GatewayId; N]) -> BTreeMap<GatewayId, GatewayFacts> {
    let revoked = |id: &GatewayId| roster.state().revoked_gateways.contains(id);
    let known = ids.into_iter().filter(|id| roster.gateway(*id).is_some() || revoked(id));
    let facts = |id| GatewayFacts { org: roster.org(), revoked: revoked(&id), posture: Default::default() };
    known.map(|id| (id, facts(id))).collect()
}
