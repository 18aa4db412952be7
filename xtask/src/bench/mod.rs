//! Figures of this machine (docs/performance.md), ours beside a peer's in the
//! same run. Each part stands for itself; those that need a site or a server
//! are tests that measure and judge nothing.

mod program;
mod recording;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::ensure;
use clap::ValueEnum;

use crate::install;
use crate::tasks::{run, step, web_app};
use program::run_quietly;

/// What is measured is optimised as what is installed, over the dependencies of
/// every day, at `opt-level` 2: building those anew would take half an hour.
const OPTIMISED: [&str; 8] =
    ["model", "media", "seal", "gateway-core", "gateway", "cloud-core", "cloud", "camera-sim"];
/// Dependencies that figures rest on, and that are not optimised every day.
const DEPENDENCIES: [&str; 5] =
    ["azure_core", "azure_storage_blob", "cedar-policy", "cedar-policy-core", "webauthn-rs-core"];

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Seconds of recording to measure.
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// These parts alone.
    #[arg(long, value_name = "PARTS", value_delimiter = ',')]
    only: Vec<Part>,
    /// How many cameras, one number after the other.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 50, 200])]
    cameras: Vec<u32>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// One camera, beside `ffmpeg -c copy`; live; what starting takes.
    Recording,
    /// Many cameras at one gateway, beside `ffmpeg -c copy`: every picture compared.
    Cameras,
    /// Two hundred kills of a gateway that records.
    Kills,
    /// A gateway on a small ext4: full, standing still, without power. Takes root.
    Ext4,
    /// From a camera and a time to the first chunk, with thirty days in the index.
    Seek,
    /// One live stream to many viewers over TLS.
    FanOut,
    /// Sealing and opening, beside the bare cipher and hash.
    Seal,
    /// A long history, verified.
    History,
    /// A long roster, replayed.
    Roster,
    /// Decisions of the policy engine.
    Decisions,
    /// A server that signs in, grants and revokes.
    Server,
}

impl Part {
    /// The cloud carries the web app inside.
    fn has_cloud(self) -> bool {
        matches!(self, Part::Recording | Part::Seek | Part::FanOut | Part::Server)
    }
}

pub(crate) fn measure(options: &Options) -> anyhow::Result<()> {
    ensure!(
        options.seconds >= 30,
        "a recording closes after a minute; give --seconds 30 (some are measured twice) or more"
    );
    install::build()?;
    install::test()?;
    let is_wanted = |part: &Part| options.only.is_empty() || options.only.contains(part);
    let parts: Vec<Part> = Part::value_variants().iter().copied().filter(is_wanted).collect();
    if parts.iter().any(|part| part.has_cloud()) {
        web_app()?;
    }
    let bench = Bench::new()?;
    parts.into_iter().try_for_each(|part| bench.measure(part, options))
}

/// Where programs are, and what they leave.
struct Bench {
    target: PathBuf,
    folder: PathBuf,
}

impl Bench {
    fn new() -> anyhow::Result<Self> {
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), Into::into);
        let target = std::path::absolute(target)?;
        let folder = target.join("bench");
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        std::fs::create_dir_all(&folder)?;
        Ok(Bench { target, folder })
    }

    fn measure(&self, part: Part, options: &Options) -> anyhow::Result<()> {
        match part {
            Part::Recording => recording::measure(self, options.seconds),
            Part::Cameras => {
                step("Many cameras at one gateway, and at ffmpeg");
                let numbers: Vec<String> = options.cameras.iter().map(u32::to_string).collect();
                let film = self.film()?;
                self.test("gateway", "figures_of_many_cameras", |test| {
                    test.env("LENSKEEP_BENCH_FILM", film)
                        .env("LENSKEEP_BENCH_CAMERAS", numbers.join(","))
                        .env("LENSKEEP_BENCH_SECONDS", options.seconds.to_string());
                })
            }
            Part::Kills => {
                step("Killing a gateway 200 times while it records");
                self.test("gateway", "two_hundred_kills", |_| {})
            }
            Part::Ext4 => {
                step("A gateway on a small ext4 that is full, stands still, and loses power");
                if !is_root()? {
                    println!("Left out: mounting an image takes root and a loop device.");
                    return Ok(());
                }
                self.test("gateway", "site::ext4::", |_| {})
            }
            Part::Seek => {
                step("Seeking in 30 days of recordings");
                self.test("gateway", "figures_of_a_seek_in_thirty_days", |_| {})?;
                self.test("cloud", "figures_of_a_seek_in_thirty_days", |_| {})
            }
            Part::FanOut => {
                step("One live stream to many viewers over TLS");
                self.test("cloud", "figures_of_fan_out", |_| {})
            }
            Part::Seal => {
                step("Sealing and opening a recording");
                self.example("seal", "seal_speed")
            }
            Part::History => {
                step("Verifying a history of 10 million entries");
                self.example("seal", "log_speed")
            }
            Part::Roster => {
                step("Replaying a roster of 20 000 statements");
                self.example("seal", "roster_speed")
            }
            Part::Decisions => {
                step("Deciding, with 10 000 people and 100 000 cameras");
                self.example("cloud-core", "decision_speed")
            }
            Part::Server => {
                step("Signing in, granting and revoking at a server");
                self.test("cloud", "figures_of_a_server", |_| {})
            }
        }
    }

    fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("cargo");
        let levels = OPTIMISED.map(|name| (name, 3)).into_iter().chain(DEPENDENCIES.map(|name| (name, 2)));
        for (name, level) in levels {
            command.args(["--config", &format!("profile.dev.package.{name}.opt-level={level}")]);
        }
        command.args(arguments);
        command
    }

    fn example(&self, package: &str, name: &str) -> anyhow::Result<()> {
        run(&mut self.cargo(&["run", "--quiet", "-p", package, "--example", name]))
    }

    /// Files of the test lie where the figures of disks are taken.
    fn test(&self, package: &str, name: &str, with: impl FnOnce(&mut Command)) -> anyhow::Result<()> {
        let mut command = self.cargo(&["test", "--quiet", "-p", package, "--test", "it", name]);
        command.args(["--", "--ignored", "--nocapture", "--test-threads=1"]).env("TMPDIR", &self.folder);
        with(&mut command);
        run(&mut command)
    }

    fn build(&self, packages: &[&str]) -> anyhow::Result<()> {
        let mut command = self.cargo(&["build", "--bins", "--locked"]);
        packages.iter().for_each(|package| {
            command.args(["-p", package]);
        });
        run(&mut command)
    }

    fn program(&self, name: &str) -> PathBuf {
        self.target.join("debug").join(name)
    }

    /// Twenty seconds of a 720p camera.
    fn film(&self) -> anyhow::Result<PathBuf> {
        let film = self.folder.join("camera.h264");
        if !film.exists() {
            make_film(&film)?;
        }
        Ok(film)
    }
}

/// Of this process, by the owner of its entry in /proc.
fn is_root() -> anyhow::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    Ok(std::fs::metadata("/proc/self")?.uid() == 0)
}

fn make_film(film: &Path) -> anyhow::Result<()> {
    step("Making a 720p camera (H.264, 25 pictures/s, 2 Mbit/s, a key frame each second)");
    let source = ["-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=25", "-t", "20"];
    let codec = ["-c:v", "libx264", "-preset", "fast", "-g", "25", "-bf", "0", "-pix_fmt", "yuv420p"];
    let rate = ["-b:v", "2M", "-maxrate", "2M", "-bufsize", "2M"];
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-y"]).args(source).args(codec).args(rate).arg(film).stdin(Stdio::null());
    run_quietly(&mut command)
}
