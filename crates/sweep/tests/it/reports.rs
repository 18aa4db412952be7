//! Reports: what each form says, and that foreign text cannot speak in it.

use sweep::report::{Form, Report, Swept};
use sweep::{Finding, Limits, Places, Rules, Totals};

const FORMS: [Form; 5] = [Form::Text, Form::Json, Form::Sarif, Form::Csv, Form::Html];
/// What a terminal, a page, a sheet or a viewer would obey.
const EVIL: &str = "=cmd|' /C calc'!A0 \u{1b}[2J\u{7}\u{8}\u{7f}\u{9b}31m\u{9d}0;x\u{9c}\u{202e}\u{2066}\u{200b}\u{61c}\u{e0041}<script>alert(1)</script>\"'[x](//e)\\[y](//f)";
/// Of a maker that nobody knows.
const RULE: &str = r#"
[[rule]]
id = "evil"
title = "Key of [Evil](//e) <b>\u001b"
severity = "high"
kind = "password"
opens = "It."
remedy = "Change it."
literals = ["acme_"]
before = 400
regex = '''(?s)\{(?P<name>[^{}]{1,300})\}acme_(?P<secret>[^{}]{1,300})\}'''
checks = ["anything"]
"#;

struct Told {
    findings: Vec<Finding>,
    skipped: Vec<(Vec<String>, String)>,
    totals: Totals,
}

impl Told {
    fn of(rules: &Rules, bytes: &[u8]) -> Told {
        let (findings, _, totals) = crate::totals(rules, bytes, Limits::default());
        Told { findings, skipped: Vec::new(), totals }
    }

    fn write(&self, form: Form, show_secrets: bool) -> String {
        Report {
            findings: &self.findings,
            volumes: &[],
            skipped: &self.skipped,
            totals: self.totals,
            show_secrets,
            is_whole: self.skipped.is_empty(),
            places: &Places::default(),
            swept: Swept::default(),
        }
        .write(form)
    }
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).expect("JSON")
}

#[test]
fn foreign_text_is_obeyed_by_nobody_in_any_form() {
    let rules = Rules::with_file(RULE).expect("a rule");
    for start in ["", "=", "+", "-", "@", "\t", "\r", " =", "＝"] {
        let evil = format!("{start}{EVIL}");
        let mut told = Told::of(&rules, format!("{{{evil}}}acme_{evil}}}\n").as_bytes());
        let finding = told.findings.iter_mut().find(|finding| finding.rule.id == "evil").expect("found");
        assert_eq!(finding.location.parameter.as_deref(), Some(evil.as_str()));
        finding.location.chain = vec![evil.clone(), format!("{evil}{{0}}")];
        told.skipped.push((vec![evil.clone()], format!("{evil}{{0}}")));
        for form in FORMS {
            let text = told.write(form, true);
            let obeyed = |c: &char| {
                let ends = *c == '\n' || *c == '\r' && form == Form::Csv;
                c.is_control() && !ends || "\u{202e}\u{2066}\u{200b}\u{61c}\u{e0041}".contains(*c)
            };
            assert_eq!(text.chars().find(obeyed), None, "{form:?}: {text:?}");
            assert!(text.contains("alert(1)"), "{form:?} tells it");
        }
        let page = told.write(Form::Html, true);
        assert!(!page.contains("<script") && !page.contains("<b>\\u"), "{page}");
        let sheet = told.write(Form::Csv, true);
        assert!(!sheet.contains("\n\"=") && !sheet.contains(",\"="), "{sheet}");
        assert!(!sheet.contains(",\"@") && !sheet.contains(",\"+") && !sheet.contains(",\"-"), "{sheet}");
        // Nothing is lost: a program reads what stood there.
        let read = json(&told.write(Form::Json, true));
        assert_eq!(read["findings"][0]["location"]["chain"][0], evil);
        assert_eq!(read["findings"][0]["secret"], evil);
        let sarif = json(&told.write(Form::Sarif, true));
        let run = &sarif["runs"][0];
        for text in [
            &run["results"][0]["message"]["text"],
            &run["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"],
        ] {
            let text = text.as_str().expect("a message");
            assert!(text.contains("\\[x\\](//e)"), "{text}");
            // What no backslash takes its meaning from, and what is not doubled.
            let bare = text.replace("\\\\", "").replace("\\[", "").replace("\\]", "");
            assert!(!bare.contains(['\\', '[', ']']), "a link: {text}");
            assert!(!bare.replace("{{", "").replace("}}", "").contains(['{', '}']), "a placeholder: {text}");
        }
        // And without being asked, no form shows the secret.
        told.findings[0].location.parameter = None;
        told.findings[0].location.chain = vec!["a".to_owned()];
        told.skipped.clear();
        for form in FORMS {
            assert!(!told.write(form, false).contains("calc"), "{form:?}");
        }
    }
}

#[test]
fn every_form_says_what_was_not_read() {
    let mut told = Told::of(&Rules::built_in(), b"nothing");
    told.skipped.push((vec!["backup.zip".to_owned(), "a.txt".to_owned()], "encrypted".to_owned()));
    for form in FORMS {
        let text = told.write(form, false);
        assert!(text.contains("backup.zip › a.txt") || form == Form::Json, "{form:?}: {text}");
        assert!(text.contains("encrypted"), "{form:?}: {text}");
    }
    assert!(
        told.write(Form::Csv, false)
            .contains("\r\n\"\",\"not-read\",\"encrypted\",\"backup.zip › a.txt\",\"\"")
    );
    let run = &json(&told.write(Form::Sarif, false))["runs"][0];
    assert_eq!(run["results"], serde_json::json!([]), "it is no finding");
    let invocation = &run["invocations"][0];
    assert_eq!(invocation["executionSuccessful"], false);
    let notification = &invocation["toolExecutionNotifications"][0];
    assert_eq!(notification["level"], "warning");
    assert_eq!(notification["locations"][0]["physicalLocation"]["artifactLocation"]["uri"], "backup.zip");
    let read = json(&told.write(Form::Json, false));
    assert_eq!(read["is_whole"], false);
    assert_eq!(read["skipped"][0]["why"], "encrypted");
    assert!(told.write(Form::Html, false).contains("1 thing was not read"));
}

#[test]
fn a_page_says_what_was_swept_when_and_by_what_and_picks_a_severity() {
    let text = "rtsp://admin:Zebra77crossing@10.0.0.1/a\n";
    let Told { findings, skipped, totals } = Told::of(&Rules::built_in(), text.as_bytes());
    let named = ["/media/<card>\u{1b}".to_owned(), "-".to_owned()];
    let page = |findings: &[Finding], is_interrupted| {
        let swept = Swept { named: &named, at: 1_709_251_198, is_interrupted };
        let (volumes, places) = (&[][..], &Places::default());
        let report = Report {
            findings,
            volumes,
            skipped: &skipped,
            totals,
            show_secrets: false,
            is_whole: true,
            places,
            swept,
        };
        report.write(Form::Html)
    };
    let whole = page(&findings, false);
    for part in [
        "<time datetime=\"2024-02-29T23:59:58Z\">2024-02-29 23:59:58 UTC</time>",
        "<code>/media/&lt;card&gt;\\u{1b}</code>, <code>-</code>",
        concat!("lenskeep ", env!("CARGO_PKG_VERSION")),
    ] {
        assert!(whole.contains(part), "{part}: {whole}");
    }
    assert!(!whole.contains("interrupted") && page(&findings, true).contains("It was interrupted"));
    // With one severity there is nothing to pick.
    let mut mixed = findings.clone();
    let mut low = mixed[0].clone();
    low.severity = sweep::Severity::Low;
    mixed.retain(|finding| finding.severity == sweep::Severity::High);
    assert!(!page(&mixed, false).contains("<input"), "one severity");
    mixed.push(low);
    let several = page(&mixed, false);
    for id in ["show-all\" checked", "show-high\"", "show-low\""] {
        assert!(
            several.contains(&format!("<input type=\"radio\" name=\"show\" id=\"{id}")),
            "{id}: {several}"
        );
    }
}

/// The first damage says enough, and says it once.
#[test]
fn what_is_damaged_is_told_once_and_in_no_doubled_words() {
    let folder = tempfile::tempdir().expect("a folder");
    crate::support::sh(
        folder.path(),
        "for n in 1 2 3 4 5 6 7 8; do echo kitelamp$n; done > a.txt; zip -q0 bad.zip a.txt
         sed -i s/kitelamp3/kitelamp7/ bad.zip; seq 1000 | gzip -nc | head -c 150 > cut.gz",
    );
    for (name, expected) in [
        ("bad.zip", &["input/a.txt: damaged from byte 80 on: its sum is not right"][..]),
        ("cut.gz", &["input/: damaged from byte "]),
    ] {
        let bytes = std::fs::read(folder.path().join(name)).expect("a file");
        let (_, skipped, _) = crate::totals(&Rules::built_in(), &bytes, Limits::default());
        let damaged: Vec<_> = skipped.iter().filter(|told| told.contains("damaged")).collect();
        assert_eq!(damaged.len(), expected.len(), "{name}: {skipped:?}");
        for (told, expected) in damaged.iter().zip(expected) {
            assert!(told.starts_with(expected) && !told.contains(": damaged: "), "{name}: {told}");
        }
    }
}

#[test]
fn a_secret_in_several_places_is_told_once_with_all_of_them() {
    let rules = Rules::built_in();
    let text = "rtsp://admin:Zebra77crossing@10.0.0.1/a\n\nrtsp://admin:Giraffe12neck@10.0.0.2/\n";
    let mut told = Told::of(&rules, text.as_bytes());
    let mut again = Told::of(&rules, text.as_bytes()).findings.remove(0);
    again.location.chain = vec!["other.conf".to_owned()];
    told.findings.push(again);
    let report = told.write(Form::Text, false);
    assert_eq!(report.matches("do: ").count(), 2, "{report}");
    let places = |name: &str| report.lines().position(|line| line.contains(name)).expect(name);
    assert_eq!(places("other.conf"), places("input:1") + 1, "{report}");
    assert!(report.contains("3 findings of 2 secrets: 3 high; 0 skipped; 1 file or part, "), "{report}");
    let page = told.write(Form::Html, false);
    assert!(
        page.contains("3 findings of 2 secrets in 1 file or part") && page.contains("<b>3</b> high"),
        "{page}"
    );
    // Programs get each place by itself.
    assert_eq!(json(&told.write(Form::Json, false))["findings"].as_array().map(Vec::len), Some(3));
    let one = Told { findings: told.findings[..1].to_vec(), ..told };
    assert!(one.write(Form::Text, false).contains("\n1 finding: 1 high; "), "no secret, and one finding");
}

/// The form of rules is documented with an example, and that example works.
#[test]
fn the_example_of_a_rule_in_the_documents_works() {
    let document = include_str!("../../../../docs/sweep.md");
    let example =
        document.split_once("```toml\n").expect("an example").1.split_once("```").expect("its end").0;
    let rules = Rules::with_file(example).expect("the example is a file of rules");
    let own: Vec<_> = rules.iter().filter(|rule| rule.id.starts_with("acme-")).collect();
    assert!(!own.is_empty());
    for rule in own {
        assert!(!rule.matches.is_empty() && !rule.rejects.is_empty(), "{}", rule.id);
        for text in &rule.matches {
            let (found, _) = crate::sweep(&rules, text.as_bytes());
            assert!(found.iter().any(|finding| finding.rule.id == rule.id), "{text}");
        }
        for text in &rule.rejects {
            let (found, _) = crate::sweep(&rules, text.as_bytes());
            assert!(found.iter().all(|finding| finding.rule.id != rule.id), "{text}");
        }
    }
}

#[test]
fn what_is_wrong_with_a_file_of_rules_is_said_with_line_and_remedy() {
    let rule = "# ours\n[[rule]]\nid = \"x\"\ntitle = \"X\"\nseverity = \"low\"\nopens = \"\"\nremedy = \"\"\nliterals = [\"acme\"]\nregex = \"acme\"\n";
    Rules::with_files([("mine.toml", rule)]).expect("it is right as it is");
    for (from, to, place, remedy) in [
        ("literals = [\"acme\"]", "literals = [\"ac\"]", "mine.toml, line 3: rule x", "4 to 256 bytes"),
        ("literals = [\"acme\"]", "", "mine.toml, line 3: rule x", "`literals`"),
        ("regex = \"acme\"", "regex = \"acme(\"", "mine.toml, line 3: rule x", "expression is refused"),
        ("regex = \"acme\"", "regex = \"acme\"\nafter = 99999", "mine.toml, line 3: rule x", "at most 16384"),
        (
            "id = \"x\"",
            "id = \"url-credentials\"",
            "mine.toml, line 3: rule url-credentials",
            "another rule has this id",
        ),
        ("severity = \"low\"", "severity = \"grave\"", "mine.toml, line 5", "expected one of `info`, `low`"),
        ("severity = \"low\"", "", "mine.toml, line 2: rule x: ", "missing field `severity`"),
        ("id = \"x\"", "", "mine.toml, line 2: missing", "missing field `id`"),
        (
            "regex = \"acme\"",
            "regex = '(?=x)acme'",
            "rule x: its expression is refused: look-around",
            "at byte 1 of it",
        ),
        ("title = \"X\"", "name = \"X\"", "mine.toml, line 4", "unknown field `name`, expected one of"),
        ("title = \"X\"", "checks = [\"luhn\"]", "mine.toml, line 4", "there is no check \"luhn\""),
        ("[[rule]]", "[[rules]]\nentropy = true", "mine.toml, line 3", "expected f64"),
        (rule, "no rules at all", "mine.toml, line 1", "[[rule]]"),
        (rule, "", "mine.toml, line 1: it holds no rules", "[[rule]]"),
    ] {
        let Err(error) = Rules::with_files([("mine.toml", rule.replacen(from, to, 1).as_str())]) else {
            panic!("{to}")
        };
        let told = error.to_string();
        assert!(told.contains(place) && told.contains(remedy), "{to}: {told}");
        assert!(!told.contains('\n'), "{told}");
    }
}
