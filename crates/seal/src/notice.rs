//! Notices (section 9): what a gateway tells a person's device by way of a push
//! service, and the order by which the device asks for it. The key of the
//! notices goes to the gateway inside the order: cloud and push service carry
//! what they cannot open, and can make none of their own.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use model::wire::Envelope;
use model::{Base64, CameraEvent, CameraId, DeviceId, EventId, EventKind, GatewayId, OrgId, Timestamp};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use crate::envelope::{self, EnvelopeError, PayloadType};
use crate::keys::{KemPublic, KemSecret, SigningKey, VerifyingKey};
use crate::roster::Roster;
use crate::sealed::{self, SealSeed, Sealed};
use crate::still::StillSecret;
use crate::{CanonicalError, from_canonical, to_canonical};

/// An order's longest life. The app renews it whenever it is opened: who does
/// not open it for two months is not told any more.
pub const LIFE_MS_MAX: u64 = 60 * Timestamp::DAY;
/// How far ahead of the reader's clock an order may be made.
pub const AHEAD_MS_MAX: u64 = 5 * Timestamp::MINUTE;
/// Of an order's [`Wishes::rules`].
pub const RULES_MAX: usize = 64;
/// Cameras that all rules of an order name together.
pub const CAMERAS_MAX: usize = 1_000;
/// Of [`Wishes::quiet`]: two for each day of the longest life, and some.
pub const QUIET_MAX: usize = 128;
/// Of [`Wishes::pause_ms`].
pub const PAUSE_MS_MAX: u64 = Timestamp::DAY;
/// Of an order's payload: all of the above at its most, sealed and in base64.
pub const ORDER_BYTES_MAX: usize = 96 << 10;
/// Every notice is as long, so that its length tells nothing.
pub const NOTICE_BYTES: usize = NONCE_BYTES + PADDED_BYTES + TAG_BYTES;

const NONCE_BYTES: usize = 12;
const TAG_BYTES: usize = 16;
/// Room for the longest rule, escaped, and the secret of a picture.
const PADDED_BYTES: usize = 640;
/// What is ordered has a length that is a multiple of it.
const WISHES_PADDING: usize = 4_096;
const ORDER_INFO: &str = "lenskeep notice order v1";

/// Opens the notices of one gateway for one device, and makes them.
#[derive(Clone)]
pub struct NoticeKey(Zeroizing<[u8; 32]>);

impl NoticeKey {
    pub fn from_random(bytes: [u8; 32]) -> Self {
        NoticeKey(Zeroizing::new(bytes))
    }

    fn aead(&self) -> LessSafeKey {
        LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &*self.0).expect("a key of 32 bytes"))
    }
}

impl std::fmt::Debug for NoticeKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NoticeKey(…)")
    }
}

impl Serialize for NoticeKey {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Base64::from(*self.0).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for NoticeKey {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut bytes = Base64::deserialize(deserializer)?.0;
        let key = <[u8; 32]>::try_from(bytes.as_slice());
        bytes.zeroize();
        key.map(NoticeKey::from_random).map_err(|_| serde::de::Error::custom("a key has 32 bytes"))
    }
}

/// Between whom notices go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channel {
    pub org: OrgId,
    pub gateway: GatewayId,
    pub device: DeviceId,
}

impl Channel {
    fn associated(&self, label: &str) -> Vec<u8> {
        let Channel { org, gateway, device } = self;
        format!("{label}|{org}|{gateway}|{device}").into_bytes()
    }
}

/// The part of an order that everybody can read; the device signs it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoticeOrder {
    pub org: OrgId,
    pub gateway: GatewayId,
    pub device: DeviceId,
    /// Of two orders of a device, the later one counts.
    pub issued_at: Timestamp,
    pub expires_at: Timestamp,
    /// [`Wishes`], to the gateway.
    pub sealed: Sealed,
}

/// What the device wants to be told, which only the gateway reads.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wishes {
    pub key: NoticeKey,
    /// An event is told if any of them wants it.
    pub rules: Vec<Rule>,
    /// When nothing is told: nights, holidays, "not for an hour".
    pub quiet: Vec<Stretch>,
    /// After a notice, none of the same camera and kind is told for so long.
    pub pause_ms: u64,
    /// A still picture is to come with each, if there is one. Orders of a page of
    /// before do not say so, and its service worker knows none.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pictures: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// None: all that the device may see.
    pub cameras: Option<Vec<CameraId>>,
    pub kinds: Vec<EventKind>,
}

/// From (inclusive) and to (exclusive).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stretch {
    pub from: Timestamp,
    pub to: Timestamp,
}

/// What one notice says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Notice {
    pub event: EventId,
    pub camera: CameraId,
    /// When it began, by the gateway's clock.
    pub at: Timestamp,
    pub kind: EventKind,
    /// A stranger's words, as in an event.
    pub rule: Option<String>,
    /// By which a still picture is found and opened, if the gateway can take one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub still: Option<StillSecret>,
}

#[derive(Debug, thiserror::Error)]
pub enum NoticeError {
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    #[error("notice order: {0}")]
    Payload(#[from] CanonicalError),
    #[error("the order is for another organisation or gateway, or names another device than signed it")]
    Channel,
    #[error("the order has expired, was made in the future, or lives longer than 60 days")]
    Expired,
    #[error("the signer is not a device in force")]
    Device,
    #[error("the order's wishes are not sealed to this gateway, or are none")]
    Sealed,
    #[error("an order has at most 96 KiB, 64 rules, 1 000 cameras, 128 quiet times and a pause of a day")]
    TooMuch,
    #[error("a later order of the device was seen")]
    Older,
    #[error("the notice does not open, or holds none")]
    Notice,
}

impl NoticeOrder {
    /// Seals `wishes` to the gateway.
    pub fn new(
        channel: Channel,
        (issued_at, expires_at): (Timestamp, Timestamp),
        wishes: &Wishes,
        to: &KemPublic,
        seed: SealSeed,
    ) -> Self {
        let Channel { org, gateway, device } = channel;
        let mut plaintext = Zeroizing::new(to_canonical(wishes));
        pad(&mut plaintext, WISHES_PADDING);
        let sealed = sealed::seal(to, ORDER_INFO, &channel.associated(ORDER_INFO), &plaintext, seed);
        NoticeOrder { org, gateway, device, issued_at, expires_at, sealed }
    }

    pub fn sign(&self, key: &SigningKey) -> Envelope {
        envelope::sign(PayloadType::NoticeOrder, to_canonical(self), &self.device, key)
    }

    /// As everybody can check it who has the roster.
    pub fn verify(envelope: &Envelope, roster: &Roster, now: Timestamp) -> Result<Self, NoticeError> {
        let payload = envelope::payload(PayloadType::NoticeOrder, envelope)?;
        if payload.len() > ORDER_BYTES_MAX {
            return Err(NoticeError::TooMuch);
        }
        let order: NoticeOrder = from_canonical(payload)?;
        let device = roster.device_in_force(order.device, now).ok_or(NoticeError::Device)?;
        let key = VerifyingKey::from_bytes(&device.sign.0).map_err(|_| NoticeError::Device)?;
        envelope::verify(PayloadType::NoticeOrder, envelope, &order.device, key)?;
        if order.org != roster.org() {
            return Err(NoticeError::Channel);
        }
        let NoticeOrder { issued_at, expires_at, .. } = order;
        let lives = expires_at > now && expires_at.ms_since(issued_at) <= LIFE_MS_MAX;
        if !lives || issued_at > now.plus_ms(AHEAD_MS_MAX) {
            return Err(NoticeError::Expired);
        }
        Ok(order)
    }

    pub fn channel(&self) -> Channel {
        Channel { org: self.org, gateway: self.gateway, device: self.device }
    }

    pub fn open(&self, key: &KemSecret) -> Result<Wishes, NoticeError> {
        let aad = self.channel().associated(ORDER_INFO);
        let bytes = sealed::open(key, ORDER_INFO, &aad, &self.sealed).map_err(|_| NoticeError::Sealed)?;
        // The parser's own words could quote a key.
        let wishes: Wishes = from_canonical(unpadded(&bytes)).map_err(|_| NoticeError::Sealed)?;
        let cameras: usize = wishes.rules.iter().filter_map(|rule| rule.cameras.as_ref()).map(Vec::len).sum();
        let is_bounded = wishes.rules.len() <= RULES_MAX
            && cameras <= CAMERAS_MAX
            && wishes.quiet.len() <= QUIET_MAX
            && wishes.pause_ms <= PAUSE_MS_MAX;
        if is_bounded { Ok(wishes) } else { Err(NoticeError::TooMuch) }
    }
}

impl Wishes {
    /// Whether an event is to be told, pauses aside.
    pub fn wants(&self, camera: CameraId, kind: EventKind, now: Timestamp) -> bool {
        let rule_wants = |rule: &Rule| {
            rule.kinds.contains(&kind)
                && rule.cameras.as_ref().is_none_or(|cameras| cameras.contains(&camera))
        };
        self.rules.iter().any(rule_wants)
            && !self.quiet.iter().any(|quiet| quiet.from <= now && now < quiet.to)
    }
}

impl Notice {
    /// `nonce` must never serve twice for a key.
    pub fn seal(&self, key: &NoticeKey, channel: &Channel, nonce: [u8; NONCE_BYTES]) -> Base64 {
        let mut text = to_canonical(self);
        pad(&mut text, PADDED_BYTES);
        debug_assert_eq!(text.len(), PADDED_BYTES, "a rule is bounded");
        let aad = Aad::from(channel.associated(NOTICE_LABEL));
        key.aead()
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut text)
            .expect("a notice is below AES-GCM's bound");
        [nonce.as_slice(), &text].concat().into()
    }

    pub fn open(sealed: &[u8], key: &NoticeKey, channel: &Channel) -> Result<Self, NoticeError> {
        if sealed.len() != NOTICE_BYTES {
            return Err(NoticeError::Notice);
        }
        let (nonce, ciphertext) = sealed.split_first_chunk().ok_or(NoticeError::Notice)?;
        let mut buffer = ciphertext.to_vec();
        let aad = Aad::from(channel.associated(NOTICE_LABEL));
        let plaintext = key
            .aead()
            .open_in_place(Nonce::assume_unique_for_key(*nonce), aad, &mut buffer)
            .map_err(|_| NoticeError::Notice)?;
        let notice: Notice = from_canonical(unpadded(plaintext)).map_err(|_| NoticeError::Notice)?;
        let is_bounded = notice.at.0 < 1 << 53
            && notice.rule.as_ref().is_none_or(|rule| rule.len() <= CameraEvent::RULE_MAX);
        if is_bounded { Ok(notice) } else { Err(NoticeError::Notice) }
    }
}

const NOTICE_LABEL: &str = "lenskeep notice v1";

/// With zero bytes, which no JSON ends in.
fn pad(text: &mut Vec<u8>, to: usize) {
    let length = text.len().next_multiple_of(to);
    text.resize(length, 0);
}

fn unpadded(bytes: &[u8]) -> &[u8] {
    let length = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    &bytes[..length]
}
