//! The gateway as a process of its own, which can be killed and measured.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use super::Site;

/// `_SC_CLK_TCK` of Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// Killed when dropped.
pub(super) struct Process(Child);

impl Process {
    /// The gateway of a site that has joined.
    pub(super) fn start(site: &Site) -> Self {
        let config = write_config(site);
        let mut command = Command::new(env!("CARGO_BIN_EXE_lenskeep-gateway"));
        command.arg("--config").arg(config).arg("run");
        if std::env::var_os("LENSKEEP_LOG").is_none() {
            command.env("LENSKEEP_LOG", "error");
        }
        Self::spawn(&mut command)
    }

    pub(super) fn spawn(command: &mut Command) -> Self {
        Process(command.stdin(Stdio::null()).spawn().unwrap_or_else(|error| panic!("{command:?}: {error}")))
    }

    pub(super) fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    /// SIGTERM, by which recordings are closed.
    pub(super) fn terminate(mut self) {
        let asked = Command::new("kill").arg(self.0.id().to_string()).status().unwrap();
        assert!(asked.success() && self.0.wait().unwrap().success());
    }

    /// Processor time so far, user and system, in seconds (proc(5), fields 14 and 15).
    pub(super) fn cpu(&self) -> f64 {
        cpu_of(self.0.id())
    }

    /// Resident memory, in MiB: all of it, and what no other process shares.
    pub(super) fn memory(&self) -> (f64, f64) {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let mebibytes = |name: &str| -> f64 {
            let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.split_whitespace().next().unwrap().parse::<f64>().unwrap() / 1_024.0
        };
        (mebibytes("VmRSS:"), mebibytes("RssAnon:"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(super) fn cpu_of(process: u32) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let (_, after_name) = text.rsplit_once(')').unwrap();
    let field =
        |number: usize| after_name.split_whitespace().nth(number - 3).unwrap().parse::<f64>().unwrap();
    (field(14) + field(15)) / TICKS_PER_SECOND
}

/// As [`Site::config`], for a program.
pub(super) fn write_config(site: &Site) -> PathBuf {
    let config = site.config();
    let path = site.folder.path().join("gateway.toml");
    let mut text = format!(
        "data = {:?}\nname = \"Test\"\n[recording]\nseconds = {}\nfree_mebibytes_min = {}\n[local]\nlisten = \"{}\"\n[history]\nwitness_seconds = {}\n",
        config.data,
        config.recording.seconds,
        config.recording.free_mebibytes_min,
        config.local.listen,
        config.history.witness_seconds,
    );
    for webhook in &config.webhooks {
        text += &format!(
            "[[webhooks]]\nname = {:?}\nurl = {:?}\nsecret_file = {:?}\n",
            webhook.name,
            webhook.url.0.as_str(),
            webhook.secret_file
        );
    }
    if let Some(mqtt) = &config.mqtt {
        text += &format!(
            "[mqtt]\nurl = {:?}\nusername = {:?}\npassword_file = {:?}\nca_file = {:?}\n",
            mqtt.url.0.as_str(),
            mqtt.username.as_ref().unwrap(),
            mqtt.password_file.as_ref().unwrap(),
            mqtt.ca_file.as_ref().unwrap()
        );
    }
    std::fs::write(&path, text).unwrap();
    path
}
