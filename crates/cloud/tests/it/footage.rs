//! The line of a recording: keys, token, upload, report, reading; and what a
//! stolen upload URL is worth.

use model::wire::{Container, UploadObject};
use model::{EpochId, Hash, Timestamp};
use reqwest::{Method, StatusCode};
use seal::recording::Recording as Sealed;
use serde_json::json;

use crate::support::footage::{Epoch, object};
use crate::support::{Gateway, Organisation, World, fresh, fresh_id, now, on_both_databases};

on_both_databases!(
    a_recording_arrives_and_is_read_by_ranges,
    a_false_object_in_its_place_does_not_confirm_a_recording,
    a_report_is_not_believed,
    a_gateway_names_only_what_is_its_own,
    a_gateway_reads_back_parts_of_its_own_recordings_as_they_are_now,
    keys_go_to_their_own_person,
);

struct Site {
    organisation: Organisation,
    gateway: Gateway,
    epoch: Epoch,
}

async fn site(world: &World) -> Site {
    let mut organisation = world.found().await;
    let gateway = Gateway::enrolled(world, &mut organisation).await;
    let camera = organisation.bind_camera(world, gateway.id).await;
    let epoch = Epoch::new(organisation.org, camera);
    Site { organisation, gateway, epoch }
}

impl Site {
    async fn hand_in_keys(&self) {
        let grant = self.epoch.grant(&self.gateway, &self.organisation.roster, &self.organisation.admin);
        assert_eq!(self.gateway.hand_in(&[grant]).await, StatusCode::OK);
    }

    fn record(&self) -> (Vec<u8>, model::wire::Recording) {
        self.epoch.record(&self.gateway, &self.organisation.roster)
    }
}

async fn a_gateway_reads_back_parts_of_its_own_recordings_as_they_are_now(world: World) {
    let site = site(&world).await;
    site.hand_in_keys().await;
    let (bytes, recording) = site.record();
    site.gateway.upload(bytes.clone(), &recording).await;
    site.gateway.report(&recording).await;
    let part = |first: u64, length: u64| json!({ "id": recording.id, "first": first, "bytes": length });
    let ask = async |by: &Gateway, parts: &serde_json::Value| {
        by.post("/gateway/v1/read-back", &json!({ "parts": parts })).await
    };
    let shown = |first: usize, length: usize| json!(model::Base64(bytes[first..first + length].to_vec()));
    let end = bytes.len() as u64;
    let unknown = json!({ "id": Hash(fresh()), "first": 0, "bytes": 1 });
    let parts = json!([part(0, 4), part(end - 3, 3), part(end - 3, 4), part(u64::MAX, 2), unknown]);
    let answer = ask(&site.gateway, &parts).await;
    assert_eq!(answer.body["parts"], json!([shown(0, 4), shown(bytes.len() - 3, 3), null, null, null]));
    for wrong in [json!([part(0, 0)]), json!([part(0, 4_097)]), json!(vec![part(0, 1); 17])] {
        assert_eq!(ask(&site.gateway, &wrong).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    }
    // Another gateway of the organisation, and one of another.
    let mut organisation = site.organisation;
    let sibling = Gateway::enrolled(&world, &mut organisation).await;
    let mut theirs = world.found_another().await;
    let stranger = Gateway::enrolled(&world, &mut theirs).await;
    for other in [sibling, stranger] {
        assert_eq!(ask(&other, &json!([part(0, 4)])).await.body["parts"], json!([null]));
    }
    // What the store lost, or has in another length, it does not have.
    let object = world.config.data.join("store/footage").join(&recording.name);
    std::fs::write(&object, &bytes[..bytes.len() - 1]).unwrap();
    assert_eq!(ask(&site.gateway, &json!([part(0, 4)])).await.body["parts"], json!([null]));
    std::fs::remove_file(&object).unwrap();
    assert_eq!(ask(&site.gateway, &json!([part(0, 4)])).await.body["parts"], json!([null]));
}

async fn a_recording_arrives_and_is_read_by_ranges(world: World) {
    let site = site(&world).await;
    site.hand_in_keys().await;
    let (bytes, recording) = site.record();
    assert_eq!(site.gateway.upload(bytes.clone(), &recording).await, StatusCode::CREATED);
    assert_eq!(
        site.gateway.upload(bytes.clone(), &recording).await,
        StatusCode::CONFLICT,
        "the same content"
    );
    let gap = json!({
        "camera": recording.camera, "rendition": "main", "from": recording.started_at.0 - 5_000,
        "to": recording.started_at.0, "reason": "stalled",
    });
    let report = json!({ "recordings": [recording], "gaps": [gap] });
    let answer = site.gateway.post("/gateway/v1/recordings", &report).await;
    assert_eq!(answer.body["results"], json!([{ "name": recording.name, "status": "confirmed" }]));
    assert_eq!(site.gateway.report(&recording).await, "confirmed", "again is the same");

    let api = site.organisation.api(&world);
    let (camera, from) = (recording.camera, recording.started_at.0 - 60_000);
    let listed = api.get(&format!("/api/v1/cameras/{camera}/recordings?from={from}&rendition=main")).await;
    let mut expected = serde_json::to_value(&recording).unwrap();
    (expected["available"], expected["on_site"]) = (json!(true), json!(false));
    let page =
        json!({ "recordings": [expected], "gaps": [gap], "more_from": null, "site_unreachable": true });
    assert_eq!(listed.body, page);
    let later = recording.started_at.0 + 10_000;
    let none = api.get(&format!("/api/v1/cameras/{camera}/recordings?from={later}")).await;
    assert_eq!(none.body["recordings"], json!([]));
    assert_eq!(api.get("/api/v1/cameras").await.body["cameras"][0]["id"], json!(camera));
    // It lies over the border of the second and third of ten parts of a second.
    let from = recording.started_at.0 - 1_800;
    let path = format!("/api/v1/cameras/{camera}/timeline?from={from}&to={}&parts=10", from + 10_000);
    let timeline = api.get(&path).await.body;
    let half = recording.bytes / 2;
    let parts = [1, 2].map(|part| json!({ "part": part, "recorded_ms": 200, "bytes": half }));
    assert_eq!((&timeline["part_ms"], &timeline["parts"]), (&json!(1_000), &json!(parts)));
    assert_eq!((&timeline["gaps"], &timeline["site_unreachable"]), (&json!([gap]), &json!(true)));

    let path = format!("/api/v1/recordings/{}", recording.id);
    let read = async |range: &str| {
        let response = api.request(Method::GET, &path).header("range", range).send().await.unwrap();
        (response.status(), response.headers().clone(), response.bytes().await.unwrap())
    };
    let whole = api.request(Method::GET, &path).send().await.unwrap();
    assert_eq!(whole.headers()["content-type"], "application/vnd.lenskeep.recording");
    let whole = whole.bytes().await.unwrap();
    assert_eq!(whole, bytes);
    Sealed::parse(&whole).unwrap().verify(&site.organisation.roster).unwrap();
    let (status, headers, part) = read("bytes=8-11").await;
    assert_eq!((status, &part[..]), (StatusCode::PARTIAL_CONTENT, &bytes[8..12]));
    assert_eq!(headers["content-range"], format!("bytes 8-11/{}", bytes.len()));
    let (_, _, trailer) = read("bytes=-16").await;
    assert_eq!(&trailer[..], &bytes[bytes.len() - 16..]);
    let (status, headers, _) = read(&format!("bytes={}-", bytes.len())).await;
    assert_eq!(status, StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(headers["content-range"], format!("bytes */{}", bytes.len()));
    let head = api.request(Method::HEAD, &path).send().await.unwrap();
    assert_eq!(head.headers()["content-length"], bytes.len().to_string());

    // One entry for all these reads.
    let history = api.get("/api/v1/history").await;
    let count = |action: &str| {
        let entries = history.body["entries"].as_array().unwrap();
        entries.iter().filter(|entry| entry["action"] == action).count()
    };
    assert_eq!((count("playback"), count("mint_upload")), (1, 2));
}

async fn a_false_object_in_its_place_does_not_confirm_a_recording(world: World) {
    let site = site(&world).await;
    site.hand_in_keys().await;
    let (bytes, recording) = site.record();
    let (other_bytes, other) = site.record();
    assert_eq!(site.gateway.upload(bytes, &recording).await, StatusCode::CREATED);
    assert_eq!(site.gateway.upload(other_bytes, &other).await, StatusCode::CREATED);
    // With a stolen certificate: another object under the genuine header hash.
    let mut false_one = other.clone();
    false_one.id = recording.id;
    assert_eq!(site.gateway.report(&false_one).await, "confirmed");
    assert_eq!(site.gateway.report(&recording).await, "mismatch", "the gateway keeps the true one");
}

async fn a_report_is_not_believed(world: World) {
    let site = site(&world).await;
    let (bytes, recording) = site.record();
    assert_eq!(site.gateway.report(&recording).await, "no_epoch_grant");
    site.hand_in_keys().await;
    assert_eq!(site.gateway.report(&recording).await, "missing");
    let mut damaged = bytes.clone();
    damaged[100] ^= 1;
    assert_eq!(
        site.gateway.upload(damaged, &recording).await,
        StatusCode::BAD_REQUEST,
        "not what the token is for"
    );
    assert_eq!(site.gateway.report(&recording).await, "missing");
    assert_eq!(site.gateway.upload(bytes, &recording).await, StatusCode::CREATED);
    let mut wrong = recording.clone();
    wrong.sha256 = Hash(fresh());
    assert_eq!(site.gateway.report(&wrong).await, "mismatch");
    let mut wrong = recording.clone();
    wrong.bytes += 1;
    assert_eq!(site.gateway.report(&wrong).await, "mismatch");
    let mut wrong = recording.clone();
    wrong.epoch = EpochId::from_random(fresh_id());
    assert_eq!(site.gateway.report(&wrong).await, "no_epoch_grant");
    let mut wrong = recording.clone();
    wrong.started_at = Timestamp(wrong.started_at.0 + 1);
    assert_eq!(site.gateway.report(&wrong).await, "refused", "the name says otherwise");
    assert_eq!(site.gateway.report(&recording).await, "confirmed");
}

async fn a_gateway_names_only_what_is_its_own(world: World) {
    let mut site = site(&world).await;
    let other = Gateway::enrolled(&world, &mut site.organisation).await;
    let (bytes, recording) = site.record();
    assert_eq!(other.ask(&[object(&recording)]).await[0].url, None, "the camera is another gateway's");
    assert_eq!(other.report(&recording).await, "refused");

    let grants_of = |gateway: &Gateway| UploadObject {
        container: Container::Grants,
        name: seal::grant::object_name(
            site.organisation.org,
            gateway.id,
            site.epoch.id,
            site.organisation.admin.device,
        ),
        bytes: 10,
        sha256: Hash(fresh()),
    };
    let foreign_grant = site.epoch.grant(&other, &site.organisation.roster, &site.organisation.admin);
    assert_eq!(
        site.gateway.hand_in(&[foreign_grant]).await,
        StatusCode::UNPROCESSABLE_ENTITY,
        "signed by another"
    );
    let named = |name: &str| UploadObject { name: name.to_owned(), ..object(&recording) };
    let asked = [
        object(&recording),
        grants_of(&site.gateway),
        grants_of(&other),
        named("../../etc/passwd"),
        named(&format!("{}/../{}", site.organisation.org, recording.name)),
        named(&recording.name.replace("org_", "org_0").replace(".lkr", "")),
        UploadObject { bytes: 0, ..object(&recording) },
        UploadObject { bytes: (64 << 20) + 1, ..object(&recording) },
    ];
    let granted: Vec<bool> = site.gateway.ask(&asked).await.iter().map(|grant| grant.url.is_some()).collect();
    assert_eq!(granted, [true, true, false, false, false, false, false, false]);
    drop(bytes);
}

async fn keys_go_to_their_own_person(world: World) {
    let mut site = site(&world).await;
    let ben = site.organisation.add_person(&world, None).await;
    site.hand_in_keys().await;
    let path = format!("/api/v1/epochs/{}/grants/{}", site.epoch.id, site.organisation.admin.device);
    let envelope = site.organisation.api(&world).get(&path).await;
    assert_eq!(envelope.status, StatusCode::OK);
    let envelope: model::wire::Envelope = serde_json::from_value(envelope.body).unwrap();
    let grant =
        seal::grant::EpochGrant::verify(&envelope, site.gateway.id, site.gateway.sign.verifying_key())
            .unwrap();
    let admin = &site.organisation.admin;
    assert!(grant.open(admin.device, &admin.keys.kem).unwrap().contains_key(&site.epoch.camera));
    assert_eq!(world.as_person(&ben.cookie).get(&path).await.status, StatusCode::NOT_FOUND);
    // Ben has no access: he does not see that there is a camera.
    let recordings = format!("/api/v1/cameras/{}/recordings", site.epoch.camera);
    assert_eq!(world.as_person(&ben.cookie).get(&recordings).await.status, StatusCode::NOT_FOUND);
    assert_eq!(world.as_person(&ben.cookie).get("/api/v1/cameras").await.body["cameras"], json!([]));
}

/// Whoever finds an upload URL can create the one object that it is for, with
/// the content that it is for, for a quarter of an hour.
#[tokio::test(flavor = "multi_thread")]
async fn a_stolen_upload_url_is_worth_little() {
    let world = World::on_sqlite().await;
    let site = site(&world).await;
    site.hand_in_keys().await;
    let (bytes, recording) = site.record();
    let (other_bytes, other) = site.record();
    let grant = site.gateway.ask(&[object(&recording)]).await.remove(0);
    assert!(grant.expires_at <= now().plus_ms(15 * Timestamp::MINUTE));
    assert!(!format!("{grant:?}").contains("sig="), "it does not print");
    let url = grant.url.clone().unwrap();
    // The thief has no certificate; the URL does not need one.
    let thief = Gateway::new(&world);
    let status = async |method: Method, url: &str, body: &[u8]| {
        let mut request = thief.client.request(method, url).header("if-none-match", "*").body(body.to_vec());
        for (name, value) in &grant.headers {
            request = request.header(name, value);
        }
        request.send().await.unwrap().status()
    };
    for method in [Method::GET, Method::HEAD, Method::DELETE, Method::POST] {
        assert_eq!(status(method.clone(), &url, &[]).await, StatusCode::METHOD_NOT_ALLOWED, "{method}");
    }
    let folder = url.split(&recording.camera.to_string()).next().unwrap();
    for listing in [folder, folder.trim_end_matches('/')] {
        assert!(status(Method::GET, listing, &[]).await.is_client_error(), "no listing");
    }
    let renamed = url.replace(&recording.root.to_string(), &other.root.to_string());
    assert_eq!(status(Method::PUT, &renamed, &bytes).await, StatusCode::FORBIDDEN, "another name");
    assert_eq!(status(Method::PUT, &url, &other_bytes).await, StatusCode::BAD_REQUEST, "other content");
    let longer = url.replace("expires=", "expires=1");
    assert_eq!(status(Method::PUT, &longer, &bytes).await, StatusCode::FORBIDDEN, "a longer life");
    let ended = url.replace(&format!("expires={}", grant.expires_at.0), &format!("expires={}", now().0 - 1));
    assert_eq!(status(Method::PUT, &ended, &bytes).await, StatusCode::FORBIDDEN, "ended");
    for path in ["..%2f..%2fetc%2fpasswd", "%2e%2e/x", "a/../../../x", "..\\x", "%00"] {
        let url = format!("{}/store/v1/footage/{path}?{}", site.gateway.base, url.split_once('?').unwrap().1);
        assert!(status(Method::PUT, &url, &bytes).await.is_client_error(), "{path}");
    }
    let container = url.replace("/footage/", "/grants/");
    assert_eq!(status(Method::PUT, &container, &bytes).await, StatusCode::FORBIDDEN, "another container");

    assert_eq!(status(Method::PUT, &url, &bytes).await, StatusCode::CREATED);
    assert_eq!(status(Method::PUT, &url, &bytes).await, StatusCode::CONFLICT, "no overwriting");
    assert_eq!(site.gateway.report(&recording).await, "confirmed");
}
