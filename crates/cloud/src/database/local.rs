//! Journals of gateways' local ways on their way into the history: each entry
//! once, whatever is told twice.

use cloud_core::Entry;
use model::wire::Envelope;
use model::{Hash, Timestamp};
use seal::local::{JournalEntry, LocalJournal};

use super::{Database, approvals, params};

/// What there is to write for what is news of a part.
#[derive(Debug)]
pub(crate) struct News<'p> {
    /// The gateway begins a journal: its first, or one in place of another.
    pub(crate) begins: bool,
    /// Entries before these are missing, or others than were told.
    pub(crate) gap: bool,
    pub(crate) entries: &'p [JournalEntry],
}

impl Database {
    /// In one transaction: what is news, its entries in the history, the
    /// signatures that they name, and how far the journal has come.
    pub(crate) async fn merge_journal(
        &self,
        part: &LocalJournal,
        signatures: &[(Hash, Envelope)],
        now: Timestamp,
        write: impl FnOnce(News<'_>) -> Vec<Entry>,
    ) -> sqlx::Result<()> {
        let LocalJournal { org, gateway, journal, entries } = part;
        let mut transaction = self.begin().await?;
        let sql = "INSERT INTO local_journals (org, gateway, journal, next, head, told_at) \
                   VALUES ($1, $2, $3, 0, $4, $5) ON CONFLICT (org, gateway, journal) DO NOTHING";
        let begins =
            transaction.execute(sql, params![*org, *gateway, *journal, Hash::default(), now]).await? == 1;
        // Takes the row's lock: two nodes that are told the same wait for each other.
        let sql = "UPDATE local_journals SET told_at = $4 WHERE org = $1 AND gateway = $2 AND journal = $3 \
                   RETURNING next, head";
        let row = transaction.optional(sql, params![*org, *gateway, *journal, now]).await?;
        let row = row.ok_or(sqlx::Error::RowNotFound)?;
        let (next, head): (u64, Hash) = (row.number(0)?, row.parsed(1)?);
        let first_new = entries.partition_point(|entry| entry.seq < next);
        let news = &entries[first_new..];
        let (Some(first), Some(last)) = (news.first(), news.last()) else {
            return transaction.commit().await;
        };
        let gap = first.seq != next || first.previous != head;
        for (hash, envelope) in signatures {
            let sql = "INSERT INTO signatures (org, hash, envelope, at) VALUES ($1, $2, $3, $4) \
                       ON CONFLICT (org, hash) DO NOTHING";
            transaction.execute(sql, params![*org, *hash, approvals::json(envelope), now]).await?;
        }
        transaction.append_history(&write(News { begins, gap, entries: news })).await?;
        let sql = "UPDATE local_journals SET next = $4, head = $5 \
                   WHERE org = $1 AND gateway = $2 AND journal = $3";
        transaction.execute(sql, params![*org, *gateway, *journal, last.seq + 1, last.hash()]).await?;
        transaction.commit().await
    }
}
