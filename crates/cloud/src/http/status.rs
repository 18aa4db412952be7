//! `GET /api/v1/status`: what a page must know before anybody has signed in.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use model::Hash;
use serde::Serialize;
use utoipa::ToSchema;

use super::extract::Json;
use super::providers::ProviderListing;
use crate::app::App;
use crate::problem::Problem;
use crate::providers::Provider;
use crate::serve::Peer;

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Status {
    /// An organisation exists.
    set_up: bool,
    version: &'static str,
    /// Of passkeys made at `listen.public_url`.
    rp_id: String,
    gateway_port: u16,
    /// SHA-256 of the CA certificate of the gateway port.
    #[schema(value_type = String)]
    ca_sha256: Hash,
    /// OpenID providers whose people may sign in.
    providers: Vec<ProviderListing>,
    /// The demonstration's own camera, told to this machine only.
    demo_camera: Option<DemoCameraBody>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DemoCamera)]
pub(crate) struct DemoCameraBody {
    url: String,
    sub_url: Option<String>,
    onvif_url: Option<String>,
    username: Option<String>,
    password: Option<String>,
}

#[utoipa::path(get, path = "/api/v1/status", responses((status = 200, body = Status)))]
pub(crate) async fn status(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
) -> Result<Json<Status>, Problem> {
    let set_up = !app.database.organisations().await?.is_empty();
    let local = peer.address.is_loopback() && app.config.listen.viewers.ip().is_loopback();
    let demo_camera = app.config.demo_camera.as_ref().filter(|_| local).map(|camera| DemoCameraBody {
        url: camera.url.clone(),
        sub_url: camera.sub_url.clone(),
        onvif_url: camera.onvif_url.clone(),
        username: camera.username.clone(),
        password: camera.password.as_ref().map(|password| password.expose().to_owned()),
    });
    let listing = |provider: &Provider| ProviderListing {
        id: provider.section.id.clone(),
        name: provider.section.name.clone(),
    };
    Ok(Json(Status {
        set_up,
        version: env!("CARGO_PKG_VERSION"),
        rp_id: app.public_url.host_str().unwrap_or_default().to_owned(),
        gateway_port: app.gateway_port,
        ca_sha256: app.ca.fingerprint(),
        providers: app.providers.iter().map(listing).collect(),
        demo_camera,
    }))
}
