//! What `lenskeep app` passes between its pages and the cloud. Both ways only
//! named headers go through. Answers become data: a type that no browser runs,
//! no redirect, no cookie but the session, a fixed set of safe headers. So
//! whatever the cloud says, none of it is a script of the app's origin.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use axum::body::Body;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{self, WebSocket, WebSocketUpgrade};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use model::Hash;
use reqwest::RequestBuilder;
use seal::dpop::{NONCE_HEADER, PROOF_HEADER};
use serde_json::json;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use url::Url;

use crate::app::single;
use crate::client::{ANSWER_MAX, http_to, upgraded, websocket};

/// What the cloud takes: a piece of what is shared.
const REQUEST_MAX: usize = seal::capsule::PIECE_SEALED_BYTES_MAX;
/// Viewers say nothing but close and pong.
const VIEWER_MESSAGE_MAX: usize = 1 << 10;
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// A command to a gateway is answered within 30 s; a live stream is pinged
/// every 20 s.
const SILENCE_MAX: Duration = Duration::from_secs(60);
const GOODBYE_MAX: Duration = Duration::from_secs(1);

const REQUEST_HEADERS: [HeaderName; 6] = [
    header::ACCEPT,
    header::CONTENT_TYPE,
    header::ORIGIN,
    header::RANGE,
    HeaderName::from_static("x-lenskeep"),
    HeaderName::from_static(PROOF_HEADER),
];
const ANSWER_HEADERS: [HeaderName; 6] = [
    header::ACCEPT_RANGES,
    header::CONTENT_LENGTH,
    header::CONTENT_RANGE,
    // Pages compare clocks.
    header::DATE,
    header::RETRY_AFTER,
    HeaderName::from_static(NONCE_HEADER),
];
/// Anything else is bytes. None of these runs, is a style, or is a document.
const ANSWER_TYPES: [&str; 2] = ["application/json", "application/vnd.lenskeep.recording"];
const BYTES: &str = "application/octet-stream";

/// An answer that somebody opens as a page is an empty one. `nosniff` keeps a
/// script element from running what is not called a script.
const FIXED: [(HeaderName, &str); 6] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (header::CACHE_CONTROL, "no-store"),
];

/// The cloud's answer there is an address to which the page goes: nowhere that
/// a cloud names, from here.
const PROVIDERS: &str = "/api/v1/login/providers/";

/// The session, as the cloud calls it.
const COOKIE: &str = "__Host-lenskeep";
/// Sessions live at most so long.
const COOKIE_SECONDS_MAX: u64 = 7 * 24 * 60 * 60;

#[derive(Debug)]
pub(crate) struct Forward {
    http: reqwest::Client,
    cloud: Url,
    /// Ours, the only one whose pages may ask.
    origin: String,
    /// The session's cookie in the browser. All ports of localhost share their
    /// cookies: the name is of this port and this cloud, so that no session
    /// ends another one or goes to another cloud.
    cookie: String,
}

impl Forward {
    pub(crate) fn new(cloud: &Url, origin: &str, pin: Option<Hash>) -> anyhow::Result<Self> {
        let mut http = http_to(cloud)?.connect_timeout(CONNECT_MAX).read_timeout(SILENCE_MAX);
        if let Some(pin) = pin {
            ensure!(cloud.scheme() == "https", "--pin is for https://; {cloud} shows no certificate");
            let tls = gateway::rtsp::pinned_config(pin).context("TLS with a pinned certificate")?;
            http = http.tls_backend_preconfigured(tls);
        }
        let http = http.build().context("the HTTP client could not be made")?;
        let both = format!("{origin} {}", cloud.origin().ascii_serialization());
        let name = seal::sha256(both.as_bytes()).to_string();
        let cookie = format!("{COOKIE}-{}", &name[..16]);
        Ok(Forward { http, cloud: cloud.clone(), origin: origin.to_owned(), cookie })
    }

    pub(crate) fn cloud(&self) -> String {
        self.cloud.origin().ascii_serialization()
    }

    /// The same address at the cloud, if it is one of the API's. Dots in the
    /// path have been resolved by then.
    fn at_cloud(&self, path: &str, query: Option<&str>) -> Option<Url> {
        let mut url = self.cloud.clone();
        url.set_path(path);
        url.set_query(query);
        url.set_fragment(None);
        url.path().starts_with("/api/").then_some(url)
    }

    fn request_headers(&self, from: &HeaderMap) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for name in REQUEST_HEADERS {
            if let Some(value) = from.get(&name) {
                headers.insert(name, value.clone());
            }
        }
        if let Some(session) = self.session(from)
            && let Ok(mut value) = HeaderValue::try_from(format!("{COOKIE}={session}"))
        {
            value.set_sensitive(true);
            headers.insert(header::COOKIE, value);
        }
        headers
    }

    /// The one well-formed session in the browser's cookies.
    fn session(&self, headers: &HeaderMap) -> Option<Hash> {
        one_cookie(headers, &self.cookie)
    }

    /// The cookie for the browser, made anew from the cloud's: of that one,
    /// value and age are taken and nothing else.
    fn cookie_for_browser(&self, from_cloud: &HeaderValue) -> Option<HeaderValue> {
        let mut parts = from_cloud.to_str().ok()?.split(';').map(str::trim);
        let value = parts.next()?.strip_prefix(COOKIE)?.strip_prefix('=')?;
        let age = parts
            .filter_map(|part| part.split_once('='))
            .find(|(name, _)| name.eq_ignore_ascii_case("max-age"))
            .and_then(|(_, age)| age.parse().ok())
            .unwrap_or(COOKIE_SECONDS_MAX);
        let (value, age) = match value {
            "" => (String::new(), 0),
            value => (value.parse::<Hash>().ok()?.to_string(), age.min(COOKIE_SECONDS_MAX)),
        };
        let cookie =
            format!("{}={value}; Path=/; Max-Age={age}; Secure; HttpOnly; SameSite=Strict", self.cookie);
        let mut cookie = HeaderValue::try_from(cookie).ok()?;
        cookie.set_sensitive(true);
        Some(cookie)
    }

    fn pass_on(&self, answer: reqwest::Response) -> Response {
        let cookies = answer.headers().get_all(header::SET_COOKIE).iter();
        let cookie = cookies.filter_map(|cookie| self.cookie_for_browser(cookie)).next_back();
        let mut response = as_data(answer);
        if let Some(cookie) = cookie.filter(|_| response.status() != StatusCode::BAD_GATEWAY) {
            response.headers_mut().insert(header::SET_COOKIE, cookie);
        }
        response
    }
}

/// An answer of which nothing can run, whoever gave it.
pub(crate) fn as_data(answer: reqwest::Response) -> Response {
    let status = answer.status();
    let long = answer.content_length().is_some_and(|length| length > ANSWER_MAX as u64);
    // A redirect would lead the page elsewhere, and nobody asked for 1xx.
    if status.is_redirection() || status.is_informational() || long {
        tracing::warn!("an answer that none of the calls gives (HTTP {status})");
        return bad_gateway("There came an answer that this program does not pass on.");
    }
    let mut headers = HeaderMap::new();
    for name in ANSWER_HEADERS {
        if let Some(value) = answer.headers().get(&name) {
            headers.insert(name, value.clone());
        }
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type(answer.headers())));
    let mut left = ANSWER_MAX;
    let body = answer.bytes_stream().map(move |part| {
        let part = part.map_err(|error| io::Error::other(error.without_url()))?;
        left = left.checked_sub(part.len()).ok_or_else(|| io::Error::other("the answer is too long"))?;
        Ok::<_, io::Error>(part)
    });
    (status, headers, Body::from_stream(body)).into_response()
}

pub(crate) async fn forward(
    State(forward): State<Arc<Forward>>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    if let Some(refused) = of_other_site(&parts.headers, &forward.origin) {
        return refused;
    }
    if parts.uri.path().starts_with(PROVIDERS) {
        return problem(
            StatusCode::NOT_FOUND,
            "not_here",
            "Signing in at an identity provider works at the cloud's own address.",
            "Use a passkey, or a password with a code, here.",
        );
    }
    let Some(url) = forward.at_cloud(parts.uri.path(), parts.uri.query()) else {
        return problem(StatusCode::NOT_FOUND, "not_found", "There is nothing here.", "Check the address.");
    };
    let Ok(body) = axum::body::to_bytes(body, REQUEST_MAX).await else {
        return problem(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_large",
            "The request is larger than any that the cloud takes.",
            "Send less.",
        );
    };
    let asking = forward.http.request(parts.method, url).headers(forward.request_headers(&parts.headers));
    let away = "The cloud cannot be reached, or its certificate is not trusted.";
    exchange(asking, upgrade, body, away, |answer| forward.pass_on(answer)).await
}

/// Asks, and passes on what comes: frames of a live stream both ways, or an
/// answer by `pass_on`. `away` is said where nobody answers.
pub(crate) async fn exchange(
    asking: RequestBuilder,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
    body: Bytes,
    away: &str,
    pass_on: impl FnOnce(reqwest::Response) -> Response,
) -> Response {
    let asking = if upgrade.is_ok() { upgraded(asking) } else { asking.body(body) };
    let answer = match asking.send().await {
        Ok(answer) => answer,
        Err(error) => {
            tracing::warn!("{away} {:#}", anyhow::Error::new(error.without_url()));
            return bad_gateway(away);
        }
    };
    match upgrade {
        Ok(upgrade) if answer.status() == StatusCode::SWITCHING_PROTOCOLS => match websocket(answer).await {
            Ok(other) => {
                upgrade.max_message_size(VIEWER_MESSAGE_MAX).on_upgrade(move |viewer| relay(viewer, other))
            }
            Err(error) => {
                tracing::warn!("a live stream did not begin: {}", error.without_url());
                bad_gateway("The live stream did not begin.")
            }
        },
        _ => pass_on(answer),
    }
}

/// The one well-formed cookie of this name; two of them are none, because
/// somebody is trying something.
pub(crate) fn one_cookie(headers: &HeaderMap, cookie: &str) -> Option<Hash> {
    let mut found = None;
    for value in headers.get_all(header::COOKIE) {
        for pair in value.to_str().ok()?.split(';') {
            let Some((name, value)) = pair.trim().split_once('=') else { continue };
            if name == cookie && found.replace(value.parse().ok()?).is_some() {
                return None;
            }
        }
    }
    found
}

/// The refusal of a request that a page of somebody else makes.
pub(crate) fn of_other_site(headers: &HeaderMap, origin: &str) -> Option<Response> {
    let foreign = headers.contains_key(header::ORIGIN) && single(headers, &header::ORIGIN) != Some(origin);
    foreign.then(|| {
        problem(
            StatusCode::FORBIDDEN,
            "other_site",
            "The request does not come from a page of this program.",
            &format!("Open {origin}."),
        )
    })
}

/// Frames in both directions until one side ends. A viewer that takes nothing
/// is felt by the cloud, which then drops whole groups of pictures.
async fn relay(viewer: WebSocket, cloud: WebSocketStream<reqwest::Upgraded>) {
    let (mut to_viewer, mut from_viewer) = viewer.split();
    let (mut to_cloud, mut from_cloud) = cloud.split();
    let down = async {
        while let Ok(Some(Ok(message))) = timeout(SILENCE_MAX, from_cloud.next()).await {
            let message = match message {
                Message::Binary(bytes) => ws::Message::Binary(bytes),
                Message::Text(text) => ws::Message::Text(text.as_str().into()),
                Message::Close(_) => break,
                _ => continue,
            };
            if !matches!(timeout(SILENCE_MAX, to_viewer.send(message)).await, Ok(Ok(()))) {
                break;
            }
        }
    };
    // Viewers say nothing.
    let up = async {
        while let Some(Ok(ws::Message::Ping(_) | ws::Message::Pong(_))) = from_viewer.next().await {}
    };
    tokio::select! {
        () = down => {}
        () = up => {}
    }
    // It may be that nobody reads this.
    let _ = timeout(GOODBYE_MAX, futures_util::future::join(to_viewer.close(), to_cloud.close())).await;
}

/// Headers of everything under `/api/`, the refusals of this program too.
pub(crate) async fn harmless(mut response: Response) -> Response {
    for (name, value) in FIXED {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

fn media_type(headers: &HeaderMap) -> &'static str {
    let said = single(headers, &header::CONTENT_TYPE).unwrap_or_default();
    let said = said.split(';').next().unwrap_or_default().trim();
    ANSWER_TYPES.into_iter().find(|known| said.eq_ignore_ascii_case(known)).unwrap_or(BYTES)
}

fn bad_gateway(message: &str) -> Response {
    problem(
        StatusCode::BAD_GATEWAY,
        "cloud_unreachable",
        message,
        "Check that the cloud runs and that you are connected; `lenskeep app` says more on its terminal.",
    )
}

/// An error as the API's own look.
pub(crate) fn problem(status: StatusCode, code: &str, message: &str, remedy: &str) -> Response {
    let body = json!({ "error": { "code": code, "message": message, "remedy": remedy } });
    (status, axum::Json(body)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(cloud: &str) -> Forward {
        Forward::new(&Url::parse(cloud).unwrap(), "http://localhost:8475", None).unwrap()
    }

    #[test]
    fn only_the_api_is_forwarded() {
        let forward = of("https://cameras.example.org");
        let at = |path: &str| forward.at_cloud(path, Some("a=b")).map(String::from);
        assert_eq!(at("/api/v1/me").as_deref(), Some("https://cameras.example.org/api/v1/me?a=b"));
        for path in ["/api/../gateway/v1/roster", "/api/%2e%2e/", "/api/.%2E/index.html", "/gateway/v1/link"]
        {
            assert_eq!(at(path), None, "{path}");
        }
        for path in ["/api//evil.example/", "/api/\\evil.example"] {
            assert!(at(path).unwrap().starts_with("https://cameras.example.org/api/"), "{path}");
        }
    }

    #[test]
    fn the_cloud_is_spoken_to_by_tls() {
        let try_new =
            |url: &str, pin| Forward::new(&Url::parse(url).unwrap(), "http://localhost:8475", pin).map(drop);
        assert!(try_new("http://192.0.2.1", None).is_err());
        assert!(try_new("ftp://localhost", None).is_err());
        assert!(try_new("http://localhost:8470", None).is_ok());
        assert!(try_new("https://192.0.2.1", Some(Hash([1; 32]))).is_ok());
        assert!(try_new("http://localhost:8470", Some(Hash([1; 32]))).is_err());
    }

    #[test]
    fn of_the_clouds_cookies_only_the_session_arrives() {
        let forward = of("http://localhost:8470");
        let token = Hash([7; 32]);
        let arrives = |cookie: String| {
            let cookie = forward.cookie_for_browser(&HeaderValue::try_from(cookie).unwrap())?;
            Some(cookie.to_str().unwrap().to_owned())
        };
        let fixed = "Secure; HttpOnly; SameSite=Strict";
        let name = &forward.cookie;
        assert_eq!(
            arrives(format!("{COOKIE}={token}; Path=/api; Domain=example.org; max-age=60; SameSite=None")),
            Some(format!("{name}={token}; Path=/; Max-Age=60; {fixed}"))
        );
        assert_eq!(
            arrives(format!("{COOKIE}={token}; Max-Age=99999999999999999999")),
            Some(format!("{name}={token}; Path=/; Max-Age=604800; {fixed}"))
        );
        assert_eq!(
            arrives(format!("{COOKIE}=; Max-Age=0")),
            Some(format!("{name}=; Path=/; Max-Age=0; {fixed}"))
        );
        for other in [format!("{COOKIE}=x"), format!("{name}={token}"), "theme=dark".to_owned()] {
            assert_eq!(arrives(other.clone()), None, "{other}");
        }
    }

    #[test]
    fn a_session_goes_to_its_own_cloud_and_nothing_else_does() {
        let (here, there) = (of("http://localhost:8470"), of("https://cameras.example.org"));
        assert_ne!(here.cookie, there.cookie);
        let token = Hash([7; 32]);
        let mut headers = HeaderMap::new();
        let cookies = format!("{COOKIE}={}; {}={token}; theme=dark", Hash([8; 32]), here.cookie);
        headers.insert(header::COOKIE, HeaderValue::try_from(cookies).unwrap());
        headers.insert(header::USER_AGENT, HeaderValue::from_static("a browser"));
        headers.insert(header::RANGE, HeaderValue::from_static("bytes=0-9"));
        let sent = here.request_headers(&headers);
        assert_eq!(sent[header::COOKIE], format!("{COOKIE}={token}"));
        assert_eq!((sent.len(), &sent[header::RANGE]), (2, &HeaderValue::from_static("bytes=0-9")));
        assert_eq!(there.request_headers(&headers).get(header::COOKIE), None);
        // Two of them are none: somebody is trying something.
        let again = HeaderValue::try_from(format!("{}={token}", here.cookie)).unwrap();
        headers.append(header::COOKIE, again);
        assert_eq!(here.request_headers(&headers).get(header::COOKIE), None);
    }

    #[test]
    fn answers_are_data() {
        let of = |text: &'static str| {
            media_type(&HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(text))]))
        };
        assert_eq!(of("application/json; charset=utf-8"), "application/json");
        assert_eq!(of("application/vnd.lenskeep.recording"), "application/vnd.lenskeep.recording");
        for other in ["text/html", "text/javascript", "image/svg+xml", "text/css", "application/json+x", ""] {
            assert_eq!(of(other), BYTES, "{other}");
        }
    }
}
