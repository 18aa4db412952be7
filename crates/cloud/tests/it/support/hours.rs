//! Signed indexes of hours, as a gateway makes them.

use model::wire::{Container, Recording, UploadObject};
use model::{Hash, OrgId};
use reqwest::StatusCode;
use seal::hour::{Hour, HourRecording};
use serde_json::json;

use super::{Gateway, World, now};

/// What the gateway says of one recording, as the first of its chain.
pub(crate) fn index_of(org: OrgId, gateway: &Gateway, recording: &Recording) -> Hour {
    let &Recording { camera, rendition, started_at, duration_ms, bytes, id, root, .. } = recording;
    Hour {
        org,
        gateway: gateway.id,
        camera,
        hour: started_at.hour(),
        number: 0,
        previous: None,
        made_at: now(),
        recordings: vec![HourRecording { rendition, started_at, duration_ms, bytes, id, root, stored: true }],
        gaps: Vec::new(),
    }
}

/// Name and bytes of the object.
pub(crate) fn signed(hour: &Hour, gateway: &Gateway) -> (String, Vec<u8>) {
    let envelope = hour.sign(&gateway.sign);
    let name = hour.object_name(hash(hour));
    (name, serde_json::to_vec(&envelope).unwrap())
}

pub(crate) fn hash(hour: &Hour) -> Hash {
    seal::sha256(&seal::to_canonical(hour))
}

/// Into the store, past everything that decides what comes there.
pub(crate) fn place(world: &World, name: &str, bytes: &[u8]) {
    let path = world.config.data.join("store/footage").join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

impl Gateway {
    /// Whether it is given a token for it, and what the store says then.
    pub(crate) async fn upload_hour(&self, name: &str, bytes: Vec<u8>) -> Option<StatusCode> {
        let object = UploadObject {
            container: Container::Footage,
            name: name.to_owned(),
            bytes: bytes.len() as u64,
            sha256: seal::sha256(&bytes),
        };
        let grant = self.ask(&[object]).await.remove(0);
        grant.url.as_ref()?;
        Some(self.put(&grant, bytes).send().await.unwrap().status())
    }

    /// The statuses that the cloud gives them.
    pub(crate) async fn report_hours(&self, names: &[String]) -> Vec<String> {
        let answer = self.post("/gateway/v1/hours", &json!({ "names": names })).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        let results = answer.body["results"].as_array().unwrap();
        assert!(results.iter().map(|result| &result["name"]).eq(names), "{}", answer.body);
        results.iter().map(|result| result["status"].as_str().unwrap().to_owned()).collect()
    }

    /// Signs for the recording, and hands that in.
    pub(crate) async fn signs_for(&self, org: OrgId, recording: &Recording) -> Hash {
        let hour = index_of(org, self, recording);
        let (name, bytes) = signed(&hour, self);
        assert_eq!(self.upload_hour(&name, bytes).await, Some(StatusCode::CREATED));
        assert_eq!(self.report_hours(&[name]).await, ["confirmed"]);
        hash(&hour)
    }
}
