//! What of the recordings is forwarded, and in which lane: as the site is set,
//! and by what happened when.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use gateway_core::uplink::{EVENT_PRE_ROLL_MS, State};
use model::{CameraId, EventKind, Forward, Forwarding, Rendition, Timestamp};
use sqlx::SqliteConnection;

use super::Index;
use super::quiet::bits_told;

/// Events are of use until every recording that reaches into them has its row,
/// which may take a start with the disk at hand.
const EVENTS_KEPT_MS: u64 = 30 * Timestamp::DAY;
/// Recordings that one transaction judges again when forwarding is set otherwise:
/// writers wait for some tens of milliseconds.
const ROWS_AT_ONCE: i64 = 2_000;

impl Index {
    /// As the site is set from now on; also for what is here already, but for
    /// what the store has.
    pub(crate) async fn set_forwarding(
        &self,
        forwarding: &BTreeMap<CameraId, Forwarding>,
    ) -> anyhow::Result<()> {
        let mut transaction = self.begin().await?;
        sqlx::query("DELETE FROM forwarding").execute(&mut *transaction).await?;
        let renditions = forwarding.iter().flat_map(|(camera, forwarding)| {
            Rendition::ALL.map(|rendition| (camera, rendition, forwarding.of(rendition)))
        });
        for (camera, rendition, forward) in renditions.filter(|(.., forward)| *forward != Forward::Always) {
            sqlx::query("INSERT INTO forwarding (camera, rendition, forward) VALUES (?, ?, ?)")
                .bind(camera.to_string())
                .bind(rendition.as_str())
                .bind(as_str(forward))
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        for (state, other) in [(State::Kept, State::Held), (State::Held, State::Kept)] {
            self.judge_again(state, other).await?;
        }
        Ok(())
    }

    /// What is in this state and, as `forwarding` says now, not what
    /// `uplink::state_at_first` says, comes into the other one. Page by page, since a
    /// month of recordings would let every other writer wait.
    async fn judge_again(&self, state: State, other: State) -> anyhow::Result<()> {
        let mut from = i64::MIN;
        loop {
            let to: Option<i64> = sqlx::query_scalar(
                "SELECT started_at FROM recordings WHERE state = ? AND started_at >= ?
                     ORDER BY started_at LIMIT 1 OFFSET ?",
            )
            .bind(state as i64)
            .bind(from)
            .bind(ROWS_AT_ONCE)
            .fetch_optional(&self.pool)
            .await?;
            sqlx::query(
                "UPDATE recordings SET state = ?2
                     WHERE state = ?1 AND started_at >= ?3 AND started_at <= ?4 AND ?5 = EXISTS (
                         SELECT 1 FROM forwarding f WHERE f.camera = recordings.camera
                         AND f.rendition = recordings.rendition
                         AND (f.forward = 'never' OR recordings.of_event = 0))",
            )
            .bind(state as i64)
            .bind(other as i64)
            .bind(from)
            .bind(to.unwrap_or(i64::MAX))
            .bind(i64::from(state == State::Kept))
            .execute(&self.pool)
            .await?;
            match to {
                Some(to) => from = to + 1,
                None => return Ok(()),
            }
        }
    }

    pub(super) async fn forward(
        connection: &mut SqliteConnection,
        camera: CameraId,
        rendition: Rendition,
    ) -> anyhow::Result<Forward> {
        let forward: Option<String> =
            sqlx::query_scalar("SELECT forward FROM forwarding WHERE camera = ? AND rendition = ?")
                .bind(camera.to_string())
                .bind(rendition.as_str())
                .fetch_optional(connection)
                .await?;
        let Some(forward) = forward else { return Ok(Forward::Always) };
        let known = [Forward::Always, Forward::Events, Forward::Never];
        known
            .into_iter()
            .find(|known| as_str(*known) == forward)
            .context("a way of forwarding that there is not")
    }

    /// Something happens at a camera, and goes on until then. An event that goes
    /// on anyway goes on for longer. A new one begins a little before. Without kinds,
    /// nobody said what it is.
    pub(crate) async fn add_event(
        &self,
        camera: CameraId,
        kinds: &BTreeSet<EventKind>,
        now: Timestamp,
        until: Timestamp,
    ) -> anyhow::Result<()> {
        let mut transaction = self.begin().await?;
        let from = now.minus_ms(EVENT_PRE_ROLL_MS);
        let kinds = bits_told(kinds);
        for kind in &kinds {
            Self::goes_on(&mut transaction, (camera, *kind), (from, now), until).await?;
        }
        let kinds = kinds.into_iter().fold(0, |all, kind| all | kind);
        // What ended just before belongs to it, and may be all that goes. All
        // renditions are named for the sake of the index.
        sqlx::query(
            "UPDATE recordings SET of_event = 1, kinds = kinds | ?6, quiet = iif(?6 & ~?7 = 0, quiet, 0),
                     state = iif(state = ?1 AND NOT EXISTS (
                         SELECT 1 FROM forwarding f WHERE f.camera = recordings.camera
                         AND f.rendition = recordings.rendition AND f.forward = 'never'), ?2, state)
                 WHERE camera = ?3 AND rendition IN ('main', 'sub', 'events')
                     AND (of_event = 0 OR kinds | ?6 != kinds) AND ended_at >= ?4 AND started_at <= ?5",
        )
        .bind(State::Held as i64)
        .bind(State::Kept as i64)
        .bind(camera.to_string())
        .bind(from.0 as i64)
        .bind(until.0 as i64)
        .bind(kinds)
        .bind(Self::uncounted(&mut transaction).await?)
        .execute(&mut *transaction)
        .await?;
        Ok(transaction.commit().await?)
    }

    async fn goes_on(
        connection: &mut SqliteConnection,
        (camera, kind): (CameraId, i64),
        (from, now): (Timestamp, Timestamp),
        until: Timestamp,
    ) -> anyhow::Result<()> {
        // Not one that begins later: then the clock was set back since.
        let longer = sqlx::query(
            "UPDATE events SET to_at = max(to_at, ?)
                 WHERE camera = ? AND to_at >= ? AND from_at <= ? AND kinds = ?",
        )
        .bind(until.0 as i64)
        .bind(camera.to_string())
        .bind(from.0 as i64)
        .bind(now.0 as i64)
        .bind(kind)
        .execute(&mut *connection)
        .await?;
        if longer.rows_affected() == 0 {
            sqlx::query("INSERT INTO events (camera, from_at, to_at, kinds) VALUES (?, ?, ?, ?)")
                .bind(camera.to_string())
                .bind(from.0 as i64)
                .bind(until.0 as i64)
                .bind(kind)
                .execute(connection)
                .await?;
        }
        Ok(())
    }

    /// What happened at a camera in this time, as bits of kinds; 0 if nothing did.
    pub(super) async fn kinds_told(
        connection: &mut SqliteConnection,
        camera: CameraId,
        (from, to): (Timestamp, Timestamp),
    ) -> anyhow::Result<i64> {
        let kinds: Vec<i64> = sqlx::query_scalar(
            "SELECT DISTINCT kinds FROM events WHERE camera = ? AND to_at >= ? AND from_at <= ?",
        )
        .bind(camera.to_string())
        .bind(from.0 as i64)
        .bind(to.0 as i64)
        .fetch_all(connection)
        .await?;
        Ok(kinds.into_iter().fold(0, |all, kind| all | kind))
    }

    /// Cameras at which something happens now, and until when.
    pub(crate) async fn active_events(&self, now: Timestamp) -> anyhow::Result<Vec<(CameraId, Timestamp)>> {
        let rows: Vec<(String, i64)> = sqlx::query_as(
            "SELECT camera, max(to_at) FROM events WHERE from_at <= ?1 AND to_at > ?1 GROUP BY camera",
        )
        .bind(now.0 as i64)
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter().map(|(camera, to)| Ok((camera.parse()?, Timestamp(to.max(0) as u64)))).collect()
    }

    pub(crate) async fn drop_old_events(&self, now: Timestamp) -> anyhow::Result<()> {
        sqlx::query("DELETE FROM events WHERE to_at < ?")
            .bind(now.minus_ms(EVENTS_KEPT_MS).0 as i64)
            .execute(&self.pool)
            .await?;
        Ok(())
    }
}

fn as_str(forward: Forward) -> &'static str {
    match forward {
        Forward::Always => "always",
        Forward::Events => "events",
        Forward::Never => "never",
    }
}

#[cfg(test)]
mod tests {
    use gateway_core::uplink::{Lane, state_at_first};
    use model::wire::Recording;
    use model::{EpochId, Hash};

    use super::*;

    const T0: Timestamp = Timestamp(1_764_000_000_000);
    const ANY_KIND: BTreeSet<EventKind> = BTreeSet::new();

    fn camera(n: u8) -> CameraId {
        CameraId::from_random([n; 16])
    }

    fn recording(n: u8, of: CameraId, rendition: Rendition, minute: u64) -> Recording {
        Recording {
            name: format!("r{n}"),
            id: Hash([n; 32]),
            camera: of,
            rendition,
            epoch: EpochId::from_random([1; 16]),
            started_at: T0.plus_ms(minute * Timestamp::MINUTE),
            duration_ms: 60_000,
            bytes: 1_000,
            sha256: Hash([n; 32]),
            key_frames: 1,
            root: Hash([n; 32]),
            previous_root: None,
            has_audio: false,
            codec: "avc1".to_owned(),
        }
    }

    async fn index() -> (tempfile::TempDir, Index) {
        let folder = tempfile::tempdir().unwrap();
        let index = Index::open(&folder.path().join("index.sqlite")).await.unwrap();
        (folder, index)
    }

    async fn names(index: &Index, lane: Lane) -> Vec<String> {
        let rows = index.to_send(lane, 100).await.unwrap();
        rows.into_iter().map(|pending| pending.report.name).collect()
    }

    #[tokio::test]
    async fn a_camera_that_is_set_otherwise_takes_its_past_along() {
        let (_folder, index) = index().await;
        let second = T0.plus_ms(90_000);
        index.add_event(camera(1), &ANY_KIND, second, second.plus_ms(1_000)).await.unwrap();
        index.add_event(camera(1), &ANY_KIND, second.plus_ms(500), second.plus_ms(2_000)).await.unwrap();
        for (n, of, rendition, minute) in [
            (1, camera(1), Rendition::Main, 0),
            (2, camera(1), Rendition::Main, 1),
            (3, camera(1), Rendition::Sub, 1),
            (4, camera(2), Rendition::Main, 1),
        ] {
            index.add_recording("p", &recording(n, of, rendition, minute)).await.unwrap();
        }
        assert_eq!(names(&index, Lane::Urgent).await.len(), 2, "the event's come first");
        assert_eq!(names(&index, Lane::Usual).await, ["r4", "r1"]);
        let set = |main, sub| BTreeMap::from([(camera(1), Forwarding { main, sub, short_in_events: false })]);
        index.set_forwarding(&set(Forward::Events, Forward::Never)).await.unwrap();
        assert_eq!(names(&index, Lane::Urgent).await, ["r2"]);
        assert_eq!(names(&index, Lane::Usual).await, ["r4"]);
        assert_eq!(index.oldest_spare(None, 9).await.unwrap().len(), 2);
        // What comes now is judged in the same way.
        index.add_recording("p", &recording(5, camera(1), Rendition::Main, 9)).await.unwrap();
        assert_eq!(names(&index, Lane::Usual).await, ["r4"]);
        index.set_forwarding(&set(Forward::Always, Forward::Always)).await.unwrap();
        assert_eq!(names(&index, Lane::Urgent).await.len(), 2);
        assert_eq!(names(&index, Lane::Usual).await, ["r5", "r4", "r1"]);
    }

    #[tokio::test]
    async fn a_month_that_is_set_otherwise_comes_along_whole() {
        let (_folder, index) = index().await;
        index.add_recording("p", &recording(1, camera(1), Rendition::Main, 0)).await.unwrap();
        // Four began at each moment.
        sqlx::query(
            "WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < ?)
             INSERT INTO recordings (id, camera, rendition, epoch, started_at, ended_at, bytes, path, report, state)
             SELECT i, camera, rendition, epoch, started_at + i / 4, ended_at, bytes, path, report, state
                 FROM recordings, n",
        )
        .bind(2 * ROWS_AT_ONCE + 1)
        .execute(&index.pool)
        .await
        .unwrap();
        for (forward, state) in
            [(Forward::Never, State::Held), (Forward::Always, State::Kept), (Forward::Events, State::Held)]
        {
            let set = Forwarding { main: forward, ..Forwarding::default() };
            index.set_forwarding(&BTreeMap::from([(camera(1), set)])).await.unwrap();
            let states: Vec<(i64, i64)> =
                sqlx::query_as("SELECT state, count(*) FROM recordings GROUP BY state")
                    .fetch_all(&index.pool)
                    .await
                    .unwrap();
            assert_eq!(states, [(state as i64, 2 * ROWS_AT_ONCE + 2)], "{forward:?}");
        }
    }

    #[tokio::test]
    async fn an_event_of_a_clock_that_was_ahead_swallows_no_later_one() {
        let (_folder, index) = index().await;
        let ahead = T0.plus_ms(Timestamp::DAY);
        index.add_event(camera(1), &ANY_KIND, ahead, ahead.plus_ms(10_000)).await.unwrap();
        index.add_event(camera(1), &ANY_KIND, T0, T0.plus_ms(10_000)).await.unwrap();
        index.add_recording("p", &recording(1, camera(1), Rendition::Main, 0)).await.unwrap();
        assert_eq!(names(&index, Lane::Urgent).await, ["r1"]);
    }

    #[tokio::test]
    async fn what_ended_just_before_an_event_belongs_to_it() {
        let set = |main| BTreeMap::from([(camera(1), Forwarding { main, ..Forwarding::default() })]);
        for forward in [Forward::Always, Forward::Events, Forward::Never] {
            let (_folder, index) = index().await;
            index.set_forwarding(&set(forward)).await.unwrap();
            // They end one after the other, a minute apart.
            for n in 0..3 {
                index.add_recording("p", &recording(n, camera(1), Rendition::Main, n.into())).await.unwrap();
            }
            index.add_recording("p", &recording(3, camera(2), Rendition::Main, 2)).await.unwrap();
            let now = T0.plus_ms(3 * Timestamp::MINUTE + EVENT_PRE_ROLL_MS);
            index.add_event(camera(1), &ANY_KIND, now, now.plus_ms(1_000)).await.unwrap();
            let urgent: &[&str] = if forward == Forward::Never { &[] } else { &["r2"] };
            assert_eq!(names(&index, Lane::Urgent).await, urgent, "{forward:?}");
            let mut states = index.all().await.unwrap();
            states.retain(|(pending, _)| pending.report.name == "r1");
            assert_eq!(states[0].1, state_at_first(forward, false), "{forward:?}");
        }
    }

    #[tokio::test]
    async fn rows_and_core_decide_alike() {
        for forward in [Forward::Always, Forward::Events, Forward::Never] {
            for is_of_event in [false, true] {
                let (_folder, index) = index().await;
                if is_of_event {
                    index.add_event(camera(1), &ANY_KIND, T0, T0.plus_ms(1)).await.unwrap();
                }
                // Set before the recording, and after it.
                let set =
                    BTreeMap::from([(camera(1), Forwarding { main: forward, ..Forwarding::default() })]);
                index.add_recording("p", &recording(1, camera(1), Rendition::Main, 0)).await.unwrap();
                index.set_forwarding(&set).await.unwrap();
                index.add_recording("p", &recording(2, camera(1), Rendition::Main, 0)).await.unwrap();
                let states: Vec<State> =
                    index.all().await.unwrap().into_iter().map(|(_, state)| state).collect();
                assert_eq!(states, [state_at_first(forward, is_of_event); 2], "{forward:?} {is_of_event}");
            }
        }
    }

    #[tokio::test]
    async fn an_event_goes_on_over_a_restart() {
        let (_folder, index) = index().await;
        let until = T0.plus_ms(60_000);
        index.add_event(camera(1), &ANY_KIND, T0, until).await.unwrap();
        assert_eq!(index.active_events(T0.plus_ms(1)).await.unwrap(), [(camera(1), until)]);
        assert!(index.active_events(until).await.unwrap().is_empty());
        index.drop_old_events(until.plus_ms(EVENTS_KEPT_MS + 1)).await.unwrap();
        assert!(index.active_events(T0.plus_ms(1)).await.unwrap().is_empty());
    }
}
