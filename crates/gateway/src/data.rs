//! The data folder: identity, the cloud that we belong to, roster, site
//! configuration. Files are replaced whole and are on disk before anybody
//! acts on them; secrets are readable by the owner alone.

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use gateway_core::site::Site;
use model::wire::{Envelope, GatewayKeys};
use model::{Base64, GatewayId, Hash, Timestamp};
use seal::keys::{KemSecret, SigningKey};
use seal::roster::{Roster, log_envelope, log_line, read_log};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use url::Url;
use zeroize::Zeroizing;

use crate::random;

#[derive(Debug)]
pub(crate) struct DataFolder {
    root: PathBuf,
    /// Held as long as we run: two gateways on one folder would tear it apart.
    _lock: File,
}

impl DataFolder {
    pub(crate) fn open(root: &Path) -> anyhow::Result<Self> {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(root)
            .with_context(|| format!("the data folder {} could not be made", root.display()))?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(root.join("lock"))
            .with_context(|| format!("the data folder {} cannot be written", root.display()))?;
        if rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive).is_err() {
            bail!("another gateway runs with the data folder {}", root.display());
        }
        Ok(DataFolder { root: root.to_owned(), _lock: lock })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    fn read<T: DeserializeOwned>(&self, name: &str) -> anyhow::Result<Option<T>> {
        read_whole(&self.path(name))
    }

    fn write<T: Serialize>(&self, name: &str, value: &T) -> anyhow::Result<()> {
        let bytes = Zeroizing::new(serde_json::to_vec(value)?);
        write_whole(&self.path(name), &bytes)
    }

    pub(crate) fn site(&self, gateway: GatewayId) -> anyhow::Result<Site> {
        Ok(self.read("site.json")?.unwrap_or_else(|| Site::new(gateway)))
    }

    pub(crate) fn write_site(&self, site: &Site) -> anyhow::Result<()> {
        self.write("site.json", site)
    }

    pub(crate) fn membership(&self) -> anyhow::Result<Option<Membership>> {
        self.read("cloud.json")
    }

    /// The last step of an enrolment: with this file we belong to somebody.
    pub(crate) fn write_membership(&self, membership: &Membership) -> anyhow::Result<()> {
        self.write("cloud.json", membership)
    }

    /// Reads the identity of this gateway, or makes it.
    pub(crate) fn identity(&self, name: &str) -> anyhow::Result<Identity> {
        if let Some(stored) = self.read::<StoredIdentity>("identity.json")? {
            return stored.open().context("identity.json holds no keys of this gateway");
        }
        let stored = StoredIdentity {
            id: GatewayId::from_random(random::bytes()),
            name: name.to_owned(),
            kem: Base64(random::bytes::<32>().to_vec()),
            sign: Base64(random::bytes::<32>().to_vec()),
        };
        self.write("identity.json", &stored)?;
        stored.open()
    }
}

pub(crate) fn read_whole<T: DeserializeOwned>(path: &Path) -> anyhow::Result<Option<T>> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => Zeroizing::new(bytes),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("{} could not be read", path.display())),
    };
    // The parser's own words could quote a secret; where it stopped cannot.
    serde_json::from_slice(&bytes).map(Some).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        anyhow::anyhow!(
            "{} is damaged at line {line}, column {column}; restore it from a backup",
            path.display()
        )
    })
}

/// Extension of what is on its way to replace a file.
pub(crate) const TEMPORARY: &str = "new";

/// Replaces a file: old or new, never half, and on disk when this returns.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let failed = || format!("{} could not be written", path.display());
    let temporary = path.with_extension(TEMPORARY);
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(&temporary)
        .with_context(failed)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    // On a full disk half a file is in the way.
    written.inspect_err(|_| drop(std::fs::remove_file(&temporary))).with_context(failed)?;
    std::fs::rename(&temporary, path).with_context(failed)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).with_context(failed)
}

/// The cloud that this gateway belongs to, and whose roster it follows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Membership {
    /// Of the gateway port, `https://host:8471`.
    pub(crate) url: Url,
    /// Fingerprint of the cloud CA.
    pub(crate) ca: Hash,
    /// Hash of the roster's genesis.
    pub(crate) anchor: Hash,
}

/// Keys of this gateway. They never leave it.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) id: GatewayId,
    pub(crate) name: String,
    pub(crate) kem: Arc<KemSecret>,
    pub(crate) sign: Arc<SigningKey>,
}

impl Identity {
    pub(crate) fn public(&self) -> GatewayKeys {
        GatewayKeys {
            id: self.id,
            name: self.name.clone(),
            kem: self.kem.public().to_base64(),
            sign: self.sign.verifying_key().to_base64(),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredIdentity {
    id: GatewayId,
    name: String,
    /// Seeds of 32 bytes.
    kem: Base64,
    sign: Base64,
}

impl StoredIdentity {
    fn open(&self) -> anyhow::Result<Identity> {
        let seed = |bytes: &Base64| <[u8; 32]>::try_from(bytes.0.as_slice()).context("a seed has 32 bytes");
        Ok(Identity {
            id: self.id,
            name: self.name.clone(),
            kem: Arc::new(KemSecret::from_seed(seed(&self.kem)?)),
            sign: Arc::new(SigningKey::from_seed(seed(&self.sign)?)),
        })
    }
}

impl Drop for StoredIdentity {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.kem.0);
        zeroize::Zeroize::zeroize(&mut self.sign.0);
    }
}

/// The roster with the log that it was replayed from. What has been seen is
/// never unseen: a cloud that goes back or sideways is refused.
#[derive(Debug)]
pub(crate) struct RosterLog {
    roster: Roster,
    file: File,
    /// Bytes of whole statements.
    length: u64,
}

impl RosterLog {
    const NAME: &str = "roster.jsonl";

    pub(crate) fn open(folder: &DataFolder, anchor: Hash) -> anyhow::Result<Self> {
        let path = folder.path(Self::NAME);
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("{} could not be read; enrol this gateway again", path.display()))?;
        let (roster, whole) = read_log(&text).with_context(|| format!("{} is damaged", path.display()))?;
        ensure!(roster.anchor() == anchor, "{} is another organisation's roster", path.display());
        let file = OpenOptions::new().append(true).open(&path)?;
        file.set_len(whole as u64)?;
        Ok(RosterLog { roster, file, length: whole as u64 })
    }

    /// Statements of the log from number `first` on, for whoever asks; read
    /// from the file, so that they are what is on the disk.
    pub(crate) fn page(root: &Path, first: u64, limit: usize) -> anyhow::Result<Vec<Envelope>> {
        let file = File::open(root.join(Self::NAME)).context("the roster could not be read")?;
        let lines = std::io::BufReader::new(file).lines();
        let lines = lines.skip(usize::try_from(first).unwrap_or(usize::MAX)).take(limit);
        // A last line that is being written is not there yet.
        let whole = lines.map_while(|line| line.ok().and_then(|line| log_envelope(&line)));
        Ok(whole.collect())
    }

    /// Starts the log anew with a whole roster, at enrolment.
    pub(crate) fn create(folder: &DataFolder, statements: &[Envelope], now: Timestamp) -> anyhow::Result<()> {
        let bytes: Vec<u8> = statements.iter().flat_map(|envelope| log_line(envelope, now)).collect();
        write_whole(&folder.path(Self::NAME), &bytes)
    }

    pub(crate) fn roster(&self) -> &Roster {
        &self.roster
    }

    /// Takes statements in order. Those before one that breaks a rule stay.
    pub(crate) fn extend(&mut self, statements: &[Envelope], now: Timestamp) -> anyhow::Result<()> {
        let mut next = self.roster.clone();
        let mut lines = Vec::new();
        let outcome = statements.iter().try_for_each(|envelope| {
            next.apply(envelope, now)?;
            lines.extend(log_line(envelope, now));
            Ok(())
        });
        let written = self.file.write_all(&lines).and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            // Half a line, or one that nobody took in, must not stay.
            let _ = self.file.set_len(self.length);
            return Err(error).context("the roster could not be written");
        }
        self.length += lines.len() as u64;
        self.roster = next;
        outcome
    }

    /// Statements that had to wait take effect.
    pub(crate) fn settle(&mut self, now: Timestamp) {
        self.roster.settle(now);
    }
}
