//! Tells the cloud what stands in the journal, when it is there again. Until
//! it has confirmed, nothing is forgotten; what it is told twice it has once.

use std::time::Duration;

use anyhow::Context as _;
use model::OrgId;
use seal::local::LocalJournal;
use tokio::sync::watch;
use tracing::warn;

use super::Journal;
use crate::cloud::Cloud;
use crate::data::Identity;

/// Looked at this often.
const IDLE: Duration = Duration::from_secs(5);
const RETRY_MAX: Duration = Duration::from_secs(60);

/// Runs until dropped.
pub(crate) async fn report(
    journal: Journal,
    identity: Identity,
    org: OrgId,
    mut cloud: watch::Receiver<Option<Cloud>>,
) {
    let mut delay = IDLE;
    loop {
        let connected = cloud.borrow_and_update().clone();
        let Some(connected) = connected else {
            if cloud.changed().await.is_err() {
                return;
            }
            continue;
        };
        match step(&journal, &identity, org, &connected).await {
            Ok(true) => delay = IDLE,
            Ok(false) => {
                delay = IDLE;
                tokio::time::sleep(IDLE).await;
            }
            Err(error) => {
                warn!(error = format!("{error:#}"), "the journal of the local way is not with the cloud yet");
                tokio::time::sleep(delay).await;
                delay = (delay * 2).min(RETRY_MAX);
            }
        }
    }
}

/// Whether there was something to tell.
async fn step(journal: &Journal, identity: &Identity, org: OrgId, cloud: &Cloud) -> anyhow::Result<bool> {
    let reading = journal.clone();
    let part = tokio::task::spawn_blocking(move || reading.part()).await.context("the journal's thread")?;
    let (name, entries) = part?;
    let Some(last) = entries.last().map(|entry| entry.seq) else { return Ok(false) };
    let part = LocalJournal { org, gateway: identity.id, journal: name, entries };
    cloud.tell_journal(part.sign(&identity.sign)).await?;
    let writing = journal.clone();
    tokio::task::spawn_blocking(move || writing.forget(last)).await.context("the journal's thread")??;
    Ok(true)
}
