//! Commands: once, soon, here, for what the author saw, by as many
//! administrators as the roster demands.

use std::collections::{BTreeMap, BTreeSet};

use model::wire::Envelope;
use model::{
    Bandwidth, CameraAccess, CameraUrl, EventKind, Forward, Forwarding, GatewayId, Hash, OrgId, Quiet,
    Secret, Span, Timestamp,
};
use seal::command::{
    Command, CommandError, CommandGate, SiteCommand, TEST_NONCES_MAX, open_access, seal_access,
};
use seal::envelope::{self, EnvelopeError, PayloadType};
use seal::keys::KemPublic;
use seal::roster::Statement;

use crate::fixture::{
    Log, T0, ada, camera_id, cem, device, device_id, gateway, gateway_id, gateway_keys, keys, org,
};

const STATE: Hash = Hash([5; 32]);

fn access() -> CameraAccess {
    CameraAccess {
        url: CameraUrl::parse("rtsp://192.0.2.10/stream1").unwrap(),
        sub_url: None,
        username: Some("viewer".to_owned()),
        password: Some(Secret::new("correct horse")),
        certificate: None,
        onvif_url: None,
    }
}

pub(crate) fn put_camera() -> SiteCommand {
    let nonce = "00112233445566778899aabbccddeeff".to_owned();
    let kem = KemPublic::from_bytes(&gateway().kem.0).unwrap();
    let sealed = seal_access(&access(), &kem, (org(), gateway_id(), camera_id()), &nonce, [9; 64]);
    SiteCommand {
        org: org(),
        target: gateway_id(),
        nonce,
        expires_at: T0.plus_ms(5 * Timestamp::MINUTE),
        previous_state: STATE,
        command: Command::PutCamera { camera: camera_id(), sealed },
    }
}

pub(crate) fn settings() -> [Command; 6] {
    let span = |from, to, kilobits_max| Span { from, to, kilobits_max };
    [
        Command::SetRetention { bytes_max: 200_000_000, age_days_max: 1, quiet: None },
        Command::SetForwarding {
            camera: camera_id(),
            forwarding: Forwarding { main: Forward::Events, sub: Forward::Never, short_in_events: true },
        },
        Command::SetBandwidth { bandwidth: Bandwidth::default() },
        Command::SetBandwidth {
            bandwidth: Bandwidth {
                kilobits_max: Some(2_000),
                spans: vec![span(1_320, 360, None), span(480, 1_020, Some(0))],
            },
        },
        Command::SetRetention { bytes_max: 200_000_000, age_days_max: 30, quiet: Some(Quiet::days(2)) },
        Command::SetRetention {
            bytes_max: 200_000_000,
            age_days_max: 30,
            quiet: Some(Quiet {
                days_max: 30,
                kinds: BTreeSet::from([EventKind::Sound, EventKind::Vehicle]),
            }),
        },
    ]
}

fn signed(command: &SiteCommand, by: u8) -> Envelope {
    command.sign(device_id(by), &keys(by).sign)
}

fn admit(envelope: &Envelope, now: Timestamp) -> Result<SiteCommand, CommandError> {
    let roster = Log::populated().roster;
    CommandGate::default().admit(envelope, &roster, gateway_id(), STATE, now)
}

#[test]
fn a_good_command_is_carried_out_once() {
    let roster = Log::populated().roster;
    let mut gate = CommandGate::default();
    let envelope = signed(&put_camera(), 1);
    let command = gate.admit(&envelope, &roster, gateway_id(), STATE, T0).unwrap();
    let Command::PutCamera { camera, sealed } = &command.command else { panic!("{command:?}") };
    assert_eq!(open_access(&command, *camera, sealed, &gateway_keys().0).unwrap(), access());
    let again = gate.admit(&envelope, &roster, gateway_id(), STATE, T0.plus_ms(1));
    assert!(matches!(again, Err(CommandError::Replayed)));
    let later = T0.plus_ms(6 * Timestamp::MINUTE);
    let late = gate.admit(&envelope, &roster, gateway_id(), STATE, later);
    assert!(matches!(late, Err(CommandError::Expired)), "a forgotten nonce has expired");
}

#[test]
fn a_hostile_cloud_cannot_reconfigure_a_site() {
    // Signed by a watcher, and by a device of the cloud's making.
    assert!(matches!(admit(&signed(&put_camera(), 2), T0), Err(CommandError::NotAdministrator)));
    assert!(matches!(admit(&signed(&put_camera(), 9), T0), Err(CommandError::NotAdministrator)));
    let mut renamed = signed(&put_camera(), 9);
    renamed.signatures[0].keyid = device_id(1).to_string();
    assert!(matches!(admit(&renamed, T0), Err(CommandError::Envelope(_))));

    // Genuine, but for another gateway, organisation, configuration, or time.
    let edit = |change: fn(&mut SiteCommand)| {
        let mut command = put_camera();
        change(&mut command);
        admit(&signed(&command, 1), T0).unwrap_err()
    };
    let other_gateway = edit(|c| c.target = GatewayId::from_random([1; 16]));
    assert!(matches!(other_gateway, CommandError::Target));
    assert!(matches!(edit(|c| c.org = OrgId::from_random([1; 16])), CommandError::Target));
    assert!(matches!(edit(|c| c.previous_state = Hash([6; 32])), CommandError::OtherState));
    assert!(matches!(edit(|c| c.expires_at = T0), CommandError::Expired));
    assert!(matches!(edit(|c| c.expires_at = T0.plus_ms(Timestamp::DAY)), CommandError::Expired));
    assert!(matches!(edit(|c| c.nonce = "x".to_owned()), CommandError::Nonce));
}

#[test]
fn credentials_open_only_for_the_command_they_were_sealed_for() {
    let mut command = put_camera();
    let Command::PutCamera { camera, sealed } = command.command.clone() else { unreachable!() };
    command.nonce = "ffffffffffffffffffffffffffffffff".to_owned();
    let moved = open_access(&command, camera, &sealed, &gateway_keys().0);
    assert!(matches!(moved, Err(CommandError::Sealed)));
    assert!(!format!("{:?}", access()).contains("horse"));
}

/// Ada with two devices and Cem administer, and it takes both of them.
pub(crate) fn two_of_three() -> Log {
    let mut log = Log::populated();
    log.push(Statement::AddDevice { device: device(3, cem(), "Cem's laptop") });
    log.push(Statement::AddDevice { device: device(4, ada(), "Ada's phone") });
    let devices = BTreeSet::from([1, 3, 4].map(device_id));
    log.push(Statement::SetAdministrators { k: 2, devices });
    log
}

pub(crate) fn signed_by(command: &SiteCommand, devices: &[u8]) -> Envelope {
    let mut envelope = signed(command, devices[0]);
    for device in &devices[1..] {
        let key = keys(*device).sign;
        envelope::add_signature(PayloadType::Command, &mut envelope, &device_id(*device), &key);
    }
    envelope
}

/// Lives as long as people have to agree.
fn for_days() -> SiteCommand {
    SiteCommand { expires_at: T0.plus_ms(72 * Timestamp::HOUR), ..put_camera() }
}

fn admit_of_two(envelope: &Envelope) -> Result<SiteCommand, CommandError> {
    CommandGate::default().admit(envelope, &two_of_three().roster, gateway_id(), STATE, T0)
}

#[test]
fn one_administrator_against_k_reconfigures_no_site() {
    let not_enough = |result| matches!(result, Err(CommandError::NotEnough { needed: 2, found: 1 }));
    assert!(not_enough(admit_of_two(&signed(&for_days(), 1))));
    assert!(not_enough(admit_of_two(&signed_by(&for_days(), &[1, 4]))), "two devices of one person");
    assert_eq!(admit_of_two(&signed_by(&for_days(), &[1, 3])).unwrap(), for_days());
    assert_eq!(admit_of_two(&signed_by(&for_days(), &[4, 3, 1])).unwrap(), for_days());
    for command in [Command::RemoveCamera { camera: camera_id() }].into_iter().chain(settings()) {
        assert!(not_enough(admit_of_two(&signed(&SiteCommand { command, ..for_days() }, 1))));
    }
    // A connection test changes nothing, and takes one; then it must be soon.
    let Command::PutCamera { camera, sealed } = put_camera().command else { unreachable!() };
    let test = |expires_at| {
        let command = Command::TestCamera { camera, sealed: sealed.clone() };
        admit_of_two(&signed(&SiteCommand { expires_at, command, ..put_camera() }, 1))
    };
    assert!(test(T0.plus_ms(5 * Timestamp::MINUTE)).is_ok());
    assert!(matches!(test(T0.plus_ms(Timestamp::HOUR)), Err(CommandError::Expired)));
}

#[test]
fn a_cloud_adds_takes_and_alters_no_signature() {
    let genuine = signed_by(&for_days(), &[1, 3]);
    let mut stripped = genuine.clone();
    stripped.signatures.pop();
    assert!(matches!(admit_of_two(&stripped), Err(CommandError::NotEnough { needed: 2, found: 1 })));
    let mut doubled = stripped.clone();
    doubled.signatures.push(doubled.signatures[0].clone());
    assert!(matches!(admit_of_two(&doubled), Err(CommandError::Envelope(EnvelopeError::Signatures))));
    // In the name of the missing one, by a watcher, and by a device of its own.
    let mut renamed = signed_by(&for_days(), &[1, 2]);
    renamed.signatures[1].keyid = device_id(3).to_string();
    assert!(matches!(admit_of_two(&renamed), Err(CommandError::Envelope(EnvelopeError::BadSignature(_)))));
    for foreign in [2, 9] {
        let added = signed_by(&for_days(), &[1, 3, foreign]);
        assert!(matches!(admit_of_two(&added), Err(CommandError::NotAdministrator)), "{foreign}");
    }
    // Altered after the first had signed, and signed by the second as altered.
    let other = Command::RemoveCamera { camera: camera_id() };
    let mut altered = signed(&SiteCommand { command: other, ..for_days() }, 3);
    altered.signatures.insert(0, genuine.signatures[0].clone());
    assert!(matches!(admit_of_two(&altered), Err(CommandError::Envelope(EnvelopeError::BadSignature(_)))));
}

#[test]
fn who_agreed_and_administers_no_more_does_not_count() {
    let mut log = two_of_three();
    let envelope = signed_by(&for_days(), &[1, 3]);
    let revoke = log.signed(Statement::RevokeDevice { device: device_id(3) }, 1);
    log.roster.apply(&revoke, T0.plus_ms(60_000)).unwrap();
    let refused = CommandGate::default().admit(&envelope, &log.roster, gateway_id(), STATE, T0);
    assert!(matches!(refused, Err(CommandError::NotAdministrator)), "{refused:?}");
}

#[test]
fn what_several_signed_lives_for_days_and_is_remembered_as_long() {
    let roster = two_of_three().roster;
    let envelope = signed_by(&for_days(), &[1, 3]);
    let mut gate = CommandGate::default();
    let last = T0.plus_ms(72 * Timestamp::HOUR - 1);
    assert!(gate.admit(&envelope, &roster, gateway_id(), STATE, T0.plus_ms(Timestamp::DAY)).is_ok());
    // As a restart finds it on the disk.
    let kept = serde_json::to_string(&gate).unwrap();
    let mut gate: CommandGate = serde_json::from_str(&kept).unwrap();
    let again = gate.admit(&envelope, &roster, gateway_id(), STATE, last).unwrap_err();
    assert!(matches!(again, CommandError::Replayed));
    assert!(again.is_of_signed());
    let late = gate.admit(&envelope, &roster, gateway_id(), STATE, last.plus_ms(1));
    assert!(matches!(late, Err(CommandError::Expired)));
    // Carried out, the site is another one: no clock that goes back helps.
    let after = for_days().state_after();
    let forgotten = CommandGate::default().admit(&envelope, &roster, gateway_id(), after, T0);
    assert!(matches!(forgotten, Err(CommandError::OtherState)));
    let too_long = SiteCommand { expires_at: T0.plus_ms(72 * Timestamp::HOUR + 1), ..put_camera() };
    assert!(matches!(admit_of_two(&signed_by(&too_long, &[1, 3])), Err(CommandError::Expired)));
    // Where one is enough, several signatures make it live no longer.
    let one = CommandGate::default().admit(
        &signed(&for_days(), 1),
        &Log::populated().roster,
        gateway_id(),
        STATE,
        T0,
    );
    assert!(matches!(one, Err(CommandError::Expired)));
}

#[test]
fn connection_tests_leave_room_for_what_several_agreed_on() {
    let roster = two_of_three().roster;
    let full: BTreeMap<String, Timestamp> =
        (0..TEST_NONCES_MAX).map(|n| (format!("{n:032x}"), T0.plus_ms(Timestamp::MINUTE))).collect();
    let mut gate: CommandGate = serde_json::from_value(serde_json::json!({ "seen": full })).unwrap();
    let Command::PutCamera { camera, sealed } = put_camera().command else { unreachable!() };
    let test = SiteCommand { command: Command::TestCamera { camera, sealed }, ..put_camera() };
    let refused = gate.admit(&signed(&test, 1), &roster, gateway_id(), STATE, T0);
    assert!(matches!(refused, Err(CommandError::TooMany)));
    assert!(gate.admit(&signed_by(&for_days(), &[1, 3]), &roster, gateway_id(), STATE, T0).is_ok());
}
