//! Where literals of rules and magic numbers stand in a window.

use std::ops::Range;

use super::{Run, is_zero};
use crate::unpack::LOOK_AHEAD;

/// What the filter found in a window.
#[derive(Default)]
pub(super) struct Hits {
    /// Literals of rules: where in its bytes, and their numbers.
    pub(super) literals: Vec<(u32, u16)>,
    /// Magic numbers: where from what it answers for on, and their numbers.
    pub(super) magics: Vec<(usize, usize)>,
}

impl Hits {
    /// Literals by where they are, for stretches of a window that follow each other.
    pub(super) fn apart(&self) -> Apart {
        let mut literals = self.literals.clone();
        literals.sort_unstable();
        Apart { literals, used: 0 }
    }
}

pub(super) struct Apart {
    literals: Vec<(u32, u16)>,
    used: usize,
}

impl Apart {
    /// What was found in the next stretch.
    pub(super) fn of(&mut self, own: &Range<usize>) -> Hits {
        let rest = &self.literals[self.used..];
        let from = self.used + rest.partition_point(|(at, _)| (*at as usize) < own.start);
        self.used = from + self.literals[from..].partition_point(|(at, _)| (*at as usize) < own.end);
        Hits { literals: self.literals[from..self.used].to_vec(), magics: Vec::new() }
    }
}

impl Run<'_> {
    pub(super) fn hits(&self, bytes: &[u8], own: Range<usize>) -> Hits {
        let rules = self.sweep.rules;
        let mut hits = Hits::default();
        let end = bytes.len().min(own.end + LOOK_AHEAD);
        if is_zero(&bytes[own.start..end]) {
            return hits;
        }
        rules.prefilter.scan(&bytes[own.start..end], |at, literal| {
            if let Some(magic) = literal.checked_sub(rules.of_literal.len()) {
                hits.magics.push((at, magic));
            } else if own.start + at < own.end {
                hits.literals.push(((own.start + at) as u32, literal as u16));
            }
        });
        hits
    }
}
