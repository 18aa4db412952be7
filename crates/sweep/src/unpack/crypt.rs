//! What is encrypted as a whole, and what is only said to be: LUKS, BitLocker, noise.
//! Nothing is opened here. A header can lie, so what lies behind it is looked at, too.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::bytes::{be16, be32, be64, byte, take, until_zero};
use super::noise::{Sampled, is_plain_between};
use super::sink::{Covered, Sink, Stop};
use super::{Format, Skip, format_of};
use crate::read::ReadAt;
use crate::volume::{Lock, Volume};

pub(super) const LUKS: &[u8] = b"LUKS\xba\xbe";
pub(super) const BITLOCKER: &[u8] = b"-FVE-FS-";
/// What says BitLocker To Go in the boot sector of a FAT, at byte 424.
const TO_GO: [u8; 16] =
    [0x3b, 0xd6, 0x67, 0x49, 0x29, 0x2e, 0xd8, 0x4a, 0x83, 0x99, 0xf6, 0xa3, 0x39, 0xe3, 0xd0, 0x01];
/// Both headers of LUKS2 together, at most (2.1 of its specification).
const LUKS2_MAX: u64 = 4 << 20;

/// Headers of LUKS take 2 or 16 MiB, as tools make them.
const PAYLOAD_MAX: u64 = 32 << 20;

/// The header is not believed if its own sum is not right, nor if its fields are not
/// sensible: nothing is told then.
pub(super) fn luks(source: &dyn ReadAt, start: u64, sink: &mut Sink<'_>) -> Covered {
    let head = take(source, start, 592)?;
    let Header { kind, cipher, end, payload } = match be16(&head, 6)? {
        1 => luks1(&head)?,
        2 => luks2(source, start)?,
        _ => return Err(Stop::damaged("the version of LUKS")),
    };
    let id = text(&head[168..208]).map(|id| format!("UUID {id}"));
    let bytes = source.len() - start;
    let behind = Sampled::of(source, start.saturating_add(payload));
    let lock = if cipher.contains("null") {
        Lock::Perhaps(format!("by its header, but with {cipher}, which is no encryption"))
    } else if is_plain_between(source, start + end, start.saturating_add(payload)) {
        let why = "but something else than noise lies before what is encrypted";
        Lock::Perhaps(format!("by its header ({cipher}), {why}"))
    } else if behind.plain > 0 {
        Lock::Perhaps(format!("by its header ({cipher}), but what lies behind it is no noise"))
    } else if payload > PAYLOAD_MAX || behind.noise + behind.empty == 0 {
        Lock::Perhaps(format!("by its header ({cipher}), but what is encrypted does not follow it"))
    } else {
        Lock::Encrypted(cipher)
    };
    sink.volume(Volume::new(kind, id, bytes, lock));
    Err(Stop::Skip(Skip::Encrypted))
}

/// What a header of LUKS says.
struct Header {
    kind: &'static str,
    cipher: String,
    /// Where it ends itself, and slots of keys begin.
    end: u64,
    /// Where what is encrypted begins.
    payload: u64,
}

/// LUKS1 (on-disk format 1.2.3): a header of 592 bytes, without a sum.
fn luks1(head: &[u8]) -> Result<Header, Stop> {
    let damaged = || Stop::damaged("the header of LUKS1");
    let (cipher, mode) = (text(&head[8..40]).ok_or_else(damaged)?, text(&head[40..72]).ok_or_else(damaged)?);
    let is_slot = |slot: usize| matches!(be32(head, 208 + slot * 48), Ok(0x00ac_71f3 | 0x0000_dead));
    if !(16..=64).contains(&be32(head, 108)?) || !(0..8).all(is_slot) {
        return Err(damaged());
    }
    let (cipher, payload) = (format!("{cipher}-{mode}"), u64::from(be32(head, 104)?) * 512);
    Ok(Header { kind: "LUKS1", cipher, end: 592, payload })
}

/// LUKS2: a header of 4096 bytes and JSON, with a sum over both (2.1 of its
/// specification).
fn luks2(source: &dyn ReadAt, start: u64) -> Result<Header, Stop> {
    let damaged = || Stop::damaged("the header of LUKS2");
    let bytes = be64(&take(source, start, 16)?, 8)?;
    if !bytes.is_power_of_two() || !(16 << 10..=LUKS2_MAX).contains(&bytes) {
        return Err(damaged());
    }
    let mut head = take(source, start, bytes)?;
    let sum: Vec<u8> = head[448..480].to_vec();
    head[448..512].fill(0);
    // Other sums are allowed and not made by any tool.
    if until_zero(&head[72..104]) != b"sha256" || Sha256::digest(&head)[..] != sum[..] {
        return Err(damaged());
    }
    let json: Value = serde_json::from_slice(until_zero(&head[4096..])).map_err(|_| damaged())?;
    let segments = json["segments"].as_object().ok_or_else(damaged)?;
    let segment = segments.values().find(|segment| segment["type"] == "crypt").ok_or_else(damaged)?;
    let cipher = segment["encryption"].as_str().filter(|name| name.len() <= 64).ok_or_else(damaged)?;
    let payload = segment["offset"].as_str().and_then(|offset| offset.parse().ok()).ok_or_else(damaged)?;
    let cipher = super::bytes::name(cipher.as_bytes());
    // A second header of the same size follows.
    Ok(Header { kind: "LUKS2", cipher, end: 2 * bytes, payload })
}

/// BitLocker's boot sector is that of NTFS with another name.
pub(super) fn bitlocker(source: &dyn ReadAt, start: u64, sink: &mut Sink<'_>) -> Covered {
    let head = take(source, start, 512)?;
    if head[510..] != [0x55, 0xaa] {
        return Err(Stop::damaged("the boot sector of BitLocker"));
    }
    let behind = Sampled::of(source, start + 512);
    let lock = match behind.noise > behind.plain {
        true => Lock::Encrypted("BitLocker".to_owned()),
        false => Lock::Perhaps("by its boot sector, but what lies behind it is no noise".to_owned()),
    };
    sink.volume(Volume::new("BitLocker", None, source.len() - start, lock));
    Err(Stop::Skip(Skip::Encrypted))
}

/// How a FAT is locked: that of BitLocker To Go holds a reader and what it reads.
pub(super) fn of_fat(source: &dyn ReadAt, start: u64, boot: &[u8]) -> Lock {
    if boot.get(424..440) != Some(&TO_GO) {
        return Lock::Open;
    }
    let behind = Sampled::of(source, start + 512);
    match behind.noise > behind.plain {
        true => Lock::Encrypted("BitLocker To Go".to_owned()),
        false => Lock::Perhaps("as BitLocker To Go, but what lies behind it is no noise".to_owned()),
    }
}

/// File systems that are not read, by their magic numbers, some of which can encrypt what
/// they hold. The last four are recorders' own, as those who recover footage describe them.
const OTHERS: [(&str, usize, &[u8], bool); 11] = [
    ("NTFS", 3, b"NTFS    ", false),
    ("XFS", 0, b"XFSB", false),
    ("F2FS", 1024, &[0x10, 0x20, 0xf5, 0xf2], false),
    ("swap space", 4086, b"SWAPSPACE2", false),
    ("LVM", 512, b"LABELONE", false),
    ("APFS", 32, b"NXSB", false),
    ("Btrfs", 0x1_0040, b"_BHRfS_M", false),
    ("disk of Hikvision", 0x210, b"HIKVISION@HANGZHOU", true),
    ("DHFS of Dahua", 0, b"DHFS4.1", true),
    ("WFS of a recorder", 0, b"WFS0.4", true),
    ("WFS of a recorder", 0, b"WFS0.5", true),
];

/// A partition, or a device as a whole, that is of no format which is unpacked.
pub(crate) fn unknown(source: &dyn ReadAt) -> Volume {
    let bytes = source.len();
    let begins = |at: usize, magic: &[u8]| {
        take(source, at as u64, magic.len() as u64).is_ok_and(|found| found == magic)
    };
    if let Some((kind, .., is_recorder)) = OTHERS.into_iter().find(|(_, at, magic, _)| begins(*at, magic)) {
        let mut volume = Volume::new(kind, None, bytes, Lock::Unread);
        volume.is_recorder = is_recorder;
        volume.not_read("its files, since this file system is not unpacked");
        return volume;
    }
    let sampled = Sampled::of(source, 0);
    let lock = match sampled.is_noise() {
        true => Lock::Perhaps(format!(
            "no known header and nothing but noise, {:.4} bits a byte in {} samples",
            sampled.bits(),
            sampled.noise
        )),
        false => Lock::Unknown,
    };
    let kind = if sampled.noise + sampled.plain == 0 { "nothing but zeros" } else { "no file system" };
    let mut volume = Volume::new(kind, None, bytes, lock);
    if sampled.failed > 0 {
        volume.not_read("what could not be read");
    }
    volume
}

/// Whether a source is of a format that is unpacked, or looks like nothing.
pub(crate) fn is_unknown(source: &dyn ReadAt) -> bool {
    matches!(format_of(source), Ok(None))
}

/// What begins with the boot sector of BitLocker, and is no text about it.
pub(super) fn is_bitlocker(head: &[u8]) -> bool {
    byte(head, 0) == 0xeb && head.get(510..512) == Some(&[0x55, 0xaa])
}

/// Printable text before the first zero.
fn text(field: &[u8]) -> Option<String> {
    let text = until_zero(field);
    let is_text = !text.is_empty() && text.iter().all(u8::is_ascii_graphic);
    is_text.then(|| String::from_utf8_lossy(text).into_owned())
}

/// Formats that are encrypted as a whole.
pub(crate) fn is_locked(format: Format) -> bool {
    matches!(format, Format::Luks | Format::BitLocker)
}
