//! What the image is made of, by words that programs have in them: most say their
//! version somewhere.

use std::sync::LazyLock;

use regex_automata::meta::Regex;
use regex_automata::{Anchored, Input};
use serde::Deserialize;

use super::files::File;
use super::found::Found;
use super::report::{Component, Source};
use super::text;
use crate::confirm;
use crate::prefilter::Prefilter;

/// Behind the beginning of a literal, in which a version ends, in bytes.
const AFTER: usize = 160;
/// Looked at for each file: a text full of such words is no program.
const MATCHES_MAX: usize = 4096;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rules {
    component: Vec<Rule>,
}

/// How one component says its version.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    name: String,
    /// As in the dictionary of CPE.
    vendor: String,
    product: String,
    /// Each match begins with it.
    literal: String,
    /// Its first group is the version.
    regex: String,
    /// A text, and the version in it.
    #[cfg_attr(not(test), expect(dead_code, reason = "the test of the rules reads them"))]
    examples: Vec<[String; 2]>,
}

struct Detector {
    rules: Vec<(Rule, Regex)>,
    prefilter: Prefilter,
}

static DETECTOR: LazyLock<Detector> = LazyLock::new(|| {
    let rules: Rules =
        toml::from_str(include_str!("../../rules/firmware/components.toml")).expect("a test reads it");
    let prefilter =
        Prefilter::new(rules.component.iter().map(|rule| (rule.literal.clone().into_bytes(), false)));
    let compiled = |rule: Rule| (confirm::compile(&rule.regex).expect("a test compiles it"), rule);
    let rules = rules.component.into_iter().map(compiled).map(|(regex, rule)| (rule, regex)).collect();
    Detector { rules, prefilter }
});

impl Detector {
    /// The version of the rule whose literal begins at `at`.
    fn version<'a>(&self, rule: usize, bytes: &'a [u8], at: usize) -> Option<&'a str> {
        let (_, regex) = &self.rules[rule];
        let window = &bytes[at..bytes.len().min(at + AFTER)];
        let mut captures = regex.create_captures();
        regex.captures(Input::new(window).anchored(Anchored::Yes), &mut captures);
        let version = captures.get_group(1)?;
        std::str::from_utf8(&window[version.range()]).ok()
    }
}

/// Vendor and product in the dictionary of CPE, of what packages call so.
pub(super) fn names_of(package: &str) -> Option<(&'static str, &'static str)> {
    let (rule, _) = DETECTOR.rules.iter().find(|(rule, _)| {
        rule.name.eq_ignore_ascii_case(package) || rule.product.eq_ignore_ascii_case(package)
    })?;
    Some((&rule.vendor, &rule.product))
}

pub(super) fn read(file: &File<'_>, found: &mut Found) {
    // Scripts and pages name versions of anything. The kernel, boot loaders and programs
    // are no text.
    if file.text.is_some() {
        return;
    }
    let detector = &*DETECTOR;
    let mut versions = Vec::new();
    let mut looked = 0;
    detector.prefilter.scan(file.bytes, |at, rule| {
        looked += 1;
        if looked <= MATCHES_MAX
            && let Some(version) = detector.version(rule, file.bytes, at)
            && !versions.contains(&(rule, version))
        {
            versions.push((rule, version));
        }
    });
    for (rule, version) in versions {
        let (rule, _) = &detector.rules[rule];
        let component = Component {
            name: rule.name.clone(),
            vendor: rule.vendor.clone(),
            product: rule.product.clone(),
            version: text::short(version, 64),
            source: Source::Words,
            purl: None,
            place: file.place.to_owned(),
            places: 1,
        };
        found.component(component);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_component_is_found_in_its_examples() {
        let detector = &*DETECTOR;
        for (number, (rule, _)) in detector.rules.iter().enumerate() {
            assert!(!rule.examples.is_empty(), "{}", rule.name);
            for [text, version] in &rule.examples {
                let mut found = Vec::new();
                let bytes = format!("\0{text}\0").into_bytes();
                detector.prefilter.scan(&bytes, |at, of| {
                    if of == number {
                        found.extend(detector.version(of, &bytes, at));
                    }
                });
                assert_eq!(found, [version], "{text}");
            }
        }
    }
}
