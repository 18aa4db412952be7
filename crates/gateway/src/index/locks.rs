//! What people lock against retention, and which recordings that holds.

use gateway_core::locks::{Known, LOCKS_MAX, locked_bytes_max};
use model::{BookmarkId, CameraId, Hash, PersonId, Rendition, Timestamp};
use seal::bookmark::{Bookmark, LockRefusal};
use sqlx::{FromRow, Row as _, SqliteConnection};

use super::{Index, number};

/// What a lock holds of the recordings that are here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Locked {
    pub(crate) recordings: u64,
    pub(crate) bytes: u64,
    /// Of the full stream, within the stretch.
    pub(crate) recorded_ms: u64,
}

/// As it stands in the table.
#[derive(Debug, FromRow)]
pub(super) struct LockRow {
    bookmark: String,
    camera: String,
    from_at: i64,
    to_at: i64,
    holds: bool,
    until_at: Option<i64>,
    issued_at: i64,
    person: String,
    order_hash: String,
}

impl Index {
    pub(crate) async fn known_lock(&self, bookmark: BookmarkId) -> anyhow::Result<Option<Known>> {
        let row = sqlx::query("SELECT order_hash, issued_at, person FROM locks WHERE bookmark = ?")
            .bind(bookmark.to_string())
            .fetch_optional(&self.pool)
            .await?;
        let known = |row: sqlx::sqlite::SqliteRow| {
            anyhow::Ok(Known {
                order: row.get::<&str, _>(0).parse()?,
                issued_at: Timestamp(row.get::<i64, _>(1).max(0) as u64),
                person: row.get::<&str, _>(2).parse()?,
            })
        };
        row.map(known).transpose()
    }

    /// In place of what the bookmark said before: all of it, or nothing if there is
    /// no room for what it locks.
    pub(crate) async fn take_lock(
        &self,
        bookmark: &Bookmark,
        order: Hash,
        person: PersonId,
        bytes_max: u64,
        now: Timestamp,
    ) -> anyhow::Result<Result<Locked, LockRefusal>> {
        let mut transaction = self.begin().await?;
        let (others, before): (i64, Option<i64>) = (
            sqlx::query_scalar("SELECT count(*) FROM locks WHERE bookmark != ?")
                .bind(bookmark.bookmark.to_string())
                .fetch_one(&mut *transaction)
                .await?,
            sqlx::query_scalar("SELECT holds FROM locks WHERE bookmark = ?")
                .bind(bookmark.bookmark.to_string())
                .fetch_optional(&mut *transaction)
                .await?,
        );
        if before.is_none() && others >= LOCKS_MAX as i64 {
            return Ok(Err(LockRefusal::TooMany));
        }
        let holds = bookmark.locks_at(now);
        let locked_before = locked_bytes(&mut transaction).await?;
        let of_before = release(&mut transaction, &bookmark.bookmark.to_string()).await?;
        insert(
            &mut transaction,
            &LockRow {
                bookmark: bookmark.bookmark.to_string(),
                camera: bookmark.camera.to_string(),
                from_at: number(bookmark.from),
                to_at: number(bookmark.to),
                holds,
                until_at: bookmark.lock.and_then(|lock| lock.until).map(number),
                issued_at: number(bookmark.issued_at),
                person: person.to_string(),
                order_hash: order.to_string(),
            },
        )
        .await?;
        if let Some(stretch) = of_before {
            unlock(&mut transaction, &stretch).await?;
        }
        let stretch = (bookmark.camera.to_string(), number(bookmark.from), number(bookmark.to));
        if holds {
            sqlx::query(
                "UPDATE recordings SET locked = 1 WHERE camera = ? AND ended_at > ? AND started_at < ?",
            )
            .bind(&stretch.0)
            .bind(stretch.1)
            .bind(stretch.2)
            .execute(&mut *transaction)
            .await?;
            let locked = locked_bytes(&mut transaction).await?;
            // What holds less than before is taken, however much may be recorded by now.
            if locked > locked_bytes_max(bytes_max).max(locked_before) {
                return Ok(Err(LockRefusal::Full));
            }
        }
        let held = if holds { held(&mut transaction, &stretch).await? } else { Locked::default() };
        transaction.commit().await?;
        Ok(Ok(held))
    }

    /// What is locked by an order that was taken before.
    pub(crate) async fn held_by(&self, bookmark: &Bookmark, now: Timestamp) -> anyhow::Result<Locked> {
        if !bookmark.locks_at(now) {
            return Ok(Locked::default());
        }
        let mut connection = self.pool.acquire().await?;
        let stretch = (bookmark.camera.to_string(), number(bookmark.from), number(bookmark.to));
        held(&mut connection, &stretch).await
    }

    /// Locks whose time is over hold nothing any more.
    pub(crate) async fn end_locks(&self, now: Timestamp) -> anyhow::Result<()> {
        let over: Vec<String> =
            sqlx::query_scalar("SELECT bookmark FROM locks WHERE holds = 1 AND until_at <= ?")
                .bind(number(now))
                .fetch_all(&self.pool)
                .await?;
        for bookmark in over {
            let mut transaction = self.begin().await?;
            let stretch = release(&mut transaction, &bookmark).await?;
            if let Some(stretch) = stretch {
                unlock(&mut transaction, &stretch).await?;
            }
            transaction.commit().await?;
        }
        Ok(())
    }

    /// Whether a recording that gets its row now is locked.
    pub(super) async fn is_locked(
        connection: &mut SqliteConnection,
        camera: CameraId,
        (from, to): (Timestamp, Timestamp),
    ) -> anyhow::Result<bool> {
        let found: Option<i64> = sqlx::query_scalar(
            "SELECT 1 FROM locks WHERE camera = ? AND holds = 1 AND to_at > ? AND from_at < ? LIMIT 1",
        )
        .bind(camera.to_string())
        .bind(number(from))
        .bind(number(to))
        .fetch_optional(connection)
        .await?;
        Ok(found.is_some())
    }

    pub(super) async fn salvage_locks(&self) -> Vec<LockRow> {
        sqlx::query_as("SELECT * FROM locks").fetch_all(&self.pool).await.unwrap_or_default()
    }

    /// Before recordings get their rows.
    pub(super) async fn restore_locks(&self, locks: &[LockRow]) -> anyhow::Result<()> {
        let mut transaction = self.begin().await?;
        for lock in locks {
            insert(&mut transaction, lock).await?;
        }
        Ok(transaction.commit().await?)
    }
}

type Stretch = (String, i64, i64);

async fn insert(connection: &mut SqliteConnection, lock: &LockRow) -> anyhow::Result<()> {
    sqlx::query(
        "INSERT OR REPLACE INTO locks
             (bookmark, camera, from_at, to_at, holds, until_at, issued_at, person, order_hash)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(&lock.bookmark)
    .bind(&lock.camera)
    .bind(lock.from_at)
    .bind(lock.to_at)
    .bind(lock.holds)
    .bind(lock.until_at)
    .bind(lock.issued_at)
    .bind(&lock.person)
    .bind(&lock.order_hash)
    .execute(connection)
    .await?;
    Ok(())
}

/// Returns the stretch that it held.
async fn release(connection: &mut SqliteConnection, bookmark: &str) -> anyhow::Result<Option<Stretch>> {
    let query =
        "UPDATE locks SET holds = 0 WHERE bookmark = ? AND holds = 1 RETURNING camera, from_at, to_at";
    Ok(sqlx::query_as(query).bind(bookmark).fetch_optional(connection).await?)
}

/// What no other lock holds.
async fn unlock(connection: &mut SqliteConnection, (camera, from, to): &Stretch) -> anyhow::Result<()> {
    sqlx::query(
        "UPDATE recordings SET locked = 0
             WHERE camera = ?1 AND ended_at > ?2 AND started_at < ?3 AND locked = 1
             AND NOT EXISTS (SELECT 1 FROM locks WHERE locks.camera = ?1 AND holds = 1
                 AND to_at > recordings.started_at AND from_at < recordings.ended_at)",
    )
    .bind(camera)
    .bind(from)
    .bind(to)
    .execute(connection)
    .await?;
    Ok(())
}

async fn locked_bytes(connection: &mut SqliteConnection) -> anyhow::Result<u64> {
    let bytes: i64 = sqlx::query_scalar("SELECT coalesce(sum(bytes), 0) FROM recordings WHERE locked = 1")
        .fetch_one(connection)
        .await?;
    Ok(bytes.max(0) as u64)
}

async fn held(connection: &mut SqliteConnection, (camera, from, to): &Stretch) -> anyhow::Result<Locked> {
    let (recordings, bytes, recorded_ms): (i64, i64, i64) = sqlx::query_as(
        "SELECT count(*), coalesce(sum(bytes), 0),
             coalesce(sum(iif(rendition = ?4, min(ended_at, ?3) - max(started_at, ?2), 0)), 0)
             FROM recordings WHERE camera = ?1 AND ended_at > ?2 AND started_at < ?3",
    )
    .bind(camera)
    .bind(from)
    .bind(to)
    .bind(Rendition::Main.as_str())
    .fetch_one(connection)
    .await?;
    let whole = |number: i64| number.max(0) as u64;
    Ok(Locked { recordings: whole(recordings), bytes: whole(bytes), recorded_ms: whole(recorded_ms) })
}
