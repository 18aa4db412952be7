//! What gateways are asked over their links: about their disks, and to move
//! cameras. An answer
//! counts for what was asked, from the link that was asked, and once; whatever
//! else it says is left out. Who asks waits a bounded time, and what waits on
//! one link is bounded in number: an abandoned question counts until it is
//! answered or too late.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use model::timeline::TimelinePart;
use model::wire::{Envelope, LISTED_MAX, PtzRefusal, Recording, ToGateway};
use model::{ByteRange, CameraId, GatewayId, Hash, Rendition, Timestamp};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Instant, timeout_at};

use super::{Hub, LinkEnd, lock};

/// A list or a search that takes longer is left out.
const LIST_WAIT: Duration = Duration::from_secs(2);
/// A piece that takes longer ends its read. Live pictures go before it.
const PIECE_WAIT: Duration = Duration::from_secs(30);
/// A camera is found out about, or moved, within so long.
const PTZ_WAIT: Duration = Duration::from_secs(10);
/// Of one link at a time; others wait their turn.
const LISTS_WAITING_MAX: usize = 8;
const PIECES_WAITING_MAX: usize = 16;
const PTZ_WAITING_MAX: usize = 32;
/// Recordings of one link whose sizes are remembered.
const KNOWN_MAX: usize = 4_096;

/// What a gateway says that it answers: versions before answer less.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Answers {
    pub(crate) recordings: bool,
    pub(crate) timelines: bool,
    pub(crate) notices: bool,
    pub(crate) ptz: bool,
    pub(crate) locks: bool,
}

/// What one link was asked.
#[derive(Debug)]
pub(super) struct Asks {
    lists: Arc<Semaphore>,
    pieces: Arc<Semaphore>,
    ptz: Arc<Semaphore>,
    waiting: HashMap<u32, Waiting>,
    known: Known,
    answers: Answers,
}

#[derive(Debug)]
struct Waiting {
    wanted: Wanted,
    until: Instant,
    answer: oneshot::Sender<Result<Answer, NoAnswer>>,
    _turn: OwnedSemaphorePermit,
}

#[derive(Clone, Debug)]
enum Wanted {
    List { camera: CameraId, rendition: Rendition, from: Timestamp, to: Timestamp },
    Timeline { camera: CameraId, rendition: Rendition, from: Timestamp, to: Timestamp, parts: u32 },
    Find { camera: CameraId, recording: Hash },
    Piece { camera: CameraId, recording: Hash, range: ByteRange },
    PtzSession { camera: CameraId, challenge: Hash },
    PtzOrder { camera: CameraId, envelope: Envelope },
}

#[derive(Debug)]
enum Answer {
    Listed(Listed),
    Timeline(Vec<TimelinePart>),
    Piece(Bytes),
    PtzSession(Envelope),
    PtzDone(Option<PtzRefusal>),
}

/// Recordings that are on the gateway alone, as it says.
#[derive(Debug, Default)]
pub(crate) struct Listed {
    pub(crate) recordings: Vec<Recording>,
    /// There are more of the time that was asked for, later ones.
    pub(crate) more: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NoAnswer {
    /// The gateway is not linked, or is of a version that answers nothing.
    Offline,
    Busy,
    Silent,
    /// In the gateway's words.
    Failed(String),
    /// It answered something else.
    Wrong,
}

/// Sizes that lists and searches told, those of before giving way.
#[derive(Debug, Default)]
struct Known {
    sizes: HashMap<Hash, (CameraId, u64)>,
    order: VecDeque<Hash>,
}

impl Known {
    fn keep(&mut self, recording: &Recording) {
        if self.sizes.insert(recording.id, (recording.camera, recording.bytes)).is_none() {
            self.order.push_back(recording.id);
        }
        while self.order.len() > KNOWN_MAX {
            if let Some(oldest) = self.order.pop_front() {
                self.sizes.remove(&oldest);
            }
        }
    }

    fn size(&self, camera: CameraId, recording: Hash) -> Option<u64> {
        self.sizes.get(&recording).filter(|(of, _)| *of == camera).map(|(_, bytes)| *bytes)
    }
}

impl Wanted {
    fn message(&self, ask: u32) -> ToGateway {
        match self.clone() {
            Wanted::List { camera, rendition, from, to } => {
                ToGateway::List { ask, camera, rendition, from, to }
            }
            Wanted::Timeline { camera, rendition, from, to, parts } => {
                ToGateway::Timeline { ask, camera, rendition, from, to, parts }
            }
            Wanted::Find { camera, recording } => ToGateway::Find { ask, camera, recording },
            Wanted::Piece { camera, recording, range: ByteRange { first, last } } => {
                ToGateway::Read { ask, camera, recording, first, last }
            }
            Wanted::PtzSession { camera, challenge } => ToGateway::PtzOpen { ask, camera, challenge },
            Wanted::PtzOrder { camera, envelope } => ToGateway::PtzOrder { ask, camera, envelope },
        }
    }

    fn wait(&self) -> Duration {
        match self {
            Wanted::List { .. } | Wanted::Timeline { .. } | Wanted::Find { .. } => LIST_WAIT,
            Wanted::Piece { .. } => PIECE_WAIT,
            Wanted::PtzSession { .. } | Wanted::PtzOrder { .. } => PTZ_WAIT,
        }
    }

    fn has(&self, found: &Recording) -> bool {
        match *self {
            Wanted::List { camera, rendition, from, to } => {
                (found.camera, found.rendition) == (camera, rendition)
                    && found.started_at < to
                    && found.ended_at() > from
            }
            Wanted::Find { camera, recording } => (found.camera, found.id) == (camera, recording),
            _ => false,
        }
    }
}

impl Asks {
    pub(super) fn new(answers: Answers) -> Self {
        Asks {
            lists: Arc::new(Semaphore::new(LISTS_WAITING_MAX)),
            pieces: Arc::new(Semaphore::new(PIECES_WAITING_MAX)),
            ptz: Arc::new(Semaphore::new(PTZ_WAITING_MAX)),
            waiting: HashMap::new(),
            known: Known::default(),
            answers,
        }
    }

    /// What is answered too late gives its turn to others.
    fn expire(&mut self) {
        let now = Instant::now();
        self.waiting.retain(|_, waiting| waiting.until > now);
    }

    fn turns(&self, wanted: &Wanted) -> Arc<Semaphore> {
        match wanted {
            Wanted::List { .. } | Wanted::Timeline { .. } | Wanted::Find { .. } => self.lists.clone(),
            Wanted::Piece { .. } => self.pieces.clone(),
            Wanted::PtzSession { .. } | Wanted::PtzOrder { .. } => self.ptz.clone(),
        }
    }

    fn listed(
        &mut self,
        wanted: &Wanted,
        Listed { mut recordings, more }: Listed,
        is_own: impl Fn(&Recording) -> bool,
    ) -> Result<Answer, NoAnswer> {
        let count = recordings.len();
        let most = match wanted {
            Wanted::List { .. } => LISTED_MAX,
            Wanted::Find { .. } => 1,
            _ => return Err(NoAnswer::Wrong),
        };
        if count > most {
            return Err(NoAnswer::Wrong);
        }
        recordings.retain(|recording| wanted.has(recording) && is_own(recording));
        recordings.iter().for_each(|recording| self.known.keep(recording));
        // Only a full list was cut off.
        let more = more && count == LISTED_MAX;
        Ok(Answer::Listed(Listed { recordings, more }))
    }
}

impl Hub {
    /// Recordings of a stretch of time that are on the gateway alone.
    pub(crate) async fn list(
        &self,
        gateway: GatewayId,
        (camera, rendition): (CameraId, Rendition),
        (from, to): (Timestamp, Timestamp),
    ) -> Result<Listed, NoAnswer> {
        match self.ask(gateway, Wanted::List { camera, rendition, from, to }).await? {
            Answer::Listed(listed) => Ok(listed),
            _ => Err(NoAnswer::Wrong),
        }
    }

    /// How much of what is on the gateway alone was recorded when, as it says.
    pub(crate) async fn timeline(
        &self,
        gateway: GatewayId,
        (camera, rendition): (CameraId, Rendition),
        (from, to): (Timestamp, Timestamp),
        parts: u32,
    ) -> Result<Vec<TimelinePart>, NoAnswer> {
        if !self.answers(gateway).timelines {
            return Err(NoAnswer::Offline);
        }
        match self.ask(gateway, Wanted::Timeline { camera, rendition, from, to, parts }).await? {
            Answer::Timeline(parts) => Ok(parts),
            _ => Err(NoAnswer::Wrong),
        }
    }

    /// How long a recording is that this gateway has; none if it has not.
    pub(crate) async fn size(
        &self,
        gateway: GatewayId,
        camera: CameraId,
        recording: Hash,
    ) -> Result<Option<u64>, NoAnswer> {
        let known = {
            let inner = lock(&self.inner);
            let asks = inner.links.get(&gateway).and_then(|link| link.asks.as_ref());
            asks.ok_or(NoAnswer::Offline)?.known.size(camera, recording)
        };
        if known.is_some() {
            return Ok(known);
        }
        match self.ask(gateway, Wanted::Find { camera, recording }).await? {
            Answer::Listed(Listed { recordings, .. }) => Ok(recordings.first().map(|found| found.bytes)),
            _ => Err(NoAnswer::Wrong),
        }
    }

    /// Bytes of a recording, at most [`model::wire::PIECE_MAX`].
    pub(crate) async fn piece(
        &self,
        gateway: GatewayId,
        camera: CameraId,
        recording: Hash,
        range: ByteRange,
    ) -> Result<Bytes, NoAnswer> {
        match self.ask(gateway, Wanted::Piece { camera, recording, range }).await? {
            Answer::Piece(bytes) => Ok(bytes),
            _ => Err(NoAnswer::Wrong),
        }
    }

    /// A session in which a camera is moved, as its gateway signed it.
    pub(crate) async fn ptz_session(
        &self,
        gateway: GatewayId,
        camera: CameraId,
        challenge: Hash,
    ) -> Result<Envelope, NoAnswer> {
        if !self.answers(gateway).ptz {
            return Err(NoAnswer::Offline);
        }
        match self.ask(gateway, Wanted::PtzSession { camera, challenge }).await? {
            Answer::PtzSession(envelope) => Ok(envelope),
            _ => Err(NoAnswer::Wrong),
        }
    }

    /// What became of an order in it.
    pub(crate) async fn ptz_order(
        &self,
        gateway: GatewayId,
        camera: CameraId,
        envelope: Envelope,
    ) -> Result<Option<PtzRefusal>, NoAnswer> {
        if !self.answers(gateway).ptz {
            return Err(NoAnswer::Offline);
        }
        match self.ask(gateway, Wanted::PtzOrder { camera, envelope }).await? {
            Answer::PtzDone(refused) => Ok(refused),
            _ => Err(NoAnswer::Wrong),
        }
    }

    fn answers(&self, gateway: GatewayId) -> Answers {
        let inner = lock(&self.inner);
        let asks = inner.links.get(&gateway).and_then(|link| link.asks.as_ref());
        asks.map(|asks| asks.answers).unwrap_or_default()
    }

    async fn ask(&self, gateway: GatewayId, wanted: Wanted) -> Result<Answer, NoAnswer> {
        let until = Instant::now() + wanted.wait();
        let turns = {
            let mut inner = lock(&self.inner);
            let asks = inner.links.get_mut(&gateway).and_then(|link| link.asks.as_mut());
            let asks = asks.ok_or(NoAnswer::Offline)?;
            asks.expire();
            asks.turns(&wanted)
        };
        let turn = timeout_at(until, turns.acquire_owned()).await.map_err(|_| NoAnswer::Busy)?;
        let turn = turn.map_err(|_| NoAnswer::Offline)?;
        let ask = self.next_ask.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let (answer, receiver) = oneshot::channel();
        {
            let mut inner = lock(&self.inner);
            let asks = inner.links.get_mut(&gateway).and_then(|link| link.asks.as_mut());
            let message = wanted.message(ask);
            let waiting = Waiting { wanted, until, answer, _turn: turn };
            asks.ok_or(NoAnswer::Offline)?.waiting.insert(ask, waiting);
            inner.send(gateway, message);
        }
        match timeout_at(until, receiver).await {
            Ok(Ok(answer)) => answer,
            // The link is gone, and with it whatever waited.
            Ok(Err(_)) => Err(NoAnswer::Offline),
            Err(_) => Err(NoAnswer::Silent),
        }
    }
}

impl LinkEnd {
    /// `is_own`: the roster binds it to this gateway, and its name fits.
    pub(crate) fn recordings(&self, ask: u32, listed: Listed, is_own: impl Fn(&Recording) -> bool) {
        self.answer(ask, |asks, wanted| asks.listed(wanted, listed, is_own));
    }

    /// No more parts than were asked for.
    pub(crate) fn timeline(&self, ask: u32, drawn: Vec<TimelinePart>) {
        self.answer(ask, |_, wanted| match wanted {
            Wanted::Timeline { parts, .. } if drawn.len() <= *parts as usize => Ok(Answer::Timeline(drawn)),
            _ => Err(NoAnswer::Wrong),
        });
    }

    pub(crate) fn ptz_session(&self, ask: u32, envelope: Envelope) {
        self.answer(ask, |_, wanted| match wanted {
            Wanted::PtzSession { .. } => Ok(Answer::PtzSession(envelope)),
            _ => Err(NoAnswer::Wrong),
        });
    }

    pub(crate) fn ptz_done(&self, ask: u32, refused: Option<PtzRefusal>) {
        self.answer(ask, |_, wanted| match wanted {
            Wanted::PtzOrder { .. } => Ok(Answer::PtzDone(refused)),
            _ => Err(NoAnswer::Wrong),
        });
    }

    pub(crate) fn ask_failed(&self, ask: u32, reason: String) {
        self.answer(ask, |_, _| Err(NoAnswer::Failed(reason)));
    }

    /// Bytes that were asked for, and as many.
    pub(super) fn piece(&self, ask: u32, bytes: Bytes) {
        self.answer(ask, |_, wanted| match wanted {
            Wanted::Piece { range, .. } if range.length() == bytes.len() as u64 => Ok(Answer::Piece(bytes)),
            _ => Err(NoAnswer::Wrong),
        });
    }

    /// A number counts on the link that it was sent on, and once. Answers that
    /// nobody waits for any more are on their way at times.
    fn answer(&self, ask: u32, judge: impl FnOnce(&mut Asks, &Wanted) -> Result<Answer, NoAnswer>) {
        let mut inner = lock(&self.hub.inner);
        let link = inner.links.get_mut(&self.gateway).filter(|link| link.serial == self.serial);
        let Some(asks) = link.and_then(|link| link.asks.as_mut()) else { return };
        let Some(waiting) = asks.waiting.remove(&ask) else { return };
        let answer = judge(asks, &waiting.wanted);
        if let Err(NoAnswer::Wrong) = answer {
            tracing::warn!(gateway = %self.gateway, "link: an answer does not fit what was asked");
        }
        let _ = waiting.answer.send(answer);
    }
}

#[cfg(test)]
mod tests;
