//! As much of MQTT 3.1.1 (OASIS standard) as it takes to publish, and to hear what
//! is said on a few topics: CONNECT, PUBLISH with QoS 1, SUBSCRIBE and PINGREQ go
//! out; CONNACK, PUBACK, SUBACK, PINGRESP and PUBLISH with QoS 0 come in.
//!
//! Whatever else a broker sends is an error, as is a message of a topic that was
//! not asked for. Where nothing is subscribed to, it can make us neither remember
//! nor do anything.

/// Of one payload that we send, in bytes.
pub const PAYLOAD_MAX: usize = 64 << 10;
/// Of one message that we take, in bytes with its topic. Longer ones are passed
/// over, not kept: others on the broker choose how long they are.
pub const MESSAGE_MAX: usize = 256 << 10;
/// Topics that are subscribed to.
pub const TOPICS_MAX: usize = 8;

const CONNACK: u8 = 0x20;
const PUBLISH_QOS1: u8 = 0x32;
const RETAIN: u8 = 0x01;
/// With QoS 0, which is all that we ask for.
const PUBLISH_QOS0: u8 = 0x30;
const PUBLISH_QOS0_RETAINED: u8 = PUBLISH_QOS0 | RETAIN;
const PUBACK: u8 = 0x40;
const SUBSCRIBE: u8 = 0x82;
const SUBACK: u8 = 0x90;
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// 0, or why not.
    Connected(u8),
    /// It has the message of this number.
    Taken(u16),
    /// To the request of this number: whether it lets us hear each topic.
    Subscribed(u16, Vec<bool>),
    Heard(Heard),
    /// A message that has more than [`MESSAGE_MAX`] bytes was passed over.
    TooLong,
    Alive,
}

/// What somebody published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// Which of the topics that were asked for.
    pub topic: usize,
    pub payload: Vec<u8>,
    /// It was published before we asked.
    pub is_retained: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MqttError {
    #[error("the broker sent a packet of type {0:#04x}, for which nobody asked")]
    Unexpected(u8),
    #[error("the broker sent a packet of a wrong length")]
    Length,
    #[error("the broker sent a message of a topic for which nobody asked")]
    Topic,
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

/// Section 3.8, with QoS 0: of what is late there is nothing to be had.
pub fn subscribe(topics: &[String], number: u16) -> Vec<u8> {
    let mut body = number.to_be_bytes().to_vec();
    for topic in topics.iter().take(TOPICS_MAX) {
        text(&mut body, topic.as_bytes());
        body.push(0);
    }
    packet(SUBSCRIBE, &body)
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
    /// Those that are subscribed to.
    topics: Vec<String>,
    bytes: Vec<u8>,
    /// Of a message that is passed over, what is still to come.
    pass_over: usize,
}

/// Section 2.2: how a packet begins.
struct Head {
    kind: u8,
    /// Of itself.
    size: usize,
    /// Of what follows it.
    length: usize,
}

impl Reader {
    /// [`TOPICS_MAX`] of them at most.
    pub fn subscribing(topics: &[String]) -> Self {
        Reader { topics: topics.iter().take(TOPICS_MAX).cloned().collect(), ..Reader::default() }
    }

    /// What is whole of it. After an error the connection is of no more use.
    pub fn read(&mut self, mut bytes: &[u8]) -> Result<Vec<Incoming>, MqttError> {
        let mut found = Vec::new();
        loop {
            let passed = self.pass_over.min(bytes.len());
            self.pass_over -= passed;
            bytes = &bytes[passed..];
            let missing = match self.head()? {
                None => 1,
                Some(Head { size, length, .. }) if length > MESSAGE_MAX => {
                    // The head came byte by byte, and nothing of what follows it yet.
                    debug_assert_eq!(size, self.bytes.len());
                    self.bytes.clear();
                    self.pass_over = length;
                    found.push(Incoming::TooLong);
                    continue;
                }
                Some(Head { size, length, .. }) => size + length - self.bytes.len(),
            };
            if missing > 0 && bytes.is_empty() {
                return Ok(found);
            }
            let (piece, rest) = bytes.split_at(missing.min(bytes.len()));
            self.bytes.extend_from_slice(piece);
            bytes = rest;
            if let Some(head) = self.head()?
                && head.length <= MESSAGE_MAX
                && self.bytes.len() == head.size + head.length
            {
                found.push(self.packet(&head)?);
                self.bytes.clear();
            }
        }
    }

    /// `None`: it goes on.
    fn head(&self) -> Result<Option<Head>, MqttError> {
        let Some((&kind, rest)) = self.bytes.split_first() else { return Ok(None) };
        let is_message = matches!(kind, PUBLISH_QOS0 | PUBLISH_QOS0_RETAINED) && !self.topics.is_empty();
        let expected = match kind {
            CONNACK | PUBACK => Some(2),
            PINGRESP => Some(0),
            SUBACK if !self.topics.is_empty() => Some(2 + self.topics.len()),
            _ if is_message => None,
            _ => return Err(MqttError::Unexpected(kind)),
        };
        // Section 2.2.3: seven bits at a time, in four bytes at most.
        let mut length = 0;
        for (place, byte) in rest.iter().take(4).enumerate() {
            length |= usize::from(byte & 127) << (7 * place);
            if byte & 128 == 0 {
                let is_right = expected.map_or(length >= 2, |expected| length == expected);
                let head = Head { kind, size: place + 2, length };
                return if is_right { Ok(Some(head)) } else { Err(MqttError::Length) };
            }
            if expected.is_some() || place == 3 {
                return Err(MqttError::Length);
            }
        }
        Ok(None)
    }

    fn packet(&self, head: &Head) -> Result<Incoming, MqttError> {
        let body = &self.bytes[head.size..];
        Ok(match (head.kind, body) {
            (PINGRESP, []) => Incoming::Alive,
            // Session present is 0 after a clean session, and 1 says nothing else.
            (CONNACK, &[_, code]) => Incoming::Connected(code),
            (PUBACK, &[high, low]) => Incoming::Taken(u16::from_be_bytes([high, low])),
            // Section 3.9.3: 128 is a refusal.
            (SUBACK, [high, low, codes @ ..]) => {
                let are_let = codes.iter().map(|code| *code < 128).collect();
                Incoming::Subscribed(u16::from_be_bytes([*high, *low]), are_let)
            }
            (kind, [high, low, rest @ ..]) => {
                let length = usize::from(u16::from_be_bytes([*high, *low]));
                let (topic, payload) = rest.split_at_checked(length).ok_or(MqttError::Length)?;
                let topic = self.topics.iter().position(|known| known.as_bytes() == topic);
                Incoming::Heard(Heard {
                    topic: topic.ok_or(MqttError::Topic)?,
                    payload: payload.to_vec(),
                    is_retained: kind == PUBLISH_QOS0_RETAINED,
                })
            }
            _ => return Err(MqttError::Length),
        })
    }
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
    for topics in [&[][..], &["a/events".to_owned(), "a".to_owned()]] {
        let mut reader = Reader::subscribing(topics);
        let mut in_pieces = Reader::subscribing(topics);
        let whole = reader.read(data);
        let pieces: Result<Vec<Vec<Incoming>>, MqttError> =
            data.chunks(3).map(|piece| in_pieces.read(piece)).collect();
        assert_eq!(whole.clone().ok(), pieces.ok().map(|pieces| pieces.concat()), "however it comes");
        assert!(reader.bytes.len() <= data.len().min(MESSAGE_MAX + 5));
        let found = whole.unwrap_or_default();
        assert!(found.len() <= data.len() / 2);
        let is_of_subscription = |found: &Incoming| {
            !matches!(found, Incoming::Connected(_) | Incoming::Taken(_) | Incoming::Alive)
        };
        assert!(!topics.is_empty() || !found.iter().any(is_of_subscription));
    }
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

    #[test]
    fn a_subscription_is_as_the_standard_has_it() {
        let topics = ["f/events".to_owned(), "f/available".to_owned()];
        let expected = [&[0x82, 27, 0, 1, 0, 8][..], b"f/events", &[0, 0, 11], b"f/available", &[0]].concat();
        assert_eq!(subscribe(&topics, 1), expected);
    }

    fn message(kind: u8, topic: &str, payload: &[u8]) -> Vec<u8> {
        let mut body = Vec::new();
        text(&mut body, topic.as_bytes());
        body.extend(payload);
        packet(kind, &body)
    }

    #[test]
    fn messages_of_topics_that_were_asked_for_are_heard_and_of_no_others() {
        let topics = ["f/events".to_owned(), "f/available".to_owned()];
        let mut reader = Reader::subscribing(&topics);
        let bytes = [
            vec![0x90, 4, 0, 1, 0, 0x80],
            message(0x30, "f/events", &[7; 300]),
            message(0x31, "f/available", b"online"),
            message(0x30, "f/events", &vec![7; MESSAGE_MAX]),
            message(0x30, "f/events", b""),
        ]
        .concat();
        let heard = |topic, payload: &[u8], is_retained| {
            Incoming::Heard(Heard { topic, payload: payload.to_vec(), is_retained })
        };
        let expected = [
            Incoming::Subscribed(1, vec![true, false]),
            heard(0, &[7; 300], false),
            heard(1, b"online", true),
            Incoming::TooLong,
            heard(0, b"", false),
        ];
        assert_eq!(reader.read(&bytes).unwrap(), expected);
        let mut reader = Reader::subscribing(&topics);
        let in_pieces: Vec<Incoming> =
            bytes.chunks(7).flat_map(|piece| reader.read(piece).unwrap()).collect();
        assert_eq!(in_pieces, expected);
        assert!(reader.bytes.capacity() < 2 * MESSAGE_MAX);

        let refused = |bytes: &[u8]| Reader::subscribing(&topics).read(bytes).unwrap_err();
        assert_eq!(refused(&message(0x30, "f/event", b"x")), MqttError::Topic);
        assert_eq!(refused(&message(0x30, "f/events/", b"x")), MqttError::Topic);
        // QoS 1 and 2 would have to be answered, and were not asked for.
        assert_eq!(refused(&message(0x32, "f/events", b"x")), MqttError::Unexpected(0x32));
        assert_eq!(refused(&message(0x34, "f/events", b"x")), MqttError::Unexpected(0x34));
        assert_eq!(refused(&[0x30, 3, 0, 9, b'f']), MqttError::Length);
        assert_eq!(refused(&[0x30, 1]), MqttError::Length);
        assert_eq!(refused(&[0x30, 0xff, 0xff, 0xff, 0xff]), MqttError::Length);
        assert_eq!(refused(&[0x90, 3]), MqttError::Length);
    }

    proptest! {
        #[test]
        fn messages_like_a_brokers_are_survived(
            topics in prop::collection::vec(0..4_usize, 0..8),
            junk in prop::collection::vec(any::<u8>(), 0..9),
        ) {
            let known = ["a", "a/events", "b", ""];
            let mut data: Vec<u8> =
                topics.iter().flat_map(|topic| message(0x30 | (*topic as u8 & 1), known[*topic], &junk)).collect();
            data.extend(&junk);
            fuzz_reader(&data);
        }

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
