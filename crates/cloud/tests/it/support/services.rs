//! A program with a token.

use model::{Hash, ServiceId, Timestamp};
use reqwest::{Method, StatusCode};
use seal::action::{Action, SignedAction};
use seal::roster::{Scope, Statement};
use serde_json::json;

use super::passkey::Browser;
use super::world::{Answer, Person};
use super::{Organisation, World, fresh, fresh_id, now};

pub(crate) struct Service {
    pub(crate) id: ServiceId,
    pub(crate) token: String,
}

impl Service {
    /// Not in force before an order with its id and the token's hash is.
    pub(crate) fn new() -> Self {
        Service { id: ServiceId::from_random(fresh_id()), token: format!("lkst_{}", Hash(fresh())) }
    }

    pub(crate) fn hashed(&self) -> Hash {
        seal::sha256(self.token.as_bytes())
    }

    pub(crate) async fn get(&self, world: &World, path: &str) -> Answer {
        self.send(world, Method::GET, path).await
    }

    pub(crate) async fn send(&self, world: &World, method: Method, path: &str) -> Answer {
        let request = world.anyone().request(method.clone(), path).header("x-lenskeep", "1");
        let request = request.header("authorization", format!("Bearer {}", self.token));
        let request = if method == Method::POST { request.json(&json!({})) } else { request };
        Answer::of(request.send().await.unwrap()).await
    }
}

impl Organisation {
    /// Made by the administrator, who has no passkey.
    pub(crate) async fn service(&self, world: &World, permissions: &[&str], scope: Scope) -> Service {
        let service = Service::new();
        let signed = SignedAction {
            org: self.org,
            nonce: Hash(fresh()),
            expires_at: now().plus_ms(Timestamp::MINUTE),
            previous_state: self.roster.head().1,
            action: Action::CreateServiceAccount {
                account: service.id,
                token: service.hashed(),
                name: "Dashboard".to_owned(),
                permissions: serde_json::from_value(json!(permissions)).unwrap(),
                scope,
                until: now().plus_ms(90 * Timestamp::DAY),
            },
        };
        let envelope = signed.sign(self.admin.device, &self.admin.keys.sign);
        let made = self.api(world).post("/api/v1/service-accounts", &json!({ "envelope": envelope })).await;
        assert_eq!(made.status, StatusCode::NO_CONTENT, "{}", made.body);
        service
    }

    /// Lets in somebody with a device, where the administrator has a passkey.
    pub(crate) async fn add_device_person(&mut self, world: &World, browser: &Browser) -> Person {
        let mut person = Person::new(model::PersonId::from_random(fresh_id()));
        let envelope = self.sign(Statement::AddDevice { device: person.statement() }, &self.admin);
        let api = self.api(world);
        api.confirm(browser, &[seal::sha256(&envelope.payload.0)]).await;
        let added = api.post("/api/v1/roster", &json!({ "envelope": envelope })).await;
        assert_eq!(added.status, StatusCode::OK, "{}", added.body);
        self.roster.apply(&envelope, now()).unwrap();
        person.cookie = world.device_login(self.org, &person).await.cookie().unwrap();
        person
    }
}
