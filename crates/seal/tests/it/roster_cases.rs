//! What both implementations must make of a log, case by case: each goes on from
//! the populated log, and ends in a state or in a refusal with its code.

use std::collections::BTreeSet;

use model::wire::{Envelope, Signature};
use model::{Hash, Timestamp};
use seal::envelope::{self, PayloadType};
use seal::roster::{Device, Payload, RECOVERY_DELAY_MS, Roster, Statement, sign_next, statement_hash};
use serde_json::{Value, json};

use crate::fixture::{Log, T0, ada, ben, camera, camera_id, cem, device, device_id, gateway, keys, witness};

const RECOVERY: u8 = 0xee;

fn seen_at() -> Timestamp {
    T0.plus_ms(Timestamp::MINUTE)
}

struct Case {
    name: &'static str,
    roster: Roster,
    statements: Vec<(Envelope, Timestamp)>,
}

impl Case {
    fn new(name: &'static str) -> Self {
        Case { name, roster: Log::populated().roster, statements: Vec::new() }
    }

    fn signed(&self, statement: Statement, by: &[u8], at: Timestamp) -> Envelope {
        let (first, others) = by.split_first().unwrap();
        let mut envelope = sign_next(&self.roster, at, statement, device_id(*first), &keys(*first).sign);
        for other in others {
            let key = &keys(*other).sign;
            envelope::add_signature(PayloadType::Roster, &mut envelope, &device_id(*other), key);
        }
        envelope
    }

    fn take(self, statement: Statement, by: &[u8]) -> Self {
        self.take_at(statement, by, seen_at())
    }

    fn take_at(mut self, statement: Statement, by: &[u8], at: Timestamp) -> Self {
        let envelope = self.signed(statement, by, at);
        self.roster.apply(&envelope, at).unwrap_or_else(|error| panic!("{}: {error}", self.name));
        self.statements.push((envelope, at));
        self
    }

    fn head(&self) -> Hash {
        self.roster.head().1
    }

    fn done(mut self, now: Option<Timestamp>) -> Value {
        if let Some(now) = now {
            self.roster.settle(now);
        }
        self.written(now, None, None)
    }

    fn refused(self, statement: Statement, by: &[u8], code: &str) -> Value {
        let envelope = self.signed(statement, by, seen_at());
        self.refused_envelope(envelope, seen_at(), code)
    }

    fn refused_envelope(mut self, envelope: Envelope, seen_at: Timestamp, code: &str) -> Value {
        let before = self.roster.clone();
        let error = self.roster.apply(&envelope, seen_at).expect_err(self.name);
        assert_eq!((error.code(), &self.roster), (code, &before), "{}", self.name);
        self.statements.push((envelope, seen_at));
        self.written(None, None, Some(code))
    }

    fn seen(self, (seq, hash): (u64, Hash), code: Option<&str>) -> Value {
        let found = self.roster.check_seen(seq, hash).err();
        assert_eq!(found.map(|error| error.code()), code, "{}", self.name);
        self.written(None, Some(json!({ "seq": seq, "hash": hash })), code)
    }

    fn written(self, now: Option<Timestamp>, seen: Option<Value>, refused: Option<&str>) -> Value {
        let statements = self.statements.iter();
        let statements =
            statements.map(|(envelope, seen_at)| json!({ "seen_at": seen_at, "envelope": envelope }));
        let (seq, hash) = self.roster.head();
        json!({
            "name": self.name,
            "statements": statements.collect::<Vec<_>>(),
            "now": now,
            "seen": seen,
            "refused": refused,
            "head": { "seq": seq, "hash": hash },
            "state": self.roster.state().hash(),
            "pending": self.roster.pending().count(),
        })
    }
}

/// Ada with two devices and Cem, of whom two must agree.
fn two_of_two(name: &'static str) -> Case {
    let devices = BTreeSet::from([device_id(1), device_id(4), device_id(6)]);
    Case::new(name)
        .take(Statement::AddDevice { device: device(4, ada(), "Ada's phone") }, &[1])
        .take(Statement::AddDevice { device: device(6, cem(), "Cem's laptop") }, &[1])
        .take(Statement::SetAdministrators { k: 2, devices }, &[1])
}

fn add() -> Statement {
    Statement::AddDevice { device: device(7, ada(), "another") }
}

fn rename(name: &str) -> Statement {
    Statement::BindCamera { camera: camera(camera_id(), name, "outside") }
}

fn revoke(n: u8) -> Statement {
    Statement::RevokeDevice { device: device_id(n) }
}

fn snapshot(roster: &Roster) -> Statement {
    Statement::Snapshot { state: roster.state().hash() }
}

/// Signed as it stands, whatever it follows.
fn freely(payload: &Payload) -> Envelope {
    envelope::sign(PayloadType::Roster, seal::to_canonical(payload), &device_id(1), &keys(1).sign)
}

pub(crate) fn all() -> Vec<Value> {
    [signatures(), devices(), recovery(), witnesses(), snapshots(), logs()].concat()
}

fn signatures() -> Vec<Value> {
    let altered = {
        let mut envelope = Case::new("").signed(revoke(2), &[1], seen_at());
        let last = envelope.payload.0.len() - 4;
        envelope.payload.0[last] ^= 1;
        envelope
    };
    let renamed = {
        let mut envelope = Case::new("").signed(revoke(2), &[3], seen_at());
        envelope.signatures[0].keyid = device_id(1).to_string();
        envelope
    };
    vec![
        Case::new("not an administrator").refused(revoke(1), &[2], "signatures"),
        Case::new("unknown signer").refused(revoke(2), &[3], "signatures"),
        Case::new("a device revokes itself").take(revoke(2), &[2]).done(None),
        Case::new("altered").refused_envelope(altered, seen_at(), "signature"),
        Case::new("another key under an administrator's name").refused_envelope(
            renamed,
            seen_at(),
            "signature",
        ),
        two_of_two("one of two administrators").refused(add(), &[1], "signatures"),
        two_of_two("two devices of one administrator").refused(add(), &[1, 4], "signatures"),
        two_of_two("two of two administrators").take(add(), &[4, 6]).done(None),
        two_of_two("one of two takes away").take(revoke(2), &[6]).done(None),
        Case::new("more administrators than people").refused(
            Statement::SetAdministrators { k: 2, devices: BTreeSet::from([device_id(1)]) },
            &[1],
            "threshold",
        ),
        Case::new("an administrator who is not in the roster").refused(
            Statement::SetAdministrators { k: 1, devices: BTreeSet::from([device_id(9)]) },
            &[1],
            "unknown",
        ),
        two_of_two("a revoked device signs").take(revoke(4), &[1]).refused(add(), &[4, 6], "signatures"),
    ]
}

fn devices() -> Vec<Value> {
    let renew = |n: u8, days: u64| Statement::RenewDevice {
        device: device_id(n),
        until: seen_at().plus_ms(days * Timestamp::DAY),
    };
    let late = T0.plus_ms(91 * Timestamp::DAY);
    let ended = Case::new("an ended device signs");
    let by_ended = ended.signed(rename("Yard"), &[1], late);
    vec![
        Case::new("renewed").take(renew(2, 90), &[1]).done(None),
        Case::new("renewed for too long").refused(renew(2, 91), &[1], "device_life"),
        Case::new("renewed by its owner alone").refused(renew(2, 90), &[2], "signatures"),
        Case::new("what is not there is renewed").refused(renew(9, 90), &[1], "unknown"),
        Case::new("what was revoked is renewed").take(revoke(2), &[1]).refused(renew(2, 90), &[1], "unknown"),
        Case::new("a revoked device is added again").take(revoke(2), &[1]).refused(
            Statement::AddDevice { device: device(2, ben(), "again") },
            &[1],
            "id_used",
        ),
        Case::new("a gateway is added again").refused(
            Statement::AddGateway { gateway: gateway() },
            &[1],
            "id_used",
        ),
        ended.refused_envelope(by_ended, late, "signatures"),
    ]
}

fn recovery() -> Vec<Value> {
    let asked = |name| Case::new(name).take(add(), &[RECOVERY]);
    let (soon, due) = (seen_at().plus_ms(RECOVERY_DELAY_MS - 1), seen_at().plus_ms(RECOVERY_DELAY_MS));
    let veto = |case: Case| {
        let statement = case.head();
        case.take(Statement::Veto { statement }, &[1])
    };
    let devices = BTreeSet::from([device_id(7)]);
    let early = asked("a refused statement brings nothing into force");
    let device_of = |change: fn(&mut Device)| {
        let mut added = device(7, ada(), "another");
        change(&mut added);
        Statement::AddDevice { device: added }
    };
    let four = (10..14).fold(Case::new("a fifth statement of the paper"), |case, n| {
        case.take(Statement::AddDevice { device: device(n, ada(), "another") }, &[RECOVERY])
    });
    let beside = Case::new("beside a good signature, one that is none");
    let mut misshapen = beside.signed(rename("Yard"), &[1], seen_at());
    misshapen.signatures.push(Signature { keyid: "x".to_owned(), sig: vec![0].into() });
    let refused = early.signed(rename("Yard"), &[2], due);
    vec![
        asked("the paper adds a device, which waits").done(Some(soon)),
        asked("and is there after 72 hours").done(Some(due)),
        veto(asked("an administrator vetoes in time")).done(Some(due)),
        asked("the id was taken meanwhile").take(add(), &[1]).done(Some(due)),
        asked("the paper sets the administrators")
            .take(Statement::SetAdministrators { k: 1, devices }, &[RECOVERY])
            .take_at(rename("Yard"), &[7], due)
            .done(None),
        Case::new("a veto of nothing").refused(Statement::Veto { statement: Hash([7; 32]) }, &[1], "unknown"),
        Case::new("beside an administrator, the paper counts for nothing")
            .take(add(), &[1, RECOVERY])
            .done(None),
        Case::new("the paper revokes").refused(revoke(1), &[RECOVERY], "recovery"),
        Case::new("the paper adds a device without a name").refused(
            device_of(|device| device.name.clear()),
            &[RECOVERY],
            "malformed",
        ),
        Case::new("the paper adds a device for a year").refused(
            device_of(|device| device.until = device.until.plus_ms(365 * Timestamp::DAY)),
            &[RECOVERY],
            "device_life",
        ),
        four.refused(add(), &[RECOVERY], "recovery_waiting"),
        Case::new("keys of the right length that are no keys")
            .take(
                device_of(|device| {
                    device.kem = vec![0xff; 1_216].into();
                    device.sign = vec![0xff; 32].into();
                }),
                &[1],
            )
            .done(None),
        beside.refused_envelope(misshapen, seen_at(), "malformed"),
        early.refused_envelope(refused, due, "signatures"),
    ]
}

fn witnesses() -> Vec<Value> {
    let named = |names: &[&str]| Statement::SetWitnesses {
        witnesses: names.iter().map(|name| witness(name, 32)).collect(),
    };
    let unsorted = Case::new("witnesses out of order");
    let sorted = unsorted.signed(named(&["a.example", "b.example"]), &[1], seen_at());
    let swapped = String::from_utf8(sorted.payload.0).unwrap().replace("a.example", "c.example");
    let swapped = envelope::sign(PayloadType::Roster, swapped.into_bytes(), &device_id(1), &keys(1).sign);
    let one = Case::new("a snapshot of witnesses").take(named(&["a.example"]), &[1]);
    let snapshot_of_one = snapshot(&one.roster);
    vec![
        Case::new("witnesses, and others in their place")
            .take(named(&["b.example/witness", "a.example"]), &[1])
            .take(named(&["a.example", "c.example"]), &[1])
            .done(None),
        one.take(snapshot_of_one, &[1]).done(None),
        Case::new("witnesses by whoever is no administrator").refused(
            named(&["a.example"]),
            &[2],
            "signatures",
        ),
        two_of_two("witnesses by one of two").refused(named(&["a.example"]), &[1], "signatures"),
        Case::new("a witness with a name of two words").refused(named(&["a b"]), &[1], "malformed"),
        Case::new("the paper names witnesses").refused(named(&["a.example"]), &[RECOVERY], "recovery"),
        unsorted.refused_envelope(swapped, seen_at(), "malformed"),
    ]
}

fn snapshots() -> Vec<Value> {
    let base = Log::populated().roster;
    let after = Case::new("").take(revoke(2), &[1]).roster;
    vec![
        Case::new("a snapshot").take(snapshot(&base), &[1]).done(None),
        Case::new("a snapshot, and what follows")
            .take(snapshot(&base), &[1])
            .take(revoke(2), &[1])
            .done(None),
        Case::new("a snapshot of another state").refused(snapshot(&after), &[1], "snapshot"),
        two_of_two("a snapshot by one of two").refused(snapshot(&base), &[1], "signatures"),
    ]
}

/// What a hostile cloud makes of the log itself.
fn logs() -> Vec<Value> {
    let base = Log::populated();
    let (seq, previous) = base.roster.head();
    let next = Payload {
        org: base.roster.org(),
        seq: seq + 1,
        previous: Some(previous),
        at: seen_at(),
        statement: revoke(2),
    };
    let ours = Case::new("").take(rename("Yard"), &[1]);
    let (third, fork) = (ours.signed(revoke(2), &[1], seen_at()), ours.roster.clone());
    let other = Case::new("").signed(rename("Gate"), &[1], seen_at());
    let other_hash = statement_hash(&other).unwrap();
    let past = |payload: Payload| freely(&payload);
    let ahead = seen_at().plus_ms(6 * Timestamp::MINUTE);
    let with = |change: &dyn Fn(&mut Payload)| {
        let mut payload = next.clone();
        change(&mut payload);
        past(payload)
    };
    vec![
        Case::new("a statement again").refused_envelope(
            base.envelopes[2].clone(),
            seen_at(),
            "does_not_follow",
        ),
        Case::new("out of order").refused_envelope(third, seen_at(), "does_not_follow"),
        Case::new("a fork").take(rename("Yard"), &[1]).refused_envelope(
            with(&|payload| {
                payload.seq += 1;
                payload.previous = Some(other_hash);
            }),
            seen_at(),
            "forked",
        ),
        Case::new("of another organisation").refused_envelope(
            with(&|payload| payload.org = model::OrgId::from_random([9; 16])),
            seen_at(),
            "other_organisation",
        ),
        Case::new("dated before what it follows").refused_envelope(
            with(&|payload| payload.at = T0),
            seen_at(),
            "time",
        ),
        Case::new("dated ahead of the clock").refused_envelope(
            with(&|payload| payload.at = ahead),
            seen_at(),
            "time",
        ),
        Case::new("a second genesis").refused_envelope(
            with(&|payload| payload.statement = crate::fixture::genesis_payload().statement),
            seen_at(),
            "genesis",
        ),
        Case::new("goes on from what was seen").take(rename("Yard"), &[1]).seen(base.roster.head(), None),
        Case::new("cut off below what was seen").seen(fork.head(), Some("behind")),
        Case::new("rolled back, and gone on from there")
            .take(rename("Gate"), &[1])
            .seen(fork.head(), Some("forked")),
    ]
}
