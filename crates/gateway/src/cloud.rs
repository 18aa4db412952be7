//! The gateway's side of protocol.md section 2. Whatever the cloud answers is
//! bounded, and proves nothing by itself: rosters, commands and grants are
//! checked where they are used.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, UNIX_EPOCH};

use anyhow::Context as _;
use futures_util::StreamExt as _;
use gateway_core::retention::is_agreed;
use model::wire::{
    BODY_MAX, CertificateAnswer, CertificateRequest, ChallengeAnswer, ChallengeRequest, EnrolAnswer,
    EnrolRequest, Envelope, EpochGrants, HourReport, HourReportAnswer, JournalPart, LockOrders, LockResults,
    LogOffer, NoticeOrders, Notices, ReadBackAnswer, ReadBackPart, ReadBackRequest, RecordingReport,
    RecordingReportAnswer, RosterAnswer, SealedNotice, SealedStill, UploadGrantAnswer, UploadGrantRequest,
    WitnessReport,
};
use model::{Base64, DeviceId, GatewayId, Hash, OrgId, Timestamp};
use reqwest::header::{DATE, HeaderMap};
use reqwest::{Method, StatusCode};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use seal::login::GatewayCertificate;
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

use crate::clock;
use crate::data::Identity;
use crate::forward::retry_after_ms;
use crate::tls::{self, ClientCertificate};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Debug, thiserror::Error)]
pub(crate) enum CloudError {
    #[error("the cloud cannot be reached: {0}")]
    Unreachable(String),
    #[error("the cloud refused {call}: {message} (HTTP {status})")]
    Refused { call: &'static str, status: u16, message: String, wait_ms: Option<u64> },
    #[error("the cloud's answer to {call} cannot be understood: {reason}")]
    Answer { call: &'static str, reason: String },
}

impl CloudError {
    pub(crate) fn status(&self) -> Option<StatusCode> {
        match self {
            CloudError::Refused { status, .. } => StatusCode::from_u16(*status).ok(),
            _ => None,
        }
    }

    /// How long the cloud wants to be left alone.
    pub(crate) fn wait_ms(&self) -> Option<u64> {
        match self {
            CloudError::Refused { wait_ms, .. } => *wait_ms,
            _ => None,
        }
    }
}

/// What reqwest says, without the URL: one with a token is a credential.
pub(crate) fn words(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// One connection pool, before enrolment without and afterwards with our
/// certificate.
#[derive(Clone, Debug)]
pub(crate) struct Cloud {
    url: Url,
    http: reqwest::Client,
    tls: Arc<rustls::ClientConfig>,
    /// None before the first answer.
    clock: Arc<Mutex<Option<Measured>>>,
}

/// How far our clock was ahead of the cloud's.
#[derive(Clone, Copy, Debug)]
struct Measured {
    ahead_ms: i64,
    at: Instant,
    /// By our clock.
    now: Timestamp,
}

impl Cloud {
    pub(crate) fn new(url: Url, ca: Hash, certificate: Option<&ClientCertificate>) -> anyhow::Result<Self> {
        let config = tls::client_config(ca, certificate)?;
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(config.clone())
            .https_only(true)
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .context("the HTTP client could not be made")?;
        Ok(Cloud { url, http, tls: Arc::new(config), clock: Arc::default() })
    }

    /// How far this clock is ahead of the cloud's.
    pub(crate) fn ahead_ms(&self) -> Option<i64> {
        self.measured().map(|measured| measured.ahead_ms)
    }

    /// Whether our clock is right by the cloud's, and was not set since. Both must
    /// be wrong for something to look older than it is.
    pub(crate) fn agrees(&self, now: Timestamp) -> bool {
        self.measured().is_some_and(|Measured { ahead_ms, at, now: measured }| {
            is_agreed(ahead_ms, measured, at.elapsed().as_millis() as u64, now)
        })
    }

    fn measured(&self) -> Option<Measured> {
        *self.clock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look_at_date(&self, headers: &HeaderMap) {
        let date = headers.get(DATE).and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok());
        let theirs = date.and_then(|date| date.duration_since(UNIX_EPOCH).ok());
        if let Some(theirs) = theirs {
            let now = clock::now();
            let theirs = i64::try_from(theirs.as_millis()).unwrap_or(i64::MAX);
            let ours = i64::try_from(now.0).unwrap_or(i64::MAX);
            let measured = Measured { ahead_ms: ours.saturating_sub(theirs), at: Instant::now(), now };
            *self.clock.lock().unwrap_or_else(PoisonError::into_inner) = Some(measured);
        }
    }

    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    pub(crate) fn tls(&self) -> Arc<rustls::ClientConfig> {
        self.tls.clone()
    }

    /// For objects that go to the cloud's own store.
    pub(crate) fn http(&self) -> &reqwest::Client {
        &self.http
    }

    async fn call<T: DeserializeOwned>(
        &self,
        call: &'static str,
        method: Method,
        path: &str,
        body: Option<&(impl Serialize + Sync)>,
    ) -> Result<T, CloudError> {
        let answer = |reason: String| CloudError::Answer { call, reason };
        let url = self.url.join(path).map_err(|error| answer(error.to_string()))?;
        let mut request = self.http.request(method, url).timeout(CALL_TIMEOUT);
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.map_err(|error| CloudError::Unreachable(words(error)))?;
        self.look_at_date(response.headers());
        let (status, wait_ms) = (response.status(), retry_after_ms(response.headers()));
        let bytes = read_bounded(response).await.map_err(answer)?;
        if !status.is_success() {
            return Err(CloudError::Refused {
                call,
                status: status.as_u16(),
                message: problem(&bytes),
                wait_ms,
            });
        }
        serde_json::from_slice(&bytes).map_err(|error| answer(error.to_string()))
    }

    async fn post<T: DeserializeOwned>(
        &self,
        call: &'static str,
        path: &str,
        body: &(impl Serialize + Sync),
    ) -> Result<T, CloudError> {
        self.call(call, Method::POST, path, Some(body)).await
    }

    async fn get<T: DeserializeOwned>(&self, call: &'static str, path: &str) -> Result<T, CloudError> {
        self.call(call, Method::GET, path, None::<&()>).await
    }

    pub(crate) async fn enrol(&self, request: &EnrolRequest) -> Result<(), CloudError> {
        let _: serde_json::Value = self.post("the enrolment", "/gateway/v1/enrolments", request).await?;
        Ok(())
    }

    pub(crate) async fn enrolment(&self, lookup: Hash) -> Result<EnrolAnswer, CloudError> {
        self.get("the enrolment", &format!("/gateway/v1/enrolments/{lookup}")).await
    }

    /// Asks for a transport certificate for a fresh key, by signature of the
    /// identity key. Returns it with its end.
    pub(crate) async fn certificate(
        &self,
        org: OrgId,
        identity: &Identity,
    ) -> anyhow::Result<(ClientCertificate, Timestamp)> {
        let request = ChallengeRequest { gateway: identity.id };
        let challenge: ChallengeAnswer =
            self.post("the certificate challenge", "/gateway/v1/certificate/challenge", &request).await?;
        let (key, csr) = certificate_request(identity.id)?;
        let claim = GatewayCertificate { org, gateway: identity.id, challenge: challenge.challenge, csr };
        let request = CertificateRequest { envelope: claim.sign(&identity.sign) };
        let answer: CertificateAnswer =
            self.post("the certificate", "/gateway/v1/certificate", &request).await?;
        let leaf = CertificateDer::from_pem_slice(answer.certificate.as_bytes())
            .context("the cloud's answer holds no certificate")?;
        Ok((ClientCertificate { chain: vec![leaf], key }, answer.expires_at))
    }

    /// What follows a statement; all of it without one.
    pub(crate) async fn roster_after(&self, seq: Option<u64>) -> Result<Vec<Envelope>, CloudError> {
        let after = seq.map_or_else(String::new, |seq| format!("?after={seq}"));
        let answer: RosterAnswer = self.get("the roster", &format!("/gateway/v1/roster{after}")).await?;
        Ok(answer.statements)
    }

    pub(crate) async fn index_grants(&self, grants: Vec<Envelope>) -> Result<(), CloudError> {
        let _: serde_json::Value =
            self.post("the epoch grants", "/gateway/v1/epoch-grants", &EpochGrants { grants }).await?;
        Ok(())
    }

    pub(crate) async fn upload_grants(
        &self,
        request: &UploadGrantRequest,
    ) -> Result<UploadGrantAnswer, CloudError> {
        self.post("the upload grants", "/gateway/v1/upload-grants", request).await
    }

    /// What devices want to be told, a page of it.
    pub(crate) async fn notice_orders(&self, after: Option<DeviceId>) -> Result<NoticeOrders, CloudError> {
        let after = after.map_or_else(String::new, |device| format!("?after={device}"));
        self.get("the orders of notices", &format!("/gateway/v1/notice-orders{after}")).await
    }

    /// Bookmarks that lock recordings here, or did, which were changed after this one.
    pub(crate) async fn lock_orders(&self, after: u64) -> Result<LockOrders, CloudError> {
        self.get("the orders to lock recordings", &format!("/gateway/v1/locks?after={after}")).await
    }

    pub(crate) async fn tell_locks(&self, results: Vec<Envelope>) -> Result<(), CloudError> {
        let _: serde_json::Value =
            self.post("what is locked", "/gateway/v1/locks", &LockResults { results }).await?;
        Ok(())
    }

    pub(crate) async fn tell(&self, notices: Vec<SealedNotice>) -> Result<(), CloudError> {
        let _: serde_json::Value =
            self.post("the notices", "/gateway/v1/notices", &Notices { notices }).await?;
        Ok(())
    }

    /// A picture that goes with notices.
    pub(crate) async fn store_still(&self, still: &SealedStill) -> Result<(), CloudError> {
        let _: serde_json::Value = self.post("a picture", "/gateway/v1/stills", still).await?;
        Ok(())
    }

    /// A signed part of the local way's journal.
    pub(crate) async fn tell_journal(&self, envelope: Envelope) -> Result<(), CloudError> {
        let _: serde_json::Value =
            self.post("the journal", "/gateway/v1/journal", &JournalPart { envelope }).await?;
        Ok(())
    }

    /// The head of the history's log, with the proof that it goes on from the
    /// size that we know.
    pub(crate) async fn log_offer(&self, old: u64) -> Result<LogOffer, CloudError> {
        self.get("the history's checkpoint", &format!("/gateway/v1/history/checkpoint?old={old}")).await
    }

    pub(crate) async fn report_witness(&self, report: &WitnessReport) -> Result<(), CloudError> {
        let _: serde_json::Value =
            self.post("the witness's report", "/gateway/v1/history/witness", report).await?;
        Ok(())
    }

    /// Parts of recordings, as they are in the store now.
    pub(crate) async fn read_back(
        &self,
        parts: Vec<ReadBackPart>,
    ) -> Result<Vec<Option<Base64>>, CloudError> {
        let request = ReadBackRequest { parts };
        let answer: ReadBackAnswer = self.post("the store's copy", "/gateway/v1/read-back", &request).await?;
        Ok(answer.parts)
    }

    pub(crate) async fn report_hours(&self, report: &HourReport) -> Result<HourReportAnswer, CloudError> {
        self.post("the report of hours", "/gateway/v1/hours", report).await
    }

    pub(crate) async fn report(&self, report: &RecordingReport) -> Result<RecordingReportAnswer, CloudError> {
        self.post("the report of recordings", "/gateway/v1/recordings", report).await
    }
}

/// An ECDSA P-256 key that lives as long as its certificate, in memory only.
fn certificate_request(gateway: GatewayId) -> anyhow::Result<(PrivateKeyDer<'static>, String)> {
    let key = rcgen::KeyPair::generate().context("a transport key could not be made")?;
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name.push(rcgen::DnType::CommonName, gateway.to_string());
    let request = params.serialize_request(&key).context("a certificate request could not be made")?;
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    Ok((private, request.pem()?))
}

async fn read_bounded(response: reqwest::Response) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut stream = response.bytes_stream();
    while let Some(part) = stream.next().await {
        let part = part.map_err(words)?;
        if bytes.len() + part.len() > BODY_MAX {
            return Err(format!("it is longer than {BODY_MAX} bytes"));
        }
        bytes.extend_from_slice(&part);
    }
    Ok(bytes)
}

/// The message of `{"error":{"code","message","remedy"}}`, fit to print.
pub(crate) fn problem(body: &[u8]) -> String {
    let value: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let text = value["error"]["message"].as_str().unwrap_or("no reason given");
    text.chars().filter(|c| !c.is_control()).take(300).collect()
}
