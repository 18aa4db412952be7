//! Private keys: PEM, OpenSSH, PKCS#1, PKCS#8, SEC 1 and PKCS#12, as far as lengths and
//! tags tell them from bytes that only look so. No key is used for anything.

use memchr::memmem;

use super::Verdict;
use crate::decode::base64;
use crate::finding::Severity;

/// Of a key, in bytes: RSA with 16 384 bits has under 10 000.
const KEY_BYTES_MAX: usize = 64 << 10;

/// A tag and its content, and what follows it (X.690, 8.1).
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (len, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        // At most four bytes of length; the indefinite form (0x80) is not DER.
        0x81..=0x84 => {
            let digits = rest.get(..usize::from(first - 0x80))?;
            let len = digits.iter().fold(0_usize, |len, digit| len << 8 | usize::from(*digit));
            (len, &rest[digits.len()..])
        }
        _ => return None,
    };
    Some((tag, rest.get(..len)?, &rest[len..]))
}

/// Of what begins here, with its tag and length, if all of it is there.
pub(crate) fn len(bytes: &[u8]) -> Option<usize> {
    element(bytes).map(|(_, _, rest)| bytes.len() - rest.len())
}

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const OCTETS: u8 = 0x04;
const OID: u8 = 0x06;

/// Whether a private key, or a PKCS#12 file, begins here and lies here as a whole.
pub(super) fn key(bytes: &[u8]) -> bool {
    let Some((SEQUENCE, body, _)) = element(bytes) else { return false };
    let Some((INTEGER, version, rest)) = element(body) else { return is_encrypted(body) };
    let Some((tag, second, rest)) = element(rest) else { return false };
    match (version, tag) {
        // PKCS#8 (RFC 5958): algorithm, then the key in octets.
        ([0 | 1], SEQUENCE) => {
            matches!(element(second), Some((OID, ..)))
                && matches!(element(rest), Some((OCTETS, key @ [_, ..], _)) if is_drawn(key))
        }
        // PKCS#1 (RFC 8017, A.1.2): eight integers after the version.
        ([0 | 1], INTEGER) => second.len() >= 32 && integers(rest) >= 7,
        // SEC 1 (RFC 5915),
        // with its curve or its public half behind it.
        ([1], OCTETS) => (24..=72).contains(&second.len()) && matches!(rest.first(), Some(0xa0 | 0xa1)),
        // PKCS#12 (RFC 7292, 4): content of the type `data`.
        ([3], SEQUENCE) => {
            matches!(element(second), Some((OID, [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01], _)))
        }
        _ => false,
    }
}

/// Of a key that a program has yet to fill in, much is zero.
fn is_drawn(key: &[u8]) -> bool {
    key.iter().filter(|byte| **byte == 0).count() * 4 < key.len()
}

fn integers(mut bytes: &[u8]) -> usize {
    let mut count = 0;
    while let Some((INTEGER, _, rest)) = element(bytes) {
        count += 1;
        bytes = rest;
    }
    count
}

/// Encrypted PKCS#8 (RFC 5958, 3): an algorithm with parameters, then octets.
fn is_encrypted(body: &[u8]) -> bool {
    let Some((SEQUENCE, algorithm, rest)) = element(body) else { return false };
    matches!(element(algorithm), Some((OID, ..))) && matches!(element(rest), Some((OCTETS, [_, ..], _)))
}

/// A private key between its lines, also with `\n` in place of the line's ends.
pub(super) fn pem(text: &[u8], verdict: &mut Verdict) -> bool {
    let Some(start) = memmem::find(text, b"KEY-----").map(|at| at + 8) else { return false };
    let Some(end) = memmem::rfind(text, b"-----END").filter(|end| *end > start) else { return false };
    let body = &text[start..end];
    if body.len() > KEY_BYTES_MAX {
        return false;
    }
    let mut encrypted = memmem::find(&text[..start], b"ENCRYPTED").is_some();
    let mut digits = Vec::with_capacity(body.len());
    for line in unescaped(body).split(|byte| matches!(byte, b'\n' | b'\r')) {
        // A string of a program begins and ends in each line, and may be joined to the next.
        let line = line.trim_ascii();
        let line = line.strip_prefix(b"\"").or(line.strip_prefix(b"'")).map_or(line, <[u8]>::trim_ascii);
        // An answer to a mail quotes each, a list of lines ends each.
        let line = line.strip_prefix(b">").map_or(line, <[u8]>::trim_ascii);
        let line = line.strip_suffix(b"\",").or(line.strip_suffix(b"',")).unwrap_or(line);
        if matches!(line, b"+" | b"." | b"," | b"") {
            continue;
        }
        // Headers of RFC 1421, such as `Proc-Type: 4,ENCRYPTED`.
        if line.contains(&b':') {
            encrypted |= memmem::find(line, b"ENCRYPTED").is_some();
        } else {
            digits.extend_from_slice(line);
        }
    }
    let Some(bytes) = base64(&digits) else { return false };
    if let Some(rest) = bytes.strip_prefix(b"openssh-key-v1\0") {
        // The name of the cipher comes first (OpenSSH, PROTOCOL.key).
        let cipher = rest.get(4..8);
        encrypted |= cipher.is_some_and(|cipher| cipher != b"none");
        return judge(cipher.is_some() && rest.len() > 64, encrypted, verdict);
    }
    let opaque = encrypted && memmem::find(&text[..start], b"BEGIN ENCRYPTED").is_none();
    judge(if opaque { bytes.len() >= 48 } else { key(&bytes) }, encrypted, verdict)
}

fn judge(holds: bool, encrypted: bool, verdict: &mut Verdict) -> bool {
    if encrypted {
        verdict.severity = Some(Severity::Medium);
        verdict.permits = Some("protected by a password".to_owned());
    }
    holds
}

/// With real ends of lines where a string of a program or of JSON has `\n`.
fn unescaped(body: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(body.len());
    let mut rest = body;
    while let Some((&byte, after)) = rest.split_first() {
        let (byte, after) = match (byte, after) {
            (b'\\', [b'n' | b'r', after @ ..]) => (b'\n', after),
            _ => (byte, after),
        };
        text.push(byte);
        rest = after;
    }
    text
}
