//! A gateway that is killed again and again while it records, or whose power goes:
//! nothing that was acknowledged is lost or altered, and what is missing is told.

use std::time::{Duration, Instant};

use camera_sim::{Options, Pictures, Prepared, Shape};
use model::Timestamp;
use model::wire::{Gap, GapReason};

use super::administrator::now;
use super::ext4::Ext4;
use super::footage::{Compared, Film, compare};
use super::process::Process;
use super::{Site, until};

const SHAPE: Shape = Shape { width: 320, height: 180, frames_per_second: 20 };
/// Longer than a gateway lives here, so that the film's beginning is that of a connection.
const FILM_SECONDS: u32 = 12;
const LIFE_MS_MAX: u64 = 2_500;
/// Between two times that two sides took of the same picture.
const APART_MS: u64 = 100;

#[tokio::test(flavor = "multi_thread")]
async fn twenty_kills_lose_nothing_acknowledged_and_a_second_at_most_which_is_told() {
    Box::pin(killed(20, End::Kill)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes; `cargo xtask bench --only kills` runs it"]
async fn two_hundred_kills_lose_nothing_acknowledged_and_a_second_at_most_which_is_told() {
    Box::pin(killed(200, End::Kill)).await;
}

/// How each life of the gateway ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Kill,
    /// Of a machine with its data on an ext4.
    PowerCut,
}

impl End {
    /// Pictures of one life that may be lost.
    fn lost_max(self) -> u64 {
        let second = u64::from(SHAPE.frames_per_second);
        match self {
            End::Kill => second,
            // What was written since the last flush goes with the power.
            End::PowerCut => 2 * second,
        }
    }
}

/// What the camera sent to one connection, and what is recorded of it.
struct Life {
    sent: u64,
    recorded: u64,
    from: Timestamp,
    to: Timestamp,
}

#[expect(clippy::print_stdout, reason = "the bench shows it")]
pub(super) async fn killed(times: u64, end: End) {
    let prepared = Prepared::encode(SHAPE, "KILLS", FILM_SECONDS).unwrap();
    let film = Film::of(&prepared);
    let mut site = Site::enrolled().await;
    let main = Pictures::Prepared(prepared);
    site.simulated = camera_sim::start(Options { main, sub: None, ..Default::default() }).await.unwrap();
    site.add_camera().await;
    let cloud = site.cloud.clone();
    until("it records", || !cloud.objects().is_empty()).await;
    site.stop().await;
    let volume = (end == End::PowerCut).then(|| Ext4::under(&mut site));

    let begun = Instant::now();
    let mut confirmed_early = 0;
    for number in 0..times {
        let before = site.simulated.played().len();
        let gateway = Process::start(&site);
        until("it plays", || site.simulated.played().len() > before).await;
        // Spread by the golden ratio: each round dies at another moment.
        tokio::time::sleep(Duration::from_millis(number * 1_546 % LIFE_MS_MAX)).await;
        match &volume {
            Some(volume) => {
                volume.cut_power();
                gateway.kill();
                volume.mount_again();
            }
            None => gateway.kill(),
        }
        confirmed_early = site.objects().len();
    }
    let killed_for = begun.elapsed();
    let last_start = now();
    let gateway = Process::start(&site);
    let reported = || site.cloud.reports().into_iter().flat_map(|report| report.gaps).collect::<Vec<Gap>>();
    let on_disk = || super::footage::files(&site.data().join("recordings")).len();
    let is_told = || reported().iter().any(|gap| gap.to > last_start);
    // The one that is open is not forwarded yet.
    until("all is forwarded, and the last gap told", || site.objects().len() + 1 >= on_disk() && is_told())
        .await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    gateway.terminate();

    let checked = Box::pin(gateway::check(&site.config(), false)).await.unwrap();
    assert!(checked.is_well(), "{checked}");
    let recordings = compare(&site, &film, Timestamp(0));
    for recording in &recordings {
        assert_eq!(recording.holes, 0, "{recording:?}");
    }
    // What the cloud had read back is here, and is the same.
    let bytes: Vec<Vec<u8>> =
        recordings.iter().map(|recording| std::fs::read(&recording.path).unwrap()).collect();
    for (name, object) in site.objects() {
        assert!(bytes.contains(&object), "{name} is not on the disk as it was acknowledged");
    }

    let lives = lives(&site, &recordings);
    let gaps = reported();
    for pair in lives.windows(2) {
        let [before, after] = pair else { unreachable!("windows of two") };
        assert_told(&gaps, before.to, after.from);
    }
    let lost: Vec<u64> = lives.iter().map(|life| life.sent - life.recorded).collect();
    let most = lost.iter().max().unwrap();
    assert!(*most <= end.lost_max(), "{most} pictures of one life are lost: {lost:?}");
    println!(
        "{times} times {end:?} in {:.0} s: {} recordings, {} pictures sent, {} recorded and the same byte by byte, none missing \
         in between; lost at one: {:.2} pictures on average, {most} at most, of {} a second; {} recordings \
         acknowledged before the last one, all there; nothing to repair",
        killed_for.as_secs_f64(),
        recordings.len(),
        lives.iter().map(|life| life.sent).sum::<u64>(),
        lives.iter().map(|life| life.recorded).sum::<u64>(),
        lost.iter().sum::<u64>() as f64 / lost.len() as f64,
        SHAPE.frames_per_second,
        confirmed_early,
    );
}

/// Each connection plays the film from its beginning. Those that were killed
/// before their first picture was recorded have no recording.
fn lives(site: &Site, recordings: &[Compared]) -> Vec<Life> {
    let mut lives: Vec<Life> = Vec::new();
    let mut next = 0;
    let played = site.simulated.played();
    for recording in recordings {
        if recording.first == 0 {
            let ms = |n: usize| {
                let since = played[n].began.duration_since(std::time::UNIX_EPOCH).unwrap();
                since.as_millis() as u64
            };
            // Its connection is the last that began before it.
            while next + 1 < played.len() && ms(next + 1) <= recording.started_at.0 {
                next += 1;
            }
            lives.push(Life {
                sent: played[next].pictures(),
                recorded: recording.pictures,
                from: recording.started_at,
                to: recording.ended_at,
            });
        } else {
            let life = lives.last_mut().expect("the first recording begins with the film");
            assert_eq!(life.recorded, recording.first as u64, "{recording:?} does not follow");
            life.recorded += recording.pictures;
            life.to = recording.ended_at;
        }
    }
    lives
}

/// Gaps cover what lies between, one after the other.
fn assert_told(gaps: &[Gap], from: Timestamp, to: Timestamp) {
    let mut until = from.plus_ms(APART_MS);
    while until.plus_ms(APART_MS) < to {
        let next = gaps.iter().filter(|gap| gap.from <= until && gap.reason == GapReason::Restarted);
        let reach = next.map(|gap| gap.to.plus_ms(APART_MS)).max();
        assert!(reach.is_some_and(|reach| reach > until), "from {until:?} to {to:?} is not told: {gaps:?}");
        until = reach.expect("just seen");
    }
}
