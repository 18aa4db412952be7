//! Settings as programs pack them: MessagePack, CBOR (RFC 8949) and the pickles of Python. A
//! string follows its length there, and a value the name that it has.

use std::ops::Range;

use super::Decoded;
use crate::table;

const NAME_MAX: usize = 24;
/// Of a value, in bytes.
const VALUE_MIN: usize = 4;
const VALUE_MAX: usize = 128;

#[derive(Debug, Clone, Copy)]
enum Form {
    MessagePack,
    Cbor,
    Pickle,
}

const FORMS: [Form; 3] = [Form::MessagePack, Form::Cbor, Form::Pickle];
/// How long the head of a string may be, in bytes.
const HEADS: [usize; 3] = [1, 2, 5];

/// The value whose name `at` lies in, if both are strings of one form.
pub(crate) fn packed(bytes: &[u8], own: &Range<usize>, at: usize) -> Option<Decoded> {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let before = bytes[own.start..at].iter().rev().take(NAME_MAX).take_while(|byte| is_part(byte)).count();
    let starts = (at - before..=at).rev();
    let mut names = starts.flat_map(|start| {
        let heads = HEADS.into_iter().filter_map(move |head| start.checked_sub(head));
        heads.flat_map(move |head| FORMS.map(|form| (form, head, start)))
    });
    names.find_map(|(form, head, start)| {
        let name = string(bytes, head, form).filter(|name| name.start == start && name.contains(&at))?;
        // The length of a short one is a letter, as in any word: what holds the name stands
        // before it.
        let is_short = matches!((form, bytes[head]), (Form::Cbor, ..=0x77));
        let in_text = || head == 0 || matches!(bytes[head - 1], b'\t' | b'\n' | b'\r' | b' '..=b'~');
        if !table::is_name(&bytes[name.clone()]) || is_short && in_text() {
            return None;
        }
        // A pickle remembers each string by a number.
        let next = match (form, bytes.get(name.end)) {
            (Form::Pickle, Some(0x94)) => name.end + 1,
            (Form::Pickle, Some(b'q')) => name.end + 2,
            _ => name.end,
        };
        let place = string(bytes, next, form)?;
        let value = &bytes[place.clone()];
        let is_value = (VALUE_MIN..=VALUE_MAX).contains(&value.len())
            && value.iter().all(|byte| byte.is_ascii_graphic() && !b"\"\\".contains(byte));
        let text = [&bytes[name], b"=\"", value, b"\"\n"].concat();
        is_value.then_some(Decoded { encoding: "packed", place, bytes: text, steps: Vec::new() })
    })
}

/// What the string holds that begins with its length at `at`.
fn string(bytes: &[u8], at: usize, form: Form) -> Option<Range<usize>> {
    let head = *bytes.get(at)?;
    let byte = || bytes.get(at + 1).map(|len| (usize::from(*len), 2));
    let (len, head) = match (form, head) {
        (Form::MessagePack, 0xa0..=0xbf) | (Form::Cbor, 0x60..=0x77) => (usize::from(head & 0x1f), 1),
        (Form::MessagePack, 0xd9) | (Form::Cbor, 0x78) | (Form::Pickle, 0x8c) => byte()?,
        (Form::Pickle, b'X') => {
            let len = u32::from_le_bytes(*bytes.get(at + 1..)?.first_chunk()?);
            (usize::try_from(len).ok()?, 5)
        }
        _ => return None,
    };
    let start = at + head;
    let end = start.checked_add(len)?;
    (end <= bytes.len()).then_some(start..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_told_with_the_name_before_it() {
        let told = |bytes: &[u8]| {
            let at = memchr::memmem::find(bytes, b"passw").expect("the name");
            packed(bytes, &(0..bytes.len()), at).map(|told| {
                assert!(told.bytes.ends_with(&[&bytes[told.place], b"\"\n"].concat()));
                String::from_utf8_lossy(&told.bytes).into_owned()
            })
        };
        let text = Some("cam_password=\"Zima*4914\"\n".to_owned());
        assert_eq!(told(b"\x82\xaccam_password\xa9Zima*4914\xa4port\xcd\x1f\x90"), text);
        assert_eq!(told(b"\x82\xd9\x0ccam_password\xd9\x09Zima*4914\xa4port\x01"), text);
        assert_eq!(told(b"\xa2\x6ccam_password\x69Zima*4914\x64port\x01"), text);
        assert_eq!(told(b"\xa2\x78\x0ccam_password\x78\x09Zima*4914\x64port\x01"), text);
        assert_eq!(told(b"\x80\x04}\x94(\x8c\x0ccam_password\x94\x8c\x09Zima*4914\x94u."), text);
        assert_eq!(told(b"\x80\x02}q\x00X\x0c\0\0\0cam_passwordq\x01X\x09\0\0\0Zima*4914q\x02s."), text);
        for none in [
            &b"\x82\xacno_passwords\xa9Zima*4914"[..],
            b"\x82\xaccam_password\xa9Zima*49",
            b"\x82\xaccam_password\x69Zima*4914",
            b"\x82\xaccam_password\xa9Zim\0*4914",
            b"\x82\xaccam_password",
            b"passw\xa9Zima*4914",
            b"\x80\x02X\xff\xff\xff\xffpassword",
            b"my cam_password Zima*4914",
            // Words of a program, in which letters are right by chance.
            b"\x80save_password_to_keyring_and_more",
            b"\x80xlcam_passwordiZima*4914",
        ] {
            assert_eq!(told(none), None, "{}", none.escape_ascii());
        }
    }
}
