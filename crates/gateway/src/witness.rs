//! Witnesses the history: a gateway remembers the highest checkpoint of the
//! cloud's log that it has signed, and signs only what goes on from there. A
//! cloud that rewrites its history, or shows another one to somebody else, has
//! no signature of ours for it.
//!
//! The checkpoint is on disk before the signature leaves. It also goes into the
//! headers of recordings that begin from then on: they are not older than it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use model::wire::{LogConflict, LogOffer, WitnessReport};
use model::{Hash, OrgId};
use seal::recording::CHECKPOINT_BYTES_MAX;
use seal::tlog::{self, Checkpoint, LogKey, NoteError};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tracing::{error, warn};

use crate::clock;
use crate::cloud::Cloud;
use crate::config::HistorySection;
use crate::data::{Identity, read_whole, write_whole};

const FILE: &str = "history-witness.json";
/// Hashes in a proof: two for each level of a tree of 2^64 leaves.
const PROOF_MAX: usize = 128;

/// The log as this gateway has signed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Memory {
    key: String,
    note: String,
}

#[derive(Debug)]
pub(crate) struct Witness {
    org: OrgId,
    identity: Identity,
    path: PathBuf,
    /// Between two looks.
    every: Duration,
    /// The highest that was verified, for the headers of recordings.
    shown: watch::Sender<Option<Arc<str>>>,
}

#[derive(Debug)]
enum Verdict {
    /// Goes on from what was signed before, or is the first that we see.
    Follows(Checkpoint),
    /// There is no log yet.
    Nothing,
    Conflict(LogConflict),
}

impl Witness {
    pub(crate) fn new(
        org: OrgId,
        identity: Identity,
        root: &Path,
        config: &HistorySection,
        shown: watch::Sender<Option<Arc<str>>>,
    ) -> Self {
        let every = Duration::from_secs(config.witness_seconds);
        Witness { org, identity, path: root.join(FILE), every, shown }
    }

    /// What an earlier run verified counts before the cloud is there. A file that
    /// is damaged is told when it is needed.
    pub(crate) fn show_remembered(&self) {
        if let Ok(Some(memory)) = read_whole::<Memory>(&self.path)
            && memory.checkpoint().is_ok()
        {
            self.show(&memory.note);
        }
    }

    fn show(&self, note: &str) {
        if note.len() <= CHECKPOINT_BYTES_MAX {
            self.shown.send_replace(Some(note.into()));
        } else {
            warn!("the checkpoint is too long for the headers of recordings; they go on with the one before");
        }
    }

    /// Runs until dropped.
    pub(crate) async fn run(self, mut cloud: watch::Receiver<Option<Cloud>>) {
        loop {
            let connected = cloud.borrow_and_update().clone();
            let Some(connected) = connected else {
                if cloud.changed().await.is_err() {
                    return;
                }
                continue;
            };
            if let Err(error) = self.look(&connected).await {
                warn!(error = format!("{error:#}"), "the history was not witnessed");
            }
            tokio::time::sleep(self.every).await;
        }
    }

    async fn look(&self, cloud: &Cloud) -> anyhow::Result<()> {
        let memory: Option<Memory> = read_whole(&self.path)?;
        let seen = memory.as_ref().map(Memory::checkpoint).transpose();
        let seen = seen.with_context(|| format!("{} is damaged", self.path.display()))?;
        let offer = cloud.log_offer(seen.as_ref().map_or(0, |seen| seen.size)).await?;
        let report = match judge(memory.as_ref().zip(seen.as_ref()), &offer, self.org)? {
            Verdict::Nothing => return Ok(()),
            Verdict::Follows(checkpoint) => self.sign(&checkpoint, offer).await?,
            Verdict::Conflict(conflict) => {
                error!(
                    conflict = conflict.as_str(),
                    "the cloud's history is not the one that this gateway signed; it signs no other. If a backup \
                     was restored on purpose, remove {}",
                    self.path.display()
                );
                WitnessReport::Conflict { conflict }
            }
        };
        Ok(cloud.report_witness(&report).await?)
    }

    /// Written down, then signed.
    async fn sign(&self, checkpoint: &Checkpoint, offer: LogOffer) -> anyhow::Result<WitnessReport> {
        let LogOffer { key, note, .. } = offer;
        let memory = serde_json::to_vec(&Memory { key, note: note.clone() })?;
        let path = self.path.clone();
        tokio::task::spawn_blocking(move || write_whole(&path, &memory)).await??;
        self.show(&note);
        let Identity { id, sign, .. } = &self.identity;
        let signed = tlog::sign_witnessed(checkpoint, &id.to_string(), sign, clock::now());
        Ok(WitnessReport::Cosigned { note: note + &signed })
    }
}

impl Memory {
    fn checkpoint(&self) -> Result<Checkpoint, NoteError> {
        Checkpoint::verify(&self.note, &LogKey::parse(&self.key)?)
    }
}

/// Whether what the cloud shows goes on from what we have signed.
fn judge(seen: Option<(&Memory, &Checkpoint)>, offer: &LogOffer, org: OrgId) -> anyhow::Result<Verdict> {
    let key = LogKey::parse(&offer.key)?;
    anyhow::ensure!(key.name == format!("lenskeep/{org}"), "the cloud shows the log of somebody else");
    anyhow::ensure!(offer.proof.len() <= PROOF_MAX, "a proof has at most {PROOF_MAX} hashes");
    let Some((memory, seen)) = seen else {
        if offer.note.is_empty() {
            return Ok(Verdict::Nothing);
        }
        return Ok(Verdict::Follows(Checkpoint::verify(&offer.note, &key)?));
    };
    if memory.key != offer.key {
        return Ok(Verdict::Conflict(LogConflict::Key));
    }
    if offer.note.is_empty() {
        return Ok(Verdict::Conflict(LogConflict::CutOff));
    }
    let shown = Checkpoint::verify(&offer.note, &key)?;
    let at = |checkpoint: &Checkpoint| -> (u64, Hash) { (checkpoint.size, checkpoint.root) };
    if shown.size < seen.size {
        return Ok(Verdict::Conflict(LogConflict::CutOff));
    }
    if !tlog::verify_consistency(at(seen), at(&shown), &offer.proof) {
        return Ok(Verdict::Conflict(LogConflict::Rewritten));
    }
    Ok(Verdict::Follows(shown))
}
