//! Tokens that say what they are: signatures of Azure, JSON web tokens, checksums,
//! hashes of passwords.

use memchr::memmem;
use serde_json::Value;

use super::{Found, Verdict, is_random};
use crate::decode::{base64, percent};
use crate::finding::{Life, Severity};

/// `name=value` of a query, percent decoded.
fn field(query: &[u8], name: &str) -> Option<Vec<u8>> {
    let fields = query.split(|byte| matches!(byte, b'&' | b'?' | b';' | b' '));
    let value = fields.filter_map(|field| field.strip_prefix(name.as_bytes())?.strip_prefix(b"=")).next()?;
    Some(percent(value).unwrap_or_else(|| value.to_vec()))
}

fn life(end: i64, now: i64) -> Life {
    if end <= now { Life::Ended(end) } else { Life::Until(end) }
}

/// What has ended opens nothing, but says that somebody leaks such tokens.
fn ended(verdict: &mut Verdict) {
    if matches!(verdict.life, Life::Ended(_)) {
        verdict.severity = Some(Severity::Low);
    }
}

/// A shared access signature (Azure Storage, "Create a service SAS"): `sv` and `sig`,
/// and `se` unless a policy of the container says the end (`si`).
pub(super) fn sas(found: &Found<'_>, verdict: &mut Verdict) -> bool {
    // `&` is `&amp;` in XML; the text may also be taken apart by JSON escapes.
    let query = replace(found.secret, b"&amp;", b"&");
    let query = replace(&query, b"\\u0026", b"&");
    let signature = field(&query, "sig").and_then(|sig| base64(&sig));
    let signature = signature.filter(|sig| sig.len() == 32 && is_random(sig));
    if signature.is_none() || field(&query, "sv").is_none() {
        return false;
    }
    // The same token with and without escapes is one.
    verdict.identity = signature;
    let permissions = field(&query, "sp").unwrap_or_default();
    if permissions.iter().any(|letter| !letter.is_ascii_lowercase()) || permissions.len() > 16 {
        return false;
    }
    let writes = permissions.iter().any(|letter| b"acdwuxytmeop".contains(letter));
    verdict.permits = (!permissions.is_empty()).then(|| words(&permissions).join(", "));
    verdict.severity = Some(if writes { Severity::Critical } else { Severity::High });
    match field(&query, "se").map(|end| date(&end)) {
        Some(Some(end)) => verdict.life = life(end, found.now),
        Some(None) => return false,
        None if field(&query, "si").is_none() => return false,
        None => {}
    }
    ended(verdict);
    true
}

fn words(permissions: &[u8]) -> Vec<&'static str> {
    let word = |letter: &u8| match letter {
        b'r' => "read",
        b'a' => "add",
        b'c' => "create",
        b'w' => "write",
        b'd' => "delete",
        b'l' => "list",
        b'u' => "update",
        b'p' => "process",
        b't' => "tag",
        _ => "other",
    };
    permissions.iter().map(word).collect()
}

/// `SharedAccessSignature sr=…&sig=…&se=…`, with the end in seconds since 1970.
pub(super) fn bus_sas(found: &Found<'_>, verdict: &mut Verdict) -> bool {
    let query = replace(found.secret, b"&amp;", b"&");
    let signature = field(&query, "sig").and_then(|sig| base64(&sig));
    let end = field(&query, "se").and_then(|end| number(&end));
    let Some(end) = end.filter(|_| signature.is_some_and(|sig| sig.len() == 32)) else { return false };
    verdict.life = life(end, found.now);
    ended(verdict);
    field(&query, "sr").is_some()
}

/// `X-Amz-Date=20260101T000000Z&X-Amz-Expires=3600`, of S3 and, with `X-Goog-`, of GCS.
pub(super) fn presigned(found: &Found<'_>, verdict: &mut Verdict) -> bool {
    let query = replace(found.secret, b"&amp;", b"&");
    let either = |name: &str| {
        field(&query, &format!("X-Amz-{name}")).or_else(|| field(&query, &format!("X-Goog-{name}")))
    };
    let begin = either("Date").and_then(|date| compact(&date));
    let seconds = either("Expires").and_then(|seconds| number(&seconds));
    let (Some(begin), Some(seconds)) = (begin, seconds) else { return false };
    verdict.life = life(begin.saturating_add(seconds), found.now);
    ended(verdict);
    true
}

/// RFC 7519: a header with `alg`, claims, and a signature unless it is `none`.
pub(super) fn jwt(found: &Found<'_>, verdict: &mut Verdict) -> bool {
    let mut parts = found.secret.split(|byte| *byte == b'.');
    let mut json = || -> Option<Value> { serde_json::from_slice(&base64(parts.next()?)?).ok() };
    let (Some(header), Some(claims)) = (json(), json()) else { return false };
    if !header.get("alg").is_some_and(Value::is_string) || !claims.is_object() {
        return false;
    }
    if let Some(end) = claims.get("exp").and_then(Value::as_i64) {
        verdict.life = life(end, found.now);
        ended(verdict);
    }
    true
}

/// A token whose checksum is wrong opens nothing today, but was not always checked: old
/// ones, and those of servers of one's own, have none.
pub(super) fn crc32(token: &[u8], verdict: &mut Verdict) -> bool {
    if !has_crc32(token) {
        verdict.severity = Some(Severity::Medium);
        verdict.permits = Some("its checksum does not hold".to_owned());
    }
    super::entropy(token) >= 3.5
}

/// The last six characters are the CRC-32 of those after the prefix, in base 62
/// (GitHub, "Behind GitHub's new authentication token formats").
fn has_crc32(token: &[u8]) -> bool {
    let Some(at) = token.iter().position(|byte| *byte == b'_') else { return false };
    let body = &token[at + 1..];
    let Some((text, sum)) = body.len().checked_sub(6).map(|at| body.split_at(at)) else { return false };
    let digit = |byte: &u8| match byte {
        b'0'..=b'9' => Some(u64::from(byte - b'0')),
        b'A'..=b'Z' => Some(u64::from(byte - b'A') + 10),
        b'a'..=b'z' => Some(u64::from(byte - b'a') + 36),
        _ => None,
    };
    let sum = sum.iter().try_fold(0_u64, |sum, byte| Some(sum * 62 + digit(byte)?));
    let mut crc = flate2::Crc::new();
    crc.update(text);
    sum == Some(u64::from(crc.sum()))
}

/// The password of `user:password` of HTTP Basic (RFC 7617), printable and with something on
/// both sides; SASL's PLAIN (RFC 4616) has zero bytes between for whom, by whom and it.
pub(crate) fn pair_password(pair: &[u8]) -> Option<&[u8]> {
    let pair = pair.trim_ascii_end();
    let at = match memchr::memrchr(0, pair) {
        Some(last) => last,
        None => memchr::memchr(b':', pair)?,
    };
    let (user, password) = (&pair[..at], &pair[at + 1..]);
    // It may be for nobody else than whom it is by.
    let user = user.strip_prefix(b"\0").unwrap_or(user);
    let printable =
        |bytes: &[u8]| !bytes.is_empty() && bytes.iter().all(|byte| *byte >= 0x20 && *byte != 0x7f);
    let is_pair = user.split(|byte| *byte == 0).count() <= 2 && user.split(|byte| *byte == 0).all(printable);
    (is_pair && printable(password)).then_some(password)
}

/// The same, if it is none of a handbook.
pub(super) fn pair(pair: &[u8], verdict: &mut Verdict) -> bool {
    let password = pair_password(pair).filter(|password| !super::is_placeholder(password));
    verdict.identity = password.map(<[u8]>::to_vec);
    password.is_some()
}

/// Characters of the hash of each kind (crypt(5)).
pub(super) fn is_crypt(hash: &[u8]) -> bool {
    let mut fields = hash.split(|byte| *byte == b'$').skip(1);
    let (Some(kind), Some(last)) = (fields.next(), hash.rsplit(|byte| *byte == b'$').next()) else {
        // DES: two characters of salt and eleven of hash.
        return hash.len() == 13
            && hash.iter().any(u8::is_ascii_lowercase)
            && hash.iter().any(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase());
    };
    match kind {
        b"1" | b"apr1" => last.len() == 22,
        b"5" => last.len() == 43,
        // Mosquitto writes the same digests in base64.
        b"6" => matches!(last.len(), 86 | 88),
        b"2a" | b"2b" | b"2y" => last.len() == 53,
        b"y" | b"gy" => last.len() == 43,
        _ => last.len() >= 20,
    }
}

fn replace(text: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memmem::find(rest, from) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(to);
        rest = &rest[at + from.len()..];
    }
    out.extend_from_slice(rest);
    out
}

fn number(digits: &[u8]) -> Option<i64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// `2026-12-31`, `2026-12-31T23:59Z` or with seconds: seconds since 1970.
fn date(text: &[u8]) -> Option<i64> {
    let digits: Vec<u8> = text.iter().copied().filter(u8::is_ascii_digit).collect();
    let shape = text.get(4) == Some(&b'-') && text.get(7) == Some(&b'-');
    shape.then(|| seconds(&digits)).flatten()
}

/// `20261231T235959Z`.
fn compact(text: &[u8]) -> Option<i64> {
    seconds(&text.iter().copied().filter(u8::is_ascii_digit).collect::<Vec<u8>>())
}

fn seconds(digits: &[u8]) -> Option<i64> {
    let part = |from: usize, to: usize| match digits.get(from..to) {
        Some(part) => number(part),
        None => (from >= 8).then_some(0),
    };
    let (year, month, day) = (part(0, 4)?, part(4, 6)?, part(6, 8)?);
    crate::date::seconds([year, month, day, part(8, 10)?, part(10, 12)?, part(12, 14)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_as_others_read_them() {
        assert_eq!(date(b"1970-01-01"), Some(0));
        assert_eq!(date(b"2026-11-28T12:30:05Z"), Some(1_795_869_005));
        assert_eq!(date(b"2024-02-29T23:59Z"), Some(1_709_251_140));
        assert_eq!(compact(b"20240229T235900Z"), Some(1_709_251_140));
        assert_eq!(date(b"2026-13-01"), None);
        assert_eq!(date(b"20261301"), None);
    }
}
