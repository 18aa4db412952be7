//! `lenskeep up`: cloud, gateway and a demonstration camera in one process, as
//! one box at home or a first look. The parts talk as they would across a
//! network: the gateway has no way into the cloud but its port.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use gateway::Enrolment;
use model::{Rendition, Secret};
use seal::enrolment;
use tokio::signal::unix::{SignalKind, signal};
use url::Url;

use crate::client::random;

/// Where `lenskeep app` serves the web app: passkeys need a fixed origin.
pub(crate) const APP_PORT: u16 = 8475;
const DEMO_USER: &str = "demo";
const DEMO_EVENT_EVERY: Duration = Duration::from_secs(60);

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Folder of everything that must survive a restart.
    #[arg(long, value_name = "DIR", default_value = "lenskeep-data")]
    data: PathBuf,
    /// Address of the web app. The three ports after it are for gateways, metrics
    /// and the demonstration camera, whose events have the sixth.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8470")]
    listen: SocketAddr,
    /// No demonstration camera.
    #[arg(long)]
    no_demo: bool,
    /// Port on which `lenskeep app` serves people of this cloud.
    #[arg(long, value_name = "PORT", default_value_t = APP_PORT)]
    app_port: u16,
    /// Further settings of the cloud, such as identity providers
    /// (docs/operations.md). What `up` sets itself goes before.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Look for cameras at this address, too, beside this machine's networks.
    #[arg(long, value_name = "ADDR")]
    find_at: Vec<SocketAddrV4>,
}

pub(crate) async fn up(arguments: Arguments) -> anyhow::Result<()> {
    let Arguments { data, listen, no_demo, app_port, config, find_at } = arguments;
    ensure!(
        listen.ip().is_loopback(),
        "`lenskeep up` serves this machine only: other addresses demand TLS. Run lenskeep-cloud with \
         listen.tls_certificate and listen.tls_key in its configuration, and lenskeep-gateway on the site \
         (docs/operations.md)"
    );
    let demo = if no_demo { None } else { Some(Box::pin(start_demo(&data, listen)).await?) };
    let further = config.as_deref().map(cloud::Config::read).transpose()?.unwrap_or_default();
    let config = cloud::Config {
        data: data.join("cloud"),
        listen: cloud::Listen {
            viewers: listen,
            gateways: beside(listen, 1),
            metrics: beside(listen, 2),
            ..Default::default()
        },
        app_origins: vec![Url::parse(&format!("http://localhost:{app_port}"))?],
        demo_camera: demo.as_ref().map(|(_, camera)| camera.clone()),
        ..further
    };
    let cloud = Box::pin(cloud::start(config)).await?;
    let secret = enrolment::Secret::from_bytes(random());
    let enrolment = Enrolment {
        url: Url::parse(&format!("https://localhost:{}", cloud.gateway_addr.port()))?,
        secret: secret.clone(),
        ca: cloud.ca_sha256,
        anchor: None,
    };
    // One process: where the cloud is gone, so is the gateway.
    let local = gateway::LocalSection { enabled: false, ..Default::default() };
    let mut discovery = gateway::DiscoverySection::default();
    // The demonstration camera is on the loopback interface, where nobody else is asked.
    let own = demo.as_ref().and_then(|(running, _)| running.discovery_addr);
    discovery.targets.extend(own.and_then(|address| match address {
        SocketAddr::V4(address) => Some(address),
        SocketAddr::V6(_) => None,
    }));
    discovery.targets.extend(find_at);
    let config = gateway::Config { data: data.join("gateway"), local, discovery, ..Default::default() };
    let mut gateway = Box::pin(gateway::start(config, Some(enrolment))).await?;

    let site = cloud.public_url.origin().ascii_serialization();
    println!("Lenskeep {} is ready at {site}", env!("CARGO_PKG_VERSION"));
    let secret: String = secret.expose().iter().map(|byte| format!("{byte:02x}")).collect();
    if let Some(token) = &cloud.set_up_token {
        println!("First run: open this link in a browser on this machine. It works once.\n");
        println!("  {site}/setup#token={}&gateway={secret}\n", token.expose());
    } else if !*gateway.enrolled().borrow() {
        println!(
            "The gateway waits to be taken in. Sign in, then open:\n\n  {site}/gateways#gateway={secret}\n"
        );
    }
    let mut terminate = signal(SignalKind::terminate())?;
    let end = tokio::select! {
        _ = tokio::signal::ctrl_c() => Ok(()),
        _ = terminate.recv() => Ok(()),
        end = gateway.failed() => return end.context("the gateway ended"),
    };
    println!("Closing recordings …");
    gateway.shutdown().await?;
    cloud.shutdown().await;
    end
}

/// The next ports; 0 stays 0, which takes free ones.
fn beside(address: SocketAddr, by: u16) -> SocketAddr {
    let port = match address.port() {
        0 => 0,
        port => port.saturating_add(by),
    };
    SocketAddr::new(address.ip(), port)
}

/// The demonstration camera keeps its password, as a camera does: it stands,
/// sealed, in the gateway's configuration.
fn demo_password(data: &Path) -> anyhow::Result<Secret> {
    let path = data.join("demo-camera-password");
    if let Ok(password) = std::fs::read_to_string(&path) {
        return Ok(Secret::new(password));
    }
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(data)
        .with_context(|| format!("the data folder {} could not be made", data.display()))?;
    let password: String = random::<12>().iter().map(|byte| format!("{byte:02x}")).collect();
    let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    written
        .and_then(|mut file| file.write_all(password.as_bytes()))
        .with_context(|| format!("{} could not be written", path.display()))?;
    Ok(Secret::new(password))
}

async fn start_demo(
    data: &Path,
    site: SocketAddr,
) -> anyhow::Result<(camera_sim::Running, cloud::DemoCamera)> {
    let password = demo_password(data)?;
    let credentials = camera_sim::Credentials { username: DEMO_USER.to_owned(), password: password.clone() };
    let options = camera_sim::Options {
        listen: beside(site, 3),
        credentials: Some(credentials),
        audio: true,
        onvif: Some(beside(site, 6)),
        onvif_options: camera_sim::OnvifOptions {
            event_every: Some(DEMO_EVENT_EVERY),
            ptz: true,
            discovery: Some(camera_sim::Discovery {
                listen: (Ipv4Addr::LOCALHOST, 0).into(),
                interface: None,
            }),
            ..Default::default()
        },
        ..Default::default()
    };
    let running =
        camera_sim::start(options).await.context("the demonstration camera (--no-demo leaves it out)")?;
    let camera = cloud::DemoCamera {
        url: running.url(Rendition::Main).to_string(),
        sub_url: Some(running.url(Rendition::Sub).to_string()),
        onvif_url: running.onvif_url(),
        username: Some(DEMO_USER.to_owned()),
        password: Some(password),
    };
    Ok((running, camera))
}
