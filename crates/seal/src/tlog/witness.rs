//! What a log and a witness say to each other (C2SP tlog-witness): the log
//! hands in a checkpoint with the proof that it goes on from the one before,
//! and gets a cosignature back. What a witness must remember is its caller's.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::Hash;

use super::note::{Checkpoint, LogKey, NoteError};
use super::verify_consistency;

/// Hashes in a proof, by the protocol.
const PROOF_MAX: usize = 63;
/// Longest body of `add-checkpoint` that is read: a proof of 63 hashes, and the
/// longest note.
pub const SUBMISSION_BYTES_MAX: usize = 20 << 10;

/// The body of `add-checkpoint`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// Size of the checkpoint that the witness has signed last; 0 if none.
    pub old: u64,
    pub proof: Vec<Hash>,
    pub note: String,
}

/// Why a witness signs nothing. Each has its HTTP status in the protocol.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("this witness does not know the log")]
    Unknown,
    #[error("{0}")]
    Unsigned(NoteError),
    #[error("the old size is larger than the checkpoint's")]
    Larger,
    #[error("this witness has signed {0} entries, and the proof begins elsewhere")]
    Elsewhere(u64),
    #[error("the proof does not show that what this witness signed was kept")]
    Inconsistent,
}

impl Submission {
    pub fn to_text(&self) -> String {
        let mut text = format!("old {}\n", self.old);
        for hash in &self.proof {
            text.push_str(&STANDARD.encode(hash.0));
            text.push('\n');
        }
        text.push('\n');
        text.push_str(&self.note);
        text
    }

    pub fn parse(text: &str) -> Result<Self, NoteError> {
        if text.len() > SUBMISSION_BYTES_MAX {
            return Err(NoteError::Shape("the body is too long"));
        }
        let (head, note) =
            text.split_once("\n\n").ok_or(NoteError::Shape("no empty line is before the checkpoint"))?;
        let mut lines = head.split('\n');
        let size = lines.next().and_then(|line| line.strip_prefix("old "));
        let size = size.ok_or(NoteError::Shape("the first line is not `old` and a size"))?;
        let old: u64 = size.parse().map_err(|_| NoteError::Shape("the old size is no number"))?;
        if old.to_string() != size {
            return Err(NoteError::Shape("the old size is spelled otherwise"));
        }
        let hash = |line: &str| STANDARD.decode(line).ok().and_then(|bytes| bytes.try_into().ok()).map(Hash);
        let proof: Option<Vec<Hash>> = lines.by_ref().take(PROOF_MAX).map(hash).collect();
        let proof = proof.ok_or(NoteError::Shape("a line of the proof is no hash"))?;
        if lines.next().is_some() {
            return Err(NoteError::Shape("a proof has at most 63 hashes"));
        }
        Ok(Submission { old, proof, note: note.to_owned() })
    }

    /// Which log it is said to be of, before anything of it is believed.
    pub fn origin(&self) -> &str {
        self.note.split('\n').next().unwrap_or_default()
    }

    /// The checkpoint that may be signed after what was signed last.
    pub fn judge(&self, log: &LogKey, last: Option<(u64, Hash)>) -> Result<Checkpoint, Refusal> {
        let checkpoint = Checkpoint::verify(&self.note, log).map_err(Refusal::Unsigned)?;
        if self.old > checkpoint.size {
            return Err(Refusal::Larger);
        }
        let signed = last.map_or(0, |(size, _)| size);
        if self.old != signed {
            return Err(Refusal::Elsewhere(signed));
        }
        let new = (checkpoint.size, checkpoint.root);
        let empty = crate::MerkleTree::new().root();
        let follows = match last {
            Some(last) if last.0 > 0 => verify_consistency(last, new, &self.proof),
            _ => self.proof.is_empty() && (checkpoint.size > 0 || checkpoint.root == empty),
        };
        if follows { Ok(checkpoint) } else { Err(Refusal::Inconsistent) }
    }
}
