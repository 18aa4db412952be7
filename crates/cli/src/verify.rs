//! `lenskeep verify`: what can be said of recordings without any key, offline.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use model::{CameraId, Hash, Rendition};
use seal::recording::{RECORDING_BYTES_MAX, Recording};
use seal::roster::Roster;
use seal::tlog::LogKey;

use crate::dating::{self, Known};
use crate::home::{Home, read_roster};
use crate::proof::{self, Judge};
use crate::roster::unheard;
use crate::text::printable;
use crate::times;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// A roster file; default the one that this device has seen.
    #[arg(long, value_name = "FILE")]
    roster: Option<PathBuf>,
    /// For a proof, in place of a roster: the key of the gateway, as `lenskeep gateway list`
    /// prints it for somebody of the organisation. Several where a camera had several gateways.
    #[arg(long, value_name = "BASE64", conflicts_with = "roster")]
    gateway_key: Vec<String>,
    /// The key of the organisation's history, as `lenskeep audit key` prints it for somebody of
    /// the organisation; default the one that this device has seen.
    #[arg(long, value_name = "KEY")]
    log_key: Option<String>,
    /// For a proof, without a roster: the key of somebody who witnesses the history.
    #[arg(long, value_name = "KEY", requires = "gateway_key")]
    witness_key: Vec<String>,
    /// Write what a proof shows as MP4.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[arg(required = true)]
    paths: Vec<PathBuf>,
}

pub(crate) fn run(home: &Home, arguments: Arguments) -> anyhow::Result<()> {
    let Arguments { roster, gateway_key, log_key, witness_key, out, paths } = arguments;
    let log = log_key.map(|key| LogKey::parse(&key)).transpose().context("--log-key")?;
    let (proofs, recordings): (Vec<PathBuf>, Vec<PathBuf>) =
        paths.into_iter().partition(|path| proof::is_proof(path));
    ensure!(
        out.is_none() || (proofs.len() == 1 && recordings.is_empty()),
        "--out is for one proof (*.lkproof)"
    );
    if !gateway_key.is_empty() {
        ensure!(recordings.is_empty(), "recordings are verified by a roster: give --roster FILE");
        let keys = gateway_key.iter().map(|key| proof::gateway_key(key)).collect::<anyhow::Result<_>>()?;
        let witnesses = witness_key.iter().map(|key| LogKey::parse_cosigner(key));
        let witnesses = witnesses.collect::<Result<_, _>>().context("--witness-key")?;
        let known = Known { log, witnesses };
        return verify_proofs(&Judge::Gateways(keys), &known, &proofs, out.as_deref());
    }
    let roster = match roster {
        Some(path) => read_roster(&path)?,
        None => {
            let told = "give --roster FILE, or --gateway-key for a proof";
            let device = home.device().with_context(|| format!("without a device, {told}"))?;
            home.roster(device.anchor)?.with_context(|| format!("this device has no roster; {told}"))?
        }
    };
    let mut known = Known::of(home, &roster)?;
    known.log = log.or(known.log);
    let proven = verify_proofs(&Judge::Roster(&roster), &known, &proofs, out.as_deref());
    if recordings.is_empty() { proven } else { proven.and(verify(&roster, &known, &recordings)) }
}

/// All of them, also after one that is refused.
fn verify_proofs(
    judge: &Judge<'_>,
    known: &Known,
    paths: &[PathBuf],
    out: Option<&Path>,
) -> anyhow::Result<()> {
    let mut first = Ok(());
    for path in paths {
        match (proof::verify(judge, known, path, out), &first) {
            (Ok(()), _) => {}
            (refused, Ok(())) => first = refused,
            (Err(error), Err(_)) => println!("{}", printable(&format!("{error:#}"))),
        }
    }
    first
}

fn verify(roster: &Roster, known: &Known, paths: &[PathBuf]) -> anyhow::Result<()> {
    let mut files = Vec::new();
    for path in paths {
        collect(path, &mut files)?;
    }
    if files.is_empty() {
        bail!("no recordings (*.lkr) there");
    }
    files.sort();
    let mut chains: HashMap<(CameraId, Rendition), Vec<Link>> = HashMap::new();
    let (mut broken, mut apart) = (0, 0);
    for file in &files {
        match check(file, roster, known) {
            Ok(Checked { camera, rendition, link, words, unknown_head, unheard, began }) => {
                println!("genuine  {}  {words}", file.display());
                began.iter().for_each(|words| println!("         {words}"));
                if let Some(made) = unheard {
                    println!(
                        "         its gateway had not heard of a change of the roster from {}: it was cut off, or the \
                         change was kept from it",
                        times::format(made)
                    );
                }
                if let Some(head) = unknown_head {
                    apart += 1;
                    println!("         its gateway went by statement {head}, which is not in this roster");
                }
                chains.entry((camera, rendition)).or_default().push(link);
            }
            Err(error) => {
                broken += 1;
                println!("REFUSED  {}  {}", file.display(), printable(&format!("{error:#}")));
            }
        }
    }
    for ((camera, rendition), mut links) in chains {
        links.sort_by_key(|link| link.started_at);
        let joins = links.windows(2).filter(|pair| pair[1].previous == pair[0].root).count();
        println!(
            "{camera} {rendition}: {} recordings, {joins} of {} neighbours are joined by their chain",
            links.len(),
            links.len() - 1
        );
    }
    if apart > 0 {
        println!(
            "\n{apart} of {} files were signed on top of a statement that this roster (up to statement {}) does not \
             have. If it is older than they are, take a newer one; if it is newer, the gateway was shown another \
             roster than this one: ask your administrators which is theirs.",
            files.len(),
            roster.head().0
        );
    }
    println!(
        "\nGenuine means: a gateway of the organisation {} ({}) signed these bytes as a recording of this camera and \
         time, and no chunk was altered, added, dropped or moved within a file. Neighbours that are not joined by \
         the chain have a restart, a loss or a missing file between them. Not proven: that the gateway's clock was \
         right, or that the camera showed the truth.",
        roster.name(),
        roster.org()
    );
    if broken > 0 {
        bail!("{broken} of {} files were refused", files.len());
    }
    Ok(())
}

struct Checked {
    camera: CameraId,
    rendition: Rendition,
    link: Link,
    words: String,
    /// What the gateway took for the roster's newest statement, if we do not
    /// have it.
    unknown_head: Option<Hash>,
    /// When a statement was made that it had not heard of long afterwards.
    unheard: Option<model::Timestamp>,
    /// When it was made at the earliest, if its header says anything of that.
    began: Vec<String>,
}

struct Link {
    started_at: model::Timestamp,
    root: Option<Hash>,
    previous: Option<Hash>,
}

fn check(path: &Path, roster: &Roster, known: &Known) -> anyhow::Result<Checked> {
    let length = std::fs::metadata(path)?.len();
    if length > RECORDING_BYTES_MAX as u64 {
        bail!("larger than a recording can be ({RECORDING_BYTES_MAX} bytes)");
    }
    let bytes = std::fs::read(path)?;
    let recording = Recording::parse(&bytes)?;
    recording.verify(roster)?;
    let header = &recording.header.header;
    let name = roster.camera(header.camera).map_or("unknown camera", |camera| camera.name.as_str());
    let begin = times::format(header.started_at);
    let (root, previous, end) = match &recording.footer {
        Some(footer) => {
            (Some(footer.root), footer.previous_root, format!("{:.1} s", footer.duration_ms as f64 / 1_000.0))
        }
        None => (None, None, "cut off: its end is not signed".to_owned()),
    };
    Ok(Checked {
        camera: header.camera,
        rendition: header.rendition,
        link: Link { started_at: header.started_at, root, previous },
        words: format!("{name}, {}, {begin}, {end}", header.rendition),
        unheard: unheard(roster, header.roster_head, header.started_at),
        began: match header.checkpoint {
            Some(_) => dating::began(header, known)?,
            None => Vec::new(),
        },
        unknown_head: Some(header.roster_head).filter(|head| !roster.contains_hash(*head)),
    })
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let failed = || format!("{} could not be read", path.display());
    if !std::fs::metadata(path).with_context(failed)?.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    for entry in std::fs::read_dir(path).with_context(failed)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), files)?;
        } else if entry.path().extension().is_some_and(|extension| extension == "lkr") {
            files.push(entry.path());
        }
    }
    Ok(())
}
