//! The roster (section 2): who may open footage and which gateways and cameras
//! are genuine, as a log of signed statements. Gateways, the cloud, the web app
//! and the command line each replay it and believe nobody's summary.

mod error;
mod log;
mod replay;
mod rules;
mod statement;

pub use error::RosterError;
pub use log::{LogError, log_envelope, log_line, read_log};
pub use replay::{AT_AHEAD_MAX_MS, Agreement, RECOVERY_DELAY_MS, Right, Roster, UNHEARD_MS};
pub use statement::{
    Access, Administrators, Camera, Device, DeviceKind, Payload, Recovery, Scope, State, Statement, Witness,
};

use model::wire::{Envelope, GatewayKeys};
use model::{DeviceId, Hash};

use crate::envelope::{self, EnvelopeError, PayloadType};
use crate::keys::SigningKey;

/// A gateway as the roster knows it.
pub type Gateway = GatewayKeys;

/// Writes and signs a statement. `roster` is what it follows.
pub fn sign_next(
    roster: &Roster,
    at: model::Timestamp,
    statement: Statement,
    device: DeviceId,
    key: &SigningKey,
) -> Envelope {
    let (seq, previous) = roster.head();
    let payload = Payload {
        org: roster.org(),
        seq: seq + 1,
        previous: Some(previous),
        at: at.max(roster.last_at()),
        statement,
    };
    envelope::sign(PayloadType::Roster, crate::to_canonical(&payload), &device, key)
}

/// The hash of a statement, by which others refer to it.
pub fn statement_hash(envelope: &Envelope) -> Result<Hash, EnvelopeError> {
    envelope::payload(PayloadType::Roster, envelope).map(crate::sha256)
}

/// What is new in a part of the log that begins with the reader's own head: if
/// it does not, the log was cut off, put back, forked or put out of order.
pub fn after_head((seq, head): (u64, Hash), shown: &[Envelope]) -> Result<&[Envelope], RosterError> {
    let Some((first, new)) = shown.split_first() else {
        return Err(RosterError::Behind { head: seq.saturating_sub(1), seen: seq });
    };
    let bytes = envelope::payload(PayloadType::Roster, first)?;
    if crate::sha256(bytes) == head {
        return Ok(new);
    }
    let Payload { seq: found, .. } = crate::from_canonical(bytes)?;
    if found == seq { Err(RosterError::Forked) } else { Err(RosterError::DoesNotFollow { head: seq, found }) }
}
