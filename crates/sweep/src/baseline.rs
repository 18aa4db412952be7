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

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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
    /// Of other baselines, for what is found again.
    others: HashMap<E, Note>,
}

impl<E> Default for Entries<E> {
    fn default() -> Self {
        Entries { live: HashSet::new(), notes: HashMap::new(), others: HashMap::new() }
    }
}

impl<E: Eq + Hash + Clone + Ord> Entries<E> {
    fn add(&mut self, entry: E, note: Note, now: i64) {
        if note.1.is_none_or(|until| now < until) {
            self.live.insert(entry.clone());
        }
        self.notes.entry(entry).or_insert(note);
    }

    /// Those that were found, each once, and, if `keeps`, those that were known before, with
    /// what stands beside them.
    fn written(&self, found: impl Iterator<Item = E>, keeps: bool) -> Vec<(E, Note)> {
        let mut seen = HashSet::new();
        let mut entries: Vec<E> = found.filter(|entry| seen.insert(entry.clone())).collect();
        if keeps {
            let from = entries.len();
            entries.extend(self.notes.keys().filter(|entry| !seen.contains(entry)).cloned());
            entries[from..].sort();
        }
        let note = |entry: &E| self.notes.get(entry).or(self.others.get(entry)).cloned();
        let noted = entries.into_iter().map(|entry| {
            let note = note(&entry).unwrap_or_default();
            (entry, note)
        });
        noted.collect()
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
        self.findings.others = other.findings.notes.clone();
        self.volumes.others = other.volumes.notes.clone();
    }

    /// The file in which these are known, of volumes those that lie open, with the reasons
    /// and ends that this baseline has of them. It holds no secrets. What was known before
    /// and is not among these stays if they are not all that there may be.
    pub fn with(&self, findings: &[Finding], volumes: &[Volume], are_all: bool) -> String {
        let findings = findings.iter().map(|finding| self.entry(finding));
        let findings = self.findings.written(findings, !are_all).into_iter();
        let open = volumes.iter().filter(|volume| volume.severity() > Severity::Info);
        let volumes = open.map(|volume| self.known(volume));
        let volumes = self.volumes.written(volumes, !are_all).into_iter();
        pretty(&File {
            version: VERSION,
            findings: findings.map(|(entry, (reason, until))| Entry { reason, until, ..entry }).collect(),
            volumes: volumes.map(|(known, (reason, until))| Known { reason, until, ..known }).collect(),
        })
    }

    pub fn knows(&self, finding: &Finding) -> bool {
        self.findings.live.contains(&self.entry(finding))
    }

    /// Whether what is said of a volume is known, wherever it is found now.
    pub fn knows_volume(&self, volume: &Volume) -> bool {
        self.volumes.live.contains(&self.known(volume))
    }

    fn entry(&self, finding: &Finding) -> Entry {
        let chain = &finding.location.chain;
        Entry {
            rule: finding.rule.id.clone(),
            fingerprint: finding.fingerprint.clone(),
            place: self.name(chain).into_iter().chain(chain.iter().skip(1).cloned()).collect(),
            reason: None,
            until: None,
        }
    }

    fn known(&self, volume: &Volume) -> Known {
        Known {
            rule: volume.rule().to_owned(),
            fingerprint: volume.fingerprint(&self.name(&volume.chain).unwrap_or_default()),
            reason: None,
            until: None,
        }
    }

    fn name(&self, chain: &[String]) -> Option<String> {
        chain.first().map(|first| self.places.name(first))
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
