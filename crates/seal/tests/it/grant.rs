//! Epoch grants: for one device, signed by the gateway, committed.

use std::collections::BTreeMap;

use model::wire::Envelope;
use model::{EpochId, Hash};
use proptest::prelude::*;
use seal::envelope::PayloadType;
use seal::grant::{CameraKeys, EpochGrant, EpochKey, GrantContext, GrantError, PastGrant, hand_on, make};
use seal::keys::{SigningKey, VerifyingKey};

use crate::fixture::{
    Log, T0, camera_id, device_id, gateway, gateway_id, gateway_keys, keys, org, other_camera_id,
};

pub(crate) fn epoch() -> EpochId {
    EpochId::from_random([0xe0; 16])
}

pub(crate) fn camera_keys() -> CameraKeys {
    CameraKeys { video: EpochKey::from_random([0x11; 32]), audio: Some(EpochKey::from_random([0x22; 32])) }
}

fn context() -> GrantContext {
    GrantContext {
        org: org(),
        gateway: gateway_id(),
        epoch: epoch(),
        roster_head: Log::populated().roster.head().1,
        created_at: T0,
    }
}

pub(crate) fn grant_for(device: u8, signer: &SigningKey) -> Envelope {
    let audio = camera_keys().audio.unwrap().commitment();
    let silent = CameraKeys { video: EpochKey::from_random([0x33; 32]), audio: None };
    let cameras =
        BTreeMap::from([(camera_id(), (camera_keys(), audio)), (other_camera_id(), (silent, Hash([7; 32])))]);
    let kem = keys(device).kem.public();
    make(context(), (device_id(device), &kem), &cameras, signer, [device; 64])
}

fn gateway_key() -> VerifyingKey {
    VerifyingKey::from_bytes(&gateway().sign.0).unwrap()
}

#[test]
fn the_device_and_nobody_else_opens_its_grant() {
    let envelope = grant_for(2, &gateway_keys().1);
    let grant = EpochGrant::verify(&envelope, gateway_id(), gateway_key()).unwrap();
    let opened = grant.open(device_id(2), &keys(2).kem).unwrap();
    assert_eq!(opened[&camera_id()].video.commitment(), camera_keys().video.commitment());
    assert!(opened[&other_camera_id()].audio.is_none());
    assert!(matches!(grant.open(device_id(1), &keys(1).kem), Err(GrantError::NotForUs)));
    assert!(matches!(grant.open(device_id(2), &keys(1).kem), Err(GrantError::Sealed)));
}

#[test]
fn the_cloud_cannot_sign_or_move_a_grant() {
    let forged = grant_for(2, &SigningKey::from_seed([0xbb; 32]));
    assert!(EpochGrant::verify(&forged, gateway_id(), gateway_key()).is_err());
    let envelope = grant_for(2, &gateway_keys().1);
    for at in (0..envelope.payload.0.len()).step_by(7) {
        let mut altered = envelope.clone();
        altered.payload.0[at] ^= 1;
        assert!(EpochGrant::verify(&altered, gateway_id(), gateway_key()).is_err(), "byte {at}");
    }
}

#[test]
fn keys_that_differ_from_their_commitments_are_refused() {
    let envelope = grant_for(2, &gateway_keys().1);
    let mut grant = EpochGrant::verify(&envelope, gateway_id(), gateway_key()).unwrap();
    grant.cameras[0].video = Hash([0; 32]);
    let error = grant.open(device_id(2), &keys(2).kem).unwrap_err();
    assert!(matches!(error, GrantError::Commitment(camera) if camera == camera_id()));
}

/// Device 1 hands on to device 2 what it can open of the first camera.
pub(crate) fn handed_on() -> Envelope {
    let audio = camera_keys().audio.unwrap().commitment();
    let cameras = BTreeMap::from([(camera_id(), (camera_keys(), audio))]);
    let (kem, author) = (keys(2).kem.public(), keys(1).sign);
    hand_on(context(), (device_id(2), &kem), &cameras, (device_id(1), &author), [3; 64])
}

#[test]
fn what_is_handed_on_opens_for_one_device_and_is_no_grant_of_the_gateway() {
    let envelope = handed_on();
    let author = keys(1).sign.verifying_key();
    let grant = PastGrant::verify(&envelope, device_id(1), author).unwrap();
    assert_eq!(grant, PastGrant::claimed(&envelope).unwrap());
    let opened = grant.open(device_id(2), &keys(2).kem).unwrap();
    assert_eq!(opened[&camera_id()].video.commitment(), camera_keys().video.commitment());
    assert!(matches!(grant.open(device_id(1), &keys(1).kem), Err(GrantError::NotForUs)));
    assert!(matches!(grant.open(device_id(2), &keys(1).kem), Err(GrantError::Sealed)));
    assert!(PastGrant::verify(&envelope, device_id(2), author).is_err(), "in another's name");
    assert!(PastGrant::verify(&envelope, device_id(1), gateway_key()).is_err());
    assert!(EpochGrant::claimed(&envelope).is_err());
    // Moved to another author, it does not open: the name is sealed in.
    let moved = PastGrant { by: device_id(2), ..grant };
    assert!(matches!(moved.open(device_id(2), &keys(2).kem), Err(GrantError::Sealed)));
}

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..2_000)) {
        survive(&bytes);
    }

    /// Well-formed but for a few bytes, which gets further in.
    #[test]
    fn altered_grants_are_survived(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        for envelope in [grant_for(2, &gateway_keys().1), handed_on()] {
            let mut bytes = envelope.payload.0;
            let at = at.index(bytes.len());
            bytes[at] = byte;
            survive(&bytes);
        }
    }
}

/// As the fuzz target `grant` does.
fn survive(bytes: &[u8]) {
    let of = |kind: PayloadType| Envelope {
        payload_type: kind.as_str().to_owned(),
        payload: bytes.to_vec().into(),
        signatures: Vec::new(),
    };
    if let Ok(grant) = EpochGrant::claimed(&of(PayloadType::EpochGrant)) {
        assert!(grant.open(grant.device, &keys(9).kem).is_err());
    }
    if let Ok(grant) = PastGrant::claimed(&of(PayloadType::PastGrant)) {
        assert!(grant.open(grant.device, &keys(9).kem).is_err());
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = seal::pairing::Pairing::parse(text);
    }
}
