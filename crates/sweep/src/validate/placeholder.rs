//! Values that stand where a secret would: masked, not filled in, or out of a handbook.

use memchr::memmem;

use super::words;

/// Whole values, in lower case.
const WHOLE: &[&str] = &[
    "password",
    "passwd",
    "pass",
    "pwd",
    "secret",
    "changeme",
    "change_me",
    "change-me",
    "changeit",
    "placeholder",
    "example",
    "none",
    "null",
    "nil",
    "undefined",
    "true",
    "false",
    "yes",
    "no",
    "on",
    "off",
    "empty",
    "default",
    "string",
    "str",
    "text",
    "value",
    "redacted",
    "masked",
    "hidden",
    "removed",
    "unknown",
    "required",
    "optional",
    "todo",
    "tbd",
    "n/a",
    "user",
    "username",
    "token",
    "apikey",
    "api_key",
    "key",
    "yourpassword",
    "mypassword",
    "your_password",
    "my_password",
    "passphrase",
    "foo",
    "bar",
    "baz",
    "foobar",
    "test",
    "dummy",
    "sample",
    "xxx",
    "basic",
    "digest",
    "plain",
    "cleartext",
    "bytes",
    "object",
    "boolean",
    "int",
    "char",
    "varchar",
    "prompt",
    "ask",
    "file",
    "env",
    "stdin",
    "function",
    "return",
    "self",
    "this",
    "new",
    "old",
    "md5",
    "sha1",
    "sha256",
    "sha512",
    "encrypted",
    "disabled",
    "enabled",
    "auto",
    "not",
    "and",
    "the",
    "for",
    "with",
    "must",
    "public",
    "private",
    "postgres",
    "xyzzy",
    "wachtwoord",
    "motdepasse",
    "passwort",
    "kennwort",
    "fredpassword",
    "debian",
];

/// Parts of values, in lower case, that no generated or chosen secret holds by chance.
const PART: &[&str] = &[
    "example",
    "placeholder",
    "redacted",
    "changeme",
    "change_me",
    "change-me",
    "replaceme",
    "replace_me",
    "replace-with",
    "your-",
    "your_",
    "yourpass",
    "yourkey",
    "yoursecret",
    "<your",
    "dummy",
    "insert_",
    "****",
    "xxxx",
    "....",
    "____",
    "----",
    "\u{2022}\u{2022}",
    "0123456789abcdef",
    "abcdefghij",
];

/// Keys that documents and emulators print for everybody.
const KNOWN: &[&[u8]] = &[
    // Azurite and the storage emulator (learn.microsoft.com, "Use the Azurite emulator").
    b"Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
    // The Cosmos DB emulator.
    b"C2y6yDjf5/R+ob0N8A7Cgv30VRDJIWEHLM+4QDU5DE2nQ9nDuVTqobD4b8mGGyPMbIZnqyMsEcaGQy67XIw/Jw==",
];

pub(crate) fn is_placeholder(secret: &[u8]) -> bool {
    let trimmed = secret.trim_ascii();
    if trimmed.is_empty() || KNOWN.contains(&trimmed) {
        return true;
    }
    // The start says enough of a long one, such as a private key.
    let start = &trimmed[..trimmed.len().min(256)];
    let lower = start.to_ascii_lowercase();
    if trimmed.len() <= 64 && WHOLE.iter().any(|word| word.as_bytes() == lower) {
        return true;
    }
    if trimmed.len() <= 256 && PART.iter().any(|part| memmem::find(&lower, part.as_bytes()).is_some()) {
        return true;
    }
    trimmed.ends_with(b"...") || is_masked(&lower) || is_variable(&lower)
}

/// All the same character, or too few of them. `888888` is the default of many a vendor.
fn is_masked(lower: &[u8]) -> bool {
    let first = lower[0];
    if lower.len() > 1 && !matches!(first, b'1'..=b'9') && lower.iter().all(|byte| *byte == first) {
        return true;
    }
    let mut seen = [false; 256];
    lower.iter().for_each(|byte| seen[usize::from(*byte)] = true);
    lower.len() >= 12 && seen.iter().filter(|seen| **seen).count() <= 3
}

/// `${VAR}`, `$(cmd)`, `{{ value }}`, `<value>`, `%s`, `%VAR%`, `@VAR@`, `[value]`, `$VAR`.
fn is_variable(lower: &[u8]) -> bool {
    let (first, last) = (lower[0], lower[lower.len() - 1]);
    let wrapped = matches!(
        (first, last),
        (b'<', b'>') | (b'{', b'}') | (b'[', b']') | (b'%', b'%') | (b'@', b'@') | (b'(', b')')
    );
    let format = first == b'%' && lower.len() <= 4;
    let shell = lower.starts_with(b"${")
        || lower.starts_with(b"$(")
        || lower.starts_with(b"{{")
        || lower.starts_with(b"#{");
    let name = first == b'$'
        && lower.len() > 1
        && lower[1..].iter().all(|b| b.is_ascii_lowercase() || *b == b'_')
        && !lower.starts_with(b"$apr");
    wrapped || format || shell || name
}

/// What a person may have chosen, in contrast to words of a program or a text.
pub(super) fn is_password(secret: &[u8]) -> bool {
    is_plain(secret) && !is_name(secret)
}

/// Printable, and no code.
fn is_plain(secret: &[u8]) -> bool {
    if !(4..=128).contains(&secret.len()) || !secret.iter().all(|byte| (0x21..0x7f).contains(byte)) {
        return false;
    }
    let call = |pair: &[u8]| pair[1] == b'(' && (pair[0].is_ascii_alphabetic() || pair[0] == b'_');
    let code = [
        b"::".as_slice(),
        b"->",
        b"=>",
        b"==",
        b"&&",
        b"||",
        b"</",
        b"://",
        b"[]",
        b"{}",
        b"\\n",
        b"${",
        b"%s",
        b"%d",
        // Fonts of troff.
        b"\\f",
    ];
    // Base64 may end with `==`.
    let body = secret.strip_suffix(b"==").unwrap_or(secret);
    !code.iter().any(|code| memmem::find(body, code).is_some())
        && !secret.windows(2).any(call)
        && !secret.starts_with(b"/")
        && !secret.starts_with(b"-")
}

/// `user.password`, `PASSWORD_FIELD`, `getPassword`, `config.value_1`: names, not values.
fn is_name(secret: &[u8]) -> bool {
    let identifier = secret.iter().all(|b| b.is_ascii_alphabetic() || matches!(b, b'_' | b'.' | b'-'));
    let joined = secret.iter().any(|b| matches!(b, b'_' | b'.' | b'-'));
    let camel = secret.windows(2).any(|pair| pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase());
    let digits = secret.iter().filter(|byte| byte.is_ascii_digit()).count();
    let path = secret.contains(&b'_')
        && digits * 6 < secret.len()
        && secret.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'.'));
    path && secret.contains(&b'.') || identifier && (joined || camel)
}

/// No word of a language or a program either: digits and letters, signs among letters of
/// both cases, or letters that do not follow each other in words.
pub(super) fn is_chosen(secret: &[u8]) -> bool {
    is_plain(secret)
        && !words::is_term(secret)
        && (words::is_odd(secret) || is_password(secret) && words::has_digits(secret))
}

/// In an address: no format, no name of a variable, nothing that handbooks print.
pub(super) fn is_url_password(secret: &[u8]) -> bool {
    let bare = |open: &[u8]| memmem::find(secret, open).is_some();
    is_value(secret) && ![b"{".as_slice(), b"$", b"%s", b"%d", b"**", b"["].into_iter().any(bare)
}

/// Where nothing but a secret stands, all that is printable is one, except variables.
pub(super) fn is_value(secret: &[u8]) -> bool {
    let printable = secret.iter().all(|byte| (0x21..0x7f).contains(byte));
    let inside = [b"${".as_slice(), b"$(", b"{{", b"%s", b"{FRIGATE", b"\\u", b"()"];
    printable && secret.len() >= 3 && !inside.iter().any(|part| memmem::find(secret, part).is_some())
}

/// Whether the words before it say that it is a digest or a signature.
pub(super) fn says_digest(before: &[u8]) -> bool {
    let near = before[before.len().saturating_sub(40)..].to_ascii_lowercase();
    [
        b"sha512".as_slice(),
        b"sha-512",
        b"sha3",
        b"digest",
        b"integrity",
        b"signature",
        b"sig",
        b"hash",
        b"checksum",
        b"blake",
        b"salt",
    ]
    .iter()
    .any(|word| memmem::find(&near, word).is_some())
}
