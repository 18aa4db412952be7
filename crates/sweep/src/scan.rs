//! The engine: windows over a source, containers in them, encodings in those, and
//! the rules over all that comes out.
//!
//! Memory is bounded by one window, the parts that are held on the way down (one at
//! each depth, [`Limits::part_bytes`] each), what readers of packed disks keep (16 MiB in
//! all), and what was found.

mod book;
mod covered;
mod hits;
mod label;
mod named;
mod paper;
mod part;
mod sealed;
mod window;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::{ControlFlow, Range};
use std::rc::Rc;

use serde::{Deserialize, Serialize};

use crate::decode::{self, Step};
use crate::defaults::Defaults;
use crate::finding::{Digest32, Finding, Severity};
use crate::limits::Limits;
use crate::read::ReadAt;
use crate::rules::Rules;
use crate::unpack::{self, Account, LOOK_AHEAD, Skip};
use crate::volume::{Lock, Volume};
use covered::Covered;
use hits::Hits;

/// Looked at in one piece, in bytes.
const WINDOW: usize = 8 << 20;
/// Seen beyond it, for what begins in it.
const MARGIN: usize = 1 << 20;
/// Seen before it: the most that a rule looks back, and the names of values.
const BEFORE: usize = 2 << 10;
/// So far in front of a border, the end of a line is looked for.
const BORDER: usize = 4 << 10;
/// Text that decoders may give, for each byte that was read. Escapes inside escapes
/// would otherwise multiply with each depth.
const DECODED_RATIO: u64 = 16;
const DECODED_FREE: u64 = 1 << 20;
/// Entries, nodes and packets that may be looked at for each part that an input may have.
const STEPS: u64 = 8;
/// How often containers may read each byte of an input and of what it unpacked to.
const WORK_RATIO: u64 = 64;
const WORK_FREE: u64 = 256 << 20;
/// Unpacked without asking for the ratio, in bytes.
const RATIO_FREE: u64 = 10 << 20;

/// Volumes of one input that are told.
const VOLUMES_MAX: u64 = 1000;
/// An image of a card has so many bytes at least.
const IMAGE_MIN: u64 = 1 << 20;

/// What a sweep tells while it runs.
pub enum Notice<'a> {
    /// An input, or a part of one, begins, with the chain of names that leads to it. Of
    /// a part that is larger than [`Limits::part_bytes`] this is its beginning, and not the whole.
    Part { chain: &'a [String], source: &'a dyn ReadAt, is_whole: bool },
    /// Something was found, for the first time in this part.
    Found(Finding),
    /// A file system or a partition was looked at: encrypted or not, and what footage
    /// lies open there.
    Volume(Volume),
    /// Something was not read, with the chain of names that leads to it.
    Skipped { chain: &'a [String], why: String },
    /// So many bytes of the input have been read. Told again and again while something in
    /// it is read, so that whoever wants to end it can.
    Read(u64),
}

impl fmt::Debug for Notice<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Part { chain, .. } => f.debug_struct("Part").field("chain", chain).finish_non_exhaustive(),
            Self::Found(finding) => f.debug_tuple("Found").field(finding).finish(),
            Self::Skipped { chain, why } => {
                f.debug_struct("Skipped").field("chain", chain).field("why", why).finish()
            }
            Self::Volume(volume) => f.debug_tuple("Volume").field(volume).finish(),
            Self::Read(bytes) => f.debug_tuple("Read").field(bytes).finish(),
        }
    }
}

/// What a sweep did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Of inputs, in bytes.
    pub read: u64,
    /// Out of containers, in bytes.
    pub unpacked: u64,
    /// Read by containers, and by what looked like one, and unpacked of packed disks, in
    /// bytes.
    pub worked: u64,
    /// Texts that encodings gave, in bytes.
    pub decoded: u64,
    /// Given to expressions, in bytes.
    pub searched: u64,
    /// Of hashes that were tried with passwords that vendors deliver.
    pub rounds: u64,
    /// Inputs and parts.
    pub parts: u64,
    pub findings: u64,
    pub skipped: u64,
    /// Of those, what is encrypted, or looks so.
    pub locked: u64,
    /// Of those, what the system would not read.
    pub failed: u64,
    /// File systems of which not all was looked at, or that are encrypted.
    pub unread: u64,
    /// The input itself, from its first byte on, is encrypted or of a kind that is not read.
    /// A card that is encrypted is as it should be, and none of these.
    pub closed: bool,
}

/// A sweep with these rules and limits.
#[derive(Debug)]
pub struct Sweep<'a> {
    pub rules: &'a Rules,
    pub limits: Limits,
    /// Seconds since 1970, by which tokens have ended or not.
    pub now: i64,
}

impl Sweep<'_> {
    /// Sweeps one input by itself. `tell` may break, which ends it.
    pub fn input(
        &self,
        name: &str,
        source: &dyn ReadAt,
        tell: &mut dyn FnMut(Notice<'_>) -> ControlFlow<()>,
    ) -> Totals {
        self.input_with(&mut Defaults::default(), name, source, tell)
    }

    /// Sweeps one input of several, which have `defaults` together.
    pub fn input_with(
        &self,
        defaults: &mut Defaults,
        name: &str,
        source: &dyn ReadAt,
        tell: &mut dyn FnMut(Notice<'_>) -> ControlFlow<()>,
    ) -> Totals {
        defaults.begin();
        let mut run = Run {
            sweep: self,
            tell,
            chain: vec![name.to_owned()],
            depth: 0,
            totals: Totals { parts: 1, ..Totals::default() },
            input_len: source.len(),
            scanned: 0,
            entries: 0,
            steps: 0,
            account: Rc::new(Account::new(source.len())),
            told_spent: false,
            paper: None,
            is_loose: false,
            is_again: false,
            seen: HashSet::new(),
            texts: HashSet::new(),
            told_since: None,
            found: HashMap::new(),
            counted: (0, 0),
            defaults,
            volumes: 0,
            told_volumes: HashMap::new(),
            damaged: HashSet::new(),
            is_known: false,
            stopped: false,
        };
        let answered = run.source(source, true);
        run.as_a_whole(source);
        run.sealed(source, &answered, 0, run.volumes == 0);
        let mut totals = run.totals;
        totals.rounds = run.defaults.rounds();
        totals
    }
}

struct Run<'a> {
    sweep: &'a Sweep<'a>,
    tell: &'a mut dyn FnMut(Notice<'_>) -> ControlFlow<()>,
    /// Names from the input to what is read now.
    chain: Vec<String>,
    depth: u32,
    totals: Totals,
    input_len: u64,
    scanned: u64,
    entries: u64,
    /// Entries, nodes and packets of all containers that were tried.
    steps: u64,
    /// What readers of packed disks spend and keep.
    account: Rc<Account>,
    told_spent: bool,
    /// What is read now is a document of PDF.
    paper: Option<paper::Paper>,
    /// In a stream of zlib in the midst of something: it may end where that goes on.
    is_loose: bool,
    /// In what was read as blocks of a disk before, where it lies in pieces: what is missing
    /// was told then.
    is_again: bool,
    /// Secrets and the part in which each was told of.
    seen: HashSet<(Digest32, u64)>,
    /// Texts that decoders gave in this window.
    texts: HashSet<u64>,
    /// Findings since here are of files among which this lies.
    told_since: Option<u64>,
    /// When each was told last, as the number of the finding.
    found: HashMap<Digest32, u64>,
    /// In the window: up to where ends of lines are counted, and how many there are.
    counted: (usize, u64),
    /// Tries hashes with passwords that everybody knows.
    defaults: &'a mut Defaults,
    /// That were told.
    volumes: u64,
    /// By the numbers of the file systems.
    told_volumes: HashMap<String, Severity>,
    /// Where something damaged was told.
    damaged: HashSet<u64>,
    /// Something was unpacked that begins where the input does.
    is_known: bool,
    stopped: bool,
}

/// A window: `own` is what it answers for, the rest is what it may look at.
struct Window<'a> {
    bytes: &'a [u8],
    own: Range<usize>,
    hits: &'a Hits,
    /// Offset of `bytes` in its part.
    base: u64,
    /// Ends of lines before `bytes`.
    lines: u64,
    /// For decoded text: what it was in.
    origin: Option<Origin<'a>>,
    /// Findings since here are of parts of this source: they are not told again.
    inner: Option<u64>,
}

/// Where decoded text comes from.
#[derive(Clone, Copy)]
struct Origin<'a> {
    window: &'a Window<'a>,
    /// In its bytes.
    at: usize,
    steps: &'a [Step],
}

/// What was said of a source.
struct Answered {
    /// Up to here.
    end: u64,
    /// As [`Window::inner`], if anything was unpacked.
    inner: Option<u64>,
}

impl Run<'_> {
    fn tell(&mut self, notice: Notice<'_>) {
        self.stopped |= (self.tell)(notice).is_break();
    }

    fn skipped(&mut self, why: impl Into<String>) {
        self.totals.skipped += 1;
        let why = why.into();
        // Of one entry the first thing that is damaged says enough: others follow from it.
        if why.starts_with("damaged") && !self.damaged.insert(self.shown_place()) {
            return;
        }
        let notice = Notice::Skipped { chain: &self.chain, why };
        self.stopped |= (self.tell)(notice).is_break();
    }

    /// A name for where this is, as reports tell it.
    fn shown_place(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.chain.iter().filter(|name| !name.is_empty()).for_each(|name| name.hash(&mut hasher));
        hasher.finish()
    }

    /// A name for where this is, without encodings.
    fn place(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.chain.iter().filter(|name| !is_encoding(name)).for_each(|name| name.hash(&mut hasher));
        hasher.finish()
    }

    /// A file, or a part in memory, from its start to its end: all of it, or what has its
    /// margin behind it, if more comes. Whether anything was unpacked, and up to where it
    /// answers for what lies there.
    fn source(&mut self, source: &dyn ReadAt, is_whole: bool) -> Answered {
        let notice = Notice::Part { chain: &self.chain, source, is_whole };
        self.stopped |= (self.tell)(notice).is_break();
        let len = source.len();
        let most = if is_whole { len } else { len.saturating_sub(MARGIN as u64) };
        let mut answered = 0;
        let mark = self.totals.findings;
        let mut covered = Covered::new(mark);
        let mut unpacked = false;
        let (mut start, mut lines) = (behind_hole(source, 0), 0_u64);
        let mut held = Vec::new();
        let outer = self.paper.take();
        while start < len && !self.stopped {
            let before = start.min(BEFORE as u64);
            let base = start - before;
            let wanted = (len - base).min(before + (WINDOW + MARGIN) as u64) as usize;
            let buffer = match view(source, base, wanted, &mut held) {
                Ok(buffer) => buffer,
                Err(error) => {
                    self.totals.failed += 1;
                    self.skipped(format!("could not be read from byte {start} on: {error}"));
                    break;
                }
            };
            let mut own = before as usize..buffer.len().min(before as usize + WINDOW);
            if own.is_empty() {
                break;
            }
            if base + (own.end as u64) < len {
                own.end = border(buffer, own.clone());
            }
            if base == 0 && buffer.starts_with(paper::MAGIC) {
                self.paper = Some(paper::Paper::default());
            }
            covered.forget(start);
            let mut hits = Hits::default();
            if !covered.is_whole(&(start..start + own.len() as u64)) {
                hits = self.hits(buffer, own.clone());
                let seen = &buffer[own.start..];
                unpacked |= self.containers(source, seen, start, own.len(), &hits, &mut covered);
            }
            // What is not answered for here is read again, with what follows.
            let mut text = own.clone();
            if base + text.end as u64 > most {
                let end = usize::try_from(most.saturating_sub(base)).unwrap_or_default();
                text.end = border(buffer, text.start..end.max(text.start));
            }
            if !text.is_empty() {
                answered = base + text.end as u64;
            }
            let inner = unpacked.then_some(mark);
            let mut rest = covered.rest(text, base);
            if is_whole && base == 0 && len <= WINDOW as u64 && buffer.starts_with(decode::RTF) {
                self.alone(buffer, decode::rtf(buffer));
                rest.clear();
            }
            // Between members of an archive lie thousands of them.
            let mut apart = (rest.len() > 1).then(|| hits.apart());
            for own in rest.drain(..) {
                let near = apart.as_mut().map(|apart| apart.of(&own));
                let hits = near.as_ref().unwrap_or(&hits);
                self.window(&Window { bytes: buffer, own, hits, base, lines, origin: None, inner });
            }
            if is_whole && len == buffer.len() as u64 {
                self.named(buffer);
            }
            // The next buffer begins `BEFORE` before the next window.
            let next = behind_hole(source, start + own.len() as u64);
            let kept = next - next.min(BEFORE as u64) - base;
            lines +=
                memchr::memchr_iter(b'\n', &buffer[..kept.min(buffer.len() as u64) as usize]).count() as u64;
            start = next;
            if self.depth == 0 {
                self.totals.read = start;
            }
            self.tell(Notice::Read(self.totals.read));
        }
        if let Some(paper) = std::mem::replace(&mut self.paper, outer) {
            self.paper(source, &paper);
        }
        Answered { end: answered, inner: unpacked.then_some(mark) }
    }

    /// Unpacks what begins in the first `own` bytes; whether anything came out.
    fn containers(
        &mut self,
        source: &dyn ReadAt,
        bytes: &[u8],
        start: u64,
        own: usize,
        hits: &Hits,
        covered: &mut Covered,
    ) -> bool {
        let mut any = false;
        for (at, format) in unpack::find_at(bytes, own, &hits.magics) {
            let at = start + at as u64;
            if self.stopped || covered.holds(format, at) {
                continue;
            }
            if self.is_spent() {
                return any;
            }
            if self.depth >= self.sweep.limits.depth {
                self.skipped("deeper than the limit");
                return any;
            }
            // What still lies among files that were told need not be told again.
            let outer = self.told_since;
            self.told_since = outer.or(covered.told_since(at));
            let again = self.is_again;
            self.is_again |= covered.is_block(at);
            let mut outcome = self.container(format, source, at);
            self.is_again = again;
            self.told_since = outer;
            any |= outcome.parts > 0;
            self.is_known |= self.depth == 0 && at == 0 && outcome.parts > 0;
            covered.open(std::mem::take(&mut outcome.opened));
            if let Some(len) = outcome.covered {
                covered.take(format, at..at.saturating_add(len), outcome);
            }
        }
        any
    }

    /// A device, or an image of one, that is of no known format.
    fn as_a_whole(&mut self, source: &dyn ReadAt) {
        let is_device = source.is_device();
        let is_image = is_device || is_image(&self.chain[0], source.len());
        if self.stopped || self.volumes > 0 || self.is_known || !is_image || !unpack::is_unknown(source) {
            return;
        }
        let volume = unpack::unknown(source);
        if is_device || volume.lock != Lock::Unknown {
            self.volume(Volume { chain: self.chain.clone(), ..volume });
        }
    }

    /// What is encrypted by how it begins, whatever else came out of it; and noise, if nothing
    /// did, and nothing was told since `skipped`.
    fn sealed(&mut self, source: &dyn ReadAt, answered: &Answered, skipped: u64, is_whole: bool) {
        if self.stopped {
            return;
        }
        let is_open = answered.inner.is_some() || self.totals.skipped > skipped || self.is_again;
        if let Some(sealed) = sealed::sealed(source, is_whole && !is_open) {
            self.totals.locked += u64::from(sealed.is_locked());
            self.totals.closed |= self.depth == 0;
            self.skipped(sealed.why());
        }
    }

    fn volume(&mut self, volume: Volume) {
        // Among files that were told, the same is met again, and perhaps not in one piece.
        let told = volume.id.as_ref().map(|id| self.told_volumes.insert(id.clone(), volume.severity()));
        if self.told_since.is_some() && told.is_none_or(|told| told >= Some(volume.severity())) {
            return;
        }
        self.volumes += 1;
        self.totals.unread += u64::from(volume.lock != Lock::Open || !volume.unread.is_empty());
        match self.volumes {
            ..VOLUMES_MAX => self.tell(Notice::Volume(volume)),
            VOLUMES_MAX => self.skipped("more file systems than are told"),
            _ => {}
        }
    }

    /// Whether no more may be unpacked, which is told once.
    fn is_spent(&mut self) -> bool {
        let Some(why) = self.overspent() else { return false };
        if !std::mem::replace(&mut self.told_spent, true) {
            self.skipped(why.to_string());
        }
        true
    }

    /// Why no more may be unpacked.
    fn overspent(&self) -> Option<Skip> {
        let limits = &self.sweep.limits;
        let plausible = self.input_len.saturating_mul(limits.ratio).saturating_add(RATIO_FREE);
        if self.totals.unpacked > limits.total_bytes {
            Some(Skip::TooLarge)
        } else if self.totals.unpacked > plausible {
            Some(Skip::Ratio)
        } else if self.entries > limits.entries
            || self.steps > limits.entries.saturating_mul(STEPS)
            || self.work_left() == 0
        {
            Some(Skip::TooMany)
        } else {
            None
        }
    }

    /// Bytes that containers may still read.
    fn work_left(&self) -> u64 {
        let read = self.input_len.saturating_add(self.totals.unpacked);
        let most = read.saturating_mul(WORK_RATIO).saturating_add(WORK_FREE);
        most.saturating_sub(self.totals.worked)
    }
}

/// Where a window ends that would end with `own`: behind the last line in it, so that what
/// two rules know of one line is seen at once, or where it would, if there is none near.
fn border(bytes: &[u8], own: Range<usize>) -> usize {
    let from = own.start.max(own.end.saturating_sub(BORDER));
    memchr::memrchr2(b'\n', 0, &bytes[from..own.end]).map_or(own.end, |end| from + end + 1)
}

/// Of a file that somebody made of a card or a disk.
fn is_image(name: &str, bytes: u64) -> bool {
    let name = name.to_ascii_lowercase();
    let is_called_so = [".img", ".image", ".dd", ".raw"].iter().any(|end| name.ends_with(end));
    is_called_so && bytes >= IMAGE_MIN && bytes.is_multiple_of(512)
}

/// Where to go on from `at`. What begins in a hole has its magic number behind it.
fn behind_hole(source: &dyn ReadAt, at: u64) -> u64 {
    let data = source.data_from(at);
    match data < source.len() {
        true => data.saturating_sub(LOOK_AHEAD as u64).max(at),
        false => data,
    }
}

/// `wanted` bytes from `at`, or as many as there are: in `held`, if they are not in memory.
fn view<'a>(
    source: &'a dyn ReadAt,
    at: u64,
    wanted: usize,
    held: &'a mut Vec<u8>,
) -> std::io::Result<&'a [u8]> {
    if let Some(rest) = source.in_memory().and_then(|all| all.get(at as usize..)) {
        return Ok(&rest[..wanted.min(rest.len())]);
    }
    held.resize(wanted, 0);
    let read = read_full(source, at, held)?;
    Ok(&held[..read])
}

/// Whether there is nothing but zeros: nothing begins there.
fn is_zero(bytes: &[u8]) -> bool {
    let (blocks, rest) = bytes.as_chunks::<64>();
    blocks.iter().all(|block| block.iter().fold(0, |any, byte| any | byte) == 0)
        && rest.iter().all(|byte| *byte == 0)
}

fn is_encoding(name: &str) -> bool {
    name.starts_with('(')
}

pub(crate) fn read_full(source: &dyn ReadAt, offset: u64, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut read = 0;
    while read < buffer.len() {
        match source.read_at(offset + read as u64, &mut buffer[read..]) {
            Ok(0) => break,
            Ok(more) => read += more,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}
