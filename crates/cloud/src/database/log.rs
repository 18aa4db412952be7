//! How far the history's logs are published, and what comes next.

use cloud_core::{Audited, Permit};
use model::{Hash, OrgId, PersonId, Timestamp};

use super::{Database, Transaction, params};
use crate::random;

#[derive(Clone, Debug)]
pub(crate) struct LogRow {
    pub(crate) size: u64,
    /// Empty before the first checkpoint.
    pub(crate) note: String,
    pub(crate) fault: Option<String>,
}

impl Database {
    /// Organisations whose history goes on beyond their log.
    pub(crate) async fn unpublished_logs(&self) -> sqlx::Result<Vec<OrgId>> {
        let sql = "SELECT o.org FROM organisations o LEFT JOIN history_logs l ON l.org = o.org \
                   WHERE l.org IS NULL OR (l.fault IS NULL AND l.size <> o.history_next)";
        self.all(sql, vec![]).await?.iter().map(|row| row.parsed(0)).collect()
    }

    pub(crate) async fn log(&self, org: OrgId) -> sqlx::Result<Option<LogRow>> {
        let sql = "SELECT size, note, fault FROM history_logs WHERE org = $1";
        let row = self.optional(sql, params![org]).await?;
        row.map(|row| Ok(LogRow { size: row.number(0)?, note: row.text(1)?, fault: row.text_or_null(2)? }))
            .transpose()
    }

    /// Takes or keeps the lease; none while another node has it.
    pub(crate) async fn lease_log(
        &self,
        org: OrgId,
        node: Hash,
        now: Timestamp,
        until: Timestamp,
    ) -> sqlx::Result<Option<LogRow>> {
        let sql = "INSERT INTO history_logs (org, size, note, lease_node, lease_until, fault) \
                   VALUES ($1, 0, '', $2, $3, NULL) ON CONFLICT (org) DO NOTHING";
        self.execute(sql, params![org, node, until]).await?;
        let sql = "UPDATE history_logs SET lease_node = $1, lease_until = $2 \
                   WHERE org = $3 AND (lease_node = $1 OR lease_until < $4) RETURNING size, note, fault";
        let row = self.optional(sql, params![node, until, org, now]).await?;
        row.map(|row| Ok(LogRow { size: row.number(0)?, note: row.text(1)?, fault: row.text_or_null(2)? }))
            .transpose()
    }

    pub(crate) async fn release_logs(&self, node: Hash) -> sqlx::Result<()> {
        let sql = "UPDATE history_logs SET lease_until = 0 WHERE lease_node = $1";
        self.execute(sql, params![node]).await.map(drop)
    }

    /// The first entry that was not sent to the collector of events.
    pub(crate) async fn next_export(&self, org: OrgId) -> sqlx::Result<u64> {
        let row = self.optional("SELECT next FROM history_exports WHERE org = $1", params![org]).await?;
        row.map_or(Ok(0), |row| row.number(0))
    }

    pub(crate) async fn set_next_export(&self, org: OrgId, next: u64) -> sqlx::Result<()> {
        let sql = "INSERT INTO history_exports (org, next) VALUES ($1, $2) \
                   ON CONFLICT (org) DO UPDATE SET next = excluded.next";
        self.execute(sql, params![org, next]).await.map(drop)
    }

    /// False if somebody else was quicker, lease or not.
    pub(crate) async fn publish_log(
        &self,
        org: OrgId,
        node: Hash,
        before: u64,
        size: u64,
        note: &str,
    ) -> sqlx::Result<bool> {
        let sql =
            "UPDATE history_logs SET size = $1, note = $2 WHERE org = $3 AND lease_node = $4 AND size = $5";
        Ok(self.execute(sql, params![size, note, org, node, before]).await? == 1)
    }

    pub(crate) async fn set_log_fault(&self, org: OrgId, fault: &str) -> sqlx::Result<()> {
        let sql = "UPDATE history_logs SET fault = $1 WHERE org = $2";
        self.execute(sql, params![fault, org]).await.map(drop)
    }

    pub(crate) async fn forget_log_faults(&self) -> sqlx::Result<()> {
        self.execute("UPDATE history_logs SET fault = NULL", vec![]).await.map(drop)
    }

    /// Positions and leaves from `first` on, in order.
    pub(crate) async fn leaves(
        &self,
        org: OrgId,
        first: u64,
        limit: u64,
    ) -> sqlx::Result<Vec<(u64, String)>> {
        let sql = "SELECT seq, leaf FROM history WHERE org = $1 AND seq >= $2 ORDER BY seq LIMIT $3";
        let rows = self.all(sql, params![org, first, limit]).await?;
        rows.iter().map(|row| Ok((row.number(0)?, row.text(1)?))).collect()
    }
}

impl Transaction {
    /// Forgets who somebody was. The id stays taken, and means nobody; the log
    /// keeps the references, which nothing leads back to without the salt.
    pub(crate) async fn erase_person(
        &mut self,
        org: OrgId,
        person: PersonId,
        now: Timestamp,
        _audited: &Audited<Permit>,
    ) -> sqlx::Result<()> {
        let reference = format!("ref_{}", self.reference(org, person).await?);
        for sql in [
            "UPDATE history SET actor = $3 WHERE org = $1 AND actor = $2",
            "UPDATE history SET resource = $3 WHERE org = $1 AND resource = $2",
        ] {
            self.execute(sql, params![org, person, reference.as_str()]).await?;
        }
        for sql in [
            "DELETE FROM person_salts WHERE org = $1 AND person = $2",
            "DELETE FROM sessions WHERE org = $1 AND person = $2",
            "DELETE FROM passkeys WHERE org = $1 AND person = $2",
            "DELETE FROM password_logins WHERE org = $1 AND person = $2",
            "DELETE FROM recovery_codes WHERE org = $1 AND person = $2",
            "DELETE FROM one_time_tokens WHERE org = $1 AND person = $2",
            "DELETE FROM device_requests WHERE org = $1 AND person = $2",
            "DELETE FROM reasons WHERE org = $1 AND person = $2",
            "DELETE FROM walls WHERE org = $1 AND person = $2 AND shared = 0",
            "DELETE FROM reviewed_events WHERE org = $1 AND person = $2",
            // What is locked is evidence, and stays without a name.
            "UPDATE bookmarks SET removed = 1 WHERE org = $1 AND person = $2 AND locked = 0",
            "DELETE FROM bookmarks WHERE org = $1 AND person = $2 AND locked = 0 AND (change IS NULL OR result IS NOT NULL)",
            "UPDATE bookmarks SET person = NULL WHERE org = $1 AND person = $2",
            "DELETE FROM notice_orders WHERE org = $1 AND person = $2",
            "DELETE FROM push_subscriptions WHERE org = $1 AND person = $2",
            "DELETE FROM mail_addresses WHERE org = $1 AND person = $2",
            "UPDATE walls SET person = NULL WHERE org = $1 AND person = $2",
            "UPDATE proposals SET reason = '' WHERE org = $1 AND person = $2",
            "DELETE FROM identities WHERE org = $1 AND person = $2",
            "DELETE FROM provider_groups WHERE org = $1 AND person = $2",
            "DELETE FROM directory_members WHERE org = $1 AND person = $2",
            "DELETE FROM directory_people WHERE org = $1 AND person = $2",
        ] {
            self.execute(sql, params![org, person]).await?;
        }
        let sql = "UPDATE people SET name = '', disabled_at = $3 WHERE org = $1 AND person = $2";
        self.execute(sql, params![org, person, now]).await?;
        let sql = "UPDATE shares SET ended_at = COALESCE(ended_at, $3) WHERE org = $1 AND person = $2";
        self.execute(sql, params![org, person, now]).await?;
        self.directory_changed(org).await
    }

    /// What stands for a person in the leaves; the salt is made when it is
    /// first needed.
    pub(crate) async fn reference(&mut self, org: OrgId, person: PersonId) -> sqlx::Result<Hash> {
        let sql = "INSERT INTO person_salts (org, person, salt) VALUES ($1, $2, $3) ON CONFLICT (org, person) DO NOTHING";
        self.execute(sql, params![org, person, random::token()]).await?;
        let sql = "SELECT salt FROM person_salts WHERE org = $1 AND person = $2";
        let row = self.optional(sql, params![org, person]).await?.ok_or(sqlx::Error::RowNotFound)?;
        Ok(cloud_core::reference(row.parsed(0)?, person))
    }
}
