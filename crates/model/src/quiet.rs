//! How long footage is kept in which nothing happened (format.md section 3).
//! Administrators set it by signed command; the gateway judges by it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::EventKind;

/// What is quiet goes earlier than the rest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quiet {
    /// Oldest quiet recording that is kept, in days.
    pub days_max: u32,
    /// Events of these kinds leave footage quiet. What is not named here counts: a
    /// kind that is new keeps more rather than less.
    pub kinds: BTreeSet<EventKind>,
}

impl Quiet {
    /// Bare motion is left out: rain, shadows and insects move, too, and where they
    /// count nothing is quiet.
    pub fn days(days_max: u32) -> Self {
        Quiet { days_max, kinds: Quiet::kinds_first() }
    }

    /// Kinds that count for nothing where nobody has set others.
    pub fn kinds_first() -> BTreeSet<EventKind> {
        BTreeSet::from([EventKind::Motion])
    }
}
