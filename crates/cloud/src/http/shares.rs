//! Footage for somebody without an account, as whoever shares it sees it: the
//! order that a device signed, the sealed pieces that it sends, and the list of
//! what is shared. [`super::shared`] is the other side.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use cloud_core::{Action, Permit};
use model::{CameraId, PersonId, ShareId, Timestamp};
use seal::action;
use seal::capsule::{CAPSULE_BYTES_MAX, DESCRIPTION, FILES_MAX, PIECE_SEALED_BYTES_MAX, PIECES_MAX, Piece};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::actions::{accept, verified};
use super::extract::{Json, Path};
use super::types::EnvelopeBody;
use crate::app::App;
use crate::capsules::Put;
use crate::clock;
use crate::database::{Room, ShareRow};
use crate::permits::is_administrator;
use crate::problem::Problem;
use crate::sessions::Caller;

/// Of one person that can be opened, or are being made.
const SHARES_MAX: u64 = 200;
/// Shown to one person.
const LISTED_MAX: u64 = 500;
/// From the order until the capsule is whole.
const MAKING_MS: u64 = 6 * Timestamp::HOUR;
/// For so long a share that is over stays in the list.
const LISTED_MS: u64 = 90 * Timestamp::DAY;

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Shares {
    /// Of who asks, to administrators everybody's; those whose time is not over
    /// first, then the latest, at most 500.
    shares: Vec<Share>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Share {
    #[schema(value_type = String)]
    id: ShareId,
    #[schema(value_type = String)]
    person: PersonId,
    #[schema(value_type = Vec<String>)]
    cameras: BTreeSet<CameraId>,
    #[schema(value_type = u64)]
    from: Timestamp,
    #[schema(value_type = u64)]
    to: Timestamp,
    #[schema(value_type = u64)]
    made_at: Timestamp,
    #[schema(value_type = u64)]
    until: Timestamp,
    /// How often it can be opened; null: any number of times.
    openings: Option<u64>,
    opened: u64,
    bytes: u64,
    state: ShareState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ShareState {
    /// Its pieces are not all there.
    Making,
    /// They did not come in time.
    Failed,
    Open,
    /// Its time is over.
    Over,
    UsedUp,
    Withdrawn,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Whole {
    /// How many there are, with the description.
    pieces: u64,
}

#[utoipa::path(post, path = "/api/v1/shares", request_body = EnvelopeBody,
    responses((status = 204), (status = 403, description = "`verification_needed`, `role`, `policy`, …"),
              (status = 409, description = "`state_moved`, `replayed`, `too_many_shares` or `exists`")))]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Json(body): Json<EnvelopeBody>,
) -> Result<StatusCode, Problem> {
    let now = clock::now();
    let roster = app.roster(caller.org, now).await?;
    let verified = verified(&body.envelope, &roster, &caller, now)?;
    let action::Action::Share { share, cameras, from, to, access, until, openings, .. } =
        verified.signed.action
    else {
        return Err(Problem::invalid("The signed action shares nothing."));
    };
    let mut permits = Vec::with_capacity(cameras.len());
    for &camera in &cameras {
        let action = Action::Share { share, camera, from, to, signature: verified.hash };
        permits.push(app.decide(&caller, &roster, action, now).await?);
    }
    if app.config.shares.gibibytes_max == 0 {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            "sharing_is_off",
            "This server keeps no shared footage.",
            "Export it and hand on the files, or ask whoever runs the server to set shares.gibibytes_max.",
        ));
    }
    if app.database.count_shares(caller.org, caller.person, now.minus_ms(MAKING_MS), now).await? >= SHARES_MAX
    {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            "too_many_shares",
            format!("You have {SHARES_MAX} links that can be opened."),
            "Withdraw some that are no longer needed.",
        ));
    }
    accept(&app, &caller, &roster, (&body.envelope, verified.hash, verified.devices), now).await?;
    let audited = Permit::record_all(permits, &app.recorder).await?;
    let row = ShareRow {
        share,
        org: caller.org,
        person: caller.person,
        cameras,
        from,
        to,
        access,
        made_at: now,
        until,
        openings: openings.map(u64::from),
        opened: 0,
        bytes: 0,
        completed_at: None,
        ended_at: None,
    };
    if app.database.add_share(&row, &audited).await? { Ok(StatusCode::NO_CONTENT) } else { Err(exists()) }
}

#[utoipa::path(put, path = "/api/v1/shares/{id}/files/{file}/pieces/{number}",
    params(("id" = String, Path), ("file" = u32, Path), ("number" = u32, Path)),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 204), (status = 404), (status = 413),
              (status = 409, description = "`exists`: another piece came under this number; `no_room`")))]
pub(crate) async fn put(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path((share, file, number)): Path<(ShareId, u32, u32)>,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<StatusCode, Problem> {
    let now = clock::now();
    let row = own(&app, &caller, share, now).await?;
    let piece = Piece { file, number };
    let is_piece = piece == DESCRIPTION || ((1..=FILES_MAX).contains(&file) && number < PIECES_MAX);
    let bytes = bytes.map_err(|_| too_large())?;
    if !is_piece || bytes.is_empty() {
        return Err(Problem::invalid("A capsule has no such piece, or this one is empty."));
    }
    if bytes.len() > PIECE_SEALED_BYTES_MAX {
        return Err(too_large());
    }
    // One that is sent again takes no room.
    let (is_new, length) = (!app.capsules.has(share, piece).await?, bytes.len() as u64);
    if is_new {
        let room = Room {
            of_share: CAPSULE_BYTES_MAX,
            of_organisation: app.config.shares.gibibytes_max << 30,
            made_after: now.minus_ms(MAKING_MS),
        };
        if !app.database.grow_share(&row, length, room, now).await? {
            return Err(no_room());
        }
    }
    let put = app.capsules.put(share, piece, bytes).await;
    if is_new && !matches!(put, Ok(Put::Created)) {
        app.database.shrink_share(share, length).await?;
    }
    match put? {
        Put::Created | Put::Again => Ok(StatusCode::NO_CONTENT),
        Put::Other => Err(exists()),
        Put::Full => {
            tracing::error!("the disk of shares.path is full");
            Err(no_room())
        }
    }
}

#[utoipa::path(post, path = "/api/v1/shares/{id}/whole", params(("id" = String, Path)), request_body = Whole,
    responses((status = 204), (status = 404), (status = 409, description = "`pieces_missing`")))]
pub(crate) async fn whole(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(share): Path<ShareId>,
    Json(Whole { pieces }): Json<Whole>,
) -> Result<StatusCode, Problem> {
    let now = clock::now();
    own(&app, &caller, share, now).await?;
    let there = app.capsules.count(share).await?;
    if there != pieces || !app.capsules.has(share, DESCRIPTION).await? {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            "pieces_missing",
            format!("{there} of {pieces} pieces are there."),
            "Send what is missing, the description among them.",
        ));
    }
    if app.database.complete_share(share, now).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::not_found())
    }
}

#[utoipa::path(get, path = "/api/v1/shares", responses((status = 200, body = Shares)))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Shares>, Problem> {
    let now = clock::now();
    let roster = app.roster(caller.org, now).await?;
    let whose = (!is_administrator(&roster, caller.person, now)).then_some(caller.person);
    let rows = app.database.shares(caller.org, whose, LISTED_MAX, now).await?;
    let share = |row: ShareRow| Share {
        id: row.share,
        person: row.person,
        state: state(&row, now),
        cameras: row.cameras,
        from: row.from,
        to: row.to,
        made_at: row.made_at,
        until: row.until,
        openings: row.openings,
        opened: row.opened,
        bytes: row.bytes,
    };
    Ok(Json(Shares { shares: rows.into_iter().map(share).collect() }))
}

#[utoipa::path(delete, path = "/api/v1/shares/{id}", params(("id" = String, Path)),
    responses((status = 204), (status = 404)))]
pub(crate) async fn end(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(share): Path<ShareId>,
) -> Result<StatusCode, Problem> {
    let now = clock::now();
    let roster = app.roster(caller.org, now).await?;
    let row = app.database.share(share).await?.filter(|row| row.org == caller.org);
    row.filter(|row| row.person == caller.person || is_administrator(&roster, caller.person, now))
        .ok_or_else(Problem::not_found)?;
    let permit = app.decide(&caller, &roster, Action::EndShare { share }, now).await?;
    app.database.end_share(share, now).await?;
    app.record_after(permit).await;
    // Nobody is handed them any more; that they are gone can be made up for later.
    if let Err(error) = remove(&app, share).await {
        tracing::warn!(%share, "{error:#}");
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Removes the pieces of what is over, was opened as often as it may be, or never
/// became whole; of shares that this server made, and nothing else.
pub(crate) async fn purge(app: &App, now: Timestamp) -> anyhow::Result<()> {
    for share in app.database.shares_to_remove(now.minus_ms(MAKING_MS), now).await? {
        if let Err(error) = remove(app, share).await {
            tracing::warn!(%share, "{error:#}");
        }
    }
    Ok(app.database.purge_shares(now, now.minus_ms(LISTED_MS)).await?)
}

async fn remove(app: &App, share: ShareId) -> anyhow::Result<()> {
    app.capsules.remove(share).await?;
    Ok(app.database.share_removed(share).await?)
}

fn state(row: &ShareRow, now: Timestamp) -> ShareState {
    if row.ended_at.is_some() {
        ShareState::Withdrawn
    } else if now >= row.until {
        ShareState::Over
    } else if row.completed_at.is_none() {
        let is_late = now.ms_since(row.made_at) >= MAKING_MS;
        if is_late { ShareState::Failed } else { ShareState::Making }
    } else if row.openings.is_some_and(|openings| row.opened >= openings) {
        ShareState::UsedUp
    } else {
        ShareState::Open
    }
}

/// What the caller is making.
async fn own(app: &App, caller: &Caller, share: ShareId, now: Timestamp) -> Result<ShareRow, Problem> {
    let row = app.database.share(share).await?;
    let row = row.filter(|row| row.org == caller.org && row.person == caller.person);
    let row = row.filter(|row| row.ended_at.is_none() && now < row.until);
    row.ok_or_else(Problem::not_found)
}

fn exists() -> Problem {
    Problem::new(
        StatusCode::CONFLICT,
        "exists",
        "Something else came under this id or number before.",
        "Share it anew.",
    )
}

fn too_large() -> Problem {
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "too_large",
        format!("A piece has at most {PIECE_SEALED_BYTES_MAX} bytes."),
        "Cut it into smaller pieces.",
    )
}

fn no_room() -> Problem {
    Problem::new(
        StatusCode::CONFLICT,
        "no_room",
        "There is no more room for what is shared, or this link took longer than six hours to make.",
        "Share a shorter time, or withdraw links that are no longer needed.",
    )
}
