//! The keys that gateways granted to this device.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context as _, ensure};
use model::wire::Envelope;
use model::{CameraId, EpochId, GatewayId};
use seal::grant::{CameraKeys, EpochGrant, PastGrant};
use seal::keys::VerifyingKey;

use serde::Deserialize;

use crate::client::{Refused, Session};

/// Epoch keys that this device was granted, each fetched once.
pub(crate) struct Grants<'s> {
    session: &'s Session,
    opened: HashMap<EpochId, BTreeMap<CameraId, CameraKeys>>,
}

#[derive(Deserialize)]
struct PastGrants {
    grants: Vec<Envelope>,
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
        if let Some(keys) = self.opened.get(&epoch).and_then(|opened| opened.get(&camera)) {
            return Ok(keys.clone());
        }
        let mut opened = self.granted(gateway, epoch).await?;
        if !opened.contains_key(&camera) {
            let handed_on = self.handed_on(gateway, epoch, camera).await?;
            opened.extend(handed_on.map(|keys| (camera, keys)));
        }
        let keys = opened.get(&camera).cloned();
        self.opened.entry(epoch).or_default().extend(opened);
        keys.context(
            "this device was granted no key of this camera for this time; an administrator can hand it on with \
             `lenskeep device open-past`",
        )
    }

    /// By the gateway; nothing for a device that it did not know then.
    async fn granted(
        &self,
        gateway: GatewayId,
        epoch: EpochId,
    ) -> anyhow::Result<BTreeMap<CameraId, CameraKeys>> {
        let Session { client, roster, keys, .. } = self.session;
        let device = self.session.device();
        let path = format!("/api/v1/epochs/{epoch}/grants/{device}");
        let Some(envelope) = found::<Envelope>(client.get(&path).await)? else { return Ok(BTreeMap::new()) };
        let known = roster.gateway(gateway).context("the roster has no such gateway")?;
        let grant = EpochGrant::verify(&envelope, gateway, VerifyingKey::from_bytes(&known.sign.0)?)?;
        ensure!(grant.epoch == epoch, "the cloud sent another epoch's grant");
        Ok(grant.open(device, &keys.kem)?)
    }

    /// By an administrator's device, later. What is not ours or does not open
    /// is passed over.
    async fn handed_on(
        &self,
        gateway: GatewayId,
        epoch: EpochId,
        camera: CameraId,
    ) -> anyhow::Result<Option<CameraKeys>> {
        let Session { client, roster, keys, .. } = self.session;
        let device = self.session.device();
        let path = format!("/api/v1/epochs/{epoch}/past-grants/{device}");
        let Some(PastGrants { grants }) = found(client.get(&path).await)? else { return Ok(None) };
        let open = |envelope: &Envelope| {
            let grant = PastGrant::claimed(envelope).ok()?;
            let ours = grant.org == roster.org() && (grant.gateway, grant.epoch) == (gateway, epoch);
            grant.open(device, &keys.kem).ok().filter(|_| ours)?.remove(&camera)
        };
        Ok(grants.iter().find_map(open))
    }
}

/// Nothing for what there is not.
fn found<T>(answer: anyhow::Result<T>) -> anyhow::Result<Option<T>> {
    match answer {
        Err(error) if error.downcast_ref::<Refused>().is_some_and(|refused| refused.status == 404) => {
            Ok(None)
        }
        answer => answer.map(Some),
    }
}
