//! The history: one chain of entries per organisation. The hash of an entry
//! is SHA-256(hash of the entry before ‖ canonical JSON of the entry), so an
//! entry that was changed, removed or slipped in shows.

use model::{Hash, OrgId, Timestamp};
use serde::Serialize;

/// One decision, as it is written down. Holds ids and names of things, never
/// tokens or keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub org: OrgId,
    pub at: Timestamp,
    pub actor: String,
    pub action: String,
    pub resource: String,
}

/// The place that an entry has in the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    pub seq: u64,
    pub previous: Hash,
    pub hash: Hash,
}

/// Where entries are kept. Appending is atomic: all entries, in this order,
/// one after the other, or none.
pub trait History {
    type Error;

    fn append(&self, entries: &[Entry]) -> impl Future<Output = Result<Vec<Receipt>, Self::Error>> + Send;
}

impl Receipt {
    /// Recomputed, not believed: a history that answers with another entry's
    /// receipt is refused.
    pub fn is_for(&self, entry: &Entry) -> bool {
        chain_hash(self.previous, self.seq, entry) == self.hash
    }
}

/// Before the first entry stand 32 zero bytes.
pub fn chain_hash(previous: Hash, seq: u64, entry: &Entry) -> Hash {
    #[derive(Serialize)]
    struct Canonical<'a> {
        org: OrgId,
        seq: u64,
        at: Timestamp,
        actor: &'a str,
        action: &'a str,
        resource: &'a str,
    }
    let canonical = serde_json::to_vec(&Canonical {
        org: entry.org,
        seq,
        at: entry.at,
        actor: &entry.actor,
        action: &entry.action,
        resource: &entry.resource,
    })
    .expect("ids, numbers and texts serialise");
    let mut bytes = previous.0.to_vec();
    bytes.extend_from_slice(&canonical);
    seal::sha256(&bytes)
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use model::{CameraId, DeviceId, PersonId, Rendition};

    use super::*;
    use crate::{Action, CameraFacts, Facts, Permit, PersonFacts, Principal, RecordError, Request, decide};

    /// These histories never wait.
    fn now_or_never<T>(future: impl Future<Output = T>) -> T {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => value,
            Poll::Pending => panic!("a history of these tests waited"),
        }
    }

    struct Chain;
    struct Broken;
    struct Liar;

    fn receipt(entry: &Entry, seq: u64, previous: Hash) -> Receipt {
        Receipt { seq, previous, hash: chain_hash(previous, seq, entry) }
    }

    impl History for Chain {
        type Error = ();

        async fn append(&self, entries: &[Entry]) -> Result<Vec<Receipt>, ()> {
            let mut previous = Hash::default();
            let mut receipts = Vec::new();
            for (seq, entry) in entries.iter().enumerate() {
                receipts.push(receipt(entry, seq as u64, previous));
                previous = receipts[seq].hash;
            }
            Ok(receipts)
        }
    }

    impl History for Broken {
        type Error = &'static str;

        async fn append(&self, _: &[Entry]) -> Result<Vec<Receipt>, &'static str> {
            Err("disk full")
        }
    }

    impl History for Liar {
        type Error = ();

        async fn append(&self, entries: &[Entry]) -> Result<Vec<Receipt>, ()> {
            let other = Entry { actor: "somebody else".into(), ..entries[0].clone() };
            Ok(vec![receipt(&other, 0, Hash::default()); entries.len()])
        }
    }

    fn permit() -> Permit {
        let (org, camera) = (OrgId::from_random([1; 16]), CameraId::from_random([2; 16]));
        let mut facts = Facts {
            person: Some(PersonFacts {
                org,
                session_ends_at: Timestamp(2),
                devices: vec![DeviceId::from_random([3; 16])],
                administrator: false,
            }),
            ..Facts::default()
        };
        let gateway = model::GatewayId::from_random([4; 16]);
        facts.cameras.insert(camera, CameraFacts { gateway, person_may_open: true });
        let principal = Principal::Person { person: PersonId::from_random([5; 16]), device: None };
        let action = Action::Live { camera, rendition: Rendition::Main };
        decide(&Request { org, principal, action }, &facts, Timestamp(1)).unwrap()
    }

    #[test]
    fn a_recorded_permit_carries_its_receipt() {
        let audited = now_or_never(Permit::record_all(vec![permit(), permit()], &Chain)).unwrap();
        assert_eq!(audited.len(), 2);
        assert_eq!(audited[1].receipt().previous, audited[0].receipt().hash);
        assert!(audited[0].covers(&permit()));
    }

    #[test]
    fn no_record_no_permit() {
        assert!(matches!(now_or_never(permit().record(&Broken)), Err(RecordError::History("disk full"))));
        assert!(matches!(now_or_never(permit().record(&Liar)), Err(RecordError::Receipt)));
    }

    #[test]
    fn every_field_is_under_the_hash() {
        let entry = Entry {
            org: OrgId::from_random([1; 16]),
            at: Timestamp(1),
            actor: "a".into(),
            action: "b".into(),
            resource: "c".into(),
        };
        let hash = chain_hash(Hash::default(), 0, &entry);
        let changed = [
            Entry { org: OrgId::from_random([2; 16]), ..entry.clone() },
            Entry { at: Timestamp(2), ..entry.clone() },
            Entry { actor: "x".into(), ..entry.clone() },
            Entry { action: "x".into(), ..entry.clone() },
            Entry { resource: "x".into(), ..entry.clone() },
        ];
        for other in changed {
            assert_ne!(chain_hash(Hash::default(), 0, &other), hash);
        }
        assert_ne!(chain_hash(Hash([1; 32]), 0, &entry), hash);
        assert_ne!(chain_hash(Hash::default(), 1, &entry), hash);
    }
}
