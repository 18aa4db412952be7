//! Proof of possession (DPoP, RFC 9449), for sessions in place of tokens: each
//! request of a session carries a signature of the key with which the session
//! was opened, over its own method and address (docs/protocol.md section 3).
//!
//! `ath` is not used: a page does not get to see its cookie.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Validation};
use model::{Hash, Timestamp};
use serde::{Deserialize, Serialize};

/// The request header with the proof.
pub const PROOF_HEADER: &str = "dpop";
/// The answer's header with the nonce for the requests that come next.
pub const NONCE_HEADER: &str = "dpop-nonce";
/// Longest proof; ours have about 450 bytes.
pub const PROOF_BYTES_MAX: usize = 2_048;
/// Longest name of one proof (`jti`).
pub const JTI_BYTES_MAX: usize = 128;
const TYPE: &str = "dpop+jwt";

/// A session's key on the side that asks: for programs; browsers have their own.
pub struct ProofKey {
    key: EncodingKey,
    jwk: PublicKey,
}

impl std::fmt::Debug for ProofKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ProofKey")
    }
}

/// A public key of P-256 and nothing else: a private one is refused
/// (RFC 9449 section 4.3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PublicKey {
    // In the order of RFC 7638, so that the thumbprint is over this.
    crv: String,
    kty: String,
    x: String,
    y: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    typ: String,
    alg: String,
    jwk: PublicKey,
}

#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    jti: String,
    htm: String,
    htu: String,
    /// Demanded by the RFC; what counts is the nonce.
    iat: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nonce: Option<String>,
}

/// A proof whose signature holds. For which request, and whether for the first
/// time, is still to be asked.
#[derive(Debug)]
pub struct Proof {
    /// Thumbprint of the key (RFC 7638).
    key: Hash,
    claims: Claims,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    #[error("a proof has at most {PROOF_BYTES_MAX} bytes")]
    Long,
    #[error("it is not a DPoP proof with ES256 and a public key of P-256")]
    Form,
    #[error("the signature of the proof does not hold")]
    Signature,
}

impl PublicKey {
    fn thumbprint(&self) -> Hash {
        crate::sha256(&serde_json::to_vec(self).expect("four strings"))
    }

    fn is_p256(&self) -> bool {
        let coordinate =
            |text: &str| BASE64_URL_SAFE_NO_PAD.decode(text).is_ok_and(|bytes| bytes.len() == 32);
        self.kty == "EC" && self.crv == "P-256" && coordinate(&self.x) && coordinate(&self.y)
    }
}

impl ProofKey {
    /// A new key, in this process's memory alone.
    pub fn generate() -> Self {
        let made = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING);
        let pair = made.expect("the system's random numbers");
        let secret = pair.to_pkcs8v1().expect("a key that was just made");
        // 0x04, x, y (SEC 1 section 2.3.3).
        let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
        let text = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let jwk = PublicKey { crv: "P-256".to_owned(), kty: "EC".to_owned(), x: text(x), y: text(y) };
        ProofKey { key: EncodingKey::from_ec_der(secret.as_ref()), jwk }
    }

    /// The value of the header for one request. `address` is the URL without
    /// query and fragment, `jti` is random, `now` becomes seconds.
    pub fn proof(
        &self,
        method: &str,
        address: &str,
        nonce: Option<&str>,
        jti: [u8; 16],
        now: Timestamp,
    ) -> String {
        let claims = Claims {
            jti: BASE64_URL_SAFE_NO_PAD.encode(jti),
            htm: method.to_owned(),
            htu: address.to_owned(),
            iat: now.0 / Timestamp::SECOND,
            nonce: nonce.map(str::to_owned),
        };
        let header = Header { typ: TYPE.to_owned(), alg: "ES256".to_owned(), jwk: self.jwk.clone() };
        self.sign(&header, &claims)
    }

    fn sign(&self, header: &impl Serialize, claims: &impl Serialize) -> String {
        let part = |value: Vec<u8>| BASE64_URL_SAFE_NO_PAD.encode(value);
        let header = part(serde_json::to_vec(header).expect("strings"));
        let claims = part(serde_json::to_vec(claims).expect("strings and a number"));
        let message = format!("{header}.{claims}");
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &self.key, Algorithm::ES256);
        format!("{message}.{}", signature.expect("a key that was just made"))
    }
}

impl Proof {
    pub fn parse(proof: &[u8]) -> Result<Self, ProofError> {
        if proof.len() > PROOF_BYTES_MAX {
            return Err(ProofError::Long);
        }
        let header = proof.split(|byte| *byte == b'.').next().unwrap_or_default();
        let header = BASE64_URL_SAFE_NO_PAD.decode(header).map_err(|_| ProofError::Form)?;
        let Header { typ, alg, jwk } = serde_json::from_slice(&header).map_err(|_| ProofError::Form)?;
        if typ != TYPE || alg != "ES256" || !jwk.is_p256() {
            return Err(ProofError::Form);
        }
        let key = DecodingKey::from_ec_components(&jwk.x, &jwk.y).map_err(|_| ProofError::Form)?;
        let mut rules = Validation::new(Algorithm::ES256);
        // None of these claims is in a proof; what is, is judged below.
        rules.required_spec_claims.clear();
        (rules.validate_exp, rules.validate_aud) = (false, false);
        let decoded = jsonwebtoken::decode::<Claims>(proof, &key, &rules);
        let claims = decoded.map_err(|_| ProofError::Signature)?.claims;
        if claims.jti.is_empty() || claims.jti.len() > JTI_BYTES_MAX {
            return Err(ProofError::Form);
        }
        Ok(Proof { key: jwk.thumbprint(), claims })
    }

    /// Thumbprint of the key that made it.
    pub fn key(&self) -> Hash {
        self.key
    }

    pub fn nonce(&self) -> Option<&str> {
        self.claims.nonce.as_deref()
    }

    pub fn method(&self) -> &str {
        &self.claims.htm
    }

    /// The URL that it is for, as it stands there.
    pub fn address(&self) -> &str {
        &self.claims.htu
    }

    /// What names it among the proofs of its key.
    pub fn name(&self) -> Hash {
        crate::sha256(self.claims.jti.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const ADDRESS: &str = "https://cameras.example.org/api/v1/me";

    fn header(key: &ProofKey) -> Value {
        json!({ "typ": TYPE, "alg": "ES256", "jwk": key.jwk })
    }

    fn claims() -> Value {
        json!({ "jti": "1", "htm": "GET", "htu": ADDRESS, "iat": 1 })
    }

    #[test]
    fn a_proof_says_what_it_is_for() {
        let key = ProofKey::generate();
        let proof = key.proof("GET", ADDRESS, Some("n"), [1; 16], Timestamp(1_700));
        let proof = Proof::parse(proof.as_bytes()).unwrap();
        assert_eq!((proof.key(), proof.nonce()), (key.jwk.thumbprint(), Some("n")));
        assert_eq!((proof.method(), proof.address(), proof.claims.iat), ("GET", ADDRESS, 1));
    }

    #[test]
    fn what_is_no_proof_is_refused() {
        let (key, other) = (ProofKey::generate(), ProofKey::generate());
        let refused = |header: &Value, claims: &Value| {
            Proof::parse(key.sign(header, claims).as_bytes()).map(|proof| proof.key)
        };
        assert!(refused(&header(&key), &claims()).is_ok());
        // Signed by another key than the one that it shows.
        assert_eq!(refused(&header(&other), &claims()), Err(ProofError::Signature));
        let with = |name: &str, value: Value| {
            let mut header = header(&key);
            *header.pointer_mut(name).unwrap() = value;
            header
        };
        for header in [
            with("/typ", json!("JWT")),
            with("/alg", json!("none")),
            with("/alg", json!("HS256")),
            with("/alg", json!("ES384")),
            with("/jwk/crv", json!("P-384")),
            with("/jwk/kty", json!("oct")),
            with("/jwk/x", json!("AQAB")),
            with("/jwk/x", json!(format!("{}=", key.jwk.x))),
            with(
                "/jwk",
                json!({ "kty": "EC", "crv": "P-256", "x": key.jwk.x, "y": key.jwk.y, "d": key.jwk.x }),
            ),
            json!({ "typ": TYPE, "alg": "ES256", "jwk": key.jwk, "crit": ["b64"], "b64": false }),
            json!({ "typ": TYPE, "alg": "ES256" }),
        ] {
            assert_eq!(refused(&header, &claims()), Err(ProofError::Form), "{header}");
        }
        let mut long = claims();
        long["jti"] = json!("x".repeat(JTI_BYTES_MAX + 1));
        assert_eq!(refused(&header(&key), &long), Err(ProofError::Form));
        long["jti"] = json!("x".repeat(PROOF_BYTES_MAX));
        assert_eq!(refused(&header(&key), &long), Err(ProofError::Long));
        for bad in ["", ".", "..", "a.b", "a.b.c", "e30.e30.", "e30.e30.e30.e30"] {
            assert_eq!(Proof::parse(bad.as_bytes()).unwrap_err(), ProofError::Form, "{bad}");
        }
        // A byte of the claims changed, and one of the signature.
        let whole = key.proof("GET", ADDRESS, None, [1; 16], Timestamp(1));
        let (message, signature) = whole.rsplit_once('.').unwrap();
        let (header, _) = message.split_once('.').unwrap();
        let claims = BASE64_URL_SAFE_NO_PAD.encode(claims().to_string());
        for forged in [format!("{header}.{claims}.{signature}"), format!("{message}.{}", "A".repeat(86))] {
            assert_eq!(Proof::parse(forged.as_bytes()).unwrap_err(), ProofError::Signature);
        }
    }

    #[test]
    fn the_example_of_the_rfc_is_read() {
        // RFC 9449 section 4.1, figure 1.
        let proof = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6Ik\
                     VDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCR\
                     nMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JE\
                     QSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIj\
                     oiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwia\
                     WF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg\
                     4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg";
        let proof = Proof::parse(proof.as_bytes()).unwrap();
        assert_eq!((proof.method(), proof.address()), ("POST", "https://server.example.com/token"));
        // Section 6.1 gives the thumbprint of this key.
        let thumbprint =
            BASE64_URL_SAFE_NO_PAD.decode("0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I").unwrap();
        assert_eq!(proof.key().0.as_slice(), thumbprint);
    }
}
