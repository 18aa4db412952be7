//! Packages of the programs that were built: installed, upgraded under a gateway
//! that records, taken back and removed, with Debian's own tools, in a folder.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::OneBox;

const PATIENCE: Duration = Duration::from_secs(90);
/// Usually under a second; this machine may have other things to do.
const HOLE_MS_MAX: u64 = 10_000;

fn programs() -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_lenskeep")).parent().unwrap().to_owned()
}

/// Packages of the programs that are built already.
fn make(out: &Path, revision: u32, options: &[&str]) {
    let task = programs().join("xtask");
    assert!(task.exists(), "cargo build --workspace --bins comes first");
    let made = Command::new(task)
        .args(["dist", "--profile", "dev", "--revision", &revision.to_string(), "--binaries"])
        .arg(programs())
        .arg("--out")
        .arg(out)
        .args(options)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&made.stdout);
    assert!(made.status.success(), "{said}{}", String::from_utf8_lossy(&made.stderr));
}

/// A machine's root folder with dpkg's database, and packages of two revisions.
/// Maintainer scripts run, by `DPKG_ROOT`; there is no systemd in it.
struct Machine {
    folder: TempDir,
}

impl Machine {
    fn new() -> Self {
        let machine = Machine { folder: tempfile::tempdir().unwrap() };
        let dpkg = machine.root().join("var/lib/dpkg");
        for folder in ["updates", "info"] {
            std::fs::create_dir_all(dpkg.join(folder)).unwrap();
        }
        std::fs::write(dpkg.join("status"), "").unwrap();
        make(&machine.made(1), 1, &[]);
        make(&machine.made(2), 2, &["--package", "lenskeep-gateway"]);
        machine
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    fn made(&self, revision: u32) -> PathBuf {
        self.folder.path().join(format!("revision-{revision}"))
    }

    fn package(&self, name: &str, revision: u32) -> PathBuf {
        let files = std::fs::read_dir(self.made(revision)).unwrap().map(|entry| entry.unwrap().path());
        let is_it = |path: &PathBuf| {
            let file = path.file_name().unwrap().to_str().unwrap();
            file.starts_with(&format!("{name}_")) && file.ends_with(".deb")
        };
        files.into_iter().find(is_it).unwrap()
    }

    /// What a machine really has and this folder lacks: other packages, and for
    /// whoever is not root, the right to give files away.
    fn try_dpkg(&self, arguments: &[&str]) -> Output {
        let path = std::env::var("PATH").unwrap_or_default();
        Command::new("fakeroot")
            .args(["dpkg", "--force-not-root", "--force-script-chrootless", "--force-depends", "--root"])
            .arg(self.root())
            .args(arguments)
            .env("PATH", format!("{path}:/usr/sbin:/sbin"))
            .output()
            .expect("fakeroot (Debian package fakeroot)")
    }

    fn dpkg(&self, arguments: &[&str]) -> String {
        let done = self.try_dpkg(arguments);
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        assert!(done.status.success(), "dpkg {arguments:?}: {said}{}", String::from_utf8_lossy(&done.stderr));
        said
    }

    fn install(&self, name: &str, revision: u32) -> String {
        self.dpkg(&["--install", self.package(name, revision).to_str().unwrap()])
    }

    fn state(&self, name: &str) -> String {
        let status = std::fs::read_to_string(self.root().join("var/lib/dpkg/status")).unwrap();
        let of = status.split("\n\n").find(|entry| entry.contains(&format!("Package: {name}\n"))).unwrap();
        of.lines().find_map(|line| line.strip_prefix("Status: ")).unwrap().to_owned()
    }

    fn data(&self) -> PathBuf {
        self.root().join("var/lib/lenskeep-gateway")
    }

    /// The gateway as its unit starts it, in this folder.
    fn gateway(&self, command: &[&str]) -> Command {
        let mut gateway = Command::new(self.root().join("usr/bin/lenskeep-gateway"));
        gateway.args(command).arg("--config").arg(self.root().join("etc/lenskeep/gateway.toml"));
        gateway.arg("--data").arg(self.data()).env("LENSKEEP_LOG", "warn");
        gateway
    }

    fn start(&self) -> Gateway {
        Gateway(self.gateway(&["run"]).spawn().unwrap())
    }
}

struct Gateway(Child);

impl Gateway {
    fn stop(mut self) {
        assert!(Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status().unwrap().success());
        assert!(self.0.wait().unwrap().success(), "a graceful end is a success");
    }

    fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    fn program(&self) -> String {
        let link = std::fs::read_link(format!("/proc/{}/exe", self.0.id())).unwrap();
        link.to_str().unwrap().to_owned()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An organisation, its camera, and the installed gateway that has joined it.
struct Site {
    cloud: OneBox,
    camera: String,
}

impl Site {
    fn joined(machine: &Machine) -> (Self, Gateway) {
        let cloud = OneBox::new();
        let link = cloud.link.clone().unwrap();
        cloud.succeed(&["device", "new", "--link", link.split('&').next().unwrap()]);
        let mut adding = cloud.command(&["gateway", "add"]).stdout(Stdio::piped()).spawn().unwrap();
        let code = BufReader::new(adding.stdout.take().unwrap()).lines().next().unwrap().unwrap();
        let code_file = cloud.path("code");
        std::fs::write(&code_file, code).unwrap();
        let url = format!("https://localhost:{}", cloud.viewer_port() + 1);
        let enrol = ["enrol", "--join-only", "--cloud", &url, "--code", code_file.to_str().unwrap()];
        let joined = machine.gateway(&enrol).output().unwrap();
        assert!(joined.status.success(), "{}", String::from_utf8_lossy(&joined.stderr));
        assert!(adding.wait().unwrap().success());

        let gateway = machine.start();
        let password = cloud.data().join("demo-camera-password");
        let address = format!("rtsp://127.0.0.1:{}/main", cloud.viewer_port() + 3);
        let add = ["camera", "add", "--name", "Door", "--username", "demo", "--password-file"];
        cloud.succeed(&[&add[..], &[password.to_str().unwrap(), &address]].concat());
        let camera = cloud.first_camera();
        (Site { cloud, camera }, gateway)
    }

    /// How long nothing was recorded around a moment in which nothing ran, in
    /// ms, as soon as the recordings before and after it are listed. The newest
    /// are forwarded first, so it is looked at twice.
    fn hole(&self, around: u64) -> u64 {
        let begun = Instant::now();
        let mut seen = None;
        loop {
            let list = self.cloud.succeed(&["recording", "list", "--camera", &self.camera, "--json"]);
            let list: Value = serde_json::from_str(&list).unwrap();
            let times = |recording: &Value| {
                let begin = recording["started_at"].as_u64().unwrap();
                (begin, begin + recording["duration_ms"].as_u64().unwrap())
            };
            let recordings = list["recordings"].as_array().unwrap().iter().map(times);
            let (before, after): (Vec<_>, Vec<_>) = recordings.partition(|(begin, _)| *begin < around);
            let before = before.iter().map(|(_, end)| *end).max();
            let after = after.iter().map(|(begin, _)| *begin).min();
            let hole = before.zip(after).map(|(before, after)| after.saturating_sub(before));
            if let Some(hole) = hole.filter(|hole| Some(*hole) == seen) {
                return hole;
            }
            seen = hole;
            assert!(begun.elapsed() < PATIENCE, "waited in vain for recordings around {around}: {list}");
            std::thread::sleep(Duration::from_secs(1));
        }
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

#[test]
fn packages_upgrade_under_a_recorder_and_keep_its_footage() {
    let machine = Machine::new();
    machine.install("lenskeep-cloud", 1);
    let said = machine.install("lenskeep-gateway", 1);
    assert!(said.contains("installed and not started"), "{said}");
    let mode = |path: PathBuf| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(machine.data()), 0o700);
    assert_eq!(mode(machine.root().join("etc/lenskeep/cloud.toml")), 0o640);
    let users = std::fs::read_to_string(machine.root().join("etc/passwd")).unwrap();
    assert!(users.contains("lenskeep-gateway:") && users.contains("lenskeep-cloud:"), "{users}");
    // Until it has joined, the unit's condition keeps it from starting.
    let unit = machine.root().join("usr/lib/systemd/system/lenskeep-gateway.service");
    let unit = std::fs::read_to_string(unit).unwrap();
    assert!(unit.contains("ConditionPathExists=/var/lib/lenskeep-gateway/cloud.json"), "{unit}");
    assert!(!machine.data().join("cloud.json").exists());

    // Somebody configures it; that outlives upgrades.
    let configuration = machine.root().join("etc/lenskeep/gateway.toml");
    let text = std::fs::read_to_string(&configuration).unwrap();
    let text = text.replace("#enabled = true", "enabled = false").replace("#seconds = 60", "seconds = 2");
    std::fs::write(&configuration, text).unwrap();
    let (site, gateway) = Site::joined(&machine);
    assert!(machine.data().join("cloud.json").exists(), "what the unit's condition asks for");
    std::thread::sleep(Duration::from_secs(3));

    // Unpacked, not configured: the old program, now without a name, records on.
    machine.dpkg(&["--unpack", machine.package("lenskeep-gateway", 2).to_str().unwrap()]);
    assert_eq!(machine.state("lenskeep-gateway"), "install ok unpacked");
    assert!(gateway.program().ends_with("(deleted)"), "{}", gateway.program());
    gateway.stop();
    let moment = now();
    let gateway = machine.start();
    assert!(!gateway.program().ends_with("(deleted)"));
    let upgrade = site.hole(moment);
    let text = std::fs::read_to_string(&configuration).unwrap();
    assert!(text.contains("\nenabled = false"), "{text}");

    // The power fails in this state; what was cut off is brought in.
    gateway.kill();
    let moment = now();
    let gateway = machine.start();
    let kill = site.hole(moment);
    machine.dpkg(&["--configure", "--pending"]);
    assert_eq!(machine.state("lenskeep-gateway"), "install ok installed");

    // And back, stopped for all of it.
    gateway.stop();
    let moment = now();
    machine.install("lenskeep-gateway", 1);
    let gateway = machine.start();
    let downgrade = site.hole(moment);
    gateway.stop();
    eprintln!("not recorded, in ms: upgrade {upgrade}, kill -9 {kill}, downgrade while stopped {downgrade}");
    assert!([upgrade, kill, downgrade].iter().all(|hole| *hole < HOLE_MS_MAX));

    let recordings = machine.data().join("recordings");
    let words = site.cloud.succeed(&["verify", recordings.to_str().unwrap()]);
    assert!(words.contains("genuine") && !words.contains("REFUSED"), "{words}");
    machine.dpkg(&["--remove", "lenskeep-gateway"]);
    assert!(configuration.exists() && machine.data().join("cloud.json").exists());
    let said = machine.dpkg(&["--purge", "lenskeep-gateway", "lenskeep-cloud"]);
    assert!(said.contains("Nothing in /var/lib/lenskeep-gateway was deleted"), "{said}");
    assert!(!configuration.exists());
    assert_eq!(site.cloud.succeed(&["verify", recordings.to_str().unwrap()]), words, "all footage is there");
}

#[test]
fn the_same_programs_make_the_same_packages() {
    let folder = tempfile::tempdir().unwrap();
    let sums = ["one", "other"].map(|name| {
        let out = folder.path().join(name);
        make(&out, 1, &["--package", "lenskeep-gateway"]);
        std::fs::read_to_string(out.join("SHA256SUMS")).unwrap()
    });
    assert!(sums[0].contains("lenskeep-gateway_"), "{}", sums[0]);
    assert_eq!(sums[0], sums[1]);
}

/// A configuration file as it is when every line that shows a key counts.
fn uncommented(text: &str) -> String {
    let line =
        |line: &str| line.strip_prefix('#').filter(|key| !key.starts_with(' ')).unwrap_or(line).to_owned();
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn configuration_files_show_every_key_and_its_default() {
    let gateway = include_str!("../../../../deploy/gateway/gateway.toml");
    let shipped = gateway::Config::parse(gateway).unwrap();
    let default = gateway::Config { data: shipped.data.clone(), ..Default::default() };
    assert_eq!(shipped.data, Path::new("/var/lib/lenskeep-gateway"));
    assert_eq!(format!("{shipped:?}"), format!("{default:?}"));
    let mut all = gateway::Config::parse(&uncommented(gateway)).unwrap();
    assert_shows_all(gateway, include_str!("../../../gateway/src/config.rs"));
    (all.name, all.store.ca_file, all.discovery.interfaces) = (None, None, None);
    let [webhook] = &all.webhooks[..] else { panic!("one example of a webhook") };
    assert!(!webhook.plain_http);
    all.webhooks.clear();
    let mqtt = all.mqtt.take().unwrap();
    assert!(!mqtt.plain_mqtt);
    assert_eq!((&*mqtt.topic_prefix, &*mqtt.discovery_prefix), ("lenskeep", "homeassistant"));
    let frigate = mqtt.frigate.unwrap();
    assert_eq!((&*frigate.topic_prefix, frigate.cameras.len()), ("frigate", 1));
    assert_eq!(format!("{all:?}"), format!("{default:?}"), "what is no example is the default");

    let cloud = include_str!("../../../../deploy/cloud/cloud.toml");
    let shipped = cloud::Config::parse(cloud).unwrap();
    let default = cloud::Config { data: shipped.data.clone(), ..Default::default() };
    assert_eq!(shipped.data, Path::new("/var/lib/lenskeep-cloud"));
    assert_eq!(format!("{shipped:?}"), format!("{default:?}"));
    let key = seal::tlog::LogKey {
        name: "w.example".to_owned(),
        key: seal::keys::SigningKey::from_seed([1; 32]).verifying_key(),
    };
    let text = uncommented(cloud).replace("\"KEY\"", &format!("\"{}\"", key.cosigner_key()));
    let all = cloud::Config::parse(&text).unwrap();
    assert_shows_all(cloud, include_str!("../../../cloud/src/config.rs"));
    let (listen, expected) = (&all.listen, &default.listen);
    assert_eq!(
        (listen.viewers, listen.gateways, listen.metrics),
        (expected.viewers, expected.gateways, expected.metrics)
    );
    let (store, expected) = (&all.store, &default.store);
    assert_eq!((store.kind, store.credential), (expected.kind, expected.credential));
    assert_eq!(
        (&store.footage, &store.grants, &store.history),
        (&expected.footage, &expected.grants, &expected.history)
    );
    assert_eq!(all.history.witness_seconds, default.history.witness_seconds);
    assert_eq!(all.history.recordings_seconds, default.history.recordings_seconds);
}

/// Each field of the configuration's structs has its line in the file.
fn assert_shows_all(file: &str, code: &'static str) {
    // Set by a program, never by a file.
    let code = code.split("pub struct DemoCamera").next().unwrap();
    let field = |line: &'static str| line.strip_prefix("    pub ")?.split_once(": ").map(|(name, _)| name);
    let is_key = |name: &&str| !name.contains(' ') && *name != "demo_camera";
    let lines: Vec<&str> = file.lines().map(|line| line.trim_start_matches('#')).collect();
    for key in code.lines().filter_map(field).filter(is_key) {
        let section = |line: &str| line.trim_matches(['[', ']']).rsplit('.').next() == Some(key);
        let is_there = lines.iter().any(|line| line.starts_with(&format!("{key} = ")) || section(line));
        assert!(is_there, "the file says nothing of {key}");
    }
}
