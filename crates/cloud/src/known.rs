//! Browsers in which a person has signed in by password before. They carry a
//! cookie with our mark on it, and have limits of their own: whoever tries
//! passwords from elsewhere uses up the limits of strangers. The cookie opens
//! nothing; who steals it may guess from there, as slowly as everybody.

use axum::http::{HeaderMap, HeaderValue, header};
use model::{Hash, Timestamp};

use crate::random;
use crate::vault::Vault;

const COOKIE: &str = "__Host-lenskeep-known";
const LIFE_MS: u64 = 365 * Timestamp::DAY;
const LABEL: &[u8] = b"known client v1";

/// Sent along when somebody has signed in under this name.
pub(crate) fn cookie(vault: &Vault, login: &str, now: Timestamp) -> HeaderValue {
    let (client, ends_at) = (random::token(), now.plus_ms(LIFE_MS));
    let mark = mark(vault, login, client, ends_at);
    let age = LIFE_MS / Timestamp::SECOND;
    let text = format!(
        "{COOKIE}={client}.{}.{mark}; Path=/; Max-Age={age}; Secure; HttpOnly; SameSite=Strict",
        ends_at.0
    );
    HeaderValue::try_from(text).expect("hex, digits and fixed words")
}

/// The browser's name in our limits, if it was here under this login.
pub(crate) fn client(vault: &Vault, headers: &HeaderMap, login: &str, now: Timestamp) -> Option<Hash> {
    let values = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = values.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let (_, value) = pairs.find(|(name, _)| *name == COOKIE)?;
    let mut parts = value.split('.');
    let client: Hash = parts.next()?.parse().ok()?;
    let ends_at = Timestamp(parts.next()?.parse().ok()?);
    let shown: Hash = parts.next()?.parse().ok()?;
    let ours = mark(vault, login, client, ends_at);
    (parts.next().is_none() && ends_at > now && seal::constant_time_eq(&shown.0, &ours.0)).then_some(client)
}

fn mark(vault: &Vault, login: &str, client: Hash, ends_at: Timestamp) -> Hash {
    vault.mark(&[LABEL, &client.0, &ends_at.0.to_be_bytes(), login.as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_mark_for_this_name_and_in_time() {
        let (vault, now) = (Vault::new([1; 32]), Timestamp(1_000));
        let set = cookie(&vault, "ada", now);
        let pair = set.to_str().unwrap().split(';').next().unwrap().to_owned();
        let of = |pair: &str| {
            let mut headers = HeaderMap::new();
            headers.append(header::COOKIE, HeaderValue::try_from(format!("a=b; {pair}")).unwrap());
            headers
        };
        assert!(client(&vault, &of(&pair), "ada", now).is_some());
        assert_eq!(client(&vault, &of(&pair), "ben", now), None);
        assert_eq!(client(&vault, &of(&pair), "ada", now.plus_ms(LIFE_MS)), None);
        assert_eq!(client(&Vault::new([2; 32]), &of(&pair), "ada", now), None);
        assert_eq!(client(&vault, &of(&pair.replace(".31536001000.", ".99999999999.")), "ada", now), None);
        assert_eq!(client(&vault, &of(&format!("{pair}.x")), "ada", now), None);
    }
}
