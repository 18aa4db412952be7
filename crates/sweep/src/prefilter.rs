//! The first stage: where a literal of some rule may stand.
//!
//! Hashes of three folded bytes are looked up at every second position. Each literal
//! has at least four bytes, so of two neighbouring triples of it one begins at an even
//! position; both are in the table. One of three bytes is in it with every byte that may
//! stand before it. Hashes are 16 bits wide and made of two words each, which compilers
//! make vectors of on every processor, without `unsafe`. The first look is into a
//! table of bytes, which takes no shifts, and says which bytes may follow; what is there, one
//! of a hundred in programs and one of twenty in text, is looked up with the byte behind it,
//! and then compared by the eight bytes around it. Which two triples of a literal are looked
//! up is chosen by how rare they are; those that few others have cost less.

use std::collections::HashMap;

/// Literals shorter than this cannot be found.
pub(crate) const LITERAL_MIN: usize = 4;
/// But for our own, which are rare in everything that is read.
const SHORT: usize = 3;
const FIRST_BITS: u32 = 16;
const HASH_BITS: u32 = 13;
const BITMAP_BITS: u32 = 16;
/// All classes of bytes.
const ANY: u8 = 0xff;
const FACTOR: u32 = 0x9e37_79b1;
const FOLD: u32 = 0x2020_2020;
/// Hashed at once, in bytes.
const BLOCK: usize = 256;
/// Positions that are looked up at once.
const AT_ONCE: usize = 8;
/// Of the eight bytes that are compared first, so many stand before the triple.
const LEAD: usize = 3;

#[derive(Debug)]
struct Literal {
    /// Folded to lower case, if case does not count.
    bytes: Vec<u8>,
    folded: bool,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    /// What of the literal stands in the eight bytes around the triple, and which bits of
    /// them count.
    around: u64,
    mask: u64,
    literal: u16,
    /// Bytes from the start of the literal to the triple; -1 if it begins before it.
    back: i16,
}

/// Entries by a hash. Those of one hash are neighbours.
#[derive(Debug)]
struct Table {
    /// A bit for each longer hash that an entry has: most of what is looked up has none, and
    /// these lie closer together than the heads.
    bits: Box<[u64; 1 << (BITMAP_BITS - 6)]>,
    /// Where the entries of each hash begin; those of the next begin where they end.
    heads: Vec<u32>,
    entries: Vec<Entry>,
}

impl Table {
    fn new(mut placed: Vec<(u32, Entry)>) -> Table {
        placed.sort_by_key(|(hash, entry)| (*hash, entry.literal, entry.back));
        placed.dedup_by_key(|(hash, entry)| (*hash, entry.literal, entry.back));
        let mut bits = Box::new([0; 1 << (BITMAP_BITS - 6)]);
        let mut heads = vec![0; (1 << HASH_BITS) + 1];
        for (hash, _) in &placed {
            let bit = hash >> (32 - BITMAP_BITS);
            bits[(bit >> 6) as usize] |= 1 << (bit & 63);
            heads[(hash >> (32 - HASH_BITS)) as usize + 1] += 1;
        }
        for at in 1..heads.len() {
            heads[at] += heads[at - 1];
        }
        Table { bits, heads, entries: placed.into_iter().map(|(_, entry)| entry).collect() }
    }

    #[inline(always)]
    fn get(&self, hash: u32) -> &[Entry] {
        let bit = hash >> (32 - BITMAP_BITS);
        if self.bits[(bit >> 6) as usize] & 1 << (bit & 63) == 0 {
            return &[];
        }
        let hash = (hash >> (32 - HASH_BITS)) as usize;
        &self.entries[self.heads[hash] as usize..self.heads[hash + 1] as usize]
    }
}

#[derive(Debug)]
pub(crate) struct Prefilter {
    /// Of each short hash: the classes of bytes that may follow a triple that has it.
    first: Box<[u8; 1 << FIRST_BITS]>,
    /// By a triple and the byte behind it.
    fours: Table,
    /// By a triple that ends a literal.
    ends: Table,
    literals: Vec<Literal>,
}

impl Prefilter {
    /// Literals, with whether case does not count.
    pub(crate) fn new(literals: impl IntoIterator<Item = (Vec<u8>, bool)>) -> Prefilter {
        let mut literals: Vec<Literal> =
            literals.into_iter().map(|(bytes, folded)| Literal { bytes, folded }).collect();
        for literal in &mut literals {
            debug_assert!(literal.bytes.len() >= SHORT, "checked where rules are read");
            if literal.folded {
                literal.bytes.make_ascii_lowercase();
            }
        }
        let mut first = Box::new([0; 1 << FIRST_BITS]);
        let (mut fours, mut ends) = (Vec::new(), Vec::new());
        let mut shared: HashMap<u32, u32> = HashMap::new();
        for (number, literal) in literals.iter().enumerate() {
            for (triple, back) in triples(&literal.bytes, &shared) {
                let next = literal.bytes.get((back + SHORT as i16) as usize).copied();
                first[usize::from(short_hash(triple))] |= next.map_or(ANY, class);
                *shared.entry(hash(triple, 0)).or_default() += 1;
                let table = if next.is_some() { &mut fours } else { &mut ends };
                let hash = hash(triple, next.unwrap_or_default());
                table.push((hash, literal.entry(number as u16, back)));
            }
        }
        Prefilter { first, fours: Table::new(fours), ends: Table::new(ends), literals }
    }

    /// Tells where each literal begins, by its number, in the order of where they are for
    /// the most part.
    pub(crate) fn scan(&self, bytes: &[u8], mut found: impl FnMut(usize, usize)) {
        let mut hashes = [0; BLOCK / 2];
        let mut at = 0;
        while let Some(block) = bytes.get(at..).and_then(|rest| rest.first_chunk()) {
            short_hashes(block, &mut hashes);
            let (groups, _) = hashes.as_chunks::<AT_ONCE>();
            for (index, group) in groups.iter().enumerate() {
                if group.iter().fold(0, |any, hash| any | self.first[usize::from(*hash)]) != 0 {
                    let from = at + index * 2 * AT_ONCE;
                    for (index, hash) in group.iter().enumerate() {
                        let at = from + 2 * index;
                        let next = bytes.get(at + 3).map_or(ANY, |next| class(*next));
                        if self.first[usize::from(*hash)] & next != 0 {
                            self.look(bytes, at, &mut found);
                        }
                    }
                }
            }
            at += BLOCK;
        }
        while at < bytes.len() {
            self.look(bytes, at, &mut found);
            at += 2;
        }
    }

    /// Looks up the triple at `at`.
    #[inline]
    fn look(&self, bytes: &[u8], at: usize, found: &mut impl FnMut(usize, usize)) {
        let Some([a, b, c]) = bytes.get(at..at + 3) else { return };
        let triple = [*a, *b, *c];
        if let Some(next) = bytes.get(at + 3) {
            self.check(bytes, at, self.fours.get(hash(triple, *next)), found);
        }
        self.check(bytes, at, self.ends.get(hash(triple, 0)), found);
    }

    #[inline(always)]
    fn check(&self, bytes: &[u8], at: usize, entries: &[Entry], found: &mut impl FnMut(usize, usize)) {
        let around = at.checked_sub(LEAD).and_then(|from| bytes.get(from..)?.first_chunk());
        let around = around.map(|eight| u64::from_le_bytes(*eight));
        for entry in entries {
            // At the edges, nothing is known.
            if around.is_none_or(|around| around & entry.mask == entry.around) {
                self.verify(bytes, at, entry, found);
            }
        }
    }

    #[inline(never)]
    fn verify(&self, bytes: &[u8], at: usize, entry: &Entry, found: &mut impl FnMut(usize, usize)) {
        let Some(start) = at.checked_add_signed(-isize::from(entry.back)) else { return };
        let literal = &self.literals[usize::from(entry.literal)];
        let Some(there) = bytes.get(start..start + literal.bytes.len()) else { return };
        let same = match literal.folded {
            true => there.eq_ignore_ascii_case(&literal.bytes),
            false => there == literal.bytes,
        };
        if same {
            found(start, usize::from(entry.literal));
        }
    }
}

impl Literal {
    fn entry(&self, literal: u16, back: i16) -> Entry {
        let (mut around, mut mask) = ([0; 8], [0; 8]);
        for (at, byte) in self.bytes.iter().enumerate() {
            let place = (at + LEAD).checked_add_signed(-isize::from(back));
            if let Some(place) = place.filter(|place| *place < around.len()) {
                mask[place] = if self.folded && byte.is_ascii_alphabetic() { !0x20 } else { 0xff };
                around[place] = byte & mask[place];
            }
        }
        Entry { around: u64::from_le_bytes(around), mask: u64::from_le_bytes(mask), literal, back }
    }
}

/// The triples by which a literal is found, with how far each is behind its beginning.
/// `shared` says how many literals have a triple, by its hash.
fn triples(bytes: &[u8], shared: &HashMap<u32, u32>) -> Vec<([u8; 3], i16)> {
    let triple = |at: usize| [bytes[at], bytes[at + 1], bytes[at + 2]];
    if bytes.len() == SHORT {
        let before = (0..=u8::MAX).map(|byte| ([byte, bytes[0], bytes[1]], -1));
        return before.chain([(triple(0), 0)]).collect();
    }
    let cost = |at: usize| {
        let [a, b, c] = triple(at);
        let common = [a, b, c].into_iter().map(commonness).sum::<u32>() + together([a, b]) + together([b, c]);
        // What is looked up anyway costs half, and something for each that is compared there.
        shared.get(&hash(triple(at), 0)).map_or(common, |others| common / 2 + 2 * others)
    };
    let best = (0..=bytes.len() - LITERAL_MIN).min_by_key(|at| cost(*at) + cost(*at + 1)).unwrap_or(0);
    [best, best + 1].map(|at| (triple(at), at as i16)).to_vec()
}

/// Of the triple at every second position. Loops of this form become vectors.
fn short_hashes(block: &[u8; BLOCK + 1], hashes: &mut [u16; BLOCK / 2]) {
    let [_, later @ ..] = block;
    let [earlier @ .., _] = block;
    let ((earlier, _), (later, _)) = (earlier.as_chunks(), later.as_chunks());
    for ((hash, earlier), later) in hashes.iter_mut().zip(earlier).zip(later) {
        *hash = short(*earlier, *later);
    }
}

fn short_hash([a, b, c]: [u8; 3]) -> u16 {
    short([a, b], [b, c])
}

/// Of two words, the second of which begins a byte later.
#[inline(always)]
fn short(earlier: [u8; 2], later: [u8; 2]) -> u16 {
    const FOLDED: u16 = 0x2020;
    let [earlier, later] = [earlier, later].map(|word| u16::from_le_bytes(word) | FOLDED);
    earlier.wrapping_mul(0x9e35).wrapping_add(later.wrapping_mul(0x6f4d)) >> (16 - FIRST_BITS)
}

/// One of eight, in which letters of both cases are one.
#[inline(always)]
fn class(byte: u8) -> u8 {
    1 << (byte & 7)
}

#[inline(always)]
fn hash([a, b, c]: [u8; 3], next: u8) -> u32 {
    let four = u32::from_le_bytes([a, b, c, next]) | FOLD;
    four.wrapping_mul(FACTOR)
}

/// What two bytes cost more because they often stand together.
fn together(pair: [u8; 2]) -> u32 {
    const COMMON: &[u8] = b"theinerananreonatenndtiesorteofedisitalarsttontngsehaasouioleve\
                            comedehiriroicneearacelichllbemasiomurusscsslotrutam";
    let pair = pair.map(|byte| byte.to_ascii_lowercase());
    let (pairs, _) = COMMON.as_chunks::<2>();
    match pair {
        [a, b] if a == b && !a.is_ascii_alphabetic() => 12,
        [b' ', letter] | [letter, b' '] if letter.is_ascii_alphabetic() => 6,
        _ if pairs.contains(&pair) => 8,
        _ => 0,
    }
}

/// How often a byte stands in text and programs, roughly: 0 rare to 20 common.
fn commonness(byte: u8) -> u32 {
    const ORDER: &[u8] = b"zqjxkvbywgpfmuchdlrsnioate";
    match byte.to_ascii_lowercase() {
        0 | 0xff | b' ' => 20,
        letter @ b'a'..=b'z' => {
            8 + ORDER.iter().position(|other| *other == letter).unwrap_or_default() as u32 / 2
        }
        b'0'..=b'9' => 9,
        b'\n' | b'=' | b'.' | b'/' | b'_' | b'-' | b'"' => 10,
        _ => 5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_literal_is_found_at_every_position_and_in_either_case() {
        let words = ["AKIA", "password", "p://", "SharedAccessKey", "\u{0}\u{1}\u{2}\u{3}"];
        let filter = Prefilter::new(words.iter().map(|w| (w.as_bytes().to_vec(), *w == "password")));
        for (number, word) in words.iter().enumerate() {
            for before in 0..40 {
                for after in 0..24 {
                    let text = ["x".repeat(before), word.to_string(), "y".repeat(after)].concat();
                    let mut found = Vec::new();
                    filter.scan(text.as_bytes(), |at, literal| found.push((at, literal)));
                    assert_eq!(found, [(before, number)], "{text:?}");
                }
            }
        }
        let mut found = Vec::new();
        filter.scan(b"akia PassWord sharedaccesskey", |at, literal| found.push((at, literal)));
        assert_eq!(found, [(5, 1)], "case counts where a rule does not say otherwise");
    }

    /// Against looking at each place for each literal.
    #[test]
    fn finds_what_a_plain_search_finds() {
        let mut random = fastrand::Rng::with_seed(7);
        for round in 0..60 {
            // Few letters, so that much is nearly a literal.
            let mut any = |bytes: usize| -> Vec<u8> {
                (0..bytes).map(|_| random.choice(*b"aAbBeE =.\0\xa0\x80").unwrap_or_default()).collect()
            };
            let mut literals: Vec<(Vec<u8>, bool)> =
                (0..round).map(|number| (any(3 + number % 9), number % 3 == 0)).collect();
            let bytes = any(700 + round);
            let filter = Prefilter::new(literals.clone());
            let mut found = Vec::new();
            filter.scan(&bytes, |at, literal| found.push((at, literal)));
            found.sort_unstable();
            literals
                .iter_mut()
                .filter(|(_, folded)| *folded)
                .for_each(|(bytes, _)| bytes.make_ascii_lowercase());
            let is_there = |at: usize, (literal, folded): &(Vec<u8>, bool)| {
                let there = bytes.get(at..at + literal.len());
                there.is_some_and(|there| there == literal || *folded && there.eq_ignore_ascii_case(literal))
            };
            let mut plain: Vec<(usize, usize)> = (0..bytes.len())
                .flat_map(|at| (0..literals.len()).map(move |literal| (at, literal)))
                .filter(|(at, literal)| is_there(*at, &literals[*literal]))
                .collect();
            plain.sort_unstable();
            assert_eq!(found, plain, "round {round}");
        }
    }
}
