//! `/scim/v2/Groups`. Which roles a group gives stands in the configuration.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use cloud_core::{ProvisionChange, Provisioned};
use model::{Hash, OrgId, PersonId, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::patch::{Patch, Step};
use super::{
    Body, Directory, GROUPS, ListQuery, Path, Query, ScimError, checked, created, filter, list as listing,
    location, meta, not_found, scim,
};
use crate::app::App;
use crate::database::{DirectoryGroup, Membership};
use crate::groups::{group_mark, member_mark};
use crate::services::Service;
use crate::{clock, random};

const MEMBERS_MAX: usize = 10_000;
const GROUPS_MAX: usize = 10_000;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Input {
    display_name: String,
    external_id: Option<String>,
    #[serde(default)]
    members: Value,
}

impl Input {
    fn apply(&self, row: &mut DirectoryGroup) -> Result<(), ScimError> {
        row.display_name = checked("displayName", &self.display_name)?;
        let id = self.external_id.as_deref().filter(|id| !id.is_empty());
        row.external_id = id.map(|id| checked("externalId", id)).transpose()?;
        Ok(())
    }
}

fn resource(app: &App, row: &DirectoryGroup, members: Option<&BTreeSet<PersonId>>) -> Value {
    let id = row.id.to_string();
    let mut body = json!({
        "schemas": [GROUPS],
        "id": id,
        "displayName": row.display_name,
        "meta": meta(app, "Group", &id, (row.created_at, row.changed_at)),
    });
    if let Some(external_id) = &row.external_id {
        body["externalId"] = external_id.as_str().into();
    }
    if let Some(members) = members {
        let member = |person: &PersonId| json!({ "value": person, "$ref": location(app, "User", &person.to_string()) });
        body["members"] = members.iter().map(member).collect();
    }
    body
}

/// `[{"value": ID}]`, or one of them, or nothing.
fn ids(value: &Value) -> Result<BTreeSet<PersonId>, ScimError> {
    let entries = match value {
        Value::Null => return Ok(BTreeSet::new()),
        Value::Array(entries) if entries.len() > MEMBERS_MAX => {
            return Err(ScimError::value(format!("A group has at most {MEMBERS_MAX} members.")));
        }
        Value::Array(entries) => entries.as_slice(),
        one => std::slice::from_ref(one),
    };
    let id = |entry: &Value| {
        let id = entry["value"].as_str().or(entry.as_str()).and_then(|id| id.parse().ok());
        id.ok_or_else(|| ScimError::value("A member is {\"value\": ID} of a person here."))
    };
    entries.iter().map(id).collect()
}

async fn found(app: &App, org: OrgId, id: &str) -> Result<DirectoryGroup, ScimError> {
    let id: Hash = id.parse().map_err(|_| not_found())?;
    app.database.directory_group(org, id).await?.ok_or_else(not_found)
}

/// Those whom the server put in: a row without its mark is none.
async fn members(app: &App, org: OrgId, group: Hash) -> Result<BTreeSet<PersonId>, ScimError> {
    let rows = app.database.members(org, group).await?;
    let good = rows.into_iter().filter(|row| row.mark == member_mark(&app.vault, org, group, row.person));
    Ok(good.map(|row| row.person).collect())
}

pub(crate) async fn list(
    State(app): State<Arc<App>>,
    service: Directory,
    Query(query): Query<ListQuery>,
) -> Result<Response, ScimError> {
    let org = service.org;
    let (skip, count) = query.page();
    let mut rows = app.database.directory_groups(org).await?;
    if let Some(text) = &query.filter {
        let (attribute, value) = filter::parse(text)?;
        match attribute.as_str() {
            "displayname" => rows.retain(|row| row.display_name.eq_ignore_ascii_case(&value)),
            "externalid" => rows.retain(|row| row.external_id.as_ref() == Some(&value)),
            "id" => rows.retain(|row| row.id.to_string() == value),
            _ => {
                return Err(ScimError::new(
                    StatusCode::BAD_REQUEST,
                    "invalidFilter",
                    "Groups are found by displayName, externalId or id.",
                ));
            }
        }
    }
    let total = rows.len() as u64;
    let mut page = Vec::new();
    for row in rows.iter().skip(skip as usize).take(count as usize) {
        let members = match query.without_members() {
            true => None,
            false => Some(members(&app, org, row.id).await?),
        };
        page.push(resource(&app, row, members.as_ref()));
    }
    Ok(listing(page, skip, total))
}

pub(crate) async fn read(
    State(app): State<Arc<App>>,
    service: Directory,
    Path(id): Path<String>,
    Query(query): Query<ListQuery>,
) -> Result<Response, ScimError> {
    let row = found(&app, service.org, &id).await?;
    let members = match query.without_members() {
        true => None,
        false => Some(members(&app, service.org, row.id).await?),
    };
    Ok(scim(StatusCode::OK, &resource(&app, &row, members.as_ref())))
}

pub(crate) async fn create(
    State(app): State<Arc<App>>,
    service: Directory,
    Body(input): Body<Input>,
) -> Result<Response, ScimError> {
    let now = clock::now();
    let mut row = DirectoryGroup {
        id: random::token(),
        display_name: String::new(),
        external_id: None,
        mark: Hash([0; 32]),
        created_at: now,
        changed_at: now,
    };
    input.apply(&mut row)?;
    let people = ids(&input.members)?;
    let response = change(&app, &service, None, (row.clone(), people), now).await?;
    Ok(created(&app, "Group", &row.id.to_string(), (StatusCode::CREATED, response).into_response()))
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
    let now_in = members(&app, service.org, before.id).await?;
    change(&app, &service, Some((before, now_in)), (row, ids(&input.members)?), clock::now()).await
}

pub(crate) async fn patch(
    State(app): State<Arc<App>>,
    service: Directory,
    Path(id): Path<String>,
    Body(patch): Body<Patch>,
) -> Result<Response, ScimError> {
    let before = found(&app, service.org, &id).await?;
    let now_in = members(&app, service.org, before.id).await?;
    let (mut row, mut people) = (before.clone(), now_in.clone());
    for step in patch.steps()? {
        match step {
            Step::Set { attribute, value } if attribute == "members" => people = ids(&value)?,
            Step::Add { attribute, value } if attribute == "members" => people.extend(ids(&value)?),
            Step::Remove { attribute, value: Value::Null } if attribute == "members" => people.clear(),
            Step::Remove { attribute, value } if attribute == "members" => {
                let gone = ids(&value)?;
                people.retain(|person| !gone.contains(person));
            }
            Step::Set { attribute, value } | Step::Add { attribute, value } => {
                let text = value.as_str().unwrap_or_default();
                match attribute.as_str() {
                    "displayname" => row.display_name = checked("displayName", text)?,
                    "externalid" => row.external_id = Some(checked("externalId", text)?),
                    _ => {}
                }
            }
            Step::Remove { attribute, .. } if attribute == "externalid" => row.external_id = None,
            Step::Remove { .. } => {}
        }
    }
    change(&app, &service, Some((before, now_in)), (row, people), clock::now()).await
}

pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    service: Directory,
    Path(id): Path<String>,
) -> Result<Response, ScimError> {
    let (now, org) = (clock::now(), service.org);
    let row = found(&app, org, &id).await?;
    let about = Provisioned::Group(row.id);
    let permit = app.decide_provision(&service, about, ProvisionChange::Delete, now).await?;
    let mut transaction = app.database.begin().await?;
    transaction.remove_directory_group(org, row.id).await?;
    transaction.commit().await?;
    app.hub.rights_changed();
    app.record_after(permit).await;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Puts what differs in force. `before` is none for a new group.
async fn change(
    app: &App,
    service: &Service,
    before: Option<(DirectoryGroup, BTreeSet<PersonId>)>,
    (mut row, people): (DirectoryGroup, BTreeSet<PersonId>),
    now: Timestamp,
) -> Result<Response, ScimError> {
    let (org, id) = (service.org, row.id);
    if people.len() > MEMBERS_MAX {
        return Err(ScimError::value(format!("A group has at most {MEMBERS_MAX} members.")));
    }
    let (old, was_in) = before.map_or_else(Default::default, |(row, people)| (Some(row), people));
    for person in people.difference(&was_in) {
        if app.database.directory_person(org, *person).await?.is_none() {
            return Err(ScimError::value("A member is {\"value\": ID} of a person here."));
        }
    }
    let about = Provisioned::Group(id);
    let removed: Vec<PersonId> = was_in.difference(&people).copied().collect();
    if !removed.is_empty() {
        // Leaving a group takes away, at once.
        let permit = app.decide_provision(service, about, ProvisionChange::Membership, now).await?;
        let mut transaction = app.database.begin().await?;
        transaction.remove_members(org, id, removed).await?;
        transaction.commit().await?;
        app.hub.rights_changed();
        app.record_after(permit).await;
    }
    let described = match &old {
        None => Some(ProvisionChange::Create),
        // Marked by a key that was lost: the directory says it anew.
        Some(old) if old.mark != group_mark(&app.vault, org, old) => Some(ProvisionChange::Describe),
        Some(old) if (&old.display_name, &old.external_id) != (&row.display_name, &row.external_id) => {
            Some(ProvisionChange::Describe)
        }
        Some(_) => None,
    };
    if described.is_some() {
        let groups = app.database.directory_groups(org).await?;
        if groups.iter().any(|group| group.id != id && group.display_name == row.display_name) {
            return Err(ScimError::taken("There is a group of this displayName."));
        }
        if old.is_none() && groups.len() >= GROUPS_MAX {
            return Err(ScimError::value(format!("There are at most {GROUPS_MAX} groups.")));
        }
    }
    let described = match described {
        Some(change) => Some(app.provision(service, about, change, now).await?),
        None => None,
    };
    let added: Vec<PersonId> = people.difference(&was_in).copied().collect();
    let joined = match added.is_empty() {
        true => None,
        false => Some(app.provision(service, about, ProvisionChange::Membership, now).await?),
    };
    let mut transaction = app.database.begin().await?;
    if let Some(audited) = &described {
        row.mark = group_mark(&app.vault, org, &row);
        row.changed_at = now;
        transaction.set_directory_group(org, &row, audited).await?;
    }
    if let Some(audited) = &joined {
        let member =
            |person| Membership { group: id, person, mark: member_mark(&app.vault, org, id, person) };
        let added: Vec<Membership> = added.into_iter().map(member).collect();
        transaction.add_members(org, &added, audited).await?;
    }
    transaction.commit().await?;
    app.hub.rights_changed();
    Ok(scim(StatusCode::OK, &resource(app, &row, Some(&people))))
}
