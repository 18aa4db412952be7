//! An OpenID provider that does what a test tells it: an honest one is in the
//! browser's tests.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use cloud::{GroupRoles, IdentityProviderSection};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use url::Url;
use url::form_urlencoded::parse;

use super::now;

pub(crate) struct Provider {
    pub(crate) section: IdentityProviderSection,
    shared: Arc<Shared>,
}

struct Shared {
    key: EncodingKey,
    jwk: Jwk,
    lies: Mutex<Lies>,
}

/// What the provider answers, instead of what it should.
#[derive(Default)]
pub(crate) struct Lies {
    pub(crate) document: BTreeMap<&'static str, Value>,
    pub(crate) claims: BTreeMap<&'static str, Value>,
    pub(crate) userinfo: BTreeMap<&'static str, Value>,
    /// `nonce` and `code_challenge` of the sign-in that the code is of.
    pub(crate) asked: BTreeMap<String, String>,
}

impl Provider {
    pub(crate) async fn start(id: &str) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let key = EncodingKey::from_ec_der(&rcgen::KeyPair::generate().unwrap().serialize_der());
        let mut jwk = Jwk::from_encoding_key(&key, Algorithm::ES256).unwrap();
        jwk.common.key_id = Some("k".to_owned());
        let shared = Arc::new(Shared { key, jwk, lies: Mutex::default() });
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(document))
            .route("/keys", get(keys))
            .route("/token", post(token))
            .route("/me", get(userinfo))
            .with_state((shared.clone(), issuer.clone()));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let roles = [("guards".to_owned(), ["operator all".parse().unwrap()].into())];
        let section = IdentityProviderSection {
            id: id.to_owned(),
            name: id.to_uppercase(),
            issuer,
            client_id: "lenskeep".to_owned(),
            client_secret_file: None,
            scopes: Vec::new(),
            groups_claim: "groups".to_owned(),
            create_people: true,
            link_claim: "sub".to_owned(),
            second_factor_acr: Vec::new(),
            roles: GroupRoles(roles.into()),
            ca_file: None,
        };
        Provider { section, shared }
    }

    pub(crate) fn lie(&self, change: impl FnOnce(&mut Lies)) {
        change(&mut self.shared.lies.lock().unwrap());
    }

    /// As if somebody had signed in there: what comes back to the page.
    pub(crate) fn sign_in(&self, location: &Value) -> (String, Value) {
        let location = Url::parse(location.as_str().unwrap()).unwrap();
        let asked: BTreeMap<String, String> = location.query_pairs().into_owned().collect();
        let state = asked["state"].clone();
        assert_eq!(asked["code_challenge_method"], "S256");
        self.lie(|lies| lies.asked = asked);
        (state.clone(), json!({ "state": state, "code": "c", "iss": self.section.issuer }))
    }
}

type Shares = State<(Arc<Shared>, String)>;

fn told(base: Value, lies: &BTreeMap<&'static str, Value>) -> Json<Value> {
    let mut told = base;
    for (name, value) in lies {
        told[*name] = value.clone();
    }
    Json(told)
}

async fn document(State((shared, issuer)): Shares) -> Json<Value> {
    let base = json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/auth"),
        "token_endpoint": format!("{issuer}/token"),
        "userinfo_endpoint": format!("{issuer}/me"),
        "jwks_uri": format!("{issuer}/keys"),
        "authorization_response_iss_parameter_supported": true,
    });
    told(base, &shared.lies.lock().unwrap().document)
}

async fn keys(State((shared, _)): Shares) -> Json<Value> {
    // One of a kind that nobody knows stands beside it.
    Json(json!({ "keys": [{ "kty": "FUTURE" }, shared.jwk] }))
}

async fn token(State((shared, issuer)): Shares, body: String) -> Response {
    let lies = shared.lies.lock().unwrap();
    let form: BTreeMap<String, String> = parse(body.as_bytes()).into_owned().collect();
    let challenge = seal::sha256(form["code_verifier"].as_bytes());
    let challenge = base64::Engine::encode(&base64::prelude::BASE64_URL_SAFE_NO_PAD, challenge.0);
    let asked = |name: &str| lies.asked.get(name).cloned().unwrap_or_default();
    if form["code"] != "c"
        || challenge != asked("code_challenge")
        || form["redirect_uri"] != asked("redirect_uri")
    {
        return (StatusCode::BAD_REQUEST, Json(json!({ "error": "invalid_grant" }))).into_response();
    }
    let base = json!({
        "iss": issuer, "aud": "lenskeep", "sub": "ada", "name": "Ada", "nonce": asked("nonce"),
        "exp": 4_000_000_000_u64, "iat": 1, "groups": ["guards"], "auth_time": now().0 / 1_000,
    });
    let Json(claims) = told(base, &lies.claims);
    let mut header = Header::new(Algorithm::ES256);
    header.kid = Some("k".to_owned());
    let id_token = encode(&header, &claims, &shared.key).unwrap();
    Json(json!({ "token_type": "Bearer", "access_token": "t", "id_token": id_token })).into_response()
}

async fn userinfo(State((shared, _)): Shares) -> Json<Value> {
    let lies = shared.lies.lock().unwrap();
    let subject = lies.claims.get("sub").cloned().unwrap_or_else(|| json!("ada"));
    told(json!({ "sub": subject }), &lies.userinfo)
}
