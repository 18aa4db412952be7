//! Parts of containers: held in memory if they fit, so that containers inside them
//! can be unpacked, and otherwise read once from front to back.

use std::io::{self, Read};
use std::ops::ControlFlow;

use super::{BEFORE, MARGIN, Run, WINDOW, Window};
use crate::read::ReadAt;
use crate::unpack::{self, Format, Part, Skip, Visit};

const BLOCK: usize = 256 << 10;

impl Run<'_> {
    /// How many bytes a container covers, if it is known, and how many parts came out.
    pub(super) fn container(&mut self, format: Format, source: &dyn ReadAt, at: u64) -> (Option<u64>, u64) {
        let limits = self.sweep.limits.clone();
        self.depth += 1;
        let mut visitor = Visitor { run: self, at, parts: 0, held: Vec::new() };
        let len = unpack::unpack(format, source, at, &limits, &mut visitor);
        let (parts, held) = (visitor.parts, visitor.held);
        self.depth -= 1;
        // A magic number in the midst of something, from which nothing came, was none.
        if at == 0 || parts > 0 {
            for (name, why) in held {
                self.skipped_part(&name, why);
            }
        }
        (len, parts)
    }

    fn skipped_part(&mut self, name: &str, why: Skip) {
        self.chain.push(name.to_owned());
        self.skipped(why.to_string());
        self.chain.pop();
    }

    fn part(&mut self, data: &mut dyn Read) -> ControlFlow<()> {
        self.totals.parts += 1;
        let mut held = Vec::new();
        let whole = match self.fill(data, &mut held, self.sweep.limits.part_bytes) {
            Ok(whole) => whole,
            Err(error) => {
                self.skipped(format!("damaged from byte {} on: {error}", held.len()));
                true
            }
        };
        self.source(&held);
        if let Some(why) = self.overspent() {
            self.skipped(why.to_string());
            return ControlFlow::Break(());
        }
        if !whole {
            self.skipped("too large to be unpacked further; read as it is");
            self.stream(data, held)?;
        }
        match self.stopped {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }

    /// Reads until `held` has `max` bytes; whether that was all.
    fn fill(&mut self, data: &mut dyn Read, held: &mut Vec<u8>, max: u64) -> io::Result<bool> {
        while (held.len() as u64) < max {
            if self.overspent().is_some() || self.stopped {
                return Ok(true);
            }
            let from = held.len();
            held.resize(from + BLOCK.min((max - from as u64) as usize), 0);
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

    /// Goes on after `held`, which was swept, without looking into containers.
    fn stream(&mut self, data: &mut dyn Read, mut held: Vec<u8>) -> ControlFlow<()> {
        let mut base = 0;
        let mut lines = 0;
        loop {
            let cut = held.len().saturating_sub(BEFORE);
            lines += memchr::memchr_iter(b'\n', &held[..cut]).count() as u64;
            held.drain(..cut);
            base += cut as u64;
            let own = held.len();
            let end = (own + WINDOW + MARGIN) as u64;
            let whole = match self.fill(data, &mut held, end) {
                Ok(whole) => whole,
                Err(error) => {
                    self.skipped(format!("damaged from byte {} on: {error}", base + held.len() as u64));
                    true
                }
            };
            self.window(&Window {
                bytes: &held,
                own: own..held.len(),
                base,
                lines,
                origin: None,
                inner: None,
            });
            if let Some(why) = self.overspent() {
                self.skipped(why.to_string());
                return ControlFlow::Break(());
            }
            if whole || self.stopped {
                return ControlFlow::Continue(());
            }
        }
    }
}

struct Visitor<'r, 'a> {
    run: &'r mut Run<'a>,
    at: u64,
    parts: u64,
    held: Vec<(String, Skip)>,
}

/// Of one container, told one by one.
const SKIPS_MAX: usize = 1000;

impl Visit for Visitor<'_, '_> {
    fn part(&mut self, part: Part<'_>) -> ControlFlow<()> {
        self.parts += 1;
        self.run.entries += 1;
        self.run.chain.push(match self.at {
            0 => part.name.to_owned(),
            at => format!("{at:#x}:{}", part.name),
        });
        let flow = match self.run.overspent() {
            Some(why) => {
                self.run.skipped(why.to_string());
                ControlFlow::Break(())
            }
            None => self.run.part(part.data),
        };
        self.run.chain.pop();
        flow
    }

    fn skipped(&mut self, name: &str, why: Skip) {
        if self.held.len() < SKIPS_MAX {
            self.held.push((name.to_owned(), why));
        }
    }
}
