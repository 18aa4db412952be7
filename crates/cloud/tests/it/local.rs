//! The journal of a gateway's local way, told when the cloud is back.

use model::wire::Envelope;
use model::{DeviceId, Hash, PersonId, Rendition, Timestamp};
use reqwest::StatusCode;
use seal::action::{Action, SignedAction};
use seal::keys::SigningKey;
use seal::local::{JournalEntry, JournalEvent, LocalJournal, RefusedReason};
use serde_json::{Value, json};

use crate::support::{Gateway, Organisation, World, fresh, fresh_id, now, on_both_databases};

on_both_databases!(
    what_was_done_on_a_site_stands_in_the_history_once,
    a_journal_with_a_hole_says_so,
    nobody_tells_the_journal_of_another_gateway,
);

/// Entries that follow each other, from a number and a hash on.
fn chain(
    mut seq: u64,
    mut previous: Hash,
    events: impl IntoIterator<Item = JournalEvent>,
) -> Vec<JournalEntry> {
    let entries = events.into_iter().map(|event| {
        let entry = JournalEntry { seq, previous, at: now(), event };
        (seq, previous) = (seq + 1, entry.hash());
        entry
    });
    entries.collect()
}

fn part(org: &Organisation, gateway: &Gateway, journal: Hash, entries: &[JournalEntry]) -> Envelope {
    let part = LocalJournal { org: org.org, gateway: gateway.id, journal, entries: entries.to_vec() };
    part.sign(&gateway.sign)
}

async fn tell(gateway: &Gateway, part: &Envelope) -> StatusCode {
    gateway.post("/gateway/v1/journal", &json!({ "envelope": part })).await.status
}

/// The history's entries of the local way, oldest first.
async fn history(world: &World, org: &Organisation) -> Vec<Value> {
    let answer = org.api(world).get("/api/v1/history?limit=200").await;
    let entries = answer.body["entries"].as_array().unwrap().clone();
    let local = |entry: &Value| entry["action"].as_str().unwrap().starts_with("local_");
    entries.into_iter().rev().filter(local).collect()
}

fn actions(entries: &[Value]) -> Vec<&str> {
    entries.iter().map(|entry| entry["action"].as_str().unwrap()).collect()
}

async fn what_was_done_on_a_site_stands_in_the_history_once(world: World) {
    let mut org = world.found().await;
    let gateway = Gateway::enrolled(&world, &mut org).await;
    let camera = org.bind_camera(&world, gateway.id).await;
    let (device, person) = (org.admin.device, org.admin.id);
    let (journal, recording) = (Hash(fresh()), Hash(fresh()));
    let signed = SignedAction {
        org: org.org,
        nonce: Hash(fresh()),
        expires_at: now().plus_ms(Timestamp::MINUTE),
        previous_state: org.roster.head().1,
        action: Action::Export { camera, from: Timestamp(1), to: Timestamp(2), reason: None },
    };
    let action = signed.sign(device, &org.admin.keys.sign);
    let rendition = Rendition::Main;
    let entries = chain(
        0,
        Hash::default(),
        [
            JournalEvent::Login { device, person },
            JournalEvent::Live { device, person, camera, rendition },
            JournalEvent::Playback { device, person, camera, recording },
            JournalEvent::Export { device, person, camera, action: action.clone() },
            JournalEvent::Refused { device: None, reason: RefusedReason::Signature, count: 7 },
            // Somebody of whom the cloud has never heard is written down too.
            JournalEvent::Login {
                device: DeviceId::from_random(fresh_id()),
                person: PersonId::from_random(fresh_id()),
            },
        ],
    );
    // Told in parts that overlap, as after answers that were lost.
    let first = part(&org, &gateway, journal, &entries[..3]);
    for told in [&first, &first, &part(&org, &gateway, journal, &entries), &first] {
        assert_eq!(tell(&gateway, told).await, StatusCode::OK);
    }
    let world = world.restarted().await;
    let told = history(&world, &org).await;
    let expected = [
        "local_journal_begins",
        "local_login",
        "local_live",
        "local_playback",
        "local_export",
        "local_refused",
        "local_login",
    ];
    assert_eq!(actions(&told), expected);
    assert_eq!((&told[1]["actor"], &told[1]["device"]), (&json!(person), &json!(device)));
    assert_eq!(told[1]["signature"], json!(seal::sha256(&first.payload.0)), "the gateway's word is kept");
    assert_eq!(told[2]["resource"], format!("{camera} main {} 1", gateway.id));
    assert_eq!(told[3]["resource"], format!("{camera} {recording} {} 2", gateway.id));
    assert_eq!((&told[5]["actor"], &told[5]["refused"]), (&json!("anonymous"), &json!(7)));
    for (entry, envelope) in [(&told[1], &first), (&told[4], &action)] {
        let hash = entry["signature"].as_str().unwrap();
        let kept = org.api(&world).get(&format!("/api/v1/signatures/{hash}")).await;
        assert_eq!(kept.body["envelope"], json!(envelope));
    }
}

async fn a_journal_with_a_hole_says_so(world: World) {
    let mut org = world.found().await;
    let gateway = Gateway::enrolled(&world, &mut org).await;
    let (device, person) = (org.admin.device, org.admin.id);
    let login = || JournalEvent::Login { device, person };
    let journal = Hash(fresh());
    let entries = chain(0, Hash::default(), [login(), login(), login()]);
    let tell_part = async |journal, entries: &[JournalEntry]| {
        assert_eq!(tell(&gateway, &part(&org, &gateway, journal, entries)).await, StatusCode::OK);
    };
    tell_part(journal, &entries[..1]).await;
    // One is left out.
    tell_part(journal, &entries[2..]).await;
    // The next is there, on top of something else than what was told.
    tell_part(journal, &chain(3, Hash(fresh()), [login()])).await;
    // A journal that was lost begins anew, as another one.
    tell_part(Hash(fresh()), &chain(0, Hash::default(), [login()])).await;
    let told = history(&world, &org).await;
    let expected = [
        "local_journal_begins",
        "local_login",
        "local_journal_gap",
        "local_login",
        "local_journal_gap",
        "local_login",
        "local_journal_begins",
        "local_login",
    ];
    assert_eq!(actions(&told), expected);
    assert_eq!(told[2]["resource"], format!("{journal} before 2"));
    // Entries that do not follow each other are no part of any journal.
    let torn = part(&org, &gateway, journal, &[entries[0].clone(), entries[2].clone()]);
    assert_eq!(tell(&gateway, &torn).await, StatusCode::UNPROCESSABLE_ENTITY);
}

async fn nobody_tells_the_journal_of_another_gateway(world: World) {
    let mut org = world.found().await;
    let gateway = Gateway::enrolled(&world, &mut org).await;
    let (device, person) = (org.admin.device, org.admin.id);
    let entries = chain(0, Hash::default(), [JournalEvent::Login { device, person }]);
    let genuine = LocalJournal { org: org.org, gateway: gateway.id, journal: Hash(fresh()), entries };
    let stranger = SigningKey::from_seed(fresh());
    let mut altered = genuine.sign(&gateway.sign);
    altered.payload.0[60] ^= 1;
    let other_gateway =
        LocalJournal { gateway: model::GatewayId::from_random(fresh_id()), ..genuine.clone() };
    let other_org = LocalJournal { org: model::OrgId::from_random(fresh_id()), ..genuine.clone() };
    let empty = LocalJournal { entries: Vec::new(), ..genuine.clone() };
    let refused = [
        genuine.sign(&stranger),
        altered,
        other_gateway.sign(&gateway.sign),
        other_org.sign(&gateway.sign),
        empty.sign(&gateway.sign),
    ];
    for envelope in &refused {
        assert_eq!(tell(&gateway, envelope).await, StatusCode::UNPROCESSABLE_ENTITY);
    }
    assert_eq!(history(&world, &org).await, [json!(null); 0]);
}
