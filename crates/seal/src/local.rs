//! The local way (section 8): a device and a gateway prove themselves to each
//! other without the cloud, and what was done on that way is written down.
//!
//! Both signatures cover the SHA-256 of the certificate that the gateway shows
//! in TLS, as each of them sees it. Whoever stands in between shows another
//! one, and then neither side's signature is about the other's connection.

use model::wire::Envelope;
use model::{CameraId, DeviceId, GatewayId, Hash, OrgId, PersonId, Rendition, Timestamp};
use serde::{Deserialize, Serialize};

use crate::CanonicalError;
use crate::envelope::{self, EnvelopeError, PayloadType};
use crate::keys::{SigningKey, VerifyingKey};

/// Entries in one signed part of a journal.
pub const ENTRIES_MAX: usize = 200;
/// And their bytes: well below what an envelope may hold.
pub const ENTRIES_BYTES_MAX: usize = 192 << 10;

#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    #[error(transparent)]
    Payload(#[from] CanonicalError),
    #[error("a part of a journal has 1 to {ENTRIES_MAX} entries that follow each other")]
    Entries,
}

/// The gateway's half: "at this certificate answers this gateway".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocalGateway {
    pub org: OrgId,
    pub gateway: GatewayId,
    /// SHA-256 of the certificate (DER) of this TLS connection.
    pub certificate: Hash,
    /// What the device asked with: no older answer fits.
    pub device_challenge: Hash,
    /// What the device signs next; good once, for a minute.
    pub gateway_challenge: Hash,
    /// How far the gateway knows the roster.
    pub roster_seq: u64,
    pub roster_head: Hash,
}

/// The device's half.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocalLogin {
    pub org: OrgId,
    pub gateway: GatewayId,
    pub device: DeviceId,
    /// SHA-256 of the certificate (DER) that the device was shown.
    pub certificate: Hash,
    pub gateway_challenge: Hash,
}

impl LocalGateway {
    pub fn sign(&self, key: &SigningKey) -> Envelope {
        envelope::sign(PayloadType::LocalGateway, crate::to_canonical(self), &self.gateway, key)
    }

    /// What the envelope claims, to look the key up; believe it after [`LocalGateway::verify`].
    pub fn claimed(envelope: &Envelope) -> Result<Self, LocalError> {
        Ok(crate::from_canonical(envelope::payload(PayloadType::LocalGateway, envelope)?)?)
    }

    pub fn verify(&self, envelope: &Envelope, key: VerifyingKey) -> Result<(), EnvelopeError> {
        envelope::verify(PayloadType::LocalGateway, envelope, &self.gateway, key).map(drop)
    }
}

impl LocalLogin {
    pub fn sign(&self, key: &SigningKey) -> Envelope {
        envelope::sign(PayloadType::LocalLogin, crate::to_canonical(self), &self.device, key)
    }

    /// What the envelope claims, to look the key up; believe it after [`LocalLogin::verify`].
    pub fn claimed(envelope: &Envelope) -> Result<Self, LocalError> {
        Ok(crate::from_canonical(envelope::payload(PayloadType::LocalLogin, envelope)?)?)
    }

    pub fn verify(&self, envelope: &Envelope, key: VerifyingKey) -> Result<(), EnvelopeError> {
        envelope::verify(PayloadType::LocalLogin, envelope, &self.device, key).map(drop)
    }
}

/// One thing that was done, or refused, on the local way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JournalEntry {
    /// Counts from 0 and is never used again.
    pub seq: u64,
    /// [`JournalEntry::hash`] of the entry before; zeros before the first.
    pub previous: Hash,
    /// By the gateway's clock.
    pub at: Timestamp,
    pub event: JournalEvent,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum JournalEvent {
    Login {
        device: DeviceId,
        person: PersonId,
    },
    /// Counted: nobody fills the journal by knocking. `device` is null unless
    /// it was one of the roster.
    Refused {
        device: Option<DeviceId>,
        reason: RefusedReason,
        count: u64,
    },
    Live {
        device: DeviceId,
        person: PersonId,
        camera: CameraId,
        rendition: Rendition,
    },
    Playback {
        device: DeviceId,
        person: PersonId,
        camera: CameraId,
        recording: Hash,
    },
    /// Footage taken out, with the signed action that ordered it.
    Export {
        device: DeviceId,
        person: PersonId,
        camera: CameraId,
        action: Envelope,
    },
}

/// Why somebody was not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusedReason {
    /// Not a proof, or one of another organisation or gateway.
    Malformed,
    /// The challenge was used before, is too old, or was never given.
    Challenge,
    /// The proof is about another TLS connection: somebody is in between.
    Certificate,
    /// The device is not in force.
    Device,
    Signature,
    /// Something that the person may not open.
    Access,
}

impl RefusedReason {
    pub fn as_str(self) -> &'static str {
        match self {
            RefusedReason::Malformed => "malformed",
            RefusedReason::Challenge => "challenge",
            RefusedReason::Certificate => "certificate",
            RefusedReason::Device => "device",
            RefusedReason::Signature => "signature",
            RefusedReason::Access => "access",
        }
    }
}

impl JournalEntry {
    pub fn hash(&self) -> Hash {
        crate::sha256(&crate::to_canonical(self))
    }

    pub fn follows(&self, before: &JournalEntry) -> bool {
        before.seq.checked_add(1) == Some(self.seq) && self.previous == before.hash()
    }
}

/// A part of a gateway's journal, as the cloud is told it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocalJournal {
    pub org: OrgId,
    pub gateway: GatewayId,
    /// 32 random bytes: a journal that was lost and begun anew is another one.
    pub journal: Hash,
    pub entries: Vec<JournalEntry>,
}

impl LocalJournal {
    pub fn sign(&self, key: &SigningKey) -> Envelope {
        envelope::sign(PayloadType::LocalJournal, crate::to_canonical(self), &self.gateway, key)
    }

    /// Signed by the gateway, and a chain in itself. Whether it goes on from
    /// what was told before, the caller knows.
    pub fn verify(envelope: &Envelope, gateway: GatewayId, key: VerifyingKey) -> Result<Self, LocalError> {
        let bytes = envelope::verify(PayloadType::LocalJournal, envelope, &gateway, key)?;
        let journal: LocalJournal = crate::from_canonical(bytes)?;
        let chained = journal.entries.windows(2).all(|pair| pair[1].follows(&pair[0]));
        let counted = (1..=ENTRIES_MAX).contains(&journal.entries.len());
        if chained && counted && journal.gateway == gateway { Ok(journal) } else { Err(LocalError::Entries) }
    }
}
