//! Batches of recordings in the history, and which witnesses have signed them.

use cloud_core::Entry;
use model::wire::Recording;
use model::{Hash, OrgId, Timestamp};
use seal::dating::{BATCH_MAX, BATCH_OPERATION, Batch, CHECKPOINTS_MAX};

use super::{Database, params};

/// Who stands in the history where the server itself wrote.
const SERVER: &str = "cloud";
/// What a witness signs later shows nothing that others have not shown.
const SIGNED_WITHIN_MS: u64 = Timestamp::HOUR;

/// A recording's place in the history.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) seq: u64,
    pub(crate) index: u64,
    pub(crate) batch: Batch,
}

impl Database {
    /// Organisations of which recordings wait.
    pub(crate) async fn with_waiting_recordings(&self) -> sqlx::Result<Vec<OrgId>> {
        let sql = "SELECT o.org FROM organisations o WHERE EXISTS \
                   (SELECT 1 FROM recordings r WHERE r.org = o.org AND r.batch IS NULL)";
        self.all(sql, vec![]).await?.iter().map(|row| row.parsed(0)).collect()
    }

    pub(crate) async fn last_batch_at(&self, org: OrgId) -> sqlx::Result<Option<Timestamp>> {
        let sql = "SELECT at FROM recording_batches WHERE org = $1 ORDER BY at DESC LIMIT 1";
        self.optional(sql, params![org]).await?.map(|row| row.time(0)).transpose()
    }

    /// One entry of the history for what waits, the newest first. Returns how
    /// many recordings it stands for.
    pub(crate) async fn add_batch(&self, org: OrgId, now: Timestamp) -> sqlx::Result<usize> {
        let mut transaction = self.begin().await?;
        // The lock that entries take: no two processes put a recording into two batches.
        let sql = "UPDATE organisations SET history_next = history_next WHERE org = $1";
        transaction.execute(sql, params![org]).await?;
        let sql = "SELECT recording FROM recordings WHERE org = $1 AND batch IS NULL \
                   ORDER BY confirmed_at DESC, id LIMIT $2";
        let rows = transaction.all(sql, params![org, BATCH_MAX as u64]).await?;
        let waiting: Vec<Recording> = rows.iter().map(|row| row.json(0)).collect::<sqlx::Result<_>>()?;
        if waiting.is_empty() {
            return Ok(0);
        }
        let mut batch = Batch::default();
        waiting.iter().for_each(|recording| batch.push(recording.id, recording.root));
        let entry = Entry {
            org,
            at: now,
            actor: SERVER.to_owned(),
            device: None,
            action: BATCH_OPERATION.to_owned(),
            resource: batch.resource(),
            signature: None,
            policy: None,
            posture: None,
            request: None,
            refused: None,
        };
        let receipts = transaction.append_history(&[entry]).await?;
        let seq = receipts.first().ok_or(sqlx::Error::RowNotFound)?.seq;
        let leaves: String = batch.leaves().iter().map(Hash::to_string).collect();
        let sql = "INSERT INTO recording_batches (org, seq, at, leaves) VALUES ($1, $2, $3, $4)";
        transaction.execute(sql, params![org, seq, now, leaves]).await?;
        for (index, recording) in (0_u64..).zip(&waiting) {
            let sql = "UPDATE recordings SET batch = $1, batch_index = $2 WHERE org = $3 AND id = $4";
            transaction.execute(sql, params![seq, index, org, recording.id]).await?;
        }
        transaction.commit().await?;
        Ok(waiting.len())
    }

    pub(crate) async fn place(&self, org: OrgId, recording: Hash) -> sqlx::Result<Option<Place>> {
        let sql = "SELECT b.seq, r.batch_index, b.leaves FROM recordings r \
                   JOIN recording_batches b ON b.org = r.org AND b.seq = r.batch \
                   WHERE r.org = $1 AND r.id = $2";
        let Some(row) = self.optional(sql, params![org, recording]).await? else { return Ok(None) };
        let text = row.text(2)?;
        let leaves = text.as_bytes().chunks(64).map(|hex| {
            let hash = std::str::from_utf8(hex).ok().and_then(|hex| hex.parse::<Hash>().ok());
            hash.ok_or_else(|| sqlx::Error::Decode("recording_batches.leaves is damaged".into()))
        });
        let batch = Batch::from_leaves(leaves.collect::<sqlx::Result<_>>()?);
        Ok(Some(Place { seq: row.number(0)?, index: row.number(1)?, batch }))
    }

    /// The newest batch that the log of `size` entries holds.
    pub(crate) async fn last_batch_before(&self, org: OrgId, size: u64) -> sqlx::Result<Option<u64>> {
        let sql = "SELECT seq FROM recording_batches WHERE org = $1 AND seq < $2 ORDER BY seq DESC LIMIT 1";
        self.optional(sql, params![org, size]).await?.map(|row| row.number(0)).transpose()
    }

    /// Keeps what a witness signed for the batches that it is the first to
    /// show; of each at most `most` witnesses.
    pub(crate) async fn add_batch_witness(
        &self,
        org: OrgId,
        witness: &str,
        (size, note): (u64, &str),
        most: u64,
        now: Timestamp,
    ) -> sqlx::Result<()> {
        let since = Timestamp(now.0.saturating_sub(SIGNED_WITHIN_MS));
        let sql = "INSERT INTO batch_witnesses (org, seq, witness, size, note) \
                   SELECT b.org, b.seq, $2, $3, $4 FROM recording_batches b \
                   WHERE b.org = $1 AND b.seq < $3 AND b.at >= $5 AND \
                   (SELECT COUNT(*) FROM batch_witnesses w WHERE w.org = b.org AND w.seq = b.seq) < $6 \
                   ON CONFLICT (org, seq, witness) DO NOTHING";
        self.execute(sql, params![org, witness, size, note, since, most]).await.map(drop)
    }

    /// Sizes and notes, the smallest first.
    pub(crate) async fn batch_witnesses(&self, org: OrgId, seq: u64) -> sqlx::Result<Vec<(u64, String)>> {
        let sql = "SELECT size, note FROM batch_witnesses WHERE org = $1 AND seq = $2 \
                   ORDER BY size, witness LIMIT $3";
        let rows = self.all(sql, params![org, seq, 2 * CHECKPOINTS_MAX as u64]).await?;
        rows.iter().map(|row| Ok((row.number(0)?, row.text(1)?))).collect()
    }
}
