//! That a request comes from where its session was opened: by a proof of the
//! session's key (`seal::dpop`). A cookie that was copied is worth nothing
//! without the key, which browsers keep and do not give away.
//!
//! A proof is fresh because it carries one of our last two nonces, so that no
//! clock but ours counts, and it is taken once by each process.

mod seen;

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use model::{Hash, Timestamp};
use seal::dpop::{PROOF_HEADER, Proof};
use url::Url;

use self::seen::{Nonces, Seen, Spent};
use crate::app::App;
use crate::clock;
use crate::problem::Problem;
use crate::refusals::Why;

/// What this process knows of the proofs that it was shown.
#[derive(Debug, Default)]
pub(crate) struct Proofs {
    nonces: Nonces,
    seen: Seen,
}

/// The key that a session is about to be bound to: whoever sends the request
/// has shown that they hold it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeldKey(pub(crate) Hash);

impl App {
    /// The nonce that the next proofs must carry.
    pub(crate) fn proof_nonce(&self, now: Timestamp) -> HeaderValue {
        let nonce = self.proofs.nonces.current(&self.vault, now);
        HeaderValue::try_from(nonce).expect("base64url")
    }

    /// Holds a request of a session to the session's key.
    pub(crate) fn check_proof(
        &self,
        (method, path): (&Method, &str),
        headers: &HeaderMap,
        key: Hash,
        now: Timestamp,
    ) -> Result<(), Problem> {
        let (proof, period) = self.proof((method, path), headers, now)?;
        if proof.key() != key {
            return Err(refused("The session was opened with another key."));
        }
        match self.proofs.seen.spend(period, key, proof.name()) {
            Spent::First => Ok(()),
            Spent::Again => Err(refused("The proof was used before.")),
            Spent::TooMany => Err(Problem::too_many()),
        }
    }

    /// A proof about this request, with the period of its nonce.
    fn proof(
        &self,
        (method, path): (&Method, &str),
        headers: &HeaderMap,
        now: Timestamp,
    ) -> Result<(Proof, u64), Problem> {
        let proof = shown(headers)?;
        let here = proof.method() == method.as_str()
            && is_at(proof.address(), path, |origin| self.passkeys.is_ours(origin));
        if !here {
            return Err(refused("The proof is about another request."));
        }
        let period = proof.nonce().and_then(|nonce| self.proofs.nonces.period_of(&self.vault, nonce, now));
        Ok((proof, period.ok_or_else(nonce_needed)?))
    }
}

impl FromRequestParts<Arc<App>> for HeldKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let (proof, _) = app.proof((&parts.method, parts.uri.path()), &parts.headers, clock::now())?;
        Ok(HeldKey(proof.key()))
    }
}

fn shown(headers: &HeaderMap) -> Result<Proof, Problem> {
    let mut values = headers.get_all(PROOF_HEADER).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(refused("The request carries no proof of its session's key."));
    };
    Proof::parse(value.as_bytes()).map_err(|error| refused(&format!("The proof is not valid: {error}.")))
}

/// Whether `htu` is this path at an origin of ours, and nothing more.
fn is_at(htu: &str, path: &str, is_ours: impl Fn(&str) -> bool) -> bool {
    let Ok(url) = Url::parse(htu) else { return false };
    let bare = url.query().is_none() && url.fragment().is_none();
    let nobody = url.username().is_empty() && url.password().is_none();
    bare && nobody && url.path() == path && is_ours(&url.origin().ascii_serialization())
}

fn refused(message: &str) -> Problem {
    Problem::new(
        StatusCode::UNAUTHORIZED,
        "proof_refused",
        message,
        "Send a DPoP proof (RFC 9449) by the key with which the session was opened; if it is lost, sign in again.",
    )
    .refusing(Why::Proof)
}

/// Part of the way things go, and nobody's fault.
fn nonce_needed() -> Problem {
    Problem::new(
        StatusCode::UNAUTHORIZED,
        "use_dpop_nonce",
        "The proof does not carry the nonce of the server.",
        "Make it again with the nonce in this answer's header DPoP-Nonce.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_ours_to_the_letter() {
        let at = |htu: &str| is_at(htu, "/api/v1/me", |origin| origin == "https://cameras.example.org");
        assert!(at("https://cameras.example.org/api/v1/me"));
        assert!(at("https://cameras.example.org:443/api/v1/me"));
        for htu in [
            "https://cameras.example.org/api/v1/me?a=b",
            "https://cameras.example.org/api/v1/me?",
            "https://cameras.example.org/api/v1/me#c",
            "https://cameras.example.org/api/v1/me/",
            "https://ada@cameras.example.org/api/v1/me",
            "https://cameras.example.org.evil.example/api/v1/me",
            "http://cameras.example.org/api/v1/me",
            "https://cameras.example.org:8443/api/v1/me",
            "/api/v1/me",
            "",
        ] {
            assert!(!at(htu), "{htu}");
        }
    }
}
