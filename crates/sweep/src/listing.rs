//! The list of a container as Azure Blob Storage writes it. Whoever asks for it is
//! elsewhere; this reads what came.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

/// Elements inside each other: six in the list.
const DEPTH_MAX: usize = 32;
/// Of a page of a thousand.
const BLOBS_MAX: usize = 5000;
/// Of a blob's name, a marker, or any other text, in bytes.
const TEXT_MAX: usize = 8 << 10;

/// One blob. Its name is foreign text, and may look like a way out of the container.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Blob {
    pub name: String,
    /// Another one after each change.
    pub etag: String,
    /// How long it says that it is.
    pub bytes: u64,
}

/// One page of a list.
#[derive(Debug, Default)]
pub struct Page {
    pub blobs: Vec<Blob>,
    /// Where the next page begins; empty on the last.
    pub next: String,
    is_list: bool,
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ListError(&'static str);

/// Reads a page.
///
/// # Errors
/// If it is no list of blobs, or goes beyond what one has. The error holds nothing of it.
pub fn read(body: &[u8]) -> Result<Page, ListError> {
    let text = std::str::from_utf8(body).map_err(|_| ListError("it is no UTF-8"))?;
    // Azure begins it with a mark of the order of bytes.
    let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}'));
    let mut page = Page::default();
    let (mut open, mut text, mut is_encoded): (Vec<String>, String, bool) = Default::default();
    loop {
        match reader.read_event().map_err(|_| ListError("it is no XML"))? {
            Event::Start(start) => {
                if open.len() >= DEPTH_MAX {
                    return Err(ListError("its elements are too deep inside each other"));
                }
                let name = String::from_utf8_lossy(start.name().as_ref()).into_owned();
                open.push(name);
                text.clear();
                match path(&open)[..] {
                    ["EnumerationResults", "Blobs", "Blob"] => {
                        if page.blobs.len() >= BLOBS_MAX {
                            return Err(ListError("it has too many entries"));
                        }
                        page.blobs.push(Blob::default());
                    }
                    ["EnumerationResults", "Blobs", "Blob", "Name"] => is_encoded = says_encoded(&start),
                    _ => {}
                }
            }
            Event::End(_) => {
                take(&mut page, &path(&open), &text, is_encoded)?;
                text.clear();
                open.pop();
            }
            Event::Text(more) => {
                add(&mut text, &more.xml10_content().map_err(|_| ListError("it is no XML"))?)?
            }
            Event::CData(more) => {
                add(&mut text, &more.xml10_content().map_err(|_| ListError("it is no XML"))?)?
            }
            Event::GeneralRef(reference) => {
                let unknown = || ListError("it refers to an entity that XML does not predefine");
                match reference.resolve_char_ref().map_err(|_| unknown())? {
                    Some(character) => text.push(character),
                    None => {
                        let name = reference.decode().map_err(|_| unknown())?;
                        add(
                            &mut text,
                            quick_xml::escape::resolve_predefined_entity(&name).ok_or_else(unknown)?,
                        )?;
                    }
                }
            }
            Event::DocType(_) => return Err(ListError("it declares a document type")),
            Event::Eof if open.is_empty() && page.is_list => return Ok(page),
            Event::Eof => return Err(ListError("it ends in the middle, or is something else")),
            Event::Empty(_) | Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
        }
    }
}

fn path(open: &[String]) -> Vec<&str> {
    open.iter().map(String::as_str).collect()
}

fn says_encoded(start: &BytesStart<'_>) -> bool {
    start.try_get_attribute("Encoded").ok().flatten().is_some_and(|value| value.value.as_ref() == b"true")
}

fn add(text: &mut String, more: &str) -> Result<(), ListError> {
    text.push_str(more);
    match text.len() > TEXT_MAX {
        true => Err(ListError("a name in it is too long")),
        false => Ok(()),
    }
}

fn take(page: &mut Page, path: &[&str], text: &str, is_encoded: bool) -> Result<(), ListError> {
    let blob = page.blobs.last_mut();
    match (path, blob) {
        (["EnumerationResults"], _) => page.is_list = true,
        (["EnumerationResults", "NextMarker"], _) => text.clone_into(&mut page.next),
        (["EnumerationResults", "Blobs", "Blob"], Some(blob)) if blob.name.is_empty() => {
            return Err(ListError("a blob in it has no name"));
        }
        (["EnumerationResults", "Blobs", "Blob", "Name"], Some(blob)) => {
            blob.name = match is_encoded {
                true => decoded(text).ok_or(ListError("a name in it cannot be decoded"))?,
                false => text.to_owned(),
            };
        }
        (["EnumerationResults", "Blobs", "Blob", "Properties", name], Some(blob)) => match *name {
            "Etag" => text.clone_into(&mut blob.etag),
            "Content-Length" => {
                blob.bytes = text.parse().map_err(|_| ListError("a length in it is no number"))?;
            }
            _ => {}
        },
        _ => {}
    }
    Ok(())
}

/// Undoes the percent signs of a name that XML cannot hold.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first == b'%' {
            let digits = std::str::from_utf8(after.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults ServiceEndpoint=\"https://x/\" ContainerName=\"c\">\
        <MaxResults>2</MaxResults><Blobs><Blob><Name>a &amp; b/&#x1b;[2J</Name><Properties><Etag>0x1</Etag><Content-Length>7</Content-Length></Properties>\
        <Metadata><Name>other</Name></Metadata></Blob><Blob><Name Encoded=\"true\">c%2F%EF%BF%BF</Name><Properties/></Blob></Blobs>\
        <NextMarker>2!92</NextMarker></EnumerationResults>";

    #[test]
    fn a_list_is_read() {
        let page = read(LIST.as_bytes()).unwrap();
        let blob = |name: &str, etag: &str, bytes| Blob { name: name.into(), etag: etag.into(), bytes };
        assert_eq!(page.blobs, [blob("a & b/\u{1b}[2J", "0x1", 7), blob("c/\u{ffff}", "", 0)]);
        assert_eq!(page.next, "2!92");
        assert_eq!(read(b"<EnumerationResults><Blobs/><NextMarker/></EnumerationResults>").unwrap().next, "");
    }

    #[test]
    fn what_is_no_list_is_refused() {
        let wrong = |text: &str| read(text.as_bytes()).unwrap_err().to_string();
        for cut in (3..LIST.len()).filter(|at| LIST.is_char_boundary(*at)) {
            wrong(&LIST[..cut]);
        }
        wrong("");
        wrong("<html><body>Sign in</body></html>");
        wrong(&LIST.replace("a &amp;", "a &lol;"));
        wrong(&LIST.replace("<EnumerationResults", "<!DOCTYPE x [<!ENTITY a \"aaaa\">]><EnumerationResults"));
        wrong(&LIST.replace(">7<", ">-7<"));
        wrong(&LIST.replace("%EF%BF%BF", "%FF"));
        wrong(&LIST.replace("2!92", &"x".repeat(9000)));
        wrong(&format!("<EnumerationResults>{}", "<a>".repeat(100)));
        wrong(&LIST.replace("<Blobs>", &format!("<Blobs>{}", "<Blob><Name>n</Name></Blob>".repeat(5001))));
        wrong(&LIST.replace("<Name>a &amp; b/&#x1b;[2J</Name>", ""));
        assert!(read(b"\xff\xfe").is_err());
    }
}
