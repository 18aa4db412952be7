use jsonwebtoken::{EncodingKey, Header, encode};
use proptest::prelude::*;
use serde_json::json;

use super::*;

const ISSUER: &str = "https://id.example.org";
const CLIENT: &str = "lenskeep";
const NONCE: Hash = Hash([7; 32]);

/// A provider's key, with its public part.
fn key(id: &str) -> (EncodingKey, Jwk) {
    let secret = rcgen::KeyPair::generate().unwrap().serialize_der();
    let secret = EncodingKey::from_ec_der(&secret);
    let mut public = Jwk::from_encoding_key(&secret, Algorithm::ES256).unwrap();
    public.common.key_id = Some(id.to_owned());
    (secret, public)
}

fn claims() -> Value {
    json!({ "iss": ISSUER, "aud": CLIENT, "sub": "ada", "nonce": NONCE, "exp": 4_000_000_000_u64, "iat": 1 })
}

fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    claims
}

fn header(id: &str) -> Header {
    let mut header = Header::new(Algorithm::ES256);
    header.kid = Some(id.to_owned());
    header
}

fn outcome(token: &str, keys: &[Jwk]) -> Result<(), TokenError> {
    verify(token, keys, ISSUER, CLIENT, NONCE).map(drop)
}

#[test]
fn an_id_token_is_held_to_what_was_asked() {
    let (secret, public) = key("a");
    let keys = [public.clone(), key("b").1];
    let sign = |claims: &Value| encode(&header("a"), claims, &secret).unwrap();
    assert_eq!(outcome(&sign(&claims()), &keys), Ok(()));
    assert_eq!(outcome(&sign(&with("aud", json!([CLIENT]))), &keys), Ok(()));
    let several = |party: Value| {
        let mut claims = with("aud", json!([CLIENT, "other"]));
        claims["azp"] = party;
        sign(&claims)
    };
    assert_eq!(outcome(&several(json!(CLIENT)), &keys), Ok(()));
    for (claims, error) in [
        (with("aud", json!("other")), TokenError::Invalid),
        (with("aud", Value::Null), TokenError::Invalid),
        (with("iss", json!("https://id.example.org.evil.example")), TokenError::Invalid),
        (with("iss", Value::Null), TokenError::Invalid),
        (with("exp", json!(1_000_000_000)), TokenError::Invalid),
        (with("exp", Value::Null), TokenError::Invalid),
        (with("nbf", json!(4_000_000_000_u64)), TokenError::Invalid),
        (with("sub", Value::Null), TokenError::Invalid),
        (with("azp", json!("other")), TokenError::Party),
        (with("aud", json!([CLIENT, "other"])), TokenError::Party),
        (with("nonce", json!(Hash([8; 32]))), TokenError::Nonce),
        (with("nonce", Value::Null), TokenError::Nonce),
    ] {
        assert_eq!(outcome(&sign(&claims), &keys), Err(error), "{claims}");
    }
    assert_eq!(outcome(&several(Value::Null), &keys), Err(TokenError::Party));
}

#[test]
fn only_the_providers_own_signature_counts() {
    let (secret, public) = key("a");
    let (stranger, _) = key("a");
    let keys = [public.clone()];
    assert_eq!(
        outcome(&encode(&header("a"), &claims(), &stranger).unwrap(), &keys),
        Err(TokenError::Invalid)
    );
    assert_eq!(outcome(&encode(&header("b"), &claims(), &secret).unwrap(), &keys), Err(TokenError::Key));
    // Without a name for the key there must be one alone.
    let bare = encode(&Header::new(Algorithm::ES256), &claims(), &secret).unwrap();
    assert_eq!(outcome(&bare, &keys), Ok(()));
    assert_eq!(outcome(&bare, &[public.clone(), key("b").1]), Err(TokenError::Key));
    // By what is public, as if it were a secret; and by nothing.
    let public_text = serde_json::to_vec(&public).unwrap();
    let mut keyed = header("a");
    keyed.alg = Algorithm::HS256;
    let forged = encode(&keyed, &claims(), &EncodingKey::from_secret(&public_text)).unwrap();
    assert_eq!(outcome(&forged, &keys), Err(TokenError::Algorithm));
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let unsigned = format!("{}.{}.", part(&json!({ "alg": "none", "kid": "a" })), part(&claims()));
    assert_eq!(outcome(&unsigned, &keys), Err(TokenError::Form));
    // The header's own key is not asked.
    let mut own = header("b");
    own.jwk = Some(key("b").1);
    assert_eq!(outcome(&encode(&own, &claims(), &stranger).unwrap(), &keys), Err(TokenError::Key));
    // Another type of token.
    let mut access = header("a");
    access.typ = Some("at+jwt".to_owned());
    assert_eq!(outcome(&encode(&access, &claims(), &secret).unwrap(), &keys), Err(TokenError::Algorithm));
    let long = with("padding", json!("x".repeat(ID_TOKEN_BYTES_MAX)));
    assert_eq!(outcome(&encode(&header("a"), &long, &secret).unwrap(), &keys), Err(TokenError::Form));
    for text in ["", "a.b.c", "..", "\u{fffd}"] {
        assert_eq!(outcome(text, &keys), Err(TokenError::Form));
    }
}

#[test]
fn claims_are_texts_of_a_sane_length() {
    let claims = json!({
        "name": "Ada", "email": "a\u{0}b", "long": "x".repeat(300), "number": 1,
        "groups": ["guards", 1, "", "guards", "x\ny", "admins"], "one": "guards",
    });
    let claims = claims.as_object().unwrap();
    assert_eq!(text(claims, "name").as_deref(), Some("Ada"));
    for name in ["email", "long", "number", "none"] {
        assert_eq!(text(claims, name), None, "{name}");
    }
    assert_eq!(list(claims, "groups"), ["admins", "guards"]);
    assert_eq!(list(claims, "one"), ["guards"]);
    assert!(list(claims, "number").is_empty());
}

/// A token is three parts of base64url; whatever is in them, no key of ours
/// signed it.
#[test]
fn any_token_is_survived_and_refused() {
    let keys = [key("a").1];
    let token = encode(&header("a"), &claims(), &key("a").0).unwrap();
    proptest!(|(at in any::<prop::sample::Index>(), byte in 0x20_u8..0x7f, junk in "[ -~]{0,200}")| {
        let mut altered = token.clone().into_bytes();
        let at = at.index(altered.len());
        altered[at] = byte;
        prop_assert!(outcome(std::str::from_utf8(&altered).unwrap(), &keys).is_err());
        prop_assert!(outcome(&junk, &keys).is_err());
    });
}
