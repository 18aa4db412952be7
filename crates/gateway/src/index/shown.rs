//! What is shown of the recordings: to people on this network, and to those whom
//! the cloud asks for.

use gateway_core::uplink::{Pending, State};
use model::timeline::{Begun, Scale, TimelinePart};
use model::wire::{RECORDING_MS_MAX, Recording};
use model::{CameraId, Hash, Rendition, Timestamp};
use sqlx::Row as _;

use super::{Index, number};

/// Which recordings a timeline is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    Everybody,
    /// Those that the cloud does not have.
    HereAlone,
}

impl Index {
    /// Recordings that reach into a stretch of time, in its order, and whether the
    /// cloud has them.
    pub(crate) async fn between(
        &self,
        camera: CameraId,
        rendition: Rendition,
        (from, to): (Timestamp, Timestamp),
        limit: i64,
    ) -> anyhow::Result<Vec<(Recording, bool)>> {
        let rows = sqlx::query(
            "SELECT report, state FROM recordings WHERE camera = ? AND rendition = ? AND ended_at > ?
                 AND ended_at < ? AND started_at < ? ORDER BY ended_at LIMIT ?",
        )
        .bind(camera.to_string())
        .bind(rendition.as_str())
        .bind(number(from))
        .bind(number(Timestamp(to.0.saturating_add(RECORDING_MS_MAX))))
        .bind(number(to))
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        let confirmed = State::Confirmed as i64;
        rows.iter()
            .map(|row| Ok((serde_json::from_str(row.get(0))?, row.get::<i64, _>(1) == confirmed)))
            .collect()
    }

    /// Undamaged recordings that reach into a stretch of time and that the cloud
    /// does not have, in order of their beginnings.
    pub(crate) async fn here_alone(
        &self,
        camera: CameraId,
        rendition: Rendition,
        (from, to): (Timestamp, Timestamp),
        limit: i64,
    ) -> anyhow::Result<Vec<Recording>> {
        // The last bound says nothing new, and keeps to a part of the index by stream.
        let reports: Vec<String> = sqlx::query_scalar(
            "SELECT report FROM recordings WHERE camera = ? AND rendition = ? AND ended_at > ?
                 AND started_at < ? AND ended_at < ? AND state NOT IN (?, ?)
                 ORDER BY started_at, id LIMIT ?",
        )
        .bind(camera.to_string())
        .bind(rendition.as_str())
        .bind(number(from))
        .bind(number(to))
        .bind(number(to.plus_ms(RECORDING_MS_MAX)))
        .bind(State::Confirmed as i64)
        .bind(State::Damaged as i64)
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        reports.iter().map(|report| Ok(serde_json::from_str(report)?)).collect()
    }

    /// A recording of this camera, unless it is damaged.
    pub(crate) async fn undamaged(&self, camera: CameraId, id: Hash) -> anyhow::Result<Option<Pending>> {
        let row =
            sqlx::query("SELECT path, report FROM recordings WHERE id = ? AND camera = ? AND state <> ?")
                .bind(id.to_string())
                .bind(camera.to_string())
                .bind(State::Damaged as i64)
                .fetch_optional(&self.pool)
                .await?;
        row.map(|row| Ok(Pending { path: row.get(0), report: serde_json::from_str(row.get(1))? })).transpose()
    }

    /// How much of a camera was recorded when.
    pub(crate) async fn timeline(
        &self,
        camera: CameraId,
        rendition: Rendition,
        scale: &Scale,
        of: Of,
    ) -> anyhow::Result<Vec<TimelinePart>> {
        let lead = scale.lead(RECORDING_MS_MAX);
        let first = scale.from().minus_ms(lead * scale.part_ms());
        let left_out = match of {
            Of::Everybody => State::Damaged,
            Of::HereAlone => State::Confirmed,
        };
        let rows: Vec<(i64, i64, i64, i64)> = sqlx::query_as(
            "SELECT (started_at - ?4) / ?5 AS part, sum(ended_at - started_at), sum(bytes), max(ended_at)
                 FROM recordings WHERE camera = ?1 AND rendition = ?2 AND ended_at > ?3
                 AND started_at >= ?4 AND started_at < ?6 AND ended_at < ?7 AND state NOT IN (?8, ?9)
                 GROUP BY part",
        )
        .bind(camera.to_string())
        .bind(rendition.as_str())
        .bind(number(scale.from()))
        .bind(number(first))
        .bind(number(Timestamp(scale.part_ms())))
        .bind(number(scale.to()))
        .bind(number(scale.to().plus_ms(RECORDING_MS_MAX)))
        .bind(left_out as i64)
        .bind(State::Damaged as i64)
        .fetch_all(&self.pool)
        .await?;
        let before = scale.from().ms_since(first) / scale.part_ms();
        let begun = |(part, recorded_ms, bytes, ended_at): (i64, i64, i64, i64)| Begun {
            part: part - before as i64,
            recorded_ms: recorded_ms.max(0) as u64,
            bytes: bytes.max(0) as u64,
            ended_at: Timestamp(ended_at.max(0) as u64),
        };
        Ok(scale.share_out(rows.into_iter().map(begun)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::recording;
    use super::*;

    #[tokio::test]
    async fn what_is_damaged_or_confirmed_is_not_listed_as_here_alone() {
        let folder = tempfile::tempdir().unwrap();
        let index = Index::open(&folder.path().join("index.sqlite")).await.unwrap();
        let states = [State::Kept, State::Uploaded, State::Confirmed, State::Damaged, State::Refused];
        for (n, state) in (1..).zip(states) {
            index.add_recording("path", &recording(n)).await.unwrap();
            index.set_state(recording(n).id, state).await.unwrap();
        }
        let camera = recording(1).camera;
        let listed = async |from, to, limit| {
            let stretch = (Timestamp(from), Timestamp(to));
            let found = index.here_alone(camera, Rendition::Main, stretch, limit).await.unwrap();
            found.iter().map(|recording| recording.id.0[0]).collect::<Vec<_>>()
        };
        assert_eq!(listed(0, u64::MAX, 9).await, [1, 2, 5]);
        assert_eq!(listed(0, u64::MAX, 2).await, [1, 2]);
        assert_eq!(listed(2_000, 5_000, 9).await, [2], "one ends as the stretch begins");
        assert_eq!(listed(2_999, 5_001, 9).await, [2, 5]);
        assert!(index.undamaged(camera, recording(3).id).await.unwrap().is_some());
        assert!(index.undamaged(camera, recording(4).id).await.unwrap().is_none());
        let other = CameraId::from_random([9; 16]);
        assert!(index.undamaged(other, recording(1).id).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_timeline_adds_up_what_is_undamaged_and_where_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let index = Index::open(&folder.path().join("index.sqlite")).await.unwrap();
        let base = 1_764_000_000_000;
        let add = async |n: u8, started: u64, ms: u64, state: State| {
            let started_at = Timestamp(base + started);
            let report = Recording { started_at, duration_ms: ms, bytes: ms * 10, ..recording(n) };
            index.add_recording("path", &report).await.unwrap();
            index.set_state(report.id, state).await.unwrap();
        };
        // One reaches in, one out; of another the timeline has nothing.
        add(1, 0, 60_000, State::Confirmed).await;
        add(2, 60_000, 60_000, State::Kept).await;
        add(3, 120_000, 60_000, State::Held).await;
        add(4, 180_000, 60_000, State::Damaged).await;
        add(5, 240_000, 60_000, State::Confirmed).await;
        add(6, 300_000, 60_000, State::Confirmed).await;
        let camera = recording(1).camera;
        let scale = Scale::new((Timestamp(base + 30_000), Timestamp(base + 270_000)), 4).unwrap();
        let parts = async |of| {
            let found = index.timeline(camera, Rendition::Main, &scale, of).await.unwrap();
            found.iter().map(|found| (found.part, found.recorded_ms, found.bytes)).collect::<Vec<_>>()
        };
        let (half, whole) = (30_000, 60_000);
        assert_eq!(
            parts(Of::Everybody).await,
            [(0, whole, 600_000), (1, whole, 600_000), (2, half, 300_000), (3, half, 300_000)]
        );
        assert_eq!(parts(Of::HereAlone).await, [(0, half, 300_000), (1, whole, 600_000), (2, half, 300_000)]);
        // From the beginning of time, where there is nothing before it.
        let scale = Scale::new((Timestamp(0), Timestamp(60_000)), 4).unwrap();
        assert!(index.timeline(camera, Rendition::Main, &scale, Of::Everybody).await.unwrap().is_empty());
    }
}
