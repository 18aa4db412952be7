//! Still pictures beside notices (section 9.1): sealed once, for all whom a
//! gateway tells of an event. Their secret travels inside the notices; the cloud
//! keeps what it can neither open nor alter, under an id that tells nothing.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use model::{Base64, CameraId, EventId, GatewayId, Hash, OrgId};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use crate::hkdf_sha256;

/// Of the picture.
pub const STILL_BYTES_MAX: usize = 256 << 10;
const TAG_BYTES: usize = 16;
pub const STILL_SEALED_BYTES_MAX: usize = STILL_BYTES_MAX + TAG_BYTES;

const LABEL: &str = "lenskeep still v1";
/// A secret seals one picture and nothing else.
const NONCE: [u8; 12] = [0; 12];

/// Where a picture lies, and what opens it.
#[derive(Clone, PartialEq, Eq)]
pub struct StillSecret(Zeroizing<[u8; 32]>);

/// What a picture is of. It opens as nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StillPlace {
    pub org: OrgId,
    pub gateway: GatewayId,
    pub camera: CameraId,
    pub event: EventId,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the picture is another event's, was altered, or is too long")]
pub struct StillError;

impl StillSecret {
    pub fn from_random(bytes: [u8; 32]) -> Self {
        StillSecret(Zeroizing::new(bytes))
    }

    /// Who knows it can fetch the picture, and not open it.
    pub fn id(&self) -> Hash {
        Hash(self.derived("id"))
    }

    /// Once: another picture needs another secret.
    pub fn seal(self, place: &StillPlace, picture: &[u8]) -> Result<Vec<u8>, StillError> {
        if picture.len() > STILL_BYTES_MAX {
            return Err(StillError);
        }
        let mut bytes = picture.to_vec();
        self.aead()
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(NONCE), place.associated(), &mut bytes)
            .map_err(|_| StillError)?;
        Ok(bytes)
    }

    pub fn open(&self, place: &StillPlace, sealed: &[u8]) -> Result<Vec<u8>, StillError> {
        if sealed.len() > STILL_SEALED_BYTES_MAX {
            return Err(StillError);
        }
        let mut bytes = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(NONCE);
        let opened = self.aead().open_in_place(nonce, place.associated(), &mut bytes);
        let length = opened.map_err(|_| StillError)?.len();
        bytes.truncate(length);
        Ok(bytes)
    }

    fn aead(&self) -> LessSafeKey {
        let key = Zeroizing::new(self.derived("key"));
        LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &*key).expect("a key of 32 bytes"))
    }

    fn derived(&self, what: &str) -> [u8; 32] {
        hkdf_sha256(&[], &*self.0, &[LABEL.as_bytes(), b" ", what.as_bytes()])
    }
}

impl StillPlace {
    fn associated(&self) -> Aad<Vec<u8>> {
        let StillPlace { org, gateway, camera, event } = self;
        Aad::from(format!("{LABEL}|{org}|{gateway}|{camera}|{event}").into_bytes())
    }
}

impl std::fmt::Debug for StillSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StillSecret(…)")
    }
}

impl Serialize for StillSecret {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Base64::from(*self.0).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for StillSecret {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut bytes = Base64::deserialize(deserializer)?.0;
        let secret = <[u8; 32]>::try_from(bytes.as_slice());
        bytes.zeroize();
        secret.map(StillSecret::from_random).map_err(|_| serde::de::Error::custom("a secret has 32 bytes"))
    }
}
