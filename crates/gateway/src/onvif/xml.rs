//! A camera's XML as a small tree, by namespaces and local names: each make has
//! prefixes of its own. Everything is bounded, and there are no entities but
//! the five that XML 1.0 section 4.6 names.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::name::{NamespaceResolver, ResolveResult};
use quick_xml::{NsReader, XmlVersion};

/// Elements in one another. Notifications have 9.
const DEPTH_MAX: usize = 32;
/// A hundred notifications have 1 500.
const ELEMENTS_MAX: usize = 32_768;
/// Of one element, without declarations of namespaces.
const ATTRIBUTES_MAX: usize = 64;
/// Declarations of namespaces in force at one place. Cameras built with gSOAP
/// declare some seventy on the envelope.
const NAMESPACES_MAX: usize = 256;
/// Of a name or a namespace, in bytes.
const NAME_MAX: usize = 256;
/// Of an element's own text and of an attribute's value, in bytes; the rest is
/// left out (some makes send a picture along).
const TEXT_MAX: usize = 4_096;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum XmlError {
    #[error("it is no well-formed XML at byte {at}")]
    Malformed { at: u64 },
    #[error("it ends in the middle")]
    CutOff,
    #[error("it declares a document type")]
    DocumentType,
    #[error("it refers to an entity that XML does not predefine")]
    Entity,
    #[error("its elements are in one another more than {DEPTH_MAX} deep")]
    TooDeep,
    #[error("it has too many elements, attributes or namespaces")]
    TooMany,
    #[error("it has a name of more than {NAME_MAX} bytes")]
    NameTooLong,
}

/// One of the URIs that a name may belong to: standards changed theirs.
pub(super) type Namespace = &'static [&'static str];

#[derive(Debug)]
pub(super) struct Element {
    pub(super) namespace: Arc<str>,
    pub(super) name: Arc<str>,
    /// By local names: those that are read here have no namespace.
    attributes: Vec<(Arc<str>, String)>,
    text: String,
    pub(super) children: Vec<Element>,
}

impl Element {
    pub(super) fn is(&self, namespace: Namespace, name: &str) -> bool {
        *self.name == *name && namespace.contains(&&*self.namespace)
    }

    pub(super) fn all<'a>(
        &'a self,
        namespace: Namespace,
        name: &'a str,
    ) -> impl Iterator<Item = &'a Element> + use<'a> {
        self.children.iter().filter(move |child| child.is(namespace, name))
    }

    /// The first child of this name.
    pub(super) fn child(&self, namespace: Namespace, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.is(namespace, name))
    }

    pub(super) fn text(&self) -> &str {
        self.text.trim()
    }

    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| **key == *name).map(|(_, value)| value.as_str())
    }
}

/// The root element.
pub(super) fn read(bytes: &[u8]) -> Result<Element, XmlError> {
    // Some makes send the names of rules in the encoding of their country and
    // call it UTF-8; what cannot be read so is replaced.
    let text = String::from_utf8_lossy(bytes);
    let mut reader = NsReader::from_str(&text);
    reader.resolver_mut().set_max_declarations_per_element(NAMESPACES_MAX);
    let mut tree = Tree::default();
    loop {
        let event = reader.read_event();
        let malformed = || XmlError::Malformed { at: reader.error_position() };
        match event.map_err(|_| malformed())? {
            Event::Start(start) => tree.open(&start, reader.resolver())?,
            Event::Empty(start) => {
                tree.open(&start, reader.resolver())?;
                tree.close();
            }
            Event::End(_) => tree.close(),
            Event::Text(text) => tree.add_text(&text.xml10_content().map_err(|_| malformed())?),
            Event::CData(text) => tree.add_text(&text.xml10_content().map_err(|_| malformed())?),
            Event::GeneralRef(reference) => tree.add_text(&character(&reference)?),
            Event::DocType(_) => return Err(XmlError::DocumentType),
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
            Event::Eof => return tree.root.filter(|_| tree.open.is_empty()).ok_or(XmlError::CutOff),
        }
    }
}

fn character(reference: &BytesRef<'_>) -> Result<Cow<'static, str>, XmlError> {
    if let Some(character) = reference.resolve_char_ref().map_err(|_| XmlError::Entity)? {
        return Ok(character.to_string().into());
    }
    let name = reference.decode().map_err(|_| XmlError::Entity)?;
    quick_xml::escape::resolve_predefined_entity(&name).map(Cow::Borrowed).ok_or(XmlError::Entity)
}

#[derive(Default)]
struct Tree {
    root: Option<Element>,
    /// From the root to where the reader is, with the namespaces that each
    /// declares.
    open: Vec<(Element, usize)>,
    elements: usize,
    namespaces: usize,
    /// Each name and namespace is kept once.
    names: BTreeSet<Arc<str>>,
}

impl Tree {
    fn open(&mut self, start: &BytesStart<'_>, resolver: &NamespaceResolver) -> Result<(), XmlError> {
        self.elements += 1;
        if self.elements > ELEMENTS_MAX {
            return Err(XmlError::TooMany);
        }
        if self.open.len() == DEPTH_MAX {
            return Err(XmlError::TooDeep);
        }
        let (namespace, name) = resolver.resolve_element(start.name());
        let namespace = match namespace {
            ResolveResult::Bound(namespace) => self.name(namespace.as_ref())?,
            // Cameras exist that forget to declare a prefix.
            ResolveResult::Unbound | ResolveResult::Unknown(_) => self.name(b"")?,
        };
        let name = self.name(name.as_ref())?;
        let (mut attributes, mut declared) = (Vec::new(), 0);
        for attribute in start.attributes().with_checks(false) {
            let attribute = attribute.map_err(|_| XmlError::Malformed { at: 0 })?;
            if attribute.key.as_namespace_binding().is_some() {
                declared += 1;
                continue;
            }
            if attributes.len() == ATTRIBUTES_MAX {
                return Err(XmlError::TooMany);
            }
            let value = attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|_| XmlError::Entity)?;
            let name = self.name(attribute.key.local_name().as_ref())?;
            attributes.push((name, cut(&value, TEXT_MAX).to_owned()));
        }
        self.namespaces += declared;
        if self.namespaces > NAMESPACES_MAX {
            return Err(XmlError::TooMany);
        }
        let element = Element { namespace, name, attributes, text: String::new(), children: Vec::new() };
        self.open.push((element, declared));
        Ok(())
    }

    fn close(&mut self) {
        let Some((element, declared)) = self.open.pop() else { return };
        self.namespaces -= declared;
        match self.open.last_mut() {
            Some((parent, _)) => parent.children.push(element),
            // Of several roots, which no camera sends, the first.
            None => drop(self.root.get_or_insert(element)),
        }
    }

    fn add_text(&mut self, text: &str) {
        if let Some((element, _)) = self.open.last_mut() {
            element.text.push_str(cut(text, TEXT_MAX - element.text.len()));
        }
    }

    fn name(&mut self, bytes: &[u8]) -> Result<Arc<str>, XmlError> {
        if bytes.len() > NAME_MAX {
            return Err(XmlError::NameTooLong);
        }
        let name = String::from_utf8_lossy(bytes);
        if let Some(known) = self.names.get(&*name) {
            return Ok(Arc::clone(known));
        }
        let name: Arc<str> = name.into();
        self.names.insert(Arc::clone(&name));
        Ok(name)
    }
}

/// At most `bytes` of it, whole characters.
pub(super) fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Namespace = &["urn:a", "urn:old-a"];

    #[test]
    fn names_are_read_by_namespace_whatever_the_prefix() {
        for text in [
            r#"<a:x xmlns:a="urn:a"><a:y n="1 &lt; 2">t<!-- c -->&amp;<![CDATA[<u>]]>&#x41;</a:y></a:x>"#,
            r#"<x xmlns="urn:old-a"><b:y xmlns:b="urn:a" n="1 &#60; 2">t&amp;&lt;u>A</b:y></x>"#,
            "\u{feff}<?xml version=\"1.0\"?><q:x xmlns:q='urn:a'><q:y n='1 &lt; 2'> t&amp;&lt;u>A </q:y></q:x>",
        ] {
            let root = read(text.as_bytes()).unwrap();
            assert!(root.is(A, "x"), "{text}");
            let child = root.child(A, "y").unwrap();
            assert_eq!((child.text(), child.attribute("n")), ("t&<u>A", Some("1 < 2")), "{text}");
        }
        let undeclared = read(b"<p:x/>").unwrap();
        assert!(undeclared.is(&[""], "x") && !undeclared.is(A, "x"));
    }

    #[test]
    fn what_is_not_a_bounded_document_is_refused() {
        let bomb = r#"<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><x>&b;</x>"#;
        let many = format!("<x>{}</x>", "<y/>".repeat(ELEMENTS_MAX));
        let attributes =
            (0..=ATTRIBUTES_MAX).fold("<x".to_owned(), |text, n| format!("{text} a{n}=''")) + "/>";
        let declared = |count| (0..count).fold(String::new(), |text, n| format!("{text} xmlns:a{n}='u'"));
        let here = format!("<x{}/>", declared(NAMESPACES_MAX + 1));
        let nested = format!("<x{0}><y{0}/></x>", declared(NAMESPACES_MAX / 2 + 1));
        type Expected = fn(&XmlError) -> bool;
        let rows: [(&str, Expected); 14] = [
            ("", |e| *e == XmlError::CutOff),
            ("no XML", |e| *e == XmlError::CutOff),
            ("<x><y>", |e| *e == XmlError::CutOff),
            ("<x><y></x>", |e| matches!(e, XmlError::Malformed { .. })),
            ("<x a=1/>", |e| matches!(e, XmlError::Malformed { .. })),
            ("<x", |e| matches!(e, XmlError::Malformed { .. })),
            (bomb, |e| *e == XmlError::DocumentType),
            ("<!DOCTYPE x SYSTEM \"file:///etc/passwd\"><x/>", |e| *e == XmlError::DocumentType),
            ("<x>&xxe;</x>", |e| *e == XmlError::Entity),
            ("<x a='&xxe;'/>", |e| *e == XmlError::Entity),
            (&many, |e| *e == XmlError::TooMany),
            (&attributes, |e| *e == XmlError::TooMany),
            (&here, |e| matches!(e, XmlError::Malformed { .. })),
            (&nested, |e| *e == XmlError::TooMany),
        ];
        for (text, expected) in rows {
            let error = read(text.as_bytes()).unwrap_err();
            assert!(expected(&error), "{error:?}: {}", cut(text, 80));
        }
        let deep = "<x>".repeat(DEPTH_MAX + 1);
        assert_eq!(read(deep.as_bytes()).unwrap_err(), XmlError::TooDeep);
        let name = format!("<{}/>", "x".repeat(NAME_MAX + 1));
        assert_eq!(read(name.as_bytes()).unwrap_err(), XmlError::NameTooLong);
    }

    #[test]
    fn long_texts_are_cut_at_a_character() {
        let text = format!("<x>a{}</x>", "é".repeat(TEXT_MAX));
        assert_eq!(read(text.as_bytes()).unwrap().text().len(), TEXT_MAX - 1);
        assert_eq!(read(b"<x>\xe9t\xe9</x>").unwrap().text(), "\u{fffd}t\u{fffd}");
    }

    #[test]
    fn siblings_may_declare_the_same_namespaces_over_and_over() {
        let one = "<a:y xmlns:a='urn:a' xmlns:b='urn:b'/>".repeat(NAMESPACES_MAX);
        assert_eq!(read(format!("<x>{one}</x>").as_bytes()).unwrap().all(A, "y").count(), NAMESPACES_MAX);
    }
}
