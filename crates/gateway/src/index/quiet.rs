//! Which recordings are quiet: whoever tells of their camera was heard all the time,
//! and told of nothing that counts. What nobody watched is not quiet.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use gateway_core::retention::Stored;
use gateway_core::uplink::State;
use model::{CameraId, EventKind, Quiet, Rendition, Timestamp};
use sqlx::SqliteConnection;

use super::stored::{StoredRow, place};
use super::{Index, number};

/// Somebody told of an event without a kind, or nobody was there to tell.
pub(super) const ANY: i64 = 1;
/// Recordings that one transaction judges again.
const ROWS_AT_ONCE: i64 = 2_000;

/// Cameras of which all who tell are heard, and since when. Nothing of it is kept:
/// after a start nobody knows what was told meanwhile.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listening(Arc<Mutex<BTreeMap<CameraId, Timestamp>>>);

impl Listening {
    /// `None`: somebody is not heard any more.
    pub(crate) fn set(&self, camera: CameraId, since: Option<Timestamp>) {
        let mut listening = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match since {
            Some(since) => listening.insert(camera, since),
            None => listening.remove(&camera),
        };
    }

    fn covers(&self, camera: CameraId, from: Timestamp) -> bool {
        let listening = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        listening.get(&camera).is_some_and(|since| *since <= from)
    }
}

/// As it stands in the tables, for ever.
fn bit(kind: EventKind) -> i64 {
    let place = match kind {
        EventKind::Motion => 1,
        EventKind::Person => 2,
        EventKind::Vehicle => 3,
        EventKind::Animal => 4,
        EventKind::Package => 5,
        EventKind::Face => 6,
        EventKind::Line => 7,
        EventKind::Zone => 8,
        EventKind::Tampering => 9,
        EventKind::Sound => 10,
        EventKind::Input => 11,
        EventKind::Doorbell => 12,
        EventKind::Other => 13,
        EventKind::CameraDown => 14,
        EventKind::NotRecorded => 15,
        EventKind::Frozen => 16,
        EventKind::Disk => 17,
        EventKind::Clock => 18,
    };
    1 << place
}

fn bits(kinds: &BTreeSet<EventKind>) -> i64 {
    kinds.iter().fold(0, |bits, kind| bits | bit(*kind))
}

/// Each kind apart; [`ANY`] where none was told.
pub(super) fn bits_told(kinds: &BTreeSet<EventKind>) -> Vec<i64> {
    if kinds.is_empty() { vec![ANY] } else { kinds.iter().map(|kind| bit(*kind)).collect() }
}

/// Kinds that count for nothing: footage of theirs is quiet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Uncounted(i64);

impl Uncounted {
    /// None where nothing is said of them.
    pub(crate) fn of(kinds: Option<&BTreeSet<EventKind>>) -> Self {
        Uncounted(kinds.map_or(0, bits))
    }
}

/// How far recordings are judged by the kinds that count now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Judged {
    /// How often kinds were set before.
    set: u64,
    /// Of the first that is not.
    from: i64,
}

impl Index {
    /// Who is heard, for those who listen.
    pub(crate) fn listening(&self) -> &Listening {
        &self.listening
    }

    /// Kinds that a recording gets with its row, and whether it is quiet. `told` are
    /// those of the events that it reaches into.
    pub(super) async fn kinds_at_first(
        &self,
        connection: &mut SqliteConnection,
        (camera, rendition): (CameraId, Rendition),
        from: Timestamp,
        told: i64,
    ) -> anyhow::Result<(i64, bool)> {
        let kinds = if self.listening.covers(camera, from) { told } else { told | ANY };
        let counted = !Self::uncounted(connection).await?;
        // What says that nothing else happened is small, and stays.
        Ok((kinds, kinds & counted == 0 && rendition != Rendition::Events))
    }

    /// Kinds that count for nothing.
    pub(super) async fn uncounted(connection: &mut SqliteConnection) -> anyhow::Result<i64> {
        let kinds: Option<i64> =
            sqlx::query_scalar("SELECT kinds FROM uncounted LIMIT 1").fetch_optional(connection).await?;
        Ok(kinds.unwrap_or_else(|| bits(&Quiet::kinds_first())))
    }

    /// As the site is set from now on. What is here already is judged by it later, by
    /// [`Index::judge_quiet_again`].
    pub(crate) async fn set_uncounted(&self, kinds: &BTreeSet<EventKind>) -> anyhow::Result<()> {
        let kinds = bits(kinds);
        let mut transaction = self.begin().await?;
        let before: Option<i64> =
            sqlx::query_scalar("SELECT kinds FROM uncounted").fetch_optional(&mut *transaction).await?;
        let is_first = before.is_none() && kinds == Self::uncounted(&mut transaction).await?;
        if is_first || before == Some(kinds) {
            return Ok(());
        }
        sqlx::query("DELETE FROM uncounted").execute(&mut *transaction).await?;
        sqlx::query("INSERT INTO uncounted (kinds, judged) VALUES (?, 0)")
            .bind(kinds)
            .execute(&mut *transaction)
            .await?;
        // Whoever judges goes by it from the first recording on.
        self.uncounted_set.fetch_add(1, Ordering::Relaxed);
        Ok(transaction.commit().await?)
    }

    /// Judges the next page of recordings by the kinds that count now. Returns how far
    /// that is; `None` once all are. Kinds that were set otherwise, and a start, begin
    /// it anew.
    pub(crate) async fn judge_quiet_again(&self, at: Option<Judged>) -> anyhow::Result<Option<Judged>> {
        // Before the lock on writing: mostly there is nothing to do.
        let is_late = "SELECT kinds FROM uncounted WHERE judged = 0";
        if sqlx::query_scalar::<_, i64>(is_late).fetch_optional(&self.pool).await?.is_none() {
            return Ok(None);
        }
        let mut transaction = self.begin().await?;
        let set = self.uncounted_set.load(Ordering::Relaxed);
        let kinds: Option<i64> = sqlx::query_scalar(is_late).fetch_optional(&mut *transaction).await?;
        let Some(kinds) = kinds else { return Ok(None) };
        let from = at.filter(|at| at.set == set).map_or(i64::MIN, |at| at.from);
        let to: Option<i64> = sqlx::query_scalar(
            "SELECT started_at FROM recordings WHERE started_at >= ? ORDER BY started_at LIMIT 1 OFFSET ?",
        )
        .bind(from)
        .bind(ROWS_AT_ONCE)
        .fetch_optional(&mut *transaction)
        .await?;
        sqlx::query(
            "UPDATE recordings SET quiet = 1 - quiet WHERE started_at >= ?1 AND started_at <= ?2
                 AND quiet != (kinds & ~?3 = 0 AND rendition != ?4)",
        )
        .bind(from)
        .bind(to.unwrap_or(i64::MAX))
        .bind(kinds)
        .bind(Rendition::Events.as_str())
        .execute(&mut *transaction)
        .await?;
        if to.is_none() {
            sqlx::query("UPDATE uncounted SET judged = 1").execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        Ok(to.map(|to| Judged { set, from: to + 1 }))
    }

    /// Whoever tells of this camera may have been cut off since then: what was
    /// recorded meanwhile counts as if something had happened.
    pub(crate) async fn unheard(&self, camera: CameraId, since: Timestamp) -> anyhow::Result<()> {
        // All renditions are named for the sake of the index.
        sqlx::query(
            "UPDATE recordings SET kinds = kinds | ?, quiet = 0
                 WHERE camera = ? AND rendition IN ('main', 'sub', 'events') AND ended_at >= ?",
        )
        .bind(ANY)
        .bind(camera.to_string())
        .bind(number(since))
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// What was told could not be written down: until all who tell of the camera are
    /// heard anew, nothing of it is quiet.
    pub(crate) fn deafen(&self, camera: CameraId) {
        self.listening.set(camera, None);
    }

    /// The oldest of what is quiet by these kinds, confirmed or held, and not locked,
    /// or those that follow this one.
    pub(crate) async fn oldest_quiet_spare(
        &self,
        after: Option<&Stored>,
        limit: i64,
        uncounted: Uncounted,
    ) -> anyhow::Result<Vec<Stored>> {
        // By the kinds of whoever asks, and not by the flag alone: while kinds are set
        // otherwise, some flags are of the old ones and some of the new.
        let query = sqlx::query_as(
            "SELECT * FROM (SELECT id, started_at, bytes, state, quiet FROM recordings
                     WHERE quiet = 1 AND state = ?4 AND locked = 0 AND (started_at, id) > (?1, ?2)
                     AND kinds & ~?6 = 0 ORDER BY started_at, id LIMIT ?3)
             UNION ALL
             SELECT * FROM (SELECT id, started_at, bytes, state, quiet FROM recordings
                     WHERE quiet = 1 AND state = ?5 AND locked = 0 AND (started_at, id) > (?1, ?2)
                     AND kinds & ~?6 = 0 ORDER BY started_at, id LIMIT ?3)
             ORDER BY started_at, id LIMIT ?3",
        );
        let (from, id) = place(after);
        let states = (State::Confirmed as i64, State::Held as i64);
        let query = query.bind(from).bind(id).bind(limit).bind(states.0).bind(states.1).bind(uncounted.0);
        let rows: Vec<StoredRow> = query.fetch_all(&self.pool).await?;
        rows.into_iter().map(StoredRow::read).collect()
    }

    /// The oldest of all recordings that are quiet by these kinds and not locked, or
    /// those that follow this one.
    pub(crate) async fn oldest_quiet(
        &self,
        after: Option<&Stored>,
        limit: i64,
        uncounted: Uncounted,
    ) -> anyhow::Result<Vec<Stored>> {
        let query = sqlx::query_as(
            "SELECT id, started_at, bytes, state, quiet FROM recordings
                 WHERE quiet = 1 AND locked = 0 AND (started_at, id) > (?1, ?2) AND kinds & ~?4 = 0
                 ORDER BY started_at, id LIMIT ?3",
        );
        let (from, id) = place(after);
        let query = query.bind(from).bind(id).bind(limit).bind(uncounted.0);
        let rows: Vec<StoredRow> = query.fetch_all(&self.pool).await?;
        rows.into_iter().map(StoredRow::read).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::time::{Duration, Instant};

    use gateway_core::retention::{Clock, Policy, is_spare};
    use model::Hash;
    use model::wire::Recording;

    use super::super::tests::recording;
    use super::*;
    use crate::keep::{Rules, plan};

    struct Shelf {
        index: Index,
        _folder: tempfile::TempDir,
    }

    fn at(ms: u64) -> Timestamp {
        Timestamp(ms)
    }

    fn camera() -> CameraId {
        recording(1).camera
    }

    impl Shelf {
        /// Whoever tells of the camera is heard from this moment on.
        async fn new(heard: Option<u64>) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let index = Index::open(&folder.path().join("index.sqlite")).await.unwrap();
            index.listening().set(camera(), heard.map(at));
            Shelf { index, _folder: folder }
        }

        async fn add(&self, n: u8) {
            self.add_of(&recording(n)).await;
        }

        async fn add_of(&self, report: &Recording) {
            self.index.add_recording("path", report).await.unwrap();
            self.index.set_state(report.id, State::Held).await.unwrap();
        }

        async fn event(&self, kinds: &[EventKind], (from, to): (u64, u64)) {
            let kinds = kinds.iter().copied().collect();
            self.index.add_event(camera(), &kinds, at(from), at(to)).await.unwrap();
        }

        /// By the kinds that count now, as far as they are judged by them.
        async fn quiet(&self) -> Vec<u8> {
            let mut connection = self.index.pool.acquire().await.unwrap();
            let uncounted = Uncounted(Index::uncounted(&mut connection).await.unwrap());
            drop(connection);
            let quiet = self.index.oldest_quiet(None, 100, uncounted).await.unwrap();
            let spare = self.index.oldest_quiet_spare(None, 100, uncounted).await.unwrap();
            // What something happened in is forwarded, whether it counts here or not.
            let is_spare = |stored: &&Stored| is_spare(stored.state);
            assert_eq!(spare, quiet.iter().filter(is_spare).copied().collect::<Vec<_>>());
            quiet.iter().map(|stored| stored.id.0[0]).collect()
        }

        async fn set(&self, kinds: &[EventKind]) {
            self.index.set_uncounted(&kinds.iter().copied().collect()).await.unwrap();
        }

        /// To the end.
        async fn judge(&self) {
            let mut at = None;
            while let Some(next) = self.index.judge_quiet_again(at).await.unwrap() {
                at = Some(next);
            }
        }

        /// What goes now for being quiet, by days and kinds that are set together.
        async fn goes(&self, days: u64, kinds: &[EventKind]) -> Vec<u8> {
            let policy = Policy {
                bytes_max: u64::MAX,
                age_ms_max: u64::MAX,
                quiet_ms_max: Some(days * Timestamp::DAY),
                quiet_ms_min: Timestamp::DAY,
                age_ms_min: 0,
                free_bytes_min: 0,
            };
            let rules = Rules { policy, uncounted: Uncounted::of(Some(&kinds.iter().copied().collect())) };
            let clock = Clock { now: at(3 * Timestamp::DAY), is_agreed: true };
            let plan = plan(&self.index, rules, (u64::MAX, clock), &HashSet::new()).await.unwrap();
            plan.due.iter().map(|id| id.0[0]).collect()
        }
    }

    #[test]
    fn each_kind_has_a_bit_of_its_own() {
        let all: BTreeSet<_> = EventKind::SEEN.into_iter().chain(EventKind::TROUBLE).collect();
        assert_eq!(bits(&all).count_ones() as usize, all.len());
        assert_eq!(bits(&all) & ANY, 0);
    }

    #[tokio::test]
    async fn what_reaches_into_an_event_that_counts_is_not_quiet() {
        let shelf = Shelf::new(Some(0)).await;
        // Each holds a second.
        for n in [10, 20, 30, 40, 50, 60] {
            shelf.add(n).await;
        }
        assert_eq!(shelf.quiet().await, [10, 20, 30, 40, 50, 60]);
        shelf.event(&[EventKind::Motion], (10_500, 11_000)).await;
        shelf.event(&[EventKind::Motion, EventKind::Person], (25_500, 26_000)).await;
        shelf.event(&[], (45_000, 45_500)).await;
        assert_eq!(shelf.quiet().await, [10, 30, 50, 60], "what led to it for five seconds is of it");
        // One that gets its row later, and other streams.
        shelf.add(45).await;
        let small = Recording { id: Hash([46; 32]), rendition: Rendition::Sub, ..recording(45) };
        shelf.add_of(&small).await;
        let told = Recording { id: Hash([47; 32]), rendition: Rendition::Events, ..recording(50) };
        shelf.add_of(&told).await;
        assert_eq!(shelf.quiet().await, [10, 30, 50, 60]);
        // It goes on, and something else begins.
        shelf.event(&[EventKind::Motion], (59_000, 61_000)).await;
        shelf.event(&[EventKind::Vehicle], (61_000, 62_000)).await;
        assert_eq!(shelf.quiet().await, [10, 30, 50]);
    }

    /// The attack: whoever is about to do something cuts off first who tells of it.
    #[tokio::test]
    async fn what_nobody_watched_is_not_quiet() {
        let shelf = Shelf::new(None).await;
        shelf.add(10).await;
        shelf.index.listening().set(camera(), Some(at(20_500)));
        for n in [20, 21, 30, 40, 41] {
            shelf.add(n).await;
        }
        assert_eq!(shelf.quiet().await, [21, 30, 40, 41]);
        shelf.index.listening().set(camera(), None);
        shelf.index.unheard(camera(), at(40_500)).await.unwrap();
        shelf.add(42).await;
        assert_eq!(shelf.quiet().await, [21, 30]);
        // What an older program wrote, or was written before there was a difference.
        sqlx::query(
            "INSERT INTO recordings (id, camera, rendition, epoch, started_at, ended_at, bytes, path, report, state)
                 SELECT 'old', camera, rendition, epoch, started_at, ended_at, bytes, path, report, state
                 FROM recordings WHERE started_at = 30000",
        )
        .execute(&shelf.index.pool)
        .await
        .unwrap();
        shelf.set(&EventKind::SEEN).await;
        shelf.judge().await;
        assert_eq!(shelf.quiet().await, [21, 30]);
    }

    #[tokio::test]
    async fn what_is_quiet_and_locked_stays() {
        let shelf = Shelf::new(Some(0)).await;
        for n in [10, 20] {
            shelf.add(n).await;
        }
        sqlx::query("UPDATE recordings SET locked = 1 WHERE started_at = 10000")
            .execute(&shelf.index.pool)
            .await
            .unwrap();
        assert_eq!(shelf.quiet().await, [20]);
    }

    #[tokio::test]
    async fn which_kinds_count_holds_for_what_is_here_already() {
        let shelf = Shelf::new(Some(0)).await;
        for n in [10, 20, 30] {
            shelf.add(n).await;
        }
        shelf.event(&[EventKind::Motion], (10_500, 11_000)).await;
        shelf.event(&[EventKind::Sound], (20_500, 21_000)).await;
        assert_eq!(shelf.quiet().await, [10, 30]);
        shelf.set(&[]).await;
        assert_eq!(shelf.quiet().await, [30], "what counts more, at once");
        shelf.judge().await;
        assert_eq!(shelf.quiet().await, [30]);
        shelf.set(&[EventKind::Motion, EventKind::Sound]).await;
        assert_eq!(shelf.quiet().await, [30], "what counts less, when it was judged");
        shelf.judge().await;
        assert_eq!(shelf.quiet().await, [10, 20, 30]);
        // Killed in between: flags are late, and nothing goes by them.
        shelf.set(&[EventKind::Motion]).await;
        assert_eq!(shelf.quiet().await, [10, 30]);
        shelf.set(&Vec::from_iter(Quiet::kinds_first())).await;
        shelf.judge().await;
        let flags: i64 = sqlx::query_scalar("SELECT sum(quiet) FROM recordings")
            .fetch_one(&shelf.index.pool)
            .await
            .unwrap();
        assert_eq!(flags, 2);
    }

    /// More recordings than a page has, of which each second one saw motion.
    async fn many(shelf: &Shelf) -> i64 {
        shelf.add(1).await;
        sqlx::query(
            "WITH RECURSIVE n (i) AS (VALUES (2) UNION ALL SELECT i + 1 FROM n WHERE i <= ?1)
             INSERT INTO recordings (id, camera, rendition, epoch, started_at, ended_at, bytes, path, report, state,
                     kinds, quiet)
                 SELECT printf('%064x', i), camera, rendition, epoch, started_at + i * 1000, ended_at + i * 1000,
                     bytes, path, report, state, iif(i % 2, ?2, 0), iif(i % 2, 0, 1) FROM recordings, n",
        )
        .bind(3 * ROWS_AT_ONCE)
        .bind(bit(EventKind::Motion))
        .execute(&shelf.index.pool)
        .await
        .unwrap();
        3 * ROWS_AT_ONCE + 1
    }

    async fn flags(shelf: &Shelf) -> i64 {
        let flags = sqlx::query_scalar("SELECT sum(quiet) FROM recordings");
        flags.fetch_one(&shelf.index.pool).await.unwrap()
    }

    /// Kinds are set again and again while the pages of the last time are judged, and
    /// others write in between.
    #[tokio::test]
    async fn pages_that_are_judged_are_of_the_kinds_that_were_set_last() {
        let shelf = Shelf::new(Some(0)).await;
        let rows = many(&shelf).await;
        shelf.set(&[]).await;
        shelf.judge().await;
        shelf.set(&[EventKind::Motion]).await;
        let first = shelf.index.judge_quiet_again(None).await.unwrap();
        let second = shelf.index.judge_quiet_again(first).await.unwrap();
        assert!(second.is_some() && flags(&shelf).await < rows, "they are judged page by page");
        // There and back, unseen by whoever judges; what was added meanwhile is behind its page.
        shelf.set(&[]).await;
        let late = recording(2);
        shelf.event(&[EventKind::Motion], (2_000, 2_500)).await;
        shelf.add_of(&late).await;
        shelf.set(&[EventKind::Motion]).await;
        let mut at = second;
        while let Some(next) = shelf.index.judge_quiet_again(at).await.unwrap() {
            at = Some(next);
        }
        assert_eq!(flags(&shelf).await, rows + 1, "all of them are quiet now");
        assert_eq!(shelf.index.judge_quiet_again(None).await.unwrap(), None, "there is nothing more to do");
        // A start in the middle begins anew.
        shelf.set(&[]).await;
        shelf.index.judge_quiet_again(None).await.unwrap();
        shelf.judge().await;
        let quiet: i64 = sqlx::query_scalar("SELECT count(*) FROM recordings WHERE kinds = 0")
            .fetch_one(&shelf.index.pool)
            .await
            .unwrap();
        assert_eq!(flags(&shelf).await, quiet);
    }

    /// The attack: whoever wants footage gone has the site set otherwise, so that what
    /// neither setting lets go would go between them, by days of one and kinds of the
    /// other.
    #[tokio::test]
    async fn nothing_goes_early_while_kinds_are_set_otherwise() {
        const NARROW: (u64, &[EventKind]) = (1, &[]);
        const WIDE: (u64, &[EventKind]) = (30, &[EventKind::Motion]);
        let shelf = Shelf::new(Some(0)).await;
        for n in [10, 20] {
            shelf.add(n).await;
        }
        shelf.event(&[EventKind::Motion], (10_500, 11_000)).await;
        shelf.set(NARROW.1).await;
        shelf.judge().await;
        assert_eq!(shelf.goes(NARROW.0, NARROW.1).await, [20], "nothing happened in it");
        // The index is ahead of whoever plans, in every state of its flags.
        shelf.set(WIDE.1).await;
        assert_eq!(shelf.goes(NARROW.0, NARROW.1).await, [20]);
        shelf.judge().await;
        assert_eq!(shelf.goes(NARROW.0, NARROW.1).await, [20], "motion counts by what it goes by");
        assert!(shelf.goes(WIDE.0, WIDE.1).await.is_empty());
        // And behind it.
        shelf.set(NARROW.1).await;
        assert_eq!(shelf.goes(NARROW.0, NARROW.1).await, [20], "flags are late");
        shelf.judge().await;
        assert_eq!(shelf.goes(2, WIDE.1).await, [20], "what is not judged quiet yet stays for now");
    }

    /// A million rows, of which none is due: what each sweep does.
    #[tokio::test]
    #[ignore = "a measurement: cargo nextest run --run-ignored all --no-capture -E 'test(a_sweep_of_a_million)'"]
    async fn a_sweep_of_a_million_recordings_reads_few() {
        const ROWS: i64 = 1_000_000;
        let shelf = Shelf::new(Some(0)).await;
        shelf.add(1).await;
        sqlx::query(
            "WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < ?)
             INSERT INTO recordings (id, camera, rendition, epoch, started_at, ended_at, bytes, path, report, state,
                     kinds, quiet)
                 SELECT printf('%064x', i), camera, rendition, epoch, started_at + i * 60000, ended_at + i * 60000,
                     bytes, path, report, iif(i % 2, 2, 5), iif(i % 10, 0, 4), i % 10 != 0 FROM recordings, n",
        )
        .bind(ROWS)
        .execute(&shelf.index.pool)
        .await
        .unwrap();
        let begun = Instant::now();
        let kinds = Uncounted(bits(&Quiet::kinds_first()));
        let page = shelf.index.oldest_quiet_spare(None, 1_000, kinds).await.unwrap();
        let first = begun.elapsed();
        let (begun, mut last, mut rows) = (Instant::now(), page.last().copied(), page.len());
        while last.is_some() {
            let page = shelf.index.oldest_quiet_spare(last.as_ref(), 1_000, kinds).await.unwrap();
            (last, rows) = (page.last().copied(), rows + page.len());
        }
        let all = begun.elapsed();
        let begun = Instant::now();
        shelf.set(&[]).await;
        let set = begun.elapsed();
        let (mut at, mut longest, mut pages) = (None, Duration::ZERO, 0);
        let begun = Instant::now();
        loop {
            let page = Instant::now();
            at = shelf.index.judge_quiet_again(at).await.unwrap();
            (longest, pages) = (longest.max(page.elapsed()), pages + 1);
            if at.is_none() {
                break;
            }
        }
        let judged = begun.elapsed();
        eprintln!(
            "first page {first:?}; all {rows} quiet rows {all:?}; kinds set {set:?}; judged again {judged:?} in \
             {pages} pages of at most {longest:?}"
        );
        assert_eq!(rows as i64, ROWS / 10 * 9);
    }
}
