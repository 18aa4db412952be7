//! Bookmarks (section 12): a stretch of a camera's time with a note, and, if it
//! is locked, the order to its gateway to delete nothing of it. A device signs
//! all of it. The note is sealed with the key of the footage itself: whoever can
//! open the picture reads what was written about it, and nobody else.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use model::wire::Envelope;
use model::{Base64, BookmarkId, CameraId, DeviceId, EpochId, GatewayId, Hash, OrgId, Timestamp};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::envelope::{self, EnvelopeError, PayloadType};
use crate::grant::EpochKey;
use crate::keys::{SigningKey, VerifyingKey};
use crate::roster::Roster;
use crate::{CanonicalError, from_canonical, hkdf_sha256, to_canonical};

/// Of what one bookmark covers.
pub const STRETCH_MS_MAX: u64 = 7 * Timestamp::DAY;
/// How far ahead of the reader's clock a bookmark is made or ends: clocks differ.
pub const AHEAD_MS_MAX: u64 = 5 * Timestamp::MINUTE;
/// Of a lock that ends: ten years, and a day for calendars.
pub const LOCK_MS_MAX: u64 = 3_653 * Timestamp::DAY;
/// Of a note, in UTF-16 code units, as browsers count.
pub const NOTE_MAX: usize = 2_000;
/// Of the name of a case, likewise.
pub const CASE_MAX: usize = 100;
/// A note's length is a multiple of it, so that it tells little.
const PADDING: usize = 512;
/// Both texts at their longest, each unit escaped with six bytes, and what
/// stands around them.
const PADDED_BYTES_MAX: usize = (6 * (NOTE_MAX + CASE_MAX) + 64).next_multiple_of(PADDING);
const TAG_BYTES: usize = 16;
/// Of [`Bookmark::note`].
pub const NOTE_BYTES_MAX: usize = NONCE_LEN + PADDED_BYTES_MAX + TAG_BYTES;
const LABEL: &str = "lenskeep bookmark v1";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bookmark {
    pub org: OrgId,
    /// That recorded what is marked.
    pub gateway: GatewayId,
    pub camera: CameraId,
    pub bookmark: BookmarkId,
    pub device: DeviceId,
    pub from: Timestamp,
    pub to: Timestamp,
    /// None: retention goes on as if nothing were marked.
    pub lock: Option<Lock>,
    /// Of two of the same id, the later one counts.
    pub issued_at: Timestamp,
    /// Whose key the note is sealed with.
    pub epoch: EpochId,
    /// A nonce, and the sealed [`Note`].
    pub note: Base64,
}

/// An evidence lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// None: until somebody lifts it.
    pub until: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Note {
    /// What was seen: at most [`NOTE_MAX`], and may be empty.
    pub text: String,
    /// What it belongs to with others, by its name.
    pub case: Option<String>,
}

/// What a gateway says of an order to lock, or to lock no more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockResult {
    pub org: OrgId,
    pub gateway: GatewayId,
    pub bookmark: BookmarkId,
    /// The bookmark's payload.
    pub order: Hash,
    pub at: Timestamp,
    pub refused: Option<LockRefusal>,
    /// Locked by this bookmark, of all streams of its camera.
    pub recordings: u64,
    pub bytes: u64,
    /// How much of the stretch the full stream has here.
    pub recorded_ms: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LockRefusal {
    /// By the gateway's roster, this device may not.
    NotAllowed,
    /// A later order was taken before.
    Older,
    /// Locks may hold no more of what may be recorded here.
    Full,
    /// There are as many bookmarks as the gateway remembers.
    TooMany,
}

/// Seals and opens notes about one camera's footage of one epoch.
pub struct NoteKey(LessSafeKey);

#[derive(Debug, thiserror::Error)]
pub enum BookmarkError {
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    #[error("bookmark: {0}")]
    Payload(#[from] CanonicalError),
    #[error("the bookmark is of another organisation or gateway")]
    Target,
    #[error("the device that it names signs it, alone, and is in force")]
    Signer,
    #[error("a bookmark covers at most 7 days that are over, and a lock at least a moment of them")]
    Stretch,
    #[error("it was made in the future")]
    Ahead,
    #[error("a lock ends within ten years, after it was made")]
    Lock,
    #[error("a note has at most {NOTE_MAX} characters, and a case a name of 1 to {CASE_MAX}")]
    Note,
    #[error("the note does not open: it was altered, or sealed with another key")]
    Sealed,
}

impl Bookmark {
    pub fn sign(&self, key: &SigningKey) -> Envelope {
        envelope::sign(PayloadType::Bookmark, to_canonical(self), &self.device, key)
    }

    /// The bookmark, and the hash of its payload. Whether its device's person may
    /// open the camera, and change what is there, the caller sees to.
    pub fn verify(
        envelope: &Envelope,
        roster: &Roster,
        now: Timestamp,
    ) -> Result<(Self, Hash), BookmarkError> {
        let (bookmark, hash) = Bookmark::authentic(envelope, roster)?;
        roster.device_in_force(bookmark.device, now).ok_or(BookmarkError::Signer)?;
        bookmark.check(now)?;
        Ok((bookmark, hash))
    }

    /// What a device of the organisation signed, whether or not it is in force still:
    /// enough to be answered about, and nothing to act on.
    pub fn authentic(envelope: &Envelope, roster: &Roster) -> Result<(Self, Hash), BookmarkError> {
        let bytes = envelope::payload(PayloadType::Bookmark, envelope)?;
        let bookmark: Bookmark = from_canonical(bytes)?;
        let known = roster.device_once(bookmark.device).ok_or(BookmarkError::Signer)?;
        let key = VerifyingKey::from_bytes(&known.sign.0).map_err(|_| BookmarkError::Signer)?;
        envelope::verify(PayloadType::Bookmark, envelope, &bookmark.device, key)?;
        if bookmark.org != roster.org() {
            return Err(BookmarkError::Target);
        }
        Ok((bookmark, crate::sha256(bytes)))
    }

    fn check(&self, now: Timestamp) -> Result<(), BookmarkError> {
        if self.issued_at > now.plus_ms(AHEAD_MS_MAX) {
            return Err(BookmarkError::Ahead);
        }
        let is_stretch = self.from <= self.to
            && self.to.ms_since(self.from) <= STRETCH_MS_MAX
            && self.to <= self.issued_at.plus_ms(AHEAD_MS_MAX);
        if !is_stretch || (self.lock.is_some() && self.from == self.to) {
            return Err(BookmarkError::Stretch);
        }
        let ends = |until| until > self.issued_at && until <= self.issued_at.plus_ms(LOCK_MS_MAX);
        if !self.lock.and_then(|lock| lock.until).is_none_or(ends) {
            return Err(BookmarkError::Lock);
        }
        let sealed = self.note.0.len();
        let is_padded =
            sealed > NONCE_LEN + TAG_BYTES && (sealed - NONCE_LEN - TAG_BYTES).is_multiple_of(PADDING);
        if is_padded && sealed <= NOTE_BYTES_MAX { Ok(()) } else { Err(BookmarkError::Note) }
    }

    /// Whether it holds what it covers, at this time.
    pub fn locks_at(&self, now: Timestamp) -> bool {
        self.lock.is_some_and(|lock| lock.until.is_none_or(|until| now < until))
    }
}

impl LockResult {
    pub fn sign(&self, key: &SigningKey) -> Envelope {
        envelope::sign(PayloadType::LockResult, to_canonical(self), &self.gateway, key)
    }

    pub fn verify(
        envelope: &Envelope,
        (gateway, key): (GatewayId, VerifyingKey),
    ) -> Result<Self, BookmarkError> {
        let bytes = envelope::verify(PayloadType::LockResult, envelope, &gateway, key)?;
        let result: LockResult = from_canonical(bytes)?;
        if result.gateway == gateway { Ok(result) } else { Err(BookmarkError::Target) }
    }
}

impl NoteKey {
    /// `video` is the key of the camera's video in the epoch that bookmarks name.
    pub fn new(video: &EpochKey, camera: CameraId) -> Self {
        let key = hkdf_sha256(camera.to_string().as_bytes(), video.bytes(), &[LABEL.as_bytes()]);
        let key = Zeroizing::new(key);
        NoteKey(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &*key).expect("a key of 32 bytes")))
    }

    /// Every sealing takes a nonce of its own: many notes share a key.
    pub fn seal(&self, bookmark: BookmarkId, note: &Note, nonce: [u8; NONCE_LEN]) -> Base64 {
        let mut buffer = to_canonical(note);
        buffer.resize(buffer.len().next_multiple_of(PADDING), 0);
        self.0
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), associated(bookmark), &mut buffer)
            .expect("a note is below AES-GCM's bound");
        Base64([nonce.as_slice(), &buffer].concat())
    }

    pub fn open(&self, bookmark: BookmarkId, sealed: &Base64) -> Result<Note, BookmarkError> {
        let (nonce, ciphertext) = sealed.0.split_at_checked(NONCE_LEN).ok_or(BookmarkError::Sealed)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| BookmarkError::Sealed)?;
        let mut buffer = ciphertext.to_vec();
        let padded = self
            .0
            .open_in_place(nonce, associated(bookmark), &mut buffer)
            .map_err(|_| BookmarkError::Sealed)?;
        let length = padded.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        let note: Note = from_canonical(&padded[..length])?;
        let is_case = |case: &String| {
            (1..=CASE_MAX).contains(&case.encode_utf16().count()) && !case.chars().any(char::is_control)
        };
        let is_bounded =
            note.text.encode_utf16().count() <= NOTE_MAX && note.case.as_ref().is_none_or(is_case);
        if is_bounded { Ok(note) } else { Err(BookmarkError::Note) }
    }
}

impl std::fmt::Debug for NoteKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NoteKey(…)")
    }
}

fn associated(bookmark: BookmarkId) -> Aad<Vec<u8>> {
    Aad::from(format!("{LABEL}|{bookmark}").into_bytes())
}
