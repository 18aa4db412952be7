//! A person's own ways of signing in: what there is, and changing it. Each
//! change needs a fresh verification by a way that is there already, for
//! exactly this change. What adds one gives a token for it: good once, within
//! ten minutes, at any of our origins, so that a passkey can also be made for
//! an origin where none works yet. No session comes of such a token.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use cloud_core::{Action, Audited, FactorChange, Permit};
use model::{Hash, OrgId, PersonId, Secret, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::extract::{Json, Path};
use super::setup::{origin, passkey_problem, registered};
use super::types::{Ceremony, PasskeyAnswer, check_name};
use crate::app::App;
use crate::database::{OneTimeToken, PasskeyRow, Removed, TokenKind};
use crate::problem::Problem;
use crate::sessions::Caller;
use crate::{clock, codes, random};

pub(crate) const TOKEN_MS: u64 = 10 * Timestamp::MINUTE;
const PASSKEYS_MAX: usize = 20;

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Factors {
    passkeys: Vec<PasskeyListing>,
    password: Option<PasswordListing>,
    recovery: RecoveryListing,
    /// Where passkeys can be made; the server's own origin first.
    origins: Vec<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PasskeyListing {
    /// The credential's id.
    id: String,
    name: String,
    /// Where it works; empty if that was not written down.
    origin: String,
    #[schema(value_type = u64)]
    created_at: Timestamp,
    #[schema(value_type = Option<u64>)]
    used_at: Option<Timestamp>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PasswordListing {
    login: String,
    #[schema(value_type = u64)]
    created_at: Timestamp,
    #[schema(value_type = u64)]
    used_at: Timestamp,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RecoveryListing {
    /// Codes that were not used.
    left: u64,
    #[schema(value_type = Option<u64>)]
    made_at: Option<Timestamp>,
    #[schema(value_type = Option<u64>)]
    used_at: Option<Timestamp>,
}

/// What is to change. The nonce of what adds something is 32 random bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Change {
    AddPasskey {
        #[schema(value_type = String)]
        nonce: Hash,
    },
    SetPassword {
        #[schema(value_type = String)]
        nonce: Hash,
    },
    MakeRecoveryCodes {
        #[schema(value_type = String)]
        nonce: Hash,
    },
    RemovePasskey {
        id: String,
    },
    RemovePassword,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangeFactors {
    change: Change,
}

#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct Changed {
    /// For `add_passkey` and `set_password`: allows just that, once.
    #[schema(value_type = Option<String>)]
    token: Option<Secret>,
    #[schema(value_type = Option<u64>)]
    expires_at: Option<Timestamp>,
    /// For `make_recovery_codes`: shown once; the ones before are void.
    #[schema(value_type = Vec<String>)]
    codes: Vec<Secret>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rename {
    name: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BeginPasskey {
    #[schema(value_type = String)]
    token: Secret,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AddPasskey {
    #[schema(value_type = String)]
    token: Secret,
    name: String,
    passkey: PasskeyAnswer,
}

/// What is verified: this change, of this person.
#[derive(Serialize)]
struct Subject<'a> {
    org: OrgId,
    person: PersonId,
    change: &'a Change,
}

#[utoipa::path(get, path = "/api/v1/factors", responses((status = 200, body = Factors)))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Factors>, Problem> {
    let (org, person) = (caller.org, caller.person);
    let listing = |row: PasskeyRow| PasskeyListing {
        id: row.credential,
        name: row.name,
        origin: row.origin,
        created_at: row.created_at,
        used_at: (row.used_at.0 > 0).then_some(row.used_at),
    };
    let passkeys = app.database.passkeys_of(org, person).await?.into_iter().map(listing).collect();
    let password = app.database.password_of(org, person).await?;
    let password = password.map(|row| PasswordListing {
        login: row.login,
        created_at: row.created_at,
        used_at: row.used_at,
    });
    let codes = app.database.recovery_codes(org, person).await?;
    let recovery = RecoveryListing { left: codes.left, made_at: codes.made_at, used_at: codes.used_at };
    Ok(Json(Factors { passkeys, password, recovery, origins: app.passkeys.origins() }))
}

#[utoipa::path(post, path = "/api/v1/factors", request_body = ChangeFactors,
    responses((status = 200, body = Changed), (status = 403, description = "`verification_needed`"),
              (status = 409, description = "`last_factor`")))]
pub(crate) async fn change(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Json(body): Json<ChangeFactors>,
) -> Result<Json<Changed>, Problem> {
    let (now, org, person) = (clock::now(), caller.org, caller.person);
    let change = body.change;
    let roster = app.roster(org, now).await?;
    let permit = match &change {
        // Written down when it is added.
        Change::AddPasskey { .. } | Change::SetPassword { .. } => None,
        other => Some(
            app.decide(&caller, &roster, Action::ChangeFactors { person, change: other.kind() }, now).await?,
        ),
    };
    let subject = seal::sha256(&seal::to_canonical(&Subject { org, person, change: &change }));
    let adds_a_way = matches!(change, Change::AddPasskey { .. } | Change::SetPassword { .. });
    if !(adds_a_way && app.came_just_now(&caller, now).await?) {
        app.user_verified(&caller, &roster, &[], subject, now).await?;
    }
    if let Some(permit) = permit {
        permit.record(&app.recorder).await?;
    }
    match &change {
        Change::AddPasskey { .. } => token_for(&app, TokenKind::AddPasskey, org, person, now).await,
        Change::SetPassword { .. } => token_for(&app, TokenKind::SetPassword, org, person, now).await,
        Change::MakeRecoveryCodes { .. } => make_codes(&app, org, person, now).await,
        Change::RemovePasskey { .. } | Change::RemovePassword => remove(&app, org, person, &change).await,
    }
    .map(Json)
}

#[utoipa::path(post, path = "/api/v1/factors/passkeys/{id}", params(("id" = String, Path)),
    request_body = Rename, responses((status = 204), (status = 404)))]
pub(crate) async fn rename(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Json(body): Json<Rename>,
) -> Result<StatusCode, Problem> {
    let now = clock::now();
    check_name(&body.name)?;
    let held = app.database.passkeys_of(caller.org, caller.person).await?;
    if !held.iter().any(|passkey| passkey.credential == id) {
        return Err(Problem::not_found());
    }
    let roster = app.roster(caller.org, now).await?;
    let action = Action::ChangeFactors { person: caller.person, change: FactorChange::RenamePasskey };
    let audited = app.permit(&caller, &roster, action, now).await?;
    app.database.rename_passkey(caller.org, caller.person, &id, &body.name, &audited).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[utoipa::path(post, path = "/api/v1/factors/passkey/begin", request_body = BeginPasskey,
    responses((status = 200, body = Ceremony)))]
pub(crate) async fn begin_passkey(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Json(body): Json<BeginPasskey>,
) -> Result<Json<Ceremony>, Problem> {
    let now = clock::now();
    let (_, token) = factor_token(&app, &body.token, &PASSKEY_TOKENS, now).await?;
    let person = token.person.ok_or_else(Problem::token)?;
    let origin = origin(&headers);
    let begun = app.passkeys.begin_registration(&app.database, origin, person, &token.person_name, now).await;
    let (ceremony, options) = begun.map_err(passkey_problem)?;
    Ok(Json(Ceremony { ceremony, options }))
}

#[utoipa::path(post, path = "/api/v1/factors/passkey", request_body = AddPasskey, responses((status = 204)))]
pub(crate) async fn add_passkey(
    State(app): State<Arc<App>>,
    Json(body): Json<AddPasskey>,
) -> Result<StatusCode, Problem> {
    let now = clock::now();
    check_name(&body.name)?;
    let (kind, token) = factor_token(&app, &body.token, &PASSKEY_TOKENS, now).await?;
    let (org, person) = (token.org.ok_or_else(Problem::token)?, token.person.ok_or_else(Problem::token)?);
    if app.database.passkeys_of(org, person).await?.len() >= PASSKEYS_MAX {
        return Err(Problem::invalid(format!(
            "A person has at most {PASSKEYS_MAX} passkeys. Remove one first."
        )));
    }
    let passkey =
        registered(&app, Some(body.passkey), Some(person), now).await?.ok_or_else(Problem::token)?;
    let _audited = permitted(&app, org, person, FactorChange::AddPasskey, now).await?;
    let mut transaction = app.database.begin().await?;
    let hashed = random::hashed(body.token.expose());
    transaction.use_token(hashed, kind, now).await?.ok_or_else(Problem::token)?;
    transaction.add_passkey(org, &passkey, &body.name, now).await?;
    transaction.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

const PASSKEY_TOKENS: [TokenKind; 2] = [TokenKind::AddPasskey, TokenKind::Recovery];

/// The first of these kinds that the token is of.
pub(crate) async fn factor_token(
    app: &App,
    token: &Secret,
    kinds: &[TokenKind],
    now: Timestamp,
) -> Result<(TokenKind, OneTimeToken), Problem> {
    let hashed = random::hashed(token.expose());
    for kind in kinds {
        if let Some(found) = app.database.one_time_token(hashed, *kind, now).await? {
            return Ok((*kind, found));
        }
    }
    Err(Problem::token())
}

/// Decides and writes down what a token's owner is about to change. The token
/// stands in for a session, for this one act.
pub(crate) async fn permitted(
    app: &App,
    org: OrgId,
    person: PersonId,
    change: FactorChange,
    now: Timestamp,
) -> Result<Audited<Permit>, Problem> {
    let ends_at = now.plus_ms(TOKEN_MS);
    let session = random::token();
    let caller = Caller { org, person, device: None, second_factor: true, session, ends_at, network: None };
    let roster = app.roster(org, now).await?;
    app.permit(&caller, &roster, Action::ChangeFactors { person, change }, now).await
}

impl Change {
    fn kind(&self) -> FactorChange {
        match self {
            Change::AddPasskey { .. } => FactorChange::AddPasskey,
            Change::SetPassword { .. } => FactorChange::SetPassword,
            Change::MakeRecoveryCodes { .. } => FactorChange::MakeRecoveryCodes,
            Change::RemovePasskey { .. } => FactorChange::RemovePasskey,
            Change::RemovePassword => FactorChange::RemovePassword,
        }
    }
}

async fn token_for(
    app: &App,
    kind: TokenKind,
    org: OrgId,
    person: PersonId,
    now: Timestamp,
) -> Result<Changed, Problem> {
    let (token, expires_at) = (random::token().to_string(), now.plus_ms(TOKEN_MS));
    app.database.add_factor_token(kind, org, random::hashed(&token), person, (now, expires_at)).await?;
    Ok(Changed { token: Some(Secret::new(token)), expires_at: Some(expires_at), codes: Vec::new() })
}

async fn make_codes(app: &App, org: OrgId, person: PersonId, now: Timestamp) -> Result<Changed, Problem> {
    let codes: Vec<String> = (0..codes::RECOVERY_CODES).map(|_| codes::recovery_code()).collect();
    let hashes: Vec<Hash> = codes.iter().filter_map(|code| codes::recovery_hash(code)).collect();
    let mut transaction = app.database.begin().await?;
    transaction.replace_recovery_codes(org, person, &hashes, now).await?;
    transaction.commit().await?;
    Ok(Changed { codes: codes.into_iter().map(Secret::new).collect(), ..Changed::default() })
}

async fn remove(app: &App, org: OrgId, person: PersonId, change: &Change) -> Result<Changed, Problem> {
    let mut transaction = app.database.begin().await?;
    let removed = match change {
        Change::RemovePasskey { id } => transaction.remove_passkey(org, person, id).await?,
        _ => transaction.remove_password(org, person).await?,
    };
    match removed {
        Removed::Yes => transaction.commit().await?,
        Removed::NotThere => return Err(Problem::not_found()),
        // The transaction ends without it.
        Removed::Last => {
            return Err(Problem::new(
                StatusCode::CONFLICT,
                "last_factor",
                "This is your only way to sign in.",
                "Add another one first.",
            ));
        }
    }
    Ok(Changed::default())
}
