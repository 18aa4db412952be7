//! Disks: each partition is unpacked in place, so that a card of any size needs no
//! memory.

use super::bytes::{Slice, le32, le64, name16, take, units};
use super::sink::{Covered, Sink, Stop};
use super::{Skip, inner, is_unknown, unknown};
use crate::read::ReadAt;

const ENTRIES_MAX: u64 = 1024;
/// Logical partitions in a chain.
const LOGICAL_MAX: usize = 128;

struct Disk<'a> {
    whole: Slice<'a>,
    /// Where it begins in its source.
    start: u64,
}

/// The table lies in the second sector, whose size is 512 or 4096 bytes.
pub(super) fn gpt(source: &dyn ReadAt, start: u64, sink: &mut Sink<'_>) -> Covered {
    let disk = Disk { whole: Slice::new(source, start, u64::MAX), start };
    let sector = [512, 4096]
        .into_iter()
        .find(|sector| take(&disk.whole, *sector, 8).is_ok_and(|magic| magic == *b"EFI PART"));
    let sector = sector.ok_or(Stop::damaged("the header of GPT"))?;
    let head = take(&disk.whole, sector, 92)?;
    let at = le64(&head, 72)?.checked_mul(sector).ok_or(Stop::damaged("the table of GPT"))?;
    let (count, bytes) = (u64::from(le32(&head, 80)?), u64::from(le32(&head, 84)?));
    if bytes < 128 || count > ENTRIES_MAX {
        return Err(Stop::damaged("the table of GPT"));
    }
    let end = le64(&head, 32)?.saturating_add(1).saturating_mul(sector);
    for index in 0..count {
        let Ok(entry) = take(&disk.whole, at.saturating_add(index * bytes), 128) else { break };
        if entry[..16] == [0; 16] {
            continue;
        }
        let label = name16(units(&entry[56..]).take_while(|unit| *unit != 0));
        let (first, last) = (le64(&entry, 32)?, le64(&entry, 40)?);
        let range =
            first.checked_mul(sector).zip(last.checked_add(1).and_then(|end| end.checked_mul(sector)));
        let range = range.and_then(|(from, to)| Some((from, to.checked_sub(from)?)));
        let name = format!("partition {} {label}", index + 1);
        partition(&disk, name.trim_end(), range, sink)?;
    }
    Ok(Some(end.min(disk.whole.len())))
}

pub(super) fn mbr(source: &dyn ReadAt, start: u64, sink: &mut Sink<'_>) -> Covered {
    let disk = Disk { whole: Slice::new(source, start, u64::MAX), start };
    let mut covered = 512;
    let mut number = 0;
    let mut chain = None;
    for (kind, first, sectors) in entries(&disk.whole, 0)? {
        number += 1;
        let range = (u64::from(first) * 512, u64::from(sectors) * 512);
        covered = covered.max(range.0 + range.1);
        match kind {
            0 => {}
            0x05 | 0x0f | 0x85 => chain = Some(range.0),
            _ => partition(&disk, &format!("partition {number}"), Some(range), sink)?,
        }
    }
    if let Some(base) = chain {
        logical(&disk, base, sink)?;
    }
    Ok(Some(covered.min(disk.whole.len())))
}

/// Logical partitions: each table has one and the place of the next table.
fn logical(disk: &Disk<'_>, base: u64, sink: &mut Sink<'_>) -> Result<(), Stop> {
    let mut at = base;
    for number in 5..5 + LOGICAL_MAX {
        let Ok(entries) = entries(&disk.whole, at) else { return Ok(()) };
        let (_, first, sectors) = entries[0];
        let range = (at + u64::from(first) * 512, u64::from(sectors) * 512);
        if sectors != 0 {
            partition(disk, &format!("partition {number}"), Some(range), sink)?;
        }
        let (kind, next, _) = entries[1];
        let next = base + u64::from(next) * 512;
        // Chains go onwards; one that does not is a circle.
        if kind == 0 || next <= at {
            return Ok(());
        }
        at = next;
    }
    Ok(())
}

fn entries(disk: &dyn ReadAt, at: u64) -> Result<[(u8, u32, u32); 4], Stop> {
    let sector = take(disk, at, 512)?;
    if sector[510..] != [0x55, 0xaa] {
        return Err(Stop::damaged("a table of partitions"));
    }
    let mut entries = [(0, 0, 0); 4];
    for (index, entry) in entries.iter_mut().enumerate() {
        let at = 446 + index * 16;
        *entry = (sector[at + 4], le32(&sector, at + 8)?, le32(&sector, at + 12)?);
    }
    Ok(entries)
}

fn partition(
    disk: &Disk<'_>,
    name: &str,
    range: Option<(u64, u64)>,
    sink: &mut Sink<'_>,
) -> Result<(), Stop> {
    // A partition at the very start would be this disk again.
    let Some((at, bytes)) = range.filter(|(at, bytes)| *at >= 512 && *at < disk.whole.len() && *bytes > 0)
    else {
        sink.count()?;
        sink.skip(name, Skip::Damaged("a partition that is not on the disk"));
        return Ok(());
    };
    let slice = Slice::new(&disk.whole, at, bytes);
    if is_unknown(&slice) && sink.enter(name) {
        let open = sink.volumes();
        sink.volume(unknown(&slice));
        sink.end_volumes(open, None);
        sink.leave();
    }
    let result = inner(name, &slice, sink);
    sink.opened(disk.start + at);
    sink.guard(name, result)
}
