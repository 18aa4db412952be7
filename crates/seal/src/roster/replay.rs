//! Replay: one statement at a time, refused if it breaks a rule of section 2.

use std::collections::{BTreeMap, BTreeSet};

use model::wire::{Envelope, GatewayKeys};
use model::{CameraId, DeviceId, GatewayId, Hash, OrgId, PersonId, Timestamp};

use super::error::RosterError;
use super::rules::{check_device, check_keys, check_name, people, verifying_key};
use super::statement::{Access, Administrators, Camera, Device, Payload, Scope, State, Statement};
use crate::envelope::{self, PayloadType};

/// How far a statement's time may be ahead of the reader's clock.
pub const AT_AHEAD_MAX_MS: u64 = 5 * Timestamp::MINUTE;
/// Between a statement of the recovery device and its effect.
pub const RECOVERY_DELAY_MS: u64 = 72 * Timestamp::HOUR;
/// A gateway begins an epoch, with the newest roster that it has, at least each
/// hour; the rest is for clocks that differ.
pub const UNHEARD_MS: u64 = 90 * Timestamp::MINUTE;
/// Longest log since the last snapshot.
pub(super) const STATEMENTS_MAX: u64 = 100_000;

/// A statement of the recovery device that waits for its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pending {
    pub(super) hash: Hash,
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

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roster {
    org: OrgId,
    anchor: Hash,
    seq: u64,
    head: Hash,
    last_at: Timestamp,
    snapshot_seq: u64,
    /// Every statement's place in the log, so that a head seen elsewhere can be
    /// looked up.
    places: BTreeMap<Hash, u64>,
    /// And its date.
    dates: Vec<Timestamp>,
    pub(super) state: State,
    /// Devices that were shut out, so that what they signed before still says
    /// who did.
    pub(super) past: BTreeMap<DeviceId, Device>,
    /// Whose the devices of `state` are, so that asking about one person does
    /// not go through all.
    pub(super) owners: BTreeMap<PersonId, BTreeSet<DeviceId>>,
    pub(super) pending: Vec<Pending>,
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
            places: BTreeMap::from([(hash, 0)]),
            dates: vec![payload.at],
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
                witnesses: BTreeMap::new(),
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
        if !self.is_due(seen_at) {
            return self.append(envelope, payload, hash, seen_at);
        }
        // Seldom: what waited comes into force first, and must not if the
        // statement is refused.
        let mut settled = self.clone();
        settled.settle(seen_at);
        settled.append(envelope, payload, hash, seen_at)?;
        *self = settled;
        Ok(())
    }

    /// Whether a statement could come next if enough administrators signed it,
    /// and who has. Everything but the number of signatures is checked.
    pub fn agreement(&self, envelope: &Envelope, seen_at: Timestamp) -> Result<Agreement, RosterError> {
        let (payload, hash) = self.follows(envelope, seen_at)?;
        let mut settled = self.clone();
        settled.settle(seen_at);
        let (needed, people) = settled.signed_by(envelope, &payload)?;
        if people.is_empty() {
            return Err(RosterError::Signatures { needed, found: 0 });
        }
        settled.check(&payload.statement, payload.at)?;
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
        // What heals or narrows a log is never too much for it.
        let always = matches!(payload.statement, Statement::Snapshot { .. }) || payload.statement.narrows();
        if self.seq - self.snapshot_seq >= STATEMENTS_MAX && !always {
            return Err(RosterError::TooLong);
        }
        Ok((payload, crate::sha256(bytes)))
    }

    /// Takes a statement that follows a settled roster. Everything is checked
    /// before anything changes: a copy to go back to would make replay quadratic.
    fn append(
        &mut self,
        envelope: &Envelope,
        payload: Payload,
        hash: Hash,
        seen_at: Timestamp,
    ) -> Result<(), RosterError> {
        let Payload { seq, at, statement, .. } = &payload;
        let (seq, at) = (*seq, *at);
        let waits = self.is_recovery_statement(envelope, statement)?;
        if waits {
            self.check_waiting(statement, at)?;
        } else {
            self.check_signatures(envelope, &payload)?;
            self.check(statement, at)?;
        }
        if matches!(statement, Statement::Snapshot { .. }) {
            self.snapshot_seq = seq;
        }
        let statement = payload.statement;
        if waits {
            let effective_at = seen_at.plus_ms(RECOVERY_DELAY_MS);
            self.pending.push(Pending { hash, effective_at, at, statement });
        } else {
            self.take_effect(statement);
        }
        self.seq = seq;
        self.head = hash;
        self.last_at = at;
        self.places.insert(hash, seq);
        self.dates.push(at);
        Ok(())
    }

    fn is_due(&self, now: Timestamp) -> bool {
        self.pending.iter().any(|pending| pending.effective_at <= now)
    }

    /// Lets statements of the recovery device take effect whose time has come.
    pub fn settle(&mut self, now: Timestamp) {
        if !self.is_due(now) {
            return;
        }
        let (due, waiting): (Vec<_>, _) =
            std::mem::take(&mut self.pending).into_iter().partition(|pending| pending.effective_at <= now);
        self.pending = waiting;
        for Pending { statement, at, .. } in due {
            // What has become impossible meanwhile (an id taken) lapses.
            if self.check(&statement, at).is_ok() {
                self.take_effect(statement);
            }
        }
    }

    fn is_recovery_statement(&self, envelope: &Envelope, statement: &Statement) -> Result<bool, RosterError> {
        let recovery = &self.state.recovery;
        let by_recovery = matches!(envelope.signatures.as_slice(), [s] if s.keyid == recovery.id.to_string());
        if !by_recovery {
            return Ok(false);
        }
        if !matches!(statement, Statement::AddDevice { .. } | Statement::SetAdministrators { .. }) {
            return Err(RosterError::Recovery);
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
        self.places.get(&head) == Some(&seq)
    }

    /// Whether some statement of the log has this hash.
    pub fn contains_hash(&self, head: Hash) -> bool {
        self.places.contains_key(&head)
    }

    /// Refuses to be read on by somebody who has seen a head that is not in it.
    pub fn check_seen(&self, seq: u64, head: Hash) -> Result<(), RosterError> {
        if seq > self.seq {
            return Err(RosterError::Behind { head: self.seq, seen: seq });
        }
        if self.contains(seq, head) { Ok(()) } else { Err(RosterError::Forked) }
    }

    /// The date of the first statement that a gateway had not heard of long
    /// after it was made, when it began a recording on top of `head` at that
    /// time: it was cut off, or the statement was kept from it. Whoever was
    /// shut out by what it did not hear was still granted keys.
    pub fn unheard(&self, head: Hash, at: Timestamp) -> Option<Timestamp> {
        let next = usize::try_from(*self.places.get(&head)?).ok()?.checked_add(1)?;
        self.dates.get(next).copied().filter(|made| made.plus_ms(UNHEARD_MS) < at)
    }

    /// Refuses what a gateway or device signed on top of a statement that is
    /// not in this log, which is up to date: two logs are being shown.
    pub fn check_head(&self, head: Hash) -> Result<(), RosterError> {
        if self.contains_hash(head) { Ok(()) } else { Err(RosterError::Split { head }) }
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
