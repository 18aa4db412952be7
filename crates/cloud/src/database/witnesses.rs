//! What gateways and witnesses outside signed of the history's log, and what
//! this server signed of others'.

use model::wire::LogConflict;
use model::{GatewayId, Hash, OrgId, Timestamp};
use seal::tlog::Checkpoint;

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

#[derive(Clone, Debug)]
pub(crate) struct OutsideRow {
    pub(crate) name: String,
    /// Entries of the checkpoint that it signed; 0 if it has signed none.
    pub(crate) size: u64,
    /// The checkpoint with its signature; empty if there is none.
    pub(crate) note: String,
    pub(crate) signed_at: Timestamp,
    /// It has seen another history.
    pub(crate) conflict: Option<String>,
    /// It could not be asked, or did not answer as witnesses do.
    pub(crate) trouble: Option<String>,
}

impl OutsideRow {
    /// One that was never asked.
    pub(crate) fn unasked(name: &str) -> Self {
        let name = name.to_owned();
        OutsideRow {
            name,
            size: 0,
            note: String::new(),
            signed_at: Timestamp(0),
            conflict: None,
            trouble: None,
        }
    }
}

/// Witnesses of the organisation's log that are not its own.
impl Database {
    pub(crate) async fn outside_witnesses(&self, org: OrgId) -> sqlx::Result<Vec<OutsideRow>> {
        let sql = "SELECT name, size, note, signed_at, conflict, trouble FROM outside_witnesses \
                   WHERE org = $1 ORDER BY name";
        let rows = self.all(sql, params![org]).await?;
        let row = |row: &super::Row| {
            Ok(OutsideRow {
                name: row.text(0)?,
                size: row.number(1)?,
                note: row.text(2)?,
                signed_at: row.time(3)?,
                conflict: row.text_or_null(4)?,
                trouble: row.text_or_null(5)?,
            })
        };
        rows.iter().map(row).collect()
    }

    /// It signed: whatever was between is settled.
    pub(crate) async fn set_signed_outside(
        &self,
        org: OrgId,
        name: &str,
        (size, note): (u64, &str),
        at: Timestamp,
    ) -> sqlx::Result<()> {
        let sql = "INSERT INTO outside_witnesses (org, name, size, note, signed_at, conflict, trouble) \
                   VALUES ($1, $2, $3, $4, $5, NULL, NULL) ON CONFLICT (org, name) DO UPDATE SET \
                   size = excluded.size, note = excluded.note, signed_at = excluded.signed_at, \
                   conflict = NULL, trouble = NULL";
        self.execute(sql, params![org, name, size, note, at]).await.map(drop)
    }

    pub(crate) async fn set_outside_conflict(
        &self,
        org: OrgId,
        name: &str,
        conflict: LogConflict,
    ) -> sqlx::Result<()> {
        let sql = "INSERT INTO outside_witnesses (org, name, size, note, signed_at, conflict, trouble) \
                   VALUES ($1, $2, 0, '', 0, $3, NULL) ON CONFLICT (org, name) DO UPDATE SET \
                   conflict = excluded.conflict, trouble = NULL";
        self.execute(sql, params![org, name, conflict.as_str()]).await.map(drop)
    }

    /// True if it is news.
    pub(crate) async fn set_outside_trouble(
        &self,
        org: OrgId,
        name: &str,
        trouble: &str,
    ) -> sqlx::Result<bool> {
        let sql = "INSERT INTO outside_witnesses (org, name, size, note, signed_at, conflict, trouble) \
                   VALUES ($1, $2, 0, '', 0, NULL, $3) ON CONFLICT (org, name) DO UPDATE SET \
                   trouble = excluded.trouble \
                   WHERE outside_witnesses.trouble IS NULL OR outside_witnesses.trouble <> excluded.trouble";
        Ok(self.execute(sql, params![org, name, trouble]).await? == 1)
    }
}

/// Logs of others, which this server witnesses.
impl Database {
    /// Size and root that were signed last.
    pub(crate) async fn witnessed(&self, origin: &str) -> sqlx::Result<Option<(u64, Hash)>> {
        let sql = "SELECT size, root FROM witnessed_logs WHERE origin = $1";
        let row = self.optional(sql, params![origin]).await?;
        row.map(|row| Ok((row.number(0)?, row.parsed(1)?))).transpose()
    }

    /// False if another checkpoint was signed meanwhile: then this one must not be.
    pub(crate) async fn set_witnessed_log(
        &self,
        last: Option<u64>,
        checkpoint: &Checkpoint,
    ) -> sqlx::Result<bool> {
        let Checkpoint { origin, size, root } = checkpoint;
        let changed = match last {
            None => {
                let sql = "INSERT INTO witnessed_logs (origin, size, root) VALUES ($1, $2, $3) \
                           ON CONFLICT (origin) DO NOTHING";
                self.execute(sql, params![origin.as_str(), *size, *root]).await?
            }
            Some(last) => {
                let sql = "UPDATE witnessed_logs SET size = $2, root = $3 WHERE origin = $1 AND size = $4";
                self.execute(sql, params![origin.as_str(), *size, *root, last]).await?
            }
        };
        Ok(changed == 1)
    }
}
