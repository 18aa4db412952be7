//! Where a person is told by e-mail that something happened: what is chosen with
//! a session, and what the links of mails do without one.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use cloud_core::Action;
use model::{OrgId, PersonId, Secret};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::extract::{Json, Path};
use crate::app::App;
use crate::database::MailRow;
use crate::mail::{self, CONFIRM_MS, LANGUAGES, Links};
use crate::problem::Problem;
use crate::rate::{Key, Rate};
use crate::sessions::Caller;
use crate::vault::Secret as Sealed;
use crate::{clock, random};

/// Confirmations that one person has sent.
const CHANGES: Rate = Rate { burst: 5, refill_ms: 10 * 60_000 };
/// That one address gets, whoever asks for them: nobody is flooded from here.
const OF_ADDRESS: Rate = Rate { burst: 3, refill_ms: 6 * 3_600_000 };

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MailState {
    /// Whether this server sends mail.
    available: bool,
    /// Null: this person is told nothing by e-mail.
    address: Option<String>,
    /// Somebody followed the link that was sent there.
    confirmed: bool,
    /// After a mail there is none for so long.
    pause_minutes: u64,
    /// Why the last one did not arrive: `refused`, `away` or `unreadable`.
    concern: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewMail {
    /// At most 254 bytes, as `ben@example.org`.
    address: String,
    /// In which mails are written: `en`, `de` or `fr`.
    language: String,
}

impl std::fmt::Debug for NewMail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NewMail(…)")
    }
}

/// What is verified: that this person is told there, as it was typed.
#[derive(Serialize)]
struct Subject<'a> {
    org: OrgId,
    person: PersonId,
    mail: &'a str,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MailToken {
    #[schema(value_type = String)]
    token: Secret,
}

#[utoipa::path(get, path = "/api/v1/mail", responses((status = 200, body = MailState)))]
pub(crate) async fn read(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<MailState>, Problem> {
    let row = app.database.mail_of(caller.org, caller.person).await?;
    let opened = |row: &MailRow| {
        let bytes = app.vault.unseal(Sealed::Mail(row.person), &row.address).ok()?;
        String::from_utf8(bytes).ok()
    };
    Ok(Json(MailState {
        available: app.mail.is_some(),
        address: row.as_ref().map(|row| opened(row).unwrap_or_default()),
        confirmed: row.as_ref().is_some_and(|row| row.is_confirmed),
        pause_minutes: app.mail.as_ref().map_or(0, |mail| mail.pause_ms / 60_000),
        concern: row.and_then(|row| row.concern),
    }))
}

#[utoipa::path(put, path = "/api/v1/mail", request_body = NewMail,
    responses((status = 204, description = "a link to confirm the address is on its way there"),
              (status = 403, description = "`verification_needed`"),
              (status = 409, description = "`no_mail`: this server sends none"), (status = 422), (status = 429)))]
pub(crate) async fn set(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Json(NewMail { address: typed, language }): Json<NewMail>,
) -> Result<StatusCode, Problem> {
    let now = clock::now();
    let (org, person) = (caller.org, caller.person);
    let roster = app.roster(org, now).await?;
    let permit = app.decide(&caller, &roster, Action::OrderMail { person }, now).await?;
    let mail = app.mail.as_ref().ok_or_else(no_mail)?;
    let address = mail::address(&typed).ok_or_else(|| {
        Problem::invalid(
            "address is none that mail can be sent to: one of the form ben@example.org is needed.",
        )
    })?;
    if !LANGUAGES.contains(&language.as_str()) {
        return Err(Problem::invalid(format!("language is one of {}.", LANGUAGES.join(", "))));
    }
    // Whoever stole a session would learn for as long as nobody looks when something
    // happens there, also after the session has ended.
    if !app.came_just_now(&caller, now).await? {
        let subject = seal::sha256(&seal::to_canonical(&Subject { org, person, mail: &typed }));
        // Nothing was signed by a device: one is enough only where there is no other way.
        let has_factor = app.verified_by(&caller).await?.is_some();
        let signers = if has_factor { &[] } else { caller.device.as_slice() };
        app.user_verified(&caller, &roster, signers, subject, now).await?;
    }
    let address = address.to_string();
    let mark = app.vault.mark(&[b"mail address", address.to_ascii_lowercase().as_bytes()]);
    let of_person = app.limiter.allow(Key::Account(format!("mail {person}")), CHANGES, now);
    if !of_person || !app.limiter.allow(Key::Account(format!("mail to {mark}")), OF_ADDRESS, now) {
        return Err(Problem::too_many());
    }
    let round = random::token();
    let row = MailRow {
        org,
        person,
        address: app.vault.seal(Sealed::Mail(person), address.as_bytes()),
        language,
        is_confirmed: false,
        round,
        pending: 0,
        silences: 0,
        due_at: Some(now),
        tries: 0,
        concern: None,
    };
    let audited = permit.record(&app.recorder).await?;
    app.database.set_mail(&row, Links::of(&app.vault, round).stored(), now, &audited).await?;
    mail.wake.notify_one();
    Ok(StatusCode::NO_CONTENT)
}

#[utoipa::path(delete, path = "/api/v1/mail", responses((status = 204)))]
pub(crate) async fn end(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
) -> Result<StatusCode, Problem> {
    let now = clock::now();
    let roster = app.roster(caller.org, now).await?;
    let permit = app.decide(&caller, &roster, Action::EndMail { person: caller.person }, now).await?;
    app.database.end_mail(caller.org, caller.person).await?;
    app.record_after(permit).await;
    Ok(StatusCode::NO_CONTENT)
}

#[utoipa::path(post, path = "/api/v1/mail/confirmations", request_body = MailToken,
    responses((status = 204), (status = 410, description = "`link_over`: used, over, or never made")))]
pub(crate) async fn confirm(
    State(app): State<Arc<App>>,
    Json(MailToken { token }): Json<MailToken>,
) -> Result<StatusCode, Problem> {
    let now = clock::now();
    let token = random::hashed(token.expose());
    match app.database.confirm_mail(token, now.minus_ms(CONFIRM_MS), now).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(link_over()),
    }
}

/// RFC 8058, and the page. Whether there was something to end it tells nobody.
pub(crate) async fn stop(
    State(app): State<Arc<App>>,
    Path(token): Path<String>,
) -> Result<StatusCode, Problem> {
    app.database.stop_mail(random::hashed(&token)).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn link_over() -> Problem {
    Problem::new(
        StatusCode::GONE,
        "link_over",
        "This link is good no more: it was used, or is older than a day.",
        "Have another one sent, on the page Notifications.",
    )
}

fn no_mail() -> Problem {
    Problem::new(
        StatusCode::CONFLICT,
        "no_mail",
        "This server sends no mail.",
        "Ask whoever runs it to set [mail] in its configuration.",
    )
}
