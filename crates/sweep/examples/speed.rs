//! How fast files are swept: `cargo run --release -p sweep --example speed -- FILE…`.

use std::ops::ControlFlow;
use std::time::Instant;

use sweep::read::FileSource;
use sweep::{Limits, Notice, Rules, Sweep};

#[expect(clippy::print_stdout, reason = "it is there to print")]
fn main() -> std::io::Result<()> {
    let began = Instant::now();
    let rules = Rules::built_in();
    println!("rules: {:?}", began.elapsed());
    let sweep = Sweep { rules: &rules, limits: Limits::default(), now: 1_795_824_000 };
    for path in std::env::args().skip(1) {
        let source = FileSource::new(std::fs::File::open(&path)?)?;
        let began = Instant::now();
        let mut found = std::collections::BTreeMap::new();
        let totals = sweep.input(&path, &source, &mut |notice| {
            if let Notice::Found(finding) = notice {
                *found.entry(finding.rule.id.clone()).or_insert(0) += 1;
            }
            ControlFlow::Continue(())
        });
        let seconds = began.elapsed().as_secs_f64();
        println!("{path}: {:.2} GB/s, {totals:?}, {found:?}", totals.read as f64 / seconds / 1e9);
    }
    Ok(())
}
