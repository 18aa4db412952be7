//! Sixty-four bytes at a time: which of them are what, as bits of a word, the first byte's
//! the lowest.

use wide::u8x16;

/// Compared at once, in bytes.
pub(super) const BLOCK: usize = 64;

/// The bytes of a block.
pub(super) struct Lanes([u8x16; 4]);

impl Lanes {
    #[inline(always)]
    pub(super) fn new(block: &[u8; BLOCK]) -> Lanes {
        let (parts, _) = block.as_chunks::<16>();
        Lanes([0, 1, 2, 3].map(|index| u8x16::from(parts[index])))
    }

    #[inline(always)]
    fn which(&self, of: impl Fn(u8x16) -> u8x16) -> u64 {
        let bits = |index: usize| u64::from(of(self.0[index]).to_bitmask()) << (16 * index);
        bits(0) | bits(1) | bits(2) | bits(3)
    }

    #[inline(always)]
    pub(super) fn are(&self, byte: u8) -> u64 {
        self.which(|bytes| is(bytes, byte))
    }

    /// Whether one is.
    #[inline(always)]
    pub(super) fn has(&self, byte: u8) -> bool {
        self.any(|bytes| is(bytes, byte))
    }

    #[inline(always)]
    pub(super) fn has_either(&self, one: u8, other: u8) -> bool {
        self.any(|bytes| is(bytes, one) | is(bytes, other))
    }

    #[inline(always)]
    fn any(&self, of: impl Fn(u8x16) -> u8x16) -> bool {
        let [a, b, c, d] = self.0;
        (of(a) | of(b) | of(c) | of(d)).to_bitmask() != 0
    }

    /// Which are the same as those of another block.
    #[inline(always)]
    pub(super) fn same(&self, other: &Lanes) -> u64 {
        let bits =
            |index: usize| u64::from(self.0[index].simd_eq(other.0[index]).to_bitmask()) << (16 * index);
        bits(0) | bits(1) | bits(2) | bits(3)
    }

    /// Digits of hex.
    #[inline(always)]
    pub(super) fn hex(&self) -> u64 {
        self.which(|bytes| within(folded(bytes), b'a', b'f') | within(bytes, b'0', b'9'))
    }

    /// Letters of base64 of either alphabet, without padding.
    #[inline(always)]
    pub(super) fn base64(&self) -> u64 {
        self.which(|bytes| {
            let most = within(folded(bytes), b'a', b'z') | within(bytes, b'/', b'9');
            most | is(bytes, b'+') | is(bytes, b'-') | is(bytes, b'_')
        })
    }

    /// Digits, commas and blanks.
    #[inline(always)]
    pub(super) fn numbers(&self) -> u64 {
        self.which(|bytes| {
            within(bytes, b'0', b'9') | is(bytes, b',') | is(bytes, b' ') | within(bytes, b'\t', b'\r')
        })
    }

    /// Signs and blanks of ASCII.
    #[inline(always)]
    pub(super) fn text(&self) -> u64 {
        self.which(|bytes| within(bytes, b' ', b'~') | within(bytes, b'\t', b'\r'))
    }
}

/// Bytes from `first` to `last`.
#[inline(always)]
fn within(bytes: u8x16, first: u8, last: u8) -> u8x16 {
    let from = bytes - u8x16::splat(first);
    from.min(u8x16::splat(last - first)).simd_eq(from)
}

/// Letters in lower case; what is none becomes something else that is none.
#[inline(always)]
fn folded(bytes: u8x16) -> u8x16 {
    bytes | u8x16::splat(0x20)
}

#[inline(always)]
fn is(bytes: u8x16, byte: u8) -> u8x16 {
    bytes.simd_eq(u8x16::splat(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_is_what_it_is() {
        let bytes: Vec<u8> = (0..=255).collect();
        let (blocks, _) = bytes.as_chunks::<BLOCK>();
        for (number, block) in blocks.iter().enumerate() {
            let lanes = Lanes::new(block);
            let of = |is: &dyn Fn(u8) -> bool| {
                let bit = |at: usize| u64::from(is(block[at])) << at;
                (0..BLOCK).map(bit).sum::<u64>()
            };
            assert_eq!(lanes.are(b'x'), of(&|byte| byte == b'x'), "block {number}");
            assert_eq!(lanes.hex(), of(&|byte| byte.is_ascii_hexdigit()), "block {number}");
            let base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/-_".contains(&byte);
            assert_eq!(lanes.base64(), of(&base64), "block {number}");
            let of_array = |byte: u8| byte.is_ascii_digit() || matches!(byte, b',' | b' ' | b'\t'..=b'\r');
            assert_eq!(lanes.numbers(), of(&of_array), "block {number}");
            let text = |byte: u8| matches!(byte, b' '..=b'~' | b'\t'..=b'\r');
            assert_eq!(lanes.text(), of(&text), "block {number}");
            let mut other = *block;
            other[number * 20] ^= 1;
            assert_eq!(lanes.same(&Lanes::new(&other)), !(1 << (number * 20)), "block {number}");
        }
    }
}
