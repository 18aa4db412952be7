//! A server, and the organisations and people at it.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use cloud::{Config, Running};
use model::wire::Envelope;
use model::{CameraId, DeviceId, GatewayId, Hash, OrgId, PersonId, Secret, Timestamp};
use reqwest::header::{HeaderMap, SET_COOKIE};
use reqwest::{Method, StatusCode};
use seal::dpop::{NONCE_HEADER, PROOF_HEADER, ProofKey};
use seal::envelope::{self, PayloadType};
use seal::keyring::DeviceKeys;
use seal::login::DeviceLogin;
use seal::roster::{
    Administrators, Camera, Device, DeviceKind, Payload, Recovery, Roster, Scope, Statement, sign_next,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::passkey::Browser;
use super::postgres::Postgres;
use super::{fresh, fresh_id, now};

pub(crate) struct World {
    pub(crate) running: Running,
    pub(crate) config: Config,
    pub(crate) client: reqwest::Client,
    /// Everybody's browser has the same, but for thieves.
    key: ProofKey,
    nonce: String,
    /// Dropped last: the server writes here.
    _data: TempDir,
    _postgres: Option<Postgres>,
}

impl World {
    pub(crate) async fn on_sqlite() -> Self {
        Self::with(None, |_| {}).await
    }

    pub(crate) async fn on_postgres() -> Self {
        Self::with(Some(Postgres::start()), |_| {}).await
    }

    pub(crate) async fn with(postgres: Option<Postgres>, change: impl FnOnce(&mut Config)) -> Self {
        // Shown for tests that fail.
        let _ = tracing_subscriber::fmt().with_test_writer().with_max_level(tracing::Level::INFO).try_init();
        let data = TempDir::with_prefix("lk-cloud-").unwrap();
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let mut config = Config { data: data.path().join("cloud"), ..Config::default() };
        (config.listen.viewers, config.listen.gateways, config.listen.metrics) = (any, any, any);
        config.database.url = postgres.as_ref().map(|postgres| Secret::new(postgres.url()));
        change(&mut config);
        let running = Box::pin(cloud::start(config.clone())).await.unwrap();
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        let nonce = nonce(&client, &running).await;
        let key = ProofKey::generate();
        World { running, config, client, key, nonce, _data: data, _postgres: postgres }
    }

    /// The same data under a new process; its ports are others.
    pub(crate) async fn restarted(self) -> Self {
        self.restarted_with(|_| {}).await
    }

    /// With something done to configuration or data folder in between.
    pub(crate) async fn restarted_with(self, change: impl FnOnce(&mut Config)) -> Self {
        let World { running, mut config, client, key, _data, _postgres, .. } = self;
        running.shutdown().await;
        change(&mut config);
        let running = Box::pin(cloud::start(config.clone())).await.unwrap();
        let nonce = nonce(&client, &running).await;
        World { running, config, client, key, nonce, _data, _postgres }
    }

    pub(crate) fn token(&self) -> &str {
        self.running.set_up_token.as_ref().unwrap().expose()
    }

    pub(crate) fn anyone(&self) -> Api<'_> {
        Api { world: self, cookie: None, key: None }
    }

    pub(crate) fn as_person(&self, cookie: &str) -> Api<'_> {
        Api { world: self, cookie: Some(cookie.to_owned()), key: None }
    }

    /// Somebody who has a copy of the cookie, and a key of their own.
    pub(crate) fn as_thief(&self, cookie: &str) -> Api<'_> {
        Api { world: self, cookie: Some(cookie.to_owned()), key: Some(ProofKey::generate()) }
    }

    /// Another browser, that is signed in nowhere.
    pub(crate) fn with_key(&self, key: ProofKey) -> Api<'_> {
        Api { world: self, cookie: None, key: Some(key) }
    }

    /// A proof that the everyday key makes, good once.
    pub(crate) fn proof(&self, method: &Method, path: &str) -> String {
        self.proof_at(&self.origin(), method, path)
    }

    /// The same for another of the cloud's origins.
    pub(crate) fn proof_at(&self, origin: &str, method: &Method, path: &str) -> String {
        self.proof_by(&self.key, origin, method, path)
    }

    fn proof_by(&self, key: &ProofKey, origin: &str, method: &Method, path: &str) -> String {
        let address = format!("{origin}{}", path.split('?').next().unwrap());
        let jti = fresh()[..16].try_into().unwrap();
        key.proof(method.as_str(), &address, Some(&self.nonce), jti, now())
    }

    pub(crate) fn origin(&self) -> String {
        self.running.public_url.origin().ascii_serialization()
    }

    /// Sets up the organisation, without a passkey.
    pub(crate) async fn found(&self) -> Organisation {
        self.found_with(self.token()).await
    }

    /// Sets up the organisation as a browser does: with a passkey.
    pub(crate) async fn found_with_passkey(&self) -> (Organisation, Browser) {
        self.found_at(now(), now().plus_ms(30 * Timestamp::DAY)).await
    }

    /// The same, signed then, by a device that lasts until then.
    pub(crate) async fn found_at(&self, at: Timestamp, until: Timestamp) -> (Organisation, Browser) {
        let (origin, mut browser) = (&self.running.public_url, Browser::default());
        let body = json!({ "token": self.token(), "person_name": "Ada" });
        let begun = self.anyone().post("/api/v1/setup/passkey", &body).await;
        let credential = browser.create(origin, &begun.body["options"]).await;
        let person = Person::new(serde_json::from_value(begun.body["person"].clone()).unwrap());
        let person = Person { until, ..person };
        let (org, genesis) = genesis_at(&person, at);
        let body = json!({
            "token": self.token(), "person": person.id, "person_name": "Ada", "genesis": genesis,
            "passkey": { "ceremony": begun.body["ceremony"], "credential": credential },
        });
        let done = self.anyone().post("/api/v1/setup", &body).await;
        assert_eq!(done.status, StatusCode::CREATED, "{}", done.body);
        let cookie = done.cookie().unwrap();
        let roster = Roster::from_genesis(&genesis, now()).unwrap();
        (Organisation { org, admin: Person { cookie, ..person }, roster }, browser)
    }

    /// A second organisation at the same server, which `start` never allows.
    pub(crate) async fn found_another(&self) -> Organisation {
        let token = Hash(fresh()).to_string();
        let hashed = seal::sha256(token.as_bytes()).to_string();
        let expires_at = now().plus_ms(Timestamp::HOUR).0;
        self.sql(&format!(
            "INSERT INTO one_time_tokens (org, token, kind, person, person_name, expires_at, used_at) \
             VALUES ('', '{hashed}', 'setup', '', '', {expires_at}, NULL)"
        ))
        .await;
        self.found_with(&token).await
    }

    /// Changes the database behind the server's back; gives the rows affected.
    pub(crate) async fn sql(&self, sql: &str) -> u64 {
        let sql = sqlx::AssertSqlSafe(sql.to_owned());
        match &self.config.database.url {
            Some(url) => {
                let pool = sqlx::PgPool::connect(url.expose()).await.unwrap();
                sqlx::query(sql).execute(&pool).await.unwrap().rows_affected()
            }
            None => {
                let url = format!("sqlite:{}", self.config.data.join("cloud.db").display());
                let pool = sqlx::SqlitePool::connect(&url).await.unwrap();
                sqlx::query(sql).execute(&pool).await.unwrap().rows_affected()
            }
        }
    }

    async fn found_with(&self, token: &str) -> Organisation {
        let person = Person::new(PersonId::from_random(fresh_id()));
        let (org, genesis) = genesis(&person);
        let body = json!({
            "token": token, "person": person.id, "person_name": "Ada", "genesis": genesis, "passkey": null,
        });
        let answer = self.anyone().post("/api/v1/setup", &body).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
        let cookie = answer.cookie().unwrap();
        let roster = Roster::from_genesis(&genesis, now()).unwrap();
        Organisation { org, admin: Person { cookie, ..person }, roster }
    }

    /// Signs in with the device's key.
    pub(crate) async fn device_login(&self, org: OrgId, person: &Person) -> Answer {
        let body = json!({ "device": person.device });
        let challenged = self.anyone().post("/api/v1/login/device/challenge", &body).await;
        let challenge: Hash = serde_json::from_value(challenged.body["challenge"].clone()).unwrap();
        let login = DeviceLogin { org, device: person.device, challenge, origin: self.origin() };
        let envelope = login.sign(&person.keys.sign);
        self.anyone().post("/api/v1/login/device", &json!({ "envelope": envelope })).await
    }
}

/// What the server gives with any answer; none where the test has it speak TLS.
async fn nonce(client: &reqwest::Client, running: &Running) -> String {
    let host = &running.public_url[url::Position::BeforeHost..url::Position::AfterPort];
    let status = client.get(format!("http://{}/api/v1/status", running.viewer_addr));
    let Ok(answer) = status.header("host", host).send().await else { return String::new() };
    answer.headers()[NONCE_HEADER].to_str().unwrap().to_owned()
}

pub(crate) struct Person {
    pub(crate) id: PersonId,
    pub(crate) device: DeviceId,
    pub(crate) keys: DeviceKeys,
    pub(crate) cookie: String,
    until: Timestamp,
}

impl Person {
    pub(crate) fn new(id: PersonId) -> Self {
        let keys = DeviceKeys::from_seeds(fresh(), fresh());
        Person {
            id,
            device: DeviceId::from_random(fresh_id()),
            keys,
            cookie: String::new(),
            until: now().plus_ms(30 * Timestamp::DAY),
        }
    }

    /// DEVICE of this person's device.
    pub(crate) fn statement(&self) -> Device {
        Device {
            id: self.device,
            person: self.id,
            name: "Laptop".to_owned(),
            kind: DeviceKind::Browser,
            kem: self.keys.kem.public().to_base64(),
            sign: self.keys.sign.verifying_key().to_base64(),
            until: self.until,
        }
    }
}

/// The recovery sheet of the organisation that this person founds.
pub(crate) fn sheet(founder: &Person) -> Person {
    let entropy = seal::sha256(founder.device.to_string().as_bytes());
    let keys = DeviceKeys::from_recovery(&entropy.0);
    let mut id = [0; 16];
    id.copy_from_slice(&entropy.0[..16]);
    Person { keys, device: DeviceId::from_random(id), ..Person::new(founder.id) }
}

pub(crate) fn genesis(person: &Person) -> (OrgId, Envelope) {
    genesis_at(person, now())
}

fn genesis_at(person: &Person, at: Timestamp) -> (OrgId, Envelope) {
    let (org, recovery) = (OrgId::from_random(fresh_id()), sheet(person));
    let payload = Payload {
        org,
        seq: 0,
        previous: None,
        at,
        statement: Statement::Genesis {
            name: "Corner shop".to_owned(),
            device: person.statement(),
            recovery: Recovery {
                id: recovery.device,
                kem: recovery.keys.kem.public().to_base64(),
                sign: recovery.keys.sign.verifying_key().to_base64(),
            },
            administrators: Administrators { k: 1, devices: BTreeSet::from([person.device]) },
        },
    };
    let envelope =
        envelope::sign(PayloadType::Roster, seal::to_canonical(&payload), &person.device, &person.keys.sign);
    (org, envelope)
}

/// An organisation, seen from its administrator's device.
pub(crate) struct Organisation {
    pub(crate) org: OrgId,
    pub(crate) admin: Person,
    pub(crate) roster: Roster,
}

impl Organisation {
    pub(crate) fn api<'w>(&self, world: &'w World) -> Api<'w> {
        world.as_person(&self.admin.cookie)
    }

    pub(crate) fn sign(&self, statement: Statement, by: &Person) -> Envelope {
        sign_next(&self.roster, now(), statement, by.device, &by.keys.sign)
    }

    /// Signs, appends and takes a statement.
    pub(crate) async fn append(&mut self, world: &World, statement: Statement) {
        let envelope = self.sign(statement, &self.admin);
        let answer = self.api(world).post("/api/v1/roster", &json!({ "envelope": envelope })).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        self.roster.apply(&envelope, now()).unwrap();
    }

    pub(crate) async fn bind_camera(&mut self, world: &World, gateway: GatewayId) -> CameraId {
        let id = CameraId::from_random(fresh_id());
        let camera = Camera {
            id,
            name: "Door".to_owned(),
            gateway,
            serial: None,
            certificate: None,
            groups: BTreeSet::new(),
        };
        self.append(world, Statement::BindCamera { camera }).await;
        id
    }

    /// Another person with a device in the roster and a session of it.
    pub(crate) async fn add_person(&mut self, world: &World, scope: Option<Scope>) -> Person {
        self.let_in(world, PersonId::from_random(fresh_id()), scope).await
    }

    /// The same for somebody who has an account already.
    pub(crate) async fn let_in(&mut self, world: &World, id: PersonId, scope: Option<Scope>) -> Person {
        let mut person = Person::new(id);
        if let Some(scope) = scope {
            self.append(world, Statement::SetAccess { person: person.id, scope, audio: true, until: None })
                .await;
        }
        self.append(world, Statement::AddDevice { device: person.statement() }).await;
        let answer = world.device_login(self.org, &person).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        person.cookie = answer.cookie().unwrap();
        person
    }
}

/// The viewers' port, as somebody.
pub(crate) struct Api<'w> {
    world: &'w World,
    cookie: Option<String>,
    key: Option<ProofKey>,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn code(&self) -> &str {
        self.body["error"]["code"].as_str().unwrap_or_default()
    }

    /// `name=value` of the session's cookie.
    pub(crate) fn cookie(&self) -> Option<String> {
        let set = self.headers.get(SET_COOKIE)?.to_str().unwrap();
        Some(set.split(';').next().unwrap().to_owned())
    }

    pub(crate) async fn of(response: reqwest::Response) -> Self {
        let (status, headers) = (response.status(), response.headers().clone());
        let body = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or(Value::Null);
        Answer { status, headers, body }
    }
}

impl Api<'_> {
    /// Has the passkey verify its user for these payloads.
    pub(crate) async fn confirm(&self, browser: &Browser, subjects: &[Hash]) -> Answer {
        let begun = self.post("/api/v1/verifications/begin", &json!({ "subjects": subjects })).await;
        assert_eq!(begun.status, StatusCode::OK, "{}", begun.body);
        let credential = browser.get(&self.world.running.public_url, &begun.body["options"]).await;
        let body = json!({ "ceremony": begun.body["ceremony"], "credential": credential });
        self.post("/api/v1/verifications", &body).await
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let origin = self.world.origin();
        let key = self.key.as_ref().unwrap_or(&self.world.key);
        let proof = self.world.proof_by(key, &origin, &method, path);
        self.without_proof(method, path).header(PROOF_HEADER, proof)
    }

    pub(crate) fn without_proof(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.world.client.request(method, format!("{}{path}", self.world.origin()));
        match &self.cookie {
            Some(cookie) => request.header("cookie", cookie),
            None => request,
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::GET, path).send().await.unwrap()).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        let request = self.request(Method::DELETE, path).header("x-lenskeep", "1");
        Answer::of(request.send().await.unwrap()).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::POST, path, body).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::PUT, path, body).await
    }

    async fn send(&self, method: Method, path: &str, body: &Value) -> Answer {
        let request = self.request(method, path).header("x-lenskeep", "1");
        Answer::of(request.json(body).send().await.unwrap()).await
    }
}
