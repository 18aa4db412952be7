//! Gateways that nothing was heard of for too long, now and before.

use std::collections::BTreeMap;

use model::{DeviceId, GatewayId, OrgId, Timestamp};

use super::{Database, params};

#[derive(Clone, Copy, Debug)]
pub(crate) struct SilenceRow {
    pub(crate) gateway: GatewayId,
    pub(crate) since: Timestamp,
    pub(crate) ended_at: Option<Timestamp>,
}

impl Database {
    /// Since when gateways are silent that are so now.
    pub(crate) async fn open_silences(&self, org: OrgId) -> sqlx::Result<BTreeMap<GatewayId, Timestamp>> {
        let sql = "SELECT gateway, since FROM gateway_silences WHERE org = $1 AND ended_at IS NULL";
        let rows = self.all(sql, params![org]).await?;
        rows.iter().map(|row| Ok((row.parsed(0)?, row.time(1)?))).collect()
    }

    /// Returns those that nobody had written down.
    pub(crate) async fn begin_silences(
        &self,
        org: OrgId,
        silent: &BTreeMap<GatewayId, Timestamp>,
    ) -> sqlx::Result<BTreeMap<GatewayId, Timestamp>> {
        let mut transaction = self.begin().await?;
        let mut begun = BTreeMap::new();
        for (&gateway, &since) in silent {
            let sql = "INSERT INTO gateway_silences (org, gateway, since) SELECT $1, $2, $3 WHERE NOT EXISTS \
                       (SELECT 1 FROM gateway_silences WHERE org = $1 AND gateway = $2 AND ended_at IS NULL) \
                       ON CONFLICT DO NOTHING";
            if transaction.execute(sql, params![org, gateway, since]).await? > 0 {
                begun.insert(gateway, since);
            }
        }
        transaction.commit().await?;
        Ok(begun)
    }

    /// Returns those that were silent until now.
    pub(crate) async fn end_silences(
        &self,
        org: OrgId,
        heard: &BTreeMap<GatewayId, Timestamp>,
        now: Timestamp,
    ) -> sqlx::Result<BTreeMap<GatewayId, Timestamp>> {
        let mut transaction = self.begin().await?;
        let mut ended = BTreeMap::new();
        for (&gateway, &since) in heard {
            let sql = "UPDATE gateway_silences SET ended_at = $1 \
                       WHERE org = $2 AND gateway = $3 AND ended_at IS NULL";
            if transaction.execute(sql, params![now, org, gateway]).await? > 0 {
                ended.insert(gateway, since);
            }
        }
        transaction.commit().await?;
        Ok(ended)
    }

    /// Those that go on, then the newest.
    pub(crate) async fn silences(
        &self,
        org: OrgId,
        from: Timestamp,
        limit: u64,
    ) -> sqlx::Result<Vec<SilenceRow>> {
        let sql = "SELECT gateway, since, ended_at FROM gateway_silences \
                   WHERE org = $1 AND (since >= $2 OR ended_at IS NULL) \
                   ORDER BY CASE WHEN ended_at IS NULL THEN 0 ELSE 1 END, since DESC, gateway LIMIT $3";
        let rows = self.all(sql, params![org, from, limit]).await?;
        rows.iter()
            .map(|row| {
                let ended_at = row.number_or_null(2)?.map(Timestamp);
                Ok(SilenceRow { gateway: row.parsed(0)?, since: row.time(1)?, ended_at })
            })
            .collect()
    }

    pub(crate) async fn purge_silences(&self, before: Timestamp) -> sqlx::Result<()> {
        self.execute("DELETE FROM gateway_silences WHERE ended_at < $1", params![before]).await.map(drop)
    }

    /// Devices that want to be told of anything by a gateway.
    pub(crate) async fn devices_told_by(
        &self,
        (org, gateway): (OrgId, GatewayId),
        now: Timestamp,
        limit: u64,
    ) -> sqlx::Result<Vec<DeviceId>> {
        let sql = "SELECT device FROM notice_orders \
                   WHERE org = $1 AND gateway = $2 AND expires_at > $3 ORDER BY device LIMIT $4";
        let rows = self.all(sql, params![org, gateway, now, limit]).await?;
        rows.iter().map(|row| row.parsed(0)).collect()
    }
}
