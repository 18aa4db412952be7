//! The tasks themselves: other programs in the right order.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, bail, ensure};

use crate::claims::Reports;
use crate::{install, tidy};

/// Says what comes next; people wait for some of it.
pub(crate) fn step(what: &str) {
    println!("\n▶ {what}");
}

/// Runs a program to its end and fails if it fails.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    let name = format!("{command:?}");
    let status = command.status().with_context(|| format!("{name} could not be run"))?;
    if !status.success() {
        bail!("{name} failed");
    }
    Ok(())
}

fn cargo(arguments: &[&str]) -> anyhow::Result<()> {
    run(Command::new("cargo").args(arguments))
}

fn npm(arguments: &[&str]) -> anyhow::Result<()> {
    run(Command::new("npm").args(arguments).current_dir("web"))
}

/// The list itself is not kept: only what a server needs of it.
pub(crate) fn passwords(file: &Path) -> anyhow::Result<()> {
    run(Command::new("cargo")
        .args(["run", "--quiet", "-p", "cloud", "--example", "passwords", "--"])
        .arg(file))
}

pub(crate) fn up(arguments: &[String]) -> anyhow::Result<()> {
    build()?;
    step("Starting Lenskeep (Ctrl+C ends it)");
    run(Command::new("target/debug/lenskeep").arg("up").args(arguments))
}

pub(crate) fn build() -> anyhow::Result<()> {
    build_as(false)
}

/// The web app first: the cloud carries it inside.
pub(crate) fn build_as(is_release: bool) -> anyhow::Result<()> {
    install::build()?;
    web_app()?;
    let minutes = if is_release { "half an hour" } else { "ten minutes" };
    step(&format!("Building Lenskeep (the first time takes about {minutes} on two cores)"));
    let mut arguments = vec!["build", "--workspace", "--bins", "--locked"];
    arguments.extend(is_release.then_some("--release"));
    cargo(&arguments)
}

pub(crate) fn web_app() -> anyhow::Result<()> {
    step("Building the web app");
    npm(&["run", "build", "--silent"])
}

pub(crate) fn test() -> anyhow::Result<()> {
    let begun = Instant::now();
    install::test()?;
    let reports = Reports::cleared()?;
    step("Format");
    cargo(&["fmt", "--all", "--check"])?;
    step("Tidy");
    tidy::check()?;
    step("Web app: types, unit tests, build");
    npm(&["run", "check", "--silent"])?;
    let report = format!("--outputFile.junit={}", reports.web.display());
    npm(&["test", "--silent", "--", "--reporter=default", "--reporter=junit", &report])?;
    npm(&["run", "build", "--silent"])?;
    step("Build");
    cargo(&["build", "--workspace", "--all-targets", "--locked"])?;
    step("Lints");
    cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--quiet", "--", "-D", "warnings"])?;
    step("Unit and integration tests");
    cargo(&["nextest", "run", "--workspace", "--locked", "--no-fail-fast", "--status-level", "slow"])?;
    step("Browser tests, against the programs that were just built");
    let product = std::env::current_dir()?.join("target/debug/lenskeep");
    run(Command::new("npm")
        .args(["run", "e2e", "--silent"])
        .current_dir("web")
        .env("LENSKEEP_BIN", product)
        .env("E2E_REPORTERS", browser_reporters(&reports.browser)))?;
    step("Claims: did their tests run?");
    reports.check()?;
    println!("\nAll is well ({} min).", begun.elapsed().as_secs().div_ceil(60));
    Ok(())
}

/// For the person who waits, and for the check of the claims.
fn browser_reporters(report: &Path) -> String {
    let to = |reporter: &str, place: &str| {
        format!("--test-reporter={reporter} --test-reporter-destination={place}")
    };
    format!("{} {}", to("spec", "stdout"), to("junit", &report.display().to_string()))
}

pub(crate) fn sim(arguments: &[String]) -> anyhow::Result<()> {
    run(Command::new("cargo")
        .args(["run", "--quiet", "--locked", "-p", "sim", "--bin", "lenskeep-sim", "--"])
        .args(arguments))
}

pub(crate) fn openapi() -> anyhow::Result<()> {
    install::build()?;
    let output = Command::new("cargo")
        .args(["run", "--quiet", "--bin", "lenskeep-cloud", "--", "openapi"])
        .output()?;
    ensure!(
        output.status.success(),
        "lenskeep-cloud openapi failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    std::fs::write("docs/openapi.json", output.stdout)?;
    npm(&["run", "types", "--silent"])
}
