//! A camera's life: its ports, its clients and its end.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use model::{CameraAccess, CameraUrl, Hash, OnvifUrl, Rendition};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use crate::feed::{Feed, Live};
use crate::head::{Head, Position};
use crate::onvif::media::Stream;
use crate::onvif::{self, Onvif};
use crate::{Fault, Options, Pictures, session};

/// Clients of one camera; the next ones are turned away.
const CLIENTS_MAX: usize = 1_024;

/// What every connection shares.
#[derive(Debug)]
pub(crate) struct Camera {
    pub(crate) options: Options,
    pub(crate) main: Feed,
    pub(crate) sub: Option<Feed>,
    fault: Mutex<Option<Fault>>,
    pub(crate) requests: AtomicU64,
    played: Mutex<Vec<Arc<Played>>>,
    onvif: Option<Arc<Onvif>>,
    head: Arc<Head>,
}

/// What one client was sent since it said PLAY.
#[derive(Debug)]
pub struct Played {
    /// As in its URL, such as `main` or, for one of many cameras, `main/17`.
    pub path: String,
    pub began: SystemTime,
    pictures: AtomicU64,
}

impl Played {
    /// Pictures that went to the system for it, whole.
    pub fn pictures(&self) -> u64 {
        self.pictures.load(Ordering::Relaxed)
    }

    pub(crate) fn count(&self) {
        self.pictures.fetch_add(1, Ordering::Relaxed);
    }
}

impl Camera {
    pub(crate) fn begin_play(&self, path: &str) -> Arc<Played> {
        let played =
            Arc::new(Played { path: path.into(), began: SystemTime::now(), pictures: AtomicU64::new(0) });
        self.played.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&played));
        played
    }

    pub(crate) fn fault(&self) -> Option<Fault> {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running camera. Dropping it ends it at once.
#[derive(Debug)]
pub struct Running {
    /// Where it speaks RTSP, and RTSPS if it does.
    pub addr: SocketAddr,
    pub rtsps_addr: Option<SocketAddr>,
    /// Where it answers those who look for cameras.
    pub discovery_addr: Option<SocketAddr>,
    camera: Arc<Camera>,
    tasks: Vec<JoinHandle<()>>,
}

/// Listens and returns. Needs a tokio runtime.
pub async fn start(options: Options) -> anyhow::Result<Running> {
    let head = Arc::new(Head::new());
    let feed = |pictures: &Pictures| {
        anyhow::Ok(match pictures {
            Pictures::Live(shape) => Feed::Live(Live::new(*shape, &options.name, &head)?),
            Pictures::Prepared(prepared) => Feed::Prepared(prepared.clone()),
        })
    };
    let main = feed(&options.main)?;
    let sub = options.sub.as_ref().map(feed).transpose()?;
    let plain = listen(options.listen).await?;
    let addr = plain.local_addr()?;
    let tls = match &options.rtsps {
        Some((address, identity)) => Some((listen(*address).await?, identity.config())),
        None => None,
    };
    let rtsps_addr = tls.as_ref().map(|(listener, _)| listener.local_addr()).transpose()?;
    let services = match options.onvif {
        Some(address) => Some(listen(address).await?),
        None => None,
    };
    let streams = streams(&options, addr, &main, sub.as_ref());
    let onvif = services
        .as_ref()
        .map(|listener| offer(listener, &options, streams, &head))
        .transpose()?
        .map(Arc::new);
    let searched = match &options.onvif_options.discovery {
        Some(discovery) => {
            let context = || format!("the simulated camera cannot be found at {}", discovery.listen);
            Some(discovery.open().await.with_context(context)?)
        }
        None => None,
    };
    let discovery_addr = searched.as_ref().map(UdpSocket::local_addr).transpose()?;
    let fault = Mutex::new(options.fault);
    let (requests, played) = (AtomicU64::new(0), Mutex::default());
    let camera = Arc::new(Camera { options, main, sub, fault, requests, played, onvif, head });

    let mut tasks = vec![tokio::spawn(accept(plain, None, Protocol::Rtsp, Arc::clone(&camera)))];
    if let Some((listener, config)) = tls {
        tasks.push(tokio::spawn(accept(listener, Some(config.into()), Protocol::Rtsp, Arc::clone(&camera))));
    }
    if let Some(listener) = services {
        let tls = camera.options.onvif_options.tls.as_ref().map(|identity| identity.config().into());
        tasks.push(tokio::spawn(accept(listener, tls, Protocol::Onvif, Arc::clone(&camera))));
    }
    if let Some(socket) = searched {
        tasks.push(tokio::spawn(be_found(Arc::clone(&camera), socket)));
    }
    if let Some(every) = camera.options.onvif_options.event_every {
        tasks.push(tokio::spawn(move_now_and_then(Arc::clone(&camera), every)));
    }
    Ok(Running { addr, rtsps_addr, discovery_addr, camera, tasks })
}

impl Running {
    pub fn url(&self, rendition: Rendition) -> CameraUrl {
        url("rtsp", self.addr, rendition)
    }

    pub fn rtsps_url(&self, rendition: Rendition) -> Option<CameraUrl> {
        Some(url("rtsps", self.rtsps_addr?, rendition))
    }

    /// SHA-256 of the certificate shown over RTSPS.
    pub fn certificate(&self) -> Option<Hash> {
        self.camera.options.rtsps.as_ref().map(|(_, identity)| identity.fingerprint())
    }

    /// Everything a gateway needs, over RTSP.
    pub fn access(&self) -> CameraAccess {
        let credentials = self.camera.options.credentials.as_ref();
        CameraAccess {
            url: self.url(Rendition::Main),
            sub_url: self.camera.sub.as_ref().map(|_| self.url(Rendition::Sub)),
            username: credentials.map(|c| c.username.clone()),
            password: credentials.map(|c| c.password.clone()),
            certificate: None,
            onvif_url: self.onvif_url().map(|url| OnvifUrl::parse(&url).expect("our own address is one")),
        }
    }

    /// Everything a gateway needs, over RTSPS.
    pub fn rtsps_access(&self) -> Option<CameraAccess> {
        Some(CameraAccess {
            url: self.rtsps_url(Rendition::Main)?,
            sub_url: self.camera.sub.as_ref().and_then(|_| self.rtsps_url(Rendition::Sub)),
            certificate: self.certificate(),
            ..self.access()
        })
    }

    /// ONVIF's device service, if it is offered.
    pub fn onvif_url(&self) -> Option<String> {
        self.camera.onvif.as_ref().map(|onvif| onvif.url())
    }

    /// The event stream as cameras of Axis have it, if it is offered.
    pub fn stream_url(&self) -> Option<String> {
        self.camera.onvif.as_ref().and_then(|onvif| onvif.stream_url())
    }

    /// Something begins (`true`), ends (`false`) or happens (`None`), and
    /// whoever has a pull point hears of it. The topic with its prefix, such as
    /// `tns1:RuleEngine/CellMotionDetector/Motion`.
    pub fn raise(&self, topic: &str, rule: &str, state: Option<bool>) {
        if let Some(onvif) = &self.camera.onvif {
            onvif.events.raise(topic, rule, state);
        }
    }

    /// Pull points and event streams that clients have now, and how many there ever were.
    pub fn pull_points(&self) -> (usize, u32) {
        self.camera.onvif.as_ref().map_or((0, 0), |onvif| (onvif.events.points(), onvif.events.made()))
    }

    /// Where it looks, and whether it moves.
    pub fn position(&self) -> (Position, bool) {
        (self.camera.head.position(), self.camera.head.is_moving())
    }

    /// The names of positions that it remembers.
    pub fn presets(&self) -> Vec<String> {
        self.camera.head.presets().into_iter().map(|(_, name)| name).collect()
    }

    /// ONVIF requests read so far, from any client.
    pub fn onvif_requests(&self) -> u64 {
        self.camera.onvif.as_ref().map_or(0, |onvif| onvif.requests())
    }

    /// Questions for a still picture so far, from any client.
    pub fn stills(&self) -> u64 {
        self.camera.onvif.as_ref().map_or(0, |onvif| onvif.stills())
    }

    /// From now on, or never mind.
    pub fn set_fault(&self, fault: Option<Fault>) {
        *self.camera.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }

    /// RTSP requests read so far, from any client.
    pub fn requests(&self) -> u64 {
        self.camera.requests.load(Ordering::Relaxed)
    }

    /// Every PLAY so far, in order.
    pub fn played(&self) -> Vec<Arc<Played>> {
        self.camera.played.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Closes ports and connections and returns when they are closed.
    pub async fn shutdown(mut self) {
        for task in std::mem::take(&mut self.tasks) {
            task.abort();
            // Cancelled, which is what was asked for.
            let _ = task.await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

async fn be_found(camera: Arc<Camera>, socket: UdpSocket) {
    let Some(onvif) = &camera.onvif else { return };
    onvif::discovery::answer(socket, onvif, || camera.fault()).await;
}

async fn move_now_and_then(camera: Arc<Camera>, every: Duration) {
    let Some(onvif) = &camera.onvif else { return };
    let rule = camera.options.onvif_options.event_rule.as_deref().unwrap_or("Yard");
    let topic = "tns1:RuleEngine/CellMotionDetector/Motion";
    let motion = |is_on| onvif.events.raise(topic, rule, Some(is_on));
    loop {
        tokio::time::sleep(every - every / 3).await;
        motion(true);
        tokio::time::sleep(every / 3).await;
        motion(false);
    }
}

fn url(scheme: &str, address: SocketAddr, rendition: Rendition) -> CameraUrl {
    CameraUrl::parse(&format!("{scheme}://{address}/{rendition}")).expect("an address makes a URL")
}

async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("the simulated camera cannot listen on {address}"))
}

/// As the media services tell them.
fn streams(options: &Options, addr: SocketAddr, main: &Feed, sub: Option<&Feed>) -> Vec<Stream> {
    let stream = |name, rendition, feed: &Feed| {
        let (shape, key_frame_every) = feed.shape();
        let codec = match feed.parameters().codec {
            media::Codec::H265 => "H265",
            _ => "H264",
        };
        Stream {
            name,
            url: url("rtsp", addr, rendition),
            codec,
            width: u32::try_from(shape.width).unwrap_or(0),
            height: u32::try_from(shape.height).unwrap_or(0),
            frames_per_second: shape.frames_per_second,
            key_frame_every,
            audio: options.audio,
        }
    };
    let main = [stream("main", Rendition::Main, main)];
    main.into_iter().chain(sub.map(|sub| stream("sub", Rendition::Sub, sub))).collect()
}

fn offer(
    listener: &TcpListener,
    options: &Options,
    streams: Vec<Stream>,
    head: &Arc<Head>,
) -> anyhow::Result<Onvif> {
    let scheme = if options.onvif_options.tls.is_some() { "https" } else { "http" };
    let origin = format!("{scheme}://{}", listener.local_addr()?);
    let (own, credentials) = (options.onvif_options.clone(), options.credentials.clone());
    Ok(Onvif::new(own, credentials, origin, (options.name.clone(), streams), head.clone()))
}

#[derive(Clone, Copy)]
enum Protocol {
    Rtsp,
    Onvif,
}

/// Clients end with it: the set aborts them when it is dropped.
async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, protocol: Protocol, camera: Arc<Camera>) {
    let mut clients = JoinSet::new();
    loop {
        let (tcp, peer) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                // Out of descriptors, or a client that is gone already.
                Err(error) => {
                    tracing::warn!("the simulated camera cannot accept: {error}");
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                    continue;
                }
            },
            Some(_) = clients.join_next() => continue,
        };
        if clients.len() >= CLIENTS_MAX {
            continue;
        }
        let (tls, camera) = (tls.clone(), Arc::clone(&camera));
        clients.spawn(async move {
            if let Err(error) = Box::pin(greet(tcp, tls, protocol, &camera)).await {
                tracing::debug!(%peer, "a client of the simulated camera left: {error}");
            }
        });
    }
}

async fn greet(
    tcp: TcpStream,
    tls: Option<TlsAcceptor>,
    protocol: Protocol,
    camera: &Camera,
) -> std::io::Result<()> {
    tcp.set_nodelay(true)?;
    let (local, peer) = (tcp.local_addr()?, tcp.peer_addr()?);
    match (protocol, &camera.onvif, tls) {
        (Protocol::Onvif, Some(onvif), None) => onvif::serve(tcp, onvif, || camera.fault()).await,
        (Protocol::Onvif, Some(onvif), Some(tls)) => {
            onvif::serve(tls.accept(tcp).await?, onvif, || camera.fault()).await;
        }
        (_, _, None) => session::serve(tcp, Some((local.ip(), peer.ip())), camera).await?,
        (_, _, Some(tls)) => session::serve(tls.accept(tcp).await?, None, camera).await?,
    }
    Ok(())
}

pub(crate) trait Connection: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Connection for T {}
