//! The key in the data folder under which the database keeps the secrets that
//! the server itself must be able to read: seeds of one-time codes, and the
//! hashes of passwords. Several processes on one database share the file.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use model::{Hash, PersonId};
use seal::vault::{VaultError, VaultKey};

use crate::random;

const KEY_FILE: &str = "vault.key";

#[derive(Debug)]
pub(crate) struct Vault {
    secrets: VaultKey,
    marks: MarkKey,
}

struct MarkKey([u8; 32]);

impl std::fmt::Debug for MarkKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MarkKey")
    }
}

/// What a sealed text is. It opens as nothing else, and for nobody else.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Secret {
    Password(PersonId),
    Totp(PersonId),
    /// What an identity provider said of somebody's groups.
    Groups(PersonId),
    /// Where somebody is told by e-mail.
    Mail(PersonId),
    /// A password and a code that are about to be set.
    Enrolment,
}

impl Secret {
    fn place(self) -> String {
        match self {
            Secret::Password(person) => format!("password {person}"),
            Secret::Totp(person) => format!("totp {person}"),
            Secret::Groups(person) => format!("groups {person}"),
            Secret::Mail(person) => format!("mail {person}"),
            Secret::Enrolment => "enrolment".to_owned(),
        }
    }
}

impl Vault {
    pub(crate) fn open(data: &Path) -> anyhow::Result<Self> {
        Ok(Self::new(key(&data.join(KEY_FILE))?))
    }

    pub(crate) fn new(key: [u8; 32]) -> Self {
        let derived = |info: &[u8]| seal::hkdf_sha256(&[], &key, &[info]);
        Vault {
            secrets: VaultKey::new(derived(b"lenskeep cloud secrets v1")),
            marks: MarkKey(derived(b"lenskeep cloud marks v1")),
        }
    }

    /// As text for a column, in hex.
    pub(crate) fn seal(&self, what: Secret, secret: &[u8]) -> String {
        let sealed = self.secrets.seal(&what.place(), secret, random::bytes());
        sealed.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    pub(crate) fn unseal(&self, what: Secret, sealed: &str) -> Result<Vec<u8>, VaultError> {
        let digits = sealed.as_bytes().chunks(2).map(|pair| {
            let pair = std::str::from_utf8(pair).map_err(|_| VaultError)?;
            u8::from_str_radix(pair, 16).map_err(|_| VaultError)
        });
        self.secrets.open(&what.place(), &digits.collect::<Result<Vec<u8>, _>>()?)
    }

    /// A mark that only this server can make.
    pub(crate) fn mark(&self, parts: &[&[u8]]) -> Hash {
        seal::hmac_sha256(&self.marks.0, parts)
    }
}

/// Reads the key, or makes it. 32 bytes in hex, for the owner alone.
fn key(path: &Path) -> anyhow::Result<[u8; 32]> {
    if !path.exists() {
        let key = Hash(random::bytes());
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        writeln!(file, "{key}")
            .and_then(|()| file.sync_all())
            .context("the vault's key could not be written")?;
    }
    let text =
        std::fs::read_to_string(path).with_context(|| format!("{} could not be read", path.display()))?;
    match text.trim().parse::<Hash>() {
        Ok(key) => Ok(key.0),
        Err(_) => bail!("{} holds no key: it is 64 hex digits; restore it from a backup", path.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_opens_for_its_person_and_as_what_it_is() {
        let vault = Vault::new([1; 32]);
        let (ada, ben) = (PersonId::from_random([1; 16]), PersonId::from_random([2; 16]));
        let sealed = vault.seal(Secret::Totp(ada), b"seed");
        assert_eq!(vault.unseal(Secret::Totp(ada), &sealed).unwrap(), b"seed");
        assert!(vault.unseal(Secret::Totp(ben), &sealed).is_err());
        assert!(vault.unseal(Secret::Password(ada), &sealed).is_err());
        assert!(Vault::new([2; 32]).unseal(Secret::Totp(ada), &sealed).is_err());
        for bad in ["", "x", "zz", "0é"] {
            assert!(vault.unseal(Secret::Totp(ada), bad).is_err());
        }
    }

    #[test]
    fn the_key_is_made_once() {
        let data = tempfile::tempdir().unwrap();
        let first = Vault::open(data.path()).unwrap().mark(&[b"x"]);
        assert_eq!(Vault::open(data.path()).unwrap().mark(&[b"x"]), first);
        std::fs::write(data.path().join(KEY_FILE), "short").unwrap();
        assert!(Vault::open(data.path()).unwrap_err().to_string().contains("backup"));
    }
}
