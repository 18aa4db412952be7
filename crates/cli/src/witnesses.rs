//! `lenskeep audit witness`: who outside the organisation signs its history.
//! The server asks them; whose signature counts stands in the roster, so that
//! the server cannot invent one.

use std::collections::BTreeMap;

use anyhow::ensure;
use model::Timestamp;
use seal::keys::VerifyingKey;
use seal::roster::{Roster, Statement, Witness};
use seal::tlog::{Checkpoint, LogKey};
use serde::Deserialize;

use crate::audit;
use crate::client::{Session, Stated, now};
use crate::home::Home;
use crate::text::printable;
use crate::times;

/// How far a witness's clock may be ahead of ours.
const AHEAD_MAX_MS: u64 = 10 * Timestamp::MINUTE;

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
        /// In place of the key that the roster has under this name.
        #[arg(long)]
        replace: bool,
    },
    /// Have signatures of this witness count no more.
    Remove { name: String },
}

/// What the cloud says of a witness that it asks.
#[derive(Deserialize)]
pub(crate) struct Outside {
    name: String,
    key: String,
    note: String,
    conflict: Option<String>,
    trouble: Option<String>,
}

#[derive(Deserialize)]
struct Head {
    key: String,
    outside: Vec<Outside>,
}

/// A checkpoint, and who of the roster signed it.
pub(crate) struct Cosigned {
    pub(crate) signer: String,
    pub(crate) checkpoint: Checkpoint,
    pub(crate) at: Timestamp,
}

/// What the server shows of a witness that the roster names.
pub(crate) enum Shown {
    Signed(Cosigned),
    /// It says that the witness has seen another history.
    Objects(String),
    /// Nothing that counts, and why.
    Nothing(String),
}

pub(crate) async fn run(home: &Home, session: &mut Session, command: WitnessCommand) -> anyhow::Result<()> {
    match command {
        WitnessCommand::List => {
            let head: Head = session.client.get("/api/v1/history/checkpoint").await?;
            list(&session.roster, &audit::log_key(home, &head.key, session)?, &head.outside);
            Ok(())
        }
        WitnessCommand::Add { key, replace } => {
            let LogKey { name, key } = LogKey::parse_cosigner(key.trim())?;
            let witness = Witness { name: name.clone(), key: key.as_bytes().to_vec().into() };
            let known = session.roster.state().witnesses.get(&name);
            ensure!(known != Some(&witness), "{name} stands in the roster already, with this key");
            if let Some(known) = known {
                let known =
                    in_roster(known).map_or_else(|| "no key".to_owned(), |known| known.cosigner_key());
                ensure!(
                    replace,
                    "{name} stands in the roster with another key ({known}). If whoever runs it has changed it, say \
                     --replace"
                );
            }
            set(session, |witnesses| drop(witnesses.insert(name.clone(), witness.clone()))).await
        }
        WitnessCommand::Remove { name } => {
            let known = session.roster.state().witnesses.contains_key(&name);
            ensure!(known, "the roster names no witness \"{name}\"");
            set(session, |witnesses| drop(witnesses.remove(&name))).await
        }
    }
}

/// The whole list is stated, so nobody else may have changed it in between.
async fn set(session: &mut Session, change: impl Fn(&mut BTreeMap<String, Witness>)) -> anyhow::Result<()> {
    session.sync().await?;
    let before = session.roster.state().witnesses.clone();
    let mut witnesses = before.clone();
    change(&mut witnesses);
    match session.stated(Statement::SetWitnesses { witnesses: witnesses.clone() }).await? {
        Stated::Waits(waits) => println!("{waits}"),
        Stated::InForce(_) => {
            println!("Whose signatures count beside the gateways':");
            for key in witnesses.values().filter_map(in_roster) {
                println!("  {}", key.cosigner_key());
            }
            if witnesses.is_empty() {
                println!("  nobody's");
            }
        }
    }
    Ok(())
}

fn in_roster(witness: &Witness) -> Option<LogKey> {
    let key = VerifyingKey::from_bytes(&witness.key.0).ok()?;
    Some(LogKey { name: witness.name.clone(), key })
}

fn list(roster: &Roster, log: &LogKey, outside: &[Outside]) {
    let witnesses = &roster.state().witnesses;
    for witness in witnesses.values() {
        let said = match shown(witness, outside, log) {
            Shown::Signed(Cosigned { checkpoint, at, .. }) => {
                format!("signed up to entry {} at {}", checkpoint.size, times::format(at))
            }
            Shown::Objects(conflict) => format!("HAS SEEN ANOTHER HISTORY ({conflict})"),
            Shown::Nothing(why) => why,
        };
        let trouble = outside.iter().find(|asked| asked.name == witness.name);
        let trouble = trouble.and_then(|asked| asked.trouble.as_deref()).map(printable);
        let trouble = trouble.map_or_else(String::new, |trouble| format!("; now: {trouble}"));
        println!("{}  {said}{trouble}", printable(&witness.name));
    }
    // Those that the server asks of its own accord, by keys as it says.
    let offered = outside.iter().filter(|asked| !witnesses.contains_key(&asked.name));
    let offered: Vec<LogKey> = offered.filter_map(Outside::offered).collect();
    for key in &offered {
        println!(
            "{}  is asked by the server, and its signature counts for nothing. Compare its key with what whoever \
             runs it says, then run\n  lenskeep audit witness add {}",
            key.name,
            key.cosigner_key()
        );
    }
    if witnesses.is_empty() && offered.is_empty() {
        println!(
            "Nobody outside the organisation signs its history. Whoever runs the server adds somebody to \
             history.witnesses in its configuration."
        );
    }
    println!("The key of this log, for whoever is to witness it: {}", log.verifier_key());
}

impl Outside {
    /// The key, if it is one of this name and can be copied into a shell.
    fn offered(&self) -> Option<LogKey> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-/:+=".contains(c);
        let key = LogKey::parse_cosigner(&self.key).ok().filter(|_| self.key.chars().all(plain))?;
        (key.name == self.name).then_some(key)
    }
}

/// What the server shows of each witness of the roster; what it says of others
/// counts for nothing.
pub(crate) fn shown_of_all(roster: &Roster, outside: &[Outside], log: &LogKey) -> Vec<(String, Shown)> {
    let witnesses = roster.state().witnesses.values();
    witnesses.map(|witness| (printable(&witness.name), shown(witness, outside, log))).collect()
}

fn shown(witness: &Witness, outside: &[Outside], log: &LogKey) -> Shown {
    let nothing = |why: &str| Shown::Nothing(why.to_owned());
    let Some(asked) = outside.iter().find(|asked| asked.name == witness.name) else {
        return nothing("the server does not ask it: see history.witnesses in its configuration");
    };
    if let Some(conflict) = &asked.conflict {
        return Shown::Objects(printable(conflict));
    }
    if asked.note.is_empty() {
        return nothing("has signed nothing yet");
    }
    let Some(key) = in_roster(witness) else { return nothing("its key in the roster is none") };
    let Ok(checkpoint) = Checkpoint::verify(&asked.note, log) else {
        return nothing("the server shows something of it that is no checkpoint of this log");
    };
    match Checkpoint::witnessed(&asked.note, &[key]).ok().and_then(|mut signed| signed.pop()) {
        None => nothing("the server shows a signature of it that is not by its key in the roster"),
        Some(signed) if signed.at > now().plus_ms(AHEAD_MAX_MS) => {
            nothing("its signature is dated in the future")
        }
        Some(signed) => {
            Shown::Signed(Cosigned { signer: printable(&witness.name), checkpoint, at: signed.at })
        }
    }
}
