//! Whether a rule may match around one of its literals, by what stands beside it. Words such
//! as `user` and `key` are everywhere in text, and a few bytes mostly say that nothing
//! matches there, which costs less than to begin a search.
//!
//! From the literal outwards, to both sides, an automaton is walked that reads what may
//! stand there in a match. It is made of the one of the expression while it is walked.
//! Nothing is left out that matches, with one exception: where the literal need not begin the
//! match, some of it is taken to be written in the expression, and not to be what a wide class
//! such as `\S` happens to read, if it can be read so. Tests know that of our own rules;
//! others' of this kind are searched at once.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use regex_automata::nfa::thompson::{Compiler, Config, NFA, State, WhichCaptures};
use regex_automata::util::look::Look;
use regex_automata::util::primitives::StateID;

use crate::confirm;
use crate::rules::Rule;

/// Looked at on either side, in bytes.
const FAR: usize = 64;
/// See [`Side::written`].
const WRITTEN: usize = 3;
/// Classes of more bytes are wide. Separators such as `[=:,]` are not.
const WIDE: u16 = 6;
/// Of one side of one rule; and how many states of the expression's automaton one of them may
/// stand for, and all walks may look at. Of what lies beyond, nothing is said.
const STATES_MAX: usize = 128;
const SET_MAX: usize = 2048;
const WORK_MAX: usize = 4 << 20;
/// Of one automaton, in bytes.
const SIZE_MAX: usize = 1 << 20;

/// Where a walk goes with a byte: to the state whose number is this and [`FIRST`] less, or
/// to one of these.
type Step = u16;
/// It was not gone yet.
const NEW: Step = 0;
/// Nothing matches.
const DEAD: Step = 1;
/// Something may match, whatever comes.
const OPEN: Step = 2;
const FIRST: Step = 3;

/// What stands around the literals of one rule. Both sides are made when they are first
/// asked for: most sweeps meet few literals, and the bytes behind most of those say enough.
#[derive(Debug, Default)]
pub(crate) struct Around {
    behind: OnceLock<Option<Side>>,
    before: OnceLock<Option<Side>>,
}

impl Around {
    /// Whether `rule` may match with its literal with this number at `at`.
    #[inline]
    pub(crate) fn fits(&self, rule: &Rule, bytes: &[u8], literal: usize, at: usize) -> bool {
        let behind = self.behind.get_or_init(|| Side::of(rule, false));
        let fits = behind.as_ref().is_none_or(|side| {
            let from = bytes.len().min(at + side.literals[literal].len());
            side.fits(literal, bytes[from..].iter())
        });
        fits && (rule.before == 0 || {
            let before = self.before.get_or_init(|| Side::of(rule, true));
            before.as_ref().is_none_or(|side| side.fits(literal, bytes[..at].iter().rev()))
        })
    }
}

/// What may stand on one side of a rule's literals.
#[derive(Debug)]
struct Side {
    walk: Walk,
    /// Of a literal's bytes, so many side by side are written in the expression.
    written: usize,
    /// As the walk reads them.
    literals: Vec<Vec<u8>>,
    /// Of each literal: where its walk begins.
    entries: Box<[AtomicU16]>,
    /// Of each state, by the class of a byte.
    steps: Box<[OnceLock<Box<[AtomicU16]>>]>,
    known: Mutex<Known>,
}

/// The states that are known, each of them a set of states of the expression's automaton.
#[derive(Debug)]
struct Known {
    sets: Vec<Arc<Reached>>,
    numbers: HashMap<Arc<Reached>, Step>,
    seen: Seen,
}

impl Known {
    fn step(&mut self, set: Reached) -> Step {
        if set.is_empty() {
            return DEAD;
        }
        if let Some(step) = self.numbers.get(&set) {
            return *step;
        }
        if self.sets.len() == STATES_MAX || set.len() > SET_MAX {
            return OPEN;
        }
        let step = FIRST + self.sets.len() as Step;
        let set = Arc::new(set);
        self.sets.push(Arc::clone(&set));
        self.numbers.insert(set, step);
        step
    }
}

impl Side {
    /// None if nothing is said of it.
    fn of(rule: &Rule, reverse: bool) -> Option<Side> {
        let is_start = rule.before == 0;
        if !is_start && !rule.is_built_in {
            return None;
        }
        let expression = confirm::parse(&rule.regex).ok()?;
        let config = Config::new()
            .utf8(false)
            .reverse(reverse)
            .which_captures(WhichCaptures::None)
            .nfa_size_limit(Some(SIZE_MAX));
        let nfa = Compiler::new().configure(config).build_from_hir(&expression).ok()?;
        let mut literals = rule.spelled().ok()?;
        if reverse {
            literals.iter_mut().for_each(|literal| literal.reverse());
        }
        let written = if is_start { 0 } else { WRITTEN };
        Some(Side::new(Walk::new(nfa, is_start, rule.ignore_case), literals, written))
    }

    fn new(walk: Walk, literals: Vec<Vec<u8>>, written: usize) -> Side {
        let seen = Seen::new(walk.nfa.states().len());
        Side {
            walk,
            written,
            entries: literals.iter().map(|_| AtomicU16::new(NEW)).collect(),
            literals,
            steps: (0..STATES_MAX).map(|_| OnceLock::new()).collect(),
            known: Mutex::new(Known { sets: Vec::new(), numbers: HashMap::new(), seen }),
        }
    }

    /// Of bytes from the literal on outwards. At the end of a text, anything may be.
    #[inline]
    fn fits<'a>(&self, literal: usize, bytes: impl Iterator<Item = &'a u8>) -> bool {
        let mut step = match self.entries[literal].load(Ordering::Relaxed) {
            NEW => self.enter(literal),
            step => step,
        };
        let classes = self.walk.nfa.byte_classes();
        let none = || (0..classes.alphabet_len()).map(|_| AtomicU16::new(NEW)).collect();
        for byte in bytes.take(FAR) {
            let Some(state) = step.checked_sub(FIRST) else { break };
            let place = &self.steps[usize::from(state)].get_or_init(none)[usize::from(classes.get(*byte))];
            step = match place.load(Ordering::Relaxed) {
                NEW => self.go(state, *byte, place),
                step => step,
            };
        }
        step != DEAD
    }

    #[cold]
    fn enter(&self, literal: usize) -> Step {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = &self.literals[literal];
        let step = match self.walk.through(bytes, self.written, &mut known.seen) {
            Some(set) if !set.is_empty() => known.step(set),
            // It ends the match, or a class reads it in any.
            _ => OPEN,
        };
        self.entries[literal].store(step, Ordering::Relaxed);
        step
    }

    #[cold]
    fn go(&self, state: Step, byte: u8, place: &AtomicU16) -> Step {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let Known { sets, seen, .. } = &mut *known;
        let step = match self.walk.next(&sets[usize::from(state)], byte, seen) {
            Some(set) => known.step(set),
            None => OPEN,
        };
        place.store(step, Ordering::Relaxed);
        step
    }
}

/// States that are reached without a byte, and what the next one must be for them.
type Reached = Vec<(StateID, Next)>;

/// The expression's automaton, in one direction.
#[derive(Debug)]
struct Walk {
    nfa: NFA,
    /// How many bytes each state reads.
    widths: Vec<u16>,
    /// Where the literal may begin.
    starts: Reached,
    folded: bool,
}

/// What the next byte must be for a state to be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Next {
    Any,
    /// None: the text ends.
    End,
    Line,
    CrLf,
    Word(bool),
}

impl Next {
    fn may(self, byte: u8) -> bool {
        match self {
            Next::Any => true,
            Next::End => false,
            Next::Line => byte == b'\n',
            Next::CrLf => matches!(byte, b'\r' | b'\n'),
            Next::Word(is_word) => is_word_byte(byte) == is_word,
        }
    }

    /// What an assertion says of the next byte, if `last` is the one before.
    fn of(look: Look, last: Option<u8>) -> Next {
        match (look, last) {
            (Look::End, _) => Next::End,
            (Look::EndLF, _) => Next::Line,
            (Look::EndCRLF, _) => Next::CrLf,
            (Look::WordAscii, Some(last)) => Next::Word(!is_word_byte(last)),
            (Look::WordAsciiNegate, Some(last)) => Next::Word(is_word_byte(last)),
            _ => Next::Any,
        }
    }
}

fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

impl Walk {
    fn new(nfa: NFA, is_start: bool, folded: bool) -> Walk {
        let widths = nfa.states().iter().map(width).collect();
        let mut walk = Walk { nfa, widths, starts: Vec::new(), folded };
        let mut seen = Seen::new(walk.nfa.states().len());
        let first = vec![walk.nfa.start_anchored()];
        walk.starts = if is_start { walk.closure(first, None, &mut seen) } else { walk.all(first) };
        walk
    }

    /// All states that `waiting` lead to, with whatever bytes.
    fn all(&self, mut waiting: Vec<StateID>) -> Reached {
        let mut seen = vec![false; self.nfa.states().len()];
        while let Some(state) = waiting.pop() {
            if !std::mem::replace(&mut seen[state.as_usize()], true) {
                let state = self.nfa.state(state);
                each(state, |_, _, target| waiting.push(target));
                without_byte(state, |target| waiting.push(target));
            }
        }
        let there = self.widths.iter().zip(&seen).enumerate();
        let there = there.filter(|(_, (width, seen))| **seen && **width > 0);
        // Whatever the next byte must be, the literal's may be that.
        there.filter_map(|(at, _)| Some((StateID::new(at).ok()?, Next::Any))).collect()
    }

    /// What is reached behind the literal, of which so many bytes side by side are `written`;
    /// none if a match may end inside it, or if it takes too much work to say.
    fn through(&self, literal: &[u8], written: usize, seen: &mut Seen) -> Option<Reached> {
        // By how many bytes that are written were read last, until they are enough.
        let mut reached = vec![Reached::new(); written + 1];
        reached[0] = self.starts.clone();
        for (place, byte) in literal.iter().enumerate() {
            let other = if self.folded { swapped(*byte) } else { *byte };
            let mut targets = vec![Vec::new(); written + 1];
            if !seen.spend(reached.iter().map(Vec::len).sum()) {
                return None;
            }
            for (count, states) in reached.iter().enumerate() {
                for (number, _) in states {
                    let state = self.nfa.state(*number);
                    if count == written && matches!(state, State::Match { .. }) {
                        return None;
                    }
                    let count = match self.widths[number.as_usize()] <= WIDE {
                        _ if count == written => count,
                        true => count + 1,
                        false => 0,
                    };
                    each(state, |first, last, target| {
                        if (first..=last).contains(byte) || (first..=last).contains(&other) {
                            targets[count].push(target);
                        }
                    });
                }
            }
            let last = Some(*byte).filter(|_| place + 1 == literal.len());
            let closures = targets.into_iter().map(|targets| self.closure(targets, last, seen));
            reached = closures.collect();
        }
        reached.pop()
    }

    /// What is reached with one more byte; none if all is matched, or if it takes too much
    /// work to say.
    fn next(&self, reached: &Reached, byte: u8, seen: &mut Seen) -> Option<Reached> {
        let mut targets = Vec::new();
        if !seen.spend(reached.len()) {
            return None;
        }
        for (state, _) in reached.iter().filter(|(_, next)| next.may(byte)) {
            let state = self.nfa.state(*state);
            if matches!(state, State::Match { .. }) {
                return None;
            }
            each(state, |first, last, target| {
                if (first..=last).contains(&byte) {
                    targets.push(target);
                }
            });
        }
        Some(self.closure(targets, Some(byte), seen))
    }

    /// What is reached from `states` without a byte, in order. `last` is the byte before, if
    /// it is known.
    fn closure(&self, states: Vec<StateID>, last: Option<u8>, seen: &mut Seen) -> Reached {
        let mut reached: Reached = Vec::new();
        let mut waiting: Reached = states.into_iter().map(|state| (state, Next::Any)).collect();
        while let Some((state, next)) = waiting.pop() {
            if !seen.insert(state, next) {
                continue;
            }
            let there = self.nfa.state(state);
            let next = match there {
                // Of two assertions, the first is kept.
                State::Look { look, .. } if next == Next::Any => Next::of(*look, last),
                _ => next,
            };
            without_byte(there, |target| waiting.push((target, next)));
            if self.widths[state.as_usize()] > 0 || matches!(there, State::Match { .. }) {
                reached.push((state, next));
            }
        }
        seen.spend(seen.touched.len());
        seen.clear();
        reached.sort_unstable();
        reached
    }
}

/// Which states were looked at, and with which next bytes.
#[derive(Debug)]
struct Seen {
    /// A bit for each kind of next byte.
    bits: Vec<u8>,
    touched: Vec<StateID>,
    /// How many states were looked at, in all.
    spent: usize,
}

impl Seen {
    fn new(states: usize) -> Seen {
        Seen { bits: vec![0; states], touched: Vec::new(), spent: 0 }
    }

    /// Whether so many states may still be looked at.
    fn spend(&mut self, states: usize) -> bool {
        self.spent += states;
        self.spent <= WORK_MAX
    }

    fn insert(&mut self, state: StateID, next: Next) -> bool {
        let bit = match next {
            Next::Any => 1,
            Next::End => 2,
            Next::Line => 4,
            Next::CrLf => 8,
            Next::Word(false) => 16,
            Next::Word(true) => 32,
        };
        let bits = &mut self.bits[state.as_usize()];
        let is_new = *bits & bit == 0;
        *bits |= bit;
        self.touched.push(state);
        is_new
    }

    fn clear(&mut self) {
        self.touched.drain(..).for_each(|state| self.bits[state.as_usize()] = 0);
    }
}

/// Where a state leads without a byte.
fn without_byte(state: &State, mut tell: impl FnMut(StateID)) {
    match state {
        State::Look { next, .. } | State::Capture { next, .. } => tell(*next),
        State::Union { alternates } => alternates.iter().for_each(|to| tell(*to)),
        State::BinaryUnion { alt1, alt2 } => [alt1, alt2].into_iter().for_each(|to| tell(*to)),
        _ => {}
    }
}

fn swapped(byte: u8) -> u8 {
    match byte {
        b'a'..=b'z' => byte.to_ascii_uppercase(),
        _ => byte.to_ascii_lowercase(),
    }
}

/// Each range of bytes that a state reads, and where it leads.
fn each(state: &State, mut tell: impl FnMut(u8, u8, StateID)) {
    match state {
        State::ByteRange { trans } => tell(trans.start, trans.end, trans.next),
        State::Sparse(sparse) => {
            sparse.transitions.iter().for_each(|trans| tell(trans.start, trans.end, trans.next));
        }
        State::Dense(dense) => {
            let targets = (0..=u8::MAX).zip(&dense.transitions);
            let targets = targets.filter(|(_, target)| **target != StateID::ZERO);
            targets.for_each(|(byte, target)| tell(byte, byte, *target));
        }
        _ => {}
    }
}

/// How many bytes a state reads.
fn width(state: &State) -> u16 {
    let mut width = 0;
    each(state, |first, last, _| width += u16::from(last - first) + 1);
    width
}

#[cfg(test)]
impl Around {
    fn sides(&self) -> impl Iterator<Item = &Side> {
        [&self.behind, &self.before].into_iter().filter_map(|side| side.get()?.as_ref())
    }
}

#[cfg(test)]
mod tests;
