//! The command line's side of protocol.md section 3: signed in by device key,
//! with a session whose key is in memory only.
//! The roster is replayed here; the cloud's summaries decide nothing.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use model::wire::{Envelope, LINK_FRAME_MAX};
use model::{CameraId, DeviceId, GatewayId, Hash, Rendition, Secret, Timestamp};
use reqwest::header::{
    CONNECTION, COOKIE, HeaderValue, ORIGIN, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, SET_COOKIE, UPGRADE,
};
use reqwest::{Method, RequestBuilder, Response};
use seal::action::{Action, SignedAction};
use seal::dpop::{NONCE_HEADER, PROOF_HEADER, ProofKey};
use seal::keyring::DeviceKeys;
use seal::login::DeviceLogin;
use seal::roster::{Roster, Statement, sign_next};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use url::Url;

use crate::approvals;
use crate::home::{DeviceFile, Home};
use crate::local::Site;
use crate::orders::Waits;
use crate::roster::first_seen;
use crate::text::printable;

/// Long enough for a clock that is a little off.
const ACTION_LIFE_MS: u64 = 5 * Timestamp::MINUTE;
/// What others have days to agree on ends this much before the latest end.
pub(crate) const MARGIN_MS: u64 = 10 * Timestamp::MINUTE;
/// How this program's sessions stand in their owner's list.
const USER_AGENT: &str = concat!("lenskeep ", env!("CARGO_PKG_VERSION"));
const TIMEOUT: Duration = Duration::from_secs(60);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Well within the time for which a gateway lets somebody in.
const STAY: Duration = Duration::from_secs(60);
/// A sealed recording has at most 64 MiB (format.md section 5).
pub(crate) const ANSWER_MAX: usize = 65 << 20;

pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(since.as_millis() as u64)
}

pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system's random numbers");
    bytes
}

/// How a cloud is spoken to: TLS, or not beyond this machine; and no other
/// server on its word.
pub(crate) fn http_to(cloud: &Url) -> anyhow::Result<reqwest::ClientBuilder> {
    let local = cloud.scheme() == "http" && cloud.host_str() == Some("localhost");
    ensure!(cloud.scheme() == "https" || local, "{cloud} must be https:// (http:// is for localhost only)");
    let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
    // A proxy of the environment would get to see cookies in the clear.
    Ok(if local { http.no_proxy() } else { http })
}

/// Makes a request ask for a WebSocket (RFC 6455 section 4.1).
pub(crate) fn upgraded(request: RequestBuilder) -> RequestBuilder {
    request
        .header(CONNECTION, "upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_VERSION, "13")
        .header(SEC_WEBSOCKET_KEY, generate_key())
}

/// The WebSocket that a server agreed to with 101.
pub(crate) async fn websocket(response: Response) -> reqwest::Result<WebSocketStream<reqwest::Upgraded>> {
    let limits = WebSocketConfig::default().max_message_size(Some(LINK_FRAME_MAX));
    Ok(WebSocketStream::from_raw_socket(response.upgrade().await?, Role::Client, Some(limits)).await)
}

/// The cloud, for calls before and after signing in.
#[derive(Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: Url,
    cookie: Option<Secret>,
    /// The key to which the session is bound.
    key: ProofKey,
    /// The cloud's, for the next proof.
    nonce: Mutex<Option<String>>,
    /// Asked in place of the cloud.
    site: Option<Site>,
}

#[derive(Debug, thiserror::Error)]
#[error("{message} {remedy}{}", request_in_words(.status, .request))]
pub(crate) struct Refused {
    pub(crate) status: u16,
    pub(crate) code: String,
    message: String,
    remedy: String,
    request: String,
}

/// What failed inside is found in the server's log by the request.
fn request_in_words(status: &u16, request: &str) -> String {
    if *status >= 500 && !request.is_empty() { format!(" (Request {request}.)") } else { String::new() }
}

impl Client {
    pub(crate) fn new(base: Url) -> anyhow::Result<Self> {
        let http = http_to(&base)?
            .user_agent(USER_AGENT)
            .timeout(TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            .build()
            .context("the HTTP client could not be made")?;
        Ok(Client {
            http,
            base,
            cookie: None,
            key: ProofKey::generate(),
            nonce: Mutex::default(),
            site: None,
        })
    }

    /// For calls to a gateway that has let this device in.
    pub(crate) fn of_site(site: Site) -> anyhow::Result<Self> {
        let client = Client::new(Url::parse("https://gateway.invalid")?)?;
        Ok(Client { site: Some(site), ..client })
    }

    /// Whether a gateway answers, and not the cloud.
    pub(crate) fn is_site(&self) -> bool {
        self.site.is_some()
    }

    /// A request with what proves who asks.
    async fn request(&self, method: Method, path: &str) -> anyhow::Result<RequestBuilder> {
        if let Some(site) = &self.site {
            return site.request(method, path).await;
        }
        let mut address = self.base.join(path)?;
        let request = self.http.request(method.clone(), address.clone()).header("x-lenskeep", "1");
        address.set_query(None);
        let nonce = self.nonce.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let proof = self.key.proof(method.as_str(), address.as_str(), nonce.as_deref(), random(), now());
        let request = request.header(PROOF_HEADER, proof);
        let Some(cookie) = &self.cookie else { return Ok(request) };
        let mut value = HeaderValue::from_str(cookie.expose()).context("the session's cookie")?;
        value.set_sensitive(true);
        Ok(request.header(COOKIE, value))
    }

    async fn send(&self, method: Method, path: &str, body: Option<Value>) -> anyhow::Result<Response> {
        match self.send_once(method.clone(), path, body.as_ref()).await {
            // The nonce that it asks for came with the answer.
            Err(error) if is(&error, "use_dpop_nonce") => self.send_once(method, path, body.as_ref()).await,
            answer => answer,
        }
    }

    async fn send_once(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Response> {
        let mut request = self.request(method, path).await?.timeout(TIMEOUT);
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.with_context(|| format!("{} cannot be reached", self.base))?;
        if let Some(nonce) = response.headers().get(NONCE_HEADER).and_then(|nonce| nonce.to_str().ok()) {
            *self.nonce.lock().unwrap_or_else(PoisonError::into_inner) = Some(nonce.to_owned());
        }
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status().as_u16();
        let body: Value = serde_json::from_slice(&read(response).await?).unwrap_or_default();
        let text = |key: &str| {
            let text = body["error"][key].as_str().unwrap_or_default();
            printable(text).chars().take(500).collect::<String>()
        };
        let message = match text("message") {
            message if message.is_empty() => format!("The cloud answered with HTTP {status}."),
            message => message,
        };
        let (code, remedy, request) = (text("code"), text("remedy"), text("request"));
        Err(Refused { status, code, message, remedy, request }.into())
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        let response = self.send(Method::GET, path, None).await?;
        serde_json::from_slice(&read(response).await?).with_context(|| format!("the answer to {path}"))
    }

    pub(crate) async fn post(&self, path: &str, body: &impl Serialize) -> anyhow::Result<Value> {
        let response = self.send(Method::POST, path, Some(serde_json::to_value(body)?)).await?;
        let bytes = read(response).await?;
        if bytes.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&bytes).with_context(|| format!("the answer to {path}"))
    }

    pub(crate) async fn delete(&self, path: &str) -> anyhow::Result<()> {
        self.send(Method::DELETE, path, None).await.map(drop)
    }

    /// Like `post`, and keeps the session that the answer opens.
    pub(crate) async fn sign_in(&mut self, path: &str, body: &impl Serialize) -> anyhow::Result<()> {
        let response = self.send(Method::POST, path, Some(serde_json::to_value(body)?)).await?;
        let cookie = response.headers().get(SET_COOKIE).and_then(|value| value.to_str().ok());
        let pair =
            cookie.and_then(|cookie| cookie.split(';').next()).context("the cloud opened no session")?;
        self.cookie = Some(Secret::new(pair));
        Ok(())
    }

    /// A live stream, over the same connection and TLS as everything else. The
    /// cloud wants a ticket for it.
    pub(crate) async fn live(
        &self,
        camera: CameraId,
        rendition: Rendition,
    ) -> anyhow::Result<WebSocketStream<reqwest::Upgraded>> {
        let mut path = format!("/api/v1/cameras/{camera}/live?rendition={rendition}");
        if self.site.is_none() {
            let answer = self.post(&path, &json!({})).await?;
            let ticket: Hash = serde_json::from_value(answer["ticket"].clone()).context("no ticket")?;
            path = format!("{path}&ticket={ticket}");
        }
        let mut request = upgraded(self.request(Method::GET, &path).await?);
        if self.site.is_none() {
            request = request.header(ORIGIN, self.base.origin().ascii_serialization());
        }
        let response = request.send().await.with_context(|| format!("{} cannot be reached", self.base))?;
        let status = response.status().as_u16();
        ensure!(status == 101, "the live stream was refused (HTTP {status})");
        Ok(websocket(response).await?)
    }

    /// Goes on for ever, so that what stays open of a gateway does.
    pub(crate) async fn stay(&self) -> anyhow::Result<()> {
        loop {
            tokio::time::sleep(STAY).await;
            if let Some(site) = &self.site {
                site.stay().await.map(drop)?;
            }
        }
    }

    pub(crate) async fn bytes(&self, path: &str) -> anyhow::Result<Bytes> {
        read(self.send(Method::GET, path, None).await?).await
    }
}

async fn read(mut response: Response) -> anyhow::Result<Bytes> {
    let mut bytes = Vec::new();
    while let Some(part) = response.chunk().await.context("the answer broke off")? {
        ensure!(bytes.len() + part.len() <= ANSWER_MAX, "the answer is longer than {ANSWER_MAX} bytes");
        bytes.extend_from_slice(&part);
    }
    Ok(bytes.into())
}

/// What became of a statement.
pub(crate) enum Stated {
    InForce(Envelope),
    Waits(Waits),
}

/// This device, signed in, with the roster up to date.
pub(crate) struct Session {
    /// Shared with whoever keeps it open while something else is done.
    pub(crate) client: Arc<Client>,
    pub(crate) file: DeviceFile,
    pub(crate) keys: DeviceKeys,
    pub(crate) roster: Roster,
    pub(crate) home: Home,
    /// Gateways that were told of: see `note_unheard`.
    pub(crate) unheard: BTreeSet<GatewayId>,
}

#[derive(Deserialize)]
struct Challenge {
    challenge: Hash,
}

impl Session {
    pub(crate) async fn open(home: &Home) -> anyhow::Result<Self> {
        let file = home.device()?;
        let keys = file.unlock()?;
        Self::signed_in(home, file, keys).await
    }

    /// Of a device whose keys are unlocked.
    pub(crate) async fn signed_in(home: &Home, file: DeviceFile, keys: DeviceKeys) -> anyhow::Result<Self> {
        let mut client = Client::new(file.cloud.clone())?;
        if let Err(error) = login(&mut client, &file, &keys).await {
            // The cloud tells nobody which devices there are; this one knows its own roster.
            let known = home.roster(file.anchor)?;
            let told = known.and_then(|roster| crate::device::why_not_in_force(&roster, file.device, now()));
            return Err(told.map_or(error, anyhow::Error::msg));
        }
        let roster = match home.roster(file.anchor)? {
            Some(roster) => roster,
            None => first_seen(&client, home, file.anchor).await?,
        };
        let mut session = Session::new(client, file, keys, roster, home);
        session.sync().await?;
        Ok(session)
    }

    /// Of a device that has just been made, with its roster so far.
    pub(crate) fn new(
        client: Client,
        file: DeviceFile,
        keys: DeviceKeys,
        roster: Roster,
        home: &Home,
    ) -> Self {
        let unheard = BTreeSet::new();
        Session { client: Arc::new(client), file, keys, roster, home: home.clone(), unheard }
    }

    pub(crate) fn device(&self) -> DeviceId {
        self.file.device
    }

    /// Signs an action and has the cloud carry it out.
    pub(crate) async fn act(&mut self, action: Action) -> anyhow::Result<()> {
        self.act_at("/api/v1/actions", action).await.map(drop)
    }

    /// The same where an action has a call of its own.
    pub(crate) async fn act_at(&mut self, path: &str, action: Action) -> anyhow::Result<Value> {
        for _ in 0..3 {
            let envelope = self.signed(self.roster.head().1, action.clone(), ACTION_LIFE_MS);
            match self.client.post(path, &json!({ "envelope": envelope })).await {
                Ok(answer) => return Ok(answer),
                // The roster has changed since it was read.
                Err(error) if is(&error, "state_moved") => self.sync().await?,
                Err(error) => return Err(error),
            }
        }
        bail!("the roster keeps moving; try again")
    }

    /// An action on top of a state, good for so many milliseconds.
    fn signed(&self, previous_state: Hash, action: Action, life_ms: u64) -> Envelope {
        let signed = SignedAction {
            org: self.roster.org(),
            nonce: Hash(random()),
            expires_at: now().plus_ms(life_ms),
            previous_state,
            action,
        };
        signed.sign(self.device(), &self.keys.sign)
    }

    /// Signs what as many administrators must sign as the roster demands, and
    /// has the cloud put it in force, or proposes it to the others. `body` is
    /// what goes with it.
    pub(crate) async fn order(
        &self,
        path: &str,
        signed: (Hash, Action),
        body: Value,
        reason: &str,
    ) -> anyhow::Result<()> {
        match self.ordered(path, signed, body, reason).await? {
            Some(waits) => println!("{waits}"),
            None => println!("in force"),
        }
        Ok(())
    }

    /// The same, for who says more: nothing if it is in force, or what others
    /// have to do.
    pub(crate) async fn ordered(
        &self,
        path: &str,
        (previous_state, action): (Hash, Action),
        mut body: Value,
        reason: &str,
    ) -> anyhow::Result<Option<Waits>> {
        let k = self.roster.state().administrators.k;
        if k <= 1 {
            body["envelope"] = json!(self.signed(previous_state, action, ACTION_LIFE_MS));
            self.client.post(path, &body).await?;
            return Ok(None);
        }
        let envelope = self.signed(previous_state, action, seal::action::EXPIRES_AHEAD_MAX_MS - MARGIN_MS);
        let id = seal::sha256(&envelope.payload.0);
        body["envelope"] = json!(envelope);
        body["reason"] = json!(reason);
        self.client.post("/api/v1/proposals", &body).await?;
        Ok(Some(Waits { id, needed: k, agreed: 1 }))
    }

    /// Signs a statement, has the cloud add it, and takes it in. Where it takes
    /// several administrators, it is proposed, and that is an error to whoever
    /// needs its effect now.
    pub(crate) async fn state(&mut self, statement: Statement) -> anyhow::Result<Envelope> {
        match self.stated(statement).await? {
            Stated::InForce(envelope) => Ok(envelope),
            Stated::Waits(waits) => bail!("{waits}\nAfterwards run this command again for what is left."),
        }
    }

    /// The same for who goes on without. What was proposed before is not
    /// proposed again.
    pub(crate) async fn stated(&mut self, statement: Statement) -> anyhow::Result<Stated> {
        let k = self.roster.state().administrators.k;
        for _ in 0..3 {
            let envelope = sign_next(&self.roster, now(), statement.clone(), self.device(), &self.keys.sign);
            match self.client.post("/api/v1/roster", &json!({ "envelope": envelope })).await {
                Ok(_) => {
                    self.sync().await?;
                    return Ok(Stated::InForce(envelope));
                }
                // Somebody else was faster; ours must follow theirs.
                Err(error) if is(&error, "roster_moved") => self.sync().await?,
                // The rules may be asking for the others' signatures.
                Err(error) if k > 1 && is(&error, "statement_refused") => {
                    if let Some(waits) = approvals::proposed(self, &statement).await? {
                        return Ok(Stated::Waits(waits));
                    }
                    let body = json!({ "envelope": envelope, "reason": "" });
                    self.client.post("/api/v1/proposals", &body).await?;
                    let id = seal::roster::statement_hash(&envelope)?;
                    return Ok(Stated::Waits(Waits { id, needed: k, agreed: 1 }));
                }
                Err(error) => return Err(error),
            }
        }
        bail!("the roster keeps moving; try again")
    }
}

pub(crate) fn is(error: &anyhow::Error, code: &str) -> bool {
    error.downcast_ref::<Refused>().is_some_and(|refused| refused.code == code)
}

async fn login(client: &mut Client, file: &DeviceFile, keys: &DeviceKeys) -> anyhow::Result<()> {
    let answer = client.post("/api/v1/login/device/challenge", &json!({ "device": file.device })).await?;
    let Challenge { challenge } = serde_json::from_value(answer)?;
    let origin = file.cloud.origin().ascii_serialization();
    let proof = DeviceLogin { org: file.org, device: file.device, challenge, origin };
    client.sign_in("/api/v1/login/device", &json!({ "envelope": proof.sign(&keys.sign) })).await
}
