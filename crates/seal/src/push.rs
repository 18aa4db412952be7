//! Messages to a browser by way of a push service: encryption (RFC 8291, in the
//! encoding of RFC 8188) to the key that the browser made, so that the service
//! carries what it cannot read.

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{self, ECDH_P256, PrivateKey, UnparsedPublicKey};
use zeroize::Zeroizing;

use crate::hkdf_sha256;

/// Longest message: every push service takes 4 096 bytes with the head and the
/// tag (RFC 8291 section 4).
pub const MESSAGE_BYTES_MAX: usize = 4_096 - HEAD_BYTES - 1 - TAG_BYTES;

/// An uncompressed point of P-256.
const PUBLIC_BYTES: usize = 65;
const AUTH_BYTES: usize = 16;
const SALT_BYTES: usize = 16;
const TAG_BYTES: usize = 16;
const HEAD_BYTES: usize = SALT_BYTES + 4 + 1 + PUBLIC_BYTES;
const RECORD_BYTES: u32 = 4_096;
/// The delimiter of a last record.
const LAST: u8 = 2;

/// What a browser said of itself when it subscribed.
#[derive(Clone)]
pub struct Recipient {
    public: [u8; PUBLIC_BYTES],
    auth: Zeroizing<[u8; AUTH_BYTES]>,
}

impl std::fmt::Debug for Recipient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Recipient(…)")
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PushError {
    #[error("`p256dh` is no point of P-256 (65 bytes, uncompressed)")]
    Public,
    #[error("`auth` has 16 bytes")]
    Auth,
    #[error("a message has at most {MESSAGE_BYTES_MAX} bytes")]
    TooLong,
}

impl Recipient {
    pub fn new(public: &[u8], auth: &[u8]) -> Result<Self, PushError> {
        let public: [u8; PUBLIC_BYTES] = public.try_into().map_err(|_| PushError::Public)?;
        let auth = auth.try_into().map_err(|_| PushError::Auth)?;
        let recipient = Recipient { public, auth: Zeroizing::new(auth) };
        // Whether it lies on the curve only an agreement tells.
        let probe = PrivateKey::from_private_key(&ECDH_P256, &[1; 32]).map_err(|_| PushError::Public)?;
        recipient.agree(&probe)?;
        Ok(recipient)
    }

    /// The body of a request to the push service. `random` fills with random bytes.
    pub fn encrypt(&self, message: &[u8], random: &mut dyn FnMut(&mut [u8])) -> Result<Vec<u8>, PushError> {
        let mut salt = [0; SALT_BYTES];
        random(&mut salt);
        let private = loop {
            let mut scalar = Zeroizing::new([0; 32]);
            random(&mut *scalar);
            // One in four thousand million is no scalar of the curve.
            if let Ok(private) = PrivateKey::from_private_key(&ECDH_P256, &*scalar) {
                break private;
            }
        };
        self.encrypt_with(message, &private, salt)
    }

    fn encrypt_with(
        &self,
        message: &[u8],
        private: &PrivateKey,
        salt: [u8; SALT_BYTES],
    ) -> Result<Vec<u8>, PushError> {
        if message.len() > MESSAGE_BYTES_MAX {
            return Err(PushError::TooLong);
        }
        let own = private.compute_public_key().map_err(|_| PushError::Public)?;
        let shared = self.agree(private)?;
        let info: [&[u8]; 3] = [b"WebPush: info\0", &self.public, own.as_ref()];
        let ikm = Zeroizing::new(hkdf_sha256(&*self.auth, &*shared, &info));
        // Both are shorter than the 32 bytes that there are.
        let key = Zeroizing::new(hkdf_sha256(&salt, &*ikm, &[b"Content-Encoding: aes128gcm\0"]));
        let nonce = hkdf_sha256(&salt, &*ikm, &[b"Content-Encoding: nonce\0"]);
        let nonce = Nonce::try_assume_unique_for_key(&nonce[..12]).expect("12 bytes");
        let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key[..16]).expect("16 bytes"));
        let mut sealed = [message, &[LAST]].concat();
        key.seal_in_place_append_tag(nonce, Aad::empty(), &mut sealed)
            .expect("a message is below AES-GCM's bound");
        let mut body = Vec::with_capacity(HEAD_BYTES + sealed.len());
        body.extend_from_slice(&salt);
        body.extend_from_slice(&RECORD_BYTES.to_be_bytes());
        body.push(PUBLIC_BYTES as u8);
        body.extend_from_slice(own.as_ref());
        body.extend_from_slice(&sealed);
        Ok(body)
    }

    fn agree(&self, private: &PrivateKey) -> Result<Zeroizing<[u8; 32]>, PushError> {
        let public = UnparsedPublicKey::new(&ECDH_P256, self.public);
        agreement::agree(private, public, PushError::Public, |shared| {
            shared.try_into().map(Zeroizing::new).map_err(|_| PushError::Public)
        })
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;

    use super::*;

    fn bytes(text: &str) -> Vec<u8> {
        BASE64_URL_SAFE_NO_PAD.decode(text).unwrap()
    }

    fn recipient() -> Recipient {
        let public =
            "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4";
        Recipient::new(&bytes(public), &bytes("BTBZMqHH6r4Tts7J_aSIgg")).unwrap()
    }

    /// RFC 8291, appendix A.
    #[test]
    fn the_example_of_the_standard() {
        let private = bytes("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw");
        let private = PrivateKey::from_private_key(&ECDH_P256, &private).unwrap();
        let salt = bytes("DGv6ra1nlYgDCS1FRnbzlw").try_into().unwrap();
        let message = b"When I grow up, I want to be a watermelon";
        let body = recipient().encrypt_with(message, &private, salt).unwrap();
        let expected = "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN";
        assert_eq!(BASE64_URL_SAFE_NO_PAD.encode(body), expected);
    }

    #[test]
    fn keys_that_are_none_and_long_messages_are_refused() {
        let off_the_curve = [[4].as_slice(), &[7; 64]].concat();
        assert_eq!(Recipient::new(&off_the_curve, &[0; 16]).unwrap_err(), PushError::Public);
        assert_eq!(Recipient::new(&[4; 64], &[0; 16]).unwrap_err(), PushError::Public);
        let public = recipient().public;
        assert_eq!(Recipient::new(&public, &[0; 15]).unwrap_err(), PushError::Auth);
        let mut random = |bytes: &mut [u8]| bytes.fill(9);
        let longest = recipient().encrypt(&[b'x'; MESSAGE_BYTES_MAX], &mut random).unwrap();
        assert_eq!(longest.len(), 4_096);
        assert!(recipient().encrypt(&[b'x'; MESSAGE_BYTES_MAX + 1], &mut random).is_err());
    }
}
