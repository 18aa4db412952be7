//! Small secrets of a server at rest, such as the seeds of one-time codes:
//! AES-256-GCM under a key that lies beside the database and not in it. Each
//! one opens only where it was put: the place is bound in.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

const LABEL: &[u8] = b"lenskeep vault v1";

pub struct VaultKey(LessSafeKey);

impl std::fmt::Debug for VaultKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("VaultKey")
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a sealed secret does not open: it was altered or moved, or the vault's key is another one")]
pub struct VaultError;

impl VaultKey {
    pub fn new(key: [u8; 32]) -> Self {
        VaultKey(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key).expect("AES-256 keys have 32 bytes")))
    }

    /// `nonce | ciphertext | tag`. The nonce is random; a server seals far
    /// fewer than the 2^32 secrets that random nonces are good for (NIST SP
    /// 800-38D section 8.3).
    pub fn seal(&self, place: &str, secret: &[u8], nonce: [u8; NONCE_LEN]) -> Vec<u8> {
        let mut sealed = secret.to_vec();
        let aad = aad(place);
        self.0
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(aad), &mut sealed)
            .expect("secrets are below AES-GCM's bound");
        [nonce.as_slice(), &sealed].concat()
    }

    pub fn open(&self, place: &str, sealed: &[u8]) -> Result<Vec<u8>, VaultError> {
        let (nonce, ciphertext) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(VaultError)?;
        let mut buffer = ciphertext.to_vec();
        let aad = aad(place);
        let secret = self
            .0
            .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(aad), &mut buffer)
            .map_err(|_| VaultError)?;
        Ok(secret.to_vec())
    }
}

fn aad(place: &str) -> Vec<u8> {
    [LABEL, &[0], place.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_opens_in_its_place_under_its_key_and_whole() {
        let key = VaultKey::new([1; 32]);
        let sealed = key.seal("totp usr_1", b"seed", [2; 12]);
        assert_eq!(key.open("totp usr_1", &sealed).unwrap(), b"seed");
        assert_eq!(key.open("totp usr_2", &sealed), Err(VaultError), "moved to somebody else");
        assert_eq!(VaultKey::new([3; 32]).open("totp usr_1", &sealed), Err(VaultError));
        assert_eq!(key.open("totp usr_1", &sealed[..8]), Err(VaultError));
        for at in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[at] ^= 1;
            assert_eq!(key.open("totp usr_1", &altered), Err(VaultError), "byte {at}");
        }
    }
}
