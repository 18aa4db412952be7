//! What a container may still give: one account of bytes and entries for all its
//! parts, and the way to whoever is told of them.

use std::io::{self, Read};
use std::rc::Rc;

use super::bytes::join;
use super::{Account, File, HEAD, Part, Skip, Visit};
use crate::limits::Limits;
use crate::volume::Volume;

/// Below this a bomb does no harm.
const RATIO_FROM: u64 = 10 << 20;
/// The same for folders: an image in a file that is packed may be larger than that.
const FOLDERS_FREE: u64 = 64 << 20;

/// Why a reader goes no further.
#[derive(Debug)]
pub(super) enum Stop {
    /// Whoever is told wants no more, or has been told why there is no more.
    Enough,
    Skip(Skip),
}

impl Stop {
    pub(super) fn damaged(what: &'static str) -> Self {
        Self::Skip(Skip::Damaged(what))
    }

    pub(super) fn unsupported(what: &'static str) -> Self {
        Self::Skip(Skip::Unsupported(what))
    }
}

impl From<io::Error> for Stop {
    fn from(err: io::Error) -> Self {
        Self::Skip(reason(&err))
    }
}

/// How many bytes of the source a container covers, if that is known.
pub(super) type Covered = Result<Option<u64>, Stop>;

/// What a file system says of a file.
pub(super) struct About {
    pub(super) bytes: u64,
    /// When it was written last, in seconds since 1970.
    pub(super) written: Option<i64>,
}

pub(super) struct Sink<'a> {
    pub(super) limits: &'a Limits,
    visit: &'a mut dyn Visit,
    /// Bytes that the parts had so far, and may have.
    spent: u64,
    total: u64,
    entries: u64,
    /// Bytes there are, and those of folders that were read.
    source: u64,
    read: u64,
    /// Whether the total is what the ratio allows.
    by_ratio: bool,
    /// Of blocks that are unpacked as they are asked for.
    account: Rc<Account>,
    folders: Vec<String>,
    /// Volumes that have begun and not ended.
    volumes: u32,
    /// A limit is reached: of volumes, files are told by their beginnings, and nothing else.
    heads_only: bool,
}

impl<'a> Sink<'a> {
    /// `source` is how many bytes there are to unpack.
    pub(super) fn new(limits: &'a Limits, visit: &'a mut dyn Visit, source: u64) -> Self {
        let by_ratio = source.saturating_mul(limits.ratio).max(RATIO_FROM);
        let account = visit.account().unwrap_or_else(|| Rc::new(Account::new(source)));
        Self {
            limits,
            visit,
            spent: 0,
            total: by_ratio.min(limits.total_bytes),
            entries: 0,
            source,
            read: 0,
            by_ratio: by_ratio < limits.total_bytes,
            account,
            folders: Vec::new(),
            volumes: 0,
            heads_only: false,
        }
    }

    /// Gives one part away.
    pub(super) fn part(&mut self, name: &str, data: &mut dyn Read) -> Result<(), Stop> {
        self.count()?;
        if self.heads_only {
            return Ok(());
        }
        let name = self.path(name);
        let over = if self.by_ratio { Skip::Ratio } else { Skip::TooLarge };
        let mut metered = Metered { data, left: self.total - self.spent, over, failed: None };
        let before = metered.left;
        let flow = self.visit.part(Part { name: &name, data: &mut metered });
        let (left, failed) = (metered.left, metered.failed);
        self.spent += before - left;
        if let Some(why) = failed {
            self.visit.skipped(&name, why);
            if why == over && left == 0 {
                return self.enough();
            }
        }
        if flow.is_break() { self.enough() } else { Ok(()) }
    }

    /// A limit is reached, or nobody wants more.
    fn enough(&mut self) -> Result<(), Stop> {
        self.heads_only = self.visit.goes_on();
        if self.heads_only { Ok(()) } else { Err(Stop::Enough) }
    }

    /// Gives one file of a volume away: its beginning, and then all of it as a part.
    pub(super) fn file(&mut self, name: &str, about: About, data: &mut dyn Read) -> Result<(), Stop> {
        let mut head = Vec::new();
        // What went wrong goes wrong again when the part is read, if it is.
        let read = Read::take(&mut *data, HEAD as u64).read_to_end(&mut head);
        match read.map_err(|error| reason(&error)) {
            // No more may be read at all.
            Err(Skip::TooLarge) if self.heads_only => return Err(Stop::Skip(Skip::TooMany)),
            Err(why) if self.heads_only => self.skip(name, why),
            _ => {}
        }
        let file = File { head: &head, bytes: about.bytes, written: about.written };
        if self.entries < self.limits.entries {
            self.visit.file(name, &file);
        }
        self.part(name, &mut io::Cursor::new(&head).chain(data))
    }

    /// A volume begins here.
    pub(super) fn volume(&mut self, volume: Volume) {
        self.volumes += 1;
        let name = self.path("");
        self.visit.volume(&name, volume);
    }

    pub(super) fn volumes(&self) -> u32 {
        self.volumes
    }

    /// Ends all volumes but the first `open`.
    pub(super) fn end_volumes(&mut self, open: u32, why: Option<Skip>) {
        for _ in open..self.volumes {
            self.visit.volume_ends(why);
        }
        self.volumes = open;
    }

    /// Counts an entry of any kind, so that no walk is endless.
    pub(super) fn count(&mut self) -> Result<(), Stop> {
        self.entries += 1;
        if self.entries > self.limits.entries { Err(Stop::Skip(Skip::TooMany)) } else { Ok(()) }
    }

    /// Bytes of folders that are read: of an image, no more than twice what it has, so
    /// that a million folders are not the same bytes each.
    pub(super) fn read(&mut self, bytes: u64) -> Result<(), Stop> {
        self.read = self.read.saturating_add(bytes);
        let most = self.source.saturating_mul(2).saturating_add(FOLDERS_FREE);
        if self.read > most { Err(Stop::Skip(Skip::TooMany)) } else { Ok(()) }
    }

    /// A stretch of the source that came out of a part.
    pub(super) fn contents(&mut self, at: u64, end: u64) {
        if self.folders.is_empty() && at < end {
            self.visit.contents(at..end);
        }
    }

    pub(super) fn account(&self) -> Rc<Account> {
        self.account.clone()
    }

    /// Something in place, or a member, was unpacked, at `at` of the source if this lies in
    /// no image.
    pub(super) fn opened(&mut self, at: u64) {
        if self.folders.is_empty() {
            self.visit.opened(at);
        }
    }

    pub(super) fn end(&mut self) {
        self.visit.entries(self.entries);
    }

    pub(super) fn skip(&mut self, name: &str, why: Skip) {
        let name = self.path(name);
        self.visit.skipped(&name, why);
    }

    /// Tells of a link, which is not followed.
    pub(super) fn link(&mut self, name: &str) -> Result<(), Stop> {
        self.count()?;
        self.skip(name, Skip::Link);
        Ok(())
    }

    /// What is damaged in one place is told, and the walk goes on.
    pub(super) fn guard(&mut self, name: &str, result: Result<(), Stop>) -> Result<(), Stop> {
        match result {
            // Every further entry would say the same.
            Err(Stop::Skip(Skip::TooMany)) | Err(Stop::Enough) | Ok(()) => result,
            Err(Stop::Skip(why)) => {
                self.skip(name, why);
                Ok(())
            }
        }
    }

    /// What follows lies in `name`, until `leave`; false where that is too deep.
    pub(super) fn enter(&mut self, name: &str) -> bool {
        if self.folders.len() as u32 >= self.limits.depth {
            return false;
        }
        self.folders.push(name.to_owned());
        true
    }

    pub(super) fn leave(&mut self) {
        self.folders.pop();
    }

    fn path(&self, name: &str) -> String {
        let folder = self
            .folders
            .iter()
            .fold(String::new(), |path, folder| if folder.is_empty() { path } else { join(&path, folder) });
        if name.is_empty() { folder } else { join(&folder, name) }
    }
}

/// Lets no more through than there is left, and remembers what went wrong.
struct Metered<'a> {
    data: &'a mut dyn Read,
    left: u64,
    over: Skip,
    failed: Option<Skip>,
}

impl Read for Metered<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.failed.is_some() {
            return Err(io::Error::other("it was damaged before"));
        }
        let room = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        if room == 0 && !buffer.is_empty() {
            // One byte more tells an end from a limit.
            return match self.data.read(&mut [0])? {
                0 => Ok(0),
                _ => {
                    self.failed = Some(self.over);
                    Err(io::Error::other("it goes beyond the limit"))
                }
            };
        }
        let result = self.data.read(&mut buffer[..room]);
        match &result {
            Ok(count) => self.left -= *count as u64,
            Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
            Err(err) => self.failed = Some(reason(err)),
        }
        result
    }
}

/// What went wrong inside a reader, which can say it only as an error of IO.
#[derive(Debug)]
pub(super) struct Inside(pub(super) Skip);

impl std::fmt::Display for Inside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Inside {}

/// An error of IO that `part` tells as what it is.
pub(super) fn inside(stop: Stop) -> io::Error {
    match stop {
        Stop::Enough => io::Error::other("enough"),
        Stop::Skip(why) => io::Error::other(Inside(why)),
    }
}

fn reason(err: &io::Error) -> Skip {
    if let Some(Inside(why)) = err.get_ref().and_then(|inner| inner.downcast_ref()) {
        return *why;
    }
    match err.kind() {
        io::ErrorKind::OutOfMemory => Skip::TooLarge,
        io::ErrorKind::UnexpectedEof => Skip::Damaged("it ends too early"),
        io::ErrorKind::Unsupported => Skip::Unsupported("a way of packing"),
        _ => Skip::Damaged("it cannot be unpacked to its end"),
    }
}
