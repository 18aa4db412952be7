//! Forwarding through the weather of a network.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use model::Timestamp;
use model::wire::RecordingStatus;
use seal::command::Command;
use seal::hour::SignedHour;
use seal::recording::Recording;

use super::{Site, until};

#[tokio::test(flavor = "multi_thread")]
async fn every_recording_arrives_once_whatever_the_store_answers() {
    let site = Site::enrolled().await;
    site.cloud.script(|script| script.put_answers = [503, 403, 429, 500].into());
    site.add_camera().await;
    until("recordings are forwarded", || site.objects().len() >= 3 && is_one_chain(&site)).await;
    let stored = site.cloud.puts().iter().filter(|(_, status)| *status == 201).count();
    assert_eq!(stored, site.cloud.objects().len());
}

/// Everything stored is genuine and named by its root; whether each recording
/// follows one that is stored too.
fn is_one_chain(site: &Site) -> bool {
    let roster = site.administrator.roster();
    let mut roots = Vec::new();
    for (name, bytes) in site.objects() {
        let recording = Recording::parse(&bytes).unwrap();
        recording.verify(&roster).unwrap();
        let footer = recording.footer.unwrap();
        assert!(name.ends_with(&format!("{}.lkr", footer.root)));
        roots.push((recording.header.header.started_at, footer.root, footer.previous_root));
    }
    roots.sort();
    roots.windows(2).all(|pair| pair[1].2 == Some(pair[0].1))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_the_cloud_costs_no_recording() {
    let mut site = Site::recording().await;
    until("a recording is forwarded", || !site.objects().is_empty()).await;
    site.cloud.script(|script| script.is_down = true);
    tokio::time::sleep(Duration::from_secs(7)).await;
    let before = site.objects().len();
    site.cloud.script(|script| script.is_down = false);
    // Newest first: the oldest closes the chain.
    until("what was recorded meanwhile arrives", || {
        site.objects().len() >= before + 3 && is_one_chain(&site)
    })
    .await;
    site.stop().await;
    let gaps = site.cloud.reports().into_iter().flat_map(|report| report.gaps);
    assert_eq!(gaps.count(), 0, "the camera never stopped");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_cloud_lost_is_sent_again() {
    let site = Site::enrolled().await;
    let answers = [RecordingStatus::Missing, RecordingStatus::NoEpochGrant];
    site.cloud.script(|script| script.report_answers = answers.into());
    site.add_camera().await;
    until("a recording is sent again", || {
        let puts = site.cloud.puts();
        puts.iter().any(|(name, status)| *status == 409 && name.ends_with(".lkr"))
    })
    .await;
    let reports = site.cloud.reports();
    until("the grants come again", || {
        let grants = site.cloud.grants();
        (0..grants.len()).any(|n| grants[n + 1..].contains(&grants[n]))
    })
    .await;
    assert!(reports.iter().any(|report| !report.recordings.is_empty()));
}

#[tokio::test(flavor = "multi_thread")]
async fn grants_are_known_before_what_they_open() {
    let site = Site::recording().await;
    until("recordings are reported", || {
        site.cloud.reports().iter().any(|report| !report.recordings.is_empty())
    })
    .await;
    let granted: Vec<_> = site
        .cloud
        .grants()
        .iter()
        .map(|envelope| seal::grant::EpochGrant::claimed(envelope).unwrap().epoch)
        .collect();
    for report in site.cloud.reports() {
        assert!(report.recordings.iter().all(|recording| granted.contains(&recording.epoch)));
    }
    let puts = site.cloud.puts();
    let first_grant = puts.iter().position(|(name, _)| name.ends_with(".json")).unwrap();
    let first_recording = puts.iter().position(|(name, _)| name.ends_with(".lkr")).unwrap();
    assert!(first_grant < first_recording);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_refused_recording_holds_nothing_up() {
    let site = Site::enrolled().await;
    site.cloud.script(|script| script.refusals = 1);
    site.add_camera().await;
    until("later recordings are confirmed", || {
        let confirmed = site.cloud.reports().iter().map(|report| report.recordings.len()).sum::<usize>();
        confirmed >= 2
    })
    .await;
    assert!(site.objects().len() >= 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cloud_does_not_choose_where_in_the_clear_footage_goes() {
    let site = Site::enrolled().await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let elsewhere = format!("http://127.0.0.1:{port}/inside");
    site.cloud.script(|script| script.upload_url = Some(elsewhere));
    site.add_camera().await;
    until("recordings wait", || !site.cloud.grants().is_empty()).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(listener.accept().is_err(), "a plain HTTP server inside the site was spoken to");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_store_lost_since_is_sent_again_before_it_is_deleted_here() {
    let mut site = Site::recording().await;
    until("recordings are confirmed", || site.objects().len() >= 3).await;
    site.stop().await;
    site.make_confirmed_old().await;
    let old = site.confirmed().await;
    let objects = site.objects();
    site.cloud.lose_objects();
    site.start().await;
    site.keep_a_day().await;
    until("the gateway asks before it deletes", || site.cloud.read_back() > 0).await;
    until("what was lost is sent again", || {
        let now = site.objects();
        objects.iter().all(|object| now.contains(object))
    })
    .await;
    // Only then it goes, once the store shows it.
    for _ in 0..100 {
        if !old.iter().any(|path| path.exists()) {
            break;
        }
        site.keep_a_day().await;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert!(!old.iter().any(|path| path.exists()), "what is due stays for ever");
    assert!(site.cloud.read_back() > old.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cloud_that_shows_nothing_neither_has_it_deleted_nor_sent_for_ever() {
    let mut site = Site::recording().await;
    until("recordings are confirmed", || site.objects().len() >= 3).await;
    site.stop().await;
    site.make_confirmed_old().await;
    let old = site.confirmed().await;
    site.cloud.script(|script| script.shows_nothing = true);
    let before = site.cloud.puts();
    let begun = Instant::now();
    site.start().await;
    for _ in 0..3 {
        site.keep_a_day().await;
    }
    until("the gateway asks before it deletes", || site.cloud.read_back() >= old.len()).await;
    assert!(old.iter().all(|path| path.exists()));
    // Each sweep finds them due again.
    let times_max = 1 + begun.elapsed().as_secs() / 20;
    for (name, _) in &before {
        let times = site.cloud.puts().iter().filter(|(put, _)| put == name).count()
            - before.iter().filter(|(put, _)| put == name).count();
        assert!(times as u64 <= times_max, "{name} was sent {times} times again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_hour_held_is_signed_for_and_the_next_one_follows() {
    let mut site = Site::recording().await;
    until("recordings are confirmed", || site.objects().len() >= 3).await;
    site.move_confirmed_back(2 * Timestamp::HOUR).await;
    until("the hour's index is in the store", || !site.cloud.hours().is_empty()).await;
    site.move_confirmed_back(2 * Timestamp::HOUR).await;
    until("what is found later follows", || site.cloud.hours().len() >= 2).await;
    let mut objects = site.cloud.objects();
    let mut hours: Vec<SignedHour> = site
        .cloud
        .hours()
        .iter()
        .map(|name| {
            let hour = SignedHour::parse(&objects.remove(name).unwrap(), &site.administrator.roster());
            let hour = hour.unwrap();
            assert_eq!(hour.object_name(), *name);
            hour
        })
        .collect();
    hours.sort_by_key(|signed| signed.hour.number);
    for (n, signed) in (0..).zip(&hours) {
        assert_eq!(signed.hour.number, n);
        assert!(signed.hour.recordings.iter().all(|recording| recording.stored));
        assert_eq!(signed.hour.camera, site.camera);
    }
    for pair in hours.windows(2) {
        assert_eq!(pair[1].hour.previous, Some(pair[0].hash));
    }
    // Each root is the end of an object's name.
    let listed = hours.iter().flat_map(|signed| &signed.hour.recordings);
    for recording in listed {
        let end = format!("-{}.lkr", recording.root);
        assert!(objects.keys().any(|name| name.ends_with(&end)), "{end}");
    }
}

impl Site {
    /// As if what the cloud has had been recorded so long ago and not been listed.
    async fn move_confirmed_back(&mut self, ms: u64) {
        self.stop().await;
        sqlx::query(
            "UPDATE recordings SET started_at = started_at - ?1, ended_at = ended_at - ?1,
                 report = json_set(report, '$.started_at', started_at - ?1)
             WHERE state = 2 AND listed = 0",
        )
        .bind(ms as i64)
        .execute(&self.index().await)
        .await
        .unwrap();
        self.cloud.forget_status();
        self.start().await;
        until("the gateway links again", || self.cloud.last_status().is_some()).await;
        until("more is confirmed", || !self.objects().is_empty()).await;
    }

    /// Has the gateway look at once what may go.
    pub(super) async fn keep_a_day(&self) {
        self.order(Command::SetRetention { bytes_max: 100_000_000, age_days_max: 1, quiet: None }).await;
    }

    pub(super) async fn index(&self) -> sqlx::SqlitePool {
        let index = sqlx::sqlite::SqliteConnectOptions::new().filename(self.data().join("index.sqlite"));
        sqlx::SqlitePool::connect_with(index).await.unwrap()
    }

    pub(super) async fn make_confirmed_old(&self) {
        let days = 3 * 86_400_000;
        let query = sqlx::query("UPDATE recordings SET started_at = started_at - ? WHERE state = 2");
        query.bind(days).execute(&self.index().await).await.unwrap();
    }

    pub(super) async fn confirmed(&self) -> Vec<PathBuf> {
        let paths: Vec<String> = sqlx::query_scalar("SELECT path FROM recordings WHERE state = 2")
            .fetch_all(&self.index().await)
            .await
            .unwrap();
        paths.into_iter().map(|path| self.data().join(path)).collect()
    }
}
