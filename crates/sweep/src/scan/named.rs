//! Files whose names say what stands in them: small ones that hold one value (`master.key`,
//! `.vault-token`, `/run/secrets/db_password`) or a user and a password (`auth.txt` of
//! OpenVPN), and those of programs that keep nothing but accounts in them (`secrets.yaml` of
//! Home Assistant and ESPHome, `psk.txt` of racoon, `chap-secrets`, `.htpasswd`).

use crate::decode::Decoded;

/// Of one that holds one value, and of others, in bytes.
const VALUE_BYTES_MAX: u64 = 256;
const BYTES_MAX: u64 = 64 << 10;
const VALUE_MIN: usize = 6;
/// What the name ends with, in lower case.
const NAMES: &[&str] = &["password", "passwd", "pass", "pwd", "secret", "token", "key", "psk", "credential"];
const PACKED: &[&str] = &[".gz", ".bz2", ".xz", ".zst", ".lz4", ".lzma"];
const EXTENSIONS: &[&str] = &[".txt", ".dat", ".conf", ".cfg"];
/// What settings are about that stand beside secrets.
const OTHERS: &[&str] = &[
    "user",
    "name",
    "ssid",
    "host",
    "url",
    "uri",
    "mail",
    "domain",
    "port",
    "zone",
    "tude",
    "elevation",
    "path",
    "address",
    "broker",
    "server",
    "topic",
    "_ip",
    "_id",
];

/// `name=value` and the like, for the rules to judge, of each value that the name says is a
/// secret.
pub(super) fn settings(name: &str, bytes: &[u8]) -> Vec<Decoded> {
    let file = name.rsplit('/').next().unwrap_or_default();
    let file = PACKED.iter().find_map(|end| file.strip_suffix(end)).unwrap_or(file);
    let has = |words: &[&str]| words.iter().any(|word| file.contains(word));
    let is_pair = || memchr::memchr_iter(b'\n', bytes.trim_ascii()).count() == 1;
    match file {
        _ if bytes.len() as u64 > BYTES_MAX => Vec::new(),
        "secrets.yaml" | "secrets.yml" => lines(bytes, &mut secret_of_yaml),
        "psk.txt" => lines(bytes, &mut key_of_peer),
        _ if has(&["chap-secrets", "pap-secrets"]) => lines(bytes, &mut secret_of_ppp),
        _ if has(&["htpasswd"]) => lines(bytes, &mut |line| hash_of_user(line, 2, 13, "users:")),
        _ if has(&["htdigest"]) => lines(bytes, &mut |line| hash_of_user(line, 3, 32, "user:realm:")),
        _ if has(&["rsyncd"]) && has(&["secret"]) => lines(bytes, &mut secret_of_rsync),
        // Of vsftpd: a user, and its password in the next line.
        _ if has(&["virtual_users", "vusers", "logins.txt"]) => by_turns(bytes),
        _ if bytes.len() as u64 > VALUE_BYTES_MAX => Vec::new(),
        _ if has(&["auth", "cred", "login", "pass", "user"]) && is_pair() => by_turns(bytes),
        _ => setting(file, bytes).into_iter().collect(),
    }
}

/// What stands before the value where it is told, and the value in its line.
type Told<'a> = Option<(String, &'a str)>;

fn lines(bytes: &[u8], of: &mut dyn FnMut(&str) -> Told<'_>) -> Vec<Decoded> {
    let mut at = 0;
    let lines = bytes.split_inclusive(|byte| *byte == b'\n').filter_map(|line| {
        let start = at;
        at += line.len();
        let line = std::str::from_utf8(line).ok()?;
        let (before, value) = of(line)?;
        let start = start + value.as_ptr().addr() - line.as_ptr().addr();
        let text = format!("{before}{value}\n").into_bytes();
        Some(Decoded { encoding: "name", place: start..start + value.len(), bytes: text, steps: Vec::new() })
    });
    lines.collect()
}

fn by_turns(bytes: &[u8]) -> Vec<Decoded> {
    let mut number = 0;
    lines(bytes, &mut |line| {
        number += 1;
        let value = line.trim();
        let is_value = number % 2 == 0 && value.len() >= VALUE_MIN && !value.contains([' ', '=', ':']);
        is_value.then(|| ("password=".to_owned(), value))
    })
}

/// `frigate_rtsp: "…"`
fn secret_of_yaml(line: &str) -> Told<'_> {
    let (name, value) = line.split_once(": ")?;
    let value = value.split(" #").next()?.trim().trim_matches(['"', '\'']);
    let is_other = OTHERS.iter().any(|other| name.to_ascii_lowercase().contains(other));
    let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    (is_name && !is_other && value.len() >= VALUE_MIN && !value.contains("://"))
        .then(|| (format!("{name}_password="), value))
}

/// Of racoon: the peer, blanks, the key.
fn key_of_peer(line: &str) -> Told<'_> {
    let (peer, key) = line.trim_end().split_once([' ', '\t'])?;
    let key = key.trim_start();
    (!peer.starts_with('#') && !key.is_empty()).then(|| ("psk=".to_owned(), key))
}

/// Of pppd: the client, the server, the secret, addresses.
fn secret_of_ppp(line: &str) -> Told<'_> {
    let secret = line.split_whitespace().nth(2)?.trim_matches('"');
    (!line.starts_with('#')).then(|| ("password=".to_owned(), secret))
}

fn secret_of_rsync(line: &str) -> Told<'_> {
    line.trim_end().split_once(':').map(|(_, password)| ("password=".to_owned(), password))
}

/// Of Apache: a user, the realm if there is one, and a hash without a mark of its kind.
fn hash_of_user<'a>(line: &'a str, fields: usize, len: usize, before: &str) -> Told<'a> {
    let (user, hash) = line.trim_end().rsplit_once(':')?;
    let is_hash = hash.len() == len && user.split(':').count() + 1 == fields;
    is_hash.then(|| (before.to_owned(), hash))
}

fn setting(file: &str, bytes: &[u8]) -> Option<Decoded> {
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
            settings(name, bytes).pop().map(|decoded| String::from_utf8_lossy(&decoded.bytes).into_owned())
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

    #[test]
    fn files_of_programs_that_hold_nothing_but_secrets_are_read_line_by_line() {
        let told = |name: &str, text: &str| {
            let all = settings(name, text.as_bytes()).into_iter();
            let all = all.map(|decoded| {
                assert!(decoded.bytes.ends_with(&[&text.as_bytes()[decoded.place], b"\n"].concat()));
                String::from_utf8_lossy(&decoded.bytes).into_owned()
            });
            all.collect::<String>()
        };
        let yaml = "# all of it\nnvr_login: \"Eichel48Baum\"\nmqtt_user: Eichel48Baum\nlatitude: 52.3712\n\
                    gate: Marder04Nest # since May\nhook: https://example.org/a\nlist:\n  - abcdefgh\n";
        assert_eq!(
            told("config/secrets.yaml", yaml),
            "nvr_login_password=Eichel48Baum\ngate_password=Marder04Nest\n"
        );
        let keys = "# peers\n10.1.1.1\tKauz60Nacht!\nfoo@example.org  Uhu71Mond\n\nalone\n";
        assert_eq!(told("racoon/psk.txt", keys), "psk=Kauz60Nacht!\npsk=Uhu71Mond\n");
        assert_eq!(told("other.yaml", yaml), "");
        let ppp =
            "# client server secret\nrossi\t*\tOebnNs00rH9LOESW\t10.20.0.130\n\"a@b\" * \"Ember60\" *\n";
        assert_eq!(told("ppp/chap-secrets", ppp), "password=OebnNs00rH9LOESW\npassword=Ember60\n");
        let users = "old:afXa9y8WwvtAN\nnew:$apr1$FTL6jEeb$ejDmrwIegxiA6lC6dXLcSP\n";
        assert_eq!(told("www/.htpasswd", users), "users:afXa9y8WwvtAN\n");
        let users = "a:IP Camera:957e0fa1957e0fa1957e0fa1957e0fa1\nb:c\n";
        assert_eq!(told(".htdigest", users), "user:realm:957e0fa1957e0fa1957e0fa1957e0fa1\n");
        assert_eq!(told("rsyncd.secrets", "nvr:Fiets*7347\n"), "password=Fiets*7347\n");
        let users = "anna\nPoort2017+\ncam2\nRaven_22\n";
        assert_eq!(told("vsftpd/virtual_users.txt", users), "password=Poort2017+\npassword=Raven_22\n");
        assert_eq!(told("vpn/auth.txt", "admin\nbH8zKYRMS0mWtiza\n"), "password=bH8zKYRMS0mWtiza\n");
        assert_eq!(told("auth.txt", "mode=a\nname=bcdefgh\n"), "");
    }
}
