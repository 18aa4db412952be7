//! What somebody gave a command, or a setting that is named for it: words count.

use memchr::memmem;

use super::placeholder::is_password;
use super::words;

/// A word that somebody chose, where what stands there is a password in any case.
pub(super) fn is_given(secret: &[u8]) -> bool {
    let lower = secret.to_ascii_lowercase();
    // `PASSWORD`, `MY_PASS`.
    let is_name_of_one =
        secret.len() > 1 && secret.iter().all(|byte| byte.is_ascii_uppercase() || *byte == b'_');
    let says = |part: &&str| memmem::find(&lower, part.as_bytes()).is_some();
    is_password(secret)
        && !is_name_of_one
        && !HANDBOOKS.iter().any(|word| word.as_bytes() == lower)
        && (words::has_digits(secret) || !["pass", "pwd", "secret"].iter().any(says))
}

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
