//! The local way: what people of the roster get without the cloud, and what
//! everybody else does not.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use gateway::local::client::{Entered, enter};
use model::wire::{Envelope, FRAME_CHUNK, FRAME_HEADER, ToGateway};
use model::{CameraId, DeviceId, Hash, PersonId, Timestamp};
use reqwest::{Method, StatusCode};
use seal::action::{Action, SignedAction};
use seal::grant::EpochGrant;
use seal::keyring::DeviceKeys;
use seal::keys::VerifyingKey;
use seal::local::{JournalEntry, JournalEvent, LocalGateway, LocalJournal, LocalLogin, RefusedReason};
use seal::recording::{CHUNK_HEAD_LEN, ChunkHead, ChunkOpener, Recording, SignedHeader};
use seal::roster::{Roster, Scope, Statement, sign_next};
use serde_json::{Value, json};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::administrator::{device, now};
use super::{PATIENCE, Site, until};

type Socket = WebSocketStream<reqwest::Upgraded>;

impl Site {
    async fn local_address(&self) -> SocketAddr {
        let mut address = self.gateway.as_ref().unwrap().local_address();
        let found = tokio::time::timeout(PATIENCE, address.wait_for(Option::is_some)).await;
        found.expect("it listens").unwrap().unwrap()
    }

    pub(super) async fn enter(&self) -> Entered {
        self.enter_as(self.administrator.device_id(), self.administrator.keys()).await.unwrap()
    }

    async fn enter_as(&self, device: DeviceId, keys: &DeviceKeys) -> anyhow::Result<Entered> {
        let roster = self.administrator.roster();
        let gateway = self.administrator.gateway().id;
        enter(self.local_address().await, Some(gateway), &roster, device, &keys.sign).await
    }

    /// Waits until a recording is whole, so that there is something to open.
    pub(super) async fn first_recording(&self, entered: &Entered) -> Hash {
        let camera = self.camera;
        let begun = tokio::time::Instant::now();
        loop {
            let list = get(entered, &format!("/api/v1/cameras/{camera}/recordings")).await.1;
            if let Some(id) = list["recordings"][0]["id"].as_str() {
                return id.parse().unwrap();
            }
            assert!(begun.elapsed() < PATIENCE, "{list}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// A device of another person, who may open what `scope` says.
    fn add_person(&self, n: u8, until: Timestamp, scope: Option<Scope>) -> (DeviceId, DeviceKeys) {
        let keys = DeviceKeys::from_seeds([n; 32], [n ^ 0x80; 32]);
        let (id, person) = (DeviceId::from_random([n; 16]), PersonId::from_random([n; 16]));
        let added = seal::roster::Device { until, ..device(id, person, &keys) };
        self.administrator.state(Statement::AddDevice { device: added });
        if let Some(scope) = scope {
            self.administrator.state(Statement::SetAccess { person, scope, audio: true, until: None });
        }
        (id, keys)
    }

    /// The gateway learns what the administrator has signed.
    async fn spread(&self) {
        let head = self.administrator.roster().head();
        self.cloud.send(ToGateway::RosterChanged);
        let address = self.local_address().await;
        let begun = tokio::time::Instant::now();
        while hello(address).await.roster_head != head.1 {
            assert!(begun.elapsed() < PATIENCE, "the gateway does not learn the roster");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// All that the cloud was told of the journal, each entry once.
    fn told(&self) -> Vec<JournalEntry> {
        let gateway = self.administrator.gateway();
        let key = VerifyingKey::from_bytes(&gateway.sign.0).unwrap();
        let parts = self.cloud.journal();
        let parts = parts.iter().map(|part| LocalJournal::verify(part, gateway.id, key).unwrap());
        let mut entries: Vec<JournalEntry> = parts.flat_map(|part| part.entries).collect();
        entries.sort_by_key(|entry| entry.seq);
        entries.dedup();
        entries
    }
}

pub(super) fn request(entered: &Entered, method: Method, path: &str) -> reqwest::RequestBuilder {
    let url = entered.base.join(path).unwrap();
    entered.http.request(method, url).bearer_auth(entered.token.expose())
}

pub(super) async fn get(entered: &Entered, path: &str) -> (StatusCode, Value) {
    let response = request(entered, Method::GET, path).send().await.unwrap();
    let status = response.status();
    (status, serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or_default())
}

async fn live(entered: &Entered, camera: CameraId) -> Result<Socket, (StatusCode, String)> {
    let request = request(entered, Method::GET, &format!("/api/v1/cameras/{camera}/live"))
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", generate_key());
    let response = request.send().await.unwrap();
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        let status = response.status();
        let body: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
        return Err((status, body["error"]["code"].as_str().unwrap().to_owned()));
    }
    Ok(WebSocketStream::from_raw_socket(response.upgrade().await.unwrap(), Role::Client, None).await)
}

async fn frame(socket: &mut Socket) -> Message {
    let next = tokio::time::timeout(PATIENCE, socket.next()).await;
    next.expect("a frame in time").expect("a frame").unwrap()
}

/// Reads until the gateway says that it ends, and why.
async fn end(socket: &mut Socket) -> String {
    loop {
        match frame(socket).await {
            Message::Text(text) if text.contains("ended") => return text.to_string(),
            Message::Close(_) => panic!("it ended without a word"),
            _ => {}
        }
    }
}

fn json_post(entered: &Entered, path: &str, body: &Value) -> reqwest::RequestBuilder {
    request(entered, Method::POST, path).json(body)
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_cloud_live_and_recorded_open_on_the_site() {
    let mut site = Site::recording().await;
    site.cloud.script(|script| script.is_down = true);
    let entered = site.enter().await;
    let (camera, roster) = (site.camera, site.administrator.roster());
    let (_, cameras) = get(&entered, "/api/v1/cameras").await;
    assert_eq!(cameras["cameras"][0]["id"], json!(camera));
    assert_eq!(cameras["cameras"][0]["streams"][0]["state"], "recording");
    let (_, me) = get(&entered, "/api/v1/me").await;
    assert_eq!((&me["org_name"], &me["device"]), (&json!("Test"), &json!(site.administrator.device_id())));
    let (_, page) = get(&entered, "/api/v1/roster?after=0").await;
    assert_eq!(page["statements"], json!(site.administrator.shared().statements()[1..]));

    // A recording: whole, in part, and opened with the grant from here.
    let id = site.first_recording(&entered).await;
    let (from, to) = (now().minus_ms(60_000).0, now().plus_ms(60_000).0);
    let (_, timeline) =
        get(&entered, &format!("/api/v1/cameras/{camera}/timeline?from={from}&to={to}")).await;
    let recorded: u64 = (timeline["parts"].as_array().unwrap().iter())
        .map(|part| part["recorded_ms"].as_u64().unwrap())
        .sum();
    assert!(recorded > 0, "{timeline}");
    let path = format!("/api/v1/recordings/{id}");
    let whole = request(&entered, Method::GET, &path).send().await.unwrap();
    assert_eq!(whole.headers()["content-type"], "application/vnd.lenskeep.recording");
    let bytes = whole.bytes().await.unwrap();
    let head = request(&entered, Method::HEAD, &path).send().await.unwrap();
    assert_eq!(head.headers()["content-length"], bytes.len().to_string());
    let part = request(&entered, Method::GET, &path).header("range", "bytes=-16").send().await.unwrap();
    assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(part.bytes().await.unwrap(), bytes[bytes.len() - 16..]);
    let outside = request(&entered, Method::GET, &path).header("range", "bytes=999999999-").send().await;
    assert_eq!(outside.unwrap().status(), StatusCode::RANGE_NOT_SATISFIABLE);
    let recording = Recording::parse(&bytes).unwrap();
    recording.verify(&roster).unwrap();
    let keys = site.keys(&entered, recording.header.header.epoch).await;
    let opener = ChunkOpener::new(&recording.header, &keys).unwrap();
    for chunk in &recording.chunks {
        opener.open(chunk.number, chunk.head_bytes, &mut chunk.ciphertext.to_vec()).unwrap();
    }

    // Live: the frames that the cloud's viewers get, beginning with a key frame.
    let mut socket = live(&entered, camera).await.unwrap();
    let Message::Binary(first) = frame(&mut socket).await else { panic!("a header comes first") };
    assert_eq!(first[0], FRAME_HEADER);
    let mut header = SignedHeader::parse(&first[1..]).unwrap();
    let mut opened = 0;
    while opened < 30 {
        let Message::Binary(frame) = frame(&mut socket).await else { continue };
        if frame[0] == FRAME_HEADER {
            header = SignedHeader::parse(&frame[1..]).unwrap();
            continue;
        }
        assert_eq!(frame[0], FRAME_CHUNK);
        header.verify(&roster).unwrap();
        let (number, rest) = frame[1..].split_first_chunk::<4>().unwrap();
        let (head, sealed) = rest.split_first_chunk::<CHUNK_HEAD_LEN>().unwrap();
        assert!(opened > 0 || ChunkHead::parse(head).unwrap().is_key_frame());
        let keys = site.keys(&entered, header.header.epoch).await;
        let opener = ChunkOpener::new(&header, &keys).unwrap();
        opener.open(u32::from_be_bytes(*number), head, &mut sealed.to_vec()).unwrap();
        opened += 1;
    }
    // Viewers have nothing to say: whoever says something is cut.
    socket.send(Message::text(r#"{"type":"roster_changed"}"#)).await.unwrap();
    let cut = async { while let Some(Ok(Message::Binary(_) | Message::Text(_))) = socket.next().await {} };
    tokio::time::timeout(PATIENCE, cut).await.expect("the gateway ends it");
    assert_eq!(request(&entered, Method::POST, "/api/v1/logout").send().await.unwrap().status(), 204);
    assert_eq!(get(&entered, "/api/v1/cameras").await.0, StatusCode::UNAUTHORIZED);
    site.stop().await;
}

impl Site {
    pub(super) async fn keys(&self, entered: &Entered, epoch: model::EpochId) -> seal::grant::CameraKeys {
        let id = self.administrator.device_id();
        let (_, grant) = get(entered, &format!("/api/v1/epochs/{epoch}/grants/{id}")).await;
        let envelope: Envelope = serde_json::from_value(grant).unwrap();
        let gateway = self.administrator.gateway();
        let grant =
            EpochGrant::verify(&envelope, gateway.id, VerifyingKey::from_bytes(&gateway.sign.0).unwrap());
        grant.unwrap().open(id, &self.administrator.keys().kem).unwrap()[&self.camera].clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_the_local_way_the_roster_decides_and_cuts() {
    let site = Site::recording().await;
    let scope = Scope::Cameras { cameras: [site.camera].into() };
    let (guest, guest_keys) = site.add_person(20, now().plus_ms(Timestamp::DAY), Some(scope));
    let (stranger, stranger_keys) = site.add_person(21, now().plus_ms(Timestamp::DAY), None);
    let (late, late_keys) = site.add_person(22, now().minus_ms(1), Some(Scope::All));
    site.spread().await;
    let owner = site.enter().await;
    let id = site.first_recording(&owner).await;
    let camera = site.camera;
    let (_, list) = get(&owner, &format!("/api/v1/cameras/{camera}/recordings")).await;
    let epoch = list["recordings"][0]["epoch"].as_str().unwrap().to_owned();

    // In the roster, and with access to nothing.
    let outsider = site.enter_as(stranger, &stranger_keys).await.unwrap();
    assert_eq!(get(&outsider, "/api/v1/cameras").await.1, json!({ "cameras": [] }));
    let paths = [
        format!("/api/v1/cameras/{camera}/recordings"),
        format!("/api/v1/cameras/{camera}/timeline?from=0&to=1000"),
        format!("/api/v1/recordings/{id}"),
        format!("/api/v1/epochs/{epoch}/grants/{}", site.administrator.device_id()),
        "/api/v1/history".to_owned(),
    ];
    for path in &paths {
        assert_eq!(get(&outsider, path).await.0, StatusCode::NOT_FOUND, "{path}");
    }
    assert_eq!(live(&outsider, camera).await.unwrap_err().0, StatusCode::NOT_FOUND);
    // Nobody is let in whom the roster does not have, or no longer.
    let unknown = DeviceKeys::from_seeds([1; 32], [99; 32]);
    for (device, keys) in [(late, &late_keys), (DeviceId::from_random([99; 16]), &unknown), (guest, &unknown)]
    {
        let error = site.enter_as(device, keys).await.unwrap_err().to_string();
        assert!(error.contains("does not let this device in"), "{error}");
    }
    let without = owner.http.get(owner.base.join("/api/v1/cameras").unwrap());
    assert_eq!(without.send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
    let page = request(&owner, Method::GET, "/api/v1/cameras").header("origin", "https://evil.example");
    assert_eq!(page.send().await.unwrap().status(), StatusCode::FORBIDDEN, "pages do not come here");

    // A narrowed access and a revoked device are cut while they watch.
    let entered = site.enter_as(guest, &guest_keys).await.unwrap();
    let mut watching = live(&entered, camera).await.unwrap();
    assert!(matches!(frame(&mut watching).await, Message::Binary(_)));
    let mut own = live(&owner, camera).await.unwrap();
    let person = PersonId::from_random([20; 16]);
    let nothing = Scope::Cameras { cameras: Default::default() };
    site.administrator.state(Statement::SetAccess { person, scope: nothing, audio: true, until: None });
    site.spread().await;
    assert!(end(&mut watching).await.contains("no longer"));
    assert_eq!(get(&entered, &format!("/api/v1/recordings/{id}")).await.0, StatusCode::NOT_FOUND);
    site.administrator.state(Statement::RevokeDevice { device: guest });
    site.spread().await;
    assert_eq!(get(&entered, "/api/v1/cameras").await.0, StatusCode::UNAUTHORIZED);
    assert!(site.enter_as(guest, &guest_keys).await.is_err());
    // Others watch on.
    let mut pictures = 0;
    while pictures < 40 {
        pictures += usize::from(matches!(frame(&mut own).await, Message::Binary(_)));
    }
}

/// TLS with a certificate of its own in front of a gateway, as somebody on the
/// network would put there; what goes through is as it was, or as `forge` makes it.
async fn in_between(to: SocketAddr, forge: Option<fn(Value) -> Value>) -> (SocketAddr, Hash) {
    use axum::Json;
    use axum::extract::Path;
    use axum::routing::post;
    use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::default().self_signed(&key).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
        )
        .unwrap();
    // Whoever is in between trusts anybody, and asks the gateway in turn.
    let asking = move |Path(path): Path<String>, Json(body): Json<Value>| async move {
        let answer =
            anybody().post(format!("https://{to}/local/v1/{path}")).json(&body).send().await.unwrap();
        let answer: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        Json(forge.map_or(answer.clone(), |forge| forge(answer)))
    };
    let router = axum::Router::new().route("/local/v1/{path}", post(asking));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(config));
    tokio::spawn(async move {
        axum::serve(super::tls_listener::TlsListener { listener, acceptor }, router).await
    });
    (address, seal::sha256(certificate.der()))
}

/// A client that believes every certificate.
fn anybody() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().tls_danger_accept_invalid_certs(true).build().unwrap()
}

async fn hello(to: SocketAddr) -> LocalGateway {
    let body = json!({ "challenge": Hash([3; 32]) });
    let answer = anybody().post(format!("https://{to}/local/v1/hello")).json(&body).send().await.unwrap();
    let answer: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    LocalGateway::claimed(&serde_json::from_value(answer["envelope"].clone()).unwrap()).unwrap()
}

async fn login(to: SocketAddr, proof: &Envelope) -> StatusCode {
    let body = json!({ "envelope": proof });
    anybody().post(format!("https://{to}/local/v1/login")).json(&body).send().await.unwrap().status()
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_in_between_gets_in_on_the_local_way() {
    let site = Site::enrolled().await;
    let gateway = site.local_address().await;
    let roster = site.administrator.roster();
    let id = site.administrator.device_id();
    let keys = site.administrator.keys();

    // The device notices, before it has signed anything.
    let (address, shown) = in_between(gateway, None).await;
    let error = enter(address, None, &roster, id, &keys.sign).await.unwrap_err().to_string();
    assert!(error.contains("somebody is in between"), "{error}");
    // And if it did not, the gateway would: the proof is about another certificate.
    let claim = hello(gateway).await;
    let proof = |certificate, gateway_challenge| {
        let login = LocalLogin {
            org: roster.org(),
            gateway: claim.gateway,
            device: id,
            certificate,
            gateway_challenge,
        };
        login.sign(&keys.sign)
    };
    assert_ne!(claim.certificate, shown);
    assert_eq!(login(gateway, &proof(shown, claim.gateway_challenge)).await, StatusCode::UNAUTHORIZED);
    // Its certificate in the gateway's answer breaks the signature.
    let rewrite: fn(Value) -> Value = |mut answer| {
        let mut envelope: Envelope = serde_json::from_value(answer["envelope"].clone()).unwrap();
        let mut claim = LocalGateway::claimed(&envelope).unwrap();
        claim.certificate = Hash([7; 32]);
        envelope.payload = seal::to_canonical(&claim).into();
        answer["envelope"] = json!(envelope);
        answer
    };
    let (address, _) = in_between(gateway, Some(rewrite)).await;
    let error = enter(address, None, &roster, id, &keys.sign).await.unwrap_err().to_string();
    assert!(error.contains("does not fit"), "{error}");
    // Signed with a key of its own, it is not the roster's gateway.
    let impostor: fn(Value) -> Value = |mut answer| {
        let envelope: Envelope = serde_json::from_value(answer["envelope"].clone()).unwrap();
        let claim = LocalGateway::claimed(&envelope).unwrap();
        answer["envelope"] = json!(claim.sign(&seal::keys::SigningKey::from_seed([66; 32])));
        answer
    };
    let (address, _) = in_between(gateway, Some(impostor)).await;
    let error = enter(address, None, &roster, id, &keys.sign).await.unwrap_err().to_string();
    assert!(error.contains("does not fit"), "{error}");

    // A proof counts once, and a challenge of one's own making never.
    let claim = hello(gateway).await;
    let good = proof(claim.certificate, claim.gateway_challenge);
    assert_eq!(login(gateway, &good).await, StatusCode::OK);
    assert_eq!(login(gateway, &good).await, StatusCode::UNAUTHORIZED, "a replay");
    assert_eq!(login(gateway, &proof(claim.certificate, Hash([5; 32]))).await, StatusCode::UNAUTHORIZED);
    // An older answer of the gateway does not fit a new question.
    static OLD: std::sync::OnceLock<Value> = std::sync::OnceLock::new();
    let repeat: fn(Value) -> Value = |answer| OLD.get_or_init(|| answer).clone();
    let (address, _) = in_between(gateway, Some(repeat)).await;
    for _ in 0..2 {
        assert!(enter(address, None, &roster, id, &keys.sign).await.is_err());
    }
    // Another gateway than the one that was asked for.
    let other = model::GatewayId::from_random([42; 16]);
    let error = enter(gateway, Some(other), &roster, id, &keys.sign).await.unwrap_err().to_string();
    assert!(error.contains("not gw_2a2a"), "{error}");
}

/// The cloud showed each of them an end of its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_goes_by_another_roster_is_not_entered() {
    let site = Site::recording().await;
    let administrator = &site.administrator;
    let (device, keys) = (administrator.device_id(), administrator.keys());
    let shown = administrator.shared().statements();
    let before = shown[..shown.len() - 1].iter().map(|envelope| (envelope, now()));
    let mut forked = Roster::replay(before).unwrap();
    let person = PersonId::from_random([23; 16]);
    let other = Statement::SetAccess { person, scope: Scope::All, audio: true, until: None };
    let other = sign_next(&forked, now(), other, device, &keys.sign);
    forked.apply(&other, now()).unwrap();
    let address = site.local_address().await;
    let error = enter(address, None, &forked, device, &keys.sign).await.unwrap_err();
    assert!(format!("{error:#}").contains("goes by another roster"), "{error:#}");
    // What it knows, a device that knows less gets to see.
    let older = shown[..shown.len() - 1].iter().map(|envelope| (envelope, now()));
    let older = Roster::replay(older).unwrap();
    let entered = enter(address, None, &older, device, &keys.sign).await.unwrap();
    assert_eq!(entered.roster_head, administrator.roster().head().1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_was_turned_back_revives_no_device() {
    let mut site = Site::recording().await;
    let (device, keys) = site.add_person(23, now().plus_ms(5 * Timestamp::DAY), Some(Scope::All));
    site.spread().await;
    site.enter_as(device, &keys).await.unwrap();
    site.stop().await;
    // The gateway has recorded in ten days' time; now its clock says today.
    let path = site.data().join("index.sqlite");
    let index = sqlx::sqlite::SqlitePool::connect(&format!("sqlite:{}", path.display())).await.unwrap();
    let later = now().plus_ms(10 * Timestamp::DAY).0 as i64;
    sqlx::query("UPDATE grants SET created_at = ?").bind(later).execute(&index).await.unwrap();
    index.close().await;
    site.start().await;
    assert!(site.enter_as(device, &keys).await.is_err(), "its time is over");
    site.enter().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_done_on_the_local_way_is_told_when_the_cloud_is_back() {
    let mut site = Site::recording().await;
    site.cloud.script(|script| script.is_down = true);
    let entered = site.enter().await;
    let id = site.first_recording(&entered).await;
    let path = format!("/api/v1/recordings/{id}");
    for _ in 0..3 {
        request(&entered, Method::GET, &path).header("range", "bytes=0-9").send().await.unwrap();
    }
    let mut socket = live(&entered, site.camera).await.unwrap();
    frame(&mut socket).await;
    let stranger = DeviceKeys::from_seeds([1; 32], [77; 32]);
    assert!(site.enter_as(DeviceId::from_random([77; 16]), &stranger).await.is_err());
    assert!(site.enter_as(site.administrator.device_id(), &stranger).await.is_err());

    // An export is signed, and once.
    let roster = site.administrator.roster();
    let signed = SignedAction {
        org: roster.org(),
        nonce: Hash([8; 32]),
        expires_at: now().plus_ms(5 * Timestamp::MINUTE),
        previous_state: roster.head().1,
        action: Action::Export { camera: site.camera, from: Timestamp(0), to: now(), reason: None },
    };
    let action = signed.sign(site.administrator.device_id(), &site.administrator.keys().sign);
    let order =
        |envelope: &Envelope| json_post(&entered, "/api/v1/actions", &json!({ "envelope": envelope })).send();
    let acted: Value = serde_json::from_slice(&order(&action).await.unwrap().bytes().await.unwrap()).unwrap();
    assert_eq!(acted["signature"], json!(seal::sha256(&action.payload.0)));
    assert_eq!(order(&action).await.unwrap().status(), StatusCode::CONFLICT);
    let forged = signed.sign(site.administrator.device_id(), &stranger.sign);
    assert_eq!(order(&forged).await.unwrap().status(), StatusCode::UNPROCESSABLE_ENTITY);

    // A stop, a start, and a cloud that takes it without saying so.
    drop(socket);
    site.stop().await;
    site.start().await;
    assert!(site.cloud.journal().is_empty());
    site.cloud.script(|script| {
        script.is_down = false;
        script.silent_journals = 1;
    });
    until("the journal is told, again", || site.cloud.journal().len() >= 2).await;
    let told = site.told();
    assert_eq!(told[0].seq, 0);
    assert!(told.windows(2).all(|pair| pair[1].follows(&pair[0])), "one chain, each entry once");
    let (device, person) = (site.administrator.device_id(), PersonId::from_random([1; 16]));
    let (camera, rendition) = (site.camera, model::Rendition::Main);
    let refused = |device| JournalEvent::Refused {
        device,
        reason: if device.is_none() { RefusedReason::Device } else { RefusedReason::Signature },
        count: 1,
    };
    let events: Vec<JournalEvent> = told.into_iter().map(|entry| entry.event).collect();
    let expected = [
        JournalEvent::Login { device, person },
        JournalEvent::Playback { device, person, camera, recording: id },
        JournalEvent::Live { device, person, camera, rendition },
        JournalEvent::Export { device, person, camera, action },
        refused(None),
        refused(Some(device)),
    ];
    assert_eq!(events, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_journal_the_local_way_shows_nothing_and_recording_goes_on() {
    let site = Site::recording().await;
    let entered = site.enter().await;
    let id = site.first_recording(&entered).await;
    let journal = site.data().join("local-journal.jsonl");
    let elsewhere = site.data().join("elsewhere");
    std::fs::rename(&journal, &elsewhere).unwrap();
    // A disk that is full.
    std::os::unix::fs::symlink("/dev/full", &journal).unwrap();

    let path = format!("/api/v1/recordings/{id}");
    let (status, answer) = get(&entered, &path).await;
    assert_eq!(
        (status, &answer["error"]["code"]),
        (StatusCode::SERVICE_UNAVAILABLE, &json!("journal_unavailable"))
    );
    let refused = live(&entered, site.camera).await.unwrap_err();
    assert_eq!(refused, (StatusCode::SERVICE_UNAVAILABLE, "journal_unavailable".to_owned()));
    let error = site.enter_as(site.administrator.device_id(), site.administrator.keys()).await.unwrap_err();
    assert!(error.to_string().contains("cannot write its journal"), "{error}");
    let before = site.objects().len();
    until("recording goes on", || site.objects().len() > before + 1).await;

    std::fs::remove_file(&journal).unwrap();
    std::fs::rename(&elsewhere, &journal).unwrap();
    assert_eq!(request(&entered, Method::GET, &path).send().await.unwrap().status(), StatusCode::OK);
    live(&entered, site.camera).await.unwrap();
}
