//! What happens at the camera, and who still has to hear of it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

/// Real cameras have room for one to ten.
const POINTS_MAX: usize = 10;
/// Notifications that wait for a client; the oldest go first.
const WAITING_MAX: usize = 1_000;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) topic: String,
    pub(super) rule: String,
    /// `None` of an event that does not last.
    pub(super) state: Option<bool>,
    /// It is how things stand, not news.
    pub(super) is_initial: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Events {
    inner: Mutex<Inner>,
    news: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    /// By topic and rule.
    states: BTreeMap<(String, String), bool>,
    points: BTreeMap<u32, Point>,
    made: u32,
}

#[derive(Debug)]
struct Point {
    waiting: VecDeque<Told>,
    ends_at: Instant,
}

impl Events {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        inner.points.retain(|_, point| point.ends_at > now);
        inner
    }

    pub(crate) fn raise(&self, topic: &str, rule: &str, state: Option<bool>) {
        let mut inner = self.inner();
        if let Some(state) = state {
            inner.states.insert((topic.into(), rule.into()), state);
        }
        let told = Told { topic: topic.into(), rule: rule.into(), state, is_initial: false };
        for point in inner.points.values_mut() {
            if point.waiting.len() >= WAITING_MAX {
                point.waiting.pop_front();
            }
            point.waiting.push_back(told.clone());
        }
        self.news.notify_waiters();
    }

    /// `None` if there is no room.
    pub(super) fn subscribe(&self, lifetime: Duration) -> Option<u32> {
        let mut inner = self.inner();
        if inner.points.len() >= POINTS_MAX {
            return None;
        }
        inner.made += 1;
        let id = inner.made;
        inner.points.insert(id, Point { waiting: VecDeque::new(), ends_at: Instant::now() + lifetime });
        Some(id)
    }

    pub(super) fn has(&self, id: u32) -> bool {
        self.inner().points.contains_key(&id)
    }

    pub(crate) fn points(&self) -> usize {
        self.inner().points.len()
    }

    pub(crate) fn made(&self) -> u32 {
        self.inner().made
    }

    pub(super) fn renew(&self, id: u32, lifetime: Duration) {
        if let Some(point) = self.inner().points.get_mut(&id) {
            point.ends_at = Instant::now() + lifetime;
        }
    }

    pub(super) fn unsubscribe(&self, id: u32) {
        self.inner().points.remove(&id);
        self.news.notify_waiters();
    }

    pub(super) fn forget_all(&self) {
        self.inner().points.clear();
        self.news.notify_waiters();
    }

    /// Every state is told again, as it stands.
    pub(super) fn synchronise(&self, id: u32) {
        let mut inner = self.inner();
        let Inner { states, points, .. } = &mut *inner;
        let Some(point) = points.get_mut(&id) else { return };
        let told = |((topic, rule), state): (&(String, String), &bool)| Told {
            topic: topic.clone(),
            rule: rule.clone(),
            state: Some(*state),
            is_initial: true,
        };
        point.waiting.extend(states.iter().map(told));
        self.news.notify_waiters();
    }

    /// What waits, as soon as something does, and how long the point has left.
    /// `None` if it is gone.
    pub(super) async fn pull(
        &self,
        id: u32,
        patience: Duration,
        limit: usize,
    ) -> Option<(Vec<Told>, Duration)> {
        let deadline = Instant::now() + patience;
        loop {
            let mut news = std::pin::pin!(self.news.notified());
            news.as_mut().enable();
            {
                let mut inner = self.inner();
                let point = inner.points.get_mut(&id)?;
                if !point.waiting.is_empty() || Instant::now() >= deadline {
                    let count = point.waiting.len().min(limit);
                    let left = point.ends_at.saturating_duration_since(Instant::now());
                    return Some((point.waiting.drain(..count).collect(), left));
                }
            }
            let _ = timeout_at(deadline, news).await;
        }
    }
}
