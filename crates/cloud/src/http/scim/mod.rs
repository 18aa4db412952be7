//! People and groups as a directory provisions them (SCIM 2.0: RFC 7643, RFC
//! 7644), for Microsoft Entra ID, Okta and their like. A directory speaks of
//! those alone whom it made here. What it says gives nobody a key: a person
//! sees pictures when administrators' devices have signed it.

mod filter;
mod groups;
mod patch;
mod people;

use std::sync::Arc;

use axum::Extension;
use axum::extract::{FromRequest, FromRequestParts, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use model::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub(crate) use groups::{
    create as create_group, delete as delete_group, list as list_groups, patch as patch_group,
    read as read_group, replace as replace_group,
};
pub(crate) use people::{
    create as create_person, delete as delete_person, list as list_people, patch as patch_person,
    read as read_person, replace as replace_person,
};

use crate::app::App;
use crate::clock;
use crate::problem::Problem;
use crate::services::Service;

const PEOPLE: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const GROUPS: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
const LIST: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";
const ERROR: &str = "urn:ietf:params:scim:api:messages:2.0:Error";
const PROVIDER_CONFIG: &str = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig";
const RESOURCE_TYPE: &str = "urn:ietf:params:scim:schemas:core:2.0:ResourceType";
const SCHEMA: &str = "urn:ietf:params:scim:schemas:core:2.0:Schema";
const MEDIA_TYPE: &str = "application/scim+json";

/// Resources in one answer.
const COUNT_MAX: u64 = 200;
const TEXT_CHARS_MAX: usize = 255;

/// An error as RFC 7644 section 3.12 has it.
#[derive(Debug)]
pub(crate) struct ScimError(Problem);

/// Codes of problems that the standard has a word for.
const KINDS: [&str; 6] =
    ["invalidFilter", "invalidPath", "invalidSyntax", "invalidValue", "tooMany", "uniqueness"];

impl<P: Into<Problem>> From<P> for ScimError {
    fn from(problem: P) -> Self {
        ScimError(problem.into())
    }
}

impl ScimError {
    fn new(status: StatusCode, kind: &'static str, message: impl Into<String>) -> Self {
        ScimError(Problem::new(status, kind, message, "Correct the request."))
    }

    fn value(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalidValue", message)
    }

    fn taken(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "uniqueness", message)
    }
}

impl IntoResponse for ScimError {
    fn into_response(self) -> Response {
        let (status, error) = (self.0.status, &self.0.body.error);
        let mut body = json!({
            "schemas": [ERROR],
            "status": status.as_u16().to_string(),
            "detail": format!("{} {}", error.message, error.remedy),
        });
        if KINDS.contains(&error.code) {
            body["scimType"] = error.code.into();
        }
        // The refusal is counted as any other is.
        let mut response = self.0.into_response();
        *response.body_mut() = body.to_string().into();
        response.headers_mut().remove(header::CONTENT_LENGTH);
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        response
    }
}

/// JSON in, whichever of both types it is called.
#[derive(Debug, FromRequest)]
#[from_request(via(axum::Json), rejection(ScimError))]
pub(crate) struct Body<T>(T);

#[derive(Debug, FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(ScimError))]
pub(crate) struct Query<T>(T);

#[derive(Debug, FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(ScimError))]
pub(crate) struct Path<T>(T);

fn scim(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, MEDIA_TYPE)], body.to_string()).into_response()
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ListQuery {
    filter: Option<String>,
    /// From 1 on.
    start_index: Option<i64>,
    count: Option<i64>,
    excluded_attributes: Option<String>,
}

impl ListQuery {
    /// How many to pass over, and how many to give (RFC 7644 section 3.4.2.4).
    fn page(&self) -> (u64, u64) {
        let skip = self.start_index.unwrap_or(1).max(1) - 1;
        let count = self.count.unwrap_or(i64::MAX).max(0);
        (skip.unsigned_abs(), count.unsigned_abs().min(COUNT_MAX))
    }

    fn without_members(&self) -> bool {
        let excluded = self.excluded_attributes.as_deref().unwrap_or_default();
        excluded.split(',').any(|name| name.trim().eq_ignore_ascii_case("members"))
    }
}

fn list(resources: Vec<Value>, skip: u64, total: u64) -> Response {
    let body = json!({
        "schemas": [LIST],
        "totalResults": total,
        "startIndex": skip + 1,
        "itemsPerPage": resources.len(),
        "Resources": resources,
    });
    scim(StatusCode::OK, &body)
}

fn meta(app: &App, kind: &str, id: &str, (created, changed): (Timestamp, Timestamp)) -> Value {
    json!({
        "resourceType": kind,
        "created": clock::rfc3339(created),
        "lastModified": clock::rfc3339(changed),
        "location": location(app, kind, id),
    })
}

/// Says where the resource is from now on (RFC 7644 section 3.3).
fn created(app: &App, kind: &str, id: &str, mut response: Response) -> Response {
    if let Ok(place) = location(app, kind, id).parse() {
        response.headers_mut().insert(header::LOCATION, place);
    }
    response
}

fn location(app: &App, kind: &str, id: &str) -> String {
    format!("{}scim/v2/{kind}s/{id}", app.public_url)
}

/// A name or number of the directory's: printable, and of a sane length.
fn checked(name: &str, text: &str) -> Result<String, ScimError> {
    let length = text.chars().count();
    if text.trim().is_empty() || length > TEXT_CHARS_MAX || text.chars().any(char::is_control) {
        return Err(ScimError::value(format!("{name} has 1 to {TEXT_CHARS_MAX} printable characters.")));
    }
    Ok(text.to_owned())
}

fn not_found() -> ScimError {
    Problem::not_found().into()
}

pub(crate) async fn provider_config(State(app): State<Arc<App>>) -> Response {
    let no = json!({ "supported": false });
    let scheme = json!({
        "type": "oauthbearertoken",
        "name": "Token of a service account",
        "description": "With the permission provision_people.",
        "primary": true,
    });
    let body = json!({
        "schemas": [PROVIDER_CONFIG],
        "patch": { "supported": true },
        "bulk": { "supported": false, "maxOperations": 0, "maxPayloadSize": 0 },
        "filter": { "supported": true, "maxResults": COUNT_MAX },
        "changePassword": no,
        "sort": no,
        "etag": no,
        "authenticationSchemes": [scheme],
        "meta": {
            "resourceType": "ServiceProviderConfig",
            "location": format!("{}scim/v2/ServiceProviderConfig", app.public_url),
        },
    });
    scim(StatusCode::OK, &body)
}

pub(crate) async fn resource_types(State(app): State<Arc<App>>) -> Response {
    let of = |name: &str, schema: &str| {
        json!({
            "schemas": [RESOURCE_TYPE],
            "id": name,
            "name": name,
            "endpoint": format!("/{name}s"),
            "schema": schema,
            "meta": {
                "resourceType": "ResourceType",
                "location": format!("{}scim/v2/ResourceTypes/{name}", app.public_url),
            },
        })
    };
    list(vec![of("User", PEOPLE), of("Group", GROUPS)], 0, 2)
}

/// The attributes that are kept; others are taken and forgotten.
pub(crate) async fn schemas(State(app): State<Arc<App>>) -> Response {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Attribute {
        name: &'static str,
        #[serde(rename = "type")]
        kind: &'static str,
        multi_valued: bool,
        required: bool,
        case_exact: bool,
        mutability: &'static str,
        returned: &'static str,
        uniqueness: &'static str,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        sub_attributes: Vec<Attribute>,
    }
    let plain = |name| Attribute {
        name,
        kind: "string",
        multi_valued: false,
        required: false,
        case_exact: true,
        mutability: "readWrite",
        returned: "default",
        uniqueness: "none",
        sub_attributes: Vec::new(),
    };
    let of = |id: &str, name: &str, attributes: Vec<Attribute>| {
        json!({
            "schemas": [SCHEMA],
            "id": id,
            "name": name,
            "attributes": attributes,
            "meta": {
                "resourceType": "Schema",
                "location": format!("{}scim/v2/Schemas/{id}", app.public_url),
            },
        })
    };
    let people = vec![
        Attribute { required: true, case_exact: false, uniqueness: "server", ..plain("userName") },
        plain("externalId"),
        plain("displayName"),
        Attribute { kind: "boolean", ..plain("active") },
    ];
    let member = Attribute { mutability: "immutable", ..plain("value") };
    let groups = vec![
        Attribute { required: true, ..plain("displayName") },
        plain("externalId"),
        Attribute { kind: "complex", multi_valued: true, sub_attributes: vec![member], ..plain("members") },
    ];
    list(vec![of(PEOPLE, "User", people), of(GROUPS, "Group", groups)], 0, 2)
}

/// The program that asks; the guard let no other through.
type Directory = Extension<Arc<Service>>;
