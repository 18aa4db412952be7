//! The web app, from inside the binary. Every address that is no file of it
//! gets the page itself, which routes by address; the API's addresses do not.

use axum::extract::Path;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use rust_embed::Embed;

use crate::problem::Problem;

#[derive(Embed)]
#[folder = "$LENSKEEP_WEB_DIST"]
struct WebApp;

/// The build puts a digest of the content into the names of these files.
const HASHED: &str = "assets/";
/// Links to what was shared: they have a page of their own, without the app.
const SHARED: &str = "s/";
/// Never the page: programs that mistype should learn it.
const NOT_PAGES: [&str; 4] = ["api/", "gateway/", "scim/", "store/"];

pub(crate) async fn index() -> Response {
    file("index.html").unwrap_or_else(|| Problem::not_found().into_response())
}

pub(crate) async fn path(Path(path): Path<String>) -> Response {
    if let Some(response) = file(&path) {
        return response;
    }
    if path.starts_with(HASHED) || NOT_PAGES.iter().any(|prefix| path.starts_with(prefix)) {
        return Problem::not_found().into_response();
    }
    let page = if path.starts_with(SHARED) { "shared.html" } else { "index.html" };
    file(page).unwrap_or_else(|| Problem::not_found().into_response())
}

fn file(path: &str) -> Option<Response> {
    let file = WebApp::get(path)?;
    let caching = if path.starts_with(HASHED) { "public, max-age=31536000, immutable" } else { "no-cache" };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(media_type(path))),
        (header::CACHE_CONTROL, HeaderValue::from_static(caching)),
    ];
    Some((StatusCode::OK, headers, axum::body::Bytes::from_owner(file.data)).into_response())
}

fn media_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, extension)| extension) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("json" | "map") => "application/json",
        Some("webmanifest") => "application/manifest+json",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("ico") => "image/vnd.microsoft.icon",
        Some("woff2") => "font/woff2",
        Some("wasm") => "application/wasm",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}
