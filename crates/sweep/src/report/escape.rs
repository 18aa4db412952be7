//! Foreign text, made harmless for each form of a report by the form's own rules.

use std::fmt::Write as _;

use serde::Serialize;

use crate::finding::{is_obeyed, shown};

/// JSON for a file or a terminal. What a terminal would obey is escaped, also where JSON
/// does not ask for it: DEL, C1, and what turns the direction of writing.
///
/// # Panics
/// If a map in it has keys that are no text.
pub fn pretty<T: Serialize + ?Sized>(value: &T) -> String {
    let text = serde_json::to_string_pretty(value).expect("text and numbers are JSON");
    let mut safe = String::with_capacity(text.len() + 1);
    for c in text.chars() {
        // Beyond ASCII, and DEL: only in strings. Below it, serde_json has escaped what is in one.
        match c >= '\u{7f}' && is_obeyed(c) {
            true => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| {
                let _ = write!(safe, "\\u{unit:04x}");
            }),
            false => safe.push(c),
        }
    }
    safe.push('\n');
    safe
}

/// RFC 4180; what a spreadsheet would take for a formula begins with an apostrophe.
pub(super) fn csv_field(field: &str) -> String {
    const FORMULA: [char; 10] = ['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠'];
    let formula = field.trim_start_matches([' ', '\u{a0}']).starts_with(FORMULA);
    let field = shown(field).replace('"', "\"\"");
    format!("\"{}{field}\"", if formula { "'" } else { "" })
}

pub(crate) fn html(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

/// The text of a message of SARIF (2.1.0, 3.11.5 and 3.11.6), in which brackets would make a
/// link, unless a backslash stands before them, and braces a placeholder.
pub(super) fn message(text: &str) -> String {
    let mut message = String::new();
    for c in shown(text).chars() {
        match c {
            '[' | ']' | '\\' => message.extend(['\\', c]),
            '{' | '}' => message.extend([c, c]),
            _ => message.push(c),
        }
    }
    message
}

/// A path as the address of an artifact: all but unreserved characters escaped.
pub(super) fn uri(path: &str) -> String {
    let mut uri = String::new();
    for byte in path.bytes() {
        match byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'.' | b'_' | b'~') {
            true => uri.push(char::from(byte)),
            false => {
                let _ = write!(uri, "%{byte:02X}");
            }
        }
    }
    uri
}
