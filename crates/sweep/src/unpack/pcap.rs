//! Captures, of libpcap and pcapng. `tcp` puts what was said together.

use super::Skip;
use super::bytes::{array, le16, take};
use super::sink::{Covered, Sink, Stop};
use super::tcp::Flows;
use crate::read::ReadAt;

const PACKET_MAX: u64 = 1 << 18;

pub(super) fn pcap(source: &dyn ReadAt, start: u64, sink: &mut Sink<'_>) -> Covered {
    let head = take(source, start, 24)?;
    let is_big = head[0] == 0xa1;
    let link = word(is_big, &head, 20)? & 0xffff;
    let mut flows = Flows::default();
    let mut at = start + 24;
    let mut result = Ok(());
    while let Ok(packet) = take(source, at, 16) {
        let bytes = u64::from(word(is_big, &packet, 8)?);
        if bytes > PACKET_MAX {
            result = Err(Stop::damaged("a packet of a capture"));
            break;
        }
        result = sink.count();
        if result.is_err() || source.len() < at + 16 + bytes {
            break;
        }
        flows.packet(source, at + 16, bytes, link)?;
        at += 16 + bytes;
    }
    flows.tell(source, sink)?;
    result?;
    Ok(Some(at.min(source.len()) - start))
}

pub(super) fn pcapng(source: &dyn ReadAt, start: u64, sink: &mut Sink<'_>) -> Covered {
    let mut flows = Flows::default();
    let mut links: Vec<u32> = Vec::new();
    let mut is_big = false;
    let mut at = start;
    let mut result = Ok(());
    while let Ok(head) = take(source, at, 12) {
        let kind = word(is_big, &head, 0)?;
        // The same from either end, so the order need not be known.
        if kind == 0x0a0d_0d0a {
            is_big = head[8] == 0x1a;
            links.clear();
        }
        let bytes = u64::from(word(is_big, &head, 4)?);
        if bytes < 12 || bytes % 4 != 0 {
            break;
        }
        result = sink.count();
        if result.is_err() {
            break;
        }
        if source.len() < at + bytes {
            sink.skip("", Skip::Damaged("it ends too early"));
            break;
        }
        block(source, at, bytes, kind, is_big, &mut links, &mut flows)?;
        at += bytes;
    }
    flows.tell(source, sink)?;
    result?;
    Ok(Some(at.min(source.len()) - start))
}

fn block(
    source: &dyn ReadAt,
    at: u64,
    bytes: u64,
    kind: u32,
    is_big: bool,
    links: &mut Vec<u32>,
    flows: &mut Flows,
) -> Result<(), Stop> {
    let head = take(source, at, bytes.min(32))?;
    let (link, from, told) = match kind {
        1 => {
            let link = le16(&head, 8)?;
            links.push(if is_big { link.swap_bytes() } else { link }.into());
            return Ok(());
        }
        3 if bytes >= 16 => (0, 12, word(is_big, &head, 8)?),
        6 if bytes >= 32 => (word(is_big, &head, 8)?, 28, word(is_big, &head, 20)?),
        2 if bytes >= 32 => {
            let two = array(&head, 8)?;
            let link = if is_big { u16::from_be_bytes(two) } else { u16::from_le_bytes(two) };
            (link.into(), 28, word(is_big, &head, 20)?)
        }
        _ => return Ok(()),
    };
    let Some(link) = links.get(link as usize) else { return Ok(()) };
    let there = bytes.saturating_sub(from + 4);
    flows.packet(source, at + from, u64::from(told).min(there), *link)
}

fn word(is_big: bool, data: &[u8], at: usize) -> Result<u32, Stop> {
    let four = array(data, at)?;
    Ok(if is_big { u32::from_be_bytes(four) } else { u32::from_le_bytes(four) })
}
