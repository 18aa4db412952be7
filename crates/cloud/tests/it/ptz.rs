//! Moving cameras: who may, what stands in the history, and what is carried.

use std::collections::BTreeSet;

use model::wire::Envelope;
use model::{CameraId, Hash};
use reqwest::StatusCode;
use seal::ptz::{Movement, PtzOrder};
use seal::roster::Scope;
use serde_json::{Value, json};

use crate::live::{Link, until};
use crate::rules::assign;
use crate::support::world::{Answer, Person};
use crate::support::{Gateway, Organisation, World, fresh, on_both_databases};

on_both_databases!(
    an_order_is_carried_as_it_was_signed_and_stands_in_the_history_once,
    presets_are_for_administrators_and_each_change_stands_in_the_history,
    who_may_not_move_a_camera_asks_its_gateway_nothing,
    what_the_gateway_refuses_is_told_with_the_next_step,
);

const RIGHT: Movement = Movement::Move { pan: 300, tilt: 0, zoom: 0 };

struct Scene {
    ours: Organisation,
    gateway: Gateway,
    camera: CameraId,
    link: Link,
}

impl Scene {
    async fn new(world: &World) -> Self {
        let mut ours = world.found().await;
        let gateway = Gateway::enrolled(world, &mut ours).await;
        let camera = ours.bind_camera(world, gateway.id).await;
        let link = gateway.link().await;
        let api = ours.api(world);
        until(async || api.get("/api/v1/gateways").await.body["gateways"][0]["connected"] == true).await;
        Scene { ours, gateway, camera, link }
    }

    fn order(&self, movement: Movement) -> PtzOrder {
        PtzOrder {
            org: self.ours.org,
            gateway: self.gateway.id,
            camera: self.camera,
            session: Hash([7; 32]),
            number: 1,
            elapsed_ms: 10,
            movement,
        }
    }

    fn by(&self, person: &Person, movement: Movement) -> Envelope {
        self.order(movement).sign(person.device, &person.keys.sign)
    }

    fn path(&self) -> String {
        format!("/api/v1/cameras/{}/ptz/orders", self.camera)
    }

    /// What comes of an order, with this answer of the gateway.
    async fn sent(&mut self, world: &World, cookie: &str, envelope: &Envelope, refused: Value) -> Answer {
        let (api, path) = (world.as_person(cookie), self.path());
        let answering = async {
            let asked = self.link.question().await;
            let order = json!({ "type": "ptz_order", "ask": asked["ask"], "camera": self.camera, "envelope": envelope });
            assert_eq!(asked, order);
            self.link.say(&json!({ "type": "ptz_done", "ask": asked["ask"], "refused": refused })).await;
        };
        let order = json!({ "envelope": envelope });
        tokio::join!(api.post(&path, &order), answering).0
    }

    async fn history(&self, world: &World, action: &str) -> Vec<Value> {
        let found = self.ours.api(world).get(&format!("/api/v1/history?action={action}")).await;
        found.body["entries"].as_array().unwrap().clone()
    }
}

async fn an_order_is_carried_as_it_was_signed_and_stands_in_the_history_once(world: World) {
    let mut scene = Scene::new(&world).await;
    let (api, challenge) = (scene.ours.api(&world), Hash(fresh()));
    let path = format!("/api/v1/cameras/{}/ptz", scene.camera);
    let session = serde_json::to_value(scene.by(&scene.ours.admin, RIGHT)).unwrap();
    let answering = async {
        let asked = scene.link.question().await;
        let open = json!({ "type": "ptz_open", "ask": asked["ask"], "camera": scene.camera, "challenge": challenge });
        assert_eq!(asked, open);
        scene.link.say(&json!({ "type": "ptz_session", "ask": asked["ask"], "envelope": session })).await;
    };
    let question = json!({ "challenge": challenge });
    let (opened, ()) = tokio::join!(api.post(&path, &question), answering);
    assert_eq!((opened.status, &opened.body["envelope"]), (StatusCode::OK, &session));
    assert_eq!(scene.history(&world, "ptz").await.len(), 0, "nothing has moved");
    let ben = scene.ours.add_person(&world, Some(Scope::All)).await;
    for movement in [RIGHT, Movement::Stop, Movement::Home] {
        let envelope = scene.by(&ben, movement);
        let sent = scene.sent(&world, &ben.cookie, &envelope, Value::Null).await;
        assert_eq!(sent.status, StatusCode::NO_CONTENT, "{}", sent.body);
    }
    let entries = scene.history(&world, "ptz").await;
    assert_eq!(entries.len(), 1, "{entries:?}");
    assert_eq!((&entries[0]["actor"], &entries[0]["resource"]), (&json!(ben.id), &json!(scene.camera)));
}

async fn presets_are_for_administrators_and_each_change_stands_in_the_history(world: World) {
    let mut scene = Scene::new(&world).await;
    let ben = scene.ours.add_person(&world, Some(Scope::All)).await;
    let save = || Movement::SavePreset { name: "Gate".into() };
    let envelope = scene.by(&ben, save());
    let refused = world.as_person(&ben.cookie).post(&scene.path(), &json!({ "envelope": envelope })).await;
    assert_eq!((refused.status, refused.code()), (StatusCode::FORBIDDEN, "not_an_administrator"));
    let cookie = scene.ours.admin.cookie.clone();
    let envelope = scene.by(&scene.ours.admin, save());
    let sent = scene.sent(&world, &cookie, &envelope, Value::Null).await;
    assert_eq!(sent.status, StatusCode::NO_CONTENT, "{}", sent.body);
    let again = scene.ours.api(&world).post(&scene.path(), &json!({ "envelope": envelope })).await;
    assert_eq!((again.status, again.code()), (StatusCode::CONFLICT, "replayed"));
    let entries = scene.history(&world, "change_presets").await;
    assert_eq!(entries.len(), 1);
    let signature = entries[0]["signature"].as_str().unwrap();
    let kept = scene.ours.api(&world).get(&format!("/api/v1/signatures/{signature}")).await;
    assert_eq!(kept.body["envelope"], serde_json::to_value(&envelope).unwrap());
}

/// The link is asked nothing: the next question on it is of who may.
async fn who_may_not_move_a_camera_asks_its_gateway_nothing(world: World) {
    let mut scene = Scene::new(&world).await;
    let viewer = scene.ours.add_person(&world, Some(Scope::All)).await;
    assign(&scene.ours, &world, viewer.id, (&[], &["viewer all"])).await;
    let other = Scope::Cameras { cameras: BTreeSet::from([CameraId::from_random([1; 16])]) };
    let stranger = scene.ours.add_person(&world, Some(other)).await;
    let cookie = scene.ours.admin.cookie.clone();
    let path = scene.path();
    let admin = &scene.ours.admin;
    let send = async |person: &Person, envelope: &Envelope| {
        let answer = world.as_person(&person.cookie).post(&path, &json!({ "envelope": envelope })).await;
        (answer.status.as_u16(), answer.code().to_owned())
    };
    let own = |person: &Person| scene.by(person, RIGHT);
    assert_eq!(send(&viewer, &own(&viewer)).await, (403, "role".into()));
    assert_eq!(send(&stranger, &own(&stranger)).await, (404, "not_found".into()));
    assert_eq!(send(&viewer, &own(admin)).await, (422, "invalid".into()), "somebody else's signature");
    let mut forged = own(admin);
    forged.signatures[0].sig = own(&viewer).signatures[0].sig.clone();
    assert_eq!(send(admin, &forged).await, (422, "invalid".into()));
    let elsewhere = PtzOrder { camera: CameraId::from_random([2; 16]), ..scene.order(RIGHT) };
    let elsewhere = elsewhere.sign(admin.device, &admin.keys.sign);
    assert_eq!(send(admin, &elsewhere).await, (422, "invalid".into()), "of another camera than the path");
    for (person, status) in [(&viewer, 403), (&stranger, 404)] {
        let open = format!("/api/v1/cameras/{}/ptz", scene.camera);
        let opened =
            world.as_person(&person.cookie).post(&open, &json!({ "challenge": Hash([1; 32]) })).await;
        assert_eq!(opened.status.as_u16(), status);
    }
    let envelope = scene.by(&scene.ours.admin, RIGHT);
    let sent = scene.sent(&world, &cookie, &envelope, Value::Null).await;
    assert_eq!(sent.status, StatusCode::NO_CONTENT);
    assert_eq!(scene.history(&world, "ptz").await.len(), 1);
}

async fn what_the_gateway_refuses_is_told_with_the_next_step(world: World) {
    let mut scene = Scene::new(&world).await;
    let cookie = scene.ours.admin.cookie.clone();
    let long = "\u{7}no".repeat(400);
    let rows = [
        (json!({ "type": "no_session" }), 409, "ptz_over"),
        (json!({ "type": "late" }), 409, "ptz_late"),
        (json!({ "type": "taken" }), 409, "ptz_taken"),
        (json!({ "type": "not_allowed" }), 403, "gateway_refused"),
        (json!({ "type": "camera", "reason": long }), 502, "camera_refused"),
    ];
    for (refusal, status, code) in rows {
        let envelope = scene.by(&scene.ours.admin, RIGHT);
        let sent = scene.sent(&world, &cookie, &envelope, refusal).await;
        assert_eq!((sent.status.as_u16(), sent.code()), (status, code));
        let words = sent.body["error"]["message"].as_str().unwrap();
        assert!(words.len() < 400 && !words.contains('\u{7}'), "{words}");
        assert!(!sent.body["error"]["remedy"].as_str().unwrap().is_empty());
    }
    drop(scene.link);
    let api = scene.ours.api(&world);
    until(async || api.get("/api/v1/gateways").await.body["gateways"][0]["connected"] == false).await;
    let path = format!("/api/v1/cameras/{}/ptz", scene.camera);
    let offline = api.post(&path, &json!({ "challenge": Hash([1; 32]) })).await;
    assert_eq!((offline.status.as_u16(), offline.code()), (503, "gateway_offline"));
}
