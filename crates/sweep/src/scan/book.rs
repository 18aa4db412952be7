//! Workbooks: what of an archive is kept until its end, since sheets come before the texts
//! that their cells name.

use std::io::{self, Read};

use super::Run;
use crate::decode::{self, Decoded};

/// Of all sheets and texts of an archive, in bytes.
const KEPT_MAX: usize = 32 << 20;
const STRINGS: &str = "xl/sharedStrings.xml";

/// Files of a workbook.
#[derive(Default)]
pub(super) struct Book {
    strings: Vec<u8>,
    sheets: Vec<(String, Vec<u8>)>,
    kept: usize,
}

impl Book {
    /// Whether `name` is of a file that is kept.
    pub(super) fn wants(&self, name: &str) -> bool {
        let is_sheet = name.starts_with("xl/worksheets/") && name.ends_with(".xml");
        (is_sheet || name == STRINGS) && self.kept < KEPT_MAX
    }

    /// The same reader, of which what was read is kept.
    pub(super) fn tee<'a>(&self, data: &'a mut dyn Read) -> Tee<'a> {
        Tee { data, kept: Vec::new(), room: KEPT_MAX - self.kept }
    }

    pub(super) fn keep(&mut self, name: &str, kept: Vec<u8>) {
        if kept.is_empty() {
            return;
        }
        self.kept += kept.len();
        match name {
            STRINGS => self.strings = kept,
            _ => self.sheets.push((name.to_owned(), kept)),
        }
    }
}

pub(super) struct Tee<'a> {
    data: &'a mut dyn Read,
    pub(super) kept: Vec<u8>,
    room: usize,
}

impl Read for Tee<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.data.read(buffer)?;
        let room = self.room.saturating_sub(self.kept.len());
        self.kept.extend_from_slice(&buffer[..read.min(room)]);
        Ok(read)
    }
}

impl Run<'_> {
    /// What the cells of the sheets say, once all of the archive was read.
    pub(super) fn book(&mut self, book: &Book) {
        if book.strings.is_empty() || book.sheets.is_empty() {
            return;
        }
        let strings = decode::strings(&book.strings);
        for (name, sheet) in &book.sheets {
            if self.stopped {
                return;
            }
            let decode::Rows { text, steps } = decode::sheet(sheet, &strings);
            self.chain.push(name.clone());
            let place = 0..sheet.len();
            self.alone(sheet, Decoded { encoding: "sheet", place, bytes: text, steps });
            self.chain.pop();
        }
    }
}
