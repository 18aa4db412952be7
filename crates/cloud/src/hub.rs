//! The relay's switchboard: which gateways are linked, which streams are
//! watched, and the answers that commands wait for. A stream is asked of its
//! gateway only while somebody watches, and for ten seconds longer. What a
//! viewer gets is `cloud_core::relay`'s decision; sockets are the handlers'.
//! What a gateway is asked about its disk waits in `asks`.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use cloud_core::relay::{self, Cursor, Item, Limits};
use model::wire::{Envelope, FRAME_CHUNK, FRAME_HEADER, FrameKind, SiteSettings, StreamStatus, ToGateway};
use model::{CameraId, GatewayId, Hash, OrgId, Rendition};
use seal::recording::{ChunkHead, SignedHeader, TrackKind};
use seal::roster::Roster;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;

mod asks;

use asks::Asks;
pub(crate) use asks::{Answers, Listed, NoAnswer};

/// A stream goes on for so long after its last viewer: people come back.
pub(crate) const LINGER: Duration = Duration::from_secs(10);
/// Messages that wait for one gateway; more means that it does not read.
const OUTBOX_MAX: usize = 256;
/// Commands that wait for one gateway's answer.
const COMMANDS_MAX: usize = 32;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct StreamKey {
    pub(crate) org: OrgId,
    pub(crate) gateway: GatewayId,
    pub(crate) camera: CameraId,
    pub(crate) rendition: Rendition,
}

#[derive(Debug)]
pub(crate) struct Hub {
    inner: Mutex<Inner>,
    next_stream: AtomicU32,
    next_ask: AtomicU32,
    next_serial: AtomicU64,
    /// Changes when a roster did or a session ended: whatever stays open asks again.
    rights_changes: watch::Sender<u64>,
    metrics: Arc<Metrics>,
    linger: Duration,
}

#[derive(Debug, Default)]
struct Inner {
    links: HashMap<GatewayId, Link>,
    streams: HashMap<u32, Arc<Live>>,
}

#[derive(Debug)]
struct Link {
    serial: u64,
    org: OrgId,
    outbox: mpsc::Sender<ToGateway>,
    cut: CancellationToken,
    status: Option<LinkStatus>,
    settings: Option<SiteSettings>,
    commands: HashMap<u64, oneshot::Sender<Envelope>>,
    /// None for a gateway that answers no questions.
    asks: Option<Asks>,
    /// It tells people's devices what happens.
    tells_notices: bool,
    /// It locks recordings against retention.
    takes_locks: bool,
}

/// What a gateway last said of itself.
#[derive(Clone, Debug)]
pub(crate) struct LinkStatus {
    pub(crate) state: Hash,
    pub(crate) version: String,
    pub(crate) cameras: Vec<StreamStatus>,
}

/// One stream that is watched.
#[derive(Debug)]
struct Live {
    key: StreamKey,
    number: u32,
    state: Mutex<LiveState>,
    changed: watch::Sender<()>,
}

#[derive(Debug)]
struct LiveState {
    relay: relay::Stream,
    linked: bool,
    ended: Option<String>,
    viewers: usize,
    /// Counts departures, so that an old timer does not end a new watch.
    departures: u64,
    /// Bit per track id that carries video.
    video_tracks: u8,
}

/// The gateway's end of a link.
#[derive(Debug)]
pub(crate) struct LinkEnd {
    hub: Arc<Hub>,
    pub(crate) gateway: GatewayId,
    serial: u64,
    pub(crate) outbox: mpsc::Receiver<ToGateway>,
    /// Cancelled when another link of the same gateway takes over.
    pub(crate) cut: CancellationToken,
}

/// A viewer's end of a stream.
#[derive(Debug)]
pub(crate) struct Viewer {
    /// Whether sound is for it, too; it may change while it watches.
    pub(crate) hears: Arc<AtomicBool>,
    hub: Arc<Hub>,
    live: Arc<Live>,
    changed: watch::Receiver<()>,
    cursor: Cursor,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Item(Item),
    /// The gateway is not linked.
    Unlinked,
    Ended(String),
    /// Nothing until [`Viewer::changed`].
    Nothing,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Hub {
    pub(crate) fn new(metrics: Arc<Metrics>, linger: Duration) -> Arc<Self> {
        Arc::new(Hub {
            inner: Mutex::default(),
            next_stream: AtomicU32::new(1),
            next_ask: AtomicU32::new(1),
            next_serial: AtomicU64::new(1),
            rights_changes: watch::Sender::new(0),
            metrics,
            linger,
        })
    }

    /// A gateway has linked up; an older link of it is cut. `answers`: it is of a
    /// version that can be asked about its disk.
    pub(crate) fn link(self: &Arc<Self>, org: OrgId, gateway: GatewayId, answers: Answers) -> LinkEnd {
        let serial = self.next_serial.fetch_add(1, Ordering::Relaxed);
        let (sender, outbox) = mpsc::channel(OUTBOX_MAX);
        let cut = CancellationToken::new();
        let link = Link {
            serial,
            org,
            outbox: sender,
            cut: cut.clone(),
            status: None,
            settings: None,
            commands: HashMap::new(),
            asks: answers.recordings.then(|| Asks::new(answers)),
            tells_notices: answers.notices,
            takes_locks: answers.locks,
        };
        let mut inner = lock(&self.inner);
        if let Some(older) = inner.links.insert(gateway, link) {
            older.cut.cancel();
        }
        self.metrics.links.add(1);
        for live in inner.streams.values().filter(|live| live.key.gateway == gateway) {
            lock(&live.state).linked = true;
            live.changed.send_replace(());
            inner.send(gateway, live.watch());
        }
        LinkEnd { hub: self.clone(), gateway, serial, outbox, cut }
    }

    pub(crate) fn status(&self, gateway: GatewayId) -> Option<LinkStatus> {
        lock(&self.inner).links.get(&gateway)?.status.clone()
    }

    /// How its site is set, by its own account.
    pub(crate) fn settings(&self, gateway: GatewayId) -> Option<SiteSettings> {
        lock(&self.inner).links.get(&gateway)?.settings.clone()
    }

    /// False if the gateway is not linked.
    pub(crate) fn event(&self, gateway: GatewayId, camera: CameraId, seconds: u32) -> bool {
        let inner = lock(&self.inner);
        let is_linked = inner.links.contains_key(&gateway);
        inner.send(gateway, ToGateway::Event { camera, seconds });
        is_linked
    }

    pub(crate) fn is_linked(&self, gateway: GatewayId) -> bool {
        lock(&self.inner).links.contains_key(&gateway)
    }

    /// Sends a signed command; none if the gateway is not linked or is busy.
    pub(crate) fn command(
        &self,
        gateway: GatewayId,
        envelope: Envelope,
    ) -> Option<oneshot::Receiver<Envelope>> {
        let id = self.next_serial.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = oneshot::channel();
        let mut inner = lock(&self.inner);
        let link = inner.links.get_mut(&gateway)?;
        link.commands.retain(|_, waiting| !waiting.is_closed());
        if link.commands.len() >= COMMANDS_MAX {
            return None;
        }
        link.commands.insert(id, sender);
        inner.send(gateway, ToGateway::Command { id, envelope });
        Some(receiver)
    }

    pub(crate) fn roster_changed(&self, org: OrgId) {
        let inner = lock(&self.inner);
        for (gateway, _) in inner.links.iter().filter(|(_, link)| link.org == org) {
            inner.send(*gateway, ToGateway::RosterChanged);
        }
        drop(inner);
        self.rights_changed();
    }

    /// To those of these that know what it is about.
    pub(crate) fn notices_changed(&self, gateways: &BTreeSet<GatewayId>) {
        let inner = lock(&self.inner);
        for gateway in gateways {
            if inner.links.get(gateway).is_some_and(|link| link.tells_notices) {
                inner.send(*gateway, ToGateway::NoticesChanged);
            }
        }
    }

    pub(crate) fn locks_changed(&self, gateway: GatewayId) {
        let inner = lock(&self.inner);
        if inner.links.get(&gateway).is_some_and(|link| link.takes_locks) {
            inner.send(gateway, ToGateway::LocksChanged);
        }
    }

    pub(crate) fn rights_changed(&self) {
        self.rights_changes.send_modify(|changes| *changes += 1);
    }

    pub(crate) fn rights_changes(&self) -> watch::Receiver<u64> {
        self.rights_changes.subscribe()
    }

    /// Joins a stream, and asks the gateway for it if nobody else watches.
    pub(crate) fn view(self: &Arc<Self>, key: StreamKey) -> Viewer {
        let mut inner = lock(&self.inner);
        let watched = inner.streams.values().find(|live| live.key == key && !live.has_ended()).cloned();
        let live = watched.unwrap_or_else(|| {
            let number = self.next_stream.fetch_add(1, Ordering::Relaxed);
            let linked = inner.links.contains_key(&key.gateway);
            let live = Arc::new(Live::new(key, number, linked));
            inner.streams.insert(number, live.clone());
            inner.send(key.gateway, live.watch());
            live
        });
        lock(&live.state).viewers += 1;
        drop(inner);
        self.metrics.viewers.add(1);
        let hears = Arc::new(AtomicBool::new(false));
        Viewer {
            hears,
            hub: self.clone(),
            changed: live.changed.subscribe(),
            live,
            cursor: Cursor::default(),
        }
    }

    /// The last viewer left some time ago and none came since.
    fn end_if_unwatched(&self, live: &Live, departures: u64) {
        let mut inner = lock(&self.inner);
        let state = lock(&live.state);
        if state.viewers > 0 || state.departures != departures {
            return;
        }
        drop(state);
        if inner.streams.remove(&live.number).is_some() {
            inner.send(live.key.gateway, ToGateway::Unwatch { stream: live.number });
        }
    }
}

impl Inner {
    /// A gateway that does not read its messages is cut off; it will be back.
    fn send(&self, gateway: GatewayId, message: ToGateway) {
        if let Some(link) = self.links.get(&gateway)
            && link.outbox.try_send(message).is_err()
        {
            link.cut.cancel();
        }
    }
}

impl Live {
    fn new(key: StreamKey, number: u32, linked: bool) -> Self {
        let relay = relay::Stream::new(Limits::default());
        let state = LiveState { relay, linked, ended: None, viewers: 0, departures: 0, video_tracks: 0 };
        Live { key, number, state: Mutex::new(state), changed: watch::Sender::new(()) }
    }

    fn watch(&self) -> ToGateway {
        ToGateway::Watch { stream: self.number, camera: self.key.camera, rendition: self.key.rendition }
    }

    fn has_ended(&self) -> bool {
        lock(&self.state).ended.is_some()
    }
}

impl LiveState {
    fn is_video(&self, track: u8) -> bool {
        track < 8 && self.video_tracks & 1 << track != 0
    }

    /// A chunk as viewers get it: `u8 kind | u32 number | head | …`.
    fn is_sound(&self, item: &Item) -> bool {
        let Item::Chunk { bytes, .. } = item else { return false };
        let head = bytes.get(5..17).and_then(|head| ChunkHead::parse(head.try_into().ok()?));
        head.is_none_or(|head| !self.is_video(head.track))
    }
}

impl LinkEnd {
    pub(crate) fn set_status(&self, status: LinkStatus) {
        self.with(|link| link.status = Some(status));
    }

    pub(crate) fn set_settings(&self, settings: SiteSettings) {
        self.with(|link| link.settings = Some(settings));
    }

    /// Unless a newer link has taken over.
    fn with(&self, change: impl FnOnce(&mut Link)) {
        let mut inner = lock(&self.hub.inner);
        if let Some(link) = inner.links.get_mut(&self.gateway).filter(|link| link.serial == self.serial) {
            change(link);
        }
    }

    pub(crate) fn command_result(&self, id: u64, envelope: Envelope) {
        let waiting =
            lock(&self.hub.inner).links.get_mut(&self.gateway).and_then(|link| link.commands.remove(&id));
        if let Some(waiting) = waiting {
            let _ = waiting.send(envelope);
        }
    }

    pub(crate) fn watch_failed(&self, stream: u32, reason: String) {
        if let Some(live) = self.own_stream(stream) {
            lock(&self.hub.inner).streams.remove(&stream);
            lock(&live.state).ended = Some(reason);
            live.changed.send_replace(());
        }
    }

    /// A binary frame: `u8 kind | u32 stream | …`. Frames of streams that
    /// nobody watches any more are on their way at times; they are dropped.
    pub(crate) fn frame(&self, frame: Bytes, roster: &Roster) -> Result<(), &'static str> {
        let (Some(kind), Some(number)) = (frame.first().copied(), be_u32(&frame, 1)) else {
            return Err("a frame without head");
        };
        let kind = FrameKind::of(kind).ok_or("a frame of unknown kind")?;
        if kind == FrameKind::Piece {
            self.piece(number, frame.slice(5..));
            return Ok(());
        }
        let Some(live) = self.own_stream(number) else { return Ok(()) };
        let mut state = lock(&live.state);
        match kind {
            FrameKind::Header => {
                let header = SignedHeader::parse(&frame[5..]).map_err(|_| "a header that does not parse")?;
                header.verify(roster).map_err(|_| "a header that the roster refuses")?;
                let key = live.key;
                let clear = &header.header;
                if (clear.camera, clear.rendition, clear.gateway) != (key.camera, key.rendition, key.gateway)
                {
                    return Err("a header of another stream");
                }
                let video =
                    clear.tracks.iter().filter(|track| track.kind != TrackKind::Audio && track.id < 8);
                state.video_tracks = video.fold(0, |bits, track| bits | 1 << track.id);
                state.relay.push_header(for_viewers(frame, FRAME_HEADER));
            }
            FrameKind::Chunk => {
                let (Some(chunk), Some(head)) = (be_u32(&frame, 5), frame.get(9..21)) else {
                    return Err("a chunk without head");
                };
                let head =
                    head.try_into().ok().and_then(ChunkHead::parse).ok_or("a chunk with a wrong head")?;
                let video = state.is_video(head.track);
                state.relay.push_chunk(chunk, for_viewers(frame, FRAME_CHUNK), video && head.is_key_frame());
                self.hub.metrics.relay_chunks_in.add(1);
            }
            FrameKind::Piece => {}
        }
        drop(state);
        live.changed.send_replace(());
        Ok(())
    }

    /// A stream number counts only from the gateway that it was given to.
    fn own_stream(&self, number: u32) -> Option<Arc<Live>> {
        let inner = lock(&self.hub.inner);
        inner.streams.get(&number).filter(|live| live.key.gateway == self.gateway).cloned()
    }
}

impl Drop for LinkEnd {
    fn drop(&mut self) {
        self.hub.metrics.links.add(-1);
        let mut inner = lock(&self.hub.inner);
        if inner.links.get(&self.gateway).is_none_or(|link| link.serial != self.serial) {
            return; // A newer link has taken over.
        }
        inner.links.remove(&self.gateway);
        for live in inner.streams.values().filter(|live| live.key.gateway == self.gateway) {
            lock(&live.state).linked = false;
            live.changed.send_replace(());
        }
    }
}

impl Viewer {
    pub(crate) fn next(&mut self) -> Next {
        let state = lock(&self.live.state);
        let hears = self.hears.load(Ordering::Relaxed);
        let mut items = std::iter::from_fn(|| state.relay.poll(&mut self.cursor));
        match items.find(|item| hears || !state.is_sound(item)) {
            Some(item) => {
                match &item {
                    Item::Skipped { chunks } => self.hub.metrics.relay_chunks_skipped.add(*chunks),
                    Item::Chunk { .. } => self.hub.metrics.relay_chunks_out.add(1),
                    Item::Header(_) => {}
                }
                Next::Item(item)
            }
            None if state.ended.is_some() => Next::Ended(state.ended.clone().unwrap_or_default()),
            None if !state.linked => Next::Unlinked,
            None => Next::Nothing,
        }
    }

    pub(crate) async fn changed(&mut self) {
        // The sender lives as long as `live` does.
        let _ = self.changed.changed().await;
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        self.hub.metrics.viewers.add(-1);
        let mut state = lock(&self.live.state);
        state.viewers -= 1;
        state.departures += 1;
        if state.viewers > 0 {
            return;
        }
        let departures = state.departures;
        drop(state);
        let (hub, live) = (self.hub.clone(), self.live.clone());
        // Outside a runtime the process is on its way out.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                tokio::time::sleep(hub.linger).await;
                hub.end_if_unwatched(&live, departures);
            });
        }
    }
}

fn be_u32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes)
}

/// `kind | stream | rest` becomes `kind | rest`, in place: the last byte of
/// the stream number is where the kind goes.
fn for_viewers(frame: Bytes, kind: u8) -> Bytes {
    let mut frame = frame.try_into_mut().unwrap_or_else(|shared| bytes::BytesMut::from(&shared[..]));
    frame[4] = kind;
    frame.freeze().slice(4..)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> StreamKey {
        StreamKey {
            org: OrgId::from_random([1; 16]),
            gateway: GatewayId::from_random([2; 16]),
            camera: CameraId::from_random([3; 16]),
            rendition: Rendition::Main,
        }
    }

    fn hub() -> Arc<Hub> {
        Hub::new(Arc::default(), Duration::from_millis(20))
    }

    #[tokio::test]
    async fn a_stream_is_watched_while_somebody_watches_and_a_little_longer() {
        let hub = hub();
        let mut link = hub.link(key().org, key().gateway, Answers::default());
        let viewer = hub.view(key());
        let second = hub.view(key());
        assert!(matches!(link.outbox.recv().await, Some(ToGateway::Watch { stream: 1, .. })));
        drop(viewer);
        drop(second);
        let third = hub.view(key());
        tokio::time::sleep(Duration::from_millis(60)).await;
        assert!(link.outbox.try_recv().is_err(), "somebody came back in time");
        drop(third);
        assert!(matches!(link.outbox.recv().await, Some(ToGateway::Unwatch { stream: 1 })));
    }

    #[tokio::test]
    async fn a_gateway_that_comes_back_is_asked_again() {
        let hub = hub();
        let mut viewer = hub.view(key());
        assert_eq!(viewer.next(), Next::Unlinked);
        let mut link = hub.link(key().org, key().gateway, Answers::default());
        assert!(matches!(link.outbox.try_recv(), Ok(ToGateway::Watch { .. })));
        assert_eq!(viewer.next(), Next::Nothing);
        drop(link);
        assert_eq!(viewer.next(), Next::Unlinked);
    }

    #[tokio::test]
    async fn a_newer_link_cuts_the_older_and_survives_it() {
        let hub = hub();
        let older = hub.link(key().org, key().gateway, Answers::default());
        let newer = hub.link(key().org, key().gateway, Answers::default());
        assert!(older.cut.is_cancelled());
        drop(older);
        assert!(hub.is_linked(key().gateway));
        drop(newer);
        assert!(!hub.is_linked(key().gateway));
    }

    #[tokio::test]
    async fn frames_of_another_gateways_stream_are_dropped() {
        let hub = hub();
        let _link = hub.link(key().org, key().gateway, Answers::default());
        let viewer = hub.view(key());
        let foreign = hub.link(key().org, GatewayId::from_random([9; 16]), Answers::default());
        assert!(foreign.own_stream(viewer.live.number).is_none());
        foreign.watch_failed(viewer.live.number, "not yours".to_owned());
        assert!(!viewer.live.has_ended());
    }

    #[test]
    fn frames_lose_their_stream_number() {
        let frame = Bytes::from_static(&[2, 0, 0, 0, 7, 0, 0, 0, 9, 0xAA]);
        assert_eq!(&for_viewers(frame, 2)[..], [2, 0, 0, 0, 9, 0xAA]);
    }
}
