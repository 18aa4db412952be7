//! Enrolment of a gateway (`docs/protocol.md` section 1): a secret of 128 bits,
//! known to the administrator's device and the gateway and never to the cloud,
//! authenticates both directions.

use model::Hash;
use model::wire::GatewayKeys;
use zeroize::Zeroizing;

use crate::{constant_time_eq, hkdf_sha256, hmac_sha256, to_canonical};

const CODE_PREFIX: &str = "LK1-";
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an enrolment code: it begins with {CODE_PREFIX} and has 128 letters and digits")]
pub struct CodeError;

#[derive(Clone)]
pub struct Secret(Zeroizing<[u8; 16]>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("enrolment::Secret(…)")
    }
}

impl Secret {
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Secret(Zeroizing::new(bytes))
    }

    /// For the set-up link of one box. Handle like the secret.
    pub fn expose(&self) -> &[u8; 16] {
        &self.0
    }

    /// By which the cloud finds the enrolment; says nothing about the secret.
    pub fn lookup(&self) -> Hash {
        Hash(hkdf_sha256(&[], &*self.0, &[b"lenskeep enrolment lookup v1"]))
    }

    fn mac_key(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(hkdf_sha256(&[], &*self.0, &[b"lenskeep enrolment mac v1"]))
    }

    /// Gateway to device: these are my keys.
    pub fn gateway_mac(&self, gateway: &GatewayKeys) -> Hash {
        hmac_sha256(&*self.mac_key(), &[b"gateway\0", &to_canonical(gateway)])
    }

    pub fn gateway_mac_fits(&self, gateway: &GatewayKeys, mac: Hash) -> bool {
        constant_time_eq(&self.gateway_mac(gateway).0, &mac.0)
    }

    /// Device to gateway: this is the roster, and this statement adds you.
    pub fn accept_mac(&self, anchor: Hash, add_gateway: Hash) -> Hash {
        hmac_sha256(&*self.mac_key(), &[b"accept\0", &anchor.0, &add_gateway.0])
    }

    pub fn accept_mac_fits(&self, anchor: Hash, add_gateway: Hash, mac: Hash) -> bool {
        constant_time_eq(&self.accept_mac(anchor, add_gateway).0, &mac.0)
    }
}

/// What a remote gateway is given: secret, the cloud's CA, the roster's anchor.
#[derive(Clone, Debug)]
pub struct Code {
    pub secret: Secret,
    pub ca: Hash,
    pub anchor: Hash,
}

impl Code {
    pub fn to_text(&self) -> Zeroizing<String> {
        let bytes = Zeroizing::new([self.secret.0.as_slice(), &self.ca.0, &self.anchor.0].concat());
        let mut text = Zeroizing::new(String::with_capacity(CODE_PREFIX.len() + 128));
        text.push_str(CODE_PREFIX);
        // 80 bytes are 16 groups of 5 bytes, each 8 digits: no padding.
        for group in bytes.chunks_exact(5) {
            let bits = group.iter().fold(0u64, |bits, &byte| bits << 8 | u64::from(byte));
            for digit in (0..8).rev() {
                text.push(char::from(ALPHABET[(bits >> (digit * 5) & 31) as usize]));
            }
        }
        text
    }

    /// Spaces and line breaks inside are fine: people copy codes.
    pub fn parse(text: &str) -> Result<Self, CodeError> {
        let compact: Zeroizing<String> =
            Zeroizing::new(text.chars().filter(|c| !c.is_whitespace()).take(256).collect());
        let digits = compact.strip_prefix(CODE_PREFIX).ok_or(CodeError)?;
        if digits.len() != 128 {
            return Err(CodeError);
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(80));
        for group in digits.as_bytes().chunks_exact(8) {
            let mut bits = 0u64;
            for digit in group {
                let value = ALPHABET.iter().position(|letter| letter == digit).ok_or(CodeError)?;
                bits = bits << 5 | value as u64;
            }
            bytes.extend_from_slice(&bits.to_be_bytes()[3..]);
        }
        let secret: [u8; 16] = bytes[..16].try_into().expect("80 bytes");
        Ok(Code {
            secret: Secret::from_bytes(secret),
            ca: Hash(bytes[16..48].try_into().expect("80 bytes")),
            anchor: Hash(bytes[48..].try_into().expect("80 bytes")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_reads_back_and_a_damaged_one_does_not() {
        let code = Code { secret: Secret::from_bytes([0x5a; 16]), ca: Hash([1; 32]), anchor: Hash([2; 32]) };
        let text = code.to_text();
        assert_eq!(text.len(), 4 + 128);
        let read = Code::parse(&format!(" {}\n{} ", &text[..60], &text[60..])).unwrap();
        assert_eq!(read.secret.lookup(), code.secret.lookup());
        assert_eq!((read.ca, read.anchor), (code.ca, code.anchor));
        assert_eq!(format!("{read:?}").matches("5a5a").count(), 0);
        for bad in ["", "LK1-", &text[..100], &text.replace("LK1", "LK2"), &text.replace('b', "1")] {
            assert!(Code::parse(bad).is_err());
        }
    }
}
