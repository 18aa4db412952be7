//! `cargo xtask`: everything that is done with this repository. Each task
//! installs what it misses, saying what it does.

#![expect(clippy::print_stdout, reason = "tasks talk to the person who runs them")]

mod bench;
mod claims;
mod dist;
mod install;
mod tasks;
mod tidy;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Build, run, test and measure Lenskeep")]
enum Task {
    /// Build everything and start it on this machine.
    Up {
        /// For `lenskeep up`: --data DIR, --listen ADDR, --no-demo.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Format, lints, tidy, unit, integration and browser tests.
    Test,
    /// The repository's own rules: links, claims, lengths.
    Tidy,
    /// Figures of this machine, beside a peer's in the same run.
    Bench(bench::Options),
    /// Simulate sites with everything that goes wrong, and count what is lost.
    Sim {
        /// For the simulation: --hours N, --seed S, --site-hours H, --from S.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Make Debian packages and an archive of the programs, with checksums.
    Dist(dist::Options),
    /// Write docs/openapi.json and the page's types from it.
    Openapi,
    /// Make the filter of common passwords (crates/cloud/data/README.md).
    Passwords {
        /// One password a line.
        file: std::path::PathBuf,
    },
    #[command(subcommand)]
    Install(Install),
}

/// Install what a task needs, without running it.
#[derive(Subcommand)]
enum Install {
    Build,
    Test,
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("\n✗ {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<()> {
    let task = Task::parse();
    let task = match task {
        // Before the folder changes under a relative path.
        Task::Passwords { file } => Task::Passwords { file: std::path::absolute(file)? },
        Task::Dist(mut options) => {
            options.binaries = options.binaries.map(std::path::absolute).transpose()?;
            options.out = options.out.map(std::path::absolute).transpose()?;
            Task::Dist(options)
        }
        task => task,
    };
    std::env::set_current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))?;
    match task {
        Task::Up { arguments } => tasks::up(&arguments),
        Task::Test => tasks::test(),
        Task::Tidy => tidy::check(),
        Task::Bench(options) => bench::measure(&options),
        Task::Dist(options) => dist::make(options),
        Task::Sim { arguments } => tasks::sim(&arguments),
        Task::Openapi => tasks::openapi(),
        Task::Passwords { file } => tasks::passwords(&file),
        Task::Install(Install::Build) => install::build(),
        Task::Install(Install::Test) => install::test(),
    }
}
