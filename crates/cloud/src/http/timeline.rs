//! How much of a camera was recorded when: as many parts as a screen has room
//! for, of minutes or of months.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use cloud_core::Action;
use model::timeline::{PARTS_MAX, Scale, TimelinePart};
use model::wire::Gap;
use model::{CameraId, Rendition, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::cameras::GAPS_MAX;
use super::extract::{Json, Path, Query};
use super::types::{GapSchema, TimelinePartSchema};
use crate::app::App;
use crate::clock;
use crate::problem::Problem;
use crate::services::Asker;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    from: u64,
    to: u64,
    rendition: Option<Rendition>,
    parts: Option<u32>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Timeline {
    /// Milliseconds of a part; the first one begins at `from`.
    part_ms: u64,
    /// Those in which something was recorded, in order.
    #[schema(value_type = Vec<TimelinePartSchema>)]
    parts: Vec<TimelinePart>,
    /// Those that are as long as a part.
    #[schema(value_type = Vec<GapSchema>)]
    gaps: Vec<Gap>,
    /// The gateway did not say what it has and has not forwarded: there may be more.
    site_unreachable: bool,
}

#[utoipa::path(get, path = "/api/v1/cameras/{id}/timeline",
    params(("id" = String, Path),
           ("from" = u64, Query, description = "milliseconds since 1970"),
           ("to" = u64, Query, description = "milliseconds since 1970, exclusive; at most 400 days later"),
           ("rendition" = Option<String>, Query, description = "`main` (default) or `sub`"),
           ("parts" = Option<u32>, Query, description = "1 to 1000 (default)")),
    responses((status = 200, body = Timeline)))]
pub(crate) async fn timeline(
    State(app): State<Arc<App>>,
    Extension(asker): Extension<Asker>,
    Path(camera): Path<CameraId>,
    Query(Asked { from, to, rendition, parts }): Query<Asked>,
) -> Result<Json<Timeline>, Problem> {
    let now = clock::now();
    let org = asker.org();
    let roster = app.roster(org, now).await?;
    app.reads(&asker, &roster, Action::ListRecordings { camera }, now).await?;
    let stretch = (Timestamp(from), Timestamp(to));
    let asked = parts.unwrap_or(PARTS_MAX);
    let scale = Scale::new(stretch, asked).map_err(|error| Problem::invalid(format!("{error}.")))?;
    let rendition = rendition.unwrap_or(Rendition::Main);
    // The gateway first: what it forwards meanwhile is in the index then.
    let on_site = match roster.camera(camera) {
        Some(found) => app.hub.timeline(found.gateway, (camera, rendition), stretch, asked).await.ok(),
        None => Some(Vec::new()),
    };
    let site_unreachable = on_site.is_none();
    let stored = app.database.timeline(org, camera, rendition, &scale).await?;
    let parts = scale.join(&stored, &on_site.unwrap_or_default());
    let gaps = app.database.gaps(org, camera, rendition, stretch, scale.part_ms(), GAPS_MAX).await?;
    Ok(Json(Timeline { part_ms: scale.part_ms(), parts, gaps, site_unreachable }))
}
