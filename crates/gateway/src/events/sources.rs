//! Who tells of a camera's events, heard until they are told to end: the camera
//! itself, and Frigate.

use std::time::Duration;

use gateway_core::frigate::Objects;
use model::wire::GapReason;
use model::{CameraEvent, EventSource};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::{Heard, Teller, Tellers, What};
use crate::mqtt::Ear;
use crate::onvif::{EventStream, Limits, OnvifError, Subscription};
use crate::random;
use crate::rtsp::Backoff;

/// Before a user name and password that the camera refused are tried again:
/// cameras lock a user out after some failures.
const REFUSED: Duration = Duration::from_secs(300);
/// How often it is looked whether Frigate has forgotten to say that something is over.
const LOOK_EVERY: Duration = Duration::from_secs(10);

impl Tellers {
    pub(crate) fn sources(&self) -> impl Iterator<Item = EventSource> + use<> {
        let camera = self.camera.as_ref().map(Teller::source);
        camera.into_iter().chain(self.frigate.as_ref().map(|_| EventSource::Frigate))
    }

    pub(super) async fn listen(self, said: mpsc::Sender<Heard>, cancel: CancellationToken) {
        let camera = async {
            if let Some(teller) = self.camera {
                Box::pin(hear_camera(teller, said.clone(), cancel.clone())).await;
            }
        };
        let frigate = async {
            if let Some(ear) = self.frigate
                && cancel.run_until_cancelled(hear_frigate(ear, said.clone())).await.is_some()
            {
                // The broker's task has ended, which it never should.
                let words = "Frigate is not heard any more; start the gateway anew".to_owned();
                let what = What::Lost { words, reason: GapReason::CameraUnreachable };
                let _ = said.send(Heard { source: EventSource::Frigate, what }).await;
            }
        };
        tokio::join!(camera, frigate);
    }
}

fn gap_reason(error: &OnvifError) -> GapReason {
    match error {
        OnvifError::Unauthorized
        | OnvifError::Locked
        | OnvifError::BasicWithoutTls
        | OnvifError::UnknownAuthentication
        | OnvifError::Fault { .. } => GapReason::CameraRefused,
        _ => GapReason::CameraUnreachable,
    }
}

async fn tell(said: &mpsc::Sender<Heard>, source: EventSource, what: What) -> Option<()> {
    said.send(Heard { source, what }).await.ok()
}

/// A camera that is heard, in whichever way.
enum Hearing {
    PullPoint(Box<Subscription>),
    Stream(Box<EventStream>),
}

impl Hearing {
    async fn begin(teller: &Teller, limits: &Limits) -> Result<Self, OnvifError> {
        Ok(match teller {
            Teller::PullPoint(access) => {
                Hearing::PullPoint(Box::new(Box::pin(Subscription::begin(access, limits)).await?))
            }
            Teller::Stream(access) => {
                Hearing::Stream(Box::new(Box::pin(EventStream::begin(access, limits)).await?))
            }
        })
    }

    async fn next(&mut self) -> Result<Vec<CameraEvent>, OnvifError> {
        match self {
            Hearing::PullPoint(subscription) => subscription.next().await,
            Hearing::Stream(stream) => stream.next().await,
        }
    }

    /// Whether something may have been said since this was asked last that was not
    /// heard.
    fn take_missed(&mut self) -> bool {
        match self {
            Hearing::PullPoint(subscription) => subscription.take_missed(),
            Hearing::Stream(_) => false,
        }
    }

    async fn end(self) {
        if let Hearing::PullPoint(subscription) = self {
            subscription.end().await;
        }
    }
}

/// Listens to the camera, again and again, until it is told to end.
async fn hear_camera(teller: Teller, said: mpsc::Sender<Heard>, cancel: CancellationToken) {
    let limits = Limits::default();
    let source = teller.source();
    let mut backoff = Backoff::new();
    loop {
        let began = Instant::now();
        let (error, least) = tokio::select! {
            () = cancel.cancelled() => return,
            begun = Hearing::begin(&teller, &limits) => match begun {
                Ok(hearing) => match hear_out(hearing, (source, &said), &cancel).await {
                    // Also a refusal: one of the clocks was set, by which passwords are dated.
                    Some(error) => (error, Duration::ZERO),
                    None => return,
                },
                Err(error @ (OnvifError::Unauthorized | OnvifError::Locked)) => (error, REFUSED),
                Err(error) => (error, Duration::ZERO),
            },
        };
        let good_for = began.elapsed();
        let what = What::Lost { words: error.to_string(), reason: gap_reason(&error) };
        if tell(&said, source, what).await.is_none() {
            return;
        }
        let [jitter] = random::bytes();
        let wait = backoff.after_failure(good_for, jitter).max(least);
        tokio::select! {
            () = cancel.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// `None`: it was told to end.
async fn hear_out(
    mut hearing: Hearing,
    (source, said): (EventSource, &mpsc::Sender<Heard>),
    cancel: &CancellationToken,
) -> Option<OnvifError> {
    tell(said, source, What::Listening).await?;
    loop {
        tokio::select! {
            () = cancel.cancelled() => {
                hearing.end().await;
                return None;
            }
            next = hearing.next() => match next {
                Ok(events) => {
                    tell(said, source, What::Said(events)).await?;
                    if hearing.take_missed() {
                        tell(said, source, What::Unheard).await?;
                    }
                }
                Err(error) => {
                    // Cameras have room for few.
                    if !matches!(error, OnvifError::Connect { .. } | OnvifError::Unauthorized) {
                        hearing.end().await;
                    }
                    return Some(error);
                }
            },
        }
    }
}

/// `None`: nobody is left who could say anything, or listen to it.
async fn hear_frigate(mut ear: Ear, said: mpsc::Sender<Heard>) -> Option<()> {
    let began = Instant::now();
    let mut objects = Objects::default();
    let mut look = tokio::time::interval(LOOK_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ear.hearing.mark_changed();
    loop {
        let now = || began.elapsed().as_millis() as u64;
        let what = tokio::select! {
            biased;
            changed = ear.hearing.changed() => {
                changed.ok()?;
                let hearing = ear.hearing.borrow_and_update().clone();
                match hearing {
                    None => continue,
                    Some(Ok(())) => What::Listening,
                    Some(Err(words)) => {
                        // The one who writes ends what goes on.
                        objects = Objects::default();
                        ear.sightings = ear.sightings.resubscribe();
                        What::Lost { words, reason: GapReason::CameraUnreachable }
                    }
                }
            }
            heard = ear.sightings.recv() => match heard {
                Ok(sighting) => What::Said(objects.take(sighting, now())),
                Err(RecvError::Closed) => return None,
                Err(RecvError::Lagged(count)) => {
                    tell(&said, EventSource::Frigate, What::Said(objects.forget())).await?;
                    What::Missed(u32::try_from(count).unwrap_or(u32::MAX))
                }
            },
            _ = look.tick() => What::Said(objects.tick(now())),
        };
        tell(&said, EventSource::Frigate, what).await?;
    }
}
