//! The second stage: one regular expression, in a bounded stretch around a literal.
//! `regex-automata` takes time in proportion to the stretch, whatever the expression.

use std::ops::Range;

use regex_automata::meta::{Config, Regex};
use regex_automata::util::captures::Captures;
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input};

use crate::rules::Rule;
use crate::validate::{Check, der_len};

/// Of one compiled expression, in bytes. `[A-Z]{1,9999}{1,9999}` does not get past it.
const SIZE_MAX: usize = 1 << 20;
/// Characters of one expression.
const LENGTH_MAX: usize = 8 << 10;
/// Matches that are looked at for one literal.
const TRIES_MAX: usize = 16;

pub(crate) fn compile(regex: &str) -> Result<Regex, String> {
    if regex.len() > LENGTH_MAX {
        return Err(format!("longer than {LENGTH_MAX} characters"));
    }
    let config = Config::new()
        .utf8_empty(false)
        .nfa_size_limit(Some(SIZE_MAX))
        .onepass_size_limit(Some(SIZE_MAX))
        .hybrid_cache_capacity(SIZE_MAX);
    Regex::builder()
        .configure(config)
        // Bytes, not text: firmware is in no encoding.
        .syntax(syntax::Config::new().unicode(false).utf8(false).nest_limit(64))
        .build(regex)
        .map_err(|error| match (error.syntax_error(), error.size_limit()) {
            (Some(error), _) => error.to_string(),
            (None, Some(most)) => format!("it would take more than {most} bytes"),
            (None, None) => error.to_string(),
        })
}

/// What an expression found, as stretches of the bytes that were searched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Match {
    pub(crate) whole: Range<usize>,
    pub(crate) secret: Range<usize>,
    pub(crate) name: Option<Range<usize>>,
}

/// The match of `rule` that holds the literal at `at`.
pub(crate) fn confirm(rule: &Rule, bytes: &[u8], at: usize) -> Option<Match> {
    let regex = rule.compiled()?;
    let end = bytes.len().min(at + rule.after);
    let mut captures = regex.create_captures();
    let mut start = at.saturating_sub(rule.before);
    let anchored = if rule.before == 0 { Anchored::Yes } else { Anchored::No };
    for _ in 0..TRIES_MAX {
        regex.search_captures(&Input::new(bytes).span(start..end).anchored(anchored), &mut captures);
        let whole = captures.get_match()?.range();
        if whole.start > at {
            return None;
        }
        if whole.end > at {
            let mut matched = read(&captures, whole);
            if rule.checks.contains(&Check::Der) {
                let len = der_len(&bytes[matched.secret.start..]).unwrap_or_default();
                matched.secret.end = matched.secret.end.max(bytes.len().min(matched.secret.start + len));
            }
            return Some(matched);
        }
        start = whole.end.max(whole.start + 1);
    }
    None
}

fn read(captures: &Captures, whole: Range<usize>) -> Match {
    let group = |name| captures.get_group_by_name(name).map(|span| span.range());
    // One expression may know several forms; a name stands for one group alone.
    let secret = ["secret", "secret_2", "secret_3"].into_iter().find_map(group);
    let secret = secret.unwrap_or_else(|| whole.clone());
    Match { secret, name: group("name"), whole }
}
