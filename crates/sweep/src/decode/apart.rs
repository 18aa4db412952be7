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
        if let Some(text) = named(bytes, start, &out) {
            decoded(Decoded { encoding: "hex", place: start..end, bytes: text, steps: Vec::new() });
        } else if out.len() >= APART_MIN && plausible(&out, crate::unpack::begins) {
            decoded(Decoded { encoding: "hex", place: start..end, bytes: out, steps: Vec::new() });
        }
        at = end.max(at);
    }
}

/// `"password"=hex(1):4a,00,61,00` of the registry of Windows, `wifi_pass[] = { 0x4a, 0x61 }` of
/// a program: with the name that says what it is, for the rules to judge.
fn named(bytes: &[u8], start: usize, value: &[u8]) -> Option<Vec<u8>> {
    /// Of the name and what stands behind it, in bytes.
    const BEFORE_MAX: usize = 64;
    let before = &bytes[start.saturating_sub(BEFORE_MAX)..start];
    let (name, behind) = before.split_at(memchr::memrchr(b'=', before)?);
    let is_sign = |byte: &u8| byte.is_ascii_whitespace() || b"={(\"':)x0".contains(byte);
    let behind = behind.iter().filter(|byte| !is_sign(byte));
    // `hex(1):`
    if !behind.copied().all(|byte| byte.is_ascii_hexdigit() || byte == b'h') {
        return None;
    }
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let end = name.iter().rposition(is_part)? + 1;
    // What stands in brackets is how long it is.
    let end = match memchr::memrchr(b'[', name) {
        Some(open) if name[open..].iter().all(|byte| is_part(byte) || b"[] \t".contains(byte)) => open,
        _ => end,
    };
    let name = name[..end].trim_ascii_end();
    let name = &name[name.iter().rposition(|byte| !is_part(byte)).map_or(0, |at| at + 1)..];
    let is_wide = value.len().is_multiple_of(2) && value.chunks(2).all(|pair| pair[1] == 0);
    let letters = if is_wide { value.chunks(2).map(|pair| pair[0]).collect() } else { value.to_vec() };
    let text = letters.split(|byte| *byte == 0).next().unwrap_or_default();
    let is_text =
        text.len() >= 4 && text.iter().all(|byte| byte.is_ascii_graphic() && !b"\"\\".contains(byte));
    (is_text && crate::table::is_name(name)).then(|| [name, b"=\"", text, b"\"\n"].concat())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_name_says_is_a_password_is_told_with_it() {
        let told = |text: &str| {
            let mut told = Vec::new();
            apart(text.as_bytes(), &Marks::new(text.as_bytes(), 0..text.len()), |decoded| {
                told.push(decoded.bytes)
            });
            told.into_iter().map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).collect::<Vec<_>>()
        };
        let registry = "[Users]\n\"password\"=hex(1):4a,00,61,00,72,00,64,00,69,00,6e,00,33,00,36,00,00,00\n";
        assert_eq!(told(registry), ["password=\"Jardin36\"\n"]);
        let program =
            "static const unsigned char wifi_pass[8] = { 0x53, 0x61, 0x72, 0x64, 0x65, 0x67, 0x31, 0x34 };\n";
        assert_eq!(told(program), ["wifi_pass=\"Sardeg14\"\n"]);
        for text in [
            "static const unsigned char table[8] = { 0x53, 0x61, 0x72, 0x64, 0x65, 0x67, 0x31, 0x34 };\n",
            "password = hash(12) 53 61 72 64 65 67 31 34\n",
            "password 53:61:72:64:65:67:31:34\n",
        ] {
            assert_eq!(told(text), Vec::<String>::new(), "{text}");
        }
    }
}
