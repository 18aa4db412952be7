//! Figures of a gateway with thirty days in its index, printed and not judged:
//! `cargo xtask bench --only seek` runs it.

use std::time::{Duration, Instant};

use model::Timestamp;
use model::wire::StreamState;
use reqwest::{Method, StatusCode};
use seal::recording::{CHUNK_HEAD_LEN, ChunkHead, ChunkOpener, SignedHeader};

use super::administrator::now;
use super::local::{get, request};
use super::{Site, until};

const CAMERAS: u64 = 8;
/// A minute each; one day less than what retention deletes.
const RECORDINGS: u64 = 29 * 24 * 60;
const SEEKS: u64 = 60;
const TIMELINES: u64 = 20;
/// Asked for at once.
const PART: usize = 4_096;

/// In milliseconds: the middle, and what one in a hundred takes longer than.
fn p50_p99(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let at = |part: usize| times[(times.len() * part / 100).min(times.len() - 1)].as_secs_f64() * 1_000.0;
    format!("p50 {:.1} ms, p99 {:.1} ms", at(50), at(99))
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures, and judges nothing"]
#[expect(clippy::print_stdout, reason = "it says what it measured")]
async fn figures_of_a_seek_in_thirty_days() {
    let mut site = Site::recording().await;
    until("a recording is forwarded", || !site.objects().is_empty()).await;
    let entered = site.enter().await;
    let real = site.first_recording(&entered).await;
    site.stop().await;
    let first = now().minus_ms(RECORDINGS * Timestamp::MINUTE);
    // The same file under other ids and times; other cameras' rows are in the way.
    let rows = format!(
        "WITH RECURSIVE minute(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM minute WHERE i < {RECORDINGS} - 1), \
                        other(k) AS (SELECT 0 UNION ALL SELECT k + 1 FROM other WHERE k < {CAMERAS} - 1) \
         INSERT INTO recordings (id, camera, rendition, epoch, started_at, ended_at, bytes, path, report, state) \
         SELECT printf('%064x', (k + 1) * 1000000 + i), CASE k WHEN 0 THEN camera ELSE camera || k END, rendition, \
                epoch, {first} + i * 60000, {first} + (i + 1) * 60000, 1, path, \
                json_set(report, '$.id', printf('%064x', (k + 1) * 1000000 + i), \
                         '$.started_at', {first} + i * 60000, '$.duration_ms', 60000), 2 \
         FROM recordings, minute, other WHERE id = '{real}'",
        first = first.0,
    );
    let index = sqlx::sqlite::SqliteConnectOptions::new().filename(site.data().join("index.sqlite"));
    let index = sqlx::SqlitePool::connect_with(index).await.unwrap();
    let added = sqlx::query(sqlx::AssertSqlSafe(rows)).execute(&index).await.unwrap();
    assert_eq!(added.rows_affected(), RECORDINGS * CAMERAS);
    index.close().await;

    site.cloud.forget_status();
    let begun = Instant::now();
    site.start().await;
    let cloud = site.cloud.clone();
    until("it records", || {
        let (_, streams) = cloud.last_status().unwrap_or_default();
        streams.iter().any(|stream| stream.state == StreamState::Recording)
    })
    .await;
    let started = begun.elapsed();
    let entered = site.enter().await;
    let (camera, roster) = (site.camera, site.administrator.roster());
    let (mut lists, mut seeks) = (Vec::new(), Vec::new());
    for seek in 0..SEEKS {
        // Spread over the days, and always in the middle of a recording.
        let minute = seek * 7_919 % RECORDINGS;
        let wanted = first.plus_ms(minute * Timestamp::MINUTE + 30_000);
        let begun = Instant::now();
        let path = format!("/api/v1/cameras/{camera}/recordings?from={}&to={}", wanted.0, wanted.0 + 1);
        let (_, listed) = get(&entered, &path).await;
        lists.push(begun.elapsed());
        let path = format!("/api/v1/recordings/{}", listed["recordings"][0]["id"].as_str().unwrap());
        let part = async |range: String| {
            let response = request(&entered, Method::GET, &path).header("range", range).send().await.unwrap();
            assert_eq!(response.status(), StatusCode::PARTIAL_CONTENT);
            response.bytes().await.unwrap()
        };
        let head = part(format!("bytes=0-{}", PART - 1)).await;
        part(format!("bytes=-{PART}")).await;
        let header = SignedHeader::parse(&head).unwrap();
        header.verify(&roster).unwrap();
        let keys = site.keys(&entered, header.header.epoch).await;
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
        let (_, timeline) = get(&entered, &path).await;
        timelines.push(begun.elapsed());
        assert!(timeline["parts"].as_array().unwrap().len() > 990, "{timeline}");
    }
    let count = RECORDINGS * CAMERAS;
    println!(
        "the gateway, {count} recordings of {CAMERAS} cameras: started and recording after {:.2} s",
        started.as_secs_f64()
    );
    println!("  listed {}", p50_p99(lists));
    println!(
        "  from camera and time to the first chunk opened, five requests one after the other: {}",
        p50_p99(seeks)
    );
    println!("  timeline of 30 days in 1000 parts: {}", p50_p99(timelines));
    site.stop().await;
}
