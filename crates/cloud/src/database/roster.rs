//! Organisations and their rosters' logs.

use model::wire::Envelope;
use model::{Base64, DeviceId, GatewayId, Hash, OrgId, Timestamp};

use seal::roster::{Payload, Statement};

use super::{Database, Transaction, params};

/// A statement as it is stored.
#[derive(Debug)]
pub(crate) struct StoredStatement {
    pub(crate) seen_at: Timestamp,
    pub(crate) envelope: Envelope,
}

impl Database {
    pub(crate) async fn organisations(&self) -> sqlx::Result<Vec<OrgId>> {
        let rows = self.all("SELECT org FROM organisations ORDER BY created_at, org", vec![]).await?;
        rows.iter().map(|row| row.parsed(0)).collect()
    }

    pub(crate) async fn roster_head(&self, org: OrgId) -> sqlx::Result<Option<(u64, Hash)>> {
        let sql = "SELECT roster_seq, roster_head FROM organisations WHERE org = $1";
        let row = self.optional(sql, params![org]).await?;
        row.map(|row| Ok((row.number(0)?, row.parsed(1)?))).transpose()
    }

    /// Statements from position `from` on, at most `limit`.
    pub(crate) async fn statements(
        &self,
        org: OrgId,
        from: u64,
        limit: u64,
    ) -> sqlx::Result<Vec<StoredStatement>> {
        let sql = "SELECT seen_at, envelope FROM roster_statements \
                   WHERE org = $1 AND seq >= $2 ORDER BY seq LIMIT $3";
        let rows = self.all(sql, params![org, from, limit]).await?;
        rows.iter().map(|row| Ok(StoredStatement { seen_at: row.time(0)?, envelope: row.json(1)? })).collect()
    }

    pub(crate) async fn org_of_gateway(&self, gateway: GatewayId) -> sqlx::Result<Option<OrgId>> {
        self.org_of_subject(gateway.to_string()).await
    }

    pub(crate) async fn org_of_device(&self, device: DeviceId) -> sqlx::Result<Option<OrgId>> {
        self.org_of_subject(device.to_string()).await
    }

    /// The organisation whose recovery sheet has this public key. Looks at the
    /// first statement of each, since it is asked once in years.
    pub(crate) async fn org_of_sheet(&self, key: &Base64) -> sqlx::Result<Option<OrgId>> {
        let sql = "SELECT org, envelope FROM roster_statements WHERE seq = 0 ORDER BY org";
        for row in self.all(sql, vec![]).await? {
            let genesis: Envelope = row.json(1)?;
            let payload = seal::from_canonical::<Payload>(&genesis.payload.0).ok();
            if let Some(Statement::Genesis { recovery, .. }) = payload.map(|payload| payload.statement)
                && recovery.sign == *key
            {
                return row.parsed(0).map(Some);
            }
        }
        Ok(None)
    }

    async fn org_of_subject(&self, id: String) -> sqlx::Result<Option<OrgId>> {
        let row = self.optional("SELECT org FROM subjects WHERE id = $1", params![id]).await?;
        row.map(|row| row.parsed(0)).transpose()
    }
}

impl Transaction {
    pub(crate) async fn create_organisation(
        &mut self,
        org: OrgId,
        name: &str,
        genesis: Hash,
        now: Timestamp,
    ) -> sqlx::Result<()> {
        let sql = "INSERT INTO organisations \
                   (org, name, created_at, roster_seq, roster_head, history_next, history_head) \
                   VALUES ($1, $2, $3, 0, $4, 0, $5)";
        self.execute(sql, params![org, name, now, genesis, Hash::default()]).await.map(drop)
    }

    /// Moves the head from `from` to the next; false if somebody was faster.
    pub(crate) async fn advance_roster(
        &mut self,
        org: OrgId,
        from: (u64, Hash),
        to: Hash,
    ) -> sqlx::Result<bool> {
        let sql = "UPDATE organisations SET roster_seq = $1, roster_head = $2 \
                   WHERE org = $3 AND roster_seq = $4 AND roster_head = $5";
        Ok(self.execute(sql, params![from.0 + 1, to, org, from.0, from.1]).await? == 1)
    }

    pub(crate) async fn add_statement(
        &mut self,
        org: OrgId,
        seq: u64,
        hash: Hash,
        envelope: &str,
        now: Timestamp,
    ) -> sqlx::Result<()> {
        let sql =
            "INSERT INTO roster_statements (org, seq, hash, seen_at, envelope) VALUES ($1, $2, $3, $4, $5)";
        self.execute(sql, params![org, seq, hash, now, envelope]).await.map(drop)
    }

    /// False if the id is another's already.
    pub(crate) async fn add_subject(&mut self, org: OrgId, id: String) -> sqlx::Result<bool> {
        let sql = "INSERT INTO subjects (id, org) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING";
        Ok(self.execute(sql, params![id, org]).await? == 1)
    }
}
