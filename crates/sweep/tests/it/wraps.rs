//! Encodings in which cameras, tools and people leave a text.

use std::io::Write as _;

use fastrand::Rng;

use crate::made::{self, base64, bytes, url_safe};

pub(crate) type Wrap = fn(&[u8], &mut Rng) -> Vec<u8>;

pub(crate) const WRAPS: &[(&str, Wrap)] = &[
    ("base64", |text, _| format!("blob: {}\n", base64(text)).into_bytes()),
    ("base64 of lines of 76", |text, _| made::lines(&base64(text), 76).into_bytes()),
    ("base64 of lines of 64 with CR", |text, _| {
        made::lines(&base64(text), 64).replace('\n', "\r\n").into_bytes()
    }),
    ("base64 of lines of 76, indented", |text, _| {
        format!("data: |\n  {}\n", made::lines(&base64(text), 76).replace('\n', "\n  ")).into_bytes()
    }),
    ("base64 twice", |text, _| base64(base64(text).as_bytes()).into_bytes()),
    ("base64 url-safe", |text, _| format!("blob={}\n", url_safe(text)).into_bytes()),
    ("base64 in JSON", |text, _| {
        format!("{{\"file\":\"{}\"}}", base64(text).replace('/', "\\/")).into_bytes()
    }),
    ("base64 percent", |text, _| format!("f={}&x=1", percent(&base64(text))).into_bytes()),
    ("hex", |text, _| made::hex(text, "").into_bytes()),
    ("hex of capitals", |text, _| made::hex(text, "").to_uppercase().into_bytes()),
    ("hex with colons", |text, _| made::hex(text, ":").into_bytes()),
    ("hex with spaces", |text, _| made::hex(text, " ").into_bytes()),
    ("hex with commas", |text, _| made::hex(text, ",").into_bytes()),
    ("hex with backslashes", |text, _| format!("s = \"\\x{}\"", made::hex(text, "\\x")).into_bytes()),
    ("hex of C", |text, _| format!("char s[] = {{ 0x{} }};", made::hex(text, ", 0x")).into_bytes()),
    ("percent", |text, _| percent(&lossy(text)).into_bytes()),
    ("percent twice", |text, _| percent(&percent(&lossy(text))).into_bytes()),
    ("utf-16le", |text, _| utf16(text, u16::to_le_bytes)),
    ("utf-16be", |text, _| utf16(text, u16::to_be_bytes)),
    ("utf-16 with a mark", |text, _| [vec![0xff, 0xfe], utf16(text, u16::to_le_bytes)].concat()),
    ("utf-16 in base64", |text, _| base64(&utf16(text, u16::to_le_bytes)).into_bytes()),
    ("json", |text, _| serde_json::to_string(&lossy(text)).expect("text").into_bytes()),
    ("json twice", |text, _| {
        let once = serde_json::to_string(&lossy(text)).expect("text");
        serde_json::to_string(&once).expect("text").into_bytes()
    }),
    ("xml", |text, _| xml(&lossy(text)).into_bytes()),
    ("xml of numbers", |text, _| {
        let number = |c: char| match c.is_ascii_alphanumeric() {
            true => c.to_string(),
            false => format!("&#x{:x};", u32::from(c)),
        };
        lossy(text).chars().map(number).collect::<String>().into_bytes()
    }),
    ("quoted-printable", |text, _| quoted_printable(text)),
    ("gzip", |text, _| gzip(text)),
    ("zlib", |text, _| zlib(text)),
    ("gzip inside bytes", |text, rng| [bytes(1001, rng), gzip(text), bytes(77, rng)].concat()),
    ("gzip in base64", |text, _| base64(&gzip(text)).into_bytes()),
    ("zlib in hex", |text, _| made::hex(&zlib(text), "").into_bytes()),
];

/// Several, one inside the other, with their names.
pub(crate) fn nested(text: &[u8], depth: usize, rng: &mut Rng) -> (String, Vec<u8>) {
    let mut wrapped = text.to_vec();
    let mut names = Vec::new();
    for _ in 0..depth {
        let (name, wrap) = WRAPS[rng.usize(..WRAPS.len())];
        // Escapes are of text; what is packed is none. And what begins with noise is not
        // decoded: a container in the midst of base64 stays where it is.
        let of_text = ["json", "percent", "xml"].iter().any(|of| name.starts_with(of)) || name == "utf-16le";
        let refused = of_text && std::str::from_utf8(&wrapped).is_err() || name == "gzip inside bytes";
        let (name, wrap) = if refused { WRAPS[0] } else { (name, wrap) };
        wrapped = wrap(&wrapped, rng);
        names.insert(0, name);
    }
    (names.join(" of "), wrapped)
}

fn lossy(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}

pub(crate) fn percent(text: &str) -> String {
    let byte = |byte: u8| match byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}

pub(crate) fn xml(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn utf16(text: &[u8], order: fn(u16) -> [u8; 2]) -> Vec<u8> {
    // Bytes that are no text become the characters of Latin-1.
    let text: String = match std::str::from_utf8(text) {
        Ok(text) => text.to_owned(),
        Err(_) => text.iter().map(|byte| char::from(*byte)).collect(),
    };
    text.encode_utf16().flat_map(order).collect()
}

/// RFC 2045, 6.7: lines of at most 76, ended by `=` where they were broken.
pub(crate) fn quoted_printable(text: &[u8]) -> Vec<u8> {
    let (mut out, mut column) = (Vec::new(), 0);
    for &byte in text {
        let plain = byte == b' ' || byte.is_ascii_graphic() && byte != b'=';
        let written = match (byte, plain) {
            (b'\n', _) => b"\n".to_vec(),
            (_, true) => vec![byte],
            (_, false) => format!("={byte:02X}").into_bytes(),
        };
        if byte != b'\n' && column + written.len() > 75 {
            out.extend_from_slice(b"=\r\n");
            column = 0;
        }
        column = if byte == b'\n' { 0 } else { column + written.len() };
        out.extend(written);
    }
    out
}

pub(crate) fn gzip(data: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    out.write_all(data).expect("to memory");
    out.finish().expect("to memory")
}

fn zlib(data: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    out.write_all(data).expect("to memory");
    out.finish().expect("to memory")
}
