//! What does not work is told to people, and is one event.

use std::time::Duration;

use model::wire::{SealedNotice, StreamState};
use model::{EventKind, EventPhase, EventSource, Rendition};
use seal::event::Event;
use seal::notice::{Channel, Notice, NoticeKey};

use super::events::{all_stored, has, order_notices_of};
use super::{Site, until};

fn of_kind(site: &Site, kind: EventKind) -> Vec<Event> {
    all_stored(site).into_iter().filter(|event| event.kind == kind).collect()
}

fn told(site: &Site, (key, channel): (u8, &Channel)) -> Vec<Notice> {
    let key = NoticeKey::from_random([key; 32]);
    let opened = |told: &SealedNotice| Notice::open(&told.notice.0, &key, channel).unwrap();
    site.cloud.notices().iter().map(opened).collect()
}

fn phases(events: &[Event]) -> Vec<EventPhase> {
    events.iter().map(|event| event.phase).collect()
}

/// A camera without an event service, whose person ordered these kinds. The order is
/// in force once what it asks for can be told.
async fn recording(key: u8, kinds: &[EventKind]) -> (Site, Channel) {
    let site = Site::recording().await;
    let channel = order_notices_of(&site, key, true, kinds);
    until("the order is asked for", || site.data().join("notice-orders.json").exists()).await;
    (site, channel)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_camera_that_is_down_is_told_once_and_is_one_event_over_a_restart() {
    let (mut site, channel) = recording(5, &[EventKind::CameraDown]).await;
    assert!(!has(&site, Rendition::Events, StreamState::Recording), "no camera tells anything");
    site.simulated.set_fault(Some(camera_sim::Fault::Stall));
    until("people are told", || !site.cloud.notices().is_empty()).await;
    let notice = told(&site, (5, &channel)).swap_remove(0);
    assert_eq!((notice.kind, notice.camera, notice.still), (EventKind::CameraDown, site.camera, None));
    let cause = notice.rule.as_deref().unwrap();
    assert!(["stalled", "camera_unreachable"].contains(&cause), "{cause}");
    until("it is an event", || of_kind(&site, EventKind::CameraDown).len() == 1).await;
    let began = of_kind(&site, EventKind::CameraDown).swap_remove(0);
    assert_eq!((began.id, began.phase, began.at), (notice.event, EventPhase::Began, notice.at));
    assert_eq!((began.source, began.topic.as_str()), (EventSource::Gateway, "lenskeep/camera_down"));

    site.restart().await;
    // Longer than it takes to tell another one.
    tokio::time::sleep(Duration::from_secs(40)).await;
    assert_eq!(phases(&of_kind(&site, EventKind::CameraDown)), [EventPhase::Began]);
    assert_eq!(told(&site, (5, &channel)).len(), 1);
    site.simulated.set_fault(None);
    until("its end is stored", || of_kind(&site, EventKind::CameraDown).len() == 2).await;
    let ended = of_kind(&site, EventKind::CameraDown).pop().unwrap();
    assert_eq!((ended.id, ended.phase), (began.id, EventPhase::Ended));
    assert!(ended.at > began.at);
    assert_eq!(told(&site, (5, &channel)).len(), 1, "its end is no news");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_takes_nothing_is_told_though_no_event_can_be_written() {
    let mut site = Site::enrolled().await;
    // Where the cameras' folders should be stands a file.
    let blocked = site.data().join("recordings");
    std::fs::write(&blocked, b"in the way").unwrap();
    let channel = order_notices_of(&site, 6, false, &EventKind::TROUBLE);
    site.add_camera().await;
    until("people are told", || !site.cloud.notices().is_empty()).await;
    tokio::time::sleep(Duration::from_secs(35)).await;
    let told = told(&site, (6, &channel));
    let told: Vec<_> = told.iter().map(|notice| (notice.kind, notice.rule.as_deref())).collect();
    assert_eq!(told, [(EventKind::Disk, Some("failing"))], "and not once more of each camera");
    assert!(all_stored(&site).is_empty());
    std::fs::remove_file(&blocked).unwrap();
    until("the event is kept once the disk takes it", || {
        let disk = of_kind(&site, EventKind::Disk);
        disk.len() == 2 && phases(&disk) == [EventPhase::Began, EventPhase::Ended]
    })
    .await;
    assert_eq!(phases(&of_kind(&site, EventKind::NotRecorded)), [EventPhase::Began, EventPhase::Ended]);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_that_is_played_again_and_again_is_told() {
    let (site, channel) = recording(7, &[EventKind::Frozen]).await;
    until("people are told", || !site.cloud.notices().is_empty()).await;
    assert_eq!(told(&site, (7, &channel))[0].kind, EventKind::Frozen);
    assert!(has(&site, Rendition::Main, StreamState::Recording), "it is recorded all the same");
}
