//! Documents of PDF: what is kept of them until their end, since the letters of a font stand
//! in another stream than the text that is written with it.

use std::collections::{BTreeMap, HashMap};

use super::{Run, read_full};
use crate::decode::{self, Codes, Decoded, Font};
use crate::read::ReadAt;

pub(super) const MAGIC: &[u8] = b"%PDF-";
/// Of a file, and of all that its streams unpack to, in bytes.
const FILE_MAX: u64 = 32 << 20;
const KEPT_MAX: usize = 32 << 20;
/// Fonts of one name that are tried, one for each page.
const FONTS_MAX: usize = 8;
/// Letters of all fonts.
const LETTERS_MAX: usize = 1 << 19;
/// Of a number of an object, and of what it is.
const NUMBER_MAX: usize = 10;
const OBJECT_MAX: usize = 64 << 10;

/// What the streams of a file unpacked to, by where they begin.
#[derive(Default)]
pub(super) struct Paper {
    streams: BTreeMap<u64, Vec<u8>>,
    kept: usize,
    pub(super) is_cut: bool,
}

impl Paper {
    pub(super) fn room(&self) -> usize {
        KEPT_MAX - self.kept
    }

    pub(super) fn keep(&mut self, at: u64, kept: Vec<u8>, is_cut: bool) {
        self.kept += kept.len();
        self.is_cut |= is_cut;
        self.streams.insert(at, kept);
    }
}

/// What is known of a font.
enum Known {
    Simple,
    Coded(Codes),
    Unknown,
}

/// The number that stands before ` obj` at `at`, as in `7 0 obj`.
fn object(file: &[u8], at: usize) -> Option<u32> {
    let before = &file[at.saturating_sub(2 * NUMBER_MAX)..at];
    let words = before.rsplit(|byte| byte.is_ascii_whitespace());
    let word = words.filter(|word| !word.is_empty()).nth(1)?;
    std::str::from_utf8(word).ok()?.parse().ok()
}

/// What objects are, by their number: those of the file, and those in streams of them.
fn objects<'f>(file: &'f [u8], packed: &[(&[u8], &'f [u8])]) -> HashMap<u32, &'f [u8]> {
    let mut objects = HashMap::new();
    let mut places = memchr::memmem::find_iter(file, b" obj").peekable();
    while let Some(at) = places.next() {
        let Some(number) = object(file, at) else { continue };
        let end = places.peek().map_or(file.len(), |next| *next).min(at + OBJECT_MAX);
        let rest = &file[at + 4..end.max(at + 4)];
        let end = memchr::memmem::find(rest, b"endobj").unwrap_or(rest.len());
        let end = memchr::memmem::find(&rest[..end], b"stream").unwrap_or(end);
        objects.insert(number, &rest[..end]);
    }
    for (dictionary, stream) in packed {
        let Some(first) = decode::reference(dictionary, b"/First") else { continue };
        let Some((head, body)) = stream.split_at_checked(first as usize) else { continue };
        let words = head.split(|byte| byte.is_ascii_whitespace()).filter(|word| !word.is_empty());
        let numbers: Vec<u32> =
            words.map_while(|word| std::str::from_utf8(word).ok()?.parse().ok()).collect();
        let (pairs, _) = numbers.as_chunks::<2>();
        // Objects follow each other; those that do not are no reason to read on and on.
        let mut room = <[u8]>::len(stream);
        for (index, [number, from]) in pairs.iter().enumerate() {
            let to = pairs.get(index + 1).map_or(body.len(), |[_, to]| *to as usize);
            if let Some(object) =
                body.get(*from as usize..to.min(body.len())).filter(|it| <[u8]>::len(it) <= room)
            {
                room -= <[u8]>::len(object);
                objects.insert(*number, object);
            }
        }
    }
    objects
}

fn has(text: &[u8], what: &[u8]) -> bool {
    memchr::memmem::find(text, what).is_some()
}

/// A stream with the dictionary that stands before it, the number of its object, and where it
/// begins.
struct Stream<'a> {
    at: usize,
    number: Option<u32>,
    dictionary: &'a [u8],
    data: &'a [u8],
}

fn streams<'a>(file: &'a [u8], paper: &'a Paper) -> Vec<Stream<'a>> {
    let of = |(head, place): (std::ops::Range<usize>, std::ops::Range<usize>)| {
        let dictionary = &file[head.clone()];
        let data = match paper.streams.get(&(place.start as u64)) {
            Some(data) => data,
            None if !has(dictionary, b"/Filter") => &file[place.clone()],
            None => &[],
        };
        Stream { at: place.start, number: object(file, head.start), dictionary, data }
    };
    decode::streams(file).into_iter().map(of).collect()
}

impl Run<'_> {
    /// The text of the pages, once all of the file was read.
    pub(super) fn paper(&mut self, source: &dyn ReadAt, paper: &Paper) {
        let mut file = vec![0; source.len().min(FILE_MAX) as usize];
        let Ok(read) = read_full(source, 0, &mut file) else { return };
        file.truncate(read);
        if has(&file, b"/Encrypt ") || has(&file, b"/Encrypt<<") {
            self.totals.locked += 1;
            self.skipped("encrypted (PDF)");
        }
        let streams = streams(&file, paper);
        let packed: Vec<(&[u8], &[u8])> = streams
            .iter()
            .filter(|stream| has(stream.dictionary, b"/ObjStm"))
            .map(|stream| (stream.dictionary, stream.data))
            .collect();
        let objects = objects(&file, &packed);
        let fonts = fonts(&objects, &streams);
        let is_other = |stream: &Stream<'_>| {
            let is_text = !has(stream.dictionary, b"/Image") && !has(stream.dictionary, b"/Length1");
            is_text && (has(stream.dictionary, b"/LZW") || has(stream.dictionary, b"/ASCII85"))
        };
        let mut is_cut = paper.is_cut || source.len() > FILE_MAX || streams.iter().any(is_other);
        for stream in &streams {
            if self.stopped {
                return;
            }
            if !has(stream.data, b"Tj") && !has(stream.data, b"TJ") && !has(stream.data, b"ET") {
                continue;
            }
            let (bytes, is_part) = decode::page(stream.data, &|name, text| font(&fonts, name, text));
            is_cut |= is_part;
            if bytes.is_empty() {
                continue;
            }
            self.chain.push(format!("{:#x}:", stream.at));
            let place = 0..stream.data.len();
            self.alone(stream.data, Decoded { encoding: "page", place, bytes, steps: Vec::new() });
            self.chain.pop();
        }
        if is_cut {
            self.skipped(
                "not all of the text of its pages is read: of some, nothing says which letters it has",
            );
        }
    }
}

type Fonts<'a> = HashMap<&'a [u8], Vec<(u32, Known)>>;

/// Fonts by the names that pages give them.
fn fonts<'a>(objects: &HashMap<u32, &'a [u8]>, streams: &[Stream<'_>]) -> Fonts<'a> {
    let data: HashMap<u32, &[u8]> =
        streams.iter().filter_map(|stream| Some((stream.number?, stream.data))).collect();
    let is_font = |(_, object): &(&u32, &&[u8])| has(object, b"/BaseFont");
    let known_fonts: HashMap<u32, &[u8]> =
        objects.iter().filter(is_font).map(|(number, object)| (*number, *object)).collect();
    let mut fonts: Fonts<'a> = HashMap::new();
    let (mut room, mut letters) = (KEPT_MAX, LETTERS_MAX);
    for dictionary in objects.values() {
        for (name, number) in decode::references(dictionary) {
            let Some(font) = known_fonts.get(&number) else { continue };
            let known = fonts.entry(name).or_default();
            if known.len() >= FONTS_MAX || known.iter().any(|(known, _)| *known == number) {
                continue;
            }
            let table = decode::reference(font, b"/ToUnicode").and_then(|table| data.get(&table));
            known.push((
                number,
                match table {
                    Some(table) if <[u8]>::len(table) <= room && letters > 0 => {
                        room -= <[u8]>::len(table);
                        Known::Coded(Codes::new(table, &mut letters))
                    }
                    Some(_) => Known::Unknown,
                    None if has(font, b"/Type0") => Known::Unknown,
                    None => Known::Simple,
                },
            ));
        }
    }
    fonts
}

fn font<'a>(fonts: &'a Fonts<'_>, name: &[u8], text: &[u8]) -> Font<'a> {
    let Some(known) = fonts.get(name) else { return Font::Simple };
    let of = |(_, known): &'a (u32, Known)| match known {
        Known::Coded(codes) if codes.knows(text) => Some(Font::Coded(codes)),
        _ => None,
    };
    let is_simple = || known.iter().any(|(_, known)| matches!(known, Known::Simple));
    known.iter().find_map(of).unwrap_or_else(|| if is_simple() { Font::Simple } else { Font::Unknown })
}
