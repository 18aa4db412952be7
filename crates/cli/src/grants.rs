//! The keys that gateways granted to this device.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context as _, ensure};
use model::wire::Envelope;
use model::{CameraId, EpochId, GatewayId};
use seal::grant::{CameraKeys, EpochGrant, PastGrant};
use seal::keys::VerifyingKey;
use seal::recording::{ChunkOpener, SignedHeader};
use serde::Deserialize;

use crate::client::{Refused, Session};
use crate::roster::is_split;

/// Epoch keys that this device was granted, each fetched once.
#[derive(Default)]
pub(crate) struct Grants {
    opened: HashMap<EpochId, BTreeMap<CameraId, CameraKeys>>,
}

#[derive(Deserialize)]
struct PastGrants {
    grants: Vec<Envelope>,
}

impl Grants {
    /// What opens the chunks behind a header: of a gateway and camera of the
    /// roster, signed on top of a statement that this device knows.
    pub(crate) async fn opener(
        &mut self,
        session: &mut Session,
        signed: &SignedHeader,
    ) -> anyhow::Result<ChunkOpener> {
        signed.verify(&session.roster)?;
        let header = &signed.header;
        session.check_head(header.roster_head, header.gateway).await?;
        session.note_unheard(header.gateway, header.roster_head, header.started_at);
        let keys = self.keys(session, header.gateway, header.epoch, header.camera).await?;
        Ok(ChunkOpener::new(signed, &keys)?)
    }

    /// Of a camera in an epoch of its gateway.
    pub(crate) async fn keys(
        &mut self,
        session: &mut Session,
        gateway: GatewayId,
        epoch: EpochId,
        camera: CameraId,
    ) -> anyhow::Result<CameraKeys> {
        if let Some(keys) = self.opened.get(&epoch).and_then(|opened| opened.get(&camera)) {
            return Ok(keys.clone());
        }
        let mut opened = granted(session, gateway, epoch).await?;
        if !opened.contains_key(&camera) {
            let handed_on = handed_on(session, gateway, epoch, camera).await?;
            opened.extend(handed_on.map(|keys| (camera, keys)));
        }
        let keys = opened.get(&camera).cloned();
        self.opened.entry(epoch).or_default().extend(opened);
        keys.context(
            "this device was granted no key of this camera for this time; an administrator can hand it on with \
             `lenskeep device open-past`",
        )
    }
}

/// By the gateway; nothing for a device that it did not know then.
async fn granted(
    session: &mut Session,
    gateway: GatewayId,
    epoch: EpochId,
) -> anyhow::Result<BTreeMap<CameraId, CameraKeys>> {
    let device = session.device();
    let path = format!("/api/v1/epochs/{epoch}/grants/{device}");
    let Some(envelope) = found::<Envelope>(session.client.get(&path).await)? else {
        return Ok(BTreeMap::new());
    };
    let known = session.roster.gateway(gateway).context("the roster has no such gateway")?;
    let grant = EpochGrant::verify(&envelope, gateway, VerifyingKey::from_bytes(&known.sign.0)?)?;
    ensure!(grant.epoch == epoch, "the cloud sent another epoch's grant");
    session.check_head(grant.roster_head, gateway).await?;
    Ok(grant.open(device, &session.keys.kem)?)
}

/// By an administrator's device, later. What is not ours, is signed falsely or
/// does not open is passed over.
async fn handed_on(
    session: &mut Session,
    gateway: GatewayId,
    epoch: EpochId,
    camera: CameraId,
) -> anyhow::Result<Option<CameraKeys>> {
    let device = session.device();
    let path = format!("/api/v1/epochs/{epoch}/past-grants/{device}");
    let Some(PastGrants { grants }) = found(session.client.get(&path).await)? else { return Ok(None) };
    for envelope in &grants {
        let Ok(grant) = PastGrant::claimed(envelope) else { continue };
        let ours = grant.org == session.roster.org() && (grant.gateway, grant.epoch) == (gateway, epoch);
        // What it opens is proof of the keys; the author's signature is one of
        // the roster that they were shown.
        if let Some(author) = session.roster.device_once(grant.by) {
            if PastGrant::verify(envelope, grant.by, VerifyingKey::from_bytes(&author.sign.0)?).is_err() {
                continue;
            }
            match session.check_head(grant.roster_head, grant.by).await {
                Err(error) if is_split(&error) => {
                    tracing::warn!("{error:#}");
                    continue;
                }
                checked => checked?,
            }
        }
        let opened = grant.open(device, &session.keys.kem).ok().filter(|_| ours);
        if let Some(keys) = opened.and_then(|mut opened| opened.remove(&camera)) {
            return Ok(Some(keys));
        }
    }
    Ok(None)
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
