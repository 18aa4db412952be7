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
    "uint8array",
    "secretkey",
    "accesskey",
    // Comments of Maven's settings.
    "proxypass",
    "repopwd",
    "checkbox",
    "vulnerable",
    "p4ssw0rd",
    "secr3t",
    "s3cr3t",
    "mypassword1",
    "password123",
    "foobared",
    "debian",
    "strength",
    "sekrit",
    // Tags of YAML, whose value stands elsewhere.
    "!secret",
    "!env_var",
    "!vault",
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
    "....",
    "...",
    "____",
    "----",
    "\u{2022}\u{2022}",
    "0123456789abcdef",
    "abcdefghij",
];

/// Signs that hide a part. Letters of both cases came together by chance.
const MASKS: &[&[u8]] = &[b"xxxx", b"XXXX"];

/// Keys that documents and emulators print for everybody.
const KNOWN: &[&[u8]] = &[
    // Azurite and the storage emulator (learn.microsoft.com, "Use the Azurite emulator").
    b"Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
    // The Cosmos DB emulator.
    b"C2y6yDjf5/R+ob0N8A7Cgv30VRDJIWEHLM+4QDU5DE2nQ9nDuVTqobD4b8mGGyPMbIZnqyMsEcaGQy67XIw/Jw==",
    // RFC 6749 and RFC 6750, examples of tokens and of a client.
    b"2YotnFZFEjr1zCsicMWpAA",
    b"tGzv3JOkF0XG5Qx2TlKWIA",
    b"SplxlOBeZQQYbYS6WxSbIA",
    b"mF_9.B5f-4.1JqM",
    b"czZCaGRSa3F0MzpnWDFmQmF0M2JW",
    b"45ghiukldjahdnhzdauz",
    // RFC 5849, 1.2 and 3.1.
    b"0685bd9184jfhq22",
    b"kkk9d7dh3k39sjv7",
    b"ad180jjd733klru7",
    // RFC 7617, 2: Aladdin, open sesame.
    b"QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
    b"QWxhZGRpbjpPcGVuU2VzYW1l",
    // The handbook of gcloud: the digest of a key.
    b"e0d96d6fad35a61a0577f467940509b5aa08b6dea8d99456ec19a6e47126bc52",
    // The handbook of kubectl.
    b"uXFGweU9l35qcif",
];

pub(crate) fn is_placeholder(secret: &[u8]) -> bool {
    let trimmed = secret.trim_ascii();
    // A page may have broken one in two.
    let known = |known: &&[u8]| *known == trimmed || trimmed.len() >= 40 && known.starts_with(trimmed);
    if trimmed.is_empty() || KNOWN.iter().any(known) {
        return true;
    }
    // The start says enough of a long one, such as a private key.
    let start = &trimmed[..trimmed.len().min(256)];
    let lower = start.to_ascii_lowercase();
    if lower.starts_with(b"todo-") || lower.starts_with(b"todo_") {
        return true;
    }
    if trimmed.len() <= 64 && WHOLE.iter().any(|word| word.as_bytes() == lower) {
        return true;
    }
    let has_part = || PART.iter().any(|part| memmem::find(&lower, part.as_bytes()).is_some());
    let has_mask = || MASKS.iter().any(|mask| memmem::find(trimmed, mask).is_some());
    if trimmed.len() <= 256 && (has_part() || has_mask()) {
        return true;
    }
    trimmed.ends_with(b"...") || is_masked(&lower) || is_variable(&lower)
}

/// Where a program alone writes a password, masks and variables are none, and what says
/// that there is none; words are what somebody chose.
pub(super) fn is_unset(secret: &[u8]) -> bool {
    const NONE: &[&str] = &["none", "null", "nil", "undefined", "true", "false", "prompt", "ask", "string"];
    const MARKS: &[&str] =
        &["your", "_here", "redacted", "placeholder", "replace", "insert_", "****", "xxxx", "...", "____"];
    let lower = secret.trim_ascii().to_ascii_lowercase();
    let marked = |mark: &&str| memmem::find(&lower, mark.as_bytes()).is_some();
    lower.is_empty()
        || NONE.iter().any(|none| none.as_bytes() == lower)
        || MARKS.iter().any(marked)
        || is_masked(&lower)
        || is_variable(&lower)
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
    let format = lower.starts_with(b"&lt;") || first == b'%' && lower.len() <= 4;
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
    is_plain(secret) && !is_name(secret) && !is_code(secret)
}

/// Without blanks, in ASCII or with letters of Europe's alphabets in UTF-8. Of the scripts of
/// East Asia, words stand side by side, and what looks like a value may be a sentence.
fn is_written(secret: &[u8]) -> bool {
    let of_europe = |c: char| c < '\u{530}' && c.is_alphabetic() || matches!(c, '€' | '£' | '§' | '°' | '´');
    secret.iter().all(u8::is_ascii_graphic)
        || std::str::from_utf8(secret)
            .is_ok_and(|text| text.chars().all(|c| c.is_ascii_graphic() || of_europe(c)))
}

/// Printable, and no code.
fn is_plain(secret: &[u8]) -> bool {
    if !(4..=128).contains(&secret.len()) || !is_written(secret) {
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
        b"\\x",
        b"\\u",
        b"](",
        b"${",
        b"%s",
        b"%d",
        b"%08",
        // Fonts of troff.
        b"\\f",
    ];
    // Base64 may end with `==`.
    let body = secret.strip_suffix(b"==").unwrap_or(secret);
    !code.iter().any(|code| memmem::find(body, code).is_some())
        && !secret.windows(2).any(call)
        && ![b"/".as_slice(), b"./", b"../", b"~/"].iter().any(|path| secret.starts_with(path))
        && !secret.starts_with(b":")
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
        && !is_code(secret)
        && (words::is_odd(secret)
            || is_number(secret)
            || words::is_names(secret)
            || is_password(secret) && words::has_digits(secret))
}

/// `auth[2]`, `self.proxy`, `client_secret,`, `D3DKMT_DEFRAG_PASS`, `a/path/of/words`:
/// a value wherever it stands, and no secret.
pub(super) fn is_expression(secret: &[u8]) -> bool {
    let ends = secret.iter().rev().take_while(|byte| matches!(byte, b',' | b')' | b':' | b';')).count();
    let body = &secret[..secret.len() - ends];
    let letters = body.iter().all(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'.'));
    let name = body.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.'));
    let starts = |three: &[u8]| {
        (three[0].is_ascii_alphabetic() || three[0] == b']')
            && three[1] == b'['
            && (three[2].is_ascii_alphanumeric() || three[2] == b':')
    };
    let index = body.ends_with(b"]") && body.windows(3).any(starts);
    let of = [b"self.".as_slice(), b"this.", b"args.", b"opts.", b"config."];
    let joined = || body.split(|byte| matches!(byte, b'_' | b'.')).all(words::is_word);
    let named = || body.contains(&b'_') && body.contains(&b'.') && joined();
    let member = name && (of.iter().any(|of| body.starts_with(of)) || named());
    let underscores = body.iter().filter(|byte| **byte == b'_').count();
    // A year or a number between them is what people put into passwords.
    let part = |part: &[u8]| part.iter().any(|byte| !byte.is_ascii_digit());
    let constant = name
        && underscores >= 2
        && !body.iter().any(u8::is_ascii_lowercase)
        && body.split(|byte| *byte == b'_').all(part);
    let number = body.strip_prefix(b"0x").is_some_and(|rest| rest.iter().all(u8::is_ascii_hexdigit));
    let last = body.rsplit(|byte| *byte == b'.').next().unwrap_or_default();
    let fields = [b"password".as_slice(), b"passwd", b"pass", b"pwd", b"secret", b"token", b"bypass"];
    let field = last.len() < body.len() && fields.contains(&last);
    ends > 0 && (letters || number || words::is_word(body))
        || field
        || index
        || member
        || constant
        // `__mc68000__`, as C reserves names.
        || name && body.starts_with(b"__") && body.ends_with(b"__")
        || words::is_path(body)
}

/// `kEnumerableProperty`, as C++ names constants.
fn is_constant(secret: &[u8]) -> bool {
    secret.starts_with(b"k")
        && secret.get(1).is_some_and(u8::is_ascii_uppercase)
        && secret.iter().all(u8::is_ascii_alphabetic)
        && words::scraps(&secret[1..]) == 0
}

/// `proxy_user`, `from_pkcs8_der`, `settings.client`: or a name of several words.
fn is_code(secret: &[u8]) -> bool {
    let joined = |byte: &u8| matches!(byte, b'_' | b'.' | b'-');
    let one_case = !secret.iter().any(u8::is_ascii_uppercase) || !secret.iter().any(u8::is_ascii_lowercase);
    let letters = secret.iter().all(|byte| byte.is_ascii_alphabetic() || joined(byte));
    let words = || secret.split(joined).all(words::is_part);
    // A number of two digits at most, and only in one of the words.
    let snake = secret.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    let numbered = one_case && secret.iter().filter(|byte| byte.is_ascii_digit()).count() <= 2;
    let several = || {
        secret.contains(&b'_')
            && secret.split(|byte| *byte == b'_').all(words::is_word)
            && !words::are_two_and_a_number(secret)
    };
    is_expression(secret)
        || is_constant(secret)
        || letters && secret.iter().any(joined) && (one_case || secret.contains(&b'.')) && words()
        || snake && numbered && several()
}

/// A record of tests has many lines of these.
pub(super) fn is_test_record(before: &[u8], from: &[u8]) -> bool {
    let Some(line) = from.strip_prefix(b"PASS: ").or(from.strip_prefix(b"PASS ")) else { return false };
    let said = before[before.len().saturating_sub(64)..].to_ascii_lowercase();
    if ![b"user".as_slice(), b"login", b"ssid", b"cam"].iter().any(|word| memmem::find(&said, word).is_some())
    {
        return true;
    }
    let next = memchr::memchr(b'\n', &line[..line.len().min(256)]).map_or(&b""[..], |end| &line[end + 1..]);
    let name = line.windows(4).take(128).take_while(|at| at[0] != b'\n').any(|at| at == b".exp");
    let kinds = [
        b"PASS".as_slice(),
        b"FAIL",
        b"SKIP",
        b"XFAIL",
        b"XPASS",
        b"ERROR",
        b"UNSUPPORTED",
        b"UNTESTED",
        b"====",
        b"KFAIL",
    ];
    name || next.trim_ascii_start().is_empty() && !next.is_empty()
        || kinds.iter().any(|kind| next.starts_with(kind))
}

/// Six to twelve digits, as people choose who are asked for a password, and up to twenty, as
/// routers have them from their makers.
fn is_number(secret: &[u8]) -> bool {
    // Handbooks print `123456`; those who set it know that it is none. Thirteen are a time.
    (6..=20).contains(&secret.len())
        && secret.len() != 13
        && secret.iter().all(u8::is_ascii_digit)
        && secret != b"123456"
}

/// Where any text may stand as well: two digits among letters, or great and small ones.
pub(super) fn is_spoken(secret: &[u8]) -> bool {
    let digits = secret.iter().filter(|byte| byte.is_ascii_digit()).count();
    let letters = secret.iter().filter(|byte| byte.is_ascii_alphabetic()).count();
    let path = secret.iter().any(|byte| matches!(byte, b'/' | b'\\' | b':' | b'=' | b'%' | b'$' | b'|'));
    let several = letters >= 3 && digits >= 1 || letters >= 1 && digits >= 5;
    !path && secret.len() >= 6 && (several || letters == 0 || words::scraps(secret) >= 2)
}

/// Words of a passphrase: letters, digits, signs and single spaces, and no format.
pub(super) fn is_phrase(secret: &[u8]) -> bool {
    let inside = [b"${".as_slice(), b"$(", b"{{", b"%s", b"()", b"  ", b"\\"];
    secret.iter().all(|byte| (0x20..0x7f).contains(byte))
        && secret.iter().any(u8::is_ascii_alphanumeric)
        && !inside.iter().any(|part| memmem::find(secret, part).is_some())
}

/// The words before a key that say that it is none that opens anything.
pub(super) fn is_secret_name(from: &[u8], secret: &[u8]) -> bool {
    let name = &from[..memmem::find(from, secret).unwrap_or(0)];
    let name: Vec<u8> =
        name.iter().filter(|byte| byte.is_ascii_alphanumeric()).map(u8::to_ascii_lowercase).collect();
    let public = [
        b"public".as_slice(),
        b"pubkey",
        b"cache",
        b"host",
        b"sort",
        b"keyid",
        b"primarykeyid",
        b"foreign",
        b"fingerprint",
        b"hotkey",
        b"sha",
        b"checksum",
        b"websocketkey",
        b"accountkey",
        b"hexkey",
        b"issuer",
        b"subject",
        b"instrumentation",
        b"idempotency",
        b"partition",
        b"routing",
    ];
    // An identifier, or one of a key that is public: `0x7EC2DBB6F4DBF434`.
    let number = secret.iter().all(u8::is_ascii_digit) || secret.starts_with(b"0x") && secret.len() <= 18;
    let digest = number || name.ends_with(b"signature") && !from.starts_with(b"?") && !from.starts_with(b"&");
    !digest && !public.iter().any(|word| memmem::find(&name, word).is_some())
}

/// In an address: no format, no name of a variable, nothing that handbooks print.
pub(super) fn is_url_password(secret: &[u8]) -> bool {
    let bare = |open: &[u8]| memmem::find(secret, open).is_some();
    // `host:80/path?mail=a@b`: a port, and a path.
    let port = secret.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let path = port > 0 && secret.get(port) == Some(&b'/');
    let scheme = secret.contains(&b':') && secret.iter().all(|byte| !byte.is_ascii_digit());
    is_value(secret)
        && !path
        && !scheme
        && ![b"{".as_slice(), b"$", b"%s", b"%d", b"**", b"["].into_iter().any(bare)
}

/// Where nothing but a secret stands, all that is printable is one, except variables.
pub(super) fn is_value(secret: &[u8]) -> bool {
    let printable = is_written(secret);
    let inside = [b"${".as_slice(), b"$(", b"{{", b"%s", b"{FRIGATE", b"\\u", b"()", b"::", b"]("];
    printable
        // Forms in other languages have words there.
        && (secret.is_ascii() || words::has_digits(secret))
        && secret.len() >= 3
        && !is_expression(secret)
        // People choose one word behind a `k`, if any.
        && !(is_constant(secret) && secret.iter().filter(|byte| byte.is_ascii_uppercase()).count() > 1)
        && !inside.iter().any(|part| memmem::find(secret, part).is_some())
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
