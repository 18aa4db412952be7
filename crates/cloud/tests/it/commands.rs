//! Commands to a site where it takes several administrators: proposed, agreed
//! on, and carried to a gateway that may be away.

use std::collections::BTreeSet;

use model::wire::Envelope;
use model::{CameraId, Hash, Timestamp};
use reqwest::StatusCode;
use seal::command::{Command, CommandResult, SiteCommand};
use seal::envelope::{self, PayloadType};
use seal::roster::{Scope, Statement};
use serde_json::{Value, json};

use crate::live::{Link, until};
use crate::support::world::{Answer, Organisation, Person};
use crate::support::{Gateway, World, fresh, fresh_id, now, on_both_databases};

on_both_databases!(
    one_administrator_commands_no_site_where_it_takes_two,
    a_command_waits_for_its_gateway,
    a_command_for_a_site_that_has_changed_is_proposed_anew,
);

struct Two {
    ours: Organisation,
    cem: Person,
    gateway: Gateway,
}

impl Two {
    async fn new(world: &World) -> Self {
        let mut ours = world.found().await;
        let gateway = Gateway::enrolled(world, &mut ours).await;
        let cem = ours.add_person(world, Some(Scope::All)).await;
        let devices = BTreeSet::from([ours.admin.device, cem.device]);
        ours.append(world, Statement::SetAdministrators { k: 2, devices }).await;
        Two { ours, cem, gateway }
    }

    fn command(&self) -> SiteCommand {
        SiteCommand {
            org: self.ours.org,
            target: self.gateway.id,
            nonce: Hash(fresh()).to_string()[..32].to_owned(),
            expires_at: now().plus_ms(71 * Timestamp::HOUR),
            previous_state: STATE,
            command: Command::RemoveCamera { camera: CameraId::from_random(fresh_id()) },
        }
    }

    fn by_ada(&self, command: &SiteCommand) -> Envelope {
        command.sign(self.ours.admin.device, &self.ours.admin.keys.sign)
    }

    async fn propose(&self, world: &World, envelope: &Envelope) -> Answer {
        let body = json!({ "envelope": envelope, "reason": "the camera moves" });
        self.ours.api(world).post("/api/v1/proposals", &body).await
    }

    async fn agree(&self, world: &World, envelope: &Envelope) -> Answer {
        let path = format!("/api/v1/proposals/{}/signatures", id(envelope));
        let mut own = envelope.clone();
        own.signatures.clear();
        envelope::add_signature(PayloadType::Command, &mut own, &self.cem.device, &self.cem.keys.sign);
        world.as_person(&self.cem.cookie).post(&path, &json!({ "envelope": own })).await
    }

    async fn carry_out(&self, world: &World, envelope: &Envelope) -> Answer {
        let path = format!("/api/v1/proposals/{}/carry-out", id(envelope));
        self.ours.api(world).post(&path, &json!({})).await
    }

    async fn listed(&self, world: &World, envelope: &Envelope) -> Value {
        let proposals = self.ours.api(world).get("/api/v1/proposals").await.body["proposals"].clone();
        let own = |proposal: &&Value| proposal["id"] == json!(id(envelope));
        proposals.as_array().unwrap().iter().find(own).unwrap().clone()
    }

    /// Linked, with its site in this state.
    async fn linked(&self, world: &World, state: Hash) -> Link {
        let mut link = self.gateway.link().await;
        self.tell(world, &mut link, state).await;
        link
    }

    async fn tell(&self, world: &World, link: &mut Link, state: Hash) {
        link.status(state).await;
        let api = self.ours.api(world);
        until(async || api.get("/api/v1/gateways").await.body["gateways"][0]["state"] == json!(state)).await;
    }

    /// What the gateway answers to the next command on its link.
    async fn answer(&self, link: &mut Link, command: &SiteCommand, error: Option<&str>) -> (Value, Value) {
        let message = link.text().await;
        assert_eq!(message["type"], "command");
        let result = CommandResult {
            org: command.org,
            gateway: self.gateway.id,
            nonce: command.nonce.clone(),
            at: now(),
            ok: error.is_none(),
            error: error.map(str::to_owned),
            report: None,
            answer: None,
        };
        let envelope = serde_json::to_value(result.sign(&self.gateway.sign)).unwrap();
        link.say(&json!({ "type": "command_result", "id": message["id"], "envelope": envelope })).await;
        (message["envelope"].clone(), envelope)
    }
}

const STATE: Hash = Hash([7; 32]);

fn id(envelope: &Envelope) -> Hash {
    seal::sha256(&envelope.payload.0)
}

async fn one_administrator_commands_no_site_where_it_takes_two(world: World) {
    let two = Two::new(&world).await;
    let mut link = two.linked(&world, STATE).await;
    let command = two.command();
    let envelope = two.by_ada(&command);
    let path = format!("/api/v1/gateways/{}/commands", two.gateway.id);
    let ada = two.ours.api(&world);
    let alone = ada.post(&path, &json!({ "envelope": envelope })).await;
    assert_eq!((alone.status, alone.code()), (StatusCode::FORBIDDEN, "more_approvals_needed"));
    assert!(alone.body["error"]["remedy"].as_str().unwrap().contains("Propose it"));
    // Two devices of one person, a stranger's signature, and a forged one.
    let stranger = Person::new(two.cem.id);
    for (device, by) in [(stranger.device, &stranger), (two.cem.device, &stranger)] {
        let mut more = envelope.clone();
        envelope::add_signature(PayloadType::Command, &mut more, &device, &by.keys.sign);
        assert_eq!(ada.post(&path, &json!({ "envelope": more })).await.code(), "unsigned");
        assert_eq!(two.propose(&world, &more).await.code(), "unsigned");
    }
    // A test is no matter for two.
    let sealed = serde_json::from_value(json!({ "enc": "AAAA", "ciphertext": "AAAA" })).unwrap();
    let test = Command::TestCamera { camera: CameraId::from_random(fresh_id()), sealed };
    let soon = now().plus_ms(Timestamp::MINUTE);
    let test = SiteCommand { command: test, expires_at: soon, ..two.command() };
    assert_eq!(two.propose(&world, &two.by_ada(&test)).await.code(), "invalid");

    let proposed = two.propose(&world, &envelope).await;
    assert_eq!(proposed.status, StatusCode::OK, "{}", proposed.body);
    assert_eq!((&proposed.body["state"], &proposed.body["needed"]), (&json!("open"), &json!(2)));
    assert_eq!(two.listed(&world, &envelope).await["agreed"], json!([two.ours.admin.id]));
    assert_eq!(two.carry_out(&world, &envelope).await.status, StatusCode::NOT_FOUND, "not before");
    let (agreed, (sent, result)) =
        tokio::join!(two.agree(&world, &envelope), two.answer(&mut link, &command, None));
    assert_eq!(agreed.status, StatusCode::OK, "{}", agreed.body);
    assert_eq!((&agreed.body["state"], &agreed.body["result"]), (&json!("done"), &result));
    assert_eq!(sent["signatures"].as_array().unwrap().len(), 2, "the gateway counts for itself");
    let listed = two.listed(&world, &envelope).await;
    assert_eq!((&listed["state"], &listed["result"]), (&json!("done"), &result), "its author sees it");

    let history = ada.get("/api/v1/history?limit=50").await.body["entries"].clone();
    let stands = |action: &str| {
        let of = |entry: &&Value| entry["action"] == action && entry["signature"] == json!(id(&envelope));
        history.as_array().unwrap().iter().filter(of).count()
    };
    assert_eq!(["propose", "approve", "configure"].map(stands), [1, 1, 1], "{history}");
    let kept = ada.get(&format!("/api/v1/signatures/{}", id(&envelope))).await;
    assert_eq!(kept.body["envelope"], sent);
}

async fn a_command_waits_for_its_gateway(world: World) {
    let two = Two::new(&world).await;
    let command = two.command();
    let envelope = two.by_ada(&command);
    assert_eq!(two.propose(&world, &envelope).await.status, StatusCode::OK);
    let agreed = two.agree(&world, &envelope).await;
    assert_eq!((agreed.status, &agreed.body["state"]), (StatusCode::OK, &json!("approved")));
    assert_eq!(two.agree(&world, &envelope).await.status, StatusCode::NOT_FOUND, "nobody needs to again");
    assert_eq!(two.carry_out(&world, &envelope).await.code(), "gateway_offline");
    assert_eq!(two.listed(&world, &envelope).await["state"], "approved");

    // An answer that is not to this command ends nothing.
    let mut link = two.linked(&world, STATE).await;
    let other = SiteCommand { nonce: "cd".repeat(16), ..command.clone() };
    let (refused, _) =
        tokio::join!(two.carry_out(&world, &envelope), two.answer(&mut link, &other, Some("not for me")));
    assert_eq!(refused.code(), "gateway_refused");
    assert_eq!(two.listed(&world, &envelope).await["state"], "approved");

    // It answers that it cannot: over, and its words are kept.
    let failing = async {
        let answer = two.answer(&mut link, &command, Some("this gateway has no such camera"));
        tokio::join!(two.carry_out(&world, &envelope), answer)
    };
    let (failed, (_, result)) = failing.await;
    assert_eq!((&failed.body["state"], &failed.body["result"]), (&json!("failed"), &result));
    assert_eq!(two.listed(&world, &envelope).await["state"], "failed");
    assert_eq!(two.carry_out(&world, &envelope).await.status, StatusCode::NOT_FOUND);

    // An answer that was lost: the site's state tells that it was carried out.
    let lost = two.command();
    let envelope = two.by_ada(&lost);
    assert_eq!(two.propose(&world, &envelope).await.status, StatusCode::OK);
    drop(link);
    until(async || {
        two.ours.api(&world).get("/api/v1/gateways").await.body["gateways"][0]["connected"] == false
    })
    .await;
    assert_eq!(two.agree(&world, &envelope).await.body["state"], "approved");
    let _link = two.linked(&world, lost.state_after()).await;
    assert_eq!(two.carry_out(&world, &envelope).await.body["state"], "done");

    // One that was agreed on can be taken back until it is carried out.
    let withdrawn = SiteCommand { previous_state: lost.state_after(), ..two.command() };
    let envelope = two.by_ada(&withdrawn);
    assert_eq!(two.propose(&world, &envelope).await.status, StatusCode::OK);
    let path = format!("/api/v1/proposals/{}/decline", id(&envelope));
    let declined = world.as_person(&two.cem.cookie).post(&path, &json!({})).await;
    assert_eq!(declined.status, StatusCode::NO_CONTENT);
    assert_eq!(two.agree(&world, &envelope).await.status, StatusCode::NOT_FOUND);
}

async fn a_command_for_a_site_that_has_changed_is_proposed_anew(world: World) {
    let two = Two::new(&world).await;
    let mut link = two.linked(&world, STATE).await;
    let envelope = two.by_ada(&two.command());
    assert_eq!(two.propose(&world, &envelope).await.status, StatusCode::OK);
    two.tell(&world, &mut link, Hash([8; 32])).await;
    assert_eq!(two.listed(&world, &envelope).await["state"], "stale");
    assert_eq!(two.agree(&world, &envelope).await.code(), "state_moved");
    let late = two.by_ada(&two.command());
    assert_eq!(two.propose(&world, &late).await.code(), "state_moved", "made for what is no more");
    let anew = two.by_ada(&SiteCommand { previous_state: Hash([8; 32]), ..two.command() });
    assert_eq!(two.propose(&world, &anew).await.status, StatusCode::OK);

    // Longer than people have, and for nobody's gateway.
    let too_long = SiteCommand { expires_at: now().plus_ms(73 * Timestamp::HOUR), ..two.command() };
    assert_eq!(two.propose(&world, &two.by_ada(&too_long)).await.code(), "invalid");
    let elsewhere = SiteCommand { target: model::GatewayId::from_random(fresh_id()), ..two.command() };
    assert_eq!(two.propose(&world, &two.by_ada(&elsewhere)).await.code(), "invalid");
    // A proposal lives no longer than its command.
    let short = now().plus_ms(Timestamp::HOUR);
    let short = SiteCommand { expires_at: short, previous_state: Hash([8; 32]), ..two.command() };
    let envelope = two.by_ada(&short);
    assert_eq!(two.propose(&world, &envelope).await.status, StatusCode::OK);
    assert_eq!(two.listed(&world, &envelope).await["expires_at"], json!(short.expires_at));
}
