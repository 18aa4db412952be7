//! How fast files and folders are swept, in processor time, and the most memory that it
//! took: `cargo run --release -p sweep --example speed -- PATH…`.

use std::fs::read_to_string;
use std::io;
use std::ops::ControlFlow;
use std::path::Path;

use sweep::source::{Entry, walk};
use sweep::{Limits, Notice, Rules, Sweep, Totals};

/// Processor time of this thread, in seconds.
fn seconds() -> io::Result<f64> {
    let text = read_to_string("/proc/thread-self/schedstat")?;
    let nanoseconds = text.split_whitespace().next().and_then(|number| number.parse::<u64>().ok());
    Ok(nanoseconds.ok_or(io::ErrorKind::InvalidData)? as f64 / 1e9)
}

#[expect(clippy::print_stdout, reason = "it is there to print")]
fn main() -> io::Result<()> {
    let rules = Rules::built_in();
    println!("rules: {:.1} ms", seconds()? * 1e3);
    let sweep = Sweep { rules: &rules, limits: Limits::default(), now: 1_795_824_000 };
    for path in std::env::args().skip(1) {
        let before = seconds()?;
        let mut all = Totals::default();
        let _ = walk(Path::new(&path), &mut |entry| {
            if let Entry::File { name, source } = entry {
                let totals = sweep.input(&name, &source, &mut |notice: Notice<'_>| {
                    drop(notice);
                    ControlFlow::Continue(())
                });
                all.read += totals.read;
                all.unpacked += totals.unpacked;
                all.worked += totals.worked;
                all.decoded += totals.decoded;
                all.searched += totals.searched;
                all.parts += totals.parts;
                all.findings += totals.findings;
                all.skipped += totals.skipped;
            }
            ControlFlow::Continue(())
        });
        let took = seconds()? - before;
        let speed = |bytes: u64| bytes as f64 / took / 1e6;
        let (read, with_unpacked) = (speed(all.read), speed(all.read + all.unpacked));
        println!(
            "{path}: {took:.2} s, {read:.0} MB/s, with what was unpacked {with_unpacked:.0} MB/s, {all:?}"
        );
    }
    let status = read_to_string("/proc/self/status")?;
    println!("{}", status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default());
    Ok(())
}
