//! Bookmarks and evidence locks: who may, what gateways are told, and what stays.

use std::collections::BTreeSet;

use model::wire::{Envelope, LOCKS_MAX, LockOrders};
use model::{Base64, BookmarkId, CameraId, EpochId, GatewayId, OrgId, Timestamp};
use reqwest::StatusCode;
use seal::bookmark::{Bookmark, Lock, LockRefusal, LockResult};
use seal::roster::{Camera, Scope, Statement};
use serde_json::{Value, json};

use crate::live::Link;
use crate::rules::assign;
use crate::support::world::{Answer, Person};
use crate::support::{Gateway, Organisation, World, fresh_id, now, on_both_databases};

on_both_databases!(
    a_bookmark_is_seen_by_whoever_may_play_the_camera_back_and_changed_by_its_maker,
    a_lock_reaches_its_gateway_and_its_answer_is_shown,
    whoever_may_not_lock_sends_its_gateway_nothing,
    lifting_a_lock_takes_the_person,
    removing_a_bookmark_takes_the_lift_of_its_lock,
    gateways_read_and_answer_for_themselves_alone,
    pages_leave_none_out,
);

const OPEN: Option<Lock> = Some(Lock { until: None });

struct Scene {
    ours: Organisation,
    gateway: Gateway,
    camera: CameraId,
}

impl Scene {
    async fn new(world: &World) -> Self {
        let mut ours = world.found().await;
        let gateway = Gateway::enrolled(world, &mut ours).await;
        let camera = ours.bind_camera(world, gateway.id).await;
        Scene { ours, gateway, camera }
    }

    fn bookmark(&self, by: &Person, lock: Option<Lock>) -> Bookmark {
        bookmark((self.ours.org, self.gateway.id, self.camera), by, lock)
    }

    async fn listed(&self, world: &World, by: &Person) -> Vec<Value> {
        let path = format!("/api/v1/bookmarks?from=0&to={}", now().0 + 1);
        let answer = world.as_person(&by.cookie).get(&path).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        answer.body["bookmarks"].as_array().unwrap().clone()
    }

    async fn orders(&self, after: u64) -> LockOrders {
        let answer = self.gateway.get(&format!("/gateway/v1/locks?after={after}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        serde_json::from_value(answer.body).unwrap()
    }

    fn result(&self, order: &Envelope, refused: Option<LockRefusal>) -> Envelope {
        let bookmark: Bookmark = seal::from_canonical(&order.payload.0).unwrap();
        let result = LockResult {
            org: self.ours.org,
            gateway: self.gateway.id,
            bookmark: bookmark.bookmark,
            order: seal::sha256(&order.payload.0),
            at: now(),
            refused,
            recordings: 2,
            bytes: 9,
            recorded_ms: 10_000,
        };
        result.sign(&self.gateway.sign)
    }

    async fn answer(&self, order: &Envelope) -> Answer {
        let results = json!({ "results": [self.result(order, None)] });
        self.gateway.post("/gateway/v1/locks", &results).await
    }
}

pub(crate) fn bookmark(
    (org, gateway, camera): (OrgId, GatewayId, CameraId),
    by: &Person,
    lock: Option<Lock>,
) -> Bookmark {
    Bookmark {
        org,
        gateway,
        camera,
        bookmark: BookmarkId::from_random(fresh_id()),
        device: by.device,
        from: now().minus_ms(60_000),
        to: now().minus_ms(30_000),
        lock,
        issued_at: now(),
        epoch: EpochId::from_random([1; 16]),
        note: Base64(vec![7; 12 + 512 + 16]),
    }
}

/// A later one of the same id.
fn later(bookmark: &Bookmark, by: &Person, lock: Option<Lock>) -> Bookmark {
    Bookmark { device: by.device, lock, issued_at: bookmark.issued_at.plus_ms(1), ..bookmark.clone() }
}

async fn put(world: &World, by: &Person, bookmark: &Bookmark) -> (Answer, Envelope) {
    let envelope = bookmark.sign(&by.keys.sign);
    let answer =
        world.as_person(&by.cookie).post("/api/v1/bookmarks", &json!({ "envelope": envelope })).await;
    (answer, envelope)
}

pub(crate) async fn put_well(world: &World, by: &Person, bookmark: &Bookmark) -> Envelope {
    let (answer, envelope) = put(world, by, bookmark).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.body);
    envelope
}

async fn remove(world: &World, by: &Person, bookmark: &Bookmark) -> (u16, String) {
    let answer =
        world.as_person(&by.cookie).delete(&format!("/api/v1/bookmarks/{}", bookmark.bookmark)).await;
    (answer.status.as_u16(), answer.code().to_owned())
}

async fn locks_change(link: &mut Link) {
    while link.text().await != json!({ "type": "locks_changed" }) {}
}

async fn a_bookmark_is_seen_by_whoever_may_play_the_camera_back_and_changed_by_its_maker(world: World) {
    let mut scene = Scene::new(&world).await;
    let ben = scene.ours.add_person(&world, Some(Scope::All)).await;
    let viewer = scene.ours.add_person(&world, Some(Scope::All)).await;
    assign(&scene.ours, &world, viewer.id, (&[], &["viewer all"])).await;
    let other = Scope::Cameras { cameras: BTreeSet::from([CameraId::from_random([1; 16])]) };
    let eve = scene.ours.add_person(&world, Some(other)).await;
    let (marked, own) = (scene.bookmark(&ben, None), scene.bookmark(&viewer, None));
    let envelope = put_well(&world, &ben, &marked).await;
    put_well(&world, &viewer, &own).await;
    let listed = scene.listed(&world, &viewer).await;
    let of = |bookmark: &Bookmark| {
        let envelope = json!(bookmark.sign(&ben.keys.sign));
        listed.iter().find(|entry| entry["envelope"]["payload"] == envelope["payload"]).cloned()
    };
    let bens = of(&marked).unwrap();
    assert_eq!(
        (&bens["person"], &bens["changeable"], &bens["result"]),
        (&json!(ben.id), &json!(false), &Value::Null)
    );
    assert_eq!(bens["envelope"], json!(envelope), "as it was signed");
    assert_eq!(listed.iter().filter(|entry| entry["changeable"] == true).count(), 1);
    assert_eq!(scene.listed(&world, &eve).await, Vec::<Value>::new());
    assert_eq!(put(&world, &eve, &scene.bookmark(&eve, None)).await.0.status, StatusCode::NOT_FOUND);
    let path = format!("/api/v1/bookmarks?camera={}&from=0&to=9", scene.camera);
    assert_eq!(world.as_person(&eve.cookie).get(&path).await.status, StatusCode::NOT_FOUND);

    // Others neither change nor remove it, nor speak in its maker's name.
    assert_eq!(put(&world, &viewer, &later(&marked, &viewer, None)).await.0.code(), "not_yours");
    assert_eq!(remove(&world, &viewer, &marked).await, (403, "not_yours".into()));
    assert_eq!(remove(&world, &eve, &marked).await, (404, "not_found".into()));
    let foreign = later(&marked, &ben, None).sign(&ben.keys.sign);
    let carried =
        world.as_person(&viewer.cookie).post("/api/v1/bookmarks", &json!({ "envelope": foreign })).await;
    assert_eq!(carried.code(), "invalid", "somebody else's signature");
    // What was signed before is not put back over what came later.
    put_well(&world, &ben, &later(&marked, &ben, None)).await;
    assert_eq!(put(&world, &ben, &marked).await.0.code(), "bookmark_moved");
    let moved = Bookmark { gateway: GatewayId::from_random([3; 16]), ..later(&marked, &ben, None) };
    assert_eq!(put(&world, &ben, &moved).await.0.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(remove(&world, &ben, &marked).await.0, 204);
    assert_eq!(remove(&world, &scene.ours.admin, &own).await.0, 204, "an administrator");
    assert_eq!(scene.listed(&world, &ben).await.len(), 0);
    assert_eq!(scene.orders(0).await.orders, [], "a gateway need not know of what locks nothing");
}

async fn a_lock_reaches_its_gateway_and_its_answer_is_shown(world: World) {
    let scene = Scene::new(&world).await;
    let mut link = scene.gateway.link().await;
    let admin = &scene.ours.admin;
    let locked = scene.bookmark(admin, OPEN);
    let envelope = put_well(&world, admin, &locked).await;
    locks_change(&mut link).await;
    let orders = scene.orders(0).await;
    assert_eq!((orders.orders.len(), orders.more), (1, false));
    assert_eq!(orders.orders[0].envelope, envelope, "as it was signed");
    assert_eq!(scene.orders(orders.orders[0].change).await.orders, []);
    assert_eq!(scene.listed(&world, admin).await[0]["result"], Value::Null);
    assert_eq!(scene.answer(&envelope).await.status, StatusCode::OK);
    assert_eq!(scene.listed(&world, admin).await[0]["result"], json!(scene.result_of(&world).await));
    let history = scene.ours.api(&world).get("/api/v1/history?action=lock_footage").await;
    let entry = &history.body["entries"][0];
    assert_eq!(entry["resource"], json!(format!("{} {}", scene.camera, locked.bookmark)));
    let signature = entry["signature"].as_str().unwrap();
    let kept = scene.ours.api(&world).get(&format!("/api/v1/signatures/{signature}")).await;
    assert_eq!(kept.body["envelope"], json!(envelope));
    // Another lock waits for another answer; that of before is of another order.
    let longer = put_well(&world, admin, &later(&locked, admin, OPEN)).await;
    assert_eq!(scene.listed(&world, admin).await[0]["result"], Value::Null);
    assert_eq!(scene.answer(&envelope).await.status, StatusCode::OK);
    assert_eq!(scene.listed(&world, admin).await[0]["result"], Value::Null);
    let orders = scene.orders(orders.orders[0].change).await;
    assert_eq!(orders.orders.iter().map(|order| &order.envelope).collect::<Vec<_>>(), [&longer]);
}

impl Scene {
    /// As the list shows it, verified.
    async fn result_of(&self, world: &World) -> Envelope {
        let listed = self.listed(world, &self.ours.admin).await;
        let envelope: Envelope = serde_json::from_value(listed[0]["result"].clone()).unwrap();
        LockResult::verify(&envelope, (self.gateway.id, self.gateway.sign.verifying_key())).unwrap();
        envelope
    }
}

async fn whoever_may_not_lock_sends_its_gateway_nothing(world: World) {
    let mut scene = Scene::new(&world).await;
    let viewer = scene.ours.add_person(&world, Some(Scope::All)).await;
    assign(&scene.ours, &world, viewer.id, (&[], &["viewer all"])).await;
    let eve = scene.ours.add_person(&world, None).await;
    let refused = put(&world, &viewer, &scene.bookmark(&viewer, OPEN)).await.0;
    assert_eq!((refused.status, refused.code()), (StatusCode::FORBIDDEN, "role"));
    assert_eq!(put(&world, &eve, &scene.bookmark(&eve, OPEN)).await.0.status, StatusCode::NOT_FOUND);
    // A viewer's own bookmark becomes no lock by a second signature either.
    let own = scene.bookmark(&viewer, None);
    put_well(&world, &viewer, &own).await;
    assert_eq!(put(&world, &viewer, &later(&own, &viewer, OPEN)).await.0.code(), "role");
    assert_eq!(scene.orders(0).await.orders, []);
    assert!(scene.listed(&world, &viewer).await.len() == 1);
}

/// Whoever stole the session lets nothing go: less, shorter, or not at all.
async fn lifting_a_lock_takes_the_person(world: World) {
    let (mut ours, browser) = world.found_with_passkey().await;
    let gateway = Gateway::new(&world);
    let camera = CameraId::from_random(fresh_id());
    let bound = Camera {
        id: camera,
        name: "Door".to_owned(),
        gateway: gateway.id,
        serial: None,
        certificate: None,
        groups: BTreeSet::new(),
    };
    for statement in
        [Statement::AddGateway { gateway: gateway.keys.clone() }, Statement::BindCamera { camera: bound }]
    {
        let envelope = ours.sign(statement, &ours.admin);
        ours.api(&world).confirm(&browser, &[seal::sha256(&envelope.payload.0)]).await;
        let added = ours.api(&world).post("/api/v1/roster", &json!({ "envelope": envelope })).await;
        assert_eq!(added.status, StatusCode::OK, "{}", added.body);
        ours.roster.apply(&envelope, now()).unwrap();
    }
    let scene = Scene { ours, gateway, camera };
    let admin = &scene.ours.admin;
    let locked = scene.bookmark(admin, OPEN);
    put_well(&world, admin, &locked).await;
    let until = Some(Lock { until: Some(now().plus_ms(Timestamp::DAY)) });
    let narrower = Bookmark { to: locked.from.plus_ms(1), ..later(&locked, admin, OPEN) };
    let moved = Bookmark { from: locked.from.plus_ms(1), ..later(&locked, admin, OPEN) };
    let lifted = later(&locked, admin, None);
    for weaker in [&lifted, &later(&locked, admin, until), &narrower, &moved] {
        assert_eq!(put(&world, admin, weaker).await.0.code(), "verification_needed");
    }
    let wider = Bookmark { from: locked.from.minus_ms(1), ..later(&locked, admin, OPEN) };
    put_well(&world, admin, &wider).await;
    let lifted = later(&wider, admin, None);
    let order = seal::sha256(&lifted.sign(&admin.keys.sign).payload.0);
    let confirmed = scene.ours.api(&world).confirm(&browser, &[order]).await;
    assert_eq!(confirmed.status, StatusCode::NO_CONTENT);
    put_well(&world, admin, &lifted).await;
    let history = scene.ours.api(&world).get("/api/v1/history?action=lift_lock").await;
    assert_eq!(history.body["entries"].as_array().unwrap().len(), 1);
}

async fn removing_a_bookmark_takes_the_lift_of_its_lock(world: World) {
    let scene = Scene::new(&world).await;
    let admin = &scene.ours.admin;
    let locked = scene.bookmark(admin, OPEN);
    put_well(&world, admin, &locked).await;
    assert_eq!(remove(&world, admin, &locked).await, (409, "locked".into()));
    let lift = put_well(&world, admin, &later(&locked, admin, None)).await;
    // Nobody is shown it any more, and its gateway hears of the lift all the same.
    assert_eq!(remove(&world, admin, &locked).await.0, 204);
    assert_eq!(scene.listed(&world, admin).await.len(), 0);
    let orders = scene.orders(0).await.orders;
    assert_eq!(orders.iter().map(|order| &order.envelope).collect::<Vec<_>>(), [&lift]);
    assert_eq!(scene.answer(&lift).await.status, StatusCode::OK);
    assert_eq!(scene.orders(0).await.orders, [], "and then it is gone");
}

async fn gateways_read_and_answer_for_themselves_alone(world: World) {
    let mut scene = Scene::new(&world).await;
    let other = Gateway::enrolled(&world, &mut scene.ours).await;
    let admin = &scene.ours.admin;
    let envelope = put_well(&world, admin, &scene.bookmark(admin, OPEN)).await;
    assert_eq!(other.get("/gateway/v1/locks?after=0").await.body["orders"], json!([]));
    let own = scene.result(&envelope, None);
    let answer = |gateway, results: Value| {
        let gateway: &Gateway = gateway;
        async move { gateway.post("/gateway/v1/locks", &results).await.status.as_u16() }
    };
    assert_eq!(answer(&other, json!({ "results": [own] })).await, 422, "in another's name");
    let mut altered = own.clone();
    altered.payload.0[20] ^= 1;
    assert_eq!(answer(&scene.gateway, json!({ "results": [altered] })).await, 422);
    assert_eq!(answer(&scene.gateway, json!({ "results": vec![&own; LOCKS_MAX + 1] })).await, 422);
    assert_eq!(scene.listed(&world, admin).await[0]["result"], Value::Null);
    let refused = scene.result(&envelope, Some(LockRefusal::Full));
    assert_eq!(answer(&scene.gateway, json!({ "results": [refused] })).await, 200);
    assert_eq!(scene.listed(&world, admin).await[0]["result"], json!(refused));
}

async fn pages_leave_none_out(world: World) {
    let scene = Scene::new(&world).await;
    let admin = &scene.ours.admin;
    let count = LOCKS_MAX + 3;
    // Faster than a person may: as if somebody had come back again and again.
    let mut wanted = BTreeSet::new();
    for n in 0..count {
        let bookmark = scene.bookmark(admin, OPEN);
        let put = loop {
            let answer = put(&world, admin, &bookmark).await.0;
            if answer.status != StatusCode::TOO_MANY_REQUESTS {
                break answer;
            }
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        };
        assert_eq!(put.status, StatusCode::NO_CONTENT, "{n}: {}", put.body);
        wanted.insert(bookmark.bookmark);
    }
    let (mut after, mut found, mut pages) = (0, BTreeSet::new(), 0);
    loop {
        let page = scene.orders(after).await;
        pages += 1;
        for order in &page.orders {
            assert!(order.change > after);
            after = order.change;
            let bookmark: Bookmark = seal::from_canonical(&order.envelope.payload.0).unwrap();
            assert!(found.insert(bookmark.bookmark));
        }
        if !page.more {
            break;
        }
    }
    assert_eq!((found, pages), (wanted, 2));
}
