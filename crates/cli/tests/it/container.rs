//! `lenskeep sweep --container`: Azurite, and stores that mean no good.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Output;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::azure::azurite::{ACCOUNT, Azurite};
use crate::sweep::{SECRET, killed, lenskeep, said};

const SIGNATURE: &str = "c2lnbmF0dXJlLW9mLXRoZS10b2tlbg";

/// A token that may read, list and write a container until then, in seconds from now.
fn token(azurite: &Azurite, container: &str, seconds: i64) -> String {
    let end = time::OffsetDateTime::from(SystemTime::now()) + time::Duration::seconds(seconds);
    let end = format!("{}T{:02}:{:02}:{:02}Z", end.date(), end.hour(), end.minute(), end.second());
    let resource = format!("/blob/{ACCOUNT}/{container}");
    let (version, empty) = ("2021-12-02", "");
    let signed = [
        "rcwl", empty, &end, &resource, empty, empty, empty, version, "c", empty, empty, empty, empty, empty,
        empty, empty,
    ];
    let key = aws_lc_rs::hmac::Key::new(
        aws_lc_rs::hmac::HMAC_SHA256,
        &STANDARD.decode(&azurite.account_key).unwrap(),
    );
    let signature = STANDARD.encode(aws_lc_rs::hmac::sign(&key, signed.join("\n").as_bytes()));
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs([("sv", version), ("sr", "c"), ("sp", "rcwl"), ("se", &end), ("sig", &signature)]);
    query.finish()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_is_swept_and_the_token_stays_secret() {
    let azurite = Azurite::start().await;
    let folder = tempfile::tempdir().unwrap();
    let valid = token(&azurite, "footage", 600);
    let noise = (0..400_000)
        .map(|line| format!("line {line}: nothing but noise, and more of it\n"))
        .collect::<String>();
    assert!(noise.len() > 10 << 20, "more than is kept in memory");
    for (name, text) in [
        ("site%201/param.txt", format!("root.SMTP.Password={SECRET}\n")),
        ("site%201/a%2525b%23%3F.txt", format!("root.FTP.Password={SECRET}2\n")),
        ("long.log", noise + &format!("rtsp://admin:{SECRET}@192.0.2.7/live\n")),
    ] {
        let url = format!("{}/footage/{name}?{valid}", azurite.endpoint());
        let put =
            azurite.client.put(url).header("x-ms-blob-type", "BlockBlob").body(text).send().await.unwrap();
        assert!(put.status().is_success(), "{:?}", put.text().await);
    }
    let ca = azurite.ca_file();
    let sweep = |container: &str, token: &str| {
        std::fs::write(folder.path().join("token"), format!("{}/{container}?{token}\n", azurite.endpoint()))
            .unwrap();
        let output =
            lenskeep(folder.path(), &["sweep", "--container", "token", "--ca", ca.to_str().unwrap()]);
        let text = said(&output);
        let signature = token.split_once("sig=").map_or("none", |(_, signature)| signature);
        assert!(!text.contains(signature) && !text.contains("sig=") && !text.contains(SECRET), "{text}");
        (output.status.code(), text)
    };
    let (code, text) = sweep("footage", &valid);
    assert_eq!(code, Some(1), "{text}");
    for part in [
        "lenskeeptest/footage/site 1/param.txt:1",
        "lenskeeptest/footage/site 1/a%25b#?.txt:1",
        "lenskeeptest/footage/long.log:400001",
        "3 findings",
        "; 0 skipped",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // Ended; of another container; of one that is not there; none at all; of a certificate that nobody named.
    for (container, token, part) in [
        ("footage", token(&azurite, "footage", -60), "403"),
        ("grants", valid.clone(), "403"),
        ("nowhere", token(&azurite, "nowhere", 600), "404 Not Found (ContainerNotFound)"),
        ("footage", String::new(), "answered 40"),
    ] {
        let (code, text) = sweep(container, &token);
        assert_eq!(code, Some(2), "{container}: {text}");
        assert!(text.contains(part) && text.contains("0 findings"), "{container}: {text}");
    }
    std::fs::write(folder.path().join("token"), format!("{}/footage?{valid}", azurite.endpoint())).unwrap();
    let output = lenskeep(folder.path(), &["sweep", "--container", "token"]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
}

/// A store over HTTP on this machine. Answers are all that goes over the wire.
struct Store {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Store {
    fn start(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Store {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/account/cameras", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (answer, log) = (Arc::new(answer), asked.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answer, log) = (answer.clone(), log.clone());
                std::thread::spawn(move || serve(stream, &log, &*answer));
            }
        });
        Store { url, asked }
    }

    fn sweep(&self, folder: &Path, more: &[&str]) -> Output {
        std::fs::write(folder.join("token"), format!("{}?sv=2021-12-02&sig={SIGNATURE}", self.url)).unwrap();
        let output = lenskeep(folder, &[&["sweep", "--container", "token"], more].concat());
        assert!(!said(&output).contains(SIGNATURE), "{}", said(&output));
        output
    }

    fn asked(&self, part: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|path| path.contains(part)).count()
    }
}

fn serve(mut stream: TcpStream, log: &Mutex<Vec<String>>, answer: &dyn Fn(&str) -> Vec<u8>) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        match stream.read(&mut byte) {
            Ok(1) => request.push(byte[0]),
            _ => return,
        }
    }
    let request = String::from_utf8_lossy(&request).into_owned();
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    log.lock().unwrap().push(path.clone());
    let _ = stream.write_all(&answer(&path));
}

fn ok(body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nETag: \"e\"\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

fn refused(head: &str) -> Vec<u8> {
    format!("HTTP/1.1 {head}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").into_bytes()
}

/// Names are as they stand in XML; all blobs are as long as [`text`].
fn list<'a>(names: impl IntoIterator<Item = &'a str>, next: &str) -> Vec<u8> {
    let mut blobs = String::new();
    for name in names {
        let len = text().len();
        let _ = write!(
            blobs,
            "<Blob><Name>{name}</Name><Properties><Content-Length>{len}</Content-Length><Etag>e</Etag></Properties></Blob>"
        );
    }
    ok(&format!(
        "<EnumerationResults><Blobs>{blobs}</Blobs><NextMarker>{next}</NextMarker></EnumerationResults>"
    ))
}

fn text() -> String {
    format!("root.SMTP.Password={SECRET}\n")
}

fn is_list(path: &str) -> bool {
    path.contains("comp=list")
}

#[test]
fn a_blob_that_cannot_be_read_is_told_and_the_others_are_read() {
    let store = Store::start(|path| match path {
        _ if is_list(path) => list(
            [
                "good",
                "moved",
                "gone",
                "cut",
                "../../../etc/passwd",
                "a&#x1b;]0;x&#x7;&#x202e;b",
                ".&#9;./cameras/good",
                "archived",
                "huge-header",
            ],
            "",
        ),
        _ if path.contains("moved") => refused("302 Found\r\nLocation: /account/elsewhere"),
        _ if path.contains("gone") => refused("404 Not Found\r\nx-ms-error-code: BlobNotFound"),
        _ if path.contains("archived") => {
            refused("409 Conflict\r\nx-ms-error-code: see https://elsewhere.example/")
        }
        _ if path.contains("huge-header") => refused(&format!("200 OK\r\nx-more: {}", "x".repeat(1 << 20))),
        _ if path.contains("cut") => ok(&"x".repeat(1000))[..500].to_vec(),
        _ => ok(&text()),
    });
    let folder = tempfile::tempdir().unwrap();
    let output = store.sweep(folder.path(), &[]);
    let told = said(&output);
    assert_eq!(output.status.code(), Some(1), "{told}");
    for part in [
        "/account/cameras/good:1",
        "/cameras/moved: the store answered 302 Found",
        "/cameras/gone: the store answered 404 Not Found (BlobNotFound)",
        "/cameras/cut: could not be read",
        "/cameras/../../../etc/passwd: its name cannot be asked for",
        "/cameras/archived: the store answered 409 Conflict\n",
        "/cameras/huge-header: could not be read",
        "/cameras/.\\u{9}./cameras/good: its name cannot be asked for",
        "2 findings",
        "; 7 skipped",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(!told.contains(['\u{1b}', '\u{7}', '\u{202e}']) && told.contains("a\\u{1b}]0;x"), "{told}");
    assert_eq!((store.asked("elsewhere"), store.asked("passwd")), (0, 0));
    assert_eq!(store.asked("cut"), 3, "it is tried again, and not for ever");
}

/// What a store answers from then on, by path.
type End = fn(&str) -> Option<Vec<u8>>;

#[test]
fn a_store_that_ends_in_the_middle_leaves_what_was_found_and_an_error() {
    let ends: [(&str, End); 4] = [
        ("(AuthenticationFailed)", |path| {
            path.contains("/b?").then(|| refused("403 Forbidden\r\nx-ms-error-code: AuthenticationFailed"))
        }),
        ("could not be listed", |path| path.contains("marker=second").then(Vec::new)),
        ("the store answered 307", |path| {
            path.contains("marker=second")
                .then(|| refused("307 Temporary Redirect\r\nLocation: /account/elsewhere"))
        }),
        ("the store's list could not be read", |path| {
            path.contains("marker=second").then(|| ok("<html>Sign in</html>"))
        }),
    ];
    for (part, end) in ends {
        let store = Store::start(move |path| match end(path) {
            Some(answer) => answer,
            None if path.contains("marker=second") => list(["c"], ""),
            None if is_list(path) => list(["a", "b"], "second"),
            None => ok(&text()),
        });
        let folder = tempfile::tempdir().unwrap();
        let output = store.sweep(folder.path(), &["--write-baseline", "known"]);
        let told = said(&output);
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(
            told.contains(part) && told.contains("/cameras/a:1") && told.contains("not everything was read"),
            "{told}"
        );
        assert!(!folder.path().join("known").exists(), "a baseline would forgive what was not read");
        assert_eq!(store.asked("elsewhere"), 0);
    }
}

#[test]
fn a_list_without_end_ends() {
    let same = Store::start(|path| if is_list(path) { list(["a"], "again") } else { ok(&text()) });
    // A circle with other markers, in which nothing is new.
    let count = Mutex::new(0);
    let circle = Store::start(move |path| match is_list(path) {
        true => {
            let mut count = count.lock().unwrap();
            *count += 1;
            list(["a", "b"], &format!("m{count}"))
        }
        false => ok(&text()),
    });
    for store in [same, circle] {
        let folder = tempfile::tempdir().unwrap();
        let output = store.sweep(folder.path(), &[]);
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        assert!(said(&output).contains("has no end"), "{}", said(&output));
        assert!(store.asked("comp=list") <= 1001 && store.asked("/cameras/a?") == 1);
    }
}

#[test]
fn an_address_that_would_show_the_token_is_refused_unread() {
    let folder = tempfile::tempdir().unwrap();
    for address in [
        format!("http://store.example/cameras?sig={SIGNATURE}"),
        format!("https://user:{SIGNATURE}@store.example/cameras"),
        format!("https://store.example/?sig={SIGNATURE}"),
        format!("?sig={SIGNATURE}"),
        format!("https://store.example/{}?sig={SIGNATURE}", "x".repeat(9000)),
    ] {
        std::fs::write(folder.path().join("token"), &address).unwrap();
        let output = lenskeep(folder.path(), &["sweep", "--container", "token"]);
        assert_eq!(output.status.code(), Some(2), "{address}");
        assert!(!said(&output).contains(SIGNATURE), "{}", said(&output));
    }
}

#[test]
fn a_sweep_of_a_container_goes_on_without_reading_what_was_read() {
    let names: Vec<String> = (0..40).map(|number| format!("blob-{number:02}")).collect();
    let listed = names.clone();
    let store = Store::start(move |path| match is_list(path) {
        true => list(listed.iter().map(String::as_str), ""),
        false => {
            std::thread::sleep(Duration::from_millis(30));
            ok(&text())
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let plain = store.sweep(folder.path(), &["--format", "json"]);
    store.asked.lock().unwrap().clear();
    let more = ["--format", "json", "--resume", "journal"];
    let done = killed(folder.path(), &[&["sweep", "--container", "token"], &more[..]].concat(), "journal");
    let went_on = store.sweep(folder.path(), &more);
    assert_eq!(went_on.status.code(), Some(1), "{}", said(&went_on));
    assert_eq!(String::from_utf8_lossy(&went_on.stdout), String::from_utf8_lossy(&plain.stdout));
    let once = names.iter().filter(|name| store.asked(&format!("{name}?")) == 1).count();
    let twice = names.iter().filter(|name| store.asked(&format!("{name}?")) == 2).count();
    assert!(done >= 3 && twice <= 1 && once + twice == names.len(), "{done} done, {twice} read twice");
}
