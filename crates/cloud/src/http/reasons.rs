//! "Why do you look at this?": where policies demand a reason, a person states
//! one, and it is good for what the session looks at for an hour. The history
//! names it by reference; the text stands in SQL alone and can be erased.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use cloud_core::Action;
use model::{Hash, PersonId, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::extract::{Json, Path};
use crate::app::App;
use crate::database::ReasonRow;
use crate::problem::Problem;
use crate::services::Asker;
use crate::sessions::Caller;
use crate::{clock, random};

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reason {
    reason: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Stated {
    #[schema(value_type = String)]
    person: PersonId,
    reason: String,
    #[schema(value_type = u64)]
    at: Timestamp,
}

#[utoipa::path(post, path = "/api/v1/reasons", request_body = Reason, responses((status = 204)))]
pub(crate) async fn state(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Json(body): Json<Reason>,
) -> Result<StatusCode, Problem> {
    let now = clock::now();
    let reason = body.reason.trim().to_owned();
    if !seal::action::is_reason(&reason) {
        return Err(Problem::invalid(format!(
            "A reason has 1 to {} printable characters.",
            seal::action::REASON_CHARS_MAX
        )));
    }
    let roster = app.roster(caller.org, now).await?;
    let reference = random::token();
    let audited = app.permit(&caller, &roster, Action::StateReason { reference }, now).await?;
    let row = ReasonRow { person: caller.person, reason, at: now };
    app.database.add_reason(caller.org, (reference, caller.session), &row, &audited).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[utoipa::path(get, path = "/api/v1/reasons/{reference}", params(("reference" = String, Path)),
    responses((status = 200, body = Stated)))]
pub(crate) async fn read(
    State(app): State<Arc<App>>,
    Extension(asker): Extension<Asker>,
    Path(reference): Path<Hash>,
) -> Result<Json<Stated>, Problem> {
    let now = clock::now();
    let roster = app.roster(asker.org(), now).await?;
    app.reads(&asker, &roster, Action::ReadHistory, now).await?;
    let row = app.database.reason(asker.org(), reference).await?.ok_or_else(Problem::not_found)?;
    Ok(Json(Stated { person: row.person, reason: row.reason, at: row.at }))
}
