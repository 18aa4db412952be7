//! Attacks of a cloud that is in somebody else's hands.

use std::collections::BTreeSet;
use std::path::Path;

use model::wire::{Envelope, ToGateway};
use model::{DeviceId, GatewayId, Hash, PersonId};
use seal::command::{Command, CommandResult};
use seal::grant::EpochGrant;
use seal::keyring::DeviceKeys;
use seal::keys::VerifyingKey;
use seal::recording::{ChunkOpener, Recording};
use seal::roster::{Roster, Statement, sign_next};

use super::administrator::{Administrator, device, now};
use super::scripted_cloud::ScriptedCloud;
use super::{Site, until};

/// Everything that lies below a folder, in one piece.
fn all_bytes(folder: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            bytes.extend(all_bytes(&path));
        } else {
            bytes.extend(std::fs::read(path).unwrap_or_default());
        }
    }
    bytes
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

/// Whom the gateway granted keys.
fn audience(site: &Site) -> BTreeSet<DeviceId> {
    site.cloud.grants().iter().map(|envelope| EpochGrant::claimed(envelope).unwrap().device).collect()
}

/// The device's keys open what the gateway granted it.
pub(super) fn open_grants(
    site: &Site,
) -> Vec<(EpochGrant, std::collections::BTreeMap<model::CameraId, seal::grant::CameraKeys>)> {
    let gateway = site.administrator.gateway();
    let key = VerifyingKey::from_bytes(&gateway.sign.0).unwrap();
    let device = site.administrator.device_id();
    let open = |envelope: &Envelope| {
        let grant = EpochGrant::verify(envelope, gateway.id, key).unwrap();
        let own = (grant.device == device).then_some(grant)?;
        let keys = own.open(device, &site.administrator.keys().kem).unwrap();
        Some((own, keys))
    };
    site.cloud.grants().iter().filter_map(open).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn disk_relay_and_bucket_never_hold_a_picture() {
    let mut site = Site::recording().await;
    site.watch(1);
    until("recordings are forwarded", || site.objects().len() >= 2).await;
    until("live frames come", || site.cloud.frames().len() > 20).await;
    let (name, bytes) = site.objects().remove(0);
    site.stop().await;

    // The device opens a recording; what it finds there is found nowhere else.
    let recording = Recording::parse(&bytes).unwrap();
    recording.verify(&site.administrator.roster()).unwrap();
    let grants = open_grants(&site);
    let epoch = recording.header.header.epoch;
    let (_, keys) = grants.iter().find(|(grant, _)| grant.epoch == epoch).unwrap();
    let opener = ChunkOpener::new(&recording.header, &keys[&site.camera]).unwrap();
    let mut pictures = Vec::new();
    for chunk in &recording.chunks {
        let mut buffer = chunk.ciphertext.to_vec();
        let plaintext = opener.open(chunk.number, chunk.head_bytes, &mut buffer).unwrap();
        pictures.push(plaintext.to_vec());
    }
    assert!(pictures.len() > 20, "{name} holds {} chunks", pictures.len());
    let disk = all_bytes(site.folder.path());
    let relay = site.cloud.frames().concat();
    let bucket: Vec<u8> = site.cloud.objects().into_values().flatten().collect();
    assert!(contains(&disk, &recording.chunks[3].ciphertext[..64]), "the search finds what is there");
    for picture in pictures.iter().filter(|picture| picture.len() > 64).take(12) {
        let middle = &picture[picture.len() / 2..][..24];
        for (place, bytes) in [("disk", &disk), ("relay", &relay), ("bucket", &bucket)] {
            assert!(!contains(bytes, middle), "a picture stands in the clear on the {place}");
        }
    }
    // Nor does any key that opens one.
    let key = format!("{:?}", keys[&site.camera].video);
    assert!(!key.contains(|c: char| c.is_ascii_digit()), "keys do not print: {key}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_key_is_sealed_to_a_device_outside_the_roster() {
    let site = Site::recording().await;
    until("the first grants come", || !site.cloud.grants().is_empty()).await;
    let (seq, head) = site.administrator.roster().head();

    // The cloud makes up a device and signs for it with its own key.
    let intruder = DeviceKeys::from_seeds([66; 32], [67; 32]);
    let intruder_id = DeviceId::from_random([66; 16]);
    let statement =
        Statement::AddDevice { device: device(intruder_id, PersonId::from_random([1; 16]), &intruder) };
    let roster = site.administrator.roster();
    let forged = [
        sign_next(&roster, now(), statement.clone(), intruder_id, &intruder.sign),
        sign_next(&roster, now(), statement, site.administrator.device_id(), &intruder.sign),
    ];
    let grants_before = site.cloud.grants().len();
    for forged in forged {
        let mut statements = site.cloud_statements();
        statements.push(forged);
        site.cloud.script(|script| script.statements = Some(statements));
        site.cloud.send(ToGateway::RosterChanged);
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
    // An older roster, without the camera, is not believed either.
    let older = site.cloud_statements()[..2].to_vec();
    site.cloud.script(|script| script.statements = Some(older));
    site.cloud.send(ToGateway::RosterChanged);
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    // Nor another end of the same roster, which the administrator signed too.
    let mut forked = site.cloud_statements();
    forked.pop();
    let before = Roster::replay(forked.iter().map(|envelope| (envelope, now()))).unwrap();
    let added =
        Statement::AddDevice { device: device(intruder_id, PersonId::from_random([1; 16]), &intruder) };
    let administrator = &site.administrator;
    forked.push(sign_next(&before, now(), added, administrator.device_id(), &administrator.keys().sign));
    site.cloud.script(|script| script.statements = Some(forked));
    site.cloud.send(ToGateway::RosterChanged);
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;

    let kept = std::fs::read_to_string(site.data().join("roster.jsonl")).unwrap();
    let (kept, _) = seal::roster::read_log(&kept).unwrap();
    assert_eq!(kept.head(), (seq, head), "the gateway's roster is the device's");
    let recovery = site.administrator.roster().state().recovery.id;
    assert_eq!(audience(&site), [site.administrator.device_id(), recovery].into());

    // The truth is still taken.
    site.cloud.script(|script| script.statements = None);
    let second = DeviceKeys::from_seeds([70; 32], [71; 32]);
    let second_id = DeviceId::from_random([70; 16]);
    let statement =
        Statement::AddDevice { device: device(second_id, PersonId::from_random([1; 16]), &second) };
    site.administrator.state(statement);
    site.cloud.send(ToGateway::RosterChanged);
    until("the new device is granted keys", || audience(&site).contains(&second_id)).await;
    assert!(site.cloud.grants().len() > grants_before);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_administrators_device_reconfigures_a_site() {
    let site = Site::recording().await;
    let gateway = site.administrator.gateway();
    let (state, _) = site.cloud.last_status().unwrap();
    let remove = Command::RemoveCamera { camera: site.camera };
    let other = Administrator::new();
    let stranger = DeviceKeys::from_seeds([66; 32], [67; 32]);

    let genuine = |nonce: &str, target: GatewayId, state: Hash| {
        site.administrator.command(target, nonce.repeat(32), state, remove.clone())
    };
    let mut forged = genuine("a", gateway.id, state);
    forged.signatures[0].sig = model::Base64(stranger.sign.sign(b"anything").to_vec());
    let mut altered = genuine("b", gateway.id, state);
    altered.payload.0[40] ^= 1;
    let attacks = [
        ("a signature of a stranger", forged),
        ("an altered command", altered),
        ("another gateway's command", genuine("c", GatewayId::from_random([42; 16]), state)),
        ("a command for another configuration", genuine("d", gateway.id, Hash([1; 32]))),
        ("a command with a malformed nonce", other.command(gateway.id, "no".into(), state, remove.clone())),
    ];
    for (what, envelope) in attacks {
        let result = site.cloud.command(envelope).await;
        let bytes = seal::envelope::payload(seal::envelope::PayloadType::CommandResult, &result).unwrap();
        let result: CommandResult = seal::from_canonical(bytes).unwrap();
        assert!(!result.ok, "{what} was obeyed");
    }
    assert_eq!(site.cloud.last_status().unwrap().0, state, "the configuration is as it was");

    // The genuine one works, once.
    let envelope = genuine("e", gateway.id, state);
    let key = VerifyingKey::from_bytes(&gateway.sign.0).unwrap();
    let result = site.cloud.command(envelope.clone()).await;
    assert!(CommandResult::verify(&result, gateway.id, key, &"e".repeat(32)).unwrap().ok);
    let again = site.cloud.command(envelope).await;
    let bytes = seal::envelope::payload(seal::envelope::PayloadType::CommandResult, &again).unwrap();
    let again: CommandResult = seal::from_canonical(bytes).unwrap();
    assert!(again.error.unwrap().contains("carried out before"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cloud_with_another_ca_hears_nothing() {
    let administrator = Administrator::new();
    let cloud = ScriptedCloud::start(administrator.shared()).await;
    let folder = tempfile::tempdir().unwrap();
    let config = gateway::Config { data: folder.path().join("gateway"), ..Default::default() };
    let enrolment = gateway::Enrolment {
        url: cloud.url(),
        secret: administrator.secret(),
        ca: Hash([1; 32]),
        anchor: None,
    };
    let running = Box::pin(gateway::start(config, Some(enrolment))).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    assert_eq!(cloud.calls(), 0);
    assert!(!*running.enrolled().borrow());
    running.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_roster_of_somebody_else_does_not_enrol() {
    let administrator = Administrator::new();
    let cloud = ScriptedCloud::start(administrator.shared()).await;
    let folder = tempfile::tempdir().unwrap();
    let config = gateway::Config { data: folder.path().join("gateway"), ..Default::default() };
    // The code names another organisation's anchor than the cloud's roster has.
    let enrolment = gateway::Enrolment {
        url: cloud.url(),
        secret: administrator.secret(),
        ca: cloud.ca(),
        anchor: Some(Hash([1; 32])),
    };
    let mut running = Box::pin(gateway::start(config, Some(enrolment))).await.unwrap();
    let error = running.failed().await.unwrap_err().to_string();
    assert!(error.contains("another organisation"), "{error}");
    assert!(!folder.path().join("gateway/cloud.json").exists());
}

impl Site {
    fn cloud_statements(&self) -> Vec<Envelope> {
        self.administrator.shared().statements()
    }
}

/// The fixture itself is sound: what the device signs, a reader takes.
#[test]
fn the_administrators_roster_replays() {
    let administrator = Administrator::new();
    let statements = administrator.shared().statements();
    assert!(Roster::replay(statements.iter().map(|envelope| (envelope, now()))).is_ok());
}
