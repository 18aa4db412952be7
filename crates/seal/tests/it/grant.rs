//! Epoch grants: for one device, signed by the gateway, committed.

use std::collections::BTreeMap;

use model::wire::Envelope;
use model::{EpochId, Hash};
use seal::grant::{CameraKeys, EpochGrant, EpochKey, GrantContext, GrantError, make};
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

pub(crate) fn grant_for(device: u8, signer: &SigningKey) -> Envelope {
    let context = GrantContext {
        org: org(),
        gateway: gateway_id(),
        epoch: epoch(),
        roster_head: Log::populated().roster.head().1,
        created_at: T0,
    };
    let audio = camera_keys().audio.unwrap().commitment();
    let silent = CameraKeys { video: EpochKey::from_random([0x33; 32]), audio: None };
    let cameras =
        BTreeMap::from([(camera_id(), (camera_keys(), audio)), (other_camera_id(), (silent, Hash([7; 32])))]);
    let kem = keys(device).kem.public();
    make(context, (device_id(device), &kem), &cameras, signer, [device; 64])
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
