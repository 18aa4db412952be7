//! Whether a client has the password: UsernameToken (WS-Security), HTTP Digest
//! (RFC 7616) or Basic.

use std::collections::{BTreeSet, VecDeque};

use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::OnvifAuth;
use super::request::Request;
use crate::Credentials;

const REALM: &str = "onvif";
/// By how much a token may be older or newer than the camera's clock says.
const AGE_MAX: time::Duration = time::Duration::minutes(5);
/// Nonces that are remembered. Then the first ones are taken again, which a
/// real camera should not do.
const NONCES_MAX: usize = 10_000;
/// Challenges that count at a time: clients have connections beside each other.
const CHALLENGES_MAX: usize = 64;

/// What was used already.
#[derive(Debug, Default)]
pub(super) struct Guard {
    tokens: BTreeSet<String>,
    /// The newest last, and the count of the last request with each.
    challenges: VecDeque<(String, u32)>,
}

impl Guard {
    pub(super) fn accepts_token(
        &mut self,
        request: &Request,
        credentials: &Credentials,
        now: OffsetDateTime,
    ) -> bool {
        let right = || {
            let created = request.text("Created")?;
            let nonce = request.text("Nonce")?;
            let age = now - OffsetDateTime::parse(created, &Rfc3339).ok()?;
            let mut expected = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
            expected.update(&STANDARD.decode(nonce).ok()?);
            expected.update(created.as_bytes());
            expected.update(credentials.password.expose().as_bytes());
            let right = request.text("Username")? == credentials.username
                && request.text("PasswordType")?.ends_with("#PasswordDigest")
                && request.text("Password")? == STANDARD.encode(expected.finish())
                && age.abs() <= AGE_MAX;
            right.then(|| nonce.to_owned())
        };
        let Some(nonce) = right() else { return false };
        if self.tokens.len() >= NONCES_MAX {
            self.tokens.clear();
        }
        self.tokens.insert(nonce)
    }

    pub(super) fn challenge(&mut self, way: OnvifAuth) -> String {
        let algorithm = match way {
            OnvifAuth::Md5 => "MD5",
            OnvifAuth::Sha256 => "SHA-256",
            OnvifAuth::Basic | OnvifAuth::UsernameToken => return format!("Basic realm=\"{REALM}\""),
        };
        let mut random = [0; 16];
        aws_lc_rs::rand::fill(&mut random).expect("the system's random numbers");
        let nonce = hex(&random);
        let challenge =
            format!("Digest realm=\"{REALM}\", qop=\"auth\", algorithm={algorithm}, nonce=\"{nonce}\"");
        if self.challenges.len() >= CHALLENGES_MAX {
            self.challenges.pop_front();
        }
        self.challenges.push_back((nonce, 0));
        challenge
    }

    pub(super) fn accepts_header(
        &mut self,
        header: &str,
        way: OnvifAuth,
        credentials: &Credentials,
        (method, target): (&str, &str),
    ) -> bool {
        let (user, password) = (&credentials.username, credentials.password.expose());
        let fields = match (header.split_once(' '), way) {
            (Some(("Basic", word)), OnvifAuth::Basic) => {
                return word == STANDARD.encode(format!("{user}:{password}"));
            }
            (Some(("Digest", fields)), OnvifAuth::Md5 | OnvifAuth::Sha256) => fields,
            _ => return false,
        };
        let field = |name: &str| {
            // A target may hold commas, and is quoted.
            let mut is_quoted = false;
            let parts = fields.split(|c| {
                is_quoted ^= c == '"';
                c == ',' && !is_quoted
            });
            let mut pairs = parts.filter_map(|part| part.trim().split_once('='));
            pairs.find(|(key, _)| *key == name).map_or("", |(_, value)| value.trim_matches('"'))
        };
        let hash = |parts: &[&str]| match way {
            OnvifAuth::Sha256 => hex(digest(&SHA256, parts.join(":").as_bytes()).as_ref()),
            _ => hex(&Md5::digest(parts.join(":"))),
        };
        let (who, what) = (hash(&[user, REALM, password]), hash(&[method, target]));
        let nonce = field("nonce");
        let Some((_, last)) = self.challenges.iter_mut().find(|(known, _)| known == nonce) else {
            return false;
        };
        let expected = hash(&[&who, nonce, field("nc"), field("cnonce"), "auth", &what]);
        let count = u32::from_str_radix(field("nc"), 16).unwrap_or(0);
        let right = field("username") == user
            && field("uri") == target
            && field("response") == expected
            && count > *last;
        if right {
            *last = count;
        }
        right
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
