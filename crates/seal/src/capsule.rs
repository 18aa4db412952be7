//! Capsules (section 10): footage for somebody without an account. The sharer's
//! own device opens it and seals it again, under a key that stands behind the
//! `#` of a link and that no server is ever sent. From the key come two others:
//! one opens the pieces, the other is shown to the server, which hands out
//! nothing to whoever found only the address.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use model::{Hash, ShareId, Timestamp};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{CanonicalError, from_canonical, hkdf_sha256};

/// Plaintext of a piece; the last of a file may be shorter.
pub const PIECE_BYTES: usize = 1 << 20;
pub const PIECE_SEALED_BYTES_MAX: usize = PIECE_BYTES + TAG_BYTES;
/// Of all pieces together, as they are sealed.
pub const CAPSULE_BYTES_MAX: u64 = 1 << 30;
/// Beside the description.
pub const FILES_MAX: u32 = 64;
/// Of one file: what [`CAPSULE_BYTES_MAX`] has room for.
pub const PIECES_MAX: u32 = 1 << 10;
pub const DESCRIPTION_BYTES_MAX: usize = 64 << 10;
/// Of a note, in UTF-16 code units, as browsers count.
pub const NOTE_MAX: usize = 500;
const NAME_CHARS_MAX: usize = 200;
const ZONE_MAX: usize = 64;
/// The description's length is a multiple of it, so that it tells little.
const DESCRIPTION_PADDING: usize = 4_096;
const TAG_BYTES: usize = 16;
const LABEL: &str = "lenskeep capsule v1";

/// What stands behind the `#` of a link.
#[derive(Clone)]
pub struct CapsuleKey(Zeroizing<[u8; 32]>);

/// A piece of a capsule. File 0 is the description and has one piece; files
/// count from 1, in the order in which the description names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    pub file: u32,
    pub number: u32,
}

pub const DESCRIPTION: Piece = Piece { file: 0, number: 0 };

/// What the capsule holds, as its sharer says: nothing in it was checked by
/// anybody, but for a proof, which others can verify.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// To whom it goes, why: at most [`NOTE_MAX`].
    pub note: Option<String>,
    /// IANA name of the sharer's time zone.
    pub zone: String,
    pub files: Vec<File>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    pub kind: FileKind,
    pub name: String,
    /// As people call it.
    pub camera: String,
    /// Wall time of what the file shows.
    pub from: Timestamp,
    pub to: Timestamp,
    pub bytes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileKind {
    /// MP4.
    Film,
    /// Section 8.
    Proof,
}

#[derive(Debug, thiserror::Error)]
pub enum CapsuleError {
    #[error("the part of the link behind # is not whole: it has 43 letters, digits, - and _")]
    Key,
    #[error("a piece of the capsule does not open: it was altered, or the link is of another one")]
    Piece,
    #[error("the capsule's description: {0}")]
    Description(#[from] CanonicalError),
    #[error("the capsule's description says more than it may")]
    TooMuch,
}

impl CapsuleKey {
    pub fn from_random(bytes: [u8; 32]) -> Self {
        CapsuleKey(Zeroizing::new(bytes))
    }

    pub fn from_link(text: &str) -> Result<Self, CapsuleError> {
        let bytes = Zeroizing::new(BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| CapsuleError::Key)?);
        Ok(CapsuleKey(Zeroizing::new(<[u8; 32]>::try_from(bytes.as_slice()).map_err(|_| CapsuleError::Key)?)))
    }

    /// Not `Display`: whoever has it opens the capsule.
    pub fn to_link(&self) -> Zeroizing<String> {
        Zeroizing::new(BASE64_URL_SAFE_NO_PAD.encode(*self.0))
    }

    /// What the server is shown; it keeps the SHA-256 of it.
    pub fn access(&self, share: ShareId) -> Hash {
        Hash(self.derive(share, "access"))
    }

    /// Exactly once for a piece: content that changes needs another key.
    pub fn seal(&self, share: ShareId, piece: Piece, plaintext: &[u8]) -> Vec<u8> {
        let mut buffer = plaintext.to_vec();
        self.aead(share)
            .seal_in_place_append_tag(piece.nonce(), associated(share), &mut buffer)
            .expect("a piece is below AES-GCM's bound");
        buffer
    }

    pub fn open(&self, share: ShareId, piece: Piece, sealed: &[u8]) -> Result<Vec<u8>, CapsuleError> {
        let mut buffer = sealed.to_vec();
        let plaintext = self
            .aead(share)
            .open_in_place(piece.nonce(), associated(share), &mut buffer)
            .map_err(|_| CapsuleError::Piece)?;
        let length = plaintext.len();
        buffer.truncate(length);
        Ok(buffer)
    }

    pub fn open_description(&self, share: ShareId, sealed: &[u8]) -> Result<Description, CapsuleError> {
        let padded = self.open(share, DESCRIPTION, sealed)?;
        Description::parse(&padded)
    }

    fn aead(&self, share: ShareId) -> LessSafeKey {
        let key = Zeroizing::new(self.derive(share, "content"));
        LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &*key).expect("a key of 32 bytes"))
    }

    fn derive(&self, share: ShareId, use_: &str) -> [u8; 32] {
        let info = format!("{LABEL} {use_}");
        hkdf_sha256(share.to_string().as_bytes(), &*self.0, &[info.as_bytes()])
    }
}

impl std::fmt::Debug for CapsuleKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CapsuleKey(…)")
    }
}

impl Piece {
    /// Every piece has its own, and a capsule's key seals nothing else.
    fn nonce(self) -> Nonce {
        let mut nonce = [0; 12];
        nonce[..4].copy_from_slice(&self.file.to_be_bytes());
        nonce[8..].copy_from_slice(&self.number.to_be_bytes());
        Nonce::assume_unique_for_key(nonce)
    }
}

impl Description {
    /// As [`DESCRIPTION`] is sealed.
    pub fn padded(&self) -> Vec<u8> {
        let mut text = crate::to_canonical(self);
        text.resize(text.len().next_multiple_of(DESCRIPTION_PADDING), 0);
        text
    }

    pub fn parse(padded: &[u8]) -> Result<Self, CapsuleError> {
        if padded.len() > DESCRIPTION_BYTES_MAX {
            return Err(CapsuleError::TooMuch);
        }
        let length = padded.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        let description: Description = from_canonical(&padded[..length])?;
        let bytes = description.files.iter().try_fold(0_u64, |sum, file| sum.checked_add(file.bytes));
        let is_bounded = (1..=FILES_MAX as usize).contains(&description.files.len())
            && bytes.is_some_and(|bytes| bytes <= CAPSULE_BYTES_MAX)
            && description.note.as_ref().is_none_or(|note| note.encode_utf16().count() <= NOTE_MAX)
            && is_zone(&description.zone)
            && description.files.iter().all(File::is_bounded);
        if is_bounded { Ok(description) } else { Err(CapsuleError::TooMuch) }
    }
}

fn is_zone(text: &str) -> bool {
    let is_of_zones = |c: u8| c.is_ascii_alphanumeric() || b"_+:/-".contains(&c);
    (1..=ZONE_MAX).contains(&text.len()) && text.bytes().all(is_of_zones)
}

impl File {
    fn is_bounded(&self) -> bool {
        let is_name = |text: &str| {
            (1..=NAME_CHARS_MAX).contains(&text.chars().count()) && !text.chars().any(char::is_control)
        };
        self.bytes > 0 && self.from <= self.to && is_name(&self.name) && is_name(&self.camera)
    }

    pub fn pieces(&self) -> u32 {
        // Bounded when the description was read.
        u32::try_from(self.bytes.div_ceil(PIECE_BYTES as u64)).unwrap_or(u32::MAX)
    }
}

fn associated(share: ShareId) -> Aad<Vec<u8>> {
    Aad::from(format!("{LABEL}|{share}").into_bytes())
}
