//! What a camera says that it saw, from its event service to the store.

use std::time::Duration;

use camera_sim::{Fault, OnvifOptions, Options};
use model::wire::{GapReason, SealedNotice, StreamState, ToGateway};
use model::{
    CameraAccess, EventId, EventKind, EventPhase, EventSource, Forward, Forwarding, OnvifUrl, Rendition,
    Timestamp,
};
use seal::command::Command;
use seal::event::{Batch, Event};
use seal::notice::{Channel, Notice, NoticeKey, NoticeOrder, Rule, Wishes};
use seal::recording::{ChunkOpener, Recording};

use super::administrator::now;
use super::hostile::open_grants;
use super::scripted_cloud::{GoOn, ScriptedCloud};
use super::{Site, until};

pub(super) const MOTION: &str = "tns1:RuleEngine/CellMotionDetector/Motion";

/// Enrolled, with a camera that has an event service; nothing of it is recorded yet.
pub(super) async fn site() -> Site {
    let mut site = Site::enrolled().await;
    let options = Options {
        main: crate::rtsp::support::pictures(),
        sub: None,
        onvif: Some(([127, 0, 0, 1], 0).into()),
        ..Default::default()
    };
    site.simulated = camera_sim::start(options).await.unwrap();
    site
}

/// Every event that the store has and that somebody told the gateway, opened with
/// the administrator's keys.
pub(super) fn stored(site: &Site) -> Vec<Event> {
    all_stored(site).into_iter().filter(|event| event.source != EventSource::Gateway).collect()
}

/// With those that the gateway told by itself: these cameras repeat one picture.
pub(super) fn all_stored(site: &Site) -> Vec<Event> {
    read(site, site.recordings(true).into_iter().map(|(_, bytes)| bytes))
}

fn read(site: &Site, files: impl Iterator<Item = Vec<u8>>) -> Vec<Event> {
    let keys = open_grants(site);
    let mut events: Vec<Event> = Vec::new();
    for bytes in files {
        let recording = Recording::parse(&bytes).unwrap();
        recording.verify(&site.administrator.roster()).unwrap();
        assert!(recording.footer.is_some(), "it was closed");
        let header = &recording.header.header;
        let (_, cameras) = keys.iter().find(|(grant, _)| grant.epoch == header.epoch).unwrap();
        let opener = ChunkOpener::new(&recording.header, &cameras[&header.camera]).unwrap();
        for chunk in &recording.chunks {
            let mut buffer = chunk.ciphertext.to_vec();
            let plaintext = opener.open(chunk.number, chunk.head_bytes, &mut buffer).unwrap();
            events.extend(Batch::read(plaintext).unwrap().events);
        }
    }
    events.sort_by_key(|event| event.at);
    events
}

pub(super) fn has(site: &Site, rendition: Rendition, state: StreamState) -> bool {
    let streams = site.cloud.last_status().map(|(_, streams)| streams).unwrap_or_default();
    streams.iter().any(|stream| stream.rendition == rendition && stream.state == state)
}

pub(super) async fn listens(site: &Site) {
    until("the camera is listened to", || has(site, Rendition::Events, StreamState::Recording)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_camera_says_is_sealed_and_leaves_the_site_with_the_pictures_of_it() {
    let site = site().await;
    let forwarding = Forwarding { main: Forward::Events, sub: Forward::Never, short_in_events: false };
    site.add_camera().await;
    listens(&site).await;
    site.order(Command::SetForwarding { camera: site.camera, forwarding }).await;
    let pictures = || site.objects().iter().filter(|(name, _)| name.contains("/main/")).count();
    let before = pictures();
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(pictures() <= before + 1, "nothing happens, so nothing leaves but what was on its way");

    site.simulated.raise(MOTION, "Yard", Some(true));
    until("the event is stored", || stored(&site).iter().any(|event| event.phase == EventPhase::Began)).await;
    until("its pictures are stored", || pictures() > before + 1).await;
    site.simulated.raise(MOTION, "Yard", Some(false));
    until("its end is stored", || stored(&site).len() == 2).await;
    let [began, ended] = &stored(&site)[..] else { panic!() };
    assert_eq!((began.id, began.kind, began.rule.as_deref()), (ended.id, EventKind::Motion, Some("Yard")));
    assert_eq!(
        (ended.phase, began.topic.as_str()),
        (EventPhase::Ended, "RuleEngine/CellMotionDetector/Motion")
    );
    assert!(ended.at > began.at);
    let of_events = || -> Vec<_> {
        let reported = site.cloud.reports().into_iter().flat_map(|report| report.recordings);
        reported.filter(|recording| recording.rendition == Rendition::Events).collect()
    };
    until("its recordings are reported", || of_events().len() >= 2).await;
    assert!(of_events().iter().all(|recording| !recording.has_audio && recording.codec.is_empty()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_camera_whose_address_is_its_event_stream_is_heard_by_that() {
    let mut site = Site::enrolled().await;
    let onvif_options = OnvifOptions { vapix: true, ..Default::default() };
    let options = Options {
        main: crate::rtsp::support::pictures(),
        sub: None,
        onvif: Some(([127, 0, 0, 1], 0).into()),
        onvif_options,
        ..Default::default()
    };
    site.simulated = camera_sim::start(options).await.unwrap();
    let stream = OnvifUrl::parse(&site.simulated.stream_url().unwrap()).unwrap();
    let access = CameraAccess { onvif_url: Some(stream), ..site.simulated.access() };
    assert!(site.put_camera(&access).await.ok);
    site.bind_camera();
    listens(&site).await;
    let topic = "tnsaxis:CameraApplicationPlatform/VMD/Camera1ProfileANY";
    site.simulated.raise(topic, "", Some(true));
    site.simulated.raise("tns1:Device/tnsaxis:IO/Port", "2", Some(true));
    until("both begin", || stored(&site).len() == 2).await;
    site.simulated.set_fault(Some(Fault::VapixGarbage));
    site.simulated.raise(topic, "", Some(true));
    until("a stream that breaks is told", || has(&site, Rendition::Events, StreamState::Failed)).await;
    until("everything ends with it", || stored(&site).len() == 4).await;
    site.simulated.set_fault(None);
    listens(&site).await;
    until("what lasts begins again", || stored(&site).len() == 6).await;
    let stored = stored(&site);
    assert!(stored.iter().all(|event| event.source == EventSource::Vapix));
    let port = stored.iter().find(|event| event.kind == EventKind::Input).unwrap();
    assert_eq!((port.rule.as_deref(), port.topic.as_str()), (Some("2"), "Device/IO/Port"));
    assert!(has(&site, Rendition::Main, StreamState::Recording));
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_do_not_depend_on_the_event_service_and_its_silence_is_told() {
    let site = site().await;
    let nobody = OnvifUrl::parse("http://127.0.0.1:9/onvif/device_service").unwrap();
    let deaf = CameraAccess { onvif_url: Some(nobody), ..site.simulated.access() };
    assert!(site.put_camera(&deaf).await.ok);
    site.bind_camera();
    until("pictures are recorded", || has(&site, Rendition::Main, StreamState::Recording)).await;
    until("the failure is told", || has(&site, Rendition::Events, StreamState::Failed)).await;
    let (_, streams) = site.cloud.last_status().unwrap();
    let events = streams.iter().find(|stream| stream.rendition == Rendition::Events).unwrap();
    assert!(
        events.reason.as_ref().unwrap().starts_with("cannot connect to 127.0.0.1:9"),
        "{:?}",
        events.reason
    );

    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(site.put_camera(&site.simulated.access()).await.ok);
    listens(&site).await;
    until("what was missed is told as a gap", || {
        let gaps = site.cloud.reports().into_iter().flat_map(|report| report.gaps);
        gaps.filter(|gap| gap.rendition == Rendition::Events)
            .any(|gap| gap.reason == GapReason::CameraUnreachable && gap.to.ms_since(gap.from) > 1_500)
    })
    .await;
    until("pictures go on", || has(&site, Rendition::Main, StreamState::Recording)).await;
}

/// Who tries on keeps the account locked, for the pictures as well.
#[tokio::test(flavor = "multi_thread")]
async fn a_camera_that_has_locked_the_account_is_left_alone_for_a_while() {
    let mut site = site().await;
    let options = crate::support::options(OnvifOptions::default(), Some(Fault::OnvifLocked));
    site.simulated = camera_sim::start(options).await.unwrap();
    site.add_camera().await;
    until("the failure is told", || has(&site, Rendition::Events, StreamState::Failed)).await;
    let asked = site.simulated.onvif_requests();
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(site.simulated.onvif_requests(), asked);
    let (_, streams) = site.cloud.last_status().unwrap();
    let events = streams.iter().find(|stream| stream.rendition == Rendition::Events).unwrap();
    assert!(events.reason.as_ref().unwrap().contains("locked"), "{:?}", events.reason);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_ends_what_goes_on_and_begins_it_again() {
    let mut site = site().await;
    site.add_camera().await;
    listens(&site).await;
    site.simulated.raise(MOTION, "Yard", Some(true));
    until("it begins", || !stored(&site).is_empty()).await;
    site.restart().await;
    until("its end is stored, and it begins once more", || stored(&site).len() >= 3).await;
    let phases: Vec<(EventId, EventPhase)> =
        stored(&site).iter().map(|event| (event.id, event.phase)).collect();
    assert_eq!((phases[1].0, phases[1].1), (phases[0].0, EventPhase::Ended));
    assert_eq!(phases[2].1, EventPhase::Began);
    assert_ne!(phases[2].0, phases[0].0);
}

/// The administrator's device wants to be told of motion.
pub(super) fn order_notices(site: &Site, key: u8, pictures: bool) -> Channel {
    order_notices_of(site, key, pictures, &[EventKind::Motion])
}

pub(super) fn order_notices_of(site: &Site, key: u8, pictures: bool, kinds: &[EventKind]) -> Channel {
    let (administrator, gateway) = (&site.administrator, site.administrator.gateway());
    let channel =
        Channel { org: administrator.roster().org(), gateway: gateway.id, device: administrator.device_id() };
    let wishes = Wishes {
        key: NoticeKey::from_random([key; 32]),
        rules: vec![Rule { cameras: None, kinds: kinds.to_vec() }],
        quiet: Vec::new(),
        pause_ms: 0,
        pictures,
    };
    let kem = seal::keys::KemPublic::from_bytes(&gateway.kem.0).unwrap();
    let times = (now(), now().plus_ms(Timestamp::DAY));
    let order = NoticeOrder::new(channel, times, &wishes, &kem, [key; 64]);
    let envelope = order.sign(&administrator.keys().sign);
    site.cloud.script(|script| script.notice_orders = vec![envelope]);
    site.cloud.send(ToGateway::NoticesChanged);
    channel
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_told_to_devices_that_ordered_it_though_the_cloud_is_away_meanwhile() {
    let site = site().await;
    site.add_camera().await;
    listens(&site).await;
    let channel = order_notices(&site, 3, false);
    // The order arrives some time; until then nobody is told.
    until("an event is told", || {
        site.simulated.raise(MOTION, "Yard", None);
        std::thread::sleep(Duration::from_millis(500));
        !site.cloud.notices().is_empty()
    })
    .await;
    let told = site.cloud.notices().swap_remove(0);
    assert_eq!((told.device, told.camera), (site.administrator.device_id(), site.camera));
    let key = NoticeKey::from_random([3; 32]);
    let notice = Notice::open(&told.notice.0, &key, &channel).unwrap();
    assert_eq!(
        (notice.kind, notice.rule.as_deref(), notice.camera),
        (EventKind::Motion, Some("Yard"), site.camera)
    );

    // A cloud that takes nothing for a while: what is said then comes later, once.
    site.cloud.script(|script| script.notice_answers = [503, 429].into());
    site.simulated.raise(MOTION, "Gate", None);
    let of_the_gate = || {
        let opened = |told: &SealedNotice| Notice::open(&told.notice.0, &key, &channel).unwrap().rule;
        site.cloud.notices().iter().filter_map(opened).filter(|rule| rule == "Gate").count()
    };
    until("it is told", || of_the_gate() > 0).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(of_the_gate(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_outlive_a_list_that_never_ends_and_a_start_without_the_cloud() {
    let mut site = site().await;
    site.add_camera().await;
    listens(&site).await;
    let channel = order_notices(&site, 4, false);
    let key = NoticeKey::from_random([4; 32]);
    let told = |cloud: &ScriptedCloud, rule: &str| {
        let opened = |told: &SealedNotice| Notice::open(&told.notice.0, &key, &channel).unwrap().rule;
        cloud.notices().iter().filter_map(opened).any(|told| told == rule)
    };
    until("an event is told", || {
        site.simulated.raise(MOTION, "Yard", None);
        std::thread::sleep(Duration::from_millis(500));
        told(&site.cloud, "Yard")
    })
    .await;

    for go_on in [GoOn::InPlace, GoOn::Onward] {
        site.cloud.script(|script| {
            script.notice_orders.clear();
            script.notice_orders_go_on = Some(go_on);
            script.notice_orders_asked = 0;
        });
        site.cloud.send(ToGateway::NoticesChanged);
        tokio::time::sleep(Duration::from_secs(2)).await;
        site.cloud.script(|script| assert!(script.notice_orders_asked <= 8, "{go_on:?}"));
    }
    site.simulated.raise(MOTION, "Gate", None);
    until("those of before stand", || told(&site.cloud, "Gate")).await;

    let cloud = site.cloud.clone();
    cloud.script(|script| script.is_down = true);
    site.stop().await;
    let (_, before) = site.simulated.pull_points();
    site.start().await;
    until("the camera is listened to", || site.simulated.pull_points().1 > before).await;
    site.simulated.raise(MOTION, "Shed", None);
    tokio::time::sleep(Duration::from_secs(1)).await;
    cloud.script(|script| script.is_down = false);
    until("it is told once the cloud is back", || told(&cloud, "Shed")).await;
}
