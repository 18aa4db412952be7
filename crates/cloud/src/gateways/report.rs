//! What gateways report: grants of keys, recordings, gaps. A recording counts
//! once its length and digest were read back from the store by the identity
//! that can only read. Until then the gateway keeps its own copy.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use cloud_core::{ObjectName, UPLOAD_BYTES_MAX};
use futures_util::{StreamExt as _, TryStreamExt as _};
use model::wire::{
    Container, EpochGrants, Recording, RecordingReport, RecordingReportAnswer, RecordingResult,
    RecordingStatus,
};
use seal::grant::EpochGrant;
use seal::keys::VerifyingKey;

use crate::app::App;
use crate::clock;
use crate::http::extract::Json;
use crate::http::guard::GatewayCaller;
use crate::problem::Problem;

const GRANTS_MAX: usize = 4_096;
const RECORDINGS_MAX: usize = 256;
const GAPS_MAX: usize = 4_096;
/// Recordings of one report that are read back at the same time.
const AT_ONCE: usize = 4;

pub(crate) async fn epoch_grants(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<GatewayCaller>,
    Json(body): Json<EpochGrants>,
) -> Result<Json<serde_json::Value>, Problem> {
    if body.grants.len() > GRANTS_MAX {
        return Err(Problem::invalid(format!("A request has at most {GRANTS_MAX} grants.")));
    }
    let keys = caller.roster.gateway(caller.gateway).ok_or_else(Problem::certificate)?;
    let key = VerifyingKey::from_bytes(&keys.sign.0).map_err(|_| Problem::certificate())?;
    let mut grants = Vec::with_capacity(body.grants.len());
    for envelope in &body.grants {
        let grant = EpochGrant::verify(envelope, caller.gateway, key)
            .map_err(|error| Problem::invalid(format!("An epoch grant is not valid: {error}.")))?;
        if grant.org != caller.org {
            return Err(Problem::invalid("An epoch grant is of another organisation."));
        }
        grants.push((grant, envelope));
    }
    // A device that was revoked meanwhile gets nothing more; that is no fault
    // of the gateway, which made its grants before it heard.
    let recovery = caller.roster.state().recovery.id;
    let in_roster = grants
        .iter()
        .filter(|(grant, _)| grant.device == recovery || caller.roster.device(grant.device).is_some());
    for (grant, envelope) in in_roster {
        let (org, gateway) = (caller.org, caller.gateway);
        let of = (grant.device, grant.created_at);
        app.database.add_epoch_grant(org, gateway, grant.epoch, of, envelope).await?;
    }
    Ok(Json(serde_json::json!({})))
}

pub(crate) async fn recordings(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<GatewayCaller>,
    Json(body): Json<RecordingReport>,
) -> Result<Json<RecordingReportAnswer>, Problem> {
    if body.recordings.len() > RECORDINGS_MAX || body.gaps.len() > GAPS_MAX {
        return Err(Problem::invalid(format!(
            "A report has at most {RECORDINGS_MAX} recordings and {GAPS_MAX} gaps."
        )));
    }
    for gap in &body.gaps {
        // Gaps of cameras that have moved or gone are history of theirs.
        let own = caller.roster.camera(gap.camera).is_some_and(|camera| camera.gateway == caller.gateway);
        if own && gap.from < gap.to {
            app.database.add_gap(caller.org, gap).await?;
        }
    }
    let (app, caller) = (&app, &caller);
    let results = futures_util::stream::iter(body.recordings)
        .map(|recording| async move {
            let status = confirm(app, caller, &recording).await?;
            Ok::<_, Problem>(RecordingResult { name: recording.name, status })
        })
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    Ok(Json(RecordingReportAnswer { results }))
}

async fn confirm(
    app: &App,
    caller: &GatewayCaller,
    recording: &Recording,
) -> Result<RecordingStatus, Problem> {
    if !is_its_own(caller, recording) {
        return Ok(RecordingStatus::Refused);
    }
    // Footage that nobody has a key for is not footage yet.
    if !app.database.has_epoch_grant(caller.org, caller.gateway, recording.epoch).await? {
        return Ok(RecordingStatus::NoEpochGrant);
    }
    let _slot = app.confirmations.acquire().await.map_err(anyhow::Error::from)?;
    let found = app.store.digest(Container::Footage, &recording.name, UPLOAD_BYTES_MAX).await?;
    let Some(found) = found else { return Ok(RecordingStatus::Missing) };
    if found != (recording.bytes, recording.sha256) {
        tracing::warn!(gateway = %caller.gateway, name = recording.name, "the stored recording is not what was reported");
        return Ok(RecordingStatus::Mismatch);
    }
    app.database.add_recording(caller.org, caller.gateway, recording, clock::now()).await?;
    // Somebody with this gateway's certificate may have put another object in
    // this recording's place. What is not indexed must not be dropped on site.
    let indexed = app.database.recording(caller.org, recording.id).await?;
    if indexed.is_none_or(|indexed| indexed.name != recording.name) {
        tracing::warn!(gateway = %caller.gateway, id = %recording.id, "another object stands in the index under this id");
        return Ok(RecordingStatus::Mismatch);
    }
    app.metrics.recordings_confirmed.add(1);
    Ok(RecordingStatus::Confirmed)
}

/// The name says the same as the fields, and the roster binds the camera to
/// this gateway.
pub(super) fn is_its_own(caller: &GatewayCaller, recording: &Recording) -> bool {
    let name = ObjectName::Recording {
        org: caller.org,
        camera: recording.camera,
        rendition: recording.rendition,
        started_at: recording.started_at,
        root: recording.root,
    };
    let bound = caller.roster.camera(recording.camera).is_some_and(|camera| camera.gateway == caller.gateway);
    bound && name.to_string() == recording.name && (1..=UPLOAD_BYTES_MAX).contains(&recording.bytes)
}
