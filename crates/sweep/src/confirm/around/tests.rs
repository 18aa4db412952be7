use std::collections::BTreeSet;

use fastrand::Rng;
use regex_syntax::hir::{Class, Hir, HirKind};

use super::*;
use crate::rules::Rules;
use crate::validate::Check;

/// Something that an expression matches, but for what it asserts.
fn write(hir: &Hir, random: &mut Rng, text: &mut Vec<u8>) {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => {}
        HirKind::Literal(literal) => text.extend(&literal.0),
        HirKind::Class(Class::Unicode(class)) => {
            let range = &class.ranges()[random.usize(..class.ranges().len())];
            text.extend(random.char(range.start()..=range.end()).to_string().bytes());
        }
        HirKind::Class(Class::Bytes(class)) => {
            let range = &class.ranges()[random.usize(..class.ranges().len())];
            text.push(random.u8(range.start()..=range.end()));
        }
        HirKind::Repetition(repetition) => {
            let most = repetition.max.unwrap_or(u32::MAX).min(repetition.min + 9);
            (0..random.u32(repetition.min..=most)).for_each(|_| write(&repetition.sub, random, text));
        }
        HirKind::Capture(capture) => write(&capture.sub, random, text),
        HirKind::Concat(all) => all.iter().for_each(|one| write(one, random, text)),
        HirKind::Alternation(all) => write(&all[random.usize(..all.len())], random, text),
    }
}

/// What a rule matches around each place where one of its literals stands; `is_asked` leaves
/// out those at which it may not match.
fn matches(rule: &Rule, text: &[u8], is_asked: bool) -> BTreeSet<(usize, usize)> {
    let mut found = BTreeSet::new();
    for (literal, spelled) in rule.spelled().expect("it was read").iter().enumerate() {
        for at in 0..text.len() {
            let there = text.get(at..at + spelled.len()).is_some_and(|there| match rule.ignore_case {
                true => there.eq_ignore_ascii_case(spelled),
                false => there == spelled,
            });
            if there && (!is_asked || rule.may_match(text, literal, at)) {
                let matched = confirm::confirm(rule, text, at);
                found.extend(matched.map(|matched| (matched.secret.start, matched.secret.end)));
            }
        }
    }
    found
}

#[test]
fn nothing_that_a_rule_matches_is_left_out() {
    let mut random = Rng::with_seed(5);
    let rules = Rules::built_in();
    let mut all = 0;
    let by_regex = |rule: &&std::sync::Arc<Rule>| {
        !rule.regex.is_empty()
            && ![Check::Table, Check::Markup].iter().any(|check| rule.checks.contains(check))
    };
    for rule in rules.iter().filter(by_regex) {
        let expression = confirm::parse(&rule.regex).expect("it compiles");
        for round in 0..60 {
            let mut text = [" ", "\n", "x\r\n", "{\"a\": 1, ", ""][round % 5].as_bytes().to_vec();
            write(&expression, &mut random, &mut text);
            // Some matches end inside their literal.
            let spelled = &rule.spelled().expect("it was read")[random.usize(..rule.literals.len())];
            let begun = (WRITTEN..spelled.len()).rev().find(|count| text.ends_with(&spelled[..*count]));
            text.extend(&spelled[begun.unwrap_or(spelled.len())..]);
            text.extend([" ", "\n", "\", ", "; x", ""][round / 5 % 5].bytes());
            let found = matches(rule, &text, true);
            assert_eq!(
                found,
                matches(rule, &text, false),
                "{}: {:?}",
                rule.id,
                text.escape_ascii().to_string()
            );
            all += usize::from(!found.is_empty());
        }
    }
    assert!(all > 40 * rules.iter().count(), "{all}");
}

/// One of our own, whose literals may stand anywhere in the match.
fn rule(literals: &[&str], regex: &str) -> Rule {
    let literals = literals.iter().map(|literal| literal.to_string()).collect();
    let mut rule = Rule::imported("a".to_owned(), "a".to_owned(), literals, regex.to_owned(), Vec::new());
    rule.check_all().expect("it is not refused");
    rule.is_built_in = true;
    rule
}

/// The attack: an expression whose automaton is as large as it may be, in text that leads it
/// to new states all the time.
#[test]
fn a_large_expression_costs_bounded_work() {
    let mut random = Rng::with_seed(9);
    let rule = rule(
        &["token"],
        r"(?:[ab]{0,40}[bc]{0,40}[cd]{0,40}){1,8}token(?:[ab]{0,60}[bc]{0,60}[ac]{0,60}){1,9}[xyz]",
    );
    for _ in 0..400 {
        let mut some = |count: usize| -> Vec<u8> {
            (0..count).map(|_| random.choice(*b"abc").unwrap_or_default()).collect()
        };
        let text = [some(64), b"token".to_vec(), some(64)].concat();
        assert!(rule.may_match(&text, 0, 64));
    }
    assert!(!rule.may_match(b"token;", 0, 0));
    for side in rule.around.sides() {
        let known = side.known.lock().expect("nothing panicked");
        let most = WORK_MAX + 4 * side.walk.nfa.states().len();
        assert!((1000..=most).contains(&known.seen.spent), "{} of {most}", known.seen.spent);
        assert!(known.sets.len() <= STATES_MAX);
    }
}

#[test]
fn words_that_lead_nowhere_are_known_before_a_search() {
    let rule = rule(
        &["token", "code"],
        r#"(?i)\b\w{0,8}(?:token|code)["']?\s{0,2}[:=]\s{0,2}(?P<secret>\w{4,8})(?:\W|$)"#,
    );
    let may = |text: &str| {
        let at = text.to_ascii_lowercase().find("code").expect("it is there");
        rule.may_match(text.as_bytes(), 1, at)
    };
    for there in
        ["code=abcd", "my_CODE : 12345678", "'code':\nabcd", "code", "code=", "code=abc", "code=abcd "]
    {
        assert!(may(there), "{there}");
    }
    for not in [
        "codes=abcd",
        "code of",
        "code_a",
        "code  x",
        "code=abc;",
        "codeabcdefgh=1234",
        "a_very_long_code=abcd",
    ] {
        assert!(!may(not), "{not}");
    }
}
