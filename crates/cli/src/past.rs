//! `lenskeep device open-past`: hands on the keys that this device was granted
//! to one that came later (format.md section 4).

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use model::wire::Envelope;
use model::{CameraId, DeviceId, EpochId, Hash, Timestamp};
use seal::action::Action;
use seal::grant::{CameraKeys, EpochGrant, GrantContext, hand_on};
use seal::keys::{KemPublic, KemSecret, VerifyingKey};
use seal::roster::Right;
use serde::Deserialize;
use serde_json::json;

use crate::client::{Session, now, random};
use crate::roster::is_split;

/// As the cloud counts (protocol.md section 3).
const PAGE: usize = 24;
/// No request is longer than the cloud takes.
const REQUEST_BYTES: usize = 400_000;

#[derive(Deserialize)]
struct Epochs {
    epochs: Vec<Epoch>,
}

#[derive(Deserialize)]
struct Epoch {
    epoch: EpochId,
    grant: Envelope,
    /// Cameras of which the other device has the keys.
    has: Vec<CameraId>,
}

/// Whose grants are opened: this device's own, or the recovery sheet's.
struct Holder {
    device: DeviceId,
    kem: KemSecret,
}

pub(crate) async fn open(
    session: &mut Session,
    device: DeviceId,
    from: Timestamp,
    sheet: bool,
) -> anyhow::Result<()> {
    session.sync().await?;
    let holder = holder(session, sheet)?;
    session.act_at("/api/v1/past-openings", Action::OpenPast { device, from }).await?;
    let other = session.roster.device(device).context("the roster has no such device")?;
    let kem = KemPublic::from_bytes(&other.kem.0)?;
    let (mut looked, mut opened, mut after) = (0, 0, None);
    loop {
        let mut path = format!("/api/v1/past-openings/{device}/epochs?by={}", session.device());
        if sheet {
            path += "&sheet=true";
        }
        if let Some(after) = after {
            path += &format!("&after={after}");
        }
        let Epochs { epochs } = session.client.get(&path).await?;
        let mut grants = Vec::new();
        for epoch in &epochs {
            grants.extend(handed_on(session, &holder, (device, &kem), from, epoch).await?);
        }
        opened += grants.len();
        for some in requests(grants) {
            let path = format!("/api/v1/past-openings/{device}/grants");
            session.client.post(&path, &json!({ "grants": some })).await?;
        }
        looked += epochs.len();
        eprintln!("{looked} epochs looked at, {opened} opened");
        after = epochs.last().map(|last| last.epoch);
        if epochs.len() < PAGE {
            break;
        }
    }
    println!("{device} opens the recordings of {opened} more epochs, each of at most an hour.");
    Ok(())
}

fn holder(session: &Session, sheet: bool) -> anyhow::Result<Holder> {
    if !sheet {
        return Ok(Holder { device: session.device(), kem: session.keys.kem.clone() });
    }
    let (known, keys) = (&session.roster.state().recovery, crate::sheet::ask()?);
    ensure!(
        keys.sign.verifying_key().to_base64() == known.sign,
        "these are the words of another organisation's sheet"
    );
    Ok(Holder { device: known.id, kem: keys.kem })
}

/// Nothing if the other device may open nothing more of this epoch; also of
/// what is not as the cloud says, or does not open: one bad grant must not keep
/// all that come after it closed.
async fn handed_on(
    session: &mut Session,
    holder: &Holder,
    to: (DeviceId, &KemPublic),
    from: Timestamp,
    Epoch { epoch, grant, has }: &Epoch,
) -> anyhow::Result<Option<Envelope>> {
    let (by, at) = (session.device(), now());
    let roster = &session.roster;
    let Ok(EpochGrant { gateway, .. }) = EpochGrant::claimed(grant) else { return Ok(None) };
    // Nobody believes the recordings of one that was shut out.
    let Some(known) = roster.gateway(gateway) else { return Ok(None) };
    let grant = EpochGrant::verify(grant, gateway, VerifyingKey::from_bytes(&known.sign.0)?);
    let wanted_epoch =
        |grant: &EpochGrant| grant.org == roster.org() && grant.epoch == *epoch && grant.created_at >= from;
    let Some(grant) = grant.ok().filter(wanted_epoch) else { return Ok(None) };
    match session.check_head(grant.roster_head, gateway).await {
        Err(error) if is_split(&error) => {
            tracing::warn!("{error:#}");
            return Ok(None);
        }
        checked => checked?,
    }
    let Session { roster, keys, .. } = session;
    let Ok(opened) = grant.open(holder.device, &holder.kem) else { return Ok(None) };
    let right =
        |camera: CameraId| roster.right_of_device(to.0, camera, at).filter(|_| !has.contains(&camera));
    let commitments: BTreeMap<CameraId, Hash> =
        grant.cameras.iter().map(|entry| (entry.camera, entry.audio)).collect();
    let handed: BTreeMap<CameraId, (CameraKeys, Hash)> = opened
        .into_iter()
        .filter_map(|(camera, CameraKeys { video, audio })| {
            let Right { audio: hears } = right(camera)?;
            let keys = CameraKeys { video, audio: audio.filter(|_| hears) };
            Some((camera, (keys, *commitments.get(&camera)?)))
        })
        .collect();
    if handed.is_empty() {
        return Ok(None);
    }
    let context = GrantContext {
        org: roster.org(),
        gateway,
        epoch: *epoch,
        roster_head: roster.head().1,
        created_at: at,
    };
    Ok(Some(hand_on(context, to, &handed, (by, &keys.sign), random())))
}

fn requests(grants: Vec<Envelope>) -> Vec<Vec<Envelope>> {
    let mut all: Vec<Vec<Envelope>> = Vec::new();
    let mut bytes = usize::MAX;
    for grant in grants {
        let length = grant.payload.0.len() * 4 / 3;
        bytes = bytes.saturating_add(length);
        if bytes > REQUEST_BYTES {
            bytes = length;
            all.push(Vec::new());
        }
        all.last_mut().expect("the first grant begins a request").push(grant);
    }
    all
}
