//! The same events as cameras of Axis stream them: VAPIX, "Event streaming over
//! WebSocket", with HTTP Digest or a token of 15 seconds, and what goes wrong there.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use hyper::header::{CONNECTION, HeaderMap, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use hyper::upgrade::Upgraded;
use hyper::{Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::events::{Events, Told};
use crate::Fault;

pub(super) const PATH: &str = "/vapix/ws-data-stream";
pub(super) const TOKENS: &str = "/axis-cgi/wssession.cgi";
const TOKEN_LIVES: Duration = Duration::from_secs(15);
/// Of what a client may send, in bytes.
const MESSAGE_MAX: usize = 64 << 10;
const METHOD: &str = "events:configure";

/// Tokens that were given out, and until when they count.
#[derive(Debug, Default)]
pub(super) struct Tokens(Mutex<BTreeMap<String, Instant>>);

impl Tokens {
    pub(super) fn give(&self) -> String {
        let mut random = [0; 8];
        aws_lc_rs::rand::fill(&mut random).expect("the system's random numbers");
        let token = u64::from_le_bytes(random).to_string();
        let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        tokens.retain(|_, until| *until > now);
        tokens.insert(token.clone(), now + TOKEN_LIVES);
        token
    }

    /// Each counts once.
    pub(super) fn take(&self, query: &str) -> bool {
        let token = query.split('&').find_map(|pair| pair.strip_prefix("wssession="));
        let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        token.and_then(|token| tokens.remove(token)).is_some_and(|until| until > Instant::now())
    }
}

/// Agrees to a WebSocket, if that is what was asked for.
pub(super) fn agreed(headers: &HeaderMap) -> Response<String> {
    let key = headers.get(SEC_WEBSOCKET_KEY).map(HeaderValue::as_bytes);
    let Some(accept) = key.and_then(|key| derive_accept_key(key).parse::<HeaderValue>().ok()) else {
        let mut response = Response::new("this is for WebSockets".to_owned());
        *response.status_mut() = StatusCode::BAD_REQUEST;
        return response;
    };
    let mut response = Response::new(String::new());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    response
}

/// One who waits for events, until it is dropped.
struct Point<'a> {
    events: &'a Events,
    id: u32,
}

impl Drop for Point<'_> {
    fn drop(&mut self) {
        self.events.unsubscribe(self.id);
    }
}

/// Until the client leaves.
pub(super) async fn tell(
    upgraded: Upgraded,
    events: &Events,
    clock: impl Fn() -> OffsetDateTime,
    fault: impl Fn() -> Option<Fault>,
) -> Result<(), Error> {
    let config = WebSocketConfig::default().max_message_size(Some(MESSAGE_MAX));
    let io = TokioIo::new(upgraded);
    let mut socket = WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await;
    let Some(id) = events.subscribe(Duration::from_secs(86_400)) else { return socket.close(None).await };
    let point = Point { events, id };
    let mut filters: Option<Vec<String>> = None;
    loop {
        let answer = tokio::select! {
            message = socket.next() => match message {
                Some(Ok(Message::Text(text))) => {
                    let (answer, wanted) = configure(&text, fault());
                    if wanted.is_some() {
                        events.synchronise(point.id);
                        filters = wanted;
                    }
                    vec![answer]
                }
                Some(Ok(Message::Close(_))) | None => return Ok(()),
                Some(Ok(_)) => continue,
                Some(Err(error)) => return Err(error),
            },
            Some((told, _)) = events.pull(point.id, Duration::from_secs(60), 100), if filters.is_some() => {
                let wanted = filters.iter().flatten();
                let fits = |told: &&Told| wanted.clone().any(|filter| fits(filter, &told.topic));
                told.iter().filter(fits).map(|told| notification(told, clock())).collect()
            }
        };
        for text in answer {
            socket.send(Message::text(text)).await?;
        }
        let Some(wrong) = filters.is_some().then(&fault).flatten() else { continue };
        go_wrong(&mut socket, wrong, clock()).await?;
    }
}

async fn go_wrong(
    socket: &mut WebSocketStream<TokioIo<Upgraded>>,
    fault: Fault,
    now: OffsetDateTime,
) -> Result<(), Error> {
    let crossed = |n: u64| Told {
        topic: "tns1:RuleEngine/LineDetector/Crossed".into(),
        rule: format!("line {n}"),
        state: None,
        is_initial: false,
    };
    match fault {
        Fault::VapixSilent => std::future::pending().await,
        Fault::VapixGarbage => socket.send(Message::text("{\"method\":")).await,
        Fault::VapixHuge => socket.send(Message::text(" ".repeat(10 << 20))).await,
        Fault::VapixFlood => {
            for n in 0.. {
                socket.send(Message::text(notification(&crossed(n), now))).await?;
            }
            Ok(())
        }
        Fault::VapixNoise => {
            for _ in 0..1_000 {
                socket.feed(Message::text("{\"method\":\"something:else\"}")).await?;
            }
            socket.send(Message::text(notification(&crossed(1), now))).await
        }
        Fault::VapixBreaksOff => {
            socket.feed(Message::text(notification(&crossed(1), now))).await?;
            socket.send(Message::text("{\"method\":")).await
        }
        _ => Ok(()),
    }
}

/// The answer, and what is to be told from now on.
fn configure(text: &str, fault: Option<Fault>) -> (String, Option<Vec<String>>) {
    let asked: Value = serde_json::from_str(text).unwrap_or_default();
    let mut answer = json!({ "apiVersion": "1.0", "method": METHOD });
    if let Some(context) = asked["context"].as_str() {
        answer["context"] = context.into();
    }
    let filters = asked["params"]["eventFilterList"].as_array();
    let filters: Option<Vec<String>> = filters.and_then(|list| {
        list.iter().map(|filter| Some(filter["topicFilter"].as_str()?.to_owned())).collect()
    });
    let error = match (&filters, fault) {
        (_, Some(Fault::VapixRefuses)) => Some((2_105, "Authorization failed")),
        _ if asked.is_null() => Some((2_101, "Invalid JSON")),
        _ if asked["method"] != METHOD => Some((2_102, "Method not supported")),
        (None, _) => Some((2_103, "Required parameter missing")),
        _ => None,
    };
    match error {
        Some((code, message)) => {
            answer["error"] = json!({ "code": code, "message": message });
            (answer.to_string(), None)
        }
        None => {
            answer["data"] = json!({});
            (answer.to_string(), filters)
        }
    }
}

/// A topic, or one with everything below it (`//.`).
fn fits(filter: &str, topic: &str) -> bool {
    filter.split('|').any(|filter| match filter.strip_suffix("//.").or_else(|| filter.strip_suffix("//")) {
        Some(above) => topic.starts_with(above),
        None => filter == topic,
    })
}

fn notification(told: &Told, now: OffsetDateTime) -> String {
    let is_of = |part: &str| told.topic.contains(part);
    let name = match () {
        () if is_of("IO/") => "port",
        () if is_of("DigitalInput") => "InputToken",
        () if is_of("Relay") => "RelayToken",
        () => "Rule",
    };
    let is_of_platform = is_of("CameraApplicationPlatform");
    let source = if is_of_platform { json!({}) } else { json!({ name: told.rule }) };
    let state = if is_of_platform { "active" } else { "state" };
    let data = match told.state {
        Some(is_on) => json!({ state: if is_on { "1" } else { "0" } }),
        None => json!({ "ObjectId": "1" }),
    };
    let notification = json!({
        "timestamp": now.unix_timestamp() * 1_000,
        "topic": told.topic,
        "message": { "source": source, "key": {}, "data": data },
    });
    json!({ "apiVersion": "1.0", "method": "events:notify", "params": { "notification": notification } })
        .to_string()
}
