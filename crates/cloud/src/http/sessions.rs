//! Sessions: where one is signed in, and ending it there; administrators end
//! those of others. Ending takes something away, so it acts at once.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use cloud_core::Action;
use model::{DeviceId, Hash, PersonId, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use super::extract::{Json, Path};
use super::orders::is_known;
use crate::app::App;
use crate::clock;
use crate::problem::Problem;
use crate::sessions::{self, Caller};

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Sessions {
    /// Newest first.
    sessions: Vec<SessionListing>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SessionListing {
    /// By which it is ended; says nothing about the cookie.
    #[schema(value_type = String)]
    id: Hash,
    /// The one that asks.
    own: bool,
    /// Set if a device's key opened it, and not a passkey.
    #[schema(value_type = Option<String>)]
    device: Option<DeviceId>,
    /// The browser or program, as it named itself; not checked.
    client: String,
    #[schema(value_type = u64)]
    created_at: Timestamp,
    #[schema(value_type = u64)]
    seen_at: Timestamp,
    #[schema(value_type = u64)]
    ends_at: Timestamp,
}

#[utoipa::path(get, path = "/api/v1/sessions", responses((status = 200, body = Sessions)))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Sessions>, Problem> {
    let now = clock::now();
    let rows = app.database.sessions_of(caller.org, caller.person).await?;
    let listed =
        rows.into_iter().filter(|(_, row)| sessions::ends_at(row) > now).map(|(token, row)| SessionListing {
            id: public_id(token),
            own: token == caller.session,
            device: row.device,
            created_at: row.created_at,
            seen_at: row.seen_at,
            ends_at: sessions::ends_at(&row),
            client: row.client,
        });
    Ok(Json(Sessions { sessions: listed.collect() }))
}

#[utoipa::path(delete, path = "/api/v1/sessions/{id}", params(("id" = String, Path)),
    responses((status = 204), (status = 404)))]
pub(crate) async fn end(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<Hash>,
) -> Result<StatusCode, Problem> {
    let rows = app.database.sessions_of(caller.org, caller.person).await?;
    let (token, _) =
        rows.into_iter().find(|(token, _)| public_id(*token) == id).ok_or_else(Problem::not_found)?;
    app.database.end_session(token).await?;
    app.hub.rights_changed();
    Ok(StatusCode::NO_CONTENT)
}

#[utoipa::path(delete, path = "/api/v1/sessions", responses((status = 204, description = "all but this one have ended")))]
pub(crate) async fn end_others(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
) -> Result<StatusCode, Problem> {
    for (token, _) in app.database.sessions_of(caller.org, caller.person).await? {
        if token != caller.session {
            app.database.end_session(token).await?;
        }
    }
    app.hub.rights_changed();
    Ok(StatusCode::NO_CONTENT)
}

#[utoipa::path(delete, path = "/api/v1/people/{id}/sessions", params(("id" = String, Path)),
    responses((status = 204, description = "all sessions of this person have ended"), (status = 404)))]
pub(crate) async fn end_of_person(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(person): Path<PersonId>,
) -> Result<StatusCode, Problem> {
    let now = clock::now();
    let roster = app.roster(caller.org, now).await?;
    if !is_known(&app, &roster, person).await? {
        return Err(Problem::not_found());
    }
    let permit = app.decide(&caller, &roster, Action::EndSessions { person }, now).await?;
    app.database.end_sessions_of(caller.org, person).await?;
    app.hub.rights_changed();
    app.record_after(permit).await;
    Ok(StatusCode::NO_CONTENT)
}

/// The name in the database is the hash of the cookie; nobody needs to see
/// even that.
fn public_id(token: Hash) -> Hash {
    seal::sha256(&[b"session".as_slice(), &token.0].concat())
}
