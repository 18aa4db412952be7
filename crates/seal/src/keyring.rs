//! Keys at rest: the device keys of the command line, wrapped under a
//! passphrase (Argon2id, then AES-256-GCM). The browser does the same with the
//! passkey's PRF output in place of the passphrase.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use model::Base64;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::keys::{KemSecret, SigningKey};

/// Argon2id at OWASP's first recommendation, times three: 64 MiB, 3 passes.
const MEMORY_KIB: u32 = 64 << 10;
const PASSES: u32 = 3;
const LABEL: &[u8] = b"lenskeep device keys v1";

/// The two secrets of a device.
#[derive(Debug)]
pub struct DeviceKeys {
    pub kem: KemSecret,
    pub sign: SigningKey,
}

impl DeviceKeys {
    pub fn from_seeds(kem: [u8; 32], sign: [u8; 32]) -> Self {
        DeviceKeys { kem: KemSecret::from_seed(kem), sign: SigningKey::from_seed(sign) }
    }

    /// From the entropy of a recovery sheet (24 words are 32 bytes).
    pub fn from_recovery(entropy: &[u8; 32]) -> Self {
        let seed = |label: &[u8]| crate::hkdf_sha256(&[], entropy, &[label]);
        Self::from_seeds(seed(b"lenskeep recovery kem v1"), seed(b"lenskeep recovery sign v1"))
    }
}

/// Wrapped keys as they stand in a file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wrapped {
    pub salt: Base64,
    pub ciphertext: Base64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the passphrase does not open the device keys")]
pub struct UnwrapError;

/// The key is derived anew from every salt, so the nonce may be fixed.
pub fn wrap(keys: &DeviceKeys, passphrase: &str, salt: [u8; 32]) -> Wrapped {
    let mut plaintext = [keys.kem.seed().as_slice(), keys.sign.seed()].concat();
    wrapping_key(passphrase, &salt)
        .seal_in_place_append_tag(Nonce::assume_unique_for_key([0; 12]), Aad::from(LABEL), &mut plaintext)
        .expect("64 bytes are below AES-GCM's bound");
    Wrapped { salt: salt.into(), ciphertext: plaintext.into() }
}

pub fn unwrap(wrapped: &Wrapped, passphrase: &str) -> Result<DeviceKeys, UnwrapError> {
    let mut buffer = Zeroizing::new(wrapped.ciphertext.0.clone());
    let plaintext = wrapping_key(passphrase, &wrapped.salt.0)
        .open_in_place(Nonce::assume_unique_for_key([0; 12]), Aad::from(LABEL), &mut buffer)
        .map_err(|_| UnwrapError)?;
    let (kem, sign) = plaintext.split_at_checked(32).ok_or(UnwrapError)?;
    let seed = |bytes: &[u8]| bytes.try_into().map_err(|_| UnwrapError);
    Ok(DeviceKeys::from_seeds(seed(kem)?, seed(sign)?))
}

fn wrapping_key(passphrase: &str, salt: &[u8]) -> LessSafeKey {
    let params = argon2::Params::new(MEMORY_KIB, PASSES, 1, Some(32)).expect("within Argon2's bounds");
    let argon2 = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
    let mut key = Zeroizing::new([0; 32]);
    // A salt that is too short fails here; the zero key then opens nothing of ours.
    let _ = argon2.hash_password_into(passphrase.as_bytes(), salt, &mut *key);
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &*key).expect("AES-256 keys have 32 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_passphrase_opens() {
        let keys = DeviceKeys::from_seeds([1; 32], [2; 32]);
        let wrapped = wrap(&keys, "correct horse", [3; 32]);
        assert_eq!(unwrap(&wrapped, "correct horse").unwrap().sign.seed(), &[2; 32]);
        assert_eq!(unwrap(&wrapped, "wrong horse").unwrap_err(), UnwrapError);
        let mut short = wrapped;
        short.salt.0.truncate(2);
        assert!(unwrap(&short, "correct horse").is_err());
    }
}
