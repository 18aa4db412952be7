//! Conversations by their specifications, and what lies in them: passwords are told as they
//! were typed, once, and nothing that was cut off.

use std::io::Write as _;
use std::sync::LazyLock;

use sweep::Rules;
use sweep::unpack::{Format, Skip};

use crate::captures::{ACK, SYN, pcap, tcp};
use crate::made::base64;
use crate::support::{damage, open};
use crate::sweep;

/// Who says something: the client or the server.
#[derive(Clone, Copy, PartialEq)]
enum Who {
    Client,
    Server,
}
use Who::{Client, Server};

/// The same from the other end.
fn answer(mut packet: Vec<u8>) -> Vec<u8> {
    packet[26..34].rotate_left(4);
    packet
}

/// A conversation with a port, in segments of so many bytes.
fn talk(port: u16, said: &[(Who, &[u8])], most: usize) -> Vec<Vec<u8>> {
    let mut packets = vec![tcp(5000, port, 9, SYN, b""), answer(tcp(port, 5000, 99, SYN | ACK, b""))];
    let mut numbers = [10, 100];
    for (who, data) in said {
        for piece in data.chunks(most) {
            let (from, to, number) = match who {
                Client => (5000, port, &mut numbers[0]),
                Server => (port, 5000, &mut numbers[1]),
            };
            let packet = tcp(from, to, *number, ACK, piece);
            packets.push(if *who == Client { packet } else { answer(packet) });
            *number += piece.len() as u32;
        }
    }
    packets
}

static RULES: LazyLock<Rules> = LazyLock::new(Rules::built_in);

/// What is found in packets.
fn found(packets: &[Vec<u8>]) -> Vec<String> {
    let (found, _) = sweep(&RULES, &pcap(packets));
    found.iter().map(|finding| String::from_utf8_lossy(finding.secret.reveal()).into_owned()).collect()
}

/// However it was cut into segments, this is told, and nothing else.
fn tells(port: u16, said: &[(Who, &[u8])], secrets: &[&str]) {
    for most in [1, 7, 1400] {
        assert_eq!(found(&talk(port, said, most)), secrets, "port {port}, segments of {most}");
    }
    damage(Format::Pcap, &pcap(&talk(port, said, 7)));
}

fn string(text: &[u8]) -> Vec<u8> {
    [&(text.len() as u16).to_be_bytes()[..], text].concat()
}

/// An element of BER with a short length, or one in two bytes.
fn ber(tag: u8, contents: &[u8]) -> Vec<u8> {
    match contents.len() {
        short @ ..=127 => [&[tag, short as u8][..], contents].concat(),
        long => [&[tag, 0x82, (long >> 8) as u8, long as u8][..], contents].concat(),
    }
}

/// UDP in the place of TCP.
fn udp(from: u16, to: u16, data: &[u8]) -> Vec<u8> {
    let mut packet = tcp(from, to, 0, 0, b"");
    packet.truncate(34);
    packet[23] = 17;
    packet[16..18].copy_from_slice(&(28 + data.len() as u16).to_be_bytes());
    packet.extend([&from.to_be_bytes()[..], &to.to_be_bytes()].concat());
    packet.extend([&(8 + data.len() as u16).to_be_bytes()[..], &[0, 0], data].concat());
    packet
}

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    out.write_all(data).expect("to memory");
    out.finish().expect("to memory")
}

fn chunked(data: &[u8], extension: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for piece in data.chunks(11) {
        out.extend(format!("{:x}{extension}\r\n", piece.len()).bytes());
        out.extend([piece, b"\r\n"].concat());
    }
    out.extend(b"0\r\nTrailer: x\r\n\r\n");
    out
}

/// MQTT 3.1 (IBM), 3.1.1 and 5.0 (OASIS, 3.1).
#[test]
fn a_password_of_mqtt_is_told_whatever_stands_before_it() {
    for (level, name) in [(3, &b"MQIsdp"[..]), (4, b"MQTT"), (5, b"MQTT")] {
        for will in [false, true] {
            let properties: &[u8] = if level == 5 { &[5, 0x11, 0, 0, 0, 30] } else { &[] };
            let mut body = [string(name), vec![level, if will { 0xc6 } else { 0xc2 }, 0, 60]].concat();
            body.extend([properties, &string(b"cam-1")].concat());
            if will {
                let properties: &[u8] = if level == 5 { &[0] } else { &[] };
                body.extend([properties, &string(b"cams/1"), &string(b"offline")].concat());
            }
            body.extend([string(b"nvr"), string(b"Halle2022_")].concat());
            let packet = [&[0x10, body.len() as u8][..], &body].concat();
            tells(1883, &[(Client, &packet), (Server, &[0x20, 2, 0, 0])], &["Halle2022_"]);
        }
    }
}

/// RFC 4511, 4.2: a simple bind.
#[test]
fn a_password_of_ldap_is_told() {
    for dn in ["cn=nvr,dc=example", &"ou=cameras,".repeat(20)] {
        let bind = [ber(2, &[3]), ber(4, dn.as_bytes()), ber(0x80, b"GrazRocky74")].concat();
        let message = ber(0x30, &[ber(2, &[1]), ber(0x60, &bind)].concat());
        tells(389, &[(Client, &message)], &["GrazRocky74"]);
    }
}

/// RFC 1157 and RFC 1901; `public` is no secret.
#[test]
fn a_community_of_snmp_is_told() {
    for (version, community, secrets) in
        [(0, "TLg7HZusQy2v", &["TLg7HZusQy2v"][..]), (1, "gate-cactus", &["gate-cactus"]), (1, "public", &[])]
    {
        let pdu = ber(0xa0, &[ber(2, &[5]), ber(2, &[0]), ber(2, &[0]), ber(0x30, b"")].concat());
        let message = [ber(2, &[version]), ber(4, community.as_bytes()), pdu].concat();
        assert_eq!(found(&[udp(5000, 161, &ber(0x30, &message))]), secrets);
    }
}

/// The handbook of PostgreSQL, "Message Formats"; RFC 1929.
#[test]
fn passwords_of_databases_and_proxies_are_told() {
    let start = [&[0, 0, 0, 17, 0, 3, 0, 0][..], b"user\0vms\0"].concat();
    let password = [&b"p\0\0\0\x12"[..], b"UyQgFGJjY3Ep9\0"].concat();
    let asked: &[u8] = b"R\0\0\0\x08\0\0\0\x03";
    tells(5432, &[(Client, &start), (Server, asked), (Client, &password)], &["UyQgFGJjY3Ep9"]);
    // What is hashed, nobody typed.
    let hashed: &[u8] = b"R\0\0\0\x0c\0\0\0\x05abcd";
    tells(5432, &[(Client, &start), (Server, hashed), (Client, &password)], &[]);
    let signs: &[u8] = b"\x01\x03nvr\x0aGrazRocky7";
    tells(1080, &[(Client, b"\x05\x01\x02"), (Server, b"\x05\x02"), (Client, signs)], &["GrazRocky7"]);
}

/// RFC 4954, RFC 4616, RFC 9051, RFC 1939, RFC 5034; the lines that Redis understands.
#[test]
fn passwords_in_lines_are_told_as_they_were_typed() {
    let login = format!("AUTH LOGIN\r\n{}\r\n{}\r\n", base64(b"cam@example.org"), base64(b"gate-cactus"));
    tells(25, &[(Server, b"220 mx\r\n"), (Client, login.as_bytes())], &["gate-cactus"]);
    let plain = base64(b"\0cam\0Entree_Graz18");
    for line in [format!("AUTH PLAIN {plain}\r\n"), format!("AUTH PLAIN\r\n{plain}\r\n")] {
        tells(587, &[(Client, line.as_bytes())], &["Entree_Graz18"]);
    }
    let line = format!("a1 AUTHENTICATE PLAIN {plain}\r\n");
    tells(143, &[(Server, b"* OK\r\n"), (Client, line.as_bytes())], &["Entree_Graz18"]);
    let literal: &[(Who, &[u8])] = &[
        (Server, b"* OK\r\n"),
        (Client, b"a1 LOGIN cam {9}\r\n"),
        (Server, b"+ go\r\n"),
        (Client, b"chloe1960\r\n"),
    ];
    tells(143, literal, &["chloe1960"]);
    let quoted: &[u8] = b"a1 LOGIN {3+}\r\ncam \"se\\\"sam open\"\r\n";
    tells(143, &[(Server, b"* OK\r\n"), (Client, quoted)], &["se\"sam open"]);
    tells(110, &[(Server, b"+OK\r\n"), (Client, b"USER cam\r\nPASS falcon-walnut\r\n")], &["falcon-walnut"]);
    for said in [
        &b"AUTH falcon-walnut\r\n"[..],
        b"*2\r\n$4\r\nAUTH\r\n$13\r\nfalcon-walnut\r\n",
        b"*5\r\n$5\r\nHELLO\r\n$1\r\n3\r\n$4\r\nAUTH\r\n$3\r\ncam\r\n$13\r\nfalcon-walnut\r\n",
    ] {
        tells(6379, &[(Client, said), (Server, b"+OK\r\n")], &["falcon-walnut"]);
    }
}

/// RFC 854: letter by letter, with an echo, commands between and one letter erased.
#[test]
fn a_password_that_was_typed_into_telnet_is_told() {
    let mut said: Vec<(Who, &[u8])> =
        vec![(Server, b"\xff\xfd\x01\xff\xfb\x03"), (Client, b"\xff\xfb\x01"), (Server, b"\r\ncam login: ")];
    for letter in b"root".chunks(1) {
        said.extend([(Client, letter), (Server, letter)]);
    }
    said.extend([(Client, &b"\r\0"[..]), (Server, b"\r\nPassword: ")]);
    said.extend(b"martaX\x7f\xff\xf11959".chunks(1).map(|letter| (Client, letter)));
    said.extend([(Client, &b"\r\0"[..]), (Server, b"\r\n# ")]);
    assert_eq!(found(&talk(23, &said, 1400)), ["marta1959"]);
    damage(Format::Pcap, &pcap(&talk(23, &said, 1400)));
}

/// RFC 1334 in RFC 2516.
#[test]
fn a_password_of_a_dial_in_is_told() {
    let pap = b"\x01\x01\x00\x12\x03cam\x09marta1985";
    let mut packet = vec![0; 12];
    packet.extend(b"\x88\x64\x11\0\0\x07\0\x14\xc0\x23");
    packet.extend(pap);
    assert_eq!(found(&[packet.clone()]), ["marta1985"]);
    // Lengths that lie.
    for at in [25, 26, 30] {
        let mut packet = packet.clone();
        packet[at] = 0xff;
        assert_eq!(found(&[packet]), [""; 0], "byte {at}");
    }
}

/// RFC 9112, 7.1; RFC 6455, 5.2.
#[test]
fn chunks_and_masks_hide_nothing() {
    let token = format!("ghp_{}", "ncKmGaVV7x3wo2ZiUAhmEFR7dydsRY1VMxGd");
    let text = format!("settings of a camera\ntoken = {token}\n");
    let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n";
    for body in [text.clone().into_bytes(), gzip(text.as_bytes())] {
        for extension in ["", ";name=value"] {
            let said = [&head[..], &chunked(&body, extension)].concat();
            tells(80, &[(Server, &said)], &[&token]);
            let said =
                [b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", &chunked(&body, extension)[..]];
            tells(80, &[(Client, &said.concat())], &[&token]);
        }
    }
    let mask = [1, 2, 3, 4];
    let json = br#"{"type":"login","username":"cam","password":"Winter-Kite77"}"#;
    let masked: Vec<u8> = json.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
    let upgrade = b"GET /ws HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
    let said = [&upgrade[..], &[0x81, 0x80 | json.len() as u8], &mask, &masked].concat();
    tells(80, &[(Client, &said)], &["Winter-Kite77"]);
}

/// RFC 7617; the same password elsewhere has the same name.
#[test]
fn of_a_pair_the_password_is_told_where_it_stands() {
    let pair = base64(b"operator:Qdn8zfsfF!");
    let said = format!("DESCRIBE rtsp://c/ RTSP/1.0\r\nAuthorization: Basic {pair}\r\n\r\n");
    tells(554, &[(Client, said.as_bytes())], &["Qdn8zfsfF!"]);
    let (of_pair, _) = sweep(&RULES, said.as_bytes());
    let (other, _) = sweep(&RULES, b"password = \"Qdn8zfsfF!\"\n");
    assert_eq!((of_pair.len(), other.len()), (1, 1));
    assert_eq!(of_pair[0].location.offset as usize, said.find(&pair).expect("it is there"));
    assert_eq!(of_pair[0].fingerprint, other[0].fingerprint);
}

/// RFC 1350: blocks by their numbers, one of them twice.
#[test]
fn a_file_of_tftp_is_put_together() {
    let text = format!("token = ghp_{}\n", "ncKmGaVV7x3wo2ZiUAhmEFR7dydsRY1VMxGd");
    let mut packets: Vec<Vec<u8>> = text
        .as_bytes()
        .chunks(16)
        .zip(1..)
        .map(|(data, number)| udp(5000, 6000, &[&[0, 3, 0, number][..], data].concat()))
        .collect();
    packets.swap(0, 1);
    packets.push(packets[2].clone());
    let seen = open(Format::Pcap, &pcap(&packets));
    assert_eq!(String::from_utf8_lossy(&seen.parts["udp 192.0.2.1:5000 > 192.0.2.2:6000"]), text);
    assert_eq!(found(&packets).len(), 1);
}

/// RFC 791, 3.2.
#[test]
fn fragments_are_put_together_and_lost_ones_are_told() {
    let whole = tcp(5000, 21, 10, ACK, b"USER cam\r\nPASS yaVzW8wi8bvukaS9dg47\r\n");
    let fragment = |from: usize, to: usize, more: bool| {
        let mut packet = whole[..34].to_vec();
        packet[16..18].copy_from_slice(&(20 + (to - from) as u16).to_be_bytes());
        packet[18..20].copy_from_slice(&[0, 7]);
        let place = (from / 8) as u16 | if more { 0x2000 } else { 0 };
        packet[20..22].copy_from_slice(&place.to_be_bytes());
        packet.extend(&whole[34 + from..34 + to]);
        packet
    };
    let end = whole.len() - 34;
    let parts = [fragment(0, 24, true), fragment(24, 40, true), fragment(40, end, false)];
    assert_eq!(found(&parts), ["yaVzW8wi8bvukaS9dg47"]);
    let turned = [parts[2].clone(), parts[0].clone(), parts[0].clone(), parts[1].clone()];
    assert_eq!(found(&turned), ["yaVzW8wi8bvukaS9dg47"]);
    damage(Format::Pcap, &pcap(&parts));
    let lost = open(Format::Pcap, &pcap(&[parts[0].clone(), parts[2].clone()]));
    assert_eq!(lost.why(""), [Skip::Damaged("some fragments of IP were not captured")]);
}

/// Whoever sends a part of it again with other bytes hides neither.
#[test]
fn what_was_sent_again_with_other_bytes_is_looked_at() {
    let there = format!("token = ghp_{}\n", "ncKmGaVV7x3wo2ZiUAhmEFR7dydsRY1VMxGd");
    let other = there.replace("ncKm", "zz9K");
    for (first, second, count) in [(&there, &there, 1), (&there, &other, 2)] {
        let packets = [tcp(5000, 80, 10, ACK, first.as_bytes()), tcp(5000, 80, 10, ACK, second.as_bytes())];
        assert_eq!(found(&packets).len(), count);
    }
}

/// Lengths that lie, and as many connections as there is room for: the work stays in
/// proportion to the capture.
#[test]
fn floods_of_conversations_cost_bounded_work() {
    let lies: [&[u8]; 7] = [
        b"Content-Encoding: deflate\n\n\0\0\0\xff\xff",
        b"\0\x04MQTT\x04\xc2\0\x3c\xff\xff",
        b"\x30\x84\xff\xff\xff\xff\x02\x01\x01\x60\x84\xff\xff\xff\xff\x02\x01\x03\x04",
        b"Upgrade: websocket\r\n\r\n\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        b"Transfer-Encoding: chunked\r\n\r\nffffffff\r\n",
        b"a LOGIN {99999999999}\r\n*99999999\r\n$99999999\r\nAUTH LOGIN\r\n",
        b"\xff\xfa\xff\xfapassword: \xff\xff",
    ];
    for lie in lies {
        let said = lie.repeat((1 << 16) / lie.len());
        let mut packets = talk(23, &[(Client, &said), (Server, &said)], 1400);
        // The same port again and again, which has an answer but once.
        packets.extend((0..400).map(|number| tcp(5000, 23, number * 70_000, SYN, b"")));
        packets.extend((0..400).map(|port| tcp(6000 + port, 23, 5, ACK, lie)));
        let data = pcap(&packets);
        let seen = open(Format::Pcap, &data);
        assert!(seen.work < 8 * data.len() as u64 + (1 << 16), "{} of {}", seen.work, data.len());
        assert!(seen.bytes < 4 * data.len() as u64);
    }
}
