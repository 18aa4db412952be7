//! The history's chain in SQL. One row of `organisations` is its head: whoever
//! extends the chain changes that row first, which makes others wait.

use cloud_core::{Entry, History, Receipt, chain_hash};
use model::{Hash, OrgId, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Database, Transaction, params};

/// An entry as administrators read it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = HistoryEntry)]
pub(crate) struct HistoryRow {
    pub(crate) seq: u64,
    #[schema(value_type = u64)]
    pub(crate) at: Timestamp,
    pub(crate) actor: String,
    pub(crate) action: String,
    pub(crate) resource: String,
    #[schema(value_type = String)]
    pub(crate) hash: Hash,
}

impl History for Database {
    type Error = sqlx::Error;

    async fn append(&self, entries: &[Entry]) -> sqlx::Result<Vec<Receipt>> {
        let mut transaction = self.begin().await?;
        let receipts = transaction.append_history(entries).await?;
        transaction.commit().await?;
        Ok(receipts)
    }
}

impl Transaction {
    pub(crate) async fn append_history(&mut self, entries: &[Entry]) -> sqlx::Result<Vec<Receipt>> {
        let Some(first) = entries.first() else { return Ok(Vec::new()) };
        // Takes the row's lock on PostgreSQL; SQLite holds the write lock already.
        let sql = "UPDATE organisations SET history_next = history_next + $1 WHERE org = $2 \
                   RETURNING history_next, history_head";
        let count = entries.len() as u64;
        let row = self.optional(sql, params![count, first.org]).await?.ok_or(sqlx::Error::RowNotFound)?;
        let (start, mut previous): (u64, Hash) = (row.number(0)? - count, row.parsed(1)?);
        let mut receipts = Vec::with_capacity(entries.len());
        for (seq, entry) in (start..).zip(entries) {
            let hash = chain_hash(previous, seq, entry);
            self.add_history(seq, entry, hash).await?;
            receipts.push(Receipt { seq, previous, hash });
            previous = hash;
        }
        let sql = "UPDATE organisations SET history_head = $1 WHERE org = $2";
        self.execute(sql, params![previous, first.org]).await?;
        Ok(receipts)
    }

    async fn add_history(&mut self, seq: u64, entry: &Entry, hash: Hash) -> sqlx::Result<()> {
        let sql = "INSERT INTO history (org, seq, at, actor, action, resource, hash) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7)";
        let Entry { org, at, actor, action, resource } = entry;
        let values = params![*org, seq, *at, actor.as_str(), action.as_str(), resource.as_str(), hash];
        self.execute(sql, values).await.map(drop)
    }
}

impl Database {
    /// Newest first; `before` is the position after the first one wanted.
    pub(crate) async fn history(&self, org: OrgId, before: u64, limit: u64) -> sqlx::Result<Vec<HistoryRow>> {
        let sql = "SELECT seq, at, actor, action, resource, hash FROM history \
                   WHERE org = $1 AND seq < $2 ORDER BY seq DESC LIMIT $3";
        let rows = self.all(sql, params![org, before, limit]).await?;
        rows.iter()
            .map(|row| {
                Ok(HistoryRow {
                    seq: row.number(0)?,
                    at: row.time(1)?,
                    actor: row.text(2)?,
                    action: row.text(3)?,
                    resource: row.text(4)?,
                    hash: row.parsed(5)?,
                })
            })
            .collect()
    }
}
