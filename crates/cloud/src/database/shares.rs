//! Footage that people share by links: what was signed, how often it was
//! opened, and who is reading it.

use std::collections::BTreeSet;

use cloud_core::{Audited, Permit};
use model::{CameraId, Hash, OrgId, PersonId, ShareId, Timestamp};

use super::{Database, Row, params};

/// What takes up room: it can be opened, somebody who opened it may still be
/// reading, or it is being made. `$now` and `$made_after` are parameters.
macro_rules! in_force {
    ($now:literal, $made_after:literal) => {
        concat!(
            "(shares.ended_at IS NULL AND shares.until > ",
            $now,
            " AND ((shares.completed_at IS NULL AND shares.made_at > ",
            $made_after,
            ") OR (shares.completed_at IS NOT NULL AND (shares.openings IS NULL OR shares.opened < shares.openings \
             OR EXISTS (SELECT 1 FROM share_openings o WHERE o.share = shares.share AND o.ends_at > ",
            $now,
            ")))))"
        )
    };
}

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
                   openings, opened, bytes, removed) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, 0, 0) \
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

    /// Of one person or of everybody: those whose time is not over first, then the
    /// latest.
    pub(crate) async fn shares(
        &self,
        org: OrgId,
        person: Option<PersonId>,
        limit: u64,
        now: Timestamp,
    ) -> sqlx::Result<Vec<ShareRow>> {
        let sql = "SELECT share, org, person, cameras, from_at, to_at, access, made_at, until, openings, \
                   opened, bytes, completed_at, ended_at FROM shares \
                   WHERE org = $1 AND ($2 = '' OR person = $2) \
                   ORDER BY CASE WHEN ended_at IS NULL AND until > $4 THEN 0 ELSE 1 END, made_at DESC, share LIMIT $3";
        let person = person.map_or_else(String::new, |person| person.to_string());
        self.all(sql, params![org, person, limit, now]).await?.iter().map(read).collect()
    }

    /// Of somebody's that are in force.
    pub(crate) async fn count_shares(
        &self,
        org: OrgId,
        person: PersonId,
        made_after: Timestamp,
        now: Timestamp,
    ) -> sqlx::Result<u64> {
        let sql =
            concat!("SELECT COUNT(*) FROM shares WHERE org = $1 AND person = $2 AND ", in_force!("$3", "$4"));
        let values = params![org, person, now, made_after];
        self.optional(sql, values).await?.map_or(Ok(0), |row| row.number(0))
    }

    /// Takes room for a piece; false if there is none, or the capsule is whole,
    /// withdrawn or too old.
    pub(crate) async fn grow_share(
        &self,
        row: &ShareRow,
        bytes: u64,
        room: Room,
        now: Timestamp,
    ) -> sqlx::Result<bool> {
        let sql = concat!(
            "SELECT CAST(COALESCE(SUM(bytes), 0) AS BIGINT) FROM shares WHERE org = $1 AND ",
            in_force!("$2", "$3")
        );
        let taken = self.optional(sql, params![row.org, now, room.made_after]).await?;
        let taken = taken.map_or(Ok(0), |row| row.number(0))?;
        if taken + bytes > room.of_organisation {
            return Ok(false);
        }
        let sql = "UPDATE shares SET bytes = bytes + $2 WHERE share = $1 AND ended_at IS NULL AND completed_at IS NULL \
                   AND made_at > $3 AND bytes + $2 <= $4";
        let values = params![row.share, bytes, room.made_after, room.of_share];
        Ok(self.execute(sql, values).await? == 1)
    }

    /// Gives it back: the piece did not come to stay.
    pub(crate) async fn shrink_share(&self, share: ShareId, bytes: u64) -> sqlx::Result<()> {
        let sql = "UPDATE shares SET bytes = bytes - $2 WHERE share = $1 AND bytes >= $2";
        self.execute(sql, params![share, bytes]).await.map(drop)
    }

    /// From here on its link opens it.
    pub(crate) async fn complete_share(&self, share: ShareId, now: Timestamp) -> sqlx::Result<bool> {
        let sql = "UPDATE shares SET completed_at = COALESCE(completed_at, $2) WHERE share = $1 AND ended_at IS NULL";
        Ok(self.execute(sql, params![share, now]).await? == 1)
    }

    /// From here on its link opens nothing, for good. Nothing is asked before: it only
    /// takes away.
    pub(crate) async fn end_share(&self, share: ShareId, now: Timestamp) -> sqlx::Result<()> {
        let sql = "UPDATE shares SET ended_at = COALESCE(ended_at, $2) WHERE share = $1";
        self.execute(sql, params![share, now]).await?;
        self.execute("DELETE FROM share_openings WHERE share = $1", params![share]).await.map(drop)
    }

    /// Takes one of the openings that are left; false if there is none. It lets
    /// nobody read yet.
    pub(crate) async fn take_opening(&self, share: ShareId) -> sqlx::Result<bool> {
        let sql = "UPDATE shares SET opened = opened + 1 WHERE share = $1 AND ended_at IS NULL \
                   AND (openings IS NULL OR opened < openings)";
        Ok(self.execute(sql, params![share]).await? == 1)
    }

    /// Gives it back: it was not permitted.
    pub(crate) async fn return_opening(&self, share: ShareId) -> sqlx::Result<()> {
        let sql = "UPDATE shares SET opened = opened - 1 WHERE share = $1 AND opened > 0";
        self.execute(sql, params![share]).await.map(drop)
    }

    /// Lets the bearer of the token read until then.
    pub(crate) async fn add_opening(
        &self,
        share: ShareId,
        (token, ends_at): (Hash, Timestamp),
        _audited: &Audited<Permit>,
    ) -> sqlx::Result<()> {
        let sql = "INSERT INTO share_openings (token, share, ends_at) VALUES ($1, $2, $3)";
        self.execute(sql, params![token, share, ends_at]).await.map(drop)
    }

    /// A directory shut the person out.
    pub(crate) async fn is_shut_out(&self, org: OrgId, person: PersonId) -> sqlx::Result<bool> {
        let sql = "SELECT 1 FROM people WHERE org = $1 AND person = $2 AND disabled_at IS NOT NULL";
        Ok(self.optional(sql, params![org, person]).await?.is_some())
    }

    pub(crate) async fn is_open(&self, share: ShareId, token: Hash, now: Timestamp) -> sqlx::Result<bool> {
        let sql = "SELECT 1 FROM share_openings WHERE token = $1 AND share = $2 AND ends_at > $3";
        Ok(self.optional(sql, params![token, share, now]).await?.is_some())
    }

    /// Whose pieces are to go.
    pub(crate) async fn shares_to_remove(
        &self,
        made_after: Timestamp,
        now: Timestamp,
    ) -> sqlx::Result<Vec<ShareId>> {
        let sql = concat!("SELECT share FROM shares WHERE removed = 0 AND NOT ", in_force!("$1", "$2"));
        self.all(sql, params![now, made_after]).await?.iter().map(|row| row.parsed(0)).collect()
    }

    pub(crate) async fn share_removed(&self, share: ShareId) -> sqlx::Result<()> {
        self.execute("UPDATE shares SET removed = 1 WHERE share = $1", params![share]).await.map(drop)
    }

    /// Openings that are over, and shares whose time was over before then.
    pub(crate) async fn purge_shares(&self, now: Timestamp, over_before: Timestamp) -> sqlx::Result<()> {
        self.execute("DELETE FROM share_openings WHERE ends_at <= $1", params![now]).await?;
        let sql = "DELETE FROM shares WHERE until <= $1 AND removed = 1";
        self.execute(sql, params![over_before]).await.map(drop)
    }
}
