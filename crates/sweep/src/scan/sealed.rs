//! What cannot be read although nothing of it is damaged: what is encrypted as a whole, and
//! formats that are known by name alone. It is told, since silence would say that nothing is
//! in it.

use super::read_full;
use crate::decode::base64;
use crate::read::ReadAt;
use crate::unpack::is_noise;
use crate::volume::media;

/// Looked at for what a source is, in bytes.
const HEAD: usize = 4096;
/// Of a directory of an OLE file, in bytes.
const DIRECTORY: usize = 4096;

/// Why something was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sealed {
    /// By what.
    Encrypted(&'static str),
    /// By its name.
    Unsupported(&'static str),
    Noise,
}

/// What begins with so many bytes that nothing else does.
const KNOWN: &[(&[u8], Sealed)] = &[
    (b"age-encryption.org/v1\n", Sealed::Encrypted("age")),
    (b"-----BEGIN AGE ENCRYPTED FILE-----", Sealed::Encrypted("age")),
    (b"$ANSIBLE_VAULT;1.", Sealed::Encrypted("Ansible Vault")),
    (b"\0GITCRYPT\0", Sealed::Encrypted("git-crypt")),
    (b"\x03\xd9\xa2\x9a\x65\xfb\x4b\xb5", Sealed::Encrypted("KeePass")),
    (b"\x03\xd9\xa2\x9a\x67\xfb\x4b\xb5", Sealed::Encrypted("KeePass")),
    (b"MSWIM\0\0\0", Sealed::Unsupported("WIM")),
    (b"xar!\0\x1c\0\x01", Sealed::Unsupported("XAR")),
];

/// Media and fonts, which are packed well and hold no settings; and PDF, of which more is told
/// where it is read.
const PACKED: &[&[u8]] = &[
    b"\x89PNG",
    b"GIF8",
    b"RIFF",
    b"OggS",
    b"fLaC",
    b"ID3",
    b"\xff\xfb",
    b"\xff\xf3",
    b"\xff\xf2",
    b"wOFF",
    b"wOF2",
    b"%PDF",
    b"\xff\x0a",
    b"\xff\xd8\xff",
];

/// By how it begins; `may_be_noise`: also by what all of it is.
pub(super) fn sealed(source: &dyn ReadAt, may_be_noise: bool) -> Option<Sealed> {
    let mut head = [0; HEAD];
    let bytes = read_full(source, 0, &mut head).ok()?;
    let head = &head[..bytes];
    if let Some((_, sealed)) = KNOWN.iter().find(|(magic, _)| head.starts_with(magic)) {
        return Some(*sealed);
    }
    if is_openssl(head) {
        return Some(Sealed::Encrypted("OpenSSL"));
    }
    if is_openpgp(head) || armoured(head).is_some_and(|packets| is_openpgp(&packets)) {
        return Some(Sealed::Encrypted("OpenPGP"));
    }
    if is_office(source, head) {
        return Some(Sealed::Encrypted("Microsoft Office"));
    }
    if !may_be_noise || !looks_random(head) {
        return None;
    }
    let is_packed = PACKED.iter().any(|magic| head.starts_with(magic)) || media::of(head).is_some();
    (!is_packed && is_noise(source)).then_some(Sealed::Noise)
}

impl Sealed {
    pub(super) fn why(&self) -> String {
        match self {
            Sealed::Encrypted(how) => format!("encrypted ({how})"),
            Sealed::Unsupported(name) => format!("not supported: {name}"),
            Sealed::Noise => {
                "nothing but noise: perhaps encrypted, or packed in a way that is not known".to_owned()
            }
        }
    }

    pub(super) fn is_locked(&self) -> bool {
        !matches!(self, Sealed::Unsupported(_))
    }
}

/// Of noise, half of the bytes are beyond ASCII: a quick look, before all are counted.
fn looks_random(head: &[u8]) -> bool {
    let high = head.iter().take(64).filter(|byte| **byte >= 0x80).count();
    (14..=50).contains(&high)
}

/// `openssl enc`: its magic, a salt of eight bytes, and noise; or that in base64.
fn is_openssl(head: &[u8]) -> bool {
    let is_word = |byte: &u8| byte.is_ascii_graphic() || byte.is_ascii_whitespace();
    match (head.strip_prefix(b"Salted__"), head.strip_prefix(b"U2FsdGVkX1")) {
        (Some(rest), _) => rest.len() >= 16 && !rest.iter().take(24).all(is_word),
        (_, Some(rest)) => {
            let digits = rest.iter().take_while(|byte| is_base64(**byte)).count();
            digits >= 30
        }
        _ => false,
    }
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/')
}

/// A packet of a session's key with its first fields (RFC 9580, 4.2, 5.1 and 5.3): what
/// each encrypted message begins with.
fn is_openpgp(head: &[u8]) -> bool {
    let Some((tag, bytes, body)) = packet(head) else { return false };
    match (tag, body) {
        // For a public key: version, number of the key, algorithm.
        (1, [3, rest @ ..]) => {
            (40..=2100).contains(&bytes) && matches!(rest.get(8), Some(1 | 2 | 16 | 18 | 25 | 26))
        }
        (1, [6, ..]) => (40..=2100).contains(&bytes),
        // For a password: version, cipher, how the password becomes a key.
        (3, [4, cipher, kind, hash, ..]) => {
            (1..=13).contains(cipher) && matches!(kind, 0 | 1 | 3) && (1..=14).contains(hash) && bytes <= 64
        }
        (3, [4 | 5, cipher, 4, ..]) => (1..=13).contains(cipher) && bytes <= 96,
        (3, [5 | 6, ..]) => (20..=128).contains(&bytes),
        _ => false,
    }
}

/// Tag, length and what there is of the first packet, if another one can follow it.
fn packet(head: &[u8]) -> Option<(u8, usize, &[u8])> {
    let (first, second) = (*head.first()?, usize::from(*head.get(1)?));
    let (tag, bytes, at) = match first {
        0xc0.. => match second {
            0..192 => (first & 0x3f, second, 2),
            192..224 => (first & 0x3f, ((second - 192) << 8) + usize::from(*head.get(2)?) + 192, 3),
            _ => return None,
        },
        0x80.. => match first & 3 {
            0 => ((first >> 2) & 15, second, 2),
            1 => ((first >> 2) & 15, (second << 8) + usize::from(*head.get(2)?), 3),
            _ => return None,
        },
        _ => return None,
    };
    // What follows is another packet, which the highest bit says.
    let is_followed = head.get(at + bytes).is_none_or(|next| *next >= 0x80);
    is_followed.then_some((tag, bytes, head.get(at..)?))
}

/// The first bytes inside the armour of a message.
fn armoured(head: &[u8]) -> Option<Vec<u8>> {
    let text = head.trim_ascii_start().strip_prefix(b"-----BEGIN PGP MESSAGE-----")?;
    let text = std::str::from_utf8(text).ok()?;
    let body = text.split_once("\n\n").or_else(|| text.split_once("\r\n\r\n"))?.1;
    let digits = body.bytes().filter(|byte| !byte.is_ascii_whitespace()).take_while(|byte| is_base64(*byte));
    let digits: Vec<u8> = digits.collect();
    // What is cut off, by the end of the head or by the sum behind, is left out.
    base64(&digits[..digits.len() / 4 * 4])
}

/// An OLE file with a package that is encrypted (MS-OFFCRYPTO 2.3.4): a document of Word,
/// Excel or PowerPoint with a password.
fn is_office(source: &dyn ReadAt, head: &[u8]) -> bool {
    if !head.starts_with(&[0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1]) || head.len() < 512 {
        return false;
    }
    let sector = match head[30] {
        9 => 512_u64,
        12 => 4096,
        _ => return false,
    };
    let first = u32::from_le_bytes([head[48], head[49], head[50], head[51]]);
    let mut directory = vec![0; DIRECTORY];
    let Ok(bytes) = read_full(source, (u64::from(first) + 1) * sector, &mut directory) else { return false };
    let name: Vec<u8> = "EncryptedPackage\0".encode_utf16().flat_map(u16::to_le_bytes).collect();
    directory[..bytes].chunks(128).any(|entry| entry.starts_with(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &[u8]) -> Option<Sealed> {
        sealed(&bytes.to_vec(), true)
    }

    #[test]
    fn texts_about_encrypted_files_are_none() {
        for text in [
            &b"Salted__ is what openssl enc writes before the salt and what it made\n"[..],
            b"U2FsdGVkX1 is the same in base64",
            b"age-encryption.org/v1 is a format",
            b"-----BEGIN PGP MESSAGE-----\n\nno message, but a text that stands in one",
            b"MSWIM is an image",
            b"",
            b"\x85",
        ] {
            assert_eq!(of(text), None, "{}", String::from_utf8_lossy(text));
        }
    }

    /// Whatever the packets claim, nothing is read beyond what there is.
    #[test]
    fn packets_that_lie_are_none() {
        for first in 0x80..=0xff_u8 {
            for second in [0, 1, 191, 192, 223, 255] {
                for len in 0..6 {
                    let _ = of(&[first, second, 255, 3, 9, 9][..len]);
                }
            }
        }
    }

    #[test]
    fn what_is_signed_and_not_encrypted_is_not_told() {
        // A compressed packet, as `gpg --sign` writes it.
        assert_eq!(of(b"\xa3\x01\x9b\xc0\xcb\xcc\xc4\xf0"), None);
    }
}
