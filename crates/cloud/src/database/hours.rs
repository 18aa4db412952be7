//! Which signed indexes of hours are in the store.

use model::{CameraId, Hash, OrgId, Timestamp};

use super::value::Row;
use super::{Database, params};

/// An index of an hour, and where it stands in a camera's list: the fields are
/// in the order of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct HourRow {
    pub(crate) hour: Timestamp,
    pub(crate) number: u64,
    pub(crate) hash: Hash,
}

impl HourRow {
    fn read(row: &Row) -> sqlx::Result<Self> {
        Ok(HourRow { hour: row.time(0)?, number: row.number(1)?, hash: row.parsed(2)? })
    }
}

impl Database {
    pub(crate) async fn add_hour(&self, org: OrgId, camera: CameraId, row: HourRow) -> sqlx::Result<()> {
        let sql = "INSERT INTO hours (org, camera, hash, hour, number) VALUES ($1, $2, $3, $4, $5) \
                   ON CONFLICT (org, camera, hash) DO NOTHING";
        let HourRow { hour, number, hash } = row;
        self.execute(sql, params![org, camera, hash, hour, number]).await.map(drop)
    }

    /// Those of hours that begin in `[from, to)`, from the one behind `after` on.
    pub(crate) async fn hours(
        &self,
        org: OrgId,
        camera: CameraId,
        (from, to): (Timestamp, Timestamp),
        after: Option<HourRow>,
        limit: u64,
    ) -> sqlx::Result<Vec<HourRow>> {
        let sql = "SELECT hour, number, hash FROM hours \
                   WHERE org = $1 AND camera = $2 AND hour >= $3 AND hour < $4 AND (hour, number, hash) > ($5, $6, $7) \
                   ORDER BY hour, number, hash LIMIT $8";
        // Before every hash.
        let (hour, number, hash) = after.map_or((Timestamp(0), 0, String::new()), |after| {
            (after.hour, after.number, after.hash.to_string())
        });
        let rows = self.all(sql, params![org, camera, from, to, hour, number, hash, limit]).await?;
        rows.iter().map(HourRow::read).collect()
    }

    pub(crate) async fn hour(
        &self,
        org: OrgId,
        camera: CameraId,
        hash: Hash,
    ) -> sqlx::Result<Option<HourRow>> {
        let sql = "SELECT hour, number, hash FROM hours WHERE org = $1 AND camera = $2 AND hash = $3";
        self.optional(sql, params![org, camera, hash]).await?.as_ref().map(HourRow::read).transpose()
    }
}
