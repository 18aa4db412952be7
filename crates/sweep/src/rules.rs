//! Rules: what is looked for. The built-in ones are files of `rules/secrets`, in the
//! same form as a user's (`--rules`).

use std::sync::{Arc, OnceLock};

use serde::Deserialize;

use crate::confirm::around::Around;
use crate::confirm::{self, Expression};
use crate::decode;
use crate::finding::Severity;
use crate::import::{self, Imported};
use crate::prefilter::{LITERAL_MIN, Prefilter};
use crate::table;
use crate::unpack;
use crate::validate::Check;

const BUILT_IN: &[(&str, &str)] = &[
    ("azure", include_str!("../rules/secrets/azure.toml")),
    ("calls", include_str!("../rules/secrets/calls.toml")),
    ("cameras", include_str!("../rules/secrets/cameras.toml")),
    ("clouds", include_str!("../rules/secrets/clouds.toml")),
    ("commands", include_str!("../rules/secrets/commands.toml")),
    ("devices", include_str!("../rules/secrets/devices.toml")),
    ("forms", include_str!("../rules/secrets/forms.toml")),
    ("general", include_str!("../rules/secrets/general.toml")),
    ("keys", include_str!("../rules/secrets/keys.toml")),
    ("network", include_str!("../rules/secrets/network.toml")),
    ("programs", include_str!("../rules/secrets/programs.toml")),
    ("plain", include_str!("../rules/secrets/plain.toml")),
    ("services", include_str!("../rules/secrets/services.toml")),
    ("tongues", include_str!("../rules/secrets/tongues.toml")),
    ("tokens", include_str!("../rules/secrets/tokens.toml")),
    ("notes", include_str!("../rules/secrets/notes.toml")),
    ("spoken", include_str!("../rules/secrets/spoken.toml")),
    ("words", include_str!("../rules/secrets/words.toml")),
];

/// Rules that one sweep may have.
pub const RULES_MAX: usize = 4000;
/// Bytes that a match may begin before its literal, and end after it.
const BEFORE_MAX: usize = 1024;
const AFTER_MAX: usize = 16 << 10;
const LITERALS_MAX: usize = 64;
/// Of a file of rules, in bytes.
pub const RULES_BYTES_MAX: u64 = 4 << 20;

/// Who made the secret, which says how far it can be guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A machine: long and random.
    #[default]
    Key,
    /// A person, or a vendor.
    Password,
    /// The hash of a password, from which it can be guessed.
    Hash,
}

/// One kind of secret.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    pub id: String,
    pub title: String,
    pub severity: Severity,
    #[serde(default)]
    pub kind: Kind,
    /// Secrets of one family have one fingerprint, whichever rule found them.
    #[serde(default)]
    family: Option<String>,
    /// What somebody gets who has it.
    pub opens: String,
    /// What to do.
    pub remedy: String,
    /// One of them stands in each match. `hex:` begins one of any bytes. None only for
    /// rules that read runs of base64.
    #[serde(default)]
    pub(crate) literals: Vec<String>,
    #[serde(default)]
    pub(crate) ignore_case: bool,
    /// Bytes that a match may begin before the literal; 0 if it begins with it.
    #[serde(default)]
    pub(crate) before: usize,
    /// Bytes in which it ends, from the literal on.
    #[serde(default = "after_default")]
    pub(crate) after: usize,
    /// The group `secret`, `secret_2` or `secret_3`, or else the match, is the secret; the
    /// group `name` its name.
    #[serde(default)]
    pub(crate) regex: String,
    /// A run of base64 of so many characters is the secret, if the checks say so.
    #[serde(default)]
    pub(crate) base64_run: Option<usize>,
    #[serde(default)]
    pub(crate) checks: Vec<Check>,
    /// The match is base64 of a user and a password, of which the password is told; the
    /// check `basic` reads it.
    #[serde(default)]
    pub(crate) pair: bool,
    /// Gives way to any other rule at the same place.
    #[serde(default)]
    pub(crate) general: bool,
    /// Examples, in which `{base64:64}` and the like stand for what a test makes up.
    #[serde(default)]
    pub matches: Vec<String>,
    #[serde(default)]
    pub rejects: Vec<String>,
    /// It comes with the program, and tests know that each of its literals leads to its
    /// matches.
    #[serde(skip)]
    pub(crate) is_built_in: bool,
    #[serde(skip)]
    compiled: OnceLock<Option<Expression>>,
    #[serde(skip)]
    pub(crate) around: Around,
}

fn after_default() -> usize {
    512
}

impl Rule {
    /// Whether it gives way to any other rule at the same place.
    pub fn is_general(&self) -> bool {
        self.general
    }

    pub fn family(&self) -> &str {
        self.family.as_deref().unwrap_or(&self.id)
    }

    /// A rule of somebody else's, which says little.
    pub(crate) fn imported(
        id: String,
        title: String,
        literals: Vec<String>,
        regex: String,
        checks: Vec<Check>,
    ) -> Rule {
        Rule {
            id,
            title,
            severity: Severity::High,
            // Nobody says who made it: few bits name what may be a person's choice.
            kind: Kind::Password,
            family: None,
            opens: "What the title of the imported rule says.".to_owned(),
            remedy: "Change it where it is in use, and remove it from here.".to_owned(),
            literals,
            ignore_case: true,
            before: 256,
            after: after_default(),
            regex,
            base64_run: None,
            checks,
            pair: false,
            general: true,
            matches: Vec::new(),
            rejects: Vec::new(),
            is_built_in: false,
            compiled: OnceLock::new(),
            around: Around::default(),
        }
    }

    /// Compiled when it may match for the first time; most sweeps need few of them.
    pub(crate) fn compiled(&self) -> Option<&Expression> {
        self.compiled.get_or_init(|| Expression::new(&self.regex).ok()).as_ref()
    }

    /// Whether it may match with its literal with this number at `at`, which is known sooner
    /// than whether it does.
    #[inline]
    pub(crate) fn may_match(&self, bytes: &[u8], literal: usize, at: usize) -> bool {
        self.around.fits(self, bytes, literal, at)
    }

    /// As the rule says them.
    pub fn literals(&self) -> impl Iterator<Item = &str> {
        self.literals.iter().map(String::as_str)
    }

    /// Those that lead to a match somewhere in a text.
    pub fn leading(&self, text: &[u8]) -> Vec<&str> {
        let mut number = 0;
        let leads = |literal: &&String| {
            let spelled = spelled(literal, self.ignore_case).unwrap_or_default();
            let first = number;
            number += spelled.len();
            let there = |at: usize, one: &[u8]| match text.get(at..at + one.len()) {
                Some(there) if self.ignore_case => there.eq_ignore_ascii_case(one),
                there => there == Some(one),
            };
            let found = |literal: usize, at: usize| {
                if self.checks.contains(&Check::Markup) {
                    return decode::markup(text, &(0..text.len()), at).is_some();
                }
                if self.checks.contains(&Check::Table) {
                    let mut any = false;
                    table::rows(text, at, &mut |_| any = true);
                    return any;
                }
                self.may_match(text, literal, at) && confirm::confirm(self, text, at).is_some()
            };
            let leads = |(literal, one): (usize, &Vec<u8>)| {
                (0..text.len()).any(|at| there(at, one) && found(first + literal, at))
            };
            spelled.iter().enumerate().any(leads)
        };
        self.literals.iter().filter(leads).map(String::as_str).collect()
    }

    /// In every spelling.
    pub(crate) fn spelled(&self) -> Result<Vec<Vec<u8>>, RulesError> {
        let spelled = |literal: &String| {
            spelled(literal, self.ignore_case)
                .filter(|all| all.iter().all(|one| (LITERAL_MIN..=256).contains(&one.len())))
        };
        let spelled: Option<Vec<_>> = self.literals.iter().map(spelled).collect();
        Ok(spelled.ok_or_else(|| RulesError::Literal(self.named()))?.concat())
    }

    /// For errors.
    fn named(&self) -> String {
        format!("rule {}", self.id)
    }

    /// All that can be wrong with it alone.
    pub(crate) fn check_all(&self) -> Result<(), RulesError> {
        self.check()?;
        self.spelled()?;
        match self.base64_run {
            Some(_) => Ok(()),
            None => {
                confirm::compile(&self.regex).map_err(|why| RulesError::Regex(self.named(), why))?;
                Ok(())
            }
        }
    }

    fn check(&self) -> Result<(), RulesError> {
        let id = || self.named();
        if self.base64_run.is_some() != self.literals.is_empty() || self.literals.len() > LITERALS_MAX {
            return Err(RulesError::Literal(id()));
        }
        if self.pair && !self.checks.contains(&Check::Basic) {
            return Err(RulesError::Pair(id()));
        }
        if self.before > BEFORE_MAX || self.after > AFTER_MAX {
            return Err(RulesError::Window(id()));
        }
        Ok(())
    }
}

/// A literal as bytes. The filter knows both cases of letters of ASCII; with other letters,
/// it stands there in small, in great and with a great first letter.
fn spelled(literal: &str, ignore_case: bool) -> Option<Vec<Vec<u8>>> {
    if let Some(digits) = literal.strip_prefix("hex:") {
        return Some(vec![unhex(digits)?]);
    }
    if !ignore_case || literal.is_ascii() {
        return Some(vec![literal.as_bytes().to_vec()]);
    }
    let mut letters = literal.chars();
    let title: String = letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect();
    let mut spelled = vec![literal.to_lowercase(), literal.to_uppercase(), title];
    spelled.iter_mut().for_each(|text| text.make_ascii_lowercase());
    spelled.sort_unstable();
    spelled.dedup();
    Some(spelled.into_iter().map(String::into_bytes).collect())
}

fn unhex(digits: &str) -> Option<Vec<u8>> {
    let digits = digits.as_bytes();
    let (pairs, []) = digits.as_chunks::<2>() else { return None };
    pairs.iter().map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    #[error("rules could not be read: {0}")]
    Toml(String),
    #[error("rules could not be read: {0}")]
    Yaml(String),
    #[error(
        "{0}: give it 1 to 64 `literals` of 4 to 256 bytes, one of which stands in each match, or a `base64_run` (docs/sweep.md) and none"
    )]
    Literal(String),
    #[error("{0}: `before` is at most 1024, `after` at most 16384")]
    Window(String),
    #[error("{0}: `pair` needs the check `basic`, which reads the password")]
    Pair(String),
    #[error("{0}: its expression is refused: {1}")]
    Regex(String, String),
    #[error("{0}: another rule has this id; give it one of its own")]
    Twice(String),
    #[error("more than {RULES_MAX} rules")]
    Many,
}

impl RulesError {
    /// Says where the rule stands, too.
    fn at(self, place: &str) -> RulesError {
        let at = |rule: String| format!("{place}: {rule}");
        match self {
            RulesError::Literal(rule) => RulesError::Literal(at(rule)),
            RulesError::Window(rule) => RulesError::Window(at(rule)),
            RulesError::Pair(rule) => RulesError::Pair(at(rule)),
            RulesError::Regex(rule, why) => RulesError::Regex(at(rule), why),
            RulesError::Twice(rule) => RulesError::Twice(at(rule)),
            other => other,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    rule: Vec<Rule>,
}

/// The number of a rule, and which of its literals a literal is.
pub(crate) type Owner = (u16, u16);

/// A set of rules, ready to sweep with.
#[derive(Debug)]
pub struct Rules {
    rules: Vec<Arc<Rule>>,
    /// Finds literals of rules and, with the numbers behind those, magic numbers of
    /// containers: one pass for both.
    pub(crate) prefilter: Prefilter,
    /// Of each literal, by its number: whose it is.
    pub(crate) of_literal: Vec<Vec<Owner>>,
    /// Of each literal: whether it may name a password wherever it stands.
    pub(crate) is_name: Vec<bool>,
    pub(crate) of_runs: Vec<u16>,
    left_out: Vec<(String, String)>,
}

impl Rules {
    /// The rules that come with the program.
    pub fn built_in() -> Rules {
        Rules::with(Vec::new()).expect("the built-in rules are read by a test")
    }

    /// The built-in rules and a user's, in TOML of our own or of Gitleaks, or in YAML of
    /// Kingfisher. What they cost is bounded: expressions run in linear time, and their
    /// size is limited.
    pub fn with_file(text: &str) -> Result<Rules, RulesError> {
        Rules::with_files([("the file", text)])
    }

    /// The same of several files, by name and text.
    pub fn with_files<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Rules, RulesError> {
        let mut all = Imported::default();
        let mut ids = std::collections::HashSet::new();
        let mut places = Vec::new();
        for (name, text) in files {
            let read = Rules::read(name, text)?;
            places.extend(read.rules.iter().map(|rule| (rule.named(), name, text)));
            all.join(read, &mut ids);
            if all.rules.len() > RULES_MAX {
                return Err(RulesError::Many);
            }
        }
        let left_out = all.told();
        let rules = Rules::with(all.rules).map_err(|error| match &error {
            // The later one of the two is at fault.
            RulesError::Twice(rule) => match places.iter().rev().find(|(named, ..)| named == rule) {
                Some((named, name, text)) => error.at(&place(name, text, &named["rule ".len()..])),
                None => error,
            },
            _ => error,
        })?;
        Ok(Rules { left_out, ..rules })
    }

    fn read(name: &str, text: &str) -> Result<Imported, RulesError> {
        let error = match toml::from_str::<File>(text) {
            Ok(file) => {
                for rule in &file.rule {
                    rule.check_all().map_err(|error| error.at(&place(name, text, &rule.id)))?;
                }
                return Ok(Imported { rules: file.rule, ..Imported::default() });
            }
            Err(error) => error,
        };
        if let Some(imported) = import::gitleaks(text) {
            return Ok(imported);
        }
        match import::kingfisher(text) {
            Ok(imported) => Ok(imported),
            // Whose fault is told depends on whose form it has.
            Err(why) if import::is_yaml(text) => Err(RulesError::Yaml(format!("{name}: {why}"))),
            // Its own words would quote the line.
            Err(_) => {
                let error = import::gitleaks_error(text).unwrap_or(error);
                let at = error.span().map_or(0, |span| span.start);
                let why = match error.message() {
                    "missing field `rule`" => "it holds no rules",
                    other => other,
                };
                let rule = id_at(text, at).map(|id| format!("rule {id}: ")).unwrap_or_default();
                let hint = "rules stand under [[rule]], those of Gitleaks under [[rules]]; docs/sweep.md has the form";
                Err(RulesError::Toml(format!("{name}, line {}: {rule}{why} ({hint})", line_at(text, at))))
            }
        }
    }

    /// What was not taken over from files of other programs: names of rules, and reasons.
    pub fn left_out(&self) -> &[(String, String)] {
        &self.left_out
    }

    fn with(more: Vec<Rule>) -> Result<Rules, RulesError> {
        let mut rules = Vec::new();
        for (name, text) in BUILT_IN {
            let file: File = toml::from_str(text).map_err(|e| RulesError::Toml(format!("{name}: {e}")))?;
            rules.extend(file.rule.into_iter().map(|rule| Rule { is_built_in: true, ..rule }));
        }
        rules.extend(more);
        if rules.len() > RULES_MAX {
            return Err(RulesError::Many);
        }
        let mut ids = std::collections::HashSet::new();
        let mut literals: std::collections::BTreeMap<(Vec<u8>, bool), Vec<Owner>> = Default::default();
        let mut of_runs = Vec::new();
        for (number, rule) in rules.iter().enumerate() {
            rule.check()?;
            if !ids.insert(rule.id.as_str()) {
                return Err(RulesError::Twice(rule.named()));
            }
            if rule.base64_run.is_some() {
                of_runs.push(number as u16);
            }
            for (own, mut literal) in rule.spelled()?.into_iter().enumerate() {
                if rule.ignore_case {
                    literal.make_ascii_lowercase();
                }
                literals.entry((literal, rule.ignore_case)).or_default().push((number as u16, own as u16));
            }
        }
        if literals.len() + unpack::literals().count() > usize::from(u16::MAX) {
            return Err(RulesError::Many);
        }
        let (literals, of_literal): (Vec<_>, Vec<Vec<_>>) = literals.into_iter().unzip();
        let prefilter = Prefilter::new(literals.into_iter().chain(unpack::literals()));
        let names = |rule: &Rule| rule.kind == Kind::Password && rule.general;
        let is_name =
            of_literal.iter().map(|of| of.iter().any(|(rule, _)| names(&rules[usize::from(*rule)])));
        let is_name = is_name.collect();
        let rules = rules.into_iter().map(Arc::new).collect();
        Ok(Rules { rules, prefilter, of_literal, is_name, of_runs, left_out: Vec::new() })
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<Rule>> {
        self.rules.iter()
    }

    pub(crate) fn rule(&self, number: u16) -> &Arc<Rule> {
        &self.rules[usize::from(number)]
    }
}

/// Where a rule stands, the last of several: its file, and the line with its id.
fn place(name: &str, text: &str, id: &str) -> String {
    let quoted = [format!("\"{id}\""), format!("'{id}'")];
    let is_id = |line: &str| {
        line.trim_start().starts_with("id") && quoted.iter().any(|quoted| line.contains(quoted.as_str()))
    };
    match text.lines().collect::<Vec<_>>().iter().rposition(|line| is_id(line)) {
        Some(at) => format!("{name}, line {}", at + 1),
        None => name.to_owned(),
    }
}

/// What the rule calls itself that stands at `at` in a file of TOML.
fn id_at(text: &str, at: usize) -> Option<&str> {
    let is_head = |line: &&str| line.trim_start().starts_with("[[rule");
    let line = line_at(text, at);
    let lines: Vec<&str> = text.lines().collect();
    let head = lines[..line.min(lines.len())].iter().rposition(is_head)?;
    let own = lines[head + 1..].iter().take_while(|line| !is_head(line));
    let values = own.filter_map(|line| line.trim_start().strip_prefix("id")?.trim_start().strip_prefix('='));
    let id = values.map(str::trim_start).next()?;
    let quote = id.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    id[1..].split_once(quote).map(|(id, _)| id)
}

fn line_at(text: &str, at: usize) -> usize {
    1 + text.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_built_in_expression_compiles() {
        for rule in Rules::built_in().iter().filter(|rule| rule.base64_run.is_none()) {
            if let Err(error) = confirm::compile(&rule.regex) {
                panic!("{}: {error}", rule.id);
            }
        }
    }
}
