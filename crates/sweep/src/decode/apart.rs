//! Hex with something between its bytes.

use std::ops::Range;

use super::{CLASS, Decoded, HEX, STEP, is, pair, plausible};

/// Bytes in hex that something stands between, and that begin in `own`.
pub(crate) fn apart(bytes: &[u8], own: Range<usize>, mut decoded: impl FnMut(Decoded)) {
    const APART_MIN: usize = 16;
    // What stands between two bytes, and how far apart they are.
    const BETWEEN: [&[u8]; 7] = [b":", b" ", b",", b"-", b", 0x", b",0x", b" 0x"];
    let mut at = own.start;
    while at < own.end {
        // Most text has none: that alone must cost next to nothing.
        let (steps, _) = bytes[at..own.end].as_chunks::<STEP>();
        at += steps.iter().take_while(|step| !may_be_apart(step)).count() * STEP;
        let Some(sample) = bytes.get(at..at + 12).filter(|_| at < own.end) else { return };
        let sampled = at;
        at += STEP;
        let first = sample.iter().take(6).find(|byte| !is(**byte, HEX));
        if !first.is_some_and(|byte| matches!(byte, b':' | b'-' | b' ' | b',' | b'x')) {
            continue;
        }
        let Some(between) = BETWEEN.into_iter().find(|between| repeats(sample, between)) else { continue };
        let step = 2 + between.len();
        let is_byte =
            |at: usize| matches!(bytes.get(at..at + 2), Some([high, low]) if is(*high, HEX) && is(*low, HEX));
        let Some(mut start) = (sampled..sampled + step)
            .find(|at| is_byte(*at) && bytes[at + 2..].starts_with(between) && is_byte(at + step))
        else {
            continue;
        };
        let earlier = |start: usize| {
            start >= own.start + step
                && is_byte(start - step)
                && bytes[start - between.len()..].starts_with(between)
        };
        while earlier(start) {
            start -= step;
        }
        let mut end = start;
        let mut out = Vec::new();
        while is_byte(end) {
            out.extend(pair(bytes[end], bytes[end + 1]));
            end += 2;
            end += gap(&bytes[end..], between);
        }
        if out.len() >= APART_MIN && plausible(&out, |_| false) {
            decoded(Decoded { encoding: "hex", place: start..end, bytes: out, steps: Vec::new() });
        }
        at = end.max(at);
    }
}

/// Whether one of three neighbours is a sign that stands there again two hex digits on, or
/// the sign of `0x` is there.
fn may_be_apart(sample: &[u8; STEP]) -> bool {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let of = |at: usize| CLASS[usize::from(sample[at])];
    let again = |at: usize| sample[at] == sample[at + 3] && of(at + 1) & of(at + 2) & HEX & !of(at) != 0;
    // A byte of 0 in eight has its high bit set then, and perhaps the one behind it.
    let zeros = |word: u64| word.wrapping_sub(EACH) & !word & (EACH << 7);
    let [first @ .., _, _, _, _, _, _, _, _] = *sample;
    let [_, _, _, third @ .., _, _, _, _, _] = *sample;
    let [_, _, second @ .., _, _, _, _, _, _] = *sample;
    let same = zeros(u64::from_le_bytes(first) ^ u64::from_le_bytes(third)) & 0xff_ffff;
    let hex = zeros(u64::from_le_bytes(second) ^ (EACH * u64::from(b'x')));
    same | hex != 0 && (hex != 0 || again(0) || again(1) || again(2))
}

/// How long the gap between two bytes is: as all are, or with the end of a line in it.
fn gap(rest: &[u8], between: &[u8]) -> usize {
    if rest.starts_with(between) {
        return between.len();
    }
    let sign = between.iter().take_while(|byte| matches!(byte, b',' | b':')).count();
    let blanks = |rest: &[u8]| rest.iter().take(24).take_while(|byte| byte.is_ascii_whitespace()).count();
    if !rest.starts_with(&between[..sign]) {
        return 0;
    }
    let blank = blanks(&rest[sign..]);
    let prefix = if between.ends_with(b"0x") { b"0x".as_slice() } else { b"" };
    match blank > 0 && rest[sign + blank..].starts_with(prefix) {
        true => sign + blank + prefix.len(),
        false => 0,
    }
}

/// Whether `between` stands in a sample twice, two digits apart.
fn repeats(sample: &[u8], between: &[u8]) -> bool {
    let step = 2 + between.len();
    (0..step.min(sample.len() - between.len())).any(|at| {
        sample[at..].starts_with(between)
            && sample
                .get(at + between.len()..at + step)
                .is_none_or(|two| two.iter().all(|byte| is(*byte, HEX)))
            && sample.get(at + step..at + step + 1).is_none_or(|next| next[0] == between[0])
    })
}
