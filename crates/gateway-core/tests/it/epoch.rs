//! Epochs end with the hour and whenever the audience changes.

use gateway_core::epoch::{EPOCH_MS_MAX, Epoch, Over};
use model::{PersonId, Timestamp};
use seal::grant::EpochGrant;
use seal::keys::VerifyingKey;
use seal::roster::{Device, Roster, Scope, Statement};

use crate::site_fixture::{T0, bind, camera_id, counter, device, device_id, gateway_id, keys, push, roster};

#[test]
fn an_epoch_ends_with_time_cameras_or_audience() {
    let roster = roster();
    let epoch = Epoch::begin(&roster, gateway_id(), T0, &mut counter());
    let over = |roster, now| epoch.over(roster, gateway_id(), now);
    assert_eq!(over(&roster, T0.plus_ms(EPOCH_MS_MAX - 1)), None);
    assert_eq!(over(&roster, T0.plus_ms(EPOCH_MS_MAX)), Some(Over::Time));
    assert_eq!(over(&roster, T0.minus_ms(1)), Some(Over::Time), "the clock was set back");

    let mut with_camera = roster.clone();
    bind(&mut with_camera, 2);
    assert_eq!(over(&with_camera, T0), Some(Over::Audience));

    let mut with_device = roster.clone();
    push(&mut with_device, Statement::AddDevice { device: device(3) });
    assert_eq!(over(&with_device, T0), Some(Over::Audience));

    let mut renamed = roster.clone();
    bind(&mut renamed, 1);
    assert_eq!(over(&renamed, T0), None, "nothing changed for anybody");
}

#[test]
fn grants_go_to_the_audience_and_open_there() {
    let mut roster = roster();
    push(&mut roster, Statement::AddDevice { device: device(3) });
    push(&mut roster, Statement::RevokeDevice { device: device_id(3) });
    let mut random = counter();
    let epoch = Epoch::begin(&roster, gateway_id(), T0, &mut random);
    let grants = epoch.grants(&roster, gateway_id(), &keys(6).sign, &mut random);
    let (device, recovery) = (device_id(1), device_id(9));
    assert_eq!(grants.iter().map(|(device, _)| *device).collect::<Vec<_>>(), [device, recovery]);
    let key = VerifyingKey::from_bytes(&roster.gateway(gateway_id()).unwrap().sign.0).unwrap();
    let grant = EpochGrant::verify(&grants[0].1, gateway_id(), key).unwrap();
    let opened = grant.open(device_id(1), &keys(1).kem).unwrap();
    let own = &epoch.keys[&camera_id(1)];
    assert_eq!(opened[&camera_id(1)].video.commitment(), own.video.commitment());
    assert_eq!(grant.roster_head, roster.head().1);
    // When every device has run out, the sheet still opens what is recorded.
    let run_out = T0.plus_ms(91 * Timestamp::DAY);
    let grants = Epoch::begin(&roster, gateway_id(), run_out, &mut random).grants(
        &roster,
        gateway_id(),
        &keys(6).sign,
        &mut random,
    );
    assert_eq!(grants.iter().map(|(device, _)| *device).collect::<Vec<_>>(), [recovery]);
    let grant = EpochGrant::verify(&grants[0].1, gateway_id(), key).unwrap();
    assert!(grant.open(recovery, &keys(9).kem).unwrap()[&camera_id(1)].audio.is_some());
}

#[test]
fn who_may_not_hear_is_given_no_key_of_sound() {
    let mut roster = roster();
    let ben = PersonId::from_random([2; 16]);
    push(&mut roster, Statement::AddDevice { device: Device { person: ben, ..device(2) } });
    let opened = |roster: &Roster| {
        let mut random = counter();
        let epoch = Epoch::begin(roster, gateway_id(), T0, &mut random);
        let grants = epoch.grants(roster, gateway_id(), &keys(6).sign, &mut random);
        let (_, grant) = grants.iter().find(|(device, _)| *device == device_id(2))?;
        EpochGrant::claimed(grant).unwrap().open(device_id(2), &keys(2).kem).unwrap().remove(&camera_id(1))
    };
    assert!(opened(&roster).is_none(), "no access yet");
    let mut share = |audio| {
        push(&mut roster, Statement::SetAccess { person: ben, scope: Scope::All, audio, until: None });
        opened(&roster).map(|keys| keys.audio.is_some())
    };
    assert_eq!(share(false), Some(false));
    assert_eq!(share(true), Some(true));
    // Losing it ends the epoch, so that nobody hears a minute more.
    let heard = Epoch::begin(&roster, gateway_id(), T0, &mut counter());
    push(&mut roster, Statement::SetAccess { person: ben, scope: Scope::All, audio: false, until: None });
    assert_eq!(heard.over(&roster, gateway_id(), T0), Some(Over::Audience));
}
