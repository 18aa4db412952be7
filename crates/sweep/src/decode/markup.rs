//! Text between elements: of HTML, and of the files of word processors, sheets and slides.
//! Runs of a paragraph are joined, cells of a row stand in one line.

use std::ops::Range;

use super::Decoded;
use super::escapes::xml;
use super::rows::Rows;

/// Before what led here, in bytes: a heading, a name.
const BEFORE: usize = 2 << 10;
/// So near to what led here, a tag stands on both sides.
const NEAR: usize = 512;
/// A tag, or text without one, is no longer than this.
const TAG_MAX: usize = 256 << 10;
const TEXT_MAX: usize = 64 << 10;

/// What an element does to the text around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Row,
    Cell,
    /// A cell that begins a row: a term with its explanation.
    Term,
    Line,
    Tab,
    Inline,
    /// Whose line ends count.
    Plain,
    /// Whose text is none.
    Code,
    Unknown,
}

/// By the name without its prefix, in lower case.
const KINDS: &[(Kind, &[&str])] = &[
    (Kind::Row, &["tr", "row", "table-row"]),
    (Kind::Cell, &["td", "th", "tc", "c", "table-cell", "dd"]),
    (Kind::Term, &["dt"]),
    (
        Kind::Line,
        &[
            "p",
            "div",
            "li",
            "br",
            "cr",
            "h",
            "h1",
            "h2",
            "h3",
            "h4",
            "h5",
            "h6",
            "ul",
            "ol",
            "dl",
            "table",
            "tbl",
            "tbody",
            "thead",
            "section",
            "article",
            "header",
            "footer",
            "blockquote",
            "title",
            "si",
            "body",
            "html",
            "head",
            "hr",
            "caption",
            "form",
            "fieldset",
            "legend",
            "option",
            "summary",
            "details",
            "list-item",
            "txbody",
            "line-break",
            "sst",
            "figure",
            "figcaption",
            "main",
            "nav",
            "aside",
        ],
    ),
    (Kind::Tab, &["tab", "ptab"]),
    (Kind::Plain, &["pre", "textarea", "xmp"]),
    (Kind::Code, &["script", "style", "instrtext", "binarydata"]),
    (
        Kind::Inline,
        &[
            "a",
            "b",
            "i",
            "u",
            "s",
            "q",
            "em",
            "strong",
            "span",
            "font",
            "code",
            "tt",
            "kbd",
            "samp",
            "small",
            "big",
            "sub",
            "sup",
            "mark",
            "label",
            "abbr",
            "cite",
            "var",
            "wbr",
            "del",
            "ins",
            "bdi",
            "bdo",
            "img",
            "input",
            "r",
            "t",
            "is",
            "v",
            "rpr",
            "rph",
            "phoneticpr",
        ],
    ),
];

/// Prefixes of word processors, whose other elements are of no account.
const OFFICE: &[&str] =
    &["w", "a", "text", "table", "style", "draw", "wp", "mc", "o", "v", "w14", "w15", "office"];

/// Prefixes of the properties of a document, each of which is a line.
const PROPERTIES: &[&[u8]] = &[b"dc", b"cp"];

/// An element's beginning or end.
struct Tag<'a> {
    kind: Kind,
    is_end: bool,
    is_office: bool,
    name: &'a [u8],
    /// Behind its `>`, or the end of what there is.
    end: usize,
}

/// The tag from the `<` at `at` to the `>` at `close`, or to the end; of comments and
/// declarations, one that is inline.
fn tag(bytes: &[u8], at: usize, close: usize) -> Option<Tag<'_>> {
    let (rest, end) = (bytes.get(at + 1..close)?, bytes.len().min(close + 1));
    let (is_end, rest) = match rest.first()? {
        b'!' | b'?' => {
            return Some(Tag { kind: Kind::Inline, is_end: true, is_office: true, name: b"", end });
        }
        b'/' => (true, &rest[1..]),
        byte if byte.is_ascii_alphabetic() => (false, rest),
        _ => return None,
    };
    let letter = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'-' | b'_');
    let name = &rest[..rest.iter().take_while(letter).count()];
    let (prefix, local) = match memchr::memchr(b':', name) {
        Some(colon) => (&name[..colon], &name[colon + 1..]),
        None => (&b""[..], name),
    };
    let is_office = OFFICE.iter().any(|office| office.as_bytes() == prefix);
    let is = |known: &&str| local.eq_ignore_ascii_case(known.as_bytes());
    let known = KINDS.iter().find(|(_, names)| names.iter().any(&is));
    let kind = match known {
        Some((kind, _)) if prefix.is_empty() || is_office || *kind != Kind::Code => *kind,
        _ if is_office => Kind::Inline,
        _ if PROPERTIES.contains(&prefix) => Kind::Line,
        _ => Kind::Unknown,
    };
    Some(Tag { kind, is_end, is_office, name: local, end })
}

/// The tag that begins at `at` and ends near.
fn near_tag(bytes: &[u8], at: usize) -> Option<Tag<'_>> {
    let close = at + memchr::memchr(b'>', &bytes[at..bytes.len().min(at + NEAR)])?;
    tag(bytes, at, close)
}

/// Whether `at` stands in the text of an element that is known.
fn is_text(bytes: &[u8], own: &Range<usize>, at: usize) -> bool {
    let before = &bytes[at.saturating_sub(NEAR).max(own.start)..at];
    let after = &bytes[at..bytes.len().min(at + NEAR)];
    let is_behind_tag = memchr::memrchr2(b'<', b'>', before).is_some_and(|last| before[last] == b'>');
    let next = memchr::memchr2(b'<', b'>', after).map(|len| at + len);
    let next = next.filter(|next| bytes[*next] == b'<').and_then(|next| near_tag(bytes, next));
    is_behind_tag && next.is_some_and(|tag| tag.kind != Kind::Unknown && !tag.name.is_empty())
}

/// Text of a document from shortly before `at` on, to the end of the window or of what is
/// text; none if `at` is in no text of an element that is known.
pub(crate) fn markup(bytes: &[u8], own: &Range<usize>, at: usize) -> Option<Decoded> {
    let is_known = match bytes.get(at)? {
        b'<' => near_tag(bytes, at).is_some_and(|tag| tag.kind != Kind::Unknown),
        b'>' => is_text(bytes, own, at + 1),
        _ => is_text(bytes, own, at),
    };
    if !is_known {
        return None;
    }
    let from = at.saturating_sub(BEFORE).max(own.start);
    let from = memchr::memrchr(0, &bytes[from..at]).map_or(from, |nul| from + nul + 1);
    let start = match memchr::memchr2(b'<', b'>', &bytes[from..at]) {
        Some(len) if bytes[from + len] == b'>' => from + len + 1,
        Some(len) => from + len,
        None => at,
    };
    let mut view = View::new(start);
    let end = view.read(&bytes[..bytes.len().min(own.end + TEXT_MAX)], start);
    let Rows { text, steps } = view.rows;
    (end > start).then_some(Decoded { encoding: "markup", place: start..end, bytes: text, steps })
}

struct View {
    rows: Rows,
    start: usize,
    cells: Vec<Vec<u8>>,
    cell: Vec<u8>,
    in_cell: bool,
    /// Where the row began.
    row: usize,
    plain: u32,
    close: Option<usize>,
    /// No code was met that does not end.
    code_ends: bool,
    /// Behind an end of an element, with nothing between.
    after_end: bool,
}

impl View {
    fn new(start: usize) -> View {
        View {
            rows: Rows::default(),
            start,
            cells: Vec::new(),
            cell: Vec::new(),
            in_cell: false,
            row: start,
            plain: 0,
            close: None,
            code_ends: true,
            after_end: false,
        }
    }

    /// Returns where what is text ends.
    fn read(&mut self, bytes: &[u8], mut at: usize) -> usize {
        while at < bytes.len() {
            let rest = &bytes[at..bytes.len().min(at + TEXT_MAX)];
            let len = memchr::memchr2(b'<', 0, rest).unwrap_or(rest.len());
            self.text(&rest[..len], at);
            at += len;
            if bytes.get(at) != Some(&b'<') {
                break;
            }
            let close = self.close(bytes, at);
            let Some(tag) = tag(bytes, at, close).filter(|tag| tag.end - at <= TAG_MAX) else {
                self.text(b"<", at);
                at += 1;
                continue;
            };
            at = tag.end;
            if tag.kind == Kind::Code && !tag.is_end && self.code_ends {
                let end = behind(bytes, at, tag.name);
                self.code_ends = end.is_some();
                at = end.unwrap_or(at);
                continue;
            }
            self.tag(&tag);
        }
        self.row_ends(at);
        at.min(bytes.len())
    }

    /// The first `>` from `at` on, or the end. Each byte is looked at once.
    fn close(&mut self, bytes: &[u8], at: usize) -> usize {
        if let Some(close) = self.close.filter(|close| *close >= at) {
            return close;
        }
        let close = memchr::memchr(b'>', &bytes[at..]).map_or(bytes.len(), |len| at + len);
        self.close = Some(close);
        close
    }

    fn tag(&mut self, tag: &Tag<'_>) {
        match tag.kind {
            Kind::Row => self.row_ends(tag.end),
            Kind::Cell => self.cell_ends(!tag.is_end),
            Kind::Term => {
                if !tag.is_end {
                    self.row_ends(tag.end);
                }
                self.cell_ends(!tag.is_end);
            }
            Kind::Tab if self.in_cell => self.blank(),
            Kind::Tab => self.cell_ends(false),
            Kind::Plain => {
                self.plain = if tag.is_end { self.plain.saturating_sub(1) } else { self.plain + 1 };
                self.line_ends(tag.end);
            }
            Kind::Line | Kind::Unknown => self.line_ends(tag.end),
            Kind::Inline if tag.is_office => {}
            // Elements side by side stand apart on the page as often as not.
            Kind::Inline if !tag.is_end && self.after_end => self.blank(),
            Kind::Inline | Kind::Code => {}
        }
        self.after_end = tag.is_end && !tag.is_office;
    }

    fn blank(&mut self) {
        if self.cell.last().is_some_and(|last| *last != b' ') {
            self.cell.push(b' ');
        }
    }

    fn text(&mut self, text: &[u8], from: usize) {
        self.after_end &= text.is_empty();
        let mut at = 0;
        while let Some(&byte) = text.get(at) {
            at += 1;
            match byte {
                b'\n' if self.plain > 0 => self.line_ends(from + at),
                b' ' | b'\t' | b'\r' | b'\n' => self.blank(),
                b'&' => {
                    let rest = &text[at - 1..];
                    match xml(rest) {
                        _ if rest.starts_with(b"&nbsp;") => {
                            self.blank();
                            at += 5;
                        }
                        Some((few, len)) => {
                            match few.bytes() {
                                [0xc2, 0xa0] => self.blank(),
                                bytes => self.cell.extend_from_slice(bytes),
                            }
                            at += len - 1;
                        }
                        None => self.cell.push(byte),
                    }
                }
                0xc2 if text.get(at) == Some(&0xa0) => {
                    self.blank();
                    at += 1;
                }
                _ => self.cell.push(byte),
            }
        }
    }

    fn line_ends(&mut self, at: usize) {
        match self.in_cell {
            true => self.blank(),
            false => self.row_ends(at),
        }
    }

    fn cell_ends(&mut self, begins: bool) {
        if self.in_cell || !self.cell.trim_ascii().is_empty() {
            self.cells.push(std::mem::take(&mut self.cell));
        }
        self.cell.clear();
        self.in_cell = begins;
    }

    fn row_ends(&mut self, at: usize) {
        self.cell_ends(false);
        self.rows.push(&self.cells, self.row - self.start);
        self.cells.clear();
        self.row = at;
    }
}

/// Where the element `name` ends, whose text is code.
fn behind(bytes: &[u8], at: usize, name: &[u8]) -> Option<usize> {
    let is_end = |found: &usize| {
        let after = &bytes[at + found + 2..];
        after.get(..name.len()).is_some_and(|there| there.eq_ignore_ascii_case(name))
    };
    memchr::memmem::find_iter(&bytes[at..], b"</").find(is_end).map(|found| at + found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(document: &str, at: &str) -> String {
        let at = document.find(at).expect("the name");
        let decoded = markup(document.as_bytes(), &(0..document.len()), at);
        decoded.map(|decoded| String::from_utf8_lossy(&decoded.bytes).into_owned()).unwrap_or_default()
    }

    #[test]
    fn runs_are_joined_and_cells_of_a_row_stand_in_a_line() {
        for (document, lines) in [
            ("<td>Contraseña</td><td>abc1</td>", "Contraseña: abc1\n"),
            ("<p>Pass<b>wort</b>: a&amp;b&nbsp;c</p><p>d</p>", "Passwort: a&b c\nd\n"),
            ("<w:r><w:t>Pass</w:t></w:r><w:proofErr/><w:r><w:t>wort</w:t></w:r></w:p>", "Passwort\n"),
            (
                "<tr><td><p>a</p><p>b</p></td>\n <td>Pass</td></tr>\n<tr><td/><td>c</td></tr>",
                "a b\tPass\n\tc\n",
            ),
            ("<dl><dt>Pass</dt><dd>a1</dd><dt>b</dt><dd>c</dd></dl>", "Pass: a1\nb\tc\n"),
            ("<span>Pass</span><span>a1</span><br>b", "Pass a1\nb\n"),
            ("<pre>Pass\n a\n</pre>", "Pass\na\n"),
            ("<p>Pass</p><script>if (a<b) c>d</script><p>e</p>", "Pass\ne\n"),
            ("<p>Pass</p><p>;&;&#;</p><script", "Pass\n;&;&#;\n"),
            ("<dc:title>a</dc:title><dc:description>Pass: b</dc:description>", "a\nPass: b\n"),
            ("<i>a\0<p>Pass</p>", "Pass\n"),
        ] {
            let at = if document.contains("Contr") { "Contr" } else { "Pass" };
            assert_eq!(text(document, at), lines, "{document}");
        }
    }

    #[test]
    fn code_and_settings_are_no_documents() {
        for document in [
            "if (a < Pass && b > c) {",
            "<Password>x</Password>",
            "vector<int> Pass; map<int, p>",
            "<input name=\"Pass\" value=\"x\"><p>",
            "Pass",
        ] {
            assert_eq!(text(document, "Pass"), "", "{document}");
        }
    }

    /// The attack: tags that do not end, code that does not end, and cells without number.
    #[test]
    fn what_has_no_end_costs_no_more_than_other_text() {
        for piece in ["<p", "<p<", "<script>", "<td>", "<pre>", "<!--", "<td>a", "&", "<a\0"] {
            let document = format!("<p>Pass</p>{}", piece.repeat((2 << 20) / piece.len()));
            let text = text(&document, "Pass");
            assert!(text.len() <= 2 * document.len(), "{piece}");
        }
    }
}
