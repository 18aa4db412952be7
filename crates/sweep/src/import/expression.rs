//! What a foreign expression says by itself: which group is the secret, which literals
//! stand in each match, and how far a match reaches.

use std::collections::BTreeSet;

use regex_syntax::ParserBuilder;
use regex_syntax::ast::{self, Ast, GroupKind, Visitor, parse};
use regex_syntax::hir::{Class, Hir, HirKind, Repetition};

use crate::prefilter::LITERAL_MIN;

/// Groups inside each other, as where expressions are compiled.
const NEST_MAX: u32 = 64;
/// Characters of one expression.
const LENGTH_MAX: usize = 8 << 10;
/// Strings that one part of an expression is followed up with.
const STRINGS_MAX: usize = 64;
const STRING_MAX: usize = 32;
/// Repetitions that are written out.
const TIMES_MAX: u32 = 32;
/// How far a match is looked for that may begin or end anywhere, in bytes.
const BEFORE_OPEN: usize = 256;
const AFTER_OPEN: usize = 2048;
const BEFORE_MAX: usize = 1024;
const AFTER_MAX: usize = 8 << 10;

/// Which group is the secret.
#[derive(Clone, Copy)]
pub(super) enum Named {
    /// This one.
    Number(usize),
    /// The one that is called `token`, or the first that takes part in the match.
    First,
}

pub(super) struct Expression {
    /// With the secret's group by name.
    pub(super) regex: String,
    /// One of them stands in each match, whatever its case. Empty if there are none.
    pub(super) literals: Vec<String>,
    /// Bytes that a match may begin before a literal, and end after one begins.
    pub(super) before: usize,
    pub(super) after: usize,
}

pub(super) fn read(regex: &str, group: Named) -> Result<Expression, String> {
    if regex.len() > LENGTH_MAX {
        return Err(format!("its expression is longer than {LENGTH_MAX} bytes"));
    }
    let regex = named(regex, group)?;
    let mut parser = ParserBuilder::new().nest_limit(NEST_MAX).unicode(false).utf8(false).build();
    let hir = parser.parse(&regex).map_err(|error| refused(&error.to_string()))?;
    let literals = Part::of(&hir).needed().unwrap_or_default().iter().map(|bytes| written(bytes)).collect();
    let longest = hir.properties().maximum_len();
    Ok(Expression {
        regex,
        literals,
        before: longest.map_or(BEFORE_OPEN, |len| len.min(BEFORE_MAX)),
        after: longest.map_or(AFTER_OPEN, |len| (len + 1).clamp(LITERAL_MIN, AFTER_MAX)),
    })
}

/// The reason without the expression, which stands before it in lines of its own.
fn refused(error: &str) -> String {
    let reason = error.lines().last().unwrap_or_default().trim_start_matches("error: ");
    format!("its expression is refused: {reason}")
}

struct Groups(Vec<(usize, Option<std::ops::Range<usize>>)>);

impl Visitor for Groups {
    type Output = Self;
    type Err = std::convert::Infallible;

    fn finish(self) -> Result<Self, Self::Err> {
        Ok(self)
    }

    fn visit_pre(&mut self, ast: &Ast) -> Result<(), Self::Err> {
        if let Ast::Group(group) = ast {
            let at = group.span.start.offset;
            match &group.kind {
                GroupKind::CaptureIndex(_) => self.0.push((at, None)),
                GroupKind::CaptureName { name, .. } => {
                    self.0.push((at, Some(name.span.start.offset..name.span.end.offset)));
                }
                GroupKind::NonCapturing(_) => {}
            }
        }
        Ok(())
    }
}

/// The expression with the group, or the first three, by the names under which rules
/// know secrets.
fn named(regex: &str, wanted: Named) -> Result<String, String> {
    let ast = parse::ParserBuilder::new()
        .nest_limit(NEST_MAX)
        .build()
        .parse(regex)
        .map_err(|error| refused(&error.to_string()))?;
    let Ok(Groups(mut groups)) = ast::visit(&ast, Groups(Vec::new()));
    groups.sort_by_key(|(at, _)| *at);
    let is_token = |(_, name): &(usize, Option<std::ops::Range<usize>>)| {
        name.as_ref().is_some_and(|name| regex[name.clone()].eq_ignore_ascii_case("token"))
    };
    let chosen: Vec<_> = match wanted {
        Named::Number(number) => groups.into_iter().skip(number - 1).take(1).collect(),
        Named::First => match groups.iter().position(is_token) {
            Some(token) => vec![groups.swap_remove(token)],
            None => groups.into_iter().take(3).collect(),
        },
    };
    let mut out = regex.to_owned();
    // From the end on, so that what is before keeps its place.
    for ((at, name), secret) in chosen.into_iter().zip(["secret", "secret_2", "secret_3"]).rev() {
        match name {
            Some(name) => out.replace_range(name, secret),
            None => out.insert_str(at + 1, &format!("?P<{secret}>")),
        }
    }
    Ok(out)
}

/// A literal as rules write it.
fn written(bytes: &[u8]) -> String {
    let hex = || bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.starts_with("hex:") => text.to_owned(),
        _ => format!("hex:{}", hex()),
    }
}

type Strings = BTreeSet<Vec<u8>>;

/// What can be said of a part of an expression, in small letters.
#[derive(Default)]
struct Part {
    /// All that it matches, if that is little.
    exact: Option<Strings>,
    /// One of them stands in each match.
    best: Option<Strings>,
}

impl Part {
    fn of(hir: &Hir) -> Part {
        match hir.kind() {
            HirKind::Empty | HirKind::Look(_) => Part::exactly([Vec::new()].into()),
            HirKind::Literal(literal) => Part::exactly([literal.0.to_ascii_lowercase()].into()),
            HirKind::Class(class) => Part { exact: letters(class), best: None },
            HirKind::Capture(capture) => Part::of(&capture.sub),
            HirKind::Repetition(repetition) => Part::repeated(repetition),
            HirKind::Concat(parts) => Part::joined(parts.iter().map(Part::of)),
            HirKind::Alternation(parts) => Part::either(parts.iter().map(Part::of)),
        }
    }

    fn exactly(strings: Strings) -> Part {
        let fits = strings.iter().all(|string| string.len() <= STRING_MAX);
        match fits {
            true => Part { exact: Some(strings), best: None },
            // A piece of what is long is as good.
            false => {
                let pieces = strings.into_iter().map(|mut string| {
                    string.truncate(STRING_MAX);
                    string
                });
                Part { exact: None, best: Some(pieces.collect()) }
            }
        }
    }

    fn repeated(repetition: &Repetition) -> Part {
        let part = Part::of(&repetition.sub);
        let (min, max) = (repetition.min, repetition.max);
        if min == 0 {
            let exact = part.exact.filter(|_| max == Some(1)).map(|mut strings| {
                strings.insert(Vec::new());
                strings
            });
            return Part { exact, best: None };
        }
        let times = min.min(TIMES_MAX);
        let whole =
            Part::joined((0..times).map(|_| Part { exact: part.exact.clone(), best: part.best.clone() }));
        match max == Some(times) {
            true => whole,
            false => Part { exact: None, best: whole.needed() },
        }
    }

    fn joined(parts: impl Iterator<Item = Part>) -> Part {
        let mut run: Strings = [Vec::new()].into();
        let (mut best, mut is_exact) = (None, true);
        for part in parts {
            match part.exact.as_ref().and_then(|strings| product(&run, strings)) {
                Some(longer) => run = longer,
                None => {
                    is_exact = false;
                    best = better(best, Some(std::mem::take(&mut run)));
                    best = better(best, part.best);
                    run = part.exact.unwrap_or_else(|| [Vec::new()].into());
                }
            }
        }
        match is_exact {
            true => Part { exact: Some(run), best: None },
            false => Part { exact: None, best: better(best, Some(run)) },
        }
    }

    fn either(parts: impl Iterator<Item = Part>) -> Part {
        let (mut exact, mut best) = (Some(Strings::new()), Some(Strings::new()));
        for part in parts {
            exact = match (exact, &part.exact) {
                (Some(mut all), Some(strings)) => {
                    all.extend(strings.iter().cloned());
                    (all.len() <= STRINGS_MAX).then_some(all)
                }
                _ => None,
            };
            best = match (best, part.needed()) {
                (Some(mut all), Some(strings)) => {
                    all.extend(strings);
                    (all.len() <= STRINGS_MAX).then_some(all)
                }
                _ => None,
            };
        }
        Part { exact, best }
    }

    /// The better of both, if there is any.
    fn needed(self) -> Option<Strings> {
        better(self.best, self.exact)
    }
}

/// Strings of the one, each followed by each of the other, if they are few.
fn product(before: &Strings, after: &Strings) -> Option<Strings> {
    let len = |strings: &Strings| strings.iter().map(Vec::len).max().unwrap_or_default();
    if before.len() * after.len() > STRINGS_MAX || len(before) + len(after) > STRING_MAX {
        return None;
    }
    Some(before.iter().flat_map(|a| after.iter().map(move |b| [&a[..], b].concat())).collect())
}

fn better(one: Option<Strings>, other: Option<Strings>) -> Option<Strings> {
    // Long ones are rare, and few are looked up sooner.
    let worth = |strings: &Strings| {
        let shortest = strings.iter().map(Vec::len).min().unwrap_or_default();
        (shortest >= LITERAL_MIN).then(|| shortest.min(10) * 8 - strings.len().ilog2() as usize * 4)
    };
    [one, other].into_iter().flatten().filter(|strings| worth(strings).is_some()).max_by_key(worth)
}

/// Characters of a class in small letters, if they are few.
fn letters(class: &Class) -> Option<Strings> {
    let bytes: BTreeSet<u8> = match class {
        Class::Bytes(class) => {
            let ranges = class.ranges();
            let all: usize = ranges.iter().map(regex_syntax::hir::ClassBytesRange::len).sum();
            if all > 2 * STRINGS_MAX {
                return None;
            }
            ranges
                .iter()
                .flat_map(|range| range.start()..=range.end())
                .map(|b| b.to_ascii_lowercase())
                .collect()
        }
        Class::Unicode(class) => {
            let ranges = class.ranges();
            let all: usize = ranges.iter().map(regex_syntax::hir::ClassUnicodeRange::len).sum();
            if all > 2 * STRINGS_MAX || ranges.iter().any(|range| !range.end().is_ascii()) {
                return None;
            }
            let bytes = ranges.iter().flat_map(|range| range.start() as u8..=range.end() as u8);
            bytes.map(|b| b.to_ascii_lowercase()).collect()
        }
    };
    (bytes.len() <= STRINGS_MAX / 4).then(|| bytes.into_iter().map(|byte| vec![byte]).collect())
}
