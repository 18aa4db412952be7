//! Azurite, Azure Storage's emulator, over HTTPS with OAuth. It decodes bearer
//! tokens and does not verify their signature, so nothing here proves that;
//! what it enforces of a SAS (resource, permissions, times) is what is used.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use reqwest::{Method, StatusCode};
use serde_json::json;
use tempfile::TempDir;

use super::{fresh, now};

pub(crate) const ACCOUNT: &str = "lenskeeptest";
/// Newer than the oldest that Azurite takes for OAuth.
const API_VERSION: &str = "2024-11-04";
const FOLDER_VARIABLE: &str = "LENSKEEP_TEST_AZURITE";

pub(crate) struct Azurite {
    process: Child,
    folder: TempDir,
    port: u16,
    /// In base64.
    pub(crate) account_key: String,
    pub(crate) client: reqwest::Client,
}

impl Azurite {
    /// With empty containers `footage` and `grants`.
    pub(crate) async fn start() -> Self {
        let folder = TempDir::with_prefix("lk-azurite-").unwrap();
        write_certificates(folder.path());
        let ca =
            reqwest::Certificate::from_pem(&std::fs::read(folder.path().join("ca.pem")).unwrap()).unwrap();
        let client = reqwest::Client::builder().no_proxy().tls_certs_only([ca]).build().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let account_key = STANDARD.encode([fresh(), fresh()].concat());
        let process = spawn(folder.path(), port, &account_key, 0);
        let azurite = Azurite { process, folder, port, account_key, client };
        azurite.answers().await;
        for name in ["mint", "read"] {
            std::fs::write(azurite.token_file(name), bearer_token(name)).unwrap();
        }
        azurite.make_containers().await;
        azurite
    }

    /// Azurite writes its index every few seconds: what was killed may have
    /// forgotten them.
    async fn make_containers(&self) {
        for container in ["footage", "grants", "history"] {
            let made = self.as_owner(Method::PUT, &format!("{container}?restype=container")).await;
            assert!([StatusCode::CREATED, StatusCode::CONFLICT].contains(&made), "{made}");
        }
    }

    /// Starts it again with a clock that is ahead. Account and containers are
    /// the same; objects may be forgotten.
    pub(crate) async fn restart_ahead(&mut self, ahead: Duration) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        self.process = spawn(self.folder.path(), self.port, &self.account_key, ahead.as_millis());
        self.answers().await;
        self.make_containers().await;
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("https://127.0.0.1:{}/{ACCOUNT}", self.port)
    }

    pub(crate) fn token_file(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.token"))
    }

    pub(crate) fn ca_file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// A request with the right to everything.
    async fn as_owner(&self, method: Method, path: &str) -> StatusCode {
        let request = self.client.request(method, format!("{}/{path}", self.endpoint()));
        let request = request.bearer_auth(bearer_token("owner")).header("x-ms-version", API_VERSION);
        request.header("content-length", "0").send().await.unwrap().status()
    }

    async fn answers(&self) {
        let asking = async {
            while self.client.get(self.endpoint()).send().await.is_err() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), asking).await.expect("Azurite answers");
    }
}

impl Drop for Azurite {
    fn drop(&mut self) {
        // It takes its time over SIGTERM, and nothing of it is kept.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn spawn(folder: &Path, port: u16, account_key: &str, ahead_ms: u128) -> Child {
    let installed = std::env::var_os(FOLDER_VARIABLE)
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.cache/azurite"), PathBuf::from);
    let node = installed.join("node_modules/node/bin/node");
    let main = installed.join("node_modules/azurite/dist/src/blob/main.js");
    assert!(
        node.exists() && main.exists(),
        "Azurite is not on this machine: npm install --prefix .cache/azurite node@22 azurite@3.37.0 \
         (or name its folder in {FOLDER_VARIABLE})"
    );
    let clock = folder.join("clock.cjs");
    let shift = format!(
        "const Real = Date; const ahead = {ahead_ms};\n\
         globalThis.Date = class extends Real {{\n\
           constructor(...given) {{ given.length ? super(...given) : super(Real.now() + ahead); }}\n\
           static now() {{ return Real.now() + ahead; }}\n\
         }};\n"
    );
    std::fs::write(&clock, shift).unwrap();
    let port = port.to_string();
    Command::new(node)
        .arg("--require")
        .arg(clock)
        .arg(main)
        .args(["--blobHost", "127.0.0.1", "--blobPort", &port, "--location", "data"])
        .args([
            "--cert",
            "server.pem",
            "--key",
            "server.key.pem",
            "--oauth",
            "basic",
            "--disableTelemetry",
            "--silent",
        ])
        .env("AZURITE_ACCOUNTS", format!("{ACCOUNT}:{account_key}"))
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("node runs")
}

/// `alg` none: Azurite looks at the claims alone.
fn bearer_token(subject: &str) -> String {
    let seconds = now().0 / 1_000;
    let tenant = "ab1f708d-50f6-404c-a006-d71b2ac7a606";
    let claims = json!({
        "aud": "https://storage.azure.com", "iss": format!("https://sts.windows.net/{tenant}/"), "sub": subject,
        "iat": seconds - 60, "nbf": seconds - 60, "exp": seconds + 7_200,
        "oid": "11059fcc-5514-4800-b5f8-49808b9cfab6", "tid": tenant,
    });
    let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.c2ln", part(json!({ "alg": "none", "typ": "JWT" })), part(claims))
}

fn write_certificates(folder: &Path) {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.distinguished_name.push(rcgen::DnType::CommonName, "test CA");
    let ca_certificate = ca.self_signed(&ca_key).unwrap();
    let issuer = Issuer::new(ca, ca_key);
    let key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    std::fs::write(folder.join("ca.pem"), ca_certificate.pem()).unwrap();
    std::fs::write(folder.join("server.pem"), server.pem()).unwrap();
    std::fs::write(folder.join("server.key.pem"), key.serialize_pem()).unwrap();
}
