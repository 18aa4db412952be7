//! Index of what is in the store: recordings, gaps, epoch grants.

use model::timeline::{Begun, Scale, TimelinePart};
use model::wire::{Envelope, Gap, RECORDING_MS_MAX, Recording};
use model::{CameraId, DeviceId, EpochId, GatewayId, Hash, OrgId, Rendition, Timestamp};

use super::value::Row;
use super::{Database, params};

/// Recordings whose ends one page fills in.
const ENDS_AT_ONCE: u64 = 1_000;

/// As its gateway says, but no longer than any recording is: whatever a gateway
/// says, timelines add up.
fn end_of(recording: &Recording) -> Timestamp {
    recording.started_at.plus_ms(recording.duration_ms.min(RECORDING_MS_MAX))
}

/// What a reader needs to find a recording's bytes.
#[derive(Clone, Debug)]
pub(crate) struct FoundRecording {
    pub(crate) camera: CameraId,
    pub(crate) rendition: Rendition,
    pub(crate) name: String,
    pub(crate) bytes: u64,
}

impl FoundRecording {
    fn read(row: &Row) -> sqlx::Result<Self> {
        Ok(FoundRecording {
            camera: row.parsed(0)?,
            name: row.text(1)?,
            bytes: row.number(2)?,
            rendition: row.parsed(3)?,
        })
    }
}

impl Database {
    pub(crate) async fn add_epoch_grant(
        &self,
        org: OrgId,
        gateway: GatewayId,
        epoch: EpochId,
        (device, created_at): (DeviceId, Timestamp),
        envelope: &Envelope,
    ) -> sqlx::Result<()> {
        let envelope = serde_json::to_string(envelope).expect("an envelope serialises");
        let sql = "INSERT INTO epoch_grants (org, epoch, device, gateway, envelope, created_at) \
                   VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (org, epoch, device) DO NOTHING";
        self.execute(sql, params![org, epoch, device, gateway, envelope, created_at]).await.map(drop)
    }

    pub(crate) async fn epoch_grant(
        &self,
        org: OrgId,
        epoch: EpochId,
        device: DeviceId,
    ) -> sqlx::Result<Option<Envelope>> {
        let sql = "SELECT envelope FROM epoch_grants WHERE org = $1 AND epoch = $2 AND device = $3";
        self.optional(sql, params![org, epoch, device]).await?.map(|row| row.json(0)).transpose()
    }

    pub(crate) async fn has_epoch_grant(
        &self,
        org: OrgId,
        gateway: GatewayId,
        epoch: EpochId,
    ) -> sqlx::Result<bool> {
        let sql = "SELECT 1 FROM epoch_grants WHERE org = $1 AND gateway = $2 AND epoch = $3 LIMIT 1";
        Ok(self.optional(sql, params![org, gateway, epoch]).await?.is_some())
    }

    pub(crate) async fn add_recording(
        &self,
        org: OrgId,
        gateway: GatewayId,
        recording: &Recording,
        now: Timestamp,
    ) -> sqlx::Result<()> {
        let json = serde_json::to_string(recording).expect("a recording serialises");
        let sql = "INSERT INTO recordings \
                   (org, camera, rendition, started_at, id, gateway, name, bytes, recording, confirmed_at, \
                    ended_at) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING";
        let Recording { camera, rendition, started_at, id, name, bytes, .. } = recording;
        let ended_at = end_of(recording);
        let values = params![
            org,
            *camera,
            *rendition,
            *started_at,
            *id,
            gateway,
            name.as_str(),
            *bytes,
            json,
            now,
            ended_at
        ];
        self.execute(sql, values).await.map(drop)
    }

    /// Fills in when recordings end that a version of before wrote, a page in a
    /// transaction. Returns how many; none means that there are no more.
    pub(super) async fn fill_in_ends(&self) -> sqlx::Result<usize> {
        let sql = "SELECT org, id, started_at, recording FROM recordings WHERE ended_at IS NULL \
                   ORDER BY org, id LIMIT $1";
        let rows = self.all(sql, params![ENDS_AT_ONCE]).await?;
        if rows.is_empty() {
            return Ok(0);
        }
        let mut transaction = self.begin().await?;
        for row in &rows {
            let (org, id): (OrgId, Hash) = (row.parsed(0)?, row.parsed(1)?);
            // One that cannot be read is in no timeline, and keeps no server from starting.
            let started_at = row.time(2)?;
            let ended_at = row.json(3).map_or(started_at, |recording: Recording| end_of(&recording));
            let sql = "UPDATE recordings SET ended_at = $3 WHERE org = $1 AND id = $2";
            transaction.execute(sql, params![org, id, ended_at]).await?;
        }
        transaction.commit().await?;
        Ok(rows.len())
    }

    /// How much of a camera was recorded when.
    pub(crate) async fn timeline(
        &self,
        org: OrgId,
        camera: CameraId,
        rendition: Rendition,
        scale: &Scale,
    ) -> sqlx::Result<Vec<TimelinePart>> {
        let lead = scale.lead(RECORDING_MS_MAX);
        let first = scale.from().minus_ms(lead * scale.part_ms());
        let before = scale.from().ms_since(first) / scale.part_ms();
        // PostgreSQL adds BIGINT up to NUMERIC.
        let sql = "SELECT (started_at - $4) / $5 AS part, CAST(sum(ended_at - started_at) AS BIGINT), \
                          CAST(sum(bytes) AS BIGINT), max(ended_at) FROM recordings \
                   WHERE org = $1 AND camera = $2 AND rendition = $3 AND started_at >= $4 AND started_at < $6 \
                     AND ended_at > $7 \
                   GROUP BY part";
        let values = params![org, camera, rendition, first, scale.part_ms(), scale.to(), scale.from()];
        let rows = self.all(sql, values).await?;
        let begun = |row: &Row| {
            let [part, recorded_ms, bytes] = [0, 1, 2].map(|column| row.number(column));
            Ok(Begun {
                part: part? as i64 - before as i64,
                recorded_ms: recorded_ms?,
                bytes: bytes?,
                ended_at: row.time(3)?,
            })
        };
        let begun: Vec<Begun> = rows.iter().map(begun).collect::<sqlx::Result<_>>()?;
        Ok(scale.share_out(begun))
    }

    pub(crate) async fn recording(&self, org: OrgId, id: Hash) -> sqlx::Result<Option<FoundRecording>> {
        let sql = "SELECT camera, name, bytes, rendition FROM recordings WHERE org = $1 AND id = $2";
        let row = self.optional(sql, params![org, id]).await?;
        row.map(|row| FoundRecording::read(&row)).transpose()
    }

    /// One that this gateway recorded.
    pub(crate) async fn recording_of(
        &self,
        org: OrgId,
        gateway: GatewayId,
        id: Hash,
    ) -> sqlx::Result<Option<FoundRecording>> {
        let sql = "SELECT camera, name, bytes, rendition FROM recordings WHERE org = $1 AND id = $2 AND gateway = $3";
        let row = self.optional(sql, params![org, id, gateway]).await?;
        row.map(|row| FoundRecording::read(&row)).transpose()
    }

    /// Recordings that begin in `[from, to)`, in order of time. A recording is
    /// at most some minutes long, so the caller widens `from` by that.
    pub(crate) async fn recordings(
        &self,
        org: OrgId,
        camera: CameraId,
        rendition: Rendition,
        (from, to): (Timestamp, Timestamp),
        limit: u64,
    ) -> sqlx::Result<Vec<Recording>> {
        let sql = "SELECT recording FROM recordings \
                   WHERE org = $1 AND camera = $2 AND rendition = $3 AND started_at >= $4 AND started_at < $5 \
                   ORDER BY started_at, id LIMIT $6";
        let rows = self.all(sql, params![org, camera, rendition, from, to, limit]).await?;
        rows.iter().map(|row| row.json(0)).collect()
    }

    pub(crate) async fn add_gap(&self, org: OrgId, gap: &Gap) -> sqlx::Result<()> {
        // A gap that goes on is reported again with a later end. One that ends
        // sooner hides none that was told before.
        let sql = "INSERT INTO gaps (org, camera, rendition, from_at, to_at, reason) VALUES ($1, $2, $3, $4, $5, $6) \
                   ON CONFLICT (org, camera, rendition, from_at) DO UPDATE SET to_at = $5, reason = $6 \
                   WHERE gaps.to_at <= $5";
        let values = params![org, gap.camera, gap.rendition, gap.from, gap.to, gap.reason.as_str()];
        self.execute(sql, values).await.map(drop)
    }

    /// Gaps that touch `[from, to)` and are as long as this.
    pub(crate) async fn gaps(
        &self,
        org: OrgId,
        camera: CameraId,
        rendition: Rendition,
        (from, to): (Timestamp, Timestamp),
        shortest_ms: u64,
        limit: u64,
    ) -> sqlx::Result<Vec<Gap>> {
        let sql = "SELECT from_at, to_at, reason FROM gaps \
                   WHERE org = $1 AND camera = $2 AND rendition = $3 AND to_at > $4 AND from_at < $5 \
                     AND to_at - from_at >= $6 \
                   ORDER BY from_at LIMIT $7";
        let values = params![org, camera, rendition, from, to, shortest_ms, limit];
        let rows = self.all(sql, values).await?;
        rows.iter()
            .map(|row| {
                let reason = serde_json::from_value(serde_json::Value::String(row.text(2)?))
                    .map_err(|e| sqlx::Error::Decode(e.into()))?;
                Ok(Gap { camera, rendition, from: row.time(0)?, to: row.time(1)?, reason })
            })
            .collect()
    }
}
