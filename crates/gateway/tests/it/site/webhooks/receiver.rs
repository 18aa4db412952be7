//! A receiver of webhooks that the test plays, good or bad.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use futures_util::stream;
use gateway::{ReceiverUrl, WebhookSection};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Of the specification's own test vector.
pub(super) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

#[derive(Clone, Copy)]
pub(super) enum Answer {
    Status(u16),
    /// To this address.
    Redirect(SocketAddr),
    /// 200, and a body that never ends.
    Endless,
    /// Nothing, ever.
    Silence,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(super) struct Got {
    pub(super) headers: HeaderMap,
    pub(super) body: String,
    /// It was answered with 200.
    pub(super) is_taken: bool,
}

impl Got {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

#[derive(Default)]
struct Shared {
    got: Vec<Got>,
    /// The next answers; then [`Self::always`].
    next: VecDeque<Answer>,
    always: Option<Answer>,
}

pub(super) struct Receiver {
    pub(super) address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
    task: JoinHandle<()>,
}

impl Receiver {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Mutex::new(Shared::default()));
        let router = Router::new().fallback(any(answer)).with_state(shared.clone());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Receiver { address, shared, task }
    }

    /// In place of 200; `None` for 200 again.
    pub(super) fn always(&self, answer: Option<Answer>) {
        self.shared.lock().unwrap().always = answer;
    }

    pub(super) fn next(&self, answers: impl IntoIterator<Item = Answer>) {
        self.shared.lock().unwrap().next.extend(answers);
    }

    pub(super) fn got(&self) -> Vec<Got> {
        self.shared.lock().unwrap().got.clone()
    }

    /// Bodies of what it took of cameras, in order. Those of tests repeat one picture, which the gateway
    /// tells at some time.
    pub(super) fn taken(&self) -> Vec<serde_json::Value> {
        let taken = self.got().iter().filter(|got| got.is_taken).map(Got::json).collect::<Vec<_>>();
        taken.into_iter().filter(|body| body["data"]["source"] != "gateway").collect()
    }

    /// The rules of the events that it took, in order.
    pub(super) fn rules(&self) -> Vec<String> {
        let rule = |body: &serde_json::Value| body["data"]["rule"].as_str().unwrap().to_owned();
        self.taken().iter().map(rule).collect()
    }

    /// What tells it, of every camera and kind.
    pub(super) fn section(&self, name: &str, folder: &Path) -> WebhookSection {
        let secret_file = folder.join(format!("{name}.secret"));
        write_secret(&secret_file, SECRET, 0o600);
        WebhookSection {
            name: name.to_owned(),
            url: ReceiverUrl(format!("http://{}/hook?token=hunter2", self.address).parse().unwrap()),
            plain_http: false,
            secret_file,
            ca_file: None,
            cameras: None,
            kinds: None,
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(in super::super) fn write_secret(path: &Path, text: &str, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

async fn answer(State(shared): State<Arc<Mutex<Shared>>>, headers: HeaderMap, body: Bytes) -> Response {
    let answer = {
        let mut shared = shared.lock().unwrap();
        let answer = shared.next.pop_front().or(shared.always).unwrap_or(Answer::Status(200));
        let is_taken = matches!(answer, Answer::Status(200..=299) | Answer::Endless);
        shared.got.push(Got { headers, body: String::from_utf8(body.to_vec()).unwrap(), is_taken });
        answer
    };
    match answer {
        Answer::Status(status) => (StatusCode::from_u16(status).unwrap(), "secret words").into_response(),
        Answer::Redirect(to) => {
            let location = [("location", format!("http://{to}/stolen"))];
            (StatusCode::TEMPORARY_REDIRECT, location).into_response()
        }
        Answer::Endless => {
            let piece = Bytes::from(vec![b'x'; 64 << 10]);
            let pieces = stream::unfold(piece, |piece| async move {
                Some((Ok::<_, std::io::Error>(piece.clone()), piece))
            });
            Body::from_stream(pieces).into_response()
        }
        Answer::Silence => std::future::pending().await,
    }
}
