//! Configuration of the gateway: what the machine decides. What the site
//! records is no configuration file's business; it comes in signed commands.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use gateway_core::webhooks::Filter;
use gateway_core::{frigate, recorder};
use model::{CameraId, EventKind, Timestamp};
use serde::Deserialize;
use url::{Host, Url};

/// Addresses that are asked for cameras.
const TARGETS_MAX: usize = 16;
/// From one sweep of a camera to the next, in hours: 30 days.
const SWEEP_HOURS_MAX: u64 = 720;
/// Webhooks of one gateway.
const WEBHOOKS_MAX: usize = 16;
/// Of a webhook's name.
const NAME_MAX: usize = 32;
/// Of a user name at a broker, in bytes.
const USERNAME_MAX: usize = 128;
/// Of what topics begin with, in bytes.
const PREFIX_MAX: usize = 64;
/// Cameras of which Frigate is heard.
const FRIGATE_CAMERAS_MAX: usize = 64;

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
    pub discovery: DiscoverySection,
    pub sweep: SweepSection,
    /// Systems that are told of events, 16 at most. Default none.
    pub webhooks: Vec<WebhookSection>,
    /// The MQTT broker that is told of events. Default none.
    pub mqtt: Option<MqttSection>,
}

/// A system that is told of events by signed webhooks.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookSection {
    /// What logs and `webhooks list` call it: 1 to 32 small letters, digits, `-`.
    pub name: String,
    /// Where events are sent, `https://…`.
    pub url: ReceiverUrl,
    /// `http://` is taken, too, though whoever is on the network reads along.
    /// Default false: towards this machine alone.
    #[serde(default)]
    pub plain_http: bool,
    /// File with the secret that both sides know, `whsec_…`.
    pub secret_file: PathBuf,
    /// CA of the receiver's certificate (PEM), beside the system's. Default none.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// Ids of the cameras that it is told of. Default: every camera.
    #[serde(default)]
    pub cameras: Option<BTreeSet<CameraId>>,
    /// Kinds of events that it is told of. Default: every kind.
    #[serde(default)]
    pub kinds: Option<Vec<EventKind>>,
}

/// A broker that is told of events, and by which Home Assistant finds the cameras.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MqttSection {
    /// Of the broker, `mqtts://host`; port 8883 unless it says another.
    pub url: ReceiverUrl,
    /// `mqtt://` is taken, too, though whoever is on the network reads along.
    /// Default false: towards this machine alone.
    #[serde(default)]
    pub plain_mqtt: bool,
    /// As whom. Default: nobody.
    #[serde(default)]
    pub username: Option<String>,
    /// File with the password. Default none.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// CA of the broker's certificate (PEM), in place of the system's. Default none.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// What topics begin with. Default `lenskeep`.
    #[serde(default = "topic_prefix")]
    pub topic_prefix: String,
    /// As Home Assistant is set; empty: nothing is discovered. Default `homeassistant`.
    #[serde(default = "discovery_prefix")]
    pub discovery_prefix: String,
    /// Frigate, which says on this broker what it sees. Default: it is not heard.
    #[serde(default)]
    pub frigate: Option<FrigateSection>,
}

/// Frigate, whose word on the broker becomes events of cameras of the site.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FrigateSection {
    /// As Frigate's own `mqtt.topic_prefix`. Default `frigate`.
    #[serde(default = "frigate_prefix")]
    pub topic_prefix: String,
    /// Frigate's names of cameras, and which cameras they are, 64 at most.
    pub cameras: BTreeMap<String, CameraId>,
}

fn frigate_prefix() -> String {
    "frigate".to_owned()
}

fn topic_prefix() -> String {
    "lenskeep".to_owned()
}

fn discovery_prefix() -> String {
    "homeassistant".to_owned()
}

/// Shows its host and nothing else: paths of receivers are secrets at times.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct ReceiverUrl(pub Url);

/// Witnessing the cloud's history.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HistorySection {
    /// Seconds between two looks at the log, 1 to 300. Default 30.
    pub witness_seconds: u64,
}

/// How cameras are looked for when an administrator's device asks.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DiscoverySection {
    /// IPv4 addresses and ports to which the question goes, 16 at most. Default
    /// `["239.255.255.250:3702"]`, which is everybody; none: nothing is looked for.
    pub targets: Vec<SocketAddrV4>,
    /// Network interfaces by which everybody is asked. Default: all but loopback.
    pub interfaces: Option<BTreeSet<String>>,
}

/// Reading cameras for secrets that leaked into their settings and logs.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SweepSection {
    /// Hours from one time to the next, 1 to 720; 0: only when an administrator's
    /// device asks. Default 24.
    pub every_hours: u64,
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
            discovery: DiscoverySection::default(),
            sweep: SweepSection::default(),
            webhooks: Vec::new(),
            mqtt: None,
        }
    }
}

impl Default for HistorySection {
    fn default() -> Self {
        HistorySection { witness_seconds: 30 }
    }
}

impl Default for DiscoverySection {
    fn default() -> Self {
        let everybody = SocketAddrV4::new(Ipv4Addr::new(239, 255, 255, 250), 3_702);
        DiscoverySection { targets: vec![everybody], interfaces: None }
    }
}

impl Default for SweepSection {
    fn default() -> Self {
        SweepSection { every_hours: 24 }
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
        ensure!(
            self.discovery.targets.len() <= TARGETS_MAX,
            "discovery.targets has more than {TARGETS_MAX} addresses"
        );
        ensure!(
            self.discovery.interfaces.as_ref().is_none_or(|names| !names.is_empty()),
            "discovery.interfaces is empty; leave it out to mean all of them, or set targets = []"
        );
        let hours = self.sweep.every_hours;
        ensure!(hours <= SWEEP_HOURS_MAX, "sweep.every_hours = {hours} must be 0 to {SWEEP_HOURS_MAX}");
        let webhooks = &self.webhooks;
        ensure!(webhooks.len() <= WEBHOOKS_MAX, "there are more than {WEBHOOKS_MAX} [[webhooks]]");
        let mut names = BTreeSet::new();
        for webhook in webhooks {
            webhook.validate().with_context(|| webhook.describe())?;
            ensure!(names.insert(&webhook.name), "two [[webhooks]] have the name `{}`", webhook.name);
        }
        if let Some(mqtt) = &self.mqtt {
            mqtt.validate().context("[mqtt]")?;
        }
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

impl WebhookSection {
    fn validate(&self) -> anyhow::Result<()> {
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        ensure!(
            (1..=NAME_MAX).contains(&self.name.len()) && self.name.chars().all(is_plain),
            "name must be 1 to {NAME_MAX} small letters, digits and `-`"
        );
        self.url.check("plain_http", self.plain_http, ["https", "http"])?;
        let empty = |key| format!("{key} is empty; leave it out to mean all of them");
        ensure!(self.cameras.as_ref().is_none_or(|cameras| !cameras.is_empty()), empty("cameras"));
        ensure!(self.kinds.as_ref().is_none_or(|kinds| !kinds.is_empty()), empty("kinds"));
        Ok(())
    }

    /// Which it is, for errors.
    pub(crate) fn describe(&self) -> String {
        let name: String = self.name.chars().filter(|c| !c.is_control()).take(NAME_MAX).collect();
        format!("[[webhooks]] with name = \"{name}\"")
    }

    pub(crate) fn filter(&self) -> Filter {
        Filter { cameras: self.cameras.clone(), kinds: self.kinds.clone() }
    }
}

impl MqttSection {
    fn validate(&self) -> anyhow::Result<()> {
        self.url.check("plain_mqtt", self.plain_mqtt, ["mqtts", "mqtt"])?;
        ensure!(
            matches!(self.url.0.path(), "" | "/") && self.url.0.query().is_none(),
            "url ends after the port"
        );
        ensure!(
            self.password_file.is_none() || self.username.is_some(),
            "password_file needs a username beside it"
        );
        let username = self.username.as_deref().unwrap_or("-");
        ensure!((1..=USERNAME_MAX).contains(&username.len()), "username must have 1 to {USERNAME_MAX} bytes");
        let rule = "letters, digits, `_`, `-`, and `/` between them";
        ensure!(is_prefix(&self.topic_prefix), "topic_prefix must be 1 to {PREFIX_MAX} {rule}");
        ensure!(
            self.discovery_prefix.is_empty() || is_prefix(&self.discovery_prefix),
            "discovery_prefix must be at most {PREFIX_MAX} {rule}"
        );
        let Some(frigate) = &self.frigate else { return Ok(()) };
        ensure!(is_prefix(&frigate.topic_prefix), "frigate.topic_prefix must be 1 to {PREFIX_MAX} {rule}");
        ensure!(
            !frigate.cameras.is_empty(),
            "frigate.cameras is empty; it has a line for each camera: FRIGATES_NAME = \"cam_…\""
        );
        ensure!(
            frigate.cameras.len() <= FRIGATE_CAMERAS_MAX,
            "frigate.cameras has more than {FRIGATE_CAMERAS_MAX} names"
        );
        ensure!(
            frigate.cameras.keys().all(|name| name.len() <= frigate::NAME_MAX && is_level(name)),
            "frigate.cameras has a name that is none of Frigate's: 1 to {} letters, digits, `_` and `-`",
            frigate::NAME_MAX
        );
        Ok(())
    }
}

/// Of a topic: nothing that means more than itself.
fn is_level(level: &str) -> bool {
    !level.is_empty() && level.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

fn is_prefix(prefix: &str) -> bool {
    prefix.len() <= PREFIX_MAX && prefix.split('/').all(is_level)
}

impl ReceiverUrl {
    /// `flag` allows the second scheme, which is not encrypted, also towards others
    /// than this machine.
    fn check(&self, flag: &str, is_flagged: bool, [tls, plain]: [&str; 2]) -> anyhow::Result<()> {
        let url = &self.0;
        ensure!(
            url.username().is_empty() && url.password().is_none(),
            "url holds a user name or password; they would not be sent"
        );
        ensure!(url.host().is_some(), "url names no host");
        ensure!(url.fragment().is_none(), "url has a part after `#`, which is never sent");
        let is_loopback = match url.host() {
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            // Of schemes that it does not know, the parser takes IPv4 for a name.
            Some(Host::Domain(name)) => {
                name == "localhost" || name.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
            }
            None => false,
        };
        ensure!(
            url.scheme() == tls || url.scheme() == plain,
            "url begins with {tls}://, or with {plain}:// towards this machine"
        );
        ensure!(
            url.scheme() == tls || is_loopback || is_flagged,
            "url begins with {plain}://, by which whoever is on the network reads along; use {tls}://, or set \
             {flag} = true"
        );
        Ok(())
    }
}

impl fmt::Debug for ReceiverUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}/…", self.0.scheme(), self.0.host_str().unwrap_or_default())
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

    fn refused(text: &str) -> String {
        format!("{:#}", Config::parse(text).unwrap_err())
    }

    fn webhook(url: &str, more: &str) -> String {
        format!("[[webhooks]]\nname = \"alarm\"\nurl = \"{url}\"\nsecret_file = \"s\"\n{more}\n")
    }

    #[test]
    fn webhooks_go_by_https_or_stay_on_this_machine() {
        for url in ["https://a.example/x", "http://127.0.0.1:1/", "http://[::1]/", "http://localhost/x"] {
            Config::parse(&webhook(url, "")).unwrap();
        }
        let plain = "http://192.0.2.1/api/webhook/token";
        assert!(refused(&webhook(plain, "")).ends_with("use https://, or set plain_http = true"));
        Config::parse(&webhook(plain, "plain_http = true")).unwrap();
        for (url, words) in [
            ("ftp://a.example/", "begins with https://"),
            ("https://user:hunter2@a.example/", "user name or password"),
            ("http://localhost.example.org/", "reads along"),
            ("http://127.0.0.1.example.org/", "reads along"),
            ("https://a.example/#x", "after `#`"),
        ] {
            let error = refused(&webhook(url, ""));
            assert!(error.starts_with("[[webhooks]] with name = \"alarm\": url "), "{error}");
            assert!(error.contains(words) && !error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn webhooks_are_named_apart_and_say_what_they_want() {
        let good = webhook("https://a.example/", "");
        assert!(refused(&good.repeat(2)).contains("two [[webhooks]] have the name `alarm`"));
        assert!(refused(&good.replace("alarm", "A b")).contains("name must be 1 to 32"));
        assert!(refused(&webhook("https://a.example/", "kinds = []")).contains("kinds is empty"));
        assert!(refused(&webhook("https://a.example/", "cameras = []")).contains("cameras is empty"));
        assert!(
            refused(&webhook("https://a.example/", "kinds = [\"persons\"]"))
                .contains("Did you mean `person`?")
        );
        let many: String = (0..17).map(|n| good.replace("alarm", &format!("a{n}"))).collect();
        assert!(refused(&many).contains("more than 16"));
        // Paths of receivers can be secrets, as Home Assistant's are.
        let config = Config::parse(&webhook("https://a.example/api/webhook/hunter2?t=hunter2", "")).unwrap();
        assert!(!format!("{config:?}").contains("hunter2"));
    }

    #[test]
    fn a_broker_is_reached_by_tls_and_topics_have_no_wildcards() {
        let mqtt = |url: &str, more: &str| format!("[mqtt]\nurl = \"{url}\"\n{more}");
        Config::parse(&mqtt("mqtts://broker.example:8884", "topic_prefix = \"site/1\"")).unwrap();
        Config::parse(&mqtt("mqtt://127.0.0.1", "discovery_prefix = \"\"")).unwrap();
        Config::parse(&mqtt("mqtt://192.0.2.1", "plain_mqtt = true")).unwrap();
        assert!(refused(&mqtt("mqtt://192.0.2.1", "")).ends_with("use mqtts://, or set plain_mqtt = true"));
        assert!(refused(&mqtt("https://a.example", "")).starts_with("[mqtt]: url begins with mqtts://"));
        assert!(refused(&mqtt("mqtts://u:hunter2@a.example", "")).contains("user name or password"));
        assert!(refused(&mqtt("mqtts://a.example/topic", "")).contains("ends after the port"));
        assert!(refused(&mqtt("mqtts://a.example", "password_file = \"p\"")).contains("needs a username"));
        for prefix in ["", "a/#", "+", "$SYS", "a//b", "/a", "a/", "a b", "é"] {
            let error = refused(&mqtt("mqtts://a.example", &format!("topic_prefix = \"{prefix}\"")));
            assert!(error.contains("topic_prefix must be"), "{prefix}: {error}");
        }
    }
    #[test]
    fn frigate_is_heard_of_cameras_that_are_named() {
        let with = |more: &str| format!("[mqtt]\nurl = \"mqtts://a.example\"\n[mqtt.frigate]\n{more}\n");
        let camera = CameraId::from_random([7; 16]);
        let config = Config::parse(&with(&format!("cameras = {{ front-door_2 = \"{camera}\" }}"))).unwrap();
        let frigate = config.mqtt.unwrap().frigate.unwrap();
        assert_eq!((frigate.topic_prefix.as_str(), frigate.cameras["front-door_2"]), ("frigate", camera));
        assert!(refused(&with("")).contains("cameras"));
        assert!(refused(&with("cameras = {}")).contains("frigate.cameras is empty"));
        assert!(refused(&with("cameras = { front = \"front\" }")).contains("front"));
        for name in ["a b", "a/b", "+", "#", "", "é", &"x".repeat(65)] {
            let error = refused(&with(&format!("cameras = {{ \"{name}\" = \"{camera}\" }}")));
            assert!(error.contains("a name that is none of Frigate's"), "{name}: {error}");
        }
        for prefix in ["", "#", "a/+", "a//b"] {
            let cameras = format!("topic_prefix = \"{prefix}\"\ncameras = {{ front = \"{camera}\" }}");
            assert!(refused(&with(&cameras)).contains("frigate.topic_prefix must be"), "{prefix}");
        }
        let many: String = (0..65).map(|n| format!("front{n} = \"{camera}\"\n")).collect();
        let many = with("").replace("[mqtt.frigate]\n\n", &format!("[mqtt.frigate.cameras]\n{many}"));
        assert!(refused(&many).contains("more than 64 names"));
    }
}
