//! The keys that gateways granted to this device.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

use anyhow::{Context as _, ensure};
use model::wire::Envelope;
use model::{CameraId, EpochId, GatewayId};
use seal::grant::{CameraKeys, EpochGrant};
use seal::keys::VerifyingKey;

use crate::client::Session;

/// Epoch keys that this device was granted, each fetched once.
pub(crate) struct Grants<'s> {
    session: &'s Session,
    opened: HashMap<EpochId, BTreeMap<CameraId, CameraKeys>>,
}

impl<'s> Grants<'s> {
    pub(crate) fn new(session: &'s Session) -> Self {
        Grants { session, opened: HashMap::new() }
    }

    pub(crate) async fn keys(
        &mut self,
        gateway: GatewayId,
        epoch: EpochId,
        camera: CameraId,
    ) -> anyhow::Result<CameraKeys> {
        let Session { client, roster, keys, .. } = self.session;
        let device = self.session.device();
        let opened = match self.opened.entry(epoch) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let envelope: Envelope = client
                    .get(&format!("/api/v1/epochs/{epoch}/grants/{device}"))
                    .await
                    .context("this device was granted no key for this time")?;
                let known = roster.gateway(gateway).context("the roster has no such gateway")?;
                let grant = EpochGrant::verify(&envelope, gateway, VerifyingKey::from_bytes(&known.sign.0)?)?;
                ensure!(grant.epoch == epoch, "the cloud sent another epoch's grant");
                entry.insert(grant.open(device, &keys.kem)?)
            }
        };
        opened.get(&camera).cloned().context("this device was granted no key of this camera")
    }
}
