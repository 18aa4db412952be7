//! The history in SQL, as a chain; `log` publishes it. One row of `organisations` is its head: whoever
//! extends the chain changes that row first, which makes others wait.

use cloud_core::{Entry, History, Receipt, References, chain_hash};
use model::{DeviceId, Hash, OrgId, RequestId, Timestamp};
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
    /// The entry as the log holds it, with people by reference.
    pub(crate) leaf: String,
    #[schema(value_type = Option<String>)]
    pub(crate) device: Option<DeviceId>,
    /// SHA-256 of the payload that a device signed for it.
    #[schema(value_type = Option<String>)]
    pub(crate) signature: Option<Hash>,
    /// The set of policies that was asked.
    #[schema(value_type = Option<String>)]
    pub(crate) policy: Option<Hash>,
    /// Digest of the posture that its conditions read; null if they read none.
    #[schema(value_type = Option<String>)]
    pub(crate) posture: Option<Hash>,
    /// The request that caused it.
    #[schema(value_type = Option<String>)]
    pub(crate) request: Option<RequestId>,
    /// How often it was refused; null if it was permitted.
    pub(crate) refused: Option<u64>,
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
            let mut references = References::new();
            for person in entry.people() {
                references.insert(person, self.reference(entry.org, person).await?);
            }
            let leaf = entry.leaf(seq, &references).expect("every person of the entry has a reference");
            let hash = chain_hash(previous, &leaf);
            self.add_history(seq, entry, &leaf, hash).await?;
            receipts.push(Receipt { seq, previous, hash, references });
            previous = hash;
        }
        let sql = "UPDATE organisations SET history_head = $1 WHERE org = $2";
        self.execute(sql, params![previous, first.org]).await?;
        Ok(receipts)
    }

    async fn add_history(&mut self, seq: u64, entry: &Entry, leaf: &str, hash: Hash) -> sqlx::Result<()> {
        let sql = "INSERT INTO history (org, seq, at, actor, action, resource, hash, leaf, device, signature, policy, refused, posture, request) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)";
        let Entry { org, at, actor, device, action, resource, signature, policy, posture, request, refused } =
            entry;
        let text = |hash: &Option<Hash>| hash.map(|hash| hash.to_string());
        let (device, request) = (device.map(|id| id.to_string()), request.map(|id| id.to_string()));
        let (signature, policy, posture) = (text(signature), text(policy), text(posture));
        let (actor, action, resource) = (actor.as_str(), action.as_str(), resource.as_str());
        let values = params![
            *org, seq, *at, actor, action, resource, hash, leaf, device, signature, policy, *refused,
            posture, request
        ];
        self.execute(sql, values).await.map(drop)
    }
}

/// Which entries are wanted; absent texts want all.
#[derive(Debug)]
pub(crate) struct Filter {
    /// The position after the first one wanted.
    pub(crate) before: u64,
    pub(crate) limit: u64,
    pub(crate) actor: Option<String>,
    pub(crate) action: Option<String>,
    /// The action that is not.
    pub(crate) without: Option<String>,
    /// Part of the resource.
    pub(crate) about: Option<String>,
    pub(crate) request: Option<String>,
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
}

impl Database {
    /// Newest first.
    pub(crate) async fn history(&self, org: OrgId, filter: Filter) -> sqlx::Result<Vec<HistoryRow>> {
        let sql = "SELECT seq, at, actor, action, resource, hash, leaf, device, signature, policy, refused, posture, request FROM history \
                   WHERE org = $1 AND seq < $2 AND at >= $3 AND at <= $4 AND ($5 = '' OR actor = $5) \
                   AND ($6 = '' OR action = $6) AND ($7 = '' OR REPLACE(resource, $7, '') <> resource) \
                   AND ($8 = '' OR request = $8) AND ($9 = '' OR action <> $9) ORDER BY seq DESC LIMIT $10";
        let Filter { before, limit, actor, action, without, about, request, from, to } = filter;
        let wanted = |text: Option<String>| text.unwrap_or_default();
        let (actor, action, about, request) = (wanted(actor), wanted(action), wanted(about), wanted(request));
        let values = params![org, before, from, to, actor, action, about, request, wanted(without), limit];
        let rows = self.all(sql, values).await?;
        rows.iter()
            .map(|row| {
                Ok(HistoryRow {
                    seq: row.number(0)?,
                    at: row.time(1)?,
                    actor: row.text(2)?,
                    action: row.text(3)?,
                    resource: row.text(4)?,
                    hash: row.parsed(5)?,
                    leaf: row.text(6)?,
                    device: row.text_or_null(7)?.map(|_| row.parsed(7)).transpose()?,
                    signature: row.text_or_null(8)?.map(|_| row.parsed(8)).transpose()?,
                    policy: row.text_or_null(9)?.map(|_| row.parsed(9)).transpose()?,
                    refused: row.number_or_null(10)?,
                    posture: row.text_or_null(11)?.map(|_| row.parsed(11)).transpose()?,
                    request: row.text_or_null(12)?.map(|_| row.parsed(12)).transpose()?,
                })
            })
            .collect()
    }
}
