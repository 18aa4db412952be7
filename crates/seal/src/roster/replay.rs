//! Replay: one statement at a time, refused if it breaks a rule of section 2.

use std::collections::{BTreeMap, BTreeSet};

use model::wire::{Envelope, GatewayKeys};
use model::{CameraId, DeviceId, GatewayId, Hash, OrgId, PersonId, Timestamp};

use super::statement::{Access, Administrators, Camera, Device, Payload, Scope, State, Statement};
use crate::CanonicalError;
use crate::envelope::{self, EnvelopeError, PayloadType};
use crate::keys::{KemPublic, VerifyingKey};

/// How far a statement's time may be ahead of the reader's clock.
pub const AT_AHEAD_MAX_MS: u64 = 5 * Timestamp::MINUTE;
/// A device is renewed at least this often.
pub(super) const DEVICE_LIFE_MAX_MS: u64 = 90 * Timestamp::DAY;
/// Between a statement of the recovery device and its effect.
pub const RECOVERY_DELAY_MS: u64 = 72 * Timestamp::HOUR;
/// Longest log since the last snapshot.
pub(super) const STATEMENTS_MAX: u64 = 100_000;
/// Longest name of anything, in characters.
pub(super) const NAME_CHARS_MAX: usize = 200;

#[derive(Debug, thiserror::Error)]
pub enum RosterError {
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    #[error("roster statement: {0}")]
    Payload(#[from] CanonicalError),
    #[error("the roster begins with a genesis signed by its own device")]
    Genesis,
    #[error("the statement is of another organisation")]
    OtherOrganisation,
    #[error("the statement does not follow: it has number {found}, the head is {head}")]
    DoesNotFollow { head: u64, found: u64 },
    #[error("the statement names another predecessor: the log was forked or altered")]
    Forked,
    #[error("the statement's time is before its predecessor's or ahead of the clock")]
    Time,
    #[error("needs signatures of {needed} different administrators, has {found}")]
    Signatures { needed: u32, found: u32 },
    #[error("{0}")]
    Rule(&'static str),
    #[error("the snapshot does not describe the roster")]
    Snapshot,
    #[error("the log has more than {STATEMENTS_MAX} statements since its last snapshot")]
    TooLong,
}

/// A statement of the recovery device that waits for its time.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pending {
    hash: Hash,
    effective_at: Timestamp,
    at: Timestamp,
    statement: Statement,
}

/// How far administrators agree on a statement.
#[derive(Clone, Debug)]
pub struct Agreement {
    pub hash: Hash,
    pub statement: Statement,
    pub needed: u32,
    /// Administrators who signed; with two devices, once.
    pub people: BTreeSet<PersonId>,
}

/// What of a camera somebody may open: the pictures, and perhaps the sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Right {
    pub audio: bool,
}

#[derive(Clone, Debug)]
pub struct Roster {
    org: OrgId,
    anchor: Hash,
    seq: u64,
    head: Hash,
    last_at: Timestamp,
    snapshot_seq: u64,
    /// Hash of every statement, so that a head seen elsewhere can be looked up.
    hashes: Vec<Hash>,
    state: State,
    /// Devices that were shut out, so that what they signed before still says
    /// who did.
    past: BTreeMap<DeviceId, Device>,
    /// Whose the devices of `state` are, so that asking about one person does
    /// not go through all.
    owners: BTreeMap<PersonId, BTreeSet<DeviceId>>,
    pending: Vec<Pending>,
}

impl Roster {
    /// Starts from the first statement. The caller compares [`Roster::anchor`]
    /// with the pinned one; a roster proves nothing about which roster it is.
    pub fn from_genesis(envelope: &Envelope, seen_at: Timestamp) -> Result<Self, RosterError> {
        let bytes = envelope::payload(PayloadType::Roster, envelope)?;
        let payload: Payload = crate::from_canonical(bytes)?;
        let hash = crate::sha256(bytes);
        let Statement::Genesis { name, device, recovery, administrators } = payload.statement else {
            return Err(RosterError::Genesis);
        };
        let sole = BTreeSet::from([device.id]);
        let genuine = payload.seq == 0
            && payload.previous.is_none()
            && administrators == (Administrators { k: 1, devices: sole })
            && recovery.id != device.id;
        if !genuine {
            return Err(RosterError::Genesis);
        }
        if payload.at > seen_at.plus_ms(AT_AHEAD_MAX_MS) {
            return Err(RosterError::Time);
        }
        check_name(&name)?;
        check_device(&device, payload.at)?;
        check_keys(&recovery.kem.0, &recovery.sign.0)?;
        let key = verifying_key(&device.sign.0)?;
        envelope::verify(PayloadType::Roster, envelope, &device.id, key)?;
        let access = Access { person: device.person, scope: Scope::All, audio: true, until: None };
        Ok(Roster {
            org: payload.org,
            anchor: hash,
            seq: 0,
            head: hash,
            last_at: payload.at,
            snapshot_seq: 0,
            hashes: vec![hash],
            past: BTreeMap::new(),
            owners: BTreeMap::from([(device.person, BTreeSet::from([device.id]))]),
            state: State {
                name,
                access: BTreeMap::from([(device.person, access)]),
                devices: BTreeMap::from([(device.id, device)]),
                revoked_devices: BTreeSet::new(),
                recovery,
                gateways: BTreeMap::new(),
                revoked_gateways: BTreeSet::new(),
                cameras: BTreeMap::new(),
                administrators,
            },
            pending: Vec::new(),
        })
    }

    /// Replays a whole log.
    pub fn replay<'e>(log: impl IntoIterator<Item = (&'e Envelope, Timestamp)>) -> Result<Self, RosterError> {
        let mut log = log.into_iter();
        let (genesis, seen_at) = log.next().ok_or(RosterError::Genesis)?;
        let mut roster = Self::from_genesis(genesis, seen_at)?;
        for (envelope, seen_at) in log {
            roster.apply(envelope, seen_at)?;
        }
        Ok(roster)
    }

    /// Adds the next statement. `seen_at` is when this reader first saw it: the
    /// 72 hours of a recovery count from there, not from the writer's word.
    /// After an error nothing has changed.
    pub fn apply(&mut self, envelope: &Envelope, seen_at: Timestamp) -> Result<(), RosterError> {
        let (payload, hash) = self.follows(envelope, seen_at)?;
        let before = (self.state.clone(), self.owners.clone(), self.pending.clone());
        let (seq, at) = (payload.seq, payload.at);
        let is_snapshot = matches!(payload.statement, Statement::Snapshot { .. });
        if let Err(error) = self.accept(envelope, payload, hash, seen_at) {
            (self.state, self.owners, self.pending) = before;
            return Err(error);
        }
        if is_snapshot {
            self.snapshot_seq = seq;
        }
        self.seq = seq;
        self.head = hash;
        self.last_at = at;
        self.hashes.push(hash);
        Ok(())
    }

    /// Whether a statement could come next if enough administrators signed it,
    /// and who has. Everything but the number of signatures is checked.
    pub fn agreement(&self, envelope: &Envelope, seen_at: Timestamp) -> Result<Agreement, RosterError> {
        let (payload, hash) = self.follows(envelope, seen_at)?;
        let mut after = self.clone();
        after.settle(seen_at);
        let (needed, people) = after.signed_by(envelope, &payload)?;
        if people.is_empty() {
            return Err(RosterError::Signatures { needed, found: 0 });
        }
        after.take_effect(payload.statement.clone(), payload.at)?;
        Ok(Agreement { hash, statement: payload.statement, needed, people })
    }

    /// The payload, if it belongs at the end of this log, now.
    fn follows(&self, envelope: &Envelope, seen_at: Timestamp) -> Result<(Payload, Hash), RosterError> {
        let bytes = envelope::payload(PayloadType::Roster, envelope)?;
        let payload: Payload = crate::from_canonical(bytes)?;
        if payload.org != self.org {
            return Err(RosterError::OtherOrganisation);
        }
        if payload.seq != self.seq + 1 {
            return Err(RosterError::DoesNotFollow { head: self.seq, found: payload.seq });
        }
        if payload.previous != Some(self.head) {
            return Err(RosterError::Forked);
        }
        if payload.at < self.last_at || payload.at > seen_at.plus_ms(AT_AHEAD_MAX_MS) {
            return Err(RosterError::Time);
        }
        if self.seq - self.snapshot_seq >= STATEMENTS_MAX {
            return Err(RosterError::TooLong);
        }
        Ok((payload, crate::sha256(bytes)))
    }

    fn accept(
        &mut self,
        envelope: &Envelope,
        payload: Payload,
        hash: Hash,
        seen_at: Timestamp,
    ) -> Result<(), RosterError> {
        self.settle(seen_at);
        if !self.is_recovery_statement(envelope, &payload.statement)? {
            self.check_signatures(envelope, &payload)?;
            return self.take_effect(payload.statement, payload.at);
        }
        self.pending.push(Pending {
            hash,
            effective_at: seen_at.plus_ms(RECOVERY_DELAY_MS),
            at: payload.at,
            statement: payload.statement,
        });
        Ok(())
    }

    /// Lets statements of the recovery device take effect whose time has come.
    pub fn settle(&mut self, now: Timestamp) {
        let (due, waiting) =
            std::mem::take(&mut self.pending).into_iter().partition(|p| p.effective_at <= now);
        self.pending = waiting;
        let due: Vec<Pending> = due;
        for pending in due {
            // What has become impossible meanwhile (an id taken) lapses.
            let _ = self.take_effect(pending.statement, pending.at);
        }
    }

    fn is_recovery_statement(&self, envelope: &Envelope, statement: &Statement) -> Result<bool, RosterError> {
        let recovery = &self.state.recovery;
        let by_recovery = matches!(envelope.signatures.as_slice(), [s] if s.keyid == recovery.id.to_string());
        if !by_recovery {
            return Ok(false);
        }
        if !matches!(statement, Statement::AddDevice { .. } | Statement::SetAdministrators { .. }) {
            return Err(RosterError::Rule(
                "the recovery device may only add a device and set the administrators",
            ));
        }
        let key = verifying_key(&recovery.sign.0)?;
        envelope::verify(PayloadType::Roster, envelope, &recovery.id, key)?;
        Ok(true)
    }

    fn check_signatures(&self, envelope: &Envelope, payload: &Payload) -> Result<(), RosterError> {
        let (needed, people) = self.signed_by(envelope, payload)?;
        let found = people.len() as u32;
        if found < needed {
            return Err(RosterError::Signatures { needed, found });
        }
        Ok(())
    }

    /// How many different administrators must sign, and who did.
    fn signed_by(
        &self,
        envelope: &Envelope,
        payload: &Payload,
    ) -> Result<(u32, BTreeSet<PersonId>), RosterError> {
        let good = envelope::signers(PayloadType::Roster, envelope, |keyid| {
            let device = self.state.devices.get(&keyid.parse().ok()?)?;
            verifying_key(&device.sign.0).ok()
        })?;
        let in_force =
            |id: &DeviceId| self.state.devices.get(id).is_some_and(|device| payload.at <= device.until);
        let good: Vec<DeviceId> =
            good.iter().filter_map(|keyid| keyid.parse().ok()).filter(in_force).collect();
        let administrators = &self.state.administrators;
        let agreeing = good.iter().filter(|id| administrators.devices.contains(id));
        let people = people(&self.state, agreeing);
        let needed = match &payload.statement {
            Statement::RevokeDevice { device } if good.contains(device) => 0,
            Statement::RevokeDevice { .. } | Statement::RevokeGateway { .. } | Statement::Veto { .. } => 1,
            _ => administrators.k,
        };
        Ok((needed, people))
    }

    fn take_effect(&mut self, statement: Statement, at: Timestamp) -> Result<(), RosterError> {
        let state = &mut self.state;
        let rule = |holds: bool, text| if holds { Ok(()) } else { Err(RosterError::Rule(text)) };
        match statement {
            Statement::Genesis { .. } => return Err(RosterError::Rule("there is one genesis")),
            Statement::AddDevice { device } => {
                check_device(&device, at)?;
                let fresh = !state.devices.contains_key(&device.id)
                    && !state.revoked_devices.contains(&device.id)
                    && state.recovery.id != device.id;
                rule(fresh, "the device id was used before")?;
                self.owners.entry(device.person).or_default().insert(device.id);
                state.devices.insert(device.id, device);
            }
            Statement::RenewDevice { device, until } => {
                rule(until <= at.plus_ms(DEVICE_LIFE_MAX_MS), "a device lives at most 90 days")?;
                let known = state.devices.get_mut(&device);
                let known = known.ok_or(RosterError::Rule("no such device"))?;
                known.until = until;
            }
            Statement::RevokeDevice { device } => {
                let removed = state.devices.remove(&device).ok_or(RosterError::Rule("no such device"))?;
                if let Some(others) = self.owners.get_mut(&removed.person) {
                    others.remove(&device);
                }
                state.revoked_devices.insert(device);
                // Nothing fails after this: there is nothing to take back.
                self.past.insert(device, removed);
            }
            Statement::AddGateway { gateway } => {
                check_name(&gateway.name)?;
                check_keys(&gateway.kem.0, &gateway.sign.0)?;
                let fresh = !state.gateways.contains_key(&gateway.id)
                    && !state.revoked_gateways.contains(&gateway.id);
                rule(fresh, "the gateway id was used before")?;
                state.gateways.insert(gateway.id, gateway);
            }
            Statement::RevokeGateway { gateway } => {
                rule(state.gateways.remove(&gateway).is_some(), "no such gateway")?;
                state.revoked_gateways.insert(gateway);
            }
            Statement::BindCamera { camera } => {
                check_name(&camera.name)?;
                camera.groups.iter().try_for_each(|group| check_name(group))?;
                camera.serial.as_deref().map_or(Ok(()), check_name)?;
                rule(state.gateways.contains_key(&camera.gateway), "no such gateway")?;
                state.cameras.insert(camera.id, camera);
            }
            Statement::SetAccess { person, scope, audio, until } => {
                if let Scope::Groups { groups } = &scope {
                    groups.iter().try_for_each(|group| check_name(group))?;
                }
                state.access.insert(person, Access { person, scope, audio, until });
            }
            Statement::SetAdministrators { k, devices } => {
                let known = devices.iter().all(|device| state.devices.contains_key(device));
                rule(known, "an administrator's device must be in the roster")?;
                let people = people(state, devices.iter()).len();
                rule(k >= 1 && k as usize <= people, "k is from 1 to the number of people")?;
                state.administrators = Administrators { k, devices };
            }
            Statement::Veto { statement } => {
                let before = self.pending.len();
                self.pending.retain(|pending| pending.hash != statement);
                rule(self.pending.len() < before, "no such pending statement")?;
            }
            Statement::Snapshot { state: stated } => {
                if stated != *state {
                    return Err(RosterError::Snapshot);
                }
            }
        }
        Ok(())
    }

    pub fn org(&self) -> OrgId {
        self.org
    }

    pub fn name(&self) -> &str {
        &self.state.name
    }

    /// Hash of the genesis: what a reader pins.
    pub fn anchor(&self) -> Hash {
        self.anchor
    }

    pub fn head(&self) -> (u64, Hash) {
        (self.seq, self.head)
    }

    pub fn last_at(&self) -> Timestamp {
        self.last_at
    }

    /// Whether the log contains this head; if not, somebody was shown another log.
    pub fn contains(&self, seq: u64, head: Hash) -> bool {
        usize::try_from(seq).ok().and_then(|seq| self.hashes.get(seq)) == Some(&head)
    }

    /// Whether some statement of the log has this hash.
    pub fn contains_hash(&self, head: Hash) -> bool {
        self.hashes.contains(&head)
    }

    pub fn state(&self) -> &State {
        &self.state
    }

    /// Hashes of the recovery device's statements that wait, and until when.
    pub fn pending(&self) -> impl Iterator<Item = (Hash, Timestamp)> {
        self.pending.iter().map(|pending| (pending.hash, pending.effective_at))
    }

    /// A device that was not revoked; it may have run out.
    pub fn device(&self, id: DeviceId) -> Option<&Device> {
        self.state.devices.get(&id)
    }

    /// Also one that was shut out since: for what was signed before.
    pub fn device_once(&self, id: DeviceId) -> Option<&Device> {
        self.device(id).or_else(|| self.past.get(&id))
    }

    pub fn device_in_force(&self, id: DeviceId, now: Timestamp) -> Option<&Device> {
        self.device(id).filter(|device| now <= device.until)
    }

    pub fn devices_in_force(&self, now: Timestamp) -> impl Iterator<Item = &Device> {
        self.state.devices.values().filter(move |device| now <= device.until)
    }

    /// Those of one person.
    pub fn devices_of(&self, person: PersonId, now: Timestamp) -> impl Iterator<Item = &Device> {
        let ids = self.owners.get(&person).into_iter().flatten();
        ids.filter_map(move |id| self.device_in_force(*id, now))
    }

    pub fn gateway(&self, id: GatewayId) -> Option<&GatewayKeys> {
        self.state.gateways.get(&id)
    }

    pub fn camera(&self, id: CameraId) -> Option<&Camera> {
        self.state.cameras.get(&id)
    }

    pub fn cameras(&self) -> impl Iterator<Item = &Camera> {
        self.state.cameras.values()
    }

    pub fn is_administrator(&self, device: DeviceId, now: Timestamp) -> bool {
        self.state.administrators.devices.contains(&device) && self.device_in_force(device, now).is_some()
    }

    /// What of a camera a person may open now.
    pub fn right_of_person(&self, person: PersonId, camera: CameraId, now: Timestamp) -> Option<Right> {
        let (access, camera) = (self.state.access.get(&person)?, self.camera(camera)?);
        let in_force = access.until.is_none_or(|until| now <= until);
        (in_force && access.scope.includes(camera)).then_some(Right { audio: access.audio })
    }

    /// What of a camera a device may open now.
    pub fn right_of_device(&self, device: DeviceId, camera: CameraId, now: Timestamp) -> Option<Right> {
        let device = self.device_in_force(device, now)?;
        self.right_of_person(device.person, camera, now)
    }
}

/// Whose devices these are: somebody with two devices agrees once.
fn people<'d>(state: &State, devices: impl Iterator<Item = &'d DeviceId>) -> BTreeSet<PersonId> {
    devices.filter_map(|id| state.devices.get(id)).map(|device| device.person).collect()
}

fn verifying_key(bytes: &[u8]) -> Result<VerifyingKey, RosterError> {
    VerifyingKey::from_bytes(bytes).map_err(|_| RosterError::Rule("not an Ed25519 public key"))
}

fn check_keys(kem: &[u8], sign: &[u8]) -> Result<(), RosterError> {
    verifying_key(sign)?;
    KemPublic::from_bytes(kem).map_err(|_| RosterError::Rule("not an X-Wing public key"))?;
    Ok(())
}

fn check_device(device: &Device, at: Timestamp) -> Result<(), RosterError> {
    check_name(&device.name)?;
    check_keys(&device.kem.0, &device.sign.0)?;
    if device.until > at.plus_ms(DEVICE_LIFE_MAX_MS) {
        return Err(RosterError::Rule("a device lives at most 90 days"));
    }
    Ok(())
}

fn check_name(name: &str) -> Result<(), RosterError> {
    let good =
        !name.is_empty() && name.chars().count() <= NAME_CHARS_MAX && !name.chars().any(char::is_control);
    if good { Ok(()) } else { Err(RosterError::Rule("a name has 1 to 200 printable characters")) }
}
