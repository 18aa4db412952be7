//! The gateway's data on a real, small ext4: full, standing still, and without
//! power. Mounts an image file, which takes root and a loop device.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use model::Timestamp;
use model::wire::{Gap, GapReason, StreamState};
use seal::recording::Recording;

use super::administrator::now;
use super::kills::{End, killed};
use super::{Site, until};

const MEBIBYTES: u64 = 256;
const FREE_MEBIBYTES_MIN: u64 = 8;
/// The image's file system goes down at once; nothing more of its journal is
/// written (`EXT4_IOC_SHUTDOWN` of Linux with `EXT4_GOING_FLAGS_NOLOGFLUSH`).
const SHUT_DOWN: &str = "import fcntl, os, struct, sys
fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587D, struct.pack('I', 2))";

/// An image that is mounted where a gateway keeps its data, until it is dropped.
pub(super) struct Ext4 {
    image: PathBuf,
    at: PathBuf,
}

fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn text(path: &Path) -> &str {
    path.to_str().expect("folders of tests are text")
}

impl Ext4 {
    /// The data of a gateway that does not run moves onto a new one.
    pub(super) fn under(site: &mut Site) -> Self {
        let (image, at) = (site.folder.path().join("ext4"), site.data());
        let aside = site.folder.path().join("aside");
        std::fs::rename(&at, &aside).unwrap();
        std::fs::create_dir(&at).unwrap();
        std::fs::File::create(&image).unwrap().set_len(MEBIBYTES << 20).unwrap();
        run("mkfs.ext4", &["-q", "-F", text(&image)]);
        let volume = Ext4 { image, at };
        volume.mount();
        run("cp", &["-a", &format!("{}/.", text(&aside)), text(&volume.at)]);
        run("sync", &["-f", text(&volume.at)]);
        site.free_mebibytes_min = FREE_MEBIBYTES_MIN;
        volume
    }

    fn mount(&self) {
        run("mount", &["-o", "loop", text(&self.image), text(&self.at)]);
    }

    pub(super) fn cut_power(&self) {
        run("python3", &["-c", SHUT_DOWN, text(&self.at)]);
    }

    /// After nobody has it open any more.
    pub(super) fn mount_again(&self) {
        run("umount", &[text(&self.at)]);
        self.mount();
    }

    /// Fills it to the last byte with something foreign.
    fn fill(&self) -> PathBuf {
        let path = self.at.join("foreign");
        let mut file = std::fs::File::create(&path).unwrap();
        for length in [1 << 20, 4_096, 1] {
            while file.write_all(&vec![0; length]).is_ok() {}
        }
        path
    }
}

impl Drop for Ext4 {
    fn drop(&mut self) {
        // It may not be frozen, or not be mounted.
        for (program, argument) in [("fsfreeze", "--unfreeze"), ("umount", "--lazy")] {
            let _ = Command::new(program).arg(argument).arg(&self.at).output();
        }
    }
}

fn gaps(site: &Site) -> Vec<Gap> {
    site.cloud.reports().into_iter().flat_map(|report| report.gaps).collect()
}

/// From the first recording on, each second is in the store or in a gap.
fn assert_all_is_told(site: &Site, until: Timestamp) {
    let recorded = site.objects().into_iter().map(|(_, bytes)| {
        let recording = Recording::parse(&bytes).unwrap();
        let from = recording.header.header.started_at;
        (from, from.plus_ms(recording.footer.unwrap().duration_ms))
    });
    let told = gaps(site).into_iter().map(|gap| (gap.from, gap.to));
    let mut stretches: Vec<(Timestamp, Timestamp)> = recorded.chain(told).collect();
    stretches.sort();
    let mut reach = stretches[0].0;
    for (from, to) in stretches {
        assert!(from <= reach.plus_ms(500), "from {reach:?} to {from:?} is neither recorded nor told");
        reach = reach.max(to);
    }
    assert!(reach >= until, "it ends at {reach:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "mounts an image, as root; `cargo xtask bench --only ext4` runs it"]
async fn twenty_power_cuts_lose_nothing_acknowledged_and_two_seconds_at_most_which_is_told() {
    Box::pin(killed(20, End::PowerCut)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "mounts an image, as root; `cargo xtask bench --only ext4` runs it"]
async fn a_full_ext4_makes_room_in_the_open_and_records_on() {
    let (mut site, volume) = recording_on_one().await;
    // Nobody else has what is recorded from now on.
    site.cloud.script(|script| script.put_answers.extend([503; 40]));
    tokio::time::sleep(Duration::from_secs(8)).await;
    let foreign = volume.fill();
    until("it is told", || is_disk_told(&site)).await;
    std::fs::remove_file(foreign).unwrap();
    until("it records again", || state(&site) == Some(StreamState::Recording)).await;
    let again = now();
    site.cloud.script(|script| script.put_answers.clear());
    until("what was recorded since arrives", || has_since(&site, again)).await;
    until("the gap is reported", || gaps(&site).iter().any(|gap| gap.reason == GapReason::DiskFull)).await;
    // What the disk gave up is brought in.
    site.restart().await;
    site.stop().await;
    let checked = Box::pin(gateway::check(&site.config(), false)).await.unwrap();
    assert!(checked.is_well(), "{checked}");
    assert_all_is_told(&site, again);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "mounts an image, as root; `cargo xtask bench --only ext4` runs it"]
async fn an_ext4_that_stands_still_is_told_and_recording_goes_on() {
    let (mut site, volume) = recording_on_one().await;
    run("fsfreeze", &["--freeze", text(&volume.at)]);
    until("it is told", || is_disk_told(&site)).await;
    run("fsfreeze", &["--unfreeze", text(&volume.at)]);
    let thawed = now();
    until("what was recorded since arrives", || has_since(&site, thawed)).await;
    // Its gap may be told a moment later.
    tokio::time::sleep(Duration::from_secs(3)).await;
    // What the disk gave up is brought in.
    site.restart().await;
    site.stop().await;
    let checked = Box::pin(gateway::check(&site.config(), false)).await.unwrap();
    assert!(checked.is_well(), "{checked}");
    assert_all_is_told(&site, thawed);
}

/// A site that records on a new one.
async fn recording_on_one() -> (Site, Ext4) {
    let mut site = Site::recording().await;
    until("a recording is forwarded", || !site.objects().is_empty()).await;
    site.stop().await;
    let volume = Ext4::under(&mut site);
    site.cloud.forget_status();
    site.start().await;
    until("it records", || state(&site) == Some(StreamState::Recording)).await;
    (site, volume)
}

fn state(site: &Site) -> Option<StreamState> {
    let (_, streams) = site.cloud.last_status()?;
    streams.first().map(|stream| stream.state)
}

fn is_disk_told(site: &Site) -> bool {
    let Some((_, streams)) = site.cloud.last_status() else { return false };
    streams.iter().any(|stream| stream.reason.as_ref().is_some_and(|reason| reason.contains("disk")))
}

/// Whether the store has a recording that began later.
fn has_since(site: &Site, at: Timestamp) -> bool {
    site.objects().iter().any(|(_, bytes)| Recording::parse(bytes).unwrap().header.header.started_at > at)
}
