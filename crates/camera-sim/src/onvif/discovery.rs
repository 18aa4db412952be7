//! Answers to WS-Discovery (ONVIF Core Specification section 7), right and as
//! hostile devices give them.

use std::net::{Ipv4Addr, SocketAddr};

use quick_xml::escape::escape;
use tokio::net::UdpSocket;

use super::Onvif;
use super::request::Request;
use crate::Fault;

/// Of a question, in bytes.
const QUESTION_MAX: usize = 16 << 10;
/// Answers of [`Fault::DiscoveryFlood`] to one question.
const FLOOD: usize = 3_000;

/// Where a camera answers those who look for cameras.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Discovery {
    pub listen: SocketAddr,
    /// Questions to everybody that come by the interface with this address are
    /// heard as well.
    pub interface: Option<Ipv4Addr>,
}

impl Discovery {
    pub const GROUP: Ipv4Addr = Ipv4Addr::new(239, 255, 255, 250);

    pub(crate) async fn open(&self) -> std::io::Result<UdpSocket> {
        let socket = UdpSocket::bind(self.listen).await?;
        if let Some(interface) = self.interface {
            socket.join_multicast_v4(Self::GROUP, interface)?;
        }
        Ok(socket)
    }
}

/// Until it is dropped. `fault` is asked for each question.
pub(crate) async fn answer(socket: UdpSocket, onvif: &Onvif, fault: impl Fn() -> Option<Fault>) {
    let mut question = vec![0; QUESTION_MAX];
    loop {
        let Ok((bytes, from)) = socket.recv_from(&mut question).await else { continue };
        let Some(request) = Request::read(&question[..bytes]).filter(|request| request.name == "Probe")
        else {
            continue;
        };
        let id = request.text("MessageID").unwrap_or_default();
        for answer in answers(onvif, id, fault()) {
            // Whoever asked is gone, or is flooded.
            let _ = socket.send_to(answer.as_bytes(), from).await;
        }
    }
}

fn answers(onvif: &Onvif, id: &str, fault: Option<Fault>) -> Vec<String> {
    let own = onvif.url_named();
    let one = |addresses: &str, number: usize| matches(onvif, id, addresses, number);
    match fault {
        Some(Fault::NoAnswer) => Vec::new(),
        Some(Fault::DiscoveryElsewhere) => [
            "http://169.254.169.254/latest/meta-data",
            "http://127.0.0.2:80/onvif/device_service",
            "http://198.51.100.1/onvif/device_service",
            "http://localhost/onvif/device_service",
        ]
        .iter()
        .enumerate()
        .map(|(number, elsewhere)| one(elsewhere, number))
        .collect(),
        Some(Fault::DiscoveryFlood) => (0..FLOOD).map(|number| one(&own, number)).collect(),
        // As much as one datagram takes.
        Some(Fault::DiscoveryHuge) => vec![one(&format!("{own} {}", "x".repeat(60_000)), 0)],
        Some(Fault::DiscoveryUnrelated) => {
            vec![matches(onvif, "urn:uuid:00000000-0000-4000-8000-000000000000", &own, 0)]
        }
        _ => vec![one(&own, 0)],
    }
}

fn matches(onvif: &Onvif, id: &str, addresses: &str, number: usize) -> String {
    let scopes = [
        "type/video_encoder".to_owned(),
        "Profile/Streaming".to_owned(),
        "hardware/camera-sim".to_owned(),
        format!("name/{}", encoded(onvif.name())),
        "location/country/nowhere".to_owned(),
    ]
    .map(|scope| format!("onvif://www.onvif.org/{scope}"))
    .join(" ");
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <s:Envelope xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\" \
         xmlns:wsa=\"http://schemas.xmlsoap.org/ws/2004/08/addressing\" \
         xmlns:d=\"http://schemas.xmlsoap.org/ws/2005/04/discovery\" xmlns:dn=\"http://www.onvif.org/ver10/network/wsdl\">\
         <s:Header><wsa:MessageID>{reference}/answer</wsa:MessageID><wsa:RelatesTo>{}</wsa:RelatesTo>\
         <wsa:To>http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</wsa:To>\
         <wsa:Action>http://schemas.xmlsoap.org/ws/2005/04/discovery/ProbeMatches</wsa:Action></s:Header>\
         <s:Body><d:ProbeMatches><d:ProbeMatch>\
         <wsa:EndpointReference><wsa:Address>{reference}</wsa:Address></wsa:EndpointReference>\
         <d:Types>dn:NetworkVideoTransmitter</d:Types><d:Scopes>{}</d:Scopes><d:XAddrs>{}</d:XAddrs>\
         <d:MetadataVersion>1</d:MetadataVersion></d:ProbeMatch></d:ProbeMatches></s:Body></s:Envelope>",
        escape(id),
        escape(&scopes),
        escape(addresses),
        reference = format!("urn:lenskeep:{}:{number}", encoded(&onvif.origin)),
    )
}

/// RFC 3986 section 2.1.
fn encoded(text: &str) -> String {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
    let one = |byte: u8| if is_plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(one).collect()
}
