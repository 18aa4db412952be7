//! Passkeys as this cloud asks for them: discoverable, the user verified.
//! Every origin that may sign in has its own relying party. Half-done
//! ceremonies are kept in the database, for five minutes and one use. What
//! the page does with the PRF extension is its own business: the cloud never
//! gets that result.

use std::collections::BTreeMap;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use model::{Hash, OrgId, PersonId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;
use webauthn_rs::prelude::{
    CredentialID, DiscoverableAuthentication, DiscoverableKey, Passkey, PasskeyRegistration,
    PublicKeyCredential, RegisterPublicKeyCredential, Uuid, Webauthn, WebauthnBuilder,
};

use crate::database::Database;
use crate::random;

const CEREMONY_MS: u64 = 5 * Timestamp::MINUTE;
const REGISTRATION: &str = "passkey-registration";
const LOGIN: &str = "passkey-login";
const VERIFICATION: &str = "passkey-verification";

#[derive(Debug)]
pub(crate) struct Passkeys {
    relying_parties: BTreeMap<String, Webauthn>,
    default_origin: String,
}

/// A verified new passkey, ready to be stored.
#[derive(Debug)]
pub(crate) struct NewPasskey {
    pub(crate) person: PersonId,
    pub(crate) credential: String,
    pub(crate) json: String,
    /// Where it works.
    pub(crate) origin: String,
}

/// Why a ceremony did not end well; `Refused` is the visitor's doing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PasskeyError {
    #[error("refused: {0}")]
    Refused(String),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

#[derive(Serialize, Deserialize)]
struct Registration {
    origin: String,
    person: PersonId,
    state: PasskeyRegistration,
}

#[derive(Serialize, Deserialize)]
struct Login {
    origin: String,
    state: DiscoverableAuthentication,
}

/// A sign-in for nothing but these payloads, in a session that is there.
#[derive(Serialize, Deserialize)]
struct Verification {
    session: Hash,
    subjects: Vec<Hash>,
    login: Login,
}

impl Passkeys {
    pub(crate) fn new(public_url: &Url, app_origins: &[Url]) -> anyhow::Result<Self> {
        let mut relying_parties = BTreeMap::new();
        for url in std::iter::once(public_url).chain(app_origins) {
            let host = url.host_str().context("an origin without host")?;
            let webauthn = WebauthnBuilder::new(host, url)
                .and_then(|builder| builder.rp_name("Lenskeep").build())
                .with_context(|| format!("passkeys cannot be made for {url}"))?;
            relying_parties.insert(origin_of(url), webauthn);
        }
        Ok(Passkeys { relying_parties, default_origin: origin_of(public_url) })
    }

    /// Where passkeys can be made: our own origin first.
    pub(crate) fn origins(&self) -> Vec<String> {
        let others = self.relying_parties.keys().filter(|origin| **origin != self.default_origin);
        std::iter::once(&self.default_origin).chain(others).cloned().collect()
    }

    /// Whether pages of this origin are ours.
    pub(crate) fn is_ours(&self, origin: &str) -> bool {
        self.relying_parties.contains_key(origin)
    }

    /// The origin in whose name a ceremony runs; without the header, our own.
    fn relying_party(&self, origin: Option<&str>) -> Result<(&str, &Webauthn), PasskeyError> {
        let origin = origin.unwrap_or(&self.default_origin);
        let (origin, webauthn) = self
            .relying_parties
            .get_key_value(origin)
            .ok_or_else(|| PasskeyError::Refused("the origin is not one of ours".to_owned()))?;
        Ok((origin, webauthn))
    }

    pub(crate) async fn begin_registration(
        &self,
        database: &Database,
        origin: Option<&str>,
        person: PersonId,
        name: &str,
        now: Timestamp,
    ) -> Result<(Hash, Value), PasskeyError> {
        let (origin, webauthn) = self.relying_party(origin)?;
        // One passkey per authenticator and place: it would replace the other.
        let held = self.credentials_of(database, person).await?;
        let (challenge, state) = webauthn
            .start_passkey_registration(user_handle(person), name, name, Some(held))
            .map_err(refused)?;
        let mut options = public_key_options(challenge);
        // The library leaves it to the device; we sign in without a user name.
        options["authenticatorSelection"]["residentKey"] = Value::from("required");
        options["authenticatorSelection"]["requireResidentKey"] = Value::from(true);
        let state = Registration { origin: origin.to_owned(), person, state };
        Ok((remember(database, REGISTRATION, &state, now).await?, options))
    }

    pub(crate) async fn finish_registration(
        &self,
        database: &Database,
        ceremony: Hash,
        credential: Value,
        now: Timestamp,
    ) -> Result<NewPasskey, PasskeyError> {
        let ceremony: Registration = recall(database, REGISTRATION, ceremony, now).await?;
        let credential: RegisterPublicKeyCredential = serde_json::from_value(credential).map_err(refused)?;
        let (_, webauthn) = self.relying_party(Some(&ceremony.origin))?;
        let passkey = webauthn.finish_passkey_registration(&credential, &ceremony.state).map_err(refused)?;
        let json = serde_json::to_string(&passkey).map_err(refused)?;
        Ok(NewPasskey {
            person: ceremony.person,
            credential: credential_text(passkey.cred_id().as_ref()),
            json,
            origin: ceremony.origin,
        })
    }

    async fn credentials_of(
        &self,
        database: &Database,
        person: PersonId,
    ) -> Result<Vec<CredentialID>, PasskeyError> {
        let Some(org) = database.org_of_person(person).await? else { return Ok(Vec::new()) };
        let held = database.passkeys_of(org, person).await?;
        let decoded = held.iter().filter_map(|passkey| URL_SAFE_NO_PAD.decode(&passkey.credential).ok());
        Ok(decoded.collect())
    }

    pub(crate) async fn begin_login(
        &self,
        database: &Database,
        origin: Option<&str>,
        now: Timestamp,
    ) -> Result<(Hash, Value), PasskeyError> {
        let (options, login) = self.ask(origin)?;
        Ok((remember(database, LOGIN, &login, now).await?, options))
    }

    pub(crate) async fn finish_login(
        &self,
        database: &Database,
        ceremony: Hash,
        credential: Value,
        now: Timestamp,
    ) -> Result<(OrgId, PersonId), PasskeyError> {
        let login: Login = recall(database, LOGIN, ceremony, now).await?;
        self.answered(database, login, credential, now).await
    }

    /// Has a passkey verify its user again, for these payloads in this session.
    pub(crate) async fn begin_verification(
        &self,
        database: &Database,
        origin: Option<&str>,
        session: Hash,
        subjects: Vec<Hash>,
        now: Timestamp,
    ) -> Result<(Hash, Value), PasskeyError> {
        let (options, login) = self.ask(origin)?;
        let state = Verification { session, subjects, login };
        Ok((remember(database, VERIFICATION, &state, now).await?, options))
    }

    /// Who was verified, and for which payloads.
    pub(crate) async fn finish_verification(
        &self,
        database: &Database,
        ceremony: Hash,
        credential: Value,
        session: Hash,
        now: Timestamp,
    ) -> Result<((OrgId, PersonId), Vec<Hash>), PasskeyError> {
        let begun: Verification = recall(database, VERIFICATION, ceremony, now).await?;
        if begun.session != session {
            return Err(PasskeyError::Refused("the verification was begun in another session".to_owned()));
        }
        Ok((self.answered(database, begun.login, credential, now).await?, begun.subjects))
    }

    fn ask(&self, origin: Option<&str>) -> Result<(Value, Login), PasskeyError> {
        let (origin, webauthn) = self.relying_party(origin)?;
        let (challenge, state) = webauthn.start_discoverable_authentication().map_err(refused)?;
        Ok((public_key_options(challenge), Login { origin: origin.to_owned(), state }))
    }

    /// Whose passkey answered. The user must have been verified.
    async fn answered(
        &self,
        database: &Database,
        ceremony: Login,
        credential: Value,
        now: Timestamp,
    ) -> Result<(OrgId, PersonId), PasskeyError> {
        let credential: PublicKeyCredential = serde_json::from_value(credential).map_err(refused)?;
        let (_, webauthn) = self.relying_party(Some(&ceremony.origin))?;
        let (user, id) = webauthn.identify_discoverable_authentication(&credential).map_err(refused)?;
        let id = credential_text(id);
        let unknown = || PasskeyError::Refused("the passkey is not known".to_owned());
        let (org, person, json) = database.passkey(&id).await?.ok_or_else(unknown)?;
        if user != user_handle(person) {
            return Err(unknown());
        }
        let mut passkey: Passkey = serde_json::from_str(&json).map_err(refused)?;
        let key = DiscoverableKey::from(&passkey);
        let result = webauthn
            .finish_discoverable_authentication_v2(&credential, ceremony.state, &key)
            .map_err(refused)?;
        if !result.user_verified() {
            return Err(PasskeyError::Refused("the user was not verified".to_owned()));
        }
        if passkey.update_credential(&result) == Some(true) {
            let json = serde_json::to_string(&passkey).map_err(refused)?;
            database.update_passkey(org, &id, &json).await?;
        }
        database.passkey_used(org, &id, now).await?;
        Ok((org, person))
    }
}

pub(crate) fn origin_of(url: &Url) -> String {
    url.origin().ascii_serialization()
}

fn refused(error: impl std::fmt::Display) -> PasskeyError {
    PasskeyError::Refused(error.to_string())
}

fn credential_text(id: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(id)
}

/// The 128 bits of the person's id.
fn user_handle(person: PersonId) -> Uuid {
    let text = person.to_string();
    Uuid::parse_str(text.trim_start_matches("usr_")).expect("32 hex digits follow the prefix")
}

/// The dictionary that `PublicKeyCredential.parse…OptionsFromJSON` takes.
fn public_key_options(challenge: impl Serialize) -> Value {
    let mut value = serde_json::to_value(challenge).expect("options serialise");
    value["publicKey"].take()
}

async fn remember(
    database: &Database,
    kind: &'static str,
    state: &impl Serialize,
    now: Timestamp,
) -> Result<Hash, PasskeyError> {
    let id = random::token();
    let state = serde_json::to_string(state).map_err(refused)?;
    database.add_ceremony(id, kind, &state, now.plus_ms(CEREMONY_MS), now).await?;
    Ok(id)
}

async fn recall<T: serde::de::DeserializeOwned>(
    database: &Database,
    kind: &'static str,
    ceremony: Hash,
    now: Timestamp,
) -> Result<T, PasskeyError> {
    let state = database.take_ceremony(ceremony, kind, now).await?;
    let state =
        state.ok_or_else(|| PasskeyError::Refused("the ceremony was used or has ended".to_owned()))?;
    serde_json::from_str(&state).map_err(refused)
}
