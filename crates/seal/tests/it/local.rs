//! Proofs and journal of the local way.

use model::{Hash, Rendition};
use seal::local::{
    ENTRIES_MAX, JournalEntry, JournalEvent, LocalGateway, LocalJournal, LocalLogin, RefusedReason,
};

use crate::fixture::{T0, ada, camera_id, device_id, gateway_id, gateway_keys, keys, org};

pub(crate) fn hello() -> LocalGateway {
    LocalGateway {
        org: org(),
        gateway: gateway_id(),
        certificate: Hash([1; 32]),
        device_challenge: Hash([2; 32]),
        gateway_challenge: Hash([3; 32]),
        roster_seq: 4,
        roster_head: Hash([5; 32]),
    }
}

pub(crate) fn login() -> LocalLogin {
    LocalLogin {
        org: org(),
        gateway: gateway_id(),
        device: device_id(1),
        certificate: Hash([1; 32]),
        gateway_challenge: Hash([3; 32]),
    }
}

fn entries(count: usize) -> Vec<JournalEntry> {
    let (device, person, camera) = (device_id(1), ada(), camera_id());
    let events = [
        JournalEvent::Login { device, person },
        JournalEvent::Live { device, person, camera, rendition: Rendition::Sub },
        JournalEvent::Refused { device: None, reason: RefusedReason::Certificate, count: 3 },
    ];
    let mut previous = Hash::default();
    let entry = |(seq, event)| {
        let entry = JournalEntry { seq, previous, at: T0, event };
        previous = entry.hash();
        entry
    };
    (0..).zip(events.into_iter().cycle().take(count)).map(entry).collect()
}

fn journal(entries: Vec<JournalEntry>) -> LocalJournal {
    LocalJournal { org: org(), gateway: gateway_id(), journal: Hash([9; 32]), entries }
}

#[test]
fn what_a_proof_says_is_what_was_signed() {
    let (_, gateway) = gateway_keys();
    let device = keys(1).sign;
    let (said, signed) = (hello(), login());
    let (answer, proof) = (said.sign(&gateway), signed.sign(&device));
    assert_eq!(LocalGateway::claimed(&answer).unwrap(), said);
    said.verify(&answer, gateway.verifying_key()).unwrap();
    assert_eq!(LocalLogin::claimed(&proof).unwrap(), signed);
    signed.verify(&proof, device.verifying_key()).unwrap();
    // Another key, another type, another spelling.
    assert!(said.verify(&answer, device.verifying_key()).is_err());
    assert!(signed.verify(&proof, keys(2).sign.verifying_key()).is_err());
    assert!(LocalLogin::claimed(&answer).is_err() && LocalGateway::claimed(&proof).is_err());
    // No byte of either can be another one.
    for at in 0..answer.payload.0.len() {
        let mut altered = answer.clone();
        altered.payload.0[at] ^= 1;
        assert!(said.verify(&altered, gateway.verifying_key()).is_err(), "byte {at}");
    }
    let spelled = r#"{"org":"org_10101010101010101010101010101010","gateway":"gw_60606060606060606060606060606060","device":"dev_01010101010101010101010101010101","certificate":"0101010101010101010101010101010101010101010101010101010101010101","gateway_challenge":"0303030303030303030303030303030303030303030303030303030303030303"}"#;
    assert_eq!(String::from_utf8_lossy(&proof.payload.0), spelled, "as format.md section 8 says");
}

#[test]
fn a_part_of_a_journal_is_signed_whole_and_chained() {
    let (_, key) = gateway_keys();
    let verify =
        |journal: LocalJournal| LocalJournal::verify(&journal.sign(&key), gateway_id(), key.verifying_key());
    let good = entries(ENTRIES_MAX);
    assert_eq!(verify(journal(good.clone())).unwrap().entries, good);
    assert!(verify(journal(good[7..].to_vec())).is_ok(), "a part may begin anywhere");
    assert!(verify(journal(Vec::new())).is_err());
    assert!(verify(journal(entries(ENTRIES_MAX + 1))).is_err());
    let mut hole = good.clone();
    hole.remove(3);
    let mut swapped = good.clone();
    swapped.swap(3, 4);
    let mut changed = good.clone();
    changed[3].at = T0.plus_ms(1);
    for broken in [hole, swapped, changed] {
        assert!(verify(journal(broken)).is_err());
    }
    let envelope = journal(good).sign(&key);
    assert!(LocalJournal::verify(&envelope, gateway_id(), keys(1).sign.verifying_key()).is_err());
}
