//! Where it takes two administrators: each a command line of their own.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use model::{CameraUrl, DeviceId, Hash, OrgId, PersonId, Timestamp};
use reqwest::header::{COOKIE, SET_COOKIE};
use seal::dpop::{NONCE_HEADER, PROOF_HEADER, ProofKey};
use seal::keyring::DeviceKeys;
use seal::login::DeviceLogin;
use seal::roster::{Scope, Statement, read_log, sign_next};
use serde_json::{Value, json};

use crate::support::{Device, OneBox};

/// What no command states: this device's keys, and calls of its own.
struct Hand {
    home: PathBuf,
    keys: DeviceKeys,
    device: DeviceId,
    cloud: String,
    cookie: String,
    nonce: String,
    key: ProofKey,
}

fn now() -> Timestamp {
    Timestamp(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64)
}

impl Hand {
    async fn of(site: &OneBox) -> Self {
        let home = site.path("home");
        let file: Value = serde_json::from_slice(&std::fs::read(home.join("device.json")).unwrap()).unwrap();
        let wrapped = serde_json::from_value(file["keys"].clone()).unwrap();
        let keys = seal::keyring::unwrap(&wrapped, "a passphrase of the tests").unwrap();
        let device: DeviceId = serde_json::from_value(file["device"].clone()).unwrap();
        let org: OrgId = serde_json::from_value(file["org"].clone()).unwrap();
        let origin = file["cloud"].as_str().unwrap().trim_end_matches('/').to_owned();
        let (cookie, nonce, key) = (String::new(), String::new(), ProofKey::generate());
        let mut hand = Hand { home, keys, device, cloud: origin.clone(), cookie, nonce, key };
        let status = reqwest::get(format!("{origin}/api/v1/status")).await.unwrap();
        hand.nonce = status.headers()[NONCE_HEADER].to_str().unwrap().to_owned();
        let challenged = hand.post("/api/v1/login/device/challenge", &json!({ "device": device })).await;
        let challenge: Hash = serde_json::from_value(challenged["challenge"].clone()).unwrap();
        let login = DeviceLogin { org, device, challenge, origin };
        let envelope = login.sign(&hand.keys.sign);
        hand.post("/api/v1/login/device", &json!({ "envelope": envelope })).await;
        hand
    }

    async fn post(&mut self, path: &str, body: &Value) -> Value {
        static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
        let next = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let jti = u128::from(next).to_be_bytes();
        let address = format!("{}{path}", self.cloud);
        let proof = self.key.proof("POST", &address, Some(&self.nonce), jti, now());
        let request =
            reqwest::Client::new().post(&address).header("x-lenskeep", "1").header(PROOF_HEADER, proof);
        let response = request.header(COOKIE, &self.cookie).json(body).send().await.unwrap();
        let status = response.status();
        if let Some(set) = response.headers().get(SET_COOKIE) {
            self.cookie = set.to_str().unwrap().split(';').next().unwrap().to_owned();
        }
        let bytes = response.bytes().await.unwrap();
        assert!(status.is_success(), "{path}: {}", String::from_utf8_lossy(&bytes));
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    async fn state(&mut self, site: &OneBox, statement: Statement) {
        // The command line takes in what is new.
        site.succeed(&["device", "renew"]);
        let text = std::fs::read_to_string(self.home.join("roster.jsonl")).unwrap();
        let (roster, _) = read_log(&text).unwrap();
        let envelope = sign_next(&roster, now(), statement, self.device, &self.keys.sign);
        self.post("/api/v1/roster", &json!({ "envelope": envelope })).await;
    }
}

/// Lets a second person's command line in, and makes both administrators.
fn two(site: &OneBox) -> Device {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let folder = site.path("other");
    std::fs::create_dir(&folder).unwrap();
    let other = Device::new(&folder);
    let mut hand = runtime.block_on(Hand::of(site));
    let person = PersonId::from_random([7; 16]);
    let access = Statement::SetAccess { person, scope: Scope::All, audio: true, until: None };
    runtime.block_on(hand.state(site, access));
    let device = crate::devices::let_in(site, &other, &["--person", &person.to_string()]);
    let devices = [hand.device, device.parse().unwrap()].into();
    runtime.block_on(hand.state(site, Statement::SetAdministrators { k: 2, devices }));
    other
}

/// The id that the others are told to agree on, for each proposal.
fn proposed(said: &str) -> Vec<String> {
    let ids = said.lines().filter_map(|line| line.trim().strip_prefix("lenskeep approval agree "));
    ids.map(str::to_owned).collect()
}

#[test]
fn two_administrators_add_keep_and_remove_by_running_again() {
    let (site, _) = OneBox::with_camera();
    let other = two(&site);
    let password = site.data().join("demo-camera-password");
    let camera = format!("rtsp://127.0.0.1:{}/sub", site.viewer_port() + 3);
    assert!(CameraUrl::parse(&camera).is_ok());
    let add = [
        "camera",
        "add",
        "--name",
        "Till",
        "--username",
        "demo",
        "--password-file",
        password.to_str().unwrap(),
        &camera,
    ];
    let said = site.succeed(&add);
    let ids = proposed(&said);
    assert_eq!(ids.len(), 2, "the camera's address, and its name: {said}");
    let again = site.succeed(&add);
    assert_eq!(proposed(&again), ids, "nothing is proposed twice: {again}");
    assert!(site.fail(&["approval", "agree", &ids[0]]).contains("agreed already"));

    let listed = other.succeed(&["proposal", "list"]);
    assert!(listed.contains("sealed to the gateway and cannot be shown"), "{listed}");
    assert!(!listed.contains("rtsp"), "{listed}");
    for id in &ids {
        other.succeed(&["proposal", "approve", id]);
    }
    let done = site.succeed(&add);
    assert!(done.contains("is there already") || done.contains("is added"), "{done}");
    assert!(site.succeed(&["camera", "list"]).contains("Till"));

    let keep = ["gateway", "keep", "--gigabytes", "7", "--days", "3"];
    let ids = proposed(&site.succeed(&keep));
    let agreed = other.succeed(&["approval", "agree", &ids[0]]);
    assert!(agreed.contains("the gateway has carried it out"), "{agreed}");
    let listed = site.succeed(&["approval", "list"]);
    assert!(listed.contains("done: Have gateway") && listed.contains("7 GB and 3 days"), "{listed}");

    // For a site that was configured otherwise meanwhile.
    let remove = ["camera", "remove", &site.first_camera()];
    let removal = proposed(&site.succeed(&remove));
    let change = ["gateway", "keep", "--gigabytes", "8", "--days", "3"];
    let quicker = proposed(&site.succeed(&change));
    other.succeed(&["approval", "agree", &quicker[0]]);
    let late = other.fail(&["approval", "agree", &removal[0]]);
    assert!(late.contains("no open proposal") || late.contains("anew"), "{late}");
    let anew = proposed(&site.succeed(&remove));
    assert_ne!(anew, removal);
    other.succeed(&["approval", "decline", &anew[0]]);
    assert!(site.succeed(&["approval", "list"]).contains("declined"));
}

fn code_of(adding: &mut Child) -> String {
    BufReader::new(adding.stdout.take().unwrap()).lines().next().unwrap().unwrap()
}

#[test]
fn a_gateway_is_taken_in_by_running_again() {
    let (site, _) = OneBox::with_camera();
    let other = two(&site);
    let start = || {
        let mut command = site.command(&["gateway", "add"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let mut adding = start();
    let text = code_of(&mut adding);
    let code = seal::enrolment::Code::parse(&text).unwrap();
    let url = format!("https://localhost:{}", site.viewer_port() + 1).parse().unwrap();
    let local = gateway::LocalSection { enabled: false, ..Default::default() };
    let config = gateway::Config { data: site.path("remote"), local, ..Default::default() };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let enrolment = gateway::Enrolment::from_code(url, code);
    let running = runtime.block_on(Box::pin(gateway::start(config, Some(enrolment)))).unwrap();
    let waits = adding.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&waits.stderr).into_owned();
    let ids = proposed(&said);
    assert!(waits.status.success() && ids.len() == 1, "{said}");

    other.succeed(&["approval", "agree", &ids[0]]);
    let mut again = start();
    assert_eq!(code_of(&mut again), text, "the gateway waits with the code that it has");
    assert!(again.wait().unwrap().success());
    let mut enrolled = running.enrolled();
    runtime.block_on(async { enrolled.wait_for(|enrolled| *enrolled).await.map(|_| ()) }).unwrap();
    assert!(!site.path("home").join("enrolling.json").exists(), "the secret is gone");
    runtime.block_on(running.shutdown()).unwrap();
}
