//! YAML as far as rules need it: maps, lists and scalars. An alias is an error, since
//! ten of them inside each other are a bomb; depth and number of values are bounded.

use saphyr_parser::{Event, Parser};

/// Values inside each other.
const DEPTH_MAX: usize = 32;
/// Values of one file.
const VALUES_MAX: usize = 500_000;

/// One value. What a plain scalar means is for whoever reads it to say.
#[derive(Debug, PartialEq)]
pub(super) enum Yaml {
    Scalar(String),
    List(Vec<Yaml>),
    /// In the order of the file. A name that stands twice is an error.
    Map(Vec<(String, Yaml)>),
}

impl Yaml {
    pub(super) fn get(&self, name: &str) -> Option<&Yaml> {
        let Yaml::Map(entries) = self else { return None };
        entries.iter().find(|(other, _)| other == name).map(|(_, value)| value)
    }

    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Yaml::Scalar(text) => Some(text),
            _ => None,
        }
    }
}

enum Open {
    List(Vec<Yaml>),
    /// With the name whose value comes next.
    Map(Vec<(String, Yaml)>, Option<String>),
}

/// The one document of a text. The error says the line, and nothing of the text.
pub(super) fn read(text: &str) -> Result<Yaml, String> {
    let mut open: Vec<Open> = Vec::new();
    let (mut document, mut values) = (None, 0);
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let (event, span) =
            event.map_err(|error| format!("line {}: {}", error.marker().line(), error.info()))?;
        let line = span.start.line();
        let failed = |why: &str| Err(format!("line {line}: {why}"));
        values += 1;
        if values > VALUES_MAX {
            return failed("too many values");
        }
        let value = match event {
            Event::Alias(_) => return failed("aliases are not read"),
            Event::Scalar(text, ..) => Yaml::Scalar(text.into_owned()),
            Event::SequenceStart(..) | Event::MappingStart(..) if open.len() >= DEPTH_MAX => {
                return failed("nested too deeply");
            }
            Event::SequenceStart(..) => {
                open.push(Open::List(Vec::new()));
                continue;
            }
            Event::MappingStart(..) => {
                open.push(Open::Map(Vec::new(), None));
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(Open::List(list)) => Yaml::List(list),
                Some(Open::Map(map, _)) => Yaml::Map(map),
                None => return failed("an end without a beginning"),
            },
            _ => continue,
        };
        match open.last_mut() {
            Some(Open::List(list)) => list.push(value),
            Some(Open::Map(map, name)) => match name.take() {
                Some(name) => map.push((name, value)),
                None => {
                    let Yaml::Scalar(next) = value else { return failed("a name that is no text") };
                    // Maps of rules are small; a list is looked through faster than a tree is built.
                    if map.len() >= NAMES_MAX || map.iter().any(|(other, _)| *other == next) {
                        return failed("a name that stands twice, or too many names");
                    }
                    *name = Some(next);
                }
            },
            None if document.is_some() => return failed("a second document"),
            None => document = Some(value),
        }
    }
    document.ok_or_else(|| "an empty file".to_owned())
}

/// Names of one map.
const NAMES_MAX: usize = 256;
