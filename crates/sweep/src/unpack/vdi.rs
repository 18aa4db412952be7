//! Disks of VirtualBox: images of VDI 1.1 that grow, and those of a fixed size.

use super::bytes::{le16, le32, le64, take};
use super::machine::{Disk, ON_TOP, Place};
use super::sink::{Covered, Sink, Stop};
use crate::read::ReadAt;

/// Behind a text that says who wrote it.
pub(super) const MAGIC: &[u8] = &[0x7f, 0x10, 0xda, 0xbe];
pub(super) const MAGIC_AT: usize = 64;
/// Of entries of the map from this one on, there is no block.
const NONE_FROM: u32 = u32::MAX - 1;

pub(super) fn begins(head: &[u8]) -> bool {
    le16(head, 70).is_ok_and(|major| major == 1) && le32(head, 76).is_ok_and(|kind| (1..=4).contains(&kind))
}

pub(super) fn unpack(source: &dyn ReadAt, start: u64, sink: &mut Sink<'_>) -> Covered {
    let head = take(source, start, 392)?;
    match le32(&head, 76)? {
        1 | 2 => {}
        // With changes to another file, or of one that they can be taken back to.
        _ => return Err(ON_TOP),
    }
    let (map, data) = (u64::from(le32(&head, 340)?), u64::from(le32(&head, 344)?));
    let (bytes, block, extra) =
        (le64(&head, 368)?, u64::from(le32(&head, 376)?), u64::from(le32(&head, 380)?));
    let count = u64::from(le32(&head, 384)?);
    if extra > block {
        return Err(Stop::damaged("the header of VDI"));
    }
    let places = move |index: u64| {
        if index >= count {
            return Ok(Place::Hole);
        }
        let number = le32(&take(source, start.saturating_add(map).saturating_add(index * 4), 4)?, 0)?;
        Ok(match number {
            NONE_FROM.. => Place::Hole,
            number => Place::At(start + data + u64::from(number) * (block + extra) + extra),
        })
    };
    Disk::new(source, bytes, block, Box::new(places), sink)?.unpack(start, sink)
}
