//! What gateways signed of the history's log.

use model::wire::LogConflict;
use model::{GatewayId, OrgId, Timestamp};

use super::{Database, params};

#[derive(Clone, Debug)]
pub(crate) struct WitnessRow {
    pub(crate) gateway: GatewayId,
    /// Entries of the checkpoint that it signed; 0 if it has signed none.
    pub(crate) size: u64,
    /// The checkpoint with the gateway's signature; empty if there is none.
    pub(crate) note: String,
    pub(crate) signed_at: Timestamp,
    /// Why it signs no more.
    pub(crate) conflict: Option<String>,
}

impl Database {
    pub(crate) async fn witnesses(&self, org: OrgId) -> sqlx::Result<Vec<WitnessRow>> {
        let sql = "SELECT gateway, size, note, signed_at, conflict FROM history_witnesses \
                   WHERE org = $1 ORDER BY size DESC, gateway";
        let rows = self.all(sql, params![org]).await?;
        let row = |row: &super::Row| {
            Ok(WitnessRow {
                gateway: row.parsed(0)?,
                size: row.number(1)?,
                note: row.text(2)?,
                signed_at: row.time(3)?,
                conflict: row.text_or_null(4)?,
            })
        };
        rows.iter().map(row).collect()
    }

    /// The gateway goes on signing: whatever it found is settled.
    pub(crate) async fn set_witnessed(
        &self,
        org: OrgId,
        gateway: GatewayId,
        (size, note): (u64, &str),
        at: Timestamp,
    ) -> sqlx::Result<()> {
        let sql = "INSERT INTO history_witnesses (org, gateway, size, note, signed_at, conflict) \
                   VALUES ($1, $2, $3, $4, $5, NULL) ON CONFLICT (org, gateway) DO UPDATE SET \
                   size = excluded.size, note = excluded.note, signed_at = excluded.signed_at, conflict = NULL";
        self.execute(sql, params![org, gateway, size, note, at]).await.map(drop)
    }

    /// True if it is news.
    pub(crate) async fn set_log_conflict(
        &self,
        org: OrgId,
        gateway: GatewayId,
        conflict: LogConflict,
    ) -> sqlx::Result<bool> {
        let sql = "INSERT INTO history_witnesses (org, gateway, size, note, signed_at, conflict) \
                   VALUES ($1, $2, 0, '', 0, $3) ON CONFLICT (org, gateway) DO UPDATE SET \
                   conflict = excluded.conflict WHERE history_witnesses.conflict IS NULL \
                   OR history_witnesses.conflict <> excluded.conflict";
        Ok(self.execute(sql, params![org, gateway, conflict.as_str()]).await? == 1)
    }
}
