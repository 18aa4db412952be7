//! Group commit: entries of the history that wait at the same time are written
//! in one transaction, by whoever has the turn. A disk flushes once for all of
//! them, and nobody acts before the flush that holds their own.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use cloud_core::{Entry, History, Receipt};
use tokio::sync::oneshot;

use crate::database::Database;

#[derive(Debug)]
pub(crate) struct Recorder {
    database: Database,
    waiting: Mutex<Vec<Waiting>>,
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// Entries of one organisation that belong together.
#[derive(Debug)]
struct Waiting {
    entries: Vec<Entry>,
    answer: oneshot::Sender<sqlx::Result<Vec<Receipt>>>,
}

impl Recorder {
    pub(crate) fn new(database: Database) -> Self {
        Recorder { database, waiting: Mutex::default(), turn: Arc::default() }
    }
}

impl History for Recorder {
    type Error = sqlx::Error;

    async fn append(&self, entries: &[Entry]) -> sqlx::Result<Vec<Receipt>> {
        let (answer, mut answered) = oneshot::channel();
        let waiting = Waiting { entries: entries.to_vec(), answer };
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(waiting);
        let turn = self.turn.clone().lock_owned().await;
        // Whoever had it before has often written ours too.
        if let Ok(written) = answered.try_recv() {
            return written;
        }
        let all = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        let database = self.database.clone();
        // A task of its own: this request may be given up, and others wait.
        tokio::spawn(async move {
            write(&database, all).await;
            drop(turn);
        });
        answered.await.unwrap_or(Err(sqlx::Error::WorkerCrashed))
    }
}

async fn write(database: &Database, all: Vec<Waiting>) {
    let mut by_org: BTreeMap<_, Vec<Waiting>> = BTreeMap::new();
    for waiting in all {
        by_org.entry(waiting.entries.first().map(|entry| entry.org)).or_default().push(waiting);
    }
    for mut group in by_org.into_values() {
        let entries: Vec<Entry> = group.iter().flat_map(|waiting| waiting.entries.iter().cloned()).collect();
        match database.append(&entries).await {
            Ok(receipts) => {
                let mut receipts = receipts.into_iter();
                for Waiting { entries, answer } in group {
                    // Nobody may be there any more to hear it.
                    let _ = answer.send(Ok(receipts.by_ref().take(entries.len()).collect()));
                }
            }
            Err(error) if group.len() == 1 => {
                if let Some(Waiting { answer, .. }) = group.pop() {
                    let _ = answer.send(Err(error));
                }
            }
            // Each has its own answer: the fault may be of one of them.
            Err(_) => {
                for Waiting { entries, answer } in group {
                    let _ = answer.send(database.append(&entries).await);
                }
            }
        }
    }
}
