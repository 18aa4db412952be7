//! A camera of Axis that somebody moves: what the app sees of it is what it sees
//! of any other, and what goes wrong there does no more harm.

use std::time::Duration;

use camera_sim::{Credentials, Fault, Identity, OnvifAuth, OnvifOptions, PtzFault};
use model::wire::{FromGateway, PtzRefusal};
use model::{CameraAccess, Hash, OnvifUrl, Secret};
use seal::ptz::{Movement, PtzSession};

use super::ptz::{RIGHT, answered, asks, open, options, sent};
use super::{Site, until};

const PASSWORD: &str = "hunter2";

/// With a password, and over TLS where it has a certificate.
fn axis(ptz_fault: Option<PtzFault>, fault: Option<Fault>) -> camera_sim::Options {
    let mut options = options(ptz_fault);
    options.credentials = Some(Credentials { username: "admin".into(), password: Secret::new(PASSWORD) });
    options.onvif_options = OnvifOptions { vapix: true, ..options.onvif_options };
    options.fault = fault;
    options
}

/// Added by the address of its event stream.
fn access(site: &Site) -> CameraAccess {
    let stream = OnvifUrl::parse(&site.simulated.stream_url().unwrap()).unwrap();
    CameraAccess { onvif_url: Some(stream), ..site.simulated.access() }
}

async fn site_with(options: camera_sim::Options) -> Site {
    let mut site = Site::enrolled().await;
    site.simulated = camera_sim::start(options).await.unwrap();
    let access = access(&site);
    let result = site.put_camera(&access).await;
    assert!(result.ok, "{:?}", result.error);
    site.bind_camera();
    site
}

/// Why the camera could not be opened.
async fn refused(site: &Site) -> String {
    let ask = asks(site);
    until("the gateway answers", || answered(site, ask).is_some()).await;
    match answered(site, ask) {
        Some(FromGateway::AskFailed { reason, .. }) => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_camera_of_axis_is_moved_and_stops_by_itself() {
    for auth in [OnvifAuth::Md5, OnvifAuth::Sha256] {
        let mut options = axis(None, None);
        options.onvif_options.auth = auth;
        let site = site_with(options).await;
        let mut hand = open(&site).await;
        let PtzSession { pan_tilt, zoom, home, .. } = hand.session;
        assert!(pan_tilt && zoom && home);
        assert_eq!(hand.session.presets.len(), 1, "{:?}", hand.session.presets);
        let slowly = Movement::Move { pan: -1, tilt: 1_000, zoom: 1_000 };
        assert_eq!(hand.moves(slowly).await, None);
        assert!(site.simulated.position().1, "it moves");
        // Nobody orders it again, and the camera itself would go on.
        until("the camera stops", || !site.simulated.position().1).await;
        let at = site.simulated.position().0;
        assert!(at.pan < 0.0 && at.tilt > 0.1 && at.zoom > 0.1, "{at:?}");
        assert_eq!(hand.moves(RIGHT).await, None);
        assert_eq!(hand.moves(Movement::Stop).await, None);
        assert!(!site.simulated.position().1, "it was let go");

        let gate = hand.session.presets[0].token.clone();
        assert_eq!(hand.moves(Movement::GoTo { preset: gate }).await, None);
        assert_eq!(site.simulated.position().0.pan, 0.6);
        // A name that would be another order, if it were not one value of the query.
        let name = "Wall <1>&move=home#ü";
        assert_eq!(hand.moves(Movement::SavePreset { name: name.into() }).await, None);
        assert_eq!(site.simulated.presets(), ["Gate", name]);
        assert_eq!(site.simulated.position().0.pan, 0.6);
        assert_eq!(hand.moves(Movement::Home).await, None);
        assert_eq!(site.simulated.position().0.pan, 0.0);
        let token = open(&site).await.session.presets[1].token.clone();
        assert_eq!(hand.moves(Movement::GoTo { preset: token.clone() }).await, None);
        assert_eq!(site.simulated.position().0.pan, 0.6);
        assert_eq!(hand.moves(Movement::RemovePreset { preset: token.clone() }).await, None);
        assert_eq!(site.simulated.presets(), ["Gate"]);
        let unknown = hand.moves(Movement::GoTo { preset: token }).await;
        assert!(
            matches!(&unknown, Some(PtzRefusal::Camera { reason }) if reason.contains("No such preset")),
            "{unknown:?}"
        );
    }
}

/// Whoever looked at it has gone: the page is closed, the cloud with it.
#[tokio::test(flavor = "multi_thread")]
async fn a_camera_of_axis_stops_though_the_link_is_gone() {
    let site = site_with(axis(None, None)).await;
    let mut hand = open(&site).await;
    assert_eq!(hand.moves(RIGHT).await, None);
    assert!(site.simulated.position().1, "it moves");
    site.cloud.script(|script| script.is_down = true);
    until("the camera stops", || !site.simulated.position().1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_that_a_camera_of_axis_refuses_is_said_again() {
    let site = site_with(axis(Some(PtzFault::StopFails), None)).await;
    let mut hand = open(&site).await;
    assert_eq!(hand.moves(RIGHT).await, None);
    let stop = hand.moves(Movement::Stop).await;
    assert!(
        matches!(&stop, Some(PtzRefusal::Camera { reason }) if reason.contains("the motor does not answer")),
        "{stop:?}"
    );
    until("the camera stops", || !site.simulated.position().1).await;
}

/// Who only looks is answered beside the orders, each with challenges of its own.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_looks_at_a_camera_of_axis_holds_up_no_stop() {
    let site = site_with(axis(Some(PtzFault::SlowPresets), None)).await;
    let mut hand = open(&site).await;
    assert_eq!(hand.moves(RIGHT).await, None);
    let looks: Vec<u32> = (0..8).map(|_| asks(&site)).collect();
    assert_eq!(hand.moves(Movement::Stop).await, None);
    assert!(!site.simulated.position().1, "it was let go");
    assert!(looks.iter().all(|ask| answered(&site, *ask).is_none()), "they wait, not the stop");
    until("all are answered", || looks.iter().all(|ask| answered(&site, *ask).is_some())).await;
    let opened = |ask: &u32| matches!(answered(&site, *ask), Some(FromGateway::PtzSession { .. }));
    assert!(looks.iter().all(opened));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_a_camera_of_axis_refused_is_not_tried_at_each_look() {
    let site = site_with(axis(None, Some(Fault::WrongPassword))).await;
    let reason = refused(&site).await;
    assert!(reason.contains("refuses user name or password"), "{reason}");
    // The event stream waits minutes by then, or is about to.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let tried = site.simulated.onvif_requests();
    assert_eq!((refused(&site).await, refused(&site).await), (reason.clone(), reason));
    assert_eq!(site.simulated.onvif_requests(), tried);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_camera_of_axis_is_moved_over_tls_by_its_pin_alone() {
    let mut options = axis(None, None);
    let identity = Identity::generate().unwrap();
    let found = identity.fingerprint();
    // Inside TLS to whom we know, even Basic may go.
    (options.onvif_options.tls, options.onvif_options.auth) = (Some(identity.clone()), OnvifAuth::Basic);
    options.rtsps = Some((([127, 0, 0, 1], 0).into(), identity));
    let mut site = Site::enrolled().await;
    site.simulated = camera_sim::start(options).await.unwrap();
    let rtsps = site.simulated.rtsps_url(model::Rendition::Main).unwrap();
    let access = |certificate| CameraAccess {
        url: rtsps.clone(),
        sub_url: None,
        certificate: Some(certificate),
        ..access(&site)
    };
    assert!(site.put_camera(&access(found)).await.ok);
    site.bind_camera();
    let mut hand = open(&site).await;
    assert_eq!(hand.moves(Movement::GoTo { preset: "Gate".into() }).await, None);
    assert_eq!(site.simulated.position().0.pan, 0.6);

    // Another certificate: nothing is said to whoever has it, least of all the password.
    site.put_camera(&access(Hash([7; 32]))).await;
    let before = site.simulated.onvif_requests();
    let reason = refused(&site).await;
    assert!(reason.contains("is pinned"), "{reason}");
    assert_eq!(site.simulated.onvif_requests(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_camera_of_axis_that_cannot_be_moved_says_so() {
    let mut options = axis(None, None);
    options.onvif_options.ptz = false;
    let site = site_with(options).await;
    let session = open(&site).await.session;
    assert_eq!((session.pan_tilt, session.zoom, session.presets.len()), (false, false, 0));
}

/// The attack: whoever answers in the camera's place sends pages, answers without
/// an end, redirects to others, or what we said back to us.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_hostile_camera_of_axis_answers_is_a_reason_and_no_more() {
    let elsewhere = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let rows = [
        (Fault::VapixGarbage, "it is no list of parameters"),
        (Fault::VapixHuge, "more than 262144 bytes"),
        (Fault::OnvifRedirect, "a redirect, which is not followed"),
    ];
    for (fault, expected) in rows {
        let mut options = axis(None, Some(fault));
        options.onvif_options.named = Some(format!("http://{}", elsewhere.local_addr().unwrap()));
        let site = site_with(options).await;
        let reason = refused(&site).await;
        assert!(reason.contains(expected), "{fault}: {reason}");
        let came = tokio::time::timeout(Duration::from_millis(100), elsewhere.accept()).await;
        assert!(came.is_err(), "the gateway talked to whom the camera named");
    }
    for (fault, expected) in [(Fault::VapixRefuses, "somebody else has the camera"), (Fault::OnvifEcho, "…")]
    {
        let site = site_with(axis(None, Some(fault))).await;
        let mut hand = open(&site).await;
        let preset = format!("{PASSWORD} 0123456789abcdef0123456789abcdef");
        let order = hand.order(Movement::GoTo { preset });
        let administrator = &site.administrator;
        let order = order.sign(administrator.device_id(), &administrator.keys().sign);
        let told = sent(&site, &order).await;
        let Some(PtzRefusal::Camera { reason }) = told else { panic!("{told:?}") };
        assert!(reason.contains(expected), "{fault}: {reason}");
        assert!(!reason.contains(PASSWORD) && !reason.contains("0123456789abcdef"), "{reason}");
    }
}
