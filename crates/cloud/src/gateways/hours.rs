//! Indexes of hours that a gateway has put into the store. One counts once it was
//! read there and found to be what its name says, signed by the gateway that
//! reports it.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use cloud_core::ObjectName;
use futures_util::{StreamExt as _, TryStreamExt as _};
use model::wire::{Container, HOURS_MAX, HourReport, HourReportAnswer, RecordingResult, RecordingStatus};
use seal::hour::{HOUR_BYTES_MAX, SignedHour};

use crate::app::App;
use crate::database::HourRow;
use crate::http::extract::Json;
use crate::http::guard::GatewayCaller;
use crate::problem::Problem;

/// Objects of one report that are read at the same time.
const AT_ONCE: usize = 4;

pub(crate) async fn hours(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<GatewayCaller>,
    Json(body): Json<HourReport>,
) -> Result<Json<HourReportAnswer>, Problem> {
    if body.names.len() > HOURS_MAX {
        return Err(Problem::invalid(format!("A report names at most {HOURS_MAX} indexes of hours.")));
    }
    let (app, caller) = (&app, &caller);
    let results = futures_util::stream::iter(body.names)
        .map(|name| async move {
            let status = confirm(app, caller, &name).await?;
            Ok::<_, Problem>(RecordingResult { name, status })
        })
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    Ok(Json(HourReportAnswer { results }))
}

async fn confirm(app: &App, caller: &GatewayCaller, name: &str) -> Result<RecordingStatus, Problem> {
    let Ok(ObjectName::Hour { org, camera, hour, hash }) = ObjectName::parse(Container::Footage, name) else {
        return Ok(RecordingStatus::Refused);
    };
    let bound = caller.roster.camera(camera).is_some_and(|camera| camera.gateway == caller.gateway);
    if org != caller.org || !bound {
        return Ok(RecordingStatus::Refused);
    }
    let _slot = app.confirmations.acquire().await.map_err(anyhow::Error::from)?;
    let found = app.store.whole(Container::Footage, name, HOUR_BYTES_MAX).await?;
    let Some(bytes) = found else { return Ok(RecordingStatus::Missing) };
    let number = match SignedHour::parse(&bytes, &caller.roster) {
        Ok(signed) if signed.hour.gateway == caller.gateway && signed.object_name() == name => {
            signed.hour.number
        }
        Ok(_) => {
            tracing::warn!(gateway = %caller.gateway, name, "the stored index of an hour is another one");
            return Ok(RecordingStatus::Mismatch);
        }
        Err(error) => {
            tracing::warn!(gateway = %caller.gateway, name, "the stored index of an hour is refused: {error}");
            return Ok(RecordingStatus::Mismatch);
        }
    };
    app.database.add_hour(org, camera, HourRow { hour, number, hash }).await?;
    Ok(RecordingStatus::Confirmed)
}
