//! Rules of Gitleaks, from its TOML. They say no more than an expression and words
//! that stand near it, so severity and remedy are ours, and general.

use serde::Deserialize;

use crate::prefilter::LITERAL_MIN;
use crate::rules::Rule;
use crate::validate::Check;

#[derive(Deserialize)]
struct File {
    rules: Vec<Foreign>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Foreign {
    id: String,
    #[serde(default)]
    description: String,
    regex: Option<String>,
    #[serde(default)]
    secret_group: usize,
    entropy: Option<f64>,
    #[serde(default)]
    keywords: Vec<String>,
}

/// None if it is no file of Gitleaks. Rules without an expression, or without a keyword
/// of at least four characters, are left out: nothing would find them.
pub(crate) fn gitleaks(text: &str) -> Option<Vec<Rule>> {
    let file: File = toml::from_str(text).ok()?;
    Some(file.rules.into_iter().filter_map(rule).collect())
}

fn rule(foreign: Foreign) -> Option<Rule> {
    let literals: Vec<String> =
        foreign.keywords.into_iter().filter(|word| (LITERAL_MIN..=256).contains(&word.len())).collect();
    let regex = named(&foreign.regex?, foreign.secret_group);
    let checks = foreign.entropy.map(Check::Entropy).into_iter().collect();
    let title = if foreign.description.is_empty() { &foreign.id } else { &foreign.description };
    let rule = Rule::imported(format!("imported-{}", foreign.id), title.clone(), literals, regex, checks);
    (!rule.literals.is_empty()).then_some(rule)
}

/// The group that is the secret, by name: the one that is numbered, or the first.
fn named(regex: &str, group: usize) -> String {
    let wanted = group.max(1);
    let bytes = regex.as_bytes();
    let (mut seen, mut in_class, mut at) = (0, false, 0);
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 1,
            b'[' => in_class = true,
            b']' => in_class = false,
            b'(' if !in_class && bytes.get(at + 1) != Some(&b'?') => {
                seen += 1;
                if seen == wanted {
                    return [&regex[..at], "(?P<secret>", &regex[at + 1..]].concat();
                }
            }
            _ => {}
        }
        at += 1;
    }
    regex.to_owned()
}
