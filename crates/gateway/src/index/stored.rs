//! What lies on this disk, from the oldest on: what retention looks at.

use gateway_core::retention::Stored;
use gateway_core::uplink::State;
use model::Timestamp;
use sqlx::FromRow;

use super::{Index, number, state_of};

impl Index {
    /// The oldest of what is confirmed or held and not locked, or those that follow
    /// this one.
    pub(crate) async fn oldest_spare(
        &self,
        after: Option<&Stored>,
        limit: i64,
    ) -> anyhow::Result<Vec<Stored>> {
        // Each in the order of its index, so that few rows are read.
        let query = sqlx::query_as(
            "SELECT * FROM (SELECT id, started_at, bytes, state, quiet FROM recordings
                     WHERE state = ?4 AND locked = 0 AND (started_at, id) > (?1, ?2) ORDER BY started_at, id LIMIT ?3)
             UNION ALL
             SELECT * FROM (SELECT id, started_at, bytes, state, quiet FROM recordings
                     WHERE state = ?5 AND locked = 0 AND (started_at, id) > (?1, ?2) ORDER BY started_at, id LIMIT ?3)
             ORDER BY started_at, id LIMIT ?3",
        );
        let (from, id) = place(after);
        let states = (State::Confirmed as i64, State::Held as i64);
        let query = query.bind(from).bind(id).bind(limit).bind(states.0).bind(states.1);
        let rows: Vec<StoredRow> = query.fetch_all(&self.pool).await?;
        rows.into_iter().map(StoredRow::read).collect()
    }

    /// The oldest of all recordings that are not locked, or those that follow this one.
    pub(crate) async fn oldest(&self, after: Option<&Stored>, limit: i64) -> anyhow::Result<Vec<Stored>> {
        let query = sqlx::query_as(
            "SELECT id, started_at, bytes, state, quiet FROM recordings
                 WHERE locked = 0 AND (started_at, id) > (?1, ?2)
                 ORDER BY started_at, id LIMIT ?3",
        );
        let (from, id) = place(after);
        let rows: Vec<StoredRow> = query.bind(from).bind(id).bind(limit).fetch_all(&self.pool).await?;
        rows.into_iter().map(StoredRow::read).collect()
    }

    /// Of all recordings together.
    pub(crate) async fn bytes(&self) -> anyhow::Result<u64> {
        let bytes: i64 = sqlx::query_scalar("SELECT coalesce(sum(bytes), 0) FROM recordings")
            .fetch_one(&self.pool)
            .await?;
        Ok(bytes.max(0) as u64)
    }
}

/// Before all others, or behind this one.
pub(super) fn place(after: Option<&Stored>) -> (i64, String) {
    after.map_or((i64::MIN, String::new()), |after| (number(after.started_at), after.id.to_string()))
}

#[derive(FromRow)]
pub(super) struct StoredRow {
    id: String,
    started_at: i64,
    bytes: i64,
    state: i64,
    quiet: bool,
}

impl StoredRow {
    pub(super) fn read(self) -> anyhow::Result<Stored> {
        Ok(Stored {
            id: self.id.parse()?,
            started_at: Timestamp(self.started_at.max(0) as u64),
            bytes: self.bytes.max(0) as u64,
            state: state_of(self.state)?,
            is_quiet: self.quiet,
        })
    }
}

#[cfg(test)]
mod tests {
    use model::Hash;
    use model::wire::Recording;

    use super::super::tests::recording;
    use super::*;

    #[tokio::test]
    async fn the_oldest_are_read_in_pages_that_leave_none_out() {
        let folder = tempfile::tempdir().unwrap();
        let index = Index::open(&folder.path().join("index.sqlite")).await.unwrap();
        for n in 1..=5 {
            // All but the last began at the same time.
            let started_at = Timestamp(u64::from(n / 5) * 1_000);
            index.add_recording("path", &Recording { started_at, ..recording(n) }).await.unwrap();
        }
        let mut pages = Vec::new();
        let mut last = None;
        loop {
            let page = index.oldest(last.as_ref(), 2).await.unwrap();
            last = page.last().copied();
            if last.is_none() {
                break;
            }
            pages.push(page.iter().map(|stored| stored.id.0[0]).collect::<Vec<_>>());
        }
        assert_eq!(pages, [vec![1, 2], vec![3, 4], vec![5]]);
        assert!(index.oldest_spare(None, 9).await.unwrap().is_empty());
        for (n, state) in [(2, State::Held), (3, State::Confirmed), (5, State::Confirmed)] {
            index.set_state(Hash([n; 32]), state).await.unwrap();
        }
        let spare = index.oldest_spare(None, 2).await.unwrap();
        let rest = index.oldest_spare(spare.last(), 2).await.unwrap();
        let ids: Vec<u8> = spare.iter().chain(&rest).map(|stored| stored.id.0[0]).collect();
        assert_eq!(ids, [2, 3, 5]);
        assert_eq!(index.bytes().await.unwrap(), 5);
    }
}
