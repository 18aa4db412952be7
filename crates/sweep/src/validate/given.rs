//! What somebody gave a command, or a setting that is named for it: words count.

use memchr::memmem;

use super::placeholder::{is_chosen, is_password};
use super::words;

/// A word that somebody chose, where what stands there is a password in any case.
pub(super) fn is_given(secret: &[u8]) -> bool {
    let lower = secret.to_ascii_lowercase();
    // `PASSWORD`, `MY_PASS`.
    let is_name_of_one =
        secret.len() > 1 && secret.iter().all(|byte| byte.is_ascii_uppercase() || *byte == b'_');
    let says = |part: &&str| memmem::find(&lower, part.as_bytes()).is_some();
    (is_password(secret) || is_two_words(secret))
        && !is_name_of_one
        && !HANDBOOKS.iter().any(|word| word.as_bytes() == lower)
        && (words::has_digits(secret) || !["pass", "pwd", "secret"].iter().any(says))
}

/// What stands beside a name that is a password's alone: two words count, one does not.
pub(super) fn is_set(secret: &[u8]) -> bool {
    is_chosen(secret) || is_two_words(secret)
}

/// `werder-river`: two words with a hyphen, neither of which is a term of programs.
fn is_two_words(secret: &[u8]) -> bool {
    let mut words = secret.split(|byte| *byte == b'-');
    let (Some(first), Some(second), None) = (words.next(), words.next(), words.next()) else { return false };
    [first, second].into_iter().all(|word| {
        let lower = word.to_ascii_lowercase();
        (4..=16).contains(&word.len())
            && word.iter().all(u8::is_ascii_alphabetic)
            && word[1..].iter().all(u8::is_ascii_lowercase)
            && (FAVOURITES.contains(&lower.as_slice())
                || !words::is_of_programs(&lower)
                    && !HANDBOOKS.iter().chain(IN_NAMES).any(|other| other.as_bytes() == lower))
    })
}

/// `LV-3310A`, `DS-2CD2143G0`: how makers name what they sell.
pub(super) fn is_model(secret: &[u8]) -> bool {
    let parts = secret.split(|byte| *byte == b'-');
    let of_great = |part: &[u8]| part.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    secret.contains(&b'-')
        && secret.first().is_some_and(u8::is_ascii_uppercase)
        && secret.iter().any(u8::is_ascii_digit)
        && parts.into_iter().all(|part| (1..=10).contains(&part.len()) && of_great(part))
}

/// Begin as terms of programs do, and are what people choose.
const FAVOURITES: &[&[u8]] = &[b"shadow", b"tiger", b"princess", b"princesa", b"prinzessin", b"phoenix"];

/// Of names that settings refer to.
const IN_NAMES: &[&str] = &[
    "camera",
    "cameras",
    "shared",
    "site",
    "grafana",
    "redis",
    "postgres",
    "backup",
    "auth",
    "cluster",
    "docker",
    "home",
    "main",
    "prod",
    "staging",
    "this",
    "that",
    "with",
    "only",
    "less",
    "long",
    "very",
    "some",
    "same",
    "base",
    "free",
    "based",
    "safe",
    "side",
    "case",
    "sensitive",
    "more",
    "less",
    "line",
    "file",
    "files",
    "user",
    "self",
    "auto",
    "also",
    "such",
    "step",
    "plus",
    "minus",
    "unix",
    "linux",
    "windows",
    "text",
    "look",
    "over",
    "into",
    "when",
    "will",
    "have",
    "does",
    "each",
    "once",
    "none",
    "true",
    "false",
    "test",
    "tests",
    "demo",
];

/// What handbooks print where somebody is to put a password of their own, and what else may
/// stand there in a program.
const HANDBOOKS: &[&str] = &[
    "admin",
    "alice",
    "bind",
    "bool",
    "boolean",
    "clear",
    "code",
    "credential",
    "credentials",
    "crypt",
    "data",
    "delete",
    "enable",
    "expr",
    "fail",
    "failed",
    "field",
    "from",
    "group",
    "hash",
    "hashed",
    "host",
    "input",
    "info",
    "invalid",
    "kwallet",
    "login",
    "manual",
    "missing",
    "mode",
    "name",
    "number",
    "open",
    "options",
    "param",
    "protection",
    "result",
    "root",
    "server",
    "service",
    "settings",
    "ssha",
    "stored",
    "system",
    "tiger",
    "type",
    "valid",
    "word",
    "words",
    "xyzzy",
    "your",
    "database",
    "filename",
    "hostname",
    "mariadb",
    "mysql",
    "keyring",
    "whatever",
    "hello",
    "other",
    "ftpuser",
    // `-pthread`.
    "thread",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_words_are_told_from_names_of_settings() {
        for set in ["werder-river", "Apfel-baum", "tulip-dragon"] {
            assert!(is_set(set.as_bytes()) && is_given(set.as_bytes()), "{set}");
        }
        for other in
            ["user-defined", "grafana-token", "one-two", "a-long-name", "utf-8", "auto-generated", "word"]
        {
            assert!(!is_set(other.as_bytes()), "{other}");
        }
        for (text, is) in [
            ("DS-2CD2143G0", true),
            ("P3245-LVE", true),
            ("Garten-77", false),
            ("SOMMER77", false),
            ("a-1", false),
        ] {
            assert_eq!(is_model(text.as_bytes()), is, "{text}");
        }
    }

    #[test]
    fn words_are_told_from_what_handbooks_print() {
        for given in ["birke", "Sommer2024", "kamera", "pass2024", "Garten-77"] {
            assert!(is_given(given.as_bytes()), "{given}");
        }
        for other in
            ["PASSWORD", "MY_PASS", "mqtt_password", "config.x", "userpass", "filename", "/etc/pw", "abc"]
        {
            assert!(!is_given(other.as_bytes()), "{other}");
        }
    }
}
