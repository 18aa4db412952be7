//! What each statement demands of the roster before it, and what it changes.
//! [`Roster::check`] changes nothing and [`Roster::take_effect`] refuses
//! nothing, so that a refused statement has nothing to take back.

use std::collections::BTreeSet;

use model::{DeviceId, PersonId, Timestamp};

use super::Roster;
use super::error::RosterError;
use super::statement::{Access, Administrators, Camera, Device, Scope, State, Statement, Witness};
use crate::keys::{KemPublic, VerifyingKey};

/// A device is renewed at least this often.
const DEVICE_LIFE_MAX_MS: u64 = 90 * Timestamp::DAY;
/// Longest name of anything, in characters.
const NAME_CHARS_MAX: usize = 200;
/// Statements of the recovery device that may wait at a time: each must be
/// objected to by itself.
pub(super) const RECOVERY_WAITING_MAX: usize = 4;
/// What one list in a statement holds.
const LIST_MAX: usize = 10_000;
const GROUPS_OF_CAMERA_MAX: usize = 1_000;
/// Each is asked for every checkpoint, and read by everybody.
const WITNESSES_MAX: usize = 16;
/// The greatest integer that every reader has (RFC 8259 section 6).
const TIME_MAX: Timestamp = Timestamp((1 << 53) - 1);

impl Roster {
    pub(super) fn check(&self, statement: &Statement, at: Timestamp) -> Result<(), RosterError> {
        let State { devices, revoked_devices, gateways, revoked_gateways, recovery, .. } = &self.state;
        match statement {
            Statement::Genesis { .. } => return Err(RosterError::Genesis),
            Statement::AddDevice { device } => {
                check_device(device, at)?;
                let used = devices.contains_key(&device.id)
                    || revoked_devices.contains(&device.id)
                    || recovery.id == device.id;
                ensure(!used, RosterError::IdUsed("device"))?;
            }
            Statement::RenewDevice { device, until } => {
                ensure(devices.contains_key(device), RosterError::Unknown("device"))?;
                check_life(*until, at)?;
            }
            Statement::RevokeDevice { device } => {
                ensure(devices.contains_key(device), RosterError::Unknown("device"))?;
            }
            Statement::AddGateway { gateway } => {
                check_name(&gateway.name)?;
                check_keys(&gateway.kem.0, &gateway.sign.0)?;
                let used = gateways.contains_key(&gateway.id) || revoked_gateways.contains(&gateway.id);
                ensure(!used, RosterError::IdUsed("gateway"))?;
            }
            Statement::RevokeGateway { gateway } => {
                ensure(gateways.contains_key(gateway), RosterError::Unknown("gateway"))?;
            }
            Statement::BindCamera { camera } => {
                check_camera(camera)?;
                ensure(gateways.contains_key(&camera.gateway), RosterError::Unknown("gateway"))?;
            }
            Statement::SetAccess { scope, until, .. } => {
                check_scope(scope)?;
                ensure(
                    until.is_none_or(|until| until <= TIME_MAX),
                    RosterError::Malformed("a time is below 2^53"),
                )?;
            }
            Statement::SetAdministrators { k, devices: named } => {
                check_list(named.len(), LIST_MAX)?;
                let known = named.iter().all(|device| devices.contains_key(device));
                ensure(known, RosterError::Unknown("device"))?;
                let people = people(&self.state, named.iter()).len();
                ensure(*k >= 1 && *k as usize <= people, RosterError::Threshold)?;
            }
            Statement::SetWitnesses { witnesses } => {
                check_list(witnesses.len(), WITNESSES_MAX)?;
                witnesses.values().try_for_each(check_witness)?;
            }
            Statement::Veto { statement } => {
                let waits = self.pending.iter().any(|pending| pending.hash == *statement);
                ensure(waits, RosterError::Unknown("pending statement"))?;
            }
            Statement::Snapshot { state } => ensure(*state == self.state.hash(), RosterError::Snapshot)?,
        }
        Ok(())
    }

    /// Of the recovery device: what it is about may change until its time, and
    /// is judged then; a statement that no reader could read is refused now.
    pub(super) fn check_waiting(&self, statement: &Statement, at: Timestamp) -> Result<(), RosterError> {
        ensure(self.pending().count() < RECOVERY_WAITING_MAX, RosterError::RecoveryWaiting)?;
        match statement {
            Statement::AddDevice { device } => check_device(device, at),
            Statement::SetAdministrators { devices, .. } => check_list(devices.len(), LIST_MAX),
            _ => Err(RosterError::Recovery),
        }
    }

    /// Of a statement that was checked against the roster as it is.
    pub(super) fn take_effect(&mut self, statement: Statement) {
        let state = &mut self.state;
        match statement {
            Statement::Genesis { .. } | Statement::Snapshot { .. } => {}
            Statement::AddDevice { device } => {
                self.owners.entry(device.person).or_default().insert(device.id);
                state.devices.insert(device.id, device);
            }
            Statement::RenewDevice { device, until } => {
                if let Some(device) = state.devices.get_mut(&device) {
                    device.until = until;
                }
            }
            Statement::RevokeDevice { device } => {
                if let Some(removed) = state.devices.remove(&device) {
                    if let Some(others) = self.owners.get_mut(&removed.person) {
                        others.remove(&device);
                    }
                    state.revoked_devices.insert(device);
                    self.past.insert(device, removed);
                }
            }
            Statement::AddGateway { gateway } => {
                state.gateways.insert(gateway.id, gateway);
            }
            Statement::RevokeGateway { gateway } => {
                state.gateways.remove(&gateway);
                state.revoked_gateways.insert(gateway);
            }
            Statement::BindCamera { camera } => {
                state.cameras.insert(camera.id, camera);
            }
            Statement::SetAccess { person, scope, audio, until } => {
                state.access.insert(person, Access { person, scope, audio, until });
            }
            Statement::SetAdministrators { k, devices } => {
                state.administrators = Administrators { k, devices };
            }
            Statement::SetWitnesses { witnesses } => state.witnesses = witnesses,
            Statement::Veto { statement } => self.pending.retain(|pending| pending.hash != statement),
        }
    }
}

fn ensure(holds: bool, error: RosterError) -> Result<(), RosterError> {
    if holds { Ok(()) } else { Err(error) }
}

/// Whose devices these are: somebody with two devices agrees once.
pub(super) fn people<'d>(state: &State, devices: impl Iterator<Item = &'d DeviceId>) -> BTreeSet<PersonId> {
    devices.filter_map(|id| state.devices.get(id)).map(|device| device.person).collect()
}

pub(super) fn verifying_key(bytes: &[u8]) -> Result<VerifyingKey, RosterError> {
    VerifyingKey::unproven(bytes).map_err(|_| RosterError::Malformed("not an Ed25519 public key"))
}

/// By their lengths alone, as browsers can tell: readers must not differ in
/// whom they let in. Keys that are none verify nothing and are sealed nothing.
pub(super) fn check_keys(kem: &[u8], sign: &[u8]) -> Result<(), RosterError> {
    let good = kem.len() == KemPublic::BYTES && sign.len() == VerifyingKey::BYTES;
    ensure(good, RosterError::Malformed("keys are X-Wing (1216 bytes) and Ed25519 (32 bytes)"))
}

fn check_list(length: usize, max: usize) -> Result<(), RosterError> {
    ensure(length <= max, RosterError::Malformed("a list is longer than readers take"))
}

fn check_scope(scope: &Scope) -> Result<(), RosterError> {
    match scope {
        Scope::All => Ok(()),
        Scope::Cameras { cameras } => check_list(cameras.len(), LIST_MAX),
        Scope::Groups { groups } => {
            check_list(groups.len(), LIST_MAX)?;
            groups.iter().try_for_each(|group| check_name(group))
        }
    }
}

pub(super) fn check_device(device: &Device, at: Timestamp) -> Result<(), RosterError> {
    check_name(&device.name)?;
    check_keys(&device.kem.0, &device.sign.0)?;
    check_life(device.until, at)
}

fn check_life(until: Timestamp, at: Timestamp) -> Result<(), RosterError> {
    ensure(until <= at.plus_ms(DEVICE_LIFE_MAX_MS), RosterError::DeviceLife)
}

fn check_camera(camera: &Camera) -> Result<(), RosterError> {
    check_name(&camera.name)?;
    check_list(camera.groups.len(), GROUPS_OF_CAMERA_MAX)?;
    camera.groups.iter().try_for_each(|group| check_name(group))?;
    camera.serial.as_deref().map_or(Ok(()), check_name)
}

/// A name of one word, as C2SP signed-note has it: it stands in a line.
fn check_witness(witness: &Witness) -> Result<(), RosterError> {
    check_name(&witness.name)?;
    let one_word = !witness.name.contains(|c: char| c.is_whitespace() || c == '+');
    ensure(one_word, RosterError::Malformed("the name of a witness has no spaces and no plus"))?;
    let is_key = witness.key.0.len() == VerifyingKey::BYTES;
    ensure(is_key, RosterError::Malformed("the key of a witness is Ed25519 (32 bytes)"))
}

pub(super) fn check_name(name: &str) -> Result<(), RosterError> {
    let good =
        !name.is_empty() && name.chars().count() <= NAME_CHARS_MAX && !name.chars().any(char::is_control);
    ensure(good, RosterError::Malformed("a name has 1 to 200 printable characters"))
}
