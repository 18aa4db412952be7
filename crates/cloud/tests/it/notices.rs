//! Notices: what devices order, what gateways send, and what a push service is
//! shown of it.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use model::wire::{Envelope, NoticeOrders};
use model::{CameraId, EventId, EventKind, Hash, Timestamp};
use rcgen::{KeyPair, PublicKeyData as _};
use seal::notice::{Channel, LIFE_MS_MAX, NOTICE_BYTES, Notice, NoticeKey, NoticeOrder, Rule, Wishes};
use seal::roster::{Scope, Statement};
use serde_json::{Value, json};

use crate::live::{Link, until};
use crate::support::footage::fresh_seal;
use crate::support::world::{Answer, Api, Person};
use crate::support::{Gateway, Organisation, World, fresh, fresh_id, now, on_both_databases};

on_both_databases!(
    a_device_is_told_and_the_push_service_learns_nothing,
    what_may_not_be_told_is_held_back,
    whoever_steals_a_session_orders_nothing,
    only_push_services_of_the_configuration_are_asked,
    a_message_is_tried_again_and_a_browser_that_left_is_forgotten,
    an_event_flood_is_no_message_flood,
    orders_that_have_run_out_are_not_given_out,
    a_device_that_cannot_be_reached_holds_up_no_other,
);

/// A status, and `Retry-After`.
type Scripted = (u16, Option<&'static str>);

/// A push service on this machine, which answers as it is told.
#[derive(Clone, Default)]
pub(crate) struct Service {
    got: Arc<Mutex<Vec<(HeaderMap, Bytes)>>>,
    answers: Arc<Mutex<VecDeque<Scripted>>>,
    address: String,
}

impl Service {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/push", listener.local_addr().unwrap());
        let service = Service { address, ..Service::default() };
        let router = Router::new().fallback(Self::take).with_state(service.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        service
    }

    async fn take(
        State(service): State<Service>,
        headers: HeaderMap,
        body: Bytes,
    ) -> (StatusCode, HeaderMap) {
        service.got.lock().unwrap().push((headers, body));
        let (status, retry_after) = service.answers.lock().unwrap().pop_front().unwrap_or((201, None));
        let mut answered = HeaderMap::new();
        if let Some(seconds) = retry_after {
            answered.insert("retry-after", seconds.parse().unwrap());
        }
        (StatusCode::from_u16(status).unwrap(), answered)
    }

    fn answers(&self, with: &[Scripted]) {
        self.answers.lock().unwrap().extend(with);
    }

    pub(crate) fn count(&self) -> usize {
        self.got.lock().unwrap().len()
    }

    pub(crate) async fn has(&self, count: usize) {
        until(async || self.count() >= count).await;
        assert_eq!(self.count(), count);
    }

    /// As a browser gives it, each at an address of its own.
    fn subscription(&self) -> Value {
        let endpoint = format!("{}/{}", self.address, Hash(fresh()));
        let public = BASE64_URL_SAFE_NO_PAD.encode(KeyPair::generate().unwrap().der_bytes());
        json!({ "endpoint": endpoint, "p256dh": public, "auth": BASE64_URL_SAFE_NO_PAD.encode(fresh_id()) })
    }
}

pub(crate) struct Scene {
    pub(crate) world: World,
    pub(crate) ours: Organisation,
    pub(crate) gateway: Gateway,
    pub(crate) camera: CameraId,
    pub(crate) service: Service,
}

impl Scene {
    pub(crate) async fn new(world: World) -> Self {
        let service = Service::start().await;
        let world = world.restarted_with(|config| config.push.services = vec!["127.0.0.1".into()]).await;
        let mut ours = world.found().await;
        let gateway = Gateway::enrolled(&world, &mut ours).await;
        let camera = ours.bind_camera(&world, gateway.id).await;
        Scene { world, ours, gateway, camera, service }
    }

    pub(crate) fn order(&self, by: &Person, gateway: &Gateway) -> Envelope {
        self.order_at(by, gateway, now())
    }

    fn order_at(&self, by: &Person, gateway: &Gateway, at: Timestamp) -> Envelope {
        let channel = Channel { org: self.ours.org, gateway: gateway.id, device: by.device };
        let wishes = Wishes {
            key: NoticeKey::from_random(fresh()),
            rules: vec![Rule { cameras: None, kinds: vec![EventKind::Motion] }],
            quiet: Vec::new(),
            pause_ms: 0,
            pictures: false,
        };
        let kem = seal::keys::KemPublic::from_bytes(&gateway.keys.kem.0).unwrap();
        let times = (at, at.plus_ms(LIFE_MS_MAX));
        NoticeOrder::new(channel, times, &wishes, &kem, fresh_seal()).sign(&by.keys.sign)
    }

    pub(crate) async fn put(&self, api: &Api<'_>, by: &Person, orders: &[Envelope]) -> Answer {
        let body = json!({ "subscription": self.service.subscription(), "orders": orders });
        api.put(&format!("/api/v1/notices/{}", by.device), &body).await
    }

    /// A person whose device is told by the gateway.
    pub(crate) async fn told(&mut self, scope: Option<Scope>) -> Person {
        let person = self.ours.add_person(&self.world, scope).await;
        let order = self.order(&person, &self.gateway);
        let put = self.put(&self.world.as_person(&person.cookie), &person, &[order]).await;
        assert_eq!(put.status, StatusCode::NO_CONTENT, "{}", put.body);
        person
    }

    async fn tell_of(&self, by: &Gateway, to: &Person, camera: CameraId, notice: Vec<u8>) {
        let notice = model::Base64::from(notice);
        let body = json!({ "notices": [{ "device": to.device, "camera": camera, "notice": notice }] });
        let answer = by.post("/gateway/v1/notices", &body).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    }

    pub(crate) async fn tell(&self, to: &Person) {
        self.tell_of(&self.gateway, to, self.camera, self.notice(to, Some("Yard"))).await;
    }

    fn notice(&self, to: &Person, rule: Option<&str>) -> Vec<u8> {
        let (camera, channel) =
            (self.camera, Channel { org: self.ours.org, gateway: self.gateway.id, device: to.device });
        let event = EventId::from_random(fresh_id());
        let rule = rule.map(str::to_owned);
        let notice = Notice { event, camera, at: now(), kind: EventKind::Motion, rule, still: None };
        notice.seal(&NoticeKey::from_random(fresh()), &channel, fresh()[..12].try_into().unwrap()).0
    }

    /// Nothing has come beside so many, and then what this person is told.
    async fn nothing_more_than(&self, count: usize, told: &Person) {
        self.tell(told).await;
        self.service.has(count + 1).await;
    }
}

/// After the roster, which changes with each person.
async fn notices_change(link: &mut Link) {
    while link.text().await != json!({ "type": "notices_changed" }) {}
}

async fn a_device_is_told_and_the_push_service_learns_nothing(world: World) {
    let mut scene = Scene::new(world).await;
    let mut link = scene.gateway.link().await;
    let ben = scene.told(Some(Scope::All)).await;
    notices_change(&mut link).await;

    // What the gateway is given is what the device signed, for it alone.
    let listed = scene.gateway.get("/gateway/v1/notice-orders").await.body;
    let listed: NoticeOrders = serde_json::from_value(listed).unwrap();
    let order = NoticeOrder::verify(&listed.orders[0], &scene.ours.roster, now()).unwrap();
    assert_eq!((order.device, order.gateway, listed.more_after), (ben.device, scene.gateway.id, None));
    let other = Gateway::enrolled(&scene.world, &mut scene.ours).await;
    assert_eq!(other.get("/gateway/v1/notice-orders").await.body["orders"], json!([]));

    for rule in [None, Some("A rule with a much longer name than that of the other one")] {
        scene.tell_of(&scene.gateway, &ben, scene.camera, scene.notice(&ben, rule)).await;
    }
    scene.service.has(2).await;
    let got = scene.service.got.lock().unwrap().clone();
    for (headers, body) in &got {
        assert_eq!(headers["content-encoding"], "aes128gcm");
        let ttl: u64 = headers["ttl"].to_str().unwrap().parse().unwrap();
        assert!((3_500..=3_600).contains(&ttl) && headers["urgency"] == "high", "{ttl}");
        assert!(headers["authorization"].to_str().unwrap().starts_with("vapid t=ey"));
        assert_eq!(body.len(), got[0].1.len(), "its length tells nothing");
        let text = String::from_utf8_lossy(body).into_owned();
        assert!(!text.contains("gateway") && !text.contains(&scene.camera.to_string()));
        assert!(headers.iter().all(|(_, value)| !value.to_str().unwrap().contains("cam_")));
    }

    let api = scene.world.as_person(&ben.cookie);
    let path = format!("/api/v1/notices/{}", ben.device);
    let state = api.get(&path).await.body;
    assert_eq!(state["subscription"]["host"], "127.0.0.1");
    assert_eq!(state["orders"][0]["gateway"], json!(scene.gateway.id));
    assert!(!state.to_string().contains("/push"), "an address is a credential: {state}");
    let entries = scene.ours.api(&scene.world).get("/api/v1/history?action=order_notices").await.body;
    assert_eq!(entries["entries"][0]["actor"], json!(ben.id), "{entries}");

    assert_eq!(api.post(&format!("{path}/test"), &json!({})).await.status, StatusCode::ACCEPTED);
    scene.service.has(3).await;
    assert_eq!(api.delete(&path).await.status, StatusCode::NO_CONTENT);
    let entries = scene.ours.api(&scene.world).get("/api/v1/history?action=end_notices").await.body;
    assert_eq!(entries["entries"][0]["actor"], json!(ben.id), "{entries}");
    notices_change(&mut link).await;
    assert_eq!(scene.gateway.get("/gateway/v1/notice-orders").await.body["orders"], json!([]));
    assert_eq!(api.post(&format!("{path}/test"), &json!({})).await.code(), "told_nothing");
}

async fn what_may_not_be_told_is_held_back(world: World) {
    let mut scene = Scene::new(world).await;
    let till = scene.ours.bind_camera(&scene.world, scene.gateway.id).await;
    let rogue = Gateway::enrolled(&scene.world, &mut scene.ours).await;
    let elsewhere = scene.ours.bind_camera(&scene.world, rogue.id).await;
    let only = Scope::Cameras { cameras: BTreeSet::from([scene.camera]) };
    let ben = scene.told(Some(only)).await;
    let cem = scene.told(None).await;
    let dan = scene.ours.add_person(&scene.world, Some(Scope::All)).await;
    let notice = |to: &Person| scene.notice(to, None);

    // A camera that is not the person's; one of another gateway; a gateway that was
    // not asked; somebody who ordered nothing, or may see nothing; what is no notice.
    scene.tell_of(&scene.gateway, &ben, till, notice(&ben)).await;
    scene.tell_of(&scene.gateway, &ben, elsewhere, notice(&ben)).await;
    scene.tell_of(&rogue, &ben, scene.camera, notice(&ben)).await;
    scene.tell_of(&rogue, &ben, elsewhere, notice(&ben)).await;
    scene.tell_of(&scene.gateway, &cem, scene.camera, notice(&cem)).await;
    scene.tell_of(&scene.gateway, &dan, scene.camera, notice(&dan)).await;
    scene.tell_of(&scene.gateway, &ben, scene.camera, vec![0; NOTICE_BYTES + 1]).await;
    let many: Vec<_> =
        (0..65).map(|_| json!({ "device": ben.device, "camera": till, "notice": "" })).collect();
    let many = scene.gateway.post("/gateway/v1/notices", &json!({ "notices": many })).await;
    assert_eq!(many.code(), "invalid");
    scene.nothing_more_than(0, &ben).await;

    // Access that ends ends this, too.
    let statement = Statement::SetAccess {
        person: ben.id,
        scope: Scope::Cameras { cameras: BTreeSet::from([till]) },
        audio: false,
        until: None,
    };
    scene.ours.append(&scene.world, statement).await;
    scene.tell(&ben).await;
    let eve = scene.told(Some(Scope::All)).await;
    scene.nothing_more_than(1, &eve).await;
    scene.ours.append(&scene.world, Statement::RevokeDevice { device: eve.device }).await;
    scene.tell(&eve).await;
    let fay = scene.told(Some(Scope::All)).await;
    scene.nothing_more_than(2, &fay).await;
}

async fn whoever_steals_a_session_orders_nothing(world: World) {
    let mut scene = Scene::new(world).await;
    let ben = scene.told(Some(Scope::All)).await;
    let eve = scene.ours.add_person(&scene.world, Some(Scope::All)).await;
    let (stolen, own) = (scene.world.as_person(&ben.cookie), scene.world.as_person(&eve.cookie));
    let refused = async |answer: Answer, code: &str| assert_eq!(answer.code(), code, "{}", answer.body);
    // With the session of Ben: an order of her own, none, and one in his name.
    let hers = scene.order(&eve, &scene.gateway);
    refused(scene.put(&stolen, &ben, &[hers]).await, "invalid").await;
    refused(scene.put(&stolen, &ben, &[]).await, "invalid").await;
    let mut forged = scene.order(&ben, &scene.gateway);
    forged.payload = scene.order(&ben, &scene.gateway).payload;
    refused(scene.put(&stolen, &ben, &[forged]).await, "invalid").await;
    let twice = [scene.order(&ben, &scene.gateway), scene.order(&ben, &scene.gateway)];
    refused(scene.put(&stolen, &ben, &twice).await, "invalid").await;
    // Or an earlier one of his, which was withheld from him.
    let earlier = scene.order_at(&ben, &scene.gateway, now().minus_ms(Timestamp::MINUTE));
    refused(scene.put(&stolen, &ben, &[earlier]).await, "ordered_later").await;
    // With her own session, about his device.
    let path = format!("/api/v1/notices/{}", ben.device);
    let his = scene.order(&ben, &scene.gateway);
    refused(scene.put(&own, &ben, &[his]).await, "not_found").await;
    refused(own.delete(&path).await, "not_found").await;
    refused(own.get(&path).await, "not_found").await;
    refused(own.post(&format!("{path}/test"), &json!({})).await, "not_found").await;
    // He is told as before.
    scene.nothing_more_than(0, &ben).await;
}

async fn only_push_services_of_the_configuration_are_asked(world: World) {
    let scene = Scene::new(world).await;
    let (ada, api) = (&scene.ours.admin, scene.ours.api(&scene.world));
    let path = format!("/api/v1/notices/{}", ada.device);
    let metrics = scene.world.running.metrics_addr;
    for endpoint in [
        "https://fcm.googleapis.com/fcm/send/abc".to_owned(),
        "http://localhost/push".to_owned(),
        format!("http://0.0.0.0:{}/metrics", metrics.port()),
        "http://169.254.169.254/latest/meta-data".to_owned(),
        "file:///etc/passwd".to_owned(),
    ] {
        let mut subscription = scene.service.subscription();
        subscription["endpoint"] = json!(endpoint);
        let orders = [scene.order(ada, &scene.gateway)];
        let answer = api.put(&path, &json!({ "subscription": subscription, "orders": orders })).await;
        assert_eq!(answer.code(), "unknown_push_service", "{endpoint}");
    }
    for (field, value) in [("p256dh", "BAAA"), ("auth", "AAAA")] {
        let mut subscription = scene.service.subscription();
        subscription[field] = json!(value);
        let orders = [scene.order(ada, &scene.gateway)];
        let answer = api.put(&path, &json!({ "subscription": subscription, "orders": orders })).await;
        assert!(answer.code() == "invalid" && answer.body.to_string().contains(field), "{}", answer.body);
    }
    assert_eq!(scene.service.count(), 0);
}

async fn a_message_is_tried_again_and_a_browser_that_left_is_forgotten(world: World) {
    let mut scene = Scene::new(world).await;
    let ben = scene.told(Some(Scope::All)).await;
    scene.service.answers(&[(503, Some("0")), (429, None), (201, None), (410, None)]);
    scene.tell(&ben).await;
    scene.service.has(3).await;
    scene.tell(&ben).await;
    scene.service.has(4).await;
    let path = format!("/api/v1/notices/{}", ben.device);
    let api = scene.world.as_person(&ben.cookie);
    until(async || api.get(&path).await.body["subscription"].is_null()).await;
    assert_eq!(api.get(&path).await.body["orders"], json!([]), "nobody is told for nothing");
    scene.tell(&ben).await;
    // The same browser, of somebody else by now: its old orders have ended.
    let subscription = scene.service.subscription();
    let put = async |person: &Person| {
        let orders = [scene.order(person, &scene.gateway)];
        let body = json!({ "subscription": subscription, "orders": orders });
        let api = scene.world.as_person(&person.cookie);
        let path = format!("/api/v1/notices/{}", person.device);
        assert_eq!(api.put(&path, &body).await.status, StatusCode::NO_CONTENT);
    };
    put(&ben).await;
    put(&scene.ours.admin).await;
    scene.tell(&ben).await;
    scene.nothing_more_than(4, &scene.ours.admin).await;
    assert_eq!(api.get(&path).await.body["orders"], json!([]));
}

async fn an_event_flood_is_no_message_flood(world: World) {
    let mut scene = Scene::new(world).await;
    let ben = scene.told(Some(Scope::All)).await;
    let cem = scene.told(Some(Scope::All)).await;
    let flood: Vec<_> = (0..64)
        .map(|_| {
            let notice = model::Base64::from(scene.notice(&ben, None));
            json!({ "device": ben.device, "camera": scene.camera, "notice": notice })
        })
        .collect();
    scene.gateway.post("/gateway/v1/notices", &json!({ "notices": flood })).await;
    // Others are told all the same; 30 at once, and some that time allowed meanwhile.
    scene.tell(&cem).await;
    until(async || scene.service.count() >= 31).await;
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert!(scene.service.count() < 40, "{}", scene.service.count());
}

async fn orders_that_have_run_out_are_not_given_out(world: World) {
    let mut scene = Scene::new(world).await;
    let ben = scene.told(Some(Scope::All)).await;
    let past = now().minus_ms(Timestamp::MINUTE).0;
    scene.world.sql(&format!("UPDATE notice_orders SET expires_at = {past}")).await;
    assert_eq!(scene.gateway.get("/gateway/v1/notice-orders").await.body["orders"], json!([]));
    scene.tell(&ben).await;
    let cem = scene.told(Some(Scope::All)).await;
    scene.nothing_more_than(0, &cem).await;
}

/// Of another device, and of another gateway at the same device.
async fn a_device_that_cannot_be_reached_holds_up_no_other(world: World) {
    let mut scene = Scene::new(world).await;
    let ben = scene.told(Some(Scope::All)).await;
    let cem = scene.told(Some(Scope::All)).await;
    scene.service.answers(&[(503, Some("600")); 8]);
    for _ in 0..30 {
        scene.tell(&ben).await;
    }
    until(async || scene.service.count() == 8).await;
    scene.nothing_more_than(8, &cem).await;
    let rogue = Gateway::enrolled(&scene.world, &mut scene.ours).await;
    let elsewhere = scene.ours.bind_camera(&scene.world, rogue.id).await;
    let orders = [scene.order(&cem, &scene.gateway), scene.order(&cem, &rogue)];
    let api = scene.world.as_person(&cem.cookie);
    assert_eq!(scene.put(&api, &cem, &orders).await.status, StatusCode::NO_CONTENT);
    let before = scene.service.count();
    for _ in 0..60 {
        scene.tell_of(&rogue, &cem, elsewhere, scene.notice(&cem, None)).await;
    }
    until(async || scene.service.count() >= before + 20).await;
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    let flooded = scene.service.count();
    assert!(flooded < before + 40, "{}", flooded - before);
    scene.nothing_more_than(flooded, &cem).await;
}
