//! This device's folder: who we are, the wrapped keys, and the roster as far
//! as we have seen it. What was seen stays: a cloud that shows less or other
//! statements later is refused.

use std::fs::OpenOptions;
use std::io::{IsTerminal as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use model::wire::Envelope;
use model::{DeviceId, Hash, OrgId, PersonId, Secret, Timestamp};
use seal::keyring::{DeviceKeys, Wrapped};
use seal::roster::{Roster, log_envelope, log_line, read_log};
use serde::{Deserialize, Serialize};
use url::Url;
use zeroize::Zeroizing;

/// Shorter ones fall to a guesser who has the file, Argon2id or not.
const PASSPHRASE_MIN: usize = 12;

#[derive(Clone, Debug)]
pub(crate) struct Home(PathBuf);

/// `device.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeviceFile {
    /// The viewers' port of the cloud.
    pub(crate) cloud: Url,
    pub(crate) org: OrgId,
    pub(crate) person: PersonId,
    pub(crate) device: DeviceId,
    pub(crate) anchor: Hash,
    pub(crate) keys: Wrapped,
}

impl Home {
    /// `--home`, or where the system keeps a person's data.
    pub(crate) fn new(given: Option<PathBuf>) -> anyhow::Result<Self> {
        if let Some(given) = given {
            return Ok(Home(given));
        }
        let variable =
            |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let data = variable("XDG_DATA_HOME").or_else(|| Some(variable("HOME")?.join(".local/share")));
        let data = data.context("neither XDG_DATA_HOME nor HOME is set; give --home DIR")?;
        Ok(Home(data.join("lenskeep")))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn device(&self) -> anyhow::Result<DeviceFile> {
        let path = self.0.join("device.json");
        if !path.exists() {
            bail!(
                "there is no device in {}. Make one with `lenskeep device new --link LINK` (the set-up link that \
                 `lenskeep up` prints) or `lenskeep device join LINK` (a link of the page Devices), or give --home DIR",
                self.0.display()
            );
        }
        let bytes = std::fs::read(&path).with_context(|| format!("{} could not be read", path.display()))?;
        serde_json::from_slice(&bytes).with_context(|| format!("{} is damaged", path.display()))
    }

    /// Refuses to overwrite a device: its keys would be gone.
    pub(crate) fn create_device(&self, device: &DeviceFile) -> anyhow::Result<()> {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.0)
            .with_context(|| format!("{} could not be made", self.0.display()))?;
        let path = self.0.join("device.json");
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).with_context(|| {
                format!("{} could not be made (if it exists, there is a device already)", path.display())
            })?;
        file.write_all(&serde_json::to_vec_pretty(device)?)?;
        Ok(file.sync_all()?)
    }

    /// Replaces a file as a whole; a crash leaves the old or the new one.
    pub(crate) fn write_private(&self, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
        let (path, new) = (self.0.join(name), self.0.join(format!("{name}.new")));
        let failed = || format!("{} could not be written", path.display());
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&new)
            .with_context(failed)?;
        file.write_all(bytes).and_then(|()| file.sync_all()).with_context(failed)?;
        std::fs::rename(&new, &path).with_context(failed)?;
        std::fs::File::open(&self.0).and_then(|folder| folder.sync_all()).with_context(failed)
    }

    /// Where a device is about to be made.
    pub(crate) fn ensure_free(&self) -> anyhow::Result<()> {
        let folder = self.0.display();
        ensure!(!self.has_device(), "{folder} holds a device already; give --home DIR for another");
        Ok(())
    }

    pub(crate) fn has_device(&self) -> bool {
        self.0.join("device.json").exists()
    }

    /// Undoes `create_device` when the cloud did not take the device.
    pub(crate) fn remove_device(&self) -> anyhow::Result<()> {
        for name in ["device.json", "roster.jsonl"] {
            let path = self.0.join(name);
            if path.exists() {
                std::fs::remove_file(&path)
                    .with_context(|| format!("{} could not be removed", path.display()))?;
            }
        }
        Ok(())
    }

    /// A private file of this folder, if it is there.
    pub(crate) fn read_private(&self, name: &str) -> anyhow::Result<Option<Zeroizing<Vec<u8>>>> {
        let path = self.0.join(name);
        match std::fs::read(&path) {
            Ok(bytes) => Ok(Some(Zeroizing::new(bytes))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("{} could not be read", path.display())),
        }
    }

    pub(crate) fn remove_private(&self, name: &str) -> anyhow::Result<()> {
        let path = self.0.join(name);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("{} could not be removed", path.display()))
            }
            _ => Ok(()),
        }
    }

    /// The verified statements, in order.
    pub(crate) fn statements(&self) -> anyhow::Result<Vec<Envelope>> {
        let path = self.roster_path();
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("{} could not be read", path.display()))?;
        Ok(text.lines().filter_map(log_envelope).collect())
    }

    fn roster_path(&self) -> PathBuf {
        self.0.join("roster.jsonl")
    }

    pub(crate) fn roster(&self, anchor: Hash) -> anyhow::Result<Option<Roster>> {
        let path = self.roster_path();
        if !path.exists() {
            return Ok(None);
        }
        let roster = read_roster(&path)?;
        ensure!(roster.anchor() == anchor, "{} is another organisation's roster", path.display());
        Ok(Some(roster))
    }

    /// Adds statements that were verified.
    pub(crate) fn append_roster(&self, statements: &[Envelope], seen_at: Timestamp) -> anyhow::Result<()> {
        let path = self.roster_path();
        let failed = || format!("{} could not be written", path.display());
        // A torn last line goes first, or the next one would be glued to it.
        if let Ok(text) = std::fs::read_to_string(&path) {
            let whole = text.rfind('\n').map_or(0, |end| end + 1);
            let file = OpenOptions::new().write(true).open(&path).with_context(failed)?;
            file.set_len(whole as u64).with_context(failed)?;
        }
        let mut file =
            OpenOptions::new().create(true).append(true).mode(0o600).open(&path).with_context(failed)?;
        for envelope in statements {
            file.write_all(&log_line(envelope, seen_at)).with_context(failed)?;
        }
        file.sync_all().with_context(failed)
    }
}

/// A roster from a file, as `verify --roster` takes it.
pub(crate) fn read_roster(path: &Path) -> anyhow::Result<Roster> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("{} could not be read", path.display()))?;
    let (roster, _) = read_log(&text).with_context(|| format!("{} is damaged", path.display()))?;
    Ok(roster)
}

impl DeviceFile {
    pub(crate) fn unlock(&self) -> anyhow::Result<DeviceKeys> {
        let passphrase = ask_passphrase("Passphrase of this device: ")?;
        seal::keyring::unwrap(&self.keys, passphrase.expose()).map_err(Into::into)
    }
}

/// From `LENSKEEP_PASSPHRASE_FILE`, or from the terminal.
fn ask_passphrase(prompt: &str) -> anyhow::Result<Secret> {
    if let Some(path) = std::env::var_os("LENSKEEP_PASSPHRASE_FILE") {
        let path = PathBuf::from(path);
        let text = std::fs::read_to_string(&path).map(Zeroizing::new);
        let text =
            text.with_context(|| format!("LENSKEEP_PASSPHRASE_FILE: {} could not be read", path.display()))?;
        return Ok(Secret::new(text.trim_end_matches(['\r', '\n'])));
    }
    ask_secret(prompt).context("no passphrase; on a machine without a terminal set LENSKEEP_PASSPHRASE_FILE")
}

pub(crate) fn new_passphrase() -> anyhow::Result<Secret> {
    let passphrase =
        ask_passphrase(&format!("A passphrase for this device (at least {PASSPHRASE_MIN} characters): "))?;
    ensure!(
        passphrase.expose().chars().count() >= PASSPHRASE_MIN,
        "the passphrase is shorter than {PASSPHRASE_MIN} characters; four words are easy to remember"
    );
    if std::env::var_os("LENSKEEP_PASSPHRASE_FILE").is_none() {
        ensure!(ask_secret("Once more: ")? == passphrase, "the two passphrases differ");
    }
    Ok(passphrase)
}

/// Reads a line from the terminal without showing it.
pub(crate) fn ask_secret(prompt: &str) -> anyhow::Result<Secret> {
    ensure!(std::io::stdin().is_terminal(), "standard input is no terminal to ask on");
    Ok(Secret::new(rpassword::prompt_password(prompt)?))
}
