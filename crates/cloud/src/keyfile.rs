//! Signing keys of this server: 32 bytes in hex, for the owner alone.

use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use model::Hash;
use seal::keys::SigningKey;

use crate::random;

/// Reads the key, or makes it.
pub(crate) fn open(path: &Path) -> anyhow::Result<SigningKey> {
    use std::io::Write as _;
    if !path.exists() {
        let seed = Hash(random::bytes());
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        writeln!(file, "{seed}")
            .and_then(|()| file.sync_all())
            .with_context(|| format!("{} could not be written", path.display()))?;
    }
    let text =
        std::fs::read_to_string(path).with_context(|| format!("{} could not be read", path.display()))?;
    match text.trim().parse::<Hash>() {
        Ok(seed) => Ok(SigningKey::from_seed(seed.0)),
        Err(_) => bail!("{} holds no key: it is 64 hex digits; restore it from a backup", path.display()),
    }
}
