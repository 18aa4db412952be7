//! `lenskeep approval`: what other administrators propose. What is shown is
//! read from the bytes that would be signed.

use std::collections::BTreeSet;

use anyhow::{Context as _, ensure};
use cloud_core::policy::{Files, digest};
use model::wire::Envelope;
use model::{Hash, PersonId, Timestamp};
use seal::action::{Action, SignedAction};
use seal::envelope::{self, PayloadType};
use serde::Deserialize;
use serde_json::json;

use crate::client::{Session, now};
use crate::times;

#[derive(clap::Subcommand)]
pub(crate) enum ApprovalCommand {
    /// Proposals that are open.
    List,
    /// Sign a proposal with this device.
    Agree { id: Hash },
    /// Close a proposal without its effect.
    Decline { id: Hash },
}

#[derive(Deserialize)]
struct Proposals {
    proposals: Vec<Proposal>,
}

#[derive(Deserialize)]
struct Proposal {
    id: Hash,
    person: PersonId,
    envelope: Envelope,
    reason: String,
    expires_at: Timestamp,
    state: String,
    /// Of a set of policies.
    files: Option<Files>,
}

/// What would be signed, read from its bytes.
struct Read {
    payload_type: PayloadType,
    /// All of it, and nothing made nicer.
    words: String,
    needed: u32,
    people: BTreeSet<PersonId>,
}

pub(crate) async fn run(session: &mut Session, command: ApprovalCommand) -> anyhow::Result<()> {
    match command {
        ApprovalCommand::List => list(session).await,
        ApprovalCommand::Agree { id } => agree(session, id).await,
        ApprovalCommand::Decline { id } => {
            session.client.post(&format!("/api/v1/proposals/{id}/decline"), &json!({})).await?;
            println!("declined");
            Ok(())
        }
    }
}

async fn open(session: &Session) -> anyhow::Result<Vec<(Proposal, Read)>> {
    let Proposals { proposals } = session.client.get("/api/v1/proposals").await?;
    let open = proposals.into_iter().filter(|proposal| proposal.state == "open");
    // What the roster's rules refuse cannot take effect, whatever is claimed.
    let judged = open.filter_map(|proposal| {
        let read = read(session, &proposal)?;
        (seal::sha256(&proposal.envelope.payload.0) == proposal.id).then_some((proposal, read))
    });
    Ok(judged.collect())
}

fn read(session: &Session, proposal: &Proposal) -> Option<Read> {
    let Proposal { envelope, files, .. } = proposal;
    if envelope.payload_type == PayloadType::Roster.as_str() {
        let agreement = session.roster.agreement(envelope, now()).ok()?;
        return Some(Read {
            payload_type: PayloadType::Roster,
            words: serde_json::to_string(&agreement.statement).ok()?,
            needed: agreement.needed,
            people: agreement.people,
        });
    }
    let verified = SignedAction::verify(envelope, &session.roster, now()).ok()?;
    let mut words = serde_json::to_string(&verified.signed.action).ok()?;
    if let Action::SetPolicy { digest: signed } = verified.signed.action {
        let files = files.as_ref().filter(|files| digest(files) == signed)?;
        for (name, text) in files {
            let shown = |c: &char| !c.is_control() || *c == '\n';
            words += &format!("\n  --- {name}\n{}", text.chars().filter(shown).collect::<String>());
        }
    }
    let people = verified.administrators(&session.roster, now());
    Some(Read {
        payload_type: PayloadType::Action,
        words,
        needed: session.roster.state().administrators.k,
        people,
    })
}

async fn list(session: &Session) -> anyhow::Result<()> {
    let open = open(session).await?;
    if open.is_empty() {
        println!("Nothing waits for agreement.");
    }
    for (proposal, read) in &open {
        println!("{}  {} of {} agree", proposal.id, read.people.len(), read.needed);
        println!("  {}", read.words);
        let reason = match proposal.reason.as_str() {
            "" => String::new(),
            reason => format!(": {}", reason.chars().filter(|c| !c.is_control()).collect::<String>()),
        };
        println!("  by {}{reason}, ends {}", proposal.person, times::format(proposal.expires_at));
    }
    Ok(())
}

async fn agree(session: &mut Session, id: Hash) -> anyhow::Result<()> {
    let found = open(session).await?.into_iter().find(|(proposal, _)| proposal.id == id);
    let (proposal, read) = found.context("there is no open proposal with this id")?;
    let me = session.roster.device(session.device()).context("this device is not in the roster")?.person;
    ensure!(!read.people.contains(&me), "you have agreed already; it takes somebody else");
    println!("{}", read.words);
    let mut envelope = proposal.envelope;
    envelope.signatures.clear();
    envelope::add_signature(read.payload_type, &mut envelope, &session.device(), &session.keys.sign);
    let path = format!("/api/v1/proposals/{id}/signatures");
    let answer = session.client.post(&path, &json!({ "envelope": envelope })).await?;
    let done = answer["state"] == "done";
    println!("{}", if done { "agreed; it is in force" } else { "agreed; others must agree too" });
    session.sync().await
}
