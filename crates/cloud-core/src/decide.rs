//! The one place that says yes. Facts in, decision out; what no rule permits
//! is denied. It never looks anything up and never acts.

use model::wire::UploadObject;
use model::{CameraId, DeviceId, GatewayId, PersonId, Timestamp};

use seal::action::ServicePermission;

use crate::permit::Permit;
use crate::request::{Action, Facts, PersonFacts, Principal, Request};
use crate::{Entry, ObjectName};

/// Largest object that an upload token is made for (format.md section 5).
pub const UPLOAD_BYTES_MAX: u64 = 64 << 20;

/// Why not. `cloud::http` turns it into an answer, and shows most of them as
/// "not found".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    #[error("the gateway is not in this organisation's roster, or is revoked")]
    Gateway,
    #[error("the session has ended")]
    Session,
    #[error("none of the person's devices is in force")]
    NoDevice,
    #[error("only administrators may do this")]
    NotAdministrator,
    #[error("the name is not one that this gateway may create")]
    ObjectName,
    #[error("the size is not between 1 byte and 64 MiB")]
    ObjectSize,
    #[error("the roster does not let this person open the camera")]
    Camera,
    #[error("the command is not signed by an administrator")]
    Unsigned,
    #[error("the device belongs to somebody else")]
    Device,
    #[error("this kind of principal may not do this")]
    Principal,
}

pub fn decide(request: &Request, facts: &Facts, now: Timestamp) -> Result<Permit, Denial> {
    match request.principal {
        Principal::Gateway(gateway) => {
            gateway_in_force(request, facts, gateway)?;
            match &request.action {
                Action::MintUpload(object) => may_create(request, facts, gateway, object)?,
                _ => return Err(Denial::Principal),
            }
        }
        Principal::Person { person, device } => {
            let who = person_in_force(request, facts, device, now)?;
            person_may(person, who, request, facts)?;
        }
        Principal::Service(_) => service_may(request, facts, now)?,
    }
    Ok(Permit::new(
        request.action.clone(),
        Entry {
            org: request.org,
            at: now,
            actor: request.principal.actor(),
            device: request.principal.device(),
            action: request.action.name().to_owned(),
            resource: request.action.resource(),
            signature: request.action.signature(),
        },
    ))
}

fn gateway_in_force(request: &Request, facts: &Facts, gateway: GatewayId) -> Result<(), Denial> {
    let known = facts.gateways.get(&gateway).ok_or(Denial::Gateway)?;
    if known.revoked || known.org != request.org {
        return Err(Denial::Gateway);
    }
    Ok(())
}

fn may_create(
    request: &Request,
    facts: &Facts,
    gateway: GatewayId,
    object: &UploadObject,
) -> Result<(), Denial> {
    if object.bytes == 0 || object.bytes > UPLOAD_BYTES_MAX {
        return Err(Denial::ObjectSize);
    }
    let name = ObjectName::parse(object.container, &object.name).map_err(|_| Denial::ObjectName)?;
    if name.org() != request.org {
        return Err(Denial::ObjectName);
    }
    let own = match name {
        ObjectName::Recording { camera, .. } => {
            facts.cameras.get(&camera).is_some_and(|c| c.gateway == gateway)
        }
        ObjectName::EpochGrant { gateway: named, .. } => named == gateway,
    };
    if own { Ok(()) } else { Err(Denial::ObjectName) }
}

fn person_in_force<'a>(
    request: &Request,
    facts: &'a Facts,
    device: Option<DeviceId>,
    now: Timestamp,
) -> Result<&'a PersonFacts, Denial> {
    let person = facts.person.as_ref().ok_or(Denial::Session)?;
    if person.org != request.org || now >= person.session_ends_at {
        return Err(Denial::Session);
    }
    match device {
        // A session opened with a device key ends with the device.
        Some(device) if !person.devices.contains(&device) => Err(Denial::Session),
        _ => Ok(person),
    }
}

fn person_may(id: PersonId, person: &PersonFacts, request: &Request, facts: &Facts) -> Result<(), Denial> {
    match &request.action {
        Action::Playback { camera, .. }
        | Action::Live { camera, .. }
        | Action::ListRecordings { camera }
        | Action::Export { camera, .. } => may_open(person, facts, *camera),
        Action::ReadGrants { device, .. } => match facts.device_owners.get(device) {
            Some(owner) if *owner == id && person.devices.contains(device) => Ok(()),
            _ => Err(Denial::Device),
        },
        Action::Configure { gateway, signers, .. } => {
            administrator(person)?;
            gateway_in_force(request, facts, *gateway)?;
            if signers.iter().any(|signer| facts.administrators.contains(signer)) {
                Ok(())
            } else {
                Err(Denial::Unsigned)
            }
        }
        Action::Enrol { gateway } => {
            administrator(person)?;
            gateway_in_force(request, facts, *gateway)
        }
        Action::Invite { .. }
        | Action::ReadHistory
        | Action::Propose { .. }
        | Action::Approve { .. }
        | Action::Decline { .. }
        | Action::CreateServiceAccount { .. }
        | Action::RevokeServiceAccount { .. } => administrator(person),
        // What is in the lists depends on the person.
        Action::ListCameras | Action::ListGateways => Ok(()),
        // The roster's own rules judged the signatures; anybody in the
        // organisation may carry a statement that they accept.
        Action::AppendRoster { .. } => Ok(()),
        // One's own; a way in for somebody else is nobody's to make.
        Action::ChangeFactors { person, .. } if *person == id => Ok(()),
        Action::ChangeFactors { .. } | Action::MintUpload(_) => Err(Denial::Principal),
    }
}

/// A program looks at lists, where its account says so. Nothing that it may
/// do opens, changes or hands on anything.
fn service_may(request: &Request, facts: &Facts, now: Timestamp) -> Result<(), Denial> {
    let service = facts.service.as_ref().ok_or(Denial::Session)?;
    if service.org != request.org || now >= service.ends_at {
        return Err(Denial::Session);
    }
    let needed = match &request.action {
        Action::ListCameras => ServicePermission::ListCameras,
        Action::ListGateways => ServicePermission::ListGateways,
        Action::ReadHistory => ServicePermission::ReadHistory,
        Action::ListRecordings { camera } => match facts.cameras.get(camera) {
            Some(camera) if camera.person_may_open => ServicePermission::ListRecordings,
            _ => return Err(Denial::Camera),
        },
        _ => return Err(Denial::Principal),
    };
    if service.permissions.contains(&needed) { Ok(()) } else { Err(Denial::Principal) }
}

fn administrator(person: &PersonFacts) -> Result<(), Denial> {
    if person.administrator { Ok(()) } else { Err(Denial::NotAdministrator) }
}

fn may_open(person: &PersonFacts, facts: &Facts, camera: CameraId) -> Result<(), Denial> {
    if person.devices.is_empty() {
        return Err(Denial::NoDevice);
    }
    match facts.cameras.get(&camera) {
        Some(camera) if camera.person_may_open => Ok(()),
        _ => Err(Denial::Camera),
    }
}

#[cfg(test)]
mod tests;
