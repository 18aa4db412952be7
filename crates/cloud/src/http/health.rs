//! For whoever keeps the server running; on a port of its own, by default on
//! loopback. Says nothing about anybody.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use crate::app::App;

const READY_MAX: Duration = Duration::from_secs(5);

/// The process answers.
pub(crate) async fn alive() -> &'static str {
    "ok\n"
}

/// Database and store answer, and the process is not on its way out.
pub(crate) async fn ready(State(app): State<Arc<App>>) -> Response {
    let both =
        async { tokio::try_join!(async { app.database.ping().await.map_err(Into::into) }, app.store.ping()) };
    let problem = match tokio::time::timeout(READY_MAX, both).await {
        _ if app.shutdown.is_cancelled() => "shutting down",
        Ok(Ok(_)) => return "ok\n".into_response(),
        Ok(Err(error)) => {
            tracing::warn!("not ready: {error:#}");
            "database or store do not answer; the log says more"
        }
        Err(_) => "database or store do not answer in time",
    };
    (StatusCode::SERVICE_UNAVAILABLE, format!("{problem}\n")).into_response()
}

pub(crate) async fn metrics(State(app): State<Arc<App>>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], app.metrics.text()).into_response()
}
