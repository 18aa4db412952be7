//! Accept loops: connections, TLS, and who is at the other end. Bounded in
//! number, in time to say hello, and in size of headers. What a client
//! certificate means is decided by the routes; here it is only read.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use model::{GatewayId, Timestamp};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use crate::metrics::Metrics;

/// Connections at once on one port.
const CONNECTIONS_MAX: usize = 4_096;
/// Time for the TLS handshake, and for the head of each request.
const HELLO_MAX: Duration = Duration::from_secs(10);
/// Bytes of a request's head, and of the read buffer.
const HEAD_MAX: usize = 64 << 10;

/// Who is connected, given to the routes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    pub(crate) address: IpAddr,
    /// From a client certificate of our CA.
    pub(crate) gateway: Option<GatewayId>,
    /// When that certificate ends; a connection may outlive it.
    pub(crate) ends_at: Timestamp,
}

pub(crate) struct Port {
    pub(crate) name: &'static str,
    pub(crate) listener: TcpListener,
    pub(crate) router: Router,
    pub(crate) tls: Option<Arc<rustls::ServerConfig>>,
    pub(crate) metrics: Arc<Metrics>,
}

impl std::fmt::Debug for Port {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Port").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Accepts until `shutdown`; connections are tasks of `tasks`.
pub(crate) async fn serve(port: Port, tasks: TaskTracker, shutdown: CancellationToken) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let tls = port.tls.map(TlsAcceptor::from);
    loop {
        let Ok(slot) = slots.clone().acquire_owned().await else { return };
        let accepted = tokio::select! {
            () = shutdown.cancelled() => return,
            accepted = port.listener.accept() => accepted,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, or a peer that went away.
                tracing::warn!(port = port.name, "accept: {error}");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let _ = stream.set_nodelay(true);
        let connection = Connection {
            router: port.router.clone(),
            tls: tls.clone(),
            metrics: port.metrics.clone(),
            shutdown: shutdown.clone(),
            name: port.name,
        };
        tasks.spawn(async move {
            connection.metrics.connections.add(1);
            let metrics = connection.metrics.clone();
            connection.run(stream, address).await;
            metrics.connections.add(-1);
            drop(slot);
        });
    }
}

struct Connection {
    router: Router,
    tls: Option<TlsAcceptor>,
    metrics: Arc<Metrics>,
    shutdown: CancellationToken,
    name: &'static str,
}

impl Connection {
    async fn run(self, stream: TcpStream, address: SocketAddr) {
        let address = address.ip().to_canonical();
        let Some(tls) = self.tls.clone() else {
            return self.http(stream, Peer { address, gateway: None, ends_at: Timestamp(0) }).await;
        };
        match tokio::time::timeout(HELLO_MAX, tls.accept(stream)).await {
            Ok(Ok(stream)) => {
                let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
                let shown = certificate.and_then(|der| gateway_of(der));
                let (gateway, ends_at) =
                    shown.map_or((None, Timestamp(0)), |(id, ends_at)| (Some(id), ends_at));
                self.http(stream, Peer { address, gateway, ends_at }).await;
            }
            Ok(Err(error)) => tracing::debug!(port = self.name, %address, "TLS: {error}"),
            Err(_) => tracing::debug!(port = self.name, %address, "TLS: no handshake in time"),
        }
    }

    async fn http(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, peer: Peer) {
        let router = self.router;
        let service = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
            request.extensions_mut().insert(peer);
            let router = router.clone();
            async move { Ok::<_, Infallible>(answer(router.oneshot(request.map(Body::new)).await)) }
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HELLO_MAX)
            .max_buf_size(HEAD_MAX)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        let mut connection = std::pin::pin!(connection);
        let result = tokio::select! {
            result = connection.as_mut() => result,
            () = self.shutdown.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = result {
            tracing::debug!(port = self.name, address = %peer.address, "connection: {error}");
        }
    }
}

/// Routers answer everything.
fn answer<T>(result: Result<T, Infallible>) -> T {
    match result {
        Ok(answer) => answer,
        Err(never) => match never {},
    }
}

/// The TLS library has checked chain and dates; the common name is the id.
fn gateway_of(der: &[u8]) -> Option<(GatewayId, Timestamp)> {
    let (_, certificate) = x509_parser::parse_x509_certificate(der).ok()?;
    let mut names = certificate.subject().iter_common_name();
    let name = names.next()?.as_str().ok()?;
    // Two names would be two readings.
    if names.next().is_some() {
        return None;
    }
    let seconds = u64::try_from(certificate.validity().not_after.timestamp()).ok()?;
    Some((name.parse().ok()?, Timestamp(seconds.saturating_mul(Timestamp::SECOND))))
}
