//! What is a bookmark, what locks footage, and who reads the note.

use model::wire::Envelope;
use model::{Base64, BookmarkId, EpochId, Hash, Timestamp};
use seal::bookmark::{
    AHEAD_MS_MAX, Bookmark, BookmarkError, CASE_MAX, LOCK_MS_MAX, Lock, LockRefusal, LockResult, NOTE_MAX,
    Note, NoteKey, STRETCH_MS_MAX,
};
use seal::envelope::{self, PayloadType};
use seal::grant::EpochKey;
use seal::keys::VerifyingKey;

use crate::fixture::{
    Log, T0, camera_id, device_id, gateway, gateway_id, gateway_keys, keys, org, other_camera_id,
};

pub(crate) const VIDEO: [u8; 32] = [0x1d; 32];

pub(crate) fn id() -> BookmarkId {
    BookmarkId::from_random([0xb0; 16])
}

pub(crate) fn note_key() -> NoteKey {
    NoteKey::new(&EpochKey::from_random(VIDEO), camera_id())
}

pub(crate) fn note() -> Note {
    Note { text: "Two of them, by the \"gate\".\nBlue van \u{1f690}".into(), case: Some("Yard, May".into()) }
}

pub(crate) fn bookmark(lock: Option<Lock>) -> Bookmark {
    Bookmark {
        org: org(),
        gateway: gateway_id(),
        camera: camera_id(),
        bookmark: id(),
        device: device_id(2),
        from: Timestamp(T0.0 - 60_000),
        to: Timestamp(T0.0 - 30_000),
        lock,
        issued_at: T0,
        epoch: EpochId::from_random([0xe0; 16]),
        note: note_key().seal(id(), &note(), [0x0c; 12]),
    }
}

pub(crate) fn result() -> LockResult {
    LockResult {
        org: org(),
        gateway: gateway_id(),
        bookmark: id(),
        order: Hash([0x0d; 32]),
        at: T0,
        refused: None,
        recordings: 3,
        bytes: 1_234_567,
        recorded_ms: 30_000,
    }
}

#[test]
fn a_bookmark_is_signed_by_the_device_that_it_names() {
    let roster = Log::populated().roster;
    for lock in [None, Some(Lock { until: None }), Some(Lock { until: Some(T0.plus_ms(LOCK_MS_MAX)) })] {
        let bookmark = bookmark(lock);
        let signed = bookmark.sign(&keys(2).sign);
        let (read, hash) = Bookmark::verify(&signed, &roster, T0).unwrap();
        assert_eq!((read, hash), (bookmark.clone(), seal::sha256(&signed.payload.0)));
        assert!(Bookmark::verify(&bookmark.sign(&keys(1).sign), &roster, T0).is_err(), "another's key");
        let other = Bookmark { device: device_id(1), ..bookmark.clone() };
        assert!(Bookmark::verify(&other.sign(&keys(2).sign), &roster, T0).is_err(), "in another's name");
        let late = T0.plus_ms(400 * Timestamp::DAY);
        assert!(matches!(Bookmark::verify(&signed, &roster, late), Err(BookmarkError::Signer)));
        let mut two = signed.clone();
        envelope::add_signature(PayloadType::Bookmark, &mut two, &device_id(1), &keys(1).sign);
        assert!(Bookmark::verify(&two, &roster, T0).is_err(), "two signatures");
        for at in 0..signed.payload.0.len() {
            let mut altered = signed.clone();
            altered.payload.0[at] ^= 1;
            assert!(Bookmark::verify(&altered, &roster, T0).is_err(), "byte {at}");
        }
    }
}

#[test]
fn what_is_marked_and_locked_has_its_bounds() {
    let roster = Log::populated().roster;
    let open = Some(Lock { until: None });
    let fits = |bookmark: Bookmark| Bookmark::verify(&bookmark.sign(&keys(2).sign), &roster, T0).is_ok();
    let of =
        |from: u64, to: u64, lock| Bookmark { from: Timestamp(from), to: Timestamp(to), ..bookmark(lock) };
    assert!(fits(of(T0.0 - 1, T0.0 - 1, None)), "a moment");
    assert!(fits(of(T0.0 - STRETCH_MS_MAX, T0.0, open)));
    assert!(fits(of(T0.0, T0.0 + AHEAD_MS_MAX, open)));
    assert!(!fits(of(T0.0 - 1, T0.0 - 1, open)), "a lock of nothing");
    assert!(!fits(of(T0.0, T0.0 - 1, None)), "backwards");
    assert!(!fits(of(T0.0 - STRETCH_MS_MAX - 1, T0.0, None)));
    assert!(!fits(of(T0.0, T0.0 + AHEAD_MS_MAX + 1, None)), "of what is to come");
    let until = |until| bookmark(Some(Lock { until: Some(Timestamp(until)) }));
    assert!(fits(until(T0.0 + 1)));
    assert!(!fits(until(T0.0)), "over before it was made");
    assert!(!fits(until(T0.0 + LOCK_MS_MAX + 1)));
    let ahead = Timestamp(T0.0 + AHEAD_MS_MAX + 1);
    assert!(!fits(Bookmark { issued_at: ahead, ..bookmark(None) }), "a later one would count for ever");
    let padded = bookmark(None).note.0.len();
    for length in [0, 12, 28, padded - 1, padded + 1, 1 << 16] {
        assert!(
            !fits(Bookmark { note: Base64(vec![0; length]), ..bookmark(None) }),
            "a note of {length} bytes"
        );
    }
}

#[test]
fn a_lock_holds_until_its_end() {
    let at = |ms: u64| Timestamp(T0.0 + ms);
    assert!(!bookmark(None).locks_at(T0));
    assert!(bookmark(Some(Lock { until: None })).locks_at(at(Timestamp::DAY * 9_999)));
    let ends = bookmark(Some(Lock { until: Some(at(10)) }));
    assert!(ends.locks_at(at(9)) && !ends.locks_at(at(10)));
}

/// The attack: the cloud, or somebody without the footage, reads or moves notes.
#[test]
fn a_note_opens_with_the_footage_and_under_its_own_name() {
    let sealed = bookmark(None).note;
    assert_eq!(note_key().open(id(), &sealed).unwrap(), note());
    let other_epoch = NoteKey::new(&EpochKey::from_random([2; 32]), camera_id());
    let other_camera = NoteKey::new(&EpochKey::from_random(VIDEO), other_camera_id());
    for key in [other_epoch, other_camera] {
        assert!(key.open(id(), &sealed).is_err());
    }
    assert!(note_key().open(BookmarkId::from_random([1; 16]), &sealed).is_err(), "another's note");
    for at in 0..sealed.0.len() {
        let mut altered = sealed.clone();
        altered.0[at] ^= 1;
        assert!(note_key().open(id(), &altered).is_err(), "byte {at}");
        assert!(note_key().open(id(), &Base64(sealed.0[..at].to_vec())).is_err(), "cut off at {at}");
    }
    // Lengths tell little: both are padded to the same.
    let short = Note { text: String::new(), case: None };
    assert_eq!(note_key().seal(id(), &short, [1; 12]).0.len(), sealed.0.len());
}

#[test]
fn a_note_has_its_bounds_and_the_longest_fits() {
    let roster = Log::populated().roster;
    let opened = |note: &Note| note_key().open(id(), &note_key().seal(id(), note, [3; 12]));
    let longest = Note { text: "\u{1}".repeat(NOTE_MAX), case: Some("\"".repeat(CASE_MAX)) };
    assert_eq!(opened(&longest).unwrap(), longest);
    let sealed = note_key().seal(id(), &longest, [3; 12]);
    let bookmark = Bookmark { note: sealed, ..bookmark(None) };
    Bookmark::verify(&bookmark.sign(&keys(2).sign), &roster, T0).unwrap();
    let text = |text: String| Note { text, case: None };
    let case = |case: String| Note { text: String::new(), case: Some(case) };
    for note in [
        text("x".repeat(NOTE_MAX + 1)),
        text("\u{1f690}".repeat(NOTE_MAX / 2 + 1)),
        case(String::new()),
        case("x".repeat(CASE_MAX + 1)),
        case("a\nb".into()),
    ] {
        assert!(opened(&note).is_err());
    }
}

#[test]
fn a_result_is_of_its_gateway() {
    let key = VerifyingKey::from_bytes(&gateway().sign.0).unwrap();
    let verify = |envelope: &Envelope| LockResult::verify(envelope, (gateway_id(), key));
    for refused in [None, Some(LockRefusal::Full)] {
        let result = LockResult { refused, ..result() };
        assert_eq!(verify(&result.sign(&gateway_keys().1)).unwrap(), result);
        assert!(verify(&result.sign(&keys(1).sign)).is_err());
    }
}
