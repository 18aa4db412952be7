//! Sign-ins that are no text: MQTT (OASIS, 3.1.1 and 5.0; IBM, 3.1), LDAP (RFC 4511), SNMP
//! (RFC 1157, RFC 1901), PostgreSQL (its handbook, "Message Formats"), SOCKS (RFC 1929) and
//! PAP of PPP (RFC 1334).

use memchr::memmem;

use super::Signs;

/// Reads on in foreign bytes.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|byte| byte[0])
    }

    fn be16(&mut self) -> Option<usize> {
        self.take(2).map(|two| usize::from(two[0]) << 8 | usize::from(two[1]))
    }

    fn be32(&mut self) -> Option<usize> {
        let [high, low] = [self.be16()?, self.be16()?];
        Some(high << 16 | low)
    }

    /// A string that says how long it is: of MQTT.
    fn string(&mut self) -> Option<&'a [u8]> {
        let bytes = self.be16()?;
        self.take(bytes)
    }

    /// A length of MQTT: seven bits in a byte, at most four bytes.
    fn variable(&mut self) -> Option<usize> {
        let mut length = 0;
        for shift in [0, 7, 14, 21] {
            let byte = self.byte()?;
            length |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(length);
            }
        }
        None
    }

    /// The contents of an element of BER (X.690) with this tag and a definite length.
    fn element(&mut self, tag: u8) -> Option<&'a [u8]> {
        let [first, rest @ ..] = self.0 else { return None };
        if *first != tag {
            return None;
        }
        let mut inner = Reader(rest);
        let bytes = match inner.byte()? {
            short @ ..=0x7f => short.into(),
            long @ 0x81..=0x84 => {
                inner.take(usize::from(long & 7))?.iter().fold(0, |all, byte| all << 8 | usize::from(*byte))
            }
            _ => return None,
        };
        let contents = inner.take(bytes)?;
        self.0 = inner.0;
        Some(contents)
    }
}

/// Places of one protocol that are looked at in one direction.
const TRIES_MAX: usize = 10_000;

pub(super) fn stream(said: &[u8], back: &[u8], signs: &mut Signs) {
    for name in [&b"\x00\x04MQTT"[..], b"\x00\x06MQIsdp"] {
        for at in memmem::find_iter(said, name).take(TRIES_MAX) {
            if let Some(password) = mqtt(&said[at + name.len()..]) {
                signs.add("mqtt", password);
            }
        }
    }
    // Version 2 or 3, and the name follows.
    for version in [b"\x02\x01\x03\x04", b"\x02\x01\x02\x04"] {
        for at in memmem::find_iter(said, version).take(TRIES_MAX) {
            if let Some(password) = ldap(said, at) {
                signs.add("ldap", password);
            }
        }
    }
    if let Some(password) = postgres(said, back) {
        signs.add("postgresql", password);
    }
    if let Some(password) = socks(said, back) {
        signs.add("socks", password);
    }
}

/// What follows the name of the protocol in CONNECT: level, flags, keep alive, and then what
/// the flags say.
fn mqtt(said: &[u8]) -> Option<&[u8]> {
    let mut rest = Reader(said);
    let (level, flags, _) = (rest.byte()?, rest.byte()?, rest.be16()?);
    // A bridge sets the highest bit.
    let level = level & 0x7f;
    if !matches!(level, 3..=5) || flags & 1 != 0 || flags & 0x40 == 0 {
        return None;
    }
    let properties = |rest: &mut Reader<'_>| {
        if level == 5 {
            let bytes = rest.variable()?;
            rest.take(bytes)?;
        }
        Some(())
    };
    properties(&mut rest)?;
    rest.string()?;
    if flags & 4 != 0 {
        properties(&mut rest)?;
        rest.string()?;
        rest.string()?;
    }
    if flags & 0x80 != 0 {
        rest.string()?;
    }
    rest.string()
}

/// A simple bind whose version stands at `at`. Message, number and bind begin before it.
fn ldap(said: &[u8], at: usize) -> Option<&[u8]> {
    // The tag of the bind, and its length in one to five bytes.
    let bind = (2..=6).find_map(|back| {
        let start = at.checked_sub(back)?;
        let contents = Reader(&said[start..]).element(0x60)?;
        (start + back + contents.len() <= said.len() && contents.starts_with(&said[at..at + 4]))
            .then_some((start, contents))
    });
    let (start, contents) = bind?;
    // A message's number, of one to four bytes.
    let before = &said[..start];
    let is_message = (1..=4).any(|bytes| {
        before.len() >= bytes + 2 && before[before.len() - bytes - 2..].starts_with(&[2, bytes as u8])
    });
    if !is_message {
        return None;
    }
    let mut bind = Reader(contents);
    bind.element(2)?;
    bind.element(4)?;
    bind.element(0x80)
}

/// The answer to a server that asked for a password in the clear.
fn postgres<'a>(said: &'a [u8], back: &[u8]) -> Option<&'a [u8]> {
    let mut rest = Reader(said);
    let mut bytes = rest.be32()?;
    let mut version = rest.be32()?;
    // It may have asked for encryption first, and been refused.
    for _ in 0..2 {
        if bytes == 8 && matches!(version, 80_877_103 | 80_877_104) {
            (bytes, version) = (rest.be32()?, rest.be32()?);
        }
    }
    if !(9..=10_000).contains(&bytes) || !matches!(version >> 16, 2 | 3) {
        return None;
    }
    rest.take(bytes - 8)?;
    let asked = memmem::find(back, b"R\x00\x00\x00\x08\x00\x00\x00\x03").is_some();
    if rest.byte()? != b'p' || !(asked || back.is_empty()) {
        return None;
    }
    let bytes = rest.be32()?;
    rest.take(bytes.checked_sub(4)?)?.strip_suffix(b"\0").filter(|password| !password.contains(&0))
}

/// The server has chosen user and password.
fn socks<'a>(said: &'a [u8], back: &[u8]) -> Option<&'a [u8]> {
    let mut rest = Reader(said);
    if rest.byte()? != 5 || !back.starts_with(&[5, 2]) {
        return None;
    }
    let methods = usize::from(rest.byte()?);
    rest.take(methods)?;
    if rest.byte()? != 1 {
        return None;
    }
    let user = usize::from(rest.byte()?);
    rest.take(user)?;
    let password = usize::from(rest.byte()?);
    rest.take(password)
}

pub(super) fn datagram(said: &[u8], signs: &mut Signs) {
    if let Some(community) = snmp(said)
        // What everybody knows, and devices are delivered with for reading.
        && community != b"public"
    {
        signs.add("snmp", community);
    }
}

/// The community of a message of version 1 or 2c.
fn snmp(said: &[u8]) -> Option<&[u8]> {
    let mut message = Reader(Reader(said).element(0x30)?);
    if !matches!(message.element(2)?, [0 | 1]) {
        return None;
    }
    let community = message.element(4)?;
    let tag = *message.0.first()?;
    (0xa0..=0xa8).contains(&tag).then(|| message.element(tag))??;
    Some(community)
}

/// A request of PAP, in the words of a sign-in.
pub(in crate::unpack) fn pap(said: &[u8], text: &mut Vec<u8>) {
    let password = || {
        let mut rest = Reader(said);
        let (code, _, bytes) = (rest.byte()?, rest.byte()?, rest.be16()?);
        let mut rest = Reader(rest.take(bytes.checked_sub(4)?)?);
        let user = usize::from(rest.byte()?);
        rest.take(user)?;
        let password = usize::from(rest.byte()?);
        rest.take(password).filter(|_| code == 1)
    };
    if let Some(password) = password()
        && text.len() < 1 << 20
    {
        let mut signs = Signs::default();
        signs.add("ppp", password);
        text.append(&mut signs.text);
    }
}
