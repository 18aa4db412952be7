//! Still pictures for notices: taken when an event is told, sealed, and on their
//! way to the cloud beside it. No notice waits for its picture, and no camera
//! that gives none is asked at each event.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use model::wire::SealedStill;
use model::{Base64, CameraId};
use seal::still::{StillPlace, StillSecret};
use tokio::time::{Instant, timeout};
use tracing::debug;

use crate::onvif::{Limits, OnvifAccess, OnvifError, StillCamera};

/// Cameras that are asked at the same time; an event beyond is told without.
const AT_ONCE: usize = 4;
/// From an event to its picture, with all questions: later it shows something else.
const TAKE_MAX: Duration = Duration::from_secs(8);
/// Sealed pictures that wait for the cloud; of more, the oldest are dropped.
const WAITING_MAX: usize = 16;
/// Before a camera is asked again that gave none.
const NONE: Duration = Duration::from_secs(600);
const FAILED: Duration = Duration::from_secs(30);
/// That refused user name or password: cameras lock a user out after some failures.
const REFUSED: Duration = Duration::from_secs(300);

/// What is known of cameras, and what waits.
#[derive(Debug, Default)]
pub(crate) struct Stills {
    cameras: BTreeMap<CameraId, Known>,
    pub(crate) waiting: VecDeque<(Instant, SealedStill)>,
}

#[derive(Debug)]
struct Known {
    /// With another one it is another camera.
    access: OnvifAccess,
    state: State,
}

#[derive(Debug)]
enum State {
    Found(Box<StillCamera>),
    Unknown,
    /// Being asked.
    Busy,
    NotBefore(Instant),
}

/// A picture that is being taken.
#[derive(Debug)]
pub(crate) struct Taking {
    place: StillPlace,
    secret: StillSecret,
    access: OnvifAccess,
    camera: Option<Box<StillCamera>>,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Taken {
    camera: CameraId,
    access: OnvifAccess,
    state: State,
    still: Option<SealedStill>,
}

impl Stills {
    /// Whether a picture of the camera may be had now.
    pub(crate) fn may_take(&mut self, camera: CameraId, access: &OnvifAccess) -> bool {
        let busy = self.cameras.values().filter(|known| matches!(known.state, State::Busy)).count();
        let known = self.cameras.get(&camera).filter(|known| known.access == *access);
        busy < AT_ONCE
            && known.is_none_or(|known| match known.state {
                State::Found(_) | State::Unknown => true,
                State::Busy => false,
                State::NotBefore(at) => at <= Instant::now(),
            })
    }

    /// To be run to its end and brought back by [`Stills::taken`].
    pub(crate) fn begin(&mut self, place: StillPlace, secret: StillSecret, access: &OnvifAccess) -> Taking {
        let known = Known { access: access.clone(), state: State::Busy };
        let before = self.cameras.insert(place.camera, known).filter(|before| before.access == *access);
        let camera = before.and_then(|before| match before.state {
            State::Found(camera) => Some(camera),
            _ => None,
        });
        Taking { place, secret, access: access.clone(), camera }
    }

    pub(crate) fn taken(&mut self, taken: Taken) {
        let Taken { camera, access, state, still } = taken;
        if let Some(known) = self.cameras.get_mut(&camera).filter(|known| known.access == access) {
            known.state = state;
        }
        if let Some(still) = still {
            self.waiting.push_back((Instant::now(), still));
        }
        while self.waiting.len() > WAITING_MAX {
            self.waiting.pop_front();
        }
    }

    /// A task was lost: what it asked is asked anew.
    pub(crate) fn lost(&mut self) {
        for known in self.cameras.values_mut().filter(|known| matches!(known.state, State::Busy)) {
            known.state = State::Unknown;
        }
    }

    /// Forgets cameras that this gateway has no more.
    pub(crate) fn keep(&mut self, services: &BTreeMap<CameraId, OnvifAccess>) {
        self.cameras.retain(|camera, _| services.contains_key(camera));
    }
}

impl Taking {
    pub(crate) async fn run(self) -> Taken {
        let Taking { place, secret, access, camera } = self;
        let (state, still) = match timeout(TAKE_MAX, Box::pin(take(&access, camera))).await {
            Ok(Ok(Some((camera, picture)))) => {
                let id = secret.id();
                let sealed =
                    secret.seal(&place, picture.bytes()).expect("a picture that was read is bounded");
                let still = SealedStill { id, camera: place.camera, still: Base64::from(sealed) };
                (State::Found(camera), Some(still))
            }
            Ok(Ok(None)) => {
                debug!(camera = %place.camera, "the camera gives no still pictures");
                (State::NotBefore(Instant::now() + NONE), None)
            }
            Ok(Err(error)) => {
                debug!(camera = %place.camera, %error, "an event is told without a picture");
                let wait = match error {
                    OnvifError::Unauthorized | OnvifError::Locked | OnvifError::BasicWithoutTls => REFUSED,
                    _ => FAILED,
                };
                (State::NotBefore(Instant::now() + wait), None)
            }
            Err(_) => {
                debug!(camera = %place.camera, "an event is told without a picture: the camera takes too long");
                (State::NotBefore(Instant::now() + FAILED), None)
            }
        };
        Taken { camera: place.camera, access, state, still }
    }
}

/// With what is known of the camera; where that is wrong by now, anew.
async fn take(
    access: &OnvifAccess,
    known: Option<Box<StillCamera>>,
) -> Result<Option<(Box<StillCamera>, media::jpeg::Still)>, OnvifError> {
    if let Some(mut camera) = known {
        match Box::pin(camera.take()).await {
            Ok(picture) => return Ok(Some((camera, picture))),
            // It was set up anew, or its challenge has run out; a password is not tried more often.
            Err(OnvifError::Status { .. } | OnvifError::Closed { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    let Some(camera) = Box::pin(StillCamera::find(access, &Limits::default())).await? else {
        return Ok(None);
    };
    let mut camera = Box::new(camera);
    let picture = Box::pin(camera.take()).await?;
    Ok(Some((camera, picture)))
}
