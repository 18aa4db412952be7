//! Signing in at an OpenID provider. The page asks where to go, the provider
//! sends the browser back to `/sign-in/ID` with a code, and the page brings it
//! here. Only the browser that asked can finish: both requests are proven by
//! one key, so nobody is signed in by a link that somebody else began.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use cloud_core::{Action, ProvisionChange, Provisioned};
use model::{Hash, OrgId, PersonId, Secret, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::extract::{Json, Path};
use super::login::end_previous;
use super::setup::{origin, signed_in};
use super::types::{Me, NAME_MAX};
use crate::app::App;
use crate::config::{GroupRoles, IdentityProviderSection};
use crate::groups;
use crate::passkeys::origin_of;
use crate::problem::Problem;
use crate::proofs::HeldKey;
use crate::providers::{Asked, Claimed, Provider, ProviderError};
use crate::refusals::Why;
use crate::sessions::{Caller, Way};
use crate::{clock, random, sessions};

/// From the sign-in page to the provider and back.
const SIGN_IN_MS: u64 = 10 * Timestamp::MINUTE;
const PROVIDER_LOGIN: &str = "provider-login";
const CODE_BYTES_MAX: usize = 4_096;

/// An OpenID provider on the sign-in page.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProviderListing {
    pub(crate) id: String,
    pub(crate) name: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Departure {
    /// Where the browser goes.
    location: String,
}

/// What the provider sent the browser back with.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Return {
    #[schema(value_type = String)]
    state: Hash,
    #[schema(value_type = String)]
    code: Secret,
    /// If there was one (RFC 9207).
    iss: Option<String>,
}

#[utoipa::path(post, path = "/api/v1/login/providers/{id}/begin", params(("id" = String, Path)),
    responses((status = 200, body = Departure), (status = 404), (status = 502, description = "`provider_unreachable`")))]
pub(crate) async fn begin(
    State(app): State<Arc<App>>,
    HeldKey(key): HeldKey,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Json<Departure>, Problem> {
    let now = clock::now();
    let provider = named(&app, &id)?;
    // The provider sends people back to one origin.
    let home = origin_of(&app.public_url);
    if origin(&headers).is_some_and(|origin| origin != home) {
        return Err(Problem::invalid(format!("Signing in at {} works at {home}.", provider.section.name)));
    }
    let state = random::token();
    let (location, asked) =
        provider.begin(state, key, &app.public_url, now).await.map_err(|error| problem(provider, error))?;
    let asked = serde_json::to_string(&asked).expect("texts serialise");
    app.database.add_ceremony(state, PROVIDER_LOGIN, &asked, now.plus_ms(SIGN_IN_MS), now).await?;
    Ok(Json(Departure { location: location.into() }))
}

#[utoipa::path(post, path = "/api/v1/login/providers/{id}", params(("id" = String, Path)), request_body = Return,
    responses((status = 200, body = Me), (status = 401, description = "`provider_refused`"),
              (status = 403, description = "`not_provisioned`"), (status = 404),
              (status = 502, description = "`provider_unreachable`")))]
pub(crate) async fn finish(
    State(app): State<Arc<App>>,
    held: HeldKey,
    headers: HeaderMap,
    Path(id): Path<String>,
    Json(body): Json<Return>,
) -> Result<Response, Problem> {
    let now = clock::now();
    let provider = named(&app, &id)?;
    let begun = app.database.take_ceremony(body.state, PROVIDER_LOGIN, now).await?;
    let asked: Option<Asked> = begun.and_then(|asked| serde_json::from_str(&asked).ok());
    let asked = asked.filter(|asked| asked.provider == id && asked.key == held.0);
    let asked = asked.ok_or_else(|| refused(&app, provider, "nobody here began this sign-in"))?;
    if body.code.expose().len() > CODE_BYTES_MAX {
        return Err(refused(&app, provider, "the code is too long"));
    }
    let claimed = provider.finish(&asked, &body.code, body.iss.as_deref(), now).await;
    let claimed = claimed.map_err(|error| {
        app.metrics.logins_refused.add(1);
        problem(provider, error)
    })?;
    let organisations = app.database.organisations().await?;
    let &[org] = organisations.as_slice() else { return Err(Problem::not_found()) };
    let person = match known(&app, org, provider, &claimed, now).await? {
        Some(person) => person,
        None => created(&app, org, provider, &claimed, now).await?,
    };
    set_groups(&app, org, person, provider, &claimed, now).await?;
    end_previous(&app, &headers, now).await?;
    let mut transaction = app.database.begin().await?;
    let client = (sessions::client(&headers), held);
    let way = Way::Provider { two_factors: claimed.two_factors, just_now: claimed.just_now };
    let opened = sessions::open(&mut transaction, (org, person), way, client, now).await?;
    transaction.commit().await?;
    signed_in(&app, StatusCode::OK, opened, now).await
}

fn named<'a>(app: &'a App, id: &str) -> Result<&'a Provider, Problem> {
    app.providers.iter().find(|provider| provider.section.id == id).ok_or_else(Problem::not_found)
}

/// Who that is here: somebody who came before, or whom the directory knows
/// that belongs to this provider.
async fn known(
    app: &App,
    org: OrgId,
    provider: &Provider,
    claimed: &Claimed,
    now: Timestamp,
) -> Result<Option<PersonId>, Problem> {
    let IdentityProviderSection { issuer, id, create_people, .. } = &provider.section;
    let before = app.database.person_of_identity(org, issuer, &claimed.subject).await?;
    // No other provider says who a directory's people are.
    if app.config.scim.provider.as_ref() != Some(id) {
        return Ok(before);
    }
    if let Some(person) = before
        && app.database.directory_person(org, person).await?.is_some()
    {
        return Ok(before);
    }
    if let Some(link) = &claimed.link
        && let Some(linked) = app.database.directory_person_linked(org, link).await?
    {
        let mut transaction = app.database.begin().await?;
        // Whoever has come already is not taken over by a changed `externalId`.
        let identity = (issuer.as_str(), claimed.subject.as_str());
        if transaction.link_identity(org, identity, linked.person, now).await? {
            transaction.commit().await?;
            return Ok(Some(linked.person));
        }
        tracing::warn!(person = %linked.person, provider = id, "somebody else signs in as this person");
        return Err(Problem::login());
    }
    Ok(before.filter(|_| *create_people))
}

async fn created(
    app: &App,
    org: OrgId,
    provider: &Provider,
    claimed: &Claimed,
    now: Timestamp,
) -> Result<PersonId, Problem> {
    let IdentityProviderSection { create_people, roles, .. } = &provider.section;
    let GroupRoles(roles) = roles;
    let invited = roles.is_empty() || claimed.groups.iter().any(|group| roles.contains_key(group));
    if !(*create_people && invited) {
        tracing::info!(provider = provider.section.id, "somebody came who is in no group that is named here");
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "not_provisioned",
            format!("{} knows you, but nobody has given you an account here.", provider.section.name),
            "Ask whoever looks after accounts in your organisation.",
        )
        .refusing(Why::Login));
    }
    let person = PersonId::from_random(random::bytes());
    let name: String = match &claimed.name {
        Some(name) => name.chars().take(NAME_MAX).collect(),
        None => format!("Somebody from {}", provider.section.name),
    };
    let about = Provisioned::Person(person);
    let action = Action::Provision { about, change: ProvisionChange::Create };
    let roster = app.roster(org, now).await?;
    let _audited = app.permit(&comer(org, person, now), &roster, action, now).await?;
    let mut transaction = app.database.begin().await?;
    transaction.add_person(org, person, &name, now).await?;
    let identity = (provider.section.issuer.as_str(), claimed.subject.as_str());
    if !transaction.add_identity(org, identity, person, now).await? {
        // In two windows at once; the other one was quicker.
        drop(transaction);
        return known(app, org, provider, claimed, now).await?.ok_or_else(Problem::login);
    }
    transaction.commit().await?;
    Ok(person)
}

/// Whoever is about to be signed in, for what has to stand in the history before.
fn comer(org: OrgId, person: PersonId, now: Timestamp) -> Caller {
    let (session, ends_at) = (random::token(), now.plus_ms(SIGN_IN_MS));
    Caller { org, person, device: None, second_factor: false, session, ends_at, network: None }
}

async fn set_groups(
    app: &App,
    org: OrgId,
    person: PersonId,
    provider: &Provider,
    claimed: &Claimed,
    now: Timestamp,
) -> Result<(), Problem> {
    let id = provider.section.id.as_str();
    let before = app.database.provider_groups_of(org, person, id).await?;
    let before = before.and_then(|sealed| groups::unsealed(&app.vault, person, id, &sealed));
    if before.as_ref() == Some(&claimed.groups) {
        return Ok(());
    }
    let about = Provisioned::Person(person);
    let action = Action::Provision { about, change: ProvisionChange::Membership };
    let roster = app.roster(org, now).await?;
    let audited = app.permit(&comer(org, person, now), &roster, action, now).await?;
    let sealed = groups::sealed(&app.vault, person, id, &claimed.groups);
    let mut transaction = app.database.begin().await?;
    transaction.set_provider_groups((org, person), id, &sealed, &audited).await?;
    transaction.commit().await?;
    app.hub.rights_changed();
    Ok(())
}

fn refused(app: &App, provider: &Provider, why: &str) -> Problem {
    app.metrics.logins_refused.add(1);
    problem(provider, ProviderError::Refused(why.to_owned()))
}

fn problem(provider: &Provider, error: ProviderError) -> Problem {
    let name = &provider.section.name;
    tracing::info!(provider = provider.section.id, "sign-in: {error}");
    match error {
        ProviderError::Refused(_) => Problem::new(
            StatusCode::UNAUTHORIZED,
            "provider_refused",
            format!("What {name} answered does not belong to this sign-in."),
            "Start again from the sign-in page. If it stays, the server's log says why.",
        )
        .refusing(Why::Login),
        ProviderError::Unreachable(_) => Problem::new(
            StatusCode::BAD_GATEWAY,
            "provider_unreachable",
            format!("{name} cannot be reached."),
            "Try again in a minute, or sign in another way.",
        ),
    }
}
