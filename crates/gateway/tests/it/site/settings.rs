//! What administrators set of forwarding, and what events do.

use std::time::Duration;

use model::wire::ToGateway;
use model::{Bandwidth, Forward, Forwarding, Timestamp};
use seal::command::Command;
use seal::recording::Recording;

use super::administrator::now;
use super::{Site, until};

impl Site {
    async fn forward(&self, main: Forward, short_in_events: bool) {
        let forwarding = Forwarding { main, short_in_events, ..Forwarding::default() };
        self.order(Command::SetForwarding { camera: self.camera, forwarding }).await;
    }

    async fn allow(&self, kilobits_max: Option<u32>) {
        let bandwidth = Bandwidth { kilobits_max, spans: Vec::new() };
        self.order(Command::SetBandwidth { bandwidth }).await;
    }

    /// Of the recordings that the cloud has got, those that began after this.
    fn forwarded_after(&self, moment: Timestamp) -> Vec<Timestamp> {
        (self.objects().iter())
            .map(|(_, bytes)| Recording::parse(bytes).unwrap().header.header.started_at)
            .filter(|began| *began > moment)
            .collect()
    }

    /// Fails if anything leaves that began after this moment, while more is recorded.
    async fn keeps_all_after(&self, moment: Timestamp) {
        let files = self.files();
        until("more is recorded", || self.files() >= files + 4).await;
        assert_eq!(self.forwarded_after(moment), [], "{moment:?}");
    }

    fn event(&self, seconds: u32) {
        self.cloud.send(ToGateway::Event { camera: self.camera, seconds });
    }

    fn files(&self) -> usize {
        let mut folders = vec![self.data().join("recordings")];
        let mut files = 0;
        while let Some(folder) = folders.pop() {
            // Nothing is there before something is recorded.
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                match entry.file_type().unwrap().is_dir() {
                    // What the gateway notices of a camera leaves the site at any time.
                    true if entry.file_name() == "events" => {}
                    true => folders.push(entry.path()),
                    false => files += 1,
                }
            }
        }
        files
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_set_to_stay_leaves_when_it_is_set_otherwise() {
    let mut site = Site::recording().await;
    until("a recording is forwarded", || !site.objects().is_empty()).await;
    site.forward(Forward::Never, false).await;
    let set = now();
    site.keeps_all_after(set).await;
    // A restart forgets nothing of it, and an event changes nothing.
    site.restart().await;
    until("the gateway says how it is set", || {
        let settings = site.cloud.settings();
        settings.is_some_and(|settings| settings.forwarding[&site.camera].main == Forward::Never)
    })
    .await;
    site.event(1);
    site.keeps_all_after(set).await;
    let kept = site.files();
    site.forward(Forward::Always, false).await;
    until("all that was kept arrives", || site.objects().len() >= kept).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_leaves_the_site_while_it_goes_on_and_nothing_else_does() {
    let mut site = Site::enrolled().await;
    // A minute, as it is where nobody sets it.
    site.recording_seconds = 60;
    site.restart().await;
    site.add_camera().await;
    site.forward(Forward::Events, true).await;
    until("something is recorded", || site.files() > 0).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(site.objects(), []);
    let began = now();
    site.event(4);
    until("it is in the store", || site.objects().len() >= 3).await;
    let over = now().plus_ms(4_000);
    tokio::time::sleep(Duration::from_secs(11)).await;
    assert_eq!(site.forwarded_after(over), [], "the event is over at {over:?}");
    let mut lengths: Vec<(Timestamp, u64)> = (site.objects().iter())
        .map(|(_, bytes)| {
            let recording = Recording::parse(bytes).unwrap();
            recording.verify(&site.administrator.roster()).unwrap();
            (recording.header.header.started_at, recording.footer.unwrap().duration_ms)
        })
        .collect();
    lengths.sort();
    let (first, short) = lengths.split_first().unwrap();
    assert!(first.0 < began, "what went before {began:?} belongs to it: {first:?}");
    assert!(short.len() >= 2 && short[..2].iter().all(|(_, ms)| *ms <= 2_500), "{short:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_bandwidth_events_alone_are_sent_and_with_little_everything() {
    let site = Site::recording().await;
    until("a recording is forwarded", || !site.objects().is_empty()).await;
    site.allow(Some(0)).await;
    let set = now();
    site.keeps_all_after(set).await;
    site.event(1);
    until("the event's recording arrives", || !site.forwarded_after(set).is_empty()).await;
    site.keeps_all_after(now().plus_ms(1_000)).await;
    // In parts, under the same length and digest.
    let (kept, before) = (site.files(), site.objects().len());
    assert!(kept > before, "{kept} files, {before} forwarded");
    site.allow(Some(model::KILOBITS_MIN)).await;
    until("what waited arrives", || site.objects().len() >= before + 2).await;
}
