//! E-mail, against a mail server that others wrote.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use axum::http::StatusCode;
use cloud::{MailSection, MailTls};
use model::{Hash, Timestamp};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use seal::roster::{Scope, Statement};
use serde_json::{Value, json};

use crate::live::until;
use crate::notices::Scene;
use crate::silences::all_are_heard;
use crate::support::world::{Answer, Person};
use crate::support::{Organisation, World, now, on_both_databases};

on_both_databases!(
    a_person_is_told_at_an_address_that_they_confirmed,
    a_mail_waits_for_a_server_that_is_away_and_outlives_a_restart,
    what_the_server_refuses_is_tried_again_or_told,
    who_confirms_before_the_server_has_answered_is_told_at_once,
    nobody_is_flooded_and_nobody_learns_whose_address_it_is,
    who_was_shut_out_is_told_nothing,
    a_stolen_session_sets_no_address,
    that_a_gateway_is_silent_is_told_without_its_name,
);

const PASSWORD: &str = "correct horse";

/// `aiosmtpd` in a process of its own.
struct Server {
    folder: tempfile::TempDir,
    port: u16,
    security: &'static str,
    process: Option<Child>,
    took: Arc<Mutex<Vec<Value>>>,
}

impl Server {
    async fn start(security: &'static str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ca_key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = params.self_signed(&ca_key).unwrap();
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec!["127.0.0.1".to_owned(), "localhost".to_owned()]).unwrap();
        let leaf = leaf.signed_by(&key, &Issuer::new(params, ca_key)).unwrap();
        let files = [
            ("ca.pem", ca.pem()),
            ("chain.pem", leaf.pem()),
            ("key.pem", key.serialize_pem()),
            ("password", format!("{PASSWORD}\n")),
        ];
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut server = Server { folder, port, security, process: None, took: Arc::default() };
        server.come().await;
        server
    }

    async fn come(&mut self) {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let installed = root.join("../../.cache/aiosmtpd");
        assert!(
            installed.exists(),
            "aiosmtpd is not on this machine: python3 -m pip install --target .cache/aiosmtpd aiosmtpd==1.4.6"
        );
        let mut process = Command::new("python3")
            .arg(root.join("tests/it/mail_server.py"))
            .args([self.folder.path().to_str().unwrap(), &self.port.to_string(), self.security])
            .env("PYTHONPATH", installed)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (output, took) = (process.stdout.take().unwrap(), self.took.clone());
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                took.lock().unwrap().push(serde_json::from_str(&line).unwrap());
            }
        });
        self.process = Some(process);
        let is_ready = |took: &Value| took["ready"] == true;
        until(async || self.took.lock().unwrap().iter().any(is_ready)).await;
        self.took.lock().unwrap().retain(|took| !is_ready(took));
    }

    fn leave(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn section(&self) -> MailSection {
        let is_secret = self.security == "starttls";
        MailSection {
            host: "127.0.0.1".to_owned(),
            port: Some(self.port),
            tls: if is_secret { MailTls::Starttls } else { MailTls::None },
            from: "Cameras <cameras@example.org>".to_owned(),
            username: is_secret.then(|| "lenskeep".to_owned()),
            password_file: is_secret.then(|| self.file("password")),
            ca_file: is_secret.then(|| self.file("ca.pem")),
            pause_minutes: 15,
        }
    }

    /// To the next recipients.
    fn answers(&self, with: &[&str]) {
        std::fs::write(self.file("answers"), with.join("\n")).unwrap();
    }

    fn mails(&self) -> Vec<Value> {
        self.took.lock().unwrap().iter().filter(|took| took.get("mail").is_some()).cloned().collect()
    }

    fn refusals(&self) -> usize {
        self.took.lock().unwrap().iter().filter(|took| took.get("refused").is_some()).count()
    }

    async fn has(&self, count: usize) -> Value {
        until(async || self.mails().len() >= count).await;
        assert_eq!(self.mails().len(), count);
        self.mails().pop().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.leave();
    }
}

/// A mail as people read it: lines that were broken are whole again.
fn text(mail: &Value) -> String {
    mail["mail"].as_str().unwrap().replace("=\r\n", "").replace("=3D", "=")
}

/// What stands behind `what` in the link of a mail.
fn token(mail: &Value, what: &str) -> String {
    let text = text(mail);
    let (_, rest) = text.split_once(what).unwrap_or_else(|| panic!("{what} in {text}"));
    rest.chars().take_while(char::is_ascii_hexdigit).collect()
}

async fn scene(world: World, server: &Server) -> Scene {
    Scene::new(world.restarted_with(|config| config.mail = Some(server.section())).await).await
}

async fn set(scene: &Scene, who: &Person, address: &str) -> Answer {
    let body = json!({ "address": address, "language": "en" });
    scene.world.as_person(&who.cookie).put("/api/v1/mail", &body).await
}

async fn state(scene: &Scene, who: &Person) -> Value {
    scene.world.as_person(&who.cookie).get("/api/v1/mail").await.body
}

async fn confirm(scene: &Scene, token: &str) -> StatusCode {
    scene.world.anyone().post("/api/v1/mail/confirmations", &json!({ "token": token })).await.status
}

/// A person whose address is confirmed; so many mails were sent by then.
async fn confirmed(scene: &mut Scene, server: &Server, address: &str, count: usize) -> Person {
    let person = scene.told(Some(Scope::All)).await;
    assert_eq!(set(scene, &person, address).await.status, StatusCode::NO_CONTENT);
    let mail = server.has(count).await;
    assert_eq!(confirm(scene, &token(&mail, "#confirm=")).await, StatusCode::NO_CONTENT);
    person
}

async fn a_person_is_told_at_an_address_that_they_confirmed(world: World) {
    let server = Server::start("starttls").await;
    let mut scene = scene(world, &server).await;
    let ben = scene.told(Some(Scope::All)).await;
    assert_eq!(state(&scene, &ben).await["address"], Value::Null);
    assert_eq!(set(&scene, &ben, "ben@example.org").await.status, StatusCode::NO_CONTENT);
    let asked = server.has(1).await;
    assert_eq!(asked["to"], json!(["ben@example.org"]));
    assert_eq!((&asked["tls"], &asked["user"]), (&json!(true), &json!("lenskeep")));
    assert!(!text(&asked).contains("List-Unsubscribe"));

    // Nothing comes before, and a token is good for what it is for, once.
    scene.tell(&ben).await;
    let good = token(&asked, "#confirm=");
    assert_eq!(confirm(&scene, &"0".repeat(64)).await, StatusCode::GONE);
    assert_eq!(confirm(&scene, &good).await, StatusCode::NO_CONTENT);
    assert_eq!(confirm(&scene, &good).await, StatusCode::GONE);
    let now_on = state(&scene, &ben).await;
    assert_eq!((&now_on["address"], &now_on["confirmed"]), (&json!("ben@example.org"), &json!(true)));

    scene.tell(&ben).await;
    let told = server.has(2).await;
    let said = text(&told);
    assert!(said.contains("Subject: Lenskeep: something happened at your cameras\r\n"), "{said}");
    assert!(said.contains(&format!("{}/events", scene.world.origin())));
    for unsaid in ["cam_", "gw_", "dev_", "usr_", "Yard", "motion", "Door"] {
        assert!(!said.contains(unsaid), "{unsaid} in {said}");
    }

    // Not again for a while, and then all at once.
    for _ in 0..3 {
        scene.tell(&ben).await;
    }
    assert_eq!(scene.world.sql("UPDATE mail_addresses SET pending = pending WHERE pending = 3").await, 1);
    let soon = now().plus_ms(14 * Timestamp::MINUTE).0;
    let put_off = format!("UPDATE mail_addresses SET due_at = 1 WHERE due_at > {soon}");
    assert_eq!(scene.world.sql(&put_off).await, 1);
    let told = server.has(3).await;
    assert!(text(&told).contains("at your cameras, 3 times."), "{}", text(&told));

    // As mail programs end it (RFC 8058): without session, header or page of ours.
    let url = format!("{}/mail/stop/{}", scene.world.origin(), token(&told, "/mail/stop/"));
    let looked = scene.world.client.get(&url).send().await.unwrap();
    assert_eq!(looked.status(), StatusCode::OK);
    assert_eq!(state(&scene, &ben).await["confirmed"], true, "who only looks ends nothing");
    for _ in 0..2 {
        let form = scene.world.client.post(&url).header("content-type", "application/x-www-form-urlencoded");
        let ended = form.body("List-Unsubscribe=One-Click").send().await.unwrap();
        assert_eq!(ended.status(), StatusCode::NO_CONTENT, "also if there is nothing to end");
    }
    assert_eq!(state(&scene, &ben).await["address"], Value::Null);
    let entries = scene.ours.api(&scene.world).get("/api/v1/history?action=order_mail").await.body;
    assert_eq!(entries["entries"][0]["actor"], json!(ben.id));
    assert!(!entries.to_string().contains("example.org"), "the history is for ever");
}

async fn a_mail_waits_for_a_server_that_is_away_and_outlives_a_restart(world: World) {
    let mut server = Server::start("starttls").await;
    let mut scene = scene(world, &server).await;
    let ben = confirmed(&mut scene, &server, "ben@example.org", 1).await;
    server.leave();
    scene.tell(&ben).await;
    until(async || scene.world.sql("UPDATE mail_addresses SET tries = tries WHERE tries > 0").await == 1)
        .await;
    scene.world = scene.world.restarted().await;
    server.come().await;
    scene.world.sql("UPDATE mail_addresses SET due_at = 1 WHERE due_at IS NOT NULL").await;
    assert!(text(&server.has(2).await).contains("something happened"));
    until(async || scene.world.sql("UPDATE mail_addresses SET tries = 0 WHERE due_at IS NULL").await == 1)
        .await;
}

async fn what_the_server_refuses_is_tried_again_or_told(world: World) {
    let server = Server::start("none").await;
    let mut scene = scene(world, &server).await;
    let ben = confirmed(&mut scene, &server, "ben@example.org", 1).await;
    server.answers(&["451 4.3.0 later", "421 4.3.2 closing"]);
    scene.tell(&ben).await;
    server.has(2).await;
    assert_eq!(server.refusals(), 2, "it was tried again");
    assert_eq!(state(&scene, &ben).await["concern"], Value::Null);

    scene.world.sql("UPDATE mail_addresses SET last_at = NULL").await;
    server.answers(&["550 5.1.1 <ben@example.org>: no such user"]);
    scene.tell(&ben).await;
    until(async || state(&scene, &ben).await["concern"] == "refused").await;
    assert_eq!(scene.world.sql("UPDATE mail_addresses SET pending = 0 WHERE due_at IS NULL").await, 1);
    assert_eq!(server.mails().len(), 2);
}

async fn who_confirms_before_the_server_has_answered_is_told_at_once(world: World) {
    let server = Server::start("none").await;
    let mut scene = scene(world, &server).await;
    std::fs::write(server.file("slow"), "").unwrap();
    let ben = confirmed(&mut scene, &server, "ben@example.org", 1).await;
    std::fs::remove_file(server.file("slow")).unwrap();
    // A next one goes after the answer to the first was settled.
    let eve = confirmed(&mut scene, &server, "eve@example.org", 2).await;
    scene.tell(&ben).await;
    assert_eq!(server.has(3).await["to"], json!(["ben@example.org"]));
    assert_eq!(state(&scene, &eve).await["concern"], Value::Null);
}

async fn nobody_is_flooded_and_nobody_learns_whose_address_it_is(world: World) {
    let server = Server::start("none").await;
    let mut scene = scene(world, &server).await;
    let ben = confirmed(&mut scene, &server, "ben@example.org", 1).await;
    let eve = scene.told(Some(Scope::All)).await;
    for bad in
        ["ben@example.org\r\nBcc: eve@example.org", "ben@example.org\nRCPT TO:<x@y.example>", "x", "a@b"]
    {
        assert_eq!(set(&scene, &eve, bad).await.code(), "invalid", "{bad:?}");
    }
    let body = json!({ "address": "eve@example.org", "language": "xx" });
    assert_eq!(scene.world.as_person(&eve.cookie).put("/api/v1/mail", &body).await.code(), "invalid");

    // His is as good as any for her: she gets the same answer, and he three mails at most in some hours.
    let mut answers = Vec::new();
    for _ in 0..4 {
        answers.push(set(&scene, &eve, "Ben@example.org").await.status);
    }
    assert_eq!(answers[..2], [StatusCode::NO_CONTENT; 2]);
    assert_eq!(answers[2..], [StatusCode::TOO_MANY_REQUESTS; 2]);
    assert_eq!(state(&scene, &ben).await["confirmed"], true);
    assert_eq!(state(&scene, &eve).await["confirmed"], false);
    // In the database stands no address.
    let found = "UPDATE mail_addresses SET tries = tries WHERE address LIKE '%example%'";
    assert_eq!(scene.world.sql(found).await, 0);
    // A day later nobody confirms it any more.
    until(async || scene.world.sql("UPDATE mail_addresses SET tries = 0 WHERE due_at IS NULL").await == 2)
        .await;
    let late = server.mails().pop().unwrap();
    let day_ago = now().minus_ms(Timestamp::DAY).0;
    scene
        .world
        .sql(&format!("UPDATE mail_addresses SET made_at = {day_ago} WHERE confirmed_at IS NULL"))
        .await;
    assert_eq!(confirm(&scene, &token(&late, "#confirm=")).await, StatusCode::GONE);
}

async fn that_a_gateway_is_silent_is_told_without_its_name(world: World) {
    let server = Server::start("none").await;
    let world = world.restarted_with(|config| config.gateways.silent_after_seconds = 2).await;
    let mut scene = scene(world, &server).await;
    let link = scene.gateway.link().await;
    all_are_heard(&scene).await;
    let ben = confirmed(&mut scene, &server, "ben@example.org", 1).await;
    drop(link);
    let told = server.has(2).await;
    let said = text(&told);
    assert!(said.contains("Subject: Lenskeep: the link to a gateway\r\n"), "{said}");
    assert!(said.contains(&format!("{}/health", scene.world.origin())), "{said}");
    for unsaid in ["gw_", "cam_", "usr_", "Shop", "Door", "happened"] {
        assert!(!said.contains(unsaid), "{unsaid} in {said}");
    }
    until(async || scene.world.sql("UPDATE mail_addresses SET tries = 0 WHERE due_at IS NULL").await == 1)
        .await;
    // Nobody is written to again before it is time, and then of both.
    scene.tell(&ben).await;
    assert_eq!(
        scene.world.sql("UPDATE mail_addresses SET silences = 1, due_at = 1 WHERE pending = 1").await,
        1
    );
    let said = text(&server.has(3).await);
    assert!(said.contains("happened at your cameras") && said.contains("/health"), "{said}");
    let url = format!("{}/mail/stop/{}", scene.world.origin(), token(&told, "/mail/stop/"));
    assert_eq!(scene.world.client.post(&url).send().await.unwrap().status(), StatusCode::NO_CONTENT);
    assert_eq!(state(&scene, &ben).await["address"], Value::Null);
}

async fn who_was_shut_out_is_told_nothing(world: World) {
    let server = Server::start("none").await;
    let mut scene = scene(world, &server).await;
    let ben = confirmed(&mut scene, &server, "ben@example.org", 1).await;
    let cem = confirmed(&mut scene, &server, "cem@example.org", 2).await;
    scene.ours.append(&scene.world, Statement::RevokeDevice { device: ben.device }).await;
    scene.tell(&ben).await;
    // And what was to be sent by then is not.
    scene.world.sql("UPDATE mail_addresses SET pending = 1, due_at = 1").await;
    let told = server.has(3).await;
    assert_eq!(told["to"], json!(["cem@example.org"]));
    until(async || scene.world.sql("UPDATE mail_addresses SET tries = 0 WHERE due_at IS NULL").await == 2)
        .await;
    assert_eq!(server.mails().len(), 3);
    drop(cem);
}

/// Canonical JSON, as the page writes it.
fn subject(ada: &Organisation, address: &str) -> Hash {
    let Organisation { org, admin, .. } = ada;
    seal::sha256(format!(r#"{{"org":"{org}","person":"{}","mail":"{address}"}}"#, admin.id).as_bytes())
}

async fn a_stolen_session_sets_no_address(world: World) {
    let server = Server::start("none").await;
    let world = world.restarted_with(|config| config.mail = Some(server.section())).await;
    let (ada, browser) = world.found_with_passkey().await;
    let set = async |address: &str| {
        let body = json!({ "address": address, "language": "en" });
        ada.api(&world).put("/api/v1/mail", &body).await
    };
    for _ in 0..8 {
        assert_eq!(set("eve@example.org").await.code(), "verification_needed");
    }
    assert_eq!(ada.api(&world).get("/api/v1/mail").await.body["address"], Value::Null);
    // What the owner verifies is good for that address alone, and once; and whoever
    // only tried has used up nothing of what may be sent.
    let confirmed = ada.api(&world).confirm(&browser, &[subject(&ada, "ada@example.org")]).await;
    assert_eq!(confirmed.status, StatusCode::NO_CONTENT, "{}", confirmed.body);
    assert_eq!(set("eve@example.org").await.code(), "verification_needed");
    assert_eq!(set("ada@example.org").await.status, StatusCode::NO_CONTENT);
    assert_eq!(set("ada@example.org").await.code(), "verification_needed");
    assert_eq!(server.has(1).await["to"], json!(["ada@example.org"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_to_a_server_that_is_another_or_reads_in_the_clear() {
    let good = Server::start("starttls").await;
    let plain = Server::start("none").await;
    let world = World::on_sqlite().await;
    let with = |section: MailSection| cloud::Config { mail: Some(section), ..world.config.clone() };
    cloud::check(&with(good.section())).await.unwrap();
    // A certificate of somebody else; no TLS where it is demanded; a wrong password; nobody.
    let other = Server::start("none").await;
    let foreign = MailSection { ca_file: Some(other.file("ca.pem")), ..good.section() };
    let stripped = MailSection { port: Some(plain.port), ..good.section() };
    let wrong = good.file("wrong");
    std::fs::write(&wrong, "wrong").unwrap();
    let unknown = MailSection { password_file: Some(wrong), ..good.section() };
    let away = MailSection { port: Some(9), ..good.section() };
    for section in [foreign, stripped, unknown, away] {
        let error = format!("{:#}", cloud::check(&with(section)).await.unwrap_err());
        assert!(error.contains("mail.password_file"), "{error}");
        assert!(!error.contains(PASSWORD));
    }
    assert!(good.mails().is_empty() && plain.mails().is_empty());
}
