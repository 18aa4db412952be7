//! Small files that hold one value, of which their name says what it is: `master.key`,
//! `.vault-token`, `/run/secrets/db_password`.

use crate::decode::Decoded;

pub(super) const BYTES_MAX: u64 = 256;
const VALUE_MIN: usize = 6;
/// What the name ends with, in lower case.
const NAMES: &[&str] = &["password", "passwd", "pass", "pwd", "secret", "token", "key", "psk", "credential"];
const EXTENSIONS: &[&str] = &[".txt", ".dat", ".conf", ".cfg"];

/// `name=value`, for the rules to judge.
pub(super) fn setting(name: &str, bytes: &[u8]) -> Option<Decoded> {
    let file = name.rsplit('/').next()?;
    let stem = EXTENSIONS.iter().find_map(|end| file.strip_suffix(end)).unwrap_or(file);
    let letter = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '_' };
    let name: String = stem.trim_start_matches('.').chars().map(letter).collect();
    let lower = name.to_ascii_lowercase();
    if !NAMES.iter().any(|end| lower.ends_with(end)) {
        return None;
    }
    let value = bytes.trim_ascii();
    let start = bytes.len() - bytes.trim_ascii_start().len();
    if value.len() < VALUE_MIN || !value.iter().all(u8::is_ascii_graphic) {
        return None;
    }
    let text = [name.as_bytes(), b"=", value, b"\n"].concat();
    Some(Decoded { encoding: "name", place: start..start + value.len(), bytes: text, steps: Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_what_a_file_of_one_value_is() {
        let text = |name: &str, bytes: &[u8]| {
            setting(name, bytes).map(|decoded| String::from_utf8_lossy(&decoded.bytes).into_owned())
        };
        let key = b"3ebf21f8e5d1ab86b27a720842c3bb57\n";
        assert_eq!(
            text("config/master.key", key).as_deref(),
            Some("master_key=3ebf21f8e5d1ab86b27a720842c3bb57\n")
        );
        assert_eq!(
            text("run/secrets/db_password.txt", b" t7Kq-Zw2\n").as_deref(),
            Some("db_password=t7Kq-Zw2\n")
        );
        assert_eq!(text(".vault-token", b"abcdef"), Some("vault_token=abcdef\n".to_owned()));
        for (name, bytes) in [
            ("README", &key[..]),
            ("id.pub", key),
            ("master.key", b"two words"),
            ("master.key", b"short"),
            ("a.key", b"\x01\x02\x03\x04\x05\x06\x07"),
            ("", b""),
        ] {
            assert_eq!(text(name, bytes), None, "{name}");
        }
    }
}
