//! YAFFS2, as flash chips of cameras hold it: pages, each with a spare area behind it
//! that says of which object it is a piece. Nothing at the start tells how long pages are.

use std::collections::{BTreeMap, HashSet};

use super::Skip;
use super::bytes::{Pieces, be32, join, le32, name, take, until_zero};
use super::sink::{Covered, Sink, Stop};
use crate::read::ReadAt;

/// Kinds of objects.
const FILE: u32 = 1;
const FOLDER: u32 = 3;
const ROOT: u32 = 1;
/// Numbers of pages of headers may have this bit, and then more beside it.
const EXTRA: u32 = 1 << 31;
/// It begins so, and grows with each block that is written; tags that are read two bytes
/// too early have far more.
const SEQUENCE: std::ops::Range<u32> = 0x1000..0x0100_0000;
const OBJECT_MAX: u32 = 1 << 28;
const PAGES: [usize; 6] = [2048, 4096, 8192, 16384, 512, 1024];
const SPARES: [usize; 6] = [64, 128, 256, 512, 32, 16];
/// Folders inside each other.
const DEPTH_MAX: usize = 64;

/// Magic numbers: a file or a folder at the top, and a sum that is no longer used.
pub(super) const MAGICS: [&[u8]; 4] = [
    b"\x03\0\0\0\x01\0\0\0\xff\xff",
    b"\x01\0\0\0\x01\0\0\0\xff\xff",
    b"\0\0\0\x03\0\0\0\x01\xff\xff",
    b"\0\0\0\x01\0\0\0\x01\xff\xff",
];

#[derive(Clone, Copy)]
struct Form {
    page: usize,
    spare: usize,
    /// Where in the spare area the tags begin.
    tags: usize,
    big: bool,
}

struct Tags {
    sequence: u32,
    object: u32,
    /// 0 for a header, or else the number of the page from 1 on.
    chunk: u32,
    bytes: u32,
}

impl Form {
    fn len(self) -> usize {
        self.page + self.spare
    }

    fn word(self, data: &[u8], at: usize) -> Option<u32> {
        if self.big { be32(data, at).ok() } else { le32(data, at).ok() }
    }

    /// What is behind a page; none if it is empty, or no such thing.
    fn tags(self, data: &[u8]) -> Option<Tags> {
        let word = |index: usize| self.word(data, self.page + self.tags + index * 4);
        let (sequence, object, chunk, bytes) = (word(0)?, word(1)?, word(2)?, word(3)?);
        let is_header = chunk == 0 || chunk & EXTRA != 0;
        // Headers with more beside them keep the kind in the upper bits.
        let object = if chunk & EXTRA != 0 { object & (OBJECT_MAX - 1) } else { object };
        let fits = is_header || bytes as usize <= self.page;
        let is_one = SEQUENCE.contains(&sequence) && (1..OBJECT_MAX).contains(&object) && fits;
        is_one.then_some(Tags { sequence, object, chunk: if is_header { 0 } else { chunk }, bytes })
    }
}

/// The first of the forms by which the first page is a header and the second a page.
fn form(head: &[u8]) -> Option<Form> {
    let big = head.first() == Some(&0);
    let each = |page| SPARES.map(move |spare| [0, 2].map(move |tags| Form { page, spare, tags, big }));
    let is_form = |form: &Form| {
        let next = head.get(form.len()..).unwrap_or_default();
        let ends = next.len() < form.len() || next[..form.len()].iter().all(|byte| *byte == 0xff);
        form.spare >= form.tags + 16
            && form.tags(head).is_some_and(|tags| tags.chunk == 0)
            && (ends || form.tags(next).is_some())
    };
    PAGES.iter().flat_map(|page| each(*page)).flatten().find(is_form)
}

pub(super) fn begins(head: &[u8]) -> bool {
    // A printable name says that zeros and ones did not come by chance.
    let text = until_zero(head.get(10..266).unwrap_or_default());
    let is_name = text.len() < 256 && text.iter().all(|byte| *byte >= 0x20);
    is_name && form(head).is_some()
}

struct Object {
    sequence: u32,
    kind: u32,
    parent: u32,
    name: String,
    bytes: u32,
}

#[derive(Default)]
struct Image {
    objects: BTreeMap<u32, Object>,
    /// Of each object: pages by their numbers, with where they lie and their length.
    pages: BTreeMap<u32, BTreeMap<u32, (u32, u64, u32)>>,
}

pub(super) fn unpack(source: &dyn ReadAt, start: u64, sink: &mut Sink<'_>) -> Covered {
    let most = 2 * (PAGES[3] + SPARES[3]) as u64;
    let head = take(source, start, most.min(source.len().saturating_sub(start)))?;
    let form = form(&head).ok_or(Stop::damaged("no page of YAFFS2"))?;
    let mut image = Image::default();
    let mut at = start;
    let mut end = start;
    while at + form.len() as u64 <= source.len() {
        let page = take(source, at, form.len() as u64)?;
        match form.tags(&page) {
            Some(tags) => {
                sink.count()?;
                image.add(form, tags, &page, at);
                end = at + form.len() as u64;
            }
            // Erased; and where there is something else, it is over.
            None if page.iter().all(|byte| *byte == 0xff) => sink.count()?,
            None => break,
        }
        at += form.len() as u64;
    }
    for (object, header) in &image.objects {
        if header.kind == FILE {
            file(source, &image, *object, header, sink)?;
        }
    }
    Ok(Some(end - start))
}

impl Image {
    fn add(&mut self, form: Form, tags: Tags, page: &[u8], at: u64) {
        if tags.chunk > 0 {
            let pages = self.pages.entry(tags.object).or_default();
            let known = pages.entry(tags.chunk).or_insert((0, at, 0));
            // The last of those that say the same is what counts.
            if tags.sequence >= known.0 {
                *known = (tags.sequence, at, tags.bytes);
            }
            return;
        }
        let word = |at: usize| form.word(page, at).unwrap_or_default();
        let text = until_zero(page.get(10..266.min(form.page)).unwrap_or_default());
        if self.objects.get(&tags.object).is_none_or(|known| tags.sequence >= known.sequence) {
            let header = Object {
                sequence: tags.sequence,
                kind: word(0),
                parent: word(4),
                name: name(text),
                bytes: if form.page >= 512 { word(292) } else { 0 },
            };
            self.objects.insert(tags.object, header);
        }
    }

    fn path(&self, header: &Object) -> String {
        let (mut path, mut parent) = (header.name.clone(), header.parent);
        let mut seen = HashSet::new();
        while parent != ROOT && seen.len() < DEPTH_MAX && seen.insert(parent) {
            match self.objects.get(&parent) {
                Some(folder) if folder.kind == FOLDER => {
                    path = join(&folder.name, &path);
                    parent = folder.parent;
                }
                _ => break,
            }
        }
        path
    }
}

fn file(
    source: &dyn ReadAt,
    image: &Image,
    object: u32,
    header: &Object,
    sink: &mut Sink<'_>,
) -> Result<(), Stop> {
    let path = image.path(header);
    let mut left = u64::from(header.bytes);
    let empty = BTreeMap::new();
    let mut pages = image.pages.get(&object).unwrap_or(&empty).values();
    let mut data = Pieces::new(|| {
        let Some((_, at, bytes)) = pages.next().filter(|_| left > 0) else { return Ok(None) };
        let bytes = u64::from(*bytes).min(left);
        left -= bytes;
        take(source, *at, bytes).map(Some)
    });
    sink.part(&path, &mut data)?;
    drop(data);
    if left > 0 {
        sink.skip(&path, Skip::Damaged("pages are missing"));
    }
    Ok(())
}
