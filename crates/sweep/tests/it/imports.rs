//! Rules that others wrote, and files that only look like it.

use std::time::{Duration, Instant};

use sweep::{Finding, Rules, RulesError, Severity};

use crate::{ids, sweep};

const KINGFISHER: &str = r"
rules:
  - name: ACME Key
    id: acme.1
    pattern: |
      (?xi)
      \b
      acme                # a (comment) with groups
      (?:.|[\n\r]){0,32}?
      (?:SECRET|PRIVATE)
      (?:.|[\n\r]){0,8}?
      \b
      (
        [A-Z0-9]{24}      (?# (what is in here, is none )
      )
      \b
    min_entropy: 3.0
    confidence: medium
    examples: [acme_secret = Q7W3E9R1T5Y8U2I4O6P0A7S9]
    validation:
      type: Http
      content: {request: {method: GET, url: 'https://{{ HOST }}/'}}
    depends_on_rule:
      - rule_id: acme.2
        variable: HOST
  - name: ACME host
    id: acme.2
    pattern: '\b([a-z0-9]+\.acme\.example)\b'
    visible: false
  - {name: Two forms, id: acme.3, confidence: low, pattern: 'left_tok=([a-z0-9]{12})|right_tok=([a-z0-9]{12})'}
  - name: Named
    id: acme.4
    pattern: 'acmeq(\d)-(?P<TOKEN>[0-9a-f]{16})'
    pattern_requirements: {min_digits: 4, ignore_if_contains: [test]}
    colour: blue
  - {name: Looks around, id: acme.5, pattern: '(?<!x)acmez_[0-9]{20}'}
  - {name: Anything, id: acme.6, pattern: '\b([a-z0-9]{32})\b'}
  - {name: Huge, id: acme.7, pattern: 'acmeh[a-z]{1,1000}{1,1000}{1,1000}'}
  - {name: No number, id: acme.8, pattern: 'acmen_[0-9]{8}', min_entropy: many}
  - {name: Nameless, pattern: 'acmeo_[0-9]{8}'}
  - {name: A list, id: acme.9, pattern: [1, 2]}
";

fn secrets(found: &[Finding]) -> Vec<&str> {
    found.iter().map(|finding| std::str::from_utf8(finding.secret.reveal()).expect("text")).collect()
}

#[test]
fn rules_of_kingfisher_are_read_and_what_is_left_out_is_told() {
    let rules = Rules::with_file(KINGFISHER).expect("a file of Kingfisher");
    let found = |text: &str| sweep(&rules, text.as_bytes()).0;
    let first = found("acme:\n  secret: Q7W3E9R1T5Y8U2I4O6P0A7S9\n");
    assert_eq!((ids(&first), secrets(&first)), (vec!["imported-acme.1"], vec!["Q7W3E9R1T5Y8U2I4O6P0A7S9"]));
    assert_eq!(first[0].rule.title, "ACME Key");
    let either = found("x left_tok=q7w3e9r1t5y8 y\nx RIGHT_TOK= right_tok=a7w3e9r1t5y8 y\n");
    assert_eq!(secrets(&either), ["q7w3e9r1t5y8", "a7w3e9r1t5y8"]);
    assert!(either.iter().all(|finding| finding.severity == Severity::Low), "confidence is low");
    assert_eq!(secrets(&found("acmeq7-0f1e2d3c4b5a6978")), ["0f1e2d3c4b5a6978"], "the group that is named");
    assert!(found("acmeq7-afeedcbcdbeaf9ce").is_empty(), "two digits");
    assert!(found("q7w3e9r1.acme.example").is_empty(), "not visible");

    let why = |rule: &str| {
        let whys = rules.left_out().iter().filter(|(names, _)| names.split(", ").any(|name| name == rule));
        whys.map(|(_, why)| why.as_str()).collect::<Vec<_>>().join("; ")
    };
    for (rule, part) in [
        ("acme.1", "`validation` is not used"),
        ("acme.1", "found without the rule that it depends on"),
        ("acme.2", "only gives other rules"),
        ("acme.4", "`pattern_requirements.ignore_if_contains` is not used"),
        ("acme.4", "`colour` is not known"),
        ("acme.5", "look-around"),
        ("acme.6", "nothing of 4 characters"),
        ("acme.7", "more than 1048576 bytes"),
        ("acme.8", "`min_entropy` is no number"),
        ("rule 9", "no id"),
        ("acme.9", "`pattern` is no text"),
    ] {
        assert!(why(rule).contains(part), "{rule}: {part}: {:?}", rules.left_out());
    }
    assert_eq!(why("acme.3"), "");
}

#[test]
fn rules_of_gitleaks_that_cannot_be_used_are_told_and_need_no_keyword() {
    let text = r#"
        [[rules]]
        id = "acme"
        regex = '''(?i)(?:acme|other).{0,9}?(zz)?key=([a-z0-9]{16})'''
        secretGroup = 2
        [[rules]]
        id = "file"
        path = '''\.p12$'''
        [[rules]]
        id = "around"
        regex = '''(?=acme_)acme_[0-9]+'''
    "#;
    let rules = Rules::with_file(text).expect("a file of Gitleaks");
    assert_eq!(secrets(&sweep(&rules, b"acme-key=q7w3e9r1t5y8u2i4").0), ["q7w3e9r1t5y8u2i4"]);
    let left_out = rules.left_out();
    assert_eq!(left_out.len(), 2, "{left_out:?}");
    assert!(left_out[0].0 == "file" && left_out[1].1.contains("look-around"), "{left_out:?}");
}

#[test]
fn a_pattern_of_others_that_is_catastrophic_is_linear() {
    let text = "rules:\n  - {name: x, id: x, pattern: 'aaaa(a+)+(a|aa)+(a|a?)+$x'}\n";
    let rules = Rules::with_file(text).expect("small");
    let (found, _, totals) = crate::totals(&rules, "a".repeat(64 << 10).as_bytes(), sweep::Limits::default());
    assert!(found.is_empty());
    // What one literal may have searched, for each place at which it begins.
    assert!(totals.searched <= (64 << 10) * (2 << 11), "{totals:?}");
}

#[test]
fn hostile_yaml_is_refused_soon() {
    let bomb = (1..10).fold("a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned(), |text, n| {
        let last = format!("*a{}", n - 1);
        text + &format!("a{n}: &a{n} [{}]\n", [last.as_str(); 9].join(", "))
    });
    let many = "  - {name: x, id: x, pattern: 'acme'}\n".repeat((4 << 20) / 38);
    let wrong = |rest: &str| format!("rules:\n{rest}");
    for (name, text) in [
        ("aliases", wrong("") + &bomb),
        ("an alias of itself", wrong("  - &a [*a]\n")),
        ("lists", wrong(&format!("  - {}", "[".repeat(4 << 20)))),
        ("maps", wrong(&format!("  - {}", "{a: ".repeat(1 << 20)))),
        ("indents", wrong(&(1..2000).map(|n| format!("{}- \n", " ".repeat(n))).collect::<String>())),
        ("dashes", wrong(&"- ".repeat(2 << 20))),
        ("questions", wrong(&"? ".repeat(2 << 20))),
        ("a brace and a document", "rules: {---".to_owned()),
        ("quotes", wrong(&format!("  - \"{}", "\\x41".repeat(1 << 20)))),
        ("an open block", wrong(&format!("  - |\n{}", "    \n".repeat(800_000)))),
        ("names that stand twice", wrong("  - {id: x, id: y, pattern: acme}\n")),
        (
            "names without end",
            wrong(&format!("  - {{{}}}\n", (0..300_000).map(|n| format!("k{n}: 1,")).collect::<String>())),
        ),
        ("a map for a list", wrong("  id: x\n")),
        ("two documents", wrong("  - {id: x, pattern: acme}\n---\nrules: []\n")),
        ("too many rules", wrong(&many)),
        ("tabs", wrong("\t- x\n")),
        ("anchors", wrong(&"&a ".repeat(1 << 20))),
        ("tags", wrong(&format!("  - !{}", "<".repeat(4 << 20)))),
        ("colons", wrong(&": ".repeat(2 << 20))),
        ("commas", wrong(&format!("  - [{}", ",".repeat(4 << 20)))),
    ] {
        let began = Instant::now();
        let read = Rules::with_file(&text);
        match read {
            Err(RulesError::Yaml(_) | RulesError::Many) => {}
            Ok(rules) => assert!(
                ["an open block", "too many rules"].contains(&name) && !rules.left_out().is_empty(),
                "{name}"
            ),
            Err(error) => panic!("{name}: {error}"),
        }
        assert!(began.elapsed() < Duration::from_secs(120), "{name}: {:?}", began.elapsed());
    }
}

#[test]
fn a_refusal_says_the_line_and_nothing_of_the_file() {
    let Err(error) = Rules::with_file("rules:\n  - id: x\n    pattern: *Zebra77crossing\n") else {
        panic!("an alias")
    };
    let told = error.to_string();
    assert!(told.contains("line 3") && !told.contains("Zebra77"), "{told}");
}

/// `KINGFISHER_RULES=DIR cargo test -p sweep -- --ignored --nocapture all_rules_of_kingfisher`: whether
/// each rule finds its own examples.
#[test]
#[ignore = "needs a copy of Kingfisher's rules"]
#[expect(clippy::print_stdout, reason = "it says what comes of each rule")]
fn all_rules_of_kingfisher() {
    let folder = std::env::var_os("KINGFISHER_RULES").expect("KINGFISHER_RULES names a folder");
    let mut texts = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "yml") {
            texts.push(std::fs::read_to_string(path).expect("text"));
        }
    }
    let began = Instant::now();
    let rules =
        Rules::with_files(texts.iter().map(|text| ("a file", text.as_str()))).expect("rules of Kingfisher");
    let imported = rules.iter().filter(|rule| rule.id.starts_with("imported-")).count();
    println!("{} files, {imported} rules, read in {:?}", texts.len(), began.elapsed());
    for (names, why) in rules.left_out() {
        println!("{names}: {why}");
    }
    let (mut found, mut missed) = (0, 0);
    for rule in rules.iter().filter(|rule| rule.id.starts_with("imported-")) {
        for example in &rule.matches {
            match sweep(&rules, example.as_bytes()).0.is_empty() {
                true => {
                    missed += 1;
                    println!("{} misses {example:?}", rule.id);
                }
                false => found += 1,
            }
        }
    }
    println!("{found} examples found, {missed} missed");
    assert!(imported > 0);
}
