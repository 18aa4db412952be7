//! What the last run left behind: recordings that are whole but not in the
//! index, and recordings that were cut off. Both are brought in; what is not
//! ours or cannot be read is put aside, never deleted.

use std::collections::HashSet;
use std::fs::OpenOptions;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use model::wire;
use seal::recording::{Footer, Header, Recording, TrackKind, close_cut_off, object_name};
use seal::roster::Roster;
use seal::sha256;
use tracing::{info, warn};

use crate::data::Identity;
use crate::index::Index;

/// Below the data folder.
pub(crate) const RECORDINGS: &str = "recordings";
const DAMAGED: &str = "damaged";

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Recovered {
    pub(crate) whole: usize,
    pub(crate) cut_off: usize,
    pub(crate) damaged: usize,
}

/// Looks at every file that the index does not know.
pub(crate) async fn recover(
    root: &Path,
    index: &Index,
    roster: &Roster,
    identity: &Identity,
) -> anyhow::Result<Recovered> {
    let known: HashSet<String> = index.paths().await?.into_iter().collect();
    let mut recovered = Recovered::default();
    for path in files_below(root, Path::new(RECORDINGS))? {
        let name = path.to_string_lossy().into_owned();
        if known.contains(&name) {
            continue;
        }
        match bring_in(&root.join(&path), roster, identity) {
            Ok((report, was_cut_off)) => {
                index.add_recording(&name, &report).await?;
                if was_cut_off {
                    recovered.cut_off += 1;
                } else {
                    recovered.whole += 1;
                }
            }
            Err(error) => {
                warn!(
                    path = name,
                    error = format!("{error:#}"),
                    "a file is no recording of ours; it is put aside"
                );
                put_aside(root, &path)?;
                recovered.damaged += 1;
            }
        }
    }
    if recovered != Recovered::default() {
        let Recovered { whole, cut_off, damaged } = recovered;
        info!(whole, cut_off, damaged, "recordings of the last run were brought in");
    }
    Ok(recovered)
}

/// Verifies a recording and closes it if it was cut off.
fn bring_in(path: &Path, roster: &Roster, identity: &Identity) -> anyhow::Result<(wire::Recording, bool)> {
    let mut bytes = std::fs::read(path)?;
    let recording = Recording::parse(&bytes)?;
    recording.verify(roster)?;
    let header = recording.header.header.clone();
    let id = recording.header.id;
    ensure!(header.gateway == identity.id, "it was recorded by another gateway");
    ensure!(!recording.chunks.is_empty(), "it holds no chunk");
    let was_cut_off = recording.is_cut_off();
    let footer = match recording.footer.clone() {
        Some(footer) if !was_cut_off => footer,
        _ => {
            let (keep, tail, footer) = close_cut_off(&recording, &identity.sign);
            drop(recording);
            let mut file = OpenOptions::new().write(true).open(path)?;
            file.set_len(keep as u64)?;
            file.seek(SeekFrom::End(0))?;
            file.write_all(&tail)?;
            file.sync_all()?;
            bytes.truncate(keep);
            bytes.extend_from_slice(&tail);
            footer
        }
    };
    Ok((report(&header, id, &footer, bytes.len() as u64, sha256(&bytes)), was_cut_off))
}

/// RECORDING of protocol.md.
pub(crate) fn report(
    header: &Header,
    id: model::Hash,
    footer: &Footer,
    bytes: u64,
    sha256: model::Hash,
) -> wire::Recording {
    let video = header.tracks.iter().find(|track| track.kind == TrackKind::Video);
    wire::Recording {
        name: object_name(header.org, header.camera, header.rendition, header.started_at, footer.root),
        id,
        camera: header.camera,
        rendition: header.rendition,
        epoch: header.epoch,
        started_at: header.started_at,
        duration_ms: footer.duration_ms,
        bytes,
        sha256,
        key_frames: footer.key_frames,
        root: footer.root,
        previous_root: footer.previous_root,
        has_audio: header.tracks.iter().any(|track| track.kind == TrackKind::Audio),
        codec: video.map(|track| track.codec.clone()).unwrap_or_default(),
    }
}

fn files_below(root: &Path, folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = match std::fs::read_dir(root.join(&folder)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => {
                return Err(error).with_context(|| format!("{} could not be read", folder.display()));
            }
        };
        for entry in entries {
            let entry = entry?;
            let path = folder.join(entry.file_name());
            // Links are not followed: nothing outside is ours.
            let kind = entry.file_type()?;
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

fn put_aside(root: &Path, path: &Path) -> anyhow::Result<()> {
    let flat = path.to_string_lossy().replace('/', "_");
    let target = root.join(DAMAGED).join(flat);
    std::fs::create_dir_all(root.join(DAMAGED))?;
    std::fs::rename(root.join(path), &target)
        .with_context(|| format!("{} could not be put aside", path.display()))
}
