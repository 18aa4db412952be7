//! Confirmed recordings go into the history, so that it shows later that they
//! were there: at most once a minute one entry for all of an organisation that
//! wait (design note 0015). Gateways are not kept waiting for it. What could
//! not be written waits for the next round.

use std::time::Duration;

use model::{OrgId, Timestamp};
use seal::dating::{BATCH_MAX, Before, CHECKPOINTS_MAX, Dating, Published, Stored};
use seal::tlog;

use crate::app::App;
use crate::clock;

/// Batches of one round: a server that was upgraded has years of recordings.
const ROUND_MAX: usize = 4;
/// What gateways sign is kept while a batch has fewer signatures than this.
/// Those of witnesses outside are all kept.
const GATEWAYS_KEPT: u64 = 3;

pub(crate) async fn round(app: &App, every: Duration) {
    let waiting = match app.database.with_waiting_recordings().await {
        Ok(waiting) => waiting,
        Err(error) => return tracing::warn!("recordings wait for the history: {error}"),
    };
    for org in waiting {
        if let Err(error) = enter(app, org, every).await {
            tracing::warn!(%org, "recordings wait for the history: {error}");
        }
    }
}

async fn enter(app: &App, org: OrgId, every: Duration) -> sqlx::Result<()> {
    let now = clock::now();
    // A clock that was set back does not stop it.
    let last = app.database.last_batch_at(org).await?.filter(|last| *last <= now);
    if last.is_some_and(|last| u128::from(now.ms_since(last)) < every.as_millis()) {
        return Ok(());
    }
    for _ in 0..ROUND_MAX {
        if app.database.add_batch(org, now).await? < BATCH_MAX {
            break;
        }
    }
    Ok(())
}

/// A gateway has signed a checkpoint that was verified.
pub(crate) async fn signed_by_gateway(
    app: &App,
    org: OrgId,
    gateway: &str,
    checkpoint: (u64, &str),
    now: Timestamp,
) -> sqlx::Result<()> {
    app.database.add_batch_witness(org, gateway, checkpoint, GATEWAYS_KEPT, now).await
}

/// So has a witness outside.
pub(crate) async fn signed_outside(
    app: &App,
    org: OrgId,
    name: &str,
    checkpoint: (u64, &str),
    now: Timestamp,
) -> sqlx::Result<()> {
    app.database.add_batch_witness(org, name, checkpoint, u64::MAX >> 1, now).await
}

/// What the history shows of a recording, whose header may hold a checkpoint of
/// `checkpoint` entries.
pub(crate) async fn dating(
    app: &App,
    org: OrgId,
    recording: model::Hash,
    checkpoint: Option<u64>,
) -> anyhow::Result<Dating> {
    let log = app.log.public(org).verifier_key();
    let published = app.database.log(org).await?.filter(|row| row.size > 0);
    let size = published.as_ref().map_or(0, |row| row.size);
    let before = match checkpoint.filter(|checkpoint| *checkpoint <= size) {
        Some(checkpoint) => before(app, org, checkpoint).await?,
        None => None,
    };
    let stored = match (app.database.place(org, recording).await?, published) {
        (Some(place), Some(published)) if place.seq < size => {
            let mut checkpoints = Vec::new();
            for (size, note) in shown_by(app, org, place.seq, (size, published.note)).await? {
                let parts = tlog::inclusion(place.seq, size).unwrap_or_default();
                checkpoints.push(Published { note, proof: app.log.proof(org, size, parts).await? });
            }
            let path = place.batch.path(place.index as usize);
            let leaf = app.database.leaves(org, place.seq, 1).await?.pop().map(|(_, leaf)| leaf);
            path.zip(leaf).map(|(path, leaf)| Stored {
                index: place.index as u32,
                count: place.batch.leaves().len() as u32,
                path,
                seq: place.seq,
                leaf,
                checkpoints,
            })
        }
        _ => None,
    };
    Ok(Dating { log, before, stored })
}

/// Of the entries before a checkpoint one that says nothing of anybody.
async fn before(app: &App, org: OrgId, checkpoint: u64) -> anyhow::Result<Option<Before>> {
    let Some(seq) = app.database.last_batch_before(org, checkpoint).await? else { return Ok(None) };
    let Some((_, leaf)) = app.database.leaves(org, seq, 1).await?.pop() else { return Ok(None) };
    let parts = tlog::inclusion(seq, checkpoint).unwrap_or_default();
    // Of a size that was never published there are no tiles, and so no proof.
    let proof = app.log.proof(org, checkpoint, parts).await.ok();
    Ok(proof.map(|proof| Before { seq, leaf, proof }))
}

/// Checkpoints with the entry: the first that witnesses signed; the newest where
/// there are none.
async fn shown_by(
    app: &App,
    org: OrgId,
    seq: u64,
    newest: (u64, String),
) -> anyhow::Result<Vec<(u64, String)>> {
    let mut joined: Vec<(u64, String)> = Vec::new();
    for (size, note) in app.database.batch_witnesses(org, seq).await? {
        match joined.last_mut() {
            Some((last, joined)) if *last == size => *joined = tlog::join(joined, &note),
            _ => joined.push((size, note)),
        }
    }
    joined.truncate(CHECKPOINTS_MAX);
    if joined.is_empty() {
        joined.push(newest);
    }
    Ok(joined)
}
