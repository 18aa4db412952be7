//! `lenskeep app`: the web app that is inside this program, on an origin of
//! its own (`http://localhost:8475`), which makes a browser there a device of
//! its own. The page and its scripts come from the binary; the cloud answers
//! under `/api/` only, and `forward` sees to it that no answer can run. Where
//! the cloud is away, `site` asks a gateway of this network.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::get;
use axum::{Json, Router};
use model::Hash;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use url::Url;

use crate::forward::{self, Forward, problem};
use crate::home::Home;
use crate::site;
use crate::up::APP_PORT;

/// Where `lenskeep up` is.
const CLOUD_HERE: &str = "http://localhost:8470";

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Address of the cloud. Default: that of this device; without a device
    /// http://localhost:8470, which is `lenskeep up`.
    #[arg(long, value_name = "URL")]
    cloud: Option<Url>,
    /// The cloud must allow http://localhost:PORT in `app_origins`.
    #[arg(long, default_value_t = APP_PORT, value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
    /// SHA-256 of the cloud's certificate (DER). With it, that certificate is
    /// trusted and no other, whoever issued it.
    #[arg(long, value_name = "SHA256")]
    pin: Option<Hash>,
}

pub(crate) async fn app(home: &Home, arguments: Arguments) -> anyhow::Result<()> {
    let Arguments { cloud, port, pin } = arguments;
    let cloud = match cloud {
        Some(cloud) => cloud,
        None if home.has_device() => home.device()?.cloud,
        None => Url::parse(CLOUD_HERE)?,
    };
    let origin = format!("http://localhost:{port}");
    ensure!(
        cloud.origin().ascii_serialization() != origin,
        "{cloud} is where this command serves the app; give the cloud's own address with --cloud"
    );
    let listeners = listen(port).await?;
    let router = router(Forward::new(&cloud, &origin, pin)?, &origin, port);
    println!("Lenskeep {} serves its web app at {origin}", env!("CARGO_PKG_VERSION"));
    println!("The cloud is {}. Ctrl+C ends this.", cloud.origin().ascii_serialization());

    let mut terminate = signal(SignalKind::terminate())?;
    let serve = listeners.into_iter().map(|listener| axum::serve(listener, router.clone()).into_future());
    tokio::select! {
        served = futures_util::future::try_join_all(serve) => served.map(drop).context("the app's port"),
        // Nothing here must be brought to an end: all state is the cloud's
        // and the browser's.
        _ = tokio::signal::ctrl_c() => Ok(()),
        _ = terminate.recv() => Ok(()),
    }
}

/// Both loopback addresses, since browsers take `localhost` for either: who
/// had the other one would serve a page to our origin.
async fn listen(port: u16) -> anyhow::Result<Vec<TcpListener>> {
    let v4 = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let v6 = SocketAddr::from((Ipv6Addr::LOCALHOST, port));
    let taken = |address: SocketAddr| {
        format!("{address} cannot be listened on; is `lenskeep app` running already? (--port)")
    };
    let mut listeners = vec![TcpListener::bind(v4).await.with_context(|| taken(v4))?];
    match TcpListener::bind(v6).await {
        Ok(listener) => listeners.push(listener),
        Err(error) if error.kind() == ErrorKind::AddrInUse => return Err(error).with_context(|| taken(v6)),
        Err(error) => tracing::debug!("no IPv6 on this machine: {error}"),
    }
    Ok(listeners)
}

fn router(forward: Forward, origin: &str, port: u16) -> Router {
    let way = get(forward::forward).post(forward::forward).put(forward::forward).delete(forward::forward);
    // What people hand on must lead others to the cloud, and not here.
    let cloud = Json(json!({ "origin": forward.cloud() }));
    let api = Router::new().route("/api/{*path}", way).with_state(Arc::new(forward));
    let api = api.merge(site::router(origin, port)).route("/api/site/cloud", get(async || cloud));
    api.layer(middleware::map_response(forward::harmless))
        .merge(cloud::web_app())
        .layer(middleware::from_fn_with_state(port, own_host))
}

/// Refuses pages of others that had their name point here. The address in
/// digits is another origin, without passkeys; pages move on to the name.
async fn own_host(State(port): State<u16>, request: Request, next: Next) -> Response {
    let host = single(request.headers(), &header::HOST).unwrap_or_default().to_ascii_lowercase();
    let is_api = request.uri().path().starts_with("/api/");
    if host == format!("127.0.0.1:{port}") && !is_api {
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        return Redirect::temporary(&format!("http://localhost:{port}{path}")).into_response();
    }
    if host != format!("localhost:{port}") && host != format!("127.0.0.1:{port}") {
        let refusal = problem(
            StatusCode::MISDIRECTED_REQUEST,
            "other_host",
            "This program does not answer to that name.",
            &format!("Open http://localhost:{port}."),
        );
        return forward::harmless(refusal).await;
    }
    next.run(request).await
}

/// A header that stands exactly once.
pub(crate) fn single<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    values.next().is_none().then(|| value.to_str().ok())?
}
