//! Footage that people share by links: what was signed, how often it was
//! opened, and who is reading it.

use std::collections::BTreeSet;

use cloud_core::{Audited, Permit};
use model::{CameraId, Hash, OrgId, PersonId, ShareId, Timestamp};

use super::{Database, Row, params};

#[derive(Clone, Debug)]
pub(crate) struct ShareRow {
    pub(crate) share: ShareId,
    pub(crate) org: OrgId,
    pub(crate) person: PersonId,
    pub(crate) cameras: BTreeSet<CameraId>,
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
    /// SHA-256 of what the link's holder shows.
    pub(crate) access: Hash,
    pub(crate) made_at: Timestamp,
    pub(crate) until: Timestamp,
    pub(crate) openings: Option<u64>,
    pub(crate) opened: u64,
    pub(crate) bytes: u64,
    pub(crate) completed_at: Option<Timestamp>,
    pub(crate) ended_at: Option<Timestamp>,
}

/// What bounds a capsule that grows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    pub(crate) of_share: u64,
    pub(crate) of_organisation: u64,
    /// Shares made before are not added to any more.
    pub(crate) made_after: Timestamp,
}

fn read(row: &Row) -> sqlx::Result<ShareRow> {
    let time_or_null = |column| row.number_or_null(column).map(|at| at.map(Timestamp));
    Ok(ShareRow {
        share: row.parsed(0)?,
        org: row.parsed(1)?,
        person: row.parsed(2)?,
        cameras: row.json(3)?,
        from: row.time(4)?,
        to: row.time(5)?,
        access: row.parsed(6)?,
        made_at: row.time(7)?,
        until: row.time(8)?,
        openings: row.number_or_null(9)?,
        opened: row.number(10)?,
        bytes: row.number(11)?,
        completed_at: time_or_null(12)?,
        ended_at: time_or_null(13)?,
    })
}

impl Database {
    /// False if the id is in use.
    pub(crate) async fn add_share(&self, row: &ShareRow, _audited: &[Audited<Permit>]) -> sqlx::Result<bool> {
        let sql = "INSERT INTO shares (share, org, person, cameras, from_at, to_at, access, made_at, until, \
                   openings, opened, bytes) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, 0) \
                   ON CONFLICT DO NOTHING";
        let ShareRow { share, org, person, cameras, from, to, access, made_at, until, openings, .. } = row;
        let cameras = serde_json::to_string(cameras).expect("ids serialise");
        let values =
            params![*share, *org, *person, cameras, *from, *to, *access, *made_at, *until, *openings];
        Ok(self.execute(sql, values).await? == 1)
    }

    pub(crate) async fn share(&self, share: ShareId) -> sqlx::Result<Option<ShareRow>> {
        let sql = "SELECT share, org, person, cameras, from_at, to_at, access, made_at, until, openings, \
                   opened, bytes, completed_at, ended_at FROM shares WHERE share = $1";
        self.optional(sql, params![share]).await?.as_ref().map(read).transpose()
    }

    /// The latest first, of one person or of everybody.
    pub(crate) async fn shares(
        &self,
        org: OrgId,
        person: Option<PersonId>,
        limit: u64,
    ) -> sqlx::Result<Vec<ShareRow>> {
        let sql = "SELECT share, org, person, cameras, from_at, to_at, access, made_at, until, openings, \
                   opened, bytes, completed_at, ended_at FROM shares \
                   WHERE org = $1 AND ($2 = '' OR person = $2) ORDER BY made_at DESC, share LIMIT $3";
        let person = person.map_or_else(String::new, |person| person.to_string());
        self.all(sql, params![org, person, limit]).await?.iter().map(read).collect()
    }

    /// Of somebody's that can still be opened, or are being made.
    pub(crate) async fn count_shares(
        &self,
        org: OrgId,
        person: PersonId,
        now: Timestamp,
    ) -> sqlx::Result<u64> {
        let sql =
            "SELECT COUNT(*) FROM shares WHERE org = $1 AND person = $2 AND ended_at IS NULL AND until > $3";
        self.optional(sql, params![org, person, now]).await?.map_or(Ok(0), |row| row.number(0))
    }

    /// Takes room for a piece; false if there is none, or the capsule is whole,
    /// withdrawn or too old.
    pub(crate) async fn grow_share(
        &self,
        share: ShareId,
        bytes: u64,
        room: Room,
        now: Timestamp,
    ) -> sqlx::Result<bool> {
        let sql = "UPDATE shares SET bytes = bytes + $2 WHERE share = $1 AND ended_at IS NULL AND completed_at IS NULL \
                   AND made_at > $3 AND bytes + $2 <= $4 \
                   AND (SELECT COALESCE(SUM(other.bytes), 0) FROM shares other WHERE other.org = shares.org \
                   AND other.ended_at IS NULL AND other.until > $5) + $2 <= $6";
        let values = params![share, bytes, room.made_after, room.of_share, now, room.of_organisation];
        Ok(self.execute(sql, values).await? == 1)
    }

    /// From here on its link opens it.
    pub(crate) async fn complete_share(&self, share: ShareId, now: Timestamp) -> sqlx::Result<bool> {
        let sql = "UPDATE shares SET completed_at = COALESCE(completed_at, $2) WHERE share = $1 AND ended_at IS NULL";
        Ok(self.execute(sql, params![share, now]).await? == 1)
    }

    pub(crate) async fn end_share(
        &self,
        share: ShareId,
        now: Timestamp,
        _audited: &Audited<Permit>,
    ) -> sqlx::Result<()> {
        let sql = "UPDATE shares SET ended_at = COALESCE(ended_at, $2) WHERE share = $1";
        self.execute(sql, params![share, now]).await?;
        self.execute("DELETE FROM share_openings WHERE share = $1", params![share]).await.map(drop)
    }

    /// Counts an opening, and lets the bearer of the token read until then; false
    /// if somebody else was the last to open it.
    pub(crate) async fn open_share(
        &self,
        share: ShareId,
        (token, ends_at): (Hash, Timestamp),
        _audited: &Audited<Permit>,
    ) -> sqlx::Result<bool> {
        let mut transaction = self.begin().await?;
        let sql = "UPDATE shares SET opened = opened + 1 WHERE share = $1 AND ended_at IS NULL \
                   AND (openings IS NULL OR opened < openings)";
        if transaction.execute(sql, params![share]).await? != 1 {
            return Ok(false);
        }
        let sql = "INSERT INTO share_openings (token, share, ends_at) VALUES ($1, $2, $3)";
        transaction.execute(sql, params![token, share, ends_at]).await?;
        transaction.commit().await?;
        Ok(true)
    }

    pub(crate) async fn is_open(&self, share: ShareId, token: Hash, now: Timestamp) -> sqlx::Result<bool> {
        let sql = "SELECT 1 FROM share_openings WHERE token = $1 AND share = $2 AND ends_at > $3";
        Ok(self.optional(sql, params![token, share, now]).await?.is_some())
    }

    /// Whether a share's files are to stay.
    pub(crate) async fn keeps_share(
        &self,
        share: ShareId,
        made_after: Timestamp,
        now: Timestamp,
    ) -> sqlx::Result<bool> {
        let sql = "SELECT 1 FROM shares WHERE share = $1 AND ended_at IS NULL AND until > $2 \
                   AND (completed_at IS NOT NULL OR made_at > $3)";
        Ok(self.optional(sql, params![share, now, made_after]).await?.is_some())
    }

    /// Openings that are over, and shares that ended before then.
    pub(crate) async fn purge_shares(&self, now: Timestamp, ended_before: Timestamp) -> sqlx::Result<()> {
        self.execute("DELETE FROM share_openings WHERE ends_at <= $1", params![now]).await?;
        self.execute("DELETE FROM shares WHERE until <= $1", params![ended_before]).await.map(drop)
    }
}
