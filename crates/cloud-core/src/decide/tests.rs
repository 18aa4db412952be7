use std::collections::BTreeMap;

use model::wire::Container;
use model::{EpochId, Hash, OrgId, Rendition};
use seal::action::ServicePermission;
use seal::hour::HOUR_BYTES_MAX;

use super::*;
use crate::policy::{Files, Posture};
use crate::request::{CameraFacts, FactorChange, GatewayFacts, ServiceFacts};

mod shares;

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
        gateways: BTreeMap::from([(
            gateway(),
            GatewayFacts { org: org(), revoked: false, posture: Posture::Unknown },
        )]),
        cameras: BTreeMap::from([(
            camera(),
            CameraFacts {
                gateway: gateway(),
                groups: BTreeSet::from(["doors".to_owned()]),
                posture: Posture::Unknown,
                person_may_open: true,
                person_may_hear: true,
            },
        )]),
        person: Some(PersonFacts {
            org: org(),
            session_ends_at: NOW.plus_ms(1),
            devices: vec![device()],
            administrator: true,
            opens: BTreeSet::from(["all".to_owned()]),
            roles: BTreeSet::new(),
            grouped: false,
            second_factor: false,
            network: None,
            reason: None,
        }),
        service: None,
        share: None,
        device_owners: BTreeMap::from([(device(), person())]),
        administrators: vec![device()],
        approvals: 0,
        administrators_needed: 2,
    }
}

fn live() -> Action {
    Action::Live { camera: camera(), rendition: Rendition::Main }
}

/// The built-in policies, and these.
fn with_policies(text: &str) -> Policies {
    let mut files: Files = Policies::builtin().files().clone();
    files.insert("own.cedar".to_owned(), text.to_owned());
    Policies::parse(files).unwrap()
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
    ask_of(&Policies::builtin(), principal, action, facts)
}

fn ask_of(policies: &Policies, principal: Principal, action: Action, facts: &Facts) -> Result<(), Denial> {
    decide(&Request { id: None, org: org(), principal, action }, facts, Some(policies), NOW).map(|_| ())
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
fn a_gateway_creates_indexes_of_hours_of_its_own_cameras_and_no_larger_ones() {
    let hour_of = |org, camera, bytes| {
        let hour = NOW.hour();
        let name = ObjectName::Hour { org, camera, hour, hash: Hash([9; 32]) }.to_string();
        let sha256 = Hash([8; 32]);
        Action::MintUpload(UploadObject { container: Container::Footage, name, bytes, sha256 })
    };
    let mut facts = facts();
    assert_eq!(gateway_asks(hour_of(org(), camera(), HOUR_BYTES_MAX), &facts), Ok(()));
    for bytes in [0, HOUR_BYTES_MAX + 1, UPLOAD_BYTES_MAX] {
        assert_eq!(gateway_asks(hour_of(org(), camera(), bytes), &facts), Err(Denial::ObjectSize));
    }
    let (other_org, other_camera) = (OrgId::from_random([7; 16]), CameraId::from_random([7; 16]));
    assert_eq!(gateway_asks(hour_of(other_org, camera(), 1), &facts), Err(Denial::ObjectName));
    assert_eq!(gateway_asks(hour_of(org(), other_camera, 1), &facts), Err(Denial::ObjectName));
    facts.cameras.get_mut(&camera()).unwrap().gateway = GatewayId::from_random([7; 16]);
    assert_eq!(gateway_asks(hour_of(org(), camera(), 1), &facts), Err(Denial::ObjectName));
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
    facts.gateways.get_mut(&gateway()).unwrap().revoked = false;
    facts.gateways.get_mut(&gateway()).unwrap().org = OrgId::from_random([7; 16]);
    assert_eq!(gateway_asks(recording_of(org(), camera(), 1), &facts), Err(Denial::Gateway));
    assert_eq!(gateway_asks(recording_of(org(), camera(), 1), &Facts::default()), Err(Denial::Gateway));
}

#[test]
fn watching_needs_a_session_a_device_and_access() {
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
    let configure = |signers| Action::Configure {
        gateway: gateway(),
        command: Hash([8; 32]),
        signers,
        changes_site: false,
    };
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
fn one_administrator_reconfigures_no_site_where_it_takes_two() {
    let configure = |changes_site| Action::Configure {
        gateway: gateway(),
        command: Hash([8; 32]),
        signers: vec![device()],
        changes_site,
    };
    let mut facts = facts();
    (facts.approvals, facts.administrators_needed) = (1, 2);
    assert_eq!(person_asks(configure(false), &facts), Ok(()), "a test changes nothing");
    assert_eq!(person_asks(configure(true), &facts), Err(Denial::Approvals { needed: 2, found: 1 }));
    facts.approvals = 2;
    assert_eq!(person_asks(configure(true), &facts), Ok(()));
}

#[test]
fn nobody_changes_how_somebody_else_signs_in() {
    let change = |person| Action::ChangeFactors { person, change: FactorChange::AddPasskey };
    assert_eq!(person_asks(change(person()), &facts()), Ok(()));
    assert_eq!(person_asks(change(PersonId::from_random([7; 16])), &facts()), Err(Denial::Principal));
    assert_eq!(gateway_asks(change(person()), &facts()), Err(Denial::Principal));
}

#[test]
fn a_provider_speaks_of_its_own_people_and_a_directory_of_all() {
    let other = Provisioned::Person(PersonId::from_random([7; 16]));
    let (own, group) = (Provisioned::Person(person()), Provisioned::Group(Hash([8; 32])));
    let asks = |about, change| person_asks(Action::Provision { about, change }, &facts());
    use ProvisionChange::{Create, Delete, Describe, Disable, Enable, Membership};
    for change in [Create, Membership] {
        assert_eq!(asks(own, change), Ok(()));
        assert_eq!(asks(other, change), Err(Denial::Principal));
        assert_eq!(asks(group, change), Err(Denial::Principal));
    }
    let service = Principal::Service(model::ServiceId::from_random([6; 16]));
    let with = |permission| Facts {
        service: Some(ServiceFacts {
            org: org(),
            ends_at: NOW.plus_ms(1),
            permissions: [permission].into(),
            opens: BTreeSet::from(["all".to_owned()]),
        }),
        ..facts()
    };
    for change in [Create, Describe, Disable, Enable, Membership, Delete] {
        for about in [own, other, group] {
            let action = Action::Provision { about, change };
            assert_eq!(ask(service, action.clone(), &with(ServicePermission::ProvisionPeople)), Ok(()));
            assert_eq!(
                ask(service, action.clone(), &with(ServicePermission::ReadHistory)),
                Err(Denial::Principal)
            );
            assert_eq!(gateway_asks(action, &facts()), Err(Denial::Principal));
        }
    }
    for change in [Describe, Disable, Enable, Delete] {
        assert_eq!(asks(own, change), Err(Denial::Principal));
    }
}

#[test]
fn leaving_every_group_opens_nothing() {
    let mut facts = facts();
    let person = facts.person.as_mut().unwrap();
    (person.administrator, person.roles) = (false, Default::default());
    assert_eq!(person_asks(live(), &facts), Ok(()), "no role at all: whatever was shared");
    facts.person.as_mut().unwrap().grouped = true;
    assert_eq!(person_asks(live(), &facts), Err(Denial::Role));
    facts.person.as_mut().unwrap().roles = ["viewer all".parse().unwrap()].into();
    assert_eq!(person_asks(live(), &facts), Ok(()));
}

#[test]
fn administrators_alone_sign_others_out_and_no_policy_stops_them() {
    let action = || Action::EndSessions { person: PersonId::from_random([7; 16]) };
    let principal = Principal::Person { person: person(), device: None };
    let mut facts = facts();
    facts.person.as_mut().unwrap().administrator = false;
    assert_eq!(ask(principal, action(), &facts), Err(Denial::NotAdministrator));
    facts.person.as_mut().unwrap().administrator = true;
    let none = with_policies("@id(\"none\") @why(\"no\") forbid (principal, action, resource);");
    assert_eq!(ask_of(&none, principal, action(), &facts), Ok(()));
    assert_eq!(gateway_asks(action(), &facts), Err(Denial::Principal));
}

#[test]
fn a_program_looks_at_the_lists_of_its_account_and_does_nothing_else() {
    let service = model::ServiceId::from_random([6; 16]);
    let with = |permissions: &[ServicePermission], ends_at| Facts {
        service: Some(ServiceFacts {
            org: org(),
            ends_at,
            permissions: permissions.iter().copied().collect(),
            opens: BTreeSet::from(["all".to_owned()]),
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

fn person_of(policies: &Policies, facts: &Facts, action: Action) -> Result<(), Denial> {
    ask_of(policies, Principal::Person { person: person(), device: None }, action, facts)
}

#[test]
fn no_policy_widens_the_floor() {
    let everything = with_policies("@id(\"x\") @why(\"y\") permit (principal, action, resource);");
    let mut facts = facts();
    facts.cameras.get_mut(&camera()).unwrap().person_may_open = false;
    assert_eq!(person_of(&everything, &facts, live()), Err(Denial::Camera));
    facts.administrators.clear();
    let configure = Action::Configure {
        gateway: gateway(),
        command: Hash([8; 32]),
        signers: vec![device()],
        changes_site: false,
    };
    assert_eq!(person_of(&everything, &facts, configure), Err(Denial::Unsigned));
    let elsewhere =
        Action::ReadGrants { epoch: EpochId::from_random([6; 16]), device: DeviceId::from_random([7; 16]) };
    assert_eq!(person_of(&everything, &facts, elsewhere), Err(Denial::Device));
    let other_camera = recording_of(org(), CameraId::from_random([7; 16]), 1);
    let gateway = Principal::Gateway(gateway());
    assert_eq!(ask_of(&everything, gateway, other_camera, &facts), Err(Denial::ObjectName));
    assert_eq!(ask_of(&everything, gateway, live(), &facts), Err(Denial::Principal));
    facts.person.as_mut().unwrap().session_ends_at = NOW;
    assert_eq!(person_of(&everything, &facts, Action::ReadHistory), Err(Denial::Session));
}

#[test]
fn a_policy_forbids_and_says_which_and_why() {
    let night = with_policies(
        "@id(\"quiet\") @why(\"nobody watches on Saturdays\") \
         forbid (principal, action == Action::\"live\", resource) when { context.weekday == 6 };",
    );
    let refusal = Rule { id: "quiet".into(), why: "nobody watches on Saturdays".into() };
    assert_eq!(person_of(&night, &facts(), live()), Err(Denial::Policy(refusal)));
    let list = Action::ListRecordings { camera: camera() };
    assert_eq!(person_of(&night, &facts(), list), Ok(()));
}

#[test]
fn what_a_person_can_bring_is_asked_for() {
    let policies = with_policies(
        "@id(\"a\") @why(\"b\") forbid (principal is Person, action == Action::\"playback\", resource) \
         unless { context has reason }; \
         @id(\"c\") @why(\"d\") forbid (principal is Person, action == Action::\"live\", resource) \
         unless { context.secondFactor };",
    );
    let mut facts = facts();
    let playback = || Action::Playback { camera: camera(), recording: Hash([8; 32]) };
    assert_eq!(person_of(&policies, &facts, playback()), Err(Denial::NoReason));
    assert_eq!(person_of(&policies, &facts, live()), Err(Denial::SecondFactor));
    facts.person.as_mut().unwrap().reason = Some("a parcel is missing".to_owned());
    facts.person.as_mut().unwrap().second_factor = true;
    assert_eq!(person_of(&policies, &facts, playback()), Ok(()));
    assert_eq!(person_of(&policies, &facts, live()), Ok(()));
}

#[test]
fn a_network_is_a_condition() {
    let office = with_policies(
        "@id(\"a\") @why(\"b\") forbid (principal is Person, action == Action::\"live\", resource) \
         unless { context has network && context.network.isInRange(ip(\"192.0.2.0/24\")) };",
    );
    let mut facts = facts();
    let mut from = |address: &str| {
        facts.person.as_mut().unwrap().network = Some(address.parse().unwrap());
        person_of(&office, &facts, live()).is_ok()
    };
    assert!(from("192.0.2.7"));
    assert!(from("::ffff:192.0.2.7"), "the same address in other clothes");
    assert!(!from("198.51.100.1"));
}

#[test]
fn a_prohibition_that_fails_denies() {
    let policies = with_policies(
        "@id(\"a\") @why(\"b\") forbid (principal is Person, action == Action::\"live\", resource) \
         when { context.approvals + 9223372036854775807 > 0 && context.secondFactor };",
    );
    let mut facts = facts();
    assert_eq!(person_of(&policies, &facts, live()), Ok(()));
    facts.approvals = 1;
    assert!(matches!(person_of(&policies, &facts, live()), Err(Denial::Unanswered(_))));
}

#[test]
fn roles_narrow_what_the_roster_opens() {
    let builtin = Policies::builtin();
    let mut facts = facts();
    facts.person.as_mut().unwrap().administrator = false;
    let export = || Action::Export {
        camera: camera(),
        from: Timestamp(1),
        to: Timestamp(2),
        signature: Hash([8; 32]),
    };
    let configure = || Action::Configure {
        gateway: gateway(),
        command: Hash([8; 32]),
        signers: vec![device()],
        changes_site: false,
    };
    assert_eq!(person_of(&builtin, &facts, export()), Ok(()), "without roles: viewer and operator");
    let mut with = |roles: &[&str], action| {
        facts.person.as_mut().unwrap().roles = roles.iter().map(|role| role.parse().unwrap()).collect();
        person_of(&builtin, &facts, action)
    };
    for place in ["all", "group:doors", &format!("camera:{}", camera()), &format!("gateway:{}", gateway())] {
        assert_eq!(with(&[&format!("viewer {place}")], live()), Ok(()));
        assert_eq!(with(&[&format!("viewer {place}")], export()), Err(Denial::Role));
        assert_eq!(with(&[&format!("operator {place}")], export()), Ok(()));
    }
    assert_eq!(with(&["viewer group:yard"], live()), Err(Denial::Role));
    assert_eq!(with(&["auditor all"], live()), Err(Denial::Role));
    assert_eq!(with(&["auditor all"], Action::ReadHistory), Ok(()));
    assert_eq!(with(&["viewer all"], Action::ReadHistory), Err(Denial::NotAdministrator));
    assert_eq!(with(&[&format!("installer gateway:{}", gateway())], configure()), Ok(()));
    assert_eq!(
        with(&["installer gateway:gw_00000000000000000000000000000009"], configure()),
        Err(Denial::NotAdministrator)
    );
    assert_eq!(with(&["installer all"], Action::Invite { person: person() }), Err(Denial::NotAdministrator));
}

#[test]
fn one_administrator_against_two_sets_nothing() {
    let mut facts = facts();
    let roles = || Action::AssignRoles { person: person(), signature: Hash([8; 32]) };
    let policy = || Action::SetPolicy { digest: Hash([7; 32]), signature: Hash([8; 32]) };
    for (approvals, needed) in [(0, 2), (1, 2), (0, 0)] {
        (facts.approvals, facts.administrators_needed) = (approvals, needed);
        let denial = Err(Denial::Approvals { needed, found: approvals });
        assert_eq!(person_asks(roles(), &facts), denial);
        assert_eq!(person_asks(policy(), &facts), denial);
    }
    (facts.approvals, facts.administrators_needed) = (2, 2);
    assert_eq!(person_asks(roles(), &facts), Ok(()));
    assert_eq!(person_asks(policy(), &facts), Ok(()));
}

#[test]
fn no_set_of_policies_locks_administrators_out_of_the_next() {
    let nothing = with_policies("@id(\"x\") @why(\"y\") forbid (principal, action, resource);");
    let mut facts = facts();
    facts.approvals = 2;
    let set = Action::SetPolicy { digest: Hash([7; 32]), signature: Hash([8; 32]) };
    assert_eq!(person_of(&nothing, &facts, set.clone()), Ok(()));
    assert_eq!(person_of(&nothing, &facts, Action::AppendRoster { statement: Hash([8; 32]) }), Ok(()));
    assert!(matches!(person_of(&nothing, &facts, live()), Err(Denial::Policy(_))));
    // Nor does one that could not be loaded, which permits nothing.
    let principal = Principal::Person { person: person(), device: None };
    let unloaded =
        |action| decide(&Request { id: None, org: org(), principal, action }, &facts, None, NOW).map(|_| ());
    assert_eq!(unloaded(set), Ok(()));
    assert_eq!(unloaded(live()), Err(Denial::NoPolicies));
}

#[test]
fn failing_posture_takes_tokens_and_live_pictures_away() {
    let mut facts = facts();
    facts.cameras.get_mut(&camera()).unwrap().posture = Posture::Failing;
    assert!(matches!(person_asks(live(), &facts), Err(Denial::Policy(_))));
    let playback = Action::Playback { camera: camera(), recording: Hash([8; 32]) };
    assert_eq!(person_asks(playback, &facts), Ok(()), "what was recorded stays open");
    assert_eq!(gateway_asks(recording_of(org(), camera(), 1), &facts), Ok(()));
    facts.gateways.get_mut(&gateway()).unwrap().posture = Posture::Failing;
    assert!(matches!(gateway_asks(recording_of(org(), camera(), 1), &facts), Err(Denial::Policy(_))));
}

#[test]
fn a_decision_names_the_posture_that_its_conditions_read() {
    let permit = |facts: &Facts, action| {
        let principal = Principal::Person { person: person(), device: None };
        let request = Request { id: None, org: org(), principal, action };
        decide(&request, facts, Some(&Policies::builtin()), NOW).unwrap()
    };
    let live = Action::Live { camera: camera(), rendition: Rendition::Main };
    let of = |posture: &str| Some(seal::sha256(format!("{{\"{}\":\"{posture}\"}}", camera()).as_bytes()));
    assert_eq!(permit(&facts(), live.clone()).entry().posture, of("unknown"));
    let mut good = facts();
    good.cameras.get_mut(&camera()).unwrap().posture = Posture::Good;
    assert_eq!(permit(&good, live).entry().posture, of("good"));
    // No policy of the built-in set reads posture for it.
    assert_eq!(permit(&good, Action::ListRecordings { camera: camera() }).entry().posture, None);
}

#[test]
fn a_decision_names_its_policies() {
    let request = Request {
        id: None,
        org: org(),
        principal: Principal::Gateway(gateway()),
        action: recording_of(org(), camera(), 1),
    };
    let policies = Policies::builtin();
    let permit = decide(&request, &facts(), Some(&policies), NOW).unwrap();
    assert_eq!(permit.entry().policy, Some(policies.digest()));
}

#[test]
fn lists_hold_what_may_be_seen() {
    let policies = Policies::builtin();
    let principal = Principal::Person { person: person(), device: None };
    let mut facts = facts();
    facts.person.as_mut().unwrap().administrator = false;
    assert!(allows(principal, &facts, Operation::See, camera(), &policies, NOW));
    assert!(!allows(principal, &facts, Operation::See, CameraId::from_random([7; 16]), &policies, NOW));
    facts.person.as_mut().unwrap().roles = ["auditor all".parse().unwrap()].into();
    assert!(!allows(principal, &facts, Operation::See, camera(), &policies, NOW));
    facts.person.as_mut().unwrap().roles.clear();
    facts.person.as_mut().unwrap().devices.clear();
    assert!(!allows(principal, &facts, Operation::See, camera(), &policies, NOW));
}
