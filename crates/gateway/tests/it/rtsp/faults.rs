//! A bad camera harms its own stream and nobody else's, and its error says what
//! a person can do.

use camera_sim::{Fault, Options};
use gateway::rtsp::{Backoff, Limits, SourceError, SourceEvent, test_camera};
use model::wire::GapReason;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

use super::support::{connect, lost, next, options, pull, quick, unit};

type Expected = fn(&SourceError) -> bool;

/// Fault, pictures before it, error, reason of the gap.
const ROWS: [(Fault, u64, Expected, GapReason); 18] = {
    use GapReason::{BadStream, CameraRefused, CameraUnreachable, Stalled};
    [
        (Fault::NoAnswer, 0, |e| matches!(e, SourceError::AnswerTimeout { .. }), CameraUnreachable),
        (Fault::EndlessHead, 0, |e| matches!(e, SourceError::Message(_)), BadStream),
        (Fault::Busy, 0, |e| matches!(e, SourceError::Refused { status: 503, .. }), CameraRefused),
        (Fault::WrongPassword, 0, |e| *e == SourceError::Unauthorized, CameraRefused),
        (
            Fault::SdpNoVideo,
            0,
            |e| matches!(e, SourceError::NoVideo { offered } if offered == "video/jpeg, audio/pcmu"),
            BadStream,
        ),
        (Fault::SdpWrongCodec, 0, |e| matches!(e, SourceError::BadStream { .. }), BadStream),
        (Fault::SdpGarbage, 0, |e| matches!(e, SourceError::BadStream { .. }), BadStream),
        (Fault::SdpHuge, 0, |e| matches!(e, SourceError::Message(_)), BadStream),
        (Fault::NoKeyFrame, 0, |e| matches!(e, SourceError::NoKeyFrame { .. }), BadStream),
        (Fault::Stall, 0, |e| matches!(e, SourceError::NoPacket { .. }), Stalled),
        (Fault::Stall, 10, |e| matches!(e, SourceError::Stalled { .. }), Stalled),
        (Fault::Garbage, 0, |e| matches!(e, SourceError::Message(_)), BadStream),
        (Fault::Garbage, 10, |e| matches!(e, SourceError::Message(_)), BadStream),
        (Fault::GarbagePackets, 10, |e| matches!(e, SourceError::BadStream { .. }), BadStream),
        (Fault::Flood, 10, |e| matches!(e, SourceError::Flood { .. }), BadStream),
        (Fault::EndlessUnit, 10, |e| matches!(e, SourceError::AccessUnitTooLong { .. }), BadStream),
        (Fault::Disconnect, 0, |e| *e == SourceError::Closed, CameraUnreachable),
        (Fault::Disconnect, 10, |e| *e == SourceError::Closed, CameraUnreachable),
    ]
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_ends_its_own_stream_and_says_why() {
    let good = camera_sim::start(options()).await.unwrap();
    let mut neighbour = connect(&good.access(), &Limits::default()).await.unwrap();
    pull(&mut neighbour, 1).await;

    let mut faults = JoinSet::new();
    for (fault, fault_after, expected, reason) in ROWS {
        faults.spawn(async move {
            let options = Options { fault: Some(fault), fault_after, audio: true, ..options() };
            let camera = camera_sim::start(options).await.unwrap();
            let error = lost(&camera.access(), &quick()).await;
            assert!(expected(&error), "{fault} after {fault_after}: {error:?}");
            assert_eq!(error.gap_reason(), reason, "{fault}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        });
    }
    let mut running = ROWS.len();
    while running > 0 {
        tokio::select! {
            ended = faults.join_next() => {
                ended.expect("some are left").unwrap();
                running -= 1;
            }
            unit = unit(&mut neighbour) => assert!(!unit.discontinuity),
        }
    }
}

#[tokio::test]
async fn late_answers_in_pieces_are_answers() {
    let camera = camera_sim::start(Options { fault: Some(Fault::SlowAnswers), ..options() }).await.unwrap();
    let mut source = connect(&camera.access(), &Limits::default()).await.unwrap();
    pull(&mut source, 3).await;
}

#[tokio::test]
async fn questions_of_the_camera_do_not_hold_pictures_up() {
    let camera = camera_sim::start(Options { fault: Some(Fault::Questions), ..options() }).await.unwrap();
    // Three seconds of pictures; a source that slept until its limit would
    // take six times ten.
    let limits = Limits { stall: Duration::from_secs(10), ..Limits::default() };
    let mut source = connect(&camera.access(), &limits).await.unwrap();
    let pulling = pull(&mut source, 60);
    tokio::time::timeout(Duration::from_secs(25), pulling).await.expect("pictures at their pace");
}

#[tokio::test]
async fn a_camera_that_comes_back_is_watched_again() {
    let camera = camera_sim::start(options()).await.unwrap();
    let (access, addr) = (camera.access(), camera.addr);
    let mut source = connect(&access, &quick()).await.unwrap();
    pull(&mut source, 2).await;
    camera.shutdown().await;
    loop {
        match next(&mut source).await {
            SourceEvent::AccessUnit(_) => {}
            other => {
                assert_eq!(other, SourceEvent::Lost(SourceError::Closed));
                break;
            }
        }
    }

    let mut backoff = Backoff::new();
    let mut camera = None;
    let mut waits = Vec::new();
    let mut source = loop {
        match connect(&access, &quick()).await {
            Ok(source) => break source,
            Err(error) => {
                assert!(matches!(error, SourceError::Connect { .. }), "{error:?}");
                let jitter = u8::try_from(waits.len() * 40).unwrap();
                waits.push(backoff.after_failure(Duration::ZERO, jitter));
                tokio::time::sleep(*waits.last().unwrap()).await;
            }
        }
        if waits.len() == 2 {
            camera = Some(camera_sim::start(Options { listen: addr, ..options() }).await.unwrap());
        }
    };
    assert!(camera.is_some() && waits[1] > waits[0], "{waits:?}");
    let (_, _, units) = pull(&mut source, 2).await;
    assert!(units[0].key_frame && units[0].discontinuity, "a run begins with a mark");
}

#[tokio::test]
async fn a_connection_test_reports_both_streams_or_why_not() {
    let camera =
        camera_sim::start(Options { sub: Some(super::support::pictures()), audio: true, ..options() })
            .await
            .unwrap();
    let mut access = camera.access();
    let report = test_camera(&access, &quick()).await.unwrap();
    assert_eq!((report.main.width, report.main.height), (320, 180));
    assert!(report.main.video_codec.starts_with("avc1."));
    assert_eq!(report.sub.unwrap().audio_codec.as_deref(), Some("ulaw"));

    access.password = None;
    assert_eq!(test_camera(&access, &quick()).await, Err(SourceError::Unauthorized));
    access.url = format!("rtsp://{}/attic", camera.addr).parse().unwrap();
    access.password = camera.access().password;
    assert_eq!(test_camera(&access, &quick()).await, Err(SourceError::NotFound { status: 404 }));
    let began = Instant::now();
    // TEST-NET-1, RFC 5737: nobody answers.
    access.url = "rtsp://192.0.2.1/".parse().unwrap();
    let limits = Limits { connect: Duration::from_millis(300), ..quick() };
    let error = test_camera(&access, &limits).await.unwrap_err();
    assert_eq!(error.gap_reason(), GapReason::CameraUnreachable, "{error:?}");
    assert!(began.elapsed() < Duration::from_secs(20));
}
