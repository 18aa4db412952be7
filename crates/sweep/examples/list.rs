//! What is found in files and folders, one finding a line, for counting false ones:
//! `cargo run --release -p sweep --example list -- PATH…`. It shows secrets.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use sweep::read::FileSource;
use sweep::{Limits, Notice, Rules, Sweep};

#[expect(clippy::print_stdout, reason = "it is there to print")]
fn main() {
    let rules = Rules::built_in();
    let sweep = Sweep { rules: &rules, limits: Limits::default(), now: 1_795_824_000 };
    let (mut read, mut files) = (0, 0);
    let mut paths: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    while let Some(path) = paths.pop() {
        if path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            paths.extend(std::fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.path()));
            continue;
        }
        if let Some(source) = open(&path) {
            files += 1;
            read += sweep.input(&path.to_string_lossy(), &source, &mut tell).read;
        }
    }
    println!("{read} bytes of {files} files");
}

fn open(path: &Path) -> Option<FileSource> {
    let file = std::fs::File::open(path).ok()?;
    file.metadata().ok()?.is_file().then(|| FileSource::new(file).ok()).flatten()
}

#[expect(clippy::print_stdout, reason = "it is there to print")]
fn tell(notice: Notice<'_>) -> ControlFlow<()> {
    if let Notice::Volume(volume) = &notice {
        let facts = volume.facts().join("; ");
        println!("{}\t{}\t{}: {facts}", volume.rule(), volume.severity().name(), volume.title());
    }
    if let Notice::Found(finding) = notice {
        let secret = String::from_utf8_lossy(finding.secret.reveal()).into_owned();
        let start: String = secret.chars().take(60).collect();
        let name = finding.location.parameter.as_deref().unwrap_or("-");
        println!(
            "{}\t{}\t{start:?}\t{name}\t{}",
            finding.rule.id,
            finding.severity.name(),
            finding.location.chain.join("/")
        );
    }
    ControlFlow::Continue(())
}
