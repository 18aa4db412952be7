//! `lenskeep verify`: what can be said of recordings without any key, offline.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use model::{CameraId, Hash, Rendition};
use seal::recording::{RECORDING_BYTES_MAX, Recording};
use seal::roster::Roster;

use crate::home::{Home, read_roster};
use crate::times;

/// The roster from `--roster`, else the one that this device has seen.
pub(crate) fn verify(home: &Home, roster: Option<&Path>, paths: &[PathBuf]) -> anyhow::Result<()> {
    let roster = match roster {
        Some(path) => read_roster(path)?,
        None => {
            let device = home.device().context("without a device, give --roster FILE")?;
            home.roster(device.anchor)?.context("this device has no roster; give --roster FILE")?
        }
    };
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
        match check(file, &roster) {
            Ok(Checked { camera, rendition, link, words, unknown_head, unheard }) => {
                println!("genuine  {}  {words}", file.display());
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
                println!("REFUSED  {}  {error:#}", file.display());
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
}

struct Link {
    started_at: model::Timestamp,
    root: Option<Hash>,
    previous: Option<Hash>,
}

fn check(path: &Path, roster: &Roster) -> anyhow::Result<Checked> {
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
        unheard: roster.unheard(header.roster_head, header.started_at),
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
