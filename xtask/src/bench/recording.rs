//! One 720p camera, recorded by a gateway of its own process and by `ffmpeg -c
//! copy` at the same time, by the whole product as people run it.

use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use super::Bench;
use super::program::{Program, figure, first_line, output, run_quietly};
use crate::tasks::step;

const SITE: &str = "127.0.0.1:9650";
const CAMERA: &str = "127.0.0.1:9660";

pub(super) fn measure(bench: &Bench, seconds: u32) -> anyhow::Result<()> {
    step("Building what is measured");
    bench.build(&["cli", "gateway", "camera-sim"])?;
    let folder = &bench.folder;
    std::fs::write(folder.join("passphrase"), "bench passphrase")?;
    let film = bench.film()?;
    let _camera = Program::start(
        Command::new(bench.program("camera-sim"))
            .args(["--listen", CAMERA, "--rate", "25", "--file"])
            .arg(&film),
    )?;

    step("Starting Lenskeep, a gateway of its own, and ffmpeg");
    let begun = Instant::now();
    let mut up = Program::start(
        Command::new(bench.program("lenskeep"))
            .args(["up", "--no-demo", "--listen", SITE, "--data"])
            .arg(folder.join("box"))
            .env("LENSKEEP_LOG", "warn")
            .stdout(Stdio::piped()),
    )?;
    let link = first_line(&mut up.0, "/setup#token=")?;
    let ready = begun.elapsed();
    // Without the part for the gateway on the same box: here it stays outside.
    let link = link.trim().split('&').next().unwrap_or_default().to_owned();
    let lenskeep = |arguments: &[&str]| {
        let mut command = Command::new(bench.program("lenskeep"));
        command.args(arguments).env("LENSKEEP_HOME", folder.join("home"));
        command.env("LENSKEEP_PASSPHRASE_FILE", folder.join("passphrase"));
        command
    };
    run_quietly(&mut lenskeep(&["device", "new", "--link", &link]))?;
    let mut adding =
        Program::start(lenskeep(&["gateway", "add"]).stdout(Stdio::piped()).stderr(Stdio::null()))?;
    std::fs::write(folder.join("code"), first_line(&mut adding.0, "LK1-")?)?;
    let gateway = Program::start(
        Command::new(bench.program("lenskeep-gateway"))
            .args(["enrol", "--cloud", "https://localhost:9651", "--code"])
            .arg(folder.join("code"))
            .arg("--data")
            .arg(folder.join("gateway"))
            .env("LENSKEEP_LOG", "warn"),
    )?;
    ensure!(adding.0.wait()?.success(), "the gateway was not taken in");
    let url = format!("rtsp://{CAMERA}/main");
    let begun = Instant::now();
    run_quietly(&mut lenskeep(&["camera", "add", "--name", "Bench", &url]))?;
    let cameras = output(&mut lenskeep(&["camera", "list", "--json"]))?;
    let camera =
        cameras.split('"').find(|word| word.starts_with("cam_")).context("the camera's id")?.to_owned();
    let first = figure(
        &output(&mut lenskeep(&["camera", "watch", &camera, "--seconds", "3", "--json"]))?,
        "first_picture_ms",
    )?;
    let first_picture = begun.elapsed().as_secs_f64() - 3.0 + first / 1_000.0;
    let peer = Program::start(
        Command::new("ffmpeg")
            .args(["-v", "error", "-rtsp_transport", "tcp", "-i", &url, "-c", "copy", "-f", "segment"])
            .args(["-segment_time", "60", "-reset_timestamps", "1"])
            .arg(folder.join("peer-%03d.mp4")),
    )?;
    // Both record now; what starting up costs is not counted.
    sleep(Duration::from_secs(3));

    step(&format!("Recording for {seconds} s, nobody watches"));
    let (alone, peer_alone) = processor(&gateway, &peer, seconds)?;
    step(&format!("Recording for {seconds} s, somebody watches"));
    let text = seconds.to_string();
    let watching = lenskeep(&["camera", "watch", &camera, "--json", "--seconds", &text])
        .stdout(Stdio::piped())
        .spawn()?;
    let (watched, _) = processor(&gateway, &peer, seconds)?;
    let live = String::from_utf8(watching.wait_with_output()?.stdout)?;
    let (memory, peer_memory) = (gateway.memory_mib()?, peer.memory_mib()?);
    let list = output(&mut lenskeep(&["recording", "list", "--camera", &camera, "--json"]))?;
    drop((peer, gateway));
    // Of a recording that has closed: bytes for each second.
    let sealed = figure(&list, "bytes")? * 1_000.0 / figure(&list, "duration_ms")?;
    let first_file = folder.join("peer-000.mp4");
    let probe = ["-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0"];
    let duration: f64 = output(Command::new("ffprobe").args(probe).arg(&first_file))?.trim().parse()?;
    let plain = std::fs::metadata(&first_file)?.len() as f64 / duration;
    let lengths =
        |ours: f64, theirs: f64| format!("{ours:>8.2} %   {theirs:>8.2} %   {:>5.2}", ours / theirs);
    println!("\n                                   Lenskeep     ffmpeg -c copy   ratio");
    println!("processor, recording               {}", lengths(alone, peer_alone));
    println!("processor, recording and one live  {}", lengths(watched, peer_alone));
    println!("memory                             {memory:>6} MiB   {peer_memory:>6} MiB");
    println!("bytes for each second              {sealed:>8.0}     {plain:>8.0}     {:>6.4}", sealed / plain);
    println!("\n`lenskeep up`, built, until ready: {} ms", ready.as_millis());
    println!(
        "from `camera add` (with its connection test) to the first live picture opened: {first_picture:.2} s"
    );
    println!("asked for live, first picture opened after: {first} ms");
    println!(
        "delay from the camera's pace to the picture opened: {} ms (p50), {} ms (p99)",
        figure(&live, "delay_ms_p50")?,
        figure(&live, "delay_ms_p99")?
    );
    Ok(())
}

/// Percent of one core, of both.
fn processor(ours: &Program, theirs: &Program, seconds: u32) -> anyhow::Result<(f64, f64)> {
    let before = (ours.cpu()?, theirs.cpu()?);
    let begun = Instant::now();
    sleep(Duration::from_secs(seconds.into()));
    let wall = begun.elapsed().as_secs_f64();
    Ok(((ours.cpu()? - before.0) / wall * 100.0, (theirs.cpu()? - before.1) / wall * 100.0))
}
