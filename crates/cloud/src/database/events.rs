//! Recordings of events over all cameras, and which events people have looked at.

use model::wire::Recording;
use model::{CameraId, EventId, OrgId, PersonId, Timestamp};

use super::{Database, params};

impl Database {
    /// Recordings of events that begin in `[from, to)`, the newest first.
    pub(crate) async fn events(
        &self,
        org: OrgId,
        (from, to): (Timestamp, Timestamp),
        limit: u64,
    ) -> sqlx::Result<Vec<Recording>> {
        let sql = "SELECT recording FROM recordings \
                   WHERE org = $1 AND rendition = 'events' AND started_at >= $2 AND started_at < $3 \
                   ORDER BY started_at DESC, id LIMIT $4";
        let rows = self.all(sql, params![org, from, to, limit]).await?;
        rows.iter().map(|row| row.json(0)).collect()
    }

    /// The same of one camera.
    pub(crate) async fn events_of(
        &self,
        org: OrgId,
        camera: CameraId,
        (from, to): (Timestamp, Timestamp),
        limit: u64,
    ) -> sqlx::Result<Vec<Recording>> {
        let sql = "SELECT recording FROM recordings \
                   WHERE org = $1 AND camera = $2 AND rendition = 'events' AND started_at >= $3 AND started_at < $4 \
                   ORDER BY started_at DESC, id LIMIT $5";
        let rows = self.all(sql, params![org, camera, from, to, limit]).await?;
        rows.iter().map(|row| row.json(0)).collect()
    }

    /// Events of `[from, to)` that this person has looked at, the newest first.
    pub(crate) async fn reviewed_events(
        &self,
        org: OrgId,
        person: PersonId,
        (from, to): (Timestamp, Timestamp),
        limit: u64,
    ) -> sqlx::Result<Vec<EventId>> {
        let sql = "SELECT event FROM reviewed_events \
                   WHERE org = $1 AND person = $2 AND at >= $3 AND at < $4 ORDER BY at DESC LIMIT $5";
        let rows = self.all(sql, params![org, person, from, to, limit]).await?;
        rows.iter().map(|row| row.parsed(0)).collect()
    }

    /// Keeps `most` of one person, the newest.
    pub(crate) async fn review_events(
        &self,
        org: OrgId,
        person: PersonId,
        events: &[(EventId, Timestamp)],
        most: u64,
    ) -> sqlx::Result<()> {
        let mut transaction = self.begin().await?;
        for (event, at) in events {
            let sql = "INSERT INTO reviewed_events (org, person, event, at) VALUES ($1, $2, $3, $4) \
                       ON CONFLICT DO NOTHING";
            transaction.execute(sql, params![org, person, *event, *at]).await?;
        }
        let sql = "DELETE FROM reviewed_events WHERE org = $1 AND person = $2 AND at < \
                   (SELECT at FROM reviewed_events WHERE org = $1 AND person = $2 ORDER BY at DESC LIMIT 1 OFFSET $3)";
        transaction.execute(sql, params![org, person, most.saturating_sub(1)]).await?;
        transaction.commit().await
    }

    pub(crate) async fn forget_reviewed(
        &self,
        org: OrgId,
        person: PersonId,
        events: &[(EventId, Timestamp)],
    ) -> sqlx::Result<()> {
        let mut transaction = self.begin().await?;
        for (event, _) in events {
            let sql = "DELETE FROM reviewed_events WHERE org = $1 AND person = $2 AND event = $3";
            transaction.execute(sql, params![org, person, *event]).await?;
        }
        transaction.commit().await
    }
}
