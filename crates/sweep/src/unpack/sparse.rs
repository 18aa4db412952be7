//! Sparse images of Android: unpacked in place, without ever being whole.

use std::io;

use super::bytes::{le16, le32, take};
use super::inner;
use super::sink::{Covered, Sink, Stop};
use crate::read::ReadAt;

struct Image<'a> {
    source: &'a dyn ReadAt,
    /// Sorted by where they begin.
    chunks: Vec<Chunk>,
    bytes: u64,
}

struct Chunk {
    from: u64,
    fill: [u8; 4],
    /// Where the bytes lie; none where they are `fill`, again and again.
    at: Option<u64>,
}

impl ReadAt for Image<'_> {
    fn len(&self) -> u64 {
        self.bytes
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let after = self.chunks.partition_point(|chunk| chunk.from <= offset);
        let Some(chunk) = after.checked_sub(1).and_then(|index| self.chunks.get(index)) else { return Ok(0) };
        let end = self.chunks.get(after).map_or(self.bytes, |next| next.from);
        let count = end.saturating_sub(offset).min(buffer.len() as u64) as usize;
        let inside = offset - chunk.from;
        if let Some(at) = chunk.at {
            return self.source.read_at(at + inside, &mut buffer[..count]);
        }
        let mut fill = chunk.fill;
        fill.rotate_left((inside % 4) as usize);
        for four in buffer[..count].chunks_mut(4) {
            four.copy_from_slice(&fill[..four.len()]);
        }
        Ok(count)
    }

    /// Behind what is filled with zeros.
    fn data_from(&self, offset: u64) -> u64 {
        let after = self.chunks.partition_point(|chunk| chunk.from <= offset);
        let rest = self.chunks.get(after.saturating_sub(1)..).unwrap_or_default();
        let data = rest.iter().find(|chunk| chunk.at.is_some() || chunk.fill != [0; 4]);
        data.map_or(self.bytes, |chunk| chunk.from).max(offset)
    }
}

pub(super) fn unpack(source: &dyn ReadAt, start: u64, sink: &mut Sink<'_>) -> Covered {
    let head = take(source, start, 28)?;
    let (own, each) = (u64::from(le16(&head, 8)?), u64::from(le16(&head, 10)?));
    let block = u64::from(le32(&head, 12)?);
    if own < 28 || each < 12 || block == 0 || block > 1 << 24 {
        return Err(Stop::damaged("the header of a sparse image"));
    }
    let mut image = Image { source, chunks: Vec::new(), bytes: 0 };
    let mut at = start + own;
    for _ in 0..le32(&head, 20)? {
        sink.count()?;
        let Ok(head) = take(source, at, 12) else { break };
        let (blocks, whole) = (u64::from(le32(&head, 4)?), u64::from(le32(&head, 8)?));
        let data = at + each;
        let mut chunk = Chunk { from: image.bytes, fill: [0; 4], at: None };
        match le16(&head, 0)? {
            0xcac1 => chunk.at = Some(data),
            0xcac2 => chunk.fill = le32(&take(source, data, 4)?, 0)?.to_le_bytes(),
            0xcac3 => {}
            0xcac4 => {
                at += whole.max(each);
                continue;
            }
            _ => return Err(Stop::damaged("a piece of a sparse image")),
        }
        if blocks > 0 {
            image.chunks.push(chunk);
            let bytes = image.bytes.checked_add(blocks * block);
            image.bytes = bytes.ok_or(Stop::damaged("a piece of a sparse image"))?;
        }
        at += whole.max(each);
    }
    inner("", &image, sink)?;
    Ok(Some(at.min(source.len()) - start))
}
