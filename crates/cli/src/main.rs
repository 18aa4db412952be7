//! `lenskeep`: the operator's command. `up` runs everything on one machine; the
//! other commands are a device of their own, with keys in a folder.

#![expect(clippy::print_stdout, reason = "a command line answers on standard output")]

mod app;
mod approvals;
mod audit;
mod bookmarks;
mod camera;
mod client;
mod dating;
mod device;
mod firmware;
mod forward;
mod forwarding;
mod grants;
mod home;
mod hours;
mod leaks;
mod local;
mod mp4;
mod orders;
mod output;
mod pairing;
mod past;
mod persons;
mod policy;
mod progress;
mod proof;
mod recordings;
mod retention;
mod roles;
mod roster;
mod services;
mod sharing;
mod sheet;
mod site;
mod sweep;
mod text;
mod times;
mod up;
mod verify;
mod watch;
mod witnesses;

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::ensure;
use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use client::Session;
use home::Home;
use recordings::Range;

#[derive(Parser)]
#[command(name = "lenskeep", version, about = "Sealed cameras: run them, add them, and take recordings out")]
struct Arguments {
    /// Folder of this device's keys. Default: lenskeep in the system's data folder.
    #[arg(long, global = true, value_name = "DIR", env = "LENSKEEP_HOME")]
    home: Option<PathBuf>,
    /// Ask the gateway at this address of the own network, not the cloud: for `camera list`,
    /// `camera watch`, `recording list` and `export`. Without it, gateways that were
    /// reached before are asked when the cloud cannot be reached.
    #[arg(long, global = true, value_name = "ADDRESS:PORT")]
    local: Option<SocketAddr>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run cloud, gateway and a demonstration camera on this machine.
    Up(up::Arguments),
    /// Serve the web app of this program on this machine, without any script of the cloud.
    App(app::Arguments),
    /// This device.
    #[command(subcommand)]
    Device(DeviceCommand),
    /// Gateways of the organisation.
    #[command(subcommand)]
    Gateway(GatewayCommand),
    /// Cameras of the organisation.
    #[command(subcommand)]
    Camera(CameraCommand),
    /// Recordings of a camera.
    #[command(subcommand)]
    Recording(RecordingCommand),
    /// Open recordings and write them as MP4.
    Export {
        #[command(flatten)]
        range: Range,
        #[command(flatten)]
        kind: recordings::ExportKind,
        out: PathBuf,
    },
    /// Notes about footage, and locks against its deletion.
    #[command(subcommand)]
    Bookmark(bookmarks::BookmarkCommand),
    /// What waits for several administrators to agree.
    #[command(subcommand, visible_alias = "proposal")]
    Approval(approvals::ApprovalCommand),
    /// Accounts for programs that read lists.
    #[command(subcommand)]
    ServiceAccount(services::ServiceCommand),
    /// Sets of policies: check, test, ask, compare, put in force.
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    /// People: inviting them, sharing cameras with them, shutting them out, forgetting them.
    #[command(subcommand)]
    Person(persons::PersonCommand),
    /// Who has which role where.
    #[command(subcommand)]
    Role(roles::RoleCommand),
    /// The history, and whether anybody rewrote it.
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Check recordings (*.lkr) and proofs (*.lkproof), offline and without keys.
    Verify(verify::Arguments),
    /// Look for keys, passwords and tokens in files, backups, images and logs, in a container
    /// of a store, and in the settings of a camera. Offline but for those two.
    /// Exits with 0 if there are none, 1 if there are, 2 on errors.
    Sweep(sweep::Arguments),
    /// Firmware images of cameras: what is in them. Offline.
    #[command(subcommand)]
    Firmware(firmware::FirmwareCommand),
}

impl Command {
    /// What a gateway answers as well as the cloud does.
    fn reads_footage(&self) -> bool {
        let lists = matches!(
            self,
            Command::Camera(CameraCommand::List { .. }) | Command::Recording(RecordingCommand::List { .. })
        );
        lists || matches!(self, Command::Camera(CameraCommand::Watch(_)) | Command::Export { .. })
    }
}

#[derive(Subcommand)]
enum DeviceCommand {
    /// Set the organisation up with the link that `lenskeep up` printed.
    New {
        #[arg(long)]
        link: String,
        /// Name of the organisation.
        #[arg(long, default_value = "Home")]
        organisation: String,
        /// Your name.
        #[arg(long, default_value = "Administrator")]
        person: String,
    },
    /// Join an organisation with a link of its page Devices, or of `lenskeep device add`.
    Join {
        link: String,
        /// Name of this device.
        #[arg(long, default_value = "Command line")]
        name: String,
    },
    /// Print a link for another command line, wait for it, and let it in.
    Add {
        /// Whose it is. Default: yours.
        #[arg(long, value_name = "ID")]
        person: Option<model::PersonId>,
        /// In force for so many days; then an administrator renews it.
        #[arg(long, default_value_t = device::DEVICE_DAYS, value_parser = clap::value_parser!(u64).range(1..=device::DEVICE_DAYS))]
        days: u64,
    },
    /// Devices of the roster: whose they are, until when, and which are administrators.
    List,
    /// Renew a device for 90 days; without an id, this one. Takes an administrator's
    /// device that has not ended; one that has ended is renewed by another.
    Renew { device: Option<model::DeviceId> },
    /// Shut a device out at once, such as one that was lost.
    Revoke {
        device: model::DeviceId,
        /// Also if fewer administrators remain than must agree.
        #[arg(long)]
        force: bool,
    },
    /// Let this machine in with the words of the recovery sheet, when nobody is left who could:
    /// after 72 hours, as the only administrator.
    Recover(sheet::Recover),
    /// Hand on to another device the keys of recordings that were made before it came.
    OpenPast {
        device: model::DeviceId,
        /// Open what was sealed to the recovery sheet: its words are asked for, or read from
        /// the file that LENSKEEP_SHEET_FILE names.
        #[arg(long)]
        sheet: bool,
        /// Since when. Default: all that can be opened.
        #[arg(long, value_parser = times::parse)]
        from: Option<model::Timestamp>,
    },
}

#[derive(Subcommand)]
enum GatewayCommand {
    /// Gateways and their keys, by which others verify proofs.
    List,
    /// Print an enrolment code for a gateway on another machine, and wait for it. Run again,
    /// it goes on with the same code, for a day.
    Add,
    /// How much a gateway keeps, and for how long.
    Keep {
        #[arg(long)]
        gigabytes: u64,
        #[arg(long)]
        days: u32,
        /// Footage in which nothing happened is kept for so many days. Without it, as
        /// long as the rest.
        #[arg(long)]
        quiet_days: Option<u32>,
        /// Kinds of events that leave footage quiet: `motion`, `person`, `sound` …, or
        /// `none`.
        #[arg(long, value_delimiter = ',', default_value = "motion", requires = "quiet_days")]
        quiet_kinds: Vec<String>,
        /// Needed if there are several.
        #[arg(long, value_name = "ID")]
        gateway: Option<model::GatewayId>,
    },
    /// How fast a gateway sends recordings, and when.
    Bandwidth(forwarding::BandwidthArguments),
}

#[derive(Subcommand)]
enum CameraCommand {
    /// Test the connection, then add the camera.
    Add {
        #[arg(long)]
        name: String,
        #[command(flatten)]
        access: camera::Access,
    },
    /// Test a camera's new address, then give it to the camera's gateway.
    Change {
        camera: model::CameraId,
        #[command(flatten)]
        access: camera::Access,
    },
    /// Have the gateway forget a camera. What is recorded stays until its time is over.
    Remove { camera: model::CameraId },
    /// Put a camera into groups, in place of those before; without names, into none.
    Group {
        camera: model::CameraId,
        #[arg(value_name = "NAME")]
        groups: Vec<String>,
    },
    /// Cameras and how their streams are.
    List {
        #[arg(long)]
        json: bool,
    },
    /// Which recordings of a camera go to the store by themselves. The others stay at the gateway,
    /// and are watched through it.
    Forward(forwarding::ForwardArguments),
    /// Say that something happens at a camera: what it shows meanwhile is forwarded first.
    Event {
        camera: model::CameraId,
        #[arg(long, default_value = "60")]
        seconds: u32,
    },
    /// Open a live stream and measure how it comes in.
    Watch(watch::Arguments),
    /// Which keys and passwords lie open in settings and logs of cameras, as their gateways
    /// found them.
    Findings(leaks::ListArguments),
    /// Have gateways read cameras for keys and passwords now, and wait for it.
    Sweep(leaks::SweepArguments),
    /// Test the connection to a camera through its gateway; changes nothing.
    Check {
        #[command(flatten)]
        access: camera::Access,
    },
}

#[derive(Subcommand)]
enum RecordingCommand {
    /// What was recorded, and where there are gaps.
    List {
        #[command(flatten)]
        range: Range,
        #[arg(long)]
        json: bool,
    },
    /// Whether the cloud lists all that gateways signed for, hour by hour. Fails if not.
    Check(hours::Arguments),
}

fn main() -> ExitCode {
    end_quietly_when_nobody_reads();
    let arguments = Arguments::parse();
    let default = if matches!(arguments.command, Command::Up(_)) { "info,sqlx=warn" } else { "warn" };
    let filter = EnvFilter::try_from_env("LENSKEEP_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    match &arguments.command {
        Command::Sweep(arguments) => return sweep::run(arguments),
        Command::Firmware(command) => return firmware::run(command),
        _ => {}
    }
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// `lenskeep recording list | head`: `println!` panics when the reader has gone,
/// which is no fault to report. Any other error is one, such as a disk that is full.
fn end_quietly_when_nobody_reads() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        match panic.payload_as_str().and_then(|text| text.strip_prefix("failed printing to stdout: ")) {
            Some(why) if why.starts_with("Broken pipe") => std::process::exit(0),
            Some(why) => {
                // Not `eprintln!`, which panics in turn where nobody reads that either.
                let _ = writeln!(std::io::stderr(), "error: standard output could not be written: {why}");
                std::process::exit(1);
            }
            None => report(panic),
        }
    }));
}

#[tokio::main]
async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let home = Home::new(arguments.home)?;
    let local = arguments.local;
    ensure!(
        local.is_none() || arguments.command.reads_footage(),
        "this goes through the cloud; --local is for camera list, camera watch, recording list and export"
    );
    match arguments.command {
        Command::Up(arguments) => Box::pin(up::up(arguments)).await,
        Command::App(arguments) => Box::pin(app::app(&home, arguments)).await,
        Command::Device(DeviceCommand::New { link, organisation, person }) => {
            Box::pin(device::set_up(&home, &link, organisation, person)).await
        }
        Command::Device(DeviceCommand::Join { link, name }) => {
            Box::pin(pairing::join(&home, &link, name)).await
        }
        Command::Device(DeviceCommand::Add { person, days }) => {
            let mut session = Box::pin(Session::open(&home)).await?;
            Box::pin(pairing::add(&mut session, person, days)).await
        }
        Command::Device(DeviceCommand::List) => {
            device::list(&Box::pin(Session::open(&home)).await?.roster);
            Ok(())
        }
        Command::Device(DeviceCommand::Renew { device }) => {
            device::renew(&mut Box::pin(Session::open(&home)).await?, device).await
        }
        Command::Device(DeviceCommand::Revoke { device, force }) => {
            device::revoke(&mut Box::pin(Session::open(&home)).await?, device, force).await
        }
        Command::Device(DeviceCommand::Recover(arguments)) => {
            Box::pin(sheet::recover(&home, arguments)).await
        }
        Command::Device(DeviceCommand::OpenPast { device, sheet, from }) => {
            let mut session = Box::pin(Session::open(&home)).await?;
            Box::pin(past::open(&mut session, device, from.unwrap_or_default(), sheet)).await
        }
        Command::Gateway(GatewayCommand::Add) => {
            let mut session = Box::pin(Session::open(&home)).await?;
            Box::pin(device::add_gateway(&mut session)).await
        }
        Command::Gateway(GatewayCommand::List) => {
            device::list_gateways(&Box::pin(Session::open(&home)).await?.roster);
            Ok(())
        }
        Command::Gateway(GatewayCommand::Keep { gigabytes, days, quiet_days, quiet_kinds, gateway }) => {
            let quiet = retention::quiet(quiet_days, &quiet_kinds)?;
            let session = Box::pin(Session::open(&home)).await?;
            Box::pin(retention::keep(&session, gateway, gigabytes, days, quiet)).await
        }
        Command::Gateway(GatewayCommand::Bandwidth(arguments)) => {
            let session = Box::pin(Session::open(&home)).await?;
            Box::pin(forwarding::set_bandwidth(&session, arguments)).await
        }
        Command::Camera(CameraCommand::Forward(arguments)) => {
            Box::pin(forwarding::set(&Box::pin(Session::open(&home)).await?, arguments)).await
        }
        Command::Camera(CameraCommand::Event { camera, seconds }) => {
            forwarding::event(&Box::pin(Session::open(&home)).await?, camera, seconds).await
        }
        Command::Camera(CameraCommand::Watch(arguments)) => {
            let mut session = Box::pin(local::session(&home, local, arguments.camera)).await?;
            Box::pin(watch::watch(&mut session, arguments)).await
        }
        Command::Camera(CameraCommand::Add { name, access }) => {
            let mut session = Box::pin(Session::open(&home)).await?;
            Box::pin(camera::add(&mut session, name, access)).await
        }
        Command::Camera(CameraCommand::Change { camera, access }) => {
            let mut session = Box::pin(Session::open(&home)).await?;
            Box::pin(camera::change(&mut session, camera, access)).await
        }
        Command::Camera(CameraCommand::Remove { camera }) => {
            Box::pin(camera::remove(&Box::pin(Session::open(&home)).await?, camera)).await
        }
        Command::Camera(CameraCommand::Group { camera, groups }) => {
            camera::group(&mut Box::pin(Session::open(&home)).await?, camera, groups).await
        }
        Command::Camera(CameraCommand::List { json }) => {
            camera::list(&Box::pin(local::sessions(&home, local, None)).await?, json).await
        }
        Command::Camera(CameraCommand::Findings(arguments)) => {
            Box::pin(leaks::list(&Box::pin(Session::open(&home)).await?, arguments)).await
        }
        Command::Camera(CameraCommand::Sweep(arguments)) => {
            Box::pin(leaks::sweep(&Box::pin(Session::open(&home)).await?, arguments)).await
        }
        Command::Camera(CameraCommand::Check { access }) => {
            Box::pin(camera::check(&Box::pin(Session::open(&home)).await?, access)).await
        }
        Command::Recording(RecordingCommand::List { range, json }) => {
            let session = Box::pin(local::session(&home, local, range.camera)).await?;
            Box::pin(recordings::list(&session, &range, json)).await
        }
        Command::Recording(RecordingCommand::Check(arguments)) => {
            Box::pin(hours::check(&Box::pin(Session::open(&home)).await?, &arguments)).await
        }
        Command::Export { range, kind, out } => {
            let mut session = Box::pin(local::session(&home, local, range.camera)).await?;
            Box::pin(recordings::export(&mut session, &range, kind, &out)).await
        }
        Command::Bookmark(command) => {
            bookmarks::run(&mut Box::pin(Session::open(&home)).await?, command).await
        }
        Command::Approval(command) => {
            approvals::run(&mut Box::pin(Session::open(&home)).await?, command).await
        }
        Command::ServiceAccount(command) => {
            services::run(&mut Box::pin(Session::open(&home)).await?, command).await
        }
        Command::Policy(command) => Box::pin(policy::run(&home, command)).await,
        Command::Person(command) => {
            let mut session = Box::pin(Session::open(&home)).await?;
            Box::pin(persons::run(&mut session, command)).await
        }
        Command::Role(command) => roles::run(&Box::pin(Session::open(&home)).await?, command).await,
        Command::Audit(command) => Box::pin(audit::run(&home, command)).await,
        Command::Verify(arguments) => verify::run(&home, arguments),
        Command::Sweep(_) | Command::Firmware(_) => unreachable!("needs no runtime: main"),
    }
}
