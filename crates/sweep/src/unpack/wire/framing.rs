//! Framing: chunks of HTTP (RFC 9112, 7.1), frames of WebSocket (RFC 6455), commands of
//! Telnet (RFC 854) and blocks of TFTP (RFC 1350).

use std::collections::BTreeSet;

use flate2::{Decompress, FlushDecompress};
use memchr::memchr;

/// What packed frames and bodies of one direction may come to, in bytes.
pub(super) const UNPACKED_MAX: usize = 16 << 20;
/// Of a line of a header, and of the one before a chunk.
const LINE_MAX: usize = 8 << 10;

/// A stream of HTTP or RTSP without chunks and masks; any other as it is. What stood in a
/// frame's place, such as an extension of a chunk, follows behind.
pub(super) fn undone(said: &[u8]) -> Vec<u8> {
    let mut out = Out { text: Vec::with_capacity(said.len()), behind: Vec::new(), left: UNPACKED_MAX };
    let mut head = Head::default();
    let mut at = 0;
    while at < said.len() {
        let end = memchr(b'\n', &said[at..]).map_or(said.len(), |end| at + end + 1);
        let line = &said[at..end];
        out.text.extend(line);
        at = end;
        if line != b"\r\n" && line != b"\n" {
            head.line(line);
            continue;
        }
        let Head { chunked, deflate, websocket, .. } = std::mem::take(&mut head);
        if websocket {
            at += frames(&said[at..], &mut out);
        } else if chunked {
            let from = out.text.len();
            at += chunks(&said[at..], &mut out);
            if deflate {
                let body = out.text.split_off(from);
                out.deflated(&body);
                out.text.extend(body);
            }
        } else if deflate {
            let body = &said[at..];
            out.deflated(body);
        }
    }
    if !out.behind.is_empty() {
        out.text.push(b'\n');
        out.text.append(&mut out.behind);
    }
    out.text
}

struct Out {
    text: Vec<u8>,
    behind: Vec<u8>,
    /// That may still be unpacked, or read for it.
    left: usize,
}

impl Out {
    /// A body of `Content-Encoding: deflate` that has no header of zlib, as some send it.
    fn deflated(&mut self, body: &[u8]) {
        if self.left == 0 {
            return;
        }
        let is_zlib = body.first().is_some_and(|first| first & 15 == 8 && first >> 4 <= 7)
            && body.get(..2).is_some_and(|two| u16::from_be_bytes([two[0], two[1]]).is_multiple_of(31));
        if !is_zlib {
            let mut inflate = Decompress::new(false);
            let unpacked = inflated(&mut inflate, body, self.left);
            // Any header may say so again: what was read counts as well.
            self.left = self.left.saturating_sub(unpacked.len() + inflate.total_in() as usize + 64);
            self.behind.extend(unpacked);
            self.behind.push(b'\n');
        }
    }
}

/// What the lines of a header say of what follows them.
#[derive(Default)]
struct Head {
    chunked: bool,
    deflate: bool,
    websocket: bool,
}

impl Head {
    fn line(&mut self, line: &[u8]) {
        if line.len() > LINE_MAX {
            return;
        }
        let Some(colon) = memchr(b':', &line[..line.len().min(32)]) else { return };
        let (name, value) = line.split_at(colon);
        let says = |word: &[u8]| value.windows(word.len()).any(|there| there.eq_ignore_ascii_case(word));
        if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.chunked = says(b"chunked");
        } else if name.eq_ignore_ascii_case(b"content-encoding") {
            self.deflate = says(b"deflate");
        } else if name.eq_ignore_ascii_case(b"upgrade") {
            self.websocket = says(b"websocket");
        }
    }
}

/// How much of `said` is chunks, up to the last one or to what is none. Lines behind the
/// last are those of a header again.
fn chunks(said: &[u8], out: &mut Out) -> usize {
    let mut at = 0;
    loop {
        let line = &said[at..said.len().min(at + LINE_MAX)];
        let Some(end) = memchr(b'\n', line) else { return at };
        let line = line[..end].strip_suffix(b"\r").unwrap_or(&line[..end]);
        let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let size = std::str::from_utf8(&line[..digits]).ok().filter(|text| text.len() <= 8);
        let Some(size) = size.and_then(|text| u32::from_str_radix(text, 16).ok()) else { return at };
        let extension = &line[digits..];
        if !matches!(extension.first(), None | Some(b';' | b' ' | b'\t')) {
            return at;
        }
        if extension.len() > 1 {
            out.behind.extend(&extension[1..]);
            out.behind.push(b'\n');
        }
        at += end + 1;
        if size == 0 {
            return at;
        }
        let data = &said[at..said.len().min(at + size as usize)];
        out.text.extend(data);
        at += data.len();
        at += if said[at..].starts_with(b"\r\n") { 2 } else { usize::from(said[at..].starts_with(b"\n")) };
    }
}

/// How much of `said` is frames, up to what is none.
fn frames(said: &[u8], out: &mut Out) -> usize {
    let mut at = 0;
    let mut inflate = Decompress::new(false);
    let (mut message, mut is_packed) = (Vec::new(), false);
    while let Some((head, mask, bytes)) = frame(&said[at..]) {
        let (first, from) = (said[at], at + head);
        let end = usize::try_from(bytes).ok().and_then(|bytes| from.checked_add(bytes));
        let data = &said[from..end.unwrap_or(said.len()).min(said.len())];
        let plain = data.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask);
        if first & 8 == 0 {
            // Packed is said of the first frame of a message (RFC 7692, 6).
            is_packed |= message.is_empty() && first & 0x40 != 0;
            message.extend(plain);
        } else {
            out.text.extend(plain);
            out.text.push(b'\n');
        }
        at = from + data.len();
        if first & 0x88 == 0x80 || at == said.len() {
            if is_packed {
                message.extend([0, 0, 0xff, 0xff]);
                let unpacked = inflated(&mut inflate, &message, out.left);
                out.left = out.left.saturating_sub(unpacked.len());
                out.text.extend(unpacked);
            } else {
                out.text.append(&mut message);
            }
            out.text.push(b'\n');
            message.clear();
            is_packed = false;
        }
    }
    out.text.extend(message);
    at
}

/// Of a frame: the bytes before its data, its mask, and how many bytes of data it says it has.
fn frame(said: &[u8]) -> Option<(usize, [u8; 4], u64)> {
    let (first, second) = (*said.first()?, *said.get(1)?);
    if first & 0x30 != 0 || !matches!(first & 15, 0..=2 | 8..=10) {
        return None;
    }
    let (mut head, bytes) = match second & 0x7f {
        126 => (4, u16::from_be_bytes(*said.get(2..)?.first_chunk()?).into()),
        127 => (10, u64::from_be_bytes(*said.get(2..)?.first_chunk()?)),
        bytes => (2, bytes.into()),
    };
    let mut mask = [0; 4];
    if second & 0x80 != 0 {
        mask = *said.get(head..)?.first_chunk()?;
        head += 4;
    }
    (said.len() >= head).then_some((head, mask, bytes))
}

/// At most so many bytes of what `packed` unpacks to.
fn inflated(inflate: &mut Decompress, packed: &[u8], most: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let before = inflate.total_in();
    loop {
        let used = (inflate.total_in() - before) as usize;
        let room = (most - out.len()).min(1 << 16);
        if used >= packed.len() || room == 0 {
            return out;
        }
        let mut piece = Vec::with_capacity(room);
        let result = inflate.decompress_vec(&packed[used..], &mut piece, FlushDecompress::None);
        let moved = (inflate.total_in() - before) as usize > used || !piece.is_empty();
        piece.truncate(room);
        out.append(&mut piece);
        if result.is_err() || !moved {
            return out;
        }
    }
}

/// Whether a direction begins as one of Telnet, or goes to its port.
pub(super) fn is_telnet(said: &[u8], ports: (u16, u16)) -> bool {
    let is_port = |port| matches!(port, 23 | 2323);
    is_port(ports.0) || is_port(ports.1) || matches!(said, [0xff, 0xfb..=0xfe, 0..=60, ..])
}

/// What was typed and shown, without commands.
pub(super) fn without_commands(said: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(said.len());
    let mut at = 0;
    while at < said.len() {
        match command(&said[at..]) {
            0 => {
                out.push(said[at]);
                at += 1;
            }
            bytes => at += bytes,
        }
    }
    out
}

/// How many bytes the command has that begins here; 0 if none does.
pub(super) fn command(said: &[u8]) -> usize {
    match said {
        // Options that follow end with IAC SE; none is longer than this.
        [0xff, 0xfa, rest @ ..] => {
            let rest = &rest[..rest.len().min(512)];
            rest.windows(2).position(|two| two == [0xff, 0xf0]).map_or(2, |end| end + 4)
        }
        [0xff, 0xfb..=0xfe, _, ..] => 3,
        [0xff, 0xf0..=0xfe, ..] => 2,
        _ => 0,
    }
}

/// The file that blocks of TFTP are of, by their numbers; none if anything else was said.
pub(super) fn blocks<'a>(datagrams: impl Iterator<Item = &'a [u8]>) -> Option<Vec<u8>> {
    let mut blocks = Vec::new();
    for datagram in datagrams {
        match datagram {
            [0, 3, high, low, data @ ..] => blocks.push((u16::from_be_bytes([*high, *low]), data)),
            // What was acknowledged, or went wrong, on the way.
            [0, 4, _, _] | [0, 5, ..] => {}
            _ => return None,
        }
    }
    if blocks.is_empty() {
        return None;
    }
    // Those of a long file count on from 0; a file that goes round is told as it came.
    let mut seen = BTreeSet::new();
    if blocks.len() <= usize::from(u16::MAX) {
        blocks.sort_by_key(|(number, _)| *number);
        blocks.retain(|block| seen.insert(*block));
    }
    Some(blocks.iter().flat_map(|(_, data)| *data).copied().collect())
}
