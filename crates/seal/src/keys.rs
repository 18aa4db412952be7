//! Signing and key-encapsulation keys. Secret halves do not print, do not
//! serialise, and are wiped when dropped; both are made from 32 bytes that the
//! caller draws.

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, ParsedPublicKey};
use hpke::kem::XWing;
use hpke::{Deserializable, Kem, Serializable};
use model::Base64;
use zeroize::Zeroizing;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("not an Ed25519 public key")]
    Verifying,
    #[error("not an X-Wing public key")]
    Kem,
}

/// Ed25519 (RFC 8032).
pub struct SigningKey {
    pair: Ed25519KeyPair,
    seed: Zeroizing<[u8; 32]>,
}

impl SigningKey {
    pub fn from_seed(seed: [u8; 32]) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).expect("a seed has 32 bytes");
        SigningKey { pair, seed: Zeroizing::new(seed) }
    }

    /// For keeping the key; handle like the key.
    pub fn seed(&self) -> &[u8; 32] {
        &self.seed
    }

    pub fn verifying_key(&self) -> VerifyingKey {
        VerifyingKey(self.pair.public_key().as_ref().try_into().expect("Ed25519 keys have 32 bytes"))
    }

    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.pair.sign(message).as_ref().try_into().expect("Ed25519 signatures have 64 bytes")
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey(…)")
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifyingKey([u8; 32]);

impl VerifyingKey {
    pub const BYTES: usize = 32;

    /// Takes what is no point of the curve too, and then verifies nothing: for
    /// readers that must agree with those who cannot tell.
    pub(crate) fn unproven(bytes: &[u8]) -> Result<Self, KeyError> {
        bytes.try_into().map(VerifyingKey).map_err(|_| KeyError::Verifying)
    }

    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        let key: [u8; 32] = bytes.try_into().map_err(|_| KeyError::Verifying)?;
        ParsedPublicKey::new(&ED25519, key).map_err(|_| KeyError::Verifying)?;
        Ok(VerifyingKey(key))
    }

    pub fn to_base64(self) -> Base64 {
        self.0.into()
    }

    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        ParsedPublicKey::new(&ED25519, self.0).is_ok_and(|key| key.verify_sig(message, signature).is_ok())
    }
}

/// X-Wing: ML-KEM-768 and X25519 together (HPKE KEM 0x647a).
#[derive(Clone)]
pub struct KemSecret(Zeroizing<[u8; 32]>);

impl KemSecret {
    pub fn from_seed(seed: [u8; 32]) -> Self {
        KemSecret(Zeroizing::new(seed))
    }

    pub fn seed(&self) -> &[u8; 32] {
        &self.0
    }

    pub fn public(&self) -> KemPublic {
        KemPublic(XWing::sk_to_pk(&self.hpke()).to_bytes().to_vec())
    }

    pub(crate) fn hpke(&self) -> <XWing as Kem>::PrivateKey {
        <XWing as Kem>::PrivateKey::from_bytes(&*self.0).expect("an X-Wing key is its 32-byte seed")
    }
}

impl std::fmt::Debug for KemSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KemSecret(…)")
    }
}

#[derive(Clone, PartialEq, Eq)]
pub struct KemPublic(Vec<u8>);

impl KemPublic {
    pub const BYTES: usize = 1_216;

    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        <XWing as Kem>::PublicKey::from_bytes(bytes).map_err(|_| KeyError::Kem)?;
        Ok(KemPublic(bytes.to_vec()))
    }

    pub fn to_base64(&self) -> Base64 {
        Base64(self.0.clone())
    }

    pub(crate) fn hpke(&self) -> <XWing as Kem>::PublicKey {
        <XWing as Kem>::PublicKey::from_bytes(&self.0).expect("from_bytes checked it")
    }
}

impl std::fmt::Debug for KemPublic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KemPublic({})", crate::sha256(&self.0))
    }
}
