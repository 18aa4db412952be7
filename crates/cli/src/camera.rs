//! `lenskeep camera`: signed commands to the gateway,
//! credentials sealed to it.

use std::io::{IsTerminal as _, Write as _};

use anyhow::{Context as _, bail, ensure};
use model::wire::{GatewayKeys, StreamStatus};
use model::{CameraAccess, CameraId, CameraUrl, GatewayId, Hash, OnvifUrl, Secret};
use seal::command::{CameraReport, Command, EventsReport, StreamReport, seal_access};
use seal::keys::KemPublic;
use seal::roster::{Camera, Statement};
use serde::{Deserialize, Serialize};

use crate::approvals;
use crate::client::{Session, Stated, random};
use crate::home::ask_secret;
use crate::orders::{self, Ordered};

#[derive(clap::Args)]
pub(crate) struct Access {
    /// Address of the main stream, such as rtsp://192.0.2.10/stream1.
    url: String,
    /// Address of the small stream.
    #[arg(long, value_name = "URL")]
    sub_url: Option<String>,
    /// Address of the camera's ONVIF device service, for its events; often
    /// http://ADDRESS/onvif/device_service. Or of the event stream of a camera of
    /// Axis, http://ADDRESS/vapix/ws-data-stream.
    #[arg(long, value_name = "URL")]
    onvif_url: Option<String>,
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

/// Names the camera in the roster, then gives its gateway the address. What was
/// interrupted, or waited for others, goes on where it stands.
pub(crate) async fn add(session: &mut Session, name: String, access: Access) -> anyhow::Result<()> {
    let gateway = choose_gateway(session, access.gateway)?;
    let known = session.roster.cameras().find(|known| known.name == name && known.gateway == gateway.id);
    let known = known.cloned();
    if let Some(known) = &known
        && is_recorded(session, known.id).await?
    {
        println!("{} is there already. To give it another address: lenskeep camera change {0}", known.id);
        return Ok(());
    }
    let proposed = approvals::statements(session).await?.into_iter().find_map(|statement| match statement {
        Statement::BindCamera { camera } if camera.name == name && camera.gateway == gateway.id => {
            Some(camera)
        }
        _ => None,
    });
    let begun = known.as_ref().or(proposed.as_ref()).map(|camera| camera.id);
    let camera = begun.unwrap_or_else(|| CameraId::from_random(random()));
    let is_tls = CameraUrl::parse_with_credentials(&access.url)?.0.is_tls();
    let bound = known.as_ref().or(proposed.as_ref()).map(|camera| camera.certificate);

    let put = put(session, &gateway, camera, access, bound);
    let Put { ordered, certificate } = Box::pin(put).await?;
    // The others are told of both at once.
    let mut ready = ordered.said();
    if known.is_none() {
        ensure!(
            certificate.is_some() || !is_tls,
            "run this again with --certificate and the fingerprint that you compared"
        );
        let new = || Camera {
            id: camera,
            name,
            gateway: gateway.id,
            serial: None,
            certificate,
            groups: Default::default(),
        };
        let bound = proposed.unwrap_or_else(new);
        if let Stated::Waits(waits) = session.stated(Statement::BindCamera { camera: bound }).await? {
            println!("{waits}");
            ready = false;
        }
    }
    if ready {
        println!("{camera} is added.");
    } else {
        println!("Afterwards run this command again for what is left.");
    }
    Ok(())
}

/// Gives the gateway another address of a camera.
pub(crate) async fn change(session: &mut Session, camera: CameraId, access: Access) -> anyhow::Result<()> {
    let known = session.roster.camera(camera).context("the roster has no such camera")?.clone();
    let gateway = session.roster.gateway(known.gateway).context("its gateway was shut out")?.clone();
    let put = put(session, &gateway, camera, access, Some(known.certificate));
    let Put { ordered, certificate } = Box::pin(put).await?;
    let mut ready = ordered.said();
    if certificate != known.certificate {
        let bound = Camera { certificate, ..known };
        if let Stated::Waits(waits) = session.stated(Statement::BindCamera { camera: bound }).await? {
            println!("{waits}");
            ready = false;
        }
    }
    if ready {
        println!("The gateway has the new address.");
    }
    Ok(())
}

/// Has the gateway forget a camera's address; what it recorded stays its time.
pub(crate) async fn remove(session: &Session, camera: CameraId) -> anyhow::Result<()> {
    let known = session.roster.camera(camera).context("the roster has no such camera")?;
    let gateway = session.roster.gateway(known.gateway).context("its gateway was shut out")?;
    let command = Command::RemoveCamera { camera };
    let ordered =
        orders::order(session, gateway, |other| *other == command, |_, _| Ok(command.clone())).await?;
    if ordered.said() {
        println!("The gateway has forgotten {camera}, and records it no more.");
    }
    Ok(())
}

struct Put {
    ordered: Ordered,
    certificate: Option<Hash>,
}

/// Tests the camera and has the gateway record it; or takes up what was
/// proposed. `bound` is the certificate that the roster has, if it has the
/// camera.
async fn put(
    session: &Session,
    gateway: &GatewayKeys,
    camera: CameraId,
    access: Access,
    bound: Option<Option<Hash>>,
) -> anyhow::Result<Put> {
    let same = |other: &Command| matches!(other, Command::PutCamera { camera: of, .. } if *of == camera);
    if let Some(ordered) = orders::taken_up(session, gateway, same).await? {
        println!("An address of this camera was proposed before; it is taken up, and not the one given now.");
        println!("For another: `lenskeep approval list`, then `lenskeep approval decline ID`.");
        let certificate = bound.unwrap_or(access.certificate);
        return Ok(Put { ordered, certificate });
    }
    let mut access = access.read()?;
    let report = test(session, gateway, camera, &mut access).await?;
    print_report(&report);
    let sealed_put = |nonce: &str, sealed_to: &GatewayKeys| -> anyhow::Result<Command> {
        Ok(Command::PutCamera { camera, sealed: seal_to(session, sealed_to, camera, &access, nonce)? })
    };
    let ordered = orders::order(session, gateway, |_| false, sealed_put).await?;
    Ok(Put { ordered, certificate: access.certificate })
}

/// Whether its gateway says that it has the camera's address.
async fn is_recorded(session: &Session, camera: CameraId) -> anyhow::Result<bool> {
    let answer: Cameras = session.client.get("/api/v1/cameras").await?;
    Ok(answer.cameras.iter().any(|known| known.id == camera && !known.streams.is_empty()))
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
        let onvif_url = self.onvif_url.as_deref().map(OnvifUrl::parse).transpose()?;
        Ok(CameraAccess { url, sub_url, username, password, certificate: self.certificate, onvif_url })
    }
}

pub(crate) fn choose_gateway(session: &Session, given: Option<GatewayId>) -> anyhow::Result<GatewayKeys> {
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
        let Ordered::Done(Some(result)) = orders::order(session, gateway, |_| false, make).await? else {
            bail!("the gateway tested nothing");
        };
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
    match &report.events {
        Some(EventsReport { error: None }) => println!("events: the camera tells what it sees"),
        Some(EventsReport { error: Some(error) }) => println!("events: none, {error}"),
        None => {}
    }
}
