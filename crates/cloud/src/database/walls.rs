//! Arrangements of cameras that people saved.

use cloud_core::{Audited, Permit};
use model::{CameraId, OrgId, PersonId, Timestamp, WallId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Database, Row, params};

/// Where one camera stands, in columns and rows of the wall.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tile {
    #[schema(value_type = String)]
    pub(crate) camera: CameraId,
    /// The first column, from 0.
    pub(crate) x: u32,
    /// The first row, from 0.
    pub(crate) y: u32,
    /// Columns.
    pub(crate) w: u32,
    /// Rows.
    pub(crate) h: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Arrangement {
    pub(crate) columns: u32,
    pub(crate) tiles: Vec<Tile>,
}

#[derive(Clone, Debug)]
pub(crate) struct WallRow {
    pub(crate) wall: WallId,
    /// Nobody, once the person was erased.
    pub(crate) person: Option<PersonId>,
    pub(crate) name: String,
    pub(crate) shared: bool,
    pub(crate) arrangement: Arrangement,
    pub(crate) revision: u64,
    pub(crate) changed_at: Timestamp,
}

/// Who arranges: whoever saved it, and administrators what is shared.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arranger {
    pub(crate) person: PersonId,
    pub(crate) is_administrator: bool,
}

impl Arranger {
    pub(crate) fn may_change(self, row: &WallRow) -> bool {
        row.person == Some(self.person) || (self.is_administrator && row.shared)
    }
}

fn read(row: &Row) -> sqlx::Result<WallRow> {
    let person = row.text_or_null(1)?.is_some().then(|| row.parsed(1)).transpose()?;
    Ok(WallRow {
        wall: row.parsed(0)?,
        person,
        name: row.text(2)?,
        shared: row.number(3)? == 1,
        arrangement: row.json(4)?,
        revision: row.number(5)?,
        changed_at: row.time(6)?,
    })
}

fn json(arrangement: &Arrangement) -> String {
    serde_json::to_string(arrangement).expect("our own types serialise")
}

impl Database {
    /// A person's own, and then those that others share, by name: who shares
    /// many pushes nobody's own out of the list.
    pub(crate) async fn walls(&self, org: OrgId, person: PersonId, limit: u64) -> sqlx::Result<Vec<WallRow>> {
        let sql = "SELECT wall, person, name, shared, arrangement, revision, changed_at FROM walls \
                   WHERE org = $1 AND (person = $2 OR shared = 1) \
                   ORDER BY CASE WHEN person = $2 THEN 0 ELSE 1 END, name, wall LIMIT $3";
        self.all(sql, params![org, person, limit]).await?.iter().map(read).collect()
    }

    /// One of them.
    pub(crate) async fn wall(
        &self,
        org: OrgId,
        person: PersonId,
        wall: WallId,
    ) -> sqlx::Result<Option<WallRow>> {
        let sql = "SELECT wall, person, name, shared, arrangement, revision, changed_at FROM walls \
                   WHERE org = $1 AND wall = $3 AND (person = $2 OR shared = 1)";
        self.optional(sql, params![org, person, wall]).await?.as_ref().map(read).transpose()
    }

    pub(crate) async fn count_walls(&self, org: OrgId, person: PersonId) -> sqlx::Result<u64> {
        let sql = "SELECT COUNT(*) FROM walls WHERE org = $1 AND person = $2";
        self.optional(sql, params![org, person]).await?.map_or(Ok(0), |row| row.number(0))
    }

    /// False if the id is in use, or the person keeps `limit` walls.
    pub(crate) async fn add_wall(
        &self,
        org: OrgId,
        row: &WallRow,
        limit: u64,
        _audited: &Audited<Permit>,
    ) -> sqlx::Result<bool> {
        let sql = "INSERT INTO walls (org, wall, person, name, shared, arrangement, revision, changed_at) \
                   SELECT $1, $2, $3, $4, $5, $6, $7, $8 \
                   WHERE (SELECT COUNT(*) FROM walls WHERE org = $1 AND person = $3) < $9 \
                   ON CONFLICT DO NOTHING";
        let WallRow { wall, person, name, shared, arrangement, revision, changed_at } = row;
        let person = person.map(|person| person.to_string());
        let (name, arrangement) = (name.as_str(), json(arrangement));
        let values =
            params![org, *wall, person, name, u64::from(*shared), arrangement, *revision, *changed_at, limit];
        Ok(self.execute(sql, values).await? == 1)
    }

    /// False if it was changed since `row.revision`, or is not theirs.
    pub(crate) async fn change_wall(
        &self,
        org: OrgId,
        arranger: Arranger,
        row: &WallRow,
        _audited: &Audited<Permit>,
    ) -> sqlx::Result<bool> {
        let sql = "UPDATE walls SET name = $4, shared = $5, arrangement = $6, revision = revision + 1, changed_at = $7 \
                   WHERE org = $1 AND wall = $2 AND revision = $3 AND (person = $8 OR ($9 = 1 AND shared = 1))";
        let WallRow { wall, name, shared, arrangement, revision, changed_at, .. } = row;
        let Arranger { person, is_administrator } = arranger;
        let (name, arrangement) = (name.as_str(), json(arrangement));
        let values = params![
            org,
            *wall,
            *revision,
            name,
            u64::from(*shared),
            arrangement,
            *changed_at,
            person,
            u64::from(is_administrator)
        ];
        Ok(self.execute(sql, values).await? == 1)
    }

    /// False if there is none of theirs.
    pub(crate) async fn remove_wall(
        &self,
        org: OrgId,
        arranger: Arranger,
        wall: WallId,
        _audited: &Audited<Permit>,
    ) -> sqlx::Result<bool> {
        let sql = "DELETE FROM walls \
                   WHERE org = $1 AND wall = $2 AND (person = $3 OR ($4 = 1 AND shared = 1))";
        let Arranger { person, is_administrator } = arranger;
        let values = params![org, wall, person, u64::from(is_administrator)];
        Ok(self.execute(sql, values).await? == 1)
    }
}
