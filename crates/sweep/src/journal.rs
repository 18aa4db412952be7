//! What a sweep has done, so that one that was ended goes on.
//!
//! Lines of JSON: what the sweep is of, and one line for each input that is done. A
//! line counts once its end is there, so a program that is killed loses the input that
//! it was reading, and no more. It holds no secret: findings stand in it as a report
//! tells of them.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::OFlags;
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::finding::{Finding, Fingerprint, Life, Location, Secret, Severity};
use crate::rules::{Rule, Rules};
use crate::scan::Totals;
use crate::volume::Volume;

/// Of a journal, in bytes; what is done beyond is not written, and would be done again.
pub const JOURNAL_BYTES_MAX: u64 = 1 << 30;
/// Of one line, in bytes.
const LINE_MAX: u64 = 64 << 20;
const VERSION: u32 = 1;

#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("it is no regular file")]
    Kind,
    #[error("it is another user's, or others may read or write it (chmod 600)")]
    Shared,
    #[error("another sweep is writing it")]
    Busy,
    #[error("it is no journal of a sweep, or of another version")]
    Foreign,
    #[error("it is of another sweep: of other inputs, other rules or another version of this program")]
    Other,
    #[error("line {0} is damaged")]
    Damaged(usize),
    #[error("it has reached {JOURNAL_BYTES_MAX} bytes")]
    Full,
}

/// What came of one input.
#[derive(Debug, Default)]
pub struct Done {
    /// Without their secrets, if they were read from a journal.
    pub findings: Vec<Finding>,
    pub volumes: Vec<Volume>,
    /// Chains of names, and reasons.
    pub skipped: Vec<(Vec<String>, String)>,
    pub totals: Totals,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    lenskeep_sweep: u32,
    of: String,
    now: i64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    input: String,
    /// Which state of the input was read.
    state: String,
    findings: Vec<Kept>,
    volumes: Vec<Volume>,
    skipped: Vec<(Vec<String>, String)>,
    totals: Totals,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    rule: String,
    severity: Severity,
    redacted: String,
    fingerprint: Fingerprint,
    life: Life,
    permits: Option<String>,
    location: Location,
}

/// An open journal. Nobody else writes it meanwhile.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    bytes: u64,
    now: i64,
    done: HashMap<String, Vec<(String, Done)>>,
}

impl Journal {
    /// Begins a journal, or opens one of the same sweep: `of` says what is swept, and
    /// how. `now` is kept, so that what lived when the sweep began counts as living.
    pub fn open(path: &Path, of: &[&str], rules: &Rules, now: i64) -> Result<Journal, JournalError> {
        let file = opened(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(JournalError::Busy),
            Err(fs::TryLockError::Error(error)) => return Err(error.into()),
        }
        let mut journal = Journal { path: path.to_owned(), file, bytes: 0, now, done: HashMap::new() };
        let of = digest(of, rules);
        if journal.file.metadata()?.len() > JOURNAL_BYTES_MAX {
            return Err(JournalError::Full);
        }
        if journal.file.metadata()?.len() == 0 {
            journal.write(&Head { lenskeep_sweep: VERSION, of, now })?;
        } else {
            journal.read(&of, rules)?;
        }
        Ok(journal)
    }

    fn read(&mut self, of: &str, rules: &Rules) -> Result<(), JournalError> {
        let by_id: HashMap<&str, &Arc<Rule>> = rules.iter().map(|rule| (rule.id.as_str(), rule)).collect();
        let mut reader = BufReader::new(self.file.try_clone()?);
        let mut line = Vec::new();
        for number in 1.. {
            line.clear();
            (&mut reader).take(LINE_MAX).read_until(b'\n', &mut line)?;
            let Some(text) = line.strip_suffix(b"\n") else { break };
            if number == 1 {
                let head: Head = serde_json::from_slice(text).map_err(|_| JournalError::Foreign)?;
                match head.lenskeep_sweep == VERSION {
                    true if head.of == of => self.now = head.now,
                    true => return Err(JournalError::Other),
                    false => return Err(JournalError::Foreign),
                }
            } else {
                let line: Line = serde_json::from_slice(text).map_err(|_| JournalError::Damaged(number))?;
                let findings = line.findings.into_iter().map(|kept| kept.finding(&by_id));
                let findings = findings.collect::<Option<_>>().ok_or(JournalError::Damaged(number))?;
                let Line { input, state, volumes, skipped, totals, .. } = line;
                let done = Done { findings, volumes, skipped, totals };
                self.done.entry(input).or_default().push((state, done));
            }
            self.bytes += line.len() as u64;
        }
        if self.bytes == 0 || line.len() as u64 >= LINE_MAX {
            return Err(JournalError::Foreign);
        }
        // The line in which the program was killed.
        self.file.set_len(self.bytes)?;
        self.file.seek(SeekFrom::Start(self.bytes))?;
        Ok(())
    }

    /// When the sweep began, in seconds since 1970.
    pub fn now(&self) -> i64 {
        self.now
    }

    /// Inputs that are done.
    pub fn inputs(&self) -> usize {
        self.done.values().map(Vec::len).sum()
    }

    /// Whether this is the journal itself, which is no input.
    pub fn is(&self, path: &Path) -> bool {
        let same =
            |of: &fs::Metadata, other: &fs::Metadata| (of.dev(), of.ino()) == (other.dev(), other.ino());
        self.file.metadata().is_ok_and(|own| fs::metadata(path).is_ok_and(|other| same(&own, &other)))
    }

    /// What came of an input, if it was done in this state.
    pub fn take(&mut self, input: &str, state: &str) -> Option<Done> {
        let done = self.done.get_mut(input)?;
        let at = done.iter().position(|(of, _)| of == state)?;
        Some(done.remove(at).1)
    }

    /// Says that an input is done.
    pub fn put(&mut self, input: &str, state: &str, done: &Done) -> Result<(), JournalError> {
        let findings = done.findings.iter().map(Kept::of).collect();
        self.write(&Line {
            input: input.to_owned(),
            state: state.to_owned(),
            findings,
            volumes: done.volumes.clone(),
            skipped: done.skipped.clone(),
            totals: done.totals,
        })
    }

    /// Removes the journal of a sweep that has come to its end.
    pub fn end(self) -> io::Result<()> {
        fs::remove_file(self.path)
    }

    fn write(&mut self, value: &impl Serialize) -> Result<(), JournalError> {
        let mut line = serde_json::to_vec(value).expect("text and numbers are JSON");
        line.push(b'\n');
        let bytes = self.bytes + line.len() as u64;
        if bytes > JOURNAL_BYTES_MAX || line.len() as u64 >= LINE_MAX {
            return Err(JournalError::Full);
        }
        if let Err(error) = self.file.write_all(&line) {
            // Half a line would spoil the one after it, which a disk with room again takes.
            self.file.set_len(self.bytes)?;
            self.file.seek(SeekFrom::Start(self.bytes))?;
            return Err(error.into());
        }
        self.bytes = bytes;
        Ok(())
    }
}

impl Kept {
    fn of(finding: &Finding) -> Kept {
        Kept {
            rule: finding.rule.id.clone(),
            severity: finding.severity,
            redacted: finding.secret.redacted(finding.rule.kind),
            fingerprint: finding.fingerprint.clone(),
            life: finding.life,
            permits: finding.permits.clone(),
            location: finding.location.clone(),
        }
    }

    fn finding(self, rules: &HashMap<&str, &Arc<Rule>>) -> Option<Finding> {
        Some(Finding {
            rule: Arc::clone(rules.get(self.rule.as_str())?),
            severity: self.severity,
            secret: Secret::redacted_before(self.redacted),
            fingerprint: self.fingerprint,
            life: self.life,
            permits: self.permits,
            location: self.location,
        })
    }
}

/// A file of this user's alone: whoever else could write it would say that nothing was
/// found. A link is not followed, and a pipe not waited for.
fn opened(path: &Path) -> Result<File, JournalError> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    options.custom_flags(flags.bits().cast_signed());
    let file = options.open(path).map_err(|error| match error.raw_os_error() {
        Some(code) if code == Errno::LOOP.raw_os_error() => JournalError::Kind,
        _ => JournalError::Io(error),
    })?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(JournalError::Kind);
    }
    match metadata.uid() == rustix::process::geteuid().as_raw() && metadata.mode() & 0o077 == 0 {
        true => Ok(file),
        false => Err(JournalError::Shared),
    }
}

/// A name for what is swept, and by which rules.
fn digest(of: &[&str], rules: &Rules) -> String {
    let mut hash = Sha256::new();
    let mut add = |part: &str| {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    };
    add(env!("CARGO_PKG_VERSION"));
    of.iter().for_each(|part| add(part));
    for rule in rules.iter() {
        add(&rule.id);
        add(rule.family());
        add(&rule.regex);
        rule.literals.iter().for_each(|literal| add(literal));
        let Rule { severity, kind, before, after, ignore_case, general, base64_run, checks, .. } = &**rule;
        add(&format!(
            "{severity:?} {kind:?} {before} {after} {ignore_case} {general} {base64_run:?} {checks:?}"
        ));
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
