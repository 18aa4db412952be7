//! Asks witnesses outside the organisation to sign its history (C2SP
//! tlog-witness). What they sign is kept for people to check against the keys
//! in the roster; what they object to stands in the history and on its page.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
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
use crate::{batches, clock, outbound};

/// Longest answer that is read.
const ANSWER_BYTES_MAX: usize = 16 << 10;
/// A log that does not grow is signed again so often, which shows that the
/// witness still sees it.
const AGAIN_MS: u64 = 4 * Timestamp::MINUTE;
/// An objection stands in the history so often at most, whatever the witness
/// says in between.
const OBJECTION_MS: u64 = Timestamp::HOUR;
/// How far a witness's clock may be ahead of ours.
const AHEAD_MAX_MS: u64 = 10 * Timestamp::MINUTE;
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
    /// When an objection of which witness was written down last.
    objections: Mutex<HashMap<(OrgId, String), Timestamp>>,
}

/// What a witness made of a checkpoint.
enum Answer {
    /// The checkpoint with its line, and when.
    Signed(String, Timestamp),
    Conflict(LogConflict),
    /// It has signed this size, and wants a proof from there.
    Elsewhere(u64),
}

/// Why there is no answer that counts.
enum Failure {
    /// In words for whoever reads the history: the witness's fault or the network's.
    Theirs(String),
    /// Database or store: for the server's log alone.
    Ours(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Failure::Ours(error.into())
    }
}

impl Witnesses {
    pub(crate) fn open(section: &HistorySection) -> anyhow::Result<Self> {
        let all = section.witnesses.iter().map(Outside::open).collect::<anyhow::Result<_>>()?;
        let every = Duration::from_secs(section.witness_seconds);
        Ok(Witnesses { all, every, objections: Mutex::default() })
    }

    /// Whether this objection is to be written down.
    fn is_news(&self, org: OrgId, witness: &str, now: Timestamp) -> bool {
        let mut objections = self.objections.lock().unwrap_or_else(PoisonError::into_inner);
        let last = objections.get(&(org, witness.to_owned()));
        let is_news = last.is_none_or(|last| now.ms_since(*last) >= OBJECTION_MS);
        if is_news {
            objections.insert((org, witness.to_owned()), now);
        }
        is_news
    }
}

/// Runs until the server stops.
pub(crate) async fn run(app: Arc<App>) {
    let Witnesses { all, every, .. } = &app.witnesses;
    let asking = async {
        while !all.is_empty() {
            tokio::time::sleep(*every).await;
            if let Err(error) = round(&app, all).await {
                tracing::warn!("witnesses could not be asked now: {error:#}");
            }
        }
    };
    app.shutdown.run_until_cancelled(asking).await;
}

async fn round(app: &App, all: &[Outside]) -> anyhow::Result<()> {
    for org in app.database.organisations().await? {
        // One process asks: the one that writes the log.
        let Some(row) = app.log.lease(&app.database, org).await?.filter(|row| row.size > 0) else { continue };
        // One that does not answer holds up no other.
        let asking = all.iter().map(|witness| look(app, org, &row, witness));
        for (witness, done) in all.iter().zip(futures_util::future::join_all(asking).await) {
            let name = &witness.key.name;
            match done {
                Ok(()) => {}
                Err(Failure::Ours(error)) => {
                    tracing::warn!(%org, witness = name, "a witness could not be asked: {error:#}");
                }
                Err(Failure::Theirs(trouble)) => {
                    if app.database.set_outside_trouble(org, name, &trouble).await? {
                        tracing::warn!(%org, witness = name, "the history was not witnessed: {trouble}");
                    }
                }
            }
        }
    }
    Ok(())
}

async fn look(app: &App, org: OrgId, row: &LogRow, witness: &Outside) -> Result<(), Failure> {
    let (name, now) = (&witness.key.name, clock::now());
    let known = app.database.outside_witnesses(org).await?.into_iter().find(|known| known.name == *name);
    let settled = known.as_ref().is_some_and(|known| {
        let still = known.size == row.size && known.conflict.is_none() && known.trouble.is_none();
        still && now.ms_since(known.signed_at) < AGAIN_MS
    });
    if settled {
        return Ok(());
    }
    let mut row = row.clone();
    let mut answer = ask(app, org, &row, witness, known.map_or(0, |known| known.size)).await?;
    if let Answer::Elsewhere(size) = answer {
        if size > row.size {
            // Another process of ours may have gone on meanwhile.
            row = app.database.log(org).await?.unwrap_or(row);
        }
        answer = if size > row.size {
            Answer::Conflict(LogConflict::CutOff)
        } else {
            ask(app, org, &row, witness, size).await?
        };
    }
    match answer {
        Answer::Signed(note, at) => {
            let signed = (row.size, note.as_str());
            app.database.set_signed_outside(org, name, signed, at.min(now)).await?;
            batches::signed_outside(app, org, name, signed, now).await?;
        }
        Answer::Elsewhere(_) => {
            return Err(Failure::Theirs("it says another size each time it is asked".to_owned()));
        }
        Answer::Conflict(conflict) => {
            if app.witnesses.is_news(org, name, now) {
                tracing::error!(%org, witness = name, conflict = conflict.as_str(), "a witness has seen another history");
                app.database.append(&[conflict_entry(org, name, conflict, now)]).await?;
            }
            app.database.set_outside_conflict(org, name, conflict).await?;
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

async fn ask(app: &App, org: OrgId, row: &LogRow, witness: &Outside, old: u64) -> Result<Answer, Failure> {
    if old > row.size {
        // It signed more for us than we have.
        return Ok(Answer::Conflict(LogConflict::CutOff));
    }
    let proof = match tlog::consistency(old, row.size) {
        Some(parts) => app.log.proof(org, row.size, parts).await?,
        None => Vec::new(),
    };
    let answer =
        witness.submit(&Submission { old, proof, note: row.note.clone() }, &app.log.public(org)).await;
    answer.map_err(|error| Failure::Theirs(format!("{error:#}")))
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
        let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let is_size = kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case(SIZE));
        let body = outbound::body(response, ANSWER_BYTES_MAX).await?;
        let text = String::from_utf8(body).context("its answer is no text")?;
        match status {
            StatusCode::OK => self.signed(&submission.note, &text),
            // What is no size may be of some proxy; nobody is accused by it.
            StatusCode::CONFLICT => match text.trim_end().parse() {
                Ok(size) if is_size && size != submission.old => Ok(Answer::Elsewhere(size)),
                _ => anyhow::bail!("it answers 409 without the size that it has signed"),
            },
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
        anyhow::ensure!(
            signed.at <= clock::now().plus_ms(AHEAD_MAX_MS),
            "its signature is dated in the future: its clock or this server's is wrong"
        );
        Ok(Answer::Signed(note, signed.at))
    }
}
