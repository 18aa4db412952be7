//! Indexes of hours: signed whole, of one hour, in one order.

use model::wire::{Envelope, GapReason};
use model::{Hash, OrgId, Rendition, Timestamp};
use seal::hour::{ENTRIES_MAX, HOUR_BYTES_MAX, Hour, HourError, HourGap, HourRecording, SignedHour};
use seal::keys::SigningKey;
use seal::roster::Roster;

use crate::fixture::{Log, T0, camera_id, gateway_id, gateway_keys, org};

fn start() -> Timestamp {
    Timestamp(T0.0 - T0.0 % Timestamp::HOUR)
}

fn recording(n: u32) -> HourRecording {
    let digest = |what: u8| {
        let mut bytes = [what; 32];
        bytes[..4].copy_from_slice(&n.to_be_bytes());
        Hash(bytes)
    };
    HourRecording {
        rendition: if n.is_multiple_of(2) { Rendition::Main } else { Rendition::Sub },
        started_at: start().plus_ms(u64::from(n) * 1_000),
        duration_ms: 60_000,
        bytes: 14_000_000,
        id: digest(1),
        root: digest(2),
        stored: n != 1,
    }
}

pub(crate) fn hour() -> Hour {
    Hour {
        org: org(),
        gateway: gateway_id(),
        camera: camera_id(),
        hour: start(),
        number: 3,
        previous: Some(Hash([9; 32])),
        made_at: start().plus_ms(Timestamp::HOUR + 300_000),
        recordings: vec![recording(0), recording(1)],
        gaps: vec![HourGap {
            rendition: Rendition::Main,
            from: start().plus_ms(60_000),
            to: start().plus_ms(90_000),
            reason: GapReason::CameraUnreachable,
        }],
    }
}

fn roster() -> Roster {
    Log::populated().roster
}

fn signed(hour: &Hour) -> Envelope {
    hour.sign(&gateway_keys().1)
}

#[test]
fn what_the_gateway_signed_is_read_and_named() {
    let envelope = signed(&hour());
    let bytes = serde_json::to_vec(&envelope).unwrap();
    let read = SignedHour::parse(&bytes, &roster()).unwrap();
    assert_eq!(read.hour, hour());
    assert_eq!(read.hash, seal::sha256(&envelope.payload.0));
    let (year, month, day) = start().utc_date();
    let name = format!(
        "{}/{}/hours/{year:04}/{month:02}/{day:02}/{}-{}.json",
        org(),
        camera_id(),
        start().0,
        read.hash
    );
    assert_eq!(read.object_name(), name);
}

#[test]
fn nobody_else_signs_for_an_hour_and_no_byte_is_another() {
    let roster = roster();
    let forged = hour().sign(&SigningKey::from_seed([0xbb; 32]));
    assert!(matches!(SignedHour::verify(&forged, &roster), Err(HourError::Envelope(_))));
    let good = signed(&hour());
    for at in 0..good.payload.0.len() {
        let mut altered = good.clone();
        altered.payload.0[at] ^= 1;
        assert!(SignedHour::verify(&altered, &roster).is_err(), "byte {at}");
    }
    let other = Hour { org: OrgId::from_random([0xee; 16]), ..hour() };
    assert!(matches!(SignedHour::verify(&signed(&other), &roster), Err(HourError::OtherOrganisation)));
    let unknown = Hour { gateway: model::GatewayId::from_random([0xee; 16]), ..hour() };
    assert!(matches!(SignedHour::verify(&signed(&unknown), &roster), Err(HourError::UnknownGateway(_))));
    let mut long = serde_json::to_vec(&good).unwrap();
    long.resize(HOUR_BYTES_MAX as usize + 1, b' ');
    assert!(matches!(SignedHour::parse(&long, &roster), Err(HourError::TooLarge)));
}

#[test]
fn an_hour_holds_what_is_of_it_once_and_in_order() {
    let refused = |hour: Hour| {
        let read = SignedHour::verify(&signed(&hour), &roster());
        assert!(matches!(read, Err(HourError::Content(_))), "{read:?}");
    };
    refused(Hour { hour: start().plus_ms(1), ..hour() });
    refused(Hour { number: 0, ..hour() });
    refused(Hour { previous: None, ..hour() });
    refused(Hour { recordings: Vec::new(), gaps: Vec::new(), ..hour() });
    refused(Hour { recordings: vec![recording(1), recording(0)], ..hour() });
    refused(Hour { recordings: vec![recording(1), recording(1)], ..hour() });
    refused(Hour { recordings: vec![recording(3_600)], ..hour() });
    refused(Hour { recordings: (0..ENTRIES_MAX as u32 + 1).map(recording).collect(), ..hour() });
    let mut backwards = hour();
    backwards.gaps[0].to = backwards.gaps[0].from;
    refused(backwards);
}

#[test]
fn a_full_hour_fits_into_its_object() {
    let gap = |n: u64| HourGap {
        rendition: Rendition::Main,
        from: start().plus_ms(n),
        to: Timestamp((1 << 53) - 1),
        reason: GapReason::CameraUnreachable,
    };
    let full = Hour {
        recordings: (0..ENTRIES_MAX as u32).map(recording).collect(),
        gaps: (0..ENTRIES_MAX as u64).map(gap).collect(),
        ..hour()
    };
    let bytes = serde_json::to_vec(&signed(&full)).unwrap();
    assert!(bytes.len() as u64 <= HOUR_BYTES_MAX, "{} bytes", bytes.len());
    SignedHour::parse(&bytes, &roster()).unwrap();
}
