//! Databases of SQLite (sqlite.org/fileformat2.html): the rows of each table, one a line,
//! under a line with the names of the columns. Pages that are free are read as they lie
//! there, like all of the file.

use std::io::Cursor;

use super::Skip;
use super::bytes::{be16, be32, name, take};
use super::sink::{Covered, Sink, Stop};
use crate::decode::Rows;
use crate::read::ReadAt;

pub(super) const MAGIC: &[u8] = b"SQLite format 3\0";

/// Of a row, and of the text of a table that is given at once, in bytes.
const ROW_MAX: u64 = 1 << 20;
const TEXT_MAX: usize = 4 << 20;
const COLUMNS_MAX: usize = 128;
const TABLES_MAX: usize = 10_000;
/// Known and not read yet.
const PAGES_MAX: usize = 1 << 20;
const PAGES_SEEN: u64 = 1 << 32;
/// A cell and its pointer take so much at least, beside the record.
const CELL_MIN: u64 = 4;
/// Longer cells stand in lines of their own, in which nothing is quoted.
const CELL_MAX: usize = 256;

/// Takes the values of a row; false if no more are wanted.
type Each<'e> = dyn FnMut(&[Vec<u8>], &mut Sink<'_>) -> Result<bool, Stop> + 'e;

/// Where pages lie, and what was read of them.
pub(super) struct Pages<'a> {
    source: &'a dyn ReadAt,
    at: u64,
    bytes: u64,
    /// Without what is reserved at the end of each.
    usable: u64,
    seen: Vec<u64>,
    encoding: u32,
}

/// Whether sizes are such as SQLite writes.
pub(super) fn begins(head: &[u8]) -> bool {
    let size = be16(head, 16).unwrap_or_default();
    (size == 1 || size >= 512 && size.is_power_of_two())
        && matches!(head.get(18..20), Some([1 | 2, 1 | 2]))
        && matches!(head.get(21..24), Some([64, 32, 32]))
}

pub(super) fn unpack(source: &dyn ReadAt, at: u64, sink: &mut Sink<'_>) -> Covered {
    let head = take(source, at, 100)?;
    let bytes = match be16(&head, 16)? {
        1 => 1 << 16,
        size => u64::from(size),
    };
    let usable = bytes.checked_sub(head[20].into()).filter(|usable| *usable >= 480);
    let usable = usable.ok_or(Stop::damaged("the header of a database"))?;
    let mut pages = Pages::new(source, at, bytes, usable, be32(&head, 56)?);
    let mut tables = Vec::new();
    let walked = pages.walk(1, sink, &mut |row, _| {
        let text = |column: usize| row.get(column).map(|cell| cell.as_slice()).unwrap_or_default();
        let root = std::str::from_utf8(text(3)).ok().and_then(|root| root.parse::<u64>().ok());
        if let Some(root) = root.filter(|root| text(0) == b"table" && *root > 1) {
            tables.push((name(text(1)), root, columns(text(4))));
        }
        Ok(tables.len() < TABLES_MAX)
    });
    sink.guard("", walked)?;
    for (table, root, columns) in tables {
        let given = pages.table(&table, root, &columns, sink);
        sink.guard(&table, given)?;
    }
    // What was deleted lies there still.
    Ok(None)
}

impl<'a> Pages<'a> {
    pub(super) fn new(source: &'a dyn ReadAt, at: u64, bytes: u64, usable: u64, encoding: u32) -> Pages<'a> {
        let there = source.len().saturating_sub(at) / bytes;
        // A bit for each page that there is, of a file that may have holes.
        let seen = vec![0; (there.min(PAGES_SEEN) / 64 + 1) as usize];
        Pages { source, at, bytes, usable, seen, encoding }
    }

    /// The rows of one leaf, without the names of their columns.
    pub(super) fn rows(&mut self, number: u64, sink: &mut Sink<'_>) -> Result<Vec<u8>, Stop> {
        let mut rows = Rows::default();
        let walked = self.walk(number, sink, &mut |row, _| {
            push(&mut rows, row);
            Ok(rows.text.len() <= TEXT_MAX)
        });
        sink.guard("", walked)?;
        Ok(rows.text)
    }

    /// A page that was not read before: trees have no circles.
    fn page(&mut self, number: u64) -> Result<Vec<u8>, Stop> {
        let (word, bit) = ((number / 64) as usize, 1 << (number % 64));
        match self.seen.get_mut(word) {
            Some(seen) if number > 0 && *seen & bit == 0 => *seen |= bit,
            _ => return Err(Stop::damaged("a page of a database")),
        }
        let at = (number - 1).checked_mul(self.bytes).and_then(|offset| offset.checked_add(self.at));
        take(self.source, at.ok_or(Stop::damaged("a page of a database"))?, self.bytes)
    }

    fn was_read(&self, number: u64) -> bool {
        self.seen.get((number / 64) as usize).is_none_or(|seen| seen & 1 << (number % 64) != 0)
    }

    fn table(
        &mut self,
        table: &str,
        root: u64,
        columns: &[Vec<u8>],
        sink: &mut Sink<'_>,
    ) -> Result<(), Stop> {
        let mut rows = Rows::default();
        rows.push(columns, 0);
        let mut any = false;
        let walked = self.walk(root, sink, &mut |row, sink| {
            any = true;
            push(&mut rows, row);
            if rows.text.len() > TEXT_MAX {
                sink.part(table, &mut Cursor::new(std::mem::take(&mut rows.text)))?;
                rows.push(columns, 0);
            }
            Ok(true)
        });
        if any {
            sink.part(table, &mut Cursor::new(rows.text))?;
        }
        walked
    }

    /// All rows of the table whose tree has its root in page `root`.
    fn walk(&mut self, root: u64, sink: &mut Sink<'_>, each: &mut Each<'_>) -> Result<(), Stop> {
        let mut left = vec![root];
        while let Some(number) = left.pop() {
            sink.count()?;
            let page = match self.page(number) {
                Ok(page) => page,
                Err(Stop::Skip(why)) => {
                    sink.guard("", Err(Stop::Skip(why)))?;
                    continue;
                }
                Err(stop) => return Err(stop),
            };
            // The first page begins with the header of the file.
            let start = if number == 1 { 100 } else { 0 };
            let kind = page[start];
            let header = if kind == 5 { 12 } else { 8 };
            if !matches!(kind, 5 | 13) {
                // Tables without numbers of rows are trees of another kind.
                return Err(Stop::unsupported("a table of a database without numbers of rows"));
            }
            let count = usize::from(be16(&page, start + 3)?);
            let (mut children, mut read) = (Vec::new(), 0);
            for index in 0..count {
                let Ok(cell) = be16(&page, start + header + 2 * index) else { break };
                let cell = usize::from(cell);
                if kind == 5 {
                    children.extend(be32(&page, cell).ok().map(u64::from));
                } else if let Some((payload, local)) = self.payload(&page, cell) {
                    // No byte of a page is in two cells.
                    read += CELL_MIN + local;
                    if read > self.bytes {
                        return Err(Stop::damaged("cells of a database that overlap"));
                    }
                    if !each(&record(&payload, self.encoding), sink)? {
                        return Ok(());
                    }
                }
            }
            if kind == 5 {
                children.push(be32(&page, start + 8)?.into());
            }
            left.extend(children.into_iter().rev().filter(|child| !self.was_read(*child)));
            if left.len() > PAGES_MAX {
                return Err(Stop::Skip(Skip::TooMany));
            }
        }
        Ok(())
    }

    /// The record of a cell of a leaf, with what of it lies in pages of its own, and how much
    /// lies in the leaf.
    fn payload(&mut self, page: &[u8], cell: usize) -> Option<(Vec<u8>, u64)> {
        let mut at = cell;
        let bytes = varint(page, &mut at)?;
        varint(page, &mut at)?;
        let (most, least) = (self.usable - 35, (self.usable - 12) * 32 / 255 - 23);
        let local = match bytes {
            _ if bytes <= most => bytes,
            _ => Some(least + (bytes - least) % (self.usable - 4))
                .filter(|local| *local <= most)
                .unwrap_or(least),
        };
        let mut payload = page.get(at..at + local as usize)?.to_vec();
        let mut next = be32(page, at + local as usize).unwrap_or_default();
        let wanted = bytes.min(ROW_MAX);
        while (payload.len() as u64) < wanted {
            // What of a record is there is worth reading.
            let Ok(more) = self.page(next.into()) else { break };
            next = be32(&more, 0).ok()?;
            let room = (wanted - payload.len() as u64).min(self.usable - 4) as usize;
            payload.extend_from_slice(&more[4..4 + room]);
        }
        Some((payload, local))
    }
}

/// Rows with long cells in lines of their own.
fn push(rows: &mut Rows, row: &[Vec<u8>]) {
    let is_long = |cell: &Vec<u8>| cell.len() > CELL_MAX || cell.contains(&b'\n');
    let short: Vec<Vec<u8>> =
        row.iter().map(|cell| if is_long(cell) { Vec::new() } else { cell.clone() }).collect();
    rows.push(&short, 0);
    for cell in row.iter().filter(|cell| is_long(cell)) {
        rows.text.extend_from_slice(cell);
        rows.text.push(b'\n');
    }
}

/// Up to nine bytes, seven bits each, of the last all eight.
fn varint(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let mut number = 0;
    for index in 0..9 {
        let byte = *bytes.get(*at)?;
        *at += 1;
        if index == 8 {
            return Some(number << 8 | u64::from(byte));
        }
        number = number << 7 | u64::from(byte & 0x7f);
        if byte < 0x80 {
            break;
        }
    }
    Some(number)
}

/// The values of a record as text, as far as they are there.
fn record(payload: &[u8], encoding: u32) -> Vec<Vec<u8>> {
    let (mut cells, mut at) = (Vec::new(), 0);
    let Some(header) = varint(payload, &mut at) else { return cells };
    let Ok(mut body) = usize::try_from(header) else { return cells };
    while at < header as usize && cells.len() < COLUMNS_MAX {
        let Some(kind) = varint(payload, &mut at) else { break };
        let bytes = match kind {
            0 | 8 | 9 | 10 | 11 => 0,
            1..=4 => kind,
            5 => 6,
            6 | 7 => 8,
            _ => (kind - 12) / 2,
        };
        let end = usize::try_from(bytes).ok().and_then(|bytes| body.checked_add(bytes));
        let Some(value) = end.map(|end| &payload[body.min(payload.len())..end.min(payload.len())]) else {
            break;
        };
        cells.push(match kind {
            1..=6 => integer(value).to_string().into_bytes(),
            8 | 9 => vec![b'0' + (kind as u8 - 8)],
            12.. if kind % 2 == 1 => text(value, encoding),
            12.. if std::str::from_utf8(value).is_ok() => value.to_vec(),
            _ => Vec::new(),
        });
        body += bytes as usize;
    }
    cells
}

fn integer(value: &[u8]) -> i64 {
    let sign = if value.first().is_some_and(|byte| *byte >= 0x80) { -1 } else { 0 };
    value.iter().fold(sign, |number, byte| number << 8 | i64::from(*byte))
}

/// In UTF-8, whatever the database has.
fn text(value: &[u8], encoding: u32) -> Vec<u8> {
    let of: fn([u8; 2]) -> u16 = match encoding {
        2 => u16::from_le_bytes,
        3 => u16::from_be_bytes,
        _ => return value.to_vec(),
    };
    let units = value.chunks_exact(2).map(|two| of([two[0], two[1]]));
    char::decode_utf16(units).map(|c| c.unwrap_or('\u{fffd}')).collect::<String>().into_bytes()
}

/// The length of a comment that `sql` begins with.
fn comment(sql: &[u8]) -> usize {
    let end: &[u8] = match sql {
        [b'-', b'-', ..] => b"\n",
        [b'/', b'*', ..] => b"*/",
        _ => return 0,
    };
    memchr::memmem::find(&sql[2..], end).map_or(sql.len(), |len| 2 + len + end.len())
}

/// The names of the columns in `CREATE TABLE t (a TEXT, "b c" INT, PRIMARY KEY (a))`.
fn columns(sql: &[u8]) -> Vec<Vec<u8>> {
    const OTHERS: [&[u8]; 5] = [b"primary", b"unique", b"check", b"foreign", b"constraint"];
    let (mut columns, mut one) = (Vec::new(), Vec::new());
    let (mut depth, mut quote) = (0_u32, None);
    let mut rest = sql;
    while let Some((&byte, behind)) = rest.split_first() {
        let comment = if quote.is_none() { comment(rest) } else { 0 };
        if comment > 0 {
            rest = &rest[comment..];
            continue;
        }
        rest = behind;
        match (quote, byte) {
            (Some(open), _) if byte == open => quote = None,
            (None, b'"' | b'\'' | b'`') => quote = Some(byte),
            (None, b'[') => quote = Some(b']'),
            (None, b'(') => depth += 1,
            (None, b')') => depth = depth.saturating_sub(1),
            (None, b',') if depth == 1 => columns.push(std::mem::take(&mut one)),
            _ if depth > 0 => {}
            _ => continue,
        }
        if depth > 0 && !(depth == 1 && matches!(byte, b'(' | b',') && quote.is_none()) {
            one.push(byte);
        }
    }
    columns.push(one);
    let name = |definition: &Vec<u8>| {
        let definition = definition.trim_ascii();
        let (first, end) = match definition.first()? {
            quote @ (b'"' | b'\'' | b'`') => (1, *quote),
            b'[' => (1, b']'),
            _ => (0, b' '),
        };
        let rest = &definition[first..];
        let is_end =
            |byte: &u8| if first == 0 { byte.is_ascii_whitespace() || *byte == b'(' } else { *byte == end };
        let name = &rest[..rest.iter().position(is_end).unwrap_or(rest.len())];
        let is_other = first == 0 && OTHERS.iter().any(|other| name.eq_ignore_ascii_case(other));
        (!is_other).then(|| name.to_vec())
    };
    columns.iter().take(COLUMNS_MAX).filter_map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_columns_are_read_from_the_statement() {
        let names = |sql: &str| {
            let names =
                columns(sql.as_bytes()).into_iter().map(|name| String::from_utf8_lossy(&name).into_owned());
            names.collect::<Vec<_>>().join("|")
        };
        assert_eq!(
            names("CREATE TABLE users(id INTEGER PRIMARY KEY, name TEXT,password TEXT)"),
            "id|name|password"
        );
        assert_eq!(
            names(
                "CREATE TABLE \"a,b\" (\"c,d\" DECIMAL(10,2) DEFAULT (1), [e f] TEXT, `g` INT,\n h\tINT, PRIMARY KEY (g, h), UNIQUE(h))"
            ),
            "c,d|e f|g|h"
        );
        assert_eq!(
            names(
                "CREATE TABLE u ( -- who\n id INT, -- it's, (theirs\n name /* a, \"b */ TEXT, pw TEXT /* end"
            ),
            "id|name|pw"
        );
        for hostile in
            ["", "(", "(--", "(/*/", ")))(", "CREATE TABLE x", "\"", "(((((", "(\"", ",,,,", "(,,,"]
        {
            assert!(names(hostile).len() < 16, "{hostile}");
        }
    }

    #[test]
    fn numbers_have_up_to_nine_bytes() {
        for (bytes, number) in [
            (vec![0x7f], Some(127)),
            (vec![0x81, 0x00], Some(128)),
            (vec![0xff; 9], Some(u64::MAX)),
            (vec![0xff; 8], None),
            (vec![], None),
        ] {
            assert_eq!(varint(&bytes, &mut 0), number, "{bytes:x?}");
        }
        assert_eq!(integer(&[0xff, 0xfe]), -2);
    }
}
