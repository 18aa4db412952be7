//! The index: which recordings, grants, gaps and indexes of hours are on disk, and
//! what of them the cloud has. Rows of recordings can be rebuilt from the files;
//! grants that were not forwarded yet are here alone.

mod forwarding;
mod grants;
mod hours;
mod locks;
mod quiet;
mod shown;
mod stored;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use anyhow::Context as _;
use gateway_core::hours::HourStep;
use gateway_core::uplink::{Lane, Pending, State, state_at_first};
use model::wire::{Gap, Recording};
use model::{CameraId, Hash, Rendition, Timestamp};
use sqlx::migrate::Migrator;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Row as _, Sqlite, Transaction};
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::clock;

pub(crate) use locks::Locked;
pub(crate) use quiet::{Judged, Listening, Uncounted};
pub(crate) use shown::Of;

/// Between tries of a write that failed.
const RETRY: Duration = Duration::from_secs(1);

#[derive(Clone, Debug)]
pub(crate) struct Index {
    pool: SqlitePool,
    /// Of which cameras it is known that nothing happened.
    listening: Listening,
    /// How often it was set since the start which kinds count.
    uncounted_set: Arc<AtomicU64>,
}

/// Epoch, device, time, envelope, as they stand in the table.
type SalvagedGrant = (String, String, i64, String);

#[derive(Debug, Default)]
pub(crate) struct Salvaged {
    pub(crate) grants: Vec<SalvagedGrant>,
    pub(crate) gaps: Vec<Gap>,
    /// Camera, beginning, end.
    events: Vec<(String, i64, i64)>,
    hours: hours::Salvaged,
    locks: Vec<locks::LockRow>,
}

impl Index {
    pub(crate) async fn open(path: &Path) -> anyhow::Result<Self> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // A committed row is on disk: grants must not be younger than what they open.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(10));
        let open = async {
            let pool = SqlitePoolOptions::new().max_connections(2).connect_with(options).await?;
            migrations().run(&pool).await?;
            anyhow::Ok(Index { pool, listening: Listening::default(), uncounted_set: Arc::default() })
        };
        open.await.with_context(|| {
            format!(
                "the index {} could not be opened; `lenskeep-gateway check` says whether it is damaged",
                path.display()
            )
        })
    }

    /// The same index for readers alone, with connections of their own: whoever
    /// looks at lists takes none from recording.
    pub(crate) async fn open_to_read(path: &Path) -> anyhow::Result<Self> {
        let options =
            SqliteConnectOptions::new().filename(path).read_only(true).busy_timeout(Duration::from_secs(5));
        let pool = SqlitePoolOptions::new().max_connections(2).acquire_timeout(Duration::from_secs(10));
        let pool = pool.connect_with(options).await;
        let failed = || format!("the index {} could not be opened to read", path.display());
        let (listening, uncounted_set) = Default::default();
        Ok(Index { pool: pool.with_context(failed)?, listening, uncounted_set })
    }

    /// What was refused is offered once more.
    pub(crate) async fn offer_refused_again(&self) -> anyhow::Result<()> {
        sqlx::query("UPDATE recordings SET state = 0 WHERE state = ?")
            .bind(State::Refused as i64)
            .execute(&self.pool)
            .await?;
        sqlx::query("UPDATE grants SET uploaded = 0 WHERE uploaded = 2").execute(&self.pool).await?;
        sqlx::query("UPDATE hours SET state = ? WHERE state = ?")
            .bind(HourStep::Made as i64)
            .bind(HourStep::Refused as i64)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }

    /// As the site is set, and as events are, at the moment when it gets its row.
    pub(crate) async fn add_recording(&self, path: &str, report: &Recording) -> anyhow::Result<()> {
        let ended_at = report.ended_at();
        let mut transaction = self.begin().await?;
        let told = Self::kinds_told(&mut transaction, report.camera, (report.started_at, ended_at)).await?;
        let is_of_event = told != 0;
        let of = (report.camera, report.rendition);
        let (kinds, is_quiet) = self.kinds_at_first(&mut transaction, of, report.started_at, told).await?;
        let forward = Self::forward(&mut transaction, report.camera, report.rendition).await?;
        let is_locked =
            Self::is_locked(&mut transaction, report.camera, (report.started_at, ended_at)).await?;
        sqlx::query(
            "INSERT OR IGNORE INTO recordings
                 (id, camera, rendition, epoch, started_at, ended_at, bytes, path, report, state, of_event, locked,
                  kinds, quiet)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(report.id.to_string())
        .bind(report.camera.to_string())
        .bind(report.rendition.as_str())
        .bind(report.epoch.to_string())
        .bind(report.started_at.0 as i64)
        .bind(ended_at.0 as i64)
        .bind(report.bytes as i64)
        .bind(path)
        .bind(serde_json::to_string(report)?)
        .bind(state_at_first(forward, is_of_event) as i64)
        .bind(is_of_event)
        .bind(is_locked)
        .bind(kinds)
        .bind(is_quiet)
        .execute(&mut *transaction)
        .await?;
        Ok(transaction.commit().await?)
    }

    /// A transaction that reads first and writes then waits for other writers at its
    /// beginning: later it could not, since what it has read would be the past.
    async fn begin(&self) -> anyhow::Result<Transaction<'static, Sqlite>> {
        Ok(self.pool.begin_with("BEGIN IMMEDIATE").await?)
    }

    /// Every recording with its state, oldest first.
    pub(crate) async fn all(&self) -> anyhow::Result<Vec<(Pending, State)>> {
        let rows = sqlx::query("SELECT path, report, state FROM recordings ORDER BY started_at")
            .fetch_all(&self.pool)
            .await?;
        let read = |row: &sqlx::sqlite::SqliteRow| {
            let pending = Pending { path: row.get(0), report: serde_json::from_str(row.get(1))? };
            anyhow::Ok((pending, state_of(row.get(2))?))
        };
        rows.iter().map(read).collect()
    }

    /// Whether SQLite finds nothing wrong with its file.
    pub(crate) async fn is_sound(&self) -> anyhow::Result<()> {
        let said: String = sqlx::query_scalar("PRAGMA quick_check(1)").fetch_one(&self.pool).await?;
        anyhow::ensure!(said == "ok", "{said}");
        Ok(())
    }

    /// What is in a damaged index alone, as far as it can be read.
    pub(crate) async fn salvage(path: &Path) -> Salvaged {
        let Ok(index) = Self::open_to_read(path).await else { return Salvaged::default() };
        let grants = sqlx::query("SELECT epoch, device, created_at, envelope FROM grants")
            .fetch_all(&index.pool)
            .await
            .unwrap_or_default();
        let gaps = index.gaps_to_report(i64::MAX).await.unwrap_or_default();
        let events = sqlx::query_as("SELECT camera, from_at, to_at FROM events")
            .fetch_all(&index.pool)
            .await
            .unwrap_or_default();
        let (hours, locks) = (index.salvage_hours().await, index.salvage_locks().await);
        index.close().await;
        Salvaged {
            hours,
            locks,
            grants: grants.iter().map(|row| (row.get(0), row.get(1), row.get(2), row.get(3))).collect(),
            gaps: gaps.into_iter().map(|(_, gap)| gap).collect(),
            events,
        }
    }

    /// Into an index that was just made. Grants are forwarded once more: what was
    /// forwarded before is the same.
    pub(crate) async fn restore(&self, salvaged: &Salvaged) -> anyhow::Result<()> {
        let Salvaged { grants, gaps, events, hours, locks } = salvaged;
        self.restore_hours(hours).await?;
        self.restore_locks(locks).await?;
        for (camera, from, to) in events {
            sqlx::query("INSERT INTO events (camera, from_at, to_at) VALUES (?, ?, ?)")
                .bind(camera)
                .bind(from)
                .bind(to)
                .execute(&self.pool)
                .await?;
        }
        for (epoch, device, created_at, envelope) in grants {
            sqlx::query(
                "INSERT OR IGNORE INTO grants (epoch, device, created_at, envelope) VALUES (?, ?, ?, ?)",
            )
            .bind(epoch)
            .bind(device)
            .bind(created_at)
            .bind(envelope)
            .execute(&self.pool)
            .await?;
        }
        for gap in gaps {
            self.add_gap(gap).await?;
        }
        Ok(())
    }

    pub(crate) async fn paths(&self) -> anyhow::Result<Vec<String>> {
        Ok(sqlx::query_scalar("SELECT path FROM recordings").fetch_all(&self.pool).await?)
    }

    /// Newest first: what happened now is wanted first.
    pub(crate) async fn to_send(&self, lane: Lane, limit: i64) -> anyhow::Result<Vec<Pending>> {
        let query = sqlx::query(
            "SELECT path, report FROM recordings WHERE state = ? AND of_event = ?
                 ORDER BY started_at DESC LIMIT ?",
        );
        let rows = query.bind(State::Kept as i64).bind(lane == Lane::Urgent).bind(limit);
        Self::pending(&rows.fetch_all(&self.pool).await?)
    }

    /// What was uploaded, newest first.
    pub(crate) async fn to_report(&self, limit: i64) -> anyhow::Result<Vec<Pending>> {
        let query = sqlx::query(
            "SELECT path, report FROM recordings WHERE state = ? ORDER BY started_at DESC LIMIT ?",
        );
        let rows = query.bind(State::Uploaded as i64).bind(limit);
        Self::pending(&rows.fetch_all(&self.pool).await?)
    }

    fn pending(rows: &[sqlx::sqlite::SqliteRow]) -> anyhow::Result<Vec<Pending>> {
        let pending = |row: &sqlx::sqlite::SqliteRow| {
            anyhow::Ok(Pending { path: row.get(0), report: serde_json::from_str(row.get(1))? })
        };
        rows.iter().map(pending).collect()
    }

    pub(crate) async fn set_state(&self, id: Hash, state: State) -> anyhow::Result<()> {
        // One that an index of its hour lists as here alone is listed once more.
        sqlx::query(
            "UPDATE recordings SET state = ?1, listed = iif(?1 = ?2 AND listed = 2, 0, listed) WHERE id = ?3",
        )
        .bind(state as i64)
        .bind(State::Confirmed as i64)
        .bind(id.to_string())
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    pub(crate) async fn recording(&self, id: Hash) -> anyhow::Result<Option<(Pending, State)>> {
        let row = sqlx::query("SELECT path, report, state FROM recordings WHERE id = ?")
            .bind(id.to_string())
            .fetch_optional(&self.pool)
            .await?;
        let read = |row: sqlx::sqlite::SqliteRow| {
            let pending = Pending { path: row.get(0), report: serde_json::from_str(row.get(1))? };
            Ok((pending, state_of(row.get(2))?))
        };
        row.map(read).transpose()
    }

    pub(crate) async fn remove_recording(&self, id: Hash) -> anyhow::Result<()> {
        sqlx::query("DELETE FROM recordings WHERE id = ?").bind(id.to_string()).execute(&self.pool).await?;
        Ok(())
    }

    /// Deletes its file by `unlink`, and then its row, while nobody can lock it. Returns
    /// false if somebody has.
    pub(crate) async fn remove_unlocked(
        &self,
        id: Hash,
        unlink: impl Future<Output = anyhow::Result<()>>,
    ) -> anyhow::Result<bool> {
        let mut transaction = self.begin().await?;
        let is_locked: Option<bool> = sqlx::query_scalar("SELECT locked FROM recordings WHERE id = ?")
            .bind(id.to_string())
            .fetch_optional(&mut *transaction)
            .await?;
        if is_locked != Some(false) {
            return Ok(false);
        }
        unlink.await?;
        sqlx::query("DELETE FROM recordings WHERE id = ?")
            .bind(id.to_string())
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Where the recording of a stream ends that was begun last, of those whose
    /// number is below this one. Others may end later: the clock may have been set
    /// back, which the numbers in the files' names know nothing of.
    pub(crate) async fn last_end(
        &self,
        camera: CameraId,
        rendition: Rendition,
        below: u64,
    ) -> anyhow::Result<Option<Timestamp>> {
        // Ten digits, a dash, 64 of the id, `.lkr` (`recovery::file_name`).
        let end: Option<i64> = sqlx::query_scalar(
            "SELECT ended_at FROM recordings WHERE camera = ? AND rendition = ? AND substr(path, -79, 10) < ?
                 ORDER BY substr(path, -79, 10) DESC LIMIT 1",
        )
        .bind(camera.to_string())
        .bind(rendition.as_str())
        .bind(format!("{below:010}"))
        .fetch_optional(&self.pool)
        .await?;
        Ok(end.map(|end| Timestamp(end.max(0) as u64)))
    }

    pub(crate) async fn add_gap(&self, gap: &Gap) -> anyhow::Result<()> {
        let mut transaction = self.begin().await?;
        sqlx::query("INSERT INTO gaps (gap) VALUES (?)")
            .bind(serde_json::to_string(gap)?)
            .execute(&mut *transaction)
            .await?;
        Self::add_unlisted_gap(&mut transaction, gap, clock::now()).await?;
        Ok(transaction.commit().await?)
    }

    pub(crate) async fn gaps_to_report(&self, limit: i64) -> anyhow::Result<Vec<(i64, Gap)>> {
        let rows = sqlx::query("SELECT id, gap FROM gaps ORDER BY id LIMIT ?")
            .bind(limit)
            .fetch_all(&self.pool)
            .await?;
        let gaps = rows.iter().filter_map(|row| {
            // One that a newer version wrote waits for that version.
            let gap = serde_json::from_str(row.get(1)).ok()?;
            Some((row.get(0), gap))
        });
        Ok(gaps.collect())
    }

    /// The cloud has it; here it is of no further use.
    pub(crate) async fn gap_reported(&self, id: i64) -> anyhow::Result<()> {
        sqlx::query("DELETE FROM gaps WHERE id = ?").bind(id).execute(&self.pool).await?;
        Ok(())
    }
}

fn state_of(number: i64) -> anyhow::Result<State> {
    let state = State::ALL.into_iter().find(|state| *state as i64 == number);
    state.context("a recording in a state that there is not")
}

fn number(at: Timestamp) -> i64 {
    i64::try_from(at.0).unwrap_or(i64::MAX)
}

/// After a downgrade, an index has migrations that this program does not know.
/// They only add (docs/design/0013), so the site goes on recording.
fn migrations() -> Migrator {
    let mut migrations = sqlx::migrate!("./migrations");
    migrations.set_ignore_missing(true);
    migrations
}

/// Repeats a write until the disk takes it, or until we are told to end and it
/// has been tried once more.
pub(crate) async fn insist<F: Future<Output = anyhow::Result<()>>>(
    what: &str,
    cancel: &CancellationToken,
    mut write: impl FnMut() -> F,
) {
    let mut is_told = false;
    while let Err(error) = write().await {
        if !std::mem::replace(&mut is_told, true) {
            error!(error = format!("{error:#}"), "{what} could not be written into the index; trying again");
        }
        if cancel.is_cancelled() {
            return;
        }
        tokio::time::sleep(RETRY).await;
    }
}

#[cfg(test)]
mod tests {
    use model::EpochId;

    use super::*;

    /// What an older program does not notice: tables, columns and indexes that
    /// refuse nothing. SQLite itself demands a default where a column is NOT NULL.
    fn only_adds(statement: &str) -> bool {
        let words: Vec<String> = statement.split_whitespace().map(str::to_ascii_uppercase).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words[..] {
            ["CREATE", "TABLE" | "INDEX", ..] => true,
            ["ALTER", "TABLE", _, "ADD", "COLUMN", ..] => {
                !words.iter().any(|word| ["CHECK", "REFERENCES", "UNIQUE"].iter().any(|w| word.contains(w)))
            }
            _ => false,
        }
    }

    pub(super) fn recording(n: u8) -> Recording {
        Recording {
            name: String::new(),
            id: Hash([n; 32]),
            camera: CameraId::from_random([1; 16]),
            rendition: Rendition::Main,
            epoch: EpochId::from_random([2; 16]),
            started_at: Timestamp(u64::from(n) * 1_000),
            duration_ms: 1_000,
            bytes: 1,
            sha256: Hash::default(),
            key_frames: 1,
            root: Hash::default(),
            previous_root: None,
            has_audio: false,
            codec: String::new(),
        }
    }

    #[test]
    fn migrations_of_the_index_only_add() {
        for migration in migrations().iter() {
            let lines = migration.sql.as_str().lines();
            let code: Vec<&str> = lines.map(|line| line.split("--").next().unwrap_or_default()).collect();
            let code = code.join(" ");
            for statement in code.split(';').map(str::trim).filter(|statement| !statement.is_empty()) {
                assert!(only_adds(statement), "{}: {statement}", migration.description);
            }
        }
        for statement in [
            "DROP TABLE gaps",
            "ALTER TABLE gaps RENAME TO holes",
            "ALTER TABLE gaps DROP COLUMN gap",
            "ALTER TABLE gaps ADD COLUMN camera TEXT REFERENCES cameras (id)",
            "CREATE UNIQUE INDEX one ON gaps (gap)",
            "CREATE TRIGGER t AFTER INSERT ON gaps BEGIN DELETE FROM gaps; END",
            "UPDATE recordings SET state = 5",
        ] {
            assert!(!only_adds(statement), "{statement}");
        }
    }
}
