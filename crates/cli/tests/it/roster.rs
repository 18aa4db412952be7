//! A cloud that plays with the roster: a proxy before the real one answers for
//! the log, and passes everything else.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use model::wire::Envelope;
use model::{DeviceId, PersonId, Timestamp};
use seal::keyring::{DeviceKeys, Wrapped};
use seal::roster::{Roster, Scope, Statement, log_envelope, sign_next};
use serde_json::{Value, json};

use crate::support::{Device, OneBox};

/// What the proxy says the log is; without one, what the cloud says.
#[derive(Default)]
struct Script {
    log: Option<Vec<Envelope>>,
    /// Answers from the beginning, whatever was asked for.
    forgets: bool,
}

#[derive(Clone)]
struct Proxy {
    cloud: String,
    http: reqwest::Client,
    script: Arc<Mutex<Script>>,
}

impl Proxy {
    /// Where the cloud lets `lenskeep app` serve its people.
    fn start(site: &OneBox) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let cloud = format!("http://localhost:{}", site.viewer_port());
        let proxy = Proxy { cloud, http, script: Arc::default() };
        let listener = std::net::TcpListener::bind(("127.0.0.1", site.app_port())).unwrap();
        listener.set_nonblocking(true).unwrap();
        let router = Router::new().fallback(answer).with_state(proxy.clone());
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                axum::serve(listener, router).await.unwrap();
            });
        });
        proxy
    }

    fn show(&self, log: &[Envelope]) {
        *self.script.lock().unwrap() = Script { log: Some(log.to_vec()), forgets: false };
    }

    fn show_from_the_beginning(&self, log: &[Envelope]) {
        *self.script.lock().unwrap() = Script { log: Some(log.to_vec()), forgets: true };
    }

    fn be_honest(&self) {
        *self.script.lock().unwrap() = Script::default();
    }

    fn altered(&self, request: &Request) -> Option<Value> {
        let script = self.script.lock().unwrap();
        let log = script.log.as_ref()?;
        match (request.method().as_str(), request.uri().path()) {
            ("GET", "/api/v1/roster") => {}
            // Signed on top of the head that it showed, so it takes it.
            ("POST", "/api/v1/actions") => return Some(json!({})),
            _ => return None,
        }
        let after = request.uri().query().and_then(|query| query.strip_prefix("after="));
        let from = after.filter(|_| !script.forgets).map_or(0, |after| after.parse::<usize>().unwrap() + 1);
        Some(json!({ "statements": log.get(from..).unwrap_or_default() }))
    }
}

async fn answer(State(proxy): State<Proxy>, request: Request) -> Response {
    if let Some(answer) = proxy.altered(&request) {
        return Response::builder()
            .header("content-type", "application/json")
            .body(answer.to_string().into())
            .unwrap();
    }
    let (mut parts, body) = request.into_parts();
    parts.headers.remove("host");
    let body: Bytes = to_bytes(body, 1 << 20).await.unwrap();
    let url = format!("{}{}", proxy.cloud, parts.uri);
    let passed = proxy.http.request(parts.method, url).headers(parts.headers).body(body);
    let answer = passed.send().await.unwrap();
    let mut response = Response::builder().status(answer.status());
    for (name, value) in answer.headers().iter().filter(|(name, _)| *name != "transfer-encoding") {
        response = response.header(name, value);
    }
    response.body(Body::from(answer.bytes().await.unwrap())).unwrap()
}

/// The same device once more, which asks the proxy and remembers for itself.
fn double(site: &OneBox, name: &str) -> Device {
    let folder = site.path(name);
    std::fs::create_dir_all(folder.join("home")).unwrap();
    for name in ["device.json", "roster.jsonl"] {
        std::fs::copy(site.path("home").join(name), folder.join("home").join(name)).unwrap();
    }
    let file = folder.join("home/device.json");
    let mut device = device_file(&file);
    device["cloud"] = json!(format!("http://localhost:{}/", site.app_port()));
    std::fs::write(&file, device.to_string()).unwrap();
    Device::new(&folder)
}

fn device_file(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn kept_log(home: &Path) -> Vec<Envelope> {
    let text = std::fs::read_to_string(home.join("roster.jsonl")).unwrap();
    text.lines().map(|line| log_envelope(line).unwrap()).collect()
}

/// Who signs in the administrator's name: the keys of this very device.
struct Signer {
    device: DeviceId,
    keys: DeviceKeys,
}

impl Signer {
    fn of(home: &Path) -> Self {
        let mut file = device_file(&home.join("device.json"));
        let wrapped: Wrapped = serde_json::from_value(file["keys"].take()).unwrap();
        let keys = seal::keyring::unwrap(&wrapped, "a passphrase of the tests").unwrap();
        Signer { device: serde_json::from_value(file["device"].take()).unwrap(), keys }
    }

    /// The log, and so many more statements behind it.
    fn longer(&self, log: &[Envelope], more: u8, keys: &DeviceKeys) -> Vec<Envelope> {
        let now = now();
        let mut roster = Roster::replay(log.iter().map(|envelope| (envelope, now))).unwrap();
        let mut log = log.to_vec();
        for n in 0..more {
            let person = PersonId::from_random([n; 16]);
            let statement = Statement::SetAccess { person, scope: Scope::All, audio: true, until: None };
            log.push(sign_next(&roster, now, statement, self.device, &keys.sign));
            if roster.apply(&log[log.len() - 1], now).is_err() {
                break;
            }
        }
        log
    }
}

fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp(since.as_millis() as u64)
}

#[test]
fn what_a_hostile_cloud_makes_of_the_roster_is_refused_in_its_own_words() {
    let (site, _) = OneBox::with_camera();
    let proxy = Proxy::start(&site);
    let device = double(&site, "double");
    let home = site.path("double/home");
    let log = kept_log(&home);
    device.succeed(&["device", "list"]);
    let signer = Signer::of(&home);
    let (older, stranger) = (&log[..log.len() - 1], DeviceKeys::from_seeds([66; 32], [67; 32]));

    let forged = signer.longer(&log, 1, &stranger);
    let mut reordered = signer.longer(&log, 2, &signer.keys);
    reordered.swap(log.len(), log.len() + 1);
    for (shown, code, words) in [
        (forged, "signature", "not signed as it must be"),
        (reordered, "does_not_follow", "out of order"),
        (older.to_vec(), "behind", "hides statements that this device has seen"),
        (signer.longer(older, 1, &signer.keys), "forked", "another past"),
        // Back to yesterday's, and longer from there than today's.
        (signer.longer(&log[..log.len() - 2], 4, &signer.keys), "forked", "another past"),
    ] {
        proxy.show(&shown);
        let error = device.fail(&["device", "list"]);
        assert!(error.contains(&format!("refused ({code})")) && error.contains(words), "{code}: {error}");
    }
    proxy.show_from_the_beginning(older);
    let error = device.fail(&["device", "list"]);
    assert!(error.contains("(does_not_follow)") && error.contains("again"), "{error}");
    assert_eq!(kept_log(&home), log, "nothing of it was taken");

    // The truth is still taken, and what was signed first stays first.
    proxy.be_honest();
    device.succeed(&["device", "list"]);
    proxy.show(&signer.longer(&log, 1, &signer.keys));
    device.succeed(&["device", "list"]);
    assert_eq!(kept_log(&home).len(), log.len() + 1);
    proxy.be_honest();
    let error = device.fail(&["device", "list"]);
    assert!(error.contains("(behind)"), "a statement that was shown once is not unseen: {error}");
}

/// The gateway has gone on with a newer roster, and the viewer is kept in the
/// past: nothing new is opened.
#[test]
fn a_viewer_whose_roster_is_frozen_opens_nothing_newer() {
    let (mut site, camera) = OneBox::with_camera();
    let proxy = Proxy::start(&site);
    let (device, forked) = (double(&site, "double"), double(&site, "forked"));
    let log = kept_log(&site.path("double/home"));
    // The gateway hears of another camera, and begins another epoch.
    let password = site.data().join("demo-camera-password");
    let arguments = ["camera", "add", "--name", "Back", "--username", "demo", "--password-file"];
    let main = format!("rtsp://127.0.0.1:{}/sub", site.viewer_port() + 3);
    site.succeed(&[arguments.as_slice(), &[password.to_str().unwrap(), &main]].concat());
    std::thread::sleep(Duration::from_secs(4));
    site.terminate();
    site.start();
    site.recordings(&camera, 2);

    proxy.show(&log);
    let out = site.path("frozen.mp4");
    let export = ["export", "--camera", &camera, "--from", "10m", out.to_str().unwrap()];
    let error = device.fail(&export);
    assert!(error.contains("was shown another roster than you are"), "{error}");
    // A fork that is longer than the truth is no better.
    let signer = Signer::of(&site.path("double/home"));
    proxy.show(&signer.longer(&log, 3, &signer.keys));
    let out = site.path("forked.mp4");
    let error = forked.fail(&["export", "--camera", &camera, "--from", "10m", out.to_str().unwrap()]);
    assert!(error.contains("was shown another roster than you are"), "{error}");

    // Offline, it is said and not refused.
    let old = site.path("double/home/roster.jsonl");
    let recordings = site.data().join(format!("gateway/recordings/{camera}"));
    let words = device.succeed(&["verify", "--roster", old.to_str().unwrap(), recordings.to_str().unwrap()]);
    assert!(words.contains("which is not in this roster") && !words.contains("REFUSED"), "{words}");
    let now = site.path("home/roster.jsonl");
    let words = device.succeed(&["verify", "--roster", now.to_str().unwrap(), recordings.to_str().unwrap()]);
    assert!(!words.contains("not in this roster"), "{words}");

    // It was only newer, and is taken when it is shown.
    proxy.be_honest();
    let out = site.path("honest.mp4");
    device.succeed(&["export", "--camera", &camera, "--from", "10m", out.to_str().unwrap()]);
}
