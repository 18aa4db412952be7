//! What a direction of a conversation says: its framing is undone, so that what was sent
//! in chunks, in masked frames or in blocks stands there as it was meant, and passwords of
//! sign-ins are told, a line each, in the words of the rule `wire-sign-in`.
//!
//! Everything is bounded by what was said: each byte is looked at a fixed number of times.

mod binary;
mod framing;
mod lines;

pub(super) use binary::pap;
use framing::UNPACKED_MAX;

/// Before a protocol and a password, and between them.
const BEFORE: &[u8] = b"sign-in of ";
const BETWEEN: &[u8] = b", said in the clear: ";
/// Sign-ins of one direction that are told, and the bytes of one password.
const SIGNS_MAX: usize = 1000;
const PASSWORD_MAX: usize = 256;

/// What was said in one direction, put together.
#[derive(Default)]
pub(super) struct Heard {
    pub(super) bytes: Vec<u8>,
    /// Where each packet's begin in `bytes`, and how far into the capture it was said;
    /// the latter never falls.
    packets: Vec<(usize, u64)>,
    /// Where datagrams begin.
    starts: Vec<usize>,
}

impl Heard {
    pub(super) fn add(&mut self, data: &[u8], at: u64, starts: bool) {
        // What was sent again was not said then.
        if data.is_empty() {
            return;
        }
        let at = self.packets.last().map_or(at, |(_, last)| at.max(*last));
        self.packets.push((self.bytes.len(), at));
        if starts {
            self.starts.push(self.bytes.len());
        }
        self.bytes.extend(data);
    }

    /// When the byte at `index` was said.
    fn when(&self, index: usize) -> u64 {
        let behind = self.packets.partition_point(|(start, _)| *start <= index);
        behind.checked_sub(1).map_or(0, |packet| self.packets[packet].1)
    }

    /// The first byte that was said after `when`.
    fn after(&self, when: u64) -> usize {
        let packet = self.packets.partition_point(|(_, at)| *at <= when);
        self.packets.get(packet).map_or(self.bytes.len(), |(start, _)| *start)
    }

    /// Whether a packet begins with the byte at `index`.
    fn begins(&self, index: usize) -> bool {
        self.packets.binary_search_by_key(&index, |(start, _)| *start).is_ok()
    }

    fn datagrams(&self) -> impl Iterator<Item = &[u8]> {
        let ends = self.starts.iter().skip(1).copied().chain([self.bytes.len()]);
        self.starts.iter().zip(ends).map(|(start, end)| &self.bytes[*start..end])
    }
}

/// Both directions in turns, in segments that each have their length in a byte; of the first
/// byte, the lowest bit says whether they are datagrams, and the next which port.
pub(crate) fn fuzz(bytes: &[u8]) {
    let Some((first, mut rest)) = bytes.split_first() else { return };
    let (mut heard, mut back, mut at) = (Heard::default(), Heard::default(), 0);
    while let Some((length, data)) = rest.split_first() {
        let (data, behind) = data.split_at(data.len().min((length & 0x7f).into()));
        at += 1;
        if length & 0x80 == 0 { &mut heard } else { &mut back }.add(data, at, true);
        rest = behind;
    }
    let port = [23, 143, 6379, 80][usize::from(first >> 1 & 3)];
    let (text, signs) = told(&heard, &back, (5000, port), first & 1 == 0);
    assert!(text.len() <= heard.bytes.len() + UNPACKED_MAX + heard.bytes.len() + 64);
    assert!(signs.len() <= SIGNS_MAX * (PASSWORD_MAX + 64));
    let mut of_link = Vec::new();
    pap(bytes, &mut of_link);
    assert!(of_link.len() <= PASSWORD_MAX + 64);
}

/// Sign-ins of one direction as text.
#[derive(Default)]
struct Signs {
    text: Vec<u8>,
    count: usize,
    /// One device says the same again and again.
    last: Vec<u8>,
}

impl Signs {
    /// None of those that are no text: passwords are typed.
    fn add(&mut self, protocol: &str, password: &[u8]) {
        let is_text = |byte: &u8| !byte.is_ascii_control();
        let is_one = (1..=PASSWORD_MAX).contains(&password.len()) && password.iter().all(is_text);
        if !is_one || self.count >= SIGNS_MAX || self.last == password {
            return;
        }
        self.count += 1;
        self.last = password.to_vec();
        for part in [b"\n", BEFORE, protocol.as_bytes(), BETWEEN, password, b"\n"] {
            self.text.extend(part);
        }
    }
}

/// What was said without its framing, and the sign-ins in it. `ports` are those from and to.
pub(super) fn told(heard: &Heard, back: &Heard, ports: (u16, u16), is_stream: bool) -> (Vec<u8>, Vec<u8>) {
    let mut signs = Signs::default();
    if !is_stream {
        heard.datagrams().for_each(|datagram| binary::datagram(datagram, &mut signs));
        let text = framing::blocks(heard.datagrams()).unwrap_or_else(|| heard.bytes.clone());
        return (text, signs.text);
    }
    let text = framing::undone(&heard.bytes);
    binary::stream(&text, &back.bytes, &mut signs);
    lines::sign_ins(&text, &back.bytes, ports.1, &mut signs);
    if framing::is_telnet(&heard.bytes, ports) || framing::is_telnet(&back.bytes, ports) {
        lines::telnet(heard, back, &mut signs);
        return (framing::without_commands(&text), signs.text);
    }
    (text, signs.text)
}
