//! The link: one WebSocket to the cloud, opened from here. Watches, commands and
//! questions come down; status and sealed chunks go up, and behind them answers.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use model::wire::{
    ANSWERS_HEADER, ANSWERS_LOCKS, ANSWERS_NOTICES, ANSWERS_PTZ, ANSWERS_RECORDINGS, ANSWERS_TIMELINES,
    BODY_MAX, FromGateway, LINK_FRAME_MAX, ToGateway,
};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use crate::asked::{Answering, Asked};
use crate::cloud::Cloud;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Without a word from the cloud for this long the connection is dead: it
/// answers a ping of ours every [`PING`].
const SILENCE_MAX: Duration = Duration::from_secs(45);
/// One frame that the network does not take for so long ends the link.
const SEND_MAX: Duration = Duration::from_secs(10);
const PING: Duration = Duration::from_secs(15);
/// Sealed chunks that wait for the network; beyond it viewers lose groups of pictures.
const FRAMES_QUEUE: usize = 256;
const TEXT_QUEUE: usize = 64;
const EVENTS_QUEUE: usize = 64;
/// Answers about what is on the disk, and pieces of recordings, that wait for a
/// moment in which no chunk does.
const ANSWERS_QUEUE: usize = 8;
const PIECES_QUEUE: usize = 2;

#[derive(Debug)]
pub(crate) enum LinkEvent {
    Message(ToGateway),
    /// Over, and why. Nothing follows.
    Down(String),
}

/// An open link.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) text: mpsc::Sender<FromGateway>,
    pub(crate) frames: mpsc::Sender<Bytes>,
    pub(crate) events: mpsc::Receiver<LinkEvent>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Link {
    pub(crate) async fn connect(cloud: &Cloud, asked: &Asked) -> anyhow::Result<Self> {
        let socket =
            timeout(CONNECT_TIMEOUT, open(cloud)).await.context("the link did not open within 10 s")??;
        let (text, text_receiver) = mpsc::channel(TEXT_QUEUE);
        let (frames, frame_receiver) = mpsc::channel(FRAMES_QUEUE);
        let (answers, answer_receiver) = mpsc::channel(ANSWERS_QUEUE);
        let (pieces, piece_receiver) = mpsc::channel(PIECES_QUEUE);
        let answering = asked.over(answers, pieces);
        let up = Upward {
            text: text_receiver,
            frames: frame_receiver,
            answers: answer_receiver,
            pieces: piece_receiver,
        };
        let (event_sender, events) = mpsc::channel(EVENTS_QUEUE);
        let task = tokio::spawn(async move {
            let end = serve(socket, up, answering, &event_sender).await;
            let words = end.map_or_else(|error| format!("{error:#}"), |()| "closed".to_owned());
            let _ = event_sender.send(LinkEvent::Down(words)).await;
        });
        Ok(Link { text, frames, events, task })
    }
}

type Socket = WebSocketStream<TlsStream<TcpStream>>;

async fn open(cloud: &Cloud) -> anyhow::Result<Socket> {
    let mut url = cloud.url().join("/gateway/v1/link")?;
    let host = url.host_str().context("the cloud's URL has no host")?.trim_matches(['[', ']']).to_owned();
    let port = url.port_or_known_default().context("the cloud's URL has no port")?;
    url.set_scheme("wss").map_err(|()| anyhow::anyhow!("the cloud's URL cannot be a WebSocket"))?;
    let tcp = TcpStream::connect((host.as_str(), port)).await.context("the cloud cannot be reached")?;
    // Each chunk is a picture that somebody waits for.
    tcp.set_nodelay(true)?;
    let mut config = rustls::ClientConfig::clone(&cloud.tls());
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let name = ServerName::try_from(host).context("the cloud's host is no name")?;
    let tls = TlsConnector::from(Arc::new(config)).connect(name, tcp).await.context("TLS with the cloud")?;
    let limits = WebSocketConfig::default()
        .max_message_size(Some(BODY_MAX))
        .max_frame_size(Some(BODY_MAX))
        .max_write_buffer_size(2 * LINK_FRAME_MAX);
    let mut request = url.as_str().into_client_request()?;
    // A cloud of before reads the first of them alone.
    for answers in [ANSWERS_RECORDINGS, ANSWERS_TIMELINES, ANSWERS_NOTICES, ANSWERS_PTZ, ANSWERS_LOCKS] {
        request.headers_mut().append(ANSWERS_HEADER, HeaderValue::from_static(answers));
    }
    let (socket, _) = tokio_tungstenite::client_async_with_config(request, tls, Some(limits))
        .await
        .context("the cloud refused the link")?;
    Ok(socket)
}

/// What goes up, in this order.
struct Upward {
    text: mpsc::Receiver<FromGateway>,
    frames: mpsc::Receiver<Bytes>,
    answers: mpsc::Receiver<FromGateway>,
    pieces: mpsc::Receiver<Bytes>,
}

async fn serve(
    socket: Socket,
    mut up: Upward,
    mut answering: Answering,
    events: &mpsc::Sender<LinkEvent>,
) -> anyhow::Result<()> {
    let (mut sink, mut stream) = socket.split();
    let mut ping = tokio::time::interval(PING);
    let reading = async {
        loop {
            let message = timeout(SILENCE_MAX, stream.next()).await.context("the cloud fell silent")?;
            match message {
                None | Some(Ok(Message::Close(_))) => return Ok(()),
                Some(Ok(Message::Text(text))) => {
                    let message = serde_json::from_str(&text).context("the cloud sent what is no message")?;
                    let Some(message) = answering.take(message) else { continue };
                    if events.send(LinkEvent::Message(message)).await.is_err() {
                        return Ok(());
                    }
                }
                Some(Ok(Message::Binary(_))) => bail!("the cloud sent a binary frame"),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error).context("the link broke"),
            }
        }
    };
    let writing = async {
        loop {
            let message = tokio::select! {
                // Answers and status go before pictures.
                biased;
                message = up.text.recv() => match message {
                    Some(message) => Message::text(serde_json::to_string(&message)?),
                    None => return Ok(()),
                },
                _ = ping.tick() => Message::Ping(Bytes::new()),
                frame = up.frames.recv() => match frame {
                    Some(frame) => Message::Binary(frame),
                    None => return Ok(()),
                },
                // Whatever is asked of the disk, pictures do not wait for it.
                Some(answer) = up.answers.recv() => Message::text(serde_json::to_string(&answer)?),
                Some(piece) = up.pieces.recv() => Message::Binary(piece),
            };
            // A cloud that answers pings and reads nothing is not there either.
            let sent = timeout(SEND_MAX, sink.send(message)).await;
            sent.context("the cloud takes nothing any more")?.context("the link broke")?;
        }
    };
    tokio::select! {
        end = reading => end,
        end = writing => end,
    }
}
