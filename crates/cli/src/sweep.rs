//! `lenskeep sweep`: what leaked into files, and into the settings of a camera. Without
//! a device of its own, and offline but for that camera.

mod camera;

use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;

use ::sweep::report::{Form, Report};
use ::sweep::source::{self, Entry};
use ::sweep::{Baseline, Finding, Limits, Notice, Rules, Severity, Sweep, Totals};
use anyhow::{Context as _, ensure};

use crate::progress::Progress;

/// Something was found that counts; errors are 2, so that a check can tell them apart.
pub(crate) const FOUND: u8 = 1;
pub(crate) const FAILED: u8 = 2;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Files, folders and devices; `-` is standard input.
    #[arg(required_unless_present = "camera")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    camera: camera::Access,
    #[arg(long, default_value = "text", value_enum)]
    format: Format,
    /// Print secrets as they are.
    #[arg(long)]
    show_secrets: bool,
    /// Findings of this file are known, and not told of.
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Write a file in which all findings are known.
    #[arg(long, value_name = "FILE")]
    write_baseline: Option<PathBuf>,
    /// More rules, in this program's form or that of Gitleaks.
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,
    /// Exit with 1 only for findings of this severity or a higher one.
    #[arg(long, value_name = "SEVERITY", default_value = "low", value_parser = severity)]
    fail_on: Severity,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Format {
    Text,
    Json,
    Sarif,
    Csv,
    Html,
}

pub(crate) fn severity(name: &str) -> Result<Severity, String> {
    Severity::parse(name).ok_or_else(|| "info, low, medium, high or critical".to_owned())
}

pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    match swept(arguments) {
        Ok(false) => ExitCode::SUCCESS,
        Ok(true) => ExitCode::from(FOUND),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(FAILED)
        }
    }
}

/// Whether something was found that counts.
fn swept(arguments: &Arguments) -> anyhow::Result<bool> {
    let rules = match &arguments.rules {
        Some(path) => Rules::with_file(&read_text(path, ::sweep::rules::RULES_BYTES_MAX)?)?,
        None => Rules::built_in(),
    };
    let now = now()?;
    let baseline = match &arguments.baseline {
        Some(path) => Baseline::read(&read_text(path, ::sweep::BASELINE_BYTES_MAX)?, now)?,
        None => Baseline::default(),
    };
    let sweep = Sweep { rules: &rules, limits: Limits::default(), now };
    // First, since it may ask for a password.
    let documents = camera::documents(&arguments.camera)?;
    let mut collected = Collected::new(&arguments.paths)?;
    for path in &arguments.paths {
        collected.path(&sweep, path)?;
    }
    for (name, document) in documents {
        match document {
            Ok(bytes) => collected.input(&sweep, &name, &bytes),
            Err(why) => collected.skip(&name, why),
        }
    }
    let Collected { mut findings, skipped, totals, progress } = collected;
    progress.end();
    if progress.is_stopped() {
        // What was found is told, and a baseline would forgive what was not read.
        ensure!(arguments.write_baseline.is_none(), "interrupted: no baseline is written of half a sweep");
        eprintln!("interrupted: this is what was found until then");
    }
    if let Some(path) = &arguments.write_baseline {
        std::fs::write(path, Baseline::write(&findings)).with_context(|| path.display().to_string())?;
    }
    findings.retain(|finding| !baseline.knows(finding));
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    let report =
        Report { findings: &findings, skipped: &skipped, totals, show_secrets: arguments.show_secrets };
    let form = match arguments.format {
        Format::Text => Form::Text,
        Format::Json => Form::Json,
        Format::Sarif => Form::Sarif,
        Format::Csv => Form::Csv,
        Format::Html => Form::Html,
    };
    print!("{}", report.write(form));
    ensure!(!progress.is_stopped(), "not everything was read");
    Ok(findings.iter().any(|finding| finding.severity >= arguments.fail_on))
}

struct Collected {
    findings: Vec<Finding>,
    skipped: Vec<(Vec<String>, String)>,
    totals: Totals,
    progress: Progress,
}

impl Collected {
    fn new(paths: &[PathBuf]) -> anyhow::Result<Self> {
        // One file says how long it is; of folders nobody knows before they are read.
        let bytes = match paths {
            [path] => std::fs::metadata(path).ok().filter(Metadata::is_file).map(|metadata| metadata.len()),
            _ => None,
        };
        let progress = Progress::of(bytes)?;
        Ok(Collected { findings: Vec::new(), skipped: Vec::new(), totals: Totals::default(), progress })
    }

    fn path(&mut self, sweep: &Sweep<'_>, path: &Path) -> anyhow::Result<()> {
        if path == Path::new("-") {
            let (bytes, cut) = source::stdin().context("standard input")?;
            if cut {
                self.skip("-", format!("longer than {} bytes", source::STDIN_MAX));
            }
            self.input(sweep, "-", &bytes);
            return Ok(());
        }
        // What is not there at all was a slip of the pen, and no clean result.
        std::fs::symlink_metadata(path).with_context(|| path.display().to_string())?;
        let _ = source::walk(path, &mut |entry| {
            match entry {
                Entry::File { name, source } => self.input(sweep, &name, &source),
                Entry::Skipped { name, why } => self.skip(&name, why),
            }
            self.progress.go_on()
        });
        Ok(())
    }

    fn skip(&mut self, name: &str, why: String) {
        self.skipped.push((vec![name.to_owned()], why));
    }

    fn input(&mut self, sweep: &Sweep<'_>, name: &str, source: &dyn ::sweep::read::ReadAt) {
        let totals = sweep.input(name, source, &mut |notice| {
            match notice {
                Notice::Found(finding) => {
                    self.findings.push(finding);
                    self.progress.found();
                }
                Notice::Skipped { chain, why } => self.skipped.push((chain.to_vec(), why)),
                Notice::Read(bytes) => return self.progress.read(bytes),
                Notice::Part { .. } => {}
            }
            // Also within a container, which may be all there is.
            self.progress.go_on()
        });
        self.progress.done(totals.read);
        self.totals.read += totals.read;
        self.totals.unpacked += totals.unpacked;
        self.totals.parts += totals.parts;
    }
}

/// Seconds since 1970.
pub(crate) fn now() -> anyhow::Result<i64> {
    Ok(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).context("the clock")?.as_secs() as i64)
}

/// A file of at most `max` bytes.
pub(crate) fn read(path: &Path, max: u64) -> anyhow::Result<Vec<u8>> {
    let name = || path.display().to_string();
    let len = std::fs::metadata(path).with_context(name)?.len();
    ensure!(len <= max, "{} is longer than {max} bytes", path.display());
    std::fs::read(path).with_context(name)
}

fn read_text(path: &Path, max: u64) -> anyhow::Result<String> {
    String::from_utf8(read(path, max)?).with_context(|| path.display().to_string())
}
