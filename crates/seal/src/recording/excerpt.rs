//! An excerpt: some neighbouring chunks of a recording, with what proves to
//! anybody who knows the gateway's public key that they stand in it (section
//! 5.1). Each chunk is shown with its own key or withheld; nothing else of the
//! recording opens with an excerpt.

use model::Hash;

use super::ChunkKey;
use super::layout::{
    CHUNK_HEAD_LEN, CHUNKS_MAX, ChunkHead, FOOTER_BYTES_MAX, Footer, Header, MAGIC, PREFIX_LEN, SIGNATURE_LEN,
};
use super::read::{ChunkOpener, ChunkOrder, ChunkRef, ReadError, Recording, SignedHeader};
use crate::envelope::{PayloadType, signed_bytes};
use crate::keys::VerifyingKey;
use crate::merkle::{leaf, range_proof, range_root};
use crate::{CanonicalError, sha256};

/// `LKCLIP`, a zero byte, version 2.
const CLIP_MAGIC: [u8; 8] = *b"LKCLIP\0\x02";
/// Two hashes for each level of a tree of `CHUNKS_MAX` leaves.
const PROOF_MAX: usize = 36;
const WITHHELD: u8 = 0;
const SHOWN: u8 = 1;

#[derive(Debug, thiserror::Error)]
pub enum ExcerptError {
    #[error("not an excerpt: it does not begin with LKCLIP and version 2")]
    Magic,
    #[error("byte {at}: {what}")]
    Shape { at: usize, what: &'static str },
    #[error(transparent)]
    Header(ReadError),
    #[error("footer: {0}")]
    Footer(CanonicalError),
    #[error("the recording has no such chunks")]
    Stretch,
    #[error("the recording was cut off, and the gateway has not signed it yet")]
    NotClosed,
    #[error("the gateway did not sign the {0}")]
    NotSigned(&'static str),
    #[error("the footer is of another recording")]
    OtherRecording,
    #[error("these are not the chunks that stand there in the recording")]
    OtherChunks,
}

/// One chunk of an excerpt.
#[derive(Clone, Debug)]
pub enum Part<'b> {
    Shown {
        key: ChunkKey,
        head: ChunkHead,
        head_bytes: &'b [u8; CHUNK_HEAD_LEN],
        ciphertext: &'b [u8],
    },
    /// That there is a chunk, of which track and time.
    Withheld {
        head: ChunkHead,
        head_bytes: &'b [u8; CHUNK_HEAD_LEN],
        sha256: Hash,
    },
}

/// Parsed is not believed: call [`Excerpt::verify`].
#[derive(Clone, Debug)]
pub struct Excerpt<'b> {
    pub header: SignedHeader,
    pub footer: Footer,
    /// Number of the first part's chunk.
    pub first: u32,
    pub parts: Vec<Part<'b>>,
    footer_json: &'b [u8],
    footer_signature: &'b [u8],
    proof: Vec<Hash>,
}

impl<'b> Excerpt<'b> {
    /// Appends an excerpt of `count` chunks from `first` on. Of these, `shows`
    /// says which are to be opened; the opener must have their keys.
    pub fn write(
        recording: &Recording<'_>,
        opener: &ChunkOpener,
        (first, count): (usize, usize),
        shows: impl Fn(&ChunkRef<'_>) -> bool,
        out: &mut Vec<u8>,
    ) -> Result<(), ExcerptError> {
        if recording.footer.is_none() {
            return Err(ExcerptError::NotClosed);
        }
        let leaves: Vec<Hash> = recording
            .chunks
            .iter()
            .map(|chunk| chunk_leaf(chunk.head_bytes, sha256(chunk.ciphertext)))
            .collect();
        let proof = range_proof(&leaves, first, count).ok_or(ExcerptError::Stretch)?;
        let SignedHeader { json, signature, .. } = &recording.header;
        let word = |number: usize| (number as u32).to_be_bytes();
        out.extend_from_slice(&CLIP_MAGIC);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&word(json.len()));
        out.extend_from_slice(json);
        out.extend_from_slice(signature);
        out.extend_from_slice(&word(recording.footer_json.len()));
        out.extend_from_slice(recording.footer_json);
        out.extend_from_slice(recording.footer_signature);
        for number in [first, count, proof.len()] {
            out.extend_from_slice(&word(number));
        }
        proof.iter().for_each(|hash| out.extend_from_slice(&hash.0));
        for chunk in &recording.chunks[first..first + count] {
            if shows(chunk) {
                let key = opener.key(chunk.head.track, chunk.number).map_err(ExcerptError::Header)?;
                out.push(SHOWN);
                out.extend_from_slice(&key.0);
                out.extend_from_slice(chunk.head_bytes);
                out.extend_from_slice(chunk.ciphertext);
            } else {
                out.push(WITHHELD);
                out.extend_from_slice(chunk.head_bytes);
                out.extend_from_slice(&sha256(chunk.ciphertext).0);
            }
        }
        Ok(())
    }

    /// The excerpt that `bytes` begin with, and what follows it.
    pub fn parse(bytes: &'b [u8]) -> Result<(Self, &'b [u8]), ExcerptError> {
        let mut rest = Rest { bytes, at: 0 };
        if rest.array::<8>()? != &CLIP_MAGIC {
            return Err(ExcerptError::Magic);
        }
        let prefix = rest.peek::<PREFIX_LEN>()?;
        let head_len = SignedHeader::len_from_prefix(prefix).map_err(ExcerptError::Header)?;
        let header = SignedHeader::parse(rest.take(head_len)?).map_err(ExcerptError::Header)?;
        let footer_len = rest.number(FOOTER_BYTES_MAX, "the footer is too long")?;
        let footer_json = rest.take(footer_len)?;
        let footer: Footer = crate::from_canonical(footer_json).map_err(ExcerptError::Footer)?;
        let footer_signature = rest.take(SIGNATURE_LEN)?;
        let first = rest.number(CHUNKS_MAX as usize, "there are not so many chunks")?;
        let count = rest.number(CHUNKS_MAX as usize, "there are not so many chunks")?;
        let hashes = rest.number(PROOF_MAX, "the proof is too long")?;
        let proof = (0..hashes).map(|_| rest.hash()).collect::<Result<_, _>>()?;
        let (mut parts, mut order) = (Vec::new(), ChunkOrder::default());
        for _ in 0..count {
            parts.push(rest.part(&header.header, &mut order)?);
        }
        let excerpt =
            Excerpt { header, footer, first: first as u32, parts, footer_json, footer_signature, proof };
        Ok((excerpt, &bytes[rest.at..]))
    }

    /// Whether the gateway with this key signed the recording, and these chunks
    /// stand in it at their place.
    pub fn verify(&self, gateway: &VerifyingKey) -> Result<(), ExcerptError> {
        if !self.header.is_signed_by(gateway) {
            return Err(ExcerptError::NotSigned("header"));
        }
        let message = signed_bytes(PayloadType::RecordingFooter, self.footer_json);
        if !gateway.verify(&message, self.footer_signature) {
            return Err(ExcerptError::NotSigned("footer"));
        }
        if self.footer.header != self.header.id {
            return Err(ExcerptError::OtherRecording);
        }
        let leaves: Vec<Hash> = self.parts.iter().map(Part::leaf).collect();
        let root = range_root(u64::from(self.footer.chunks), u64::from(self.first), &leaves, &self.proof);
        if root == Some(self.footer.root) { Ok(()) } else { Err(ExcerptError::OtherChunks) }
    }

    /// What is in the chunk of the part at `index`; None if it is withheld.
    pub fn open(&self, index: usize) -> Option<Result<Vec<u8>, ReadError>> {
        let Part::Shown { key, head_bytes, ciphertext, .. } = self.parts.get(index)? else { return None };
        let mut buffer = ciphertext.to_vec();
        let number = self.first + index as u32;
        let length = key.open(self.header.id, number, head_bytes, &mut buffer).map(|plain| plain.len());
        Some(length.map(|length| {
            buffer.truncate(length);
            buffer
        }))
    }
}

/// A chunk's leaf holds its head beside the hash of what was sealed, so that the
/// head can be shown alone.
fn chunk_leaf(head: &[u8; CHUNK_HEAD_LEN], sealed: Hash) -> Hash {
    leaf(&[head, &sealed.0])
}

impl Part<'_> {
    pub fn head(&self) -> ChunkHead {
        match self {
            Part::Shown { head, .. } | Part::Withheld { head, .. } => *head,
        }
    }

    fn leaf(&self) -> Hash {
        match self {
            Part::Shown { head_bytes, ciphertext, .. } => chunk_leaf(head_bytes, sha256(ciphertext)),
            Part::Withheld { head_bytes, sha256, .. } => chunk_leaf(head_bytes, *sha256),
        }
    }
}

/// Bytes of anybody, from the front.
struct Rest<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl<'b> Rest<'b> {
    fn shape(&self, what: &'static str) -> ExcerptError {
        ExcerptError::Shape { at: self.at, what }
    }

    fn take(&mut self, length: usize) -> Result<&'b [u8], ExcerptError> {
        let taken = self.bytes[self.at..].get(..length).ok_or(self.shape("the excerpt ends here"))?;
        self.at += length;
        Ok(taken)
    }

    fn peek<const N: usize>(&self) -> Result<&'b [u8; N], ExcerptError> {
        self.bytes[self.at..].first_chunk().ok_or(self.shape("the excerpt ends here"))
    }

    fn array<const N: usize>(&mut self) -> Result<&'b [u8; N], ExcerptError> {
        let found = self.peek()?;
        self.at += N;
        Ok(found)
    }

    fn number(&mut self, max: usize, what: &'static str) -> Result<usize, ExcerptError> {
        let number = u32::from_be_bytes(*self.peek()?) as usize;
        if number > max {
            return Err(self.shape(what));
        }
        self.at += 4;
        Ok(number)
    }

    fn hash(&mut self) -> Result<Hash, ExcerptError> {
        Ok(Hash(*self.array()?))
    }

    fn part(&mut self, header: &Header, order: &mut ChunkOrder) -> Result<Part<'b>, ExcerptError> {
        let key = match self.peek::<1>()? {
            [WITHHELD] => {
                self.at += 1;
                None
            }
            [SHOWN] => {
                self.at += 1;
                Some(ChunkKey(*self.array()?))
            }
            _ => return Err(self.shape("a chunk is shown (1) or withheld (0)")),
        };
        let head_bytes = self.peek()?;
        let head = ChunkHead::parse(head_bytes).ok_or(self.shape("reserved bytes are not zero"))?;
        order.next(header, head).map_err(|what| self.shape(what))?;
        self.at += CHUNK_HEAD_LEN;
        Ok(match key {
            Some(key) => Part::Shown { key, head, head_bytes, ciphertext: self.take(head.length as usize)? },
            None => Part::Withheld { head, head_bytes, sha256: self.hash()? },
        })
    }
}
