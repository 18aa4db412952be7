use std::collections::BTreeMap;

use model::wire::Container;
use model::{EpochId, Hash, OrgId, Rendition};

use super::*;
use crate::request::{CameraFacts, FactorChange, GatewayFacts, ServiceFacts};

const NOW: Timestamp = Timestamp(1_763_836_800_000);

fn org() -> OrgId {
    OrgId::from_random([1; 16])
}
fn gateway() -> GatewayId {
    GatewayId::from_random([2; 16])
}
fn camera() -> CameraId {
    CameraId::from_random([3; 16])
}
fn person() -> PersonId {
    PersonId::from_random([4; 16])
}
fn device() -> DeviceId {
    DeviceId::from_random([5; 16])
}

fn facts() -> Facts {
    Facts {
        gateways: BTreeMap::from([(gateway(), GatewayFacts { org: org(), revoked: false })]),
        cameras: BTreeMap::from([(camera(), CameraFacts { gateway: gateway(), person_may_open: true })]),
        person: Some(PersonFacts {
            org: org(),
            session_ends_at: NOW.plus_ms(1),
            devices: vec![device()],
            administrator: true,
        }),
        service: None,
        device_owners: BTreeMap::from([(device(), person())]),
        administrators: vec![device()],
    }
}

fn recording_of(org: OrgId, camera: CameraId, bytes: u64) -> Action {
    let name = ObjectName::Recording {
        org,
        camera,
        rendition: Rendition::Main,
        started_at: NOW,
        root: Hash([9; 32]),
    };
    Action::MintUpload(UploadObject {
        container: Container::Footage,
        name: name.to_string(),
        bytes,
        sha256: Hash([8; 32]),
    })
}

fn ask(principal: Principal, action: Action, facts: &Facts) -> Result<(), Denial> {
    decide(&Request { org: org(), principal, action }, facts, NOW).map(|_| ())
}

fn gateway_asks(action: Action, facts: &Facts) -> Result<(), Denial> {
    ask(Principal::Gateway(gateway()), action, facts)
}

fn person_asks(action: Action, facts: &Facts) -> Result<(), Denial> {
    ask(Principal::Person { person: person(), device: None }, action, facts)
}

#[test]
fn a_gateway_creates_recordings_of_its_own_cameras_and_nothing_else() {
    let facts = facts();
    assert_eq!(gateway_asks(recording_of(org(), camera(), 1), &facts), Ok(()));
    assert_eq!(gateway_asks(recording_of(org(), camera(), UPLOAD_BYTES_MAX), &facts), Ok(()));
    assert_eq!(
        gateway_asks(recording_of(org(), camera(), UPLOAD_BYTES_MAX + 1), &facts),
        Err(Denial::ObjectSize)
    );
    assert_eq!(gateway_asks(recording_of(org(), camera(), 0), &facts), Err(Denial::ObjectSize));
    let other_org = OrgId::from_random([7; 16]);
    assert_eq!(gateway_asks(recording_of(other_org, camera(), 1), &facts), Err(Denial::ObjectName));
    let other_camera = CameraId::from_random([7; 16]);
    assert_eq!(gateway_asks(recording_of(org(), other_camera, 1), &facts), Err(Denial::ObjectName));
    assert_eq!(
        gateway_asks(Action::Live { camera: camera(), rendition: Rendition::Main }, &facts),
        Err(Denial::Principal)
    );
}

#[test]
fn a_camera_that_moved_belongs_to_its_new_gateway() {
    let mut facts = facts();
    facts.cameras.get_mut(&camera()).unwrap().gateway = GatewayId::from_random([7; 16]);
    assert_eq!(gateway_asks(recording_of(org(), camera(), 1), &facts), Err(Denial::ObjectName));
}

#[test]
fn a_revoked_or_foreign_gateway_gets_nothing() {
    let mut facts = facts();
    facts.gateways.get_mut(&gateway()).unwrap().revoked = true;
    assert_eq!(gateway_asks(recording_of(org(), camera(), 1), &facts), Err(Denial::Gateway));
    facts.gateways.insert(gateway(), GatewayFacts { org: OrgId::from_random([7; 16]), revoked: false });
    assert_eq!(gateway_asks(recording_of(org(), camera(), 1), &facts), Err(Denial::Gateway));
    assert_eq!(gateway_asks(recording_of(org(), camera(), 1), &Facts::default()), Err(Denial::Gateway));
}

#[test]
fn watching_needs_a_session_a_device_and_access() {
    let live = || Action::Live { camera: camera(), rendition: Rendition::Main };
    assert_eq!(person_asks(live(), &facts()), Ok(()));
    let mut ended = facts();
    ended.person.as_mut().unwrap().session_ends_at = NOW;
    assert_eq!(person_asks(live(), &ended), Err(Denial::Session));
    let mut no_device = facts();
    no_device.person.as_mut().unwrap().devices.clear();
    assert_eq!(person_asks(live(), &no_device), Err(Denial::NoDevice));
    let mut no_access = facts();
    no_access.cameras.get_mut(&camera()).unwrap().person_may_open = false;
    assert_eq!(person_asks(live(), &no_access), Err(Denial::Camera));
    assert_eq!(person_asks(live(), &Facts::default()), Err(Denial::Session));
}

#[test]
fn a_session_of_a_device_ends_with_the_device() {
    let principal = Principal::Person { person: person(), device: Some(DeviceId::from_random([7; 16])) };
    assert_eq!(ask(principal, Action::ReadHistory, &facts()), Err(Denial::Session));
}

#[test]
fn keys_are_handed_to_their_own_person_only() {
    let read = |device| Action::ReadGrants { epoch: EpochId::from_random([6; 16]), device };
    assert_eq!(person_asks(read(device()), &facts()), Ok(()));
    let other = DeviceId::from_random([7; 16]);
    assert_eq!(person_asks(read(other), &facts()), Err(Denial::Device));
    let mut stolen = facts();
    stolen.device_owners.insert(device(), PersonId::from_random([7; 16]));
    assert_eq!(person_asks(read(device()), &stolen), Err(Denial::Device));
}

#[test]
fn what_changes_a_site_needs_an_administrator_and_an_administrators_signature() {
    let configure = |signers| Action::Configure { gateway: gateway(), command: Hash([8; 32]), signers };
    assert_eq!(person_asks(configure(vec![device()]), &facts()), Ok(()));
    assert_eq!(person_asks(configure(vec![]), &facts()), Err(Denial::Unsigned));
    let mut member = facts();
    member.person.as_mut().unwrap().administrator = false;
    for action in [
        configure(vec![device()]),
        Action::Invite { person: person() },
        Action::ReadHistory,
        Action::Enrol { gateway: gateway() },
    ] {
        assert_eq!(person_asks(action, &member), Err(Denial::NotAdministrator));
    }
}

#[test]
fn nobody_changes_how_somebody_else_signs_in() {
    let change = |person| Action::ChangeFactors { person, change: FactorChange::AddPasskey };
    assert_eq!(person_asks(change(person()), &facts()), Ok(()));
    assert_eq!(person_asks(change(PersonId::from_random([7; 16])), &facts()), Err(Denial::Principal));
    assert_eq!(gateway_asks(change(person()), &facts()), Err(Denial::Principal));
}

#[test]
fn a_program_looks_at_the_lists_of_its_account_and_does_nothing_else() {
    let service = model::ServiceId::from_random([6; 16]);
    let with = |permissions: &[ServicePermission], ends_at| Facts {
        service: Some(ServiceFacts {
            org: org(),
            ends_at,
            permissions: permissions.iter().copied().collect(),
        }),
        ..facts()
    };
    let asks = |action, facts: &Facts| ask(Principal::Service(service), action, facts);
    use ServicePermission::{ListCameras, ListGateways, ListRecordings, ReadHistory};
    let all = with(&[ListCameras, ListGateways, ListRecordings, ReadHistory], NOW.plus_ms(1));
    let recordings = || Action::ListRecordings { camera: camera() };
    for (permission, action) in [
        (ListCameras, Action::ListCameras),
        (ListGateways, Action::ListGateways),
        (ReadHistory, Action::ReadHistory),
        (ListRecordings, recordings()),
    ] {
        assert_eq!(asks(action.clone(), &with(&[permission], NOW.plus_ms(1))), Ok(()));
        assert_eq!(asks(action.clone(), &with(&[permission], NOW)), Err(Denial::Session));
        assert_eq!(asks(action.clone(), &facts()), Err(Denial::Session));
        assert_eq!(asks(action, &with(&[], NOW.plus_ms(1))), Err(Denial::Principal));
    }
    let mut elsewhere = all.clone();
    elsewhere.cameras.get_mut(&camera()).unwrap().person_may_open = false;
    assert_eq!(asks(recordings(), &elsewhere), Err(Denial::Camera));
    for action in [
        recording_of(org(), camera(), 1),
        Action::Live { camera: camera(), rendition: Rendition::Main },
        Action::Playback { camera: camera(), recording: Hash([8; 32]) },
        Action::AppendRoster { statement: Hash([8; 32]) },
        Action::Invite { person: person() },
        Action::ReadGrants { epoch: EpochId::from_random([6; 16]), device: device() },
        Action::CreateServiceAccount { account: service, signature: Hash([8; 32]) },
        Action::RevokeServiceAccount { account: service },
        Action::ChangeFactors { person: person(), change: FactorChange::AddPasskey },
    ] {
        assert_eq!(asks(action, &all), Err(Denial::Principal));
    }
}
