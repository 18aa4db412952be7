//! SQL on SQLite or PostgreSQL: an enum over the two pools and one set of
//! statements with `$1`. The modules below hold the statements, by what they
//! are about; nobody else writes SQL. BYTEA, BIGINT and TEXT only, and no
//! value ever stands in the text of a statement.

mod accounts;
mod approvals;
mod batches;
mod bookmarks;
mod devices;
mod directory;
mod enrolments;
mod events;
mod factors;
mod footage;
mod history;
mod hours;
mod local;
mod log;
mod mail;
mod notices;
mod past;
mod roster;
mod rules;
mod services;
mod shares;
mod silences;
mod stills;
mod value;
mod walls;
mod witnesses;

use std::str::FromStr as _;
use std::time::Duration;

use anyhow::Context as _;
use sqlx::migrate::MigrateError;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};

pub(crate) use accounts::{OneTimeToken, PersonRow, SessionRow, TokenKind};
pub(crate) use approvals::{ProposalRow, ProposalState};
pub(crate) use bookmarks::{BookmarkRow, Signed};
pub(crate) use devices::DeviceRequestRow;
pub(crate) use directory::{DirectoryGroup, DirectoryPerson, Membership};
pub(crate) use enrolments::Enrolment;
pub(crate) use factors::{PasskeyRow, PasswordLogin, Removed};
pub(crate) use footage::FoundRecording;
pub(crate) use history::{Filter, HistoryRow};
pub(crate) use hours::HourRow;
pub(crate) use local::News;
pub(crate) use log::LogRow;
pub(crate) use mail::{MailRow, MailTokens};
pub(crate) use notices::SubscriptionRow;
pub(crate) use past::PastEpoch;
pub(crate) use rules::{PolicySetRow, ReasonRow, RolesRow};
pub(crate) use services::ServiceRow;
pub(crate) use shares::{Room, ShareRow};
pub(crate) use value::params;
pub(crate) use value::{Row, Value};
pub(crate) use walls::{Arrangement, Arranger, Tile, WallRow};
pub(crate) use witnesses::{OutsideRow, WitnessRow};

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("./migrations");

/// Connections at most; SQLite has one writer anyway.
const CONNECTIONS_MAX: u32 = 8;
/// How long to wait for a connection, or for SQLite's write lock.
const WAIT_MAX: Duration = Duration::from_secs(10);

#[derive(Clone, Debug)]
pub(crate) enum Database {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

/// What to do where there is no SQLite file yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    Create,
    Refuse,
}

/// Writes that happen together or not at all. On SQLite it begins with
/// `BEGIN IMMEDIATE`, so that what it reads cannot change before it writes.
#[derive(Debug)]
pub(crate) enum Transaction {
    Sqlite(sqlx::Transaction<'static, sqlx::Sqlite>),
    Postgres(sqlx::Transaction<'static, sqlx::Postgres>),
}

impl Database {
    pub(crate) async fn open(url: &str, missing: Missing) -> anyhow::Result<Self> {
        if url.starts_with("sqlite:") {
            let options = SqliteConnectOptions::from_str(url)
                .context("database.url does not name an SQLite file; it looks like sqlite:/var/lib/lenskeep/cloud.db")?
                .create_if_missing(missing == Missing::Create)
                .journal_mode(SqliteJournalMode::Wal)
                // Sessions, statements and the history must outlive a power cut.
                .synchronous(SqliteSynchronous::Full)
                .busy_timeout(WAIT_MAX);
            let pool = SqlitePoolOptions::new()
                .max_connections(CONNECTIONS_MAX)
                .acquire_timeout(WAIT_MAX)
                .connect_with(options)
                .await
                .context("the SQLite database could not be opened")?;
            return Ok(Database::Sqlite(pool));
        }
        if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            // The URL may hold a password: errors do not repeat it.
            let options = PgConnectOptions::from_str(url)
                .map_err(|_| anyhow::anyhow!("database.url is not a PostgreSQL URL"))?;
            let pool = PgPoolOptions::new()
                .max_connections(CONNECTIONS_MAX)
                .acquire_timeout(WAIT_MAX)
                .connect_with(options)
                .await
                .context("PostgreSQL could not be reached")?;
            return Ok(Database::Postgres(pool));
        }
        anyhow::bail!("database.url must begin with sqlite: or postgres:")
    }

    pub(crate) async fn migrate(&self) -> anyhow::Result<()> {
        let outcome = match self {
            Database::Sqlite(pool) => MIGRATIONS.run(pool).await,
            Database::Postgres(pool) => MIGRATIONS.run(pool).await,
        };
        // Unlike a gateway, a cloud that is down loses no recording: it does
        // not guess what a newer schema demands (docs/design/0013).
        if let Err(MigrateError::VersionMissing(migration)) = outcome {
            anyhow::bail!(
                "the database was brought to the schema of a newer version (migration {migration}): install that \
                 version of lenskeep-cloud again, or restore the database's backup from before the upgrade"
            );
        }
        let failed = "the database could not be brought to this version's schema";
        outcome.context(failed)?;
        let mut filled_in = 0;
        loop {
            match self.fill_in_ends().await.context(failed)? {
                0 => return Ok(()),
                rows => filled_in += rows,
            }
            tracing::info!(filled_in, "recordings of a version before get their ends");
        }
    }

    pub(crate) async fn begin(&self) -> sqlx::Result<Transaction> {
        Ok(match self {
            Database::Sqlite(pool) => Transaction::Sqlite(pool.begin_with("BEGIN IMMEDIATE").await?),
            Database::Postgres(pool) => Transaction::Postgres(pool.begin().await?),
        })
    }

    pub(crate) async fn execute(&self, sql: &'static str, values: Vec<Value>) -> sqlx::Result<u64> {
        Ok(match self {
            Database::Sqlite(pool) => value::sqlite(sql, values).execute(pool).await?.rows_affected(),
            Database::Postgres(pool) => value::postgres(sql, values).execute(pool).await?.rows_affected(),
        })
    }

    pub(crate) async fn all(&self, sql: &'static str, values: Vec<Value>) -> sqlx::Result<Vec<Row>> {
        Ok(match self {
            Database::Sqlite(pool) => {
                let rows = value::sqlite(sql, values).fetch_all(pool).await?;
                rows.into_iter().map(Row::Sqlite).collect()
            }
            Database::Postgres(pool) => {
                let rows = value::postgres(sql, values).fetch_all(pool).await?;
                rows.into_iter().map(Row::Postgres).collect()
            }
        })
    }

    pub(crate) async fn optional(&self, sql: &'static str, values: Vec<Value>) -> sqlx::Result<Option<Row>> {
        Ok(match self {
            Database::Sqlite(pool) => value::sqlite(sql, values).fetch_optional(pool).await?.map(Row::Sqlite),
            Database::Postgres(pool) => {
                value::postgres(sql, values).fetch_optional(pool).await?.map(Row::Postgres)
            }
        })
    }

    /// Whether it answers, for `/readyz`.
    pub(crate) async fn ping(&self) -> sqlx::Result<()> {
        self.optional("SELECT 1", vec![]).await.map(drop)
    }

    pub(crate) async fn close(&self) {
        match self {
            Database::Sqlite(pool) => pool.close().await,
            Database::Postgres(pool) => pool.close().await,
        }
    }
}

impl Transaction {
    pub(crate) async fn execute(&mut self, sql: &'static str, values: Vec<Value>) -> sqlx::Result<u64> {
        Ok(match self {
            Transaction::Sqlite(tx) => value::sqlite(sql, values).execute(&mut **tx).await?.rows_affected(),
            Transaction::Postgres(tx) => {
                value::postgres(sql, values).execute(&mut **tx).await?.rows_affected()
            }
        })
    }

    pub(crate) async fn optional(
        &mut self,
        sql: &'static str,
        values: Vec<Value>,
    ) -> sqlx::Result<Option<Row>> {
        Ok(match self {
            Transaction::Sqlite(tx) => {
                value::sqlite(sql, values).fetch_optional(&mut **tx).await?.map(Row::Sqlite)
            }
            Transaction::Postgres(tx) => {
                value::postgres(sql, values).fetch_optional(&mut **tx).await?.map(Row::Postgres)
            }
        })
    }

    pub(crate) async fn all(&mut self, sql: &'static str, values: Vec<Value>) -> sqlx::Result<Vec<Row>> {
        Ok(match self {
            Transaction::Sqlite(tx) => {
                let rows = value::sqlite(sql, values).fetch_all(&mut **tx).await?;
                rows.into_iter().map(Row::Sqlite).collect()
            }
            Transaction::Postgres(tx) => {
                let rows = value::postgres(sql, values).fetch_all(&mut **tx).await?;
                rows.into_iter().map(Row::Postgres).collect()
            }
        })
    }

    pub(crate) async fn commit(self) -> sqlx::Result<()> {
        match self {
            Transaction::Sqlite(tx) => tx.commit().await,
            Transaction::Postgres(tx) => tx.commit().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use model::timeline::Scale;
    use model::wire::Recording;
    use model::{CameraId, EpochId, GatewayId, Hash, OrgId, Rendition, Timestamp};

    use super::*;

    #[tokio::test]
    async fn a_database_of_a_newer_version_is_refused_with_the_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("cloud.db").display());
        let database = Database::open(&url, Missing::Create).await.unwrap();
        database.migrate().await.unwrap();
        let later = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
             VALUES (9999, 'later', true, x'00', 0)";
        database.execute(later, vec![]).await.unwrap();
        let error = database.migrate().await.unwrap_err().to_string();
        assert!(error.contains("newer version (migration 9999)"), "{error}");
    }

    #[tokio::test]
    async fn recordings_of_a_version_before_get_their_ends() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("cloud.db").display());
        let database = Database::open(&url, Missing::Create).await.unwrap();
        database.migrate().await.unwrap();
        let org = OrgId::from_random([1; 16]);
        let recording = Recording {
            name: "name".to_owned(),
            id: Hash([1; 32]),
            camera: CameraId::from_random([1; 16]),
            rendition: Rendition::Main,
            epoch: EpochId::from_random([1; 16]),
            started_at: Timestamp(1_000_000),
            duration_ms: 60_000,
            bytes: 600,
            sha256: Hash([1; 32]),
            key_frames: 1,
            root: Hash([1; 32]),
            previous_root: None,
            has_audio: false,
            codec: "avc1".to_owned(),
        };
        let damaged = Recording { id: Hash([2; 32]), started_at: Timestamp(1_060_000), ..recording.clone() };
        // A gateway that says so makes no sum overflow.
        let endless = [3, 4].map(|n| Recording {
            id: Hash([n; 32]),
            started_at: Timestamp(9_000_000),
            duration_ms: u64::MAX,
            ..recording.clone()
        });
        for recording in [&recording, &damaged, &endless[0], &endless[1]] {
            let gateway = GatewayId::from_random([1; 16]);
            database.add_recording(org, gateway, recording, Timestamp(1)).await.unwrap();
        }
        database.execute("UPDATE recordings SET ended_at = NULL", vec![]).await.unwrap();
        let damage = "UPDATE recordings SET recording = '{' WHERE started_at = 1060000";
        database.execute(damage, vec![]).await.unwrap();
        let scale = Scale::new((Timestamp(1_000_000), Timestamp(1_120_000)), 4).unwrap();
        let timeline = async || {
            let found = database.timeline(org, recording.camera, Rendition::Main, &scale).await.unwrap();
            found.iter().map(|part| (part.part, part.recorded_ms, part.bytes)).collect::<Vec<_>>()
        };
        assert_eq!(timeline().await, []);
        database.migrate().await.unwrap();
        assert_eq!(timeline().await, [(0, 30_000, 300), (1, 30_000, 300)]);
        let scale = Scale::new((Timestamp(9_000_000), Timestamp(9_600_000)), 1).unwrap();
        let found = database.timeline(org, recording.camera, Rendition::Main, &scale).await.unwrap();
        assert_eq!((found.len(), found[0].recorded_ms), (1, 600_000));
    }
}
