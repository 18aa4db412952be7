//! RTP over UDP for cameras that have nothing else, without retina knowing: it
//! asks for interleaved packets, the bridge asks the camera for UDP, and wraps
//! what arrives as RFC 2326 section 10.12 describes. So one path bounds
//! everything. Best effort: late packets are dropped, lost ones stay lost.
//!
//! Only the `Transport` header of SETUP is rewritten. Digest (RFC 7616 section
//! 3.4.3 without auth-int) does not cover headers.

use std::net::{IpAddr, SocketAddr};

use tokio::net::UdpSocket;

/// `client_port` of RFC 2326 section 12.39: even for RTP, the next for RTCP.
#[derive(Debug)]
pub(super) struct Ports {
    pub(super) rtp: UdpSocket,
    pub(super) rtcp: UdpSocket,
    pub(super) port: u16,
}

impl Ports {
    const TRIES: usize = 32;

    pub(super) async fn bind(local: IpAddr) -> std::io::Result<Self> {
        let mut last = std::io::ErrorKind::AddrInUse.into();
        for _ in 0..Self::TRIES {
            let rtp = UdpSocket::bind((local, 0)).await?;
            let port = rtp.local_addr()?.port();
            if port % 2 == 1 || port == u16::MAX {
                continue;
            }
            match UdpSocket::bind((local, port + 1)).await {
                Ok(rtcp) => return Ok(Ports { rtp, rtcp, port }),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Takes packets from the camera's address and ports alone, and sends one
    /// of our own so that a firewall in between lets them in.
    pub(super) async fn open(&self, camera: IpAddr, server_port: u16) -> std::io::Result<()> {
        let rtcp_port = server_port.checked_add(1).ok_or(std::io::ErrorKind::InvalidData)?;
        self.rtp.connect(SocketAddr::new(camera, server_port)).await?;
        self.rtcp.connect(SocketAddr::new(camera, rtcp_port)).await?;
        // Empty RTP packet and empty receiver report (RFC 3550 section 6.4.2).
        let _ = self.rtp.send(&[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).await;
        let _ = self.rtcp.send(&[0x80, 201, 0, 1, 0, 0, 0, 0]).await;
        Ok(())
    }
}

/// The channel that a SETUP asks for, if the head is one.
pub(super) fn setup_channel(head: &str) -> Option<u8> {
    head.starts_with("SETUP ").then_some(())?;
    let (_, transport) = transport(head)?;
    parameter(transport, "interleaved")?.split('-').next()?.parse().ok()
}

/// A SETUP for these ports instead of channels.
pub(super) fn ask_for_udp(head: &str, port: u16) -> String {
    replace_transport(head, &format!("RTP/AVP;unicast;client_port={port}-{}", port + 1))
}

/// The camera's RTP port in the answer to SETUP.
pub(super) fn server_port(head: &str) -> Option<u16> {
    parameter(transport(head)?.1, "server_port")?.split('-').next()?.parse().ok()
}

/// The answer as retina expects it: channels, and the SSRC if there was one.
pub(super) fn answer_interleaved(head: &str, channel: u8) -> String {
    let ssrc = transport(head)
        .and_then(|(_, transport)| parameter(transport, "ssrc"))
        .filter(|ssrc| ssrc.bytes().all(|b| b.is_ascii_hexdigit()))
        .map(|ssrc| format!(";ssrc={ssrc}"))
        .unwrap_or_default();
    let next = channel.saturating_add(1);
    replace_transport(head, &format!("RTP/AVP/TCP;unicast;interleaved={channel}-{next}{ssrc}"))
}

/// Whether an RTP packet is the next or later: retina takes a late one over TCP
/// for a broken stream. Sequence numbers wrap (RFC 3550 section 5.1).
pub(super) fn in_order(packet: &[u8], last: &mut Option<u16>) -> bool {
    let &[_, _, high, low, ..] = packet else { return false };
    let sequence = u16::from_be_bytes([high, low]);
    let ahead = last.is_none_or(|last| (1..0x8000).contains(&sequence.wrapping_sub(last)));
    if ahead {
        *last = Some(sequence);
    }
    ahead
}

/// `$`, channel, length, packet. UDP packets are shorter than 64 KiB.
pub(super) fn frame(channel: u8, packet: &[u8], out: &mut Vec<u8>) {
    let Ok(length) = u16::try_from(packet.len()) else { return };
    out.extend_from_slice(&[b'$', channel]);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(packet);
}

fn transport(head: &str) -> Option<(&str, &str)> {
    head.split("\r\n")
        .skip(1)
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("transport"))
}

fn parameter<'a>(transport: &'a str, name: &str) -> Option<&'a str> {
    transport
        .split(';')
        .filter_map(|part| part.split_once('='))
        .find_map(|(key, value)| key.trim().eq_ignore_ascii_case(name).then(|| value.trim()))
}

fn replace_transport(head: &str, value: &str) -> String {
    let is_transport = |line: &str| {
        line.split_once(':').is_some_and(|(name, _)| name.trim().eq_ignore_ascii_case("transport"))
    };
    let lines: Vec<String> = head
        .split("\r\n")
        .map(|line| if is_transport(line) { format!("Transport: {value}") } else { line.to_owned() })
        .collect();
    lines.join("\r\n")
}

pub(super) fn fuzz(data: &[u8]) {
    let head = String::from_utf8_lossy(data);
    let lines = head.split("\r\n").count();
    assert_eq!(ask_for_udp(&head, 5_000).split("\r\n").count(), lines);
    assert_eq!(answer_interleaved(&head, 255).split("\r\n").count(), lines);
    let _ = (setup_channel(&head), server_port(&head));
    let mut last = None;
    let _ = in_order(data, &mut last);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setup_asks_for_udp_and_its_answer_speaks_of_channels() {
        let request = "SETUP rtsp://127.0.0.1/x RTSP/1.0\r\nTransport: RTP/AVP/TCP;unicast;interleaved=2-3\r\nCSeq: 3\r\n\r\n";
        assert_eq!(setup_channel(request), Some(2));
        let asked = ask_for_udp(request, 6_000);
        assert!(asked.contains("\r\nTransport: RTP/AVP;unicast;client_port=6000-6001\r\nCSeq: 3\r\n\r\n"));
        let answer = "RTSP/1.0 200 OK\r\nCSeq: 3\r\ntransport: RTP/AVP;unicast;client_port=6000-6001;server_port=7000-7001;ssrc=0000beef\r\n\r\n";
        assert_eq!(server_port(answer), Some(7_000));
        let told = answer_interleaved(answer, 2);
        assert!(told.ends_with("Transport: RTP/AVP/TCP;unicast;interleaved=2-3;ssrc=0000beef\r\n\r\n"));
        assert_eq!(setup_channel("PLAY rtsp://127.0.0.1/x RTSP/1.0\r\n\r\n"), None);
    }

    #[test]
    fn late_packets_are_dropped_across_the_wrap() {
        let mut last = None;
        let mut passes = |sequence: u16| {
            let [high, low] = sequence.to_be_bytes();
            in_order(&[0x80, 96, high, low], &mut last)
        };
        let rows =
            [(65_534, true), (65_535, true), (0, true), (65_535, false), (0, false), (2, true), (1, false)];
        for (sequence, expected) in rows {
            assert_eq!(passes(sequence), expected, "{sequence}");
        }
    }
}
