//! The second stage: one regular expression, in a bounded stretch around a literal.
//! `regex-automata` takes time in proportion to the stretch, whatever the expression.

pub(crate) mod around;

use std::ops::Range;

use regex_automata::meta::{Config, Regex};
use regex_automata::util::captures::Captures;
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input};
use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, Hir, HirKind};

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
            (Some(error), _) => in_a_line(error),
            (None, Some(most)) => format!("it would take more than {most} bytes"),
            (None, None) => error.to_string(),
        })
}

/// What is wrong with an expression, and where, without the expression itself.
pub(crate) fn in_a_line(error: &regex_syntax::Error) -> String {
    let (why, span) = match error {
        regex_syntax::Error::Parse(error) => (error.kind().to_string(), error.span()),
        regex_syntax::Error::Translate(error) => (error.kind().to_string(), error.span()),
        other => return other.to_string(),
    };
    format!("{why} (at byte {} of it)", span.start.offset + 1)
}

/// Of bytes, not text, as [`compile`] reads it.
fn parse(regex: &str) -> Result<Hir, String> {
    let parsed = ParserBuilder::new().unicode(false).utf8(false).nest_limit(64).build().parse(regex);
    parsed.map_err(|error| in_a_line(&error))
}

/// An expression, and which bytes its matches may have behind their first, and before their
/// last.
#[derive(Debug)]
pub(crate) struct Expression {
    regex: Regex,
    later: [bool; 256],
    earlier: [bool; 256],
}

impl Expression {
    pub(crate) fn new(regex: &str) -> Result<Expression, String> {
        let compiled = compile(regex)?;
        let parsed = parse(regex)?;
        let (mut later, mut earlier) = ([false; 256], [false; 256]);
        add_bytes(&parsed, But::First, &mut later);
        add_bytes(&parsed, But::Last, &mut earlier);
        Ok(Expression { regex: compiled, later, earlier })
    }
}

/// Which byte of a match does not count.
#[derive(Clone, Copy, PartialEq)]
enum But {
    None,
    First,
    Last,
}

fn add_bytes(hir: &Hir, but: But, bytes: &mut [bool; 256]) {
    let mut add = |all: &mut dyn Iterator<Item = u8>| all.for_each(|byte| bytes[usize::from(byte)] = true);
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => {}
        HirKind::Literal(literal) => match but {
            But::None => add(&mut literal.0.iter().copied()),
            But::First => add(&mut literal.0.iter().copied().skip(1)),
            But::Last => add(&mut literal.0.iter().copied().rev().skip(1)),
        },
        HirKind::Class(Class::Bytes(class)) if but == But::None => {
            add(&mut class.ranges().iter().flat_map(|range| range.start()..=range.end()));
        }
        HirKind::Class(Class::Bytes(_)) => {}
        // Does not occur without Unicode.
        HirKind::Class(Class::Unicode(_)) => *bytes = [true; 256],
        HirKind::Repetition(repetition) => {
            let but = if repetition.max == Some(1) { but } else { But::None };
            add_bytes(&repetition.sub, but, bytes);
        }
        HirKind::Capture(capture) => add_bytes(&capture.sub, but, bytes),
        HirKind::Alternation(all) => all.iter().for_each(|one| add_bytes(one, but, bytes)),
        HirKind::Concat(all) => {
            let edge = match but {
                But::None => None,
                But::First => Some(0),
                But::Last => Some(all.len() - 1),
            };
            for (at, one) in all.iter().enumerate() {
                add_bytes(one, if Some(at) == edge { but } else { But::None }, bytes);
            }
        }
    }
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
    let Expression { regex, later, earlier } = rule.compiled()?;
    let (mut start, mut end) = (at, bytes.len().min(at + rule.after));
    if rule.before > 0 {
        // A search that may begin anywhere ends nowhere; but a match ends with a byte at the
        // latest that it cannot have before its end.
        let count = |range: &[u8], may: &[bool; 256]| {
            range.iter().take_while(|byte| may[usize::from(**byte)]).count()
        };
        end = end.min(at + count(&bytes[at..end], earlier) + 1);
        let before = &bytes[..at];
        let before = before.iter().rev().take(rule.before).take_while(|byte| later[usize::from(**byte)]);
        start = start.saturating_sub((before.count() + 1).min(rule.before));
    }
    let anchored = if rule.before == 0 { Anchored::Yes } else { Anchored::No };
    for _ in 0..TRIES_MAX {
        let input = Input::new(bytes).span(start..end).anchored(anchored);
        // Most have no match, which is known sooner than where its groups are.
        regex.search_half(&input)?;
        let mut captures = regex.create_captures();
        regex.search_captures(&input, &mut captures);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_at_the_edges_of_a_match_are_told_from_those_within() {
        let sets = |regex: &str| {
            let Expression { later, earlier, .. } = Expression::new(regex).expect("it compiles");
            let text = |may: [bool; 256]| -> String {
                let bytes = (b' '..=b'~').filter(|byte| may[usize::from(*byte)]);
                bytes.map(char::from).collect()
            };
            (text(later), text(earlier))
        };
        let is = |later: &str, earlier: &str| (later.to_owned(), earlier.to_owned());
        assert_eq!(sets("abc"), is("bc", "ab"));
        assert_eq!(sets(r#"(?:^|[ ,])pw=(?P<secret>[x-z]{2,4})(?:["']|$)"#), is("\"'=pwxyz", " ,=pwxyz"));
        assert_eq!(sets("(?:ab|c)?d"), is("bd", "abc"));
        assert_eq!(sets("a+"), is("a", "a"));
        assert_eq!(sets("[ab][cd][ef]"), is("cdef", "abcd"));
    }
}
