//! The history: what was permitted, and how often what was refused, as entries of one transparency log per
//! organisation (format.md section 7). Until the log's next checkpoint holds
//! an entry, a chain does: its hash is SHA-256(hash of the entry before ‖
//! leaf), so an entry that was changed, removed or slipped in shows.

use std::collections::BTreeMap;

use model::{DeviceId, Hash, OrgId, PersonId, RequestId, Timestamp};
use serde::{Deserialize, Serialize};

/// One decision, as it is written down. Holds ids and names of things, never
/// tokens or keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub org: OrgId,
    pub at: Timestamp,
    pub actor: String,
    /// The device whose session it was.
    pub device: Option<DeviceId>,
    pub action: String,
    pub resource: String,
    /// SHA-256 of the payload that a device signed for it.
    pub signature: Option<Hash>,
    /// The set of policies that was asked.
    pub policy: Option<Hash>,
    /// What its conditions on posture were told (`Policies::posture`); none if
    /// they do not read any.
    #[serde(default)]
    pub posture: Option<Hash>,
    /// The request that caused it; none if none did, or if many did.
    #[serde(default)]
    pub request: Option<RequestId>,
    /// How often it was refused; none if it was permitted.
    pub refused: Option<u64>,
}

/// The place that an entry has in the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    pub seq: u64,
    pub previous: Hash,
    pub hash: Hash,
    /// How the leaf names the people of the entry.
    pub references: References,
}

/// What stands for a person in the leaves. It comes from a salt that the
/// server can forget: then nobody can tell any more whom the leaf is about,
/// and the log is as it was.
pub type References = BTreeMap<PersonId, Hash>;

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
        entry
            .leaf(self.seq, &self.references)
            .is_some_and(|leaf| chain_hash(self.previous, &leaf) == self.hash)
    }
}

impl Entry {
    /// People whom the entry names.
    pub fn people(&self) -> impl Iterator<Item = PersonId> {
        [&self.actor, &self.resource].into_iter().filter_map(|text| text.parse().ok())
    }

    /// The entry as the log holds it: an API Activity of OCSF 1.x (class 6003),
    /// with people by reference. None if a reference is missing.
    pub fn leaf(&self, seq: u64, references: &References) -> Option<String> {
        let named = |text: &str| match text.parse::<PersonId>() {
            Ok(person) => references.get(&person).map(|reference| format!("ref_{reference}")),
            Err(_) => Some(text.to_owned()),
        };
        let (actor, resource) = (named(&self.actor)?, named(&self.resource)?);
        let leaf = Leaf {
            class_uid: API_ACTIVITY,
            activity_id: ACTIVITY_OTHER,
            time: self.at,
            status_id: if self.refused.is_some() { STATUS_FAILURE } else { STATUS_SUCCESS },
            actor: Uid { uid: &actor },
            api: Api { operation: &self.action },
            resources: [Uid { uid: &resource }],
            unmapped: Unmapped {
                org: self.org,
                seq,
                device: self.device,
                signature: self.signature,
                policy: self.policy,
                posture: self.posture,
                request: self.request,
                refused: self.refused,
            },
        };
        Some(serde_json::to_string(&leaf).expect("ids, numbers and texts serialise"))
    }
}

const API_ACTIVITY: u32 = 6003;
/// What was done stands in `api.operation`.
const ACTIVITY_OTHER: u32 = 99;
const STATUS_SUCCESS: u32 = 1;
const STATUS_FAILURE: u32 = 2;

#[derive(Serialize)]
struct Leaf<'a> {
    class_uid: u32,
    activity_id: u32,
    time: Timestamp,
    status_id: u32,
    actor: Uid<'a>,
    api: Api<'a>,
    resources: [Uid<'a>; 1],
    unmapped: Unmapped,
}

#[derive(Serialize)]
struct Uid<'a> {
    uid: &'a str,
}

#[derive(Serialize)]
struct Api<'a> {
    operation: &'a str,
}

#[derive(Serialize)]
struct Unmapped {
    org: OrgId,
    seq: u64,
    device: Option<DeviceId>,
    signature: Option<Hash>,
    policy: Option<Hash>,
    posture: Option<Hash>,
    request: Option<RequestId>,
    refused: Option<u64>,
}

/// Before the first entry stand 32 zero bytes.
pub fn chain_hash(previous: Hash, leaf: &str) -> Hash {
    seal::sha256(&[&previous.0, leaf.as_bytes()].concat())
}

/// What stands for a person: HMAC-SHA-256 of the id under the person's salt.
pub fn reference(salt: Hash, person: PersonId) -> Hash {
    seal::hmac_sha256(&salt.0, &[person.to_string().as_bytes()])
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use model::{CameraId, Rendition};

    use super::*;
    use crate::policy::Policies;
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
        let references: References =
            entry.people().map(|person| (person, reference(Hash([9; 32]), person))).collect();
        let hash = chain_hash(previous, &entry.leaf(seq, &references).unwrap());
        Receipt { seq, previous, hash, references }
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
                opens: ["all".to_owned()].into(),
                roles: Default::default(),
                grouped: false,
                second_factor: true,
                network: None,
                reason: None,
            }),
            ..Facts::default()
        };
        let gateway = model::GatewayId::from_random([4; 16]);
        let known = CameraFacts {
            gateway,
            groups: Default::default(),
            posture: Default::default(),
            person_may_open: true,
            person_may_hear: true,
        };
        facts.cameras.insert(camera, known);
        let principal = Principal::Person { person: PersonId::from_random([5; 16]), device: None };
        let action = Action::Live { camera, rendition: Rendition::Main };
        decide(
            &Request { id: None, org, principal, action },
            &facts,
            Some(&Policies::builtin()),
            Timestamp(1),
        )
        .unwrap()
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

    fn entry() -> Entry {
        Entry {
            org: OrgId::from_random([1; 16]),
            at: Timestamp(1),
            actor: "a".into(),
            device: None,
            action: "b".into(),
            resource: "c".into(),
            signature: None,
            policy: None,
            posture: None,
            request: None,
            refused: None,
        }
    }

    #[test]
    fn every_field_is_in_the_leaf() {
        let leaf = |entry: &Entry, seq| entry.leaf(seq, &References::new()).unwrap();
        let changed = [
            Entry { org: OrgId::from_random([2; 16]), ..entry() },
            Entry { at: Timestamp(2), ..entry() },
            Entry { actor: "x".into(), ..entry() },
            Entry { device: Some(DeviceId::from_random([3; 16])), ..entry() },
            Entry { action: "x".into(), ..entry() },
            Entry { resource: "x".into(), ..entry() },
            Entry { signature: Some(Hash([4; 32])), ..entry() },
            Entry { policy: Some(Hash([4; 32])), ..entry() },
            Entry { posture: Some(Hash([4; 32])), ..entry() },
            Entry { request: Some(RequestId::from_random([4; 16])), ..entry() },
            Entry { refused: Some(0), ..entry() },
        ];
        for other in changed {
            assert_ne!(leaf(&other, 0), leaf(&entry(), 0));
        }
        assert_ne!(leaf(&entry(), 1), leaf(&entry(), 0));
        assert_ne!(chain_hash(Hash([1; 32]), "x"), chain_hash(Hash::default(), "x"));
    }

    #[test]
    fn people_stand_in_the_leaf_by_reference_alone() {
        let person = PersonId::from_random([7; 16]);
        let entry = Entry { actor: person.to_string(), resource: person.to_string(), ..entry() };
        assert_eq!(entry.leaf(0, &References::new()), None);
        let with = |salt| {
            let references = References::from([(person, reference(Hash(salt), person))]);
            entry.leaf(0, &references).unwrap()
        };
        assert!(!with([1; 32]).contains(&person.to_string()));
        assert_ne!(with([1; 32]), with([2; 32]), "without the salt nobody can tell who it was");
    }
}
