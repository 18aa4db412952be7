//! ISO 9660: names of Joliet where there are some, else those of the standard.

use std::collections::BTreeSet;

use super::Skip;
use super::bytes::{Range, Slice, join, le32, name, name16, take};
use super::sink::{Covered, Sink, Stop};
use crate::read::ReadAt;

const SECTOR: u64 = 2048;
const DEPTH_MAX: usize = 64;
const FOLDER_BYTES_MAX: u64 = 64 << 20;

pub(super) fn unpack(source: &dyn ReadAt, start: u64, sink: &mut Sink<'_>) -> Covered {
    let disc = Slice::new(source, start, u64::MAX);
    let mut chosen = None;
    for sector in 16..48 {
        let volume = take(&disc, sector * SECTOR, SECTOR)?;
        if volume[1..6] != *b"CD001" {
            break;
        }
        let is_joliet = volume[88..90] == *b"%/" && matches!(volume[90], b'@' | b'C' | b'E');
        match volume[0] {
            1 if chosen.is_none() => chosen = Some((volume, false)),
            2 if is_joliet => chosen = Some((volume, true)),
            255 => break,
            _ => {}
        }
    }
    let (volume, is_joliet) = chosen.ok_or(Stop::damaged("the volume of an ISO image"))?;
    let covered = u64::from(le32(&volume, 80)?) * SECTOR;
    let mut seen = BTreeSet::new();
    let mut waiting = vec![(le32(&volume, 158)?, le32(&volume, 166)?, String::new(), 0)];
    while let Some((at, bytes, path, depth)) = waiting.pop() {
        sink.count()?;
        if depth > DEPTH_MAX || !seen.insert(at) {
            sink.skip(&path, Skip::Damaged("a circle of folders"));
            continue;
        }
        let bytes = u64::from(bytes).min(FOLDER_BYTES_MAX);
        sink.read(bytes)?;
        let result = take(&disc, u64::from(at) * SECTOR, bytes);
        let result = result.and_then(|data| list(&data, is_joliet));
        let entries = match result {
            Ok(entries) => entries,
            Err(stop) => {
                sink.guard(&path, Err(stop))?;
                continue;
            }
        };
        for entry in entries.into_iter().rev() {
            let path = join(&path, &entry.name);
            if entry.is_folder {
                waiting.push((entry.at, entry.bytes, path, depth + 1));
            } else if entry.is_link {
                sink.link(&path)?;
            } else {
                let at = u64::from(entry.at) * SECTOR;
                sink.part(&path, &mut Range::new(&disc, at, entry.bytes.into()))?;
                sink.contents(start + at, start + at + u64::from(entry.bytes));
                if at + u64::from(entry.bytes) > disc.len() {
                    sink.skip(&path, Skip::Damaged("it ends too early"));
                }
            }
        }
    }
    Ok(Some(covered.min(disc.len())))
}

struct Entry {
    name: String,
    is_folder: bool,
    is_link: bool,
    at: u32,
    bytes: u32,
}

fn list(data: &[u8], is_joliet: bool) -> Result<Vec<Entry>, Stop> {
    let mut entries = Vec::new();
    for sector in data.chunks(SECTOR as usize) {
        let mut rest = sector;
        // Records do not cross sectors; zeros fill them up.
        while let Some(record) = rest.first().and_then(|length| rest.get(..usize::from(*length))) {
            if record.len() < 34 {
                break;
            }
            rest = &rest[record.len()..];
            let length = usize::from(record[32]);
            let text = record.get(33..33 + length).ok_or(Stop::damaged("a folder of an ISO image"))?;
            if matches!(text, [0 | 1]) {
                continue;
            }
            let system = record.get(33 + length + (length + 1) % 2..).unwrap_or_default();
            let rock = rock(system);
            let plain = if is_joliet {
                name16(text.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])))
            } else {
                rock.name.map_or_else(|| name(text), |text| name(&text))
            };
            entries.push(Entry {
                name: plain.strip_suffix(";1").unwrap_or(&plain).trim_end_matches('.').to_owned(),
                is_folder: record[25] & 2 != 0,
                is_link: rock.is_link,
                at: le32(record, 2)?,
                bytes: le32(record, 10)?,
            });
        }
    }
    Ok(entries)
}

#[derive(Default)]
struct Rock {
    name: Option<Vec<u8>>,
    is_link: bool,
}

/// Rock Ridge: the names of Unix, and links.
fn rock(mut fields: &[u8]) -> Rock {
    let mut rock = Rock::default();
    while let [first, second, length, ..] = *fields {
        let Some(field) = fields.get(..usize::from(length)).filter(|field| field.len() >= 4) else { break };
        match [first, second] {
            [b'N', b'M'] if field.len() > 5 && field[4] & 6 == 0 => {
                rock.name.get_or_insert_default().extend_from_slice(&field[5..]);
            }
            [b'S', b'L'] => rock.is_link = true,
            _ => {}
        }
        fields = &fields[field.len()..];
    }
    rock
}
