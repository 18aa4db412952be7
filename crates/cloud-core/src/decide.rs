//! The one place that says yes. Facts in, decision out; what no rule permits
//! is denied. It never looks anything up and never acts.
//!
//! Two things must agree. The floor, here, is what roster, signatures and
//! sessions allow: no policy widens it. Above it the organisation's policies
//! judge ([`crate::policy`]). Some things rest on the floor alone: a person's
//! own ways to sign in, what only takes away, and what k administrators signed
//! to change the roster or the policies themselves. So no set of policies, and
//! none that fails to load, locks the administrators out of the next one.

use std::collections::BTreeSet;

use model::wire::UploadObject;
use model::{CameraId, DeviceId, GatewayId, PersonId, ShareId, Timestamp};
use seal::action::ServicePermission;

use crate::permit::Permit;
use crate::policy::{
    Answer, Asker, Circumstances, Missing, Object, Operation, PersonAsker, Policies, Question, Rule,
};
use crate::request::{Action, Facts, PersonFacts, Principal, ProvisionChange, Provisioned, Request};
use crate::{Entry, ObjectName};

/// Largest object that an upload token is made for (format.md section 5); some
/// names allow less.
pub const UPLOAD_BYTES_MAX: u64 = 64 << 20;

/// Why not. `cloud::http` turns it into an answer, and shows most of them as
/// "not found".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
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
    #[error("the roster does not let this person hear the camera")]
    Sound,
    #[error("the command is not signed by an administrator")]
    Unsigned,
    #[error("the device belongs to somebody else")]
    Device,
    #[error("this kind of principal may not do this")]
    Principal,
    #[error("{found} of {needed} administrators signed")]
    Approvals { needed: u32, found: u32 },
    #[error("no role of the person includes this")]
    Role,
    #[error("policy {} forbids it: {}", .0.id, .0.why)]
    Policy(Rule),
    #[error("the policies demand a reason")]
    NoReason,
    #[error("the policies demand a session with two factors")]
    SecondFactor,
    #[error("the share was withdrawn")]
    ShareWithdrawn,
    #[error("the share has ended")]
    ShareOver,
    #[error("the share was opened as often as it can be")]
    ShareUsedUp,
    #[error("whoever shared it may not open its cameras any more")]
    Sharer,
    #[error("there is no set of policies that could be asked")]
    NoPolicies,
    #[error("the policies gave no answer: {0}")]
    Unanswered(String),
}

/// What the policies are asked beyond the floor, or nothing.
type Asked = Option<(Operation, Object)>;

/// `policies` is the organisation's set; none if it could not be loaded.
pub fn decide(
    request: &Request,
    facts: &Facts,
    policies: Option<&Policies>,
    now: Timestamp,
) -> Result<Permit, Denial> {
    let asked = match request.principal {
        Principal::Gateway(gateway) => gateway_floor(request, facts, gateway)?,
        Principal::Person { person, device } => {
            let who = person_in_force(request, facts, device, now)?;
            person_floor(person, who, request, facts)?
        }
        Principal::Service(_) => service_floor(request, facts, now)?,
        // The roster's own rules judged what the sheet signed.
        Principal::Sheet(_) if matches!(request.action, Action::UseSheet { .. }) => None,
        Principal::Sheet(_) => return Err(Denial::Principal),
        Principal::Link(share) => {
            link_floor(request, facts, share, now)?;
            None
        }
    };
    let mut posture = None;
    if let Some((operation, object)) = asked {
        let policies = policies.ok_or(Denial::NoPolicies)?;
        let question = Question {
            asker: asker(request.principal, facts),
            operation,
            object,
            circumstances: circumstances(facts, now),
        };
        permitted(policies, &question)?;
        posture = policies.posture(&question);
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
            policy: policies.map(Policies::digest),
            posture,
            request: request.id,
            refused: None,
        },
    ))
}

/// Whether whoever asks may do this with a camera. `see`: it stands in lists.
pub fn allows(
    principal: Principal,
    facts: &Facts,
    operation: Operation,
    camera: CameraId,
    policies: &Policies,
    now: Timestamp,
) -> bool {
    match explain(principal, facts, operation, camera, policies, now) {
        Explanation::Policies(answer, _) => answer.allowed,
        Explanation::Floor(_) => false,
    }
}

/// Why an answer about a camera comes out as it does.
#[derive(Clone, Debug)]
pub enum Explanation {
    /// Roster or devices refuse, and no policy is asked.
    Floor(Denial),
    /// What the policies say, and what would turn a no into a yes.
    Policies(Answer, Option<Missing>),
}

pub fn explain(
    principal: Principal,
    facts: &Facts,
    operation: Operation,
    camera: CameraId,
    policies: &Policies,
    now: Timestamp,
) -> Explanation {
    let question = match camera_question(principal, facts, operation, camera, now) {
        Ok(question) => question,
        Err(denial) => return Explanation::Floor(denial),
    };
    match policies.ask(&question) {
        Ok(answer) => {
            let missing = if answer.allowed { None } else { policies.missing(&question) };
            Explanation::Policies(answer, missing)
        }
        Err(error) => Explanation::Floor(Denial::Unanswered(error.to_string())),
    }
}

fn camera_question(
    principal: Principal,
    facts: &Facts,
    operation: Operation,
    camera: CameraId,
    now: Timestamp,
) -> Result<Question, Denial> {
    if matches!(principal, Principal::Person { .. })
        && facts.person.as_ref().is_none_or(|person| person.devices.is_empty())
    {
        return Err(Denial::NoDevice);
    }
    Ok(Question {
        asker: asker(principal, facts),
        operation,
        object: if operation == Operation::Audio { heard(facts, camera)? } else { opened(facts, camera)? },
        circumstances: circumstances(facts, now),
    })
}

fn permitted(policies: &Policies, question: &Question) -> Result<(), Denial> {
    let answer = policies.ask(question).map_err(|error| Denial::Unanswered(error.to_string()))?;
    if answer.allowed {
        return Ok(());
    }
    match policies.missing(question) {
        Some(Missing::Reason) => return Err(Denial::NoReason),
        Some(Missing::SecondFactor) => return Err(Denial::SecondFactor),
        None => {}
    }
    Err(match (answer.rules.into_iter().next(), &question.asker, &question.object) {
        (Some(rule), ..) => Denial::Policy(rule),
        (None, Asker::Service { .. }, _) => Denial::Principal,
        (None, _, Object::Organisation { .. } | Object::Gateway { .. }) => Denial::NotAdministrator,
        (None, ..) => Denial::Role,
    })
}

fn asker(principal: Principal, facts: &Facts) -> Asker {
    match principal {
        Principal::Gateway(gateway) => Asker::Gateway {
            id: gateway.to_string(),
            posture: facts.gateways.get(&gateway).map_or_else(Default::default, |known| known.posture),
        },
        Principal::Person { person, .. } => {
            let id = person.to_string();
            let Some(known) = &facts.person else {
                return Asker::Person(PersonAsker { id, ..PersonAsker::default() });
            };
            let asker = PersonAsker {
                id,
                has_device: !known.devices.is_empty(),
                opens: known.opens.clone(),
                administers: known.administrator,
                ..PersonAsker::default()
            };
            if known.grouped && known.roles.is_empty() {
                return Asker::Person(asker);
            }
            Asker::Person(asker.with_roles(&known.roles))
        }
        // These ask the policies nothing.
        Principal::Link(share) => {
            Asker::Person(PersonAsker { id: share.to_string(), ..PersonAsker::default() })
        }
        Principal::Sheet(device) => {
            Asker::Person(PersonAsker { id: device.to_string(), ..PersonAsker::default() })
        }
        Principal::Service(service) => {
            let known = facts.service.as_ref();
            Asker::Service {
                id: service.to_string(),
                opens: known.map_or_else(BTreeSet::new, |known| known.opens.clone()),
                permissions: known.map_or_else(BTreeSet::new, |known| known.permissions.clone()),
            }
        }
    }
}

fn circumstances(facts: &Facts, now: Timestamp) -> Circumstances {
    let person = facts.person.as_ref();
    Circumstances {
        now,
        second_factor: person.is_some_and(|person| person.second_factor),
        approvals: facts.approvals,
        network: person.and_then(|person| person.network),
        reason: person.and_then(|person| person.reason.clone()),
    }
}

fn gateway_in_force(request: &Request, facts: &Facts, gateway: GatewayId) -> Result<Object, Denial> {
    let known = facts.gateways.get(&gateway).ok_or(Denial::Gateway)?;
    if known.revoked || known.org != request.org {
        return Err(Denial::Gateway);
    }
    Ok(Object::Gateway { id: gateway.to_string(), posture: known.posture })
}

fn gateway_floor(request: &Request, facts: &Facts, gateway: GatewayId) -> Result<Asked, Denial> {
    let itself = gateway_in_force(request, facts, gateway)?;
    match &request.action {
        Action::MintUpload(object) => {
            let object = creatable(request, facts, gateway, object)?.unwrap_or(itself);
            Ok(Some((Operation::MintUpload, object)))
        }
        _ => Err(Denial::Principal),
    }
}

/// The camera whose recording, or index of an hour, the gateway may create under
/// this name; none if it is the gateway's own grant.
fn creatable(
    request: &Request,
    facts: &Facts,
    gateway: GatewayId,
    object: &UploadObject,
) -> Result<Option<Object>, Denial> {
    let name = ObjectName::parse(object.container, &object.name).map_err(|_| Denial::ObjectName)?;
    if !(1..=name.bytes_max()).contains(&object.bytes) {
        return Err(Denial::ObjectSize);
    }
    if name.org() != request.org {
        return Err(Denial::ObjectName);
    }
    match name {
        ObjectName::Recording { camera, .. } | ObjectName::Hour { camera, .. } => {
            match facts.cameras.get(&camera) {
                Some(known) if known.gateway == gateway => Ok(Some(camera_object(camera, known))),
                _ => Err(Denial::ObjectName),
            }
        }
        ObjectName::EpochGrant { gateway: named, .. } if named == gateway => Ok(None),
        ObjectName::EpochGrant { .. } => Err(Denial::ObjectName),
    }
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

fn person_floor(
    id: PersonId,
    person: &PersonFacts,
    request: &Request,
    facts: &Facts,
) -> Result<Asked, Denial> {
    let organisation = || Object::Organisation {
        id: request.org.to_string(),
        administrators_needed: facts.administrators_needed,
    };
    let of_camera = |operation, camera| -> Result<Asked, Denial> {
        if person.devices.is_empty() {
            return Err(Denial::NoDevice);
        }
        Ok(Some((operation, opened(facts, camera)?)))
    };
    let of_organisation = |operation| Ok(Some((operation, organisation())));
    match &request.action {
        // Whoever may see what was may write about it.
        Action::Playback { camera, .. } | Action::ReadEvents { camera } | Action::Bookmark { camera, .. } => {
            of_camera(Operation::Playback, *camera)
        }
        Action::LockFootage { camera, .. } | Action::LiftLock { camera, .. } => {
            of_camera(Operation::Lock, *camera)
        }
        // Whoever may see what happens may say that it does.
        Action::Live { camera, .. } | Action::RaiseEvent { camera, .. } => {
            of_camera(Operation::Live, *camera)
        }
        Action::ListRecordings { camera } => of_camera(Operation::ListRecordings, *camera),
        Action::Export { camera, .. } => of_camera(Operation::Export, *camera),
        Action::Share { camera, .. } => of_camera(Operation::Share, *camera),
        Action::Ptz { camera } => of_camera(Operation::Ptz, *camera),
        Action::ChangePresets { camera, .. } => {
            let asked = of_camera(Operation::Ptz, *camera)?;
            // Everybody finds them so.
            administrator(person)?;
            Ok(asked)
        }
        Action::ReadGrants { device, .. } => {
            let owner = own_device(id, person, *device, facts)?;
            let object = Object::Device { id: device.to_string(), owner: owner.to_string() };
            Ok(Some((Operation::ReadGrants, object)))
        }
        Action::OrderNotices { device } | Action::EndNotices { device } => {
            own_device(id, person, *device, facts).map(|_| None)
        }
        Action::Configure { gateway, signers, changes_site, .. } => {
            let object = gateway_in_force(request, facts, *gateway)?;
            if !signers.iter().any(|signer| facts.administrators.contains(signer)) {
                return Err(Denial::Unsigned);
            }
            if *changes_site {
                approved(facts)?;
            }
            Ok(Some((Operation::Configure, object)))
        }
        Action::Enrol { gateway } => {
            Ok(Some((Operation::Enrol, gateway_in_force(request, facts, *gateway)?)))
        }
        Action::Invite { .. } | Action::LinkDevice { .. } => of_organisation(Operation::Invite),
        // Whoever lets devices in lets them see what was.
        Action::OpenPast { .. } | Action::HandOn { .. } => {
            administrator(person)?;
            of_organisation(Operation::Invite)
        }
        Action::ReadHistory => of_organisation(Operation::ReadHistory),
        Action::Propose { .. } => of_organisation(Operation::Propose),
        Action::Approve { .. } => of_organisation(Operation::Approve),
        // What is in the lists depends on the person.
        Action::ListCameras => of_organisation(Operation::ListCameras),
        Action::ListGateways => of_organisation(Operation::ListGateways),
        Action::AssignRoles { .. } => {
            approved(facts)?;
            of_organisation(Operation::AssignRoles)
        }
        Action::CreateServiceAccount { .. } => {
            approved(facts)?;
            of_organisation(Operation::CreateServiceAccount)
        }
        // No policy keeps an organisation from what the law demands of it.
        Action::SetPolicy { .. } | Action::ErasePerson { .. } => approved(facts).map(|()| None),
        // These only take away.
        Action::Decline { .. }
        | Action::DeclineDevice { .. }
        | Action::RevokeServiceAccount { .. }
        | Action::EndSessions { .. } => administrator(person).map(|()| None),
        // The roster's own rules judged the signatures; anybody in the
        // organisation may carry a statement that they accept.
        Action::AppendRoster { .. } => Ok(None),
        // A person may always say more.
        Action::StateReason { .. } => Ok(None),
        // It opens nothing. Whose wall it is the database knows.
        Action::ArrangeWall { .. } => Ok(None),
        // It takes away. Whose it is the database knows.
        Action::EndShare { .. } | Action::RemoveBookmark { .. } => Ok(None),
        // The handler has checked by what.
        Action::SignIn { .. } => Ok(None),
        // Whoever comes from a provider, about oneself, and never whether one
        // may come.
        Action::Provision { about, change } => match (about, change) {
            (Provisioned::Person(person), ProvisionChange::Create | ProvisionChange::Membership)
                if *person == id =>
            {
                Ok(None)
            }
            _ => Err(Denial::Principal),
        },
        // One's own; a way in for somebody else is nobody's to make.
        Action::ChangeFactors { person, .. } | Action::OrderMail { person } | Action::EndMail { person }
            if *person == id =>
        {
            Ok(None)
        }
        Action::ChangeFactors { .. }
        | Action::OrderMail { .. }
        | Action::EndMail { .. }
        | Action::MintUpload(_)
        | Action::OpenShare { .. }
        | Action::UseSheet { .. } => Err(Denial::Principal),
    }
}

fn own_device(
    id: PersonId,
    person: &PersonFacts,
    device: DeviceId,
    facts: &Facts,
) -> Result<PersonId, Denial> {
    match facts.device_owners.get(&device) {
        Some(owner) if *owner == id && person.devices.contains(&device) => Ok(id),
        _ => Err(Denial::Device),
    }
}

/// A program looks at lists, or provisions people, where its account says so.
/// Nothing that it may do opens or hands on anything.
fn service_floor(request: &Request, facts: &Facts, now: Timestamp) -> Result<Asked, Denial> {
    let service = facts.service.as_ref().ok_or(Denial::Session)?;
    if service.org != request.org || now >= service.ends_at {
        return Err(Denial::Session);
    }
    let organisation = Object::Organisation {
        id: request.org.to_string(),
        administrators_needed: facts.administrators_needed,
    };
    match &request.action {
        Action::ListCameras => Ok(Some((Operation::ListCameras, organisation))),
        Action::ListGateways => Ok(Some((Operation::ListGateways, organisation))),
        Action::ReadHistory => Ok(Some((Operation::ReadHistory, organisation))),
        Action::ListRecordings { camera } => Ok(Some((Operation::ListRecordings, opened(facts, *camera)?))),
        // No policy is asked: a directory must be able to shut people out
        // whatever the policies are, and lets nobody open anything.
        Action::Provision { .. } if service.permissions.contains(&ServicePermission::ProvisionPeople) => {
            Ok(None)
        }
        _ => Err(Denial::Principal),
    }
}

/// A link opens its own capsule, as long as whoever made it may still open the
/// cameras. The policies were asked when it was made.
fn link_floor(request: &Request, facts: &Facts, link: ShareId, now: Timestamp) -> Result<(), Denial> {
    let known = facts.share.filter(|known| known.org == request.org).ok_or(Denial::Principal)?;
    match request.action {
        Action::OpenShare { share } if share == link => {}
        _ => return Err(Denial::Principal),
    }
    if known.withdrawn {
        return Err(Denial::ShareWithdrawn);
    }
    if now >= known.until {
        return Err(Denial::ShareOver);
    }
    if known.openings_left == Some(0) {
        return Err(Denial::ShareUsedUp);
    }
    if known.sharer_may_open { Ok(()) } else { Err(Denial::Sharer) }
}

fn administrator(person: &PersonFacts) -> Result<(), Denial> {
    if person.administrator { Ok(()) } else { Err(Denial::NotAdministrator) }
}

/// As many administrators as the roster demands signed this.
fn approved(facts: &Facts) -> Result<(), Denial> {
    let Facts { approvals: found, administrators_needed: needed, .. } = *facts;
    if needed > 0 && found >= needed { Ok(()) } else { Err(Denial::Approvals { needed, found }) }
}

fn opened(facts: &Facts, camera: CameraId) -> Result<Object, Denial> {
    match facts.cameras.get(&camera) {
        Some(known) if known.person_may_open => Ok(camera_object(camera, known)),
        _ => Err(Denial::Camera),
    }
}

fn heard(facts: &Facts, camera: CameraId) -> Result<Object, Denial> {
    let object = opened(facts, camera)?;
    let heard = facts.cameras.get(&camera).is_some_and(|known| known.person_may_hear);
    if heard { Ok(object) } else { Err(Denial::Sound) }
}

fn camera_object(id: CameraId, known: &crate::CameraFacts) -> Object {
    Object::Camera {
        id: id.to_string(),
        gateway: known.gateway.to_string(),
        groups: known.groups.clone(),
        posture: known.posture,
    }
}

#[cfg(test)]
mod tests;
