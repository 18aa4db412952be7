//! Keys of the past that administrators' devices hand on.

use cloud_core::{Audited, Permit};
use model::wire::Envelope;
use model::{DeviceId, EpochId, GatewayId, OrgId, Timestamp};

use super::{Database, params};

/// One epoch that a device can open, and what the other has of it.
#[derive(Clone, Debug)]
pub(crate) struct PastEpoch {
    pub(crate) epoch: EpochId,
    pub(crate) own: Envelope,
    pub(crate) other: Option<Envelope>,
}

impl Database {
    pub(crate) async fn add_past_opening(
        &self,
        org: OrgId,
        (device, by): (DeviceId, DeviceId),
        from: Timestamp,
        (now, expires_at): (Timestamp, Timestamp),
        _audited: &Audited<Permit>,
    ) -> sqlx::Result<()> {
        self.execute("DELETE FROM past_openings WHERE expires_at < $1", params![now]).await?;
        let sql = "INSERT INTO past_openings (org, device, by_device, from_at, expires_at) \
                   VALUES ($1, $2, $3, $4, $5) \
                   ON CONFLICT (org, device, by_device) DO UPDATE SET from_at = $4, expires_at = $5";
        self.execute(sql, params![org, device, by, from, expires_at]).await.map(drop)
    }

    /// Since when, if it may still be handed on.
    pub(crate) async fn past_opening(
        &self,
        org: OrgId,
        (device, by): (DeviceId, DeviceId),
        now: Timestamp,
    ) -> sqlx::Result<Option<Timestamp>> {
        let sql = "SELECT from_at FROM past_openings \
                   WHERE org = $1 AND device = $2 AND by_device = $3 AND expires_at > $4";
        self.optional(sql, params![org, device, by, now]).await?.map(|row| row.time(0)).transpose()
    }

    /// Epochs that `own` was granted, after `after`, with what `other` was.
    pub(crate) async fn past_epochs(
        &self,
        org: OrgId,
        (own, other): (DeviceId, DeviceId),
        from: Timestamp,
        after: Option<EpochId>,
        limit: u64,
    ) -> sqlx::Result<Vec<PastEpoch>> {
        let sql = "SELECT a.epoch, a.envelope, b.envelope FROM epoch_grants a \
                   LEFT JOIN epoch_grants b ON b.org = a.org AND b.epoch = a.epoch AND b.device = $3 \
                   WHERE a.org = $1 AND a.device = $2 AND (a.created_at >= $4 OR a.created_at = 0) AND a.epoch > $5 \
                   ORDER BY a.epoch LIMIT $6";
        let after = after.map_or_else(String::new, |epoch| epoch.to_string());
        let rows = self.all(sql, params![org, own, other, from, after, limit]).await?;
        rows.iter()
            .map(|row| {
                let other = row.text_or_null(2)?.map(|_| row.json(2)).transpose()?;
                Ok(PastEpoch { epoch: row.parsed(0)?, own: row.json(1)?, other })
            })
            .collect()
    }

    /// Whether this gateway began the epoch, and not before `from`.
    pub(crate) async fn epoch_began(
        &self,
        org: OrgId,
        (gateway, epoch): (GatewayId, EpochId),
        from: Timestamp,
    ) -> sqlx::Result<bool> {
        let sql = "SELECT 1 FROM epoch_grants \
                   WHERE org = $1 AND gateway = $2 AND epoch = $3 AND (created_at >= $4 OR created_at = 0) LIMIT 1";
        Ok(self.optional(sql, params![org, gateway, epoch, from]).await?.is_some())
    }

    pub(crate) async fn add_past_grant(
        &self,
        org: OrgId,
        epoch: EpochId,
        (device, by): (DeviceId, DeviceId),
        envelope: &Envelope,
        _audited: &Audited<Permit>,
    ) -> sqlx::Result<()> {
        let envelope = serde_json::to_string(envelope).expect("an envelope serialises");
        let sql = "INSERT INTO past_grants (org, epoch, device, by_device, envelope) VALUES ($1, $2, $3, $4, $5) \
                   ON CONFLICT (org, epoch, device, by_device) DO UPDATE SET envelope = $5";
        self.execute(sql, params![org, epoch, device, by, envelope]).await.map(drop)
    }

    pub(crate) async fn past_grants(
        &self,
        org: OrgId,
        epoch: EpochId,
        device: DeviceId,
    ) -> sqlx::Result<Vec<Envelope>> {
        let sql = "SELECT envelope FROM past_grants WHERE org = $1 AND epoch = $2 AND device = $3 \
                   ORDER BY by_device LIMIT 16";
        self.all(sql, params![org, epoch, device]).await?.iter().map(|row| row.json(0)).collect()
    }
}
