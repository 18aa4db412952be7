//! Signed indexes of hours, as they are in the store: whoever asks verifies them,
//! and sees by them whether the lists of recordings and gaps are whole.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use cloud_core::{Action, ObjectName};
use futures_util::{StreamExt as _, TryStreamExt as _};
use model::wire::{Container, Envelope};
use model::{CameraId, Hash, OrgId, Timestamp};
use seal::hour::HOUR_BYTES_MAX;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::extract::{Json, Path, Query};
use super::types::EnvelopeSchema;
use crate::app::App;
use crate::clock;
use crate::database::HourRow;
use crate::problem::Problem;
use crate::services::Asker;

/// Objects in one answer, and how many of them are read at the same time.
const PAGE_MAX: usize = 48;
const AT_ONCE: usize = 4;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Stretch {
    from: Option<u64>,
    to: Option<u64>,
    after: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HourPage {
    /// In order of hour and number.
    #[schema(value_type = Vec<EnvelopeSchema>)]
    hours: Vec<Envelope>,
    /// Names of those that were in the store, and are not there any more.
    missing: Vec<String>,
    /// `after` of the next page, if there are more.
    next: Option<String>,
}

#[utoipa::path(get, path = "/api/v1/cameras/{id}/hours",
    params(("id" = String, Path),
           ("from" = Option<u64>, Query, description = "milliseconds since 1970; hours that begin then or later"),
           ("to" = Option<u64>, Query, description = "milliseconds since 1970, exclusive"),
           ("after" = Option<String>, Query, description = "`next` of the page before")),
    responses((status = 200, body = HourPage)))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Extension(asker): Extension<Asker>,
    Path(camera): Path<CameraId>,
    Query(query): Query<Stretch>,
) -> Result<Json<HourPage>, Problem> {
    let now = clock::now();
    let org = asker.org();
    let roster = app.roster(org, now).await?;
    app.reads(&asker, &roster, Action::ListRecordings { camera }, now).await?;
    let (from, to) = (Timestamp(query.from.unwrap_or(0)), Timestamp(query.to.unwrap_or(u64::MAX)));
    if from >= to {
        return Err(Problem::invalid("`from` must be before `to`."));
    }
    let after = query.after.as_deref().map(read_place).transpose()?;
    let mut rows = app.database.hours(org, camera, (from, to), after, PAGE_MAX as u64 + 1).await?;
    let more = rows.len() > PAGE_MAX;
    rows.truncate(PAGE_MAX);
    let next = rows.last().filter(|_| more).map(place);
    let app = &app;
    let found: Vec<Result<Envelope, String>> = futures_util::stream::iter(rows)
        .map(|row| async move {
            let name = name(org, camera, row);
            Ok::<_, Problem>(read(app, &name).await?.ok_or(name))
        })
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    let (mut hours, mut missing) = (Vec::new(), Vec::new());
    for found in found {
        match found {
            Ok(envelope) => hours.push(envelope),
            Err(name) => missing.push(name),
        }
    }
    Ok(Json(HourPage { hours, missing, next }))
}

#[utoipa::path(get, path = "/api/v1/cameras/{id}/hours/{hash}",
    params(("id" = String, Path), ("hash" = String, Path, description = "of the statement, as the next one names it")),
    responses((status = 200, body = EnvelopeSchema)))]
pub(crate) async fn one(
    State(app): State<Arc<App>>,
    Extension(asker): Extension<Asker>,
    Path((camera, hash)): Path<(CameraId, Hash)>,
) -> Result<Json<Envelope>, Problem> {
    let now = clock::now();
    let org = asker.org();
    let roster = app.roster(org, now).await?;
    app.reads(&asker, &roster, Action::ListRecordings { camera }, now).await?;
    let row = app.database.hour(org, camera, hash).await?.ok_or_else(Problem::not_found)?;
    read(&app, &name(org, camera, row)).await?.map(Json).ok_or_else(Problem::not_found)
}

/// None if the store does not have it, or not as an envelope.
async fn read(app: &App, name: &str) -> Result<Option<Envelope>, Problem> {
    let bytes = app.store.whole(Container::Footage, name, HOUR_BYTES_MAX).await?;
    let bytes = bytes.filter(|bytes| bytes.len() as u64 <= HOUR_BYTES_MAX);
    Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
}

fn name(org: OrgId, camera: CameraId, HourRow { hour, hash, .. }: HourRow) -> String {
    ObjectName::Hour { org, camera, hour, hash }.to_string()
}

/// All that the order goes by: of one hour there can be more than fit a page.
fn place(HourRow { hour, number, hash }: &HourRow) -> String {
    format!("{}-{number}-{hash}", hour.0)
}

fn read_place(text: &str) -> Result<HourRow, Problem> {
    let mut parts = text.splitn(3, '-');
    let mut part = || parts.next().unwrap_or_default();
    match (part().parse(), part().parse(), part().parse()) {
        (Ok(hour), Ok(number), Ok(hash)) => Ok(HourRow { hour: Timestamp(hour), number, hash }),
        _ => Err(Problem::invalid("`after` is not the `next` of an answer.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_reads_back_and_nothing_else_is_one() {
        let row = HourRow { hour: Timestamp(3_600_000), number: 7, hash: Hash([5; 32]) };
        assert_eq!(read_place(&place(&row)).unwrap(), row);
        let hash = Hash([5; 32]);
        for bad in [
            "",
            "1",
            "1-2",
            "1-2-",
            "-1-2",
            "1--2",
            "x-1-2",
            &format!("1-2-{hash}-3"),
            &format!("1-2-3-{hash}"),
        ] {
            assert!(read_place(bad).is_err(), "{bad}");
        }
    }
}
