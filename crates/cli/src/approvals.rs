//! `lenskeep approval`: what other administrators propose. What is shown is
//! read from the bytes that would be signed.

use anyhow::{Context as _, ensure};
use model::wire::Envelope;
use model::{Hash, PersonId, Timestamp};
use seal::envelope::{self, PayloadType};
use seal::roster::{Agreement, Statement};
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

async fn open(session: &Session) -> anyhow::Result<Vec<(Proposal, Agreement)>> {
    let Proposals { proposals } = session.client.get("/api/v1/proposals").await?;
    let open = proposals.into_iter().filter(|proposal| proposal.state == "open");
    // What the roster's rules refuse cannot take effect, whatever is claimed.
    let judged = open.filter_map(|proposal| {
        let agreement = session.roster.agreement(&proposal.envelope, now()).ok()?;
        (agreement.hash == proposal.id).then_some((proposal, agreement))
    });
    Ok(judged.collect())
}

async fn list(session: &Session) -> anyhow::Result<()> {
    let open = open(session).await?;
    if open.is_empty() {
        println!("Nothing waits for agreement.");
    }
    for (proposal, agreement) in &open {
        println!("{}  {} of {} agree", proposal.id, agreement.people.len(), agreement.needed);
        println!("  {}", words(&agreement.statement)?);
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
    let (proposal, agreement) = found.context("there is no open proposal with this id")?;
    let me = session.roster.device(session.device()).context("this device is not in the roster")?.person;
    ensure!(!agreement.people.contains(&me), "you have agreed already; it takes somebody else");
    println!("{}", words(&agreement.statement)?);
    let mut envelope = proposal.envelope;
    envelope.signatures.clear();
    envelope::add_signature(PayloadType::Roster, &mut envelope, &session.device(), &session.keys.sign);
    let path = format!("/api/v1/proposals/{id}/signatures");
    let answer = session.client.post(&path, &json!({ "envelope": envelope })).await?;
    let done = answer["state"] == "done";
    println!("{}", if done { "agreed; it is in force" } else { "agreed; others must agree too" });
    session.sync().await
}

/// The statement as it is signed: all of it, and nothing made nicer.
fn words(statement: &Statement) -> anyhow::Result<String> {
    Ok(serde_json::to_string(statement)?)
}
