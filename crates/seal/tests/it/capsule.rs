//! Capsules: what a link opens, and what it does not.

use model::{ShareId, Timestamp};
use seal::capsule::{
    CAPSULE_BYTES_MAX, CapsuleError, CapsuleKey, DESCRIPTION, DESCRIPTION_BYTES_MAX, Description, FILES_MAX,
    File, FileKind, PIECE_BYTES, Piece,
};

use crate::fixture::T0;

pub(crate) fn share() -> ShareId {
    ShareId::from_random([0x5a; 16])
}

pub(crate) fn key() -> CapsuleKey {
    CapsuleKey::from_random([0xc4; 32])
}

pub(crate) fn description() -> Description {
    let file = |kind, name: &str, bytes| File {
        kind,
        name: name.into(),
        camera: "Yard \u{1f697}".into(),
        from: T0,
        to: T0.plus_ms(60_000),
        bytes,
    };
    Description {
        note: Some("For the \"insurance\"".into()),
        zone: "Europe/Berlin".into(),
        files: vec![
            file(FileKind::Film, "yard.mp4", PIECE_BYTES as u64 + 3),
            file(FileKind::Proof, "yard.lkproof", 5),
        ],
    }
}

#[test]
fn a_piece_opens_in_its_place_with_its_key_and_not_if_a_byte_is_another() {
    let (share, key) = (share(), key());
    let piece = Piece { file: 1, number: 2 };
    let sealed = key.seal(share, piece, b"pictures");
    assert_eq!(key.open(share, piece, &sealed).unwrap(), b"pictures");
    let opens = |key: &CapsuleKey, share, piece, sealed: &[u8]| key.open(share, piece, sealed).is_ok();
    assert!(!opens(&CapsuleKey::from_random([1; 32]), share, piece, &sealed));
    assert!(!opens(&key, ShareId::from_random([1; 16]), piece, &sealed), "of another link");
    for other in [Piece { file: 2, number: 1 }, Piece { file: 1, number: 3 }, Piece { file: 0, number: 2 }] {
        assert!(!opens(&key, share, other, &sealed), "in another place: {other:?}");
    }
    for at in 0..sealed.len() {
        let mut altered = sealed.clone();
        altered[at] ^= 1;
        assert!(!opens(&key, share, piece, &altered), "byte {at}");
        assert!(!opens(&key, share, piece, &sealed[..at]), "cut at {at}");
    }
}

/// What the server is shown opens nothing, and is of one link alone.
#[test]
fn what_the_server_sees_of_a_key_opens_nothing() {
    let (share, key) = (share(), key());
    let access = key.access(share);
    assert_ne!(access, key.access(ShareId::from_random([1; 16])));
    let sealed = key.seal(share, DESCRIPTION, b"x");
    assert!(CapsuleKey::from_random(access.0).open(share, DESCRIPTION, &sealed).is_err());
    assert!(!format!("{key:?}").contains("c4"), "{key:?}");
}

#[test]
fn a_key_stands_in_a_link_and_is_read_again() {
    let text = key().to_link();
    assert_eq!(text.len(), 43);
    assert_eq!(CapsuleKey::from_link(&text).unwrap().access(share()), key().access(share()));
    let longer = format!("{}A", *text);
    for wrong in ["", &text[1..], &longer, "not a key", &text.replace('x', "!")] {
        if wrong != *text {
            assert!(matches!(CapsuleKey::from_link(wrong), Err(CapsuleError::Key)), "{wrong}");
        }
    }
}

#[test]
fn a_description_is_padded_and_bounded() {
    let description = description();
    let padded = description.padded();
    assert_eq!(padded.len() % 4_096, 0);
    assert_eq!(Description::parse(&padded).unwrap(), description);
    assert_eq!(description.files[0].pieces(), 2);
    let sealed = key().seal(share(), DESCRIPTION, &padded);
    assert_eq!(key().open_description(share(), &sealed).unwrap(), description);
    let wrong: [fn(&mut Description); 11] = [
        |wrong| wrong.note = Some("x".repeat(501)),
        |wrong| wrong.zone = "<b>".into(),
        |wrong| wrong.zone.clear(),
        |wrong| wrong.files[0].name = "a\nb".into(),
        |wrong| wrong.files[1].camera.clear(),
        |wrong| wrong.files.clear(),
        |wrong| wrong.files = vec![wrong.files[1].clone(); FILES_MAX as usize + 1],
        |wrong| wrong.files[0].bytes = CAPSULE_BYTES_MAX,
        |wrong| (wrong.files[0].bytes, wrong.files[1].bytes) = (u64::MAX, 1),
        |wrong| wrong.files[0].bytes = 0,
        |wrong| wrong.files[0].to = Timestamp(0),
    ];
    for (n, change) in wrong.into_iter().enumerate() {
        let mut wrong = description.clone();
        change(&mut wrong);
        assert!(matches!(Description::parse(&wrong.padded()), Err(CapsuleError::TooMuch)), "{n}");
    }
    let mut longest = description.clone();
    longest.note = Some("x".repeat(DESCRIPTION_BYTES_MAX));
    assert!(matches!(Description::parse(&longest.padded()), Err(CapsuleError::TooMuch)));
    for text in ["", "{}", "null", r#"{"note":null,"zone":"","files":[],"more":1}"#] {
        assert!(Description::parse(text.as_bytes()).is_err(), "{text}");
    }
}
