//! Reads cameras for secrets that leaked into their settings and logs: by schedule,
//! one camera at a time, and when an administrator's device asks. Nothing is set
//! there. What was found is kept here, without the secrets, and sealed to whoever
//! asks for it.

mod kept;
mod reading;

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;

use model::{CameraAccess, CameraId, Timestamp};
use seal::findings::{Findings, RunningSweep};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{Duration, Instant, MissedTickBehavior};
use tracing::{info, warn};

use self::kept::Kept;
use self::reading::{Outcome, Progress, Stopping};
use crate::clock;

/// What was found, without the secrets, for the next start.
pub(crate) const KEPT: &str = "findings.json";
/// After a start recording comes first.
const START_AFTER: Duration = Duration::from_secs(60);
/// How often it is looked whether a camera is due.
const LOOK: Duration = Duration::from_secs(60);
/// How often progress is shown: each look of a page at it is a signed command.
const SHOWN: Duration = Duration::from_secs(5);
/// So long an answer waits for news.
const NEWS: Duration = Duration::from_secs(10);
/// Answers that wait for news at the same time.
const WAITERS_MAX: usize = 4;
/// Orders that wait; each is one of a person's.
const ORDERS: usize = 16;

pub(crate) type Cameras = Arc<BTreeMap<CameraId, CameraAccess>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// This camera, or each.
    Sweep(Option<CameraId>),
    Stop,
}

/// What is known, as of now.
#[derive(Clone, Debug, Default)]
struct Shown {
    kept: Arc<Kept>,
    running: Option<RunningSweep>,
    waiting: u32,
    version: u64,
}

/// Who reads.
#[derive(Debug)]
pub(crate) struct Leaks {
    cameras: watch::Receiver<Cameras>,
    /// None: only when somebody asks.
    every: Option<Duration>,
    file: PathBuf,
    orders: mpsc::Receiver<Order>,
    shown: watch::Sender<Shown>,
    kept: Arc<Kept>,
    turn: VecDeque<CameraId>,
    /// Nothing begins by schedule before.
    not_before: Instant,
}

/// Who is asked.
#[derive(Clone, Debug)]
pub(crate) struct Asking {
    orders: mpsc::Sender<Order>,
    shown: watch::Receiver<Shown>,
    cameras: watch::Receiver<Cameras>,
    waiters: Arc<Semaphore>,
}

impl Asking {
    /// Those after a camera. Where nothing changed since the version `seen`, some
    /// seconds later.
    pub(crate) async fn list(mut self, after: Option<CameraId>, seen: Option<u64>) -> Findings {
        let is_news = |shown: &Shown| Some(shown.version) != seen;
        // Of more than so many each is told at once.
        if let Ok(_waits) = self.waiters.clone().try_acquire_owned() {
            let _ = tokio::time::timeout(NEWS, self.shown.wait_for(is_news)).await;
        }
        self.page(after)
    }

    /// The first page, once it says that the order was taken.
    pub(crate) async fn order(mut self, order: Order) -> Result<Findings, String> {
        self.shown.mark_unchanged();
        self.orders.try_send(order).map_err(|_| "the gateway has other such orders to take; try again")?;
        let _ = tokio::time::timeout(NEWS, self.shown.changed()).await;
        Ok(self.page(None))
    }

    fn page(&self, after: Option<CameraId>) -> Findings {
        let Shown { kept, running, waiting, version } = self.shown.borrow().clone();
        let (cameras, next) = kept.page(self.cameras.borrow().keys(), after);
        Findings { cameras, next, running, waiting, version }
    }
}

impl Leaks {
    pub(crate) fn open(
        file: PathBuf,
        cameras: watch::Receiver<Cameras>,
        every: Option<Duration>,
    ) -> (Self, Asking) {
        let kept = Kept::open(&file).unwrap_or_else(|error| {
            warn!(error = format!("{error:#}"), "what leaked into cameras is looked for anew");
            Kept::default()
        });
        let kept = Arc::new(kept);
        let (order_sender, orders) = mpsc::channel(ORDERS);
        // Of another start it is another one, since less changes in a millisecond.
        let first = Shown { kept: kept.clone(), version: clock::now().0, ..Shown::default() };
        let (shown, shown_receiver) = watch::channel(first);
        let waiters = Arc::new(Semaphore::new(WAITERS_MAX));
        let asking =
            Asking { orders: order_sender, shown: shown_receiver, cameras: cameras.clone(), waiters };
        let not_before = Instant::now() + START_AFTER;
        let turn = VecDeque::new();
        (Leaks { cameras, every, file, orders, shown, kept, turn, not_before }, asking)
    }

    /// Until nobody can ask any more.
    pub(crate) async fn run(mut self) {
        loop {
            let Some(camera) = self.turn.pop_front().or_else(|| self.due()) else {
                tokio::select! {
                    order = self.orders.recv() => match order {
                        Some(order) => self.take(order),
                        None => return,
                    },
                    () = tokio::time::sleep(LOOK) => {}
                }
                continue;
            };
            // It may be gone by now.
            let Some(access) = self.cameras.borrow().get(&camera).cloned() else {
                self.show(None);
                continue;
            };
            self.begin(camera).await;
            match self.sweep(camera, &access).await {
                Some(outcome) => self.keep(camera, outcome).await,
                None => info!(%camera, "the search for secrets was stopped"),
            }
            self.show(None);
        }
    }

    /// The one that was read longest ago, if that is long enough.
    fn due(&self) -> Option<CameraId> {
        let every = self.every.filter(|_| Instant::now() >= self.not_before)?;
        let before = clock::now().minus_ms(every.as_millis() as u64);
        let cameras = self.cameras.borrow();
        // A time to come was written by a clock that was wrong.
        let tried_at = |camera| self.kept.tried_at(camera).filter(|at| *at <= clock::now());
        let tried = cameras.keys().map(|camera| (tried_at(*camera), *camera));
        let (tried_at, camera) = tried.min()?;
        (tried_at <= Some(before)).then_some(camera)
    }

    fn take(&mut self, order: Order) {
        match order {
            Order::Sweep(which) => {
                let cameras = self.cameras.borrow();
                let wanted = cameras.keys().filter(|camera| which.is_none_or(|which| which == **camera));
                for camera in wanted {
                    if !self.turn.contains(camera) {
                        self.turn.push_back(*camera);
                    }
                }
            }
            Order::Stop => {
                self.turn.clear();
                // What is due would begin again at once.
                self.not_before = Instant::now() + self.every.unwrap_or_default();
            }
        }
        let running = self.shown.borrow().running.clone();
        let waiting = self.waiting();
        // Also where nothing came of it: who ordered it waits for a word.
        self.shown.send_modify(|shown| {
            let version = shown.version + 1;
            *shown = Shown { kept: self.kept.clone(), running, waiting, version };
        });
    }

    fn waiting(&self) -> u32 {
        u32::try_from(self.turn.len()).unwrap_or(u32::MAX)
    }

    /// None if it was stopped.
    async fn sweep(&mut self, camera: CameraId, access: &CameraAccess) -> Option<Outcome> {
        let progress = Arc::new(Progress::default());
        // What computes ends with who waits for it.
        let _stopping = Stopping(progress.clone());
        self.show(Some(progress.running(camera)));
        let mut reading = Box::pin(reading::read(access, &progress));
        let mut show = tokio::time::interval(SHOWN);
        show.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                outcome = &mut reading => return Some(outcome),
                Some(order) = self.orders.recv() => {
                    self.take(order);
                    if order == Order::Stop {
                        return None;
                    }
                }
                _ = show.tick() => self.show(Some(progress.running(camera))),
            }
        }
    }

    /// One that ends this program is not read again at each start.
    async fn begin(&mut self, camera: CameraId) {
        Arc::make_mut(&mut self.kept).begin(camera, clock::now());
        self.write().await;
    }

    async fn keep(&mut self, camera: CameraId, outcome: Outcome) {
        info!(%camera, found = outcome.found.len(), failed = outcome.error.is_some(), "read for secrets");
        let kept = Arc::make_mut(&mut self.kept);
        kept.take(camera, outcome, clock::now());
        kept.retain(&self.cameras.borrow());
        self.write().await;
    }

    async fn write(&self) {
        let (kept, file) = (self.kept.clone(), self.file.clone());
        let written = tokio::task::spawn_blocking(move || kept.write(&file)).await;
        if let Ok(Err(error)) = written {
            // Known until the next start, which reads the camera again.
            warn!(error = format!("{error:#}"), "what leaked could not be written down");
        }
    }

    fn show(&self, running: Option<RunningSweep>) {
        let waiting = self.waiting();
        self.shown.send_if_modified(|shown| {
            let is_same =
                shown.running == running && shown.waiting == waiting && Arc::ptr_eq(&shown.kept, &self.kept);
            if !is_same {
                let version = shown.version + 1;
                *shown = Shown { kept: self.kept.clone(), running, waiting, version };
            }
            !is_same
        });
    }
}

/// As the configuration has it.
pub(crate) fn every(hours: u64) -> Option<Duration> {
    (hours > 0).then(|| Duration::from_millis(hours * Timestamp::HOUR))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn camera(n: u8) -> CameraId {
        CameraId::from_random([n; 16])
    }

    fn access() -> CameraAccess {
        serde_json::from_str(
            r#"{"url":"rtsp://192.0.2.10/main","sub_url":null,"username":null,"password":null,"certificate":null}"#,
        )
        .unwrap()
    }

    fn leaks(every: Option<Duration>) -> (Leaks, Asking, watch::Sender<Cameras>, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let known = [1, 2, 3].map(|n| (camera(n), access()));
        let (cameras, receiver) = watch::channel(Arc::new(BTreeMap::from(known)));
        let (leaks, asking) = Leaks::open(folder.path().join(KEPT), receiver, every);
        (leaks, asking, cameras, folder)
    }

    fn over() -> Outcome {
        Outcome { documents: vec!["parameters"], read: 7, ..Outcome::default() }
    }

    #[test]
    fn each_camera_is_due_once_in_a_while_after_the_start() {
        let (mut leaks, _asking, _cameras, _folder) = leaks(every(24));
        assert_eq!(leaks.due(), None, "recording comes first");
        leaks.not_before = Instant::now();
        let now = clock::now();
        let kept = Arc::make_mut(&mut leaks.kept);
        kept.take(camera(1), over(), now.minus_ms(25 * Timestamp::HOUR));
        kept.take(camera(2), over(), now.minus_ms(30 * Timestamp::HOUR));
        for expected in [3, 2, 1] {
            assert_eq!(leaks.due(), Some(camera(expected)));
            Arc::make_mut(&mut leaks.kept).take(camera(expected), over(), now);
        }
        assert_eq!(leaks.due(), None);
        leaks.every = every(0);
        assert_eq!(leaks.due(), None, "nobody wants it");
    }

    #[test]
    fn who_stops_it_is_not_disobeyed_by_the_schedule() {
        let (mut leaks, _asking, _cameras, _folder) = leaks(every(24));
        leaks.not_before = Instant::now();
        leaks.take(Order::Sweep(None));
        leaks.take(Order::Sweep(Some(camera(2))));
        assert_eq!(leaks.turn.len(), 3, "each once");
        assert!(leaks.due().is_some());
        leaks.take(Order::Stop);
        assert!(leaks.turn.is_empty() && leaks.due().is_none());
        leaks.take(Order::Sweep(Some(camera(9))));
        assert!(leaks.turn.is_empty(), "a camera that is not of this site");
    }

    #[tokio::test]
    async fn what_is_damaged_on_the_disk_is_looked_for_anew_and_the_rest_outlives_a_start() {
        let (mut leaks, _asking, cameras, folder) = leaks(None);
        leaks.keep(camera(1), over()).await;
        let (_again, asking) = Leaks::open(folder.path().join(KEPT), cameras.subscribe(), None);
        let page = asking.list(None, None).await;
        assert_eq!(page.cameras.len(), 3);
        assert!(page.cameras[0].swept_at.is_some() && page.cameras[1].swept_at.is_none());
        std::fs::write(folder.path().join(KEPT), "{").unwrap();
        let (_anew, asking) = Leaks::open(folder.path().join(KEPT), cameras.subscribe(), None);
        assert_eq!(asking.list(None, None).await.cameras[0].swept_at, None);
    }
}
