//! What stays on this disk and what goes, in a task of its own: a disk that hangs
//! holds up neither recording nor orders.
//!
//! Deleted is by age and size, after the cloud has read the recording back, and
//! in the open when the disk is full. Before what is confirmed goes, a part of it,
//! drawn at random, is asked for and compared: what a store had a month ago, it may
//! have lost. What the disk had given up is brought in when it takes bytes again. And
//! what hours that are over hold is signed for.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use gateway_core::hours::Signer;
use gateway_core::outage::gap_of;
use gateway_core::retention::{Clock, Plan, Planner, Policy, QUIET_MS_MIN, Stored, is_spare};
use gateway_core::site::Site;
use gateway_core::trouble::Room;
use gateway_core::uplink::{Pending, State};
use gateway_core::volume::Abandoned;
use model::wire::{GapReason, READ_BACK_BYTES_MAX, READ_BACK_PARTS_MAX, ReadBackPart};
use model::{Hash, Timestamp};
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::MissedTickBehavior;
use tracing::{error, info, warn};

use crate::cloud::Cloud;
use crate::config::RecordingSection;
use crate::data::Identity;
use crate::disk::Disk;
use crate::forward::Wake;
use crate::index::{Index, Judged, Uncounted};
use crate::local::View;
use crate::recover::{self, Closing, DAMAGED, Recovered};
use crate::{clock, random};

const SWEEP: Duration = Duration::from_secs(30);
/// Between two pages of recordings that are judged by other kinds: recording comes
/// first.
const JUDGE: Duration = Duration::from_millis(100);
/// Recordings that are looked at together.
const OLDEST_AT_ONCE: i64 = 1_000;
/// And deleted in one sweep because their time is over.
const DUE_AT_ONCE: usize = 1_000;
/// And asked for before.
const READ_BACK_AT_ONCE: usize = 256;
/// After one was sent again because the store did not show it, for the first time.
const ASKED_AGAIN: Duration = Duration::from_secs(20);
/// Recordings of which the store showed nothing. When there are more, they stay.
const MISSED_MAX: usize = 10_000;

/// Recordings that are due for being quiet, and are planned for in one sweep: more
/// than go in it, and than those that the store must be asked for later.
const PLENTY: usize = MISSED_MAX + DUE_AT_ONCE;
/// Twice the room that has to be left: from there on it is told that nothing which
/// is on the disk is safe elsewhere.
const SCARCE_FACTOR: u64 = 2;

/// What retention goes by. Both come together and change together: footage is never
/// judged by kinds of one setting and days of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rules {
    pub(crate) policy: Policy,
    /// Of which kinds footage is quiet all the same.
    pub(crate) uncounted: Uncounted,
}

/// How much a sweep does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Makes room if the disk would fill.
    Room,
    All,
}

/// Of which recordings retention looks at the oldest.
#[derive(Clone, Copy, Debug)]
enum Shelf {
    QuietSpare,
    Spare,
    Quiet,
    All,
}

/// Why a recording goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    Due,
    /// The disk would fill, and others have it or its time is over.
    Full,
    /// The disk would fill, and nobody else has it.
    Lost,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Missed {
    times: u32,
    until: Instant,
}

pub(crate) struct Keeper {
    pub(crate) root: PathBuf,
    pub(crate) identity: Identity,
    pub(crate) index: Index,
    pub(crate) disk: Disk,
    /// As administrators set it.
    pub(crate) rules: watch::Receiver<Rules>,
    pub(crate) view: watch::Receiver<Arc<View>>,
    pub(crate) cloud: watch::Receiver<Option<Cloud>>,
    /// Recordings that the disk gave up, or did not let us read, and that were not
    /// brought in yet.
    pub(crate) abandoned: Vec<Abandoned>,
    /// Whether there are any: then the index does not know where recordings end.
    pub(crate) is_in_the_dark: watch::Sender<bool>,
    /// For those who tell people of trouble.
    pub(crate) room: watch::Sender<Room>,
    pub(crate) wake: Arc<Wake>,
    /// What could not be deleted in this run.
    pub(crate) stuck: HashSet<Hash>,
    /// Of which the store showed nothing.
    pub(crate) missed: HashMap<Hash, Missed>,
}

impl Keeper {
    /// Runs until dropped.
    pub(crate) async fn run(mut self) {
        let mut sweep = tokio::time::interval(SWEEP);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut late = None;
        loop {
            tokio::select! {
                _ = sweep.tick() => {}
                // Set otherwise: at once.
                Ok(()) = self.rules.changed() => {}
                () = tokio::time::sleep(JUDGE), if late.is_some() => {
                    late = self.judge(late).await;
                    continue;
                }
            }
            self.sweep(Scope::All).await;
            if let Err(error) = self.bring_in_abandoned().await {
                warn!(error = format!("{error:#}"), "recordings that the disk did not take wait");
            }
            self.is_in_the_dark.send_replace(!self.abandoned.is_empty());
            if let Err(error) = self.make_hours().await {
                warn!(error = format!("{error:#}"), "the indexes of past hours could not be made");
            }
            if late.is_none() {
                late = self.judge(None).await;
            }
        }
    }

    /// A page of recordings by the kinds that count now, and how far that is. What is
    /// late stays longer than it must, and goes no earlier.
    async fn judge(&self, at: Option<Judged>) -> Option<Judged> {
        self.index.judge_quiet_again(at).await.unwrap_or_else(|error| {
            warn!(error = format!("{error:#}"), "recordings could not be judged by the kinds that count now");
            None
        })
    }

    async fn make_hours(&self) -> anyhow::Result<()> {
        let org = self.view.borrow().roster.org();
        let signer = Signer { org, gateway: self.identity.id, key: &self.identity.sign };
        if self.index.make_hours(signer, clock::now()).await? > 0 {
            self.wake.all();
        }
        Ok(())
    }

    /// Deletes what may go, and says what could not be. Before the start of anything
    /// else only what the disk has no room for.
    pub(crate) async fn sweep(&mut self, scope: Scope) {
        if let Err(error) = self.delete(scope).await {
            warn!(error = format!("{error:#}"), "old recordings could not be deleted");
        }
    }

    /// What is gone and nobody else has becomes a gap.
    async fn delete(&mut self, scope: Scope) -> anyhow::Result<()> {
        let now = clock::now();
        let rules = *self.rules.borrow_and_update();
        let policy = rules.policy;
        let free = self.free().await?;
        // What is no recording goes before what is one.
        let freed = if free < policy.free_bytes_min {
            self.drop_put_aside(policy.free_bytes_min - free).await?
        } else {
            0
        };
        let is_agreed = self.cloud.borrow().as_ref().is_some_and(|cloud| cloud.agrees(now));
        // By a clock that somebody set ahead, no lock is over.
        if is_agreed {
            self.index.end_locks(now).await?;
        }
        let clock = Clock { now, is_agreed };
        let Plan { due, mut due_confirmed, full, lost } =
            plan(&self.index, rules, (free.saturating_add(freed), clock), &self.stuck).await?;
        for id in full {
            if self.is_set_otherwise() {
                return Ok(());
            }
            let why = if lost.contains(&id) { Why::Lost } else { Why::Full };
            self.remove_or_remember(id, why).await;
        }
        self.room.send_replace(self.room_left(policy, !lost.is_empty()).await?);
        if scope == Scope::Room {
            return Ok(());
        }
        for id in due.into_iter().take(DUE_AT_ONCE) {
            if self.is_set_otherwise() {
                return Ok(());
            }
            self.remove_or_remember(id, Why::Due).await;
        }
        due_confirmed.retain(|id| self.may_be_asked_for(*id));
        due_confirmed.truncate(READ_BACK_AT_ONCE);
        for ids in due_confirmed.chunks(READ_BACK_PARTS_MAX) {
            match self.read_back(ids).await {
                Ok(shown) => {
                    for id in shown {
                        if self.is_set_otherwise() {
                            return Ok(());
                        }
                        self.remove_or_remember(id, Why::Due).await;
                    }
                }
                Err(error) => {
                    let error = format!("{error:#}");
                    warn!(error, "what was forwarded stays here until the store shows it");
                    break;
                }
            }
        }
        self.index.drop_old_events(now).await?;
        self.index.drop_grants_before(now.minus_ms(Timestamp::DAY)).await
    }

    /// By what was planned before nothing goes then; the next sweep begins at once.
    fn is_set_otherwise(&self) -> bool {
        self.rules.has_changed().unwrap_or(false)
    }

    async fn free(&self) -> anyhow::Result<u64> {
        let root = self.root.clone();
        let volume = spawn_blocking(move || rustix::fs::statvfs(&root)).await?;
        let volume = volume.context("the free space could not be asked for")?;
        Ok(volume.f_bavail.saturating_mul(volume.f_frsize))
    }

    async fn room_left(&self, policy: Policy, was_lost: bool) -> anyhow::Result<Room> {
        let free = self.free().await?;
        if was_lost || free < policy.free_bytes_min {
            return Ok(Room::None);
        }
        // Above it, what is safe elsewhere would go first.
        let is_scarce = free < policy.free_bytes_min.saturating_mul(SCARCE_FACTOR);
        let is_all_owed = is_scarce && self.index.oldest_spare(None, 1).await?.is_empty();
        Ok(if is_all_owed && self.index.bytes().await? > 0 { Room::Scarce } else { Room::Enough })
    }

    /// One that cannot be deleted holds up no other, nor counts as room.
    async fn remove_or_remember(&mut self, id: Hash, why: Why) {
        if let Err(error) = self.remove(id, why).await {
            error!(recording = %id, error = format!("{error:#}"), "a recording could not be deleted");
            self.stuck.insert(id);
        }
    }

    async fn remove(&self, id: Hash, why: Why) -> anyhow::Result<()> {
        let Some((pending, state)) = self.index.recording(id).await? else { return Ok(()) };
        match why {
            // The site was set otherwise since.
            Why::Due if !is_spare(state) => return Ok(()),
            // Whatever happens from here on, forwarding misses the file and tells.
            Why::Lost => self.index.set_state(id, State::Kept).await?,
            Why::Due | Why::Full => {}
        }
        let unlink = async {
            match tokio::fs::remove_file(self.root.join(&pending.path)).await {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    Err(error).with_context(|| format!("{} could not be deleted", pending.path))
                }
                _ => Ok(()),
            }
        };
        if why == Why::Lost {
            unlink.await?;
            error!(recording = %id, "the disk is full: a recording that nobody else has had to go");
            self.index.add_gap(&gap_of(&pending.report, GapReason::DiskFull)).await?;
            self.index.remove_recording(id).await?;
        } else if !self.index.remove_unlocked(id, unlink).await? {
            info!(recording = %id, "stays: it was locked since it was planned to go");
            return Ok(());
        }
        info!(recording = %id, bytes = pending.report.bytes, "deleted by retention");
        Ok(())
    }

    /// The oldest files that were put aside go, until there is room. Returns how
    /// much there is more.
    async fn drop_put_aside(&self, bytes: u64) -> anyhow::Result<u64> {
        let folder = self.root.join(DAMAGED);
        spawn_blocking(move || drop_oldest(&folder, bytes)).await?
    }

    /// Asks the store for a part of each of these, drawn at random, and compares.
    /// Returns those that may go here; one that is not there as it was is sent again.
    async fn read_back(&mut self, ids: &[Hash]) -> anyhow::Result<Vec<Hash>> {
        let cloud = self.cloud.borrow().clone().context("there is no connection to the cloud")?;
        let (mut asked, mut shown) = (Vec::new(), Vec::new());
        for &id in ids {
            let Some((pending, _)) = self.index.recording(id).await? else { continue };
            let bytes = pending.report.bytes.min(READ_BACK_BYTES_MAX);
            let first = below(pending.report.bytes - bytes + 1);
            let part = ReadBackPart { id, first, bytes };
            match self.part_here(&pending, part).await {
                Ok(Some(here)) => asked.push((part, here)),
                Ok(None) => {
                    warn!(path = pending.path, "a recording that is to be deleted is gone already");
                    shown.push(id);
                }
                Err(error) => {
                    warn!(error = format!("{error:#}"), "a recording that is to be deleted stays");
                    self.stuck.insert(id);
                }
            }
        }
        if asked.is_empty() {
            return Ok(shown);
        }
        let parts = cloud.read_back(asked.iter().map(|(part, _)| *part).collect()).await?;
        anyhow::ensure!(
            parts.len() == asked.len(),
            "the cloud answered about other parts than were asked for"
        );
        for ((part, here), there) in asked.into_iter().zip(parts) {
            if there.is_some_and(|there| there.0 == here) {
                self.missed.remove(&part.id);
                shown.push(part.id);
            } else {
                self.send_again(part.id).await?;
            }
        }
        Ok(shown)
    }

    /// Each time it takes longer until it is asked for again: a cloud that shows
    /// nothing must not have us send for ever.
    async fn send_again(&mut self, id: Hash) -> anyhow::Result<()> {
        let times = self.missed.get(&id).map_or(0, |missed| missed.times);
        if times == 0 && self.missed.len() >= MISSED_MAX {
            return Ok(());
        }
        error!(recording = %id, times, "the store no longer has a recording as it was; it is sent again");
        self.index.set_state(id, State::Kept).await?;
        let until = Instant::now() + ASKED_AGAIN * (1 << times.min(10));
        self.missed.insert(id, Missed { times: times + 1, until });
        self.wake.all();
        Ok(())
    }

    fn may_be_asked_for(&self, id: Hash) -> bool {
        self.missed.get(&id).is_none_or(|missed| missed.until <= Instant::now())
    }

    async fn part_here(&self, pending: &Pending, part: ReadBackPart) -> anyhow::Result<Option<Vec<u8>>> {
        let path = self.root.join(&pending.path);
        let read = spawn_blocking(move || {
            use std::os::unix::fs::FileExt as _;
            let mut bytes = vec![0; part.bytes as usize];
            std::fs::File::open(&path)?.read_exact_at(&mut bytes, part.first)?;
            Ok::<_, std::io::Error>(bytes)
        });
        match read.await? {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error)
                if matches!(
                    error.kind(),
                    std::io::ErrorKind::NotFound | std::io::ErrorKind::UnexpectedEof
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(error).with_context(|| format!("{} could not be read", pending.path)),
        }
    }

    /// What the disk did not take to its end, once it takes something again.
    async fn bring_in_abandoned(&mut self) -> anyhow::Result<()> {
        let given_up = self.disk.abandoned().await;
        self.abandoned.extend(given_up);
        let mut recovered = Recovered::default();
        let mut waiting = Vec::new();
        let mut outcome = Ok(());
        while let Some(file) = self.abandoned.pop() {
            let view = self.view.borrow().clone();
            let (index, identity) = (&self.index, &self.identity);
            let brought = recover::bring_in(
                &self.root,
                &file,
                Closing::Anew,
                index,
                &view.roster,
                identity,
                &mut recovered,
            )
            .await;
            if !matches!(brought, Ok(true)) {
                waiting.push(file);
            }
            if let Err(error) = brought {
                outcome = Err(error);
                break;
            }
        }
        self.abandoned.append(&mut waiting);
        if recovered != Recovered::default() {
            info!(?recovered, "recordings that the disk had not taken were looked at");
            self.wake.all();
        }
        outcome
    }
}

pub(crate) async fn plan(
    index: &Index,
    Rules { policy, uncounted }: Rules,
    (free, clock): (u64, Clock),
    stuck: &HashSet<Hash>,
) -> anyhow::Result<Plan> {
    let mut planner = Planner::new(policy, index.bytes().await?, free, clock);
    let looking = Looking { index, uncounted, stuck };
    if policy.quiet_ms_max.is_some() {
        let goes_on = |stored: &Stored| planner.look_at_quiet(stored) && !planner.has_plenty(PLENTY);
        looking.at(Shelf::QuietSpare, goes_on).await?;
    }
    looking.at(Shelf::Spare, |stored| planner.look_at_spare(stored)).await?;
    if planner.is_full() && policy.quiet_ms_max.is_some() {
        looking.at(Shelf::Quiet, |stored| planner.look_at_quiet_rest(stored)).await?;
    }
    if planner.is_full() {
        looking.at(Shelf::All, |stored| planner.look_at_rest(stored)).await?;
    }
    Ok(planner.plan())
}

struct Looking<'a> {
    index: &'a Index,
    uncounted: Uncounted,
    /// What is looked at no more.
    stuck: &'a HashSet<Hash>,
}

impl Looking<'_> {
    /// From the oldest on, for as long as `goes_on` says so.
    async fn at(&self, shelf: Shelf, mut goes_on: impl FnMut(&Stored) -> bool) -> anyhow::Result<()> {
        let (index, mut last) = (self.index, None);
        loop {
            let (after, kinds) = (last.as_ref(), self.uncounted);
            let page = match shelf {
                Shelf::QuietSpare => index.oldest_quiet_spare(after, OLDEST_AT_ONCE, kinds).await?,
                Shelf::Spare => index.oldest_spare(after, OLDEST_AT_ONCE).await?,
                Shelf::Quiet => index.oldest_quiet(after, OLDEST_AT_ONCE, kinds).await?,
                Shelf::All => index.oldest(after, OLDEST_AT_ONCE).await?,
            };
            last = page.last().copied();
            let mut looked_at = page.iter().filter(|stored| !self.stuck.contains(&stored.id));
            if last.is_none() || !looked_at.all(&mut goes_on) {
                return Ok(());
            }
        }
    }
}

/// By what the site is set to and by what this machine is.
pub(crate) fn rules(site: &Site, recording: &RecordingSection) -> Rules {
    let quiet = site.retention.quiet.as_ref();
    let policy = Policy {
        bytes_max: site.retention.bytes_max,
        age_ms_max: u64::from(site.retention.age_days_max) * Timestamp::DAY,
        quiet_ms_max: quiet.map(|quiet| u64::from(quiet.days_max) * Timestamp::DAY),
        quiet_ms_min: QUIET_MS_MIN,
        age_ms_min: recording.keep_minutes_min * Timestamp::MINUTE,
        free_bytes_min: recording.free_mebibytes_min << 20,
    };
    Rules { policy, uncounted: Uncounted::of(quiet.map(|quiet| &quiet.kinds)) }
}

/// A number below this one, which is not 0.
fn below(end: u64) -> u64 {
    u64::from_le_bytes(random::bytes()) % end
}

fn drop_oldest(folder: &Path, bytes: u64) -> anyhow::Result<u64> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        entries => entries.with_context(|| format!("{} could not be read", folder.display()))?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry?;
        let known = entry.metadata()?;
        files.push((known.modified()?, known.len(), entry.path()));
    }
    files.sort();
    let mut freed = 0;
    for (_, length, path) in files {
        if freed >= bytes {
            break;
        }
        std::fs::remove_file(&path).with_context(|| format!("{} could not be deleted", path.display()))?;
        warn!(path = %path.display(), "the disk is full: a file that was put aside had to go");
        freed += length;
    }
    Ok(freed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_aside_goes_oldest_first_and_no_more_than_needed() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(drop_oldest(&folder.path().join("none"), 1).unwrap(), 0);
        let begun = std::time::SystemTime::now();
        for n in 0..4_u64 {
            let file = std::fs::File::create(folder.path().join(format!("{}", 9 - n))).unwrap();
            file.set_len(100).unwrap();
            file.set_modified(begun + Duration::from_secs(n)).unwrap();
        }
        assert_eq!(drop_oldest(folder.path(), 150).unwrap(), 200);
        let mut left: Vec<_> =
            std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["6", "7"]);
    }
}
