//! Forwarding through the weather of a network.

use model::wire::RecordingStatus;
use seal::recording::Recording;

use super::{Site, until};

#[tokio::test(flavor = "multi_thread")]
async fn every_recording_arrives_once_whatever_the_store_answers() {
    let site = Site::enrolled().await;
    site.cloud.script(|script| script.put_answers = [503, 403, 429, 500].into());
    site.add_camera().await;
    until("recordings are forwarded", || site.objects().len() >= 3).await;
    let stored = site.cloud.puts().iter().filter(|(_, status)| *status == 201).count();
    assert_eq!(stored, site.cloud.objects().len());
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
    // One chain: each recording names the one before it.
    for pair in roots.windows(2) {
        assert_eq!(pair[1].2, Some(pair[0].1));
    }
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
