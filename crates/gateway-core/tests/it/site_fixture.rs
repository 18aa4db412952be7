//! One organisation with fixed keys, one gateway, one camera.

use std::collections::BTreeSet;

use model::wire::GatewayKeys;
use model::{CameraId, DeviceId, GatewayId, OrgId, PersonId, Timestamp};
use seal::envelope::{self, PayloadType};
use seal::keyring::DeviceKeys;
use seal::roster::{
    Administrators, Camera, Device, DeviceKind, Payload, Recovery, Roster, Statement, sign_next,
};

pub(crate) const T0: Timestamp = Timestamp(1_763_836_800_000);

pub(crate) fn gateway_id() -> GatewayId {
    GatewayId::from_random([6; 16])
}

pub(crate) fn camera_id(n: u8) -> CameraId {
    CameraId::from_random([n; 16])
}

pub(crate) fn device_id(n: u8) -> DeviceId {
    DeviceId::from_random([n; 16])
}

pub(crate) fn keys(n: u8) -> DeviceKeys {
    DeviceKeys::from_seeds([n; 32], [n ^ 0x80; 32])
}

pub(crate) fn device(n: u8) -> Device {
    let keys = keys(n);
    Device {
        id: device_id(n),
        person: PersonId::from_random([1; 16]),
        name: format!("device {n}"),
        kind: DeviceKind::Cli,
        kem: keys.kem.public().to_base64(),
        sign: keys.sign.verifying_key().to_base64(),
        until: T0.plus_ms(90 * Timestamp::DAY),
    }
}

pub(crate) fn roster() -> Roster {
    let recovery = keys(9);
    let statement = Statement::Genesis {
        name: "Shop".to_owned(),
        device: device(1),
        recovery: Recovery {
            id: device_id(9),
            kem: recovery.kem.public().to_base64(),
            sign: recovery.sign.verifying_key().to_base64(),
        },
        administrators: Administrators { k: 1, devices: BTreeSet::from([device_id(1)]) },
    };
    let payload = Payload { org: OrgId::from_random([2; 16]), seq: 0, previous: None, at: T0, statement };
    let genesis =
        envelope::sign(PayloadType::Roster, seal::to_canonical(&payload), &device_id(1), &keys(1).sign);
    let mut roster = Roster::from_genesis(&genesis, T0).expect("a good genesis");
    let gateway_keys = keys(6);
    let gateway = GatewayKeys {
        id: gateway_id(),
        name: "Back room".to_owned(),
        kem: gateway_keys.kem.public().to_base64(),
        sign: gateway_keys.sign.verifying_key().to_base64(),
    };
    push(&mut roster, Statement::AddGateway { gateway });
    bind(&mut roster, 1);
    roster
}

pub(crate) fn bind(roster: &mut Roster, camera: u8) {
    let camera = Camera {
        id: camera_id(camera),
        name: format!("camera {camera}"),
        gateway: gateway_id(),
        serial: None,
        certificate: None,
        groups: BTreeSet::new(),
    };
    push(roster, Statement::BindCamera { camera });
}

pub(crate) fn push(roster: &mut Roster, statement: Statement) {
    let envelope = sign_next(roster, T0, statement, device_id(1), &keys(1).sign);
    roster.apply(&envelope, T0).expect("a good statement");
}

/// Bytes that differ from call to call.
pub(crate) fn counter() -> impl FnMut(&mut [u8]) {
    let mut n = 0u8;
    move |bytes| {
        n += 1;
        bytes.fill(n);
    }
}
