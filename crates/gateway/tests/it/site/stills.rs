//! Pictures that go with notices, from a camera to the cloud.

use std::time::Duration;

use camera_sim::Fault;
use model::EventKind;
use model::wire::SealedStill;
use seal::notice::{Notice, NoticeKey};
use seal::still::StillPlace;

use super::events::{MOTION, listens, order_notices, site};
use super::{Site, until};

const KEY: u8 = 7;

/// What the administrator's device is told, and the picture if it has come.
fn told(site: &Site, rule: &str) -> Option<(Notice, Option<Vec<u8>>)> {
    let (administrator, gateway) = (&site.administrator, site.administrator.gateway());
    let (org, device) = (administrator.roster().org(), administrator.device_id());
    let channel = seal::notice::Channel { org, gateway: gateway.id, device };
    let key = NoticeKey::from_random([KEY; 32]);
    let opened = |told: &model::wire::SealedNotice| Notice::open(&told.notice.0, &key, &channel).unwrap();
    let notice =
        site.cloud.notices().iter().map(opened).find(|notice| notice.rule.as_deref() == Some(rule))?;
    let still = notice.still.as_ref().and_then(|secret| {
        let stored = site.cloud.stills();
        let found: Vec<&SealedStill> = stored.iter().filter(|still| still.id == secret.id()).collect();
        let place = StillPlace { org, gateway: gateway.id, camera: notice.camera, event: notice.event };
        found.first().map(|still| secret.open(&place, &still.still.0).unwrap())
    });
    Some((notice, still))
}

async fn raises(site: &Site, rule: &str) -> Notice {
    until("the event is told", || {
        site.simulated.raise(MOTION, rule, None);
        std::thread::sleep(Duration::from_millis(500));
        told(site, rule).is_some()
    })
    .await;
    told(site, rule).unwrap().0
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_told_with_a_picture_that_comes_after_it_though_the_cloud_is_away() {
    let site = site().await;
    site.add_camera().await;
    listens(&site).await;
    order_notices(&site, KEY, true);
    let notice = raises(&site, "Yard").await;
    assert_eq!((notice.kind, notice.camera), (EventKind::Motion, site.camera));
    until("its picture is stored", || told(&site, "Yard").unwrap().1.is_some()).await;
    let picture = told(&site, "Yard").unwrap().1.unwrap();
    assert!(media::jpeg::Still::read(&picture).is_ok());
    let sealed = site.cloud.stills();
    assert!(
        sealed.iter().all(|still| !still.still.0.starts_with(&[0xff, 0xd8])),
        "nothing leaves in the clear"
    );

    // A cloud that takes no picture for a while gets it later.
    site.cloud.script(|script| script.still_answers = [503, 429].into());
    raises(&site, "Gate").await;
    until("its picture is stored, too", || told(&site, "Gate").unwrap().1.is_some()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_camera_does_with_pictures_the_event_is_told() {
    let site = site().await;
    site.add_camera().await;
    listens(&site).await;
    order_notices(&site, KEY, true);
    site.simulated.set_fault(Some(Fault::StillHtml));
    let notice = raises(&site, "Yard").await;
    assert!(notice.still.is_some(), "it might have come");
    until("the camera was asked", || site.simulated.stills() > 0).await;
    assert!(site.cloud.stills().is_empty());
    // It is left alone for a while, and nobody is made to wait for a picture.
    let asked = site.simulated.stills();
    let notice = raises(&site, "Gate").await;
    assert!(notice.still.is_none() && site.simulated.stills() == asked);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_picture_is_taken_for_those_who_want_none() {
    let site = site().await;
    site.add_camera().await;
    listens(&site).await;
    order_notices(&site, KEY, false);
    assert!(raises(&site, "Yard").await.still.is_none());
    assert_eq!(site.simulated.stills(), 0);
}
