//! What `lzop` made: a header, and blocks of LZO with their sizes.

use super::bytes::{Pieces, be16, be32, byte, name, take};
use super::codec::{self, Codec};
use super::sink::{Covered, Sink, Stop};
use crate::read::ReadAt;

pub(super) const MAGIC: &[u8] = b"\x89LZO\0\r\n\x1a\n";
/// Versions from here on name the version that is needed, and the level.
const WITH_LEVEL: u16 = 0x0940;
/// Of one block; the tool makes some of 256 KiB.
const BLOCK_MAX: u32 = 8 << 20;
/// Flags: sums of what comes out (Adler-32, CRC-32) and of what is packed, an extra
/// field, a filter.
const SUMS: [u32; 2] = [1 << 0, 1 << 8];
const PACKED_SUMS: [u32; 2] = [1 << 1, 1 << 9];
const EXTRA: u32 = 1 << 6;
const FILTER: u32 = 1 << 11;

pub(super) fn unpack(source: &dyn ReadAt, start: u64, sink: &mut Sink<'_>) -> Covered {
    let head = take(source, start, 320.min(source.len().saturating_sub(start)))?;
    let version = be16(&head, 9)?;
    let is_new = version >= WITH_LEVEL;
    let mut at = if is_new { 15 } else { 13 };
    let method = byte(&head, at);
    at += if is_new { 2 } else { 1 };
    let flags = be32(&head, at)?;
    if !(1..=3).contains(&method) || flags & FILTER != 0 {
        return Err(Stop::unsupported("a way of packing of lzop"));
    }
    // Mode and time.
    at += if is_new { 16 } else { 12 };
    let named = usize::from(byte(&head, at));
    let text = name(head.get(at + 1..at + 1 + named).ok_or(Stop::damaged("the header of lzop"))?);
    let mut at = start + (at + 1 + named) as u64 + 4;
    if flags & EXTRA != 0 {
        at += 8 + u64::from(be32(&take(source, at, 4)?, 0)?);
    }
    let sums = |which: [u32; 2]| which.iter().filter(|flag| flags & **flag != 0).count() as u64 * 4;
    let (plain, packed) = (sums(SUMS), sums(PACKED_SUMS));
    let mut ended = false;
    let mut blocks = Pieces::new(|| {
        if ended {
            return Ok(None);
        }
        let bytes = be32(&take(source, at, 4)?, 0)?;
        at += 4;
        if bytes == 0 {
            ended = true;
            return Ok(None);
        }
        let stored = be32(&take(source, at, 4)?, 0)?;
        if bytes > BLOCK_MAX || stored > bytes {
            return Err(Stop::damaged("the size of a block of lzop"));
        }
        at += 4 + plain + if stored < bytes { packed } else { 0 };
        let data = take(source, at, stored.into())?;
        at += u64::from(stored);
        match stored < bytes {
            true => codec::decode(Codec::Lzo, &data, bytes as usize).map(Some),
            false => Ok(Some(data)),
        }
    });
    sink.part(&text, &mut blocks)?;
    drop(blocks);
    Ok(ended.then(|| at.saturating_sub(start)))
}
