//! Asks witnesses outside the organisation to sign its history (C2SP
//! tlog-witness). What they sign is kept for people to check against the keys
//! in the roster; what they object to stands in the history and on its page.

use std::time::Duration;

use anyhow::Context as _;
use cloud_core::{Entry, History as _};
use model::wire::LogConflict;
use model::{OrgId, Timestamp};
use reqwest::{StatusCode, header};
use seal::tlog::{self, Checkpoint, LogKey, Submission};
use url::Url;

use crate::app::App;
use crate::config::{HistorySection, OutsideWitnessSection};
use crate::database::LogRow;
use crate::{clock, outbound};

/// Longest answer that is read.
const ANSWER_BYTES_MAX: usize = 16 << 10;
/// A log that does not grow is signed again so often, which shows that the
/// witness still sees it.
const AGAIN_MS: u64 = 10 * Timestamp::MINUTE;
const SIZE: &str = "text/x.tlog.size";

#[derive(Debug)]
pub(crate) struct Outside {
    pub(crate) key: LogKey,
    url: Url,
    http: reqwest::Client,
}

#[derive(Debug)]
pub(crate) struct Witnesses {
    pub(crate) all: Vec<Outside>,
    every: Duration,
}

/// What a witness made of a checkpoint.
enum Answer {
    /// The checkpoint with its line, and when.
    Signed(String, Timestamp),
    Conflict(LogConflict),
    /// It has signed this size, and wants a proof from there.
    Elsewhere(u64),
}

impl Witnesses {
    pub(crate) fn open(section: &HistorySection) -> anyhow::Result<Self> {
        let all = section.witnesses.iter().map(Outside::open).collect::<anyhow::Result<_>>()?;
        Ok(Witnesses { all, every: Duration::from_secs(section.witness_seconds) })
    }
}

/// Runs until the server stops.
pub(crate) async fn run(app: std::sync::Arc<App>) {
    let Witnesses { all, every } = &app.witnesses;
    while !all.is_empty() {
        tokio::select! {
            () = app.shutdown.cancelled() => return,
            () = tokio::time::sleep(*every) => {}
        }
        if let Err(error) = round(&app, all).await {
            tracing::warn!("witnesses could not be asked now: {error:#}");
        }
    }
}

async fn round(app: &App, all: &[Outside]) -> anyhow::Result<()> {
    for org in app.database.organisations().await? {
        // One process asks: the one that writes the log.
        let Some(row) = app.log.lease(&app.database, org).await?.filter(|row| row.size > 0) else { continue };
        // One that does not answer holds up no other.
        let asking = all.iter().map(|witness| look(app, org, &row, witness));
        for (witness, done) in all.iter().zip(futures_util::future::join_all(asking).await) {
            if let Err(error) = done {
                let trouble = format!("{error:#}");
                let name = &witness.key.name;
                if app.database.set_outside_trouble(org, name, &trouble).await? {
                    tracing::warn!(%org, witness = name, "the history was not witnessed: {trouble}");
                }
            }
        }
    }
    Ok(())
}

async fn look(app: &App, org: OrgId, row: &LogRow, witness: &Outside) -> anyhow::Result<()> {
    let (name, now) = (&witness.key.name, clock::now());
    let known = app.database.outside_witnesses(org).await?.into_iter().find(|known| known.name == *name);
    let settled = known.as_ref().is_some_and(|known| {
        let still = known.size == row.size && known.conflict.is_none() && known.trouble.is_none();
        still && now.ms_since(known.signed_at) < AGAIN_MS
    });
    if settled {
        return Ok(());
    }
    let mut answer = ask(app, org, row, witness, known.map_or(0, |known| known.size)).await?;
    if let Answer::Elsewhere(size) = answer {
        answer = ask(app, org, row, witness, size).await?;
    }
    match answer {
        Answer::Signed(note, at) => {
            app.database.set_signed_outside(org, name, (row.size, &note), at.min(now)).await?;
        }
        Answer::Elsewhere(_) => anyhow::bail!("it says another size each time it is asked"),
        Answer::Conflict(conflict) => {
            if app.database.set_outside_conflict(org, name, conflict).await? {
                tracing::error!(%org, witness = name, conflict = conflict.as_str(), "a witness has seen another history");
                app.database.append(&[conflict_entry(org, name, conflict, now)]).await?;
            }
        }
    }
    Ok(())
}

/// For the history, whoever objected: gateway or witness outside.
pub(crate) fn conflict_entry(org: OrgId, witness: &str, conflict: LogConflict, at: Timestamp) -> Entry {
    Entry {
        org,
        at,
        actor: witness.to_owned(),
        device: None,
        action: "history_conflict".to_owned(),
        resource: conflict.as_str().to_owned(),
        signature: None,
        policy: None,
        posture: None,
        request: crate::requests::current(),
        refused: None,
    }
}

async fn ask(app: &App, org: OrgId, row: &LogRow, witness: &Outside, old: u64) -> anyhow::Result<Answer> {
    if old > row.size {
        return Ok(Answer::Conflict(LogConflict::CutOff));
    }
    let proof = match tlog::consistency(old, row.size) {
        Some(parts) => app.log.proof(org, row.size, parts).await?,
        None => Vec::new(),
    };
    witness.submit(&Submission { old, proof, note: row.note.clone() }, &app.log.public(org)).await
}

impl Outside {
    fn open(section: &OutsideWitnessSection) -> anyhow::Result<Self> {
        let OutsideWitnessSection { url, key, ca_file } = section;
        let key = LogKey::parse_cosigner(key)?;
        let http = outbound::client(ca_file.as_deref())
            .with_context(|| format!("history.witnesses.ca_file of \"{}\"", key.name))?;
        let url = Url::parse(&format!("{}/add-checkpoint", url.as_str().trim_end_matches('/')))?;
        Ok(Outside { key, url, http })
    }

    async fn submit(&self, submission: &Submission, log: &LogKey) -> anyhow::Result<Answer> {
        let request = self.http.post(self.url.clone()).body(submission.to_text());
        let response = request.send().await.map_err(reqwest::Error::without_url).context("no answer")?;
        let (status, headers) = (response.status(), response.headers());
        let is_size =
            headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes() == SIZE.as_bytes());
        let body = outbound::body(response, ANSWER_BYTES_MAX).await?;
        let text = String::from_utf8(body).context("its answer is no text")?;
        match status {
            StatusCode::OK => self.signed(&submission.note, &text),
            StatusCode::CONFLICT => {
                let size = text.trim_end().parse().ok().filter(|_| is_size);
                Ok(match size {
                    Some(size) if size != submission.old => Answer::Elsewhere(size),
                    // It has signed another root of this size.
                    _ => Answer::Conflict(LogConflict::Rewritten),
                })
            }
            StatusCode::UNPROCESSABLE_ENTITY => Ok(Answer::Conflict(LogConflict::Rewritten)),
            StatusCode::NOT_FOUND => {
                anyhow::bail!("it does not know the log: give whoever runs it the key {}", log.verifier_key())
            }
            StatusCode::FORBIDDEN => {
                anyhow::bail!("it trusts another key for the log than {}", log.verifier_key())
            }
            status => anyhow::bail!("it answers {status}"),
        }
    }

    fn signed(&self, note: &str, lines: &str) -> anyhow::Result<Answer> {
        let mark = format!("\u{2014} {} ", self.key.name);
        let own: String = lines.split_inclusive('\n').filter(|line| line.starts_with(&mark)).collect();
        let note = format!("{note}{own}");
        let found = Checkpoint::witnessed(&note, std::slice::from_ref(&self.key))?;
        let signed =
            found.first().context("its answer is not signed with the key in history.witnesses.key")?;
        Ok(Answer::Signed(note, signed.at))
    }
}
