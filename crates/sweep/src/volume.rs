//! What a card, a disk or an image of one holds open: whether each file system is
//! encrypted, and what footage lies in it.
//!
//! Told while the files are swept: of each, its beginning says whether it is footage,
//! whatever it is called. Nothing is read a second time.

pub(crate) mod media;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::date;
use crate::finding::Severity;
use crate::unpack::{File, Skip};
use crate::words::count;
use media::Media;

/// Paths that are told of one volume.
const EXAMPLES_MAX: usize = 5;
/// Of one path, in characters.
const PATH_MAX: usize = 200;

/// Whether whoever has the card can read what lies there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state", content = "how")]
pub enum Lock {
    Open,
    /// By what, as its header says.
    Encrypted(String),
    /// Nothing says so for sure: the reason why it may be.
    Perhaps(String),
    /// A file system that is known by its name and not read: whether it encrypts what it
    /// holds, nobody looked.
    Unread,
    /// Neither a file system that is known nor noise.
    Unknown,
}

/// A file system or partition of a card, a disk or an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Volume {
    /// The input, and parts inside parts. Foreign text: [`crate::shown`] before it
    /// reaches a terminal.
    pub chain: Vec<String>,
    /// `ext4`, `FAT32`, `LUKS2` and the like.
    pub kind: String,
    /// UUID or serial number of the file system.
    pub id: Option<String>,
    pub bytes: u64,
    pub lock: Lock,
    /// A file system that recorders alone have, which is not read.
    pub is_recorder: bool,
    /// Files in it.
    pub files: u64,
    /// Files and folders that are encrypted one by one.
    pub encrypted: u64,
    pub footage: Footage,
    /// What was not looked at.
    pub unread: Vec<String>,
}

/// What is footage by its beginning.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Footage {
    pub recordings: u64,
    pub pictures: u64,
    /// Of all of them, as the file system says, and no more than it has.
    pub bytes: u64,
    /// When the first and the last was written, in seconds since 1970, by the clock of
    /// whoever wrote it. FAT keeps local time.
    pub since: Option<i64>,
    pub until: Option<i64>,
    /// How many of each format.
    pub kinds: BTreeMap<String, u64>,
    /// Whose cameras lay files out like this.
    pub layout: Option<String>,
    /// The first paths. Foreign text.
    pub examples: Vec<String>,
}

impl Volume {
    pub(crate) fn new(kind: &str, id: Option<String>, bytes: u64, lock: Lock) -> Volume {
        Volume {
            chain: Vec::new(),
            kind: kind.to_owned(),
            id,
            bytes,
            lock,
            is_recorder: false,
            files: 0,
            encrypted: 0,
            footage: Footage::default(),
            unread: Vec::new(),
        }
    }

    /// Counts a file of it.
    pub(crate) fn file(&mut self, path: &str, file: &File<'_>) {
        self.files += 1;
        let Some(media) = media::of_file(path, file.head) else { return };
        if media == Media::Encrypted {
            self.encrypted += 1;
            return;
        }
        // Pages of a camera have pictures of their own.
        if media.is_picture() && media::is_of_a_system(path) {
            return;
        }
        let footage = &mut self.footage;
        match media.is_picture() {
            true => footage.pictures += 1,
            false => footage.recordings += 1,
        }
        footage.bytes = footage.bytes.saturating_add(file.bytes).min(self.bytes);
        *footage.kinds.entry(media.name().to_owned()).or_default() += 1;
        if let Some(written) = file.written {
            footage.since = Some(footage.since.map_or(written, |since| since.min(written)));
            footage.until = Some(footage.until.map_or(written, |until| until.max(written)));
        }
        if footage.layout.is_none() {
            footage.layout = media::layout(path).map(str::to_owned);
        }
        if footage.examples.len() < EXAMPLES_MAX {
            footage.examples.push(path.chars().take(PATH_MAX).collect());
        }
    }

    /// Something in it was not read.
    pub(crate) fn skipped(&mut self, why: Skip) {
        match why {
            Skip::Encrypted if self.lock == Lock::Open => self.encrypted += 1,
            Skip::Encrypted | Skip::Link | Skip::Unsupported(_) => {}
            _ => self.not_read(&why.to_string()),
        }
    }

    pub(crate) fn not_read(&mut self, why: &str) {
        if self.unread.len() < EXAMPLES_MAX && !self.unread.iter().any(|told| told == why) {
            self.unread.push(why.to_owned());
        }
    }

    pub fn has_footage(&self) -> bool {
        self.footage.recordings + self.footage.pictures > 0
    }

    /// Whether its files were looked at, so that their number says something.
    fn is_read(&self) -> bool {
        self.files > 0 || self.lock == Lock::Open && !self.is_recorder && self.unread.is_empty()
    }

    /// Footage that lies open is `high`; what may hold footage and is not read, `medium`;
    /// anything else is no finding.
    pub fn severity(&self) -> Severity {
        match (self.has_footage(), self.is_recorder) {
            (true, _) => Severity::High,
            (_, true) => Severity::Medium,
            _ => Severity::Info,
        }
    }

    /// What is said of it, as the name of a rule.
    pub fn rule(&self) -> &'static str {
        match (self.has_footage(), self.is_recorder, &self.lock) {
            (true, ..) => "open-footage",
            (_, true, _) => "open-recorder-disk",
            (_, _, Lock::Encrypted(_)) => "encrypted-volume",
            (_, _, Lock::Perhaps(_)) => "perhaps-encrypted-volume",
            (_, _, Lock::Open) => "open-volume",
            (_, _, Lock::Unread) => "unread-volume",
            (_, _, Lock::Unknown) => "unknown-volume",
        }
    }

    pub fn title(&self) -> String {
        let kind = &self.kind;
        match (&self.lock, self.has_footage(), self.is_recorder) {
            (Lock::Open, true, _) => format!("{kind}, not encrypted: footage lies open"),
            (_, true, _) => format!("{kind}: footage lies open"),
            (_, _, true) => format!("{kind}: disk of a recorder, known by its name and not read"),
            (Lock::Unread, ..) => format!("{kind}: not read, so whether it is encrypted is unknown"),
            (Lock::Open, ..) if !self.unread.is_empty() => {
                format!("{kind}, not encrypted: no footage found in what was looked at, which is not all")
            }
            (Lock::Open, ..) => format!("{kind}, not encrypted: no footage found"),
            (Lock::Encrypted(how), ..) => format!("{kind}: encrypted ({how})"),
            (Lock::Perhaps(why), ..) => format!("{kind}: perhaps encrypted ({why})"),
            (Lock::Unknown, ..) => format!("{kind}: not known, and not encrypted as far as can be seen"),
        }
    }

    pub fn remedy(&self) -> Option<&'static str> {
        match (self.has_footage(), self.is_recorder) {
            (true, _) => Some(
                "Have the camera encrypt its card, which formats it, and take what lies there for read by \
                 whoever had the card.",
            ),
            (_, true) => Some(
                "Recorders write their disks without encryption. Lock the recorder away, and erase the disk \
                 before it leaves the house; take what lies there for read by whoever had it.",
            ),
            _ => None,
        }
    }

    /// What is known of it, in sentences without a full stop. Paths in them are foreign text.
    pub fn facts(&self) -> Vec<String> {
        let id = self.id.as_ref().map(|id| format!("{id}, ")).unwrap_or_default();
        let files = match self.is_read() {
            true => format!(", {}", count(self.files, "file", "files")),
            false => String::new(),
        };
        let mut facts = vec![format!("{id}{}{files}", count(self.bytes, "byte", "bytes"))];
        let footage = &self.footage;
        if self.has_footage() {
            let Footage { recordings, pictures, bytes, .. } = footage;
            let times = match footage.since.zip(footage.until) {
                Some((since, until)) => {
                    format!(", written {} to {} by the card's times", date::stamp(since), date::stamp(until))
                }
                None => ", without times".to_owned(),
            };
            facts.push(format!(
                "{} and {}, {}{times}",
                count(*recordings, "recording", "recordings"),
                count(*pictures, "picture", "pictures"),
                count(*bytes, "byte", "bytes")
            ));
            let kinds: Vec<String> =
                footage.kinds.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
            let layout = footage.layout.as_ref().map(|layout| format!("; laid out as by {layout}"));
            facts.push(format!("{}{}", kinds.join(", "), layout.unwrap_or_default()));
            facts.push(format!("for example {}", footage.examples.join(", ")));
        }
        if self.encrypted > 0 {
            let encrypted = count(self.encrypted, "file or folder", "files and folders");
            facts.push(format!("encrypted in it: {encrypted}"));
        }
        facts.extend(self.unread.iter().map(|why| format!("not looked at: {why}")));
        facts
    }

    /// The same in each run, whatever the card is called: SHA-256 of `lenskeep sweep
    /// volume 1`, kind, size, and the number that the file system has (or, if it has
    /// none, its place, with `input` as the first name), each ended by a zero byte; 128 bits
    /// of it.
    pub fn fingerprint(&self, input: &str) -> String {
        let mut hash = Sha256::new();
        let mut add = |part: &str| {
            hash.update(part);
            hash.update([0]);
        };
        ["lenskeep sweep volume 1", &self.kind, &self.bytes.to_string()].into_iter().for_each(&mut add);
        match &self.id {
            Some(id) => add(id),
            None => {
                std::iter::once(input).chain(self.chain.iter().skip(1).map(String::as_str)).for_each(&mut add)
            }
        }
        hash.finalize()[..16].iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
