//! What containers have taken of a source, in the order in which they were met.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::part::Outcome;
use crate::unpack::Format;

#[derive(Default)]
pub(super) struct Covered {
    /// How many findings there were before this source.
    mark: u64,
    /// Contents of parts, to the last byte: nothing in there is looked at again.
    whole: Stretches,
    /// Read, but with bytes among them that came out of no part, such as headers: text in
    /// there is still looked at, and containers are not.
    closed: Stretches,
    /// Read as files, between which deleted ones lie: text and other containers in there
    /// are still looked at. What is of the same format was met already; every block of
    /// UBI and every node of JFFS2 begins with a magic number. Of a disk of a machine, it is
    /// what was read of it alone: others may lie behind, or between.
    walked: BTreeMap<Format, Stretches>,
    /// Where partitions and members begin, which were unpacked with what they are of.
    opened: BTreeSet<u64>,
}

impl Covered {
    pub(super) fn new(mark: u64) -> Covered {
        Covered { mark, ..Covered::default() }
    }

    /// What a container took, if it covers so much. A header may say that whatever lies
    /// in it means nothing, and hide it: only contents are taken for read.
    pub(super) fn take(&mut self, format: Format, range: Range<u64>, outcome: Outcome) {
        let within = |part: Range<u64>| part.start.max(range.start)..part.end.min(range.end);
        if is_disk(format) {
            let walked = self.walked.entry(format).or_default();
            outcome.contents.into_iter().for_each(|part| walked.add(within(part)));
        } else if keeps_deleted(format) {
            self.walked.entry(format).or_default().add(range.clone());
            // A packet's bytes in the midst of a word are no word of their own.
            if matches!(format, Format::Pcap | Format::PcapNg) {
                outcome.contents.into_iter().for_each(|part| self.whole.add(within(part)));
            }
        } else if outcome.parts > 0 && outcome.contents.is_empty() {
            self.closed.add(range);
        } else if outcome.parts > 0 {
            outcome.contents.into_iter().for_each(|part| self.whole.add(within(part)));
        }
    }

    pub(super) fn open(&mut self, at: impl IntoIterator<Item = u64>) {
        self.opened.extend(at);
    }

    /// Whether `at` was read, as this format or with all that is there. Nothing before
    /// `at` is asked for later.
    pub(super) fn holds(&self, format: Format, at: u64) -> bool {
        self.whole.holds(at)
            || self.closed.holds(at)
            || self.opened.contains(&at)
            || self.walked.get(&format).is_some_and(|walked| walked.holds(at))
    }

    /// Where findings begin of the files, or of the capture, among which `at` lies.
    pub(super) fn told_since(&self, at: u64) -> Option<u64> {
        self.walked.values().any(|walked| walked.holds(at)).then_some(self.mark)
    }

    /// Whether `at` was read as a block of a disk of a machine. What begins there is met again,
    /// and not in one piece.
    pub(super) fn is_block(&self, at: u64) -> bool {
        self.walked.iter().any(|(format, walked)| is_disk(*format) && walked.holds(at))
    }

    /// Forgets what ends before `start`: windows go onwards.
    pub(super) fn forget(&mut self, start: u64) {
        self.whole.forget(start);
        self.closed.forget(start);
    }

    /// Whether all of a stretch was read.
    pub(super) fn is_whole(&self, range: &Range<u64>) -> bool {
        self.whole.end(range.start).is_some_and(|end| range.end <= end)
    }

    /// What of `own`, in bytes from `base` on, was not.
    pub(super) fn rest(&self, own: Range<usize>, base: u64) -> Vec<Range<usize>> {
        let (mut left, mut start) = (Vec::new(), own.start);
        for (from, to) in self.whole.0.range(..base + own.end as u64) {
            let from = usize::try_from(from.saturating_sub(base)).unwrap_or(usize::MAX);
            let to = usize::try_from(to.saturating_sub(base)).unwrap_or(usize::MAX);
            left.push(start..own.end.min(from));
            start = start.max(to);
        }
        left.push(start..own.end);
        left.retain(|range| !range.is_empty());
        left
    }
}

/// Stretches that do not touch each other: where they begin, and where they end.
#[derive(Default)]
struct Stretches(BTreeMap<u64, u64>);

impl Stretches {
    fn add(&mut self, Range { mut start, mut end }: Range<u64>) {
        if start >= end {
            return;
        }
        while let Some((from, to)) = self.0.range(..=end).next_back().filter(|(_, to)| **to >= start) {
            (start, end) = (start.min(*from), end.max(*to));
            let from = *from;
            self.0.remove(&from);
        }
        self.0.insert(start, end);
    }

    /// Where the stretch ends in which `at` lies.
    fn end(&self, at: u64) -> Option<u64> {
        self.0.range(..=at).next_back().map(|(_, end)| *end).filter(|end| at < *end)
    }

    fn holds(&self, at: u64) -> bool {
        self.end(at).is_some()
    }

    fn forget(&mut self, start: u64) {
        while self.0.first_entry().is_some_and(|first| *first.get() <= start) {
            self.0.pop_first();
        }
    }
}

fn keeps_deleted(format: Format) -> bool {
    use Format::*;
    matches!(format, Jffs2 | Yaffs | Ubi | Ext | Fat | ExFat | Gpt | Mbr | Cab | Pcap | PcapNg)
}

fn is_disk(format: Format) -> bool {
    matches!(format, Format::Qcow2 | Format::Vmdk | Format::Vhd | Format::Vhdx | Format::Vdi)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_grow_together_and_are_forgotten() {
        let mut stretches = Stretches::default();
        for range in [10..20, 30..40, 20..25, 5..5, 24..31, 50..60] {
            stretches.add(range);
        }
        assert_eq!(stretches.0, BTreeMap::from([(10, 40), (50, 60)]));
        let held: Vec<u64> = (0..70).filter(|at| stretches.holds(*at)).collect();
        assert_eq!(held, (10..40).chain(50..60).collect::<Vec<u64>>());
        stretches.forget(40);
        assert_eq!(stretches.0, BTreeMap::from([(50, 60)]));
    }
}
