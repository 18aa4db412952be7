//! Bookmarks: stretches of a camera's time with notes that only devices open
//! which can open the footage, and evidence locks. The server keeps what devices
//! signed, and what gateways signed of it.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use cloud_core::Action;
use cloud_core::policy::Operation;
use model::wire::Envelope;
use model::{BookmarkId, CameraId, PersonId, Timestamp};
use seal::bookmark::Bookmark;
use seal::roster::Roster;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::actions::carried_out_before;
use super::cameras::allowing;
use super::extract::{Json, Path, Query};
use super::types::{EnvelopeBody, EnvelopeSchema};
use crate::app::App;
use crate::clock;
use crate::database::{BookmarkRow, Signed};
use crate::permits::is_administrator;
use crate::problem::Problem;
use crate::rate::{Key, Rate};
use crate::services::Asker;
use crate::sessions::Caller;

/// In one answer.
const PAGE_MAX: usize = 500;
/// That one person may keep.
const BOOKMARKS_MAX: u64 = 10_000;
/// Changes by one person.
const CHANGES: Rate = Rate { burst: 60, refill_ms: 1_000 };

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    camera: Option<CameraId>,
    from: u64,
    to: u64,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Bookmarks {
    /// Of cameras that who asks may play back; the latest first, at most 500.
    bookmarks: Vec<Listed>,
    /// With it as `to`, the next page. What was shown may be in it once more.
    #[schema(value_type = Option<u64>)]
    more_to: Option<Timestamp>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Listed {
    /// Who made it; null once that person was erased.
    #[schema(value_type = Option<String>)]
    person: Option<PersonId>,
    /// Whether who asks may change it, or remove it.
    changeable: bool,
    /// What a device signed (format.md section 12).
    #[schema(value_type = EnvelopeSchema)]
    envelope: Envelope,
    /// What the gateway signed of it: null before it has seen to it, and of what
    /// never locked anything.
    #[schema(value_type = Option<EnvelopeSchema>)]
    result: Option<Envelope>,
}

#[utoipa::path(get, path = "/api/v1/bookmarks",
    params(("camera" = Option<String>, Query),
           ("from" = u64, Query, description = "milliseconds since 1970"),
           ("to" = u64, Query, description = "milliseconds since 1970, exclusive")),
    responses((status = 200, body = Bookmarks), (status = 404)))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Query(Wanted { camera, from, to }): Query<Wanted>,
) -> Result<Json<Bookmarks>, Problem> {
    let now = clock::now();
    let roster = app.roster(caller.org, now).await?;
    let seen = allowing(&app, &Asker::Person(caller), &roster, Operation::Playback, now).await?;
    let seen: BTreeSet<CameraId> = seen.into_iter().map(|(camera, _)| camera.id).collect();
    if camera.is_some_and(|camera| !seen.contains(&camera)) {
        return Err(Problem::not_found());
    }
    let stretch = (Timestamp(from), Timestamp(to.min(1 << 53)));
    let (org, limit) = (caller.org, PAGE_MAX as u64);
    let mut rows = if camera.is_some() || seen.len() == roster.cameras().count() {
        app.database.bookmarks(org, camera, stretch, limit).await?
    } else {
        // Camera by camera: where a page ends must not tell of those that are not seen.
        let mut found = Vec::new();
        for camera in &seen {
            found.extend(app.database.bookmarks(org, Some(*camera), stretch, limit).await?);
        }
        found.sort_by_key(|row: &BookmarkRow| Reverse((row.from, row.bookmark)));
        found.truncate(PAGE_MAX);
        found
    };
    let last = rows.last().filter(|_| rows.len() >= PAGE_MAX);
    // Others may begin in the same millisecond; if all of a page do, they are left out.
    let more_to = last.map(|last| match last.from.plus_ms(1) {
        next if next < stretch.1 => next,
        _ => last.from,
    });
    // Of a camera that the roster has no more.
    rows.retain(|row| seen.contains(&row.camera));
    let administers = is_administrator(&roster, caller.person, now);
    let listed = |row: BookmarkRow| Listed {
        person: row.person,
        changeable: administers || row.person == Some(caller.person),
        envelope: row.envelope,
        result: row.result,
    };
    Ok(Json(Bookmarks { bookmarks: rows.into_iter().map(listed).collect(), more_to }))
}

#[utoipa::path(post, path = "/api/v1/bookmarks", request_body = EnvelopeBody,
    responses((status = 204), (status = 404),
              (status = 403, description = "`verification_needed` to lock less than before; `not_yours`, `role`, `policy`, …"),
              (status = 409, description = "`bookmark_moved`: it was changed meanwhile; `replayed`; `too_many_bookmarks`"),
              (status = 422, description = "the message says what is wrong with it"), (status = 429)))]
pub(crate) async fn put(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Json(EnvelopeBody { envelope }): Json<EnvelopeBody>,
) -> Result<StatusCode, Problem> {
    let now = clock::now();
    let roster = app.roster(caller.org, now).await?;
    let (bookmark, order) = Bookmark::verify(&envelope, &roster, now)
        .map_err(|error| Problem::invalid(format!("The bookmark is not accepted: {error}.")))?;
    if roster.device(bookmark.device).is_none_or(|device| device.person != caller.person) {
        return Err(Problem::invalid("The signature must be of a device of yours."));
    }
    let before = app.database.bookmark(caller.org, bookmark.bookmark).await?;
    let (camera, id) = (bookmark.camera, bookmark.bookmark);
    let signature = order;
    let is_weaker = before.as_ref().is_some_and(|before| locks_less(before, &bookmark, now));
    let action = match (is_weaker, bookmark.lock) {
        (true, _) => Action::LiftLock { camera, bookmark: id, signature },
        (false, Some(_)) => Action::LockFootage { camera, bookmark: id, signature },
        (false, None) => Action::Bookmark { camera, bookmark: id },
    };
    let is_signature = action != Action::Bookmark { camera, bookmark: id };
    let permit = app.decide(&caller, &roster, action, now).await?;
    if roster.gateway(bookmark.gateway).is_none() {
        return Err(Problem::invalid("The roster knows no such gateway."));
    }
    if let Some(before) = &before {
        may_change(before, &caller, &roster, now)?;
        if (before.camera, before.gateway) != (camera, bookmark.gateway) {
            return Err(Problem::invalid("A bookmark stays at its camera and gateway."));
        }
        if bookmark.issued_at <= before.issued_at {
            return Err(moved());
        }
    }
    if !app.limiter.allow(Key::Account(format!("bookmarks {}", caller.person)), CHANGES, now) {
        return Err(Problem::too_many());
    }
    if before.is_none() && app.database.count_bookmarks(caller.org, caller.person).await? >= BOOKMARKS_MAX {
        return Err(too_many());
    }
    if is_weaker {
        // A session that was stolen lets nothing be deleted.
        app.user_verified(&caller, &roster, &[bookmark.device], order, now).await?;
    }
    if is_signature && !app.database.keep_signature(caller.org, order, &envelope, now).await? {
        return Err(carried_out_before());
    }
    let audited = permit.record(&app.recorder).await?;
    let signed = Signed { bookmark: &bookmark, order, envelope: &envelope };
    if !app.database.put_bookmark(caller.person, signed, before.as_ref(), &audited).await? {
        return Err(moved());
    }
    app.hub.locks_changed(bookmark.gateway);
    Ok(StatusCode::NO_CONTENT)
}

#[utoipa::path(delete, path = "/api/v1/bookmarks/{id}", params(("id" = String, Path)),
    responses((status = 204), (status = 403, description = "`not_yours`"), (status = 404),
              (status = 409, description = "`locked`: its lock is lifted first")))]
pub(crate) async fn remove(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(bookmark): Path<BookmarkId>,
) -> Result<StatusCode, Problem> {
    let now = clock::now();
    let roster = app.roster(caller.org, now).await?;
    let row = app.database.bookmark(caller.org, bookmark).await?.ok_or_else(Problem::not_found)?;
    if may_change(&row, &caller, &roster, now).is_err() {
        // What may not be seen is not there.
        let camera = row.camera;
        let _permit = app.decide(&caller, &roster, Action::Bookmark { camera, bookmark }, now).await?;
    }
    may_change(&row, &caller, &roster, now)?;
    if row.holds(now) {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            "locked",
            "This bookmark locks footage against deletion.",
            "Lift the lock first: a device signs that.",
        ));
    }
    let permit = app.decide(&caller, &roster, Action::RemoveBookmark { bookmark }, now).await?;
    app.database.remove_bookmark(caller.org, bookmark).await?;
    app.record_after(permit).await;
    Ok(StatusCode::NO_CONTENT)
}

/// Whether something that was locked may be deleted afterwards.
fn locks_less(before: &BookmarkRow, after: &Bookmark, now: Timestamp) -> bool {
    if !before.holds(now) {
        return false;
    }
    let Some(lock) = after.lock else { return true };
    let ends_sooner = match (before.until, lock.until) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(before), Some(after)) => after < before,
    };
    ends_sooner || after.from > before.from || after.to < before.to
}

fn may_change(row: &BookmarkRow, caller: &Caller, roster: &Roster, now: Timestamp) -> Result<(), Problem> {
    if row.person == Some(caller.person) || is_administrator(roster, caller.person, now) {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::FORBIDDEN,
        "not_yours",
        "Somebody else made this bookmark.",
        "Make one of your own, or ask an administrator.",
    ))
}

fn moved() -> Problem {
    Problem::new(
        StatusCode::CONFLICT,
        "bookmark_moved",
        "This bookmark was changed meanwhile, or its id was used before.",
        "Load the list again, look at it, and change it there.",
    )
}

fn too_many() -> Problem {
    Problem::new(
        StatusCode::CONFLICT,
        "too_many_bookmarks",
        format!("You have {BOOKMARKS_MAX} bookmarks."),
        "Remove some that are no longer needed.",
    )
}
