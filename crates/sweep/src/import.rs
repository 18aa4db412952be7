//! Rules of other programs: Gitleaks, from its TOML, and Kingfisher, from its YAML. They
//! say no more than an expression and what stands near it, so severity and remedy are
//! ours, and general.

mod expression;
mod kingfisher;
mod yaml;

use std::collections::{BTreeMap, HashSet};

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::confirm;
use crate::finding::Severity;
use crate::prefilter::LITERAL_MIN;
use crate::rules::Rule;
use crate::validate::Check;
use expression::Named;
pub(crate) use kingfisher::kingfisher;

/// Before what a foreign file calls a rule.
pub(crate) const PREFIX: &str = "imported-";
/// Of what a foreign file calls a rule, in characters.
const NAME_MAX: usize = 128;
/// Rules that are named with one reason.
const NAMED_MAX: usize = 20;

/// What a file of somebody else's gave.
#[derive(Default)]
pub(crate) struct Imported {
    pub(crate) rules: Vec<Rule>,
    /// Rules that were not taken over, and reasons.
    pub(crate) left_out: Vec<(String, String)>,
    /// What is not used of rules that were, and of which.
    pub(crate) unused: BTreeMap<String, Vec<String>>,
}

/// What foreign rules have in common.
struct Foreign {
    id: String,
    title: String,
    regex: String,
    group: Named,
    keywords: Vec<String>,
    checks: Vec<Check>,
    severity: Severity,
}

impl Imported {
    /// Takes over what another file gave. A rule of others that stands twice is left out
    /// here; whoever writes rules for this program is told so elsewhere.
    pub(crate) fn join(&mut self, other: Imported, ids: &mut HashSet<String>) {
        self.left_out.extend(other.left_out);
        for (why, ids) in other.unused {
            self.unused.entry(why).or_default().extend(ids);
        }
        for rule in other.rules {
            match rule.id.strip_prefix(PREFIX) {
                Some(id) if !ids.insert(id.to_owned()) => {
                    self.leave_out(id, "a rule of this id was read before it")
                }
                _ => self.rules.push(rule),
            }
        }
    }

    /// All that was not taken over: names of rules, and reasons.
    pub(crate) fn told(&self) -> Vec<(String, String)> {
        let unused = self.unused.iter().map(|(why, ids)| (several(ids), why.clone()));
        self.left_out.iter().cloned().chain(unused).collect()
    }

    fn leave_out(&mut self, id: &str, why: impl Into<String>) {
        self.left_out.push((cut(id), why.into()));
    }

    /// The rule, unless it is left out.
    fn add(&mut self, foreign: Foreign) -> Option<&mut Rule> {
        let id = foreign.id.clone();
        match rule(foreign) {
            Ok(rule) => {
                self.rules.push(rule);
                self.rules.last_mut()
            }
            Err(why) => {
                self.leave_out(&id, why);
                None
            }
        }
    }
}

fn rule(foreign: Foreign) -> Result<Rule, String> {
    let Foreign { id, title, regex, group, keywords, checks, severity } = foreign;
    let read = expression::read(&regex, group)?;
    let fits = |word: &String| (LITERAL_MIN..=256).contains(&word.len());
    // One of them stands in each match: without the short ones matches would be missed.
    let mut literals = if keywords.iter().all(fits) { keywords } else { Vec::new() };
    if literals.is_empty() {
        literals = read.literals;
    }
    if literals.is_empty() {
        return Err(format!("nothing of {LITERAL_MIN} characters stands in each of its matches"));
    }
    confirm::compile(&read.regex)?;
    let mut rule = Rule::imported(format!("{PREFIX}{}", cut(&id)), cut(&title), literals, read.regex, checks);
    rule.severity = severity;
    (rule.before, rule.after) = (read.before, read.after);
    Ok(rule)
}

/// Whether a text has a list `rules` as YAML writes one, at the start of a line.
pub(crate) fn is_yaml(text: &str) -> bool {
    text.lines().any(|line| line.starts_with("rules:"))
}

fn several(ids: &[String]) -> String {
    let named = ids[..ids.len().min(NAMED_MAX)].join(", ");
    match ids.len().saturating_sub(NAMED_MAX) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

fn cut(name: &str) -> String {
    name.chars().take(NAME_MAX).collect()
}

#[derive(Deserialize)]
struct File {
    rules: Vec<Gitleaks>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Gitleaks {
    id: String,
    #[serde(default)]
    description: String,
    regex: Option<String>,
    #[serde(default)]
    secret_group: usize,
    entropy: Option<f64>,
    #[serde(default)]
    keywords: Vec<String>,
    path: Option<IgnoredAny>,
    allowlist: Option<IgnoredAny>,
    allowlists: Option<IgnoredAny>,
}

/// What is wrong with a file that has the form of Gitleaks.
pub(crate) fn gitleaks_error(text: &str) -> Option<toml::de::Error> {
    let is_one = text.lines().any(|line| line.trim_start().starts_with("[[rules]]"));
    is_one.then(|| toml::from_str::<File>(text).err()).flatten()
}

/// None if it is no file of Gitleaks.
pub(crate) fn gitleaks(text: &str) -> Option<Imported> {
    let file: File = toml::from_str(text).ok()?;
    let mut imported = Imported::default();
    for rule in file.rules {
        for (name, is_there) in [
            ("path", rule.path.is_some()),
            ("allowlist", rule.allowlist.is_some() || rule.allowlists.is_some()),
        ] {
            if is_there && rule.regex.is_some() {
                let why = format!("`{name}` is not used: more may be found");
                imported.unused.entry(why).or_default().push(cut(&rule.id));
            }
        }
        let Some(regex) = rule.regex else {
            imported.leave_out(&rule.id, "it has no expression, and names of files are not looked at");
            continue;
        };
        imported.add(Foreign {
            title: if rule.description.is_empty() { rule.id.clone() } else { rule.description },
            id: rule.id,
            regex,
            group: Named::Number(rule.secret_group.max(1)),
            keywords: rule.keywords,
            checks: rule.entropy.map(Check::Entropy).into_iter().collect(),
            severity: Severity::High,
        });
    }
    Some(imported)
}
