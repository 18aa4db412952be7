//! Workbooks: what of an archive is kept until its end, since sheets come before the texts
//! that their cells name.

use std::io::{self, Read};

use super::Run;
use crate::decode::{self, Decoded};

/// Of all sheets and texts of an archive, in bytes.
const KEPT_MAX: usize = 32 << 20;
const STRINGS: &str = "xl/sharedstrings.xml";
const BOOK: &str = "xl/workbook.xml";
const RELATIONS: &str = "xl/_rels/workbook.xml.rels";
const SHEETS: &str = "xl/worksheets/";

/// Files of a workbook.
#[derive(Default)]
pub(super) struct Book {
    strings: Vec<u8>,
    book: Vec<u8>,
    relations: Vec<u8>,
    sheets: Vec<(String, Vec<u8>)>,
    kept: usize,
    /// There was more than may be kept.
    is_cut: bool,
}

impl Book {
    /// Whether `name` is of a file that is kept.
    pub(super) fn wants(name: &str) -> bool {
        let name = name.to_ascii_lowercase();
        [STRINGS, BOOK, RELATIONS].contains(&name.as_str())
            || name.starts_with(SHEETS) && name.ends_with(".xml")
    }

    /// The same reader, of which what was read is kept.
    pub(super) fn tee<'a>(&self, data: &'a mut dyn Read) -> Tee<'a> {
        Tee::new(data, KEPT_MAX - self.kept)
    }

    pub(super) fn keep(&mut self, name: &str, kept: Vec<u8>, is_cut: bool) {
        self.kept += kept.len();
        self.is_cut |= is_cut;
        match name.to_ascii_lowercase().as_str() {
            STRINGS => self.strings = kept,
            BOOK => self.book = kept,
            RELATIONS => self.relations = kept,
            _ => self.sheets.push((name.to_owned(), kept)),
        }
    }
}

pub(super) struct Tee<'a> {
    data: &'a mut dyn Read,
    pub(super) kept: Vec<u8>,
    room: usize,
    pub(super) is_cut: bool,
}

impl<'a> Tee<'a> {
    pub(super) fn new(data: &'a mut dyn Read, room: usize) -> Tee<'a> {
        Tee { data, kept: Vec::new(), room, is_cut: false }
    }
}

impl Read for Tee<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.data.read(buffer)?;
        let room = self.room.saturating_sub(self.kept.len());
        self.is_cut |= read > room;
        self.kept.extend_from_slice(&buffer[..read.min(room)]);
        Ok(read)
    }
}

impl Run<'_> {
    /// What the cells of the sheets say, once all of the archive was read.
    pub(super) fn book(&mut self, book: &Book) {
        if book.strings.is_empty() && !book.is_cut || book.sheets.is_empty() {
            return;
        }
        let (strings, is_whole) = decode::strings(&book.strings);
        let mut is_cut = book.is_cut || !is_whole;
        let names = decode::names(&book.book, &book.relations);
        for (name, sheet) in &book.sheets {
            if self.stopped {
                return;
            }
            let (decode::Rows { text, steps }, is_whole) = decode::sheet(sheet, &strings);
            is_cut |= !is_whole;
            let part = self.chain.len();
            self.chain.push(name.clone());
            let is_it = |(file, _): &&(Vec<u8>, Vec<u8>)| name.as_bytes().ends_with(file);
            if let Some((_, title)) = names.iter().find(is_it) {
                // In parentheses, since it is the same place.
                self.chain.push(format!("({})", String::from_utf8_lossy(title)));
            }
            // A line for each row, since nobody can open the file to look for a byte.
            let lines = vec![b'\n'; steps.iter().map(|step| step.place() + 1).max().unwrap_or(0)];
            let place = 0..lines.len();
            self.alone(&lines, Decoded { encoding: "sheet", place, bytes: text, steps });
            self.chain.truncate(part);
        }
        if is_cut {
            self.skipped(
                "too large a workbook: of some cells, the text is not read beside that of other cells",
            );
        }
    }
}
