//! `lenskeep-cloud`: the cloud server's command line.

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use cloud::Config;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

#[derive(Parser)]
#[command(
    name = "lenskeep-cloud",
    version,
    about = "The cloud of Lenskeep: API, web app, relay and storage keeper"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve until told to stop
    Run(Configured),
    /// Bring the database to this version's schema, and stop
    Migrate(Configured),
    /// Read the configuration, ask database and store, and say what is wrong
    Check(Configured),
    /// Print the key that this server signs with as a witness of others' histories
    WitnessKey(Configured),
    /// Print the OpenAPI document of the viewers' API
    Openapi,
}

#[derive(clap::Args)]
struct Configured {
    /// Configuration file (TOML); without it, the defaults
    #[arg(long, value_name = "FILE", env = "LENSKEEP_CLOUD_CONFIG")]
    config: Option<PathBuf>,
}

impl Configured {
    fn read(&self) -> anyhow::Result<Config> {
        self.config.as_deref().map_or_else(|| Ok(Config::default()), Config::read)
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let command = Arguments::parse().command;
    log_to_stderr();
    let result = match command {
        Command::Run(configured) => run(configured).await,
        Command::Migrate(configured) => migrate(configured).await,
        Command::Check(configured) => check(configured).await,
        Command::WitnessKey(configured) => witness_key(&configured),
        Command::Openapi => print(&cloud::openapi()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(configured: Configured) -> anyhow::Result<()> {
    let running = cloud::start(configured.read()?).await?;
    if let Some(token) = &running.set_up_token {
        // Not logged: logs are kept, and this makes the first administrator.
        print(&format!("Set up your organisation: {}setup#token={}\n", running.public_url, token.expose()))?;
    }
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be caught")?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted.context("Ctrl-C cannot be caught")?,
        _ = terminate.recv() => {}
    }
    running.shutdown().await;
    Ok(())
}

async fn migrate(configured: Configured) -> anyhow::Result<()> {
    cloud::migrate(&configured.read()?).await?;
    print("The database is at this version's schema.\n")
}

async fn check(configured: Configured) -> anyhow::Result<()> {
    cloud::check(&configured.read()?).await?;
    print("The configuration is good; database and store answer.\n")
}

fn witness_key(configured: &Configured) -> anyhow::Result<()> {
    print(&format!("{}\n", cloud::witness_key(&configured.read()?)?))
}

fn print(text: &str) -> anyhow::Result<()> {
    std::io::stdout().write_all(text.as_bytes()).context("standard output is closed")
}

/// Lines for people on a terminal, JSON for collectors.
fn log_to_stderr() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        subscriber.init();
    } else {
        subscriber.json().init();
    }
}
