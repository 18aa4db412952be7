//! `lenskeep audit witness`: who outside the organisation signs its history.
//! The server asks them; whose signature counts stands in the roster, so that
//! the server cannot invent one.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use model::Timestamp;
use seal::keys::VerifyingKey;
use seal::roster::{Roster, Statement, Witness};
use seal::tlog::{Checkpoint, LogKey};
use serde::Deserialize;

use crate::client::Session;
use crate::times;

#[derive(clap::Subcommand)]
pub(crate) enum WitnessCommand {
    /// Whose signatures count, and how far they have signed.
    List,
    /// Have signatures with this key count. Compare it first with what whoever
    /// runs the witness says; on another server of Lenskeep,
    /// `lenskeep-cloud witness-key` prints it.
    Add {
        #[arg(value_name = "NAME+HASH+BASE64")]
        key: String,
    },
    /// Have signatures of this witness count no more.
    Remove { name: String },
}

/// What the cloud says of a witness that it asks.
#[derive(Deserialize)]
pub(crate) struct Outside {
    pub(crate) name: String,
    key: String,
    note: String,
    pub(crate) conflict: Option<String>,
    trouble: Option<String>,
}

/// A checkpoint, and who of the roster signed it.
pub(crate) struct Cosigned {
    pub(crate) signer: String,
    pub(crate) checkpoint: Checkpoint,
    pub(crate) at: Timestamp,
}

#[derive(Deserialize)]
struct Head {
    key: String,
    outside: Vec<Outside>,
}

pub(crate) async fn run(session: &mut Session, command: WitnessCommand) -> anyhow::Result<()> {
    match command {
        WitnessCommand::List => {
            let Head { key, outside } = session.client.get("/api/v1/history/checkpoint").await?;
            list(&session.roster, &LogKey::parse(&key)?, &outside)
        }
        WitnessCommand::Add { key } => {
            let LogKey { name, key } = LogKey::parse_cosigner(key.trim())?;
            let witness = Witness { name: name.clone(), key: key.as_bytes().to_vec().into() };
            let mut witnesses = session.roster.state().witnesses.clone();
            let same = witnesses.get(&name) == Some(&witness);
            ensure!(!same, "{name} stands in the roster already, with this key");
            witnesses.insert(name, witness);
            set(session, witnesses).await
        }
        WitnessCommand::Remove { name } => {
            let mut witnesses = session.roster.state().witnesses.clone();
            witnesses.remove(&name).with_context(|| format!("the roster names no witness \"{name}\""))?;
            set(session, witnesses).await
        }
    }
}

async fn set(session: &mut Session, witnesses: BTreeMap<String, Witness>) -> anyhow::Result<()> {
    session.state(Statement::SetWitnesses { witnesses }).await?;
    println!("whose signatures count: {}", in_words(&session.roster));
    Ok(())
}

fn in_words(roster: &Roster) -> String {
    let names: Vec<&str> = roster.state().witnesses.keys().map(String::as_str).collect();
    if names.is_empty() { "nobody's outside the organisation".to_owned() } else { names.join(", ") }
}

fn list(roster: &Roster, log: &LogKey, outside: &[Outside]) -> anyhow::Result<()> {
    let witnesses = &roster.state().witnesses;
    if witnesses.is_empty() && outside.is_empty() {
        println!(
            "Nobody outside the organisation signs its history. Add one to history.witnesses of the server's \
             configuration; it needs the key of this log:\n{}",
            log.verifier_key()
        );
    }
    for (name, witness) in witnesses {
        let asked = outside.iter().find(|asked| asked.name == *name);
        let said = match asked {
            None => "the server does not ask it: see history.witnesses in its configuration".to_owned(),
            Some(Outside { conflict: Some(conflict), .. }) => {
                format!("HAS SEEN ANOTHER HISTORY ({conflict})")
            }
            Some(asked) => {
                let signed = cosigned_by(witness, asked, log)?;
                let signed = signed.map_or_else(
                    || "has signed nothing yet".to_owned(),
                    |Cosigned { checkpoint, at, .. }| {
                        format!("signed up to entry {} at {}", checkpoint.size, times::format(at))
                    },
                );
                let trouble = asked.trouble.as_ref().map(|trouble| format!("; now: {trouble}"));
                signed + &trouble.unwrap_or_default()
            }
        };
        println!("{name}  {said}");
    }
    for Outside { name, key, .. } in outside.iter().filter(|asked| !witnesses.contains_key(&asked.name)) {
        println!(
            "{name}  is asked by the server, and its signature counts for nothing: compare the key with what \
             the witness itself says, then run\n  lenskeep audit witness add {key}"
        );
    }
    Ok(())
}

/// What the witnesses of the roster have signed; what the server says of
/// others counts for nothing.
pub(crate) fn cosigned(roster: &Roster, outside: &[Outside], log: &LogKey) -> anyhow::Result<Vec<Cosigned>> {
    let mut found = Vec::new();
    for asked in outside {
        if let Some(witness) = roster.state().witnesses.get(&asked.name) {
            found.extend(cosigned_by(witness, asked, log)?);
        }
    }
    Ok(found)
}

fn cosigned_by(witness: &Witness, asked: &Outside, log: &LogKey) -> anyhow::Result<Option<Cosigned>> {
    if asked.note.is_empty() {
        return Ok(None);
    }
    let name = &witness.name;
    let key = VerifyingKey::from_bytes(&witness.key.0)
        .with_context(|| format!("the key of {name} in the roster is none"))?;
    let checkpoint = Checkpoint::verify(&asked.note, log)?;
    let signed = Checkpoint::witnessed(&asked.note, &[LogKey { name: name.clone(), key }])?;
    let signed = signed.first().with_context(|| format!("{name} did not sign what the server says"))?;
    Ok(Some(Cosigned { signer: name.clone(), checkpoint, at: signed.at }))
}
