//! Pages of PDF (ISO 32000-1): the text that is shown by their contents (9.4), with the letters
//! that a font says its codes stand for (9.10).

use std::collections::HashMap;
use std::ops::Range;

use super::latin::letter;
use super::pair;

/// Letters that the table of one font says, also again; and text that one page gives, in bytes.
const CODES_MAX: usize = 1 << 16;
const TEXT_MAX: usize = 1 << 20;
/// Operands of an operator, and strings of one.
const OPERANDS_MAX: usize = 1 << 12;
/// Strings are moved closer or apart in thousandths of the font's size; from here on that is a
/// blank.
const BLANK: f32 = -180.0;

/// What codes of a font stand for.
#[derive(Debug)]
pub(crate) struct Codes {
    /// Bytes of a code.
    width: usize,
    letters: HashMap<u32, String>,
    /// How many more may be said.
    left: usize,
}

/// What a page was read with.
pub(crate) enum Font<'a> {
    /// One byte a letter, as Windows has them.
    Simple,
    Coded(&'a Codes),
    /// Its codes are numbers of shapes, and nothing says of which letters.
    Unknown,
}

enum Token<'a> {
    Text(Vec<u8>),
    Name(&'a [u8]),
    Number(f32),
    Operator(&'a [u8]),
    /// A list begins, or ends.
    List(bool),
}

struct Tokens<'a> {
    bytes: &'a [u8],
    at: usize,
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | 0x0c | 0)
}

fn is_delimiter(byte: u8) -> bool {
    is_blank(byte) || matches!(byte, b'(' | b')' | b'<' | b'>' | b'[' | b']' | b'{' | b'}' | b'/' | b'%')
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        loop {
            let byte = *self.bytes.get(self.at)?;
            self.at += 1;
            match byte {
                b'(' => return Some(Token::Text(self.string())),
                b'<' if self.bytes.get(self.at) == Some(&b'<') => self.at += 1,
                b'<' => return Some(Token::Text(self.hex())),
                b'/' => {
                    let from = self.at;
                    return Some(Token::Name(self.word(from)));
                }
                b'%' => self.at += self.bytes[self.at..].iter().take_while(|byte| **byte != b'\n').count(),
                b'[' | b']' => return Some(Token::List(byte == b'[')),
                _ if is_delimiter(byte) => {}
                _ => {
                    let word = self.word(self.at - 1);
                    let number = || std::str::from_utf8(word).ok()?.parse::<f32>().ok();
                    let is_number = matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.');
                    return Some(match is_number.then(number).flatten() {
                        Some(number) => Token::Number(number),
                        None => Token::Operator(word),
                    });
                }
            }
        }
    }
}

impl<'a> Tokens<'a> {
    fn word(&mut self, from: usize) -> &'a [u8] {
        let bytes = self.bytes;
        let rest = bytes[from..].iter().take_while(|byte| !is_delimiter(**byte)).count();
        self.at = from + rest;
        &bytes[from..self.at]
    }

    /// 7.3.4.2: parentheses in pairs, and escapes.
    fn string(&mut self) -> Vec<u8> {
        let (mut text, mut depth) = (Vec::new(), 1);
        while let Some(&byte) = self.bytes.get(self.at) {
            self.at += 1;
            match byte {
                b'(' => depth += 1,
                b')' if depth == 1 => break,
                b')' => depth -= 1,
                b'\\' => {
                    let Some(&next) = self.bytes.get(self.at) else { break };
                    let digits = self.bytes[self.at..].iter().take(3);
                    let digits = digits.take_while(|byte| matches!(byte, b'0'..=b'7')).count();
                    self.at += digits.max(1);
                    match next {
                        b'n' => text.push(b'\n'),
                        b'r' => text.push(b'\r'),
                        b't' => text.push(b'\t'),
                        b'b' | b'f' | b'\r' | b'\n' => {}
                        _ if digits > 0 => {
                            let octal = &self.bytes[self.at - digits..self.at];
                            text.push(octal.iter().fold(0_u8, |byte, digit| byte << 3 | (digit - b'0')));
                        }
                        _ => text.push(next),
                    }
                    continue;
                }
                _ => {}
            }
            text.push(byte);
        }
        text
    }

    fn hex(&mut self) -> Vec<u8> {
        let rest = &self.bytes[self.at..];
        let len = memchr::memchr(b'>', rest).unwrap_or(rest.len());
        self.at += (len + 1).min(rest.len());
        let mut digits: Vec<u8> = rest[..len].iter().copied().filter(u8::is_ascii_hexdigit).collect();
        if digits.len() % 2 == 1 {
            digits.push(b'0');
        }
        digits.chunks(2).filter_map(|two| pair(two[0], two[1])).collect()
    }
}

fn number(code: &[u8]) -> u32 {
    code.iter().take(4).fold(0, |number, byte| number << 8 | u32::from(*byte))
}

impl Codes {
    /// What a table `ToUnicode` says; the letters are taken from `room`.
    pub(crate) fn new(table: &[u8], room: &mut usize) -> Codes {
        let most = CODES_MAX.min(*room);
        let mut codes = Codes { width: 1, letters: HashMap::new(), left: most };
        let (mut texts, mut in_list) = (Vec::new(), false);
        for token in (Tokens { bytes: table, at: 0 }) {
            match token {
                Token::Text(text) if texts.len() < CODES_MAX => texts.push((in_list, text)),
                Token::List(begins) => in_list = begins,
                Token::Operator(b"endcodespacerange") => {
                    codes.width = texts.first().map_or(1, |(_, text)| text.len()).clamp(1, 4);
                    texts.clear();
                }
                Token::Operator(b"endbfchar") => {
                    for two in texts.chunks_exact(2) {
                        codes.add(number(&two[0].1), &two[1].1, 0);
                    }
                    texts.clear();
                }
                Token::Operator(b"endbfrange") => codes.ranges(&std::mem::take(&mut texts)),
                Token::Operator(_) => texts.clear(),
                _ => {}
            }
        }
        *room -= most - codes.left;
        codes
    }

    /// From, to, and what the first of them is, or a list of what each is.
    fn ranges(&mut self, mut texts: &[(bool, Vec<u8>)]) {
        while let ([(_, from), (_, to), rest @ ..], true) = (texts, self.left > 0) {
            let (from, to) = (number(from), number(to));
            let list = rest.iter().take_while(|(in_list, _)| *in_list).count();
            for (more, (_, text)) in (0..).zip(&rest[..list]) {
                self.add(from.saturating_add(more), text, 0);
            }
            if let (0, Some((_, first))) = (list, rest.first()) {
                for more in 0..=to.saturating_sub(from).min(0xffff) {
                    self.add(from.saturating_add(more), first, more);
                }
            }
            texts = rest.get(list.max(1)..).unwrap_or_default();
        }
    }

    fn add(&mut self, code: u32, text: &[u8], more: u32) {
        let Some(left) = self.left.checked_sub(1) else { return };
        self.left = left;
        let mut units: Vec<u16> =
            text.chunks_exact(2).take(8).map(|two| u16::from_be_bytes([two[0], two[1]])).collect();
        if let Some(last) = units.last_mut() {
            *last = last.wrapping_add(more as u16);
        }
        self.letters.insert(code, String::from_utf16_lossy(&units));
    }

    /// Whether all codes in a string are known.
    pub(crate) fn knows(&self, text: &[u8]) -> bool {
        text.len().is_multiple_of(self.width)
            && text.chunks(self.width).all(|code| self.letters.contains_key(&number(code)))
    }
}

/// The text of a page, and whether there was some that could not be read. `font` says how the
/// strings of a font are written, by its name and one of them.
pub(crate) fn page<'a, 'f>(contents: &'a [u8], font: &dyn Fn(&[u8], &[u8]) -> Font<'f>) -> (Vec<u8>, bool) {
    let mut page = Page { text: String::new(), is_cut: false, y: None };
    let (mut operands, mut name): (Vec<Token<'a>>, &[u8]) = (Vec::new(), b"");
    let mut base = 0.0;
    for token in (Tokens { bytes: contents, at: 0 }) {
        let operator = match token {
            Token::Operator(operator) => operator,
            Token::List(_) => continue,
            _ if operands.len() < OPERANDS_MAX => {
                operands.push(token);
                continue;
            }
            _ => continue,
        };
        let last = |back: usize| match operands.len().checked_sub(back).and_then(|at| operands.get(at)) {
            Some(Token::Number(number)) => *number,
            _ => 0.0,
        };
        match operator {
            b"Tf" => {
                let is_name =
                    |token: &Token<'a>| if let Token::Name(name) = token { Some(*name) } else { None };
                name = operands.iter().rev().find_map(is_name).unwrap_or(name);
            }
            b"cm" => base = last(1),
            b"Tm" => page.moves(base + last(1)),
            b"Td" | b"TD" if last(1) != 0.0 => page.line(),
            b"Td" | b"TD" => page.blank(),
            b"T*" => page.line(),
            b"Tj" | b"TJ" | b"'" | b"\"" => {
                if matches!(operator, b"'" | b"\"") {
                    page.line();
                }
                for operand in &operands {
                    match operand {
                        Token::Text(text) => page.show(text, &font(name, text)),
                        Token::Number(number) if operator == b"TJ" && *number < BLANK => page.blank(),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
        operands.clear();
        if page.text.len() > TEXT_MAX {
            page.is_cut = true;
            break;
        }
    }
    page.line();
    (page.text.into_bytes(), page.is_cut)
}

struct Page {
    text: String,
    is_cut: bool,
    /// Where the line stands.
    y: Option<f32>,
}

impl Page {
    fn blank(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with([' ', '\n']) {
            self.text.push(' ');
        }
    }

    fn line(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with('\n') {
            self.text.push('\n');
        }
    }

    fn moves(&mut self, y: f32) {
        match self.y.replace(y) {
            Some(before) if (before - y).abs() < 0.5 => self.blank(),
            _ => self.line(),
        }
    }

    fn show(&mut self, text: &[u8], font: &Font<'_>) {
        match font {
            Font::Simple => self.text.extend(text.iter().map(|byte| letter(*byte))),
            Font::Coded(codes) => {
                let room = (TEXT_MAX + 1).saturating_sub(self.text.len());
                let text = &text[..text.len().min(room)];
                let letters = text.chunks(codes.width).map(|code| codes.letters.get(&number(code)));
                self.text.extend(letters.map(|letter| letter.map_or("\u{fffd}", String::as_str)));
            }
            Font::Unknown => self.is_cut |= !text.is_empty(),
        }
    }
}

/// Where `key` of a dictionary names an object: `/Key 7 0 R`.
pub(crate) fn reference(dictionary: &[u8], key: &[u8]) -> Option<u32> {
    let at = memchr::memmem::find(dictionary, key)? + key.len();
    let rest = dictionary[at..].trim_ascii_start();
    let digits = rest.iter().take(9).take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&rest[..digits]).ok()?.parse().ok()
}

/// Names of a dictionary that lead to objects, with their numbers.
pub(crate) fn references(dictionary: &[u8]) -> Vec<(&[u8], u32)> {
    let (mut found, mut name, mut before) = (Vec::new(), None, None);
    for token in (Tokens { bytes: dictionary, at: 0 }) {
        match token {
            Token::Name(text) => (name, before) = (Some(text), None),
            Token::Number(number) if before.is_none() => before = Some(number as u32),
            Token::Operator(b"R") => found.extend(name.take().zip(before.take())),
            Token::Number(_) => {}
            _ => (name, before) = (None, None),
        }
    }
    found
}

/// Where each stream of a file begins, and where the dictionary before it stands; and where it
/// ends.
pub(crate) fn streams(file: &[u8]) -> Vec<(Range<usize>, Range<usize>)> {
    let (mut found, mut from) = (Vec::new(), 0);
    for at in memchr::memmem::find_iter(file, b"stream") {
        if at < from || file[..at].ends_with(b"end") {
            continue;
        }
        let rest = &file[at + 6..];
        let ends = if rest.starts_with(b"\r\n") { 2 } else { usize::from(rest.starts_with(b"\n")) };
        let start = at + 6 + ends;
        let head = memchr::memmem::rfind(&file[from..at], b" obj").map_or(at, |head| from + head);
        // None ends behind this one, if this does not.
        let Some(len) = memchr::memmem::find(&file[start..], b"endstream") else { break };
        found.push((head..at, start..start + len));
        from = start + len;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn simple(contents: &str) -> String {
        let (text, _) = page(contents.as_bytes(), &|_, _| Font::Simple);
        String::from_utf8_lossy(&text).into_owned()
    }

    #[test]
    fn text_is_read_as_it_is_shown() {
        for (contents, text) in [
            ("BT /F1 12 Tf 72 700 Td (Passwort: Kasta\\(77\\)nie) Tj ET", "Passwort: Kasta(77)nie\n"),
            (
                "BT [(Pass) 20 (wort:) -300 (Kas) -10 (ta)] TJ T* <4b6f> Tj (a) ' 1 2 (b) \" ET",
                "Passwort: Kasta\nKo\na\nb\n",
            ),
            (
                "BT 1 0 0 1 72 700 Tm (a) Tj 1 0 0 1 99 700 Tm (b) Tj 1 0 0 1 72 680 Tm (Gr\\374\\337e) Tj ET",
                "a b\nGrüße\n",
            ),
            ("BT (a(b)c\\\nd) Tj 5 0 Td (e) Tj 0 -5 TD (f) Tj", "a(b)cd e\nf\n"),
        ] {
            assert_eq!(simple(contents), text, "{contents}");
        }
    }

    #[test]
    fn codes_of_a_font_stand_for_its_letters() {
        let codes = Codes::new(
            b"1 begincodespacerange <0000> <ffff> endcodespacerange 1 beginbfchar <0003> <0020> endbfchar\n\
              2 beginbfrange <0024> <0026> <0041> <0044> <0045> [<0061> <0062>] endbfrange",
            &mut 100,
        );
        assert!(codes.knows(&[0, 0x24, 0, 3]) && !codes.knows(&[0, 0x27]) && !codes.knows(&[0]));
        let (text, is_cut) = page(b"<00250026000300440045> Tj", &|_, _| Font::Coded(&codes));
        assert_eq!((String::from_utf8_lossy(&text).as_ref(), is_cut), ("BC ab\n", false));
        assert_eq!(page(b"<0001> Tj", &|_, _| Font::Unknown), (Vec::new(), true));
        // The attack: all codes, said again and again.
        let all =
            format!("<0000> <ffff> endcodespacerange {} endbfrange", "<0000> <ffff> <0041> ".repeat(20_000));
        let mut room = CODES_MAX + (1 << 15);
        let codes = Codes::new(all.as_bytes(), &mut room);
        assert_eq!((codes.letters.len(), room), (CODES_MAX, 1 << 15));
        assert_eq!(Codes::new(all.as_bytes(), &mut room).letters.len(), 1 << 15);
        assert!(Codes::new(all.as_bytes(), &mut room).letters.is_empty() && room == 0);
        assert_eq!(
            references(b"<< /F1 5 0 R /F2 << /A 7 0 R >> /N 3 /L [1 0 R] >>"),
            [(&b"F1"[..], 5), (b"A", 7)]
        );
    }

    /// Whatever it is, it ends, with no more text than it may have.
    #[test]
    fn what_is_no_page_ends() {
        let mut random = fastrand::Rng::with_seed(13);
        let parts = [
            "(",
            ")",
            "<",
            ">",
            "<<",
            "[",
            "]",
            "\\",
            " Tj ",
            " TJ ",
            "/F",
            "-9",
            "%",
            "R ",
            " endbfrange ",
            "\n",
            "ff",
            "stream",
        ];
        for _ in 0..500 {
            let text: String = (0..80).map(|_| parts[random.usize(..parts.len())]).collect();
            assert!(simple(&text).len() <= 4 * text.len() + 8);
            let _ = (
                Codes::new(text.as_bytes(), &mut 1000),
                references(text.as_bytes()),
                streams(text.as_bytes()),
            );
        }
        let codes = Codes::new(&b"<00> <ffffffff> <0041> endbfrange ".repeat(1000), &mut (1 << 20));
        assert!(codes.letters.len() <= CODES_MAX);
    }
}
