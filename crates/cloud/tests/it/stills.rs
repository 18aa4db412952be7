//! Pictures that go with notices: who brings them, who fetches them, how many
//! are kept, and for how long.

use axum::http::StatusCode;
use model::{Base64, CameraId, Hash, Timestamp};
use seal::still::STILL_SEALED_BYTES_MAX;
use serde_json::{Value, json};

use crate::support::world::Answer;
use crate::support::{Gateway, Organisation, World, fresh, now, on_both_databases};

on_both_databases!(
    a_picture_is_fetched_by_who_knows_where_it_lies_and_stays_as_it_is,
    what_is_no_picture_of_a_gateways_own_camera_is_refused,
    no_picture_is_kept_longer_than_a_day,
    a_gateway_fills_no_disk_and_pushes_out_its_own_pictures_alone,
);

struct Scene {
    world: World,
    ours: Organisation,
    gateway: Gateway,
    camera: CameraId,
}

impl Scene {
    async fn new(world: World) -> Self {
        let mut ours = world.found().await;
        let gateway = Gateway::enrolled(&world, &mut ours).await;
        let camera = ours.bind_camera(&world, gateway.id).await;
        Scene { world, ours, gateway, camera }
    }

    async fn store(&self, by: &Gateway, camera: CameraId, id: Hash, still: &[u8]) -> Answer {
        by.post("/gateway/v1/stills", &body(camera, id, still)).await
    }

    /// As a service worker asks: without a session.
    async fn fetch(&self, id: Hash) -> Result<Vec<u8>, u16> {
        let url = format!("{}/api/v1/stills/{id}", self.world.origin());
        let answer = reqwest::get(url).await.unwrap();
        match answer.status().as_u16() {
            200 => {
                assert_eq!(answer.headers()["content-type"], "application/octet-stream");
                assert_eq!(answer.headers()["cache-control"], "no-store");
                Ok(answer.bytes().await.unwrap().to_vec())
            }
            status => Err(status),
        }
    }

    async fn put(&self, count: u64, by: &Gateway, from: Timestamp) -> Vec<Hash> {
        let ids: Vec<Hash> = (0..count).map(|_| Hash(fresh())).collect();
        let row = |(n, id): (usize, &Hash)| {
            let (org, at) = (self.ours.org, from.plus_ms(n as u64).0);
            format!("('{id}', '{org}', '{}', '{}', {at}, 'AAAA')", by.id, self.camera)
        };
        let rows: Vec<String> = ids.iter().enumerate().map(row).collect();
        let columns = "id, org, gateway, camera, made_at, still";
        self.world.sql(&format!("INSERT INTO stills ({columns}) VALUES {}", rows.join(", "))).await;
        ids
    }
}

fn body(camera: CameraId, id: Hash, still: &[u8]) -> Value {
    json!({ "id": id, "camera": camera, "still": Base64::from(still.to_vec()) })
}

async fn a_picture_is_fetched_by_who_knows_where_it_lies_and_stays_as_it_is(world: World) {
    let scene = Scene::new(world).await;
    let (id, still) = (Hash(fresh()), vec![7; STILL_SEALED_BYTES_MAX]);
    assert_eq!(scene.fetch(id).await, Err(404), "it may come after its notice");
    let stored = scene.store(&scene.gateway, scene.camera, id, &still).await;
    assert_eq!(stored.status, StatusCode::OK, "{}", stored.body);
    assert_eq!(scene.fetch(id).await, Ok(still.clone()));
    // Offered again it is no failure, and nothing is written over.
    let again = scene.store(&scene.gateway, scene.camera, id, b"another picture").await;
    assert_eq!(again.status, StatusCode::OK);
    assert_eq!(scene.fetch(id).await, Ok(still));
    for unknown in [Hash(fresh()), Hash([0; 32])] {
        assert_eq!(scene.fetch(unknown).await, Err(404));
    }
}

async fn what_is_no_picture_of_a_gateways_own_camera_is_refused(world: World) {
    let mut scene = Scene::new(world).await;
    let rogue = Gateway::enrolled(&scene.world, &mut scene.ours).await;
    let id = Hash(fresh());
    let refused = scene.store(&rogue, scene.camera, id, b"x").await;
    assert_eq!(refused.status, StatusCode::NOT_FOUND, "{}", refused.body);
    let vast = vec![0; STILL_SEALED_BYTES_MAX + 1];
    assert_eq!(scene.store(&scene.gateway, scene.camera, id, &vast).await.code(), "invalid");
    let more = json!({ "id": id, "camera": scene.camera, "still": "", "type": "text/html" });
    assert_ne!(scene.gateway.post("/gateway/v1/stills", &more).await.status, StatusCode::OK);
    assert_eq!(scene.fetch(id).await, Err(404));
}

async fn no_picture_is_kept_longer_than_a_day(world: World) {
    let scene = Scene::new(world).await;
    let id = Hash(fresh());
    scene.store(&scene.gateway, scene.camera, id, b"x").await;
    scene.world.sql(&format!("UPDATE stills SET made_at = {}", now().minus_ms(Timestamp::DAY).0)).await;
    assert_eq!(scene.fetch(id).await, Err(404), "whether or not it was swept up by then");
    // The next start sweeps up, and nothing is there that could be swept again.
    let world = scene.world.restarted().await;
    crate::live::until(async || world.sql("UPDATE stills SET made_at = made_at").await == 0).await;
}

async fn a_gateway_fills_no_disk_and_pushes_out_its_own_pictures_alone(world: World) {
    let mut scene = Scene::new(world).await;
    let other = Gateway::enrolled(&scene.world, &mut scene.ours).await;
    let theirs = scene.put(1, &other, now().minus_ms(Timestamp::HOUR)).await;
    let ours = scene.put(128, &scene.gateway, now().minus_ms(Timestamp::MINUTE)).await;
    let id = Hash(fresh());
    scene.store(&scene.gateway, scene.camera, id, b"x").await;
    assert_eq!(scene.fetch(ours[0]).await, Err(404), "the oldest");
    assert!(scene.fetch(ours[1]).await.is_ok() && scene.fetch(theirs[0]).await.is_ok());
    assert_eq!(scene.fetch(id).await, Ok(b"x".to_vec()));
    // And brings some at once, and then one each two seconds.
    let mut statuses = Vec::new();
    for _ in 0..60 {
        statuses.push(scene.store(&scene.gateway, scene.camera, Hash(fresh()), b"x").await.status);
    }
    assert!(statuses.contains(&StatusCode::TOO_MANY_REQUESTS));
}
