//! `lenskeep-sim`: simulated sites, many after one another, and what went wrong.

#![expect(clippy::print_stdout, reason = "a program that reports")]

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;

#[derive(Parser)]
#[command(name = "lenskeep-sim", about = "Simulates sites with everything that goes wrong")]
struct Arguments {
    /// Hours of site time, in all.
    #[arg(long, default_value_t = 24)]
    hours: u64,
    /// One site alone, to see again what went wrong.
    #[arg(long)]
    seed: Option<u64>,
    /// Hours of one site.
    #[arg(long, default_value_t = 24)]
    site_hours: u64,
    /// First seed.
    #[arg(long, default_value_t = 1)]
    from: u64,
}

#[expect(clippy::disallowed_methods, reason = "how fast it was, for the person who runs it")]
fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let sites = arguments.hours.div_ceil(arguments.site_hours.max(1)).max(1);
    let seeds = match arguments.seed {
        Some(seed) => seed..seed + 1,
        None => arguments.from..arguments.from + sites,
    };
    let begun = Instant::now();
    let (mut simulated_ms, mut faults, mut bad) = (0, BTreeMap::<String, u64>::new(), 0);
    let (mut accepted, mut missing) = (0, 0);
    for seed in seeds {
        let run = sim::run(seed, arguments.site_hours);
        simulated_ms += run.simulated_ms;
        accepted += run.tally.accepted;
        missing += run.tally.told_missing;
        for (fault, times) in run.faults {
            *faults.entry(fault).or_default() += times;
        }
        println!(
            "seed {seed}: {} units accepted, {} of them told missing, {} recordings, {} gaps, {} violations",
            run.tally.accepted,
            run.tally.told_missing,
            run.tally.recordings,
            run.tally.gaps,
            run.tally.violations.len()
        );
        if arguments.seed.is_some() {
            for (at, what) in &run.log {
                println!("  {} {what}", at.0);
            }
        }
        for violation in &run.tally.violations {
            println!("  {violation}");
        }
        if !run.tally.violations.is_empty() {
            bad += 1;
            println!("  again: cargo xtask sim --seed {seed} --site-hours {}", arguments.site_hours);
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    println!(
        "{:.1} site-days in {seconds:.1} s, {:.0} times real time; {accepted} units, {missing} told missing; {} classes of fault: {}",
        simulated_ms as f64 / 86_400_000.0,
        simulated_ms as f64 / 1_000.0 / seconds,
        faults.len(),
        faults.iter().map(|(fault, times)| format!("{fault} {times}")).collect::<Vec<_>>().join(", ")
    );
    if bad == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
