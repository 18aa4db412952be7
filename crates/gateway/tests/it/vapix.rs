//! Cameras that stream what they see, as those of Axis do, good and bad, against
//! [`gateway::onvif::EventStream`].

use std::time::Duration;

use camera_sim::{Fault, Identity, OnvifAuth, OnvifOptions, Options, Running};
use gateway::onvif::{EventStream, Limits, OnvifAccess, OnvifError, fuzzing, probe_stream};
use model::{CameraEvent, EventKind, EventPhase, Hash, Secret};
use proptest::prelude::*;
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::rtsp::support::pictures;
use crate::support::{self, hear};

const PORT: &str = "tns1:Device/tnsaxis:IO/Port";

/// For what is quiet.
fn patient() -> Limits {
    Limits { poll: Duration::from_secs(1), ..Limits::default() }
}

/// For what is expected to fail by running out of time, and for nothing else.
fn quick() -> Limits {
    Limits { answer: Duration::from_secs(2), ..patient() }
}

async fn camera(onvif_options: OnvifOptions, fault: Option<Fault>) -> Running {
    support::camera(OnvifOptions { vapix: true, ..onvif_options }, fault).await
}

/// At its event stream.
fn access(camera: &Running) -> OnvifAccess {
    OnvifAccess { url: camera.stream_url().unwrap().parse().unwrap(), ..support::access(camera) }
}

async fn begin(camera: &Running) -> Result<EventStream, OnvifError> {
    Box::pin(EventStream::begin(&access(camera), &patient())).await
}

fn input(phase: EventPhase) -> CameraEvent {
    CameraEvent { kind: EventKind::Input, phase, rule: Some("1".into()), topic: "Device/IO/Port".into() }
}

async fn hears_an_input(camera: &Running, access: &OnvifAccess) {
    let mut stream = Box::pin(EventStream::begin(access, &patient())).await.unwrap();
    camera.raise(PORT, "1", Some(true));
    assert_eq!(hear(&mut stream).await, [input(EventPhase::Began)]);
    camera.raise(PORT, "1", Some(false));
    assert_eq!(hear(&mut stream).await, [input(EventPhase::Ended)]);
}

#[tokio::test]
async fn a_stream_of_events_is_heard_by_digest_and_never_by_basic_in_the_clear() {
    for auth in [OnvifAuth::Md5, OnvifAuth::Sha256] {
        let camera = camera(OnvifOptions { auth, ..OnvifOptions::default() }, None).await;
        assert_eq!(Box::pin(probe_stream(&access(&camera), &patient())).await, Ok(()));
        hears_an_input(&camera, &access(&camera)).await;
    }
    let camera = camera(OnvifOptions { auth: OnvifAuth::Basic, ..OnvifOptions::default() }, None).await;
    assert_eq!(begin(&camera).await.unwrap_err(), OnvifError::BasicWithoutTls);
}

#[tokio::test]
async fn what_lasts_is_told_at_the_beginning_and_what_is_quiet_lives() {
    let camera = camera(OnvifOptions::default(), None).await;
    camera.raise(PORT, "1", Some(true));
    camera.raise("tns1:Device/tnsaxis:Status/SystemReady", "x", Some(true));
    let mut stream = begin(&camera).await.unwrap();
    assert_eq!(hear(&mut stream).await, [input(EventPhase::Began)]);
    // Each is a question for a sign of life, which comes.
    for _ in 0..3 {
        assert_eq!(stream.next().await.unwrap(), []);
    }
    camera.raise(PORT, "1", Some(false));
    assert_eq!(hear(&mut stream).await, [input(EventPhase::Ended)]);
    drop(stream);
    let left = async {
        while camera.pull_points().0 > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(10), left).await.expect("the camera is rid of us");
}

#[tokio::test]
async fn a_wrong_password_of_a_stream_is_not_tried_over_and_over() {
    let camera = camera(OnvifOptions::default(), None).await;
    for (password, requests) in [(Some("hunter3"), 2), (None, 1)] {
        let before = camera.onvif_requests();
        let access = OnvifAccess { password: password.map(Secret::new), ..access(&camera) };
        let error = Box::pin(EventStream::begin(&access, &patient())).await.unwrap_err();
        assert_eq!(error, OnvifError::Unauthorized);
        assert_eq!(camera.onvif_requests() - before, requests, "once, and once with a challenge");
    }
}

#[tokio::test]
async fn a_stream_over_https_with_a_pin_or_not_at_all() {
    let tls = Some(Identity::generate().unwrap());
    let found = tls.as_ref().unwrap().fingerprint();
    let camera = camera(OnvifOptions { tls, auth: OnvifAuth::Basic, ..OnvifOptions::default() }, None).await;
    let with = |certificate| OnvifAccess { certificate, ..access(&camera) };
    // Inside TLS to whom we know, even Basic may go.
    hears_an_input(&camera, &with(Some(found))).await;
    let before = camera.onvif_requests();
    let pinned = Hash([7; 32]);
    let refused =
        async |access: OnvifAccess| Box::pin(EventStream::begin(&access, &patient())).await.unwrap_err();
    assert_eq!(refused(with(Some(pinned))).await, OnvifError::WrongCertificate { found, pinned });
    assert_eq!(refused(with(None)).await, OnvifError::NoPin);
    let plain = with(Some(found)).url.as_str().replace("https:", "http:").parse().unwrap();
    assert_eq!(refused(OnvifAccess { url: plain, ..with(Some(found)) }).await, OnvifError::PinWithoutTls);
    assert_eq!(camera.onvif_requests(), before, "nothing was said");
}

#[tokio::test]
async fn every_fault_of_a_stream_is_an_error_that_says_why() {
    type Expected = fn(&OnvifError) -> bool;
    let rows: [(Fault, Expected); 7] = [
        (Fault::VapixRefuses, |e| matches!(e, OnvifError::Fault { code, .. } if code == "2105")),
        (Fault::VapixSilent, |e| matches!(e, OnvifError::AnswerTimeout { step: "a ping", .. })),
        (Fault::VapixGarbage, |e| matches!(e, OnvifError::BadAnswer { .. })),
        (Fault::VapixHuge, |e| matches!(e, OnvifError::AnswerTooLong { bytes: 262_144, .. })),
        (Fault::WrongPassword, |e| *e == OnvifError::Unauthorized),
        (Fault::NoAnswer, |e| matches!(e, OnvifError::AnswerTimeout { .. })),
        (Fault::OnvifRedirect, |e| matches!(e, OnvifError::Redirected { .. })),
    ];
    for (fault, expected) in rows {
        let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let named = Some(format!("http://{}", elsewhere.local_addr().unwrap()));
        let camera = camera(OnvifOptions { named, ..OnvifOptions::default() }, Some(fault)).await;
        let limits =
            if fault == Fault::NoAnswer || fault == Fault::VapixSilent { quick() } else { patient() };
        let error = match Box::pin(EventStream::begin(&access(&camera), &limits)).await {
            Err(error) => error,
            Ok(mut stream) => loop {
                if let Err(error) = stream.next().await {
                    break error;
                }
            },
        };
        assert!(expected(&error), "{fault}: {error:?}");
        let text = format!("{error} {error:?}");
        assert!(!text.contains("hunter2") && text.len() < 400, "{text}");
        let came = timeout(Duration::from_millis(100), elsewhere.accept()).await;
        assert!(came.is_err(), "the gateway talked to whom the camera named");
    }
}

#[tokio::test]
async fn a_flooding_stream_is_read_in_bounded_pieces() {
    let camera = camera(OnvifOptions::default(), Some(Fault::VapixFlood)).await;
    let mut stream = begin(&camera).await.unwrap();
    for _ in 0..5 {
        let told = stream.next().await.unwrap();
        assert!((1..=Limits::default().messages).contains(&told.len()), "{}", told.len());
    }
}

#[tokio::test]
async fn what_tells_nothing_is_read_no_faster_than_what_tells() {
    let camera = camera(OnvifOptions::default(), Some(Fault::VapixNoise)).await;
    let mut stream = begin(&camera).await.unwrap();
    let mut calls = 1;
    while stream.next().await.unwrap().is_empty() {
        calls += 1;
    }
    assert!(calls >= 1_000 / Limits::default().messages, "{calls}");
}

#[tokio::test]
async fn what_was_told_before_a_stream_broke_off_is_heard() {
    let camera = camera(OnvifOptions::default(), Some(Fault::VapixBreaksOff)).await;
    let mut stream = begin(&camera).await.unwrap();
    let told = hear(&mut stream).await;
    assert_eq!((told[0].kind, told[0].phase), (EventKind::Line, EventPhase::Happened));
    assert!(matches!(stream.next().await, Err(OnvifError::BadAnswer { .. })));
}

#[tokio::test]
async fn what_streams_nothing_is_told_from_what_is_gone() {
    let options = Options {
        main: pictures(),
        sub: None,
        onvif: Some(([127, 0, 0, 1], 0).into()),
        ..Options::default()
    };
    let camera = camera_sim::start(options).await.unwrap();
    let url = camera.onvif_url().unwrap().replace("/onvif/device_service", "/vapix/ws-data-stream");
    let access = OnvifAccess { url: url.parse().unwrap(), username: None, password: None, certificate: None };
    let error = Box::pin(EventStream::begin(&access, &patient())).await.unwrap_err();
    assert!(matches!(error, OnvifError::Status { status: 404, .. }), "{error:?}");
    camera.shutdown().await;
    let error = Box::pin(EventStream::begin(&access, &patient())).await.unwrap_err();
    assert!(matches!(error, OnvifError::Connect { .. }), "{error:?}");
}

proptest! {
    #[test]
    fn a_stream_takes_any_bytes(
        pieces in prop::collection::vec(prop_oneof![
            Just(&br#"{"method":"events:notify","params":{"notification":{"topic":"tns1:Device/IO/Port","message":"#[..]),
            Just(&br#"{"source":{"port":"1"},"data":{"state":"1"}}}}}"#[..]),
            Just(&b"\n"[..]),
            Just(&b"\xff\xe2\x80\xae\""[..]),
        ], 0..12),
        data in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        fuzzing::fuzz_stream(&[pieces.concat(), data].concat());
    }
}

proptest! {
    #[test]
    fn what_is_said_of_positions_may_be_any_bytes(
        pieces in prop::collection::vec(prop_oneof![
            Just(&b"Preset Positions for camera 1\r\n"[..]),
            Just(&b"presetposno1=Gate\r\n"[..]),
            Just(&b"root.Properties.PTZ.PTZ=yes\n"[..]),
            Just(&b"root.PTZ.Support.S1.ContinuousPan=true\n"[..]),
            Just(&b"Error:\r\n"[..]),
            Just(&b"\xff\xe2\x80\xae="[..]),
        ], 0..12),
        data in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        fuzzing::fuzz_positions(&[pieces.concat(), data].concat());
    }
}

#[test]
fn the_seeds_of_the_fuzzer_pass() {
    type Target = (&'static str, fn(&[u8]));
    const TARGETS: [Target; 2] = [("vapix", fuzzing::fuzz_stream), ("vapix_ptz", fuzzing::fuzz_positions)];
    for (target, fuzz) in TARGETS {
        let folder = format!("{}/../../fuzz/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
        let seeds: Vec<_> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
        assert!(seeds.len() >= 2);
        for seed in seeds {
            fuzz(&std::fs::read(seed).unwrap());
        }
    }
}
