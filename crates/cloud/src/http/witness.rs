//! `add-checkpoint` (C2SP tlog-witness): who signs for a log that this server
//! witnesses hands in its newest checkpoint.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use seal::tlog::{NoteError, Refusal, Submission};

use crate::app::App;
use crate::clock;
use crate::problem::Problem;
use crate::witness::WitnessError;

const SIZE: &str = "text/x.tlog.size";

pub(crate) async fn add_checkpoint(State(app): State<Arc<App>>, body: String) -> Result<Response, Problem> {
    let submission = Submission::parse(&body).map_err(|error| {
        let remedy = "The body is what C2SP tlog-witness says of add-checkpoint.";
        Problem::new(StatusCode::BAD_REQUEST, "invalid", format!("{error}."), remedy)
    })?;
    match app.witness.sign(&app.database, &submission, clock::now()).await {
        Ok(line) => Ok(line.into_response()),
        Err(WitnessError::Database(error)) => Err(error.into()),
        Err(WitnessError::Refused(refusal)) => Ok(refused(&refusal)),
    }
}

/// As the protocol has it: a status, and sometimes a size.
fn refused(refusal: &Refusal) -> Response {
    let status = match refusal {
        Refusal::Unknown => StatusCode::NOT_FOUND,
        Refusal::Unsigned(NoteError::Signature(_)) => StatusCode::FORBIDDEN,
        Refusal::Unsigned(_) | Refusal::Larger => StatusCode::BAD_REQUEST,
        Refusal::Elsewhere(size) => {
            return (StatusCode::CONFLICT, [(header::CONTENT_TYPE, SIZE)], format!("{size}\n"))
                .into_response();
        }
        Refusal::Inconsistent => StatusCode::UNPROCESSABLE_ENTITY,
    };
    (status, format!("{refusal}\n")).into_response()
}
