//! Bookmarks, as devices signed them, and what gateways say of their locks.

use cloud_core::{Audited, Permit};
use model::wire::{Envelope, LockOrder};
use model::{BookmarkId, CameraId, GatewayId, Hash, OrgId, PersonId, Timestamp};
use seal::bookmark::Bookmark;

use super::{Database, Row, params};

#[derive(Clone, Debug)]
pub(crate) struct BookmarkRow {
    pub(crate) bookmark: BookmarkId,
    pub(crate) camera: CameraId,
    pub(crate) gateway: GatewayId,
    /// None once that person was erased.
    pub(crate) person: Option<PersonId>,
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
    pub(crate) locked: bool,
    pub(crate) until: Option<Timestamp>,
    pub(crate) issued_at: Timestamp,
    pub(crate) envelope: Envelope,
    pub(crate) result: Option<Envelope>,
}

impl BookmarkRow {
    pub(crate) fn holds(&self, now: Timestamp) -> bool {
        self.locked && self.until.is_none_or(|until| now < until)
    }
}

/// All bookmarks that are not removed, as [`read`] takes them.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT bookmark, camera, gateway, person, from_at, to_at, locked, until_at, issued_at, envelope, \
             result FROM bookmarks WHERE removed = 0 AND ",
            $rest
        )
    };
}

fn read(row: &Row) -> sqlx::Result<BookmarkRow> {
    Ok(BookmarkRow {
        bookmark: row.parsed(0)?,
        camera: row.parsed(1)?,
        gateway: row.parsed(2)?,
        person: row.text_or_null(3)?.and_then(|person| person.parse().ok()),
        from: row.time(4)?,
        to: row.time(5)?,
        locked: row.number(6)? == 1,
        until: row.number_or_null(7)?.map(Timestamp),
        issued_at: row.time(8)?,
        envelope: row.json(9)?,
        result: row.text_or_null(10)?.and_then(|result| serde_json::from_str(&result).ok()),
    })
}

/// What of a bookmark goes into the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Signed<'a> {
    pub(crate) bookmark: &'a Bookmark,
    pub(crate) order: Hash,
    pub(crate) envelope: &'a Envelope,
}

impl Database {
    pub(crate) async fn bookmark(
        &self,
        org: OrgId,
        bookmark: BookmarkId,
    ) -> sqlx::Result<Option<BookmarkRow>> {
        let sql = select!("org = $1 AND bookmark = $2");
        self.optional(sql, params![org, bookmark]).await?.as_ref().map(read).transpose()
    }

    /// In place of what it was when it was looked at. False if it is another one by
    /// now, or the id was used before.
    pub(crate) async fn put_bookmark(
        &self,
        person: PersonId,
        Signed { bookmark, order, envelope }: Signed<'_>,
        before: Option<&BookmarkRow>,
        _audited: &Audited<Permit>,
    ) -> sqlx::Result<bool> {
        let Bookmark { org, camera, gateway, from, to, lock, issued_at, .. } = *bookmark;
        let envelope = serde_json::to_string(envelope).expect("an envelope serialises");
        let until = lock.and_then(|lock| lock.until);
        let locked = u64::from(lock.is_some());
        let mut transaction = self.begin().await?;
        let written = match before {
            None => {
                let sql = "INSERT INTO bookmarks (bookmark, org, camera, gateway, person, from_at, to_at, \
                           locked, until_at, issued_at, envelope, order_hash, removed) \
                           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 0) ON CONFLICT DO NOTHING";
                let values = params![
                    bookmark.bookmark,
                    org,
                    camera,
                    gateway,
                    person,
                    from,
                    to,
                    locked,
                    until,
                    issued_at,
                    envelope,
                    order
                ];
                transaction.execute(sql, values).await?
            }
            Some(before) => {
                let sql = "UPDATE bookmarks SET from_at = $3, to_at = $4, locked = $5, until_at = $6, \
                           issued_at = $7, envelope = $8, order_hash = $9, result = NULL \
                           WHERE org = $1 AND bookmark = $2 AND removed = 0 AND issued_at = $10";
                let values = params![
                    org,
                    bookmark.bookmark,
                    from,
                    to,
                    locked,
                    until,
                    issued_at,
                    envelope,
                    order,
                    before.issued_at
                ];
                transaction.execute(sql, values).await?
            }
        };
        if written != 1 {
            return Ok(false);
        }
        let sql = "INSERT INTO lock_changes (gateway, change) VALUES ($1, 1) \
                   ON CONFLICT (gateway) DO UPDATE SET change = lock_changes.change + 1";
        transaction.execute(sql, params![gateway]).await?;
        let sql = "UPDATE bookmarks SET change = (SELECT change FROM lock_changes WHERE gateway = $2) \
                   WHERE bookmark = $1 AND (locked = 1 OR change IS NOT NULL)";
        transaction.execute(sql, params![bookmark.bookmark, gateway]).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Of all cameras, or of one, that reach into `[from, to)` and begin before its
    /// end, the latest first.
    pub(crate) async fn bookmarks(
        &self,
        org: OrgId,
        camera: Option<CameraId>,
        (from, to): (Timestamp, Timestamp),
        limit: u64,
    ) -> sqlx::Result<Vec<BookmarkRow>> {
        let rows = match camera {
            None => {
                let sql = select!(
                    "org = $1 AND from_at < $3 AND to_at >= $2 ORDER BY from_at DESC, bookmark LIMIT $4"
                );
                self.all(sql, params![org, from, to, limit]).await?
            }
            Some(camera) => {
                let sql = select!(
                    "org = $1 AND camera = $5 AND from_at < $3 AND to_at >= $2 \
                     ORDER BY from_at DESC, bookmark LIMIT $4"
                );
                self.all(sql, params![org, from, to, limit, camera]).await?
            }
        };
        rows.iter().map(read).collect()
    }

    pub(crate) async fn count_bookmarks(&self, org: OrgId, person: PersonId) -> sqlx::Result<u64> {
        let sql = "SELECT COUNT(*) FROM bookmarks WHERE org = $1 AND person = $2";
        self.optional(sql, params![org, person]).await?.map_or(Ok(0), |row| row.number(0))
    }

    /// One that its gateway still takes for a lock stays until it knows better, and
    /// is shown to nobody.
    pub(crate) async fn remove_bookmark(&self, org: OrgId, bookmark: BookmarkId) -> sqlx::Result<()> {
        let mut transaction = self.begin().await?;
        let sql = "UPDATE bookmarks SET removed = 1 WHERE org = $1 AND bookmark = $2";
        transaction.execute(sql, params![org, bookmark]).await?;
        let sql = "DELETE FROM bookmarks WHERE org = $1 AND bookmark = $2 AND (change IS NULL OR result IS NOT NULL)";
        transaction.execute(sql, params![org, bookmark]).await?;
        transaction.commit().await
    }

    /// Orders to a gateway that were changed after this one, as they were changed.
    pub(crate) async fn lock_orders(
        &self,
        (org, gateway): (OrgId, GatewayId),
        after: u64,
        limit: u64,
    ) -> sqlx::Result<Vec<LockOrder>> {
        let sql = "SELECT change, envelope FROM bookmarks \
                   WHERE org = $1 AND gateway = $2 AND change > $3 ORDER BY change LIMIT $4";
        let rows = self.all(sql, params![org, gateway, after, limit]).await?;
        let order = |row: &Row| Ok(LockOrder { change: row.number(0)?, envelope: row.json(1)? });
        rows.iter().map(order).collect()
    }

    /// What the gateway says of an order, if that is still the one that counts.
    pub(crate) async fn lock_seen_to(
        &self,
        (org, gateway): (OrgId, GatewayId),
        (bookmark, order): (BookmarkId, Hash),
        result: &Envelope,
    ) -> sqlx::Result<()> {
        let result = serde_json::to_string(result).expect("an envelope serialises");
        let mut transaction = self.begin().await?;
        let sql = "UPDATE bookmarks SET result = $5 \
                   WHERE org = $1 AND gateway = $2 AND bookmark = $3 AND order_hash = $4";
        transaction.execute(sql, params![org, gateway, bookmark, order, result]).await?;
        let sql =
            "DELETE FROM bookmarks WHERE org = $1 AND bookmark = $2 AND removed = 1 AND result IS NOT NULL";
        transaction.execute(sql, params![org, bookmark]).await?;
        transaction.commit().await
    }
}
