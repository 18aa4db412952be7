//! The administrator's device: signs what the gateway obeys.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use model::wire::{EnrolRequest, Envelope, GatewayKeys};
use model::{CameraAccess, CameraId, DeviceId, GatewayId, Hash, OrgId, PersonId, Timestamp};
use seal::command::{Command, SiteCommand, seal_access};
use seal::enrolment::Secret;
use seal::envelope::PayloadType;
use seal::keyring::DeviceKeys;
use seal::keys::KemPublic;
use seal::roster::{
    Administrators, Device, DeviceKind, Payload, Recovery, Roster, Statement, sign_next, statement_hash,
};
use seal::sealed::Sealed;

pub(super) fn now() -> Timestamp {
    Timestamp(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64)
}

/// Kept apart, because the scripted cloud plays the device's part at enrolment.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) device: DeviceId,
    keys: DeviceKeys,
    log: Mutex<(Roster, Vec<Envelope>)>,
    pub(super) secret: Secret,
}

pub(super) struct Administrator {
    shared: Arc<Shared>,
    nonces: AtomicU64,
}

pub(super) fn device(id: DeviceId, person: PersonId, keys: &DeviceKeys) -> Device {
    Device {
        id,
        person,
        name: "Test".into(),
        kind: DeviceKind::Cli,
        kem: keys.kem.public().to_base64(),
        sign: keys.sign.verifying_key().to_base64(),
        until: now().plus_ms(80 * Timestamp::DAY),
    }
}

impl Administrator {
    pub(super) fn new() -> Self {
        let keys = DeviceKeys::from_seeds([1; 32], [2; 32]);
        let paper = DeviceKeys::from_seeds([3; 32], [4; 32]);
        let id = DeviceId::from_random([1; 16]);
        let at = now();
        let genesis = Payload {
            org: OrgId::from_random([9; 16]),
            seq: 0,
            previous: None,
            at,
            statement: Statement::Genesis {
                name: "Test".into(),
                device: device(id, PersonId::from_random([1; 16]), &keys),
                recovery: Recovery {
                    id: DeviceId::from_random([2; 16]),
                    kem: paper.kem.public().to_base64(),
                    sign: paper.sign.verifying_key().to_base64(),
                },
                administrators: Administrators { k: 1, devices: [id].into() },
            },
        };
        let envelope =
            seal::envelope::sign(PayloadType::Roster, seal::to_canonical(&genesis), &id, &keys.sign);
        let roster = Roster::from_genesis(&envelope, at).unwrap();
        let log = Mutex::new((roster, vec![envelope]));
        let secret = Secret::from_bytes([5; 16]);
        Administrator {
            shared: Arc::new(Shared { device: id, keys, log, secret }),
            nonces: AtomicU64::new(0),
        }
    }

    pub(super) fn shared(&self) -> Arc<Shared> {
        self.shared.clone()
    }

    pub(super) fn secret(&self) -> Secret {
        self.shared.secret.clone()
    }

    pub(super) fn roster(&self) -> Roster {
        self.shared.roster()
    }

    pub(super) fn device_id(&self) -> DeviceId {
        self.shared.device
    }

    pub(super) fn keys(&self) -> &DeviceKeys {
        &self.shared.keys
    }

    pub(super) fn state(&self, statement: Statement) -> Envelope {
        self.shared.state(statement)
    }

    /// The one gateway of the roster.
    pub(super) fn gateway(&self) -> GatewayKeys {
        self.roster().state().gateways.values().next().unwrap().clone()
    }

    pub(super) fn nonce(&self) -> String {
        format!("{:032x}", self.nonces.fetch_add(1, Ordering::Relaxed))
    }

    pub(super) fn seal(&self, access: &CameraAccess, camera: CameraId, nonce: &str) -> Sealed {
        let gateway = self.gateway();
        let key = KemPublic::from_bytes(&gateway.kem.0).unwrap();
        seal_access(access, &key, (self.roster().org(), gateway.id, camera), nonce, [6; 64])
    }

    pub(super) fn command(
        &self,
        target: GatewayId,
        nonce: String,
        state: Hash,
        command: Command,
    ) -> Envelope {
        let command = SiteCommand {
            org: self.roster().org(),
            target,
            nonce,
            expires_at: now().plus_ms(5 * Timestamp::MINUTE),
            previous_state: state,
            command,
        };
        command.sign(self.device_id(), &self.shared.keys.sign)
    }
}

impl Shared {
    pub(super) fn roster(&self) -> Roster {
        self.log.lock().unwrap().0.clone()
    }

    pub(super) fn statements(&self) -> Vec<Envelope> {
        self.log.lock().unwrap().1.clone()
    }

    pub(super) fn state(&self, statement: Statement) -> Envelope {
        let mut log = self.log.lock().unwrap();
        let envelope = sign_next(&log.0, now(), statement, self.device, &self.keys.sign);
        log.0.apply(&envelope, now()).unwrap();
        log.1.push(envelope.clone());
        envelope
    }

    /// Takes a gateway in: its answer to the enrolment.
    pub(super) fn accept(&self, request: &EnrolRequest) -> Hash {
        assert!(self.secret.gateway_mac_fits(&request.gateway, request.mac));
        let statement = self.state(Statement::AddGateway { gateway: request.gateway.clone() });
        self.secret.accept_mac(self.roster().anchor(), statement_hash(&statement).unwrap())
    }
}
