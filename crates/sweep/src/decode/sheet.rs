//! Sheets of a workbook (ECMA-376, part 1, 18.3 and 18.4): their cells name texts that stand
//! in another file.

use super::escapes::xml;
use super::rows::Rows;

/// Of a cell, in bytes; of a row; and of all that one sheet gives.
const CELL_MAX: usize = 1 << 10;
const CELLS_MAX: usize = 128;
const TEXT_MAX: usize = 16 << 20;
/// Rows of a sheet.
const ROWS_MAX: usize = 1 << 20;
const STRINGS_MAX: usize = 1 << 20;

/// What stands between one `<` and the next: the tag, and the text behind it.
struct Piece<'a> {
    tag: &'a [u8],
    text: &'a [u8],
}

impl<'a> Piece<'a> {
    /// Whether this is the beginning of an element of that name, whatever its prefix is.
    fn begins(&self, name: &[u8]) -> bool {
        local(self.tag) == name
    }

    fn ends(&self, name: &[u8]) -> bool {
        self.tag.strip_prefix(b"/").is_some_and(|tag| local(tag) == name)
    }

    fn attribute(&self, name: u8) -> Option<&'a [u8]> {
        let equals = memchr::memchr_iter(b'=', self.tag);
        let is_it = |at: &usize| matches!(self.tag[..*at].trim_ascii_end(), [.., blank, last] if *last == name && blank.is_ascii_whitespace());
        let (quote, rest) =
            self.tag[equals.into_iter().find(is_it)? + 1..].trim_ascii_start().split_first()?;
        matches!(quote, b'"' | b'\'').then(|| rest.get(..memchr::memchr(*quote, rest)?))?
    }
}

/// The name that a tag begins with, without its prefix.
fn local(tag: &[u8]) -> &[u8] {
    let letter = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'_' | b'-' | b'.');
    let name = &tag[..tag.iter().take_while(letter).count()];
    memchr::memchr(b':', name).map_or(name, |colon| &name[colon + 1..])
}

fn pieces(bytes: &[u8]) -> impl Iterator<Item = Piece<'_>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let open = at + memchr::memchr(b'<', &bytes[at..])?;
        let close = open + memchr::memchr(b'>', &bytes[open..])?;
        at = memchr::memchr(b'<', &bytes[close..]).map_or(bytes.len(), |len| close + len);
        Some(Piece { tag: &bytes[open + 1..close], text: &bytes[close + 1..at] })
    })
}

/// Appends text without its escapes, as far as there is room.
fn append(text: &[u8], cell: &mut Vec<u8>) {
    let mut at = 0;
    while at < text.len() && cell.len() < CELL_MAX {
        match xml(&text[at..]) {
            Some((few, len)) => {
                cell.extend_from_slice(few.bytes());
                at += len;
            }
            None => {
                cell.push(text[at]);
                at += 1;
            }
        }
    }
}

/// The texts of `sharedStrings.xml`, in order, and whether they are all.
pub(crate) fn strings(bytes: &[u8]) -> (Vec<Vec<u8>>, bool) {
    let (mut strings, mut one) = (Vec::new(), None::<Vec<u8>>);
    let mut is_aloud = false;
    for piece in pieces(bytes) {
        // How a text of East Asia is read stands beside it.
        let is_alone = piece.tag.ends_with(b"/");
        is_aloud = piece.begins(b"rPh") && !is_alone || is_aloud && !piece.ends(b"rPh");
        if piece.begins(b"si") {
            (one, is_aloud) = (Some(Vec::new()), false);
        } else if let Some(one) = one.as_mut().filter(|_| piece.begins(b"t") && !is_aloud) {
            append(piece.text, one);
        }
        if piece.ends(b"si") || piece.begins(b"si") && is_alone {
            if strings.len() == STRINGS_MAX {
                return (strings, false);
            }
            strings.extend(one.take());
        }
    }
    (strings, true)
}

/// The number of a column: `C7` is in the third.
fn column(place: &[u8]) -> Option<usize> {
    let letters = place.iter().take(4).take_while(|byte| byte.is_ascii_uppercase());
    let number = letters.fold(0, |number, letter| number * 26 + usize::from(letter - b'A') + 1);
    number.checked_sub(1).filter(|number| *number < CELLS_MAX)
}

fn row_number(digits: &[u8]) -> Option<usize> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// The names of sheets by the files that they are in: of `workbook.xml`, and of the relations
/// that it names.
pub(crate) fn names(workbook: &[u8], relations: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let text = |text: &[u8]| {
        let mut held = Vec::new();
        append(text, &mut held);
        held
    };
    let named = |piece: &Piece<'_>, name: &[u8]| {
        let at = memchr::memmem::find_iter(piece.tag, name)
            .find(|at| at.checked_sub(1).is_some_and(|before| piece.tag[before].is_ascii_whitespace()))?;
        let (quote, rest) = piece.tag[at + name.len()..].split_first()?;
        matches!(quote, b'"' | b'\'').then(|| rest.get(..memchr::memchr(*quote, rest)?))?.map(text)
    };
    let files: std::collections::HashMap<Vec<u8>, Vec<u8>> = pieces(relations)
        .filter(|piece| piece.begins(b"Relationship"))
        .filter_map(|piece| Some((named(&piece, b"Id=")?, named(&piece, b"Target=")?)))
        .collect();
    pieces(workbook)
        .filter(|piece| piece.begins(b"sheet"))
        .filter_map(|piece| Some((files.get(&named(&piece, b"r:id=")?)?.clone(), named(&piece, b"name=")?)))
        .collect()
}

/// The rows of a sheet, each with its number less one as the place, and whether they are all.
pub(crate) fn sheet(bytes: &[u8], strings: &[Vec<u8>]) -> (Rows, bool) {
    let (mut rows, mut cells) = (Rows::default(), Vec::<Vec<u8>>::new());
    let (mut row, mut place, mut is_shared, mut is_whole) = (0_usize, 0, false, true);
    for piece in pieces(bytes) {
        if piece.begins(b"row") || piece.ends(b"sheetData") {
            rows.push(&cells, row.saturating_sub(1));
            cells.clear();
            row = piece.attribute(b'r').and_then(row_number).unwrap_or(row + 1).min(ROWS_MAX);
        } else if piece.begins(b"c") {
            place = piece.attribute(b'r').map_or(Some(cells.len()), column).unwrap_or(CELLS_MAX);
            is_shared = piece.attribute(b't') == Some(b"s");
            if place < CELLS_MAX && place >= cells.len() {
                cells.resize(place + 1, Vec::new());
            }
        } else if piece.begins(b"v") || piece.begins(b"t") {
            let Some(cell) = cells.get_mut(place) else {
                is_whole = false;
                continue;
            };
            let number = || std::str::from_utf8(piece.text).ok()?.trim().parse::<usize>().ok();
            match is_shared.then(number) {
                Some(number) => {
                    let text = number.and_then(|number| strings.get(number));
                    let room = CELL_MAX.saturating_sub(cell.len());
                    cell.extend(text.into_iter().flatten().take(room));
                }
                None => append(piece.text, cell),
            }
        }
        if rows.text.len() > TEXT_MAX {
            return (rows, false);
        }
    }
    rows.push(&cells, row.saturating_sub(1));
    (rows, is_whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_put_where_they_say_with_the_texts_that_they_name() {
        let (strings, _) = strings(
            b"<sst><si><t>IP</t></si><si><r><t>Pass</t></r><r><t>wort</t></r></si><si/><si><t>a&amp;b1</t><rPh><t>x</t></rPh></si></sst>",
        );
        assert_eq!(strings, [b"IP".to_vec(), b"Passwort".to_vec(), Vec::new(), b"a&b1".to_vec()]);
        let (rows, is_whole) = sheet(
            b"<sheetData><row r=\"1\"><c r=\"A1\" t=\"s\"><v>0</v></c><c r=\"C1\" t=\"s\"><v>1</v></c></row>\
              <row r=\"2\"><c r=\"A2\"><v>7</v></c><c r=\"B2\" t=\"inlineStr\"><is><t>x</t></is></c><c r=\"C2\" t=\"s\"><v>3</v></c>\
              <c r=\"ZZZ2\"><v>1</v></c><c r=\"D2\" t=\"s\"><v>99</v></c></row></sheetData>",
            &strings,
        );
        assert_eq!(String::from_utf8_lossy(&rows.text), "IP\t\tPasswort\n7\tx\ta&b1\t\n");
        assert!(!is_whole, "of a column that is too far to the right");
        let (prefixed, _) = sheet(
            b"<x:sheetData><x:row r='1'><x:c r='A1' t='s'><x:v>3</x:v></x:c><x:c s=\"1\" r = \"B1\"><x:v>a;b</x:v></x:c></x:row></x:sheetData>",
            &strings,
        );
        assert_eq!(String::from_utf8_lossy(&prefixed.text), "a&b1\ta;b\n");
        let (texts, is_whole) =
            super::strings(b"<si><t>a</t><rPh/></si><si><rPh><t>b</t></si><si><t>c</t></si>");
        assert!(is_whole && texts == [b"a".to_vec(), Vec::new(), b"c".to_vec()], "{texts:?}");
    }

    #[test]
    fn sheets_have_names_and_rows_have_numbers() {
        let names = names(
            b"<workbook><sheets><sheet name=\"A &amp; B\" sheetId=\"1\" r:id=\"rId2\"/><sheet r:id='rId9'/></sheets></workbook>",
            b"<Relationships><Relationship Id=\"rId2\" Target=\"worksheets/sheet1.xml\"/></Relationships>",
        );
        assert_eq!(names, [(b"worksheets/sheet1.xml".to_vec(), b"A & B".to_vec())]);
        let (rows, _) = sheet(
            b"<row r=\"7\"><c><v>a</v></c></row><row><c><v>b</v></c></row><row r=\"99999999999\"><c><v>c</v></c></row>",
            &[],
        );
        let lines: Vec<usize> = (0..3).map(|row| super::super::line_start(&rows.steps, 2 * row)).collect();
        assert_eq!((rows.text.as_slice(), lines.as_slice()), (&b"a\nb\nc\n"[..], &[6, 7, ROWS_MAX - 1][..]));
    }

    /// The attack: one long text that every cell names.
    #[test]
    fn a_text_that_every_cell_names_is_cut_and_counted() {
        let strings = [vec![b'x'; 1 << 20]];
        let row = format!("<row>{}</row>", "<c t=\"s\"><v>0</v></c>".repeat(200));
        let (rows, is_whole) = sheet(row.repeat(500).as_bytes(), &strings);
        assert!(!is_whole && rows.text.len() <= TEXT_MAX + CELLS_MAX * (CELL_MAX + 1));
        // One cell that names it a thousand times.
        let row = format!("<row><c t=\"s\">{}</c></row>", "<v>0</v>".repeat(1000));
        let (rows, is_whole) = sheet(row.as_bytes(), &strings);
        assert!(is_whole && rows.text.len() == CELL_MAX + 1, "{}", rows.text.len());
    }
}
