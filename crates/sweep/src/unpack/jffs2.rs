//! JFFS2, of either byte order. Files that were deleted and not yet overwritten come
//! as `inode N`: what leaked stays on the flash for long.

use std::collections::{BTreeMap, BTreeSet};

use super::Skip;
use super::bytes::{array, byte, crc32_raw, fill, take};
use super::codec::{Codec, decode};
use super::flash::Tree;
use super::sink::{Covered, Sink, Stop};
use crate::read::ReadAt;

/// Where no node begins for this long, the file system has ended.
const GAP_MAX: u64 = 4 << 20;
const NODE_MAX: u32 = 1 << 20;
const WINDOW: u64 = 1 << 16;
const ROOT: u64 = 1;
/// Kinds of nodes: names, inodes, marks of clean blocks, padding, summaries, attributes
/// and references to them.
pub(super) const KINDS: [u16; 7] = [0xe001, 0xe002, 0x2003, 0x2004, 0x2006, 0xe008, 0xe009];

#[derive(Default)]
struct Log {
    tree: Tree,
    /// Nodes of each inode.
    files: BTreeMap<u64, Vec<Node>>,
}

struct Node {
    version: u32,
    mode: u32,
    bytes: u32,
    offset: u32,
    packed: u32,
    unpacked: u32,
    codec: u8,
    at: u64,
}

/// Numbers of the order that the first node has.
struct Order(bool);

impl Order {
    fn half(&self, data: &[u8], at: usize) -> Result<u16, Stop> {
        let two = array(data, at)?;
        Ok(if self.0 { u16::from_be_bytes(two) } else { u16::from_le_bytes(two) })
    }

    fn word(&self, data: &[u8], at: usize) -> Result<u32, Stop> {
        let four = array(data, at)?;
        Ok(if self.0 { u32::from_be_bytes(four) } else { u32::from_le_bytes(four) })
    }
}

pub(super) fn unpack(source: &dyn ReadAt, start: u64, sink: &mut Sink<'_>) -> Covered {
    let order = Order(take(source, start, 2)?[0] == 0x19);
    let mut log = Log::default();
    let mut end = start;
    let mut at = start;
    let mut too_many = false;
    while let Some(found) = next(source, at, end + GAP_MAX, &order) {
        let bytes = match node(source, found, &order, &mut log) {
            Ok(bytes) => bytes,
            Err(Stop::Skip(_)) => 12,
            Err(stop) => return Err(stop),
        };
        end = found + u64::from(bytes);
        at = end.next_multiple_of(4);
        if sink.count().is_err() {
            too_many = true;
            break;
        }
    }
    if too_many {
        return Err(Stop::Skip(Skip::TooMany));
    }
    let paths = log.tree.paths(ROOT);
    let named: BTreeSet<u64> = paths.iter().map(|(_, inode)| *inode).collect();
    for (path, inode) in &paths {
        if let Some(nodes) = log.files.get_mut(inode) {
            file(source, path, nodes, sink)?;
        }
    }
    for (inode, nodes) in log.files.iter_mut().filter(|(inode, _)| !named.contains(inode) && **inode != ROOT)
    {
        file(source, &format!("inode {inode}"), nodes, sink)?;
    }
    Ok(Some(end.min(source.len()) - start))
}

/// Where the next node with a right header begins.
fn next(source: &dyn ReadAt, mut at: u64, until: u64, order: &Order) -> Option<u64> {
    // Mostly it is right there.
    let mut head = [0; 12];
    if at < until && fill(source, at, &mut head).is_ok() && is_node(&head, order).unwrap_or(false) {
        return Some(at);
    }
    while at < until && at + 12 <= source.len() {
        let mut window = vec![0; WINDOW.min(source.len() - at) as usize];
        fill(source, at, &mut window).ok()?;
        let last = window.len().saturating_sub(11);
        for offset in (0..last).step_by(4) {
            if is_node(&window[offset..offset + 12], order).unwrap_or(false) {
                return Some(at + offset as u64);
            }
        }
        at += (last as u64).next_multiple_of(4).max(4);
    }
    None
}

fn is_node(head: &[u8], order: &Order) -> Result<bool, Stop> {
    let bytes = order.word(head, 4)?;
    Ok(order.half(head, 0)? == 0x1985
        && (12..=NODE_MAX).contains(&bytes)
        && crc32_raw(0, &head[..8]) == order.word(head, 8)?)
}

/// Whether a node begins here, in either order.
pub(super) fn begins(head: &[u8]) -> bool {
    head.len() >= 12
        && [false, true].into_iter().any(|is_big| is_node(&head[..12], &Order(is_big)).unwrap_or(false))
}

/// Remembers a node; tells its length.
fn node(source: &dyn ReadAt, at: u64, order: &Order, log: &mut Log) -> Result<u32, Stop> {
    let head = take(source, at, 12)?;
    let bytes = order.word(&head, 4)?;
    match order.half(&head, 2)? {
        0xe001 => {
            let raw = take(source, at, bytes.into())?;
            let text =
                raw.get(40..40 + usize::from(byte(&raw, 28))).ok_or(Stop::damaged("a name of JFFS2"))?;
            let (folder, version, inode) =
                (order.word(&raw, 12)?, order.word(&raw, 16)?, order.word(&raw, 20)?);
            log.tree.add(folder.into(), text, version.into(), inode.into());
        }
        0xe002 => {
            let raw = take(source, at, 68)?;
            let node = Node {
                version: order.word(&raw, 16)?,
                mode: order.word(&raw, 20)?,
                bytes: order.word(&raw, 28)?,
                offset: order.word(&raw, 44)?,
                packed: order.word(&raw, 48)?,
                unpacked: order.word(&raw, 52)?,
                codec: raw[56],
                at: at + 68,
            };
            log.files.entry(order.word(&raw, 12)?.into()).or_default().push(node);
        }
        _ => {}
    }
    Ok(bytes)
}

fn file(source: &dyn ReadAt, path: &str, nodes: &mut [Node], sink: &mut Sink<'_>) -> Result<(), Stop> {
    nodes.sort_by_key(|node| node.version);
    let Some(last) = nodes.last() else { return Ok(()) };
    match last.mode & 0o170_000 {
        0o100_000 => {}
        0o120_000 => return sink.link(path),
        _ => return sink.count(),
    }
    let bytes = u64::from(last.bytes);
    if bytes > sink.limits.part_bytes {
        sink.count()?;
        sink.skip(path, Skip::TooLarge);
        return Ok(());
    }
    let mut data = vec![0; bytes as usize];
    for node in nodes.iter() {
        match piece(source, node) {
            Ok(piece) => {
                let from = (node.offset as usize).min(data.len());
                let to = (from + piece.len()).min(data.len());
                data[from..to].copy_from_slice(&piece[..to - from]);
            }
            Err(stop) => sink.guard(path, Err(stop))?,
        }
    }
    sink.part(path, &mut &data[..])
}

fn piece(source: &dyn ReadAt, node: &Node) -> Result<Vec<u8>, Stop> {
    if node.unpacked > NODE_MAX || node.packed > NODE_MAX {
        return Err(Stop::damaged("a node of JFFS2"));
    }
    let want = node.unpacked as usize;
    if node.codec == 1 {
        return Ok(vec![0; want]);
    }
    let packed = take(source, node.at, node.packed.into())?;
    match node.codec {
        0 => Ok(packed),
        2 => rtime(&packed, want).ok_or(Stop::damaged("a node of JFFS2")),
        6 => decode(Codec::Zlib, &packed, want),
        7 => decode(Codec::Lzo, &packed, want),
        _ => Err(Stop::unsupported("a codec of JFFS2")),
    }
}

/// Each byte is followed by how many bytes repeat what came after it the last time.
fn rtime(packed: &[u8], want: usize) -> Option<Vec<u8>> {
    let mut last = [0; 256];
    let mut out = Vec::with_capacity(want);
    for pair in packed.chunks_exact(2) {
        let (value, repeat) = (pair[0], usize::from(pair[1]));
        out.push(value);
        let from = std::mem::replace(&mut last[usize::from(value)], out.len());
        for index in from..from + repeat {
            out.push(*out.get(index)?);
        }
        if out.len() >= want {
            break;
        }
    }
    (out.len() == want).then_some(out)
}
