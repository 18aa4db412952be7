//! The relay of one stream, without the sockets: sealed chunks come in once
//! and go out to every viewer. It keeps whole GOPs, shared by all viewers; a
//! viewer is a cursor into them. It reads the clear head of a chunk and never
//! what is sealed.
//!
//! A newcomer starts at the newest key frame. A viewer that is slower than
//! the GOPs that are kept loses the old ones whole and goes on at the newest
//! key frame; it is told how many chunks it missed. A slow viewer costs
//! nobody memory.

use std::collections::VecDeque;

use bytes::Bytes;

/// How much of a stream is kept.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// GOPs at most, the current one among them.
    pub gops_max: usize,
    /// Bytes of all GOPs. A current GOP that alone is larger is dropped, and
    /// everybody waits for the next key frame.
    pub bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { gops_max: 4, bytes_max: 24 << 20 }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// Prefix, header and signature of the recording that the next chunks are of.
    Header(Bytes),
    Chunk {
        number: u32,
        bytes: Bytes,
    },
    /// So many chunks were dropped for this viewer.
    Skipped {
        chunks: u64,
    },
}

/// A viewer's place in the stream.
#[derive(Debug, Default)]
pub struct Cursor {
    /// Position of the next chunk; none before the first delivery.
    next: Option<u64>,
    header: u64,
}

#[derive(Debug)]
struct Gop {
    /// Position of its first chunk, counted over the whole stream.
    first: u64,
    header: u64,
    header_bytes: Bytes,
    chunks: Vec<(u32, Bytes)>,
    size: usize,
}

#[derive(Debug)]
pub struct Stream {
    limits: Limits,
    gops: VecDeque<Gop>,
    bytes: usize,
    /// Position of the next chunk that comes in.
    position: u64,
    header: u64,
    header_bytes: Option<Bytes>,
    /// Chunks without a key frame before them cannot be opened to a picture.
    waiting_for_key_frame: bool,
}

impl Stream {
    pub fn new(limits: Limits) -> Self {
        Stream {
            limits,
            gops: VecDeque::new(),
            bytes: 0,
            position: 0,
            header: 0,
            header_bytes: None,
            waiting_for_key_frame: true,
        }
    }

    /// A recording begins: the chunks that follow are of it.
    pub fn push_header(&mut self, bytes: Bytes) {
        self.header += 1;
        self.header_bytes = Some(bytes);
        self.waiting_for_key_frame = true;
    }

    /// Takes a chunk in; `key_frame` is bit 0 of the flags of a video chunk.
    pub fn push_chunk(&mut self, number: u32, bytes: Bytes, key_frame: bool) {
        let Some(header_bytes) = &self.header_bytes else {
            return; // Nobody could open it.
        };
        let size = bytes.len();
        if key_frame {
            self.waiting_for_key_frame = false;
            self.gops.push_back(Gop {
                first: self.position,
                header: self.header,
                header_bytes: header_bytes.clone(),
                chunks: Vec::new(),
                size: 0,
            });
        }
        let position = self.position;
        self.position += 1;
        if self.waiting_for_key_frame {
            return;
        }
        let gop = self.gops.back_mut().expect("a key frame opened one");
        debug_assert_eq!(gop.first + gop.chunks.len() as u64, position);
        gop.chunks.push((number, bytes));
        gop.size += size;
        self.bytes += size;
        self.shrink();
    }

    /// What this viewer gets next, or nothing until more comes in.
    pub fn poll(&self, cursor: &mut Cursor) -> Option<Item> {
        let newest = self.gops.back()?;
        let next = *cursor.next.get_or_insert(newest.first);
        if next >= self.position {
            return None;
        }
        let Some(gop) = self.gops.iter().find(|gop| gop.contains(next)) else {
            // Between kept GOPs, or before them: go on at a key frame. Chunks
            // after the newest kept one wait for the next key frame.
            let later = self.gops.iter().find(|gop| gop.first > next)?;
            let evicted = self.gops.front().is_some_and(|oldest| next < oldest.first);
            let target = if evicted { newest.first } else { later.first };
            cursor.next = Some(target);
            return Some(Item::Skipped { chunks: target - next });
        };
        if cursor.header != gop.header {
            cursor.header = gop.header;
            return Some(Item::Header(gop.header_bytes.clone()));
        }
        cursor.next = Some(next + 1);
        let (number, bytes) = &gop.chunks[(next - gop.first) as usize];
        Some(Item::Chunk { number: *number, bytes: bytes.clone() })
    }

    /// Bytes that are kept, for the metrics.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    fn shrink(&mut self) {
        while self.gops.len() > self.limits.gops_max || self.bytes > self.limits.bytes_max {
            let Some(gop) = self.gops.pop_front() else { break };
            self.bytes -= gop.size;
            // That was the current one: too large to keep, so start afresh.
            self.waiting_for_key_frame |= self.gops.is_empty();
        }
    }
}

impl Gop {
    fn contains(&self, position: u64) -> bool {
        (self.first..self.first + self.chunks.len() as u64).contains(&position)
    }
}

#[cfg(test)]
mod tests;
