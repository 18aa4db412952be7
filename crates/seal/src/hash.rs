//! SHA-256, HMAC and HKDF under our own names.

use aws_lc_rs::{constant_time, digest, hkdf, hmac};
use model::Hash;

pub fn sha256(bytes: &[u8]) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update(bytes);
    hasher.finish()
}

/// SHA-256 over bytes that arrive in pieces.
#[derive(Clone)]
pub struct Sha256(digest::Context);

impl Sha256 {
    pub fn new() -> Self {
        Sha256(digest::Context::new(&digest::SHA256))
    }

    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub fn finish(self) -> Hash {
        let digest = self.0.finish();
        Hash(digest.as_ref().try_into().expect("SHA-256 has 32 bytes"))
    }
}

impl Default for Sha256 {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sha256")
    }
}

pub fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> Hash {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    for part in parts {
        context.update(part);
    }
    Hash(context.sign().as_ref().try_into().expect("HMAC-SHA-256 has 32 bytes"))
}

/// RFC 5869 with 32 bytes of output.
pub fn hkdf_sha256(salt: &[u8], ikm: &[u8], info: &[&[u8]]) -> [u8; 32] {
    let mut out = [0; 32];
    hkdf::Salt::new(hkdf::HKDF_SHA256, salt)
        .extract(ikm)
        .expand(info, hkdf::HKDF_SHA256)
        .and_then(|okm| okm.fill(&mut out))
        .expect("32 bytes are within HKDF-SHA-256's 8 160");
    out
}

/// HKDF of RFC 5869 for many outputs of 32 bytes from one secret: extracted once,
/// and the hash of the key is kept begun.
pub(crate) struct Expander(hmac::Key);

impl Expander {
    pub(crate) fn new(salt: &[u8], ikm: &[u8]) -> Self {
        let extracted = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, salt), ikm);
        Expander(hmac::Key::new(hmac::HMAC_SHA256, extracted.as_ref()))
    }

    /// RFC 5869 section 2.3: 32 bytes are T(1).
    pub(crate) fn expand(&self, info: &[&[u8]]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.0);
        info.iter().for_each(|part| context.update(part));
        context.update(&[1]);
        context.sign().as_ref().try_into().expect("HMAC-SHA-256 has 32 bytes")
    }
}

pub fn constant_time_eq(a: &[u8], b: &[u8]) -> bool {
    constant_time::verify_slices_are_equal(a, b).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hkdf_gives_the_first_case_of_rfc_5869() {
        let okm = hkdf_sha256(
            &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12],
            &[0x0b; 22],
            &[&[0xf0, 0xf1, 0xf2, 0xf3, 0xf4], &[0xf5, 0xf6, 0xf7, 0xf8, 0xf9]],
        );
        assert_eq!(Hash(okm).to_string(), "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf");
    }

    #[test]
    fn what_is_extracted_once_expands_to_the_same() {
        for salt in [&b""[..], b"salt", &[7; 100]] {
            let expander = Expander::new(salt, b"secret");
            for info in [&[&b"one"[..], b"two"][..], &[&b"another"[..]], &[]] {
                assert_eq!(expander.expand(info), hkdf_sha256(salt, b"secret", info));
            }
        }
    }
}
