//! What was said in captured connections: one part for each direction. Contents stay
//! in the source; of each segment its place alone is held. Where segments overlap,
//! the first counts. What `wire` hears in a direction stands behind it, a line each.

use std::collections::BTreeMap;
use std::io::{Cursor, Read as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::Skip;
use super::bytes::{Pieces, array, be16, be32, byte, take};
use super::fragments::{Datagram, Fragment, Fragments};
use super::sink::{Sink, Stop};
use super::wire::{self, Heard};
use crate::read::ReadAt;

/// What is read of a packet for its headers.
const HEADERS: u64 = 256;
/// Of a direction, what is looked at for framing and sign-ins, in bytes.
const HELD: u64 = 16 << 20;
/// The same of what was answered.
const BACK: u64 = 64 << 10;
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
    fragments: Fragments,
    /// Sign-ins that belong to a link, a line each.
    of_links: Vec<u8>,
}

struct Flow {
    name: String,
    /// The number of the first byte, and what the numbers have come to.
    first: u32,
    /// The ports from and to.
    ports: (u16, u16),
    /// The other direction, if it was captured.
    peer: Option<usize>,
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
    /// Of datagrams: the rest of one that was in fragments.
    goes_on: bool,
}

/// Where bytes stand in the source, and how many.
pub(super) type Piece = (u64, u64);

impl Flows {
    /// A packet with `bytes` in the source, of a link as tcpdump.org lists them.
    pub(super) fn packet(&mut self, source: &dyn ReadAt, at: u64, bytes: u64, link: u32) -> Result<(), Stop> {
        let head = take(source, at, bytes.min(HEADERS))?;
        let Some((offset, kind)) = network(&head, link) else {
            self.links |= !matches!(link, 0 | 1 | 9 | 12 | 14 | 50 | 51 | 101 | 108 | 113 | 228 | 229 | 276);
            return Ok(());
        };
        // Packets that are cut short in their headers are no fault of the capture.
        let _ = self.ip(source, &head, offset, kind, at, bytes);
        Ok(())
    }

    fn ip(
        &mut self,
        source: &dyn ReadAt,
        head: &[u8],
        offset: usize,
        kind: u16,
        at: u64,
        bytes: u64,
    ) -> Result<(), Stop> {
        let (from, to, mut protocol, mut transport, end);
        let mut fragment = None;
        match kind {
            PAP => {
                wire::pap(head.get(offset..).unwrap_or_default(), &mut self.of_links);
                return Ok(());
            }
            0x0800 => {
                let length = usize::from(byte(head, offset) & 0xf) * 4;
                let whole = match be16(head, offset + 2)? {
                    // What the network card will cut has no length yet.
                    0 => bytes - offset as u64,
                    whole => whole.into(),
                };
                let address = |at| Ok::<_, Stop>(IpAddr::from(Ipv4Addr::from(array::<4>(head, at)?)));
                (from, to) = (address(offset + 12)?, address(offset + 16)?);
                (protocol, transport) = (byte(head, offset + 9), offset + length.max(20));
                end = offset as u64 + whole;
                let place = be16(head, offset + 6)?;
                if place & 0x3fff != 0 {
                    fragment =
                        Some((be16(head, offset + 4)?.into(), (place & 0x1fff) << 3, place & 0x2000 != 0));
                }
            }
            0x86dd => {
                let address = |at| Ok::<_, Stop>(IpAddr::from(Ipv6Addr::from(array::<16>(head, at)?)));
                (from, to) = (address(offset + 8)?, address(offset + 24)?);
                end = match u64::from(be16(head, offset + 4)?) {
                    0 => bytes,
                    whole => offset as u64 + 40 + whole,
                };
                (protocol, transport) = (byte(head, offset + 6), offset + 40);
                while matches!(protocol, 0 | 43 | 44 | 60) {
                    let next = array::<1>(head, transport)?[0];
                    let more = match protocol {
                        44 => {
                            let place = be16(head, transport + 2)?;
                            fragment = Some((be32(head, transport + 4)?, place & 0xfff8, place & 1 != 0));
                            8
                        }
                        _ => (usize::from(byte(head, transport + 1)) + 1) * 8,
                    };
                    (protocol, transport) = (next, transport + more);
                }
            }
            _ => return Ok(()),
        }
        let cut = end > bytes;
        let piece = (at + transport as u64, end.min(bytes).saturating_sub(transport as u64));
        let key = (from, to, protocol);
        match fragment {
            // One that is whole, as some write them (RFC 6946).
            None | Some((_, 0, false)) => self.transport(source, key, &[piece], cut),
            Some((id, place, more)) => {
                let fragment = Fragment { place: place.into(), piece, more, cut };
                match self.fragments.add((key, id), fragment) {
                    Some(Datagram { pieces, cut }) => self.transport(source, key, &pieces, cut),
                    None => Ok(()),
                }
            }
        }
    }

    /// What IP carried, which the first piece has the header of.
    fn transport(
        &mut self,
        source: &dyn ReadAt,
        (from, to, protocol): (IpAddr, IpAddr, u8),
        pieces: &[Piece],
        cut: bool,
    ) -> Result<(), Stop> {
        let Some((at, bytes)) = pieces.first().copied() else { return Ok(()) };
        let head = take(source, at, bytes.min(60))?;
        let ports = (be16(&head, 0)?, be16(&head, 2)?);
        let ends = (SocketAddr::new(from, ports.0), SocketAddr::new(to, ports.1));
        let behind = |header: u64| {
            let mut pieces = pieces.to_vec();
            let header = header.min(bytes);
            pieces[0] = (at + header, bytes - header);
            pieces.retain(|(_, bytes)| *bytes > 0);
            pieces
        };
        match protocol {
            TCP => {
                let data = behind(u64::from(byte(&head, 12) >> 4) * 4);
                self.segment(ends, be32(&head, 4)?, byte(&head, 13), &data, cut);
            }
            UDP => self.datagram(ends, &behind(8), cut),
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
                let index = self.flows.len();
                // Each has one other, however often a port is used again.
                let peer = self.known.get(&(protocol, ends.1, ends.0)).copied();
                let peer = peer.filter(|peer| self.flows[*peer].peer.is_none());
                if let Some(peer) = peer {
                    self.flows[peer].peer = Some(index);
                }
                self.flows.push(Flow {
                    name,
                    first,
                    ports: (ends.0.port(), ends.1.port()),
                    peer,
                    segments: Vec::new(),
                    is_stream: protocol == TCP,
                    cut: false,
                });
                self.known.insert(key, index);
                index
            }
        };
        &mut self.flows[index]
    }

    fn segment(
        &mut self,
        ends: (SocketAddr, SocketAddr),
        number: u32,
        flags: u8,
        pieces: &[Piece],
        cut: bool,
    ) {
        let is_syn = flags & 2 != 0;
        let number = if is_syn { number.wrapping_add(1) } else { number };
        if pieces.is_empty() && !is_syn {
            return;
        }
        // A port that is used again begins with another number.
        let known = self.known.get(&(TCP, ends.0, ends.1)).map(|index| self.flows[*index].first);
        let is_new = is_syn && known.is_some_and(|first| first != number);
        let flow = self.flow(TCP, ends, number, is_new);
        if pieces.is_empty() {
            return;
        }
        // Numbers wrap at 2^32: each counts from the one before.
        let before = flow.segments.last().map_or(0, |segment| segment.from);
        let expected = flow.first.wrapping_add(before as u32);
        let mut from = before + i64::from(number.wrapping_sub(expected).cast_signed());
        for (at, bytes) in pieces {
            flow.segments.push(Segment { from, at: *at, bytes: *bytes as u32, goes_on: false });
            from += *bytes as i64;
        }
        flow.cut |= cut;
    }

    fn datagram(&mut self, ends: (SocketAddr, SocketAddr), pieces: &[Piece], cut: bool) {
        let flow = self.flow(UDP, ends, 0, false);
        for (number, (at, bytes)) in pieces.iter().enumerate() {
            let goes_on = number > 0;
            flow.segments.push(Segment { from: 0, at: *at, bytes: *bytes as u32, goes_on });
        }
        flow.cut |= cut;
    }

    /// Gives away each direction in which something was said.
    pub(super) fn tell(mut self, source: &dyn ReadAt, sink: &mut Sink<'_>) -> Result<(), Stop> {
        if self.links {
            sink.skip("", Skip::Unsupported("a kind of link in a capture"));
        }
        if self.fragments.are_left() {
            sink.skip("", Skip::Damaged("some fragments of IP were not captured"));
        }
        for flow in self.flows.iter_mut().filter(|flow| flow.is_stream) {
            // Stable, so of the same bytes those that came first come first.
            flow.segments.sort_by_key(|segment| segment.from);
        }
        for flow in self.flows.iter().filter(|flow| !flow.segments.is_empty()) {
            let back = flow.peer.map(|peer| self.flows[peer].heard(source, BACK)).transpose()?;
            flow.tell(&back.unwrap_or_default().0, source, sink)?;
        }
        if !self.of_links.is_empty() {
            sink.part("ppp", &mut Cursor::new(self.of_links))?;
        }
        Ok(())
    }
}

/// How far a direction was put together.
#[derive(Default)]
struct Reached {
    /// The segment that comes next, and the number of the byte that does.
    next: usize,
    from: i64,
    has_gap: bool,
    /// Stretches of the source in which nothing stands that is not told.
    contents: Vec<Piece>,
}

impl Flow {
    /// What was said, as far as it is at most so many bytes.
    fn heard(&self, source: &dyn ReadAt, most: u64) -> Result<(Heard, Reached), Stop> {
        let mut heard = Heard::default();
        let from = self.segments.first().map_or(0, |segment| segment.from.min(0));
        let mut reached = Reached { from, ..Reached::default() };
        // Since here nothing is missing.
        let mut since = 0;
        for segment in &self.segments {
            if heard.bytes.len() as u64 + u64::from(segment.bytes) > most {
                break;
            }
            reached.next += 1;
            let data = take(source, segment.at, segment.bytes.into())?;
            let mut skip = 0;
            if self.is_stream {
                if segment.from > reached.from {
                    reached.has_gap = true;
                    since = heard.bytes.len();
                }
                let again = (reached.from - segment.from).max(0);
                skip = (again as usize).min(data.len());
                reached.from = reached.from.max(segment.from + i64::from(segment.bytes));
                let before = (heard.bytes.len() as i64 - again).max(0) as usize;
                let is_same =
                    before >= since && heard.bytes.get(before..before + skip) == Some(&data[..skip]);
                let told = if is_same { 0 } else { skip as u64 };
                reached.contents.push((segment.at + told, data.len() as u64 - told));
            } else {
                reached.contents.push((segment.at, data.len() as u64));
            }
            heard.add(&data[skip..], segment.at, !segment.goes_on);
        }
        Ok((heard, reached))
    }

    fn tell(&self, back: &Heard, source: &dyn ReadAt, sink: &mut Sink<'_>) -> Result<(), Stop> {
        let (heard, reached) = self.heard(source, HELD.min(sink.limits.part_bytes))?;
        let Reached { next, from: mut reached, has_gap, mut contents } = reached;
        let mut has_gap = has_gap | self.cut;
        let (text, signs) = wire::told(&heard, back, self.ports, self.is_stream);
        drop(heard);
        let mut segments = self.segments[next..].iter();
        let is_stream = self.is_stream;
        let pieces = Pieces::new(|| {
            for segment in segments.by_ref() {
                let mut skip = 0;
                if is_stream {
                    has_gap |= segment.from > reached;
                    skip = (reached - segment.from).max(0);
                    reached = reached.max(segment.from + i64::from(segment.bytes));
                }
                let left = i64::from(segment.bytes) - skip;
                if left > 0 {
                    contents.push((segment.at + skip as u64, left as u64));
                    return take(source, segment.at + skip as u64, left as u64).map(Some);
                }
            }
            Ok(None)
        });
        let mut data = Cursor::new(text).chain(pieces).chain(Cursor::new(signs));
        sink.part(&self.name, &mut data)?;
        drop(data);
        for (at, bytes) in contents {
            sink.contents(at, at + bytes);
        }
        if has_gap {
            sink.skip(&self.name, Skip::Damaged("some of it was not captured"));
        }
        Ok(())
    }
}

/// Where the header of IP begins, and which it is; or one of PAP ([`PAP`]).
fn network(head: &[u8], link: u32) -> Option<(usize, u16)> {
    let by_version = |at: usize| match head.get(at)? >> 4 {
        4 => Some((at, 0x0800)),
        6 => Some((at, 0x86dd)),
        _ => None,
    };
    let (at, kind) = match link {
        1 => {
            let mut at = 12;
            let mut kind = be16(head, at).ok()?;
            while matches!(kind, 0x8100 | 0x88a8 | 0x9100) {
                at += 4;
                kind = be16(head, at).ok()?;
            }
            (at + 2, kind)
        }
        113 => (16, be16(head, 14).ok()?),
        276 => (20, be16(head, 0).ok()?),
        51 => (0, PPPOE),
        9 | 50 => return ppp(head, if head.starts_with(&[0xff, 3]) { 2 } else { 0 }),
        0 | 108 => return by_version(4),
        12 | 14 | 101 | 228 | 229 => return by_version(0),
        _ => return None,
    };
    // A session (RFC 2516): version and type, code, session and length.
    if kind == PPPOE { ppp(head, at + 6) } else { Some((at, kind)) }
}

const PPPOE: u16 = 0x8864;
const PAP: u16 = 0xc023;

/// What a frame of PPP carries (RFC 1661), as an EtherType where that has one.
fn ppp(head: &[u8], at: usize) -> Option<(usize, u16)> {
    // A protocol of one byte is odd.
    let (at, kind) = match *head.get(at)? {
        kind if kind & 1 == 1 => (at + 1, kind.into()),
        _ => (at + 2, be16(head, at).ok()?),
    };
    match kind {
        0x0021 => Some((at, 0x0800)),
        0x0057 => Some((at, 0x86dd)),
        other => Some((at, other)),
    }
}
