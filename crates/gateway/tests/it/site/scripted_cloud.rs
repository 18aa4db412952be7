//! The cloud's side of protocol.md section 2, as the test wants it: it keeps
//! all that it hears, and can be told to lie.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, Query, Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post, put};
use model::wire::{
    CertificateAnswer, CertificateRequest, ChallengeAnswer, EnrolAnswer, EnrolRequest, Envelope, EpochGrants,
    FromGateway, HourReport, HourReportAnswer, JournalPart, LockOrder, LockOrders, LockResults, LogOffer,
    NoticeOrders, Notices, ReadBackAnswer, ReadBackRequest, RecordingReport, RecordingReportAnswer,
    RecordingResult, RecordingStatus, RosterAnswer, SealedNotice, SealedStill, SiteSettings, StreamStatus,
    ToGateway, UploadGrant, UploadGrantAnswer, UploadGrantRequest, WitnessReport,
};
use model::{Base64, DeviceId, Hash, Timestamp};
use rcgen::{BasicConstraints, CertificateParams, CertificateSigningRequestParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use seal::login::GatewayCertificate;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{broadcast, oneshot};
use tokio_rustls::TlsAcceptor;
use url::Url;

use super::administrator::{Shared, now};
use super::tls_listener::TlsListener;

pub(super) struct ScriptedCloud {
    addr: SocketAddr,
    ca_key: Issuer<'static, KeyPair>,
    ca_pem: String,
    ca: CertificateDer<'static>,
    device: Arc<Shared>,
    heard: Mutex<Heard>,
    script: Mutex<Script>,
    down: broadcast::Sender<ToGateway>,
}

#[derive(Default)]
struct Heard {
    accepted: Option<Hash>,
    grants: Vec<Envelope>,
    objects: BTreeMap<String, Vec<u8>>,
    digests: BTreeMap<String, Hash>,
    puts: Vec<(String, u16)>,
    reports: Vec<RecordingReport>,
    journal: Vec<Envelope>,
    witness: Vec<WitnessReport>,
    notices: Vec<SealedNotice>,
    locks: Vec<Envelope>,
    stills: Vec<SealedStill>,
    status: Option<(Hash, Vec<StreamStatus>)>,
    settings: Option<SiteSettings>,
    frames: Vec<Bytes>,
    /// Parts that were asked for.
    read_back: usize,
    /// Names of indexes of hours that were found in the store.
    hours: Vec<String>,
    answers: Vec<FromGateway>,
    waiting: BTreeMap<u64, oneshot::Sender<Envelope>>,
    commands: u64,
    calls: u64,
}

/// What it does instead of the truth.
#[derive(Default)]
pub(super) struct Script {
    /// Everything is answered with 503 and the link is cut.
    pub(super) is_down: bool,
    /// Served in place of the device's statements.
    pub(super) statements: Option<Vec<Envelope>>,
    /// Answers of the store, in turn; then 201.
    pub(super) put_answers: VecDeque<u16>,
    /// Answers to reports, in turn; then the truth.
    pub(super) report_answers: VecDeque<RecordingStatus>,
    /// So many recordings are refused, from the first one asked for on.
    pub(super) refusals: usize,
    /// So many parts of the journal are taken without saying so.
    pub(super) silent_journals: usize,
    /// The history's log, by what the gateway has seen of it; there is none.
    pub(super) log: Vec<LogOffer>,
    /// Where to upload to, instead of its own store.
    pub(super) upload_url: Option<String>,
    /// What is stored is forgotten, but for its digest.
    pub(super) keeps_digests_alone: bool,
    /// It shows no part of what it has stored.
    pub(super) shows_nothing: bool,
    /// What devices want to be told.
    pub(super) notice_orders: Vec<Envelope>,
    /// Their list goes on for ever: at one place, or each time at another.
    pub(super) notice_orders_go_on: Option<GoOn>,
    /// How often it was asked for.
    pub(super) notice_orders_asked: u32,
    /// What devices order to lock, a page of its own each.
    pub(super) lock_orders: Vec<LockOrder>,
    /// Answers to notices, in turn; then 200.
    pub(super) notice_answers: VecDeque<u16>,
    /// Answers to pictures, in turn; then 200.
    pub(super) still_answers: VecDeque<u16>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum GoOn {
    InPlace,
    Onward,
}

type Cloud = State<Arc<ScriptedCloud>>;

impl ScriptedCloud {
    pub(super) async fn start(device: Arc<Shared>) -> Arc<Self> {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        let (ca, ca_pem) = (certificate.der().clone(), certificate.pem());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let cloud = Arc::new(ScriptedCloud {
            addr: listener.local_addr().unwrap(),
            ca_key: Issuer::new(params, key),
            ca_pem,
            ca,
            device,
            heard: Mutex::default(),
            script: Mutex::default(),
            down: broadcast::channel(64).0,
        });
        let router = Router::new()
            .route("/gateway/v1/enrolments", post(enrol))
            .route("/gateway/v1/enrolments/{lookup}", get(enrolment))
            .route("/gateway/v1/certificate/challenge", post(challenge))
            .route("/gateway/v1/certificate", post(certificate_of))
            .route("/gateway/v1/roster", get(roster))
            .route("/gateway/v1/epoch-grants", post(epoch_grants))
            .route("/gateway/v1/upload-grants", post(upload_grants))
            .route("/gateway/v1/recordings", post(recordings))
            .route("/gateway/v1/read-back", post(read_back))
            .route("/gateway/v1/hours", post(hours))
            .route("/gateway/v1/journal", post(journal))
            .route("/gateway/v1/notice-orders", get(notice_orders))
            .route("/gateway/v1/notices", post(notices))
            .route("/gateway/v1/locks", get(lock_orders).post(locks))
            .route("/gateway/v1/stills", post(stills))
            .route("/gateway/v1/history/checkpoint", get(log_offer))
            .route("/gateway/v1/history/witness", post(witness))
            .route("/gateway/v1/link", get(link))
            .route("/store/{*name}", put(store))
            .layer(axum::extract::DefaultBodyLimit::max(64 << 20))
            .layer(axum::middleware::from_fn_with_state(cloud.clone(), refuse_while_down))
            .with_state(cloud.clone());
        let tls = TlsListener { listener, acceptor: cloud.acceptor() };
        tokio::spawn(async move { axum::serve(tls, router).await.unwrap() });
        cloud
    }

    fn acceptor(&self) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let leaf = params.signed_by(&key, &self.ca_key).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.ca.clone()).unwrap();
        let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(clients.allow_unauthenticated().build().unwrap())
            .with_single_cert(
                vec![leaf.der().clone(), self.ca.clone()],
                PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
            )
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }

    pub(super) fn url(&self) -> Url {
        Url::parse(&format!("https://localhost:{}", self.addr.port())).unwrap()
    }

    pub(super) fn ca(&self) -> Hash {
        seal::sha256(&self.ca)
    }

    pub(super) fn script(&self, change: impl FnOnce(&mut Script)) {
        change(&mut self.script.lock().unwrap());
    }

    fn is_down(&self) -> bool {
        self.script.lock().unwrap().is_down
    }

    pub(super) fn send(&self, message: ToGateway) {
        self.down.send(message).unwrap();
    }

    pub(super) async fn command(&self, envelope: Envelope) -> Envelope {
        let (sender, receiver) = oneshot::channel();
        let id = {
            let mut heard = self.heard.lock().unwrap();
            heard.commands += 1;
            let id = heard.commands;
            heard.waiting.insert(id, sender);
            id
        };
        self.send(ToGateway::Command { id, envelope });
        tokio::time::timeout(super::PATIENCE, receiver).await.expect("an answer").unwrap()
    }

    pub(super) fn last_status(&self) -> Option<(Hash, Vec<StreamStatus>)> {
        self.heard.lock().unwrap().status.clone()
    }

    /// How the site is set, as the gateway said last.
    pub(super) fn settings(&self) -> Option<SiteSettings> {
        self.heard.lock().unwrap().settings.clone()
    }

    /// To what it asked about the disk.
    pub(super) fn answers(&self) -> Vec<FromGateway> {
        self.heard.lock().unwrap().answers.clone()
    }

    /// So that the next one is news.
    pub(super) fn forget_status(&self) {
        self.heard.lock().unwrap().status = None;
    }

    pub(super) fn grants(&self) -> Vec<Envelope> {
        self.heard.lock().unwrap().grants.clone()
    }

    pub(super) fn objects(&self) -> BTreeMap<String, Vec<u8>> {
        self.heard.lock().unwrap().objects.clone()
    }

    /// Every PUT with the status that it got, in order.
    pub(super) fn puts(&self) -> Vec<(String, u16)> {
        self.heard.lock().unwrap().puts.clone()
    }

    pub(super) fn reports(&self) -> Vec<RecordingReport> {
        self.heard.lock().unwrap().reports.clone()
    }

    /// Parts of the local way's journal, in the order in which they came.
    pub(super) fn journal(&self) -> Vec<Envelope> {
        self.heard.lock().unwrap().journal.clone()
    }

    /// What the gateway found of the history, in order.
    pub(super) fn witness_reports(&self) -> Vec<WitnessReport> {
        self.heard.lock().unwrap().witness.clone()
    }

    /// What the gateway said of locks.
    pub(super) fn locks(&self) -> Vec<Envelope> {
        self.heard.lock().unwrap().locks.clone()
    }

    pub(super) fn notices(&self) -> Vec<SealedNotice> {
        self.heard.lock().unwrap().notices.clone()
    }

    pub(super) fn stills(&self) -> Vec<SealedStill> {
        self.heard.lock().unwrap().stills.clone()
    }

    pub(super) fn hours(&self) -> Vec<String> {
        self.heard.lock().unwrap().hours.clone()
    }

    pub(super) fn read_back(&self) -> usize {
        self.heard.lock().unwrap().read_back
    }

    /// The store loses everything that it has.
    pub(super) fn lose_objects(&self) {
        let mut heard = self.heard.lock().unwrap();
        heard.objects.clear();
        heard.digests.clear();
    }

    pub(super) fn frames(&self) -> Vec<Bytes> {
        self.heard.lock().unwrap().frames.clone()
    }

    /// Requests of any kind.
    pub(super) fn calls(&self) -> u64 {
        self.heard.lock().unwrap().calls
    }
}

async fn refuse_while_down(State(cloud): Cloud, request: Request, next: Next) -> Response {
    if cloud.is_down() {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    next.run(request).await
}

async fn enrol(State(cloud): Cloud, Json(request): Json<EnrolRequest>) -> Json<Value> {
    let mut heard = cloud.heard.lock().unwrap();
    heard.calls += 1;
    if heard.accepted.is_none() {
        heard.accepted = Some(cloud.device.accept(&request));
    }
    Json(json!({}))
}

async fn enrolment(State(cloud): Cloud, Path(lookup): Path<Hash>) -> Result<Json<EnrolAnswer>, StatusCode> {
    let mut heard = cloud.heard.lock().unwrap();
    heard.calls += 1;
    assert_eq!(lookup, cloud.device.secret.lookup());
    let mac = heard.accepted.ok_or(StatusCode::NOT_FOUND)?;
    let statements = cloud.script.lock().unwrap().statements.clone();
    let roster = statements.unwrap_or_else(|| cloud.device.statements());
    Ok(Json(EnrolAnswer::Accepted { roster, mac }))
}

async fn challenge(State(cloud): Cloud) -> Json<ChallengeAnswer> {
    cloud.heard.lock().unwrap().calls += 1;
    Json(ChallengeAnswer { challenge: Hash([8; 32]) })
}

async fn certificate_of(
    State(cloud): Cloud,
    Json(request): Json<CertificateRequest>,
) -> Json<CertificateAnswer> {
    let claim = GatewayCertificate::claimed(&request.envelope).unwrap();
    let mut csr = CertificateSigningRequestParams::from_pem(&claim.csr).unwrap();
    csr.params = CertificateParams::default();
    let certificate = csr.signed_by(&cloud.ca_key).unwrap().pem();
    let expires_at = now().plus_ms(Timestamp::DAY);
    Json(CertificateAnswer { certificate, ca: cloud.ca_pem.clone(), expires_at })
}

async fn roster(State(cloud): Cloud, Query(after): Query<BTreeMap<String, usize>>) -> Json<RosterAnswer> {
    let statements = cloud.script.lock().unwrap().statements.clone();
    let statements = statements.unwrap_or_else(|| cloud.device.statements());
    let after = after.get("after").map_or(0, |after| after + 1);
    Json(RosterAnswer { statements: statements.get(after..).unwrap_or_default().to_vec() })
}

async fn epoch_grants(State(cloud): Cloud, Json(grants): Json<EpochGrants>) -> Json<Value> {
    cloud.heard.lock().unwrap().grants.extend(grants.grants);
    Json(json!({}))
}

async fn upload_grants(
    State(cloud): Cloud,
    Json(request): Json<UploadGrantRequest>,
) -> Json<UploadGrantAnswer> {
    let mut script = cloud.script.lock().unwrap();
    let elsewhere = script.upload_url.clone();
    let grant = |object: model::wire::UploadObject| {
        if script.refusals > 0 && object.name.ends_with(".lkr") {
            script.refusals -= 1;
            let refused = Some("the test refuses it".to_owned());
            let expires_at = now();
            return UploadGrant {
                name: object.name,
                url: None,
                headers: BTreeMap::new(),
                expires_at,
                refused,
            };
        }
        let own = format!("{}store/{}?sig=secret-token", cloud.url(), object.name);
        UploadGrant {
            url: Some(elsewhere.clone().unwrap_or(own)),
            name: object.name,
            headers: BTreeMap::new(),
            expires_at: now().plus_ms(Timestamp::MINUTE),
            refused: None,
        }
    };
    Json(UploadGrantAnswer { grants: request.objects.into_iter().map(grant).collect() })
}

async fn store(
    State(cloud): Cloud,
    Path(name): Path<String>,
    headers: axum::http::HeaderMap,
    body: Bytes,
) -> StatusCode {
    assert_eq!(headers["if-none-match"], "*");
    assert_eq!(headers["content-length"], body.len().to_string().as_str());
    let digest = seal::sha256(&body);
    let (scripted, keeps_digests_alone) = {
        let mut script = cloud.script.lock().unwrap();
        (script.put_answers.pop_front(), script.keeps_digests_alone)
    };
    let mut heard = cloud.heard.lock().unwrap();
    let status = match scripted {
        Some(status) => status,
        None if heard.digests.contains_key(&name) => 409,
        None => {
            heard.digests.insert(name.clone(), digest);
            if !keeps_digests_alone {
                heard.objects.insert(name.clone(), body.to_vec());
            }
            201
        }
    };
    heard.puts.push((name, status));
    StatusCode::from_u16(status).unwrap()
}

async fn recordings(State(cloud): Cloud, Json(report): Json<RecordingReport>) -> Json<RecordingReportAnswer> {
    let mut heard = cloud.heard.lock().unwrap();
    let mut script = cloud.script.lock().unwrap();
    let result = |recording: &model::wire::Recording| {
        let truth = match heard.digests.get(&recording.name) {
            Some(digest) if *digest == recording.sha256 => RecordingStatus::Confirmed,
            Some(_) => RecordingStatus::Mismatch,
            None => RecordingStatus::Missing,
        };
        let status = script.report_answers.pop_front().unwrap_or(truth);
        RecordingResult { name: recording.name.clone(), status }
    };
    let results = report.recordings.iter().map(result).collect();
    heard.reports.push(report);
    Json(RecordingReportAnswer { results })
}

/// Says what the store has.
async fn hours(State(cloud): Cloud, Json(report): Json<HourReport>) -> Json<HourReportAnswer> {
    let mut heard = cloud.heard.lock().unwrap();
    let result = |name: String| {
        let has = heard.objects.contains_key(&name);
        RecordingResult {
            name,
            status: if has { RecordingStatus::Confirmed } else { RecordingStatus::Missing },
        }
    };
    let results: Vec<RecordingResult> = report.names.into_iter().map(result).collect();
    let confirmed = results.iter().filter(|result| result.status == RecordingStatus::Confirmed);
    let names: Vec<String> = confirmed.map(|result| result.name.clone()).collect();
    heard.hours.extend(names);
    Json(HourReportAnswer { results })
}

async fn read_back(State(cloud): Cloud, Json(request): Json<ReadBackRequest>) -> Json<ReadBackAnswer> {
    let shows_nothing = cloud.script.lock().unwrap().shows_nothing;
    let mut heard = cloud.heard.lock().unwrap();
    heard.read_back += request.parts.len();
    let parts = request.parts.iter().map(|part| {
        if shows_nothing {
            return None;
        }
        let reported = heard.reports.iter().flat_map(|report| &report.recordings);
        let name = &reported.into_iter().find(|recording| recording.id == part.id)?.name;
        let range = part.first as usize..(part.first + part.bytes) as usize;
        Some(Base64(heard.objects.get(name)?.get(range)?.to_vec()))
    });
    let parts = parts.collect();
    Json(ReadBackAnswer { parts })
}

async fn journal(State(cloud): Cloud, Json(part): Json<JournalPart>) -> Result<Json<Value>, StatusCode> {
    cloud.heard.lock().unwrap().journal.push(part.envelope);
    let mut script = cloud.script.lock().unwrap();
    if script.silent_journals > 0 {
        script.silent_journals -= 1;
        return Err(StatusCode::GATEWAY_TIMEOUT);
    }
    Ok(Json(json!({})))
}

async fn notice_orders(State(cloud): Cloud) -> Json<NoticeOrders> {
    let mut script = cloud.script.lock().unwrap();
    script.notice_orders_asked += 1;
    let number = script.notice_orders_go_on.map(|go_on| match go_on {
        GoOn::InPlace => 1,
        GoOn::Onward => u128::from(script.notice_orders_asked),
    });
    let more_after = number.map(|number| DeviceId::from_random(number.to_be_bytes()));
    Json(NoticeOrders { orders: script.notice_orders.clone(), more_after })
}

async fn lock_orders(State(cloud): Cloud, Query(seen): Query<BTreeMap<String, u64>>) -> Json<LockOrders> {
    let mut orders = cloud.script.lock().unwrap().lock_orders.clone();
    orders.retain(|order| order.change > seen["after"]);
    let more = orders.len() > 1;
    orders.truncate(1);
    Json(LockOrders { orders, more })
}

async fn locks(State(cloud): Cloud, Json(told): Json<LockResults>) -> Json<Value> {
    cloud.heard.lock().unwrap().locks.extend(told.results);
    Json(json!({}))
}

async fn stills(State(cloud): Cloud, Json(still): Json<SealedStill>) -> Result<Json<Value>, StatusCode> {
    let answer = cloud.script.lock().unwrap().still_answers.pop_front().unwrap_or(200);
    if answer != 200 {
        return Err(StatusCode::from_u16(answer).unwrap());
    }
    cloud.heard.lock().unwrap().stills.push(still);
    Ok(Json(json!({})))
}

async fn notices(State(cloud): Cloud, Json(told): Json<Notices>) -> Result<Json<Value>, StatusCode> {
    let answer = cloud.script.lock().unwrap().notice_answers.pop_front().unwrap_or(200);
    if answer != 200 {
        return Err(StatusCode::from_u16(answer).unwrap());
    }
    cloud.heard.lock().unwrap().notices.extend(told.notices);
    Ok(Json(json!({})))
}

async fn log_offer(
    State(cloud): Cloud,
    Query(seen): Query<BTreeMap<String, usize>>,
) -> Result<Json<LogOffer>, StatusCode> {
    let script = cloud.script.lock().unwrap();
    let offer = script.log.get(seen["old"]).or(script.log.last());
    offer.cloned().map(Json).ok_or(StatusCode::NOT_FOUND)
}

async fn witness(State(cloud): Cloud, Json(report): Json<WitnessReport>) -> Json<Value> {
    cloud.heard.lock().unwrap().witness.push(report);
    Json(json!({}))
}

async fn link(State(cloud): Cloud, upgrade: WebSocketUpgrade) -> impl IntoResponse {
    upgrade.on_upgrade(move |socket| serve_link(cloud, socket))
}

async fn serve_link(cloud: Arc<ScriptedCloud>, mut socket: WebSocket) {
    let mut down = cloud.down.subscribe();
    let mut look = tokio::time::interval(Duration::from_millis(100));
    loop {
        tokio::select! {
            _ = look.tick() => {
                if cloud.is_down() {
                    return;
                }
            }
            Ok(message) = down.recv() => {
                let text = serde_json::to_string(&message).unwrap();
                if socket.send(Message::Text(text.into())).await.is_err() {
                    return;
                }
            }
            message = socket.recv() => match message {
                Some(Ok(Message::Text(text))) => cloud.hear(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Binary(frame))) => cloud.heard.lock().unwrap().frames.push(frame),
                Some(Ok(_)) => {}
                _ => return,
            },
        }
    }
}

impl ScriptedCloud {
    fn hear(&self, message: FromGateway) {
        let mut heard = self.heard.lock().unwrap();
        match message {
            FromGateway::Status { state, cameras, .. } => heard.status = Some((state, cameras)),
            FromGateway::Settings { settings } => heard.settings = Some(settings),
            FromGateway::CommandResult { id, envelope } => {
                if let Some(waiting) = heard.waiting.remove(&id) {
                    let _ = waiting.send(envelope);
                }
            }
            FromGateway::WatchFailed { .. } => {}
            answer @ (FromGateway::Recordings { .. }
            | FromGateway::Timeline { .. }
            | FromGateway::PtzSession { .. }
            | FromGateway::PtzDone { .. }
            | FromGateway::AskFailed { .. }) => {
                heard.answers.push(answer);
            }
        }
    }
}
