//! What took rights away while the history could not be written: it acted
//! first, stands here at once, and goes into the history as soon as that works
//! again. Lines of JSON in the data folder, flushed one by one.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use cloud_core::{Entry, History as _, Permit};
use tokio::sync::Mutex;

use crate::app::App;
use crate::database::Database;

const FILE: &str = "history-journal.jsonl";
/// Far more than anybody revokes during an outage; beyond it the log of the
/// server is all there is.
const BYTES_MAX: u64 = 16 << 20;

#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    /// One at a time: a line that is written while others are merged would be
    /// removed with them.
    turn: Mutex<()>,
}

impl Journal {
    pub(crate) fn at(data: &Path) -> Self {
        Journal { path: data.join(FILE), turn: Mutex::default() }
    }

    async fn write(&self, entry: &Entry) -> anyhow::Result<()> {
        let _turn = self.turn.lock().await;
        let mut line = serde_json::to_vec(entry)?;
        line.push(b'\n');
        let mut file = std::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(&self.path)?;
        anyhow::ensure!(file.metadata()?.len() < BYTES_MAX, "the journal is full");
        file.write_all(&line)?;
        Ok(file.sync_all()?)
    }

    /// Moves what stands here into the history. A crash in between repeats an
    /// entry and loses none.
    pub(crate) async fn merge(&self, database: &Database) -> anyhow::Result<()> {
        let _turn = self.turn.lock().await;
        let text = match std::fs::read_to_string(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            text => text.with_context(|| format!("{} could not be read", self.path.display()))?,
        };
        let mut entries: BTreeMap<_, Vec<Entry>> = BTreeMap::new();
        for line in text.lines() {
            match serde_json::from_str::<Entry>(line) {
                Ok(entry) => entries.entry(entry.org).or_default().push(entry),
                // Torn by a power cut: it was not acknowledged.
                Err(error) => tracing::warn!("a line of the history's journal is torn: {error}"),
            }
        }
        for entries in entries.values() {
            database.append(entries).await.context("the history still cannot be written")?;
        }
        std::fs::remove_file(&self.path)
            .with_context(|| format!("{} could not be removed", self.path.display()))
    }
}

impl App {
    /// For what has acted already, because it only takes rights away.
    pub(crate) async fn record_after(&self, permit: Permit) {
        let entry = permit.entry().clone();
        let Err(error) = permit.record(&self.recorder).await else { return };
        let (org, action) = (entry.org, &entry.action);
        tracing::error!(%org, action, "done, and not in the history yet: {error}");
        if let Err(error) = self.journal.write(&entry).await {
            tracing::error!(%org, action, resource = %entry.resource, "nor in the journal: {error:#}");
        }
    }
}
