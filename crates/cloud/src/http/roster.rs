//! The roster's log: read it, add to it. What a statement may say is judged by
//! the roster's own rules; readers judge it again.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use cloud_core::Action;
use model::wire::{Envelope, ROSTER_PAGE_MAX};
use model::{OrgId, Timestamp};
use seal::roster::Roster;
use serde::Serialize;
use utoipa::ToSchema;

use super::extract::{Json, Query};
use super::types::{After, EnvelopeBody, Statements};
use crate::app::App;
use crate::clock;
use crate::problem::Problem;
use crate::rosters::{Next, check_date};
use crate::sessions::Caller;

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Appended {
    /// Position of the statement in the log.
    pub(crate) seq: u64,
}

#[utoipa::path(get, path = "/api/v1/roster", params(("after" = Option<u64>, Query, description = "position of the last statement that the caller has")),
    responses((status = 200, body = Statements)))]
pub(crate) async fn read(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Query(query): Query<After>,
) -> Result<Json<Statements>, Problem> {
    Ok(Json(Statements { statements: page(&app, caller.org, query.after).await? }))
}

/// At most one page of what follows `after`.
pub(crate) async fn page(app: &App, org: OrgId, after: Option<u64>) -> Result<Vec<Envelope>, Problem> {
    let from = after.map_or(0, |after| after.saturating_add(1));
    let statements = app.database.statements(org, from, ROSTER_PAGE_MAX as u64).await?;
    Ok(statements.into_iter().map(|statement| statement.envelope).collect())
}

#[utoipa::path(post, path = "/api/v1/roster", request_body = EnvelopeBody,
    responses((status = 200, body = Appended), (status = 403, description = "`verification_needed`"),
              (status = 409, description = "`roster_moved`, with the head")))]
pub(crate) async fn append(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Json(body): Json<EnvelopeBody>,
) -> Result<Json<Appended>, Problem> {
    let now = clock::now();
    let roster = app.roster(caller.org, now).await?;
    // Said after what does not follow, which is signed anew anyway.
    let dated = check_date(&body.envelope, now);
    let next = app.rosters.check_next(&app.database, caller.org, body.envelope, now).await?;
    dated?;
    if !next.narrows() {
        app.user_verified(&caller, &roster, &next.signers(), next.hash, now).await?;
    }
    Ok(Json(Appended { seq: add(&app, &caller, &roster, next, now).await? }))
}

/// Adds what several administrators have signed, and one of them proposed in
/// time.
pub(crate) async fn carry(
    app: &Arc<App>,
    caller: &Caller,
    roster: &Roster,
    envelope: Envelope,
    now: Timestamp,
) -> Result<u64, Problem> {
    let next = app.rosters.check_next(&app.database, caller.org, envelope, now).await?;
    add(app, caller, roster, next, now).await
}

async fn add(
    app: &Arc<App>,
    caller: &Caller,
    roster: &Roster,
    next: Next,
    now: Timestamp,
) -> Result<u64, Problem> {
    let action = Action::AppendRoster { statement: next.hash };
    if !next.narrows() {
        let audited = app.permit(caller, roster, action, now).await?;
        let seq = app.rosters.append(&app.database, next, &audited).await?;
        app.hub.roster_changed(caller.org);
        app.rosters.minted().await;
        return Ok(seq);
    }
    // What takes rights away acts first and is written down after: a history
    // that fails must not keep a stolen device in force.
    let permit = app.decide(caller, roster, action, now).await?;
    let seq = app.rosters.append_narrowing(&app.database, next).await?;
    app.hub.roster_changed(caller.org);
    // Also if whoever asked hangs up now.
    let after = app.clone();
    let written = app.tasks.spawn(async move {
        // So that the history has every token of before in front of what ended them.
        after.rosters.minted().await;
        after.record_after(permit).await;
    });
    // It ends with the process at the latest.
    let _ = written.await;
    Ok(seq)
}
