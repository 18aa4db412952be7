//! Hashes of passwords that vendors deliver: tried with a short list, and no more work
//! than a bound for each input, and one for all of them.
//!
//! DES, bcrypt and yescrypt are not computed: nobody keeps a library of the first, and
//! the others are made to cost more than a sweep may spend. One hash of DES that stands
//! in very many cameras is known as it is.

use std::collections::HashMap;

use md5::Md5;
use sha_crypt::{Params, sha256_crypt, sha512_crypt};
use sha1::Sha1;
use sha2::{Digest, Sha256};

use crate::decode::base64;
use crate::finding::Digest32;

/// For all hashes of one input: some ten of SHA-512 with the usual rounds.
const ROUNDS_INPUT_MAX: u64 = 4_000_000;
/// For all inputs of a sweep: some seconds.
const ROUNDS_MAX: u64 = 4 * ROUNDS_INPUT_MAX;
/// What asks for more is not tried.
const ROUNDS_EACH_MAX: u32 = 10_000;
/// Of an MD5-crypt.
const MD5_ROUNDS: u32 = 1000;

/// What cameras, recorders and what is built alike come with. Up to `tech` those that
/// Mirai tried (`mirai/bot/scanner.c`, public since 2016); then further accounts of root
/// in cameras, from `scanner.c` of its forks and from those who opened such cameras
/// (Grain Media, VStarcam, JCO, Wyze, Bytech); then those in the manuals of Samsung, FLIR,
/// Panasonic and Hikvision.
const PASSWORDS: &str = "\
    xc3511 vizxv admin 888888 xmhdipc default juantech 123456 54321 support password root 12345 user \
    pass admin1234 1111 smcadmin 666666 1234 klv123 service supervisor guest ubnt klv1234 Zte521 \
    hi3518 jvbzd anko zlxx. 7ujMko0vizxv 7ujMko0admin system ikwb dreambox realtek 00000000 1111111 \
    meinsm tech GM8182 cat1029 hslwificam IPCam@sw ipc71a ipcam_rt5350 hkipc2016 hikvision 20150602 \
    JCO66688 ismart12 jvc camera dvr user123 4321 fliradmin admin12345 hik12345";

/// DES of `xc3511`, the root of cameras by Xiongmai.
const KNOWN: [&[u8]; 1] = [b"absxcfbgXtb3o"];

/// Tries hashes of the inputs of one sweep: each once, and within a bound for all.
#[derive(Debug)]
pub struct Defaults {
    left: u64,
    /// For the input that is read now.
    left_of_input: u64,
    tried: HashMap<Digest32, bool>,
    /// That some were not tried.
    told: bool,
}

impl Default for Defaults {
    fn default() -> Defaults {
        Defaults { left: ROUNDS_MAX, left_of_input: ROUNDS_INPUT_MAX, tried: HashMap::new(), told: false }
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Tried {
    Default,
    /// Not of the list, or of a kind that is not computed.
    Other,
    /// No more may be tried.
    Spent,
}

impl Defaults {
    /// Rounds that inputs took which a journal knows ([`crate::Totals::rounds`]).
    pub fn spent(&mut self, rounds: u64) {
        self.left = self.left.saturating_sub(rounds);
    }

    pub(crate) fn begin(&mut self) {
        self.left_of_input = ROUNDS_INPUT_MAX;
    }

    /// Rounds that the input took.
    pub(crate) fn rounds(&self) -> u64 {
        ROUNDS_INPUT_MAX - self.left_of_input
    }

    /// Whether it is to be told that some were not tried: once.
    pub(crate) fn tell(&mut self) -> bool {
        !std::mem::replace(&mut self.told, true)
    }

    /// Whether a hash is of a password that everybody knows; `name` is the hash's own.
    pub(crate) fn try_all(&mut self, name: Digest32, hash: &[u8]) -> Tried {
        if let Some(is_default) = self.tried.get(&name) {
            return if *is_default { Tried::Default } else { Tried::Other };
        }
        let Some(kind) = Kind::of(hash) else {
            return if KNOWN.contains(&hash) { Tried::Default } else { Tried::Other };
        };
        let cost = u64::from(kind.rounds()) * PASSWORDS.split(' ').count() as u64;
        if cost > self.left.min(self.left_of_input) {
            return Tried::Spent;
        }
        self.left -= cost;
        self.left_of_input -= cost;
        let is_default = PASSWORDS.split(' ').any(|password| kind.opens(password.as_bytes()));
        self.tried.insert(name, is_default);
        if is_default { Tried::Default } else { Tried::Other }
    }
}

type DigestOf = fn(&[u8]) -> Vec<u8>;

/// A hash of a kind that is computed.
enum Kind<'a> {
    /// With its mark, `$1$` or `$apr1$`.
    Md5 {
        mark: &'a [u8],
        salt: &'a [u8],
        hash: &'a [u8],
    },
    Sha256 {
        params: Params,
        rounds: u32,
        salt: &'a [u8],
        hash: &'a [u8],
    },
    Sha512 {
        params: Params,
        rounds: u32,
        salt: &'a [u8],
        hash: &'a [u8],
    },
    /// LDAP's: a digest of the password and the salt behind it.
    Digest {
        of: fn(&[u8]) -> Vec<u8>,
        digest: Vec<u8>,
        salt: Vec<u8>,
    },
}

impl<'a> Kind<'a> {
    fn of(text: &'a [u8]) -> Option<Kind<'a>> {
        if text.starts_with(b"{") {
            return Kind::of_ldap(text);
        }
        let fields: Vec<&[u8]> = text.split(|byte| *byte == b'$').collect();
        match fields[..] {
            [b"", b"1", salt, hash] if salt.len() <= 8 => Some(Kind::Md5 { mark: b"$1$", salt, hash }),
            [b"", b"apr1", salt, hash] if salt.len() <= 8 => Some(Kind::Md5 { mark: b"$apr1$", salt, hash }),
            [b"", kind @ (b"5" | b"6"), salt, hash] => Kind::of_sha(kind, 5000, salt, hash),
            [b"", kind @ (b"5" | b"6"), rounds, salt, hash] => {
                let rounds = std::str::from_utf8(rounds.strip_prefix(b"rounds=")?).ok()?.parse().ok()?;
                Kind::of_sha(kind, rounds, salt, hash)
            }
            _ => None,
        }
    }

    fn of_sha(kind: &[u8], rounds: u32, salt: &'a [u8], hash: &'a [u8]) -> Option<Kind<'a>> {
        let params = Params::new(rounds).ok().filter(|_| rounds <= ROUNDS_EACH_MAX)?;
        Some(match kind {
            b"5" => Kind::Sha256 { params, rounds, salt, hash },
            _ => Kind::Sha512 { params, rounds, salt, hash },
        })
    }

    fn of_ldap(text: &[u8]) -> Option<Kind<'a>> {
        let (mark, text) = text.split_at(text.iter().position(|byte| *byte == b'}')? + 1);
        let (of, bytes): (DigestOf, usize) = match mark {
            b"{MD5}" | b"{SMD5}" => (|text| Md5::digest(text).to_vec(), 16),
            b"{SHA}" | b"{SSHA}" => (|text| Sha1::digest(text).to_vec(), 20),
            b"{SHA256}" | b"{SSHA256}" => (|text| Sha256::digest(text).to_vec(), 32),
            _ => return None,
        };
        let mut digest = base64(text)?;
        let salt = digest.split_off(bytes.min(digest.len()));
        Some(Kind::Digest { of, digest, salt })
    }

    fn rounds(&self) -> u32 {
        match self {
            Kind::Md5 { .. } => MD5_ROUNDS,
            Kind::Sha256 { rounds, .. } | Kind::Sha512 { rounds, .. } => *rounds,
            Kind::Digest { .. } => 1,
        }
    }

    fn opens(&self, password: &[u8]) -> bool {
        match self {
            Kind::Md5 { mark, salt, hash } => *hash == md5_crypt(mark, salt, password),
            Kind::Sha256 { params, salt, hash, .. } => {
                let digest = sha256_crypt(password, salt, *params);
                let mut groups: Vec<[u8; 3]> =
                    (0..10).map(|k| turned([k, k + 10, k + 20], (3 - k % 3) % 3, &digest)).collect();
                groups.push([0, digest[31], digest[30]]);
                *hash == crypt_base64(&groups, 43)
            }
            Kind::Sha512 { params, salt, hash, .. } => {
                let digest = sha512_crypt(password, salt, *params);
                let mut groups: Vec<[u8; 3]> =
                    (0..21).map(|k| turned([k, k + 21, k + 42], k % 3, &digest)).collect();
                groups.push([0, 0, digest[63]]);
                *hash == crypt_base64(&groups, 86)
            }
            Kind::Digest { of, digest, salt } => of(&[password, salt].concat()) == *digest,
        }
    }
}

/// The order in which the bytes of a digest are written: each group is turned further.
fn turned(mut places: [usize; 3], by: usize, digest: &[u8]) -> [u8; 3] {
    places.rotate_left(by);
    places.map(|place| digest[place])
}

/// Groups of 24 bits, the lowest six first, in the alphabet of crypt(3).
fn crypt_base64(groups: &[[u8; 3]], chars: usize) -> Vec<u8> {
    const LETTERS: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let word = |[a, b, c]: &[u8; 3]| u32::from(*a) << 16 | u32::from(*b) << 8 | u32::from(*c);
    let letters = groups.iter().map(word).flat_map(|word| (0..4).map(move |six| word >> (6 * six) & 63));
    letters.take(chars).map(|six| LETTERS[six as usize]).collect()
}

/// Poul-Henning Kamp's crypt of 1994, as FreeBSD's `crypt-md5.c` and Apache's
/// `apr_md5.c` have it.
fn md5_crypt(mark: &[u8], salt: &[u8], password: &[u8]) -> Vec<u8> {
    let inner = Md5::digest([password, salt, password].concat());
    let mut text = [password, mark, salt].concat();
    text.extend(inner.iter().cycle().take(password.len()));
    let mut bits = password.len();
    while bits > 0 {
        text.push(if bits & 1 == 1 { 0 } else { password[0] });
        bits >>= 1;
    }
    let mut digest = Md5::digest(&text);
    for round in 0..MD5_ROUNDS {
        let (first, last) = match round % 2 {
            1 => (password, &digest[..]),
            _ => (&digest[..], password),
        };
        let mut hash = Md5::new();
        hash.update(first);
        hash.update(if round % 3 == 0 { &[] } else { salt });
        hash.update(if round % 7 == 0 { &[] } else { password });
        hash.update(last);
        digest = hash.finalize();
    }
    let mut groups: Vec<[u8; 3]> =
        (0..5).map(|k| [digest[k], digest[k + 6], digest[if k == 4 { 5 } else { k + 12 }]]).collect();
    groups.push([0, 0, digest[11]]);
    crypt_base64(&groups, 22)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tried(hash: &str) -> Tried {
        Defaults::default().try_all([0; 32], hash.as_bytes())
    }

    /// As `openssl passwd` and crypt(3) of glibc write them.
    #[test]
    fn hashes_of_defaults_are_known_whatever_their_salt() {
        for hash in [
            "$1$abcdefgh$/ehdsgh6T85pypwniuldr1",
            "$apr1$abcdefgh$2dFsxY98J9MenKm8PdLtN/",
            "$5$saltstring$/OheOv2JKnNvG2iOpLfoc.pfEOX1yQgQ1UflrT0cubB",
            "$6$saltstring$sIi0EXY3T6D1w0qETOVPk1yLQtSAq50lenn0esECBK6vtR0hLf8xxyudAcCAUX9S0DSVUmnHf9CYm2cIB1gWQ1",
            "$6$rounds=1500$abc$tEb1ALhwSlBbB2M4B887rpyyDOgptPPTScX8tR1VoD.JsHbsCUnnmOoqvX3.edtekNNMCOaDcTKYAvxrcnP72/",
            // Of cameras by Xiongmai.
            "$1$RYIwEiRA$d5iRRVQ5ZeRTrJwGjRy.B0",
            "absxcfbgXtb3o",
            "{SHA}tecByS63TeTWDNwG80nkzwCdrWU=",
        ] {
            assert_eq!(tried(hash), Tried::Default, "{hash}");
        }
    }

    #[test]
    fn other_hashes_are_of_no_default() {
        for hash in [
            "$1$abcdefgh$/ehdsgh6T85pypwniuldr2",
            "$1$abcdefgi$/ehdsgh6T85pypwniuldr1",
            "$apr1$abcdefgh$/ehdsgh6T85pypwniuldr1",
            "absxcfbgXtb3p",
            "$2y$10$abcdefghijklmnopqrstuuBrzmqrstuvwxyzABCDEFGHIJKLMNOPQ",
            "$6$$",
            "$1$$",
            "$5$rounds=x$a$b",
            "{SHA}",
            "{SHA}AA==",
            "{SSHA}!",
            "",
        ] {
            assert_eq!(tried(hash), Tried::Other, "{hash}");
        }
    }

    /// The attack: hashes that cost an hour each, and very many of them.
    #[test]
    fn work_ends() {
        let dear = "$6$rounds=900000$abc$aTRutDOVJk0DUG5l2Pe9pPzMik3ME99dn6EFzat/.6C5W/7aHOOEP6F2ivP49HzcoXuIsD4melgntSD/Ixl7P.";
        assert_eq!(tried(dear), Tried::Other, "it is of `vizxv`, and costs too much");
        let mut defaults = Defaults::default();
        let mut number = 0_u8;
        let each = 5000 * PASSWORDS.split(' ').count() as u64;
        let mut tried = |defaults: &mut Defaults| {
            let before = number;
            while defaults.try_all([number; 32], b"$5$salt$x") != Tried::Spent {
                number += 1;
            }
            u64::from(number - before)
        };
        assert_eq!(tried(&mut defaults), ROUNDS_INPUT_MAX / each);
        assert_eq!(defaults.try_all([1; 32], b"$5$salt$x"), Tried::Other, "what was tried is known");
        assert!(defaults.tell() && !defaults.tell());
        // The next input may try some, and knows what the one before tried; ten thousand may not.
        defaults.begin();
        assert_eq!((defaults.try_all([1; 32], b"$5$salt$x"), defaults.rounds()), (Tried::Other, 0));
        assert_eq!(
            (tried(&mut defaults), defaults.rounds()),
            (ROUNDS_INPUT_MAX / each, ROUNDS_INPUT_MAX / each * each)
        );
        defaults.spent(ROUNDS_MAX - 2 * ROUNDS_INPUT_MAX);
        defaults.begin();
        assert!(tried(&mut defaults) < 2);
        defaults.begin();
        assert_eq!(tried(&mut defaults), 0);
    }
}
