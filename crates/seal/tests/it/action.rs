//! Signed actions: who may sign, for how long, and what does not pass.

use model::wire::Envelope;
use model::{Hash, ServiceId, Timestamp};
use seal::action::{
    Action, ActionError, EXPIRES_AHEAD_MAX_MS, SERVICE_LIFE_MAX_MS, ServicePermission, SignedAction,
};
use seal::envelope::{self, PayloadType};
use seal::roster::{Scope, Statement};

use crate::fixture::{Log, T0, ada, camera_id, cem, device, device_id, keys, org};

pub(crate) fn export() -> SignedAction {
    SignedAction {
        org: org(),
        nonce: Hash([0x5a; 32]),
        expires_at: T0.plus_ms(Timestamp::HOUR),
        previous_state: Hash([0x11; 32]),
        action: Action::Export {
            camera: camera_id(),
            from: T0,
            to: T0.plus_ms(Timestamp::MINUTE),
            reason: Some("Break-in at the \"Löwen\"".to_owned()),
        },
    }
}

pub(crate) fn service_account() -> SignedAction {
    let action = Action::CreateServiceAccount {
        account: ServiceId::from_random([0x7a; 16]),
        token: Hash([0x7b; 32]),
        name: "Wall of the \"Löwen\"".to_owned(),
        permissions: [ServicePermission::ReadHistory, ServicePermission::ListCameras].into(),
        scope: Scope::Cameras { cameras: [camera_id()].into() },
        until: T0.plus_ms(90 * Timestamp::DAY),
    };
    SignedAction { action, ..export() }
}

#[test]
fn a_device_in_force_signs_an_action() {
    let log = Log::populated();
    let envelope = export().sign(device_id(2), &keys(2).sign);
    let verified = SignedAction::verify(&envelope, &log.roster, T0).unwrap();
    assert_eq!(verified.signed, export());
    assert_eq!(verified.hash, seal::sha256(&envelope.payload.0));
    assert!(verified.administrators(&log.roster, T0).is_empty(), "Ben is none");
}

#[test]
fn nobody_counts_twice_as_an_administrator() {
    let mut log = Log::populated();
    log.push(Statement::AddDevice { device: device(4, ada(), "Ada's phone") });
    log.push(Statement::AddDevice { device: device(6, cem(), "Cem's laptop") });
    let devices = [1, 4, 6].map(device_id).into();
    log.push(Statement::SetAdministrators { k: 2, devices });
    let mut envelope = export().sign(device_id(1), &keys(1).sign);
    envelope::add_signature(PayloadType::Action, &mut envelope, &device_id(4), &keys(4).sign);
    let people = |envelope: &Envelope| {
        SignedAction::verify(envelope, &log.roster, T0).unwrap().administrators(&log.roster, T0).len()
    };
    assert_eq!(people(&envelope), 1);
    envelope::add_signature(PayloadType::Action, &mut envelope, &device_id(6), &keys(6).sign);
    assert_eq!(people(&envelope), 2);
}

#[test]
fn what_is_not_signed_for_here_and_now_is_refused() {
    let log = Log::populated();
    let good = export().sign(device_id(1), &keys(1).sign);
    let refused = |envelope: &_, now| SignedAction::verify(envelope, &log.roster, now).unwrap_err();

    let stranger = export().sign(device_id(9), &keys(9).sign);
    assert!(matches!(refused(&stranger, T0), ActionError::Device(_)));
    let mut forged = export().sign(device_id(9), &keys(9).sign);
    forged.signatures[0].keyid = device_id(1).to_string();
    assert!(matches!(refused(&forged, T0), ActionError::Envelope(_)));
    let mut altered = good.clone();
    let last = altered.payload.0.len() - 5;
    altered.payload.0[last] ^= 1;
    assert!(matches!(refused(&altered, T0), ActionError::Envelope(_)));
    let mut retyped = good.clone();
    retyped.payload_type = PayloadType::Roster.as_str().to_owned();
    assert!(matches!(refused(&retyped, T0), ActionError::Envelope(_)));

    assert!(matches!(refused(&good, T0.plus_ms(Timestamp::HOUR)), ActionError::Expired));
    let long = SignedAction { expires_at: T0.plus_ms(EXPIRES_AHEAD_MAX_MS + 1), ..export() };
    assert!(matches!(refused(&long.sign(device_id(1), &keys(1).sign), T0), ActionError::Expired));
    let run_out = device(1, ada(), "x").until.plus_ms(1);
    let late = SignedAction { expires_at: run_out.plus_ms(1), ..export() };
    assert!(matches!(refused(&late.sign(device_id(1), &keys(1).sign), run_out), ActionError::Device(_)));

    let backwards = Action::Export { camera: camera_id(), from: T0, to: T0, reason: None };
    let backwards = SignedAction { action: backwards, ..export() };
    assert!(matches!(refused(&backwards.sign(device_id(1), &keys(1).sign), T0), ActionError::Stretch));
    let reason = |text: &str| {
        let action = Action::Export {
            camera: camera_id(),
            from: T0,
            to: T0.plus_ms(1),
            reason: Some(text.to_owned()),
        };
        refused(&SignedAction { action, ..export() }.sign(device_id(1), &keys(1).sign), T0)
    };
    for bad in ["", "two\nlines", &"x".repeat(501)] {
        assert!(matches!(reason(bad), ActionError::Reason), "{bad:?}");
    }
}

#[test]
fn an_account_of_a_program_has_a_name_something_to_do_and_an_end() {
    let log = Log::populated();
    let sign = |name: &str, permissions: &[ServicePermission], until: Timestamp| {
        let action = Action::CreateServiceAccount {
            account: ServiceId::from_random([7; 16]),
            token: Hash([8; 32]),
            name: name.to_owned(),
            permissions: permissions.iter().copied().collect(),
            scope: Scope::All,
            until,
        };
        let envelope = SignedAction { action, ..export() }.sign(device_id(1), &keys(1).sign);
        SignedAction::verify(&envelope, &log.roster, T0)
    };
    let (read, year) = ([ServicePermission::ReadHistory], T0.plus_ms(SERVICE_LIFE_MAX_MS));
    assert!(sign("Dashboard", &read, year).is_ok());
    for bad in [
        sign("Dashboard", &[], year),
        sign("Dashboard", &read, year.plus_ms(1)),
        sign("Dashboard", &read, T0),
        sign(" ", &read, year),
        sign("two\nlines", &read, year),
        sign(&"x".repeat(201), &read, year),
    ] {
        assert!(matches!(bad, Err(ActionError::ServiceAccount)));
    }
}
