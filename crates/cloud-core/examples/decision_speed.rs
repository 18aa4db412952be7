//! Decisions a second in an organisation of 10 000 people and 100 000 cameras,
//! each with its facts and question built anew, beside the bare engine that is
//! asked one question over and over. `cargo xtask bench` runs it.

use std::collections::{BTreeMap, BTreeSet};
use std::hint::black_box;
use std::time::Instant;

use cedar_policy::{Authorizer, Context, Decision, Entities, PolicySet};
use cloud_core::policy::{Policies, Posture};
use cloud_core::{Action, CameraFacts, Facts, PersonFacts, Principal, Request, decide};
use model::{CameraId, DeviceId, GatewayId, OrgId, PersonId, Rendition, Timestamp};
use seal::role::{Place, Roles};

const PEOPLE: u32 = 10_000;
const CAMERAS: u32 = 100_000;
const GROUPS: u32 = 500;
const CAMERAS_PER_GATEWAY: u32 = 50;
const DECISIONS: u32 = 200_000;
const NOW: Timestamp = Timestamp(1_763_836_800_000);

fn id(kind: u8, number: u32) -> [u8; 16] {
    let mut bytes = [kind; 16];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    bytes
}

struct Person {
    device: DeviceId,
    groups: BTreeSet<String>,
    roles: Roles,
}

fn group(number: u32) -> String {
    format!("building {}", number % GROUPS)
}

#[expect(clippy::print_stdout, clippy::disallowed_methods, reason = "it measures, and says what")]
fn main() {
    let policies = Policies::builtin();
    let cameras: BTreeMap<CameraId, (GatewayId, BTreeSet<String>)> = (0..CAMERAS)
        .map(|number| {
            let gateway = GatewayId::from_random(id(2, number / CAMERAS_PER_GATEWAY));
            (CameraId::from_random(id(1, number)), (gateway, BTreeSet::from([group(number)])))
        })
        .collect();
    let people: BTreeMap<PersonId, Person> = (0..PEOPLE)
        .map(|number| {
            let groups: BTreeSet<String> = (0..3).map(|more| group(number + more)).collect();
            let role = |group: &String| format!("operator {}", Place::Group(group.clone())).parse();
            let roles = groups.iter().map(|group| role(group).expect("a role and a place")).collect();
            let device = DeviceId::from_random(id(4, number));
            (PersonId::from_random(id(3, number)), Person { device, groups, roles })
        })
        .collect();

    let begun = Instant::now();
    let mut allowed = 0u32;
    for number in 0..DECISIONS {
        // Every other one is about a camera where the person has no role.
        let (person, camera) = (number % PEOPLE, (number % PEOPLE + number % 2 * 7) % CAMERAS);
        let (person, camera) = (PersonId::from_random(id(3, person)), CameraId::from_random(id(1, camera)));
        let (request, facts) = asked(person, &people[&person], camera, &cameras[&camera]);
        allowed += u32::from(decide(&request, &facts, Some(&policies), NOW).is_ok());
    }
    let ours = f64::from(DECISIONS) / begun.elapsed().as_secs_f64();
    let engine = engine_alone(&policies);
    println!(
        "decisions, with facts and question built: {ours:.0}/s ({allowed} of {DECISIONS} are yes); \
         the engine alone, one question again and again: {engine:.0}/s; ratio {:.2}",
        engine / ours
    );
}

fn asked(
    id: PersonId,
    person: &Person,
    camera: CameraId,
    (gateway, groups): &(GatewayId, BTreeSet<String>),
) -> (Request, Facts) {
    let org = OrgId::from_random([5; 16]);
    let mut facts = Facts { administrators_needed: 2, ..Facts::default() };
    let known = CameraFacts {
        gateway: *gateway,
        groups: groups.clone(),
        posture: Posture::Good,
        person_may_open: true,
        person_may_hear: true,
    };
    facts.cameras.insert(camera, known);
    let place = |group: &String| Place::Group(group.clone()).to_string();
    facts.person = Some(PersonFacts {
        org,
        session_ends_at: Timestamp(u64::MAX),
        devices: vec![person.device],
        administrator: false,
        opens: person.groups.iter().map(place).collect(),
        roles: person.roles.clone(),
        grouped: false,
        second_factor: true,
        network: Some([192, 0, 2, 1].into()),
        reason: None,
    });
    let request = Request {
        id: None,
        org,
        principal: Principal::Person { person: id, device: None },
        action: Action::Live { camera, rendition: Rendition::Main },
    };
    (request, facts)
}

#[expect(clippy::disallowed_methods, reason = "it measures")]
fn engine_alone(policies: &Policies) -> f64 {
    let text: String = policies.files().values().map(String::as_str).collect();
    let set: PolicySet = text.parse().expect("the built-in policies");
    let entities = r#"[
        { "uid": { "type": "Person", "id": "p" }, "parents": [], "attrs": {
            "opens": [{ "__entity": { "type": "Scope", "id": "all" } }], "hasDevice": true,
            "views": [{ "__entity": { "type": "Scope", "id": "all" } }], "operates": [], "audits": [],
            "installs": [], "administers": false } },
        { "uid": { "type": "Camera", "id": "c" }, "parents": [{ "type": "Scope", "id": "all" }], "attrs": {
            "gateway": { "__entity": { "type": "Gateway", "id": "g" } }, "posture": "good" } }
    ]"#;
    let entities = Entities::from_json_str(entities, None).expect("two entities");
    let uid = |text: &str| text.parse().expect("a name");
    let (person, live, camera) = (uid("Person::\"p\""), uid("Action::\"live\""), uid("Camera::\"c\""));
    let request =
        cedar_policy::Request::new(person, live, camera, Context::empty(), None).expect("a request");
    let authorizer = Authorizer::new();
    let begun = Instant::now();
    for _ in 0..DECISIONS {
        let response = authorizer.is_authorized(black_box(&request), &set, &entities);
        assert_eq!(response.decision(), Decision::Allow);
    }
    f64::from(DECISIONS) / begun.elapsed().as_secs_f64()
}
