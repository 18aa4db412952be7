//! Figures of this machine (docs/performance.md): one 720p camera, recorded by
//! a gateway of its own process and by `ffmpeg -c copy` at the same time; a
//! long history, verified; a roster, replayed; decisions; and a server that
//! signs in, grants and revokes.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use crate::install;
use crate::tasks::{build, run, step};

const FOLDER: &str = "target/bench";
const SITE: &str = "127.0.0.1:9650";
const CAMERA: &str = "127.0.0.1:9660";
/// `_SC_CLK_TCK` of Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// Ends its program when dropped.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        if !matches!(self.0.try_wait(), Ok(None)) {
            return;
        }
        let pid = self.0.id().to_string();
        // SIGTERM: recordings are closed.
        let _ = Command::new("kill").arg(&pid).status();
        let _ = self.0.wait();
    }
}

impl Program {
    fn start(command: &mut Command) -> anyhow::Result<Self> {
        let name = format!("{command:?}");
        Ok(Program(command.spawn().with_context(|| format!("{name} could not be started"))?))
    }

    /// Processor time so far, user and system, in seconds (proc(5), fields 14 and 15).
    fn cpu(&self) -> anyhow::Result<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id()))?;
        let after_name = stat.rsplit_once(')').context("/proc stat")?.1;
        let field =
            |number: usize| after_name.split_whitespace().nth(number - 3).and_then(|f| f.parse::<f64>().ok());
        Ok((field(14).context("utime")? + field(15).context("stime")?) / TICKS_PER_SECOND)
    }

    fn memory_mib(&self) -> anyhow::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
        Ok(line.split_whitespace().next().context("VmRSS")?.parse::<u64>()? / 1_024)
    }
}

pub(crate) fn measure_all(seconds: u32) -> anyhow::Result<()> {
    ensure!(seconds >= 30, "a recording closes after a minute; give --seconds 30 (measured twice) or more");
    build()?;
    install::test()?;
    let folder = PathBuf::from(FOLDER);
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("passphrase"), "bench passphrase")?;

    step("Verifying a history of 10 million entries");
    run(Command::new("cargo").args(["run", "--quiet", "-p", "seal", "--example", "log_speed"]))?;
    step("Replaying a roster of 20 000 statements");
    run(Command::new("cargo").args(["run", "--quiet", "-p", "seal", "--example", "roster_speed"]))?;
    step("Deciding, with 10 000 people and 100 000 cameras");
    run(Command::new("cargo").args(["run", "--quiet", "-p", "cloud-core", "--example", "decision_speed"]))?;
    step("Signing in, granting and revoking at a server");
    let figures = ["test", "--quiet", "-p", "cloud", "--test", "it", "figures_of_a_server"];
    let here = std::path::absolute(&folder)?;
    let shown = ["--", "--ignored", "--nocapture"];
    run(Command::new("cargo").args(figures).args(shown).env("TMPDIR", here))?;
    step("Making a 720p camera (H.264, 25 pictures/s, 2 Mbit/s, a key frame each second)");
    let film = folder.join("camera.h264");
    let source = [
        "-f",
        "lavfi",
        "-i",
        "testsrc2=size=1280x720:rate=25",
        "-t",
        "20",
        "-c:v",
        "libx264",
        "-preset",
        "fast",
    ];
    let rate =
        ["-b:v", "2M", "-maxrate", "2M", "-bufsize", "2M", "-g", "25", "-bf", "0", "-pix_fmt", "yuv420p"];
    run_quietly(Command::new("ffmpeg").args(["-v", "error", "-y"]).args(source).args(rate).arg(&film))?;
    let _camera = Program::start(
        Command::new("target/debug/camera-sim")
            .args(["--listen", CAMERA, "--rate", "25", "--file"])
            .arg(&film),
    )?;

    step("Starting Lenskeep, a gateway of its own, and ffmpeg");
    let begun = Instant::now();
    let mut up = Program::start(
        Command::new("target/debug/lenskeep")
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
        let mut command = Command::new("target/debug/lenskeep");
        command.args(arguments).env("LENSKEEP_HOME", folder.join("home"));
        command.env("LENSKEEP_PASSPHRASE_FILE", folder.join("passphrase"));
        command
    };
    run_quietly(&mut lenskeep(&["device", "new", "--link", &link]))?;
    let mut adding =
        Program::start(lenskeep(&["gateway", "add"]).stdout(Stdio::piped()).stderr(Stdio::null()))?;
    std::fs::write(folder.join("code"), first_line(&mut adding.0, "LK1-")?)?;
    let gateway = Program::start(
        Command::new("target/debug/lenskeep-gateway")
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
    let (alone, peer_alone) = measure(&gateway, &peer, seconds)?;
    step(&format!("Recording for {seconds} s, somebody watches"));
    let text = seconds.to_string();
    let watching = lenskeep(&["camera", "watch", &camera, "--json", "--seconds", &text])
        .stdout(Stdio::piped())
        .spawn()?;
    let (watched, _) = measure(&gateway, &peer, seconds)?;
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
fn measure(ours: &Program, theirs: &Program, seconds: u32) -> anyhow::Result<(f64, f64)> {
    let before = (ours.cpu()?, theirs.cpu()?);
    let begun = Instant::now();
    sleep(Duration::from_secs(seconds.into()));
    let wall = begun.elapsed().as_secs_f64();
    Ok(((ours.cpu()? - before.0) / wall * 100.0, (theirs.cpu()? - before.1) / wall * 100.0))
}

fn run_quietly(command: &mut Command) -> anyhow::Result<()> {
    run(command.stdout(Stdio::null()))
}

fn output(command: &mut Command) -> anyhow::Result<String> {
    let output = command.stderr(Stdio::inherit()).output()?;
    ensure!(output.status.success(), "{command:?} failed");
    Ok(String::from_utf8(output.stdout)?)
}

/// Reads on until a line holds `mark`.
fn first_line(child: &mut Child, mark: &str) -> anyhow::Result<String> {
    let mut lines = BufReader::new(child.stdout.take().context("no output")?).lines();
    let found = lines.find(|line| line.as_ref().is_ok_and(|line| line.contains(mark)));
    // The program may go on to write; nobody reads it.
    std::thread::spawn(move || lines.for_each(drop));
    found.with_context(|| format!("it ended without a line with {mark}"))?.map_err(Into::into)
}

/// A number of a flat JSON object.
fn figure(json: &str, key: &str) -> anyhow::Result<f64> {
    let rest = json.split(&format!("\"{key}\":")).nth(1).with_context(|| format!("no {key} in {json}"))?;
    Ok(rest.split([',', '}']).next().unwrap_or_default().trim().parse()?)
}
