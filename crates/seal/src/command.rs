//! Commands to a site (section 3): what widens, destroys or reconfigures is
//! signed by as many administrators as the roster demands, for one gateway,
//! once, soon, and for the configuration that the author saw. The cloud only
//! carries it.

use std::collections::{BTreeMap, BTreeSet};

use model::wire::Envelope;
use model::{
    Bandwidth, CameraAccess, CameraId, DeviceId, Forwarding, GatewayId, Hash, OrgId, PersonId, Quiet,
    Timestamp,
};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::envelope::{self, EnvelopeError, PayloadType};
use crate::keys::{KemPublic, KemSecret, SigningKey, VerifyingKey};
use crate::roster::Roster;
use crate::sealed::{self, SealSeed, Sealed};
use crate::{CanonicalError, to_canonical};

/// The longest life of a command that one administrator signs.
pub const EXPIRES_AHEAD_MAX_MS: u64 = 10 * Timestamp::MINUTE;
/// And of one that takes several, who must be asked first.
pub const SEVERAL_EXPIRES_AHEAD_MAX_MS: u64 = 72 * Timestamp::HOUR;
/// Nonces a gateway remembers; more commands in their life are refused.
pub const NONCES_MAX: usize = 4_096;
/// Of these, tests and questions get half: one administrator alone signs them, and
/// must not crowd out what several have agreed on.
pub const TEST_NONCES_MAX: usize = NONCES_MAX / 2;
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
    TestCamera {
        camera: CameraId,
        sealed: Sealed,
    },
    /// Asks the site's networks for cameras.
    FindCameras {},
    /// Asks one camera what it offers; `sealed` is a question of [`crate::answer`].
    AskCamera {
        sealed: Sealed,
    },
    /// The connection test, and some seconds of looking at it.
    LookAtCamera {
        camera: CameraId,
        sealed: Sealed,
    },
    /// Asks what leaked into cameras: those after `after`, and, where `seen` is the
    /// version that the author has, once there is another one or some seconds passed.
    ListFindings {
        after: Option<CameraId>,
        seen: Option<u64>,
    },
    /// Has this camera, or each, read for secrets now.
    SweepCameras {
        camera: Option<CameraId>,
    },
    /// Ends that.
    StopSweep {},
    PutCamera {
        camera: CameraId,
        sealed: Sealed,
    },
    RemoveCamera {
        camera: CameraId,
    },
    SetRetention {
        bytes_max: u64,
        age_days_max: u32,
        /// Left out where what is quiet stays as long as the rest.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        quiet: Option<Quiet>,
    },
    SetForwarding {
        camera: CameraId,
        forwarding: Forwarding,
    },
    SetBandwidth {
        bandwidth: Bandwidth,
    },
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
    /// An [`crate::answer::Answer`], to the device that asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Sealed>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CameraReport {
    /// `None` while the certificate is not pinned: then nothing was said to the
    /// camera, and its fingerprint is all there is to report.
    pub main: Option<StreamReport>,
    pub sub: Option<StreamReport>,
    pub certificate: Option<Hash>,
    /// `None` if no event service was to be asked, or could not be yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<EventsReport>,
}

/// What the camera's event service said. Pictures do not depend on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventsReport {
    /// Why no events can be had from it.
    pub error: Option<String>,
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
    #[error("the command has expired, or lives longer than 10 minutes (72 hours where several must sign)")]
    Expired,
    #[error("{found} of {needed} administrators signed the command; propose it to the others")]
    NotEnough { needed: u32, found: u32 },
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
    #[error("the answer is not sealed to this device, or was altered")]
    Answer,
    #[error("too many commands at once; wait some minutes")]
    TooMany,
}

impl Command {
    /// Whether it leaves the site another than it was.
    pub fn changes_site(&self) -> bool {
        match self {
            Command::TestCamera { .. }
            | Command::FindCameras {}
            | Command::AskCamera { .. }
            | Command::LookAtCamera { .. }
            | Command::ListFindings { .. }
            | Command::SweepCameras { .. }
            | Command::StopSweep {} => false,
            Command::PutCamera { .. }
            | Command::RemoveCamera { .. }
            | Command::SetRetention { .. }
            | Command::SetForwarding { .. }
            | Command::SetBandwidth { .. } => true,
        }
    }

    /// How many different administrators must sign it.
    pub fn administrators_needed(&self, roster: &Roster) -> u32 {
        if self.changes_site() { roster.state().administrators.k } else { 1 }
    }
}

/// A command, and who signed it so far.
#[derive(Clone, Debug)]
pub struct Agreement {
    /// Of the payload.
    pub hash: Hash,
    pub command: SiteCommand,
    /// Different administrators who must sign.
    pub needed: u32,
    /// Those who have: somebody with two devices agrees once.
    pub people: BTreeSet<PersonId>,
}

impl Agreement {
    /// Every signature must be good, and of an administrator's device in
    /// force: one that is not refuses the whole. Whether they are enough, and
    /// whether the state is the present one, the caller sees to.
    pub fn of(envelope: &Envelope, roster: &Roster, now: Timestamp) -> Result<Self, CommandError> {
        let bytes = envelope::payload(PayloadType::Command, envelope)?;
        let key_of = |keyid: &str| {
            let device = roster.device(administrator(keyid, roster, now)?)?;
            VerifyingKey::from_bytes(&device.sign.0).ok()
        };
        let good = envelope::signers(PayloadType::Command, envelope, key_of)?;
        if good.len() != envelope.signatures.len() {
            return Err(CommandError::NotAdministrator);
        }
        let devices = good.iter().filter_map(|keyid| administrator(keyid, roster, now));
        let people = devices.filter_map(|device| roster.device(device)).map(|device| device.person);
        let people = people.collect();
        let command: SiteCommand = crate::from_canonical(bytes)?;
        if command.org != roster.org() {
            return Err(CommandError::Target);
        }
        let nonce_shape = |digit: char| matches!(digit, '0'..='9' | 'a'..='f');
        if command.nonce.len() != 32 || !command.nonce.chars().all(nonce_shape) {
            return Err(CommandError::Nonce);
        }
        let needed = command.command.administrators_needed(roster);
        let life = if needed > 1 { SEVERAL_EXPIRES_AHEAD_MAX_MS } else { EXPIRES_AHEAD_MAX_MS };
        if command.expires_at <= now || command.expires_at > now.plus_ms(life) {
            return Err(CommandError::Expired);
        }
        Ok(Agreement { hash: crate::sha256(bytes), command, needed, people })
    }

    /// How many have signed; `Err` if these are too few.
    pub fn enough(&self) -> Result<u32, CommandError> {
        let (needed, found) = (self.needed, self.people.len() as u32);
        if found >= needed { Ok(found) } else { Err(CommandError::NotEnough { needed, found }) }
    }
}

fn administrator(keyid: &str, roster: &Roster, now: Timestamp) -> Option<DeviceId> {
    let device = keyid.parse().ok()?;
    roster.is_administrator(device, now).then_some(device)
}

impl CommandError {
    /// Whether enough administrators signed it, so that the answer may name its
    /// nonce. Of anything else nobody knows who wrote it.
    pub fn is_of_signed(&self) -> bool {
        matches!(self, CommandError::Replayed | CommandError::OtherState | CommandError::TooMany)
    }
}

/// What a site's state becomes by a command: the chain of those that made it,
/// and no digest of its content, at which anyone could guess passwords.
pub fn state_after(state: Hash, nonce: &str) -> Hash {
    crate::sha256(&[state.0.as_slice(), nonce.as_bytes()].concat())
}

impl SiteCommand {
    /// The site's state once this was carried out.
    pub fn state_after(&self) -> Hash {
        state_after(self.previous_state, &self.nonce)
    }

    pub fn sign(&self, device: DeviceId, key: &SigningKey) -> Envelope {
        envelope::sign(PayloadType::Command, to_canonical(self), &device, key)
    }
}

/// The nonce that an envelope claims; its signatures are not looked at.
pub fn claimed_nonce(envelope: &Envelope) -> Option<Nonce> {
    let bytes = envelope::payload(PayloadType::Command, envelope).ok()?;
    crate::from_canonical::<SiteCommand>(bytes).ok().map(|command| command.nonce)
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

/// The gateway's door for commands. Remembers nonces until they expire, so that
/// what could not be carried out is not tried again later. What was carried out
/// is refused by its state as well, which no clock that goes back undoes.
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
        let agreement = Agreement::of(envelope, roster, now)?;
        agreement.enough()?;
        let Agreement { command, .. } = agreement;
        if command.target != me {
            return Err(CommandError::Target);
        }
        self.seen.retain(|_, expires_at| *expires_at > now);
        if self.seen.contains_key(&command.nonce) {
            return Err(CommandError::Replayed);
        }
        let changes = command.command.changes_site();
        if changes && command.previous_state != state {
            return Err(CommandError::OtherState);
        }
        if self.seen.len() >= if changes { NONCES_MAX } else { TEST_NONCES_MAX } {
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
