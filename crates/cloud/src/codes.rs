//! Codes that people type: six digits of their authenticator (TOTP, RFC 6238:
//! SHA-1, 30 s, one step of skew), and recovery codes from paper. Whether a
//! code was used before, the database knows.

use model::{Hash, Timestamp};
use totp_rs::{Algorithm, Builder, Totp};

use crate::random;

/// RFC 4226 section 4 recommends 160 bits.
pub(crate) const SEED_BYTES: usize = 20;
const STEP_SECONDS: u64 = 30;
/// Steps before and after the present one whose code counts too.
const SKEW: u16 = 1;
const DIGITS: u8 = 6;
const ISSUER: &str = "Lenskeep";

/// Codes that are made at once.
pub(crate) const RECOVERY_CODES: usize = 10;
/// 24 letters of base32 are 120 bits: enough for a fast hash (ASVS 5.0, 6.5.2).
const RECOVERY_LETTERS: usize = 24;
/// Codes that were made with 80 bits go on until new ones are made.
const OLD_RECOVERY_LETTERS: usize = 16;
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
const RECOVERY_LABEL: &[u8] = b"lenskeep recovery code v1";

fn totp(seed: &[u8], account: &str) -> Option<Totp> {
    Builder::new()
        .with_algorithm(Algorithm::SHA1)
        .with_digits(DIGITS)
        .with_skew(SKEW)
        .with_step_duration(STEP_SECONDS)
        .with_secret(seed.to_vec())
        .with_issuer(Some(ISSUER))
        .with_account_name(account)
        .build()
        .ok()
}

/// The step whose code this is, if it is one that counts now.
pub(crate) fn step_of(seed: &[u8], code: &str, now: Timestamp) -> Option<u64> {
    let digits: String = code.chars().filter(|c| !c.is_whitespace()).take(DIGITS as usize + 1).collect();
    if digits.len() != usize::from(DIGITS) || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    totp(seed, "")?.check(&digits, now.0 / Timestamp::SECOND)
}

/// The seed as people type it, and the link that apps read.
pub(crate) fn enrolment(seed: &[u8], account: &str) -> Option<(String, String)> {
    // The link's format has no way to say a colon.
    let totp = totp(seed, &account.replace(':', "."))?;
    Some((base32(seed), totp.to_url().ok()?))
}

fn base32(bytes: &[u8]) -> String {
    let mut text = String::new();
    let (mut bits, mut held) = (0_u32, 0);
    for byte in bytes {
        bits = bits << 8 | u32::from(*byte);
        held += 8;
        while held >= 5 {
            held -= 5;
            text.push(char::from(ALPHABET[(bits >> held & 31) as usize]).to_ascii_uppercase());
        }
    }
    if held > 0 {
        text.push(char::from(ALPHABET[(bits << (5 - held) & 31) as usize]).to_ascii_uppercase());
    }
    text
}

/// A fresh recovery code, as it is shown once: `abcd-efgh-ijkl-mnop-qrst-uvwx`.
pub(crate) fn recovery_code() -> String {
    let letters: [u8; RECOVERY_LETTERS] = random::bytes();
    let letters: Vec<u8> = letters.iter().map(|byte| ALPHABET[usize::from(byte & 31)]).collect();
    let groups: Vec<&str> =
        letters.chunks(4).map(|group| std::str::from_utf8(group).expect("the alphabet is ASCII")).collect();
    groups.join("-")
}

/// How a recovery code is stored, whatever spaces and dashes were typed.
pub(crate) fn recovery_hash(typed: &str) -> Option<Hash> {
    let letters: String =
        typed.chars().filter(|c| !c.is_whitespace() && *c != '-').take(RECOVERY_LETTERS + 1).collect();
    let letters = letters.to_ascii_lowercase();
    let long = [RECOVERY_LETTERS, OLD_RECOVERY_LETTERS].contains(&letters.len());
    let good = long && letters.bytes().all(|letter| ALPHABET.contains(&letter));
    good.then(|| seal::sha256(&[RECOVERY_LABEL, letters.as_bytes()].concat()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: &[u8] = b"12345678901234567890";

    fn at(seconds: u64) -> Timestamp {
        Timestamp(seconds * Timestamp::SECOND)
    }

    #[test]
    fn codes_are_those_of_rfc_6238() {
        // Appendix B, SHA-1, the last six of eight digits.
        for (time, code) in [(59, "287082"), (1_111_111_109, "081804"), (20_000_000_000, "353130")] {
            assert_eq!(step_of(SEED, code, at(time)), Some(time / 30), "{code}");
        }
        assert_eq!(step_of(SEED, " 287 082 ", at(59)), Some(1));
    }

    #[test]
    fn one_step_of_skew_and_no_more() {
        assert_eq!(step_of(SEED, "287082", at(89)), Some(1));
        assert_eq!(step_of(SEED, "287082", at(29)), Some(1));
        assert_eq!(step_of(SEED, "287082", at(90)), None);
        for bad in ["", "28708", "2870820", "28708a", "２８７０８２"] {
            assert_eq!(step_of(SEED, bad, at(59)), None, "{bad}");
        }
    }

    #[test]
    fn the_link_names_issuer_and_account() {
        let (secret, link) = enrolment(SEED, "ada@example.org").unwrap();
        assert_eq!(secret, "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        assert!(link.starts_with("otpauth://totp/Lenskeep:ada"), "{link}");
        assert!(link.contains(&secret) && link.contains("issuer=Lenskeep"), "{link}");
        assert!(enrolment(SEED, "a:b").is_some());
    }

    #[test]
    fn recovery_codes_are_read_as_people_type_them() {
        let code = recovery_code();
        assert_eq!(code.len(), 29, "{code}");
        let hash = recovery_hash(&code).unwrap();
        assert_eq!(recovery_hash(&format!("  {} ", code.to_uppercase().replace('-', " "))), Some(hash));
        assert_ne!(recovery_hash(&recovery_code()), Some(hash));
        assert!(recovery_hash("abcd-efgh-ijkl-mnop").is_some());
        for bad in ["", "abcd", "abcd-efgh-ijkl-mno1", &format!("{code}a"), &code[..24]] {
            assert_eq!(recovery_hash(bad), None, "{bad}");
        }
    }
}
