//! Rules that no compiler knows: links lead somewhere, claims have their test,
//! files stay readable, nothing is left half done.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

use crate::claims::{self, ASVS, CLAIMS};

const LINES_MAX: usize = 600;
/// Spelled apart, so that this file does not find itself.
const UNFINISHED: [&str; 4] =
    [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("unimple", "mented!("), concat!("to", "do!(")];
/// Of levels 1 and 2 in version 5.0.0.
const ASVS_REQUIREMENTS: usize = 253;

pub(crate) fn check() -> anyhow::Result<()> {
    let files = tracked()?;
    let mut found = Vec::new();
    for path in &files {
        let Ok(text) = std::fs::read_to_string(path) else { continue };
        check_text(path, &text, &mut found);
        if path.extension().is_some_and(|extension| extension == "md") {
            check_links(path, &text, &mut found);
        }
    }
    let tests = tests(&files);
    check_claims(&tests, &mut found)?;
    check_compliance(&tests, &mut found)?;
    for line in &found {
        println!("{line}");
    }
    ensure!(found.is_empty(), "tidy: {} things to put right", found.len());
    Ok(())
}

fn tracked() -> anyhow::Result<Vec<PathBuf>> {
    let output = Command::new("git").args(["ls-files", "-z"]).output().context("git could not be run")?;
    ensure!(output.status.success(), "git ls-files failed; is this a clone?");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(text
        .split('\0')
        .filter(|path| !path.is_empty())
        .map(PathBuf::from)
        .filter(|path| path.exists())
        .collect())
}

fn check_text(path: &Path, text: &str, found: &mut Vec<String>) {
    let name = path.display();
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let is_code = matches!(extension, "rs" | "ts" | "svelte" | "mjs" | "css" | "py");
    if is_code && text.lines().count() > LINES_MAX {
        found.push(format!("{name}: more than {LINES_MAX} lines; is it two things?"));
    }
    if is_code || extension == "md" {
        for (number, line) in text.lines().enumerate() {
            if UNFINISHED.iter().any(|word| line.contains(word)) {
                found.push(format!("{name}:{}: unfinished", number + 1));
            }
        }
    }
    let is_library = path.ends_with("src/lib.rs") || path.ends_with("src/main.rs");
    if is_library && !text.starts_with("//! ") {
        found.push(format!("{name}:1: begin with //! and say what this is for and what it refuses"));
    }
    if path.ends_with("package-lock.json") && text.contains("\"resolved\"") {
        found.push(format!("{name}: names a registry; web/.npmrc should prevent that"));
    }
}

/// Relative links of Markdown lead to files.
fn check_links(path: &Path, text: &str, found: &mut Vec<String>) {
    let folder = path.parent().unwrap_or(Path::new(""));
    for (number, line) in text.lines().enumerate() {
        for link in line.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap_or_default();
            if target.is_empty() || target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            if !folder.join(target).exists() {
                found.push(format!("{}:{}: {target} does not exist", path.display(), number + 1));
            }
        }
    }
}

/// Names of everything that could be a test.
fn tests(files: &[PathBuf]) -> HashSet<String> {
    let mut names: HashSet<String> = HashSet::new();
    for path in files {
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        let Ok(code) = std::fs::read_to_string(path) else { continue };
        match extension {
            "rs" => {
                let functions = code.split("fn ").skip(1).filter_map(|rest| rest.split('(').next());
                names.extend(functions.map(str::to_owned));
            }
            "ts" | "mjs" => {
                let cases = code.split("it('").skip(1).filter_map(|rest| rest.split('\'').next());
                names.extend(cases.map(str::to_owned));
            }
            _ => {}
        }
    }
    names
}

/// One line for each requirement: its state, and the tests or the words for it.
fn check_compliance(tests: &HashSet<String>, found: &mut Vec<String>) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(ASVS).with_context(|| format!("{ASVS} could not be read"))?;
    let mut requirements = HashSet::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| line.starts_with('V')) {
        let mut wrong = |what: String| found.push(format!("{ASVS}:{}: {what}", number + 1));
        let Some((requirement, rest)) = line.split_once(": {state: ") else {
            wrong("not `Vx.y.z: {state: …}`".to_owned());
            continue;
        };
        if !requirements.insert(requirement.to_owned()) {
            wrong(format!("{requirement} stands twice"));
        }
        let state = rest.split([',', '}']).next().unwrap_or_default();
        let named = claims::in_requirement(line);
        match state {
            "met" if named.is_empty() => wrong(format!("{requirement} is met without a test")),
            "met" => {}
            "design" | "none" | "open" if rest.contains("note: \"") => {}
            "design" | "none" | "open" => wrong(format!("{requirement} is `{state}` without a note")),
            _ => wrong(format!("`{state}` is not met, design, none or open")),
        }
        for name in named.iter().filter(|name| !tests.contains(**name)) {
            wrong(format!("there is no test `{name}`"));
        }
    }
    if requirements.len() != ASVS_REQUIREMENTS {
        found.push(format!("{ASVS}: {} requirements of {ASVS_REQUIREMENTS}", requirements.len()));
    }
    Ok(())
}

/// Each claim names tests, as `name` in its last column; they must exist.
fn check_claims(tests: &HashSet<String>, found: &mut Vec<String>) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(CLAIMS).with_context(|| format!("{CLAIMS} could not be read"))?;
    for (number, line) in text.lines().enumerate().filter(|(_, line)| line.starts_with('|')) {
        let Some(cell) = line.trim_end_matches('|').rsplit('|').next() else { continue };
        let named = claims::in_row(line);
        let is_head = cell.contains("---") || cell.trim() == "Test";
        if named.is_empty() && !is_head {
            found.push(format!("{CLAIMS}:{}: a claim without a test", number + 1));
        }
        for name in named.iter().filter(|name| !tests.contains(**name)) {
            found.push(format!("{CLAIMS}:{}: there is no test `{name}`", number + 1));
        }
    }
    Ok(())
}
