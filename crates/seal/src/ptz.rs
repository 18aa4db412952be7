//! PTZ (section 11): what a device orders a camera to do while somebody watches
//! it, and what the gateway says of the camera. The cloud carries both and can
//! make neither. An order is for one session, which the gateway opened, for one
//! place in it, and for a moment: what was held back on the way moves nothing.

use model::wire::Envelope;
use model::{CameraId, DeviceId, GatewayId, Hash, OrgId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::envelope::{self, EnvelopeError, PayloadType};
use crate::keys::{SigningKey, VerifyingKey};
use crate::roster::Roster;
use crate::{CanonicalError, from_canonical, to_canonical};

/// A session ends after so long without an order.
pub const SESSION_MS_MAX: u64 = 10 * Timestamp::MINUTE;
/// An order may be so much older than the session says, on its way and in the
/// camera's queue; what is older is refused.
pub const LATE_MS_MAX: u64 = 3 * Timestamp::SECOND;
/// A movement that is not ordered again stops by itself after so long.
pub const MOVE_MS_MAX: u64 = Timestamp::SECOND;
/// Full speed, of each axis.
pub const SPEED_MAX: i16 = 1_000;
/// Presets of a camera that are listed.
pub const PRESETS_MAX: usize = 256;
/// Of a preset's name, in characters.
pub const PRESET_NAME_CHARS_MAX: usize = 64;
/// Of the camera's word for it, in bytes.
pub const PRESET_TOKEN_BYTES_MAX: usize = 64;

/// What the gateway opened, and what the camera can do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PtzSession {
    pub org: OrgId,
    pub gateway: GatewayId,
    pub camera: CameraId,
    /// What the device asked with: no older answer fits.
    pub challenge: Hash,
    /// Drawn by the gateway, 32 bytes.
    pub session: Hash,
    pub pan_tilt: bool,
    pub zoom: bool,
    /// It has a home position.
    pub home: bool,
    pub presets: Vec<Preset>,
}

/// A position that the camera remembers. Both are the camera's words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preset {
    pub token: String,
    pub name: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PtzOrder {
    pub org: OrgId,
    pub gateway: GatewayId,
    pub camera: CameraId,
    pub session: Hash,
    /// Greater than that of every order before it in the session.
    pub number: u64,
    /// Since the device was told of the session, by a clock that is never set.
    pub elapsed_ms: u64,
    pub movement: Movement,
}

/// Speeds are thousandths of the camera's own, to the right, up and nearer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Movement {
    /// Until the next order, at most [`MOVE_MS_MAX`].
    Move {
        pan: i16,
        tilt: i16,
        zoom: i16,
    },
    Stop,
    Home,
    GoTo {
        preset: String,
    },
    /// Remembers where the camera looks now.
    SavePreset {
        name: String,
    },
    RemovePreset {
        preset: String,
    },
}

#[derive(Debug, thiserror::Error)]
pub enum PtzError {
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    #[error("PTZ: {0}")]
    Payload(#[from] CanonicalError),
    #[error("it is for another organisation, gateway, camera or request")]
    Target,
    #[error("one device in force signs it")]
    Signer,
    #[error("speeds are from -{SPEED_MAX} to {SPEED_MAX}")]
    Speed,
    #[error(
        "a preset has a name of 1 to {PRESET_NAME_CHARS_MAX} printable characters and a token of 1 to \
         {PRESET_TOKEN_BYTES_MAX} bytes"
    )]
    Preset,
    #[error("a camera has at most {PRESETS_MAX} presets here")]
    Presets,
}

impl Movement {
    /// Whether it changes what the camera remembers, and so what everybody finds.
    pub fn changes_presets(&self) -> bool {
        matches!(self, Movement::SavePreset { .. } | Movement::RemovePreset { .. })
    }

    fn check(&self) -> Result<(), PtzError> {
        let is_speed = |speed: i16| (-SPEED_MAX..=SPEED_MAX).contains(&speed);
        match self {
            Movement::Move { pan, tilt, zoom } if ![*pan, *tilt, *zoom].into_iter().all(is_speed) => {
                Err(PtzError::Speed)
            }
            Movement::GoTo { preset } | Movement::RemovePreset { preset } if !is_token(preset) => {
                Err(PtzError::Preset)
            }
            Movement::SavePreset { name } if !is_name(name) => Err(PtzError::Preset),
            _ => Ok(()),
        }
    }
}

/// Whether a preset can have this name.
pub fn is_name(name: &str) -> bool {
    (1..=PRESET_NAME_CHARS_MAX).contains(&name.chars().count())
        && !name.trim().is_empty()
        && !name.chars().any(char::is_control)
}

/// Whether a camera can call a preset so.
pub fn is_token(token: &str) -> bool {
    (1..=PRESET_TOKEN_BYTES_MAX).contains(&token.len()) && !token.chars().any(char::is_control)
}

impl PtzSession {
    pub fn sign(&self, key: &SigningKey) -> Envelope {
        envelope::sign(PayloadType::PtzSession, to_canonical(self), &self.gateway, key)
    }

    /// The answer of this gateway to this challenge.
    pub fn verify(
        envelope: &Envelope,
        (gateway, key): (GatewayId, VerifyingKey),
        camera: CameraId,
        challenge: Hash,
    ) -> Result<Self, PtzError> {
        let bytes = envelope::verify(PayloadType::PtzSession, envelope, &gateway, key)?;
        let session: PtzSession = from_canonical(bytes)?;
        if (session.gateway, session.camera, session.challenge) != (gateway, camera, challenge) {
            return Err(PtzError::Target);
        }
        if session.presets.len() > PRESETS_MAX {
            return Err(PtzError::Presets);
        }
        if session.presets.iter().any(|preset| !is_token(&preset.token) || !is_name(&preset.name)) {
            return Err(PtzError::Preset);
        }
        Ok(session)
    }
}

impl PtzOrder {
    pub fn sign(&self, device: DeviceId, key: &SigningKey) -> Envelope {
        envelope::sign(PayloadType::PtzOrder, to_canonical(self), &device, key)
    }

    /// The order, and whose device signed it. Whether the device's person may
    /// open the camera, and whether its session takes it, the caller sees to.
    pub fn verify(
        envelope: &Envelope,
        roster: &Roster,
        now: Timestamp,
    ) -> Result<(Self, DeviceId), PtzError> {
        let bytes = envelope::payload(PayloadType::PtzOrder, envelope)?;
        let [signature] = envelope.signatures.as_slice() else { return Err(PtzError::Signer) };
        let device = signature.keyid.parse().map_err(|_| PtzError::Signer)?;
        let known = roster.device_in_force(device, now).ok_or(PtzError::Signer)?;
        let key = VerifyingKey::from_bytes(&known.sign.0).map_err(|_| PtzError::Signer)?;
        envelope::verify(PayloadType::PtzOrder, envelope, &device, key)?;
        let order: PtzOrder = from_canonical(bytes)?;
        if order.org != roster.org() {
            return Err(PtzError::Target);
        }
        order.movement.check()?;
        Ok((order, device))
    }
}
