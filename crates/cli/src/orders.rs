//! Commands to a site: signed and carried out, or where it takes several
//! administrators, proposed to the others. Whoever gives the same order again
//! is told how it stands, and has it carried out once enough have agreed.

use std::fmt;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use model::wire::{Envelope, GatewayKeys};
use model::{GatewayId, Hash, Timestamp};
use seal::command::{Agreement, Command, CommandResult, SEVERAL_EXPIRES_AHEAD_MAX_MS, SiteCommand};
use seal::keys::VerifyingKey;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::approvals::{self, Proposal};
use crate::client::{MARGIN_MS, Session, is, now, random};
use crate::text::printable;

const CONNECT_WAIT: Duration = Duration::from_secs(10);
/// A command that nobody has carried out by then is void.
const COMMAND_MS: u64 = 5 * Timestamp::MINUTE;

/// What others have to do before it has its effect.
#[derive(Debug)]
pub(crate) struct Waits {
    pub(crate) id: Hash,
    pub(crate) needed: u32,
    /// Those who have agreed.
    pub(crate) agreed: usize,
}

impl fmt::Display for Waits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Waits { id, needed, agreed } = self;
        write!(
            f,
            "This takes {needed} administrators; {agreed} agreed so far. It is proposed to the others; each runs\n  \
             lenskeep approval agree {id}\n`lenskeep approval list` says what becomes of it."
        )
    }
}

pub(crate) enum Ordered {
    /// Without an answer if that was lost, and the site's state tells.
    Done(Option<Box<CommandResult>>),
    Waits(Waits),
    /// Enough have agreed, and the gateway is away.
    Away(Hash),
}

impl Ordered {
    /// Says what has to be done by others; true if nothing has.
    pub(crate) fn said(&self) -> bool {
        match self {
            Ordered::Done(_) => return true,
            Ordered::Waits(waits) => println!("{waits}"),
            Ordered::Away(id) => println!(
                "Enough administrators have agreed, and the gateway is not connected. When it is, run this command \
                 again, or\n  lenskeep approval carry-out {id}"
            ),
        }
        false
    }
}

#[derive(Deserialize)]
struct Gateways {
    gateways: Vec<GatewayState>,
}

#[derive(Deserialize)]
struct GatewayState {
    id: GatewayId,
    connected: bool,
    state: Option<Hash>,
}

/// Has a command carried out, or takes up the `same` one that was proposed.
pub(crate) async fn order(
    session: &Session,
    gateway: &GatewayKeys,
    same: impl Fn(&Command) -> bool,
    make: impl FnOnce(&str, &GatewayKeys) -> anyhow::Result<Command>,
) -> anyhow::Result<Ordered> {
    if let Some(ordered) = taken_up(session, gateway, same).await? {
        return Ok(ordered);
    }
    let previous_state = configuration(session, gateway).await?;
    let nonce: String = random::<16>().iter().map(|byte| format!("{byte:02x}")).collect();
    let mut command = SiteCommand {
        org: session.roster.org(),
        target: gateway.id,
        nonce: nonce.clone(),
        expires_at: now().plus_ms(COMMAND_MS),
        previous_state,
        command: make(&nonce, gateway)?,
    };
    let needed = command.command.administrators_needed(&session.roster);
    if needed > 1 {
        command.expires_at = now().plus_ms(SEVERAL_EXPIRES_AHEAD_MAX_MS - MARGIN_MS);
        let envelope = command.sign(session.device(), &session.keys.sign);
        let id = seal::sha256(&envelope.payload.0);
        session.client.post("/api/v1/proposals", &json!({ "envelope": envelope, "reason": "" })).await?;
        return Ok(Ordered::Waits(Waits { id, needed, agreed: 1 }));
    }
    let envelope = command.sign(session.device(), &session.keys.sign);
    let path = format!("/api/v1/gateways/{}/commands", gateway.id);
    let answer = session.client.post(&path, &json!({ "envelope": envelope })).await?;
    let result = verified(&answer["envelope"], gateway, &nonce)?;
    ensure!(result.ok, "the gateway refused: {}", said(&result));
    Ok(Ordered::Done(Some(Box::new(result))))
}

/// How a command stands that was proposed before; it is carried out if enough
/// have agreed meanwhile.
pub(crate) async fn taken_up(
    session: &Session,
    gateway: &GatewayKeys,
    same: impl Fn(&Command) -> bool,
) -> anyhow::Result<Option<Ordered>> {
    let Some((proposal, agreement)) = pending(session, gateway.id, same).await? else { return Ok(None) };
    if proposal.state == "approved" {
        return carry_out(session, &agreement).await.map(Some);
    }
    let (id, needed, agreed) = (agreement.hash, agreement.needed, agreement.people.len());
    Ok(Some(Ordered::Waits(Waits { id, needed, agreed })))
}

/// The newest proposal of such a command that waits for people or its gateway.
async fn pending(
    session: &Session,
    gateway: GatewayId,
    same: impl Fn(&Command) -> bool,
) -> anyhow::Result<Option<(Proposal, Agreement)>> {
    if session.roster.state().administrators.k <= 1 {
        return Ok(None);
    }
    let read = |proposal: Proposal| {
        let agreement = Agreement::of(&proposal.envelope, &session.roster, now()).ok()?;
        let wanted = agreement.command.target == gateway && same(&agreement.command.command);
        wanted.then_some((proposal, agreement))
    };
    Ok(approvals::waiting(session).await?.into_iter().find_map(read))
}

/// Has the cloud send what enough administrators agreed on.
pub(crate) async fn carry_out(session: &Session, agreement: &Agreement) -> anyhow::Result<Ordered> {
    let id = agreement.hash;
    let path = format!("/api/v1/proposals/{id}/carry-out");
    match session.client.post(&path, &json!({})).await {
        Ok(answer) => outcome(session, agreement, &answer),
        Err(error) if is(&error, "gateway_offline") => Ok(Ordered::Away(id)),
        Err(error) => Err(error),
    }
}

/// What the cloud says of a command that was agreed on, as far as its gateway
/// signed it.
pub(crate) fn outcome(session: &Session, agreement: &Agreement, answer: &Value) -> anyhow::Result<Ordered> {
    let command = &agreement.command;
    if answer["state"] == "approved" {
        return Ok(Ordered::Away(agreement.hash));
    }
    if answer["result"].is_null() {
        return Ok(Ordered::Done(None));
    }
    let gateway = session.roster.gateway(command.target).context("the roster has no such gateway")?;
    let result = verified(&answer["result"], gateway, &command.nonce)?;
    ensure!(result.ok, "the gateway refused: {}", said(&result));
    Ok(Ordered::Done(Some(Box::new(result))))
}

fn verified(answer: &Value, gateway: &GatewayKeys, nonce: &str) -> anyhow::Result<CommandResult> {
    let envelope: Envelope = serde_json::from_value(answer.clone())?;
    let key = VerifyingKey::from_bytes(&gateway.sign.0)?;
    CommandResult::verify(&envelope, gateway.id, key, nonce).context("the gateway's answer")
}

fn said(result: &CommandResult) -> String {
    result.error.as_deref().map_or_else(String::new, printable)
}

/// The hash of the gateway's present configuration. A gateway that was just
/// taken in needs a moment to connect.
async fn configuration(session: &Session, gateway: &GatewayKeys) -> anyhow::Result<Hash> {
    let begun = Instant::now();
    loop {
        let answer: Gateways = session.client.get("/api/v1/gateways").await?;
        let found = answer.gateways.into_iter().find(|found| found.id == gateway.id && found.connected);
        if let Some(state) = found.and_then(|found| found.state) {
            return Ok(state);
        }
        ensure!(
            begun.elapsed() < CONNECT_WAIT,
            "gateway {} is not connected to the cloud; look at its log",
            gateway.name
        );
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}
