//! Parts of containers: held in memory if they fit, so that containers inside them
//! can be unpacked, and otherwise read once from front to back.

use std::cell::Cell;
use std::io::{self, Read};
use std::ops::{ControlFlow, Range};
use std::rc::Rc;

use super::book::{Book, Tee};
use super::paper::Paper;
use super::{Answered, BEFORE, MARGIN, Notice, Run, VOLUMES_MAX, WINDOW, Window, border};
use crate::read::ReadAt;
use crate::unpack::{self, Account, File, Format, Part, Skip, Visit};
use crate::volume::{Lock, Volume};

/// Read at once of what is unpacked, in bytes: at first, and at most.
const BLOCK_FIRST: usize = 4 << 10;
const BLOCK: usize = 256 << 10;

/// What a container gave.
#[derive(Default)]
pub(super) struct Outcome {
    /// How many bytes it covers, if that is known.
    pub(super) covered: Option<u64>,
    pub(super) parts: u64,
    /// Where partitions and members begin that were unpacked with it.
    pub(super) opened: Vec<u64>,
    /// Stretches of the source that are contents of parts.
    pub(super) contents: Vec<Range<u64>>,
}

/// A source of which so much may be read. What leads nowhere is read as well as what
/// is a container, so this is what bounds the time that lies take.
struct Metered<'a> {
    source: &'a dyn ReadAt,
    left: Cell<u64>,
}

/// A read of a few bytes takes as long as that of so many.
const READ_MIN: u64 = 64;

impl ReadAt for Metered<'_> {
    fn len(&self) -> u64 {
        self.source.len()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.left.get();
        if left == 0 {
            return Err(io::Error::new(io::ErrorKind::OutOfMemory, "too much was read"));
        }
        let read = self.source.read_at(offset, buffer)?;
        self.left.set(left.saturating_sub(READ_MIN.max(read as u64)));
        Ok(read)
    }

    fn data_from(&self, offset: u64) -> u64 {
        self.source.data_from(offset)
    }
}

/// Begins with so many known bytes that chance makes none.
fn is_long_magic(format: Format) -> bool {
    matches!(
        format,
        Format::SevenZip
            | Format::Squashfs
            | Format::Zip
            | Format::Cramfs
            | Format::UImage
            | Format::Cab
            | Format::Luks
            | Format::Qcow2
            | Format::Vmdk
            | Format::Vhd
            | Format::Vhdx
            | Format::Vdi
            | Format::Rar
    )
}

impl Run<'_> {
    pub(super) fn container(&mut self, format: Format, source: &dyn ReadAt, at: u64) -> Outcome {
        let limits = self.sweep.limits.clone();
        let source = Metered { source, left: Cell::new(self.work_left()) };
        let before = source.left.get();
        self.settle();
        let outer = std::mem::replace(&mut self.is_loose, format == Format::Zlib && at > 0);
        self.depth += 1;
        let mut visitor = Visitor {
            run: self,
            format,
            at,
            outcome: Outcome::default(),
            held: Vec::new(),
            open: Vec::new(),
            volumes: Vec::new(),
            book: Book::default(),
        };
        let covered = unpack::unpack(format, &source, at, &limits, &mut visitor);
        let Visitor { mut outcome, held, volumes, book, .. } = visitor;
        outcome.covered = covered;
        self.book(&book);
        self.depth -= 1;
        self.totals.worked += before - source.left.get();
        self.settle();
        // A magic number in the midst of something, from which nothing came, was none.
        // So was the beginning of a stream that something else holds in pieces, as PNG does.
        let is_sure = at == 0 || outcome.parts > 0 && !self.is_loose;
        self.is_loose = outer;
        let is_closed = |volume: &Volume| volume.lock != Lock::Open && is_long_magic(format);
        let is_told = |volume: &Volume| is_sure || unpack::is_locked(format) || is_closed(volume);
        for volume in volumes.into_iter().filter(is_told) {
            self.volume(volume);
        }
        for (name, why) in held {
            let is_closed = matches!(why, Skip::Encrypted | Skip::Unsupported(_)) && is_long_magic(format);
            let is_told = self.is_again && matches!(why, Skip::Damaged(_));
            if (is_sure || is_closed) && !is_told {
                let is_all = self.depth == 0 && at == 0 && name.is_empty() && outcome.parts == 0;
                let is_unread = matches!(why, Skip::Encrypted | Skip::Unsupported(_));
                self.totals.closed |= is_all && is_unread && self.volumes == 0;
                self.skipped_part(&name, why);
            }
        }
        outcome
    }

    /// Work that readers of packed disks did counts as reading does.
    fn settle(&mut self) {
        self.totals.worked += self.account.take_spent();
        self.account.allow(self.work_left());
    }

    fn skipped_part(&mut self, name: &str, why: Skip) {
        self.chain.push(name.to_owned());
        // A card that is encrypted is as it should be, and is told of as one.
        self.totals.locked += u64::from(why == Skip::Encrypted && self.volumes == 0);
        self.skipped(why.to_string());
        self.chain.pop();
    }

    fn part(&mut self, data: &mut dyn Read) -> ControlFlow<()> {
        self.totals.parts += 1;
        let mut held = Vec::new();
        let whole = match self.fill(data, &mut held, self.sweep.limits.part_bytes) {
            Ok(whole) => whole,
            Err(error) => {
                if !self.is_loose && !self.is_again {
                    self.skipped(damaged_from(held.len() as u64, &error));
                }
                true
            }
        };
        let told = self.totals.skipped;
        let answered = self.source(&held, whole);
        self.sealed(&held, &answered, told, whole);
        if self.is_spent() {
            return ControlFlow::Break(());
        }
        if !whole {
            self.skipped("too large to be unpacked further; read as it is");
            self.stream(data, held, answered)?;
        }
        match self.stopped {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }

    /// Reads until `held` has `max` bytes; whether that was all.
    fn fill(&mut self, data: &mut dyn Read, held: &mut Vec<u8>, max: u64) -> io::Result<bool> {
        while (held.len() as u64) < max {
            self.tell(Notice::Read(self.totals.read));
            if self.overspent().is_some() || self.stopped {
                return Ok(true);
            }
            let from = held.len();
            // Most parts are small, and room costs something, too.
            let room = from.clamp(BLOCK_FIRST, BLOCK);
            held.resize(from + room.min((max - from as u64) as usize), 0);
            let read = data.read(&mut held[from..]);
            held.truncate(from + *read.as_ref().unwrap_or(&0));
            match read {
                Ok(0) => return Ok(true),
                Ok(read) => self.totals.unpacked += read as u64,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    /// Goes on after what of `held` was answered for, without looking into containers.
    fn stream(&mut self, data: &mut dyn Read, mut held: Vec<u8>, answered: Answered) -> ControlFlow<()> {
        let mut base = 0;
        let mut lines = 0;
        let mut end = answered.end as usize;
        loop {
            let cut = end.saturating_sub(BEFORE);
            lines += memchr::memchr_iter(b'\n', &held[..cut]).count() as u64;
            held.drain(..cut);
            base += cut as u64;
            let mut own = end - cut..end - cut + WINDOW;
            let whole = match self.fill(data, &mut held, (own.end + MARGIN) as u64) {
                Ok(whole) => whole,
                Err(error) => {
                    self.skipped(damaged_from(base + held.len() as u64, &error));
                    true
                }
            };
            // What is in the margin is the next pass's, if there is one.
            own.end = if whole { held.len() } else { border(&held, own.clone()) };
            let hits = self.hits(&held, own.clone());
            end = own.end;
            let inner = answered.inner;
            self.window(&Window { bytes: &held, own, hits: &hits, base, lines, origin: None, inner });
            if self.is_spent() {
                return ControlFlow::Break(());
            }
            if whole || self.stopped {
                return ControlFlow::Continue(());
            }
        }
    }
}

/// Up to where a part could be read, and what was wrong there.
fn damaged_from(byte: u64, error: &io::Error) -> String {
    let why = error.to_string();
    format!("damaged from byte {byte} on: {}", why.strip_prefix("damaged: ").unwrap_or(&why))
}

struct Visitor<'r, 'a> {
    run: &'r mut Run<'a>,
    format: Format,
    at: u64,
    outcome: Outcome,
    held: Vec<(String, Skip)>,
    /// Volumes that have begun, and those that have ended.
    open: Vec<Volume>,
    volumes: Vec<Volume>,
    book: Book,
}

/// Of one container, told one by one.
const SKIPS_MAX: usize = 1000;

impl Visitor<'_, '_> {
    fn name(&self, name: &str) -> String {
        match self.at {
            // Names in parentheses are those of encodings.
            0 if name.starts_with('(') => format!("./{name}"),
            0 => name.to_owned(),
            at => format!("{at:#x}:{name}"),
        }
    }
}

impl Visit for Visitor<'_, '_> {
    fn part(&mut self, part: Part<'_>) -> ControlFlow<()> {
        self.outcome.parts += 1;
        self.run.entries += 1;
        let name = self.name(part.name);
        self.run.chain.push(name);
        let flow = match self.run.is_spent() {
            true => ControlFlow::Break(()),
            false if self.format == Format::Zip && Book::wants(part.name) => {
                let mut tee = self.book.tee(part.data);
                let flow = self.run.part(&mut tee);
                let (kept, is_cut) = (tee.kept, tee.is_cut);
                self.book.keep(part.name, kept, is_cut);
                flow
            }
            false if self.format == Format::Zlib && self.run.paper.is_some() => {
                let room = self.run.paper.as_ref().map_or(0, Paper::room);
                let mut tee = Tee::new(part.data, room);
                let flow = self.run.part(&mut tee);
                let (kept, is_cut) = (tee.kept, tee.is_cut);
                if let Some(paper) = &mut self.run.paper {
                    paper.keep(self.at, kept, is_cut);
                }
                flow
            }
            false => self.run.part(part.data),
        };
        self.run.chain.pop();
        flow
    }

    fn skipped(&mut self, name: &str, why: Skip) {
        if let Some(volume) = self.open.last_mut() {
            volume.skipped(why);
        }
        if self.held.len() < SKIPS_MAX {
            self.held.push((name.to_owned(), why));
        }
    }

    fn entries(&mut self, count: u64) {
        self.run.steps += count;
    }

    fn contents(&mut self, range: Range<u64>) {
        self.outcome.contents.push(range);
    }

    fn opened(&mut self, at: u64) {
        self.outcome.opened.push(at);
    }

    fn volume(&mut self, name: &str, mut volume: Volume) {
        let name = self.name(name);
        volume.chain = self.run.chain.clone();
        volume.chain.extend((!name.is_empty()).then_some(name));
        self.open.push(volume);
    }

    fn file(&mut self, name: &str, file: &File<'_>) {
        if let Some(volume) = self.open.last_mut() {
            volume.file(name, file);
        }
    }

    fn volume_ends(&mut self, why: Option<Skip>) {
        let Some(mut volume) = self.open.pop() else { return };
        if let Some(why) = why {
            volume.skipped(why);
        }
        if self.run.stopped {
            volume.not_read("what was left when the sweep was ended");
        }
        if (self.volumes.len() as u64) < VOLUMES_MAX {
            self.volumes.push(volume);
        }
    }

    fn account(&self) -> Option<Rc<Account>> {
        Some(self.run.account.clone())
    }

    fn goes_on(&self) -> bool {
        use Format::{ExFat, Ext, Fat, Gpt, Mbr, Qcow2, Vdi, Vhd, Vhdx, Vmdk};
        let has_volumes =
            matches!(self.format, Gpt | Mbr | Ext | Fat | ExFat | Qcow2 | Vmdk | Vhd | Vhdx | Vdi);
        has_volumes && !self.run.stopped
    }
}
