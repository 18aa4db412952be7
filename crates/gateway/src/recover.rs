//! What lies there that the index does not know: recordings that are whole, and
//! recordings that were cut off, by the end of the last run or by a disk that
//! did not take them. Both are brought in; what is not ours or cannot be read is
//! put aside, never deleted.

use std::collections::HashSet;
use std::fs::OpenOptions;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use gateway_core::outage::{hole_before, torn_end};
use gateway_core::recovery::{Found, Own, look_at, number_of};
use model::wire;
use seal::roster::Roster;
use tracing::{info, warn};

use crate::data::{Identity, TEMPORARY, write_whole};
use crate::index::Index;

/// Below the data folder.
pub(crate) const RECORDINGS: &str = "recordings";
const DAMAGED: &str = "damaged";

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Recovered {
    pub(crate) whole: usize,
    pub(crate) cut_off: usize,
    pub(crate) damaged: usize,
    /// Of another version of this program; left where they are.
    pub(crate) other_version: usize,
    /// Could not be read or written now; the next start tries again.
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
/// were begun. Also returns the number of the last.
pub(crate) async fn recover(
    root: &Path,
    index: &Index,
    roster: &Roster,
    identity: &Identity,
) -> anyhow::Result<(Recovered, u64)> {
    let known: HashSet<String> = index.paths().await?.into_iter().collect();
    let files = files_below(root, Path::new(RECORDINGS))?;
    let (halves, files): (Vec<PathBuf>, Vec<PathBuf>) = files.into_iter().partition(|path| is_half(path));
    for half in halves {
        std::fs::remove_file(root.join(&half)).with_context(|| format!("{}", half.display()))?;
    }
    let last = files.last().map_or(0, |path| number_of(&path.to_string_lossy()));
    let unknown = files.into_iter().filter(|path| !known.contains(path.to_string_lossy().as_ref()));
    let (recovered, _) = bring_in(root, unknown, Closing::InPlace, index, roster, identity).await?;
    Ok((recovered, last))
}

/// Brings these files in. Besides what became of them, says which it could not
/// deal with now.
pub(crate) async fn bring_in(
    root: &Path,
    paths: impl Iterator<Item = PathBuf>,
    closing: Closing,
    index: &Index,
    roster: &Roster,
    identity: &Identity,
) -> anyhow::Result<(Recovered, Vec<PathBuf>)> {
    let own = Own { roster, gateway: identity.id, signer: &identity.sign };
    let (mut recovered, mut failed) = (Recovered::default(), Vec::new());
    for path in paths {
        let name = path.to_string_lossy().into_owned();
        match take(root, &path, closing, own) {
            Ok(Taken::Whole { report, was_lost }) => {
                add(index, &name, &report, was_lost).await?;
                recovered.whole += 1;
            }
            Ok(Taken::CutOff(report)) => {
                add(index, &name, &report, true).await?;
                recovered.cut_off += 1;
            }
            Ok(Taken::Nothing) => {}
            Ok(Taken::OtherVersion(version)) => {
                warn!(
                    path = name,
                    version, "a recording of another version of this program; it stays as it is"
                );
                recovered.other_version += 1;
            }
            Ok(Taken::Damaged) => recovered.damaged += 1,
            Err(error) => {
                warn!(path = name, error = format!("{error:#}"), "a recording could not be brought in now");
                recovered.failed += 1;
                failed.push(path);
            }
        }
    }
    if recovered != Recovered::default() {
        let Recovered { whole, cut_off, damaged, .. } = recovered;
        info!(whole, cut_off, damaged, "recordings that lay on the disk were brought in");
    }
    Ok((recovered, failed))
}

/// First the gaps: a crash between says them twice, and never not at all.
async fn add(index: &Index, path: &str, report: &wire::Recording, was_lost: bool) -> anyhow::Result<()> {
    let last_end = index.last_end(report.camera, report.rendition).await?;
    let torn_end = was_lost.then(|| torn_end(report));
    for gap in hole_before(report, last_end).into_iter().chain(torn_end) {
        index.add_gap(&gap).await?;
    }
    index.add_recording(path, report).await
}

/// A copy that was not finished; what it was to replace is still there.
fn is_half(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == TEMPORARY)
}

enum Taken {
    Whole { report: wire::Recording, was_lost: bool },
    CutOff(wire::Recording),
    Nothing,
    OtherVersion(u8),
    Damaged,
}

/// An error is the disk's; it says nothing about the file.
fn take(root: &Path, path: &Path, closing: Closing, own: Own<'_>) -> anyhow::Result<Taken> {
    let file = root.join(path);
    let mut bytes = std::fs::read(&file)?;
    Ok(match look_at(&bytes, own) {
        Ok(Found::Whole { report, was_lost }) => {
            match closing {
                // A process that was killed may not have flushed it.
                Closing::InPlace => std::fs::File::open(&file)?.sync_all()?,
                Closing::Anew => write_whole(&file, &bytes)?,
            }
            Taken::Whole { report, was_lost }
        }
        Ok(Found::CutOff { keep, tail, report }) => {
            bytes.truncate(keep);
            bytes.extend_from_slice(&tail);
            match closing {
                Closing::InPlace => append(&file, keep, &tail)?,
                Closing::Anew => write_whole(&file, &bytes)?,
            }
            Taken::CutOff(report)
        }
        Ok(Found::Empty) => {
            std::fs::remove_file(&file)?;
            Taken::Nothing
        }
        Ok(Found::OtherVersion(version)) => Taken::OtherVersion(version),
        Err(unfit) => {
            warn!(path = %path.display(), error = %unfit, "a file is no recording of ours; it is put aside");
            put_aside(root, path)?;
            Taken::Damaged
        }
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
