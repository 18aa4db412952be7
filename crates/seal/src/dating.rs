//! Between which times a recording was made, as the history shows it (section
//! 5.2). Its header may hold a checkpoint: then it was not begun before. Its
//! root stands in a batch that an entry of the history names: then it was there
//! when that entry was signed for. Nothing here is believed because the cloud
//! wrote it: each step is a hash or a signature.

use model::{Hash, OrgId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::tlog::{self, Checkpoint, Cosignature, LogKey, NoteError, Tile};

/// `LKDATE`, a zero byte, version 1.
const MAGIC: [u8; 8] = *b"LKDATE\0\x01";
/// Longest dating that is read: some checkpoints with all their witnesses.
const DATING_BYTES_MAX: usize = 256 << 10;
/// Hashes in one proof: a tree of 2^53 leaves has no longer one.
const PROOF_MAX: usize = 64;
/// Recordings in one batch.
pub const BATCH_MAX: usize = 4_096;
/// Checkpoints in a dating; the first show most.
pub const CHECKPOINTS_MAX: usize = 8;
/// The operation of entries that name a batch.
pub const BATCH_OPERATION: &str = "store_recordings";
const BATCH_RESOURCE: &str = "recordings/";

/// Recordings that one entry of the history stands for. Whoever is shown the
/// path of one learns nothing of the others but that they are there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    leaves: Vec<Hash>,
}

impl Batch {
    /// Adds a recording by its id and root: header and chunks.
    pub fn push(&mut self, id: Hash, root: Hash) {
        self.leaves.push(batch_leaf(id, root));
    }

    pub fn from_leaves(leaves: Vec<Hash>) -> Self {
        Batch { leaves }
    }

    pub fn leaves(&self) -> &[Hash] {
        &self.leaves
    }

    /// As the entry names it: root and number of recordings.
    pub fn resource(&self) -> String {
        resource(
            self.subtree(&tlog::nodes(0, self.leaves.len() as u64)).unwrap_or_default(),
            self.leaves.len(),
        )
    }

    /// What proves that the recording at `index` is in it (RFC 9162 section
    /// 2.1.3). None if there is none.
    pub fn path(&self, index: usize) -> Option<Vec<Hash>> {
        let parts = tlog::inclusion(index as u64, self.leaves.len() as u64)?;
        parts.iter().map(|part| self.subtree(part)).collect()
    }

    fn subtree(&self, part: &tlog::Part) -> Option<Hash> {
        let root = |node: &tlog::Node| {
            let first = (node.index << node.level) as usize;
            self.leaves.get(first..first + (1 << node.level)).and_then(Tile::root)
        };
        tlog::fold(&part.iter().map(root).collect::<Option<Vec<_>>>()?)
    }
}

fn batch_leaf(id: Hash, root: Hash) -> Hash {
    tlog::leaf_hash(&[id.0, root.0].concat())
}

fn resource(root: Hash, count: usize) -> String {
    format!("{BATCH_RESOURCE}{root}/{count}")
}

/// What the cloud hands out with an export, and a proof holds after an excerpt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dating {
    /// The log's key, as `name+hash+base64`.
    pub log: String,
    /// An entry of the history before the checkpoint that the header holds.
    pub before: Option<Before>,
    /// None while the recording is in no batch.
    pub stored: Option<Stored>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Before {
    pub seq: u64,
    pub leaf: String,
    /// That it is in the tree of the header's checkpoint.
    pub proof: Vec<Hash>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stored {
    /// Place of the recording in the batch, and how many there are.
    pub index: u32,
    pub count: u32,
    pub path: Vec<Hash>,
    /// The entry that names the batch.
    pub seq: u64,
    pub leaf: String,
    /// Checkpoints of trees that hold the entry, with cosignatures.
    pub checkpoints: Vec<Published>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Published {
    pub note: String,
    /// That the entry is in its tree.
    pub proof: Vec<Hash>,
}

/// The recording that is dated, as its gateway signed it.
#[derive(Clone, Copy, Debug)]
pub struct Dated<'r> {
    pub org: OrgId,
    pub id: Hash,
    pub root: Hash,
    /// Of its header.
    pub checkpoint: Option<&'r str>,
}

/// What is proven.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Times {
    pub not_before: Option<Bound>,
    pub existed: Option<Bound>,
}

/// One end of the time. What the log says is the word of whoever runs the
/// cloud; what a witness says is the witness's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// Of the checkpoint: the smallest that shows it.
    pub size: u64,
    pub said_by_log: Option<Timestamp>,
    /// Of each witness the time that binds most.
    pub witnesses: Vec<Cosignature>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DatingError {
    #[error("the dating is cut off, or longer than {DATING_BYTES_MAX} bytes")]
    Length,
    #[error("the dating is not spelled as its format says: {0}")]
    Spelling(String),
    #[error("the dating is by another log than the one that is known: {0}")]
    OtherLog(String),
    #[error("the checkpoint in the header: {0}")]
    Header(NoteError),
    #[error("a checkpoint of the dating: {0}")]
    Note(NoteError),
    #[error("the header holds no checkpoint, and the dating claims an entry before it")]
    NoCheckpoint,
    #[error("the entry is not in the log's checkpoint of {0} entries")]
    NotIncluded(u64),
    #[error("the entry does not name a batch of recordings of this organisation: {0}")]
    Entry(&'static str),
    #[error("the recording is not in the batch that the entry names")]
    OtherRecording,
    #[error("no checkpoint shows the entry")]
    Unpublished,
}

/// What an entry of the log says; other keys are none of a dating's business.
#[derive(Deserialize)]
struct Entry {
    time: Timestamp,
    api: Api,
    resources: Vec<Resource>,
    unmapped: Unmapped,
}

#[derive(Deserialize)]
struct Api {
    operation: String,
}

#[derive(Deserialize)]
struct Resource {
    uid: String,
}

#[derive(Deserialize)]
struct Unmapped {
    org: OrgId,
    seq: u64,
}

impl Dating {
    pub fn to_bytes(&self) -> Vec<u8> {
        let json = crate::to_canonical(self);
        let length = (json.len() as u32).to_be_bytes();
        [MAGIC.as_slice(), &length, &json].concat()
    }

    /// The dating that `bytes` begin with, and what follows it; None if they
    /// begin with something else.
    pub fn parse(bytes: &[u8]) -> Result<Option<(Self, &[u8])>, DatingError> {
        let Some(rest) = bytes.strip_prefix(&MAGIC) else { return Ok(None) };
        let (length, rest) = rest.split_first_chunk::<4>().ok_or(DatingError::Length)?;
        let length = u32::from_be_bytes(*length) as usize;
        if length > DATING_BYTES_MAX {
            return Err(DatingError::Length);
        }
        let (json, rest) = rest.split_at_checked(length).ok_or(DatingError::Length)?;
        let dating: Dating =
            crate::from_canonical(json).map_err(|error| DatingError::Spelling(error.to_string()))?;
        dating.check()?;
        Ok(Some((dating, rest)))
    }

    fn check(&self) -> Result<(), DatingError> {
        let stored = self.stored.iter();
        let proofs = self.before.iter().map(|before| &before.proof);
        let proofs = proofs.chain(stored.clone().map(|stored| &stored.path));
        let published = stored.clone().flat_map(|stored| &stored.checkpoints);
        let mut proofs = proofs.chain(published.map(|published| &published.proof));
        let fits = proofs.all(|proof| proof.len() <= PROOF_MAX)
            && stored.clone().all(|stored| stored.checkpoints.len() <= CHECKPOINTS_MAX);
        if fits { Ok(()) } else { Err(DatingError::Spelling("it has too many parts".to_owned())) }
    }

    /// What it proves of this recording, to whoever knows the log and these
    /// witnesses. Refused as a whole if any step of it does not hold.
    pub fn verify(&self, of: Dated<'_>, log: &LogKey, witnesses: &[LogKey]) -> Result<Times, DatingError> {
        self.check()?;
        if self.log != log.verifier_key() || log.name != format!("lenskeep/{}", of.org) {
            return Err(DatingError::OtherLog(self.log.chars().take(200).collect()));
        }
        Ok(Times {
            not_before: self.not_before(of, log, witnesses)?,
            existed: self.stored.as_ref().map(|stored| stored.verify(of, log, witnesses)).transpose()?,
        })
    }

    fn not_before(
        &self,
        of: Dated<'_>,
        log: &LogKey,
        witnesses: &[LogKey],
    ) -> Result<Option<Bound>, DatingError> {
        let bound = of.checkpoint.map(|note| not_before(note, log, witnesses)).transpose();
        let Some((checkpoint, mut bound)) = bound.map_err(DatingError::Header)? else {
            return if self.before.is_none() { Ok(None) } else { Err(DatingError::NoCheckpoint) };
        };
        if let Some(Before { seq, leaf, proof }) = &self.before {
            included((*seq, leaf), &checkpoint, proof)?;
            bound.said_by_log = Some(entry(leaf, *seq, of.org)?.time);
        }
        Ok(Some(bound))
    }
}

/// What a checkpoint in a header shows by itself: the recording was begun after
/// each of these signatures.
pub fn not_before(note: &str, log: &LogKey, witnesses: &[LogKey]) -> Result<(Checkpoint, Bound), NoteError> {
    let checkpoint = Checkpoint::verify(note, log)?;
    let witnesses = Checkpoint::witnessed(note, witnesses)?;
    let bound = Bound { size: checkpoint.size, said_by_log: None, witnesses };
    Ok((checkpoint, bound))
}

impl Stored {
    fn verify(&self, of: Dated<'_>, log: &LogKey, witnesses: &[LogKey]) -> Result<Bound, DatingError> {
        let entry = entry(&self.leaf, self.seq, of.org)?;
        if entry.api.operation != BATCH_OPERATION {
            return Err(DatingError::Entry("its operation is another"));
        }
        let [Resource { uid }] = entry.resources.as_slice() else {
            return Err(DatingError::Entry("it names not one thing"));
        };
        let named = uid.strip_prefix(BATCH_RESOURCE).and_then(|named| named.split_once('/'));
        let root: Hash = named
            .and_then(|(root, _)| root.parse().ok())
            .ok_or(DatingError::Entry("its resource is no batch"))?;
        // The number of recordings is the entry's, too.
        if resource(root, self.count as usize) != *uid {
            return Err(DatingError::Entry("it names another number of recordings"));
        }
        let leaf = batch_leaf(of.id, of.root);
        if !tlog::verify_inclusion(leaf, self.index.into(), self.count.into(), &self.path, root) {
            return Err(DatingError::OtherRecording);
        }
        let mut bound: Option<Bound> = None;
        for Published { note, proof } in &self.checkpoints {
            let checkpoint = Checkpoint::verify(note, log).map_err(DatingError::Note)?;
            included((self.seq, &self.leaf), &checkpoint, proof)?;
            let signed = Checkpoint::witnessed(note, witnesses).map_err(DatingError::Note)?;
            let bound = bound.get_or_insert_with(|| Bound {
                size: checkpoint.size,
                said_by_log: Some(entry.time),
                witnesses: Vec::new(),
            });
            bound.size = bound.size.min(checkpoint.size);
            bound.witnesses.extend(signed);
        }
        let mut bound = bound.ok_or(DatingError::Unpublished)?;
        bound.witnesses.sort_by(|a, b| (&a.witness, a.at).cmp(&(&b.witness, b.at)));
        bound.witnesses.dedup_by(|later, first| later.witness == first.witness);
        Ok(bound)
    }
}

fn included((seq, leaf): (u64, &str), checkpoint: &Checkpoint, proof: &[Hash]) -> Result<(), DatingError> {
    let hash = tlog::leaf_hash(leaf.as_bytes());
    if tlog::verify_inclusion(hash, seq, checkpoint.size, proof, checkpoint.root) {
        Ok(())
    } else {
        Err(DatingError::NotIncluded(checkpoint.size))
    }
}

fn entry(leaf: &str, seq: u64, org: OrgId) -> Result<Entry, DatingError> {
    let entry: Entry =
        serde_json::from_str(leaf).map_err(|_| DatingError::Entry("it is no entry of a history"))?;
    if entry.unmapped.org == org && entry.unmapped.seq == seq {
        Ok(entry)
    } else {
        Err(DatingError::Entry("it is of another place or organisation"))
    }
}
