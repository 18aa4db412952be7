//! What is kept through ends of all kinds.

use model::wire::{GapReason, StreamState};
use seal::recording::{Ended, Recording};

use super::footage::files;
use super::{Site, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_closes_recordings_and_a_start_reports_the_gap() {
    let mut site = Site::recording().await;
    until("a recording is forwarded", || !site.objects().is_empty()).await;
    tokio::time::sleep(std::time::Duration::from_millis(700)).await;
    site.stop().await;
    let before = site.objects().len();
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    site.start().await;
    until("the rest is forwarded", || site.objects().len() > before).await;
    let ends =
        site.objects().into_iter().map(|(_, bytes)| Recording::parse(&bytes).unwrap().footer.unwrap().ended);
    assert!(ends.into_iter().any(|ended| ended == Ended::Stopped));
    until("the gap is reported", || {
        let gaps = site.cloud.reports().into_iter().flat_map(|report| report.gaps);
        gaps.into_iter().any(|gap| gap.reason == GapReason::Restarted && gap.camera == site.camera)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_camera_that_goes_and_comes_leaves_a_gap_with_its_reason() {
    let site = Site::recording().await;
    until("a recording is forwarded", || !site.objects().is_empty()).await;
    site.simulated.set_fault(Some(camera_sim::Fault::Stall));
    until("the stream is told lost", || {
        site.cloud.last_status().is_some_and(|(_, streams)| {
            streams.iter().any(|stream| stream.state != model::wire::StreamState::Recording)
        })
    })
    .await;
    site.simulated.set_fault(None);
    until("the gap is reported", || {
        let gaps = site.cloud.reports().into_iter().flat_map(|report| report.gaps);
        gaps.into_iter().any(|gap| gap.reason == GapReason::Stalled && gap.from < gap.to)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_takes_nothing_is_said_and_survived() {
    let mut site = Site::enrolled().await;
    // Where the camera's folder should be stands a file.
    let blocked = site.data().join("recordings");
    std::fs::write(&blocked, b"in the way").unwrap();
    site.add_camera().await;
    until("the disk is told as the reason", || {
        site.cloud.last_status().is_some_and(|(_, streams)| {
            streams.iter().any(|stream| stream.reason.as_ref().is_some_and(|reason| reason.contains("disk")))
        })
    })
    .await;
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    std::fs::remove_file(&blocked).unwrap();
    until("it records again", || !site.objects().is_empty()).await;
    until("the gap is reported", || {
        let gaps = site.cloud.reports().into_iter().flat_map(|report| report.gaps);
        gaps.into_iter().any(|gap| gap.reason == GapReason::DiskFull)
    })
    .await;
    site.stop().await;
}

/// What the next version of the program does to an index, as far as
/// docs/design/0013 lets it.
const LATER: &str = "
    ALTER TABLE recordings ADD COLUMN tier INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE grants ADD COLUMN note TEXT;
    CREATE INDEX recordings_by_tier ON recordings (tier);
    CREATE TABLE detections (id INTEGER NOT NULL PRIMARY KEY) STRICT;
    INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
        VALUES (9999, 'later', true, x'00', 0);";

#[tokio::test(flavor = "multi_thread")]
async fn a_downgraded_gateway_records_on_in_the_newer_index() {
    let mut site = Site::recording().await;
    until("a recording is forwarded", || !site.objects().is_empty()).await;
    site.stop().await;
    let index = sqlx::sqlite::SqliteConnectOptions::new().filename(site.data().join("index.sqlite"));
    let index = sqlx::SqlitePool::connect_with(index).await.unwrap();
    sqlx::raw_sql(LATER).execute(&index).await.unwrap();
    let before = site.objects().len();
    // Twice: what it writes itself it takes, too.
    for _ in 0..2 {
        site.start().await;
        until("new recordings are forwarded", || site.objects().len() > before + 1).await;
        site.stop().await;
    }
    let count: i64 =
        sqlx::query_scalar("SELECT count(*) FROM recordings WHERE tier = 0").fetch_one(&index).await.unwrap();
    assert!(count > before as i64, "rows of both programs stand side by side");
    index.close().await;
}

/// The camera plays one second again and again, as one that hangs does, or
/// somebody who wants nothing to be seen.
#[tokio::test(flavor = "multi_thread")]
async fn a_camera_that_repeats_one_picture_is_told_while_it_is_recorded() {
    let site = Site::recording().await;
    let said = || {
        let (_, streams) = site.cloud.last_status()?;
        let stream = streams.into_iter().find(|stream| stream.state == StreamState::Recording)?;
        stream.reason
    };
    assert_eq!(said(), None);
    until("it is told", || said().is_some_and(|reason| reason.contains("does not change"))).await;
    assert!(!site.objects().is_empty(), "it is recorded all the same");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_index_is_made_anew_from_the_files() {
    let mut site = Site::recording().await;
    until("a recording is forwarded", || !site.objects().is_empty()).await;
    site.cloud.script(|script| script.is_down = true);
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    site.stop().await;
    let config = site.config();
    let check = async |repair| Box::pin(gateway::check(&config, repair)).await.unwrap();
    let checked = check(false).await;
    assert!(checked.is_well(), "{checked}");

    let index = site.data().join("index.sqlite");
    let mut bytes = std::fs::read(&index).unwrap();
    bytes[..4_096].fill(0x5a);
    std::fs::write(&index, &bytes).unwrap();
    let checked = check(false).await;
    assert!(!checked.is_well() && checked.to_string().contains("cannot be read"), "{checked}");
    assert_eq!(std::fs::read(&index).unwrap(), bytes, "a look changes nothing");
    let checked = check(true).await;
    assert!(checked.is_well() && checked.to_string().contains("repaired"), "{checked}");
    assert!(check(false).await.is_well());
    assert!(site.data().join("index.sqlite.damaged").exists(), "nothing is deleted");

    site.cloud.script(|script| script.is_down = false);
    let before = site.objects().len();
    site.start().await;
    until("what was recorded meanwhile arrives", || site.objects().len() >= before + 2).await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_changed_or_deleted_on_the_disk_is_found_and_told() {
    let mut site = Site::enrolled().await;
    // Nothing is taken from here, so nothing of it is elsewhere.
    site.cloud.script(|script| script.put_answers = vec![403; 10_000].into());
    site.add_camera().await;
    let recordings = site.data().join("recordings");
    until("there are recordings", || recordings.exists() && files(&recordings).len() > 3).await;
    site.stop().await;
    let on_disk = files(&recordings);
    let mut bytes = std::fs::read(&on_disk[0]).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&on_disk[0], bytes).unwrap();
    std::fs::remove_file(&on_disk[1]).unwrap();
    let config = site.config();
    let check = async |repair| Box::pin(gateway::check(&config, repair)).await.unwrap();
    let checked = check(false).await;
    let said = checked.to_string();
    assert!(checked.wrong.len() == 2 && !checked.is_well(), "{said}");
    assert!(said.contains("is not what was written") && said.contains("is gone"), "{said}");
    let checked = check(true).await;
    assert!(checked.is_well() && checked.repaired == 2, "{checked}");
    assert!(check(false).await.is_well());
    site.cloud.script(|script| script.put_answers.clear());
    site.start().await;
    until("both are told as gaps, and the rest arrives", || {
        let gaps = site.cloud.reports().into_iter().flat_map(|report| report.gaps);
        let damaged = gaps.filter(|gap| gap.reason == GapReason::Damaged && gap.from < gap.to).count();
        damaged == 2 && site.objects().len() >= on_disk.len() - 2
    })
    .await;
    site.stop().await;
}
