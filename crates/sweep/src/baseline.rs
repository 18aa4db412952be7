//! What is known already: findings that a person has looked at, and until when they
//! need not be told of again.

use std::collections::{HashMap, HashSet};
use std::fs::{self, OpenOptions};
use std::hash::Hash;
use std::io::{self, Write as _};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::finding::{Finding, Fingerprint, Severity};
use crate::places::Places;
use crate::report::pretty;
use crate::volume::Volume;

/// Of a baseline file, in bytes.
pub const BASELINE_BYTES_MAX: u64 = 64 << 20;
const VERSION: u32 = 1;

#[derive(Debug, thiserror::Error)]
pub enum BaselineError {
    #[error("it is no baseline of a sweep")]
    Json(#[from] serde_json::Error),
    #[error("it is a baseline of version {0}, and this program reads {VERSION}")]
    Version(u32),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    rule: String,
    fingerprint: Fingerprint,
    /// The chain of names, the first as [`Places::name`] says it. A fingerprint of a
    /// password is short, so the place counts.
    place: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Seconds since 1970; told of again from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<i64>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    findings: Vec<Entry>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    volumes: Vec<Known>,
}

/// A card that may lie open. One on which footage is found later is another matter.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Known {
    rule: String,
    fingerprint: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<i64>,
}

/// What somebody wrote beside an entry.
type Note = (Option<String>, Option<i64>);

/// Findings and open cards that are known, without what ended, and all notes.
#[derive(Debug, Default)]
pub struct Baseline {
    places: Places,
    findings: Entries<Entry>,
    volumes: Entries<Known>,
}

#[derive(Debug)]
struct Entries<E> {
    live: HashSet<E>,
    notes: HashMap<E, Note>,
}

impl<E> Default for Entries<E> {
    fn default() -> Self {
        Entries { live: HashSet::new(), notes: HashMap::new() }
    }
}

impl<E: Eq + Hash + Clone> Entries<E> {
    fn add(&mut self, entry: E, note: Note, now: i64) {
        if note.1.is_none_or(|until| now < until) {
            self.live.insert(entry.clone());
        }
        self.notes.entry(entry).or_insert(note);
    }

    /// What stands beside the first of the names under which an entry may be known.
    fn note(&self, names: &[E]) -> Note {
        names.iter().find_map(|name| self.notes.get(name)).cloned().unwrap_or_default()
    }
}

impl Baseline {
    /// Reads a file; what ended at `now`, in seconds since 1970, counts no longer.
    ///
    /// # Errors
    /// If it is no baseline, or of another version.
    pub fn read(text: &str, now: i64) -> Result<Baseline, BaselineError> {
        let file: File = serde_json::from_str(text)?;
        if file.version != VERSION {
            return Err(BaselineError::Version(file.version));
        }
        let mut baseline = Baseline::default();
        for entry in file.findings {
            let note = (entry.reason.clone(), entry.until);
            baseline.findings.add(Entry { reason: None, until: None, ..entry }, note, now);
        }
        for known in file.volumes {
            let note = (known.reason.clone(), known.until);
            baseline.volumes.add(Known { reason: None, until: None, ..known }, note, now);
        }
        Ok(baseline)
    }

    /// The same for a sweep of these places.
    #[must_use]
    pub fn at(self, places: &Places) -> Baseline {
        Baseline { places: places.clone(), ..self }
    }

    /// Has reasons and ends of another one, too, where it has none of its own.
    pub fn notes_of(&mut self, other: &Baseline) {
        for (entry, note) in &other.findings.notes {
            self.findings.notes.entry(entry.clone()).or_insert_with(|| note.clone());
        }
        for (known, note) in &other.volumes.notes {
            self.volumes.notes.entry(known.clone()).or_insert_with(|| note.clone());
        }
    }

    /// The file in which these are known, of volumes those that lie open, with the reasons
    /// and ends that this baseline has of them. It holds no secrets.
    pub fn with(&self, findings: &[Finding], volumes: &[Volume]) -> String {
        let mut seen = HashSet::new();
        let findings = findings.iter().map(|finding| {
            let [entry, other] = self.entries(finding);
            let (reason, until) = self.findings.note(&[entry.clone(), other]);
            Entry { reason, until, ..entry }
        });
        let findings = findings.filter(|entry| seen.insert(entry.clone())).collect();
        let mut seen = HashSet::new();
        let open = volumes.iter().filter(|volume| volume.severity() > Severity::Info);
        let volumes = open.map(|volume| {
            let [known, other] = self.known(volume);
            let (reason, until) = self.volumes.note(&[known.clone(), other]);
            Known { reason, until, ..known }
        });
        let volumes = volumes.filter(|known| seen.insert(known.clone())).collect();
        pretty(&File { version: VERSION, findings, volumes })
    }

    /// [`Baseline::with`] of none before.
    pub fn write(findings: &[Finding], volumes: &[Volume]) -> String {
        Baseline::default().with(findings, volumes)
    }

    pub fn knows(&self, finding: &Finding) -> bool {
        self.entries(finding).iter().any(|entry| self.findings.live.contains(entry))
    }

    /// Whether what is said of a volume is known, wherever it is found now.
    pub fn knows_volume(&self, volume: &Volume) -> bool {
        self.known(volume).iter().any(|known| self.volumes.live.contains(known))
    }

    /// By the way from the folder of the sweep, and by that from what was named.
    fn entries(&self, finding: &Finding) -> [Entry; 2] {
        let chain = &finding.location.chain;
        self.names(chain).map(|first| Entry {
            rule: finding.rule.id.clone(),
            fingerprint: finding.fingerprint.clone(),
            place: first.into_iter().chain(chain.iter().skip(1).cloned()).collect(),
            reason: None,
            until: None,
        })
    }

    fn known(&self, volume: &Volume) -> [Known; 2] {
        self.names(&volume.chain).map(|first| Known {
            rule: volume.rule().to_owned(),
            fingerprint: volume.fingerprint_at(&first.unwrap_or_default()),
            reason: None,
            until: None,
        })
    }

    fn names(&self, chain: &[String]) -> [Option<String>; 2] {
        [Places::name, Places::below].map(|name| chain.first().map(|first| name(&self.places, first)))
    }
}

/// Puts a baseline into its place in one step, so that none is ever half written. A link is
/// followed, and who may read the file stays as it is.
///
/// # Errors
/// If it cannot be written; what was there before is still there then.
pub fn save(path: &Path, text: &str) -> io::Result<()> {
    let path = match fs::canonicalize(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_owned(),
        found => found?,
    };
    let name = path.file_name().ok_or(io::ErrorKind::IsADirectory)?.to_string_lossy().into_owned();
    let part = path.with_file_name(format!(".{name}.{}.part", std::process::id()));
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).open(&part)?;
        file.write_all(text.as_bytes())?;
        if let Ok(before) = fs::metadata(&path) {
            file.set_permissions(before.permissions())?;
        }
        file.sync_all()?;
        fs::rename(&part, &path)
    };
    write().inspect_err(|_| {
        let _ = fs::remove_file(&part);
    })
}
