//! Dumps of bytes as people paste them: of hexdump, xxd, od and the boot loader U-Boot, Intel's
//! and Motorola's records, and hex that is broken into lines.
//!
//! How many bytes a line has is what its address and the next one say, so that the text
//! beside the digits is told from them.

use std::ops::Range;

use super::marks::{self, Marks};
use super::{Decoded, HEX, Step, is, pair, plausible};

/// Of a line, in bytes; of what it stands for; and what lines stand for in whose place there is
/// a `*`, of all dumps of a window.
const LINE_MAX: usize = 400;
const BYTES_MAX: usize = 64;
const REPEATED_MAX: u64 = 64 << 10;
/// Shorter ones hold nothing.
const DUMP_MIN: usize = 16;
/// Hex that is broken into lines has so many digits in the first.
const PLAIN_MIN: usize = 32;

/// How a line of a dump is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Groups of so many digits of hex, behind an address in hex or in octal digits.
    Hex(usize, u32),
    /// Bytes, or words with the low byte first, in octal digits.
    Octal(usize),
    /// Letters, and bytes in octal digits that are none: `od -c`.
    Letters,
}

struct Line<'a> {
    at: usize,
    text: &'a [u8],
}

/// Dumps that begin in what is marked. Of groups of more than one byte both orders are given,
/// since only the machine knows which it was.
pub(crate) fn dumps(bytes: &[u8], marks: &Marks, mut decoded: impl FnMut(Decoded)) {
    let own = marks.own.clone();
    let (mut done, mut room) = (own.start, REPEATED_MAX);
    let first = (own.start == 0 && !own.is_empty()).then_some(0..1);
    for stretch in first.into_iter().chain(marks.stretches(marks::LINES)) {
        let ends = memchr::memchr_iter(b'\n', &bytes[stretch.clone()]).map(|end| stretch.start + end + 1);
        for at in (stretch.start == 0).then_some(0).into_iter().chain(ends) {
            if at < done || at >= own.end {
                continue;
            }
            done = at + 1;
            if let Some(end) = dump(bytes, at, &mut room, &mut decoded) {
                done = end;
            }
        }
    }
}

/// Where the dump ends that begins with the line at `at`, if there is one. Lines that are
/// repeated take from `room`.
fn dump(bytes: &[u8], at: usize, room: &mut u64, decoded: &mut impl FnMut(Decoded)) -> Option<usize> {
    let (out, steps, end, width) = match bytes.get(at)? {
        b':' | b'S' => records(bytes, at)?,
        byte if is(*byte, HEX) => plain(bytes, at).or_else(|| addressed(bytes, at, room))?,
        _ => return None,
    };
    if out.len() < DUMP_MIN {
        return Some(end);
    }
    let mut tell = |out: Vec<u8>| {
        if plausible(&out, crate::unpack::begins) {
            let steps = steps.clone();
            decoded(Decoded { encoding: "dump", place: at..end, bytes: out, steps });
        }
    };
    if width > 1 {
        let turned = out.chunks(width).flat_map(|group| group.iter().rev().copied()).collect();
        tell(turned);
    }
    tell(out);
    Some(end)
}

/// What was read, where its lines begin, where it ends, and bytes in a group.
type Read = (Vec<u8>, Vec<Step>, usize, usize);

fn lines(bytes: &[u8], at: usize) -> impl Iterator<Item = Line<'_>> {
    let mut at = at;
    std::iter::from_fn(move || {
        let rest = bytes.get(at..).filter(|rest| !rest.is_empty())?;
        let len = memchr::memchr(b'\n', &rest[..rest.len().min(LINE_MAX)]);
        let len = len.or((rest.len() < LINE_MAX).then_some(rest.len()))?;
        let text = rest[..len].strip_suffix(b"\r").unwrap_or(&rest[..len]);
        let line = Line { at, text };
        at += len + 1;
        Some(line)
    })
}

/// Intel's records, `:LLAAAATT…CC`, and Motorola's, `S1LLAAAA…CC`, whose sums are right.
fn records(bytes: &[u8], at: usize) -> Option<Read> {
    let (mut out, mut steps, mut end) = (Vec::new(), Vec::new(), at);
    for line in lines(bytes, at) {
        let Some(data) = record(line.text) else { break };
        steps.push(Step(out.len(), line.at - at));
        out.extend(data);
        end = line.at + line.text.len();
    }
    (end > at).then_some((out, steps, end, 1))
}

fn record(line: &[u8]) -> Option<Vec<u8>> {
    let line = line.trim_ascii_end();
    let sum = |bytes: &[u8]| bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    match line {
        [b':', rest @ ..] => {
            let all = super::hex(rest)?;
            let (head, data) = all.split_at_checked(4)?;
            let is_right = usize::from(head[0]) + 1 == data.len() && sum(&all) == 0;
            let data = &data[..data.len().checked_sub(1)?];
            is_right.then(|| if head[3] == 0 { data.to_vec() } else { Vec::new() })
        }
        [b'S', kind @ b'0'..=b'9', rest @ ..] => {
            let all = super::hex(rest)?;
            let address = match kind {
                b'1' => 2,
                b'2' => 3,
                b'3' => 4,
                _ => 0,
            };
            let is_right = usize::from(*all.first()?) + 1 == all.len() && sum(&all) == 0xff;
            let data = all.get(1 + address..all.len() - 1)?;
            is_right.then(|| if address > 0 { data.to_vec() } else { Vec::new() })
        }
        _ => None,
    }
}

/// Nothing but digits of hex, in lines of the same width.
fn plain(bytes: &[u8], at: usize) -> Option<Read> {
    let (mut out, mut steps, mut end, mut width) = (Vec::new(), Vec::new(), at, 0);
    for line in lines(bytes, at) {
        let text = line.text.trim_ascii_end();
        if text.is_empty() || end > at && text.len() > width || end == at && text.len() < PLAIN_MIN {
            break;
        }
        let Some(data) = super::hex(text) else { break };
        if end == at {
            width = text.len();
        }
        steps.push(Step(out.len(), line.at - at));
        out.extend(data);
        end = line.at + text.len();
        if text.len() < width {
            break;
        }
    }
    // One line alone is read as a run.
    (steps.len() > 1).then_some((out, steps, end, 1))
}

/// Lines that begin with their address.
fn addressed(bytes: &[u8], at: usize, room: &mut u64) -> Option<Read> {
    let mut rows = lines(bytes, at).peekable();
    let first = rows.peek()?;
    let (address, _) = address(first.text)?;
    let second = lines(bytes, at).nth(1);
    let last = [b'*'].as_slice();
    let form = [8, 16]
        .into_iter()
        .filter_map(|radix| {
            let from = number(address, radix)?;
            let next = second.as_ref().filter(|line| line.text != last);
            let next = next.and_then(|line| number(super::dump::address(line.text)?.0, radix));
            let count = match next {
                Some(next) => usize::try_from(next.checked_sub(from)?).ok()?,
                None => BYTES_MAX,
            };
            Some((form_of(first.text, radix, count, next.is_none())?, radix))
        })
        .max_by_key(|(form, radix)| (matches!(form, Form::Hex(..)), *radix));
    let (form, radix) = form?;
    read(rows, at, form, radix, room)
}

fn read<'a>(
    mut rows: std::iter::Peekable<impl Iterator<Item = Line<'a>>>,
    at: usize,
    form: Form,
    radix: u32,
    room: &mut u64,
) -> Option<Read> {
    let (mut out, mut steps, mut end) = (Vec::new(), Vec::new(), at);
    let (mut column, mut expected) = (usize::MAX, None::<u64>);
    let (mut before, mut is_repeat) = (Vec::new(), false);
    while let Some(line) = rows.next() {
        if line.text == b"*" && !before.is_empty() {
            is_repeat = true;
            continue;
        }
        let Some(here) = address(line.text).and_then(|(digits, _)| number(digits, radix)) else { break };
        let gap = expected.map_or(Some(0), |expected| here.checked_sub(expected));
        let Some(gap) = gap.filter(|gap| *gap == 0 || is_repeat && *gap <= *room) else { break };
        *room -= gap;
        out.extend(before.iter().copied().cycle().take(gap as usize));
        is_repeat = false;
        let next = rows.peek().and_then(|next| number(address(next.text)?.0, radix));
        let count = next.and_then(|next| usize::try_from(next.checked_sub(here)?).ok());
        let count = count.filter(|count| (1..=BYTES_MAX).contains(count));
        let most = count.unwrap_or(if before.is_empty() { BYTES_MAX } else { before.len() });
        let (data, to) = data(line.text, form, most, column);
        if data.is_empty() || count.is_some_and(|count| data.len() != count) {
            // The last line of od is an address alone.
            if data.is_empty() {
                end = line.at + line.text.len();
            }
            break;
        }
        // The text beside the digits begins behind those of a full line.
        column = if column == usize::MAX { to } else { column.max(to) };
        steps.push(Step(out.len(), line.at - at));
        out.extend_from_slice(&data);
        end = line.at + line.text.len();
        let Some(next) = here.checked_add(data.len() as u64) else { break };
        expected = Some(next);
        before = data;
    }
    let width = match form {
        Form::Hex(digits, _) => digits / 2,
        _ => 1,
    };
    (!out.is_empty()).then_some((out, steps, end, width))
}

/// The digits that a line begins with, and where they end.
fn address(line: &[u8]) -> Option<(&[u8], usize)> {
    let digits = line.iter().take(17).take_while(|byte| is(**byte, HEX)).count();
    let end = digits + usize::from(line.get(digits) == Some(&b':'));
    let is_end = line.get(end).is_none_or(|byte| matches!(byte, b' ' | b'\t'));
    ((4..=16).contains(&digits) && is_end).then_some((&line[..digits], end))
}

fn number(digits: &[u8], radix: u32) -> Option<u64> {
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, radix).ok()
}

/// How the first line is written, if it gives `count` bytes; at most so many, if `is_last`.
fn form_of(line: &[u8], radix: u32, count: usize, is_last: bool) -> Option<Form> {
    let (_, end) = address(line)?;
    let rest = line[end..].trim_ascii_start();
    let digits = rest.iter().take(17).take_while(|byte| is(**byte, HEX)).count();
    let octal = rest.iter().take(7).take_while(|byte| matches!(byte, b'0'..=b'7')).count();
    let mut forms = Vec::new();
    if matches!(digits, 2 | 4 | 8 | 16) {
        forms.push(Form::Hex(digits, radix));
    }
    if radix == 8 && digits == octal && matches!(octal, 3 | 6) {
        forms.push(Form::Octal(octal));
    }
    if radix == 8 {
        forms.push(Form::Letters);
    }
    forms.into_iter().find(|form| {
        let (data, _) = data(line, *form, count.min(BYTES_MAX), usize::MAX);
        data.len() == count || is_last && data.len() >= 8
    })
}

/// At most `most` bytes of a line, from digits before `column`, and where those end.
fn data(line: &[u8], form: Form, most: usize, column: usize) -> (Vec<u8>, usize) {
    let (mut out, Some((_, mut at))) = (Vec::new(), address(line)) else { return (Vec::new(), 0) };
    if form == Form::Letters {
        while let Some(cell) = line.get(at..at + 4).filter(|_| out.len() < most) {
            let Some(byte) = letter(cell) else { return (Vec::new(), 0) };
            out.push(byte);
            at += 4;
        }
        return (out, at);
    }
    let (digits, bytes) = match form {
        Form::Hex(digits, _) => (digits, digits / 2),
        Form::Octal(6) => (6, 2),
        Form::Octal(_) | Form::Letters => (3, 1),
    };
    let mut end = at;
    while out.len() < most {
        let blanks = line[at..].iter().take(16).take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        let from = at + blanks;
        let len = line[from..].iter().take(digits + 1).take_while(|byte| is(**byte, HEX)).count();
        // Of the last group of xxd, as much as there is.
        let is_part = matches!(form, Form::Hex(..)) && len > 0 && len % 2 == 0 && len <= digits;
        if blanks == 0 || from >= column || len != digits && !is_part {
            break;
        }
        let group = &line[from..from + len];
        match form {
            Form::Hex(..) => out.extend(group.chunks(2).filter_map(|two| pair(two[0], two[1]))),
            _ => match number(group, 8).filter(|number| *number < 1 << (8 * bytes)) {
                Some(number) => out.extend_from_slice(&number.to_le_bytes()[..bytes]),
                None => break,
            },
        }
        at = from + len;
        end = at;
        if len != digits {
            break;
        }
    }
    out.truncate(most);
    (out, end)
}

/// What a cell of `od -c` stands for.
fn letter(cell: &[u8]) -> Option<u8> {
    match cell {
        [b' ', a @ b'0'..=b'3', b, c] if (b'0'..=b'7').contains(b) && (b'0'..=b'7').contains(c) => {
            Some((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'))
        }
        [b' ', b' ', b'\\', sign] => Some(match sign {
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'0' => 0,
            b'a' => 7,
            b'b' => 8,
            b'f' => 12,
            b'v' => 11,
            _ => return None,
        }),
        [b' ', b' ', b' ', sign] => Some(*sign),
        _ => None,
    }
}

/// Numbers of bytes in decimal digits, as arrays of programs have them, that begin in what is
/// marked.
pub(crate) fn numbers(bytes: &[u8], marks: &Marks, mut decoded: impl FnMut(Decoded)) {
    const NUMBERS_MIN: usize = 24;
    let own = marks.own.clone();
    let mut done = own.start;
    let part = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b',' | b' ' | b'\n' | b'\r' | b'\t');
    for stretch in marks.stretches(marks::NUMBERS) {
        if stretch.start < done {
            continue;
        }
        let before = bytes[done..stretch.start].iter().rev().take_while(|byte| part(byte)).count();
        let place: Range<usize> = stretch.start - before
            ..stretch.start + bytes[stretch.start..].iter().take_while(|byte| part(byte)).count();
        done = place.end.max(done);
        let mut out = Vec::new();
        for number in bytes[place.clone()].split(|byte| *byte == b',') {
            let number = std::str::from_utf8(number.trim_ascii()).unwrap_or_default();
            match number.parse::<u8>() {
                Ok(byte) => out.push(byte),
                Err(_) if number.is_empty() => {}
                Err(_) => {
                    out.clear();
                    break;
                }
            }
        }
        if out.len() >= NUMBERS_MIN && plausible(&out, crate::unpack::begins) {
            decoded(Decoded { encoding: "numbers", place, bytes: out, steps: Vec::new() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "login=admin\npassword=Kasta77nie\n";

    fn all(dump: &str) -> Vec<(String, Vec<Step>)> {
        let (bytes, mut found) = (dump.as_bytes(), Vec::new());
        let marks = Marks::new(bytes, 0..bytes.len());
        dumps(bytes, &marks, |decoded| {
            assert!(decoded.place.end <= bytes.len());
            found.push((String::from_utf8_lossy(&decoded.bytes).into_owned(), decoded.steps));
        });
        found
    }

    fn lines_of(width: usize, line: impl Fn(usize, &[u8]) -> String) -> String {
        TEXT.as_bytes().chunks(width).enumerate().map(|(at, chunk)| line(at * width, chunk) + "\n").collect()
    }

    fn joined(chunk: &[u8], size: usize, between: &str) -> String {
        let group = |group: &[u8]| group.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        chunk.chunks(size).map(group).collect::<Vec<_>>().join(between)
    }

    fn ascii(chunk: &[u8]) -> String {
        chunk.iter().map(|byte| if byte.is_ascii_graphic() { char::from(*byte) } else { '.' }).collect()
    }

    #[test]
    fn each_tool_s_dump_is_read() {
        let sum = |bytes: &[u8]| bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
        for (tool, dump) in [
            (
                "hexdump -C",
                lines_of(16, |at, c| {
                    format!(
                        "{at:08x}  {}  {}  |{}|",
                        joined(&c[..8], 1, " "),
                        joined(&c[8..], 1, " "),
                        ascii(c)
                    )
                }),
            ),
            ("xxd", lines_of(16, |at, c| format!("{at:08x}: {}  {}", joined(c, 2, " "), ascii(c)))),
            ("xxd -c 20", lines_of(20, |at, c| format!("{at:08x}: {:49}  {}", joined(c, 2, " "), ascii(c)))),
            ("xxd -p", lines_of(16, |_, c| joined(c, 1, ""))),
            ("od -A x -t x1", lines_of(16, |at, c| format!("{at:06x} {}", joined(c, 1, " "))) + "000020\n"),
            ("od -t x1", lines_of(16, |at, c| format!("{at:07o} {}", joined(c, 1, " "))) + "0000040\n"),
            (
                "od -t o1",
                lines_of(16, |at, c| {
                    c.iter().fold(format!("{at:07o}"), |line, byte| line + &format!(" {byte:03o}"))
                }) + "0000040\n",
            ),
            (
                "od",
                lines_of(16, |at, c| {
                    c.chunks(2).fold(format!("{at:07o}"), |line, two| {
                        line + &format!(" {:06o}", u16::from_le_bytes([two[0], two[1]]))
                    })
                }) + "0000040\n",
            ),
            (
                "od -c",
                lines_of(16, |at, c| {
                    c.iter().fold(format!("{at:07o}"), |line, byte| {
                        line + &match byte {
                            b'\n' => "  \\n".to_owned(),
                            byte => format!("{:>4}", char::from(*byte)),
                        }
                    })
                }) + "0000040\n",
            ),
            (
                "md.b",
                lines_of(16, |at, c| {
                    format!("{:08x}: {}    {}", 0x8200_0000 + at, joined(c, 1, " "), ascii(c))
                }),
            ),
            (
                "md.l",
                lines_of(16, |at, c| {
                    c.chunks(4).fold(format!("{:08x}:", 0x8200_0000 + at), |line, four| {
                        line + &format!(" {:08x}", u32::from_le_bytes([four[0], four[1], four[2], four[3]]))
                    }) + "    "
                        + &ascii(c)
                }),
            ),
            (
                "Intel",
                lines_of(16, |at, c| {
                    let mut record = vec![c.len() as u8, 0, at as u8, 0];
                    record.extend_from_slice(c);
                    record.push(0_u8.wrapping_sub(sum(&record)));
                    format!(":{}", joined(&record, 1, "").to_uppercase())
                }) + ":00000001FF\n",
            ),
            (
                "Motorola",
                lines_of(16, |at, c| {
                    let mut record = vec![c.len() as u8 + 3, 0, at as u8];
                    record.extend_from_slice(c);
                    record.push(!sum(&record));
                    format!("S1{}", joined(&record, 1, "").to_uppercase())
                }),
            ),
        ] {
            for before in ["", "=> md 0x82000000\n", "\n\n"] {
                let found = all(&format!("{before}{dump}\nprompt> "));
                assert!(found.iter().any(|(text, _)| text == TEXT), "{tool}: {found:?} of\n{dump}");
            }
        }
    }

    #[test]
    fn lines_that_a_star_stands_for_are_there_and_bounded() {
        let zeros = "00 ".repeat(16);
        let dump = |next: usize| {
            format!(
                "00000000  70 61 73 73 77 6f 72 64  3d 4b 61 73 74 61 37 37  |password=Kasta77|\n00000010  {zeros} |................|\n*\n{next:08x}  70 61 73 73 77 6f 72 64  3d 4b 61 73 74 61 37 37  |password=Kasta77|\n"
            )
        };
        let near = all(&dump(0x40));
        assert!(near.iter().any(|(text, _)| text.len() == 0x50 && text.ends_with("Kasta77")), "{near:?}");
        let far = all(&dump(0xffff_ff00));
        assert!(far.iter().all(|(text, _)| text.len() <= 0x40), "{far:?}");
        // The attacks: many that repeat as much as one may, an address that is the last, nothing.
        let many = all(&dump(0xf000).repeat(100));
        assert!(many.iter().map(|(text, _)| text.len()).sum::<usize>() < 100 * 0x60 + 4 * (64 << 10));
        let bytes = "70 61 73 73 77 6f 72 64  3d 4b 61 73 74 61 37 37";
        all(&format!("fffffffffffffff0  {bytes}\nffffffffffffffff  {bytes}\n*\n0000000000000000  {bytes}\n"));
        assert_eq!(all(""), []);
    }

    #[test]
    fn texts_that_begin_with_numbers_are_none() {
        for text in [
            "1234 5678 91 12\n1238 5678 91 12\n2000 items in the list of cameras\n",
            "deadbeef fixes the build of the camera\ncafebabe adds a password\n",
            "2024-05-15 10:00:00 login of admin\n2024-05-15 10:00:16 login of admin\n",
            ":10zz\nS1\n:\nabcd:\n0000:\n",
        ] {
            assert_eq!(all(text), [], "{text}");
        }
    }

    #[test]
    fn arrays_of_numbers_are_read_if_they_are_text() {
        let found = |text: &str| {
            let mut found = Vec::new();
            let marks = Marks::new(text.as_bytes(), 0..text.len());
            numbers(text.as_bytes(), &marks, |decoded| found.push(decoded.bytes));
            found
        };
        let text = TEXT.repeat(3);
        let array = text.bytes().map(|byte| byte.to_string()).collect::<Vec<_>>();
        for between in [", ", ",", ",\n  "] {
            assert_eq!(found(&format!("x = {{{}}};", array.join(between))), [text.as_bytes()], "{between:?}");
        }
        assert_eq!(found(&format!("[{}]", array.join(", ").replace("61", "961"))), [[0; 0]; 0]);
        assert_eq!(found(&"1, 2, 3, 200, ".repeat(40)), [[0; 0]; 0]);
    }
}
