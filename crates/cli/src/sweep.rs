//! `lenskeep sweep`: what leaked into files, into a container of a store, and into the
//! settings of a camera. Without a device of its own, and offline but for those two.

mod camera;
mod container;

use std::fs::Metadata;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;

use ::sweep::journal::{Done, Journal};
use ::sweep::read::ReadAt;
use ::sweep::report::{Form, Report, Swept};
use ::sweep::source::{self, Entry};
use ::sweep::{
    Baseline, Defaults, Finding, Limits, Notice, Places, Rules, Severity, Sweep, Totals, Volume, baseline,
    count,
};
use anyhow::{Context as _, bail, ensure};
use camera::Unread;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use container::{Container, Failed};

use crate::output::print;
use crate::progress::Progress;

/// Something was found that counts; errors are 2, so that a check can tell them apart.
pub(crate) const FOUND: u8 = 1;
pub(crate) const FAILED: u8 = 2;
/// Nothing that counts, and not all that was named could be read.
const UNREAD: u8 = 3;

const EXIT_CODES: &str = "\
Exit codes:
  0  nothing found that counts, and all that was named was read
  1  something found of the severity of --fail-on or above (low, unless it is given),
     also if not all could be read
  2  an error: wrong arguments, rules or baseline, a sweep that broke off or was interrupted,
     nothing of what was named could be read, or the report could not be written
  3  nothing found that counts, but something that was named could not be read (missing,
     empty, refused by the system, encrypted as a whole, or of a kind that is not read); with
     --fail-on-unread, also if something inside was not read, or a card is encrypted";

/// Why what was named and is there counts as not read.
const NOTHING: &str = "there is nothing in it to read";

#[derive(clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Arguments {
    /// Files, folders and devices; `-` is standard input.
    #[arg(required_unless_present_any = ["camera", "container"])]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    camera: camera::Access,
    #[command(flatten)]
    container: container::Place,
    #[arg(long, default_value = "text", value_enum)]
    format: Format,
    /// Print secrets as they are.
    #[arg(long)]
    show_secrets: bool,
    /// Findings of this file are known, and not told of.
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Write a file in which all findings are known. Reasons and ends in the one that is
    /// there, and in that of --baseline, stay.
    #[arg(long, value_name = "FILE")]
    write_baseline: Option<PathBuf>,
    /// More rules, in this program's form, or that of Gitleaks or Kingfisher: a file, or a
    /// folder of such files. May be given several times.
    #[arg(long, value_name = "PATH")]
    rules: Vec<PathBuf>,
    /// Write into this file what is done, and go on from there if it is of a sweep that
    /// was ended. It holds no secrets, and is removed at the end.
    #[arg(long, value_name = "FILE", conflicts_with = "show_secrets")]
    resume: Option<PathBuf>,
    /// Exit with 1 only for findings of this severity or a higher one.
    #[arg(long, value_name = "SEVERITY", default_value = "low", value_parser = severity())]
    fail_on: Severity,
    /// Exit with 3 if anything was not read, also inside of what was named: what is
    /// encrypted, damaged, or beyond a limit. Links that are not followed do not count.
    #[arg(long)]
    fail_on_unread: bool,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Format {
    Text,
    Json,
    Sarif,
    Csv,
    Html,
}

pub(crate) fn severity() -> impl TypedValueParser<Value = Severity> {
    PossibleValuesParser::new(Severity::ALL.map(Severity::name))
        .map(|name| Severity::parse(&name).expect("one of the possible values"))
}

pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    match swept(arguments) {
        Ok(code) => code,
        Err(error) => {
            // It may name files and rules of others.
            eprintln!("error: {}", ::sweep::shown(&format!("{error:#}")));
            ExitCode::from(FAILED)
        }
    }
}

fn swept(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let rules = read_rules(&arguments.rules)?;
    // First, since they may ask for a password, and say what the journal is of.
    let container = arguments.container.open()?;
    let documents = camera::documents(&arguments.camera)?;
    let journal = match &arguments.resume {
        Some(path) => Some(journal(path, arguments, container.as_ref(), &rules)?),
        None => None,
    };
    let now = journal.as_ref().map_or_else(now, |journal| Ok(journal.now()))?;
    let folder = std::env::current_dir().context("this folder")?;
    let places = Places::new(&folder, &arguments.paths);
    let known = Known::read(arguments, &places, now)?;
    let named = named(arguments, &documents, container.as_ref());
    let sweep = Sweep { rules: &rules, limits: Limits::default(), now };
    let mut collected = Collected::new(&arguments.paths, journal)?;
    for (rule, why) in rules.left_out() {
        collected.skip_at(["rules".to_owned(), rule.clone()].into(), why.clone());
    }
    for path in &arguments.paths {
        collected.path(&sweep, path)?;
        if collected.progress.is_stopped() {
            break;
        }
    }
    for (name, document) in documents {
        match document {
            Ok(bytes) => {
                collected.input(&sweep, &name, None, &bytes);
            }
            Err(Unread { why, is_absent: true }) => collected.skip(&name, why),
            Err(Unread { why, .. }) => collected.failed(&name, why),
        }
    }
    let failed = container.and_then(|container| collected.container(&sweep, &container).err());
    collected.broke_off(failed.as_ref());
    let Collected { mut findings, mut volumes, skipped, totals, progress, journal, inside, failures, .. } =
        collected;
    progress.end();
    if progress.is_stopped() {
        eprintln!("interrupted: this is what was found until then");
    }
    let is_whole = failed.is_none() && !progress.is_stopped();
    let baseline = known.before.with(&findings, &volumes, failures.is_empty());
    findings.retain(|finding| !known.hides.knows(finding));
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    volumes.retain(|volume| !known.hides.knows_volume(volume));
    volumes.sort_by_key(|volume| std::cmp::Reverse(volume.severity()));
    let report = Report {
        findings: &findings,
        volumes: &volumes,
        skipped: &skipped,
        totals,
        show_secrets: arguments.show_secrets,
        is_whole: is_whole && failures.is_empty(),
        places: &places,
        swept: Swept { named: &named, at: now, is_interrupted: progress.is_stopped() },
    };
    let form = match arguments.format {
        Format::Text => Form::Text,
        Format::Json => Form::Json,
        Format::Sarif => Form::Sarif,
        Format::Csv => Form::Csv,
        Format::Html => Form::Html,
    };
    // Before anything that may fail: it took long to make.
    print(&report.write(form))?;
    if let Some(failed) = failed {
        return Err(failed.context("not everything was read"));
    }
    ensure!(
        is_whole,
        "not everything was read{}",
        match arguments.write_baseline {
            // It would forgive what was not read.
            Some(_) => ": no baseline is written of half a sweep",
            None => "",
        }
    );
    for (name, why) in &failures {
        eprintln!("not read: {}: {}", ::sweep::shown(name), ::sweep::shown(why));
    }
    ensure!(failures.is_empty() || totals.parts > 0, "nothing of what was named could be read");
    if let Some(path) = &arguments.write_baseline {
        baseline::save(path, &baseline).with_context(|| format!("{} was not written", path.display()))?;
    }
    if let Some(journal) = journal {
        journal.end().context("the journal could not be removed")?;
    }
    let severities = findings.iter().map(|finding| finding.severity);
    // Of volumes, `info` says that all is well.
    let open = volumes.iter().map(Volume::severity).filter(|severity| *severity > Severity::Info);
    let is_found = severities.chain(open).any(|severity| severity >= arguments.fail_on);
    let is_unread = !failures.is_empty() || arguments.fail_on_unread && inside > 0;
    Ok(match (is_found, is_unread) {
        (true, _) => ExitCode::from(FOUND),
        (_, true) => ExitCode::from(UNREAD),
        _ => ExitCode::SUCCESS,
    })
}

/// What is known already.
struct Known {
    /// Not told of.
    hides: Baseline,
    /// What a new baseline takes reasons and ends from.
    before: Baseline,
}

impl Known {
    /// Before the sweep, which may take long: what cannot be read or must not be
    /// overwritten is said at once.
    fn read(arguments: &Arguments, places: &Places, now: i64) -> anyhow::Result<Known> {
        let read = |path: &Path| -> anyhow::Result<Baseline> {
            let text = read_text(path, ::sweep::BASELINE_BYTES_MAX)?;
            Ok(Baseline::read(&text, now).with_context(|| path.display().to_string())?.at(places))
        };
        let hides = arguments.baseline.as_deref().map(read).transpose()?.unwrap_or_default();
        let mut before = Baseline::default().at(places);
        if let Some(path) = &arguments.write_baseline {
            match std::fs::metadata(path) {
                Ok(metadata) if metadata.is_file() && metadata.len() == 0 => {}
                Ok(metadata) if metadata.is_file() => {
                    before = read(path).context(
                        "--write-baseline overwrites nothing but a baseline; name another file, or remove this one",
                    )?;
                }
                Ok(_) => bail!("--write-baseline: {} is no regular file", path.display()),
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    let folder = path.parent().filter(|folder| *folder != Path::new(""));
                    if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
                        bail!("--write-baseline: there is no folder {}", folder.display());
                    }
                }
                Err(error) => return Err(error).with_context(|| path.display().to_string()),
            }
        }
        before.notes_of(&hides);
        Ok(Known { hides, before })
    }
}

/// What is swept, as it was named.
fn named(arguments: &Arguments, documents: &[camera::Read], container: Option<&Container>) -> Vec<String> {
    let paths = arguments.paths.iter().map(|path| path.to_string_lossy().into_owned());
    let camera = documents.first().and_then(|(name, _)| name.split_once(": "));
    let camera = camera.map(|(host, _)| format!("camera {host}"));
    let container = container.map(|container| format!("container {}", container.name()));
    paths.chain(camera).chain(container).collect()
}

struct Collected {
    findings: Vec<Finding>,
    volumes: Vec<Volume>,
    skipped: Vec<(Vec<String>, String)>,
    totals: Totals,
    /// Hashes that were tried, for all inputs together.
    defaults: Defaults,
    progress: Progress,
    journal: Option<Journal>,
    /// What is read, or was read last.
    input: String,
    /// What was skipped though somebody may have wanted it: no links, and no journal.
    inside: usize,
    /// What was named and could not be read, or what the system refused below it.
    failures: Vec<(String, String)>,
}

impl Collected {
    fn new(paths: &[PathBuf], journal: Option<Journal>) -> anyhow::Result<Self> {
        // One file says how long it is; of folders nobody knows before they are read.
        let bytes = match paths {
            [path] => std::fs::metadata(path).ok().filter(Metadata::is_file).map(|metadata| metadata.len()),
            _ => None,
        };
        let progress = Progress::of(bytes)?;
        let (findings, volumes, skipped, totals, defaults) = Default::default();
        Ok(Collected {
            findings,
            volumes,
            skipped,
            totals,
            defaults,
            progress,
            journal,
            input: String::new(),
            inside: 0,
            failures: Vec::new(),
        })
    }

    fn path(&mut self, sweep: &Sweep<'_>, path: &Path) -> anyhow::Result<()> {
        let named = path.to_string_lossy().into_owned();
        self.input.clone_from(&named);
        if path == Path::new("-") {
            let stop = self.progress.stop();
            let read = source::stdin(&|| stop.is_stopped()).context("standard input")?;
            let Some((bytes, cut)) = read else { return Ok(()) };
            if bytes.is_empty() {
                self.failed("-", NOTHING.to_owned());
                return Ok(());
            }
            if cut {
                self.failed("-", format!("longer than {} bytes", source::STDIN_MAX));
            }
            let totals = self.input(sweep, "-", None, &bytes);
            self.closed("-", totals);
            return Ok(());
        }
        let mut is_empty = true;
        let _ = source::walk(path, &mut |entry| {
            is_empty &= matches!(entry, Entry::Skipped { failed: false, .. });
            match entry {
                Entry::File { name, .. } if self.is_journal(&name) => {
                    self.skip(&name, "the journal of this sweep".to_owned());
                }
                Entry::File { name, source } => {
                    let totals = self.input(sweep, &name, source.state().as_deref(), &source);
                    if name == named {
                        self.closed(&name, totals);
                    }
                }
                Entry::Skipped { name, why, failed: true } => self.failed(&name, why),
                Entry::Skipped { name, why, .. } => {
                    self.inside += usize::from(why != source::LINK);
                    self.skip(&name, why);
                }
            }
            self.progress.go_on()
        });
        // A card that was not mounted is no clean card.
        if is_empty && !self.progress.is_stopped() {
            self.failed(&named, NOTHING.to_owned());
        }
        Ok(())
    }

    /// Says in the report, whatever its form, where it was ended before its end.
    fn broke_off(&mut self, failed: Option<&anyhow::Error>) {
        let input = std::mem::take(&mut self.input);
        if self.progress.is_stopped() {
            self.skip(
                &input,
                "interrupted: what was left of it and what comes after it was not read".to_owned(),
            );
        } else if let Some(error) = failed {
            self.skip(&input, format!("what comes after it was not read: {error:#}"));
        }
    }

    /// A file that was named itself, and of which nothing was seen but that it is closed.
    fn closed(&mut self, name: &str, totals: Totals) {
        if totals.parts <= 1 && totals.locked > 0 {
            self.failures.push((name.to_owned(), "encrypted, as far as can be seen".to_owned()));
        } else if totals.closed {
            self.failures.push((name.to_owned(), "encrypted, or not of a kind that is read".to_owned()));
        }
    }

    /// The blobs of a container. What was found until an error is told all the same.
    fn container(&mut self, sweep: &Sweep<'_>, container: &Container) -> anyhow::Result<()> {
        let place = container.name();
        self.input.clone_from(&place);
        let stop = self.progress.stop();
        container.each(&stop, |blob| {
            let name = format!("{place}/{}", blob.name);
            let state = container::state(&blob.etag, blob.bytes);
            if state.is_some_and(|state| self.known(&name, &state).is_some()) {
                return Ok(());
            }
            match container.read(&blob, &stop) {
                Ok((spool, state)) => {
                    self.input(sweep, &name, state.as_deref(), spool.source());
                }
                Err(Failed::Skip(why)) => self.failed(&name, why),
                Err(Failed::End(error)) => return Err(error.context(place.clone())),
            }
            Ok(())
        })
    }

    fn is_journal(&self, name: &str) -> bool {
        self.journal.as_ref().is_some_and(|journal| journal.is(Path::new(name)))
    }

    /// Somebody may have wanted it to be read, and it was not.
    fn failed(&mut self, name: &str, why: String) {
        self.failures.push((name.to_owned(), why.clone()));
        self.inside += 1;
        self.skip(name, why);
    }

    fn skip(&mut self, name: &str, why: String) {
        self.skip_at(vec![name.to_owned()], why);
    }

    fn skip_at(&mut self, chain: Vec<String>, why: String) {
        self.skipped.push((chain, why));
    }

    /// An input; `state` says what it holds, if it can be known again by that.
    fn input(&mut self, sweep: &Sweep<'_>, name: &str, state: Option<&str>, source: &dyn ReadAt) -> Totals {
        name.clone_into(&mut self.input);
        if let Some(totals) = state.and_then(|state| self.known(name, state)) {
            return totals;
        }
        let mut done = Done::default();
        let Done { findings, volumes, skipped, .. } = &mut done;
        let progress = &mut self.progress;
        let totals = sweep.input_with(&mut self.defaults, name, source, &mut |notice| {
            match notice {
                Notice::Found(finding) => {
                    findings.push(finding);
                    progress.found(1);
                }
                Notice::Volume(volume) => volumes.push(volume),
                Notice::Skipped { chain, why } => skipped.push((chain.to_vec(), why)),
                Notice::Read(bytes) => return progress.read(bytes),
                Notice::Part { .. } => {}
            }
            // Also within a container, which may be all there is.
            progress.go_on()
        });
        done.totals = totals;
        // One that broke off is read again, once the disk or the network is back.
        let is_whole = done.totals.read >= source.len() && !self.progress.is_stopped();
        if let Some(state) = state.filter(|_| is_whole) {
            self.note(name, state, &done);
        }
        if totals.failed > 0 {
            self.failures.push((name.to_owned(), "it could not be read to its end".to_owned()));
        }
        self.take(done);
        totals
    }

    /// What came of an input, if the journal knows, from where it is taken then.
    fn known(&mut self, name: &str, state: &str) -> Option<Totals> {
        let done = self.journal.as_mut().and_then(|journal| journal.take(name, state))?;
        self.progress.found(done.findings.len() as u64);
        let totals = done.totals;
        self.defaults.spent(totals.rounds);
        self.take(done);
        Some(totals)
    }

    fn note(&mut self, name: &str, state: &str, done: &Done) {
        let Some(journal) = &mut self.journal else { return };
        if let Err(error) = journal.put(name, state, done) {
            self.progress.say(&format!("{name:?} is not in the journal, and would be read again: {error}"));
        }
    }

    fn take(&mut self, done: Done) {
        let Done { findings, volumes, skipped, totals } = done;
        self.progress.done(totals.read);
        self.findings.extend(findings);
        self.volumes.extend(volumes);
        self.inside += skipped.iter().filter(|(_, why)| why != source::LINK).count();
        self.inside += usize::try_from(totals.unread).unwrap_or(usize::MAX);
        self.skipped.extend(skipped);
        // A journal says what it likes.
        let Totals { read, unpacked, parts, .. } = &mut self.totals;
        *read = read.saturating_add(totals.read);
        *unpacked = unpacked.saturating_add(totals.unpacked);
        *parts = parts.saturating_add(totals.parts);
    }
}

/// Of all files of rules, in bytes.
const ALL_RULES_BYTES_MAX: usize = 64 << 20;

/// Files of rules, and files of folders of them.
fn read_rules(paths: &[PathBuf]) -> anyhow::Result<Rules> {
    let (mut texts, mut bytes) = (Vec::new(), 0);
    for path in paths {
        let mut files = vec![path.clone()];
        if path.is_dir() {
            let name = || path.display().to_string();
            let entries = std::fs::read_dir(path).with_context(name)?.map(|entry| Ok(entry?.path()));
            files = entries.collect::<std::io::Result<_>>().with_context(name)?;
            let is_rules = |path: &PathBuf| {
                path.extension().is_some_and(|is| is == "toml" || is == "yml" || is == "yaml")
            };
            // A pipe would be waited for.
            files.retain(|path| is_rules(path) && path.is_file());
            files.sort();
            ensure!(!files.is_empty(), "{} holds no files of rules (.toml, .yml, .yaml)", path.display());
        }
        ensure!(files.len() <= ::sweep::rules::RULES_MAX, "{} holds too many files", path.display());
        for file in files {
            let text = read_text(&file, ::sweep::rules::RULES_BYTES_MAX)?;
            bytes += text.len();
            ensure!(bytes <= ALL_RULES_BYTES_MAX, "{} holds too much", path.display());
            texts.push((file.display().to_string(), text));
        }
    }
    Ok(Rules::with_files(texts.iter().map(|(name, text)| (name.as_str(), text.as_str())))?)
}

/// Of the same inputs in the same folder, with the same rules.
fn journal(
    path: &Path,
    arguments: &Arguments,
    container: Option<&Container>,
    rules: &Rules,
) -> anyhow::Result<Journal> {
    ensure!(
        !arguments.paths.iter().any(|path| path == Path::new("-")),
        "standard input cannot be read again: no --resume"
    );
    let folder = std::env::current_dir().context("this folder")?.to_string_lossy().into_owned();
    let mut of = vec![folder];
    of.extend(arguments.paths.iter().map(|path| path.to_string_lossy().into_owned()));
    of.extend(container.map(|container| format!("container {}", container.name())));
    let of: Vec<&str> = of.iter().map(String::as_str).collect();
    let journal = Journal::open(path, &of, rules, now()?).with_context(|| path.display().to_string())?;
    if journal.inputs() > 0 {
        eprintln!("going on: {} done", count(journal.inputs() as u64, "input is", "inputs are"));
    }
    Ok(journal)
}

/// Seconds since 1970.
pub(crate) fn now() -> anyhow::Result<i64> {
    Ok(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).context("the clock")?.as_secs() as i64)
}

/// A file of at most `max` bytes.
pub(crate) fn read(path: &Path, max: u64) -> anyhow::Result<Vec<u8>> {
    let name = || path.display().to_string();
    let file = std::fs::File::open(path).with_context(name)?;
    let mut bytes = Vec::new();
    // Devices and pipes say nothing of their length.
    file.take(max + 1).read_to_end(&mut bytes).with_context(name)?;
    ensure!(bytes.len() as u64 <= max, "{} is longer than {max} bytes", path.display());
    Ok(bytes)
}

fn read_text(path: &Path, max: u64) -> anyhow::Result<String> {
    String::from_utf8(read(path, max)?).with_context(|| path.display().to_string())
}
