//! Hex with something between its bytes.

use super::marks::{self, Marks};
use super::{Decoded, HEX, STEP, is, pair, plausible};

/// Bytes in hex that something stands between, and that begin in what is marked.
pub(crate) fn apart(bytes: &[u8], marks: &Marks, mut decoded: impl FnMut(Decoded)) {
    const APART_MIN: usize = 16;
    // What stands between two bytes, and how far apart they are.
    const BETWEEN: [&[u8]; 7] = [b":", b" ", b",", b"-", b", 0x", b",0x", b" 0x"];
    let own = &marks.own;
    let mut at = own.start;
    while let Some(sampled) = marks.next(marks::APART, at) {
        at = sampled + STEP;
        let Some(sample) = bytes.get(sampled..sampled + 12) else { return };
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
        if out.len() >= APART_MIN && plausible(&out, crate::unpack::begins) {
            decoded(Decoded { encoding: "hex", place: start..end, bytes: out, steps: Vec::new() });
        }
        at = end.max(at);
    }
}

/// How long the gap between two bytes is: as all are, or with the end of a line in it.
fn gap(rest: &[u8], between: &[u8]) -> usize {
    if rest.starts_with(between) && rest.get(between.len()).is_some_and(|next| is(*next, HEX)) {
        return between.len();
    }
    let sign = between.iter().take_while(|byte| matches!(byte, b',' | b':')).count();
    let blanks = |rest: &[u8]| rest.iter().take(24).take_while(|byte| byte.is_ascii_whitespace()).count();
    if !rest.starts_with(&between[..sign]) {
        return 0;
    }
    // As exports of the registry go on.
    let more = usize::from(rest.get(sign) == Some(&b'\\'));
    let sign = sign + more;
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
