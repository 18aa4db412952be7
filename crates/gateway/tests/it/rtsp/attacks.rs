//! Others on the machine and on the camera network.

use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use camera_sim::{Identity, Options};
use gateway::rtsp::testing::{Bridge, Upstream};
use gateway::rtsp::{Limits, RtspSource, SourceError, SourceEvent, Transport};
use model::{CameraAccess, Rendition};
use rustls::pki_types::PrivateKeyDer;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::time::timeout;

use super::scripted::{self, Answer, SDP};
use super::support::{connect, lost, next, options, pull, quick};

/// Another process, of another user where this one may become one, says hello to
/// the port and gives back what it heard.
async fn stranger(port: u16) -> Vec<u8> {
    let script = format!("exec 3<>/dev/tcp/127.0.0.1/{port}; printf hello >&3; cat <&3");
    let mut as_nobody = Command::new("runuser");
    as_nobody.args(["-u", "nobody", "--", "true"]).stderr(Stdio::null());
    let become_nobody = as_nobody.status().is_ok_and(|status| status.success());
    let mut command = Command::new(if become_nobody { "runuser" } else { "bash" });
    if become_nobody {
        command.args(["-u", "nobody", "--", "bash"]);
    }
    command.args(["-c", &script]).stdin(Stdio::null()).stderr(Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap());
    timeout(Duration::from_secs(20), output).await.expect("turned away at once").unwrap().stdout
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_other_process_reaches_the_bridge() {
    let camera = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = TcpStream::connect(camera.local_addr().unwrap()).await.unwrap();
    let (mut camera, _) = camera.accept().await.unwrap();
    let bridge = Bridge::open(Upstream::Plain(upstream), &Limits::default()).await.unwrap();
    camera.write_all(b"RTSP/1.0 200 OK\r\n\r\n").await.unwrap();

    assert_eq!(stranger(bridge.port()).await, b"", "a stranger hears nothing");
    let mut ours = TcpStream::connect(("127.0.0.1", bridge.port())).await.unwrap();
    let mut heard = [0; 19];
    ours.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"RTSP/1.0 200 OK\r\n\r\n", "we are served after the stranger");

    ours.write_all(b"ours").await.unwrap();
    let mut said = [0; 4];
    camera.read_exact(&mut said).await.unwrap();
    assert_eq!(&said, b"ours", "the stranger's hello never got to the camera");
    let late = TcpStream::connect(("127.0.0.1", bridge.port())).await;
    assert!(late.is_err(), "one connection, then the port is closed");
}

/// Shows a certificate that was copied, and signs with another key.
#[derive(Debug)]
struct Copied(Arc<CertifiedKey>);

impl ResolvesServerCert for Copied {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

#[tokio::test]
async fn a_copied_certificate_is_worth_nothing_without_its_key() {
    let certificate = |key: &rcgen::KeyPair| {
        let params = rcgen::CertificateParams::new(vec!["camera.local".into()]).unwrap();
        params.self_signed(key).unwrap().der().clone()
    };
    let [real, rogue] = [(); 2].map(|()| rcgen::KeyPair::generate().unwrap());
    let copied = certificate(&real);
    let pin = seal::sha256(&copied);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = PrivateKeyDer::Pkcs8(rogue.serialize_der().into());
    let key = provider.key_provider.load_private_key(key).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Copied(Arc::new(CertifiedKey::new(vec![copied], key)))));

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("rtsps://{}/main", listener.local_addr().unwrap()).parse().unwrap();
    let rogue = tokio::spawn(async move {
        let (tcp, _) = listener.accept().await.unwrap();
        tokio_rustls::TlsAcceptor::from(Arc::new(config)).accept(tcp).await.is_ok()
    });
    let camera = camera_sim::start(options()).await.unwrap();
    let access = CameraAccess { url, certificate: Some(pin), ..camera.access() };
    let error = lost(&access, &quick()).await;
    assert!(matches!(error, SourceError::Tls { .. }), "{error:?}");
    assert!(!rogue.await.unwrap(), "no connection came about");
}

/// What somebody in between does to the bytes from the camera.
#[derive(Clone, Copy, Debug)]
enum Meddling {
    /// Puts an RTP packet in.
    Inject,
    /// Changes one bit.
    Flip,
    /// Sends a stretch twice.
    Replay,
}

/// Passes bytes on, and meddles with the camera's from the 20th piece on.
async fn in_between(camera: SocketAddr, meddling: Meddling) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (client, _) = listener.accept().await.unwrap();
        let camera = TcpStream::connect(camera).await.unwrap();
        let (mut client_reads, mut client_writes) = client.into_split();
        let (mut camera_reads, mut camera_writes) = camera.into_split();
        tokio::spawn(async move {
            // The client hangs up, which is what the test wants.
            drop(tokio::io::copy(&mut client_reads, &mut camera_writes).await);
        });
        let mut piece = vec![0; 16 << 10];
        for n in 0.. {
            let Ok(length @ 1..) = camera_reads.read(&mut piece).await else { return };
            let mut sent = piece[..length].to_vec();
            match meddling {
                _ if n < 20 => {}
                Meddling::Inject => {
                    let packet = [&[b'$', 0, 0, 14, 0x80, 0xe0][..], &[0; 10], &[0x65, 0x88]].concat();
                    sent.splice(0..0, packet);
                }
                Meddling::Flip => sent[length / 2] ^= 1,
                Meddling::Replay => sent.extend_from_within(..),
            }
            if client_writes.write_all(&sent).await.is_err() {
                return;
            }
        }
    });
    addr
}

#[tokio::test]
async fn nobody_on_the_network_gets_a_picture_into_rtsps() {
    let rtsps = Some((([127, 0, 0, 1], 0).into(), Identity::generate().unwrap()));
    let camera = camera_sim::start(Options { rtsps, ..options() }).await.unwrap();
    for meddling in [Meddling::Inject, Meddling::Flip, Meddling::Replay] {
        let addr = in_between(camera.rtsps_addr.unwrap(), meddling).await;
        let url = format!("rtsps://{addr}/main").parse().unwrap();
        let access = CameraAccess { url, ..camera.rtsps_access().unwrap() };
        let mut source = connect(&access, &quick()).await.unwrap();
        pull(&mut source, 1).await;
        let error = loop {
            match next(&mut source).await {
                SourceEvent::AccessUnit(unit) => assert!(!unit.discontinuity, "{meddling:?}"),
                SourceEvent::Lost(error) => break error,
                other => panic!("{meddling:?}: {other:?}"),
            }
        };
        assert!(matches!(error, SourceError::Tls { .. }), "{meddling:?}: {error:?}");
    }
}

/// The end of a NAL unit whose beginning never came: it ends the stream that
/// takes it.
const BAD_PACKET: [u8; 16] = [0x80, 0xe0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 7, 0x7c, 0x05, 1, 2];

/// The camera names its own port; packets come from the sender's until the
/// stream has ended.
async fn lost_over_udp(camera: &UdpSocket, sender: &UdpSocket) -> SourceError {
    let server_port = camera.local_addr().unwrap().port();
    let (ports, mut asked) = tokio::sync::mpsc::unbounded_channel();
    let access = scripted::camera(move |request| {
        let asked = request.split("client_port=").nth(1).and_then(|rest| rest.split('-').next());
        let Some(asked) = asked else {
            return Answer { hang_up: false, ..scripted::playing(request, SDP.as_bytes(), b"") };
        };
        ports.send(asked.parse::<u16>().unwrap()).unwrap();
        let next = server_port.wrapping_add(1);
        let headers = format!(
            "Transport: RTP/AVP;unicast;client_port={asked}-1;server_port={server_port}-{next}\r\nSession: 1\r\n"
        );
        Answer { bytes: scripted::response(request, "200 OK", &headers, b""), hang_up: false }
    })
    .await;
    let limits = quick();
    let connecting = RtspSource::connect(&access, Rendition::Main, Transport::Udp, &limits);
    let mut source = Box::pin(connecting).await.unwrap();
    let port = asked.recv().await.unwrap();
    let sending = async {
        for sequence in 1.. {
            let mut packet = BAD_PACKET;
            packet[3] = sequence;
            sender.send_to(&packet, ("127.0.0.1", port)).await.unwrap();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::select! {
        event = next(&mut source) => match event {
            SourceEvent::Lost(error) => error,
            other => panic!("{other:?}"),
        },
        () = sending => panic!("the stream outlived its limits"),
    }
}

#[tokio::test]
async fn udp_is_taken_from_the_cameras_own_port_alone() {
    let camera = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let rogue = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let error = lost_over_udp(&camera, &rogue).await;
    assert!(matches!(error, SourceError::NoPacket { .. }), "{error:?}");
    let error = lost_over_udp(&camera, &camera).await;
    assert!(matches!(error, SourceError::BadStream { .. }), "{error:?}");
}
