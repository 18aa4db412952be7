//! OpenID providers whose people may sign in (OpenID Connect Core 1.0, code
//! flow with PKCE). A provider says who somebody is and in which groups; it
//! opens no picture, and is believed about its own people alone.
//!
//! What comes back is held to what was asked: by `state`, which is bound to the
//! key of the browser that asked; by the provider's own return address and
//! `iss` (RFC 9207), against mix-up; by PKCE and `nonce`, against codes and
//! tokens of other sign-ins; by `aud` and `azp`, against tokens of other clients.

use std::path::Path;

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::jwk::{Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use model::{Hash, Secret, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::Mutex;
use url::Url;
use url::form_urlencoded::{Serializer, byte_serialize};

use crate::config::{IdentityProviderSection, is_confidential};
use crate::outbound::{self, AnswerError};
use crate::random;

/// Of any answer of a provider.
const ANSWER_BYTES_MAX: usize = 1 << 20;
const ID_TOKEN_BYTES_MAX: usize = 64 << 10;
const KEYS_MAX: usize = 100;
/// Groups of one person; Microsoft Entra ID names at most 200.
pub(crate) const GROUPS_MAX: usize = 1_000;
const TEXT_CHARS_MAX: usize = 255;
/// How long discovery and keys are good; an unknown key asks again sooner.
const FRESH_MS: u64 = Timestamp::HOUR;
const AGAIN_MS: u64 = Timestamp::MINUTE;
/// Whoever signed in there longer ago is asked again, where the provider heeds it.
const AGE_MAX_S: u64 = 600;
/// For clocks that differ.
const LEEWAY_S: u64 = 60;
/// Signatures alone: what is keyed by the client's secret proves no provider.
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

#[derive(Debug)]
pub(crate) struct Provider {
    pub(crate) section: IdentityProviderSection,
    secret: Option<Secret>,
    http: reqwest::Client,
    known: Mutex<Option<Known>>,
}

#[derive(Clone, Debug)]
struct Known {
    document: Document,
    keys: Vec<Jwk>,
    at: Timestamp,
}

/// The part of a discovery document that is used (OpenID Connect Discovery 1.0
/// section 3).
#[derive(Clone, Debug, Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: Url,
    token_endpoint: Url,
    userinfo_endpoint: Option<Url>,
    jwks_uri: Url,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
}

/// What a sign-in that has begun will be held to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Asked {
    pub(crate) provider: String,
    /// Thumbprint of the key of the browser that asked.
    pub(crate) key: Hash,
    nonce: Hash,
    verifier: Hash,
    redirect: Url,
}

/// What the provider says about somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claimed {
    pub(crate) subject: String,
    pub(crate) name: Option<String>,
    pub(crate) groups: Vec<String>,
    pub(crate) two_factors: bool,
    /// They have signed in there a moment ago, and were not merely still known.
    pub(crate) just_now: bool,
    /// What a directory knows them by.
    pub(crate) link: Option<String>,
}

/// None of them holds a code or a token.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProviderError {
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    #[error("{0}")]
    Refused(String),
}

fn refused(why: &str) -> ProviderError {
    ProviderError::Refused(why.to_owned())
}

#[derive(Deserialize)]
struct Tokens {
    id_token: String,
    access_token: Secret,
}

impl Provider {
    pub(crate) fn open(section: &IdentityProviderSection) -> anyhow::Result<Self> {
        let place = |key: &str, path: &Path| {
            format!("identity_providers.{key} {} of \"{}\" could not be read", path.display(), section.id)
        };
        let http = outbound::client(section.ca_file.as_deref())
            .with_context(|| format!("identity_providers.ca_file of \"{}\"", section.id))?;
        let secret = match &section.client_secret_file {
            Some(path) => {
                let text =
                    std::fs::read_to_string(path).with_context(|| place("client_secret_file", path))?;
                ensure!(!text.trim().is_empty(), "{}", place("client_secret_file", path));
                Some(Secret::new(text.trim().to_owned()))
            }
            None => None,
        };
        Ok(Provider { section: section.clone(), secret, http, known: Mutex::default() })
    }

    /// Where to send the browser, and what its answer will be held to. `state`
    /// names the sign-in.
    pub(crate) async fn begin(
        &self,
        state: Hash,
        key: Hash,
        public_url: &Url,
        now: Timestamp,
    ) -> Result<(Url, Asked), ProviderError> {
        let known = self.known(now, FRESH_MS).await?;
        let mut redirect = public_url.clone();
        redirect.set_path(&format!("/sign-in/{}", self.section.id));
        let (nonce, verifier) = (random::token(), random::token());
        let challenge = BASE64_URL_SAFE_NO_PAD.encode(seal::sha256(verifier.to_string().as_bytes()).0);
        let mut scopes = vec!["openid", "profile"];
        scopes.extend(self.section.scopes.iter().map(String::as_str));
        let mut location = known.document.authorization_endpoint;
        location
            .query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.section.client_id)
            .append_pair("redirect_uri", redirect.as_str())
            .append_pair("scope", &scopes.join(" "))
            .append_pair("state", &state.to_string())
            .append_pair("nonce", &nonce.to_string())
            .append_pair("max_age", &AGE_MAX_S.to_string())
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256");
        let provider = self.section.id.clone();
        Ok((location, Asked { provider, key, nonce, verifier, redirect }))
    }

    /// Turns the code into what the provider says. `issuer` is the `iss` that
    /// came with it.
    pub(crate) async fn finish(
        &self,
        asked: &Asked,
        code: &Secret,
        issuer: Option<&str>,
        now: Timestamp,
    ) -> Result<Claimed, ProviderError> {
        let mut known = self.known(now, FRESH_MS).await?;
        match issuer {
            Some(issuer) if issuer != known.document.issuer => {
                return Err(refused("the answer is another provider's"));
            }
            None if known.document.authorization_response_iss_parameter_supported => {
                return Err(refused("the answer does not say whose it is"));
            }
            _ => {}
        }
        let tokens: Tokens = answer(self.token_request(&known.document, asked, code)).await?;
        let mut verified = self.verify(&tokens.id_token, &known.keys, asked);
        if matches!(verified, Err(TokenError::Key)) {
            known = self.known(now, AGAIN_MS).await?;
            verified = self.verify(&tokens.id_token, &known.keys, asked);
        }
        let mut claims = verified.map_err(|error| refused(&format!("the ID token: {error}")))?;
        let subject = text(&claims, "sub").ok_or_else(|| refused("the ID token names nobody"))?;
        if let Some(endpoint) = &known.document.userinfo_endpoint {
            let request = self.http.get(endpoint.clone()).bearer_auth(tokens.access_token.expose());
            let said: Map<String, Value> = answer(request).await?;
            if text(&said, "sub").as_ref() != Some(&subject) {
                return Err(refused("the access token is somebody else's"));
            }
            // The ID token is signed, and goes before.
            for (name, value) in said {
                claims.entry(name).or_insert(value);
            }
        }
        Ok(self.claimed(subject, &claims, now))
    }

    fn claimed(&self, subject: String, claims: &Map<String, Value>, now: Timestamp) -> Claimed {
        let IdentityProviderSection { groups_claim, link_claim, second_factor_acr, .. } = &self.section;
        let names = ["name", "preferred_username", "email"];
        let mfa = list(claims, "amr").iter().any(|method| method == "mfa");
        let acr = text(claims, "acr").is_some_and(|acr| second_factor_acr.contains(&acr));
        let since = claims.get("auth_time").and_then(Value::as_u64);
        let now_s = now.0 / Timestamp::SECOND;
        Claimed {
            just_now: since.is_some_and(|since| now_s.saturating_sub(since) <= AGE_MAX_S + LEEWAY_S),
            subject,
            name: names.iter().find_map(|name| text(claims, name)),
            groups: list(claims, groups_claim),
            two_factors: mfa || acr,
            link: text(claims, link_claim),
        }
    }

    fn token_request(&self, document: &Document, asked: &Asked, code: &Secret) -> reqwest::RequestBuilder {
        let IdentityProviderSection { client_id, .. } = &self.section;
        let mut form = Serializer::new(String::new());
        form.append_pair("grant_type", "authorization_code")
            .append_pair("code", code.expose())
            .append_pair("redirect_uri", asked.redirect.as_str())
            .append_pair("code_verifier", &asked.verifier.to_string());
        let mut request = self.http.post(document.token_endpoint.clone());
        // What a provider that says nothing takes (Discovery section 3).
        let basic = document
            .token_endpoint_auth_methods_supported
            .as_ref()
            .is_none_or(|methods| methods.iter().any(|method| method == "client_secret_basic"));
        match &self.secret {
            Some(secret) if basic => {
                // Both are encoded as in a form (RFC 6749 section 2.3.1).
                let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
                let pair = format!("{}:{}", encoded(client_id), encoded(secret.expose()));
                let value = format!("Basic {}", BASE64_STANDARD.encode(pair));
                request = request.header(reqwest::header::AUTHORIZATION, value);
            }
            Some(secret) => {
                form.append_pair("client_id", client_id).append_pair("client_secret", secret.expose());
            }
            None => {
                form.append_pair("client_id", client_id);
            }
        }
        let form_type = "application/x-www-form-urlencoded";
        request.header(reqwest::header::CONTENT_TYPE, form_type).body(form.finish())
    }

    fn verify(&self, token: &str, keys: &[Jwk], asked: &Asked) -> Result<Map<String, Value>, TokenError> {
        verify(token, keys, &self.section.issuer, &self.section.client_id, asked.nonce)
    }

    /// Discovery and keys, at most so old.
    async fn known(&self, now: Timestamp, age_ms: u64) -> Result<Known, ProviderError> {
        let mut known = self.known.lock().await;
        if let Some(known) = known.as_ref().filter(|known| now.ms_since(known.at) < age_ms) {
            return Ok(known.clone());
        }
        let issuer = &self.section.issuer;
        let address = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let document: Document = answer(self.http.get(address)).await?;
        if document.issuer != *issuer {
            return Err(refused("its discovery document is another issuer's"));
        }
        let https = issuer.starts_with("https:");
        let endpoints = [&document.authorization_endpoint, &document.token_endpoint, &document.jwks_uri];
        for endpoint in endpoints.into_iter().chain(&document.userinfo_endpoint) {
            if !is_confidential(endpoint) || (https && endpoint.scheme() != "https") {
                return Err(refused("its discovery document names an address without TLS"));
            }
        }
        let set: KeySet = answer(self.http.get(document.jwks_uri.clone())).await?;
        // Keys of kinds that nobody here knows are nobody's fault.
        let keys = set.keys.into_iter().take(KEYS_MAX).filter_map(|key| serde_json::from_value(key).ok());
        let keys = keys.filter(|key: &Jwk| {
            key.common.public_key_use.as_ref().is_none_or(|purpose| *purpose == PublicKeyUse::Signature)
        });
        let fresh = Known { document, keys: keys.collect(), at: now };
        *known = Some(fresh.clone());
        Ok(fresh)
    }
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Value>,
}

/// The JSON of an answer; what else it says is not repeated.
async fn answer<T: serde::de::DeserializeOwned>(
    request: reqwest::RequestBuilder,
) -> Result<T, ProviderError> {
    let unreachable = |error: reqwest::Error| ProviderError::Unreachable(error.without_url().to_string());
    let response =
        request.header(reqwest::header::ACCEPT, "application/json").send().await.map_err(unreachable)?;
    let status = response.status();
    let body = outbound::body(response, ANSWER_BYTES_MAX).await.map_err(|error| match error {
        AnswerError::Broken(error) => unreachable(error),
        AnswerError::TooLong(_) => refused("it says more than 1 MiB"),
    })?;
    if status.is_server_error() {
        return Err(ProviderError::Unreachable(format!("it answers {status}")));
    }
    if !status.is_success() {
        // `invalid_grant` and its like (RFC 6749 section 5.2).
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let code = body["error"].as_str().unwrap_or_default();
        let code: String = code.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(60).collect();
        return Err(refused(&format!("it answers {status} {code}")));
    }
    serde_json::from_slice(&body).map_err(|_| refused("its answer is not what the standard says"))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum TokenError {
    #[error("it is no JWT of at most {ID_TOKEN_BYTES_MAX} bytes")]
    Form,
    #[error("it is of another type, or not signed by a public key")]
    Algorithm,
    #[error("the provider has no such key")]
    Key,
    #[error("signature, issuer, audience or time is not right")]
    Invalid,
    #[error("it is for another client")]
    Party,
    #[error("it is of another sign-in")]
    Nonce,
}

/// The claims of an ID token (OpenID Connect Core section 3.1.3.7).
fn verify(
    token: &str,
    keys: &[Jwk],
    issuer: &str,
    client: &str,
    nonce: Hash,
) -> Result<Map<String, Value>, TokenError> {
    if token.len() > ID_TOKEN_BYTES_MAX {
        return Err(TokenError::Form);
    }
    let header = decode_header(token).map_err(|_| TokenError::Form)?;
    // Another type of token is not to be taken for this one (RFC 8725 section 3.11).
    let plain = header.typ.as_deref().is_none_or(|typ| typ.eq_ignore_ascii_case("JWT"));
    if !plain || !ALGORITHMS.contains(&header.alg) {
        return Err(TokenError::Algorithm);
    }
    let key = match &header.kid {
        Some(kid) => keys.iter().find(|key| key.common.key_id.as_ref() == Some(kid)),
        None => keys.first().filter(|_| keys.len() == 1),
    };
    let key = DecodingKey::from_jwk(key.ok_or(TokenError::Key)?).map_err(|_| TokenError::Key)?;
    let mut validation = Validation::new(header.alg);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    validation.set_issuer(&[issuer]);
    validation.set_audience(&[client]);
    validation.validate_nbf = true;
    let claims: Map<String, Value> =
        decode(token, &key, &validation).map_err(|_| TokenError::Invalid)?.claims;
    let others = claims.get("aud").and_then(Value::as_array).is_some_and(|audience| audience.len() > 1);
    match claims.get("azp") {
        None if others => return Err(TokenError::Party),
        Some(party) if party != client => return Err(TokenError::Party),
        _ => {}
    }
    if claims.get("nonce").and_then(Value::as_str) != Some(nonce.to_string().as_str()) {
        return Err(TokenError::Nonce);
    }
    Ok(claims)
}

/// A claim that is a text, printable and of a sane length.
fn text(claims: &Map<String, Value>, name: &str) -> Option<String> {
    let text = claims.get(name)?.as_str()?;
    is_plain(text).then(|| text.to_owned())
}

fn is_plain(text: &str) -> bool {
    (1..=TEXT_CHARS_MAX).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

/// A claim that is a list of texts, or one text.
fn list(claims: &Map<String, Value>, name: &str) -> Vec<String> {
    let of = |value: &Value| value.as_str().filter(|text| is_plain(text)).map(str::to_owned);
    let mut found: Vec<String> = match claims.get(name) {
        Some(Value::Array(values)) => values.iter().filter_map(of).take(GROUPS_MAX).collect(),
        Some(value) => of(value).into_iter().collect(),
        None => Vec::new(),
    };
    found.sort_unstable();
    found.dedup();
    found
}

#[cfg(test)]
mod tests;
