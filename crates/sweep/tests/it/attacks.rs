//! Inputs that are made to cost, and rules that are.

use std::io::Write as _;
use std::ops::ControlFlow;

use sweep::{Defaults, Limits, Notice, Rules, RulesError, Sweep, shown};

use crate::made::base64;
use crate::support::packed;
use crate::{ids, sweep, totals};

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    out.write_all(data).expect("to memory");
    out.finish().expect("to memory")
}

#[test]
fn a_bomb_is_cut_off_and_told() {
    let rules = Rules::built_in();
    let bomb = gzip(&gzip(&vec![0; 256 << 20]));
    assert!(bomb.len() < 10 << 10, "{}", bomb.len());
    let limits = Limits { ratio: 100, ..Limits::default() };
    let (found, skipped, totals) = totals(&rules, &bomb, limits);
    assert!(found.is_empty());
    assert!(skipped.iter().any(|why| why.contains("far more than it is")), "{skipped:?}");
    // One block more, and a layer that was held before.
    let most = 100 * bomb.len() as u64 + (10 << 20) + (1 << 20);
    assert!(totals.unpacked <= most, "{totals:?}");
}

#[test]
fn nesting_ends_at_its_depth_and_is_told() {
    let rules = Rules::built_in();
    let secret =
        "AccountKey=".to_owned() + &base64(&(0..64_u8).map(|n| n.wrapping_mul(37)).collect::<Vec<u8>>());
    // Padded, so that no layer is stored as it is: one would be found in the other's bytes.
    let layer = |data: Vec<u8>, _| gzip(&[vec![b' '; 4096], data].concat());
    let nested = |times| (0..times).fold(secret.clone().into_bytes(), layer);
    assert_eq!(ids(&sweep(&rules, &nested(8)).0), ["azure-storage-connection-string"]);
    let (found, skipped) = sweep(&rules, &nested(9));
    assert!(found.is_empty());
    assert!(skipped.iter().any(|why| why.ends_with("deeper than the limit")), "{skipped:?}");
}

#[test]
fn escapes_inside_escapes_do_not_multiply() {
    let rules = Rules::built_in();
    // Each line decodes three ways, and each of these again.
    let line = "%2525252525252541\\u0026amp;amp;amp;\\\\u0026amp;=3D3D3D3D &amp;amp;amp;%2526 \\x5cx5cx41 ";
    let text = line.repeat(40_000);
    let (_, _, totals) = totals(&rules, text.as_bytes(), Limits::default());
    assert!(totals.decoded <= 16 * text.len() as u64 + (2 << 20), "{totals:?}");
}

#[test]
fn text_full_of_literals_is_searched_in_proportion() {
    let rules = Rules::built_in();
    for text in ["password", "sig=", "mqtt", "root.", "-----BEGIN ", "s://", "twilio", "AKIA", "eyJ0"] {
        let searched = |bytes: usize| {
            let text = text.repeat(bytes / text.len());
            totals(&rules, text.as_bytes(), Limits::default()).2.searched
        };
        let (once, twice) = (searched(128 << 10), searched(256 << 10));
        assert!(twice <= once * 5 / 2 + (1 << 20), "{text}: {once} of half, {twice} of all");
    }
}

#[test]
fn an_expression_that_would_be_huge_is_refused_and_a_catastrophic_one_is_linear() {
    let rule = |regex: &str| {
        format!(
            "[[rule]]\nid = 'x'\ntitle = 'x'\nseverity = 'low'\nopens = ''\nremedy = ''\nliterals = ['aaaa']\nafter = 16384\nregex = '''{regex}'''\n"
        )
    };
    for regex in ["a{1,1000}{1,1000}{1,1000}", "(", &"(a".repeat(5000), "\\p{Greek}"] {
        let refused = Rules::with_file(&rule(regex));
        assert!(matches!(refused, Err(RulesError::Regex(..))), "{}", &regex[..regex.len().min(20)]);
    }
    let rules = Rules::with_file(&rule("(a+)+(a|aa)+(a|a?)+$x")).expect("small");
    // A backtracker would not come back from forty letters.
    let text = "a".repeat(16 << 10);
    let (found, _, totals) = totals(&rules, text.as_bytes(), Limits::default());
    assert!(found.is_empty());
    assert!(totals.searched <= (text.len() * (16 << 10)) as u64, "{totals:?}");
}

#[test]
fn a_literal_that_is_too_short_or_missing_is_refused() {
    for literals in ["[]", "['abc']", "['']"] {
        let rule = format!(
            "[[rule]]\nid = 'x'\ntitle = 'x'\nseverity = 'low'\nopens = ''\nremedy = ''\nliterals = {literals}\nregex = 'abc'\n"
        );
        assert!(matches!(Rules::with_file(&rule), Err(RulesError::Literal(_))), "{literals}");
    }
}

#[test]
fn rules_of_gitleaks_are_read() {
    let text = r#"
        title = "gitleaks config"
        [[rules]]
        id = "acme"
        description = "ACME token"
        regex = '''(?i)\b(acme_[a-z0-9]{16})\b'''
        entropy = 3
        keywords = ["acme_"]
        [[rules]]
        id = "file"
        path = '''\.p12$'''
    "#;
    let rules = Rules::with_file(text).expect("a file of Gitleaks");
    let (found, _) = sweep(&rules, b"x = 'acme_q7w3e9r1t5y8u2i4'");
    assert_eq!(ids(&found), ["imported-acme"]);
    assert_eq!(found[0].secret.reveal(), b"acme_q7w3e9r1t5y8u2i4");
}

#[test]
fn names_cannot_speak_to_a_terminal() {
    let name = "a\u{1b}]0;title\u{7}\u{1b}[2J\r\n\u{202e}gpj";
    let shown = shown(name);
    assert!(shown.chars().all(|c| !c.is_control() && c != '\u{202e}'), "{shown}");
    assert!(shown.contains("\\u{1b}"));
}

/// A sequence that says it is a key and is none, with one in it.
#[test]
fn a_key_that_is_none_hides_none_in_it() {
    let key = packed(
        "openssl genrsa -traditional 1024 2>/dev/null | openssl rsa -traditional -outform DER -out out 2>/dev/null",
    );
    let lie = [&[0x30, 0x82, 8, 0, 2, 1, 0, 2, 0x82, 1, 1][..], &[9; 16]].concat();
    let (found, _) = sweep(&Rules::built_in(), &[lie, key.clone()].concat());
    assert_eq!(found.len(), 1, "{:?}", ids(&found));
    let secret = found[0].secret.reveal();
    assert!(secret.len() > 100 && key.starts_with(secret));
}

/// The attack: ten thousand files of ten hashes each. What is known is not tried again, and
/// what was not tried is told once.
#[test]
fn hashes_of_many_inputs_have_one_account() {
    let rules = Rules::built_in();
    let sweep = Sweep { rules: &rules, limits: Limits::default(), now: crate::NOW };
    let (mut defaults, mut rounds, mut told) = (Defaults::default(), 0, 0);
    // As if a journal knew of inputs before.
    defaults.spent(15_000_000);
    for file in 0..200 {
        let line = |number: usize| {
            format!("user{number}:$1$s{file:03}{number:03}$d5iRRVQ5ZeRTrJwGjRy.B1:0:0::/:/bin/sh\n")
        };
        let text: String = (0..10).map(line).collect();
        let totals = sweep.input_with(&mut defaults, "passwd", &text.as_bytes(), &mut |notice| {
            told += usize::from(matches!(&notice, Notice::Skipped { why, .. } if why.contains("hashes")));
            ControlFlow::Continue(())
        });
        rounds += totals.rounds;
    }
    assert!((900_000..=1_000_000).contains(&rounds), "{rounds}");
    assert_eq!(told, 1);
}
