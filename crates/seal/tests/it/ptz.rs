//! What moves a camera, and what does not.

use model::wire::Envelope;
use model::{Hash, Timestamp};
use seal::envelope::{self, PayloadType};
use seal::keys::VerifyingKey;
use seal::ptz::{Movement, PRESETS_MAX, Preset, PtzError, PtzOrder, PtzSession};

use crate::fixture::{
    Log, T0, camera_id, device_id, gateway, gateway_id, gateway_keys, keys, org, other_camera_id,
};

pub(crate) fn session() -> PtzSession {
    PtzSession {
        org: org(),
        gateway: gateway_id(),
        camera: camera_id(),
        challenge: Hash([0xc4; 32]),
        session: Hash([0x5e; 32]),
        pan_tilt: true,
        zoom: true,
        home: false,
        presets: vec![
            Preset { token: "1".into(), name: "Gate".into() },
            Preset { token: "Yard_2".into(), name: "Yard \u{1f697}".into() },
        ],
    }
}

pub(crate) fn orders() -> Vec<PtzOrder> {
    let movements = [
        Movement::Move { pan: -1_000, tilt: 250, zoom: 0 },
        Movement::Stop,
        Movement::Home,
        Movement::GoTo { preset: "Yard_2".into() },
        Movement::SavePreset { name: "By the \"gate\"".into() },
        Movement::RemovePreset { preset: "1".into() },
    ];
    let order = |(number, movement)| PtzOrder {
        org: org(),
        gateway: gateway_id(),
        camera: camera_id(),
        session: session().session,
        number,
        elapsed_ms: number * 400,
        movement,
    };
    (1..).zip(movements).map(order).collect()
}

#[test]
fn a_session_is_of_its_gateway_and_answers_one_request() {
    let key = VerifyingKey::from_bytes(&gateway().sign.0).unwrap();
    let session = session();
    let signed = session.sign(&gateway_keys().1);
    let verify = |envelope: &Envelope, challenge, camera| {
        PtzSession::verify(envelope, (gateway_id(), key), camera, challenge)
    };
    assert_eq!(verify(&signed, session.challenge, camera_id()).unwrap(), session);
    assert!(matches!(verify(&signed, Hash([1; 32]), camera_id()), Err(PtzError::Target)));
    assert!(matches!(verify(&signed, session.challenge, other_camera_id()), Err(PtzError::Target)));
    assert!(verify(&session.sign(&keys(1).sign), session.challenge, camera_id()).is_err(), "another's key");
    let many = vec![session.presets[0].clone(); PRESETS_MAX + 1];
    let long = vec![Preset { token: "x".repeat(65), name: "x".into() }];
    let control = vec![Preset { token: "1".into(), name: "a\u{7}b".into() }];
    for presets in [many, long, control] {
        let unfit = PtzSession { presets, ..session.clone() }.sign(&gateway_keys().1);
        assert!(verify(&unfit, session.challenge, camera_id()).is_err());
    }
}

#[test]
fn an_order_is_signed_by_one_device_in_force() {
    let roster = Log::populated().roster;
    for order in orders() {
        let signed = order.sign(device_id(2), &keys(2).sign);
        assert_eq!(PtzOrder::verify(&signed, &roster, T0).unwrap(), (order.clone(), device_id(2)));
        assert!(PtzOrder::verify(&order.sign(device_id(2), &keys(1).sign), &roster, T0).is_err());
        assert!(PtzOrder::verify(&order.sign(device_id(9), &keys(9).sign), &roster, T0).is_err());
        let late = T0.plus_ms(400 * Timestamp::DAY);
        assert!(matches!(PtzOrder::verify(&signed, &roster, late), Err(PtzError::Signer)));
        let mut two = signed.clone();
        envelope::add_signature(PayloadType::PtzOrder, &mut two, &device_id(1), &keys(1).sign);
        assert!(PtzOrder::verify(&two, &roster, T0).is_err(), "two signatures");
        for at in 0..signed.payload.0.len() {
            let mut altered = signed.clone();
            altered.payload.0[at] ^= 1;
            assert!(PtzOrder::verify(&altered, &roster, T0).is_err(), "byte {at}");
        }
    }
}

#[test]
fn what_no_camera_understands_is_no_order() {
    let roster = Log::populated().roster;
    let movements = [
        Movement::Move { pan: 1_001, tilt: 0, zoom: 0 },
        Movement::Move { pan: 0, tilt: 0, zoom: i16::MIN },
        Movement::GoTo { preset: String::new() },
        Movement::GoTo { preset: "x".repeat(65) },
        Movement::SavePreset { name: "  ".into() },
        Movement::SavePreset { name: "a\nb".into() },
        Movement::RemovePreset { preset: "\u{1}".into() },
    ];
    for movement in movements {
        let order = PtzOrder { movement, ..orders()[0].clone() };
        assert!(
            PtzOrder::verify(&order.sign(device_id(2), &keys(2).sign), &roster, T0).is_err(),
            "{order:?}"
        );
    }
}
