//! Calls to other servers: one kind of client, and answers of a bounded length.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;

const CONNECT_MAX: Duration = Duration::from_secs(5);
const REQUEST_MAX: Duration = Duration::from_secs(10);

#[derive(Debug, thiserror::Error)]
pub(crate) enum AnswerError {
    #[error("{0}")]
    Broken(reqwest::Error),
    #[error("it says more than {0} bytes")]
    TooLong(usize),
}

/// Follows no redirect: an answer is of whom was asked. `ca_file` stands for
/// the system's certificates.
pub(crate) fn client(ca_file: Option<&Path>) -> anyhow::Result<reqwest::Client> {
    let mut http = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_MAX)
        .timeout(REQUEST_MAX);
    if let Some(path) = ca_file {
        let place = || format!("{} could not be read", path.display());
        let pem = std::fs::read(path).with_context(place)?;
        http = http.tls_certs_only(reqwest::Certificate::from_pem_bundle(&pem).with_context(place)?);
    }
    http.build().context("the HTTP client could not be made")
}

pub(crate) async fn body(mut response: reqwest::Response, max: usize) -> Result<Vec<u8>, AnswerError> {
    let broken = |error: reqwest::Error| AnswerError::Broken(error.without_url());
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(broken)? {
        if body.len() + piece.len() > max {
            return Err(AnswerError::TooLong(max));
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}
