//! Signed indexes of hours: what of them the cloud takes, and to whom it shows
//! them.

use std::collections::BTreeSet;

use model::wire::{Envelope, Recording};
use model::{CameraId, Hash, Timestamp};
use reqwest::StatusCode;
use seal::hour::{HOUR_BYTES_MAX, Hour, SignedHour};
use seal::keys::SigningKey;
use serde_json::{Value, json};

use crate::support::hours::{hash, index_of, place, signed};
use crate::support::{Gateway, Organisation, World, fresh, on_both_databases};

on_both_databases!(
    an_index_of_an_hour_is_read_in_the_store_and_listed,
    every_index_of_an_hour_is_on_one_page_and_once,
    what_is_no_index_of_its_gateway_is_not_taken,
    indexes_of_hours_are_shown_to_whoever_may_list_the_camera,
);

struct Site {
    organisation: Organisation,
    gateway: Gateway,
    recording: Recording,
}

impl Site {
    async fn new(world: &World) -> Self {
        let mut organisation = world.found().await;
        let gateway = Gateway::enrolled(world, &mut organisation).await;
        let camera = organisation.bind_camera(world, gateway.id).await;
        let (_, recording) = gateway.recorded(&organisation, camera).await;
        Site { organisation, gateway, recording }
    }

    fn camera(&self) -> CameraId {
        self.recording.camera
    }

    fn index(&self) -> Hour {
        index_of(self.organisation.org, &self.gateway, &self.recording)
    }

    fn list(&self) -> String {
        format!("/api/v1/cameras/{}/hours", self.camera())
    }

    async fn listed(&self, world: &World, query: &str) -> Value {
        let answer = self.organisation.api(world).get(&format!("{}?{query}", self.list())).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        answer.body
    }

    fn verified(&self, envelope: &Value) -> SignedHour {
        let envelope: Envelope = serde_json::from_value(envelope.clone()).unwrap();
        SignedHour::verify(&envelope, &self.organisation.roster).unwrap()
    }
}

async fn an_index_of_an_hour_is_read_in_the_store_and_listed(world: World) {
    let site = Site::new(&world).await;
    let index = site.index();
    let (name, bytes) = signed(&index, &site.gateway);
    let names = [name.clone()];
    assert_eq!(site.gateway.report_hours(&names).await, ["missing"]);
    let nothing = json!({ "hours": [], "missing": [], "next": null });
    assert_eq!(site.listed(&world, "").await, nothing);

    assert_eq!(site.gateway.upload_hour(&name, bytes.clone()).await, Some(StatusCode::CREATED));
    assert_eq!(site.gateway.report_hours(&names).await, ["confirmed"]);
    assert_eq!(site.gateway.report_hours(&names).await, ["confirmed"], "again is the same");
    let envelope: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(site.listed(&world, "").await, json!({ "hours": [envelope], "missing": [], "next": null }));
    assert_eq!(site.verified(&envelope).hour, index);
    let (begin, end) = (index.hour.0, index.hour.0 + 1);
    assert_eq!(site.listed(&world, &format!("from={begin}&to={end}")).await["hours"], json!([envelope]));
    for outside in [format!("from={end}"), format!("to={begin}")] {
        assert_eq!(site.listed(&world, &outside).await, nothing, "{outside}");
    }
    let api = site.organisation.api(&world);
    let by_hash = format!("{}/{}", site.list(), hash(&index));
    assert_eq!(api.get(&by_hash).await.body, envelope);
    for wrong in ["from=5&to=5", "from=6&to=5", "after=x", "after=1-2", "from=-1"] {
        let answer = api.get(&format!("{}?{wrong}", site.list())).await;
        assert!(answer.status.is_client_error() && answer.code() == "invalid", "{wrong}: {}", answer.body);
    }
    // It is in the list of recordings' permission, and stands in the history as that.
    let history = api.get("/api/v1/history?action=list_recordings").await.body;
    assert_eq!(history["entries"].as_array().unwrap().len(), 1, "{history}");

    // What the store lost, or has otherwise, is said by name.
    let lost = json!({ "hours": [], "missing": [name], "next": null });
    place(&world, &name, b"no envelope");
    assert_eq!(site.listed(&world, "").await, lost);
    std::fs::remove_file(world.config.data.join("store/footage").join(&name)).unwrap();
    assert_eq!(site.listed(&world, "").await, lost);
    assert_eq!(api.get(&by_hash).await.status, StatusCode::NOT_FOUND);
    assert_eq!(site.gateway.report_hours(&names).await, ["missing"]);
}

/// Also where one hour has more than fit a page, in several chains.
async fn every_index_of_an_hour_is_on_one_page_and_once(world: World) {
    let site = Site::new(&world).await;
    let (mut names, mut all) = (Vec::new(), Vec::new());
    for (chain, hours_before, count) in [(0, 0, 60), (1, 0, 30), (2, 1, 20)] {
        let hour = site.recording.started_at.hour().minus_ms(hours_before * Timestamp::HOUR);
        for number in 0..count {
            let mut index = site.index();
            index.hour = hour;
            index.recordings[0].started_at = hour.plus_ms(chain);
            (index.number, index.previous) = (number, (number > 0).then(|| Hash(fresh())));
            let (name, bytes) = signed(&index, &site.gateway);
            place(&world, &name, &bytes);
            all.push((index.hour, number, hash(&index)));
            names.push(name);
        }
    }
    for names in names.chunks(32) {
        assert!(site.gateway.report_hours(names).await.iter().all(|status| status == "confirmed"));
    }
    all.sort();
    let (mut found, mut pages, mut query) = (Vec::new(), 0, "from=0".to_owned());
    loop {
        let page = site.listed(&world, &query).await;
        pages += 1;
        for envelope in page["hours"].as_array().unwrap() {
            let signed = site.verified(envelope);
            found.push((signed.hour.hour, signed.hour.number, signed.hash));
        }
        let Some(next) = page["next"].as_str() else { break };
        query = format!("from=0&after={next}");
    }
    assert_eq!((found, pages), (all, 3));
    let too_many = vec!["x"; 33];
    let answer = site.gateway.post("/gateway/v1/hours", &json!({ "names": too_many })).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
}

async fn what_is_no_index_of_its_gateway_is_not_taken(world: World) {
    let mut site = Site::new(&world).await;
    let sibling = Gateway::enrolled(&world, &mut site.organisation).await;
    let mut theirs = world.found_another().await;
    let stranger = Gateway::enrolled(&world, &mut theirs).await;
    let index = site.index();
    let (name, bytes) = signed(&index, &site.gateway);
    let status = async |by: &Gateway, name: &str| by.report_hours(&[name.to_owned()]).await.remove(0);

    // Of a camera that is not the caller's.
    place(&world, &name, &bytes);
    for other in [&sibling, &stranger] {
        assert_eq!(other.upload_hour(&name, bytes.clone()).await, None);
        assert_eq!(status(other, &name).await, "refused");
    }
    // No name of an index.
    let hash_of_it = hash(&index).to_string();
    for bad in [
        String::new(),
        "../../etc/passwd".to_owned(),
        site.recording.name.clone(),
        name.replace("/hours/", "/hours/../hours/"),
        name.replace(&hash_of_it, &hash_of_it[1..]),
        name.replace(&index.hour.0.to_string(), &(index.hour.0 + 1).to_string()),
    ] {
        assert_eq!(status(&site.gateway, &bad).await, "refused", "{bad}");
    }

    // What lies under the name is not what the name or the caller says.
    let as_sibling = Hour { gateway: sibling.id, ..index.clone() };
    let forged = index.sign(&SigningKey::from_seed(fresh()));
    let mut later = index.clone();
    later.recordings[0].stored = false;
    let mut of_another_hour = index.clone();
    of_another_hour.recordings[0].started_at = index.hour.plus_ms(Timestamp::HOUR);
    let of_another_org = Hour { org: theirs.org, ..index.clone() };
    let elsewhere =
        Hour { camera: CameraId::from_random(fresh()[..16].try_into().unwrap()), ..index.clone() };
    let mut flipped = bytes.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    let mut padded = bytes.clone();
    padded.resize(HOUR_BYTES_MAX as usize + 1, b' ');
    let of = |hour: &Hour, by: &Gateway| signed(hour, by).1;
    for (what, bytes) in [
        ("signed by another gateway of the roster", of(&as_sibling, &sibling)),
        ("in this one's name", of(&index, &sibling)),
        ("by a key of nobody", serde_json::to_vec(&forged).unwrap()),
        ("with another hash", of(&later, &site.gateway)),
        ("about another time", of(&of_another_hour, &site.gateway)),
        ("of another organisation", of(&of_another_org, &site.gateway)),
        ("of another camera", of(&elsewhere, &site.gateway)),
        ("altered", flipped),
        ("cut off", bytes[..bytes.len() - 1].to_vec()),
        ("oversized", padded.clone()),
        ("empty", Vec::new()),
    ] {
        place(&world, &name, &bytes);
        assert_eq!(status(&site.gateway, &name).await, "mismatch", "{what}");
    }
    let (as_sibling, bytes_of_it) = signed(&as_sibling, &sibling);
    place(&world, &as_sibling, &bytes_of_it);
    assert_eq!(status(&site.gateway, &as_sibling).await, "mismatch", "under its own name");
    assert_eq!(site.listed(&world, "").await["hours"], json!([]));

    // Nor is one uploaded that is too large; and in the end the right one is taken.
    std::fs::remove_file(world.config.data.join("store/footage").join(&name)).unwrap();
    assert_eq!(site.gateway.upload_hour(&name, padded).await, None);
    assert_eq!(site.gateway.upload_hour(&name, bytes).await, Some(StatusCode::CREATED));
    assert_eq!(status(&site.gateway, &name).await, "confirmed");
}

async fn indexes_of_hours_are_shown_to_whoever_may_list_the_camera(world: World) {
    let mut site = Site::new(&world).await;
    let org = site.organisation.org;
    let hash = site.gateway.signs_for(org, &site.recording).await;
    let other = site.organisation.bind_camera(&world, site.gateway.id).await;
    let ben = site.organisation.add_person(&world, None).await;
    let only_other = seal::roster::Scope::Cameras { cameras: BTreeSet::from([other]) };
    let cem = site.organisation.add_person(&world, Some(only_other)).await;
    let theirs = world.found_another().await;
    let (list, one) = (site.list(), format!("{}/{hash}", site.list()));
    let ada = site.organisation.api(&world);
    for path in [&list, &one] {
        assert_eq!(ada.get(path).await.status, StatusCode::OK, "{path}");
        for who in [&ben.cookie, &cem.cookie, &theirs.admin.cookie] {
            let answer = world.as_person(who).get(path).await;
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
            assert!(!answer.body.to_string().contains(&site.recording.id.to_string()), "{path}");
        }
        assert_eq!(world.anyone().get(path).await.status, StatusCode::UNAUTHORIZED, "{path}");
    }
    // Whoever may list another camera gets nothing of this one by its name.
    let beside = format!("/api/v1/cameras/{other}/hours");
    for api in [&ada, &world.as_person(&cem.cookie)] {
        assert_eq!(api.get(&beside).await.body["hours"], json!([]));
        assert_eq!(api.get(&format!("{beside}/{hash}")).await.status, StatusCode::NOT_FOUND);
    }
}
