//! `lenskeep approval`: what other administrators propose. What is shown is
//! read from the bytes that would be signed.

use std::collections::BTreeSet;

use anyhow::{Context as _, ensure};
use cloud_core::policy::{Files, digest};
use model::wire::Envelope;
use model::{CameraId, Hash, PersonId, Timestamp};
use seal::action::{Action, SignedAction};
use seal::command::{self, Command, SiteCommand};
use seal::envelope::{self, PayloadType};
use seal::roster::{Roster, Statement};
use serde::Deserialize;
use serde_json::json;

use crate::client::{Session, now};
use crate::forwarding;
use crate::orders::{self, Waits};
use crate::retention;
use crate::text::printable;
use crate::times;

/// What was closed is shown for as long as proposals live.
const CLOSED_SHOWN_MS: u64 = 72 * Timestamp::HOUR;

#[derive(clap::Subcommand)]
pub(crate) enum ApprovalCommand {
    /// Proposals that are open, and what became of others.
    List,
    /// Sign a proposal with this device.
    #[command(visible_alias = "approve")]
    Agree { id: Hash },
    /// Close a proposal without its effect.
    Decline { id: Hash },
    /// Send a gateway the command that was agreed on while it was away.
    CarryOut { id: Hash },
}

#[derive(Deserialize)]
struct Proposals {
    proposals: Vec<Proposal>,
}

#[derive(Deserialize)]
pub(crate) struct Proposal {
    id: Hash,
    person: PersonId,
    pub(crate) envelope: Envelope,
    reason: String,
    created_at: Timestamp,
    expires_at: Timestamp,
    pub(crate) state: String,
    /// Of a set of policies.
    files: Option<Files>,
    /// The gateway's signed answer to a command.
    result: Option<Envelope>,
}

/// What would be signed, read from its bytes.
struct Read {
    payload_type: PayloadType,
    /// Statements and actions as they stand, commands in words.
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
        ApprovalCommand::CarryOut { id } => {
            let found = waiting(session).await?.into_iter().find(|proposal| proposal.id == id);
            let proposal = found.context(
                "no command with this id waits for its gateway; `lenskeep approval list` shows what waits for whom",
            )?;
            let agreement = command::Agreement::of(&proposal.envelope, &session.roster, now())?;
            if orders::carry_out(session, &agreement).await?.said() {
                println!("carried out");
            }
            Ok(())
        }
    }
}

async fn all(session: &Session) -> anyhow::Result<Vec<Proposal>> {
    let Proposals { proposals } = session.client.get("/api/v1/proposals").await?;
    let own = |proposal: &Proposal| seal::sha256(&proposal.envelope.payload.0) == proposal.id;
    Ok(proposals.into_iter().filter(own).collect())
}

/// Proposals that wait for people, or for a gateway.
pub(crate) async fn waiting(session: &Session) -> anyhow::Result<Vec<Proposal>> {
    let waits = |proposal: &Proposal| matches!(proposal.state.as_str(), "open" | "approved");
    Ok(all(session).await?.into_iter().filter(waits).collect())
}

/// What is proposed for the roster and can still come next.
pub(crate) async fn statements(session: &Session) -> anyhow::Result<Vec<Statement>> {
    if session.roster.state().administrators.k <= 1 {
        return Ok(Vec::new());
    }
    let proposals = waiting(session).await?;
    let agreed = |proposal: &Proposal| session.roster.agreement(&proposal.envelope, now()).ok();
    Ok(proposals.iter().filter_map(agreed).map(|agreement| agreement.statement).collect())
}

/// How this very statement stands, if it was proposed before.
pub(crate) async fn proposed(session: &Session, statement: &Statement) -> anyhow::Result<Option<Waits>> {
    let proposals = waiting(session).await?;
    let agreed = |proposal: &Proposal| session.roster.agreement(&proposal.envelope, now()).ok();
    let mut agreements = proposals.iter().filter_map(agreed);
    let found = agreements.find(|agreement| agreement.statement == *statement);
    Ok(found.map(|found| Waits { id: found.hash, needed: found.needed, agreed: found.people.len() }))
}

/// Those that are open, with what they say.
async fn open(session: &Session) -> anyhow::Result<Vec<(Proposal, Read)>> {
    // What the rules refuse cannot take effect, whatever is claimed.
    let judged = waiting(session).await?.into_iter().filter_map(|proposal| {
        let read = read(session, &proposal)?;
        Some((proposal, read))
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
    if envelope.payload_type == PayloadType::Command.as_str() {
        let agreement = command::Agreement::of(envelope, &session.roster, now()).ok()?;
        return Some(Read {
            payload_type: PayloadType::Command,
            words: command_words(&session.roster, &agreement.command),
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

/// What a command would have its gateway do.
fn command_words(roster: &Roster, signed: &SiteCommand) -> String {
    let gateway = roster.gateway(signed.target).map(|known| printable(&known.name)).unwrap_or_default();
    let gateway = format!("gateway \u{201c}{gateway}\u{201d} ({})", signed.target);
    let camera = |id: &CameraId| match roster.camera(*id) {
        Some(known) => format!("camera \u{201c}{}\u{201d} ({id})", printable(&known.name)),
        None => format!("{id}, which the roster has not named yet"),
    };
    match &signed.command {
        Command::TestCamera { camera: id, .. } | Command::LookAtCamera { camera: id, .. } => {
            format!("Have {gateway} test {}.", camera(id))
        }
        Command::FindCameras {} => format!("Have {gateway} look for cameras in its networks."),
        Command::AskCamera { .. } => format!("Have {gateway} ask a camera what it offers."),
        Command::ListFindings { .. } => format!("Ask {gateway} what leaked into its cameras."),
        Command::SweepCameras { camera: Some(id) } => {
            format!("Have {gateway} read {} for secrets that leaked.", camera(id))
        }
        Command::SweepCameras { camera: None } => {
            format!("Have {gateway} read its cameras for secrets that leaked.")
        }
        Command::StopSweep {} => format!("Have {gateway} end the search for secrets that leaked."),
        Command::PutCamera { camera: id, .. } => format!(
            "Give {gateway} the address and password of {}, and record it. They are sealed to the gateway and cannot \
             be shown.",
            camera(id)
        ),
        Command::RemoveCamera { camera: id } => {
            format!("Have {gateway} forget {}, and record it no more.", camera(id))
        }
        Command::SetRetention { bytes_max, age_days_max, quiet } => format!(
            "Have {gateway} keep at most {} GB and {age_days_max} days{}; what is older or beyond that is deleted.",
            bytes_max / 1_000_000_000,
            quiet.as_ref().map(retention::in_words).unwrap_or_default()
        ),
        Command::SetForwarding { camera: id, forwarding } => {
            format!("Have {gateway} forward of {}: {}.", camera(id), forwarding::in_words(*forwarding))
        }
        Command::SetBandwidth { bandwidth } => {
            format!("Have {gateway} send recordings {}.", forwarding::bandwidth_in_words(bandwidth))
        }
    }
}

async fn list(session: &Session) -> anyhow::Result<()> {
    let open = open(session).await?;
    if open.is_empty() {
        println!("Nothing waits for agreement.");
    }
    for (proposal, read) in &open {
        let away = if proposal.state == "approved" { "; waits for its gateway" } else { "" };
        println!("{}  {} of {} agree{away}", proposal.id, read.people.len(), read.needed);
        println!("  {}", read.words);
        let reason = match proposal.reason.as_str() {
            "" => String::new(),
            reason => format!(": {}", printable(reason)),
        };
        println!("  by {}{reason}, ends {}", proposal.person, times::format(proposal.expires_at));
    }
    let since = now().minus_ms(CLOSED_SHOWN_MS);
    for proposal in all(session).await?.iter().filter(|proposal| proposal.created_at > since) {
        if !matches!(proposal.state.as_str(), "open" | "approved") {
            println!("{}  {}{}", proposal.id, proposal.state, answered(session, proposal));
        }
    }
    Ok(())
}

/// What the gateway said to a command that it was sent.
fn answered(session: &Session, proposal: &Proposal) -> String {
    let Ok(agreement) = command::Agreement::of(&proposal.envelope, &session.roster, now()) else {
        return String::new();
    };
    let words = command_words(&session.roster, &agreement.command);
    let answer = json!({ "state": proposal.state, "result": proposal.result });
    match orders::outcome(session, &agreement, &answer) {
        Err(error) if proposal.result.is_some() => format!(": {words} {error:#}"),
        _ => format!(": {words}"),
    }
}

async fn agree(session: &mut Session, id: Hash) -> anyhow::Result<()> {
    let found = open(session).await?.into_iter().find(|(proposal, _)| proposal.id == id);
    let (proposal, read) =
        found.context("there is no open proposal with this id; `lenskeep approval list` shows them")?;
    ensure!(proposal.state == "open", "enough have agreed on it already: lenskeep approval carry-out {id}");
    let me = session.roster.device(session.device()).context("this device is not in the roster")?.person;
    ensure!(!read.people.contains(&me), "you have agreed already; it takes somebody else");
    println!("{}", read.words);
    let mut envelope = proposal.envelope;
    envelope.signatures.clear();
    envelope::add_signature(read.payload_type, &mut envelope, &session.device(), &session.keys.sign);
    let path = format!("/api/v1/proposals/{id}/signatures");
    let answer = session.client.post(&path, &json!({ "envelope": envelope })).await?;
    match answer["state"].as_str() {
        Some("open") => println!("agreed; others must agree too"),
        _ if read.payload_type == PayloadType::Command => {
            let agreement = command::Agreement::of(&envelope, &session.roster, now())?;
            if orders::outcome(session, &agreement, &answer)?.said() {
                println!("agreed; the gateway has carried it out");
            }
        }
        _ => println!("agreed; it is in force"),
    }
    session.sync().await
}
