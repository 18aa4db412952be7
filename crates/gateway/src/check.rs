//! `lenskeep-gateway check`: is all there that the index says, and does the
//! index say all that is there? With `--repair`, what can be made right is. The
//! files are the truth; the index is made from them.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use gateway_core::outage::gap_of;
use gateway_core::recovery::{Found, Own, look_at};
use gateway_core::uplink::State;
use model::wire::GapReason;
use seal::sha256;
use tracing::info;

use crate::config::Config;
use crate::data::{DataFolder, Identity, RosterLog};
use crate::index::Index;
use crate::recover::{RECORDINGS, files_below, recover};

/// Named one by one at most; the rest is counted.
const NAMED_MAX: usize = 100;
const PROGRESS: usize = 500;

/// What a check found.
#[derive(Clone, Debug, Default)]
pub struct Checked {
    /// In a line.
    pub summary: String,
    /// What is wrong, or was, each with its place.
    pub wrong: Vec<String>,
    /// Of these, so many are right now.
    pub repaired: usize,
}

impl Checked {
    pub fn is_well(&self) -> bool {
        self.wrong.len() == self.repaired
    }

    fn found(&mut self, what: String, repaired: bool) {
        self.wrong.push(what);
        self.repaired += usize::from(repaired);
    }
}

/// Looks at the whole data folder, and reads every recording. Changes nothing
/// without `repair`. No gateway may run on it.
pub async fn check(config: &Config, repair: bool) -> anyhow::Result<Checked> {
    config.validate()?;
    let folder = DataFolder::open(&config.data)?;
    let identity = folder.identity(&config.name())?;
    let mut checked = Checked::default();
    let Some(membership) = folder.membership()? else {
        checked.summary = format!("{} belongs to no organisation yet", identity.id);
        return Ok(checked);
    };
    let roster = RosterLog::open(&folder, membership.anchor)?;
    let site = folder.site(identity.id)?;
    let root = folder.path("");
    let index = match open(&folder.path("index.sqlite"), repair, &mut checked).await? {
        Some(index) => index,
        None => {
            checked.summary = format!("{}: the recordings were not looked at", identity.id);
            return Ok(checked);
        }
    };
    let own = Own { roster: roster.roster(), gateway: identity.id, signer: &identity.sign };
    if repair {
        index.set_forwarding(&site.forwarding()).await?;
    }
    check_unknown(&root, &index, own, repair, &identity, &mut checked).await?;
    check_known(&root, &index, repair, &mut checked).await?;
    let recordings = index.all().await?;
    let confirmed = recordings.iter().filter(|(_, state)| *state == State::Confirmed).count();
    index.close().await;
    checked.summary = format!(
        "{}: roster of {} at statement {}, {} cameras, {} recordings ({confirmed} confirmed by the cloud)",
        identity.id,
        roster.roster().name(),
        roster.roster().head().0,
        site.cameras.len(),
        recordings.len(),
    );
    Ok(checked)
}

/// The index, made anew if it cannot be read.
async fn open(path: &Path, repair: bool, checked: &mut Checked) -> anyhow::Result<Option<Index>> {
    // Opening it to write would make one where there is none.
    let opened = if repair { Index::open(path).await } else { Index::open_to_read(path).await };
    let unreadable = match opened {
        Ok(index) => match index.is_sound().await {
            Ok(()) => return Ok(Some(index)),
            Err(error) => {
                index.close().await;
                error
            }
        },
        Err(error) => error,
    };
    checked.found(format!("{} cannot be read: {unreadable:#}", path.display()), repair);
    if !repair {
        return Ok(None);
    }
    let salvaged = Index::salvage(path).await;
    put_aside(path)?;
    let index = Index::open(path).await?;
    index.restore(&salvaged).await?;
    info!(
        grants = salvaged.grants.len(),
        gaps = salvaged.gaps.len(),
        "the index is made anew; these could be read in the old one"
    );
    Ok(Some(index))
}

/// What is damaged stays beside the new one: nothing is deleted.
pub(crate) fn put_aside(path: &Path) -> anyhow::Result<()> {
    for suffix in ["", "-wal", "-shm"] {
        let mut from = path.as_os_str().to_owned();
        from.push(suffix);
        let mut to = path.as_os_str().to_owned();
        to.push(format!("{suffix}.damaged"));
        let (from, to) = (PathBuf::from(from), PathBuf::from(to));
        match std::fs::rename(&from, &to) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            renamed => renamed.with_context(|| format!("{} could not be put aside", from.display()))?,
        }
    }
    Ok(())
}

/// Files that the index does not know.
async fn check_unknown(
    root: &Path,
    index: &Index,
    own: Own<'_>,
    repair: bool,
    identity: &Identity,
    checked: &mut Checked,
) -> anyhow::Result<()> {
    let known: HashSet<String> = index.paths().await?.into_iter().collect();
    for path in files_below(root, Path::new(RECORDINGS))? {
        let name = path.to_string_lossy().into_owned();
        if known.contains(&name) {
            continue;
        }
        let bytes = std::fs::read(root.join(&path)).with_context(|| format!("{name} could not be read"))?;
        let (what, can) = match look_at(&bytes, own) {
            Ok(Found::Whole { .. }) => ("is whole and not in the index".to_owned(), true),
            Ok(Found::CutOff { .. }) => ("was cut off and not closed".to_owned(), true),
            Ok(Found::Empty) => ("holds nothing yet".to_owned(), true),
            Ok(Found::OtherVersion(version)) => {
                (format!("is of format version {version}; it stays as it is"), false)
            }
            Err(unfit) => (format!("is no recording of this gateway: {unfit}"), true),
        };
        checked.found(format!("{name} {what}"), repair && can);
    }
    if repair {
        recover(root, index, own.roster, identity).await?;
    }
    Ok(())
}

/// Rows whose file is gone or is not what was written.
async fn check_known(root: &Path, index: &Index, repair: bool, checked: &mut Checked) -> anyhow::Result<()> {
    let rows = index.all().await?;
    for (n, (pending, state)) in rows.iter().enumerate() {
        if n > 0 && n % PROGRESS == 0 {
            info!("{n} of {} recordings read", rows.len());
        }
        let what = match std::fs::read(root.join(&pending.path)) {
            Ok(bytes) if sha256(&bytes) == pending.report.sha256 => continue,
            Ok(_) => "is not what was written",
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => "is gone",
            Err(error) => return Err(error).with_context(|| format!("{} could not be read", pending.path)),
        };
        let elsewhere = *state == State::Confirmed;
        let words = if elsewhere { "; the cloud has it" } else { "" };
        if *state == State::Damaged {
            // It was told when it was noticed.
            continue;
        }
        checked.found(format!("{} {what}{words}", pending.path), repair);
        if !repair {
            continue;
        }
        if elsewhere && what == "is gone" {
            index.remove_recording(pending.report.id).await?;
            continue;
        }
        if !elsewhere {
            index.add_gap(&gap_of(&pending.report, GapReason::Damaged)).await?;
        }
        index.set_state(pending.report.id, State::Damaged).await?;
    }
    Ok(())
}

impl std::fmt::Display for Checked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for wrong in self.wrong.iter().take(NAMED_MAX) {
            writeln!(f, "{wrong}")?;
        }
        let more = self.wrong.len().saturating_sub(NAMED_MAX);
        if more > 0 {
            writeln!(f, "and {more} more")?;
        }
        f.write_str(&self.summary)?;
        match (self.wrong.len(), self.repaired) {
            (0, _) => f.write_str("; all is well"),
            (wrong, 0) => write!(f, "; {wrong} things are not right: run it with --repair"),
            (wrong, repaired) => write!(f, "; {repaired} of {wrong} things that were not right are repaired"),
        }
    }
}
