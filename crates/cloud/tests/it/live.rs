//! Live streams: from the gateway's link through the relay to a viewer.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use model::wire::{
    ANSWERS_HEADER, ANSWERS_LOCKS, ANSWERS_NOTICES, ANSWERS_PTZ, ANSWERS_RECORDINGS, ANSWERS_TIMELINES,
    FRAME_CHUNK, FRAME_HEADER, FRAME_PIECE,
};
use model::{CameraId, Hash};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use seal::recording::{RecordingWriter, flags};
use seal::roster::{Scope, Statement};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message, http};

use crate::support::footage::Epoch;
use crate::support::{Gateway, World, on_both_databases};

on_both_databases!(
    chunks_reach_a_viewer_from_the_key_frame_on,
    a_revoked_device_is_cut,
    who_may_not_hear_is_sent_no_sound,
    a_revoked_gateway_loses_its_link,
);

/// Of the track in the head of a sealed chunk (format.md section 5).
const TRACK_AT: usize = 4;
/// Longer than the recheck that a test waits for.
const PATIENCE: Duration = Duration::from_secs(60);

/// Asks until it is so.
pub(crate) async fn until(holds: impl AsyncFn() -> bool) {
    let asking = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.expect("it came to hold");
}

/// The gateway's end of its link.
pub(crate) struct Link {
    socket: WebSocketStream<tokio_rustls::client::TlsStream<TcpStream>>,
}

impl Gateway {
    pub(crate) async fn link(&self) -> Link {
        let (certificate, key) = self.identity.as_ref().unwrap();
        let port: u16 = self.base.rsplit_once(':').unwrap().1.parse().unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(&self.ca_pem).unwrap()).unwrap();
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_client_auth_cert(
                vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()],
                PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
            )
            .unwrap();
        let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let name = "localhost".try_into().unwrap();
        let stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
        let url = format!("wss://localhost:{port}/gateway/v1/link");
        let mut request = url.into_client_request().unwrap();
        for answers in [ANSWERS_RECORDINGS, ANSWERS_TIMELINES, ANSWERS_NOTICES, ANSWERS_PTZ, ANSWERS_LOCKS] {
            request.headers_mut().append(ANSWERS_HEADER, answers.parse().unwrap());
        }
        let (socket, _) = tokio_tungstenite::client_async(request, stream).await.unwrap();
        Link { socket }
    }
}

impl Link {
    pub(crate) async fn say(&mut self, message: &Value) {
        self.send(Message::text(message.to_string())).await.unwrap();
    }

    pub(crate) async fn send(&mut self, message: Message) -> Result<(), Error> {
        self.socket.send(message).await
    }

    pub(crate) async fn status(&mut self, state: Hash) {
        self.say(&json!({ "type": "status", "state": state, "version": "1", "cameras": [] })).await;
    }

    /// The next text frame.
    pub(crate) async fn text(&mut self) -> Value {
        loop {
            let next = tokio::time::timeout(PATIENCE, self.socket.next()).await.unwrap();
            if let Message::Text(text) = next.unwrap().unwrap() {
                return serde_json::from_str(&text).unwrap();
            }
        }
    }

    /// The next text frame that wants an answer about the disk.
    pub(crate) async fn question(&mut self) -> Value {
        loop {
            let message = self.text().await;
            if message["ask"].is_u64() {
                return message;
            }
        }
    }

    /// Waits for the cloud to end it.
    pub(crate) async fn ended(&mut self) {
        let ended = async { while let Some(Ok(_)) = self.socket.next().await {} };
        tokio::time::timeout(PATIENCE, ended).await.expect("the link was cut");
    }

    pub(crate) async fn header(&mut self, stream: u32, header: &[u8]) {
        self.frame(FRAME_HEADER, &[&stream.to_be_bytes(), header]).await;
    }

    pub(crate) async fn chunk(&mut self, stream: u32, number: u32, chunk: &[u8]) {
        self.frame(FRAME_CHUNK, &[&stream.to_be_bytes(), &number.to_be_bytes(), chunk]).await;
    }

    pub(crate) async fn piece(&mut self, ask: u32, bytes: &[u8]) {
        self.frame(FRAME_PIECE, &[&ask.to_be_bytes(), bytes]).await;
    }

    async fn frame(&mut self, kind: u8, parts: &[&[u8]]) {
        let frame = [&[kind], parts.concat().as_slice()].concat();
        self.socket.send(Message::binary(frame)).await.unwrap();
    }
}

/// A viewer's WebSocket.
pub(crate) struct Viewer {
    socket: WebSocketStream<TcpStream>,
}

#[derive(Debug, PartialEq)]
pub(crate) enum Got {
    Text(Value),
    Binary(Vec<u8>),
    Nothing,
}

impl Viewer {
    pub(crate) async fn open(
        world: &World,
        cookie: &str,
        camera: CameraId,
        origin: &str,
    ) -> Result<Self, Error> {
        let path = format!("/api/v1/cameras/{camera}/live?rendition=main");
        let given = world.as_person(cookie).post(&path, &json!({})).await;
        match given.body["ticket"].as_str() {
            Some(ticket) => {
                Viewer::with_ticket(world, cookie, &format!("{path}&ticket={ticket}"), origin).await
            }
            None => {
                let refused = http::Response::builder().status(given.status.as_u16()).body(None).unwrap();
                Err(Error::Http(refused.into()))
            }
        }
    }

    pub(crate) async fn with_ticket(
        world: &World,
        cookie: &str,
        path: &str,
        origin: &str,
    ) -> Result<Self, Error> {
        let address = world.running.viewer_addr;
        let url = format!("ws://localhost:{}{path}", address.port());
        let mut request = url.into_client_request().unwrap();
        request.headers_mut().insert("cookie", cookie.parse().unwrap());
        request.headers_mut().insert("origin", origin.parse().unwrap());
        let stream = TcpStream::connect(address).await.unwrap();
        let (socket, _) = tokio_tungstenite::client_async(request, stream).await?;
        Ok(Viewer { socket })
    }

    pub(crate) async fn say(&mut self, message: Message) {
        self.socket.send(message).await.unwrap();
    }

    pub(crate) async fn next(&mut self) -> Got {
        loop {
            match tokio::time::timeout(PATIENCE, self.socket.next()).await.expect("something comes") {
                Some(Ok(Message::Text(text))) => return Got::Text(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Binary(bytes))) => return Got::Binary(bytes.to_vec()),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                _ => return Got::Nothing,
            }
        }
    }
}

pub(crate) fn status_of(result: Result<Viewer, Error>) -> u16 {
    match result {
        Err(Error::Http(response)) => response.status().as_u16(),
        Err(error) => panic!("{error}"),
        Ok(_) => 101,
    }
}

fn seal_picture(writer: &mut RecordingWriter, picture: u32) -> (u32, Vec<u8>) {
    let mut chunk = Vec::new();
    let flag = if picture.is_multiple_of(5) { flags::KEY_FRAME } else { 0 };
    let number = writer.seal(0, flag, picture * 3_600, &[b"a picture"], &mut chunk).unwrap();
    (number, chunk)
}

async fn chunks_reach_a_viewer_from_the_key_frame_on(world: World) {
    let mut organisation = world.found().await;
    let gateway = Gateway::enrolled(&world, &mut organisation).await;
    let camera = organisation.bind_camera(&world, gateway.id).await;
    let epoch = Epoch::new(organisation.org, camera);
    let origin = world.origin();
    let cookie = organisation.admin.cookie.clone();
    let mut viewer = Viewer::open(&world, &cookie, camera, &origin).await.unwrap();
    assert_eq!(viewer.next().await, Got::Text(json!({ "type": "waiting" })));

    let mut link = gateway.link().await;
    let watch = link.text().await;
    assert_eq!((&watch["type"], &watch["camera"]), (&json!("watch"), &json!(camera)));
    let stream = watch["stream"].as_u64().unwrap() as u32;
    let mut header = Vec::new();
    let mut writer = epoch.begin(&gateway, &organisation.roster, &mut header);
    link.header(stream, &header).await;
    let pictures: Vec<_> = (0..8).map(|picture| seal_picture(&mut writer, picture)).collect();
    let (gop, next_gop) = pictures.split_at(5);
    for (number, chunk) in gop {
        link.chunk(stream, *number, chunk).await;
    }
    let frame =
        |number: u32, chunk: &[u8]| Got::Binary([&[FRAME_CHUNK], &number.to_be_bytes()[..], chunk].concat());
    assert_eq!(viewer.next().await, Got::Binary([&[FRAME_HEADER], &header[..]].concat()));
    for (number, chunk) in gop {
        assert_eq!(viewer.next().await, frame(*number, chunk));
    }
    for (number, chunk) in next_gop {
        link.chunk(stream, *number, chunk).await;
        assert_eq!(viewer.next().await, frame(*number, chunk));
    }
    // A newcomer gets the current GOP first, and no second stream is asked for.
    let mut late = Viewer::open(&world, &cookie, camera, &origin).await.unwrap();
    assert_eq!(late.next().await, Got::Binary([&[FRAME_HEADER], &header[..]].concat()));
    assert_eq!(late.next().await, frame(pictures[5].0, &pictures[5].1));

    // Another site's page has the cookie sent by a browser, and is refused.
    assert_eq!(status_of(Viewer::open(&world, &cookie, camera, "https://evil.example").await), 403);
    assert_eq!(status_of(Viewer::open(&world, "a=b", camera, &origin).await), 401);

    link.say(&json!({ "type": "watch_failed", "stream": stream, "reason": "the camera is off" })).await;
    loop {
        match late.next().await {
            Got::Text(text) => {
                assert_eq!(text, json!({ "type": "ended", "reason": "the camera is off" }));
                break;
            }
            Got::Binary(_) => {}
            Got::Nothing => panic!("it ends with a reason"),
        }
    }
}

async fn a_revoked_device_is_cut(world: World) {
    let mut organisation = world.found().await;
    let gateway = Gateway::enrolled(&world, &mut organisation).await;
    let camera = organisation.bind_camera(&world, gateway.id).await;
    let ben = organisation.add_person(&world, Some(Scope::All)).await;
    let outsider = organisation.add_person(&world, None).await;
    let origin = world.origin();
    assert_eq!(status_of(Viewer::open(&world, &outsider.cookie, camera, &origin).await), 404);
    let mut viewer = Viewer::open(&world, &ben.cookie, camera, &origin).await.unwrap();
    let mut admin = Viewer::open(&world, &organisation.admin.cookie, camera, &origin).await.unwrap();
    assert_eq!(viewer.next().await, Got::Text(json!({ "type": "waiting" })));
    assert_eq!(admin.next().await, Got::Text(json!({ "type": "waiting" })));

    organisation.append(&world, Statement::RevokeDevice { device: ben.device }).await;
    let Got::Text(text) = viewer.next().await else { panic!("a reason comes first") };
    assert_eq!(text["type"], "ended");
    assert_eq!(viewer.next().await, Got::Nothing);

    // Signing out ends what the session has open, at once.
    organisation.api(&world).post("/api/v1/logout", &json!({})).await;
    let Got::Text(text) = admin.next().await else { panic!("a reason comes first") };
    assert_eq!(text["type"], "ended");
}

async fn who_may_not_hear_is_sent_no_sound(world: World) {
    let mut organisation = world.found().await;
    let gateway = Gateway::enrolled(&world, &mut organisation).await;
    let camera = organisation.bind_camera(&world, gateway.id).await;
    let ben = organisation.add_person(&world, Some(Scope::All)).await;
    let share = |audio| Statement::SetAccess { person: ben.id, scope: Scope::All, audio, until: None };
    let hears = async || {
        let listed = world.as_person(&ben.cookie).get("/api/v1/cameras").await;
        let why = json!({ "operation": "audio", "camera": camera });
        let why = world.as_person(&ben.cookie).post("/api/v1/explanations", &why).await;
        assert_eq!(listed.body["cameras"][0]["hears"], why.body["allowed"], "{}", why.body);
        why.body["allowed"] == json!(true)
    };
    assert!(hears().await);
    organisation.append(&world, share(false)).await;
    assert!(!hears().await);

    let mut viewer = Viewer::open(&world, &ben.cookie, camera, &world.origin()).await.unwrap();
    let mut link = gateway.link().await;
    let stream = link.text().await["stream"].as_u64().unwrap() as u32;
    let epoch = Epoch::new(organisation.org, camera);
    let mut header = Vec::new();
    let mut writer = epoch.begin(&gateway, &organisation.roster, &mut header);
    link.header(stream, &header).await;
    // Sealed as audio is: on another track. What is in it does not matter here.
    let as_sound = |mut chunk: Vec<u8>| {
        chunk[TRACK_AT] = 1;
        chunk
    };
    let (number, picture) = seal_picture(&mut writer, 0);
    link.chunk(stream, number, &picture).await;
    let (sound_number, sound) = seal_picture(&mut writer, 1);
    link.chunk(stream, sound_number, &as_sound(sound.clone())).await;
    let (last_number, last) = seal_picture(&mut writer, 2);
    link.chunk(stream, last_number, &last).await;
    let mut numbers = Vec::new();
    while numbers.last() != Some(&last_number) {
        match viewer.next().await {
            Got::Binary(bytes) if bytes[0] == FRAME_CHUNK => {
                numbers.push(u32::from_be_bytes(bytes[1..5].try_into().unwrap()));
            }
            Got::Nothing => panic!("the viewer stays"),
            _ => {}
        }
    }
    assert_eq!(numbers, [number, last_number]);

    // Given the right while watching, sound comes.
    organisation.append(&world, share(true)).await;
    assert!(hears().await);
    for next in 3.. {
        let (number, chunk) = seal_picture(&mut writer, next);
        link.chunk(stream, number, &as_sound(chunk)).await;
        let waited = tokio::time::timeout(Duration::from_millis(100), viewer.next()).await;
        if matches!(waited, Ok(Got::Binary(_))) {
            break;
        }
        assert!(next < 200, "no sound came");
    }
}

async fn a_revoked_gateway_loses_its_link(world: World) {
    let mut organisation = world.found().await;
    let gateway = Gateway::enrolled(&world, &mut organisation).await;
    let mut link = gateway.link().await;
    link.status(Hash([7; 32])).await;
    let connected =
        async || organisation.api(&world).get("/api/v1/gateways").await.body["gateways"][0].clone();
    until(async || connected().await["state"] == json!(Hash([7; 32]))).await;
    let revoke = organisation.sign(Statement::RevokeGateway { gateway: gateway.id }, &organisation.admin);
    organisation.api(&world).post("/api/v1/roster", &json!({ "envelope": revoke })).await;
    link.ended().await;
}

/// What a gateway says of streams and cameras that are not its own is not
/// passed on; what breaks the rules ends its link.
#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_speaks_for_its_own_cameras() {
    let world = World::on_sqlite().await;
    let mut organisation = world.found().await;
    let gateway = Gateway::enrolled(&world, &mut organisation).await;
    let other = Gateway::enrolled(&world, &mut organisation).await;
    let camera = organisation.bind_camera(&world, gateway.id).await;
    let epoch = Epoch::new(organisation.org, camera);
    let mut viewer = Viewer::open(&world, &organisation.admin.cookie, camera, &world.origin()).await.unwrap();
    assert_eq!(viewer.next().await, Got::Text(json!({ "type": "waiting" })));
    let mut link = gateway.link().await;
    let stream = link.text().await["stream"].as_u64().unwrap() as u32;

    let mut rogue = other.link().await;
    let status = json!({
        "camera": camera, "rendition": "main", "state": "recording", "since": 0, "reason": null,
        "bits_per_second": 1, "codec": null, "width": 0, "height": 0, "has_audio": false,
    });
    rogue
        .say(&json!({ "type": "status", "state": Hash::default(), "version": "1", "cameras": [status] }))
        .await;
    let mut header = Vec::new();
    let mut writer = epoch.begin(&other, &organisation.roster, &mut header);
    rogue.header(stream, &header).await;
    let (number, chunk) = seal_picture(&mut writer, 0);
    rogue.chunk(stream, number, &chunk).await;
    let api = organisation.api(&world);
    until(async || {
        let listed = api.get("/api/v1/gateways").await.body;
        listed["gateways"]
            .as_array()
            .unwrap()
            .iter()
            .any(|g| g["id"] == json!(other.id) && g["state"] != json!(null))
    })
    .await;
    assert_eq!(api.get("/api/v1/cameras").await.body["cameras"][0]["streams"], json!([]));

    // The camera's own gateway, with a header that another one signed.
    link.header(stream, &header).await;
    link.ended().await;
    let mut again = gateway.link().await;
    let stream = again.text().await["stream"].as_u64().unwrap() as u32;
    let mut genuine = Vec::new();
    epoch.begin(&gateway, &organisation.roster, &mut genuine);
    again.header(stream, &genuine).await;
    again.chunk(stream, number, &chunk).await;
    let first = loop {
        match viewer.next().await {
            Got::Binary(bytes) => break bytes,
            Got::Text(_) => {}
            Got::Nothing => panic!("the viewer stays"),
        }
    };
    assert_eq!(
        first,
        [&[FRAME_HEADER], &genuine[..]].concat(),
        "the first header that a viewer sees is genuine"
    );
}
