//! Looks for cameras in the networks of this machine: the question goes out by
//! UDP, three times, since networks lose some, and answers are read for a few
//! seconds. What is believed of them, [`crate::onvif`] decides.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

use seal::answer::Found;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use tracing::debug;

use crate::config::DiscoverySection;
use crate::onvif::FindLimits;
use crate::onvif::discovery::{Asked, Finder, KINDS, Network, probe};
use crate::random;

/// When the question goes out, after the beginning (SOAP-over-UDP 1.1 appendix I).
const SENT_AFTER: [Duration; 3] = [Duration::ZERO, Duration::from_millis(400), Duration::from_millis(1_200)];
/// After an error of the system's, which may come at once again.
const PAUSE: Duration = Duration::from_millis(20);
/// Networks of one machine in which is asked.
const NETWORKS_MAX: usize = 32;
/// Answers that wait to be read; what comes beyond waits in the system's buffer,
/// or is lost.
const WAITING_MAX: usize = 64;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FindError {
    #[error("this gateway is set to look for nothing: [discovery] targets is empty in its configuration")]
    Off,
    #[error(
        "this gateway is in no IPv4 network in which it could ask; see [discovery] interfaces in its configuration"
    )]
    NoNetwork,
    #[error(
        "the question for cameras could not be sent ({0}); look whether a firewall keeps UDP port 3702 shut"
    )]
    NotSent(std::io::ErrorKind),
}

/// Who was asked, from where.
struct Question {
    asked: Asked,
    target: SocketAddrV4,
    socket: UdpSocket,
}

pub(crate) async fn find(section: &DiscoverySection, limits: FindLimits) -> Result<Found, FindError> {
    if section.targets.is_empty() {
        return Err(FindError::Off);
    }
    let routes = std::fs::read_to_string("/proc/net/route").unwrap_or_default();
    let networks = networks(&routes, section.interfaces.as_ref()).await;
    let (mut questions, mut error) = (Vec::new(), FindError::NoNetwork);
    for &target in &section.targets {
        let from: Vec<(Asked, Ipv4Addr)> = match target.ip() {
            group if group.is_multicast() => {
                networks.iter().map(|network| (Asked::Network(*network), network.own)).collect()
            }
            one => vec![(Asked::One(*one), Ipv4Addr::UNSPECIFIED)],
        };
        for (asked, own) in from {
            // Linux sends to a group by the interface that has the socket's own address.
            match UdpSocket::bind((own, 0)).await {
                Ok(socket) => questions.push(Question { asked, target, socket }),
                Err(failed) => error = FindError::NotSent(failed.kind()),
            }
        }
    }
    let probes = KINDS.map(|kind| probe(kind, random::bytes()));
    let ids = probes.iter().map(|(_, id)| id.clone());
    let mut finder = Finder::new(ids, limits.clone());
    let texts = probes.clone().map(|(text, _)| text);
    let until = Instant::now() + limits.patience;
    let asked = u32::try_from(questions.len()).unwrap_or(u32::MAX);
    let (answers, mut waiting) = mpsc::channel(WAITING_MAX);
    let mut asking = JoinSet::new();
    for question in questions {
        asking.spawn(ask(question, texts.clone(), limits.answer_bytes, until, answers.clone()));
    }
    drop(answers);
    while let Ok(Some((asked, from, answer))) = timeout_at(until, waiting.recv()).await {
        finder.take(asked, from, &answer);
    }
    drop(waiting);
    // One that got the question out is enough: machines have networks that lead nowhere.
    let mut sent = 0;
    while let Some(ended) = asking.join_next().await {
        match ended {
            Ok(Ok(())) => sent += 1,
            Ok(Err(kind)) => error = FindError::NotSent(kind),
            Err(failed) => debug!(%failed, "a search for cameras ended badly"),
        }
    }
    if sent == 0 { Err(error) } else { Ok(finder.finish(asked)) }
}

/// Sends and reads until the time is over.
async fn ask(
    Question { asked, target, socket }: Question,
    texts: [String; 2],
    bytes_max: usize,
    until: Instant,
    answers: mpsc::Sender<(Asked, Ipv4Addr, Vec<u8>)>,
) -> Result<(), std::io::ErrorKind> {
    let began = Instant::now();
    let mut times = SENT_AFTER.into_iter().map(|after| began + after).peekable();
    // One byte more, so that longer answers are told from whole ones.
    let mut buffer = vec![0; bytes_max + 1];
    loop {
        if let Some(due) = times.next_if(|due| *due <= Instant::now()) {
            for text in &texts {
                match socket.send_to(text.as_bytes(), SocketAddr::from(target)).await {
                    Ok(_) => {}
                    Err(error) if due == began => return Err(error.kind()),
                    // A repetition; or the system tells what came of the last one.
                    Err(error) => debug!(%error, %target, "the question for cameras was not repeated"),
                }
            }
        }
        let next = times.peek().copied().unwrap_or(until).min(until);
        match timeout_at(next, socket.recv_from(&mut buffer)).await {
            Ok(Ok((bytes, SocketAddr::V4(from)))) => {
                let answer = buffer[..bytes].to_vec();
                if answers.send((asked, *from.ip(), answer)).await.is_err() {
                    return Ok(());
                }
            }
            Ok(Ok((_, SocketAddr::V6(_)))) => {}
            // What a machine without that port says of the question to it alone.
            Ok(Err(error)) => {
                debug!(%error, %target, "an answer could not be read");
                tokio::time::sleep(PAUSE).await;
            }
            Err(_) if next >= until => return Ok(()),
            Err(_) => {}
        }
    }
}

/// The networks to which this machine has a way without a router, and its own
/// address in each.
async fn networks(routes: &str, interfaces: Option<&BTreeSet<String>>) -> Vec<Network> {
    let mut found = BTreeSet::new();
    for (name, first, mask) in routes.lines().skip(1).filter_map(connected) {
        let is_wanted = interfaces.map_or(name != "lo", |names| names.contains(name));
        if !is_wanted || found.len() == NETWORKS_MAX {
            continue;
        }
        // Nothing is sent: the system says from where it would be.
        let Ok(socket) = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await else { continue };
        let somebody = Ipv4Addr::from_bits(first.to_bits() | 1);
        if socket.connect((somebody, 9)).await.is_ok()
            && let Ok(SocketAddr::V4(own)) = socket.local_addr()
        {
            found.insert(Network { own: *own.ip(), mask });
        }
    }
    found.into_iter().collect()
}

/// Of a line of `/proc/net/route` (`Iface Destination Gateway Flags RefCnt Use
/// Metric Mask …`) the interface, the network and its mask, if no router lies
/// between. Addresses stand there as the machine keeps them in memory.
fn connected(line: &str) -> Option<(&str, Ipv4Addr, Ipv4Addr)> {
    let mut fields = line.split_ascii_whitespace();
    let name = fields.next()?;
    let mut address = |skipped: usize| {
        let bits = u32::from_str_radix(fields.nth(skipped)?, 16).ok()?;
        Some(Ipv4Addr::from(bits.to_ne_bytes()))
    };
    let (first, router, mask) = (address(0)?, address(0)?, address(4)?);
    let is_network = router.is_unspecified() && !mask.is_unspecified() && mask != Ipv4Addr::BROADCAST;
    is_network.then_some((name, first, mask))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_those_without_a_router_in_between() {
        let line = |first: [u8; 4], router: [u8; 4], mask: [u8; 4]| {
            let hex = |bytes| format!("{:08X}", u32::from_ne_bytes(bytes));
            format!("eth0\t{}\t{}\t0001\t0\t0\t0\t{}\t0\t0\t0", hex(first), hex(router), hex(mask))
        };
        let none = [0; 4];
        let found = line([192, 0, 2, 0], none, [255, 255, 255, 0]);
        assert_eq!(connected(&found), Some(("eth0", [192, 0, 2, 0].into(), [255, 255, 255, 0].into())));
        for other in [
            line(none, [192, 0, 2, 1], none),
            line([198, 51, 100, 0], [192, 0, 2, 1], [255, 255, 255, 0]),
            line([192, 0, 2, 7], none, [255; 4]),
            "eth0 x".to_owned(),
            String::new(),
        ] {
            assert_eq!(connected(&other), None, "{other}");
        }
    }

    #[tokio::test]
    async fn who_is_set_to_look_for_nothing_says_so() {
        let off = DiscoverySection { targets: Vec::new(), ..DiscoverySection::default() };
        assert_eq!(find(&off, FindLimits::default()).await, Err(FindError::Off));
        let nowhere =
            DiscoverySection { interfaces: Some(["none".to_owned()].into()), ..DiscoverySection::default() };
        assert_eq!(find(&nowhere, FindLimits::default()).await, Err(FindError::NoNetwork));
    }
}
