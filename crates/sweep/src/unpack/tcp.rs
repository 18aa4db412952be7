//! What was said in captured connections: one part for each direction. Contents stay
//! in the source; of each segment its place alone is held. Where segments overlap,
//! the first counts.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::Skip;
use super::bytes::{Pieces, array, be16, be32, byte, take};
use super::sink::{Sink, Stop};
use crate::read::ReadAt;

/// What is read of a packet for its headers.
const HEADERS: u64 = 256;
const TCP: u8 = 6;
const UDP: u8 = 17;

#[derive(Default)]
pub(super) struct Flows {
    /// Directions in the order in which they began.
    flows: Vec<Flow>,
    /// The last direction between two ends.
    known: BTreeMap<(u8, SocketAddr, SocketAddr), usize>,
    /// Whether there was something that is not looked into.
    links: bool,
    fragments: bool,
}

struct Flow {
    name: String,
    /// The number of the first byte, and what the numbers have come to.
    first: u32,
    segments: Vec<Segment>,
    is_stream: bool,
    cut: bool,
}

#[derive(Clone, Copy)]
struct Segment {
    /// From the first byte of the direction; less than 0 where that came late.
    from: i64,
    at: u64,
    bytes: u32,
}

impl Flows {
    /// A packet with `bytes` in the source, of a link as tcpdump.org lists them.
    pub(super) fn packet(&mut self, source: &dyn ReadAt, at: u64, bytes: u64, link: u32) -> Result<(), Stop> {
        let head = take(source, at, bytes.min(HEADERS))?;
        let Some((offset, kind)) = network(&head, link) else {
            self.links |= !matches!(link, 0 | 1 | 12 | 14 | 101 | 108 | 113 | 228 | 229 | 276);
            return Ok(());
        };
        // Packets that are cut short in their headers are no fault of the capture.
        let _ = self.ip(&head, offset, kind, at, bytes);
        Ok(())
    }

    fn ip(&mut self, head: &[u8], offset: usize, kind: u16, at: u64, bytes: u64) -> Result<(), Stop> {
        let (from, to, protocol, transport, end) = match kind {
            0x0800 => {
                let length = usize::from(byte(head, offset) & 0xf) * 4;
                if be16(head, offset + 6)? & 0x3fff != 0 {
                    self.fragments = true;
                    return Ok(());
                }
                let whole = match be16(head, offset + 2)? {
                    // What the network card will cut has no length yet.
                    0 => bytes - offset as u64,
                    whole => whole.into(),
                };
                let address = |at| Ok::<_, Stop>(IpAddr::from(Ipv4Addr::from(array::<4>(head, at)?)));
                let ends = (address(offset + 12)?, address(offset + 16)?);
                (ends.0, ends.1, byte(head, offset + 9), offset + length.max(20), offset as u64 + whole)
            }
            0x86dd => {
                let address = |at| Ok::<_, Stop>(IpAddr::from(Ipv6Addr::from(array::<16>(head, at)?)));
                let ends = (address(offset + 8)?, address(offset + 24)?);
                let end = match u64::from(be16(head, offset + 4)?) {
                    0 => bytes,
                    whole => offset as u64 + 40 + whole,
                };
                let (mut protocol, mut transport) = (byte(head, offset + 6), offset + 40);
                while matches!(protocol, 0 | 43 | 60) {
                    protocol = array::<1>(head, transport)?[0];
                    transport += (usize::from(byte(head, transport + 1)) + 1) * 8;
                }
                self.fragments |= protocol == 44;
                (ends.0, ends.1, protocol, transport, end)
            }
            _ => return Ok(()),
        };
        let ports = (be16(head, transport)?, be16(head, transport + 2)?);
        let ends = (SocketAddr::new(from, ports.0), SocketAddr::new(to, ports.1));
        let cut = end > bytes;
        let end = end.min(bytes);
        match protocol {
            TCP => {
                let data = transport as u64 + u64::from(byte(head, transport + 12) >> 4) * 4;
                let (number, flags) = (be32(head, transport + 4)?, byte(head, transport + 13));
                self.segment(ends, number, flags, at + data, end.saturating_sub(data), cut);
            }
            UDP => {
                let data = transport as u64 + 8;
                self.datagram(ends, at + data, end.saturating_sub(data), cut);
            }
            _ => {}
        }
        Ok(())
    }

    fn flow(&mut self, protocol: u8, ends: (SocketAddr, SocketAddr), first: u32, is_new: bool) -> &mut Flow {
        let key = (protocol, ends.0, ends.1);
        let index = match self.known.get(&key) {
            Some(index) if !is_new => *index,
            _ => {
                let text = if protocol == TCP { "tcp" } else { "udp" };
                let name = format!("{text} {} > {}", ends.0, ends.1);
                self.flows.push(Flow {
                    name,
                    first,
                    segments: Vec::new(),
                    is_stream: protocol == TCP,
                    cut: false,
                });
                self.known.insert(key, self.flows.len() - 1);
                self.flows.len() - 1
            }
        };
        &mut self.flows[index]
    }

    fn segment(
        &mut self,
        ends: (SocketAddr, SocketAddr),
        number: u32,
        flags: u8,
        at: u64,
        bytes: u64,
        cut: bool,
    ) {
        let is_syn = flags & 2 != 0;
        let number = if is_syn { number.wrapping_add(1) } else { number };
        if bytes == 0 && !is_syn {
            return;
        }
        // A port that is used again begins with another number.
        let known = self.known.get(&(TCP, ends.0, ends.1)).map(|index| self.flows[*index].first);
        let is_new = is_syn && known.is_some_and(|first| first != number);
        let flow = self.flow(TCP, ends, number, is_new);
        if bytes == 0 {
            return;
        }
        // Numbers wrap at 2^32: each counts from the one before.
        let before = flow.segments.last().map_or(0, |segment| segment.from);
        let expected = flow.first.wrapping_add(before as u32);
        let from = before + i64::from(number.wrapping_sub(expected).cast_signed());
        flow.segments.push(Segment { from, at, bytes: bytes as u32 });
        flow.cut |= cut;
    }

    fn datagram(&mut self, ends: (SocketAddr, SocketAddr), at: u64, bytes: u64, cut: bool) {
        let flow = self.flow(UDP, ends, 0, false);
        if bytes > 0 {
            flow.segments.push(Segment { from: 0, at, bytes: bytes as u32 });
        }
        flow.cut |= cut;
    }

    /// Gives away each direction in which something was said.
    pub(super) fn tell(self, source: &dyn ReadAt, sink: &mut Sink<'_>) -> Result<(), Stop> {
        if self.links {
            sink.skip("", Skip::Unsupported("a kind of link in a capture"));
        }
        if self.fragments {
            sink.skip("", Skip::Unsupported("fragments of IP"));
        }
        for flow in self.flows.into_iter().filter(|flow| !flow.segments.is_empty()) {
            flow.tell(source, sink)?;
        }
        Ok(())
    }
}

impl Flow {
    fn tell(mut self, source: &dyn ReadAt, sink: &mut Sink<'_>) -> Result<(), Stop> {
        let mut has_gap = self.cut;
        if self.is_stream {
            // Stable, so of the same bytes those that came first come first.
            self.segments.sort_by_key(|segment| segment.from);
        }
        let mut reached = self.segments.first().map_or(0, |segment| segment.from.min(0));
        let mut segments = self.segments.iter();
        let is_stream = self.is_stream;
        let mut pieces = Pieces::new(|| {
            for segment in segments.by_ref() {
                let mut skip = 0;
                if is_stream {
                    has_gap |= segment.from > reached;
                    skip = (reached - segment.from).max(0);
                    reached = reached.max(segment.from + i64::from(segment.bytes));
                }
                let left = i64::from(segment.bytes) - skip;
                if left > 0 {
                    return take(source, segment.at + skip as u64, left as u64).map(Some);
                }
            }
            Ok(None)
        });
        sink.part(&self.name, &mut pieces)?;
        if has_gap {
            sink.skip(&self.name, Skip::Damaged("some of it was not captured"));
        }
        Ok(())
    }
}

/// Where the header of IP begins, and which it is.
fn network(head: &[u8], link: u32) -> Option<(usize, u16)> {
    let by_version = |at: usize| match head.get(at)? >> 4 {
        4 => Some((at, 0x0800)),
        6 => Some((at, 0x86dd)),
        _ => None,
    };
    match link {
        1 => {
            let mut at = 12;
            let mut kind = be16(head, at).ok()?;
            while matches!(kind, 0x8100 | 0x88a8 | 0x9100) {
                at += 4;
                kind = be16(head, at).ok()?;
            }
            Some((at + 2, kind))
        }
        0 | 108 => by_version(4),
        113 => Some((16, be16(head, 14).ok()?)),
        276 => Some((20, be16(head, 0).ok()?)),
        12 | 14 | 101 | 228 | 229 => by_version(0),
        _ => None,
    }
}
