//! Sign-ins in lines: SMTP (RFC 4954), POP3 (RFC 1939, RFC 5034) and IMAP (RFC 9051) with
//! SASL's PLAIN (RFC 4616) and LOGIN, FTP (RFC 959), IRC (RFC 2812), Redis (its protocol, RESP), and Telnet.

use memchr::{memchr, memchr_iter};

use super::framing::command;
use super::{Heard, Signs};
use crate::validate::{base64, pair_password};

/// Longer lines are none of a sign-in, in bytes.
const LINE_MAX: usize = 1024;
/// Prompts of one conversation.
const PROMPTS_MAX: usize = 64;

/// A line without its end, and what follows it.
fn line(said: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr(b'\n', said)?;
    Some((said[..end].strip_suffix(b"\r").unwrap_or(&said[..end]), &said[end + 1..]))
}

/// The same of one that is short.
fn short(said: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr(b'\n', &said[..said.len().min(LINE_MAX + 2)])?;
    line(&said[..=end]).map(|(line, _)| (line, &said[end + 1..]))
}

/// What follows a word and a space, in any case of its letters.
fn after<'a>(line: &'a [u8], word: &str) -> Option<&'a [u8]> {
    let (start, rest) = line.split_at_checked(word.len())?;
    start.eq_ignore_ascii_case(word.as_bytes()).then_some(rest)
}

pub(super) fn sign_ins(said: &[u8], back: &[u8], port: u16, signs: &mut Signs) {
    let is_redis = port == 6379 || back.starts_with(b"+OK\r\n");
    let is_imap = matches!(port, 143 | 993) || back.starts_with(b"* ");
    let is_files = back.starts_with(b"+OK") || back.starts_with(b"220") || matches!(port, 21 | 110);
    let mut rest = said;
    let mut user: Option<&[u8]> = None;
    while let Some((this, next)) = line(rest) {
        rest = next;
        if this.len() > LINE_MAX {
            continue;
        }
        if sasl(this, next, signs) {
            continue;
        }
        if let Some(name) = after(this, "USER ") {
            user = Some(name);
        } else if let (Some(password), Some(name), true) = (after(this, "PASS "), user.take(), is_files) {
            if !matches!(name.to_ascii_lowercase().as_slice(), b"anonymous" | b"ftp") {
                signs.add("mail or files", password);
            }
        } else if let (Some(password), true) = (after(this, "PASS "), after(next, "NICK ").is_some()) {
            signs.add("irc", password.strip_prefix(b":").unwrap_or(password));
        } else if is_imap && let Some(password) = imap(this, next) {
            signs.add("imap", &password);
        } else if let Some(password) = redis(this, next, is_redis) {
            signs.add("redis", password);
        }
    }
}

/// A line that begins an exchange of SASL; of what follows it, the answers.
fn sasl(this: &[u8], next: &[u8], signs: &mut Signs) -> bool {
    // In IMAP, a tag of the client's stands before it.
    let rest = after(this, "AUTH ").or_else(|| {
        let space = memchr(b' ', &this[..this.len().min(32)])?;
        after(&this[space + 1..], "AUTHENTICATE ")
    });
    let Some(rest) = rest else { return false };
    let (is_login, given) = match (after(rest, "PLAIN"), after(rest, "LOGIN")) {
        (Some(given), _) => (false, given),
        (_, Some(given)) => (true, given),
        _ => return false,
    };
    let given = given.trim_ascii();
    let answer = short;
    // A name may come with the command; then the password is the first answer.
    let told = match (is_login, given) {
        (false, b"") => answer(next).map(|(line, _)| line),
        (false, given) => Some(given),
        (true, b"") => answer(next).and_then(|(_, next)| answer(next)).map(|(line, _)| line),
        (true, _) => answer(next).map(|(line, _)| line),
    };
    let Some(bytes) = told.and_then(|told| base64(told.trim_ascii())) else { return true };
    match is_login {
        true => signs.add("mail", &bytes),
        false => signs.add("mail", pair_password(&bytes).unwrap_or_default()),
    }
    true
}

/// The second argument of LOGIN.
fn imap(this: &[u8], next: &[u8]) -> Option<Vec<u8>> {
    let space = memchr(b' ', &this[..this.len().min(32)])?;
    let (given, next) = (after(&this[space + 1..], "LOGIN ")?, next);
    let (_, given, next) = string(given, next)?;
    let (password, ..) = string(given.strip_prefix(b" ")?, next)?;
    Some(password)
}

/// A string of IMAP: an atom, in quotes, or a literal, of which the length stands in this line
/// and itself in what follows. With it, the rest of its line, and what follows that.
fn string<'a>(given: &'a [u8], next: &'a [u8]) -> Option<(Vec<u8>, &'a [u8], &'a [u8])> {
    match given {
        [b'"', quoted @ ..] => {
            let mut text = Vec::new();
            let mut bytes = quoted.iter().enumerate();
            while let Some((at, byte)) = bytes.next() {
                match byte {
                    b'"' => return Some((text, &quoted[at + 1..], next)),
                    b'\\' => text.push(*bytes.next()?.1),
                    byte => text.push(*byte),
                }
            }
            None
        }
        [b'{', length @ ..] => {
            let length = length.strip_suffix(b"}")?;
            let length = length.strip_suffix(b"+").unwrap_or(length);
            let bytes: usize = std::str::from_utf8(length).ok()?.parse().ok()?;
            let (text, next) = next.split_at_checked(bytes.min(LINE_MAX + 1))?;
            let (rest, next) = short(next)?;
            Some((text.to_vec(), rest, next))
        }
        atom => {
            let end = memchr(b' ', atom).unwrap_or(atom.len());
            (end > 0).then(|| (atom[..end].to_vec(), &atom[end..], next))
        }
    }
}

/// AUTH, in a line or in an array of strings; and HELLO with it.
fn redis<'a>(this: &'a [u8], next: &'a [u8], is_redis: bool) -> Option<&'a [u8]> {
    if let Some(given) = after(this, "AUTH ").filter(|_| is_redis) {
        let words: Vec<&[u8]> = given.split(|byte| *byte == b' ').filter(|word| !word.is_empty()).collect();
        return words.last().copied().filter(|_| words.len() <= 2).map(unquoted);
    }
    let count: usize = std::str::from_utf8(this.strip_prefix(b"*")?).ok()?.parse().ok()?;
    let (mut next, mut words) = (next, Vec::new());
    for _ in 0..count.min(8) {
        let (length, rest) = short(next)?;
        let bytes: usize = std::str::from_utf8(length.strip_prefix(b"$")?).ok()?.parse().ok()?;
        let (word, rest) = rest.split_at_checked(bytes)?;
        next = rest.strip_prefix(b"\r\n")?;
        words.push(word);
    }
    let at = words.iter().take(3).position(|word| word.eq_ignore_ascii_case(b"AUTH"))?;
    match (at, &words[at + 1..]) {
        (0, [password] | [_, password]) | (2, [_, password, ..]) => Some(password),
        _ => None,
    }
}

fn unquoted(word: &[u8]) -> &[u8] {
    let inner = |quote: &[u8]| word.strip_prefix(quote)?.strip_suffix(quote);
    inner(b"\"").or_else(|| inner(b"'")).unwrap_or(word)
}

/// What was typed after each prompt for a password, by when it was said.
pub(super) fn telnet(heard: &Heard, back: &Heard, signs: &mut Signs) {
    for colon in memchr_iter(b':', &back.bytes).filter(|colon| is_prompt(back, *colon)).take(PROMPTS_MAX) {
        let from = heard.after(back.when(colon));
        signs.add("telnet", &typed(&heard.bytes[from..]));
    }
}

/// `Password:`, also with a name behind it, at the end of what was said at once.
fn is_prompt(back: &Heard, colon: usize) -> bool {
    let said = &back.bytes;
    let end = said[colon + 1..].iter().position(|byte| *byte != b' ');
    if end.is_some_and(|end| !back.begins(colon + 1 + end)) {
        return false;
    }
    let before = &said[colon.saturating_sub(40)..colon];
    let line = before.rsplit(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
    let line = line.to_ascii_lowercase();
    let words: [&[u8]; 5] = [b"password", b"passwort", b"passwd", b"mot de passe", b"passcode"];
    words.iter().any(|word| line.windows(word.len()).any(|there| there == *word))
}

/// A line as somebody typed it: what was erased again counts for nothing.
fn typed(said: &[u8]) -> Vec<u8> {
    let mut typed = Vec::new();
    let mut at = 0;
    while let Some(byte) = said.get(at).filter(|_| at < LINE_MAX) {
        match (command(&said[at..]), byte) {
            (0, b'\r' | b'\n' | 0) => return typed,
            (0, 8 | 0x7f) => drop(typed.pop()),
            // The whole line.
            (0, 0x15) => typed.clear(),
            (0, byte) => typed.push(*byte),
            (bytes, _) => at += bytes - 1,
        }
        at += 1;
    }
    // Nobody pressed the key at its end.
    Vec::new()
}
