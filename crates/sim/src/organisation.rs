//! One organisation with one administrator, one gateway and some cameras.

use std::collections::BTreeSet;

use model::wire::GatewayKeys;
use model::{CameraId, DeviceId, GatewayId, OrgId, PersonId, Timestamp};
use seal::envelope::{self, PayloadType};
use seal::keyring::DeviceKeys;
use seal::roster::{
    Administrators, Camera, Device, DeviceKind, Payload, Recovery, Roster, Statement, sign_next,
};

#[derive(Debug)]
pub(crate) struct Organisation {
    pub(crate) roster: Roster,
    pub(crate) gateway: GatewayId,
    administrator: DeviceId,
    next_device: u8,
}

fn keys(n: u8) -> DeviceKeys {
    DeviceKeys::from_seeds([n; 32], [n ^ 0x80; 32])
}

fn device(n: u8, until: Timestamp) -> Device {
    let keys = keys(n);
    Device {
        id: DeviceId::from_random([n; 16]),
        person: PersonId::from_random([n; 16]),
        name: format!("device {n}"),
        kind: DeviceKind::Cli,
        kem: keys.kem.public().to_base64(),
        sign: keys.sign.verifying_key().to_base64(),
        until,
    }
}

impl Organisation {
    pub(crate) fn new(cameras: impl Iterator<Item = CameraId>, now: Timestamp) -> Self {
        let recovery = keys(9);
        let first = device(1, now.plus_ms(90 * Timestamp::DAY));
        let administrator = first.id;
        let statement = Statement::Genesis {
            name: "Simulated".to_owned(),
            device: first,
            recovery: Recovery {
                id: DeviceId::from_random([9; 16]),
                kem: recovery.kem.public().to_base64(),
                sign: recovery.sign.verifying_key().to_base64(),
            },
            administrators: Administrators { k: 1, devices: BTreeSet::from([administrator]) },
        };
        let payload =
            Payload { org: OrgId::from_random([2; 16]), seq: 0, previous: None, at: now, statement };
        let genesis =
            envelope::sign(PayloadType::Roster, seal::to_canonical(&payload), &administrator, &keys(1).sign);
        let roster = Roster::from_genesis(&genesis, now).expect("a good genesis");
        let gateway = GatewayId::from_random([6; 16]);
        let mut organisation = Organisation { roster, gateway, administrator, next_device: 10 };
        let gateway_keys = keys(6);
        let keys = GatewayKeys {
            id: gateway,
            name: "Back room".to_owned(),
            kem: gateway_keys.kem.public().to_base64(),
            sign: gateway_keys.sign.verifying_key().to_base64(),
        };
        organisation.state(Statement::AddGateway { gateway: keys }, now);
        for id in cameras {
            let name = format!("{id}");
            let camera =
                Camera { id, name, gateway, serial: None, certificate: None, groups: BTreeSet::new() };
            organisation.state(Statement::BindCamera { camera }, now);
        }
        organisation
    }

    pub(crate) fn gateway_keys() -> DeviceKeys {
        keys(6)
    }

    /// The administrator gets another device, which ends the epoch.
    pub(crate) fn grow(&mut self, now: Timestamp) {
        let mut next = device(self.next_device, now.plus_ms(30 * Timestamp::DAY));
        next.person = PersonId::from_random([1; 16]);
        self.next_device = self.next_device.checked_add(1).unwrap_or(10);
        if self.roster.device(next.id).is_none() {
            self.state(Statement::AddDevice { device: next }, now);
        }
    }

    fn state(&mut self, statement: Statement, now: Timestamp) {
        let now = now.max(self.roster.last_at());
        let next = sign_next(&self.roster, now, statement, self.administrator, &keys(1).sign);
        self.roster.apply(&next, now).expect("a good statement");
    }
}
