//! Cameras that tell what they see, good and bad, against [`gateway::onvif`].

use std::time::{Duration, Instant};

use camera_sim::{Fault, Identity, OnvifAuth, OnvifOptions, Running};
use gateway::onvif::{Limits, Offer, OnvifAccess, OnvifError, Subscription, XmlError, fuzzing, probe};
use model::{CameraEvent, EventKind, EventPhase, Hash, Secret};
use proptest::prelude::*;
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::support::{access, camera, hear};

const MOTION: &str = "tns1:RuleEngine/CellMotionDetector/Motion";
const CROSSED: &str = "tns1:RuleEngine/LineDetector/Crossed";

/// For what is expected to fail by running out of time.
fn quick() -> Limits {
    Limits {
        answer: Duration::from_secs(3),
        poll: Duration::from_secs(1),
        goodbye: Duration::from_secs(1),
        ..Limits::default()
    }
}

async fn begin(camera: &Running) -> Result<Subscription, OnvifError> {
    Box::pin(Subscription::begin(&access(camera), &quick())).await
}

fn motion(phase: EventPhase) -> CameraEvent {
    let topic = "RuleEngine/CellMotionDetector/Motion".into();
    CameraEvent { kind: EventKind::Motion, phase, rule: Some("Yard".into()), topic }
}

/// Begins, hears motion begin and end, and gives the subscription back.
async fn hears_motion(camera: &Running, access: &OnvifAccess) {
    let mut subscription = Box::pin(Subscription::begin(access, &quick())).await.unwrap();
    camera.raise(MOTION, "Yard", Some(true));
    assert_eq!(hear(&mut subscription).await, [motion(EventPhase::Began)]);
    camera.raise(MOTION, "Yard", Some(false));
    assert_eq!(hear(&mut subscription).await, [motion(EventPhase::Ended)]);
    Box::pin(subscription.end()).await;
    assert_eq!(camera.pull_points().0, 0, "given back");
}

#[tokio::test]
async fn onvif_events_are_heard() {
    let camera = camera(OnvifOptions::default(), None).await;
    let offer = Box::pin(probe(&access(&camera), &quick())).await.unwrap();
    assert_eq!(offer, Offer { events: true, pull_points: true });
    assert_eq!(camera.pull_points(), (0, 1), "a probe leaves nothing behind");
    hears_motion(&camera, &access(&camera)).await;
}

#[tokio::test]
async fn onvif_states_that_last_are_told_at_the_beginning() {
    let camera = camera(OnvifOptions::default(), None).await;
    camera.raise(MOTION, "Yard", Some(true));
    camera.raise(MOTION, "Street", Some(false));
    let mut subscription = begin(&camera).await.unwrap();
    assert_eq!(hear(&mut subscription).await, [motion(EventPhase::Began)]);
    camera.raise(MOTION, "Yard", Some(true));
    camera.raise(CROSSED, "Gate", None);
    // It goes on, and something else happens.
    let told = hear(&mut subscription).await;
    let told: Vec<_> = told.iter().map(|event| (event.kind, event.phase)).collect();
    assert_eq!(told, [(EventKind::Motion, EventPhase::Began), (EventKind::Line, EventPhase::Happened)]);
}

#[tokio::test]
async fn onvif_with_a_clock_that_is_years_off_and_reference_parameters() {
    for clock_ahead in [-50 * 365 * 86_400, 7 * 3_600] {
        let options = OnvifOptions { clock_ahead, reference_parameters: true, ..OnvifOptions::default() };
        let camera = camera(options, None).await;
        hears_motion(&camera, &access(&camera)).await;
    }
}

#[tokio::test]
async fn onvif_by_http_digest_and_never_by_basic_in_the_clear() {
    for auth in [OnvifAuth::Md5, OnvifAuth::Sha256] {
        let camera = camera(OnvifOptions { auth, ..OnvifOptions::default() }, None).await;
        hears_motion(&camera, &access(&camera)).await;
    }
    let camera = camera(OnvifOptions { auth: OnvifAuth::Basic, ..OnvifOptions::default() }, None).await;
    assert_eq!(begin(&camera).await.unwrap_err(), OnvifError::BasicWithoutTls);
}

#[tokio::test]
async fn a_wrong_onvif_password_is_not_tried_over_and_over() {
    for auth in [OnvifAuth::UsernameToken, OnvifAuth::Md5] {
        let camera = camera(OnvifOptions { auth, ..OnvifOptions::default() }, None).await;
        for password in [Some("hunter3"), None] {
            let before = camera.onvif_requests();
            let access = OnvifAccess { password: password.map(Secret::new), ..access(&camera) };
            for error in [
                Box::pin(Subscription::begin(&access, &quick())).await.unwrap_err(),
                Box::pin(probe(&access, &quick())).await.unwrap_err(),
            ] {
                assert_eq!(error, OnvifError::Unauthorized);
            }
            assert!(camera.onvif_requests() - before <= 2 * 3, "the clock, once, and once with a challenge");
        }
    }
}

#[tokio::test]
async fn onvif_addresses_that_a_camera_names_lead_nowhere_else() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let named = Some(format!("http://{}", elsewhere.local_addr().unwrap()));
    let nobody_came = async || {
        let came = timeout(Duration::from_millis(200), elsewhere.accept()).await;
        assert!(came.is_err(), "the gateway talked to whom the camera named");
    };
    for reference_parameters in [false, true] {
        let options = OnvifOptions { named: named.clone(), reference_parameters, ..OnvifOptions::default() };
        let camera = camera(options, None).await;
        hears_motion(&camera, &access(&camera)).await;
        nobody_came().await;
        camera.set_fault(Some(Fault::OnvifRedirect));
        let error = begin(&camera).await.unwrap_err();
        assert_eq!(error, OnvifError::Redirected { step: "GetSystemDateAndTime" });
        nobody_came().await;
    }
}

#[tokio::test]
async fn onvif_over_https_with_a_pin_or_not_at_all() {
    let tls = Some(Identity::generate().unwrap());
    let found = tls.as_ref().unwrap().fingerprint();
    let camera = camera(OnvifOptions { tls, auth: OnvifAuth::Basic, ..OnvifOptions::default() }, None).await;
    let with = |certificate| OnvifAccess { certificate, ..access(&camera) };
    // Inside TLS to whom we know, even Basic may go.
    hears_motion(&camera, &with(Some(found))).await;

    let before = camera.onvif_requests();
    let pinned = Hash([7; 32]);
    let refused =
        async |access: OnvifAccess| Box::pin(Subscription::begin(&access, &quick())).await.unwrap_err();
    assert_eq!(refused(with(Some(pinned))).await, OnvifError::WrongCertificate { found, pinned });
    assert_eq!(refused(with(None)).await, OnvifError::NoPin);
    let plain = with(Some(found)).url.as_str().replace("https:", "http:").parse().unwrap();
    assert_eq!(refused(OnvifAccess { url: plain, ..with(Some(found)) }).await, OnvifError::PinWithoutTls);
    assert_eq!(camera.onvif_requests(), before, "nothing was said");
}

#[tokio::test]
async fn every_onvif_fault_is_an_error_that_says_why() {
    type Expected = fn(&OnvifError) -> bool;
    let rows: [(Fault, Expected); 6] = [
        (Fault::OnvifCutOff, |e| matches!(e, OnvifError::Xml(XmlError::CutOff | XmlError::Malformed { .. }))),
        (Fault::OnvifEntities, |e| *e == OnvifError::Xml(XmlError::DocumentType)),
        (Fault::OnvifHuge, |e| matches!(e, OnvifError::AnswerTooLong { bytes: 1_048_576, .. })),
        (Fault::OnvifForgets, |e| matches!(e, OnvifError::Fault { code, .. } if code == "ResourceUnknown")),
        (Fault::WrongPassword, |e| *e == OnvifError::Unauthorized),
        (Fault::NoAnswer, |e| matches!(e, OnvifError::AnswerTimeout { step: "PullMessages", .. })),
    ];
    for (fault, expected) in rows {
        let camera = camera(OnvifOptions::default(), None).await;
        let mut subscription = begin(&camera).await.unwrap();
        camera.set_fault(Some(fault));
        let error = subscription.next().await.unwrap_err();
        assert!(expected(&error), "{fault}: {error:?}");
        if fault != Fault::OnvifForgets {
            let error = begin(&camera).await.unwrap_err();
            assert!(!error.to_string().is_empty());
        }
        // Giving it back ends, whatever the camera does.
        timeout(Duration::from_secs(10), Box::pin(subscription.end())).await.expect("bounded");
    }
}

#[tokio::test]
async fn an_onvif_flood_is_cut_and_silence_is_no_busy_loop() {
    let camera = camera(OnvifOptions::default(), Some(Fault::OnvifFlood)).await;
    let mut subscription = begin(&camera).await.unwrap();
    assert_eq!(subscription.next().await.unwrap().len(), Limits::default().messages);

    camera.set_fault(Some(Fault::OnvifNothing));
    let (before, began) = (camera.onvif_requests(), Instant::now());
    for _ in 0..4 {
        assert_eq!(subscription.next().await.unwrap(), []);
    }
    assert!(began.elapsed() >= 3 * Limits::default().pause_empty);
    assert_eq!(camera.onvif_requests() - before, 4);
}

#[tokio::test]
async fn an_onvif_subscription_is_renewed_or_made_anew() {
    for (fault, made) in [(None, 1), (Some(Fault::OnvifNoRenew), 2)] {
        let camera = camera(OnvifOptions::default(), fault).await;
        let limits = Limits { lifetime: Duration::from_secs(4), ..quick() };
        let mut subscription = Box::pin(Subscription::begin(&access(&camera), &limits)).await.unwrap();
        camera.raise(MOTION, "Yard", Some(true));
        assert_eq!(hear(&mut subscription).await, [motion(EventPhase::Began)]);
        let until = Instant::now() + Duration::from_secs(5);
        while Instant::now() < until {
            let told = subscription.next().await.unwrap();
            assert!(told.iter().all(|event| *event == motion(EventPhase::Began)), "it goes on");
        }
        let (points, ever) = camera.pull_points();
        assert_eq!(points, 1, "{fault:?}: it lives longer than it was made for");
        assert!(if fault.is_none() { ever == made } else { ever >= made }, "{fault:?}: {ever}");
        camera.raise(MOTION, "Yard", Some(false));
        assert_eq!(hear(&mut subscription).await, [motion(EventPhase::Ended)]);
    }
}

#[tokio::test]
async fn an_onvif_subscription_that_was_good_is_made_anew() {
    let camera = camera(OnvifOptions::default(), None).await;
    let limits = Limits { subscription_good_after: Duration::ZERO, ..quick() };
    let mut subscription = Box::pin(Subscription::begin(&access(&camera), &limits)).await.unwrap();
    camera.set_fault(Some(Fault::OnvifForgets));
    assert_eq!(subscription.next().await.unwrap(), []);
    camera.set_fault(None);
    camera.raise(MOTION, "Yard", Some(true));
    assert_eq!(hear(&mut subscription).await, [motion(EventPhase::Began)]);
    assert_eq!(camera.pull_points(), (1, 2));
}

fn assert_clean(text: &str) {
    assert!(!text.contains("hunter2") && !text.contains("YWRtaW46aHVudGVyMg"), "{text}");
    let is_of_token = |c: char| c.is_ascii_alphanumeric() || "+/=".contains(c);
    let tokens = text.split(|c| !is_of_token(c)).filter(|word| word.len() >= 20);
    for token in tokens {
        assert!(token.bytes().all(|b| b.is_ascii_alphabetic()), "a nonce or digest: {token}");
    }
}

#[tokio::test]
async fn no_onvif_credentials_in_any_text_not_even_when_a_camera_sends_them_back() {
    for auth in [OnvifAuth::UsernameToken, OnvifAuth::Sha256] {
        let camera = camera(OnvifOptions { auth, ..OnvifOptions::default() }, None).await;
        let access = access(&camera);
        assert_clean(&format!("{access:?}"));
        let mut subscription = begin(&camera).await.unwrap();
        for text in [format!("{subscription:?}"), format!("{camera:?}")] {
            assert!(!text.contains("hunter2"), "{text}");
        }
        camera.set_fault(Some(Fault::OnvifEcho));
        let error = subscription.next().await.unwrap_err();
        assert!(matches!(&error, OnvifError::Fault { code, .. } if code == "Echo"), "{error:?}");
        assert_clean(&format!("{error} {error:?}"));
    }
}

#[tokio::test]
async fn what_speaks_no_onvif_is_told_from_what_is_gone() {
    let camera = camera(OnvifOptions::default(), None).await;
    let url = |text: String| OnvifAccess { url: text.parse().unwrap(), ..access(&camera) };
    let error = Box::pin(probe(&url(format!("http://{}/", camera.addr)), &quick())).await.unwrap_err();
    assert!(matches!(error, OnvifError::Closed { .. } | OnvifError::AnswerTimeout { .. }), "{error:?}");
    let gone = access(&camera);
    camera.shutdown().await;
    let error = Box::pin(probe(&gone, &quick())).await.unwrap_err();
    assert!(matches!(error, OnvifError::Connect { .. }), "{error:?}");
}

/// Pieces of answers, and bytes between them.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(&b"<s:Envelope xmlns:s='http://www.w3.org/2003/05/soap-envelope'><s:Body>"[..]),
        Just(&b"<p:PullMessagesResponse xmlns:p='http://www.onvif.org/ver10/events/wsdl'>"[..]),
        Just(
            &b"<n:NotificationMessage xmlns:n='http://docs.oasis-open.org/wsn/b-2'><n:Topic>RuleEngine/"[..]
        ),
        Just(&b"</n:Topic><n:Message><t:Message xmlns:t='http://www.onvif.org/ver10/schema'><t:Data>"[..]),
        Just(&b"<t:SimpleItem Name='State' Value='true'/>"[..]),
        Just(&b"</t:Data></t:Message></n:Message></n:NotificationMessage>"[..]),
        Just(&b"</p:PullMessagesResponse></s:Body></s:Envelope>"[..]),
        Just(&b"&amp;&#0;&x;"[..]),
        Just(&b"<![CDATA["[..]),
        Just(&b"Digest realm=\"a\", nonce=b, "[..]),
    ];
    let piece = prop_oneof![piece.prop_map(<[u8]>::to_vec), prop::collection::vec(any::<u8>(), 0..12)];
    prop::collection::vec(piece, 0..16).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn onvif_answers_take_any_bytes(data in bytes()) {
        fuzzing::fuzz_answer(&data);
        fuzzing::fuzz_discovery(&data);
    }
}

#[test]
fn the_discovery_seeds_of_the_fuzzer_pass() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/discovery");
    let seeds: Vec<_> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    assert!(seeds.len() >= 3);
    for seed in seeds {
        fuzzing::fuzz_discovery(&std::fs::read(seed).unwrap());
    }
}

#[test]
fn the_onvif_seeds_of_the_fuzzer_pass() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/onvif");
    let seeds: Vec<_> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    assert!(seeds.len() >= 4);
    for seed in seeds {
        fuzzing::fuzz_answer(&std::fs::read(seed).unwrap());
    }
}
