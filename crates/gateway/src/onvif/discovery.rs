//! WS-Discovery (April 2005, which ONVIF Core Specification section 7 names;
//! answers of OASIS WS-Discovery 1.1 are read as well): the question that goes
//! to everybody, and what is taken of the answers.
//!
//! Whoever is on the network may answer, as often as it likes, and with any
//! sender's address. Of the addresses in an answer only those are taken that
//! are the sender's own, and a sender must be where was asked, so that an answer
//! leads the gateway nowhere but to whoever gave it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use model::{OnvifUrl, turns_text};
use seal::answer::{Found, FoundCamera};
use url::Host;

use super::soap::{self, ADDRESSING};
use super::xml::{Element, Namespace};

const DISCOVERY: Namespace = &[
    "http://schemas.xmlsoap.org/ws/2005/04/discovery",
    "http://docs.oasis-open.org/ws-dd/ns/discovery/2009/01",
];
/// That draft's own addressing, by which cameras tell questions apart.
const ADDRESSING_2004: &str = ADDRESSING[1];

/// What one search may take of us. Every field has a default that real networks
/// stay below.
#[derive(Clone, Debug)]
pub struct FindLimits {
    /// One answer. Default 16 KiB; cameras send 1 to 2.
    pub answer_bytes: usize,
    /// Answers read in all. Default 2 048.
    pub answers: usize,
    /// Answers read of one sender. Default 32: the question is sent three times in
    /// two forms, and a recorder answers for each of its cameras.
    pub answers_of_one: usize,
    /// Cameras listed. Default 128.
    pub cameras: usize,
    /// Of one sender. Default 32: recorders have as many.
    pub cameras_of_one: usize,
    /// All that is listed, as it is written. Default 128 KiB: the list is sealed and
    /// signed as one, which holds 256 KiB of base64.
    pub list_bytes: usize,
    /// How long answers are waited for. Default 4 s.
    pub patience: std::time::Duration,
}

impl Default for FindLimits {
    fn default() -> Self {
        FindLimits {
            answer_bytes: 16 << 10,
            answers: 2_048,
            answers_of_one: 32,
            cameras: 128,
            cameras_of_one: 32,
            list_bytes: 128 << 10,
            patience: std::time::Duration::from_secs(4),
        }
    }
}

/// Addresses that one device may offer; the rest is left out.
const ADDRESSES_MAX: usize = 4;
/// Of one of them, in bytes; longer ones are left out.
const ADDRESS_MAX: usize = 256;
/// Of names, in bytes.
const WORDS_MAX: usize = 64;
/// Scopes of one device that are looked at. Real ones have a dozen.
const SCOPES_MAX: usize = 64;

/// Both kinds of devices that cameras call themselves (ONVIF Core Specification
/// section 7.3.3); one question asks for things that are both at once.
pub(crate) const KINDS: [&str; 2] = [
    "xmlns:k=\"http://www.onvif.org/ver10/network/wsdl\">k:NetworkVideoTransmitter",
    "xmlns:k=\"http://www.onvif.org/ver10/device/wsdl\">k:Device",
];

/// The question, and the id that answers must name.
pub(crate) fn probe(kind: &str, random: [u8; 16]) -> (String, String) {
    let id = format!("urn:uuid:{}", soap::uuid(random));
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <s:Envelope xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\" xmlns:a=\"{ADDRESSING_2004}\" xmlns:d=\"{0}\">\
         <s:Header><a:Action>{0}/Probe</a:Action><a:MessageID>{id}</a:MessageID>\
         <a:ReplyTo><a:Address>{ADDRESSING_2004}/role/anonymous</a:Address></a:ReplyTo>\
         <a:To>urn:schemas-xmlsoap-org:ws:2005:04:discovery</a:To></s:Header>\
         <s:Body><d:Probe><d:Types {kind}</d:Types></d:Probe></s:Body></s:Envelope>",
        DISCOVERY[0]
    );
    (text, id)
}

/// Where was asked, and so who may answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Everybody in a network of this machine's.
    Network(Network),
    /// This address alone.
    One(Ipv4Addr),
}

/// A network that this machine is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Network {
    pub(crate) own: Ipv4Addr,
    pub(crate) mask: Ipv4Addr,
}

impl Asked {
    /// Senders' addresses can be forged, so those that mean something else than a
    /// camera are nobody's: this machine by its loopback, and link-local
    /// addresses, at one of which clouds keep their machines' credentials.
    fn may_answer(&self, from: Ipv4Addr) -> bool {
        match *self {
            Asked::One(address) => from == address,
            Asked::Network(Network { own, mask }) => {
                let of = |address: Ipv4Addr| address.to_bits() & mask.to_bits();
                of(from) == of(own) && !from.is_loopback() && !from.is_link_local() && !from.is_multicast()
            }
        }
    }
}

/// Takes answers, one after the other, and is then the list.
#[derive(Debug)]
pub(crate) struct Finder {
    /// Of the questions.
    ids: BTreeSet<String>,
    limits: FindLimits,
    read: usize,
    by_sender: BTreeMap<Ipv4Addr, usize>,
    /// By sender and endpoint reference: by the reference alone, one device could
    /// pass itself off as another.
    found: BTreeMap<(Ipv4Addr, String), FoundCamera>,
    /// As they are written.
    found_bytes: usize,
    cameras_by_sender: BTreeMap<Ipv4Addr, usize>,
    left_out: u32,
    more: bool,
}

impl Finder {
    pub(crate) fn new(ids: impl IntoIterator<Item = String>, limits: FindLimits) -> Self {
        Finder {
            ids: ids.into_iter().collect(),
            limits,
            read: 0,
            by_sender: BTreeMap::new(),
            found: BTreeMap::new(),
            found_bytes: 0,
            cameras_by_sender: BTreeMap::new(),
            left_out: 0,
            more: false,
        }
    }

    pub(crate) fn take(&mut self, asked: Asked, from: Ipv4Addr, answer: &[u8]) {
        let is_counted = asked.may_answer(from) && answer.len() <= self.limits.answer_bytes;
        if !is_counted {
            self.left_out = self.left_out.saturating_add(1);
            return;
        }
        if self.read == self.limits.answers {
            self.more = true;
            return;
        }
        let of_sender = self.by_sender.entry(from).or_default();
        if *of_sender == self.limits.answers_of_one {
            self.more = true;
            return;
        }
        self.read += 1;
        *of_sender += 1;
        let Some(matches) = matches(answer, &self.ids) else {
            self.left_out = self.left_out.saturating_add(1);
            return;
        };
        for device in matches {
            match device.at(from) {
                None => self.left_out = self.left_out.saturating_add(1),
                Some(camera) => self.list((from, device.reference), camera),
            }
        }
    }

    /// Of one device the first answer counts. One sender does not fill the list for
    /// all others, and all together do not make it larger than it can be signed.
    fn list(&mut self, key: (Ipv4Addr, String), camera: FoundCamera) {
        if self.found.contains_key(&key) {
            return;
        }
        let bytes = seal::to_canonical(&camera).len();
        let of_sender = self.cameras_by_sender.entry(key.0).or_default();
        let has_room = self.found.len() < self.limits.cameras
            && *of_sender < self.limits.cameras_of_one
            && self.found_bytes + bytes <= self.limits.list_bytes;
        if !has_room {
            self.more = true;
            return;
        }
        *of_sender += 1;
        self.found_bytes += bytes;
        self.found.insert(key, camera);
    }

    pub(crate) fn finish(self, asked: u32) -> Found {
        let cameras = self.found.into_values().collect();
        Found { cameras, asked, left_out: self.left_out, more: self.more }
    }
}

/// One device of an answer, as it says.
#[derive(Debug)]
struct Match {
    reference: String,
    addresses: String,
    name: Option<String>,
    hardware: Option<String>,
    location: Option<String>,
}

/// `None` if it is no answer to one of our questions.
fn matches(bytes: &[u8], ids: &BTreeSet<String>) -> Option<Vec<Match>> {
    let (header, body) = soap::read_with_header(bytes).ok()?;
    let related = header.as_ref()?.child(ADDRESSING, "RelatesTo")?.text();
    if !ids.contains(related) || !body.is(DISCOVERY, "ProbeMatches") {
        return None;
    }
    // Each device answers for itself; a proxy for many would be one sender here.
    Some(body.all(DISCOVERY, "ProbeMatch").take(ADDRESSES_MAX).map(device).collect())
}

fn device(found: &Element) -> Match {
    let text = |name| found.child(DISCOVERY, name).map_or("", Element::text);
    let reference = found
        .child(ADDRESSING, "EndpointReference")
        .and_then(|reference| reference.child(ADDRESSING, "Address"))
        .map_or("", Element::text);
    let scopes = || text("Scopes").split_ascii_whitespace().take(SCOPES_MAX);
    let scope = |name: &str| scopes().find_map(|scope| words_of_scope(scope, name));
    Match {
        reference: reference.chars().take(WORDS_MAX * 2).collect(),
        addresses: text("XAddrs").to_owned(),
        name: scope("name"),
        hardware: scope("hardware"),
        location: scope("location"),
    }
}

/// Of `onvif://www.onvif.org/name/…` what stands there, in words (ONVIF Core
/// Specification section 7.3.2.1). Of places such as `city/hangzhou` the last.
fn words_of_scope(scope: &str, name: &str) -> Option<String> {
    let rest = scope.strip_prefix("onvif://www.onvif.org/")?.strip_prefix(name)?.strip_prefix('/')?;
    let last = rest.trim_end_matches('/').rsplit('/').next()?;
    let words = decoded(last);
    let words: String = words.chars().filter(|c| !c.is_control() && !turns_text(*c)).collect();
    let words = super::xml::cut(words.trim(), WORDS_MAX).trim().to_owned();
    (!words.is_empty()).then_some(words)
}

/// RFC 3986 section 2.1; some makes write blanks as `_` or `+`, which stay.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let pair = (*first == b'%').then(|| tail.get(..2)).flatten();
        let digits = pair.filter(|pair| pair.iter().all(u8::is_ascii_hexdigit));
        let byte = digits
            .and_then(|pair| std::str::from_utf8(pair).ok())
            .and_then(|pair| u8::from_str_radix(pair, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

impl Match {
    /// `None` if it names no address of the sender's own.
    fn at(&self, from: Ipv4Addr) -> Option<FoundCamera> {
        let is_own = |url: &OnvifUrl| url.as_url().host() == Some(Host::Ipv4(from));
        let own = self.addresses.split_ascii_whitespace().filter_map(|text| OnvifUrl::parse(text).ok());
        let is_short = |url: &OnvifUrl| url.as_url().as_str().len() <= ADDRESS_MAX;
        let own = own.filter(|url| is_own(url) && is_short(url));
        let mut onvif_urls: Vec<OnvifUrl> = own.take(ADDRESSES_MAX).collect();
        onvif_urls.dedup();
        (!onvif_urls.is_empty()).then(|| FoundCamera {
            address: from.to_string(),
            onvif_urls,
            name: self.name.clone(),
            hardware: self.hardware.clone(),
            location: self.location.clone(),
            camera: None,
        })
    }
}

/// Any bytes are an answer or none, and what they tell is within bounds.
pub(super) fn fuzz(data: &[u8]) {
    let from = Ipv4Addr::new(192, 0, 2, 10);
    let id = format!("urn:uuid:{}", soap::uuid([7; 16]));
    let mut finder = Finder::new([id], FindLimits::default());
    finder.take(Asked::Network(Network { own: from, mask: Ipv4Addr::new(255, 255, 255, 0) }), from, data);
    let found = finder.finish(1);
    assert!(found.cameras.len() <= ADDRESSES_MAX);
    for camera in &found.cameras {
        assert!((1..=ADDRESSES_MAX).contains(&camera.onvif_urls.len()));
        assert!(camera.onvif_urls.iter().all(|url| url.as_url().host() == Some(Host::Ipv4(from))));
        assert!(camera.onvif_urls.iter().all(|url| url.as_url().as_str().len() <= ADDRESS_MAX));
        for words in [&camera.name, &camera.hardware, &camera.location].into_iter().flatten() {
            assert!(!words.is_empty() && words.len() <= WORDS_MAX && !words.chars().any(char::is_control));
        }
    }
}

#[cfg(test)]
mod tests;
