//! Errors as the API shows them: `{"error":{"code","message","remedy"}}`. Here,
//! at the very end, a denial becomes a status. What somebody may not see is
//! "not found". What went wrong inside is logged here, once, and not shown.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use cloud_core::{Denial, RecordError};
use model::{Hash, RequestId};
use serde::Serialize;
use utoipa::ToSchema;

use crate::refusals::{Refused, Why};
use crate::requests;
use crate::rosters::RostersError;

#[derive(Clone, Debug)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    pub(crate) body: ProblemBody,
    /// Somebody was refused, and why in one word: for the history.
    pub(crate) refused: Option<Why>,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemBody {
    pub(crate) error: ProblemText,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = ProblemText)]
pub(crate) struct ProblemText {
    /// For programs.
    pub(crate) code: &'static str,
    /// What happened.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) remedy: String,
    /// What the server's log and the history know the request by.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub(crate) request: Option<RequestId>,
    /// With `roster_moved`: where the roster is now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) head: Option<Box<Head>>,
}

#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[schema(as = RosterHead)]
pub(crate) struct Head {
    pub(crate) seq: u64,
    #[schema(value_type = String)]
    pub(crate) hash: Hash,
}

impl Problem {
    pub(crate) fn new(
        status: StatusCode,
        code: &'static str,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        let error =
            ProblemText { code, message: message.into(), remedy: remedy.into(), request: None, head: None };
        Problem { status, body: ProblemBody { error }, refused: None }
    }

    pub(crate) fn refusing(mut self, why: Why) -> Self {
        self.refused = Some(why);
        self
    }

    pub(crate) fn not_found() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "not_found",
            "There is nothing here that you may see.",
            "Check the address; ask an administrator whether you have access.",
        )
    }

    pub(crate) fn signed_out() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "signed_out", "You are not signed in.", "Sign in and try again.")
            .refusing(Why::SignedOut)
    }

    pub(crate) fn certificate() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "no_certificate",
            "The gateway did not show a certificate that is in force.",
            "Ask for one at /gateway/v1/certificate; if the gateway was revoked, enrol it again.",
        )
        .refusing(Why::Certificate)
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", message, "Correct the request.")
    }

    pub(crate) fn token() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "token_refused",
            "The link is not valid: it was used, has ended, or is not one of ours.",
            "Ask for a new link.",
        )
        .refusing(Why::Token)
    }

    pub(crate) fn ticket() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "ticket_refused",
            "The ticket was used, has ended, or is for something else.",
            "Ask for a new one: POST to the same address.",
        )
        .refusing(Why::Token)
    }

    pub(crate) fn login() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "login_refused",
            "Signing in did not succeed.",
            "Try again; use the passkey or device that belongs to this organisation.",
        )
        .refusing(Why::Login)
    }

    pub(crate) fn too_many() -> Self {
        Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too_many_requests",
            "Too many attempts in a short time.",
            "Wait a minute and try again.",
        )
        .refusing(Why::TooManyRequests)
    }

    /// Something of ours failed. The caller learns that, the log learns what.
    pub(crate) fn internal(error: impl std::fmt::Display) -> Self {
        tracing::error!("{error:#}");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "The server could not do this.",
            "Try again; the server's log says more.",
        )
    }

    fn moved(seq: u64, hash: Hash) -> Self {
        let mut problem = Self::new(
            StatusCode::CONFLICT,
            "roster_moved",
            "Somebody else changed the roster meanwhile.",
            "Fetch the roster, check it, and sign again on top of it.",
        );
        problem.body.error.head = Some(Box::new(Head { seq, hash }));
        problem
    }
}

impl IntoResponse for Problem {
    fn into_response(mut self) -> Response {
        self.body.error.request = requests::current();
        let mut response = (self.status, Json(self.body)).into_response();
        if let Some(why) = self.refused {
            response.extensions_mut().insert(Refused(why));
        }
        response
    }
}

impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        Problem::internal(anyhow::Error::new(error).context("the database failed"))
    }
}

impl From<anyhow::Error> for Problem {
    fn from(error: anyhow::Error) -> Self {
        Problem::internal(error)
    }
}

impl<E: std::fmt::Display> From<RecordError<E>> for Problem {
    fn from(error: RecordError<E>) -> Self {
        let detail = match &error {
            RecordError::History(source) => source.to_string(),
            RecordError::Receipt => String::new(),
        };
        tracing::error!("denied because it could not be recorded: {detail}");
        Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "history_unavailable",
            "The history cannot be written, so nothing is permitted that would have to stand in it.",
            "Try again; the server's log says more.",
        )
    }
}

impl From<RostersError> for Problem {
    fn from(error: RostersError) -> Self {
        match error {
            RostersError::NoOrganisation => Problem::not_found(),
            RostersError::Moved { seq, head } => Problem::moved(seq, head),
            RostersError::Refused(reason) => Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "statement_refused",
                format!("The roster's rules refuse this statement: {reason}."),
                "Check who signed it and what it follows.",
            ),
            RostersError::DatedBack { minutes } => Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "statement_dated_back",
                format!("The statement is dated {minutes} minutes before this server's clock."),
                "Set the clock of the device that signed it, and sign again.",
            ),
            RostersError::IdTaken => Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "statement_refused",
                "The statement brings an id that is in use already.",
                "Draw a new id.",
            ),
            RostersError::Stored(_) => Problem::internal(error),
            RostersError::Database(error) => error.into(),
        }
    }
}

/// Told to whoever showed the key of the link alone.
fn share_ended(code: &'static str, message: &str) -> Problem {
    Problem::new(StatusCode::GONE, code, message, "Ask whoever gave it to you for a new one.")
}

impl From<Denial> for Problem {
    fn from(denial: Denial) -> Self {
        let why = word(&denial);
        let problem = match denial {
            Denial::Session => Problem::signed_out(),
            Denial::NotAdministrator => Problem::new(
                StatusCode::FORBIDDEN,
                "not_an_administrator",
                "Only administrators may do this.",
                "Ask an administrator of the organisation.",
            ),
            Denial::Unsigned => Problem::new(
                StatusCode::FORBIDDEN,
                "unsigned",
                "The command is not signed by an administrator's device.",
                "Sign it with a device that is an administrator now.",
            ),
            Denial::NoDevice => Problem::new(
                StatusCode::FORBIDDEN,
                "no_device",
                "None of your devices is in the roster.",
                "Ask an administrator to add this device.",
            ),
            Denial::Approvals { needed, found } => Problem::new(
                StatusCode::FORBIDDEN,
                "more_approvals_needed",
                format!("This takes {needed} administrators, and {found} signed."),
                "Propose it, so that the others can agree.",
            ),
            Denial::Role => Problem::new(
                StatusCode::FORBIDDEN,
                "role",
                "None of your roles includes this.",
                "Ask an administrator for a role that does.",
            ),
            Denial::Policy(rule) => Problem::new(
                StatusCode::FORBIDDEN,
                "policy",
                format!("The organisation's policy \u{201c}{}\u{201d} forbids this: {}.", rule.id, rule.why),
                "Ask an administrator, who can see and change the policies.",
            ),
            Denial::NoReason => Problem::new(
                StatusCode::FORBIDDEN,
                "reason_needed",
                "The organisation's policies want to know why.",
                "State a reason at /api/v1/reasons; it is good for an hour of this session.",
            ),
            Denial::SecondFactor => Problem::new(
                StatusCode::FORBIDDEN,
                "second_factor_needed",
                "This takes two factors.",
                "Sign in with a passkey, or with password and code.",
            ),
            // Why somebody has no access any more is nobody's business outside.
            Denial::ShareWithdrawn | Denial::Sharer => {
                share_ended("share_withdrawn", "The link was withdrawn.")
            }
            Denial::ShareOver => share_ended("share_over", "The link was for a time that is over."),
            Denial::ShareUsedUp => share_ended("share_used_up", "The link was opened as often as it may be."),
            Denial::NoPolicies | Denial::Unanswered(_) => {
                tracing::error!("nothing is permitted: {denial}");
                Problem::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "policy_unavailable",
                    "The organisation's policies give no answer, so nothing is permitted.",
                    "An administrator puts a set in force that loads: `lenskeep policy apply`.",
                )
            }
            Denial::Gateway
            | Denial::ObjectName
            | Denial::ObjectSize
            | Denial::Camera
            | Denial::Sound
            | Denial::Device
            | Denial::Principal => Problem::not_found(),
        };
        problem.refusing(why)
    }
}

/// Why, as the history has it.
pub(crate) fn word(denial: &Denial) -> Why {
    match denial {
        Denial::Gateway => Why::Gateway,
        Denial::Session => Why::Session,
        Denial::NoDevice => Why::NoDevice,
        Denial::NotAdministrator => Why::NotAnAdministrator,
        Denial::ObjectName => Why::ObjectName,
        Denial::ObjectSize => Why::ObjectSize,
        Denial::Camera | Denial::Sound => Why::Camera,
        Denial::Unsigned => Why::Unsigned,
        Denial::Device => Why::Device,
        Denial::Principal => Why::Principal,
        Denial::Approvals { .. } => Why::Approvals,
        Denial::Role => Why::Role,
        Denial::Policy(_) => Why::Policy,
        Denial::NoReason => Why::NoReason,
        Denial::SecondFactor => Why::SecondFactor,
        Denial::ShareWithdrawn | Denial::ShareOver | Denial::ShareUsedUp | Denial::Sharer => Why::ShareEnded,
        Denial::NoPolicies => Why::NoPolicies,
        Denial::Unanswered(_) => Why::Unanswered,
    }
}
