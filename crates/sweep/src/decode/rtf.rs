//! Rich Text Format (RTF 1.9.1): its text without what says how it looks.

use super::latin::letter;
use super::rows::Rows;
use super::{Decoded, pair};

pub(crate) const MAGIC: &[u8] = b"{\\rtf";
/// A word that says something is no longer than this.
const WORD_MAX: usize = 32;

/// All text of a document, that of headers and comments as well.
pub(crate) fn rtf(bytes: &[u8]) -> Decoded {
    let mut text = Text::default();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'\\' => at = text.control(bytes, at),
            b'{' | b'}' | b'\r' | b'\n' | 0 => text.skip = 0,
            _ if text.skip > 0 => text.skip -= 1,
            _ if byte.is_ascii() => text.cell.push(byte),
            _ => text.push(letter(byte)),
        }
    }
    text.row(at);
    let Rows { text, steps } = text.rows;
    Decoded { encoding: "rtf", place: 0..bytes.len(), bytes: text, steps }
}

#[derive(Default)]
struct Text {
    rows: Rows,
    cells: Vec<Vec<u8>>,
    cell: Vec<u8>,
    /// Where the row began.
    from: usize,
    /// Letters to be left out, which stand for one in Unicode where that is not known.
    skip: usize,
    /// One less than the number of those: a document that does not say has one.
    more: isize,
}

impl Text {
    fn push(&mut self, letter: char) {
        let mut held = [0; 4];
        self.cell.extend_from_slice(letter.encode_utf8(&mut held).as_bytes());
    }

    fn row(&mut self, at: usize) {
        self.cells.push(std::mem::take(&mut self.cell));
        self.rows.push(&self.cells, self.from);
        self.cells.clear();
        self.from = at;
    }

    /// What stands behind a backslash; returns where it ends.
    fn control(&mut self, bytes: &[u8], at: usize) -> usize {
        let rest = &bytes[at..];
        let letters = rest.iter().take(WORD_MAX).take_while(|byte| byte.is_ascii_alphabetic()).count();
        if letters == 0 {
            return at + self.sign(rest, at + 1);
        }
        let digits = &rest[letters..];
        let sign = usize::from(digits.first() == Some(&b'-'));
        let count = sign + digits[sign..].iter().take(10).take_while(|byte| byte.is_ascii_digit()).count();
        let number = std::str::from_utf8(&digits[..count]).ok().and_then(|digits| digits.parse::<i32>().ok());
        let end = letters + count + usize::from(digits.get(count) == Some(&b' '));
        match (&rest[..letters], number) {
            (b"par" | b"line" | b"sect" | b"page", _) if self.cells.is_empty() => self.row(at + end),
            (b"par" | b"line", _) => self.cell.push(b' '),
            (b"tab", _) => self.cell.push(b' '),
            (b"cell" | b"nestcell", _) => self.cells.push(std::mem::take(&mut self.cell)),
            (b"row" | b"nestrow", _) => self.row(at + end),
            (b"uc", Some(number)) => self.more = number.clamp(0, 8) as isize - 1,
            (b"u", Some(number)) => {
                let code = if number < 0 { number + 0x1_0000 } else { number };
                self.push(u32::try_from(code).ok().and_then(char::from_u32).unwrap_or('\u{fffd}'));
                self.skip = (self.more + 1) as usize;
            }
            _ => {}
        }
        at + end
    }

    fn sign(&mut self, rest: &[u8], end: usize) -> usize {
        match rest {
            [b'\'', high, low, ..] => {
                if self.skip > 0 {
                    self.skip -= 1;
                } else if let Some(byte) = pair(*high, *low) {
                    self.push(letter(byte));
                }
                3
            }
            [byte @ (b'{' | b'}' | b'\\'), ..] => {
                self.cell.push(*byte);
                1
            }
            [b'~', ..] => {
                self.cell.push(b' ');
                1
            }
            [b'\r' | b'\n', ..] => {
                self.row(end);
                1
            }
            [_, ..] => 1,
            [] => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(document: &str) -> String {
        String::from_utf8_lossy(&rtf(document.as_bytes()).bytes).into_owned()
    }

    #[test]
    fn text_stands_without_what_says_how_it_looks() {
        for (document, lines) in [
            ("{\\rtf1\\ansi{\\b Passwort}: Flunder88\\par\nx}", "Passwort: Flunder88\nx\n"),
            ("{\\rtf1 Gr\\'fc\\u223?e\\par a\\{b\\}\\\\c}", "Grüße\na{b}\\c\n"),
            ("{\\rtf1\\uc0\\u252 b\\uc2\\u-10179??c}", "üb\u{fffd}c\n"),
            (
                "{\\rtf1\\trowd Passwort\\cell Aal7dorn\\cell\\row IP\\cell x\\cell\\row}",
                "Passwort\tAal7dorn\t\nPasswort: Aal7dorn\nIP\tx\t\n",
            ),
        ] {
            assert_eq!(text(document), lines, "{document}");
        }
    }

    /// Whatever stands there, no more comes out than three bytes for each.
    #[test]
    fn what_is_no_document_ends() {
        let mut random = fastrand::Rng::with_seed(12);
        let parts = [
            "\\",
            "'",
            "u",
            "-",
            "99999999999",
            "\\u8226",
            "{",
            "}",
            "\\cell",
            "\\row",
            "\\par",
            " ",
            "\u{fc}",
            "\\uc8",
            "f",
        ];
        for _ in 0..500 {
            let document: String = (0..60).map(|_| parts[random.usize(..parts.len())]).collect();
            assert!(text(&document).len() <= 6 * document.len() + 8, "{document}");
        }
        assert!(text(&"\\".repeat(1 << 20)).len() <= 1 << 20);
    }
}
