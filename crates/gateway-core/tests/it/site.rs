//! The site's configuration changes by command, and its state says so.

use gateway_core::site::{ApplyError, Site};
use model::{
    Bandwidth, BandwidthError, CameraAccess, CameraUrl, Forward, Forwarding, Hash, OrgId, Quiet, Secret,
    Timestamp,
};
use seal::command::{Command, SiteCommand, seal_access};
use seal::keys::KemPublic;

use crate::site_fixture::{T0, camera_id, gateway_id, keys, roster};

fn command(n: u8, command: Command, previous_state: Hash) -> SiteCommand {
    SiteCommand {
        org: OrgId::from_random([2; 16]),
        target: gateway_id(),
        nonce: format!("{n:032x}"),
        expires_at: T0.plus_ms(Timestamp::MINUTE),
        previous_state,
        command,
    }
}

fn put(n: u8, url: &str, state: Hash) -> SiteCommand {
    let access = CameraAccess {
        url: CameraUrl::parse(url).unwrap(),
        sub_url: None,
        username: Some("viewer".to_owned()),
        password: Some(Secret::new("pw")),
        certificate: None,
        onvif_url: None,
    };
    let kem = KemPublic::from_bytes(&roster().gateway(gateway_id()).unwrap().kem.0).unwrap();
    let place = (OrgId::from_random([2; 16]), gateway_id(), camera_id(1));
    let sealed = seal_access(&access, &kem, place, &format!("{n:032x}"), [n; 64]);
    command(n, Command::PutCamera { camera: camera_id(1), sealed }, state)
}

#[test]
fn every_change_moves_the_state() {
    let mut site = Site::new(gateway_id());
    let first = site.state();
    site.apply(&put(1, "rtsp://192.0.2.1/a", first), &keys(6).kem).unwrap();
    let second = site.state();
    assert_ne!(first, second);
    assert_eq!(site.cameras[&camera_id(1)].url.to_string(), "rtsp://192.0.2.1/a");
    let remove = |n, camera| command(n, Command::RemoveCamera { camera }, second);
    let unknown = site.apply(&remove(2, camera_id(7)), &keys(6).kem);
    assert!(matches!(unknown, Err(ApplyError::NoSuchCamera(_))));
    assert_eq!(site.state(), second);
    site.apply(&remove(3, camera_id(1)), &keys(6).kem).unwrap();
    assert!(site.cameras.is_empty() && site.state() != second);
}

#[test]
fn what_would_weaken_the_site_is_refused() {
    let mut site = Site::new(gateway_id());
    let state = site.state();
    let unpinned = site.apply(&put(1, "rtsps://192.0.2.1/a", state), &keys(6).kem);
    assert!(matches!(unpinned, Err(ApplyError::NoCertificate)));
    let wrong_key = site.apply(&put(1, "rtsp://192.0.2.1/a", state), &keys(7).kem);
    assert!(matches!(wrong_key, Err(ApplyError::Command(_))));
    let nothing = Command::SetRetention { bytes_max: 0, age_days_max: 0, quiet: None };
    assert!(matches!(site.apply(&command(2, nothing, state), &keys(6).kem), Err(ApplyError::Retention)));
    for (age_days_max, days_max) in [(30, 0), (30, 31), (1, 2)] {
        let quiet = Some(Quiet::days(days_max));
        let set = Command::SetRetention { bytes_max: 100_000_000, age_days_max, quiet };
        assert!(matches!(site.apply(&command(2, set, state), &keys(6).kem), Err(ApplyError::Quiet)));
    }
    assert_eq!(site.state(), state);
}

#[test]
fn what_is_quiet_is_set_with_retention_and_forgotten_with_it() {
    let mut site = Site::new(gateway_id());
    let plain = serde_json::to_string(&site.retention).unwrap();
    assert!(!plain.contains("quiet"), "older programs read it");
    let set = |n, quiet| {
        let set = Command::SetRetention { bytes_max: 100_000_000, age_days_max: 30, quiet };
        command(n, set, Hash::default())
    };
    site.apply(&set(1, Some(Quiet::days(30))), &keys(6).kem).unwrap();
    let again: Site = serde_json::from_str(&serde_json::to_string(&site).unwrap()).unwrap();
    assert_eq!(again.retention.quiet, Some(Quiet::days(30)));
    site.apply(&set(2, None), &keys(6).kem).unwrap();
    assert_eq!(site.retention.quiet, None);
}

#[test]
fn what_is_forwarded_is_set_for_cameras_that_are_here() {
    let mut site = Site::new(gateway_id());
    site.apply(&put(1, "rtsp://192.0.2.1/a", site.state()), &keys(6).kem).unwrap();
    let before = serde_json::to_string(&site).unwrap();
    let forwarding = Forwarding { main: Forward::Events, sub: Forward::Never, short_in_events: true };
    let set = |n, camera| command(n, Command::SetForwarding { camera, forwarding }, Hash::default());
    let unknown = site.apply(&set(2, camera_id(2)), &keys(6).kem);
    assert!(matches!(unknown, Err(ApplyError::NoSuchCamera(_))));
    site.apply(&set(3, camera_id(1)), &keys(6).kem).unwrap();
    assert_eq!(site.forwarding_of(camera_id(1)), forwarding);
    let again: Site = serde_json::from_str(&serde_json::to_string(&site).unwrap()).unwrap();
    assert_eq!(again.forwarding(), site.forwarding());
    let little = Command::SetBandwidth { bandwidth: Bandwidth { kilobits_max: Some(1), spans: vec![] } };
    let refused = site.apply(&command(4, little, Hash::default()), &keys(6).kem);
    assert!(matches!(refused, Err(ApplyError::Bandwidth(BandwidthError::TooLittle))));
    // A camera that is forgotten and comes back begins anew.
    site.apply(&command(5, Command::RemoveCamera { camera: camera_id(1) }, Hash::default()), &keys(6).kem)
        .unwrap();
    site.apply(&put(1, "rtsp://192.0.2.1/a", site.state()), &keys(6).kem).unwrap();
    assert_eq!(site.forwarding_of(camera_id(1)), Forwarding::default());
    assert!(!before.contains("forwarding") && !before.contains("bandwidth"), "older programs read it");
}
