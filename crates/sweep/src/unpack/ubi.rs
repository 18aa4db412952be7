//! UBI: volumes in blocks of flash that lie in any order. Each volume is unpacked in
//! place. UBIFS without UBI comes here, too.

use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;

use super::bytes::{be16, be32, be64, byte, fill, name, take};
use super::sink::{self, Covered, Sink, Stop};
use super::{Account, inner, ubifs};
use crate::read::ReadAt;

const TABLE: u32 = 0x7fff_efff;
const INTERNAL: u32 = 0x7fff_0000;
const LEB_MAX: u32 = 1 << 20;
/// Blocks without a header that may lie between two with one.
const GAP_MAX: u64 = 64;
/// Both headers of a block take at most a page each.
const DATA_MAX: u64 = 256 << 10;

/// A volume: where each of its blocks lies.
struct Volume<'a> {
    source: &'a dyn ReadAt,
    leb: u64,
    /// By number: the sequence in which it was written, and its place.
    blocks: BTreeMap<u32, (u64, u64)>,
    account: Rc<Account>,
}

impl ReadAt for Volume<'_> {
    fn len(&self) -> u64 {
        self.blocks.last_key_value().map_or(0, |(last, _)| (u64::from(*last) + 1) * self.leb)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let (number, inside) = (offset / self.leb, offset % self.leb);
        let count =
            (self.leb - inside).min(self.len().saturating_sub(offset)).min(buffer.len() as u64) as usize;
        let buffer = &mut buffer[..count];
        match u32::try_from(number).ok().and_then(|number| self.blocks.get(&number)) {
            Some((_, at)) => self.source.read_at(at + inside, buffer),
            // What was never written is erased flash.
            None => {
                self.account.hole(count as u64).map_err(sink::inside)?;
                buffer.fill(0xff);
                Ok(count)
            }
        }
    }
}

pub(super) fn unpack(source: &dyn ReadAt, start: u64, sink: &mut Sink<'_>) -> Covered {
    let head = take(source, start, 64)?;
    if head[..4] != *b"UBI#" {
        return ubifs::unpack(source, start, sink);
    }
    let (vid, data) = (u64::from(be32(&head, 16)?), u64::from(be32(&head, 20)?));
    if vid < 64 || data < vid + 64 || data > DATA_MAX {
        return Err(Stop::damaged("the header of a block of UBI"));
    }
    let peb = block_bytes(source, start, data);
    if data >= peb {
        return Err(Stop::damaged("the header of a block of UBI"));
    }
    let mut volumes: BTreeMap<u32, BTreeMap<u32, (u64, u64)>> = BTreeMap::new();
    let (mut at, mut end) = (start, start);
    while at + data < source.len() && at - end <= GAP_MAX * peb {
        sink.count()?;
        let block = at;
        at += peb;
        let Ok(head) = take(source, block, 4) else { break };
        if head != *b"UBI#" {
            continue;
        }
        end = at;
        let Ok(head) = take(source, block + vid, 64) else { break };
        if head[..4] != *b"UBI!" {
            continue;
        }
        let (volume, number, sequence) = (be32(&head, 8)?, be32(&head, 12)?, be64(&head, 40)?);
        if number < LEB_MAX {
            let known = volumes.entry(volume).or_default().entry(number).or_insert((sequence, block + data));
            if sequence > known.0 {
                *known = (sequence, block + data);
            }
        }
    }
    let names = names(source, volumes.get(&TABLE))?;
    for (id, blocks) in volumes {
        if id >= INTERNAL {
            continue;
        }
        let volume = Volume { source, leb: peb - data, blocks, account: sink.account() };
        let named = names.get(&id).cloned().unwrap_or_else(|| format!("volume {id}"));
        let result = inner(&named, &volume, sink);
        sink.guard(&named, result)?;
    }
    Ok(Some(end.min(source.len()) - start))
}

/// Whether the header of a block has the right sum.
pub(super) fn begins(head: &[u8]) -> bool {
    let Some(head) = head.get(..64) else { return false };
    let mut sum = flate2::Crc::new();
    sum.update(&head[..60]);
    head[4] == 1 && be32(head, 60).is_ok_and(|told| told == !sum.sum())
}

/// How large blocks are: as far as the next header, in multiples of 2 KiB.
fn block_bytes(source: &dyn ReadAt, start: u64, data: u64) -> u64 {
    let from = data.max(2048).next_multiple_of(2048);
    let mut four = [0; 4];
    let next = (from..=4 << 20)
        .step_by(2048)
        .find(|peb| fill(source, start + peb, &mut four).is_ok() && four == *b"UBI#");
    next.unwrap_or(source.len() - start)
}

fn names(
    source: &dyn ReadAt,
    table: Option<&BTreeMap<u32, (u64, u64)>>,
) -> Result<BTreeMap<u32, String>, Stop> {
    let mut names = BTreeMap::new();
    let Some((_, at)) = table.and_then(|table| table.values().next()) else { return Ok(names) };
    for id in 0..128_u32 {
        let Ok(record) = take(source, at + u64::from(id) * 172, 172) else { break };
        let length = usize::from(be16(&record, 14)?).min(128);
        if be32(&record, 0)? != 0 && byte(&record, 16) != 0 {
            names.insert(id, name(&record[16..16 + length]));
        }
    }
    Ok(names)
}
