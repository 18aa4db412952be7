//! Workbooks: what of an archive is kept until its end, since sheets come before the texts
//! that their cells name.

use std::io::{self, Read};

use super::Run;
use crate::decode::{self, Decoded};

/// Of all sheets and texts of an archive, in bytes.
const KEPT_MAX: usize = 32 << 20;
const STRINGS: &str = "xl/sharedstrings.xml";
const SHEETS: &str = "xl/worksheets/";

/// Files of a workbook.
#[derive(Default)]
pub(super) struct Book {
    strings: Vec<u8>,
    sheets: Vec<(String, Vec<u8>)>,
    kept: usize,
    /// There was more than may be kept.
    is_cut: bool,
}

impl Book {
    /// Whether `name` is of a file that is kept.
    pub(super) fn wants(name: &str) -> bool {
        let name = name.to_ascii_lowercase();
        name == STRINGS || name.starts_with(SHEETS) && name.ends_with(".xml")
    }

    /// The same reader, of which what was read is kept.
    pub(super) fn tee<'a>(&self, data: &'a mut dyn Read) -> Tee<'a> {
        Tee { data, kept: Vec::new(), room: KEPT_MAX - self.kept, is_cut: false }
    }

    pub(super) fn keep(&mut self, name: &str, kept: Vec<u8>, is_cut: bool) {
        self.kept += kept.len();
        self.is_cut |= is_cut;
        match name.eq_ignore_ascii_case(STRINGS) {
            true => self.strings = kept,
            false => self.sheets.push((name.to_owned(), kept)),
        }
    }
}

pub(super) struct Tee<'a> {
    data: &'a mut dyn Read,
    pub(super) kept: Vec<u8>,
    room: usize,
    pub(super) is_cut: bool,
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
        for (name, sheet) in &book.sheets {
            if self.stopped {
                return;
            }
            let (decode::Rows { text, steps }, is_whole) = decode::sheet(sheet, &strings);
            is_cut |= !is_whole;
            self.chain.push(name.clone());
            let place = 0..sheet.len();
            self.alone(sheet, Decoded { encoding: "sheet", place, bytes: text, steps });
            self.chain.pop();
        }
        if is_cut {
            self.skipped(
                "too large a workbook: of some cells, the text is not read beside that of other cells",
            );
        }
    }
}
