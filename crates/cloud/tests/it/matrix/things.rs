//! What there is to be had, and everybody who tries.

use std::collections::{BTreeMap, BTreeSet};

use model::{BookmarkId, CameraId, DeviceId, Hash, PersonId, ShareId, Timestamp, WallId};
use reqwest::StatusCode;
use seal::bookmark::Lock;
use seal::roster::{Scope, Statement};
use serde_json::json;

use super::{Shows, Who};
use crate::rules::assign;
use crate::support::world::{Organisation, Person};
use crate::support::{Gateway, World, fresh, fresh_id};

/// Things of the first organisation, by the names that paths use.
pub(super) struct Things {
    pub(super) door: CameraId,
    pub(super) till: CameraId,
    pub(super) gateway: String,
    pub(super) recordings: BTreeMap<&'static str, Hash>,
    /// Their signed indexes.
    pub(super) hours: BTreeMap<&'static str, Hash>,
    pub(super) epoch: String,
    /// Ada's device.
    pub(super) device: DeviceId,
    /// Asks to be let in.
    pub(super) waiting: DeviceId,
    pub(super) lookup: String,
    pub(super) session: String,
    /// Somebody who is signed in nowhere.
    pub(super) person: PersonId,
    pub(super) signature: Hash,
    /// Why Ada looked.
    pub(super) reason: String,
    /// Ada's.
    pub(super) passkey: String,
    /// An account of a program.
    pub(super) service: String,
    /// Ada's own.
    pub(super) wall: WallId,
    /// Ada's, which is being made; and one that goes.
    pub(super) share: ShareId,
    pub(super) ended: ShareId,
    pub(super) bookmark: BookmarkId,
    /// A size of the log that was published.
    pub(super) size: u64,
}

pub(super) async fn with_things(world: &World) -> (Organisation, Things, BTreeMap<Who, Shows>) {
    let mut ours = world.found().await;
    let mut theirs = world.found_another().await;
    let zed = theirs.add_person(world, Some(Scope::All)).await;
    let zoe = theirs.admin;
    let gateway = Gateway::enrolled(world, &mut ours).await;
    let (door, till) = (ours.bind_camera(world, gateway.id).await, ours.bind_camera(world, gateway.id).await);
    let (mut recordings, mut hours) = (BTreeMap::new(), BTreeMap::new());
    let mut epoch_id = String::new();
    for (name, camera) in [("door", door), ("till", till)] {
        let (epoch, recording) = gateway.recorded(&ours, camera).await;
        recordings.insert(name, recording.id);
        hours.insert(name, gateway.signs_for(ours.org, &recording).await);
        epoch_id = epoch.id.to_string();
    }
    let the_door = Scope::Cameras { cameras: BTreeSet::from([door]) };
    let ben = ours.add_person(world, Some(the_door)).await;
    let cem = ours.add_person(world, None).await;
    let dan = ours.add_person(world, Some(Scope::All)).await;
    let past = Some(Timestamp(1));
    ours.append(world, Statement::SetAccess { person: dan.id, scope: Scope::All, audio: true, until: past })
        .await;
    let [eve, finn, ian, gus, auditor, operator, installer] = everything(&mut ours, world).await;
    let devices = BTreeSet::from([ours.admin.device, gus.device]);
    ours.append(world, Statement::SetAdministrators { k: 1, devices }).await;
    // As an identity provider would let in that says nothing of a second factor.
    let weaker = format!("UPDATE sessions SET second_factor = 0, device = NULL WHERE person = '{}'", gus.id);
    assert_eq!(world.sql(&weaker).await, 1);
    let half_a_day = 12 * Timestamp::HOUR + Timestamp::MINUTE;
    let idle = format!("UPDATE sessions SET seen_at = seen_at - {half_a_day} WHERE person = '{}'", ian.id);
    assert_eq!(world.sql(&idle).await, 1);
    let at_the_door = format!("operator camera:{door}");
    for (person, role) in
        [(&auditor, "auditor all"), (&operator, &at_the_door), (&installer, "installer all")]
    {
        let assigned = assign(&ours, world, person.id, (&[], &[role])).await;
        assert_eq!(assigned.status, StatusCode::NO_CONTENT, "{}", assigned.body);
    }
    ours.append(world, Statement::RevokeDevice { device: eve.device }).await;
    world.as_person(&finn.cookie).post("/api/v1/logout", &json!({})).await;

    let signed = |action| {
        let signed = seal::action::SignedAction {
            org: ours.org,
            nonce: Hash(fresh()),
            expires_at: crate::support::now().plus_ms(Timestamp::MINUTE),
            previous_state: ours.roster.head().1,
            action,
        };
        json!({ "envelope": signed.sign(ours.admin.device, &ours.admin.keys.sign) })
    };
    let (from, to) = (Timestamp(1), Timestamp(2));
    let export = seal::action::Action::Export { camera: door, from, to, reason: None };
    let acted = ours.api(world).post("/api/v1/actions", &signed(export)).await;
    let signature = serde_json::from_value(acted.body["signature"].clone()).unwrap();
    let [share, ended] = [ShareId::from_random(fresh_id()), ShareId::from_random(fresh_id())];
    for share in [share, ended] {
        let action = seal::action::Action::Share {
            share,
            cameras: BTreeSet::from([door]),
            from,
            to,
            access: Hash(fresh()),
            until: crate::support::now().plus_ms(Timestamp::HOUR),
            openings: None,
            reason: None,
        };
        let ordered = ours.api(world).post("/api/v1/shares", &signed(action)).await;
        assert_eq!(ordered.status, StatusCode::NO_CONTENT, "{}", ordered.body);
    }
    let locked =
        crate::bookmarks::bookmark((ours.org, gateway.id, door), &ours.admin, Some(Lock { until: None }));
    let bookmark = locked.bookmark;
    crate::bookmarks::put_well(world, &ours.admin, &locked).await;
    let second = world.device_login(ours.org, &ours.admin).await.cookie().unwrap();
    let listed = world.as_person(&second).get("/api/v1/sessions").await.body["sessions"].clone();
    let own = listed.as_array().unwrap().iter().find(|session| session["own"] == true).unwrap()["id"].clone();
    ours.api(world).post("/api/v1/reasons", &json!({ "reason": "a parcel is missing" })).await;
    let stated = ours.api(world).get("/api/v1/history?action=state_reason").await;
    let reason = stated.body["entries"][0]["resource"].as_str().unwrap().to_owned();
    // The log follows within a moment, and tiles stay once they were written.
    let mut size = 0;
    for _ in 0..100 {
        size = ours.api(world).get("/api/v1/history/checkpoint").await.body["size"].as_u64().unwrap();
        if size >= 8 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert!((8..256).contains(&size), "{size}");

    let waiting = Person::new(ours.admin.id).statement();
    let pairing = json!({ "lookup": Hash(fresh()), "mac": Hash(fresh()) });
    let request = json!({ "device": waiting, "token": null, "pairing": pairing });
    let asked = ours.api(world).post("/api/v1/device-requests", &request).await;
    assert_eq!(asked.status, StatusCode::ACCEPTED);
    let waiting = waiting.id;
    let service = ours.service(world, &["list_cameras"], Scope::All).await;
    let wall = WallId::from_random(fresh_id());
    let kept = json!({ "name": "Shop", "shared": false, "columns": 1, "tiles": [], "revision": 0 });
    let saved = ours.api(world).put(&format!("/api/v1/walls/{wall}"), &kept).await;
    assert_eq!(saved.status, StatusCode::OK, "{}", saved.body);
    let the_door = Scope::Cameras { cameras: BTreeSet::from([door]) };
    let program = ours.service(world, &["list_cameras", "list_recordings"], the_door).await;
    let (org, ada) = (ours.org, ours.admin.id);
    world
        .sql(&format!(
            "INSERT INTO passkeys (org, person, credential, passkey, created_at) \
             VALUES ('{org}', '{ada}', 'AAAA', '', 1)"
        ))
        .await;

    let person = finn.id;
    let forged = format!("__Host-lenskeep={}", Hash(fresh()));
    let cookie = |person: Person| Shows::Cookies(vec![person.cookie]);
    let adas = || ours.admin.cookie.clone();
    let who = BTreeMap::from([
        (Who::Nobody, Shows::Cookies(vec![])),
        (Who::Forger, Shows::Cookies(vec![forged])),
        (Who::SignedOut, cookie(finn)),
        (Who::ShutOut, cookie(eve)),
        (Who::Idle, cookie(ian)),
        (Who::Doubled, Shows::Cookies(vec![adas(), adas()])),
        (Who::Thief, Shows::Cookies(vec![adas()])),
        (Who::Program, Shows::Token(program.token)),
        (Who::Ben, cookie(ben)),
        (Who::Cem, cookie(cem)),
        (Who::Dan, cookie(dan)),
        (Who::Auditor, cookie(auditor)),
        (Who::Operator, cookie(operator)),
        (Who::Installer, cookie(installer)),
        (Who::OneFactor, cookie(gus)),
        (Who::Ada, Shows::Cookies(vec![adas()])),
        (Who::Zoe, cookie(zoe)),
        (Who::Zed, cookie(zed)),
    ]);
    let things = Things {
        door,
        till,
        gateway: gateway.id.to_string(),
        recordings,
        hours,
        epoch: epoch_id,
        device: ours.admin.device,
        waiting,
        lookup: gateway.secret.lookup().to_string(),
        session: own.as_str().unwrap().to_owned(),
        person,
        signature,
        reason,
        passkey: "AAAA".to_owned(),
        service: service.id.to_string(),
        wall,
        share,
        ended,
        bookmark,
        size,
    };
    (ours, things, who)
}

/// People whom the roster lets see everything.
async fn everything<const N: usize>(ours: &mut Organisation, world: &World) -> [Person; N] {
    let mut people = Vec::new();
    for _ in 0..N {
        people.push(ours.add_person(world, Some(Scope::All)).await);
    }
    people.try_into().ok().expect("as many")
}
