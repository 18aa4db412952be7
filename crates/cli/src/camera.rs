//! `lenskeep camera`: signed commands to the gateway, credentials sealed to it.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use model::wire::{Envelope, GatewayKeys, StreamStatus};
use model::{CameraAccess, CameraId, CameraUrl, GatewayId, Hash, Secret, Timestamp};
use seal::command::{CameraReport, Command, CommandResult, SiteCommand, StreamReport, seal_access};
use seal::keys::{KemPublic, VerifyingKey};
use seal::roster::{Camera, Statement};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::Instant;

use crate::client::{Session, now, random};
use crate::home::ask_secret;

const CONNECT_WAIT: Duration = Duration::from_secs(10);
/// A command that nobody has carried out by then is void.
const COMMAND_MS: u64 = 5 * Timestamp::MINUTE;

#[derive(clap::Args)]
pub(crate) struct Access {
    /// Address of the main stream, such as rtsp://192.0.2.10/stream1.
    url: String,
    /// Address of the small stream.
    #[arg(long, value_name = "URL")]
    sub_url: Option<String>,
    #[arg(long)]
    username: Option<String>,
    /// File with the password; without it the terminal asks. Not an argument:
    /// arguments stand in the process list.
    #[arg(long, value_name = "FILE")]
    password_file: Option<std::path::PathBuf>,
    /// SHA-256 of the camera's certificate (rtsps://). Without it the
    /// connection test shows it and asks.
    #[arg(long, value_name = "HEX")]
    certificate: Option<Hash>,
    /// The gateway that reaches the camera; needed if there are several.
    #[arg(long, value_name = "ID")]
    gateway: Option<GatewayId>,
}

#[derive(Deserialize)]
struct Gateways {
    gateways: Vec<GatewayState>,
}

#[derive(Deserialize)]
struct GatewayState {
    id: GatewayId,
    connected: bool,
    state: Option<Hash>,
}

#[derive(Deserialize, Serialize)]
pub(crate) struct Cameras {
    pub(crate) cameras: Vec<CameraState>,
}

#[derive(Deserialize, Serialize)]
pub(crate) struct CameraState {
    pub(crate) id: CameraId,
    name: String,
    gateway: GatewayId,
    streams: Vec<StreamStatus>,
}

pub(crate) async fn check(session: &Session, access: Access) -> anyhow::Result<()> {
    let gateway = choose_gateway(session, access.gateway)?;
    let mut access = access.read()?;
    let report = test(session, &gateway, CameraId::from_random(random()), &mut access).await?;
    print_report(&report);
    Ok(())
}

pub(crate) async fn add(session: &mut Session, name: String, access: Access) -> anyhow::Result<()> {
    let gateway = choose_gateway(session, access.gateway)?;
    let mut access = access.read()?;
    let camera = CameraId::from_random(random());
    let report = test(session, &gateway, camera, &mut access).await?;
    print_report(&report);
    let sealed_put = |nonce: &str, sealed_to: &GatewayKeys| -> anyhow::Result<Command> {
        let sealed = seal_to(session, sealed_to, camera, &access, nonce)?;
        Ok(Command::PutCamera { camera, sealed })
    };
    order(session, &gateway, sealed_put).await?;
    let certificate = access.certificate;
    let bound = Camera {
        id: camera,
        name,
        gateway: gateway.id,
        serial: None,
        certificate,
        groups: Default::default(),
    };
    session.state(Statement::BindCamera { camera: bound }).await?;
    println!("{camera} is added.");
    Ok(())
}

/// Access and roles can be given by group.
pub(crate) async fn group(
    session: &mut Session,
    camera: CameraId,
    groups: Vec<String>,
) -> anyhow::Result<()> {
    let known = session.roster.camera(camera).context("the roster has no such camera")?;
    let bound = Camera { groups: groups.into_iter().collect(), ..known.clone() };
    session.state(Statement::BindCamera { camera: bound }).await?;
    println!("signed");
    Ok(())
}

/// Of the cloud, or of every gateway that was reached in its place.
pub(crate) async fn list(sessions: &[Session], as_json: bool) -> anyhow::Result<()> {
    let mut answer = Cameras { cameras: Vec::new() };
    for session in sessions {
        let part: Cameras = session.client.get("/api/v1/cameras").await?;
        answer.cameras.extend(part.cameras);
    }
    if as_json {
        println!("{}", serde_json::to_string_pretty(&answer)?);
        return Ok(());
    }
    if answer.cameras.is_empty() {
        println!("No cameras yet. Add one: lenskeep camera add --name \"Front door\" rtsp://ADDRESS/PATH");
    }
    for camera in answer.cameras {
        println!("{}  {}", camera.id, camera.name);
        for stream in camera.streams {
            let state = serde_json::to_value(stream.state)?;
            let state = state.as_str().unwrap_or_default();
            let picture = match &stream.codec {
                Some(codec) => format!("{codec} {}×{}", stream.width, stream.height),
                None => String::new(),
            };
            let reason = stream.reason.unwrap_or_default();
            println!(
                "    {:<4} {state}  {picture}  {} kbit/s  {reason}",
                stream.rendition,
                stream.bits_per_second / 1_000
            );
        }
    }
    Ok(())
}

impl Access {
    fn read(self) -> anyhow::Result<CameraAccess> {
        let (url, pasted) = CameraUrl::parse_with_credentials(&self.url)?;
        let sub_url = self.sub_url.as_deref().map(CameraUrl::parse).transpose()?;
        let (username, password) = match (self.username, pasted) {
            (Some(username), _) => {
                let password = match &self.password_file {
                    Some(path) => {
                        let text = std::fs::read_to_string(path)
                            .with_context(|| format!("{} could not be read", path.display()))?;
                        Secret::new(text.trim_end_matches(['\r', '\n']))
                    }
                    None => ask_secret("Password of the camera: ").context("give --password-file")?,
                };
                (Some(username), Some(password))
            }
            (None, Some((username, password))) => (Some(username), Some(password)),
            (None, None) => (None, None),
        };
        Ok(CameraAccess { url, sub_url, username, password, certificate: self.certificate })
    }
}

fn choose_gateway(session: &Session, given: Option<GatewayId>) -> anyhow::Result<GatewayKeys> {
    let gateways: Vec<&GatewayKeys> = session.roster.state().gateways.values().collect();
    match (given, gateways.as_slice()) {
        (Some(id), _) => session.roster.gateway(id).cloned().context("the roster has no such gateway"),
        (None, [only]) => Ok((*only).clone()),
        (None, []) => bail!("there is no gateway yet"),
        (None, several) => {
            let names: Vec<String> = several.iter().map(|g| format!("{} ({})", g.id, g.name)).collect();
            bail!("several gateways: choose one with --gateway: {}", names.join(", "))
        }
    }
}

fn seal_to(
    session: &Session,
    gateway: &GatewayKeys,
    camera: CameraId,
    access: &CameraAccess,
    nonce: &str,
) -> anyhow::Result<seal::sealed::Sealed> {
    // The key is the roster's, never one that the cloud says today.
    let key = KemPublic::from_bytes(&gateway.kem.0)?;
    Ok(seal_access(access, &key, (session.roster.org(), gateway.id, camera), nonce, random()))
}

/// Signs a command over the gateway's present configuration and waits for its
/// signed answer.
async fn order(
    session: &Session,
    gateway: &GatewayKeys,
    make: impl FnOnce(&str, &GatewayKeys) -> anyhow::Result<Command>,
) -> anyhow::Result<CommandResult> {
    let previous_state = configuration(session, gateway).await?;
    let nonce: String = random::<16>().iter().map(|byte| format!("{byte:02x}")).collect();
    let command = SiteCommand {
        org: session.roster.org(),
        target: gateway.id,
        nonce: nonce.clone(),
        expires_at: now().plus_ms(COMMAND_MS),
        previous_state,
        command: make(&nonce, gateway)?,
    };
    let envelope = command.sign(session.device(), &session.keys.sign);
    let path = format!("/api/v1/gateways/{}/commands", gateway.id);
    let answer = session.client.post(&path, &json!({ "envelope": envelope })).await?;
    let envelope: Envelope = serde_json::from_value(answer["envelope"].clone())?;
    let key = VerifyingKey::from_bytes(&gateway.sign.0)?;
    let result = CommandResult::verify(&envelope, gateway.id, key, &nonce).context("the gateway's answer")?;
    ensure!(result.ok, "the gateway refused: {}", result.error.unwrap_or_default());
    Ok(result)
}

/// The hash of the gateway's present configuration. A gateway that was just
/// taken in needs a moment to connect.
async fn configuration(session: &Session, gateway: &GatewayKeys) -> anyhow::Result<Hash> {
    let begun = Instant::now();
    loop {
        let answer: Gateways = session.client.get("/api/v1/gateways").await?;
        let found = answer.gateways.into_iter().find(|found| found.id == gateway.id && found.connected);
        if let Some(state) = found.and_then(|found| found.state) {
            return Ok(state);
        }
        ensure!(
            begun.elapsed() < CONNECT_WAIT,
            "gateway {} is not connected to the cloud; look at its log",
            gateway.name
        );
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

async fn test(
    session: &Session,
    gateway: &GatewayKeys,
    camera: CameraId,
    access: &mut CameraAccess,
) -> anyhow::Result<CameraReport> {
    loop {
        let make = |nonce: &str, gateway: &GatewayKeys| -> anyhow::Result<Command> {
            Ok(Command::TestCamera { camera, sealed: seal_to(session, gateway, camera, access, nonce)? })
        };
        let result = order(session, gateway, make).await?;
        let report = result.report.context("the gateway sent no report")?;
        match (&report.main, report.certificate) {
            (None, Some(certificate)) if access.certificate.is_none() => {
                confirm_certificate(certificate)?;
                access.certificate = Some(certificate);
            }
            (None, _) => bail!("the gateway tested nothing"),
            (Some(_), _) => return Ok(report),
        }
    }
}

/// Trust on first use, by a person.
fn confirm_certificate(certificate: Hash) -> anyhow::Result<()> {
    println!("The camera shows a certificate with the SHA-256 fingerprint\n  {certificate}");
    ensure!(
        std::io::stdin().is_terminal(),
        "compare it with the camera's own page, then run this again with --certificate {certificate}"
    );
    print!("Compare it with the camera's own page. Is it the same? [y/N] ");
    std::io::stdout().flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    ensure!(
        matches!(answer.trim(), "y" | "Y" | "yes"),
        "the certificate was not confirmed; nothing was sent to the camera"
    );
    Ok(())
}

fn print_report(report: &CameraReport) {
    for (name, stream) in [("main", report.main.as_ref()), ("sub", report.sub.as_ref())] {
        let Some(StreamReport { video_codec, width, height, audio_codec, key_frame_after_ms }) = stream
        else {
            continue;
        };
        let audio = audio_codec.as_deref().unwrap_or("no audio");
        println!(
            "{name}: {video_codec} {width}×{height}, {audio}, first key frame after {key_frame_after_ms} ms"
        );
    }
}
