//! The name beside a secret: of the setting that holds it, or else of the account.

use std::ops::Range;

use crate::confirm::Match;

const NAME_MAX: usize = 128;
/// From the name that a rule found to the secret, in bytes: a setting has its own there.
const GAP_MAX: usize = 256;
/// What stands in names of settings that hold secrets, in small letters.
const SECRET_NAMES: [&[u8]; 14] = [
    b"pass",
    b"pwd",
    b"pw",
    b"kennwort",
    b"key",
    b"secret",
    b"token",
    b"psk",
    b"contrase",
    b"senha",
    b"wachtwoord",
    b"haslo",
    b"losen",
    b"clave",
];
/// Ends of names of files, behind which their contents begin where a container or a file
/// system keeps them side by side.
const FILE_ENDS: [&[u8]; 8] = [b".conf", b".cfg", b".ini", b".xml", b".txt", b".json", b".yaml", b".yml"];
/// Of them, bytes that are no text in any alphabet.
const NUMBERS: usize = 3;

/// The name that the rule found, unless that is of the account and the setting has one
/// behind it, or the name right before the secret.
pub(super) fn of(bytes: &[u8], matched: &Match) -> Option<String> {
    let secret = matched.secret.start;
    let name = match &matched.name {
        Some(name) => nearer(bytes, name, secret).unwrap_or_else(|| name.clone()),
        None => before(&bytes[..secret])?,
    };
    let name = whole(bytes, name);
    (!name.is_empty()).then(|| String::from_utf8_lossy(&bytes[name]).into_owned())
}

/// The name of a setting between that of an account and the secret: `user=cam,pass=…`.
fn nearer(bytes: &[u8], name: &Range<usize>, secret: usize) -> Option<Range<usize>> {
    let gap = secret.checked_sub(name.end).filter(|gap| *gap <= GAP_MAX)?;
    // Elements of XML have names of their own kind, such as `<value>`.
    let other = before(&bytes[..secret]).filter(|other| gap > 0 && other.start >= name.end)?;
    (!is_of_a_secret(&bytes[name.clone()]) && is_of_a_secret(&bytes[other.clone()])).then_some(other)
}

fn is_of_a_secret(name: &[u8]) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_NAMES.iter().any(|part| memchr::memmem::find(&name, part).is_some())
}

/// Without what only stands before it: signs, and in what is no text the name of a file.
fn whole(bytes: &[u8], mut name: Range<usize>) -> Range<usize> {
    let is_sign = |byte: &u8| matches!(byte, b':' | b'/' | b'.' | b'-' | b'_');
    let signs = bytes[name.clone()].iter().take_while(|byte| matches!(byte, b':' | b'.')).count();
    if signs < name.len() && !bytes[name.clone()].iter().all(is_sign) {
        name.start += signs;
    }
    // A name of a file stands behind numbers of its container.
    let numbers = &bytes[name.start.saturating_sub(NUMBERS)..name.start];
    let is_behind_numbers = numbers.len() == NUMBERS && numbers.iter().all(|byte| *byte < b'\t');
    let end_in = |end: &[u8]| memchr::memmem::rfind(&bytes[name.clone()], end).map(|at| at + end.len());
    let file = FILE_ENDS.iter().filter_map(|end| end_in(end)).max().filter(|len| *len < name.len());
    if let Some(len) = file.filter(|_| is_behind_numbers) {
        name.start += len;
    }
    name
}

/// The name in `name = "`, `name: '`, `"name": "`, `<name>` or `--name ` before a value.
fn before(before: &[u8]) -> Option<Range<usize>> {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'"' | b'\'' | b'`');
    let trim = |bytes: &[u8]| bytes.len() - bytes.iter().rev().take(8).take_while(|byte| blank(byte)).count();
    let end = trim(before);
    let (last, rest) = before[..end].split_last()?;
    if !matches!(last, b'=' | b':' | b'>') {
        return None;
    }
    let rest = &rest[..trim(rest)];
    let letter = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b':' | b'/');
    let name = |letter: &dyn Fn(&u8) -> bool| {
        let len = rest.iter().rev().take(NAME_MAX).take_while(|byte| letter(byte)).count();
        let name = rest.len() - len..rest.len();
        (len > 0 && std::str::from_utf8(&rest[name.clone()]).is_ok()).then_some(name)
    };
    // Letters of other alphabets, where they are some.
    name(&|byte| letter(byte) || !byte.is_ascii()).or_else(|| name(&letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_that_of_the_setting_and_of_nothing_before_it() {
        for (text, name, expected) in [
            ("user=cam,pass=|", Some("cam"), Some("pass")),
            ("username: cam\n  password: |", Some("cam"), Some("password")),
            ("-u admin:|", Some("admin"), Some("admin")),
            ("rtsp://cam:|", Some("cam"), Some("cam")),
            ("\"name\":\"mqtt.password\",\"value\":\"|", Some("mqtt.password"), Some("mqtt.password")),
            ("<key>Password</key><string>|", Some("Password"), Some("Password")),
            (":rtsp_password=|", None, Some("rtsp_password")),
            ("\u{6}\0\0\0s.confrtsp_password=|", None, Some("rtsp_password")),
            ("\u{6}\0\0\0s.confrtsp_password=|", Some("s.confrtsp_password"), Some("rtsp_password")),
            ("\nroot.conf.password=|", None, Some("root.conf.password")),
            ("=on\0sys.config.password=|", None, Some("sys.config.password")),
            ("\0root.SMTP.Password=|", None, Some("root.SMTP.Password")),
            ("\n|", None, None),
            ("::=|", None, Some("::")),
        ] {
            let secret = text.find('|').expect("a mark");
            let name =
                name.map(|name| text.find(name).map(|at| at..at + name.len()).expect("it stands there"));
            let matched = Match { whole: 0..secret + 1, secret: secret..secret + 1, name };
            assert_eq!(of(text.as_bytes(), &matched).as_deref(), expected, "{text:?}");
        }
    }
}
