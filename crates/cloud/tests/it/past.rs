//! Opening the past to a device that came later, and those who would help
//! themselves to it.

use model::{DeviceId, Hash, Timestamp};
use reqwest::StatusCode;
use seal::action::{Action, SignedAction};
use seal::grant::{EpochGrant, GrantContext, PastGrant, hand_on};
use seal::roster::{Scope, Statement};
use serde_json::{Value, json};

use crate::support::footage::{Epoch, fresh_seal};
use crate::support::world::{Organisation, Person};
use crate::support::{Gateway, World, fresh, now, on_both_databases};

on_both_databases!(
    keys_of_the_past_reach_a_device_that_came_later,
    nothing_is_handed_on_without_the_signature,
    a_session_alone_opens_no_past,
    nothing_more_is_handed_on_than_was_opened,
);

fn opening(organisation: &Organisation, device: DeviceId, from: Timestamp, by: &Person) -> Value {
    let signed = SignedAction {
        org: organisation.org,
        nonce: Hash(fresh()),
        expires_at: now().plus_ms(Timestamp::MINUTE),
        previous_state: organisation.roster.head().1,
        action: Action::OpenPast { device, from },
    };
    json!({ "envelope": signed.sign(by.device, &by.keys.sign) })
}

/// An organisation with one epoch of one camera, granted to Ada alone.
struct Site {
    ada: Organisation,
    gateway: Gateway,
    epoch: Epoch,
}

impl Site {
    async fn of(world: &World, mut ada: Organisation) -> Self {
        let gateway = Gateway::enrolled(world, &mut ada).await;
        let camera = ada.bind_camera(world, gateway.id).await;
        let epoch = Epoch::new(ada.org, camera);
        let grant = epoch.grant(&gateway, &ada.roster, &ada.admin);
        assert_eq!(gateway.hand_in(&[grant]).await, StatusCode::OK);
        Site { ada, gateway, epoch }
    }

    async fn open(&self, world: &World, device: DeviceId) {
        let body = opening(&self.ada, device, Timestamp(0), &self.ada.admin);
        let opened = self.ada.api(world).post("/api/v1/past-openings", &body).await;
        assert_eq!(opened.status, StatusCode::NO_CONTENT, "{}", opened.body);
    }

    fn context(&self) -> GrantContext {
        GrantContext {
            org: self.ada.org,
            gateway: self.gateway.id,
            epoch: self.epoch.id,
            roster_head: self.ada.roster.head().1,
            created_at: now(),
        }
    }

    fn handed_on(&self, to: &Person, by: &Person) -> Value {
        let keys = seal::grant::CameraKeys {
            video: self.epoch.video.clone(),
            audio: Some(self.epoch.audio.clone()),
        };
        let keys = [(self.epoch.camera, (keys, self.epoch.audio.commitment()))].into();
        let kem = to.keys.kem.public();
        let signer = (by.device, &by.keys.sign);
        let grant = hand_on(self.context(), (to.device, &kem), &keys, signer, fresh_seal());
        json!({ "grants": [grant] })
    }
}

async fn keys_of_the_past_reach_a_device_that_came_later(world: World) {
    let ada = world.found().await;
    let mut site = Site::of(&world, ada).await;
    let ben = site.ada.add_person(&world, Some(Scope::All)).await;
    let read = format!("/api/v1/epochs/{}/past-grants/{}", site.epoch.id, ben.device);
    assert_eq!(world.as_person(&ben.cookie).get(&read).await.body, json!({ "grants": [] }));

    site.open(&world, ben.device).await;
    let pages = format!("/api/v1/past-openings/{}/epochs?by={}", ben.device, site.ada.admin.device);
    let page = site.ada.api(&world).get(&pages).await;
    let [epoch] = page.body["epochs"].as_array().unwrap().as_slice() else { panic!("{}", page.body) };
    assert_eq!((&epoch["epoch"], &epoch["has"]), (&json!(site.epoch.id), &json!([])));
    let own = serde_json::from_value(epoch["grant"].clone()).unwrap();
    let own = EpochGrant::verify(&own, site.gateway.id, site.gateway.sign.verifying_key()).unwrap();
    assert!(own.open(site.ada.admin.device, &site.ada.admin.keys.kem).is_ok());
    let after = site.ada.api(&world).get(&format!("{pages}&after={}", site.epoch.id)).await;
    assert_eq!(after.body, json!({ "epochs": [] }));

    let path = format!("/api/v1/past-openings/{}/grants", ben.device);
    let body = site.handed_on(&ben, &site.ada.admin);
    let handed = site.ada.api(&world).post(&path, &body).await;
    assert_eq!(handed.status, StatusCode::NO_CONTENT, "{}", handed.body);
    let found = world.as_person(&ben.cookie).get(&read).await;
    let grant = serde_json::from_value(found.body["grants"][0].clone()).unwrap();
    let keys = PastGrant::claimed(&grant).unwrap().open(ben.device, &ben.keys.kem).unwrap();
    assert_eq!(keys[&site.epoch.camera].video.commitment(), site.epoch.video.commitment());
    // To nobody else, not even to whoever handed it on.
    let refused = site.ada.api(&world).get(&read).await;
    assert_eq!(refused.status, StatusCode::NOT_FOUND);
    for (action, resource) in
        [("open_past", format!("{} 0", ben.device)), ("hand_on", format!("{} 1", ben.device))]
    {
        let entries = site.ada.api(&world).get(&format!("/api/v1/history?action={action}")).await;
        assert_eq!(entries.body["entries"][0]["resource"], json!(resource));
    }
}

async fn nothing_is_handed_on_without_the_signature(world: World) {
    let ada = world.found().await;
    let mut site = Site::of(&world, ada).await;
    let ben = site.ada.add_person(&world, Some(Scope::All)).await;
    let (api, as_ben) = (site.ada.api(&world), world.as_person(&ben.cookie));
    let path = format!("/api/v1/past-openings/{}/grants", ben.device);
    let body = site.handed_on(&ben, &site.ada.admin);
    assert_eq!(api.post(&path, &body).await.status, StatusCode::NOT_FOUND, "nothing was opened");
    let of_ben = opening(&site.ada, ben.device, Timestamp(0), &ben);
    assert_eq!(api.post("/api/v1/past-openings", &of_ben).await.code(), "invalid", "of somebody else");
    assert_eq!(as_ben.post("/api/v1/past-openings", &of_ben).await.code(), "not_an_administrator");
    assert_eq!(as_ben.post(&path, &body).await.code(), "not_an_administrator");
    let of_ada = opening(&site.ada, ben.device, Timestamp(0), &site.ada.admin);
    assert_eq!(api.post("/api/v1/actions", &of_ada).await.code(), "invalid", "at another door");
}

async fn a_session_alone_opens_no_past(world: World) {
    let (mut ada, browser) = world.found_with_passkey().await;
    let ben = ada.add_device_person(&world, &browser).await;
    let api = ada.api(&world);
    let opening = opening(&ada, ben.device, Timestamp(0), &ada.admin);
    assert_eq!(api.post("/api/v1/past-openings", &opening).await.code(), "verification_needed");
    let payload =
        serde_json::from_value::<model::wire::Envelope>(opening["envelope"].clone()).unwrap().payload;
    api.confirm(&browser, &[seal::sha256(&payload.0)]).await;
    assert_eq!(api.post("/api/v1/past-openings", &opening).await.status, StatusCode::NO_CONTENT);
    api.confirm(&browser, &[seal::sha256(&payload.0)]).await;
    assert_eq!(api.post("/api/v1/past-openings", &opening).await.code(), "replayed");
}

async fn nothing_more_is_handed_on_than_was_opened(world: World) {
    let ada = world.found().await;
    let mut site = Site::of(&world, ada).await;
    let nothing = Scope::Cameras { cameras: Default::default() };
    let ben = site.ada.add_person(&world, Some(nothing)).await;
    let cem = site.ada.add_person(&world, Some(Scope::All)).await;
    site.open(&world, ben.device).await;
    let api = site.ada.api(&world);
    let path = |to: &Person| format!("/api/v1/past-openings/{}/grants", to.device);
    let closed = api.post(&path(&ben), &site.handed_on(&ben, &site.ada.admin)).await;
    assert_eq!(closed.status, StatusCode::UNPROCESSABLE_ENTITY, "a camera that he may not open");
    let other = api.post(&path(&ben), &site.handed_on(&cem, &site.ada.admin)).await;
    assert_eq!(other.status, StatusCode::UNPROCESSABLE_ENTITY, "for another device");
    let by_other = api.post(&path(&cem), &site.handed_on(&cem, &ben)).await;
    assert_eq!(by_other.status, StatusCode::NOT_FOUND, "by another device");

    // Keys that the gateway did not grant her.
    site.open(&world, cem.device).await;
    let mut other = Epoch::new(site.ada.org, site.epoch.camera);
    other.id = site.epoch.id;
    let true_epoch = std::mem::replace(&mut site.epoch, other);
    let false_keys = site.ada.api(&world).post(&path(&cem), &site.handed_on(&cem, &site.ada.admin)).await;
    assert_eq!(false_keys.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", false_keys.body);
    site.epoch = true_epoch;
    // In her name, with another key.
    site.open(&world, cem.device).await;
    let mut forger = Person::new(cem.id);
    forger.device = site.ada.admin.device;
    let forged = site.ada.api(&world).post(&path(&cem), &site.handed_on(&cem, &forger)).await;
    assert_eq!(forged.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", forged.body);
    // Of an epoch from before.
    let later = opening(&site.ada, cem.device, now().plus_ms(Timestamp::MINUTE), &site.ada.admin);
    assert_eq!(
        site.ada.api(&world).post("/api/v1/past-openings", &later).await.status,
        StatusCode::NO_CONTENT
    );
    let before = site.ada.api(&world).post(&path(&cem), &site.handed_on(&cem, &site.ada.admin)).await;
    assert_eq!(before.status, StatusCode::UNPROCESSABLE_ENTITY, "before the time that was opened");
    // To a device that was shut out meanwhile.
    site.open(&world, cem.device).await;
    site.ada.append(&world, Statement::RevokeDevice { device: cem.device }).await;
    let shut_out = site.ada.api(&world).post(&path(&cem), &site.handed_on(&cem, &site.ada.admin)).await;
    assert_eq!(shut_out.status, StatusCode::NOT_FOUND);
}
