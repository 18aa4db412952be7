//! `lenskeep-gateway`: the gateway on a machine of its own.

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use gateway::{Config, Enrolment};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;
use url::Url;

#[derive(Parser)]
#[command(name = "lenskeep-gateway", version, about = "Records cameras, sealed, and forwards the recordings")]
struct Arguments {
    /// Configuration file (TOML). Without it the defaults apply.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Data folder, before the configuration's.
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Log lines as JSON.
    #[arg(long, global = true)]
    log_json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Record until told to stop.
    Run,
    /// Join an organisation, then record.
    Enrol {
        /// The cloud's gateway port, such as https://cloud.example.org:8471.
        #[arg(long, value_name = "URL")]
        cloud: Url,
        /// File with the code that an administrator's device shows; `-` asks for it, or
        /// reads one line of standard input. Not an argument: arguments stand in the
        /// process list.
        #[arg(long, value_name = "FILE", default_value = "-")]
        code: PathBuf,
        /// End when it has joined, rather than record: a service does that then.
        #[arg(long)]
        join_only: bool,
    },
    /// Look at the whole data folder and read every recording, while no gateway runs.
    Check {
        /// Make right what can be made right: the index from the files, recordings that were
        /// cut off. Nothing is deleted.
        #[arg(long)]
        repair: bool,
    },
    /// How the webhooks of the configuration fare, also while a gateway runs.
    Webhooks {
        #[command(subcommand)]
        command: WebhooksCommand,
    },
}

#[derive(Subcommand)]
enum WebhooksCommand {
    /// What each took last, what waits, and why.
    List {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Tell one again what it was told before, 72 hours back at most.
    Replay {
        #[arg(long)]
        name: String,
        /// A cursor, after which it begins; or a time, as 2026-11-23T10:00:00Z or 2h ago.
        #[arg(long, value_name = "CURSOR|TIME")]
        since: String,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let filter = EnvFilter::try_from_env("LENSKEEP_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Colours would be unreadable in a journal.
    let log = log.with_ansi(std::io::stderr().is_terminal());
    if arguments.log_json {
        log.json().init();
    } else {
        log.init();
    }
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let mut config = match &arguments.config {
        Some(path) => Config::read(path)?,
        None => Config::default(),
    };
    if let Some(data) = arguments.data {
        config.data = data;
    }
    let mut until_joined = false;
    let enrolment = match arguments.command {
        Command::Check { repair } => {
            let checked = Box::pin(gateway::check(&config, repair)).await?;
            writeln!(std::io::stdout(), "{checked}").context("standard output")?;
            anyhow::ensure!(checked.is_well(), "the data folder is not as it should be");
            return Ok(());
        }
        Command::Webhooks { command } => return webhooks(&config, command).await,
        Command::Run => None,
        Command::Enrol { cloud, code, join_only } => {
            until_joined = join_only;
            let text = if code.as_os_str() == "-" {
                ask_code()?
            } else {
                std::fs::read_to_string(&code)
                    .with_context(|| format!("{} could not be read", code.display()))?
            };
            let code = seal::enrolment::Code::parse(&text)?;
            Some(Enrolment::from_code(cloud, code))
        }
    };
    let mut running = gateway::start(config, enrolment).await?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut enrolled = running.enrolled();
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
        Ok(_) = enrolled.wait_for(|joined| *joined), if until_joined => {}
        end = running.failed() => return end,
    }
    running.shutdown().await
}

async fn webhooks(config: &Config, command: WebhooksCommand) -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    match command {
        WebhooksCommand::List { json } => {
            let list = gateway::webhooks::list(config).await?;
            let said = if json { serde_json::to_string_pretty(&list)? } else { list.to_string() };
            writeln!(out, "{said}")
        }
        WebhooksCommand::Replay { name, since } => {
            let events = gateway::webhooks::replay(config, &name, &since).await?;
            writeln!(out, "{name} is told {events} events again, or for the first time")
        }
    }
    .context("standard output")
}

fn ask_code() -> anyhow::Result<String> {
    if std::io::stdin().is_terminal() {
        eprint!("Enrolment code: ");
    }
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).context("no code on standard input")?;
    Ok(line)
}
