//! What a gateway asks for before it deletes its own copy: parts of its
//! recordings, as they are in the store now, by the identity that can only read.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use futures_util::TryStreamExt as _;
use model::Base64;
use model::wire::{
    Container, READ_BACK_BYTES_MAX, READ_BACK_PARTS_MAX, ReadBackAnswer, ReadBackPart, ReadBackRequest,
};

use crate::app::App;
use crate::http::extract::Json;
use crate::http::guard::GatewayCaller;
use crate::problem::Problem;
use crate::store::Range;

pub(crate) async fn read_back(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<GatewayCaller>,
    Json(body): Json<ReadBackRequest>,
) -> Result<Json<ReadBackAnswer>, Problem> {
    let too_long = |part: &ReadBackPart| !(1..=READ_BACK_BYTES_MAX).contains(&part.bytes);
    if body.parts.len() > READ_BACK_PARTS_MAX || body.parts.iter().any(too_long) {
        return Err(Problem::invalid(format!(
            "A request has at most {READ_BACK_PARTS_MAX} parts of 1 to {READ_BACK_BYTES_MAX} bytes."
        )));
    }
    let mut parts = Vec::with_capacity(body.parts.len());
    for part in body.parts {
        parts.push(read(&app, &caller, part).await?.map(Base64));
    }
    Ok(Json(ReadBackAnswer { parts }))
}

/// None if the store does not have it, or it is not this gateway's.
async fn read(app: &App, caller: &GatewayCaller, part: ReadBackPart) -> Result<Option<Vec<u8>>, Problem> {
    let found = app.database.recording_of(caller.org, caller.gateway, part.id).await?;
    let Some(found) = found else { return Ok(None) };
    let Some(last) = part.first.checked_add(part.bytes - 1).filter(|last| *last < found.bytes) else {
        return Ok(None);
    };
    let _slot = app.confirmations.acquire().await.map_err(anyhow::Error::from)?;
    let size = app.store.size(Container::Footage, &found.name).await?;
    if size != Some(found.bytes) {
        return Ok(None);
    }
    let body = app.store.read(Container::Footage, &found.name, Range { first: part.first, last }).await?;
    let Some(body) = body else { return Ok(None) };
    let bytes = body.try_fold(Vec::new(), async |mut all, bytes| {
        all.extend_from_slice(&bytes);
        Ok(all)
    });
    Ok(Some(bytes.await.map_err(anyhow::Error::from)?))
}
