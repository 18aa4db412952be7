//! Recovery codes: for whoever has lost every way to sign in. A code opens no
//! session: it gives a token that adds one passkey, or sets one password, and
//! with that the person signs in as everybody does. Whoever finds the paper
//! gets no further than its owner would, and the owner is told wherever they
//! are signed in.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use cloud_core::FactorChange;
use model::{Secret, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::extract::Json;
use super::factors::{TOKEN_MS, permitted};
use crate::app::App;
use crate::database::TokenKind;
use crate::problem::Problem;
use crate::serve::Peer;
use crate::{clock, codes, random};

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RecoveryCode {
    #[schema(value_type = String)]
    code: Secret,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Recovery {
    /// For `/api/v1/factors/passkey` or `/api/v1/factors/password`, once.
    #[schema(value_type = String)]
    token: Secret,
    #[schema(value_type = u64)]
    expires_at: Timestamp,
    person_name: String,
}

#[utoipa::path(post, path = "/api/v1/login/recovery", request_body = RecoveryCode,
    responses((status = 200, body = Recovery), (status = 401, description = "`login_refused`")))]
pub(crate) async fn recover(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    Json(body): Json<RecoveryCode>,
) -> Result<Json<Recovery>, Problem> {
    let now = clock::now();
    let attempt = app.attempts.recovery(peer.address, now)?;
    let refused = || {
        app.metrics.logins_refused.add(1);
        Problem::new(
            StatusCode::UNAUTHORIZED,
            "login_refused",
            "This recovery code is not one of those in force.",
            "Take one that was not used, of the newest ten.",
        )
    };
    let code = codes::recovery_hash(body.code.expose()).ok_or_else(refused)?;
    let (org, person) = app.database.owner_of_code(code).await?.ok_or_else(refused)?;
    let _audited = permitted(&app, org, person, FactorChange::UseRecoveryCode, now).await?;
    let mut transaction = app.database.begin().await?;
    if !transaction.use_recovery_code(code, now).await? {
        return Err(refused());
    }
    transaction.commit().await?;
    app.attempts.succeeded(attempt);
    let (token, expires_at) = (random::token().to_string(), now.plus_ms(TOKEN_MS));
    let hashed = random::hashed(&token);
    app.database.add_factor_token(TokenKind::Recovery, org, hashed, person, (now, expires_at)).await?;
    let person_name = app.database.person_name(org, person).await?.unwrap_or_default();
    tracing::warn!(%org, %person, "a recovery code was used");
    Ok(Json(Recovery { token: Secret::new(token), expires_at, person_name }))
}
