//! `camera-sim`: a camera for trying things out, until Ctrl-C.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use camera_sim::{Auth, Credentials, Discovery, Fault, Identity, OnvifOptions, Options, Pictures, Prepared};
use clap::Parser;
use model::{Rendition, Secret};

#[derive(Parser)]
#[command(about = "A simulated RTSP camera", version)]
struct Arguments {
    /// Where to speak RTSP
    #[arg(long, default_value = "127.0.0.1:8554")]
    listen: SocketAddr,
    /// Speak RTSPS too, on this port, with a new self-signed certificate
    #[arg(long, value_name = "PORT")]
    tls: Option<u16>,
    /// Offer ONVIF's device and event service here
    #[arg(long, value_name = "ADDRESS")]
    onvif: Option<SocketAddr>,
    /// Every so many seconds motion begins, and lasts a third of that
    #[arg(long, value_name = "SECONDS", requires = "onvif", value_parser = clap::value_parser!(u64).range(1..))]
    event_every: Option<u64>,
    /// By which rule of the camera
    #[arg(long, requires = "event_every")]
    event_rule: Option<String>,
    /// It can be moved by ONVIF's PTZ service, and with --vapix as cameras of Axis are
    #[arg(long, requires = "onvif")]
    ptz: bool,
    /// It streams its events as cameras of Axis do, beside ONVIF
    #[arg(long, requires = "onvif")]
    vapix: bool,
    /// A parameter that it has beside its own, such as root.SMTP.Password=secret
    #[arg(long, value_name = "NAME=VALUE", requires = "vapix")]
    parameter: Vec<String>,
    /// A line of its log
    #[arg(long, value_name = "LINE", requires = "vapix")]
    log: Vec<String>,
    /// Answer those who look for cameras here, such as 127.0.0.1:3702
    #[arg(long, value_name = "ADDRESS", requires = "onvif")]
    discovery: Option<SocketAddr>,
    /// Hear questions to everybody that come by the interface with this address
    #[arg(long, value_name = "ADDRESS", requires = "discovery")]
    discovery_interface: Option<Ipv4Addr>,
    /// What it calls itself
    #[arg(long)]
    name: Option<String>,
    #[arg(long, requires = "password")]
    user: Option<String>,
    /// Better through the environment, where other users do not see it
    #[arg(long, env = "CAMERA_PASSWORD", requires = "user", hide_env_values = true)]
    password: Option<String>,
    /// Offer Basic beside Digest
    #[arg(long)]
    basic: bool,
    /// A tone in G.711
    #[arg(long)]
    audio: bool,
    /// Play this .h264 or .h265 file as the main stream, over and over
    #[arg(long)]
    file: Option<PathBuf>,
    /// Pictures a second in the file
    #[arg(long, default_value_t = 25)]
    rate: u32,
    /// What goes wrong, for example stall, flood or no-key-frame
    #[arg(long)]
    fault: Option<Fault>,
    /// Pictures before it goes wrong
    #[arg(long, default_value_t = 0)]
    fault_after: u64,
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "a command line tool says where it listens")]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let defaults = Options::default();
    let ip: IpAddr = arguments.listen.ip();
    let rtsps = arguments.tls.map(|port| anyhow::Ok(((ip, port).into(), Identity::generate()?)));
    let main = match arguments.file {
        Some(path) => Pictures::Prepared(Prepared::read(&path, arguments.rate)?),
        None => defaults.main,
    };
    let credentials = arguments.user.zip(arguments.password);
    let camera = camera_sim::start(Options {
        listen: arguments.listen,
        rtsps: rtsps.transpose()?,
        onvif: arguments.onvif,
        onvif_options: OnvifOptions {
            event_every: arguments.event_every.map(Duration::from_secs),
            event_rule: arguments.event_rule,
            ptz: arguments.ptz,
            vapix: arguments.vapix,
            parameters: arguments.parameter,
            log: arguments.log,
            discovery: arguments
                .discovery
                .map(|listen| Discovery { listen, interface: arguments.discovery_interface }),
            ..OnvifOptions::default()
        },
        credentials: credentials
            .map(|(username, password)| Credentials { username, password: Secret::new(password) }),
        auth: if arguments.basic { Auth::Both } else { Auth::Digest },
        name: arguments.name.unwrap_or(defaults.name),
        main,
        audio: arguments.audio,
        fault: arguments.fault,
        fault_after: arguments.fault_after,
        ..defaults
    })
    .await?;
    for rendition in [Rendition::Main, Rendition::Sub] {
        println!("{}", camera.url(rendition));
        if let Some(url) = camera.rtsps_url(rendition) {
            println!("{url}");
        }
    }
    if let Some(certificate) = camera.certificate() {
        println!("certificate SHA-256 {certificate}");
    }
    for url in [camera.onvif_url(), camera.stream_url()].into_iter().flatten() {
        println!("{url}");
    }
    tokio::signal::ctrl_c().await?;
    camera.shutdown().await;
    Ok(())
}
