//! Indexes of hours: what of the recordings and gaps stands in one, and which of
//! them the cloud has.

use gateway_core::hours::{
    Chain, GAP_RESTS_MS, GRACE_MS, HourStep, MadeHour, PATIENCE_MS, Signer, entry, gap_entry, is_due,
};
use gateway_core::uplink::{PendingHour, State};
use model::wire::{Gap, Recording};
use model::{CameraId, Timestamp};
use sqlx::{Row as _, SqliteConnection};
use tracing::warn;

use super::{Index, number, state_of};
use crate::clock;

/// Hours looked at together.
const HOURS_AT_ONCE: i64 = 64;
/// Recordings looked through for them.
const ROWS_AT_ONCE: i64 = 20_000;
/// While more wait for the store, no more are made: recordings can wait in their
/// own rows.
const WAITING_MAX: i64 = 256;

/// Of a damaged index, as it stood there.
#[derive(Debug, Default)]
pub(super) struct Salvaged {
    gaps: Vec<String>,
    /// Name, camera, number, hash, envelope, state.
    made: Vec<(String, String, i64, String, String, i64)>,
}

impl Index {
    /// Makes and keeps the indexes of hours that are due. Returns how many.
    pub(crate) async fn make_hours(&self, signer: Signer<'_>, now: Timestamp) -> anyhow::Result<usize> {
        let waiting: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM hours WHERE state IN (?1, ?2)
                 AND camera NOT IN (SELECT camera FROM hours WHERE state = ?3)",
        )
        .bind(HourStep::Made as i64)
        .bind(HourStep::Uploaded as i64)
        .bind(HourStep::Refused as i64)
        .fetch_one(&self.pool)
        .await?;
        if waiting >= WAITING_MAX {
            return Ok(0);
        }
        let mut made = 0;
        for (camera, hour) in self.due_hours(now).await? {
            match self.make_hour(signer, (camera, hour), now).await {
                Ok(parts) => made += parts,
                Err(error) => {
                    let error = format!("{error:#}");
                    warn!(%camera, hour = hour.0, error, "the index of an hour could not be made");
                }
            }
        }
        self.drop_confirmed_hours().await?;
        Ok(made)
    }

    /// Cameras and hours of which something is to be listed, oldest first. Of a
    /// camera of which the cloud refuses one, no more are made.
    async fn due_hours(&self, now: Timestamp) -> anyhow::Result<Vec<(CameraId, Timestamp)>> {
        let rows: Vec<(String, i64)> = sqlx::query_as(
            "SELECT camera, started_at - started_at % ?1 AS hour
             FROM (SELECT camera, started_at, state FROM recordings WHERE listed = 0 AND started_at < ?2
                       AND camera NOT IN (SELECT camera FROM hours WHERE state = ?11)
                       ORDER BY started_at LIMIT ?3)
             GROUP BY camera, hour
                 HAVING hour + ?1 + ?6 <= ?7 AND (max(state IN (?4, ?5)) = 0 OR hour + ?1 + ?8 <= ?7)
             UNION
             SELECT camera, from_at - from_at % ?1 FROM unlisted_gaps WHERE (grew_at <= ?9 OR grew_at > ?7)
                 AND camera NOT IN (SELECT camera FROM hours WHERE state = ?11)
             ORDER BY hour LIMIT ?10",
        )
        .bind(Timestamp::HOUR as i64)
        .bind(now.minus_ms(GRACE_MS).0 as i64)
        .bind(ROWS_AT_ONCE)
        .bind(State::Kept as i64)
        .bind(State::Uploaded as i64)
        .bind(GRACE_MS as i64)
        .bind(now.0 as i64)
        .bind(PATIENCE_MS as i64)
        .bind(now.minus_ms(GAP_RESTS_MS).0 as i64)
        .bind(HOURS_AT_ONCE)
        .bind(HourStep::Refused as i64)
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter().map(|(camera, hour)| Ok((camera.parse()?, Timestamp(hour.max(0) as u64)))).collect()
    }

    /// What is listed and that it is listed become true together.
    async fn make_hour(
        &self,
        signer: Signer<'_>,
        (camera, hour): (CameraId, Timestamp),
        now: Timestamp,
    ) -> anyhow::Result<usize> {
        let end = hour.plus_ms(Timestamp::HOUR);
        let mut transaction = self.begin().await?;
        let rows = sqlx::query(
            "SELECT report, state FROM recordings INDEXED BY recordings_unlisted
             WHERE listed = 0 AND camera = ? AND started_at >= ? AND started_at < ?",
        )
        .bind(camera.to_string())
        .bind(hour.0 as i64)
        .bind(end.0 as i64)
        .fetch_all(&mut *transaction)
        .await?;
        let mut recordings = Vec::with_capacity(rows.len());
        for row in &rows {
            // What a newer version wrote waits for that version.
            if let (Ok(report), Ok(state)) =
                (serde_json::from_str::<Recording>(row.get(0)), state_of(row.get(1)))
            {
                recordings.push((report, state));
            }
        }
        let some_wait = recordings.iter().any(|(_, state)| matches!(state, State::Kept | State::Uploaded));
        if !is_due(hour, some_wait, now) {
            recordings.clear();
        }
        let gaps: Vec<String> = sqlx::query_scalar(
            "SELECT gap FROM unlisted_gaps
             WHERE camera = ?1 AND from_at >= ?2 AND from_at < ?3 AND (grew_at <= ?4 OR grew_at > ?5)",
        )
        .bind(camera.to_string())
        .bind(hour.0 as i64)
        .bind(end.0 as i64)
        .bind(now.minus_ms(GAP_RESTS_MS).0 as i64)
        .bind(now.0 as i64)
        .fetch_all(&mut *transaction)
        .await?;
        // One that a newer version wrote waits for that version.
        let gaps: Vec<Gap> = gaps.iter().filter_map(|gap| serde_json::from_str(gap).ok()).collect();

        let last: Option<(i64, String)> =
            sqlx::query_as("SELECT number, hash FROM hours WHERE camera = ? ORDER BY number DESC LIMIT 1")
                .bind(camera.to_string())
                .fetch_optional(&mut *transaction)
                .await?;
        let chain = match last {
            Some((number, hash)) => Chain { number: number as u64 + 1, previous: Some(hash.parse()?) },
            None => Chain::default(),
        };
        let listed = recordings.iter().filter_map(|(report, state)| entry(report, *state)).collect();
        let gap_entries = gaps.iter().map(gap_entry).collect();
        let made = signer.make((camera, hour), chain, listed, gap_entries, now);
        for MadeHour { camera, number, hash, name, envelope } in &made {
            sqlx::query("INSERT INTO hours (name, camera, number, hash, envelope) VALUES (?, ?, ?, ?, ?)")
                .bind(name)
                .bind(camera.to_string())
                .bind(*number as i64)
                .bind(hash.to_string())
                .bind(serde_json::to_string(envelope)?)
                .execute(&mut *transaction)
                .await?;
        }
        // What the store has later is listed again.
        for (report, _) in &recordings {
            sqlx::query("UPDATE recordings SET listed = iif(state = ?, 1, 2) WHERE id = ?")
                .bind(State::Confirmed as i64)
                .bind(report.id.to_string())
                .execute(&mut *transaction)
                .await?;
        }
        for gap in &gaps {
            sqlx::query("DELETE FROM unlisted_gaps WHERE camera = ? AND rendition = ? AND from_at = ?")
                .bind(camera.to_string())
                .bind(gap.rendition.as_str())
                .bind(gap.from.0 as i64)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(made.len())
    }

    /// Of each camera the newest stays.
    async fn drop_confirmed_hours(&self) -> anyhow::Result<()> {
        sqlx::query(
            "DELETE FROM hours WHERE state = ?
                 AND number < (SELECT max(number) FROM hours AS newer WHERE newer.camera = hours.camera)",
        )
        .bind(HourStep::Confirmed as i64)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// What follows one that is refused waits for it: a chain has no holes.
    pub(crate) async fn hours_to_upload(&self, limit: i64) -> anyhow::Result<Vec<PendingHour>> {
        let rows: Vec<(String, String, String)> = sqlx::query_as(
            "SELECT camera, name, envelope FROM hours WHERE state = ?
                 AND camera NOT IN (SELECT camera FROM hours WHERE state = ?) ORDER BY camera, number LIMIT ?",
        )
        .bind(HourStep::Made as i64)
        .bind(HourStep::Refused as i64)
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        let pending = |(camera, name, envelope): (String, String, String)| {
            Ok(PendingHour { camera: camera.parse()?, name, envelope: serde_json::from_str(&envelope)? })
        };
        rows.into_iter().map(pending).collect()
    }

    pub(crate) async fn hours_to_report(&self, limit: i64) -> anyhow::Result<Vec<String>> {
        let names =
            sqlx::query_scalar("SELECT name FROM hours WHERE state = ? ORDER BY camera, number LIMIT ?");
        let names = names.bind(HourStep::Uploaded as i64).bind(limit);
        Ok(names.fetch_all(&self.pool).await?)
    }

    pub(crate) async fn mark_hour(&self, name: &str, step: HourStep) -> anyhow::Result<()> {
        sqlx::query("UPDATE hours SET state = ? WHERE name = ?")
            .bind(step as i64)
            .bind(name)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// What of it can be read, of an index that is damaged.
    pub(super) async fn salvage_hours(&self) -> Salvaged {
        let gaps = sqlx::query_scalar("SELECT gap FROM unlisted_gaps").fetch_all(&self.pool).await;
        let made = sqlx::query_as("SELECT name, camera, number, hash, envelope, state FROM hours")
            .fetch_all(&self.pool)
            .await;
        Salvaged { gaps: gaps.unwrap_or_default(), made: made.unwrap_or_default() }
    }

    /// Into an index that was just made: chains go on, and what stood in one stands
    /// in another one, too.
    pub(super) async fn restore_hours(&self, salvaged: &Salvaged) -> anyhow::Result<()> {
        let mut transaction = self.begin().await?;
        for gap in salvaged.gaps.iter().filter_map(|gap| serde_json::from_str(gap).ok()) {
            Self::add_unlisted_gap(&mut transaction, &gap, clock::now()).await?;
        }
        for (name, camera, number, hash, envelope, state) in &salvaged.made {
            sqlx::query(
                "INSERT OR IGNORE INTO hours (name, camera, number, hash, envelope, state) VALUES (?, ?, ?, ?, ?, ?)",
            )
            .bind(name)
            .bind(camera)
            .bind(number)
            .bind(hash)
            .bind(envelope)
            .bind(state)
            .execute(&mut *transaction)
            .await?;
        }
        Ok(transaction.commit().await?)
    }

    /// A gap that goes on is one gap.
    pub(super) async fn add_unlisted_gap(
        transaction: &mut SqliteConnection,
        gap: &Gap,
        now: Timestamp,
    ) -> anyhow::Result<()> {
        if gap.to <= gap.from {
            return Ok(());
        }
        sqlx::query(
            "INSERT INTO unlisted_gaps (camera, rendition, from_at, to_at, gap, grew_at) VALUES (?, ?, ?, ?, ?, ?)
             ON CONFLICT (camera, rendition, from_at)
                 DO UPDATE SET to_at = excluded.to_at, gap = excluded.gap, grew_at = excluded.grew_at
                 WHERE excluded.to_at >= unlisted_gaps.to_at",
        )
        .bind(gap.camera.to_string())
        .bind(gap.rendition.as_str())
        .bind(gap.from.0 as i64)
        .bind(number(gap.to))
        .bind(serde_json::to_string(gap)?)
        .bind(now.0 as i64)
        .execute(transaction)
        .await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use model::wire::GapReason;
    use model::{EpochId, GatewayId, Hash, OrgId, Rendition};
    use seal::hour::Hour;
    use seal::keyring::DeviceKeys;

    use super::*;

    const HOUR: Timestamp = Timestamp(1_764_000_000_000);

    fn camera() -> CameraId {
        CameraId::from_random([3; 16])
    }

    fn recording(n: u8, minute: u64) -> Recording {
        Recording {
            name: format!("r{n}"),
            id: Hash([n; 32]),
            camera: camera(),
            rendition: Rendition::Main,
            epoch: EpochId::from_random([1; 16]),
            started_at: HOUR.plus_ms(minute * Timestamp::MINUTE),
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

    struct Bench {
        _folder: tempfile::TempDir,
        index: Index,
        keys: DeviceKeys,
    }

    impl Bench {
        async fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let index = Index::open(&folder.path().join("index.sqlite")).await.unwrap();
            Bench { _folder: folder, index, keys: DeviceKeys::from_seeds([1; 32], [2; 32]) }
        }

        async fn add(&self, n: u8, minute: u64, state: State) {
            self.index.add_recording("p", &recording(n, minute)).await.unwrap();
            self.index.set_state(Hash([n; 32]), state).await.unwrap();
        }

        /// What is made now: its payloads, which are then confirmed.
        async fn make(&self, now: Timestamp) -> Vec<Hour> {
            let org = OrgId::from_random([1; 16]);
            let signer = Signer { org, gateway: GatewayId::from_random([2; 16]), key: &self.keys.sign };
            let made = self.index.make_hours(signer, now).await.unwrap();
            let pending = self.index.hours_to_upload(100).await.unwrap();
            assert_eq!(pending.len(), made);
            let read = |pending: &PendingHour| seal::from_canonical(&pending.envelope.payload.0).unwrap();
            let hours = pending.iter().map(read).collect();
            for PendingHour { name, .. } in pending {
                self.index.mark_hour(&name, HourStep::Uploaded).await.unwrap();
                assert!(self.index.hours_to_report(100).await.unwrap().contains(&name));
                self.index.mark_hour(&name, HourStep::Confirmed).await.unwrap();
            }
            hours
        }
    }

    fn numbers(hour: &Hour) -> Vec<u8> {
        hour.recordings.iter().map(|recording| recording.id.0[0]).collect()
    }

    #[tokio::test]
    async fn each_recording_is_listed_once_and_what_comes_later_follows() {
        let bench = Bench::new().await;
        let over = HOUR.plus_ms(Timestamp::HOUR + GRACE_MS);
        bench.add(1, 0, State::Confirmed).await;
        bench.add(2, 1, State::Held).await;
        bench.add(3, 2, State::Damaged).await;
        bench.add(4, 60, State::Confirmed).await;
        assert!(bench.make(Timestamp(over.0 - 1)).await.is_empty());
        let hours = bench.make(over).await;
        assert_eq!(hours.len(), 1);
        assert_eq!((hours[0].hour, numbers(&hours[0])), (HOUR, vec![1, 2]));
        let stored: Vec<bool> = hours[0].recordings.iter().map(|recording| recording.stored).collect();
        assert_eq!(stored, [true, false]);
        assert!(bench.make(over).await.is_empty());
        // One that a crash had left open.
        bench.add(5, 3, State::Confirmed).await;
        let later = bench.make(over.plus_ms(Timestamp::HOUR)).await;
        assert_eq!(later.iter().map(numbers).collect::<Vec<_>>(), [vec![5], vec![4]]);
        let chain = [&hours[0], &later[0], &later[1]];
        for (n, hour) in (0..).zip(chain) {
            assert_eq!(hour.number, n);
        }
        assert_eq!(later[1].previous, Some(seal::sha256(&seal::to_canonical(&later[0]))));
        let kept: i64 =
            sqlx::query_scalar("SELECT count(*) FROM hours").fetch_one(&bench.index.pool).await.unwrap();
        assert_eq!(kept, 2, "what is confirmed and not the newest is dropped");
    }

    #[tokio::test]
    async fn chains_and_gaps_of_a_damaged_index_go_on_in_the_next() {
        let bench = Bench::new().await;
        bench.add(1, 0, State::Confirmed).await;
        let over = HOUR.plus_ms(2 * Timestamp::HOUR);
        let hours = bench.make(over).await;
        let gap = Gap {
            camera: camera(),
            rendition: Rendition::Main,
            from: HOUR.plus_ms(1_000),
            to: HOUR.plus_ms(2_000),
            reason: GapReason::Stalled,
        };
        bench.index.add_gap(&gap).await.unwrap();
        let next = Bench::new().await;
        next.index.restore_hours(&bench.index.salvage_hours().await).await.unwrap();
        let told = clock::now().plus_ms(GAP_RESTS_MS);
        let after = next.make(told).await;
        assert_eq!(after[0].number, 1);
        assert_eq!(after[0].previous, Some(seal::sha256(&seal::to_canonical(&hours[0]))));
        assert_eq!(after[0].gaps, [gap_entry(&gap)]);
    }

    #[tokio::test]
    async fn what_waits_for_the_store_is_waited_for_a_day() {
        let bench = Bench::new().await;
        bench.add(1, 0, State::Confirmed).await;
        bench.add(2, 1, State::Kept).await;
        let end = HOUR.plus_ms(Timestamp::HOUR);
        assert!(bench.make(end.plus_ms(GRACE_MS)).await.is_empty());
        let hours = bench.make(end.plus_ms(PATIENCE_MS)).await;
        assert_eq!(hours.iter().map(numbers).collect::<Vec<_>>(), [vec![1, 2]]);
        assert!(!hours[0].recordings[1].stored);
        // It arrives after all.
        bench.index.set_state(Hash([2; 32]), State::Confirmed).await.unwrap();
        let hours = bench.make(end.plus_ms(PATIENCE_MS)).await;
        assert_eq!(hours.iter().map(numbers).collect::<Vec<_>>(), [vec![2]]);
        assert!(hours[0].recordings[0].stored);
        bench.index.set_state(Hash([2; 32]), State::Confirmed).await.unwrap();
        assert!(bench.make(end.plus_ms(PATIENCE_MS)).await.is_empty());
    }

    #[tokio::test]
    async fn a_gap_is_listed_once_it_is_over() {
        let bench = Bench::new().await;
        let gap = |to| Gap {
            camera: camera(),
            rendition: Rendition::Main,
            from: HOUR.plus_ms(1_000),
            to: HOUR.plus_ms(to),
            reason: GapReason::CameraUnreachable,
        };
        let add = async |to: u64, now: Timestamp| {
            let mut connection = bench.index.pool.acquire().await.unwrap();
            Index::add_unlisted_gap(&mut connection, &gap(to), now).await.unwrap();
        };
        let end = HOUR.plus_ms(Timestamp::HOUR);
        add(2_000, end).await;
        add(9_000_000, end.plus_ms(60_000)).await;
        // Told twice, or out of order, or of no time at all.
        add(3_000, end.plus_ms(99_000)).await;
        add(1_000, end).await;
        assert!(bench.make(end.plus_ms(GAP_RESTS_MS)).await.is_empty());
        let hours = bench.make(end.plus_ms(60_000 + GAP_RESTS_MS)).await;
        assert_eq!(hours[0].gaps, [gap_entry(&gap(9_000_000))]);
        assert!(bench.make(end.plus_ms(Timestamp::DAY)).await.is_empty());
    }

    #[tokio::test]
    async fn a_cloud_that_takes_none_stops_neither_the_site_nor_fills_its_disk() {
        let bench = Bench::new().await;
        let signer = Signer {
            org: OrgId::from_random([1; 16]),
            gateway: GatewayId::from_random([2; 16]),
            key: &bench.keys.sign,
        };
        let now = HOUR.plus_ms(999 * Timestamp::HOUR);
        for hour in 0..=WAITING_MAX as u64 + HOURS_AT_ONCE as u64 {
            let n = (hour % 251) as u8;
            let mut report = recording(n, hour * 60);
            report.id = seal::sha256(&hour.to_be_bytes());
            bench.index.add_recording("p", &report).await.unwrap();
            bench.index.set_state(report.id, State::Confirmed).await.unwrap();
        }
        let mut made = 0;
        for _ in 0..8 {
            made += bench.index.make_hours(signer, now).await.unwrap();
        }
        assert_eq!(made as i64, WAITING_MAX);
        let first = bench.index.hours_to_upload(1).await.unwrap().remove(0);
        bench.index.mark_hour(&first.name, HourStep::Refused).await.unwrap();
        // The others of its camera wait for it.
        assert!(bench.index.hours_to_upload(9).await.unwrap().is_empty());
        assert_eq!(bench.index.make_hours(signer, now).await.unwrap(), 0);
        // And those of another camera do not.
        let other = Recording { camera: CameraId::from_random([9; 16]), ..recording(1, 0) };
        bench.index.add_recording("p", &other).await.unwrap();
        bench.index.set_state(other.id, State::Confirmed).await.unwrap();
        assert_eq!(bench.index.make_hours(signer, now).await.unwrap(), 1);
        assert_eq!(bench.index.hours_to_upload(9).await.unwrap().len(), 1);
        bench.index.offer_refused_again().await.unwrap();
        assert_eq!(bench.index.hours_to_upload(9).await.unwrap().len(), 9);
    }
}
