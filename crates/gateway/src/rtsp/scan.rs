//! Follows the bytes from a camera just far enough to bound them: RTSP messages
//! (RFC 2326 sections 4 and 6), interleaved packets (section 10.12), and the
//! access units inside those (RFC 3550 section 5.1). Pure; the bridge passes on
//! what the scanner let through.
//!
//! Refuses what two readers could understand differently (bare line feeds,
//! folded headers, two lengths), because a camera that makes retina see other
//! messages than the scanner sees would be unbounded.

use super::Limits;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScanError {
    #[error("byte {at} begins neither a message nor a packet")]
    Garbage { at: u64 },
    #[error("the head of the message at byte {at} is malformed")]
    BadHead { at: u64 },
    #[error("the head of the message at byte {at} is longer than {max} bytes")]
    HeadTooLong { at: u64, max: usize },
    #[error("the body of the message at byte {at} is longer than {max} bytes")]
    BodyTooLong { at: u64, max: usize },
    #[error("the access unit in the packet at byte {at} is longer than {max} bytes")]
    AccessUnitTooLong { at: u64, max: usize },
}

#[derive(Debug)]
pub(super) struct Scanner {
    head_max: usize,
    body_max: usize,
    unit_max: usize,
    /// Position of the next byte and of the message's first one.
    at: u64,
    message_at: u64,
    state: State,
    head: Vec<u8>,
    /// Of each RTP channel: the timestamp, and how much came with it.
    units: Box<[(u32, usize); 128]>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Between,
    Head,
    Body {
        left: usize,
    },
    /// `$`, channel, length: `have` bytes of four are in `head`.
    PacketHead,
    /// The first 12 bytes of the packet go to `head`.
    Packet {
        channel: u8,
        length: u16,
        left: u16,
    },
}

/// Fixed part of the RTP header.
const RTP_HEAD: usize = 12;

impl Scanner {
    pub(super) fn new(limits: &Limits) -> Self {
        Scanner {
            head_max: limits.head_bytes,
            body_max: limits.body_bytes,
            unit_max: limits.access_unit_bytes,
            at: 0,
            message_at: 0,
            state: State::Between,
            head: Vec::new(),
            units: Box::new([(0, 0); 128]),
        }
    }

    /// After an error the connection is to be closed; the scanner is of no
    /// further use.
    pub(super) fn feed(&mut self, mut bytes: &[u8]) -> Result<(), ScanError> {
        while let Some(&first) = bytes.first() {
            let taken = match self.state {
                State::Between => self.begin(first)?,
                State::Head => self.take_head(bytes)?,
                State::PacketHead => self.take_packet_head(first),
                State::Body { left } => {
                    let taken = left.min(bytes.len());
                    self.state = match left - taken {
                        0 => State::Between,
                        left => State::Body { left },
                    };
                    taken
                }
                State::Packet { channel, length, left } => self.take_packet(bytes, channel, length, left)?,
            };
            self.at += taken as u64;
            bytes = &bytes[taken..];
        }
        Ok(())
    }

    fn begin(&mut self, first: u8) -> Result<usize, ScanError> {
        self.head.clear();
        self.message_at = self.at;
        match first {
            // Line ends between messages are tolerated (RFC 2326 section 4.1);
            // only as pairs, which retina checks.
            b'\r' | b'\n' => Ok(1),
            b'$' => {
                self.state = State::PacketHead;
                Ok(1)
            }
            b'A'..=b'Z' => {
                self.state = State::Head;
                Ok(0)
            }
            _ => Err(ScanError::Garbage { at: self.at }),
        }
    }

    fn take_head(&mut self, bytes: &[u8]) -> Result<usize, ScanError> {
        for (n, &byte) in bytes.iter().enumerate() {
            if self.head.len() >= self.head_max {
                return Err(ScanError::HeadTooLong { at: self.message_at, max: self.head_max });
            }
            self.head.push(byte);
            if byte == b'\n' && self.head.ends_with(b"\r\n\r\n") {
                self.state = match self.content_length()? {
                    0 => State::Between,
                    left if left <= self.body_max => State::Body { left },
                    _ => {
                        let (at, max) = (self.message_at, self.body_max);
                        return Err(ScanError::BodyTooLong { at, max });
                    }
                };
                return Ok(n + 1);
            }
            let bare = byte == b'\n' && !self.head.ends_with(b"\r\n");
            let folded = matches!(byte, b' ' | b'\t') && self.head[..self.head.len() - 1].ends_with(b"\n");
            if bare || folded {
                return Err(ScanError::BadHead { at: self.message_at });
            }
        }
        Ok(bytes.len())
    }

    /// RFC 2326 section 12.14. A length that does not fit counts as too long.
    fn content_length(&self) -> Result<usize, ScanError> {
        let bad = ScanError::BadHead { at: self.message_at };
        let mut length = None;
        for line in self.head.split(|&byte| byte == b'\n').skip(1) {
            let Some(colon) = line.iter().position(|&byte| byte == b':') else { continue };
            let name = line[..colon].trim_ascii();
            if !name.eq_ignore_ascii_case(b"content-length") {
                continue;
            }
            let digits = line[colon + 1..].trim_ascii();
            if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) || length.is_some() {
                return Err(bad);
            }
            let text = std::str::from_utf8(digits).map_err(|_| bad)?;
            length = Some(text.parse().unwrap_or(usize::MAX));
        }
        Ok(length.unwrap_or(0))
    }

    fn take_packet_head(&mut self, byte: u8) -> usize {
        self.head.push(byte);
        if let [channel, high, low] = self.head[..] {
            let length = u16::from_be_bytes([high, low]);
            self.head.clear();
            self.state = match length {
                0 => State::Between,
                left => State::Packet { channel, length, left },
            };
        }
        1
    }

    fn take_packet(&mut self, bytes: &[u8], channel: u8, length: u16, left: u16) -> Result<usize, ScanError> {
        let taken = usize::from(left).min(bytes.len());
        if self.head.len() < RTP_HEAD {
            let missing = (RTP_HEAD - self.head.len()).min(taken);
            self.head.extend_from_slice(&bytes[..missing]);
            if self.head.len() == RTP_HEAD {
                self.count(channel, length)?;
            }
        }
        let taken_short = u16::try_from(taken).expect("at most `left`");
        self.state = match left - taken_short {
            0 => State::Between,
            left => State::Packet { channel, length, left },
        };
        Ok(taken)
    }

    /// Packets of one access unit share their timestamp (RFC 3550 section 5.1),
    /// and retina keeps them all until it changes.
    fn count(&mut self, channel: u8, length: u16) -> Result<(), ScanError> {
        // Odd channels carry RTCP (RFC 2326 section 10.12).
        if channel % 2 == 1 {
            return Ok(());
        }
        let timestamp = u32::from_be_bytes([self.head[4], self.head[5], self.head[6], self.head[7]]);
        let (last, bytes) = &mut self.units[usize::from(channel / 2)];
        if *last != timestamp {
            (*last, *bytes) = (timestamp, 0);
        }
        *bytes += usize::from(length);
        if *bytes > self.unit_max {
            let (at, max) = (self.message_at, self.unit_max);
            return Err(ScanError::AccessUnitTooLong { at, max });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(parts: &[&[u8]]) -> Result<(), ScanError> {
        let mut scanner = Scanner::new(&Limits { access_unit_bytes: 100, ..Limits::default() });
        parts.iter().try_for_each(|part| scanner.feed(part))
    }

    fn packet(timestamp: u8, length: u8) -> Vec<u8> {
        let mut packet = vec![b'$', 0, 0, length];
        packet.resize(4 + usize::from(length), 0);
        packet[11] = timestamp;
        packet
    }

    #[test]
    fn messages_and_packets_pass() {
        let head = b"RTSP/1.0 200 OK\r\nCSeq: 1\r\ncontent-length : 3\r\n\r\n$$$";
        assert_eq!(scan(&[head, &packet(1, 60), b"\r\n", &packet(2, 60), &packet(3, 60)]), Ok(()));
        assert_eq!(scan(&[b"$\x01\x00\x00", b"OPTIONS * RTSP/1.0\r\n\r\n"]), Ok(()));
    }

    #[test]
    fn what_is_too_much_or_ambiguous_is_refused() {
        let long = [b"RTSP/1.0 200 OK\r\nX: ".to_vec(), vec![b'a'; 20_000]].concat();
        let rows: [(&[&[u8]], ScanError); 8] = [
            (&[b"\x00\x01"], ScanError::Garbage { at: 0 }),
            (&[b"$\x00\x00\x02ab", b"zz"], ScanError::Garbage { at: 6 }),
            (&[b"RTSP/1.0 200 OK\n"], ScanError::BadHead { at: 0 }),
            (&[b"RTSP/1.0 200 OK\r\nA: b\r\n c\r\n"], ScanError::BadHead { at: 0 }),
            (
                &[b"RTSP/1.0 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"],
                ScanError::BadHead { at: 0 },
            ),
            (
                &[b"RTSP/1.0 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n"],
                ScanError::BodyTooLong { at: 0, max: 256 << 10 },
            ),
            (&[&long], ScanError::HeadTooLong { at: 0, max: 16 << 10 }),
            (&[&packet(1, 60), &packet(1, 60)], ScanError::AccessUnitTooLong { at: 64, max: 100 }),
        ];
        for (parts, error) in rows {
            assert_eq!(scan(parts), Err(error));
        }
    }
}
