//! Commands to a site (section 3): what widens, destroys or reconfigures is
//! signed by an administrator's device for one gateway, once, soon, and for the
//! configuration that the author saw. The cloud only carries it.

use std::collections::BTreeMap;

use model::wire::Envelope;
use model::{CameraAccess, CameraId, DeviceId, GatewayId, Hash, OrgId, Timestamp};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::envelope::{self, EnvelopeError, PayloadType};
use crate::keys::{KemPublic, KemSecret, SigningKey, VerifyingKey};
use crate::roster::Roster;
use crate::sealed::{self, SealSeed, Sealed};
use crate::{CanonicalError, to_canonical};

/// A command's longest life.
pub const EXPIRES_AHEAD_MAX_MS: u64 = 10 * Timestamp::MINUTE;
/// Nonces a gateway remembers; more commands in their life are refused.
pub const NONCES_MAX: usize = 4_096;
const SEALED_INFO: &str = "lenskeep camera access v1";

/// 128 random bits in hex.
pub type Nonce = String;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SiteCommand {
    pub org: OrgId,
    pub target: GatewayId,
    pub nonce: Nonce,
    pub expires_at: Timestamp,
    pub previous_state: Hash,
    pub command: Command,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Command {
    TestCamera { camera: CameraId, sealed: Sealed },
    PutCamera { camera: CameraId, sealed: Sealed },
    RemoveCamera { camera: CameraId },
    SetRetention { bytes_max: u64, age_days_max: u32 },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandResult {
    pub org: OrgId,
    pub gateway: GatewayId,
    pub nonce: Nonce,
    pub at: Timestamp,
    pub ok: bool,
    pub error: Option<String>,
    pub report: Option<CameraReport>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CameraReport {
    /// `None` while the certificate is not pinned: then nothing was said to the
    /// camera, and its fingerprint is all there is to report.
    pub main: Option<StreamReport>,
    pub sub: Option<StreamReport>,
    pub certificate: Option<Hash>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamReport {
    pub video_codec: String,
    pub width: u32,
    pub height: u32,
    pub audio_codec: Option<String>,
    pub key_frame_after_ms: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    #[error("command: {0}")]
    Payload(#[from] CanonicalError),
    #[error("the command is for another organisation or gateway")]
    Target,
    #[error("the command has expired, or lives longer than 10 minutes")]
    Expired,
    #[error("the command was carried out before")]
    Replayed,
    #[error("the command was made for another configuration; load it again")]
    OtherState,
    #[error("the signer is not an administrator's device in force")]
    NotAdministrator,
    #[error("a nonce is 32 lower-case hex digits")]
    Nonce,
    #[error("the camera's access data is not sealed to this gateway")]
    Sealed,
    #[error("too many commands at once; wait some minutes")]
    TooMany,
}

impl SiteCommand {
    pub fn sign(&self, device: DeviceId, key: &SigningKey) -> Envelope {
        envelope::sign(PayloadType::Command, to_canonical(self), &device, key)
    }
}

/// Seals a camera's address and credentials to the gateway's key.
pub fn seal_access(
    access: &CameraAccess,
    to: &KemPublic,
    (org, gateway, camera): (OrgId, GatewayId, CameraId),
    nonce: &str,
    seed: SealSeed,
) -> Sealed {
    let plaintext = Zeroizing::new(to_canonical(access));
    sealed::seal(to, SEALED_INFO, &associated(org, gateway, camera, nonce), &plaintext, seed)
}

pub fn open_access(
    command: &SiteCommand,
    camera: CameraId,
    sealed: &Sealed,
    key: &KemSecret,
) -> Result<CameraAccess, CommandError> {
    let aad = associated(command.org, command.target, camera, &command.nonce);
    let bytes = sealed::open(key, SEALED_INFO, &aad, sealed).map_err(|_| CommandError::Sealed)?;
    // The parser's own words could quote a password.
    crate::from_canonical(&bytes).map_err(|_| CommandError::Sealed)
}

fn associated(org: OrgId, gateway: GatewayId, camera: CameraId, nonce: &str) -> Vec<u8> {
    format!("{org}|{gateway}|{camera}|{nonce}").into_bytes()
}

/// The gateway's door for commands. Remembers nonces until they expire.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct CommandGate {
    seen: BTreeMap<Nonce, Timestamp>,
}

impl CommandGate {
    /// Returns the command if it may be carried out now; remembers it in that case.
    pub fn admit(
        &mut self,
        envelope: &Envelope,
        roster: &Roster,
        me: GatewayId,
        state: Hash,
        now: Timestamp,
    ) -> Result<SiteCommand, CommandError> {
        let bytes = envelope::payload(PayloadType::Command, envelope)?;
        let [signature] = envelope.signatures.as_slice() else {
            return Err(EnvelopeError::Signatures.into());
        };
        let device = signature.keyid.parse::<DeviceId>().map_err(|_| CommandError::NotAdministrator)?;
        if !roster.is_administrator(device, now) {
            return Err(CommandError::NotAdministrator);
        }
        let known = roster.device(device).ok_or(CommandError::NotAdministrator)?;
        let key = VerifyingKey::from_bytes(&known.sign.0).map_err(|_| CommandError::NotAdministrator)?;
        envelope::verify(PayloadType::Command, envelope, &device, key)?;

        let command: SiteCommand = crate::from_canonical(bytes)?;
        if command.org != roster.org() || command.target != me {
            return Err(CommandError::Target);
        }
        let nonce_shape = |digit: char| matches!(digit, '0'..='9' | 'a'..='f');
        if command.nonce.len() != 32 || !command.nonce.chars().all(nonce_shape) {
            return Err(CommandError::Nonce);
        }
        if command.expires_at <= now || command.expires_at > now.plus_ms(EXPIRES_AHEAD_MAX_MS) {
            return Err(CommandError::Expired);
        }
        self.seen.retain(|_, expires_at| *expires_at > now);
        if self.seen.contains_key(&command.nonce) {
            return Err(CommandError::Replayed);
        }
        let changes = !matches!(command.command, Command::TestCamera { .. });
        if changes && command.previous_state != state {
            return Err(CommandError::OtherState);
        }
        if self.seen.len() >= NONCES_MAX {
            return Err(CommandError::TooMany);
        }
        self.seen.insert(command.nonce.clone(), command.expires_at);
        Ok(command)
    }
}

impl CommandResult {
    pub fn sign(&self, key: &SigningKey) -> Envelope {
        envelope::sign(PayloadType::CommandResult, to_canonical(self), &self.gateway, key)
    }

    /// The answer to the command with this nonce, as the gateway signed it.
    pub fn verify(
        envelope: &Envelope,
        gateway: GatewayId,
        key: VerifyingKey,
        nonce: &str,
    ) -> Result<Self, CommandError> {
        let bytes = envelope::verify(PayloadType::CommandResult, envelope, &gateway, key)?;
        let result: CommandResult = crate::from_canonical(bytes)?;
        if result.gateway != gateway || result.nonce != nonce {
            return Err(CommandError::Target);
        }
        Ok(result)
    }
}
