//! Mosquitto, the broker of most homes, as a process of the test.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use gateway::{MqttSection, ReceiverUrl};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use super::super::until;

const PACKAGES: &str = "mosquitto mosquitto-clients";
const USERNAME: &str = "gateway";
pub(super) const PASSWORD: &str = "hunter2 and more";

/// Killed when dropped.
pub(super) struct Broker {
    folder: PathBuf,
    port: u16,
    child: Option<Child>,
}

/// What a client has got, line by line: retained or not, topic, payload.
pub(super) struct Subscriber {
    lines: Arc<Mutex<Vec<String>>>,
    child: Child,
}

impl Broker {
    /// Lets in one user, by TLS, with a certificate of a CA of its own.
    pub(super) async fn start(folder: &Path) -> Self {
        let folder = folder.join("broker");
        std::fs::create_dir(&folder).unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Of the same name, what it signs would look signed by itself.
        params.distinguished_name.push(DnType::CommonName, "The site's CA");
        std::fs::write(folder.join("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        let ca = Issuer::new(params, key);
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["127.0.0.1".to_owned(), "localhost".to_owned()]).unwrap();
        std::fs::write(folder.join("broker.pem"), params.signed_by(&key, &ca).unwrap().pem()).unwrap();
        std::fs::write(folder.join("broker.key"), key.serialize_pem()).unwrap();
        let made = Command::new("mosquitto_passwd")
            .args(["-c", "-b"])
            .arg(folder.join("passwords"))
            .args([USERNAME, PASSWORD])
            .status()
            .unwrap_or_else(|error| panic!("mosquitto_passwd: {error}; apt-get install {PACKAGES}"));
        assert!(made.success());
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let at = folder.display();
        let config = format!(
            "user root\nlistener {port} 127.0.0.1\nallow_anonymous false\npassword_file {at}/passwords\n\
             cafile {at}/ca.pem\ncertfile {at}/broker.pem\nkeyfile {at}/broker.key\n"
        );
        std::fs::write(folder.join("mosquitto.conf"), config).unwrap();
        let mut broker = Broker { folder, port, child: None };
        broker.run().await;
        broker
    }

    pub(super) async fn run(&mut self) {
        let sbin = Path::new("/usr/sbin/mosquitto");
        let program = if sbin.exists() { sbin } else { Path::new("mosquitto") };
        let child = Command::new(program)
            .arg("-c")
            .arg(self.folder.join("mosquitto.conf"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("mosquitto: {error}; apt-get install {PACKAGES}"));
        self.child = Some(child);
        let port = self.port;
        until("the broker listens", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()).await;
    }

    pub(super) fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    pub(super) fn section(&self) -> MqttSection {
        let password_file = self.folder.join("password");
        super::super::webhooks::write_secret(&password_file, PASSWORD, 0o600);
        MqttSection {
            url: ReceiverUrl(format!("mqtts://localhost:{}", self.port).parse().unwrap()),
            plain_mqtt: false,
            username: Some(USERNAME.to_owned()),
            password_file: Some(password_file),
            ca_file: Some(self.folder.join("ca.pem")),
            topic_prefix: "lenskeep".to_owned(),
            discovery_prefix: "homeassistant".to_owned(),
            frigate: None,
        }
    }

    fn client(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .args(["-h", "localhost", "-p", &self.port.to_string(), "-u", USERNAME, "-P", PASSWORD])
            .arg("--cafile")
            .arg(self.folder.join("ca.pem"));
        command
    }

    /// As Frigate does. Each line is a message of its own.
    pub(super) fn publish(&self, topic: &str, is_retained: bool, lines: &[u8]) {
        let mut command = self.client("mosquitto_pub");
        command.args(["-t", topic, "-l"]).args(is_retained.then_some("-r"));
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(lines).unwrap();
        assert!(child.wait().unwrap().success());
    }

    pub(super) fn subscribe(&self) -> Subscriber {
        let mut child = self
            .client("mosquitto_sub")
            .args(["-q", "1", "-t", "#", "-F", "%r %t %p"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (read, into) = (child.stdout.take().unwrap(), lines.clone());
        std::thread::spawn(move || {
            for line in BufReader::new(read).lines().map_while(Result::ok) {
                into.lock().unwrap().push(line);
            }
        });
        Subscriber { lines, child }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Subscriber {
    /// Everything that came, in order: topic and payload.
    pub(super) fn all(&self) -> Vec<(String, String)> {
        let lines = self.lines.lock().unwrap();
        let parts = lines.iter().map(|line| line.split_once(' ').unwrap().1.split_once(' '));
        parts
            .map(|parts| parts.map_or_else(Default::default, |(t, p)| (t.to_owned(), p.to_owned())))
            .collect()
    }

    /// What came last on the topic that ends so.
    pub(super) fn last(&self, end: &str) -> Option<String> {
        self.all().into_iter().rev().find(|(topic, _)| topic.ends_with(end)).map(|(_, payload)| payload)
    }

    pub(super) async fn sees(&self, end: &str, payload: &str) {
        until(&format!("{end} is {payload}"), || self.last(end).as_deref() == Some(payload)).await;
    }

    /// The events, in order.
    pub(super) fn events(&self) -> Vec<serde_json::Value> {
        let all = self.all().into_iter().filter(|(topic, _)| topic.ends_with("/events"));
        let all = all.map(|(_, payload)| serde_json::from_str::<serde_json::Value>(&payload).unwrap());
        // Cameras of tests repeat one picture, which the gateway tells at some time.
        all.filter(|body| body["data"]["source"] != "gateway").collect()
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
