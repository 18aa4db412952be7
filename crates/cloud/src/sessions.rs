//! Sessions of people: an opaque cookie of 256 random bits, stored hashed, and
//! bound to a key of the browser that opened it (`proofs`); ends after 12 hours
//! without use or after 7 days. Being signed in permits nothing by itself;
//! `decide` asks the roster each time.

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderValue, header};
use cloud_core::SignInWay;
use model::{DeviceId, Hash, OrgId, PersonId, Timestamp};

use crate::database::{Database, SessionRow, Transaction};
use crate::problem::Problem;
use crate::proofs::HeldKey;
use crate::random;

pub(crate) const COOKIE: &str = "__Host-lenskeep";
const IDLE_MS: u64 = 12 * Timestamp::HOUR;
const LIFE_MS: u64 = 7 * Timestamp::DAY;
/// Longest name of a browser that is kept.
const CLIENT_CHARS_MAX: usize = 250;
/// The time of last use is written at most this often.
const TOUCH_MS: u64 = Timestamp::MINUTE;

/// Who is asking, by session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller {
    pub(crate) org: OrgId,
    pub(crate) person: PersonId,
    /// Set if the session was opened with a device key.
    pub(crate) device: Option<DeviceId>,
    /// It was opened with two factors.
    pub(crate) second_factor: bool,
    /// The session's name in the database.
    pub(crate) session: Hash,
    pub(crate) ends_at: Timestamp,
    /// Where the request comes from, as the guard saw it.
    pub(crate) network: Option<IpAddr>,
}

/// What somebody signed in with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Passkey,
    /// With a code.
    Password,
    Device(DeviceId),
    /// `just_now`: the provider says that it asked them a moment ago.
    Provider {
        two_factors: bool,
        just_now: bool,
    },
}

impl From<Way> for SignInWay {
    fn from(way: Way) -> Self {
        match way {
            Way::Passkey => SignInWay::Passkey,
            Way::Password => SignInWay::Password,
            Way::Device(_) => SignInWay::Device,
            Way::Provider { .. } => SignInWay::Provider,
        }
    }
}

/// A session just opened; the cookie's value does not print.
pub(crate) struct Opened {
    pub(crate) caller: Caller,
    pub(crate) way: Way,
    token: Hash,
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.caller.fmt(f)
    }
}

impl Opened {
    pub(crate) fn cookie(&self) -> HeaderValue {
        let age = LIFE_MS / Timestamp::SECOND;
        let cookie =
            format!("{COOKIE}={}; Path=/; Max-Age={age}; Secure; HttpOnly; SameSite=Strict", self.token);
        HeaderValue::try_from(cookie).expect("hex and fixed words")
    }
}

pub(crate) fn removed_cookie() -> HeaderValue {
    HeaderValue::from_static("__Host-lenskeep=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Strict")
}

/// Refused for whoever was disabled, whichever way they come.
pub(crate) async fn open(
    transaction: &mut Transaction,
    (org, person): (OrgId, PersonId),
    way: Way,
    (client, HeldKey(key)): (String, HeldKey),
    now: Timestamp,
) -> Result<Opened, Problem> {
    if transaction.is_disabled(org, person).await? {
        tracing::info!(%person, "disabled, and not let in");
        return Err(Problem::login());
    }
    let token = random::token();
    let session = random::hashed(&token.to_string());
    let (device, second_factor) = match way {
        Way::Passkey | Way::Password => (None, true),
        Way::Device(device) => (Some(device), false),
        Way::Provider { two_factors, .. } => (None, two_factors),
    };
    let just_now = matches!(way, Way::Provider { just_now: true, .. });
    let (created_at, seen_at) = (now, now);
    let row = SessionRow { org, person, device, second_factor, just_now, client, key, created_at, seen_at };
    transaction.add_session(session, &row).await?;
    Ok(Opened { caller: caller(session, &row), way, token })
}

fn caller(session: Hash, row: &SessionRow) -> Caller {
    let SessionRow { org, person, device, second_factor, .. } = *row;
    Caller { org, person, device, second_factor, session, ends_at: ends_at(row), network: None }
}

/// The caller that the cookie names, if the session has not ended, and the key
/// of which a proof tells whether the request comes from there.
pub(crate) async fn authenticate(
    database: &Database,
    headers: &HeaderMap,
    now: Timestamp,
) -> sqlx::Result<Option<(Caller, HeldKey)>> {
    match cookie(headers) {
        Some(token) => in_force(database, random::hashed(&token), now).await,
        None => Ok(None),
    }
}

/// Whether a session is still in force; also asked every few seconds by
/// whatever stays open.
pub(crate) async fn check(
    database: &Database,
    session: Hash,
    now: Timestamp,
) -> sqlx::Result<Option<Caller>> {
    Ok(in_force(database, session, now).await?.map(|(caller, _)| caller))
}

async fn in_force(
    database: &Database,
    session: Hash,
    now: Timestamp,
) -> sqlx::Result<Option<(Caller, HeldKey)>> {
    let Some(row) = database.session(session).await? else { return Ok(None) };
    if now >= ends_at(&row) {
        database.end_session(session).await?;
        return Ok(None);
    }
    if now.ms_since(row.seen_at) > TOUCH_MS {
        database.touch_session(session, now).await?;
    }
    Ok(Some((caller(session, &row), HeldKey(row.key))))
}

/// Forgets sessions that have ended; called from time to time.
pub(crate) async fn purge(database: &Database, now: Timestamp) -> sqlx::Result<u64> {
    database.purge_sessions(now.minus_ms(LIFE_MS), now.minus_ms(IDLE_MS)).await
}

/// How the browser or program names itself: for its owner's eyes, never
/// believed.
pub(crate) fn client(headers: &HeaderMap) -> String {
    let name = headers.get(header::USER_AGENT).and_then(|name| name.to_str().ok()).unwrap_or_default();
    name.chars().filter(|c| !c.is_control()).take(CLIENT_CHARS_MAX).collect()
}

pub(crate) fn ends_at(row: &SessionRow) -> Timestamp {
    row.created_at.plus_ms(LIFE_MS).min(row.seen_at.plus_ms(IDLE_MS))
}

/// Two cookies of this name are none: somebody is trying something.
fn cookie(headers: &HeaderMap) -> Option<String> {
    let mut found = None;
    for value in headers.get_all(header::COOKIE) {
        for pair in value.to_str().ok()?.split(';') {
            let Some((name, value)) = pair.trim().split_once('=') else { continue };
            if name == COOKIE && found.replace(value.to_owned()).is_some() {
                return None;
            }
        }
    }
    found.filter(|token| token.parse::<Hash>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(cookies: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for cookie in cookies {
            headers.append(header::COOKIE, HeaderValue::try_from(*cookie).unwrap());
        }
        cookie(&headers)
    }

    #[test]
    fn one_well_formed_cookie_or_none() {
        let token = Hash([7; 32]).to_string();
        let ours = format!("{COOKIE}={token}");
        assert_eq!(of(&[&format!("a=b; {ours}; c")]), Some(token));
        assert_eq!(of(&[&ours, &ours]), None);
        assert_eq!(of(&[&format!("{COOKIE}=short")]), None);
        assert_eq!(of(&[]), None);
    }
}
