//! What webhooks are told, on the disk until each has taken it and 72 hours have
//! passed. A database of its own: a receiver that is away takes no lock from
//! recording, and the command line may look into it while the gateway runs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use gateway_core::webhooks::{AGE_MS_MAX, EventMessage, Filter, Health};
use model::{CameraId, EventKind, EventPhase, Timestamp};
use sqlx::Row as _;
use sqlx::migrate::Migrator;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow, SqliteSynchronous,
};
use tracing::error;

/// Below the data folder.
const NAME: &str = "webhooks.sqlite";
/// Events that are kept, whatever their age; of more, the oldest are dropped.
pub(crate) const EVENTS_MAX: i64 = 100_000;

#[derive(Clone, Debug)]
pub(crate) struct Store {
    pool: SqlitePool,
}

/// Where a webhook stands.
#[derive(Clone, Debug, Default)]
pub(crate) struct Standing {
    pub(crate) health: Health,
    /// Cursor of the last event that it took, or that was not for it.
    pub(crate) taken: i64,
    pub(crate) taken_at: Option<Timestamp>,
    pub(crate) replays: i64,
    pub(crate) error: Option<String>,
}

/// From where events are told once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Since {
    /// After this one.
    Cursor(i64),
    Time(Timestamp),
}

impl Store {
    pub(crate) fn path(data: &Path) -> PathBuf {
        data.join(NAME)
    }

    /// Opens it, or makes it. One that cannot be read is put aside: what it held was
    /// news, and no reason not to record.
    pub(crate) async fn open(data: &Path, now: Timestamp) -> anyhow::Result<Self> {
        let path = Self::path(data);
        let opened = match Self::connect(&path).await {
            Ok(store) => match store.is_sound().await {
                Ok(()) => Ok(store),
                Err(error) => {
                    store.close().await;
                    Err(error)
                }
            },
            Err(error) => Err(error),
        };
        let store = match opened {
            Ok(store) => store,
            Err(unreadable) => {
                error!(
                    error = format!("{unreadable:#}"),
                    "{} cannot be read and is put aside; what webhooks were not told yet is lost",
                    path.display()
                );
                crate::check::put_aside(&path)?;
                Self::connect(&path).await?
            }
        };
        // Cursors go on growing where the file was lost: the first is the time, in ms.
        sqlx::query(
            "INSERT INTO sqlite_sequence (name, seq) SELECT 'events', ?1
                 WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'events')",
        )
        .bind(number(now))
        .execute(&store.pool)
        .await?;
        Ok(store)
    }

    async fn connect(path: &Path) -> anyhow::Result<Self> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(10));
        let pool = SqlitePoolOptions::new().max_connections(2).connect_with(options).await?;
        let store = Store { pool };
        migrations().run(&store.pool).await?;
        Ok(store)
    }

    /// One that is there already, while a gateway may run.
    pub(crate) async fn open_existing(data: &Path) -> anyhow::Result<Option<Self>> {
        let path = Self::path(data);
        if !path.exists() {
            return Ok(None);
        }
        let options = SqliteConnectOptions::new().filename(&path).busy_timeout(Duration::from_secs(10));
        let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await;
        Ok(Some(Store { pool: pool.with_context(|| format!("{} could not be opened", path.display()))? }))
    }

    async fn is_sound(&self) -> anyhow::Result<()> {
        let said: String = sqlx::query_scalar("PRAGMA quick_check(1)").fetch_one(&self.pool).await?;
        ensure!(said == "ok", "{said}");
        Ok(())
    }

    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }

    /// The webhooks of the configuration, and no others. A new one is told what
    /// happens from now on.
    pub(crate) async fn set_webhooks(&self, names: &[&str]) -> anyhow::Result<()> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        for name in names {
            sqlx::query(
                "INSERT OR IGNORE INTO webhooks (name, taken)
                     SELECT ?, seq FROM sqlite_sequence WHERE name = 'events'",
            )
            .bind(name)
            .execute(&mut *transaction)
            .await?;
        }
        let known: Vec<String> =
            sqlx::query_scalar("SELECT name FROM webhooks").fetch_all(&mut *transaction).await?;
        for gone in known.iter().filter(|known| !names.contains(&known.as_str())) {
            sqlx::query("DELETE FROM webhooks WHERE name = ?").bind(gone).execute(&mut *transaction).await?;
        }
        sqlx::query("UPDATE webhooks SET is_off = 0, error = NULL, failing_since = NULL")
            .execute(&mut *transaction)
            .await?;
        Ok(transaction.commit().await?)
    }

    /// In one flush.
    pub(crate) async fn add(&self, messages: &[EventMessage]) -> anyhow::Result<()> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        for message in messages {
            sqlx::query(
                "INSERT INTO events (at, event, phase, camera, kind, message) VALUES (?, ?, ?, ?, ?, ?)",
            )
            .bind(number(message.at))
            .bind(message.event.to_string())
            .bind(message.phase_name())
            .bind(message.camera.to_string())
            .bind(kind_name(message.kind)?)
            .bind(serde_json::to_string(message)?)
            .execute(&mut *transaction)
            .await?;
        }
        Ok(transaction.commit().await?)
    }

    /// Events that had begun when the gateway died: nobody will say that they ended.
    /// Trouble goes on over a restart.
    pub(crate) async fn unended(&self) -> anyhow::Result<Vec<EventMessage>> {
        let rows: Vec<String> = sqlx::query_scalar(
            "SELECT message FROM events AS begun WHERE phase = 'began' AND NOT EXISTS
                 (SELECT 1 FROM events AS ended WHERE ended.event = begun.event AND ended.phase = 'ended')",
        )
        .fetch_all(&self.pool)
        .await?;
        let ended = rows.iter().filter_map(|row| serde_json::from_str::<EventMessage>(row).ok());
        let ended = ended.filter(|begun| !begun.kind.is_trouble());
        let ended =
            ended.map(|begun| EventMessage { phase: EventPhase::Ended, began_at: Some(begun.at), ..begun });
        Ok(ended.collect())
    }

    /// What comes after a cursor, in order. `None` in place of what this version
    /// cannot read.
    pub(crate) async fn page(
        &self,
        after: i64,
        limit: i64,
    ) -> anyhow::Result<Vec<(i64, Option<EventMessage>)>> {
        let rows = sqlx::query("SELECT cursor, message FROM events WHERE cursor > ? ORDER BY cursor LIMIT ?")
            .bind(after)
            .bind(limit)
            .fetch_all(&self.pool)
            .await?;
        Ok(rows.iter().map(|row| (row.get(0), serde_json::from_str(row.get(1)).ok())).collect())
    }

    pub(crate) async fn standing(&self, name: &str) -> anyhow::Result<Standing> {
        let row = sqlx::query("SELECT * FROM webhooks WHERE name = ?").bind(name).fetch_optional(&self.pool);
        let row = row.await?.with_context(|| format!("there is no webhook {name}"))?;
        Ok(standing(&row))
    }

    pub(crate) async fn standings(&self) -> anyhow::Result<Vec<Standing>> {
        let rows = sqlx::query("SELECT * FROM webhooks ORDER BY name").fetch_all(&self.pool).await?;
        Ok(rows.iter().map(standing).collect())
    }

    /// Everything up to here was taken, unless a replay began meanwhile.
    pub(crate) async fn took(
        &self,
        name: &str,
        replays: i64,
        cursor: i64,
        now: Timestamp,
    ) -> anyhow::Result<()> {
        sqlx::query(
            "UPDATE webhooks SET taken = max(taken, ?), taken_at = ?, error = NULL, failing_since = NULL
                 WHERE name = ? AND replays = ?",
        )
        .bind(cursor)
        .bind(number(now))
        .bind(name)
        .bind(replays)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// What was not for it counts as taken, and says nothing of its receiver.
    pub(crate) async fn passed(&self, name: &str, replays: i64, cursor: i64) -> anyhow::Result<()> {
        sqlx::query("UPDATE webhooks SET taken = max(taken, ?) WHERE name = ? AND replays = ?")
            .bind(cursor)
            .bind(name)
            .bind(replays)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    pub(crate) async fn failed(
        &self,
        name: &str,
        error: &str,
        is_off: bool,
        now: Timestamp,
    ) -> anyhow::Result<()> {
        sqlx::query(
            "UPDATE webhooks SET error = ?, is_off = ?, failing_since = coalesce(failing_since, ?)
                 WHERE name = ?",
        )
        .bind(error)
        .bind(is_off)
        .bind(number(now))
        .bind(name)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// How many events wait for a webhook.
    pub(crate) async fn waiting(&self, taken: i64, filter: &Filter) -> anyhow::Result<u64> {
        let rows =
            sqlx::query("SELECT camera, kind, count(*) FROM events WHERE cursor > ? GROUP BY camera, kind")
                .bind(taken)
                .fetch_all(&self.pool)
                .await?;
        Ok(wanted(&rows, filter))
    }

    /// Deletes what is too old or too much. What a webhook has not taken of it is
    /// dropped, and counted.
    pub(crate) async fn prune(&self, webhooks: &[(&str, &Filter)], now: Timestamp) -> anyhow::Result<()> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let oldest = number(now.minus_ms(AGE_MS_MAX));
        // Cursors have no holes but at the beginning.
        let last: Option<i64> =
            sqlx::query_scalar("SELECT max(cursor) FROM events").fetch_one(&mut *transaction).await?;
        let until = last.unwrap_or(0).saturating_sub(EVENTS_MAX);
        for (name, filter) in webhooks {
            let rows = sqlx::query(
                "SELECT camera, kind, count(*) FROM events WHERE (at < ?1 OR cursor <= ?2)
                     AND cursor > (SELECT taken FROM webhooks WHERE name = ?3) GROUP BY camera, kind",
            )
            .bind(oldest)
            .bind(until)
            .bind(name)
            .fetch_all(&mut *transaction)
            .await?;
            let dropped = wanted(&rows, filter);
            if dropped == 0 {
                continue;
            }
            error!(
                webhook = name,
                dropped,
                "events are dropped: the webhook has not taken them in 72 hours, or there are too many"
            );
            sqlx::query("UPDATE webhooks SET dropped = dropped + ?, dropped_at = ? WHERE name = ?")
                .bind(i64::try_from(dropped)?)
                .bind(number(now))
                .bind(name)
                .execute(&mut *transaction)
                .await?;
        }
        sqlx::query("DELETE FROM events WHERE at < ? OR cursor <= ?")
            .bind(oldest)
            .bind(until)
            .execute(&mut *transaction)
            .await?;
        Ok(transaction.commit().await?)
    }

    /// Tells a webhook once more what it was told. Nothing is skipped by it: what it
    /// has not taken yet stays to be told. Returns how many events that are.
    pub(crate) async fn replay(&self, name: &str, filter: &Filter, since: Since) -> anyhow::Result<u64> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let taken: Option<i64> = sqlx::query_scalar("SELECT taken FROM webhooks WHERE name = ?")
            .bind(name)
            .fetch_optional(&mut *transaction)
            .await?;
        let Some(taken) = taken else {
            bail!("there is no webhook {name} yet; `lenskeep-gateway webhooks list` names them");
        };
        let after = match since {
            Since::Cursor(cursor) => cursor,
            Since::Time(time) => {
                let first: Option<i64> = sqlx::query_scalar("SELECT min(cursor) FROM events WHERE at >= ?")
                    .bind(number(time))
                    .fetch_one(&mut *transaction)
                    .await?;
                first.map_or(taken, |first| first - 1).min(taken)
            }
        };
        ensure!(
            (0..=taken).contains(&after),
            "{name} has taken nothing after {taken}; a replay begins at a cursor that it has taken"
        );
        sqlx::query("UPDATE webhooks SET taken = ?, replays = replays + 1 WHERE name = ?")
            .bind(after)
            .bind(name)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        self.waiting(after, filter).await
    }
}

/// The rows have camera, kind and a count. What cannot be read counts: better too
/// much is said to be missing than too little.
fn wanted(rows: &[SqliteRow], filter: &Filter) -> u64 {
    let is_wanted = |row: &&SqliteRow| {
        let camera = row.get::<String, _>(0).parse::<CameraId>();
        let kind = serde_json::from_value::<EventKind>(row.get::<String, _>(1).into());
        match (camera, kind) {
            (Ok(camera), Ok(kind)) => filter.wants(camera, kind),
            _ => true,
        }
    };
    rows.iter().filter(is_wanted).map(|row| row.get::<i64, _>(2).max(0) as u64).sum()
}

fn kind_name(kind: EventKind) -> anyhow::Result<String> {
    Ok(serde_json::to_value(kind)?.as_str().unwrap_or_default().to_owned())
}

fn standing(row: &SqliteRow) -> Standing {
    let time = |name: &str| row.get::<Option<i64>, _>(name).map(|at| Timestamp(at.max(0) as u64));
    Standing {
        health: Health {
            name: row.get("name"),
            dropped: row.get::<i64, _>("dropped").max(0) as u64,
            dropped_at: time("dropped_at"),
            failing_since: time("failing_since"),
            is_off: row.get("is_off"),
        },
        taken: row.get("taken"),
        taken_at: time("taken_at"),
        replays: row.get("replays"),
        error: row.get("error"),
    }
}

fn number(at: Timestamp) -> i64 {
    i64::try_from(at.0).unwrap_or(i64::MAX)
}

/// As the index's: a newer version's are ignored after a downgrade.
fn migrations() -> Migrator {
    let mut migrations = sqlx::migrate!("./webhook_migrations");
    migrations.set_ignore_missing(true);
    migrations
}

#[cfg(test)]
mod tests {
    use model::{EventId, EventSource, GatewayId};

    use super::*;

    const NOW: Timestamp = Timestamp(1_763_769_600_000);

    fn message(number: u16, at: Timestamp, kind: EventKind) -> EventMessage {
        let mut id = [0; 16];
        id[..2].copy_from_slice(&number.to_be_bytes());
        EventMessage {
            event: EventId::from_random(id),
            phase: EventPhase::Began,
            at,
            began_at: None,
            gateway: GatewayId::from_random([1; 16]),
            camera: CameraId::from_random([2; 16]),
            camera_name: "Door".into(),
            kind,
            rule: None,
            topic: String::new(),
            source: EventSource::Onvif,
        }
    }

    async fn store(folder: &Path, names: &[&str]) -> Store {
        let store = Store::open(folder, NOW).await.unwrap();
        store.set_webhooks(names).await.unwrap();
        store
    }

    #[tokio::test]
    async fn what_is_too_old_or_too_much_is_dropped_and_counted_for_whom_it_waited() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path(), &["all", "people", "quick"]).await;
        let old = NOW.minus_ms(AGE_MS_MAX + 1);
        let messages: Vec<EventMessage> = (0..6)
            .map(|n| {
                let kind = if n < 2 { EventKind::Person } else { EventKind::Motion };
                message(n, if n < 4 { old } else { NOW }, kind)
            })
            .collect();
        store.add(&messages).await.unwrap();
        let first = store.page(0, 1).await.unwrap()[0].0;
        assert!(first > NOW.0 as i64, "cursors begin at the time");
        store.took("quick", 0, first + 3, NOW).await.unwrap();
        let people = Filter { cameras: None, kinds: Some(vec![EventKind::Person]) };
        let all = Filter::default();
        store.prune(&[("all", &all), ("people", &people), ("quick", &all)], NOW).await.unwrap();
        let dropped: Vec<(String, u64)> = store
            .standings()
            .await
            .unwrap()
            .into_iter()
            .map(|standing| (standing.health.name, standing.health.dropped))
            .collect();
        assert_eq!(dropped, [("all".into(), 4), ("people".into(), 2), ("quick".into(), 0)]);
        let left: Vec<i64> = store.page(0, 9).await.unwrap().iter().map(|(cursor, _)| *cursor).collect();
        assert_eq!(left, [first + 4, first + 5]);

        // More than there is room for: the newest stay.
        let last = first + 5 + EVENTS_MAX;
        sqlx::query("UPDATE events SET cursor = ? WHERE cursor = ?")
            .bind(last)
            .bind(first + 5)
            .execute(&store.pool)
            .await
            .unwrap();
        store.prune(&[("all", &all)], NOW).await.unwrap();
        assert_eq!(store.page(0, 9).await.unwrap().len(), 1);
        assert_eq!(store.standing("all").await.unwrap().health.dropped, 5);
    }

    #[tokio::test]
    async fn a_replay_counts_more_than_what_was_under_way() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path(), &["alarm"]).await;
        let messages: Vec<EventMessage> = (0..3).map(|n| message(n, NOW, EventKind::Motion)).collect();
        store.add(&messages).await.unwrap();
        let first = store.page(0, 1).await.unwrap()[0].0;
        let replays = store.standing("alarm").await.unwrap().replays;
        store.took("alarm", replays, first + 1, NOW).await.unwrap();
        let all = Filter::default();
        assert_eq!(store.replay("alarm", &all, Since::Cursor(first - 1)).await.unwrap(), 3);
        // Taken from before the replay.
        store.took("alarm", replays, first + 2, NOW).await.unwrap();
        assert_eq!(store.standing("alarm").await.unwrap().taken, first - 1);

        store.took("alarm", replays + 1, first + 1, NOW).await.unwrap();
        for forged in [first + 2, i64::MAX, -1] {
            assert!(store.replay("alarm", &all, Since::Cursor(forged)).await.is_err(), "{forged}");
        }
        // Nothing since then: nothing again, and nothing skipped.
        let later = Since::Time(NOW.plus_ms(1));
        assert_eq!(store.replay("alarm", &all, later).await.unwrap(), 1);
        assert_eq!(store.standing("alarm").await.unwrap().taken, first + 1);
        assert_eq!(store.replay("alarm", &all, Since::Time(NOW)).await.unwrap(), 3);
        assert!(store.replay("' OR 1=1 --", &all, later).await.is_err());
    }

    #[tokio::test]
    async fn a_webhook_begins_with_what_happens_after_it_was_named_and_is_forgotten_with_its_section() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path(), &["old"]).await;
        store.add(&[message(1, NOW, EventKind::Motion)]).await.unwrap();
        store.failed("old", "it answered 500", true, NOW).await.unwrap();
        store.set_webhooks(&["old", "new"]).await.unwrap();
        let all = Filter::default();
        let waiting = async |name| {
            let standing = store.standing(name).await.unwrap();
            assert_eq!((standing.error, standing.health.is_off), (None, false), "a start is a new beginning");
            store.waiting(standing.taken, &all).await.unwrap()
        };
        assert_eq!((waiting("old").await, waiting("new").await), (1, 0));
        store.set_webhooks(&["new"]).await.unwrap();
        assert!(store.standing("old").await.is_err());
    }

    #[tokio::test]
    async fn what_had_begun_when_the_gateway_died_ends_once() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path(), &[]).await;
        let over = message(2, NOW, EventKind::Motion);
        let end = EventMessage { phase: EventPhase::Ended, ..over.clone() };
        store.add(&[message(1, NOW, EventKind::Motion), over, end]).await.unwrap();
        let ended = store.unended().await.unwrap();
        let [ended] = &ended[..] else { panic!("{ended:?}") };
        assert_eq!((ended.phase, ended.began_at), (EventPhase::Ended, Some(NOW)));
        store.add(std::slice::from_ref(ended)).await.unwrap();
        assert!(store.unended().await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_damaged_file_is_put_aside_and_cursors_go_on_growing() {
        let folder = tempfile::tempdir().unwrap();
        let before = store(folder.path(), &["alarm"]).await;
        before.add(&[message(1, NOW, EventKind::Motion)]).await.unwrap();
        let last = before.page(0, 1).await.unwrap()[0].0;
        before.close().await;
        std::fs::write(Store::path(folder.path()), "this is no database").unwrap();
        let after = Store::open(folder.path(), NOW.plus_ms(1_000)).await.unwrap();
        after.set_webhooks(&["alarm"]).await.unwrap();
        after.add(&[message(2, NOW, EventKind::Motion)]).await.unwrap();
        assert!(after.page(0, 1).await.unwrap()[0].0 > last);
        assert!(folder.path().join("webhooks.sqlite.damaged").exists());
    }
}
