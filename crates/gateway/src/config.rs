//! Configuration of the gateway: what the machine decides. What the site
//! records is no configuration file's business; it comes in signed commands.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use gateway_core::recorder;
use model::Timestamp;
use serde::Deserialize;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Folder of identity, index and recordings. Default `lenskeep-gateway`.
    pub data: PathBuf,
    /// What people call this gateway; taken at enrolment. Default: the host's name.
    pub name: Option<String>,
    pub recording: RecordingSection,
    pub store: StoreSection,
    pub local: LocalSection,
    pub history: HistorySection,
}

/// Witnessing the cloud's history.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HistorySection {
    /// Seconds between two looks at the log, 1 to 300. Default 30.
    pub witness_seconds: u64,
}

/// The way for people of the same network, without the cloud.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LocalSection {
    /// Default true: a site that cannot reach its cloud is still watched.
    pub enabled: bool,
    /// Address and port to listen on. Default `0.0.0.0:8474`.
    pub listen: SocketAddr,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RecordingSection {
    /// A recording closes at the first key frame after this many seconds, 2 to 60. Default 60.
    pub seconds: u64,
    /// And at this size, in MiB, 1 to 48. Default 16.
    pub mebibytes: u64,
    /// How long a recording stays here at least, confirmed or not. Default 10.
    pub keep_minutes_min: u64,
    /// Free space, in MiB, below which the oldest recordings go, forwarded or
    /// not; each is then reported lost. Default 1024.
    pub free_mebibytes_min: u64,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreSection {
    /// CA of the object store's certificate (PEM), beside the system's. Default none.
    pub ca_file: Option<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            data: PathBuf::from("lenskeep-gateway"),
            name: None,
            recording: RecordingSection::default(),
            store: StoreSection::default(),
            local: LocalSection::default(),
            history: HistorySection::default(),
        }
    }
}

impl Default for HistorySection {
    fn default() -> Self {
        HistorySection { witness_seconds: 30 }
    }
}

impl Default for LocalSection {
    fn default() -> Self {
        LocalSection { enabled: true, listen: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 8_474)) }
    }
}

impl Default for RecordingSection {
    fn default() -> Self {
        RecordingSection { seconds: 60, mebibytes: 16, keep_minutes_min: 10, free_mebibytes_min: 1_024 }
    }
}

impl Config {
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("the configuration {} could not be read", path.display()))?;
        Self::parse(&text).with_context(|| format!("the configuration {} is not valid", path.display()))
    }

    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let config: Config = model::config::parse(text)?;
        config.validate()?;
        Ok(config)
    }

    pub(crate) fn validate(&self) -> anyhow::Result<()> {
        let recording = &self.recording;
        ensure!(
            (2..=60).contains(&recording.seconds),
            "recording.seconds = {} must be 2 to 60",
            recording.seconds
        );
        ensure!(
            (1..=48).contains(&recording.mebibytes),
            "recording.mebibytes = {} must be 1 to 48",
            recording.mebibytes
        );
        let witness = self.history.witness_seconds;
        ensure!((1..=300).contains(&witness), "history.witness_seconds = {witness} must be 1 to 300");
        Ok(())
    }

    /// The name given, or the host's.
    pub(crate) fn name(&self) -> String {
        let host = || std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
        let name = self.name.clone().or_else(host).unwrap_or_default();
        let name: String = name.trim().chars().filter(|c| !c.is_control()).take(64).collect();
        if name.is_empty() { "Gateway".to_owned() } else { name }
    }
}

impl From<&RecordingSection> for recorder::Limits {
    fn from(recording: &RecordingSection) -> Self {
        let duration_ms = recording.seconds * Timestamp::SECOND;
        recorder::Limits {
            duration_ms,
            duration_ms_max: duration_ms + duration_ms / 4,
            bytes: recording.mebibytes << 20,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_named() {
        let error = format!("{:#}", Config::parse("[recording]\nsecond = 5").unwrap_err());
        assert!(error.contains("line 2") && error.contains("Did you mean `seconds`?"), "{error}");
        let error = Config::parse("[recording]\nseconds = 600").unwrap_err().to_string();
        assert_eq!(error, "recording.seconds = 600 must be 2 to 60");
        assert_eq!(recorder::Limits::from(&Config::parse("").unwrap().recording).duration_ms_max, 75_000);
    }
}
