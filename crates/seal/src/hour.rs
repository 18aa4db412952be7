//! Hours (section 5.4): what a gateway says that it recorded of a camera in one
//! hour, and what is missing. They lie beside the recordings in the bucket, so
//! that a bucket without its database, or a server that hides something, can be
//! held to what the gateway signed.

use model::wire::{Envelope, GapReason};
use model::{CameraId, GatewayId, Hash, OrgId, Rendition, Timestamp};
use serde::{Deserialize, Serialize};

use crate::envelope::{self, EnvelopeError, PayloadType};
use crate::keys::{SigningKey, VerifyingKey};
use crate::roster::Roster;
use crate::{CanonicalError, sha256};

/// Recordings, and gaps, in one of them: what fits into an envelope. An hour with
/// more has several.
pub const ENTRIES_MAX: usize = 500;
/// Of an envelope as it lies in the store.
pub const HOUR_BYTES_MAX: u64 = 384 << 10;

#[derive(Debug, thiserror::Error)]
pub enum HourError {
    #[error("the index of an hour is larger than {HOUR_BYTES_MAX} bytes")]
    TooLarge,
    #[error("the index of an hour is no envelope: {0}")]
    Json(#[from] serde_json::Error),
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    #[error("index of an hour: {0}")]
    Payload(#[from] CanonicalError),
    #[error("the index of an hour is of another organisation")]
    OtherOrganisation,
    #[error("the roster does not name the gateway {0}, which signed the index of an hour")]
    UnknownGateway(GatewayId),
    #[error("the index of an hour does not hold {0}")]
    Content(&'static str),
}

/// The statement itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hour {
    pub org: OrgId,
    pub gateway: GatewayId,
    pub camera: CameraId,
    /// When it begins, in UTC.
    pub hour: Timestamp,
    /// Counts from 0 for each camera of a gateway, until its index is made anew.
    pub number: u64,
    /// [`SignedHour::hash`] of the one before.
    pub previous: Option<Hash>,
    /// By the gateway's clock.
    pub made_at: Timestamp,
    /// That began in this hour.
    pub recordings: Vec<HourRecording>,
    /// That began in this hour.
    pub gaps: Vec<HourGap>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HourRecording {
    pub rendition: Rendition,
    pub started_at: Timestamp,
    pub duration_ms: u64,
    pub bytes: u64,
    /// Of the header.
    pub id: Hash,
    pub root: Hash,
    /// Whether the store had it when this was signed.
    pub stored: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HourGap {
    pub rendition: Rendition,
    pub from: Timestamp,
    pub to: Timestamp,
    pub reason: GapReason,
}

impl HourRecording {
    fn place(&self) -> (Timestamp, Rendition, Hash) {
        (self.started_at, self.rendition, self.id)
    }
}

impl HourGap {
    fn place(&self) -> (Timestamp, Rendition, Timestamp) {
        (self.from, self.rendition, self.to)
    }
}

impl Hour {
    pub fn sign(&self, key: &SigningKey) -> Envelope {
        envelope::sign(PayloadType::Hour, crate::to_canonical(self), &self.gateway, key)
    }

    /// As the recordings lie: by camera, then by day.
    pub fn object_name(&self, hash: Hash) -> String {
        let (year, month, day) = self.hour.utc_date();
        let Hour { org, camera, hour: Timestamp(hour), .. } = self;
        format!("{org}/{camera}/hours/{year:04}/{month:02}/{day:02}/{hour}-{hash}.json")
    }

    /// Reads a payload that nobody has vouched for yet.
    pub fn read(payload: &[u8]) -> Result<Self, HourError> {
        let hour: Hour = crate::from_canonical(payload)?;
        hour.check()?;
        Ok(hour)
    }

    fn check(&self) -> Result<(), HourError> {
        let within = |at: Timestamp| self.hour <= at && at < self.hour.plus_ms(Timestamp::HOUR);
        let content = |holds: bool, what| if holds { Ok(()) } else { Err(HourError::Content(what)) };
        let is_hour = self.hour.0.is_multiple_of(Timestamp::HOUR) && self.hour.0 < 1 << 53;
        content(is_hour, "the beginning of an hour")?;
        content((self.number == 0) == self.previous.is_none(), "a number that fits what went before")?;
        let length = self.recordings.len().max(self.gaps.len());
        content((1..=ENTRIES_MAX).contains(&length), "1 to 500 recordings or gaps")?;
        content(
            self.recordings.iter().all(|recording| within(recording.started_at))
                && self.gaps.iter().all(|gap| within(gap.from) && gap.from < gap.to),
            "recordings and gaps of its hour",
        )?;
        content(
            self.recordings.is_sorted_by(|a, b| a.place() < b.place())
                && self.gaps.is_sorted_by(|a, b| a.place() < b.place()),
            "each entry once and in order",
        )
    }
}

/// A statement that its gateway signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedHour {
    pub hour: Hour,
    /// Of the statement; the next one names it, and so does the object.
    pub hash: Hash,
}

impl SignedHour {
    /// Reads an object of the store.
    pub fn parse(bytes: &[u8], roster: &Roster) -> Result<Self, HourError> {
        if bytes.len() as u64 > HOUR_BYTES_MAX {
            return Err(HourError::TooLarge);
        }
        Self::verify(&serde_json::from_slice(bytes)?, roster)
    }

    /// Of a gateway that is in the roster: of one that was shut out since, it has the
    /// key no more.
    pub fn verify(envelope: &Envelope, roster: &Roster) -> Result<Self, HourError> {
        let payload = envelope::payload(PayloadType::Hour, envelope)?;
        let hour = Hour::read(payload)?;
        if hour.org != roster.org() {
            return Err(HourError::OtherOrganisation);
        }
        let gateway = roster.gateway(hour.gateway);
        let key = gateway.and_then(|gateway| VerifyingKey::from_bytes(&gateway.sign.0).ok());
        let key = key.ok_or(HourError::UnknownGateway(hour.gateway))?;
        envelope::verify(PayloadType::Hour, envelope, &hour.gateway, key)?;
        Ok(SignedHour { hash: sha256(payload), hour })
    }

    pub fn object_name(&self) -> String {
        self.hour.object_name(self.hash)
    }
}
