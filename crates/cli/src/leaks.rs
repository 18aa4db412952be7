//! `lenskeep camera findings` and `camera sweep`: what leaked into cameras, as their
//! gateways tell this device.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use model::wire::GatewayKeys;
use model::{CameraId, GatewayId};
use seal::answer::{Addressed, Answer, open_answer};
use seal::command::Command;
use seal::findings::{Findings, Leak, RunningSweep, SweptCamera};

use crate::client::Session;
use crate::orders::{self, Ordered};
use crate::text::printable;
use crate::times;

/// Between two questions: each is a signed command.
const PAUSE: Duration = Duration::from_secs(2);

#[derive(clap::Args)]
pub(crate) struct ListArguments {
    /// Of one gateway alone.
    #[arg(long, value_name = "ID")]
    gateway: Option<GatewayId>,
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
pub(crate) struct SweepArguments {
    /// Default: every camera.
    camera: Option<CameraId>,
    /// Of one gateway alone.
    #[arg(long, value_name = "ID", conflicts_with = "camera")]
    gateway: Option<GatewayId>,
    /// End what is being read.
    #[arg(long, conflicts_with = "camera")]
    stop: bool,
    #[arg(long)]
    json: bool,
}

pub(crate) async fn list(session: &Session, arguments: ListArguments) -> anyhow::Result<()> {
    let (mut cameras, mut silent) = (Vec::new(), Vec::new());
    for gateway in gateways(session, arguments.gateway)? {
        match all(session, &gateway).await {
            Ok(swept) => cameras.extend(swept),
            Err(error) => silent.push(told(&gateway, &error)),
        }
    }
    print(session, &cameras, arguments.json)?;
    ended(&silent)
}

pub(crate) async fn sweep(session: &Session, arguments: SweepArguments) -> anyhow::Result<()> {
    let SweepArguments { camera, gateway, stop, json } = arguments;
    let of_camera = match camera {
        Some(camera) => Some(session.roster.camera(camera).context("the roster has no such camera")?.gateway),
        None => gateway,
    };
    let (mut ordered, mut silent) = (Vec::new(), Vec::new());
    for gateway in gateways(session, of_camera)? {
        let command = if stop { Command::StopSweep {} } else { Command::SweepCameras { camera } };
        match ask(session, &gateway, command).await {
            Ok(_) => ordered.push(gateway),
            Err(error) => silent.push(told(&gateway, &error)),
        }
    }
    let mut cameras = Vec::new();
    for gateway in &ordered {
        match swept(session, gateway, stop).await {
            Ok(swept) => cameras.extend(swept),
            Err(error) => silent.push(told(gateway, &error)),
        }
    }
    cameras.retain(|swept| camera.is_none_or(|camera| camera == swept.camera));
    print(session, &cameras, json)?;
    ended(&silent)?;
    ensure!(camera.is_none() || !cameras.is_empty(), "its gateway does not have this camera");
    Ok(())
}

async fn swept(session: &Session, gateway: &GatewayKeys, stop: bool) -> anyhow::Result<Vec<SweptCamera>> {
    if !stop {
        follow(session, gateway).await?;
    }
    all(session, gateway).await
}

fn told(gateway: &GatewayKeys, error: &anyhow::Error) -> String {
    format!("{} ({}): {error:#}", printable(&gateway.name), gateway.id)
}

/// What other gateways said was printed.
fn ended(silent: &[String]) -> anyhow::Result<()> {
    ensure!(silent.is_empty(), "not every gateway answered: {}", silent.join("; "));
    Ok(())
}

fn gateways(session: &Session, one: Option<GatewayId>) -> anyhow::Result<Vec<GatewayKeys>> {
    let all = session.roster.state().gateways.values();
    let wanted: Vec<GatewayKeys> = all.filter(|known| one.is_none_or(|id| id == known.id)).cloned().collect();
    ensure!(!wanted.is_empty() || one.is_none(), "the roster has no such gateway");
    Ok(wanted)
}

/// Until nothing is being read any more.
async fn follow(session: &Session, gateway: &GatewayKeys) -> anyhow::Result<()> {
    let mut seen = None;
    loop {
        let page = ask(session, gateway, Command::ListFindings { after: None, seen }).await?;
        match &page.running {
            Some(RunningSweep { camera, read, found }) => eprintln!(
                "{}: {read} bytes read, {found} found, {} more to read",
                name(session, *camera),
                page.waiting
            ),
            None if page.waiting == 0 => return Ok(()),
            None => {}
        }
        seen = Some(page.version);
        tokio::time::sleep(PAUSE).await;
    }
}

async fn all(session: &Session, gateway: &GatewayKeys) -> anyhow::Result<Vec<SweptCamera>> {
    let (mut cameras, mut after) = (Vec::new(), None);
    loop {
        let page = ask(session, gateway, Command::ListFindings { after, seen: None }).await?;
        cameras.extend(page.cameras);
        ensure!(page.next.is_none() || page.next > after, "gateway {} leads in circles", gateway.id);
        after = page.next;
        if after.is_none() {
            return Ok(cameras);
        }
    }
}

async fn ask(session: &Session, gateway: &GatewayKeys, command: Command) -> anyhow::Result<Findings> {
    let ordered = orders::order(session, gateway, |_| false, |_, _| Ok(command)).await?;
    let Ordered::Done(Some(result)) = ordered else {
        bail!("gateway {} did not answer", gateway.id);
    };
    let sealed = result.answer.as_ref().context("the gateway answered without an answer; update it")?;
    let (org, device) = (session.roster.org(), session.device());
    let addressed = Addressed { org, gateway: gateway.id, device, nonce: &result.nonce };
    match open_answer(sealed, &session.keys.kem, addressed)? {
        Answer::Findings(findings) => Ok(findings),
        _ => bail!("gateway {} answered something else than it was asked", gateway.id),
    }
}

fn name(session: &Session, camera: CameraId) -> String {
    session.roster.camera(camera).map_or_else(|| camera.to_string(), |known| printable(&known.name))
}

fn print(session: &Session, cameras: &[SweptCamera], json: bool) -> anyhow::Result<()> {
    if json {
        print!("{}", ::sweep::report::pretty(cameras));
        return Ok(());
    }
    for SweptCamera { camera, swept_at, error, findings, left_out, .. } in cameras {
        let when =
            swept_at.map_or_else(|| "never read".to_owned(), |at| format!("read {}", times::format(at)));
        println!("{} ({camera}): {when}, {} found", name(session, *camera), findings.len());
        if let Some(error) = error {
            println!("  not all of it: {}", printable(error));
        }
        for leak in findings {
            print_leak(leak);
        }
        if *left_out > 0 {
            println!("  and {left_out} more");
        }
    }
    Ok(())
}

fn print_leak(leak: &Leak) {
    let Leak { title, opens, remedy, severity, place, parameter, line, redacted, .. } = leak;
    let line = line.map(|line| format!(", line {line}")).unwrap_or_default();
    let parameter = parameter.as_deref().map(|name| format!(", {}", printable(name))).unwrap_or_default();
    let severity = format!("{severity:?}").to_lowercase();
    println!("  {severity:8}  {} {}", printable(title), printable(redacted));
    println!("            {}{parameter}{line}", printable(place));
    println!("            opens: {}", printable(opens));
    println!("            {}", printable(remedy));
}
