//! Ar, and with it Debian packages: long names of GNU and BSD.

use super::bytes::{Range, name, take};
use super::sink::{Covered, Sink, Stop};
use crate::read::ReadAt;

const HEADER: u64 = 60;

pub(super) fn unpack(source: &dyn ReadAt, start: u64, sink: &mut Sink<'_>) -> Covered {
    let mut at = start + 8;
    let mut names = Vec::new();
    while let Ok(header) = take(source, at, HEADER) {
        if header[58..] != *b"`\n" {
            break;
        }
        let bytes = decimal(&header[48..58]).ok_or(Stop::damaged("a size in ar"))?;
        let mut data = at + HEADER;
        let next = data + bytes + bytes % 2;
        let field = header[..16].trim_ascii_end();
        let mut left = bytes;
        let path = match field {
            b"/" | b"/SYM64/" | b"__.SYMDEF" => {
                sink.count()?;
                at = next;
                continue;
            }
            b"//" => {
                names = take(source, data, bytes.min(1 << 20))?;
                at = next;
                continue;
            }
            _ => match field.strip_prefix(b"#1/").and_then(decimal) {
                Some(length) if length <= bytes.min(4096) => {
                    data += length;
                    left -= length;
                    take(source, data - length, length)?
                }
                _ => long(field, &names).unwrap_or(field).to_vec(),
            },
        };
        let path = name(path.strip_suffix(b"/").unwrap_or(&path).trim_ascii_end());
        sink.part(path.trim_end_matches("\\u{0}"), &mut Range::new(source, data, left))?;
        sink.contents(data, data + left);
        at = next;
    }
    Ok(Some(at.min(source.len()) - start))
}

/// GNU keeps long names in a member of their own, one a line.
fn long<'a>(field: &[u8], names: &'a [u8]) -> Option<&'a [u8]> {
    let at = decimal(field.strip_prefix(b"/")?)?;
    let rest = names.get(usize::try_from(at).ok()?..)?;
    rest.split(|byte| *byte == b'\n').next()
}

fn decimal(field: &[u8]) -> Option<u64> {
    // Ten digits at most, so that sums of sizes never overflow.
    std::str::from_utf8(field).ok()?.trim().parse().ok().filter(|number: &u64| *number < 1 << 40)
}
