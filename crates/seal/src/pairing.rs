//! Adding a device by a link (`docs/protocol.md` section 1.1): what the link
//! carries proves whose keys the new device brings, and a short code that both
//! screens show proves it again, to people, if somebody else saw the link.

use model::Hash;
use zeroize::Zeroizing;

use crate::roster::Device;
use crate::{constant_time_eq, hkdf_sha256, hmac_sha256, sha256, to_canonical};

const CODES: u64 = 1_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the pairing part of a device's link: it has 96 hexadecimal digits")]
pub struct PairingError;

/// What an administrator's device keeps to itself until it has seen the new
/// device's keys. Whoever sees the link cannot choose keys that give the code
/// of somebody else's, since this is not in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nonce(pub Hash);

/// What the link carries. The cloud never sees it: it is in the fragment.
#[derive(Clone)]
pub struct Pairing {
    secret: Zeroizing<[u8; 16]>,
    commitment: Hash,
}

impl std::fmt::Debug for Pairing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pairing(…)")
    }
}

impl Pairing {
    pub fn new(secret: [u8; 16], nonce: Nonce) -> Self {
        Pairing { secret: Zeroizing::new(secret), commitment: nonce.commitment() }
    }

    pub fn to_text(&self) -> Zeroizing<String> {
        let secret = Zeroizing::new(format!("{:032x}", u128::from_be_bytes(*self.secret)));
        Zeroizing::new(format!("{}{}", secret.as_str(), self.commitment))
    }

    pub fn parse(text: &str) -> Result<Self, PairingError> {
        if text.len() != 96 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(PairingError);
        }
        let (secret, commitment) = text.split_at(32);
        let secret = u128::from_str_radix(secret, 16).map_err(|_| PairingError)?;
        let commitment = commitment.parse().map_err(|_| PairingError)?;
        Ok(Pairing { secret: Zeroizing::new(secret.to_be_bytes()), commitment })
    }

    /// By which the administrator's device finds the request; says nothing
    /// about the secret.
    pub fn lookup(&self) -> Hash {
        Hash(hkdf_sha256(&[], &*self.secret, &[b"lenskeep pairing lookup v1"]))
    }

    /// New device to administrator: these are my keys.
    pub fn mac(&self, anchor: Hash, device: &Device) -> Hash {
        let key = Zeroizing::new(hkdf_sha256(&[], &*self.secret, &[b"lenskeep pairing mac v1"]));
        hmac_sha256(&*key, &[b"device\0", &anchor.0, &to_canonical(device)])
    }

    pub fn mac_fits(&self, anchor: Hash, device: &Device, mac: Hash) -> bool {
        constant_time_eq(&self.mac(anchor, device).0, &mac.0)
    }

    /// Whether this is the nonce that the link's author held back.
    pub fn commits_to(&self, nonce: Nonce) -> bool {
        nonce.commitment() == self.commitment
    }
}

impl Nonce {
    fn commitment(self) -> Hash {
        sha256(&[b"lenskeep pairing commitment v1\0".as_slice(), &self.0.0].concat())
    }

    /// Six digits in two groups, which people compare.
    pub fn code(self, anchor: Hash, device: &Device) -> String {
        let Hash(digest) =
            hmac_sha256(&self.0.0, &[b"lenskeep pairing code v1\0", &anchor.0, &to_canonical(device)]);
        let number = u64::from_be_bytes(digest[..8].try_into().expect("8 bytes")) % CODES;
        format!("{:03} {:03}", number / 1000, number % 1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_reads_back_and_damaged_ones_do_not() {
        let nonce = Nonce(Hash([9; 32]));
        let pairing = Pairing::new([0x5a; 16], nonce);
        let text = pairing.to_text();
        let read = Pairing::parse(&text).unwrap();
        assert_eq!((read.lookup(), read.commitment), (pairing.lookup(), pairing.commitment));
        assert!(read.commits_to(nonce) && !read.commits_to(Nonce(Hash([8; 32]))));
        assert_eq!(format!("{read:?}").matches("5a5a").count(), 0);
        for bad in ["", &text[..94], &text.replace("5a", "5g"), &"é".repeat(48), &"+f".repeat(48)] {
            assert!(Pairing::parse(bad).is_err(), "{bad}");
        }
    }
    /// Somebody who saw the link proves keys of their own; what the two screens
    /// show is not the same, and no answer but the author's is taken.
    #[test]
    fn who_saw_the_link_is_given_away_by_the_code() {
        let nonce = Nonce(Hash([9; 32]));
        let (link, anchor) = (Pairing::new([0x5a; 16], nonce), Hash([1; 32]));
        let device = |seed: u8| {
            let keys = crate::keyring::DeviceKeys::from_seeds([seed; 32], [seed; 32]);
            Device {
                id: model::DeviceId::from_random([seed; 16]),
                person: model::PersonId::from_random([1; 16]),
                name: "Phone".to_owned(),
                kind: crate::roster::DeviceKind::Browser,
                kem: keys.kem.public().to_base64(),
                sign: keys.sign.verifying_key().to_base64(),
                until: model::Timestamp(1),
            }
        };
        let (phone, thief) = (device(2), device(3));
        let mac = link.mac(anchor, &phone);
        assert!(link.mac_fits(anchor, &phone, mac));
        assert!(!link.mac_fits(anchor, &thief, mac), "the server swaps the keys");
        assert!(!link.mac_fits(Hash([2; 32]), &phone, mac), "the server shows another organisation");
        assert!(link.mac_fits(anchor, &thief, link.mac(anchor, &thief)), "the link was seen");
        assert_ne!(nonce.code(anchor, &phone), nonce.code(anchor, &thief));
    }
}
