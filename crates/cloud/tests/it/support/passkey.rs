//! A software passkey and its owner, who always says yes.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use passkey::authenticator::{Authenticator, UiHint, UserCheck, UserValidationMethod};
use passkey::client::{Client, DefaultClientData};
use passkey::crypto::aws_lc_rs::AwsLcRsBackend;
use passkey::types::Passkey;
use passkey::types::ctap2::{Aaguid, Ctap2Error};
use passkey::types::webauthn::{CredentialCreationOptions, CredentialRequestOptions};
use serde_json::{Value, json};
use url::Url;

struct Owner;

#[async_trait::async_trait]
impl UserValidationMethod for Owner {
    type PasskeyItem = Passkey;

    async fn check_user<'a>(
        &self,
        _hint: UiHint<'a, Passkey>,
        _presence: bool,
        _verification: bool,
    ) -> Result<UserCheck, Ctap2Error> {
        Ok(UserCheck { presence: true, verification: true })
    }

    fn is_verification_enabled(&self) -> Option<bool> {
        Some(true)
    }

    fn is_presence_enabled(&self) -> bool {
        true
    }
}

/// A browser with one passkey.
#[derive(Default)]
pub(crate) struct Browser {
    passkey: Option<Passkey>,
}

impl Browser {
    /// `navigator.credentials.create`; gives what `toJSON` gives.
    pub(crate) async fn create(&mut self, origin: &Url, options: &Value) -> Value {
        let options: CredentialCreationOptions =
            serde_json::from_value(json!({ "publicKey": options })).unwrap();
        let authenticator = Authenticator::new(Aaguid::new_empty(), None, Owner, AwsLcRsBackend);
        let mut client = Client::new(authenticator).allows_insecure_localhost(true);
        let credential = client.register(origin, options, DefaultClientData).await.unwrap();
        self.passkey = client.authenticator().store().clone();
        to_json(&credential)
    }

    /// `navigator.credentials.get`.
    pub(crate) async fn get(&self, origin: &Url, options: &Value) -> Value {
        let options: CredentialRequestOptions =
            serde_json::from_value(json!({ "publicKey": options })).unwrap();
        let authenticator =
            Authenticator::new(Aaguid::new_empty(), self.passkey.clone(), Owner, AwsLcRsBackend);
        let mut client = Client::new(authenticator).allows_insecure_localhost(true);
        to_json(&client.authenticate(origin, options, DefaultClientData).await.unwrap())
    }
}

/// The library writes bytes as lists of numbers; browsers write base64url.
fn to_json(credential: &impl serde::Serialize) -> Value {
    bytes_to_text(serde_json::to_value(credential).unwrap())
}

fn bytes_to_text(value: Value) -> Value {
    match value {
        Value::Array(items) if !items.is_empty() && items.iter().all(Value::is_u64) => {
            let bytes: Vec<u8> = items.iter().filter_map(|item| item.as_u64()?.try_into().ok()).collect();
            Value::String(URL_SAFE_NO_PAD.encode(bytes))
        }
        Value::Object(fields) => {
            Value::Object(fields.into_iter().map(|(name, field)| (name, bytes_to_text(field))).collect())
        }
        other => other,
    }
}
