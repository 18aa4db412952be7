//! Answers about cameras: of every kind, for the device that asked alone.

use model::{Hash, OnvifUrl, Secret, Timestamp};
use seal::answer::{
    Addressed, Answer, CameraQuestion, Cause, Found, FoundCamera, Look, Offer, Picture, Profile, Refused,
    SeenStream, open_answer, open_question, seal_answer, seal_question,
};
use seal::command::{
    Command, CommandError, CommandGate, CommandResult, EventsReport, SiteCommand, StreamReport,
};
use seal::findings::{Findings, Leak, LeakSeverity, RunningSweep, SweptCamera};
use seal::keys::KemPublic;

use crate::command::put_camera;
use crate::fixture::{Log, T0, camera_id, device_id, gateway, gateway_id, gateway_keys, keys, org};

const NONCE: &str = "00112233445566778899aabbccddeeff";

fn onvif_url() -> OnvifUrl {
    OnvifUrl::parse("http://192.0.2.10/onvif/device_service").unwrap()
}

pub(crate) fn question() -> CameraQuestion {
    CameraQuestion {
        onvif_url: onvif_url(),
        username: Some("admin".into()),
        password: Some(Secret::new("hunter2")),
        certificate: None,
    }
}

pub(crate) fn answers() -> Vec<Answer> {
    let stream = StreamReport {
        video_codec: "avc1.64001f".into(),
        width: 1_920,
        height: 1_080,
        audio_codec: None,
        key_frame_after_ms: 400,
    };
    let seen = SeenStream {
        stream,
        bits_per_second: 4_000_000,
        frames_per_second: 25,
        key_frame_every_ms: Some(2_000),
        for_ms: 2_000,
    };
    let picture = Picture {
        codec: "avc1.64001f".into(),
        description: Some([1, 2, 3].into()),
        width: 640,
        height: 360,
        data: [4; 40].into(),
    };
    let camera = FoundCamera {
        address: "192.0.2.10".into(),
        onvif_urls: vec![onvif_url()],
        name: Some("Gate".into()),
        hardware: None,
        location: None,
        camera: Some(camera_id()),
    };
    let profile = Profile {
        name: "Main".into(),
        url: "rtsp://192.0.2.10/main".parse().unwrap(),
        codec: "H264".into(),
        width: 1_920,
        height: 1_080,
        frames_per_second: Some(25),
        kilobits_max: Some(4_096),
        key_frame_every: None,
        has_audio: true,
    };
    let offer = Offer {
        manufacturer: Some("Maker".into()),
        model: None,
        firmware: None,
        clock_off_seconds: Some(3),
        certificate: None,
        profiles: vec![profile],
    };
    let untrusted =
        Look { main: None, sub: None, certificate: Some(Hash([7; 32])), events: None, picture: None };
    let look = Look {
        main: Some(seen.clone()),
        sub: None,
        certificate: None,
        events: Some(EventsReport { error: None }),
        picture: Some(picture),
    };
    vec![
        Answer::Found(Found { cameras: vec![camera], asked: 2, left_out: 1, more: false }),
        Answer::Offer(offer),
        Answer::Look(untrusted),
        Answer::Look(look),
        Answer::Findings(findings()),
        Answer::Refused(Refused { cause: Cause::Password, error: "the camera refuses it".into() }),
    ]
}

fn findings() -> Findings {
    let leak = Leak {
        fingerprint: "00112233445566778899aabbccddeeff".into(),
        rule: "azure-storage-key".into(),
        title: "Account key of Azure Storage".into(),
        opens: "Everything in the storage account".into(),
        remedy: "Rotate the key".into(),
        severity: LeakSeverity::Critical,
        place: "parameters".into(),
        parameter: Some("root.Store.Key".into()),
        line: Some(12),
        redacted: "Ab3x…".into(),
        ends_at: None,
        first_at: T0,
    };
    let swept = SweptCamera {
        camera: camera_id(),
        swept_at: Some(T0),
        read: 48_000,
        error: None,
        findings: vec![leak],
        left_out: 0,
    };
    let running = RunningSweep { camera: camera_id(), read: 1_024, found: 1 };
    Findings {
        cameras: vec![swept],
        next: Some(camera_id()),
        running: Some(running),
        waiting: 2,
        version: 1_700_000_000_007,
    }
}

pub(crate) fn addressed() -> Addressed<'static> {
    Addressed { org: org(), gateway: gateway_id(), device: device_id(1), nonce: NONCE }
}

/// A command that asks, as it goes through the cloud.
pub(crate) fn ask_camera() -> SiteCommand {
    let kem = KemPublic::from_bytes(&gateway().kem.0).unwrap();
    let sealed = seal_question(&question(), &kem, (org(), gateway_id()), NONCE, [9; 64]);
    SiteCommand { nonce: NONCE.into(), command: Command::AskCamera { sealed }, ..put_camera() }
}

#[test]
fn answers_of_every_kind_open_to_the_device_that_asked_and_to_no_other() {
    let asking = keys(1).kem;
    for answer in answers() {
        let sealed = seal_answer(&answer, &asking.public(), addressed(), [5; 64]);
        assert_eq!(open_answer(&sealed, &asking, addressed()).unwrap(), answer);
        assert!(matches!(open_answer(&sealed, &keys(2).kem, addressed()), Err(CommandError::Answer)));
        for other in [
            Addressed { device: device_id(2), ..addressed() },
            Addressed { nonce: "ffffffffffffffffffffffffffffffff", ..addressed() },
        ] {
            assert!(open_answer(&sealed, &asking, other).is_err());
        }
        let mut altered = sealed.clone();
        altered.ciphertext.0[0] ^= 1;
        assert!(open_answer(&altered, &asking, addressed()).is_err());
    }
}

#[test]
fn a_question_opens_for_its_gateway_and_command_alone_and_prints_no_password() {
    let command = ask_camera();
    let Command::AskCamera { sealed } = &command.command else { unreachable!() };
    let key = gateway_keys().0;
    assert_eq!(open_question(&command, sealed, &key).unwrap(), question());
    let later = SiteCommand { nonce: "f".repeat(32), ..command.clone() };
    assert!(matches!(open_question(&later, sealed, &key), Err(CommandError::Sealed)));
    assert!(open_question(&command, sealed, &keys(1).kem).is_err());
    assert!(!format!("{:?}{command:?}", question()).contains("hunter2"));
}

#[test]
fn the_largest_picture_fits_into_an_envelope() {
    let largest = Picture {
        codec: "avc1.64001f".into(),
        description: Some([1; 256].into()),
        width: 640,
        height: 360,
        data: vec![4; Picture::BYTES_MAX].into(),
    };
    let Answer::Look(look) = answers().remove(3) else { unreachable!() };
    let both = Look { sub: look.main.clone(), picture: Some(largest), ..look };
    let answer = seal_answer(&Answer::Look(both), &keys(1).kem.public(), addressed(), [5; 64]);
    let result = CommandResult {
        org: org(),
        gateway: gateway_id(),
        nonce: NONCE.into(),
        at: T0,
        ok: true,
        error: None,
        report: None,
        answer: Some(answer),
    };
    let (_, sign) = gateway_keys();
    let read = CommandResult::verify(&result.sign(&sign), gateway_id(), sign.verifying_key(), NONCE);
    assert!(read.unwrap().answer.is_some());
}

/// The attack: a camera is full of secrets with the longest of names.
#[test]
fn the_largest_page_of_findings_fits_into_an_envelope() {
    let page = findings();
    // Quotes and control characters take two and six bytes in JSON; texts are cut to what they take there.
    let text = || "x".repeat(Leak::TEXT_MAX);
    let leak = Leak {
        rule: text(),
        title: text(),
        opens: text(),
        remedy: text(),
        place: text(),
        parameter: Some(text()),
        ..page.cameras[0].findings[0].clone()
    };
    let swept = SweptCamera {
        findings: vec![leak; SweptCamera::FINDINGS_MAX],
        error: Some(text()),
        ..page.cameras[0].clone()
    };
    let left = Findings::PAGE_MAX - SweptCamera::FINDINGS_MAX - 2;
    let second = SweptCamera { findings: swept.findings[..left].to_vec(), ..swept.clone() };
    let cameras = vec![swept, second];
    let page = Answer::Findings(Findings { cameras, ..page });
    let sealed = seal_answer(&page, &keys(1).kem.public(), addressed(), [5; 64]);
    assert!(sealed.ciphertext.0.len() < 180 << 10, "{}", sealed.ciphertext.0.len());
}

#[test]
fn questions_change_no_site_and_take_one_administrator() {
    let log = crate::command::two_of_three();
    let asking = [
        Command::FindCameras {},
        ask_camera().command,
        Command::ListFindings { after: None, seen: Some(7) },
        Command::SweepCameras { camera: None },
        Command::StopSweep {},
    ];
    for command in asking {
        assert!(!command.changes_site() && command.administrators_needed(&log.roster) == 1);
        let order = SiteCommand {
            command,
            expires_at: T0.plus_ms(5 * Timestamp::MINUTE),
            previous_state: Hash([99; 32]),
            ..ask_camera()
        };
        let roster = Log::populated().roster;
        let mut gate = CommandGate::default();
        let signed = |by: u8| order.sign(device_id(by), &keys(by).sign);
        let mut admit = |by| gate.admit(&signed(by), &roster, gateway_id(), Hash([1; 32]), T0);
        assert!(matches!(admit(2), Err(CommandError::NotAdministrator)), "a watcher");
        assert_eq!(admit(1).unwrap(), order);
        assert!(matches!(admit(1), Err(CommandError::Replayed)));
    }
}
