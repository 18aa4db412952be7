//! `lenskeep app`: the page of the program, with a true cloud and a false one.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use model::{DeviceId, Hash, OrgId, Timestamp};
use seal::dpop::{NONCE_HEADER, ProofKey};
use seal::keyring::{DeviceKeys, Wrapped};
use seal::local::{LocalGateway, LocalLogin};
use seal::login::DeviceLogin;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::local::Site;
use crate::support::{OneBox, free_ports};

struct App {
    process: Child,
    port: u16,
    /// Of the session, as a browser has it.
    key: ProofKey,
    proofs: AtomicU64,
}

impl App {
    fn start(port: u16, arguments: &[&str]) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_lenskeep"))
            .args(["app", "--port", &port.to_string()])
            .args(arguments)
            .env("LENSKEEP_HOME", "/nonexistent")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let ready = lines.next().expect("it starts").unwrap();
        assert!(ready.contains(&format!("http://localhost:{port}")), "{ready}");
        std::thread::spawn(move || lines.for_each(drop));
        App { process, port, key: ProofKey::generate(), proofs: AtomicU64::new(0) }
    }

    fn origin(&self) -> String {
        format!("http://localhost:{}", self.port)
    }

    fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: localhost:{}\r\n", self.port), "")
    }

    fn post(&self, path: &str, body: &Value) -> Answer {
        let body = body.to_string();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost:{}\r\nOrigin: {}\r\nX-Lenskeep: 1\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n{}",
            self.port,
            self.origin(),
            body.len(),
            self.proof("POST", path)
        );
        self.ask(&head, &body)
    }

    /// A header line; empty where there is no cloud that gives a nonce.
    fn proof(&self, method: &str, path: &str) -> String {
        let status = format!("GET /api/v1/status HTTP/1.1\r\nHost: localhost:{}\r\n", self.port);
        let Some(nonce) = self.ask(&status, "").nonce else { return String::new() };
        let number = self.proofs.fetch_add(1, Ordering::Relaxed);
        let jti = u128::from(number).to_be_bytes();
        let address = format!("{}{path}", self.origin());
        format!("DPoP: {}\r\n", self.key.proof(method, &address, Some(&nonce), jti, Timestamp(0)))
    }

    fn ask(&self, head: &str, body: &str) -> Answer {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        write!(stream, "{head}Connection: close\r\n\r\n{body}").unwrap();
        let mut bytes = Vec::new();
        // What is cut off ends with an error, and what came before counts.
        let _ = stream.read_to_end(&mut bytes);
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a whole head");
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let (lower, named) = (head.to_ascii_lowercase(), format!("\r\n{NONCE_HEADER}: "));
        let nonce = lower.find(&named).and_then(|at| head[at + named.len()..].lines().next());
        Answer { nonce: nonce.map(str::to_owned), head: lower, body: bytes[end + 4..].to_vec() }
    }
}

impl Drop for App {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

struct Answer {
    /// In lower case.
    head: String,
    nonce: Option<String>,
    body: Vec<u8>,
}

impl Answer {
    fn status(&self) -> u16 {
        self.head.split(' ').nth(1).unwrap().parse().unwrap()
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// As the browser sends it.
    fn cookie(&self) -> String {
        let cookie = self.header("set-cookie").expect("a session");
        assert!(cookie.contains("secure; httponly; samesite=strict"), "{cookie}");
        let (name, rest) = cookie.split_once('=').unwrap();
        // The header was put into lower case; the name was not.
        format!("{}={}", name.replace("__host", "__Host"), rest.split(';').next().unwrap())
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{}", self.head))
    }
}

/// A cloud that says one thing, whatever it is asked, and remembers who asked.
struct FalseCloud {
    url: String,
    heard: Arc<Mutex<Vec<String>>>,
}

impl FalseCloud {
    fn saying(answer: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://localhost:{}", listener.local_addr().unwrap().port());
        let heard = Arc::<Mutex<Vec<String>>>::default();
        let (answer, memory) = (answer.to_owned(), heard.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let lines = BufReader::new(stream.try_clone().unwrap()).lines();
                let head: Vec<String> =
                    lines.map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
                memory.lock().unwrap().push(head.join("\n"));
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        FalseCloud { url, heard }
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}

#[derive(Deserialize)]
struct DeviceFile {
    org: OrgId,
    device: DeviceId,
    keys: Wrapped,
}

fn device_of(site: &OneBox) -> (OrgId, DeviceId, DeviceKeys) {
    let file = std::fs::read(site.path("home/device.json")).unwrap();
    let DeviceFile { org, device, keys } = serde_json::from_slice(&file).unwrap();
    let passphrase = std::fs::read_to_string(site.path("passphrase")).unwrap();
    (org, device, seal::keyring::unwrap(&keys, passphrase.trim()).unwrap())
}

/// Signs in as the page does, and returns the cookie that the browser keeps.
fn sign_in(site: &OneBox, app: &App) -> String {
    let (org, device, keys) = device_of(site);
    let begun = app.post("/api/v1/login/device/challenge", &json!({ "device": device })).json();
    let challenge: Hash = serde_json::from_value(begun["challenge"].clone()).unwrap();
    let login = DeviceLogin { org, device, challenge, origin: app.origin() };
    let answer = app.post("/api/v1/login/device", &json!({ "envelope": login.sign(&keys.sign) }));
    assert_eq!(answer.status(), 200, "{}", answer.head);
    answer.cookie()
}

#[test]
fn the_page_comes_from_the_program_and_answers_from_the_cloud() {
    let (mut site, camera) = OneBox::with_camera();
    let cloud = format!("http://localhost:{}", site.viewer_port());
    let app = App::start(site.app_port(), &["--cloud", &cloud]);

    let page = app.get("/");
    assert_eq!((page.status(), page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert!(page.header("content-security-policy").unwrap().contains("require-trusted-types-for 'script'"));
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(app.get("/api/v1/status").json()["set_up"], true);
    assert_eq!(app.get("/api/v1/me").status(), 401);

    // A passkey of the app's origin: the relying party is localhost.
    let begun = app.post("/api/v1/login/passkey/begin", &json!({}));
    assert_eq!(begun.json()["options"]["rpId"], "localhost");

    // A device at the app's origin sees what one at the cloud's sees.
    let file = site.path("home/device.json");
    let mut device: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    device["cloud"] = json!(app.origin());
    std::fs::write(&file, device.to_string()).unwrap();
    let watched = site.succeed(&["camera", "watch", &camera, "--seconds", "5", "--json"]);
    let watched: Value = serde_json::from_str(&watched).unwrap();
    assert!(watched["pictures"].as_u64().unwrap() > 30, "{watched}");

    site.terminate();
    let error = app.get("/api/v1/status");
    assert_eq!((error.status(), &error.json()["error"]["code"]), (502, &json!("cloud_unreachable")));
    site.start();
    let list = site.recordings(&camera, 1);
    let out = site.path("out.mp4");
    site.succeed(&["export", "--camera", &camera, "--from", "10m", out.to_str().unwrap()]);

    let cookie = sign_in(&site, &app);
    let id = list["recordings"][0]["id"].as_str().unwrap();
    let size = list["recordings"][0]["bytes"].as_u64().unwrap();
    let part = |method: &str, range: &str| {
        let host = format!("localhost:{}", app.port);
        let path = format!("/api/v1/recordings/{id}");
        let request = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n{}", app.proof(method, &path));
        app.ask(&format!("{request}Cookie: a=b; {cookie}\r\n{range}"), "")
    };
    let whole = part("GET", "");
    assert_eq!((whole.status(), whole.body.len() as u64), (200, size));
    let some = part("GET", "Range: bytes=100-199\r\n");
    assert_eq!((some.status(), some.body.as_slice()), (206, &whole.body[100..200]));
    assert_eq!(some.header("content-range"), Some(format!("bytes 100-199/{size}").as_str()));
    assert_eq!(some.header("content-type"), Some("application/vnd.lenskeep.recording"));
    let head = part("HEAD", "");
    assert_eq!(head.header("content-length"), Some(size.to_string().as_str()));
    assert_eq!(part("GET", &format!("Range: bytes={size}-\r\n")).status(), 416);

    // The history verifies through the app too, and other sessions are ended.
    let said = (0..20).find_map(|_| {
        let run = site.run(&["audit", "verify"]);
        std::thread::sleep(std::time::Duration::from_millis(300));
        run.status.success().then(|| String::from_utf8(run.stdout).unwrap())
    });
    assert!(said.unwrap().contains("all in the log as signed"));
    let host = format!("localhost:{}", app.port);
    let ask = |method: &str, path: &str| {
        let proof = app.proof(method, path);
        let head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nX-Lenskeep: 1\r\n{proof}");
        app.ask(&format!("{head}Cookie: {cookie}\r\nContent-Length: 0\r\n"), "")
    };
    // Pages change things by `PUT`: here a wall, of which the cloud says what is wrong.
    assert_eq!(ask("PUT", "/api/v1/walls/wall_00000000000000000000000000000001").status(), 415);
    // What people hand on leads to the cloud.
    let origin = ask("GET", "/api/site/cloud").json()["origin"].clone();
    assert_eq!(origin.as_str(), Some(cloud.as_str()));
    let count = || ask("GET", "/api/v1/sessions").json()["sessions"].as_array().unwrap().len();
    assert!(count() > 1);
    assert_eq!(ask("DELETE", "/api/v1/sessions").status(), 204);
    assert_eq!(count(), 1);

    // Signed out: the browser is told to forget the cookie, and it is void.
    let out = ask("POST", "/api/v1/logout");
    assert!(out.status() == 204 && out.header("set-cookie").unwrap().contains("max-age=0"), "{}", out.head);
    assert_eq!(part("GET", "").status(), 401);
}

#[test]
fn what_a_false_cloud_answers_cannot_run() {
    let evil = "HTTP/1.1 200 OK\r\nContent-Type: text/javascript\r\nContent-Length: 8\r\n\
                Content-Security-Policy: script-src *\r\nService-Worker-Allowed: /\r\nRefresh: 0; url=//evil\r\n\
                Clear-Site-Data: \"*\"\r\nAccess-Control-Allow-Origin: *\r\nLink: </x.js>; rel=preload\r\n\
                Set-Cookie: theme=dark\r\nSet-Cookie: __Host-lenskeep=not a token\r\nX-Own: 1\r\n\
                Strict-Transport-Security: max-age=9\r\nWWW-Authenticate: Basic\r\nConnection: close\r\n\r\nevil(1);";
    let cloud = FalseCloud::saying(evil);
    let app = App::start(free_ports(1), &["--cloud", &cloud.url]);
    let answer = app.get("/api/v1/status");
    assert_eq!((answer.status(), answer.body.as_slice()), (200, &b"evil(1);"[..]));
    assert_eq!(answer.header("content-type"), Some("application/octet-stream"));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    let policy = answer.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'") && policy.contains("sandbox"), "{policy}");
    assert!(!policy.contains("script-src"), "{policy}");
    let names: Vec<&str> = answer.head.lines().skip(1).filter_map(|line| line.split(':').next()).collect();
    let known = [
        "content-type",
        "content-length",
        "content-security-policy",
        "x-content-type-options",
        "referrer-policy",
        "cross-origin-opener-policy",
        "cross-origin-resource-policy",
        "cache-control",
        "connection",
        "date",
    ];
    assert!(names.iter().all(|name| known.contains(name)), "{names:?}");

    // It is not even asked where to send people to.
    let leaving = app.post("/api/v1/login/providers/corp/begin", &json!({}));
    assert_eq!(leaving.status(), 404);
    assert!(!format!("{:?}", cloud.heard()).contains("providers"));

    let away = "HTTP/1.1 302 Found\r\nLocation: http://evil.example/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let endless = "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\nConnection: close\r\n\r\n";
    for answer in [away, endless, "no HTTP at all"] {
        let cloud = FalseCloud::saying(answer);
        let app = App::start(free_ports(1), &["--cloud", &cloud.url]);
        let answer = app.get("/api/v1/status");
        assert_eq!((answer.status(), answer.header("location")), (502, None), "{}", answer.head);
        assert_eq!(cloud.heard().len(), 1, "no redirect is followed");
    }
}

#[test]
fn only_the_program_serves_pages() {
    let page =
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 4\r\nConnection: close\r\n\r\nevil";
    let cloud = FalseCloud::saying(page);
    let app = App::start(free_ports(1), &["--cloud", &cloud.url]);
    let index = app.get("/");
    for path in ["/cameras", "/index.php", "/api", "/%2e%2e/secret", "/a/../../b"] {
        let answer = app.get(path);
        assert!(answer.status() == 200 && answer.body == index.body, "{path}: {}", answer.head);
    }
    for path in [
        "/assets/none.js",
        "/gateway/v1/roster",
        "/store/v1/x",
        "/api/",
        "/api/../index.html",
        "/api/%2e%2e/x",
    ] {
        assert_eq!(app.get(path).status(), 404, "{path}");
    }
    assert_eq!(cloud.heard(), Vec::<String>::new());
}

#[test]
fn other_names_and_other_sites_are_refused() {
    let cloud = FalseCloud::saying("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
    let port = free_ports(1);
    let app = App::start(port, &["--cloud", &cloud.url]);
    for host in ["evil.example", "localhost", "localhost:1", "evil.localhost:80", "[::1]"] {
        for path in ["/", "/api/v1/status"] {
            let answer = app.ask(&format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n"), "");
            assert_eq!(answer.status(), 421, "{host} {path}");
        }
    }
    let status = |headers: String| {
        app.ask(&format!("GET /api/v1/status HTTP/1.1\r\nHost: localhost:{port}\r\n{headers}"), "").status()
    };
    assert_eq!(status("Host: evil.example\r\n".to_owned()), 421);
    let upgrade = "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for origin in ["http://evil.example", "null", "http://localhost:1", "https://localhost"] {
        assert_eq!(status(format!("Origin: {origin}\r\n")), 403, "{origin}");
        assert_eq!(status(format!("Origin: {origin}\r\n{upgrade}")), 403, "{origin}");
    }
    assert_eq!(status(format!("Origin: {}\r\nOrigin: http://evil.example\r\n", app.origin())), 403);
    assert_eq!(cloud.heard(), Vec::<String>::new());

    // The page has one origin: the address in digits leads there.
    let digits = app.ask(&format!("GET /cameras HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"), "");
    assert_eq!(
        (digits.status(), digits.header("location")),
        (307, Some(format!("{}/cameras", app.origin()).as_str()))
    );

    // What is passed on is what the API needs, and a body has its bound.
    let chatty = format!(
        "Cookie: __Host-lenskeep={}; a=b\r\nUser-Agent: me\r\nX-Forwarded-For: x\r\n",
        "7".repeat(64)
    );
    assert_eq!(status(chatty), 204);
    let heard = cloud.heard().concat().to_ascii_lowercase();
    assert!(
        !heard.contains("cookie") && !heard.contains("user-agent") && !heard.contains("forwarded"),
        "{heard}"
    );
    assert_eq!(app.post("/api/v1/roster", &json!("x".repeat((1 << 20) + 16))).status(), 413);
    assert!(cloud.heard().iter().all(|head| head.starts_with("GET /api/v1/status ")));
}

#[test]
fn this_machine_alone_is_listened_to() {
    let port = free_ports(1);
    let app = App::start(port, &["--cloud", "https://cameras.example.org"]);
    let mut found = Vec::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        for line in std::fs::read_to_string(table).unwrap_or_default().lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let (address, local_port) = fields[1].split_once(':').unwrap();
            if fields[3] == "0A" && u16::from_str_radix(local_port, 16).unwrap() == app.port {
                found.push(address.to_owned());
            }
        }
    }
    let loopback = ["0100007F", "00000000000000000000000001000000"];
    assert!(!found.is_empty() && found.iter().all(|at| loopback.contains(&at.as_str())), "{found:?}");

    // Nobody else has the other `localhost` meanwhile, and mistakes are named.
    let site = OneBox::new();
    let error = site.fail(&["app", "--port", &port.to_string()]);
    assert!(error.contains("--port"), "{error}");
    let error = site.fail(&["app", "--cloud", "http://cameras.example.org"]);
    assert!(error.contains("must be https://"), "{error}");
    let error = site.fail(&["app", "--cloud", "http://localhost:9", "--port", "9"]);
    assert!(error.contains("the cloud's own address"), "{error}");
}

#[test]
fn a_pinned_cloud_is_that_one_and_no_other() {
    let site = OneBox::new();
    // The gateways' port has a certificate that no authority of the system made.
    let port = site.viewer_port() + 1;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let limits = gateway::rtsp::Limits::default();
    let pin = runtime.block_on(gateway::rtsp::probe_certificate("localhost", port, &limits)).unwrap();
    let url = format!("https://localhost:{port}");
    let status = |arguments: &[&str]| {
        let arguments = [&["--cloud", url.as_str()], arguments].concat();
        App::start(free_ports(1), &arguments).get("/api/v1/status").status()
    };
    // Its own answer: this port has no such call.
    assert_eq!(status(&["--pin", &pin.to_string()]), 404);
    assert_eq!(status(&["--pin", &Hash([7; 32]).to_string()]), 502);
    assert_eq!(status(&[]), 502);
}

/// What a page does to be let in at the site itself.
fn knock(app: &App, address: &str) -> (LocalGateway, Value) {
    let challenge = Hash([5; 32]);
    let answer = app.post("/api/site/hello", &json!({ "address": address, "challenge": challenge }));
    assert_eq!(answer.status(), 200, "{}", answer.head);
    let body = answer.json();
    let claim = LocalGateway::claimed(&serde_json::from_value(body["envelope"].clone()).unwrap()).unwrap();
    assert_eq!((claim.device_challenge, json!(claim.certificate)), (challenge, body["certificate"].clone()));
    (claim, body["knock"].clone())
}

fn login(claim: &LocalGateway, device: DeviceId, keys: &DeviceKeys, knock: &Value) -> Value {
    let login = LocalLogin {
        org: claim.org,
        gateway: claim.gateway,
        device,
        certificate: claim.certificate,
        gateway_challenge: claim.gateway_challenge,
    };
    json!({ "knock": knock, "envelope": login.sign(&keys.sign) })
}

#[test]
fn without_its_cloud_a_site_shows_its_cameras_to_the_browser_that_proved_itself() {
    let mut site = Site::new();
    let (address, camera) = (site.address(), site.camera.clone());
    let (_, device, keys) = device_of(&site.cloud);
    let cloud = format!("http://localhost:{}", site.cloud.viewer_port());
    site.cloud.kill();
    let app = App::start(free_ports(1), &["--cloud", &cloud]);
    assert_eq!(app.get("/api/v1/status").json()["error"]["code"], "cloud_unreachable");

    let (claim, first) = knock(&app, &address);
    let body = login(&claim, device, &keys, &first);
    let entered = app.post("/api/site/login", &body);
    let (cookie, key) = (entered.cookie(), entered.json()["key"].as_str().unwrap().to_owned());
    let host = format!("Host: localhost:{}\r\n", app.port);
    let ask = |path: &str, headers: &str| app.ask(&format!("GET {path} HTTP/1.1\r\n{host}{headers}"), "");
    let mine = format!("Cookie: a=b; {cookie}\r\nX-Lenskeep-Site: {key}\r\n");
    let cameras = ask("/api/site/v1/cameras", &mine);
    assert_eq!(cameras.json()["cameras"][0]["id"], json!(camera));
    assert_eq!(cameras.header("content-type"), Some("application/json"));
    assert_eq!(ask("/api/site/v1/me", &mine).json()["device"], json!(device));
    assert_eq!(ask("/api/site/v1/people", &mine).status(), 404, "what needs the cloud is not there");

    // Nobody else on this machine, and no page of others.
    assert_eq!(ask("/api/site/v1/cameras", "").status(), 401);
    let name = cookie.split('=').next().unwrap();
    let guessed = format!("Cookie: {name}={}\r\nX-Lenskeep-Site: {key}\r\n", Hash([8; 32]));
    assert_eq!(ask("/api/site/v1/cameras", &guessed).status(), 401);
    // Another server on this machine's localhost is sent the cookie by the browser.
    let overheard = format!("Cookie: {cookie}\r\n");
    assert_eq!(ask("/api/site/v1/cameras", &overheard).status(), 401, "without the page's key");
    let upgrade = "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let live = format!("/api/site/v1/cameras/{camera}/live?rendition=main");
    assert_eq!(ask(&live, &format!("{mine}{upgrade}")).status(), 401, "without a ticket");
    let foreign = format!("{mine}Origin: http://evil.example\r\n");
    assert_eq!(ask("/api/site/v1/cameras", &foreign).status(), 403);
    for path in ["/api/site/v1/../../local/v1/hello", "/api/site/v1/%2e%2e/%2e%2e/local/v1/login"] {
        assert_eq!(ask(path, &mine).status(), 404, "{path}");
    }

    // A proof counts once, and of a device of the roster alone.
    assert_eq!(app.post("/api/site/login", &body).json()["error"]["code"], "knock_refused");
    let (claim, second) = knock(&app, &address);
    let stranger = DeviceKeys::from_seeds([1; 32], [2; 32]);
    let body = login(&claim, device, &stranger, &second);
    assert_eq!(app.post("/api/site/login", &body).json()["error"]["code"], "login_refused");

    // This program asks networks of its own, and nobody where there is nobody.
    let hello = |address: &str| {
        let body = json!({ "address": address, "challenge": Hash([5; 32]) });
        app.post("/api/site/hello", &body).json()["error"]["code"].clone()
    };
    assert_eq!(hello("198.51.100.1"), "address_refused");
    assert_eq!(hello(&format!("127.0.0.1:{}", free_ports(1))), "site_unreachable");

    let leave = format!("POST /api/site/leave HTTP/1.1\r\n{host}{mine}Content-Length: 0\r\n");
    assert_eq!(app.ask(&leave, "").status(), 204);
    assert_eq!(ask("/api/site/v1/cameras", &mine).status(), 401);
}
