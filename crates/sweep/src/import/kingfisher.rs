//! Rules of Kingfisher. Its expressions are those of Rust's `regex` without Unicode,
//! as ours are, and it names no keywords: [`super::expression`] looks for them.

use std::collections::BTreeMap;

use super::expression::Named;
use super::yaml::{self, Yaml};
use super::{Foreign, Imported};
use crate::finding::Severity;
use crate::rules::RULES_MAX;
use crate::validate::{Check, Letters};

/// Parts of a rule that do nothing here, and what that means.
const UNUSED: &[(&str, &str)] = &[
    ("validation", "no service is asked whether the secret lives"),
    ("depends_on_rule", "found without the rule that it depends on"),
    ("revocation", "no service is told to revoke the secret"),
];
/// Parts that change nothing of what is found.
const KNOWN: &[&str] = &[
    "name",
    "id",
    "pattern",
    "min_entropy",
    "confidence",
    "examples",
    "negative_examples",
    "references",
    "visible",
    "pattern_requirements",
    "categories",
    "description",
    "prevalidated",
    "tls_mode",
    "path",
];

/// # Errors
/// If it is no YAML that can be read, or holds no list `rules`; with the line.
pub(crate) fn kingfisher(text: &str) -> Result<Imported, String> {
    let file = yaml::read(text)?;
    let Some(Yaml::List(rules)) = file.get("rules") else {
        return Err("a file of Kingfisher has a list `rules`".to_owned());
    };
    let mut imported = Imported::default();
    if rules.len() > RULES_MAX {
        return Err(format!("it has more than {RULES_MAX} rules"));
    }
    for (number, rule) in rules.iter().enumerate() {
        let id = match rule.get("id").and_then(Yaml::text) {
            Some(id) if !id.is_empty() => id,
            _ => {
                imported.leave_out(&format!("rule {}", number + 1), "it has no id");
                continue;
            }
        };
        match foreign(id, rule) {
            Ok(foreign) => {
                if let Some(taken) = imported.add(foreign) {
                    taken.matches = examples(rule);
                    notes(id, rule, &mut imported.unused);
                }
            }
            Err(why) => imported.leave_out(id, why),
        }
    }
    Ok(imported)
}

/// What is not used of a rule that is.
fn notes(id: &str, rule: &Yaml, unused: &mut BTreeMap<String, Vec<String>>) {
    let Yaml::Map(entries) = rule else { return };
    let requirements = match rule.get("pattern_requirements") {
        Some(Yaml::Map(entries)) => entries.as_slice(),
        _ => &[],
    };
    let mut note = |why: String| unused.entry(why).or_default().push(super::cut(id));
    for (name, _) in entries {
        if let Some((name, why)) = UNUSED.iter().find(|(other, _)| other == name) {
            note(format!("`{name}` is not used: {why}"));
        } else if !KNOWN.contains(&name.as_str()) {
            note(format!("`{}` is not known, and not used", super::cut(name)));
        }
    }
    for (name, _) in requirements {
        if !["min_digits", "min_uppercase", "min_lowercase", "min_special_chars"].contains(&name.as_str()) {
            note(format!("`pattern_requirements.{}` is not used: more may be found", super::cut(name)));
        }
    }
}

/// What its maker says that it finds.
fn examples(rule: &Yaml) -> Vec<String> {
    let Some(Yaml::List(examples)) = rule.get("examples") else { return Vec::new() };
    examples.iter().filter_map(Yaml::text).map(str::to_owned).collect()
}

fn foreign(id: &str, rule: &Yaml) -> Result<Foreign, String> {
    let text = |name: &str| match rule.get(name) {
        None => Ok(None),
        Some(value) => value.text().map(Some).ok_or_else(|| format!("`{name}` is no text")),
    };
    let regex = text("pattern")?.ok_or("it has no pattern")?;
    match text("visible")? {
        None | Some("true") => {}
        Some("false") => {
            return Err("it is no secret: it only gives other rules what they validate with".into());
        }
        Some(_) => return Err("`visible` is neither true nor false".into()),
    }
    let severity = match text("confidence")? {
        None | Some("medium" | "high") => Severity::High,
        Some("low") => Severity::Low,
        Some(_) => return Err("`confidence` is not low, medium or high".into()),
    };
    let mut checks = Vec::new();
    if let Some(bits) = text("min_entropy")? {
        let bits: f64 = bits
            .parse()
            .ok()
            .filter(|bits| (0.0..=8.0).contains(bits))
            .ok_or("`min_entropy` is no number")?;
        checks.push(Check::Entropy(bits));
    }
    checks.extend(requirements(rule)?);
    Ok(Foreign {
        id: id.to_owned(),
        title: text("name")?.unwrap_or(id).to_owned(),
        regex: uncommented(regex),
        group: Named::First,
        keywords: Vec::new(),
        checks,
        severity,
    })
}

/// Without comments in parentheses, which Kingfisher takes out, too.
fn uncommented(regex: &str) -> String {
    let mut out = String::new();
    let mut rest = regex.trim_end();
    while let Some((before, comment)) = rest.split_once("(?#") {
        out.push_str(before);
        rest = comment.split_once(')').map_or("", |(_, after)| after);
    }
    out + rest
}

/// How many of each kind of character a secret has.
fn requirements(rule: &Yaml) -> Result<Option<Check>, String> {
    let Some(requirements) = rule.get("pattern_requirements") else { return Ok(None) };
    let least = |name: &str| match requirements.get(name).map(Yaml::text) {
        None => Ok(0),
        Some(number) => number
            .and_then(|number| number.parse::<u8>().ok())
            .ok_or_else(|| format!("`pattern_requirements.{name}` is no number")),
    };
    let letters = Letters {
        digits: least("min_digits")?,
        upper: least("min_uppercase")?,
        lower: least("min_lowercase")?,
        special: least("min_special_chars")?,
    };
    Ok((letters != Letters::default()).then_some(Check::Letters(letters)))
}
