//! A camera that somebody moves, by orders that a device signed; and whoever else
//! would like to move it, the cloud among them.

use std::time::Duration;

use camera_sim::OnvifOptions;
use model::wire::{Envelope, FromGateway, PtzRefusal, ToGateway};
use model::{DeviceId, Hash, PersonId};
use seal::keyring::DeviceKeys;
use seal::keys::VerifyingKey;
use seal::ptz::{LATE_MS_MAX, MOVE_MS_MAX, Movement, PtzOrder, PtzSession};
use seal::roster::{Scope, Statement};
use tokio::time::Instant;

use super::administrator::device;
use super::{Site, until};

const RIGHT: Movement = Movement::Move { pan: 1_000, tilt: 0, zoom: 0 };

/// Somebody who looks at the camera.
struct Hand<'s> {
    site: &'s Site,
    session: PtzSession,
    opened: Instant,
    number: u64,
}

async fn site(ptz: bool) -> Site {
    let mut site = Site::enrolled().await;
    let options = camera_sim::Options {
        main: crate::rtsp::support::pictures(),
        sub: None,
        onvif: Some(([127, 0, 0, 1], 0).into()),
        onvif_options: OnvifOptions { ptz, ..OnvifOptions::default() },
        ..Default::default()
    };
    site.simulated = camera_sim::start(options).await.unwrap();
    site.add_camera().await;
    site
}

/// What the gateway answers to one question.
async fn answer(site: &Site, ask: u32, message: ToGateway) -> FromGateway {
    site.cloud.send(message);
    let of = |answer: &FromGateway| match answer {
        FromGateway::PtzSession { ask, .. }
        | FromGateway::PtzDone { ask, .. }
        | FromGateway::AskFailed { ask, .. } => Some(*ask),
        _ => None,
    };
    let find = || site.cloud.answers().into_iter().find(|answer| of(answer) == Some(ask));
    until("the gateway answers", || find().is_some()).await;
    find().unwrap()
}

fn fresh_ask() -> u32 {
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(1);
    NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}

async fn open(site: &Site) -> Hand<'_> {
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
    fn order(&mut self, movement: Movement) -> PtzOrder {
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

    async fn moves(&mut self, movement: Movement) -> Option<PtzRefusal> {
        let order = self.order(movement);
        let administrator = &self.site.administrator;
        sent(self.site, &order.sign(administrator.device_id(), &administrator.keys().sign)).await
    }
}

async fn sent(site: &Site, envelope: &Envelope) -> Option<PtzRefusal> {
    let ask = fresh_ask();
    let order = ToGateway::PtzOrder { ask, camera: site.camera, envelope: envelope.clone() };
    let done = answer(site, ask, order).await;
    let FromGateway::PtzDone { refused, .. } = done else { panic!("{done:?}") };
    refused
}

#[tokio::test(flavor = "multi_thread")]
async fn a_camera_is_moved_by_whoever_may_open_it_and_stops_by_itself() {
    let site = site(true).await;
    let mut hand = open(&site).await;
    let PtzSession { pan_tilt, zoom, home, .. } = hand.session;
    assert!(pan_tilt && zoom && home);
    assert_eq!(hand.session.presets.len(), 1, "{:?}", hand.session.presets);
    assert_eq!(hand.moves(RIGHT).await, None);
    assert!(site.simulated.position().1, "it moves");
    // Nobody orders it again: it stops though nobody says so.
    let begun = Instant::now();
    until("the camera stops", || !site.simulated.position().1).await;
    assert!(begun.elapsed() < Duration::from_millis(MOVE_MS_MAX + 4_000));
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
    let site = site(true).await;
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
    let site = site(true).await;
    let (id, person) = (DeviceId::from_random([0x44; 16]), PersonId::from_random([0x45; 16]));
    let keys = DeviceKeys::from_seeds([0x46; 32], [0x47; 32]);
    site.administrator.state(Statement::AddDevice { device: device(id, person, &keys) });
    site.cloud.send(ToGateway::RosterChanged);
    let mut hand = open(&site).await;
    let mut by_watcher = async |movement| {
        let order = hand.order(movement);
        sent(&site, &order.sign(id, &keys.sign)).await
    };
    assert_eq!(by_watcher(RIGHT).await, Some(PtzRefusal::NotAllowed), "no access");
    site.administrator.state(Statement::SetAccess { person, scope: Scope::All, audio: false, until: None });
    site.cloud.send(ToGateway::RosterChanged);
    let begun = Instant::now();
    while by_watcher(Movement::Home).await.is_some() {
        assert!(begun.elapsed() < Duration::from_secs(30), "access came to nothing");
    }
    let save = Movement::SavePreset { name: "Mine".into() };
    assert_eq!(by_watcher(save).await, Some(PtzRefusal::NotAllowed));
    assert_eq!(site.simulated.presets(), ["Gate"]);
    site.administrator.state(Statement::RevokeDevice { device: id });
    site.cloud.send(ToGateway::RosterChanged);
    let begun = Instant::now();
    while by_watcher(Movement::Home).await.is_none() {
        assert!(begun.elapsed() < Duration::from_secs(30), "who was shut out moves it still");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_camera_that_cannot_be_moved_says_so() {
    let site = site(false).await;
    let session = open(&site).await.session;
    assert_eq!((session.pan_tilt, session.zoom, session.presets.len()), (false, false, 0));
    let asked = fresh_ask();
    let camera = model::CameraId::from_random([8; 16]);
    let unknown = ToGateway::PtzOpen { ask: asked, camera, challenge: Hash([1; 32]) };
    assert!(matches!(answer(&site, asked, unknown).await, FromGateway::AskFailed { .. }));
}
