//! Decide, record, then act: gathers the facts that a request is about from
//! database and roster, asks `cloud_core::decide`, and has the history write
//! the permit down. Handlers get their permits here and nowhere else.

use cloud_core::{
    Action, Audited, CameraFacts, Denial, Facts, GatewayFacts, Permit, PersonFacts, Principal, Request,
    decide,
};
use model::wire::UploadObject;
use model::{CameraId, DeviceId, GatewayId, OrgId, PersonId, Timestamp};
use seal::roster::Roster;

use crate::app::App;
use crate::problem::Problem;
use crate::sessions::Caller;

impl App {
    /// Asks whether the caller may; nothing is recorded yet.
    pub(crate) fn decide(
        &self,
        caller: &Caller,
        roster: &Roster,
        action: Action,
        now: Timestamp,
    ) -> Result<Permit, Denial> {
        let facts = facts_of_person(caller, roster, &action, now);
        let principal = Principal::Person { person: caller.person, device: caller.device };
        let request = Request { org: caller.org, principal, action };
        let decision = decide(&request, &facts, now);
        if let Err(denial) = &decision {
            self.metrics.denials.add(1);
            tracing::info!(person = %caller.person, action = request.action.name(), "denied: {denial}");
        }
        decision
    }

    /// The whole line: decide and record.
    pub(crate) async fn permit(
        &self,
        caller: &Caller,
        roster: &Roster,
        action: Action,
        now: Timestamp,
    ) -> Result<Audited<Permit>, Problem> {
        let permit = self.decide(caller, roster, action, now)?;
        Ok(permit.record(&self.database).await?)
    }

    /// One decision per object, in order.
    pub(crate) fn decide_uploads(
        &self,
        org: OrgId,
        gateway: GatewayId,
        roster: &Roster,
        objects: Vec<UploadObject>,
        now: Timestamp,
    ) -> Vec<Result<Permit, Denial>> {
        let mut facts = Facts { gateways: gateways(roster, [gateway]), ..Facts::default() };
        for camera in roster.cameras().filter(|camera| camera.gateway == gateway) {
            facts.cameras.insert(camera.id, CameraFacts { gateway, person_may_open: false });
        }
        let ask = |object| {
            let request =
                Request { org, principal: Principal::Gateway(gateway), action: Action::MintUpload(object) };
            decide(&request, &facts, now)
        };
        objects.into_iter().map(ask).collect()
    }
}

pub(crate) fn devices_in_force(roster: &Roster, person: PersonId, now: Timestamp) -> Vec<DeviceId> {
    roster.devices_in_force(now).filter(|device| device.person == person).map(|device| device.id).collect()
}

pub(crate) fn is_administrator(roster: &Roster, person: PersonId, now: Timestamp) -> bool {
    devices_in_force(roster, person, now).into_iter().any(|device| roster.is_administrator(device, now))
}

fn facts_of_person(caller: &Caller, roster: &Roster, action: &Action, now: Timestamp) -> Facts {
    let mut facts = Facts {
        person: Some(PersonFacts {
            org: caller.org,
            session_ends_at: caller.ends_at,
            devices: devices_in_force(roster, caller.person, now),
            administrator: is_administrator(roster, caller.person, now),
        }),
        ..Facts::default()
    };
    match action {
        Action::Playback { camera, .. }
        | Action::Live { camera, .. }
        | Action::ListRecordings { camera }
        | Action::Export { camera, .. } => {
            add_camera(&mut facts, roster, caller.person, *camera, now);
        }
        Action::Configure { gateway, signers, .. } => {
            facts.gateways = gateways(roster, [*gateway]);
            facts.administrators =
                signers.iter().copied().filter(|signer| roster.is_administrator(*signer, now)).collect();
        }
        Action::Enrol { gateway } => facts.gateways = gateways(roster, [*gateway]),
        Action::ReadGrants { device, .. } => {
            facts.device_owners.extend(roster.device(*device).map(|known| (*device, known.person)));
        }
        Action::MintUpload(_)
        | Action::Invite { .. }
        | Action::AppendRoster { .. }
        | Action::Propose { .. }
        | Action::Approve { .. }
        | Action::Decline { .. }
        | Action::ChangeFactors { .. }
        | Action::ListCameras
        | Action::ListGateways
        | Action::CreateServiceAccount { .. }
        | Action::RevokeServiceAccount { .. }
        | Action::ReadHistory => {}
    }
    facts
}

fn add_camera(facts: &mut Facts, roster: &Roster, person: PersonId, camera: CameraId, now: Timestamp) {
    if let Some(known) = roster.camera(camera) {
        let person_may_open = roster.person_may_open(person, camera, now);
        facts.cameras.insert(camera, CameraFacts { gateway: known.gateway, person_may_open });
    }
}

fn gateways<const N: usize>(
    roster: &Roster,
    ids: [GatewayId; N],
) -> std::collections::BTreeMap<GatewayId, GatewayFacts> {
    let revoked = |id: &GatewayId| roster.state().revoked_gateways.contains(id);
    let known = ids.into_iter().filter(|id| roster.gateway(*id).is_some() || revoked(id));
    known.map(|id| (id, GatewayFacts { org: roster.org(), revoked: revoked(&id) })).collect()
}
