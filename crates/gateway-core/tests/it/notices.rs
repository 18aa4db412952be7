//! Who is told of an event, and by whose order.

use gateway_core::events::Now;
use gateway_core::notices::Notices;
use model::wire::{Envelope, SealedNotice};
use model::{EventId, EventKind, EventPhase, EventSource, PersonId, Timestamp};
use seal::event::Event;
use seal::notice::{Channel, Notice, NoticeError, NoticeKey, NoticeOrder, Rule, Stretch, Wishes};
use seal::roster::{Device, Roster, Scope, Statement};
use seal::still::StillSecret;

use crate::site_fixture::{T0, camera_id, device, device_id, gateway_id, keys, push, roster};

fn wishes(key: u8) -> Wishes {
    Wishes {
        key: NoticeKey::from_random([key; 32]),
        rules: vec![Rule { cameras: None, kinds: vec![EventKind::Motion, EventKind::Doorbell] }],
        quiet: vec![Stretch { from: T0.plus_ms(100_000), to: T0.plus_ms(200_000) }],
        pause_ms: 10_000,
        pictures: false,
    }
}

fn channel(n: u8, org: model::OrgId) -> Channel {
    Channel { org, gateway: gateway_id(), device: device_id(n) }
}

fn order_at(n: u8, roster: &Roster, wishes: &Wishes, at: Timestamp) -> Envelope {
    let times = (at, at.plus_ms(Timestamp::DAY));
    let to = keys(6).kem.public();
    NoticeOrder::new(channel(n, roster.org()), times, wishes, &to, [n; 64]).sign(&keys(n).sign)
}

fn event(n: u8, kind: EventKind, phase: EventPhase) -> Event {
    Event {
        id: EventId::from_random([n; 16]),
        at: T0,
        phase,
        kind,
        rule: Some("Yard".into()),
        source: EventSource::Onvif,
        topic: "RuleEngine/CellMotionDetector/Motion".into(),
    }
}

struct Site {
    notices: Notices,
    roster: Roster,
    drawn: u8,
}

impl Site {
    fn new() -> Self {
        Site { notices: Notices::default(), roster: roster(), drawn: 0 }
    }

    /// How many orders are refused, and why the first was.
    fn set(&mut self, envelopes: &[Envelope], ms: u64) -> Option<NoticeError> {
        let own = (gateway_id(), &keys(6).kem);
        let mut refused = self.notices.set(envelopes, &self.roster, own, T0.plus_ms(ms));
        if refused.is_empty() { None } else { Some(refused.swap_remove(0).error) }
    }

    fn tell(&mut self, event: &Event, ms: u64) -> Vec<SealedNotice> {
        let now = Now { ms, at: T0.plus_ms(ms) };
        let drawn = &mut self.drawn;
        let nonce = &mut || {
            *drawn += 1;
            [*drawn; 12]
        };
        self.notices.of((&[camera_id(1)], event), &self.roster, now, None, nonce).notices
    }

    fn tells(&mut self, kind: EventKind, ms: u64) -> usize {
        self.tell(&event(1, kind, EventPhase::Began), ms).len()
    }
}

#[test]
fn an_event_is_told_once_to_whom_it_concerns() {
    let mut site = Site::new();
    assert!(site.set(&[order_at(1, &site.roster, &wishes(7), T0)], 0).is_none());
    let told = site.tell(&event(1, EventKind::Motion, EventPhase::Began), 0);
    assert_eq!((told.len(), told[0].device, told[0].camera), (1, device_id(1), camera_id(1)));
    let key = NoticeKey::from_random([7; 32]);
    let opened = Notice::open(&told[0].notice.0, &key, &channel(1, site.roster.org())).unwrap();
    assert_eq!((opened.kind, opened.rule.as_deref(), opened.at), (EventKind::Motion, Some("Yard"), T0));

    assert!(site.tell(&event(1, EventKind::Motion, EventPhase::Ended), 20_000).is_empty());
    assert_eq!(site.tells(EventKind::Person, 20_000), 0, "nobody asked for persons");
    assert_eq!(site.tells(EventKind::Doorbell, 1), 1, "a pause is of one kind");
    // A pause after each, then quiet, then not any more.
    let told: Vec<usize> = [9_999, 10_000, 15_000, 20_000, 100_000, 199_999, 200_000, Timestamp::DAY]
        .map(|ms| site.tells(EventKind::Motion, ms))
        .into();
    assert_eq!(told, [0, 1, 0, 1, 0, 0, 1, 0]);
}

#[test]
fn a_picture_is_for_those_who_asked_for_one_and_is_taken_for_nobody_else() {
    let mut site = Site::new();
    let ben = PersonId::from_random([2; 16]);
    push(&mut site.roster, Statement::AddDevice { device: Device { person: ben, ..device(2) } });
    push(
        &mut site.roster,
        Statement::SetAccess { person: ben, scope: Scope::All, audio: false, until: None },
    );
    let pictures = Wishes { pictures: true, ..wishes(8) };
    let orders = [order_at(1, &site.roster, &wishes(7), T0), order_at(2, &site.roster, &pictures, T0)];
    assert!(site.set(&orders, 0).is_none());
    let secret = StillSecret::from_random([9; 32]);
    let tell = |site: &mut Site, ms: u64, offered: bool| {
        let (now, offered) = (Now { ms, at: T0.plus_ms(ms) }, offered.then(|| secret.clone()));
        let event = event(1, EventKind::Motion, EventPhase::Began);
        site.notices.of((&[camera_id(1)], &event), &site.roster, now, offered, &mut || [1; 12])
    };
    let opened = |site: &Site, told: &SealedNotice| {
        let (n, key) = if told.device == device_id(1) { (1, 7) } else { (2, 8) };
        let key = NoticeKey::from_random([key; 32]);
        Notice::open(&told.notice.0, &key, &channel(n, site.roster.org())).unwrap()
    };
    let told = tell(&mut site, 0, true);
    let stills: Vec<_> = told.notices.iter().map(|told| (told.device, opened(&site, told).still)).collect();
    assert!(stills.contains(&(device_id(1), None)) && stills.contains(&(device_id(2), Some(secret.clone()))));
    assert_eq!(told.still, Some(secret.clone()));
    assert_eq!(told.notices[0].notice.0.len(), told.notices[1].notice.0.len(), "carriers see no difference");
    // A camera that gives none; somebody whose access to it has ended.
    let told = tell(&mut site, 20_000, false);
    assert!(told.still.is_none() && told.notices.iter().all(|told| opened(&site, told).still.is_none()));
    push(
        &mut site.roster,
        Statement::SetAccess {
            person: ben,
            scope: Scope::Cameras { cameras: [].into() },
            audio: false,
            until: None,
        },
    );
    let told = tell(&mut site, 40_000, true);
    assert!(told.still.is_none() && told.notices.iter().all(|told| told.device == device_id(1)));
}

#[test]
fn trouble_of_a_gateway_is_told_once_of_a_camera_that_the_device_may_see() {
    let mut site = Site::new();
    let ben = PersonId::from_random([2; 16]);
    push(&mut site.roster, Statement::AddDevice { device: Device { person: ben, ..device(2) } });
    let disk = |cameras| {
        vec![
            Rule { cameras, kinds: vec![EventKind::Disk] },
            Rule { cameras: None, kinds: vec![EventKind::Motion] },
        ]
    };
    let of_all = Wishes { rules: disk(None), pictures: true, ..wishes(7) };
    let of_another = Wishes { rules: disk(Some(vec![camera_id(2)])), ..wishes(8) };
    let orders = [order_at(1, &site.roster, &of_all, T0), order_at(2, &site.roster, &of_another, T0)];
    assert!(site.set(&orders, 0).is_none());
    let full = Event {
        source: EventSource::Gateway,
        rule: Some("full".into()),
        topic: "lenskeep/disk".into(),
        ..event(1, EventKind::Disk, EventPhase::Began)
    };
    let cameras = [camera_id(9), camera_id(1), camera_id(2)];
    let tell = |site: &mut Site, ms: u64| {
        let now = Now { ms, at: T0.plus_ms(ms) };
        site.notices.of((&cameras, &full), &site.roster, now, None, &mut || [1; 12]).notices
    };
    // Nobody may see the first, and Ben none of them.
    let told = tell(&mut site, 0);
    assert_eq!(
        told.iter().map(|one| (one.device, one.camera)).collect::<Vec<_>>(),
        [(device_id(1), camera_id(1))]
    );
    let key = NoticeKey::from_random([7; 32]);
    let opened = Notice::open(&told[0].notice.0, &key, &channel(1, site.roster.org())).unwrap();
    assert_eq!((opened.kind, opened.rule.as_deref()), (EventKind::Disk, Some("full")));
    assert!(tell(&mut site, 9_999).is_empty(), "a pause holds for all of them");
    push(&mut site.roster, Statement::RevokeDevice { device: device_id(1) });
    assert!(tell(&mut site, 20_000).is_empty());
}

#[test]
fn the_roster_has_the_last_word_at_each_event() {
    let mut site = Site::new();
    let ben = PersonId::from_random([2; 16]);
    push(&mut site.roster, Statement::AddDevice { device: Device { person: ben, ..device(2) } });
    assert!(site.set(&[order_at(2, &site.roster, &wishes(7), T0)], 0).is_none());
    assert_eq!(site.tells(EventKind::Motion, 0), 0, "he may not see the camera yet");
    push(
        &mut site.roster,
        Statement::SetAccess { person: ben, scope: Scope::All, audio: false, until: None },
    );
    assert_eq!(site.tells(EventKind::Motion, 0), 1);
    push(&mut site.roster, Statement::RevokeDevice { device: device_id(2) });
    assert_eq!(site.tells(EventKind::Motion, 50_000), 0);
}

#[test]
fn what_a_hostile_cloud_makes_of_orders_counts_for_nothing() {
    let mut site = Site::new();
    let good = order_at(1, &site.roster, &wishes(7), T0.plus_ms(1_000));
    // A device that nobody let in, another gateway's order, an altered one: the good one stands.
    let stranger = order_at(3, &site.roster, &wishes(3), T0);
    let elsewhere = {
        let channel =
            Channel { gateway: model::GatewayId::from_random([8; 16]), ..channel(1, site.roster.org()) };
        let times = (T0, T0.plus_ms(Timestamp::DAY));
        NoticeOrder::new(channel, times, &wishes(4), &keys(6).kem.public(), [4; 64]).sign(&keys(1).sign)
    };
    let mut altered = order_at(1, &site.roster, &wishes(5), T0.plus_ms(2_000));
    altered.payload.0[40] ^= 1;
    let key = NoticeKey::from_random([7; 32]);
    let is_told_by_the_good_one = |site: &mut Site, ms| {
        let told = site.tell(&event(1, EventKind::Motion, EventPhase::Happened), ms);
        assert_eq!(told.len(), 1, "{ms}");
        Notice::open(&told[0].notice.0, &key, &channel(1, site.roster.org())).unwrap();
    };
    for (bad, ms) in [stranger, elsewhere, altered].into_iter().zip([2_000, 20_000, 40_000]) {
        assert!(site.set(&[bad, good.clone()], ms).is_some());
        is_told_by_the_good_one(&mut site, ms);
    }
    // An older order in place of the newer one is not taken.
    let older = order_at(1, &site.roster, &wishes(9), T0);
    assert!(matches!(site.set(std::slice::from_ref(&older), 60_000), Some(NoticeError::Older)));
    is_told_by_the_good_one(&mut site, 60_000);
    // Withheld, it tells nothing: that is all that it can do.
    assert!(site.set(&[], 80_000).is_none());
    assert_eq!(site.tells(EventKind::Motion, 80_000), 0);
    // Nor does the older one count once the newer was withheld; the newer one does.
    assert!(matches!(site.set(&[older], 80_000), Some(NoticeError::Older)));
    assert_eq!(site.tells(EventKind::Motion, 80_000), 0);
    assert!(site.set(&[good], 80_000).is_none());
    is_told_by_the_good_one(&mut site, 80_000);
}
