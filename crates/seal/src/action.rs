//! Signed actions (section 6): what a person orders the cloud to do, where a
//! session alone must not be enough. The signature covers the exact action,
//! once, for a while, on top of the state that the author saw; the history
//! keeps it, so that nobody can say later that the cloud invented it.

use std::collections::BTreeSet;

use model::wire::Envelope;
use model::{CameraId, DeviceId, Hash, OrgId, PersonId, ServiceId, ShareId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::envelope::{self, EnvelopeError, PayloadType};
use crate::keys::{SigningKey, VerifyingKey};
use crate::role::{ASSIGNMENTS_MAX, Roles};
use crate::roster::{Roster, Scope};
use crate::{CanonicalError, to_canonical};

/// An action's longest life: long enough for other administrators to agree.
pub const EXPIRES_AHEAD_MAX_MS: u64 = 72 * Timestamp::HOUR;
/// A year, and a day for clocks and calendars.
pub const SERVICE_LIFE_MAX_MS: u64 = 366 * Timestamp::DAY;
/// Of a share: a month.
pub const SHARE_LIFE_MS_MAX: u64 = 31 * Timestamp::DAY;
/// Of the footage in a share.
pub const SHARE_STRETCH_MS_MAX: u64 = Timestamp::DAY;
/// Cameras in a share.
pub const SHARE_CAMERAS_MAX: usize = 16;
/// How often a share can be opened, where that is limited.
pub const SHARE_OPENINGS_MAX: u32 = 1_000;
const SERVICE_NAME_CHARS_MAX: usize = 200;
/// Longest reason that a person states, in characters.
pub const REASON_CHARS_MAX: usize = 500;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedAction {
    pub org: OrgId,
    /// 32 random bytes.
    pub nonce: Hash,
    pub expires_at: Timestamp,
    /// What the author saw; each action says of what.
    pub previous_state: Hash,
    pub action: Action,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Action {
    /// Taking footage out. `previous_state` is the roster's head.
    Export { camera: CameraId, from: Timestamp, to: Timestamp, reason: Option<String> },
    /// An account for a program, which may do these things, about these
    /// cameras, until then. `token` is the SHA-256 of its token, which the
    /// author made. `previous_state` is the roster's head.
    CreateServiceAccount {
        account: ServiceId,
        token: Hash,
        name: String,
        permissions: BTreeSet<ServicePermission>,
        scope: Scope,
        until: Timestamp,
    },
    /// Handing on to a device the keys of epochs since then, which are over and
    /// which it was not granted. `previous_state` is the roster's head.
    OpenPast { device: DeviceId, from: Timestamp },
    /// All roles of a person, in place of those before. `previous_state` is
    /// [`roles_state`] of those.
    AssignRoles { person: PersonId, roles: Roles },
    /// Forgetting who somebody was, whose devices have left the roster.
    /// `previous_state` is the roster's head.
    ErasePerson { person: PersonId },
    /// Putting footage into a capsule (section 10) that whoever has its link opens
    /// until then, and so many times if that is limited. `access` is the SHA-256 of
    /// what the link's holder shows. `previous_state` is the roster's head.
    Share {
        share: ShareId,
        cameras: BTreeSet<CameraId>,
        from: Timestamp,
        to: Timestamp,
        access: Hash,
        until: Timestamp,
        openings: Option<u32>,
        reason: Option<String>,
    },
    /// The set of policies with this digest. `previous_state` is the digest of
    /// the set in force.
    SetPolicy { digest: Hash },
}

/// What [`Action::AssignRoles`] follows.
pub fn roles_state(person: PersonId, roles: &Roles) -> Hash {
    crate::sha256(&to_canonical(&(person, roles)))
}

/// All that a program's account can be allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServicePermission {
    ListCameras,
    ListGateways,
    ListRecordings,
    /// To say who is there and in which groups (SCIM).
    ProvisionPeople,
    ReadHistory,
}

/// An action, and who signed it as the roster knows them.
#[derive(Clone, Debug)]
pub struct Verified {
    pub hash: Hash,
    pub signed: SignedAction,
    pub devices: BTreeSet<DeviceId>,
}

#[derive(Debug, thiserror::Error)]
pub enum ActionError {
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    #[error("action: {0}")]
    Payload(#[from] CanonicalError),
    #[error("the action is for another organisation")]
    OtherOrganisation,
    #[error("the action has expired, or lives longer than 72 hours")]
    Expired,
    #[error("the signature of {0} is not of a device in force")]
    Device(String),
    #[error("a stretch of time ends after it begins")]
    Stretch,
    #[error("a reason has 1 to {REASON_CHARS_MAX} printable characters")]
    Reason,
    #[error("a person has at most {ASSIGNMENTS_MAX} roles")]
    Roles,
    #[error(
        "a share has 1 to {SHARE_CAMERAS_MAX} cameras and at most a day of them, ends within 31 days, and can be \
         opened 1 to {SHARE_OPENINGS_MAX} times where that is limited"
    )]
    Share,
    #[error(
        "a program's account has a name of 1 to 200 printable characters, may do something, and ends within a year"
    )]
    ServiceAccount,
}

impl SignedAction {
    pub fn sign(&self, device: DeviceId, key: &SigningKey) -> Envelope {
        envelope::sign(PayloadType::Action, to_canonical(self), &device, key)
    }

    /// Every signature must be of a device in force; whether they are enough,
    /// and whether the state is the present one, the caller knows.
    pub fn verify(envelope: &Envelope, roster: &Roster, now: Timestamp) -> Result<Verified, ActionError> {
        let bytes = envelope::payload(PayloadType::Action, envelope)?;
        let key_of = |keyid: &str| {
            let device = roster.device_in_force(keyid.parse().ok()?, now)?;
            VerifyingKey::from_bytes(&device.sign.0).ok()
        };
        let good = envelope::signers(PayloadType::Action, envelope, key_of)?;
        if let Some(stranger) = envelope.signatures.iter().find(|s| !good.contains(&s.keyid.as_str())) {
            return Err(ActionError::Device(stranger.keyid.chars().take(100).collect()));
        }
        let devices = good.iter().filter_map(|keyid| keyid.parse().ok()).collect();
        let signed: SignedAction = crate::from_canonical(bytes)?;
        if signed.org != roster.org() {
            return Err(ActionError::OtherOrganisation);
        }
        if signed.expires_at <= now || signed.expires_at > now.plus_ms(EXPIRES_AHEAD_MAX_MS) {
            return Err(ActionError::Expired);
        }
        signed.action.check(now)?;
        Ok(Verified { hash: crate::sha256(bytes), signed, devices })
    }
}

impl Action {
    fn check(&self, now: Timestamp) -> Result<(), ActionError> {
        match self {
            Action::CreateServiceAccount { name, permissions, until, .. } => {
                let named = (1..=SERVICE_NAME_CHARS_MAX).contains(&name.chars().count())
                    && !name.trim().is_empty()
                    && !name.chars().any(char::is_control);
                let ends = *until > now && *until <= now.plus_ms(SERVICE_LIFE_MAX_MS);
                if named && ends && !permissions.is_empty() {
                    Ok(())
                } else {
                    Err(ActionError::ServiceAccount)
                }
            }
            Action::AssignRoles { roles, .. } if roles.len() > ASSIGNMENTS_MAX => Err(ActionError::Roles),
            Action::AssignRoles { .. }
            | Action::ErasePerson { .. }
            | Action::OpenPast { .. }
            | Action::SetPolicy { .. } => Ok(()),
            Action::Export { from, to, reason, .. } => {
                if from >= to {
                    return Err(ActionError::Stretch);
                }
                if reason.as_deref().is_none_or(is_reason) { Ok(()) } else { Err(ActionError::Reason) }
            }
            Action::Share { cameras, from, to, until, openings, reason, .. } => {
                if from >= to {
                    return Err(ActionError::Stretch);
                }
                if !reason.as_deref().is_none_or(is_reason) {
                    return Err(ActionError::Reason);
                }
                let bounded = (1..=SHARE_CAMERAS_MAX).contains(&cameras.len())
                    && to.ms_since(*from) <= SHARE_STRETCH_MS_MAX
                    && *until > now
                    && *until <= now.plus_ms(SHARE_LIFE_MS_MAX)
                    && openings.is_none_or(|openings| (1..=SHARE_OPENINGS_MAX).contains(&openings));
                if bounded { Ok(()) } else { Err(ActionError::Share) }
            }
        }
    }
}

/// Whether a text can be a stated reason.
pub fn is_reason(text: &str) -> bool {
    (1..=REASON_CHARS_MAX).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

impl Verified {
    /// How many different administrators signed: somebody with two devices
    /// agrees once.
    pub fn administrators(&self, roster: &Roster, now: Timestamp) -> BTreeSet<PersonId> {
        let administrators = self.devices.iter().filter(|device| roster.is_administrator(**device, now));
        administrators.filter_map(|device| roster.device(*device)).map(|device| device.person).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The web app's test has the same figure.
    #[test]
    fn the_state_of_roles_is_of_their_canonical_form() {
        let person: PersonId = "usr_11111111111111111111111111111111".parse().unwrap();
        let texts = [
            "operator group:b",
            "viewer camera:cam_22222222222222222222222222222222",
            "operator all",
            "viewer group:a",
        ];
        let roles: Roles = texts.iter().map(|text| text.parse().unwrap()).collect();
        let expected = "711098e3d9efba1693b48253d81ef35c660063d7e4c1b6a3196a9fa807e1ea31";
        assert_eq!(roles_state(person, &roles).to_string(), expected);
    }
}
