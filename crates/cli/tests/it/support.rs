//! `lenskeep up` and a device of the command line, each a process of its own.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(90);

pub(crate) struct OneBox {
    folder: TempDir,
    device: Device,
    port: u16,
    up: Option<Child>,
    pub(crate) link: Option<String>,
}

impl OneBox {
    /// Starts `lenskeep up` in an empty folder.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let device = Device::new(folder.path());
        let mut started = OneBox { folder, device, port: free_ports(7), up: None, link: None };
        started.start();
        started
    }

    /// And sets the organisation up, with the demonstration camera.
    pub(crate) fn with_camera() -> (Self, String) {
        let started = Self::new();
        let link = started.link.clone().expect("a set-up link");
        let said = started.succeed(&["device", "new", "--link", &link]);
        std::fs::write(started.path("sheet"), said).unwrap();
        let password = started.data().join("demo-camera-password");
        let url = |name: &str| format!("rtsp://127.0.0.1:{}/{name}", started.port + 3);
        started.succeed(&[
            "camera",
            "add",
            "--name",
            "Door",
            "--username",
            "demo",
            "--password-file",
            password.to_str().unwrap(),
            "--sub-url",
            &url("sub"),
            &url("main"),
        ]);
        let camera = started.first_camera();
        (started, camera)
    }

    pub(crate) fn start(&mut self) {
        let listen = format!("127.0.0.1:{}", self.port);
        let mut up = Command::new(env!("CARGO_BIN_EXE_lenskeep"))
            .args(["up", "--listen", &listen, "--app-port", &self.app_port().to_string(), "--data"])
            .arg(self.data())
            // Further settings of the cloud, where a test wrote some.
            .args(
                self.config()
                    .exists()
                    .then(|| [PathBuf::from("--config"), self.config()])
                    .into_iter()
                    .flatten(),
            )
            .env("LENSKEEP_LOG", "warn")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(up.stdout.take().unwrap()).lines();
        let ready = lines.next().unwrap().unwrap();
        assert!(ready.contains("is ready"), "{ready}");
        // The link follows at once, if there is one; reading on would block.
        let is_new = !self.data().join("gateway/cloud.json").exists();
        self.link = is_new.then(|| {
            let lines = lines.by_ref().map(|line| line.unwrap());
            lines
                .filter_map(|line| Some(line.trim().to_owned()).filter(|l| l.starts_with("http")))
                .next()
                .unwrap()
        });
        std::thread::spawn(move || lines.for_each(drop));
        self.up = Some(up);
    }

    /// Of the web app and the API; that of gateways follows.
    pub(crate) fn viewer_port(&self) -> u16 {
        self.port
    }

    /// Where `lenskeep app` may serve people of this cloud.
    pub(crate) fn app_port(&self) -> u16 {
        self.port + 4
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.path("cloud.toml")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// As Ctrl+C and the system's own end do.
    pub(crate) fn terminate(&mut self) {
        let mut up = self.up.take().unwrap();
        let pid = up.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        assert!(up.wait().unwrap().success(), "a graceful end is a success");
    }

    /// As a power cut does, but for what the system still had in memory.
    pub(crate) fn kill(&mut self) {
        let mut up = self.up.take().unwrap();
        up.kill().unwrap();
        up.wait().unwrap();
    }
}

/// What the one box's own device does.
impl std::ops::Deref for OneBox {
    type Target = Device;

    fn deref(&self) -> &Device {
        &self.device
    }
}

impl Drop for OneBox {
    fn drop(&mut self) {
        if let Some(mut up) = self.up.take() {
            let _ = up.kill();
            let _ = up.wait();
        }
    }
}

/// A command line with keys of its own, in `home` of a folder.
pub(crate) struct Device {
    folder: PathBuf,
}

impl Device {
    pub(crate) fn new(folder: &Path) -> Self {
        let passphrase = folder.join("passphrase");
        if !passphrase.exists() {
            std::fs::write(passphrase, "a passphrase of the tests\n").unwrap();
        }
        Device { folder: folder.to_owned() }
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lenskeep"));
        command
            .args(arguments)
            .env("LENSKEEP_HOME", self.folder.join("home"))
            .env("LENSKEEP_PASSPHRASE_FILE", self.folder.join("passphrase"));
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    pub(crate) fn succeed(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "lenskeep {arguments:?}: {error}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// What it says when it fails.
    pub(crate) fn fail(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(!output.status.success(), "lenskeep {arguments:?} succeeded");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// The answer of `recording list`, as soon as it holds so many recordings.
    pub(crate) fn recordings(&self, camera: &str, at_least: usize) -> serde_json::Value {
        let begun = Instant::now();
        loop {
            let list = self.succeed(&["recording", "list", "--camera", camera, "--json"]);
            let list: serde_json::Value = serde_json::from_str(&list).unwrap();
            if list["recordings"].as_array().unwrap().len() >= at_least {
                return list;
            }
            assert!(begun.elapsed() < PATIENCE, "waited in vain for {at_least} recordings: {list}");
            std::thread::sleep(Duration::from_millis(500));
        }
    }

    pub(crate) fn first_camera(&self) -> String {
        let list = self.succeed(&["camera", "list", "--json"]);
        list.split('"').find(|word| word.starts_with("cam_")).unwrap().to_owned()
    }
}

/// The first of so many neighbours that no other test has while this process lives, and that the
/// system gives to nobody who connects (those begin at 32768 on Linux).
pub(crate) fn free_ports(count: u16) -> u16 {
    const FIRST: u16 = 10_000;
    const BLOCK: u16 = 8;
    const BLOCKS: u16 = 1_000;
    assert!(count < BLOCK);
    let free = |port: u16| ["127.0.0.1", "::1"].iter().all(|host| TcpListener::bind((*host, port)).is_ok());
    // Processes begin to look apart from each other.
    let offset = (std::process::id() % u32::from(BLOCKS)) as u16;
    for block in (0..BLOCKS).map(|n| (n + offset) % BLOCKS) {
        let claim = FIRST + block * BLOCK;
        // Whoever listens on a block's first port has the others.
        let Ok(listener) = TcpListener::bind(("127.0.0.1", claim)) else { continue };
        if (1..=count).all(|n| free(claim + n)) {
            std::mem::forget(listener);
            return claim + 1;
        }
    }
    panic!("no {count} free ports from {FIRST} on");
}

pub(crate) fn ffprobe(file: &Path, entries: &str) -> String {
    let probe = Command::new("ffprobe")
        .args(["-v", "error", "-show_entries", entries, "-of", "compact"])
        .arg(file)
        .output()
        .expect("ffprobe (Debian package ffmpeg)");
    assert!(probe.status.success(), "{}", String::from_utf8_lossy(&probe.stderr));
    String::from_utf8(probe.stdout).unwrap()
}
