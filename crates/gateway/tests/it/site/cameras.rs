//! Figures of many cameras at one gateway, printed and not judged: `cargo xtask
//! bench --only cameras` runs it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use camera_sim::{Identity, Options, Pictures, Prepared};
use model::wire::StreamState;
use model::{CameraAccess, CameraId, CameraUrl, Timestamp};

use super::administrator::now;
use super::footage::{Film, compare};
use super::process::{Process, cpu_of};
use super::{Site, until};

const PICTURES_PER_SECOND: u32 = 25;
/// The most that are measured over RTSPS.
const RTSPS_MAX: u32 = 50;
/// Above this, the peer records after the gateway, not beside it.
const BESIDE_MAX: u32 = 50;
/// All are recording, and have been for so long, when measuring begins.
const SETTLING: Duration = Duration::from_secs(5);

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn film() -> Prepared {
    let path = std::env::var_os("LENSKEEP_BENCH_FILM").map(PathBuf::from);
    let path =
        path.expect("LENSKEEP_BENCH_FILM names a .h264 file; `cargo xtask bench --only cameras` makes one");
    Prepared::read(&path, PICTURES_PER_SECOND).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures, and judges nothing"]
async fn figures_of_many_cameras() {
    let text = std::env::var("LENSKEEP_BENCH_CAMERAS").unwrap_or_else(|_| "1,50,200".to_owned());
    let numbers = text.split(',').map(|number| number.trim().parse::<u32>().unwrap());
    let film = film();
    for cameras in numbers.clone() {
        Box::pin(measure(&film, cameras, false)).await;
    }
    if let Some(cameras) = numbers.filter(|number| *number > 1).min() {
        Box::pin(measure(&film, cameras.min(RTSPS_MAX), true)).await;
    }
}

#[expect(clippy::print_stdout, reason = "it says what it measured")]
async fn measure(prepared: &Prepared, cameras: u32, is_tls: bool) {
    let seconds = number("LENSKEEP_BENCH_SECONDS", 60);
    let mut site = Site::enrolled().await;
    // The store keeps digests alone: the pictures of hundreds of cameras would fill the memory.
    site.cloud.script(|script| script.keeps_digests_alone = true);
    let identity = Identity::generate().unwrap();
    let rtsps = is_tls.then(|| (([127, 0, 0, 1], 0).into(), identity));
    let main = Pictures::Prepared(prepared.clone());
    let options = Options { main, sub: None, rtsps, ..Default::default() };
    site.simulated = camera_sim::start(options).await.unwrap();
    let access: Vec<CameraAccess> = (0..cameras).map(|number| access_of(&site, number, is_tls)).collect();
    for (number, access) in access.iter().enumerate() {
        let result = site.put_camera_as(camera_id(number), access).await;
        assert!(result.ok, "{:?}", result.error);
    }
    site.stop().await;
    (0..access.len()).for_each(|number| site.bind(camera_id(number)));

    // The first start learns of the cameras; the second one is measured.
    site.recording_seconds = 60;
    let gateway = Process::start(&site);
    all_record(&site, cameras).await;
    gateway.terminate();
    site.cloud.forget_status();
    let played_before = site.simulated.played().len();
    let (started_at, begun) = (now(), Instant::now());
    let gateway = Process::start(&site);
    all_record(&site, cameras).await;
    let all_after = begun.elapsed();
    let is_beside = cameras <= BESIDE_MAX;
    let mut peers = if is_beside { Peers::start(&site, &access) } else { Peers::default() };
    tokio::time::sleep(SETTLING).await;

    let before = (gateway.cpu(), peers.cpu(), cpu_of(std::process::id()));
    let measured = Instant::now();
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let wall = measured.elapsed().as_secs_f64();
    let percent = |after: f64, before: f64| (after - before) / wall * 100.0;
    let ours = percent(gateway.cpu(), before.0);
    let mut theirs = percent(peers.cpu(), before.1);
    let load = percent(cpu_of(std::process::id()), before.2);
    let (memory, own_memory) = gateway.memory();
    let sent: u64 =
        site.simulated.played()[played_before..][..cameras as usize].iter().map(|p| p.pictures()).sum();
    gateway.terminate();

    if !is_beside && !is_tls {
        peers = Peers::start(&site, &access);
        tokio::time::sleep(SETTLING).await;
        let (before, measured) = (peers.cpu(), Instant::now());
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        theirs = (peers.cpu() - before) / measured.elapsed().as_secs_f64() * 100.0;
    }
    let (peer_memory, peer_own_memory) = peers.memory();
    drop(peers);

    let judged = judge(&site, prepared, started_at, cameras);
    let how = if is_tls { "RTSPS" } else { "RTSP" };
    println!("\n{cameras} cameras over {how}, {seconds} s:");
    println!("  all recording {:.1} s after the start of the program", all_after.as_secs_f64());
    println!(
        "  processor: {ours:.1} % of a core, {:.2} % for each camera; ffmpeg -c copy {theirs:.1} %, {:.2} %{}; ratio {:.2}",
        ours / f64::from(cameras),
        theirs / f64::from(cameras),
        if is_beside { " at the same time" } else { " afterwards" },
        ours / theirs,
    );
    println!("  cameras, cloud and store of the test: {load:.1} %");
    println!(
        "  memory: {memory:.0} MiB, {own_memory:.0} MiB of it its own; ffmpeg {peer_memory:.0} MiB, {peer_own_memory:.0} MiB"
    );
    let Judged { recorded, missing, lost_connections } = judged;
    println!(
        "  pictures sent {sent}, recorded and the same byte by byte {recorded}, missing in between {missing}"
    );
    if lost_connections > 0 {
        println!("  connections lost and made again: {lost_connections}, which their gaps tell");
    }
}

/// What is recorded of all cameras.
#[derive(Default)]
struct Judged {
    recorded: u64,
    /// Between two pictures of one connection.
    missing: u64,
    /// Connections but for the first of each camera: the film begins anew.
    lost_connections: u64,
}

fn judge(site: &Site, prepared: &Prepared, since: Timestamp, cameras: u32) -> Judged {
    let film = Film::of(prepared);
    let length = prepared.pictures().len();
    let recordings = compare(site, &film, since);
    let mut judged = Judged::default();
    for number in 0..cameras as usize {
        let mut next = 0;
        for recording in recordings.iter().filter(|recording| recording.camera == camera_id(number)) {
            if recording.first == 0 && next != 0 {
                judged.lost_connections += 1;
            } else {
                judged.missing += ((recording.first + length - next) % length) as u64;
            }
            judged.missing += recording.holes;
            judged.recorded += recording.pictures;
            next = (recording.last + 1) % length;
        }
    }
    judged
}

fn camera_id(number: usize) -> CameraId {
    let [high, low] = (number as u16 + 1).to_be_bytes();
    CameraId::from_random([7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, high, low])
}

/// One of many on the same port.
fn access_of(site: &Site, number: u32, is_tls: bool) -> CameraAccess {
    let access = if is_tls { site.simulated.rtsps_access().unwrap() } else { site.simulated.access() };
    let url = CameraUrl::parse(&format!("{}/{number}", access.url.as_url())).unwrap();
    CameraAccess { url, ..access }
}

async fn all_record(site: &Site, cameras: u32) {
    until("all record", || {
        let (_, streams) = site.cloud.last_status().unwrap_or_default();
        let recording = streams.iter().filter(|stream| stream.state == StreamState::Recording);
        recording.count() == cameras as usize
    })
    .await;
}

/// One `ffmpeg -c copy` for each camera.
#[derive(Default)]
struct Peers(Vec<Process>);

impl Peers {
    fn start(site: &Site, access: &[CameraAccess]) -> Self {
        let folder = site.folder.path().join("peer");
        std::fs::create_dir_all(&folder).unwrap();
        let peer = |(number, access): (usize, &CameraAccess)| {
            Process::spawn(&mut ffmpeg(access, &folder.join(format!("{number}-%03d.mp4"))))
        };
        Peers(access.iter().enumerate().map(peer).collect())
    }

    fn cpu(&self) -> f64 {
        self.0.iter().map(Process::cpu).sum()
    }

    fn memory(&self) -> (f64, f64) {
        self.0.iter().map(Process::memory).fold((0.0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    }
}

fn ffmpeg(access: &CameraAccess, out: &Path) -> Command {
    let mut command = crate::rtsp::support::program("ffmpeg", "ffmpeg");
    command.args(["-v", "error", "-rtsp_transport", "tcp", "-i", access.url.as_url().as_str(), "-c", "copy"]);
    command.args(["-f", "segment", "-segment_time", "60", "-reset_timestamps", "1"]).arg(out);
    command
}
