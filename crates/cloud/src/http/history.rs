//! Who was allowed what: the entries, newest first, and the transparency log
//! that holds them. Reading is written down too.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use cloud_core::Action;
use model::{GatewayId, Hash, OrgId, Timestamp};
use seal::tlog::{self, Tile};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::extract::{Json, Path, Query};
use crate::app::App;
use crate::clock;
use crate::database::{Filter, HistoryRow, LogRow, OutsideRow, WitnessRow};
use crate::problem::Problem;
use crate::services::Asker;
use crate::witnesses::Outside;

const ENTRIES_DEFAULT: u64 = 100;
const ENTRIES_MAX: u64 = 1_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Stretch {
    before: Option<u64>,
    limit: Option<u64>,
    actor: Option<String>,
    action: Option<String>,
    without: Option<String>,
    /// Part of the resource.
    about: Option<String>,
    request: Option<String>,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HistoryPage {
    entries: Vec<HistoryRow>,
}

/// The head of the log.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LogHead {
    /// Entries in the log.
    size: u64,
    /// The checkpoint as a signed note; empty while there is none.
    note: String,
    /// The log's key, as `name+hash+base64`.
    key: String,
    /// Why nothing is published any more.
    fault: Option<String>,
    /// What gateways have signed of it, the longest first.
    witnesses: Vec<WitnessListing>,
    /// What witnesses outside the organisation have signed of it, by name.
    outside: Vec<OutsideListing>,
}

/// To be verified by the gateway's key in the roster.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WitnessListing {
    #[schema(value_type = String)]
    gateway: GatewayId,
    size: u64,
    /// The checkpoint of that size with the gateway's cosignature; empty if it
    /// has signed none.
    note: String,
    #[schema(value_type = u64)]
    signed_at: Timestamp,
    /// Why it signs no more: `key`, `cut_off` or `rewritten`.
    conflict: Option<String>,
}

/// To be verified by the witness's key in the roster.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OutsideListing {
    name: String,
    /// `name+hash+base64`, as this server's configuration has it: for
    /// administrators to compare with what the witness says, and to put into
    /// the roster.
    key: String,
    size: u64,
    /// The checkpoint of that size with its cosignature; empty if it has
    /// signed none.
    note: String,
    #[schema(value_type = u64)]
    signed_at: Timestamp,
    /// Why it signs no more: `cut_off` or `rewritten`.
    conflict: Option<String>,
    /// Why it could not be asked, in words.
    trouble: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Old {
    /// The size that the caller has seen.
    old: u64,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Consistency {
    note: String,
    /// RFC 9162 section 2.1.4, from the caller's size to the note's.
    #[schema(value_type = Vec<String>)]
    proof: Vec<Hash>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Inclusion {
    seq: u64,
    leaf: String,
    note: String,
    /// RFC 9162 section 2.1.3.
    #[schema(value_type = Vec<String>)]
    proof: Vec<Hash>,
}

#[utoipa::path(get, path = "/api/v1/history",
    params(("before" = Option<u64>, Query, description = "only entries before this position"),
           ("limit" = Option<u64>, Query, description = "at most so many; 100, and never more than 1000"),
           ("actor" = Option<String>, Query, description = "id of a person or gateway"),
           ("action" = Option<String>, Query),
           ("without" = Option<String>, Query, description = "all but this action, such as `store_recordings`"),
           ("about" = Option<String>, Query, description = "a part of the resource, such as a camera's id"),
           ("request" = Option<String>, Query, description = "what the request that caused it was answered as `x-request-id`"),
           ("from" = Option<u64>, Query), ("to" = Option<u64>, Query, description = "times in milliseconds")),
    responses((status = 200, body = HistoryPage)))]
pub(crate) async fn read(
    State(app): State<Arc<App>>,
    Extension(asker): Extension<Asker>,
    Query(query): Query<Stretch>,
) -> Result<Json<HistoryPage>, Problem> {
    permitted(&app, &asker).await?;
    let filter = Filter {
        before: query.before.unwrap_or(u64::MAX),
        limit: query.limit.unwrap_or(ENTRIES_DEFAULT).min(ENTRIES_MAX),
        actor: query.actor,
        action: query.action,
        without: query.without,
        about: query.about,
        request: query.request,
        from: query.from.unwrap_or(Timestamp(0)),
        to: query.to.unwrap_or(Timestamp(u64::MAX)),
    };
    let entries = app.database.history(asker.org(), filter).await?;
    Ok(Json(HistoryPage { entries }))
}

#[utoipa::path(get, path = "/api/v1/history/checkpoint", responses((status = 200, body = LogHead)))]
pub(crate) async fn checkpoint(
    State(app): State<Arc<App>>,
    Extension(asker): Extension<Asker>,
) -> Result<Json<LogHead>, Problem> {
    permitted(&app, &asker).await?;
    // Before the head, so that none of them is ahead of it.
    let witnesses = app.database.witnesses(asker.org()).await?.into_iter().map(|row| {
        let WitnessRow { gateway, size, note, signed_at, conflict } = row;
        WitnessListing { gateway, size, note, signed_at, conflict }
    });
    let outside = outside(&app, asker.org()).await?;
    let row = app.database.log(asker.org()).await?;
    let LogRow { size, note, fault } = row.unwrap_or(LogRow { size: 0, note: String::new(), fault: None });
    let (key, witnesses) = (app.log.public(asker.org()).verifier_key(), witnesses.collect());
    Ok(Json(LogHead { size, note, key, fault, witnesses, outside }))
}

/// Those that are asked now; what others signed once says nothing any more.
async fn outside(app: &App, org: OrgId) -> Result<Vec<OutsideListing>, Problem> {
    let rows = app.database.outside_witnesses(org).await?;
    let listed = app.witnesses.all.iter().map(|Outside { key, .. }| {
        let row = rows.iter().find(|row| row.name == key.name);
        let nothing = || OutsideRow::unasked(&key.name);
        let OutsideRow { name, size, note, signed_at, conflict, trouble } =
            row.cloned().unwrap_or_else(nothing);
        OutsideListing { name, key: key.cosigner_key(), size, note, signed_at, conflict, trouble }
    });
    Ok(listed.collect())
}

#[utoipa::path(get, path = "/api/v1/history/tile/{path}", params(("path" = String, Path, description = "as in C2SP tlog-tiles, after `tile/`")),
    responses((status = 200, description = "the tile's or bundle's bytes", content_type = "application/octet-stream")))]
pub(crate) async fn tile(
    State(app): State<Arc<App>>,
    Extension(asker): Extension<Asker>,
    Path(path): Path<String>,
) -> Result<Response, Problem> {
    let tile = Tile::parse(&format!("tile/{path}")).map_err(|_| Problem::not_found())?;
    permitted(&app, &asker).await?;
    let bytes = app.log.tile(asker.org(), tile).await?.ok_or_else(Problem::not_found)?;
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], bytes).into_response())
}

#[utoipa::path(get, path = "/api/v1/history/consistency",
    params(("old" = u64, Query, description = "the size that the caller has seen")),
    responses((status = 200, body = Consistency)))]
pub(crate) async fn consistency(
    State(app): State<Arc<App>>,
    Extension(asker): Extension<Asker>,
    Query(query): Query<Old>,
) -> Result<Json<Consistency>, Problem> {
    permitted(&app, &asker).await?;
    let LogRow { size, note, .. } = published(&app, &asker).await?;
    let parts = tlog::consistency(query.old, size).ok_or_else(Problem::not_found)?;
    Ok(Json(Consistency { note, proof: app.log.proof(asker.org(), size, parts).await? }))
}

#[utoipa::path(get, path = "/api/v1/history/{seq}/proof", params(("seq" = u64, Path)),
    responses((status = 200, body = Inclusion), (status = 404, description = "not in the log, or not yet")))]
pub(crate) async fn proof(
    State(app): State<Arc<App>>,
    Extension(asker): Extension<Asker>,
    Path(seq): Path<u64>,
) -> Result<Json<Inclusion>, Problem> {
    permitted(&app, &asker).await?;
    let LogRow { size, note, .. } = published(&app, &asker).await?;
    let parts = tlog::inclusion(seq, size).ok_or_else(Problem::not_found)?;
    let leaf = app.database.leaves(asker.org(), seq, 1).await?.pop().ok_or_else(Problem::not_found)?.1;
    Ok(Json(Inclusion { seq, leaf, note, proof: app.log.proof(asker.org(), size, parts).await? }))
}

async fn permitted(app: &App, asker: &Asker) -> Result<(), Problem> {
    let now = clock::now();
    let roster = app.roster(asker.org(), now).await?;
    app.reads(asker, &roster, Action::ReadHistory, now).await.map(drop)
}

async fn published(app: &App, asker: &Asker) -> Result<LogRow, Problem> {
    let row = app.database.log(asker.org()).await?.filter(|row| row.size > 0);
    row.ok_or_else(Problem::not_found)
}
