//! What stays on this disk and what goes: deletion by age and size, after the
//! cloud has read the recording back, and in the open when the disk is full.

use std::path::PathBuf;

use anyhow::Context as _;
use gateway_core::retention::{self, Policy};
use model::wire::{Gap, GapReason, Recording};
use model::{Hash, Timestamp};
use tracing::{error, info};

use crate::clock;
use crate::index::{Index, Pending};

#[derive(Clone, Debug)]
pub(crate) struct Keeper {
    pub(crate) root: PathBuf,
    pub(crate) index: Index,
}

impl Keeper {
    /// Deletes what may go. What is gone and nobody else has becomes a gap.
    pub(crate) async fn sweep(&self, policy: Policy) -> anyhow::Result<()> {
        let now = clock::now();
        let stored = self.index.stored().await?;
        let volume = rustix::fs::statvfs(&self.root).context("the free space could not be asked for")?;
        let free = volume.f_bavail.saturating_mul(volume.f_frsize);
        let plan = retention::plan(policy, &stored, free, now);
        for id in plan.delete {
            let Some(Pending { report, .. }) = self.delete(id).await? else { continue };
            if plan.lost.contains(&id) {
                error!(recording = %id, "the disk is full: a recording that was not forwarded had to go");
                let (from, to) = (report.started_at, report.started_at.plus_ms(report.duration_ms));
                let Recording { camera, rendition, .. } = report;
                self.index.add_gap(&Gap { camera, rendition, from, to, reason: GapReason::DiskFull }).await?;
            }
        }
        self.index.drop_grants_before(now.minus_ms(Timestamp::DAY)).await
    }

    /// First the file, then the row: a crash between leaves a row without a
    /// file, which the next sweep removes.
    async fn delete(&self, id: Hash) -> anyhow::Result<Option<Pending>> {
        let Some(pending) = self.index.recording(id).await? else { return Ok(None) };
        match tokio::fs::remove_file(self.root.join(&pending.path)).await {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("{} could not be deleted", pending.path));
            }
            _ => {}
        }
        self.index.remove_recording(id).await?;
        info!(recording = %id, bytes = pending.report.bytes, "deleted by retention");
        Ok(Some(pending))
    }
}
