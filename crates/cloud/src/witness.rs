//! This server as a witness of others' histories (C2SP tlog-witness): it signs
//! a checkpoint if it goes on from the one that it signed before, and remembers
//! it before the signature leaves.

use std::collections::HashMap;

use anyhow::Context as _;
use model::Timestamp;
use seal::keys::SigningKey;
use seal::tlog::{self, LogKey, Refusal, Submission};
use url::Url;

use crate::config::Config;
use crate::database::Database;
use crate::keyfile;

const KEY_FILE: &str = "witness.key";

pub(crate) struct Witness {
    name: String,
    key: SigningKey,
    /// By origin.
    logs: HashMap<String, LogKey>,
}

impl std::fmt::Debug for Witness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Witness").field("name", &self.name).field("logs", &self.logs).finish_non_exhaustive()
    }
}

/// Why nothing was signed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WitnessError {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl Witness {
    pub(crate) fn open(config: &Config, public_url: &Url) -> anyhow::Result<Self> {
        let key = keyfile::open(&config.data.join(KEY_FILE));
        Self::with(config, public_url, key.context("the key of this server as a witness")?)
    }

    /// With the key that is there already.
    pub(crate) fn existing(config: &Config, public_url: &Url) -> anyhow::Result<Self> {
        let path = config.data.join(KEY_FILE);
        anyhow::ensure!(
            path.exists(),
            "{} is made when the server starts first: start it once, with this configuration",
            path.display()
        );
        Self::with(config, public_url, keyfile::open(&path)?)
    }

    fn with(config: &Config, public_url: &Url, key: SigningKey) -> anyhow::Result<Self> {
        let host = public_url.host_str().unwrap_or_default();
        let name = config.witness.name.clone().unwrap_or_else(|| format!("{host}/witness"));
        let logs = config.witness.logs.iter().map(|log| {
            let key = LogKey::parse(log)?;
            Ok((key.name.clone(), key))
        });
        Ok(Witness { name, key, logs: logs.collect::<anyhow::Result<_>>()? })
    }

    /// What others pin.
    pub(crate) fn public(&self) -> LogKey {
        LogKey { name: self.name.clone(), key: self.key.verifying_key() }
    }

    /// The line to add to the note.
    pub(crate) async fn sign(
        &self,
        database: &Database,
        submission: &Submission,
        now: Timestamp,
    ) -> Result<String, WitnessError> {
        let log = self.logs.get(submission.origin()).ok_or(Refusal::Unknown)?;
        let last = database.witnessed(&log.name).await?;
        let checkpoint = submission.judge(log, last).inspect_err(|refusal| {
            // The log signed two pasts, which its own server need not tell
            // anybody: this is for whoever runs the witness.
            if *refusal == Refusal::Inconsistent {
                let note = &submission.note;
                tracing::error!(
                    log = log.name,
                    ?last,
                    note,
                    "a log does not go on from what was signed of it"
                );
            }
        })?;
        let size = last.map(|(size, _)| size);
        if !database.set_witnessed_log(size, &checkpoint).await? {
            // Two at once: who was second begins from what the first left.
            let signed = database.witnessed(&log.name).await?.map_or(0, |(size, _)| size);
            return Err(Refusal::Elsewhere(signed).into());
        }
        Ok(tlog::sign_witnessed(&checkpoint, &self.name, &self.key, now))
    }
}
