//! The sequencer: turns the entries of the history into a transparency log.
//! An entry counts from the moment it stands in SQL; a second later it is in
//! tiles in the store, under a checkpoint that clients and witnesses remember.
//! What does not fit what was published stops the log, and says so.

mod shelf;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context as _;
use model::{Hash, OrgId, Timestamp};
use seal::keys::SigningKey;
use seal::tlog::{self, Checkpoint, Edge, LogKey, Part, Tile};

pub(crate) use shelf::{Shelf, ShelfError};

use crate::app::App;
use crate::database::{Database, LogRow};
use crate::{batches, clock, keyfile, random};

/// The longest time from an entry to its checkpoint, on a quiet server.
const EVERY: Duration = Duration::from_secs(1);
/// Entries that one checkpoint adds at most.
const BATCH: u64 = 4_096;
/// A node that does not come back loses its lease after so long.
const LEASE_MS: u64 = 30 * Timestamp::SECOND;
const KEY_FILE: &str = "history-log.key";
const CHECKPOINT: &str = "checkpoint";

pub(crate) struct Log {
    key: SigningKey,
    shelf: Shelf,
    /// This process, among several.
    node: Hash,
    edges: Mutex<HashMap<OrgId, Edge>>,
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Log").field("shelf", &self.shelf).finish_non_exhaustive()
    }
}

/// Why the log stands still: what is stored does not fit what was published.
#[derive(Debug, thiserror::Error)]
enum Stop {
    #[error("{0}")]
    Fault(String),
    /// The next round tries again.
    #[error(transparent)]
    Now(#[from] anyhow::Error),
}

impl From<sqlx::Error> for Stop {
    fn from(error: sqlx::Error) -> Self {
        Stop::Now(error.into())
    }
}

impl From<ShelfError> for Stop {
    fn from(error: ShelfError) -> Self {
        match error {
            ShelfError::Fork(_) => Stop::Fault(error.to_string()),
            ShelfError::Store(error) => Stop::Now(error),
        }
    }
}

pub(crate) fn origin(org: OrgId) -> String {
    format!("lenskeep/{org}")
}

impl Log {
    pub(crate) fn open(data: &Path, shelf: Shelf) -> anyhow::Result<Self> {
        let key = keyfile::open(&data.join(KEY_FILE)).context("the key of the history's log")?;
        let node = random::token();
        Ok(Log { key, shelf, node, edges: Mutex::default() })
    }

    /// This process as the one that publishes; none while another is.
    pub(crate) async fn lease(&self, database: &Database, org: OrgId) -> sqlx::Result<Option<LogRow>> {
        let now = clock::now();
        database.lease_log(org, self.node, now, now.plus_ms(LEASE_MS)).await
    }

    /// What clients pin.
    pub(crate) fn public(&self, org: OrgId) -> LogKey {
        LogKey { name: origin(org), key: self.key.verifying_key() }
    }

    pub(crate) async fn tile(&self, org: OrgId, tile: Tile) -> anyhow::Result<Option<Vec<u8>>> {
        self.shelf.read(&format!("{org}/{}", tile.path())).await
    }

    /// The hashes of a proof, from the tiles of a log of `size` entries.
    pub(crate) async fn proof(&self, org: OrgId, size: u64, parts: Vec<Part>) -> anyhow::Result<Vec<Hash>> {
        let mut proof = Vec::with_capacity(parts.len());
        for part in parts {
            let mut hashes = Vec::with_capacity(part.len());
            for node in part {
                let (tile, range) = Tile::of(node, size);
                let bytes =
                    self.tile(org, tile).await?.with_context(|| format!("{} is missing", tile.path()))?;
                let hash = tile.hashes(&bytes)?.get(range).and_then(Tile::root);
                hashes.push(hash.context("a tile is too narrow")?);
            }
            proof.push(tlog::fold(&hashes).context("a proof has no empty parts")?);
        }
        Ok(proof)
    }
}

/// Runs until the server stops.
pub(crate) async fn run(app: Arc<App>) {
    // Somebody may have put things right; if not, the fault comes back.
    if let Err(error) = app.database.forget_log_faults().await {
        tracing::warn!("logs that stood still are not tried again: {error}");
    }
    loop {
        tokio::select! {
            () = app.shutdown.cancelled() => break,
            () = tokio::time::sleep(EVERY) => {}
        }
        if let Err(error) = app.journal.merge(&app.database).await {
            tracing::warn!(
                "what was done while the history could not be written is not in it yet: {error:#}"
            );
        }
        batches::round(&app, Duration::from_secs(app.config.history.recordings_seconds)).await;
        publish(&app).await;
    }
    // What was permitted and confirmed in the last moment is published too.
    batches::round(&app, Duration::ZERO).await;
    publish(&app).await;
    if let Err(error) = app.database.release_logs(app.log.node).await {
        tracing::warn!("another process must wait {} s to publish the history: {error}", LEASE_MS / 1_000);
    }
}

async fn publish(app: &App) {
    let logs = match app.database.unpublished_logs().await {
        Ok(logs) => logs,
        Err(error) => return tracing::warn!("the history cannot be published now: {error}"),
    };
    for org in logs {
        match extend(app, org).await {
            Ok(()) => {}
            Err(Stop::Now(error)) => tracing::warn!(%org, "the history cannot be published now: {error:#}"),
            Err(Stop::Fault(fault)) => {
                tracing::error!(%org, "the history does not fit what was published, and stops: {fault}");
                if let Err(error) = app.database.set_log_fault(org, &fault).await {
                    tracing::error!(%org, "and that could not be written down: {error}");
                }
            }
        }
    }
}

async fn extend(app: &App, org: OrgId) -> Result<(), Stop> {
    let log = &app.log;
    let Some(row) = log.lease(&app.database, org).await? else { return Ok(()) };
    let mut edge = match log.cached(org, row.size) {
        Some(edge) => edge,
        None => log.read_back(org, &row).await?,
    };
    let published = log.published(org).await?;
    let until = ahead(&edge, published.as_ref())?;
    let leaves = app.database.leaves(org, row.size, until.map_or(BATCH, |size| size - row.size)).await?;
    let mut tiles = Vec::new();
    for (expected, (seq, leaf)) in (row.size..).zip(&leaves) {
        if *seq != expected {
            return Err(Stop::Fault(format!("entry {expected} is missing from the database")));
        }
        tiles.extend(edge.push(leaf.as_bytes()));
    }
    if let (Some(size), Some(published)) = (until, &published)
        && (edge.size() != size || edge.root() != published.root)
    {
        return Err(Stop::Fault(format!(
            "the database holds {} entries that are not those of the published checkpoint of {size}",
            edge.size()
        )));
    }
    if leaves.is_empty() {
        return Ok(());
    }
    tiles.extend(edge.partials());
    for (tile, bytes) in &tiles {
        log.shelf.create(&format!("{org}/{}", tile.path()), bytes).await?;
    }
    let checkpoint = Checkpoint { origin: origin(org), size: edge.size(), root: edge.root() };
    let note = tlog::sign(&checkpoint, &log.key);
    log.shelf.put(&format!("{org}/{CHECKPOINT}"), note.as_bytes()).await?;
    // Only now may anybody see it: the store has all that it speaks of.
    if app.database.publish_log(org, log.node, row.size, edge.size(), &note).await? {
        log.edges.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(org, edge);
    }
    Ok(())
}

/// Where the store is ahead of the database, because we stopped in between:
/// the size that must be reached with the same root.
fn ahead(edge: &Edge, published: Option<&Checkpoint>) -> Result<Option<u64>, Stop> {
    match published {
        Some(published) if published.size > edge.size() => Ok(Some(published.size)),
        Some(published) if published.size == edge.size() && published.root != edge.root() => {
            Err(Stop::Fault(format!("the store's checkpoint of {} entries has another root", edge.size())))
        }
        Some(published) if published.size < edge.size() => {
            Err(Stop::Fault(format!("the store's checkpoint went back to {} entries", published.size)))
        }
        None if edge.size() > 0 => Err(Stop::Fault("the store's checkpoint is gone".to_owned())),
        _ => Ok(None),
    }
}

impl Log {
    fn cached(&self, org: OrgId, size: u64) -> Option<Edge> {
        let edges = self.edges.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        edges.get(&org).filter(|edge| edge.size() == size).cloned()
    }

    /// The edge from the tiles, held to the checkpoint in the database.
    async fn read_back(&self, org: OrgId, row: &LogRow) -> Result<Edge, Stop> {
        let mut parts = Vec::new();
        for tile in Edge::tiles(row.size) {
            let bytes = self.tile(org, tile).await?;
            parts.push(bytes.ok_or_else(|| Stop::Fault(format!("{} is gone from the store", tile.path())))?);
        }
        let edge = Edge::read(row.size, &parts).map_err(|error| Stop::Fault(error.to_string()))?;
        if row.size > 0 {
            let signed = Checkpoint::verify(&row.note, &self.public(org)).map_err(|error| {
                Stop::Fault(format!("the checkpoint in the database is not ours: {error}"))
            })?;
            if signed.size != row.size || signed.root != edge.root() {
                return Err(Stop::Fault("the tiles in the store are not those of the checkpoint".to_owned()));
            }
        }
        Ok(edge)
    }

    async fn published(&self, org: OrgId) -> Result<Option<Checkpoint>, Stop> {
        let Some(bytes) = self.shelf.read(&format!("{org}/{CHECKPOINT}")).await? else { return Ok(None) };
        let note = String::from_utf8(bytes)
            .map_err(|_| Stop::Fault("the store's checkpoint is no text".to_owned()))?;
        let checkpoint = Checkpoint::verify(&note, &self.public(org))
            .map_err(|error| Stop::Fault(format!("the store's checkpoint is not ours: {error}")))?;
        Ok(Some(checkpoint))
    }
}
