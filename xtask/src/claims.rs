//! The claims of the documents, and the tests that they name: `docs/claims.md`
//! and `compliance/asvs.yml`. A claim holds as long as its test exists, which
//! `tidy` looks at, and ran and passed, which `test` looks at in the reports
//! (JUnit) of the runners.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};

pub(crate) const CLAIMS: &str = "docs/claims.md";
pub(crate) const ASVS: &str = "compliance/asvs.yml";

/// A test that a claim rests on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Named {
    /// File and line of the claim.
    pub(crate) place: String,
    pub(crate) test: String,
}

/// Names of tests in the last column of a row, as code.
pub(crate) fn in_row(line: &str) -> Vec<&str> {
    let cell = line.trim_end_matches('|').rsplit('|').next().unwrap_or_default();
    cell.split('`').skip(1).step_by(2).collect()
}

/// Names of tests in `tests: ["…", "…"]`.
pub(crate) fn in_requirement(line: &str) -> Vec<&str> {
    let list = line.split_once("tests: [").and_then(|(_, list)| list.split_once(']'));
    list.map_or_else(Vec::new, |(list, _)| list.split('"').skip(1).step_by(2).collect())
}

/// All of both documents.
fn read() -> anyhow::Result<Vec<Named>> {
    let mut named = Vec::new();
    for (file, begins, of) in [(CLAIMS, '|', in_row as fn(&str) -> Vec<&str>), (ASVS, 'V', in_requirement)] {
        let text = std::fs::read_to_string(file).with_context(|| format!("{file} could not be read"))?;
        for (number, line) in text.lines().enumerate().filter(|(_, line)| line.starts_with(begins)) {
            let place = format!("{file}:{}", number + 1);
            named.extend(
                of(line).into_iter().map(|test| Named { place: place.clone(), test: test.to_owned() }),
            );
        }
    }
    Ok(named)
}

/// Fails with every claim that has a test which did not run, or did not pass,
/// by these reports.
pub(crate) fn check_ran(reports: &[PathBuf]) -> anyhow::Result<()> {
    let mut passed = HashSet::new();
    for path in reports {
        let report = std::fs::read_to_string(path)
            .with_context(|| format!("{}: the runner left no report of its tests", path.display()))?;
        let of_report = passed_in(&report);
        ensure!(!of_report.is_empty(), "{}: no test of the report passed", path.display());
        passed.extend(of_report);
    }
    let claims = read()?;
    let unproven = unproven(&claims, &passed);
    for Named { place, test } in &unproven {
        println!("{place}: `{test}` did not run");
    }
    let count = unproven.len();
    ensure!(
        count == 0,
        "{count} tests that claims rest on did not run, or were skipped: run them, or take the claim back"
    );
    println!("{} tests that claims rest on ran and passed", claims.len());
    Ok(())
}

fn unproven<'c>(claims: &'c [Named], passed: &HashSet<String>) -> Vec<&'c Named> {
    claims.iter().filter(|named| !passed.contains(&named.test)).collect()
}

/// Names of the tests that a report in JUnit's XML says have passed, with and
/// without the modules (`a::b`) and groups (`a > b`) that they stand in. What
/// was skipped has not run; what failed in one place has not passed in another.
fn passed_in(report: &str) -> HashSet<String> {
    let (mut passed, mut failed) = (HashSet::new(), HashSet::new());
    for case in report.split("<testcase ").skip(1) {
        let named =
            case.strip_prefix("name=\"").or_else(|| case.split_once(" name=\"").map(|(_, rest)| rest));
        let Some(name) = named.and_then(|rest| rest.split('"').next()) else { continue };
        // One without a body has no end of its own.
        let body = case.split_once("</testcase>").map_or("", |(body, _)| body);
        let bad = ["<skipped", "<failure", "<error"].into_iter().any(|tag| body.contains(tag));
        let of = if bad { &mut failed } else { &mut passed };
        of.extend(names(&unescaped(name)));
    }
    passed.retain(|name| !failed.contains(name));
    passed
}

/// The whole name, and each of its ends.
fn names(whole: &str) -> Vec<String> {
    let mut names = vec![whole.to_owned()];
    for separator in ["::", " > "] {
        names.extend(whole.match_indices(separator).map(|(at, _)| whole[at + separator.len()..].to_owned()));
    }
    names
}

/// `node --test` escapes quotes twice.
fn unescaped(text: &str) -> String {
    let text = text.replace("&amp;", "&").replace("&quot;", "\"").replace("&apos;", "'");
    text.replace("&#39;", "'").replace("&lt;", "<").replace("&gt;", ">")
}

/// Where the reports of a run lie; those of an earlier run are removed.
pub(crate) struct Reports {
    pub(crate) rust: PathBuf,
    pub(crate) web: PathBuf,
    pub(crate) browser: PathBuf,
}

impl Reports {
    pub(crate) fn cleared() -> anyhow::Result<Self> {
        let target = std::path::absolute("target")?;
        let folder = target.join("reports");
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("{} could not be made", folder.display()))?;
        let reports = Reports {
            // As `.config/nextest.toml` says; nextest keeps it here wherever Cargo builds.
            rust: target.join("nextest/default/junit.xml"),
            web: folder.join("web.xml"),
            browser: folder.join("browser.xml"),
        };
        for path in [&reports.rust, &reports.web, &reports.browser] {
            remove(path)?;
        }
        Ok(reports)
    }

    pub(crate) fn check(&self) -> anyhow::Result<()> {
        check_ran(&[self.rust.clone(), self.web.clone(), self.browser.clone()])
    }
}

fn remove(path: &Path) -> anyhow::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("{} could not be removed", path.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As nextest, vitest and `node --test` write them.
    const REPORTS: [&str; 3] = [
        r#"<testsuite name="cloud::it"><testcase name="history::sqlite::it_holds" classname="cloud::it" time="0.1">
            </testcase><testcase name="history::postgres::it_holds" classname="cloud::it" time="0.1"/>
            <testcase name="one::it_breaks" classname="cloud::it"><failure type="test failure"/></testcase>
            <testcase name="other::it_breaks" classname="cloud::it"></testcase></testsuite>"#,
        r#"<testcase classname="test/a.test.ts" name="a roster &gt; says &quot;no&quot; &amp; stays" time="0.002"></testcase>
            <testcase classname="test/a.test.ts" name="a roster &gt; is left out" time="0"><skipped/></testcase>"#,
        "<testsuite name=\"a walk\">\n<testcase name=\"goes &amp;quot;there&amp;quot; &amp; back>\" time=\"1\" classname=\"test\"/>\n\
            <testcase name=\"waits\" time=\"0\" classname=\"test\">\n<skipped type=\"skipped\" message=\"no database\"/>\n\
            </testcase></testsuite>",
    ];

    fn named(test: &str) -> Named {
        Named { place: format!("{CLAIMS}:1"), test: test.to_owned() }
    }

    #[test]
    fn a_claim_whose_test_did_not_run_and_pass_is_found() {
        let passed: HashSet<String> = REPORTS.into_iter().flat_map(passed_in).collect();
        let holds = ["it_holds", "says \"no\" & stays", "goes \"there\" & back>"].map(named);
        assert_eq!(unproven(&holds, &passed), Vec::<&Named>::new());
        // Skipped, failed somewhere, and not there at all; the end of a word is no name.
        let bad = ["is left out", "waits", "it_breaks", "never_written", "holds", "stays"].map(named);
        assert_eq!(unproven(&bad, &passed), bad.iter().collect::<Vec<_>>());
    }

    #[test]
    fn what_claims_name_is_read_from_both_documents() {
        assert_eq!(in_row("| A claim of `code` | a limit | `one`, `two` |"), ["one", "two"]);
        let requirement = "V1.2.3: {state: met, tests: [\"one\", \"two words\"], note: \"a \\\"note\\\"\"}";
        assert_eq!(in_requirement(requirement), ["one", "two words"]);
        assert!(in_requirement("V1.2.3: {state: none, note: \"nothing\"}").is_empty());
    }

    #[test]
    fn a_report_that_is_not_there_or_empty_proves_nothing() {
        let folder = std::env::temp_dir().join(format!("lenskeep-claims-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let missing = check_ran(&[folder.join("none.xml")]).unwrap_err().to_string();
        assert!(missing.contains("left no report"), "{missing}");
        std::fs::write(folder.join("empty.xml"), "<testsuites></testsuites>").unwrap();
        let empty = check_ran(&[folder.join("empty.xml")]).unwrap_err().to_string();
        assert!(empty.contains("no test of the report passed"), "{empty}");
        std::fs::remove_dir_all(folder).unwrap();
    }
}
