//! Evidence locks: what devices order to keep, whatever retention would delete.
//! The cloud has the orders; they are asked for when it says that there are
//! others, judged here, and answered with what is locked.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use gateway_core::locks::{Known, judge};
use model::Hash;
use model::wire::{Envelope, LOCKS_MAX, LockOrder};
use seal::bookmark::{Bookmark, LockRefusal, LockResult};
use seal::roster::Roster;
use tokio::sync::{Notify, watch};
use tokio::time::sleep;
use tracing::{debug, error, info, warn};

use crate::clock;
use crate::cloud::{Cloud, CloudError};
use crate::data::Identity;
use crate::index::{Index, Locked};
use crate::keep::Rules;
use crate::local::View;

/// Orders are asked for this often even if the cloud never says that there are
/// new ones.
const POLL: Duration = Duration::from_secs(600);
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(60);
/// Orders whose answers are known to have arrived; of more, all are answered anew.
const ANSWERED_MAX: usize = 100_000;

pub(crate) struct Locking {
    pub(crate) identity: Identity,
    pub(crate) index: Index,
    pub(crate) cloud: watch::Receiver<Option<Cloud>>,
    pub(crate) view: watch::Receiver<Arc<View>>,
    /// How much may be recorded here.
    pub(crate) rules: watch::Receiver<Rules>,
    /// The cloud has other orders, or the link is up again.
    pub(crate) changed: Arc<Notify>,
}

#[derive(Debug, thiserror::Error)]
enum AskError {
    #[error(transparent)]
    Cloud(#[from] CloudError),
    #[error(transparent)]
    Index(#[from] anyhow::Error),
    #[error("the cloud's list of locks is no list: {0}")]
    NoList(&'static str),
}

impl Locking {
    /// Runs until dropped.
    pub(crate) async fn run(mut self) {
        let (mut done, mut head, mut delay) = (0, None, RETRY_FIRST);
        let mut answered = HashSet::new();
        loop {
            let view = self.view.borrow_and_update().clone();
            // What the roster did not allow before, it may now.
            let newest = view.roster.head().1;
            if head.replace(newest) != Some(newest) {
                done = 0;
            }
            let cloud = self.cloud.borrow_and_update().clone();
            let caught_up = match &cloud {
                Some(cloud) => self.catch_up(cloud, &view, &mut done, &mut answered).await,
                None => Ok(()),
            };
            match caught_up {
                Ok(()) => delay = RETRY_FIRST,
                Err(error) => {
                    warn!(%error, "orders to lock recordings wait");
                    sleep(delay).await;
                    delay = (delay * 2).min(RETRY_MAX);
                    continue;
                }
            }
            let is_other = |view: &Arc<View>| Some(view.roster.head().1) != head;
            tokio::select! {
                () = self.changed.notified() => {}
                Ok(_) = self.view.wait_for(is_other) => {}
                Ok(()) = self.cloud.changed() => {}
                () = sleep(POLL) => {}
            }
        }
    }

    /// Sees to what was changed after `done`, and moves it on.
    async fn catch_up(
        &self,
        cloud: &Cloud,
        view: &View,
        done: &mut u64,
        answered: &mut HashSet<Hash>,
    ) -> Result<(), AskError> {
        loop {
            let page = match cloud.lock_orders(*done).await {
                // A cloud of before, which has none.
                Err(error) if error.status().is_some_and(|status| status.as_u16() == 404) => return Ok(()),
                page => page?,
            };
            if page.orders.len() > LOCKS_MAX || (page.more && page.orders.is_empty()) {
                return Err(AskError::NoList("a page has another length than it may have"));
            }
            let (mut results, mut told) = (Vec::new(), Vec::new());
            let mut last = *done;
            for LockOrder { change, envelope } in page.orders {
                if change <= last {
                    return Err(AskError::NoList("its changes do not go on"));
                }
                last = change;
                let hash = seal::sha256(&envelope.payload.0);
                if answered.contains(&hash) {
                    continue;
                }
                if let Some(result) = self.see_to(&envelope, view).await? {
                    // What is refused may be allowed by a later roster.
                    told.extend(result.refused.is_none().then_some(hash));
                    results.push(result.sign(&self.identity.sign));
                }
            }
            if !results.is_empty() {
                cloud.tell_locks(results).await?;
            }
            if answered.len() > ANSWERED_MAX {
                answered.clear();
            }
            answered.extend(told);
            *done = last;
            if !page.more {
                return Ok(());
            }
        }
    }

    /// None: it is no order that anybody could be answered about.
    async fn see_to(&self, envelope: &Envelope, view: &View) -> anyhow::Result<Option<LockResult>> {
        let (now, own, roster) = (clock::now(), self.identity.id, &view.roster);
        let (bookmark, order) = match Bookmark::verify(envelope, roster, now) {
            Ok(taken) => taken,
            Err(error) => {
                debug!(%error, "an order to lock recordings does not count now");
                return self.taken_before(envelope, roster).await;
            }
        };
        let known = self.index.known_lock(bookmark.bookmark).await?;
        if known.is_some_and(|known| known.order == order) {
            return self.taken_before(envelope, roster).await;
        }
        let outcome = match judge(&bookmark, order, known, (own, roster), now) {
            Ok(person) => {
                let bytes_max = self.rules.borrow().policy.bytes_max;
                self.index.take_lock(&bookmark, order, person, bytes_max, now).await?
            }
            Err(refusal) => Err(refusal),
        };
        match &outcome {
            Ok(Locked { recordings, bytes, .. }) => {
                info!(bookmark = %bookmark.bookmark, camera = %bookmark.camera, recordings, bytes, "a lock was seen to");
            }
            Err(LockRefusal::Full) => error!(
                bookmark = %bookmark.bookmark,
                "recordings are not locked: locks may hold half of what may be recorded here"
            ),
            Err(refusal) => warn!(bookmark = %bookmark.bookmark, ?refusal, "recordings are not locked"),
        }
        Ok(Some(self.result(&bookmark, order, outcome)))
    }

    /// A lock outlives its author's device: what was taken stays, and is answered
    /// for. What this roster cannot judge is refused, if a device signed it: about
    /// what it did not, nothing is signed that could be shown beside a lock.
    async fn taken_before(&self, envelope: &Envelope, roster: &Roster) -> anyhow::Result<Option<LockResult>> {
        let Ok(bookmark) = seal::from_canonical::<Bookmark>(&envelope.payload.0) else {
            debug!("what the cloud sent is no bookmark");
            return Ok(None);
        };
        let order = seal::sha256(&envelope.payload.0);
        let known = self.index.known_lock(bookmark.bookmark).await?;
        let outcome = match known {
            Some(Known { order: taken, .. }) if taken == order => {
                Ok(self.index.held_by(&bookmark, clock::now()).await?)
            }
            _ if Bookmark::authentic(envelope, roster).is_ok() => Err(LockRefusal::NotAllowed),
            _ => return Ok(None),
        };
        Ok(Some(self.result(&bookmark, order, outcome)))
    }

    fn result(&self, bookmark: &Bookmark, order: Hash, outcome: Result<Locked, LockRefusal>) -> LockResult {
        let Locked { recordings, bytes, recorded_ms } = outcome.unwrap_or_default();
        LockResult {
            org: bookmark.org,
            gateway: self.identity.id,
            bookmark: bookmark.bookmark,
            order,
            at: clock::now(),
            refused: outcome.err(),
            recordings,
            bytes,
            recorded_ms,
        }
    }
}
