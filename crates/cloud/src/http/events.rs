//! What cameras said that they saw: sealed, so that the server lists recordings
//! and knows of no event more than that there was one; and what each person has
//! looked at of it.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use cloud_core::policy::Operation;
use model::wire::Recording;
use model::{CameraId, EventId, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::cameras::allowing;
use super::extract::{Json, Query};
use super::types::RecordingSchema;
use crate::app::App;
use crate::clock;
use crate::problem::Problem;
use crate::services::Asker;
use crate::sessions::Caller;

/// Recordings of events in one answer.
const PAGE_MAX: u64 = 500;
/// Events in one `POST`.
const REVIEWED_MAX: usize = 500;
/// Of which an answer says that they were looked at.
const REVIEWED_LISTED_MAX: u64 = 5_000;
/// That are remembered of one person; older ones are forgotten.
const REMEMBERED_MAX: u64 = 50_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Stretch {
    from: u64,
    to: u64,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventPage {
    /// The newest first.
    #[schema(value_type = Vec<RecordingSchema>)]
    recordings: Vec<Recording>,
    /// With it as `to`, the next page. What was shown may be in it once more.
    #[schema(value_type = Option<u64>)]
    more_to: Option<Timestamp>,
    /// Events of this stretch that who asks has looked at.
    #[schema(value_type = Vec<String>)]
    reviewed: Vec<EventId>,
}

#[utoipa::path(get, path = "/api/v1/events",
    params(("from" = u64, Query, description = "milliseconds since 1970"),
           ("to" = u64, Query, description = "milliseconds since 1970, exclusive")),
    responses((status = 200, body = EventPage)))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Query(Stretch { from, to }): Query<Stretch>,
) -> Result<Json<EventPage>, Problem> {
    let now = clock::now();
    let (org, person) = (caller.org, caller.person);
    let roster = app.roster(org, now).await?;
    let asker = Asker::Person(caller);
    let seen = allowing(&app, &asker, &roster, Operation::ListRecordings, now).await?;
    let seen: BTreeSet<CameraId> = seen.into_iter().map(|(camera, _)| camera.id).collect();
    let stretch = (Timestamp(from), Timestamp(to));
    let mut recordings = if seen.len() == roster.cameras().count() {
        app.database.events(org, stretch, PAGE_MAX).await?
    } else {
        // Camera by camera: where a page ends must not tell of those that are not seen.
        let mut found = Vec::new();
        for camera in &seen {
            found.extend(app.database.events_of(org, *camera, stretch, PAGE_MAX).await?);
        }
        found.sort_by_key(|recording: &Recording| Reverse((recording.started_at, recording.id)));
        found.truncate(PAGE_MAX as usize);
        found
    };
    let last = recordings.last().filter(|_| recordings.len() as u64 >= PAGE_MAX);
    // Others may have begun in the same millisecond; if all of a page did, they are left out.
    let more_to = last.map(|last| match last.started_at.plus_ms(1) {
        next if next < stretch.1 => next,
        _ => last.started_at,
    });
    // Of a camera that the roster has no more.
    recordings.retain(|recording| seen.contains(&recording.camera));
    let reviewed = app.database.reviewed_events(org, person, stretch, REVIEWED_LISTED_MAX).await?;
    Ok(Json(EventPage { recordings, more_to, reviewed }))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reviewed {
    /// At most 500.
    events: Vec<ReviewedEvent>,
    /// False: to be looked at once more.
    reviewed: bool,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReviewedEvent {
    /// `ev_` and 32 hex digits, as they stand in the sealed event.
    #[schema(value_type = String)]
    id: EventId,
    /// When it began, in milliseconds since 1970.
    at: u64,
}

/// Nothing is looked up: the server knows no events, and what somebody marks is
/// theirs alone.
#[utoipa::path(post, path = "/api/v1/events/reviewed", request_body = Reviewed, responses((status = 204)))]
pub(crate) async fn review(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Json(Reviewed { events, reviewed }): Json<Reviewed>,
) -> Result<StatusCode, Problem> {
    if events.is_empty() || events.len() > REVIEWED_MAX {
        return Err(Problem::invalid(format!("events has 1 to {REVIEWED_MAX} entries.")));
    }
    if let Some(number) = events.iter().position(|event| event.at >= 1 << 53) {
        return Err(Problem::invalid(format!("events[{number}].at is no time.")));
    }
    let events: Vec<_> = events.into_iter().map(|event| (event.id, Timestamp(event.at))).collect();
    let (org, person) = (caller.org, caller.person);
    if reviewed {
        app.database.review_events(org, person, &events, REMEMBERED_MAX).await?;
    } else {
        app.database.forget_reviewed(org, person, &events).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}
