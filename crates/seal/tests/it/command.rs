//! Commands: once, soon, here, for what the author saw, by an administrator.

use model::wire::Envelope;
use model::{CameraAccess, CameraUrl, GatewayId, Hash, OrgId, Secret, Timestamp};
use seal::command::{Command, CommandError, CommandGate, SiteCommand, open_access, seal_access};
use seal::keys::KemPublic;

use crate::fixture::{Log, T0, camera_id, device_id, gateway, gateway_id, gateway_keys, keys, org};

const STATE: Hash = Hash([5; 32]);

fn access() -> CameraAccess {
    CameraAccess {
        url: CameraUrl::parse("rtsp://192.0.2.10/stream1").unwrap(),
        sub_url: None,
        username: Some("viewer".to_owned()),
        password: Some(Secret::new("correct horse")),
        certificate: None,
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
