//! Figures of a seek with thirty days in the index, printed and not judged:
//! `cargo xtask bench --only seek` runs it.

use std::time::Instant;

use model::Timestamp;
use model::wire::Envelope;
use reqwest::{Method, StatusCode};
use seal::grant::EpochGrant;
use seal::recording::{CHUNK_HEAD_LEN, ChunkHead, ChunkOpener, SignedHeader, TRAILER_LEN, Trailer};

use crate::figures::p50_p99;
use crate::support::{Gateway, World, now};

const CAMERAS: u64 = 8;
/// Thirty days, a minute each.
const RECORDINGS: u64 = 30 * 24 * 60;
const SEEKS: u64 = 60;
const TIMELINES: u64 = 20;
/// Asked for at once: header, or index, footer and trailer.
const PART: usize = 4_096;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures, and judges nothing"]
#[expect(clippy::print_stdout, reason = "it says what it measured")]
async fn figures_of_a_seek_in_thirty_days() {
    let _ = tracing::subscriber::set_global_default(tracing::subscriber::NoSubscriber::new());
    let world = World::on_sqlite().await;
    let mut organisation = world.found().await;
    let gateway = Gateway::enrolled(&world, &mut organisation).await;
    let camera = organisation.bind_camera(&world, gateway.id).await;
    let (_, real) = gateway.recorded(&organisation, camera).await;
    let first = now().minus_ms(RECORDINGS * Timestamp::MINUTE);
    // The same object under other ids and times; other cameras' rows are in the way.
    let rows = format!(
        "WITH RECURSIVE minute(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM minute WHERE i < {RECORDINGS} - 1), \
                        other(k) AS (SELECT 0 UNION ALL SELECT k + 1 FROM other WHERE k < {CAMERAS} - 1) \
         INSERT INTO recordings (org, camera, rendition, started_at, id, gateway, name, bytes, recording, confirmed_at, ended_at) \
         SELECT org, CASE k WHEN 0 THEN camera ELSE camera || k END, rendition, {first} + i * 60000, \
                printf('%064x', (k + 1) * 1000000 + i), gateway, name, bytes, \
                json_set(recording, '$.id', printf('%064x', (k + 1) * 1000000 + i), \
                         '$.started_at', {first} + i * 60000, '$.duration_ms', 60000), confirmed_at, {first} + (i + 1) * 60000 \
         FROM recordings, minute, other WHERE id = '{}'",
        real.id,
        first = first.0,
    );
    assert_eq!(world.sql(&rows).await, RECORDINGS * CAMERAS);

    let api = organisation.api(&world);
    let (admin, roster) = (&organisation.admin, &organisation.roster);
    let (mut lists, mut seeks) = (Vec::new(), Vec::new());
    for seek in 0..SEEKS {
        // Spread over the days, and always in the middle of a recording.
        let minute = seek * 7_919 % RECORDINGS;
        let wanted = first.plus_ms(minute * Timestamp::MINUTE + 30_000);
        let begun = Instant::now();
        let path = format!("/api/v1/cameras/{camera}/recordings?from={}&to={}", wanted.0, wanted.0 + 1);
        let listed = api.get(&path).await;
        lists.push(begun.elapsed());
        let found = listed.body["recordings"].as_array().unwrap().iter().find(|found| {
            let (at, ms) = (found["started_at"].as_u64().unwrap(), found["duration_ms"].as_u64().unwrap());
            (at..at + ms).contains(&wanted.0)
        });
        let path = format!("/api/v1/recordings/{}", found.unwrap()["id"].as_str().unwrap());
        let part = async |range: String| {
            let response = api.request(Method::GET, &path).header("range", range).send().await.unwrap();
            assert_eq!(response.status(), StatusCode::PARTIAL_CONTENT);
            response.bytes().await.unwrap()
        };
        let head = part(format!("bytes=0-{}", PART - 1)).await;
        let tail = part(format!("bytes=-{PART}")).await;
        let header = SignedHeader::parse(&head).unwrap();
        header.verify(roster).unwrap();
        let epoch = header.header.epoch;
        let granted = api.get(&format!("/api/v1/epochs/{epoch}/grants/{}", admin.device)).await;
        let envelope: Envelope = serde_json::from_value(granted.body).unwrap();
        let grant = EpochGrant::verify(&envelope, gateway.id, gateway.sign.verifying_key()).unwrap();
        let keys = grant.open(admin.device, &admin.keys.kem).unwrap()[&camera].clone();
        let trailer = Trailer::parse(tail[tail.len() - TRAILER_LEN..].first_chunk().unwrap()).unwrap();
        assert!(trailer.index_offset < trailer.footer_offset);
        let chunk = part(format!("bytes={}-{}", header.len, header.len + (64 << 10))).await;
        let (head, rest) = chunk.split_first_chunk::<CHUNK_HEAD_LEN>().unwrap();
        let length = ChunkHead::parse(head).unwrap().length as usize;
        let opener = ChunkOpener::new(&header, &keys).unwrap();
        opener.open(0, head, &mut rest[..length].to_vec()).unwrap();
        seeks.push(begun.elapsed());
    }
    let mut timelines = Vec::new();
    for _ in 0..TIMELINES {
        let begun = Instant::now();
        let path = format!("/api/v1/cameras/{camera}/timeline?from={}&to={}", first.0, now().0);
        let timeline = api.get(&path).await.body;
        timelines.push(begun.elapsed());
        assert!(timeline["parts"].as_array().unwrap().len() > 990, "{timeline}");
    }
    let count = RECORDINGS * CAMERAS;
    println!("the cloud, SQLite, {count} recordings of {CAMERAS} cameras: listed {}", p50_p99(lists));
    println!(
        "  from camera and time to the first chunk opened, five requests one after the other: {}",
        p50_p99(seeks)
    );
    println!("  timeline of 30 days in 1000 parts: {}", p50_p99(timelines));
}
