//! Epoch keys and the grants that carry them to devices (section 4): the
//! gateway's, and those by which an administrator's device hands on what it can
//! open of the past.

use std::collections::BTreeMap;

use model::wire::Envelope;
use model::{Base64, CameraId, DeviceId, EpochId, GatewayId, Hash, OrgId, Timestamp};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::envelope::{self, EnvelopeError, PayloadType};
use crate::keys::{KemPublic, KemSecret, SigningKey, VerifyingKey};
use crate::sealed::{self, SealSeed, Sealed};
use crate::{CanonicalError, sha256, to_canonical};

const INFO: &str = "lenskeep epoch grant v1";
const PAST_INFO: &str = "lenskeep past grant v1";
/// Most cameras in one grant: what fits into an envelope's payload.
pub const CAMERAS_MAX: usize = 500;

/// The key of one camera's video or audio during one epoch.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct EpochKey([u8; 32]);

impl EpochKey {
    pub fn from_random(bytes: [u8; 32]) -> Self {
        EpochKey(bytes)
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// AES-GCM does not commit to its key; this does.
    pub fn commitment(&self) -> Hash {
        sha256(&[b"lenskeep key commitment v1\0".as_slice(), &self.0].concat())
    }
}

impl std::fmt::Debug for EpochKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EpochKey(…)")
    }
}

/// Both keys of a camera. A device may lack the one for audio.
#[derive(Clone, Debug)]
pub struct CameraKeys {
    pub video: EpochKey,
    pub audio: Option<EpochKey>,
}

/// The signed part that everybody can read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpochGrant {
    pub org: OrgId,
    pub gateway: GatewayId,
    pub epoch: EpochId,
    pub device: DeviceId,
    pub roster_head: Hash,
    pub created_at: Timestamp,
    pub cameras: Vec<Commitments>,
    pub enc: Base64,
    pub ciphertext: Base64,
}

/// Keys of an epoch that is over, for a device that was not granted them then.
/// What they open carries the gateway's commitment to them, so nobody's
/// signature is needed to believe them; the author's says who handed them on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PastGrant {
    pub org: OrgId,
    pub gateway: GatewayId,
    pub epoch: EpochId,
    pub device: DeviceId,
    /// The administrator's device that had the keys.
    pub by: DeviceId,
    pub roster_head: Hash,
    pub created_at: Timestamp,
    pub cameras: Vec<Commitments>,
    pub enc: Base64,
    pub ciphertext: Base64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Commitments {
    pub camera: CameraId,
    pub video: Hash,
    pub audio: Hash,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Plaintext {
    cameras: Vec<PlainKeys>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PlainKeys {
    camera: CameraId,
    video: Base64,
    audio: Option<Base64>,
}

impl Drop for PlainKeys {
    fn drop(&mut self) {
        self.video.0.zeroize();
        if let Some(audio) = &mut self.audio {
            audio.0.zeroize();
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum GrantError {
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    #[error("epoch grant: {0}")]
    Payload(#[from] CanonicalError),
    #[error("the grant is not for this device")]
    NotForUs,
    #[error("the grant does not open, or holds something else than it says")]
    Sealed,
    #[error("the key of {0} is not the one that the grant commits to")]
    Commitment(CameraId),
}

/// What one grant is about; the keys come beside it.
#[derive(Clone, Copy, Debug)]
pub struct GrantContext {
    pub org: OrgId,
    pub gateway: GatewayId,
    pub epoch: EpochId,
    pub roster_head: Hash,
    pub created_at: Timestamp,
}

/// Makes the grant for one device. `keys` holds what the device may open; a
/// commitment to audio stands there even if its key is withheld.
pub fn make(
    context: GrantContext,
    (device, kem): (DeviceId, &KemPublic),
    keys: &BTreeMap<CameraId, (CameraKeys, Hash)>,
    signer: &SigningKey,
    seed: SealSeed,
) -> Envelope {
    let GrantContext { org, gateway, epoch, roster_head, created_at } = context;
    let aad = associated(org, gateway, epoch, device);
    let (cameras, Sealed { enc, ciphertext }) = seal_keys(keys, kem, INFO, &aad, seed);
    let grant = EpochGrant { org, gateway, epoch, device, roster_head, created_at, cameras, enc, ciphertext };
    envelope::sign(PayloadType::EpochGrant, to_canonical(&grant), &gateway, signer)
}

/// Makes the grant by which `by` hands on keys that it was granted.
pub fn hand_on(
    context: GrantContext,
    (device, kem): (DeviceId, &KemPublic),
    keys: &BTreeMap<CameraId, (CameraKeys, Hash)>,
    (by, signer): (DeviceId, &SigningKey),
    seed: SealSeed,
) -> Envelope {
    let GrantContext { org, gateway, epoch, roster_head, created_at } = context;
    let aad = associated_past(org, gateway, epoch, device, by);
    let (cameras, Sealed { enc, ciphertext }) = seal_keys(keys, kem, PAST_INFO, &aad, seed);
    let grant =
        PastGrant { org, gateway, epoch, device, by, roster_head, created_at, cameras, enc, ciphertext };
    envelope::sign(PayloadType::PastGrant, to_canonical(&grant), &by, signer)
}

fn seal_keys(
    keys: &BTreeMap<CameraId, (CameraKeys, Hash)>,
    kem: &KemPublic,
    info: &str,
    aad: &[u8],
    seed: SealSeed,
) -> (Vec<Commitments>, Sealed) {
    let mut plaintext = Plaintext { cameras: Vec::new() };
    let mut cameras = Vec::new();
    for (&camera, (keys, audio_commitment)) in keys {
        plaintext.cameras.push(PlainKeys {
            camera,
            video: (*keys.video.bytes()).into(),
            audio: keys.audio.as_ref().map(|key| (*key.bytes()).into()),
        });
        cameras.push(Commitments { camera, video: keys.video.commitment(), audio: *audio_commitment });
    }
    let plain = Zeroizing::new(to_canonical(&plaintext));
    (cameras, sealed::seal(kem, info, aad, &plain, seed))
}

fn open_keys(
    cameras: &[Commitments],
    sealed: &Sealed,
    key: &KemSecret,
    info: &str,
    aad: &[u8],
) -> Result<BTreeMap<CameraId, CameraKeys>, GrantError> {
    let bytes = sealed::open(key, info, aad, sealed).map_err(|_| GrantError::Sealed)?;
    let plaintext: Plaintext = crate::from_canonical(&bytes).map_err(|_| GrantError::Sealed)?;
    if plaintext.cameras.len() != cameras.len() {
        return Err(GrantError::Sealed);
    }
    let mut keys = BTreeMap::new();
    for (plain, commitments) in plaintext.cameras.iter().zip(cameras) {
        let camera = commitments.camera;
        let video = epoch_key(&plain.video)?;
        let audio = plain.audio.as_ref().map(epoch_key).transpose()?;
        let audio_fits = audio.as_ref().is_none_or(|key| key.commitment() == commitments.audio);
        if plain.camera != camera || video.commitment() != commitments.video || !audio_fits {
            return Err(GrantError::Commitment(camera));
        }
        keys.insert(camera, CameraKeys { video, audio });
    }
    Ok(keys)
}

impl EpochGrant {
    /// What the envelope claims; believe it after [`EpochGrant::verify`].
    pub fn claimed(envelope: &Envelope) -> Result<Self, GrantError> {
        Ok(crate::from_canonical(envelope::payload(PayloadType::EpochGrant, envelope)?)?)
    }

    /// Checks the gateway's signature; the key comes from the roster.
    pub fn verify(envelope: &Envelope, gateway: GatewayId, key: VerifyingKey) -> Result<Self, GrantError> {
        let bytes = envelope::verify(PayloadType::EpochGrant, envelope, &gateway, key)?;
        let grant: EpochGrant = crate::from_canonical(bytes)?;
        if grant.gateway != gateway {
            return Err(GrantError::NotForUs);
        }
        Ok(grant)
    }

    /// Opens a verified grant on the device that it is for.
    pub fn open(
        &self,
        device: DeviceId,
        key: &KemSecret,
    ) -> Result<BTreeMap<CameraId, CameraKeys>, GrantError> {
        if self.device != device {
            return Err(GrantError::NotForUs);
        }
        let aad = associated(self.org, self.gateway, self.epoch, device);
        let sealed = Sealed { enc: self.enc.clone(), ciphertext: self.ciphertext.clone() };
        open_keys(&self.cameras, &sealed, key, INFO, &aad)
    }
}

impl PastGrant {
    /// What the envelope says; its keys are believed by what they open.
    pub fn claimed(envelope: &Envelope) -> Result<Self, GrantError> {
        Ok(crate::from_canonical(envelope::payload(PayloadType::PastGrant, envelope)?)?)
    }

    /// Checks the author's signature; the key comes from the roster.
    pub fn verify(envelope: &Envelope, by: DeviceId, key: VerifyingKey) -> Result<Self, GrantError> {
        let bytes = envelope::verify(PayloadType::PastGrant, envelope, &by, key)?;
        let grant: PastGrant = crate::from_canonical(bytes)?;
        if grant.by != by {
            return Err(GrantError::NotForUs);
        }
        Ok(grant)
    }

    /// Opens the grant on the device that it is for.
    pub fn open(
        &self,
        device: DeviceId,
        key: &KemSecret,
    ) -> Result<BTreeMap<CameraId, CameraKeys>, GrantError> {
        if self.device != device {
            return Err(GrantError::NotForUs);
        }
        let aad = associated_past(self.org, self.gateway, self.epoch, device, self.by);
        let sealed = Sealed { enc: self.enc.clone(), ciphertext: self.ciphertext.clone() };
        open_keys(&self.cameras, &sealed, key, PAST_INFO, &aad)
    }
}

fn epoch_key(bytes: &Base64) -> Result<EpochKey, GrantError> {
    bytes.0.as_slice().try_into().map(EpochKey).map_err(|_| GrantError::Sealed)
}

fn associated(org: OrgId, gateway: GatewayId, epoch: EpochId, device: DeviceId) -> Vec<u8> {
    format!("{org}|{gateway}|{epoch}|{device}").into_bytes()
}

fn associated_past(
    org: OrgId,
    gateway: GatewayId,
    epoch: EpochId,
    device: DeviceId,
    by: DeviceId,
) -> Vec<u8> {
    format!("{org}|{gateway}|{epoch}|{device}|{by}").into_bytes()
}

/// Object name in the container for grants.
pub fn object_name(org: OrgId, gateway: GatewayId, epoch: EpochId, device: DeviceId) -> String {
    format!("{org}/{gateway}/{epoch}/{device}.json")
}
