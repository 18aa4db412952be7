//! Recordings in the history: one entry for many, the path to each, and nobody
//! who waits for it.

use model::Hash;
use model::wire::{LogOffer, Recording};
use reqwest::StatusCode;
use seal::dating::{Dated, Dating, DatingError};
use seal::tlog::{Checkpoint, LogKey, sign_witnessed};
use serde_json::json;

use crate::live::until;
use crate::support::footage::Epoch;
use crate::support::{Gateway, Organisation, World, now, on_both_databases};

on_both_databases!(recordings_stand_in_the_history_in_batches, a_witness_dates_what_it_was_the_first_to_sign,);

struct Site {
    organisation: Organisation,
    gateway: Gateway,
    epoch: Epoch,
}

/// With an entry each second.
async fn site(world: World) -> (World, Site) {
    let world = world.restarted_with(|config| config.history.recordings_seconds = 1).await;
    let mut organisation = world.found().await;
    let gateway = Gateway::enrolled(&world, &mut organisation).await;
    let camera = organisation.bind_camera(&world, gateway.id).await;
    let epoch = Epoch::new(organisation.org, camera);
    let grant = epoch.grant(&gateway, &organisation.roster, &organisation.admin);
    assert_eq!(gateway.hand_in(&[grant]).await, StatusCode::OK);
    (world, Site { organisation, gateway, epoch })
}

impl Site {
    /// So many recordings, reported and confirmed at once.
    async fn record(&self, count: usize) -> Vec<Recording> {
        let mut recordings = Vec::new();
        for _ in 0..count {
            let (bytes, recording) = self.epoch.record(&self.gateway, &self.organisation.roster);
            assert_eq!(self.gateway.upload(bytes, &recording).await, StatusCode::CREATED);
            recordings.push(recording);
        }
        let report = json!({ "recordings": recordings, "gaps": [] });
        let answer = self.gateway.post("/gateway/v1/recordings", &report).await;
        for result in answer.body["results"].as_array().unwrap() {
            assert_eq!(result["status"], "confirmed", "{}", answer.body);
        }
        recordings
    }

    async fn dating(&self, world: &World, id: Hash, query: &str) -> Dating {
        let api = self.organisation.api(world);
        let answer = api.get(&format!("/api/v1/recordings/{id}/dating{query}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        serde_json::from_value(answer.body).unwrap()
    }

    async fn stored(&self, world: &World, recording: &Recording) -> Dating {
        until(async || self.dating(world, recording.id, "").await.stored.is_some()).await;
        self.dating(world, recording.id, "").await
    }

    fn of(&self, recording: &Recording) -> Dated<'static> {
        let Recording { id, root, .. } = *recording;
        Dated { org: self.organisation.org, id, root, checkpoint: None }
    }

    async fn offer(&self) -> LogOffer {
        let answer = self.gateway.get("/gateway/v1/history/checkpoint?old=0").await;
        serde_json::from_value(answer.body).unwrap()
    }

    /// Signs the newest checkpoint as gateways do; how many entries it has.
    async fn witness(&self) -> u64 {
        let offer = self.offer().await;
        let checkpoint = Checkpoint::verify(&offer.note, &LogKey::parse(&offer.key).unwrap()).unwrap();
        let line = sign_witnessed(&checkpoint, &self.gateway.id.to_string(), &self.gateway.sign, now());
        let report = json!({ "type": "cosigned", "note": offer.note + &line });
        let answer = self.gateway.post("/gateway/v1/history/witness", &report).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        checkpoint.size
    }

    async fn entries(&self, world: &World, query: &str) -> usize {
        let page = self.organisation.api(world).get(&format!("/api/v1/history?limit=1000&{query}")).await;
        page.body["entries"].as_array().unwrap().len()
    }
}

async fn recordings_stand_in_the_history_in_batches(world: World) {
    let (world, site) = site(world).await;
    let recordings = site.record(5).await;
    let log = LogKey::parse(&site.offer().await.key).unwrap();
    for recording in &recordings {
        let dating = site.stored(&world, recording).await;
        let existed = dating.verify(site.of(recording), &log, &[]).unwrap().existed.unwrap();
        assert!(existed.said_by_log.unwrap() >= recording.started_at && existed.witnesses.is_empty());
        let other = recordings.iter().find(|other| other.id != recording.id).unwrap();
        assert_eq!(dating.verify(site.of(other), &log, &[]), Err(DatingError::OtherRecording));
    }
    // Confirmed one after the other, they may be in two, and never in one each.
    let batches = site.entries(&world, "action=store_recordings").await;
    assert!((1..=2).contains(&batches), "{batches}");
    let all = site.entries(&world, "").await;
    assert!(site.entries(&world, "without=store_recordings").await >= all - batches);
    assert_eq!(site.entries(&world, "action=store_recordings&without=store_recordings").await, 0);
    // What is reported again, also after a restart, stands there once.
    let place = site.dating(&world, recordings[0].id, "").await.stored.unwrap().seq;
    let report = json!({ "recordings": recordings, "gaps": [] });
    assert_eq!(site.gateway.post("/gateway/v1/recordings", &report).await.status, StatusCode::OK);
    let more = site.record(1).await;
    site.stored(&world, &more[0]).await;
    assert_eq!(site.dating(&world, recordings[0].id, "").await.stored.unwrap().seq, place);
    assert_eq!(site.entries(&world, "action=store_recordings").await, batches + 1);

    // A header that holds a checkpoint is not older than the last batch in it.
    let note = site.offer().await.note;
    let size = Checkpoint::claimed_size(&note).unwrap();
    let dating = site.dating(&world, recordings[0].id, &format!("?checkpoint={size}")).await;
    let of = Dated { checkpoint: Some(&note), ..site.of(&recordings[0]) };
    let not_before = dating.verify(of, &log, &[]).unwrap().not_before.unwrap();
    assert!(not_before.said_by_log.is_some() && not_before.size == size);
    // There is none before the first entry, nor beyond the last.
    for checkpoint in [0, 1, u64::MAX >> 12] {
        let query = format!("?checkpoint={checkpoint}");
        assert_eq!(site.dating(&world, recordings[0].id, &query).await.before, None);
    }
}

async fn a_witness_dates_what_it_was_the_first_to_sign(world: World) {
    let (world, site) = site(world).await;
    let recordings = site.record(1).await;
    let dating = site.stored(&world, &recordings[0]).await;
    let log = LogKey::parse(&dating.log).unwrap();
    let witness = LogKey { name: site.gateway.id.to_string(), key: site.gateway.sign.verifying_key() };
    let signed = site.witness().await;
    let existed = async || {
        let dating = site.dating(&world, recordings[0].id, "").await;
        let times = dating.verify(site.of(&recordings[0]), &log, std::slice::from_ref(&witness));
        times.unwrap().existed.unwrap()
    };
    let first = existed().await;
    assert_eq!((first.size, first.witnesses.len()), (signed, 1));
    // Later signatures show less, and take nothing away.
    let more = site.record(1).await;
    site.stored(&world, &more[0]).await;
    assert!(site.witness().await > signed);
    assert_eq!(existed().await, first);
}

/// As with a full disk: recording does not wait for the history, and nothing is
/// forgotten.
#[tokio::test(flavor = "multi_thread")]
async fn a_history_that_cannot_be_written_keeps_no_recording_waiting() {
    let (world, site) = site(World::on_sqlite().await).await;
    // The token is a permit, and was written down before.
    let (bytes, recording) = site.epoch.record(&site.gateway, &site.organisation.roster);
    assert_eq!(site.gateway.upload(bytes, &recording).await, StatusCode::CREATED);
    world
        .sql("CREATE TRIGGER full BEFORE INSERT ON history BEGIN SELECT RAISE(ABORT, 'disk full'); END")
        .await;
    assert_eq!(site.gateway.report(&recording).await, "confirmed");
    tokio::time::sleep(std::time::Duration::from_millis(2_500)).await;
    world.sql("DROP TRIGGER full").await;
    let dating = site.stored(&world, &recording).await;
    let log = LogKey::parse(&dating.log).unwrap();
    assert!(dating.verify(site.of(&recording), &log, &[]).unwrap().existed.is_some());
}
