//! What other programs of the kind find in the planted corpus, the sweep finds, too; or
//! the difference stands here with its reason. They ask no network.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use sweep::{Finding, Rules};

use crate::planted::corpus;
use crate::sweep;

/// What a program tells of: the document, the line from one, and as what.
struct Told {
    file: String,
    line: usize,
    what: String,
}

/// Kinds of documents in which detect-secrets tells of what the sweep does not, as what
/// it does so, and why that is right or not mended.
const ONLY_DETECT_SECRETS: &[(&str, &str, &str)] = &[
    ("wireguard", "Base64 High Entropy String", "the public key of a peer"),
    ("putty", "Private Key", "the first line of a file whose key stands further below, and is found there"),
    ("twilio", "Twilio API Key", "the name of an account, and no secret; the token beside it is found"),
    // Missed:
    ("zabbix psk", "Hex High Entropy String", "nothing in the line says what it is"),
    ("stunnel psk", "Hex High Entropy String", "nothing in the line says what it is"),
    ("xml with attributes", "Secret Keyword", "a password with `%s` in it is taken for a format"),
];

/// The same of Kingfisher: none.
const ONLY_KINGFISHER: &[(&str, &str, &str)] = &[];

fn installed(name: &str, variable: &str) -> PathBuf {
    let cache = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.cache").join(name);
    let folder = std::env::var_os(variable).map_or(cache, PathBuf::from);
    assert!(
        folder.exists(),
        "{name} is not on this machine: cargo xtask install test (or name its folder in {variable})"
    );
    folder.canonicalize().expect("a folder")
}

/// Runs it in a folder with the corpus, and compares.
fn compare(least: usize, only: &[(&str, &str, &str)], run: impl Fn(&Path) -> Vec<Told>) {
    let rules = Rules::built_in();
    let folder = tempfile::tempdir().expect("a folder");
    let corpus: HashMap<String, (&str, String)> = corpus()
        .enumerate()
        .map(|(number, (kind, text))| {
            let name = format!("{number}.txt");
            std::fs::write(folder.path().join(&name), &text).expect("a file");
            (name, (kind, text))
        })
        .collect();
    let told = run(folder.path());
    assert!(told.len() >= least, "it looks as if it had not worked: {} findings", told.len());
    let mut different = Vec::new();
    for Told { file, line, what } in &told {
        let (kind, text) = &corpus[file];
        let (found, _) = sweep(&rules, text.as_bytes());
        let is_listed = only.iter().any(|(of, as_what, _)| of == kind && as_what == what);
        let there = text.split('\n').nth(line - 1).unwrap_or_default();
        if !is_listed && !found.iter().any(|finding| is_in(finding, *line, there)) {
            different.push(format!("{kind}, {what}: {there:?}"));
        }
    }
    different.sort();
    different.dedup();
    assert!(different.is_empty(), "{}", different.join("\n"));
}

/// Whether a finding stands in this line, or goes over it.
fn is_in(finding: &Finding, line: usize, there: &str) -> bool {
    let secret = String::from_utf8_lossy(finding.secret.reveal()).into_owned();
    let lines = secret.matches('\n').count();
    let over = finding.location.line.is_some_and(|first| {
        let first = first as usize;
        (first..=first + lines).contains(&line)
    });
    over || there.contains(&secret)
}

#[test]
fn what_detect_secrets_finds_is_found() {
    let packages = installed("detect-secrets", "LENSKEEP_TEST_DETECT_SECRETS");
    compare(800, ONLY_DETECT_SECRETS, |folder| {
        let output = Command::new("python3")
            .args(["-m", "detect_secrets", "scan", "--all-files", "--no-verify", "."])
            .current_dir(folder)
            .env("PYTHONPATH", &packages)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .output()
            .expect("python3 runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let files = report["results"].as_object().expect("files");
        let each = files
            .iter()
            .flat_map(|(file, found)| found.as_array().into_iter().flatten().map(move |one| (file, one)));
        each.map(|(file, one)| Told {
            file: file.trim_start_matches("./").to_owned(),
            line: one["line_number"].as_u64().expect("a line") as usize,
            what: one["type"].as_str().expect("a kind").to_owned(),
        })
        .collect()
    });
}

#[test]
fn what_kingfisher_finds_is_found() {
    let packages = installed("kingfisher", "LENSKEEP_TEST_KINGFISHER");
    let program = packages.join("kingfisher/bin/kingfisher");
    compare(200, ONLY_KINGFISHER, |folder| {
        let output = Command::new(&program)
            .args([
                "scan",
                ".",
                "--no-validate",
                "--no-update-check",
                "--git-history",
                "none",
                "--format",
                "json",
            ])
            .current_dir(folder)
            // Where it keeps a database of its rules, which takes it seconds to make.
            .env("HOME", &packages)
            .env("XDG_CACHE_HOME", packages.join("database"))
            .output()
            .expect("kingfisher runs");
        // Totals follow in a line of their own.
        let first = serde_json::Deserializer::from_slice(&output.stdout).into_iter::<Value>().next();
        let report = first.expect("a report").expect("JSON");
        let found = report["findings"].as_array().expect("findings");
        let told = found.iter().map(|one| Told {
            file: one["finding"]["path"].as_str().expect("a path").trim_start_matches("./").to_owned(),
            line: one["finding"]["line"].as_u64().expect("a line") as usize,
            what: one["rule"]["id"].as_str().expect("a rule").to_owned(),
        });
        told.collect()
    });
}
