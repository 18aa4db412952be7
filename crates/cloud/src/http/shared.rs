//! Footage for somebody without an account, as whoever holds the link gets it.
//! The address alone opens nothing and shows nothing, not even that there is a
//! share: whoever asks shows what only the part behind the `#` gives. An
//! opening is counted and stands in the history; then its token reads the
//! pieces, which are sealed.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Response};
use cloud_core::ShareFacts;
use model::{Hash, Secret, ShareId, Timestamp};
use seal::capsule::Piece;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::extract::{Json, Path};
use crate::app::App;
use crate::database::ShareRow;
use crate::permits::devices_in_force;
use crate::problem::Problem;
use crate::rate::{Key, Rate};
use crate::{clock, random};

/// Of one share: each stands in the history for good.
const OPENINGS: Rate = Rate { burst: 60, refill_ms: 10_000 };
/// For so long an opening reads, if the share does not end before.
const OPENING_MS: u64 = 6 * Timestamp::HOUR;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OpenShare {
    /// Format.md section 10.
    #[schema(value_type = String)]
    access: Hash,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Opened {
    /// Reads the pieces: `Authorization: Bearer …`.
    token: String,
    /// How long it does.
    #[schema(value_type = u64)]
    ends_at: Timestamp,
    #[schema(value_type = u64)]
    until: Timestamp,
    /// How often the link can still be opened; null: any number of times.
    openings_left: Option<u64>,
    /// Of all pieces.
    bytes: u64,
}

#[utoipa::path(post, path = "/api/v1/shared/{id}/openings", params(("id" = String, Path)), request_body = OpenShare,
    responses((status = 200, body = Opened), (status = 401, description = "`token_refused`"), (status = 429),
              (status = 410, description = "`share_over`, `share_used_up` or `share_withdrawn`")))]
pub(crate) async fn open(
    State(app): State<Arc<App>>,
    Path(share): Path<ShareId>,
    Json(OpenShare { access }): Json<OpenShare>,
) -> Result<Json<Opened>, Problem> {
    let now = clock::now();
    let row = app.database.share(share).await?.ok_or_else(Problem::token)?;
    let shown = seal::sha256(&access.0);
    if !seal::constant_time_eq(&shown.0, &row.access.0) || row.completed_at.is_none() {
        return Err(Problem::token());
    }
    if !app.limiter.allow(Key::Account(format!("opening {share}")), OPENINGS, now) {
        return Err(Problem::too_many());
    }
    let mut facts = facts(&app, &row, now).await?;
    // Of several who come for the last one, one gets it; then it is asked whether it may be.
    let taken = app.database.take_opening(share).await?;
    if !taken && row.openings.is_some() {
        facts.openings_left = Some(0);
    }
    let audited = match app.permit_link((row.org, share), facts, now).await {
        Ok(audited) if taken => audited,
        refused => {
            if taken {
                app.database.return_opening(share).await?;
            }
            return Err(refused.err().unwrap_or_else(|| cloud_core::Denial::ShareWithdrawn.into()));
        }
    };
    let token = random::token().to_string();
    let ends_at = row.until.min(now.plus_ms(OPENING_MS));
    app.database.add_opening(share, (random::hashed(&token), ends_at), &audited).await?;
    let openings_left = row.openings.map(|openings| openings.saturating_sub(row.opened + 1));
    Ok(Json(Opened { token, ends_at, until: row.until, openings_left, bytes: row.bytes }))
}

#[utoipa::path(get, path = "/api/v1/shared/{id}/files/{file}/pieces/{number}",
    params(("id" = String, Path), ("file" = u32, Path), ("number" = u32, Path)),
    responses((status = 200, body = Vec<u8>, content_type = "application/octet-stream"), (status = 404),
              (status = 401, description = "`token_refused`"),
              (status = 410, description = "`share_over` or `share_withdrawn`")))]
pub(crate) async fn piece(
    State(app): State<Arc<App>>,
    Path((share, file, number)): Path<(ShareId, u32, u32)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let now = clock::now();
    let token = bearer(&headers).ok_or_else(Problem::token)?;
    if !app.database.is_open(share, random::hashed(token.expose()), now).await? {
        return Err(Problem::token());
    }
    let row = app.database.share(share).await?.ok_or_else(Problem::token)?;
    // It was counted; everything else must still be so.
    let facts = ShareFacts { openings_left: None, ..facts(&app, &row, now).await? };
    app.still_shared((row.org, share), facts, now)?;
    let bytes = app.capsules.read(share, Piece { file, number }).await?.ok_or_else(Problem::not_found)?;
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], bytes).into_response())
}

async fn facts(app: &App, row: &ShareRow, now: Timestamp) -> Result<ShareFacts, Problem> {
    let roster = app.roster(row.org, now).await?;
    let has_device = !devices_in_force(&roster, row.person, now).is_empty();
    let may_open = |camera: &_| roster.right_of_person(row.person, *camera, now).is_some();
    let may_open = has_device
        && row.cameras.iter().all(may_open)
        && !app.database.is_shut_out(row.org, row.person).await?;
    // It does not come back with the access: nobody would remember that there is such a link.
    if !may_open && row.ended_at.is_none() {
        app.database.end_share(row.share, now).await?;
    }
    let left = row.openings.map(|openings| openings.saturating_sub(row.opened));
    Ok(ShareFacts {
        org: row.org,
        until: row.until,
        withdrawn: row.ended_at.is_some(),
        openings_left: left.map(|left| u32::try_from(left).unwrap_or(u32::MAX)),
        sharer_may_open: may_open,
    })
}

fn bearer(headers: &HeaderMap) -> Option<Secret> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    value.strip_prefix("Bearer ").map(Secret::new)
}
