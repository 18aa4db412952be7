//! A pull point's life: made, asked again and again, renewed, given back.

use std::time::Duration;

use model::CameraEvent;
use time::OffsetDateTime;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{debug, warn};

use super::client::{Client, Target};
use super::messages::{self, Pulled, Unfit};
use super::topics::Memory;
use super::{Limits, OnvifAccess, OnvifError, services};

/// Hears one camera. Dropped without [`Subscription::end`], it stays with the
/// camera until its lifetime is over; cameras have room for few.
#[derive(Debug)]
pub struct Subscription {
    client: Client,
    limits: Limits,
    service: Target,
    point: Target,
    made_at: Instant,
    lifetime: Duration,
    ends_at: Instant,
    /// No question before.
    pull_at: Instant,
    memory: Memory,
    /// The camera hung up instead of answering the last question.
    hung_up: bool,
    surplus: usize,
    /// Something may have been told that was not heard.
    missed: bool,
}

/// What a camera offers, for the connection test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// It has an event service.
    pub events: bool,
    /// It made a pull point for us, which it has back.
    pub pull_points: bool,
}

/// When a camera does not say how long a subscription lives.
const LIFETIME_UNKNOWN: Duration = Duration::from_secs(60);
/// What a camera may say, so that it is neither renewed all the time nor never.
const LIFETIME_MIN: Duration = Duration::from_secs(4);
const LIFETIME_MAX: Duration = Duration::from_secs(3_600);

impl From<Unfit> for OnvifError {
    fn from(Unfit(reason): Unfit) -> Self {
        OnvifError::BadAnswer { reason }
    }
}

impl Subscription {
    /// Returns once the camera has made a pull point. States that last now are
    /// told by the first calls of [`Subscription::next`].
    pub async fn begin(access: &OnvifAccess, limits: &Limits) -> Result<Self, OnvifError> {
        let mut client = Client::new(access, limits)?;
        let service = Box::pin(find_service(&mut client)).await?;
        let now = Instant::now();
        let (point, lifetime) = Box::pin(subscribe(&mut client, &service, limits)).await?;
        let mut subscription = Subscription {
            client,
            limits: limits.clone(),
            service,
            point,
            made_at: now,
            lifetime,
            ends_at: now + lifetime,
            pull_at: now,
            memory: Memory::default(),
            hung_up: false,
            surplus: 0,
            missed: false,
        };
        Box::pin(subscription.synchronise()).await;
        Ok(subscription)
    }

    /// What the camera has said since the last call; empty after a quiet while.
    /// Renews the subscription when it is due, and makes another one if the
    /// camera forgot it. After an error, begin again.
    ///
    /// A call that is dropped may lose what the camera was about to say.
    pub async fn next(&mut self) -> Result<Vec<CameraEvent>, OnvifError> {
        sleep_until(self.pull_at).await;
        if Instant::now() >= self.renew_at() {
            Box::pin(self.renew()).await?;
        }
        let asked_at = Instant::now();
        let pulled = match Box::pin(self.pull()).await {
            Ok(pulled) => pulled,
            // Cameras exist that hang up when the time of a question is over.
            Err(OnvifError::Closed { .. }) if !self.hung_up || asked_at.elapsed() >= self.limits.poll / 2 => {
                self.hung_up = true;
                self.pull_at = asked_at + self.limits.pause_empty;
                return Ok(Vec::new());
            }
            Err(error @ (OnvifError::Fault { .. } | OnvifError::Status { .. })) => {
                self.subscribe_again(error).await?;
                return Ok(Vec::new());
            }
            Err(error) => return Err(error),
        };
        self.hung_up = false;
        // A camera may prolong the subscription by each question.
        if let Some(lifetime) = pulled.lifetime {
            self.ends_at = self.ends_at.max(asked_at + lifetime.min(self.lifetime));
        }
        self.count_surplus(pulled.surplus);
        let events: Vec<_> =
            pulled.notifications.iter().flat_map(|notification| self.memory.take(notification)).collect();
        let pause = if events.is_empty() { self.limits.pause_empty } else { self.limits.pause };
        self.pull_at = asked_at + pause;
        Ok(events)
    }

    /// Gives the subscription back: best effort, within [`Limits::goodbye`].
    pub async fn end(mut self) {
        Box::pin(self.unsubscribe()).await;
    }

    /// Half of its lifetime before it ends.
    fn renew_at(&self) -> Instant {
        self.ends_at - self.lifetime / 2
    }

    async fn pull(&mut self) -> Result<Pulled, OnvifError> {
        let until_renewal = self.renew_at().saturating_duration_since(Instant::now());
        let poll = self.limits.poll.min(until_renewal).max(Duration::from_secs(1));
        let request = messages::pull(poll, self.limits.messages);
        let answer = self.client.ask_for(&self.point, &request, poll + self.limits.answer).await?;
        Ok(messages::pulled(&answer, self.limits.messages)?)
    }

    async fn renew(&mut self) -> Result<(), OnvifError> {
        let asked_at = Instant::now();
        let request = messages::renew(self.limits.lifetime);
        let renewed = match self.client.ask(&self.point, &request).await {
            Ok(answer) => messages::renewed(&answer).map_err(OnvifError::from),
            Err(error) => Err(error),
        };
        match renewed {
            Ok(lifetime) => self.set_lifetime(asked_at, within_bounds(lifetime)),
            // It will not be otherwise in a moment.
            Err(error @ (OnvifError::Unauthorized | OnvifError::Connect { .. })) => return Err(error),
            // Not every camera can renew.
            Err(error) => {
                self.unsubscribe().await;
                self.subscribe_again(error).await?;
            }
        }
        Ok(())
    }

    /// After an error that another subscription helps against.
    async fn subscribe_again(&mut self, error: OnvifError) -> Result<(), OnvifError> {
        if self.made_at.elapsed() < self.limits.subscription_good_after.min(self.lifetime / 2) {
            return Err(error);
        }
        debug!(%error, "another subscription is made");
        self.missed = true;
        let now = Instant::now();
        let (point, lifetime) = Box::pin(subscribe(&mut self.client, &self.service, &self.limits)).await?;
        self.point = point;
        self.made_at = now;
        self.pull_at = now + self.limits.pause_empty;
        self.set_lifetime(now, lifetime);
        // What ended meanwhile is told by it, too: the memory stays.
        Box::pin(self.synchronise()).await;
        Ok(())
    }

    fn set_lifetime(&mut self, from: Instant, lifetime: Duration) {
        self.lifetime = lifetime;
        self.ends_at = from + lifetime;
    }

    /// Best effort: some cameras tell all states by themselves, some never.
    async fn synchronise(&mut self) {
        if let Err(error) = self.client.ask(&self.point, &messages::synchronise()).await {
            debug!(%error, "the camera does not tell how things stand");
        }
    }

    async fn unsubscribe(&mut self) {
        let request = messages::unsubscribe();
        match timeout(self.limits.goodbye, self.client.ask(&self.point, &request)).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => debug!(%error, "the subscription stays until it ends"),
            Err(_) => debug!("the subscription stays until it ends: the camera does not answer"),
        }
    }

    fn count_surplus(&mut self, surplus: usize) {
        if surplus > 0 && self.surplus == 0 {
            warn!(surplus, "a camera tells more events at once than are taken; the rest is left out");
        }
        self.surplus = self.surplus.saturating_add(surplus);
        self.missed |= surplus > 0;
    }

    /// Whether something may have been told since this was asked last that was not
    /// heard: more at once than is taken, or between two subscriptions.
    pub fn take_missed(&mut self) -> bool {
        std::mem::take(&mut self.missed)
    }
}

/// Whether the camera could be heard. Wrong passwords and cameras that cannot
/// be reached are errors.
pub async fn probe(access: &OnvifAccess, limits: &Limits) -> Result<Offer, OnvifError> {
    let mut client = Client::new(access, limits)?;
    let service = match Box::pin(find_service(&mut client)).await {
        Err(OnvifError::NoEventService) => return Ok(Offer { events: false, pull_points: false }),
        found => found?,
    };
    let (point, _) = match Box::pin(subscribe(&mut client, &service, limits)).await {
        Err(OnvifError::Fault { .. } | OnvifError::Status { .. }) => {
            return Ok(Offer { events: true, pull_points: false });
        }
        made => made?,
    };
    let unsubscribe = messages::unsubscribe();
    // Whether it is taken back says nothing of what is offered.
    let _ = timeout(limits.goodbye, Box::pin(client.ask(&point, &unsubscribe))).await;
    Ok(Offer { events: true, pull_points: true })
}

async fn find_service(client: &mut Client) -> Result<Target, OnvifError> {
    let named = services::find(client, |answer| messages::event_service(answer).map(str::to_owned)).await?;
    client.target(&named.ok_or(OnvifError::NoEventService)?, String::new())
}

/// The camera's time, if it tells one.
pub(super) async fn set_clock(client: &mut Client) -> Result<Option<OffsetDateTime>, OnvifError> {
    match client.ask_unsigned(&client.device(), &messages::ask_time()).await {
        Ok(answer) => {
            let time = messages::system_time(&answer);
            if let Some(time) = time {
                client.set_clock(time);
            }
            Ok(time)
        }
        // It is for everybody (ONVIF Core Specification section 8.3.5), but not
        // every camera knows that.
        Err(
            error @ (OnvifError::Unauthorized
            | OnvifError::Locked
            | OnvifError::Fault { .. }
            | OnvifError::Status { .. }),
        ) => {
            debug!(%error, "the camera does not tell its time; ours is taken");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

async fn subscribe(
    client: &mut Client,
    service: &Target,
    limits: &Limits,
) -> Result<(Target, Duration), OnvifError> {
    let answer = client.ask(service, &messages::subscribe(limits.lifetime)).await?;
    let made = messages::pull_point(&answer)?;
    let point = client.target(&made.address, made.parameters)?;
    Ok((point, within_bounds(made.lifetime)))
}

fn within_bounds(told: Option<Duration>) -> Duration {
    told.unwrap_or(LIFETIME_UNKNOWN).clamp(LIFETIME_MIN, LIFETIME_MAX)
}
