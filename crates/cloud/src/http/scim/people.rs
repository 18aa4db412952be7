//! `/scim/v2/Users`. Nobody is ever deleted so that their name could be taken
//! by somebody else: who is removed is shut out, and the history keeps its word.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use cloud_core::{ProvisionChange, Provisioned};
use model::{OrgId, PersonId, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::patch::{Patch, Step, truth};
use super::{
    Body, Directory, ListQuery, PEOPLE, Path, Query, ScimError, checked, created, filter, list as listing,
    meta, not_found, scim,
};
use crate::app::App;
use crate::database::DirectoryPerson;
use crate::http::types::NAME_MAX;
use crate::services::Service;
use crate::{clock, random};

/// The attributes that are kept. The standard lets a server forget others.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Input {
    user_name: String,
    external_id: Option<String>,
    display_name: Option<String>,
    #[serde(default)]
    name: Name,
    #[serde(default)]
    active: Value,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Name {
    formatted: Option<String>,
    given_name: Option<String>,
    family_name: Option<String>,
}

impl Input {
    /// What people are called in lists.
    fn display_name(&self) -> String {
        let Name { formatted, given_name, family_name } = &self.name;
        let parts = [given_name, family_name].map(|part| part.as_deref().unwrap_or_default());
        let both = parts.join(" ");
        let names = [self.display_name.as_deref(), formatted.as_deref(), Some(&both), Some(&self.user_name)];
        let name = names.into_iter().flatten().map(str::trim).find(|name| !name.is_empty());
        name.unwrap_or_default().to_owned()
    }

    fn apply(&self, row: &mut DirectoryPerson) -> Result<(), ScimError> {
        row.user_name = checked("userName", &self.user_name)?;
        let id = self.external_id.as_deref().filter(|id| !id.is_empty());
        row.external_id = id.map(|id| checked("externalId", id)).transpose()?;
        row.display_name = named(&self.display_name())?;
        if !self.active.is_null() {
            row.active = truth(&self.active).ok_or_else(|| ScimError::value("active is true or false."))?;
        }
        Ok(())
    }
}

fn named(name: &str) -> Result<String, ScimError> {
    Ok(checked("displayName", name)?.chars().take(NAME_MAX).collect())
}

fn resource(app: &App, row: &DirectoryPerson) -> Value {
    let id = row.person.to_string();
    let mut body = json!({
        "schemas": [PEOPLE],
        "id": id,
        "userName": row.user_name,
        "displayName": row.display_name,
        "name": { "formatted": row.display_name },
        "active": row.active,
        "meta": meta(app, "User", &id, (row.created_at, row.changed_at)),
    });
    if let Some(external_id) = &row.external_id {
        body["externalId"] = external_id.as_str().into();
    }
    body
}

async fn found(app: &App, org: OrgId, id: &str) -> Result<DirectoryPerson, ScimError> {
    let id = id.parse().map_err(|_| not_found())?;
    app.database.directory_person(org, id).await?.ok_or_else(not_found)
}

pub(crate) async fn list(
    State(app): State<Arc<App>>,
    service: Directory,
    Query(query): Query<ListQuery>,
) -> Result<Response, ScimError> {
    let org = service.org;
    let (skip, count) = query.page();
    let Some(text) = &query.filter else {
        let (rows, total) = app.database.directory_people(org, (skip, count)).await?;
        return Ok(listing(rows.iter().map(|row| resource(&app, row)).collect(), skip, total));
    };
    let (attribute, value) = filter::parse(text)?;
    let rows = match attribute.as_str() {
        "username" => app.database.directory_person_named(org, &value).await?.into_iter().collect(),
        "externalid" => app.database.directory_people_of(org, &value).await?,
        "id" => found(&app, org, &value).await.ok().into_iter().collect(),
        _ => {
            return Err(ScimError::new(
                StatusCode::BAD_REQUEST,
                "invalidFilter",
                "People are found by userName, externalId or id.",
            ));
        }
    };
    let total = rows.len() as u64;
    let page = rows.iter().skip(skip as usize).take(count as usize).map(|row| resource(&app, row));
    Ok(listing(page.collect(), skip, total))
}

pub(crate) async fn read(
    State(app): State<Arc<App>>,
    service: Directory,
    Path(id): Path<String>,
) -> Result<Response, ScimError> {
    Ok(scim(StatusCode::OK, &resource(&app, &found(&app, service.org, &id).await?)))
}

pub(crate) async fn create(
    State(app): State<Arc<App>>,
    service: Directory,
    Body(input): Body<Input>,
) -> Result<Response, ScimError> {
    let (now, org) = (clock::now(), service.org);
    let mut row = DirectoryPerson {
        person: PersonId::from_random(random::bytes()),
        user_name: String::new(),
        external_id: None,
        display_name: String::new(),
        active: true,
        created_at: now,
        changed_at: now,
    };
    input.apply(&mut row)?;
    if app.database.directory_person_named(org, &row.user_name).await?.is_some() {
        return Err(taken());
    }
    let audited = provision(&app, &service, row.person, ProvisionChange::Create, now).await?;
    let mut transaction = app.database.begin().await?;
    transaction.add_person(org, row.person, &row.display_name, now).await?;
    if !transaction.add_directory_person(org, &row, &audited).await? {
        return Err(taken());
    }
    transaction.commit().await?;
    if !row.active {
        shut_out(&app, &service, row.person, now).await?;
    }
    Ok(created(&app, "User", &row.person.to_string(), scim(StatusCode::CREATED, &resource(&app, &row))))
}

pub(crate) async fn replace(
    State(app): State<Arc<App>>,
    service: Directory,
    Path(id): Path<String>,
    Body(input): Body<Input>,
) -> Result<Response, ScimError> {
    let before = found(&app, service.org, &id).await?;
    let mut row = before.clone();
    input.apply(&mut row)?;
    change(&app, &service, &before, row).await
}

pub(crate) async fn patch(
    State(app): State<Arc<App>>,
    service: Directory,
    Path(id): Path<String>,
    Body(patch): Body<Patch>,
) -> Result<Response, ScimError> {
    let before = found(&app, service.org, &id).await?;
    let mut row = before.clone();
    for step in patch.steps()? {
        let (attribute, value) = match step {
            Step::Set { attribute, value } | Step::Add { attribute, value } => (attribute, Some(value)),
            Step::Remove { attribute, .. } => (attribute, None),
        };
        let text = value.as_ref().and_then(Value::as_str);
        match (attribute.as_str(), &value) {
            ("active", Some(value)) => {
                row.active = truth(value).ok_or_else(|| ScimError::value("active is true or false."))?;
            }
            ("username", Some(_)) => row.user_name = checked("userName", text.unwrap_or_default())?,
            ("externalid", Some(_)) => {
                row.external_id = Some(checked("externalId", text.unwrap_or_default())?);
            }
            ("externalid", None) => row.external_id = None,
            ("displayname" | "name.formatted", Some(_)) => {
                row.display_name = named(text.unwrap_or_default())?
            }
            ("displayname", None) => row.display_name = named(&row.user_name)?,
            ("active" | "username", None) => {
                return Err(ScimError::value("userName and active cannot be removed."));
            }
            // Not kept.
            _ => {}
        }
    }
    change(&app, &service, &before, row).await
}

pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    service: Directory,
    Path(id): Path<String>,
) -> Result<Response, ScimError> {
    let (now, org) = (clock::now(), service.org);
    let row = found(&app, org, &id).await?;
    let about = Provisioned::Person(row.person);
    let permit = app.decide_provision(&service, about, ProvisionChange::Delete, now).await?;
    let mut transaction = app.database.begin().await?;
    transaction.shut_out(org, row.person, now).await?;
    transaction.remove_directory_person(org, row.person).await?;
    transaction.commit().await?;
    app.hub.rights_changed();
    app.record_after(permit).await;
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn taken() -> ScimError {
    ScimError::taken("Somebody else has this userName.")
}

/// At once, and written down then.
async fn shut_out(app: &App, service: &Service, person: PersonId, now: Timestamp) -> Result<(), ScimError> {
    let about = Provisioned::Person(person);
    let permit = app.decide_provision(service, about, ProvisionChange::Disable, now).await?;
    let mut transaction = app.database.begin().await?;
    transaction.shut_out(service.org, person, now).await?;
    transaction.commit().await?;
    app.hub.rights_changed();
    app.record_after(permit).await;
    Ok(())
}

async fn provision(
    app: &App,
    service: &Service,
    person: PersonId,
    change: ProvisionChange,
    now: Timestamp,
) -> Result<cloud_core::Audited<cloud_core::Permit>, ScimError> {
    Ok(app.provision(service, Provisioned::Person(person), change, now).await?)
}

async fn change(
    app: &App,
    service: &Service,
    before: &DirectoryPerson,
    mut row: DirectoryPerson,
) -> Result<Response, ScimError> {
    let (now, org, person) = (clock::now(), service.org, row.person);
    if before.active && !row.active {
        shut_out(app, service, person, now).await?;
    }
    let described =
        |row: &DirectoryPerson| (row.user_name.clone(), row.external_id.clone(), row.display_name.clone());
    let renamed = described(before) != described(&row);
    let described = match renamed {
        true => Some(provision(app, service, person, ProvisionChange::Describe, now).await?),
        false => None,
    };
    let enabled = match row.active && !before.active {
        true => Some(provision(app, service, person, ProvisionChange::Enable, now).await?),
        false => None,
    };
    let mut transaction = app.database.begin().await?;
    if let Some(audited) = &described {
        row.changed_at = now;
        if !transaction.describe_directory_person(org, &row, audited).await? {
            return Err(taken());
        }
    }
    if let Some(audited) = &enabled {
        transaction.let_in(org, person, audited).await?;
    }
    transaction.commit().await?;
    Ok(scim(StatusCode::OK, &resource(app, &row)))
}
