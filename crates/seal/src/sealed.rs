//! HPKE (RFC 9180, base mode): a message for one public key. Used for epoch
//! grants and for camera credentials on their way to a gateway.

use std::convert::Infallible;

use hpke::aead::AesGcm256;
use hpke::kdf::HkdfSha256;
use hpke::kem::XWing;
use hpke::rand_core::{TryCryptoRng, TryRng};
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable};
use model::Base64;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::keys::{KemPublic, KemSecret};

/// Random bytes that one sealing uses up.
pub type SealSeed = [u8; 64];

/// SEALED of section 3.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sealed {
    pub enc: Base64,
    pub ciphertext: Base64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the sealed message is not for this key, or was altered")]
pub struct OpenError;

/// `seed` must never serve twice.
pub fn seal(to: &KemPublic, info: &str, aad: &[u8], plaintext: &[u8], seed: SealSeed) -> Sealed {
    let mut rng = OneSeed(Some(Zeroizing::new(seed)));
    let (enc, mut context) = hpke::setup_sender_with_rng::<AesGcm256, HkdfSha256, XWing>(
        &OpModeS::Base,
        &to.hpke(),
        info.as_bytes(),
        &mut rng,
    )
    .expect("X-Wing encapsulates to every valid key");
    let ciphertext = context.seal(plaintext, aad).expect("the first message of a context");
    Sealed { enc: enc.to_bytes().to_vec().into(), ciphertext: ciphertext.into() }
}

pub fn open(
    key: &KemSecret,
    info: &str,
    aad: &[u8],
    sealed: &Sealed,
) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    let enc = <XWing as Kem>::EncappedKey::from_bytes(&sealed.enc.0).map_err(|_| OpenError)?;
    let mut context = hpke::setup_receiver::<AesGcm256, HkdfSha256, XWing>(
        &OpModeR::Base,
        &key.hpke(),
        &enc,
        info.as_bytes(),
    )
    .map_err(|_| OpenError)?;
    context.open(&sealed.ciphertext.0, aad).map(Zeroizing::new).map_err(|_| OpenError)
}

/// Hands out the caller's bytes once: X-Wing takes exactly 64 in one piece.
struct OneSeed(Option<Zeroizing<SealSeed>>);

impl TryRng for OneSeed {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        unreachable!("X-Wing asks for bytes")
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        unreachable!("X-Wing asks for bytes")
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        let seed = self.0.take().expect("one sealing, one encapsulation");
        out.copy_from_slice(&*seed);
        Ok(())
    }
}

impl TryCryptoRng for OneSeed {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_key_info_and_data_open() {
        let key = KemSecret::from_seed([1; 32]);
        let sealed = seal(&key.public(), "info", b"aad", b"message", [7; 64]);
        assert_eq!(open(&key, "info", b"aad", &sealed).unwrap().as_slice(), b"message");
        assert!(open(&KemSecret::from_seed([2; 32]), "info", b"aad", &sealed).is_err());
        assert!(open(&key, "other", b"aad", &sealed).is_err());
        assert!(open(&key, "info", b"other", &sealed).is_err());
        let mut altered = sealed.clone();
        altered.ciphertext.0[0] ^= 1;
        assert!(open(&key, "info", b"aad", &altered).is_err());
        altered = sealed;
        altered.enc.0.pop();
        assert!(open(&key, "info", b"aad", &altered).is_err());
    }
}
