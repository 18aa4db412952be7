//! Tells people's devices what happens, by way of the cloud and a push service,
//! neither of which can read it. Notices are worth something while they are
//! new: they wait in memory while the cloud is away, and are dropped when old.
//! With them goes a picture of the moment, if somebody wants one and the camera
//! gives one.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use gateway_core::events::Now;
use gateway_core::notices::{DEVICES_MAX, Notices};
use model::wire::{Envelope, NOTICES_MAX, SealedNotice, SealedStill};
use model::{CameraId, Hash};
use seal::event::Event;
use seal::still::{StillPlace, StillSecret};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};
use tracing::{debug, warn};

use crate::cloud::{Cloud, CloudError};
use crate::data::{Identity, read_whole, write_whole};
use crate::local::View;
use crate::stills::{Stills, Taken};
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
/// Of all orders together, as they come. What is more is not taken.
const ORDERS_BYTES_MAX: usize = 64 << 20;
/// What is in force, for a start without the cloud: an intruder who cuts the
/// line and the power makes nobody deaf to what comes after.
const KEPT: &str = "notice-orders.json";

/// An event has begun, or happened.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    /// Of one camera, or of all of this gateway.
    pub(crate) cameras: Vec<CameraId>,
    pub(crate) event: Event,
}

pub(crate) struct Telling {
    pub(crate) identity: Identity,
    pub(crate) cloud: watch::Receiver<Option<Cloud>>,
    pub(crate) view: watch::Receiver<Arc<View>>,
    pub(crate) told: mpsc::Receiver<Told>,
    /// The cloud has new orders, or the link is up again.
    pub(crate) changed: Arc<Notify>,
    /// The data folder.
    pub(crate) folder: PathBuf,
}

/// A call to the cloud that has ended.
enum Done {
    Orders(Result<Vec<Envelope>, AskError>),
    Sent(Vec<Waiting>, Result<(), CloudError>),
    /// A camera's, which is no call to the cloud.
    Taken(Box<Taken>),
    Stored(Instant, Box<SealedStill>, Result<(), CloudError>),
}

#[derive(Debug, thiserror::Error)]
enum AskError {
    #[error(transparent)]
    Cloud(#[from] CloudError),
    #[error("the cloud's list of orders is no list: {0}")]
    NoList(&'static str),
}

#[derive(Clone)]
struct Waiting {
    since: Instant,
    notice: SealedNotice,
}

/// What is under way, and what waits for it.
struct State {
    began: Instant,
    notices: Notices,
    waiting: VecDeque<Waiting>,
    calls: JoinSet<Done>,
    sending: Turn,
    asking: Turn,
    storing: Turn,
    stills: Stills,
    /// There may be other orders; stays until they were asked for since.
    wants_orders: bool,
    /// The file as it was written last.
    kept: Option<Hash>,
}

/// Of one kind of call: one at a time, later after each failure.
struct Turn {
    is_taken: bool,
    delay: Duration,
    not_before: Instant,
}

impl Turn {
    fn new() -> Self {
        Turn { is_taken: false, delay: RETRY_FIRST, not_before: Instant::now() }
    }

    fn is_free(&self) -> bool {
        !self.is_taken && self.not_before <= Instant::now()
    }

    fn succeeded(&mut self) {
        *self = Turn::new();
    }

    /// `wanted`: how long the cloud wants to be left alone.
    fn failed(&mut self, wanted: Option<u64>) {
        self.is_taken = false;
        let wait = wanted.map_or(self.delay, Duration::from_millis).clamp(RETRY_FIRST, RETRY_MAX);
        self.not_before = Instant::now() + wait;
        self.delay = (self.delay * 2).min(RETRY_MAX);
    }
}

impl Telling {
    /// Until all who tell it of events are gone.
    pub(crate) async fn run(mut self) {
        let mut state = State {
            began: Instant::now(),
            notices: Notices::default(),
            waiting: VecDeque::new(),
            calls: JoinSet::new(),
            sending: Turn::new(),
            asking: Turn::new(),
            storing: Turn::new(),
            stills: Stills::default(),
            wants_orders: true,
            kept: None,
        };
        self.take_up(&mut state);
        let mut poll = tokio::time::interval(POLL);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut again = tokio::time::interval(RETRY_FIRST);
        again.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                told = self.told.recv() => match told {
                    Some(told) => self.hear(&mut state, &told),
                    None => return,
                },
                Some(done) = state.calls.join_next() => match done {
                    Ok(Done::Orders(orders)) => self.take_orders(&mut state, orders),
                    Ok(Done::Sent(sent, outcome)) => take_outcome(&mut state, sent, outcome),
                    Ok(Done::Taken(taken)) => state.stills.taken(*taken),
                    Ok(Done::Stored(since, still, outcome)) => take_stored(&mut state, (since, *still), outcome),
                    // It panicked: the next call is another one.
                    Err(_) => {
                        (state.sending, state.asking, state.storing) = (Turn::new(), Turn::new(), Turn::new());
                        state.stills.lost();
                    }
                },
                () = self.changed.notified() => state.wants_orders = true,
                _ = poll.tick() => state.wants_orders = true,
                _ = again.tick() => {}
            }
            let Some(cloud) = self.cloud.borrow().clone() else { continue };
            begin(&mut state, &cloud);
        }
    }

    fn hear(&self, state: &mut State, Told { cameras, event }: &Told) {
        let now = Now { ms: state.began.elapsed().as_millis() as u64, at: clock::now() };
        let view = self.view.borrow().clone();
        state.stills.keep(&view.services);
        // Of trouble there is nothing to see.
        let seen = cameras.first().filter(|_| !event.kind.is_trouble());
        let service = seen.and_then(|camera| Some((*camera, view.services.get(camera)?)));
        let service = service.filter(|(camera, access)| state.stills.may_take(*camera, access));
        let offered = service.map(|_| StillSecret::from_random(random::bytes()));
        let made = state.notices.of((cameras, event), &view.roster, now, offered, &mut random::bytes);
        let since = Instant::now();
        state.waiting.extend(made.notices.into_iter().map(|notice| Waiting { since, notice }));
        if let Some((secret, (camera, access))) = made.still.zip(service) {
            let (org, gateway) = (view.roster.org(), self.identity.id);
            let place = StillPlace { org, gateway, camera, event: event.id };
            let taking = state.stills.begin(place, secret, access);
            state.calls.spawn(async move { Done::Taken(Box::new(Box::pin(taking.run()).await)) });
        }
        while state.waiting.len() > WAITING_MAX {
            state.waiting.pop_front();
        }
    }

    /// Orders of before a restart. They are signed and sealed as they came.
    fn take_up(&self, state: &mut State) {
        match read_whole::<Vec<Envelope>>(&self.folder.join(KEPT)) {
            Ok(orders) => self.set(state, &orders.unwrap_or_default()),
            Err(error) => warn!(error = format!("{error:#}"), "orders of notices could not be read"),
        }
    }

    fn take_orders(&self, state: &mut State, orders: Result<Vec<Envelope>, AskError>) {
        let orders = match orders {
            Ok(orders) => orders,
            // A cloud of before, which has none.
            Err(AskError::Cloud(error)) if error.status().is_some_and(|status| status.as_u16() == 404) => {
                Vec::new()
            }
            Err(error) => {
                warn!(%error, "orders of notices could not be asked for; those of before stand");
                state.wants_orders = true;
                let wanted = if let AskError::Cloud(error) = &error { error.wait_ms() } else { None };
                return state.asking.failed(wanted);
            }
        };
        state.asking.succeeded();
        self.set(state, &orders);
        let kept = serde_json::to_vec(&orders).expect("envelopes serialise");
        let hash = seal::sha256(&kept);
        if state.kept == Some(hash) {
            return;
        }
        match write_whole(&self.folder.join(KEPT), &kept) {
            Ok(()) => state.kept = Some(hash),
            Err(error) => {
                warn!(error = format!("{error:#}"), "orders of notices are not kept over a restart");
            }
        }
    }

    fn set(&self, state: &mut State, orders: &[Envelope]) {
        let view = self.view.borrow().clone();
        let own = (self.identity.id, &*self.identity.kem);
        for refused in state.notices.set(orders, &view.roster, own, clock::now()) {
            warn!(number = refused.number, error = %refused.error, "an order of notices is refused");
        }
        debug!(orders = orders.len(), "orders of notices");
    }
}

/// Begins what is due.
fn begin(state: &mut State, cloud: &Cloud) {
    if state.wants_orders && state.asking.is_free() {
        // What changes from now on is asked for once more.
        state.wants_orders = false;
        state.asking.is_taken = true;
        let cloud = cloud.clone();
        state.calls.spawn(async move { Done::Orders(orders(&cloud).await) });
    }
    state.stills.waiting.retain(|(since, _)| since.elapsed() < AGE_MAX);
    if state.storing.is_free()
        && let Some((since, still)) = state.stills.waiting.pop_front()
    {
        state.storing.is_taken = true;
        let cloud = cloud.clone();
        state.calls.spawn(async move {
            let stored = cloud.store_still(&still).await;
            Done::Stored(since, Box::new(still), stored)
        });
    }
    state.waiting.retain(|one| one.since.elapsed() < AGE_MAX);
    if !state.waiting.is_empty() && state.sending.is_free() {
        state.sending.is_taken = true;
        let count = state.waiting.len().min(NOTICES_MAX);
        let batch: Vec<Waiting> = state.waiting.drain(..count).collect();
        let cloud = cloud.clone();
        state.calls.spawn(async move {
            let notices = batch.iter().map(|one| one.notice.clone()).collect();
            let sent = cloud.tell(notices).await;
            Done::Sent(batch, sent)
        });
    }
}

/// What the cloud does not want it will not want later.
fn is_final(error: &CloudError) -> bool {
    error.status().is_some_and(|status| status.is_client_error() && !matches!(status.as_u16(), 408 | 429))
}

fn take_stored(state: &mut State, still: (Instant, SealedStill), outcome: Result<(), CloudError>) {
    match outcome {
        Ok(()) => state.storing.succeeded(),
        Err(error) if is_final(&error) => {
            debug!(%error, "the cloud does not take a picture");
            state.storing.succeeded();
        }
        Err(error) => {
            debug!(%error, "a picture waits for the cloud");
            state.storing.failed(error.wait_ms());
            state.stills.waiting.push_front(still);
        }
    }
}

fn take_outcome(state: &mut State, sent: Vec<Waiting>, outcome: Result<(), CloudError>) {
    let Err(error) = outcome else { return state.sending.succeeded() };
    if is_final(&error) {
        warn!(%error, notices = sent.len(), "the cloud does not take notices");
        return state.sending.succeeded();
    }
    debug!(%error, "notices wait for the cloud");
    state.sending.failed(error.wait_ms());
    for one in sent.into_iter().rev() {
        state.waiting.push_front(one);
    }
}

/// All pages. Whoever serves them chooses neither how many nor how large.
async fn orders(cloud: &Cloud) -> Result<Vec<Envelope>, AskError> {
    let mut orders: Vec<Envelope> = Vec::new();
    let (mut bytes, mut after) = (0, None);
    loop {
        let page = cloud.notice_orders(after).await?;
        if page.orders.len() > NOTICES_MAX {
            return Err(AskError::NoList("a page is longer than it may be"));
        }
        let is_empty = page.orders.is_empty();
        bytes += page.orders.iter().map(|order| order.payload.0.len()).sum::<usize>();
        orders.extend(page.orders);
        if orders.len() > DEVICES_MAX || bytes > ORDERS_BYTES_MAX {
            return Err(AskError::NoList("there are more than one gateway tells"));
        }
        match page.more_after {
            None => return Ok(orders),
            // Ids are many: whoever named another one each time would be asked for ever.
            next if next <= after || is_empty => return Err(AskError::NoList("its pages do not go on")),
            next => after = next,
        }
    }
}
