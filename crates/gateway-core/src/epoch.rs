//! Epochs: one set of random keys for all cameras of the gateway, for at most
//! an hour, and for one audience. When the audience changes (somebody gains or
//! loses access, a camera is bound), the epoch ends, so nobody's grant opens a
//! minute more than the roster said.

use std::collections::{BTreeMap, BTreeSet};

use model::wire::Envelope;
use model::{CameraId, DeviceId, EpochId, GatewayId, Hash, Timestamp};
use seal::grant::{CAMERAS_MAX, CameraKeys, EpochKey, GrantContext};
use seal::keys::{KemPublic, SigningKey};
use seal::roster::{Right, Roster};
use seal::sealed::SealSeed;

/// An epoch's longest life (DESIGN: 1 h).
pub const EPOCH_MS_MAX: u64 = Timestamp::HOUR;

/// Which devices may open what of which cameras of one gateway.
pub type Audience = BTreeMap<DeviceId, BTreeMap<CameraId, Right>>;

/// The devices in force, and the recovery device, which may open everything:
/// when all others are lost, what was recorded is not.
pub fn audience(roster: &Roster, gateway: GatewayId, now: Timestamp) -> Audience {
    let cameras = || roster.cameras().filter(|camera| camera.gateway == gateway).map(|camera| camera.id);
    let of_device = |device: DeviceId| -> BTreeMap<CameraId, Right> {
        cameras().filter_map(|id| Some((id, roster.right_of_device(device, id, now)?))).collect()
    };
    let all = cameras().map(|id| (id, Right { audio: true })).collect();
    roster
        .devices_in_force(now)
        .map(|device| (device.id, of_device(device.id)))
        .chain([(roster.state().recovery.id, all)])
        .filter(|(_, cameras)| !cameras.is_empty())
        .collect()
}

/// Where the keys of a device in the audience are sealed to.
fn sealed_to(roster: &Roster, device: DeviceId) -> Option<KemPublic> {
    let recovery = &roster.state().recovery;
    let kem = if device == recovery.id { &recovery.kem } else { &roster.device(device)?.kem };
    KemPublic::from_bytes(&kem.0).ok()
}

/// The keys of one camera. Both exist whether or not the camera has sound.
#[derive(Clone, Debug)]
pub struct EpochKeys {
    pub video: EpochKey,
    pub audio: EpochKey,
}

/// Why an epoch is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// It has lasted long enough.
    Time,
    /// Others may open what is recorded from now on.
    Audience,
}

#[derive(Clone, Debug)]
pub struct Epoch {
    pub id: EpochId,
    pub started_at: Timestamp,
    pub roster_head: Hash,
    pub keys: BTreeMap<CameraId, EpochKeys>,
    audience: Audience,
}

impl Epoch {
    /// Draws keys for every camera that the roster binds to this gateway.
    pub fn begin(
        roster: &Roster,
        gateway: GatewayId,
        now: Timestamp,
        random: &mut dyn FnMut(&mut [u8]),
    ) -> Self {
        let mut draw = |bytes: &mut [u8; 32]| {
            random(bytes);
            EpochKey::from_random(std::mem::take(bytes))
        };
        let mut buffer = [0; 32];
        let bound = roster.cameras().filter(|camera| camera.gateway == gateway);
        let keys = bound
            .map(|camera| (camera.id, EpochKeys { video: draw(&mut buffer), audio: draw(&mut buffer) }))
            .collect();
        let mut id = [0; 16];
        random(&mut id);
        Epoch {
            id: EpochId::from_random(id),
            started_at: now,
            roster_head: roster.head().1,
            keys,
            audience: audience(roster, gateway, now),
        }
    }

    /// Whether the next recording needs another epoch, and why.
    pub fn over(&self, roster: &Roster, gateway: GatewayId, now: Timestamp) -> Option<Over> {
        let bound: BTreeSet<CameraId> =
            roster.cameras().filter(|camera| camera.gateway == gateway).map(|camera| camera.id).collect();
        if !bound.iter().eq(self.keys.keys()) || audience(roster, gateway, now) != self.audience {
            return Some(Over::Audience);
        }
        // A clock that was set back must not stretch an epoch either.
        let out_of_time = now.ms_since(self.started_at) >= EPOCH_MS_MAX || now < self.started_at;
        out_of_time.then_some(Over::Time)
    }

    /// One signed grant for each device of the audience.
    pub fn grants(
        &self,
        roster: &Roster,
        gateway: GatewayId,
        signer: &SigningKey,
        random: &mut dyn FnMut(&mut [u8]),
    ) -> Vec<(DeviceId, Envelope)> {
        let context = GrantContext {
            org: roster.org(),
            gateway,
            epoch: self.id,
            roster_head: self.roster_head,
            created_at: self.started_at,
        };
        let mut grants = Vec::new();
        for (&id, cameras) in &self.audience {
            let Some(kem) = sealed_to(roster, id) else { continue };
            let keys = cameras
                .iter()
                .filter_map(|(camera, right)| {
                    let EpochKeys { video, audio } = self.keys.get(camera)?;
                    let granted =
                        CameraKeys { video: video.clone(), audio: right.audio.then(|| audio.clone()) };
                    Some((*camera, (granted, audio.commitment())))
                })
                .take(CAMERAS_MAX)
                .collect();
            let mut seed: SealSeed = [0; 64];
            random(&mut seed);
            grants.push((id, seal::grant::make(context, (id, &kem), &keys, signer, seed)));
        }
        grants
    }
}
