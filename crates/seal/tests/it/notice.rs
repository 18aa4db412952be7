//! Orders of notices, and the notices.

use model::wire::Envelope;
use model::{EventId, EventKind, Timestamp};
use seal::keys::KemSecret;
use seal::notice::{
    CAMERAS_MAX, Channel, LIFE_MS_MAX, NOTICE_BYTES, Notice, NoticeError, NoticeKey, NoticeOrder, QUIET_MAX,
    RULES_MAX, Rule, Stretch, Wishes,
};
use seal::still::{STILL_BYTES_MAX, StillPlace, StillSecret};

use crate::fixture::{Log, T0, camera_id, device_id, gateway_id, gateway_keys, keys, org, other_camera_id};

pub(crate) fn channel() -> Channel {
    Channel { org: org(), gateway: gateway_id(), device: device_id(2) }
}

pub(crate) fn key() -> NoticeKey {
    NoticeKey::from_random([0x4e; 32])
}

pub(crate) fn wishes() -> Wishes {
    Wishes {
        key: key(),
        rules: vec![
            Rule { cameras: None, kinds: vec![EventKind::Doorbell] },
            Rule { cameras: Some(vec![camera_id()]), kinds: vec![EventKind::Person, EventKind::Vehicle] },
        ],
        quiet: vec![Stretch { from: T0.plus_ms(1_000), to: T0.plus_ms(2_000) }],
        pause_ms: 60_000,
        pictures: true,
    }
}

pub(crate) fn order() -> NoticeOrder {
    order_of(&wishes(), T0)
}

fn order_of(wishes: &Wishes, at: Timestamp) -> NoticeOrder {
    let times = (at, at.plus_ms(LIFE_MS_MAX));
    NoticeOrder::new(channel(), times, wishes, &gateway_keys().0.public(), [0x77; 64])
}

pub(crate) fn notice() -> Notice {
    Notice {
        event: EventId::from_random([0xe1; 16]),
        camera: camera_id(),
        at: T0,
        kind: EventKind::Person,
        rule: Some("Front yard".into()),
        still: Some(still()),
    }
}

pub(crate) fn still() -> StillSecret {
    StillSecret::from_random([0x57; 32])
}

pub(crate) fn still_place() -> StillPlace {
    StillPlace { org: org(), gateway: gateway_id(), camera: camera_id(), event: notice().event }
}

fn signed(order: &NoticeOrder) -> Envelope {
    order.sign(&keys(2).sign)
}

#[test]
fn an_order_says_what_is_wanted_to_its_gateway_alone() {
    let (order, roster) = (order(), Log::populated().roster);
    assert_eq!(NoticeOrder::verify(&signed(&order), &roster, T0).unwrap(), order);
    let opened = order.open(&gateway_keys().0).unwrap();
    assert_eq!((opened.rules, opened.quiet, opened.pause_ms), (wishes().rules, wishes().quiet, 60_000));
    assert!(matches!(order.open(&KemSecret::from_seed([9; 32])), Err(NoticeError::Sealed)));
    // Sealed for another device or gateway, it opens for nobody.
    let moved = NoticeOrder { device: device_id(1), ..order.clone() };
    assert!(matches!(moved.open(&gateway_keys().0), Err(NoticeError::Sealed)));
    // What is wanted does not show in the length.
    let mut less = wishes();
    less.rules.truncate(1);
    assert_eq!(order_of(&less, T0).sealed.ciphertext.0.len(), order.sealed.ciphertext.0.len());
    assert!(!format!("{:?}", wishes()).contains("78"), "no key in what is printed: {:?}", wishes());
}

#[test]
fn orders_that_count_for_nothing_are_refused() {
    let roster = Log::populated().roster;
    let verify = |envelope: &Envelope, at| NoticeOrder::verify(envelope, &roster, at).map(drop);
    let good = order();
    // Signed with another device's key, in its own name or in this one's.
    assert!(verify(&good.sign(&keys(1).sign), T0).is_err());
    let stranger = NoticeOrder { device: device_id(77), ..good.clone() };
    assert!(matches!(verify(&stranger.sign(&keys(77).sign), T0), Err(NoticeError::Device)));
    let elsewhere = NoticeOrder { org: model::OrgId::from_random([9; 16]), ..good.clone() };
    assert!(matches!(verify(&signed(&elsewhere), T0), Err(NoticeError::Channel)));
    let envelope = signed(&good);
    assert!(matches!(
        verify(&envelope, T0.plus_ms(LIFE_MS_MAX)),
        Err(NoticeError::Device | NoticeError::Expired)
    ));
    for (issued, expires) in [(0, LIFE_MS_MAX + 1), (0, 0), (600_000, 700_000)] {
        let wrong =
            NoticeOrder { issued_at: T0.plus_ms(issued), expires_at: T0.plus_ms(expires), ..good.clone() };
        assert!(matches!(verify(&signed(&wrong), T0), Err(NoticeError::Expired)), "{issued} {expires}");
    }
    for at in 0..envelope.payload.0.len() {
        let mut altered = envelope.clone();
        altered.payload.0[at] ^= 1;
        assert!(verify(&altered, T0).is_err(), "byte {at}");
    }
}

#[test]
fn an_order_is_bounded() {
    let rule = || Rule { cameras: Some(vec![camera_id()]), kinds: vec![EventKind::Motion] };
    let quiet = |n: u64| Stretch { from: Timestamp(n), to: Timestamp(n + 1) };
    let open = |wishes: &Wishes| order_of(wishes, T0).open(&gateway_keys().0).map(drop);
    let mut most = wishes();
    most.rules = vec![rule(); RULES_MAX];
    most.quiet = (0..QUIET_MAX as u64).map(quiet).collect();
    open(&most).unwrap();
    let more: [fn(&mut Wishes); 4] = [
        |wishes| wishes.rules.push(wishes.rules[0].clone()),
        |wishes| wishes.quiet.push(wishes.quiet[0]),
        |wishes| wishes.pause_ms = Timestamp::DAY + 1,
        |wishes| wishes.rules[0].cameras = Some(vec![camera_id(); CAMERAS_MAX]),
    ];
    for change in more {
        let mut wishes = most.clone();
        change(&mut wishes);
        assert!(matches!(open(&wishes), Err(NoticeError::TooMuch)), "{}", wishes.rules.len());
    }
}

#[test]
fn rules_and_quiet_times_say_what_is_told() {
    let wishes = wishes();
    assert!(wishes.wants(camera_id(), EventKind::Person, T0));
    assert!(!wishes.wants(other_camera_id(), EventKind::Person, T0));
    assert!(wishes.wants(other_camera_id(), EventKind::Doorbell, T0), "of all cameras");
    assert!(!wishes.wants(camera_id(), EventKind::Motion, T0));
    for (ms, told) in [(999, true), (1_000, false), (1_999, false), (2_000, true)] {
        assert_eq!(wishes.wants(camera_id(), EventKind::Person, T0.plus_ms(ms)), told, "{ms}");
    }
}

#[test]
fn a_notice_opens_for_its_device_and_not_if_a_byte_is_another() {
    let sealed = notice().seal(&key(), &channel(), [5; 12]).0;
    assert_eq!(sealed.len(), NOTICE_BYTES);
    assert_eq!(Notice::open(&sealed, &key(), &channel()).unwrap(), notice());
    let open = |sealed: &[u8], key: &NoticeKey, channel: &Channel| Notice::open(sealed, key, channel).is_ok();
    assert!(!open(&sealed, &NoticeKey::from_random([1; 32]), &channel()));
    assert!(!open(&sealed, &key(), &Channel { device: device_id(1), ..channel() }));
    assert!(!open(&sealed[1..], &key(), &channel()) && !open(&[], &key(), &channel()));
    for at in 0..sealed.len() {
        let mut altered = sealed.clone();
        altered[at] ^= 1;
        assert!(!open(&altered, &key(), &channel()), "byte {at}");
    }
    // Whatever it says, it is as long: neither cloud nor push service learns more.
    let rules = [None, Some(String::new()), Some("\u{1}".repeat(64)), Some("é".repeat(32))];
    for rule in rules {
        // With the secret of a picture in it, as `notice` has one.
        let notice = Notice { rule, kind: EventKind::Tampering, at: Timestamp((1 << 53) - 1), ..notice() };
        let sealed = notice.seal(&key(), &channel(), [5; 12]).0;
        assert_eq!(sealed.len(), NOTICE_BYTES);
        assert_eq!(Notice::open(&sealed, &key(), &channel()).unwrap(), notice);
    }
}

#[test]
fn orders_and_notices_without_pictures_are_spelled_as_before() {
    let wishes = Wishes { pictures: false, ..wishes() };
    assert!(!String::from_utf8(seal::to_canonical(&wishes)).unwrap().contains("pictures"));
    assert!(!order_of(&wishes, T0).open(&gateway_keys().0).unwrap().pictures);
    assert!(order().open(&gateway_keys().0).unwrap().pictures);
    let notice = Notice { still: None, ..notice() };
    assert!(!String::from_utf8(seal::to_canonical(&notice)).unwrap().contains("still"));
    let sealed = notice.seal(&key(), &channel(), [5; 12]).0;
    assert_eq!(Notice::open(&sealed, &key(), &channel()).unwrap(), notice);
    // A second spelling of the same is none.
    let stated = br#"{"key":"TU1NTU1NTU1NTU1NTU1NTU1NTU1NTU1NTU1NTU1NTU0=","rules":[],"quiet":[],"pause_ms":0,"pictures":false}"#;
    assert!(seal::from_canonical::<Wishes>(stated).is_err());
}

#[test]
fn a_still_picture_opens_as_that_of_its_event_and_as_nothing_else() {
    let picture = b"a picture".to_vec();
    let sealed = still().seal(&still_place(), &picture).unwrap();
    assert_eq!(still().open(&still_place(), &sealed).unwrap(), picture);
    let open = |secret: &StillSecret, place: &StillPlace, sealed: &[u8]| secret.open(place, sealed).is_ok();
    let place = still_place();
    let others = [
        StillPlace { org: model::OrgId::from_random([9; 16]), ..place },
        StillPlace { gateway: model::GatewayId::from_random([9; 16]), ..place },
        StillPlace { camera: other_camera_id(), ..place },
        StillPlace { event: EventId::from_random([9; 16]), ..place },
    ];
    assert!(others.iter().all(|other| !open(&still(), other, &sealed)));
    assert!(!open(&StillSecret::from_random([1; 32]), &place, &sealed));
    for at in 0..sealed.len() {
        let mut altered = sealed.clone();
        altered[at] ^= 1;
        assert!(!open(&still(), &place, &altered), "byte {at}");
        assert!(!open(&still(), &place, &sealed[..at]), "the first {at} bytes");
    }
    assert!(still().seal(&place, &vec![0; STILL_BYTES_MAX + 1]).is_err());
    assert!(!open(&still(), &place, &vec![0; STILL_BYTES_MAX + 17]));
    // Who knows where it lies cannot open it, and nothing that is printed does either.
    assert_ne!(still().id().0, [0x57; 32]);
    assert_eq!(format!("{:?}", still()), "StillSecret(…)");
}
