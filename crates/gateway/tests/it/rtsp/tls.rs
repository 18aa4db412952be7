//! RTSPS: a pin, or nothing at all.

use std::time::Duration;

use camera_sim::{Identity, Options, Running};
use gateway::rtsp::{Limits, RtspSource, SourceError, Transport, probe_certificate};
use model::{CameraAccess, Hash, Rendition};

use super::support::{connect, lost, options, pull, quick};

async fn camera() -> Running {
    let rtsps = Some((([127, 0, 0, 1], 0).into(), Identity::generate().unwrap()));
    camera_sim::start(Options { rtsps, ..options() }).await.unwrap()
}

#[tokio::test]
async fn a_pinned_camera_is_watched_with_digest() {
    let camera = camera().await;
    let address = camera.rtsps_addr.unwrap();
    let found = probe_certificate("127.0.0.1", address.port(), &quick()).await.unwrap();
    assert_eq!(Some(found), camera.certificate());
    assert_eq!(camera.requests(), 0, "a probe asks for nothing");
    let access = camera.rtsps_access().unwrap();
    let mut source = connect(&access, &Limits::default()).await.unwrap();
    let (_, _, units) = pull(&mut source, 10).await;
    assert!(units[0].key_frame);
}

#[tokio::test]
async fn another_certificate_is_refused_before_anything_is_said() {
    let camera = camera().await;
    let pinned = Hash([7; 32]);
    let access = CameraAccess { certificate: Some(pinned), ..camera.rtsps_access().unwrap() };
    let error = lost(&access, &quick()).await;
    let found = camera.certificate().unwrap();
    assert_eq!(error, SourceError::WrongCertificate { found, pinned });
    assert!(error.to_string().contains(&found.to_string()), "the person can compare: {error}");
    assert_eq!(camera.requests(), 0);
}

#[tokio::test]
async fn neither_tls_without_a_pin_nor_a_pin_without_tls() {
    let camera = camera().await;
    let unpinned = CameraAccess { certificate: None, ..camera.rtsps_access().unwrap() };
    assert_eq!(lost(&unpinned, &quick()).await, SourceError::NoPin);
    let plain = CameraAccess { certificate: camera.certificate(), ..camera.access() };
    assert_eq!(lost(&plain, &quick()).await, SourceError::PinWithoutTls);
    assert_eq!(camera.requests(), 0);
}

#[tokio::test]
async fn never_udp() {
    let camera = camera().await;
    let access = camera.rtsps_access().unwrap();
    let limits = quick();
    let connecting = RtspSource::connect(&access, Rendition::Main, Transport::Udp, &limits);
    assert_eq!(Box::pin(connecting).await.unwrap_err(), SourceError::UdpWithTls);
    assert_eq!(camera.requests(), 0);
}

#[tokio::test]
async fn a_camera_that_speaks_no_tls_is_told_from_one_that_is_gone() {
    let camera = camera().await;
    let plain = format!("rtsps://{}/main", camera.addr).parse().unwrap();
    let access = CameraAccess { url: plain, ..camera.rtsps_access().unwrap() };
    let error = lost(&access, &Limits { connect: Duration::from_secs(1), ..quick() }).await;
    assert_eq!(error, SourceError::AnswerTimeout { step: "the TLS handshake", seconds: 1 });
    assert_eq!(camera.requests(), 0);
}
