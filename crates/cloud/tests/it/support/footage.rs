//! Real recordings and grants, sealed as a gateway seals them.

use std::collections::BTreeMap;

use model::wire::{Container, Envelope, Recording, UploadGrant, UploadObject};
use model::{CameraId, EpochId, OrgId, Rendition};
use reqwest::StatusCode;
use seal::grant::{CameraKeys, EpochKey, GrantContext, make};
use seal::recording::{
    Algorithm, Clock, Ended, Header, RecordingWriter, Track, TrackKind, flags, object_name,
};
use seal::roster::Roster;
use serde_json::json;

use super::{Gateway, fresh, fresh_id, now};
use crate::support::world::{Organisation, Person};

/// The keys of one epoch of one camera.
pub(crate) struct Epoch {
    pub(crate) id: EpochId,
    pub(crate) org: OrgId,
    pub(crate) camera: CameraId,
    pub(crate) video: EpochKey,
    pub(crate) audio: EpochKey,
}

impl Epoch {
    pub(crate) fn new(org: OrgId, camera: CameraId) -> Self {
        let key = || EpochKey::from_random(fresh());
        Epoch { id: EpochId::from_random(fresh_id()), org, camera, video: key(), audio: key() }
    }

    pub(crate) fn grant(&self, gateway: &Gateway, roster: &Roster, to: &Person) -> Envelope {
        let context = GrantContext {
            org: self.org,
            gateway: gateway.id,
            epoch: self.id,
            roster_head: roster.head().1,
            created_at: now(),
        };
        let keys = CameraKeys { video: self.video.clone(), audio: Some(self.audio.clone()) };
        let keys = BTreeMap::from([(self.camera, (keys, self.audio.commitment()))]);
        make(context, (to.device, &to.keys.kem.public()), &keys, &gateway.sign, fresh_seal())
    }

    pub(crate) fn begin(&self, gateway: &Gateway, roster: &Roster, out: &mut Vec<u8>) -> RecordingWriter {
        let track = Track {
            id: 0,
            kind: TrackKind::Video,
            codec: "avc1.64001f".to_owned(),
            timescale: 90_000,
            description: None,
            width: 640,
            height: 360,
            sample_rate: 0,
            channels: 0,
        };
        self.begin_of((Rendition::Main, track), gateway, roster, out)
    }

    fn begin_of(
        &self,
        (rendition, track): (Rendition, Track),
        gateway: &Gateway,
        roster: &Roster,
        out: &mut Vec<u8>,
    ) -> RecordingWriter {
        let header = Header {
            algorithm: Algorithm::A256GCM,
            org: self.org,
            camera: self.camera,
            rendition,
            gateway: gateway.id,
            epoch: self.id,
            commitment_video: self.video.commitment(),
            commitment_audio: self.audio.commitment(),
            salt: fresh().into(),
            roster_head: roster.head().1,
            checkpoint: None,
            started_at: now(),
            clock: Clock::Synchronised,
            starts_with_key_frame: true,
            tracks: vec![track],
        };
        RecordingWriter::begin(header, &self.video, &self.audio, &gateway.sign, out)
    }

    /// A closed recording of ten pictures, and what is reported of it.
    pub(crate) fn record(&self, gateway: &Gateway, roster: &Roster) -> (Vec<u8>, Recording) {
        self.record_of(1_000, gateway, roster)
    }

    /// The same with pictures of so many bytes.
    pub(crate) fn record_of(
        &self,
        picture_bytes: usize,
        gateway: &Gateway,
        roster: &Roster,
    ) -> (Vec<u8>, Recording) {
        let mut bytes = Vec::new();
        let mut writer = self.begin(gateway, roster, &mut bytes);
        for picture in 0..10_u32 {
            let flag = if picture == 0 { flags::KEY_FRAME } else { 0 };
            writer
                .seal(0, flag, picture * 3_600, &[&vec![picture as u8; picture_bytes]], &mut bytes)
                .unwrap();
        }
        let recording = self.finish(writer, gateway, &mut bytes);
        (bytes, recording)
    }

    /// The same of events: what they are matters to nobody here.
    pub(crate) fn record_events(&self, gateway: &Gateway, roster: &Roster) -> (Vec<u8>, Recording) {
        let mut bytes = Vec::new();
        let mut writer =
            self.begin_of((Rendition::Events, seal::event::track()), gateway, roster, &mut bytes);
        writer.seal(0, flags::KEY_FRAME, 0, &[b"events"], &mut bytes).unwrap();
        let recording = self.finish(writer, gateway, &mut bytes);
        (bytes, recording)
    }

    fn finish(&self, writer: RecordingWriter, gateway: &Gateway, bytes: &mut Vec<u8>) -> Recording {
        let (id, header) = (writer.id(), writer.header().clone());
        let finished = writer.finish(Ended::Closed, 400, None, &gateway.sign, bytes);
        let (rendition, started_at, root) = (header.rendition, header.started_at, finished.footer.root);
        let is_video = rendition != Rendition::Events;
        Recording {
            name: object_name(self.org, self.camera, rendition, started_at, root),
            id,
            camera: self.camera,
            rendition,
            epoch: self.id,
            started_at,
            duration_ms: 400,
            bytes: finished.bytes,
            sha256: finished.sha256,
            key_frames: finished.footer.key_frames,
            root,
            previous_root: None,
            has_audio: false,
            codec: if is_video { header.tracks[0].codec.clone() } else { String::new() },
        }
    }
}

pub(crate) fn fresh_seal() -> seal::sealed::SealSeed {
    [fresh(), fresh()].concat().try_into().expect("64 bytes")
}

pub(crate) fn object(recording: &Recording) -> UploadObject {
    UploadObject {
        container: Container::Footage,
        name: recording.name.clone(),
        bytes: recording.bytes,
        sha256: recording.sha256,
    }
}

impl Gateway {
    pub(crate) async fn ask(&self, objects: &[UploadObject]) -> Vec<UploadGrant> {
        let answer = self.post("/gateway/v1/upload-grants", &json!({ "objects": objects })).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        serde_json::from_value(answer.body["grants"].clone()).unwrap()
    }

    /// The one raw request of protocol.md section 2.
    pub(crate) fn put(&self, grant: &UploadGrant, bytes: Vec<u8>) -> reqwest::RequestBuilder {
        let mut request = self.client.put(grant.url.as_ref().unwrap());
        for (name, value) in &grant.headers {
            request = request.header(name, value);
        }
        request.header("if-none-match", "*").header("x-ms-blob-type", "BlockBlob").body(bytes)
    }

    pub(crate) async fn upload(&self, bytes: Vec<u8>, recording: &Recording) -> StatusCode {
        let grants = self.ask(&[object(recording)]).await;
        self.put(&grants[0], bytes).send().await.unwrap().status()
    }

    /// The status that the cloud gives it.
    pub(crate) async fn report(&self, recording: &Recording) -> String {
        let body = json!({ "recordings": [recording], "gaps": [] });
        let answer = self.post("/gateway/v1/recordings", &body).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        answer.body["results"][0]["status"].as_str().unwrap().to_owned()
    }

    /// An epoch of this camera, and a recording of it that the store confirmed.
    pub(crate) async fn recorded(&self, organisation: &Organisation, camera: CameraId) -> (Epoch, Recording) {
        let epoch = Epoch::new(organisation.org, camera);
        let grant = epoch.grant(self, &organisation.roster, &organisation.admin);
        assert_eq!(self.hand_in(&[grant]).await, StatusCode::OK);
        let (bytes, recording) = epoch.record(self, &organisation.roster);
        assert_eq!(self.upload(bytes, &recording).await, StatusCode::CREATED);
        assert_eq!(self.report(&recording).await, "confirmed");
        (epoch, recording)
    }

    /// The same of events, in an epoch that the store has.
    pub(crate) async fn recorded_events(&self, organisation: &Organisation, epoch: &Epoch) -> Recording {
        let (bytes, recording) = epoch.record_events(self, &organisation.roster);
        assert_eq!(self.upload(bytes, &recording).await, StatusCode::CREATED);
        assert_eq!(self.report(&recording).await, "confirmed");
        recording
    }

    pub(crate) async fn hand_in(&self, grants: &[Envelope]) -> StatusCode {
        self.post("/gateway/v1/epoch-grants", &json!({ "grants": grants })).await.status
    }
}
