//! Cameras that somebody moves. Each has a task of its own while it is moved, so
//! that a camera which does not answer holds up nothing else. Who may, and which
//! order counts, is decided here, whatever the cloud decided before.

use std::collections::BTreeMap;
use std::time::Duration;

use gateway_core::ptz::{Refused, Sessions};
use model::wire::{Envelope, FromGateway, PtzRefusal};
use model::{CameraAccess, CameraId, DeviceId, Hash, OrgId, Timestamp};
use seal::ptz::{Movement, PtzOrder, PtzSession};
use seal::roster::Roster;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tracing::{info, warn};

use crate::data::Identity;
use crate::onvif::{Limits, OnvifAccess, OnvifError, PtzAbilities, PtzCamera};
use crate::{events, random};

/// Of one camera, that wait; more are refused.
const WAITING_MAX: usize = 8;
/// How often a task looks whether anybody still has it.
const LOOK: Duration = Duration::from_secs(30);
/// To find out what a camera can do, with its presets.
const OPEN_MAX: Duration = Duration::from_secs(8);

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
            let onvif = access.onvif_url.as_ref().map(|url| events::access(url, &access));
            tokio::spawn(Task::new(about, onvif).run(receiver));
            Steered { access, asked: sender }
        });
        if let Err(error) = steered.asked.try_send(asked) {
            let (mpsc::error::TrySendError::Full(asked) | mpsc::error::TrySendError::Closed(asked)) = error;
            let reason = "too much is ordered of this camera at once".to_owned();
            tell(&asked.text, FromGateway::AskFailed { ask: asked.ask, reason });
        }
    }
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
    onvif: Option<OnvifAccess>,
    /// Once it was found, and while it answers.
    ptz: Option<PtzCamera>,
    sessions: Sessions,
    began: Instant,
}

impl Task {
    fn new(about: Steering, onvif: Option<OnvifAccess>) -> Self {
        let Steering { org, identity, camera, .. } = about;
        let (ptz, sessions) = Default::default();
        Task { org, identity, camera, onvif, ptz, sessions, began: Instant::now() }
    }

    /// Returns when nobody asks any more, and nothing moves.
    async fn run(mut self, mut asked: mpsc::Receiver<Asked>) {
        let mut look = tokio::time::interval(LOOK);
        loop {
            let stop_at = self.sessions.moving_until().map(|ms| self.began + Duration::from_millis(ms));
            tokio::select! {
                // What was ordered last goes before a stop that it makes needless.
                biased;
                asked = asked.recv() => match asked {
                    Some(Asked { ask, what, text }) => {
                        let answer = self.answer(ask, what).await;
                        tell(&text, answer);
                    }
                    None => break,
                },
                () = tokio::time::sleep_until(stop_at.unwrap_or(self.began)), if stop_at.is_some() => {
                    self.stop().await;
                }
                _ = look.tick() => if self.sessions.is_idle(self.now()) {
                    break;
                },
            }
        }
        if self.sessions.moving_until().is_some() {
            self.stop().await;
        }
    }

    fn now(&self) -> u64 {
        self.began.elapsed().as_millis() as u64
    }

    async fn answer(&mut self, ask: u32, what: What) -> FromGateway {
        match what {
            What::Open { challenge } => match timeout(OPEN_MAX, self.open(challenge)).await {
                Ok(Ok(envelope)) => FromGateway::PtzSession { ask, envelope },
                Ok(Err(error)) => FromGateway::AskFailed { ask, reason: error.to_string() },
                Err(_) => {
                    FromGateway::AskFailed { ask, reason: "the camera takes too long to answer".into() }
                }
            },
            What::Order { order, device } => {
                FromGateway::PtzDone { ask, refused: self.carry_out(&order, device).await.err() }
            }
        }
    }

    async fn open(&mut self, challenge: Hash) -> Result<Envelope, OnvifError> {
        self.find().await?;
        let (abilities, presets) = match &mut self.ptz {
            Some(ptz) => (ptz.abilities, ptz.presets().await?),
            None => (PtzAbilities::default(), Vec::new()),
        };
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
        Ok(opened.sign(&self.identity.sign))
    }

    async fn find(&mut self) -> Result<(), OnvifError> {
        if let (None, Some(access)) = (&self.ptz, &self.onvif) {
            self.ptz = Box::pin(PtzCamera::find(access, &Limits::default())).await?;
        }
        Ok(())
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
        self.move_it(&order.movement).await.map_err(|error| {
            // It may move all the same; it is told to stop when its time is over.
            warn!(camera = %self.camera, %error, "the camera was not moved");
            PtzRefusal::Camera { reason: error.to_string() }
        })
    }

    /// A movement that nobody ordered again, or ended.
    async fn stop(&mut self) {
        self.sessions.stopped();
        if let Err(error) = self.move_it(&Movement::Stop).await {
            warn!(camera = %self.camera, %error, "the camera was not told to stop; it stops by itself");
        }
    }

    async fn move_it(&mut self, movement: &Movement) -> Result<(), OnvifError> {
        self.find().await?;
        let Some(ptz) = &mut self.ptz else {
            return Err(OnvifError::BadAnswer { reason: "it cannot be moved" });
        };
        let moved = Box::pin(ptz.carry_out(movement)).await;
        if matches!(
            moved,
            Err(OnvifError::Unauthorized | OnvifError::Connect { .. } | OnvifError::Closed { .. })
        ) {
            // Its clock was set, or it was started anew.
            self.ptz = None;
        }
        moved
    }
}
