//! Checkpoints: the size and root of a log, as a signed note (C2SP
//! tlog-checkpoint, signed-note) that witnesses add their signatures to (C2SP
//! tlog-cosignature, v1).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::{Hash, Timestamp};

use crate::keys::{SigningKey, VerifyingKey};

/// Longest note that is read.
const NOTE_BYTES_MAX: usize = 16 << 10;
/// Signatures that are looked at.
const SIGNATURES_MAX: usize = 64;
/// "— ": how a line with a signature begins.
const MARK: &str = "\u{2014} ";
/// The greatest integer that every reader has (RFC 8259 section 6).
const SIZE_MAX: u64 = (1 << 53) - 1;
const ED25519: u8 = 0x01;
const COSIGNATURE: u8 = 0x04;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    pub origin: String,
    pub size: u64,
    pub root: Hash,
}

/// A name and a key, which together make a signature's key id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogKey {
    pub name: String,
    pub key: VerifyingKey,
}

/// A witness has seen this checkpoint after no other history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cosignature {
    pub witness: String,
    pub at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    #[error("the checkpoint is longer than {NOTE_BYTES_MAX} bytes")]
    TooLong,
    #[error("not a checkpoint: {0}")]
    Shape(&'static str),
    #[error("the checkpoint is of another log: {0}")]
    Origin(String),
    #[error("the checkpoint is not signed by {0}")]
    Signature(String),
}

impl Checkpoint {
    pub fn body(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root.0))
    }

    /// The checkpoint that `log` signed. Its name is the log's origin.
    pub fn verify(note: &str, log: &LogKey) -> Result<Self, NoteError> {
        let (body, signatures) = parts(note)?;
        let checkpoint = Self::parse(body)?;
        if checkpoint.origin != log.name {
            return Err(NoteError::Origin(checkpoint.origin.chars().take(100).collect()));
        }
        let id = key_id(log, ED25519);
        // One that names the log's key and is not by it spoils the note (C2SP signed-note).
        let mut signed = false;
        for (name, bytes) in &signatures {
            let Some((found, signature)) = bytes.split_first_chunk::<4>() else { continue };
            if *name == log.name && *found == id {
                if !log.key.verify(body.as_bytes(), signature) {
                    return Err(NoteError::Signature(log.name.clone()));
                }
                signed = true;
            }
        }
        if signed { Ok(checkpoint) } else { Err(NoteError::Signature(log.name.clone())) }
    }

    /// How many entries a note speaks of, before anything of it is believed.
    pub fn claimed_size(note: &str) -> Option<u64> {
        parts(note).and_then(|(body, _)| Self::parse(body)).ok().map(|checkpoint| checkpoint.size)
    }

    /// Which of these witnesses signed it, each once.
    pub fn witnessed(note: &str, witnesses: &[LogKey]) -> Result<Vec<Cosignature>, NoteError> {
        let (body, signatures) = parts(note)?;
        let mut found: Vec<Cosignature> = Vec::new();
        for witness in witnesses {
            let id = key_id(witness, COSIGNATURE);
            let signed = signatures.iter().find_map(|(name, bytes)| {
                let (found, rest) = bytes.split_first_chunk::<4>()?;
                let (time, signature) = rest.split_first_chunk::<8>()?;
                let at = u64::from_be_bytes(*time);
                // Zero is no time, and what a signed number does not hold is none (C2SP tlog-cosignature).
                let fits = (1..=i64::MAX as u64).contains(&at)
                    && *name == witness.name
                    && *found == id
                    && witness.key.verify(cosigned(at, body).as_bytes(), signature);
                fits.then_some(at)
            });
            if let Some(seconds) = signed {
                let at = Timestamp(seconds.saturating_mul(Timestamp::SECOND));
                found.push(Cosignature { witness: witness.name.clone(), at });
            }
        }
        Ok(found)
    }

    fn parse(body: &str) -> Result<Self, NoteError> {
        let mut lines = body.split('\n');
        let mut line = |what| lines.next().filter(|line| !line.is_empty()).ok_or(NoteError::Shape(what));
        let origin = line("it has no origin")?.to_owned();
        let size_text = line("it has no size")?;
        let size: u64 = size_text.parse().map_err(|_| NoteError::Shape("its size is no number"))?;
        if size > SIZE_MAX {
            return Err(NoteError::Shape("its size is 2^53 or more"));
        }
        let root = STANDARD.decode(line("it has no root")?).ok().and_then(|root| root.try_into().ok());
        let checkpoint =
            Checkpoint { origin, size, root: Hash(root.ok_or(NoteError::Shape("its root is no hash"))?) };
        // We write no extension lines, and numbers and base64 in one spelling.
        if checkpoint.body() == body {
            Ok(checkpoint)
        } else {
            Err(NoteError::Shape("it is spelled otherwise"))
        }
    }
}

/// The checkpoint as a note that the log signed.
pub fn sign(checkpoint: &Checkpoint, key: &SigningKey) -> String {
    let body = checkpoint.body();
    let log = LogKey { name: checkpoint.origin.clone(), key: key.verifying_key() };
    let signature = [key_id(&log, ED25519).as_slice(), &key.sign(body.as_bytes())].concat();
    format!("{body}\n{}", line(&log.name, &signature))
}

/// The line that a witness adds to a note. Whether it follows what the witness
/// saw before, the witness has checked.
pub fn sign_witnessed(checkpoint: &Checkpoint, name: &str, key: &SigningKey, at: Timestamp) -> String {
    let seconds = at.0 / Timestamp::SECOND;
    let witness = LogKey { name: name.to_owned(), key: key.verifying_key() };
    let signature = key.sign(cosigned(seconds, &checkpoint.body()).as_bytes());
    let bytes = [key_id(&witness, COSIGNATURE).as_slice(), &seconds.to_be_bytes(), &signature].concat();
    line(name, &bytes)
}

fn cosigned(seconds: u64, body: &str) -> String {
    format!("cosignature/v1\ntime {seconds}\n{body}")
}

/// The note with the signatures that another note of the same checkpoint has
/// beside its own. As it is if there is no such, or if nobody would read it.
pub fn join(note: &str, other: &str) -> String {
    let (Ok((body, own)), Ok((others, _))) = (parts(note), parts(other)) else { return note.to_owned() };
    if body != others {
        return note.to_owned();
    }
    let has = |line: &&str| note.split_inclusive('\n').any(|own| own == *line);
    let more: Vec<&str> = other[others.len() + 1..].split_inclusive('\n').filter(|line| !has(line)).collect();
    let joined = note.to_owned() + &more.concat();
    if own.len() + more.len() <= SIGNATURES_MAX && joined.len() <= NOTE_BYTES_MAX {
        joined
    } else {
        note.to_owned()
    }
}

fn line(name: &str, bytes: &[u8]) -> String {
    format!("{MARK}{name} {}\n", STANDARD.encode(bytes))
}

fn key_id(log: &LogKey, kind: u8) -> [u8; 4] {
    let hash = crate::sha256(&[log.name.as_bytes(), b"\n", &[kind], log.key.as_bytes()].concat());
    [hash.0[0], hash.0[1], hash.0[2], hash.0[3]]
}

/// A name, and the bytes after it: key id and signature.
type Signed<'n> = (&'n str, Vec<u8>);

/// The text that is signed, and who signed it.
fn parts(note: &str) -> Result<(&str, Vec<Signed<'_>>), NoteError> {
    if note.len() > NOTE_BYTES_MAX {
        return Err(NoteError::TooLong);
    }
    let at = note.rfind("\n\n").ok_or(NoteError::Shape("it has no signature"))?;
    let (body, signatures) = (&note[..=at], &note[at + 2..]);
    let mut found = Vec::new();
    for line in signatures.strip_suffix('\n').ok_or(NoteError::Shape("its last line is torn"))?.split('\n') {
        let (name, bytes) = line
            .strip_prefix(MARK)
            .and_then(|line| line.split_once(' '))
            .ok_or(NoteError::Shape("a line is no signature"))?;
        let bytes = STANDARD.decode(bytes).map_err(|_| NoteError::Shape("a signature is not base64"))?;
        if found.len() == SIGNATURES_MAX {
            return Err(NoteError::Shape("it has too many signatures"));
        }
        found.push((name, bytes));
    }
    Ok((body, found))
}

impl LogKey {
    /// The inverse of [`LogKey::verifier_key`].
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        Self::parse_as(text, ED25519, NoteError::Shape("a log's key is name+hash+base64"))
    }

    /// The inverse of [`LogKey::cosigner_key`].
    pub fn parse_cosigner(text: &str) -> Result<Self, NoteError> {
        let shape = NoteError::Shape("a witness's key is name+hash+base64, of cosignatures with Ed25519");
        Self::parse_as(text, COSIGNATURE, shape)
    }

    fn parse_as(text: &str, kind: u8, shape: NoteError) -> Result<Self, NoteError> {
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(_), Some(bytes)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(shape);
        };
        let bytes = STANDARD.decode(bytes).map_err(|_| shape.clone())?;
        let key = match bytes.split_first() {
            Some((&found, key)) if found == kind => {
                VerifyingKey::from_bytes(key).map_err(|_| shape.clone())?
            }
            _ => return Err(shape),
        };
        // One word, since it stands in a line.
        if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(shape);
        }
        let key = LogKey { name: name.to_owned(), key };
        // The hash in it, and nothing spelled otherwise.
        if key.written_as(kind) == text { Ok(key) } else { Err(shape) }
    }

    /// `name+hash+base64` (C2SP signed-note), for other verifiers.
    pub fn verifier_key(&self) -> String {
        self.written_as(ED25519)
    }

    /// `name+hash+base64` of a witness (C2SP tlog-cosignature).
    pub fn cosigner_key(&self) -> String {
        self.written_as(COSIGNATURE)
    }

    fn written_as(&self, kind: u8) -> String {
        let bytes = [&[kind], self.key.as_bytes().as_slice()].concat();
        let id: String = key_id(self, kind).iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{}+{id}+{}", self.name, STANDARD.encode(bytes))
    }
}
