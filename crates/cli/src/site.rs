//! `/api/site/`: what pages of `lenskeep app` ask of a gateway of this network
//! when the cloud is away. The page's device proves itself, with keys that this
//! program never has: here is the TLS, whose certificate both proofs are about,
//! and what the gateway lets in is kept for the one page that proved. It shows
//! a cookie and a key: browsers send the cookie to every port of localhost, and
//! the key to none.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, post};
use axum::{Json, Router};
use gateway::local::client::{Inside, Knocked, Refused, knock};
use model::wire::Envelope;
use model::{Hash, Secret};
use serde::{Deserialize, Serialize};
use serde_json::json;
use url::Url;

use crate::app::single;
use crate::client::random;
use crate::forward::{as_data, exchange, of_other_site, one_cookie, problem};

/// Where a gateway listens for the local way.
const GATEWAY_PORT: u16 = 8474;
/// From a gateway's answer to the device's proof; the challenge lives as long.
const KNOCK_LIFE: Duration = Duration::from_secs(60);
/// Of this machine's browsers, at a time.
const KNOCKS_MAX: usize = 16;
const INSIDE_MAX: usize = 16;
const TICKETS_MAX: usize = 256;
/// The largest is a signed action.
const REQUEST_MAX: usize = 32 << 10;
const COOKIE: &str = "__Host-lenskeep-site";
const KEY_HEADER: &str = "x-lenskeep-site";
/// From a page's asking to the WebSocket, which sends no header of ours.
const TICKET_LIFE: Duration = Duration::from_secs(30);

pub(crate) struct Sites {
    /// Ours, the only one whose pages may ask.
    origin: String,
    /// All ports of localhost share their cookies.
    cookie: String,
    knocked: Mutex<HashMap<Hash, (Knocked, Instant)>>,
    /// By the hash of cookie and key together.
    inside: Mutex<HashMap<Hash, (Entry, Instant)>>,
    tickets: Mutex<HashMap<Hash, (Entry, Instant)>>,
}

#[derive(Clone)]
struct Entry {
    base: Url,
    http: reqwest::Client,
    token: Secret,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Hello {
    /// `192.168.1.10`, `192.168.1.10:8474` or a name of this network.
    address: String,
    challenge: Hash,
}

#[derive(Serialize)]
struct Answer {
    envelope: Envelope,
    /// What the gateway shows in TLS, as this program sees it.
    certificate: Hash,
    /// For the login.
    knock: Hash,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Login {
    knock: Hash,
    envelope: Envelope,
}

pub(crate) fn router(origin: &str, port: u16) -> Router {
    let sites = Sites {
        origin: origin.to_owned(),
        cookie: format!("{COOKIE}-{port}"),
        knocked: Mutex::default(),
        inside: Mutex::default(),
        tickets: Mutex::default(),
    };
    Router::new()
        .route("/api/site/hello", post(hello))
        .route("/api/site/login", post(login))
        .route("/api/site/ticket", post(ticket))
        .route("/api/site/leave", post(leave))
        .route("/api/site/v1/{*path}", any(pass))
        .with_state(Arc::new(sites))
}

async fn hello(State(sites): State<Arc<Sites>>, headers: HeaderMap, Json(body): Json<Hello>) -> Response {
    if let Some(refused) = of_other_site(&headers, &sites.origin) {
        return refused;
    }
    let address = match address(&body.address).await {
        Ok(address) => address,
        Err(refused) => return refused,
    };
    let knocked = match knock(address, body.challenge).await {
        Ok(knocked) => knocked,
        Err(error) => {
            tracing::warn!("no gateway at {address}: {error:#}");
            return problem(
                StatusCode::BAD_GATEWAY,
                "site_unreachable",
                &format!("No gateway answers at {address}."),
                "Check the address, and that this machine is on the gateway's network.",
            );
        }
    };
    let id = Hash(random());
    let answer = Answer { envelope: knocked.envelope.clone(), certificate: knocked.certificate, knock: id };
    keep(&sites.knocked, id, knocked, Instant::now() + KNOCK_LIFE, KNOCKS_MAX);
    Json(answer).into_response()
}

async fn login(State(sites): State<Arc<Sites>>, headers: HeaderMap, Json(body): Json<Login>) -> Response {
    if let Some(refused) = of_other_site(&headers, &sites.origin) {
        return refused;
    }
    let found = sites.knocked.lock().unwrap_or_else(PoisonError::into_inner).remove(&body.knock);
    let Some((knocked, _)) = found.filter(|(_, until)| Instant::now() < *until) else {
        return problem(
            StatusCode::UNAUTHORIZED,
            "knock_refused",
            "The gateway was asked too long ago.",
            "Begin again.",
        );
    };
    match knocked.log_in(body.envelope).await {
        Ok(Inside { base, http, token, life }) => {
            let (cookie, key) = (Hash(random()), Hash(random()));
            let entry = Entry { base, http, token };
            keep(&sites.inside, together(cookie, key), entry, Instant::now() + life, INSIDE_MAX);
            sites.with_cookie(Json(json!({ "key": key })).into_response(), &cookie.to_string(), life)
        }
        Err(error) if error.downcast_ref::<Refused>().is_some_and(|refused| refused.status == 401) => {
            problem(
                StatusCode::UNAUTHORIZED,
                "login_refused",
                "The gateway does not let this browser in.",
                "Its roster may be older than this device, or the device may have ended.",
            )
        }
        Err(error) => {
            tracing::warn!("the gateway gives no answer to the proof: {error:#}");
            problem(
                StatusCode::BAD_GATEWAY,
                "site_unreachable",
                "The gateway cannot let anybody in at the moment.",
                "Try again in a minute; its log says more.",
            )
        }
    }
}

/// For one live stream, once.
async fn ticket(State(sites): State<Arc<Sites>>, headers: HeaderMap) -> Response {
    if let Some(refused) = of_other_site(&headers, &sites.origin) {
        return refused;
    }
    let Some(entry) = sites.entry(&headers) else { return unknown() };
    let ticket = Hash(random());
    keep(&sites.tickets, ticket, entry, Instant::now() + TICKET_LIFE, TICKETS_MAX);
    Json(json!({ "ticket": ticket })).into_response()
}

async fn leave(State(sites): State<Arc<Sites>>, headers: HeaderMap) -> Response {
    if let Some(refused) = of_other_site(&headers, &sites.origin) {
        return refused;
    }
    let entry = sites
        .shown(&headers)
        .and_then(|shown| sites.inside.lock().unwrap_or_else(PoisonError::into_inner).remove(&shown));
    if let Some((Entry { base, http, token }, _)) = entry
        && let Ok(url) = base.join("/api/v1/logout")
        && let Err(error) = http.post(url).bearer_auth(token.expose()).send().await
    {
        tracing::debug!("the gateway was not told: {}", error.without_url());
    }
    sites.with_cookie(StatusCode::NO_CONTENT.into_response(), "", Duration::ZERO)
}

/// A call of the local way (protocol.md section 5), by whoever was let in.
async fn pass(
    State(sites): State<Arc<Sites>>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    if let Some(refused) = of_other_site(&parts.headers, &sites.origin) {
        return refused;
    }
    let entry =
        if upgrade.is_ok() { sites.by_ticket(parts.uri.query()) } else { sites.entry(&parts.headers) };
    let Some(Entry { base, http, token }) = entry else { return unknown() };
    let path = parts.uri.path().strip_prefix("/api/site").unwrap_or_default();
    let mut url = base;
    url.set_path(&format!("/api{path}"));
    // The ticket is this program's.
    let query = parts.uri.query().unwrap_or_default().split('&');
    let query: Vec<&str> = query.filter(|pair| !pair.is_empty() && !pair.starts_with("ticket=")).collect();
    url.set_query((!query.is_empty()).then(|| query.join("&")).as_deref());
    if !url.path().starts_with("/api/v1/") {
        return problem(StatusCode::NOT_FOUND, "not_found", "There is nothing here.", "Check the address.");
    }
    let Ok(body) = axum::body::to_bytes(body, REQUEST_MAX).await else {
        return problem(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_large",
            "The request is larger than any that a gateway takes.",
            "Send less.",
        );
    };
    let mut asking = http.request(parts.method, url).bearer_auth(token.expose());
    for name in [header::ACCEPT, header::CONTENT_TYPE, header::RANGE] {
        if let Some(value) = parts.headers.get(&name) {
            asking = asking.header(name, value.clone());
        }
    }
    exchange(asking, upgrade, body, "The gateway cannot be reached.", as_data).await
}

impl Sites {
    /// What a request shows of itself: both halves, or nothing.
    fn shown(&self, headers: &HeaderMap) -> Option<Hash> {
        let key = single(headers, &HeaderName::from_static(KEY_HEADER))?.parse().ok()?;
        Some(together(one_cookie(headers, &self.cookie)?, key))
    }

    fn entry(&self, headers: &HeaderMap) -> Option<Entry> {
        let shown = self.shown(headers)?;
        let inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        let (entry, until) = inside.get(&shown)?;
        (Instant::now() < *until).then(|| entry.clone())
    }

    fn by_ticket(&self, query: Option<&str>) -> Option<Entry> {
        let mut pairs = query?.split('&').filter_map(|pair| pair.split_once('='));
        let ticket = pairs.find(|(name, _)| *name == "ticket")?.1.parse().ok()?;
        let found = self.tickets.lock().unwrap_or_else(PoisonError::into_inner).remove(&ticket);
        found.filter(|(_, until)| Instant::now() < *until).map(|(entry, _)| entry)
    }

    fn with_cookie(&self, mut response: Response, value: &str, life: Duration) -> Response {
        let Self { cookie, .. } = self;
        let seconds = life.as_secs();
        let text = format!("{cookie}={value}; Path=/; Max-Age={seconds}; Secure; HttpOnly; SameSite=Strict");
        if let Ok(mut value) = HeaderValue::try_from(text) {
            value.set_sensitive(true);
            response.headers_mut().insert(header::SET_COOKIE, value);
        }
        response
    }
}

fn together(cookie: Hash, key: Hash) -> Hash {
    seal::sha256(&[cookie.0, key.0].concat())
}

fn unknown() -> Response {
    problem(
        StatusCode::UNAUTHORIZED,
        "signed_out",
        "The gateway does not know this browser any more.",
        "Unlock it again.",
    )
}

/// Keeps something until then. Beyond `max`, what ends first gives way.
fn keep<T>(all: &Mutex<HashMap<Hash, (T, Instant)>>, id: Hash, what: T, until: Instant, max: usize) {
    let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
    let now = Instant::now();
    all.retain(|_, (_, until)| now < *until);
    let first = all.iter().min_by_key(|(_, (_, until))| *until).map(|(id, _)| *id);
    if let Some(first) = first.filter(|_| all.len() >= max) {
        all.remove(&first);
    }
    all.insert(id, (what, until));
}

/// What a person types, if it is an address of a network of one's own: pages of
/// this program have nothing to ask of others.
async fn address(text: &str) -> Result<SocketAddr, Response> {
    let text = text.trim();
    let with_port = match text.parse::<IpAddr>() {
        Ok(ip) => SocketAddr::new(ip, GATEWAY_PORT).to_string(),
        Err(_) if text.contains(':') => text.to_owned(),
        Err(_) => format!("{text}:{GATEWAY_PORT}"),
    };
    let refused = || {
        problem(
            StatusCode::UNPROCESSABLE_ENTITY,
            "address_refused",
            &format!("`{}` is no address of a network of your own.", text.escape_debug()),
            "It looks like 192.168.1.10, or 192.168.1.10:8474.",
        )
    };
    let found = tokio::net::lookup_host(with_port).await.map_err(|_| refused())?;
    found.into_iter().find(|address| is_own_network(address.ip())).ok_or_else(refused)
}

/// Private, link-local or this machine (RFC 1918, RFC 3927, RFC 4193, RFC 4291).
fn is_own_network(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.is_private() || ip.is_loopback() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_networks_of_ones_own_are_asked() {
        for own in
            ["127.0.0.1", "10.1.2.3", "192.168.0.9", "172.16.0.1", "169.254.1.1", "::1", "fd00::1", "fe80::1"]
        {
            assert!(is_own_network(own.parse().unwrap()), "{own}");
        }
        for other in ["8.8.8.8", "192.0.2.1", "2001:db8::1", "::ffff:8.8.8.8", "0.0.0.0", "224.0.0.1"] {
            assert!(!is_own_network(other.parse().unwrap()), "{other}");
        }
    }

    #[tokio::test]
    async fn an_address_needs_no_port() {
        assert_eq!(address(" 192.168.1.10 ").await.unwrap().to_string(), "192.168.1.10:8474");
        assert_eq!(address("192.168.1.10:99").await.unwrap().port(), 99);
        assert_eq!(address("fd00::1").await.unwrap().to_string(), "[fd00::1]:8474");
        for bad in ["", "8.8.8.8", "192.168.1.10:x", "no such name"] {
            assert!(address(bad).await.is_err(), "{bad}");
        }
    }

    #[test]
    fn what_ends_first_gives_way() {
        let all = Mutex::default();
        let now = Instant::now();
        for n in 0..5 {
            keep(&all, Hash([n; 32]), n, now + Duration::from_secs(60 + u64::from(n)), 3);
        }
        let all = all.into_inner().unwrap();
        let mut kept: Vec<u8> = all.values().map(|(n, _)| *n).collect();
        kept.sort_unstable();
        assert_eq!(kept, [2, 3, 4]);
    }
}
