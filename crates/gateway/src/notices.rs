//! Tells people's devices what happens, by way of the cloud and a push service,
//! neither of which can read it. Notices are worth something while they are
//! new: they wait in memory while the cloud is away, and are dropped when old.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use gateway_core::events::Now;
use gateway_core::notices::Notices;
use model::CameraId;
use model::wire::{Envelope, NOTICES_MAX, SealedNotice};
use seal::event::Event;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};
use tracing::{debug, warn};

use crate::cloud::{Cloud, CloudError};
use crate::data::Identity;
use crate::local::View;
use crate::{clock, random};

/// Events that wait to be told.
pub(crate) const TOLD_QUEUE: usize = 256;
/// Notices that wait for the cloud; of more, the oldest are dropped.
const WAITING_MAX: usize = 1_024;
/// What is older is no news any more.
const AGE_MAX: Duration = Duration::from_secs(3_600);
/// Orders are asked for this often even if the cloud never says that there are
/// new ones.
const POLL: Duration = Duration::from_secs(600);
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(60);
/// Pages of orders in one list: as many devices as one gateway tells.
const PAGES_MAX: usize = gateway_core::notices::DEVICES_MAX / NOTICES_MAX;

/// An event has begun, or happened.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) camera: CameraId,
    pub(crate) event: Event,
}

pub(crate) struct Telling {
    pub(crate) identity: Identity,
    pub(crate) cloud: watch::Receiver<Option<Cloud>>,
    pub(crate) view: watch::Receiver<Arc<View>>,
    pub(crate) told: mpsc::Receiver<Told>,
    /// The cloud has new orders, or the link is up again.
    pub(crate) changed: Arc<Notify>,
}

/// A call to the cloud that has ended.
enum Done {
    Orders(Result<Vec<Envelope>, CloudError>),
    Sent(Vec<Waiting>, Result<(), CloudError>),
}

#[derive(Clone)]
struct Waiting {
    since: Instant,
    notice: SealedNotice,
}

impl Telling {
    /// Until all who tell it of events are gone.
    pub(crate) async fn run(mut self) {
        let began = Instant::now();
        let mut notices = Notices::default();
        let mut waiting = VecDeque::new();
        let mut calls = JoinSet::new();
        let (mut is_sending, mut is_asking) = (false, false);
        let (mut delay, mut not_before) = (RETRY_FIRST, began);
        let mut poll = tokio::time::interval(POLL);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut again = tokio::time::interval(RETRY_FIRST);
        again.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let ask = tokio::select! {
                told = self.told.recv() => {
                    let Some(Told { camera, event }) = told else { return };
                    let now = Now { ms: began.elapsed().as_millis() as u64, at: clock::now() };
                    let view = self.view.borrow().clone();
                    let made = notices.of(camera, &event, &view.roster, now, &mut random::bytes);
                    let since = Instant::now();
                    waiting.extend(made.into_iter().map(|notice| Waiting { since, notice }));
                    while waiting.len() > WAITING_MAX {
                        waiting.pop_front();
                    }
                    false
                }
                Some(done) = calls.join_next() => {
                    match done {
                        Ok(Done::Orders(orders)) => {
                            is_asking = false;
                            self.take_orders(&mut notices, orders);
                        }
                        Ok(Done::Sent(_, Ok(()))) => {
                            (is_sending, delay) = (false, RETRY_FIRST);
                        }
                        Ok(Done::Sent(sent, Err(error))) => {
                            is_sending = false;
                            // What the cloud does not want it will not want later.
                            let is_final = error.status().is_some_and(|status| {
                                status.is_client_error() && status.as_u16() != 429
                            });
                            if is_final {
                                warn!(%error, notices = sent.len(), "the cloud does not take notices");
                            } else {
                                debug!(%error, "notices wait for the cloud");
                                let wait = error.wait_ms().map_or(delay, Duration::from_millis).min(RETRY_MAX);
                                not_before = Instant::now() + wait;
                                delay = (delay * 2).min(RETRY_MAX);
                                for one in sent.into_iter().rev() {
                                    waiting.push_front(one);
                                }
                            }
                        }
                        // It was aborted, or it panicked: the next call is another one.
                        Err(_) => (is_sending, is_asking) = (false, false),
                    }
                    false
                }
                () = self.changed.notified() => true,
                _ = poll.tick() => true,
                _ = again.tick() => false,
            };
            let Some(cloud) = self.cloud.borrow().clone() else { continue };
            if ask && !is_asking {
                is_asking = true;
                let cloud = cloud.clone();
                calls.spawn(async move { Done::Orders(orders(&cloud).await) });
            }
            waiting.retain(|one: &Waiting| one.since.elapsed() < AGE_MAX);
            if !is_sending && !waiting.is_empty() && not_before <= Instant::now() {
                is_sending = true;
                let batch: Vec<Waiting> = waiting.drain(..waiting.len().min(NOTICES_MAX)).collect();
                calls.spawn(async move {
                    let notices = batch.iter().map(|one| one.notice.clone()).collect();
                    let sent = cloud.tell(notices).await;
                    Done::Sent(batch, sent)
                });
            }
        }
    }

    fn take_orders(&self, notices: &mut Notices, orders: Result<Vec<Envelope>, CloudError>) {
        let orders = match orders {
            Ok(orders) => orders,
            // A cloud of before, which has none.
            Err(error) if error.status().is_some_and(|status| status.as_u16() == 404) => Vec::new(),
            Err(error) => return debug!(%error, "orders of notices could not be asked for"),
        };
        let view = self.view.borrow().clone();
        let own = (self.identity.id, &*self.identity.kem);
        for refused in notices.set(&orders, &view.roster, own, clock::now()) {
            warn!(number = refused.number, error = %refused.error, "an order of notices is refused");
        }
        debug!(orders = orders.len(), "orders of notices");
    }
}

/// All pages.
async fn orders(cloud: &Cloud) -> Result<Vec<Envelope>, CloudError> {
    let mut orders = Vec::new();
    let mut after = None;
    for _ in 0..PAGES_MAX {
        let page = cloud.notice_orders(after).await?;
        orders.extend(page.orders);
        after = page.more_after;
        if after.is_none() {
            break;
        }
    }
    Ok(orders)
}
