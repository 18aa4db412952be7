//! Figures of a server on this machine, printed and not judged: `cargo xtask
//! bench` runs it.

use std::io::Write as _;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::StatusCode;
use seal::roster::{Scope, Statement};
use serde_json::json;

use crate::live::{Got, Viewer};
use crate::support::{Gateway, World};

const SIGN_INS: usize = 15;
const GRANTS: usize = 1_500;
const FLUSHES: usize = 500;
const CUTS: usize = 10;

/// In milliseconds: the middle, and what one in a hundred takes longer than.
pub(crate) fn p50_p99(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let at = |part: usize| times[(times.len() * part / 100).min(times.len() - 1)].as_secs_f64() * 1_000.0;
    format!("p50 {:.1} ms, p99 {:.1} ms", at(50), at(99))
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures, and judges nothing"]
#[expect(clippy::print_stdout, reason = "it says what it measured")]
async fn figures_of_a_server() {
    // Figures alone are to be seen, and nothing is spent on a log.
    let _ = tracing::subscriber::set_global_default(tracing::subscriber::NoSubscriber::new());
    let world = World::on_sqlite().await;
    let mut ours = world.found().await;
    let gateway = Gateway::enrolled(&world, &mut ours).await;
    let door = ours.bind_camera(&world, gateway.id).await;

    let mut times = Vec::new();
    for _ in 0..SIGN_INS {
        let begun = Instant::now();
        assert_eq!(world.device_login(ours.org, &ours.admin).await.status, StatusCode::OK);
        times.push(begun.elapsed());
    }
    println!("signing in with a device's key, challenge and all: {}", p50_p99(times));

    let path = format!("/api/v1/cameras/{door}/live");
    for clients in [1, 16] {
        let one = async || {
            let api = ours.api(&world);
            let mut times = Vec::new();
            for _ in 0..GRANTS / clients {
                let begun = Instant::now();
                assert_eq!(api.post(&path, &json!({})).await.status, StatusCode::OK);
                times.push(begun.elapsed());
            }
            times
        };
        let begun = Instant::now();
        let times = join_all((0..clients).map(|_| one())).await.concat();
        let rate = times.len() as f64 / begun.elapsed().as_secs_f64();
        println!(
            "live streams granted, recorded and ticketed, {clients} at a time: {rate:.0}/s, {}",
            p50_p99(times)
        );
    }
    let mut file = tempfile::NamedTempFile::new_in(&world.config.data).unwrap();
    let mut times = Vec::new();
    for _ in 0..FLUSHES {
        let begun = Instant::now();
        file.write_all(&[7; 4_096]).unwrap();
        file.as_file().sync_data().unwrap();
        times.push(begun.elapsed());
    }
    println!("the disk's own flush of 4 KiB: {}", p50_p99(times));

    let mut times = Vec::new();
    for _ in 0..CUTS {
        let ben = ours.add_person(&world, Some(Scope::All)).await;
        let mut viewer = Viewer::open(&world, &ben.cookie, door, &world.origin()).await.unwrap();
        let begun = Instant::now();
        ours.append(&world, Statement::RevokeDevice { device: ben.device }).await;
        while viewer.next().await != Got::Nothing {}
        times.push(begun.elapsed());
    }
    println!("from revoking a device until its live stream is cut: {}", p50_p99(times));
}
