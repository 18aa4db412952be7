//! A camera that somebody moves, by orders that a device signed; and whoever else
//! would like to move it, the cloud among them.

use std::time::Duration;

use camera_sim::{Credentials, Fault, OnvifAuth, OnvifOptions, PtzFault};
use model::wire::{Envelope, FromGateway, PtzRefusal, StreamState, ToGateway};
use model::{DeviceId, Hash, PersonId, Rendition, Secret, Timestamp};
use seal::keyring::DeviceKeys;
use seal::keys::VerifyingKey;
use seal::ptz::{LATE_MS_MAX, Movement, PtzOrder, PtzSession};
use seal::roster::{Scope, Statement};
use tokio::time::Instant;

use super::administrator::{device, now};
use super::{Site, until};

pub(super) const RIGHT: Movement = Movement::Move { pan: 1_000, tilt: 0, zoom: 0 };

/// Somebody who looks at the camera.
pub(super) struct Hand<'s> {
    site: &'s Site,
    pub(super) session: PtzSession,
    opened: Instant,
    number: u64,
}

pub(super) fn options(ptz_fault: Option<PtzFault>) -> camera_sim::Options {
    camera_sim::Options {
        main: crate::rtsp::support::pictures(),
        sub: None,
        onvif: Some(([127, 0, 0, 1], 0).into()),
        onvif_options: OnvifOptions { ptz: true, ptz_fault, ..OnvifOptions::default() },
        ..Default::default()
    }
}

async fn site_with(options: camera_sim::Options) -> Site {
    let mut site = Site::enrolled().await;
    site.simulated = camera_sim::start(options).await.unwrap();
    site.add_camera().await;
    site
}

async fn site(ptz_fault: Option<PtzFault>) -> Site {
    site_with(options(ptz_fault)).await
}

/// What the gateway has answered to one question.
pub(super) fn answered(site: &Site, ask: u32) -> Option<FromGateway> {
    let of = |answer: &FromGateway| match answer {
        FromGateway::PtzSession { ask, .. }
        | FromGateway::PtzDone { ask, .. }
        | FromGateway::AskFailed { ask, .. } => Some(*ask),
        _ => None,
    };
    site.cloud.answers().into_iter().find(|answer| of(answer) == Some(ask))
}

pub(super) async fn answer(site: &Site, ask: u32, message: ToGateway) -> FromGateway {
    site.cloud.send(message);
    until("the gateway answers", || answered(site, ask).is_some()).await;
    answered(site, ask).unwrap()
}

/// Somebody looks whether the camera can be moved.
pub(super) fn asks(site: &Site) -> u32 {
    let ask = fresh_ask();
    site.cloud.send(ToGateway::PtzOpen { ask, camera: site.camera, challenge: Hash([0x5c; 32]) });
    ask
}

pub(super) fn fresh_ask() -> u32 {
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(1);
    NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}

pub(super) async fn open(site: &Site) -> Hand<'_> {
    let (ask, challenge) = (fresh_ask(), Hash([0x5c; 32]));
    let asked = ToGateway::PtzOpen { ask, camera: site.camera, challenge };
    let opened = answer(site, ask, asked).await;
    let FromGateway::PtzSession { envelope, .. } = opened else { panic!("{opened:?}") };
    let gateway = site.administrator.gateway();
    let key = VerifyingKey::from_bytes(&gateway.sign.0).unwrap();
    let verify = |challenge| PtzSession::verify(&envelope, (gateway.id, key), site.camera, challenge);
    assert!(verify(Hash([0; 32])).is_err(), "an answer to another request");
    let session = verify(challenge).unwrap();
    Hand { site, session, opened: Instant::now(), number: 0 }
}

impl Hand<'_> {
    pub(super) fn order(&mut self, movement: Movement) -> PtzOrder {
        self.number += 1;
        PtzOrder {
            org: self.session.org,
            gateway: self.session.gateway,
            camera: self.session.camera,
            session: self.session.session,
            number: self.number,
            elapsed_ms: self.opened.elapsed().as_millis() as u64,
            movement,
        }
    }

    pub(super) async fn moves(&mut self, movement: Movement) -> Option<PtzRefusal> {
        let order = self.order(movement);
        let administrator = &self.site.administrator;
        sent(self.site, &order.sign(administrator.device_id(), &administrator.keys().sign)).await
    }
}

pub(super) async fn sent(site: &Site, envelope: &Envelope) -> Option<PtzRefusal> {
    let ask = fresh_ask();
    let order = ToGateway::PtzOrder { ask, camera: site.camera, envelope: envelope.clone() };
    let done = answer(site, ask, order).await;
    let FromGateway::PtzDone { refused, .. } = done else { panic!("{done:?}") };
    refused
}

#[tokio::test(flavor = "multi_thread")]
async fn a_camera_is_moved_by_whoever_may_open_it_and_stops_by_itself() {
    // It heeds no `Timeout`: what stops it is the gateway.
    let site = site(Some(PtzFault::GoesOn)).await;
    let mut hand = open(&site).await;
    let PtzSession { pan_tilt, zoom, home, .. } = hand.session;
    assert!(pan_tilt && zoom && home);
    assert_eq!(hand.session.presets.len(), 1, "{:?}", hand.session.presets);
    assert_eq!(hand.moves(RIGHT).await, None);
    assert!(site.simulated.position().1, "it moves");
    // Nobody orders it again: it stops though nobody says so.
    until("the camera stops", || !site.simulated.position().1).await;
    assert!(site.simulated.position().0.pan > 0.0);
    let gate = hand.session.presets[0].token.clone();
    assert_eq!(hand.moves(Movement::GoTo { preset: gate }).await, None);
    assert_eq!(site.simulated.position().0.pan, 0.6);
    assert_eq!(hand.moves(Movement::SavePreset { name: "Wall <1>".into() }).await, None);
    assert_eq!(site.simulated.presets(), ["Gate", "Wall <1>"]);
    assert_eq!(hand.moves(Movement::Home).await, None);
    assert_eq!(site.simulated.position().0.pan, 0.0);
    let unknown = hand.moves(Movement::GoTo { preset: "77".into() }).await;
    assert!(matches!(unknown, Some(PtzRefusal::Camera { .. })), "{unknown:?}");
    let again = open(&site).await;
    let names: Vec<_> = again.session.presets.iter().map(|preset| preset.name.as_str()).collect();
    assert_eq!(names, ["Gate", "Wall <1>"]);
    let token = again.session.presets[1].token.clone();
    assert_eq!(hand.moves(Movement::RemovePreset { preset: token }).await, None);
    assert_eq!(site.simulated.presets(), ["Gate"]);
}

/// The cloud carries orders. It can say one again, keep it, give it to another
/// session or camera, or make one of its own: nothing moves.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_hostile_cloud_makes_of_orders_moves_nothing() {
    let site = site(None).await;
    let mut hand = open(&site).await;
    let administrator = &site.administrator;
    let by = |order: &PtzOrder| order.sign(administrator.device_id(), &administrator.keys().sign);
    let home = by(&hand.order(Movement::Home));
    assert_eq!(sent(&site, &home).await, None);
    assert_eq!(sent(&site, &home).await, Some(PtzRefusal::Late), "said again");

    let order = hand.order(RIGHT);
    let stranger = DeviceKeys::from_seeds([0x31; 32], [0x32; 32]);
    let forged = order.sign(administrator.device_id(), &stranger.sign);
    assert_eq!(sent(&site, &forged).await, Some(PtzRefusal::NotAllowed), "a signature of its own");
    let mut altered = by(&order);
    let text = String::from_utf8(altered.payload.0.clone()).unwrap().replace("1000", "-999");
    altered.payload = text.into_bytes().into();
    assert_eq!(sent(&site, &altered).await, Some(PtzRefusal::NotAllowed), "altered");
    let elsewhere = PtzOrder { camera: model::CameraId::from_random([8; 16]), ..order.clone() };
    assert_eq!(sent(&site, &by(&elsewhere)).await, Some(PtzRefusal::NotAllowed), "of another camera");
    let other = PtzOrder { session: Hash([3; 32]), ..order.clone() };
    assert_eq!(sent(&site, &by(&other)).await, Some(PtzRefusal::NoSession), "of another session");
    let fast = PtzOrder { movement: Movement::Move { pan: 1_001, tilt: 0, zoom: 0 }, ..order.clone() };
    assert_eq!(sent(&site, &by(&fast)).await, Some(PtzRefusal::NotAllowed), "faster than there is");

    let kept = by(&order);
    tokio::time::sleep(Duration::from_millis(LATE_MS_MAX + 200)).await;
    assert_eq!(sent(&site, &kept).await, Some(PtzRefusal::Late), "kept, and let go later");
    assert_eq!(site.simulated.position().0.pan, 0.0, "nothing has moved");
    // A restart of the gateway ends what was open.
    let mut site = site;
    site.restart().await;
    assert_eq!(sent(&site, &kept).await, Some(PtzRefusal::NoSession));
}

/// Somebody without access, and somebody who was shut out, move nothing; what
/// the camera remembers is for administrators.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_moves_a_camera_that_they_may_not_open() {
    let site = site(None).await;
    let (id, person) = (DeviceId::from_random([0x44; 16]), PersonId::from_random([0x45; 16]));
    let keys = DeviceKeys::from_seeds([0x46; 32], [0x47; 32]);
    let state = |statement| {
        site.administrator.state(statement);
        site.cloud.send(ToGateway::RosterChanged);
    };
    let access = |scope, until| Statement::SetAccess { person, scope, audio: false, until };
    state(Statement::AddDevice { device: device(id, person, &keys) });
    let mut hand = open(&site).await;
    let mut by_watcher = async |movement| {
        let order = hand.order(movement);
        sent(&site, &order.sign(id, &keys.sign)).await
    };
    // In one session: rights begin and end in the middle of it.
    let mut becomes = async |may: bool, what: &str| {
        let begun = Instant::now();
        loop {
            match by_watcher(Movement::Home).await {
                None if may => return,
                Some(PtzRefusal::NotAllowed) if !may => return,
                None | Some(PtzRefusal::NotAllowed) => {}
                Some(other) => panic!("{what}: {other:?}"),
            }
            assert!(begun.elapsed() < Duration::from_secs(30), "{what}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    becomes(false, "no access").await;
    state(access(Scope::All, None));
    becomes(true, "access came to nothing").await;
    state(access(Scope::Cameras { cameras: [model::CameraId::from_random([9; 16])].into() }, None));
    becomes(false, "whose access was narrowed moves it still").await;
    // Nobody says anything more: its time is over.
    state(access(Scope::All, Some(now().plus_ms(15 * Timestamp::SECOND))));
    becomes(true, "access came to nothing").await;
    becomes(false, "whose access has ended moves it still").await;
    state(access(Scope::All, None));
    becomes(true, "access came to nothing").await;
    let save = Movement::SavePreset { name: "Mine".into() };
    let order = open(&site).await.order(save);
    assert_eq!(sent(&site, &order.sign(id, &keys.sign)).await, Some(PtzRefusal::NotAllowed));
    assert_eq!(site.simulated.presets(), ["Gate"]);
    state(Statement::RevokeDevice { device: id });
    becomes(false, "who was shut out moves it still").await;
}

/// The attack: who only looks, again and again, keeps the camera moving. And
/// the page of somebody else, where the camera is slow to say what it remembers.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_only_looks_holds_up_no_stop() {
    let site = site(Some(PtzFault::SlowPresets)).await;
    let mut hand = open(&site).await;
    assert_eq!(hand.moves(RIGHT).await, None);
    let looks: Vec<u32> = (0..8).map(|_| asks(&site)).collect();
    assert_eq!(hand.moves(Movement::Stop).await, None);
    assert!(!site.simulated.position().1, "it was let go");
    assert!(looks.iter().all(|ask| answered(&site, *ask).is_none()), "they wait, not the stop");
    assert_eq!(hand.moves(RIGHT).await, None);
    until("the camera stops", || !site.simulated.position().1).await;
    assert!(answered(&site, *looks.last().unwrap()).is_none(), "the last waits still");
    until("all are answered", || looks.iter().all(|ask| answered(&site, *ask).is_some())).await;
}

/// The attack: who carries the order to stop keeps it until it is late.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_that_was_held_up_stops_all_the_same() {
    let site = site(Some(PtzFault::GoesOn)).await;
    let mut hand = open(&site).await;
    let stop = hand.order(Movement::Stop);
    tokio::time::sleep(Duration::from_millis(LATE_MS_MAX + 200)).await;
    let administrator = &site.administrator;
    let stop = stop.sign(administrator.device_id(), &administrator.keys().sign);
    assert_eq!(sent(&site, &stop).await, None);
    assert_eq!(sent(&site, &stop).await, Some(PtzRefusal::Late), "said again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_that_fails_is_said_again() {
    let site = site(Some(PtzFault::StopFails)).await;
    let mut hand = open(&site).await;
    for is_let_go in [true, false] {
        assert_eq!(hand.moves(RIGHT).await, None);
        if is_let_go {
            let refused = hand.moves(Movement::Stop).await;
            assert!(matches!(refused, Some(PtzRefusal::Camera { .. })), "{refused:?}");
        }
        until("the camera stops", || !site.simulated.position().1).await;
    }
    // What fails leaves the stop of what it was to end.
    assert_eq!(hand.moves(RIGHT).await, None);
    let refused = hand.moves(Movement::GoTo { preset: "77".into() }).await;
    assert!(matches!(refused, Some(PtzRefusal::Camera { .. })), "{refused:?}");
    until("the camera stops", || !site.simulated.position().1).await;
}

/// Its profiles come and go, and its clock is set.
#[tokio::test(flavor = "multi_thread")]
async fn a_camera_that_was_changed_is_found_anew() {
    let renamed = site(Some(PtzFault::ProfileRenamed)).await;
    assert_eq!(open(&renamed).await.session.presets.len(), 0, "it was found under another name");
    assert_eq!(open(&renamed).await.session.presets.len(), 1);

    let mut options = options(None);
    options.credentials = Some(Credentials { username: "admin".into(), password: Secret::new("hunter2") });
    let mut site = site_with(options.clone()).await;
    assert_eq!(open(&site).await.session.presets.len(), 1);
    // The same camera at the same place, by another clock.
    options.onvif_options.clock_ahead = 3_600;
    options.listen = site.simulated.addr;
    let place = site.simulated.onvif_url().unwrap();
    options.onvif = place.split('/').nth(2).map(|place| place.parse().unwrap());
    let stand_in = camera_sim::Options { onvif: None, ..self::options(None) };
    let before = std::mem::replace(&mut site.simulated, camera_sim::start(stand_in).await.unwrap());
    before.shutdown().await;
    site.simulated = camera_sim::start(options).await.unwrap();
    assert_eq!(open(&site).await.session.presets.len(), 1);
    let mut hand = open(&site).await;
    assert_eq!(hand.moves(Movement::Home).await, None);
}

/// Cameras lock accounts: whoever opens the page again tries nothing again.
#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_the_camera_refused_is_not_tried_at_each_look() {
    let mut options = options(None);
    options.credentials = Some(Credentials { username: "admin".into(), password: Secret::new("hunter2") });
    options.onvif_options.auth = OnvifAuth::Md5;
    options.fault = Some(Fault::WrongPassword);
    let site = site_with(options).await;
    // The one that listens for events waits minutes then.
    until("the camera refuses its events", || {
        let is_refused = |state: &model::wire::StreamStatus| {
            state.rendition == Rendition::Events && state.state == StreamState::Failed
        };
        site.cloud.last_status().is_some_and(|(_, streams)| streams.iter().any(is_refused))
    })
    .await;
    let look = async || {
        let ask = asks(&site);
        until("the gateway answers", || answered(&site, ask).is_some()).await;
        let FromGateway::AskFailed { reason, .. } = answered(&site, ask).unwrap() else { panic!("opened") };
        reason
    };
    let reason = look().await;
    assert!(reason.contains("refuses user name or password"), "{reason}");
    let tried = site.simulated.onvif_requests();
    assert_eq!((look().await, look().await), (reason.clone(), reason));
    assert_eq!(site.simulated.onvif_requests(), tried);
}

/// Whoever may move a camera need not know where it is; nor need the cloud.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_told_of_a_camera_does_not_say_where_it_is() {
    let mut site = site(None).await;
    let mut hand = open(&site).await;
    let stand_in = camera_sim::Options { onvif: None, ..options(None) };
    let stand_in = camera_sim::start(stand_in).await.unwrap();
    let order = hand.order(Movement::Home);
    std::mem::replace(&mut site.simulated, stand_in).shutdown().await;
    let order = order.sign(site.administrator.device_id(), &site.administrator.keys().sign);
    let refused = sent(&site, &order).await;
    let Some(PtzRefusal::Camera { reason }) = refused else { panic!("{refused:?}") };
    assert!(!reason.contains("127.0.0.1"), "{reason}");
    let ask = asks(&site);
    until("the gateway answers", || answered(&site, ask).is_some()).await;
    let FromGateway::AskFailed { reason, .. } = answered(&site, ask).unwrap() else { panic!("opened") };
    assert!(reason.contains("cannot connect") && !reason.contains("127.0.0.1"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_camera_that_cannot_be_moved_says_so() {
    let mut options = options(None);
    options.onvif_options.ptz = false;
    let site = site_with(options).await;
    let session = open(&site).await.session;
    assert_eq!((session.pan_tilt, session.zoom, session.presets.len()), (false, false, 0));
    let asked = fresh_ask();
    let camera = model::CameraId::from_random([8; 16]);
    let unknown = ToGateway::PtzOpen { ask: asked, camera, challenge: Hash([1; 32]) };
    assert!(matches!(answer(&site, asked, unknown).await, FromGateway::AskFailed { .. }));
}
