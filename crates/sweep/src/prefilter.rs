//! The first stage: where a literal of some rule may stand.
//!
//! Hashes of three folded bytes are looked up at every second position. Each literal
//! has at least four bytes, so of two neighbouring triples of it one begins at an even
//! position; both are in the table. That touches each byte 1.5 times, needs no
//! instruction that not every processor has, and no `unsafe`. The first look is into a
//! table of bytes, which takes no shifts and fits into the first cache; what is there, one
//! of fifty, is looked up by two bits more. Which two triples of a literal are looked up is chosen by how rare
//! they are, and triples that another literal has already cost nothing.

/// Literals shorter than this cannot be found.
pub(crate) const LITERAL_MIN: usize = 4;
const HASH_BITS: u32 = 17;
/// Of those, the high ones are the place in the table of bytes.
const FIRST_BITS: u32 = 15;
const FACTOR: u32 = 0x9e37_79b1;
const FOLD: u32 = 0x20_2020;
/// Positions that are looked up at once.
const AT_ONCE: usize = 9;

#[derive(Debug)]
struct Literal {
    /// Folded to lower case, if case does not count.
    bytes: Vec<u8>,
    folded: bool,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    literal: u16,
    /// Bytes from the start of the literal to the triple.
    back: u16,
}

#[derive(Debug)]
pub(crate) struct Prefilter {
    /// Not 0 where a hash begins with these bits.
    first: Box<[u8; 1 << FIRST_BITS]>,
    bits: Box<[u64; 1 << (HASH_BITS - 6)]>,
    /// Entries of one hash are neighbours: from `heads[hash]` to `heads[hash + 1]`.
    heads: Vec<u32>,
    entries: Vec<Entry>,
    literals: Vec<Literal>,
}

impl Prefilter {
    /// Literals, with whether case does not count.
    pub(crate) fn new(literals: impl IntoIterator<Item = (Vec<u8>, bool)>) -> Prefilter {
        let mut literals: Vec<Literal> =
            literals.into_iter().map(|(bytes, folded)| Literal { bytes, folded }).collect();
        for literal in &mut literals {
            debug_assert!(literal.bytes.len() >= LITERAL_MIN, "checked where rules are read");
            if literal.folded {
                literal.bytes.make_ascii_lowercase();
            }
        }
        let mut placed: Vec<(u32, Entry)> = Vec::new();
        let mut first = Box::new([0; 1 << FIRST_BITS]);
        let mut bits = Box::new([0_u64; 1 << (HASH_BITS - 6)]);
        for (number, literal) in literals.iter().enumerate() {
            let bytes = &literal.bytes;
            let cost = |at: usize| {
                let triple = [bytes[at], bytes[at + 1], bytes[at + 2]];
                if is_set(bits.as_slice(), hash(triple_of(triple))) {
                    0
                } else {
                    triple.iter().map(|b| commonness(*b)).sum()
                }
            };
            let best =
                (0..=bytes.len() - LITERAL_MIN).min_by_key(|at| cost(*at) + cost(*at + 1)).unwrap_or(0);
            for back in [best, best + 1] {
                let hash = hash(triple_of([bytes[back], bytes[back + 1], bytes[back + 2]]));
                first[(hash >> (HASH_BITS - FIRST_BITS)) as usize] = 1;
                bits[(hash >> 6) as usize] |= 1 << (hash & 63);
                placed.push((hash, Entry { literal: number as u16, back: back as u16 }));
            }
        }
        placed.sort_by_key(|(hash, _)| *hash);
        let mut heads = vec![0_u32; (1 << HASH_BITS) + 1];
        for (hash, _) in &placed {
            heads[*hash as usize + 1] += 1;
        }
        for at in 1..heads.len() {
            heads[at] += heads[at - 1];
        }
        let entries = placed.into_iter().map(|(_, entry)| entry).collect();
        Prefilter { first, bits, heads, entries, literals }
    }

    /// Tells where each literal begins, by its number.
    pub(crate) fn scan(&self, bytes: &[u8], mut found: impl FnMut(usize, usize)) {
        let mut at = 0;
        while let Some(block) = bytes[at..].first_chunk::<20>() {
            let words = words(block);
            let any = (0..AT_ONCE).fold(0, |any, index| {
                any | self.first[(product(words, index) >> (32 - FIRST_BITS)) as usize]
            });
            if any != 0 {
                for index in 0..AT_ONCE {
                    let hash = product(words, index) >> (32 - HASH_BITS);
                    if is_set(self.bits.as_slice(), hash) {
                        self.check(bytes, at + 2 * index, hash, &mut found);
                    }
                }
            }
            at += 2 * AT_ONCE;
        }
        while let Some([a, b, c]) = bytes.get(at..at + 3) {
            self.check(bytes, at, hash(triple_of([*a, *b, *c])), &mut found);
            at += 2;
        }
    }

    #[inline(never)]
    fn check(&self, bytes: &[u8], at: usize, hash: u32, found: &mut impl FnMut(usize, usize)) {
        let entries = self.heads[hash as usize] as usize..self.heads[hash as usize + 1] as usize;
        for entry in &self.entries[entries] {
            let literal = &self.literals[entry.literal as usize];
            let Some(start) = at.checked_sub(entry.back as usize) else { continue };
            let Some(there) = bytes.get(start..start + literal.bytes.len()) else { continue };
            let same = match literal.folded {
                true => there.eq_ignore_ascii_case(&literal.bytes),
                false => there == literal.bytes,
            };
            if same {
                found(start, entry.literal as usize);
            }
        }
    }
}

/// A block with its letters folded, three triples in each word.
#[inline(always)]
fn words(block: &[u8; 20]) -> [u64; AT_ONCE / 3] {
    std::array::from_fn(|index| {
        let eight = block[6 * index..6 * index + 8].try_into().expect("eight bytes");
        u64::from_le_bytes(eight) | 0x2020_2020_2020_2020
    })
}

/// Of the triple at every second position, the product whose high bits are its hash.
#[inline(always)]
fn product(words: [u64; AT_ONCE / 3], index: usize) -> u32 {
    ((words[index / 3] >> (16 * (index % 3))) as u32 & 0xff_ffff).wrapping_mul(FACTOR)
}

fn triple_of([a, b, c]: [u8; 3]) -> u32 {
    u32::from_le_bytes([a, b, c, 0]) | FOLD
}

#[inline(always)]
fn hash(triple: u32) -> u32 {
    triple.wrapping_mul(FACTOR) >> (32 - HASH_BITS)
}

fn is_set(bits: &[u64], hash: u32) -> bool {
    bits[(hash >> 6) as usize] >> (hash & 63) & 1 != 0
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
}
