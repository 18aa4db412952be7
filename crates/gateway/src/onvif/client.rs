//! Requests over HTTP to one camera: where they go, who vouches for us, and how
//! much of an answer is read.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::{Hash, Secret};
use reqwest::header::{
    AUTHORIZATION, CONNECTION, CONTENT_TYPE, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_VERSION, UPGRADE, WWW_AUTHENTICATE,
};
use reqwest::{RequestBuilder, Response, StatusCode, Upgraded};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use url::Url;

use super::digest::{self, Challenge, Offered};
use super::messages::Request;
use super::soap::{self, SoapError};
use super::xml::Element;
use super::{Limits, OnvifError, error};
use crate::random;
use crate::rtsp::tls::{self, Pinned};

/// Everything needed to ask a camera's services.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnvifAccess {
    /// The device service, such as `http://192.0.2.10/onvif/device_service`.
    pub url: Url,
    pub username: Option<String>,
    pub password: Option<Secret>,
    /// SHA-256 of the camera's certificate (DER). HTTPS is refused without.
    pub certificate: Option<Hash>,
}

/// Where a request goes: an address of the camera's that leads to where the
/// administrator said, and what the camera calls it.
#[derive(Clone, Debug)]
pub(super) struct Target {
    url: Url,
    named: String,
    /// Parameters of the reference, as XML.
    parameters: String,
}

#[derive(Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    device: Url,
    username: String,
    password: Option<Secret>,
    pinned: Option<(Hash, Arc<Pinned>)>,
    limits: Limits,
    /// What the camera asked for last.
    challenge: Option<Challenge>,
    /// The camera's clock less ours.
    clock: time::Duration,
}

impl Target {
    pub(super) fn set_query(&mut self, query: &str) {
        self.url.set_query(Some(query));
    }
}

/// Of `WWW-Authenticate` in one answer.
const CHALLENGES_MAX: usize = 8;
/// As errors name it.
const UPGRADING: &str = "the request for its event stream";

/// What an answer consists of when it is no refusal of ours.
struct Answer {
    status: StatusCode,
    challenges: Vec<String>,
    body: Vec<u8>,
}

impl Client {
    pub(super) fn new(access: &OnvifAccess, limits: &Limits) -> Result<Self, OnvifError> {
        let url = &access.url;
        let has_credentials = !url.username().is_empty() || url.password().is_some();
        if url.host().is_none() || has_credentials {
            return Err(OnvifError::Address);
        }
        let mut builder = reqwest::Client::builder()
            .http1_only()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .no_proxy()
            .connect_timeout(limits.connect)
            .pool_max_idle_per_host(1);
        let pinned = match (url.scheme(), access.certificate) {
            ("https", None) => return Err(OnvifError::NoPin),
            ("https", Some(pin)) => {
                let (config, trust) = tls::client_config(Some(pin)).map_err(|_| OnvifError::Tls)?;
                builder = builder.https_only(true).tls_backend_preconfigured(config);
                Some((pin, trust))
            }
            // A camera with a pinned certificate speaks TLS; whoever has us speak
            // in the clear wants our digests to guess at.
            ("http", Some(_)) => return Err(OnvifError::PinWithoutTls),
            ("http", None) => None,
            _ => return Err(OnvifError::Address),
        };
        let http = builder.build();
        Ok(Client {
            http: http.map_err(|_| OnvifError::Local { reason: "the HTTP client could not be made" })?,
            device: url.clone(),
            username: access.username.clone().unwrap_or_default(),
            password: access.password.clone(),
            pinned,
            limits: limits.clone(),
            challenge: None,
            clock: time::Duration::ZERO,
        })
    }

    /// Another of the same camera. What the camera asked for counts the requests
    /// that answer it, and so is of one of them.
    pub(super) fn beside(&self) -> Self {
        Client {
            http: self.http.clone(),
            device: self.device.clone(),
            username: self.username.clone(),
            password: self.password.clone(),
            pinned: self.pinned.clone(),
            limits: self.limits.clone(),
            challenge: None,
            clock: self.clock,
        }
    }

    pub(super) fn device(&self) -> Target {
        Target { url: self.device.clone(), named: self.device.to_string(), parameters: String::new() }
    }

    /// What stands at a path of the camera's that its make has everywhere.
    pub(super) fn place(&self, path: &str) -> Target {
        let mut url = self.device.clone();
        url.set_path(path);
        url.set_query(None);
        url.set_fragment(None);
        let named = url.to_string();
        Target { url, named, parameters: String::new() }
    }

    /// What the camera names as its own address, at the administrator's host and
    /// port: behind a translation of addresses a camera names wrong ones, and a
    /// hostile one would have us talk to others.
    pub(super) fn target(&self, named: &str, parameters: String) -> Result<Target, OnvifError> {
        let (path, query) =
            soap::path_of(named).ok_or(OnvifError::BadAnswer { reason: "it names no usable address" })?;
        let mut url = self.device.clone();
        url.set_path(&path);
        url.set_query(query.as_deref());
        url.set_fragment(None);
        Ok(Target { url, named: named.to_owned(), parameters })
    }

    /// From now on requests are dated by the camera's clock, which is often wrong.
    pub(super) fn set_clock(&mut self, camera: OffsetDateTime) {
        self.clock = camera - OffsetDateTime::now_utc();
    }

    /// To a service that knows neither addressing nor passwords.
    pub(super) async fn ask_unsigned(
        &mut self,
        to: &Target,
        request: &Request,
    ) -> Result<Element, OnvifError> {
        let envelope = soap::envelope("", &request.body);
        let limits = (self.limits.answer, self.limits.answer_bytes);
        let answer = self.post(to, request, envelope, None, limits).await?;
        self.read(request.step, &answer)
    }

    pub(super) async fn ask(&mut self, to: &Target, request: &Request) -> Result<Element, OnvifError> {
        self.ask_for(to, request, self.limits.answer).await
    }

    /// Twice at most: with what the camera asked for last, and if it asks for
    /// something else, with that.
    pub(super) async fn ask_for(
        &mut self,
        to: &Target,
        request: &Request,
        patience: Duration,
    ) -> Result<Element, OnvifError> {
        let answer = self.asked(to, request, (patience, self.limits.answer_bytes)).await?;
        self.read(request.step, &answer)
    }

    /// What comes, as it is, if it is no refusal.
    pub(super) async fn ask_raw(
        &mut self,
        to: &Target,
        request: &Request,
        limits: (Duration, usize),
    ) -> Result<Vec<u8>, OnvifError> {
        let answer = self.asked(to, request, limits).await?;
        // Some cameras refuse with a fault in a success.
        let may_be_fault = answer.body.len() <= self.limits.answer_bytes;
        if may_be_fault && let Err(SoapError::Fault(fault)) = soap::read(&answer.body) {
            return Err(self.fault(request.step, &fault));
        }
        if !answer.status.is_success() {
            self.read(request.step, &answer)?;
        }
        match answer.body.is_empty() {
            true => Err(OnvifError::BadAnswer { reason: "it is empty" }),
            false => Ok(answer.body),
        }
    }

    async fn asked(
        &mut self,
        to: &Target,
        request: &Request,
        limits: (Duration, usize),
    ) -> Result<Answer, OnvifError> {
        let authorization = self.authorization("POST", to)?;
        let mut answer = self.post(to, request, self.envelope(to, request), authorization, limits).await?;
        if answer.status == StatusCode::UNAUTHORIZED && self.password.is_some() {
            let authorization = self.wanted("POST", to, &answer.challenges)?;
            answer = self.post(to, request, self.envelope(to, request), authorization, limits).await?;
        }
        Ok(answer)
    }

    /// What goes along with a request that was refused without.
    fn wanted(
        &mut self,
        method: &str,
        to: &Target,
        challenges: &[String],
    ) -> Result<Option<HeaderValue>, OnvifError> {
        let headers: Vec<&str> = challenges.iter().map(String::as_str).collect();
        match digest::read(&headers) {
            Offered::Digest(challenge) => {
                self.challenge = Some(challenge);
                self.authorization(method, to)
            }
            Offered::BasicAlone if self.pinned.is_none() => Err(OnvifError::BasicWithoutTls),
            Offered::BasicAlone => Ok(Some(self.basic()?)),
            Offered::Unknown => Err(OnvifError::UnknownAuthentication),
            Offered::Nothing => Err(OnvifError::Unauthorized),
        }
    }

    /// Makes a WebSocket of a connection (RFC 6455 section 4.1), with Digest if
    /// the camera asks for it.
    pub(super) async fn upgrade(&mut self, to: &Target) -> Result<Upgraded, OnvifError> {
        let key = generate_key();
        let mut response = self.ask_to_upgrade(to, &key, None).await?;
        if response.status() == StatusCode::UNAUTHORIZED && self.password.is_some() {
            let authorization = self.wanted("GET", to, &challenges(&response))?;
            response = self.ask_to_upgrade(to, &key, authorization).await?;
        }
        let status = response.status();
        match status {
            StatusCode::SWITCHING_PROTOCOLS => {}
            StatusCode::UNAUTHORIZED => return Err(OnvifError::Unauthorized),
            _ if status.is_redirection() => return Err(OnvifError::Redirected { step: UPGRADING }),
            _ => return Err(OnvifError::Status { step: UPGRADING, status: status.as_u16() }),
        }
        let accepted = response.headers().get(SEC_WEBSOCKET_ACCEPT).map(HeaderValue::as_bytes);
        if accepted != Some(derive_accept_key(key.as_bytes()).as_bytes()) {
            return Err(OnvifError::BadAnswer { reason: "it makes no WebSocket of the connection" });
        }
        response.upgrade().await.map_err(|_| OnvifError::Closed { step: UPGRADING })
    }

    async fn ask_to_upgrade(
        &self,
        to: &Target,
        key: &str,
        authorization: Option<HeaderValue>,
    ) -> Result<Response, OnvifError> {
        let mut asking = self
            .http
            .get(to.url.clone())
            .header(CONNECTION, "Upgrade")
            .header(UPGRADE, "websocket")
            .header(SEC_WEBSOCKET_VERSION, "13")
            .header(SEC_WEBSOCKET_KEY, key);
        if let Some(authorization) = authorization {
            asking = asking.header(AUTHORIZATION, authorization);
        }
        // A limit on the request would hold for all that comes on the connection.
        let patience = self.limits.answer;
        match timeout(patience, asking.send()).await {
            Ok(answered) => answered.map_err(|error| self.failed(error, UPGRADING, patience)),
            Err(_) => Err(OnvifError::AnswerTimeout { step: UPGRADING, seconds: patience.as_secs() }),
        }
    }

    /// What lies there, as it is; the same two tries.
    pub(super) async fn fetch(
        &mut self,
        to: &Target,
        step: &'static str,
        (patience, bytes_max): (Duration, usize),
    ) -> Result<Vec<u8>, OnvifError> {
        let get = |client: &Client| client.http.get(to.url.clone());
        let limits = (patience, bytes_max);
        let authorization = self.authorization("GET", to)?;
        let mut answer = self.send(get(self), authorization, step, limits).await?;
        if answer.status == StatusCode::UNAUTHORIZED && self.password.is_some() {
            let authorization = self.wanted("GET", to, &answer.challenges)?;
            answer = self.send(get(self), authorization, step, limits).await?;
        }
        match answer.status {
            StatusCode::UNAUTHORIZED => Err(OnvifError::Unauthorized),
            status if !status.is_success() => Err(OnvifError::Status { step, status: status.as_u16() }),
            _ => Ok(answer.body),
        }
    }

    fn envelope(&self, to: &Target, request: &Request) -> String {
        let mut headers = soap::addressing(request.action, &to.named, &to.parameters, random::bytes());
        if let Some(password) = &self.password {
            let now = OffsetDateTime::now_utc();
            // Whole seconds: some cameras read no fractions.
            let now = now.checked_add(self.clock).unwrap_or(now).truncate_to_second();
            let created = now.format(&Rfc3339).unwrap_or_default();
            headers += &soap::username_token(&self.username, password, &created, random::bytes());
        }
        soap::envelope(&headers, &request.body)
    }

    fn authorization(&mut self, method: &str, to: &Target) -> Result<Option<HeaderValue>, OnvifError> {
        let Some((challenge, password)) = self.challenge.as_mut().zip(self.password.as_ref()) else {
            return Ok(None);
        };
        let uri = match to.url.query() {
            Some(query) => format!("{}?{query}", to.url.path()),
            None => to.url.path().to_owned(),
        };
        let client_nonce: String = random::bytes::<16>().iter().map(|byte| format!("{byte:02x}")).collect();
        secret_header(&challenge.answer(&self.username, password, method, &uri, &client_nonce)).map(Some)
    }

    fn basic(&self) -> Result<HeaderValue, OnvifError> {
        let password = self.password.as_ref().map_or("", Secret::expose);
        let word = STANDARD.encode(format!("{}:{password}", self.username));
        secret_header(&format!("Basic {word}"))
    }

    async fn post(
        &self,
        to: &Target,
        request: &Request,
        envelope: String,
        authorization: Option<HeaderValue>,
        limits: (Duration, usize),
    ) -> Result<Answer, OnvifError> {
        let Request { step, action, .. } = request;
        let sending = self
            .http
            .post(to.url.clone())
            .header(CONTENT_TYPE, format!("application/soap+xml; charset=utf-8; action=\"{action}\""))
            .body(envelope);
        self.send(sending, authorization, step, limits).await
    }

    async fn send(
        &self,
        sending: RequestBuilder,
        authorization: Option<HeaderValue>,
        step: &'static str,
        (patience, bytes_max): (Duration, usize),
    ) -> Result<Answer, OnvifError> {
        let mut sending = sending.timeout(patience);
        if let Some(authorization) = authorization {
            sending = sending.header(AUTHORIZATION, authorization);
        }
        let failed = |error| self.failed(error, step, patience);
        let mut response = sending.send().await.map_err(failed)?;
        let status = response.status();
        if status.is_redirection() {
            return Err(OnvifError::Redirected { step });
        }
        let challenges = challenges(&response);
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(failed)? {
            if body.len() + piece.len() > bytes_max {
                return Err(OnvifError::AnswerTooLong { step, bytes: bytes_max });
            }
            body.extend_from_slice(&piece);
        }
        Ok(Answer { status, challenges, body })
    }

    fn read(&self, step: &'static str, answer: &Answer) -> Result<Element, OnvifError> {
        if answer.status == StatusCode::UNAUTHORIZED {
            return Err(OnvifError::Unauthorized);
        }
        let refused = || OnvifError::Status { step, status: answer.status.as_u16() };
        match soap::read(&answer.body) {
            Err(SoapError::Fault(fault)) => Err(self.fault(step, &fault)),
            Err(_) if !answer.status.is_success() => Err(refused()),
            Err(SoapError::Xml(error)) => Err(OnvifError::Xml(error)),
            Err(SoapError::NoBody) => {
                Err(OnvifError::BadAnswer { reason: "it is no SOAP envelope with a body" })
            }
            Ok(_) if !answer.status.is_success() => Err(refused()),
            Ok(content) => Ok(content),
        }
    }

    fn fault(&self, step: &'static str, fault: &soap::Fault) -> OnvifError {
        // ONVIF Core Specification section 5.11.2.2, and WS-Security section 12.
        const OF_PASSWORDS: [&str; 6] = [
            "NotAuthorized",
            "FailedAuthentication",
            "InvalidSecurity",
            "InvalidSecurityToken",
            "FailedCheck",
            "SenderNotAuthorized",
        ];
        // Makes have no common code for it; who tries on then stays locked out.
        let mut words = fault.reason.split(|c: char| !c.is_ascii_alphanumeric());
        if words.any(|word| word.eq_ignore_ascii_case("locked")) {
            return OnvifError::Locked;
        }
        if OF_PASSWORDS.contains(&fault.code.as_str()) {
            return OnvifError::Unauthorized;
        }
        OnvifError::Fault { step, code: self.words(&fault.code), reason: self.words(&fault.reason) }
    }

    /// What may be shown of what the camera says.
    pub(super) fn words(&self, text: &str) -> String {
        match &self.password {
            Some(password) if !password.expose().is_empty() => {
                error::clean(&text.replace(password.expose(), "…"))
            }
            _ => error::clean(text),
        }
    }

    fn failed(&self, error: reqwest::Error, step: &'static str, patience: Duration) -> OnvifError {
        if error.is_connect() {
            let kind = io_kind(&error);
            if let Some((pinned, trust)) = &self.pinned {
                match trust.found() {
                    Some(found) if found != *pinned => {
                        return OnvifError::WrongCertificate { found, pinned: *pinned };
                    }
                    // As rustls says it through the system's errors.
                    _ if kind == Some(std::io::ErrorKind::InvalidData) => return OnvifError::Tls,
                    _ => {}
                }
            }
            let address = format!(
                "{}:{}",
                self.device.host_str().unwrap_or_default(),
                self.device.port_or_known_default().unwrap_or(0)
            );
            let reason = match (kind, error.is_timeout()) {
                (Some(kind), _) => kind.to_string(),
                (None, true) => format!("no answer within {} s", self.limits.connect.as_secs()),
                (None, false) => "the connection failed".into(),
            };
            return OnvifError::Connect { address, reason };
        }
        if error.is_timeout() {
            return OnvifError::AnswerTimeout { step, seconds: patience.as_secs() };
        }
        OnvifError::Closed { step }
    }
}

fn challenges(response: &Response) -> Vec<String> {
    let headers = response.headers().get_all(WWW_AUTHENTICATE).iter().take(CHALLENGES_MAX);
    headers.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect()
}

/// Names of people may have any letter; only lines must not break.
fn secret_header(text: &str) -> Result<HeaderValue, OnvifError> {
    let unusable =
        OnvifError::Local { reason: "user name or password has a character that HTTP does not carry" };
    let mut value = HeaderValue::from_bytes(text.as_bytes()).map_err(|_| unusable)?;
    value.set_sensitive(true);
    Ok(value)
}

/// What the system says, in words.
fn io_kind(error: &reqwest::Error) -> Option<std::io::ErrorKind> {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if let Some(io) = cause.downcast_ref::<std::io::Error>() {
            return Some(io.kind());
        }
        source = cause.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(url: &str) -> Client {
        let access = OnvifAccess {
            url: url.parse().unwrap(),
            username: Some("admin".into()),
            password: Some(Secret::new("hunter2")),
            certificate: None,
        };
        Client::new(&access, &Limits::default()).unwrap()
    }

    #[test]
    fn whatever_a_camera_names_leads_to_the_administrators_host() {
        let client = client("http://192.0.2.10:8080/onvif/device_service?x#y");
        let rows = [
            ("http://192.168.1.64/onvif/events?Idx=3", "http://192.0.2.10:8080/onvif/events?Idx=3"),
            ("https://u:p@169.254.169.254:1/latest/meta-data", "http://192.0.2.10:8080/latest/meta-data"),
            ("http://h//elsewhere.example/x", "http://192.0.2.10:8080//elsewhere.example/x"),
            ("http://h/..%2f@elsewhere.example", "http://192.0.2.10:8080/..%2f@elsewhere.example"),
            ("@elsewhere.example", "http://192.0.2.10:8080/@elsewhere.example"),
        ];
        for (named, expected) in rows {
            let target = client.target(named, String::new()).unwrap();
            assert_eq!(target.url.as_str(), expected);
            assert_eq!(target.url.host_str(), Some("192.0.2.10"));
            let again: Url = target.url.as_str().parse().unwrap();
            assert_eq!((again.host_str(), again.port()), (Some("192.0.2.10"), Some(8_080)), "{named}");
        }
        assert!(client.target("ftp://192.0.2.10/", String::new()).is_err());
    }

    #[test]
    fn addresses_that_are_refused() {
        let rows = [
            ("ftp://192.0.2.10/", None, OnvifError::Address),
            ("http://admin:hunter2@192.0.2.10/", None, OnvifError::Address),
            ("data:text/plain,x", None, OnvifError::Address),
            ("https://192.0.2.10/", None, OnvifError::NoPin),
            ("http://192.0.2.10/", Some(Hash([7; 32])), OnvifError::PinWithoutTls),
        ];
        for (url, certificate, expected) in rows {
            let access =
                OnvifAccess { url: url.parse().unwrap(), username: None, password: None, certificate };
            assert_eq!(Client::new(&access, &Limits::default()).unwrap_err(), expected, "{url}");
        }
    }

    #[test]
    fn a_fault_of_the_password_is_told_from_others_and_holds_no_credentials() {
        let client = client("http://192.0.2.10/");
        let fault = |code: &str, reason: &str| {
            client.fault("Renew", &soap::Fault { code: code.into(), reason: reason.into() })
        };
        assert_eq!(fault("NotAuthorized", "x"), OnvifError::Unauthorized);
        assert_eq!(fault("NotAuthorized", "Account LOCKED."), OnvifError::Locked);
        for reason in ["the lens is blocked", "unlocked", "clocked_out"] {
            assert!(matches!(fault("Action", reason), OnvifError::Fault { .. }), "{reason}");
        }
        let error = fault("hunter2", "hunter2 and LKqI6G/AikKCQrN0zqZFlg==\n");
        assert_eq!(error.to_string(), "the camera refused Renew: … and … (…)");
        assert!(!format!("{client:?}").contains("hunter2"));
    }
}
