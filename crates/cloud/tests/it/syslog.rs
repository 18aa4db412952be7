//! The history at a collector of events: rsyslog, which others wrote, over TLS.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use cloud::SyslogSection;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use reqwest::StatusCode;
use serde_json::Value;
use tempfile::TempDir;

use crate::live::until;
use crate::support::World;

struct Collector {
    folder: TempDir,
    port: u16,
    process: Option<Child>,
}

/// A certificate for localhost and the one that it comes from.
fn certified(folder: &Path, name: &str) {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_pem = ca.self_signed(&ca_key).unwrap().pem();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, &Issuer::new(ca, ca_key)).unwrap();
    std::fs::write(folder.join(format!("{name}-ca.pem")), ca_pem).unwrap();
    std::fs::write(folder.join(format!("{name}.pem")), leaf.pem()).unwrap();
    std::fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).unwrap();
}

impl Collector {
    fn new() -> Self {
        let folder = TempDir::with_prefix("lk-syslog-").unwrap();
        certified(folder.path(), "true");
        certified(folder.path(), "false");
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Collector { folder, port, process: None }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn section(&self) -> SyslogSection {
        let server = format!("localhost:{}", self.port);
        SyslogSection { server, ca_file: self.path("true-ca.pem"), certificate: None, key: None }
    }

    fn start(&mut self, certificate: &str) {
        let folder = self.folder.path().display();
        let config = format!(
            r#"global(workDirectory="{folder}" maxMessageSize="128k"
                DefaultNetstreamDriver="gtls" DefaultNetstreamDriverCAFile="{folder}/true-ca.pem"
                DefaultNetstreamDriverCertFile="{folder}/{certificate}.pem"
                DefaultNetstreamDriverKeyFile="{folder}/{certificate}.key")
            module(load="imtcp" StreamDriver.Name="gtls" StreamDriver.Mode="1" StreamDriver.AuthMode="anon")
            input(type="imtcp" address="127.0.0.1" port="{port}")
            template(name="line" type="string" string="%syslogpriority-text% %hostname% %app-name% %procid% %msgid% %msg%\n")
            action(type="omfile" file="{folder}/taken" template="line")
            "#,
            port = self.port
        );
        std::fs::write(self.path("rsyslog.conf"), config).unwrap();
        let mut command = Command::new("/usr/sbin/rsyslogd");
        command.arg("-n").arg("-f").arg(self.path("rsyslog.conf")).arg("-i").arg(self.path("pid"));
        self.process = Some(command.spawn().expect("rsyslogd is installed by the tests"));
    }

    /// As `kill -9` does.
    fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// The lines whose entry is whole.
    fn taken(&self) -> Vec<(String, Value)> {
        let text = std::fs::read_to_string(self.path("taken")).unwrap_or_default();
        let entry = |line: &str| {
            let (head, json) = line.split_once(" {")?;
            Some((head.trim().to_owned(), serde_json::from_str(&format!("{{{json}")).ok()?))
        };
        text.lines().filter_map(entry).collect()
    }

    fn numbers(&self) -> BTreeSet<u64> {
        self.taken().iter().map(|(_, entry)| entry["unmapped"]["seq"].as_u64().unwrap()).collect()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.kill();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_entry_reaches_the_collector_that_was_named_and_no_other() {
    let mut collector = Collector::new();
    // Somebody else at its address gets nothing.
    collector.start("false");
    let section = collector.section();
    let world = World::with(None, |config| config.syslog = Some(section)).await;
    let organisation = world.found().await;
    let api = organisation.api(&world);
    let look =
        async || api.post("/api/v1/reasons", &serde_json::json!({ "reason": "a parcel is missing" })).await;
    assert_eq!(look().await.status, StatusCode::NO_CONTENT);
    let newest =
        async || api.get("/api/v1/history?limit=1").await.body["entries"][0]["seq"].as_u64().unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(4)).await;
    assert_eq!(collector.taken(), []);
    collector.kill();

    collector.start("true");
    until(async || collector.numbers().contains(&0)).await;
    let (head, first) = collector.taken().remove(0);
    let host = world.running.public_url.host_str().unwrap();
    assert_eq!(head, format!("info {host} lenskeep {} history", organisation.org));
    assert_eq!(first["api"]["operation"], "sign_in");
    assert!(!first.to_string().contains(&organisation.admin.id.to_string()), "people stand by reference");

    // It dies, things go on, it comes back: nothing is missing.
    let before = newest().await;
    until(async || collector.numbers().contains(&before)).await;
    collector.kill();
    for _ in 0..5 {
        look().await;
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    }
    let last = newest().await;
    assert!(last >= before + 5);
    collector.start("true");
    until(async || (0..=last).all(|number| collector.numbers().contains(&number))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_cannot_be_is_named_at_the_start() {
    let section = Collector::new().section();
    let config = cloud::Config {
        data: TempDir::new().unwrap().path().join("cloud"),
        syslog: Some(SyslogSection { ca_file: "/nonexistent/ca.pem".into(), ..section }),
        ..cloud::Config::default()
    };
    let error = format!("{:#}", cloud::start(config).await.unwrap_err());
    assert!(error.contains("/nonexistent/ca.pem"), "{error}");
}
