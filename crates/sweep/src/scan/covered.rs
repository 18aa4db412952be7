//! What containers have taken of a source, in the order in which they were met.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::unpack::Format;

pub(super) struct Covered {
    /// How many findings there were before this source.
    mark: u64,
    /// Read to the last byte: nothing in there is looked at again. Sorted; none overlaps
    /// another.
    whole: Vec<Range<u64>>,
    /// Read as files, between which deleted ones lie: text and other containers in there
    /// are still looked at. What is of the same format was met already; every block of
    /// UBI and every node of JFFS2 begins with a magic number.
    walked: BTreeMap<Format, Range<u64>>,
    /// Where partitions begin, which were unpacked with their disk.
    opened: BTreeSet<u64>,
}

impl Covered {
    pub(super) fn new(mark: u64) -> Covered {
        Covered { mark, whole: Vec::new(), walked: BTreeMap::new(), opened: BTreeSet::new() }
    }

    pub(super) fn take(&mut self, format: Format, range: Range<u64>, any_parts: bool) {
        if keeps_deleted(format) {
            self.walked.insert(format, range);
        } else if any_parts {
            self.whole.push(range);
        }
    }

    pub(super) fn open(&mut self, at: impl IntoIterator<Item = u64>) {
        self.opened.extend(at);
    }

    /// Whether `at` was read, as this format or with all that is there. Nothing before
    /// `at` is asked for later.
    pub(super) fn holds(&self, format: Format, at: u64) -> bool {
        self.whole.last().is_some_and(|range| range.contains(&at))
            || self.opened.contains(&at)
            || self.walked.get(&format).is_some_and(|range| range.contains(&at))
    }

    /// Where findings begin of the files, or of the capture, among which `at` lies.
    pub(super) fn told_since(&self, at: u64) -> Option<u64> {
        self.walked.values().any(|range| range.contains(&at)).then_some(self.mark)
    }

    /// Forgets what ends before `start`: windows go onwards.
    pub(super) fn forget(&mut self, start: u64) {
        self.whole.retain(|range| range.end > start);
    }

    /// Whether all of a stretch was read.
    pub(super) fn is_whole(&self, range: &Range<u64>) -> bool {
        self.whole.iter().any(|whole| whole.start <= range.start && range.end <= whole.end)
    }

    /// What of `own`, in bytes from `base` on, was not.
    pub(super) fn rest(&self, own: Range<usize>, base: u64) -> Vec<Range<usize>> {
        let (mut left, mut start) = (Vec::new(), own.start);
        for range in &self.whole {
            let from = usize::try_from(range.start.saturating_sub(base)).unwrap_or(usize::MAX);
            let to = usize::try_from(range.end.saturating_sub(base)).unwrap_or(usize::MAX);
            left.push(start..own.end.min(from));
            start = start.max(to);
        }
        left.push(start..own.end);
        left.retain(|range| !range.is_empty());
        left
    }
}

fn keeps_deleted(format: Format) -> bool {
    use Format::*;
    matches!(
        format,
        Jffs2 | Yaffs | Ubi | Ext | Fat | ExFat | Gpt | Mbr | Qcow2 | Vmdk | Vhd | Cab | Pcap | PcapNg
    )
}
