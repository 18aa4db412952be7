//! Push messages (RFC 8030) to people's browsers, identified by a key of this
//! server (VAPID, RFC 8292). Where a message goes a browser says, so only push
//! services that the configuration names are asked: this server is nobody's way
//! into a network.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use anyhow::Context as _;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use model::{DeviceId, OrgId, Slot, Slots, Timestamp};
use rcgen::{KeyPair, PublicKeyData as _};
use reqwest::{StatusCode, header};
use seal::push::Recipient;
use serde::Serialize;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use url::{Host, Url};

use crate::app::App;
use crate::ca::write_private;
use crate::config::PushSection;
use crate::{clock, outbound, random};

/// Messages that wait to be sent or to be tried again; more are dropped.
const WAITING_MAX: usize = 4_096;
/// That wait for one device. A browser that is not there holds up no other.
const WAITING_OF_DEVICE_MAX: usize = 8;
/// That wait for one service. Nor does a service that is not there.
const WAITING_OF_SERVICE_MAX: usize = WAITING_MAX / 2;
/// Requests to one service at the same time.
const AT_ONCE: usize = 8;
/// What could not be delivered by then is no news any more; the service is told
/// the same (`TTL`).
const LIFE: Duration = Duration::from_secs(3_600);
const RETRY_FIRST: Duration = Duration::from_secs(2);
const RETRY_MAX: Duration = Duration::from_secs(5 * 60);
/// Whatever a service asks for, it is asked no sooner.
const RETRY_MIN: Duration = Duration::from_secs(1);
/// How long a service may take this server for itself (RFC 8292: a day at most).
const TOKEN_MS: u64 = 12 * Timestamp::HOUR;
/// Longest address of a subscription.
pub(crate) const ENDPOINT_BYTES_MAX: usize = 1_024;

/// Where one device is reached.
#[derive(Clone, Debug)]
pub(crate) struct Subscription {
    /// Whoever knows it can send, so it does not print.
    pub(crate) endpoint: Endpoint,
    pub(crate) recipient: Recipient,
}

/// An address at a push service that the configuration names.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    url: Url,
    /// Number of the service in the configuration.
    service: usize,
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Endpoint({})", self.host())
    }
}

impl Endpoint {
    pub(crate) fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    pub(crate) fn as_str(&self) -> &str {
        self.url.as_str()
    }
}

/// One message on its way.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) org: OrgId,
    pub(crate) device: DeviceId,
    pub(crate) subscription: Subscription,
    pub(crate) body: Vec<u8>,
}

pub(crate) struct Push {
    key: EncodingKey,
    /// Uncompressed, in base64url, as browsers take it.
    public: String,
    contact: Option<String>,
    http: reqwest::Client,
    services: Vec<String>,
    turns: Vec<Semaphore>,
    devices: Arc<Slots<DeviceId>>,
    reaching: Arc<Slots<usize>>,
    queue: mpsc::Sender<Queued>,
    /// Taken by `run`.
    queued: Mutex<Option<mpsc::Receiver<Queued>>>,
}

/// With its places, which it gives back when it is delivered or lost.
#[derive(Debug)]
struct Queued {
    message: Message,
    _places: (Slot<DeviceId>, Slot<usize>),
}

impl std::fmt::Debug for Push {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Push").field("services", &self.services).finish_non_exhaustive()
    }
}

/// What a message came to.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Delivered,
    /// The browser has left: nothing will ever arrive there.
    Gone,
    /// Later, and when if the service said so.
    Again(Option<Duration>),
    Refused(StatusCode),
}

#[derive(Serialize)]
struct Claims<'a> {
    aud: String,
    exp: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<&'a str>,
}

impl Push {
    /// Reads the key of this data folder, or makes it. A new one would end every
    /// subscription.
    pub(crate) fn open(data: &Path, section: &PushSection, public_url: &Url) -> anyhow::Result<Self> {
        let path = data.join("push-key.pem");
        if !path.exists() {
            let key = KeyPair::generate().context("a key for push services could not be made")?;
            write_private(&path, &key.serialize_pem())?;
        }
        let pem = std::fs::read_to_string(&path)
            .with_context(|| format!("{} could not be read", path.display()))?;
        let key = KeyPair::from_pem(&pem)
            .with_context(|| format!("{} holds no private key; restore it from a backup", path.display()))?;
        let (queue, queued) = mpsc::channel(WAITING_MAX);
        Ok(Push {
            public: BASE64_URL_SAFE_NO_PAD.encode(key.der_bytes()),
            key: EncodingKey::from_ec_der(&key.serialize_der()),
            contact: section.contact.clone().or_else(|| {
                // A service takes no other kind; without one, it cannot complain.
                (public_url.scheme() == "https").then(|| public_url.to_string())
            }),
            http: outbound::client(section.ca_file.as_deref())?,
            services: section.services.iter().map(|service| service.to_ascii_lowercase()).collect(),
            turns: section.services.iter().map(|_| Semaphore::new(AT_ONCE)).collect(),
            devices: Slots::new(WAITING_MAX, WAITING_OF_DEVICE_MAX),
            reaching: Slots::new(WAITING_MAX, WAITING_OF_SERVICE_MAX),
            queue,
            queued: Mutex::new(Some(queued)),
        })
    }

    /// What browsers subscribe with (`applicationServerKey`).
    pub(crate) fn public_key(&self) -> &str {
        &self.public
    }

    /// None if no service of the configuration is there.
    pub(crate) fn endpoint(&self, text: &str) -> Option<Endpoint> {
        if text.len() > ENDPOINT_BYTES_MAX {
            return None;
        }
        let url = Url::parse(text).ok()?;
        let host = url.host_str()?;
        let service = self.services.iter().position(|service| names(service, host))?;
        let is_here = match url.host()? {
            Host::Ipv4(address) => address.is_loopback(),
            Host::Ipv6(address) => address.is_loopback(),
            Host::Domain(_) => false,
        };
        let is_plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
        let is_https = url.scheme() == "https" && url.port().is_none();
        (is_plain && (is_https || is_here)).then_some(Endpoint { url, service })
    }

    /// False if too many wait: of this device, of its service, or in all.
    pub(crate) fn send(&self, message: Message) -> bool {
        let device = self.devices.take(message.device);
        let service = self.reaching.take(message.subscription.endpoint.service);
        let Some(places) = device.zip(service) else { return false };
        self.queue.try_send(Queued { message, _places: places }).is_ok()
    }

    async fn attempt(&self, message: &Message, life: Duration) -> Outcome {
        let Subscription { endpoint, recipient } = &message.subscription;
        let Ok(body) = recipient.encrypt(&message.body, &mut random::fill) else {
            return Outcome::Refused(StatusCode::PAYLOAD_TOO_LARGE);
        };
        let Ok(authorization) = self.authorization(&endpoint.url) else {
            return Outcome::Again(None);
        };
        let _turn = self.turns[endpoint.service].acquire().await;
        let sent = self
            .http
            .post(endpoint.url.clone())
            .header(header::AUTHORIZATION, authorization)
            .header(header::CONTENT_TYPE, "application/octet-stream")
            .header(header::CONTENT_ENCODING, "aes128gcm")
            .header("TTL", life.as_secs())
            .header("Urgency", "high")
            .body(body)
            .send()
            .await;
        match sent {
            Ok(response) => outcome(response.status(), retry_after(&response)),
            Err(error) => {
                // Its address is a credential.
                tracing::debug!(service = endpoint.host(), error = %error.without_url(), "a push service cannot be reached");
                Outcome::Again(None)
            }
        }
    }

    fn authorization(&self, endpoint: &Url) -> anyhow::Result<String> {
        let exp = clock::now().plus_ms(TOKEN_MS).0 / 1_000;
        let aud = endpoint.origin().ascii_serialization();
        let claims = Claims { aud, exp, sub: self.contact.as_deref() };
        let token = jsonwebtoken::encode(&Header::new(Algorithm::ES256), &claims, &self.key)?;
        Ok(format!("vapid t={token}, k={}", self.public))
    }
}

/// Sends what was queued until the server stops. What waits then is lost, as the
/// pictures that it was about are not.
pub(crate) async fn run(app: Arc<App>) {
    let queued = app.push.queued.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(mut queued) = queued else { return };
    let mut under_way = JoinSet::new();
    loop {
        tokio::select! {
            () = app.shutdown.cancelled() => return,
            queued = queued.recv() => {
                let Some(Queued { message, _places }) = queued else { return };
                let app = app.clone();
                under_way.spawn(async move {
                    deliver(&app, message).await;
                    drop(_places);
                });
            }
            Some(_) = under_way.join_next() => {}
        }
    }
}

async fn deliver(app: &App, message: Message) {
    let began = Instant::now();
    let mut delay = RETRY_FIRST;
    let service = message.subscription.endpoint.host();
    loop {
        match app.push.attempt(&message, LIFE.saturating_sub(began.elapsed())).await {
            Outcome::Delivered => return app.metrics.push_messages.add(1),
            Outcome::Gone => {
                let Message { org, device, ref subscription, .. } = message;
                tracing::info!(%device, service, "the browser takes no messages any more");
                let gone = app.database.unsubscribe_endpoint(org, device, subscription.endpoint.as_str());
                return match gone.await {
                    Ok(ended) => app.hub.notices_changed(&ended),
                    Err(error) => {
                        tracing::warn!(%device, "a subscription that has ended could not be removed: {error}");
                    }
                };
            }
            Outcome::Refused(status) => {
                tracing::warn!(device = %message.device, service, %status, "a push service refused a message");
                return app.metrics.push_messages_lost.add(1);
            }
            Outcome::Again(wanted) => {
                let [jitter] = random::bytes();
                let wait = wanted.unwrap_or(delay / 2 + delay * u32::from(jitter) / 510);
                let wait = wait.clamp(RETRY_MIN, LIFE);
                if began.elapsed() + wait >= LIFE {
                    tracing::warn!(device = %message.device, service, "a message was not delivered within an hour");
                    return app.metrics.push_messages_lost.add(1);
                }
                sleep(wait).await;
                delay = (delay * 2).min(RETRY_MAX);
            }
        }
    }
}

fn outcome(status: StatusCode, wait: Option<Duration>) -> Outcome {
    match status {
        status if status.is_success() => Outcome::Delivered,
        StatusCode::NOT_FOUND | StatusCode::GONE => Outcome::Gone,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => Outcome::Again(wait),
        status if status.is_server_error() => Outcome::Again(wait),
        status => Outcome::Refused(status),
    }
}

fn retry_after(response: &reqwest::Response) -> Option<Duration> {
    let value = response.headers().get(header::RETRY_AFTER)?.to_str().ok()?;
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = httpdate::parse_http_date(value).ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(at.saturating_sub(Duration::from_millis(clock::now().0)))
}

/// `*.` stands for one label or more.
fn names(service: &str, host: &str) -> bool {
    match service.strip_prefix("*.") {
        Some(domain) => {
            host.strip_suffix(domain).is_some_and(|labels| labels.len() > 1 && labels.ends_with('.'))
        }
        None => service == host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(services: &[&str]) -> Push {
        let folder = tempfile::tempdir().unwrap();
        let section = PushSection {
            services: services.iter().map(|service| (*service).to_owned()).collect(),
            ..PushSection::default()
        };
        Push::open(folder.path(), &section, &Url::parse("https://cameras.example").unwrap()).unwrap()
    }

    #[test]
    fn only_services_that_are_named_are_asked() {
        let usual = push(&PushSection::default().services.iter().map(String::as_str).collect::<Vec<_>>());
        for good in [
            "https://fcm.googleapis.com/fcm/send/abc:def",
            "https://updates.push.services.mozilla.com/wpush/v2/abc",
            "https://wns2-par02p.notify.windows.com/w/?token=abc",
            "https://web.push.apple.com/abc",
        ] {
            assert!(usual.endpoint(good).is_some(), "{good}");
        }
        for bad in [
            "http://fcm.googleapis.com/fcm/send/abc",
            "https://fcm.googleapis.com:8443/fcm/send/abc",
            "https://fcm.googleapis.com.evil.example/abc",
            "https://evilnotify.windows.com/abc",
            "https://notify.windows.com/abc",
            "https://fcm.googleapis.com@10.0.0.1/abc",
            "https://user:word@fcm.googleapis.com/abc",
            "https://10.0.0.1/abc",
            "https://169.254.169.254/latest/meta-data",
            "https://[::1]/abc",
            "https://localhost/abc",
            "file:///etc/passwd",
            "fcm.googleapis.com",
        ] {
            assert!(usual.endpoint(bad).is_none(), "{bad}");
        }
        assert!(usual.endpoint(&format!("https://fcm.googleapis.com/{}", "a".repeat(1_024))).is_none());
        let here = push(&["127.0.0.1"]);
        assert!(here.endpoint("http://127.0.0.1:9/abc").is_some(), "whoever runs the server names it");
        assert!(here.endpoint("http://127.0.0.2:9/abc").is_none());
    }

    #[test]
    fn the_servers_token_is_for_one_service_and_verifies_with_the_key_that_browsers_get() {
        let push = push(&["fcm.googleapis.com"]);
        let endpoint = Url::parse("https://fcm.googleapis.com/fcm/send/abc").unwrap();
        let authorization = push.authorization(&endpoint).unwrap();
        let (token, key) = authorization.strip_prefix("vapid t=").unwrap().split_once(", k=").unwrap();
        assert_eq!(key, push.public_key());
        let point = BASE64_URL_SAFE_NO_PAD.decode(key).unwrap();
        assert_eq!((point.len(), point[0]), (65, 4));
        let [x, y] = [&point[1..33], &point[33..]].map(|half| BASE64_URL_SAFE_NO_PAD.encode(half));
        let key = jsonwebtoken::DecodingKey::from_ec_components(&x, &y).unwrap();
        let mut validation = jsonwebtoken::Validation::new(Algorithm::ES256);
        validation.set_audience(&["https://fcm.googleapis.com"]);
        let claims = jsonwebtoken::decode::<serde_json::Value>(token, &key, &validation).unwrap().claims;
        assert_eq!(claims["sub"], "https://cameras.example/");
        let day = clock::now().0 / 1_000 + 86_400;
        assert!(claims["exp"].as_u64().unwrap() < day, "RFC 8292 section 2");
    }

    #[test]
    fn what_is_tried_again_and_what_is_not() {
        let wait = Some(Duration::from_secs(7));
        for (status, expected) in [
            (201, Outcome::Delivered),
            (404, Outcome::Gone),
            (410, Outcome::Gone),
            (429, Outcome::Again(wait)),
            (503, Outcome::Again(wait)),
            (403, Outcome::Refused(StatusCode::FORBIDDEN)),
            (302, Outcome::Refused(StatusCode::FOUND)),
        ] {
            assert_eq!(outcome(StatusCode::from_u16(status).unwrap(), wait), expected);
        }
    }
}
