//! Refusals, in the shape that the cloud's API gives them.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tracing::error;

#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    code: &'static str,
    message: &'static str,
    remedy: &'static str,
}

impl Problem {
    pub(super) fn new(
        status: StatusCode,
        code: &'static str,
        message: &'static str,
        remedy: &'static str,
    ) -> Self {
        Problem { status, code, message, remedy }
    }

    /// Not there, or not for you: nobody learns which.
    pub(super) fn not_found() -> Self {
        let message = "There is nothing here that this device may open.";
        Self::new(StatusCode::NOT_FOUND, "not_found", message, "Check the address.")
    }

    pub(super) fn invalid(message: &'static str) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", message, "See docs/protocol.md, section 5.")
    }

    pub(super) fn signed_out() -> Self {
        let remedy = "Prove the device again (POST /local/v1/login).";
        Self::new(StatusCode::UNAUTHORIZED, "signed_out", "This needs a session of this gateway.", remedy)
    }

    /// One answer to every proof that does not hold; the log says why.
    pub(super) fn login_refused() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "login_refused",
            "The gateway does not let this device in.",
            "An administrator sees in the roster whether the device is in force; ask for a new challenge.",
        )
    }

    pub(super) fn too_many() -> Self {
        Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too_many",
            "Too much was asked for from here.",
            "Wait a little.",
        )
    }

    pub(super) fn busy() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "busy",
            "As much is open as the gateway allows at a time.",
            "Close something that plays.",
        )
    }

    /// What is not written down does not happen; the log has the cause.
    pub(super) fn journal(cause: &anyhow::Error) -> Self {
        error!(
            error = format!("{cause:#}"),
            "nothing is shown on the local way: the journal cannot be written"
        );
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "journal_unavailable",
            "The gateway cannot write its journal, and shows nothing without it. It goes on recording.",
            "Look for space on the gateway's disk; what the journal holds goes when the cloud has it.",
        )
    }

    pub(super) fn internal(cause: &anyhow::Error) -> Self {
        error!(error = format!("{cause:#}"), "a request on the local way failed");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "The gateway could not do this.",
            "Its log says why.",
        )
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Problem { status, code, message, remedy } = self;
        let body = json!({ "error": { "code": code, "message": message, "remedy": remedy } });
        (status, Json(body)).into_response()
    }
}
