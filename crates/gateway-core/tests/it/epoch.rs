//! Epochs end with the hour and whenever the audience changes.

use gateway_core::epoch::{EPOCH_MS_MAX, Epoch};
use model::Timestamp;
use seal::grant::EpochGrant;
use seal::keys::VerifyingKey;
use seal::roster::Statement;

use crate::site_fixture::{T0, bind, camera_id, counter, device, device_id, gateway_id, keys, push, roster};

#[test]
fn an_epoch_ends_with_time_cameras_or_audience() {
    let roster = roster();
    let epoch = Epoch::begin(&roster, gateway_id(), T0, &mut counter());
    let over = |roster, now| epoch.is_over(roster, gateway_id(), now);
    assert!(!over(&roster, T0.plus_ms(EPOCH_MS_MAX - 1)));
    assert!(over(&roster, T0.plus_ms(EPOCH_MS_MAX)));
    assert!(over(&roster, T0.minus_ms(1)), "the clock was set back");

    let mut with_camera = roster.clone();
    bind(&mut with_camera, 2);
    assert!(over(&with_camera, T0));

    let mut with_device = roster.clone();
    push(&mut with_device, Statement::AddDevice { device: device(3) });
    assert!(over(&with_device, T0));

    let mut renamed = roster.clone();
    bind(&mut renamed, 1);
    assert!(!over(&renamed, T0), "nothing changed for anybody");
}

#[test]
fn grants_go_to_the_audience_and_open_there() {
    let mut roster = roster();
    push(&mut roster, Statement::AddDevice { device: device(3) });
    push(&mut roster, Statement::RevokeDevice { device: device_id(3) });
    let mut random = counter();
    let epoch = Epoch::begin(&roster, gateway_id(), T0, &mut random);
    let grants = epoch.grants(&roster, gateway_id(), &keys(6).sign, &mut random);
    assert_eq!(grants.iter().map(|(device, _)| *device).collect::<Vec<_>>(), [device_id(1)]);
    let key = VerifyingKey::from_bytes(&roster.gateway(gateway_id()).unwrap().sign.0).unwrap();
    let grant = EpochGrant::verify(&grants[0].1, gateway_id(), key).unwrap();
    let opened = grant.open(device_id(1), &keys(1).kem).unwrap();
    let own = &epoch.keys[&camera_id(1)];
    assert_eq!(opened[&camera_id(1)].video.commitment(), own.video.commitment());
    assert_eq!(grant.roster_head, roster.head().1);
    let run_out = T0.plus_ms(91 * Timestamp::DAY);
    assert!(
        Epoch::begin(&roster, gateway_id(), run_out, &mut random)
            .grants(&roster, gateway_id(), &keys(6).sign, &mut random)
            .is_empty()
    );
}
