//! The one-shot loopback bridge between retina and a camera. retina connects to
//! a port of ours on 127.0.0.1; the bridge accepts exactly one connection, and
//! only from this very process, closes the listener, and copies bytes: to the
//! camera as they are, from the camera within [`Limits`]. The camera's leg is
//! plain TCP or TLS with a pinned certificate, already open.
//!
//! Refuses to serve anybody else, to listen longer than needed, and to buffer
//! more than one piece: who reads slowly slows the camera down.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, OnceLock};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_rustls::client::TlsStream;

use super::interleave::{self, Ports};
use super::own_socket;
use super::scan::{ScanError, Scanner};
use super::{Limits, SourceError};

/// The open connection to the camera.
#[derive(Debug)]
pub enum Upstream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    /// Plain, with pictures over UDP.
    WithUdp(TcpStream),
}

/// Ends with the value: dropping it closes both connections.
#[derive(Debug)]
pub struct Bridge {
    port: u16,
    failure: Arc<OnceLock<SourceError>>,
    task: JoinHandle<()>,
}

/// Read at once from either side. RTP packets have 1.5 kB; this is a burst.
const PIECE: usize = 32 << 10;
/// UDP packets waiting to be interleaved, at most 64 KiB each.
const UDP_QUEUE: usize = 256;

impl Bridge {
    pub async fn open(upstream: Upstream, limits: &Limits) -> Result<Self, SourceError> {
        let local = |error: io::Error| SourceError::Local { reason: error.to_string() };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(local)?;
        let port = listener.local_addr().map_err(local)?.port();
        let failure = Arc::new(OnceLock::new());
        let (slot, limits) = (Arc::clone(&failure), limits.clone());
        let task = tokio::spawn(async move {
            let ended = Box::pin(run(listener, upstream, &limits, &slot)).await;
            // Before the sockets close, so that whoever sees the end finds the
            // reason. `run` has set it already where it owned the sockets.
            let _ = slot.set(ended);
        });
        Ok(Bridge { port, failure, task })
    }

    /// Where retina is to connect, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Why the bridge ended, once it has.
    pub fn failure(&self) -> Option<SourceError> {
        self.failure.get().cloned()
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(
    listener: TcpListener,
    upstream: Upstream,
    limits: &Limits,
    failure: &OnceLock<SourceError>,
) -> SourceError {
    let client = match timeout(limits.connect, accept_ours(listener)).await {
        Ok(Ok(client)) => client,
        Ok(Err(error)) => return SourceError::Local { reason: error.to_string() },
        Err(_) => return SourceError::Local { reason: "nobody came to the bridge".into() },
    };
    let guard = Guard::new(limits);
    let (retina_reads, retina_writes) = client.into_split();
    match upstream {
        Upstream::Plain(tcp) => {
            let (reads, writes) = tcp.into_split();
            pump(retina_reads, retina_writes, reads, writes, guard, failure).await
        }
        Upstream::Tls(tls) => {
            let (reads, writes) = tokio::io::split(*tls);
            pump(retina_reads, retina_writes, reads, writes, guard, failure).await
        }
        Upstream::WithUdp(tcp) => {
            let ends = match (tcp.local_addr(), tcp.peer_addr()) {
                (Ok(local), Ok(camera)) => (local.ip(), camera.ip()),
                (Err(error), _) | (_, Err(error)) => {
                    return SourceError::Local { reason: error.to_string() };
                }
            };
            let error = pump_udp(client_of(retina_reads, retina_writes), tcp, ends, guard, limits).await;
            let _ = failure.set(error.clone());
            error
        }
    }
}

/// Waits for a connection of this process. Others are closed and forgotten.
async fn accept_ours(listener: TcpListener) -> io::Result<TcpStream> {
    loop {
        let (socket, peer) = listener.accept().await?;
        let local = socket.local_addr()?;
        let ours = tokio::task::spawn_blocking(move || own_socket::is_ours(peer, local));
        if ours.await.map_err(io::Error::other)?? {
            let _ = socket.set_nodelay(true);
            return Ok(socket);
        }
        tracing::warn!(%peer, "a foreign process connected to a camera's bridge and was turned away");
    }
}

/// Bounds what comes from the camera.
struct Guard {
    scanner: Scanner,
    bytes_per_second: u64,
    burst: u64,
    /// Bytes that may still come, and when that was true.
    left: u64,
    at: Instant,
}

impl Guard {
    fn new(limits: &Limits) -> Self {
        Guard {
            scanner: Scanner::new(limits),
            bytes_per_second: limits.bytes_per_second,
            burst: limits.burst_bytes,
            left: limits.burst_bytes,
            at: Instant::now(),
        }
    }

    fn check(&mut self, bytes: &[u8], now: Instant) -> Result<(), SourceError> {
        let passed = now.duration_since(self.at);
        self.at = now;
        let gained = u128::from(self.bytes_per_second) * passed.as_nanos() / 1_000_000_000;
        let left = u128::from(self.left) + gained;
        self.left = u64::try_from(left).unwrap_or(u64::MAX).min(self.burst);
        self.left = (self.left.checked_sub(bytes.len() as u64))
            .ok_or(SourceError::Flood { bytes_per_second: self.bytes_per_second })?;
        self.scanner.feed(bytes).map_err(|error| match error {
            ScanError::AccessUnitTooLong { max, .. } => SourceError::AccessUnitTooLong { bytes: max },
            other => SourceError::Message(other),
        })
    }
}

async fn pump(
    mut retina_reads: impl AsyncRead + Unpin,
    mut retina_writes: impl AsyncWrite + Unpin,
    mut camera_reads: impl AsyncRead + Unpin,
    mut camera_writes: impl AsyncWrite + Unpin,
    mut guard: Guard,
    failure: &OnceLock<SourceError>,
) -> SourceError {
    let to_camera = async {
        let mut piece = vec![0; 4 << 10];
        loop {
            match retina_reads.read(&mut piece).await {
                // retina is done; so are we.
                Ok(0) | Err(_) => return SourceError::Closed,
                Ok(n) => {
                    let sent = async {
                        camera_writes.write_all(&piece[..n]).await?;
                        camera_writes.flush().await
                    };
                    if sent.await.is_err() {
                        return SourceError::Closed;
                    }
                }
            }
        }
    };
    let from_camera = async {
        let mut piece = vec![0; PIECE];
        loop {
            let n = match camera_reads.read(&mut piece).await {
                // What rustls refuses: a record that the camera did not make.
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    return SourceError::Tls { reason: error.to_string() };
                }
                Ok(0) | Err(_) => return SourceError::Closed,
                Ok(n) => n,
            };
            if let Err(error) = guard.check(&piece[..n], Instant::now()) {
                return error;
            }
            if retina_writes.write_all(&piece[..n]).await.is_err() {
                return SourceError::Closed;
            }
        }
    };
    let error = tokio::select! {
        error = to_camera => error,
        error = from_camera => error,
    };
    let _ = failure.set(error.clone());
    error
}

fn client_of(reads: tokio::net::tcp::OwnedReadHalf, writes: tokio::net::tcp::OwnedWriteHalf) -> TcpStream {
    reads.reunite(writes).expect("two halves of one connection")
}

/// As [`pump`], with SETUP rewritten and packets taken from UDP. Here messages
/// are cut apart, because packets go in between them.
async fn pump_udp(
    client: TcpStream,
    camera: TcpStream,
    (local, peer): (IpAddr, IpAddr),
    mut guard: Guard,
    limits: &Limits,
) -> SourceError {
    let (mut client_reads, mut client_writes) = client.into_split();
    let (mut camera_reads, mut camera_writes) = camera.into_split();
    let (packets, mut incoming) = mpsc::channel::<Vec<u8>>(UDP_QUEUE);
    let mut asked: Option<(u8, Ports)> = None;
    let (mut request, mut answer) = (Vec::new(), Vec::new());
    let mut readers = tokio::task::JoinSet::new();
    // What was taken from the camera's answer and belongs to a body.
    let mut body_left = 0usize;
    let mut out = Vec::new();
    loop {
        let step: Result<bool, io::Error> = tokio::select! {
            read = client_reads.read_buf(&mut request) => read.map(|n| n > 0),
            read = camera_reads.read_buf(&mut answer) => read.map(|n| n > 0),
            Some(packet) = incoming.recv(), if body_left == 0 && answer.is_empty() => {
                if let Err(error) = guard.check(&packet, Instant::now()) {
                    return error;
                }
                client_writes.write_all(&packet).await.map(|()| true)
            }
        };
        if !matches!(step, Ok(true)) || request.len() > limits.head_bytes {
            return SourceError::Closed;
        }
        // retina's requests have no bodies.
        while let Some(head) = take_head(&mut request) {
            let mut head = head;
            if let Some(channel) = interleave::setup_channel(&head) {
                let ports = match asked.take() {
                    Some((_, ports)) => ports,
                    None => match Ports::bind(local).await {
                        Ok(ports) => ports,
                        Err(error) => return SourceError::Local { reason: error.to_string() },
                    },
                };
                head = interleave::ask_for_udp(&head, ports.port);
                asked = Some((channel, ports));
            }
            if camera_writes.write_all(head.as_bytes()).await.is_err() {
                return SourceError::Closed;
            }
        }
        out.clear();
        while !answer.is_empty() {
            if body_left > 0 {
                let part = body_left.min(answer.len());
                out.extend(answer.drain(..part));
                body_left -= part;
                continue;
            }
            let Some(mut head) = take_head(&mut answer) else { break };
            body_left = content_length(&head);
            if let (Some((channel, _)), Some(port)) = (&asked, interleave::server_port(&head)) {
                head = interleave::answer_interleaved(&head, *channel);
                let (channel, ports) = asked.take().expect("just matched");
                if let Err(error) = ports.open(peer, port).await {
                    return SourceError::Local { reason: error.to_string() };
                }
                readers.spawn(receive(ports, channel, packets.clone()));
            }
            out.extend_from_slice(head.as_bytes());
        }
        if answer.len() > limits.head_bytes || body_left > limits.body_bytes {
            let at = 0;
            return SourceError::Message(ScanError::HeadTooLong { at, max: limits.head_bytes });
        }
        if !out.is_empty() {
            if let Err(error) = guard.check(&out, Instant::now()) {
                return error;
            }
            if client_writes.write_all(&out).await.is_err() {
                return SourceError::Closed;
            }
        }
    }
}

/// Reads both ports until the bridge ends. A full queue drops the packet: this
/// is UDP.
async fn receive(ports: Ports, channel: u8, packets: mpsc::Sender<Vec<u8>>) {
    let (mut rtp, mut rtcp) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    let mut last = None;
    loop {
        let mut framed = Vec::new();
        tokio::select! {
            read = ports.rtp.recv(&mut rtp) => {
                // An ICMP error of the punched hole is no reason to end.
                let Ok(n) = read else { continue };
                if interleave::in_order(&rtp[..n], &mut last) {
                    interleave::frame(channel, &rtp[..n], &mut framed);
                }
            }
            read = ports.rtcp.recv(&mut rtcp) => {
                let Ok(n) = read else { continue };
                interleave::frame(channel.saturating_add(1), &rtcp[..n], &mut framed);
            }
        }
        if !framed.is_empty() && packets.try_send(framed).is_err() && packets.is_closed() {
            return;
        }
    }
}

/// Takes one message head off, with its empty line.
fn take_head(buffer: &mut Vec<u8>) -> Option<String> {
    let end = buffer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = buffer.drain(..end).collect::<Vec<_>>();
    Some(String::from_utf8_lossy(&head).into_owned())
}

fn content_length(head: &str) -> usize {
    let value = head
        .split("\r\n")
        .filter_map(|line| line.split_once(':'))
        .find_map(|(name, value)| name.trim().eq_ignore_ascii_case("content-length").then(|| value.trim()));
    // The scanner, which sees the same head next, refuses what does not parse.
    value.and_then(|digits| digits.parse().ok()).unwrap_or(0)
}
