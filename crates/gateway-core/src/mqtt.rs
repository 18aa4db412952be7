//! As much of MQTT 3.1.1 (OASIS standard) as it takes to publish: CONNECT, PUBLISH
//! with QoS 1 and PINGREQ go out; CONNACK, PUBACK and PINGRESP come in.
//!
//! Nothing is subscribed to, so whatever else a broker sends is an error: it can
//! make us neither remember nor do anything.

/// Of one packet that a broker may send, in bytes: none that we read is longer.
const INCOMING_MAX: usize = 4;
/// Of one payload that we send, in bytes.
pub const PAYLOAD_MAX: usize = 64 << 10;

const CONNACK: u8 = 0x20;
const PUBLISH_QOS1: u8 = 0x32;
const RETAIN: u8 = 0x01;
const PUBACK: u8 = 0x40;
const PINGRESP: u8 = 0xd0;
/// Section 3.12.
pub const PINGREQ: [u8; 2] = [0xc0, 0];

/// How a connection begins.
#[derive(Clone, Copy, Debug)]
pub struct Connect<'a> {
    /// 1 to 23 letters and digits, which every broker takes (section 3.1.3.1).
    pub client_id: &'a str,
    pub keep_alive_seconds: u16,
    /// Published by the broker, retained, when the connection is lost.
    pub will: (&'a str, &'a [u8]),
    pub username: Option<&'a str>,
    pub password: Option<&'a str>,
}

/// What a broker said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// 0, or why not.
    Connected(u8),
    /// It has the message of this number.
    Taken(u16),
    Alive,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MqttError {
    #[error("the broker sent a packet of type {0:#04x}, for which nobody asked")]
    Unexpected(u8),
    #[error("the broker sent a packet of a wrong length")]
    Length,
}

impl Connect<'_> {
    /// Section 3.1, with a clean session.
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Vec::new();
        text(&mut body, b"MQTT");
        body.push(4);
        // Clean session, will with QoS 1, retained.
        let mut flags = 0b0000_0010 | 0b0000_0100 | 0b0000_1000 | 0b0010_0000;
        if self.username.is_some() {
            flags |= 0b1000_0000;
        }
        if self.password.is_some() {
            flags |= 0b0100_0000;
        }
        body.push(flags);
        body.extend(self.keep_alive_seconds.to_be_bytes());
        text(&mut body, self.client_id.as_bytes());
        text(&mut body, self.will.0.as_bytes());
        text(&mut body, self.will.1);
        for part in [self.username, self.password].into_iter().flatten() {
            text(&mut body, part.as_bytes());
        }
        packet(0x10, &body)
    }
}

/// Section 3.3, with QoS 1. `None` if the payload is longer than [`PAYLOAD_MAX`].
pub fn publish(topic: &str, payload: &[u8], is_retained: bool, number: u16) -> Option<Vec<u8>> {
    if payload.len() > PAYLOAD_MAX {
        return None;
    }
    let mut body = Vec::with_capacity(topic.len() + payload.len() + 4);
    text(&mut body, topic.as_bytes());
    body.extend(number.to_be_bytes());
    body.extend(payload);
    Some(packet(PUBLISH_QOS1 | if is_retained { RETAIN } else { 0 }, &body))
}

/// Why a broker lets nobody in (section 3.2.2.3).
pub fn refusal(code: u8) -> &'static str {
    match code {
        1 => "the broker does not speak MQTT 3.1.1",
        2 => "the broker refuses the client's id",
        3 => "the broker is not available",
        4 => "the broker refuses user name or password",
        5 => "the broker does not authorise this client",
        _ => "the broker refuses the connection",
    }
}

/// Reads what a broker sends, in whatever pieces it comes.
#[derive(Debug, Default)]
pub struct Reader {
    bytes: Vec<u8>,
}

impl Reader {
    /// What is whole of it. After an error the connection is of no more use.
    pub fn read(&mut self, bytes: &[u8]) -> Result<Vec<Incoming>, MqttError> {
        let mut found = Vec::new();
        for &byte in bytes {
            self.bytes.push(byte);
            if let Some(incoming) = incoming(&self.bytes)? {
                self.bytes.clear();
                found.push(incoming);
            }
            if self.bytes.len() >= INCOMING_MAX {
                return Err(MqttError::Length);
            }
        }
        Ok(found)
    }
}

/// `None`: it goes on.
fn incoming(bytes: &[u8]) -> Result<Option<Incoming>, MqttError> {
    let (kind, length) = match *bytes {
        [CONNACK | PUBACK | PINGRESP] => return Ok(None),
        [kind, length, ..] => (kind, length),
        [kind] => return Err(MqttError::Unexpected(kind)),
        [] => return Ok(None),
    };
    let expected = if kind == PINGRESP { 0 } else { 2 };
    if length != expected {
        return Err(MqttError::Length);
    }
    Ok(match (kind, &bytes[2..]) {
        (PINGRESP, []) => Some(Incoming::Alive),
        // Session present is 0 after a clean session, and 1 says nothing else.
        (CONNACK, &[_, code]) => Some(Incoming::Connected(code)),
        (PUBACK, &[high, low]) => Some(Incoming::Taken(u16::from_be_bytes([high, low]))),
        _ => None,
    })
}

/// Of at most 65 535 bytes, which configuration and [`PAYLOAD_MAX`] see to; what is
/// longer is cut.
fn text(out: &mut Vec<u8>, bytes: &[u8]) {
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    out.extend(length.to_be_bytes());
    out.extend(&bytes[..usize::from(length)]);
}

/// Section 2.2.3: the length, seven bits at a time.
fn packet(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() + 5);
    out.push(kind);
    let mut length = body.len();
    loop {
        let low = (length % 128) as u8;
        length /= 128;
        out.push(if length > 0 { low | 128 } else { low });
        if length == 0 {
            break;
        }
    }
    out.extend(body);
    out
}

/// Entry point for the fuzzer and the property tests.
#[doc(hidden)]
pub fn fuzz_reader(data: &[u8]) {
    let mut reader = Reader::default();
    let mut in_pieces = Reader::default();
    let whole = reader.read(data);
    let pieces: Result<Vec<Vec<Incoming>>, MqttError> =
        data.chunks(3).map(|piece| in_pieces.read(piece)).collect();
    assert_eq!(whole.clone().ok(), pieces.ok().map(|pieces| pieces.concat()), "however it comes");
    assert!(reader.bytes.len() < INCOMING_MAX || whole.is_err());
    assert!(whole.map_or(0, |found| found.len()) <= data.len() / 2);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn packets_are_as_the_standard_has_them() {
        let connect = Connect {
            client_id: "abc",
            keep_alive_seconds: 30,
            will: ("t/a", b"offline"),
            username: Some("u"),
            password: Some("p"),
        };
        let expected = [
            &[0x10, 35, 0, 4][..],
            b"MQTT",
            &[4, 0b1110_1110, 0, 30, 0, 3],
            b"abc",
            &[0, 3],
            b"t/a",
            &[0, 7],
            b"offline",
            &[0, 1, b'u', 0, 1, b'p'],
        ];
        assert_eq!(connect.encode(), expected.concat());
        let expected = [&[0x33, 7, 0, 1, b't', 1, 2][..], b"ON"].concat();
        assert_eq!(publish("t", b"ON", true, 0x0102).unwrap(), expected);
        assert_eq!(publish("t", &[0; 200], false, 1).unwrap()[..3], [0x32, 205 & 127 | 128, 1]);
        assert!(publish("t", &[0; PAYLOAD_MAX + 1], false, 1).is_none());
    }

    #[test]
    fn what_a_broker_may_say_is_read_and_nothing_else() {
        let mut reader = Reader::default();
        assert_eq!(reader.read(&[0x20, 2, 0]).unwrap(), []);
        assert_eq!(
            reader.read(&[5, 0x40, 2, 1, 2, 0xd0, 0]).unwrap(),
            [Incoming::Connected(5), Incoming::Taken(0x0102), Incoming::Alive]
        );
        for bad in [&[0x30, 1][..], &[0x82], &[0x00], &[0xff; 9]] {
            assert_eq!(Reader::default().read(bad), Err(MqttError::Unexpected(bad[0])));
        }
        for bad in [&[0x20, 3][..], &[0x40, 0xff, 0xff], &[0xd0, 1]] {
            assert_eq!(Reader::default().read(bad), Err(MqttError::Length));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_of_a_broker_are_survived(data in prop::collection::vec(any::<u8>(), 0..200)) {
            fuzz_reader(&data);
        }

        #[test]
        fn bytes_like_a_brokers_are_survived(
            data in prop::collection::vec(prop_oneof![Just(0x20_u8), Just(0x40), Just(0xd0), 0..4_u8], 0..60)
        ) {
            fuzz_reader(&data);
        }
    }
}
