//! FIT images, which are device trees that hold kernels, file systems and their
//! signatures. Of other device trees nothing needs unpacking: their text lies open.

use super::bytes::{Slice, be32, join, name, take, until_zero};
use super::sink::{Covered, Sink, Stop};
use super::{Skip, inner};
use crate::read::ReadAt;

const DEPTH_MAX: usize = 32;

/// The properties of a node that say where its contents are.
#[derive(Default)]
struct Node {
    name: String,
    /// From the start of the tree: place and bytes.
    held: Option<(u64, u64)>,
    offset: Option<u64>,
    position: Option<u64>,
    bytes: Option<u64>,
    codec: Vec<u8>,
}

pub(super) fn unpack(source: &dyn ReadAt, start: u64, sink: &mut Sink<'_>) -> Covered {
    let head = take(source, start, 40)?;
    let total = u64::from(be32(&head, 4)?);
    let (structure, strings) = (u64::from(be32(&head, 8)?), u64::from(be32(&head, 12)?));
    let image = Slice::new(source, start, u64::MAX);
    let outside = total.next_multiple_of(4);
    let mut covered = total;
    let mut nodes: Vec<Node> = Vec::new();
    let mut at = structure;
    loop {
        let token = be32(&take(&image, at, 4)?, 0)?;
        at += 4;
        match token {
            1 => {
                sink.count()?;
                let text = take(&image, at, 256.min(image.len().saturating_sub(at)))?;
                let text = until_zero(&text);
                at = (at + text.len() as u64 + 1).next_multiple_of(4);
                nodes.push(Node { name: name(text), ..Node::default() });
                if nodes.len() > DEPTH_MAX {
                    return Err(Stop::damaged("a device tree that is too deep"));
                }
            }
            2 => {
                let Some(node) = nodes.pop() else { break };
                let path = nodes.iter().fold(String::new(), |path, node| join(&path, &node.name));
                let path = join(&path, &node.name);
                if let Some((at, bytes)) = node.place(outside) {
                    covered = covered.max(at.saturating_add(bytes));
                    let result = contents(&image, at, bytes, &node, &path, sink);
                    sink.guard(&path, result)?;
                }
            }
            3 => {
                sink.count()?;
                let property = take(&image, at, 8)?;
                let (bytes, text) = (u64::from(be32(&property, 0)?), u64::from(be32(&property, 4)?));
                if let Some(node) = nodes.last_mut() {
                    node.add(&image, strings + text, at + 8, bytes)?;
                }
                at = (at + 8 + bytes).next_multiple_of(4);
            }
            4 => sink.count()?,
            _ => break,
        }
    }
    Ok(Some(covered.min(image.len())))
}

impl Node {
    fn add(&mut self, image: &dyn ReadAt, key: u64, at: u64, bytes: u64) -> Result<(), Stop> {
        let key = take(image, key, 16.min(image.len().saturating_sub(key)))?;
        let number = || -> Result<Option<u64>, Stop> {
            Ok(if bytes == 4 { Some(be32(&take(image, at, 4)?, 0)?.into()) } else { None })
        };
        match until_zero(&key) {
            b"data" => self.held = Some((at, bytes)),
            b"data-offset" => self.offset = number()?,
            b"data-position" => self.position = number()?,
            b"data-size" => self.bytes = number()?,
            b"compression" => self.codec = until_zero(&take(image, at, bytes.min(16))?).to_vec(),
            _ => {}
        }
        Ok(())
    }

    /// Contents lie inside, behind the tree, or at a place of the whole.
    fn place(&self, outside: u64) -> Option<(u64, u64)> {
        let at = self.position.or_else(|| self.offset.map(|offset| outside + offset));
        self.held.or_else(|| Some((at?, self.bytes?)))
    }
}

fn contents(
    image: &dyn ReadAt,
    at: u64,
    bytes: u64,
    node: &Node,
    path: &str,
    sink: &mut Sink<'_>,
) -> Result<(), Stop> {
    let data = Slice::new(image, at, bytes);
    if data.len() < bytes {
        sink.skip(path, Skip::Damaged("it ends too early"));
    }
    if node.codec == b"lzma" {
        let range = super::bytes::Range::new(&data, 0, bytes);
        let memory_kib = super::codec::window_kib(sink.limits);
        return sink.part(path, &mut lzma_rust2::LzmaReader::new_mem_limit(range, memory_kib, None)?);
    }
    inner(path, &data, sink)
}
