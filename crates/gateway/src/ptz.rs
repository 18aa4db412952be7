//! Cameras that somebody moves. Each has a task of its own while it is moved, so
//! that a camera which does not answer holds up nothing else. Who may, and which
//! order counts, is decided here, whatever the cloud decided before.

use std::collections::BTreeMap;
use std::time::Duration;

use gateway_core::ptz::{Refused, Sessions};
use model::wire::{Envelope, FromGateway, PtzRefusal};
use model::{CameraAccess, CameraId, DeviceId, Hash, OnvifUrl, OrgId, Timestamp};
use seal::ptz::{Movement, Preset, PtzOrder, PtzSession};
use seal::roster::Roster;
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};
use tokio::time::error::Elapsed;
use tokio::time::{Instant, interval_at, sleep_until, timeout};
use tracing::{info, warn};

use crate::data::Identity;
use crate::onvif::{Limits, OnvifError, PtzAbilities, PtzAccess, PtzCamera};
use crate::{events, random};

/// Of one camera, that wait; more are refused. A cloud asks as much of a whole gateway.
const WAITING_MAX: usize = 32;
/// How often a task looks whether anybody still has it.
const LOOK: Duration = Duration::from_secs(30);
/// To find out what a camera can do, with its presets.
const OPEN_MAX: Duration = Duration::from_secs(8);
/// To find out where it is told to move. With its answer less than the cloud waits.
const FIND_MAX: Duration = Duration::from_secs(5);
/// Before a user name and password that the camera refused are tried again:
/// cameras lock a user out after some failures.
const REFUSED: Duration = Duration::from_secs(300);

/// What a camera is moved by.
pub(crate) struct Steering {
    pub(crate) org: OrgId,
    pub(crate) identity: Identity,
    pub(crate) camera: CameraId,
    /// None for a camera that this gateway does not have.
    pub(crate) access: Option<CameraAccess>,
}

/// The cameras that are moved, or were not long ago.
#[derive(Debug, Default)]
pub(crate) struct Ptz {
    cameras: BTreeMap<CameraId, Steered>,
}

#[derive(Debug)]
struct Steered {
    /// With another one it is another camera.
    access: CameraAccess,
    asked: mpsc::Sender<Asked>,
}

struct Asked {
    ask: u32,
    what: What,
    text: mpsc::Sender<FromGateway>,
}

enum What {
    Open { challenge: Hash },
    Order { order: PtzOrder, device: DeviceId },
}

/// Somebody who would like to know what the camera can do.
struct Waiting {
    ask: u32,
    challenge: Hash,
    text: mpsc::Sender<FromGateway>,
}

/// `None` for one that cannot be moved.
type Asks = Result<(Option<PtzCamera>, Vec<Preset>), OnvifError>;

impl Ptz {
    /// Begins to answer, and returns at once.
    pub(crate) fn open(
        &mut self,
        about: Steering,
        ask: u32,
        challenge: Hash,
        text: mpsc::Sender<FromGateway>,
    ) {
        self.ask(about, Asked { ask, what: What::Open { challenge }, text });
    }

    /// The same for an order, if a device signed it that may give it.
    pub(crate) fn order(
        &mut self,
        about: Steering,
        ask: u32,
        (envelope, roster, now): (&Envelope, &Roster, Timestamp),
        text: mpsc::Sender<FromGateway>,
    ) {
        match allowed(&about, envelope, roster, now) {
            Some((order, device)) => {
                self.ask(about, Asked { ask, what: What::Order { order, device }, text })
            }
            None => {
                warn!(camera = %about.camera, "an order to move a camera was refused");
                tell(&text, FromGateway::PtzDone { ask, refused: Some(PtzRefusal::NotAllowed) });
            }
        }
    }

    fn ask(&mut self, about: Steering, asked: Asked) {
        self.cameras.retain(|_, steered| !steered.asked.is_closed());
        let camera = about.camera;
        let failed = |reason: &str| FromGateway::AskFailed { ask: asked.ask, reason: reason.to_owned() };
        let Some(access) = about.access.clone() else {
            self.cameras.remove(&camera);
            return tell(&asked.text, failed("this gateway does not have the camera"));
        };
        if self.cameras.get(&camera).is_some_and(|steered| steered.access != access) {
            self.cameras.remove(&camera);
        }
        let steered = self.cameras.entry(camera).or_insert_with(|| {
            let (sender, receiver) = mpsc::channel(WAITING_MAX);
            let way = access.onvif_url.as_ref().map(|url| way(url, &access));
            tokio::spawn(Task::new(about, way).run(receiver));
            Steered { access, asked: sender }
        });
        if let Err(error) = steered.asked.try_send(asked) {
            let (mpsc::error::TrySendError::Full(asked) | mpsc::error::TrySendError::Closed(asked)) = error;
            let reason = "too much is ordered of this camera at once".to_owned();
            tell(&asked.text, FromGateway::AskFailed { ask: asked.ask, reason });
        }
    }
}

/// A camera that is heard by its event stream is moved as its make is.
fn way(url: &OnvifUrl, access: &CameraAccess) -> PtzAccess {
    let asked = events::access(url, access);
    if url.is_event_stream() { PtzAccess::Axis(asked) } else { PtzAccess::Onvif(asked) }
}

/// Never waited for: whoever asks without reading gets no answer.
fn tell(text: &mpsc::Sender<FromGateway>, answer: FromGateway) {
    let _ = text.try_send(answer);
}

/// The order and its device, if its person may open the camera by our own
/// roster. What all find afterwards, administrators alone change.
fn allowed(
    about: &Steering,
    envelope: &Envelope,
    roster: &Roster,
    now: Timestamp,
) -> Option<(PtzOrder, DeviceId)> {
    let (order, device) = PtzOrder::verify(envelope, roster, now).ok()?;
    let is_ours = (order.gateway, order.camera) == (about.identity.id, about.camera);
    let may_open = roster.right_of_device(device, about.camera, now).is_some();
    let may = may_open && (!order.movement.changes_presets() || roster.is_administrator(device, now));
    (is_ours && may).then_some((order, device))
}

struct Task {
    org: OrgId,
    identity: Identity,
    camera: CameraId,
    access: Option<PtzAccess>,
    /// Once it was found, and while it answers.
    ptz: Option<PtzCamera>,
    sessions: Sessions,
    waiting: Vec<Waiting>,
    /// One at most, for all who waited when it began: whoever only looks holds up
    /// nobody's order, and no stop.
    opening: JoinSet<Result<Asks, Elapsed>>,
    opening_for: Vec<Waiting>,
    /// Since when the camera refuses user name and password.
    refused: Option<(OnvifError, Instant)>,
    began: Instant,
}

impl Task {
    fn new(about: Steering, access: Option<PtzAccess>) -> Self {
        let Steering { org, identity, camera, .. } = about;
        let (ptz, sessions, waiting, opening_for, refused) = Default::default();
        let (opening, began) = (JoinSet::new(), Instant::now());
        Task { org, identity, camera, access, ptz, sessions, waiting, opening, opening_for, refused, began }
    }

    /// Returns when nobody asks any more, and nothing moves.
    async fn run(mut self, mut asked: mpsc::Receiver<Asked>) {
        let mut look = interval_at(Instant::now() + LOOK, LOOK);
        let mut is_over = false;
        while !is_over || !self.waiting.is_empty() || !self.opening.is_empty() {
            self.begin_to_open();
            let stop_at = self.sessions.moving_until().map(|ms| self.began + Duration::from_millis(ms));
            tokio::select! {
                // First what nobody else ends: a queue may never be empty.
                biased;
                () = sleep_until(stop_at.unwrap_or(self.began)), if stop_at.is_some() => self.stop().await,
                Some(asks) = self.opening.join_next() => self.opened(asks),
                next = asked.recv(), if !is_over => match next {
                    Some(asked) => self.take(asked).await,
                    None => is_over = true,
                },
                // What came meanwhile is still answered.
                _ = look.tick() => if self.is_idle() {
                    asked.close();
                },
            }
        }
        while let Some(ms) = self.sessions.moving_until() {
            // Nobody can order it again: at once, and if that fails, when it is time.
            self.stop().await;
            if self.sessions.moving_until().is_some() {
                sleep_until(self.began + Duration::from_millis(ms)).await;
            }
        }
    }

    fn now(&self) -> u64 {
        self.began.elapsed().as_millis() as u64
    }

    fn is_idle(&mut self) -> bool {
        let now = self.now();
        let waits = !self.waiting.is_empty() || !self.opening.is_empty();
        !waits && self.refusal().is_none() && self.sessions.is_idle(now)
    }

    async fn take(&mut self, Asked { ask, what, text }: Asked) {
        match what {
            What::Open { challenge } if self.waiting.len() < WAITING_MAX => {
                self.waiting.push(Waiting { ask, challenge, text });
            }
            What::Open { .. } => {
                let reason = "too many ask what this camera can do".to_owned();
                tell(&text, FromGateway::AskFailed { ask, reason });
            }
            What::Order { order, device } => {
                let refused = self.carry_out(&order, device).await.err();
                tell(&text, FromGateway::PtzDone { ask, refused });
            }
        }
    }

    fn begin_to_open(&mut self) {
        if self.waiting.is_empty() || !self.opening.is_empty() {
            return;
        }
        if let Some(error) = self.refusal() {
            let reason = error.to_string();
            for Waiting { ask, text, .. } in self.waiting.drain(..) {
                tell(&text, FromGateway::AskFailed { ask, reason: reason.clone() });
            }
            return;
        }
        self.opening_for = std::mem::take(&mut self.waiting);
        let known = self.ptz.as_ref().map(PtzCamera::beside);
        self.opening.spawn(timeout(OPEN_MAX, ask(known, self.access.clone())));
    }

    fn opened(&mut self, asks: Result<Result<Asks, Elapsed>, JoinError>) {
        let for_whom = std::mem::take(&mut self.opening_for);
        let reason = match asks {
            Ok(Ok(Ok((ptz, presets)))) => {
                let abilities = ptz.as_ref().map(PtzCamera::abilities).unwrap_or_default();
                self.ptz = ptz;
                for waiting in for_whom {
                    self.tell_session(waiting, abilities, presets.clone());
                }
                return;
            }
            Ok(Ok(Err(error))) => {
                self.ptz = None;
                let reason = error.without_addresses();
                self.remember(error);
                reason
            }
            Ok(Err(Elapsed { .. })) => "the camera takes too long to answer".to_owned(),
            Err(_) => "the camera could not be asked".to_owned(),
        };
        for Waiting { ask, text, .. } in for_whom {
            tell(&text, FromGateway::AskFailed { ask, reason: reason.clone() });
        }
    }

    fn tell_session(&mut self, waiting: Waiting, abilities: PtzAbilities, presets: Vec<Preset>) {
        let Waiting { ask, challenge, text } = waiting;
        let session = Hash(random::bytes());
        // The device's own time begins when it hears of this: later than ours.
        self.sessions.open(session, self.now());
        let opened = PtzSession {
            org: self.org,
            gateway: self.identity.id,
            camera: self.camera,
            challenge,
            session,
            pan_tilt: abilities.pan_tilt,
            zoom: abilities.zoom,
            home: abilities.home,
            presets,
        };
        tell(&text, FromGateway::PtzSession { ask, envelope: opened.sign(&self.identity.sign) });
    }

    async fn carry_out(&mut self, order: &PtzOrder, device: DeviceId) -> Result<(), PtzRefusal> {
        self.sessions.take(order, device, self.now()).map_err(|refused| match refused {
            Refused::NoSession => PtzRefusal::NoSession,
            Refused::Late => PtzRefusal::Late,
            Refused::Taken => PtzRefusal::Taken,
        })?;
        if order.movement.changes_presets() {
            info!(camera = %self.camera, %device, "what the camera remembers is changed");
        }
        let moved = match self.find().await {
            // Nobody watches any more what it was to do.
            Ok(()) if self.sessions.is_late(order, self.now()) => return Err(PtzRefusal::Late),
            Ok(()) => self.send(&order.movement).await,
            Err(error) => Err(error),
        };
        let now = self.now();
        match &moved {
            Ok(()) => self.sessions.done(&order.movement, now),
            // It may move all the same; it is told to stop when its time is over.
            Err(_) if order.movement == Movement::Stop => self.sessions.stop_failed(now),
            Err(_) => {}
        }
        moved.map_err(|error| {
            warn!(camera = %self.camera, %error, "the camera was not moved");
            PtzRefusal::Camera { reason: error.without_addresses() }
        })
    }

    /// A movement that nobody ordered again, or ended, or whose end failed.
    async fn stop(&mut self) {
        let stopped = match self.find().await {
            Ok(()) => self.send(&Movement::Stop).await,
            Err(error) => Err(error),
        };
        let now = self.now();
        match stopped {
            Ok(()) => self.sessions.done(&Movement::Stop, now),
            Err(error) => {
                self.sessions.stop_failed(now);
                let again = self.sessions.moving_until().is_some();
                warn!(camera = %self.camera, %error, again, "the camera was not told to stop");
            }
        }
    }

    async fn find(&mut self) -> Result<(), OnvifError> {
        let (None, Some(access)) = (&self.ptz, &self.access) else { return Ok(()) };
        if let Some(error) = self.refusal() {
            return Err(error);
        }
        let limits = Limits::default();
        let finding = Box::pin(timeout(FIND_MAX, PtzCamera::find(access, &limits)));
        let late =
            |_| OnvifError::AnswerTimeout { step: "the question for its PTZ", seconds: FIND_MAX.as_secs() };
        match finding.await.map_err(late).flatten() {
            Ok(ptz) => self.ptz = ptz,
            Err(error) => {
                self.remember(error.clone());
                return Err(error);
            }
        }
        Ok(())
    }

    async fn send(&mut self, movement: &Movement) -> Result<(), OnvifError> {
        let Some(ptz) = &mut self.ptz else {
            return Err(OnvifError::BadAnswer { reason: "it cannot be moved" });
        };
        let moved = Box::pin(ptz.carry_out(movement)).await;
        let is_known = match &moved {
            Ok(()) | Err(OnvifError::AnswerTimeout { .. }) => true,
            // Of a position, or of its way there.
            Err(OnvifError::Fault { .. }) => !matches!(movement, Movement::Move { .. } | Movement::Stop),
            // Its clock was set, or it was started anew.
            Err(_) => false,
        };
        if !is_known {
            self.ptz = None;
        }
        moved
    }

    /// What it said when it was found, by its own clock.
    fn remember(&mut self, error: OnvifError) {
        if matches!(error, OnvifError::Unauthorized | OnvifError::Locked) {
            self.refused = Some((error, Instant::now()));
        }
    }

    fn refusal(&self) -> Option<OnvifError> {
        let (error, since) = self.refused.as_ref()?;
        (since.elapsed() < REFUSED).then(|| error.clone())
    }
}

/// What the camera can do, and what it remembers. By what is known of it, and if
/// that fails by what it says anew: profiles come and go, and clocks are set.
async fn ask(known: Option<PtzCamera>, access: Option<PtzAccess>) -> Asks {
    if let Some(mut ptz) = known {
        match Box::pin(ptz.presets()).await {
            Ok(presets) => return Ok((Some(ptz), presets)),
            Err(OnvifError::Locked) => return Err(OnvifError::Locked),
            Err(_) => {}
        }
    }
    let Some(access) = access else { return Ok((None, Vec::new())) };
    let Some(mut ptz) = Box::pin(PtzCamera::find(&access, &Limits::default())).await? else {
        return Ok((None, Vec::new()));
    };
    match Box::pin(ptz.presets()).await {
        // Some cameras have none, and say so with a fault.
        Err(OnvifError::Fault { .. }) => Ok((Some(ptz), Vec::new())),
        presets => presets.map(|presets| (Some(ptz), presets)),
    }
}
