//! The gateway's own journal of the local way: a chain of entries in one file,
//! each on the disk before what it speaks of happens. What the cloud has taken
//! into its history goes; the newest of that stays, so that the chain does.
//!
//! Refuses to grow beyond its bounds and to go on after a line that was cut
//! off. Whoever cannot write here shows nothing; recording does not ask.

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, ensure};
use model::{Hash, Timestamp};
use seal::local::{ENTRIES_BYTES_MAX, ENTRIES_MAX, JournalEntry, JournalEvent};
use serde::{Deserialize, Serialize};
use tracing::error;

use crate::data::write_whole;
use crate::random;

/// Months of watching without a cloud.
const BYTES_MAX: u64 = 64 << 20;
/// What refused strangers can fill of it.
const REFUSED_BYTES_MAX: u64 = BYTES_MAX / 2;
/// One entry; an export carries a signed action.
const LINE_MAX: usize = 64 << 10;
/// Below this, what the cloud has is not worth a new file.
const FORGET_BYTES_MIN: u64 = 64 << 10;

/// First line of the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    /// Names this journal: one that was lost and begun anew is another.
    journal: Hash,
}

/// May be cloned; all are one journal.
#[derive(Clone, Debug)]
pub(crate) struct Journal(Arc<Mutex<Book>>);

#[derive(Debug)]
struct Book {
    path: PathBuf,
    journal: Hash,
    last: Option<JournalEntry>,
    /// Bytes of whole lines.
    length: u64,
    /// Where the newest line begins that the cloud has, and where it ends.
    taken: Option<(u64, u64)>,
}

impl Journal {
    /// Takes up the journal at `path`. One that is damaged is put aside, never
    /// deleted, and another one begins.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let book = match Book::read(path) {
            Ok(Some(book)) => book,
            Ok(None) => Book::begin(path)?,
            Err(error) => {
                let aside = path.with_extension("damaged");
                error!(
                    error = format!("{error:#}"),
                    "the journal of the local way is damaged; it is put aside as {} and another one begins",
                    aside.display()
                );
                std::fs::rename(path, &aside)
                    .with_context(|| format!("{} could not be put aside", path.display()))?;
                Book::begin(path)?
            }
        };
        Ok(Journal(Arc::new(Mutex::new(book))))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When the newest entry was written.
    pub(crate) fn last_at(&self) -> Timestamp {
        self.lock().last.as_ref().map_or(Timestamp(0), |entry| entry.at)
    }

    /// On the disk when this returns. Blocks as long as the disk does.
    pub(crate) fn append(&self, event: JournalEvent, at: Timestamp) -> anyhow::Result<()> {
        self.lock().append(event, at)
    }

    /// What the cloud has not taken yet, oldest first, as much as goes into
    /// one part; and which journal it is of.
    pub(crate) fn part(&self) -> anyhow::Result<(Hash, Vec<JournalEntry>)> {
        let book = self.lock();
        Ok((book.journal, book.part()?))
    }

    /// The cloud has all entries up to this one.
    pub(crate) fn forget(&self, seq: u64) -> anyhow::Result<()> {
        self.lock().forget(seq)
    }
}

impl Book {
    fn begin(path: &Path) -> anyhow::Result<Self> {
        let journal = Hash(random::bytes());
        let line = line(&Head { journal })?;
        write_whole(path, &line)?;
        Ok(Book { path: path.to_owned(), journal, last: None, length: line.len() as u64, taken: None })
    }

    fn read(path: &Path) -> anyhow::Result<Option<Self>> {
        let file = match File::open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        ensure!(file.metadata()?.is_file(), "{} is no file", path.display());
        let mut lines = BufReader::new(file);
        let head = read_line(&mut lines)?.context("it is empty")?;
        let Head { journal } = serde_json::from_slice(&head).context("its first line")?;
        let mut length = head.len() as u64;
        let mut last: Option<JournalEntry> = None;
        while let Some(line) = read_line(&mut lines)? {
            let entry: JournalEntry = seal::from_canonical(line.trim_ascii_end())?;
            // The first that is left follows one that the cloud has.
            ensure!(
                last.as_ref().is_none_or(|last| entry.follows(last)),
                "entry {} does not follow",
                entry.seq
            );
            length += line.len() as u64;
            last = Some(entry);
        }
        // A line without its end was being written when the power went, and
        // nobody was shown anything for it.
        let file = OpenOptions::new().write(true).open(path)?;
        file.set_len(length)?;
        file.sync_all()?;
        Ok(Some(Book { path: path.to_owned(), journal, last, length, taken: None }))
    }

    fn append(&mut self, event: JournalEvent, at: Timestamp) -> anyhow::Result<()> {
        let bound = match event {
            JournalEvent::Refused { .. } => REFUSED_BYTES_MAX,
            _ => BYTES_MAX,
        };
        let (seq, previous) = match &self.last {
            Some(last) => (last.seq + 1, last.hash()),
            None => (0, Hash::default()),
        };
        let entry = JournalEntry { seq, previous, at, event };
        let line = line(&entry)?;
        ensure!(line.len() <= LINE_MAX, "an entry of {} bytes is too long", line.len());
        ensure!(self.length + line.len() as u64 <= bound, "it is full; it empties when the cloud takes it");
        let file = OpenOptions::new().append(true).open(&self.path);
        let mut file = file.with_context(|| format!("{}", self.path.display()))?;
        let metadata = file.metadata()?;
        ensure!(metadata.is_file(), "{} is no file", self.path.display());
        // Longer by what an earlier attempt left; shorter, somebody else was here.
        ensure!(metadata.len() >= self.length, "{} has lost what stood in it", self.path.display());
        file.set_len(self.length)?;
        if let Err(error) = file.write_all(&line).and_then(|()| file.sync_data()) {
            let _ = file.set_len(self.length);
            return Err(error).with_context(|| format!("{}", self.path.display()));
        }
        self.length += line.len() as u64;
        self.last = Some(entry);
        Ok(())
    }

    /// The lines from `offset` on, with where each begins.
    fn lines_from(
        &self,
        offset: u64,
    ) -> anyhow::Result<impl Iterator<Item = anyhow::Result<(u64, Vec<u8>)>>> {
        let mut file = File::open(&self.path).with_context(|| format!("{}", self.path.display()))?;
        file.seek(SeekFrom::Start(offset))?;
        let mut lines = BufReader::new(file.take(self.length - offset));
        let mut at = offset;
        Ok(std::iter::from_fn(move || {
            let line = read_line(&mut lines).transpose()?;
            let begin = at;
            at += line.as_ref().map_or(0, |line| line.len() as u64);
            Some(line.map(|line| (begin, line)))
        }))
    }

    fn part(&self) -> anyhow::Result<Vec<JournalEntry>> {
        let (from, skip) = match self.taken {
            Some((_, end)) => (end, 0),
            // From the beginning, after the head.
            None => (0, 1),
        };
        let mut entries = Vec::new();
        let mut bytes = 0;
        for line in self.lines_from(from)?.skip(skip) {
            let (_, line) = line?;
            bytes += line.len();
            if !entries.is_empty() && (entries.len() >= ENTRIES_MAX || bytes > ENTRIES_BYTES_MAX) {
                break;
            }
            entries.push(seal::from_canonical(line.trim_ascii_end())?);
        }
        Ok(entries)
    }

    fn forget(&mut self, seq: u64) -> anyhow::Result<()> {
        let (from, skip) = match self.taken {
            Some((_, end)) => (end, 0),
            None => (0, 1),
        };
        let mut taken = self.taken;
        for line in self.lines_from(from)?.skip(skip) {
            let (begin, line) = line?;
            let entry: JournalEntry = seal::from_canonical(line.trim_ascii_end())?;
            if entry.seq > seq {
                break;
            }
            taken = Some((begin, begin + line.len() as u64));
        }
        self.taken = taken;
        let Some((begin, end)) = taken else { return Ok(()) };
        // Rewriting for each part would be the square of a long outage.
        if begin < FORGET_BYTES_MIN || begin < self.length / 2 {
            return Ok(());
        }
        let mut kept = line(&Head { journal: self.journal })?;
        let head = kept.len() as u64;
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(begin))?;
        file.take(self.length - begin).read_to_end(&mut kept)?;
        write_whole(&self.path, &kept)?;
        self.length = kept.len() as u64;
        self.taken = Some((head, head + (end - begin)));
        Ok(())
    }
}

fn line(value: &impl Serialize) -> anyhow::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    Ok(line)
}

/// A whole line with its end, or none.
fn read_line(from: &mut impl std::io::BufRead) -> anyhow::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    from.take(LINE_MAX as u64).read_until(b'\n', &mut line)?;
    ensure!(line.len() < LINE_MAX || line.ends_with(b"\n"), "a line is longer than any entry");
    Ok(line.ends_with(b"\n").then_some(line))
}

#[cfg(test)]
mod tests {
    use model::{DeviceId, PersonId};

    use super::*;

    fn login(n: u8) -> JournalEvent {
        JournalEvent::Login { device: DeviceId::from_random([n; 16]), person: PersonId::from_random([n; 16]) }
    }

    fn refused() -> JournalEvent {
        JournalEvent::Refused { device: None, reason: seal::local::RefusedReason::Device, count: 1 }
    }

    fn seqs(journal: &Journal) -> Vec<u64> {
        journal.part().unwrap().1.iter().map(|entry| entry.seq).collect()
    }

    #[test]
    fn the_chain_goes_on_after_a_restart_and_after_the_cloud_took_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        let journal = Journal::open(&path).unwrap();
        for n in 0..250 {
            journal.append(login(n), Timestamp(u64::from(n))).unwrap();
        }
        let (name, part) = journal.part().unwrap();
        assert_eq!((part.len(), part[0].seq), (ENTRIES_MAX, 0));
        journal.forget(part[ENTRIES_MAX - 1].seq).unwrap();
        assert_eq!(seqs(&journal), (200..250).collect::<Vec<_>>());
        journal.forget(249).unwrap();
        assert_eq!(seqs(&journal), [0; 0]);
        // As after a kill: what was told is told again, with the same numbers.
        let journal = Journal::open(&path).unwrap();
        assert_eq!(journal.last_at(), Timestamp(249));
        journal.append(login(7), Timestamp(500)).unwrap();
        let (same, again) = journal.part().unwrap();
        assert_eq!(same, name);
        let last = journal.lock().last.clone().unwrap();
        assert_eq!(last.seq, 250);
        assert!(again.windows(2).all(|pair| pair[1].follows(&pair[0])));
    }

    #[test]
    fn what_the_cloud_has_makes_room() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        let journal = Journal::open(&path).unwrap();
        for n in 0..1_000_u64 {
            journal.append(login(n as u8), Timestamp(n)).unwrap();
        }
        let before = std::fs::metadata(&path).unwrap().len();
        journal.forget(998).unwrap();
        let after = std::fs::metadata(&path).unwrap().len();
        assert!(after < before / 100, "{after} of {before} bytes are left");
        assert_eq!(seqs(&journal), [999]);
        assert_eq!(
            seqs(&Journal::open(&path).unwrap()),
            [998, 999],
            "the newest that it has keeps the chain"
        );
    }

    #[test]
    fn a_line_that_was_cut_off_is_dropped_and_a_changed_one_puts_the_journal_aside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        let journal = Journal::open(&path).unwrap();
        journal.append(login(1), Timestamp(1)).unwrap();
        journal.append(login(2), Timestamp(2)).unwrap();
        let (name, _) = journal.part().unwrap();
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 5]).unwrap();
        let journal = Journal::open(&path).unwrap();
        assert_eq!(seqs(&journal), [0]);
        journal.append(login(3), Timestamp(3)).unwrap();
        assert_eq!(seqs(&Journal::open(&path).unwrap()), [0, 1]);

        let text = String::from_utf8(whole).unwrap().replace("\"at\":1", "\"at\":7");
        std::fs::write(&path, text).unwrap();
        let journal = Journal::open(&path).unwrap();
        assert_eq!(seqs(&journal), [0; 0]);
        assert_ne!(journal.part().unwrap().0, name, "another journal, which the cloud will notice");
        assert!(path.with_extension("damaged").exists());
    }

    #[test]
    fn a_disk_that_takes_nothing_is_an_error_and_not_a_hole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        let journal = Journal::open(&path).unwrap();
        journal.append(login(1), Timestamp(1)).unwrap();
        let elsewhere = folder.path().join("elsewhere");
        std::fs::rename(&path, &elsewhere).unwrap();
        std::os::unix::fs::symlink("/dev/full", &path).unwrap();
        assert!(journal.append(login(2), Timestamp(2)).is_err());
        std::fs::remove_file(&path).unwrap();
        assert!(journal.append(login(2), Timestamp(2)).is_err(), "nothing there");
        std::fs::write(&path, "").unwrap();
        assert!(journal.append(login(2), Timestamp(2)).is_err(), "something else there");
        std::fs::rename(&elsewhere, &path).unwrap();
        journal.append(login(2), Timestamp(2)).unwrap();
        assert_eq!(seqs(&journal), [0, 1]);
    }

    #[test]
    fn strangers_fill_half_of_it_at_most() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(&folder.path().join("journal.jsonl")).unwrap();
        // Sparse: what stands in it is not read here.
        let path = journal.lock().path.clone();
        OpenOptions::new().write(true).open(path).unwrap().set_len(BYTES_MAX).unwrap();
        journal.lock().length = REFUSED_BYTES_MAX;
        assert!(journal.append(refused(), Timestamp(1)).is_err());
        journal.append(login(1), Timestamp(1)).unwrap();
        journal.lock().length = BYTES_MAX;
        assert!(journal.append(login(1), Timestamp(1)).is_err());
    }
}
