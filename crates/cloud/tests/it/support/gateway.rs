//! A gateway as far as the cloud can tell.

use model::wire::{CertificateAnswer, EnrolAnswer, EnrolRequest, GatewayKeys};
use model::{GatewayId, Hash, OrgId};
use reqwest::{Certificate, Identity, StatusCode};
use seal::enrolment::Secret;
use seal::keys::{KemSecret, SigningKey};
use seal::login::GatewayCertificate;
use seal::roster::{Roster, Statement};
use serde_json::{Value, json};

use super::world::Answer;
use super::{Organisation, World, fresh, fresh_id, now};

pub(crate) struct Gateway {
    pub(crate) id: GatewayId,
    pub(crate) sign: SigningKey,
    pub(crate) keys: GatewayKeys,
    pub(crate) secret: Secret,
    pub(crate) base: String,
    pub(crate) ca_pem: Vec<u8>,
    ca: Certificate,
    /// Shows the transport certificate, once there is one.
    pub(crate) client: reqwest::Client,
    /// Certificate and private key, PEM.
    pub(crate) identity: Option<(String, String)>,
}

impl Gateway {
    pub(crate) fn new(world: &World) -> Self {
        let id = GatewayId::from_random(fresh_id());
        let (kem, sign) = (KemSecret::from_seed(fresh()), SigningKey::from_seed(fresh()));
        let keys = GatewayKeys {
            id,
            name: "Shop".to_owned(),
            kem: kem.public().to_base64(),
            sign: sign.verifying_key().to_base64(),
        };
        let ca_pem = std::fs::read(world.config.data.join("cloud-ca.pem")).unwrap();
        let ca = Certificate::from_pem(&ca_pem).unwrap();
        let base = format!("https://localhost:{}", world.running.gateway_addr.port());
        let secret = Secret::from_bytes(fresh_id());
        let client = client(&ca, None);
        Gateway { id, sign, keys, secret, base, ca_pem, ca, client, identity: None }
    }

    /// The whole way in: enrolment, roster, certificate.
    pub(crate) async fn enrolled(world: &World, org: &mut Organisation) -> Self {
        let mut gateway = Gateway::new(world);
        let answer = gateway.come().await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        gateway.admit(world, org).await;
        let certified = gateway.certify(org.org).await;
        assert_eq!(certified.status, StatusCode::OK, "{}", certified.body);
        gateway
    }

    pub(crate) async fn come(&self) -> Answer {
        let (lookup, mac) = (self.secret.lookup(), self.secret.gateway_mac(&self.keys));
        let request = EnrolRequest { lookup, gateway: self.keys.clone(), mac };
        self.post("/gateway/v1/enrolments", &request).await
    }

    /// The administrator's half, and the gateway's check of it.
    pub(crate) async fn admit(&self, world: &World, org: &mut Organisation) {
        let lookup = self.secret.lookup();
        let found = org.api(world).get(&format!("/api/v1/enrolments/{lookup}")).await;
        let keys: GatewayKeys = serde_json::from_value(found.body["gateway"].clone()).unwrap();
        let mac: Hash = serde_json::from_value(found.body["mac"].clone()).unwrap();
        assert!(self.secret.gateway_mac_fits(&keys, mac));
        org.append(world, Statement::AddGateway { gateway: keys }).await;
        let hash = org.roster.head().1;
        let mac = self.secret.accept_mac(org.roster.anchor(), hash);
        let accepted =
            org.api(world).post(&format!("/api/v1/enrolments/{lookup}/accept"), &json!({ "mac": mac })).await;
        assert_eq!(accepted.status, StatusCode::NO_CONTENT, "{}", accepted.body);

        let polled = self.get(&format!("/gateway/v1/enrolments/{lookup}")).await;
        let EnrolAnswer::Accepted { roster, mac } = serde_json::from_value(polled.body).unwrap() else {
            panic!("accepted a moment ago");
        };
        let replayed = Roster::replay(roster.iter().map(|envelope| (envelope, now()))).unwrap();
        assert_eq!(replayed.gateway(self.id), Some(&self.keys));
        assert!(self.secret.accept_mac_fits(replayed.anchor(), hash, mac));
    }

    pub(crate) async fn challenge(&self) -> Hash {
        let answer = self.post("/gateway/v1/certificate/challenge", &json!({ "gateway": self.id })).await;
        serde_json::from_value(answer.body["challenge"].clone()).unwrap()
    }

    /// Asks for a certificate and uses it from then on.
    pub(crate) async fn certify(&mut self, org: OrgId) -> Answer {
        let key = rcgen::KeyPair::generate().unwrap();
        let csr = rcgen::CertificateParams::default().serialize_request(&key).unwrap().pem().unwrap();
        let claim = GatewayCertificate { org, gateway: self.id, challenge: self.challenge().await, csr };
        let envelope = claim.sign(&self.sign);
        let answer = self.post("/gateway/v1/certificate", &json!({ "envelope": envelope })).await;
        if answer.status == StatusCode::OK {
            let issued: CertificateAnswer = serde_json::from_value(answer.body.clone()).unwrap();
            let key = key.serialize_pem();
            let pem = format!("{}{key}", issued.certificate);
            self.client = client(&self.ca, Some(Identity::from_pem(pem.as_bytes()).unwrap()));
            self.identity = Some((issued.certificate, key));
        }
        answer
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        Answer::of(self.client.get(format!("{}{path}", self.base)).send().await.unwrap()).await
    }

    pub(crate) async fn post(&self, path: &str, body: &impl serde::Serialize) -> Answer {
        let body: Value = serde_json::to_value(body).unwrap();
        Answer::of(self.client.post(format!("{}{path}", self.base)).json(&body).send().await.unwrap()).await
    }
}

fn client(ca: &Certificate, identity: Option<Identity>) -> reqwest::Client {
    let builder = reqwest::Client::builder().no_proxy().tls_certs_only([ca.clone()]);
    let builder = match identity {
        Some(identity) => builder.identity(identity),
        None => builder,
    };
    builder.build().unwrap()
}
