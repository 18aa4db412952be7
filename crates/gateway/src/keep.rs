//! What stays on this disk and what goes: deletion by age and size, after the
//! cloud has read the recording back, and in the open when the disk is full.

use std::path::PathBuf;

use anyhow::Context as _;
use gateway_core::outage::gap_of;
use gateway_core::retention::{self, Policy};
use gateway_core::uplink::Pending;
use model::Timestamp;
use model::wire::GapReason;
use tracing::{error, info};

use crate::clock;
use crate::index::Index;

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
            let Some(pending) = self.index.recording(id).await? else { continue };
            // First the file, which makes room for the rest. A crash between
            // leaves a row without a file; forwarding or the next sweep finds it.
            self.remove_file(&pending).await?;
            if plan.lost.contains(&id) {
                error!(recording = %id, "the disk is full: a recording that was not forwarded had to go");
                self.index.add_gap(&gap_of(&pending.report, GapReason::DiskFull)).await?;
            }
            self.index.remove_recording(id).await?;
            info!(recording = %id, bytes = pending.report.bytes, "deleted by retention");
        }
        self.index.drop_grants_before(now.minus_ms(Timestamp::DAY)).await
    }

    async fn remove_file(&self, pending: &Pending) -> anyhow::Result<()> {
        match tokio::fs::remove_file(self.root.join(&pending.path)).await {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("{} could not be deleted", pending.path))
            }
            _ => Ok(()),
        }
    }
}
