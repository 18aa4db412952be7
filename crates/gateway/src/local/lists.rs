//! Cameras that the caller may open, what is recorded of them here, and the
//! roster as this gateway knows it: the cloud's answers, of this site.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::{Extension, Json};
use gateway_core::uplink::GAPS_MAX;
use model::timeline::{PARTS_MAX, Scale, TimelinePart};
use model::wire::{Gap, ROSTER_PAGE_MAX, Recording, RosterAnswer, StreamStatus};
use model::{CameraId, GatewayId, Rendition, Timestamp};
use serde::{Deserialize, Serialize};

use super::Way;
use super::door::Caller;
use super::problem::Problem;
use crate::data::RosterLog;
use crate::index::Of;

const PAGE_MAX: usize = 1_000;

#[derive(Debug, Serialize)]
pub(super) struct Cameras {
    cameras: Vec<CameraListing>,
}

#[derive(Debug, Serialize)]
struct CameraListing {
    id: CameraId,
    name: String,
    gateway: GatewayId,
    hears: bool,
    streams: Vec<StreamStatus>,
}

pub(super) async fn cameras(
    State(way): State<Arc<Way>>,
    Extension(caller): Extension<Caller>,
) -> Json<Cameras> {
    let view = way.view();
    let now = way.now(&view);
    let listing = |camera: &seal::roster::Camera| {
        let right = view.roster.right_of_device(caller.device, camera.id, now);
        let hears = right.is_some_and(|right| right.audio);
        let own = view.streams.iter().filter(|((id, _), outlet)| *id == camera.id && outlet.is_listed());
        let streams = own.map(|(_, outlet)| outlet.status()).collect();
        CameraListing { id: camera.id, name: camera.name.clone(), gateway: camera.gateway, hears, streams }
    };
    Json(Cameras { cameras: view.cameras(caller.device, now).map(listing).collect() })
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Stretch {
    from: Option<u64>,
    to: Option<u64>,
    rendition: Option<Rendition>,
}

#[derive(Debug, Serialize)]
pub(super) struct RecordingPage {
    recordings: Vec<RecordingListing>,
    /// Those that the cloud was not told yet; it keeps the others.
    gaps: Vec<Gap>,
    more_from: Option<Timestamp>,
    /// As the cloud's: this is the site.
    site_unreachable: bool,
}

#[derive(Debug, Serialize)]
struct RecordingListing {
    #[serde(flatten)]
    recording: Recording,
    available: bool,
    /// The cloud has not confirmed it: it is here alone so far.
    on_site: bool,
}

pub(super) async fn recordings(
    State(way): State<Arc<Way>>,
    Extension(caller): Extension<Caller>,
    Path(camera): Path<CameraId>,
    Query(Stretch { from, to, rendition }): Query<Stretch>,
) -> Result<Json<RecordingPage>, Problem> {
    let view = way.view();
    view.camera(caller.device, camera, way.now(&view)).ok_or_else(Problem::not_found)?;
    let (from, to) = (Timestamp(from.unwrap_or(0)), Timestamp(to.unwrap_or(u64::MAX)));
    let rendition = rendition.unwrap_or(Rendition::Main);
    let failed = |error: anyhow::Error| Problem::internal(&error);
    let mut found =
        way.index.between(camera, rendition, (from, to), PAGE_MAX as i64 + 1).await.map_err(failed)?;
    let more_from = found.get(PAGE_MAX).map(|(recording, _)| recording.started_at);
    found.truncate(PAGE_MAX);
    let gaps = way.gaps((camera, rendition), (from, to), 0).await?;
    let listing = |(recording, confirmed): (Recording, bool)| RecordingListing {
        recording,
        available: true,
        on_site: !confirmed,
    };
    let recordings = found.into_iter().map(listing).collect();
    Ok(Json(RecordingPage { recordings, gaps, more_from, site_unreachable: false }))
}

impl Way {
    /// Those of this time, as long as this, that the cloud was not told yet.
    async fn gaps(
        &self,
        (camera, rendition): (CameraId, Rendition),
        (from, to): (Timestamp, Timestamp),
        shortest_ms: u64,
    ) -> Result<Vec<Gap>, Problem> {
        let gaps = self.index.gaps_to_report(GAPS_MAX as i64).await;
        let gaps = gaps.map_err(|error| Problem::internal(&error))?.into_iter().map(|(_, gap)| gap);
        let gaps = gaps.filter(|gap| (gap.camera, gap.rendition) == (camera, rendition));
        let gaps = gaps.filter(|gap| gap.from < to && gap.to > from);
        Ok(gaps.filter(|gap| gap.to.ms_since(gap.from) >= shortest_ms).collect())
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InParts {
    from: u64,
    to: u64,
    rendition: Option<Rendition>,
    parts: Option<u32>,
}

#[derive(Debug, Serialize)]
pub(super) struct Timeline {
    part_ms: u64,
    parts: Vec<TimelinePart>,
    gaps: Vec<Gap>,
    site_unreachable: bool,
}

pub(super) async fn timeline(
    State(way): State<Arc<Way>>,
    Extension(caller): Extension<Caller>,
    Path(camera): Path<CameraId>,
    Query(InParts { from, to, rendition, parts }): Query<InParts>,
) -> Result<Json<Timeline>, Problem> {
    let view = way.view();
    view.camera(caller.device, camera, way.now(&view)).ok_or_else(Problem::not_found)?;
    let stretch = (Timestamp(from), Timestamp(to));
    let scale = Scale::new(stretch, parts.unwrap_or(PARTS_MAX)).map_err(|_| {
        Problem::invalid(
            "A timeline ends after it begins, is at most 400 days long, and has 1 to 1000 parts.",
        )
    })?;
    let rendition = rendition.unwrap_or(Rendition::Main);
    let parts = way.index.timeline(camera, rendition, &scale, Of::Everybody).await;
    let parts = parts.map_err(|error| Problem::internal(&error))?;
    let gaps = way.gaps((camera, rendition), stretch, scale.part_ms()).await?;
    Ok(Json(Timeline { part_ms: scale.part_ms(), parts, gaps, site_unreachable: false }))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct After {
    after: Option<u64>,
}

pub(super) async fn roster(
    State(way): State<Arc<Way>>,
    Extension(_): Extension<Caller>,
    Query(After { after }): Query<After>,
) -> Result<Json<RosterAnswer>, Problem> {
    let root = way.root.clone();
    let first = after.map_or(0, |after| after.saturating_add(1));
    let reading = tokio::task::spawn_blocking(move || RosterLog::page(&root, first, ROSTER_PAGE_MAX));
    let statements = reading.await.map_err(anyhow::Error::from).and_then(|page| page);
    Ok(Json(RosterAnswer { statements: statements.map_err(|error| Problem::internal(&error))? }))
}
