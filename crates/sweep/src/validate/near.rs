//! What stands around a value and says that it is no secret: names that only end like one,
//! keys of caches, objects of a cluster, and commands whose option means something else.

use memchr::memmem;

/// Words that end with `pass` or `key`, and are no password's and no key's.
const OTHERS: &[&str] = &[
    "allpass",
    "bandpass",
    "bypass",
    "compass",
    "encompass",
    "highpass",
    "lowpass",
    "multipass",
    "overpass",
    "postpass",
    "prepass",
    "renderpass",
    "subpass",
    "surpass",
    "trespass",
    "underpass",
    "donkey",
    "hockey",
    "jockey",
    "lackey",
    "monkey",
    "turkey",
    "whiskey",
];

/// What `pass` counts, or is one of, behind these.
const PASSES: &[&str] = &[
    "all", "band", "by", "each", "final", "first", "fourth", "high", "last", "low", "multi", "next", "nth",
    "over", "per", "previous", "render", "second", "single", "sub", "tests", "third", "under",
];

/// The name up to the sign that gives it a value.
fn name(before: &[u8], from: &[u8]) -> Vec<u8> {
    let sign = from.iter().take(64).position(|byte| matches!(byte, b'=' | b':'));
    let Some(end) = sign else { return Vec::new() };
    let sign = |byte: &u8| !byte.is_ascii_alphabetic();
    let mut name = [before, &from[..end]].concat();
    name.truncate(name.len() - name.iter().rev().take_while(|byte| sign(byte)).count());
    name
}

/// What Google calls a key by, which opens nothing.
pub(super) fn is_key_id(from: &[u8]) -> bool {
    from.get(..14).is_some_and(|name| name.eq_ignore_ascii_case(b"private_key_id"))
}

/// `bypass=`, `setBypass=`, `first pass:`, `monkey=`.
pub(super) fn is_other_word(before: &[u8], from: &[u8]) -> bool {
    let name = name(before, from);
    let (rest, last) = last_word(&name);
    let is =
        |word: &[u8], words: &[&str]| words.iter().any(|other| word.eq_ignore_ascii_case(other.as_bytes()));
    if is(last, OTHERS) {
        return true;
    }
    // `testBypass`: the word begins at the capital letter.
    let sign = rest.last().is_some_and(|byte| matches!(byte, b' ' | b'_' | b'-' | b'.'));
    let rest = if sign { &rest[..rest.len() - 1] } else { rest };
    last.eq_ignore_ascii_case(b"pass") && is(last_word(rest).1, PASSES)
}

/// Letters at the end, from their last capital on, if there are small ones before it.
fn last_word(text: &[u8]) -> (&[u8], &[u8]) {
    let letters = text.iter().rev().take_while(|byte| byte.is_ascii_alphabetic()).count();
    let start = text.len() - letters;
    let camel = |at: &usize| text[*at].is_ascii_uppercase() && text[at - 1].is_ascii_lowercase();
    text.split_at((start + 1..text.len()).rev().find(camel).unwrap_or(start))
}

/// `pass=1048576 fail=0`: how many tests did.
pub(super) fn is_count(from: &[u8]) -> bool {
    let Some(rest) = from.get(4..).filter(|_| from[..4].eq_ignore_ascii_case(b"pass")) else { return false };
    let rest = &rest[..rest.len().min(64)];
    let line = &rest[..memchr::memchr(b'\n', rest).unwrap_or(rest.len())];
    let value = line.iter().skip_while(|byte| matches!(byte, b'=' | b':' | b' '));
    let mut rest = value.skip_while(|byte| byte.is_ascii_digit());
    let number = rest.next().is_some_and(|next| matches!(next, b' ' | b',' | b';'));
    let line = line.to_ascii_lowercase();
    number && [b"fail".as_slice(), b"skip"].iter().any(|word| memmem::find(&line, word).is_some())
}

/// What a log says of an entry whose key it names.
pub(super) fn is_lookup(before: &[u8], from: &[u8], secret: &[u8]) -> bool {
    const SAID: &[&str] = &[
        "cache miss",
        "cache hit",
        "cache set",
        "cache get",
        "cache put",
        "cache read",
        "cache write",
        "cache entr",
        "cache lookup",
        "cache key",
        "cache fill",
        "cache del",
        "cache store",
        "cache insert",
        "from cache",
        "in cache",
        "to cache",
        "evict",
        "lookup",
        "duplicate",
        "dedup",
        "memcache",
        " entry",
        "object key",
        "partition=",
        "offset=",
        "shard=",
    ];
    let end = memmem::find(from, secret).unwrap_or(0);
    let after = &from[end + secret.len()..];
    let after = &after[..after.len().min(48)];
    let after = &after[..memchr::memchr(b'\n', after).unwrap_or(after.len())];
    let before = &before[memchr::memrchr(b'\n', before).map_or(0, |end| end + 1)..];
    let said = [before, &from[..end]].concat().to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| memmem::find(&said, word.as_bytes()).is_some());
    let hex = secret.iter().all(u8::is_ascii_hexdigit);
    let lives = [b" ttl=".as_slice(), b"\"ttl\":", b" hit=", b" miss="];
    says(SAID)
        // A key of a store of objects is no digest.
        || hex && says(&["bucket="])
        || lives.iter().any(|word| memmem::find(after, word).is_some())
}

/// `creating secret camera-tls-1`: the name of an object that holds secrets.
pub(super) fn is_object(before: &[u8], from: &[u8], secret: &[u8]) -> bool {
    const WORDS: &[&str] = &[
        "a",
        "an",
        "any",
        "create",
        "delete",
        "describe",
        "each",
        "edit",
        "every",
        "existing",
        "external",
        "find",
        "for",
        "found",
        "from",
        "get",
        "in",
        "kubernetes",
        "missing",
        "named",
        "no",
        "of",
        "such",
        "that",
        "the",
        "this",
        "to",
        "unknown",
        "update",
        "using",
        "volume",
        "with",
    ];
    const STEMS: &[&str] = &[
        "add", "adopt", "apply", "appli", "attach", "check", "cop", "copy", "creat", "decrypt", "delet",
        "detach", "enqueu", "export", "fetch", "import", "inject", "label", "list", "load", "look", "manag",
        "mount", "patch", "process", "project", "prun", "read", "reconcil", "register", "remov", "renew",
        "replac", "resolv", "restor", "rotat", "sav", "seal", "skip", "stor", "sync", "unseal", "updat",
        "validat", "watch", "writ",
    ];
    let own = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'/');
    let one_case = !secret.iter().any(u8::is_ascii_lowercase) || !secret.iter().any(u8::is_ascii_uppercase);
    if !from.get(..7).is_some_and(|word| word.eq_ignore_ascii_case(b"secret "))
        || !secret.iter().all(own)
        || !one_case
        || !secret[0].is_ascii_alphabetic()
    {
        return false;
    }
    let said = before.trim_ascii_end();
    let letters = said.iter().rev().take_while(|byte| byte.is_ascii_alphabetic()).count();
    let word = said[said.len() - letters..].to_ascii_lowercase();
    let stem = [b"ing".as_slice(), b"ed", b"es", b"s"].into_iter().find_map(|end| word.strip_suffix(end));
    let among = |words: &[&str], word: &[u8]| words.iter().any(|other| other.as_bytes() == word);
    among(WORDS, &word) || stem.is_some_and(|stem| among(STEMS, stem))
}

/// `mysql -u root -p cameras`, which asks for the password, and `ps -u root -p 4711`.
pub(super) fn is_other_option(before: &[u8], from: &[u8], secret: &[u8]) -> bool {
    const NUMBERED: &[&str] = &[
        "docker",
        "gdb",
        "htop",
        "lsof",
        "ltrace",
        "nc",
        "perf",
        "pg_dump",
        "pg_restore",
        "pidstat",
        "podman",
        "ps",
        "psql",
        "scp",
        "sftp",
        "ssh",
        "strace",
        "top",
    ];
    let option = from[..memmem::find(from, secret).unwrap_or(0)].trim_ascii_end();
    let apart = from.get(option.len()) == Some(&b' ');
    let line = &before[memchr::memrchr(b'\n', before).map_or(0, |end| end + 1)..];
    let mut words =
        line.split(|byte| matches!(byte, b' ' | b'\t' | b'/' | b'$' | b';' | b'|' | b'"' | b'\''));
    let plain = |word: &[u8]| word.iter().all(|byte| byte.is_ascii_alphabetic() || *byte == b'-');
    let is_asked = |word: &[u8]| plain(word) && (word.starts_with(b"mysql") || word.starts_with(b"mariadb"));
    let dashed = option.starts_with(b"-") || option.starts_with(b" -") || before.ends_with(b"-");
    let is_numbered = |word: &[u8]| NUMBERED.iter().any(|other| other.as_bytes() == word);
    let number = secret.iter().all(|byte| byte.is_ascii_digit() || *byte == b':');
    apart
        && dashed
        && words.any(|word| is_asked(word) || number && option.ends_with(b"-p") && is_numbered(word))
}

/// `https://abc:xyz@example.com`: three characters at a host that stands in texts alone
/// (RFC 2606, 2 and 3).
pub(super) fn is_example(from: &[u8], secret: &[u8]) -> bool {
    if secret.len() >= 4 {
        return false;
    }
    let needle = [b":", secret, b"@"].concat();
    let from = &from[..from.len().min(1 << 10)];
    let end = memmem::find(from, &needle).map_or(from.len(), |at| at + needle.len());
    let part = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    let host: Vec<u8> = from[end..].iter().take(253).take_while(part).map(u8::to_ascii_lowercase).collect();
    let names = [b"example".as_slice(), b"example.com", b"example.net", b"example.org"];
    let is = |name: &&[u8]| {
        host.strip_suffix(*name).is_some_and(|before| before.is_empty() || before.ends_with(b"."))
    };
    names.iter().any(is)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The attack: an address that is looked for in all that follows, again and again.
    #[test]
    fn an_example_stands_near() {
        let at = |before: usize, host: &str| [&b"x".repeat(before)[..], b":abc@", host.as_bytes()].concat();
        assert!(is_example(&at(20, "www.example.com/"), b"abc"));
        assert!(!is_example(&at(2000, "www.example.com/"), b"abc"), "no further than a kibibyte");
        assert!(!is_example(&at(20, "www.example.com/"), b"abcd"));
        assert!(!is_example(&at(20, "192.0.2.7/"), b"abc"));
    }
}
