//! What lies there that the index does not know: recordings that are whole, and
//! recordings that were cut off, by the end of the last run or by a disk that
//! did not take them. Both are brought in; what is not ours or cannot be read is
//! put aside, never deleted.

use std::collections::HashSet;
use std::fs::OpenOptions;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use gateway_core::outage::{Around, gap_of_damaged, gaps_around};
use gateway_core::recovery::{Found, Own, Unfit, genuine_header, look_at, number_of};
use gateway_core::volume::Abandoned;
use model::wire;
use seal::recording::{Header, RECORDING_BYTES_MAX};
use seal::roster::Roster;
use tokio::task::spawn_blocking;
use tracing::{info, warn};

use crate::data::{Identity, TEMPORARY, write_whole};
use crate::index::Index;

/// Below the data folder.
pub(crate) const RECORDINGS: &str = "recordings";
/// Below the data folder, too: what is no recording of ours. The oldest of it goes
/// first when the disk is full.
pub(crate) const DAMAGED: &str = "damaged";

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Recovered {
    pub(crate) whole: usize,
    pub(crate) cut_off: usize,
    pub(crate) damaged: usize,
    /// Of another version of this program; left where they are.
    pub(crate) other_version: usize,
    /// Could not be read or written now.
    pub(crate) failed: usize,
}

/// How a file is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closing {
    /// Where it ends.
    InPlace,
    /// Every byte is written again: after a flush that failed, what can be read
    /// may not be on the disk.
    Anew,
}

/// Looks at every file that the index does not know, in the order in which they
/// were begun. Also returns the number of the last, and what the disk did not let
/// us bring in now.
pub(crate) async fn recover(
    root: &Path,
    index: &Index,
    roster: &Roster,
    identity: &Identity,
) -> anyhow::Result<(Recovered, u64, Vec<Abandoned>)> {
    let known: HashSet<String> = index.paths().await?.into_iter().collect();
    let files = files_below(root, Path::new(RECORDINGS))?;
    let (halves, files): (Vec<PathBuf>, Vec<PathBuf>) = files.into_iter().partition(|path| is_half(path));
    for half in halves {
        std::fs::remove_file(root.join(&half)).with_context(|| format!("{}", half.display()))?;
    }
    let last = files.last().map_or(0, |path| number_of(&path.to_string_lossy()));
    let unknown = files.into_iter().filter(|path| !known.contains(path.to_string_lossy().as_ref()));
    let (mut recovered, mut failed) = (Recovered::default(), Vec::new());
    for path in unknown {
        let file = Abandoned { path: path.to_string_lossy().into_owned(), end: None };
        if !bring_in(root, &file, Closing::InPlace, index, roster, identity, &mut recovered).await? {
            failed.push(file);
        }
    }
    if recovered != Recovered::default() {
        let Recovered { whole, cut_off, damaged, .. } = recovered;
        info!(whole, cut_off, damaged, "recordings that lay on the disk were brought in");
    }
    Ok((recovered, last, failed))
}

/// Brings one file in. False if the disk does not let us now; an error is the
/// index's.
pub(crate) async fn bring_in(
    root: &Path,
    file: &Abandoned,
    closing: Closing,
    index: &Index,
    roster: &Roster,
    identity: &Identity,
    recovered: &mut Recovered,
) -> anyhow::Result<bool> {
    let (name, promised_end) = (file.path.as_str(), file.end);
    let taken = {
        let (root, path, roster, identity) =
            (root.to_owned(), PathBuf::from(name), roster.clone(), identity.clone());
        // A disk that hangs holds up this file, and no other task.
        spawn_blocking(move || {
            let own = Own { roster: &roster, gateway: identity.id, signer: &identity.sign };
            take(&root, &path, closing, own)
        })
        .await?
    };
    match taken {
        Ok(Taken::Recording { report, was_cut_off, was_lost }) => {
            let last_end = index.last_end(report.camera, report.rendition, number_of(name)).await?;
            // First the gaps: a crash between says them twice, and never not at all.
            for gap in gaps_around(&report, Around { last_end, was_lost, promised_end }) {
                index.add_gap(&gap).await?;
            }
            index.add_recording(name, &report).await?;
            *if was_cut_off { &mut recovered.cut_off } else { &mut recovered.whole } += 1;
        }
        Ok(Taken::Nothing) => {}
        Ok(Taken::OtherVersion(version)) => {
            warn!(path = name, version, "a recording of another version of this program; it stays as it is");
            recovered.other_version += 1;
        }
        Ok(Taken::Unfit { unfit, header }) => {
            warn!(path = name, error = %unfit, "a file is no recording of ours as it was; it is put aside");
            if let Some(header) = header {
                index.add_gap(&gap_of_damaged(&header, promised_end)).await?;
            }
            put_aside(root, Path::new(name))?;
            recovered.damaged += 1;
        }
        Err(error) => {
            warn!(path = name, error = format!("{error:#}"), "a recording could not be brought in now");
            recovered.failed += 1;
            return Ok(false);
        }
    }
    Ok(true)
}

/// A copy that was not finished; what it was to replace is still there.
fn is_half(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == TEMPORARY)
}

enum Taken {
    Recording { report: wire::Recording, was_cut_off: bool, was_lost: bool },
    Nothing,
    OtherVersion(u8),
    Unfit { unfit: Unfit, header: Option<Header> },
}

/// An error is the disk's; it says nothing about the file.
fn take(root: &Path, path: &Path, closing: Closing, own: Own<'_>) -> anyhow::Result<Taken> {
    let file = root.join(path);
    match std::fs::metadata(&file) {
        // Not read: nothing that we write is so long.
        Ok(known) if known.len() > RECORDING_BYTES_MAX as u64 => {
            return Ok(Taken::Unfit { unfit: Unfit::TooLong, header: None });
        }
        _ => {}
    }
    let mut bytes = match std::fs::read(&file) {
        // Deleted since: there is nothing to bring in.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Taken::Nothing),
        read => read?,
    };
    Ok(match look_at(&bytes, own) {
        Ok(Found::Whole { report, was_lost }) => {
            match closing {
                // A process that was killed may not have flushed it.
                Closing::InPlace => std::fs::File::open(&file)?.sync_all()?,
                Closing::Anew => write_whole(&file, &bytes)?,
            }
            Taken::Recording { report, was_cut_off: false, was_lost }
        }
        Ok(Found::CutOff { keep, tail, report }) => {
            bytes.truncate(keep);
            bytes.extend_from_slice(&tail);
            match closing {
                Closing::InPlace => append(&file, keep, &tail)?,
                Closing::Anew => write_whole(&file, &bytes)?,
            }
            Taken::Recording { report, was_cut_off: true, was_lost: true }
        }
        Ok(Found::Empty) => {
            std::fs::remove_file(&file)?;
            Taken::Nothing
        }
        Ok(Found::OtherVersion(version)) => Taken::OtherVersion(version),
        Err(unfit) => Taken::Unfit { unfit, header: genuine_header(&bytes, own) },
    })
}

/// A crash on the way leaves what was there before: a file that was cut off.
fn append(path: &Path, keep: usize, tail: &[u8]) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).open(path)?;
    file.set_len(keep as u64)?;
    file.seek(SeekFrom::End(0))?;
    file.write_all(tail)?;
    file.sync_all()
}

pub(crate) fn files_below(root: &Path, folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
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
    files.sort_by_cached_key(|path| (number_of(&path.to_string_lossy()), path.clone()));
    Ok(files)
}

fn put_aside(root: &Path, path: &Path) -> anyhow::Result<()> {
    let flat = path.to_string_lossy().replace('/', "_");
    let target = root.join(DAMAGED).join(flat);
    std::fs::create_dir_all(root.join(DAMAGED))?;
    std::fs::rename(root.join(path), &target)
        .with_context(|| format!("{} could not be put aside", path.display()))
}
