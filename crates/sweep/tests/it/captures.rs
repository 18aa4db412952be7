//! Captures made by hand, byte by byte: lost, repeated, turned round and wrapped.

use sweep::unpack::{Format, Skip};

use crate::support::{damage, open};

pub(crate) const SYN: u8 = 2;
pub(crate) const ACK: u8 = 16;

pub(crate) fn tcp(from: u16, to: u16, number: u32, flags: u8, data: &[u8]) -> Vec<u8> {
    let mut packet = vec![0; 12];
    packet.extend([8, 0]);
    let length = 40 + data.len() as u16;
    packet.extend([0x45, 0]);
    packet.extend(length.to_be_bytes());
    packet.extend([0, 0, 0, 0, 64, 6, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2]);
    packet.extend(from.to_be_bytes());
    packet.extend(to.to_be_bytes());
    packet.extend(number.to_be_bytes());
    packet.extend([0, 0, 0, 0, 0x50, flags, 0, 0, 0, 0, 0, 0]);
    packet.extend(data);
    packet
}

pub(crate) fn pcap(packets: &[Vec<u8>]) -> Vec<u8> {
    let mut file = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0];
    for packet in packets {
        file.extend([0; 8]);
        file.extend((packet.len() as u32).to_le_bytes());
        file.extend((packet.len() as u32).to_le_bytes());
        file.extend(packet);
    }
    file
}

fn pcapng(packets: &[Vec<u8>]) -> Vec<u8> {
    let block = |kind: u32, body: &[u8]| {
        let mut body = body.to_vec();
        body.resize(body.len().next_multiple_of(4), 0);
        let bytes = (body.len() as u32 + 12).to_be_bytes();
        [&kind.to_be_bytes()[..], &bytes, &body, &bytes].concat()
    };
    let mut file =
        block(0x0a0d_0d0a, &[0x1a, 0x2b, 0x3c, 0x4d, 0, 1, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255]);
    file.extend(block(1, &[0, 1, 0, 0, 0, 0, 0, 0]));
    for packet in packets {
        let bytes = (packet.len() as u32).to_be_bytes();
        file.extend(block(6, &[&[0; 12][..], &bytes, &bytes, packet].concat()));
    }
    file
}

const THERE: &str = "tcp 192.0.2.1:5000 > 192.0.2.2:554";
const BACK: &str = "tcp 192.0.2.1:554 > 192.0.2.2:5000";

#[test]
fn each_direction_is_put_together() {
    let start = u32::MAX - 5;
    let packets = [
        tcp(5000, 554, start.wrapping_sub(1), SYN, b""),
        tcp(554, 5000, 77, SYN | ACK, b""),
        // Across the end of the numbers, out of order, twice, and overlapping.
        tcp(5000, 554, start.wrapping_add(9), ACK, b"rtsp://root:pass"),
        tcp(554, 5000, 78, ACK, b"RTSP/1.0 401"),
        tcp(5000, 554, start, ACK, b"DESCRIBE "),
        tcp(5000, 554, start, ACK, b"DESCRIBE "),
        tcp(5000, 554, start.wrapping_add(20), ACK, b"ZZZZZ@camera"),
    ];
    for (format, data) in [(Format::Pcap, pcap(&packets)), (Format::PcapNg, pcapng(&packets))] {
        let seen = open(format, &data);
        assert_eq!(seen.skipped, []);
        assert_eq!(String::from_utf8_lossy(&seen.parts[THERE]), "DESCRIBE rtsp://root:pass@camera");
        assert_eq!(seen.parts[BACK], b"RTSP/1.0 401");
        assert_eq!(seen.covered, Some(data.len() as u64));
        damage(format, &data);
    }
}

#[test]
fn what_was_not_captured_is_told() {
    let packets =
        [tcp(5000, 554, 1, SYN, b""), tcp(5000, 554, 2, ACK, b"one "), tcp(5000, 554, 99, ACK, b"two")];
    let seen = open(Format::Pcap, &pcap(&packets));
    assert_eq!(seen.parts[THERE], b"one two");
    assert_eq!(seen.why(THERE), [Skip::Damaged("some of it was not captured")]);
}

/// A port that is used again is another connection, of the same name.
#[test]
fn a_port_that_is_used_again() {
    let packets = [
        tcp(5000, 554, 10, SYN, b""),
        tcp(5000, 554, 11, ACK, b"first"),
        tcp(5000, 554, 900_000, SYN, b""),
        tcp(5000, 554, 900_001, ACK, b"second"),
    ];
    let seen = open(Format::Pcap, &pcap(&packets));
    assert_eq!(seen.skipped, []);
    assert_eq!(seen.bytes, 11);
}

#[test]
fn lengths_that_lie_are_cut() {
    let mut packet = tcp(5000, 554, 1, ACK, b"abc");
    packet[16..18].copy_from_slice(&[0xff, 0xff]);
    let seen = open(Format::Pcap, &pcap(&[packet]));
    assert_eq!(seen.parts[THERE], b"abc");
    let mut file = pcap(&[tcp(5000, 554, 1, ACK, b"abc")]);
    file[32..36].copy_from_slice(&[0xff; 4]);
    assert_eq!(open(Format::Pcap, &file).why(""), [Skip::Damaged("a packet of a capture")]);
}
