//! A person's authenticator of one-time codes, and changing how they sign in.

use model::{Hash, OrgId, PersonId};
use reqwest::StatusCode;
use serde_json::{Value, json};
use totp_rs::{Algorithm, Builder, Secret};

use super::passkey::Browser;
use super::world::{Answer, Api};
use super::{Organisation, World, fresh, now};

pub(crate) const PASSWORD: &str = "purple otter quay 91";

/// Knows the seed, as the app on a telephone does.
pub(crate) struct Authenticator {
    seed: String,
}

impl Authenticator {
    /// The code of this step, or of one `ahead`. Of the steps that count now,
    /// these two still count if the clock moves on meanwhile.
    pub(crate) fn code(&self, ahead: u64) -> String {
        let totp = Builder::new()
            .with_algorithm(Algorithm::SHA1)
            .with_secret(Secret::try_from_base32(&self.seed).unwrap())
            .build()
            .unwrap();
        totp.generate(now().0 / 1_000 + 30 * ahead).to_string()
    }
}

impl Organisation {
    /// What a verification of this change is for.
    pub(crate) fn subject(&self, change: &Value) -> Hash {
        subject(self.org, self.admin.id, change)
    }

    /// Verified by the passkey, as the page does it.
    pub(crate) async fn change(&self, api: &Api<'_>, browser: &Browser, change: Value) -> Answer {
        let confirmed = api.confirm(browser, &[self.subject(&change)]).await;
        assert_eq!(confirmed.status, StatusCode::NO_CONTENT, "{}", confirmed.body);
        api.post("/api/v1/factors", &json!({ "change": change })).await
    }

    /// Gives the administrator a password and an authenticator.
    pub(crate) async fn set_password(&self, world: &World, browser: &Browser, login: &str) -> Authenticator {
        let change = json!({ "type": "set_password", "nonce": Hash(fresh()) });
        let allowed = self.change(&self.api(world), browser, change).await;
        assert_eq!(allowed.status, StatusCode::OK, "{}", allowed.body);
        world.enrol_password(&allowed.body["token"], login).await
    }
}

/// Canonical JSON: `type` comes first.
pub(crate) fn subject(org: OrgId, person: PersonId, change: &Value) -> Hash {
    let mut fields = vec![format!(r#""type":{}"#, change["type"])];
    let others = change.as_object().unwrap().iter().filter(|(name, _)| *name != "type");
    fields.extend(others.map(|(name, value)| format!(r#""{name}":{value}"#)));
    let change = fields.join(",");
    seal::sha256(format!(r#"{{"org":"{org}","person":"{person}","change":{{{change}}}}}"#).as_bytes())
}

impl World {
    /// With a token that allows it.
    pub(crate) async fn enrol_password(&self, token: &Value, login: &str) -> Authenticator {
        let (ceremony, authenticator) = self.begin_password(token, login).await;
        let body = json!({ "token": token, "ceremony": ceremony, "code": authenticator.code(0) });
        let done = self.anyone().post("/api/v1/factors/password", &body).await;
        assert_eq!(done.status, StatusCode::NO_CONTENT, "{}", done.body);
        self.forget_codes().await;
        authenticator
    }

    pub(crate) async fn begin_password(&self, token: &Value, login: &str) -> (Value, Authenticator) {
        let body = json!({ "token": token, "login": login, "password": PASSWORD });
        let begun = self.anyone().post("/api/v1/factors/password/begin", &body).await;
        assert_eq!(begun.status, StatusCode::OK, "{}", begun.body);
        let seed = begun.body["secret"].as_str().unwrap().to_owned();
        assert!(begun.body["otpauth"].as_str().unwrap().contains(&seed));
        (begun.body["ceremony"].clone(), Authenticator { seed })
    }

    /// As if half a minute had passed: the present code is good again.
    pub(crate) async fn forget_codes(&self) {
        self.sql("UPDATE password_logins SET totp_step = 0").await;
    }

    pub(crate) async fn password_login(&self, login: &str, password: &str, code: &str) -> Answer {
        let body = json!({ "login": login, "password": password, "code": code });
        self.anyone().post("/api/v1/login/password", &body).await
    }
}
