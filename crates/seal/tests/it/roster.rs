//! Replay: each rule of format.md section 2 and the attacks of a hostile cloud.

use std::collections::BTreeSet;

use model::Timestamp;
use model::wire::Envelope;
use seal::envelope::{self, PayloadType};
use seal::roster::{
    LogError, Payload, RECOVERY_DELAY_MS, Roster, RosterError, Scope, Statement, log_line, read_log,
    sign_next,
};

use crate::fixture::{
    Log, T0, ada, ben, camera, camera_id, cem, device, device_id, gateway, gateway_id, genesis_payload, keys,
    other_camera_id,
};

fn refused(log: &Log, envelope: &Envelope) -> RosterError {
    let mut roster = log.roster.clone();
    let before = (roster.head(), roster.state().clone());
    let error = roster.apply(envelope, T0.plus_ms(Timestamp::HOUR)).expect_err("must be refused");
    assert_eq!((roster.head(), roster.state().clone()), before, "a refused statement changes nothing");
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
    assert!(matches!(refused(&log, &again), RosterError::Rule(_)));
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
    assert!(matches!(refused(&log, &alone), RosterError::Rule(_)), "two devices of one person are one");
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
    assert!(matches!(log.roster.agreement(&spent, later), Err(RosterError::Rule(_))));
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
    assert!(matches!(refused(&log, &other), RosterError::Rule(_)), "the paper cannot lock people out");
}

#[test]
fn a_snapshot_says_what_the_log_amounts_to() {
    let mut log = Log::populated();
    let state = log.roster.state().clone();
    let mut false_state = state.clone();
    false_state.access.clear();
    let envelope = log.signed(Statement::Snapshot { state: false_state }, 1);
    assert!(matches!(refused(&log, &envelope), RosterError::Snapshot));
    log.push(Statement::Snapshot { state });
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
    for statement in [
        Statement::AddDevice { device: long },
        Statement::AddDevice { device: not_a_key },
        Statement::AddDevice { device: device(8, ada(), "") },
        Statement::AddDevice { device: device(8, ada(), &"n".repeat(201)) },
        Statement::AddDevice { device: device(8, ada(), "bell\u{7}") },
        Statement::BindCamera { camera: unknown_gateway },
        Statement::SetAdministrators { k: 0, devices: BTreeSet::from([device_id(1)]) },
        Statement::SetAdministrators { k: 2, devices: BTreeSet::from([device_id(1)]) },
        Statement::SetAdministrators { k: 1, devices: BTreeSet::from([device_id(99)]) },
        Statement::RenewDevice { device: device_id(1), until: T0.plus_ms(200 * Timestamp::DAY) },
        Statement::RevokeGateway { gateway: model::GatewayId::from_random([9; 16]) },
        genesis_payload().statement,
    ] {
        let name = format!("{statement:?}");
        let error = refused(&log, &log.signed(statement, 1));
        assert!(matches!(error, RosterError::Rule(_)), "{name}: {error}");
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
