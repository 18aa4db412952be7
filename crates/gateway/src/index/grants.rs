//! Epoch grants: on disk before the first chunk of their epoch, and here alone
//! until they were forwarded.

use gateway_core::uplink::{GrantStep, PendingGrant};
use model::wire::Envelope;
use model::{DeviceId, EpochId, Timestamp};
use sqlx::Row as _;

use super::Index;

impl Index {
    /// All grants of an epoch, in one transaction: an epoch without them would
    /// make footage that nobody opens.
    pub(crate) async fn add_grants(
        &self,
        epoch: EpochId,
        created_at: Timestamp,
        grants: &[(DeviceId, Envelope)],
    ) -> anyhow::Result<()> {
        let mut transaction = self.begin().await?;
        for (device, envelope) in grants {
            sqlx::query("INSERT INTO grants (epoch, device, created_at, envelope) VALUES (?, ?, ?, ?)")
                .bind(epoch.to_string())
                .bind(device.to_string())
                .bind(created_at.0 as i64)
                .bind(serde_json::to_string(envelope)?)
                .execute(&mut *transaction)
                .await?;
        }
        Ok(transaction.commit().await?)
    }

    pub(crate) async fn grant(&self, epoch: EpochId, device: DeviceId) -> anyhow::Result<Option<Envelope>> {
        let envelope: Option<String> =
            sqlx::query_scalar("SELECT envelope FROM grants WHERE epoch = ? AND device = ?")
                .bind(epoch.to_string())
                .bind(device.to_string())
                .fetch_optional(&self.pool)
                .await?;
        envelope.map(|envelope| Ok(serde_json::from_str(&envelope)?)).transpose()
    }

    /// When the newest epoch began that left grants.
    pub(crate) async fn latest_epoch(&self) -> anyhow::Result<Timestamp> {
        let at: Option<i64> =
            sqlx::query_scalar("SELECT max(created_at) FROM grants").fetch_one(&self.pool).await?;
        Ok(Timestamp(at.unwrap_or(0).max(0) as u64))
    }

    pub(crate) async fn grants_to_index(&self, limit: i64) -> anyhow::Result<Vec<PendingGrant>> {
        self.grants(
            "SELECT epoch, device, envelope FROM grants WHERE indexed = 0 ORDER BY created_at LIMIT ?",
            limit,
        )
        .await
    }

    pub(crate) async fn grants_to_upload(&self, limit: i64) -> anyhow::Result<Vec<PendingGrant>> {
        self.grants(
            "SELECT epoch, device, envelope FROM grants WHERE uploaded = 0 ORDER BY created_at LIMIT ?",
            limit,
        )
        .await
    }

    async fn grants(&self, query: &'static str, limit: i64) -> anyhow::Result<Vec<PendingGrant>> {
        let rows = sqlx::query(query).bind(limit).fetch_all(&self.pool).await?;
        let grant = |row: &sqlx::sqlite::SqliteRow| {
            anyhow::Ok(PendingGrant {
                epoch: row.get::<&str, _>(0).parse()?,
                device: row.get::<&str, _>(1).parse()?,
                envelope: serde_json::from_str(row.get(2))?,
            })
        };
        rows.iter().map(grant).collect()
    }

    pub(crate) async fn mark_grant(&self, grant: &PendingGrant, step: GrantStep) -> anyhow::Result<()> {
        let query = match step {
            GrantStep::Indexed => "UPDATE grants SET indexed = 1 WHERE epoch = ? AND device = ?",
            GrantStep::Uploaded => "UPDATE grants SET uploaded = 1 WHERE epoch = ? AND device = ?",
            GrantStep::Refused => "UPDATE grants SET uploaded = 2 WHERE epoch = ? AND device = ?",
        };
        sqlx::query(query)
            .bind(grant.epoch.to_string())
            .bind(grant.device.to_string())
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// The cloud has lost an epoch's grants, or never had them.
    pub(crate) async fn resend_grants(&self, epoch: EpochId) -> anyhow::Result<()> {
        sqlx::query("UPDATE grants SET indexed = 0 WHERE epoch = ?")
            .bind(epoch.to_string())
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Grants that the cloud has and no recording here needs.
    pub(crate) async fn drop_grants_before(&self, before: Timestamp) -> anyhow::Result<()> {
        sqlx::query(
            "DELETE FROM grants WHERE indexed = 1 AND uploaded = 1 AND created_at < ?
                 AND epoch NOT IN (SELECT epoch FROM recordings)",
        )
        .bind(before.0 as i64)
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}
