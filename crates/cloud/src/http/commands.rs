//! Signed commands to a site (format.md section 3): read, judged, sent to the
//! gateway, and its answer taken. The cloud carries them; it can make none, and
//! the gateway counts the signatures again.

use std::time::Duration;

use axum::http::StatusCode;
use cloud_core::{Action, Denial, Permit};
use model::Timestamp;
use model::wire::Envelope;
use seal::command::{Agreement, CommandError, CommandResult, SiteCommand};
use seal::envelope::{EnvelopeError, PayloadType};
use seal::keys::VerifyingKey;
use seal::roster::Roster;

use crate::app::App;
use crate::problem::Problem;
use crate::rosters::signers;
use crate::sessions::Caller;

const ANSWER_MAX: Duration = Duration::from_secs(30);

pub(crate) fn is_command(envelope: &Envelope) -> bool {
    envelope.payload_type == PayloadType::Command.as_str()
}

/// The command, and which administrators signed it so far.
pub(crate) fn agreement(roster: &Roster, envelope: &Envelope, now: Timestamp) -> Result<Agreement, Problem> {
    Agreement::of(envelope, roster, now).map_err(|error| match error {
        CommandError::NotAdministrator | CommandError::Envelope(EnvelopeError::BadSignature(_)) => {
            Denial::Unsigned.into()
        }
        error => Problem::invalid(format!("The command is not accepted: {error}.")),
    })
}

/// Whether the caller may have it sent, with these signatures.
pub(crate) async fn judge(
    app: &App,
    caller: &Caller,
    roster: &Roster,
    envelope: &Envelope,
    agreement: &Agreement,
    now: Timestamp,
) -> Result<Permit, Problem> {
    let configure = Action::Configure {
        gateway: agreement.command.target,
        command: agreement.hash,
        signers: signers(envelope),
        changes_site: agreement.command.command.changes_site(),
    };
    app.decide_signed(caller, roster, configure, agreement.people.len() as u32, now).await
}

/// Sends it and waits for what the gateway answers.
pub(crate) async fn send(app: &App, command: &SiteCommand, envelope: Envelope) -> Result<Envelope, Problem> {
    let answer = app.hub.command(command.target, envelope).ok_or_else(offline)?;
    match tokio::time::timeout(ANSWER_MAX, answer).await {
        Ok(Ok(envelope)) => Ok(envelope),
        // The link went down with the command on it.
        Ok(Err(_)) => Err(offline()),
        Err(_) => Err(Problem::new(
            StatusCode::GATEWAY_TIMEOUT,
            "gateway_silent",
            "The gateway did not answer within 30 seconds.",
            "Look whether the change took effect before trying again.",
        )),
    }
}

/// How a command stands to what its site is configured as now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Follows,
    /// It was the last that was carried out.
    CarriedOut,
    /// Another one was carried out since its author looked.
    Overtaken,
}

/// As far as the gateway has said; the gateway decides.
pub(crate) fn standing(app: &App, command: &SiteCommand) -> Standing {
    match app.hub.status(command.target) {
        Some(status) if status.state == command.state_after() => Standing::CarriedOut,
        Some(status) if status.state != command.previous_state => Standing::Overtaken,
        _ => Standing::Follows,
    }
}

pub(crate) fn overtaken() -> Problem {
    Problem::new(
        StatusCode::CONFLICT,
        "state_moved",
        "The gateway was configured otherwise since this command was made.",
        "Look at what the site is now, and propose it anew.",
    )
}

/// What became of a command that enough administrators signed.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// None if the answer was lost and the gateway's state tells.
    Done(Option<Envelope>),
    Failed(Envelope),
}

/// Judges what several signed, writes it down, and has the gateway carry it out.
pub(crate) async fn carry_out(
    app: &App,
    caller: &Caller,
    roster: &Roster,
    envelope: &Envelope,
    now: Timestamp,
) -> Result<Outcome, Problem> {
    let agreement = agreement(roster, envelope, now)?;
    let permit = judge(app, caller, roster, envelope, &agreement, now).await?;
    let command = &agreement.command;
    match standing(app, command) {
        Standing::Follows => {}
        Standing::CarriedOut => return Ok(Outcome::Done(None)),
        Standing::Overtaken => return Err(overtaken()),
    }
    let gateway = roster.gateway(command.target).ok_or_else(Problem::not_found)?;
    permit.record(&app.recorder).await?;
    app.database.keep_signature(caller.org, agreement.hash, envelope, now).await?;
    let answer = send(app, command, envelope.clone()).await?;
    let key = VerifyingKey::from_bytes(&gateway.sign.0).map_err(Problem::internal)?;
    match CommandResult::verify(&answer, gateway.id, key, &command.nonce) {
        Ok(result) if result.ok => Ok(Outcome::Done(Some(answer))),
        // Somebody else had it sent at the same time.
        Ok(_) if standing(app, command) == Standing::CarriedOut => Ok(Outcome::Done(None)),
        Ok(_) => Ok(Outcome::Failed(answer)),
        // Its roster may be behind: then it names no nonce.
        Err(_) => Err(Problem::new(
            StatusCode::BAD_GATEWAY,
            "gateway_refused",
            "The gateway did not take the command as one that enough administrators signed.",
            "Have it carried out again in a minute; if it is refused again, look at the gateway's log.",
        )),
    }
}

pub(super) fn offline() -> Problem {
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "gateway_offline",
        "The gateway is not connected, or is busy.",
        "Check that it runs and reaches the cloud, then try again.",
    )
}
