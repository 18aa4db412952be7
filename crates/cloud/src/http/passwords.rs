//! Password and code: the way in where passkeys cannot be used. They are set
//! together and asked for together, in one request with one answer, so a
//! password alone opens nothing and tells nothing. A name that nobody has
//! takes the same way, to a decoy.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use model::{OrgId, PersonId, Secret, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::extract::Json;
use super::factors::{factor_token, permitted};
use super::login::end_previous;
use super::people::invited;
use super::setup::signed_in;
use super::types::Me;
use crate::app::App;
use crate::database::{PasswordLogin, TokenKind, Transaction};
use crate::problem::Problem;
use crate::proofs::HeldKey;
use crate::serve::Peer;
use crate::sessions::Way;
use crate::vault::{self, Vault};
use crate::{clock, codes, known, passwords, random, sessions};

/// As long as an e-mail address may be (RFC 5321).
const LOGIN_BYTES_MAX: usize = 254;
const ENROLMENT_MS: u64 = 10 * Timestamp::MINUTE;
const ENROLMENT: &str = "password-enrolment";

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PasswordSignIn {
    login: String,
    #[schema(value_type = String)]
    password: Secret,
    /// Six digits of the authenticator.
    #[schema(value_type = String)]
    code: Secret,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BeginPassword {
    /// Of an invitation, of `POST /api/v1/factors`, or of a recovery code.
    #[schema(value_type = String)]
    token: Secret,
    /// The name that will be typed to sign in; small and capital letters are
    /// the same.
    login: String,
    #[schema(value_type = String)]
    password: Secret,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PasswordCeremony {
    #[schema(value_type = String)]
    ceremony: model::Hash,
    /// The seed for an authenticator, base32.
    #[schema(value_type = String)]
    secret: Secret,
    /// The same as a link, for a QR code.
    #[schema(value_type = String)]
    otpauth: Secret,
}

/// The first code of the authenticator shows that it has the seed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CodeAnswer {
    #[schema(value_type = String)]
    ceremony: model::Hash,
    #[schema(value_type = String)]
    code: Secret,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetPassword {
    #[schema(value_type = String)]
    token: Secret,
    #[schema(value_type = String)]
    ceremony: model::Hash,
    #[schema(value_type = String)]
    code: Secret,
}

/// What is kept between the two requests, sealed.
#[derive(Serialize, Deserialize)]
struct Enrolment {
    person: PersonId,
    login: String,
    password: String,
    seed: Vec<u8>,
}

/// An enrolment whose authenticator has shown a code.
pub(crate) struct Enrolled {
    enrolment: Enrolment,
    step: u64,
}

/// Stands for everybody who does not exist.
pub(crate) struct Decoy(PasswordLogin);

impl std::fmt::Debug for Decoy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Decoy")
    }
}

impl Decoy {
    pub(crate) fn new(vault: &Vault) -> Self {
        let person = PersonId::from_random(random::bytes());
        let password = seal::password::hash(&random::token().to_string(), random::bytes());
        Decoy(PasswordLogin {
            org: OrgId::from_random(random::bytes()),
            person,
            login: String::new(),
            password: vault.seal(vault::Secret::Password(person), password.as_bytes()),
            totp: vault.seal(vault::Secret::Totp(person), &random::bytes::<{ codes::SEED_BYTES }>()),
            created_at: Timestamp(0),
            used_at: Timestamp(0),
        })
    }
}

#[utoipa::path(post, path = "/api/v1/login/password", request_body = PasswordSignIn,
    responses((status = 200, body = Me), (status = 401, description = "`login_refused`, whatever was wrong")))]
pub(crate) async fn sign_in(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    key: HeldKey,
    headers: HeaderMap,
    Json(body): Json<PasswordSignIn>,
) -> Result<Response, Problem> {
    let now = clock::now();
    let login = fold(&body.login);
    let client = known::client(&app.vault, &headers, &login, now);
    let attempt = app.attempts.password(&login, peer.address, client, now)?;
    let found = app.database.password_login(&login).await?;
    let (row, exists) = found.as_ref().map_or((&app.decoy.0, false), |row| (row, true));
    let (stored, seed) = open(&app, row)?;
    let password = cut(body.password.expose());
    let right = app.hasher.verify(client.is_some(), password, stored).await?;
    let step = codes::step_of(&seed, body.code.expose(), now);
    let (true, true, Some(step)) = (exists, right, step) else { return Err(refused(&app)) };
    let (org, person) = (row.org, row.person);
    if !app.database.use_code(org, person, step, now).await? {
        return Err(refused(&app));
    }
    app.attempts.succeeded(attempt);
    end_previous(&app, &headers, now).await?;
    let mut transaction = app.database.begin().await?;
    let held = (sessions::client(&headers), key);
    let opened = sessions::open(&mut transaction, (org, person), Way::Password, held, now).await?;
    transaction.commit().await?;
    let mut answer = signed_in(&app, StatusCode::OK, opened, now).await?;
    answer.headers_mut().append(header::SET_COOKIE, known::cookie(&app.vault, &login, now));
    Ok(answer)
}

#[utoipa::path(post, path = "/api/v1/factors/password/begin", request_body = BeginPassword,
    responses((status = 200, body = PasswordCeremony), (status = 409, description = "`login_taken`")))]
pub(crate) async fn begin(
    State(app): State<Arc<App>>,
    Json(body): Json<BeginPassword>,
) -> Result<Json<PasswordCeremony>, Problem> {
    let now = clock::now();
    let kinds = [TokenKind::SetPassword, TokenKind::Recovery];
    let token = match factor_token(&app, &body.token, &kinds, now).await {
        Ok((_, token)) => token,
        Err(_) => invited(&app, &body.token, now).await?.1,
    };
    let (org, person) = (token.org.ok_or_else(Problem::token)?, token.person.ok_or_else(Problem::token)?);
    let login = checked_login(&body.login)?;
    let roster = app.roster(org, now).await?;
    passwords::check(body.password.expose(), &[&login, &token.person_name, roster.name()])?;
    if app.database.password_login(&login).await?.is_some_and(|row| row.person != person) {
        return Err(taken());
    }
    let password = app.hasher.hash(body.password.expose().to_owned()).await?;
    let seed: [u8; codes::SEED_BYTES] = random::bytes();
    let (secret, otpauth) = codes::enrolment(&seed, &login)
        .ok_or_else(|| Problem::internal("an authenticator's link could not be made"))?;
    let state = serde_json::to_vec(&Enrolment { person, login, password, seed: seed.to_vec() })
        .expect("an enrolment serialises");
    let ceremony = random::token();
    let sealed = app.vault.seal(vault::Secret::Enrolment, &state);
    app.database.add_ceremony(ceremony, ENROLMENT, &sealed, now.plus_ms(ENROLMENT_MS), now).await?;
    Ok(Json(PasswordCeremony { ceremony, secret: Secret::new(secret), otpauth: Secret::new(otpauth) }))
}

#[utoipa::path(post, path = "/api/v1/factors/password", request_body = SetPassword,
    responses((status = 204), (status = 409, description = "`login_taken`")))]
pub(crate) async fn finish(
    State(app): State<Arc<App>>,
    Json(body): Json<SetPassword>,
) -> Result<StatusCode, Problem> {
    let now = clock::now();
    let kinds = [TokenKind::SetPassword, TokenKind::Recovery];
    let (kind, token) = factor_token(&app, &body.token, &kinds, now).await?;
    let (org, person) = (token.org.ok_or_else(Problem::token)?, token.person.ok_or_else(Problem::token)?);
    let answer = CodeAnswer { ceremony: body.ceremony, code: body.code };
    let enrolled = enrolled(&app, answer, person, now).await?;
    let change = cloud_core::FactorChange::SetPassword;
    let _audited = permitted(&app, org, person, change, now).await?;
    let mut transaction = app.database.begin().await?;
    let hashed = random::hashed(body.token.expose());
    transaction.use_token(hashed, kind, now).await?.ok_or_else(Problem::token)?;
    set(&app, &mut transaction, org, enrolled, now).await?;
    transaction.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Uses up an enrolment if its authenticator shows a code. A wrong one may be
/// typed again: whoever is here was shown the seed.
pub(crate) async fn enrolled(
    app: &App,
    answer: CodeAnswer,
    person: PersonId,
    now: Timestamp,
) -> Result<Enrolled, Problem> {
    let ended = || Problem::invalid("The enrolment was used or has ended. Begin again.");
    let sealed = app.database.take_ceremony(answer.ceremony, ENROLMENT, now).await?.ok_or_else(ended)?;
    let state = app.vault.unseal(vault::Secret::Enrolment, &sealed).map_err(Problem::internal)?;
    let enrolment: Enrolment = serde_json::from_slice(&state).map_err(Problem::internal)?;
    if enrolment.person != person {
        return Err(ended());
    }
    let Some(step) = codes::step_of(&enrolment.seed, answer.code.expose(), now) else {
        let expires_at = now.plus_ms(ENROLMENT_MS);
        app.database.add_ceremony(answer.ceremony, ENROLMENT, &sealed, expires_at, now).await?;
        return Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "code_refused",
            "The code is not the one that the authenticator should show now.",
            "Type the code that it shows now; if it stays wrong, check the clock of the authenticator.",
        ));
    };
    Ok(Enrolled { enrolment, step })
}

pub(crate) async fn set(
    app: &App,
    transaction: &mut Transaction,
    org: OrgId,
    Enrolled { enrolment, step }: Enrolled,
    now: Timestamp,
) -> Result<(), Problem> {
    let Enrolment { person, login, password, seed } = enrolment;
    let row = PasswordLogin {
        org,
        person,
        login,
        password: app.vault.seal(vault::Secret::Password(person), password.as_bytes()),
        totp: app.vault.seal(vault::Secret::Totp(person), &seed),
        created_at: now,
        used_at: now,
    };
    if transaction.set_password(&row, step).await? { Ok(()) } else { Err(taken()) }
}

/// The seed of a person's authenticator.
pub(crate) fn seed(app: &App, row: &PasswordLogin) -> Result<Vec<u8>, Problem> {
    app.vault.unseal(vault::Secret::Totp(row.person), &row.totp).map_err(Problem::internal)
}

fn open(app: &App, row: &PasswordLogin) -> Result<(String, Vec<u8>), Problem> {
    let password = app.vault.unseal(vault::Secret::Password(row.person), &row.password);
    let password = String::from_utf8(password.map_err(Problem::internal)?).map_err(Problem::internal)?;
    Ok((password, seed(app, row)?))
}

/// A longer one was never set; what is hashed is bounded.
fn cut(password: &str) -> String {
    let end =
        (0..=passwords::BYTES_MAX + 1).rev().find(|at| password.is_char_boundary((*at).min(password.len())));
    password[..end.unwrap_or(0).min(password.len())].to_owned()
}

fn refused(app: &App) -> Problem {
    app.metrics.logins_refused.add(1);
    Problem::new(
        StatusCode::UNAUTHORIZED,
        "login_refused",
        "Signing in did not succeed.",
        "Check name, password and code. Each code counts once: wait for the next one, or use a passkey.",
    )
}

fn taken() -> Problem {
    Problem::new(
        StatusCode::CONFLICT,
        "login_taken",
        "Somebody else signs in under this name.",
        "Choose another one, such as your e-mail address.",
    )
}

/// Names that differ in capitals, or in space around them, are one.
fn fold(login: &str) -> String {
    login.trim().to_lowercase()
}

fn checked_login(login: &str) -> Result<String, Problem> {
    let folded = fold(login);
    let bad = |c: char| c.is_control() || c.is_whitespace();
    if folded.is_empty() || folded.len() > LOGIN_BYTES_MAX || folded.chars().any(bad) {
        return Err(Problem::invalid(format!(
            "A name to sign in with has 1 to {LOGIN_BYTES_MAX} bytes and no spaces; an e-mail address is good."
        )));
    }
    Ok(folded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_folded_and_bounded() {
        assert_eq!(checked_login(" Ada@Example.ORG ").unwrap(), "ada@example.org");
        assert_eq!(fold("ÄDA"), fold("äda"));
        for bad in ["", "  ", "a b", "a\u{0}", &"x".repeat(255)] {
            assert!(checked_login(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_hashed_is_bounded() {
        assert_eq!(cut("short"), "short");
        assert_eq!(cut(&"x".repeat(100_000)).len(), passwords::BYTES_MAX + 1);
        assert!(cut(&"é".repeat(100_000)).len() <= passwords::BYTES_MAX + 1);
        assert_eq!(cut(""), "");
    }
}
