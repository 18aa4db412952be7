//! Romfs: a chain of headers, each aligned to 16 bytes.

use std::collections::BTreeSet;

use super::Skip;
use super::bytes::{Range, Slice, be32, join, name, take, until_zero};
use super::sink::{Covered, Sink, Stop};
use crate::read::ReadAt;

const NAME_BYTES_MAX: u64 = 1024;

pub(super) fn unpack(source: &dyn ReadAt, start: u64, sink: &mut Sink<'_>) -> Covered {
    let bytes = be32(&take(source, start, 16)?, 8)?.into();
    let fs = Slice::new(source, start, bytes);
    let (_, after) = text(&fs, 16)?;
    let mut seen = BTreeSet::new();
    let mut waiting = vec![(after, String::new())];
    while let Some((mut at, folder)) = waiting.pop() {
        while at != 0 {
            sink.count()?;
            if !seen.insert(at) {
                sink.skip(&folder, Skip::Damaged("a circle of files"));
                break;
            }
            let result = take(&fs, at, 16).and_then(|head| Ok((head, text(&fs, at + 16)?)));
            let (head, (text, data)) = match result {
                Ok(read) => read,
                Err(stop) => {
                    sink.guard(&folder, Err(stop))?;
                    break;
                }
            };
            let path = join(&folder, &text);
            let bytes = u64::from(be32(&head, 8)?);
            match be32(&head, 0)? & 7 {
                _ if text == "." || text == ".." => {}
                1 => waiting.push((u64::from(be32(&head, 4)?) & !15, path)),
                2 => {
                    sink.part(&path, &mut Range::new(&fs, data, bytes))?;
                    if data + bytes > fs.len() {
                        sink.skip(&path, Skip::Damaged("it ends too early"));
                    }
                }
                0 | 3 => sink.link(&path)?,
                _ => {}
            }
            at = u64::from(be32(&head, 0)?) & !15;
        }
    }
    Ok(Some(fs.len()))
}

/// A name, and where what follows it begins.
fn text(fs: &dyn ReadAt, at: u64) -> Result<(String, u64), Stop> {
    let data = take(fs, at, NAME_BYTES_MAX.min(fs.len().saturating_sub(at)))?;
    let text = until_zero(&data);
    if text.len() == data.len() {
        return Err(Stop::damaged("a name of romfs"));
    }
    Ok((name(text), (at + text.len() as u64 + 1).next_multiple_of(16)))
}
