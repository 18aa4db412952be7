//! An organisation with fixed keys: Ada administers, Ben watches, one gateway,
//! one camera. Every byte follows from the numbers here.

use std::collections::BTreeSet;

use model::wire::{Envelope, GatewayKeys};
use model::{CameraId, DeviceId, GatewayId, OrgId, PersonId, Timestamp};
use seal::envelope::{self, PayloadType};
use seal::keyring::DeviceKeys;
use seal::keys::{KemSecret, SigningKey};
use seal::roster::{
    Administrators, Camera, Device, DeviceKind, Payload, Recovery, Roster, Scope, Statement, Witness,
    sign_next,
};

pub(crate) const T0: Timestamp = Timestamp(1_763_836_800_000);

pub(crate) fn org() -> OrgId {
    OrgId::from_random([0x10; 16])
}
pub(crate) fn ada() -> PersonId {
    PersonId::from_random([0xa0; 16])
}
pub(crate) fn ben() -> PersonId {
    PersonId::from_random([0xb0; 16])
}
pub(crate) fn cem() -> PersonId {
    PersonId::from_random([0xce; 16])
}
pub(crate) fn device_id(n: u8) -> DeviceId {
    DeviceId::from_random([n; 16])
}
pub(crate) fn gateway_id() -> GatewayId {
    GatewayId::from_random([0x60; 16])
}
pub(crate) fn camera_id() -> CameraId {
    CameraId::from_random([0xc0; 16])
}
pub(crate) fn other_camera_id() -> CameraId {
    CameraId::from_random([0xc1; 16])
}

/// Keys of device `n`; 0xee is the recovery device.
pub(crate) fn keys(n: u8) -> DeviceKeys {
    DeviceKeys::from_seeds([n; 32], [n ^ 0x80; 32])
}

pub(crate) fn gateway_keys() -> (KemSecret, SigningKey) {
    (KemSecret::from_seed([0x61; 32]), SigningKey::from_seed([0x62; 32]))
}

pub(crate) fn device(n: u8, person: PersonId, name: &str) -> Device {
    let keys = keys(n);
    Device {
        id: device_id(n),
        person,
        name: name.to_owned(),
        kind: DeviceKind::Browser,
        kem: keys.kem.public().to_base64(),
        sign: keys.sign.verifying_key().to_base64(),
        until: T0.plus_ms(90 * Timestamp::DAY),
    }
}

pub(crate) fn gateway() -> GatewayKeys {
    let (kem, sign) = gateway_keys();
    GatewayKeys {
        id: gateway_id(),
        name: "Shop".to_owned(),
        kem: kem.public().to_base64(),
        sign: sign.verifying_key().to_base64(),
    }
}

pub(crate) fn camera(id: CameraId, name: &str, group: &str) -> Camera {
    Camera {
        id,
        name: name.to_owned(),
        gateway: gateway_id(),
        serial: None,
        certificate: None,
        groups: BTreeSet::from([group.to_owned()]),
    }
}

/// As a list of witnesses has it; a key of 32 bytes is good.
pub(crate) fn witness(name: &str, length: usize) -> (String, Witness) {
    (name.to_owned(), Witness { name: name.to_owned(), key: vec![7; length].into() })
}

pub(crate) fn genesis_payload() -> Payload {
    let recovery = keys(0xee);
    Payload {
        org: org(),
        seq: 0,
        previous: None,
        at: T0,
        statement: Statement::Genesis {
            name: "Corner shop \"Zum Löwen\"".to_owned(),
            device: device(1, ada(), "Ada's laptop"),
            recovery: Recovery {
                id: device_id(0xee),
                kem: recovery.kem.public().to_base64(),
                sign: recovery.sign.verifying_key().to_base64(),
            },
            administrators: Administrators { k: 1, devices: BTreeSet::from([device_id(1)]) },
        },
    }
}

pub(crate) fn genesis() -> Envelope {
    let payload = seal::to_canonical(&genesis_payload());
    envelope::sign(PayloadType::Roster, payload, &device_id(1), &keys(1).sign)
}

/// A log under construction.
pub(crate) struct Log {
    pub(crate) envelopes: Vec<Envelope>,
    pub(crate) roster: Roster,
}

impl Log {
    pub(crate) fn new() -> Self {
        let envelopes = vec![genesis()];
        let roster = Roster::from_genesis(&envelopes[0], T0).expect("the fixture's genesis");
        Log { envelopes, roster }
    }

    /// The usual organisation: gateway, two cameras, Ben with his phone.
    pub(crate) fn populated() -> Self {
        let mut log = Log::new();
        log.push(Statement::AddGateway { gateway: gateway() });
        log.push(Statement::BindCamera { camera: camera(camera_id(), "Door", "outside") });
        log.push(Statement::BindCamera { camera: camera(other_camera_id(), "Till", "inside") });
        log.push(Statement::AddDevice { device: device(2, ben(), "Ben's phone") });
        log.push(Statement::SetAccess {
            person: ben(),
            scope: Scope::Groups { groups: BTreeSet::from(["outside".to_owned()]) },
            audio: false,
            until: Some(T0.plus_ms(30 * Timestamp::DAY)),
        });
        log
    }

    pub(crate) fn signed(&self, statement: Statement, by: u8) -> Envelope {
        let at = T0.plus_ms(self.envelopes.len() as u64 * 1_000);
        sign_next(&self.roster, at, statement, device_id(by), &keys(by).sign)
    }

    pub(crate) fn push(&mut self, statement: Statement) {
        let envelope = self.signed(statement, 1);
        let seen_at = T0.plus_ms(self.envelopes.len() as u64 * 1_000);
        self.roster.apply(&envelope, seen_at).expect("a statement of the fixture");
        self.envelopes.push(envelope);
    }
}
