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

#[cfg(test)]
mod tests {
    use gateway_core::uplink::State;
    use model::wire::Recording;
    use model::{Base64, DeviceId, EpochId, GatewayId, OrgId};
    use seal::bookmark::Lock;

    use super::super::tests::recording;
    use super::*;

    const PERSON: [u8; 16] = [4; 16];

    fn at(ms: u64) -> Timestamp {
        Timestamp(ms)
    }

    /// Of the camera of [`recording`], which holds a second from `n` seconds on.
    fn bookmark(n: u8, (from, to): (u64, u64), lock: Option<Lock>) -> Bookmark {
        Bookmark {
            org: OrgId::from_random([1; 16]),
            gateway: GatewayId::from_random([1; 16]),
            camera: recording(1).camera,
            bookmark: BookmarkId::from_random([n; 16]),
            device: DeviceId::from_random([1; 16]),
            from: at(from),
            to: at(to),
            lock,
            issued_at: at(0),
            epoch: EpochId::from_random([1; 16]),
            note: Base64(Vec::new()),
        }
    }

    struct Shelf {
        index: Index,
        folder: tempfile::TempDir,
    }

    impl Shelf {
        async fn new(recordings: std::ops::RangeInclusive<u8>) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let index = Index::open(&folder.path().join("index.sqlite")).await.unwrap();
            let shelf = Shelf { index, folder };
            for n in recordings {
                shelf.add(n).await;
            }
            shelf
        }

        async fn add(&self, n: u8) {
            self.index.add_recording("path", &recording(n)).await.unwrap();
            self.index.set_state(Hash([n; 32]), State::Confirmed).await.unwrap();
        }

        async fn take(&self, bookmark: &Bookmark, bytes_max: u64) -> Result<Locked, LockRefusal> {
            let person = PersonId::from_random(PERSON);
            let order = Hash(hash_of(bookmark));
            self.index.take_lock(bookmark, order, person, bytes_max, at(1)).await.unwrap()
        }

        /// What retention may take.
        async fn spare(&self) -> Vec<u8> {
            let spare = self.index.oldest_spare(None, 100).await.unwrap();
            let all = self.index.oldest(None, 100).await.unwrap();
            assert_eq!(spare, all, "a full disk takes no more");
            spare.iter().map(|stored| stored.id.0[0]).collect()
        }
    }

    fn hash_of(bookmark: &Bookmark) -> [u8; 32] {
        seal::sha256(&seal::to_canonical(bookmark)).0
    }

    const OPEN: Option<Lock> = Some(Lock { until: None });

    #[tokio::test]
    async fn what_reaches_into_a_lock_stays_whenever_it_gets_its_row() {
        let shelf = Shelf::new(1..=5).await;
        let locked = shelf.take(&bookmark(1, (2_500, 4_000), OPEN), 1_000).await.unwrap();
        assert_eq!(locked, Locked { recordings: 2, bytes: 2, recorded_ms: 1_500 });
        assert_eq!(shelf.spare().await, [1, 4, 5]);
        // Another camera's is nobody's business here.
        let elsewhere = Recording { camera: CameraId::from_random([9; 16]), ..recording(3) };
        let elsewhere = Recording { id: Hash([33; 32]), ..elsewhere };
        shelf.index.add_recording("path", &elsewhere).await.unwrap();
        shelf.index.set_state(elsewhere.id, State::Confirmed).await.unwrap();
        assert_eq!(shelf.spare().await, [1, 33, 4, 5]);
        // One that the disk had given up comes in later.
        shelf.index.remove_recording(Hash([2; 32])).await.unwrap();
        shelf.add(2).await;
        assert_eq!(shelf.spare().await, [1, 33, 4, 5]);
    }

    /// It was planned to go, and then somebody locked it and has the gateway's word.
    #[tokio::test]
    async fn what_was_locked_since_it_was_planned_to_go_stays() {
        let shelf = Shelf::new(1..=3).await;
        shelf.take(&bookmark(1, (2_000, 3_000), OPEN), 1_000).await.unwrap();
        let held = shelf.index.remove_unlocked(Hash([2; 32]), async { panic!("its file was deleted") });
        assert!(!held.await.unwrap());
        assert!(shelf.index.remove_unlocked(Hash([1; 32]), async { Ok(()) }).await.unwrap());
        let fails =
            shelf.index.remove_unlocked(Hash([3; 32]), async { anyhow::bail!("the disk is read-only") });
        assert!(fails.await.is_err());
        assert_eq!(shelf.spare().await, [3], "with its file, its row stays");
    }

    #[tokio::test]
    async fn a_lock_lets_go_what_no_other_lock_holds() {
        let shelf = Shelf::new(1..=6).await;
        let (first, second) = (bookmark(1, (2_000, 5_000), OPEN), bookmark(2, (4_000, 6_000), OPEN));
        shelf.take(&first, 1_000).await.unwrap();
        shelf.take(&second, 1_000).await.unwrap();
        assert_eq!(shelf.spare().await, [1, 6]);
        shelf.take(&Bookmark { lock: None, ..first.clone() }, 1_000).await.unwrap();
        assert_eq!(shelf.spare().await, [1, 2, 3, 6]);
        // It moves: what it held before goes, what it holds now stays.
        shelf.take(&Bookmark { from: at(1_000), to: at(2_000), ..second }, 1_000).await.unwrap();
        assert_eq!(shelf.spare().await, [2, 3, 4, 5, 6]);
    }

    #[tokio::test]
    async fn a_lock_ends_by_itself() {
        let shelf = Shelf::new(1..=3).await;
        let ends = bookmark(1, (1_000, 3_000), Some(Lock { until: Some(at(50)) }));
        shelf.take(&ends, 1_000).await.unwrap();
        shelf.take(&bookmark(2, (2_000, 3_000), OPEN), 1_000).await.unwrap();
        shelf.index.end_locks(at(49)).await.unwrap();
        assert_eq!(shelf.spare().await, [3]);
        shelf.index.end_locks(at(50)).await.unwrap();
        assert_eq!(shelf.spare().await, [1, 3], "the other lock goes on");
        shelf.add(1).await;
        assert_eq!(shelf.spare().await, [1, 3]);
    }

    /// The attack: somebody locks all there is, so that nothing new has room.
    #[tokio::test]
    async fn locks_hold_half_of_what_may_be_recorded_and_no_more() {
        let shelf = Shelf::new(1..=6).await;
        let lock = |n, from, to| bookmark(n, (from, to), OPEN);
        // Half of 800 is 400 bytes, and each recording has one: all fit.
        assert!(shelf.take(&lock(1, 1_000, 3_000), 800).await.is_ok());
        // Of 200, it is 100; of 199 (by whole hundreds) 50; of 99 nothing.
        assert_eq!(shelf.take(&lock(2, 3_000, 5_000), 99).await, Err(LockRefusal::Full));
        assert_eq!(shelf.spare().await, [3, 4, 5, 6], "nothing is left of what was refused");
        assert!(shelf.index.known_lock(BookmarkId::from_random([2; 16])).await.unwrap().is_none());
        // There is less room than before: less may be locked still, not more.
        assert!(shelf.take(&lock(1, 1_000, 2_000), 99).await.is_ok());
        assert_eq!(shelf.take(&lock(1, 1_000, 4_000), 99).await, Err(LockRefusal::Full));
        assert_eq!(shelf.spare().await, [2, 3, 4, 5, 6]);
    }

    #[tokio::test]
    async fn locks_are_saved_from_a_damaged_index() {
        let shelf = Shelf::new(1..=3).await;
        let lock = bookmark(1, (2_000, 3_000), OPEN);
        shelf.take(&lock, 1_000).await.unwrap();
        let known = shelf.index.known_lock(lock.bookmark).await.unwrap().unwrap();
        assert_eq!(known.person, PersonId::from_random(PERSON));
        let salvaged = Index::salvage(&shelf.folder.path().join("index.sqlite")).await;
        let restored = Index::open(&shelf.folder.path().join("another.sqlite")).await.unwrap();
        restored.restore(&salvaged).await.unwrap();
        let restored = Shelf { index: restored, folder: shelf.folder };
        for n in 1..=3 {
            restored.add(n).await;
        }
        assert_eq!(restored.spare().await, [1, 3]);
        assert_eq!(restored.index.known_lock(lock.bookmark).await.unwrap(), Some(known));
    }
}
