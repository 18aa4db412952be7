//! Inputs that are made to cost, and rules that are.

use std::io::Write as _;
use std::time::{Duration, Instant};

use sweep::{Limits, Rules, RulesError, shown};

use crate::made::base64;
use crate::{ids, sweep, sweep_within};

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
    let began = Instant::now();
    let limits = Limits { ratio: 100, ..Limits::default() };
    let (found, skipped) = sweep_within(&rules, &bomb, limits);
    assert!(found.is_empty());
    assert!(skipped.iter().any(|why| why.contains("far more than it is")), "{skipped:?}");
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
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
    let began = Instant::now();
    sweep(&rules, text.as_bytes());
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[test]
fn text_full_of_literals_takes_time_in_proportion() {
    let rules = Rules::built_in();
    for text in ["password", "sig=", "mqtt", "root.", "-----BEGIN ", "s://", "twilio", "AKIA", "eyJ0"] {
        let text = text.repeat((1 << 20) / text.len());
        let began = Instant::now();
        sweep(&rules, text.as_bytes());
        assert!(began.elapsed() < Duration::from_secs(20), "{}: {:?}", &text[..8], began.elapsed());
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
    let began = Instant::now();
    sweep(&rules, "a".repeat(16 << 10).as_bytes());
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
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
