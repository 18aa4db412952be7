//! Cameras that whoever asks may see, and what was recorded of them.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use cloud_core::policy::Operation;
use cloud_core::{Action, Denial, allows};
use model::wire::{EVENT_SECONDS_MAX, Gap, RECORDING_MS_MAX, Recording, StreamStatus};
use model::{CameraId, GatewayId, Rendition, Timestamp};
use seal::roster::{Camera, Roster};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::commands;
use super::extract::{Json, Path, Query};
use super::merge::merge;
use super::types::{GapSchema, RecordingSchema, StreamStatusSchema};
use crate::app::App;
use crate::clock;
use crate::hub::Listed;
use crate::problem::Problem;
use crate::services::Asker;
use crate::sessions::Caller;

/// Recordings in one answer.
const PAGE_MAX: usize = 1_000;
pub(super) const GAPS_MAX: u64 = 1_000;

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Cameras {
    cameras: Vec<CameraListing>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CameraListing {
    #[schema(value_type = String)]
    id: CameraId,
    name: String,
    #[schema(value_type = String)]
    gateway: GatewayId,
    /// Whether who asks may hear it, too.
    hears: bool,
    /// Empty while the gateway is not connected.
    #[schema(value_type = Vec<StreamStatusSchema>)]
    streams: Vec<StreamStatus>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Stretch {
    from: Option<u64>,
    to: Option<u64>,
    rendition: Option<Rendition>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RecordingPage {
    #[schema(value_type = Vec<RecordingSchema>)]
    recordings: Vec<RecordingListing>,
    #[schema(value_type = Vec<GapSchema>)]
    gaps: Vec<Gap>,
    /// Where to go on if there are more.
    #[schema(value_type = Option<u64>)]
    more_from: Option<Timestamp>,
    /// The gateway did not say what it has and has not forwarded: there may be more.
    site_unreachable: bool,
}

#[derive(Debug, Serialize)]
struct RecordingListing {
    #[serde(flatten)]
    recording: Recording,
    /// It was read back from the store when it came in, or its gateway has it.
    available: bool,
    /// It is on its gateway alone so far.
    on_site: bool,
}

#[utoipa::path(get, path = "/api/v1/cameras", responses((status = 200, body = Cameras)))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Extension(asker): Extension<Asker>,
) -> Result<Json<Cameras>, Problem> {
    let now = clock::now();
    let roster = app.roster(asker.org(), now).await?;
    if let Asker::Service(_) = &asker {
        app.reads(&asker, &roster, Action::ListCameras, now).await?;
    }
    let listing = |(camera, hears): (&Camera, bool)| {
        let streams = app.hub.status(camera.gateway).map_or_else(Vec::new, |status| status.cameras);
        let streams = streams.into_iter().filter(|stream| stream.camera == camera.id).collect();
        CameraListing { id: camera.id, name: camera.name.clone(), gateway: camera.gateway, hears, streams }
    };
    let cameras = visible(&app, &asker, &roster, now).await?.into_iter().map(listing).collect();
    Ok(Json(Cameras { cameras }))
}

/// Cameras that whoever asks may see, and whether they may hear them, too.
pub(super) async fn visible<'a>(
    app: &App,
    asker: &Asker,
    roster: &'a Roster,
    now: Timestamp,
) -> Result<Vec<(&'a Camera, bool)>, Problem> {
    allowing(app, asker, roster, Operation::See, now).await
}

/// Cameras with which whoever asks may do this, and whether they may hear them, too.
pub(super) async fn allowing<'a>(
    app: &App,
    asker: &Asker,
    roster: &'a Roster,
    operation: Operation,
    now: Timestamp,
) -> Result<Vec<(&'a Camera, bool)>, Problem> {
    let rules = app.rules.current(&app.database, roster).await?;
    let policies = rules.policies.as_ref().ok_or(Denial::NoPolicies)?;
    let (principal, mut facts) = asker.facts(roster, &rules, roster.cameras().map(|camera| camera.id), now);
    if let Asker::Person(caller) = asker {
        app.state_reason(caller, &mut facts, now).await?;
    }
    let may = |operation, camera| allows(principal, &facts, operation, camera, policies, now);
    let allowed = roster.cameras().filter(|camera| may(operation, camera.id));
    Ok(allowed.map(|camera| (camera, may(Operation::Audio, camera.id))).collect())
}

#[utoipa::path(get, path = "/api/v1/cameras/{id}/recordings",
    params(("id" = String, Path),
           ("from" = Option<u64>, Query, description = "milliseconds since 1970"),
           ("to" = Option<u64>, Query, description = "milliseconds since 1970, exclusive"),
           ("rendition" = Option<String>, Query, description = "`main` (default), `sub` or `events`")),
    responses((status = 200, body = RecordingPage)))]
pub(crate) async fn recordings(
    State(app): State<Arc<App>>,
    Extension(asker): Extension<Asker>,
    Path(camera): Path<CameraId>,
    Query(query): Query<Stretch>,
) -> Result<Json<RecordingPage>, Problem> {
    let now = clock::now();
    let org = asker.org();
    let roster = app.roster(org, now).await?;
    app.reads(&asker, &roster, Action::ListRecordings { camera }, now).await?;
    let from = Timestamp(query.from.unwrap_or(0));
    let to = Timestamp(query.to.unwrap_or(u64::MAX));
    let rendition = query.rendition.unwrap_or(Rendition::Main);
    // One that began before `from` may reach into it.
    let stretch = (from.minus_ms(RECORDING_MS_MAX), to);
    // The gateway first: what it forwards meanwhile is in the index then.
    let gateway = roster.camera(camera).map(|camera| camera.gateway);
    let on_site = match gateway {
        Some(gateway) => app.hub.list(gateway, (camera, rendition), (from, to)).await.ok(),
        None => Some(Listed::default()),
    };
    let site_unreachable = on_site.is_none();
    let rows = app.database.recordings(org, camera, rendition, stretch, PAGE_MAX as u64 + 1).await?;
    let (all, more_from) = merge(rows, on_site.unwrap_or_default(), PAGE_MAX);
    let recordings = all
        .into_iter()
        .filter(|(recording, _)| recording.ended_at() > from)
        .map(|(recording, on_site)| RecordingListing { recording, available: true, on_site })
        .collect();
    let gaps = app.database.gaps(org, camera, rendition, (from, to), 0, GAPS_MAX).await?;
    Ok(Json(RecordingPage { recordings, gaps, more_from, site_unreachable }))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Event {
    /// For how long it goes on: 1 to 600. It can be raised again meanwhile.
    seconds: u32,
}

#[utoipa::path(post, path = "/api/v1/cameras/{id}/events", params(("id" = String, Path)), request_body = Event,
    responses((status = 204, description = "its gateway was told"),
              (status = 503, description = "`gateway_offline`: its gateway is not connected")))]
pub(crate) async fn raise_event(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(camera): Path<CameraId>,
    Json(Event { seconds }): Json<Event>,
) -> Result<StatusCode, Problem> {
    if !(1..=EVENT_SECONDS_MAX).contains(&seconds) {
        return Err(Problem::invalid(format!("An event goes on for 1 to {EVENT_SECONDS_MAX} seconds.")));
    }
    let roster = app.roster(caller.org, clock::now()).await?;
    app.permit(&caller, &roster, Action::RaiseEvent { camera, seconds }, clock::now()).await?;
    let gateway = roster.camera(camera).ok_or_else(Problem::not_found)?.gateway;
    if app.hub.event(gateway, camera, seconds) {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(commands::offline())
    }
}
