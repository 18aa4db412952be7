//! Replay: each rule of format.md section 2 and the attacks of a hostile cloud.

use std::collections::{BTreeMap, BTreeSet};

use model::wire::Envelope;
use model::{DeviceId, Hash, Timestamp};
use proptest::prelude::*;
use seal::envelope::{self, PayloadType};
use seal::roster::{
    Device, LogError, Payload, RECOVERY_DELAY_MS, Roster, RosterError, Scope, Statement, UNHEARD_MS,
    after_head, log_line, read_log, sign_next,
};

use crate::fixture::{
    Log, T0, ada, ben, camera, camera_id, cem, device, device_id, gateway, gateway_id, genesis_payload, keys,
    other_camera_id, witness,
};

fn refused(log: &Log, envelope: &Envelope) -> RosterError {
    let mut roster = log.roster.clone();
    let error = roster.apply(envelope, T0.plus_ms(Timestamp::HOUR)).expect_err("must be refused");
    assert_eq!(roster, log.roster, "a refused statement changes nothing");
    error
}

#[test]
fn access_is_by_person_scope_and_time() {
    let roster = Log::populated().roster;
    let later = T0.plus_ms(31 * Timestamp::DAY);
    assert!(roster.right_of_device(device_id(1), camera_id(), later).is_some());
    assert!(roster.right_of_device(device_id(1), other_camera_id(), later).is_some());
    assert!(roster.right_of_device(device_id(2), camera_id(), T0).is_some());
    assert!(roster.right_of_device(device_id(2), other_camera_id(), T0).is_none(), "another group");
    assert!(roster.right_of_device(device_id(2), camera_id(), later).is_none(), "Ben's access has ended");
    let run_out = T0.plus_ms(91 * Timestamp::DAY);
    assert!(roster.right_of_device(device_id(1), camera_id(), run_out).is_none(), "not renewed");
    assert!(!roster.is_administrator(device_id(2), T0));
}

#[test]
fn a_revoked_device_is_gone_and_its_id_is_spent() {
    let mut log = Log::populated();
    log.push(Statement::RevokeDevice { device: device_id(2) });
    assert!(log.roster.right_of_device(device_id(2), camera_id(), T0).is_none());
    let again = log.signed(Statement::AddDevice { device: device(2, ben(), "again") }, 1);
    assert_eq!(refused(&log, &again).code(), "id_used");
}

#[test]
fn a_device_may_revoke_itself_and_nobody_else() {
    let log = Log::populated();
    let own = log.signed(Statement::RevokeDevice { device: device_id(2) }, 2);
    assert!(log.roster.clone().apply(&own, T0.plus_ms(Timestamp::MINUTE)).is_ok());
    let other = log.signed(Statement::RevokeDevice { device: device_id(1) }, 2);
    assert!(matches!(refused(&log, &other), RosterError::Signatures { needed: 1, found: 0 }));
}

#[test]
fn what_a_hostile_cloud_can_make_of_the_log_is_refused() {
    let log = Log::populated();
    let add = Statement::AddDevice { device: device(3, ada(), "the cloud's own") };

    // Signed by a device that is no administrator, by one outside, by nobody known.
    assert!(matches!(refused(&log, &log.signed(add.clone(), 2)), RosterError::Signatures { .. }));
    assert!(matches!(refused(&log, &log.signed(add.clone(), 3)), RosterError::Signatures { .. }));
    let mut renamed = log.signed(add.clone(), 3);
    renamed.signatures[0].keyid = device_id(1).to_string();
    assert!(matches!(refused(&log, &renamed), RosterError::Envelope(_)));

    // Altered after signing, of another type, of another place in the log.
    let mut altered = log.signed(add.clone(), 1);
    let text = String::from_utf8(altered.payload.0.clone()).unwrap();
    altered.payload.0 = text.replace("the cloud's own", "the clouds' own").into_bytes();
    assert!(matches!(refused(&log, &altered), RosterError::Envelope(_)));
    let mut retyped = log.signed(add.clone(), 1);
    retyped.payload_type = PayloadType::Command.as_str().to_owned();
    assert!(matches!(refused(&log, &retyped), RosterError::Envelope(_)));
    assert!(matches!(refused(&log, &log.envelopes[2]), RosterError::DoesNotFollow { .. }));
    let mut skipped = Log::new();
    skipped.push(Statement::AddGateway { gateway: gateway() });
    assert!(matches!(refused(&skipped, &log.envelopes[3]), RosterError::DoesNotFollow { .. }));

    // A fork: a good signature over another past.
    let mut fork = Log::new();
    fork.push(Statement::AddGateway { gateway: gateway() });
    for name in ["a", "b", "c", "d"] {
        fork.push(Statement::BindCamera { camera: camera(camera_id(), name, "outside") });
    }
    let next = sign_next(&fork.roster, T0.plus_ms(9_000), add, device_id(1), &keys(1).sign);
    assert!(matches!(refused(&log, &next), RosterError::Forked));
    let (seq, head) = fork.roster.head();
    assert!(!log.roster.contains(seq, head), "a head of the fork shows");
    let (seq, head) = log.roster.head();
    assert!(log.roster.contains(seq, head));
}

#[test]
fn a_genesis_vouches_for_itself_only() {
    let good = genesis_payload();
    let sign = |payload: &Payload, by: u8| {
        envelope::sign(PayloadType::Roster, seal::to_canonical(payload), &device_id(by), &keys(by).sign)
    };
    assert!(Roster::from_genesis(&sign(&good, 1), T0).is_ok());
    assert!(Roster::from_genesis(&sign(&good, 2), T0).is_err(), "signed by another device");
    let mut numbered = good.clone();
    numbered.seq = 1;
    assert!(Roster::from_genesis(&sign(&numbered, 1), T0).is_err());
    let early = T0.minus_ms(Timestamp::HOUR);
    assert!(matches!(Roster::from_genesis(&sign(&good, 1), early), Err(RosterError::Time)));
}

#[test]
fn times_neither_run_back_nor_ahead() {
    let log = Log::populated();
    let statement = || Statement::RevokeDevice { device: device_id(2) };
    let ahead =
        sign_next(&log.roster, T0.plus_ms(2 * Timestamp::HOUR), statement(), device_id(1), &keys(1).sign);
    assert!(matches!(refused(&log, &ahead), RosterError::Time));
    let (seq, head) = log.roster.head();
    let back =
        Payload { org: log.roster.org(), seq: seq + 1, previous: Some(head), at: T0, statement: statement() };
    let back = envelope::sign(PayloadType::Roster, seal::to_canonical(&back), &device_id(1), &keys(1).sign);
    assert!(matches!(refused(&log, &back), RosterError::Time));
}

#[test]
fn several_administrators_sign_what_widens_and_one_what_narrows() {
    let mut log = Log::populated();
    log.push(Statement::AddDevice { device: device(4, ada(), "Ada's phone") });
    log.push(Statement::AddDevice { device: device(6, cem(), "Cem's laptop") });
    let adas = BTreeSet::from([device_id(1), device_id(4)]);
    let alone = log.signed(Statement::SetAdministrators { k: 2, devices: adas }, 1);
    assert_eq!(refused(&log, &alone).code(), "threshold", "two devices of one person are one");
    let three = BTreeSet::from([device_id(1), device_id(4), device_id(6)]);
    log.push(Statement::SetAdministrators { k: 2, devices: three });
    let add = Statement::AddDevice { device: device(5, ben(), "Ben's tablet") };
    let mut envelope = log.signed(add, 1);
    assert!(matches!(refused(&log, &envelope), RosterError::Signatures { needed: 2, found: 1 }));
    let twice = envelope.signatures[0].clone();
    envelope.signatures.push(twice);
    assert!(matches!(refused(&log, &envelope), RosterError::Envelope(_)), "the same key twice");
    envelope.signatures.pop();
    envelope::add_signature(PayloadType::Roster, &mut envelope, &device_id(4), &keys(4).sign);
    let herself = refused(&log, &envelope);
    assert!(matches!(herself, RosterError::Signatures { needed: 2, found: 1 }), "nobody agrees with herself");
    envelope::add_signature(PayloadType::Roster, &mut envelope, &device_id(6), &keys(6).sign);
    assert!(log.roster.clone().apply(&envelope, T0.plus_ms(Timestamp::HOUR)).is_ok());
    let agreement = log.roster.agreement(&envelope, T0.plus_ms(Timestamp::HOUR)).unwrap();
    assert_eq!((agreement.needed, agreement.people), (2, BTreeSet::from([ada(), cem()])));
    let revoke = log.signed(Statement::RevokeGateway { gateway: gateway_id() }, 4);
    assert!(log.roster.clone().apply(&revoke, T0.plus_ms(Timestamp::HOUR)).is_ok());
}

/// Others are asked only for what could come next.
#[test]
fn agreement_is_sought_for_what_the_rules_allow() {
    let log = Log::populated();
    let later = T0.plus_ms(Timestamp::HOUR);
    let spent = log.signed(Statement::AddDevice { device: device(2, ben(), "again") }, 1);
    assert!(matches!(log.roster.agreement(&spent, later), Err(RosterError::IdUsed(_))));
    let nobody = log.signed(Statement::AddDevice { device: device(9, ben(), "x") }, 2);
    assert!(matches!(log.roster.agreement(&nobody, later), Err(RosterError::Signatures { found: 0, .. })));
    assert!(matches!(log.roster.agreement(&log.envelopes[1], later), Err(RosterError::DoesNotFollow { .. })));
}

#[test]
fn the_paper_waits_72_hours_and_can_be_vetoed() {
    let mut log = Log::populated();
    let add = Statement::AddDevice { device: device(7, ada(), "new laptop") };
    let by_paper = log.signed(add, 0xee);
    let hash = seal::roster::statement_hash(&by_paper).unwrap();
    let seen_at = T0.plus_ms(Timestamp::HOUR);
    log.roster.apply(&by_paper, seen_at).unwrap();
    log.envelopes.push(by_paper);
    assert!(log.roster.device(device_id(7)).is_none());

    let mut vetoed = log.roster.clone();
    let veto = log.signed(Statement::Veto { statement: hash }, 1);
    vetoed.apply(&veto, seen_at).unwrap();
    vetoed.settle(seen_at.plus_ms(RECOVERY_DELAY_MS));
    assert!(vetoed.device(device_id(7)).is_none());

    log.roster.settle(seen_at.plus_ms(RECOVERY_DELAY_MS - 1));
    assert!(log.roster.device(device_id(7)).is_none());
    log.roster.settle(seen_at.plus_ms(RECOVERY_DELAY_MS));
    assert!(log.roster.device(device_id(7)).is_some());

    let other = log.signed(Statement::RevokeDevice { device: device_id(1) }, 0xee);
    assert_eq!(refused(&log, &other).code(), "recovery", "the paper cannot lock people out");
}

#[test]
fn a_snapshot_says_what_the_log_amounts_to() {
    let mut log = Log::populated();
    let state = log.roster.state().hash();
    let mut false_state = log.roster.state().clone();
    false_state.access.clear();
    let envelope = log.signed(Statement::Snapshot { state: false_state.hash() }, 1);
    assert!(matches!(refused(&log, &envelope), RosterError::Snapshot));
    log.push(Statement::Snapshot { state });
    // The same words again would describe a roster that has gone on.
    log.push(Statement::RevokeDevice { device: device_id(2) });
    let old = log.signed(Statement::Snapshot { state }, 1);
    assert!(matches!(refused(&log, &old), RosterError::Snapshot));
}

/// An envelope holds 256 KiB; the state of such an organisation is larger.
#[test]
fn a_snapshot_fits_whatever_the_size_of_the_organisation() {
    let mut log = Log::populated();
    for n in 0..400_u16 {
        let id = DeviceId::from_random([[1, 2], n.to_be_bytes()].concat().repeat(4).try_into().unwrap());
        log.push(Statement::AddDevice { device: Device { id, ..device(3, ben(), "one of many") } });
    }
    let state = log.roster.state();
    assert!(seal::to_canonical(state).len() > 2 * envelope::PAYLOAD_MAX);
    let state = state.hash();
    log.push(Statement::Snapshot { state });
    assert!(log.envelopes.last().unwrap().payload.0.len() < 1_000);
}

#[test]
fn bounds_and_rules() {
    let log = Log::populated();
    let mut long = device(8, ada(), "x");
    long.until = T0.plus_ms(100 * Timestamp::DAY);
    let mut not_a_key = device(8, ada(), "x");
    not_a_key.kem.0.pop();
    let mut unknown_gateway = camera(camera_id(), "x", "y");
    unknown_gateway.gateway = model::GatewayId::from_random([9; 16]);
    let many = BTreeSet::from([device_id(1)]);
    let elsewhere = model::GatewayId::from_random([9; 16]);
    let witnesses = |named: &[(&str, usize)]| Statement::SetWitnesses {
        witnesses: named.iter().map(|(name, length)| witness(name, *length)).collect(),
    };
    let seventeen = (0..17).map(|n| witness(&format!("w{n}.example"), 32)).collect();
    let far = T0.plus_ms(200 * Timestamp::DAY);
    for (statement, code) in [
        (Statement::AddDevice { device: long }, "device_life"),
        (Statement::AddDevice { device: not_a_key }, "malformed"),
        (Statement::AddDevice { device: device(8, ada(), "") }, "malformed"),
        (Statement::AddDevice { device: device(8, ada(), &"n".repeat(201)) }, "malformed"),
        (Statement::AddDevice { device: device(8, ada(), "bell\u{7}") }, "malformed"),
        (Statement::BindCamera { camera: unknown_gateway }, "unknown"),
        (Statement::SetAdministrators { k: 0, devices: many.clone() }, "threshold"),
        (Statement::SetAdministrators { k: 2, devices: many }, "threshold"),
        (Statement::SetAdministrators { k: 1, devices: BTreeSet::from([device_id(99)]) }, "unknown"),
        (witnesses(&[("two words", 32)]), "malformed"),
        (witnesses(&[("plus+plus", 32)]), "malformed"),
        (witnesses(&[("", 32)]), "malformed"),
        (witnesses(&[("other.example/witness", 31)]), "malformed"),
        (Statement::SetWitnesses { witnesses: seventeen }, "malformed"),
        (Statement::RenewDevice { device: device_id(1), until: far }, "device_life"),
        (Statement::RevokeGateway { gateway: elsewhere }, "unknown"),
        (genesis_payload().statement, "genesis"),
    ] {
        let name = format!("{statement:?}");
        assert_eq!(refused(&log, &log.signed(statement, 1)).code(), code, "{name}");
    }
    let scope = Scope::Cameras { cameras: BTreeSet::from([camera_id()]) };
    assert!(scope.includes(&camera(camera_id(), "x", "y")));
}

#[test]
fn the_kept_log_reads_back_without_its_torn_end() {
    let log = Log::populated();
    let mut bytes: Vec<u8> =
        log.envelopes.iter().flat_map(|envelope| log_line(envelope, T0.plus_ms(Timestamp::HOUR))).collect();
    let whole = bytes.len();
    bytes.extend_from_slice(b"{\"seen_at\":17");
    let text = String::from_utf8(bytes).unwrap();
    let (roster, length) = read_log(&text).unwrap();
    assert_eq!((roster.head(), length), (log.roster.head(), whole));
    let damaged = text.replacen("seen_at", "seen-at", 1);
    assert_eq!(read_log(&damaged).unwrap_err().to_string(), "line 1 is no statement of a roster");
    let second_is_gone: String =
        text.lines().enumerate().filter(|(n, _)| *n != 1).map(|(_, l)| format!("{l}\n")).collect();
    assert!(matches!(read_log(&second_is_gone), Err(LogError::Rule { line: 2, .. })));
    assert!(matches!(read_log(""), Err(LogError::Empty)));
}

/// A cloud that goes back, or sideways, from what was seen before; and one that
/// shows a gateway another log than it shows its people.
#[test]
fn a_head_that_was_seen_is_looked_up() {
    let (old, mut new, mut fork) = (Log::populated(), Log::populated(), Log::populated());
    new.push(Statement::RevokeDevice { device: device_id(2) });
    fork.push(Statement::BindCamera { camera: camera(camera_id(), "another", "past") });
    let (seq, head) = new.roster.head();
    assert!(new.roster.check_seen(seq, head).is_ok());
    assert!(matches!(old.roster.check_seen(seq, head), Err(RosterError::Behind { head: 5, seen: 6 })));
    assert!(matches!(fork.roster.check_seen(seq, head), Err(RosterError::Forked)));
    assert!(matches!(new.roster.check_seen(seq - 1, head), Err(RosterError::Forked)), "in another place");
    assert!(new.roster.check_head(old.roster.head().1).is_ok(), "of before");
    for other in [&old, &fork] {
        assert!(matches!(other.roster.check_head(head), Err(RosterError::Split { .. })));
    }
}

/// A cloud that lets no revoke through to a gateway.
#[test]
fn a_gateway_that_a_statement_was_kept_from_is_noticed() {
    let mut log = Log::populated();
    let before = log.roster.head().1;
    log.push(Statement::RevokeDevice { device: device_id(2) });
    let revoked = log.roster.last_at();
    let head = log.roster.head().1;
    let at = |ms: u64| revoked.plus_ms(ms);
    assert_eq!(log.roster.unheard(before, at(UNHEARD_MS + 1)), Some(revoked));
    assert_eq!(log.roster.unheard(before, at(UNHEARD_MS)), None, "an epoch may last so long");
    assert_eq!(log.roster.unheard(before, Timestamp(0)), None, "recorded before");
    assert_eq!(log.roster.unheard(head, at(100 * UNHEARD_MS)), None, "there is nothing newer");
    assert_eq!(log.roster.unheard(Hash([7; 32]), at(100 * UNHEARD_MS)), None, "of another log: a split");
    // What was missed first is what counts.
    log.push(Statement::RevokeGateway { gateway: gateway_id() });
    assert_eq!(log.roster.unheard(before, at(100 * UNHEARD_MS)), Some(revoked));
}

#[test]
fn a_part_of_the_log_begins_with_the_readers_head() {
    let mut log = Log::populated();
    let head = log.roster.head();
    log.push(Statement::RevokeDevice { device: device_id(2) });
    let all = &log.envelopes;
    assert_eq!(after_head(head, &all[5..]).unwrap(), &all[6..]);
    assert!(after_head(log.roster.head(), &all[6..]).unwrap().is_empty());
    let code = |shown: &[Envelope]| after_head(head, shown).map_or_else(|error| error.code(), |_| "taken");
    assert_eq!(code(&[]), "behind");
    assert_eq!(
        [code(&all[6..]), code(all)],
        ["does_not_follow"; 2],
        "one left out; from the beginning again"
    );
    let mut fork = Log::new();
    for n in 1..=5 {
        fork.push(Statement::AddDevice { device: device(100 + n, ben(), "of another past") });
    }
    assert_eq!(code(&fork.envelopes[5..]), "forked");
}

/// One of all kinds of statements, by whoever, seen whenever.
fn anything(log: &Log, [kind, n, by, later]: [u8; 4]) -> (Envelope, Timestamp) {
    let (n, at) = (1 + n % 8, T0.plus_ms(u64::from(later) * Timestamp::HOUR));
    let waiting = log.roster.pending().next().map_or(Hash([n; 32]), |(hash, _)| hash);
    let mut state = log.roster.state().clone();
    state.administrators.k += u32::from(n % 2);
    let statement = match kind % 11 {
        0 => Statement::AddDevice { device: device(n, ben(), "x") },
        1 => Statement::RenewDevice {
            device: device_id(n),
            until: at.plus_ms(u64::from(n) * 20 * Timestamp::DAY),
        },
        2 => Statement::RevokeDevice { device: device_id(n) },
        3 => Statement::AddGateway { gateway: gateway() },
        4 => Statement::RevokeGateway { gateway: gateway_id() },
        5 => Statement::BindCamera { camera: camera(camera_id(), "Door", "outside") },
        6 => Statement::SetAccess { person: cem(), scope: Scope::All, audio: true, until: None },
        7 => Statement::SetAdministrators { k: 1, devices: BTreeSet::from([device_id(1), device_id(n)]) },
        8 => Statement::Veto { statement: waiting },
        9 => Statement::SetWitnesses { witnesses: BTreeMap::from([witness("other.example/w", 32)]) },
        _ => Statement::Snapshot { state: state.hash() },
    };
    let by = [1, 1, 1, 2, 0xee][usize::from(by) % 5];
    (sign_next(&log.roster, at, statement, device_id(by), &keys(by).sign), at)
}

proptest! {
    /// Whatever was before, and whatever comes into force at that moment.
    #[test]
    fn a_refused_statement_changes_nothing(choices in proptest::collection::vec(any::<[u8; 4]>(), 1..24)) {
        let mut log = Log::populated();
        for choice in choices {
            let (envelope, seen_at) = anything(&log, choice);
            let before = log.roster.clone();
            if log.roster.apply(&envelope, seen_at).is_err() {
                prop_assert_eq!(&log.roster, &before);
            } else {
                prop_assert_ne!(log.roster.head(), before.head());
            }
        }
    }
}
