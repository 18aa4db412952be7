//! Gateways: the way in, certificates, commands, and what a stolen
//! certificate is worth.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use model::wire::EnrolRequest;
use model::{CameraId, GatewayId, Hash};
use reqwest::StatusCode;
use seal::command::{Command, CommandResult, SiteCommand};
use seal::enrolment::Secret;
use seal::login::GatewayCertificate;
use seal::roster::Statement;
use serde_json::json;
use tokio::net::TcpStream;

use crate::support::footage::Epoch;
use crate::support::{Gateway, World, fresh_id, now, on_both_databases};

on_both_databases!(
    a_gateway_comes_in_and_sees_the_roster,
    a_forged_enrolment_gets_nowhere,
    certificates_need_the_rosters_key_and_a_fresh_challenge,
    a_revoked_gateway_is_refused_at_once,
    no_token_is_minted_after_a_revoke_was_answered,
    commands_are_carried_and_nothing_unsigned,
);

async fn a_gateway_comes_in_and_sees_the_roster(world: World) {
    let mut organisation = world.found().await;
    let gateway = Gateway::enrolled(&world, &mut organisation).await;
    let all = gateway.get("/gateway/v1/roster").await;
    assert_eq!(all.body["statements"].as_array().unwrap().len(), 2);
    assert_eq!(gateway.get("/gateway/v1/roster?after=1").await.body["statements"], json!([]));

    let listed = organisation.api(&world).get("/api/v1/gateways").await;
    assert_eq!(listed.body["gateways"][0]["id"], json!(gateway.id));
    assert_eq!(listed.body["gateways"][0]["connected"], false);
    assert!(listed.body["gateways"][0]["certificate_expires_at"].as_u64().unwrap() > now().0);
    // Coming twice with the same keys is the same.
    assert_eq!(gateway.come().await.status, StatusCode::OK);
}

async fn a_forged_enrolment_gets_nowhere(world: World) {
    let organisation = world.found().await;
    let genuine = Gateway::new(&world);
    let rogue = Gateway::new(&world);
    // The rogue has heard the look-up value and not the secret.
    let lookup = genuine.secret.lookup();
    let mac = Secret::from_bytes(fresh_id()).gateway_mac(&rogue.keys);
    let forged = EnrolRequest { lookup, gateway: rogue.keys.clone(), mac };
    assert_eq!(rogue.post("/gateway/v1/enrolments", &forged).await.status, StatusCode::OK);
    let found = organisation.api(&world).get(&format!("/api/v1/enrolments/{lookup}")).await;
    let claimed: Hash = serde_json::from_value(found.body["mac"].clone()).unwrap();
    assert!(!genuine.secret.gateway_mac_fits(&rogue.keys, claimed), "the administrator's device sees it");
    let late = genuine.come().await;
    assert_eq!((late.status, late.code()), (StatusCode::CONFLICT, "enrolment_taken"), "the true one is told");
    // And the server cannot be made to hand out a roster for one that is in none.
    let path = format!("/api/v1/enrolments/{lookup}/accept");
    let accepted = organisation.api(&world).post(&path, &json!({ "mac": claimed })).await;
    assert_eq!(accepted.status, StatusCode::NOT_FOUND);
    assert_eq!(
        rogue.get(&format!("/gateway/v1/enrolments/{lookup}")).await.body,
        json!({ "state": "waiting" })
    );
}

async fn certificates_need_the_rosters_key_and_a_fresh_challenge(world: World) {
    let mut organisation = world.found().await;
    let gateway = Gateway::enrolled(&world, &mut organisation).await;
    let anonymous = Gateway::new(&world);
    let csr = || {
        let key = rcgen::KeyPair::generate().unwrap();
        rcgen::CertificateParams::default().serialize_request(&key).unwrap().pem().unwrap()
    };
    let org = organisation.org;
    let ask = async |claim: &GatewayCertificate, key| {
        let body = json!({ "envelope": claim.sign(key) });
        anonymous.post("/gateway/v1/certificate", &body).await.status
    };
    let claim =
        GatewayCertificate { org, gateway: gateway.id, challenge: gateway.challenge().await, csr: csr() };
    assert_eq!(ask(&claim, &gateway.sign).await, StatusCode::OK);
    assert_eq!(ask(&claim, &gateway.sign).await, StatusCode::UNAUTHORIZED, "the challenge was used");
    let forged = GatewayCertificate { challenge: gateway.challenge().await, csr: csr(), ..claim.clone() };
    assert_eq!(ask(&forged, &anonymous.sign).await, StatusCode::UNAUTHORIZED, "another key");
    let crossed = GatewayCertificate { challenge: anonymous.challenge().await, csr: csr(), ..claim };
    assert_eq!(ask(&crossed, &gateway.sign).await, StatusCode::UNAUTHORIZED, "another's challenge");
    for path in ["/gateway/v1/roster", "/gateway/v1/link"] {
        assert_eq!(anonymous.get(path).await.code(), "no_certificate", "{path}");
    }
}

async fn a_revoked_gateway_is_refused_at_once(world: World) {
    let mut organisation = world.found().await;
    let mut gateway = Gateway::enrolled(&world, &mut organisation).await;
    let camera = organisation.bind_camera(&world, gateway.id).await;
    let epoch = Epoch::new(organisation.org, camera);
    let (_, recording) = epoch.record(&gateway, &organisation.roster);
    assert_eq!(gateway.get("/gateway/v1/roster").await.status, StatusCode::OK);

    organisation.append(&world, Statement::RevokeGateway { gateway: gateway.id }).await;
    // The certificate is good for hours; it is worth nothing.
    assert_eq!(gateway.get("/gateway/v1/roster").await.code(), "no_certificate");
    let body = json!({ "objects": [crate::support::footage::object(&recording)] });
    assert_eq!(gateway.post("/gateway/v1/upload-grants", &body).await.code(), "no_certificate");
    assert_eq!(gateway.certify(organisation.org).await.code(), "no_certificate");
}

/// A race: some ask for tokens without pause while the gateway is revoked.
async fn no_token_is_minted_after_a_revoke_was_answered(world: World) {
    let mut organisation = world.found().await;
    for _ in 0..10 {
        let gateway = Gateway::enrolled(&world, &mut organisation).await;
        let camera = organisation.bind_camera(&world, gateway.id).await;
        let (_, recording) = Epoch::new(organisation.org, camera).record(&gateway, &organisation.roster);
        let wanted = json!({ "objects": [crate::support::footage::object(&recording)] });
        let ask = async || {
            let answer = gateway.post("/gateway/v1/upload-grants", &wanted).await;
            answer.body["grants"][0]["url"].is_string()
        };
        assert!(ask().await, "a gateway in force gets its token");
        let answered = AtomicBool::new(false);
        let asking = futures_util::future::join_all((0..6).map(|_| async {
            loop {
                let after = answered.load(Ordering::SeqCst);
                let got = ask().await;
                if after {
                    return got;
                }
            }
        }));
        let revoking = async {
            organisation.append(&world, Statement::RevokeGateway { gateway: gateway.id }).await;
            answered.store(true, Ordering::SeqCst);
        };
        let (got, ()) = futures_util::future::join(asking, revoking).await;
        assert!(!got.contains(&true), "asked after the answer");
        // Each token stands in the history before it is made, and the revoke before its answer.
        let api = organisation.api(&world);
        let newest = async |wanted: &str| {
            let found = api.get(&format!("/api/v1/history?{wanted}&limit=1")).await.body;
            found["entries"][0]["seq"].as_u64().unwrap()
        };
        let minted = newest(&format!("action=mint_upload&actor={}", gateway.id)).await;
        assert!(minted < newest("action=append_roster").await, "a token was minted after the revoke");
    }
}

async fn commands_are_carried_and_nothing_unsigned(world: World) {
    let mut organisation = world.found().await;
    let gateway = Gateway::enrolled(&world, &mut organisation).await;
    let path = format!("/api/v1/gateways/{}/commands", gateway.id);
    let command = SiteCommand {
        org: organisation.org,
        target: gateway.id,
        nonce: "ab".repeat(16),
        expires_at: now().plus_ms(60_000),
        previous_state: Hash::default(),
        command: Command::RemoveCamera { camera: CameraId::from_random(fresh_id()) },
    };
    let admin = &organisation.admin;
    let signed = json!({ "envelope": command.sign(admin.device, &admin.keys.sign) });
    let api = organisation.api(&world);
    assert_eq!(api.post(&path, &signed).await.code(), "gateway_offline");

    let mut link = gateway.link().await;
    link.status(Hash([7; 32])).await;
    crate::live::until(async || api.get("/api/v1/gateways").await.body["gateways"][0]["connected"] == true)
        .await;
    let answering = async {
        let message = link.text().await;
        assert_eq!(message["type"], "command");
        let result = CommandResult {
            org: command.org,
            gateway: gateway.id,
            nonce: command.nonce.clone(),
            at: now(),
            ok: true,
            error: None,
            report: None,
            answer: None,
        };
        let envelope = result.sign(&gateway.sign);
        link.say(&json!({ "type": "command_result", "id": message["id"], "envelope": envelope })).await;
        serde_json::to_value(envelope).unwrap()
    };
    let (answer, envelope) = tokio::join!(api.post(&path, &signed), answering);
    assert_eq!((answer.status, &answer.body["envelope"]), (StatusCode::OK, &envelope));

    let thief = crate::support::world::Person::new(admin.id);
    let unsigned = json!({ "envelope": command.sign(thief.device, &thief.keys.sign) });
    assert_eq!(api.post(&path, &unsigned).await.code(), "unsigned");
    let mut forged = command.sign(thief.device, &thief.keys.sign);
    forged.signatures[0].keyid = admin.device.to_string();
    assert_eq!(api.post(&path, &json!({ "envelope": forged })).await.code(), "unsigned");
    let elsewhere = SiteCommand { target: GatewayId::from_random(fresh_id()), ..command };
    let elsewhere = json!({ "envelope": elsewhere.sign(admin.device, &admin.keys.sign) });
    assert_eq!(api.post(&path, &elsewhere).await.status, StatusCode::UNPROCESSABLE_ENTITY);
}

/// What a gateway with an enrolment code does first: it knows the SHA-256 of
/// the CA and finds it in the chain that the server presents.
#[tokio::test(flavor = "multi_thread")]
async fn the_ca_is_in_the_chain() {
    let world = World::on_sqlite().await;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let ca = std::fs::read(world.config.data.join("cloud-ca.pem")).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(rustls::pki_types::pem::PemObject::from_pem_slice(&ca).unwrap()).unwrap();
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(world.running.gateway_addr).await.unwrap();
    let name = "localhost".try_into().unwrap();
    let stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
    let chain = stream.get_ref().1.peer_certificates().unwrap();
    assert!(chain.iter().any(|der| seal::sha256(der) == world.running.ca_sha256));
}
