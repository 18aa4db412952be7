//! Secrets that a seed makes up: no real one stands in this repository.

use fastrand::Rng;

pub(crate) const LOWER: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";
const UPPER: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
pub(crate) const ALNUM: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
pub(crate) const URL_SAFE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
const CRYPT: &[u8] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The example with all `{kind:number}` replaced; other braces stay.
pub(crate) fn made(template: &str, rng: &mut Rng) -> String {
    with(template, &mut |kind, number| part(kind, number, rng))
}

/// The same, with what makes the parts.
pub(crate) fn with(template: &str, part: &mut dyn FnMut(&str, &str) -> Option<String>) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some(at) = rest.find('{') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let named = |end| rest[1..end].split_once(':').unwrap_or((&rest[1..end], "0"));
        let replaced = rest.find('}').and_then(|end| Some((end, part(named(end).0, named(end).1)?)));
        match replaced {
            Some((end, text)) => {
                out.push_str(&text);
                rest = &rest[end + 1..];
            }
            None => {
                out.push('{');
                rest = &rest[1..];
            }
        }
    }
    out + rest
}

/// A word that a dictionary has, in half of the cases with a capital letter or a number.
fn word(kind: &str, rng: &mut Rng) -> String {
    let least = if kind == "plain8" { 8 } else { 5 };
    let word = loop {
        let word = WORDS[rng.usize(..WORDS.len())];
        if word.len() >= least {
            break word;
        }
    };
    let capital = format!("{}{}", word[..1].to_uppercase(), &word[1..]);
    match rng.u8(..6) {
        0 => capital,
        1 => format!("{capital}{}", rng.u32(2010..2027)),
        2 => format!("{word}{}", rng.u32(1..100)),
        _ => word.to_owned(),
    }
}

fn words(count: usize, between: &str, rng: &mut Rng) -> String {
    let words: Vec<&str> = (0..count).map(|_| WORDS[rng.usize(..WORDS.len())]).collect();
    words.join(between)
}

const WORDS: &[&str] = &[
    "birke",
    "sommer",
    "garten",
    "feuerwehr",
    "kamera",
    "einfahrt",
    "schatzi",
    "dragon",
    "monkey",
    "sunshine",
    "baseball",
    "superman",
    "letmein",
    "liverpool",
    "apfelbaum",
    "lagerhalle",
    "weihnachten",
    "kaninchen",
    "soleil",
    "chocolat",
    "barcelona",
    "princesa",
    "estrella",
    "zomerhuis",
    "kerstboom",
    "kwiatek",
    "werkstatt",
    "mustang",
    "butterfly",
    "eisenbahn",
    "bluebird",
];

pub(crate) fn part(kind: &str, number: &str, rng: &mut Rng) -> Option<String> {
    let len = || number.parse::<usize>().ok();
    Some(match kind {
        "base64" => base64(&bytes(len()?, rng)),
        "base64url" => url_safe(&bytes(len()?, rng)),
        "sig" => base64(&bytes(32, rng)).replace('+', "%2B").replace('/', "%2F").replace('=', "%3D"),
        "hex" => any(b"0123456789abcdef", len()?, rng),
        "HEX" => any(b"0123456789ABCDEF", len()?, rng),
        "alnum" => any(ALNUM, len()?, rng),
        "letters" => any(&ALNUM[..52], len()?, rng),
        "lower" => any(LOWER, len()?, rng),
        "upper" => any(UPPER, len()?, rng),
        "digits" => any(b"123456789", len()?, rng),
        "crypt" => any(CRYPT, len()?, rng),
        "base32" => any(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", len()?, rng),
        "bech32" => any(b"QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L", len()?, rng),
        "uuid" => {
            let digits = any(b"0123456789abcdef", 32, rng);
            format!(
                "{}-{}-{}-{}-{}",
                &digits[..8],
                &digits[8..12],
                &digits[12..16],
                &digits[16..20],
                &digits[20..]
            )
        }
        "password" => password(rng),
        "plain" | "plain2" | "plain8" => word(kind, rng),
        "two" => words(2, "-", rng),
        "three" => words(3, " ", rng),
        "pair" => base64(format!("admin:{}", password(rng)).as_bytes()),
        "crc" => crc(number, rng)?,
        "jwt" => {
            let claims = format!(r#"{{"sub":"cam","exp":4102444800,"jti":"{}"}}"#, any(ALNUM, 12, rng));
            let parts = [br#"{"alg":"HS256","typ":"JWT"}"#.to_vec(), claims.into_bytes(), bytes(32, rng)];
            parts.map(|part| url_safe(&part)).join(".")
        }
        "pem" if number == "escaped" => pem(&pkcs8(rng), "PRIVATE KEY").replace('\n', "\\n"),
        "pem" => pem(&pkcs8(rng), "PRIVATE KEY"),
        "openssh" => {
            let mut key = b"openssh-key-v1\0\0\0\0\x04none\0\0\0\x04none".to_vec();
            key.extend(bytes(160, rng));
            pem(&key, "OPENSSH PRIVATE KEY")
        }
        _ => return None,
    })
}

/// A key of Ed25519 in PKCS#8 (RFC 8410, 7).
pub(crate) fn pkcs8(rng: &mut Rng) -> Vec<u8> {
    let mut key = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20".to_vec();
    key.extend(bytes(32, rng));
    key
}

/// A tag, its length and its content (X.690, 8.1), up to 64 KiB.
pub(crate) fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(content.len()).expect("a short content").to_be_bytes();
    let head: &[u8] = match content.len() {
        ..0x80 => &[tag, low],
        0x80..0x100 => &[tag, 0x81, low],
        _ => &[tag, 0x82, high, low],
    };
    [head, content].concat()
}

/// A key under PBES2 (RFC 8018, A.4), with noise for the key.
pub(crate) fn sealed(rng: &mut Rng) -> Vec<u8> {
    const PBES2: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0d";
    const PBKDF2: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0c";
    const AES_256_CBC: &[u8] = b"\x60\x86\x48\x01\x65\x03\x04\x01\x2a";
    let salt = [der(0x04, &bytes(8, rng)), der(0x02, &[8, 0])].concat();
    let kdf = der(0x30, &[der(0x06, PBKDF2), der(0x30, &salt)].concat());
    let cipher = der(0x30, &[der(0x06, AES_256_CBC), der(0x04, &bytes(16, rng))].concat());
    let algorithm = [der(0x06, PBES2), der(0x30, &[kdf, cipher].concat())].concat();
    der(0x30, &[der(0x30, &algorithm), der(0x04, &bytes(1232, rng))].concat())
}

pub(crate) fn pem(der: &[u8], name: &str) -> String {
    format!("-----BEGIN {name}-----\n{}\n-----END {name}-----\n", lines(&base64(der), 64))
}

/// Broken into lines of `len`.
pub(crate) fn lines(text: &str, len: usize) -> String {
    let lines = text.as_bytes().chunks(len).map(|line| std::str::from_utf8(line).expect("digits"));
    lines.collect::<Vec<_>>().join("\n")
}

pub(crate) fn hex(bytes: &[u8], between: &str) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(between)
}

/// Eight to fourteen characters, a digit among them, as people and vendors choose.
pub(crate) fn password(rng: &mut Rng) -> String {
    let special = any(b"!.-_*+", 1, rng);
    format!(
        "{}{}{special}{}",
        any(&ALNUM[..52], rng.usize(3..6), rng),
        rng.u32(10..999),
        any(ALNUM, rng.usize(3..6), rng)
    )
}

pub(crate) fn any(of: &[u8], len: usize, rng: &mut Rng) -> String {
    (0..len).map(|_| char::from(of[rng.usize(..of.len())])).collect()
}

pub(crate) fn bytes(len: usize, rng: &mut Rng) -> Vec<u8> {
    (0..len).map(|_| rng.u8(..)).collect()
}

fn crc(argument: &str, rng: &mut Rng) -> Option<String> {
    let (prefix, len) = argument.split_once(':')?;
    let text = any(ALNUM, len.parse().ok()?, rng);
    let mut sum = flate2::Crc::new();
    sum.update(text.as_bytes());
    let mut sum = sum.sum();
    let mut digits = [b'0'; 6];
    for digit in digits.iter_mut().rev() {
        *digit = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"[sum as usize % 62];
        sum /= 62;
    }
    Some(format!("{prefix}{text}{}", String::from_utf8_lossy(&digits)))
}

pub(crate) fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for three in bytes.chunks(3) {
        let word = three.iter().fold(0, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for digit in 0..4 {
            let value = word >> (18 - 6 * digit) & 63;
            out.push(if digit > three.len() { '=' } else { char::from(DIGITS[value as usize]) });
        }
    }
    out
}

pub(crate) fn url_safe(bytes: &[u8]) -> String {
    base64(bytes).replace('+', "-").replace('/', "_").replace('=', "")
}

pub(crate) fn unhex(digits: &str) -> Vec<u8> {
    let pairs = (0..digits.len() / 2).map(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16));
    pairs.map(|byte| byte.expect("digits")).collect()
}
