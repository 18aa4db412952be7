//! A passkey verifies its user again, for exactly what is about to happen:
//! the subjects are the hashes of the payloads that a device has signed. A
//! stolen session, or a page left open, does not get past this.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use model::{DeviceId, Hash, Timestamp};
use seal::roster::{DeviceKind, Roster};
use serde::Deserialize;
use utoipa::ToSchema;

use super::extract::Json;
use super::setup::{origin, passkey_problem};
use super::types::{Ceremony, PasskeyAnswer};
use crate::app::App;
use crate::clock;
use crate::problem::Problem;
use crate::sessions::Caller;

/// Payloads that one touch may confirm: the steps of one act.
const SUBJECTS_MAX: usize = 8;
/// From the touch to the request that needs it.
const FRESH_MS: u64 = 2 * Timestamp::MINUTE;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BeginVerification {
    /// SHA-256 of each payload that is to be confirmed, 1 to 8.
    #[schema(value_type = Vec<String>)]
    subjects: Vec<Hash>,
}

#[utoipa::path(post, path = "/api/v1/verifications/begin", request_body = BeginVerification,
    responses((status = 200, body = Ceremony)))]
pub(crate) async fn begin(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    Json(body): Json<BeginVerification>,
) -> Result<Json<Ceremony>, Problem> {
    if body.subjects.is_empty() || body.subjects.len() > SUBJECTS_MAX {
        return Err(Problem::invalid(format!("A verification is for 1 to {SUBJECTS_MAX} payloads.")));
    }
    let origin = origin(&headers);
    let begun = app
        .passkeys
        .begin_verification(&app.database, origin, caller.session, body.subjects, clock::now())
        .await;
    let (ceremony, options) = begun.map_err(passkey_problem)?;
    Ok(Json(Ceremony { ceremony, options }))
}

#[utoipa::path(post, path = "/api/v1/verifications", request_body = PasskeyAnswer, responses((status = 204)))]
pub(crate) async fn finish(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Json(body): Json<PasskeyAnswer>,
) -> Result<StatusCode, Problem> {
    let now = clock::now();
    let verified = app
        .passkeys
        .finish_verification(&app.database, body.ceremony, body.credential, caller.session, now)
        .await;
    let ((org, person), subjects) = verified.map_err(passkey_problem)?;
    if (org, person) != (caller.org, caller.person) {
        return Err(Problem::login());
    }
    let expires_at = now.plus_ms(FRESH_MS);
    for subject in subjects {
        app.database.add_verification(org, caller.session, subject, expires_at, now).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

impl App {
    /// Uses up the verification for a payload. A session that a device's key
    /// opened needs none where that device signed, if there is no passkey to
    /// ask: on a command line, or for a person who has none. In a browser a
    /// script could open such a session with the keys that the page unlocked.
    pub(crate) async fn user_verified(
        &self,
        caller: &Caller,
        roster: &Roster,
        signers: &[DeviceId],
        subject: Hash,
        now: Timestamp,
    ) -> Result<(), Problem> {
        if let Some(device) = caller.device.filter(|device| signers.contains(device)) {
            let is_cli = roster.device(device).is_some_and(|device| device.kind == DeviceKind::Cli);
            if is_cli || !self.database.has_passkey(caller.org, caller.person).await? {
                return Ok(());
            }
        }
        if self.database.take_verification(caller.org, caller.session, subject, now).await? {
            return Ok(());
        }
        Err(Problem::new(
            StatusCode::FORBIDDEN,
            "verification_needed",
            "This needs your passkey once more.",
            "Confirm the payload at /api/v1/verifications within two minutes before the request.",
        ))
    }
}
