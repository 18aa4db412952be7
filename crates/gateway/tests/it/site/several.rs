//! Where it takes several administrators: one alone, and a cloud that helps
//! them, move nothing at a site.

use model::wire::{Envelope, ToGateway};
use model::{DeviceId, Hash, PersonId, Timestamp};
use seal::command::{Command, CommandResult, SiteCommand};
use seal::envelope::{self, PayloadType};
use seal::keyring::DeviceKeys;
use seal::keys::VerifyingKey;
use seal::roster::{Administrators, Statement};

use super::administrator::{device, now};
use super::{Site, until};

struct Other {
    id: DeviceId,
    keys: DeviceKeys,
}

impl Other {
    fn new(seed: u8) -> Self {
        Other {
            id: DeviceId::from_random([seed; 16]),
            keys: DeviceKeys::from_seeds([seed; 32], [seed + 1; 32]),
        }
    }

    fn sign(&self, mut envelope: Envelope) -> Envelope {
        envelope::add_signature(PayloadType::Command, &mut envelope, &self.id, &self.keys.sign);
        envelope
    }
}

/// The administrator's second device, and that of a second administrator; from
/// now on it takes both people.
async fn takes_two(site: &Site) -> (Other, Other) {
    let (own, cem) = (Other::new(0x31), Other::new(0x41));
    for (other, person) in [(&own, 1), (&cem, 2)] {
        let device = device(other.id, PersonId::from_random([person; 16]), &other.keys);
        site.administrator.state(Statement::AddDevice { device });
    }
    let devices = [site.administrator.device_id(), own.id, cem.id].into();
    let Administrators { k, devices } = Administrators { k: 2, devices };
    site.administrator.state(Statement::SetAdministrators { k, devices });
    site.cloud.send(ToGateway::RosterChanged);
    let log = site.data().join("roster.jsonl");
    let head = site.administrator.roster().head();
    until("the gateway knows that it takes two", || {
        let text = std::fs::read_to_string(&log).unwrap();
        seal::roster::read_log(&text).unwrap().0.head() == head
    })
    .await;
    (own, cem)
}

fn remove(site: &Site, state: Hash, nonce: &str) -> Envelope {
    let command = SiteCommand {
        org: site.administrator.roster().org(),
        target: site.administrator.gateway().id,
        nonce: nonce.repeat(32),
        expires_at: now().plus_ms(71 * Timestamp::HOUR),
        previous_state: state,
        command: Command::RemoveCamera { camera: site.camera },
    };
    command.sign(site.administrator.device_id(), &site.administrator.keys().sign)
}

async fn answer(site: &Site, envelope: Envelope) -> CommandResult {
    let answer = site.cloud.command(envelope).await;
    let gateway = site.administrator.gateway();
    let key = VerifyingKey::from_bytes(&gateway.sign.0).unwrap();
    let bytes = envelope::verify(PayloadType::CommandResult, &answer, &gateway.id, key).unwrap();
    seal::from_canonical(bytes).unwrap()
}

async fn restarted(site: &mut Site) {
    site.stop().await;
    site.cloud.forget_status();
    site.start().await;
    let cloud = site.cloud.clone();
    until("the gateway links again", || cloud.last_status().is_some()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_administrator_against_two_moves_nothing_at_a_site() {
    let mut site = Site::recording().await;
    let (own, cem) = takes_two(&site).await;
    let (state, _) = site.cloud.last_status().unwrap();
    let genuine = cem.sign(remove(&site, state, "a"));
    let mut stripped = genuine.clone();
    stripped.signatures.remove(0);
    let mut altered = cem.sign(remove(&site, state, "b"));
    altered.signatures[0] = genuine.signatures[0].clone();
    let attacks = [
        ("one administrator", remove(&site, state, "c"), "1 of 2"),
        ("two devices of one person", own.sign(remove(&site, state, "d")), "1 of 2"),
        ("a signature taken away", stripped, "1 of 2"),
        ("a stranger's added", Other::new(0x51).sign(genuine.clone()), "not an administrator"),
        ("altered after the first signature", altered, "does not fit"),
    ];
    for (what, envelope, why) in attacks {
        let result = answer(&site, envelope).await;
        let error = result.error.unwrap();
        assert!(!result.ok && error.contains(why), "{what}: {error}");
        assert_eq!(result.nonce, "", "{what}: the answer is to nobody's command");
    }
    assert_eq!(site.cloud.last_status().unwrap().0, state, "the configuration is as it was");

    // Both people, and days to agree; then once, also for a gateway that was restarted.
    assert!(answer(&site, genuine.clone()).await.ok);
    restarted(&mut site).await;
    let again = answer(&site, genuine.clone()).await;
    assert!(again.error.unwrap().contains("carried out before"));
    assert_eq!(again.nonce, "a".repeat(32), "whoever waits for an answer is told");

    // What could not be carried out is not tried again either.
    let (state, _) = site.cloud.last_status().unwrap();
    let in_vain = cem.sign(remove(&site, state, "e"));
    assert!(answer(&site, in_vain.clone()).await.error.unwrap().contains("no camera"));
    restarted(&mut site).await;
    assert!(answer(&site, in_vain).await.error.unwrap().contains("carried out before"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_two_agreed_on_is_for_the_site_that_they_saw() {
    let site = Site::recording().await;
    let (_, cem) = takes_two(&site).await;
    let (state, _) = site.cloud.last_status().unwrap();
    let (first, second) = (cem.sign(remove(&site, state, "a")), cem.sign(remove(&site, state, "b")));
    assert!(answer(&site, first).await.ok);
    let refused = answer(&site, second).await;
    assert!(refused.error.unwrap().contains("another configuration"));
    assert_eq!(refused.nonce, "b".repeat(32));
}
