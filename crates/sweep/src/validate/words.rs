//! Words, and what is none: how a chosen password or a key is told from a term of a
//! program, where the name beside it says only that it may be one.

use super::entropy;

/// For each letter, those that follow it in at least 2 of 10 000 pairs of letters, by
/// 8 486 words of English, German and French.
const FOLLOWS: [&[u8]; 26] = [
    b"bcdfghiklmnprstuvwxy",
    b"aeijlorstuy",
    b"acehiklorstuy",
    b"adegilmnorsuvy",
    b"abcdefghiklmnopqrstuvwxyz",
    b"aefilorstuy",
    b"aeghilnorstu",
    b"aeilmnorstuw",
    b"abcdefgklmnopqrstvxz",
    b"eou",
    b"aegilnost",
    b"abcdefiklopstuvy",
    b"abeimopstu",
    b"abcdefghiklmnoprstuvyz",
    b"abcdefgiklmnoprstuvwy",
    b"aehiloprstuy",
    b"u",
    b"abcdefghiklmnoprstuvwy",
    b"acefghiklmopqstuwy",
    b"acdefhilmnoprstuwyz",
    b"abcdefgilmnoprstvx",
    b"aeior",
    b"aehinors",
    b"aceipt",
    b"eimnopst",
    b"aeitu",
];

/// Terms that have digits, in lower case, digits left out.
const TERMS: &[&str] = &[
    "password",
    "passwd",
    "pass",
    "pwd",
    "secret",
    "token",
    "key",
    "user",
    "username",
    "test",
    "arg",
    "param",
    "value",
    "val",
    "field",
    "foo",
    "bar",
    "str",
    "string",
    "text",
    "var",
    "id",
    "utf",
    "md",
    "sha",
    "rsa",
    "aes",
    "des",
    "base",
    "oauth",
    "http",
    "ipv",
    "pkcs",
    "x",
    "v",
    "hmacsha",
    "pbkdf",
    "argon",
    "bcrypt",
    "scrypt",
    "ascii",
    "iso",
    "latin",
    "des3",
    "mypassword",
    "mypass",
    "testpass",
    "testpassword",
    "yourpassword",
    "newpassword",
    "oldpassword",
    "admin",
    "root",
    "tls",
    "ssl",
    "u",
    "i",
    "int",
    "uint",
    "f",
    "col",
    "row",
    "table",
    "opt",
    "option",
    "input",
    "label",
    "msg",
    "page",
    "node",
    "item",
    "attr",
    "todo",
    "partition",
    "benutzer",
    "type",
    "name",
    "ntlmv",
    "scramsha",
];

pub(super) fn is_term(secret: &[u8]) -> bool {
    let letters: Vec<u8> =
        secret.iter().filter(|byte| byte.is_ascii_alphabetic()).map(u8::to_ascii_lowercase).collect();
    let others = secret.len() - letters.len();
    // `alpha_3`, `user_id_2`.
    let numbered = secret.contains(&b'_')
        && secret.iter().filter(|byte| byte.is_ascii_digit()).count() == 1
        && secret.iter().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'_');
    // `admin1234` is a password, and no name of anything.
    let account = others >= 3 && matches!(letters.as_slice(), b"admin" | b"root");
    others <= 5 && !account && (numbered || TERMS.iter().any(|term| term.as_bytes() == letters))
        || is_text(secret)
}

/// A number with its unit, a date, a version, an address, a name of a file.
fn is_text(secret: &[u8]) -> bool {
    let digits = secret.iter().filter(|byte| byte.is_ascii_digit()).count();
    let dots = secret.iter().filter(|byte| matches!(byte, b'.' | b':' | b'-' | b'/' | b',')).count();
    let letters = secret.iter().filter(|byte| byte.is_ascii_alphabetic()).count();
    let hex = secret.iter().all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b'.' | b':' | b'-' | b'x'));
    let prefixed = secret.starts_with(b"0x")
        || secret.starts_with(b"#") && secret[1..].iter().all(u8::is_ascii_hexdigit);
    // A line of a table, a pattern of names.
    let colons = secret.iter().filter(|byte| **byte == b':').count();
    (colons >= 3
        || colons >= 2 && digits == 0
        || secret.starts_with(b"*.")
        || secret.ends_with(b"/tcp")
        || secret.ends_with(b"/udp"))
        || (dots >= 2 && letters <= 2 && digits > 0)
        || (hex && dots >= 2)
        || prefixed && hex_only(secret)
}

/// Three parts or more, each a word or a number.
pub(super) fn is_path(text: &[u8]) -> bool {
    let mut parts = text.split(|byte| *byte == b'/').filter(|part| !part.is_empty());
    let is_words = |part: &[u8]| part.split(|byte| matches!(byte, b'-' | b'_' | b'.')).all(is_word);
    text.iter().filter(|byte| **byte == b'/').count() >= 2 && parts.all(is_words)
}

fn hex_only(secret: &[u8]) -> bool {
    secret.iter().skip(2).all(u8::is_ascii_hexdigit)
}

/// A letter and a digit.
pub(super) fn has_digits(secret: &[u8]) -> bool {
    let is_letter = |byte: &u8| byte.is_ascii_alphabetic() || !byte.is_ascii();
    secret.iter().any(is_letter) && secret.iter().any(u8::is_ascii_digit)
}

/// Letters that no word has beside each other, or a sign among letters of both cases.
pub(super) fn is_odd(secret: &[u8]) -> bool {
    let lower = secret.iter().any(u8::is_ascii_lowercase);
    let upper = secret.iter().any(u8::is_ascii_uppercase);
    let sign = secret.iter().any(|byte| b"!@#%^&*+?~".contains(byte));
    secret.len() >= 8
        && (lower && upper && sign
            || scraps(secret) >= 2
            || rare_pairs(secret) >= rare(secret)
            || is_mute(secret))
}

/// Two names, `BerlinOskar`, neither of which is a term of programs or of their pages.
pub(super) fn is_names(secret: &[u8]) -> bool {
    let mut names = secret.chunk_by(|_, next| !next.is_ascii_uppercase());
    let (Some(first), Some(second), None) = (names.next(), names.next(), names.next()) else { return false };
    [first, second].into_iter().all(|name| {
        name.len() >= 5
            && name[0].is_ascii_uppercase()
            && name[1..].iter().all(u8::is_ascii_lowercase)
            && !is_of_programs(&name.to_ascii_lowercase())
    })
}

/// `fromage_casa_82`: neither word is a term of programs.
pub(super) fn are_two_and_a_number(secret: &[u8]) -> bool {
    let mut parts = secret.split(|byte| *byte == b'_');
    let (Some(first), Some(second), Some(number), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let is_word =
        |word: &[u8]| word.len() >= 4 && word.iter().all(u8::is_ascii_lowercase) && !is_of_programs(word);
    is_word(first) && is_word(second) && number.len() == 2 && number.iter().all(u8::is_ascii_digit)
}

/// A word of small letters that begins as names of types and fields do.
pub(super) fn is_of_programs(word: &[u8]) -> bool {
    OF_PROGRAMS.iter().any(|term| word.starts_with(term.as_bytes()))
}

/// Beginnings of words of which names of types, fields and messages are made.
const OF_PROGRAMS: &[&str] = &[
    "passw", "secre", "token", "strin", "field", "value", "input", "label", "dialo", "windo", "entry",
    "entri", "widge", "butto", "handl", "provi", "manag", "servi", "facto", "callb", "objec", "class",
    "type", "model", "view", "prope", "attri", "param", "crede", "encod", "decod", "hash", "valid", "promp",
    "defau", "error", "excep", "messa", "reque", "respo", "confi", "setti", "optio", "polic", "user",
    "admin", "login", "accou", "acces", "clien", "serve", "sessi", "secur", "simpl", "basic", "diges",
    "plain", "clear", "encry", "prote", "requi", "curre", "chang", "reset", "forgo", "gener", "abstr",
    "custo", "binar", "buffe", "bytes", "array", "integ", "boole", "numbe", "funct", "metho", "modul",
    "event", "actio", "conte", "helpe", "utils", "store", "stora", "datab", "table", "colum", "cache",
    "forma", "reade", "write", "strea", "files", "image", "style", "color", "layou", "contr", "panel",
    "frame", "scree", "templ", "examp", "domai", "group", "netwo", "devic", "syste", "resou", "compo",
    "eleme", "inter", "proto", "trans", "conne", "conta", "const", "creat", "delet", "updat", "proce",
    "threa", "queue", "pipel", "build", "parse", "text", "invali", "missi", "wrong", "publi", "priva",
    "share", "remot", "local", "globa", "stati", "dynam", "authe", "autho", "ident", "princ", "certi",
    "signa", "cipher", "crypt", "decry", "kerbe", "displ", "retur", "gette", "enter", "verif", "confir",
    "repea", "master", "stron", "minim", "maxim", "lengt", "alpha", "null", "empty", "unkno", "never",
    "always", "enabl", "disab", "suppo", "optional", "first", "second", "other", "match", "check", "mode",
    "level", "state", "statu", "resul", "recor", "index", "iterat", "liste", "visit", "adapt", "wrapp",
    "proxy", "agent", "facad", "bridg", "mobil", "phone", "email", "domain", "phras", "lookup", "selec",
    "searc", "filte", "query", "alias", "scope", "wirel", "access", "point", "progr", "appli", "prefe",
    "insta", "regis", "profi", "prese", "envir", "varia", "encap", "decla", "defin", "defer", "delay",
    "timeo", "expir", "strategy", "visible", "hidden", "shadow", "remem", "store", "saved", "stored",
    "typed", "given", "wpa", "enterp", "perso",
];

/// Letters with a vowel in six at most, or six without one, as no word but of German has.
fn is_mute(secret: &[u8]) -> bool {
    let vowel = |byte: &u8| b"aeiouyAEIOUY".contains(byte);
    let vowels = secret.iter().filter(|byte| vowel(byte)).count();
    let long = secret.split(|byte| vowel(byte)).any(|run| run.len() >= 6);
    let german = secret.windows(3).any(|three| three.eq_ignore_ascii_case(b"sch"));
    // Abbreviations and constants are of great letters.
    let small = secret.iter().any(u8::is_ascii_lowercase);
    small && secret.iter().all(u8::is_ascii_alphabetic) && (vowels * 6 <= secret.len() || long && !german)
}

/// Pairs that no word has, from which on letters are none; a name in `CamelCase` may have
/// some in its abbreviations.
fn rare(secret: &[u8]) -> usize {
    let upper = secret.iter().filter(|byte| byte.is_ascii_uppercase()).count();
    let names = upper > 0 && secret.iter().all(u8::is_ascii_alphabetic);
    if names { 3.max(secret.len() / 4) } else { 2.max(secret.len() / 6) }
}

/// Words of one or two letters, as `camelCase` has few.
pub(super) fn scraps(secret: &[u8]) -> usize {
    let (mut count, mut len) = (0, 0);
    let mut last = b'_';
    for &byte in secret.iter().chain(b"_") {
        let begins = byte.is_ascii_uppercase() && !last.is_ascii_uppercase();
        if begins || !byte.is_ascii_alphabetic() {
            count += usize::from((1..=2).contains(&len));
            len = 0;
        }
        len += usize::from(byte.is_ascii_alphabetic());
        last = byte;
    }
    // Words of small or of great letters alone may well be short: `is_on_or_off`.
    let mixed = secret.iter().any(u8::is_ascii_lowercase) && secret.iter().any(u8::is_ascii_uppercase);
    if mixed { count } else { 0 }
}

fn rare_pairs(secret: &[u8]) -> usize {
    let rare = |pair: &[u8]| {
        let (first, second) = (pair[0].to_ascii_lowercase(), pair[1].to_ascii_lowercase());
        // Where words meet in `camelCase`, any letters do.
        let meet = pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase();
        first.is_ascii_lowercase()
            && second.is_ascii_lowercase()
            && !meet
            && !FOLLOWS[usize::from(first - b'a')].contains(&second)
    };
    secret.windows(2).filter(|pair| rare(pair)).count()
}

/// Fourteen characters or more, of which no name is made.
pub(super) fn is_token(secret: &[u8]) -> bool {
    let digits = secret.iter().filter(|byte| byte.is_ascii_digit()).count();
    let hex = secret.iter().all(|byte| byte.is_ascii_hexdigit() || *byte == b'-');
    let least = match (hex, secret.len()) {
        (true, _) => 2.8,
        (false, ..24) => 3.0,
        _ => 3.3,
    };
    let parts = secret.split(|byte| matches!(byte, b'_' | b'-' | b'.' | b'/' | b':' | b'='));
    // `config.secret_value_1`, `aes-256-gcm`: words, with a number.
    let words = parts.filter(|part| !part.is_empty()).all(is_word);
    secret.len() >= 14
        && secret.iter().filter(|byte| **byte == b':').count() < 3
        && !(secret.contains(&b'/') && secret.contains(&b'.'))
        && entropy(secret) >= least
        && !words
        && (hex && digits > 0
            || digits >= 2
            || scraps(secret) >= 3
            || digits > 0 && secret.len() >= 16 && is_mixed(secret)
            || rare_pairs(secret) * 4 >= secret.len())
}

fn is_mixed(secret: &[u8]) -> bool {
    secret.iter().any(u8::is_ascii_lowercase) && secret.iter().any(u8::is_ascii_uppercase)
}

/// Of one case, or words in `CamelCase` of two and a half letters or more on average.
fn is_cased(run: &[u8]) -> bool {
    let begins = run.windows(2).filter(|pair| pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase());
    let inside = run.windows(3).filter(|three| {
        three[0].is_ascii_uppercase() && three[1].is_ascii_uppercase() && three[2].is_ascii_lowercase()
    });
    !is_mixed(run) || run.len() * 2 >= 5 * (1 + begins.count() + inside.count()) || run.len() <= 2
}

/// Of a name whose words stand apart: one word, or an abbreviation.
pub(super) fn is_part(part: &[u8]) -> bool {
    part.len() <= 3
        || scraps(part) == 0
            && (rare_pairs(part) * 4 <= part.len() || part.len() <= 5 && rare_pairs(part) <= 2)
}

/// `Ed25519PrivateKey`, `v1beta1`: words with a number or two in them.
fn is_numbered(part: &[u8]) -> bool {
    let numbers = part.chunk_by(|a, b| a.is_ascii_digit() == b.is_ascii_digit());
    let (digits, letters): (Vec<_>, Vec<_>) = numbers.partition(|run| run[0].is_ascii_digit());
    let count = letters.iter().map(|run| run.len()).sum::<usize>();
    part.iter().all(u8::is_ascii_alphanumeric)
        && (1..=2).contains(&digits.len())
        && digits.iter().all(|run| run.len() <= 5)
        && count >= 4
        && (digits.len() == 1 || part.iter().any(u8::is_ascii_lowercase))
        && letters.iter().all(|run| is_cased(run))
        && letters.iter().all(|run| run.len() <= 4 || rare_pairs(run) * 5 <= run.len() && scraps(run) == 0)
        && (count >= 5 || letters.iter().any(|run| run.len() >= 4))
}

/// A word, or words in `camelCase`, or a number of up to four digits; a digit or two may
/// follow a word.
pub(super) fn is_word(part: &[u8]) -> bool {
    if is_numbered(part) {
        return true;
    }
    let letters = part.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
    let digits = part.len() - letters;
    let number = part[letters..].iter().all(u8::is_ascii_digit);
    number && digits <= 5 && (letters <= 4 || rare_pairs(part) * 6 <= letters)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_told_from_what_chance_made() {
        for word in
            ["Passwortfeld", "encryption", "authorization_code", "getUserToken", "Kennwort", "identifiant"]
        {
            assert!(!is_odd(word.as_bytes()), "{word}");
        }
        for chance in ["qzvkwtmxrb", "hwfqjzkpxe", "Berlin!Kamera", "xkqvbnmtzw"] {
            assert!(is_odd(chance.as_bytes()), "{chance}");
        }
        for term in ["password1", "utf8", "sha256", "192.168.1.1", "2026-11-28", "arg_2"] {
            assert!(is_term(term.as_bytes()), "{term}");
        }
        for password in ["Garage4711", "tiger-77-falke", "a8Kd0Lq2"] {
            assert!(!is_term(password.as_bytes()), "{password}");
        }
    }

    #[test]
    fn tokens_are_told_from_names() {
        for name in [
            "config.secret_value_1",
            "aes-256-gcm-siv-1",
            "getAccessTokenFromRequest",
            "user_session_token_2",
        ] {
            assert!(!is_token(name.as_bytes()), "{name}");
        }
        for token in [
            "9f86d081884c7d659a2feaa0c55ad015",
            "a8Kd0Lq2Zx9Qw4Er7Ty1",
            "b7e23ec2-9af2-4b1c-8a55-0d2f6a7c9e11",
        ] {
            assert!(is_token(token.as_bytes()), "{token}");
        }
    }
}
