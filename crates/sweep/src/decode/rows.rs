//! Text of rows of cells, whatever they stood in: one row a line, with tabs between cells.

use super::Step;
use crate::table;

/// Of a row; what follows is left out.
const CELLS_MAX: usize = 128;

/// Rows as text, and where each was.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub(crate) text: Vec<u8>,
    pub(crate) steps: Vec<Step>,
}

impl Rows {
    /// A row that began at `from`. A name of a password and the value in the next cell stand
    /// in a line of their own, too, or alone, if the row has no more.
    pub(crate) fn push(&mut self, cells: &[Vec<u8>], from: usize) {
        let cells = &cells[..cells.len().min(CELLS_MAX)];
        if cells.iter().all(|cell| cell.trim_ascii().is_empty()) {
            return;
        }
        if !matches!(cells, [name, value] if named(name, value).is_some()) {
            self.steps.push(Step(self.text.len(), from));
            for (number, cell) in cells.iter().enumerate() {
                if number > 0 {
                    self.text.push(b'\t');
                }
                self.cell(cell.trim_ascii());
            }
            self.text.push(b'\n');
        }
        for pair in cells.windows(2) {
            if let Some(line) = named(&pair[0], &pair[1]) {
                self.steps.push(Step(self.text.len(), from));
                self.text.extend(line);
            }
        }
    }

    /// In quotes, if it holds what ends a cell (RFC 4180, 2.6 and 2.7).
    fn cell(&mut self, cell: &[u8]) {
        if !cell.iter().any(|byte| matches!(byte, b'\t' | b'\n' | b'\r')) {
            self.text.extend_from_slice(cell);
            return;
        }
        self.text.push(b'"');
        for &byte in cell {
            self.text.extend(std::iter::repeat_n(byte, if byte == b'"' { 2 } else { 1 }));
        }
        self.text.push(b'"');
    }
}

/// `name: value`, if that is what two cells are, and no part of a heading.
fn named(name: &[u8], value: &[u8]) -> Option<Vec<u8>> {
    let (name, value) = (name.trim_ascii(), value.trim_ascii());
    let name = name.strip_suffix(b":").unwrap_or(name);
    let is_value = !value.is_empty() && !table::is_name(value) && !table::is_beside(value);
    (is_value && table::is_name(name)).then(|| [name, b": ", value, b"\n"].concat())
}
