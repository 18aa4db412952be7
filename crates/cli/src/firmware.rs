//! `lenskeep firmware`: what a vendor's image brings. Offline, and without a device of
//! its own.

use std::fs::File;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use ::sweep::firmware::{
    self, ADVISORY_BYTES_MAX, Advisories, Comparison, Product, REPORT_BYTES_MAX, Report,
};
use ::sweep::read::{FileSource, ReadAt as _};
use ::sweep::report::pretty;
use ::sweep::source::{self, Entry};
use ::sweep::{Limits, Rules, Severity, Sweep, count, shown};
use anyhow::{Context as _, ensure};

use crate::output::print;
use crate::progress::Progress;
use crate::sweep::{FAILED, FOUND, now, read, severity};

#[derive(clap::Subcommand)]
pub(crate) enum FirmwareCommand {
    /// Unpack an image and report its accounts, keys, services, programs, components and
    /// what is known to be vulnerable. Exits with 0 if nothing counts, 1 if something
    /// does, 2 on errors.
    Audit(AuditArguments),
    /// What is other in the newer of two reports that `audit --format json` wrote.
    Compare {
        older: PathBuf,
        newer: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

#[derive(clap::Args)]
pub(crate) struct AuditArguments {
    /// An image, a package of one, or a device.
    image: PathBuf,
    /// Whose it is. If none of the three is said, the image may say them itself.
    #[arg(long)]
    vendor: Option<String>,
    #[arg(long)]
    model: Option<String>,
    /// The version that the vendor gives the image.
    #[arg(long = "firmware-version", value_name = "VERSION")]
    version: Option<String>,
    /// Files of advisories, or folders of them: CSAF 2.0, the KEV catalogue, CVE records,
    /// and answers of the NVD.
    #[arg(long, value_name = "PATH")]
    advisories: Vec<PathBuf>,
    #[arg(long, default_value = "text", value_enum)]
    format: Format,
    /// Exit with 1 only for what has this severity or a higher one.
    #[arg(long, value_name = "SEVERITY", default_value = "high", value_parser = severity())]
    fail_on: Severity,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Format {
    Text,
    /// The report that is kept, and compared.
    Json,
    Html,
    /// The components, as a bill of materials.
    Cyclonedx,
}

pub(crate) fn run(command: &FirmwareCommand) -> ExitCode {
    let done = match command {
        FirmwareCommand::Audit(arguments) => audit(arguments),
        FirmwareCommand::Compare { older, newer, json } => compare(older, newer, *json).map(|()| false),
    };
    match done {
        Ok(false) => ExitCode::SUCCESS,
        Ok(true) => ExitCode::from(FOUND),
        Err(error) => {
            eprintln!("error: {}", shown(&format!("{error:#}")));
            ExitCode::from(FAILED)
        }
    }
}

/// Whether something was found that counts.
fn audit(arguments: &AuditArguments) -> anyhow::Result<bool> {
    let name = arguments.image.display().to_string();
    let file = File::open(&arguments.image).with_context(|| name.clone())?;
    let kind = file.metadata().with_context(|| name.clone())?.file_type();
    ensure!(
        !kind.is_dir(),
        "{name} is a folder; an audit reads one image, and `lenskeep sweep` reads folders"
    );
    let image = FileSource::new(file).with_context(|| name.clone())?;
    let product = Product {
        vendor: arguments.vendor.clone(),
        model: arguments.model.clone(),
        version: arguments.version.clone(),
    };
    let rules = Rules::built_in();
    let sweep = Sweep { rules: &rules, limits: Limits::default(), now: now()? };
    let progress = Progress::of(Some(image.len()))?;
    let mut report = firmware::audit(&sweep, (&name, &image), product, |read| progress.read(read));
    progress.end();
    ensure!(!progress.is_stopped(), "interrupted: half an audit says nothing about the other half");
    judge(&arguments.advisories, &mut report)?;
    let text = match arguments.format {
        Format::Text => report.text(),
        Format::Json => report.json(),
        Format::Html => report.html(),
        Format::Cyclonedx => pretty(&report.cyclonedx()),
    };
    print(&text)?;
    Ok(report.worst().is_some_and(|worst| worst >= arguments.fail_on))
}

/// Reads all advisories, and says how many.
fn judge(paths: &[PathBuf], report: &mut Report) -> anyhow::Result<()> {
    let mut advisories = Advisories::of(report);
    let (mut files, mut entries) = (0_u64, 0_usize);
    for path in paths {
        std::fs::symlink_metadata(path).with_context(|| path.display().to_string())?;
        let mut failed = None;
        let _ = source::walk(path, &mut |entry| {
            let read = match entry {
                Entry::File { name, .. } if !name.ends_with(".json") && path.is_dir() => {
                    return ControlFlow::Continue(());
                }
                Entry::File { name, .. } => read(Path::new(&name), ADVISORY_BYTES_MAX)
                    .and_then(|json| advisories.read(&name, &json).with_context(|| name.clone())),
                Entry::Skipped { name, why, .. } => Err(anyhow::anyhow!("{name}: {why}")),
            };
            match read {
                Ok(imported) => (files, entries) = (files + 1, entries + imported.entries),
                // A folder may hold other JSON; a file that was named must be read.
                Err(error) if path.is_dir() => eprintln!("left out: {}", shown(&format!("{error:#}"))),
                Err(error) => {
                    failed = Some(error);
                    return ControlFlow::Break(());
                }
            }
            ControlFlow::Continue(())
        });
        if let Some(error) = failed {
            return Err(error);
        }
    }
    advisories.finish();
    if !paths.is_empty() {
        eprintln!(
            "compared with {} of {} of advisories",
            count(entries as u64, "vulnerability", "vulnerabilities"),
            count(files, "file", "files")
        );
    }
    Ok(())
}

fn compare(older: &Path, newer: &Path, json: bool) -> anyhow::Result<()> {
    let report = |path: &Path| -> anyhow::Result<Report> {
        let json = read(path, REPORT_BYTES_MAX)?;
        Report::read(&json).with_context(|| path.display().to_string())
    };
    let comparison = Comparison::of(&report(older)?, &report(newer)?);
    print(&if json { pretty(&comparison) } else { comparison.text() })
}
