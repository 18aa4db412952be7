//! Names of places, as reports have them.

/// Parts inside parts below the image, without the offsets at which they were found:
/// those change with each version.
pub(super) fn place(chain: &[String]) -> String {
    let parts = chain.iter().skip(1).filter(|name| !name.starts_with('('));
    let parts: Vec<&str> = parts.map(|name| without_offset(name)).filter(|name| !name.is_empty()).collect();
    parts.join(" › ")
}

/// `0x40000:etc/passwd` is `etc/passwd`.
pub(super) fn without_offset(name: &str) -> &str {
    let Some((offset, rest)) = name.strip_prefix("0x").and_then(|name| name.split_once(':')) else {
        return name;
    };
    match !offset.is_empty() && offset.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        true => rest,
        false => name,
    }
}

/// The first `max` characters, for what is quoted.
pub(super) fn short(text: &str, max: usize) -> String {
    let mut short: String = text.chars().take(max).collect();
    if text.chars().nth(max).is_some() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_have_no_offsets() {
        let chain = ["image.bin", "0x200:", "0x1f:rootfs", "etc/passwd", "(base64)"].map(str::to_owned);
        assert_eq!(place(&chain), "rootfs › etc/passwd");
        assert_eq!(without_offset("0xyz:a"), "0xyz:a");
        assert_eq!(without_offset("0x10:a:b"), "a:b");
        assert_eq!(short("abcdef", 3), "abc…");
    }
}
