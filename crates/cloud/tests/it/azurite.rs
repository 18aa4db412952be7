//! The Azure store against Azurite: the whole line of a recording, and the
//! token that a gateway gets, shown unable to do anything but create its one
//! object while it lives.

use std::collections::BTreeMap;
use std::time::Duration;

use cloud::{CredentialKind, StoreKind};
use model::Timestamp;
use model::wire::UploadGrant;
use reqwest::{Method, StatusCode};
use url::Url;

use crate::support::azurite::{ACCOUNT, Azurite};
use crate::support::footage::{Epoch, object};
use crate::support::{Gateway, World, now};

async fn world(azurite: &Azurite) -> World {
    World::with(None, |config| {
        let store = &mut config.store;
        store.kind = StoreKind::Azure;
        store.account = Some(ACCOUNT.to_owned());
        store.endpoint = Some(azurite.endpoint().parse().unwrap());
        store.credential = CredentialKind::TokenFile;
        store.token_file = Some(azurite.token_file("mint"));
        store.read_token_file = Some(azurite.token_file("read"));
        store.ca_file = Some(azurite.ca_file());
    })
    .await
}

/// The one raw request of protocol.md section 2.
fn put(azurite: &Azurite, url: &str, bytes: &[u8]) -> reqwest::RequestBuilder {
    let request = azurite.client.put(url).header("if-none-match", "*").header("x-ms-blob-type", "BlockBlob");
    request.body(bytes.to_vec())
}

async fn status(request: reqwest::RequestBuilder) -> StatusCode {
    request.send().await.unwrap().status()
}

fn query(grant: &UploadGrant) -> BTreeMap<String, String> {
    let url = Url::parse(grant.url.as_ref().unwrap()).unwrap();
    url.query_pairs().into_owned().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_creates_one_blob_and_does_nothing_else() {
    let mut azurite = Azurite::start().await;
    let world = world(&azurite).await;
    let mut organisation = world.found().await;
    let gateway = Gateway::enrolled(&world, &mut organisation).await;
    let camera = organisation.bind_camera(&world, gateway.id).await;
    let epoch = Epoch::new(organisation.org, camera);
    let keys = epoch.grant(&gateway, &organisation.roster, &organisation.admin);
    assert_eq!(gateway.hand_in(&[keys]).await, StatusCode::OK);
    let (bytes, recording) = epoch.record(&gateway, &organisation.roster);
    let (later_bytes, later) = epoch.record(&gateway, &organisation.roster);
    let grants = gateway.ask(&[object(&recording), object(&later)]).await;
    let grant = &grants[0];
    let url = grant.url.clone().unwrap();

    let said = query(grant);
    for (field, value) in [("sr", "b"), ("sp", "c"), ("spr", "https")] {
        assert_eq!(said[field], value, "{field}");
    }
    assert!(url.starts_with(&format!("{}/footage/{}", azurite.endpoint(), recording.name)));
    assert!(grant.expires_at <= now().plus_ms(15 * Timestamp::MINUTE));

    // Before the blob exists and after, whoever has the URL gets nowhere.
    let attacks = async |azurite: &Azurite| {
        let ask =
            |method: Method, url: &str| azurite.client.request(method, url).header("content-length", "0");
        let (_, sas) = url.split_once('?').unwrap();
        let container = format!("{}/footage", azurite.endpoint());
        let renamed = url.replace(&recording.root.to_string(), &later.root.to_string());
        let refused = [
            ("read", status(ask(Method::GET, &url)).await),
            ("size", status(ask(Method::HEAD, &url)).await),
            ("delete", status(ask(Method::DELETE, &url)).await),
            (
                "list",
                status(ask(Method::GET, &format!("{container}?restype=container&comp=list&{sas}"))).await,
            ),
            ("metadata", status(ask(Method::PUT, &format!("{url}&comp=metadata"))).await),
            ("tags", status(ask(Method::GET, &format!("{url}&comp=tags"))).await),
            ("another name", status(put(azurite, &renamed, &bytes)).await),
            ("another container", status(put(azurite, &url.replace("/footage/", "/grants/"), &bytes)).await),
            ("more rights", status(put(azurite, &url.replace("sp=c", "sp=cw"), &bytes)).await),
        ];
        for (attack, status) in refused {
            assert!(status.is_client_error() && status != StatusCode::NOT_FOUND, "{attack}: {status}");
        }
    };
    attacks(&azurite).await;
    assert_eq!(gateway.report(&recording).await, "missing");
    assert_eq!(status(put(&azurite, &url, &bytes)).await, StatusCode::CREATED);
    attacks(&azurite).await;
    let overwriting = azurite.client.put(&url).header("x-ms-blob-type", "BlockBlob").body("other content");
    assert!(status(overwriting).await.is_client_error(), "overwrite, without If-None-Match");
    let again = status(put(&azurite, &url, &bytes)).await;
    assert!(
        [StatusCode::CONFLICT, StatusCode::PRECONDITION_FAILED, StatusCode::FORBIDDEN].contains(&again),
        "{again}"
    );

    // The identity that reads finds what was uploaded, and serves it.
    assert_eq!(gateway.report(&recording).await, "confirmed");
    let mut wrong = recording.clone();
    wrong.sha256 = later.sha256;
    assert_eq!(gateway.report(&wrong).await, "mismatch");
    let path = format!("/api/v1/recordings/{}", recording.id);
    let read = organisation.api(&world).request(Method::GET, &path).header("range", "bytes=100-299");
    let part = read.send().await.unwrap();
    assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(&part.bytes().await.unwrap()[..], &bytes[100..300]);

    // A quarter of an hour later, by the store's clock.
    let unused = grants[1].url.clone().unwrap();
    azurite.restart_ahead(Duration::from_secs(16 * 60)).await;
    assert_eq!(status(put(&azurite, &unused, &later_bytes)).await, StatusCode::FORBIDDEN, "it has ended");
    azurite.restart_ahead(Duration::from_secs(10 * 60)).await;
    assert_eq!(
        status(put(&azurite, &unused, &later_bytes)).await,
        StatusCode::CREATED,
        "the clock was all it was"
    );
}

/// A store that does not answer is said so, and nobody gets a token.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_store_nothing_is_promised() {
    let azurite = Azurite::start().await;
    let world = world(&azurite).await;
    let mut organisation = world.found().await;
    let gateway = Gateway::enrolled(&world, &mut organisation).await;
    let camera = organisation.bind_camera(&world, gateway.id).await;
    let epoch = Epoch::new(organisation.org, camera);
    let (_, recording) = epoch.record(&gateway, &organisation.roster);
    std::fs::write(azurite.token_file("mint"), "not a token").unwrap();
    let body = serde_json::json!({ "objects": [object(&recording)] });
    let answer = gateway.post("/gateway/v1/upload-grants", &body).await;
    assert_eq!((answer.status, answer.code()), (StatusCode::INTERNAL_SERVER_ERROR, "internal"));
    let mut config = world.config.clone();
    cloud::check(&config).await.unwrap();
    config.store.grants = "nowhere".to_owned();
    let error = format!("{:#}", cloud::check(&config).await.unwrap_err());
    assert!(error.contains("no container \"nowhere\""), "{error}");
    let ready = format!("http://{}/readyz", world.running.metrics_addr);
    std::fs::write(azurite.token_file("read"), "not a token").unwrap();
    assert_eq!(status(world.client.get(ready)).await, StatusCode::SERVICE_UNAVAILABLE);
}

/// The history's log lies in the store: tiles first, then the checkpoint.
#[tokio::test(flavor = "multi_thread")]
async fn the_historys_log_is_published_to_the_store() {
    let azurite = Azurite::start().await;
    let world = world(&azurite).await;
    let mut organisation = world.found().await;
    Gateway::enrolled(&world, &mut organisation).await;
    let api = organisation.api(&world);
    for _ in 0..100 {
        let head = api.get("/api/v1/history/checkpoint").await.body;
        assert_eq!(head["fault"], serde_json::Value::Null);
        if head["size"].as_u64().unwrap() >= 3 {
            let proof = api.get("/api/v1/history/0/proof").await;
            assert_eq!(proof.status, StatusCode::OK, "{}", proof.body);
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("nothing was published");
}
