//! Upload tokens, one per object, and the folder store's end of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Query, Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode, header};
use cloud_core::{ObjectName, Permit};
use model::wire::{UPLOAD_OBJECTS_MAX, UploadGrant, UploadGrantAnswer, UploadGrantRequest, UploadObject};
use model::{Hash, Timestamp};
use serde::Deserialize;

use crate::app::App;
use crate::broker::{SHA256_HEADER, container};
use crate::clock;
use crate::http::extract::{Json, Path};
use crate::http::guard::GatewayCaller;
use crate::problem::{Problem, word};
use crate::refusals::Who;
use crate::store::{CreateError, Store};

pub(crate) async fn grants(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<GatewayCaller>,
    headers: HeaderMap,
    Json(body): Json<UploadGrantRequest>,
) -> Result<Json<UploadGrantAnswer>, Problem> {
    let now = clock::now();
    let objects = body.objects;
    if objects.is_empty() || objects.len() > UPLOAD_OBJECTS_MAX {
        return Err(Problem::invalid(format!("A request names 1 to {UPLOAD_OBJECTS_MAX} objects.")));
    }
    let authority = authority(&headers)?;
    let names: Vec<String> = objects.iter().map(|object| object.name.clone()).collect();
    let _minting = app.rosters.minting().await;
    // Not the guard's: the gateway may have been revoked since.
    let roster = app.roster(caller.org, now).await?;
    let decisions = app.decide_uploads(caller.org, caller.gateway, &roster, objects, now).await?;

    // One entry in the history each, in one transaction; then the tokens.
    let mut permits = Vec::new();
    let mut refused = Vec::new();
    for decision in decisions {
        match decision {
            Ok(permit) => {
                permits.push(permit);
                refused.push(None);
            }
            Err(denial) => {
                app.metrics.denials.add(1);
                tracing::info!(gateway = %caller.gateway, "upload denied: {denial}");
                app.refusals.count(Who::gateway(&caller), "mint_upload".to_owned(), word(&denial));
                refused.push(Some(denial.to_string()));
            }
        }
    }
    let mut audited = Permit::record_all(permits, &app.recorder).await?.into_iter();
    let mut grants = Vec::with_capacity(names.len());
    for (name, refused) in names.into_iter().zip(refused) {
        let permit = if refused.is_none() { audited.next() } else { None };
        grants.push(match permit {
            Some(permit) => {
                let token = app.broker.upload_token(&permit, &authority, now).await?;
                app.metrics.upload_tokens.add(1);
                let (url, expires_at) = (Some(token.url), token.expires_at);
                UploadGrant { name, url, headers: token.headers, expires_at, refused }
            }
            None => UploadGrant { name, url: None, headers: BTreeMap::new(), expires_at: now, refused },
        });
    }
    Ok(Json(UploadGrantAnswer { grants }))
}

/// Where the gateway reached us: it will reach the folder store there too.
fn authority(headers: &HeaderMap) -> Result<String, Problem> {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let authority = host.and_then(|host| host.parse::<Authority>().ok());
    let authority = authority.filter(|authority| !authority.as_str().contains('@'));
    authority
        .map(|authority| authority.to_string())
        .ok_or_else(|| Problem::invalid("The Host header names no host."))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Signed {
    expires: u64,
    sig: Hash,
}

/// `PUT /store/v1/{container}/{name}?expires=…&sig=…`. Everything that is not
/// exactly what the token is for looks the same from outside.
pub(crate) async fn put(
    State(app): State<Arc<App>>,
    Path((container_name, name)): Path<(String, String)>,
    query: Result<Query<Signed>, axum::extract::rejection::QueryRejection>,
    request: Request,
) -> Result<StatusCode, Problem> {
    let now = clock::now();
    let Store::Folder(folder) = &app.store else { return Err(Problem::not_found()) };
    let headers = request.headers();
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let bytes = text(header::CONTENT_LENGTH.as_str()).and_then(|length| length.parse::<u64>().ok());
    let sha256 = text(SHA256_HEADER).and_then(|digest| digest.parse::<Hash>().ok());
    let create_only = text(header::IF_NONE_MATCH.as_str()) == Some("*");
    let (Ok(Query(signed)), Some(container), Some(bytes), Some(sha256), true) =
        (query, container(&container_name), bytes, sha256, create_only)
    else {
        return Err(refused());
    };
    let object = UploadObject { container, name, bytes, sha256 };
    let named = ObjectName::parse(container, &object.name).is_ok_and(|name| bytes <= name.bytes_max());
    if !named || !app.broker.verify(&object, Timestamp(signed.expires), signed.sig, now) {
        return Err(refused());
    }
    let body = Body::into_data_stream(request.into_body());
    match folder.create(container, &object.name, bytes, sha256, body).await {
        Ok(()) => Ok(StatusCode::CREATED),
        Err(CreateError::Exists) => Err(Problem::new(
            StatusCode::CONFLICT,
            "exists",
            "An object of this name exists; the name says what it contains.",
            "Report it as it is.",
        )),
        Err(error @ (CreateError::Mismatch | CreateError::Body)) => Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "other_content",
            format!("Not stored: {error}."),
            "Send it again.",
        )),
        Err(CreateError::Io(error)) => {
            Err(Problem::internal(anyhow::Error::new(error).context("the store folder could not be written")))
        }
    }
}

fn refused() -> Problem {
    Problem::new(
        StatusCode::FORBIDDEN,
        "upload_refused",
        "The URL does not allow this upload: it is for another object, or has ended.",
        "Ask for a new grant at /gateway/v1/upload-grants, and send exactly what it is for.",
    )
}
