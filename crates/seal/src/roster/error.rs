//! Why a statement, or a whole log, is refused. Each reason has a code that
//! both implementations share (section 2.1).

use model::Hash;

use super::replay::STATEMENTS_MAX;
use super::rules::RECOVERY_WAITING_MAX;
use crate::CanonicalError;
use crate::envelope::EnvelopeError;

#[derive(Debug, thiserror::Error)]
pub enum RosterError {
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    #[error("roster statement: {0}")]
    Payload(#[from] CanonicalError),
    #[error("the roster begins with a genesis signed by its own device, and has no other")]
    Genesis,
    #[error("the statement is of another organisation")]
    OtherOrganisation,
    #[error("the statement does not follow: it has number {found}, the head is {head}")]
    DoesNotFollow { head: u64, found: u64 },
    #[error("the statement names another predecessor: the log was forked or altered")]
    Forked,
    #[error("the statement's time is before its predecessor's or ahead of the clock")]
    Time,
    #[error("needs signatures of {needed} different administrators, has {found}")]
    Signatures { needed: u32, found: u32 },
    #[error("the recovery device may only add a device and set the administrators")]
    Recovery,
    #[error("{RECOVERY_WAITING_MAX} statements of the recovery device wait already")]
    RecoveryWaiting,
    #[error("{0}")]
    Malformed(&'static str),
    #[error("the {0} id was used before")]
    IdUsed(&'static str),
    #[error("no such {0}")]
    Unknown(&'static str),
    #[error("a device lives at most 90 days")]
    DeviceLife,
    #[error("k is from 1 to the number of people")]
    Threshold,
    #[error("the snapshot does not describe the roster")]
    Snapshot,
    #[error("the log has more than {STATEMENTS_MAX} statements since its last snapshot")]
    TooLong,
    #[error(
        "the log ends at statement {head}, and statement {seen} was seen before: it was cut off or put back"
    )]
    Behind { head: u64, seen: u64 },
    #[error("statement {head} is not in this roster: two different rosters are being shown")]
    Split { head: Hash },
}

impl RosterError {
    /// The same in every implementation, whatever the words.
    pub fn code(&self) -> &'static str {
        match self {
            RosterError::Envelope(EnvelopeError::BadSignature(_) | EnvelopeError::Signer { .. }) => {
                "signature"
            }
            RosterError::Envelope(_) | RosterError::Payload(_) | RosterError::Malformed(_) => "malformed",
            RosterError::Genesis => "genesis",
            RosterError::OtherOrganisation => "other_organisation",
            RosterError::DoesNotFollow { .. } => "does_not_follow",
            RosterError::Forked => "forked",
            RosterError::Time => "time",
            RosterError::Signatures { .. } => "signatures",
            RosterError::Recovery => "recovery",
            RosterError::RecoveryWaiting => "recovery_waiting",
            RosterError::IdUsed(_) => "id_used",
            RosterError::Unknown(_) => "unknown",
            RosterError::DeviceLife => "device_life",
            RosterError::Threshold => "threshold",
            RosterError::Snapshot => "snapshot",
            RosterError::TooLong => "too_long",
            RosterError::Behind { .. } => "behind",
            RosterError::Split { .. } => "split",
        }
    }
}
