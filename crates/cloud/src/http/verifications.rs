//! A person is verified again, for exactly what is about to happen: the
//! subjects are the hashes of the payloads that a device has signed. A stolen
//! session, or a page left open, does not get past this. Whoever has a passkey
//! uses it; a code of an authenticator does for those alone who have none.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use model::{DeviceId, Hash, Secret, Timestamp};
use seal::roster::{DeviceKind, Roster};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::extract::Json;
use super::passwords::seed;
use super::setup::{origin, passkey_problem};
use super::types::{Ceremony, PasskeyAnswer};
use crate::app::App;
use crate::database::SessionRow;
use crate::problem::Problem;
use crate::sessions::Caller;
use crate::{clock, codes};

/// Payloads that one touch may confirm: the steps of one act.
const SUBJECTS_MAX: usize = 8;
/// From signing in at an identity provider to a first way of one's own.
const ARRIVAL_MS: u64 = 10 * Timestamp::MINUTE;
/// From the touch to the request that needs it.
const FRESH_MS: u64 = 2 * Timestamp::MINUTE;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BeginVerification {
    /// SHA-256 of each payload that is to be confirmed, 1 to 8.
    #[schema(value_type = Vec<String>)]
    subjects: Vec<Hash>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CodeVerification {
    /// As for a passkey.
    #[schema(value_type = Vec<String>)]
    subjects: Vec<Hash>,
    #[schema(value_type = String)]
    code: Secret,
}

/// What a person is verified by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum VerifiedBy {
    Passkey,
    Code,
}

#[utoipa::path(post, path = "/api/v1/verifications/begin", request_body = BeginVerification,
    responses((status = 200, body = Ceremony)))]
pub(crate) async fn begin(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    Json(body): Json<BeginVerification>,
) -> Result<Json<Ceremony>, Problem> {
    check_subjects(&body.subjects)?;
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
    remember(&app, &caller, subjects, now).await
}

#[utoipa::path(post, path = "/api/v1/verifications/code", request_body = CodeVerification,
    responses((status = 204), (status = 401, description = "`signed_out` after too many"),
              (status = 403, description = "`code_refused` or `passkey_needed`")))]
pub(crate) async fn by_code(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Json(body): Json<CodeVerification>,
) -> Result<StatusCode, Problem> {
    let now = clock::now();
    check_subjects(&body.subjects)?;
    if app.verified_by(&caller).await? != Some(VerifiedBy::Code) {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "passkey_needed",
            "This is confirmed with your passkey, not with a code.",
            "Confirm it at /api/v1/verifications.",
        ));
    }
    // Whoever has the session and not the authenticator does not guess for long.
    let Ok(attempt) = app.attempts.code(caller.session, now) else {
        app.database.end_session(caller.session).await?;
        app.hub.rights_changed();
        return Err(Problem::signed_out());
    };
    let row = app.database.password_of(caller.org, caller.person).await?.ok_or_else(code_refused)?;
    let step = codes::step_of(&seed(&app, &row)?, body.code.expose(), now).ok_or_else(code_refused)?;
    if !app.database.use_code(caller.org, caller.person, step, now).await? {
        return Err(code_refused());
    }
    app.attempts.succeeded(attempt);
    remember(&app, &caller, body.subjects, now).await
}

fn check_subjects(subjects: &[Hash]) -> Result<(), Problem> {
    if subjects.is_empty() || subjects.len() > SUBJECTS_MAX {
        return Err(Problem::invalid(format!("A verification is for 1 to {SUBJECTS_MAX} payloads.")));
    }
    Ok(())
}

fn code_refused() -> Problem {
    Problem::new(
        StatusCode::FORBIDDEN,
        "code_refused",
        "The code is not right, or was used before.",
        "Type the code that your authenticator shows now. One that was used once is void: wait for the next one.",
    )
}

async fn remember(
    app: &App,
    caller: &Caller,
    subjects: Vec<Hash>,
    now: Timestamp,
) -> Result<StatusCode, Problem> {
    let expires_at = now.plus_ms(FRESH_MS);
    for subject in subjects {
        app.database.add_verification(caller.org, caller.session, subject, expires_at, now).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

impl App {
    pub(crate) async fn verified_by(&self, caller: &Caller) -> sqlx::Result<Option<VerifiedBy>> {
        if self.database.has_passkey(caller.org, caller.person).await? {
            return Ok(Some(VerifiedBy::Passkey));
        }
        let password = self.database.password_of(caller.org, caller.person).await?;
        Ok(password.map(|_| VerifiedBy::Code))
    }

    /// Whether somebody who signs in elsewhere alone, at an identity provider,
    /// has done so a moment ago: that is how they make a first way of their own.
    pub(crate) async fn came_just_now(&self, caller: &Caller, now: Timestamp) -> sqlx::Result<bool> {
        if caller.device.is_some() || self.verified_by(caller).await?.is_some() {
            return Ok(false);
        }
        let session = self.database.session(caller.session).await?;
        let fresh = |session: &SessionRow| session.just_now && now.ms_since(session.created_at) < ARRIVAL_MS;
        Ok(session.as_ref().is_some_and(fresh))
    }

    /// Uses up the verification for a payload. A session that a device's key
    /// opened needs none where that device signed, if there is nothing else to
    /// ask: on a command line, or for a person who has no way to sign in but it. In a browser a
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
            if is_cli || self.verified_by(caller).await?.is_none() {
                return Ok(());
            }
        }
        if self.database.take_verification(caller.org, caller.session, subject, now).await? {
            return Ok(());
        }
        Err(Problem::new(
            StatusCode::FORBIDDEN,
            "verification_needed",
            "This needs your passkey or code once more.",
            "Confirm the payload at /api/v1/verifications within two minutes before the request.",
        ))
    }
}
