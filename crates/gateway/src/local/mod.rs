//! The local way: people of the roster reach this gateway on its own network,
//! with no cloud in between (protocol.md section 5). What they get is what the
//! roster opens for them: the same sealed bytes and grants as through the cloud.
//!
//! Refuses everybody who has not proved a device in force over this very TLS
//! connection, everything that does not stand in the journal first, and to
//! take anything from recording: queues, slots and files here are its own.

mod certificate;
pub mod client;
mod door;
mod footage;
mod journal;
mod limits;
mod lists;
mod live;
mod problem;
mod report;
mod routes;
mod view;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Extension;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use model::{DeviceId, Slots, Timestamp};
use seal::local::JournalEvent;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::clock::SteadyClock;
use crate::config::LocalSection;
use crate::data::Identity;
use crate::index::Index;
use certificate::Certificate;
use door::{Door, Refused};
use limits::{Limiter, Rate};

pub(crate) use journal::Journal;
pub(crate) use report::report;
pub(crate) use view::{StreamKey, View};

const CONNECTIONS_MAX: usize = 192;
const CONNECTIONS_OF_ADDRESS_MAX: usize = 64;
/// For the TLS handshake, and for the head of each request.
const HELLO_MAX: Duration = Duration::from_secs(10);
const HEAD_MAX: usize = 16 << 10;
/// Between tries to listen.
const LISTEN_RETRY: Duration = Duration::from_secs(30);
/// Refusals are written down this often, counted.
const REFUSED_EVERY: Duration = Duration::from_secs(60);
/// Different refusals written at a time; the rest is counted in the log alone.
const REFUSED_MAX: usize = 64;
const STREAMS_MAX: usize = 32;
const STREAMS_OF_DEVICE_MAX: usize = 16;
/// Viewers of one stream here, beside the cloud's.
const VIEWERS_MAX: usize = 8;
const READS_MAX: usize = 32;
const READS_OF_DEVICE_MAX: usize = 8;
/// Challenges and proofs from one address.
const KNOCKS: Rate = Rate { burst: 60, refill: Duration::from_secs(1) };
/// Requests of one device.
const REQUESTS: Rate = Rate { burst: 400, refill: Duration::from_millis(20) };
/// What one device may have written into the journal.
const ENTRIES: Rate = Rate { burst: 2_000, refill: Duration::from_secs(5) };

/// What the local way is made of.
pub(crate) struct LocalWay {
    config: LocalSection,
    identity: Identity,
    /// Data folder.
    root: PathBuf,
    index: Index,
    journal: Journal,
    view: watch::Receiver<Arc<View>>,
    address: watch::Sender<Option<SocketAddr>>,
}

/// Shared by all requests.
struct Way {
    identity: Identity,
    root: PathBuf,
    index: Index,
    journal: Journal,
    view: watch::Receiver<Arc<View>>,
    certificate: Certificate,
    clock: SteadyClock,
    door: Door,
    knocks: Limiter<IpAddr>,
    requests: Limiter<DeviceId>,
    entries: Limiter<DeviceId>,
    streams: Arc<Slots<DeviceId>>,
    viewers: Arc<Slots<StreamKey>>,
    reads: Arc<Slots<DeviceId>>,
}

/// Who is connected.
#[derive(Clone, Copy, Debug)]
struct Peer(IpAddr);

impl LocalWay {
    /// `address` is told where it listens, once it does.
    pub(crate) async fn open(
        config: LocalSection,
        (root, identity): (PathBuf, Identity),
        view: watch::Receiver<Arc<View>>,
        address: watch::Sender<Option<SocketAddr>>,
    ) -> anyhow::Result<Self> {
        let index = Index::open_to_read(&root.join("index.sqlite")).await?;
        let journal = Journal::open(&root.join("local-journal.jsonl"))?;
        Ok(LocalWay { config, identity, root, index, journal, view, address })
    }

    pub(crate) fn journal(&self) -> Journal {
        self.journal.clone()
    }

    /// Runs until cancelled. What goes wrong here is said and stays here.
    pub(crate) async fn run(self, cancel: CancellationToken) {
        if !self.config.enabled {
            return;
        }
        let listen = self.config.listen;
        let (way, address) = match self.way().await {
            Ok(way) => way,
            Err(error) => return warn!(error = format!("{error:#}"), "there is no local way"),
        };
        let listening = async {
            let listener = bind(listen).await;
            address.send_replace(listener.local_addr().ok());
            info!(address = ?listener.local_addr().ok(), "people on this network may watch here (local.listen)");
            serve(listener, way.clone()).await;
        };
        tokio::select! {
            () = cancel.cancelled() => {}
            () = listening => {}
            () = way.keep_refused() => {}
        }
        way.write_refused().await;
    }

    async fn way(self) -> anyhow::Result<(Arc<Way>, watch::Sender<Option<SocketAddr>>)> {
        let LocalWay { identity, root, index, journal, view, address, .. } = self;
        // Both are of this gateway's own past, which nobody on the network sets.
        let floor = index.latest_epoch().await?.max(journal.last_at());
        let way = Way {
            identity,
            root,
            index,
            journal,
            view,
            certificate: Certificate::new()?,
            clock: SteadyClock::new(floor),
            door: Door::default(),
            knocks: Limiter::new(KNOCKS),
            requests: Limiter::new(REQUESTS),
            entries: Limiter::new(ENTRIES),
            streams: Slots::new(STREAMS_MAX, STREAMS_OF_DEVICE_MAX),
            viewers: Slots::new(STREAMS_MAX, VIEWERS_MAX),
            reads: Slots::new(READS_MAX, READS_OF_DEVICE_MAX),
        };
        Ok((Arc::new(way), address))
    }
}

impl Way {
    fn view(&self) -> Arc<View> {
        self.view.borrow().clone()
    }

    fn now(&self, view: &View) -> Timestamp {
        self.clock.now(view.roster.last_at())
    }

    /// On the disk when this returns, or an error and nothing may follow.
    async fn write(&self, event: JournalEvent) -> anyhow::Result<()> {
        let (journal, at) = (self.journal.clone(), self.now(&self.view()));
        tokio::task::spawn_blocking(move || journal.append(event, at))
            .await
            .context("the journal's thread")?
    }

    fn refuse(&self, refused: Refused, peer: Peer) {
        let Refused { device, reason } = refused;
        info!(address = %peer.0, ?device, reason = reason.as_str(), "refused on the local way");
        self.door.count(refused);
    }

    async fn keep_refused(&self) {
        loop {
            tokio::time::sleep(REFUSED_EVERY).await;
            self.write_refused().await;
        }
    }

    async fn write_refused(&self) {
        for ((device, reason), count) in self.door.take_refused().into_iter().take(REFUSED_MAX) {
            if let Err(error) = self.write(JournalEvent::Refused { device, reason, count }).await {
                // Refusing needs no journal: nothing was shown.
                warn!(error = format!("{error:#}"), count, "refusals could not be written into the journal");
            }
        }
    }
}

async fn bind(address: SocketAddr) -> TcpListener {
    let mut is_told = false;
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => return listener,
            Err(error) if !std::mem::replace(&mut is_told, true) => {
                warn!(
                    "the local way cannot listen on {address}: {error}; trying again (local.listen, local.enabled)"
                );
            }
            Err(_) => {}
        }
        tokio::time::sleep(LISTEN_RETRY).await;
    }
}

async fn serve(listener: TcpListener, way: Arc<Way>) {
    let slots = Slots::new(CONNECTIONS_MAX, CONNECTIONS_OF_ADDRESS_MAX);
    let tls = TlsAcceptor::from(way.certificate.tls.clone());
    let router = routes::router(way);
    // Dropped with us, and with it every connection.
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                warn!("the local way's port: {error}");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let address = limits::network(address.ip());
        let Some(slot) = slots.take(address) else {
            debug!(%address, "too many connections");
            continue;
        };
        let (router, tls) = (router.clone().layer(Extension(Peer(address))), tls.clone());
        connections.spawn(async move {
            if let Err(error) = connection(stream, tls, router).await {
                debug!(%address, "a connection of the local way ended: {error:#}");
            }
            drop(slot);
        });
    }
}

async fn connection(stream: TcpStream, tls: TlsAcceptor, router: axum::Router) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let stream =
        tokio::time::timeout(HELLO_MAX, tls.accept(stream)).await.context("no handshake in time")??;
    let service = TowerToHyperService::new(router);
    let serving = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HELLO_MAX)
        .max_buf_size(HEAD_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    serving.await.context("HTTP")
}
